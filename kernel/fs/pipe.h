/* pipe.h - what system calls and other files ask of a pipe beyond read, write and poll. */
#pragma once

#include "fs/vfs.h"

/* pipe_create: a new pipe's two ends, counted. flags: O_NONBLOCK, O_DIRECT (packets). 0, or -ENOMEM, -ENFILE. */
int pipe_create(struct file *ends[2], int flags);
bool file_is_pipe(const struct file *f);
struct chunk {
    char *page;
    u16 offset, bytes;
    bool packet; /* O_DIRECT: a read takes from this one only, and drops what it does not take */
};
/* pipe_take: the oldest chunk, off the pipe, which keeps its slot; pipe_take_end: what is left of it goes back. 1; 0:
 * nobody will write any more; -EAGAIN, -ERESTARTSYS.
 * pipe_copy: for tee: the chunk at *cursor (first CHUNK_OLDEST), or the oldest if that is gone, into to->page, up to
 * to->bytes; 0 also when there is none yet. pipe_reserve: a slot, and a page for it; pipe_reserve_end: the bytes in it
 * are in the pipe; none: it is given up. 0; -EAGAIN, -EPIPE (with the signal), -ERESTARTSYS, -ENOMEM. file: a pipe's
 * end of the right kind. None holds a lock on return, so the other file may sleep in between. */
#define CHUNK_OLDEST (~0UL)
int pipe_take(struct file *file, struct chunk *out, bool nowait);
void pipe_take_end(struct file *file, struct chunk *c);
int pipe_copy(struct file *file, u64 *cursor, struct chunk *to, bool nowait);
int pipe_reserve(struct file *file, struct chunk *out, bool nowait);
void pipe_reserve_end(struct file *file, struct chunk *c);
bool pipe_same(const struct file *a, const struct file *b); /* two ends of one pipe */
/* pipe_set_size, pipe_get_size: fcntl F_SETPIPE_SZ and F_GETPIPE_SZ. The size in bytes, or -EBADF (no pipe), -EBUSY
 * (the contents do not fit), -EPERM (over pipe_size_most without CAP_SYS_RESOURCE), -EINVAL, -ENOMEM. May sleep. */
long pipe_set_size(struct file *f, u64 bytes);
long pipe_get_size(struct file *f);
extern u64 pipe_size_most; /* /proc/sys/fs/pipe-max-size, bytes */

/* anon_inode (anon.c): the one inode that eventfd, epoll, timerfd, signalfd files share; counted. NULL: no memory. */
struct inode *anon_inode(void);
/* anon_number: a fresh inode number for pipes and sockets. */
u64 anon_number(void);
