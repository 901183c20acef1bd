/* collapse.c - MADV_COLLAPSE: a leaf that shows 512 frames, or fewer, comes to show one block of 2 MiB, by one entry.
 *
 *   before   level 2: pointer ── leaf: [f, f, zero, ., f ...]      after   level 2: large ══ block
 *                                                                                   (leaf: [block + 0, block + 1 ...])
 *
 * The leaf stays what the large entry means (table.h). The space is closed, so nobody faults here; while the slot above
 * is empty, nobody gets here otherwise. Of the leaf, locked, reclaim sees either all old frames or all new ones. */
#include "vm/inner.h"

struct collapse {
    struct space *s;
    u64 first; /* page of the block */
    struct stock stock;
    struct frame *block;
    int error;
};

static bool may_be_large(const struct table *leaf) {
    const struct view *v = leaf->runs[0].view;
    return leaf->run_count == 1 && !v->watch && leaf->runs[0].first == 0 && leaf->runs[0].end == TABLE_SLOTS &&
           !view_object(v) && (v->flags & VIEW_WRITE) && !(v->flags & (VIEW_SHARED | VIEW_NOHUGE | VIEW_SPECIAL));
}

/* 0; -EINVAL: no page of it may be written now (as Linux has it); -EAGAIN: a page is in the swap area, or is in use. */
static int look(const struct table *leaf) {
    bool writable = false;
    for (unsigned i = leaf->lo; i < leaf->hi; i++) {
        entry e = slot_read(&leaf->slots[i]);
        if (entry_empty(e) || (entry_present(e) && entry_special(e)))
            continue; /* nothing, or the zero frame */
        if (!entry_present(e) || atomic_load(&frame_of_phys(entry_phys(e))->pins))
            return -EAGAIN;
        writable |= entry_writable(e);
    }
    return writable ? 0 : -EINVAL;
}

/* Everything that the leaf shows is in the block. Nobody reaches it. */
static void take_in(struct table *leaf, struct frame *block) {
    for (unsigned i = 0; i < TABLE_SLOTS; i++) {
        entry e = slot_read(&leaf->slots[i]);
        bool zero = entry_empty(e) || entry_special(e);
        if (zero)
            machine_zero_page(frame_va(block + i));
        else
            machine_copy_page(frame_va(block + i), frame_va(frame_of_phys(entry_phys(e))));
        slot_store(&leaf->slots[i], 0);
        if (!entry_empty(e))
            leaf_forget(leaf, e);
    }
}

static int collapse_leaf(struct collapse *c, struct table *above, struct table *leaf) {
    unsigned i = slot_index(c->first, 2);
    struct machine_space *m = &c->s->m;
    spin_lock(&above->lock);
    spin_lock(&leaf->lock);
    int error = may_be_large(leaf) ? look(leaf) : -EINVAL;
    if (!error) {
        slot_exchange(&above->slots[i], 0);
        machine_flush(m, c->first << PAGE_SHIFT, (c->first + TABLE_SLOTS) << PAGE_SHIFT, true);
        take_in(leaf, c->block);
        table_show_large(above, i, leaf, c->block);
        c->block = NULL;
        event(EVENT_FAULT_LARGE, c->first << PAGE_SHIFT, 1);
    }
    spin_unlock(&leaf->lock);
    spin_unlock(&above->lock);
    return error;
}

/* With the space closed. */
static enum step try_block(struct collapse *c) {
    struct walk w;
    walk_down(c->s, c->first, &w);
    bool large = w.level == 2 && entry_is_large(slot_read(&w.table[2]->slots[slot_index(c->first, 2)]));
    enum step step = STEP_DONE;
    if (large)
        c->error = 0;
    else if (w.level != 1)
        c->error = -EINVAL; /* nothing is there */
    else if (!w.writable && (step = walk_own(c->s, c->first, &w, &c->stock)) != STEP_DONE)
        ;
    else
        c->error = collapse_leaf(c, w.table[2], w.table[1]);
    return step;
}

static void bring_back(struct space *s, u64 first) {
    u64 slot;
    for (u64 page = first; page < first + TABLE_SLOTS; page++)
        if (space_present(s, page << PAGE_SHIFT, &slot) & PAGE_SWAPPED)
            (void)space_fault(s, page << PAGE_SHIFT, FAULT_READ);
}

static int collapse_block(struct space *s, u64 first) {
    struct collapse c = {.s = s, .first = first};
    enum step step = STEP_STOCK;
    bring_back(s, first);
    c.block = frame_alloc(LARGE_ORDER, FRAME_ANON, FRAME_TRY);
    c.error = c.block ? 0 : -ENOMEM;
    mutex_lock(&s->range);
    while (step != STEP_DONE && !c.error) {
        space_close(s);
        step = try_block(&c);
        space_open(s);
        if (step == STEP_STOCK)
            c.error = stock_fill(&c.stock);
    }
    mutex_unlock(&s->range);
    if (c.block)
        frame_free(c.block, LARGE_ORDER);
    stock_empty(&c.stock);
    return c.error;
}

int space_collapse(struct space *s, u64 address, u64 bytes) {
    u64 span = TABLE_SLOTS, first = align_up(address >> PAGE_SHIFT, span), end = (address + bytes) >> PAGE_SHIFT;
    int error = first <= align_down(end, span) ? 0 : -EINVAL; /* as Linux has it, which takes an empty range for done */
    bool more = true;
    for (; first + span <= end && more; first += span) {
        int failed = collapse_block(s, first);
        error = failed ? failed : error;
        more = failed != -ENOMEM;
    }
    return error;
}
