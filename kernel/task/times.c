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

void process_usage(struct process *p, struct rusage *out) {
    struct space *space = process_space(p);
    struct space_totals totals = {.peak_resident = 0};
    u64 user, system;
    struct task *t;

    memset(out, 0, sizeof(*out));
    process_cpu_time(p, &user, &system);
    set_times(out, user, system);
    if (space) {
        space_totals(space, &totals);
        space_put(space);
    }
    out->ru_maxrss = max(totals.peak_resident, p->peak_resident) * (PAGE_SIZE / KiB);
    out->ru_minflt = process_faults(p);
    out->ru_majflt = p->faults_major;
    spin_lock(&p->lock);
    out->ru_nvcsw = p->switches_voluntary;
    out->ru_nivcsw = p->switches_forced;
    list_for_each(t, &p->threads, thread_link) {
        out->ru_nvcsw += t->switches_voluntary;
        out->ru_nivcsw += t->switches_forced;
    }
    spin_unlock(&p->lock);
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
    out->ru_minflt = t->faults_minor;
    out->ru_nvcsw = t->switches_voluntary;
    out->ru_nivcsw = t->switches_forced;
}

/* ---- interval timers ---- */

static void alarm_rings(struct timer *timer) {
    struct itimer_state *it = container_of(timer, struct itimer_state, timer);
    struct process *p = container_of(it, struct process, itimer);

    u64 interval = atomic_load(&it->interval_ns); /* once: setitimer may change it now, and then cancels what we arm */

    signal_process(p, SIGALRM, NULL);
    if (interval) {
        u64 next = timer->deadline_ns + interval, now = clock_ns();

        if (next <= now) /* overrun: the missed ones are lost, the phase is kept */
            next = now + interval - (now - timer->deadline_ns) % interval;
        timer_arm(timer, next);
    }
}

static int set_real(struct itimer_state *it, const struct itimerval_ns *new, struct itimerval_ns *old) {
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
            timer_arm(&it->timer, now + new->value_ns);
    }
    return 0;
}

/* cpu_clock: ITIMER_VIRTUAL counts user time, ITIMER_PROF both. */
static u64 cpu_clock(struct process *p, unsigned i) {
    u64 user, system;

    process_cpu_time(p, &user, &system);
    return i == 0 ? user : user + system;
}

int itimer_set(int which, const struct itimerval_ns *new, struct itimerval_ns *old) {
    struct process *p = process_current();
    struct itimer_state *it = &p->itimer;
    unsigned i = which == ITIMER_VIRTUAL ? 0 : 1;
    u64 now;

    if (which == ITIMER_REAL)
        return set_real(it, new, old);
    if (which != ITIMER_VIRTUAL && which != ITIMER_PROF)
        return -EINVAL;
    now = cpu_clock(p, i);
    if (old) {
        u64 deadline = it->cpu_deadline[i];

        old->interval_ns = it->cpu_interval[i];
        old->value_ns = deadline > now ? deadline - now : deadline != 0;
    }
    if (new) {
        it->cpu_interval[i] = new->interval_ns;
        it->cpu_deadline[i] = new->value_ns ? now + new->value_ns : 0;
    }
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

/* RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one. */
static void limit_check(struct process *p) {
    struct rlimit *limit = &p->limits[RLIMIT_CPU];
    u64 seconds;

    if (limit->rlim_cur == RLIM_INFINITY)
        return;
    seconds = cpu_clock(p, 1) / NS_PER_SECOND;
    if (seconds >= limit->rlim_max) {
        signal_process(p, SIGKILL, NULL);
    } else if (seconds >= limit->rlim_cur) {
        signal_process(p, SIGXCPU, NULL);
        limit->rlim_cur = seconds + 1;
    }
}

void process_times_check(void) {
    static const int signals[2] = {SIGVTALRM, SIGPROF};
    struct process *p = process_current();
    struct itimer_state *it = &p->itimer;

    for (unsigned i = 0; i < 2; i++) {
        u64 now = it->cpu_deadline[i] ? cpu_clock(p, i) : 0;

        if (!it->cpu_deadline[i] || now < it->cpu_deadline[i])
            continue;
        it->cpu_deadline[i] = it->cpu_interval[i] ? now + it->cpu_interval[i] : 0;
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
