/* pipe.c - pipes and FIFOs: a ring of pages between who writes and who reads.
 *
 *        tail                  head
 *         v                     v
 *     .   A   A   B   B   C   .   .       each letter a page (struct chunk): some bytes at some offset
 *         |-- read -->    |-- the last one is filled up by small writes
 *
 * head and tail count chunks for ever; the ring has `slots` of them, a power of two. The ring is full when
 * head - tail == slots, however few bytes its pages hold: that is what makes a write of up to PIPE_BUF (one page)
 * atomic, and what a program can observe with O_NONBLOCK. Pages are allocated when written to and freed when read
 * empty.
 *
 * pipe->lock is a sleeping lock, because bytes move straight between the user and the page under it. Who waits for the
 * other side lets go of it. Wake-ups: a change from empty (full) wakes one reader (writer), and who leaves the pipe
 * readable (writable) wakes the next, whether it took something, failed or was interrupted: so none is lost.
 *
 * splice takes a chunk off, or reserves a slot for one, and lets go of the lock while the other file moves the bytes:
 * the slot stays counted as used, so what the other file does not take finds its place again. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/poll.h>
#include <asm/ioctls.h>
#include <asm/siginfo.h>

#include "arch/x86_64/usercopy.h"
#include "fs/io.h"
#include "fs/pipe.h"
#include "task/task.h"
#include "vm/frame.h"
#include "vm/slab.h"

#define SLOTS_DEFAULT 16 /* 64 KiB: pipe(7) */
_Static_assert(PIPE_BUF == PAGE_SIZE, "a write of PIPE_BUF bytes goes to one page");

/* Legend: [l] pipe->lock; [f] fifo_lock. */
struct pipe {
    struct mutex lock;
    struct waitq readers, writers;  /* who waits for bytes, for room; watched by poll */
    struct chunk *ring;             /* [l] */
    char *spare;                    /* [l] a page to write to next, or NULL */
    u32 slots;                      /* [l] */
    u32 reserved;                   /* slots that a splice under way will fill; written [l] */
    u32 head, tail;                 /* written [l], read atomically by poll and by who waits */
    u32 reader_count, writer_count; /* open descriptions; written [l], read atomically */
    u32 reader_opens, writer_opens; /* how many there ever were: a FIFO's open waits for one more. Written [l] */
    bool watched;                   /* poll has been here: edge-triggered watchers want to hear of every change */
    u32 users;                      /* [f] of a FIFO's pipe: its open files */
    struct inode *fifo;             /* [c] the FIFO's inode, or NULL */
    struct list fifo_link;          /* [f] in fifos */
};

/* A pipe of pipe(2): lives with its inode. */
struct anonymous {
    struct inode inode;
    struct pipe pipe;
};

u64 pipe_size_most = 1 * MiB;

static struct spin fifo_lock = SPIN_INIT;
static struct list fifos = LIST_INIT(fifos); /* the pipes of open FIFOs */

static struct super pipe_super = {
    .type = "pipefs",
    .dev = 13,
    .options = "rw",
};
static const struct file_ops pipe_ops;

static bool is_empty(const struct pipe *p) { return atomic_load(&p->head) == atomic_load(&p->tail); }
static bool is_full(const struct pipe *p) {
    return atomic_load(&p->head) - atomic_load(&p->tail) + atomic_load(&p->reserved) >= p->slots;
}
static struct chunk *chunk_at(const struct pipe *p, u32 n) { return &p->ring[n & (p->slots - 1)]; }

/* Both ends' first users: -ENOMEM or 0. */
static int pipe_init(struct pipe *p) {
    *p = (struct pipe){.slots = SLOTS_DEFAULT};
    p->ring = kzalloc(SLOTS_DEFAULT * sizeof(struct chunk));
    if (!p->ring)
        return -ENOMEM;
    mutex_init(&p->lock);
    waitq_init(&p->readers);
    waitq_init(&p->writers);
    list_init(&p->fifo_link);
    return 0;
}

/* A page to fill, and back. p->lock is held. NULL: no memory. */
static char *page_get(struct pipe *p) {
    char *page = p->spare;
    p->spare = NULL;
    return page ? page : pages_alloc(0, 0);
}

