/* sched.c - which task runs on which CPU, and how tasks sleep, wake, begin and end.
 *
 * Nouns: a run queue for each CPU: two lists of ready tasks, `active` and `expired`, and an epoch. A task has a time
 * slice by its niceness; while some of it is left it waits in the active list (woken tasks in front: they answer
 * quickly, and their slice bounds how much that gives them), afterwards in the expired one with a new slice. When the
 * active list is empty the lists change places and the epoch grows: so within an epoch everyone gets its share, and
 * every step is O(1).
 *
 * A woken task goes to an idle CPU if one may run it, its last one first; a CPU with nothing to do takes ready tasks
 * from others. The kernel is not preempted: a slice that ends, or a better task that wakes, sets need_resched, which is
 * looked at on the way to user mode. An idle CPU has no tick.
 *
 * Locks: a run queue's lock covers what task.h marks [r], of the task that runs on the CPU too, and is held across the
 * switch: whoever runs next releases it. So a task is either `current` of some queue, or in its lists, or asleep,
 * whenever the lock is free. Two are never waited for at once: a thief only tries the second. */
#include <linux/sched.h>

#include "arch/x86_64/debug.h"
#include "task/family.h"
#include "task/oom.h"
#include "task/pressure.h"
#include "task/sched.h"
#include "task/seccomp.h"
#include "task/times.h"
#include "vm/space.h"

#define SLICE_NS 12000000L /* of nice 0: three ticks */
#define SLICE_LEAST_NS 1000000L
#define LOAD_PERIOD_NS 5000000000UL
#define SOON_NS 200000 /* a task that sleeps so soon after it woke another handed its CPU over */
#define SOON_MOST 7

struct runq {
    struct spin lock;
    struct list lists[2];
    unsigned active; /* which of the lists */
    unsigned ready;  /* tasks in both; read by others without the lock */
    u64 epoch;
    struct task *current;  /* who runs here */
    struct task *previous; /* who ran before the switch in progress */
    struct task *idle;
    u64 stamp; /* until when time was accounted; exchanged atomically, the tick does it too */
    u64 user_ns, system_ns, idle_ns;
    u64 switches;
};

static struct runq *runqs[CPU_MAX];
static struct runq boot_runq;
static struct task boot_task; /* what runs kernel_main */
static u64 idle_cpus[CPU_MAX / 64];
static struct slab_cache *task_cache, *fpu_cache;
static u64 live_tasks;
static u64 load_average[3], load_next = LOAD_PERIOD_NS;

static struct runq *runq_self(void) { return runqs[cpu_id()]; }
static bool bit_test(const u64 *bits, unsigned n) { return atomic_load_relaxed(&bits[n / 64]) >> n % 64 & 1; }

/* ---- accounting ---- */

/* Linux's weights: a step of niceness is a factor of 1.25; computed as (5/4)^-nice in 10 bits. */
static s64 slice_of(const struct task *t) {
    s64 slice = SLICE_NS;

    for (int n = t->nice; n > 0; n--)
        slice = slice * 4 / 5;
    for (int n = t->nice; n < 0; n++)
        slice = slice * 5 / 4;
    return max(slice, SLICE_LEAST_NS);
}

/* charge: the time since the last stamp belongs to the current task. The remainder between ticks counts as what the
 * last tick saw. The tick may come between any two lines: then the difference is small or negative, and dropped. */
static void charge(struct runq *rq, bool user) {
    struct task *t = rq->current;
    u64 now = clock_ns();
    s64 elapsed = now - atomic_xchg(&rq->stamp, now);

    if (elapsed <= 0)
        return;
    if (t == rq->idle) {
        atomic_add(&rq->idle_ns, elapsed);
        return;
    }
    atomic_add(user ? &t->user_ns : &t->system_ns, elapsed);
    atomic_add(user ? &rq->user_ns : &rq->system_ns, elapsed);
    atomic_sub(&t->slice_ns, elapsed);
}

void task_times(const struct task *t, u64 *user_ns, u64 *system_ns) {
    *user_ns = atomic_load_relaxed(&t->user_ns);
    *system_ns = atomic_load_relaxed(&t->system_ns);
}

/* Fixed point 11 bits; the factors exp(-5s/1min), exp(-5s/5min), exp(-5s/15min), as /proc/loadavg is defined. */
static void load_update(u64 now) {
    static const u64 keep[3] = {1884, 2014, 2037};
    u64 running = sched_running() << 11;

    while (now >= load_next) {
        for (unsigned i = 0; i < 3; i++)
            load_average[i] = (load_average[i] * keep[i] + running * (2048 - keep[i])) >> 11;
        load_next += LOAD_PERIOD_NS;
    }
}

