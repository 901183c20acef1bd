/* plan.c - the sorted array of runs of one table, and the links from objects to the tables whose plans name them.
 *
 * Runs are sorted, disjoint, not empty, and maximal: no run continues its left neighbour (invariant 7). Each run holds
 * one reference on its view; a link counts the runs of its table that name its object. */
#include "vm/table.h"

#include "vm/slab.h"

unsigned plan_from(struct table *t, u64 page) {
    unsigned lo = 0, hi = t->run_count;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (t->runs[mid].end > page)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

bool plan_grow(struct table *t, unsigned more, struct stock *k) {
    unsigned need = t->run_count + more;
    if (k->runs_room < need) {
        k->want_runs = max(k->want_runs, need);
        return false;
    }
    struct run *old = t->runs;
    memcpy(k->runs, old, t->run_count * sizeof(*old));
    t->runs = k->runs;
    t->run_room = k->runs_room;
    k->runs = NULL;
    k->runs_room = 0;
    if (old != t->few)
        kfree(old);
    return true;
}

static struct link *link_find(const struct table *t, const struct object *o) {
    struct link *l;
    list_for_each(l, &t->links, in_table) {
        if (l->object == o)
            return l;
    }
    return NULL;
}

bool plan_has_link(const struct table *t, const struct object *o) { return link_find(t, o) != NULL; }

/* A run that names view's object comes into t's plan. */
static void link_add(struct table *t, struct view *view, struct stock *k) {
    struct object *o = view_object(view);
    struct link *l = link_find(t, o);
    spin_lock(&o->lock);
    if (!l) {
        assert(k && k->links);
        l = k->links;
        k->links = l->next;
        k->link_count--;
        *l = (struct link){.object = o, .table = t};
        list_add(&o->mappings, &l->in_object);
        list_add(&t->links, &l->in_table);
    }
    l->runs++;
    if (view_counts_as_writer(view))
        atomic_hint_add(&o->writable_shared, 1);
    spin_unlock(&o->lock);
}

static void link_remove(struct table *t, struct view *view) {
    struct object *o = view_object(view);
    struct link *l = link_find(t, o);
    assert(l && l->runs > 0);
    spin_lock(&o->lock);
    if (view_counts_as_writer(view))
        atomic_hint_add(&o->writable_shared, -1);
    bool last = --l->runs == 0;
    if (last)
        list_del(&l->in_object);
    spin_unlock(&o->lock);
    if (last) {
        list_del(&l->in_table);
        kfree(l);
    }
}

static void run_made(struct table *t, struct view *view, struct stock *k) {
    view_get(view);
    if (view->file)
        link_add(t, view, k);
}

static void run_gone(struct table *t, struct view *view) {
    if (view->file)
        link_remove(t, view);
    view_put(view);
}

/* The runs [from, to) become `count` others, which the caller fills in. */
static void runs_replace(struct table *t, unsigned from, unsigned to, unsigned count) {
    assert(t->run_count - (to - from) + count <= t->run_room);
    struct run *runs = t->runs;
    if (from + count < to)
        for (unsigned i = to; i < t->run_count; i++)
            runs[from + count + (i - to)] = runs[i];
    else if (from + count > to)
        for (unsigned i = t->run_count; i-- > to;)
            runs[from + count + (i - to)] = runs[i];
    t->run_count += count - (to - from);
}

static u64 offset_at(const struct run *r, u64 page) { return r->view->file ? r->offset + (page - r->first) : 0; }

static bool continues(const struct run *a, const struct run *b) {
    return run_continues(a->view, a->end, a->offset + (a->end - a->first), b->view, b->first, b->offset);
}

void plan_append(struct table *t, u64 first, u64 end, struct view *view, u64 offset, struct stock *k) {
    assert(t->run_count < t->run_room);
    run_made(t, view, k);
    t->runs[t->run_count++] = (struct run){first, end, view, view->file ? offset : 0};
}

void plan_clear(struct table *t) {
    for (unsigned i = 0; i < t->run_count; i++)
        run_gone(t, t->runs[i].view);
    t->run_count = 0;
}

/* Room for a run in [first, end), where run *at is the first that overlaps: what lies outside stays, cut; the runs
 * [*at, returned) are gone, but for their places. */
static unsigned cut_out(struct table *t, unsigned *at, u64 first, u64 end) {
    unsigned i = *at, j;
    struct run *r = &t->runs[i];
    if (r->first < first && r->end > end) { /* one becomes two; its link is there */
        run_made(t, r->view, NULL);
        runs_replace(t, i, i, 1);
        r[0].end = first;
        r[1].offset = offset_at(&r[1], end);
        r[1].first = end;
        return *at = i + 1;
    }
    if (r->first < first)
        t->runs[i++].end = first;
    for (j = i; j < t->run_count && t->runs[j].end <= end; j++)
        run_gone(t, t->runs[j].view);
    if (j < t->run_count && t->runs[j].first < end) {
        t->runs[j].offset = offset_at(&t->runs[j], end);
        t->runs[j].first = end;
    }
    *at = i;
    return j;
}

void plan_set(struct table *t, u64 first, u64 end, struct view *view, u64 offset, struct stock *k) {
    assert(first < end && end <= table_pages(t));
    struct run fresh = {first, end, view, offset};
    unsigned i = plan_from(t, first), j = i;
    if (view) /* first, so that an equal view that goes does not take the last reference or link with it */
        run_made(t, view, k);
    if (i < t->run_count && t->runs[i].first < end)
        j = cut_out(t, &i, first, end);
    if (view && !view->file)
        fresh.offset = 0;
    if (view && i > 0 && continues(&t->runs[i - 1], &fresh)) {
        fresh.first = t->runs[--i].first;
        fresh.offset = t->runs[i].offset;
        run_gone(t, view);
    }
    if (view && j < t->run_count && continues(&fresh, &t->runs[j])) {
        fresh.end = t->runs[j++].end;
        run_gone(t, view);
    }
    runs_replace(t, i, j, view != NULL);
    if (view)
        t->runs[i] = fresh;
}
