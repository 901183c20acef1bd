/* fiber.c - tasks as fibers, a scheduler that follows a seed, and the locks of lib/sync.h on top of them.
 *
 * A CPU runs one task until that sleeps, as in the kernel; between CPUs the scheduler switches at every atomic
 * operation it likes. A task that sleeps gives its CPU up and may wake on another one. Outside of fibers_run the test
 * itself is the only task, on CPU 0 or where host_cpu put it. */
#include <sys/mman.h>

#include "fiber.h"
#include "rules.h"

#define STEPS_MOST 50000000ULL /* a run of a test has some 100,000 */

struct fiber fibers[FIBERS_MOST] = {{.name = "test"}};
unsigned fiber_count = 1;
struct fiber *current = &fibers[0];
static unsigned switch_odds;
static u64 steps;
static bool running;
static const void *main_stack;
static size_t main_stack_bytes;

/* stack_switch: go on with another stack; the registers that a function keeps are on the stacks. Not swapcontext: it
 * costs two system calls, and AddressSanitizer warns of it in each process. */
__attribute__((naked)) static void stack_switch(void **from_sp, void *to_sp) {
    __asm__("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
            "mov %rsp, (%rdi); mov %rsi, %rsp\n"
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret");
}

void fiber_switch(struct fiber *to, bool last) {
    struct fiber *from = current;
    current = to;
    const void *bottom = to == fibers ? main_stack : to->stack;
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, bottom,
                                   to == fibers ? main_stack_bytes : STACK_BYTES);
    stack_switch(&from->sp, to->sp);
    const void *stack;
    size_t bytes;
    __sanitizer_finish_switch_fiber(current->fake_stack, &stack, &bytes);
}

static void fiber_main(void) {
    const void *stack;
    size_t bytes;
    __sanitizer_finish_switch_fiber(NULL, &stack, &bytes);
    main_stack = stack;
    main_stack_bytes = bytes;
    current->body(current->argument);
    if (current->locks)
        panic("task %s ended holding %u locks", current->name, current->locks);
    current->state = FIBER_DONE;
    if (exploring())
        explore_end();
    current->cpu = -1;
    fiber_switch(&fibers[0], true);
}

void fiber_rewind(struct fiber *f) {
    void **top = (void **)((char *)f->stack + STACK_BYTES) - 1; /* entered as after a call: 8 below a multiple of 16 */
    *--top = (void *)fiber_main;
    f->sp = memset(top - 6, 0, 6 * sizeof(*top)); /* six registers */
}

void fiber_add(const char *name, void (*body)(void *), void *argument, struct space *space) {
    check(fiber_count < FIBERS_MOST);
    struct fiber *f = &fibers[fiber_count++];
    *f = (struct fiber){.name = name, .body = body, .argument = argument, .space = space, .cpu = -1};
    f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(f->stack != MAP_FAILED);
    fiber_rewind(f);
}

static unsigned free_cpus(int *out) {
    u64 taken = 0;
    unsigned n = 0;
    for (unsigned i = 1; i < fiber_count; i++)
        if (fibers[i].cpu >= 0)
            taken |= 1ULL << fibers[i].cpu;
    for (unsigned c = 0; c < cpu_count; c++)
        if (!(taken & 1ULL << c))
            out[n++] = (int)c;
    return n;
}

/* fiber_pick: one of those that can go on; NULL: all are done. */
static struct fiber *fiber_pick(void) {
    struct fiber *ready[FIBERS_MOST];
    unsigned n = 0, left = 0;
    int cpus[64];
    unsigned free = free_cpus(cpus);
    for (unsigned i = 1; i < fiber_count; i++) {
        struct fiber *f = &fibers[i];
        left += f->state != FIBER_DONE;
        if (f->state == FIBER_READY && (f->cpu >= 0 || free))
            ready[n++] = f;
    }
    if (!left)
        return NULL;
    if (!n)
        panic("deadlock: every task sleeps");
    struct fiber *f = ready[rnd_below(n)];
    if (f->cpu < 0) {
        f->cpu = cpus[rnd_below(free)];
        if (f->space) { /* as the kernel's scheduler does when it switches; without one, the old space stays loaded */
            int here = fibers[0].cpu;
            fibers[0].cpu = f->cpu;
            space_load(f->space);
            fibers[0].cpu = here;
        }
    }
    return f;
}

