/* times.c - a process's clocks: CPU time used, the interval timers, the limit on CPU time, and rusage.
 *
 * The timers of CPU time are not in any heap: the tick looks whether the process has one (no lock, two loads), and if
 * so the interrupted task compares on its way to user mode. So they are exact to a tick, as Linux's without high
 * resolution. */
#include <linux/resource.h>
#include <linux/time.h>

#include "task/family.h"
#include "task/times.h"
#include "vm/space.h"

#define NS_PER_SECOND 1000000000UL

/* ---- usage ---- */

static void set_time(struct __kernel_old_timeval *t, u64 ns) {
    t->tv_sec = ns / NS_PER_SECOND;
    t->tv_usec = ns % NS_PER_SECOND / 1000;
}

/* struct rusage has timeval, which is __kernel_old_timeval by layout */
static void set_times(struct rusage *out, u64 user_ns, u64 system_ns) {
    set_time((void *)&out->ru_utime, user_ns);
    set_time((void *)&out->ru_stime, system_ns);
}

/* peak_of: KiB, of this program's and those that the process ran before. */
static long peak_of(struct process *p) {
    struct space *space = process_space(p);
    struct space_totals totals = {.peak_resident = 0};

    if (space) {
        space_totals(space, &totals);
        space_put(space);
    }
    return max(totals.peak_resident, p->peak_resident) * (PAGE_SIZE / KiB);
}

void process_usage(struct process *p, struct rusage *out) {
    u64 user, system;
    struct task *t;
    struct faults faults = process_faults(p);

    memset(out, 0, sizeof(*out));
    process_cpu_time(p, &user, &system);
    set_times(out, user, system);
    out->ru_maxrss = peak_of(p);
    out->ru_minflt = faults.minor;
    out->ru_majflt = faults.major;
    spin_lock(&p->lock);
    out->ru_nvcsw = p->switches_voluntary;
    out->ru_nivcsw = p->switches_forced;
    list_for_each(t, &p->threads, thread_link) {
        out->ru_nvcsw += t->switches_voluntary;
        out->ru_nivcsw += t->switches_forced;
    }
    spin_unlock(&p->lock);
}

/* add_time: to one that set_time wrote. */
static void add_time(struct __kernel_old_timeval *t, u64 ns) {
    set_time(t, t->tv_sec * NS_PER_SECOND + t->tv_usec * 1000 + ns);
}

void process_usage_both(struct process *p, struct rusage *out) {
    process_usage(p, out);
    spin_lock(&family_lock);
    add_time((void *)&out->ru_utime, p->children_user_ns);
    add_time((void *)&out->ru_stime, p->children_system_ns);
    out->ru_maxrss = max(out->ru_maxrss, (long)(p->children_peak_resident * (PAGE_SIZE / KiB)));
    out->ru_minflt += p->children_faults_minor;
    out->ru_majflt += p->children_faults_major;
    spin_unlock(&family_lock);
}

void process_usage_children(struct process *p, struct rusage *out) {
    memset(out, 0, sizeof(*out));
    spin_lock(&family_lock);
    set_times(out, p->children_user_ns, p->children_system_ns);
    out->ru_maxrss = p->children_peak_resident * (PAGE_SIZE / KiB);
    out->ru_minflt = p->children_faults_minor;
    out->ru_majflt = p->children_faults_major;
    spin_unlock(&family_lock);
}

void task_usage(struct task *t, struct rusage *out) {
    u64 user, system;

    memset(out, 0, sizeof(*out));
    task_times(t, &user, &system);
    set_times(out, user, system);
    out->ru_maxrss = peak_of(t->process); /* there is none of a thread */
    out->ru_minflt = t->faults_minor;
    out->ru_majflt = t->faults_major;
    out->ru_nvcsw = t->switches_voluntary;
    out->ru_nivcsw = t->switches_forced;
}

/* ---- interval timers ---- */

/* An interval below TIMER_LEAST_NS would be over again before its timer is back in the heap: its CPU would run nothing
 * else. An endless one ends at the end of time. */
u64 timer_next(u64 deadline_ns, u64 interval_ns, u64 now, u64 *missed) {
    u64 soonest = interval_ns < TIMER_LEAST_NS ? now + TIMER_LEAST_NS : now, step, next;

    *missed = soonest > deadline_ns ? (soonest - deadline_ns) / interval_ns : 0;
    if (__builtin_mul_overflow(*missed + 1, interval_ns, &step) || __builtin_add_overflow(deadline_ns, step, &next))
        next = SLEEP_FOREVER;
    return next;
}

static void alarm_rings(struct timer *timer) {
    struct itimer_state *it = container_of(timer, struct itimer_state, timer);
    struct process *p = container_of(it, struct process, itimer);

    u64 interval = atomic_load(&it->interval_ns); /* once: setitimer may change it now, and then cancels what we arm */
    u64 missed;                                   /* are lost */

    signal_process(p, SIGALRM, NULL);
    if (interval)
        timer_arm(timer, timer_next(timer->deadline_ns, interval, clock_ns(), &missed));
}

