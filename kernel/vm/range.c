/* range.c - the range operations: map, unmap, protect and advise, discard, brk.
 *
 * Range operations of one space exclude each other by s->range, held to the end: if two ranges overlap, one operation
 * is finished before the other begins. An operation closes the space (the fork exclusion, taken alone) and then
 *
 *   prepares: walks the tables at the range's edges, makes them exclusive, makes room in their plans. What memory this
 *             takes comes from the stock; if that lacks something, the space is opened, the stock filled, and it starts
 *             again. Nothing that a program could see has changed yet: so an error needs no way back.
 *   commits:  edits plans and slots, which cannot fail. Tables wholly inside an unmapped range leave by one slot.
 *   flushes, then forgets the frames (sweep), then opens the space. Detached tables are torn down after that.
 */
#include "vm/inner.h"

#include "vm/slab.h"

struct renewal {
    struct view *old, *new; /* one reference on each */
};

struct range_op {
    struct space *s;
    u64 first, end;    /* pages */
    struct view *view; /* replace: what comes; NULL: nothing */
    u64 offset;
    bool review; /* views change instead */
    struct renewal *renewals;
    unsigned renewal_count, renewal_room;
    struct stock stock;
    struct table *detached; /* by next: no slot of ours points there any more */
    bool flush, flush_tables;
    struct tally tally;     /* what the operation changes in the totals ... */
    s64 mappings;           /* ... and in the number of mappings */
    bool nothing;           /* nothing is mapped in the range */
    u64 gap_first, gap_end; /* unmap: the free range that will be there */
};

/* The part of the operation's range that lies in t, relative. */
static u64 part_first(const struct range_op *op, const struct table *t) {
    return op->first > t->base ? op->first - t->base : 0;
}
static u64 part_end(const struct range_op *op, const struct table *t) { return min(op->end - t->base, table_pages(t)); }
static bool covers_slot(u64 first, u64 end, unsigned slot, u64 step) {
    return first <= slot * step && (slot + 1) * step <= end;
}

/* ---- prepare ---- */

static enum step prepare(struct range_op *op, struct table *t) {
    u64 first = part_first(op, t), end = part_end(op, t), step = slot_pages(t->level);
    enum step result = STEP_DONE;
    spin_lock(&t->lock);
    if (!plan_room(t, 2, &op->stock))
        result = STEP_STOCK;
    if (op->view && op->view->file && !plan_has_link(t, view_object(op->view)))
        op->stock.want_links++; /* checked once for all tables, by prepare_all */
    spin_unlock(&t->lock);
    if (t->level == 1)
        return result;
    for (unsigned i = table_next(t, first / step); i * step < end && result == STEP_DONE; i = table_next(t, i + 1)) {
        struct table *lower;
        if (!op->review && covers_slot(first, end, i, step))
            continue; /* will be detached */
        spin_lock(&t->lock);
        result = table_own(op->s, t, i, &op->stock, &lower);
        spin_unlock(&t->lock);
        if (result == STEP_DONE)
            result = prepare(op, lower);
    }
    return result;
}

static enum step prepare_all(struct range_op *op) {
    op->stock.want_links = 0;
    enum step step = prepare(op, op->s->root);
    if (step == STEP_DONE && op->stock.want_links > op->stock.link_count)
        step = STEP_STOCK;
    if (step == STEP_STOCK && op->stock.want_tables) /* many to break: fewer rounds */
        op->stock.want_tables = 16;
    return step;
}

/* ---- commit ---- */

static struct view *renewed(struct view *old, void *argument) {
    struct range_op *op = argument;
    for (unsigned i = 0; i < op->renewal_count; i++)
        if (op->renewals[i].old == old)
            return op->renewals[i].new;
    return old;
}

/* A slot stops translating, but keeps its frame. */
static bool withhold_slot(entry *slot) {
    if (!entry_present(slot_read(slot)))
        return false;
    slot_store(slot, entry_withhold(slot_exchange(slot, 0)));
    return true;
}

/* The slots [first, end) of a leaf stop translating: until the flush is done and they are swept, or for as long as
 * their view allows nothing. */
