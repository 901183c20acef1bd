/* race_test.c - several tasks in and around one address space at once; the seed decides who goes on at each atomic
 * operation.
 *
 * Each thread of the parent writes numbers that only grow, in words that are its own: so it knows exactly what it must
 * read. Forkers fork the parent while that goes on, and look at the child: a word must hold what it held at some moment
 * of the fork, and from then on change only by the child's own hand. Others toggle protections, discard, unmap and map
 * beside them, sync, reclaim, truncate. At the end the machine is whole and nothing has leaked. */
#include "host.h"

#define THREADS 3
#define PAGES 20 /* of the parent that are watched */
#define ROUNDS 60

enum region_kind { ANON, PRIVATE_FILE, SHARED_FILE, REGIONS };
static const struct {
    u64 page, pages, index; /* index: of the first page in `lowest` and `highest` */
} region[REGIONS] = {
    [ANON] = {0x101fb, 10, 0},         /* across a border of leaves */
    [PRIVATE_FILE] = {0x10300, 5, 10}, /* beside it */
    [SHARED_FILE] = {0x3fffe, 5, 15},  /* across a border of level 2 */
};
#define LOOSE_PAGE 0x10306ULL /* what others map, unmap and discard, in the same leaf */
#define LOOSE_PAGES 6

static struct space *parent;
static struct host_file *file, *other;
static u64 lowest[THREADS][PAGES],
    highest[THREADS][PAGES]; /* a word holds a value in between; both are the same when nobody writes */
static unsigned busy;        /* threads that still write */

static u64 page_of(unsigned index) {
    for (unsigned k = 0; k < REGIONS; k++)
        if (index < region[k].index + region[k].pages)
            return region[k].page + (index - region[k].index);
    return 0;
}
static u64 word_at(unsigned thread, unsigned index) { return (page_of(index) << PAGE_SHIFT) + thread * 1024 + 8; }
static bool is_shared(unsigned index) { return index >= region[SHARED_FILE].index; }

/* What a file held before counts as 0. */
static u64 normal(u64 value) { return value >> 56 ? 0 : value; }

