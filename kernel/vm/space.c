/* space.c - an address space's life: created, entered by faults, closed by operations, forked, torn down. And the walk
 * from its root that everything begins with. */
#include "vm/commit.h"
#include "vm/inner.h"
#include "vm/roster.h"

#include "vm/slab.h"

struct frame *zero_frame;
u64 vm_max_map_count = MAX_MAP_COUNT;
u64 (*event_counters)[EVENT_ROW];
void (*event_sink)(enum vm_event event, u64 address, u64 pages);

struct spin all_spaces_lock = SPIN_INIT; /* protects all_spaces */
struct list all_spaces = LIST_INIT(all_spaces);

static struct slab_cache *space_cache;

/* Which space each CPU is inside of. One line a CPU: entering shares nothing with other CPUs. */
static struct inside {
    struct space *space;
    bool visitor; /* its bit in space->visitors is set */
} __attribute__((aligned(64))) inside[MACHINE_CPUS];

void vm_init(void) {
    event_counters = kzalloc(sizeof(*event_counters) * MACHINE_CPUS);
    space_cache = slab_create("space", sizeof(struct space), 64);
    zero_frame = frame_alloc(0, FRAME_KERNEL, FRAME_ZEROED);
    if (!event_counters || !space_cache || !zero_frame)
        panic("no memory for the VM's own start");
    frame_pin(zero_frame);
    radix_init();
    roster_init();
    tables_init();
    commit_init();
}

static void list_space(struct space *s) {
    spin_lock(&all_spaces_lock);
    list_add_tail(&all_spaces, &s->all_link);
    spin_unlock(&all_spaces_lock);
}

static void unlist_space(struct space *s) {
    spin_lock(&all_spaces_lock);
    list_del(&s->all_link);
    spin_unlock(&all_spaces_lock);
}

static struct space *space_new(bool randomise) {
    struct space *s = slab_alloc_zeroed(space_cache);
    struct table *root = s ? table_create(TABLE_LEVELS) : NULL;
    if (!root) {
        slab_free(space_cache, s);
        return NULL;
    }
    atomic_store(&root->dead, false);
    s->root = root;
    s->m.root = table_phys(root);
    s->references = 1;
    s->randomise = randomise;
    s->limits = (struct space_limits){~0ULL, ~0ULL, ~0ULL, ~0ULL, false, false, false};
    mutex_init(&s->range);
    list_init(&s->watches);
    machine_root_init(root->slots);
    s->gap_top = USER_PAGES;
    gap_reset(s);
    list_space(s);
    return s;
}

void vm_live(struct vm_live *out) {
    tables_drain();
    *out = (struct vm_live){table_count(), view_count(), slab_live(space_cache), epoch_waiting()};
}

struct space *space_create(bool randomise) {
    return space_new(randomise);
}
void space_get(struct space *s) { atomic_add(&s->references, 1); }
struct space_info *space_info(struct space *s) {
    return &s->info;
}
struct space_limits *space_limits(struct space *s) {
    return &s->limits;
}
void space_load(struct space *s) { machine_load(s ? &s->m : NULL); }

void space_put(struct space *s) {
    if (atomic_sub(&s->references, 1))
        return;
    machine_evict(&s->m);
    unlist_space(s);
    watches_end(s);
    table_drop(s->root);
    commit_add(-s->sum.committed);
    if (s->recent)
        view_put(s->recent);
    if (s->info.exe)
        s->info.exe->ops->put(s->info.exe);
    slab_free(space_cache, s);
    views_reap();
}

/* ---- the fork exclusion ---- */

/* The space was closed when we came: step back, so that who closed it need not wait for us, and come again. */
static __attribute__((noinline)) void enter_later(struct space *s) {
    struct inside *here = &inside[cpu_id()];
    do {
        atomic_store(&here->space, NULL);
        while (atomic_load(&s->closed))
            machine_pause();
        atomic_store_relaxed(&here->space, s);
        atomic_fence();
    } while (atomic_load(&s->closed));
}

