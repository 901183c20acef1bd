/* table.c - making, copying and dropping page tables; the stock that operations allocate beforehand. */
#include "vm/table.h"

#include "vm/event.h"
#include "vm/roster.h"
#include "vm/slab.h"
#include "vm/swap.h"

static struct slab_cache *table_cache;
static u64 large_leaves; /* shown large by some slot; atomic */
static u64 live;         /* tables that exist, retired and pooled ones not counted; atomic */

/* Tables come and go with every fork. So each CPU keeps a few ready: descriptor, ring and a page of empty slots. A
 * table is empty when it is torn down, so nothing has to be cleared again (constructed objects: Bonwick, USENIX 1994).
 */
#define POOL_MOST 32u /* what two rounds of epoch_retire release */
static struct pool {
    struct spin lock; /* innermost: reclaim drains the pools of all CPUs */
    struct table *tables;
    unsigned count;
} __attribute__((aligned(64))) pools[MACHINE_CPUS];

void tables_init(void) {
    table_cache = slab_create("table", sizeof(struct table), 64);
    if (!table_cache)
        panic("no memory for the cache of tables");
}

u64 table_count(void) { return atomic_load(&live); }
u64 table_large_pages(void) { return atomic_load(&large_leaves) * TABLE_SLOTS; }

static struct table *pool_take(void) {
    struct pool *p = &pools[cpu_id()];
    spin_lock(&p->lock);
    struct table *t = p->tables;
    if (t) {
        p->tables = t->next;
        p->count--;
    }
    spin_unlock(&p->lock);
    return t;
}

static bool pool_put(struct table *t) {
    struct pool *p = &pools[cpu_id()];
    bool room = t->spare_ring != NULL;
    spin_lock(&p->lock);
    room &= p->count < POOL_MOST;
    if (room) {
        t->next = p->tables;
        p->tables = t;
        p->count++;
    }
    spin_unlock(&p->lock);
    return room;
}

static struct table *table_construct(void) {
    struct table *t = slab_alloc_zeroed(table_cache);
    struct frame *f = t ? frame_alloc(0, FRAME_TABLE, FRAME_ZEROED) : NULL;
    struct ring *ring = f ? kmalloc(sizeof(*ring)) : NULL;
    if (!ring) {
        if (f)
            frame_free(f, 0);
        slab_free(table_cache, t);
        return NULL;
    }
    t->dead = true; /* no leaf of anyone's yet: reclaim may look at it from the pin on */
    t->slots = frame_va(f);
    t->spare_ring = ring;
    t->runs = t->few;
    t->run_room = array_count(t->few);
    list_init(&t->links);
    list_init(&t->ring_link);
    f->owner.slab = t;
    frame_pin(f); /* last: reclaim believes a pinned one */
    return t;
}

static void table_destruct(struct table *t) {
    kfree(t->spare_ring);
    frame_unpin(frame_of_va(t->slots)); /* before the descriptor goes */
    slab_free(table_cache, t);
}

u64 tables_drain(void) {
    u64 drained = 0;
    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        struct pool *p = &pools[cpu];
        spin_lock(&p->lock);
        struct table *t = p->tables;
        p->tables = NULL;
        p->count = 0;
        spin_unlock(&p->lock);
        for (struct table *next; t; t = next, drained++) {
            next = t->next;
            table_destruct(t);
        }
    }
    return drained;
}

static struct table *table_begin(struct table *t, unsigned level) {
    t->level = level;
    t->base = 0;
    atomic_store_relaxed(&t->dead, true); /* reclaim may look at it */
    t->lo = TABLE_SLOTS;
    t->hi = 0;
    t->shares = 1;
    t->anon = t->object = t->special = t->swapped = 0;
    t->withheld = false;
    t->large = 0;
    t->next = NULL;
    atomic_add(&live, 1);
    return t;
}

struct table *table_create(unsigned level) {
    struct table *t = NULL;
    if (!alloc_fails() && !(t = pool_take()))
        t = table_construct();
    return t ? table_begin(t, level) : NULL;
}

static void release_table(struct epoch_entry *e) {
    struct table *t = container_of(e, struct table, retire);
    shadow_freed(table_phys(t) >> PAGE_SHIFT);
    if (!pool_put(t))
        table_destruct(t);
}

static void release_ring(struct epoch_entry *e) { kfree(container_of(e, struct ring, retire)); }

