/* reap_test.c - what the out-of-memory killer takes back from a space that somebody still has. */
#include "host.h"
#include "vm/inner.h"

#define RW (VIEW_READ | VIEW_WRITE)
#define AT 512ULL /* a whole leaf, ... */
#define PAGES 600ULL
#define SHARED 1200ULL /* ... and one that it has in common with what is shared */

static struct space *s, *child;
static struct host_file *file;
static struct host_count before;

static void map(struct space *of, u64 page, u64 pages, u32 flags, struct host_file *f) {
    struct map_request r = {.address = page << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    check_eq(space_map(of, &r), r.address);
}

static void begin(void) {
    if (!frames)
        machine_start((struct host_config){.cpus = 2, .bytes = 8 * MiB});
    host_settle();
    before = host_count();
    file = host_file_new('F', 8 * PAGE_SIZE, true);
    s = space_create(false);
    space_load(s);
    map(s, AT, PAGES, RW, NULL);
    map(s, SHARED, 4, RW | VIEW_SHARED, file);
    for (u64 i = 0; i < PAGES; i++)
        check_eq(mem_write(s, (AT + i) << PAGE_SHIFT, i), FAULT_DONE);
    check_eq(mem_write(s, SHARED << PAGE_SHIFT, 77), FAULT_DONE);
}

static void end(void) {
    host_check();
    space_load(NULL);
    space_put(s);
    host_file_put(file);
    host_settle();
    host_check();
    check_no_leak(before);
}

static u64 anonymous(void) {
    struct frame_totals t;
    frame_totals(&t);
    return t.frames[FRAME_ANON];
}

/* A PPPPPP      S        A P: private pages, S: shared ones of a file
 * A .......     S        reaped */
test(reap_takes_private_memory) {
    struct space_resident has;
    u64 value = 0;
    begin();
    space_resident(s, &has);
    check_eq(has.anon, PAGES);
    check_eq(has.object, 1);
    check_eq(has.tables, 4); /* two leaves, and one above them at each of two levels */
    check_eq(space_reap(s), 0);
    host_check();
    check_eq(anonymous(), 0);
    check_eq(mem_write(s, AT << PAGE_SHIFT, 1), FAULT_MAPERR);
    check_eq(mem_read(s, SHARED << PAGE_SHIFT, &value), FAULT_DONE);
    check_eq(value, 77);
    space_resident(s, &has);
    check_eq(has.anon, 0);
    check_eq(space_reap(s), 0); /* nothing left */
    end();
}

/* What a child shares by its tables stays the child's. */
test(reap_leaves_what_a_child_has) {
    u64 value = 0;
    begin();
    child = space_fork(s);
    check(!is_err(child));
    check_eq(space_reap(s), 0);
    host_check();
    check_eq(anonymous(), PAGES);
    space_load(child);
    for (u64 i = 0; i < PAGES; i++) {
        check_eq(mem_read(child, (AT + i) << PAGE_SHIFT, &value), FAULT_DONE);
        check_eq(value, i);
    }
    check_eq(space_reap(child), 0);
    check_eq(anonymous(), 0);
    space_load(s);
    space_put(child);
    end();
}

test(reap_waits_for_nobody) {
    begin();
    host_cpu(1);
    check(mutex_try(&s->range));
    check_eq(space_reap(s), -EAGAIN);
    mutex_unlock(&s->range);
    host_cpu(0);
    end();
}

/* Without memory for the table that has shared and private pages in common, the rest goes. */
test(reap_each_allocation_may_fail) {
    bool done = false;
    for (u64 n = 1; !done; n++) {
        begin();
        child = space_fork(s);
        check(!is_err(child));
        alloc_fail_at(n);
        int error = space_reap(s);
        done = alloc_fail_countdown != 0;
        alloc_fail_at(0);
        check(!error || (!done && error == -ENOMEM));
        host_check();
        check_eq(space_reap(s), 0);
        space_put(child);
        check_eq(anonymous(), 0);
        end();
    }
}

/* Threads of the victim that fault, map and unmap meanwhile. */
static void user(void *unused) {
    for (unsigned i = 0; i < 60; i++) {
        u64 page = AT + rnd_below(PAGES), value;
        enum fault_outcome outcome =
            one_in(2) ? mem_write(s, page << PAGE_SHIFT, i) : mem_read(s, page << PAGE_SHIFT, &value);
        check(outcome == FAULT_DONE || outcome == FAULT_MAPERR);
        if (one_in(8))
            map(s, 4096 + rnd_below(4) * 100, 50, RW, NULL);
    }
}

static void reaper(void *unused) {
    while (space_reap(s) == -EAGAIN)
        fiber_yield();
}

static void forker(void *unused) {
    for (unsigned i = 0; i < 4; i++) {
        struct space *c = space_fork(s);
        if (!is_err(c))
            space_put(c);
    }
}

test_seeds(reap_race, 40) {
    begin();
    fiber_add("user", user, NULL, s);
    fiber_add("user too", user, NULL, s);
    fiber_add("forker", forker, NULL, s);
    fiber_add("reaper", reaper, NULL, NULL);
    fibers_run(2 + (unsigned)rnd_below(30));
    check_eq(space_reap(s), 0);
    check_eq(anonymous(), 0);
    end();
}
