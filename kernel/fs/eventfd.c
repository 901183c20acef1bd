/* eventfd.c - a counter that a program can wait for: eventfd(2). */
#include <linux/poll.h>

#include "fs/event.h"
#include "fs/io.h"
#include "fs/pipe.h"
#include "vm/slab.h"

#define COUNT_MOST (~0ULL - 1) /* eventfd(2): write blocks rather than pass it */

struct eventfd {
    struct spin lock; /* protects count for those who change it; polls read it atomically */
    u64 count;
    bool semaphore;
    struct waitq queue; /* who waits for a count, or for room */
};

static const struct file_ops eventfd_ops;

/* Take the count (or one of it). False: nothing there. */
static bool take(struct eventfd *e, u64 *value) {
    spin_lock(&e->lock);
    *value = e->semaphore && e->count ? 1 : e->count;
    atomic_store(&e->count, e->count - *value);
    spin_unlock(&e->lock);
    return *value != 0;
}

/* Add to the count. False: no room. */
static bool put(struct eventfd *e, u64 value) {
    spin_lock(&e->lock);
    bool fits = value <= COUNT_MOST - e->count;
    if (fits)
        atomic_store(&e->count, e->count + value);
    spin_unlock(&e->lock);
    return fits;
}

static ssize_t eventfd_read(struct file *file, struct iov *to, u64 *position) {
    struct eventfd *e = file->private_data;
    u64 value;

    if (to->bytes < sizeof(value))
        return -EINVAL;
    while (!take(e, &value)) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        if (wait_until_interruptible(&e->queue, atomic_load(&e->count)))
            return -ERESTARTSYS;
    }
    waitq_wake_all(&e->queue);
    return iov_put(to, &value, sizeof(value)) == sizeof(value) ? (ssize_t)sizeof(value) : -EFAULT;
}

static ssize_t eventfd_write(struct file *file, struct iov *from, u64 *position) {
    struct eventfd *e = file->private_data;
    u64 value;

    if (from->bytes < sizeof(value))
        return -EINVAL;
    if (iov_take(from, &value, sizeof(value)) != sizeof(value))
        return -EFAULT;
    if (value == ~0ULL)
        return -EINVAL;
    while (!put(e, value)) {
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        if (wait_until_interruptible(&e->queue, value <= COUNT_MOST - atomic_load(&e->count)))
            return -ERESTARTSYS;
    }
    waitq_wake_all(&e->queue);
    return sizeof(value);
}

static u32 eventfd_poll(struct file *file, struct poll_table *table) {
    struct eventfd *e = file->private_data;
    u32 events = 0;

    poll_wait(table, &e->queue);
    u64 count = atomic_load(&e->count);
    if (count)
        events |= POLLIN;
    if (count < COUNT_MOST)
        events |= POLLOUT;
    return events;
}

static void eventfd_release(struct file *file) { kfree(file->private_data); }

static const struct file_ops eventfd_ops = {
    .seek = event_seek,
    .release = eventfd_release,
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
};

struct file *eventfd_create(u64 count, bool semaphore, int flags) {
    struct eventfd *e = kzalloc(sizeof(*e));
    struct inode *inode = anon_inode();
    if (!e) {
        inode_put(inode);
        return err_ptr(-ENOMEM);
    }
    spin_init(&e->lock);
    waitq_init(&e->queue);
    e->count = count;
    e->semaphore = semaphore;
    struct file *file = file_make(inode, &eventfd_ops, O_RDWR | flags, "anon_inode:[eventfd]");
    if (is_err(file)) {
        inode_put(inode);
        kfree(e);
    } else {
        file->private_data = e;
    }
    return file;
}

bool file_is_eventfd(const struct file *f) { return f->ops == &eventfd_ops; }

void eventfd_signal(struct file *f) {
    struct eventfd *e = f->private_data;

    (void)put(e, 1);
    waitq_wake_all(&e->queue);
}

int event_fdinfo(struct file *f, char *text, size_t bytes) {
    if (!file_is_eventfd(f))
        return 0;
    struct eventfd *e = f->private_data;
    return ksnprintf(text, bytes, "eventfd-count: %16lx\n", (unsigned long)atomic_load(&e->count));
}

s64 event_seek(struct file *f, s64 offset, int whence) { return f->position; }
