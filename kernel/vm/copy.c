/* copy.c - looking into an address space from outside: remote copies, futex keys, what a page holds. */
#include "vm/inner.h"
#include "vm/swap.h"
#include "vm/watch.h"

/* look, in the leaf that the slot of t may show large. */
static long look_below(struct walk *w, struct table *t, u64 page,
                       long (*look)(struct walk *w, struct table *t, u64 page, void *a), void *a) {
    entry e = t->level == 2 ? slot_read(&t->slots[slot_index(page, 2)]) : 0;
    if (!entry_is_large(e))
        return look(w, t, page, a);
    struct table *leaf = table_below(e);
    w->writable &= entry_writable(e);
    w->table[--w->level] = leaf;
    spin_lock(&leaf->lock);
    long result = look(w, leaf, page, a);
    spin_unlock(&leaf->lock);
    return result;
}

long with_table(struct space *s, u64 page, long (*look)(struct walk *w, struct table *t, u64 page, void *a), void *a) {
    struct walk w;
    bool held = false;
    long result = 0;
    space_enter(s);
    epoch_enter();
    while (!held) {
        walk_down(s, page, &w);
        struct table *t = w.table[w.level];
        spin_lock(&t->lock);
        held = walk_holds(s, page, &w);
        if (held)
            result = look_below(&w, t, page, look, a);
        spin_unlock(&t->lock);
    }
    epoch_leave();
    space_leave(s);
    return result;
}

struct copy {
    u64 offset; /* in the page */
    char *buffer;
    size_t bytes;
    bool write, force;
};

/* A forced write may go to a frame that is this slot's alone, whatever the slot allows; one in the swap cache must
 * leave it first, which a fault sees to. */
static bool may_write(const struct copy *c, const struct walk *w, entry e) {
    const struct frame *f = frame_of_phys(entry_phys(e));
    if (!w->writable || e & ENTRY_GUARDED)
        return false;
    return (entry_present(e) && entry_writable(e)) || (c->force && frame_class(f) == FRAME_ANON && frame_sole(f));
}

/* A device's memory, or a private copy of it: ptrace(2) does not reach what its protection forbids. */
static bool out_of_reach(const struct copy *c, const struct view *v) {
    return view_of_device(v) && !(v->flags & (c->write ? VIEW_WRITE : VIEW_PROT));
}

/* Copies if the slot allows it now: 1; 0: it must be faulted in first; -EFAULT: the view forbids it. The leaf is
 * locked, so the frame stays. */
static long copy_now(struct walk *w, struct table *t, u64 page, void *argument) {
    struct copy *c = argument;
    entry *slot = &t->slots[page - t->base], e = t->level == 1 ? slot_read(slot) : 0;
    if (!entry_present(e) && !(c->force && entry_withheld(e)))
        return 0;
    const struct view *v = plan_find(t, page - t->base)->view;
    if (out_of_reach(c, v) || (!c->force && !(v->flags & (c->write ? VIEW_WRITE : VIEW_READ))))
        return -EFAULT;
    if (c->write && !may_write(c, w, e))
        return 0;
    char *at = (char *)frame_va(frame_of_phys(entry_phys(e))) + c->offset;
    if (c->write) {
        memcpy(at, c->buffer, c->bytes);
        slot_set_bits(slot, ENTRY_DIRTY);
        if (e & ENTRY_CLEAN)
            slot_clear_bits(slot, ENTRY_CLEAN);
    } else {
        memcpy(c->buffer, at, c->bytes);
    }
    return 1;
}

/* A debugger waits for nobody who watches: so it is on Linux. */
static enum fault_outcome fault_in(struct space *s, u64 address, enum fault_access access, bool force) {
    enum fault_outcome outcome = space_fault_from(s, address, access, true, force);
    return outcome == FAULT_WATCHED && !force ? space_await(s, address, access, false) : outcome;
}

ssize_t space_copy(struct space *s, u64 address, void *buffer, size_t bytes, bool write, bool force) {
    size_t done = 0;
    enum fault_outcome outcome = FAULT_DONE;
    while (done < bytes && outcome == FAULT_DONE) {
        u64 at = address + done;
        struct copy c = {at % PAGE_SIZE, (char *)buffer + done, min(bytes - done, PAGE_SIZE - at % PAGE_SIZE), write,
                         force};
        long result = at >> PAGE_SHIFT < USER_PAGES ? with_table(s, at >> PAGE_SHIFT, copy_now, &c) : -EFAULT;
        if (result > 0)
            done += c.bytes;
        else if (result < 0)
            outcome = FAULT_ACCERR;
        else
            outcome = fault_in(s, at, write ? FAULT_WRITE : FAULT_READ, force);
    }
    return done ? (ssize_t)done : bytes ? -EFAULT : 0;
}

