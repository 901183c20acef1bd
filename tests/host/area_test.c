/* area_test.c - several swap areas: who has the next slot; and how one is emptied. */
#include "host.h"
#include "vm/inner.h"
#include "vm/swap.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)

static struct space *s;
static struct host_count before;

static void begin(u64 swap) {
    machine_start((struct host_config){.cpus = 2, .bytes = 2 * MiB, .swap = swap});
    host_settle();
    before = host_count();
    s = space_create(false);
    check(s);
    space_load(s);
}
static struct swap_totals totals(void) {
    struct swap_totals t;
    swap_totals(&t);
    return t;
}
static void end(void) {
    host_check();
    space_load(NULL);
    space_put(s);
    host_settle();
    check_eq(totals().used, 0);
    check_eq(totals().cached, 0);
    host_check();
    check_no_leak(before);
}
static void map_file(struct space *of, u64 page, u64 pages, u32 flags, struct host_file *file) {
    struct map_request r = {.address = page << PAGE_SHIFT,
                            .bytes = pages << PAGE_SHIFT,
                            .flags = flags,
                            .file = file ? &file->file : NULL,
                            .how = MAP_AT};
    check_eq(space_map(of, &r), r.address);
}
static void put(struct space *of, u64 page, u64 value) {
    check_eq(mem_write(of, page << PAGE_SHIFT, value), FAULT_DONE);
}
static void expect(struct space *of, u64 page, u64 value) {
    u64 got = 0xbad;
    check_eq(mem_read(of, page << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, value);
}
static void fill(u64 pages, u64 salt) {
    for (u64 i = 0; i < pages; i++)
        put(s, AT + i, i + salt);
}
static void swap_out(void) {
    for (unsigned i = 0; i < 4; i++)
        vm_reclaim(frame_count);
}
static u64 used(unsigned area) {
    struct area_state a;
    area_look(area, &a);
    return a.used;
}
static int go_on(void) { return 0; }

test(area_priorities_and_turns) {
    begin(64);
    unsigned high = host_swap_add(41, 5), even = host_swap_add(200, 3), odd = host_swap_add(200, 3);
    check_eq(totals().slots, 63 + 40 + 199 + 199);
    map_file(s, AT, 300, RW, NULL);
    fill(300, 1);
    swap_out();
    check_eq(used(high), 40); /* all of it first */
    check_eq(used(even) + used(odd), 260);
    check(used(even) >= 100 && used(odd) >= 100); /* in turn, by clusters */
    check_eq(used(0), 0);
    for (u64 i = 0; i < 300; i++)
        expect(s, AT + i, i + 1);
    check_eq(space_unmap(s, AT << PAGE_SHIFT, 300 << PAGE_SHIFT), 0);
    check_eq(area_empty(high, go_on), 0);
    host_swap_drop(high);
    check_eq(area_empty(even, go_on), 0);
    host_swap_drop(even);
    check_eq(area_empty(odd, go_on), 0);
    host_swap_drop(odd);
    end();
}

/* What is written together lies together, though single slots are free in between. */
test(area_slots_of_a_batch_are_neighbours) {
    begin(2048);
    map_file(s, AT, 400, RW, NULL);
    fill(300, 1);
    swap_out();
    for (u64 i = 0; i < 300; i += 2)
        check_eq(mem_discard(s, (AT + i) << PAGE_SHIFT, PAGE_SIZE), 0);
    for (u64 i = 300; i < 364; i++)
        put(s, AT + i, i + 1);
    unsigned before_writes = host_swap.transfers;
    for (unsigned i = 0; i < 4; i++)
        space_pages_out(s, AT + 300, AT + 364);
    check(host_swap.transfers - before_writes <= 4);
    end();
}

test(area_emptied_of_everything) {
    begin(2048);
    struct host_file *file = host_file_new('M', 30 * PAGE_SIZE, false);
    unsigned second = host_swap_add(1000, 7);
    map_file(s, AT, 40, RW, NULL);
    map_file(s, AT + 100, 30, RW | VIEW_SHARED, file);
    fill(40, 1);
    for (u64 i = 0; i < 30; i++)
        put(s, AT + 100 + i, i + 500);
    struct space *child = space_fork(s);
    check(!is_err(child));
    space_load(child);
    put(child, AT + 5, 55); /* a table of its own: two name each slot */
    space_load(s);
    swap_out();
    expect(s, AT, 1); /* some are in the cache, some keep a slot */
    expect(s, AT + 100, 500);
    check_eq(space_protect(s, (AT + 20) << PAGE_SHIFT, 5 << PAGE_SHIFT, 0), 0);
    check(used(second) > 60);
    check_eq(area_empty(second, go_on), 0);
    check_eq(used(second), 0);
    host_check();
    unsigned reads = host_swap.reads;
    check_eq(space_protect(s, (AT + 20) << PAGE_SHIFT, 5 << PAGE_SHIFT, RW), 0);
    for (u64 i = 0; i < 40; i++) {
        space_load(child);
        expect(child, AT + i, i == 5 ? 55 : i + 1);
        space_load(s);
        expect(s, AT + i, i + 1);
        put(s, AT + i, i + 90);
        if (i < 30)
            expect(s, AT + 100 + i, i + 500);
    }
    check_eq(host_swap.reads, reads); /* nothing was left to read */
    host_swap_drop(second);
    space_put(child);
    check_eq(space_unmap(s, (AT + 100) << PAGE_SHIFT, 30 << PAGE_SHIFT), 0);
    host_file_put(file);
    end();
}

/* The memory is too small for what is in the areas: nothing is lost, and the area is used again. */
test(area_that_does_not_fit_into_memory) {
    begin(0);
    unsigned only = host_swap_add(1000, -1);
    map_file(s, AT, 800, RW, NULL);
    fill(800, 1); /* of 512 frames */
    check_eq(area_empty(only, go_on), -ENOMEM);
    host_check();
    for (u64 i = 0; i < 800; i++)
        expect(s, AT + i, i + 1);
    check_eq(space_unmap(s, (AT + 300) << PAGE_SHIFT, 500 << PAGE_SHIFT), 0);
    check_eq(area_empty(only, go_on), 0);
    host_swap_drop(only);
    for (u64 i = 0; i < 300; i++)
        expect(s, AT + i, i + 1);
    end();
}

static unsigned rounds;
static int interrupted(void) { return rounds-- ? 0 : -EINTR; }

/* Stopped after each of its steps, and after each read that fails: as before. */
test(area_emptied_in_part) {
    begin(2048);
    unsigned second = host_swap_add(500, 7), n = 0;
    int error;
    map_file(s, AT, 64, RW, NULL);
    fill(64, 1);
    do {
        swap_out();
        rounds = n++;
        error = area_empty(second, interrupted);
        host_check();
        for (u64 i = 0; i < 64; i++)
            expect(s, AT + i, i + 1);
        if (error)
            fill(64, 1);
    } while (error == -EINTR);
    check_eq(error, 0);
    check(n > 3);
    area_open(second);
    fill(64, 1);
    swap_out();
    check(used(second) == 64);
    host_swap.fail_reads =
        64; /* eight pages, in as many pieces as their slots lie in, and then the first of them alone */
    check_eq(area_empty(second, go_on), -EIO);
    host_swap.fail_reads = 0;
    check_eq(area_empty(second, go_on), 0);
    host_swap_drop(second);
    for (u64 i = 0; i < 64; i++)
        expect(s, AT + i, i + 1);
    end();
}

/* Which pages the device was told are free. */
static u8 told[3 * SWAP_CHUNK];
static void note_discard(struct swap_device *d, u64 page, u64 count) {
    host_may_sleep("a discard");
    for (u64 i = page; i < page + count; i++) {
        check(i && i < array_count(told) && !swap_count(i));
        told[i]++;
    }
}
static u64 told_in(u64 chunk) {
    u64 sum = 0;
    for (u64 i = 0; i < SWAP_CHUNK; i++)
        sum += told[chunk * SWAP_CHUNK + i];
    return sum;
}

/* Slots that came free are discarded by whole chunks, the header and bad ones left out; none that is in use. */
test(area_discards_what_is_free) {
    begin(3 * SWAP_CHUNK);
    area_device(0)->discard = note_discard;
    area_discards(0);
    map_file(s, AT, 5000, RW, NULL);
    fill(5000, 1);
    swap_out();
    check(!swap_discard_wanted());
    u64 in_use = used(0);
    check(in_use > 2 * SWAP_CHUNK);
    check_eq(mem_discard(s, AT << PAGE_SHIFT, 4700 << PAGE_SHIFT), 0);
    check(swap_discard_wanted());
    swap_discard_one();
    while (swap_discard_wanted())
        swap_discard_one();
    check_eq(told_in(0), SWAP_CHUNK - 1);
    check_eq(told_in(1), SWAP_CHUNK);
    check_eq(told_in(2), 0);
    for (u64 i = 4700; i < 5000; i++)
        expect(s, AT + i, i + 1);
    fill(4700, 7); /* they are given out again */
    swap_out();
    for (u64 i = 0; i < 4700; i++)
        expect(s, AT + i, i + 7);
    host_check();
    space_load(NULL);
    space_put(s);
    host_settle();
    check_eq(totals().used, 0); /* the pages of counts stay, so this is all of end() but one look */
}

/* Pages that could not be written are found in the cache by those who name them, and come back too. */
test(area_emptied_of_what_could_not_be_written) {
    begin(2048);
    unsigned second = host_swap_add(500, 7);
    map_file(s, AT, 40, RW, NULL);
    fill(40, 1);
    host_swap.fail_writes = 2;
    swap_out();
    host_swap.fail_writes = 0;
    check_eq(area_empty(second, go_on), 0);
    host_swap_drop(second);
    for (u64 i = 0; i < 40; i++)
        expect(s, AT + i, i + 1);
    end();
}

/* A debugger's write to a page that came back: the slot was changed as if it translated, and the write never ended. */
test(area_emptied_under_a_debugger) {
    begin(64);
    unsigned second = host_swap_add(500, 7);
    map_file(s, AT, 8, RW, NULL);
    fill(8, 1);
    swap_out();
    check_eq(area_empty(second, go_on), 0);
    struct space *child = space_fork(s); /* the path is to be taken over */
    check(!is_err(child));
    space_put(child);
    for (u64 i = 0, value = 0x50; i < 8; i += 2, value++)
        check_eq(space_copy(s, (AT + i) << PAGE_SHIFT, &value, sizeof(value), true, true), sizeof(value));
    host_check();
    for (u64 i = 0; i < 8; i++)
        expect(s, AT + i, i % 2 ? i + 1 : 0x50 + i / 2);
    host_swap_drop(second);
    end();
}
