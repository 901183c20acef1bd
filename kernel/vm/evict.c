/* evict.c - pages of objects that leave memory and come back.
 *
 *   class FILE, clean           forgotten: the backend has it
 *   class SHMEM, never written  forgotten: it is zeroes
 *   class SHMEM, with a slot    the slot takes the frame's place in the tree: it has the same contents
 *   class SHMEM, else           gets a slot, is written there, and then the same
 *
 *        tree: frame, dirty ── object_evict ──► frame, slot, one pin and one count of `out` more
 *                  ▲                                  │ object_write_out
 *                  │ somebody writes to it: the       ├─ nobody came ─────► tree: slot ── object_swap_in ──╮
 *                  │ slot is given back               ├─ written ◄── somebody came                         │
 *                  ╰──────────────────────────────────┴──────────────── frame, slot ◄──────────────────────╯
 *
 * So while a page is written the tree has its frame, as always: who faults on it maps it, who truncates it takes it
 * out, and the outcome is looked at afterwards. A frame with a slot is not mapped writable anywhere: a write goes
 * through object_dirty, which gives the slot back. The batch has a count of the slot of its own: it is not used again
 * while the device may still write to it.
 *
 * Locks: o->mutex, tried, while mappings are visited; o->lock for the tree and for who has which slot; the list of
 * objects with slots has a lock of its own, inside. */
#include "lib/errseq.h"
#include "vm/inner.h"
#include "vm/object_inner.h"
#include "vm/roster.h"
#include "vm/swap.h"

static struct {
    struct spin lock;
    struct list objects; /* those that have slots in their tree */
} swapped = {.objects = LIST_INIT(swapped.objects)};

/* ---- slots in the tree. o->lock held ---- */

static void count_slot(struct object *o, int by) {
    bool first = !o->swapped;
    o->swapped += by;
    swap_count_objects(0, by);
    if (!first && o->swapped)
        return;
    spin_lock(&swapped.lock);
    if (first)
        list_add_tail(&swapped.objects, &o->in_swap);
    else
        list_del(&o->in_swap);
    spin_unlock(&swapped.lock);
}

void object_drop_slot(struct object *o, u64 index) {
    swap_put(value_slot(radix_remove(&o->tree, index)));
    count_slot(o, -1);
}

void object_slot_stale(struct frame *f) {
    atomic_and(&f->flags, (u8)~FRAME_SWAP);
    swap_count_objects(-1, 0);
    swap_put(f->object.swap);
}

/* The slot of f takes its place; the tree's pin is the caller's to drop. */
static void leave_slot(struct object *o, struct frame *f) {
    radix_replace(&o->tree, object_index(f), value_of_slot(f->object.swap));
    count_slot(o, 1);
    atomic_and(&f->flags, (u8)~FRAME_SWAP);
    swap_count_objects(-1, 0);
    object_detach(o, f);
}

void objects_each_slot(void (*visit)(u64 slot, void *argument), void *argument) {
    struct object *o;
    void *value;
    list_for_each(o, &swapped.objects, in_swap) {
        for (u64 i = radix_next(&o->tree, 0, &value); i != RADIX_NONE; i = radix_next(&o->tree, i + 1, &value))
            if (value_is_slot(value))
                visit(value_slot(value), argument);
    }
}

u64 object_swapped(struct object *o, u64 first, u64 end) {
    u64 count = 0;
    void *value;
    if (!atomic_load_relaxed(&o->swapped))
        return 0;
    spin_lock(&o->lock);
    for (u64 i = radix_next(&o->tree, first, &value); i < end; i = radix_next(&o->tree, i + 1, &value))
        count += value_is_slot(value);
    spin_unlock(&o->lock);
    return count;
}

/* ---- out ---- */

/* The object of a frame, kept from going away; NULL: it has none. f->hold is set. */
static struct object *keep_object(struct frame *f) {
    struct object *o = atomic_load_relaxed(&f->object.object);
    if (o)
        atomic_add(&o->users, 1);
    return o;
}

