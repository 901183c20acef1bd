/* reclaim.c - finding memory when none is free: the mechanism. Which page goes is the policy's to say (policy.h).
 *
 * A hand goes over the frame descriptors, as far as the policy asks, and harvests each leaf table that it meets: the
 * frames that were used are marked FRAME_REFERENCED, shared tables once for all their sharers. Of the pages that the
 * policy names,
 *
 *   one used since    stays
 *   an object's       is evicted: it is forgotten, or written to the swap area if it has no other home
 *   an anonymous one  is withdrawn: every slot that maps it gets a swap entry in its place, the table edited as it is,
 *                     for all sharers at once
 *
 * What was withdrawn goes in batches: one flush of everyone, then the contents are written, then the frames are freed.
 * A fault on such an entry meanwhile finds the frame in the swap cache, and maps it again: it stays.
 *
 * A leaf that is shown large is shown small first, if its large entry was not used since the hand came by.
 *
 * One task at a time reclaims. Others that need memory meanwhile wait for the end of its batch, not for their turn: it
 * is memory that they want.
 *
 * Nothing here makes or breaks a table, and what it allocates may come from the reserve: so it always gets on. */
#include "vm/background.h"
#include "vm/inner.h"
#include "vm/roster.h"
#include "vm/slab.h"
#include "vm/swap.h"
#include "vm/writeback.h"
#include "vm/zswap.h"

static struct mutex reclaiming = MUTEX_INIT(reclaiming); /* one at a time; protects all below */
static struct waitq batch_ended = WAITQ_INIT(batch_ended);
static u64 batches;                  /* atomic: that have ended */
static struct reclaim_totals totals; /* read without the mutex */
static u64 hand;                     /* the frame whose table is harvested next */
static struct outward out;           /* pages of objects that the batch has on their way to the swap area */
static bool lazy_used; /* MADV_FREE was called, ever: without swap there may be frames to take all the same */
static u64 (*shrinkers[8])(u64 pages);
static unsigned shrinker_count;

struct batch {
    struct frame *frames[SWAP_CLUSTER]; /* pinned, cached, withdrawn */
    struct frame *fresh[SWAP_CLUSTER];  /* of them, those to be written */
    unsigned count, fresh_count;
    u64 spare;                  /* a slot for the next one; 0: none yet */
    struct radix_reserve nodes; /* for the swap cache */
    bool stale;                 /* a TLB may have what the tables do not say any more */
    u64 around;                 /* pages of a file that may go with the one that is evicted */
    u64 freed;
    u64 scanned; /* pages that the policy named */
};

void reclaim_register(u64 (*shrink)(u64 pages)) {
    assert(shrinker_count < array_count(shrinkers));
    shrinkers[shrinker_count++] = shrink;
}

void reclaim_exclude(void) { mutex_lock(&reclaiming); }
void reclaim_include(void) {
    atomic_store(&batches, batches + 1);
    mutex_unlock(&reclaiming);
    waitq_wake_all(&batch_ended);
}
bool vm_reclaiming(void) { return mutex_held(&reclaiming); }

/* ---- reading a frame that may be freed any moment: while hold is set it is not ---- */

static bool hold(struct frame *f) { return !atomic_xchg(&f->hold, 1); }
static void let_go(struct frame *f) { atomic_store(&f->hold, 0); }

static void harvest_slots(struct table *t, struct batch *b) {
    struct frame *used[32];
    unsigned count = 0;
    bool tell = atomic_load_relaxed(&roster_wants_touches);
    for (unsigned i = t->lo; i < t->hi; i++) {
        entry e = slot_read(&t->slots[i]);
        if (!entry_present(e) || entry_special(e) || !(e & ENTRY_ACCESSED))
            continue;
        slot_clear_bits(&t->slots[i], ENTRY_ACCESSED);
        b->stale = true;
        struct frame *f = frame_of_phys(entry_phys(e));
        record_touched(f, t);
        if (!tell && !(atomic_load_relaxed(&f->flags) & FRAME_REFERENCED))
            atomic_or(&f->flags, FRAME_REFERENCED);
        if (tell)
            used[count++] = f;
        if (count == array_count(used)) {
            roster_touch(used, count);
            count = 0;
        }
    }
    if (count)
        roster_touch(used, count);
    record(TRACE_HARVEST, frame_of_va(t->slots), (u32)(t->base / TABLE_SLOTS));
}

