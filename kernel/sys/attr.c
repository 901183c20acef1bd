/* attr.c - system calls that change files: mode, owner, times, size, and extended attributes. */
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/utime.h>
#include <linux/xattr.h>

#include "fs/file.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/open.h"
#include "fs/path.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/slab.h"

/* Changes what d names, and tells who watches it (Linux's fsnotify_change). */
static long change(struct dentry *d, const struct inode_change *new) {
    const u32 both = ATTR_ATIME | ATTR_MTIME;
    long error = inode_change(d->inode, new);
    if (!error)
        notify(d, (new->valid &both) == ATTR_ATIME && new->valid == ATTR_ATIME  ? IN_ACCESS
                  : (new->valid &both) == ATTR_MTIME &&new->valid == ATTR_MTIME ? IN_MODIFY
                                                                                : IN_ATTRIB);
    return error;
}

/* Mode and owner. */

static long change_mode(struct dentry *d, u32 mode) {
    struct inode *i = d->inode;
    const struct credentials *cred = cred_current();
    struct inode_change new = {.valid = ATTR_MODE, .mode = mode & 07777};

    if (i->super->read_only)
        return -EROFS;
    if (!inode_owned(i))
        return -EPERM;
    if ((i->mode & S_IFMT) == S_IFLNK)
        return -EOPNOTSUPP;
    if ((new.mode &S_ISGID) && !cred_in_group(cred, i->gid, cred->fsgid) && !capable(CAP_FSETID))
        new.mode &= ~S_ISGID;
    return change(d, &new);
}

long sys_fchmodat(int at, const char __user *name, u32 mode) {
    struct path p;
    long error = path_lookup_user(at, name, LOOKUP_FOLLOW, &p);

    if (error)
        return error;
    error = change_mode(p.dentry, mode);
    path_put(&p);
    return error;
}

long sys_chmod(const char __user *name, u32 mode) { return sys_fchmodat(AT_FDCWD, name, mode); }

long sys_fchmod(int fd, u32 mode) {
    struct file *f = fd_get_open(fd);
    long error;

    if (!f)
        return -EBADF;
    error = change_mode(f->path.dentry, mode);
    file_put(f);
    return error;
}

static long change_owner(struct dentry *d, u32 uid, u32 gid) {
    struct inode *i = d->inode;
    const struct credentials *cred = cred_current();
    bool all = capable(CAP_CHOWN), own = cred->fsuid == i->uid;
    struct inode_change new = {.uid = uid, .gid = gid, .mode = i->mode};

    if (uid != ~0U)
        new.valid |= ATTR_UID;
    if (gid != ~0U)
        new.valid |= ATTR_GID;
    if (i->super->read_only)
        return -EROFS;
    if ((new.valid &ATTR_UID) && !all && !(own && uid == i->uid))
        return -EPERM;
    if ((new.valid &ATTR_GID) && !all && !(own && (gid == i->gid || cred_in_group(cred, gid, cred->fsgid))))
        return -EPERM;
    /* Whoever owns it from now on did not set these. */
    if ((i->mode & S_IFMT) != S_IFDIR && (i->mode & (S_ISUID | S_ISGID))) {
        new.valid |= ATTR_MODE;
        new.mode &= ~(u32)S_ISUID;
        if (i->mode & S_IXGRP)
            new.mode &= ~(u32)S_ISGID;
    }
    return change(d, &new);
}

long sys_fchownat(int at, const char __user *name, u32 uid, u32 gid, int flags) {
    u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path p;
    long error;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    error = path_lookup_user(at, name, lookup, &p);
    if (error)
        return error;
    error = change_owner(p.dentry, uid, gid);
    path_put(&p);
    return error;
}

long sys_chown(const char __user *name, u32 uid, u32 gid) { return sys_fchownat(AT_FDCWD, name, uid, gid, 0); }

long sys_lchown(const char __user *name, u32 uid, u32 gid) {
    return sys_fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, u32 uid, u32 gid) {
    struct file *f = fd_get_open(fd);
    long error;

    if (!f)
        return -EBADF;
    error = change_owner(f->path.dentry, uid, gid);
    file_put(f);
    return error;
}

/* Times. */