/* The object of a frame that might be evicted; NULL: not this frame. */
static struct object *hold_object(struct frame *f) {
    struct object *o = NULL;
    if (atomic_xchg(&f->hold, 1))
        return NULL;
    if ((frame_class(f) == FRAME_FILE || frame_class(f) == FRAME_SHMEM) && atomic_load(&f->pins) == 1 &&
        !(frame_flags(f) & (FRAME_FILLING | FRAME_CLOSING)))
        o = keep_object(f);
    atomic_store(&f->hold, 0);
    return o;
}

/* The wake is part of the locked step: who waits for users to be 0 frees o then. */
void object_release(struct object *o) {
    spin_lock(&o->lock);
    if (!atomic_sub(&o->users, 1))
        waitq_wake_all(&o->filling);
    spin_unlock(&o->lock);
}

/* How a frame can go. */
enum way { WAY_NONE, WAY_FORGET, WAY_SLOT, WAY_WRITE };

static enum way way_of(const struct object *o, const struct frame *f) {
    u8 flags = frame_flags(f);
    if (atomic_load(&f->pins) != 1 || (flags & (FRAME_FILLING | FRAME_CLOSING | FRAME_ERROR)))
        return WAY_NONE;
    if (frame_class(f) == FRAME_FILE)
        return flags & FRAME_DIRTY ? WAY_NONE : WAY_FORGET;
    if (frame_class(f) != FRAME_SHMEM || atomic_load_relaxed(&o->locked))
        return WAY_NONE;
    if (flags & FRAME_SWAP)
        return swap_leaving(f->object.swap) ? WAY_NONE : WAY_SLOT;
    if (flags & FRAME_DIRTY)
        return WAY_WRITE;
    return o->ops->fill ? WAY_NONE : WAY_FORGET;
}

static bool evictable(const struct object *o, void *value, const struct outward *out) {
    const struct frame *f = value_frame(value);
    enum way way = f && !(frame_flags(f) & FRAME_REFERENCED) && roster_goes_along(f) ? way_of(o, f) : WAY_NONE;
    return way == WAY_WRITE ? out && out->count < SWAP_CLUSTER && swap_room() : way != WAY_NONE;
}

/* The pages around f, at most `most`, that may go with it: one visit of the mappings, one flush. o->lock held. Returns
 * how many; *mapped: some are. */
static u64 evict_range(struct object *o, struct frame *f, u64 most, const struct outward *out, u64 *first,
                       bool *mapped) {
    struct frame *other;
    if (atomic_load_relaxed(&f->object.object) != o || !evictable(o, f, out)) /* it went, and may be another's now */
        return 0;
    if (out && frame_class(f) == FRAME_SHMEM)
        most = min(most, (u64)max(SWAP_CLUSTER - out->count, 1u));
    u64 from = object_index(f), end = from + 1;
    *mapped = atomic_load(&f->mapped);
    for (; end - from < most && evictable(o, other = radix_find(&o->tree, end), out); end++)
        *mapped |= atomic_load(&other->mapped) != 0;
    for (; end - from < most && from && evictable(o, other = radix_find(&o->tree, from - 1), out); from--)
        *mapped |= atomic_load(&other->mapped) != 0;
    *first = from;
    return end - from;
}

/* A page that nobody maps goes, if nobody uses it and its contents are elsewhere. True: it did. *write: they are not.
 */
static bool let_go(struct object *o, u64 index, bool *write) {
    spin_lock(&o->lock);
    struct frame *f = value_frame(radix_find(&o->tree, index));
    enum way way = f && atomic_load(&f->counts) == FRAME_ONE_PIN ? way_of(o, f) : WAY_NONE;
    if (way == WAY_FORGET || way == WAY_SLOT)
        roster_evicted(f);
    if (way == WAY_FORGET)
        object_remove(o, index);
    else if (way == WAY_SLOT)
        leave_slot(o, f);
    spin_unlock(&o->lock);
    *write = way == WAY_WRITE;
    if (way != WAY_FORGET && way != WAY_SLOT)
        return false;
    frame_unpin(f);
    return true;
}

