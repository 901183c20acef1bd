/* offline.c - frames that are taken out of use: what they hold moves to others (soft), or is lost (poison).
 *
 *   object's frame, soft     unmapped as if it were punched out, then copied into the frame that takes its place
 *   object's frame, poison   the same, but the next reader gets it from the backend again; where there is none,
 *                            the frame stays in the tree as one that could not be filled (object_replace)
 *   anonymous, soft          every slot that maps it shows the copy instead, at once
 *   anonymous, poison        every slot that maps it becomes a poisoned one: SIGBUS to who touches it
 *
 * An anonymous page may be written by any CPU at any time, and its slots have no state "on the way". It is asked for by
 * root, page by page, so the machine stands still meanwhile (machine_quiesce): nobody is inside of any table.
 *
 * Such a frame is freed like any other; frame_free sees the mark and keeps it (class FRAME_RESERVED). */
#include "vm/inner.h"

#include "vm/object_inner.h"
#include "vm/roster.h"
#include "vm/swap.h"

/* The leaf of f's ring that is shown large, if any, and by tables of which ring. */
struct large_search {
    const struct frame *f;
    struct table *leaf;
    struct ring *above;
};

static bool maps(const struct table *t, const struct frame *f, unsigned index) {
    entry e = slot_read(&t->slots[index]);
    return entry_maps(e) && !entry_special(e) && frame_of_phys(entry_phys(e)) == f;
}

static bool find_large(struct table *t, void *argument) {
    struct large_search *search = argument;
    if (maps(t, search->f, search->f->anon.index) && atomic_load(&t->large)) {
        search->leaf = t;
        search->above = t->above;
    }
    return !search->leaf;
}

/* Our pin keeps the frame, not its ring: that is there while a slot maps the frame, and for as long as the epoch
 * section that saw so. */
static void show_small(struct frame *f) {
    struct large_search search = {.f = f};
    epoch_enter();
    if (atomic_load(&f->mapped))
        ring_each(atomic_load(&f->anon.ring), find_large, &search);
    if (search.leaf)
        ring_each(search.above, table_shows_small, search.leaf);
    epoch_leave();
}

/* Everything stands still. The slots of f show `fresh`, or poison. */
static void exchange(struct frame *f, struct frame *fresh) {
    unsigned index = f->anon.index;
    struct table *t;
    list_for_each(t, &f->anon.ring->tables, ring_link) {
        if (!maps(t, f, index))
            continue;
        entry e = slot_read(&t->slots[index]);
        entry moved = fresh ? (e & ~ENTRY_PHYS) | (frame_phys(fresh) ^ (entry_present(e) ? 0 : ENTRY_PHYS)) : 0;
        slot_exchange(&t->slots[index], fresh ? moved : entry_poison());
        atomic_hint_add(&t->anon, -!fresh);
        t->special += !fresh;
    }
}

/* Pinned once, by us, and mapped; nothing else refers to it. */
static bool can_leave(const struct frame *f) {
    const struct table *t;
    bool can = f->class == FRAME_ANON && f->pins == 1 && f->mapped && !(f->flags & (FRAME_FILLING | FRAME_ERROR));
    if (can)
        list_for_each(t, &f->anon.ring->tables, ring_link) can &= !t->large || !maps(t, f, f->anon.index);
    return can;
}

static int leave_anonymous(struct frame *f, struct frame *fresh) {
    show_small(f);
    machine_quiesce();
    bool can = can_leave(f);
    if (can) {
        if (fresh) {
            machine_copy_page(frame_va(fresh), frame_va(f));
            fresh->anon.ring = f->anon.ring;
            fresh->anon.index = f->anon.index;
            fresh->mapped = f->mapped;
            swap_replace(f, fresh);
        } else {
            swap_forget(f); /* entries that name its slot find the same contents there */
        }
        exchange(f, fresh);
        f->mapped = 0;
        machine_flush_everyone();
    }
    machine_resume();
    return can ? 0 : -EBUSY;
}

/* With no batch of reclaim under way. */
static int leave(struct frame *f, struct frame *fresh, bool anonymous) {
    int error = anonymous ? leave_anonymous(f, fresh) : object_replace(f, fresh);
    if (!error && fresh)
        roster_came(fresh, true);
    if (!error)
        atomic_or(&f->flags, FRAME_POISON);
    roster_settle(f);
    return error;
}

int frame_offline(struct frame *f, bool poison) {
    enum frame_class class = frame_class(f); /* it is pinned, and a file's may become shared memory's */
    struct frame *fresh = poison ? NULL : frame_alloc(0, class, 0);
    int error = poison || fresh ? 0 : -ENOMEM;
    if (!error) {
        reclaim_exclude();
        error = leave(f, fresh, class == FRAME_ANON);
        reclaim_include();
    }
    if (error && fresh)
        frame_free(fresh, 0);
    frame_unpin(f);
    return error;
}
