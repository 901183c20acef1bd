/* watch.c - memory that a program watches: what watch.h says. The faults are in fault.c (not_at_once, supply_slot). */
#include "vm/watch.h"
#include "vm/inner.h"
#include "vm/object_inner.h"

/* ---- whose ---- */

void watch_init(struct watch *w, const struct watch_ops *ops, struct space *s) {
    w->ops = ops;
    w->follows = false;
    spin_lock(&all_spaces_lock);
    w->space = s;
    list_add_tail(&s->watches, &w->in_space);
    spin_unlock(&all_spaces_lock);
}

/* all_spaces_lock held. */
static void leave_space(struct watch *w) {
    if (w->space)
        list_del(&w->in_space);
    w->space = NULL;
}

void watch_end(struct watch *w) {
    spin_lock(&all_spaces_lock);
    leave_space(w);
    spin_unlock(&all_spaces_lock);
}

void watches_end(struct space *s) {
    spin_lock(&all_spaces_lock);
    while (!list_empty(&s->watches))
        leave_space(list_first(&s->watches, struct watch, in_space));
    spin_unlock(&all_spaces_lock);
}

struct space *watch_space(struct watch *w) {
    spin_lock(&all_spaces_lock);
    struct space *s = w->space;
    u32 n = s ? atomic_load(&s->references) : 0;
    while (n && !__atomic_compare_exchange_n(&s->references, &n, n + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    spin_unlock(&all_spaces_lock);
    return n ? s : NULL;
}

void watch_each(struct space *s, void (*visit)(struct watch *w, void *argument), void *argument) {
    struct watch *w;
    spin_lock(&all_spaces_lock);
    list_for_each(w, &s->watches, in_space) visit(w, argument);
    spin_unlock(&all_spaces_lock);
}

bool space_is_watched(const struct space *s) { return !list_empty(&s->watches); }

/* ---- why ---- */

static u32 reason_of_object(const struct view *v, struct object *o, u64 index) {
    if (index >= object_pages(o))
        return 0; /* SIGBUS, as ever */
    if (!object_has(o, index))
        return v->watches & WATCH_MISSING;
    struct frame *f = v->watches & WATCH_MINOR ? object_peek(o, index) : NULL;
    if (!f)
        return 0;
    frame_unpin(f);
    return WATCH_MINOR;
}

u32 watch_reason(const struct run *r, u64 page, entry e, enum fault_access access) {
    const struct view *v = r->view;
    struct object *o = view_object(v);
    u32 why = 0;
    if (entry_empty(e) || e == entry_guard())
        why = o ? reason_of_object(v, o, r->offset + (page - r->first)) : v->watches & WATCH_MISSING;
    if (!why && access == FAULT_WRITE && e & ENTRY_GUARDED)
        why = WATCH_GUARDED;
    return why;
}

struct question {
    struct space *s;
    enum fault_access access;
    struct watched what;
    struct view *view; /* with a reference */
};

static long ask(struct walk *w, struct table *t, u64 page, void *argument) {
    struct question *q = argument;
    struct run *r = plan_find(t, page - t->base);
    bool large = t->level == 1 && atomic_load(&t->large);
    if (!r || !r->view->watch || large)
        return 0;
    q->what.why = watch_reason(r, page - t->base, t->level == 1 ? slot_read(&t->slots[page - t->base]) : 0, q->access);
    if (q->what.why && !q->view)
        view_get(q->view = r->view);
    return q->what.why && q->view->watch == r->view->watch;
}

static bool still_unanswered(void *argument) {
    struct question *q = argument;
    return with_table(q->s, q->what.address >> PAGE_SHIFT, ask, q);
}

enum fault_outcome space_await(struct space *s, u64 address, enum fault_access access, bool user) {
    struct question q = {s, access, {address, access == FAULT_WRITE, user, 0}, NULL};
    enum fault_outcome outcome = FAULT_DONE;
    if (still_unanswered(&q))
        outcome = q.view->watch->ops->wait(q.view->watch, &q.what, still_unanswered, &q);
    if (q.view)
        view_put(q.view);
    views_reap();
    return outcome;
}

enum fault_outcome space_fault_waiting(struct space *s, u64 address, enum fault_access access) {
    enum fault_outcome outcome = FAULT_WATCHED, waited = FAULT_DONE;
    while (outcome == FAULT_WATCHED && waited == FAULT_DONE) {
        outcome = space_fault(s, address, access);
        if (outcome == FAULT_WATCHED)
            waited = space_await(s, address, access, false);
    }
    return waited == FAULT_DONE ? outcome : waited;
}

/* ---- watching ---- */

static bool can_be_watched(const struct view *v) {
    const struct object *o = view_object(v);
    return !(v->flags & VIEW_SPECIAL) && (!o || !(o->ops->fill || o->ops->device));
}

/* The first piece of [first, end), with a reference on its view. range held. */
static bool next_piece(struct space *s, u64 first, u64 end, struct piece *p) {
    space_close(s);
    bool found = first < end && piece_next(s, first, p) && p->first < end;
    if (found)
        view_get(p->view);
    space_open(s);
    p->end = found ? min(p->end, end) : 0;
    return found;
}

/* Every piece of it, until one is refused. -EINVAL: there is none. */
static int each_piece(struct space *s, u64 first, u64 end,
                      int (*visit)(struct space *s, const struct piece *p, void *a), void *argument) {
    struct piece p;
    int error = -EINVAL;
    for (bool more = next_piece(s, first, end, &p); more; more = !error && next_piece(s, p.end, end, &p)) {
        error = visit(s, &p, argument);
        view_put(p.view);
    }
    return error;
}

struct watching {
    struct watch *w;
    u32 modes;
};

static int may_watch(struct space *s, const struct piece *p, void *argument) {
    const struct watching *to = argument;
    if (!can_be_watched(p->view) || (to->modes & WATCH_MINOR && !view_object(p->view)))
        return -EINVAL;
    if (!(p->view->max_prot & VIEW_WRITE))
        return -EPERM;
    return p->view->watch && p->view->watch != to->w ? -EBUSY : 0;
}

static int may_unwatch(struct space *s, const struct piece *p, void *argument) {
    return can_be_watched(p->view) ? 0 : -EINVAL;
}

static void unguard_slots(struct space *s, struct table *t, unsigned first, unsigned end) {
    spin_lock(&t->lock);
    for (unsigned i = max(first, (unsigned)t->lo); i < min(end, (unsigned)t->hi); i++) {
        entry e = slot_read(&t->slots[i]);
        if (e == entry_guard()) {
            slot_store(&t->slots[i], 0);
            leaf_count(t, e, -1);
        } else if (e & ENTRY_GUARDED) {
            slot_clear_bits(&t->slots[i], ENTRY_GUARDED); /* no flush: a fault gives what may be written */
        }
    }
    spin_unlock(&t->lock);
}

/* Guards go first: a guarded slot is always watched. */
static int watch_part(struct space *s, const struct piece *p, void *argument) {
    const struct watching *to = argument;
    int error = 0;
    if (p->view->watch == to->w && p->view->watches == to->modes)
        return 0;
    if (p->view->watches & WATCH_GUARDED && !(to->modes & WATCH_GUARDED))
        error = leaves_change(s, p->first, p->end, false, unguard_slots);
    if (!error)
        error = space_review(s, p->first, p->end,
                             (struct view_change){.rewatch = true, .watch = to->w, .watches = to->modes});
    return error;
}

static int unwatch_part(struct space *s, const struct piece *p, void *argument) {
    struct watch *only = argument;
    if (!p->view->watch || (only && p->view->watch != only))
        return 0;
    return watch_part(s, p, &(struct watching){NULL, 0});
}

int space_watch(struct space *s, u64 address, u64 bytes, struct watch *w, u32 modes) {
    u64 first = address >> PAGE_SHIFT, end = first + (bytes >> PAGE_SHIFT);
    struct watching to = {w, modes};
    mutex_lock(&s->range);
    int error = each_piece(s, first, end, may_watch, &to);
    if (!error)
        error = each_piece(s, first, end, watch_part, &to);
    mutex_unlock(&s->range);
    views_reap();
    return error;
}

int space_unwatch(struct space *s, u64 address, u64 bytes) {
    u64 first = address >> PAGE_SHIFT, end = first + (bytes >> PAGE_SHIFT);
    mutex_lock(&s->range);
    int error = each_piece(s, first, end, may_unwatch, NULL);
    if (!error)
        error = each_piece(s, first, end, unwatch_part, NULL);
    mutex_unlock(&s->range);
    views_reap();
    return error;
}

int space_forget_watch(struct space *s, struct watch *w) {
    mutex_lock(&s->range);
    int error = each_piece(s, 0, USER_PAGES, unwatch_part, w);
    mutex_unlock(&s->range);
    views_reap();
    return error == -EINVAL ? 0 : error; /* nothing is mapped */
}

int watch_fork(struct space *child, const struct piece *p) {
    struct watch *old = p->view->watch, *w = old->ops->fork(old, child);
    int error = is_err(w) ? ptr_err(w) : 0;
    if (!error)
        error = watch_part(child, p, &(struct watching){w, w ? p->view->watches : 0});
    if (w && !is_err(w))
        w->ops->put(w);
    return error;
}

/* ---- answers ---- */

/* The one mapping that has [address, address + bytes), if it is watched, with a reference. range held. */
static struct view *one_mapping(struct space *s, u64 address, u64 bytes) {
    struct piece p;
    u64 first = address >> PAGE_SHIFT, end = first + (bytes >> PAGE_SHIFT);
    struct view *v = NULL;
    space_close(s);
    if (joined_next(s, first, &p) && p.first <= first && end <= p.end && p.view->watch)
        view_get(v = p.view);
    space_open(s);
    return v;
}

static bool can_be_supplied(const struct view *v, enum supply how, bool guard) {
    return !(guard && !(v->watches & WATCH_GUARDED)) && !(how == SUPPLY_CACHED && !view_object(v));
}

/* What is supplied goes to the object, for all who map it. */
static bool supplies_object(const struct view *v) { return view_object(v) && (v->flags & VIEW_SHARED); }

int space_may_supply(struct space *s, u64 address, u64 bytes, enum supply how, bool guard, bool *shared) {
    mutex_lock(&s->range);
    struct view *v = one_mapping(s, address, bytes);
    int error = !v ? -ENOENT : can_be_supplied(v, how, guard) ? 0 : -EINVAL;
    mutex_unlock(&s->range);
    if (v) {
        *shared = supplies_object(v);
        view_put(v);
    }
    views_reap();
    return error;
}

struct frame *supply_frame(bool shared, bool zero) {
    return frame_alloc(0, shared ? FRAME_SHMEM : FRAME_ANON, zero ? FRAME_ZEROED : 0);
}

static void guard_slots(struct space *s, struct table *t, unsigned first, unsigned end) {
    bool any = false;
    spin_lock(&t->lock);
    bool object = view_object(plan_find(t, first)->view);
    for (unsigned i = first; i < end; i++) {
        entry e = slot_read(&t->slots[i]);
        if (entry_empty(e) && object) {
            slot_store(&t->slots[i], entry_guard());
            table_used(t, i);
            leaf_count(t, entry_guard(), 1);
        } else if (!entry_empty(e) && !entry_marker(e)) {
            any |= entry_swapped(e) || (entry_present(e) && entry_writable(e)); /* as in withhold_slot */
            if (entry_present(e))
                slot_clear_bits(&t->slots[i], ENTRY_WRITE);
            slot_set_bits(&t->slots[i], ENTRY_GUARDED);
        }
    }
    spin_unlock(&t->lock);
    if (any)
        machine_flush(&s->m, (t->base + first) << PAGE_SHIFT, (t->base + end) << PAGE_SHIFT, false);
}

/* The object gets the page, and all who map it. Its guard comes first, since from then on a fault may show it; if one
 * did, that is as good. */
static int supply_object(struct space *s, u64 page, const struct piece *p, struct frame **frame, bool guard) {
    struct object *o = view_object(p->view);
    int error = p->offset >= object_pages(o) ? -EFAULT : object_has(o, p->offset) ? -EEXIST : 0;
    if (!error && guard)
        error = leaves_change(s, page, page + 1, true, guard_slots);
    if (!error)
        error = object_supply(o, p->offset, *frame);
    if (error)
        return error == -ENODATA ? -EFAULT : error;
    struct frame *pinned = *frame;
    *frame = NULL;
    error = fault_supply(s, page, SUPPLY_CACHED, NULL, guard);
    frame_unpin(pinned);
    return error == -EEXIST ? 0 : error;
}

static int supply_in(struct space *s, u64 page, const struct piece *p, enum supply how, struct frame **frame,
                     bool guard) {
    bool shared = supplies_object(p->view);
    struct frame *blank = NULL;
    if (!p->view->watch)
        return -ENOENT;
    if (!can_be_supplied(p->view, how, guard))
        return -EINVAL;
    if (how == SUPPLY_CACHED)
        return p->offset >= object_pages(view_object(p->view)) ? -EINVAL : fault_supply(s, page, how, NULL, guard);
    if (how == SUPPLY_PAGE && frame_class(*frame) != (shared ? FRAME_SHMEM : FRAME_ANON))
        return -EAGAIN; /* another mapping came */
    if (how == SUPPLY_ZERO && shared) {
        blank = supply_frame(true, true);
        frame = &blank;
    }
    int error = shared && !*frame ? -ENOMEM : 0;
    if (!error && shared)
        error = supply_object(s, page, p, frame, guard);
    else if (!error)
        error = fault_supply(s, page, how, how == SUPPLY_PAGE ? frame : NULL, guard);
    if (blank)
        frame_free(blank, 0);
    return error;
}

int space_supply(struct space *s, u64 address, enum supply how, struct frame **frame, bool guard) {
    u64 page = address >> PAGE_SHIFT;
    struct piece p;
    int error = -ENOENT;
    mutex_lock(&s->range);
    if (next_piece(s, page, page + 1, &p)) {
        error = supply_in(s, page, &p, how, frame, guard);
        view_put(p.view);
    }
    mutex_unlock(&s->range);
    views_reap();
    return error;
}

int space_guard(struct space *s, u64 address, u64 bytes, bool guard) {
    u64 first = address >> PAGE_SHIFT, end = first + (bytes >> PAGE_SHIFT);
    mutex_lock(&s->range);
    struct view *v = one_mapping(s, address, bytes);
    int error = v && v->watches & WATCH_GUARDED ? 0 : -ENOENT;
    if (!error)
        error = leaves_change(s, first, end, guard && view_object(v), guard ? guard_slots : unguard_slots);
    mutex_unlock(&s->range);
    if (v)
        view_put(v);
    views_reap();
    return error;
}
