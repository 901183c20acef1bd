/* remote.c - process_vm_readv(2) and process_vm_writev(2): another process's memory, by its addresses; kcmp(2). */
#include <linux/kcmp.h>
#include <linux/uio.h>

#include "fs/file.h"
#include "fs/io.h"
#include "sys/mm.h"
#include "sys/sys.h"
#include "task/trace.h"
#include "vm/frame.h"
#include "vm/slab.h"
#include "vm/space.h"

#define MOST_BYTES 0x7ffff000UL /* of one call, as for read(2) */

int vector_take(const struct iovec __user *user, u64 count, bool local, struct iovec **out) {
    size_t total = 0;
    *out = NULL;
    if (count > UIO_MAXIOV)
        return -EINVAL;
    struct iovec *v = kmalloc((count + 1) * sizeof(*v));
    if (!v)
        return -ENOMEM;
    int error = count ? copy_from_user(v, user, count * sizeof(*v)) : 0;
    for (u64 i = 0; i < count && !error; i++) {
        if ((ssize_t)v[i].iov_len < 0)
            error = -EINVAL;
        else if (local && ((u64)v[i].iov_base > USER_TOP || v[i].iov_len > USER_TOP - (u64)v[i].iov_base))
            error = -EFAULT;
        v[i].iov_len = min(v[i].iov_len, MOST_BYTES - total);
        total += v[i].iov_len;
    }
    if (error)
        kfree(v);
    else
        *out = v;
    return error;
}

/* Up to a page: from one side into the buffer, from there to the other. Bytes moved; less than `bytes`, or -EFAULT: a
 * side ended. */
static ssize_t move_piece(struct space *other, u64 theirs, struct iov *ours, size_t bytes, bool write, char *buffer) {
    if (!write) {
        ssize_t there = space_copy(other, theirs, buffer, bytes, false, false);
        return there > 0 ? (ssize_t)iov_put(ours, buffer, there) : there;
    }
    size_t here = iov_take(ours, buffer, bytes);
    return here ? space_copy(other, theirs, buffer, here, true, false) : -EFAULT;
}

static ssize_t move_one(struct space *other, const struct iovec *theirs, struct iov *ours, bool write, char *buffer) {
    size_t bytes = min(theirs->iov_len, ours->bytes), done = 0;
    while (done < bytes) {
        u64 at = (u64)theirs->iov_base + done;
        size_t n = min(bytes - done, PAGE_SIZE - at % PAGE_SIZE);
        ssize_t moved = move_piece(other, at, ours, n, write, buffer);
        done += max(moved, (ssize_t)0);
        if (moved < (ssize_t)n)
            break;
    }
    return done;
}

static ssize_t move_all(struct space *other, struct iov *ours, const struct iovec *remote, u64 count, bool write) {
    char *buffer = pages_alloc(0, 0);
    ssize_t done = 0;
    bool whole = true;
    if (!buffer)
        return -ENOMEM;
    for (u64 i = 0; i < count && ours->bytes && whole; i++) {
        size_t wanted = min(remote[i].iov_len, ours->bytes);
        ssize_t n = move_one(other, &remote[i], ours, write, buffer);
        done += n;
        whole = n == (ssize_t)wanted;
    }
    pages_free(buffer, 0);
    return done || whole ? done : -EFAULT;
}

static ssize_t reach(int pid, struct iov *ours, const struct iovec *remote, u64 count, bool write) {
    struct process *p = process_find(pid);
    struct task *t = p ? NULL : task_find(pid);
    if (t && t->process)
        process_get(p = t->process);
    if (t)
        task_put(t);
    if (!p)
        return -ESRCH;
    struct space *other = process_space(p);
    ssize_t result = !other ? -ESRCH : !trace_allowed(p) ? -EPERM : move_all(other, ours, remote, count, write);
    if (other)
        space_put(other);
    process_put(p);
    return result;
}