/* Of the large entries only. */
static void harvest_large(struct table *t, struct batch *b) {
    for (unsigned i = table_next(t, 0); i < TABLE_SLOTS; i = table_next(t, i + 1)) {
        entry e = slot_read(&t->slots[i]);
        if (!entry_is_large(e) || !(e & ENTRY_ACCESSED))
            continue;
        slot_clear_bits(&t->slots[i], ENTRY_ACCESSED);
        table_below(e)->large_used = true;
        b->stale = true;
    }
}

/* The frame of a table: pinned from when it says which until its descriptor goes (table.c). */
static void harvest(struct frame *f, struct batch *b) {
    if (!hold(f))
        return;
    struct table *t = table_of_held(f);
    if (t && spin_try(&t->lock)) {
        if (!atomic_load(&t->dead) && t->level == 1 && !atomic_load(&t->large))
            harvest_slots(t, b);
        else if (!atomic_load(&t->dead) && t->level == 2)
            harvest_large(t, b);
        spin_unlock(&t->lock);
    }
    let_go(f);
}

static void harvest_on(u64 count, struct batch *b) {
    for (; count; count--) {
        if (frame_class(&frames[hand]) == FRAME_TABLE) {
            harvest(&frames[hand], b);
            record_pause();
        }
        hand = hand + 1 < frame_count ? hand + 1 : 0;
    }
}

/* ---- withdrawing ---- */

static void flush(struct batch *b) {
    if (b->stale) {
        machine_flush_everyone();
        event(EVENT_FLUSH_EVERYONE, 0, 1);
    }
    b->stale = false;
}

struct withdrawal {
    struct frame *f;
    unsigned index;
    struct batch *batch;
    u64 slot;            /* once it has one */
    bool any;            /* an entry was exchanged; f is pinned since the first */
    struct table *large; /* the leaf is shown large, ... */
    struct ring *above;  /* ... by slots of these */
};

/* It gets a slot, or has one from before, whose contents are the same still. False: it cannot have one, or was kept.
 * The leaf that maps it is locked, so it stays. */
static bool give_slot(struct withdrawal *w) {
    struct batch *b = w->batch;
    struct frame *f = w->f;
    if (!(atomic_load(&f->flags) & FRAME_SWAP)) {
        if (!b->spare || swap_insert(b->spare, f, &b->nodes))
            return false;
        swap_put(b->spare); /* the cache has its own count now */
        b->spare = 0;
        b->fresh[b->fresh_count++] = f;
        atomic_or(&f->flags, FRAME_FILLING); /* some CPU may write to it until the flush: nobody maps it again before */
    } else if (swap_leaving(f->anon.swap) || (frame_flags(f) & FRAME_KEPT)) {
        return false;
    }
    w->slot = f->anon.swap;
    frame_pin(f);
    return true;
}

/* An entry that MADV_FREE gave up and that nothing was written by since, alone to map its frame. */
static bool is_given_up(entry e) {
    return (e & (ENTRY_PRESENT | ENTRY_LAZY | ENTRY_DIRTY)) == (ENTRY_PRESENT | ENTRY_LAZY) &&
           atomic_load(&frame_of_phys(entry_phys(e))->mapped) == 1;
}

/* The frame goes, with nothing in its place, and so do those after it in the run that were given up likewise: to read
 * one does not keep it. If one was written just now, the exchange says so, and it stays: from then on like any other.
 * The flush does not wait for the batch's end: by a swap entry a fault finds the frame again, and a range operation
 * sees that a flush is to come; by nothing a fault gets another frame, while some CPU may still read this one. */