static void page_put(struct pipe *p, char *page) {
    if (p->spare)
        pages_free(page, 0);
    else
        p->spare = page;
}

/* Drop the oldest chunk. Holds p->lock. */
static void chunk_drop(struct pipe *p) {
    page_put(p, chunk_at(p, p->tail)->page);
    atomic_store(&p->tail, p->tail + 1);
}

/* Holds p->lock, or is the last to know the pipe. */
static void pipe_drain(struct pipe *p) {
    while (!is_empty(p))
        chunk_drop(p);
    if (p->spare)
        pages_free(p->spare, 0);
    p->spare = NULL;
}

static void pipe_destroy(struct pipe *p) {
    pipe_drain(p);
    kfree(p->ring);
}

/* Pass a wake-up on: it was for one of several who sleep, we had it, and there is something left for the next. Who
 * sleeps was on the queue before that wake-up, or has seen by itself what there is: so a look without a fence finds it.
 */
static void wake_next(struct waitq *q) {
    if (!list_empty(&q->sleepers))
        waitq_wake_one(q);
}

/* ---- reading ---- */

/* Move what there is. Returns the bytes, 0 if there are none, -EFAULT. Holds p->lock. */
static ssize_t take_chunks(struct pipe *p, struct iov *to) {
    ssize_t done = 0;
    while (to->bytes && !is_empty(p)) {
        struct chunk *c = chunk_at(p, p->tail);
        size_t wanted = min((size_t)c->bytes, to->bytes);
        size_t moved = iov_put(to, c->page + c->offset, wanted);
        bool packet = c->packet;
        if (moved < wanted) /* what went out of this chunk stays in it, as on Linux */
            return done ? done : -EFAULT;
        done += moved;
        c->offset += moved;
        c->bytes -= moved;
        if (!c->bytes || packet)
            chunk_drop(p);
        if (packet)
            break;
    }
    return done;
}

/* 1: there is something to read; 0: nobody will write any more; -EAGAIN, -ERESTARTSYS. Holds p->lock, lets go of it to
 * sleep. */
static int await_bytes(struct pipe *p, bool nowait, bool *was_full) {
    int error = 0;
    for (;;) {
        *was_full |= is_full(p);
        if (!is_empty(p))
            return 1;
        if (error || !p->writer_count)
            return error;
        if (nowait)
            return -EAGAIN;
        mutex_unlock(&p->lock);
        if (wait_until_interruptible(&p->readers, !is_empty(p) || !atomic_load(&p->writer_count)))
            error = -ERESTARTSYS;
        mutex_lock(&p->lock);
    }
}

/* Lets go of p->lock. */
static void read_end(struct pipe *p, bool was_full) {
    bool wake_writer = (was_full || p->watched) && !is_full(p);
    bool wake_reader = !is_empty(p);
    mutex_unlock(&p->lock);
    if (wake_writer)
        waitq_wake_one(&p->writers);
    if (wake_reader)
        wake_next(&p->readers);
}

static ssize_t pipe_read(struct file *file, struct iov *to, u64 *position) {
    struct pipe *p = file->private_data;
    bool was_full = false;

    if (!to->bytes)
        return 0;
    mutex_lock(&p->lock);
    ssize_t done = await_bytes(p, file->flags & O_NONBLOCK || to->flags & RWF_NOWAIT, &was_full);
    if (done > 0)
        done = take_chunks(p, to);
    read_end(p, was_full);
    return done;
}

/* ---- writing ---- */

/* The bytes past the last whole page go behind the newest chunk's, if all of them fit there: so that a small write
 * stays whole. Returns what was moved (0: it did not fit), or -EFAULT. Holds p->lock. */
static ssize_t fill_up(struct pipe *p, struct iov *from) {
    size_t odd = from->bytes & (PAGE_SIZE - 1);
    if (!odd || is_empty(p))
        return 0;
    struct chunk *c = chunk_at(p, p->head - 1);
    size_t end = c->offset + c->bytes;
    if (c->packet || end + odd > PAGE_SIZE)
        return 0;
    if (iov_take(from, c->page + end, odd) < odd) /* then none of it is written */
        return -EFAULT;
    c->bytes += odd;
    return odd;
}

