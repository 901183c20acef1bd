/* virtio.c - virtio-mmio: finds the devices, sets up their rings, submits requests and takes them back.
 *
 * Owns struct virtio_device and struct virtq. Speaks version 2 of the registers (modern) and version 1 (legacy, which
 * QEMU's microvm gives unless told otherwise); they differ in how a ring's place is told, and in the feature bit
 * VERSION_1. Uses no event index: at our depths the plain flags are as good. Does not know what the requests mean.
 *
 * Order of memory. The device sees a descriptor once avail->idx covers it: idx is stored with release. It looks at
 * avail->idx again after it has set its "do not notify" flag; so we store idx, fence, then read the flag: one of the
 * two sees the other. We read used->idx with acquire before the entries below it. */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>

#include "boot/boot.h"
#include "dev/virtio.h"
#include "vm/slab.h"

#define REGISTERS_MAGIC 0x74726976 /* "virt" */
#define LEGACY_ALIGN PAGE_SIZE     /* legacy rings are told by page number, the used ring on a page of its own */
#define MODERN_ALIGN 64UL          /* a cache line: no sharing between what we and the device write */

static u32 reg_read(struct virtio_device *d, unsigned offset) { return *(volatile u32 *)(d->registers + offset); }

static void reg_write(struct virtio_device *d, unsigned offset, u32 value) {
    *(volatile u32 *)(d->registers + offset) = value;
}

static void status_add(struct virtio_device *d, u32 bits) {
    reg_write(d, VIRTIO_MMIO_STATUS, reg_read(d, VIRTIO_MMIO_STATUS) | bits);
}

u8 virtio_config8(struct virtio_device *d, unsigned offset) {
    return *(volatile u8 *)(d->registers + VIRTIO_MMIO_CONFIG + offset);
}
u16 virtio_config16(struct virtio_device *d, unsigned offset) {
    return *(volatile u16 *)(d->registers + VIRTIO_MMIO_CONFIG + offset);
}
u32 virtio_config32(struct virtio_device *d, unsigned offset) {
    return *(volatile u32 *)(d->registers + VIRTIO_MMIO_CONFIG + offset);
}

static void features_write(struct virtio_device *d, u64 features) {
    for (unsigned half = 0; half < 2; half++) {
        reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
        reg_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (u32)(features >> (32 * half)));
    }
}

static u64 features_read(struct virtio_device *d) {
    u64 features = 0;
    for (unsigned half = 0; half < 2; half++) {
        reg_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
        features |= (u64)reg_read(d, VIRTIO_MMIO_DEVICE_FEATURES) << (32 * half);
    }
    return features;
}

