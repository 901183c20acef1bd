/* stat.c - system calls that ask about files: stat in all its forms, access, statfs. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/magic.h>

#include "fs/dentry.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/slab.h"

#define SECOND_NS 1000000000L

static s64 seconds(s64 ns) { return ns / SECOND_NS - (ns % SECOND_NS < 0); }
static u32 nanoseconds(s64 ns) { return (u32)(ns % SECOND_NS + (ns % SECOND_NS < 0 ? SECOND_NS : 0)); }

static u64 blocks_of(struct inode *i) {
    return i->ops->blocks ? i->ops->blocks(i) : (atomic_load(&i->object.size) + 511) / 512;
}

/* Where that fails what is known is shown. -ESTALE: its name is another file's now. */
static int refresh(struct inode *i) { return i->ops->getattr ? i->ops->getattr(i) : 0; }

/* What the name leads to, with its attributes as they are now. */
static int find(int at, const char __user *name, u32 lookup, struct path *p) {
    int error = path_lookup_user(at, name, lookup, p);

    if (error || refresh(path_inode(p)) != -ESTALE)
        return error;
    dentry_forget(p->dentry); /* so this asks again */
    path_put(p);
    error = path_lookup_user(at, name, lookup, p);
    if (!error)
        (void)refresh(path_inode(p));
    return error;
}

static int put_stat(struct inode *i, struct stat __user *out) {
    struct stat s;

    memset(&s, 0, sizeof(s));
    s.st_dev = i->dev;
    s.st_ino = i->ino;
    s.st_nlink = i->links;
    s.st_mode = i->mode;
    s.st_uid = i->uid;
    s.st_gid = i->gid;
    s.st_rdev = i->rdev;
    s.st_size = (long)atomic_load(&i->object.size);
    s.st_blksize = PAGE_SIZE;
    s.st_blocks = (long)blocks_of(i);
    s.st_atime = (u64)seconds(i->times.atime_ns);
    s.st_atime_nsec = nanoseconds(i->times.atime_ns);
    s.st_mtime = (u64)seconds(i->times.mtime_ns);
    s.st_mtime_nsec = nanoseconds(i->times.mtime_ns);
    s.st_ctime = (u64)seconds(i->times.ctime_ns);
    s.st_ctime_nsec = nanoseconds(i->times.ctime_ns);
    return copy_to_user(out, &s, sizeof(s));
}

/* Is the name empty? Then AT_EMPTY_PATH needs no walk. */
static bool empty_name(const char __user *name, int flags) {
    char first = 1;
    return (flags & AT_EMPTY_PATH) && !get_user(first, name) && !first;
}

long sys_fstat(int fd, struct stat __user *out) {
    struct file *f = fd_get(fd);
    long error;

    if (!f)
        return -EBADF;
    (void)refresh(f->inode);
    error = put_stat(f->inode, out);
    file_put(f);
    return error;
}

long sys_newfstatat(int at, const char __user *name, struct stat __user *out, int flags) {
    u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path p;
    long error;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE))
        return -EINVAL;
    if (at >= 0 && empty_name(name, flags))
        return sys_fstat(at, out);
    error = find(at, name, lookup, &p);
    if (error)
        return error;
    error = put_stat(path_inode(&p), out);
    path_put(&p);
    return error;
}

long sys_stat(const char __user *name, struct stat __user *out) { return sys_newfstatat(AT_FDCWD, name, out, 0); }

long sys_lstat(const char __user *name, struct stat __user *out) {
    return sys_newfstatat(AT_FDCWD, name, out, AT_SYMLINK_NOFOLLOW);
}

static u32 major_of(u64 dev) { return (u32)(dev >> 8) & 0xfff; }
static u32 minor_of(u64 dev) { return (u32)((dev & 0xff) | ((dev >> 12) & 0xfff00)); }

static struct statx_timestamp stamp(s64 ns) {
    return (struct statx_timestamp){.tv_sec = seconds(ns), .tv_nsec = nanoseconds(ns)};
}