void space_enter(struct space *s) {
    unsigned cpu = cpu_id();
    struct inside *here = &inside[cpu];
    u64 bit = 1ULL << (cpu % 64);
    if (unlikely(!(atomic_load_relaxed(&s->m.cpus[cpu / 64]) & bit))) {
        here->visitor = true;
        atomic_or(&s->visitors[cpu / 64], bit);
    }
    atomic_store_relaxed(&here->space, s);
    atomic_fence(); /* my entry is seen, or I see that it is closed */
    if (unlikely(atomic_load(&s->closed)))
        enter_later(s);
}

void space_leave(struct space *s) {
    unsigned cpu = cpu_id();
    struct inside *here = &inside[cpu];
    assert(here->space == s);
    atomic_store(&here->space, NULL);
    if (unlikely(here->visitor)) {
        here->visitor = false;
        atomic_and(&s->visitors[cpu / 64], ~(1ULL << (cpu % 64)));
    }
}

void space_wait_outside(struct space *s) {
    unsigned self = cpu_id();
    for (unsigned word = 0; word * 64 < cpu_count; word++) {
        for (u64 mask = space_others(s, word, self); mask; mask &= mask - 1) {
            struct inside *there = &inside[word * 64 + __builtin_ctzll(mask)];
            while (atomic_load(&there->space) == s)
                machine_pause();
        }
    }
}

void space_close(struct space *s) { space_close_inline(s); }
void space_open(struct space *s) { space_open_inline(s); }

/* ---- the walk ---- */

void walk_down(struct space *s, u64 page, struct walk *w) {
    struct table *t = s->root;
    entry rights = ENTRY_WRITE;
    unsigned level = TABLE_LEVELS;
    w->table[TABLE_LEVELS] = t;
#pragma GCC unroll 3
    for (; level > 1; level--) {
        entry e = slot_read(&t->slots[slot_index(page, level)]);
        if (!entry_is_table(e))
            break;
        rights &= e;
        t = table_of_entry(e);
        w->slot[level] = e;
        w->table[level - 1] = t;
    }
    w->level = level;
    w->writable = rights;
}

bool walk_holds(struct space *s, u64 page, const struct walk *w) {
    struct table *t = w->table[w->level];
    entry moved = 0;
    assert(spin_held(&t->lock));
    for (unsigned level = TABLE_LEVELS; level > w->level; level--)
        moved |= slot_read(&w->table[level]->slots[slot_index(page, level)]) ^ w->slot[level];
    if (moved & (ENTRY_PHYS | ENTRY_PRESENT | ENTRY_LARGE)) /* rights may have been raised meanwhile */
        return false;
    return !t->dead && !(t->level > 1 && entry_is_table(slot_read(&t->slots[slot_index(page, t->level)])));
}

enum step table_own(struct space *s, struct table *t, unsigned i, struct stock *k, struct table **lower) {
    assert(spin_held(&t->lock));
    if (unlikely(entry_is_large(slot_read(&t->slots[i]))))
        table_show_small(t, i, &s->m);
    entry e = slot_read(&t->slots[i]);
    struct table *old = table_of_entry(e);
    *lower = old;
    if (entry_writable(e))
        return STEP_DONE;
    enum step step = STEP_DONE;
    spin_lock(&old->lock);
    if (atomic_load(&old->shares) == 1) {
        slot_set_bits(&t->slots[i], ENTRY_WRITE); /* no flush: a CPU that has the lower right faults once more */
        event(EVENT_TABLE_TAKEN, old->base << PAGE_SHIFT, 1);
    } else if (!table_clone_fits(old, k)) {
        step = STEP_STOCK;
    } else {
        struct table *fresh = table_clone(old, k);
        slot_exchange(&t->slots[i], entry_table(table_phys(fresh), true));
        /* Both stay locked until no CPU of ours has the old pointer: else one could cache through it what another
         * process puts into the old table meanwhile, and keep it when the same slot of the new one gets a frame of
         * ours. */
        machine_flush(&s->m, fresh->base << PAGE_SHIFT, (fresh->base + 1) << PAGE_SHIFT, true);
        shadow_forgotten(table_phys(old) >> PAGE_SHIFT);
        atomic_sub(&old->shares, 1); /* was >= 2, under its lock: somebody else still has it */
        spin_unlock(&fresh->lock);
        *lower = fresh;
    }
    spin_unlock(&old->lock);
    return step;
}