static bool drop_lazy(struct withdrawal *w, struct table *t, const struct run *run) {
    struct frame *gone[SWAP_CLUSTER];
    unsigned count = 0;
    for (u64 i = w->index; i < run->end && count < SWAP_CLUSTER; i++) {
        entry e = slot_read(&t->slots[i]);
        if (!is_given_up(e))
            break;
        e = slot_exchange(&t->slots[i], 0);
        if (e & ENTRY_DIRTY)
            slot_store(&t->slots[i], e & ~ENTRY_LAZY);
        else
            gone[count++] = frame_of_phys(entry_phys(e));
    }
    if (count) {
        w->batch->stale = true;
        flush(w->batch);
        atomic_hint_add(&t->anon, -(s64)count);
    }
    for (unsigned i = 0; i < count; i++) {
        if (gone[i] == w->f && !w->any) { /* the batch's end frees it, and tells the policy */
            frame_pin(w->f);
            w->any = true;
        } else if (gone[i] != w->f) {
            w->batch->freed++;
        }
        frame_unmap(gone[i]);
    }
    return true;
}

static bool withdraw(struct table *t, void *argument) {
    struct withdrawal *w = argument;
    entry *slot = &t->slots[w->index], e = slot_read(slot);
    if (!entry_maps(e) || frame_of_phys(entry_phys(e)) != w->f)
        return true;
    struct run *run = plan_find(t, w->index); /* NULL: it is being unmapped, and withheld until the flush */
    bool stays = !run || (run->view->flags & VIEW_LOCKED);
    if (atomic_load(&t->large)) { /* then for every sharer: no frame behind a large entry may be in the swap cache */
        if (!stays && !w->index && !t->large_used) { /* one of its frames decides */
            w->large = t;
            w->above = t->above;
        }
        t->large_used &= w->index != 0;
        return false;
    }
    if (stays)
        return true;
    if (is_given_up(e))
        return drop_lazy(w, t, run);
    if (!w->any && entry_present(e) && (e & ENTRY_ACCESSED)) {
        slot_clear_bits(slot, ENTRY_ACCESSED);
        atomic_or(&w->f->flags, FRAME_REFERENCED);
        record_touched(w->f, t);
        w->batch->stale = true;
        return false;
    }
    if (!w->any && !give_slot(w))
        return false;
    w->any = true;
    swap_dup(w->slot);
    slot_exchange(slot, entry_swap(w->slot) | (e & (ENTRY_CLEAN | ENTRY_GUARDED)));
    atomic_hint_add(&t->anon, -1);
    atomic_hint_add(&t->swapped, 1);
    frame_unmap(w->f); /* pinned */
    w->batch->stale = true;
    return true;
}

bool table_shows_small(struct table *t, void *argument) {
    struct table *leaf = argument;
    unsigned i = slot_index(leaf->base, 2);
    entry e = slot_read(&t->slots[i]);
    if (entry_is_large(e) && table_below(e) == leaf)
        table_show_small(t, i, NULL);
    return true;
}

static void visit_mappings(struct withdrawal *w) {
    struct frame *f = w->f;
    struct ring *ring = NULL;
    w->large = NULL;
    epoch_enter();
    if (hold(f)) {
        u64 counts = frame_held_counts(f, FRAME_ANON);
        if ((u32)counts && (w->any || counts < FRAME_ONE_PIN)) { /* mapped */
            w->index = atomic_load(&f->anon.index);
            ring = atomic_load(&f->anon.ring);
            if (!atomic_load(&f->mapped)) /* drop_leaf has begun to use the descriptor otherwise */
                ring = NULL;
        }
        let_go(f);
    }
    if (ring)
        ring_each(ring, withdraw, w);
    if (w->large)
        ring_each(w->above, table_shows_small, w->large);
    epoch_leave();
}

static void withdraw_frame(struct frame *f, struct batch *b) {
    struct withdrawal w = {.f = f, .batch = b};
    if (!(atomic_load(&f->flags) & FRAME_SWAP) && !b->spare && !(b->spare = swap_alloc()) &&
        !atomic_load_relaxed(&lazy_used))
        return;
    if (radix_reserve(&b->nodes, 2))
        return;
    if (!zswap_stuck() && swap_again(f)) {
        w.any = true;
        w.slot = f->anon.swap;
        b->fresh[b->fresh_count++] = f;
    }
    do /* again if the path in the cache wanted more nodes, as the first of a batch may */
        visit_mappings(&w);
    while (b->nodes.count < b->nodes.wanted && !radix_reserve(&b->nodes, 0));
    if (w.any)
        b->frames[b->count++] = f;
}

