/* file.c - system calls about descriptors: open, close, duplicate, fcntl, ioctl, locks. */
#include <asm/ioctls.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/openat2.h>

#include "fs/file.h"
#include "fs/inode.h"
#include "fs/open.h"
#include "fs/owner.h"
#include "fs/path.h"
#include "fs/pipe.h"
#include "fs/tree.h"
#include "sys/sys.h"
#include "task/family.h"
#include "vm/slab.h"

/* Opening. */

#define PATH_FLAGS (O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW) /* what O_PATH goes with */
#define NAMELESS (O_TMPFILE & ~O_DIRECTORY)

/* O_TMPFILE is written to, makes no name, and comes with O_DIRECTORY, for kernels that know only that. O_CREAT makes no
 * directory. */
static bool agree(u64 flags) {
    if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
        return false;
    return !(flags & NAMELESS) || ((flags & (O_TMPFILE | O_CREAT)) == O_TMPFILE && (flags & O_ACCMODE));
}

static long open_user(int at, const char __user *name, int flags, u32 mode, u32 lookup) {
    char *text;
    int fd;

    if (!(flags & O_PATH) && !agree((u32)flags))
        return -EINVAL;
    text = name_from_user(name);
    if (is_err(text))
        return ptr_err(text);
    fd = fd_reserve();
    struct file *f = fd < 0 ? NULL : file_open_how(at, text, flags, mode, lookup);
    kfree(text);
    if (fd >= 0)
        fd_fill(fd, is_err(f) ? NULL : f, flags & O_CLOEXEC);
    return f && is_err(f) ? ptr_err(f) : fd;
}

long sys_open(const char __user *name, int flags, u32 mode) { return open_user(AT_FDCWD, name, flags, mode, 0); }

long sys_openat(int at, const char __user *name, int flags, u32 mode) { return open_user(at, name, flags, mode, 0); }

long sys_creat(const char __user *name, u32 mode) {
    return open_user(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode, 0);
}

/* The flags that open(2) knows; others are ignored by open and openat, and refused by openat2. */
#define OPEN_FLAGS                                                                                                     \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | FASYNC | O_DIRECT |         \
     O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_SYNC | O_PATH | O_TMPFILE)

static int resolve_flags(u64 resolve, u32 *lookup) {
    static const struct {
        u64 resolve;
        u32 lookup;
    } map[] = {{RESOLVE_NO_XDEV, LOOKUP_NO_XDEV},
               {RESOLVE_NO_MAGICLINKS, LOOKUP_NO_MAGIC},
               {RESOLVE_NO_SYMLINKS, LOOKUP_NO_SYMLINKS | LOOKUP_NO_MAGIC},
               {RESOLVE_BENEATH, LOOKUP_BENEATH},
               {RESOLVE_IN_ROOT, LOOKUP_IN_ROOT}};

    *lookup = 0;
    for (unsigned n = 0; n < array_count(map); n++) {
        if (resolve & map[n].resolve)
            *lookup |= map[n].lookup;
        resolve &= ~map[n].resolve;
    }
    bool both = (*lookup & LOOKUP_BENEATH) && (*lookup & LOOKUP_IN_ROOT);
    if ((resolve & ~(u64)RESOLVE_CACHED) || both)
        return -EINVAL;
    return resolve ? -EAGAIN : 0; /* only what the cache knows: it need not know anything */
}

/* What open(2) would ignore is refused. */
static bool how_valid(const struct open_how *how) {
    bool makes = how->flags & (O_CREAT | NAMELESS);
    if ((how->flags & ~(u64)OPEN_FLAGS) || (how->mode & ~07777UL) || (how->mode && !makes))
        return false;
    return agree(how->flags) && !((how->flags & O_PATH) && (how->flags & ~(u64)PATH_FLAGS));
}

long sys_openat2(int at, const char __user *name, const struct open_how __user *user, size_t bytes) {
    struct open_how how;
    u32 lookup;
    int error;

    if (bytes < sizeof(how))
        return -EINVAL;
    if (bytes > PAGE_SIZE)
        return -E2BIG;
    error = copy_from_user(&how, user, sizeof(how));
    for (size_t at_byte = sizeof(how); !error && at_byte < bytes; at_byte++) {
        u8 extra;
        error = get_user(extra, (const u8 __user *)user + at_byte);
        if (!error && extra)
            error = -E2BIG;
    }
    if (!error && !how_valid(&how))
        error = -EINVAL;
    if (!error)
        error = resolve_flags(how.resolve, &lookup);
    if (error)
        return error;
    return open_user(at, name, (int)how.flags, (u32)how.mode, lookup);
}

