/* model_test.c - random sequences of operations for the model, and sequences that have failed once. */
#include "model.h"
#include "vm/policy.h"
#include "vm/zswap.h"

static unsigned left;      /* operations still to come */
static bool failing, wear; /* allocations and I/O fail; long runs of small mappings */

/* Addresses lie around the borders of tables of each level, where the mistakes are. */
static const u64 windows[] = {
    0x10100, /* inside a leaf */
    0x10200, /* a border of leaves */
    0x40000, /* of level 2 */
    0x40200,
    1ULL << 27, /* of level 3 */
    (1ULL << 27) + 0x200,
    FLAT_TOP - 0x20,
};
#define WINDOW 40

static struct flat *some_space(void) {
    unsigned n = (unsigned)rnd_below(SPACES);
    while (!flat_spaces[n % SPACES].real)
        n++;
    return &flat_spaces[n % SPACES];
}

static u64 some_page(struct flat *m) {
    u64 page = windows[rnd_below(array_count(windows))] - WINDOW / 2 + rnd_below(WINDOW);
    if (m->map_count && one_in(3)) {
        struct flat_map *x = &m->maps[rnd_below(m->map_count)];
        page = (one_in(2) ? x->first : x->end) + rnd_below(5) - 2;
    }
    return min(max(page, FLAT_FLOOR), FLAT_TOP - 1);
}

static void some_range(struct flat *m, struct op *o) {
    o->first = some_page(m);
    u64 end = o->first + 1 + rnd_below(one_in(3) ? 40 : 6);
    if (one_in(16)) /* from one window to another */
        end = max(some_page(m), o->first + 1);
    else if (one_in(16)) { /* whole tables */
        o->first = max(o->first & ~511ULL, FLAT_FLOOR);
        end = o->first + (512ULL << (one_in(4) ? 9 : 0));
    }
    o->pages = max(min(end, FLAT_TOP), o->first + 1) - o->first;
}

static u32 some_prot(void) {
    static const u32 prots[] = {VIEW_READ | VIEW_WRITE,
                                VIEW_READ | VIEW_WRITE,
                                VIEW_READ | VIEW_WRITE,
                                VIEW_READ,
                                VIEW_READ | VIEW_EXEC,
                                VIEW_PROT,
                                0,
                                VIEW_WRITE};
    return prots[rnd_below(array_count(prots))];
}

static u32 some_lock(void) { return one_in(3) ? 0 : one_in(2) ? VIEW_LOCKED : VIEW_LOCKED | VIEW_ONFAULT; }

static void draw_map(struct flat *m, struct op *o) {
    static const u32 more[] = {VIEW_NORESERVE, VIEW_LOCKED, VIEW_LOCKED | VIEW_ONFAULT, VIEW_DONTFORK, VIEW_HUGE};
    some_range(m, o);
    o->flags = some_prot();
    o->file = FILES;
    if (one_in(2)) {
        o->file = (u8)rnd_below(FILES);
        o->offset = rnd_below(FILE_PAGES / 2);
        o->flags |= one_in(2) ? VIEW_SHARED : 0;
        if (one_in(8)) {
            o->flags &= ~VIEW_WRITE;
            o->max_prot = VIEW_READ | VIEW_EXEC;
        }
    } else if (one_in(6)) {
        o->flags |= VIEW_GROWSDOWN;
    }
    o->flags |= one_in(5) ? more[rnd_below(array_count(more))] : 0;
    o->how = one_in(8) ? MAP_AT_FREE : one_in(4) ? 0 : MAP_AT;
    if (!o->how) {
        o->first = one_in(2) ? 0 : o->first;
        o->pages = one_in(8) ? o->pages : min(o->pages, 64ULL);
        o->how |= one_in(4) ? MAP_BELOW_4G : 0;
    }
    if (m->locked_default) /* all of it will be filled */
        o->pages = min(o->pages, 50ULL);
    if (o->pages > 50)
        o->flags &= ~(VIEW_LOCKED | VIEW_ONFAULT);
    else if (one_in(10))
        o->how |= MAP_FILL;
}

