/* dir.c - system calls about names and directories: list, change, make, remove, rename, link. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/limits.h>

#include "fs/file.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/names.h"
#include "fs/path.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/slab.h"

/* Listing: entries are laid out in a buffer of the kernel, so that no user page is touched under the directory's lock.
 */

struct dirent64 {
    u64 ino;
    s64 next;
    u16 bytes;
    u8 type;
    char name[];
} __attribute__((packed));
_Static_assert(offsetof(struct dirent64, name) == 19, "struct linux_dirent64");

struct dirent_old {
    u64 ino, next;
    u16 bytes;
    char name[]; /* the type is the record's last byte */
} __attribute__((packed));
_Static_assert(offsetof(struct dirent_old, name) == 18, "struct linux_dirent");

#define LIST_MOST (32 * KiB) /* what libraries ask for at once */

struct listing {
    struct dir_sink sink;
    char *buffer;
    size_t size, used;
    bool old, too_small;
};

static bool put_entry(struct dir_sink *sink, const char *name, size_t bytes, u64 ino, unsigned type, u64 next) {
    struct listing *l = container_of(sink, struct listing, sink);
    size_t head = l->old ? offsetof(struct dirent_old, name) : offsetof(struct dirent64, name);
    size_t record = align_up(head + bytes + 1 + l->old, sizeof(u64));
    char *at = l->buffer + l->used;

    if (record > l->size - l->used) {
        l->too_small = !l->used;
        return false;
    }
    memset(at + record - sizeof(u64), 0, sizeof(u64)); /* padding shows nothing of ours */
    if (l->old) {
        *(struct dirent_old *)at = (struct dirent_old){.ino = ino, .next = next, .bytes = (u16)record};
        at[record - 1] = (char)type;
    } else {
        *(struct dirent64 *)at =
            (struct dirent64){.ino = ino, .next = (s64)next, .bytes = (u16)record, .type = (u8)type};
    }
    memcpy(at + head, name, bytes);
    at[head + bytes] = 0;
    l->used += record;
    return true;
}

static long list(struct file *f, struct listing *l) {
    long error;

    if (!f->ops->iterate)
        return -ENOTDIR;
    mutex_lock(&f->position_lock);
    mutex_lock(&f->inode->lock);
    error = f->inode->flags & INODE_DEAD ? -ENOENT : f->ops->iterate(f, &l->sink);
    mutex_unlock(&f->inode->lock);
    mutex_unlock(&f->position_lock);
    inode_accessed(f->inode);
    if (!error)
        notify_file(f, IN_ACCESS);
    if (l->used)
        return (long)l->used;
    return error ? error : l->too_small ? -EINVAL : 0;
}

static long getdents(int fd, void __user *out, u32 bytes, bool old) {
    struct listing l = {.sink = {put_entry}, .size = min((size_t)bytes, LIST_MOST), .old = old};
    struct file *f = fd_get(fd);
    long result = f && !(f->mode & FILE_PATH) ? 0 : -EBADF;

    if (!result && !(l.buffer = kmalloc(l.size ? l.size : 1)))
        result = -ENOMEM;
    if (!result)
        result = list(f, &l);
    if (result > 0 && (put_user(*(u64 *)l.buffer, (u64 __user *)out) || copy_to_user(out, l.buffer, (size_t)result)))
        result = -EFAULT; /* the first word, before all: where that does not fit, nothing is written, as on Linux */
    kfree(l.buffer);
    if (f)
        file_put(f);
    return result;
}

long sys_getdents64(int fd, void __user *out, u32 bytes) { return getdents(fd, out, bytes, false); }
long sys_getdents(int fd, void __user *out, u32 bytes) { return getdents(fd, out, bytes, true); }

/* Root and working directory. */

