/* evict_test.c - pages of objects without a home that go to the swap area and come back. */
#include "host.h"
#include "vm/inner.h"
#include "vm/swap.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)
#define PAGES 40u

static struct space *s;
static struct host_file *file;
static struct host_count before;

static void map_file(struct space *of, u64 page, u64 pages, u32 flags) {
    struct map_request r = {.address = page << PAGE_SHIFT,
                            .bytes = pages << PAGE_SHIFT,
                            .flags = flags,
                            .file = &file->file,
                            .how = MAP_AT};
    check_eq(space_map(of, &r), r.address);
}

static struct swap_totals totals(void) {
    struct swap_totals t;
    swap_totals(&t);
    return t;
}

static void begin(u64 swap) {
    machine_start((struct host_config){.cpus = 2, .bytes = 2 * MiB, .swap = swap});
    file = host_file_new('M', PAGES * PAGE_SIZE, false);
    host_settle();
    before = host_count();
    s = space_create(false);
    check(s);
    space_load(s);
    map_file(s, AT, PAGES, RW | VIEW_SHARED);
}

static void end(void) {
    host_check();
    space_load(NULL);
    space_put(s);
    host_file_resize(file, 0);
    host_settle();
    check_eq(totals().used, 0);
    check_eq(totals().cached, 0);
    host_check();
    check_no_leak(before);
    host_file_put(file);
}