enum step walk_own(struct space *s, u64 page, struct walk *w, struct stock *k) {
    for (unsigned level = TABLE_LEVELS; level > w->level; level--) {
        struct table *t = w->table[level], *lower;
        unsigned i = slot_index(page, level);
        entry e = slot_read(&t->slots[i]);
        if (entry_writable(e) && entry_is_table(e) && table_of_entry(e) == w->table[level - 1])
            continue;
        spin_lock(&t->lock);
        e = slot_read(&t->slots[i]);
        enum step step = STEP_AGAIN;
        if (!t->dead && entry_is_table(e) && table_of_entry(e) == w->table[level - 1])
            step = table_own(s, t, i, k, &lower);
        spin_unlock(&t->lock);
        if (step != STEP_DONE)
            return step;
        w->table[level - 1] = lower; /* perhaps a clone: the lower tables are the same, but now shared */
        w->slot[level] = slot_read(&t->slots[i]);
    }
    w->writable = true;
    return STEP_DONE;
}

enum step walk_small(struct space *s, u64 page, struct walk *w, struct stock *k) {
    enum step step = STEP_DONE;
    struct table *t = w->table[w->level], *lower;
    unsigned i = slot_index(page, 2);
    if (w->level != 2 || !(atomic_load(&t->below[i / 64]) >> (i % 64) & 1))
        return STEP_DONE;
    if (!w->writable)
        step = walk_own(s, page, w, k);
    if (step != STEP_DONE)
        return step;
    t = w->table[2];
    spin_lock(&t->lock);
    step = table_own(s, t, i, k, &lower);
    if (step == STEP_DONE) {
        w->slot[2] = slot_read(&t->slots[i]);
        w->table[--w->level] = lower;
    }
    spin_unlock(&t->lock);
    return step;
}

enum step own_table(struct space *s, u64 page, unsigned level, bool make, struct stock *k, struct table **own) {
    struct walk w;
    enum step step = STEP_DONE;
    *own = NULL;
    walk_down(s, page, &w);
    if (level == 1)
        step = walk_small(s, page, &w, k);
    if (step != STEP_DONE || (w.level > level && !make))
        return step;
    if (!w.writable)
        step = walk_own(s, page, &w, k);
    while (step == STEP_DONE && w.level > level) {
        struct table *t = w.table[w.level], *made;
        spin_lock(&t->lock);
        if (!table_make(t, slot_index(page, w.level), k, &made))
            step = STEP_STOCK;
        else
            w.table[--w.level] = made;
        spin_unlock(&t->lock);
    }
    if (step == STEP_DONE)
        *own = w.table[level];
    return step;
}

/* ---- fork ---- */

/* The child's root is a clone of the parent's: the rights of all levels are ANDed, so lowering the root's slots is
 * enough to keep both from writing. The child gets one reference on every view of the root's plan; all else comes with
 * the tables. */
static void fork_commit(struct space *s, struct space *child, struct stock *k) {
    spin_lock(&s->root->lock);
    struct table *root = table_clone(s->root, k);
    spin_unlock(&root->lock);
    spin_unlock(&s->root->lock);
    machine_root_init(root->slots);
    child->root = root;
    child->m.root = table_phys(root);
    /* Rights were lowered, at the top: whatever caches a right of a lower level with it, goes, before the child may
     * run. */
    machine_flush(&s->m, 0, USER_PAGES << PAGE_SHIFT, true);
}

