/* inode.h - inodes, as the files of kernel/fs and kernel/sys use them among themselves; the rest sees vfs.h. */
#pragma once

#include "fs/vfs.h"

struct credentials;
struct files;
struct flock;

/* inode_permission_as: with somebody's capabilities and groups, but these ids (access(2) wants the real ones). 0,
 * -EACCES, -EROFS. */
int inode_permission_as(struct inode *i, int mask, const struct credentials *cred, u32 uid, u32 gid);
bool cred_in_group(const struct credentials *cred, u32 gid, u32 own);
bool inode_owned(const struct inode *i); /* by the caller, or CAP_FOWNER */
int inode_begin_write(struct inode *i);  /* a description opened for writing: -ETXTBSY while a program runs from it */
void inode_end_write(struct inode *i);
void inode_touch(struct inode *i, bool contents); /* the change time is now; the modification time too if contents */
void inode_accessed(struct inode *i);             /* relatime */

/* locks.c */
void locks_free(void *locks);
void locks_forget_process(struct inode *i,
                          struct files *owner); /* a descriptor was closed: POSIX locks of the process go */
void locks_forget_file(struct file *f);         /* the last reference: flock and OFD locks go */
int locks_fcntl(struct file *f, int command, struct flock *lock); /* F_GETLK... F_OFD_SETLKW on a kernel copy */
int locks_flock(struct file *f, int operation);
/* locks_next: the lines of /proc/locks: fills a line for the n-th lock of an inode; false at the end. */
