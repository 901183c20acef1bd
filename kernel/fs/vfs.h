/* vfs.h - names, inodes, open files: what every file system offers and every file system call uses.
 *
 * Nouns. mount: a file system at a place in the tree. inode: a file, with its cached pages (vm/object.h). dentry: a
 * cached name in a directory, positive or negative. path: (mount, dentry). file: an open description (open(2)),
 * counted; what descriptors and mappings refer to. */
#pragma once

#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/types.h>

#include "lib/base.h"
#include "lib/sync.h"
#include "vm/object.h"

struct inode;
struct dentry;
struct mount;
struct file;
struct poll_table;
struct iov; /* io.h: where bytes come from or go: user or kernel memory, scattered */

struct inode_times {
    s64 atime_ns, mtime_ns, ctime_ns, btime_ns;
};
/* A time as inodes keep it: of what that cannot hold, the nearest. ns: 0 to a second. */
static inline s64 inode_time(s64 seconds, s64 ns) {
    s64 time;
    if (__builtin_mul_overflow(seconds, 1000000000L, &time) || __builtin_add_overflow(time, ns, &time))
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return time;
}

struct inode {
    const struct inode_ops *ops;
    const struct file_ops *file_ops; /* default for open */
    struct super *super;
    u64 ino, dev;              /* dev: the super's, or the host's for a file that has one there */
    u32 mode, uid, gid, links; /* mode with type; under ->lock, read atomically */
    u32 flags;                 /* INODE_*; atomically */
    u64 rdev;
    struct inode_times times;
    struct object object; /* regular files: contents; object.size is the file's size for every kind */
    struct mutex lock;    /* a directory's entries; a regular file's size and writes */
    u32 references;
    s32 writers;          /* descriptions open for writing; exec denies (ETXTBSY) by -1 */
    struct dentry *alias; /* a directory's dentry, while it has one (cached file systems) */
    void *locks;          /* flock and POSIX record locks: locks.c */
    void *watches;        /* inotify.c */
    void *private_data;   /* the file system's own, where embedding does not suit */
};

#define INODE_DEAD 1u     /* a removed directory: nothing can be made in it */
#define INODE_LAYERED 2u  /* an overlay's directory with a lower: a name removed here must be remembered as removed */
#define INODE_TMPFILE 8u  /* never had a name, and may be given one (O_TMPFILE without O_EXCL) */
#define INODE_HERE 16u    /* lives only in memory, though its super's names do not: those that it is given stay */
#define INODE_NEGATIVE 4u /* names that are not there may be cached as such */

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

/* What rename(2) moves, and over what. Both directories' ->lock are held, and a replaced directory's. */
struct rename_names {
    struct inode *from, *moved, *to;
    struct inode *replaced; /* NULL: nothing of the new name */
    const char *name, *new_name;
    size_t bytes, new_bytes;
    bool exchange; /* moved and replaced change places */
};

/* Directory operations get the directory's inode with ->lock held, and a name that is not "." or ".." and <= 255 bytes.
 */
struct inode_ops {
    /* lookup: the inode of a name, counted; err_ptr(-ENOENT)... */
    struct inode *(*lookup)(struct inode *dir, const char *name, size_t bytes);
    struct inode *(*create)(struct inode *dir, const char *name, size_t bytes, u32 mode,
                            u64 rdev); /* file, dir, node, fifo, socket by mode's type; counted */
    struct inode *(*symlink)(struct inode *dir, const char *name, size_t bytes,
                             const char *target); /* counted; err_ptr */
    int (*link)(struct inode *dir, const char *name, size_t bytes, struct inode *target);
    int (*unlink)(struct inode *dir, const char *name, size_t bytes, struct inode *victim, bool directory);
    int (*rename)(const struct rename_names *r);
    struct inode *(*tmpfile)(struct inode *dir, u32 mode);
    /* readlink: into buffer, returns bytes. magic links of /proc have follow instead: a counted path. */
    ssize_t (*readlink)(struct inode *inode, char *buffer, size_t bytes);
    int (*follow)(struct inode *inode, struct path *out);
    bool (*allows)(struct inode *inode);            /* the caller may, though the mode says not. NULL: it may not */
    int (*getattr)(struct inode *inode);            /* refresh the cached attributes, or NULL */
    int (*setattr)(struct inode *inode, u32 valid); /* new values are in the inode already (an error puts the old back);
                                                       NULL: fine. Size changes go through resize */
    u64 (*blocks)(struct inode *inode);             /* of 512 bytes, for stat; NULL: as many as the size needs */
    int (*resize)(struct inode *inode, u64 bytes);
    ssize_t (*getxattr)(struct inode *, const char *name, void *value, size_t bytes);
    int (*setxattr)(struct inode *, const char *name, const void *value, size_t bytes, int flags);
    ssize_t (*listxattr)(struct inode *, char *list, size_t bytes);
    void (*release)(struct inode *inode); /* last reference: free it */
};

#define ATTR_MODE 1u
#define ATTR_UID 2u
#define ATTR_GID 4u
#define ATTR_ATIME 8u
#define ATTR_MTIME 16u

