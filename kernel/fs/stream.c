/* stream.c - the three standard streams: files whose contents are at the other end of the wire.
 *
 * A stream is what the host's descriptor is, as far as a program can see: a pipe, a socket or a device (read and write
 * ask the command), a regular file (which has a position, kept by the host's descriptor, so nothing is read ahead), or
 * a terminal (the line discipline of tty.c, or the host's own). /dev/null is the guest's. Streams that are one file on
 * the host are one open description here.
 *
 * Does not know the wire (dev/host.c). The streams exist for good: their inodes are static and never released. */
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/poll.h>
#include <asm/ioctls.h>

#include "dev/host.h"
#include "fs/io.h"
#include "fs/tty.h"
#include "main.h"
#include "task/task.h"
#include "vm/slab.h"
#include "vm/space.h"

#define STREAMS 3u
#define NULL_DEVICE 0x103u /* 1:3 */
#define TTY_READ 4096u     /* asked of the host's terminal at a time: a line's greatest length */

struct stream {
    struct inode inode;
    unsigned number;
    const struct wire_stream *host;
    struct file *file; /* the first one opened; not counted: only compared and shared while the streams are opened */
    struct host_watch *watch; /* NULL until poll needs it */
    struct waitq ready;       /* the watch fired */
    struct mutex mutex;       /* the host's position, while it is moved and moved back; the making of watch */
    bool watched;             /* somebody waits in poll or epoll: news are wanted */
    struct tty *terminal;
};
static struct stream streams[STREAMS];

static struct super stream_super = {.type = "stream", .options = "rw"};

static bool is_regular(const struct stream *s) { return S_ISREG(s->host->mode); }

/* A buffer for up to `wanted` bytes; a smaller one when memory is short. NULL: none at all. */
static void *buffer_alloc(size_t wanted, size_t *bytes) {
    void *buffer = NULL;
    for (*bytes = min(wanted, (size_t)WIRE_MOST); !(buffer = kmalloc(*bytes)) && *bytes > 512;)
        *bytes /= 2;
    return buffer;
}

/* ---- regular files: the host's position is the description's; pread and pwrite move it and move it back ---- */

/* The position where `position` is not the description's own: moved to; *back: where to return. */
static s64 position_enter(struct stream *s, struct file *file, u64 *position, s64 *back) {
    *back = -1;
    if (!is_regular(s) || position == &file->position)
        return 0;
    *back = host_seek(s->number, 0, SEEK_CUR);
    s64 there = *back < 0 ? *back : host_seek(s->number, *position, SEEK_SET);
    return min(there, (s64)0);
}

/* One exchange. Of a regular file at *position, which goes on. User memory is not touched under the mutex: a page of it
 * may be one of this file, which is to be filled. */
static ssize_t exchange(struct stream *s, struct file *file, u64 *position, void *buffer, size_t bytes, bool write) {
    bool regular = is_regular(s), nowait = !regular && file->flags & O_NONBLOCK;
    s64 back = -1;
    if (regular)
        mutex_lock(&s->mutex);
    ssize_t n = position_enter(s, file, position, &back);
    if (!n)
        n = write ? host_write_stream(s->number, buffer, bytes, nowait)
                  : host_read_stream(s->number, buffer, bytes, nowait);
    if (back >= 0)
        (void)host_seek(s->number, back, SEEK_SET);
    if (regular)
        mutex_unlock(&s->mutex);
    if (regular && n > 0)
        *position += n;
    return n;
}

/* ---- read and write: what the host's descriptor does next ---- */

static ssize_t read_next(struct stream *s, struct file *file, struct iov *to, u64 *position) {
    size_t room, done = 0;
    ssize_t got = 0;
    void *buffer = to->bytes ? buffer_alloc(to->bytes, &room) : NULL;
    if (!buffer)
        return to->bytes ? -ENOMEM : 0;
    do {
        size_t asked = min(room, to->bytes);
        got = exchange(s, file, position, buffer, asked, false);
        size_t moved = got > 0 ? iov_put(to, buffer, got) : 0;
        done += moved;
        if (got > 0 && moved < (size_t)got)
            got = -EFAULT;
        /* A regular file gives all that was asked for, up to its end; a pipe what it has. */
        if (!is_regular(s) || got < (ssize_t)asked)
            break;
    } while (to->bytes);
    kfree(buffer);
    return done ? (ssize_t)done : got == -EINTR ? -ERESTARTSYS : got;
}

