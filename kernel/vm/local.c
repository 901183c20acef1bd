/* local.c - range operations within one plan, as most are.
 *
 * There one table, the deepest on the path, has in its plan all that there is to see and to change, the neighbours too,
 * and no table below:
 *
 *     plan       AAAAA..BBBCC.....D        the runs are maximal, so that the number of mappings changes
 *     operation         ^^^^^^^            as the number of runs does, and need not be foretold
 *
 * The path is exclusive, or it is not local: nobody else changes such a plan while the space is closed, so it is read
 * without its lock, which only orders the change against reverse maps. As in range.c, whatever may fail comes before
 * the first change; and what is not local has changed nothing, and is done there. */
#include "vm/commit.h"
#include "vm/inner.h"
#include "vm/plan.h"

struct local {
    struct space *s;
    struct table *t;
    u64 first, end; /* pages, relative to t */
    unsigned at;    /* in its plan: the first run that ends after `first` */
};

#define PLAN_LONG 128u /* range.c moves part of such a plan into a table of its own */

/* The deepest table on the page's path; NULL: the path is not exclusive. */
static inline struct table *deepest(struct space *s, u64 page) {
    struct table *t = s->root;
#pragma GCC unroll 3
    for (unsigned level = TABLE_LEVELS; level > 1; level--) {
        entry e = slot_read(&t->slots[slot_index(page, level)]);
        if (!entry_is_table(e))
            break;
        if (!entry_writable(e))
            return NULL;
        t = table_of_entry(e);
    }
    return t;
}

/* The neighbours and all between them lie in t, and no slot of t that has a page of [first - 1, end] leads to a table.
 */
static inline bool has_all(const struct table *t, u64 first, u64 end) {
    unsigned shift = 9 * (t->level - 1);
    u64 i = (first - 1) >> shift, j = end >> shift; /* i > j: first is 0 */
    if (i > j || j >= TABLE_SLOTS)
        return false;
    if (t->level == 1)
        return true;
    return t->run_count < PLAN_LONG && (i == j ? !(t->below[i / 64] >> (i % 64) & 1) : table_next(t, i) > j);
}

/* If the operation is local: closes the space. */
static inline __attribute__((always_inline)) bool local_begin(struct local *l, struct space *s, u64 first, u64 end) {
    space_close_inline(s);
    struct table *t = deepest(s, first);
    bool local = t && has_all(t, first - t->base, end - t->base) && s->mappings + 2 <= vm_max_map_count;
    if (local)
        *l = (struct local){s, t, first - t->base, end - t->base, plan_from(t, first - t->base)};
    else
        space_open(s);
    return local;
}

static bool has_room(const struct local *l, unsigned more) { return l->t->run_count + more <= l->t->run_room; }

static void flush(const struct local *l, bool tables) {
    u64 base = l->t->base;
    machine_flush(&l->s->m, (base + l->first) << PAGE_SHIFT, (base + l->end) << PAGE_SHIFT, tables);
    event(EVENT_FLUSH, (base + l->first) << PAGE_SHIFT, 1);
}

/* ---- map ---- */

/* What the plan lacks for another run; k: a stock that may have it. */
static inline bool fits(const struct local *l, const struct view *view, struct stock *k) {
    struct table *t = l->t;
    bool room = has_room(l, 1) || (k && plan_room(t, 1, k));
    bool linked = !view_object(view) || plan_has_link(t, view_object(view)) || (k && stock_has(k, 0, 1, 0));
    return room && linked;
}

/* [first, end) is a hole, and the plan has room. */
static inline __attribute__((always_inline)) int map(struct local *l, struct view *view, u64 offset, struct stock *k) {
    struct space *s = l->s;
    struct table *t = l->t;
    s64 pages = l->end - l->first;
    if ((view->flags & VIEW_ACCOUNT) && !commit_charge(s, pages))
        return -ENOMEM;
    s->mappings -= t->run_count;
    spin_lock(&t->lock);
    plan_put(t, l->at, l->first, l->end, view, offset, k);
    spin_unlock(&t->lock);
    s->mappings += t->run_count;
    tally_add(&s->sum, view, pages);
    s->peak_total = max(s->peak_total, (u64)s->sum.total);
    gap_taken(s, t->base + l->first, t->base + l->end, view);
    return 0;
}