/* A leaf that starts a ring of its own. */
static void ring_start(struct table *t) {
    t->ring = t->spare_ring;
    t->spare_ring = NULL;
    spin_init(&t->ring->lock);
    list_init(&t->ring->tables);
    list_add(&t->ring->tables, &t->ring_link);
}

static void ring_join(struct table *t, struct table *other) {
    t->ring = other->ring;
    spin_lock(&t->ring->lock);
    list_add(&other->ring_link, &t->ring_link);
    spin_unlock(&t->ring->lock);
}

/* The last to leave keeps the ring as its spare one, which comes back into use only after the table's own grace period;
 * if it has one, the ring gets a grace period for itself: no frame names it any more, but a reverse mapper may still
 * look. */
static void ring_leave(struct table *t) {
    struct ring *ring = t->ring;
    spin_lock(&ring->lock);
    list_del(&t->ring_link);
    bool last = list_empty(&ring->tables);
    spin_unlock(&ring->lock);
    t->ring = NULL;
    if (last && !t->spare_ring)
        t->spare_ring = ring;
    else if (last)
        epoch_retire(&ring->retire, release_ring);
}

/* The next table after t (NULL: the first). t is locked, so if it is still a member it stays where it is; *left: it is
 * not. */
static struct table *ring_next(struct ring *ring, struct table *t, bool *left) {
    spin_lock(&ring->lock);
    *left = t && list_empty(&t->ring_link);
    struct list *next = *left || !t ? ring->tables.next : t->ring_link.next;
    spin_unlock(&ring->lock);
    return next == &ring->tables ? NULL : list_entry(next, struct table, ring_link);
}

void ring_each(struct ring *ring, bool (*visit)(struct table *t, void *argument), void *argument) {
    bool left, more = true;
    assert(epoch_inside());
    struct table *t = ring_next(ring, NULL, &left), *next;
    for (; t && more; t = next) {
        spin_lock(&t->lock);
        if (!t->dead && t->ring == ring)
            more = visit(t, argument);
        next = ring_next(ring, t, &left); /* t left: from the start; tables die, so that this ends */
        spin_unlock(&t->lock);
    }
}

void table_retire(struct table *t) {
    assert(t->run_count == 0 && list_empty(&t->links));
    if (t->runs != t->few) {
        kfree(t->runs);
        t->runs = t->few;
        t->run_room = array_count(t->few);
    }
    if (t->ring)
        ring_leave(t);
    if (t->level == TABLE_LEVELS)
        machine_root_clear(t->slots);
    atomic_sub(&live, 1);
    epoch_retire(&t->retire, release_table);
}

unsigned table_next(const struct table *t, unsigned i) {
    unsigned word = i / 64;
    if (i >= TABLE_SLOTS)
        return TABLE_SLOTS;
    u64 bits = t->below[word] >> (i % 64);
    if (bits)
        return i + __builtin_ctzll(bits);
    unsigned words = t->below_words >> word & ~1U; /* the words after this one */
    if (!words)
        return TABLE_SLOTS;
    word += __builtin_ctz(words);
    return word * 64 + __builtin_ctzll(t->below[word]);
}

int table_prev(const struct table *t, int i) {
    if (i < 0)
        return -1;
    unsigned word = i / 64;
    u64 bits = t->below[word] << (63 - i % 64);
    if (bits)
        return i - __builtin_clzll(bits);
    unsigned words = t->below_words & ((1U << word) - 1);
    if (!words)
        return -1;
    word = 31 - __builtin_clz(words);
    return word * 64 + 63 - __builtin_clzll(t->below[word]);
}

static void table_lead(struct table *t, unsigned i, entry e) {
    slot_store(&t->slots[i], e);
    /* Single words: who counts what a shared table holds (count_in) has no lock. */
    atomic_store_relaxed(&t->below[i / 64], t->below[i / 64] | 1ULL << (i % 64));
    atomic_store_relaxed(&t->below_words, t->below_words | 1U << (i / 64));
    table_used(t, i);
}

void table_point(struct table *t, unsigned i, struct table *lower, bool write) {
    table_lead(t, i, entry_table(table_phys(lower), write));
}

/* One slot less shows the leaf large. */
static void large_less(struct table *leaf) {
    if (!atomic_sub(&leaf->large, 1))
        atomic_sub(&large_leaves, 1);
}

