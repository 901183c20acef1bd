/* file.c - open files: their counting, and what reading and writing one has in common.
 *
 * Does not open by name (open.c) and knows no descriptors (fd.c). */
#include <linux/capability.h>
#include <linux/fs.h>

#include "fs/dentry.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/io.h"
#include "fs/open.h"
#include "fs/owner.h"
#include "lib/errseq.h"
#include "task/task.h"
#include "vm/slab.h"

#include "fs/file_alloc.h"

static struct slab_cache *file_cache;

void file_init(void) {
    file_cache = slab_create("file", sizeof(struct file), 64);
    if (!file_cache)
        panic("no memory for the cache of open files");
}

static void vm_get(struct vm_file *v) { file_get(file_of_vm(v)); }
static void vm_put(struct vm_file *v) { file_put(file_of_vm(v)); }
const struct vm_file_ops file_vm_ops = {vm_get, vm_put};

static u32 mode_of_flags(int flags) {
    if (flags & O_PATH)
        return FILE_PATH;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return FILE_READ;
    case O_WRONLY:
        return FILE_WRITE;
    case O_RDWR:
        return FILE_READ | FILE_WRITE;
    default: /* 3: for ioctl alone, open(2) */
        return 0;
    }
}

struct file *file_blank(void) {
    return slab_alloc_zeroed(file_cache);
}
void file_blank_free(struct file *f) { slab_free(file_cache, f); }

struct file *file_alloc(struct inode *inode, const struct path *path, int flags) {
    struct file *f = file_blank();

    if (f)
        file_fill(f, inode, path, flags);
    return f;
}

void file_fill(struct file *f, struct inode *inode, const struct path *path, int flags) {
    f->references = 1;
    f->flags = (u32)flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC);
    f->mode = mode_of_flags(flags);
    f->path = *path;
    path_get(&f->path);
    inode_get(inode);
    f->inode = inode;
    f->ops = inode->file_ops;
    mutex_init(&f->position_lock);
    vm_file_init(&f->vm, &file_vm_ops, &inode->object);
    f->errors_seen = errseq_begin(&inode->super->errors);
    list_init(&f->epoll);
}

void file_discard(struct file *f) {
    path_put(&f->path);
    inode_put(f->inode);
    slab_free(file_cache, f);
}

struct file *file_make(struct inode *inode, const struct file_ops *ops, int flags, const char *name) {
    struct path path = {NULL, dentry_loose(inode, name)};

    if (!path.dentry)
        return err_ptr(-ENOMEM);
    inode_get(inode); /* the dentry's own: the caller's is given up only on success */
    struct file *f = file_alloc(inode, &path, flags);
    path_put(&path);
    if (!f)
        return err_ptr(-ENOMEM);
    inode_put(inode);
    f->ops = ops;
    return f;
}

void file_get(struct file *f) { atomic_add(&f->references, 1); }