/* It gets a slot, if nobody came meanwhile. */
static void join(struct outward *out, struct object *o, u64 index) {
    u64 slot = out->count < SWAP_CLUSTER ? swap_alloc() : 0;
    if (!slot)
        return;
    spin_lock(&o->lock);
    struct frame *f = value_frame(radix_find(&o->tree, index));
    bool take = f && atomic_load(&f->counts) == FRAME_ONE_PIN && way_of(o, f) == WAY_WRITE;
    if (take) {
        swap_dup(slot);
        swap_count_objects(1, 0);
        f->object.swap = (u32)slot;
        atomic_and(&f->flags, (u8)~FRAME_DIRTY);
        atomic_or(&f->flags, FRAME_SWAP);
        atomic_hint_add(&o->dirty, -1);
        frame_pin(f);
        out->frames[out->count++] = f;
    }
    spin_unlock(&o->lock);
    if (!take)
        swap_put(slot);
}

static u64 evict_from(struct object *o, struct frame *f, u64 most, struct outward *out) {
    bool mapped = false, write;
    u64 first = 0, gone = 0;
    if (!mutex_try(&o->mutex))
        return 0;
    spin_lock(&o->lock);
    u64 count = evict_range(o, f, most, out, &first, &mapped);
    spin_unlock(&o->lock);
    if (mapped)
        object_visit(o, first, first + count, VISIT_EVICT);
    for (u64 i = first; i < first + count; i++) {
        gone += let_go(o, i, &write);
        if (write && out)
            join(out, o, i);
    }
    mutex_unlock(&o->mutex);
    return gone;
}

u64 object_evict(struct frame *f, u64 most, struct outward *out) {
    struct object *o = hold_object(f);
    if (!o)
        return 0;
    u64 gone = evict_from(o, f, most, out);
    object_release(o);
    event(EVENT_EVICT, 0, gone);
    return gone;
}

/* A page was written, or was not. True: the slot takes its place. The tree may have lost it meanwhile, and somebody may
 * have written to it: then the slot is the batch's alone. */
static bool settle(struct object *o, struct frame *f, int error) {
    bool gone = false;
    spin_lock(&o->lock);
    if (f->object.object == o && (frame_flags(f) & FRAME_SWAP)) {
        gone = !error && !swap_leaving(f->object.swap) && atomic_load(&f->counts) == 2 * FRAME_ONE_PIN &&
               !(frame_flags(f) & (FRAME_CLOSING | FRAME_REFERENCED));
        if (gone)
            roster_evicted(f);
        if (gone)
            leave_slot(o, f);
        else if (error)
            object_dirty_locked(o, f);
    }
    spin_unlock(&o->lock);
    return gone;
}

static bool written(struct frame *f, int error) {
    u64 slot = f->object.swap;
    while (atomic_xchg(&f->hold, 1))
        machine_pause();
    struct object *o = keep_object(f);
    atomic_store(&f->hold, 0);
    bool gone = o && settle(o, f, error);
    if (o)
        object_release(o);
    if (error)
        swap_bad(slot);
    else
        swap_put(slot);
    if (gone)
        frame_unpin(f); /* the tree's */
    frame_unpin(f);
    roster_settle(f);
    return gone;
}

u64 object_write_out(struct outward *out) {
    int errors[SWAP_CLUSTER];
    u64 gone = 0;
    swap_write(out->frames, out->count, errors);
    for (unsigned i = 0; i < out->count; i++)
        gone += written(out->frames[i], errors[i]);
    out->count = 0;
    return gone;
}

/* ---- out of use ---- */

/* Nobody maps f, and nobody but the caller and the tree refers to it. o->lock held. */
static void put_in_place(struct object *o, struct frame *f, struct frame *fresh) {
    u64 index = object_index(f);
    u8 flags = frame_flags(f) & (FRAME_DIRTY | FRAME_REFERENCED);
    if (frame_class(fresh) != frame_class(f)) /* f was written to since fresh was had */
        frame_reclass(fresh, frame_class(f));
    machine_copy_page(frame_va(fresh), frame_va(f));
    object_attach(o, index, fresh, flags);
    radix_replace(&o->tree, index, fresh);
    if (flags & FRAME_DIRTY) /* fresh is dirty in its place */
        object_count_dirty(o, 1);
    o->cached++;
    object_detach(o, f);
    frame_unpin(fresh);
}

