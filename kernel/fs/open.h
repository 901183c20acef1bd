/* open.h - open files, as the files of kernel/fs and kernel/sys use them among themselves; the rest sees vfs.h. */
#pragma once

#include "fs/vfs.h"

/* file_open_how: file_open with more of LOOKUP_* (openat2's RESOLVE_*). err_ptr. */
struct file *file_open_how(int at, const char *name, int flags, u32 mode, u32 lookup);
/* file_read, file_write: through the file's operations, after the checks that all files share: opened for it, not a
 * directory. *position is read and advanced by files that have one. */
ssize_t file_read(struct file *f, struct iov *to, u64 *position);
ssize_t file_write(struct file *f, struct iov *from, u64 *position);
bool file_seeks(const struct file *f);
bool file_can_direct(const struct file *f); /* O_DIRECT is meant for such files */
/* inode_may_grow: by the caller's RLIMIT_FSIZE. 0, or -EFBIG, with its signal. */
int inode_may_grow(const struct inode *i, u64 bytes);
/* inode_resize: truncate(2) after its permission checks: limits, privileges, then the file system. */
int inode_resize(struct inode *i, u64 bytes);
/* inode_change: set attributes (ATTR_*) from `new`; nothing is changed on error. i->lock not held. */
struct inode_change {
    u32 valid, mode, uid, gid;
    s64 atime_ns, mtime_ns;
};
int inode_change(struct inode *i, const struct inode_change *new);
/* inode_written: the contents change: set-id bits go unless the writer may keep them. i->lock held. */
void inode_drop_privileges(struct inode *i);
