/* io.c - cursors over scattered user or kernel memory (io.h). */
#include "fs/io.h"

#include <linux/limits.h>

#include "arch/x86_64/usercopy.h"
#include "lib/random.h"
#include "task/task.h"
#include "vm/machine.h"

#define RANDOM_CHUNK 256

void iov_user(struct iov *v, void __user *base, size_t bytes) {
    *v = (struct iov){.count = 1, .bytes = bytes, .one = {base, bytes}};
    v->vector = &v->one;
}

void iov_kernel(struct iov *v, void *base, size_t bytes) {
    iov_user(v, base, bytes);
    v->kernel = true;
}

enum direction { PUT, TAKE, ZERO };

/* One contiguous piece; returns the bytes that were not moved. */
static size_t move_piece(bool kernel, enum direction way, void *base, void *buffer, size_t bytes) {
    if (kernel) {
        if (way == ZERO)
            memset(base, 0, bytes);
        else if (way == PUT)
            memcpy(base, buffer, bytes);
        else
            memcpy(buffer, base, bytes);
        return 0;
    }
    if (way == ZERO)
        return clear_user_partial(base, bytes);
    return way == PUT ? copy_to_user_partial(base, buffer, bytes) : copy_from_user_partial(buffer, base, bytes);
}

static size_t move(struct iov *v, enum direction way, char *buffer, size_t bytes) {
    size_t done = 0;

    bytes = min(bytes, v->bytes);
    while (done < bytes) {
        size_t here = min(v->vector->iov_len - v->offset, bytes - done);
        size_t left = move_piece(v->kernel, way, (char *)v->vector->iov_base + v->offset, buffer + done, here);
        done += here - left;
        v->offset += here - left;
        if (left)
            break;
        if (v->offset == v->vector->iov_len && v->count > 1) {
            v->vector++;
            v->count--;
            v->offset = 0;
        }
    }
    v->bytes -= done;
    if (!v->kernel)
        machine_breathe();
    return done;
}

size_t iov_put(struct iov *to, const void *from, size_t bytes) { return move(to, PUT, (char *)from, bytes); }
size_t iov_take(struct iov *from, void *to, size_t bytes) { return move(from, TAKE, to, bytes); }
size_t iov_zero(struct iov *to, size_t bytes) { return move(to, ZERO, NULL, bytes); }

ssize_t iov_random(struct iov *to) {
    u8 chunk[RANDOM_CHUNK];
    ssize_t done = 0;

    while (to->bytes && (!done || !signal_pending())) {
        size_t some = min(to->bytes, sizeof(chunk)), moved;

        random_bytes(chunk, some);
        moved = iov_put(to, chunk, some);
        done += moved;
        if (moved < some)
            return done ? done : -EFAULT;
    }
    return done;
}