/* Its contents are lost: a file's are read again; if they were changed, that is an error to be reported. */
static bool lose(struct object *o, struct frame *f) {
    if (frame_class(f) == FRAME_SHMEM) {
        atomic_or(&f->flags, FRAME_ERROR);
        return false;
    }
    if (frame_flags(f) & FRAME_DIRTY)
        errseq_set(&o->errors, -EIO);
    object_remove(o, object_index(f));
    return true;
}

static int replace(struct object *o, struct frame *f, struct frame *fresh) {
    bool out = false;
    mutex_lock(&o->mutex);
    spin_lock(&o->lock);
    bool can = f->object.object == o && !(frame_flags(f) & (FRAME_FILLING | FRAME_CLOSING | FRAME_ERROR));
    if (can && (frame_flags(f) & FRAME_SWAP))
        object_dirty_locked(o, f);
    if (can)
        atomic_or(&f->flags, FRAME_CLOSING);
    spin_unlock(&o->lock);
    if (can)
        object_visit(o, object_index(f), object_index(f) + 1, VISIT_UNMAP_OBJECT);
    spin_lock(&o->lock);
    if (can)
        atomic_and(&f->flags, (u8)~FRAME_CLOSING);
    can &= f->object.object == o && atomic_load(&f->counts) == 2 * FRAME_ONE_PIN;
    if (can && fresh) {
        put_in_place(o, f, fresh);
        out = true;
    } else if (can) {
        out = lose(o, f);
    }
    spin_unlock(&o->lock);
    mutex_unlock(&o->mutex);
    waitq_wake_all(&o->filling);
    if (out)
        frame_unpin(f);
    return can ? 0 : -EBUSY;
}

int object_replace(struct frame *f, struct frame *fresh) {
    while (atomic_xchg(&f->hold, 1))
        machine_pause();
    bool of_object = frame_class(f) == FRAME_FILE || frame_class(f) == FRAME_SHMEM;
    struct object *o = of_object ? keep_object(f) : NULL;
    atomic_store(&f->hold, 0);
    int error = o ? replace(o, f, fresh) : -EBUSY;
    if (o)
        object_release(o);
    return error;
}

u64 object_seen(struct frame *f) {
    while (atomic_xchg(&f->hold, 1))
        machine_pause();
    struct object *o = keep_object(f);
    atomic_store(&f->hold, 0);
    u64 count = 0;
    if (o) {
        mutex_lock(&o->mutex);
        count = object_visit(o, object_index(f), object_index(f) + 1, VISIT_COUNT);
        mutex_unlock(&o->mutex);
        object_release(o);
    }
    return count;
}

/* ---- in ---- */

/* A frame takes the place of the slot that is page `index`, to be filled. -EEXIST: it is no slot. */
static int bring(struct object *o, u64 index, unsigned how, u8 flags, struct frame **out) {
    struct frame *f = frame_alloc(0, FRAME_SHMEM, how);
    if (!f)
        return -ENOMEM;
    spin_lock(&o->lock);
    void *value = radix_find(&o->tree, index);
    bool there = value_is_slot(value);
    if (there) {
        f->object.swap = (u32)value_slot(value);
        object_attach(o, index, f, flags | FRAME_FILLING | FRAME_SWAP);
        radix_replace(&o->tree, index, f);
        o->cached++;
        count_slot(o, -1);
        swap_count_objects(1, 0);
    }
    spin_unlock(&o->lock);
    if (there)
        roster_came(f, !(flags & FRAME_REFERENCED));
    else
        frame_free(f, 0);
    *out = f;
    return there ? 0 : -EEXIST;
}

/* Its contents are there, or could not be read: then its slot is what the tree has again, unless it is to go. */
static void brought(struct object *o, struct frame *f, int error) {
    spin_lock(&o->lock);
    bool closing = frame_flags(f) & FRAME_CLOSING;
    if (error && closing)
        object_remove(o, object_index(f));
    else if (error)
        leave_slot(o, f);
    else if (swap_crowded(f->object.swap))
        object_dirty_locked(o, f);
    spin_unlock(&o->lock);
    if (error) {
        atomic_or(&f->flags, FRAME_ERROR);
        frame_unpin(f); /* the tree's */
    }
    atomic_and(&f->flags, (u8) ~(FRAME_FILLING | (error ? FRAME_CLOSING : 0)));
}