/* ---- a batch ends ---- */

/* What could not be written stays in memory: one pin keeps it in the cache for those whose entries name it. Who writes
 * to it when none does any more takes it out (swap_take), or the hand frees it. */
static void keep(struct frame *f, int error) {
    frame_pin(f);
    atomic_or(&f->flags, error == -EAGAIN ? FRAME_DIRTY : FRAME_ERROR);
}

/* The batch's pin goes, and with it the frame, unless a fault came for it. */
static void release(struct frame *f, struct batch *b) {
    bool last = atomic_load(&f->counts) == FRAME_ONE_PIN;
    if (last)
        roster_evicted(f);
    if (!atomic_sub(&f->counts, FRAME_ONE_PIN)) {
        frame_free(f, 0);
        b->freed++;
    } else if (last) {
        roster_came(f, false); /* after all */
    }
    roster_settle(f);
}

static void finish(struct batch *b) {
    int errors[SWAP_CLUSTER], error = 0;
    unsigned kept = 0;
    flush(b);
    swap_filled(b->fresh, b->fresh_count);
    swap_write(b->fresh, b->fresh_count, errors);
    for (unsigned i = 0; i < b->fresh_count; i++)
        if (errors[i]) {
            bool failed = swap_has_device(b->fresh[i]->anon.swap); /* else the tier does not want it */
            keep(b->fresh[i], errors[i]);
            error = failed ? errors[i] : error;
            kept += failed;
        }
    if (kept)
        kprintf(LOG_ERR "swap: %u pages could not be written (error %d): they stay in memory\n", kept, -error);
    for (unsigned i = 0; i < b->count; i++)
        release(b->frames[i], b);
    b->count = b->fresh_count = 0;
    b->freed += object_write_out(&out);
}

/* A page that could not be written, and that no entry needs any more, goes: true. */
static bool drop_kept(struct frame *f, struct batch *b) {
    bool mine = false;
    if (!hold(f))
        return false;
    u64 slot = f->anon.swap;
    if (frame_class(f) == FRAME_ANON && (frame_flags(f) & FRAME_KEPT) && (frame_flags(f) & FRAME_SWAP) &&
        atomic_load(&f->counts) == FRAME_ONE_PIN && swap_count(slot) == 1)
        mine = true;
    let_go(f);
    if (mine) {
        swap_dup(slot);
        swap_forget(f);
        swap_bad(slot);
        frame_unpin(f);
        b->freed++;
    }
    return mine;
}

static bool is_kept(const struct frame *f) {
    return frame_class(f) == FRAME_ANON && (frame_flags(f) & FRAME_SWAP) && (frame_flags(f) & FRAME_KEPT);
}

/* ---- victims ---- */

/* One that is withdrawn, or to be written, is settled when its batch ends. */
static void examine(struct frame *f, struct batch *b) {
    bool of_object = frame_class(f) == FRAME_FILE || frame_class(f) == FRAME_SHMEM;
    u8 flags = frame_flags(f);
    unsigned before = b->count, out_before = out.count;
    if (flags & FRAME_REFERENCED)
        ; /* since it was named */
    else if (of_object)
        b->freed += object_evict(f, b->around, &out);
    else if (frame_class(f) == FRAME_ANON && !(is_kept(f) && drop_kept(f, b)))
        withdraw_frame(f, b);
    bool pending = b->count != before;
    for (unsigned i = out_before; i < out.count; i++)
        pending |= out.frames[i] == f;
    if (!pending)
        roster_settle(f);
}

void vm_drop_caches(void) {
    for (u64 n = 0; n < frame_count; n++) {
        struct frame *f = &frames[n];
        if (frame_class(f) != FRAME_FILE || atomic_load_relaxed(&f->mapped))
            continue;
        atomic_and(&f->flags, (u8)~FRAME_REFERENCED); /* if it is something else by now, a hint is lost */
        object_evict(f, 1, NULL);
    }
}

void vm_drop_slabs(void) {
    u64 freed;
    do {
        freed = 0;
        for (unsigned i = 0; i < shrinker_count; i++)
            freed += shrinkers[i](SWAP_CLUSTER);
    } while (freed >= SWAP_CLUSTER);
    slab_shrink();
}

