/* view.h - views: what should appear in a range, without any address. Immutable, counted, interned: equal is the same
 * pointer.
 *
 * struct view itself is in space.h, since /proc reads it. */
#pragma once

#include "vm/space.h"

/* view_intern: the view equal to *proto (its counted part is ignored), with one reference for the caller; takes a
 * reference on the file for as long as the view lives. NULL: out of memory. May sleep (allocation): no spin lock held.
 */
struct view *view_intern(const struct view *proto);
/* view_find: the same if it is there already; else NULL. Does not sleep. */
struct view *view_find(const struct view *proto);
static inline void view_get(struct view *v) { atomic_add(&v->references, 1); }
/* view_put: drop one reference. Never sleeps, may be called with table locks held: a view that nobody names is put
 * aside. */
void view_put_last(struct view *v); /* what view_put does when it may be the last */
static inline void view_put(struct view *v) {
    u32 n = atomic_load_relaxed(&v->references);
    if (unlikely(n <= 1 || !atomic_cas(&v->references, n, n - 1)))
        view_put_last(v);
}
/* views_reap: free what view_put put aside, which may close files: every operation calls it last, with no lock held. */
extern struct view *views_aside;
void views_reap_now(void);
static inline void views_reap(void) {
    if (unlikely(atomic_load(&views_aside) != NULL))
        views_reap_now();
}
u64 view_count(void); /* those that somebody names; frees the idle ones */
void view_each(void (*visit)(struct view *v, void *argument), void *argument); /* the checker's; the machine is quiet */
static inline struct object *view_object(const struct view *v) { return v->file ? v->file->object : NULL; }
/* view_of_device: what a debugger reaches only as far as its protection goes. The vdso is not meant: that is the
 * kernel's own code, shown like a device, and a breakpoint in it goes into a copy. */
static inline bool view_of_device(const struct view *v) {
    const struct object *o = view_object(v);
    return o && o->ops->device && !(v->flags & VIEW_SPECIAL && v->max_prot & VIEW_WRITE);
}
static inline unsigned view_key(const struct view *v) { return (v->flags & VIEW_KEY) >> VIEW_KEY_SHIFT; }
static inline bool view_counts_as_writer(const struct view *v) {
    return v->file && (v->flags & VIEW_SHARED) && (v->max_prot & VIEW_WRITE);
}
