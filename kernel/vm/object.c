/* object.c - the cached frames of a file: found, filled, dirtied, written back, truncated; and who maps them. How they
 * leave memory and come back is evict.c's.
 *
 * A frame in the tree has one pin for it; object_get adds one for its caller. Lock order: o->mutex, table locks,
 * o->lock, a frame's hold bit. To visit the mappings of an object, links are taken from its list one by one under
 * o->lock, and the table is locked after o->lock is released, under an epoch: it may be dead by then, which is said in
 * it.
 *
 * Truncation: set the size, mark the frames closing (object_peek does not give them out any more), unmap, then free. A
 * fault that took its frame before the mark maps it with the leaf locked, and the unmapper, which comes later, finds it
 * there. */
#include "vm/object.h"

#include "lib/errseq.h"
#include "vm/commit.h"
#include "vm/inner.h"
#include "vm/object_inner.h"
#include "vm/roster.h"
#include "vm/slab.h"
#include "vm/writeback.h"

#define FILL_MOST 120u /* pages of one read from a backend: 480 KiB, what one 9p message carries */
#define FILL_FIRST 32u /* of the first read at a new place, as Linux; for those the stack has room */

void object_init(struct object *o, const struct object_ops *ops, u64 size) {
    *o = (struct object){.ops = ops, .size = size};
    mutex_init(&o->storing);
    mutex_init(&o->mutex);
    spin_init(&o->lock);
    list_init(&o->mappings);
    list_init(&o->in_swap);
    list_init(&o->in_writeback);
    waitq_init(&o->filling);
}

bool object_mapped(const struct object *o) { return !list_empty(&o->mappings); }

static enum frame_class class_of(const struct object *o) { return o->ops->fill ? FRAME_FILE : FRAME_SHMEM; }

/* ---- finding and filling ---- */

void object_count_dirty(struct object *o, int by) {
    if (o->ops->write_back)
        writeback_count(o, by);
    else
        atomic_hint_add(&o->dirty, by);
}

void object_dirty_locked(struct object *o, struct frame *f) {
    if (frame_flags(f) & FRAME_DIRTY)
        return;
    if (unlikely(frame_flags(f) & FRAME_SWAP))
        object_slot_stale(f);
    atomic_or(&f->flags, FRAME_DIRTY);
    object_count_dirty(o, 1);
    if (!o->ops->write_back && frame_class(f) == FRAME_FILE)
        frame_reclass(f, FRAME_SHMEM);
}

void object_dirty(struct object *o, struct frame *f) {
    if (atomic_load_relaxed(&f->flags) & FRAME_DIRTY)
        return;
    spin_lock(&o->lock);
    if (f->object.object == o)
        object_dirty_locked(o, f);
    spin_unlock(&o->lock);
}

/* Used, otherwise than through a mapping. */
static void mark_used(struct frame *f) {
    atomic_or(&f->flags, FRAME_REFERENCED);
    record(TRACE_TOUCHED, f, 0);
}

/* The frame that was found in the tree; NULL: none, or it is not to be given out. */
static inline struct frame *given_out(void *value) {
    struct frame *f = value_frame(value);
    return f && likely(!(frame_flags(f) & (FRAME_FILLING | FRAME_CLOSING | FRAME_ERROR))) ? f : NULL;
}

static inline u64 show(void *const *value, entry *slot, const entry *end, entry bits) {
    u64 shown = 0;
    for (; slot < end; slot++, value++) {
        struct frame *f = entry_empty(slot_read(slot)) ? given_out(*value) : NULL;
        if (!f)
            continue;
        frame_map(f);
        slot_store(slot, frame_phys(f) | bits);
        shown++;
    }
    return shown;
}

u64 object_show_row(struct object *o, u64 index, unsigned count, entry *slot, entry bits) {
    u64 shown = 0;
    spin_lock(&o->lock);
    for (unsigned n = count; count; count -= n, n = count) {
        void *const *value = radix_row(&o->tree, index, &n);
        if (value)
            shown += show(value, slot, slot + n, bits);
        index += n;
        slot += n;
    }
    spin_unlock(&o->lock);
    return shown;
}

