/* swap.c - the frames that have the contents of slots, and their way in and out (swap.h). The slots are area.c's.
 *
 * Lock: swap.lock is among the innermost (docs/locks.md). Whether a frame is in the cache is decided under it. */
#include "vm/swap.h"

#include "vm/event.h"
#include "vm/machine.h"
#include "vm/roster.h"
#include "vm/slab.h"
#include "vm/zswap.h"

static struct {
    struct spin lock;
    struct radix cache;   /* [l] slot -> frame */
    u64 cached;           /* [l] */
    int moves;            /* [l] under way */
    u64 copies, in_trees; /* atomic: frames of objects that have a slot; slots in objects' trees */
    struct waitq filling; /* who waits for FRAME_FILLING to end */
} swap = {.filling = WAITQ_INIT(swap.filling)};

u32 swap_users(u64 slot) {
    spin_lock(&swap.lock);
    bool cached = radix_find(&swap.cache, slot);
    spin_unlock(&swap.lock);
    u32 count = swap_count(slot);
    return count - (cached && count);
}

void swap_totals(struct swap_totals *out) {
    areas_total(out);
    spin_lock(&swap.lock);
    out->cached = swap.cached + atomic_load(&swap.copies);
    out->of_objects = atomic_load(&swap.copies) + atomic_load(&swap.in_trees);
    spin_unlock(&swap.lock);
}

void swap_count_objects(int frames, int slots) {
    atomic_add(&swap.copies, (u64)(s64)frames);
    atomic_add(&swap.in_trees, (u64)(s64)slots);
}

bool swap_caches(struct frame *f) {
    spin_lock(&swap.lock);
    bool cached = radix_find(&swap.cache, f->anon.swap) == f;
    spin_unlock(&swap.lock);
    return cached;
}

/* ---- the cache ---- */