static size_t total_of(const struct iovec *v, u64 count) {
    size_t bytes = 0;
    for (u64 i = 0; i < count; i++)
        bytes += v[i].iov_len;
    return bytes;
}

static long process_vm(int pid, const struct iovec __user *local, u64 local_count, const struct iovec __user *remote,
                       u64 remote_count, u64 flags, bool write) {
    struct iovec *ours = NULL, *theirs = NULL;
    long result = flags ? -EINVAL : vector_take(local, local_count, true, &ours);
    if (!result && total_of(ours, local_count)) {
        struct iov v = {.vector = ours, .count = local_count, .bytes = total_of(ours, local_count)};
        result = vector_take(remote, remote_count, false, &theirs);
        if (!result && total_of(theirs, remote_count))
            result = reach(pid, &v, theirs, remote_count, write);
    }
    kfree(ours);
    kfree(theirs);
    return result;
}

long sys_process_vm_readv(int pid, const struct iovec __user *local, u64 local_count, const struct iovec __user *remote,
                          u64 remote_count, u64 flags) {
    return process_vm(pid, local, local_count, remote, remote_count, flags, false);
}

long sys_process_vm_writev(int pid, const struct iovec __user *local, u64 local_count,
                           const struct iovec __user *remote, u64 remote_count, u64 flags) {
    return process_vm(pid, local, local_count, remote, remote_count, flags, true);
}

/* ---- kcmp: do two tasks share a part? ---- */

static long compare(u64 a, u64 b) { return a == b ? 0 : a < b ? 1 : 2; }

/* A counted reference to the task, whose process the caller may look into. err_ptr(-ESRCH, -EPERM). */
static struct task *comparable(int tid) {
    struct task *t = task_find(tid);
    int error = !t || !t->process ? -ESRCH : trace_allowed(t->process) ? 0 : -EPERM;

    if (error && t)
        task_put(t);
    return error ? err_ptr(error) : t;
}

static struct file *file_of(struct task *t, u64 fd) {
    struct file *f;

    spin_lock(&t->process->lock);
    f = t->files ? fd_get_of(t->files, (int)fd) : NULL;
    spin_unlock(&t->process->lock);
    return f;
}

static long compare_files(struct task *t, struct task *u, u64 a, u64 b) {
    struct file *f = file_of(t, a), *g = file_of(u, b);
    long result = f && g ? compare((u64)f, (u64)g) : -EBADF;

    if (f)
        file_put(f);
    if (g)
        file_put(g);
    return result;
}

static long compare_parts(struct task *t, struct task *u, int type, u64 a, u64 b) {
    struct process *p = t->process, *q = u->process;

    switch (type) {
    case KCMP_FILE:
        return compare_files(t, u, a, b);
    case KCMP_VM:
        return compare((u64)p->space, (u64)q->space);
    case KCMP_FILES:
        return compare((u64)t->files, (u64)u->files);
    case KCMP_FS:
        return compare((u64)t->fs, (u64)u->fs);
    case KCMP_SIGHAND:
        return compare((u64)p->handlers, (u64)q->handlers);
    case KCMP_IO: /* nobody has a queue of his own */
        return 0;
    case KCMP_SYSVSEM: /* a process's, once it has one */
        return list_empty(&p->sem_undos) && list_empty(&q->sem_undos) ? 0 : compare((u64)p, (u64)q);
    default:
        return type == KCMP_EPOLL_TFD ? -EOPNOTSUPP : -EINVAL;
    }
}

/* The pointers are only compared, never followed; their order says no more than that it is one. */
long sys_kcmp(int tid, int other, int type, u64 a, u64 b) {
    struct task *t = comparable(tid), *u = is_err(t) ? t : comparable(other);
    long result = is_err(u) ? ptr_err(u) : compare_parts(t, u, type, a, b);

    if (!is_err(u))
        task_put(u);
    if (!is_err(t))
        task_put(t);
    return result;
}
