/* rw.c - system calls that move bytes: read, write, their scattered and positioned kinds, seek, and file to file. */
#include <linux/fs.h>

#include "fs/file.h"
#include "fs/io.h"
#include "fs/open.h"
#include "fs/pipe.h"
#include "sys/sys.h"
#include "sys/vector.h"
#include "task/task.h"
#include "vm/machine.h"
#include "vm/slab.h"

#define COPY_CHUNK (32 * KiB)

#define SPLICE_FLAGS 15u /* MOVE, NONBLOCK, MORE, GIFT, as splice(2) numbers them: no header of linux-libc-dev does */
#define SPLICE_NOWAIT 2u

enum direction { READ, WRITE };

/* One transfer at *position, or at the file's own when NULL. */
static ssize_t transfer(struct file *f, enum direction way, struct iov *v, u64 *position) {
    u32 type = f->inode->mode & S_IFMT;
    bool own = !position && file_seeks(f);
    bool lock = own && (type == S_IFREG || type == S_IFDIR); /* others may sleep until someone else writes: eventfd */
    u64 nowhere = 0;
    ssize_t n;

    if (lock)
        mutex_lock(&f->position_lock);
    if (own) {
        position = &f->position;
    } else if (!position) {
        position = &nowhere;
    }
    if ((s64)(*position + v->bytes) < 0)
        n = -EINVAL; /* no file has such a byte */
    else
        n = way == READ ? file_read(f, v, position) : file_write(f, v, position);
    if (lock)
        mutex_unlock(&f->position_lock);
    return n;
}

static long single(int fd, enum direction way, void __user *buffer, size_t bytes, u64 *position) {
    struct file *f = fd_get(fd);
    struct iov v;
    ssize_t n;

    if (!f)
        return -EBADF;
    iov_user(&v, buffer, min(bytes, TRANSFER_MOST));
    if (position && !file_seeks(f))
        n = f->mode & FILE_PATH ? -EBADF : -ESPIPE;
    else if (f->mode & (way == READ ? FILE_READ : FILE_WRITE))
        n = user_range_fits(buffer, bytes) ? transfer(f, way, &v, position) : -EFAULT;
    else
        n = -EBADF;
    file_put(f);
    return n;
}

long sys_read(int fd, void __user *buffer, size_t bytes) { return single(fd, READ, buffer, bytes, NULL); }

long sys_write(int fd, const void __user *buffer, size_t bytes) {
    return single(fd, WRITE, (void __user *)buffer, bytes, NULL);
}

long sys_pread64(int fd, void __user *buffer, size_t bytes, s64 offset) {
    u64 position = (u64)offset;
    return offset < 0 ? -EINVAL : single(fd, READ, buffer, bytes, &position);
}

long sys_pwrite64(int fd, const void __user *buffer, size_t bytes, s64 offset) {
    u64 position = (u64)offset;
    return offset < 0 ? -EINVAL : single(fd, WRITE, (void __user *)buffer, bytes, &position);
}

static long scattered(int fd, enum direction way, const struct iovec __user *user, u32 count, u64 *position, u8 flags) {
    struct user_vector v;
    struct file *f = fd_get(fd);
    ssize_t n;

    if (!f)
        return -EBADF;
    if (!(f->mode & (way == READ ? FILE_READ : FILE_WRITE)))
        n = -EBADF;
    else if (position && !file_seeks(f))
        n = -ESPIPE;
    else {
        n = vector_begin(&v, user, count);
        v.cursor.flags = flags;
        if (!n)
            n = transfer(f, way, &v.cursor, position);
        vector_end(&v);
    }
    file_put(f);
    return n;
}

long sys_readv(int fd, const struct iovec __user *vector, u32 count) {
    return scattered(fd, READ, vector, count, NULL, 0);
}

long sys_writev(int fd, const struct iovec __user *vector, u32 count) {
    return scattered(fd, WRITE, vector, count, NULL, 0);
}

