/* fault.c - making an access possible.
 *
 * The cases, by what the plan says (rows) and what the slot holds (columns); each has a function of that name:
 *
 *                      | no table       | empty            | zero frame    | object's frame    | anonymous frame
 *   nothing mapped     | no view: SIGSEGV, or grow down
 *   not allowed        | protection: SIGSEGV
 *   anonymous,  read   | make table     | anon read        | spurious      | -                 | spurious
 *   anonymous,  write  | make table     | anon write       | anon write    | -                 | break frame (copy or
 * take) private file, read | make table     | object read      | -             | spurious          | spurious private
 * file, write| make table     | object copy      | -             | object copy       | break frame (copy or take)
 *   shared file, read  | make table     | object read      | -             | spurious          | -
 *   shared file, write | make table     | object write     | -             | object write      | -
 *
 * No leaf, and a whole slot of level 2 would be anonymous and writable: anon large, if there is a block of 2 MiB. A
 * leaf shown large, whatever the access: fault large.
 *
 * A swap entry, whatever the access: swapped. The frame is found in the swap cache or read in, with its neighbours, and
 * mapped without write permission; then it is an anonymous frame like others.
 *
 * Before any write, the tables of the path are broken or taken over top-down (walk_own), so that the leaf is ours
 * alone. Read faults work in shared tables, for all sharers at once.
 *
 * One try runs inside the fork exclusion and an epoch section, and sleeps nowhere. What it lacks (memory, a page of a
 * file) it names; the loop in space_fault gets it with nothing held, and tries again from the root. */
#include "vm/inner.h"
#include "vm/object_inner.h"

#include "vm/roster.h"
#include "vm/slab.h"
#include "vm/swap.h"
#include "vm/watch.h"
#include "vm/writeback.h"

/* Pages mapped by one object read fault, if they are cached: 128 KiB, twice Linux's fault_around_bytes, since one more
 * page costs a twentieth of a fault. */
#define AROUND 32u

enum verdict {
    TRY_DONE,
    TRY_AGAIN,
    TRY_BELOW,    /* f->walk leads to a table that was just made: there */
    TRY_STOCK,    /* memory is missing: f->stock says what */
    TRY_OBJECT,   /* f->view's object must get page f->index */
    TRY_BLOCK,    /* f->block: 2 MiB, if they can be had */
    TRY_THROTTLE, /* too many pages of files are dirty: some must be written back first */
    TRY_SWAP,     /* f->in's pages must be read */
    TRY_GROW,     /* nothing is mapped here: perhaps a stack grows */
    TRY_MOVED,    /* the page is on the move: once that is over */
    TRY_MAPERR,   /* this and what follows is an answer */
    TRY_ACCERR,
    TRY_BUS,
    TRY_POISON,
    TRY_NOMEM,
    TRY_WATCHED,
    TRY_SUPPLIED, /* space_supply's answers: done; -EEXIST */
    TRY_TAKEN,
    TRY_GO_ON, /* not_at_once: as if nothing were watched */
};

/* Pages of one leaf that come back from swap together. */
struct inward {
    unsigned count;
    u64 slots[SWAP_AHEAD];            /* a count held of each while they are read */
    struct frame *frames[SWAP_AHEAD]; /* pinned, or NULL; valid once read */
};

#define HOW_FORCE 1u  /* a debugger's access: rule 8 of design.md's section 5 */
#define HOW_SUPPLY 2u /* no access, but somebody's answer to one: `supply` and `guard` say what */

struct fault {
    struct space *s;
    u64 page;
    enum fault_access access;
    u8 how; /* HOW_* */
    struct stock stock;
    struct walk walk;
    /* set once the leaf is locked */
    struct table *leaf;
    unsigned slot;
    const struct run *run; /* of its plan, for as long as it is locked */
    /* for TRY_OBJECT */
    struct view *view; /* a reference of ours */
    u64 index;
    struct frame *held;  /* pinned since the last object_get, so that it is still there at the next try */
    struct frame *block; /* for TRY_BLOCK: ours, zeroed */
    bool small;          /* no block is to be had */
    struct inward in;    /* for TRY_SWAP: the pages to read, and then their frames */
    /* with HOW_SUPPLY alone */
    enum supply supply;
    bool guard;
};

static inline u32 needed(enum fault_access access) {
    static const u32 needs[] = {
        [FAULT_READ] = VIEW_PROT, /* the hardware gives read with write and with exec */
        [FAULT_WRITE] = VIEW_WRITE,
        [FAULT_EXEC] = VIEW_EXEC,
    };
    return needs[access];
}
static inline bool allowed(const struct view *v, enum fault_access access) { return v->flags & needed(access); }

/* forcible: private memory may be written, and whatever could be made readable read, against its protection; a device's
 * not. */