/* A fresh page with up to a page of bytes. Returns what was moved, -ENOMEM or -EFAULT. Holds p->lock. */
static ssize_t add_chunk(struct pipe *p, struct iov *from, bool packet) {
    size_t wanted = min(from->bytes, PAGE_SIZE);
    char *page = page_get(p);
    if (!page)
        return -ENOMEM;
    size_t moved = iov_take(from, page, wanted);
    if (moved < wanted) {
        page_put(p, page);
        return -EFAULT;
    }
    *chunk_at(p, p->head) = (struct chunk){.page = page, .bytes = moved, .packet = packet};
    atomic_store(&p->head, p->head + 1);
    return moved;
}

/* Put in what fits. Returns the bytes (0: full), or an error when nothing was moved by this call. Holds p->lock. */
static ssize_t put_chunks(struct pipe *p, struct iov *from, bool packet) {
    ssize_t done = 0;
    while (from->bytes && !is_full(p)) {
        ssize_t moved = add_chunk(p, from, packet);
        if (moved < 0)
            return done ? done : moved;
        done += moved;
    }
    return done;
}

/* Write it all, sleeping for room. *empty_seen: readers may sleep. Returns bytes or -errno. Holds p->lock, lets go of
 * it to sleep. */
static ssize_t write_locked(struct pipe *p, struct file *file, struct iov *from, bool *empty_seen) {
    bool packet = file->flags & O_DIRECT;
    ssize_t done = packet ? 0 : fill_up(p, from), moved;

    while (done >= 0 && from->bytes) {
        if (!p->reader_count) {
            signal_broken_pipe();
            return done ? done : -EPIPE;
        }
        *empty_seen |= is_empty(p);
        moved = put_chunks(p, from, packet);
        if (moved < 0)
            return done ? done : moved;
        done += moved;
        if (!from->bytes)
            break;
        if (file->flags & O_NONBLOCK || from->flags & RWF_NOWAIT)
            return done ? done : -EAGAIN;
        bool wake = *empty_seen || p->watched;
        mutex_unlock(&p->lock);
        if (wake)
            waitq_wake_one(&p->readers);
        int error = wait_until_interruptible(&p->writers, !is_full(p) || !atomic_load(&p->reader_count));
        mutex_lock(&p->lock);
        *empty_seen = false;
        if (error)
            return done ? done : -ERESTARTSYS;
    }
    return done;
}

/* Lets go of p->lock. */
static void write_end(struct pipe *p, bool empty_seen) {
    bool wake_reader = (empty_seen || p->watched) && !is_empty(p);
    bool wake_writer = !is_full(p);
    mutex_unlock(&p->lock);
    if (wake_reader)
        waitq_wake_one(&p->readers);
    if (wake_writer)
        wake_next(&p->writers);
}

static ssize_t pipe_write(struct file *file, struct iov *from, u64 *position) {
    struct pipe *p = file->private_data;
    bool empty_seen;
    ssize_t done;

    if (!from->bytes)
        return 0;
    mutex_lock(&p->lock);
    empty_seen = is_empty(p);
    if (!p->reader_count) {
        signal_broken_pipe();
        done = -EPIPE;
    } else {
        done = write_locked(p, file, from, &empty_seen);
    }
    write_end(p, empty_seen);
    return done;
}

/* ---- splice and tee ---- */

int pipe_take(struct file *file, struct chunk *out, bool nowait) {
    struct pipe *p = file->private_data;
    bool was_full = false;

    mutex_lock(&p->lock);
    int result = await_bytes(p, nowait || file->flags & O_NONBLOCK, &was_full);
    if (result > 0) {
        *out = *chunk_at(p, p->tail);
        p->reserved++;
        atomic_store(&p->tail, p->tail + 1);
    }
    read_end(p, false);
    return result;
}

void pipe_take_end(struct file *file, struct chunk *c) {
    struct pipe *p = file->private_data;

    mutex_lock(&p->lock);
    bool was_full = is_full(p);
    atomic_store(&p->reserved, p->reserved - 1);
    if (c->bytes) {
        *chunk_at(p, p->tail - 1) = *c;
        atomic_store(&p->tail, p->tail - 1);
    } else {
        page_put(p, c->page);
    }
    read_end(p, was_full);
}