long sys_preadv(int fd, const struct iovec __user *vector, u32 count, s64 offset) {
    u64 position = (u64)offset;
    return offset < 0 ? -EINVAL : scattered(fd, READ, vector, count, &position, 0);
}

long sys_pwritev(int fd, const struct iovec __user *vector, u32 count, s64 offset) {
    u64 position = (u64)offset;
    return offset < 0 ? -EINVAL : scattered(fd, WRITE, vector, count, &position, 0);
}

static long scattered_flags(int fd, enum direction way, const struct iovec __user *vector, u32 count, s64 offset,
                            int flags) {
    u64 position = (u64)offset;

    if (flags & ~TRANSFER_FLAGS)
        return -EOPNOTSUPP;
    if (offset < -1)
        return -EINVAL;
    return scattered(fd, way, vector, count, offset == -1 ? NULL : &position, flags);
}

long sys_preadv2(int fd, const struct iovec __user *vector, u32 count, s64 offset, u64 unused1, int flags) {
    return scattered_flags(fd, READ, vector, count, offset, flags);
}

long sys_pwritev2(int fd, const struct iovec __user *vector, u32 count, s64 offset, u64 unused1, int flags) {
    return scattered_flags(fd, WRITE, vector, count, offset, flags);
}

long sys_lseek(int fd, s64 offset, u32 whence) {
    struct file *f = fd_get(fd);
    s64 result;

    if (!f)
        return -EBADF;
    if (f->mode & FILE_PATH) {
        result = -EBADF;
    } else if (whence > SEEK_MAX) {
        result = -EINVAL;
    } else if (!file_seeks(f)) {
        result = -ESPIPE;
    } else {
        mutex_lock(&f->position_lock);
        result = f->ops->seek(f, offset, (int)whence);
        mutex_unlock(&f->position_lock);
    }
    file_put(f);
    return result;
}

/* File to file, through a buffer of the kernel. */

struct end {
    struct file *file;
    u64 at, *position; /* position NULL: the file's own, as read(2) and write(2) have it */
};

/* Write all of the buffer; bytes written, or -errno if none. */
static ssize_t write_all(struct end *out, char *buffer, size_t bytes) {
    size_t done = 0;
    ssize_t n = 1;

    while (done < bytes && n > 0) {
        struct iov v;
        iov_kernel(&v, buffer + done, bytes - done);
        n = transfer(out->file, WRITE, &v, out->position);
        done += n > 0 ? (size_t)n : 0;
    }
    return done ? (ssize_t)done : n;
}

/* What was read and could not be written is unread again, where the input has a position. */
static void unread(struct end *in, size_t bytes) {
    if (in->position)
        *in->position -= bytes;
    else if (file_seeks(in->file))
        in->file->position -= bytes;
}

/* Copy up to `bytes`. */
static ssize_t copy(struct end *in, struct end *out, size_t bytes) {
    size_t chunk = min(bytes, COPY_CHUNK), done = 0;
    char *buffer = bytes ? kmalloc(chunk) : NULL;
    ssize_t n = bytes && !buffer ? -ENOMEM : 1;

    while (n > 0 && done < bytes) {
        struct iov v;
        iov_kernel(&v, buffer, min(bytes - done, chunk));
        ssize_t got = n = transfer(in->file, READ, &v, in->position);
        if (n > 0)
            n = write_all(out, buffer, (size_t)got);
        if (n > 0)
            done += (size_t)n;
        if (got > 0 && n < got)
            unread(in, (size_t)(got - max(n, 0L)));
        machine_breathe();
        if (n < got || signal_pending())
            break;
    }
    kfree(buffer);
    return done || n > 0 ? (ssize_t)done : n;
}

static int end_open(struct end *e, int fd, u64 __user *position, u32 mode) {
    int error = 0;

    *e = (struct end){.file = fd_get(fd)};
    if (!e->file || !(e->file->mode & mode))
        return -EBADF;
    if (position) {
        if (!file_seeks(e->file))
            return -ESPIPE;
        error = get_user(e->at, position);
        e->position = &e->at;
        if (!error && (s64)e->at < 0)
            error = -EINVAL;
    }
    return error;
}