void fibers_run(unsigned odds) {
    struct fiber *f;
    switch_odds = odds;
    running = true;
    steps = 0;
    while ((f = fiber_pick()))
        fiber_switch(f, false);
    running = false;
    for (unsigned i = 1; i < fiber_count; i++)
        munmap(fibers[i].stack, STACK_BYTES);
    fiber_count = 1;
}

void fiber_use(struct space *space) {
    current->space = space;
    space_load(space);
}

static void give_way(void) {
    if (++steps > STEPS_MOST)
        panic("livelock: %lu steps", (unsigned long)steps);
    fiber_switch(&fibers[0], false);
}

static void point(enum host_op op, const volatile void *address, unsigned bytes, const void *from) {
    if (exploring() && current != &fibers[0])
        explore_point(op, address, bytes, from);
    else
        host_step();
}
#define FROM __builtin_return_address(0)

void host_point(enum host_op op, const volatile void *address, unsigned bytes) { point(op, address, bytes, FROM); }

void host_stop_point(enum host_op op, const volatile void *address, unsigned bytes) {
    current->stops = true;
    point(op, address, bytes, FROM);
    current->stops = false;
}

void host_also(enum host_op op, const volatile void *address) {
    if (exploring() && current != &fibers[0])
        explore_access(op, address);
}

void host_step(void) {
    if (exploring()) /* a step about no word makes no difference */
        return;
    if (current == &fibers[0] || !switch_odds)
        return;
    if (++steps > STEPS_MOST)
        panic("livelock: %lu steps", (unsigned long)steps);
    if (one_in(switch_odds))
        fiber_switch(&fibers[0], false);
}

void fiber_yield(void) {
    if (current == &fibers[0] || exploring())
        return;
    current->cpu = -1;
    give_way();
}

void machine_pause(void) {
    if (current == &fibers[0])
        panic("the only task spins");
    if (exploring())
        explore_point(HOST_PAUSE, NULL, 0, FROM);
    else
        give_way();
}

/* The kernel stops CPUs where they return to a program or sleep. Where a seed orders the steps nobody asks for it: the
 * checker runs between the steps of a test, when no other task is under way. */
void machine_quiesce(void) {
    host_may_sleep("machine_quiesce");
    if (exploring())
        explore_point(HOST_ALONE, &current->stops, sizeof(current->stops), FROM);
    else
        check(!running);
}
void machine_resume(void) {
    if (exploring())
        explore_resume();
}

void host_guard(unsigned cpu) { (void)cpu; }
void host_unguard(unsigned cpu) { (void)cpu; }
unsigned cpu_id(void) { return (unsigned)current->cpu; }
bool fibers_running(void) { return running; }
void fibers_running_set(bool on) { running = on; }
const char *fiber_name(void) { return current->name; }

void host_cpu(unsigned cpu) {
    check(current == &fibers[0] && cpu < cpu_count);
    current->cpu = (int)cpu;
}

void fibers_print(FILE *to) {
    for (unsigned i = 0; i < fiber_count; i++) {
        struct fiber *f = &fibers[i];
        fprintf(to, "  task %s: CPU %d, %s%s%s, %u spin locks%s\n", f->name, f->cpu,
                f->state == FIBER_READY    ? "ready"
                : f->state == FIBER_ASLEEP ? "asleep"
                                           : "done",
                f->waits ? ", " : "", f->waits ? f->waits : "", f->locks, f == current ? " <- here" : "");
    }
}

/* ---- spin locks */

static void took(struct spin *lock) {
    check(current->locks < array_count(current->held));
    current->held[current->locks++] = lock;
}
static void let_go(struct spin *lock) {
    unsigned i = 0;
    while (i < current->locks && current->held[i] != lock)
        i++;
    check(i < current->locks);
    for (current->locks--; i < current->locks; i++)
        current->held[i] = current->held[i + 1];
}

