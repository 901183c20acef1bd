/* event.c - eventfd, epoll, inotify, timerfd, signalfd and userfaultfd calls. What they make: fs/event.h. */
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/signalfd.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include <linux/userfaultfd.h>

#include "fs/event.h"
#include "fs/file.h"
#include "fs/inotify.h"
#include "fs/userfault.h"
#include "sys/deadline.h"
#include "sys/sys.h"
#include "task/task.h"

#define EFD_SEMAPHORE 1 /* eventfd(2); its header is the C library's, no kernel header has it */
#define NS_PER_S 1000000000UL
/* epoll_wait(2): the most events that one call may ask for, such that their bytes fit an int. */
#define EVENTS_MOST ((int)(0x7fffffff / sizeof(struct epoll_event)))

/* A number for a file just made, or its error. */
static long install(struct file *f, bool close_on_exec) {
    if (is_err(f))
        return ptr_err(f);
    int fd = fd_install(f, close_on_exec, 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* ---- eventfd ---- */

long sys_eventfd2(u32 count, int flags) {
    if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    return install(eventfd_create(count, flags & EFD_SEMAPHORE, flags & O_NONBLOCK), flags & O_CLOEXEC);
}

long sys_eventfd(u32 count) { return sys_eventfd2(count, 0); }

/* ---- userfaultfd ---- */

long sys_userfaultfd(int flags) {
    if (!userfault_allowed(flags))
        return -EPERM;
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY))
        return -EINVAL;
    return install(userfault_create(flags), flags & O_CLOEXEC);
}

/* ---- inotify ---- */

long sys_inotify_init1(int flags) {
    if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
        return -EINVAL;
    return install(inotify_create(flags & O_NONBLOCK), flags & O_CLOEXEC);
}

long sys_inotify_init(void) { return sys_inotify_init1(0); }

long sys_inotify_add_watch(int fd, const char __user *name, u32 mask) {
    u32 lookup = (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
    const u32 kept = IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT | IN_MASK_ADD | IN_MASK_CREATE;
    struct path p;

    if (!(mask & (kept | IN_ONLYDIR | IN_DONT_FOLLOW | IN_ISDIR | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED)))
        return -EINVAL;
    struct file *f = fd_get(fd);
    if (!f)
        return -EBADF;
    long result = (mask & IN_MASK_ADD && mask & IN_MASK_CREATE) || !file_is_inotify(f) ? -EINVAL : 0;
    if (!result)
        result = path_lookup_user(AT_FDCWD, name, lookup, &p);
    if (!result) {
        result = inode_permission(path_inode(&p), MAY_READ);
        if (!result)
            result = inotify_watch(f, path_inode(&p), mask & kept);
        path_put(&p);
    }
    file_put(f);
    return result;
}

long sys_inotify_rm_watch(int fd, int number) {
    struct file *f = fd_get(fd);
    if (!f)
        return -EBADF;
    long result = inotify_forget(f, number);
    file_put(f);
    return result;
}

/* ---- epoll ---- */

long sys_epoll_create1(int flags) {
    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    return install(epoll_create(), flags & EPOLL_CLOEXEC);
}

long sys_epoll_create(int size) { return size <= 0 ? -EINVAL : sys_epoll_create1(0); }

long sys_epoll_ctl(int epfd, int operation, int fd, const struct epoll_event __user *user) {
    struct epoll_event event = {0};
    long result = -EBADF;

    if (operation != EPOLL_CTL_DEL && get_user(event, user))
        return -EFAULT;
    struct file *epoll = fd_get_open(epfd);
    if (!epoll)
        return -EBADF;
    struct file *target = fd_get_open(fd);
    if (target) {
        result = epoll_control(epoll, operation, target, fd, &event);
        file_put(target);
    }
    file_put(epoll);
    return result;
}

static long wait_until_deadline_ns(int epfd, struct epoll_event __user *events, int most, u64 deadline_ns) {
    if (most <= 0 || most > EVENTS_MOST)
        return -EINVAL;
    struct file *epoll = fd_get_open(epfd);
    if (!epoll)
        return -EBADF;
    long result = file_is_epoll(epoll) ? epoll_await(epoll, events, most, deadline_ns) : -EINVAL;
    file_put(epoll);
    return result;
}

static u64 deadline_of_ms(int timeout_ms) {
    if (timeout_ms < 0)
        return SLEEP_FOREVER;
    return timeout_ms ? clock_ns() + timeout_ms * 1000000UL : 0;
}

long sys_epoll_wait(int epfd, struct epoll_event __user *events, int most, int timeout_ms) {
    return wait_until_deadline_ns(epfd, events, most, deadline_of_ms(timeout_ms));
}

static long wait_masked(int epfd, struct epoll_event __user *events, int most, u64 deadline_ns, const u64 __user *mask,
                        size_t bytes) {
    long result = signal_mask_begin_user(mask, bytes);
    if (result)
        return result;
    result = wait_until_deadline_ns(epfd, events, most, deadline_ns);
    if (mask)
        signal_mask_end(result == -EINTR);
    return result;
}

long sys_epoll_pwait(int epfd, struct epoll_event __user *events, int most, int timeout_ms, const u64 __user *mask,
                     size_t bytes) {
    return wait_masked(epfd, events, most, deadline_of_ms(timeout_ms), mask, bytes);
}

long sys_epoll_pwait2(int epfd, struct epoll_event __user *events, int most,
                      const struct __kernel_timespec __user *timeout, const u64 __user *mask, size_t bytes) {
    u64 deadline;
    long result = deadline_in(timeout, &deadline);
    return result ? result : wait_masked(epfd, events, most, deadline, mask, bytes);
}

/* ---- timerfd ---- */

long sys_timerfd_create(int clock, int flags) {
    bool known = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
                 clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK) || !known)
        return -EINVAL;
    return install(timerfd_create(clock, flags & TFD_NONBLOCK), flags & TFD_CLOEXEC);
}

