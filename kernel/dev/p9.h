/* p9.h - exchanges with QEMU's 9p server over virtio: a message out, its reply in; several in flight.
 *
 * A channel is one device, named by its mount tag. What the bytes mean is fs/9p.c's. */
#pragma once

#include "dev/virtio.h"
#include "lib/base.h"
#include "lib/sync.h"

struct p9_channel;

/* One exchange. Memory of the caller's (its pieces in the direct map), left alone until done. */
struct p9_call {
    const struct virtq_piece *pieces; /* out of them first, then in */
    u16 out, in;
    struct vring_desc *table; /* room for out + in descriptors, needed if out + in > 2 */
    u32 received;             /* bytes of the reply */
    bool done;
    void (*ended)(
        struct p9_call *call); /* NULL, or called as work when done; may free the call: nobody waits for it then */
    struct waitq wait;
};

struct p9_channel *p9_find(const char *tag); /* NULL: no such device */
/* p9_start: send; may sleep for room. p9_wait: sleep, uninterruptibly, until the reply is there. */
void p9_start(struct p9_channel *c, struct p9_call *call);
void p9_wait(struct p9_channel *c, struct p9_call *call);