static bool withhold_slots(struct table *t, unsigned first, unsigned end) {
    bool any = false;
    for (unsigned i = max(first, (unsigned)t->lo); i < min(end, (unsigned)t->hi); i++)
        any |= withhold_slot(&t->slots[i]);
    return any;
}

/* What the slots [first, end) of a leaf show, under a view that changed. True if a right was lowered. Of the bits that
 * the view decides, `off` are those that a slot has otherwise than wanted; write permission is only ever taken: a fault
 * gives it. */
static bool review_slots(struct table *t, unsigned first, unsigned end, const struct view *v) {
    if (!(v->flags & VIEW_PROT))
        return withhold_slots(t, first, end);
    bool exec = v->flags & VIEW_EXEC;
    entry wanted = ENTRY_PRESENT | (exec ? 0 : ENTRY_NOEXEC), changed = 0;
    entry decided = ENTRY_PRESENT | ENTRY_NOEXEC | (v->flags & VIEW_WRITE ? 0 : ENTRY_WRITE);
    entry *slot = t->slots + max(first, (unsigned)t->lo), *last = t->slots + min(end, (unsigned)t->hi);
    for (; slot < last; slot++) {
        entry e = slot_read(slot), off = (e ^ wanted) & decided;
        if (!off)
            continue;
        if (likely(entry_present(e))) {
            slot_flip_bits(slot, off);
            changed |= off;
        } else if (entry_withheld(e)) {
            slot_store(slot, entry_restore(e, exec));
        }
    }
    return changed & (ENTRY_WRITE | wanted);
}

static void commit_review(struct range_op *op, struct table *t, u64 first, u64 end) {
    plan_change(t, first, end, renewed, op);
    if (t->level > 1)
        return;
    for (unsigned i = plan_from(t, first); i < t->run_count && t->runs[i].first < end; i++) {
        struct run *r = &t->runs[i];
        op->flush |= review_slots(t, max(r->first, first), min(r->end, end), r->view);
    }
}

static void detach(struct range_op *op, struct table *t, unsigned i) {
    struct table *lower = table_unpoint(t, i);
    lower->next = op->detached;
    op->detached = lower;
    op->flush = op->flush_tables = true;
}

/* A table that maps nothing and plans nothing leaves. Its slots are withheld at most: torn down with it. */
static bool is_idle(struct table *t) { return t->run_count == 0 && (t->level == 1 || table_next(t, 0) == TABLE_SLOTS); }

static void commit(struct range_op *op, struct table *t);

static void commit_below(struct range_op *op, struct table *t, unsigned i) {
    struct table *lower = table_of_entry(slot_read(&t->slots[i]));
    commit(op, lower);
    if (op->view || op->review)
        return;
    spin_lock(&t->lock);
    if (is_idle(lower)) { /* exclusive, and the space is closed: nobody adds to it */
        detach(op, t, i);
        event(EVENT_TABLE_FOLDED, lower->base << PAGE_SHIFT, 1);
    }
    spin_unlock(&t->lock);
}

static void commit(struct range_op *op, struct table *t) {
    u64 first = part_first(op, t), end = part_end(op, t), step = slot_pages(t->level);
    unsigned edges[2], edge_count = 0; /* slots whose table is covered in part */
    spin_lock(&t->lock);
    u64 from = first, to = end; /* what belongs into this plan: not what lies under an edge */
    for (unsigned i = t->level > 1 ? table_next(t, first / step) : TABLE_SLOTS;
         i * step < end && i < TABLE_SLOTS && !op->review; i = table_next(t, i + 1)) {
        if (covers_slot(first, end, i, step)) {
            detach(op, t, i);
            continue;
        }
        edges[edge_count++] = i;
        if (i * step <= first)
            from = (i + 1) * step;
        else
            to = i * step;
    }
    if (op->review) {
        commit_review(op, t, first, end);
    } else if (from < to) {
        u64 shift = t->base + from - op->first;
        plan_set(t, from, to, op->view, op->offset + shift, &op->stock);
        if (t->level == 1)
            op->flush |= withhold_slots(t, from, to);
    }
    spin_unlock(&t->lock);
    for (unsigned n = 0; n < edge_count; n++)
        commit_below(op, t, edges[n]);
    if (op->review && t->level > 1)
        for (unsigned i = table_next(t, first / step); i < TABLE_SLOTS && i * step < end; i = table_next(t, i + 1))
            commit_below(op, t, i);
}