/* rouse_idle_cpu: a CPU may fall asleep while another is choosing a queue for a task: the next tick mends it. */
static void rouse_idle_cpu(void) {
    for (unsigned i = 0; i < cpu_count; i++) {
        if (bit_test(idle_cpus, i)) {
            atomic_store(&cpu_of[i]->need_resched, true);
            cpu_kick(i);
            break;
        }
    }
}

void sched_tick(struct regs *regs, bool from_user) {
    struct runq *rq = runq_self();
    struct task *t = rq->current;

    t->sampled_user = from_user;
    charge(rq, from_user);
    if (t->slice_ns <= 0 && atomic_load_relaxed(&rq->ready))
        cpu_self()->need_resched = true;
    if (atomic_load_relaxed(&rq->ready))
        rouse_idle_cpu();
    pressure_tick(atomic_load_relaxed(&rq->ready), TICK_NS);
    timers_tick(clock_ns());
    if (t->process)
        process_tick(t);
    if (cpu_id() == 0 && clock_ns() >= load_next)
        load_update(clock_ns());
}

/* ---- queues; the run queue's lock is held ---- */

static void enqueue(struct runq *rq, struct task *t, bool woken) {
    unsigned list = rq->active;

    if (t->epoch != rq->epoch) {
        t->epoch = rq->epoch;
        t->slice_ns = slice_of(t);
    } else if (t->slice_ns <= 0) {
        t->epoch = rq->epoch + 1;
        t->slice_ns = slice_of(t);
        list ^= 1;
    }
    if (woken && list == rq->active)
        list_add(&rq->lists[list], &t->run_link);
    else
        list_add_tail(&rq->lists[list], &t->run_link);
    t->queued = true;
    atomic_store(&rq->ready, rq->ready + 1);
}

static void dequeue(struct runq *rq, struct task *t) {
    list_del(&t->run_link);
    t->queued = false;
    atomic_store(&rq->ready, rq->ready - 1);
}

static struct task *pick(struct runq *rq) {
    struct task *t;

    if (rq->ready == 0)
        return NULL;
    if (list_empty(&rq->lists[rq->active])) {
        rq->active ^= 1;
        rq->epoch++;
    }
    t = list_first(&rq->lists[rq->active], struct task, run_link);
    dequeue(rq, t);
    return t;
}

/* steal: a ready task that this CPU may run, from a queue that has one; only tries the other lock, as rq's is held. */
static struct task *steal(struct runq *rq) {
    unsigned self = cpu_id();
    struct task *t, *found = NULL;

    for (unsigned i = 1; i < cpu_count && !found; i++) {
        struct runq *other = runqs[(self + i) % cpu_count];

        if (!other || !atomic_load_relaxed(&other->ready) || !spin_try(&other->lock))
            continue;
        for (unsigned l = 0; l < 2 && !found; l++) {
            list_for_each(t, &other->lists[other->active ^ l], run_link) {
                if (bit_test(t->affinity, self)) {
                    found = t;
                    break;
                }
            }
        }
        if (found) {
            dequeue(other, found);
            found->cpu = self;
            found->epoch = rq->epoch;
        }
        spin_unlock(&other->lock);
    }
    return found;
}

static bool work_to_steal(void) {
    for (unsigned i = 0; i < cpu_count; i++) {
        if (runqs[i] && atomic_load_relaxed(&runqs[i]->ready))
            return true;
    }
    return false;
}

/* ---- waking ---- */

/* will_sleep: the current task is about to give up this CPU, as far as one can tell: it is dying, or lately it slept
 * soon after it woke another. Then the woken one does best here, where it starts without an interrupt to another CPU. A
 * wrong guess costs a tick at most: then an idle CPU takes the task. */
static bool will_sleep(struct runq *rq) {
    struct task *self = rq->current;
    u64 now;

    if (self == rq->idle || rq->ready || self->kernel_thread)
        return false;
    if (self->process->exiting)
        return true;
    now = clock_ns();
    if (self->woke_ns && now - self->woke_ns > SOON_NS && self->sleeps_soon)
        self->sleeps_soon--;
    if (!self->woke_ns)
        self->woke_ns = now;
    return self->sleeps_soon > SOON_MOST / 2;
}