int pipe_copy(struct file *file, u64 *cursor, struct chunk *to, bool nowait) {
    struct pipe *p = file->private_data;
    bool was_full = false;

    mutex_lock(&p->lock);
    int result = await_bytes(p, nowait || file->flags & O_NONBLOCK, &was_full);
    if (result > 0) {
        u32 behind = (u32)*cursor - p->tail; /* a large number when it is gone */
        u32 n = *cursor != CHUNK_OLDEST && behind <= p->head - p->tail ? (u32)*cursor : p->tail;
        struct chunk *c = chunk_at(p, n);
        result = n != p->head;
        if (result) {
            *to = (struct chunk){.page = to->page, .bytes = min(c->bytes, to->bytes), .packet = c->packet};
            memcpy(to->page, c->page + c->offset, to->bytes);
            *cursor = n + 1u;
        }
    }
    read_end(p, false);
    return result;
}

int pipe_reserve(struct file *file, struct chunk *out, bool nowait) {
    struct pipe *p = file->private_data;
    int error = 0;

    nowait |= !!(file->flags & O_NONBLOCK);
    mutex_lock(&p->lock);
    while (!error && p->reader_count && is_full(p)) {
        mutex_unlock(&p->lock);
        if (nowait)
            error = -EAGAIN;
        else if (wait_until_interruptible(&p->writers, !is_full(p) || !atomic_load(&p->reader_count)))
            error = -ERESTARTSYS;
        mutex_lock(&p->lock);
    }
    if (!error && !p->reader_count) {
        signal_broken_pipe();
        error = -EPIPE;
    }
    *out = (struct chunk){.page = error ? NULL : page_get(p)};
    if (!error && !out->page)
        error = -ENOMEM;
    if (!error)
        atomic_store(&p->reserved, p->reserved + 1);
    write_end(p, false);
    return error;
}

void pipe_reserve_end(struct file *file, struct chunk *c) {
    struct pipe *p = file->private_data;

    mutex_lock(&p->lock);
    bool empty_seen = is_empty(p);
    atomic_store(&p->reserved, p->reserved - 1);
    if (c->bytes) {
        *chunk_at(p, p->head) = *c;
        atomic_store(&p->head, p->head + 1);
    } else {
        page_put(p, c->page);
    }
    write_end(p, empty_seen);
}

/* ---- the rest of a file's operations ---- */

static u32 pipe_poll(struct file *file, struct poll_table *table) {
    struct pipe *p = file->private_data;
    u32 events = 0;

    if (table) {
        atomic_store(&p->watched, true);
        if (file->mode & FILE_READ)
            poll_wait(table, &p->readers);
        if (file->mode & FILE_WRITE)
            poll_wait(table, &p->writers);
    }
    if (file->mode & FILE_READ) {
        if (!is_empty(p))
            events |= POLLIN | POLLRDNORM;
        /* file->position is a FIFO reader's count of writers at its open: before the first writer comes there is no
         * hang-up */
        if (!atomic_load(&p->writer_count) && file->position != p->writer_opens)
            events |= POLLHUP;
    }
    if (file->mode & FILE_WRITE) {
        if (!is_full(p))
            events |= POLLOUT | POLLWRNORM;
        if (!atomic_load(&p->reader_count))
            events |= POLLERR;
    }
    return events;
}

static long pipe_ioctl(struct file *file, u32 command, u64 argument) {
    struct pipe *p = file->private_data;
    int bytes = 0;

    if (command != FIONREAD)
        return -ENOTTY;
    mutex_lock(&p->lock);
    for (u32 n = p->tail; n != p->head; n++)
        bytes += chunk_at(p, n)->bytes;
    mutex_unlock(&p->lock);
    return put_user(bytes, (int __user *)argument);
}

/* The last descriptor of an end goes: the other side must hear of it. Returns with p->lock free. */
static void pipe_close_end(struct pipe *p, u32 mode) {
    mutex_lock(&p->lock);
    if (mode & FILE_READ)
        atomic_store(&p->reader_count, p->reader_count - 1);
    if (mode & FILE_WRITE)
        atomic_store(&p->writer_count, p->writer_count - 1);
    bool one_sided = !p->reader_count != !p->writer_count;
    if (!p->reader_count && !p->writer_count)
        pipe_drain(p);
    mutex_unlock(&p->lock);
    if (one_sided) {
        waitq_wake_all(&p->readers);
        waitq_wake_all(&p->writers);
    }
}

