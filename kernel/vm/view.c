/* view.c - the table of interned views.
 *
 * A view is found by hash of its value under its bucket's lock. The last reference is dropped under that lock too,
 * which takes the view out of the table: so a view in the table has references > 0, and one outside is nobody's.
 * Freeing may close a file, which sleeps; so the dropper only puts it on views_aside, and views_reap, called without
 * locks, frees it.
 *
 * One view without a file or watch may stay in each bucket though nobody names it, the last that was let go: for
 * whoever wants it next (mprotect to and fro, a thread's stack and its guard). */
#include "vm/view.h"

#include "vm/slab.h"
#include "vm/watch.h"

#define BUCKETS 256u

static struct bucket {
    struct spin lock; /* protects the chain, and the step of references to 0 */
    struct view *first;
    struct view *idle; /* in the chain too, without references; or NULL */
} buckets[BUCKETS];

static struct spin aside_lock = SPIN_INIT; /* protects aside; taken inside a bucket's lock */
struct view *views_aside;                  /* views without references, linked by next */
static u64 live;                           /* atomic */

static inline u32 hash_of(const struct view *v) {
    u64 h = (u64)(uintptr_t)v->file ^ (u64)(uintptr_t)v->name * 31 ^ (u64)(uintptr_t)v->watch;
    h = (h ^ v->flags ^ ((u64)v->max_prot << 32)) * 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio (Knuth, TAOCP 6.4) */
    return (u32)(h >> 40);
}

static bool same(const struct view *a, const struct view *b) {
    return a->flags == b->flags && a->max_prot == b->max_prot && a->file == b->file && a->name == b->name &&
           a->watch == b->watch && a->watches == b->watches;
}

static inline struct view *find_in(struct bucket *b, const struct view *proto) {
    struct view *v = b->first;
    while (v && !same(v, proto))
        v = v->next;
    if (v)
        view_get(v);
    if (v == b->idle)
        b->idle = NULL;
    return v;
}

static void unlink_from(struct bucket *b, struct view *v) {
    struct view **link = &b->first;
    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
}

/* b->lock held. */
static void drop_idle(struct bucket *b) {
    if (!b->idle)
        return;
    unlink_from(b, b->idle);
    kfree(b->idle);
    b->idle = NULL;
    atomic_sub(&live, 1);
}

struct view *view_find(const struct view *proto) {
    struct bucket *b = &buckets[hash_of(proto) % BUCKETS];
    spin_lock(&b->lock);
    struct view *found = find_in(b, proto);
    spin_unlock(&b->lock);
    return found;
}

struct view *view_intern(const struct view *proto) {
    struct view *found = view_find(proto);
    if (found)
        return found;
    struct view *fresh = kmalloc(sizeof(*fresh));
    if (!fresh)
        return NULL;
    u32 hash = hash_of(proto);
    struct bucket *b = &buckets[hash % BUCKETS];
    *fresh = *proto;
    fresh->at_once = proto->watch ? 0 : proto->flags;
    fresh->hash = hash;
    fresh->references = 1;
    spin_lock(&b->lock);
    found = find_in(b, proto); /* another CPU may have made it while we allocated */
    if (!found) {
        fresh->next = b->first;
        b->first = fresh;
    }
    spin_unlock(&b->lock);
    if (found) {
        kfree(fresh);
        return found;
    }
    if (fresh->file)
        fresh->file->ops->get(fresh->file);
    if (fresh->watch)
        fresh->watch->ops->get(fresh->watch);
    atomic_add(&live, 1);
    return fresh;
}

/* b->lock held; nobody names v any more. */
static void let_go(struct bucket *b, struct view *v) {
    if (!v->file && !v->watch) {
        drop_idle(b);
        b->idle = v;
        return;
    }
    unlink_from(b, v);
    spin_lock(&aside_lock);
    v->next = views_aside;
    atomic_store(&views_aside, v);
    spin_unlock(&aside_lock);
}

void view_put_last(struct view *v) {
    u32 n = atomic_load_relaxed(&v->references);
    while (n > 1)
        if (__atomic_compare_exchange_n(&v->references, &n, n - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return;
    struct bucket *b = &buckets[v->hash % BUCKETS];
    spin_lock(&b->lock);
    if (atomic_sub(&v->references, 1) == 0)
        let_go(b, v);
    spin_unlock(&b->lock);
}

void views_reap_now(void) {
    spin_lock(&aside_lock);
    struct view *v = views_aside;
    atomic_store(&views_aside, NULL);
    spin_unlock(&aside_lock);
    while (v) {
        struct view *next = v->next;
        if (v->file)
            v->file->ops->put(v->file);
        if (v->watch)
            v->watch->ops->put(v->watch);
        kfree(v);
        atomic_sub(&live, 1);
        v = next;
    }
}

/* The idle ones do not count. */
u64 view_count(void) {
    for (unsigned i = 0; i < BUCKETS; i++) {
        spin_lock(&buckets[i].lock);
        drop_idle(&buckets[i]);
        spin_unlock(&buckets[i].lock);
    }
    return atomic_load(&live);
}

void view_each(void (*visit)(struct view *v, void *argument), void *argument) {
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct view *v = buckets[i].first; v; v = v->next)
            visit(v, argument);
}
