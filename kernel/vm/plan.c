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

struct run *plan_find(struct table *t, u64 page) {
    unsigned i = plan_from(t, page);
    return i < t->run_count && t->runs[i].first <= page ? &t->runs[i] : NULL;
}

bool plan_room(struct table *t, unsigned more, struct stock *k) {
    unsigned need = t->run_count + more;
    if (likely(need <= t->run_room))
        return true;
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
        o->writable_shared++;
    spin_unlock(&o->lock);
}

static void link_remove(struct table *t, struct view *view) {
    struct object *o = view_object(view);
    struct link *l = link_find(t, o);
    assert(l && l->runs > 0);
    spin_lock(&o->lock);
    if (view_counts_as_writer(view))
        o->writable_shared--;
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

static void runs_insert(struct table *t, unsigned at, struct run run) {
    assert(t->run_count < t->run_room);
    memmove(&t->runs[at + 1], &t->runs[at], (t->run_count - at) * sizeof(run));
    t->runs[at] = run;
    t->run_count++;
}

static void runs_erase(struct table *t, unsigned from, unsigned to) {
    memmove(&t->runs[from], &t->runs[to], (t->run_count - to) * sizeof(*t->runs));
    t->run_count -= to - from;
}

/* A run that has `page` strictly inside becomes two that meet there. */
static void split_at(struct table *t, u64 page) {
    unsigned i = plan_from(t, page);
    if (i == t->run_count || t->runs[i].first >= page)
        return;
    struct run left = t->runs[i], right = left;
    left.end = right.first = page;
    if (right.view->file)
        right.offset += page - left.first;
    run_made(t, right.view, NULL); /* the link is there: left names the same object */
    t->runs[i] = left;
    runs_insert(t, i + 1, right);
}

/* Join run i with its right neighbour if that continues it. */
static bool join(struct table *t, unsigned i) {
    if (i + 1 >= t->run_count)
        return false;
    struct run *a = &t->runs[i], *b = a + 1;
    if (!run_continues(a->view, a->end, a->offset + (a->end - a->first), b->view, b->first, b->offset))
        return false;
    a->end = b->end;
    run_gone(t, b->view);
    runs_erase(t, i + 1, i + 2);
    return true;
}

void plan_set(struct table *t, u64 first, u64 end, struct view *view, u64 offset, struct stock *k) {
    assert(first < end && end <= table_pages(t));
    if (view) /* first, so that an equal view that goes does not take the last reference or link with it */
        run_made(t, view, k);
    split_at(t, first);
    split_at(t, end);
    unsigned i = plan_from(t, first), j = i;
    while (j < t->run_count && t->runs[j].first < end)
        run_gone(t, t->runs[j++].view);
    runs_erase(t, i, j);
    if (view) {
        runs_insert(t, i, (struct run){first, end, view, view->file ? offset : 0});
        join(t, i);
        if (i > 0)
            join(t, i - 1);
    }
}

void plan_change(struct table *t, u64 first, u64 end, struct view *(*to)(struct view *, void *), void *argument) {
    split_at(t, first);
    split_at(t, end);
    unsigned i = plan_from(t, first), from = i;
    for (; i < t->run_count && t->runs[i].first < end; i++) {
        struct view *old = t->runs[i].view, *new = to(old, argument);
        if (new == old)
            continue;
        run_made(t, new, NULL); /* the same object: its link is there */
        t->runs[i].view = new;
        run_gone(t, old);
    }
    for (i = from ? from - 1 : 0; i < t->run_count && t->runs[i].first <= end;)
        if (!join(t, i))
            i++;
}