static void fifo_put(struct pipe *p) {
    spin_lock(&fifo_lock);
    bool last = --p->users == 0;
    if (last)
        list_del(&p->fifo_link);
    spin_unlock(&fifo_lock);
    if (last) {
        pipe_destroy(p);
        kfree(p);
    }
}

static void pipe_release(struct file *file) {
    struct pipe *p = file->private_data;
    if (!p) /* a FIFO whose open failed */
        return;
    pipe_close_end(p, file->mode);
    if (p->fifo)
        fifo_put(p);
}

static const struct file_ops pipe_ops = {
    .async = true,
    .open = fifo_open,
    .release = pipe_release,
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
};

/* ---- pipe(2) ---- */

static void anonymous_release(struct inode *inode) {
    struct anonymous *a = container_of(inode, struct anonymous, inode);
    pipe_destroy(&a->pipe);
    kfree(a);
}
static const struct inode_ops anonymous_ops = {.release = anonymous_release};

static struct anonymous *anonymous_create(void) {
    struct anonymous *a = kzalloc(sizeof(*a));
    if (!a)
        return NULL;
    if (pipe_init(&a->pipe)) {
        kfree(a);
        return NULL;
    }
    inode_init(&a->inode, &pipe_super, S_IFIFO | 0600);
    a->inode.ino = anon_number();
    a->inode.ops = &anonymous_ops;
    a->inode.file_ops = &pipe_ops;
    return a;
}

/* One end. The pipe's counts are raised before anything can fail, so release finds them right. */
static struct file *make_end(struct anonymous *a, int flags, const char *name) {
    inode_get(&a->inode); /* for the file */
    struct file *f = file_make(&a->inode, &pipe_ops, flags, name);
    if (is_err(f)) {
        inode_put(&a->inode);
        return f;
    }
    f->private_data = &a->pipe;
    if (f->mode & FILE_READ)
        a->pipe.reader_count = a->pipe.reader_opens = 1;
    else
        a->pipe.writer_count = a->pipe.writer_opens = 1;
    return f;
}

int pipe_create(struct file *ends[2], int flags) {
    char name[32];
    int error = 0;
    struct anonymous *a = anonymous_create();
    if (!a)
        return -ENOMEM;
    ksnprintf(name, sizeof(name), "pipe:[%lu]", (unsigned long)a->inode.ino);
    ends[0] = make_end(a, O_RDONLY | (flags & O_NONBLOCK), name);
    if (is_err(ends[0])) {
        error = ptr_err(ends[0]);
        goto out;
    }
    ends[1] = make_end(a, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), name);
    if (is_err(ends[1])) {
        error = ptr_err(ends[1]);
        file_put(ends[0]);
    }
out:
    inode_put(&a->inode); /* each end has its own */
    return error;
}

/* ---- FIFOs ---- */

/* The pipe behind a FIFO's inode, found or made, with one more user. NULL: no memory. */
static struct pipe *fifo_get(struct inode *inode) {
    struct pipe *fresh = NULL, *p, *found;
    for (;;) {
        found = NULL;
        spin_lock(&fifo_lock);
        list_for_each(p, &fifos, fifo_link) {
            if (p->fifo == inode) {
                found = p;
                break;
            }
        }
        if (!found && fresh) {
            fresh->fifo = inode;
            list_add(&fifos, &fresh->fifo_link);
            found = fresh;
            fresh = NULL;
        }
        if (found)
            found->users++;
        spin_unlock(&fifo_lock);
        if (found)
            break;
        fresh = kmalloc(sizeof(*fresh));
        if (!fresh || pipe_init(fresh)) {
            kfree(fresh);
            return NULL;
        }
    }
    if (fresh) {
        pipe_destroy(fresh);
        kfree(fresh);
    }
    return found;
}

/* Returns how often the other end was opened before, or, in *partner, that it is open: seen in one with our own count.
 * Later would be too late: the partner may see us, go on, and be gone again. */
