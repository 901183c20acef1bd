/* nsfs.c - namespaces(7): each process is in the first of every kind, since no more can be made. What stands for them:
 * the links of /proc/PID/ns, and the files that these lead to (ioctl_ns(2)), with the numbers that Linux gives them. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/ioctl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <asm/statfs.h>

#include "arch/x86_64/usercopy.h"
#include "fs/dentry.h"
#include "fs/file.h"
#include "fs/nsfs.h"
#include "task/task.h"

static const struct inode_ops namespace_inode_ops;
static const struct file_ops namespace_ops;
static int nsfs_statfs(struct super *s, void *out) {
    ((struct statfs *)out)->f_type = NSFS_MAGIC;
    return 0;
}
static struct super nsfs = {.type = "nsfs", .dev = 4, .options = "rw", .made_when_read = true, .statfs = nsfs_statfs};

static struct namespace_file {
    const char *name; /* what its link says */
    u64 number;
    int kind; /* CLONE_NEW* */
    struct inode inode;
    struct dentry *dentry; /* once it was asked for; for ever */
} namespaces[] = {
    [NAMESPACE_CGROUP] = {.name = "cgroup:[4026531835]", .number = 4026531835, .kind = CLONE_NEWCGROUP},
    [NAMESPACE_IPC] = {.name = "ipc:[4026531839]", .number = 4026531839, .kind = CLONE_NEWIPC},
    [NAMESPACE_MNT] = {.name = "mnt:[4026531841]", .number = 4026531841, .kind = CLONE_NEWNS},
    [NAMESPACE_NET] = {.name = "net:[4026531840]", .number = 4026531840, .kind = CLONE_NEWNET},
    [NAMESPACE_PID] = {.name = "pid:[4026531836]", .number = 4026531836, .kind = CLONE_NEWPID},
    [NAMESPACE_TIME] = {.name = "time:[4026531834]", .number = 4026531834, .kind = CLONE_NEWTIME},
    [NAMESPACE_USER] = {.name = "user:[4026531837]", .number = 4026531837, .kind = CLONE_NEWUSER},
    [NAMESPACE_UTS] = {.name = "uts:[4026531838]", .number = 4026531838, .kind = CLONE_NEWUTS},
};
static struct mutex making = MUTEX_INIT(making); /* protects the dentries, once each */

int namespace_path(enum namespace_kind kind, struct path *out) {
    struct namespace_file *n = &namespaces[kind];
    mutex_lock(&making);
    if (!n->inode.ops) {
        inode_init(&n->inode, &nsfs, S_IFREG | 0444);
        n->inode.ops = &namespace_inode_ops;
        n->inode.file_ops = &namespace_ops;
        n->inode.ino = n->number;
    }
    if (!n->dentry) {
        n->dentry = dentry_loose(&n->inode, n->name);
        if (n->dentry)
            inode_get(&n->inode);
    }
    mutex_unlock(&making);
    *out = (struct path){NULL, n->dentry};
    if (out->dentry)
        path_get(out);
    return out->dentry ? 0 : -ENOMEM;
}

static struct namespace_file *of_file(const struct file *f) {
    return f->ops == &namespace_ops ? container_of(f->inode, struct namespace_file, inode) : NULL;
}

long namespace_join(struct file *f, int type) {
    const struct namespace_file *n = of_file(f);
    if (!n || (type && type != n->kind))
        return -EINVAL;
    if (n->kind == CLONE_NEWUSER)
        return -EINVAL; /* one's own */
    if (n->kind == CLONE_NEWTIME && atomic_load(&process_current()->thread_count) > 1)
        return -EUSERS;
    if (n->kind == CLONE_NEWNS && !capable(CAP_SYS_CHROOT))
        return -EPERM;
    return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static long open_user_namespace(void) {
    struct path path;
    long fd = namespace_path(NAMESPACE_USER, &path);
    if (fd)
        return fd;
    struct file *f = file_open_path(&path, O_RDONLY);
    path_put(&path);
    fd = is_err(f) ? ptr_err(f) : fd_install(f, true, 0);
    if (fd < 0 && !is_err(f))
        file_put(f);
    return fd;
}

/* The first ones have no parent, and who asks for it may not look beyond his own. */
static long namespace_ioctl(struct file *file, u32 command, u64 argument) {
    const struct namespace_file *n = of_file(file);
    switch (command) {
    case NS_GET_USERNS:
        return n->kind == CLONE_NEWUSER ? -EPERM : open_user_namespace();
    case NS_GET_PARENT:
        return n->kind == CLONE_NEWUSER || n->kind == CLONE_NEWPID ? -EPERM : -EINVAL;
    case NS_GET_NSTYPE:
        return n->kind;
    case NS_GET_OWNER_UID:
        return n->kind == CLONE_NEWUSER ? put_user(0u, (u32 __user *)argument) : -EINVAL;
    default:
        return -ENOTTY;
    }
}

/* As on Linux, which has the file marked as one that never changes. */
static int namespace_open(struct inode *inode, struct file *file) { return file->mode & FILE_WRITE ? -EPERM : 0; }

static const struct file_ops namespace_ops = {.open = namespace_open, .ioctl = namespace_ioctl};
