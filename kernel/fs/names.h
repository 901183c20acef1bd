/* names.h - making, removing and moving names. All may sleep, return 0 or -errno, and take names in kernel memory. */
#pragma once

#include "fs/path.h"

/* name_make: mknod and mkdir by mode's type; the caller's umask is applied. */
int name_make(int at, const char *name, u32 mode, u64 rdev);
/* name_make_path: likewise, and *out is what was made, counted. */
int name_make_path(int at, const char *name, u32 mode, u64 rdev, struct path *out);
int name_symlink(const char *target, int at, const char *name);
int name_link(const struct path *old, int at, const char *name);
int name_remove(int at, const char *name, bool directory);
int name_rename(int at, const char *name, int new_at, const char *new_name, u32 flags);
/* name_made_mode: what of mode a new file in the directory gets: not the umask's bits, nor the right to run as the
 * directory's group from who is not in it. */
u32 name_made_mode(const struct inode *dir, u32 mode);
/* name_create_in: make a file in the directory; its inode->lock is held, the name is known not to exist. The mode is
 * final but for the umask. *out: the new name, counted. */
int name_create_in(struct dentry *dir, const char *name, size_t bytes, u32 mode, u64 rdev, struct dentry **out);
/* name_make_dirs: for mount points: make what is missing of an absolute path, no permission asked. */
int name_make_dirs(const char *path);