long sys_close(int fd) {
    int error = fd_close(fd);
    /* The descriptor is gone: a restart would close somebody else's. */
    return error == -ERESTARTSYS || error == -ERESTARTNOINTR ? -EINTR : error;
}

long sys_close_range(u32 first, u32 last, u32 flags) {
    struct files *t;

    if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
        return -EINVAL;
    int error = flags & CLOSE_RANGE_UNSHARE ? task_unshare_files() : 0;
    if (error)
        return error;
    t = task_current()->files;
    for (int fd = fd_next_of(t, (int)min(first, (u32)INT32_MAX)); fd >= 0 && (u32)fd <= last;
         fd = fd_next_of(t, fd + 1)) {
        if (flags & CLOSE_RANGE_CLOEXEC)
            fd_set_flags(fd, FD_CLOEXEC);
        else
            fd_close(fd);
    }
    return 0;
}

/* Duplicating. */

static long duplicate(int fd, int from, bool close_on_exec) {
    struct file *f = fd_get(fd);
    int new;

    if (!f)
        return -EBADF;
    new = fd_install(f, close_on_exec, from);
    if (new < 0)
        file_put(f);
    return new;
}

static long duplicate_to(int fd, int new, bool close_on_exec) {
    struct process *p = process_current();
    struct file *f = fd_get(fd);
    int error = f ? 0 : -EBADF;

    if (!error && (new < 0 || (u64) new >= p->limits[RLIMIT_NOFILE].rlim_cur))
        error = -EBADF;
    if (!error)
        error = fd_install_at(task_current()->files, f, new, close_on_exec);
    if (error < 0 && f)
        file_put(f);
    return error;
}

long sys_dup(int fd) { return duplicate(fd, 0, false); }

long sys_dup2(int fd, int new) {
    if (fd == new) {
        struct file *f = fd_get(fd);
        if (f)
            file_put(f);
        return f ? fd : -EBADF;
    }
    return duplicate_to(fd, new, false);
}

long sys_dup3(int fd, int new, int flags) {
    if ((flags & ~O_CLOEXEC) || fd == new)
        return -EINVAL;
    return duplicate_to(fd, new, flags & O_CLOEXEC);
}

/* fcntl. */

static long set_status_flags(struct file *f, int fd, u32 flags) {
    const u32 changeable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
    int error = 0;

    if ((flags & O_NOATIME) && !(f->flags & O_NOATIME) && !inode_owned(f->inode))
        return -EPERM;
    if ((flags & O_DIRECT) && !file_is_pipe(f) && !file_can_direct(f))
        return -EINVAL;
    if ((f->flags ^ flags) & FASYNC)
        error = owner_watch(f, fd, flags & FASYNC);
    if (!error)
        atomic_store(&f->flags, (f->flags & ~changeable) | (flags & changeable));
    return error;
}

static long lock_user(struct file *f, int fd, int command, struct flock __user *user) {
    struct flock l;
    int error = get_user(l, user);

    if (!error)
        error = locks_fcntl(f, fd, command, &l);
    if (!error && (command == F_GETLK || command == F_OFD_GETLK))
        error = copy_to_user(user, &l, sizeof(l));
    return error;
}