static void map_part(struct space *s, u64 page, u64 pages, u32 flags, struct host_file *f, u64 index) {
    struct map_request r = {.address = page << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    r.offset = index << PAGE_SHIFT;
    check_eq(space_map(s, &r), r.address);
}
static void map_at(struct space *s, u64 page, u64 pages, u32 flags, struct host_file *f) {
    map_part(s, page, pages, flags, f, 0);
}

static void writer(void *argument) {
    unsigned me = (unsigned)(u64)argument;
    for (unsigned i = 0; i < ROUNDS * 4; i++) {
        unsigned index = (unsigned)rnd_below(PAGES);
        u64 value = 0xbad, next;
        enum fault_outcome got = mem_read(parent, word_at(me, index), &value);
        check_eq(got, FAULT_DONE);
        if (normal(value) != lowest[me][index])
            test_fail(__FILE__, __LINE__, "thread %u, page %#lx: %#lx, should %#lx", me, page_of(index), value,
                      lowest[me][index]);
        if (one_in(3))
            continue;
        next = lowest[me][index] + 1;
        highest[me][index] = next;
        got = mem_write(parent, word_at(me, index), next);
        check(got == FAULT_DONE || got == FAULT_ACCERR); /* a toggler was faster */
        if (got == FAULT_DONE)
            lowest[me][index] = next;
    }
    busy--;
}

struct snapshot {
    u64 low[THREADS][PAGES], high[THREADS][PAGES];
    u64 seen[THREADS][PAGES];
    bool known[THREADS][PAGES];
};

static void look(struct space *s, struct snapshot *n, unsigned t, unsigned index) {
    u64 value = 0xbad;
    check_eq(mem_read(s, word_at(t, index), &value), FAULT_DONE);
    value = normal(value);
    u64 high = is_shared(index) ? highest[t][index] : n->high[t][index];
    if (is_shared(index) || !n->known[t][index]) {
        if (value < n->low[t][index] || value > high)
            test_fail(__FILE__, __LINE__, "child, thread %u's word of page %#lx: %#lx, was in [%#lx, %#lx] at the fork",
                      t, page_of(index), value, n->low[t][index], high);
    } else if (value != n->seen[t][index]) {
        test_fail(__FILE__, __LINE__, "child, thread %u's word of page %#lx: %#lx, was %#lx", t, page_of(index), value,
                  n->seen[t][index]);
    }
    n->known[t][index] = true;
    n->seen[t][index] = value;
}

static void child_life(struct space *child, struct snapshot *n, unsigned depth);

static void fork_and_live(struct space *from, struct snapshot *of, unsigned depth) {
    struct snapshot *n = calloc(1, sizeof(*n));
    bool of_parent = from == parent;
    for (unsigned t = 0; t < THREADS; t++)
        for (unsigned i = 0; i < PAGES; i++) {
            n->low[t][i] = of_parent || is_shared(i) ? lowest[t][i] : of->known[t][i] ? of->seen[t][i] : of->low[t][i];
            n->high[t][i] = of_parent ? 0 : of->known[t][i] ? of->seen[t][i] : of->high[t][i];
        }
    struct space *child = space_fork(from);
    check(!is_err(child));
    if (of_parent)
        memcpy(n->high, highest, sizeof(n->high));
    fiber_use(child);
    child_life(child, n, depth);
    fiber_use(from);
    space_put(child);
    free(n);
}

static void child_life(struct space *child, struct snapshot *n, unsigned depth) {
    for (unsigned i = 0, rounds = (unsigned)rnd_below(40); i < rounds; i++) {
        unsigned t = (unsigned)rnd_below(THREADS), index = (unsigned)rnd_below(PAGES);
        if (one_in(3) && !is_shared(index)) {
            u64 value = 0x10000 + rnd_below(1000);
            enum fault_outcome got = mem_write(child, word_at(t, index), value);
            check(got == FAULT_DONE || got == FAULT_ACCERR); /* forked while it could not be written */
            if (got == FAULT_DONE) {
                n->known[t][index] = true;
                n->seen[t][index] = value;
            }
        } else {
            look(child, n, t, index);
        }
        if (depth < 2 && one_in(20))
            fork_and_live(child, n, depth + 1);
    }
}

static void forker(void *argument) {
    while (busy)
        fork_and_live(parent, NULL, 0);
}

/* Children that end at once: what they shared becomes the parent's alone, at any moment. */
static void short_forker(void *argument) {
    while (busy) {
        struct space *child = space_fork(parent);
        check(!is_err(child));
        fiber_yield();
        space_put(child);
        fiber_yield();
    }
}

/* Takes the right to write away and gives it back, whole regions or parts. */
static void toggler(void *argument) {
    while (busy) {
        unsigned k = (unsigned)rnd_below(REGIONS);
        u64 first = region[k].page + rnd_below(region[k].pages),
            pages = 1 + rnd_below(region[k].page + region[k].pages - first);
        check_eq(space_protect(parent, first << PAGE_SHIFT, pages << PAGE_SHIFT, VIEW_READ), 0);
        fiber_yield();
        check_eq(space_protect(parent, first << PAGE_SHIFT, pages << PAGE_SHIFT, VIEW_READ | VIEW_WRITE), 0);
        fiber_yield();
    }
}

/* A loose page is not mapped, empty, or holds its one writer's last value. */
static void loose_user(void *argument) {
    u64 last[LOOSE_PAGES] = {0};
    while (busy) {
        u64 k = rnd_below(LOOSE_PAGES), address = (LOOSE_PAGE + k) << PAGE_SHIFT, value = 0xbad;
        enum fault_outcome got = mem_read(parent, address, &value);
        check(got == FAULT_DONE || got == FAULT_MAPERR);
        if (got == FAULT_DONE && value != 0 && value != last[k])
            test_fail(__FILE__, __LINE__, "loose page %lu: %#lx, should be 0 or %#lx", k, value, last[k]);
        if (got == FAULT_MAPERR || value == 0)
            last[k] = 0;
        if (mem_write(parent, address, value + 1) ==
            FAULT_DONE) /* if it was discarded since: a later value than any before */
            last[k] = value + 1;
    }
}
static void loose_mapper(void *argument) {
    while (busy) {
        u64 first = LOOSE_PAGE + rnd_below(LOOSE_PAGES), pages = 1 + rnd_below(LOOSE_PAGE + LOOSE_PAGES - first);
        switch (rnd_below(3)) {
        case 0:
            check_eq(space_unmap(parent, first << PAGE_SHIFT, pages << PAGE_SHIFT), 0);
            break;
        case 1:
            map_at(parent, first, pages, VIEW_READ | VIEW_WRITE, NULL);
            break;
        default:
            mem_discard(parent, first << PAGE_SHIFT, pages << PAGE_SHIFT);
        }
        fiber_yield();
    }
}

/* A range that moves to and fro, while others look at both places: they see nothing, zeroes, or what its owner wrote
 * once. */
#define MOVE_HERE 0x10320ULL
#define MOVE_THERE 0x10600ULL
#define MOVE_PAGES 5
static void mover(void *argument) {
    u64 at = MOVE_HERE, last[MOVE_PAGES] = {0};
    while (busy) {
        u64 to = at == MOVE_HERE ? MOVE_THERE : MOVE_HERE, value;
        for (u64 i = 0; i < MOVE_PAGES; i++) {
            check_eq(mem_read(parent, (at + i) << PAGE_SHIFT, &value), FAULT_DONE);
            check_eq(value, last[i]);
            if (one_in(2))
                check_eq(mem_write(parent, (at + i) << PAGE_SHIFT, ++last[i]), FAULT_DONE);
        }
        check_eq(space_remap(parent, at << PAGE_SHIFT, MOVE_PAGES << PAGE_SHIFT, MOVE_PAGES << PAGE_SHIFT,
                             REMAP_MAY_MOVE | REMAP_FIXED, to << PAGE_SHIFT),
                 to << PAGE_SHIFT);
        at = to;
    }
}
static void onlooker(void *argument) {
    while (busy) {
        u64 value = 0, page = (one_in(2) ? MOVE_HERE : MOVE_THERE) + rnd_below(MOVE_PAGES);
        enum fault_outcome got = mem_read(parent, page << PAGE_SHIFT, &value);
        check(got == FAULT_DONE || got == FAULT_MAPERR);
        check(value < 1 << 20);
    }
}

static void file_keeper(void *argument) {
    while (busy) {
        switch (rnd_below(4)) {
        case 0:
            check_eq(object_sync(&file->object, 0, 100), 0);
            break;
        case 1:
            vm_reclaim(1 + rnd_below(20));
            break;
        case 2:
            object_drop(&file->object, 0, 100);
            break;
        default:
            host_file_resize(file, (13 + rnd_below(10)) * PAGE_SIZE); /* never below what is watched */
        }
        fiber_yield();
    }
}

/* Everything goes to the swap area, again and again. */
static void swapper(void *argument) {
    while (busy) {
        vm_reclaim(1 + rnd_below(60));
        fiber_yield();
    }
}

/* A second area comes and goes. */
static int go_on(void) {
    fiber_yield();
    return 0;
}
static void switcher(void *argument) {
    while (busy) {
        unsigned area = host_swap_add(1024, (int)rnd_below(3));
        for (u64 n = rnd_below(20); n; n--) {
            vm_reclaim(1 + rnd_below(60));
            fiber_yield();
        }
        check_eq(area_empty(area, go_on), 0);
        host_swap_drop(area);
    }
}

/* What was given up is gone for every thread when the call returns, also if reclaim has the page in hand just then: the
 * slot holds a swap entry already, and another CPU the translation still. */
#define GONE_AT (0x10340ULL << PAGE_SHIFT)
static enum { SET, SEEN, WATCHED, GONE, READ_ONLY } stage;
static u64 set_value;
static bool await(unsigned wanted) { /* false: the others are done */
    while (busy && stage != wanted)
        fiber_yield();
    return busy;
}
static void giver(void *argument) {
    stage = SET;
    for (u64 n = 1; busy; n++) {
        check_eq(mem_write(parent, GONE_AT, n), FAULT_DONE);
        set_value = n;
        stage = SEEN;
        if (!await(WATCHED))
            break;
        u64 how = rnd_below(3);
        if (how == 0)
            check_eq(mem_discard(parent, GONE_AT, PAGE_SIZE), 0);
        else if (how == 1)
            check_eq(space_protect(parent, GONE_AT, PAGE_SIZE, VIEW_READ), 0);
        else
            map_at(parent, GONE_AT >> PAGE_SHIFT, 1, VIEW_READ | VIEW_WRITE, NULL);
        stage = how == 1 ? READ_ONLY : GONE;
        if (!await(SET))
            break;
        check_eq(space_protect(parent, GONE_AT, PAGE_SIZE, VIEW_READ | VIEW_WRITE), 0);
    }
}
static void watcher(void *argument) {
    for (u64 value; busy; fiber_yield()) {
        if (stage == READ_ONLY) {
            check_eq(mem_write(parent, GONE_AT, 77), FAULT_ACCERR);
            stage = SET;
        } else if (stage == SEEN || stage == GONE) {
            bool gone = stage == GONE;
            if (!gone && one_in(2)) /* what may be written is cached so */
                check_eq(mem_write(parent, GONE_AT, set_value), FAULT_DONE);
            check_eq(mem_read(parent, GONE_AT, &value), FAULT_DONE);
            check_eq(value, gone ? 0 : set_value);
            stage = gone ? SET : WATCHED;
        }
    }
}

/* Pages given up by MADV_FREE: what was written before may be lost, what is written after may not. */
#define LAZY_AT 0x10380ULL
#define LAZY_PAGES 6
static void lazy(void *argument) {
    u64 value = 0, got = 0;
    while (busy) {
        u64 page = LAZY_AT + rnd_below(LAZY_PAGES), address = page << PAGE_SHIFT;
        check_eq(mem_write(parent, address, ++value), FAULT_DONE);
        space_pages_free(parent, LAZY_AT, LAZY_AT + LAZY_PAGES);
        check_eq(mem_read(parent, address, &got), FAULT_DONE);
        check(got == value || got == 0);
        check_eq(mem_write(parent, address, ++value), FAULT_DONE);
        for (unsigned i = 0; i < 3; i++) {
            fiber_yield();
            check_eq(mem_read(parent, address, &got), FAULT_DONE);
            check_eq(got, value);
        }
    }
}

/* Another space maps a file that is cut and grown under it: SIGBUS or contents, nothing else. */
static void cut_user(void *argument) {
    struct space *s = argument;
    map_at(s, 0x20000, 8, VIEW_READ | VIEW_WRITE | (one_in(2) ? VIEW_SHARED : 0), other);
    while (busy) {
        u64 value, address = (0x20000 + rnd_below(8)) << PAGE_SHIFT;
        enum fault_outcome got = one_in(2) ? mem_read(s, address, &value) : mem_write(s, address, 7);
        check(got == FAULT_DONE || got == FAULT_BUS_ADRERR);
    }
}
static void cutter(void *argument) {
    while (busy) {
        host_file_resize(other, rnd_below(9) * PAGE_SIZE);
        fiber_yield();
    }
}

#define WITH_FORK 1u
#define WITH_TOGGLE 2u
#define WITH_LOOSE 4u
#define WITH_FILES 8u
#define WITH_CUT 16u
#define WITH_MOVE 32u
#define WITH_SWAP 64u
#define WITH_GIVING 128u
#define WITH_LARGE 256u /* the first part of ANON lies in a leaf shown large */
#define WITH_LAZY 512u
#define WITH_SWITCH 1024u

static void race(unsigned with, unsigned cpus) {
    machine_start((struct host_config){.cpus = cpus, .swap = with & WITH_SWAP ? 2048 : 0});
    file = host_file_new('F', 13 * PAGE_SIZE, true);
    other = host_file_new('O', 8 * PAGE_SIZE, one_in(2));
    host_settle();
    struct host_count before = host_count();
    parent = space_create(false);
    check(parent != NULL);
    u32 rw = VIEW_READ | VIEW_WRITE;
    map_at(parent, region[ANON].page, region[ANON].pages, rw, NULL);
    if (with & WITH_LARGE)
        map_at(parent, region[ANON].page & ~511ULL, region[ANON].page & 511, rw, NULL);
    map_part(parent, region[PRIVATE_FILE].page, region[PRIVATE_FILE].pages, rw, file,
             8); /* other pages than the shared ones */
    map_at(parent, region[SHARED_FILE].page, region[SHARED_FILE].pages, rw | VIEW_SHARED, file);
    map_at(parent, LOOSE_PAGE, LOOSE_PAGES, rw, NULL);
    struct space *cut = space_create(false), *cut_too = space_create(false);
    busy = THREADS;
    for (u64 t = 0; t < THREADS; t++)
        fiber_add("writer", writer, (void *)t, parent);
    for (unsigned i = 0; (with & WITH_FORK) && i < 2; i++)
        fiber_add("forker", forker, NULL, parent);
    if (with & WITH_TOGGLE)
        fiber_add("toggler", toggler, NULL, parent);
    if (with & WITH_LOOSE) {
        fiber_add("loose user", loose_user, NULL, parent);
        fiber_add("loose mapper", loose_mapper, NULL, parent);
    }
    if (with & WITH_MOVE) {
        map_at(parent, MOVE_HERE, MOVE_PAGES, rw, NULL);
        fiber_add("mover", mover, NULL, parent);
        fiber_add("onlooker", onlooker, NULL, parent);
        fiber_add("short forker", short_forker, NULL, parent);
    }
    if (with & WITH_SWAP)
        fiber_add("swapper", swapper, NULL, NULL);
    if (with & WITH_SWITCH)
        fiber_add("switcher", switcher, NULL, NULL);
    if (with & WITH_GIVING) {
        map_at(parent, GONE_AT >> PAGE_SHIFT, 1, rw, NULL);
        fiber_add("giver", giver, NULL, parent);
        fiber_add("watcher", watcher, NULL, parent);
    }
    if (with & WITH_LAZY) {
        map_at(parent, LAZY_AT, LAZY_PAGES, rw, NULL);
        fiber_add("lazy", lazy, NULL, parent);
    }
    if (with & WITH_FILES)
        fiber_add("file keeper", file_keeper, NULL, NULL);
    if (with & WITH_CUT) {
        fiber_add("cut user", cut_user, cut, cut);
        fiber_add("cut user too", cut_user, cut_too, cut_too);
        fiber_add("cutter", cutter, NULL, NULL);
    }
    fibers_run(2 + (unsigned)rnd_below(30));
    host_check();
    for (unsigned c = 0; c < cpu_count; c++) {
        host_cpu(c);
        space_load(NULL);
    }
    space_put(parent);
    space_put(cut);
    space_put(cut_too);
    check_eq(file->references, 1);
    check_eq(other->references, 1);
    host_file_put(file);
    host_file_put(other);
    check_no_leak(before);
}

test_seeds(race_of_faults, 20) { race(0, 3); }
test_seeds(race_of_faults_and_fork, 60) { race(WITH_FORK, 3); }
test_seeds(race_of_faults_and_protect, 30) { race(WITH_TOGGLE, 3); }
test_seeds(race_of_faults_and_unmap, 30) { race(WITH_LOOSE, 3); }
test_seeds(race_of_faults_and_reclaim, 30) { race(WITH_FILES, 3); }
test_seeds(race_of_faults_and_truncate, 30) { race(WITH_CUT, 4); }
test_seeds(race_of_moves_and_fork, 400) { race(WITH_MOVE | WITH_FORK, 4); }
test_seeds(race_of_faults_and_swap, 60) { race(WITH_SWAP, 3); }
test_seeds(race_of_forks_and_swap, 100) { race(WITH_SWAP | WITH_FORK, 4); }
test_seeds(race_of_moves_and_swap, 100) { race(WITH_SWAP | WITH_MOVE | WITH_TOGGLE | WITH_FORK, 4); }
test_seeds(race_of_unmap_and_swap, 60) { race(WITH_SWAP | WITH_LOOSE | WITH_CUT, 4); }
test_seeds(race_of_giving_up_and_swap, 250) { race(WITH_SWAP | WITH_GIVING, 4); }
test_seeds(race_of_forks_and_large_leaves, 60) { race(WITH_LARGE | WITH_FORK, 4); }
test_seeds(race_of_swap_and_large_leaves, 60) { race(WITH_LARGE | WITH_SWAP | WITH_FORK | WITH_TOGGLE, 4); }
test_seeds(race_of_lazy_pages_and_swap, 100) { race(WITH_SWAP | WITH_LAZY | WITH_FORK, 4); }
test_seeds(race_of_swapoff_and_forks, 60) { race(WITH_SWAP | WITH_SWITCH | WITH_FORK | WITH_TOGGLE, 4); }
test_seeds(race_of_swapoff_and_cuts, 60) { race(WITH_SWAP | WITH_SWITCH | WITH_LOOSE | WITH_CUT, 4); }
test_seeds(race_of_swapoff_and_moves, 60) { race(WITH_SWAP | WITH_SWITCH | WITH_MOVE | WITH_GIVING | WITH_LAZY, 4); }
test_seeds(race_of_everything, 60) { race(~0u, 4); }