/* After the flush: the frames that the edge leaves withhold are forgotten. */
static void sweep_leaf(struct table *t, unsigned first, unsigned end) {
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
    }
    spin_unlock(&t->lock);
}

static void sweep(struct range_op *op, struct table *t) {
    u64 first = part_first(op, t), end = part_end(op, t), step = slot_pages(t->level);
    if (t->level == 1) {
        sweep_leaf(t, first, end);
        return;
    }
    for (unsigned i = table_next(t, first / step); i < TABLE_SLOTS && i * step < end; i = table_next(t, i + 1))
        sweep(op, table_of_entry(slot_read(&t->slots[i])));
}

static void flush(struct range_op *op) {
    if (!op->flush)
        return;
    machine_flush(&op->s->m, op->first << PAGE_SHIFT, op->end << PAGE_SHIFT, op->flush_tables);
    event(EVENT_FLUSH, op->first << PAGE_SHIFT, 1);
}

static void drop_detached(struct range_op *op) {
    while (op->detached) {
        struct table *t = op->detached;
        op->detached = t->next;
        t->next = NULL;
        table_drop(t);
    }
}

/* ---- what will change ---- */

static struct view *view_after(struct range_op *op, const struct piece *p) {
    return op->review && p->first >= op->first && p->first < op->end ? renewed(p->view, op) : p->view;
}

/* One step along the pieces from the left neighbour to the right one: is q joined to p, before and after? */
static void count_joint(struct range_op *op, const struct piece *p, const struct piece *q) {
    u64 offset_end = p->offset + (p->end - p->first);
    if (run_continues(p->view, p->end, offset_end, q->view, q->first, q->offset))
        op->mappings++; /* one joint less than there was */
    if (op->review && run_continues(view_after(op, p), p->end, offset_end, view_after(op, q), q->first, q->offset))
        op->mappings--;
}

/* What comes in place of the pieces inside: its joints with its neighbours. */
static void count_replacement(struct range_op *op, const struct piece *left, const struct piece *right) {
    struct piece fresh = {op->first, op->end, op->view, op->offset};
    if (!op->view)
        return;
    op->mappings++;
    if (left && run_continues(left->view, left->end, left->offset + (left->end - left->first), fresh.view, fresh.first,
                              fresh.offset))
        op->mappings--;
    if (right && run_continues(fresh.view, fresh.end, fresh.offset + (fresh.end - fresh.first), right->view,
                               right->first, right->offset))
        op->mappings--;
    tally_add(&op->tally, op->view, op->end - op->first);
}

/* Walk the pieces of the range and its two neighbours once: totals, the number of mappings that /proc/PID/maps will
 * show, and how far the gap will reach. */
static void survey(struct range_op *op, const struct walk *start) {
    struct walk back = *start, ahead = *start;
    struct piece left, p, last;
    bool has_left = piece_prev_from(&back, op->first, &left), more = piece_next_from(&ahead, op->first, &p),
         joins = has_left;
    op->tally = (struct tally){0};
    op->mappings = 0;
    op->nothing = !more || p.first >= op->end;
    op->gap_first = has_left ? left.end : 0;
    last = left;
    while (more && p.first < op->end) {
        struct piece inside = p;
        inside.end = min(p.end, op->end);
        tally_add(&op->tally, p.view, -(s64)(inside.end - inside.first));
        if (op->review)
            tally_add(&op->tally, renewed(p.view, op), inside.end - inside.first);
        else
            op->mappings--;
        if (joins)
            count_joint(op, &last, &inside);
        last = inside;
        joins = true;
        more = piece_next(op->s, inside.end, &p);
    }
    if (joins && more)
        count_joint(op, &last, &p);
    op->gap_end = more ? p.first : USER_PAGES;
    count_replacement(op, has_left ? &left : NULL, more ? &p : NULL);
}