/* Puts the file back; the new position goes to the user. */
static ssize_t end_close(struct end *e, u64 __user *position, ssize_t result) {
    if (e->file && position && e->position && result > 0 && put_user(e->at, position))
        result = -EFAULT;
    if (e->file)
        file_put(e->file);
    return result;
}

static u32 type_of(const struct end *e) { return e->file->inode->mode & S_IFMT; }

long sys_sendfile(int out_fd, int in_fd, u64 __user *position, size_t bytes) {
    struct end in, out = {0};
    ssize_t n = end_open(&in, in_fd, position, FILE_READ);

    if (!n)
        n = end_open(&out, out_fd, NULL, FILE_WRITE);
    if (!n && (type_of(&in) == S_IFDIR || !file_seeks(in.file) || (out.file->flags & O_APPEND)))
        n = -EINVAL;
    if (!n)
        n = copy(&in, &out, min(bytes, TRANSFER_MOST));
    end_close(&out, NULL, 0);
    return end_close(&in, position, n);
}

static ssize_t check_ranges(const struct end *in, const struct end *out, size_t *bytes) {
    u64 from = in->position ? in->at : in->file->position, to = out->position ? out->at : out->file->position;

    if (type_of(in) == S_IFDIR || type_of(out) == S_IFDIR)
        return -EISDIR;
    if (type_of(in) != S_IFREG || type_of(out) != S_IFREG)
        return -EINVAL;
    if (out->file->flags & O_APPEND)
        return -EBADF;
    *bytes = min(*bytes, TRANSFER_MOST);
    if (in->file->inode == out->file->inode && from < to + *bytes && to < from + *bytes)
        return -EINVAL;
    return 0;
}

long sys_copy_file_range(int in_fd, u64 __user *in_at, int out_fd, u64 __user *out_at, size_t bytes, u32 flags) {
    struct end in, out = {0};
    ssize_t n = flags ? -EINVAL : 0;

    if (n)
        return n;
    n = end_open(&in, in_fd, in_at, FILE_READ);
    if (!n)
        n = end_open(&out, out_fd, out_at, FILE_WRITE);
    if (!n)
        n = check_ranges(&in, &out, &bytes);
    if (!n)
        n = copy(&in, &out, bytes);
    n = end_close(&out, out_at, n);
    return end_close(&in, in_at, n);
}

/* splice and tee copy: nobody but the time it takes can tell. A step moves up to a page, `wanted` bytes at most, and
 * only the first is waited for; one that moved less than it could, and so is the last, says so. */
struct move {
    struct end *in, *out;
    size_t wanted;
    bool nowait, last;
    u64 cursor; /* tee's place in the pipe */
};

static ssize_t move_all(struct move *m, size_t bytes, ssize_t (*step)(struct move *m)) {
    size_t done = 0;
    ssize_t n = 1;

    while (n > 0 && done < bytes && !m->last) {
        m->wanted = bytes - done;
        n = step(m);
        done += max(n, 0L);
        m->nowait = true;
        machine_breathe();
    }
    return done ? (ssize_t)done : n;
}

static ssize_t from_pipe(struct move *m) {
    struct chunk c;
    struct iov v;
    ssize_t n = pipe_take(m->in->file, &c, m->nowait);

    if (n <= 0)
        return n;
    m->wanted = min((size_t)c.bytes, m->wanted);
    iov_kernel(&v, c.page + c.offset, m->wanted);
    v.flags = m->nowait ? RWF_NOWAIT : 0;
    n = transfer(m->out->file, WRITE, &v, m->out->position);
    if (n > 0) {
        c.offset += n;
        c.bytes -= n;
    }
    pipe_take_end(m->in->file, &c);
    m->last = n < (ssize_t)m->wanted;
    return n;
}