static ssize_t write_next(struct stream *s, struct file *file, struct iov *from, u64 *position) {
    size_t room, done = 0;
    ssize_t error = 0;
    char *buffer = from->bytes ? buffer_alloc(from->bytes, &room) : NULL;
    if (!buffer)
        return from->bytes ? -ENOMEM : 0;
    while (from->bytes && !error) {
        size_t asked = min(room, from->bytes), taken = iov_take(from, buffer, asked), at = 0;
        while (at < taken && !error) {
            ssize_t wrote = exchange(s, file, position, buffer + at, taken - at, true);
            if (wrote > 0)
                at += wrote;
            else
                error = wrote ? wrote : -EIO;
        }
        done += at;
        if (taken < asked && !error)
            error = -EFAULT;
    }
    kfree(buffer);
    if (error == -EPIPE)
        signal_broken_pipe();
    if (error == -EFBIG && !done) /* a limit of the host's (ulimit -f), which is its program's, too */
        signal_task(task_current(), SIGXFSZ, NULL);
    return done ? (ssize_t)done : error == -EINTR ? -ERESTARTSYS : error;
}

/* ---- poll ---- */

/* Lets the command tell when one of the events comes that is not there now; only those, else it would tell at once. */
static void watch(struct stream *s, u32 missing) {
    mutex_lock(&s->mutex);
    if (!s->watch)
        s->watch = host_watch_create(s->number, &s->ready);
    struct host_watch *w = s->watch;
    mutex_unlock(&s->mutex);
    if (w)
        host_watch_arm(w, missing);
}

/* What can be done now of what the file is open for; for the rest the watch is set, if somebody wants to know. */
static u32 ask(struct stream *s, u32 mode, bool set_watch) {
    u32 wanted = (mode & FILE_READ ? POLLIN : 0) | (mode & FILE_WRITE ? POLLOUT : 0);
    u32 events = host_poll_now(s->number, wanted) & (wanted | POLLERR | POLLHUP);
    if (wanted & ~events && !(events & (POLLERR | POLLHUP)) && set_watch)
        watch(s, wanted & ~events);
    return events;
}

static ssize_t stream_transfer(struct file *file, struct iov *v, u64 *position,
                               ssize_t (*transfer)(struct stream *, struct file *, struct iov *, u64 *)) {
    struct stream *s = file->private_data;
    ssize_t result = transfer(s, file, v, position);
    /* An edge-triggered epoll stays registered and does not ask again: it is told of what comes after this. */
    if (!is_regular(s) && !list_empty(&s->ready.sleepers))
        (void)ask(s, file->mode, true);
    return result;
}

static ssize_t stream_read(struct file *file, struct iov *to, u64 *position) {
    return stream_transfer(file, to, position, read_next);
}
static ssize_t stream_write(struct file *file, struct iov *from, u64 *position) {
    return stream_transfer(file, from, position, write_next);
}

static s64 stream_seek(struct file *file, s64 offset, int whence) {
    struct stream *s = file->private_data;
    mutex_lock(&s->mutex);
    s64 result = host_seek(s->number, offset, whence);
    mutex_unlock(&s->mutex);
    if (result >= 0)
        file->position = result;
    return result;
}

/* The size as it is now on the host, for fstat. */
static int stream_getattr(struct inode *inode) {
    struct stream *s = container_of(inode, struct stream, inode);
    if (!is_regular(s))
        return 0;
    mutex_lock(&s->mutex);
    s64 here = host_seek(s->number, 0, SEEK_CUR), end = host_seek(s->number, 0, SEEK_END);
    if (here >= 0)
        (void)host_seek(s->number, here, SEEK_SET);
    mutex_unlock(&s->mutex);
    if (end >= 0)
        atomic_store(&inode->object.size, (u64)end);
    return 0;
}

static int stream_fsync(struct file *file, bool data_only) { return 0; }

static u32 stream_poll(struct file *file, struct poll_table *table) {
    struct stream *s = file->private_data;
    if (is_regular(s))
        return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
    if (table)
        atomic_store(&s->watched, true);
    poll_wait(table, &s->ready);
    u32 events = ask(s, file->mode, atomic_load(&s->watched));
    return events | (events & POLLIN ? POLLRDNORM : 0) | (events & POLLOUT ? POLLWRNORM : 0);
}