void file_put(struct file *f) {
    if (atomic_sub(&f->references, 1))
        return;
    if (!(f->mode & FILE_PATH))
        notify_file(f, f->mode & FILE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    if (f->inode->locks)
        locks_forget_file(f);
    if (!list_empty(&f->epoll))
        epoll_forget(f);
    if (f->owner)
        owner_forget(f);
    if (f->ops && f->ops->release)
        f->ops->release(f);
    if (f->counted_writer)
        inode_end_write(f->inode);
    file_discard(f);
}

/* As on Linux, what lives in memory alone, or is no file of bytes, has no way around its cache. */
bool file_can_direct(const struct file *f) {
    u32 type = f->inode->mode & S_IFMT;
    return type == S_IFBLK || (type == S_IFREG && f->inode->file_ops && f->inode->file_ops->fsync &&
                               strcmp(f->inode->super->type, "tmpfs"));
}

bool file_seeks(const struct file *f) { return f->ops->seek != NULL; }

ssize_t file_read(struct file *f, struct iov *to, u64 *position) {
    if (!(f->mode & FILE_READ))
        return -EBADF;
    if ((f->inode->mode & S_IFMT) == S_IFDIR)
        return -EISDIR;
    if (!f->ops->read)
        return -EINVAL;
    ssize_t n = f->ops->read(f, to, position);
    if (n > 0)
        notify_file(f, IN_ACCESS);
    return n;
}

/* settle: what was written is where it lasts, if the file or the call wants that: O_SYNC, RWF_DSYNC; and O_DIRECT,
 * which promises that the file's other readers, beside this machine's cache, see it. */
static ssize_t settle(struct file *f, u8 flags, ssize_t n) {
    bool data = f->flags & (O_DSYNC | O_DIRECT) || flags & RWF_DSYNC, all = f->flags & __O_SYNC || flags & RWF_SYNC;
    u32 type = f->inode->mode & S_IFMT;
    if (likely(!data && !all) || (type != S_IFREG && type != S_IFBLK) || !f->ops->fsync)
        return n;
    int error = f->ops->fsync(f, !all);
    return error ? error : n;
}

ssize_t file_write(struct file *f, struct iov *from, u64 *position) {
    if (!(f->mode & FILE_WRITE))
        return -EBADF;
    if (!f->ops->write)
        return -EINVAL;
    ssize_t n = f->ops->write(f, from, position);
    if (n > 0)
        notify_file(f, IN_MODIFY);
    return n > 0 ? settle(f, from->flags, n) : n;
}

ssize_t file_read_kernel(struct file *f, void *buffer, size_t bytes, u64 position) {
    size_t done = 0;
    ssize_t n = 1;

    while (done < bytes && n > 0) {
        struct iov v;
        iov_kernel(&v, (char *)buffer + done, bytes - done);
        n = f->ops->read ? f->ops->read(f, &v, &position) : -EINVAL;
        done += n > 0 ? (size_t)n : 0;
    }
    return n < 0 && !done ? n : (ssize_t)done;
}

ssize_t file_write_kernel(struct file *f, const void *buffer, size_t bytes, u64 position) {
    size_t done = 0;
    ssize_t n = 1;

    while (done < bytes && n > 0) {
        struct iov v;
        iov_kernel(&v, (char *)buffer + done, bytes - done);
        n = f->ops->write ? f->ops->write(f, &v, &position) : -EINVAL;
        done += n > 0 ? (size_t)n : 0;
    }
    return n < 0 && !done ? n : (ssize_t)done;
}

/* Attributes. */

void inode_drop_privileges(struct inode *i) {
    u32 drop = S_ISUID;

    /* S_ISGID without group execution once meant mandatory locking: it stays. */
    if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        drop |= S_ISGID;
    if ((i->mode & drop) && (i->mode & S_IFMT) == S_IFREG && !capable(CAP_FSETID)) {
        u32 old = i->mode;
        i->mode &= ~drop;
        if (i->ops->setattr && i->ops->setattr(i, ATTR_MODE))
            i->mode = old;
    }
}

static void apply(struct inode *i, const struct inode_change *new, u32 valid) {
    if (valid & ATTR_MODE)
        atomic_store_relaxed(&i->mode, (i->mode & S_IFMT) | (new->mode & 07777));
    if (valid & ATTR_UID)
        atomic_store_relaxed(&i->uid, new->uid);
    if (valid & ATTR_GID)
        atomic_store_relaxed(&i->gid, new->gid);
    if (valid & ATTR_ATIME)
        atomic_store_relaxed(&i->times.atime_ns, new->atime_ns);
    if (valid & ATTR_MTIME)
        atomic_store_relaxed(&i->times.mtime_ns, new->mtime_ns);
}

int inode_change(struct inode *i, const struct inode_change *new) {
    int error = i->super->read_only ? -EROFS : 0;

    if (error)
        return error;
    mutex_lock(&i->lock);
    struct inode_change old = {new->valid, i->mode, i->uid, i->gid, i->times.atime_ns, i->times.mtime_ns};
    apply(i, new, new->valid);
    error = i->ops->setattr ? i->ops->setattr(i, new->valid) : 0;
    if (error)
        apply(i, &old, old.valid);
    else
        inode_touch(i, false);
    mutex_unlock(&i->lock);
    return error;
}

int inode_may_grow(const struct inode *i, u64 bytes) {
    struct process *p = process_current();

    if (!p || bytes <= i->object.size || bytes <= p->limits[RLIMIT_FSIZE].rlim_cur)
        return 0;
    signal_task(task_current(), SIGXFSZ, NULL);
    return -EFBIG;
}

int inode_resize(struct inode *i, u64 bytes) {
    int error;

    if ((s64)bytes < 0)
        return -EINVAL;
    if (!i->ops->resize)
        return -EINVAL;
    error = inode_may_grow(i, bytes);
    if (error)
        return error;
    mutex_lock(&i->lock);
    inode_drop_privileges(i);
    error = i->ops->resize(i, bytes);
    mutex_unlock(&i->lock);
    return error;
}