/* slept: how soon after the first wake of another did t sleep? */
static void slept(struct task *t, u64 now) {
    if (!t->woke_ns)
        return;
    if (now - t->woke_ns > SOON_NS)
        t->sleeps_soon = t->sleeps_soon > 2 ? t->sleeps_soon - 2 : 0;
    else if (t->sleeps_soon < SOON_MOST)
        t->sleeps_soon++;
    t->woke_ns = 0;
}

/* choose_cpu: this CPU if the current task is about to leave it; an idle CPU that may run t, its last one first; else
 * its last one; else the first allowed that runs. */
static unsigned choose_cpu(const struct task *t) {
    unsigned last = t->cpu, found = CPU_MAX;

    if (bit_test(t->affinity, cpu_id()) && will_sleep(runq_self()))
        return cpu_id();
    if (bit_test(t->affinity, last) && bit_test(idle_cpus, last))
        return last;
    for (unsigned i = 0; i < cpu_count; i++) {
        if (!runqs[i] || !bit_test(t->affinity, i))
            continue;
        if (bit_test(idle_cpus, i))
            return i;
        if (found == CPU_MAX || i == last)
            found = i;
    }
    return found == CPU_MAX ? last : found;
}

/* lock_place: the chosen CPU's queue, locked. Where the task may run can change after the choice:
 * task_set_affinity leaves a task that is under way to this second look, and waits if it was too late for that. */
static struct runq *lock_place(struct task *t) {
    unsigned cpu = choose_cpu(t), other = cpu;

    for (;;) {
        spin_lock(&runqs[cpu]->lock);
        (void)atomic_xchg(&t->cpu, cpu); /* a full fence */
        if (!bit_test(t->affinity, cpu))
            other = choose_cpu(t);
        if (other == cpu)
            return runqs[cpu];
        spin_unlock(&runqs[cpu]->lock);
        cpu = other;
    }
}

/* place: a ready task that is on no CPU and in no queue gets both. */
static void place(struct task *t, bool woken) {
    struct runq *rq = lock_place(t);
    unsigned cpu = t->cpu;
    bool preempt;

    enqueue(rq, t, woken);
    preempt = rq->current == rq->idle || (woken && t->epoch == rq->epoch && t->slice_ns > rq->current->slice_ns);
    if (preempt)
        atomic_store(&cpu_of[cpu]->need_resched, true);
    spin_unlock(&rq->lock);
    if (preempt && cpu != cpu_id())
        cpu_kick(cpu);
}

static struct runq *runq_lock_of(const struct task *t) {
    for (;;) {
        unsigned cpu = atomic_load_relaxed(&t->cpu);
        struct runq *rq = runqs[cpu];

        spin_lock(&rq->lock);
        if (atomic_load_relaxed(&t->cpu) == cpu)
            return rq;
        spin_unlock(&rq->lock);
    }
}

/* wake_sleeper: a task about to sleep but still on its CPU just stays; one that sleeps is placed. From READY on it is
 * ours alone, so the lock may be dropped before it has a queue. */
static void wake_sleeper(struct task *t) {
    struct runq *rq = runq_lock_of(t);
    bool off_cpu = false;

    if (t->state == TASK_SLEEPING) {
        off_cpu = rq->current != t;
        atomic_store(&t->state, off_cpu ? TASK_READY : TASK_RUNNING);
    }
    spin_unlock(&rq->lock);
    if (off_cpu)
        place(t, true);
}

void task_wake(struct task *t) {
    if (atomic_xchg(&t->wake_pending, true))
        return;
    if (atomic_load(&t->state) == TASK_SLEEPING)
        wake_sleeper(t);
}

void task_interrupt(struct task *t) {
    atomic_fence();
    if (atomic_load(&t->state) == TASK_SLEEPING) {
        if (t->interruptible || (t->killable && t->killed))
            wake_sleeper(t);
    } else if (t->cpu != cpu_id()) {
        cpu_kick(t->cpu);
    }
}

/* task_wait_off_cpu: until a task that sleeps, or is about to, has left its CPU: then its registers are in memory. */
void task_wait_off_cpu(struct task *t) {
    bool off = false;

    while (!off) {
        struct runq *rq = runq_lock_of(t);

        off = rq->current != t && t->state == TASK_SLEEPING;
        spin_unlock(&rq->lock);
        if (!off)
            schedule();
    }
}

