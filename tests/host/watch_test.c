/* watch_test.c - memory that somebody watches: what is guarded stays so in the swap area, out of it, and without its
 * page; who inherits, and what moves. */
#include "host.h"
#include "vm/inner.h"
#include "vm/swap.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)

static struct space *s;
static struct host_watch watcher, heir;

static u64 at(u64 page) { return (AT + page) << PAGE_SHIFT; }
static u64 bytes(u64 pages) { return pages << PAGE_SHIFT; }
static void map(u64 page, u64 pages, u32 flags, struct host_file *f) {
    struct map_request r = {.address = at(page), .bytes = bytes(pages), .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    check_eq(space_map(s, &r), r.address);
}
static void put(struct space *of, u64 page, u64 value) { check_eq(mem_write(of, at(page), value), FAULT_DONE); }
static u64 get(struct space *of, u64 page) {
    u64 value = 0xbad;
    check_eq(mem_read(of, at(page), &value), FAULT_DONE);
    return value;
}
static enum fault_outcome tries_to_write(u64 page) { return mem_write(s, at(page), 7); }
static int go_on(void) { return 0; }

static struct host_count machine(struct host_config config) {
    machine_start(config);
    host_settle(); /* the boot left something to free */
    return host_count();
}

/* Pages [0, 4) hold 1 to 4, and are watched. */
static void start(struct host_file *f, u32 modes) {
    vm_large = LARGE_NEVER;
    s = space_create(false);
    space_load(s);
    map(0, 4, f ? RW | VIEW_SHARED : RW, f);
    for (u64 i = 0; i < 4; i++)
        put(s, i, i + 1);
    host_watch_start(&watcher, s);
    check_eq(space_watch(s, at(0), bytes(4), &watcher.watch, modes), 0);
}
static void end(struct host_count *before) {
    host_check();
    space_load(NULL);
    space_put(s);
    check_eq(watcher.references, 1);
    check(watch_space(&watcher.watch) == NULL); /* its memory is gone */
    watch_end(&watcher.watch);
    check_no_leak(*before);
}
static void holds_guarded(void) {
    host_check();
    for (u64 i = 0; i < 4; i++) {
        u64 number;
        check(space_present(s, at(i), &number) & PAGE_GUARDED);
        check_eq(get(s, i), i + 1);
        check_eq(tries_to_write(i), FAULT_WATCHED);
    }
}

test(guards_through_swap) {
    struct host_count before = machine((struct host_config){.swap = 64});
    start(NULL, WATCH_GUARDED);
    check_eq(space_guard(s, at(0), bytes(4), true), 0);
    holds_guarded();
    space_pages_out(s, AT, AT + 4);
    u64 slot;
    check(space_present(s, at(0), &slot) & PAGE_SWAPPED);
    holds_guarded(); /* and they are back */
    space_pages_out(s, AT, AT + 4);
    check_eq(area_empty(0, go_on), 0);
    area_open(0);
    holds_guarded();
    check_eq(space_guard(s, at(1), bytes(1), false), 0);
    check_eq(tries_to_write(1), FAULT_DONE);
    check_eq(tries_to_write(0), FAULT_WATCHED);
    end(&before);
}

test(guards_of_shared_memory) {
    struct host_count before = machine((struct host_config){.swap = 64});
    struct host_file *f = host_file_new('S', bytes(8), false);
    start(f, WATCH_GUARDED);
    map(10, 4, RW | VIEW_SHARED, f);
    check_eq(space_guard(s, at(0), bytes(4), true), 0);
    for (unsigned i = 0; i < 8; i++)
        vm_reclaim(frame_count);
    holds_guarded(); /* the slots kept their guards */
    put(s, 10, 5);   /* somewhere else anybody may write */
    check_eq(get(s, 0), 5);
    host_file_punch(f, 0, 2);
    check_eq(tries_to_write(0), FAULT_WATCHED);
    check_eq(get(s, 1), 0);
    check_eq(tries_to_write(1), FAULT_WATCHED);
    check_eq(mem_discard(s, at(2), bytes(1)), 0); /* but what is discarded by name is guarded no more */
    check_eq(tries_to_write(2), FAULT_DONE);
    check_eq(space_forget_watch(s, &watcher.watch), 0);
    check_eq(tries_to_write(0), FAULT_DONE);
    host_check();
    space_unmap(s, at(0), bytes(20));
    host_file_put(f);
    end(&before);
}

test(guards_where_nothing_is) {
    struct host_count before = machine((struct host_config){.swap = 64});
    struct host_file *f = host_file_new('S', bytes(4 * TABLE_SLOTS), false);
    start(f, WATCH_MISSING | WATCH_GUARDED);
    map(TABLE_SLOTS, TABLE_SLOTS, RW | VIEW_SHARED, f); /* no leaf is there */
    check_eq(space_watch(s, at(TABLE_SLOTS), bytes(TABLE_SLOTS), &watcher.watch, WATCH_GUARDED), 0);
    check_eq(space_guard(s, at(TABLE_SLOTS), bytes(TABLE_SLOTS), true), 0);
    check_eq(tries_to_write(TABLE_SLOTS + 300), FAULT_WATCHED);
    check_eq(get(s, TABLE_SLOTS + 300), 0);
    check_eq(tries_to_write(TABLE_SLOTS + 300), FAULT_WATCHED);
    check_eq(space_guard(s, at(TABLE_SLOTS), bytes(TABLE_SLOTS), false), 0);
    check_eq(tries_to_write(TABLE_SLOTS + 300), FAULT_DONE);
    check_eq(tries_to_write(TABLE_SLOTS + 400), FAULT_DONE);
    host_check();
    space_unmap(s, at(0), bytes(2 * TABLE_SLOTS));
    host_file_put(f);
    end(&before);
}

test(watched_large) {
    struct host_count before = machine((struct host_config){.bytes = 16 * MiB});
    vm_large = LARGE_ALWAYS;
    s = space_create(false);
    space_load(s);
    map(0, 2 * TABLE_SLOTS, RW, NULL);
    put(s, 0, 1);
    struct space_usage u;
    space_usage(s, at(0), at(TABLE_SLOTS), &u);
    check_eq(u.large, TABLE_SLOTS);
    host_watch_start(&watcher, s);
    check_eq(space_watch(s, at(0), bytes(2 * TABLE_SLOTS), &watcher.watch, WATCH_MISSING | WATCH_GUARDED), 0);
    put(s, 5, 6); /* what is there is there, large or not */
    check_eq(host_supply(s, at(7), SUPPLY_PAGE, 9, false, false), -EEXIST);
    check_eq(tries_to_write(TABLE_SLOTS), FAULT_WATCHED); /* no large leaf comes unasked */
    check_eq(space_guard(s, at(3), bytes(1), true), 0);
    check_eq(tries_to_write(3), FAULT_WATCHED);
    put(s, 4, 5);
    check_eq(space_collapse(s, at(0), bytes(TABLE_SLOTS)), -EINVAL);
    end(&before);
}

test(who_inherits) {
    struct host_count before = machine((struct host_config){0});
    start(NULL, WATCH_MISSING | WATCH_GUARDED);
    check_eq(space_guard(s, at(0), bytes(2), true), 0);
    struct space *child = space_fork(s);
    check(!is_err(child));
    space_load(child);
    put(child, 0, 9); /* nobody watches */
    host_check();
    space_load(NULL);
    space_put(child);
    host_watch_start(&heir, s); /* for the next one it is somebody's */
    watcher.heir = &heir.watch;
    child = space_fork(s);
    check(!is_err(child));
    space_load(child);
    check_eq(mem_write(child, at(0), 9), FAULT_WATCHED);
    put(child, 2, 9);
    check_eq(space_guard(child, at(0), bytes(1), false), 0);
    put(child, 0, 9);
    space_load(s);
    check_eq(get(s, 0), 1);
    check_eq(tries_to_write(0), FAULT_WATCHED);
    host_check();
    space_load(NULL);
    space_put(child);
    check_eq(heir.references, 1);
    watch_end(&heir.watch);
    end(&before);
}

static void moves(bool follows) {
    struct host_count before = machine((struct host_config){.swap = 64});
    start(NULL, WATCH_MISSING | WATCH_GUARDED);
    watcher.watch.follows = follows;
    check_eq(space_guard(s, at(0), bytes(4), true), 0);
    space_pages_out(s, AT, AT + 2);
    check_eq(space_remap(s, at(0), bytes(4), bytes(4), REMAP_MAY_MOVE | REMAP_FIXED | REMAP_DONT_UNMAP, at(20)),
             at(20));
    check_eq(tries_to_write(0), FAULT_WATCHED); /* missing */
    check_eq(get(s, 21), 2);
    for (u64 i = 20; i < 24; i++)
        check_eq(tries_to_write(i), follows ? FAULT_WATCHED : FAULT_DONE);
    end(&before);
}
test(a_watch_stays_behind) { moves(false); }
test(a_watch_follows) { moves(true); }