struct frame *object_peek(struct object *o, u64 index) {
    spin_lock(&o->lock);
    struct frame *f = given_out(radix_find(&o->tree, index));
    if (f) {
        frame_pin(f);
        if (!(frame_flags(f) & FRAME_REFERENCED))
            mark_used(f);
    }
    spin_unlock(&o->lock);
    return f;
}

bool object_has(struct object *o, u64 index) {
    spin_lock(&o->lock);
    bool has = radix_find(&o->tree, index);
    spin_unlock(&o->lock);
    return has;
}

bool object_poisoned(struct object *o, u64 index) {
    spin_lock(&o->lock);
    struct frame *f = value_frame(radix_find(&o->tree, index));
    bool poisoned = f && (frame_flags(f) & (FRAME_ERROR | FRAME_POISON)) == (FRAME_ERROR | FRAME_POISON);
    spin_unlock(&o->lock);
    return poisoned;
}

void object_detach(struct object *o, struct frame *f) {
    while (atomic_xchg(&f->hold, 1)) /* reclaim reads o's address from it */
        machine_pause();
    atomic_store_relaxed(&f->object.object, NULL);
    atomic_store(&f->hold, 0);
    o->cached--;
    if (frame_flags(f) & FRAME_DIRTY)
        object_count_dirty(o, -1);
}

/* A page that was promised by itself is gone, or did not come. */
static void give_back(const struct object *o) { commit_add(o->ops->promise ? -1 : 0); }

/* The frame leaves the tree, which drops its pin. o->lock held; returns the frame, for frame_unpin after unlocking. */
struct frame *object_remove(struct object *o, u64 index) {
    struct frame *f = radix_remove(&o->tree, index);
    if (unlikely(frame_flags(f) & FRAME_SWAP))
        object_slot_stale(f);
    object_detach(o, f);
    give_back(o);
    return f;
}

void object_attach(struct object *o, u64 index, struct frame *f, u8 flags) {
    atomic_store_relaxed(&f->index_high, index >> 32);
    atomic_store_relaxed(&f->object.index, (u32)index);
    atomic_store_relaxed(&f->object.object, o);
    atomic_store_relaxed(&f->flags, flags);
    atomic_store_relaxed(&f->mapped, 0);
    atomic_store(&f->pins, 2); /* last: hold_object believes a frame with one pin. The tree's and the caller's */
}

/* Who wants a page, and what else he may want. */
struct want {
    enum object_use use;
    bool within; /* only if it is not past the end */
    enum habit how;
    struct ahead *ahead; /* where he is; NULL: `most` pages are wanted */
    u64 most;
};

/* 0; -EEXIST: the index is taken; -ENODATA: it is past the end; -ENOMEM: `nodes` is too small, radix_reserve knows by
 * how much. The size is looked at under the lock: so truncate, which sets it before it takes that, finds what comes. */
static int tree_insert(struct object *o, u64 index, const struct want *w, struct frame *f, u8 flags,
                       struct radix_reserve *nodes) {
    object_attach(o, index, f, flags);
    spin_lock(&o->lock);
    int error = w->within && index >= object_pages(o) ? -ENODATA : radix_insert(&o->tree, index, f, nodes);
    if (!error)
        o->cached++;
    spin_unlock(&o->lock);
    if (error)
        atomic_store_relaxed(&f->counts, 0);
    return error;
}

/* How many pages to read at once, from `index` on. Twice as many as last time where a sequence continues. As little is
 * read ahead as memory is short: it never makes pressure much worse. */
static unsigned window(struct object *o, u64 index, const struct want *w) {
    u64 pages = w->most, end = object_pages(o);
    if (!o->ops->fill || w->use == OBJECT_OVERWRITE)
        return 1;
    if (w->ahead) {
        enum habit how = w->how ? w->how : atomic_load_relaxed(&w->ahead->how);
        pages = how == HABIT_RANDOM ? 1 : how == HABIT_SEQUENTIAL ? 2 * FILL_FIRST : FILL_FIRST;
        if (how != HABIT_RANDOM && index && index == atomic_load_relaxed(&w->ahead->next))
            pages = max(pages, 2 * (u64)atomic_load_relaxed(&w->ahead->pages));
    }
    pages = min(pages, index < end ? end - index : 1);
    pages = min(min(pages, (u64)FILL_MOST), max(frame_free_count() / 16, (u64)1));
    if (w->ahead) {
        atomic_store_relaxed(&w->ahead->next, index + pages);
        atomic_store_relaxed(&w->ahead->pages, (u32)pages);
    }
    return (unsigned)pages;
}