static void put(struct space *of, u64 page, u64 value) {
    check_eq(mem_write(of, page << PAGE_SHIFT, value), FAULT_DONE);
}
static void expect(struct space *of, u64 page, u64 value) {
    u64 got = 0xbad;
    check_eq(mem_read(of, page << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, value);
}
static void fill(u64 salt) {
    for (u64 i = 0; i < PAGES; i++)
        put(s, AT + i, i + salt);
}
static void expect_filled(u64 first, u64 last, u64 salt) {
    for (u64 i = first; i < last; i++)
        expect(s, AT + i, i + salt);
}
static void swap_out(void) {
    for (unsigned i = 0; i < 4; i++)
        vm_reclaim(frame_count);
}
static u64 swapped(void) { return object_swapped(&file->object, 0, RADIX_NONE); }

test(evict_shared_memory_and_bring_it_back) {
    begin(512);
    fill(1);
    swap_out();
    check_eq(swapped(), PAGES);
    check_eq(file->object.cached, 0);
    check_eq(host_swap.writes, PAGES);
    host_check();
    expect(s, AT, 1);
    check_eq(host_swap.reads, SWAP_AHEAD); /* with those after it */
    expect_filled(0, PAGES, 1);
    check_eq(totals().used, PAGES); /* what was only read keeps its slot ... */
    swap_out();
    check_eq(host_swap.writes, PAGES); /* ... and is not written again */
    put(s, AT + 3, 77);
    check_eq(totals().used, PAGES - 1);
    swap_out();
    check_eq(host_swap.writes, PAGES + 1);
    expect(s, AT + 3, 77);
    expect_filled(4, PAGES, 1);
    end();
}

test(evict_more_shared_memory_than_memory) {
    begin(2048);
    host_file_resize(file, 1200 * PAGE_SIZE);
    map_file(s, AT, 1200, RW | VIEW_SHARED);
    for (u64 i = 0; i < 1200; i++) /* of 512 frames */
        put(s, AT + i, i * 7919 + 1);
    for (unsigned round = 0; round < 2; round++)
        for (u64 i = 0; i < 1200; i++)
            expect(s, AT + i, i * 7919 + 1);
    host_check();
    end();
}

/* Seen by two that share a table, by one that broke it, and by a private mapping. */
test(evict_of_shared_memory_is_for_all) {
    begin(512);
    map_file(s, AT + 100, PAGES, RW);
    fill(5);
    put(s, AT + 100 + 3, 300); /* a private copy */
    struct space *child = space_fork(s);
    check(!is_err(child));
    space_load(child);
    put(child, AT + 1, 60);
    space_load(s);
    expect(s, AT + 101, 60);
    swap_out();
    check_eq(swapped(), PAGES);
    space_load(child);
    expect(child, AT + 2, 7);
    put(child, AT + 2, 70);
    space_load(s);
    expect(s, AT + 2, 70);
    expect(s, AT + 102, 70);
    expect(s, AT + 103, 300);
    swap_out();
    put(s, AT + 104, 400); /* copied from the swap area */
    expect(s, AT + 4, 9);
    space_put(child);
    check_eq(space_unmap(s, (AT + 100) << PAGE_SHIFT, PAGES << PAGE_SHIFT), 0);
    expect_filled(5, PAGES, 5);
    end();
}

test(evict_leaves_locked_shared_memory) {
    begin(512);
    fill(1);
    check_eq(space_change(s, (AT + 2) << PAGE_SHIFT, 3 << PAGE_SHIFT, VIEW_LOCKED, 0), 0);
    swap_out();
    check_eq(swapped(), PAGES - 3);
    check_eq(space_change(s, (AT + 2) << PAGE_SHIFT, 3 << PAGE_SHIFT, 0, VIEW_LOCKED), 0);
    expect_filled(0, PAGES, 1);
    file->object.locked = true;
    swap_out();
    check_eq(swapped(), 0);
    file->object.locked = false;
    swap_out();
    check_eq(swapped(), PAGES);
    expect_filled(0, PAGES, 1);
    end();
}

/* A page of zeroes that nobody wrote to costs no slot. */
test(evict_forgets_what_was_never_written) {
    begin(512);
    expect(s, AT, 0);
    expect(s, AT + 5, 0);
    swap_out();
    check_eq(file->object.cached, 0);
    check_eq(host_swap.writes, 0);
    expect(s, AT + 5, 0);
    end();
}

test(evict_then_truncate_and_punch) {
    begin(512);
    fill(1);
    swap_out();
    check_eq(totals().used, PAGES);
    host_file_punch(file, 4, 9);
    check_eq(totals().used, PAGES - 5);
    expect(s, AT + 4, 0);
    expect(s, AT + 9, 10);
    host_file_resize(file, 20 * PAGE_SIZE + 8); /* in the middle of a page that must be read for that */
    u64 value;
    check_eq(mem_read(s, (AT + 21) << PAGE_SHIFT, &value), FAULT_BUS_ADRERR);
    host_file_resize(file, PAGES * PAGE_SIZE);
    check_eq(mem_access(s, ((AT + 20) << PAGE_SHIFT) + 8, &value, 8, FAULT_READ), FAULT_DONE);
    check_eq(value, 0);
    expect(s, AT + 21, 0);
    swap_out(); /* the zeroed rest goes out too, the old slot does not come back */
    expect(s, AT + 20, 21);
    check_eq(mem_access(s, ((AT + 20) << PAGE_SHIFT) + 8, &value, 8, FAULT_READ), FAULT_DONE);
    check_eq(value, 0);
    end();
}

/* A full area, and one that is crowded: nothing is lost, slots come back. */
test(evict_into_a_full_area) {
    begin(32);
    fill(1);
    swap_out();
    check_eq(totals().used, 31);
    host_check();
    for (unsigned round = 0; round < 3; round++)
        expect_filled(0, PAGES, 1);
    check(totals().used < 31); /* read while it was crowded: given back */
    end();
}

test(evict_without_an_area_keeps_all) {
    begin(0);
    fill(1);
    swap_out();
    check_eq(file->object.cached, PAGES);
    expect_filled(0, PAGES, 1);
    end();
}

/* The Nth write, or read, fails, for every N: a write that fails changes nothing, a read that fails is a bus error,
 * once. */
static void nth_failure(bool write) {
    unsigned *fails = write ? &host_swap.fail_writes : &host_swap.fail_reads, n = 0, errors = 0;
    swap_page_cluster = 0; /* what is read with others is read alone once more */
    begin(2048);
    do {
        host_swap.spare = n++;
        *fails = 1;
        fill(n);
        swap_out();
        host_check();
        for (u64 i = 0; i < PAGES; i++) {
            u64 got;
            enum fault_outcome outcome = mem_read(s, (AT + i) << PAGE_SHIFT, &got);
            errors += outcome == FAULT_BUS_ADRERR;
            if (outcome == FAULT_DONE)
                check_eq(got, i + n);
            else
                expect(s, AT + i, i + n);
        }
        if (write) {
            swap_out();
            expect_filled(0, PAGES, n);
        }
        host_check();
    } while (!*fails);
    check(n > 2);
    check(write ? !errors : errors > 1);
    *fails = host_swap.spare = 0;
    end();
}
test(evict_nth_write_fails) { nth_failure(true); }
test(evict_nth_read_fails) { nth_failure(false); }

/* A page that is to be overwritten, and not past the end: whoever maps it meanwhile sees zeroes, and not what the frame
 * held before. */
test(page_to_be_overwritten_shows_nothing_else) {
    struct frame *f;
    begin(0);
    check_eq(object_get(&file->object, 3, OBJECT_OVERWRITE, &f), 0);
    expect(s, AT + 3, 0);
    frame_unpin(f);
    end();
}
