/* nth_test.c - the Nth allocation fails, and the Nth transfer, for every N, under every operation of a space and in
 * every kind of memory: what the operation did not do it has not begun, or is done as far as it says; the contents are
 * what they were; the checker is clean, nothing has leaked; and the same operation succeeds then.
 *
 *       0        10     20     30       40       50        512
 *     . wwwwwwww aaaa.. AAAA.. SSSSSS.. ........ ........  | wwww        w anonymous, a A of a file, S shared memory
 */
#include "host.h"
#include "vm/inner.h"
#include "vm/swap.h"
#include "vm/zswap.h"

#define AT 0x10000ULL /* whole leaves, for those that are shown large */
#define RW (VIEW_READ | VIEW_WRITE)
#define LEAF TABLE_SLOTS
#define PAGES (LEAF + 8)
#define SECOND 1u /* the area that is emptied */

static struct space *s, *child;
static struct host_file *file, *shm;
static struct host_watch watcher, heir;
static u64 should[PAGES]; /* what the first word of the page holds, if it is mapped */
static bool mapped[PAGES];

static u64 at(u64 page) { return (AT + page) << PAGE_SHIFT; }
static u64 bytes(u64 pages) { return pages << PAGE_SHIFT; }
static long of(enum fault_outcome o) {
    return o == FAULT_DONE ? 0 : o == FAULT_BUS_ADRERR ? -EIO : o == FAULT_NOMEM ? -ENOMEM : -EINVAL;
}

/* ---- kinds of memory */

enum { PLAIN, SHARED, SWAPPED, SWAPPED_SHARED, LARGE, AREAS, TIER, BARE, KINDS };
static const char *const kind_names[KINDS] = {"plain", "shared tables",  "swapped",         "swapped, shared tables",
                                              "large", "two swap areas", "compressed tier", "compressed tier alone"};
static unsigned kind;
static bool swapped(void) { return kind == SWAPPED || kind == SWAPPED_SHARED || kind >= AREAS; }

static void start_machine(void) {
    machine_start((struct host_config){.swap = swapped() || kind == LARGE ? 900 : 0,
                                       .no_device = kind == BARE,
                                       .bytes = kind == LARGE ? 8 * MiB : 4 * MiB});
    vm_large = kind == LARGE ? LARGE_ALWAYS : LARGE_NEVER;
    if (kind == AREAS)
        check_eq(host_swap_add(14, 5), SECOND); /* less than there is: the rest goes to the first */
    check_eq(zswap_set_limit(kind >= TIER ? 4 : 0), 0);
}

