/* prctl.c - prctl(2): what a thread says and asks about itself. Some of it is kept and reported only: the timer slack,
 * what becomes of its memory when that is found broken, that it flushes for others. */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

#include "sys/sys.h"
#include "task/family.h"
#include "task/seccomp.h"
#include "task/task.h"
#include "vm/space.h"

static long set_name(const char __user *user) {
    char name[16];
    ssize_t bytes = strncpy_from_user(name, user, sizeof(name));

    if (bytes < 0)
        return bytes;
    name[min(bytes, (ssize_t)sizeof(name) - 1)] = 0;
    memcpy(task_current()->name, name, strlen(name) + 1);
    return 0;
}

static long set_flag(bool *flag, u64 value) {
    if (value > 1)
        return -EINVAL;
    *flag = value;
    return 0;
}

static long bounding_set(int option, u64 capability) {
    struct credentials *c = &process_current()->cred;

    if (capability > CAP_LAST_CAP)
        return -EINVAL;
    if (option == PR_CAPBSET_READ)
        return c->cap_bounding >> capability & 1;
    if (!capable(CAP_SETPCAP))
        return -EPERM;
    c->cap_bounding &= ~(1UL << capability);
    return 0;
}

static long ambient_set(u64 action, u64 capability) {
    struct credentials *c = &process_current()->cred;
    u64 bit;

    if (action == PR_CAP_AMBIENT_CLEAR_ALL) {
        c->cap_ambient = 0;
        return 0;
    }
    if (capability > CAP_LAST_CAP)
        return -EINVAL;
    bit = 1UL << capability;
    switch (action) {
    case PR_CAP_AMBIENT_IS_SET:
        return (c->cap_ambient & bit) != 0;
    case PR_CAP_AMBIENT_LOWER:
        c->cap_ambient &= ~bit;
        return 0;
    case PR_CAP_AMBIENT_RAISE:
        if (!(c->cap_permitted & c->cap_inheritable & bit))
            return -EPERM;
        c->cap_ambient |= bit;
        return 0;
    default:
        return -EINVAL;
    }
}

static long set_securebits(u64 bits) {
    if (!capable(CAP_SETPCAP))
        return -EPERM;
    if (bits & ~(u64)(SECURE_ALL_BITS | SECURE_ALL_LOCKS))
        return -EPERM;
    process_current()->securebits = bits;
    return 0;
}

/* May its memory be shown large? Asked of the space, which forks and programs begun here inherit it from. */
static long set_no_large(u64 value, u64 b, u64 c, u64 d) {
    if (b || c || d)
        return -EINVAL;
    space_limits(process_current()->space)->no_large = value != 0;
    return 0;
}

/* What broken memory that is not in use yet should do: kept, for none is told of it before it is touched. */
static long memory_kill(u64 action, u64 policy, u64 c, u64 d) {
    if (c || d || action > PR_MCE_KILL_SET ||
        (action == PR_MCE_KILL_CLEAR ? policy != 0 : policy > PR_MCE_KILL_DEFAULT))
        return -EINVAL;
    process_current()->memory_kill = action == PR_MCE_KILL_CLEAR ? PR_MCE_KILL_DEFAULT : (u8)policy;
    return 0;
}

static long io_flusher(bool set, u64 value, u64 b, u64 c, u64 d) {
    struct process *p = process_current();
    if (!capable(CAP_SYS_RESOURCE))
        return -EPERM;
    if (b || c || d || value > set)
        return -EINVAL;
    if (set)
        p->io_flusher = value;
    return set ? 0 : p->io_flusher;
}

/* The processor that QEMU shows suffers from nothing that could be switched, as Debian's 6.1 finds on it. */
static long speculation(u64 which, u64 c, u64 d) {
    if (c || d)
        return -EINVAL;
    switch (which) {
    case PR_SPEC_STORE_BYPASS:
        return PR_SPEC_NOT_AFFECTED;
    case PR_SPEC_INDIRECT_BRANCH:
        return PR_SPEC_ENABLE;
    case PR_SPEC_L1D_FLUSH:
        return PR_SPEC_FORCE_DISABLE;
    default:
        return -ENODEV;
    }
}

static long set_speculation(u64 which, u64 control, u64 c, u64 d) {
    if (c || d)
        return -EINVAL;
    switch (which) {
    case PR_SPEC_STORE_BYPASS:
        return -ENXIO;
    case PR_SPEC_INDIRECT_BRANCH:
        if (control == PR_SPEC_ENABLE)
            return 0;
        return control == PR_SPEC_DISABLE || control == PR_SPEC_FORCE_DISABLE ? -EPERM : -ERANGE;
    case PR_SPEC_L1D_FLUSH:
        return -EPERM;
    default:
        return -ENODEV;
    }
}