/* Times that do not fit 64 bits of ns are as good as never: they are cut off. */
static int setting_in(const struct __kernel_itimerspec __user *user, struct timerfd_setting *out) {
    struct __kernel_itimerspec t;
    if (get_user(t, user))
        return -EFAULT;
    const struct __kernel_timespec *parts[2] = {&t.it_interval, &t.it_value};
    u64 ns[2];
    for (unsigned i = 0; i < 2; i++) {
        if (parts[i]->tv_sec < 0 || parts[i]->tv_nsec < 0 || parts[i]->tv_nsec >= (s64)NS_PER_S)
            return -EINVAL;
        u64 seconds = min((u64)parts[i]->tv_sec, (u64)0x7fffffffffffffff / NS_PER_S - 1);
        ns[i] = seconds * NS_PER_S + parts[i]->tv_nsec;
    }
    *out = (struct timerfd_setting){.interval_ns = ns[0], .value_ns = ns[1]};
    return 0;
}

static int setting_out(struct __kernel_itimerspec __user *user, const struct timerfd_setting *s) {
    struct __kernel_itimerspec t = {
        .it_interval = {.tv_sec = s->interval_ns / NS_PER_S, .tv_nsec = s->interval_ns % NS_PER_S},
        .it_value = {.tv_sec = s->value_ns / NS_PER_S, .tv_nsec = s->value_ns % NS_PER_S},
    };
    return copy_to_user(user, &t, sizeof(t));
}

long sys_timerfd_settime(int fd, int flags, const struct __kernel_itimerspec __user *new,
                         struct __kernel_itimerspec __user *old) {
    struct timerfd_setting setting, before;
    if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
        return -EINVAL;
    long result = setting_in(new, &setting);
    if (result)
        return result;
    struct file *f = fd_get(fd);
    if (!f)
        return -EBADF;
    result = timerfd_set(f, &setting, flags & TFD_TIMER_ABSTIME, &before);
    file_put(f);
    if (!result && old)
        result = setting_out(old, &before);
    return result;
}

long sys_timerfd_gettime(int fd, struct __kernel_itimerspec __user *out) {
    struct timerfd_setting setting;
    struct file *f = fd_get(fd);
    if (!f)
        return -EBADF;
    long result = timerfd_get(f, &setting);
    file_put(f);
    return result ? result : setting_out(out, &setting);
}

/* ---- signalfd ---- */

long sys_signalfd4(int fd, const u64 __user *user, size_t bytes, int flags) {
    u64 mask;
    if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK) || bytes != sizeof(mask))
        return -EINVAL;
    if (get_user(mask, user))
        return -EFAULT;
    if (fd == -1)
        return install(signalfd_create(mask, flags & SFD_NONBLOCK), flags & SFD_CLOEXEC);
    struct file *f = fd_get(fd);
    if (!f)
        return -EBADF;
    long result = signalfd_set(f, mask);
    file_put(f);
    return result ? result : fd;
}

long sys_signalfd(int fd, const u64 __user *mask, size_t bytes) { return sys_signalfd4(fd, mask, bytes, 0); }