/* New frames for [index, index + count) into the tree, `filling` or as they are wanted; stops at the first index that
 * is taken. */
static int insert_blank(struct object *o, u64 index, const struct want *w, unsigned count, bool filling,
                        struct frame **out) {
    struct radix_reserve nodes = {0}; /* filled only when an insertion asks: most pages have their node already */
    bool unseen = w->use == OBJECT_OVERWRITE && index >= object_pages(o); /* others may map what is not past the end */
    unsigned n = 0, how = filling || unseen ? 0 : FRAME_ZEROED;
    u8 flags = filling ? FRAME_FILLING | FRAME_REFERENCED : 0;
    int error = 0;
    while (n < count && !error) {
        struct frame *f = frame_alloc(0, class_of(o), how);
        error = f ? tree_insert(o, index + n, w, f, flags, &nodes) : -ENOMEM;
        while (f && error == -ENOMEM && !radix_reserve(&nodes, 0))
            error = tree_insert(o, index + n, w, f, flags, &nodes);
        if (!error) {
            roster_came(f, n > 0);
            out[n++] = f;
        } else if (f)
            frame_free(f, 0);
    }
    radix_release(&nodes);
    return n ? (int)n : error;
}

static void fill_done(struct object *o, u64 index, struct frame **frames, unsigned count, int error) {
    for (unsigned i = 0; i < count; i++) {
        if (error) {
            spin_lock(&o->lock);
            object_remove(o, index + i);
            spin_unlock(&o->lock);
            atomic_or(&frames[i]->flags, FRAME_ERROR);
        }
        atomic_and(&frames[i]->flags, (u8) ~(FRAME_FILLING | (error ? FRAME_CLOSING : 0)));
    }
    waitq_wake_all(&o->filling);
    for (unsigned i = error ? 0 : 1; i < count; i++) /* the first stays pinned for the caller */
        frame_unpin(frames[i]);
    if (error)
        for (unsigned i = 0; i < count; i++)
            frame_unpin(frames[i]); /* the tree's */
}

static int fill_with(struct object *o, u64 index, const struct want *w, struct frame **frames, unsigned most) {
    bool from_backend = o->ops->fill && w->use != OBJECT_OVERWRITE;
    int error = 0, count = insert_blank(o, index, w, most, from_backend, frames);
    if (count <= 0) {
        give_back(o);
        return count;
    }
    if (from_backend) {
        u32 stall = machine_stall(STALL_IO | STALL_READ | (roster_refault(o, index) ? STALL_MEMORY : 0));
        error = o->ops->fill(o, index, frames, count);
        machine_stall_over(stall);
        event(EVENT_OBJECT_FILL, index, count);
        fill_done(o, index, frames, count, error);
    }
    return error;
}

static int fill(struct object *o, u64 index, const struct want *w, struct frame **out) {
    struct frame *few[FILL_FIRST], **frames = few;
    unsigned most = window(o, index, w);
    if (o->ops->promise && !o->ops->promise(1))
        return -ENOSPC;
    if (most > FILL_FIRST && !(frames = kmalloc(most * sizeof(*frames)))) {
        frames = few;
        most = FILL_FIRST;
    }
    int error = fill_with(o, index, w, frames, most);
    *out = error ? NULL : frames[0];
    if (frames != few)
        kfree(frames);
    return error;
}

static int get(struct object *o, u64 index, const struct want *w, struct frame **out) {
    int error = -EEXIST; /* somebody else put it there: look again */
    *out = NULL;
    while (error == -EEXIST) {
        spin_lock(&o->lock);
        void *value = radix_find(&o->tree, index);
        struct frame *f = value_frame(value);
        if (f)
            frame_pin(f);
        spin_unlock(&o->lock);
        if (!f) {
            error = value ? object_swap_in(o, index, w->use == OBJECT_OVERWRITE, out) : fill(o, index, w, out);
            continue;
        }
        /* One that is closing is about to leave, and whoever maps pages wants the next one: waiting lets who removes it
         * go on. */
        if (atomic_load(&f->flags) & (FRAME_FILLING | FRAME_CLOSING)) {
            u32 stall = machine_stall(STALL_IO | STALL_READ);
            wait_until(&o->filling, !(atomic_load(&f->flags) & (FRAME_FILLING | FRAME_CLOSING)));
            machine_stall_over(stall);
        }
        bool failed = atomic_load(&f->flags) & FRAME_ERROR;
        if (failed || atomic_load_relaxed(&f->object.object) != o) {
            frame_unpin(f);
            error = failed ? -EIO : -EEXIST;
            continue;
        }
        if (!(frame_flags(f) & FRAME_REFERENCED))
            mark_used(f);
        *out = f;
        error = 0;
    }
    if (!error && w->use != OBJECT_READ)
        object_dirty(o, *out);
    return error;
}