#define UTIME_NOW ((1L << 30) - 1L) /* utimensat(2); only libraries' headers have them */
#define UTIME_OMIT ((1L << 30) - 2L)
#define SECOND_NS 1000000000L

/* times NULL: both now. */
static long change_times(struct dentry *d, const struct __kernel_timespec *times) {
    struct inode *i = d->inode;
    s64 now = (s64)clock_wall_ns();
    struct inode_change new = {.atime_ns = now, .mtime_ns = now};
    bool both_now = !times || (times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW);

    for (unsigned n = 0; times && n < 2; n++) {
        bool special = times[n].tv_nsec == UTIME_NOW || times[n].tv_nsec == UTIME_OMIT;
        s64 *to = n ? &new.mtime_ns : &new.atime_ns;
        if (!special && (u64)times[n].tv_nsec >= SECOND_NS)
            return -EINVAL;
        if (!special)
            *to = inode_time(times[n].tv_sec, times[n].tv_nsec);
    }
    if (!times || times[0].tv_nsec != UTIME_OMIT)
        new.valid |= ATTR_ATIME;
    if (!times || times[1].tv_nsec != UTIME_OMIT)
        new.valid |= ATTR_MTIME;
    if (!new.valid)
        return 0;
    if (i->super->read_only)
        return -EROFS;
    if (!inode_owned(i)) {
        int error = both_now ? inode_permission(i, MAY_WRITE) : -EPERM;
        if (error)
            return error;
    }
    return change(d, &new);
}

/* name NULL: of the descriptor itself, if one is given. */
static long times_at(int at, const char __user *name, const struct __kernel_timespec *times, int flags) {
    u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path p;
    long error;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (!name && at != AT_FDCWD) {
        struct file *f = flags ? NULL : fd_get_open(at);
        error = f ? change_times(f->path.dentry, times) : flags ? -EINVAL : -EBADF;
        if (f)
            file_put(f);
        return error;
    }
    error = path_lookup_user(at, name, lookup, &p);
    if (error)
        return error;
    error = change_times(p.dentry, times);
    path_put(&p);
    return error;
}

long sys_utimensat(int at, const char __user *name, const struct __kernel_timespec __user *user, int flags) {
    struct __kernel_timespec times[2];

    if (user && copy_from_user(times, user, sizeof(times)))
        return -EFAULT;
    if (user && times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
        return 0; /* not even the name is looked at */
    return times_at(at, name, user ? times : NULL, flags);
}

long sys_futimesat(int at, const char __user *name, const struct __kernel_old_timeval __user *user) {
    struct __kernel_old_timeval t[2];
    struct __kernel_timespec times[2];

    if (user && copy_from_user(t, user, sizeof(t)))
        return -EFAULT;
    for (unsigned n = 0; user && n < 2; n++) {
        if ((u64)t[n].tv_usec >= 1000000)
            return -EINVAL;
        times[n] = (struct __kernel_timespec){t[n].tv_sec, t[n].tv_usec * 1000};
    }
    return times_at(at, name, user ? times : NULL, 0);
}

long sys_utimes(const char __user *name, const struct __kernel_old_timeval __user *user) {
    return sys_futimesat(AT_FDCWD, name, user);
}

long sys_utime(const char __user *name, const struct utimbuf __user *user) {
    struct __kernel_timespec times[2] = {{0, 0}, {0, 0}};
    struct utimbuf t;

    if (user) {
        if (copy_from_user(&t, user, sizeof(t)))
            return -EFAULT;
        times[0].tv_sec = t.actime;
        times[1].tv_sec = t.modtime;
    }
    return times_at(AT_FDCWD, name, user ? times : NULL, 0);
}

/* Sizes. */

static long resize(struct dentry *d, s64 bytes) {
    u32 type = d->inode->mode & S_IFMT;

    if (type != S_IFREG)
        return type == S_IFDIR ? -EISDIR : -EINVAL;
    long error = inode_resize(d->inode, (u64)bytes);
    if (!error)
        notify(d, IN_MODIFY);
    return error;
}

long sys_truncate(const char __user *name, s64 bytes) {
    struct path p;
    long error = bytes < 0 ? -EINVAL : path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &p);

    if (error)
        return error;
    struct inode *i = path_inode(&p);
    if ((i->mode & S_IFMT) == S_IFREG)
        error = inode_permission(i, MAY_WRITE);
    if (!error)
        error = inode_begin_write(i);
    if (!error) {
        error = resize(p.dentry, bytes);
        inode_end_write(i);
    }
    path_put(&p);
    return error;
}

