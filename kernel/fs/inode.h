/* inode.h - inodes, as the files of kernel/fs and kernel/sys use them among themselves; the rest sees vfs.h. */
#pragma once

#include "fs/vfs.h"

struct credentials;
struct files;
struct flock;

/* inode_permission_real: as access(2) wants it: by the real ids, with the capabilities that exec would give them. 0,
 * -EACCES, -EROFS. */
int inode_permission_real(struct inode *i, int mask);
bool cred_in_group(const struct credentials *cred, u32 gid, u32 own);
bool inode_owned(const struct inode *i); /* by the caller, or CAP_FOWNER */
int inode_begin_write(struct inode *i);  /* a description opened for writing: -ETXTBSY while a program runs from it */
void inode_end_write(struct inode *i);
void inode_touch(struct inode *i, bool contents); /* the change time is now; the modification time too if contents */
void inode_accessed(struct inode *i);             /* relatime */

extern u64 protected_hardlinks, protected_symlinks; /* [a] names.c, path.c: /proc/sys/fs */

/* locks.c */
void locks_free(void *locks);
void locks_forget_process(struct inode *i,
                          struct files *owner); /* a descriptor was closed: POSIX locks of the process go */
void locks_forget_file(struct file *f);         /* the last reference: flock and OFD locks go */
/* F_GETLK... F_OFD_SETLKW on a kernel copy; fd: the descriptor that f was found by. */
int locks_fcntl(struct file *f, int fd, int command, struct flock *lock);
int locks_flock(struct file *f, int operation);
/* locks_next: the lines of /proc/locks: fills a line for the n-th lock of an inode; false at the end. */