int object_get(struct object *o, u64 index, enum object_use use, struct frame **out) {
    return get(o, index, &(struct want){use, false, HABIT_NORMAL, &o->ahead, 0}, out);
}

int object_read_for(struct vm_file *f, u64 index, enum habit how, struct frame **out) {
    return get(f->object, index, &(struct want){OBJECT_READ, true, how, &f->ahead, 0}, out);
}

int object_supply(struct object *o, u64 index, struct frame *f) {
    struct radix_reserve nodes = {0};
    struct want within = {.within = true};
    if (o->ops->promise && !o->ops->promise(1))
        return -ENOSPC;
    int error = tree_insert(o, index, &within, f, 0, &nodes);
    while (error == -ENOMEM && !radix_reserve(&nodes, 0))
        error = tree_insert(o, index, &within, f, 0, &nodes);
    radix_release(&nodes);
    if (error) {
        give_back(o);
        return error;
    }
    roster_came(f, false);
    object_dirty(o, f);
    return 0;
}

void object_prefetch(struct object *o, u64 first, u64 end) {
    int error = 0;
    end = o->ops->fill ? min(end, object_pages(o)) : 0;
    for (; first < end && !error && frame_free_count() > 16 * FILL_FIRST; first++) {
        struct frame *f;
        if (object_has(o, first))
            continue;
        error = get(o, first, &(struct want){OBJECT_READ, true, HABIT_NORMAL, NULL, end - first}, &f);
        if (!error)
            frame_unpin(f);
    }
}

/* ---- the mappings ---- */

static bool concerns(entry e, enum visit visit) {
    if (entry_swapped(e) || e == entry_poison()) /* a private copy, or one that is lost */
        return visit == VISIT_UNMAP;
    if (entry_empty(e) || entry_special(e)) /* a guard's marker stays */
        return false;
    if (visit == VISIT_WRITE_PROTECT)
        return entry_present(e) && entry_writable(e) && frame_class(frame_of_phys(entry_phys(e))) != FRAME_ANON;
    return visit == VISIT_UNMAP || frame_class(frame_of_phys(entry_phys(e))) != FRAME_ANON;
}

/* A frame that is to be evicted was used since the last harvest: it stays. */
static bool used_lately(struct table *t, entry *slot, entry e) {
    bool used = entry_present(e) && (e & ENTRY_ACCESSED);
    if (used) {
        slot_clear_bits(slot, ENTRY_ACCESSED); /* no flush: a use that is not seen is a hint that is lost */
        atomic_or(&frame_of_phys(entry_phys(e))->flags, FRAME_REFERENCED);
        record_touched(frame_of_phys(entry_phys(e)), t);
    }
    return used;
}

/* First step, before the flush: the slots stop translating, or writing. */
static bool withdraw(struct table *t, unsigned first, unsigned end, enum visit visit) {
    bool any = false;
    for (unsigned i = first; i < end; i++) {
        entry e = slot_read(&t->slots[i]);
        if (!concerns(e, visit) || (visit == VISIT_EVICT && used_lately(t, &t->slots[i], e)))
            continue;
        if (visit == VISIT_WRITE_PROTECT)
            slot_clear_bits(&t->slots[i], ENTRY_WRITE);
        else if (entry_present(e))
            slot_store(&t->slots[i], entry_withhold(slot_exchange(&t->slots[i], 0)));
        any = true;
    }
    return any;
}

