/* writeback.c - dirty pages of files go to their backend without being asked (writeback.h).
 *
 *   objects with dirty pages, the one that has been so longest first:   [ o, 12 s ] [ o, 3 s ] [ o, new ]
 *
 * An object is due when its first dirty page is older than it may be, when more pages are dirty than the background
 * threshold, or when memory is short; it is written as a whole, and leaves the list with its last dirty page. One that
 * could not be written, or that somebody else is busy with, goes to the end as if it were new.
 *
 * Time is the flusher's: a new object gets the time of its next look, for which the first of them wakes it.
 *
 * Who waits here waits for passes of the flusher, never for an outcome; and if one pass over all objects brought
 * nothing (the backend is full, say), nobody waits and nothing is tried for a second, unless somebody would be killed
 * for memory otherwise (writeback_insist). The flusher only tries an object's mutex: who holds that may be waiting for
 * memory.
 *
 * Lock: writeback.lock, inside an object's (docs/locks.md). */
#include "vm/writeback.h"

#include "vm/event.h"
#include "vm/frame.h"
#include "vm/machine.h"
#include "vm/object_inner.h"

#define RETRY_NS 1000000000ULL /* after a pass over all objects that brought nothing */

static struct {
    struct spin lock;
    struct list objects;  /* [l] */
    u64 count;            /* [l] of them */
    u64 pages;            /* atomic */
    u64 background, most; /* atomic: thresholds, in pages; 0: not computed yet */
    u64 passes;           /* atomic */
    u64 now;              /* [l] of the last look */
    u64 vain;             /* [l] passes in a row that brought nothing */
    u64 stuck_since;      /* [l] */
    u64 defeats;          /* atomic: how often all of them brought nothing */
    bool fresh;           /* atomic: an object has no time yet */
    bool asked;           /* atomic: memory is short */
    bool stuck;           /* atomic: the last pass over all of them brought nothing */
    bool busy;            /* atomic: in the passes that brought nothing, somebody else was at one */
    bool there;           /* atomic: the flusher is */
} writeback = {.objects = LIST_INIT(writeback.objects)};
struct waitq writeback_waits = WAITQ_INIT(writeback_waits), writeback_passes = WAITQ_INIT(writeback_passes);

struct writeback_limits writeback_limits = {.background_ratio = 10, .ratio = 20, .expire_ns = 30000000000ULL};

u64 writeback_pages(void) { return atomic_load_relaxed(&writeback.pages); }
u64 writeback_seen(void) { return atomic_load(&writeback.passes); }

void writeback_thresholds(u64 *background, u64 *most) {
    *background = atomic_load_relaxed(&writeback.background);
    *most = atomic_load_relaxed(&writeback.most);
}

static u64 threshold(u64 ratio, u64 bytes, u64 pages) {
    return max(bytes ? bytes >> PAGE_SHIFT : pages * ratio / 100, (u64)1);
}

static void compute_thresholds(void) {
    struct frame_totals t;
    frame_totals(&t);
    u64 pages = t.frames[FRAME_FREE] + t.frames[FRAME_FILE];
    const struct writeback_limits *l = &writeback_limits;
    u64 most = threshold(l->ratio, l->bytes, pages),
        background = threshold(l->background_ratio, l->background_bytes, pages);
    atomic_store_relaxed(&writeback.most, most);
    atomic_store_relaxed(&writeback.background, min(background, max(most / 2, (u64)1)));
}

/* ---- what becomes dirty, and clean ---- */

/* writeback.lock held. */
static void enlist(struct object *o) {
    o->dirty_since = 0;
    list_add_tail(&writeback.objects, &o->in_writeback);
    writeback.count++;
    atomic_store(&writeback.fresh, true);
}

static void strike(struct object *o) {
    list_del(&o->in_writeback);
    writeback.count--;
}

void writeback_count(struct object *o, int by) {
    bool first = !o->dirty;
    atomic_hint_add(&o->dirty, by);
    u64 pages = atomic_add(&writeback.pages, (u64)(s64)by);
    if (first || !o->dirty) {
        spin_lock(&writeback.lock);
        if (first)
            enlist(o);
        else
            strike(o);
        spin_unlock(&writeback.lock);
    }
    if (by > 0 && (first || pages > atomic_load_relaxed(&writeback.background)))
        waitq_wake_all(&writeback_waits);
}

/* ---- the flusher ---- */