void vm_drop_kept(void) {
    struct batch b = {.count = 0};
    mutex_lock(&reclaiming);
    for (u64 n = 0; n < frame_count; n++)
        if (is_kept(&frames[n]))
            drop_kept(&frames[n], &b);
    reclaim_include();
}

static void end_batch(struct batch *b) {
    finish(b);
    if (b->spare)
        swap_put(b->spare);
    radix_release(&b->nodes);
}

/* Until so many pages are free, or three times as many as there are were looked at: once for their marks, once for
 * their accessed bits. So what is in a batch and then stays, as it cannot be written, keeps nobody from the rest. Where
 * much is locked, or in use, that is long: the CPU's timers ring meanwhile. */
static void take_victims(struct batch *b, u64 pages) {
    struct frame *named[SWAP_CLUSTER];
    u64 looked = 0;
    while (looked < 3 * frame_count && b->freed + b->count + out.count < pages) {
        u64 missing = pages - b->freed - b->count - out.count;
        struct policy_ask ask = {.most = min(missing, (u64)SWAP_CLUSTER - max(b->count, out.count))};
        unsigned count = roster_victims(&ask, named);
        b->scanned += count;
        for (unsigned i = 0; i < count; i++)
            examine(named[i], b);
        if (!count && !ask.looked)
            break;
        harvest_on(ask.harvest, b);
        looked += max(max(ask.looked, ask.harvest), (u64)count);
        machine_breathe();
        if (b->count == SWAP_CLUSTER || out.count == SWAP_CLUSTER || b->freed + b->count + out.count >= pages)
            finish(b);
    }
}

/* True: it is our turn. False: a batch of somebody else's has ended since we came. */
static bool take_turn(void) {
    u64 seen = atomic_load(&batches);
    bool ours;
    wait_until(&batch_ended, (ours = mutex_try(&reclaiming)) || atomic_load(&batches) != seen);
    return ours;
}

u64 reclaim_batch(u64 pages, enum reclaimer who) {
    struct batch b = {.around = SWAP_CLUSTER};
    assert(vm_reclaiming());
    take_victims(&b, pages);
    if (!b.freed && !b.count && !out.count && roster_listens & ROSTER_POLICY) {
        roster_sweep();
        take_victims(&b, pages);
    }
    end_batch(&b);
    for (unsigned i = 0; i < shrinker_count && b.freed < pages; i++)
        b.freed += shrinkers[i](pages - b.freed);
    totals.scanned[who] += max(b.scanned, b.freed); /* neighbours go along unnamed */
    totals.stolen[who] += b.freed;
    if (b.freed < pages) {
        b.freed += tables_drain() + slab_shrink();
        writeback_ask();
    }
    return b.freed;
}

u64 vm_reclaim(u64 pages) {
    u64 freed = pages;
    if (vm_reclaiming())
        return 0;
    atomic_add(&totals.stalls, 1);
    if (take_turn()) {
        freed = reclaim_batch(pages, RECLAIM_DIRECT);
        reclaim_include();
        if (freed >= pages)
            vm_background_hope();
    }
    return freed;
}

void reclaim_totals(struct reclaim_totals *out) { *out = totals; }

int vm_policy_choose(const char *name) {
    const struct policy *p = policy_find(name);
    if (!p)
        return -EINVAL;
    mutex_lock(&reclaiming);
    roster_choose(p);
    reclaim_include();
    return 0;
}

/* ---- by request: the pages of a range ---- */

/* The leaf that the slot for page shows large is shown small. t locked. */
static bool made_small(struct table *t, u64 page) {
    unsigned i = slot_index(page, 2);
    bool large = t->level == 2 && entry_is_large(slot_read(&t->slots[i]));
    if (large)
        table_show_small(t, i, NULL);
    return large;
}

