/* io.h - struct iov: a cursor over user or kernel memory that read and write consume. */
#pragma once

#include <linux/uio.h>

#include "lib/base.h"

struct iov {
    const struct iovec *vector; /* kernel copies of the iovecs; their bases are user or kernel addresses */
    unsigned count;
    bool kernel;      /* bases are kernel addresses */
    u8 flags;         /* RWF_* of linux/fs.h: what this transfer asks beyond its file's flags */
    size_t offset;    /* into vector[0] */
    size_t bytes;     /* left in all */
    struct iovec one; /* the single-buffer case; vector points here */
};
void iov_user(struct iov *v, void __user *base, size_t bytes);
void iov_kernel(struct iov *v, void *base, size_t bytes);
/* Move bytes between a kernel buffer and the cursor, advancing it. Return bytes moved: less than asked only after a
 * fault. May sleep, and of user memory lets others run: what moves much in small pieces needs no more for that. */
size_t iov_put(struct iov *to, const void *from, size_t bytes);
size_t iov_take(struct iov *from, void *to, size_t bytes);
size_t iov_zero(struct iov *to, size_t bytes);
/* iov_random: random bytes for all of it, up to a fault, or a signal once there are some. Bytes, or -EFAULT: none. */
ssize_t iov_random(struct iov *to);
