/* plan.c - the sorted array of runs of one table, and the links from objects to the tables whose plans name them.
 *
 * Runs are sorted, disjoint, not empty, and maximal: no run continues its left neighbour (invariant 7). Each run holds
 * one reference on its view; a link counts the runs of its table that name its object. */
#include "vm/table.h"

#include "vm/slab.h"

unsigned plan_search(struct table *t, u64 page) {
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
static __attribute__((noinline)) void link_add(struct table *t, struct view *view, struct stock *k) {
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

static __attribute__((noinline)) void link_remove(struct table *t, struct view *view) {
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

static inline void run_made(struct table *t, struct view *view, struct stock *k) {
    view_get(view);
    if (view_object(view))
        link_add(t, view, k);
}

static inline void run_gone(struct table *t, struct view *view) {
    if (view_object(view))
        link_remove(t, view);
    view_put(view);
}

/* A place for a run in front of run i. */
static inline void place_open(struct table *t, unsigned i) {
    assert(t->run_count < t->run_room);
    for (struct run *r = &t->runs[t->run_count++]; r > &t->runs[i]; r--)
        r[0] = r[-1];
}

/* The runs [i, j) go. */
static inline void places_close(struct table *t, unsigned i, unsigned j) {
    struct run *to = &t->runs[i], *from = &t->runs[j], *end = &t->runs[t->run_count];
    t->run_count -= j - i;
    while (from < end)
        *to++ = *from++;
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

void plan_put(struct table *t, unsigned i, u64 first, u64 end, struct view *view, u64 offset, struct stock *k) {
    struct run fresh = {first, end, view, view->file ? offset : 0}, *r = &t->runs[i];
    bool left = i > 0 && continues(r - 1, &fresh), right = i < t->run_count && continues(&fresh, r);
    if (left && right) {
        r[-1].end = r->end;
        run_gone(t, view);
        places_close(t, i, i + 1);
    } else if (left) {
        r[-1].end = end;
    } else if (right) {
        r->first = first;
        r->offset = fresh.offset;
    } else {
        run_made(t, view, k);
        place_open(t, i);
        *r = fresh;
    }
}

unsigned plan_cut(struct table *t, unsigned i, u64 first, u64 end) {
    struct run *r = &t->runs[i];
    unsigned j;
    if (r->first < first && r->end > end) { /* one becomes two; its link is there */
        run_made(t, r->view, NULL);
        place_open(t, i);
        r[0].end = first;
        r[1].offset = offset_at(&r[1], end);
        r[1].first = end;
        return i + 1;
    }
    if (r->first < first)
        t->runs[i++].end = first;
    for (j = i; j < t->run_count && t->runs[j].end <= end; j++)
        run_gone(t, t->runs[j].view);
    if (j < t->run_count && t->runs[j].first < end) {
        t->runs[j].offset = offset_at(&t->runs[j], end);
        t->runs[j].first = end;
    }
    if (i < j)
        places_close(t, i, j);
    return i;
}

void plan_set(struct table *t, u64 first, u64 end, struct view *view, u64 offset, struct stock *k) {
    assert(first < end && end <= table_pages(t));
    unsigned i = plan_from(t, first);
    bool over = i < t->run_count && t->runs[i].first < end, linked = over && view && view_object(view);
    if (linked) /* so that an equal view that goes does not take the last link with it */
        run_made(t, view, k);
    if (over)
        i = plan_cut(t, i, first, end);
    if (view)
        plan_put(t, i, first, end, view, offset, k);
    if (linked)
        run_gone(t, view);
}
