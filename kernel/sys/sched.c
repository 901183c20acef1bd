/* sched.c - the system calls on scheduling. Policies and real-time priorities are kept and reported, with Linux's
 * checks; task/sched.c runs every task by its niceness. */
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/time_types.h>

#include "sys/sys.h"
#include "task/family.h"

#define PRIORITY_MOST 99
#define NICE_LEAST (-20)
#define NICE_MOST 19
#define ROUND_ROBIN_NS 100000000 /* what 6.1 reports for SCHED_RR */
#define ATTR_BYTES_FIRST 48      /* SCHED_ATTR_SIZE_VER0 */

long sys_sched_yield(void) {
    struct task *t = task_current();

    atomic_store(&t->slice_ns, 0); /* behind everyone of this epoch */
    schedule();
    return 0;
}

/* target: the task of that number, 0: the caller's; counted. */
static struct task *target(int tid) {
    if (tid == 0) {
        task_get(task_current());
        return task_current();
    }
    return tid < 0 ? NULL : task_find(tid);
}

static int may_change(const struct task *t) {
    const struct credentials *me = cred_current();

    if (!t->process)
        return -EPERM;
    return me->euid == t->process->cred.uid || me->euid == t->process->cred.euid || capable(CAP_SYS_NICE) ? 0 : -EPERM;
}

static bool may_have_nice(const struct task *t, int nice) {
    return nice >= t->nice || capable(CAP_SYS_NICE) ||
           (t->process && (u64)(20 - nice) <= t->process->limits[RLIMIT_NICE].rlim_cur);
}

static bool realtime(int policy) { return policy == SCHED_FIFO || policy == SCHED_RR; }

