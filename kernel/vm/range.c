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
#include "vm/commit.h"
#include "vm/inner.h"

#include "vm/slab.h"

struct renewal {
    struct view *old; /* a run of the range has it; range is held, so it stays until the commit */
    struct view *new; /* one reference */
};

struct range_op {
    struct space *s;
    u64 first, end;    /* pages */
    struct view *view; /* replace: what comes; NULL: nothing */
    u64 offset;
    bool review; /* views change instead, as `change` says */
    struct view_change change;
    int stopped; /* why the review ends before the range does */
    struct renewal *renewals, few[2];
    unsigned renewal_count, renewal_room;
    struct view *lacking; /* a view of the range that has none yet, since that takes memory; or NULL */
    struct stock stock;
    struct table *detached; /* by next: no slot of ours points there any more */
    bool flush, flush_tables;
    s64 charged;        /* pages promised (commit.h) for this try */
    struct tally tally; /* what the operation changes in the totals ... */
    s64 mappings;       /* ... and in the number of mappings */
    bool nothing;       /* nothing is mapped in the range, or no view changes */
    bool left;          /* unmap: something is mapped right before the range, ... */
    struct view *right; /* ... and right after it; NULL: nothing */
};

static void op_begin(struct range_op *op, struct space *s, u64 first, u64 end) {
    op->s = s;
    op->first = first;
    op->end = end;
    op->view = NULL;
    op->review = false;
    op->lacking = NULL;
    op->stopped = 0;
    op->charged = 0;
    stock_begin(&op->stock);
    op->detached = NULL;
    op->flush = op->flush_tables = false;
}

/* The part of the operation's range that lies in t, relative. */
static u64 part_first(const struct range_op *op, const struct table *t) {
    return op->first > t->base ? op->first - t->base : 0;
}
static u64 part_end(const struct range_op *op, const struct table *t) { return min(op->end - t->base, table_pages(t)); }
/* How many runs more the plan of t can come to have: one where the range begins inside of it, one where it ends. */
static unsigned runs_more(const struct table *t, u64 first, u64 end) { return (first > 0) + (end < table_pages(t)); }
static bool covers_slot(u64 first, u64 end, unsigned slot, u64 step) {
    return first <= slot * step && (slot + 1) * step <= end;
}

/* ---- prepare ---- */

static struct view *renewed(const struct range_op *op, struct view *old);

/* Slot i of t, locked, wholly in the range, shows a leaf large, of which we are the only user: it stays so if the view
 * that comes shows every page as it is shown now (advice, locks). Only its plan changes. */
static bool stays_large(const struct range_op *op, const struct table *t, unsigned i) {
    entry e = slot_read(&t->slots[i]);
    if (!entry_is_large(e) || atomic_load(&table_below(e)->shares) != 1)
        return false;
    struct view *before = table_below(e)->runs[0].view, *after = renewed(op, before);
    return after && !((before->flags ^ after->flags) & (VIEW_PROT | VIEW_KEY));
}

