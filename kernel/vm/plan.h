/* plan.h - the two edits that a plan is changed by, for plan.c and local.c: inline, since every mmap and every munmap
 * makes one of them. Both with t locked; page numbers are relative to the table. */
#pragma once

#include "vm/table.h"

/* A run that names view's object comes into t's plan, or leaves it. */
void plan_link_add(struct table *t, struct view *view, struct stock *k);
void plan_link_remove(struct table *t, struct view *view);

static inline void run_made(struct table *t, struct view *view, struct stock *k) {
    view_get(view);
    if (view_object(view))
        plan_link_add(t, view, k);
}

static inline void run_gone(struct table *t, struct view *view) {
    if (view_object(view))
        plan_link_remove(t, view);
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

static inline u64 offset_at(const struct run *r, u64 page) { return r->view->file ? r->offset + (page - r->first) : 0; }

static inline bool continues(const struct run *a, const struct run *b) {
    return run_continues(a->view, a->end, a->offset + (a->end - a->first), b->view, b->first, b->offset);
}

/* plan_put: [first, end), a hole in front of run i, shows view: as a run of its own, for which there is room, and which
 * takes a reference (with a file, a link for its object is in the table or in k), or as part of a neighbour. */
static inline __attribute__((always_inline)) void plan_put(struct table *t, unsigned i, u64 first, u64 end,
                                                           struct view *view, u64 offset, struct stock *k) {
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

/* plan_cut: [first, end) becomes a hole, where run i is the first of those that overlap it. Room for 1 more. Returns
 * the index of the first run after the hole. */
static inline __attribute__((always_inline)) unsigned plan_cut(struct table *t, unsigned i, u64 first, u64 end) {
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