struct table *table_unpoint(struct table *t, unsigned i) {
    entry e = slot_exchange(&t->slots[i], 0);
    struct table *lower = table_below(e);
    if (entry_is_large(e))
        large_less(lower);
    t->below[i / 64] &= ~(1ULL << (i % 64));
    if (!t->below[i / 64])
        t->below_words &= ~(1U << (i / 64));
    return lower;
}

/* ---- the stock ---- */

static void stock_add(struct stock *k, struct table *t) {
    t->next = k->tables;
    k->tables = t;
    k->table_count++;
}

/* A table that is kept ready is had without sleeping; a test that makes allocations fail wants to be asked. */
static bool stock_ready(struct stock *k) {
    struct table *t = atomic_load_relaxed(&alloc_fail_asked) ? NULL : pool_take();
    if (t)
        stock_add(k, table_begin(t, 1)); /* any level: table_take says which */
    return t != NULL;
}

bool stock_has(struct stock *k, unsigned tables, unsigned links, unsigned run_room) {
    while (k->table_count < tables && stock_ready(k))
        ;
    bool enough = k->table_count >= tables && k->link_count >= links && k->runs_room >= run_room;
    if (!enough) {
        k->want_tables = max(k->want_tables, tables);
        k->want_links = max(k->want_links, links);
        k->want_runs = max(k->want_runs, run_room);
    }
    return enough;
}

static int fill_runs(struct stock *k) {
    unsigned room = align_up(k->want_runs + 2, 4u);
    struct run *runs = kmalloc(room * sizeof(*runs));
    if (!runs)
        return -ENOMEM;
    kfree(k->runs);
    k->runs = runs;
    k->runs_room = room;
    return 0;
}

int stock_fill(struct stock *k) {
    while (k->table_count < k->want_tables) {
        struct table *t = table_create(1);
        if (!t)
            return -ENOMEM;
        stock_add(k, t);
    }
    while (k->link_count < k->want_links) {
        struct link *l = kmalloc(sizeof(*l));
        if (!l)
            return -ENOMEM;
        l->next = k->links;
        k->links = l;
        k->link_count++;
    }
    if (k->want_frame && !k->frame) {
        k->frame = frame_alloc(0, FRAME_ANON, 0);
        if (!k->frame)
            return -ENOMEM;
    }
    int error = k->runs_room < k->want_runs ? fill_runs(k) : 0;
    k->want_tables = k->want_links = k->want_runs = 0;
    k->want_frame = false;
    return error;
}

void stock_free(struct stock *k) {
    while (k->tables) {
        struct table *t = k->tables;
        k->tables = t->next;
        table_retire(t);
    }
    while (k->links) {
        struct link *l = k->links;
        k->links = l->next;
        kfree(l);
    }
    kfree(k->runs);
    if (k->frame)
        frame_free(k->frame, 0);
    *k = (struct stock)STOCK_EMPTY;
}

static struct table *table_take(struct stock *k, unsigned level, u64 base) {
    struct table *t = k->tables;
    k->tables = t->next;
    k->table_count--;
    t->next = NULL;
    t->level = level;
    t->base = base;
    return t;
}

/* ---- copying ---- */

static unsigned link_total(const struct table *t) {
    unsigned n = 0;
    const struct list *l;
    for (l = t->links.next; l != &t->links; l = l->next)
        n++;
    return n;
}

bool table_clone_fits(struct table *from, struct stock *k) {
    return stock_has(k, 1, link_total(from), from->run_count > array_count(from->few) ? from->run_count : 0);
}

static void clone_plan(struct table *to, struct table *from, struct stock *k) {
    bool fits = from->run_count <= to->run_room || plan_room(to, from->run_count, k);
    assert(fits);
    for (unsigned i = 0; i < from->run_count; i++) {
        struct run *r = &from->runs[i];
        plan_append(to, r->first, r->end, r->view, r->offset, k);
    }
}

static void count_mapping(entry e) {
    if (entry_swapped(e))
        swap_dup(entry_swap_slot(e));
    else if (!entry_empty(e) && !entry_special(e)) /* special: the zero frame, a device: not counted */
        (void)__atomic_fetch_add(&frame_of_phys(entry_phys(e))->mapped, 1, __ATOMIC_RELAXED);
}

/* A slot of the leaf that is cloned, present, of a counted frame: it loses write permission, and its frame gains a
 * mapping. all: frames, which the compiler would read again for each. */
