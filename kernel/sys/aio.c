/* aio.c - io_setup(2), io_submit(2) and their family, as libaio calls them.
 *
 * A transfer is over when it has been submitted, as it nearly always is on Linux for a file that goes through the page
 * cache; what remains to be done is to tell of it in order. A context is a queue of such news: for io_getevents, which
 * waits for other threads' submissions, and for an eventfd. It belongs to a process and goes with its program.
 *
 * Its name is an address in the program's memory, where libaio looks for a ring that it may read for itself; the page
 * of zeroes there says that it may not. POLL and NOOP are not there.
 *
 * Locks: the owner's ->lock for its list of contexts; a context's mutex orders those who take news. */
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/mman.h>

#include "fs/event.h"
#include "fs/file.h"
#include "fs/open.h"
#include "sys/deadline.h"
#include "sys/sys.h"
#include "sys/vector.h"
#include "task/task.h"
#include "task/times.h"
#include "vm/slab.h"

u64 aio_events, aio_events_most = 65536;

struct aio_context {
    struct list link;   /* [l] of the process */
    u64 name;           /* of the page of zeroes */
    u32 references;     /* [a] the list's one, each call's one */
    u32 most, reserved; /* reserved: [a] events that wait, or for which a transfer is under way */
    bool over;          /* [a] io_destroy */
    struct mutex takers;
    struct spin lock;
    struct list done;   /* under lock */
    struct waitq queue; /* who waits for events */
};

struct completion {
    struct list link;
    struct io_event event;
};

/* ---- contexts ---- */

static struct aio_context *context_get(u64 name) {
    struct process *p = process_current();
    struct aio_context *c, *found = NULL;

    spin_lock(&p->lock);
    list_for_each(c, &p->aio_contexts, link) {
        if (c->name == name) {
            atomic_add(&c->references, 1);
            found = c;
            break;
        }
    }
    spin_unlock(&p->lock);
    return found;
}

static void context_put(struct aio_context *c) {
    if (atomic_sub(&c->references, 1) != 0)
        return;
    while (!list_empty(&c->done)) {
        struct completion *done = list_first(&c->done, struct completion, link);

        list_del(&done->link);
        kfree(done);
    }
    atomic_sub(&aio_events, c->most);
    kfree(c);
}

/* unlist: the list's reference is the caller's. NULL: there is no such context any more; name 0: any. */
static struct aio_context *unlist(struct process *p, u64 name) {
    struct aio_context *c, *found = NULL;

    spin_lock(&p->lock);
    list_for_each(c, &p->aio_contexts, link) {
        if (!name || c->name == name) {
            list_del(&c->link);
            found = c;
            break;
        }
    }
    spin_unlock(&p->lock);
    return found;
}

void aio_process_end(struct process *p) {
    struct aio_context *c;

    while ((c = unlist(p, 0)))
        context_put(c);
}

static struct aio_context *context_make(u32 most) {
    struct aio_context *c = kzalloc(sizeof(*c));

    if (c) {
        c->references = 1;
        c->most = most;
        mutex_init(&c->takers);
        spin_init(&c->lock);
        list_init(&c->done);
        waitq_init(&c->queue);
    }
    return c;
}

long sys_io_setup(u32 most, u64 __user *out) {
    struct process *p = process_current();
    struct aio_context *c = NULL;
    bool room;
    long name;

    if (get_user(name, out))
        return -EFAULT;
    if (name || !most)
        return -EINVAL;
    room = atomic_add(&aio_events, most) <= atomic_load_relaxed(&aio_events_most);
    if (room)
        c = context_make(most);
    if (!c) {
        atomic_sub(&aio_events, most);
        return room ? -ENOMEM : -EAGAIN;
    }
    name = sys_mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (name < 0) {
        context_put(c);
        return name;
    }
    if (put_user((u64)name, out)) {
        sys_munmap((u64)name, PAGE_SIZE);
        context_put(c);
        return -EFAULT;
    }
    c->name = (u64)name;
    spin_lock(&p->lock);
    list_add_tail(&p->aio_contexts, &c->link);
    spin_unlock(&p->lock);
    return 0;
}

