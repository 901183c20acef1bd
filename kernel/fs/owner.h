/* owner.h - who hears by a signal of what happens to an open file: F_SETOWN, F_SETSIG, O_ASYNC (fcntl(2)).
 *
 * Nouns. owner: of an open file: whom it tells, by which signal; made when somebody asks for it, and gone with the
 * file. news: OWNER_* bits, of what has happened. */
#pragma once

#include "fs/vfs.h"

#define OWNER_IN 1u     /* something can be read, or never more */
#define OWNER_OUT 2u    /* there is room to write again */
#define OWNER_URGENT 4u /* an out-of-band byte came: SIGURG */

/* owner_control: F_GETOWN, F_SETOWN, F_GETOWN_EX, F_SETOWN_EX, F_GETSIG, F_SETSIG. -ESRCH, -EINVAL, -EFAULT, -ENOMEM.
 * May sleep. */
long owner_control(struct file *f, int command, u64 argument);
/* owner_watch: FASYNC goes on or off, and the file's queues tell or do not. Nothing, if its operations have no `async`.
 * fd is what a siginfo will say. -ENOMEM. May sleep. */
int owner_watch(struct file *f, int fd, bool on);
/* owner_tell: news, to be told soon. In any context but an interrupt; under any lock. */
void owner_tell(struct file *f, u32 news);
void owner_forget(struct file *f); /* the file's last reference is gone */