bool host_try(struct spin *lock) {
    point(HOST_TRY, lock, sizeof(lock->held), FROM);
    bool got = spin_try(lock);
    host_also(got ? HOST_LOCK : HOST_TRY, lock);
    if (got)
        took(lock);
    return got;
}
void host_lock(struct spin *lock) {
    point(HOST_LOCK, lock, sizeof(lock->held), FROM);
    if (spin_held(lock))
        panic("spin_lock: CPU %u holds it already", cpu_id());
    while (!spin_try(lock)) {
        current->waits = "spins";
        machine_pause();
    }
    current->waits = NULL;
    took(lock);
}
void host_unlock(struct spin *lock) {
    point(HOST_UNLOCK, lock, sizeof(lock->held), FROM);
    if (!spin_held(lock))
        panic("spin_unlock: held by %d, not by CPU %u", (int)lock->held - 1, cpu_id());
    if (rule_unlock(lock))
        return;
    let_go(lock);
    spin_unlock(lock);
    host_step();
    rule_unlocked();
}
void spin_wait(struct spin *lock) { /* spin_lock of the host's own files */
    while (!spin_try(lock))
        machine_pause();
}

/* ---- sleeping */

void host_may_sleep(const char *what) {
    if (current->locks)
        panic("%s may sleep, with %u spin locks held", what, current->locks);
    if (epoch_inside())
        panic("%s may sleep, in an epoch section", what);
}

int task_sleep(bool interruptible, u64 deadline_ns) {
    (void)interruptible, (void)deadline_ns;
    host_may_sleep("task_sleep");
    if (exploring()) {
        host_stop_point(HOST_SLEEP, &current->woken, sizeof(current->woken));
    } else if (!current->woken) {
        if (current == &fibers[0])
            panic("deadlock: the only task sleeps");
        current->state = FIBER_ASLEEP;
        current->cpu = -1;
        current->waits = "sleeps";
        give_way();
        current->waits = NULL;
    }
    current->woken = false;
    return 0;
}

void waitq_init(struct waitq *q) {
    spin_init(&q->lock);
    list_init(&q->sleepers);
}
void waitq_add(struct waitq *q, struct waiter *w) {
    point(HOST_WRITE, &q->sleepers, sizeof(q->sleepers.next), FROM);
    *w = (struct waiter){.task = (struct task *)current, .queue = q};
    list_add_tail(&q->sleepers, &w->link);
}
void waitq_remove(struct waiter *w) {
    point(HOST_WRITE, &w->queue->sleepers, sizeof(w->link.next), FROM);
    if (!w->woken)
        list_del(&w->link);
}
static void wake(struct waiter *w) {
    struct fiber *f = (struct fiber *)w->task;
    host_also(HOST_WRITE, &f->woken);
    list_del(&w->link);
    w->woken = true;
    f->woken = true;
    if (f->state == FIBER_ASLEEP)
        f->state = FIBER_READY;
}
void waitq_wake_one(struct waitq *q) {
    point(HOST_WRITE, &q->sleepers, sizeof(q->sleepers.next), FROM);
    if (!list_empty(&q->sleepers))
        wake(list_first(&q->sleepers, struct waiter, link));
}
void waitq_wake_all(struct waitq *q) {
    point(HOST_WRITE, &q->sleepers, sizeof(q->sleepers.next), FROM);
    while (!list_empty(&q->sleepers))
        wake(list_first(&q->sleepers, struct waiter, link));
}

void mutex_init(struct mutex *m) {
    m->owner = NULL;
    waitq_init(&m->waiters);
}
bool mutex_held(const struct mutex *m) { return m->owner == (struct task *)current; }
bool mutex_try(struct mutex *m) {
    point(HOST_TRY, &m->owner, sizeof(m->owner), FROM);
    host_also(m->owner ? HOST_TRY : HOST_LOCK, &m->owner);
    if (m->owner)
        return false;
    m->owner = (struct task *)current;
    return true;
}
void mutex_lock(struct mutex *m) {
    host_may_sleep("mutex_lock");
    if (mutex_held(m))
        panic("mutex_lock: %s holds it already", current->name);
    if (exploring() && current != &fibers[0]) {
        host_stop_point(HOST_LOCK, &m->owner, sizeof(m->owner));
        m->owner = (struct task *)current;
        return;
    }
    while (!mutex_try(m)) {
        struct waiter w;
        waitq_add(&m->waiters, &w);
        if (m->owner) /* it may have been let go before we were on the queue */
            task_sleep(false, SLEEP_FOREVER);
        waitq_remove(&w);
    }
}
void mutex_unlock(struct mutex *m) {
    if (!mutex_held(m))
        panic("mutex_unlock: %s does not hold it", current->name);
    point(HOST_UNLOCK, &m->owner, sizeof(m->owner), FROM);
    m->owner = NULL;
    if (!exploring())
        waitq_wake_one(&m->waiters);
}