long sys_io_destroy(u64 name) {
    struct aio_context *c = name ? unlist(process_current(), name) : NULL;

    if (!c)
        return -EINVAL;
    atomic_store(&c->over, true);
    waitq_wake_all(&c->queue);
    sys_munmap(name, PAGE_SIZE);
    context_put(c);
    return 0;
}

/* ---- transfers ---- */

static ssize_t store(struct file *f, const struct iocb *io) {
    bool data_only = io->aio_lio_opcode == IOCB_CMD_FDSYNC;

    if (io->aio_buf || io->aio_offset || io->aio_nbytes || io->aio_rw_flags || !f->ops->fsync)
        return -EINVAL;
    return f->ops->fsync(f, data_only);
}

/* prepare: the bytes that a request is about. What it says fails the submission. */
static int prepare(struct file *f, const struct iocb *io, bool write, struct user_vector *v) {
    bool scattered = io->aio_lio_opcode == IOCB_CMD_PREADV || io->aio_lio_opcode == IOCB_CMD_PWRITEV;
    int error = 0;

    v->allocated = NULL;
    if (io->aio_rw_flags & ~TRANSFER_FLAGS)
        return -EOPNOTSUPP;
    if (!(f->mode & (write ? FILE_WRITE : FILE_READ)))
        return -EBADF;
    if (scattered)
        error = vector_begin(v, (struct iovec *)io->aio_buf, io->aio_nbytes);
    else if (!user_range_fits((void *)io->aio_buf, io->aio_nbytes))
        error = -EFAULT;
    else
        iov_user(&v->cursor, (void *)io->aio_buf, min(io->aio_nbytes, TRANSFER_MOST));
    if (!error && file_seeks(f) && (io->aio_offset < 0 || io->aio_offset + (s64)v->cursor.bytes < 0))
        error = -EINVAL;
    v->cursor.flags = (u8)io->aio_rw_flags;
    return error;
}

static int transfer(struct file *f, const struct iocb *io, ssize_t *result) {
    bool write = io->aio_lio_opcode == IOCB_CMD_PWRITE || io->aio_lio_opcode == IOCB_CMD_PWRITEV;
    u64 position = file_seeks(f) ? (u64)io->aio_offset : 0;
    struct user_vector v;
    int error = prepare(f, io, write, &v);

    if (!error) {
        *result = write ? file_write(f, &v.cursor, &position) : file_read(f, &v.cursor, &position);
        if (*result == -ERESTARTSYS)
            *result = -EINTR;
    }
    vector_end(&v);
    return error;
}

/* perform: 0: *result is news; else the request was none. */
static int perform(struct file *f, const struct iocb *io, ssize_t *result) {
    int error = 0;

    switch (io->aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        error = transfer(f, io, result);
        break;
    case IOCB_CMD_FSYNC:
    case IOCB_CMD_FDSYNC:
        *result = store(f, io);
        error = *result == -EINVAL ? -EINVAL : 0;
        break;
    default:
        error = -EINVAL;
        break;
    }
    return error;
}

static void tell(struct aio_context *c, struct completion *done, struct file *event) {
    spin_lock(&c->lock);
    list_add_tail(&c->done, &done->link);
    spin_unlock(&c->lock);
    waitq_wake_all(&c->queue);
    if (event)
        eventfd_signal(event);
}

/* submit: takes the reserved place and the completion over if it returns 0. */
static int submit(struct aio_context *c, const struct iocb *io, struct iocb __user *user, struct completion *done) {
    struct file *f = fd_get_open((int)io->aio_fildes), *event = NULL;
    ssize_t result = 0;
    int error = f ? 0 : -EBADF;

    if (!error && io->aio_flags & IOCB_FLAG_RESFD) {
        event = fd_get((int)io->aio_resfd);
        error = !event ? -EBADF : file_is_eventfd(event) ? 0 : -EINVAL;
    }
    if (!error && put_user(0, &user->aio_key))
        error = -EFAULT;
    if (!error)
        error = perform(f, io, &result);
    if (!error) {
        done->event = (struct io_event){.data = io->aio_data, .obj = (u64)user, .res = result};
        tell(c, done, event);
    }
    if (event)
        file_put(event);
    if (f)
        file_put(f);
    return error;
}