int object_swap_in(struct object *o, u64 index, bool overwrite, struct frame **out) {
    struct frame *frames[SWAP_AHEAD];
    int errors[SWAP_AHEAD] = {0};
    unsigned count = 1, most = 1;
    if (!overwrite)
        most = swap_ahead(index, atomic_load_relaxed(&o->in_at), atomic_load_relaxed(&o->in_pages));
    int error = bring(o, index, overwrite ? FRAME_ZEROED : 0, FRAME_REFERENCED, &frames[0]);
    if (error)
        return error;
    atomic_store_relaxed(&o->in_at, index);
    atomic_store_relaxed(&o->in_pages, most);
    while (count < most && frame_free_count() > 4 * SWAP_AHEAD && !bring(o, index + count, 0, 0, &frames[count]))
        count++;
    if (!overwrite) {
        u32 stall = machine_stall(STALL_MEMORY | STALL_IO | STALL_READ);
        swap_fill(frames, count, errors);
        machine_stall_over(stall);
    }
    for (unsigned i = 0; i < count; i++)
        brought(o, frames[i], errors[i]);
    waitq_wake_all(&o->filling);
    for (unsigned i = errors[0] ? 0 : 1; i < count; i++) /* the first stays pinned for the caller */
        frame_unpin(frames[i]);
    *out = errors[0] ? NULL : frames[0];
    return errors[0];
}

/* ---- an area is emptied ---- */

/* An object with slots, kept from going away: the first of the list, which goes to its end. *count: how many there are.
 */
static struct object *next_with_slots(u64 *count) {
    struct object *o = NULL, *each;
    *count = 0;
    spin_lock(&swapped.lock);
    list_for_each(each, &swapped.objects, in_swap)++ *count;
    if (*count) {
        o = list_first(&swapped.objects, struct object, in_swap);
        list_del(&o->in_swap);
        list_add_tail(&swapped.objects, &o->in_swap);
        atomic_add(&o->users, 1);
    }
    spin_unlock(&swapped.lock);
    return o;
}

/* The first page from *index on that is in one of these slots. */
static bool next_page(struct object *o, u64 first, u64 end, u64 *index) {
    void *value;
    spin_lock(&o->lock);
    *index = radix_next(&o->tree, *index, &value);
    while (*index != RADIX_NONE && !(value_is_slot(value) && value_slot(value) >= first && value_slot(value) < end))
        *index = radix_next(&o->tree, *index + 1, &value);
    spin_unlock(&o->lock);
    return *index != RADIX_NONE;
}

static int bring_back(struct object *o, u64 first, u64 end, int (*pause)(void)) {
    struct frame *f;
    int error = 0;
    for (u64 index = 0; !error && next_page(o, first, end, &index); index++) {
        error = object_swap_in(o, index, false, &f); /* brought() gives the slot back */
        if (!error)
            frame_unpin(f);
        error = error && error != -EEXIST ? error : pause();
    }
    return error;
}

int objects_bring_back(u64 first, u64 end, int (*pause)(void)) {
    u64 count = 1;
    int error = 0;
    for (u64 n = 0; n < count && !error; n++) {
        struct object *o = next_with_slots(&count);
        if (!o)
            break;
        error = bring_back(o, first, end, pause);
        object_release(o);
    }
    return error;
}

void objects_release(u64 first, u64 end) {
    for (struct frame *f = frames; f < frames + frame_count; f++) {
        if (frame_class(f) != FRAME_SHMEM || !(frame_flags(f) & FRAME_SWAP) || atomic_xchg(&f->hold, 1))
            continue;
        struct object *o = frame_class(f) == FRAME_SHMEM && atomic_load(&f->pins) ? keep_object(f) : NULL;
        atomic_store(&f->hold, 0);
        if (!o)
            continue;
        spin_lock(&o->lock);
        if (atomic_load_relaxed(&f->object.object) == o &&
            (frame_flags(f) & (FRAME_SWAP | FRAME_FILLING)) == FRAME_SWAP && f->object.swap >= first &&
            f->object.swap < end)
            object_dirty_locked(o, f);
        spin_unlock(&o->lock);
        object_release(o);
    }
}
