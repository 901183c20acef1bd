/* zswap.c - the compressed tier (zswap.h).
 *
 *   a page of one word repeated     the word itself is the tree's value, or an object if it needs all its 64 bits
 *   one that LZ4 makes smaller      an object of zpool.c: which slot it is, and what the compressor made
 *   one that stays larger than 3/4  refused: to the device
 *
 * A full pool makes room by writing its oldest frame's pages back to the device, until the frame comes free. Where
 * nothing is below (area.h) it is *stuck* then, until some object goes.
 *
 * Locks: z.busy (sleeping; row 2a of docs/locks.md, below `reclaiming`) for who compresses: the buffers and the table;
 * z.lock (spin, under area.c's) protects the tree and the pool. A page is expanded under z.lock: so it cannot be
 * written back and forgotten meanwhile. Write-back holds a count of the slot, so that nobody else gets the slot while
 * its old contents are on their way to the device. */
#include "vm/zswap.h"

#include "lib/sync.h"
#include "vm/event.h"
#include "vm/lz.h"
#include "vm/machine.h"
#include "vm/radix.h"
#include "vm/slab.h"
#include "vm/swap.h"
#include "vm/zpool.h"

#define WORDS (PAGE_SIZE / sizeof(u64))
#define BYTES_MOST (PAGE_SIZE * 3 / 4) /* of what is worth keeping */

struct object {
    u32 slot;
    u32 bytes; /* of data; 0: the word that the page repeats */
    u8 data[];
};

static struct {
    struct mutex busy;
    struct spin lock;
    u64 limit;                                    /* [a] frames of the pool */
    struct radix tree;                            /* [l] slot -> object, or a word shifted, with bit 0 set */
    u64 pages, same, pages_most, frames_most, in; /* [l] */
    bool stuck;                                   /* atomic */
    u64 incompressible, full, written_back, out;  /* [busy], read as hints */
    u16 *table;                                   /* [busy] the compressor's */
    u8 *packed;                                   /* [busy] what it made: a page */
    struct frame *bounce;                         /* [busy] what is written back */
} z = {.busy = MUTEX_INIT(z.busy)};

bool zswap_on(void) { return atomic_load_relaxed(&z.limit) != 0; }

static int begin(void) {
    zpool_init();
    u16 *table = kmalloc(LZ_TABLE * sizeof(*table));
    u8 *packed = pages_alloc(0, 0);
    struct frame *bounce = frame_alloc(0, FRAME_KERNEL, 0);
    if (!table || !packed || !bounce) {
        kfree(table);
        pages_free(packed, 0);
        if (bounce)
            frame_free(bounce, 0);
        return -ENOMEM;
    }
    z.packed = packed;
    z.bounce = bounce;
    atomic_store(&z.table, table);                        /* last: who sees it sees the rest */
    frame_reserve_least(SWAP_CLUSTER + SWAP_CLUSTER / 2); /* a batch is packed before its frames come free */
    return 0;
}

int zswap_set_limit(u64 frames) {
    int error = z.table || !frames ? 0 : begin();
    if (!error) {
        atomic_store(&z.limit, frames);
        atomic_store(&z.stuck, false);
    }
    return error;
}

void zswap_totals(struct zswap_totals *out) {
    spin_lock(&z.lock);
    *out = (struct zswap_totals){z.limit,        zpool_frames(), z.pages, z.same,        z.incompressible, z.full,
                                 z.written_back, z.out,          z.in,    z.frames_most, z.pages_most};
    spin_unlock(&z.lock);
}

bool zswap_stuck(void) { return atomic_load_relaxed(&z.stuck); }

/* ---- values of the tree ---- */

static bool is_word(const void *value) { return (uintptr_t)value & 1; }

/* The page repeats *word. */
static bool is_same(const u64 *words, u64 *word) {
    for (unsigned i = 1; i < WORDS; i++)
        if (words[i] != words[0])
            return false;
    *word = words[0];
    return true;
}

static void fill_with(struct frame *f, u64 word) {
    u64 *words = frame_va(f);
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = word;
}

/* z.lock held. False: what is there is damaged. */
static bool expand(void *value, struct frame *f) {
    struct object *o = value;
    bool good = true;
    u64 word;
    if (is_word(value)) {
        fill_with(f, (uintptr_t)value >> 1);
    } else if (!o->bytes) {
        memcpy(&word, o->data, sizeof(word));
        fill_with(f, word);
    } else {
        good = lz_expand(o->data, o->bytes, frame_va(f), PAGE_SIZE);
    }
    return good;
}

/* z.lock held. */
static bool drop(u64 slot) {
    void *value = radix_remove(&z.tree, slot);
    struct object *o = value;
    if (!value)
        return false;
    z.pages--;
    z.same -= is_word(value) || !o->bytes;
    if (!is_word(value)) {
        zpool_give(o);
        atomic_store(&z.stuck, false);
    }
    return true;
}

void zswap_forget(u64 slot) {
    if (!atomic_load_relaxed(&z.table))
        return;
    spin_lock(&z.lock);
    drop(slot);
    spin_unlock(&z.lock);
}

