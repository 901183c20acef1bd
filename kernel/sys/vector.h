/* vector.h - a user's scattered buffers (struct iovec), taken into kernel memory and checked (vector.c). */
#pragma once

#include "fs/io.h"

#define TRANSFER_MOST 0x7ffff000UL /* MAX_RW_COUNT: what Linux moves at once, INT_MAX down to a page */
/* What one transfer may ask beyond its file's flags. RWF_NOWAIT is refused, as by every file system and pipe of
 * Linux 6.1 that is like one of ours. */
#define TRANSFER_FLAGS (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND)
#define VECTORS_MOST 1024 /* UIO_MAXIOV */
#define VECTORS_HERE 8    /* that many need no allocation */

struct user_vector {
    struct iov cursor;
    struct iovec here[VECTORS_HERE], *allocated;
};

/* vector_begin: -EINVAL (too many, or too long), -EFAULT, -ENOMEM. vector_end is called whatever it said. The vector
 * does not move in between: the cursor points into it. */
int vector_begin(struct user_vector *v, const struct iovec __user *user, u64 count);
void vector_end(struct user_vector *v);
bool user_range_fits(const void __user *base, size_t bytes); /* lies below the end of user memory */