/* ---- sleeping ---- */

static void sleep_expired(struct timer *timer) { task_wake(container_of(timer, struct task, sleep_timer)); }

static bool interrupted(const struct task *t) {
    return (t->interruptible && signal_pending()) || (t->killable && atomic_load(&t->killed));
}

/* sleep_until: state first, tests after (the waker does it the other way round). interruptible and killable are set. */
static int sleep_until(struct task *t, u64 deadline_ns) {
    int result = 0;

    (void)atomic_xchg(&t->state, TASK_SLEEPING);
    if (!atomic_load(&t->wake_pending) && !interrupted(t) && clock_ns() < deadline_ns) {
        if (deadline_ns != SLEEP_FOREVER)
            timer_arm(&t->sleep_timer, deadline_ns);
        schedule();
        if (deadline_ns != SLEEP_FOREVER)
            timer_cancel(&t->sleep_timer);
    }
    atomic_store(&t->state, TASK_RUNNING);
    if (deadline_ns != SLEEP_FOREVER && clock_ns() >= deadline_ns)
        result = -ETIMEDOUT;
    else if (!atomic_xchg(&t->wake_pending, false) && interrupted(t))
        result = -EINTR;
    atomic_store(&t->wake_pending, false);
    t->interruptible = t->killable = false;
    return result;
}

int task_sleep(bool interruptible, u64 deadline_ns) {
    struct task *t = task_current();

    t->interruptible = interruptible;
    t->killable = interruptible;
    return sleep_until(t, deadline_ns);
}

int task_sleep_killable(u64 deadline_ns) {
    struct task *t = task_current();

    t->killable = true;
    return sleep_until(t, deadline_ns);
}

/* ---- switching ---- */

/* dead tasks' stacks go here, where nothing can run on them any more */
static void bury(struct task *t) {
    if (t->arch.stack_top)
        kstack_free(t->arch.stack_top);
    t->arch.stack_top = NULL;
    task_put(t);
}

/* finish_switch: first thing in the task that runs now. Loads its space; a kernel thread keeps whatever is loaded, and
 * so does a thread that has left its process: an execve that waited for that may be freeing the space which we read. */
static void finish_switch(void) {
    struct runq *rq = runq_self();
    struct task *t = rq->current, *previous = rq->previous;
    enum task_state state = previous->state;
    bool homeless = state == TASK_READY && !previous->queued && previous != rq->idle;

    spin_unlock(&rq->lock);
    if (t->process && t->process->space && !list_empty(&t->thread_link))
        space_load(t->process->space);
    t->rseq_stale = t->rseq != 0;
    if (homeless)
        place(previous, false);
    else if (state == TASK_DEAD)
        bury(previous);
}

/* put_back: the current task could go on: to the queue, unless it may not run here (then finish_switch places it). */
static void put_back(struct runq *rq, struct task *t) {
    atomic_store(&t->state, TASK_READY);
    if (t != rq->idle && bit_test(t->affinity, cpu_id()))
        enqueue(rq, t, false);
}

static void switch_to(struct runq *rq, struct task *next) {
    struct task *previous = rq->current;

    if (previous->state == TASK_SLEEPING)
        previous->switches_voluntary++;
    else
        previous->switches_forced++;
    rq->switches++;
    rq->previous = previous;
    rq->current = next;
    cpu_self()->current = next;
    if (unlikely(atomic_load_relaxed(&pressure_stalled)))
        pressure_switched();
    arch_switch(&previous->arch, &next->arch);
    finish_switch();
}

void schedule(void) {
    struct runq *rq;
    struct task *t = task_current(), *next;

    cpu_run_work();
    rq = runq_self();
    spin_lock(&rq->lock);
    charge(rq, t->sampled_user);
    atomic_store(&cpu_self()->need_resched, false);
    if (t->state == TASK_RUNNING)
        put_back(rq, t);
    else
        slept(t, rq->stamp);
    next = pick(rq);
    if (!next)
        next = steal(rq);
    if (!next)
        next = rq->idle;
    if (rq->ready)
        rouse_idle_cpu();
    atomic_store(&next->state, TASK_RUNNING);
    if (next != t)
        switch_to(rq, next);
    else
        spin_unlock(&rq->lock);
}

