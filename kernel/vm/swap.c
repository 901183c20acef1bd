/* swap.c - the slots of the swap area, and the frames that have their contents (swap.h).
 *
 * Counts are two bytes a slot, in pages that are made when the first slot of theirs is used. They step up and down by
 * atomics, but from 0 only under the lock. 16 bits are enough: a slot is named once by each table of one ring at most,
 * there are fewer spaces than process numbers (32768), and who holds a slot for a moment is one of their tasks.
 *
 * Lock: swap.lock is among the innermost (docs/locks.md). */
#include "vm/swap.h"

#include "vm/event.h"
#include "vm/machine.h"
#include "vm/slab.h"

#define CHUNK SWAP_CHUNK
#define BAD 0xffffu

struct chunk {
    u16 *counts; /* NULL: none of its slots was ever used */
    u32 used;    /* [l] slots whose count is not 0 */
};

/* Legend: [l] lock; [c] constant after swap_add; [a] allocation: by one task at a time. */
static struct {
    struct spin lock;
    struct swap_device *device; /* [c] */
    u64 slots;                  /* [c] of the area, slot 0 too */
    struct chunk *chunks;       /* [c] the array */
    u64 next;                   /* [a] where the search goes on */
    u64 used;                   /* [l] slots in use, those that never can be left out */
    u64 lost;                   /* [l] slot 0, and bad ones */
    struct radix cache;         /* [l] slot -> frame */
    u64 cached;                 /* [l] */
    u64 copies;                 /* atomic: frames of objects that have the contents of a slot */
    struct waitq filling;       /* who waits for FRAME_FILLING to end */
} swap = {.filling = WAITQ_INIT(swap.filling)};

int swap_add(struct swap_device *d, u64 slots) {
    u64 chunks = (slots + CHUNK - 1) / CHUNK;
    assert(!swap.device);
    if (slots < 2 || slots > ~0U)
        return -EINVAL;
    swap.chunks = kzalloc(chunks * sizeof(*swap.chunks));
    if (!swap.chunks)
        return -ENOMEM;
    swap.slots = slots;
    swap.next = 1;
    swap.lost = 1;
    swap.device = d;
    return 0;
}

u32 swap_users(u64 slot) {
    spin_lock(&swap.lock);
    bool cached = radix_find(&swap.cache, slot);
    spin_unlock(&swap.lock);
    return swap_count(slot) - cached;
}

void swap_totals(struct swap_totals *out) {
    spin_lock(&swap.lock);
    *out = (struct swap_totals){swap.slots - swap.lost, swap.used, swap.cached + atomic_load(&swap.copies)};
    spin_unlock(&swap.lock);
}

void swap_copies(int by) { atomic_hint_add(&swap.copies, by); }

bool swap_room(void) { return atomic_load_relaxed(&swap.used) + atomic_load_relaxed(&swap.lost) < swap.slots; }
bool swap_crowded(void) { return 8 * atomic_load_relaxed(&swap.used) > 7 * swap.slots; }

u64 swap_slots(void) { return swap.slots; }
bool swap_used_near(u64 slot) { return swap.chunks[slot / CHUNK].counts; }

bool swap_caches(struct frame *f) {
    spin_lock(&swap.lock);
    bool cached = radix_find(&swap.cache, f->anon.swap) == f;
    spin_unlock(&swap.lock);
    return cached;
}

/* ---- slots ---- */

static u16 *count_of(u64 slot) { return &swap.chunks[slot / CHUNK].counts[slot % CHUNK]; }

u32 swap_count(u64 slot) {
    const u16 *counts = slot && slot < swap.slots ? swap.chunks[slot / CHUNK].counts : NULL;
    return counts ? atomic_load(&counts[slot % CHUNK]) : 0;
}

/* The counts of a chunk; slots that do not exist count as taken for ever. */
static bool chunk_ready(u64 n) {
    struct chunk *c = &swap.chunks[n];
    if (c->counts)
        return true;
    u16 *counts = pages_alloc(0, FRAME_ZEROED);
    for (u64 i = 0; counts && i < CHUNK; i++)
        if (!(n + i) || n * CHUNK + i >= swap.slots) {
            counts[i] = BAD;
            c->used++;
        }
    c->counts = counts;
    return counts;
}

