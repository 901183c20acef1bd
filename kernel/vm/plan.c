/* plan.c - the sorted array of runs of one table, and the links from objects to the tables whose plans name them.
 *
 * Runs are sorted, disjoint, not empty, and maximal: no run continues its left neighbour (invariant 7). Each run holds
 * one reference on its view; a link counts the runs of its table that name its object. */
#include "vm/plan.h"

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

void plan_link_add(struct table *t, struct view *view, struct stock *k) {
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

void plan_link_remove(struct table *t, struct view *view) {
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

void plan_append(struct table *t, u64 first, u64 end, struct view *view, u64 offset, struct stock *k) {
    assert(t->run_count < t->run_room);
    run_made(t, view, k);
    t->runs[t->run_count++] = (struct run){first, end, view, view->file ? offset : 0};
}

/* As a new one, of t: who visits the object's mappings just now comes to t too. */
static void link_renew(struct link *l, struct table *t) {
    struct object *o = l->object;
    spin_lock(&o->lock);
    l->table = t;
    l->pass = 0;
    list_del(&l->in_object);
    list_add(&o->mappings, &l->in_object);
    spin_unlock(&o->lock);
}

void plan_visit_again(struct table *t, const struct object *o) { link_renew(link_find(t, o), t); }

static void links_hand_down(struct table *t, struct table *lower) {
    while (!list_empty(&t->links)) {
        struct link *l = list_first(&t->links, struct link, in_table);
        link_renew(l, lower);
        list_del(&l->in_table);
        list_add(&lower->links, &l->in_table);
    }
}

void plan_hand_down(struct table *t, struct table *lower) {
    u64 below = lower->base - t->base;
    assert(lower->run_count == 0 && lower->runs == lower->few);
    if (t->runs != t->few) {
        lower->runs = t->runs;
        lower->run_room = t->run_room;
        t->runs = t->few;
        t->run_room = array_count(t->few);
    } else {
        memcpy(lower->few, t->few, sizeof(t->few));
    }
    lower->run_count = t->run_count;
    t->run_count = 0;
    for (struct run *r = lower->runs; r < lower->runs + lower->run_count; r++) {
        r->first -= below;
        r->end -= below;
    }
    links_hand_down(t, lower);
}

void plan_clear(struct table *t) {
    for (unsigned i = 0; i < t->run_count; i++)
        run_gone(t, t->runs[i].view);
    t->run_count = 0;
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