static void map(u64 page, u64 pages, u32 flags, struct host_file *f, u64 index) {
    struct map_request r = {.address = at(page), .bytes = bytes(pages), .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    r.offset = bytes(index);
    check_eq(space_map(s, &r), r.address);
    for (u64 i = page; i < min(page + pages, PAGES); i++) {
        mapped[i] = true;
        should[i] = f == file ? (u64)'A' << 56 | (index + i - page) << 16 : 0;
    }
}
/* Half of each page does not compress, so that the tier has room for some. */
static void put(u64 page, u64 value) {
    u64 words[PAGE_SIZE / sizeof(u64)] = {value};
    for (unsigned i = 1; i < 250; i++)
        words[i] = (value + i) * 0x9e3779b97f4a7c15ULL;
    check_eq(mem_access(s, at(page), words, PAGE_SIZE, FAULT_WRITE), FAULT_DONE);
    should[page] = value;
}
static u64 get(struct space *of, u64 page) {
    u64 value = 0xbad;
    check_eq(mem_read(of, at(page), &value), FAULT_DONE);
    return value;
}

static void swap_out(void) {
    for (unsigned i = 0; i < 4 && swapped(); i++)
        vm_reclaim(frame_count);
}

static void begin(void) {
    memset(mapped, 0, sizeof(mapped));
    file = host_file_new('A', bytes(32), true);
    shm = host_file_new('S', bytes(8), false);
    s = space_create(false);
    child = NULL;
    check(s);
    host_watch_start(&watcher, s);
    host_watch_start(&heir, s);
    space_load(s);
    if (kind == LARGE)
        map(0, LEAF, RW, NULL, 0);
    else
        map(0, 8, RW, NULL, 0);
    map(LEAF, 8, RW, NULL, 0);
    for (u64 i = 0; i < 8; i++) {
        put(i, 100 + i);
        put(LEAF + i, 200 + i);
    }
    if (kind != LARGE) {
        map(10, 4, RW, file, 2);
        map(20, 4, RW | VIEW_SHARED, file, 10);
        map(30, 6, RW | VIEW_SHARED, shm, 0);
        put(11, 311);
        put(21, 321);
        put(23, 323);
        for (u64 i = 30; i < 36; i++)
            put(i, 300 + i);
        (void)get(s, 20);
    }
    swap_out();
    if (kind == SHARED || kind == SWAPPED_SHARED || kind == LARGE) {
        child = space_fork(s);
        check(!is_err(child));
    }
    if (kind == SWAPPED_SHARED) /* one leaf of its own that names the slots, one in common */
        put(7, 107);
}

static void end(void) {
    host_check();
    space_load(NULL);
    if (s)
        space_put(s);
    if (child)
        space_put(child);
    check_eq(file->references, 1);
    check_eq(shm->references, 1);
    check_eq(watcher.references, 1);
    watch_end(&watcher.watch);
    check_eq(heir.references, 1);
    watch_end(&heir.watch);
    host_file_put(file);
    host_file_put(shm);
    vm_drop_kept();
}

static char letter(const struct mapping *m) {
    return m->view->file ? container_of(m->view->file, struct host_file, file)->letter : 'w';
}
/* Neighbours that differ only in who watches them, or whether they are clean, as far as it came: nobody sees that. */
static void plan(char *out) {
    struct mapping m = {0};
    u64 end = 0, offset = 0;
    u32 flags = 0;
    char who = 0;
    *out = 0;
    for (u64 from = 0; space_walk(s, from, &m); from = m.end) {
        u32 now = m.view->flags & ~VIEW_CLEAN;
        bool same = m.start == end && letter(&m) == who && now == flags && (who == 'w' || m.offset == offset);
        if (!same && end)
            out += sprintf(out, " to %lx\n", end);
        if (!same)
            out += sprintf(out, "%lx %c %x %lx", m.start, letter(&m), now, m.offset);
        offset = m.offset + m.end - m.start;
        end = m.end;
        who = letter(&m);
        flags = now;
        space_walk_end(&m);
    }
    sprintf(out, " to %lx\n", end);
}
static void as_before(const char *was) {
    char is[2000];
    plan(is);
    check_text(is, was);
    for (unsigned i = 0; i < 2; i++) {
        struct space *one = i ? child : s;
        if (!one)
            continue;
        space_load(one);
        for (u64 page = 0; page < PAGES; page++)
            if (mapped[page])
                check_eq(get(one, page), should[page]);
    }
    space_load(s);
}

/* ---- operations. 0 or -errno */

static int go_on(void) { return 0; }
static long read_at(u64 page) {
    u64 value = 0;
    long error = of(mem_read(s, at(page), &value));
    if (!error)
        check_eq(value, should[page]);
    return error;
}
/* What it writes is what is there: so a try that came too late for the failure changes nothing. */
static long write_at(u64 page) { return of(mem_write(s, at(page), should[page])); }
static long moved(long answer, u64 to) { return answer == (long)at(to) ? 0 : answer; }

static long act_read(void) { return read_at(3); }
static long act_write(void) { return write_at(3); }
static long act_write_last(void) { return write_at(LEAF + 7); }
static long act_read_file(void) { return read_at(12); }
static long act_write_copy(void) { return write_at(13); }
static long act_write_file(void) { return write_at(22); }
static long act_read_shm(void) { return read_at(33); }
static long act_write_shm(void) { return write_at(34); }
static long act_map_over(void) {
    struct map_request r = {.address = at(2), .bytes = bytes(10), .flags = VIEW_READ | VIEW_SHARED, .how = MAP_AT};
    r.file = &file->file;
    return moved(space_map(s, &r), 2);
}
static long act_map_filled(void) {
    struct map_request r = {.address = at(60), .bytes = bytes(20), .flags = RW, .how = MAP_AT | MAP_FILL};
    r.file = &file->file;
    return moved(space_map(s, &r), 60);
}
static long act_unmap(void) { return space_unmap(s, at(5), bytes(6)); }
static long act_unmap_all(void) { return space_unmap(s, at(0), bytes(PAGES)); }
static long act_protect(void) { return space_protect(s, at(1), bytes(4), VIEW_READ); }
static long act_forbid(void) { return space_protect(s, at(0), bytes(8), 0); }
static long act_advise(void) { return space_change(s, at(3), bytes(2), VIEW_DONTFORK, 0); }
static long act_discard(void) { return mem_discard(s, at(2), bytes(3)); }
static long act_lock(void) { return space_lock(s, at(1), bytes(5), VIEW_LOCKED); }
static long act_fill(void) { return space_fill(s, at(0), bytes(8)); }
static long act_fill_shm(void) { return space_fill(s, at(30), bytes(6)); }
static long act_populate(void) { return space_populate(s, at(0), bytes(8), true); }
static long act_populate_file(void) { return space_populate(s, at(10), bytes(4), true); }
static long act_move(void) {
    return moved(space_remap(s, at(1), bytes(6), bytes(9), REMAP_MAY_MOVE | REMAP_FIXED, at(1040)), 1040);
}
static long act_move_leaf(void) {
    return moved(space_remap(s, at(0), bytes(8), bytes(8), REMAP_MAY_MOVE | REMAP_FIXED, at(4 * LEAF)), 4 * LEAF);
}
static long act_move_shm(void) {
    return moved(space_remap(s, at(30), bytes(6), bytes(6), REMAP_MAY_MOVE | REMAP_FIXED, at(1040)), 1040);
}
static long act_grow(void) { return moved(space_remap(s, at(LEAF), bytes(8), bytes(30), 0, 0), LEAF); }
static long act_fork(void) {
    struct space *c = space_fork(s);
    if (is_err(c))
        return -ENOMEM;
    space_load(c);
    u64 value = 0;
    (void)mem_read(c, at(1), &value); /* may be what fails */
    space_load(s);
    space_put(c);
    return 0;
}
static long act_create(void) {
    struct space *other = space_create(true);
    if (other)
        space_put(other);
    return other ? 0 : -ENOMEM;
}
static long act_copy_out(void) {
    u64 word;
    ssize_t n = space_copy(s, at(4), &word, sizeof(word), false, false);
    return n == sizeof(word) ? 0 : n;
}
static long act_copy_in(void) {
    u64 word = should[4];
    ssize_t n = space_copy(s, at(4), &word, sizeof(word), true, true);
    return n == sizeof(word) ? 0 : n;
}
static long act_object(void) {
    struct frame *f;
    int error = object_get(&file->object, 31, OBJECT_WRITE, &f);
    if (!error)
        frame_unpin(f);
    return error;
}
static long act_store_shm(void) {
    struct frame *f;
    int error = object_get(&shm->object, 2, OBJECT_WRITE, &f);
    if (!error)
        frame_unpin(f);
    return error;
}
static long act_cut_shm(void) { /* never an error; the last page is brought in to be zeroed in part */
    mutex_lock(&shm->object.mutex);
    object_resize(&shm->object, bytes(2) + 64);
    mutex_unlock(&shm->object.mutex);
    return 0;
}
static long act_sync(void) { return space_sync(s, at(20), bytes(4), SYNC_WRITE); }
static long act_object_sync(void) { return object_sync(&file->object, 0, 32); }
static long act_add_area(void) {
    static struct swap_device none;
    static const u32 bad[] = {3, 2500};
    int area = area_add(&none, 5000, 1, bad, array_count(bad));
    if (area < 0)
        return area;
    area_close((unsigned)area);
    check(area_remove((unsigned)area));
    return 0;
}
static long act_pages_out(void) {
    space_pages_out(s, AT, AT + PAGES);
    return 0;
}
static long act_pages_in(void) {
    space_pages_in(s, AT, AT + 8);
    return 0;
}
static long act_pages_free(void) {
    space_pages_free(s, AT, AT + 2);
    return 0;
}
static long act_reclaim(void) {
    vm_reclaim(frame_count);
    return 0;
}
static long act_empty_area(void) {
    unsigned area = kind == AREAS ? SECOND : 0;
    int error = area_empty(area, go_on);
    area_open(area);
    return error;
}
static long act_clean(void) { return space_clean(s); }
static long act_collapse(void) { /* some page of it must be writable, and it must not be what it is to become */
    long error = write_at(3);
    space_pages_cold(s, AT, AT + 1);
    return error ? error : space_collapse(s, at(0), bytes(LEAF));
}
static long offline(u64 page, bool poison) {
    long error = read_at(page);
    struct frame *f = error ? NULL : space_pin(s, at(page));
    check(error || f);
    return error ? error : frame_offline(f, poison);
}
static long act_offline(void) { return offline(3, false); }
static long act_offline_file(void) { return offline(20, false); }
static long act_offline_shm(void) { return offline(33, false); }
static long act_poison(void) { return offline(3, true); }
static long watch(u64 page, u64 pages, u32 modes) {
    return space_watch(s, at(page), bytes(pages), &watcher.watch, modes);
}
static long act_watch(void) { return watch(1, 6, WATCH_GUARDED); }
static long act_guard(void) {
    long error = watch(1, 6, WATCH_GUARDED);
    return error ? error : space_guard(s, at(1), bytes(6), true);
}
static long act_guard_shm(void) {
    long error = watch(30, 6, WATCH_GUARDED);
    return error ? error : space_guard(s, at(30), bytes(6), true);
}
static long act_forget(void) {
    long error = act_guard();
    return error ? error : space_forget_watch(s, &watcher.watch);
}
static long act_fork_watched(void) {
    long error = act_guard();
    return error ? error : act_fork();
}
static long act_fork_inherited(void) {
    watcher.heir = &heir.watch;
    return act_fork_watched();
}
/* What a first try has supplied stays. */
static long supply(u64 page, enum supply how, bool shared) {
    long error = host_supply(s, at(page), how, 5, shared, false);
    return error == -EEXIST ? 0 : error;
}
static long supply_in(u64 page, struct host_file *f, enum supply how) {
    struct map_request r = {.address = at(page), .bytes = bytes(2), .flags = RW, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    r.flags |= f ? VIEW_SHARED : 0;
    r.offset = f ? bytes(6) : 0;
    long error = moved(space_map(s, &r), page);
    error = error ? error : watch(page, 2, WATCH_MISSING);
    return error ? error : supply(page, how, f != NULL);
}
static long act_supply(void) { return supply_in(700, NULL, SUPPLY_PAGE); }
static long act_supply_zero(void) { return supply_in(700, NULL, SUPPLY_ZERO); }
static long act_supply_shm(void) { return supply_in(700, shm, SUPPLY_PAGE); }
static long act_reap(void) { return space_reap(s); }
static long act_exit(void) {
    space_load(NULL);
    space_put(s);
    s = NULL;
    return 0;
}

#define KIND(k) (1u << (k))
#define WITH_FILES (~KIND(LARGE))
#define WITH_SWAP (KIND(SWAPPED) | KIND(SWAPPED_SHARED) | KIND(AREAS) | KIND(TIER))
#define QUIET 1u  /* it has no answer: what could not be done is left undone */
#define CUTS 2u   /* what it does cannot be seen in the contents any more */
#define PREFIX 4u /* -EFAULT or an errno, done up to there */
static const struct {
    const char *name;
    long (*act)(void);
    unsigned kinds, how;
} ops[] = {
    {"read", act_read, ~0u, 0},
    {"write", act_write, ~0u, 0},
    {"write last", act_write_last, ~0u, 0},
    {"read file", act_read_file, WITH_FILES, 0},
    {"write copy", act_write_copy, WITH_FILES, 0},
    {"write file", act_write_file, WITH_FILES, 0},
    {"read shm", act_read_shm, WITH_FILES, 0},
    {"write shm", act_write_shm, WITH_FILES, 0},
    {"map over", act_map_over, ~0u, 0},
    {"map filled", act_map_filled, ~0u, QUIET},
    {"unmap", act_unmap, ~0u, 0},
    {"unmap all", act_unmap_all, ~0u, 0},
    {"protect", act_protect, ~0u, 0},
    {"forbid", act_forbid, ~0u, 0},
    {"advise", act_advise, ~0u, 0},
    {"discard", act_discard, ~0u, 0},
    {"lock", act_lock, ~0u, 0},
    {"fill", act_fill, ~0u, PREFIX},
    {"fill shm", act_fill_shm, WITH_FILES, PREFIX},
    {"populate", act_populate, ~0u, PREFIX},
    {"populate file", act_populate_file, WITH_FILES, PREFIX},
    {"move", act_move, ~0u, 0},
    {"move leaf", act_move_leaf, ~0u, 0},
    {"move shm", act_move_shm, WITH_FILES, 0},
    {"grow", act_grow, ~0u, 0},
    {"fork", act_fork, ~0u, 0},
    {"create", act_create, KIND(PLAIN), 0},
    {"copy out", act_copy_out, ~0u, PREFIX},
    {"copy in", act_copy_in, ~0u, PREFIX},
    {"object", act_object, KIND(PLAIN), 0},
    {"store shm", act_store_shm, WITH_FILES, 0},
    {"cut shm", act_cut_shm, WITH_FILES, CUTS},
    {"sync", act_sync, WITH_FILES, 0},
    {"object sync", act_object_sync, WITH_FILES, 0},
    {"add area", act_add_area, KIND(PLAIN) | KIND(AREAS), 0},
    {"pages out", act_pages_out, ~0u, QUIET},
    {"pages in", act_pages_in, WITH_SWAP, QUIET},
    {"pages free", act_pages_free, ~0u, CUTS},
    {"reclaim", act_reclaim, ~0u, QUIET},
    {"empty area", act_empty_area, WITH_SWAP | KIND(LARGE), 0},
    {"clean", act_clean, ~0u, 0},
    {"collapse", act_collapse, KIND(LARGE), 0},
    {"offline", act_offline, ~KIND(BARE), 0}, /* there a page that the tier does not want is busy */
    {"offline file", act_offline_file, WITH_FILES, 0},
    {"offline shm", act_offline_shm, WITH_FILES, 0},
    {"poison", act_poison, ~KIND(BARE), CUTS},
    {"watch", act_watch, ~0u, 0},
    {"guard", act_guard, ~0u, 0},
    {"guard shm", act_guard_shm, WITH_FILES, 0},
    {"forget watch", act_forget, ~0u, 0},
    {"fork watched", act_fork_watched, ~0u, 0},
    {"fork inherited", act_fork_inherited, ~0u, 0},
    {"supply", act_supply, ~0u, CUTS},
    {"supply zero", act_supply_zero, ~0u, CUTS},
    {"supply shm", act_supply_shm, WITH_FILES, CUTS},
    {"reap", act_reap, ~0u, CUTS},
    {"exit", act_exit, ~0u, CUTS},
};

/* An operation's own answer to a failure. */
static void right_error(unsigned op, long error, bool io) {
    long most = io ? -EIO : -ENOMEM;
    check(error == most || ((ops[op].how & PREFIX) && (error == -EFAULT || error == -ENOMEM)));
}

/* One run; false: there are fewer than n allocations or transfers. */
static bool fail_one(unsigned op, u64 n, bool io) {
    char was[2000];
    begin();
    plan(was);
    if (io)
        host_io_fail_at(n);
    else
        alloc_fail_at(n);
    long error = ops[op].act();
    bool failed = io ? host_io_failed() : alloc_fail_countdown == 0;
    host_io_fail_at(0);
    alloc_fail_at(0);
    host_check();
    if (error) {
        check(failed);
        right_error(op, error, io);
    }
    if (error || (ops[op].how & QUIET)) {
        if (ops[op].act != act_map_filled && !(ops[op].how & CUTS))
            as_before(was);
        check_eq(ops[op].act(), 0);
        host_check();
    }
    end();
    return failed;
}

static u64 fail_each(unsigned op, bool io) {
    u64 n = 1;
    begin(); /* what comes once and stays is no leak */
    end();
    host_settle();
    struct host_count before = host_count();
    while (fail_one(op, n, io)) {
        check_no_leak(before);
        n++;
    }
    check_no_leak(before);
    return n - 1;
}

/* Seed: the kind of memory, then the operation. */
test_seeds(nth, KINDS *array_count(ops)) {
    unsigned op = test_seed % array_count(ops);
    kind = test_seed / array_count(ops);
    if (!(ops[op].kinds & KIND(kind)))
        return;
    start_machine();
    u64 allocations = fail_each(op, false), transfers = fail_each(op, true);
    if (test_verbose)
        fprintf(stderr, "%-14s %-24s %3lu allocations %3lu transfers\n", ops[op].name, kind_names[kind], allocations,
                transfers);
}

/* The tier is made once: each time on a machine of its own. */
static u64 nth_of_tier;
static void make_tier(void) {
    machine_start((struct host_config){.swap = 100});
    struct host_count before = host_count();
    alloc_fail_at(nth_of_tier);
    int error = zswap_set_limit(10);
    bool failed = alloc_fail_countdown == 0;
    alloc_fail_at(0);
    check_eq(error, failed ? -ENOMEM : 0);
    if (failed)
        check_no_leak(before);
    check_eq(zswap_set_limit(10), 0);
    fprintf(stderr, failed ? "failed" : "went well");
}
test(nth_allocation_of_a_tier) {
    for (nth_of_tier = 1; nth_of_tier <= 3; nth_of_tier++)
        check_status(0, "failed", make_tier);
    check_status(0, "went well", make_tier);
}