static u64 take_in_chunk(u64 n, u64 from) {
    struct chunk *c = &swap.chunks[n];
    u64 slot = 0;
    spin_lock(&swap.lock);
    for (u64 i = from; i < CHUNK && c->used < CHUNK; i++)
        if (!atomic_load_relaxed(&c->counts[i])) {
            c->counts[i] = 1;
            c->used++;
            atomic_hint_add(&swap.used, 1);
            slot = n * CHUNK + i;
            break;
        }
    spin_unlock(&swap.lock);
    return slot;
}

u64 swap_alloc(void) {
    u64 chunks = (swap.slots + CHUNK - 1) / CHUNK, slot = 0;
    u64 n = swap.next / CHUNK, from = swap.next % CHUNK;
    /* once round; the first chunk twice, for what lies before the hint */
    for (u64 step = 0; swap.device && step <= chunks && !slot; step++) {
        if (!chunk_ready(n))
            break;
        slot = take_in_chunk(n, from);
        from = 0;
        n = n + 1 < chunks ? n + 1 : 0;
    }
    if (slot)
        swap.next = slot + 1 < swap.slots ? slot + 1 : 1;
    return slot;
}

void swap_dup(u64 slot) {
    u16 now = atomic_add(count_of(slot), 1);
    assert(now > 1);
}

void swap_put(u64 slot) {
    u16 now = atomic_sub(count_of(slot), 1);
    assert(now != BAD);
    if (now)
        return;
    spin_lock(&swap.lock);
    swap.chunks[slot / CHUNK].used--;
    atomic_hint_add(&swap.used, -1);
    spin_unlock(&swap.lock);
}

void swap_bad(u64 slot) {
    spin_lock(&swap.lock);
    assert(*count_of(slot) == 1);
    *count_of(slot) = BAD;
    atomic_hint_add(&swap.used, -1);
    swap.lost++;
    spin_unlock(&swap.lock);
}

/* ---- the cache ---- */

int swap_insert(u64 slot, struct frame *f, struct radix_reserve *nodes) {
    assert(frame_class(f) == FRAME_ANON && !(frame_flags(f) & FRAME_SWAP));
    spin_lock(&swap.lock);
    int error = radix_insert(&swap.cache, slot, f, nodes);
    if (!error) {
        f->anon.swap = (u32)slot;
        atomic_or(&f->flags, FRAME_SWAP);
        swap.cached++;
        swap_dup(slot);
    }
    spin_unlock(&swap.lock);
    return error;
}

struct frame *swap_peek(u64 slot) {
    spin_lock(&swap.lock);
    struct frame *f = radix_find(&swap.cache, slot);
    if (f && !frame_pin_alive(f))
        f = NULL;
    spin_unlock(&swap.lock);
    return f;
}

static void leave(struct frame *f) {
    void *was = radix_remove(&swap.cache, f->anon.swap);
    assert(was == f);
    atomic_and(&f->flags, (u8)~FRAME_SWAP);
    swap.cached--;
}

bool swap_take(struct frame *f) {
    u64 slot = f->anon.swap;
    spin_lock(&swap.lock);
    bool mine = swap_count(slot) == 1 && atomic_load(&f->counts) == FRAME_ONE_MAP;
    if (mine)
        leave(f);
    spin_unlock(&swap.lock);
    if (mine)
        swap_put(slot);
    return mine;
}

bool swap_claim(struct frame *f, struct ring *ring, u32 index) {
    spin_lock(&swap.lock);
    bool ours = !atomic_load(&f->mapped) || (f->anon.ring == ring && f->anon.index == index);
    if (ours) {
        atomic_store_relaxed(&f->anon.index, index);
        atomic_store_relaxed(&f->anon.ring, ring);
        atomic_add(&f->counts, FRAME_ONE_MAP - FRAME_ONE_PIN);
    }
    spin_unlock(&swap.lock);
    return ours;
}

void swap_forget(struct frame *f) {
    u64 slot = f->anon.swap;
    spin_lock(&swap.lock);
    leave(f);
    spin_unlock(&swap.lock);
    swap_put(slot);
}

/* ---- in and out ---- */