static void draw_change(struct flat *m, struct op *o) {
    static const u32 advice[] = {VIEW_DONTFORK, VIEW_WIPEONFORK, VIEW_LOCKED, VIEW_LOCKED | VIEW_ONFAULT,
                                 VIEW_DONTDUMP, VIEW_SEQUENTIAL, VIEW_RANDOM, VIEW_HUGE,
                                 VIEW_NOHUGE};
    u32 bits = advice[rnd_below(array_count(advice))];
    some_range(m, o);
    o->flags = one_in(2) ? bits : 0;
    o->clear = (bits & VIEW_LOCKED ? VIEW_LOCKED | VIEW_ONFAULT : bits) & ~o->flags;
}

static void draw_remap(struct flat *m, struct op *o) {
    some_range(m, o);
    if (m->map_count && !one_in(4)) { /* mostly one that can succeed */
        struct flat_map *x = &m->maps[rnd_below(m->map_count)];
        o->first = x->first + rnd_below(min(x->end - x->first, 30ULL));
        o->pages = min(x->end, o->first + 1 + rnd_below(40)) - o->first;
    }
    if (one_in(12))
        o->pages = 0;
    o->to = some_page(m);
    o->to_pages = one_in(3) || o->pages > 2000 ? o->pages : 1 + rnd_below(60);
    o->how = (u8)rnd_below(4);
    if (one_in(6)) {
        o->how |= REMAP_DONT_UNMAP | REMAP_MAY_MOVE;
        o->to_pages = o->pages;
    }
}

static void draw_life(struct flat *m, struct op *o, unsigned live) {
    unsigned n = (unsigned)rnd_below(SPACES);
    while (live < SPACES && flat_spaces[n % SPACES].real)
        n++;
    o->kind = live > 1 && (live == SPACES || contents_live > 1200 || one_in(3)) ? OP_EXIT : OP_FORK;
    o->other = n % SPACES;
    if (one_in(12) && live < SPACES) {
        o->kind = OP_CREATE;
        o->space = o->other;
    } else if (one_in(12)) {
        o->kind = OP_EXEC;
    }
}

static void draw_file(struct op *o) {
    o->kind = (u8)(OP_RESIZE + rnd_below(OP_FILE_DROP - OP_RESIZE + 1));
    o->file = (u8)rnd_below(FILES - 1); /* not the device */
    o->offset = rnd_below(FILE_PAGES);
    o->pages = 1 + rnd_below(30);
    o->value = rnd();
    if (o->kind == OP_RESIZE && one_in(2))
        o->kind = OP_FILE_WRITE;
    if (o->kind == OP_RESIZE)
        o->value = rnd_below(FILE_PAGES) * PAGE_SIZE - (one_in(3) ? 0 : rnd_below(PAGE_SIZE) & ~7ULL);
    if (o->kind == OP_RESIZE && o->value > FILE_PAGES * PAGE_SIZE)
        o->value = 0;
    if (one_in(5))
        o->kind = OP_RECLAIM;
    if (o->kind == OP_RECLAIM && one_in(3))
        o->pages = 5000; /* all that can go */
}

static void draw_look(struct flat *m, struct op *o) {
    static const u8 looks[] = {OP_READ,  OP_READ, OP_EXECUTE, OP_COPY_OUT, OP_COPY_IN,
                               OP_FUTEX, OP_LOOK, OP_USAGE,   OP_LOAD};
    o->kind = looks[rnd_below(array_count(looks))];
    o->how = (u8)rnd_below(2);
    o->cpu = (u8)rnd_below(4);
    o->value = rnd();
    o->first = some_page(m);
    o->pages = 1 + rnd_below(o->kind == OP_USAGE ? 1000 : 4);
}

static void draw_rare(struct flat *m, struct op *o) {
    static const u8 kinds[] = {OP_LIMITS, OP_LIMITS, OP_TOP, OP_MAP_LIMIT, OP_WEAR, OP_LOCK_FUTURE};
    o->kind = kinds[rnd_below(array_count(kinds))];
    o->first = some_page(m);
    o->flags = some_prot();
    o->how = (u8)rnd_below(16);
    o->backwards = (u8)rnd_below(2);
    o->pages = rnd_below(o->kind == OP_WEAR ? 60 : 100);
    if (o->kind == OP_LIMITS || o->kind == OP_MAP_LIMIT)
        o->how = one_in(3) ? o->how : 0;
    else if (o->kind == OP_LOCK_FUTURE)
        o->flags = one_in(2) ? 0 : some_lock();
    else if (o->kind == OP_TOP)
        o->first = one_in(2) ? FLAT_TOP : o->first;
}