static void fork_copy_totals(struct space *s, struct space *child) {
    child->sum = s->sum, child->mappings = s->mappings, child->peak_total = s->sum.total;
    child->brk_start = s->brk_start, child->brk = s->brk, child->gap_top = s->gap_top;
    memcpy(child->gap_from, s->gap_from, sizeof(s->gap_from));
    child->hole_first = s->hole_first, child->hole_end = s->hole_end;
    child->randomise = s->randomise;
    child->info = s->info;
    child->limits = s->limits;
    if (child->info.exe)
        child->info.exe->ops->get(child->info.exe);
    list_space(child);
}

/* What a child must not see as its parent does (DONTFORK, WIPEONFORK, locks, watches) is changed in the child by
 * ordinary range operations, before it runs; they break just the paths they touch. */
static int fork_special(struct space *child) {
    struct piece p;
    int error = 0;
    mutex_lock(&child->range);
    for (u64 page = 0; !error && child->sum.special && piece_next(child, page, &p); page = p.end) {
        u32 flags = p.view->flags; /* the view may go with its last run */
        bool watched = p.view->watch && !(flags & VIEW_DONTFORK);
        if (flags & VIEW_DONTFORK)
            error = space_clear(child, p.first, p.end);
        else if (flags & VIEW_WIPEONFORK)
            error = space_empty(child, p.first, p.end);
        if (!error && watched)
            error = watch_fork(child, &p);
        if (!error && !(flags & VIEW_DONTFORK) && (flags & (VIEW_LOCKED | VIEW_ONFAULT)))
            error = space_review(child, p.first, p.end, (struct view_change){.clear = VIEW_LOCKED | VIEW_ONFAULT});
    }
    mutex_unlock(&child->range);
    return error;
}

static struct space *fork_blank(void) {
    struct space *child = slab_alloc_zeroed(space_cache);
    if (child) {
        child->references = 1;
        mutex_init(&child->range);
        list_init(&child->watches);
    }
    return child;
}

/* What the child will be promised: all but what it does not inherit. Only mode 2 asks; that part, which goes before the
 * child runs, is added without asking. */
static bool fork_charge(struct space *s) {
    u64 pages = s->sum.committed, spared = 0;
    struct piece p;
    if (commit_mode != COMMIT_NEVER) {
        commit_add(pages);
        return true;
    }
    space_close(s);
    for (u64 page = 0; s->sum.special && piece_next(s, page, &p); page = p.end)
        if ((p.view->flags & (VIEW_DONTFORK | VIEW_ACCOUNT)) == (VIEW_DONTFORK | VIEW_ACCOUNT))
            spared += p.end - p.first;
    space_open(s);
    bool allowed = commit_charge(s, pages - spared);
    if (allowed)
        commit_add(spared);
    return allowed;
}

struct space *space_fork(struct space *s) {
    struct stock k = STOCK_EMPTY;
    struct space *child = fork_blank();
    int error = child ? 0 : -ENOMEM;
    bool done = false, charged = false;
    mutex_lock(&s->range);
    if (!error) {
        charged = fork_charge(s);
        error = charged ? 0 : -ENOMEM;
    }
    while (!error && !done) {
        space_close(s);
        done = table_clone_fits(s->root, &k);
        if (done) {
            fork_commit(s, child, &k);
            fork_copy_totals(s, child);
        }
        space_open(s);
        if (!done)
            error = stock_fill(&k);
    }
    if (charged && !done)
        commit_add(-(s64)s->sum.committed);
    mutex_unlock(&s->range);
    stock_empty(&k);
    if (done && child->sum.special)
        error = fork_special(child);
    if (!error) {
        event(EVENT_FORK, 0, 1);
        return child;
    }
    if (done)
        space_put(child);
    else
        slab_free(space_cache, child);
    return err_ptr(error);
}
