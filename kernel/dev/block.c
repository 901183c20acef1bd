/* block.c - virtio-blk: a chain for each request, of a head, the frames, and a byte for the outcome.
 *
 * Owns struct block_device. No queue of its own, no merging, no retries: the host below has all three. */
#include <linux/virtio_blk.h>

#include "dev/block.h"
#include "vm/slab.h"

#define RING_MOST 64
#define SECTOR_SHIFT 9 /* virtio's unit, whatever the device's block size is */
#define DEVICES_MOST 8
#define CONFIG_DISCARD_MOST 36 /* offset of max_discard_sectors in the device's configuration */

struct block_device {
    struct virtq *queue;
    u64 bytes;
    u64 discard_most; /* bytes of one discard; 0: it knows none */
    bool read_only;
    bool claimed; /* atomic */
};

static struct block_device devices[DEVICES_MOST];
static unsigned device_count;

struct block_device *block_find(unsigned number) {
    return number < device_count ? &devices[number] : NULL;
}
u64 block_bytes(const struct block_device *d) { return d->bytes; }
bool block_read_only(const struct block_device *d) { return d->read_only; }
bool block_can_discard(const struct block_device *d) { return d->discard_most; }
bool block_claim(struct block_device *d) { return !atomic_xchg(&d->claimed, true); }
void block_unclaim(struct block_device *d) { atomic_store(&d->claimed, false); }
bool block_claimed(const struct block_device *d) { return atomic_load(&d->claimed); }

static void request_done(struct virtq *q, void *token, u32 bytes) {
    struct block_request *r = token;
    u8 status = *(volatile u8 *)&r->status;
    r->ended(r, status == VIRTIO_BLK_S_OK ? 0 : status == VIRTIO_BLK_S_UNSUPP ? -EOPNOTSUPP : -EIO);
}

/* The pieces after the head: how many there are then. */
static unsigned add_contents(struct block_request *r, unsigned n) {
    if (r->discard) {
        r->range.sector = r->offset >> SECTOR_SHIFT;
        r->range.sectors = r->discard >> SECTOR_SHIFT;
        r->range.flags = 0;
        r->pieces[n++] = (struct virtq_piece){dma_phys(&r->range), sizeof(r->range)};
    }
    for (unsigned i = 0; i < r->count; i++)
        r->pieces[n++] = (struct virtq_piece){frame_phys(r->frames[i]), PAGE_SIZE};
    return n;
}

int block_start(struct block_device *d, struct block_request *r) {
    u64 bytes = r->discard ? r->discard : (u64)r->count << PAGE_SHIFT;
    if (!bytes || r->count > BLOCK_FRAMES_MOST || r->offset > d->bytes || bytes > d->bytes - r->offset ||
        r->discard > d->discard_most)
        return -EINVAL;
    r->head.type = r->discard ? VIRTIO_BLK_T_DISCARD : r->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
    r->head.reserved = 0;
    r->head.sector = r->offset >> SECTOR_SHIFT;
    r->status = 0xff;
    r->pieces[0] = (struct virtq_piece){dma_phys(&r->head), sizeof(r->head)};
    unsigned n = add_contents(r, 1);
    r->pieces[n++] = (struct virtq_piece){dma_phys(&r->status), sizeof(r->status)};
    unsigned out = r->write || r->discard ? n - 1 : 1;
    virtq_submit_wait(d->queue, r->pieces, out, n - out, virtq_indirect(d->queue) ? r->table : NULL, r);
    return 0;
}

struct waited_request {
    struct block_request r;
    struct spin lock; /* over the wake: the waiter frees this */
    struct waitq wait;
    bool done;
    int error;
};

static void waited_ended(struct block_request *r, int error) {
    struct waited_request *w = container_of(r, struct waited_request, r);
    spin_lock(&w->lock);
    w->error = error;
    atomic_store(&w->done, true);
    waitq_wake_all(&w->wait);
    spin_unlock(&w->lock);
}

/* A request, sent and waited for. */
static int wait_for(struct block_device *d, struct waited_request *w) {
    w->done = false;
    int error = block_start(d, &w->r);
    if (error)
        return error;
    wait_until(&w->wait, atomic_load(&w->done));
    spin_lock(&w->lock); /* the waker is out of it */
    error = w->error;
    spin_unlock(&w->lock);
    return error;
}

static struct waited_request *waited_new(void) {
    struct waited_request *w = kzalloc(sizeof(*w));
    if (w) {
        waitq_init(&w->wait);
        w->r.ended = waited_ended;
    }
    return w;
}

int block_transfer(struct block_device *d, bool write, u64 offset, struct frame **frames, unsigned count) {
    struct waited_request *w = waited_new();
    int error = w ? 0 : -ENOMEM;
    while (count && !error) {
        unsigned part = min(count, BLOCK_FRAMES_MOST);
        memcpy(w->r.frames, frames, part * sizeof(*frames));
        w->r.write = write;
        w->r.count = part;
        w->r.offset = offset;
        error = wait_for(d, w);
        frames += part;
        count -= part;
        offset += (u64)part << PAGE_SHIFT;
    }
    kfree(w);
    return error;
}

int block_discard(struct block_device *d, u64 offset, u64 bytes) {
    struct waited_request *w = d->discard_most ? waited_new() : NULL;
    int error = w ? 0 : d->discard_most ? -ENOMEM : -EOPNOTSUPP;
    while (bytes && !error) {
        w->r.offset = offset;
        w->r.discard = min(bytes, d->discard_most);
        offset += w->r.discard;
        bytes -= w->r.discard;
        error = wait_for(d, w);
    }
    kfree(w);
    return error;
}

int block_probe(struct virtio_device *d) {
    if (device_count == DEVICES_MOST)
        return -ENOSPC;
    int error = virtio_negotiate(d, 1ULL << VIRTIO_BLK_F_RO | 1ULL << VIRTIO_BLK_F_DISCARD);
    if (error)
        return error;
    struct block_device *b = &devices[device_count];
    b->bytes = ((u64)virtio_config32(d, 0) | (u64)virtio_config32(d, 4) << 32) << SECTOR_SHIFT;
    b->read_only = d->features >> VIRTIO_BLK_F_RO & 1;
    if (d->features >> VIRTIO_BLK_F_DISCARD & 1)
        b->discard_most = (u64)virtio_config32(d, CONFIG_DISCARD_MOST) << SECTOR_SHIFT & PAGE_MASK;
    b->queue = virtq_create(d, 0, RING_MOST, request_done);
    error = b->queue ? virtio_ready(d) : -ENOMEM;
    if (!error)
        device_count++;
    return error;
}