static int submit_one(struct aio_context *c, struct iocb __user *user) {
    struct completion *done;
    struct iocb io;
    int error;

    if (copy_from_user(&io, user, sizeof(io)))
        return -EFAULT;
    if (io.aio_reserved2 || (s64)io.aio_nbytes < 0)
        return -EINVAL;
    done = atomic_add(&c->reserved, 1) <= c->most ? kmalloc(sizeof(*done)) : NULL;
    error = done ? submit(c, &io, user, done) : -EAGAIN;
    if (error) {
        atomic_sub(&c->reserved, 1);
        kfree(done);
    }
    return error;
}

long sys_io_submit(u64 name, s64 count, struct iocb __user *__user *user) {
    struct aio_context *c = count < 0 ? NULL : context_get(name);
    struct iocb *one;
    s64 n = 0;
    int error = 0;

    if (!c)
        return -EINVAL;
    count = min(count, (s64)c->most);
    while (!error && n < count) {
        error = get_user(one, user + n);
        if (!error)
            error = submit_one(c, one);
        n += !error;
    }
    context_put(c);
    return n ? n : error;
}

/* io_cancel: what was submitted is over. */
long sys_io_cancel(u64 name, struct iocb __user *user, struct io_event __user *event) {
    u32 key;

    return get_user(key, &user->aio_key) ? -EFAULT : -EINVAL;
}

/* ---- news ---- */

/* take: up to `most` events for the user; how many, or -EFAULT. */
static long take(struct aio_context *c, struct io_event __user *events, s64 most) {
    struct completion *done = NULL;
    long n = 0, error = 0;

    mutex_lock(&c->takers);
    while (!error && n < most && !list_empty(&c->done)) {
        done = list_first(&c->done, struct completion, link); /* only takers take, and only at this end */
        error = copy_to_user(events + n, &done->event, sizeof(done->event));
        if (error)
            break;
        spin_lock(&c->lock);
        list_del(&done->link);
        spin_unlock(&c->lock);
        kfree(done);
        atomic_sub(&c->reserved, 1);
        n++;
    }
    mutex_unlock(&c->takers);
    return n ? n : error;
}

static long await(struct aio_context *c, s64 least, s64 most, struct io_event __user *events, u64 deadline) {
    long n = 0, got, error = 0;

    do {
        got = take(c, events + n, most - n);
        if (got < 0)
            break;
        n += got;
        if (n < least && deadline)
            error = wait_until_deadline(&c->queue, !list_empty(&c->done) || atomic_load(&c->over), true, deadline);
    } while (n < least && deadline && !error && !atomic_load(&c->over));
    if (n)
        return n;
    if (got < 0)
        return got;
    return atomic_load(&c->over) ? -EINVAL : error == -EINTR ? -EINTR : 0;
}

long sys_io_getevents(u64 name, s64 least, s64 most, struct io_event __user *events,
                      const struct __kernel_timespec __user *timeout) {
    struct aio_context *c;
    u64 deadline;
    long result = deadline_in(timeout, &deadline);

    if (result)
        return result;
    c = least >= 0 && least <= most ? context_get(name) : NULL;
    if (!c)
        return -EINVAL;
    result = await(c, least, most, events, deadline);
    context_put(c);
    return result;
}

struct aio_sigset {
    const u64 __user *mask;
    size_t bytes;
};

long sys_io_pgetevents(u64 name, s64 least, s64 most, struct io_event __user *events,
                       const struct __kernel_timespec __user *timeout, const struct aio_sigset __user *user) {
    struct aio_sigset set = {0};
    long result = user && copy_from_user(&set, user, sizeof(set)) ? -EFAULT : 0;

    if (!result)
        result = signal_mask_begin_user(set.mask, set.bytes);
    if (result)
        return result;
    result = sys_io_getevents(name, least, most, events, timeout);
    if (set.mask)
        signal_mask_end(result == -EINTR);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}