static int put_statx(const struct path *p, u32 mask, struct statx __user *out) {
    struct inode *i = path_inode(p);
    struct statx s;

    memset(&s, 0, sizeof(s));
    s.stx_mask = STATX_BASIC_STATS;
    s.stx_blksize = PAGE_SIZE;
    s.stx_nlink = i->links;
    s.stx_uid = i->uid;
    s.stx_gid = i->gid;
    s.stx_mode = (u16)i->mode;
    s.stx_ino = i->ino;
    s.stx_size = atomic_load(&i->object.size);
    s.stx_blocks = blocks_of(i);
    s.stx_atime = stamp(i->times.atime_ns);
    s.stx_mtime = stamp(i->times.mtime_ns);
    s.stx_ctime = stamp(i->times.ctime_ns);
    if (i->times.btime_ns) {
        s.stx_btime = stamp(i->times.btime_ns);
        s.stx_mask |= STATX_BTIME;
    }
    s.stx_rdev_major = major_of(i->rdev);
    s.stx_rdev_minor = minor_of(i->rdev);
    s.stx_dev_major = major_of(i->dev);
    s.stx_dev_minor = minor_of(i->dev);
    s.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
    if (p->mount) {
        s.stx_mask |= STATX_MNT_ID;
        s.stx_mnt_id = (u64)p->mount->id;
        if (p->dentry == p->mount->root)
            s.stx_attributes |= STATX_ATTR_MOUNT_ROOT;
    }
    return copy_to_user(out, &s, sizeof(s));
}

long sys_statx(int at, const char __user *name, int flags, u32 mask, struct statx __user *out) {
    u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path p;
    long error;

    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)) ||
        (mask & STATX__RESERVED) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
        return -EINVAL;
    error = find(at, name, lookup, &p);
    if (error)
        return error;
    error = put_statx(&p, mask, out);
    path_put(&p);
    return error;
}

static int may_access(struct inode *i, int mode, bool effective) {
    return effective ? inode_permission(i, mode) : inode_permission_real(i, mode);
}

long sys_faccessat2(int at, const char __user *name, int mode, int flags) {
    u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    bool effective = flags & AT_EACCESS;
    struct path p;
    long error;

    if ((mode & ~7) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        return -EINVAL;
    lookup |= effective ? 0 : LOOKUP_REAL_IDS;
    error = mode ? find(at, name, lookup, &p) : path_lookup_user(at, name, lookup, &p);
    if (error)
        return error;
    error = mode ? may_access(path_inode(&p), mode, effective) : 0;
    path_put(&p);
    return error;
}

long sys_faccessat(int at, const char __user *name, int mode) { return sys_faccessat2(at, name, mode, 0); }
long sys_access(const char __user *name, int mode) { return sys_faccessat2(AT_FDCWD, name, mode, 0); }

static long put_statfs(struct super *s, struct statfs __user *out) {
    struct statfs *fs = kzalloc(sizeof(*fs));
    long error = fs ? 0 : -ENOMEM;

    if (!error) {
        fs->f_bsize = fs->f_frsize = PAGE_SIZE;
        fs->f_namelen = 255;
        fs->f_type = !strcmp(s->type, "proc")    ? PROC_SUPER_MAGIC
                     : !strcmp(s->type, "sysfs") ? SYSFS_MAGIC
                                                 : TMPFS_MAGIC;
        if (s->statfs)
            error = s->statfs(s, fs);
        fs->f_fsid.val[0] = (int)s->dev;
        fs->f_flags = 0x20 | (s->read_only ? 1 : 0) | 0x1000; /* ST_VALID, ST_RDONLY, ST_RELATIME of statfs(2) */
    }
    if (!error)
        error = copy_to_user(out, fs, sizeof(*fs));
    kfree(fs);
    return error;
}

long sys_statfs(const char __user *name, struct statfs __user *out) {
    struct path p;
    long error = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &p);

    if (error)
        return error;
    error = put_statfs(path_inode(&p)->super, out);
    path_put(&p);
    return error;
}

long sys_fstatfs(int fd, struct statfs __user *out) {
    struct file *f = fd_get(fd);
    long error;

    if (!f)
        return -EBADF;
    error = put_statfs(f->inode->super, out);
    file_put(f);
    return error;
}