int virtio_negotiate(struct virtio_device *d, u64 wanted) {
    reg_write(d, VIRTIO_MMIO_STATUS, 0); /* reset */
    status_add(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    status_add(d, VIRTIO_CONFIG_S_DRIVER);
    wanted |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
    if (d->version >= 2)
        wanted |= 1ULL << VIRTIO_F_VERSION_1;
    d->features = features_read(d) & wanted;
    features_write(d, d->features);
    if (d->version < 2) {
        reg_write(d, VIRTIO_MMIO_GUEST_PAGE_SIZE, PAGE_SIZE);
        return 0;
    }
    status_add(d, VIRTIO_CONFIG_S_FEATURES_OK);
    return reg_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EIO;
}

static void reg_write_phys(struct virtio_device *d, unsigned low, u64 phys) {
    reg_write(d, low, (u32)phys);
    reg_write(d, low + 4, (u32)(phys >> 32));
}

/* Tells the device where the ring is; it is selected (QUEUE_SEL) already. */
static void queue_announce(struct virtq *q) {
    struct virtio_device *d = q->device;
    reg_write(d, VIRTIO_MMIO_QUEUE_NUM, q->size);
    if (d->version < 2) {
        reg_write(d, VIRTIO_MMIO_QUEUE_ALIGN, LEGACY_ALIGN);
        reg_write(d, VIRTIO_MMIO_QUEUE_PFN, (u32)(dma_phys(q->ring.desc) >> PAGE_SHIFT));
        return;
    }
    reg_write_phys(d, VIRTIO_MMIO_QUEUE_DESC_LOW, dma_phys(q->ring.desc));
    reg_write_phys(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, dma_phys(q->ring.avail));
    reg_write_phys(d, VIRTIO_MMIO_QUEUE_USED_LOW, dma_phys(q->ring.used));
    reg_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

struct virtq *virtq_create(struct virtio_device *d, unsigned index, unsigned most,
                           void (*done)(struct virtq *q, void *token, u32 bytes)) {
    assert(index < VIRTIO_QUEUES_MOST);
    reg_write(d, VIRTIO_MMIO_QUEUE_SEL, index);
    unsigned size = min(reg_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX), most);
    if (!size)
        return NULL;
    while (size & (size - 1))
        size &= size - 1;
    unsigned long align = d->version < 2 ? LEGACY_ALIGN : MODERN_ALIGN;
    unsigned order = 0;
    while (PAGE_SIZE << order < vring_size(size, align))
        order++;
    struct virtq *q = kzalloc(sizeof(*q));
    void **tokens = kzalloc(size * sizeof(*tokens));
    void *memory = pages_alloc(order, FRAME_ZEROED);
    if (!q || !tokens || !memory) {
        if (memory)
            pages_free(memory, order);
        kfree(tokens);
        kfree(q);
        return NULL;
    }
    q->device = d;
    q->index = index;
    q->size = q->free_count = size;
    q->tokens = tokens;
    q->done = done;
    waitq_init(&q->room);
    vring_init(&q->ring, size, memory, align);
    for (unsigned i = 0; i < size; i++)
        q->ring.desc[i].next = i + 1;
    queue_announce(q);
    d->queues[index] = q;
    d->queue_count = max(d->queue_count, index + 1);
    return q;
}

bool virtq_indirect(const struct virtq *q) { return q->device->features >> VIRTIO_RING_F_INDIRECT_DESC & 1; }

/* Writes the pieces into descriptors: consecutive ones of a table, or free ones of the ring (already linked by next).
 */
static void chain_fill(struct vring_desc *desc, u16 at, bool linked, const struct virtq_piece *pieces, unsigned out,
                       unsigned in) {
    for (unsigned i = 0; i < out + in; i++) {
        struct vring_desc *piece = &desc[at];
        u16 next = linked ? piece->next : at + 1;
        piece->addr = pieces[i].phys;
        piece->len = pieces[i].bytes;
        piece->flags = (i >= out ? VRING_DESC_F_WRITE : 0) | (i + 1 < out + in ? VRING_DESC_F_NEXT : 0);
        piece->next = next;
        at = next;
    }
}

int virtq_submit(struct virtq *q, const struct virtq_piece *pieces, unsigned out, unsigned in, struct vring_desc *table,
                 void *token) {
    unsigned count = out + in, taken = table ? 1 : count;
    assert(count > 0 && taken <= q->size && token);
    u64 table_phys = 0;
    if (table) {
        chain_fill(table, 0, false, pieces, out, in);
        table_phys = dma_phys(table);
    }
    spin_lock(&q->lock);
    if (q->free_count < taken) {
        spin_unlock(&q->lock);
        return -ENOSPC;
    }
    u16 head = q->free_head, last = head;
    for (unsigned i = 1; i < taken; i++)
        last = q->ring.desc[last].next;
    q->free_head = q->ring.desc[last].next;
    q->free_count -= taken;
    if (table) {
        q->ring.desc[head].addr = table_phys;
        q->ring.desc[head].len = count * sizeof(struct vring_desc);
        q->ring.desc[head].flags = VRING_DESC_F_INDIRECT;
    } else {
        chain_fill(q->ring.desc, head, true, pieces, out, in);
    }
    q->tokens[head] = token;
    u16 idx = q->ring.avail->idx;
    q->ring.avail->ring[idx & (q->size - 1)] = head;
    atomic_store(&q->ring.avail->idx, (u16)(idx + 1));
    atomic_fence();
    bool notify = !(atomic_load_relaxed(&q->ring.used->flags) & VRING_USED_F_NO_NOTIFY);
    spin_unlock(&q->lock);
    if (notify)
        reg_write(q->device, VIRTIO_MMIO_QUEUE_NOTIFY, q->index);
    return 0;
}

void virtq_submit_wait(struct virtq *q, const struct virtq_piece *pieces, unsigned out, unsigned in,
                       struct vring_desc *table, void *token) {
    wait_until(&q->room, virtq_submit(q, pieces, out, in, table, token) == 0);
}

/* Takes one finished request off the used ring and its descriptors back. NULL: there is none. */
static void *queue_pop(struct virtq *q, u32 *bytes) {
    void *token = NULL;
    spin_lock(&q->lock);
    if (q->used_seen != atomic_load(&q->ring.used->idx)) {
        struct vring_used_elem *used = &q->ring.used->ring[q->used_seen & (q->size - 1)];
        u16 head = (u16)used->id, last = head;
        assert(used->id < q->size && q->tokens[head]);
        *bytes = used->len;
        token = q->tokens[head];
        q->tokens[head] = NULL;
        q->free_count++;
        while (q->ring.desc[last].flags & VRING_DESC_F_NEXT) {
            last = q->ring.desc[last].next;
            q->free_count++;
        }
        q->ring.desc[last].next = q->free_head;
        q->free_head = head;
        q->used_seen++;
    }
    spin_unlock(&q->lock);
    return token;
}

void virtq_reap(struct virtq *q) {
    u32 bytes;
    bool any = false;
    for (void *token; (token = queue_pop(q, &bytes)) != NULL; any = true)
        q->done(q, token, bytes);
    if (any)
        waitq_wake_all(&q->room);
}

static void device_work(struct work *work) {
    struct virtio_device *d = container_of(work, struct virtio_device, work);
    for (unsigned i = 0; i < d->queue_count; i++)
        if (d->queues[i])
            virtq_reap(d->queues[i]);
}

/* On the interrupt stack. A line is one CPU's, so no two of these run at once for a device; work that is queued already
 * has not looked at the rings yet, so nothing is lost. */
static void device_interrupt(void *argument) {
    struct virtio_device *d = argument;
    u32 why = reg_read(d, VIRTIO_MMIO_INTERRUPT_STATUS);
    if (!why)
        return;
    reg_write(d, VIRTIO_MMIO_INTERRUPT_ACK, why);
    cpu_queue_work(cpu_id(), &d->work);
}

int virtio_ready(struct virtio_device *d) {
    d->work.run = device_work;
    int error = irq_register(d->gsi, device_interrupt, d);
    if (!error)
        status_add(d, VIRTIO_CONFIG_S_DRIVER_OK);
    return error;
}

static int device_probe(struct virtio_device *d) {
    switch (d->kind) {
    case VIRTIO_ID_CONSOLE:
        return console_probe(d);
    case VIRTIO_ID_9P:
        return p9_probe(d);
    case VIRTIO_ID_BLOCK:
        return block_probe(d);
    default:
        return -ENODEV;
    }
}

/* A number as the command line has it: decimal, or hexadecimal after 0x. Moves *text behind it. */
static u64 number_take(const char **text) {
    u64 value = 0;
    unsigned base = 10;
    const char *p = *text;
    if (p[0] == '0' && (p[1] | 32) == 'x') {
        base = 16;
        p += 2;
    }
    for (;; p++) {
        unsigned digit = *p >= '0' && *p <= '9'                 ? *p - '0'
                         : (*p | 32) >= 'a' && (*p | 32) <= 'f' ? (*p | 32) - 'a' + 10
                                                                : 16;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    *text = p;
    return value;
}

static void device_add(u64 phys, u64 bytes, unsigned gsi) {
    struct virtio_device *d = kzalloc(sizeof(*d));
    volatile void *registers = d ? device_map(phys, bytes) : NULL;
    int error = registers ? 0 : -ENOMEM;
    if (!error) {
        d->registers = registers;
        d->gsi = gsi;
        d->version = reg_read(d, VIRTIO_MMIO_VERSION);
        d->kind = reg_read(d, VIRTIO_MMIO_DEVICE_ID);
        error = reg_read(d, VIRTIO_MMIO_MAGIC_VALUE) == REGISTERS_MAGIC ? device_probe(d) : -ENODEV;
        kprintf(LOG_DEBUG "virtio: kind %u version %u at %#lx, line %u%s\n", d->kind, d->version, (unsigned long)phys,
                d->gsi, error ? ": not used" : "");
        if (error)
            reg_write(d, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_FAILED);
    }
    /* A device that got as far as its queues may still be written to by QEMU's side, so only an untouched one is freed.
     */
    if (error && (!d || !d->queue_count))
        kfree(d);
}

/* One entry of the command line: BYTES@ADDRESS:LINE. */
static void device_add_named(const char *text) {
    u64 bytes = number_take(&text);
    u64 phys = *text++ == '@' ? number_take(&text) : 0;
    u64 gsi = phys && *text++ == ':' ? number_take(&text) : ~0ULL;
    if (gsi > ~0U || bytes <= VIRTIO_MMIO_CONFIG)
        kprintf(LOG_ERR "virtio: cannot read a device on the command line\n");
    else
        device_add(phys, bytes, gsi);
}

void virtio_init(void) {
    for (unsigned i = 0; i < boot_device_count; i++)
        device_add(boot_devices[i].phys, boot_devices[i].bytes, boot_devices[i].gsi);
    for (const char *entry = NULL; (entry = boot_option_next("virtio_mmio.device", entry)) != NULL;)
        device_add_named(entry);
}