static noreturn void idle_loop(void) {
    struct cpu *cpu = cpu_self();
    u64 *word = &idle_cpus[cpu->id / 64], bit = 1UL << cpu->id % 64;

    for (;;) {
        cpu_run_work();
        (void)atomic_or(word, bit);
        if (!atomic_load(&cpu->need_resched) && !work_to_steal())
            cpu_idle_wait();
        (void)atomic_and(word, ~bit);
        schedule();
    }
}

/* ---- tasks begin and end ---- */

static void task_entry(void *argument) {
    struct task *t = argument;

    finish_switch();
    if (t->run) {
        t->run(t->argument);
        kthread_exit();
    }
    arch_enter_user(arch_task_regs(&t->arch));
}

static void task_fields(struct task *t, const char *name) {
    t->references = 1;
    list_init(&t->run_link);
    list_init(&t->thread_link);
    list_init(&t->pending.queued);
    ksnprintf(t->name, sizeof(t->name), "%s", name);
    t->sleep_timer.run = sleep_expired;
    memset(t->affinity, 0xff, sizeof(t->affinity));
    atomic_add(&live_tasks, 1);
}

struct task *task_make(const char *name, bool user) {
    struct task *t = slab_alloc_zeroed(task_cache), *maker = task_current();

    if (!t)
        return NULL;
    task_fields(t, name);
    t->cpu = cpu_id();
    t->kernel_thread = !user;
    t->arch.stack_top = kstack_alloc();
    t->arch.fpu = user ? slab_alloc(fpu_cache) : NULL;
    if (!t->arch.stack_top || (user && !t->arch.fpu)) {
        task_unmake(t);
        return NULL;
    }
    arch_task_init(&t->arch, task_entry, t);
    if (user) {
        bool resets = maker->policy_resets, realtime = maker->realtime_priority;

        t->nice = resets && (realtime || maker->nice < 0) ? 0 : maker->nice;
        t->policy = resets && realtime ? SCHED_NORMAL : maker->policy;
        t->realtime_priority = resets ? 0 : maker->realtime_priority;
        t->io_priority = maker->io_priority;
        memcpy(t->affinity, maker->affinity, sizeof(t->affinity));
    }
    return t;
}

void task_unmake(struct task *t) {
    if (t->arch.stack_top)
        kstack_free(t->arch.stack_top);
    t->arch.stack_top = NULL;
    task_put(t);
}

/* task_start: a child shares what is left of its maker's slice, so that forking earns nothing. */
void task_start(struct task *t) {
    struct task *maker = task_current();

    if (!t->kernel_thread) {
        t->slice_ns = maker->slice_ns / 2;
        t->epoch = maker->epoch;
        atomic_sub(&maker->slice_ns, t->slice_ns);
    }
    atomic_store(&t->state, TASK_READY);
    place(t, false);
}

void task_end(void) {
    struct task *t = task_current();

    atomic_store(&t->state, TASK_DEAD);
    schedule();
    panic("task %d runs after its end", t->tid);
}

void task_get(struct task *t) { atomic_add(&t->references, 1); }

void task_put(struct task *t) {
    if (atomic_sub(&t->references, 1) != 0)
        return;
    atomic_sub(&live_tasks, 1);
    if (t->process)
        process_put(t->process);
    if (t->arch.fpu)
        slab_free(fpu_cache, t->arch.fpu);
    arch_debug_forget(&t->arch);
    seccomp_put(t->seccomp);
    if (t != &boot_task)
        slab_free(task_cache, t);
}

struct task *kthread_start(const char *name, void (*run)(void *), void *argument) {
    struct task *t = task_make(name, false);

    if (t) {
        t->run = run;
        t->argument = argument;
        task_start(t);
    }
    return t;
}

void kthread_exit(void) { task_end(); }

/* set_affinity_here: false: the task went to another CPU's queue meanwhile. A task between two queues has the lock of
 * neither, so it may get its new CPU while we hold the old one's lock: `queued` says something of our queue only if the
 * task's CPU, read after it, is still ours. */
static bool set_affinity_here(struct task *t, const u64 *mask) {
    struct runq *rq = runq_lock_of(t);
    unsigned cpu = atomic_load_relaxed(&t->cpu);
    bool move = false, queued, here;

    memcpy(t->affinity, mask, sizeof(t->affinity));
    atomic_fence();
    queued = atomic_load(&t->queued);
    here = atomic_load(&t->cpu) == cpu;
    if (here)
        move = !bit_test(mask, cpu);
    if (move && queued)
        dequeue(rq, t);
    if (move && rq->current == t)
        atomic_store(&cpu_of[cpu]->need_resched, true);
    spin_unlock(&rq->lock);
    if (move && queued)
        place(t, false);
    else if (move && cpu != cpu_id())
        cpu_kick(cpu);
    return here;
}