/* Yama's, whose scope is 0: who may trace is not asked of it. */
static long set_ptracer(u64 pid) {
    struct task *task = pid && pid != PR_SET_PTRACER_ANY ? task_find((int)pid) : NULL;
    bool known = !pid || pid == PR_SET_PTRACER_ANY || task;
    if (task)
        task_put(task);
    return known ? 0 : -EINVAL;
}

/* Of the machine rather than of the process. */
static long of_machine(int option, u64 a, u64 b, u64 c, u64 d) {
    switch (option) {
    case PR_GET_TIMING:
        return PR_TIMING_STATISTICAL;
    case PR_SET_TIMING:
        return a == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
    case PR_GET_TSC:
        return put_user(PR_TSC_ENABLE, (int *)a);
    case PR_SET_TSC:
        return a == PR_TSC_ENABLE ? 0 : -EINVAL;
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE: /* of which there are none */
        return 0;
    case PR_GET_SPECULATION_CTRL:
        return b ? -EINVAL : speculation(a, c, d);
    case PR_SET_SPECULATION_CTRL:
        return set_speculation(a, b, c, d);
    case PR_SET_SYSCALL_USER_DISPATCH:
        return a == PR_SYS_DISPATCH_OFF && !b && !c && !d ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

static long of_memory(int option, u64 a, u64 b, u64 c, u64 d) {
    switch (option) {
    case PR_MCE_KILL:
        return memory_kill(a, b, c, d);
    case PR_MCE_KILL_GET:
        return a || b || c || d ? -EINVAL : process_current()->memory_kill;
    case PR_SET_THP_DISABLE:
        return set_no_large(a, b, c, d);
    case PR_GET_THP_DISABLE:
        return a || b || c || d ? -EINVAL : space_limits(process_current()->space)->no_large;
    case PR_SET_IO_FLUSHER:
    case PR_GET_IO_FLUSHER:
        return io_flusher(option == PR_SET_IO_FLUSHER, a, b, c, d);
    default:
        return of_machine(option, a, b, c, d);
    }
}

long sys_prctl(int option, u64 a, u64 b, u64 c, u64 d) {
    struct process *p = process_current();

    switch (option) {
    case PR_SET_NAME:
        return set_name((const char *)a);
    case PR_GET_NAME:
        return copy_to_user((char *)a, task_current()->name, sizeof(task_current()->name));
    case PR_SET_PDEATHSIG:
        if (a > SIGNAL_COUNT)
            return -EINVAL;
        p->parent_death_signal = (int)a;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_user(p->parent_death_signal, (int *)a);
    case PR_GET_DUMPABLE:
        return p->dumpable;
    case PR_SET_DUMPABLE:
        return set_flag(&p->dumpable, a);
    case PR_SET_NO_NEW_PRIVS:
        if (a != 1 || b || c || d)
            return -EINVAL;
        p->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return a || b || c || d ? -EINVAL : p->no_new_privs;
    case PR_SET_CHILD_SUBREAPER:
        p->subreaper = a;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_user((int)p->subreaper, (int *)a);
    case PR_SET_KEEPCAPS:
        return set_flag(&p->keep_caps, a);
    case PR_GET_KEEPCAPS:
        return p->keep_caps;
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
        return bounding_set(option, a);
    case PR_CAP_AMBIENT:
        return d ? -EINVAL : ambient_set(a, b);
    case PR_GET_SECUREBITS:
        return p->securebits;
    case PR_SET_SECUREBITS:
        return set_securebits(a);
    case PR_SET_TIMERSLACK:
        p->timer_slack_ns = a ? a : 50000;
        return 0;
    case PR_GET_TIMERSLACK:
        return p->timer_slack_ns;
    case PR_GET_TID_ADDRESS:
        return put_user(task_current()->clear_child_tid, (u64 *)a);
    case PR_SET_PTRACER:
        return set_ptracer(a);
    case PR_GET_SECCOMP:
        return task_current()->seccomp_mode;
    case PR_SET_SECCOMP:
        if (a == SECCOMP_MODE_STRICT)
            return seccomp_set(SECCOMP_SET_MODE_STRICT, 0, NULL);
        return a == SECCOMP_MODE_FILTER ? seccomp_set(SECCOMP_SET_MODE_FILTER, 0, (const void *)b) : -EINVAL;
    default:
        return of_memory(option, a, b, c, d);
    }
}