static void forget(struct table *t, unsigned first, unsigned end, enum visit visit) {
    for (unsigned i = first; i < end; i++) {
        entry e = slot_read(&t->slots[i]);
        if (!concerns(e, visit) || entry_present(e)) /* present: not withdrawn */
            continue;
        slot_store(&t->slots[i], e & ENTRY_GUARDED ? entry_guard() : 0);
        leaf_forget(t, e);
        if (e & ENTRY_GUARDED)
            leaf_count(t, entry_guard(), 1);
    }
}

struct visit_range {
    struct object *o;
    u64 first, end; /* pages of it */
    enum visit visit;
    u64 count; /* VISIT_COUNT's */
};

/* The slots of run r, of a leaf, that the visit is about. */
static bool slots_of(const struct run *r, const struct visit_range *v, unsigned *from, unsigned *to) {
    if (view_object(r->view) != v->o || (v->visit == VISIT_EVICT && (r->view->flags & VIEW_LOCKED)))
        return false;
    u64 a = max(v->first, r->offset), b = min(v->end, r->offset + (r->end - r->first));
    if (a >= b)
        return false;
    *from = r->first + (a - r->offset);
    *to = r->first + (b - r->offset);
    return true;
}

/* One leaf, edited in place for all its sharers: whose they are is not known, so everyone is flushed. The leaf stays
 * locked meanwhile: what is withdrawn in the first step is what is forgotten in the second. */
static void count_in(struct table *t, unsigned from, unsigned to, struct visit_range *v) {
    u64 pages = 0;
    for (unsigned i = from; i < to; i++)
        pages += concerns(slot_read(&t->slots[i]), VISIT_UNMAP_OBJECT);
    if (pages)
        v->count += pages * leaf_seen(t);
}

static void visit_leaf(struct table *t, struct visit_range *v) {
    enum visit visit = v->visit;
    unsigned from, to;
    bool any = false;
    for (unsigned i = 0; i < t->run_count; i++)
        if (!slots_of(&t->runs[i], v, &from, &to))
            continue;
        else if (visit == VISIT_COUNT)
            count_in(t, from, to, v);
        else
            any |= withdraw(t, from, to, visit);
    if (!any)
        return;
    machine_flush_everyone();
    event(EVENT_FLUSH_EVERYONE, 0, 1);
    if (visit == VISIT_WRITE_PROTECT)
        return;
    for (unsigned i = 0; i < t->run_count; i++)
        if (slots_of(&t->runs[i], v, &from, &to))
            forget(t, from, to, visit);
}

/* Every table that maps pages [first, end) of o. o->mutex held: one visit at a time. */
u64 object_visit(struct object *o, u64 first, u64 end, enum visit visit) {
    struct visit_range range = {o, first, end, visit, 0};
    assert(mutex_held(&o->mutex));
    spin_lock(&o->lock);
    u64 pass = ++o->pass;
    while (!list_empty(&o->mappings)) {
        struct link *l = list_first(&o->mappings, struct link, in_object);
        if (l->pass == pass)
            break; /* visited ones are at the tail, new ones come to the head */
        l->pass = pass;
        list_del(&l->in_object);
        list_add_tail(&o->mappings, &l->in_object);
        struct table *t = l->table;
        epoch_enter(); /* t may be unlinked once o->lock is released, but not freed */
        spin_unlock(&o->lock);
        spin_lock(&t->lock);
        if (!atomic_load(&t->dead) && t->level == 1)
            visit_leaf(t, &range);
        spin_unlock(&t->lock);
        epoch_leave();
        spin_lock(&o->lock);
    }
    spin_unlock(&o->lock);
    return range.count;
}

/* ---- removing ---- */

/* The next frame of [from, end) in the tree, pinned; NULL at the end. */
static struct frame *next_frame(struct object *o, u64 from, u64 end, u64 *index) {
    void *value = NULL;
    spin_lock(&o->lock);
    *index = radix_next(&o->tree, from, &value);
    while (*index < end && value_is_slot(value))
        *index = radix_next(&o->tree, *index + 1, &value);
    struct frame *f = *index < end ? value : NULL;
    if (f)
        frame_pin(f);
    spin_unlock(&o->lock);
    return f;
}