/* The first frames of the list whose slots follow one another. */
static unsigned contiguous(struct frame **frames, unsigned count) {
    unsigned n = 1;
    while (n < count && n < SWAP_CLUSTER && frames[n] && frames[n]->anon.swap == frames[0]->anon.swap + n)
        n++;
    return n;
}

static int transfer(bool write, struct frame **frames, unsigned count) {
    int error = swap.device->transfer(swap.device, write, frames[0]->anon.swap, frames, count);
    event(write ? EVENT_SWAP_OUT : EVENT_SWAP_IN, 0, count);
    return error;
}

static void transfer_all(bool write, struct frame **frames, unsigned count, int *errors) {
    for (unsigned n = 0, part; n < count; n += part) {
        part = contiguous(frames + n, count - n);
        int error = transfer(write, frames + n, part);
        for (unsigned i = n; i < n + part; i++)
            errors[i] = error;
    }
}

void swap_write(struct frame **frames, unsigned count, int *errors) { transfer_all(true, frames, count, errors); }
void swap_fill(struct frame **frames, unsigned count, int *errors) { transfer_all(false, frames, count, errors); }

/* A frame in the cache under slot that is to be filled; NULL: no memory (*error), or somebody was faster (-EEXIST). */
static struct frame *insert_blank(u64 slot, int *error) {
    struct radix_reserve nodes = {0};
    struct frame *f = frame_alloc(0, FRAME_ANON, 0);
    *error = -ENOMEM;
    if (!f)
        return NULL;
    atomic_store_relaxed(&f->anon.ring, NULL);
    atomic_or(&f->flags, FRAME_FILLING);
    frame_pin(f);
    do
        *error = swap_insert(slot, f, &nodes);
    while (*error == -ENOMEM && !radix_reserve(&nodes, 0));
    radix_release(&nodes);
    if (*error) {
        atomic_store_relaxed(&f->flags, 0);
        frame_unpin(f);
        f = NULL;
    }
    return f;
}

void swap_filled(struct frame **frames, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        atomic_and(&frames[i]->flags, (u8)~FRAME_FILLING);
    if (count)
        waitq_wake_all(&swap.filling);
}

/* Reading ended: who waits sees the frame filled, or marked and out of the cache. */
static void read_done(struct frame **frames, unsigned count, int error) {
    for (unsigned i = 0; error && i < count; i++) {
        atomic_or(&frames[i]->flags, FRAME_ERROR);
        swap_forget(frames[i]);
    }
    swap_filled(frames, count);
    for (unsigned i = 0; error && i < count; i++) {
        frame_unpin(frames[i]);
        frames[i] = NULL;
    }
}

/* Somebody reads it, or did a moment ago. -EEXIST: gone again. */
static int wait_for(u64 slot, struct frame **out) {
    struct frame *f = swap_peek(slot);
    if (!f) {
        machine_pause(); /* it is leaving, on another CPU, just now */
        return -EEXIST;
    }
    wait_until(&swap.filling, !(atomic_load(&f->flags) & FRAME_FILLING));
    if ((frame_flags(f) & (FRAME_ERROR | FRAME_SWAP)) == FRAME_ERROR) {
        frame_unpin(f);
        return -EIO;
    }
    *out = f;
    return 0;
}

int swap_read(const u64 *slots, unsigned count, struct frame **frames) {
    int error = -EEXIST, other;
    for (unsigned i = 0; i < count; i++)
        frames[i] = NULL;
    while (error == -EEXIST) {
        frames[0] = insert_blank(slots[0], &error);
        if (error == -EEXIST) {
            error = wait_for(slots[0], &frames[0]);
            if (error != -EEXIST)
                return error;
        }
    }
    if (error)
        return error;
    for (unsigned i = 1; i < count && frame_free_count() > 4 * SWAP_AHEAD; i++)
        frames[i] = insert_blank(slots[i], &other);
    for (unsigned n = 0, part; n < count; n += part) {
        part = 1;
        if (!frames[n])
            continue;
        part = contiguous(frames + n, count - n);
        other = transfer(false, frames + n, part);
        read_done(frames + n, part, other);
        error = n ? error : other;
    }
    for (unsigned i = 1; error && i < count; i++)
        if (frames[i])
            frame_unpin(frames[i]);
    return error;
}