static inline void clone_slot(entry *slot, struct frame *all, entry e) {
    slot_drop_write(slot);
    (void)__atomic_fetch_add(&frame_in(all, e)->mapped, 1, __ATOMIC_RELAXED);
}

/* A row of nothing else goes without a question for each. */
#define ROW 8u
static inline void clone_row(entry *slots, struct frame *all, entry present) {
    entry e[ROW];
#pragma GCC unroll 8
    for (unsigned k = 0; k < ROW; k++)
        present &= e[k] = atomic_load_relaxed(&slots[k]);
    if (likely(present)) {
#pragma GCC unroll 8
        for (unsigned k = 0; k < ROW; k++)
            clone_slot(&slots[k], all, e[k]);
        return;
    }
    for (unsigned k = 0; k < ROW; k++) {
        if (entry_present(atomic_load_relaxed(&slots[k])))
            slot_drop_write(&slots[k]);
        count_mapping(atomic_load_relaxed(&slots[k]));
    }
}

/* Every slot is present, of a counted frame: withheld are only those whose view allows nothing, unless t->withheld says
 * so. Such a leaf is what breaks most often. */
static bool is_full(const struct table *t) {
    bool full = t->anon + t->object == TABLE_SLOTS && !t->withheld;
    for (unsigned i = 0; i < t->run_count; i++)
        full &= (t->runs[i].view->flags & VIEW_PROT) != 0;
    return full;
}

static void clone_full(entry *slots, struct frame *all) {
#pragma GCC unroll 8
    for (entry *slot = slots; slot < slots + TABLE_SLOTS; slot++)
        clone_slot(slot, all, atomic_load_relaxed(slot));
}

/* Write permission goes by plain stores: no CPU writes through a shared table's path, so no dirty bit can come between,
 * and an accessed bit that gets lost is only a hint. No flush: the path has had no write permission since the fork. */
static void clone_leaf(struct table *to, struct table *from) {
    unsigned long first = align_down(from->lo, ROW), count = from->hi > first ? from->hi - first : 0;
    entry *slots = from->slots + first, *end = slots + count, present = from->special ? 0 : ENTRY_PRESENT;
    struct frame *all = frames;
    if (is_full(from))
        clone_full(slots, all);
    else
        for (entry *row = slots; row < end; row += ROW)
            clone_row(row, all, present);
    slots_copy(to->slots + first, slots, count);
    to->anon = from->anon;
    to->object = from->object;
    to->special = from->special;
    to->withheld = from->withheld;
    to->swapped = from->swapped;
}

static void clone_upper(struct table *to, struct table *from) {
    to->below_words = from->below_words;
    for (unsigned words = from->below_words; words; words &= words - 1) {
        unsigned word = __builtin_ctz(words);
        to->below[word] = from->below[word];
        for (u64 bits = from->below[word]; bits; bits &= bits - 1) {
            unsigned i = word * 64 + __builtin_ctzll(bits);
            entry old = atomic_load_relaxed(&from->slots[i]), e = old & ~ENTRY_WRITE;
            /* we hold the lock of a table that points to it, so shares is at least 1 */
            (void)__atomic_fetch_add(&table_below(e)->shares, 1, __ATOMIC_RELAXED);
            if (unlikely(entry_is_large(e)))
                atomic_add(&table_below(e)->large, 1);
            atomic_store_relaxed(&from->slots[i], e);
            shadow_change(&from->slots[i], old, e);
            to->slots[i] = e;
        }
    }
}

struct table *table_clone(struct table *from, struct stock *k) {
    assert(spin_held(&from->lock));
    struct table *to = table_take(k, from->level, from->base);
    spin_lock(&to->lock); /* reclaim meets every table that there is; who visits an object's mappings, every link */
    if (from->level <= 2)
        ring_join(to, from);
    if (from->level == 1) {
        clone_leaf(to, from);
    } else {
        clone_upper(to, from);
    }
    to->lo = from->lo;
    to->hi = from->hi;
    clone_plan(to, from, k);
    atomic_store(&to->dead, false);
    event(EVENT_TABLE_BROKEN, from->base << PAGE_SHIFT, 1);
    return to;
}

/* ---- making ---- */

