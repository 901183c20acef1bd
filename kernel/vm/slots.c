/* slots.c - the slots of a leaf under a range operation: withheld, shown as a changed view says, emptied.
 *
 * A page goes in three steps, since nobody may still see a frame when its count drops: its slot stops translating
 * (slots_withhold), every CPU forgets it (machine_flush, the caller's), its frame is forgotten (slots_sweep). Owns
 * nothing; the leaf's path is exclusive and the space closed. */
#include "vm/inner.h"

/* A slot stops translating, but keeps its frame. */
static bool withhold_slot(entry *slot) {
    entry e = slot_read(slot);
    if (!entry_present(e))
        return entry_swapped(e); /* it may be so young that reclaim has not flushed yet: the frame is still in reach */
    slot_store(slot, entry_withhold(slot_exchange(slot, 0)));
    return true;
}

/* The slots [first, end) of a leaf stop translating: until the flush is done and they are swept, or for as long as
 * their view allows nothing. */
bool slots_withhold(struct table *t, unsigned first, unsigned end) {
    bool any = false;
    for (unsigned i = max(first, (unsigned)t->lo); i < min(end, (unsigned)t->hi); i++)
        any |= withhold_slot(&t->slots[i]);
    return any;
}

/* What the slots [first, end) of a leaf show, under a view that changed. True if a right was lowered. Of the bits that
 * the view decides, `off` are those that a slot has otherwise than wanted; write permission is only ever taken: a fault
 * gives it. */
bool slots_review(struct table *t, unsigned first, unsigned end, const struct view *v) {
    if (!(v->flags & VIEW_PROT))
        return slots_withhold(t, first, end);
    entry wanted = ENTRY_PRESENT | view_rights(v), changed = 0;
    entry decided = ENTRY_PRESENT | ENTRY_NOEXEC | ENTRY_KEY | (v->flags & VIEW_WRITE ? 0 : ENTRY_WRITE);
    entry *slot = t->slots + max(first, (unsigned)t->lo), *last = t->slots + min(end, (unsigned)t->hi);
    for (; slot < last; slot++) {
        entry e = slot_read(slot), off = (e ^ wanted) & decided;
        if (!off)
            continue;
        if (likely(entry_present(e))) {
            slot_flip_bits(slot, off);
            changed |= off;
        } else if (entry_withheld(e)) {
            slot_store(slot, entry_restore(e, view_rights(v)));
        } else if (entry_swapped(e)) {
            changed |= ENTRY_WRITE; /* as in withhold_slot */
        }
    }
    return changed & (ENTRY_WRITE | ENTRY_KEY | wanted);
}

/* After the flush: the frames that the edge leaves withhold are forgotten. */
void slots_sweep(struct table *t, unsigned first, unsigned end) {
    spin_lock(&t->lock);
    for (unsigned i = max(first, (unsigned)t->lo); i < min(end, (unsigned)t->hi); i++) {
        entry e = slot_read(&t->slots[i]);
        if (entry_empty(e))
            continue;
        slot_store(&t->slots[i], 0);
        leaf_forget(t, e);
    }
    if (!(t->anon + t->object + t->special + t->swapped)) {
        t->lo = TABLE_SLOTS;
        t->hi = 0;
    } else if (first <= t->lo) {
        t->lo = max(end, (unsigned)t->lo);
    } else if (end >= t->hi) {
        t->hi = min(first, (unsigned)t->hi);
    }
    spin_unlock(&t->lock);
}
