/* vector.c - taking a user's struct iovec array (vector.h). */
#include "sys/vector.h"

#include "arch/x86_64/usercopy.h"
#include "vm/slab.h"

bool user_range_fits(const void __user *base, size_t bytes) {
    return bytes <= USER_TOP && (u64)base <= USER_TOP - bytes;
}

int vector_begin(struct user_vector *v, const struct iovec __user *user, u64 count) {
    struct iovec *vector = v->here;
    size_t total = 0;
    int error;

    v->allocated = NULL;
    if (count > VECTORS_MOST)
        return -EINVAL;
    if (count > VECTORS_HERE)
        v->allocated = vector = kmalloc(count * sizeof(*vector));
    error = !vector ? -ENOMEM : count ? copy_from_user(vector, user, count * sizeof(*vector)) : 0;
    for (u64 n = 0; !error && n < count; n++) {
        if ((ssize_t)vector[n].iov_len < 0)
            error = -EINVAL;
        else if (!user_range_fits(vector[n].iov_base, vector[n].iov_len))
            error = -EFAULT;
        vector[n].iov_len = min(vector[n].iov_len, TRANSFER_MOST - total);
        total += vector[n].iov_len;
    }
    v->cursor = (struct iov){.vector = vector, .count = (unsigned)count, .bytes = total};
    return error;
}

void vector_end(struct user_vector *v) { kfree(v->allocated); }