/* Visits the slots of [page, end) that lie in one leaf, locked, until one visit says false. Returns where to go on. */
#define SLOTS_SMALL 1u /* also those of leaves shown large */
#define SLOTS_OWN 2u   /* not those of leaves that other spaces share */
static u64 each_slot(struct space *s, u64 page, u64 end, unsigned which, bool (*visit)(entry *slot, void *argument),
                     void *argument) {
    struct walk w;
    bool more = true;
    space_enter(s);
    epoch_enter();
    walk_down(s, page, &w);
    struct table *t = w.table[w.level];
    u64 span = slot_pages(t->level) * (t->level > 1 ? 1 : TABLE_SLOTS), stop = min(align_down(page, span) + span, end);
    spin_lock(&t->lock);
    if (walk_holds(s, page, &w)) {
        bool skip = (which & SLOTS_OWN) && !w.writable;
        for (; t->level == 1 && page < stop && more && !skip; page++)
            more = visit(&t->slots[page - t->base], argument);
        if (skip || (t->level > 1 && !((which & SLOTS_SMALL) && made_small(t, page)))) /* or nothing is below */
            page = stop;
    }
    spin_unlock(&t->lock);
    epoch_leave();
    space_leave(s);
    return page;
}

struct gathered {
    struct frame *frames[SWAP_CLUSTER]; /* not pinned: what they are by now is looked at again */
    unsigned count;
};

/* Its frame counts as not used, if no other slot maps it. No flush: a CPU that keeps the translation may use the frame
 * unseen until the next one. */
static bool cool(entry *slot, void *argument) {
    struct gathered *g = argument;
    entry e = slot_read(slot);
    if (!entry_present(e) || entry_special(e))
        return true;
    struct frame *f = frame_of_phys(entry_phys(e));
    if (atomic_load(&f->mapped) > 1)
        return true;
    if (e & ENTRY_ACCESSED)
        slot_clear_bits(slot, ENTRY_ACCESSED);
    atomic_and(&f->flags, (u8)~FRAME_REFERENCED);
    g->frames[g->count++] = f;
    return g->count < SWAP_CLUSTER;
}

void space_pages_cold(struct space *s, u64 first, u64 end) {
    while (first < end) {
        struct gathered g = {.count = 0};
        first = each_slot(s, first, end, SLOTS_SMALL, cool, &g);
        if (g.count)
            roster_cold(g.frames, g.count);
    }
}

void space_pages_out(struct space *s, u64 first, u64 end) {
    struct batch b = {.around = 1};
    mutex_lock(&reclaiming);
    while (first < end) {
        struct gathered g = {.count = 0};
        while (first < end && g.count < SWAP_CLUSTER)
            first = each_slot(s, first, end, SLOTS_SMALL, cool, &g);
        for (unsigned i = 0; i < g.count; i++)
            examine(g.frames[i], &b);
        finish(&b);
    }
    end_batch(&b);
    reclaim_include();
}

static bool not_swapped(entry *slot, void *found) { return !(*(bool *)found = entry_swapped(slot_read(slot))); }

void space_pages_in(struct space *s, u64 first, u64 end) {
    while (first < end && frame_free_count() > 2 * SWAP_CLUSTER) {
        bool found = false;
        first = each_slot(s, first, end, 0, not_swapped, &found);
        if (found) /* it is for later: an error is nobody's yet */
            (void)space_fault(s, (first - 1) << PAGE_SHIFT, FAULT_READ);
    }
}

/* Its contents are wanted no more unless they are written again, which the dirty bit will say. */
static bool give_up(entry *slot, void *any) {
    entry e = slot_read(slot);
    if (!entry_present(e) || entry_special(e))
        return true;
    struct frame *f = frame_of_phys(entry_phys(e));
    if (f->class != FRAME_ANON || !swap_sole(f))
        return true;
    slot_set_bits(slot, ENTRY_LAZY);
    slot_clear_bits(slot, ENTRY_DIRTY);
    *(bool *)any = true;
    return true;
}

void space_pages_free(struct space *s, u64 first, u64 end) {
    atomic_store(&lazy_used, true);
    while (first < end) {
        bool any = false;
        u64 next = each_slot(s, first, end, SLOTS_SMALL | SLOTS_OWN, give_up, &any);
        if (any) /* before the call returns: a write after it must set the dirty bit */
            machine_flush(&s->m, first << PAGE_SHIFT, next << PAGE_SHIFT, false);
        first = next;
    }
}