long sys_getcwd(char __user *out, size_t bytes) {
    char *buffer = kmalloc(PATH_MAX);
    struct path cwd;
    long result;

    if (!buffer)
        return -ENOMEM;
    fs_get_cwd(&cwd);
    if (cwd.dentry->flags & DENTRY_REMOVED) {
        result = -ENOENT;
    } else {
        char *text = path_string(&cwd, buffer, PATH_MAX);
        result = is_err(text) ? ptr_err(text) : (long)strlen(text) + 1;
        if (result > 0 && (size_t)result > bytes)
            result = -ERANGE;
        if (result > 0 && copy_to_user(out, text, (size_t)result))
            result = -EFAULT;
    }
    path_put(&cwd);
    kfree(buffer);
    return result;
}

/* Takes over the path, when it may be searched. */
static long enter(struct path *p, bool root) {
    struct fs_root *fs = fs_current();
    struct path old, *place = root ? &fs->root : &fs->cwd;
    int error = (path_inode(p)->mode & S_IFMT) == S_IFDIR ? inode_permission(path_inode(p), MAY_EXEC) : -ENOTDIR;

    if (!error && root && !capable(CAP_SYS_CHROOT))
        error = -EPERM;
    if (error) {
        path_put(p);
        return error;
    }
    spin_lock(&fs->lock);
    old = *place;
    *place = *p;
    spin_unlock(&fs->lock);
    path_put(&old);
    return 0;
}

static long enter_user(const char __user *name, bool root) {
    struct path p;
    int error = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
    return error ? error : enter(&p, root);
}

long sys_chdir(const char __user *name) { return enter_user(name, false); }
long sys_chroot(const char __user *name) { return enter_user(name, true); }

long sys_fchdir(int fd) {
    struct path p;
    int error = path_from_fd(fd, &p);
    return error ? error : enter(&p, false);
}

long sys_umask(u32 mask) {
    struct fs_root *fs = fs_current();
    return atomic_xchg(&fs->umask, mask & 0777);
}

/* Making and removing. */

long sys_mknodat(int at, const char __user *name, u32 mode, u32 device) {
    u32 type = mode & S_IFMT;
    char *text;
    long error;

    if (type == 0)
        mode |= S_IFREG;
    else if (type == S_IFDIR)
        return -EPERM;
    else if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK)
        return -EINVAL;
    if ((type == S_IFCHR || type == S_IFBLK) && !capable(CAP_MKNOD))
        return -EPERM;
    text = name_from_user(name);
    if (is_err(text))
        return ptr_err(text);
    error = name_make(at, text, mode & (S_IFMT | 07777), type == S_IFCHR || type == S_IFBLK ? device : 0);
    kfree(text);
    return error;
}

long sys_mknod(const char __user *name, u32 mode, u32 device) { return sys_mknodat(AT_FDCWD, name, mode, device); }

long sys_mkdirat(int at, const char __user *name, u32 mode) {
    char *text = name_from_user(name);
    long error;

    if (is_err(text))
        return ptr_err(text);
    error = name_make(at, text, S_IFDIR | (mode & 01777), 0);
    kfree(text);
    return error;
}

long sys_mkdir(const char __user *name, u32 mode) { return sys_mkdirat(AT_FDCWD, name, mode); }

static long remove_user(int at, const char __user *name, bool directory) {
    char *text = name_from_user(name);
    long error;

    if (is_err(text))
        return ptr_err(text);
    error = name_remove(at, text, directory);
    kfree(text);
    return error;
}

long sys_unlinkat(int at, const char __user *name, int flags) {
    return flags & ~AT_REMOVEDIR ? -EINVAL : remove_user(at, name, flags & AT_REMOVEDIR);
}

long sys_unlink(const char __user *name) { return remove_user(AT_FDCWD, name, false); }
long sys_rmdir(const char __user *name) { return remove_user(AT_FDCWD, name, true); }

/* Two names. */

static long take_two(const char __user *a, const char __user *b, char **first, char **second) {
    *second = NULL;
    *first = name_from_user(a);
    if (is_err(*first))
        return ptr_err(*first);
    *second = name_from_user(b);
    if (!is_err(*second))
        return 0;
    kfree(*first);
    return ptr_err(*second);
}

long sys_renameat2(int at, const char __user *name, int new_at, const char __user *new_name, u32 flags) {
    char *from, *to;
    long error;

    if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    error = take_two(name, new_name, &from, &to);
    if (error)
        return error;
    error = name_rename(at, from, new_at, to, flags);
    kfree(from);
    kfree(to);
    return error;
}

