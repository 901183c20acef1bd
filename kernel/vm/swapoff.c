/* swapoff.c - a swap area is emptied: every page in it comes back to memory.
 *
 * No new slot is given out, and what comes back keeps none (swap_leaving). Then, until no slot is in use:
 *
 *   leaf tables   found among the frames, each once for all its sharers. Entries that name the area are read in, with
 *                 those beside them, and become *withheld*: the frame is there and counted, but nothing translates; the
 *                 next access makes it present (fault.c). So no TLB matters, and neither does what a range operation is
 *                 doing to the table, which knows withheld entries as those of PROT_NONE
 *   the cache     frames that no entry names any more leave it
 *   objects       those that have slots, from evict.c's list; and frames of objects that keep a slot
 *
 * What moves meanwhile (a table that is cloned behind our back, an entry that mremap carries, a batch of reclaim) is
 * found in the next pass. The exchange is made with no batch of reclaim under way: a withheld entry, unlike a swap
 * entry, does not tell range operations that a flush is still to come. */
#include "vm/inner.h"

#include "vm/object_inner.h"
#include "vm/roster.h"
#include "vm/swap.h"

struct leaving {
    u64 first, end; /* the slots */
    int (*pause)(void);
};

static bool names(const struct leaving *l, entry e) {
    return entry_swapped(e) && entry_swap_slot(e) >= l->first && entry_swap_slot(e) < l->end;
}

/* The leaf whose frame f is, locked, in an epoch section; NULL, and not in one: there is none, or it has no swap entry.
 */
static struct table *leaf_enter(struct frame *f) {
    struct table *t = NULL;
    epoch_enter();
    if (frame_class(f) == FRAME_TABLE && !atomic_xchg(&f->hold, 1)) {
        t = table_of_held(f);
        if (t && !spin_try(&t->lock))
            t = NULL;
        if (t && (atomic_load(&t->dead) || t->level != 1 || !t->swapped)) {
            spin_unlock(&t->lock); /* before hold: a spare one is freed without regard to the epoch */
            t = NULL;
        }
        atomic_store(&f->hold, 0);
    }
    if (!t)
        epoch_leave();
    return t;
}

static void leaf_leave(struct table *t) {
    spin_unlock(&t->lock);
    epoch_leave();
}

/* The first entries of the leaf that name the area; a count held of each. An entry without a run is being unmapped. */
static unsigned collect(const struct leaving *l, struct frame *f, u64 *slots) {
    struct table *t = leaf_enter(f);
    unsigned count = 0;
    for (unsigned i = t ? t->lo : 0; t && i < t->hi && count < SWAP_AHEAD; i++) {
        entry e = slot_read(&t->slots[i]);
        if (!names(l, e) || !plan_find(t, i))
            continue;
        slots[count++] = entry_swap_slot(e);
        swap_dup(entry_swap_slot(e));
    }
    if (t)
        leaf_leave(t);
    return count;
}

/* Slot i, a swap entry, gets the frame, not writable and withheld. */
static void put_withheld(struct table *t, unsigned i, struct frame *frame) {
    entry rights = view_rights(plan_find(t, i)->view);
    entry kept = slot_read(&t->slots[i]) & (ENTRY_CLEAN | ENTRY_GUARDED);
    entry e = entry_withhold(entry_frame(frame_phys(frame), false, rights) & ~ENTRY_ACCESSED) | kept;
    entry old = slot_exchange(&t->slots[i], e);
    t->withheld = true;
    leaf_count(t, e, 1);
    leaf_forget(t, old);
}

/* The frame of a slot takes the place of its entry, wherever the leaf has it by now; or a copy does, if it is mapped at
 * another index, since mremap moved one of them. The frame's pin is used up, or not: *frame is NULL if it is. */
static void put_back(struct table *t, u64 slot, struct frame **frame, struct frame **spare) {
    for (unsigned i = t->lo; i < t->hi; i++) {
        entry e = slot_read(&t->slots[i]);
        if (!entry_swapped(e) || entry_swap_slot(e) != slot || !plan_find(t, i))
            continue;
        if (swap_claim(*frame, t->ring, i)) {
            put_withheld(t, i, *frame);
            *frame = NULL;
        } else if (*spare) {
            machine_copy_page(frame_va(*spare), frame_va(*frame));
            atomic_store_relaxed(&(*spare)->anon.ring, t->ring);
            atomic_store_relaxed(&(*spare)->anon.index, i);
            atomic_store(&(*spare)->mapped, 1);
            roster_came(*spare, true);
            put_withheld(t, i, *spare);
            *spare = NULL;
        }
        return; /* a leaf names a slot once */
    }
}

/* Some entries of the leaf come back. Their number; 0: there are none; -ENOMEM, -EIO. */
static int empty_leaf(const struct leaving *l, struct frame *f) {
    u64 slots[SWAP_AHEAD];
    struct frame *frames[SWAP_AHEAD], *spare;
    unsigned count = collect(l, f, slots);
    if (!count)
        return 0;
    int error = swap_read(slots, count, frames);
    spare = error ? NULL : frame_alloc(0, FRAME_ANON, 0);
    if (!error && !spare)
        error = -ENOMEM;
    reclaim_exclude();
    struct table *t = !error ? leaf_enter(f) : NULL;
    for (unsigned i = 0; t && i < count; i++)
        if (frames[i])
            put_back(t, slots[i], &frames[i], &spare);
    if (t)
        leaf_leave(t);
    reclaim_include();
    for (unsigned i = 0; i < count; i++) {
        if (frames[i])
            frame_unpin(frames[i]);
        swap_put(slots[i]);
    }
    if (spare)
        frame_free(spare, 0);
    return error ? error : (int)count;
}

static int empty_leaves(const struct leaving *l) {
    int error = 0;
    for (u64 n = 0; n < frame_count && !error; n++) {
        int done = 1;
        while (frame_class(&frames[n]) == FRAME_TABLE && done > 0 && !error) {
            done = empty_leaf(l, &frames[n]);
            error = done < 0 ? done : done ? l->pause() : 0;
        }
    }
    return error;
}

int area_empty(unsigned area, int (*pause)(void)) {
    struct leaving l = {(u64)area << AREA_SHIFT, (u64)(area + 1) << AREA_SHIFT, pause};
    struct area_state state;
    int error = 0;
    reclaim_exclude(); /* whose search for a slot may have begun there */
    area_close(area);
    reclaim_include();
    area_look(area, &state);
    while (state.used && !error) {
        error = empty_leaves(&l);
        if (!error)
            error = objects_bring_back(l.first, l.end, pause);
        reclaim_exclude();
        swap_release(l.first, l.end);
        objects_release(l.first, l.end);
        reclaim_include();
        area_look(area, &state);
        if (!error && state.used)
            error = pause();
    }
    if (error)
        area_open(area);
    return error;
}