/* What changes nothing that programs see, but for a space that is reaped. */
static void draw_short(struct op *o) {
    static const u8 kinds[] = {OP_AREA, OP_AREA, OP_AREA, OP_TIER, OP_TIER, OP_POLICY};
    o->kind = one_in(30) ? OP_REAP : kinds[rnd_below(array_count(kinds))];
    o->how = (u8)rnd_below(16);
    o->pages = o->kind == OP_TIER ? rnd_below(5) : 1 + rnd_below(one_in(2) ? 2000 : 60);
}

/* What memory is asked to become where it is. */
static void draw_become(struct flat *m, struct op *o) {
    static const u8 kinds[] = {OP_CLEAN, OP_COLLAPSE, OP_OFFLINE, OP_OFFLINE};
    o->kind = kinds[rnd_below(array_count(kinds))];
    o->first = some_page(m);
    o->how = (u8)rnd_below(2);
    o->pages = 1;
    if (o->kind == OP_COLLAPSE) {
        o->first = min(max(o->first & ~511ULL, 512ULL), (FLAT_TOP & ~511ULL) - 1024);
        o->pages = one_in(4) ? 1024 : 512;
    }
}

static void draw(struct flat *m, struct op *o, unsigned live) {
    static const struct {
        u8 below, kind;
    } simple[] = {{20, OP_UNMAP}, {27, OP_PROTECT}, {30, OP_DISCARD}, {31, OP_POPULATE},
                  {32, OP_SYNC},  {33, OP_FILL},    {34, OP_LOCK}};
    u64 dice = rnd_below(100);
    if (dice < 14) {
        o->kind = OP_MAP;
        draw_map(m, o);
        return;
    }
    for (unsigned i = 0; i < array_count(simple); i++)
        if (dice < simple[i].below) {
            o->kind = simple[i].kind;
            some_range(m, o);
            o->flags = some_prot();
            /* what is made present must fit into memory: what is locked is as it becomes writable */
            if (o->kind == OP_POPULATE || o->kind == OP_FILL || (o->kind == OP_PROTECT && flat_totals(m).locked))
                o->pages = min(o->pages, 40ULL);
            if (o->kind == OP_LOCK)
                o->flags = some_lock();
            return;
        }
    if (dice < 38) {
        o->kind = OP_REMAP;
        draw_remap(m, o);
    } else if (dice < 41) {
        o->kind = OP_CHANGE;
        draw_change(m, o);
    } else if (dice < 42) {
        o->kind = OP_BRK;
        o->value = m->brk_start + rnd_below(one_in(8) && !m->locked_default ? 4 * MiB : 100 * KiB) -
                   (one_in(10) ? 2 * PAGE_SIZE : 0);
    } else if (dice < 48) {
        draw_life(m, o, live);
    } else if (dice < 55) {
        draw_file(o);
    } else if (dice < 56 || (wear && dice < 60)) {
        draw_rare(m, o);
    } else if (dice < 72) {
        draw_look(m, o);
    } else if (dice < 73) {
        draw_short(o);
    } else if (dice < 74) {
        draw_become(m, o);
    } else {
        o->kind = OP_WRITE;
        o->first = some_page(m);
        o->pages = 1 + rnd_below(4);
        o->value = rnd();
    }
}

static bool next_op(struct op *o) {
    unsigned live = 0;
    for (unsigned i = 0; i < SPACES; i++)
        live += flat_spaces[i].real != NULL;
    *o = (struct op){0};
    if (!live) {
        o->kind = OP_CREATE;
        return true;
    }
    struct flat *m = some_space();
    o->space = (u8)(m - flat_spaces);
    o->seed = (u32)rnd();
    draw(m, o, live);
    if (failing && one_in(2))
        o->fail_alloc = 1 + (u32)rnd_below(one_in(4) ? 60 : 6);
    else if (failing && one_in(2))
        o->fail_io = 1 + (u32)rnd_below(one_in(4) ? 20 : 3);
    return left-- > 0;
}

/* seed: odd, and freed frames are not poisoned, so short cuts are taken; 2 more, and there is swap; 4 more, and tables
 * full of anonymous pages come at once: then memory may run out at any time; 8 more, and nothing is below the swap
 * area: what the compressed tier, there or not, does not take stays. And who is reclaimed is said by the policy whose
 * turn it is. */
