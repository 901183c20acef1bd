/* block.h - virtio block devices: pages in and out, several requests in flight. For swap, and for /dev/vd*. */
#pragma once

#include "dev/virtio.h"
#include "lib/base.h"

struct block_device;
struct block_device *block_find(unsigned number); /* in the order of the command line; NULL: no such device */
u64 block_bytes(const struct block_device *d);
bool block_read_only(const struct block_device *d);
bool block_can_discard(const struct block_device *d);
/* block_claim: the device is used as a whole (by swap) until block_unclaim. False: it is already. */
bool block_claim(struct block_device *d);
void block_unclaim(struct block_device *d);
bool block_claimed(const struct block_device *d);

#define BLOCK_FRAMES_MOST 32u /* in one request */

/* A request: embedded in, or made by, whoever needs it, in the direct map (kmalloc). It allocates nothing further, so
 * it works when memory is out. */
struct block_request {
    bool write;
    u64 discard; /* not 0: no frames: so many bytes are wanted no more */
    u64 offset;  /* bytes, a multiple of 512 */
    struct frame *frames[BLOCK_FRAMES_MOST];
    unsigned count;
    /* ended: called as work: no sleep. The request is the caller's again. error: 0 or -EIO, -EOPNOTSUPP. */
    void (*ended)(struct block_request *r, int error);
    /* the rest is block.c's */
    struct {
        u32 type, reserved;
        u64 sector;
    } head;
    struct {
        u64 sector;
        u32 sectors, flags;
    } range; /* of a discard */
    u8 status;
    struct virtq_piece pieces[BLOCK_FRAMES_MOST + 2];
    struct vring_desc table[BLOCK_FRAMES_MOST + 2];
};

/* block_start: send; may sleep for room in the ring, not for the device. -EINVAL: past the end, or no frames. */
int block_start(struct block_device *d, struct block_request *r);
/* block_transfer: one page-aligned run of frames, waited for. 0, -EIO, -ENOMEM. */
int block_transfer(struct block_device *d, bool write, u64 offset, struct frame **frames, unsigned count);
/* block_discard: these bytes are wanted no more. 0, -EOPNOTSUPP, -EIO, -ENOMEM. */
int block_discard(struct block_device *d, u64 offset, u64 bytes);
