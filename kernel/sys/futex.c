/* futex.c - futex(2) and the robust list calls: which operation, which clock. task/futex.c does them. */
#include <linux/futex.h>
#include <linux/time.h>
#include <linux/time_types.h>

#include "sys/deadline.h"
#include "sys/sys.h"
#include "task/family.h"
#include "task/futex.h"

#define NS_PER_SECOND 1000000000UL

/* deadline_at: an absolute time on the wall's clock, or the monotonic one; NULL: never. */
static int deadline_at(bool wall, const struct __kernel_timespec __user *user, u64 *deadline_ns) {
    struct __kernel_timespec t;
    u64 ns, offset = wall ? clock_wall_offset() : 0;

    if (!user)
        return deadline_in(user, deadline_ns);
    if (get_user(t, user))
        return -EFAULT;
    if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec >= (s64)NS_PER_SECOND)
        return -EINVAL;
    if ((u64)t.tv_sec >= SLEEP_FOREVER / NS_PER_SECOND - 1) {
        *deadline_ns = SLEEP_FOREVER;
        return 0;
    }
    ns = t.tv_sec * NS_PER_SECOND + t.tv_nsec;
    *deadline_ns = ns > offset ? ns - offset : 0;
    return 0;
}

/* deadline_of: FUTEX_WAIT's time is relative, the others' absolute, on the clock that the operation names. */
static int deadline_of(int operation, const struct __kernel_timespec __user *user, u64 *deadline_ns) {
    if ((operation & FUTEX_CMD_MASK) == FUTEX_WAIT)
        return deadline_in(user, deadline_ns);
    return deadline_at(operation & FUTEX_CLOCK_REALTIME, user, deadline_ns);
}

static long wait_again(struct task *t) {
    int error = futex_wait(t->restart.arguments[0], t->restart.arguments[1] >> 32, (u32)t->restart.arguments[1],
                           (u32)t->restart.arguments[2], t->restart.arguments[3]);

    return error == -EINTR ? -ERESTART_RESTARTBLOCK : error;
}

/* wait: a wait with a time is restarted with the same deadline, and never past a handler; one without is a plain
 * restart. */
static long wait(u64 word, bool shared, u32 value, u32 bitset, u64 deadline_ns) {
    struct task *t = task_current();
    int error;

    if (!bitset)
        return -EINVAL;
    error = futex_wait(word, shared, value, bitset, deadline_ns);
    if (error != -EINTR)
        return error;
    if (deadline_ns == SLEEP_FOREVER)
        return -ERESTARTSYS;
    t->restart.function = wait_again;
    t->restart.arguments[0] = word;
    t->restart.arguments[1] = (u64)shared << 32 | value;
    t->restart.arguments[2] = bitset;
    t->restart.arguments[3] = deadline_ns;
    return -ERESTART_RESTARTBLOCK;
}

/* How many a wake is to wake: Linux looks at the number after it has woken one, and takes it as signed. */
static u32 wakes(u32 count) { return (s32)count < 1 ? 1 : count; }

long sys_futex(u32 __user *user, int operation, u32 value, u64 timeout_or_count, u32 __user *user2, u32 value3) {
    bool shared = !(operation & FUTEX_PRIVATE_FLAG);
    u64 word = (u64)user, word2 = (u64)user2, deadline_ns;
    int command = operation & FUTEX_CMD_MASK, error;

    if (operation & FUTEX_CLOCK_REALTIME && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI2 &&
        command != FUTEX_WAIT_REQUEUE_PI)
        return -ENOSYS;
    switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        error = deadline_of(operation, (const struct __kernel_timespec *)timeout_or_count, &deadline_ns);
        if (error)
            return error;
        return wait(word, shared, value, command == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : value3, deadline_ns);
    case FUTEX_WAKE:
        return futex_wake(word, shared, wakes(value), FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        return value3 ? futex_wake(word, shared, wakes(value), value3) : -EINVAL;
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        if ((s32)value < 0 || (s32)timeout_or_count < 0)
            return -EINVAL;
        return futex_requeue(word, word2, shared, value, (u32)timeout_or_count,
                             command == FUTEX_CMP_REQUEUE ? &value3 : NULL);
    case FUTEX_WAKE_OP:
        return futex_wake_op(word, word2, shared, wakes(value), wakes((u32)timeout_or_count), value3);
    case FUTEX_LOCK_PI: /* its time is always the wall's */
    case FUTEX_LOCK_PI2:
        error = deadline_at(command == FUTEX_LOCK_PI || operation & FUTEX_CLOCK_REALTIME,
                            (const struct __kernel_timespec *)timeout_or_count, &deadline_ns);
        return error ? error : futex_lock_pi(word, shared, false, deadline_ns);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(word, shared, true, 0);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(word, shared);
    case FUTEX_WAIT_REQUEUE_PI:
        error = deadline_of(operation, (const struct __kernel_timespec *)timeout_or_count, &deadline_ns);
        if (!error && word == word2)
            error = -EINVAL;
        return error ? error : futex_wait_requeue_pi(word, word2, shared, value, deadline_ns);
    case FUTEX_CMP_REQUEUE_PI:
        if (value != 1 || (s32)timeout_or_count < 0 || word == word2)
            return -EINVAL;
        return futex_requeue_pi(word, word2, shared, 1 + (u32)timeout_or_count, value3);
    default:
        return -ENOSYS;
    }
}

static long wanted_of(const struct futex_waitv __user *user, unsigned count, struct futex_wanted *wanted) {
    for (unsigned i = 0; i < count; i++) {
        struct futex_waitv v;

        if (get_user(v, user + i))
            return -EFAULT;
        if (v.flags & ~(u32)(FUTEX_32 | FUTEX_PRIVATE_FLAG) || v.__reserved || !(v.flags & FUTEX_32))
            return -EINVAL;
        wanted[i] = (struct futex_wanted){v.uaddr, (u32)v.val, !(v.flags & FUTEX_PRIVATE_FLAG)};
    }
    return 0;
}

/* futex_waitv: an interrupted wait is made again with its time, which is absolute. */
long sys_futex_waitv(const struct futex_waitv __user *user, u32 count, u32 flags,
                     const struct __kernel_timespec __user *timeout, int clock) {
    struct futex_wanted *wanted;
    u64 deadline_ns;
    long result;

    if (flags || !count || count > FUTEX_WAIT_MANY_MOST || !user ||
        (timeout && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return -EINVAL;
    result = deadline_at(timeout && clock == CLOCK_REALTIME, timeout, &deadline_ns);
    if (result)
        return result;
    wanted = kmalloc(count * sizeof(*wanted));
    result = wanted ? wanted_of(user, count, wanted) : -ENOMEM;
    if (!result)
        result = futex_wait_many(wanted, count, deadline_ns);
    kfree(wanted);
    return result == -EINTR ? -ERESTARTSYS : result;
}

long sys_set_robust_list(u64 head, size_t bytes) {
    if (bytes != sizeof(struct robust_list_head))
        return -EINVAL;
    task_current()->robust_list = head;
    return 0;
}

long sys_get_robust_list(int tid, u64 __user *head, size_t __user *bytes) {
    struct task *t = tid ? task_find(tid) : task_current();
    u64 list = 0;
    long error;

    if (!t)
        return -ESRCH;
    list = t->robust_list;
    error = t->process ? signal_check(t->process, 0) : -EPERM;
    if (tid)
        task_put(t);
    if (error)
        return error;
    error = put_user(sizeof(struct robust_list_head), bytes);
    return error ? error : put_user(list, head);
}
