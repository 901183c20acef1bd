/* poll.c - poll, ppoll, select, pselect6: copy the question in, ask every file, sleep, copy the answer out.
 *
 * Small questions are kept on the stack, larger ones in kernel memory. The sleeper is fs/poll.c's poller. */
#include <linux/poll.h>
#include <linux/time_types.h>

#include "fs/file.h"
#include "fs/poll.h"
#include "sys/deadline.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/slab.h"

#define NS_PER_S 1000000000UL
#define WORD_BITS 64

/* ---- masks and deadlines ---- */

/* A call under a temporary mask ends. Without a mask nothing changed. */
static void mask_end(const u64 __user *mask, long result) {
    if (mask)
        signal_mask_end(result == -EINTR);
}

static u64 deadline_after(u64 ns) {
    u64 now = clock_ns();
    return ns < SLEEP_FOREVER - now ? now + ns : SLEEP_FOREVER;
}

/* The deadline for seconds and nanoseconds from now; 0 stands for "do not sleep". */
static int deadline_from(s64 seconds, s64 ns, u64 *deadline_ns) {
    if (seconds < 0 || ns < 0 || ns >= (s64)NS_PER_S)
        return -EINVAL;
    if (!seconds && !ns)
        *deadline_ns = 0;
    else if ((u64)seconds > SLEEP_FOREVER / NS_PER_S - 2)
        *deadline_ns = SLEEP_FOREVER;
    else
        *deadline_ns = deadline_after(seconds * NS_PER_S + ns);
    return 0;
}

int deadline_in(const struct __kernel_timespec __user *timeout, u64 *deadline_ns) {
    struct __kernel_timespec t;
    *deadline_ns = SLEEP_FOREVER;
    if (!timeout)
        return 0;
    if (get_user(t, timeout))
        return -EFAULT;
    return deadline_from(t.tv_sec, t.tv_nsec, deadline_ns);
}

/* What is left until the deadline, as select, pselect6 and ppoll report it. */
static u64 time_left(u64 deadline_ns) {
    u64 now = clock_ns();
    return deadline_ns > now ? deadline_ns - now : 0;
}

/* Tell the caller. One that gave a read-only time is not punished for it (as on Linux). */
static void report_left(struct __kernel_timespec __user *timeout, u64 deadline_ns) {
    u64 left = time_left(deadline_ns);
    struct __kernel_timespec t = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    if (timeout && deadline_ns != SLEEP_FOREVER && copy_to_user(timeout, &t, sizeof(t)))
        return;
}

/* ---- poll ---- */

/* The events that one struct pollfd asks for. */
static u32 ask_one(struct poller *poller, const struct pollfd *fd, bool watch) {
    if (fd->fd < 0)
        return 0;
    struct file *file = fd_get_open(fd->fd);
    if (!file)
        return POLLNVAL;
    u32 events = poller_ask(poller, file, watch) & ((u16)fd->events | POLLERR | POLLHUP);
    file_put(file);
    return events;
}

/* Fill in revents. Registers as long as nothing is ready: then nobody sleeps. Returns how many are ready. */
static int ask_all(struct poller *poller, struct pollfd *fds, u32 count, bool watch) {
    int ready = 0;
    for (u32 i = 0; i < count; i++) {
        fds[i].revents = (short)ask_one(poller, &fds[i], watch && !ready);
        ready += fds[i].revents != 0;
    }
    return ready;
}

/* deadline 0: only ask. Returns the number ready, 0 at the deadline, -EINTR, -ENOMEM. */
static int poll_files(struct pollfd *fds, u32 count, u64 deadline_ns) {
    struct poller poller;
    poller_init(&poller);
    int result = ask_all(&poller, fds, count, deadline_ns != 0);
    while (!result && deadline_ns) {
        result = poller_sleep(&poller, deadline_ns);
        if (result == -ETIMEDOUT) {
            result = ask_all(&poller, fds, count, false); /* what came at the last moment counts */
            break;
        }
        if (!result)
            result = ask_all(&poller, fds, count, false);
    }
    poller_end(&poller);
    return result;
}

