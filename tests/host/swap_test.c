/* swap_test.c - anonymous pages that go to the swap area and come back. */
#include "host.h"
#include "vm/inner.h"
#include "vm/swap.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)

static struct space *s;
static struct host_count before;

static void map_at(struct space *of, u64 page, u64 pages, u32 flags) {
    struct map_request r = {.address = page << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    check_eq(space_map(of, &r), r.address);
}

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
}

static void put(struct space *of, u64 page, u64 value) {
    check_eq(mem_write(of, page << PAGE_SHIFT, value), FAULT_DONE);
}
static void expect(struct space *of, u64 page, u64 value) {
    u64 got = 0xbad;
    check_eq(mem_read(of, page << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, value);
}

/* Page i of the first so many holds i + 1. */
static void map_and_fill(u64 pages) {
    map_at(s, AT, pages, RW);
    for (u64 i = 0; i < pages; i++)
        put(s, AT + i, i + 1);
}
static void expect_filled(struct space *of, u64 pages) {
    for (u64 i = 0; i < pages; i++)
        expect(of, AT + i, i + 1);
}

/* All that can go, goes: the accessed bits and marks cost a round each. */
static void swap_out(void) {
    for (unsigned i = 0; i < 4; i++)
        vm_reclaim(frame_count);
}

static u64 swapped(struct space *of, u64 pages) {
    struct space_usage u;
    space_usage(of, AT << PAGE_SHIFT, (AT + pages) << PAGE_SHIFT, &u);
    return u.swap;
}

test(swap_more_than_memory) {
    begin(2048);
    u64 pages = 1200; /* of 512 frames */
    map_at(s, AT, pages, RW);
    for (u64 i = 0; i < pages; i++)
        put(s, AT + i, i * 7919 + 1);
    host_check();
    for (unsigned round = 0; round < 3; round++)
        for (u64 i = 0; i < pages; i++)
            expect(s, AT + i, i * 7919 + 1);
    host_check();
    check(totals().used > pages - 512);
    check_eq(space_unmap(s, AT << PAGE_SHIFT, pages << PAGE_SHIFT), 0);
    check_eq(totals().used, 0);
    end();
}

test(swap_keeps_a_clean_page_where_it_is) {
    begin(2048);
    map_and_fill(20);
    swap_out();
    check_eq(swapped(s, 20), 20);
    check_eq(host_swap.writes, 20);
    expect_filled(s, 20);
    check_eq(swapped(s, 20), 0);
    check_eq(totals().cached, 20);
    swap_out(); /* nothing has changed: nothing is written */
    check_eq(swapped(s, 20), 20);
    check_eq(host_swap.writes, 20);
    put(s, AT + 3, 77);
    check_eq(totals().used, 19); /* read with its neighbours; written, it gave its slot back */
    swap_out();
    check_eq(host_swap.writes, 21);
    expect(s, AT + 3, 77);
    end();
}

test(swap_reads_neighbours_in_virtual_order) {
    begin(2048);
    map_at(s, AT, 20, RW);
    for (u64 i = 0; i < 20; i++)
        put(s, AT + (i * 7) % 20, i + 1);
    swap_out();
    expect(s, AT, 1);
    check_eq(host_swap.reads, SWAP_AHEAD);
    check_eq(swapped(s, 20), 20 - SWAP_AHEAD);
    end();
}

static unsigned reads_for(u64 page) {
    unsigned before = host_swap.reads;
    expect(s, AT + page, page + 1);
    return host_swap.reads - before;
}

/* Here and there a page alone is read; in a sequence ever more, past what is there already; and no more than is
 * allowed. */
test(swap_reads_ahead_where_a_sequence_goes_on) {
    begin(2048);
    map_at(s, AT, 200, RW);
    for (u64 i = 0; i < 200; i++)
        put(s, AT + i, i + 1);
    swap_out();
    check_eq(reads_for(150), 1);
    check_eq(reads_for(100), 1);
    check_eq(reads_for(125), 1);
    check_eq(reads_for(102), 1); /* 102 .. */
    check_eq(reads_for(103), 2);
    check_eq(reads_for(105), 4);
    check_eq(reads_for(109), 8);
    check_eq(reads_for(117), 8); /* up to 124; 125 is there */
    check_eq(reads_for(126), 8);
    check_eq(reads_for(50), 4);
    check_eq(reads_for(20), 2);
    check_eq(reads_for(180), 1);
    swap_page_cluster = 1;
    check_eq(reads_for(181), 2);
    check_eq(reads_for(183), 2);
    swap_page_cluster = 0;
    check_eq(reads_for(185), 1);
    end();
}

/* One shared leaf: out once, in once, for both; a write makes a copy of one's own. */
test(swap_of_a_shared_table_is_done_once) {
    begin(2048);
    map_and_fill(8);
    struct space *child = space_fork(s);
    check(!is_err(child));
    swap_out();
    check_eq(totals().used, 8);
    check_eq(host_swap.writes, 8);
    expect(s, AT, 1);
    check_eq(swapped(child, 8), 0); /* in place, for both */
    swap_out();
    space_load(child);
    put(child, AT, 100);
    expect(child, AT, 100);
    space_load(s);
    expect(s, AT, 1);
    host_check();
    space_load(child);
    for (u64 i = 1; i < 8; i++)
        expect(child, AT + i, i + 1);
    space_load(s);
    space_put(child);
    end();
}

/* Two leaves, cloned from one another: both name the slot; who comes second finds the frame in the cache. */
test(swap_of_broken_tables) {
    begin(2048);
    map_and_fill(8);
    struct space *child = space_fork(s);
    check(!is_err(child));
    put(s, AT + 7, 70);
    swap_out();
    check_eq(totals().used, 9);
    expect(s, AT, 1);
    space_load(child);
    unsigned reads = host_swap.reads;
    expect(child, AT, 1);
    check_eq(host_swap.reads, reads);
    put(child, AT, 9);
    expect(child, AT + 7, 8);
    space_load(s);
    expect(s, AT, 1);
    put(s, AT, 5); /* the slot is nobody else's now */
    expect(s, AT + 7, 70);
    space_load(child);
    expect(child, AT, 9);
    space_load(s);
    space_put(child);
    end();
}

test(swap_leaves_locked_memory) {
    begin(2048);
    map_and_fill(8);
    check_eq(space_change(s, (AT + 2) << PAGE_SHIFT, 3 << PAGE_SHIFT, VIEW_LOCKED, 0), 0);
    swap_out();
    check_eq(swapped(s, 8), 5);
    /* ... but not a child's copy of it, which is not locked: the frame stays for the parent */
    struct space *child = space_fork(s);
    check(!is_err(child));
    swap_out();
    check_eq(swapped(s, 8), 5);
    space_load(child);
    expect_filled(child, 8);
    space_load(s);
    for (u64 i = 0; i < 8; i++)
        put(s, AT + i, i + 10);
    space_load(child);
    expect_filled(child, 8);
    space_load(s);
    space_put(child);
    end();
}

/* Swap entries under everything that edits slots. */
test(swap_entries_are_protected_moved_discarded_and_cut) {
    begin(2048);
    map_and_fill(16);
    struct space *child = space_fork(s);
    check(!is_err(child));
    put(s, AT + 15, 16);
    swap_out();
    check_eq(space_protect(s, AT << PAGE_SHIFT, 16 << PAGE_SHIFT, 0), 0);
    u64 value;
    check_eq(mem_read(s, AT << PAGE_SHIFT, &value), FAULT_ACCERR);
    check_eq(swapped(s, 16), 16);
    check_eq(space_remap(s, AT << PAGE_SHIFT, 8 << PAGE_SHIFT, 8 << PAGE_SHIFT, REMAP_MAY_MOVE | REMAP_FIXED,
                         (AT + 0x1003) << PAGE_SHIFT),
             (AT + 0x1003) << PAGE_SHIFT);
    host_check();
    check_eq(space_protect(s, (AT + 8) << PAGE_SHIFT, 8 << PAGE_SHIFT, RW), 0);
    check_eq(space_protect(s, (AT + 0x1003) << PAGE_SHIFT, 8 << PAGE_SHIFT, RW), 0);
    space_load(child);
    expect(child, AT, 1); /* the frame is in the cache, mapped in the child's ring */
    space_load(s);
    for (u64 i = 0; i < 8; i++)
        expect(s, AT + 0x1003 + i, i + 1);
    host_check();
    check_eq(mem_discard(s, (AT + 8) << PAGE_SHIFT, 4 << PAGE_SHIFT), 0);
    expect(s, AT + 8, 0);
    expect(s, AT + 12, 13);
    space_load(child);
    expect_filled(child, 16);
    space_load(s);
    space_put(child);
    end();
}

test(swap_on_request) {
    begin(2048);
    map_at(s, AT, 600, RW); /* two leaves and a part; the middle one does not exist */
    for (u64 i = 0; i < 600; i += i == 20 ? 560 : 1)
        put(s, AT + i, i + 1);
    space_pages_out(s, AT + 2, AT + 7);
    check_eq(swapped(s, 600), 5);
    check_eq(host_swap.writes, 5);
    struct space *child = space_fork(s);
    check(!is_err(child));
    put(s, AT + 8, 9); /* breaks the leaf: each page has two slots now */
    space_pages_out(s, AT, AT + 600);
    check_eq(swapped(s, 600), 5 + 1 + 20); /* what was out, the page that was copied, and the leaf that is shared */
    space_put(child);
    space_pages_out(s, AT, AT + 600);
    check_eq(swapped(s, 600), 41);
    space_pages_in(s, AT + 1, AT + 600);
    check_eq(swapped(s, 600), 1);
    for (u64 i = 0; i < 600; i += i == 20 ? 560 : 1)
        expect(s, AT + i, i + 1);
    end();
}

/* Far into an area the cache is three nodes high, and empty at the begin of each batch: no page stays for want of one.
 */
test(swap_on_request_far_into_an_area) {
    begin(5000);
    map_at(s, AT, 4600, RW);
    for (u64 i = 0; i < 4600; i += 200) {
        for (u64 n = i; n < i + 200; n++)
            put(s, AT + n, n + 1);
        space_pages_out(s, AT + i, AT + i + 200);
        check_eq(swapped(s, 4600), i + 200);
    }
    expect_filled(s, 4600);
    end();
}

test(swap_takes_what_is_cold_first) {
    begin(2048);
    map_and_fill(60);
    space_pages_cold(s, AT + 20, AT + 30);
    vm_reclaim(10);
    check_eq(swapped(s, 60), 10);
    space_pages_in(s, AT, AT + 20);
    space_pages_in(s, AT + 30, AT + 60);
    check_eq(swapped(s, 60), 10); /* it was those */
    end();
}

/* One fixed story, with its Nth read or write failing, for every N: a read that fails is a bus error for who needs the
 * page, once; a write that fails changes nothing. */
static void expect_or_bus(struct space *of, u64 page, u64 value, bool *bus) {
    u64 got;
    space_load(of);
    enum fault_outcome outcome = mem_read(of, page << PAGE_SHIFT, &got);
    if (outcome == FAULT_DONE) {
        check_eq(got, value);
        return;
    }
    check_eq(outcome, FAULT_BUS_ADRERR);
    check(!*bus); /* one transfer failed */
    *bus = true;
    expect(of, page, value); /* the error is not kept */
}

static bool story(void) {
    bool bus = false;
    map_and_fill(48);
    for (u64 i = 0; i < 24; i += 4)
        space_pages_out(s, AT + i, AT + i + 4);
    struct space *child = space_fork(s);
    check(!is_err(child));
    put(s, AT + 40, 41);
    swap_out();
    for (u64 i = 0; i < 48; i++)
        expect_or_bus(i % 3 ? s : child, AT + i, i + 1, &bus);
    swap_out();
    space_load(s);
    for (u64 i = 1; i < 48; i += 5) {
        expect_or_bus(s, AT + i, i + 1, &bus);
        put(s, AT + i, i + 1);
    }
    host_check();
    for (u64 i = 0; i < 96; i++)
        expect_or_bus(i < 48 ? child : s, AT + i % 48, i % 48 + 1, &bus);
    space_put(child);
    check_eq(space_unmap(s, AT << PAGE_SHIFT, 48 << PAGE_SHIFT), 0);
    swap_out(); /* the hand drops what could not be written */
    return bus;
}

static void nth_failure(bool write) {
    unsigned *fails = write ? &host_swap.fail_writes : &host_swap.fail_reads, n = 0, errors = 0;
    swap_page_cluster = 0; /* what is read with others is read alone once more */
    begin(4096);
    do {
        host_swap.spare = n++;
        *fails = 1;
        errors += story();
    } while (!*fails); /* until there was no Nth one */
    check(n > 5);
    check(write ? !errors : errors > 5 && errors < n);
    *fails = host_swap.spare = 0;
    end();
}
test(swap_nth_read_fails) { nth_failure(false); }
test(swap_nth_write_fails) { nth_failure(true); }

/* MADV_FREE: dropped without a write, unless written again; with swap and without. */
static void free_lazily(u64 swap) {
    begin(swap);
    map_and_fill(16);
    space_pages_free(s, AT, AT + 12);
    struct space_usage u;
    space_usage(s, AT << PAGE_SHIFT, (AT + 16) << PAGE_SHIFT, &u);
    check_eq(u.lazy, 12);
    for (u64 i = 0; i < 12; i++)
        expect(s, AT + i, i + 1); /* still there, and reading does not keep it */
    for (u64 i = 0; i < 4; i++)
        put(s, AT + i, i + 100);
    check_eq(space_protect(s, AT << PAGE_SHIFT, 16 << PAGE_SHIFT, VIEW_READ), 0);
    host_check();
    swap_out();
    host_check();
    check_eq(host_swap.writes, swap ? 8 : 0);
    for (u64 i = 0; i < 16; i++)
        expect(s, AT + i, i < 4 ? i + 100 : i < 12 ? 0 : i + 1);
    end();
}
test(swap_not_for_what_is_given_up) { free_lazily(2048); }
test(swap_not_needed_for_what_is_given_up) { free_lazily(0); }

/* One flush for many of them. */
test(swap_given_up_in_rows) {
    begin(0);
    map_and_fill(100);
    space_pages_free(s, AT, AT + 100);
    u64 before = event_total(EVENT_FLUSH_EVERYONE), freed = 0;
    for (unsigned i = 0; i < 8; i++)
        freed += vm_reclaim(100);
    check(freed >= 100);
    check(event_total(EVENT_FLUSH_EVERYONE) - before < 20);
    for (u64 i = 0; i < 100; i++)
        expect(s, AT + i, 0);
    end();
}

/* What a sharer may still want is not given up. */
test(swap_of_what_is_given_up_and_shared) {
    begin(2048);
    map_and_fill(8);
    struct space *child = space_fork(s);
    check(!is_err(child));
    space_pages_free(s, AT, AT + 4);
    put(s, AT + 7, 70); /* a leaf of its own, but the frames are shared */
    space_pages_free(s, AT, AT + 8);
    swap_out();
    space_load(child);
    expect_filled(child, 8);
    space_load(s);
    expect_filled(s, 7);
    expect(s, AT + 7, 0);
    space_put(child);
    end();
}

/* A debugger's write to a page that came back clean: it must not be taken for what the slot still has. */
test(swap_and_forced_writes) {
    begin(2048);
    map_and_fill(4);
    check_eq(space_protect(s, AT << PAGE_SHIFT, 4 << PAGE_SHIFT, VIEW_READ), 0);
    swap_out();
    expect_filled(s, 4);
    u64 value = 77;
    check_eq(space_copy(s, (AT + 1) << PAGE_SHIFT, &value, sizeof(value), true, true), sizeof(value));
    swap_out();
    check_eq(space_copy(s, (AT + 2) << PAGE_SHIFT, &value, sizeof(value), true, true),
             sizeof(value)); /* from the area */
    check_eq(mem_write(s, (AT + 2) << PAGE_SHIFT, 1), FAULT_ACCERR);
    host_check();
    swap_out();
    expect(s, AT, 1);
    expect(s, AT + 1, 77);
    expect(s, AT + 2, 77);
    expect(s, AT + 3, 4);
    check_eq(space_protect(s, AT << PAGE_SHIFT, 4 << PAGE_SHIFT, 0), 0);
    swap_out();
    check_eq(space_copy(s, (AT + 3) << PAGE_SHIFT, &value, sizeof(value), true, true), sizeof(value));
    host_check();
    check_eq(space_protect(s, AT << PAGE_SHIFT, 4 << PAGE_SHIFT, RW), 0);
    expect(s, AT + 3, 77);
    end();
}

test(swap_read_errors_are_a_bus_error_and_pass) {
    begin(2048);
    map_and_fill(8);
    swap_out();
    host_swap.fail_reads = 2; /* with those after it, and alone */
    u64 value;
    check_eq(mem_read(s, AT << PAGE_SHIFT, &value), FAULT_BUS_ADRERR);
    host_check();
    expect_filled(s, 8);
    end();
}

/* One of the others cannot be read: that is nobody's error who does not need it. */
test(swap_read_errors_of_neighbours_are_not_told) {
    begin(2048);
    map_and_fill(8);
    swap_out();
    host_swap.fail_reads = 1;
    expect(s, AT, 1);
    check_eq(host_swap.failures, 1);
    check_eq(host_swap.reads, 9);
    host_check();
    expect_filled(s, 8);
    end();
}

test(swap_write_errors_lose_nothing) {
    begin(2048);
    map_and_fill(64);
    struct swap_totals first = totals();
    host_swap.fail_writes = 2;
    swap_out();
    host_check();
    expect_filled(s, 64);
    for (u64 i = 0; i < 64; i++)
        put(s, AT + i, i + 2);
    swap_out();
    for (u64 i = 0; i < 64; i++)
        expect(s, AT + i, i + 2);
    check_eq(space_unmap(s, AT << PAGE_SHIFT, 64 << PAGE_SHIFT), 0);
    swap_out();                          /* the hand drops what was kept */
    check(totals().slots < first.slots); /* bad slots */
    end();
}

test(swap_that_is_full_refuses_and_forgets_nothing) {
    begin(64);
    map_and_fill(100);
    swap_out();
    check_eq(totals().used, 63);
    for (unsigned round = 0; round < 3; round++)
        for (u64 i = 0; i < 100; i++)
            expect(s, AT + i, i + 1);
    end();
}

test(swap_without_an_area_is_out_of_memory) {
    begin(0);
    map_at(s, AT, 600, RW);
    u64 i = 0;
    while (i < 600 && mem_write(s, (AT + i) << PAGE_SHIFT, i + 1) == FAULT_DONE)
        i++;
    check(i > 100 && i < 512);
    for (u64 k = 0; k < i; k++)
        expect(s, AT + k, k + 1);
    end();
}

/* A thousand forks, each with a table of its own or a shared one, some of them gone in between. */
test_seeds(swap_and_a_chain_of_forks, 3) {
    struct space *chain[40];
    u64 value[40];
    begin(2048);
    map_at(s, AT, 4, RW);
    put(s, AT, 1);
    for (unsigned i = 0; i < 40; i++) {
        struct space *from = i ? chain[i - 1] : s;
        chain[i] = space_fork(from);
        check(!is_err(chain[i]));
        value[i] = i ? value[i - 1] : 1;
        space_load(chain[i]);
        if (one_in(3))
            put(chain[i], AT, value[i] = 100 + i);
        else if (one_in(2))
            put(chain[i], AT + 1, i);
        if (one_in(4))
            swap_out();
    }
    for (unsigned i = 0; i < 40; i++)
        if (i != 39 && one_in(3)) {
            space_put(chain[i]);
            chain[i] = NULL;
        }
    swap_out();
    host_check();
    for (unsigned i = 0; i < 40; i++)
        if (chain[i]) {
            space_load(chain[i]);
            expect(chain[i], AT, value[i]);
        }
    space_load(s);
    for (unsigned i = 0; i < 40; i++)
        if (chain[i])
            space_put(chain[i]);
    end();
}
