/* offline_test.c - frames taken out of use while programs have them. */
#include "host.h"
#include "vm/inner.h"

#define AT 0x10000ULL /* aligned to 2 MiB */
#define RW (VIEW_READ | VIEW_WRITE)

static struct space *s, *child;

static void begin(u64 swap) {
    machine_start((struct host_config){.cpus = 2, .bytes = 16 * MiB, .swap = swap});
    s = space_create(false);
    space_load(s);
}

static void end(u64 offline) {
    host_check();
    space_load(NULL);
    space_put(s);
    host_settle();
    struct frame_totals t;
    frame_totals(&t);
    check_eq(t.frames[FRAME_ANON], 0);
    check_eq(t.frames[FRAME_RESERVED], offline);
    check_eq(frames_offline, offline);
    host_check();
}

static void map(u64 pages, u32 flags, struct host_file *f) {
    struct map_request r = {.address = AT << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    check_eq(space_map(s, &r), r.address);
}

static void put(u64 page, u64 value) { check_eq(mem_write(s, (AT + page) << PAGE_SHIFT, value), FAULT_DONE); }
static void expect(struct space *of, u64 page, u64 value) {
    u64 got = 0;
    check_eq(mem_read(of, (AT + page) << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, value);
}

static int offline(u64 page, bool poison) {
    struct frame *f = space_pin(s, (AT + page) << PAGE_SHIFT);
    check(f);
    return frame_offline(f, poison);
}

/* before  P0 P1 P2 P3      the parent's and, by the tables, the child's
 * after   P0' X  P2 P3     moved; lost for both */
test(offline_shared_by_fork) {
    begin(0);
    map(4, RW | VIEW_NOHUGE, NULL);
    for (u64 i = 0; i < 4; i++)
        put(i, 10 + i);
    child = space_fork(s);
    put(3, 99); /* a clone of the leaf: the ring has two */
    check_eq(offline(0, false), 0);
    check_eq(offline(1, true), 0);
    host_check();
    expect(s, 0, 10);
    expect(s, 2, 12);
    u64 got;
    check_eq(mem_read(s, (AT + 1) << PAGE_SHIFT, &got), FAULT_POISON);
    check_eq(mem_write(s, (AT + 1) << PAGE_SHIFT, 1), FAULT_POISON);
    put(0, 50);
    space_load(child);
    expect(child, 0, 10);
    expect(child, 3, 13);
    check_eq(mem_read(child, (AT + 1) << PAGE_SHIFT, &got), FAULT_POISON);
    check_eq(mem_discard(child, (AT + 1) << PAGE_SHIFT, PAGE_SIZE), 0);
    expect(child, 1, 0);
    space_load(s);
    space_put(child);
    end(2);
}

test(offline_part_of_a_large_leaf) {
    begin(0);
    map(TABLE_SLOTS, RW, NULL);
    put(0, 1);
    struct space_usage u;
    space_usage(s, AT << PAGE_SHIFT, (AT + TABLE_SLOTS) << PAGE_SHIFT, &u);
    check_eq(u.large, TABLE_SLOTS);
    put(7, 7);
    put(300, 3);
    check_eq(offline(7, false), 0);
    check_eq(offline(300, true), 0);
    host_check();
    expect(s, 7, 7);
    expect(s, 8, 0);
    u64 got;
    check_eq(mem_read(s, (AT + 300) << PAGE_SHIFT, &got), FAULT_POISON);
    put(7, 8);
    expect(s, 7, 8);
    end(2);
}

/* A page that came back from the swap area, and one that is there still for the child. */
test(offline_with_swap) {
    begin(64);
    map(4, RW | VIEW_NOHUGE, NULL);
    for (u64 i = 0; i < 4; i++)
        put(i, 20 + i);
    child = space_fork(s);
    put(3, 30);
    space_pages_out(s, AT, AT + 4);
    expect(s, 0, 20);
    check_eq(offline(0, false), 0);
    host_check();
    expect(s, 0, 20);
    put(0, 21);
    expect(s, 0, 21);
    space_load(child);
    expect(child, 0, 20);
    space_load(s);
    space_put(child);
    end(1);
}

test(offline_of_files) {
    struct host_file *file;
    u64 word;
    begin(0);
    file = host_file_new('F', 4 * PAGE_SIZE, true);
    map(4, RW | VIEW_SHARED, file);
    put(0, 5);
    check_eq(mem_read(s, (AT + 1) << PAGE_SHIFT, &word), FAULT_DONE);
    check_eq(offline(0, false), 0);
    check_eq(offline(1, true), 0);
    host_check();
    expect(s, 0, 5);
    expect(s, 1, word); /* read again */
    space_unmap(s, AT << PAGE_SHIFT, 4 * PAGE_SIZE);
    host_file_put(file);
    end(2);
}

/* Between the pin and the move the page was unmapped, and its leaf is gone: nothing says any more where it was. */
test(offline_of_what_was_unmapped) {
    begin(0);
    map(4, RW | VIEW_NOHUGE, NULL);
    put(0, 1);
    struct frame *f = space_pin(s, AT << PAGE_SHIFT);
    check(f);
    check_eq(frame_seen(f), 1);
    check_eq(space_unmap(s, AT << PAGE_SHIFT, 4 * PAGE_SIZE), 0);
    host_settle();
    tables_drain();
    slab_shrink();
    check_eq(frame_seen(f), 0);
    check_eq(frame_offline(f, false), -EBUSY);
    end(0);
}