static long stream_ioctl(struct file *file, u32 command, u64 argument) {
    struct stream *s = file->private_data;
    return s->terminal && command != FIONREAD ? tty_ioctl(s->terminal, command, argument, false) : -ENOTTY;
}

/* Through /dev/stdin, /proc/self/fd/0 and the like: a new description of the same stream. */
static int stream_reopen(struct inode *inode, struct file *file) {
    file->private_data = container_of(inode, struct stream, inode);
    return 0;
}

static const struct file_ops stream_ops = {
    .async = true,
    .open = stream_reopen,
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .ioctl = stream_ioctl,
    .fsync = stream_fsync,
};

/* Mapped pages are read once and kept, as they were then; nothing is written back, so no shared writable mapping. */
static int stream_fill(struct object *o, u64 index, struct frame **frames, unsigned count) {
    struct stream *s = container_of(o, struct stream, inode.object);
    ssize_t got = 1;
    mutex_lock(&s->mutex);
    s64 here = host_seek(s->number, 0, SEEK_CUR);
    s64 error = here < 0 ? here : host_seek(s->number, index << PAGE_SHIFT, SEEK_SET);
    for (unsigned i = 0; i < count && error >= 0; i++) {
        char *page = frame_va(frames[i]);
        size_t done = 0;
        while (done < PAGE_SIZE && got > 0) {
            got = host_read_stream(s->number, page + done, PAGE_SIZE - done, false);
            done += max(got, (ssize_t)0);
        }
        memset(page + done, 0, PAGE_SIZE - done);
        error = min(got, (ssize_t)0);
    }
    if (here >= 0)
        (void)host_seek(s->number, here, SEEK_SET);
    mutex_unlock(&s->mutex);
    return min(error, (s64)0);
}
static const struct object_ops stream_contents = {.fill = stream_fill};

static int stream_map(struct file *file, u32 view_flags, u64 offset, u64 bytes) {
    return view_flags & VIEW_SHARED && file->mode & FILE_WRITE ? -ENODEV : 0;
}

static const struct file_ops regular_ops = {
    .open = stream_reopen,
    .read = stream_read,
    .write = stream_write,
    .seek = stream_seek,
    .poll = stream_poll,
    .fsync = stream_fsync,
    .map = stream_map,
};
static const struct inode_ops stream_inode_ops = {.getattr = stream_getattr};

/* ---- the host's terminal ---- */

static struct tty *host_tty;
static unsigned shown_on; /* the stream that output goes to */
static bool reader_runs;

struct tty *tty_host(void) {
    return host_tty;
}

static ssize_t host_tty_write(struct tty *t, const u8 *bytes, size_t count) {
    return host_write_stream(shown_on, bytes, count, false);
}

/* With a discipline at the host's end (wire.h: tty 2) opening leads to the stream itself. */
static int host_tty_open(struct tty *t, struct file *file) {
    struct stream *s = t->driver;
    if (s) {
        file->ops = &stream_ops;
        file->private_data = s;
    }
    return 0;
}

static const struct tty_ops host_tty_ops = {.write = host_tty_write, .open = host_tty_open};

/* Reads what is typed, whoever wants it: Ctrl-C must reach a program that does not read. */
static void host_tty_reader(void *argument) {
    struct tty *t = argument;
    u8 *buffer = kmalloc(TTY_READ);
    ssize_t got = buffer ? 1 : 0;
    while (got > 0) {
        got = host_read_stream(0, buffer, TTY_READ, false);
        for (ssize_t taken = 0; taken < got;) {
            wait_until(&t->room, !tty_full(t) || atomic_load(&t->hung_up));
            taken += tty_input(t, buffer + taken, got - taken);
        }
    }
    kfree(buffer);
    tty_hangup(t);
    kthread_exit();
}

void tty_host_window(u16 rows, u16 columns, u16 xpixels, u16 ypixels) {
    struct winsize window = {rows, columns, xpixels, ypixels};
    if (host_tty)
        tty_set_window(host_tty, &window);
}

/* The one terminal, at the first stream that is one. NULL: no memory. */
static struct tty *host_tty_get(struct stream *s) {
    if (host_tty)
        return host_tty;
    struct tty *t = kzalloc(sizeof(*t));
    if (!t)
        return NULL;
    tty_init(t, &host_tty_ops, boot_config.termios);
    t->device = s->host->rdev;
    t->driver = s->host->tty == 2 ? s : NULL;
    t->window = (struct winsize){.ws_row = s->host->rows, .ws_col = s->host->columns};
    shown_on = s->number;
    host_tty = t;
    return t;
}

