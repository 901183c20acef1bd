/* time.c - the system calls on clocks, sleeps, interval timers, POSIX timers and time used.
 *
 * Owns the POSIX timers of a process: struct posix_timer, on process->posix_timers under posix_mutex. A timer's
 * signal is an entry that belongs to the timer: while it is queued, further expiries only count as overruns. */
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/times.h>
#include <linux/timex.h>

#include "sys/deadline.h"
#include "sys/sys.h"
#include "task/family.h"
#include "task/times.h"

#define NS_PER_SECOND 1000000000UL
#define US_PER_SECOND 1000000UL

/* ---- clocks ---- */

/* A clock of CPU time: a thread's, or of all threads of a process. Both counted; one is NULL. */
struct cpu_clock {
    struct task *task;
    struct process *process;
};

static void cpu_clock_put(struct cpu_clock *c) {
    if (c->task)
        task_put(c->task);
    if (c->process)
        process_put(c->process);
}

/* cpu_clock_get: of one of the two with a name, or of pthread_getcpuclockid's encoding: ~id << 3, bit 2: of a thread,
 * low bits 2: all of its time. -EINVAL: no such clock. */
static int cpu_clock_get(int clock, struct cpu_clock *c) {
    int id = clock < 0 ? ~(clock >> 3) : 0;
    bool thread = clock < 0 ? clock & 4 : clock == CLOCK_THREAD_CPUTIME_ID;

    *c = (struct cpu_clock){NULL, NULL};
    if (clock < 0 ? (clock & 3) == 3 : clock != CLOCK_THREAD_CPUTIME_ID && clock != CLOCK_PROCESS_CPUTIME_ID)
        return -EINVAL;
    if (thread)
        c->task = task_find(id ? id : task_current()->tid);
    else
        c->process = process_find(id ? id : process_current()->pid);
    if (c->task ? c->task->process == process_current() : c->process != NULL)
        return 0;
    cpu_clock_put(c);
    return -EINVAL;
}

static u64 cpu_clock_now(const struct cpu_clock *c) {
    u64 user, system;

    if (c->task)
        task_times(c->task, &user, &system);
    else
        process_cpu_time(c->process, &user, &system);
    return user + system;
}

/* clock_read: -EINVAL: no such clock. */
static int clock_read(int clock, u64 *ns) {
    struct cpu_clock c;
    int error = 0;

    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM: /* as where a real-time clock can wake the machine; this one never sleeps */
    case CLOCK_TAI:
        *ns = clock_wall_ns();
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = clock_ns();
        break;
    default:
        error = cpu_clock_get(clock, &c);
        if (!error) {
            *ns = cpu_clock_now(&c);
            cpu_clock_put(&c);
        }
    }
    return error;
}

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
    int error = clock_read(clock, &ns);

    return error ? error : put_user(timespec_of(ns), out);
}

long sys_clock_getres(int clock, struct __kernel_timespec __user *out) {
    bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    u64 ns;
    int error = clock_read(clock, &ns);

    if (error || !out)
        return error;
    return put_user(timespec_of(coarse ? TICK_NS : 1), out);
}

/* set_wall: to a time that leaves thirty years before it stops fitting (Linux's TIME_SETTOD_SEC_MAX), and is not before
 * the machine's start: from the wall's clock to the monotonic one is a subtraction. */
#define WALL_SECONDS_MOST 8277292036
static long set_wall(s64 seconds, u64 ns) {
    if (seconds >= WALL_SECONDS_MOST)
        return -EINVAL;
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    ns += seconds * NS_PER_SECOND;
    if (ns < clock_ns())
        return -EINVAL;
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
    return set_wall(t.tv_sec, (u64)t.tv_nsec);
}

/* adjtimex: the clock is the host's. What is asked is answered as by a clock that nobody disciplines (adjtimex(2)); who
 * would discipline it may not. */
long sys_adjtimex(struct timex __user *user) {
    const u32 fixed = 16000000; /* NTP_PHASE_LIMIT, in us */
    struct timex t;
    u64 now = clock_wall_ns();
    u32 modes;

    if (get_user(modes, &user->modes))
        return -EFAULT;
    if (modes && modes != ADJ_OFFSET_SS_READ)
        return (modes & 0x8000) && !(modes & ADJ_OFFSET) ? -EINVAL : -EPERM;
    memset(&t, 0, sizeof(t));
    t.modes = modes;
    t.maxerror = t.esterror = fixed;
    t.status = STA_UNSYNC;
    t.constant = 2;
    t.precision = 1;
    t.tolerance = 500 << 16; /* ppm */
    t.tick = US_PER_SECOND / 100;
    t.time.tv_sec = now / NS_PER_SECOND;
    t.time.tv_usec = now % NS_PER_SECOND / 1000;
    return copy_to_user(user, &t, sizeof(t)) ? -EFAULT : TIME_ERROR;
}