static bool many(void) {
    return atomic_load_relaxed(&writeback.asked) ||
           atomic_load_relaxed(&writeback.pages) > atomic_load_relaxed(&writeback.background);
}

bool writeback_wanted(void) {
    return atomic_load_relaxed(&writeback.pages) &&
           (atomic_load(&writeback.fresh) || (many() && !atomic_load_relaxed(&writeback.stuck)));
}

/* Whatever was tried in vain may be tried again. writeback.lock held. */
static void try_again(void) {
    writeback.vain = 0;
    atomic_store(&writeback.busy, false);
    atomic_store_relaxed(&writeback.stuck, false);
}

/* New objects stand at the end. */
void writeback_look(u64 now_ns) {
    struct object *o;
    compute_thresholds();
    atomic_store(&writeback.there, true);
    spin_lock(&writeback.lock);
    writeback.now = now_ns;
    if (now_ns - writeback.stuck_since >= RETRY_NS)
        try_again();
    if (atomic_xchg(&writeback.fresh, false))
        list_for_each(o, &writeback.objects, in_writeback) o->dirty_since = o->dirty_since ? o->dirty_since : now_ns;
    spin_unlock(&writeback.lock);
}

/* The first object if it is due, kept from going away; NULL: none. It goes to the end of the list. */
static struct object *take_due(void) {
    struct object *o = NULL;
    spin_lock(&writeback.lock);
    if (writeback.vain > writeback.count && !atomic_load_relaxed(&writeback.stuck)) {
        writeback.stuck_since = writeback.now;
        atomic_store_relaxed(&writeback.stuck, true);
        atomic_store(&writeback.defeats, writeback.defeats + 1);
    }
    if (!list_empty(&writeback.objects) && !atomic_load_relaxed(&writeback.stuck))
        o = list_first(&writeback.objects, struct object, in_writeback);
    if (o && !many() && (!o->dirty_since || writeback.now < o->dirty_since + writeback_limits.expire_ns))
        o = NULL;
    if (o) {
        atomic_add(&o->users, 1);
        list_del(&o->in_writeback);
        list_add_tail(&writeback.objects, &o->in_writeback);
        o->dirty_since = writeback.now;
    } else {
        atomic_store_relaxed(&writeback.asked, false);
    }
    spin_unlock(&writeback.lock);
    return o;
}

bool writeback_one(void) {
    struct object *o = take_due();
    if (o) {
        u64 before = event_total(EVENT_OBJECT_WRITE_BACK);
        bool busy = !object_try_sync(o);
        object_release(o);
        bool some = event_total(EVENT_OBJECT_WRITE_BACK) != before;
        spin_lock(&writeback.lock);
        writeback.vain++;
        if (some)
            try_again();
        else if (busy)
            atomic_store(&writeback.busy, true);
        spin_unlock(&writeback.lock);
        atomic_add(&writeback.passes, 1);
    }
    if (!o || atomic_load_relaxed(&writeback.stuck))
        atomic_add(&writeback.passes, 1); /* who waits sees that there is nothing to wait for */
    waitq_wake_all(&writeback_passes);
    return o;
}

/* ---- who must wait ---- */

void writeback_ask(void) {
    if (!atomic_load_relaxed(&writeback.pages) || !atomic_load_relaxed(&writeback.there))
        return;
    atomic_store_relaxed(&writeback.asked, true);
    waitq_wake_all(&writeback_waits);
}

bool writeback_insist(void) {
    bool can = writeback_pages() && atomic_load(&writeback.there);
    spin_lock(&writeback.lock);
    try_again();
    atomic_store_relaxed(&writeback.asked, can);
    spin_unlock(&writeback.lock);
    if (can)
        waitq_wake_all(&writeback_waits);
    return can;
}

u64 writeback_defeats(void) { return atomic_load(&writeback.defeats); }
bool writeback_busy(void) { return atomic_load(&writeback.busy); }

bool writeback_full(void) {
    return atomic_load_relaxed(&writeback.there) && !atomic_load_relaxed(&writeback.stuck) &&
           atomic_load_relaxed(&writeback.pages) > atomic_load_relaxed(&writeback.most);
}

void writeback_wait(void) {
    u64 seen = writeback_seen();
    u32 stall = machine_stall(STALL_IO);
    waitq_wake_all(&writeback_waits);
    wait_until(&writeback_passes, writeback_seen() != seen || !writeback_full());
    machine_stall_over(stall);
}