/* Only what is closing, or all. */
static void remove_range(struct object *o, u64 first, u64 end, bool all) {
    u64 index;
    struct frame *f;
    while ((f = next_frame(o, first, end, &index))) {
        wait_until(&o->filling, !(atomic_load(&f->flags) & FRAME_FILLING));
        spin_lock(&o->lock);
        bool mine = radix_find(&o->tree, index) == f && /* a failed fill takes it out itself */
                    (all || (frame_flags(f) & FRAME_CLOSING));
        if (mine)
            object_remove(o, index);
        spin_unlock(&o->lock);
        atomic_and(&f->flags, (u8)~FRAME_CLOSING);
        if (mine)
            frame_unpin(f);
        frame_unpin(f);
        first = index + 1;
    }
    waitq_wake_all(&o->filling); /* who met a frame that was closing */
}

/* Frames are closing from now on; what is in the swap area is gone: nothing maps it. */
static void mark_closing(struct object *o, u64 first, u64 end) {
    void *value;
    spin_lock(&o->lock);
    for (u64 i = radix_next(&o->tree, first, &value); i < end; i = radix_next(&o->tree, i + 1, &value))
        if (value_is_slot(value)) {
            object_drop_slot(o, i);
            give_back(o);
        } else {
            atomic_or(&((struct frame *)value)->flags, FRAME_CLOSING);
        }
    spin_unlock(&o->lock);
}

int object_hold_tail(struct object *o, u64 size, struct frame **out) {
    *out = NULL;
    if (!(size % PAGE_SIZE) || size >= o->size || !object_has(o, size >> PAGE_SHIFT))
        return 0;
    return object_get(o, size >> PAGE_SHIFT, OBJECT_READ, out);
}

