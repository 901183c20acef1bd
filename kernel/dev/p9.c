/* p9.c - the 9p transport: one virtqueue for each device, one chain for each exchange.
 *
 * Owns struct p9_channel. Message and reply of an ordinary exchange take two descriptors of the ring; one that carries
 * a file's pages names each frame in a table of its own, so that the server reads and writes them where they are. */
#include <linux/virtio_9p.h>

#include "boot/boot.h"
#include "dev/p9.h"
#include "vm/slab.h"

#define RING_MOST 128 /* what QEMU has; "p9.ring=4" for the test of a full one */
#define TAG_MOST 64   /* of a mount tag; QEMU's are shorter than 32 */

struct p9_channel {
    struct p9_channel *next;
    struct virtq *queue;
    struct spin lock; /* calls' received and done; held over the wake, so that a waiter's memory outlives the waker */
    char tag[TAG_MOST];
};

static struct p9_channel *channels; /* made at start, never removed */

static void call_done(struct virtq *q, void *token, u32 bytes) {
    struct p9_channel *c = q->device->driver;
    struct p9_call *call = token;
    if (call->ended) {
        call->received = bytes;
        call->ended(call);
        return;
    }
    spin_lock(&c->lock);
    call->received = bytes;
    atomic_store(&call->done, true);
    waitq_wake_all(&call->wait);
    spin_unlock(&c->lock);
}

void p9_start(struct p9_channel *c, struct p9_call *call) {
    bool indirect = call->out + call->in > 2 && virtq_indirect(c->queue);
    call->done = false;
    waitq_init(&call->wait);
    virtq_submit_wait(c->queue, call->pieces, call->out, call->in, indirect ? call->table : NULL, call);
}

void p9_wait(struct p9_channel *c, struct p9_call *call) {
    wait_until(&call->wait, atomic_load(&call->done));
    spin_lock(&c->lock); /* the waker is out of *call */
    spin_unlock(&c->lock);
}

struct p9_channel *p9_find(const char *tag) {
    struct p9_channel *c = channels;
    while (c && strcmp(c->tag, tag) != 0)
        c = c->next;
    return c;
}

int p9_probe(struct virtio_device *d) {
    int error = virtio_negotiate(d, 1ULL << VIRTIO_9P_MOUNT_TAG);
    if (error)
        return error;
    struct p9_channel *c = kzalloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    u16 bytes = min(virtio_config16(d, 0), (u16)(TAG_MOST - 1));
    for (unsigned i = 0; i < bytes; i++)
        c->tag[i] = virtio_config8(d, sizeof(u16) + i);
    d->driver = c;
    c->queue = virtq_create(d, 0, (unsigned)boot_option_number("p9.ring", RING_MOST), call_done);
    error = c->queue ? virtio_ready(d) : -ENOMEM;
    if (error) {
        kfree(c);
        return error;
    }
    c->next = channels;
    channels = c;
    return 0;
}