static long fcntl_file(struct file *f, int fd, int command, u64 argument) {
    switch (command) {
    case F_GETFL:
        return f->flags;
    case F_SETFL:
        return set_status_flags(f, fd, (u32)argument);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return lock_user(f, fd, command, (struct flock __user *)argument);
    case F_GETOWN:
    case F_SETOWN:
    case F_GETSIG:
    case F_SETSIG:
    case F_GETOWN_EX:
    case F_SETOWN_EX:
        return owner_control(f, command, argument);
    case F_SETPIPE_SZ:
        return pipe_set_size(f, argument);
    case F_GETPIPE_SZ:
        return pipe_get_size(f);
    case F_ADD_SEALS:
        return tree_add_seals(f, (u32)argument);
    case F_GET_SEALS:
        return tree_get_seals(f);
    case F_GETLEASE:
        return F_UNLCK;
    case F_NOTIFY: /* no events: none are told any more. Others: inotify(7) has replaced them */
        return argument & ~(u64)DN_MULTISHOT ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

long sys_fcntl(int fd, int command, u64 argument) {
    struct file *f = fd_get(fd);
    long result;

    if (!f)
        return -EBADF;
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        result = argument >= process_current()->limits[RLIMIT_NOFILE].rlim_cur
                     ? -EINVAL
                     : duplicate(fd, (int)argument, command == F_DUPFD_CLOEXEC);
        break;
    case F_GETFD:
        result = fd_flags_of(task_current()->files, fd);
        break;
    case F_SETFD:
        result = fd_set_flags(fd, argument & FD_CLOEXEC);
        break;
    default:
        result = (f->mode & FILE_PATH) && command != F_GETFL ? -EBADF : fcntl_file(f, fd, command, argument);
    }
    file_put(f);
    return result;
}

long sys_flock(int fd, int operation) {
    struct file *f = fd_get(fd);
    long result;

    if (!f)
        return -EBADF;
    result = f->mode & FILE_PATH ? -EBADF : locks_flock(f, operation);
    file_put(f);
    return result;
}

/* ioctl. */

static long set_flag(struct file *f, int fd, u32 flag, u64 argument) {
    int on;
    int error = get_user(on, (int __user *)argument);

    if (!error && flag == FASYNC && !on != !(f->flags & FASYNC))
        error = f->ops->async ? owner_watch(f, fd, on) : -ENOTTY;
    else if (!error && on)
        atomic_or(&f->flags, flag);
    else if (!error)
        atomic_and(&f->flags, ~flag);
    return error;
}

/* What regular files and directories answer. */
static long ioctl_regular(struct file *f, u32 command, u64 argument) {
    bool regular = (f->inode->mode & S_IFMT) == S_IFREG;
    s64 left;

    switch (command) {
    case FIONREAD:
        if (!regular)
            return -ENOTTY;
        left = (s64)(f->inode->object.size - f->position);
        return put_user((int)left, (int __user *)argument);
    case FIGETBSZ:
        return put_user((int)PAGE_SIZE, (int __user *)argument);
    case FICLONE:
    case FICLONERANGE:
    case FIDEDUPERANGE:
        return regular ? -EOPNOTSUPP : -EINVAL;
    default:
        return -ENOTTY;
    }
}

long sys_ioctl(int fd, u32 command, u64 argument) {
    struct file *f = fd_get(fd);
    long result;

    if (!f)
        return -EBADF;
    if (f->mode & FILE_PATH)
        result = -EBADF;
    else if (command == FIOCLEX || command == FIONCLEX)
        result = fd_set_flags(fd, command == FIOCLEX ? FD_CLOEXEC : 0);
    else if (command == FIONBIO)
        result = set_flag(f, fd, O_NONBLOCK, argument);
    else if (command == FIOASYNC)
        result = set_flag(f, fd, FASYNC, argument);
    else if (command == FS_IOC_FIEMAP) /* where a file's bytes lie: no file system here knows */
        result = -EOPNOTSUPP;
    else if (f->ops->ioctl)
        result = f->ops->ioctl(f, command, argument);
    else
        result = ioctl_regular(f, command, argument);
    file_put(f);
    return result;
}

/* Memory files. */

long sys_memfd_create(const char __user *name, u32 flags) {
    const size_t most = 249; /* NAME_MAX less "memfd:" */
    char text[8 + 249 + 11] = "/memfd:";
    ssize_t bytes;
    int fd;

    if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING))
        return -EINVAL;
    bytes = strncpy_from_user(text + 7, name, most + 1);
    if (bytes < 0 || bytes > (ssize_t)most)
        return bytes < 0 ? bytes : -EINVAL;
    memcpy(text + 7 + bytes, " (deleted)", 11);
    struct file *f = shmem_file(text, 0, 0);
    if (is_err(f))
        return ptr_err(f);
    if (flags & MFD_ALLOW_SEALING)
        atomic_or(&tree_inode(f->inode)->flags, TREE_INODE_SEALABLE);
    fd = fd_install(f, flags & MFD_CLOEXEC, 0);
    if (fd < 0)
        file_put(f);
    return fd;
}