bool zswap_load(u64 slot, struct frame *f) {
    bool found = false;
    if (!atomic_load_relaxed(&z.table))
        return false;
    spin_lock(&z.lock);
    void *value = radix_find(&z.tree, slot);
    if (value) {
        found = true;
        if (!expand(value, f))
            panic("the compressed contents of swap slot %lu are damaged", (unsigned long)slot);
        z.in++;
    }
    spin_unlock(&z.lock);
    if (found)
        event(EVENT_ZSWAP_IN, 0, 1);
    return found;
}

/* ---- making room ---- */

/* The oldest page that somebody still needs goes to the device. False: there is none, or it could not be written. */
static bool write_back_oldest(int (*spill)(u64 slot, struct frame *f)) {
    u64 slot = 0;
    spin_lock(&z.lock);
    struct object *o = zpool_old(NULL);
    while (o && !swap_hold(o->slot)) /* on its way out: who frees it waits for the lock */
        o = zpool_old(o);
    if (o) {
        slot = o->slot;
        if (!expand(o, z.bounce))
            panic("the compressed contents of swap slot %lu are damaged", (unsigned long)slot);
    }
    spin_unlock(&z.lock);
    if (!slot)
        return false;
    bool written = !spill(slot, z.bounce);
    if (written) {
        spin_lock(&z.lock);
        drop(slot);
        spin_unlock(&z.lock);
        atomic_hint_add(&z.written_back, 1);
    }
    swap_put(slot);
    return written;
}

/* An object of the pool, which gets *f if it has no room and takes it over then. */
static struct object *take(size_t bytes, struct frame **f) {
    spin_lock(&z.lock);
    struct object *o = zpool_take(sizeof(*o) + bytes);
    if (!o && *f) {
        zpool_add(*f);
        *f = NULL;
        z.frames_most = max(z.frames_most, zpool_frames());
        o = zpool_take(sizeof(*o) + bytes);
    }
    spin_unlock(&z.lock);
    return o;
}

/* No room was made. Decided under the lock: if the last objects went meanwhile there is room, and nobody else would
 * take the mark away. */
static void get_stuck(void) {
    spin_lock(&z.lock);
    if (zpool_frames() >= atomic_load_relaxed(&z.limit))
        atomic_store(&z.stuck, true);
    spin_unlock(&z.lock);
}

/* The same with another frame for the pool, unless room was made meanwhile: a frame without objects would stay. */
static struct object *grow(size_t bytes, int (*spill)(u64 slot, struct frame *f)) {
    while (zpool_frames() >= atomic_load_relaxed(&z.limit))
        if (!write_back_oldest(spill)) {
            get_stuck();
            return NULL;
        }
    struct frame *f = frame_alloc(0, FRAME_KERNEL, FRAME_ATOMIC);
    struct object *o = take(bytes, &f);
    if (f)
        frame_free(f, 0);
    return o;
}

/* ---- storing ---- */

/* The tree names it from now on. */
static bool insert(u64 slot, void *value, bool same) {
    struct radix_reserve nodes = {0};
    int error;
    do {
        spin_lock(&z.lock);
        drop(slot); /* of a write that is tried again */
        error = radix_insert(&z.tree, slot, value, &nodes);
        z.pages += !error;
        z.pages_most = max(z.pages_most, z.pages);
        z.same += !error && same;
        spin_unlock(&z.lock);
    } while (error == -ENOMEM && !radix_reserve(&nodes, 0));
    radix_release(&nodes);
    if (error && !is_word(value)) {
        spin_lock(&z.lock);
        zpool_give(value);
        spin_unlock(&z.lock);
    }
    return !error;
}

/* An object with these bytes. NULL: no room. */
static struct object *make(u64 slot, const void *data, size_t bytes, bool word, int (*spill)(u64, struct frame *)) {
    struct frame *none = NULL;
    struct object *o = take(bytes, &none);
    if (!o)
        o = grow(bytes, spill);
    if (!o)
        return NULL;
    o->slot = (u32)slot;
    o->bytes = word ? 0 : (u32)bytes;
    memcpy(o->data, data, bytes);
    return o;
}

static int store(u64 slot, struct frame *f, int (*spill)(u64 slot, struct frame *f)) {
    u64 word;
    bool same = is_same(frame_va(f), &word);
    size_t bytes = sizeof(word);
    const void *data = &word;
    if (same && word << 1 >> 1 == word)
        return insert(slot, (void *)(uintptr_t)(word << 1 | 1), true) ? 0 : -EAGAIN;
    if (!same) {
        bytes = lz_compress(frame_va(f), PAGE_SIZE, z.packed, BYTES_MOST, z.table);
        data = z.packed;
    }
    if (!bytes) {
        atomic_hint_add(&z.incompressible, 1);
        return -E2BIG;
    }
    struct object *o = make(slot, data, bytes, same, spill);
    if (!o)
        atomic_hint_add(&z.full, 1);
    return o && insert(slot, o, same) ? 0 : -EAGAIN;
}

int zswap_store(u64 slot, struct frame *f, int (*spill)(u64 slot, struct frame *f)) {
    if (!zswap_on())
        return -EAGAIN;
    mutex_lock(&z.busy);
    int error = store(slot, f, spill);
    if (!error)
        atomic_hint_add(&z.out, 1);
    mutex_unlock(&z.busy);
    if (!error)
        event(EVENT_ZSWAP_OUT, 0, 1);
    return error;
}