long sys_ftruncate(int fd, s64 bytes) {
    struct file *f = fd_get_open(fd);
    long error;

    if (!f)
        return -EBADF;
    if (bytes < 0 || !(f->mode & FILE_WRITE) || (f->inode->mode & S_IFMT) != S_IFREG)
        error = -EINVAL;
    else
        error = resize(f->path.dentry, bytes);
    file_put(f);
    return error;
}

static long allocate(struct file *f, int mode, s64 offset, s64 bytes) {
    u32 type = f->inode->mode & S_IFMT;
    s64 end;

    if (offset < 0 || bytes <= 0)
        return -EINVAL;
    if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
        return -EOPNOTSUPP;
    if (!(f->mode & FILE_WRITE))
        return -EBADF;
    if (type != S_IFREG)
        return type == S_IFIFO ? -ESPIPE : type == S_IFDIR ? -EISDIR : -ENODEV;
    if (__builtin_add_overflow(offset, bytes, &end))
        return -EFBIG;
    long error = f->ops->fallocate ? f->ops->fallocate(f, mode, (u64)offset, (u64)bytes) : -EOPNOTSUPP;
    if (!error)
        notify_file(f, IN_MODIFY);
    return error;
}

long sys_fallocate(int fd, int mode, s64 offset, s64 bytes) {
    struct file *f = fd_get_open(fd);
    long error;

    if (!f)
        return -EBADF;
    error = allocate(f, mode, offset, bytes);
    file_put(f);
    return error;
}

/* Extended attributes. */

static bool has_prefix(const char *name, const char *prefix) { return !strncmp(name, prefix, strlen(prefix)); }

/* May the caller read (or write) this attribute of the file? */
static long xattr_permission(struct inode *i, const char *name, bool write) {
    u32 type = i->mode & S_IFMT;

    if (write && i->super->read_only)
        return -EROFS;
    if (has_prefix(name, XATTR_TRUSTED_PREFIX))
        return capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
    if (has_prefix(name, XATTR_SECURITY_PREFIX))
        return write && !capable(CAP_SYS_ADMIN) ? -EPERM : 0;
    if (has_prefix(name, XATTR_SYSTEM_PREFIX))
        return 0;
    if (!has_prefix(name, XATTR_USER_PREFIX))
        return -EOPNOTSUPP;
    if (type != S_IFREG && type != S_IFDIR)
        return write ? -EPERM : -ENODATA;
    return inode_permission(i, write ? MAY_WRITE : MAY_READ);
}

static int take_name(char *name, const char __user *user) {
    ssize_t bytes = strncpy_from_user(name, user, XATTR_NAME_MAX + 1);
    return bytes < 0 ? (int)bytes : bytes == 0 || bytes > XATTR_NAME_MAX ? -ERANGE : 0;
}

static long set_xattr(struct dentry *d, const char __user *user, const void __user *from, size_t bytes, int flags) {
    struct inode *i = d->inode;
    char name[XATTR_NAME_MAX + 1];
    void *value = NULL;
    long error;

    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    error = take_name(name, user);
    if (!error && bytes > XATTR_SIZE_MAX)
        error = -E2BIG;
    if (!error)
        error = xattr_permission(i, name, true);
    if (!error && !i->ops->setxattr)
        error = -EOPNOTSUPP;
    if (!error && !(value = kmalloc(bytes ? bytes : 1)))
        error = -ENOMEM;
    if (!error && bytes)
        error = copy_from_user(value, from, bytes);
    if (!error)
        error = i->ops->setxattr(i, name, value, bytes, flags);
    if (!error)
        notify(d, IN_ATTRIB);
    kfree(value);
    return error;
}

static long get_xattr(struct inode *i, const char __user *user, void __user *to, size_t bytes) {
    char name[XATTR_NAME_MAX + 1];
    void *value = NULL;
    long result = take_name(name, user);

    bytes = min(bytes, (size_t)XATTR_SIZE_MAX);
    if (!result)
        result = xattr_permission(i, name, false);
    if (!result && !i->ops->getxattr)
        result = -EOPNOTSUPP;
    if (!result && bytes && !(value = kmalloc(bytes)))
        result = -ENOMEM;
    if (!result)
        result = i->ops->getxattr(i, name, value, bytes);
    if (result > 0 && bytes && copy_to_user(to, value, (size_t)result))
        result = -EFAULT;
    kfree(value);
    return result;
}