static void model_start(u64 seed) {
    unsigned count = 0;
    test_seed = seed;
    vm_large = seed / 4 % 2 ? LARGE_ALWAYS : LARGE_NEVER;
    model_small = vm_large != LARGE_NEVER;
    machine_start((struct host_config){
        .cpus = 3, .swap = seed / 2 % 2 ? 2000 : 0, .no_device = seed / 8 % 2, .bytes = model_small ? 48 * MiB : 0});
    while (policies[count])
        count++;
    check_eq(vm_policy_choose(policies[seed / 3 % count]->name), 0);
    if (host_swap.pages) /* what the compressed tier works with, before anything is counted */
        check_eq(zswap_set_limit(1), 0);
    check_eq(zswap_set_limit(0), 0);
}

static void run(unsigned steps, unsigned every) {
    model_start(test_seed);
    left = steps;
    wear = test_seed % 4 == 3;
    model_record(next_op, every);
}

/* 400,000 operations in the fast build, and three times as many in make test, with the whole machine checked at every
 * 32nd (a failure's replay checks at each); beside them some thousands with the sanitizers, checked at each. */
#ifdef HOST_FAST
#define STEPS 10000
#define EVERY 32
#define SEEDS 20
#else
#define STEPS 400
#define EVERY 1
#define SEEDS 60
#endif

test_seeds(model, SEEDS) { run(STEPS, EVERY); }
test_seeds(model_with_failures, SEEDS) {
    failing = true;
    run(STEPS, EVERY);
}

/* ---- what has failed once, as small as it became */

/* A debugger's write went to a frame that another space had by a swap entry. */
static const struct op forced_write[] = {
    {OP_CREATE, .space = 7, .other = 7},
    {OP_FORK, .space = 7, .other = 3},
    {OP_MAP, .space = 3, .file = 6, .how = 1, .flags = 0x1, .first = 0x8000000, .pages = 512},
    {OP_EXIT, .space = 7, .other = 5},
    {OP_FORK, .space = 3, .other = 7},
    {OP_FORK, .space = 7, .other = 4},
    {OP_PROTECT, .space = 4, .flags = 0x3, .first = 0x80001ec, .pages = 4},
    {OP_FORK, .space = 4, .other = 5},
    {OP_WRITE, .space = 5, .first = 0x80001ef, .pages = 1},
    {OP_FORK, .space = 5},
    {OP_RECLAIM, .space = 4, .file = 3, .pages = 1},
    {OP_FORK, .other = 2},
    {OP_EXIT, .space = 4, .other = 6},
    {OP_DISCARD, .space = 2, .first = 0x8000017, .pages = 1},
    {OP_FORK, .space = 2, .other = 4},
    {OP_EXIT, .space = 2, .other = 5},
    {OP_COPY_IN, .space = 4, .how = 1, .first = 0x80001ee, .pages = 1},
};
test(model_forced_write_spares_who_has_the_page_in_swap) {
    model_start(2);
    model_replay(forced_write, array_count(forced_write));
}

/* A debugger's write to memory that may not be written brought a whole table that could be. */
static const struct op forced_large[] = {
    {OP_CREATE},
    {OP_MAP, .file = 6, .how = 1, .flags = 0x5, .first = 0x101f6, .pages = 4294959038},
    {OP_COPY_IN, .how = 1, .first = 0x800000c, .pages = 1},
};
test(model_forced_write_brings_no_large_table) {
    model_start(4);
    model_replay(forced_large, array_count(forced_large));
}

/* The limit of data was asked about pages behind a hole, which mprotect never reaches. */
static const struct op limit_and_hole[] = {
    {OP_CREATE, .space = 4, .other = 4},
    {OP_FORK, .space = 4, .other = 3},
    {OP_MAP, .space = 3, .file = 6, .how = 1, .flags = 0x1, .first = 0x401fe, .pages = 1},
    {OP_LIMITS, .space = 3, .how = 14, .backwards = 1, .flags = 0x3, .first = 0x7ffffffdb, .pages = 1},
    {OP_FORK, .space = 3, .other = 2},
    {OP_FORK, .space = 2, .other = 7},
    {OP_MAP, .space = 7, .file = 4, .how = 1, .flags = 0x5, .first = 0x401ed, .pages = 1},
    {OP_PROTECT, .space = 7, .flags = 0x7, .first = 0x401ed, .pages = 19},
};
test(model_protect_counts_data_up_to_a_hole) {
    model_start(0);
    model_replay(limit_and_hole, array_count(limit_and_hole));
}

