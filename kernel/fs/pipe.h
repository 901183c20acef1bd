/* pipe.h - what system calls and other files ask of a pipe beyond read, write and poll. */
#pragma once

#include "fs/vfs.h"

/* pipe_create: a new pipe's two ends, counted. flags: O_NONBLOCK, O_DIRECT (packets). 0, or -ENOMEM, -ENFILE. */
int pipe_create(struct file *ends[2], int flags);
bool file_is_pipe(const struct file *f);
/* pipe_set_size, pipe_get_size: fcntl F_SETPIPE_SZ and F_GETPIPE_SZ. The size in bytes, or -EBADF (no pipe), -EBUSY
 * (the contents do not fit), -EPERM (over pipe_size_most without CAP_SYS_RESOURCE), -EINVAL, -ENOMEM. May sleep. */
long pipe_set_size(struct file *f, u64 bytes);
long pipe_get_size(struct file *f);
extern u64 pipe_size_most; /* /proc/sys/fs/pipe-max-size, bytes */

/* anon_inode (anon.c): the one inode that eventfd, epoll, timerfd, signalfd files share; counted. NULL: no memory. */
struct inode *anon_inode(void);
/* anon_number: a fresh inode number for pipes and sockets. */
u64 anon_number(void);