static void commit_all(struct range_op *op) {
    struct space *s = op->s;
    commit(op, s->root);
    flush(op);
    if (!op->review) /* also without a flush: slots that were withheld before have left no trace in any TLB */
        sweep(op, s->root);
}

static void account(struct range_op *op) {
    tally_apply(op->s, &op->tally);
    op->s->mappings += op->mappings;
    if (!op->view && !op->review)
        gap_freed(op->s, op->gap_first, op->gap_end);
}

/* Most operations lie within one table, the deepest on their path, and within no slot that has a table below. Then that
 * table is all there is to prepare and to commit. STEP_AGAIN: this one does not. */
static enum step commit_within(struct range_op *op, const struct walk *w) {
    struct table *t = w->table[w->level];
    u64 first = part_first(op, t), end = op->end - t->base, step = slot_pages(t->level);
    if (!w->writable || end > table_pages(t) || (t->level > 1 && table_next(t, first / step) * step < end))
        return STEP_AGAIN;
    if (!op->view && !op->review && t->level < TABLE_LEVELS && t->run_count == 1 && first <= t->runs[0].first &&
        t->runs[0].end <= end)
        return STEP_AGAIN; /* the table may become idle: it leaves by its parent's slot */
    enum step result = STEP_DONE;
    spin_lock(&t->lock);
    bool linked =
        !(op->view && op->view->file) || plan_has_link(t, view_object(op->view)) || stock_has(&op->stock, 0, 1, 0);
    if (!plan_room(t, 2, &op->stock) || !linked) {
        result = STEP_STOCK;
    } else if (op->review) {
        commit_review(op, t, first, end);
    } else {
        plan_set(t, first, end, op->view, op->offset, &op->stock);
        op->flush |= t->level == 1 && withhold_slots(t, first, end);
    }
    spin_unlock(&t->lock);
    if (result != STEP_DONE)
        return result;
    flush(op);
    if (t->level == 1 && !op->review)
        sweep_leaf(t, first, end);
    return STEP_DONE;
}

/* One try, with the space closed. */
static enum step range_try(struct range_op *op, int *error) {
    struct walk w;
    walk_down(op->s, op->first, &w);
    survey(op, &w);
    if (op->nothing && !op->view)
        return STEP_DONE;
    if (op->mappings > 0 && op->s->mappings + op->mappings > vm_max_map_count) {
        *error = -ENOMEM;
        return STEP_DONE;
    }
    if (!op->review && op->end - op->first >= SAMPLE_PAGES && !op->nothing)
        resident_sample(op->s);
    enum step step = commit_within(op, &w);
    if (step == STEP_AGAIN) {
        step = prepare_all(op);
        if (step == STEP_DONE)
            commit_all(op);
    }
    if (step == STEP_DONE)
        account(op);
    return step;
}

/* Prepare and commit, with the space closed for each try. */
static int range_run(struct range_op *op) {
    int error = 0;
    enum step step = STEP_STOCK;
    assert(mutex_held(&op->s->range));
    while (step != STEP_DONE && !error) {
        space_close(op->s);
        step = range_try(op, &error);
        space_open(op->s);
        if (step != STEP_DONE)
            error = stock_fill(&op->stock);
    }
    drop_detached(op);
    stock_empty(&op->stock);
    return error;
}

int space_prepare_unmap(struct space *s, u64 first, u64 end) {
    struct range_op op = {.s = s, .first = first, .end = end};
    int error = 0;
    enum step step = STEP_STOCK;
    assert(mutex_held(&s->range));
    while (step != STEP_DONE && !error) {
        space_close(s);
        step = prepare_all(&op);
        space_open(s);
        if (step == STEP_STOCK)
            error = stock_fill(&op.stock);
    }
    stock_empty(&op.stock);
    return error;
}

