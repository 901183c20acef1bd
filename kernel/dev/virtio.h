/* virtio.h - virtio devices over memory-mapped registers, and the rings (virtqueues) that carry requests to them.
 *
 * Nouns. device: one transport of QEMU's microvm, found by ACPI or on the kernel's command line. queue: a split ring; a
 * request is a chain of pieces of memory, first those the device reads (out), then those it writes (in), and a token
 * that comes back when the device is done. Several requests are in flight; they may come back in any order.
 *
 * The interrupt handler only silences the device and queues work; the rings are emptied, and `done` called, as work: no
 * lock held, no sleep allowed. Memory given to a device is named by physical address: dma_phys, direct map only. */
#pragma once

#include <linux/virtio_ring.h>

#include "arch/x86_64/cpu.h"
#include "lib/base.h"
#include "lib/sync.h"
#include "vm/frame.h"

struct virtio_device;

struct virtq_piece {
    u64 phys;
    u32 bytes;
};

/* Legend: [c] constant once made; [l] lock. */
struct virtq {
    struct virtio_device *device; /* [c] */
    unsigned index, size;         /* [c] size: a power of two */
    struct spin lock;
    struct vring ring; /* [c] the pointers; the device reads desc and avail, and writes used */
    u16 free_head;     /* [l] first unused descriptor; linked by desc[].next */
    u16 free_count;    /* [l] */
    u16 used_seen;     /* [l] used entries taken so far */
    void **tokens;     /* [l] by head descriptor; the array [c] */
    struct waitq room; /* woken when descriptors came back */
    void (*done)(struct virtq *q, void *token, u32 bytes); /* [c] bytes: written by the device into the in pieces */
};

#define VIRTIO_QUEUES_MOST 6 /* console: port 0, control, port 1, a pair each */

struct virtio_device {
    volatile char *registers; /* [c] */
    unsigned gsi, version;    /* [c] 1: legacy, 2: modern */
    u32 kind;                 /* [c] VIRTIO_ID_* */
    u64 features;             /* [c] accepted by both sides */
    struct virtq *queues[VIRTIO_QUEUES_MOST];
    unsigned queue_count; /* [c] after virtio_ready */
    struct work work;
    void *driver; /* [c] the driver's own */
};

/* virtio_init: find all devices and let their drivers take them. Once, from a task. A device that fails is left out. */
void virtio_init(void);

/* Drivers: take a device of their kind; 0 or -errno (the device is then reset). In order: virtio_negotiate,
 * virtq_create for each queue, virtio_ready, then requests. */
int console_probe(struct virtio_device *d); /* host.c */
int p9_probe(struct virtio_device *d);      /* p9.c */
int block_probe(struct virtio_device *d);   /* block.c */

/* virtio_negotiate: accept what the device offers of `wanted` (feature bits). -EIO if the device will not have it. */
int virtio_negotiate(struct virtio_device *d, u64 wanted);
/* virtq_create: a queue of at most `most` descriptors. May sleep. NULL: no memory, or the device has no such queue. */
struct virtq *virtq_create(struct virtio_device *d, unsigned index, unsigned most,
                           void (*done)(struct virtq *q, void *token, u32 bytes));
int virtio_ready(struct virtio_device *d); /* interrupts on, the device may work. 0 or -errno */
u8 virtio_config8(struct virtio_device *d, unsigned offset);
u16 virtio_config16(struct virtio_device *d, unsigned offset);
u32 virtio_config32(struct virtio_device *d, unsigned offset);

/* virtq_submit: hand a chain to the device. Does not sleep. 0, or -ENOSPC: no descriptors now (q->room tells when).
 * table: NULL, or memory for out + in descriptors (direct map, left alone until done): the chain then takes one
 * descriptor of the ring. Only if the device has VIRTIO_RING_F_INDIRECT_DESC (virtq_indirect). */
int virtq_submit(struct virtq *q, const struct virtq_piece *pieces, unsigned out, unsigned in, struct vring_desc *table,
                 void *token) must_check;
/* virtq_submit_wait: the same, sleeping until there is room. */
void virtq_submit_wait(struct virtq *q, const struct virtq_piece *pieces, unsigned out, unsigned in,
                       struct vring_desc *table, void *token);
bool virtq_indirect(const struct virtq *q);
/* virtq_reap: call done for what the device has finished. Work context; or anyone without locks, to poll. */
void virtq_reap(struct virtq *q);

/* dma_phys: where the device finds kernel memory (kmalloc, pages_alloc: the direct map; not stacks, not static data).
 */
static inline u64 dma_phys(const void *va) {
    u64 phys = (u64)((const char *)va - frame_direct);
    assert(phys >> PAGE_SHIFT < frame_count);
    return phys;
}