int task_set_affinity(struct task *t, const u64 *mask) {
    bool any = false;

    for (unsigned i = 0; i < cpu_count; i++)
        any |= bit_test(mask, i);
    if (!any)
        return -EINVAL;
    while (!set_affinity_here(t, mask))
        continue;
    return 0;
}

/* ---- start-up ---- */

static int runq_cpu_init(struct runq *rq, struct task *current, struct task *idle) {
    list_init(&rq->lists[0]);
    list_init(&rq->lists[1]);
    rq->current = current;
    rq->idle = idle;
    rq->stamp = clock_ns();
    current->state = TASK_RUNNING;
    current->cpu = cpu_id();
    cpu_self()->idle = idle;
    if (timers_cpu_init() != 0)
        return -ENOMEM;
    atomic_store(&runqs[cpu_id()], rq);
    atomic_store(&cpu_self()->current, current); /* last: from now on the tick comes to sched_tick */
    return 0;
}

static void idle_entry(void *unused_argument) { idle_loop(); }

void task_init(void) {
    struct task *idle;

    task_cache = slab_create("task", sizeof(struct task), 64);
    fpu_cache = slab_create("fpu", fpu_bytes, 64);
    runqs[0] = &boot_runq;
    task_fields(&boot_task, "boot");
    boot_task.kernel_thread = true;
    if (!task_cache || !fpu_cache || runq_cpu_init(&boot_runq, &boot_task, NULL) != 0)
        panic("no memory for the first task");
    idle = task_make("idle/0", false);
    if (!idle)
        panic("no memory for the idle task");
    idle->run = idle_entry;
    boot_runq.idle = cpu_self()->idle = idle;
    process_init();
    oom_init();
}

/* sched_cpu_main: the boot CPU has an idle task already, and its boot task ends; another CPU's first context is its
 * idle. */
void sched_cpu_main(void) {
    struct runq *rq;
    struct task *idle;

    if (cpu_id() == 0)
        task_end();
    rq = kzalloc(sizeof(*rq));
    idle = slab_alloc_zeroed(task_cache);
    if (!rq || !idle)
        panic("no memory for CPU %u", cpu_id());
    task_fields(idle, "idle");
    idle->kernel_thread = true;
    if (runq_cpu_init(rq, idle, idle) != 0)
        panic("no memory for the timers of CPU %u", cpu_id());
    idle_loop();
}

/* ---- figures ---- */

u64 sched_running(void) {
    u64 sum = 0;

    for (unsigned i = 0; i < cpu_count; i++) {
        if (runqs[i])
            sum += atomic_load_relaxed(&runqs[i]->ready) + (runqs[i]->current != runqs[i]->idle);
    }
    return sum;
}

/* Others' current tasks are looked at without their locks: one may be gone by then, and its memory something else; a
 * wrong answer lasts until the next switch. */
bool sched_any_useful(u32 kind) {
    bool useful = false;

    for (unsigned i = 0; i < cpu_count && !useful; i++) {
        const struct runq *rq = runqs[i];
        const struct task *t = rq ? atomic_load_relaxed(&rq->current) : NULL;

        useful =
            t && (atomic_load_relaxed(&rq->ready) || (!t->kernel_thread && !(atomic_load_relaxed(&t->stalls) & kind)));
    }
    return useful;
}

u64 context_switches(void) {
    u64 sum = 0;

    for (unsigned i = 0; i < cpu_count; i++)
        sum += runqs[i] ? runqs[i]->switches : 0;
    return sum;
}

u64 sched_load(unsigned which) { return load_average[which]; }
u64 task_count(void) { return atomic_load_relaxed(&live_tasks); }
u64 cpu_user_ns(unsigned cpu) { return runqs[cpu] ? runqs[cpu]->user_ns : 0; }
u64 cpu_system_ns(unsigned cpu) { return runqs[cpu] ? runqs[cpu]->system_ns : 0; }

u64 cpu_idle_ns(unsigned cpu) {
    struct runq *rq = runqs[cpu];
    s64 since;

    if (!rq)
        return 0;
    since = clock_ns() - atomic_load_relaxed(&rq->stamp);
    return rq->idle_ns + (rq->current == rq->idle && since > 0 ? (u64)since : 0);
}