static enum step prepare(struct range_op *op, struct table *t) {
    u64 first = part_first(op, t), end = part_end(op, t), step = slot_pages(t->level);
    enum step result = STEP_DONE;
    spin_lock(&t->lock);
    if (!plan_room(t, runs_more(t, first, end), &op->stock))
        result = STEP_STOCK;
    if (op->view && view_object(op->view) && !plan_has_link(t, view_object(op->view)))
        op->stock.want_links++; /* checked once for all tables, by prepare_all */
    spin_unlock(&t->lock);
    if (t->level == 1)
        return result;
    for (unsigned i = table_next(t, first / step); i * step < end && result == STEP_DONE; i = table_next(t, i + 1)) {
        bool whole = covers_slot(first, end, i, step);
        struct table *lower = NULL;
        if (!op->review && whole)
            continue; /* will be detached */
        spin_lock(&t->lock);
        if (!op->review || !whole || !stays_large(op, t, i))
            result = table_own(op->s, t, i, &op->stock, &lower);
        spin_unlock(&t->lock);
        if (result == STEP_DONE && lower)
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

static struct view *renewed(const struct range_op *op, struct view *old) {
    for (unsigned i = 0; i < op->renewal_count; i++)
        if (op->renewals[i].old == old)
            return op->renewals[i].new;
    return NULL;
}

/* In [first, end) of t each run's view becomes the one after it; of a leaf, the slots follow. */
static void commit_review(struct range_op *op, struct table *t, u64 first, u64 end) {
    for (u64 page = first; page < end;) {
        unsigned i = plan_from(t, page);
        if (i == t->run_count || t->runs[i].first >= end)
            break;
        struct run r = t->runs[i];
        struct view *after = renewed(op, r.view);
        page = max(r.first, page);
        u64 stop = min(r.end, end);
        if (after != r.view) {
            plan_set(t, page, stop, after, r.offset + (page - r.first), NULL); /* the same object: its link is there */
            if (t->level == 1)
                op->flush |= slots_review(t, page, stop, after);
        }
        page = stop;
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
    struct table *lower = op->review ? table_lower(t, i, NULL) : table_of_entry(slot_read(&t->slots[i]));
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
            op->flush |= slots_withhold(t, from, to);
    }
    spin_unlock(&t->lock);
    for (unsigned n = 0; n < edge_count; n++)
        commit_below(op, t, edges[n]);
    if (op->review && t->level > 1)
        for (unsigned i = table_next(t, first / step); i < TABLE_SLOTS && i * step < end; i = table_next(t, i + 1))
            commit_below(op, t, i);
}

static void sweep(struct range_op *op, struct table *t) {
    u64 first = part_first(op, t), end = part_end(op, t), step = slot_pages(t->level);
    if (t->level == 1) {
        slots_sweep(t, first, end);
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

static struct view *renewal_find(struct range_op *op, struct view *old);

/* Of what there is, after what comes: p and q are joined if q continues p. */
static bool joined(const struct piece *p, const struct view *p_view, const struct piece *q, const struct view *q_view) {
    return run_continues(p_view, p->end, p->offset + (p->end - p->first), q_view, q->first, q->offset);
}

/* What comes in place of the pieces inside: its joints with its neighbours. */
static void count_replacement(struct range_op *op, const struct piece *left, const struct piece *right) {
    struct piece fresh = {op->first, op->end, op->view, op->offset};
    op->mappings += 1 - (left && joined(left, left->view, &fresh, op->view)) -
                    (right && joined(&fresh, op->view, right, right->view));
    tally_add(&op->tally, op->view, op->end - op->first);
}

/* The view that comes after p's, or NULL: the review ends before p, or must get memory first. */
static struct view *view_after(struct range_op *op, const struct piece *p, u64 reached) {
    if (p->first > reached || (op->change.set & VIEW_PROT & ~p->view->max_prot)) {
        op->stopped = p->first > reached ? -ENOMEM : -EACCES;
        op->end = reached;
        return NULL;
    }
    struct view *after = renewed(op, p->view);
    if (!after)
        after = renewal_find(op, p->view);
    if (!after)
        op->lacking = p->view;
    return after;
}

/* One piece inside the range, clipped to it. */
static struct view *see_inside(struct range_op *op, const struct piece *p, u64 reached) {
    struct view *after = op->review ? view_after(op, p, reached) : p->view;
    if (!after)
        return NULL;
    op->nothing &= op->review && after == p->view;
    tally_add(&op->tally, p->view, -(s64)(p->end - p->first));
    if (op->review)
        tally_add(&op->tally, after, p->end - p->first);
    else
        op->mappings--;
    return after;
}

/* A review that came to no end of its own ends where the last piece does: a hole follows. */
static void stop_at_hole(struct range_op *op, u64 reached) {
    if (!op->review || reached >= op->end || op->stopped || op->lacking)
        return;
    op->stopped = -ENOMEM;
    op->end = reached;
}

struct seen {
    struct piece p;
    struct view *after; /* the view that comes instead of p's; NULL: nothing was seen */
};

/* From one piece to the next: are they joined now, and will they be? */
static void see(struct range_op *op, struct seen *last, const struct piece *p, struct view *after) {
    if (last->after) {
        op->mappings += joined(&last->p, last->p.view, p, p->view);
        op->mappings -= op->review && joined(&last->p, last->after, p, after);
    }
    *last = (struct seen){*p, after};
}

/* Look at the pieces of the range and its neighbours once: totals, the number of mappings that /proc/PID/maps will
 * show, the views that come. */
static void survey(struct range_op *op, const struct walk *start) {
    struct walk w;
    struct piece left, p;
    struct seen last;
    u64 reached = op->first;
    op->tally = (struct tally){0};
    op->mappings = 0;
    op->nothing = true;
    op->lacking = NULL;
    walk_copy(&w, start);
    bool has_left = op->first && piece_prev_from(&w, op->first, op->first - 1, &left), more;
    last.after = NULL;
    if (has_left)
        last = (struct seen){left, left.view};
    walk_copy(&w, start);
    while ((more = piece_next_from(&w, reached, op->end + 1, &p)) && p.first < op->end) {
        struct piece inside = p;
        inside.end = min(p.end, op->end);
        struct view *after = see_inside(op, &inside, reached);
        if (!after)
            break;
        see(op, &last, &inside, after);
        reached = inside.end;
    }
    stop_at_hole(op, reached);
    bool has_right = more && p.first == op->end;
    if (has_right)
        see(op, &last, &p, p.view);
    if (op->view)
        count_replacement(op, has_left ? &left : NULL, has_right ? &p : NULL);
    op->left = has_left;
    op->right = has_right ? p.view : NULL;
}

static void commit_all(struct range_op *op) {
    struct space *s = op->s;
    commit(op, s->root);
    flush(op);
    if (!op->review) /* also without a flush: slots that were withheld before have left no trace in any TLB */
        sweep(op, s->root);
}

static void tally_apply(struct space *s, const struct tally *y) {
    struct tally *sum = &s->sum;
    sum->total += y->total;
    sum->data += y->data;
    sum->stack += y->stack;
    sum->exec += y->exec;
    sum->locked += y->locked;
    sum->committed += y->committed;
    sum->shared += y->shared;
    sum->special += y->special;
    s->peak_total = max(s->peak_total, (u64)sum->total);
}

static void account(struct range_op *op) {
    struct space *s = op->s;
    tally_apply(s, &op->tally);
    commit_add(op->tally.committed - op->charged);
    op->charged = 0;
    s->mappings += op->mappings;
    if (op->view)
        gap_taken(s, op->first, op->end, op->view);
    else if (!op->review)
        gap_freed(s, op->first, op->end, op->left, op->right);
}

/* More is promised than may be, or becomes data by a change of protection. What was charged is undone by range_run if
 * this try comes to nothing. */
static bool exceeds(struct range_op *op) {
    const struct space *s = op->s;
    if (op->tally.committed > 0) {
        if (!commit_charge(s, op->tally.committed))
            return true;
        op->charged = op->tally.committed;
    }
    return op->review && op->tally.data > 0 && (u64)(s->sum.data + op->tally.data) << PAGE_SHIFT > s->limits.data;
}

/* A plan is an array, so each edit of a long one moves much of it. When one has become long (a large area that nobody
 * touched, cut into many pieces), the part of the slot that the operation is about moves into a table of its own, and
 * so on down: no plan gets much longer than this. An operation that only unmaps must not fail for it. */
#define PLAN_LONG 128u
static enum step shorten(struct range_op *op, struct walk *w) {
    struct table *t = w->table[w->level], *made;
    enum step step = STEP_DONE;
    /* writable: else a fault of another space may be changing that plan right now */
    while (step == STEP_DONE && w->writable && unlikely(t->run_count >= PLAN_LONG) && t->level > 1) {
        unsigned i = slot_index(op->first, t->level);
        if (slot_index(op->end - 1, t->level) != i || op->end - t->base > table_pages(t) || table_next(t, i) == i)
            break;
        spin_lock(&t->lock);
        bool fits = table_make(t, i, &op->stock, &made);
        spin_unlock(&t->lock);
        if (fits)
            w->table[--w->level] = t = made;
        else
            step = op->view || op->review ? STEP_STOCK : STEP_AGAIN;
    }
    return step == STEP_STOCK ? step : STEP_DONE;
}

/* One try, with the space closed. */
static enum step range_try(struct range_op *op, int *error) {
    struct walk w;
    walk_down(op->s, op->first, &w);
    if (shorten(op, &w) != STEP_DONE)
        return STEP_STOCK;
    survey(op, &w);
    if (op->lacking)
        return STEP_STOCK;
    if (op->nothing && !op->view)
        return STEP_DONE;
    if (op->mappings > 0 && op->s->mappings + op->mappings > vm_max_map_count) {
        *error = -ENOMEM;
        return STEP_DONE;
    }
    if (unlikely(exceeds(op))) {
        *error = -ENOMEM;
        return STEP_DONE;
    }
    if (!op->review && op->end - op->first >= SAMPLE_PAGES && !op->nothing)
        resident_sample(op->s);
    enum step step = prepare_all(op);
    if (step == STEP_DONE) {
        commit_all(op);
        account(op);
    }
    return step;
}

static int renew(struct range_op *op);

/* Prepare and commit, with the space closed for each try. */
static int range_run(struct range_op *op) {
    struct space *s = op->s;
    int error = 0;
    enum step step = STEP_STOCK;
    while (step != STEP_DONE && !error) {
        space_close(s);
        step = range_try(op, &error);
        space_open(s);
        commit_add(-op->charged);
        op->charged = 0;
        if (step != STEP_DONE)
            error = op->lacking ? renew(op) : stock_fill(&op->stock);
    }
    drop_detached(op);
    stock_empty(&op->stock);
    return error;
}

int space_prepare_unmap(struct space *s, u64 first, u64 end) {
    struct range_op op;
    int error = 0;
    enum step step = STEP_STOCK;
    assert(mutex_held(&s->range));
    op_begin(&op, s, first, end);
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

int replace_far(struct space *s, u64 first, u64 end, struct view *view, u64 offset) {
    struct range_op op;
    op_begin(&op, s, first, end);
    op.view = view;
    op.offset = offset;
    return range_run(&op);
}

/* ---- views that change ---- */

/* The view that comes after `old`, if that takes no memory; else NULL. The space is closed. */
static struct view *renewal_find(struct range_op *op, struct view *old) {
    struct view proto = view_changed(old, op->change);
    struct view *new = op->renewal_count < op->renewal_room ? view_find(&proto) : NULL;
    if (new)
        op->renewals[op->renewal_count++] = (struct renewal){old, new};
    return new;
}

static int renewal_add(struct range_op *op, struct view *old) {
    struct view proto = view_changed(old, op->change);
    if (op->renewal_count == op->renewal_room) {
        struct renewal *more = kmalloc(op->renewal_room * 2 * sizeof(*more));
        if (!more)
            return -ENOMEM;
        memcpy(more, op->renewals, op->renewal_count * sizeof(*more));
        if (op->renewals != op->few)
            kfree(op->renewals);
        op->renewals = more;
        op->renewal_room *= 2;
    }
    struct view *new = view_intern(&proto);
    if (!new)
        return -ENOMEM;
    op->renewals[op->renewal_count++] = (struct renewal){old, new};
    return 0;
}

/* Every distinct view of the range gets its successor. The space is open. */
static int renew_all(struct range_op *op) {
    struct piece p = {.end = op->first};
    int error = 0;
    while (!error && p.end < op->end) {
        space_close(op->s);
        bool found;
        do
            found = piece_next(op->s, p.end, &p) && p.first < op->end;
        while (found && renewed(op, p.view) && p.end < op->end);
        space_open(op->s);
        if (!found)
            break;
        if (!renewed(op, p.view))
            error = renewal_add(op, p.view);
    }
    return error;
}

/* The first that lacks one may be the only one; if not, all at once. */
static int renew(struct range_op *op) { return op->renewal_count ? renew_all(op) : renewal_add(op, op->lacking); }

int review_far(struct space *s, u64 first, u64 end, struct view_change change) {
    struct range_op op;
    op_begin(&op, s, first, end);
    op.review = true;
    op.change = change;
    op.renewals = op.few;
    op.renewal_count = 0;
    op.renewal_room = array_count(op.few);
    int error = range_run(&op);
    for (unsigned i = 0; i < op.renewal_count; i++)
        view_put(op.renewals[i].new);
    if (op.renewals != op.few)
        kfree(op.renewals);
    return error ? error : op.stopped;
}

/* ---- what a leaf's slots hold: discarded, or from now on clean ---- */

static void empty_slots(struct space *s, struct table *t, unsigned first, unsigned end) {
    spin_lock(&t->lock);
    bool any = slots_withhold(t, first, end);
    spin_unlock(&t->lock);
    if (any)
        machine_flush(&s->m, (t->base + first) << PAGE_SHIFT, (t->base + end) << PAGE_SHIFT, false);
    slots_sweep(t, first, end);
}

static void clean_slots(struct space *s, struct table *t, unsigned first, unsigned end) {
    bool any = false;
    spin_lock(&t->lock);
    for (unsigned i = first; i < end; i++) {
        entry e = slot_read(&t->slots[i]);
        if (entry_empty(e) || entry_marker(e))
            continue;
        if (entry_present(e))
            slot_clear_bits(&t->slots[i], ENTRY_WRITE);
        slot_set_bits(&t->slots[i], ENTRY_CLEAN);
        any = true;
    }
    spin_unlock(&t->lock);
    if (any)
        machine_flush(&s->m, (t->base + first) << PAGE_SHIFT, (t->base + end) << PAGE_SHIFT, false);
}

/* One leaf's part of [page, end), made our own. *next: where to go on. */
static enum step change_leaf(struct space *s, u64 page, u64 end, bool make, struct stock *k, u64 *next,
                             void (*change)(struct space *s, struct table *t, unsigned first, unsigned end)) {
    struct walk w;
    struct table *t;
    if (make && own_table(s, page, 1, true, k, &t) == STEP_STOCK)
        return STEP_STOCK;
    walk_down(s, page, &w);
    enum step step = walk_small(s, page, &w, k);
    if (step != STEP_DONE)
        return step;
    u64 span = slot_pages(w.level) * (w.level > 1 ? 1 : TABLE_SLOTS);
    *next = min(align_down(page, span) + span, end);
    if (w.level > 1)
        return STEP_DONE; /* no table: nothing there */
    if (!w.writable)
        step = walk_own(s, page, &w, k);
    if (step != STEP_DONE)
        return step;
    t = w.table[1];
    change(s, t, page - t->base, *next - t->base);
    return STEP_DONE;
}

int leaves_change(struct space *s, u64 first, u64 end, bool make,
                  void (*change)(struct space *s, struct table *t, unsigned first, unsigned end)) {
    struct stock k = STOCK_EMPTY;
    int error = 0;
    while (first < end && !error) {
        u64 next = first;
        space_close(s);
        enum step step = change_leaf(s, first, end, make, &k, &next, change);
        space_open(s);
        if (step == STEP_DONE)
            first = next;
        else if (step == STEP_STOCK)
            error = stock_fill(&k);
    }
    stock_empty(&k);
    return error;
}

int space_empty(struct space *s, u64 first, u64 end) { return leaves_change(s, first, end, false, empty_slots); }

/* The plan first: what is mapped from then on counts as changed anyway. */
int space_clean(struct space *s) {
    struct piece p = {.end = 0};
    int error = 0;
    bool more = true;
    mutex_lock(&s->range);
    while (more && !error) {
        space_close(s);
        more = joined_next(s, p.end, &p);
        space_open(s);
        if (more)
            error = space_review(s, p.first, p.end, (struct view_change){.set = VIEW_CLEAN});
        if (more && !error)
            error = leaves_change(s, p.first, p.end, false, clean_slots);
    }
    mutex_unlock(&s->range);
    views_reap();
    return error;
}