/* What a table for slots [first, end) of t takes from the stock, or notes there. *from, *to: the runs that it gets. */
static bool lower_fits(struct table *t, u64 first, u64 end, struct stock *k, unsigned *from, unsigned *to) {
    unsigned links = 0, n = *from = plan_from(t, first);
    for (; n < t->run_count && t->runs[n].first < end; n++)
        links += view_object(t->runs[n].view) != NULL;
    *to = n;
    if (plan_lies_within(t, first, end))
        return stock_has(k, 1, 0, 0);
    if (!stock_has(k, 1, links, 0) || !plan_room(t, 2, k))
        return false;
    /* an array for the new table: only when its runs do not fit into few; it may take the stock's after t took its own
     */
    return *to - *from <= array_count(t->few) || stock_has(k, 0, 0, *to - *from);
}

static void copy_down(struct table *t, unsigned from, unsigned to, struct table *lower, struct stock *k) {
    u64 first = lower->base - t->base, end = first + slot_pages(t->level);
    if (to - from > array_count(t->few))
        plan_room(lower, to - from, k);
    for (unsigned n = from; n < to; n++) {
        struct run *r = &t->runs[n];
        u64 a = max(r->first, first), b = min(r->end, end);
        plan_append(lower, a - first, b - first, r->view, r->offset + (a - r->first), k);
    }
    plan_set(t, first, end, NULL, 0, NULL);
}

/* The lower table for slot i, with the runs of that slot moved into it; no slot leads to it yet. NULL: the stock lacks
 * something. */
static struct table *make_lower(struct table *t, unsigned i, struct stock *k) {
    assert(spin_held(&t->lock) && entry_empty(t->slots[i]));
    u64 first = i * slot_pages(t->level), end = first + slot_pages(t->level);
    unsigned from, to;
    if (!lower_fits(t, first, end, k, &from, &to))
        return NULL;
    struct table *lower = table_take(k, t->level - 1, t->base + first);
    if (lower->level <= 2)
        ring_start(lower);
    if (plan_lies_within(t, first, end))
        plan_hand_down(t, lower);
    else
        copy_down(t, from, to, lower, k);
    atomic_store(&lower->dead, false);
    event(EVENT_TABLE_MADE, lower->base << PAGE_SHIFT, 1);
    return lower;
}

bool table_make(struct table *t, unsigned i, struct stock *k, struct table **made) {
    struct table *lower = make_lower(t, i, k);
    if (!lower)
        return false;
    table_point(t, i, lower, true); /* no flush: an empty slot is not cached, and nothing is withdrawn */
    *made = lower;
    return true;
}

/* ---- leaves shown large ---- */

struct table *table_lower(struct table *t, unsigned i, bool *large) {
    spin_lock(&t->lock);
    entry e = slot_read(&t->slots[i]);
    struct table *lower = table_below(e);
    spin_unlock(&t->lock);
    if (large)
        *large = entry_is_large(e);
    return lower;
}

static void fill_leaf(struct table *leaf, struct frame *block, entry rights) {
    for (unsigned i = 0; i < TABLE_SLOTS; i++) {
        struct frame *f = block + i;
        f->order = 0; /* from now on each is one by itself */
        atomic_store_relaxed(&f->anon.ring, leaf->ring);
        atomic_store_relaxed(&f->anon.index, i);
        atomic_store(&f->mapped, 1); /* last: reclaim believes a mapped one */
        slot_store(&leaf->slots[i], entry_frame(frame_phys(f), true, rights));
        roster_came(f, true); /* all but one of them */
    }
    leaf->lo = 0;
    leaf->hi = leaf->anon = TABLE_SLOTS;
}

void table_show_large(struct table *t, unsigned i, struct table *leaf, struct frame *block) {
    entry rights = view_rights(leaf->runs[0].view);
    leaf->large = 1;
    atomic_add(&large_leaves, 1);
    leaf->large_used = false;
    leaf->above = t->ring;
    fill_leaf(leaf, block, rights);
    block->anon.swap = (u32)frame_number(frame_of_va(leaf->slots));
    table_lead(t, i, entry_large(frame_phys(block), true, rights));
}

bool table_make_large(struct table *t, unsigned i, struct stock *k, struct frame *block) {
    assert(t->level == 2 && t->ring && block->order == LARGE_ORDER);
    struct table *leaf = make_lower(t, i, k);
    if (!leaf)
        return false;
    spin_lock(&leaf->lock); /* reclaim may find it by its first frame */
    table_show_large(t, i, leaf, block);
    spin_unlock(&leaf->lock);
    return true;
}

/* Nothing is there in between: a CPU that had the small entries and the large one at once could trip over them (Intel
 * SDM vol. 3A, 4.10.2.3). Who faults there meanwhile waits for the lock. */
