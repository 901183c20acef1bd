/* mm.h - what the files of system calls on memory share. */
#pragma once

#include "lib/base.h"

struct space;

/* limited_space (mm.c): the caller's space, its limits as setrlimit left them. */
struct space *limited_space(void);
u32 view_prot(u64 prot); /* PROT_* as VIEW_* (mm.c) */
/* execute_only (protect.c): the VIEW_KEY bits of memory that may only be executed; made at the first call. 0: none to
 * be had. */
u32 execute_only(struct space *s);
/* may_lock (mlock.c): the caller may lock memory at all. */
bool may_lock(void);
/* vector_take (remote.c): the user's vector into kernel memory, for kfree; lengths checked and cut to what one call may
 * move, with `local` addresses too. -EINVAL, -EFAULT, -ENOMEM. */
struct iovec;
int vector_take(const struct iovec __user *user, u64 count, bool local, struct iovec **out);
