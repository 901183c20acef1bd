/* time.c - the system calls on clocks, sleeps, interval timers, POSIX timers and time used.
 *
 * Owns the POSIX timers of a process: struct posix_timer, on process->posix_timers under process->lock. A timer's
 * signal is an entry that belongs to the timer: while it is queued, further expiries only count as overruns. */
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/times.h>

#include "sys/deadline.h"
#include "sys/sys.h"
#include "task/family.h"
#include "task/times.h"

#define NS_PER_SECOND 1000000000UL
#define US_PER_SECOND 1000000UL

/* ---- clocks ---- */

/* clock_read: -EINVAL: no such clock. */
static int clock_read(int clock, u64 *ns) {
    u64 user, system;

    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM: /* as where a real-time clock can wake the machine; this one never sleeps */
    case CLOCK_TAI:
        *ns = clock_wall_ns();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = clock_ns();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        process_cpu_time(process_current(), &user, &system);
        *ns = user + system;
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        task_times(task_current(), &user, &system);
        *ns = user + system;
        return 0;
    default:
        return -EINVAL;
    }
}

/* Clocks of other processes and threads: pthread_getcpuclockid's encoding: ~id << 3, bit 2: of a thread, low bits 2:
 * all. */
static int cpu_clock_read(int clock, u64 *ns) {
    int id = ~(clock >> 3);
    u64 user = 0, system = 0;

    if (clock >= 0 || (clock & 3) == 3)
        return -EINVAL;
    if (clock & 4) {
        struct task *t = id ? task_find(id) : task_current();

        if (!t || t->process != process_current()) {
            if (t && id)
                task_put(t);
            return -EINVAL;
        }
        task_times(t, &user, &system);
        if (id)
            task_put(t);
    } else {
        struct process *p = id ? process_find(id) : process_current();

        if (!p)
            return -EINVAL;
        process_cpu_time(p, &user, &system);
        if (id)
            process_put(p);
    }
    *ns = user + system;
    return 0;
}

static int any_clock_read(int clock, u64 *ns) { return clock < 0 ? cpu_clock_read(clock, ns) : clock_read(clock, ns); }

static struct __kernel_timespec timespec_of(u64 ns) {
    return (struct __kernel_timespec){.tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND};
}

/* ns_of: 0 or -EINVAL; what does not fit is for ever. */
static int ns_of(const struct __kernel_timespec *t, u64 *ns) {
    if (t->tv_sec < 0 || t->tv_nsec < 0 || t->tv_nsec >= (s64)NS_PER_SECOND)
        return -EINVAL;
    *ns = (u64)t->tv_sec >= SLEEP_FOREVER / NS_PER_SECOND - 1 ? SLEEP_FOREVER : t->tv_sec * NS_PER_SECOND + t->tv_nsec;
    return 0;
}

long sys_clock_gettime(int clock, struct __kernel_timespec __user *out) {
    u64 ns;
    int error = any_clock_read(clock, &ns);

    return error ? error : put_user(timespec_of(ns), out);
}

long sys_clock_getres(int clock, struct __kernel_timespec __user *out) {
    bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    u64 ns;
    int error = any_clock_read(clock, &ns);

    if (error || !out)
        return error;
    return put_user(timespec_of(coarse ? TICK_NS : 1), out);
}

static long set_wall(u64 ns) {
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    clock_set_wall(ns);
    return 0;
}

long sys_clock_settime(int clock, const struct __kernel_timespec __user *in) {
    struct __kernel_timespec t;
    u64 ns;

    if (get_user(t, in))
        return -EFAULT;
    if (clock != CLOCK_REALTIME || ns_of(&t, &ns))
        return -EINVAL;
    return set_wall(ns);
}

long sys_gettimeofday(struct __kernel_old_timeval __user *out, struct timezone __user *zone) {
    u64 ns = clock_wall_ns();
    struct __kernel_old_timeval t = {.tv_sec = ns / NS_PER_SECOND, .tv_usec = ns % NS_PER_SECOND / 1000};
    struct timezone none = {0, 0};

    if (out && (put_user(t.tv_sec, &out->tv_sec) || put_user(t.tv_usec, &out->tv_usec)))
        return -EFAULT;
    return zone ? put_user(none, zone) : 0;
}