static u32 count_open(struct pipe *p, u32 mode, bool *partner) {
    mutex_lock(&p->lock);
    u32 before = mode & FILE_READ ? p->writer_opens : p->reader_opens;
    *partner = mode & FILE_READ ? p->writer_count : p->reader_count;
    if (mode & FILE_READ) {
        atomic_store(&p->reader_opens, p->reader_opens + 1);
        atomic_store(&p->reader_count, p->reader_count + 1);
    }
    if (mode & FILE_WRITE) {
        atomic_store(&p->writer_opens, p->writer_opens + 1);
        atomic_store(&p->writer_count, p->writer_count + 1);
    }
    mutex_unlock(&p->lock);
    waitq_wake_all(&p->readers);
    waitq_wake_all(&p->writers);
    return before;
}

/* Sleep until the other end has been opened more often than `before`, even if it is closed again. */
static int await_partner(struct pipe *p, u32 mode, u32 before) {
    u32 *opens = mode & FILE_READ ? &p->writer_opens : &p->reader_opens;
    struct waitq *queue = mode & FILE_READ ? &p->readers : &p->writers;
    return wait_until_interruptible(queue, atomic_load(opens) != before) ? -ERESTARTSYS : 0;
}

int fifo_open(struct inode *inode, struct file *file) {
    bool named = inode->super != &pipe_super;
    u32 mode = file->mode & (FILE_READ | FILE_WRITE);
    struct pipe *p;
    int error = 0;

    file->ops = &pipe_ops;
    file->private_data = NULL;
    p = named ? fifo_get(inode) : &container_of(inode, struct anonymous, inode)->pipe;
    if (!p)
        return -ENOMEM;
    if (named && mode == FILE_WRITE && (file->flags & O_NONBLOCK) && !atomic_load(&p->reader_count)) {
        fifo_put(p);
        return -ENXIO;
    }
    bool partner;
    u32 before = count_open(p, mode, &partner);
    if (named && mode != (FILE_READ | FILE_WRITE) && !partner) {
        if (!(file->flags & O_NONBLOCK))
            error = await_partner(p, mode, before);
        else if (mode == FILE_READ)
            file->position = before;
    }
    if (error) {
        pipe_close_end(p, mode);
        fifo_put(p);
        return error;
    }
    file->private_data = p;
    return 0;
}

/* ---- fcntl ---- */

bool file_is_pipe(const struct file *f) { return f->ops == &pipe_ops; }
bool pipe_same(const struct file *a, const struct file *b) { return a->private_data == b->private_data; }

long pipe_get_size(struct file *f) {
    if (!file_is_pipe(f))
        return -EBADF;
    return (long)((struct pipe *)f->private_data)->slots * PAGE_SIZE;
}

/* Move the chunks to a ring of another size. They keep their numbers: poll and who waits read head and tail without the
 * lock, and tee remembers one. Holds p->lock. */
static int change_ring(struct pipe *p, u32 slots) {
    if (p->head - p->tail + p->reserved > slots)
        return -EBUSY;
    struct chunk *ring = kzalloc(slots * sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    for (u32 n = p->tail; n != p->head; n++)
        ring[n & (slots - 1)] = *chunk_at(p, n);
    kfree(p->ring);
    p->ring = ring;
    p->slots = slots;
    return 0;
}

long pipe_set_size(struct file *f, u64 bytes) {
    u64 size = PAGE_SIZE;
    struct pipe *p = f->private_data;

    if (!file_is_pipe(f))
        return -EBADF;
    if (bytes > 1u << 31) /* fcntl(2): what does not fit an unsigned int's power of two */
        return -EINVAL;
    while (size < bytes)
        size <<= 1;
    mutex_lock(&p->lock);
    int error = 0;
    if (size > (u64)p->slots * PAGE_SIZE && size > atomic_load(&pipe_size_most) && !capable(CAP_SYS_RESOURCE))
        error = -EPERM;
    else
        error = change_ring(p, size / PAGE_SIZE);
    mutex_unlock(&p->lock);
    if (error)
        return error;
    waitq_wake_all(&p->writers); /* there may be room */
    return size;
}