static ssize_t to_pipe(struct move *m) {
    struct chunk c;
    struct iov v;
    ssize_t n = pipe_reserve(m->out->file, &c, m->nowait);

    if (n < 0)
        return n;
    m->wanted = min(PAGE_SIZE, m->wanted);
    iov_kernel(&v, c.page, m->wanted);
    n = transfer(m->in->file, READ, &v, m->in->position);
    c.bytes = max(n, 0L);
    pipe_reserve_end(m->out->file, &c);
    m->last = n < (ssize_t)m->wanted || !file_seeks(m->in->file);
    return n;
}

static ssize_t pipe_to_pipe(struct move *m) {
    struct chunk c;
    ssize_t n = pipe_reserve(m->out->file, &c, m->nowait);

    if (n < 0)
        return n;
    c.bytes = min(PAGE_SIZE, m->wanted);
    n = pipe_copy(m->in->file, &m->cursor, &c, m->nowait);
    c.bytes = n > 0 ? c.bytes : 0;
    n = n > 0 ? (ssize_t)c.bytes : n;
    pipe_reserve_end(m->out->file, &c);
    return n;
}

long sys_splice(int in_fd, u64 __user *in_at, int out_fd, u64 __user *out_at, size_t bytes, u32 flags) {
    struct end in, out = {0};
    struct move m = {.in = &in, .out = &out, .nowait = flags & SPLICE_NOWAIT};
    ssize_t n;

    if (!bytes)
        return 0;
    if (flags & ~(u32)SPLICE_FLAGS)
        return -EINVAL;
    bytes = min(bytes, TRANSFER_MOST);
    n = end_open(&in, in_fd, in_at, FILE_READ);
    if (!n)
        n = end_open(&out, out_fd, out_at, FILE_WRITE);
    if (!n && !file_is_pipe(in.file) && !file_is_pipe(out.file))
        n = -EINVAL;
    if (!n && !file_is_pipe(out.file) && (out.file->flags & O_APPEND))
        n = -EINVAL;
    if (!n && file_is_pipe(in.file) && pipe_same(in.file, out.file))
        n = -EINVAL;
    if (!n)
        n = move_all(&m, bytes, file_is_pipe(in.file) ? from_pipe : to_pipe);
    n = end_close(&out, out_at, n);
    return end_close(&in, in_at, n);
}

long sys_tee(int in_fd, int out_fd, size_t bytes, u32 flags) {
    struct end in, out = {0};
    struct move m = {.in = &in, .out = &out, .nowait = flags & SPLICE_NOWAIT, .cursor = CHUNK_OLDEST};
    ssize_t n = flags & ~(u32)SPLICE_FLAGS ? -EINVAL : 0;

    if (n || !bytes)
        return n;
    n = end_open(&in, in_fd, NULL, FILE_READ);
    if (!n)
        n = end_open(&out, out_fd, NULL, FILE_WRITE);
    if (!n && (!file_is_pipe(in.file) || !file_is_pipe(out.file) || pipe_same(in.file, out.file)))
        n = -EINVAL;
    if (!n)
        n = move_all(&m, bytes, pipe_to_pipe);
    n = end_close(&out, NULL, n);
    return end_close(&in, NULL, n);
}

/* vmsplice: the pages are copied, given as a gift or not. */
long sys_vmsplice(int fd, const struct iovec __user *vector, u32 count, u32 flags) {
    struct file *f = flags & ~(u32)SPLICE_FLAGS ? NULL : fd_get(fd);
    bool pipe = f && file_is_pipe(f);
    enum direction way = f && f->mode & FILE_WRITE ? WRITE : READ;

    if (f)
        file_put(f);
    if (flags & ~(u32)SPLICE_FLAGS)
        return -EINVAL;
    return pipe ? scattered(fd, way, vector, count, NULL, flags & SPLICE_NOWAIT ? RWF_NOWAIT : 0) : -EBADF;
}