static long poll_user(struct pollfd __user *user, u32 count, u64 deadline_ns) {
    struct pollfd few[16], *fds = few;
    long result;

    if (count > process_current()->limits[RLIMIT_NOFILE].rlim_cur)
        return -EINVAL;
    if (count > array_count(few))
        fds = kmalloc(count * sizeof(*fds));
    if (!fds)
        return -ENOMEM;
    result = copy_from_user(fds, user, count * sizeof(*fds));
    if (!result)
        result = poll_files(fds, count, deadline_ns);
    if (result >= 0) {
        for (u32 i = 0; i < count; i++) {
            if (put_user(fds[i].revents, &user[i].revents)) {
                result = -EFAULT;
                break;
            }
        }
    }
    if (fds != few)
        kfree(fds);
    return result;
}

/* After a signal without a handler: the rest of the time, to the same deadline. */
static long poll_again(struct task *t) {
    long result = poll_user((struct pollfd __user *)t->restart.arguments[0], (u32)t->restart.arguments[1],
                            t->restart.arguments[2]);
    return result == -EINTR ? -ERESTART_RESTARTBLOCK : result;
}

long sys_poll(struct pollfd __user *fds, u32 count, int timeout_ms) {
    struct task *t = task_current();
    u64 deadline = SLEEP_FOREVER;
    if (timeout_ms >= 0)
        deadline = timeout_ms ? deadline_after(timeout_ms * 1000000UL) : 0;
    long result = poll_user(fds, count, deadline);
    if (result == -EINTR) {
        t->restart.function = poll_again;
        t->restart.arguments[0] = (u64)fds;
        t->restart.arguments[1] = count;
        t->restart.arguments[2] = deadline;
        result = -ERESTART_RESTARTBLOCK;
    }
    return result;
}

