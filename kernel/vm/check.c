/* check.c - the invariants, as code: the whole machine is walked and compared with what it says of itself.
 *
 * Three passes, with every other CPU stopped at a point where it holds no spin lock: all tables reachable from all
 * spaces (plans, slots, rights; each slot counted for its frame and each table pointer for its table), then the tables
 * again, to compare the sharers, then all frames. The numbers are those of the design's list of invariants (design.md).
 */
#include "vm/inner.h"

#include "vm/object_inner.h"
#include "vm/slab.h"
#include "vm/swap.h"
#include "vm/watch.h"

#define SHOWN 8u /* findings printed in full */

struct check {
    char *report;
    size_t size, used;
    u64 findings;
    u32 pass;
    u32 *mapped;        /* per frame: slots that map it, as counted */
    struct radix named; /* by chunk of slots: for each, entries that name it, and the swap cache */
    u64 tables, slots, runs, spaces, frames_seen;
};

static u32 last_pass; /* under checking */
static struct mutex checking = MUTEX_INIT(checking);

static void printf_like(2, 3) say(struct check *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = kvsnprintf(c->report + c->used, c->size - c->used, format, args);
    va_end(args);
    c->used = min(c->used + (n > 0 ? n : 0), c->size - 1);
}

#define expect(c, condition, format, ...)                                                                              \
    do {                                                                                                               \
        if (unlikely(!(condition)) && (c)->findings++ < SHOWN)                                                         \
            say((c), "finding: %s: " format "\n", #condition, ##__VA_ARGS__);                                          \
    } while (0)

/* Invariants 7, and that no run overlaps a slot with a table below. */
static void check_plan(struct check *c, struct table *t) {
    u64 last_end = 0, step = slot_pages(t->level);
    for (unsigned i = 0; i < t->run_count; i++) {
        struct run *r = &t->runs[i];
        c->runs++;
        expect(c, r->first < r->end && r->end <= table_pages(t), "level %u base %#lx run %u [%#lx, %#lx)", t->level,
               (unsigned long)t->base, i, (unsigned long)r->first, (unsigned long)r->end);
        expect(c, r->first >= last_end, "level %u base %#lx run %u begins at %#lx, the last one ends at %#lx", t->level,
               (unsigned long)t->base, i, (unsigned long)r->first, (unsigned long)last_end);
        struct run *n = i + 1 < t->run_count ? r + 1 : NULL;
        expect(c, !n || !run_continues(r->view, r->end, r->offset + (r->end - r->first), n->view, n->first, n->offset),
               "level %u base %#lx runs %u and %u should be one", t->level, (unsigned long)t->base, i, i + 1);
        unsigned below = t->level > 1 ? table_next(t, r->first / step) : TABLE_SLOTS;
        expect(c, below == TABLE_SLOTS || below * step >= r->end,
               "level %u base %#lx run %u overlaps the table of slot %u", t->level, (unsigned long)t->base, i, below);
        if (view_object(r->view))
            expect(c, plan_has_link(t, view_object(r->view)), "level %u base %#lx run %u has no link", t->level,
                   (unsigned long)t->base, i);
        r->view->check_runs++;
        last_end = r->end;
    }
    struct link *l;
    list_for_each(l, &t->links, in_table) {
        u32 runs = 0;
        for (unsigned i = 0; i < t->run_count; i++)
            runs += view_object(t->runs[i].view) == l->object;
        expect(c, l->runs == runs && l->table == t, "level %u base %#lx: a link counts %u runs, the plan has %u",
               t->level, (unsigned long)t->base, l->runs, runs);
    }
}

/* Invariant 5, counted. */
static void count_swap(struct check *c, u64 slot) {
    u16 *named = radix_find(&c->named, slot / SWAP_CHUNK);
    expect(c, swap_count(slot), "swap slot %#lx is named, and has no count", (unsigned long)slot);
    if (named) /* NULL: its chunk is new, since the memory to count in was made */
        named[slot % SWAP_CHUNK]++;
}

static void count_object_slot(u64 slot, void *argument) { count_swap(argument, slot); }

/* Invariants 1 and 3 for one slot of a leaf. */
static void check_slot(struct check *c, struct table *t, unsigned i, entry e, bool writable_path) {
    struct run *r = plan_find(t, i);
    unsigned long address = (t->base + i) << PAGE_SHIFT;
    c->slots++;
    expect(c, i >= t->lo && i < t->hi, "slot %u outside of [%u, %u)", i, t->lo, t->hi);
    expect(c, r != NULL, "address %#lx: slot %#lx without a run", address, (unsigned long)e);
    if (!r)
        return;
    u32 flags = r->view->flags;
    expect(c, !(e & ENTRY_CLEAN) || !entry_present(e) || !entry_writable(e), "address %#lx: writable, and clean",
           address);
    expect(c, !(e & ENTRY_GUARDED) || r->view->watches & WATCH_GUARDED, "address %#lx: guarded, and not watched",
           address);
    expect(c, !(e & ENTRY_GUARDED) || !entry_present(e) || !entry_writable(e), "address %#lx: writable, and guarded",
           address);
    expect(c, e != entry_guard() || view_object(r->view), "address %#lx: a guard where nothing can come", address);
    if (entry_swapped(e)) {
        expect(c, !(flags & VIEW_SHARED), "address %#lx: swapped, in a shared view", address);
        count_swap(c, entry_swap_slot(e));
        return;
    }
    expect(c, !entry_present(e) || (flags & VIEW_PROT), "address %#lx: present, but nothing is allowed", address);
    expect(c, !entry_writable(e) || !entry_present(e) || (flags & VIEW_WRITE), "address %#lx: writable, view %#x",
           address, flags);
    expect(c, !entry_present(e) || (e & ENTRY_NOEXEC) || (flags & VIEW_EXEC), "address %#lx: executable, view %#x",
           address, flags);
    if (entry_special(e)) {
        expect(c, !(entry_present(e) && entry_writable(e) && frame_of_phys(entry_phys(e)) == zero_frame),
               "address %#lx: the zero frame is writable", address);
        return;
    }
    expect(c, entry_present(e) || !(flags & VIEW_PROT) || t->withheld, "address %#lx: withheld, view %#x", address,
           flags);
    struct frame *f = frame_of_phys(entry_phys(e));
    u64 n = frame_number(f);
    expect(c, n < frame_count && (f->class == FRAME_ANON || f->class == FRAME_FILE || f->class == FRAME_SHMEM),
           "address %#lx: frame %#lx of class %u", address, (unsigned long)n, n < frame_count ? f->class : 99);
    if (n >= frame_count)
        return;
    c->mapped[n]++;
    if (f->class == FRAME_ANON) {
        expect(c, f->anon.ring == t->ring && f->anon.index == i,
               "address %#lx: frame %#lx names index %lu, another ring %u", address, (unsigned long)n,
               (unsigned long)f->anon.index, f->anon.ring != t->ring);
        expect(c, !(entry_present(e) && entry_writable(e) && (f->flags & FRAME_SWAP)),
               "address %#lx: writable, but frame %#lx is in the swap cache", address, (unsigned long)n);
        if (entry_present(e) && entry_writable(e) && writable_path && !(flags & VIEW_SHARED))
            expect(c, f->mapped == 1, "address %#lx: writable, but frame %#lx is mapped %u times", address,
                   (unsigned long)n, f->mapped);
    } else if (entry_present(e) && entry_writable(e)) {
        expect(c, flags & VIEW_SHARED, "address %#lx: a private view may write the file's frame %#lx", address,
               (unsigned long)n);
    }
}

static void check_leaf(struct check *c, struct table *t, bool writable_path) {
    unsigned anon = 0, object = 0, special = 0, swapped = 0;
    for (unsigned i = 0; i < TABLE_SLOTS; i++) {
        entry e = slot_read(&t->slots[i]);
        if (entry_empty(e))
            continue;
        check_slot(c, t, i, e, writable_path);
        if (entry_special(e))
            special++;
        else if (entry_swapped(e))
            swapped++;
        else if (frame_of_phys(entry_phys(e))->class == FRAME_ANON)
            anon++;
        else
            object++;
    }
    expect(c, t->anon == anon && t->object == object && t->special == special && t->swapped == swapped,
           "base %#lx counts %u %u %u %u, its slots hold %u %u %u %u", (unsigned long)t->base, t->anon, t->object,
           t->special, t->swapped, anon, object, special, swapped);
}

static void check_table(struct check *c, struct table *t, bool writable_path);

/* A large entry says what the leaf that it stands for says. */
static void check_large(struct check *c, struct table *leaf, entry e) {
    leaf->check_large++;
    for (unsigned i = 0; i < TABLE_SLOTS; i++) {
        entry small = slot_read(&leaf->slots[i]);
        expect(c,
               entry_present(small) && entry_phys(small) == entry_phys(e) + i * PAGE_SIZE &&
                   (entry_writable(small) || !entry_writable(e)) && !((small ^ e) & (ENTRY_NOEXEC | ENTRY_KEY)),
               "base %#lx slot %u: entry %#lx, shown as %#lx", (unsigned long)leaf->base, i, (unsigned long)small,
               (unsigned long)e);
    }
}

/* Invariant 2. */
static void check_below(struct check *c, struct table *t, bool writable_path) {
    for (unsigned word = 0; word < TABLE_SLOTS / 64; word++)
        expect(c, !t->below[word] == !(t->below_words >> word & 1), "level %u base %#lx: word %u is %#lx, marked %#x",
               t->level, (unsigned long)t->base, word, (unsigned long)t->below[word], t->below_words);
    for (unsigned i = 0; i < (t->level == TABLE_LEVELS ? TABLE_SLOTS / 2 : TABLE_SLOTS); i++) {
        entry e = slot_read(&t->slots[i]);
        bool marked = (t->below[i / 64] >> (i % 64)) & 1;
        expect(c, marked == (entry_is_table(e) || entry_is_large(e)),
               "level %u base %#lx slot %u: entry %#lx, marked %u", t->level, (unsigned long)t->base, i,
               (unsigned long)e, marked);
        if (!marked || entry_empty(e))
            continue;
        struct table *lower = table_below(e);
        expect(c, lower->level == t->level - 1u && lower->base == t->base + i * slot_pages(t->level),
               "level %u base %#lx slot %u leads to level %u base %#lx", t->level, (unsigned long)t->base, i,
               lower->level, (unsigned long)lower->base);
        expect(c, !entry_writable(e) || lower->shares == 1, "level %u base %#lx slot %u is writable, shares %u",
               t->level, (unsigned long)t->base, i, lower->shares);
        expect(c, !lower->dead, "level %u base %#lx slot %u leads to a dead table", t->level, (unsigned long)t->base,
               i);
        check_table(c, lower, writable_path && entry_writable(e));
        if (entry_is_large(e))
            check_large(c, lower, e);
    }
}

static void check_table(struct check *c, struct table *t, bool writable_path) {
    if (t->check_pass == c->pass) {
        t->check_shares++;
        return;
    }
    t->check_pass = c->pass;
    t->check_shares = 1;
    t->check_large = 0;
    c->tables++;
    check_plan(c, t);
    if (t->level == 1)
        check_leaf(c, t, writable_path);
    else
        check_below(c, t, writable_path);
}

static void check_shares(struct check *c, struct table *t) {
    expect(c, t->shares == t->check_shares, "level %u base %#lx: shares %u, found %u", t->level, (unsigned long)t->base,
           t->shares, t->check_shares);
    expect(c, t->level > 1 || t->large == t->check_large, "base %#lx: shown large by %u, found %u",
           (unsigned long)t->base, t->large, t->check_large);
    if (t->level > 1)
        for (unsigned i = table_next(t, 0); i < TABLE_SLOTS; i = table_next(t, i + 1))
            check_shares(c, table_below(slot_read(&t->slots[i])));
}

/* Invariant 8. */
static void check_totals(struct check *c, struct space *s) {
    struct tally y = {0};
    struct piece p;
    for (u64 page = 0; piece_next(s, page, &p); page = p.end)
        tally_add(&y, p.view, p.end - p.first);
    expect(c, !memcmp(&s->sum, &y, sizeof(y)), "totals %ld %ld %ld %ld %ld, the runs say %ld %ld %ld %ld %ld",
           (long)s->sum.total, (long)s->sum.data, (long)s->sum.stack, (long)s->sum.locked, (long)s->sum.committed,
           (long)y.total, (long)y.data, (long)y.stack, (long)y.locked, (long)y.committed);
    bool around = s->hole_first >= s->hole_end || !piece_next(s, s->hole_first, &p) || p.first >= s->hole_end;
    bool whole = s->hole_first >= s->hole_end || s->hole_first == FIRST_PAGE ||
                 (piece_prev(s, s->hole_first, &p) && p.end == s->hole_first);
    expect(c, around && whole, "hole [%#lx, %#lx), a mapping at [%#lx, %#lx)", (unsigned long)s->hole_first,
           (unsigned long)s->hole_end, (unsigned long)p.first, (unsigned long)p.end);
    u64 mappings = joined_count(s, 0, USER_PAGES);
    expect(c, s->mappings == mappings, "counts %lu mappings, has %lu", (unsigned long)s->mappings,
           (unsigned long)mappings);
}

/* Invariant 5, compared: a task that reads a slot may hold one count more. */
static void check_slots(struct check *c) {
    void *value;
    for (u64 n = radix_next(&c->named, 0, &value); n != RADIX_NONE; n = radix_next(&c->named, n + 1, &value))
        for (u64 i = 0; i < SWAP_CHUNK; i++) {
            u64 slot = n * SWAP_CHUNK + i;
            u16 found = ((u16 *)value)[i];
            expect(c, swap_count(slot) >= found, "swap slot %#lx: count %u, found %u", (unsigned long)slot,
                   swap_count(slot), found);
        }
}

/* Invariants 1 and 4, from the frames' side. */
static void check_frames(struct check *c) {
    for (u64 n = 0; n < frame_count; n++) {
        struct frame *f = &frames[n];
        bool mappable = f->class == FRAME_ANON || f->class == FRAME_FILE || f->class == FRAME_SHMEM;
        c->frames_seen++;
        expect(c, !mappable || f->mapped == c->mapped[n], "frame %#lx of class %u: mapped %u, found %u",
               (unsigned long)n, f->class, f->mapped, c->mapped[n]);
        expect(c, mappable || !c->mapped[n], "frame %#lx of class %u is mapped %u times", (unsigned long)n, f->class,
               c->mapped[n]);
        if (f->class == FRAME_ANON && (f->flags & FRAME_SWAP)) {
            expect(c, swap_caches(f), "frame %#lx is not in the swap cache, under slot %#x", (unsigned long)n,
                   f->anon.swap);
            count_swap(c, f->anon.swap);
        }
        if (mappable && f->class != FRAME_ANON && f->pins && f->object.object) {
            expect(c, f->class == FRAME_SHMEM || !(f->flags & FRAME_DIRTY) || f->object.object->ops->write_back,
                   "frame %#lx of class %u has what cannot be written back", (unsigned long)n, f->class);
            if (f->flags & FRAME_SWAP)
                count_swap(c, f->object.swap);
            expect(c, f->class == FRAME_SHMEM || !(f->flags & FRAME_SWAP), "frame %#lx of class %u has a slot",
                   (unsigned long)n, f->class);
            expect(c, radix_find(&f->object.object->tree, (u64)f->index_high << 32 | f->object.index) == f,
                   "frame %#lx is not where its object has page %#x", (unsigned long)n, f->object.index);
        }
    }
    objects_each_slot(count_object_slot, c);
    check_slots(c);
    struct frame_totals totals;
    u64 sum = 0;
    frame_totals(&totals);
    for (unsigned i = 0; i < FRAME_CLASSES; i++)
        sum += totals.frames[i];
    expect(c, sum == totals.given, "%lu in classes, %lu given", (unsigned long)sum, (unsigned long)totals.given);
}

static void forget_runs(struct view *v, void *unused argument) { v->check_runs = 0; }

/* Invariant 7, from the views' side: an operation that sleeps may hold more references than there are runs, never
 * fewer. */
static void check_view(struct view *v, void *argument) {
    struct check *c = argument;
    expect(c, v->references >= v->check_runs, "a view with flags %#x: references %u, runs %u", v->flags, v->references,
           v->check_runs);
}

static void check_machine(struct check *c) {
    struct space *s;
    view_each(forget_runs, NULL);
    list_for_each(s, &all_spaces, all_link) {
        c->spaces++;
        check_table(c, s->root, true);
    }
    list_for_each(s, &all_spaces, all_link) {
        check_shares(c, s->root);
        check_totals(c, s);
    }
    check_frames(c);
    view_each(check_view, c);
}

/* Memory to count in. */
static bool make_counters(struct check *c, unsigned order) {
    c->mapped = order <= FRAME_ORDER_MOST ? pages_alloc(order, FRAME_ZEROED) : NULL; /* up to 4 GiB of frames */
    struct radix_reserve nodes = {0};
    bool made = c->mapped;
    u64 slot = 0;
    while (made && (slot = swap_next_chunk(slot)) != ~0ULL) {
        u16 *named = pages_alloc(0, FRAME_ZEROED);
        made = named && !radix_reserve(&nodes, RADIX_HEIGHT_MOST) &&
               !radix_insert(&c->named, slot / SWAP_CHUNK, named, &nodes);
        if (!made)
            pages_free(named, 0);
        slot += SWAP_CHUNK;
    }
    radix_release(&nodes);
    return made;
}

static void free_counters(struct check *c, unsigned order) {
    void *value;
    for (u64 n; (n = radix_next(&c->named, 0, &value)) != RADIX_NONE;)
        pages_free(radix_remove(&c->named, n), 0);
    pages_free(c->mapped, order);
}

u64 vm_check(char *report, size_t size) {
    struct check c = {.report = report, .size = size};
    unsigned order = 0;
    report[0] = 0;
    while (PAGE_SIZE << order < frame_count * sizeof(u32))
        order++;
    mutex_lock(&checking);
    areas_hold();
    if (!make_counters(&c, order)) {
        say(&c, "no memory to count in: nothing verified\n");
    } else {
        reclaim_exclude(); /* a batch has pages in no table, and slots that nothing names */
        machine_quiesce();
        c.pass = ++last_pass;
        check_machine(&c);
        machine_resume();
        reclaim_include();
        say(&c, "verified %lu spaces, %lu tables, %lu runs, %lu slots, %lu frames: %lu findings\n",
            (unsigned long)c.spaces, (unsigned long)c.tables, (unsigned long)c.runs, (unsigned long)c.slots,
            (unsigned long)c.frames_seen, (unsigned long)c.findings);
    }
    free_counters(&c, order);
    areas_let_go();
    mutex_unlock(&checking);
    return c.findings;
}