static inline bool is_hole(const struct local *l) {
    return l->at == l->t->run_count || l->t->runs[l->at].first >= l->end;
}

/* The same, with what the plan lacks (more_runs: an array of so many); that is allocated with the space open. */
static __attribute__((noinline)) int map_with_stock(struct space *s, u64 first, u64 end, struct view *view, u64 offset,
                                                    unsigned more_runs) {
    struct stock k = {.want_links = view_object(view) != NULL, .want_runs = more_runs};
    struct local l;
    bool again = true, mapped = false;
    int error = 0;
    while (again && !(error = stock_fill(&k)) && local_begin(&l, s, first, end)) {
        bool hole = is_hole(&l);
        spin_lock(&l.t->lock);
        mapped = hole && fits(&l, view, &k);
        spin_unlock(&l.t->lock);
        again = hole && !mapped;
        if (mapped)
            error = map(&l, view, offset, &k);
        space_open(s);
    }
    stock_empty(&k);
    return error || mapped ? error : replace_far(s, first, end, view, offset);
}

int space_replace(struct space *s, u64 first, u64 end, struct view *view, u64 offset) {
    struct local l;
    assert(first < end && end <= USER_PAGES);
    if (!local_begin(&l, s, first, end))
        return replace_far(s, first, end, view, offset);
    if (unlikely(!is_hole(&l))) {
        space_open(s);
        return replace_far(s, first, end, view, offset);
    }
    if (unlikely(!fits(&l, view, NULL))) {
        unsigned more_runs = has_room(&l, 1) ? 0 : l.t->run_count + 1;
        space_open(s);
        return map_with_stock(s, first, end, view, offset, more_runs);
    }
    int error = map(&l, view, offset, NULL);
    space_open_inline(s);
    return error;
}

/* ---- unmap ---- */

/* Everything in t goes, so it leaves whole, and with it every table above that is left with nothing. */
static __attribute__((noinline)) struct table *fold(struct space *s, u64 page) {
    struct walk w;
    walk_down(s, page, &w);
    u64 base = w.table[w.level]->base;
    unsigned level = w.level + 1, slot = slot_index(base, level);
    while (level < TABLE_LEVELS && w.table[level]->run_count == 0 && table_next(w.table[level], 0) == slot &&
           table_next(w.table[level], slot + 1) == TABLE_SLOTS)
        slot = slot_index(base, ++level);
    struct table *t = w.table[level];
    spin_lock(&t->lock);
    struct table *gone = table_unpoint(t, slot);
    spin_unlock(&t->lock);
    event(EVENT_TABLE_FOLDED, base << PAGE_SHIFT, 1);
    return gone;
}

/* What the range holds goes. Returns the index of the first run after it. */
static inline unsigned cut(const struct local *l) {
    struct table *t = l->t;
    bool holds = t->level == 1 && l->first < t->hi && l->end > t->lo; /* perhaps: some slot is not empty */
    spin_lock(&t->lock);
    unsigned i = plan_cut(t, l->at, l->first, l->end);
    bool shown = holds && slots_withhold(t, l->first, l->end);
    spin_unlock(&t->lock);
    if (shown)
        flush(l, false);
    if (holds) /* also without a flush: what was withheld before left no trace in any TLB */
        slots_sweep(t, l->first, l->end);
    return i;
}

static bool takes_all(const struct local *l) {
    const struct table *t = l->t;
    return t->runs[0].first >= l->first && t->runs[t->run_count - 1].end <= l->end && !t->below_words &&
           t->level < TABLE_LEVELS;
}