long sys_ppoll(struct pollfd __user *fds, u32 count, struct __kernel_timespec __user *timeout, const u64 __user *mask,
               size_t bytes) {
    u64 deadline;
    long result = deadline_in(timeout, &deadline);
    if (!result)
        result = signal_mask_begin_user(mask, bytes);
    if (result)
        return result;
    result = poll_user(fds, count, deadline);
    mask_end(mask, result);
    report_left(timeout, deadline);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/* ---- select ---- */

/* What makes a descriptor readable, writable, exceptional: select(2), "Correspondence between select() and poll()". */
static const u32 select_events[3] = {
    POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    POLLPRI,
};

struct selection {
    u32 count;     /* descriptors 0..count-1 */
    u32 words;     /* of each set */
    u64 *asked[3]; /* NULL: not asked */
    u64 *answer[3];
    u64 deadline_ns;
};

static bool bit_of(const u64 *set, u32 n) { return set && set[n / WORD_BITS] >> (n % WORD_BITS) & 1; }

/* Ask one descriptor and note the answers: how many sets it is in, or -EBADF. */
static int select_one(struct selection *s, struct poller *poller, u32 fd, bool watch) {
    int ready = 0;
    if (!bit_of(s->asked[0], fd) && !bit_of(s->asked[1], fd) && !bit_of(s->asked[2], fd))
        return 0;
    struct file *file = fd_get(fd);
    if (!file)
        return -EBADF;
    u32 events = poller_ask(poller, file, watch);
    file_put(file);
    for (unsigned i = 0; i < 3; i++) {
        if (!bit_of(s->asked[i], fd) || !(events & select_events[i]))
            continue;
        s->answer[i][fd / WORD_BITS] |= 1UL << (fd % WORD_BITS);
        ready++;
    }
    return ready;
}

static int select_all(struct selection *s, struct poller *poller, bool watch) {
    int ready = 0;
    for (u32 fd = 0; fd < s->count; fd++) {
        if (fd % WORD_BITS == 0 && !(s->asked[0] && s->asked[0][fd / WORD_BITS]) &&
            !(s->asked[1] && s->asked[1][fd / WORD_BITS]) && !(s->asked[2] && s->asked[2][fd / WORD_BITS])) {
            fd += WORD_BITS - 1; /* nothing asked in this word */
            continue;
        }
        int one = select_one(s, poller, fd, watch && !ready);
        if (one < 0)
            return one;
        ready += one;
    }
    return ready;
}

static int select_files(struct selection *s) {
    struct poller poller;
    poller_init(&poller);
    int result = select_all(s, &poller, s->deadline_ns != 0);
    while (!result && s->deadline_ns) {
        result = poller_sleep(&poller, s->deadline_ns);
        bool over = result == -ETIMEDOUT;
        if (!result || over)
            result = select_all(s, &poller, false);
        if (over)
            break;
    }
    poller_end(&poller);
    return result;
}

/* Sets of up to 1024 descriptors, and six of them: the stack has no room, so they are always allocated. */
static long select_user(int count, u64 __user *sets[3], u64 deadline_ns) {
    struct selection s = {.deadline_ns = deadline_ns};
    long result = 0;

    if (count < 0)
        return -EINVAL;
    s.count = min((u32)count, fd_room()); /* not the limit: it may be lowered below what is open */
    s.words = (s.count + WORD_BITS - 1) / WORD_BITS;
    size_t bytes = s.words * sizeof(u64);
    u64 *memory = kzalloc(6 * bytes + sizeof(u64)); /* never 0 bytes */
    if (!memory)
        return -ENOMEM;
    for (unsigned i = 0; i < 3 && !result; i++) {
        s.answer[i] = memory + (3 + i) * s.words;
        if (!sets[i])
            continue;
        s.asked[i] = memory + i * s.words;
        result = copy_from_user(s.asked[i], sets[i], bytes);
    }
    if (!result)
        result = select_files(&s);
    for (unsigned i = 0; i < 3 && result >= 0; i++) {
        if (sets[i] && copy_to_user(sets[i], s.answer[i], bytes))
            result = -EFAULT;
    }
    kfree(memory);
    return result;
}

long sys_select(int count, u64 __user *read, u64 __user *write, u64 __user *except,
                struct __kernel_old_timeval __user *timeout) {
    u64 __user *sets[3] = {read, write, except};
    struct __kernel_old_timeval t;
    u64 deadline = SLEEP_FOREVER;

    if (timeout) {
        if (get_user(t, timeout))
            return -EFAULT;
        if (t.tv_sec < 0 || t.tv_usec < 0)
            return -EINVAL;
        int error = deadline_from(t.tv_sec + t.tv_usec / 1000000, t.tv_usec % 1000000 * 1000, &deadline);
        if (error)
            return error;
    }
    long result = select_user(count, sets, deadline);
    if (timeout && deadline != SLEEP_FOREVER) {
        u64 left = time_left(deadline);
        t.tv_sec = left / NS_PER_S;
        t.tv_usec = left % NS_PER_S / 1000;
        if (copy_to_user(timeout, &t, sizeof(t)) && result == -EINTR)
            return -EINTR; /* a restart would wait for the whole time again */
    }
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/* The sixth argument of pselect6 points to the mask and its size: six registers are all there are. */
struct mask_argument {
    const u64 __user *set;
    size_t bytes;
};

long sys_pselect6(int count, u64 __user *read, u64 __user *write, u64 __user *except,
                  struct __kernel_timespec __user *timeout, const struct mask_argument __user *mask) {
    u64 __user *sets[3] = {read, write, except};
    struct mask_argument m = {0};
    u64 deadline;

    if (mask && get_user(m, mask))
        return -EFAULT;
    long result = deadline_in(timeout, &deadline);
    if (!result)
        result = signal_mask_begin_user(m.set, m.bytes);
    if (result)
        return result;
    result = select_user(count, sets, deadline);
    mask_end(m.set, result);
    report_left(timeout, deadline);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}