/* ... and before whether the mapping may become writable at all. */
static const struct op limit_and_right[] = {
    {OP_CREATE},
    {OP_FORK, .other = 1},
    {OP_FORK, .space = 1, .other = 5},
    {OP_MAP, .space = 5, .file = 4, .how = 1, .max_prot = 5, .flags = 0x5, .first = 0x100f6, .pages = 10},
    {OP_FORK, .space = 5, .other = 3},
    {OP_LIMITS, .space = 3, .how = 6, .backwards = 1, .flags = 0x2, .first = 0x7ffffee, .pages = 1},
    {OP_PROTECT, .space = 3, .flags = 0x3, .first = 0x100f6, .pages = 7},
};
test(model_protect_asks_for_the_right_before_the_limit) {
    model_start(3);
    model_replay(limit_and_right, array_count(limit_and_right));
}

/* A debugger read a device's page that had been protected after it was touched; not one that had not been touched. */
static const struct op forced_device[] = {
    {OP_CREATE, .space = 1, .other = 1},
    {OP_FORK, .space = 1, .other = 4},
    {OP_FORK, .space = 4, .other = 3},
    {OP_MAP, .space = 3, .file = 5, .how = 1, .flags = 0x2, .first = 0x401f8, .pages = 13},
    {OP_PROTECT, .space = 3, .first = 0x401f9, .pages = 14},
    {OP_COPY_OUT, .space = 3, .how = 1, .first = 0x40204, .pages = 1},
};
test(model_forced_read_of_a_protected_device) {
    model_start(3);
    model_replay(forced_device, array_count(forced_device));
}

/* A fork without a stack that lies in two tables: the hole that mmap remembers was empty, and was believed. */
static const struct op hole_below_a_stack[] = {
    {OP_CREATE, .space = 6, .other = 6},
    {OP_FORK, .space = 6, .other = 2},
    {OP_FORK, .space = 2, .other = 7},
    {OP_EXEC, .space = 7, .other = 6},
    {OP_REMAP, .space = 7, .how = 7, .first = 0x40211, .pages = 2, .to = 0x80001ff, .to_pages = 2},
    {OP_FORK, .space = 7, .other = 4},
    {OP_UNMAP, .space = 4, .flags = 0x2, .first = 0x8000200, .pages = 1},
    {OP_EXIT, .space = 2, .other = 4},
    {OP_EXIT, .space = 6, .other = 2},
    {OP_FORK, .space = 4, .other = 2},
    {OP_WRITE, .space = 2, .first = 0x80001f9, .pages = 1},
    {OP_MAP, .space = 2, .file = 6, .how = 1, .flags = 0x3, .first = 0x800020d, .pages = 1},
    {OP_MAP, .space = 2, .file = 6, .how = 1, .flags = 0x4085, .first = 0x80001fd, .pages = 16},
    {OP_FORK, .space = 2, .other = 6},
};
test(model_hole_after_a_fork_without_a_stack) {
    model_start(0);
    model_replay(hole_below_a_stack, array_count(hole_below_a_stack));
}
/* What a page holds, in a leaf shown large: the walk had ended above it. */
static const struct op look_into_large[] = {
    {OP_CREATE},
    {OP_MAP, .file = 6, .flags = 0x4003, .first = 0x80001f8, .pages = 1},
    {OP_MAP, .file = 5, .how = 6, .flags = 0x7, .first = 0x40003, .pages = 10},
    {OP_WRITE, .first = 0x80001f8, .pages = 1},
    {OP_MAP, .file = 6, .how = 1, .flags = 0x3, .first = 0x10106, .pages = 33538109},
    {OP_MAP, .file = 4, .how = 1, .flags = 0x3, .first = 0x10000, .pages = 512},
    {OP_FORK, .other = 7},
    {OP_WRITE, .space = 7, .first = 0x1020c, .pages = 1},
    {OP_FILL, .space = 7, .flags = 0x2, .first = 0x101ff, .pages = 10},
};
test(model_looks_into_a_large_leaf) {
    model_start(7);
    model_replay(look_into_large, array_count(look_into_large));
}

/* A locked leaf shown large shares its frames with a child's, which is not locked: their descriptors lead to the leaf,
 * and were given slots of the swap area. */