long sys_clock_adjtime(int clock, struct timex __user *user) {
    if (clock == CLOCK_REALTIME)
        return sys_adjtimex(user);
    return clock < 0 || clock > CLOCK_TAI ? -EINVAL : -EOPNOTSUPP;
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
    return set_wall(t.tv_sec, (u64)t.tv_usec * 1000);
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

/* cpu_sleep_to: until a clock of CPU time is there. It runs at most as fast as all CPUs together: so long a sleep is
 * never too long. */
static int cpu_sleep_to(int clock, u64 deadline_ns, u64 *left) {
    struct cpu_clock c;
    u64 now;
    int slept = 0, error = cpu_clock_get(clock, &c);

    if (error)
        return error;
    while ((now = cpu_clock_now(&c)) < deadline_ns && !slept)
        slept = sleep_to(clock_ns() + max((deadline_ns - now) / cpu_count, TICK_NS));
    *left = deadline_ns > now ? deadline_ns - now : 0;
    cpu_clock_put(&c);
    return *left ? slept : 0;
}

static long cpu_sleep_again(struct task *t) {
    struct __kernel_timespec __user *user = (struct __kernel_timespec *)t->restart.arguments[1];
    u64 left;
    int error = cpu_sleep_to((int)t->restart.arguments[2], t->restart.arguments[0], &left);

    if (error != -EINTR)
        return error;
    return user && put_user(timespec_of(left), user) ? -EFAULT : -ERESTART_RESTARTBLOCK;
}

static long cpu_sleep(int clock, int flags, u64 ns, struct __kernel_timespec __user *user) {
    struct task *t = task_current();
    u64 now, left;
    int error = clock_read(clock, &now);

    if (error)
        return error;
    if (flags & TIMER_ABSTIME)
        return cpu_sleep_to(clock, ns, &left) ? -ERESTARTNOHAND : 0;
    t->restart.function = cpu_sleep_again;
    t->restart.arguments[0] = ns < SLEEP_FOREVER - now ? now + ns : SLEEP_FOREVER;
    t->restart.arguments[1] = (u64)user;
    t->restart.arguments[2] = (u64)clock;
    return cpu_sleep_again(t);
}

long sys_clock_nanosleep(int clock, int flags, const struct __kernel_timespec __user *request,
                         struct __kernel_timespec __user *left) {
    struct __kernel_timespec t;
    u64 ns, offset = clock == CLOCK_REALTIME || clock == CLOCK_TAI ? clock_wall_offset() : 0;

    if (clock > CLOCK_TAI)
        return -EINVAL;
    if (clock >= 0 && clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
        clock != CLOCK_TAI && clock != CLOCK_PROCESS_CPUTIME_ID)
        return -EOPNOTSUPP;
    if (get_user(t, request))
        return -EFAULT;
    if (ns_of(&t, &ns))
        return -EINVAL;
    if (clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID)
        return cpu_sleep(clock, flags, ns, left);
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
    *ns = (u64)t->tv_sec >= SLEEP_FOREVER / NS_PER_SECOND - 1 ? SLEEP_FOREVER
                                                              : t->tv_sec * NS_PER_SECOND + t->tv_usec * 1000;
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

static struct mutex posix_mutex = MUTEX_INIT(posix_mutex); /* every process's list of timers, and who looks at one */

struct posix_timer {
    /* First: while it is queued a deleted timer's memory is the signal's, and goes with it. */
    struct queued_signal entry;
    struct list link;
    int id, clock;
    int notify, signal, tid;
    u64 interval_ns;
    struct process *process; /* not counted: its exit deletes the timer */
    struct timer timer;
    struct cpu_clock cpu; /* of a timer on a clock of CPU time: no struct timer runs it, but posix_cpu_timers_check */
    u64 cpu_deadline_ns;  /* 0: not armed */
};
_Static_assert(offsetof(struct posix_timer, entry) == 0, "who takes the signal of a deleted timer frees it");

static bool on_cpu_time(const struct posix_timer *pt) { return pt->cpu.task || pt->cpu.process; }

/* posix_timer_tell: it rang once, and `missed` times more that nobody hears of but as overruns. */
static void posix_timer_tell(struct posix_timer *pt, u64 missed) {
    siginfo_t info;
    struct task *t = NULL;

    if (pt->notify == SIGEV_NONE)
        return;
    info = pt->entry.info;
    info.si_overrun = (int)min(missed, (u64)OVERRUNS_MOST);
    if (pt->notify & SIGEV_THREAD_ID)
        t = task_find(pt->tid);
    if (!(pt->notify & SIGEV_THREAD_ID) || t)
        signal_send_prepared(pt->process, t, pt->signal, &info, &pt->entry);
    if (t)
        task_put(t);
}

/* The interval is read once: who sets another, or deletes the timer, makes it 0 first and then cancels what we arm. */
static void posix_timer_rings(struct timer *timer) {
    struct posix_timer *pt = container_of(timer, struct posix_timer, timer);
    u64 interval_ns = atomic_load(&pt->interval_ns), missed = 0;

    if (interval_ns)
        timer_arm(timer, timer_next(timer->deadline_ns, interval_ns, clock_ns(), &missed));
    posix_timer_tell(pt, missed);
}

void posix_cpu_timers_check(struct process *p) {
    struct posix_timer *pt;

    if (!p->cpu_timers)
        return;
    mutex_lock(&posix_mutex);
    list_for_each(pt, &p->posix_timers, link) {
        u64 now = pt->cpu_deadline_ns ? cpu_clock_now(&pt->cpu) : 0, missed = 0;

        if (!pt->cpu_deadline_ns || now < pt->cpu_deadline_ns)
            continue;
        pt->cpu_deadline_ns = pt->interval_ns ? timer_next(pt->cpu_deadline_ns, pt->interval_ns, now, &missed) : 0;
        posix_timer_tell(pt, missed);
    }
    mutex_unlock(&posix_mutex);
}

/* posix_timer_find: posix_mutex is held, and keeps it. */
static struct posix_timer *posix_timer_find(struct process *p, int id) {
    struct posix_timer *pt;

    list_for_each(pt, &p->posix_timers, link) {
        if (pt->id == id)
            return pt;
    }
    return NULL;
}

/* posix_timer_free: posix_mutex is held. A signal that waits outlives its timer, and counts on as one of its own. */
static void posix_timer_free(struct posix_timer *pt) {
    struct process *p = pt->process;
    bool queued;

    list_del(&pt->link);
    atomic_store(&pt->interval_ns, 0);
    timer_cancel(&pt->timer);
    p->cpu_timers -= on_cpu_time(pt);
    cpu_clock_put(&pt->cpu);
    spin_lock(&p->signal_lock);
    queued = !list_empty(&pt->entry.link);
    pt->entry.owned = !queued;
    p->queued_signals -= !queued;
    spin_unlock(&p->signal_lock);
    if (!queued)
        kfree(pt);
}

void posix_timers_delete(struct process *p) {
    if (list_empty(&p->posix_timers))
        return;
    mutex_lock(&posix_mutex);
    while (!list_empty(&p->posix_timers))
        posix_timer_free(list_first(&p->posix_timers, struct posix_timer, link));
    mutex_unlock(&posix_mutex);
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

/* clock_for: what a timer on the clock needs: nothing, or one of this process's clocks of CPU time. */
static int clock_for(int clock, struct cpu_clock *c) {
    int error;

    *c = (struct cpu_clock){NULL, NULL};
    if (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI)
        return 0;
    if (clock < 0 ? (clock & 7) == 3 : clock >= CLOCK_MONOTONIC_RAW && clock < CLOCK_TAI)
        return -EOPNOTSUPP; /* a device's clock; one that only tells the time */
    error = cpu_clock_get(clock, c);
    if (!error && c->process && c->process != process_current()) {
        cpu_clock_put(c);
        error = -EINVAL;
    }
    return error;
}

/* count_timer: a timer's signal counts as queued as long as the timer is there: so RLIMIT_SIGPENDING bounds timers,
 * too. */
static bool count_timer(struct process *p) {
    bool room;

    spin_lock(&p->signal_lock);
    room = p->queued_signals < p->limits[RLIMIT_SIGPENDING].rlim_cur;
    p->queued_signals += room;
    spin_unlock(&p->signal_lock);
    return room;
}

/* posix_timer_make: with everything but its number. NULL: no memory, or too many. */
static struct posix_timer *posix_timer_make(int clock, const struct sigevent *event) {
    struct posix_timer *pt = kzalloc(sizeof(*pt));

    if (!pt || !count_timer(process_current())) {
        kfree(pt);
        return NULL;
    }
    list_init(&pt->entry.link);
    pt->clock = clock;
    pt->process = process_current();
    pt->timer.run = posix_timer_rings;
    pt->notify = event->sigev_notify;
    pt->signal = event->sigev_signo;
    pt->tid = event->sigev_notify_thread_id;
    pt->entry.owned = true;
    pt->entry.info.si_signo = pt->signal;
    pt->entry.info.si_code = SI_TIMER;
    pt->entry.info.si_value = event->sigev_value;
    return pt;
}

long sys_timer_create(int clock, struct sigevent __user *user, int __user *id) {
    struct process *p = process_current();
    struct sigevent event = {.sigev_signo = SIGALRM, .sigev_notify = SIGEV_SIGNAL};
    struct cpu_clock c;
    struct posix_timer *pt;
    int error, number;

    if (user && get_user(event, user))
        return -EFAULT;
    error = clock_for(clock, &c);
    if (error)
        return error;
    pt = check_event(&event) ? err_ptr(-EINVAL) : posix_timer_make(clock, &event);
    if (!pt || is_err(pt)) {
        cpu_clock_put(&c);
        return pt ? ptr_err(pt) : -EAGAIN;
    }
    pt->cpu = c;
    mutex_lock(&posix_mutex);
    number = pt->id = p->next_timer++;
    pt->entry.info.si_tid = pt->id;
    if (!user)
        pt->entry.info.si_int = pt->id;
    list_add_tail(&p->posix_timers, &pt->link);
    p->cpu_timers += on_cpu_time(pt);
    mutex_unlock(&posix_mutex);
    if (!put_user(number, id))
        return 0;
    (void)sys_timer_delete(number);
    return -EFAULT;
}

static struct __kernel_itimerspec posix_timer_state(const struct posix_timer *pt) {
    bool cpu = on_cpu_time(pt), armed = cpu ? pt->cpu_deadline_ns : atomic_load(&pt->timer.armed);
    u64 now = cpu ? cpu_clock_now(&pt->cpu) : clock_ns();
    u64 deadline_ns = cpu ? pt->cpu_deadline_ns : pt->timer.deadline_ns;
    u64 left = !armed ? 0 : deadline_ns > now ? deadline_ns - now : 1;

    return (struct __kernel_itimerspec){.it_interval = timespec_of(pt->interval_ns), .it_value = timespec_of(left)};
}

static void posix_timer_set(struct posix_timer *pt, int flags, u64 value, u64 interval) {
    u64 offset = pt->clock == CLOCK_REALTIME || pt->clock == CLOCK_TAI ? clock_wall_offset() : 0;
    bool cpu = on_cpu_time(pt);
    u64 now = cpu ? cpu_clock_now(&pt->cpu) : clock_ns(), deadline_ns;

    atomic_store(&pt->interval_ns, 0);
    timer_cancel(&pt->timer);
    atomic_store(&pt->interval_ns, interval);
    if (flags & TIMER_ABSTIME)
        deadline_ns = value > offset ? value - offset : 0;
    else
        deadline_ns = value < SLEEP_FOREVER - now ? now + value : SLEEP_FOREVER;
    if (cpu)
        pt->cpu_deadline_ns = value ? max(deadline_ns, 1UL) : 0;
    else if (value)
        timer_arm(&pt->timer, deadline_ns);
}

long sys_timer_settime(int id, int flags, const struct __kernel_itimerspec __user *new_user,
                       struct __kernel_itimerspec __user *old_user) {
    struct __kernel_itimerspec new, old;
    struct posix_timer *pt;
    u64 value, interval;

    if (!new_user)
        return -EINVAL;
    if (get_user(new, new_user))
        return -EFAULT;
    if (ns_of(&new.it_value, &value) || ns_of(&new.it_interval, &interval))
        return -EINVAL;
    mutex_lock(&posix_mutex);
    pt = posix_timer_find(process_current(), id);
    if (pt) {
        old = posix_timer_state(pt);
        posix_timer_set(pt, flags, value, interval);
    }
    mutex_unlock(&posix_mutex);
    if (!pt)
        return -EINVAL;
    return old_user ? put_user(old, old_user) : 0;
}

long sys_timer_gettime(int id, struct __kernel_itimerspec __user *out) {
    struct __kernel_itimerspec now;
    struct posix_timer *pt;

    mutex_lock(&posix_mutex);
    pt = posix_timer_find(process_current(), id);
    if (pt)
        now = posix_timer_state(pt);
    mutex_unlock(&posix_mutex);
    return pt ? put_user(now, out) : -EINVAL;
}

long sys_timer_getoverrun(int id) {
    struct posix_timer *pt;
    long count;

    mutex_lock(&posix_mutex);
    pt = posix_timer_find(process_current(), id);
    count = pt ? pt->entry.info.si_overrun : -EINVAL;
    mutex_unlock(&posix_mutex);
    return count;
}

long sys_timer_delete(int id) {
    struct posix_timer *pt;

    mutex_lock(&posix_mutex);
    pt = posix_timer_find(process_current(), id);
    if (pt)
        posix_timer_free(pt);
    mutex_unlock(&posix_mutex);
    return pt ? 0 : -EINVAL;
}