int swap_insert(u64 slot, struct frame *f, struct radix_reserve *nodes) {
    assert(frame_class(f) == FRAME_ANON && !(frame_flags(f) & FRAME_SWAP));
    spin_lock(&swap.lock);
    int error = radix_insert(&swap.cache, slot, f, nodes);
    if (!error) {
        atomic_store_relaxed(&f->anon.swap, (u32)slot);
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

void swap_moves(int by) {
    spin_lock(&swap.lock);
    swap.moves += by;
    spin_unlock(&swap.lock);
}

bool swap_take(struct frame *f) {
    spin_lock(&swap.lock);
    u64 slot = f->anon.swap; /* it may have left, and come again under another */
    bool cached = frame_flags(f) & FRAME_SWAP, kept = cached && (frame_flags(f) & FRAME_KEPT);
    bool mine =
        atomic_load(&f->counts) == FRAME_ONE_MAP + (kept ? FRAME_ONE_PIN : 0) && (!cached || swap_count(slot) == 1);
    if (mine && cached)
        leave(f);
    if (mine && kept)
        atomic_and(&f->flags, (u8)~FRAME_KEPT);
    spin_unlock(&swap.lock);
    if (mine && kept) {
        frame_unpin(f);
        swap_bad(slot);
    } else if (mine && cached) {
        swap_put(slot);
    }
    return mine;
}

bool swap_again(struct frame *f) {
    if (frame_class(f) != FRAME_ANON || (frame_flags(f) & (FRAME_SWAP | FRAME_DIRTY)) != (FRAME_SWAP | FRAME_DIRTY))
        return false;
    spin_lock(&swap.lock);
    bool kept = radix_find(&swap.cache, f->anon.swap) == f && (frame_flags(f) & FRAME_DIRTY);
    if (kept)
        atomic_and(&f->flags, (u8)~FRAME_DIRTY);
    spin_unlock(&swap.lock);
    return kept;
}

u64 swap_dup_cached(struct frame *f) {
    spin_lock(&swap.lock);
    u64 slot = frame_flags(f) & FRAME_SWAP ? f->anon.swap : 0;
    if (slot)
        swap_dup(slot);
    spin_unlock(&swap.lock);
    return slot;
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
    spin_lock(&swap.lock);
    u64 slot = f->anon.swap;
    bool cached = frame_flags(f) & FRAME_SWAP;
    if (cached)
        leave(f);
    spin_unlock(&swap.lock);
    if (cached)
        swap_put(slot);
}

void swap_replace(struct frame *f, struct frame *fresh) {
    if (!(frame_flags(f) & FRAME_SWAP))
        return;
    radix_replace(&swap.cache, f->anon.swap, fresh);
    fresh->anon.swap = f->anon.swap;
    atomic_or(&fresh->flags, FRAME_SWAP);
    atomic_and(&f->flags, (u8)~FRAME_SWAP);
}

/* The first frame from *slot on that may leave; *slot: the one after it. *pinned: by its mark. swap.lock held. */
static struct frame *next_idle(u64 *slot, u64 end, bool *pinned) {
    void *value;
    while ((*slot = radix_next(&swap.cache, *slot, &value)) < end) {
        struct frame *f = value;
        u64 pins = atomic_load(&f->counts) / FRAME_ONE_PIN;
        *pinned = pins == 1 && (frame_flags(f) & FRAME_KEPT);
        bool idle = swap_count((*slot)++) == 1 && (!pins || *pinned) && !(frame_flags(f) & FRAME_FILLING);
        if (idle && !(swap.moves && atomic_load(&f->mapped) > 1))
            return f;
    }
    return NULL;
}

void swap_release(u64 first, u64 end) {
    struct frame *f;
    bool pinned;
    do {
        spin_lock(&swap.lock);
        f = next_idle(&first, end, &pinned);
        if (f) {
            leave(f);
            swap_put(first - 1);
            if (pinned)
                atomic_and(&f->flags, (u8)~FRAME_KEPT);
        }
        spin_unlock(&swap.lock);
        if (f && pinned)
            frame_unpin(f);
    } while (f);
}

u64 swap_page_cluster = 3;

unsigned swap_ahead(u64 at, u64 last, unsigned pages) {
    u64 most = min((u64)SWAP_AHEAD, 1ULL << min(atomic_load_relaxed(&swap_page_cluster), (u64)SWAP_AHEAD));
    if (!at)
        pages = SWAP_AHEAD;
    else if (pages && at - (last + pages) < SWAP_AHEAD)
        pages *= 2;
    else if (at != last) /* else it is tried again */
        pages /= 2;
    return (unsigned)max(min((u64)pages, most), 1ULL);
}

/* ---- in and out ---- */

/* The first frames of the list whose slots follow one another. */
static unsigned contiguous(struct frame **frames, unsigned count) {
    unsigned n = 1;
    while (n < count && n < SWAP_CLUSTER && frames[n]->anon.swap == frames[0]->anon.swap + n)
        n++;
    return n;
}

#define RUNS 8u /* handed to a device at once */

/* The runs that the list begins with, of one area; how many frames they have. */
static unsigned gather(struct frame **frames, unsigned count, struct swap_run *runs, unsigned *n) {
    unsigned done = 0;
    for (*n = 0; done < count && *n < RUNS; ++*n) {
        u64 slot = frames[done]->anon.swap;
        if (slot_area(slot) != slot_area(frames[0]->anon.swap))
            break;
        runs[*n] = (struct swap_run){slot_page(slot), frames + done, contiguous(frames + done, count - done), 0};
        done += runs[*n].count;
    }
    return done;
}

/* The frames' slots are held. */
static void transfer(bool write, struct frame **frames, unsigned count, int *errors) {
    struct swap_run runs[RUNS];
    for (unsigned done = 0, n, part; done < count; done += part) {
        part = gather(frames + done, count - done, runs, &n);
        struct swap_device *d = area_device(slot_area(frames[done]->anon.swap));
        d->transfer(d, write, runs, n);
        for (unsigned r = 0, at = done; r < n; at += runs[r++].count)
            for (unsigned i = 0; i < runs[r].count; i++)
                errors[at + i] = runs[r].error;
        event(write ? EVENT_SWAP_OUT : EVENT_SWAP_IN, 0, part);
    }
}

/* What the compressed tier did not take, or does not have, goes to the device, if there is one. */
static void transfer_rest(bool write, struct frame **frames, unsigned count, int *errors) {
    struct frame *rest[SWAP_CLUSTER];
    int failed[SWAP_CLUSTER];
    unsigned where[SWAP_CLUSTER], n = 0;
    for (unsigned i = 0; i < count; i++)
        if (errors[i] && swap_has_device(frames[i]->anon.swap)) {
            where[n] = i;
            rest[n++] = frames[i];
        }
    transfer(write, rest, n, failed);
    for (unsigned i = 0; i < n; i++)
        errors[where[i]] = failed[i];
}

/* A page that leaves the compressed tier for the device. */
static int spill(u64 slot, struct frame *f) {
    struct swap_run run = {slot_page(slot), &f, 1, 0};
    struct swap_device *d = area_device(slot_area(slot));
    if (!d->transfer)
        return -EAGAIN;
    d->transfer(d, true, &run, 1);
    event(EVENT_SWAP_OUT, 0, 1);
    return run.error;
}

void swap_write(struct frame **frames, unsigned count, int *errors) {
    assert(count <= SWAP_CLUSTER);
    for (unsigned n = 0; n < count; n++)
        errors[n] = zswap_store(frames[n]->anon.swap, frames[n], spill);
    transfer_rest(true, frames, count, errors);
}

void swap_fill(struct frame **frames, unsigned count, int *errors) {
    assert(count <= SWAP_CLUSTER);
    for (unsigned n = 0; n < count; n++)
        errors[n] = zswap_load(frames[n]->anon.swap, frames[n]) ? 0 : -EIO;
    transfer_rest(false, frames, count, errors);
    if (count > 1 && errors[0] && swap_has_device(frames[0]->anon.swap)) /* perhaps another's page was it */
        transfer(false, frames, 1, errors);
}

/* A frame in the cache under slot that is to be filled; NULL: no memory (*error), or somebody was faster (-EEXIST). */
static struct frame *insert_blank(u64 slot, bool ahead, int *error) {
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
        return NULL;
    }
    roster_came(f, ahead);
    return f;
}

void swap_filled(struct frame **frames, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        atomic_and(&frames[i]->flags, (u8)~FRAME_FILLING);
    if (count)
        waitq_wake_all(&swap.filling);
}

/* Reading ended: who waits sees the frame filled, or marked and out of the cache. */
static void read_done(struct frame *f, int error) {
    if (error) {
        atomic_or(&f->flags, FRAME_ERROR);
        swap_forget(f);
    }
    swap_filled(&f, 1);
    if (error)
        frame_unpin(f);
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
        frames[0] = insert_blank(slots[0], false, &error);
        if (error == -EEXIST) {
            error = wait_for(slots[0], &frames[0]);
            if (error != -EEXIST)
                return error;
        }
    }
    if (error)
        return error;
    struct frame *fresh[SWAP_AHEAD];
    int errors[SWAP_AHEAD];
    unsigned n = 0;
    fresh[n++] = frames[0];
    for (unsigned i = 1; i < count && frame_free_count() > 4 * SWAP_AHEAD; i++)
        if ((frames[i] = insert_blank(slots[i], true, &other)))
            fresh[n++] = frames[i];
    swap_fill(fresh, n, errors);
    for (unsigned i = 0, at = 0; i < count; i++) {
        if (!frames[i])
            continue;
        int failed = errors[at++];
        read_done(frames[i], failed);
        if (failed || errors[0]) {
            if (!failed)
                frame_unpin(frames[i]);
            frames[i] = NULL;
        }
    }
    return errors[0];
}