void space_barrier(struct space *s) {
    if (s)
        machine_flush(&s->m, 0, 0, false); /* nothing to forget: an interrupt on each CPU, and a wait for it */
    else
        machine_flush_everyone();
}

struct key_search {
    struct futex_key *key;
    u64 address;
};

static long find_key(struct walk *w, struct table *t, u64 page, void *argument) {
    struct key_search *search = argument;
    struct run *r = plan_find(t, page - t->base);
    if (!r || !(r->view->flags & VIEW_PROT))
        return -EFAULT;
    if (!view_object(r->view) && !(r->view->flags & VIEW_WRITE))
        return -EFAULT; /* the page would not be the same one after a write: futex(2) refuses */
    if (!view_object(r->view))
        return 0;
    struct object *o = view_object(r->view);
    u64 index = r->offset + (page - t->base - r->first);
    if (!o->ops->device && index >= object_pages(o))
        return -EFAULT; /* no page is there to wait on */
    if (r->view->flags & VIEW_SHARED)
        *search->key = (struct futex_key){o, (index << PAGE_SHIFT) | (search->address % PAGE_SIZE)};
    return 0;
}

int space_futex_key(struct space *s, u64 address, bool shared, struct futex_key *key) {
    struct key_search search = {key, address};
    *key = (struct futex_key){s, address};
    if (address >> PAGE_SHIFT >= USER_PAGES)
        return -EFAULT;
    return shared ? with_table(s, address >> PAGE_SHIFT, find_key, &search) : 0;
}

static long key_at(struct walk *w, struct table *t, u64 page, void *argument) {
    struct run *r = plan_find(t, page - t->base);
    return r ? (long)view_key(r->view) : -1;
}

int space_key(struct space *s, u64 address) {
    return address >> PAGE_SHIFT < USER_PAGES ? (int)with_table(s, address >> PAGE_SHIFT, key_at, NULL) : -1;
}

static long pin_at(struct walk *w, struct table *t, u64 page, void *argument) {
    entry e = t->level == 1 ? slot_read(&t->slots[page - t->base]) : 0;
    if (entry_present(e) && !entry_special(e))
        frame_pin(*(struct frame **)argument = frame_of_phys(entry_phys(e)));
    return 0;
}

struct frame *space_pin(struct space *s, u64 address) {
    struct frame *f = NULL;
    if (address >> PAGE_SHIFT < USER_PAGES)
        with_table(s, address >> PAGE_SHIFT, pin_at, &f);
    return f;
}

static long look_at(struct walk *w, struct table *t, u64 page, void *argument) {
    u64 *number = argument;
    struct run *r = plan_find(t, page - t->base);
    entry e = t->level == 1 ? slot_read(&t->slots[page - t->base]) : 0;
    if (!r)
        return 0;
    u32 mapped = PAGE_MAPPED;
    if (!(r->view->flags & VIEW_CLEAN) || (!entry_empty(e) && !(e & ENTRY_CLEAN)))
        mapped |= PAGE_WRITTEN;
    if (e & ENTRY_GUARDED)
        mapped |= PAGE_GUARDED;
    if (entry_swapped(e)) {
        struct frame *cached = swap_peek(entry_swap_slot(e));
        if (cached)
            frame_unpin(cached);
        *number = entry_swap_slot(e);
        return mapped | PAGE_SWAPPED | (cached ? PAGE_CACHED : 0);
    }
    if (e == entry_poison())
        return mapped | PAGE_CACHED;              /* as mincore(2) says of it on Linux */
    if (entry_special(e) && e != entry_guard()) { /* the zero frame, a device's */
        *number = entry_phys(e) >> PAGE_SHIFT;
        return mapped | PAGE_PRESENT | (*number == frame_number(zero_frame) ? PAGE_ZERO : 0);
    }
    if (entry_empty(e) || e == entry_guard()) {
        struct object *o = view_object(r->view);
        struct frame *f = o && !o->ops->device ? object_peek(o, r->offset + (page - t->base - r->first)) : NULL;
        if (f)
            frame_unpin(f);
        return mapped | (f ? PAGE_CACHED : 0) | (o ? 0 : PAGE_ANONYMOUS);
    }
    struct frame *f = frame_of_phys(entry_phys(e));
    bool alone = f->mapped == 1;
    for (unsigned level = 1; level < TABLE_LEVELS; level++)
        alone &= atomic_load(&w->table[level]->shares) == 1;
    *number = frame_number(f);
    return mapped | PAGE_PRESENT | (alone ? PAGE_EXCLUSIVE : 0) | (frame_class(f) != FRAME_ANON ? PAGE_OF_FILE : 0);
}

u32 space_present(struct space *s, u64 address, u64 *frame) {
    *frame = 0;
    return address >> PAGE_SHIFT < USER_PAGES ? with_table(s, address >> PAGE_SHIFT, look_at, frame) : 0;
}
