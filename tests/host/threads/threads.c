/* threads.c - the hosted machine's CPUs as real threads, for ThreadSanitizer: in place of fiber.c.
 *
 * Each task is a thread that has a CPU of its own. ThreadSanitizer learns what orders what from the same atomic
 * operations that the kernel uses: the spin locks are those of lib/sync.h, a mutex is one atomic word, a wake is
 * another; nothing here takes a lock of the host, which would order more than the kernel does, and hide races. The
 * epoch needs no telling: a section's end is a store with release, and who frees has loaded it with acquire (epoch.c).
 * A CPU's guard stands for the interrupt by which another CPU flushes it. */
#include <pthread.h>
#include <sched.h>

#include "explore.h"
#include "fiber.h"
#include "rules.h"

static __thread struct fiber *self;
static struct fiber tasks[FIBERS_MOST] = {{.name = "test"}};
static unsigned task_count = 1;
static pthread_t handles[FIBERS_MOST];
static bool running;
static struct spin guards[MACHINE_CPUS];

static struct fiber *me(void) { return self ? self : &tasks[0]; }

void fiber_add(const char *name, void (*body)(void *), void *argument, struct space *space) {
    check(task_count < FIBERS_MOST && task_count <= cpu_count);
    tasks[task_count] = (struct fiber){.name = name, .body = body, .argument = argument, .space = space};
    tasks[task_count].cpu = (int)task_count - 1;
    task_count++;
}

static void *task_main(void *argument) {
    self = argument;
    rnd_start(test_seed * FIBERS_MOST + (u64)(self - tasks));
    space_load(self->space);
    self->body(self->argument);
    check(!self->locks);
    return NULL;
}

void fibers_run(unsigned odds) {
    (void)odds;
    running = true;
    for (unsigned i = 1; i < task_count; i++)
        check(!pthread_create(&handles[i], NULL, task_main, &tasks[i]));
    for (unsigned i = 1; i < task_count; i++)
        pthread_join(handles[i], NULL);
    running = false;
    task_count = 1;
}

void fiber_use(struct space *space) { space_load(space); }
void fiber_yield(void) { sched_yield(); }
void host_step(void) {}
void host_point(enum host_op op, const volatile void *address, unsigned bytes) { (void)op, (void)address, (void)bytes; }
void host_stop_point(enum host_op op, const volatile void *address, unsigned bytes) { host_point(op, address, bytes); }
void machine_quiesce(void) { check(!running); } /* for the checker, between the steps of a test */
void machine_resume(void) {}
void host_also(enum host_op op, const volatile void *address) { (void)op, (void)address; }
void machine_pause(void) { sched_yield(); }
unsigned cpu_id(void) { return (unsigned)me()->cpu; }
bool fibers_running(void) { return running; }
const char *fiber_name(void) { return me()->name; }
void host_cpu(unsigned cpu) { me()->cpu = (int)cpu; }
void fibers_print(FILE *to) { fprintf(to, "  thread %s, CPU %u\n", me()->name, cpu_id()); }

void host_guard(unsigned cpu) {
    while (!spin_try(&guards[cpu]))
        sched_yield();
}
void host_unguard(unsigned cpu) { atomic_store(&guards[cpu].held, 0); }

/* ---- locks */

bool host_broken; /* the planted race: locks exclude, but ThreadSanitizer is not told that they order anything */

bool host_try(struct spin *lock) {
    u32 none = 0;
    bool got = host_broken ? __atomic_compare_exchange_n(&lock->held, &none, cpu_id() + 1, false, __ATOMIC_RELAXED,
                                                         __ATOMIC_RELAXED)
                           : spin_try(lock);
    me()->locks += got;
    return got;
}
void host_lock(struct spin *lock) {
    check(!spin_held(lock));
    while (!host_try(lock))
        sched_yield();
}
void host_unlock(struct spin *lock) {
    check(spin_held(lock));
    me()->locks--;
    if (host_broken)
        atomic_store_relaxed(&lock->held, 0);
    else
        spin_unlock(lock);
}
void spin_wait(struct spin *lock) {
    while (!spin_try(lock))
        sched_yield();
}

void host_may_sleep(const char *what) {
    if (me()->locks || epoch_inside())
        panic("%s may sleep, with %u spin locks held, epoch %u", what, me()->locks, epoch_inside());
}

int task_sleep(bool interruptible, u64 deadline_ns) {
    (void)interruptible, (void)deadline_ns;
    host_may_sleep("task_sleep");
    while (!atomic_xchg(&me()->woken, false))
        sched_yield();
    return 0;
}

void waitq_init(struct waitq *q) {
    spin_init(&q->lock);
    list_init(&q->sleepers);
}
void waitq_add(struct waitq *q, struct waiter *w) {
    *w = (struct waiter){.task = (struct task *)me(), .queue = q};
    host_lock(&q->lock);
    list_add_tail(&q->sleepers, &w->link);
    host_unlock(&q->lock);
}
void waitq_remove(struct waiter *w) {
    struct waitq *q = w->queue;
    host_lock(&q->lock);
    if (!w->woken)
        list_del(&w->link);
    host_unlock(&q->lock);
}
static void wake(struct waitq *q, bool all) {
    host_lock(&q->lock);
    while (!list_empty(&q->sleepers)) {
        struct waiter *w = list_first(&q->sleepers, struct waiter, link);
        list_del(&w->link);
        w->woken = true;
        atomic_store(&((struct fiber *)w->task)->woken, true);
        if (!all)
            break;
    }
    host_unlock(&q->lock);
}
void waitq_wake_one(struct waitq *q) { wake(q, false); }
void waitq_wake_all(struct waitq *q) { wake(q, true); }

void mutex_init(struct mutex *m) {
    m->owner = NULL;
    waitq_init(&m->waiters);
}
bool mutex_held(const struct mutex *m) { return atomic_load_relaxed(&m->owner) == (struct task *)me(); }
bool mutex_try(struct mutex *m) { return atomic_cas(&m->owner, NULL, (struct task *)me()); }
void mutex_lock(struct mutex *m) {
    host_may_sleep("mutex_lock");
    check(!mutex_held(m));
    while (!mutex_try(m))
        sched_yield();
}
void mutex_unlock(struct mutex *m) {
    check(mutex_held(m));
    atomic_store(&m->owner, NULL);
}

/* ---- what this build has not: scenarios, rules that are taken away */

bool explore_on;
bool host_keeps(const void *memory) { return false; }
enum rule rule_missing;
const char *const rule_names[RULES] = {0}, *const rule_likely[RULES] = {0};
bool rule_flush(struct machine_space *m, u64 start, u64 end, bool tables) { return false; }
unsigned scenario_count(void) { return 0; }
const struct scenario *scenario_at(unsigned i) { return NULL; }
void explore(const struct scenario *s, u64 most, struct explored *result) {}
void explore_replay(const struct scenario *s, const char *schedule) {}
bool explore_say(FILE *to) { return false; }

const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "halt_on_error=1:exitcode=66:history_size=4"; }