/* One entry for readdir: return false to stop (the entry was not taken). */
struct dir_sink {
    bool (*emit)(struct dir_sink *sink, const char *name, size_t bytes, u64 ino, unsigned type, u64 next_position);
};

struct file_ops {
    int (*open)(struct inode *inode, struct file *file);
    void (*release)(struct file *file); /* last reference */
    int (*flush)(struct file *file);    /* each close of a descriptor */
    /* read and write at *position (ignored by streams), advancing it. May sleep; -EAGAIN with O_NONBLOCK; bytes, 0 at
     * the end, -errno. */
    ssize_t (*read)(struct file *file, struct iov *to, u64 *position);
    ssize_t (*write)(struct file *file, struct iov *from, u64 *position);
    s64 (*seek)(struct file *file, s64 offset, int whence);   /* NULL: -ESPIPE for streams */
    int (*iterate)(struct file *file, struct dir_sink *sink); /* getdents; file->position is the cursor */
    /* poll: the events (POLLIN...) ready now; if table, also poll_wait on each queue that announces a change. Does not
     * sleep. */
    u32 (*poll)(struct file *file, struct poll_table *table);
    long (*ioctl)(struct file *file, u32 command, u64 argument);
    int (*fsync)(struct file *file, bool data_only);
    /* map: check and adjust a mapping of this file; NULL: mappable if the inode is a regular file. */
    int (*map)(struct file *file, u32 view_flags, u64 offset, u64 bytes);
    bool async;          /* O_ASYNC has an effect */
    bool maps_anonymous; /* /dev/zero: a mapping of it is anonymous memory, private or shared */
    int (*fallocate)(struct file *file, int mode, u64 offset, u64 bytes);
};

struct file {
    const struct file_ops *ops;
    u32 references;
    u32 flags;           /* O_*; O_APPEND, O_NONBLOCK... change by fcntl, atomically */
    u32 mode;            /* FILE_READ | FILE_WRITE: what it was opened for */
    bool counted_writer; /* it is one of inode->writers */
    struct path path;    /* counted; a pipe's or socket's dentry is a loose one, with mount NULL, for /proc */
    struct inode *inode; /* counted */
    u64 position;
    struct mutex position_lock;
    u32 errors_seen;     /* atomic: of inode->super->errors */
    struct vm_file vm;   /* vm.object: what mmap maps; normally &inode->object */
    struct owner *owner; /* atomically: whom it signals: fs/owner.h. NULL: nobody was named */
    void *private_data;  /* of whoever opened it: a pipe, a socket, a stream */
    struct list epoll;   /* epoll.c's items that watch it */
};
#define FILE_READ 1u
#define FILE_WRITE 2u
#define FILE_PATH 4u /* O_PATH */

/* Paths. flags: LOOKUP_* below. at: AT_FDCWD or a descriptor. All return counted paths: path_put. -ENOENT, -ENOTDIR,
 * -ELOOP, -EACCES... */
#define LOOKUP_FOLLOW 1u       /* follow a final symbolic link */
#define LOOKUP_DIRECTORY 2u    /* must be a directory */
#define LOOKUP_EMPTY 4u        /* "" means `at` itself (AT_EMPTY_PATH) */
#define LOOKUP_CREATE 8u       /* path_parent: the last component need not exist */
#define LOOKUP_NO_SYMLINKS 16u /* RESOLVE_NO_SYMLINKS and the others of openat2 */
#define LOOKUP_NO_MAGIC 32u
#define LOOKUP_BENEATH 64u
#define LOOKUP_IN_ROOT 128u
#define LOOKUP_NO_XDEV 256u
#define LOOKUP_REAL_IDS 512u /* permissions by the real ids (access(2)) */
int path_lookup(int at, const char *name, u32 flags, struct path *out);
int path_lookup_user(int at, const char __user *name, u32 flags, struct path *out);
void path_get(const struct path *p);
void path_put(struct path *p);                  /* may sleep */
struct inode *path_inode(const struct path *p); /* not counted: lives as long as the path */
/* path_string: the name from the caller's root, "(unreachable)" or " (deleted)" as proc(5) has them. Points into
 * buffer; err_ptr(-ENAMETOOLONG). */
char *path_string(const struct path *p, char *buffer, size_t bytes);

/* file_open: open(2) for the kernel and for the system calls. err_ptr(-errno). */
struct file *file_open(int at, const char *name, int flags, u32 mode);
struct file *file_open_path(const struct path *p,
                            int flags); /* an existing file, access already checked or not by flags */
/* file_open_allowed: the same for who was asked already: a program may be executed by who may not read it. */
struct file *file_open_allowed(const struct path *p, int flags);
/* file_make: an open file without a place in the tree: pipes, sockets, eventfd, memfd. name: what /proc/PID/fd shows
 * ("pipe:[7]"). Takes over the caller's reference to the inode on success. err_ptr. */