long sys_settimeofday(const struct __kernel_old_timeval __user *in, const struct timezone __user *zone) {
    struct __kernel_old_timeval t;

    if (!in)
        return capable(CAP_SYS_TIME) ? 0 : -EPERM;
    if (get_user(t, in))
        return -EFAULT;
    if (t.tv_sec < 0 || t.tv_usec < 0 || t.tv_usec >= (s64)US_PER_SECOND)
        return -EINVAL;
    return set_wall(t.tv_sec * NS_PER_SECOND + t.tv_usec * 1000);
}

long sys_time(s64 __user *out) {
    s64 seconds = clock_wall_ns() / NS_PER_SECOND;

    return out && put_user(seconds, out) ? -EFAULT : seconds;
}

/* ---- sleeps ---- */

/* sleep_to: 0, or -EINTR. */
static int sleep_to(u64 deadline_ns) {
    int result;

    do {
        result = task_sleep(true, deadline_ns);
    } while (!result);
    return result == -ETIMEDOUT ? 0 : result;
}

static long sleep_again(struct task *t) {
    u64 deadline_ns = t->restart.arguments[0], now;
    struct __kernel_timespec __user *left = (struct __kernel_timespec *)t->restart.arguments[1];

    if (!sleep_to(deadline_ns))
        return 0;
    now = clock_ns();
    if (left && put_user(timespec_of(deadline_ns > now ? deadline_ns - now : 0), left))
        return -EFAULT;
    return -ERESTART_RESTARTBLOCK;
}

static long sleep_for(u64 ns, struct __kernel_timespec __user *left) {
    struct task *t = task_current();
    u64 now = clock_ns();

    t->restart.function = sleep_again;
    t->restart.arguments[0] = ns < SLEEP_FOREVER - now ? now + ns : SLEEP_FOREVER;
    t->restart.arguments[1] = (u64)left;
    return sleep_again(t);
}

long sys_clock_nanosleep(int clock, int flags, const struct __kernel_timespec __user *request,
                         struct __kernel_timespec __user *left) {
    struct __kernel_timespec t;
    u64 ns, offset = clock == CLOCK_REALTIME || clock == CLOCK_TAI ? clock_wall_offset() : 0;

    if (clock > CLOCK_TAI)
        return -EINVAL;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
        return -EOPNOTSUPP;
    if (get_user(t, request))
        return -EFAULT;
    if (ns_of(&t, &ns))
        return -EINVAL;
    if (!(flags & TIMER_ABSTIME))
        return sleep_for(ns, left);
    return sleep_to(ns == SLEEP_FOREVER ? ns : ns > offset ? ns - offset : 0) ? -ERESTARTNOHAND : 0;
}

long sys_nanosleep(const struct __kernel_timespec __user *request, struct __kernel_timespec __user *left) {
    return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, request, left);
}

/* ---- time used ---- */

long sys_times(struct tms __user *out) {
    struct process *p = process_current();
    struct tms t;
    u64 user, system;

    process_cpu_time(p, &user, &system);
    t.tms_utime = user / CLOCK_TICK_NS;
    t.tms_stime = system / CLOCK_TICK_NS;
    spin_lock(&family_lock);
    t.tms_cutime = p->children_user_ns / CLOCK_TICK_NS;
    t.tms_cstime = p->children_system_ns / CLOCK_TICK_NS;
    spin_unlock(&family_lock);
    if (out && put_user(t, out))
        return -EFAULT;
    return clock_ns() / CLOCK_TICK_NS;
}

long sys_getrusage(int who, struct rusage __user *out) {
    struct rusage usage;

    switch (who) {
    case RUSAGE_SELF:
        process_usage(process_current(), &usage);
        break;
    case RUSAGE_CHILDREN:
        process_usage_children(process_current(), &usage);
        break;
    case RUSAGE_THREAD:
        task_usage(task_current(), &usage);
        break;
    default:
        return -EINVAL;
    }
    return put_user(usage, out);
}

/* ---- interval timers ---- */

static int ns_of_timeval(const struct __kernel_old_timeval *t, u64 *ns) {
    if (t->tv_sec < 0 || t->tv_usec < 0 || t->tv_usec >= (s64)US_PER_SECOND)
        return -EINVAL;
    *ns = t->tv_sec * NS_PER_SECOND + t->tv_usec * 1000;
    return 0;
}