int space_replace(struct space *s, u64 first, u64 end, struct view *view, u64 offset) {
    struct range_op op = {.s = s, .first = first, .end = end, .view = view, .offset = offset};
    assert(first < end && end <= USER_PAGES);
    return range_run(&op);
}

/* ---- views that change ---- */

static bool known(struct range_op *op, struct view *v) {
    for (unsigned i = 0; i < op->renewal_count; i++)
        if (op->renewals[i].old == v)
            return true;
    return false;
}

static int renewal_add(struct range_op *op, struct view *old, struct view_change change) {
    struct view proto = *old;
    if (op->renewal_count == op->renewal_room) {
        unsigned room = op->renewal_room ? op->renewal_room * 2 : 4;
        struct renewal *more = kmalloc(room * sizeof(*more));
        if (!more)
            return -ENOMEM;
        memcpy(more, op->renewals, op->renewal_count * sizeof(*more));
        kfree(op->renewals);
        op->renewals = more;
        op->renewal_room = room;
    }
    proto.flags = (proto.flags & ~change.clear) | change.set;
    if ((proto.flags & VIEW_WRITE) && !(proto.flags & (VIEW_SHARED | VIEW_NORESERVE)))
        proto.flags |= VIEW_ACCOUNT;
    struct view *new = view_intern(&proto);
    if (!new)
        return -ENOMEM;
    view_get(old);
    op->renewals[op->renewal_count++] = (struct renewal){old, new};
    return 0;
}

/* Every distinct view of the range gets its successor, before anything changes. */
static int renew_all(struct range_op *op, struct view_change change) {
    struct piece p = {.end = op->first};
    int error = 0;
    while (!error && p.end < op->end) {
        space_close(op->s);
        bool found;
        do
            found = piece_next(op->s, p.end, &p) && p.first < op->end;
        while (found && known(op, p.view) && p.end < op->end);
        space_open(op->s);
        if (!found)
            break;
        if (!known(op, p.view)) /* range is held: the run, and so its view, stays */
            error = renewal_add(op, p.view, change);
    }
    return error;
}

int space_review(struct space *s, u64 first, u64 end, struct view_change change) {
    struct range_op op = {.s = s, .first = first, .end = end, .review = true};
    int error = renew_all(&op, change);
    bool differs = false;
    for (unsigned i = 0; i < op.renewal_count; i++)
        differs |= op.renewals[i].old != op.renewals[i].new;
    if (!error && differs)
        error = range_run(&op);
    for (unsigned i = 0; i < op.renewal_count; i++) {
        view_put(op.renewals[i].old);
        view_put(op.renewals[i].new);
    }
    kfree(op.renewals);
    return error;
}

/* ---- discarding ---- */

/* One leaf's part of [page, end): emptied. *next: where to go on. */
static enum step empty_leaf(struct space *s, u64 page, u64 end, struct stock *k, u64 *next) {
    struct walk w;
    walk_down(s, page, &w);
    u64 span = slot_pages(w.level) * (w.level > 1 ? 1 : TABLE_SLOTS);
    *next = min(align_down(page, span) + span, end);
    if (w.level > 1)
        return STEP_DONE; /* no table: nothing there */
    enum step step = w.writable ? STEP_DONE : walk_own(s, page, &w, k);
    if (step != STEP_DONE)
        return step;
    struct table *t = w.table[1];
    spin_lock(&t->lock);
    bool any = withhold_slots(t, page - t->base, *next - t->base);
    spin_unlock(&t->lock);
    if (any)
        machine_flush(&s->m, page << PAGE_SHIFT, *next << PAGE_SHIFT, false);
    sweep_leaf(t, page - t->base, *next - t->base);
    return STEP_DONE;
}

int space_empty(struct space *s, u64 first, u64 end) {
    struct stock k = STOCK_EMPTY;
    int error = 0;
    while (first < end && !error) {
        u64 next = first;
        space_close(s);
        enum step step = empty_leaf(s, first, end, &k, &next);
        space_open(s);
        if (step == STEP_DONE)
            first = next;
        else if (step == STEP_STOCK)
            error = stock_fill(&k);
    }
    stock_empty(&k);
    return error;
}
