/* sync.c - system calls that store, hint and mount: sync, fsync, fadvise, readahead, mount, umount. */
#include <linux/capability.h>
#include <linux/fadvise.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/mount.h>

#include "fs/file.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/tree.h"
#include "lib/errseq.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/slab.h"

long sys_sync(void) {
    vfs_sync();
    return 0;
}

static long sync_file(int fd, bool data_only) {
    struct file *f = fd_get(fd);
    long error;

    if (!f)
        return -EBADF;
    if (f->mode & FILE_PATH)
        error = -EBADF;
    else
        error = f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL;
    file_put(f);
    return error;
}

long sys_fsync(int fd) { return sync_file(fd, false); }
long sys_fdatasync(int fd) { return sync_file(fd, true); }

long sys_syncfs(int fd) {
    struct file *f = fd_get(fd);
    long error = -EBADF;

    if (!f)
        return -EBADF;
    if (!(f->mode & FILE_PATH)) {
        vfs_sync();
        error = errseq_tell(&f->inode->super->errors, &f->errors_seen);
    }
    file_put(f);
    return error;
}

long sys_sync_file_range(int fd, s64 offset, s64 bytes, u32 flags) {
    struct file *f = fd_get_open(fd);
    u32 type = f ? f->inode->mode & S_IFMT : 0;
    long error = 0;

    if (!f)
        return -EBADF;
    if (offset < 0 || bytes < 0 || (flags & ~7u))
        error = -EINVAL;
    else if (type != S_IFREG && type != S_IFDIR && type != S_IFBLK && type != S_IFLNK)
        error = -ESPIPE;
    else
        error = object_sync_file(&f->vm, 0, ~0UL >> PAGE_SHIFT);
    file_put(f);
    return error;
}

/* Whole pages only; a last one that ends with the file is whole. What is dirty is written first, as on Linux; an error
 * is told to who asks for it. */
static void forget_pages(struct object *o, u64 from, u64 to) {
    u64 first = page_align_up(from) >> PAGE_SHIFT,
        end = to >= atomic_load(&o->size) ? ~0UL >> PAGE_SHIFT : to >> PAGE_SHIFT;
    if (first >= end)
        return;
    (void)object_sync(o, first, end);
    object_drop(o, first, end);
}

static void advise(struct file *f, u64 from, u64 to, int advice) {
    struct object *o = &f->inode->object;
    switch (advice) {
    case POSIX_FADV_NORMAL:
        atomic_store_relaxed(&f->vm.ahead.how, HABIT_NORMAL);
        break;
    case POSIX_FADV_RANDOM:
        atomic_store_relaxed(&f->vm.ahead.how, HABIT_RANDOM);
        break;
    case POSIX_FADV_SEQUENTIAL:
        atomic_store_relaxed(&f->vm.ahead.how, HABIT_SEQUENTIAL);
        break;
    case POSIX_FADV_WILLNEED:
        object_prefetch(o, from >> PAGE_SHIFT, to == ~0UL ? to >> PAGE_SHIFT : page_align_up(to) >> PAGE_SHIFT);
        break;
    case POSIX_FADV_DONTNEED:
        forget_pages(o, from, to);
        break;
    default: /* NOREUSE: nothing, as in 6.1 */
        break;
    }
}

long sys_fadvise64(int fd, s64 offset, s64 bytes, int advice) {
    struct file *f = fd_get(fd);
    u64 end = bytes ? (u64)offset + (u64)bytes : ~0UL;
    long error = 0;

    if (!f)
        return -EBADF;
    if (f->mode & FILE_PATH)
        error = -EBADF;
    else if ((f->inode->mode & S_IFMT) == S_IFIFO)
        error = -ESPIPE;
    else if (bytes < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE)
        error = -EINVAL;
    else if ((f->inode->mode & S_IFMT) == S_IFREG)
        advise(f, (u64)offset, end < (u64)offset ? ~0UL : end, advice);
    file_put(f);
    return error;
}

long sys_readahead(int fd, s64 offset, size_t bytes) {
    struct file *f = fd_get(fd);
    long error = 0;

    if (!f)
        return -EBADF;
    if (!(f->mode & FILE_READ))
        error = -EBADF;
    else if ((f->inode->mode & S_IFMT) != S_IFREG)
        error = -EINVAL;
    else
        object_prefetch(&f->inode->object, (u64)offset >> PAGE_SHIFT,
                        ((u64)offset + bytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
    file_put(f);
    return error;
}

/* Mounting: the file systems of this kernel, new and empty or the one there is. */

static struct super *super_of_type(const char *type) {
    struct tree_options memory = {.mode = TREE_MEMORY, .type = "tmpfs", .root_mode = 01777};

    if (!strcmp(type, "tmpfs") || !strcmp(type, "ramfs"))
        return tree_super_create(&memory);
    if (!strcmp(type, "proc"))
        return proc_super();
    if (!strcmp(type, "sysfs"))
        return sysfs_super();
    if (!strcmp(type, "devtmpfs"))
        return devfs_super();
    return err_ptr(-ENODEV);
}

static long mount_names(const char *source, const char *where, const char *type) {
    struct path p;
    struct super *s;
    long error = path_lookup(AT_FDCWD, where, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

    if (error)
        return error;
    s = super_of_type(type);
    error = !s ? -ENOMEM : is_err(s) ? ptr_err(s) : mount_on(&p, s, source);
    path_put(&p);
    return error;
}

long sys_mount(const char __user *source, const char __user *where, const char __user *type, u64 flags,
               const void __user *data) {
    char *text[3] = {NULL, NULL, NULL};
    const char __user *user[3] = {source, where, type};
    long error = 0;

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & (MS_REMOUNT | MS_BIND | MS_MOVE | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
        return -EINVAL;
    for (unsigned n = 0; !error && n < 3; n++) {
        text[n] = user[n] ? name_from_user(user[n]) : kstrdup("none");
        if (!text[n] || is_err(text[n])) {
            error = text[n] ? ptr_err(text[n]) : -ENOMEM;
            text[n] = NULL;
        }
    }
    if (!error)
        error = mount_names(text[0], text[1], text[2]);
    for (unsigned n = 0; n < 3; n++)
        kfree(text[n]);
    return error;
}

long sys_umount2(const char __user *where, int flags) {
    const int no_follow = 8; /* UMOUNT_NOFOLLOW of umount(2): no header of linux-libc-dev has it */
    struct path p;
    long error;

    if (flags & ~15)
        return -EINVAL;
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    error = path_lookup_user(AT_FDCWD, where, flags & no_follow ? 0 : LOOKUP_FOLLOW, &p);
    if (error)
        return error;
    /* Who is still inside goes on working: every umount is a MNT_DETACH. */
    error = mount_remove(&p);
    path_put(&p);
    return error;
}
