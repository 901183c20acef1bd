/* event.h - files that stand for an event: eventfd, timerfd, signalfd, epoll. The system calls of sys/event.c use them.
 */
#pragma once

#include <linux/eventpoll.h>

#include "fs/vfs.h"

/* All return a counted file, or err_ptr(-ENOMEM...). flags: O_NONBLOCK. */
struct file *eventfd_create(u64 count, bool semaphore, int flags);
bool file_is_eventfd(const struct file *f);
void eventfd_signal(struct file *f); /* one more of what it counts; at the most that it can count it stays */
struct file *epoll_create(void);
struct file *timerfd_create(int clock, int flags);
struct file *signalfd_create(u64 mask, int flags);
int signalfd_set(struct file *f, u64 mask); /* -EINVAL: not a signalfd */

/* epoll_control: EPOLL_CTL_*. fd is only a label: (target, fd) names an item. -EEXIST, -ENOENT, -EPERM, -EINVAL,
 * -ELOOP, -ENOMEM. */
int epoll_control(struct file *epoll, int operation, struct file *target, int fd, const struct epoll_event *event);
/* epoll_await: up to `most` events to user memory. Returns how many, 0 at the deadline, -EINTR, -EFAULT. deadline 0: do
 * not sleep. */
long epoll_await(struct file *epoll, struct epoll_event __user *events, int most, u64 deadline_ns);
bool file_is_epoll(const struct file *f);

/* Times in ns; a timer that is off has value 0. 0 or -EINVAL (no timerfd). */
struct timerfd_setting {
    u64 interval_ns, value_ns;
};
int timerfd_set(struct file *f, const struct timerfd_setting *setting, bool absolute, struct timerfd_setting *old);
int timerfd_get(struct file *f, struct timerfd_setting *out);

/* One "name:\tvalue" block for /proc/PID/fdinfo of such a file; 0 bytes for other files. */
int event_fdinfo(struct file *f, char *text, size_t bytes);
/* [a] what the contexts of io_setup(2) may hold together, and how much that may be: /proc/sys/fs/aio-* (sys/aio.c) */
extern u64 aio_events, aio_events_most;

/* event_seek: such files have no position, and lseek(2) does not mind. */
s64 event_seek(struct file *f, s64 offset, int whence);