long sys_renameat(int at, const char __user *name, int new_at, const char __user *new_name) {
    return sys_renameat2(at, name, new_at, new_name, 0);
}

long sys_rename(const char __user *name, const char __user *new_name) {
    return sys_renameat2(AT_FDCWD, name, AT_FDCWD, new_name, 0);
}

long sys_linkat(int at, const char __user *name, int new_at, const char __user *new_name, int flags) {
    u32 lookup = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    char *from, *to;
    struct path old;
    long error;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if ((flags & AT_EMPTY_PATH) && !capable(CAP_DAC_READ_SEARCH))
        return -ENOENT;
    error = take_two(name, new_name, &from, &to);
    if (error)
        return error;
    error = path_lookup(at, from, lookup, &old);
    if (!error) {
        error = name_link(&old, new_at, to);
        path_put(&old);
    }
    kfree(from);
    kfree(to);
    return error;
}

long sys_link(const char __user *name, const char __user *new_name) {
    return sys_linkat(AT_FDCWD, name, AT_FDCWD, new_name, 0);
}

long sys_symlinkat(const char __user *target, int at, const char __user *name) {
    char *to, *text;
    long error = take_two(target, name, &to, &text);

    if (error)
        return error;
    error = *to ? name_symlink(to, at, text) : -ENOENT;
    kfree(to);
    kfree(text);
    return error;
}

long sys_symlink(const char __user *target, const char __user *name) { return sys_symlinkat(target, AT_FDCWD, name); }

static bool is_empty(const char __user *name) {
    char first;
    return !get_user(first, name) && !first;
}

/* "" is the descriptor's own file, which must be a link: any other is, without a name, not there. */
long sys_readlinkat(int at, const char __user *name, char __user *out, int bytes) {
    char *buffer;
    struct path p;
    ssize_t result;

    if (bytes <= 0)
        return -EINVAL;
    result = path_lookup_user(at, name, LOOKUP_EMPTY, &p);
    if (result)
        return result;
    struct inode *i = path_inode(&p);
    buffer = kmalloc(PATH_MAX);
    if (!buffer)
        result = -ENOMEM;
    else if ((i->mode & S_IFMT) != S_IFLNK || !i->ops->readlink)
        result = is_empty(name) ? -ENOENT : -EINVAL;
    else
        result = i->ops->readlink(i, buffer, min((size_t)bytes, (size_t)PATH_MAX));
    if (result > 0 && copy_to_user(out, buffer, (size_t)result))
        result = -EFAULT;
    if (result >= 0)
        inode_accessed(i);
    kfree(buffer);
    path_put(&p);
    return result;
}

long sys_readlink(const char __user *name, char __user *out, int bytes) {
    return sys_readlinkat(AT_FDCWD, name, out, bytes);
}

/* ---- handles ---- */

struct file_handle { /* open_by_handle_at(2) */
    u32 bytes;
    s32 type;
};
#define HANDLE_MOST 128

/* No file system here gives out handles, as 9p does not on Linux: names under the overlay have no number that outlives
 * them. Programs know that answer. */
long sys_name_to_handle_at(int at, const char __user *name, void __user *handle, int __user *mount, int flags) {
    u32 lookup = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path p;
    int error = flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) ? -EINVAL : path_lookup_user(at, name, lookup, &p);

    if (!error)
        path_put(&p);
    return error ? error : -EOPNOTSUPP;
}

long sys_open_by_handle_at(int mount, void __user *handle, int flags) {
    struct file_handle head;
    struct file *f;
    int error = !capable(CAP_DAC_READ_SEARCH) ? -EPERM : copy_from_user(&head, handle, sizeof(head));

    if (!error && (!head.bytes || head.bytes > HANDLE_MOST))
        error = -EINVAL;
    f = error || mount == AT_FDCWD ? NULL : fd_get(mount);
    if (!error && !f && mount != AT_FDCWD)
        error = -EBADF;
    if (f)
        file_put(f);
    return error ? error : -ESTALE;
}