static struct __kernel_old_timeval timeval_of(u64 ns) {
    return (struct __kernel_old_timeval){.tv_sec = ns / NS_PER_SECOND, .tv_usec = ns % NS_PER_SECOND / 1000};
}

static int put_itimer(const struct itimerval_ns *t, struct __kernel_old_itimerval __user *out) {
    struct __kernel_old_itimerval v = {.it_interval = timeval_of(t->interval_ns), .it_value = timeval_of(t->value_ns)};

    return put_user(v, out);
}

long sys_setitimer(int which, const struct __kernel_old_itimerval __user *new_user,
                   struct __kernel_old_itimerval __user *old_user) {
    struct __kernel_old_itimerval v = {.it_value = {0, 0}};
    struct itimerval_ns new, old;
    int error;

    if (new_user && get_user(v, new_user)) /* without a new value: Linux takes zeroes */
        return -EFAULT;
    if (ns_of_timeval(&v.it_value, &new.value_ns) || ns_of_timeval(&v.it_interval, &new.interval_ns))
        return -EINVAL;
    error = itimer_set(which, &new, &old);
    return error ? error : old_user ? put_itimer(&old, old_user) : 0;
}

long sys_getitimer(int which, struct __kernel_old_itimerval __user *out) {
    struct itimerval_ns now;
    int error = itimer_set(which, NULL, &now);

    return error ? error : put_itimer(&now, out);
}

long sys_alarm(u32 seconds) {
    struct itimerval_ns new = {.value_ns = seconds * NS_PER_SECOND}, old;

    (void)itimer_set(ITIMER_REAL, &new, &old);
    return (old.value_ns + NS_PER_SECOND / 2) / NS_PER_SECOND ? (old.value_ns + NS_PER_SECOND / 2) / NS_PER_SECOND
                                                              : old.value_ns != 0;
}

/* ---- POSIX timers ---- */

#define TIMERS_MOST 4096 /* of one process; Linux counts them against RLIMIT_SIGPENDING */

struct posix_timer {
    struct list link;
    int id, clock;
    int notify, signal, tid;
    u64 interval_ns;
    struct process *process; /* not counted: its exit deletes the timer */
    struct timer timer;
    struct queued_signal entry;
};

static void posix_timer_rings(struct timer *timer) {
    struct posix_timer *pt = container_of(timer, struct posix_timer, timer);
    siginfo_t info;
    struct task *t = NULL;

    if (pt->interval_ns) {
        u64 now = clock_ns(), missed = (now - timer->deadline_ns) / pt->interval_ns;

        timer_arm(timer, timer->deadline_ns + (missed + 1) * pt->interval_ns);
    }
    if (pt->notify == SIGEV_NONE)
        return;
    info = pt->entry.info;
    info.si_overrun = 0;
    if (pt->notify & SIGEV_THREAD_ID)
        t = task_find(pt->tid);
    if (!(pt->notify & SIGEV_THREAD_ID) || t)
        signal_send_prepared(pt->process, t, pt->signal, &info, &pt->entry);
    if (t)
        task_put(t);
}

static struct posix_timer *posix_timer_find(struct process *p, int id) {
    struct posix_timer *pt, *found = NULL;

    spin_lock(&p->lock);
    list_for_each(pt, &p->posix_timers, link) {
        if (pt->id == id)
            found = pt;
    }
    spin_unlock(&p->lock);
    return found;
}

/* posix_timer_free: taken off the list already. */
static void posix_timer_free(struct posix_timer *pt) {
    struct process *p = pt->process;

    pt->interval_ns = 0;
    timer_cancel(&pt->timer);
    spin_lock(&p->signal_lock);
    list_del(&pt->entry.link);
    spin_unlock(&p->signal_lock);
    kfree(pt);
}

void posix_timers_delete(struct process *p) {
    while (!list_empty(&p->posix_timers)) {
        struct posix_timer *pt = list_first(&p->posix_timers, struct posix_timer, link);

        spin_lock(&p->lock);
        list_del(&pt->link);
        spin_unlock(&p->lock);
        posix_timer_free(pt);
    }
}