static long list_xattr(struct inode *i, char __user *to, size_t bytes) {
    char *list = NULL;
    long result = 0;

    bytes = min(bytes, (size_t)XATTR_LIST_MAX);
    if (!i->ops->listxattr)
        return 0;
    if (bytes && !(list = kmalloc(bytes)))
        return -ENOMEM;
    result = i->ops->listxattr(i, list, bytes);
    if (result > 0 && bytes && copy_to_user(to, list, (size_t)result))
        result = -EFAULT;
    kfree(list);
    return result;
}

static long remove_xattr(struct dentry *d, const char __user *user) {
    struct inode *i = d->inode;
    char name[XATTR_NAME_MAX + 1];
    long error = take_name(name, user);

    if (!error)
        error = xattr_permission(i, name, true);
    if (!error && !i->ops->setxattr)
        error = -EOPNOTSUPP;
    if (!error)
        error = i->ops->setxattr(i, name, NULL, 0, XATTR_REPLACE);
    if (!error)
        notify(d, IN_ATTRIB);
    return error;
}

/* The three ways to say which file: by name, by name without following, by descriptor. */
#define ON_NAME(lookup_flags, call)                                                                                    \
    struct path p;                                                                                                     \
    long result = path_lookup_user(AT_FDCWD, path, lookup_flags, &p);                                                  \
    if (!result) {                                                                                                     \
        struct dentry *d = p.dentry;                                                                                   \
        result = call;                                                                                                 \
        path_put(&p);                                                                                                  \
    }                                                                                                                  \
    return result
#define ON_FILE(call)                                                                                                  \
    struct file *f = fd_get_open(fd);                                                                                  \
    long result = -EBADF;                                                                                              \
    if (f) {                                                                                                           \
        struct dentry *d = f->path.dentry;                                                                             \
        result = call;                                                                                                 \
        file_put(f);                                                                                                   \
    }                                                                                                                  \
    return result

long sys_setxattr(const char __user *path, const char __user *name, const void __user *value, size_t bytes, int flags) {
    ON_NAME(LOOKUP_FOLLOW, set_xattr(d, name, value, bytes, flags));
}
long sys_lsetxattr(const char __user *path, const char __user *name, const void __user *value, size_t bytes,
                   int flags) {
    ON_NAME(0, set_xattr(d, name, value, bytes, flags));
}
long sys_fsetxattr(int fd, const char __user *name, const void __user *value, size_t bytes, int flags) {
    ON_FILE(set_xattr(d, name, value, bytes, flags));
}
long sys_getxattr(const char __user *path, const char __user *name, void __user *value, size_t bytes) {
    ON_NAME(LOOKUP_FOLLOW, get_xattr(d->inode, name, value, bytes));
}
long sys_lgetxattr(const char __user *path, const char __user *name, void __user *value, size_t bytes) {
    ON_NAME(0, get_xattr(d->inode, name, value, bytes));
}
long sys_fgetxattr(int fd, const char __user *name, void __user *value, size_t bytes) {
    ON_FILE(get_xattr(d->inode, name, value, bytes));
}
long sys_listxattr(const char __user *path, char __user *names, size_t bytes) {
    ON_NAME(LOOKUP_FOLLOW, list_xattr(d->inode, names, bytes));
}
long sys_llistxattr(const char __user *path, char __user *names, size_t bytes) {
    ON_NAME(0, list_xattr(d->inode, names, bytes));
}
long sys_flistxattr(int fd, char __user *names, size_t bytes) { ON_FILE(list_xattr(d->inode, names, bytes)); }
long sys_removexattr(const char __user *path, const char __user *name) {
    ON_NAME(LOOKUP_FOLLOW, remove_xattr(d, name));
}
long sys_lremovexattr(const char __user *path, const char __user *name) { ON_NAME(0, remove_xattr(d, name)); }
long sys_fremovexattr(int fd, const char __user *name) { ON_FILE(remove_xattr(d, name)); }