/* in_future: value_ns from now; 0: never. */
static u64 in_future(u64 now, u64 value_ns) { return value_ns < SLEEP_FOREVER - now ? now + value_ns : SLEEP_FOREVER; }

/* set_real: it->lock is held, so nobody else puts the timer into a heap; who rings needs no lock. */
static void set_real(struct itimer_state *it, const struct itimerval_ns *new, struct itimerval_ns *old) {
    u64 now = clock_ns();

    if (old) {
        bool armed = atomic_load(&it->timer.armed);

        old->interval_ns = it->interval_ns;
        old->value_ns = armed && it->timer.deadline_ns > now ? it->timer.deadline_ns - now : armed;
    }
    if (new) {
        atomic_store(&it->interval_ns, 0);
        timer_cancel(&it->timer);
        it->timer.run = alarm_rings;
        atomic_store(&it->interval_ns, new->interval_ns);
        if (new->value_ns)
            timer_arm(&it->timer, in_future(now, new->value_ns));
    }
}

/* cpu_clock: ITIMER_VIRTUAL counts user time, ITIMER_PROF both. */
static u64 cpu_clock(struct process *p, unsigned i) {
    u64 user, system;

    process_cpu_time(p, &user, &system);
    return i == 0 ? user : user + system;
}

/* set_cpu: it->lock is held. */
static void set_cpu(struct process *p, unsigned i, const struct itimerval_ns *new, struct itimerval_ns *old) {
    struct itimer_state *it = &p->itimer;
    u64 now = cpu_clock(p, i);

    if (old) {
        u64 deadline = it->cpu_deadline[i];

        old->interval_ns = it->cpu_interval[i];
        old->value_ns = deadline > now ? deadline - now : deadline != 0;
    }
    if (new) {
        it->cpu_interval[i] = new->interval_ns;
        it->cpu_deadline[i] = new->value_ns ? in_future(now, new->value_ns) : 0;
    }
}

int itimer_set(int which, const struct itimerval_ns *new, struct itimerval_ns *old) {
    struct process *p = process_current();

    if (which != ITIMER_REAL && which != ITIMER_VIRTUAL && which != ITIMER_PROF)
        return -EINVAL;
    spin_lock(&p->itimer.lock);
    if (which == ITIMER_REAL)
        set_real(&p->itimer, new, old);
    else
        set_cpu(p, which == ITIMER_VIRTUAL ? 0 : 1, new, old);
    spin_unlock(&p->itimer.lock);
    return 0;
}

void process_tick(struct task *t) {
    struct process *p = t->process;

    if (p->itimer.cpu_deadline[0] | p->itimer.cpu_deadline[1] | p->cpu_timers ||
        p->limits[RLIMIT_CPU].rlim_cur != RLIM_INFINITY) {
        t->check_times = true;
        atomic_store(&t->attention, true);
        cpu_kick(cpu_id());
    }
}

/* RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one. Under p->lock, as setrlimit
 * writes it: a limit that was raised meanwhile stays so, and of several threads one is told. */
static void limit_check(struct process *p) {
    struct rlimit *limit = &p->limits[RLIMIT_CPU];
    u64 seconds;
    int signal = 0;

    if (limit->rlim_cur == RLIM_INFINITY)
        return;
    seconds = cpu_clock(p, 1) / NS_PER_SECOND;
    spin_lock(&p->lock);
    if (seconds >= limit->rlim_max) {
        signal = SIGKILL;
    } else if (seconds >= limit->rlim_cur) {
        signal = SIGXCPU;
        limit->rlim_cur = seconds + 1;
    }
    spin_unlock(&p->lock);
    if (signal)
        signal_process(p, signal, NULL);
}

/* cpu_rings: whether the deadline is over; then it is the next one's: of several threads that ask, one hears so. */
static bool cpu_rings(struct process *p, unsigned i) {
    struct itimer_state *it = &p->itimer;
    bool rings = false;
    u64 now;

    if (!atomic_load_relaxed(&it->cpu_deadline[i]))
        return false;
    spin_lock(&it->lock);
    now = cpu_clock(p, i);
    if (it->cpu_deadline[i] && now >= it->cpu_deadline[i]) {
        it->cpu_deadline[i] = it->cpu_interval[i] ? in_future(now, it->cpu_interval[i]) : 0;
        rings = true;
    }
    spin_unlock(&it->lock);
    return rings;
}

void process_times_check(void) {
    static const int signals[2] = {SIGVTALRM, SIGPROF};
    struct process *p = process_current();

    for (unsigned i = 0; i < 2; i++) {
        if (cpu_rings(p, i))
            signal_process(p, signals[i], NULL);
    }
    posix_cpu_timers_check(p);
    limit_check(p);
}

void process_timers_end(struct process *p) {
    p->itimer.interval_ns = 0;
    timer_cancel(&p->itimer.timer);
    posix_timers_delete(p);
}