static bool forcible(const struct view *v, enum fault_access access) {
    if (view_of_device(v))
        return false;
    return access == FAULT_WRITE ? !(v->flags & VIEW_SHARED) : v->max_prot & VIEW_READ;
}

/* What a slot shows after a forced access: the frame, with no more rights than the view gives. */
static entry shown(const struct fault *f, entry e) {
    u32 flags = f->run->view->flags;
    if (likely(!(f->how & HOW_FORCE)))
        return e;
    if (!(flags & VIEW_WRITE))
        e &= ~ENTRY_WRITE;
    return flags & VIEW_PROT ? e : entry_withhold(e);
}

/* What is read under a view that was cleaned has not been written since (space_clean). */
static inline entry clean_bit(const struct view *v) { return unlikely(v->flags & VIEW_CLEAN) ? ENTRY_CLEAN : 0; }

static void install(struct fault *f, u64 phys, bool write, entry bits) {
    entry e = shown(f, entry_frame(phys, write, view_rights(f->run->view)) | bits);
    e |= write ? 0 : clean_bit(f->run->view);
    slot_store(&f->leaf->slots[f->slot], e);
    table_used(f->leaf, f->slot);
    leaf_count(f->leaf, e, 1);
}

/* A frame of our own takes the place of what the slot shows; nobody may still see the old one when its count drops. */
static void replace(struct fault *f, struct frame *fresh) {
    entry e = shown(f, entry_frame(frame_phys(fresh), true, view_rights(f->run->view)));
    entry old = slot_exchange(&f->leaf->slots[f->slot], e);
    atomic_hint_add(&f->leaf->anon, 1);
    table_used(f->leaf, f->slot);
    if (unlikely(!entry_empty(old))) {
        machine_flush(&f->s->m, f->page << PAGE_SHIFT, (f->page + 1) << PAGE_SHIFT, false);
        leaf_forget(f->leaf, old);
    }
}

/* The stock's frame becomes an anonymous frame of this slot. */
static struct frame *take_frame(struct fault *f) {
    struct frame *fresh = f->stock.frame;
    f->stock.frame = NULL;
    atomic_store_relaxed(&fresh->anon.ring, f->leaf->ring);
    atomic_store_relaxed(&fresh->anon.index, f->slot);
    atomic_store(&fresh->mapped, 1); /* nobody else knows it yet; last: reclaim believes the ring of a mapped frame */
    roster_came(fresh, false);
    return fresh;
}

static bool lacks_frame(struct fault *f) {
    f->stock.want_frame = !f->stock.frame;
    return f->stock.want_frame;
}