static bool known(int policy) {
    return realtime(policy) || policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

static int may_set_policy(struct task *t, int policy, int priority) {
    if (!known(policy) || priority < 0 || priority > PRIORITY_MOST || realtime(policy) != (priority > 0))
        return -EINVAL;
    if (may_change(t))
        return -EPERM;
    if (realtime(policy) && !capable(CAP_SYS_NICE) && (u64)priority > t->process->limits[RLIMIT_RTPRIO].rlim_cur)
        return -EPERM;
    return 0;
}

/* policy_of: as sched_getscheduler(2) says it. */
static int policy_of(const struct task *t) { return t->policy | (t->policy_resets ? SCHED_RESET_ON_FORK : 0); }

/* set_policy: policy with SCHED_RESET_ON_FORK, or -1: as it is. */
static long set_policy(int tid, int policy, int priority) {
    struct task *t = target(tid);
    int error;

    if (!t)
        return tid < 0 ? -EINVAL : -ESRCH;
    if (policy < 0)
        policy = policy_of(t);
    error = may_set_policy(t, policy & ~SCHED_RESET_ON_FORK, priority);
    if (!error && t->policy_resets && !(policy & SCHED_RESET_ON_FORK) && !capable(CAP_SYS_NICE))
        error = -EPERM;
    if (!error) {
        t->policy = policy & ~SCHED_RESET_ON_FORK;
        t->policy_resets = policy & SCHED_RESET_ON_FORK;
        t->realtime_priority = priority;
    }
    task_put(t);
    return error;
}

long sys_sched_setscheduler(int tid, int policy, const int __user *user) {
    int priority;

    if (policy < 0 || !user)
        return -EINVAL;
    return get_user(priority, user) ? -EFAULT : set_policy(tid, policy, priority);
}

long sys_sched_setparam(int tid, const int __user *user) {
    int priority;

    if (!user)
        return -EINVAL;
    return get_user(priority, user) ? -EFAULT : set_policy(tid, -1, priority);
}

long sys_sched_getscheduler(int tid) {
    struct task *t = target(tid);
    long policy;

    if (!t)
        return tid < 0 ? -EINVAL : -ESRCH;
    policy = policy_of(t);
    task_put(t);
    return policy;
}

long sys_sched_getparam(int tid, int __user *out) {
    struct task *t = out ? target(tid) : NULL;
    int priority;

    if (!t)
        return tid < 0 || !out ? -EINVAL : -ESRCH;
    priority = t->realtime_priority;
    task_put(t);
    return put_user(priority, out);
}

long sys_sched_get_priority_max(int policy) { return realtime(policy) ? PRIORITY_MOST : known(policy) ? 0 : -EINVAL; }
long sys_sched_get_priority_min(int policy) { return realtime(policy) ? 1 : known(policy) ? 0 : -EINVAL; }

long sys_sched_rr_get_interval(int tid, struct __kernel_timespec __user *out) {
    struct __kernel_timespec interval = {.tv_nsec = TICK_NS};
    struct task *t = target(tid);

    if (!t)
        return tid < 0 ? -EINVAL : -ESRCH;
    if (realtime(t->policy))
        interval.tv_nsec = t->policy == SCHED_RR ? ROUND_ROBIN_NS : 0;
    task_put(t);
    return put_user(interval, out);
}

/* ---- affinity ---- */

long sys_sched_setaffinity(int tid, u32 bytes, const u64 __user *user) {
    u64 mask[CPU_MAX / 64] = {0};
    struct task *t;
    int error;

    if (copy_from_user(mask, user, min((size_t)bytes, sizeof(mask))))
        return -EFAULT;
    t = target(tid);
    if (!t)
        return -ESRCH;
    error = may_change(t);
    if (!error)
        error = task_set_affinity(t, mask);
    task_put(t);
    return error;
}

/* The call reports as many bytes as the machine's CPUs need, in whole words. */
long sys_sched_getaffinity(int tid, u32 bytes, u64 __user *out) {
    u64 mask[CPU_MAX / 64];
    size_t need = (cpu_count + 63) / 64 * sizeof(u64);
    struct task *t;

    if (bytes * 8 < cpu_count || bytes & (sizeof(u64) - 1))
        return -EINVAL;
    t = target(tid);
    if (!t)
        return -ESRCH;
    memcpy(mask, t->affinity, sizeof(mask));
    task_put(t);
    if (cpu_count % 64)
        mask[cpu_count / 64] &= (1UL << cpu_count % 64) - 1;
    need = min(need, (size_t)bytes);
    return copy_to_user(out, mask, need) ? -EFAULT : (long)need;
}

long sys_getcpu(u32 __user *cpu, u32 __user *node) {
    if (cpu && put_user(cpu_id(), cpu))
        return -EFAULT;
    return node ? put_user(0u, node) : 0;
}

/* ---- sched_setattr ---- */

long sys_sched_setattr(int tid, const struct sched_attr __user *user, u32 flags) {
    struct sched_attr a;
    u32 bytes;
    struct task *t;
    long error;
    int nice;

    if (!user || tid < 0 || flags)
        return -EINVAL;
    if (get_user(bytes, &user->size))
        return -EFAULT;
    bytes = bytes ? bytes : ATTR_BYTES_FIRST;
    if (bytes < ATTR_BYTES_FIRST || bytes > sizeof(a)) {
        (void)put_user((u32)sizeof(a), (u32 *)&user->size);
        return -E2BIG;
    }
    memset(&a, 0, sizeof(a));
    if (copy_from_user(&a, user, bytes))
        return -EFAULT;
    if ((int)a.sched_policy < 0 || a.sched_policy & SCHED_RESET_ON_FORK || a.sched_flags & ~(u64)SCHED_FLAG_ALL)
        return -EINVAL;
    t = target(tid);
    if (!t)
        return -ESRCH;
    nice = min(max(a.sched_nice, NICE_LEAST), NICE_MOST);
    error = may_have_nice(t, nice) || realtime(a.sched_policy) ? 0 : -EPERM;
    if (!error)
        error = set_policy(tid, a.sched_policy | (a.sched_flags & SCHED_FLAG_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0),
                           a.sched_priority);
    if (!error && !realtime(a.sched_policy))
        t->nice = nice;
    task_put(t);
    return error;
}

long sys_sched_getattr(int tid, struct sched_attr __user *user, u32 bytes, u32 flags) {
    struct sched_attr a;
    struct task *t;

    if (!user || tid < 0 || bytes < ATTR_BYTES_FIRST || bytes > PAGE_SIZE || flags)
        return -EINVAL;
    t = target(tid);
    if (!t)
        return -ESRCH;
    memset(&a, 0, sizeof(a));
    a.size = min((size_t)bytes, sizeof(a));
    a.sched_policy = t->policy;
    a.sched_flags = t->policy_resets ? SCHED_FLAG_RESET_ON_FORK : 0;
    a.sched_priority = t->realtime_priority;
    a.sched_nice = realtime(t->policy) ? 0 : t->nice;
    task_put(t);
    return copy_to_user(user, &a, a.size);
}

/* ---- niceness ---- */

/* next_thread: walks all threads of all processes that `which, who` mean: t is the last one, put here; counted. */
struct nice_walk {
    int which, who;
    struct process *p;
    struct task *t;
};

static bool walk_means(const struct nice_walk *w, const struct process *p) {
    if (w->which == PRIO_PGRP)
        return p->pgid == (w->who ? w->who : process_current()->pgid);
    return p->cred.uid == (w->who ? (u32)w->who : cred_current()->uid);
}

static struct task *next_thread(struct nice_walk *w) {
    for (;;) {
        int tid = w->t ? w->t->tid : 0, pid = w->p ? w->p->pid : 1;

        if (w->t)
            task_put(w->t);
        w->t = w->p && walk_means(w, w->p) ? process_thread_next(w->p, tid) : NULL;
        if (w->t)
            return w->t;
        if (w->p)
            process_put(w->p);
        w->p = process_next(pid);
        if (!w->p)
            return NULL;
    }
}

long sys_getpriority(int which, int who) {
    struct nice_walk w = {.which = which, .who = who};
    struct task *t;
    long best = -ESRCH;

    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    if (which == PRIO_PROCESS) {
        t = target(who);
        if (t) {
            best = 20 - t->nice;
            task_put(t);
        }
        return best;
    }
    while ((t = next_thread(&w)))
        best = max(best, 20L - t->nice);
    return best;
}

static long set_nice(struct task *t, int nice) {
    if (may_change(t))
        return -EPERM;
    if (!may_have_nice(t, nice))
        return -EACCES;
    t->nice = nice;
    return 0;
}

long sys_setpriority(int which, int who, int nice) {
    struct nice_walk w = {.which = which, .who = who};
    struct task *t;
    long result = -ESRCH;

    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    nice = min(max(nice, NICE_LEAST), NICE_MOST);
    if (which == PRIO_PROCESS) {
        t = target(who);
        if (t) {
            result = set_nice(t, nice);
            task_put(t);
        }
        return result;
    }
    while ((t = next_thread(&w)))
        result = set_nice(t, nice);
    return result;
}

/* ---- priorities of input and output: kept and reported; nothing is ordered by them ---- */

/* effective: by niceness, where none was set. */
static long effective(const struct task *t) {
    if (t->io_priority)
        return t->io_priority;
    return IOPRIO_PRIO_VALUE(realtime(t->policy) ? IOPRIO_CLASS_RT : IOPRIO_CLASS_BE, (t->nice + 20) / 5);
}

long sys_ioprio_get(int which, int who) {
    struct nice_walk w = {.which = which - IOPRIO_WHO_PROCESS + PRIO_PROCESS, .who = who};
    struct task *t;
    long best = -ESRCH;

    if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
        return -EINVAL;
    if (which == IOPRIO_WHO_PROCESS) {
        t = target(who);
        if (t) {
            best = t->io_priority;
            task_put(t);
        }
        return best;
    }
    while ((t = next_thread(&w)))
        best = best < 0 ? effective(t) : min(best, effective(t));
    return best;
}

static int io_priority_check(u32 priority) {
    u32 class = priority >> IOPRIO_CLASS_SHIFT;

    if (class == IOPRIO_CLASS_RT)
        return capable(CAP_SYS_ADMIN) || capable(CAP_SYS_NICE) ? 0 : -EPERM;
    if (class == IOPRIO_CLASS_NONE)
        return priority & IOPRIO_LEVEL_MASK ? -EINVAL : 0;
    return class == IOPRIO_CLASS_BE || class == IOPRIO_CLASS_IDLE ? 0 : -EINVAL;
}

long sys_ioprio_set(int which, int who, u32 priority) {
    struct nice_walk w = {.which = which - IOPRIO_WHO_PROCESS + PRIO_PROCESS, .who = who};
    int error = io_priority_check(priority);
    struct task *t;

    if (!error && (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER))
        error = -EINVAL;
    if (error)
        return error;
    error = -ESRCH;
    if (which == IOPRIO_WHO_PROCESS) {
        t = target(who);
        if (t) {
            error = may_change(t);
            t->io_priority = error ? t->io_priority : priority;
            task_put(t);
        }
        return error;
    }
    while ((t = next_thread(&w))) {
        error = may_change(t);
        t->io_priority = error ? t->io_priority : priority;
    }
    return error;
}