struct file *file_make(struct inode *inode, const struct file_ops *ops, int flags, const char *name);
/* shmem_file: a file of `bytes` that lives only in memory (memfd, shared anonymous memory). err_ptr. */
struct file *shmem_file(const char *name, u64 bytes, int flags);
void file_get(struct file *f);
void file_put(struct file *f); /* the last one releases; may sleep */
extern const struct vm_file_ops file_vm_ops;
/* file_of_vm: NULL: anonymous memory, or the kernel's own (the vdso). */
static inline struct file *file_of_vm(struct vm_file *v) {
    return v && v->ops == &file_vm_ops ? container_of(v, struct file, vm) : NULL;
}
ssize_t file_read_kernel(struct file *f, void *buffer, size_t bytes,
                         u64 position); /* for exec; all or short at the end */
ssize_t file_write_kernel(struct file *f, const void *buffer, size_t bytes, u64 position);

/* inode_names_stay: names given to it are in the name cache alone, and are kept there until they are removed. */
bool inode_names_stay(const struct inode *inode);
int inode_permission(struct inode *inode, int mask); /* MAY_* */
#define MAY_EXEC 1
#define MAY_WRITE 2
#define MAY_READ 4
void inode_get(struct inode *i);
void inode_put(struct inode *i);
bool inode_try_get(struct inode *i); /* false: the last reference is gone already */
/* inode_init: one reference, one link (two for a directory), owned by the caller's file system ids, times now, a number
 * of its own. */
void inode_init(struct inode *i, struct super *s, u32 mode);
/* inode_pages_promised: the object's ops of a file in memory whose pages were promised all at once. */
extern const struct object_ops inode_pages_promised;
u64 inode_number(void);                /* a number that no file of the host has */
int inode_deny_write(struct inode *i); /* exec: -ETXTBSY if someone writes */
void inode_allow_write(struct inode *i);

/* File systems and mounts. */
struct super {
    const char *type; /* "9p", "tmpfs", "proc", ... */
    u64 dev;          /* st_dev */
    struct inode *root;
    int (*statfs)(struct super *s, void *statfs /* struct statfs of asm/statfs.h */);
    int (*sync)(struct super *s);
    const char *options; /* as /proc/mounts shows them */
    u32 errors;          /* of write-back: lib/errseq.h */
    bool read_only;
    bool made_when_read; /* its regular files have no pages: they cannot be mapped */
    bool keeps_names;    /* names live only in memory: those made stay until they are removed */
    bool uncached; /* proc: names come and go by themselves. Each lookup asks the inode; its dentry is never found again
                      by name */
    void *private_data;
};
int mount_at(const char *where, struct super *s,
             const char *source); /* kernel's own mounts at boot; makes no directory unless the parent is ours */
struct mount *mount_next(struct mount *m);                 /* for /proc/mounts: NULL starts, NULL ends */
int mount_show(struct mount *m, char *line, size_t bytes); /* "source where type options 0 0\n" */

/* Special files, by whoever owns their kind; file_open calls them in place of file_ops->open, the file's mode and flags
 * set. fifo_open (pipe.c) may sleep for the other end: -ENXIO, -ERESTARTSYS. chardev_open (devfs.c) goes by
 * inode->rdev: -ENXIO. */
int fifo_open(struct inode *inode, struct file *file);
int chardev_open(struct inode *inode, struct file *file);
/* Made at the first call; NULL: no memory. */
struct super *proc_super(void), *sysfs_super(void), *devfs_super(void), *devpts_super(void);
int devfs_fill(void); /* once, with devfs_super on /dev: the names that it begins with. 0 or -errno */
/* epoll_forget (epoll.c): the file's last reference is gone: called before ops->release when file->epoll is not empty.
 */
void epoll_forget(struct file *file);

/* poll */
struct poll_table {
    void (*wait)(struct poll_table *t, struct waitq *q); /* register; may fail silently on no memory and set error */
    int error;
};
static inline void poll_wait(struct poll_table *t, struct waitq *q) {
    if (t)
        t->wait(t, q);
}

/* root, cwd, umask of a process */
struct fs_root {
    u32 references;
    struct spin lock;
    struct path root, cwd;
    u32 umask;
};
struct fs_root *fs_root_create(void); /* root and cwd at the root of everything, umask 022; NULL: no memory */
int fs_root_chdir(struct fs_root *f, const char *where); /* for the first process: no permission is asked */
struct fs_root *fs_root_fork(struct fs_root *f);         /* a copy, or NULL */
void fs_root_get(struct fs_root *f);
void fs_root_put(struct fs_root *f);

/* For the end of a run and for reclaim. */
u64 overlay_changes(
    void); /* files changed, made or removed in overlays, as seen at the end: made and removed again is none */
u64 tree_shrink(u64 count); /* free up to `count` cached names without users, and what only they held; returns how many.
                               May sleep */
void vfs_sync(void);        /* write all that a write-through mount has dirty */

void vfs_init(void);
/* vfs_mount_all: root, overlay, tmpfs, /proc, /sys, /dev as design section 8 says, from the configuration. 0 or -errno.
 */
struct boot_config;
int vfs_mount_all(const struct boot_config *config);