/* ---- opening ---- */

/* Are the two one open description on the host, as far as can be seen? `2>&1` and a terminal's three are. */
static bool is_same(const struct wire_stream *a, const struct wire_stream *b) {
    return a->mode == b->mode && a->flags == b->flags && a->dev == b->dev && a->ino == b->ino && a->rdev == b->rdev &&
           a->offset == b->offset && a->tty == b->tty;
}

static void stream_name(const struct stream *s, char *name, size_t bytes) {
    const char *kinds[] = {"stdin", "stdout", "stderr"};
    u32 minor = (s->host->rdev & 0xff) | (s->host->rdev >> 12 & 0xfff00), major = s->host->rdev >> 8 & 0xfff;
    if (S_ISFIFO(s->host->mode))
        ksnprintf(name, bytes, "pipe:[%lu]", (unsigned long)s->host->ino);
    else if (S_ISSOCK(s->host->mode))
        ksnprintf(name, bytes, "socket:[%lu]", (unsigned long)s->host->ino);
    else if (S_ISCHR(s->host->mode) && major >= UNIX98_PTY_SLAVE_MAJOR &&
             major < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT)
        ksnprintf(name, bytes, "/dev/pts/%u", (major - UNIX98_PTY_SLAVE_MAJOR) * 256 + minor);
    else
        ksnprintf(name, bytes, "%s:[%lu]", kinds[s->number], (unsigned long)s->host->ino);
}

static void stream_init(struct stream *s, unsigned number) {
    s->number = number;
    s->host = &boot_config.wire.stream[number];
    waitq_init(&s->ready);
    mutex_init(&s->mutex);
    inode_init(&s->inode, &stream_super, s->host->mode); /* its reference stays ours */
    object_init(&s->inode.object, &stream_contents, s->host->size);
    s->inode.ops = &stream_inode_ops;
    s->inode.file_ops = is_regular(s) ? &regular_ops : &stream_ops;
    s->inode.dev = s->host->dev;
    s->inode.ino = s->host->ino;
    s->inode.rdev = s->host->rdev;
    s->inode.links = 1;
}

/* A terminal: the first program's session gets it as the controlling one. */
static int stream_terminal(struct stream *s) {
    struct tty *t = s->terminal = host_tty_get(s);
    struct process *p = process_current();
    if (!t)
        return -ENOMEM;
    if (s->host->tty == 1 && (s->host->flags & O_ACCMODE) != O_RDONLY)
        shown_on = s->number;
    if (s->host->tty == 1 && s->number == 0 && !reader_runs) {
        if (!kthread_start("tty", host_tty_reader, t))
            return -ENOMEM;
        reader_runs = true;
    }
    if (p)
        tty_adopt(t, p, true);
    return 0;
}

/* Streams that the guest has under a name of its own, so that ttyname(3) finds it, and stat sees the same file:
 * /dev/null, and a terminal whose discipline is ours. NULL: none of these. */
static const char *guest_name(const struct wire_stream *host) {
    if (S_ISCHR(host->mode) && host->rdev == NULL_DEVICE)
        return "/dev/null";
    return host->tty == 1 ? "/dev/console" : NULL;
}

static struct file *stream_make(struct stream *s, int flags) {
    char name[32];
    stream_name(s, name, sizeof(name));
    inode_get(&s->inode);
    struct file *f = file_make(&s->inode, s->inode.file_ops, flags, name);
    if (is_err(f))
        inode_put(&s->inode);
    else
        f->private_data = s;
    return f;
}

struct file *stream_open(unsigned number) {
    struct stream *s = &streams[number];
    const struct wire_stream *host = &boot_config.wire.stream[number];
    int flags = host->flags & (O_ACCMODE | O_APPEND | O_NONBLOCK);
    for (unsigned other = 0; other < number; other++) {
        if (streams[other].file && is_same(host, streams[other].host)) {
            file_get(streams[other].file);
            return streams[other].file;
        }
    }
    stream_init(s, number);
    int error = host->tty ? stream_terminal(s) : 0;
    if (error)
        return err_ptr(error);
    const char *named = guest_name(host);
    struct file *f = named ? file_open(AT_FDCWD, named, flags, 0) : err_ptr(-ENOENT);
    if (is_err(f))
        f = stream_make(s, flags);
    if (!is_err(f))
        s->file = f;
    return f;
}