void table_show_small(struct table *t, unsigned i, struct machine_space *m) {
    assert(spin_held(&t->lock));
    entry e = slot_exchange(&t->slots[i], 0);
    struct table *leaf = table_below(e);
    if (m)
        machine_flush(m, leaf->base << PAGE_SHIFT, (leaf->base + TABLE_SLOTS) << PAGE_SHIFT, false);
    else
        machine_flush_everyone();
    slot_store(&t->slots[i], entry_table(table_phys(leaf), entry_writable(e)));
    large_less(leaf);
    event(EVENT_LARGE_SPLIT, leaf->base << PAGE_SHIFT, 1);
}

/* ---- dropping ---- */

void leaf_count(struct table *t, entry e, int by) {
    if (entry_special(e))
        atomic_hint_add(&t->special, by);
    else if (entry_swapped(e))
        atomic_hint_add(&t->swapped, by);
    else if (frame_class(frame_of_phys(entry_phys(e))) == FRAME_ANON)
        atomic_hint_add(&t->anon, by);
    else
        atomic_hint_add(&t->object, by);
}

void leaf_forget(struct table *t, entry e) {
    leaf_count(t, e, -1);
    if (entry_swapped(e)) {
        swap_put(entry_swap_slot(e));
    } else if (!entry_special(e)) {
        shadow_forgotten(entry_phys(e) >> PAGE_SHIFT);
        frame_unmap(frame_of_phys(entry_phys(e)));
    }
}

/* What an entry of a leaf that is torn down holds, if it is no present one of a counted frame: a present form of what
 * is withheld, or 0: nothing is left to do. */
static __attribute__((noinline)) entry drop_other(entry e) {
    if (entry_special(e))
        return 0;
    if (!entry_swapped(e))
        return ~e;
    swap_put(entry_swap_slot(e));
    return 0;
}

/* What only this table maps is freed in one go. Nobody else can raise a count of 1: whoever does holds the lock of a
 * table that maps the frame, and that is ours. */
static void drop_leaf(struct table *t) {
    struct frame *free = NULL, *all = frames;
    entry *slot = t->slots + t->lo, *end = t->slots + max(t->lo, t->hi);
    for (; slot < end; slot++) {
        entry e = atomic_load_relaxed(slot);
        if (entry_empty(e))
            continue;
        atomic_store_relaxed(slot, 0);
        if (unlikely((e & (ENTRY_PRESENT | ENTRY_SPECIAL)) != ENTRY_PRESENT) && !(e = drop_other(e)))
            continue;
        struct frame *f = frame_in(all, e);
        if (atomic_load_relaxed(&f->counts) == FRAME_ONE_MAP &&
            frame_sole(f)) { /* a file's are not, and tell at once */
            atomic_store_relaxed(&f->counts, 0);
            atomic_store(&f->free.next, free); /* after it: reclaim may be reading the ring that was there */
            free = f;
        } else {
            frame_unmap(f);
        }
    }
    if (free)
        frame_free_list(free);
}

static void drop_last(struct table *t);

/* One slot less points to t. Inline, as most tables below one that is dropped are shared, and live on. */
static inline void drop(struct table *t) {
    spin_lock(&t->lock);
    bool last = atomic_sub(&t->shares, 1) == 0;
    if (last)
        drop_last(t);
    else
        spin_unlock(&t->lock);
}

static void drop_below(struct table *t) {
    for (unsigned words = t->below_words; words; words &= words - 1) {
        unsigned word = __builtin_ctz(words);
        for (u64 bits = t->below[word]; bits; bits &= bits - 1) {
            unsigned i = word * 64 + __builtin_ctzll(bits);
            struct table *lower = table_below(t->slots[i]);
            if (entry_is_large(t->slots[i]))
                large_less(lower);
            slot_store(&t->slots[i], 0); /* others may still be walking here */
            drop(lower);                 /* at most TABLE_LEVELS deep */
        }
        t->below[word] = 0;
    }
    t->below_words = 0;
}

/* t->lock is held, and let go. */
static void drop_last(struct table *t) {
    t->dead = true;
    if (t->level == 1)
        drop_leaf(t);
    plan_clear(t);
    spin_unlock(&t->lock);
    if (t->level > 1)
        drop_below(t);
    table_retire(t);
}

void table_drop(struct table *t) { drop(t); }