static const struct op locked_large[] = {
    {OP_CREATE},
    {OP_FORK, .other = 2},
    {OP_FORK, .space = 2, .other = 1},
    {OP_MAP, .space = 1, .file = 6, .how = 1, .flags = 0x3, .first = 0x10101, .pages = 33538110},
    {OP_CHANGE, .space = 1, .flags = 0x20, .clear = 0x40, .first = 0x10105, .pages = 33537982},
    {OP_EXIT, .space = 2},
    {OP_WRITE, .space = 1, .first = 0x3fff2, .pages = 1},
    {OP_FORK, .space = 1, .other = 2},
    {OP_RECLAIM, .space = 1, .pages = 1},
};
test(model_locked_leaf_stays_large_beside_a_child) {
    model_start(6);
    model_replay(locked_large, array_count(locked_large));
}

/* Unmapped below a stack, above the top of what mmap looks at: the guard reaches below that. */
static const struct op guard_at_top[] = {
    {OP_CREATE, .space = 7, .other = 7},
    {OP_MAP, .space = 7, .file = 6, .how = 1, .flags = 0x4001, .first = 0x101f5, .pages = 196623},
    {OP_TOP, .space = 7, .how = 9, .backwards = 1, .flags = 0x5, .first = 0x3fffb, .pages = 1},
    {OP_UNMAP, .space = 7, .flags = 0x3, .first = 0x40013, .pages = 2},
    {OP_MAP, .space = 7, .file = 4, .how = 1, .first = 0x100fe, .pages = 1},
    {OP_FORK, .space = 7, .other = 5},
    {OP_UNMAP, .space = 5, .flags = 0x1, .first = 0x3fff2, .pages = 34},
    {OP_MAP, .space = 5, .file = 6, .how = 4, .flags = 0x3, .pages = 1},
};
test(model_guard_reaches_below_the_top) {
    model_start(6);
    model_replay(guard_at_top, array_count(guard_at_top));
}

/* ... and wrote to a private copy of one. */
static const struct op forced_device_copy[] = {
    {OP_CREATE},
    {OP_FORK, .other = 7},
    {OP_FORK, .space = 7, .other = 4},
    {OP_MAP, .space = 4, .file = 5, .how = 5, .flags = 0x2, .first = 0x80001fd, .pages = 10},
    {OP_FORK, .space = 4, .other = 1},
    {OP_WRITE, .space = 1, .first = 0x80001fd, .pages = 4},
    {OP_PROTECT, .space = 1, .first = 0x80001ff, .pages = 1},
    {OP_COPY_IN, .space = 1, .how = 1, .first = 0x80001fe, .pages = 1},
};
test(model_forced_write_to_a_copy_of_a_device) {
    model_start(2);
    model_replay(forced_device_copy, array_count(forced_device_copy));
}

/* A full leaf, of which one page had been in an area that was emptied: it was cloned as if all its slots translated. */
static const struct op full_leaf[] = {
    {OP_CREATE, .space = 1, .other = 1},
    {OP_AREA, .how = 2, .pages = 1},
    {OP_MAP, .space = 1, .file = 6, .how = 1, .flags = 0x3, .first = 0x10110, .pages = 33537978},
    {OP_WRITE, .space = 1, .first = 0x40204, .pages = 1},
    {OP_RECLAIM, .space = 7, .file = 1, .pages = 1},
    {OP_AREA, .how = 0},
    {OP_FORK, .space = 1, .other = 2},
    {OP_FILL, .space = 1, .flags = 0x3, .first = 0x4020d, .pages = 1},
};
test(model_clones_a_leaf_with_withheld_slots) {
    model_start(262);
    model_replay(full_leaf, array_count(full_leaf));
}

/* mprotect filled all locked memory of its range, where only what becomes writable is to be filled: more than there is.
 */
static const struct op locked_writable[] = {
    {OP_CREATE},
    {OP_MAP, .file = 6, .how = 1, .flags = 0x3, .first = 0x101f4, .pages = 4294959039},
    {OP_FORK, .other = 5},
    {OP_CHANGE, .space = 5, .flags = 0x20, .clear = 0x40, .first = 0x40200, .pages = 32768},
    {OP_PROTECT, .space = 5, .flags = 0x3, .first = 0x40000, .pages = 32768},
};
test(model_protect_fills_what_becomes_writable) {
    model_start(336);
    model_replay(locked_writable, array_count(locked_writable));
}