/* The rest of the last page reads as zeroes. */
static void zero_tail(struct object *o, u64 size, struct frame *last) {
    if (frame_class(last) == FRAME_SHMEM)
        object_dirty(o, last);
    memset((char *)frame_va(last) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
    frame_unpin(last);
}

/* No page that is about to go is on its way to the backend, which would have it again afterwards. */
static bool may_shrink(const struct object *o) { return !o->ops->write_back || mutex_held(&o->storing); }

void object_resize(struct object *o, u64 size) {
    assert(mutex_held(&o->mutex) && (size >= o->size || may_shrink(o)));
    u64 old = o->size, first = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
    struct frame *last;
    bool tail = !object_hold_tail(o, size, &last) && last;
    atomic_store(&o->size, size);
    if (size >= old)
        return;
    mark_closing(o, first, RADIX_NONE);
    object_visit(o, first, RADIX_NONE, VISIT_UNMAP);
    remove_range(o, first, RADIX_NONE, true);
    if (tail)
        zero_tail(o, size, last);
}

void object_punch(struct object *o, u64 first, u64 end) {
    assert(mutex_held(&o->mutex) && may_shrink(o));
    mark_closing(o, first, end);
    object_visit(o, first, end, VISIT_UNMAP_OBJECT);
    remove_range(o, first, end, false); /* a page that came since is a new one */
}

void object_destroy(struct object *o) {
    assert(list_empty(&o->mappings));
    mark_closing(o, 0, RADIX_NONE);
    remove_range(o, 0, RADIX_NONE, true);
    wait_until(&o->filling, !atomic_load(&o->users));
    spin_lock(&o->lock); /* who set users to 0 may still be waking us */
    spin_unlock(&o->lock);
}

static bool droppable(void *value) {
    const struct frame *f = value_frame(value);
    return f && atomic_load(&f->counts) == FRAME_ONE_PIN && !(frame_flags(f) & (FRAME_DIRTY | FRAME_FILLING)) &&
           frame_class(f) == FRAME_FILE;
}

void object_drop(struct object *o, u64 first, u64 end) {
    void *value;
    spin_lock(&o->lock);
    for (u64 i = radix_next(&o->tree, first, &value); i < end; i = radix_next(&o->tree, i + 1, &value))
        if (droppable(value))
            frame_unpin(object_remove(o, i));
    spin_unlock(&o->lock);
}

/* ---- write-back ---- */

static bool take_dirty(struct object *o, struct frame *f) {
    spin_lock(&o->lock);
    bool dirty = f->object.object == o && (frame_flags(f) & FRAME_DIRTY);
    if (dirty)
        atomic_and(&f->flags, (u8)~FRAME_DIRTY); /* it counts until it is stored */
    spin_unlock(&o->lock);
    return dirty;
}

#define ROW 32u /* pages written back together */

/* The next dirty pages of [*first, end) that follow one another, pinned, and from now on clean; *first: the one after
 * them. */
static unsigned take_row(struct object *o, u64 *first, u64 end, struct frame **row) {
    unsigned count = 0;
    u64 index;
    struct frame *f;
    while (count < ROW && (f = next_frame(o, *first, end, &index))) {
        bool dirty = (!count || index == *first) && take_dirty(o, f);
        if (dirty)
            row[count++] = f;
        else
            frame_unpin(f);
        if (!dirty && count)
            break;
        *first = index + 1;
    }
    return count;
}

static int store(struct object *o, u64 index, struct frame **row, unsigned count) {
    u32 stall = machine_stall(STALL_IO);
    int error = o->ops->write_back(o, index, row, count);
    machine_stall_over(stall);
    event(EVENT_OBJECT_WRITE_BACK, index, error ? 0 : count);
    waitq_wake_all(&writeback_passes);
    return error;
}

/* Stored together, or one by one, if that fails: a page that cannot be stored keeps none beside it. */
static int store_row(struct object *o, u64 index, struct frame **row, unsigned count) {
    int error = count > 1 ? store(o, index, row, count) : -EIO, first = 0;
    for (unsigned i = 0; i < count; i++) {
        int failed = error ? store(o, index + i, row + i, 1) : 0;
        if (failed) {
            first = first ? first : failed;
            errseq_set(&o->errors, failed);
            object_dirty(o, row[i]);
        }
    }
    return first;
}

/* Who reclaims has o->mutex for a moment only: he is waited for. */
static bool try_mutex(struct object *o) {
    bool got = mutex_try(&o->mutex);
    if (!got) {
        reclaim_exclude();
        got = mutex_try(&o->mutex);
        reclaim_include();
    }
    return got;
}

enum progress { STORED, ALL_DONE, BUSY };

/* The next dirty pages of [*first, end). *error: the first there was. o->storing held: so one store of a page does not
 * pass another, or a truncation. BUSY: somebody has o->mutex, and is not to be waited for. */
static enum progress write_back(struct object *o, u64 *first, u64 end, bool wait, int *error) {
    struct frame *row[ROW];
    if (wait)
        mutex_lock(&o->mutex);
    else if (!try_mutex(o))
        return BUSY;
    unsigned count = take_row(o, first, end, row);
    /* clear dirty, take the right to write from all mappings, then write: a later write faults and is seen */
    if (count && atomic_load(&o->writable_shared))
        object_visit(o, *first - count, *first, VISIT_WRITE_PROTECT);
    mutex_unlock(&o->mutex);
    if (!count)
        return ALL_DONE;
    int failed = store_row(o, *first - count, row, count);
    *error = *error ? *error : failed;
    spin_lock(&o->lock);
    object_count_dirty(o, -(int)count);
    spin_unlock(&o->lock);
    for (unsigned i = 0; i < count; i++)
        frame_unpin(row[i]);
    return STORED;
}

int object_sync(struct object *o, u64 first, u64 end) {
    enum progress now = o->ops->write_back ? STORED : ALL_DONE;
    int error = 0;
    while (now == STORED && atomic_load(&o->dirty)) {
        mutex_lock(&o->storing);
        now = write_back(o, &first, end, true, &error);
        mutex_unlock(&o->storing);
    }
    return error;
}

bool object_try_sync(struct object *o) {
    enum progress now = STORED;
    u64 first = 0;
    int error = 0; /* o->errors keeps it */
    while (now == STORED) {
        now = BUSY;
        if (!mutex_try(&o->storing))
            break;
        now = write_back(o, &first, RADIX_NONE, false, &error);
        mutex_unlock(&o->storing);
    }
    return now == ALL_DONE;
}

int object_sync_file(struct vm_file *f, u64 first, u64 end) {
    (void)object_sync(f->object, first, end); /* likewise: the file's own error is among those that it is told */
    return errseq_tell(&f->object->errors, &f->errors_seen);
}

void vm_file_init(struct vm_file *f, const struct vm_file_ops *ops, struct object *o) {
    *f = (struct vm_file){.ops = ops, .object = o, .errors_seen = errseq_begin(&o->errors)};
}