static int check_event(const struct sigevent *e) {
    struct task *t;
    bool ours;

    if (e->sigev_notify == SIGEV_NONE)
        return 0;
    if ((e->sigev_notify & ~SIGEV_THREAD_ID) != SIGEV_SIGNAL && e->sigev_notify != SIGEV_THREAD)
        return -EINVAL;
    if (e->sigev_signo < 1 || e->sigev_signo > SIGNAL_COUNT)
        return -EINVAL;
    if (!(e->sigev_notify & SIGEV_THREAD_ID))
        return 0;
    t = task_find(e->sigev_notify_thread_id);
    ours = t && t->process == process_current();
    if (t)
        task_put(t);
    return ours ? 0 : -EINVAL;
}

long sys_timer_create(int clock, struct sigevent __user *user, int __user *id) {
    struct process *p = process_current();
    struct sigevent event = {.sigev_signo = SIGALRM, .sigev_notify = SIGEV_SIGNAL};
    struct posix_timer *pt;

    if (user && get_user(event, user))
        return -EFAULT;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
        return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID ? -EOPNOTSUPP : -EINVAL;
    if (check_event(&event))
        return -EINVAL;
    pt = kzalloc(sizeof(*pt));
    if (!pt)
        return -EAGAIN;
    list_init(&pt->entry.link);
    pt->clock = clock;
    pt->process = p;
    pt->timer.run = posix_timer_rings;
    pt->notify = event.sigev_notify;
    pt->signal = event.sigev_signo;
    pt->tid = event.sigev_notify_thread_id;
    pt->entry.owned = true;
    pt->entry.info.si_signo = pt->signal;
    pt->entry.info.si_code = SI_TIMER;
    spin_lock(&p->lock);
    pt->id = p->next_timer++;
    pt->entry.info.si_tid = pt->id;
    if (user)
        pt->entry.info.si_value = event.sigev_value;
    else
        pt->entry.info.si_int = pt->id;
    list_add_tail(&p->posix_timers, &pt->link);
    spin_unlock(&p->lock);
    return put_user(pt->id, id);
}

static struct __kernel_itimerspec posix_timer_state(const struct posix_timer *pt) {
    u64 now = clock_ns();
    u64 left = !atomic_load(&pt->timer.armed) ? 0 : pt->timer.deadline_ns > now ? pt->timer.deadline_ns - now : 1;

    return (struct __kernel_itimerspec){.it_interval = timespec_of(pt->interval_ns), .it_value = timespec_of(left)};
}

long sys_timer_settime(int id, int flags, const struct __kernel_itimerspec __user *new_user,
                       struct __kernel_itimerspec __user *old_user) {
    struct posix_timer *pt = posix_timer_find(process_current(), id);
    struct __kernel_itimerspec new, old;
    u64 value, interval, now, offset;

    if (!new_user)
        return -EINVAL;
    if (get_user(new, new_user))
        return -EFAULT;
    if (ns_of(&new.it_value, &value) || ns_of(&new.it_interval, &interval) || !pt)
        return -EINVAL;
    old = posix_timer_state(pt);
    pt->interval_ns = 0;
    timer_cancel(&pt->timer);
    pt->interval_ns = interval;
    now = clock_ns();
    offset = pt->clock == CLOCK_REALTIME || pt->clock == CLOCK_TAI ? clock_wall_offset() : 0;
    if (value && flags & TIMER_ABSTIME)
        timer_arm(&pt->timer, value > offset ? value - offset : 0);
    else if (value)
        timer_arm(&pt->timer, value < SLEEP_FOREVER - now ? now + value : SLEEP_FOREVER);
    return old_user ? put_user(old, old_user) : 0;
}

long sys_timer_gettime(int id, struct __kernel_itimerspec __user *out) {
    struct posix_timer *pt = posix_timer_find(process_current(), id);

    return pt ? put_user(posix_timer_state(pt), out) : -EINVAL;
}

long sys_timer_getoverrun(int id) {
    struct posix_timer *pt = posix_timer_find(process_current(), id);

    return pt ? pt->entry.info.si_overrun : -EINVAL;
}

long sys_timer_delete(int id) {
    struct process *p = process_current();
    struct posix_timer *pt = posix_timer_find(p, id);

    if (!pt)
        return -EINVAL;
    spin_lock(&p->lock);
    list_del(&pt->link);
    spin_unlock(&p->lock);
    posix_timer_free(pt);
    return 0;
}