static enum verdict anon_read(struct fault *f) {
    install(f, frame_phys(zero_frame), false, ENTRY_SPECIAL);
    event(EVENT_FAULT_ZERO, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

static enum verdict anon_write(struct fault *f) {
    if (lacks_frame(f))
        return TRY_STOCK;
    struct frame *fresh = take_frame(f);
    machine_zero_page(frame_va(fresh));
    replace(f, fresh);
    event(EVENT_FAULT_ANON, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

static enum verdict copy_from(struct fault *f, const struct frame *source) {
    if (lacks_frame(f))
        return TRY_STOCK;
    struct frame *fresh = take_frame(f);
    machine_copy_page(frame_va(fresh), frame_va(source));
    replace(f, fresh);
    event(EVENT_FAULT_COPY, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

/* The slot, present, is about to be written: before it may be, it counts as changed. */
static inline void written(struct fault *f) {
    if (unlikely(slot_read(&f->leaf->slots[f->slot]) & ENTRY_CLEAN))
        slot_clear_bits(&f->leaf->slots[f->slot], ENTRY_CLEAN);
}

/* Only this slot maps the frame and nobody else refers to it: it may be written. No flush: a stale, lower right only
 * faults. */
static enum verdict take_over_frame(struct fault *f) {
    written(f);
    slot_set_bits(&f->leaf->slots[f->slot], f->run->view->flags & VIEW_WRITE ? ENTRY_WRITE | ENTRY_DIRTY
                                                                             : ENTRY_DIRTY); /* the latter if forced */
    event(EVENT_FAULT_TAKE_FRAME, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

static enum verdict break_frame(struct fault *f, struct frame *frame) {
    if (swap_sole(frame))
        return take_over_frame(f);
    return copy_from(f, frame);
}

/* ---- swapped ---- */

/* A frame takes the place of the swap entry of slot i. */
static void replace_swapped(struct fault *f, unsigned i, struct frame *frame, entry bits) {
    entry e = entry_frame(frame_phys(frame), false, view_rights(f->run->view));
    bits |= slot_read(&f->leaf->slots[i]) & (ENTRY_CLEAN | ENTRY_GUARDED);
    entry old = slot_exchange(&f->leaf->slots[i], shown(f, (e & ~ENTRY_ACCESSED) | bits));
    leaf_count(f->leaf, e, 1);
    leaf_forget(f->leaf, old);
}

/* The pinned frame of a swap entry takes its place; its pin becomes the mapping. False: it is mapped at another index
 * or in another ring, since mremap moved one of them. */
static bool map_swapped(struct fault *f, unsigned i, struct frame *frame, entry bits) {
    if (!swap_claim(frame, f->leaf->ring, i))
        return false;
    replace_swapped(f, i, frame, bits);
    if (swap_crowded(frame->anon.swap))
        swap_take(frame);
    return true;
}

/* ... then it is copied, here, once. */
static bool copy_swapped(struct fault *f, const struct frame *source) {
    if (lacks_frame(f))
        return false;
    struct frame *fresh = take_frame(f);
    machine_copy_page(frame_va(fresh), frame_va(source));
    replace_swapped(f, f->slot, fresh, ENTRY_ACCESSED | ENTRY_DIRTY);
    /* reclaim may not have flushed yet, and this copy may be written: nobody here sees the old one any more */
    machine_flush(&f->s->m, f->page << PAGE_SHIFT, (f->page + 1) << PAGE_SHIFT, false);
    return true;
}

/* Those read with it, where the table still wants them. */
static void map_neighbours(struct fault *f) {
    for (unsigned i = f->slot + 1, n = 0; n < f->in.count && i < f->run->end; i++) {
        entry e = slot_read(&f->leaf->slots[i]);
        while (n < f->in.count && entry_swapped(e) && f->in.slots[n] != entry_swap_slot(e))
            n++;
        if (n < f->in.count && entry_swapped(e) && f->in.frames[n] && map_swapped(f, i, f->in.frames[n], 0))
            f->in.frames[n] = NULL;
    }
}

static void forget_inward(struct inward *in) {
    for (unsigned i = 0; i < in->count; i++)
        if (in->frames[i])
            frame_unpin(in->frames[i]);
    in->count = 0;
}

/* What to read: this page, and entries after it in the same run, in virtual order. */
static enum verdict want_swapped(struct fault *f, u64 slot) {
    struct inward *in = &f->in;
    forget_inward(in);
    struct table *t = f->leaf;
    t->ahead = (u8)swap_ahead(f->slot, t->ahead_at, t->ahead);
    t->ahead_at = (u16)f->slot;
    for (unsigned i = f->slot; i < f->run->end && in->count < t->ahead; i++) {
        entry e = slot_read(&f->leaf->slots[i]);
        if (!entry_swapped(e))
            break;
        in->slots[in->count++] = entry_swap_slot(e);
        swap_dup(entry_swap_slot(e));
    }
    return TRY_SWAP;
}

static enum verdict write_to_present(struct fault *f, entry e);

static enum verdict swapped(struct fault *f, entry e) {
    u64 slot = entry_swap_slot(e);
    struct frame *frame = NULL;
    bool read = f->in.count && f->in.slots[0] == slot && f->in.frames[0];
    if (read) {
        frame = f->in.frames[0];
        f->in.frames[0] = NULL;
    } else if ((frame = swap_peek(slot)) && (atomic_load(&frame->flags) & FRAME_FILLING)) {
        frame_unpin(frame);
        frame = NULL;
    }
    if (!frame)
        return want_swapped(f, slot);
    if (!map_swapped(f, f->slot, frame, ENTRY_ACCESSED)) {
        bool copied = copy_swapped(f, frame);
        frame_unpin(frame);
        if (!copied)
            return TRY_STOCK;
    }
    if (read)
        map_neighbours(f);
    return f->access == FAULT_WRITE ? write_to_present(f, slot_read(&f->leaf->slots[f->slot])) : TRY_DONE;
}

/* Nothing held. */
static enum verdict get_swapped(struct fault *f) {
    struct inward *in = &f->in;
    u64 held[SWAP_AHEAD];
    unsigned count = in->count;
    memcpy(held, in->slots, sizeof(held));
    u32 stall = machine_stall(STALL_MEMORY | STALL_IO | STALL_READ);
    int error = swap_read(held, count, in->frames);
    machine_stall_over(stall);
    for (unsigned i = 0; i < count; i++)
        swap_put(held[i]);
    if (!error)
        return TRY_AGAIN;
    in->count = 0;
    return error == -ENOMEM ? TRY_NOMEM : TRY_BUS;
}

/* The object's frame of the faulting page, pinned; NULL: *verdict says why not. */
static struct frame *object_frame(struct fault *f, u64 page, enum verdict *verdict) {
    struct object *o = view_object(f->run->view);
    u64 index = f->run->offset + (page - f->leaf->base - f->run->first);
    if (index >= object_pages(o)) {
        *verdict = TRY_BUS;
        return NULL;
    }
    struct frame *frame = object_peek(o, index);
    if (!frame) {
        *verdict = TRY_OBJECT;
        f->index = index;
    }
    return frame;
}

static void map_object_frame(struct fault *f, struct frame *frame, bool write) {
    install(f, frame_phys(frame), write, 0);
    atomic_add(&frame->counts, FRAME_ONE_MAP - FRAME_ONE_PIN); /* our pin becomes the mapping */
}

/* What is cached of the page and its neighbours is mapped: a program that reads one page of a file reads the next. As
 * used, all of them: so does Linux on x86. True: the page itself was. */
static bool map_around(struct fault *f) {
    struct object *o = view_object(f->run->view);
    struct table *t = f->leaf;
    unsigned start = align_down(f->slot, AROUND);
    u64 first = max((u64)start, f->run->first), end = min(first + AROUND, f->run->end);
    u64 index = f->run->offset + (first - f->run->first), pages = object_pages(o);
    end = min(end, first + (pages > index ? pages - index : 0));
    entry bits = entry_frame(0, false, view_rights(f->run->view)) | clean_bit(f->run->view);
    u64 mapped = object_show_row(o, index, end - first, &t->slots[first], bits);
    bool found = !entry_empty(slot_read(&t->slots[f->slot]));
    if (mapped) {
        table_used(t, first);
        table_used(t, end - 1);
        atomic_hint_add(&t->object, mapped);
    }
    event(EVENT_FAULT_AROUND, f->page << PAGE_SHIFT, mapped - found);
    return found;
}

/* A device's frame: not counted, and a private view copies it when it is written to. */
static enum verdict object_device(struct fault *f, entry e) {
    struct object *o = view_object(f->run->view);
    struct frame *frame = o->ops->device(o, f->run->offset + (f->page - f->leaf->base - f->run->first));
    if (!frame)
        return TRY_BUS;
    if (f->access == FAULT_WRITE && !(f->run->view->flags & VIEW_SHARED))
        return copy_from(f, frame);
    if (entry_present(e)) /* no flush: a stale, lower right only faults */
        written(f), slot_set_bits(&f->leaf->slots[f->slot], ENTRY_WRITE | ENTRY_DIRTY);
    else
        install(f, frame_phys(frame), f->access == FAULT_WRITE, ENTRY_SPECIAL);
    return TRY_DONE;
}

static enum verdict object_read(struct fault *f) {
    enum verdict verdict;
    if ((f->how & HOW_FORCE) || (f->run->view->watches & (WATCH_GUARDED | WATCH_MINOR)) || !map_around(f)) {
        struct frame *frame = object_frame(f, f->page, &verdict);
        if (!frame)
            return verdict;
        map_object_frame(f, frame, false);
    }
    event(EVENT_FAULT_OBJECT, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

static enum verdict object_copy(struct fault *f) {
    enum verdict verdict;
    struct frame *frame = object_frame(f, f->page, &verdict);
    if (!frame)
        return verdict;
    verdict = copy_from(f, frame);
    frame_unpin(frame);
    return verdict;
}

static enum verdict object_write(struct fault *f, entry e) {
    enum verdict verdict;
    struct frame *frame = object_frame(f, f->page, &verdict);
    if (!frame)
        return verdict;
    if (unlikely(writeback_full()) && view_object(f->run->view)->ops->write_back &&
        !(frame_flags(frame) & FRAME_DIRTY)) {
        frame_unpin(frame);
        return TRY_THROTTLE;
    }
    object_dirty(view_object(f->run->view), frame);
    if (entry_present(e)) {
        written(f);
        slot_set_bits(&f->leaf->slots[f->slot], ENTRY_WRITE | ENTRY_DIRTY);
        frame_unpin(frame);
    } else {
        map_object_frame(f, frame, true);
    }
    event(EVENT_FAULT_OBJECT, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

static enum verdict empty_slot(struct fault *f) {
    const struct view *v = f->run->view;
    bool write = f->access == FAULT_WRITE;
    if (!view_object(v))
        return write ? anon_write(f) : anon_read(f);
    if (view_object(v)->ops->device)
        return object_device(f, 0);
    if (!write)
        return object_read(f);
    return v->flags & VIEW_SHARED ? object_write(f, 0) : object_copy(f);
}

static enum verdict write_to_present(struct fault *f, entry e) {
    struct frame *frame = frame_of_phys(entry_phys(e));
    if (entry_special(e))
        return frame == zero_frame ? anon_write(f) : object_device(f, e);
    if (f->run->view->flags & VIEW_SHARED)
        return object_write(f, e);
    return frame_class(frame) == FRAME_ANON ? break_frame(f, frame) : copy_from(f, frame);
}

static enum verdict spurious(struct fault *f) {
    machine_flush_local(f->page << PAGE_SHIFT);
    event(EVENT_FAULT_SPURIOUS, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

/* ---- leaves shown large ---- */

u32 vm_large = LARGE_ALWAYS;

/* A whole slot of level 2 is missing, under one run of anonymous memory that may be written. */
static bool wants_large(struct fault *f, struct table *t, const struct run *run) {
    u32 flags = run->view->flags;
    u64 first = align_down(f->page, (u64)TABLE_SLOTS) - t->base;
    if (f->small || (f->how & HOW_FORCE) || run->view->watch || f->s->limits.no_large || t->level != 2 ||
        f->access != FAULT_WRITE || view_object(run->view))
        return false;
    if ((flags & (VIEW_NOHUGE | VIEW_SHARED | VIEW_GROWSDOWN | VIEW_STACK | VIEW_SPECIAL)) ||
        !(vm_large == LARGE_ALWAYS || (vm_large == LARGE_ADVISED && (flags & VIEW_HUGE))))
        return false;
    return run->first <= first && first + TABLE_SLOTS <= run->end;
}

static enum verdict anon_large(struct fault *f, struct table *t) {
    if (!f->block)
        return TRY_BLOCK;
    if (!table_make_large(t, slot_index(f->page, 2), &f->stock, f->block))
        return TRY_STOCK;
    f->block = NULL;
    event(EVENT_FAULT_LARGE, f->page << PAGE_SHIFT, 1);
    return TRY_DONE;
}

/* Nothing held. Only while most memory is free: a page that is touched once costs 512. */
static enum verdict get_block(struct fault *f) {
    if (2 * frame_free_count() > frame_count)
        f->block = frame_alloc(LARGE_ORDER, FRAME_ANON, FRAME_ZEROED | FRAME_TRY);
    f->small = !f->block;
    return TRY_AGAIN;
}

/* The slot of t, locked, shows the leaf large. What it does not allow, the leaf's own entries may, once it is shown
 * small; the tables above are ours when it comes to that. */
static enum verdict fault_large(struct fault *f, struct table *t, entry e) {
    unsigned i = slot_index(f->page, 2);
    struct table *leaf = table_below(e);
    if (f->how & HOW_SUPPLY)
        return TRY_TAKEN;
    spin_lock(&leaf->lock);
    bool may = allowed(plan_find(leaf, f->page - leaf->base)->view, f->access);
    /* Nobody has cloned it, and nobody can: shares is raised under the lock of t, and who breaks away from it clones it
     * and lowers shares under that of the leaf. */
    bool alone = atomic_load(&leaf->shares) == 1 && entry_writable(slot_read(&leaf->slots[0]));
    spin_unlock(&leaf->lock);
    if (!may)
        return TRY_ACCERR;
    if (f->access != FAULT_WRITE)
        return spurious(f);
    if (!f->walk.writable)
        return TRY_AGAIN;
    if (entry_writable(e))
        return spurious(f);
    if (alone) {
        slot_set_bits(&t->slots[i], ENTRY_WRITE | ENTRY_DIRTY);
        event(EVENT_TABLE_TAKEN, leaf->base << PAGE_SHIFT, 1);
        return TRY_DONE;
    }
    return table_own(f->s, t, i, &f->stock, &leaf) == STEP_STOCK ? TRY_STOCK : TRY_AGAIN;
}

/* Withheld though the view allows something: it came back when its swap area was emptied. No flush: it only gains
 * rights. */
static entry let_translate(struct fault *f, entry e) {
    entry now = entry_restore(e, view_rights(f->run->view));
    slot_store(&f->leaf->slots[f->slot], now);
    return now;
}

static enum verdict fault_leaf(struct fault *f) {
    entry e = slot_read(&f->leaf->slots[f->slot]);
    if (entry_empty(e))
        return empty_slot(f);
    if (unlikely(entry_swapped(e)))
        return swapped(f, e);
    if (unlikely(e == entry_poison()))
        return TRY_POISON;
    if (unlikely(entry_withheld(e)) && (f->run->view->flags & VIEW_PROT))
        e = let_translate(f, e);
    if (unlikely(entry_withheld(e))) /* nothing is allowed: it is forced */
        return f->access == FAULT_WRITE ? write_to_present(f, e) : TRY_DONE;
    if (f->access == FAULT_WRITE && !entry_writable(e))
        return write_to_present(f, e);
    return spurious(f);
}

/* Between its mapping at the new place and its unmapping at the old one a page that mremap moves would be empty in
 * either: what was written there would be lost. All of its leaf waits, for a fault beside it may make that, or show
 * what lies around: and the move has made ready what it takes. */
static bool is_moving(const struct space *s, u64 page) {
    u64 leaf = align_down(page, (u64)TABLE_SLOTS), end = leaf + TABLE_SLOTS;
    return (leaf < s->moving_from + s->moving_pages && s->moving_from < end) ||
           (leaf < s->moving_to + s->moving_pages && s->moving_to < end);
}

static enum verdict make_below(struct fault *f, struct table *t) {
    unsigned i = slot_index(f->page, t->level);
    struct table *made;
    if (!table_make(t, i, &f->stock, &made))
        return TRY_STOCK;
    f->walk.slot[t->level] = slot_read(&t->slots[i]);
    f->walk.table[--f->walk.level] = made;
    return TRY_BELOW;
}

static inline enum verdict want_object(struct fault *f, enum verdict verdict) {
    if (verdict == TRY_OBJECT) {
        f->view = f->run->view;
        view_get(f->view);
    }
    return verdict;
}

/* ---- memory that is watched (watch.h) ---- */

/* The slot, empty or with a guard's marker, gets e. */
static void fill_slot(struct fault *f, entry e) {
    entry old = slot_read(&f->leaf->slots[f->slot]);
    const u32 flags = f->run->view->flags;
    if (!entry_empty(old)) {
        slot_store(&f->leaf->slots[f->slot], 0);
        leaf_count(f->leaf, old, -1);
    }
    slot_store(&f->leaf->slots[f->slot], flags & VIEW_PROT ? e : entry_withhold(e));
    table_used(f->leaf, f->slot);
    leaf_count(f->leaf, e, 1);
}

/* The object's page is shown, not writable. */
static enum verdict fill_from_object(struct fault *f, entry bits) {
    enum verdict verdict = TRY_DONE;
    struct frame *frame = object_frame(f, f->page, &verdict);
    if (!frame)
        return verdict;
    fill_slot(f, entry_frame(frame_phys(frame), false, view_rights(f->run->view)) | bits);
    atomic_add(&frame->counts, FRAME_ONE_MAP - FRAME_ONE_PIN); /* our pin becomes the mapping */
    return TRY_DONE;
}

static bool past_the_end(const struct fault *f) {
    struct object *o = view_object(f->run->view);
    return o && f->run->offset + (f->page - f->leaf->base - f->run->first) >= object_pages(o);
}

/* The slot, on a path of our own, gets what space_supply was given. */
static enum verdict supply_slot(struct fault *f) {
    const struct view *v = f->run->view;
    entry e = slot_read(&f->leaf->slots[f->slot]), rights = view_rights(v), bits = f->guard ? ENTRY_GUARDED : 0;
    bool write = (v->flags & VIEW_WRITE) && !f->guard;
    enum verdict verdict = TRY_SUPPLIED;
    if (past_the_end(f))
        verdict = TRY_BUS;
    else if (!entry_empty(e) && e != entry_guard())
        verdict = TRY_TAKEN;
    else if (f->supply == SUPPLY_PAGE)
        fill_slot(f, entry_frame(frame_phys(take_frame(f)), write, rights) | ENTRY_DIRTY | bits);
    else if (f->supply == SUPPLY_ZERO)
        fill_slot(f, entry_frame(frame_phys(zero_frame), false, rights) | ENTRY_SPECIAL | bits);
    else
        verdict = fill_from_object(f, bits);
    return verdict == TRY_DONE ? TRY_SUPPLIED : verdict == TRY_OBJECT ? TRY_BUS : verdict;
}

/* The view lets no access pass unasked: it forbids this one, or it is watched. t is the deepest table. */
static __attribute__((noinline)) enum verdict not_at_once(struct fault *f, struct table *t) {
    const struct view *v = f->run->view;
    if (f->how & HOW_SUPPLY) {
        if (f->walk.writable && t->level == 1) {
            f->leaf = t;
            f->slot = slot_index(f->page, 1);
            return supply_slot(f);
        }
        return TRY_GO_ON; /* the way there is made as for a write */
    }
    if (!allowed(v, f->access) && !((f->how & HOW_FORCE) && forcible(v, f->access)))
        return TRY_ACCERR;
    entry e = t->level == 1 ? slot_read(&t->slots[f->page - t->base]) : 0;
    if (!v->watch)
        return TRY_GO_ON;
    u32 why = watch_reason(f->run, f->page - t->base, e, f->access);
    if (why &&
        !(why == WATCH_MINOR && f->held)) /* a page that this fault itself had the object get is none to be told of */
        return TRY_WATCHED;
    if (e != entry_guard() || f->access == FAULT_WRITE)
        return TRY_GO_ON;
    f->leaf = t;
    f->slot = slot_index(f->page, 1);
    return want_object(f, fill_from_object(f, ENTRY_GUARDED));
}

/* With the deepest table of the path locked and the path compared: f->run is what the plan says. */
static enum verdict fault_locked(struct fault *f, struct table *t) {
    entry e = t->level == 2 ? slot_read(&t->slots[slot_index(f->page, 2)]) : 0;
    if (entry_is_large(e))
        return fault_large(f, t, e);
    struct run *run = plan_find(t, f->page - t->base);
    if (!run)
        return TRY_GROW;
    if (unlikely(f->s->moving_pages) && is_moving(f->s, f->page))
        return TRY_MOVED;
    f->run = run;
    enum verdict verdict = TRY_GO_ON;
    if (unlikely(!(run->view->at_once & needed(f->access))))
        verdict = not_at_once(f, t);
    if (unlikely(verdict != TRY_GO_ON))
        return verdict;
    if (f->access == FAULT_WRITE && !f->walk.writable)
        return TRY_AGAIN; /* fault_try breaks the path */
    if (t->level > 1)
        return wants_large(f, t, run) ? anon_large(f, t) : make_below(f, t);
    f->leaf = t;
    f->slot = slot_index(f->page, 1);
    return want_object(f, fault_leaf(f));
}

/* The deepest table of the walk, locked, is where the path leads. What was found exclusive stays where it is until we
 * leave, so of such a path only the end is looked at again: whether another fault made a table there. */
static inline bool still_there(struct fault *f, const struct table *t) {
    if (f->walk.writable)
        return t->level == 1 || !entry_is_table(slot_read(&t->slots[slot_index(f->page, t->level)]));
    return walk_holds(f->s, f->page, &f->walk);
}

static enum verdict fault_try(struct fault *f) {
    enum verdict verdict = TRY_AGAIN;
    enum step own = STEP_AGAIN;
    while (verdict == TRY_AGAIN || verdict == TRY_BELOW) {
        if (own == STEP_AGAIN && verdict == TRY_AGAIN)
            walk_down(f->s, f->page, &f->walk);
        own = STEP_AGAIN;
        struct table *t = f->walk.table[f->walk.level];
        spin_lock(&t->lock);
        bool held = still_there(f, t);
        verdict = TRY_AGAIN;
        if (held)
            verdict = fault_locked(f, t);
        spin_unlock(&t->lock);
        if (held && verdict == TRY_AGAIN && f->access == FAULT_WRITE && !f->walk.writable)
            own = walk_own(f->s, f->page, &f->walk, &f->stock); /* done: the walk leads along the path that is ours */
        if (own == STEP_STOCK)
            verdict = TRY_STOCK;
    }
    return verdict;
}

static bool grows_too_far(const struct space *s, const struct piece *stack, u64 page) {
    u64 more = stack->first - page;
    return (stack->end - page) << PAGE_SHIFT > s->limits.stack ||
           (s->sum.total + more) << PAGE_SHIFT > s->limits.address_space ||
           ((stack->view->flags & VIEW_LOCKED) && (s->sum.locked + more) << PAGE_SHIFT > s->limits.locked);
}

/* Grow down: a range operation, then the fault is tried again. The gap below must stay: 256 pages to the next mapping,
 * unless that one grows down too. */
static enum verdict grow(struct fault *f) {
    struct space *s = f->s;
    struct piece stack, below;
    struct view *view = NULL;
    mutex_lock(&s->range);
    space_close(s);
    bool found = joined_next(s, f->page, &stack);
    if (found && stack.first <= f->page)
        found = false; /* somebody mapped it meanwhile: just try again */
    else if (!found || !(stack.view->flags & VIEW_GROWSDOWN) || f->page < FIRST_PAGE ||
             (piece_prev(s, f->page, &below) && below.end + GUARD_PAGES > f->page &&
              !(below.view->flags & VIEW_GROWSDOWN) && (below.view->flags & VIEW_PROT)) ||
             grows_too_far(s, &stack, f->page))
        view = err_ptr(-ENOMEM);
    else
        view_get(view = stack.view);
    space_open(s);
    enum verdict verdict = view && is_err(view) ? TRY_MAPERR : TRY_AGAIN;
    if (view && !is_err(view)) {
        if (space_replace(s, f->page, stack.first, view, 0))
            verdict = TRY_MAPERR;
        view_put(view);
    }
    mutex_unlock(&s->range);
    views_reap();
    return verdict;
}

static enum verdict wait_for_move(struct space *s) {
    mutex_lock(&s->range);
    mutex_unlock(&s->range);
    return TRY_AGAIN;
}

static enum verdict wait_for_writeback(void) {
    writeback_wait();
    return TRY_AGAIN;
}

static enum verdict get_object_page(struct fault *f) {
    if (f->held)
        frame_unpin(f->held);
    f->held = NULL;
    u32 flags = f->view->flags;
    enum habit how = flags & VIEW_RANDOM ? HABIT_RANDOM : flags & VIEW_SEQUENTIAL ? HABIT_SEQUENTIAL : HABIT_NORMAL;
    int error = object_read_for(f->view->file, f->index, how, &f->held);
    bool poisoned = error == -EIO && object_poisoned(view_object(f->view), f->index);
    view_put(f->view);
    if (!error)
        return TRY_AGAIN;
    if (poisoned)
        return TRY_POISON;
    return error == -ENOMEM ? TRY_NOMEM : TRY_BUS;
}

static enum fault_outcome outcome_of(enum verdict verdict) {
    switch (verdict) {
    case TRY_DONE:
        return FAULT_DONE;
    case TRY_MAPERR:
        return FAULT_MAPERR;
    case TRY_ACCERR:
        return FAULT_ACCERR;
    case TRY_BUS:
        return FAULT_BUS_ADRERR;
    case TRY_POISON:
        return FAULT_POISON;
    case TRY_WATCHED:
        return FAULT_WATCHED;
    default:
        return FAULT_NOMEM;
    }
}

static inline enum verdict fault_inside(struct fault *f) {
    space_enter(f->s);
    epoch_enter();
    enum verdict verdict = fault_try(f);
    epoch_leave();
    space_leave(f->s);
    return verdict;
}

/* What the first try lacked is got, with nothing held, and so on until there is an answer. */
static __attribute__((noinline)) enum verdict fault_again(struct fault *f, enum verdict verdict, bool remote) {
    while (verdict > TRY_DONE && verdict < TRY_MAPERR) {
        if (verdict == TRY_STOCK)
            verdict = stock_fill(&f->stock) ? TRY_NOMEM : TRY_AGAIN;
        else if (verdict == TRY_OBJECT)
            verdict = get_object_page(f);
        else if (verdict == TRY_BLOCK)
            verdict = get_block(f);
        else if (verdict == TRY_SWAP)
            verdict = get_swapped(f);
        else if (verdict == TRY_GROW)
            verdict =
                remote && !(f->how & HOW_FORCE) ? TRY_MAPERR : grow(f); /* a debugger grows a stack, as on Linux */
        else if (verdict == TRY_MOVED)
            verdict = wait_for_move(f->s);
        else if (verdict == TRY_THROTTLE)
            verdict = wait_for_writeback();
        if (verdict == TRY_AGAIN)
            verdict = fault_inside(f);
    }
    if (f->held)
        frame_unpin(f->held);
    if (f->block)
        frame_free(f->block, LARGE_ORDER);
    if (f->in.count)
        forget_inward(&f->in);
    if (f->view)
        views_reap();
    return verdict;
}

/* A fault in whose stock the frame is. */
int fault_supply(struct space *s, u64 page, enum supply how, struct frame **frame, bool guard) {
    struct fault f = {.s = s,
                      .page = page,
                      .access = FAULT_WRITE,
                      .how = HOW_SUPPLY,
                      .stock = {.frame = frame ? *frame : NULL},
                      .supply = how,
                      .guard = guard};
    enum verdict verdict = fault_inside(&f);
    if (verdict != TRY_SUPPLIED)
        verdict = fault_again(&f, verdict, true);
    if (frame) {
        *frame = f.stock.frame;
        f.stock.frame = NULL;
    }
    stock_empty(&f.stock);
    return verdict == TRY_SUPPLIED ? 0 : verdict == TRY_TAKEN ? -EEXIST : verdict == TRY_NOMEM ? -ENOMEM : -EFAULT;
}

enum fault_outcome space_fault(struct space *s, u64 address, enum fault_access access) {
    return space_fault_from(s, address, access, false, false);
}

enum fault_outcome space_fault_from(struct space *s, u64 address, enum fault_access access, bool remote, bool force) {
    struct fault f;
    f.s = s;
    f.page = address >> PAGE_SHIFT;
    f.access = access;
    f.how = force; /* HOW_FORCE */
    stock_begin(&f.stock);
    f.view = NULL;
    f.held = NULL;
    f.block = NULL;
    f.small = false;
    f.in.count = 0;
    if (access == FAULT_WRITE) /* nearly every write fault needs one; without it the first try would be in vain */
        f.stock.frame = frame_alloc(0, FRAME_ANON, 0);
    event(EVENT_FAULT, address, 1);
    u64 reads = machine_reads();
    enum verdict verdict = likely(f.page < USER_PAGES) ? fault_inside(&f) : TRY_MAPERR;
    if (unlikely(verdict != TRY_DONE))
        verdict = fault_again(&f, verdict, remote);
    stock_empty(&f.stock);
    bool major = machine_reads() != reads;
    if (unlikely(major))
        event(EVENT_FAULT_MAJOR, address, 1);
    if (unlikely(verdict != TRY_DONE))
        return outcome_of(verdict);
    machine_faulted(major);
    return FAULT_DONE;
}