/* Something overlaps the range. Returns the table that leaves, if any: to be dropped with the space open. */
static inline struct table *unmap(const struct local *l) {
    struct space *s = l->s;
    struct table *t = l->t, *gone = NULL;
    struct run *r = &t->runs[l->at], *end = &t->runs[t->run_count];
    s64 committed = s->sum.committed;
    bool left = false;
    struct view *right = NULL;
    for (; r < end && r->first < l->end; r++)
        tally_add(&s->sum, r->view, max(r->first, l->first) - min(r->end, l->end));
    commit_add(s->sum.committed - committed);
    s->mappings -= t->run_count;
    if (unlikely(takes_all(l))) {
        gone = fold(s, t->base + l->first);
        flush(l, true);
    } else {
        unsigned i = cut(l);
        s->mappings += t->run_count;
        left = i > 0 && t->runs[i - 1].end == l->first;
        right = i < t->run_count && t->runs[i].first == l->end ? t->runs[i].view : NULL;
    }
    gap_freed(s, t->base + l->first, t->base + l->end, left, right);
    return gone;
}

int space_clear(struct space *s, u64 first, u64 end) {
    struct local l;
    struct table *gone = NULL;
    assert(first < end && end <= USER_PAGES);
    if (end - first >= SAMPLE_PAGES || !local_begin(&l, s, first, end))
        return replace_far(s, first, end, NULL, 0);
    const struct run *r = &l.t->runs[l.at];
    bool mapped = l.at < l.t->run_count && r->first < l.end;
    bool fits = !(mapped && r->first < l.first && r->end > l.end) || has_room(&l, 1); /* else it becomes two */
    if (mapped && likely(fits))
        gone = unmap(&l);
    space_open_inline(s);
    if (unlikely(gone != NULL))
        table_drop(gone);
    return likely(fits) ? 0 : replace_far(s, first, end, NULL, 0);
}

/* ---- review ---- */

static bool may_review(const struct local *l, struct view_change change) {
    const struct table *t = l->t;
    const struct run *r = &t->runs[l->at];
    return l->at < t->run_count && r->first <= l->first && l->end <= r->end && has_room(l, 2) &&
           !(change.set & VIEW_PROT & ~r->view->max_prot);
}

static void review(struct local *l, const struct run *r, struct view *after) {
    struct table *t = l->t;
    unsigned runs = t->run_count;
    spin_lock(&t->lock);
    if (after->file)
        plan_set(t, l->first, l->end, after, r->offset + (l->first - r->first), NULL);
    else
        plan_put(t, plan_cut(t, l->at, l->first, l->end), l->first, l->end, after, 0, NULL);
    bool lowered = t->level == 1 && slots_review(t, l->first, l->end, after);
    spin_unlock(&t->lock);
    if (lowered)
        flush(l, false);
    l->s->mappings += (s64)t->run_count - runs;
}

/* The totals as they will be; false: that is more data, or more promised, than may be, and they are as they were. */
static bool account(struct space *s, const struct view *before, const struct view *after, s64 pages) {
    s64 data = s->sum.data, committed = s->sum.committed;
    tally_add(&s->sum, before, -pages);
    tally_add(&s->sum, after, pages);
    s64 more = s->sum.committed - committed;
    bool allowed = s->sum.data <= data || (u64)s->sum.data << PAGE_SHIFT <= s->limits.data;
    if (allowed && more > 0)
        allowed = commit_charge(s, more);
    else if (allowed)
        commit_add(more);
    if (!allowed) {
        tally_add(&s->sum, after, -pages);
        tally_add(&s->sum, before, pages);
    }
    return allowed;
}

/* The same, with the view that comes, which was not there: it is made with the space open, and then there is one. */
static __attribute__((noinline)) int review_with_view(struct space *s, u64 first, u64 end, struct view_change change,
                                                      const struct view *proto) {
    struct view *view = view_intern(proto);
    int result = view ? space_review(s, first, end, change) : -ENOMEM;
    if (view)
        view_put(view);
    return result;
}

int space_review(struct space *s, u64 first, u64 end, struct view_change change) {
    struct local l;
    int error = 0;
    if (!local_begin(&l, s, first, end))
        return review_far(s, first, end, change);
    if (!may_review(&l, change)) {
        space_open(s);
        return review_far(s, first, end, change);
    }
    struct run r = l.t->runs[l.at];
    struct view proto = view_changed(r.view, change), *after = view_find(&proto);
    if (after && after != r.view && !account(s, r.view, after, end - first))
        error = -ENOMEM;
    else if (after && after != r.view)
        review(&l, &r, after);
    space_open(s);
    if (!after)
        return review_with_view(s, first, end, change, &proto);
    view_put(after);
    return error;
}
