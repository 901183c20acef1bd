/* large_test.c - leaves shown large: one entry of level 2 for 2 MiB, and what makes it small again. */
#include "host.h"
#include "vm/event.h"
#include "vm/inner.h"
#include "vm/swap.h"

#define AT 0x10000ULL /* aligned to 2 MiB */
#define SPAN TABLE_SLOTS
#define RW (VIEW_READ | VIEW_WRITE)

static struct space *s;

static void map_at(u64 page, u64 pages, u32 flags) {
    struct map_request r = {.address = page << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    check_eq(space_map(s, &r), r.address);
}

static void begin(u64 bytes, u64 swap) {
    machine_start((struct host_config){.cpus = 2, .bytes = bytes, .swap = swap});
    s = space_create(false);
    check(s);
    space_load(s);
}

static void end(void) {
    host_check();
    space_load(NULL);
    space_put(s);
    host_settle();
    struct frame_totals t;
    frame_totals(&t);
    check_eq(t.frames[FRAME_ANON], 0);
    check_eq(t.frames[FRAME_TABLE], 0);
    host_check();
}

static u64 large(struct space *of) {
    struct space_usage u;
    space_usage(of, AT << PAGE_SHIFT, (AT + 8 * SPAN) << PAGE_SHIFT, &u);
    return u.large;
}

static void put(struct space *of, u64 page, u64 value) {
    check_eq(mem_write(of, page << PAGE_SHIFT, value), FAULT_DONE);
}
static void expect(struct space *of, u64 page, u64 value) {
    u64 got = 0xbad;
    check_eq(mem_read(of, page << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, value);
}

static void fill(struct space *of, u64 page, u64 pages, u64 salt) {
    for (u64 i = 0; i < pages; i++)
        put(of, page + i, salt + i);
}
static void verify(struct space *of, u64 page, u64 pages, u64 salt) {
    for (u64 i = 0; i < pages; i++)
        expect(of, page + i, salt + i);
}

test(large_at_the_first_write_of_a_whole_slot) {
    begin(32 * MiB, 0);
    map_at(AT - 3, 2 * SPAN + 6, RW);
    put(s, AT - 1, 1);
    check_eq(large(s), 0);
    expect(s, AT + 7, 0); /* a read takes the zero frame, and a leaf with it */
    put(s, AT + SPAN + 9, 5);
    check_eq(large(s), SPAN);
    u64 faults = event_total(EVENT_FAULT);
    expect(s, AT + SPAN, 0);
    fill(s, AT + SPAN, SPAN, 100);
    verify(s, AT + SPAN, SPAN, 100);
    check_eq(event_total(EVENT_FAULT), faults);
    end();
}

test(large_only_where_it_is_wanted) {
    begin(32 * MiB, 0);
    map_at(AT, SPAN, RW | VIEW_NOHUGE);
    map_at(AT + SPAN, SPAN - 1, RW);
    map_at(AT + 2 * SPAN, SPAN, RW | VIEW_GROWSDOWN);
    for (u64 i = 0; i < 3; i++)
        put(s, AT + i * SPAN, 1);
    check_eq(large(s), 0);
    vm_large = LARGE_ADVISED;
    map_at(AT + 3 * SPAN, SPAN, RW);
    map_at(AT + 4 * SPAN, SPAN, RW | VIEW_HUGE);
    put(s, AT + 3 * SPAN, 1);
    put(s, AT + 4 * SPAN, 1);
    check_eq(large(s), SPAN);
    vm_large = LARGE_NEVER;
    map_at(AT + 5 * SPAN, SPAN, RW | VIEW_HUGE);
    put(s, AT + 5 * SPAN, 1);
    check_eq(large(s), SPAN);
    vm_large = LARGE_ALWAYS;
    end();
}

static void review(u64 page, u64 pages, u32 set, u32 clear) {
    mutex_lock(&s->range);
    check_eq(space_review(s, page, page + pages, (struct view_change){.set = set, .clear = clear}), 0);
    mutex_unlock(&s->range);
}

/*        AT         +SPAN      +2 SPAN
 *   before  LLLLLLLLLL LLLLLLLLLL      advice, a lock on all:   still L, the plans say it
 *   after   LLLLLLLLLL LLLLL.....      on part of the second, or the protection: small */
test(large_stays_under_a_view_that_shows_the_same) {
    begin(32 * MiB, 0);
    map_at(AT, 2 * SPAN, RW);
    fill(s, AT, 2 * SPAN, 100);
    check_eq(large(s), 2 * SPAN);
    review(AT, 2 * SPAN, VIEW_HUGE, 0);
    review(AT, 2 * SPAN, VIEW_LOCKED, 0);
    review(AT, 2 * SPAN, 0, VIEW_LOCKED);
    check_eq(large(s), 2 * SPAN);
    struct piece p;
    mutex_lock(&s->range);
    space_close(s);
    check(joined_next(s, AT, &p) && p.first == AT && p.end == AT + 2 * SPAN && (p.view->flags & VIEW_HUGE));
    space_open(s);
    mutex_unlock(&s->range);
    verify(s, AT, 2 * SPAN, 100);
    host_check();
    struct space *child = space_fork(s);
    check(child);
    review(AT, 2 * SPAN, VIEW_NOHUGE, VIEW_HUGE); /* shared leaves: ours are new, and small */
    check_eq(large(s), 0);
    check_eq(large(child), 2 * SPAN);
    space_put(child);
    host_settle();
    map_at(AT + 4 * SPAN, SPAN, RW);
    fill(s, AT + 4 * SPAN, SPAN, 7);
    check_eq(large(s), SPAN);
    review(AT + 4 * SPAN, SPAN, 0, VIEW_WRITE);
    check_eq(large(s), 0);
    map_at(AT + 6 * SPAN, SPAN, RW);
    fill(s, AT + 6 * SPAN, SPAN, 9);
    check_eq(large(s), SPAN);
    review(AT + 6 * SPAN + 1, SPAN - 1, VIEW_NOHUGE, 0);
    check_eq(large(s), 0);
    verify(s, AT, 2 * SPAN, 100);
    verify(s, AT + 6 * SPAN, SPAN, 9);
    end();
}

test(large_when_most_memory_is_free) {
    begin(8 * MiB, 0);
    map_at(AT, 4 * SPAN, RW);
    for (u64 i = 0; i < 4; i++)
        put(s, AT + i * SPAN, 1);
    check(large(s) <= 2 * SPAN);
    end();
}

/* Shared by fork it stays large for those who only read; the first who writes gets a leaf of its own. */
test(large_and_fork) {
    begin(32 * MiB, 0);
    map_at(AT, SPAN, RW);
    fill(s, AT, SPAN, 100);
    struct space *child = space_fork(s), *second = space_fork(s);
    check(!is_err(child) && !is_err(second));
    host_check();
    space_load(child);
    verify(child, AT, SPAN, 100);
    check_eq(large(child), SPAN);
    put(child, AT + 5, 7);
    check_eq(large(child), 0);
    check_eq(large(s), SPAN);
    check_eq(large(second), SPAN);
    host_check();
    expect(child, AT + 5, 7);
    expect(child, AT + 6, 106);
    space_load(s);
    verify(s, AT, SPAN, 100);
    put(s, AT + 6, 9);
    check_eq(large(s), 0);
    host_check();
    space_load(second);
    verify(second, AT, SPAN, 100);
    space_load(s);
    space_put(child);
    space_put(second);
    expect(s, AT + 6, 9);
    end();
}

test(large_again_writable_when_the_child_is_gone) {
    begin(32 * MiB, 0);
    map_at(AT, SPAN, RW);
    fill(s, AT, SPAN, 100);
    struct space *child = space_fork(s);
    check(!is_err(child));
    space_put(child);
    put(s, AT + 3, 1);
    check_eq(large(s), SPAN);
    expect(s, AT + 3, 1);
    expect(s, AT + 4, 104);
    end();
}

static void reshape(void (*change)(void)) {
    begin(32 * MiB, 1024);
    map_at(AT, 2 * SPAN, RW);
    fill(s, AT, 2 * SPAN, 100);
    check_eq(large(s), 2 * SPAN);
    struct space *child = one_in(2) ? space_fork(s) : NULL;
    change();
    host_check();
    if (child) {
        space_load(child);
        verify(child, AT, 2 * SPAN, 100);
        space_load(s);
        space_put(child);
    }
    end();
}

static void protect_part(void) {
    u64 value;
    check_eq(space_protect(s, (AT + 10) << PAGE_SHIFT, 5 << PAGE_SHIFT, VIEW_READ), 0);
    check_eq(large(s), SPAN);
    check_eq(mem_write(s, (AT + 12) << PAGE_SHIFT, 1), FAULT_ACCERR);
    verify(s, AT, 2 * SPAN, 100);
    put(s, AT + 9, 1);
    check_eq(space_protect(s, (AT + SPAN) << PAGE_SHIFT, SPAN << PAGE_SHIFT, 0), 0);
    check_eq(mem_read(s, (AT + SPAN + 12) << PAGE_SHIFT, &value), FAULT_ACCERR);
    check_eq(space_protect(s, (AT + SPAN) << PAGE_SHIFT, SPAN << PAGE_SHIFT, VIEW_READ), 0);
    verify(s, AT + SPAN, SPAN, 100 + SPAN);
}
test_seeds(large_protected_in_part, 4) { reshape(protect_part); }

static void unmap_part(void) {
    u64 value;
    check_eq(space_unmap(s, (AT + 10) << PAGE_SHIFT, SPAN << PAGE_SHIFT), 0);
    check_eq(mem_read(s, (AT + 12) << PAGE_SHIFT, &value), FAULT_MAPERR);
    check_eq(mem_read(s, (AT + SPAN) << PAGE_SHIFT, &value), FAULT_MAPERR);
    verify(s, AT, 10, 100);
    verify(s, AT + SPAN + 10, SPAN - 10, 110 + SPAN);
    check_eq(space_unmap(s, AT << PAGE_SHIFT, 2 * SPAN << PAGE_SHIFT), 0);
}
test_seeds(large_unmapped_in_part, 4) { reshape(unmap_part); }

static void unmap_whole(void) {
    u64 value, splits = event_total(EVENT_LARGE_SPLIT);
    check_eq(space_unmap(s, AT << PAGE_SHIFT, SPAN << PAGE_SHIFT), 0);
    check_eq(mem_read(s, (AT + 12) << PAGE_SHIFT, &value), FAULT_MAPERR);
    check_eq(event_total(EVENT_LARGE_SPLIT), splits);
    verify(s, AT + SPAN, SPAN, 100 + SPAN);
}
test_seeds(large_unmapped_whole, 4) { reshape(unmap_whole); }

static void discard(void) {
    check_eq(mem_discard(s, (AT + 10) << PAGE_SHIFT, SPAN << PAGE_SHIFT), 0);
    verify(s, AT, 10, 100);
    expect(s, AT + 10, 0);
    expect(s, AT + SPAN + 9, 0);
    verify(s, AT + SPAN + 10, SPAN - 10, 110 + SPAN);
}
test_seeds(large_discarded_in_part, 4) { reshape(discard); }

static void move(void) {
    u64 to = AT + 0x2003;
    check_eq(space_remap(s, AT << PAGE_SHIFT, SPAN << PAGE_SHIFT, SPAN << PAGE_SHIFT, REMAP_MAY_MOVE | REMAP_FIXED,
                         to << PAGE_SHIFT),
             to << PAGE_SHIFT);
    verify(s, to, SPAN, 100);
    verify(s, AT + SPAN, SPAN, 100 + SPAN);
}
test_seeds(large_moved, 4) { reshape(move); }

static void move_aligned(void) {
    u64 to = AT + 16 * SPAN;
    check_eq(space_remap(s, AT << PAGE_SHIFT, SPAN << PAGE_SHIFT, SPAN << PAGE_SHIFT, REMAP_MAY_MOVE | REMAP_FIXED,
                         to << PAGE_SHIFT),
             to << PAGE_SHIFT);
    verify(s, to, SPAN, 100);
    verify(s, AT + SPAN, SPAN, 100 + SPAN);
}
test_seeds(large_moved_aligned, 4) { reshape(move_aligned); }

static void copy(void) {
    u64 value = 77;
    check_eq(space_copy(s, (AT + 3) << PAGE_SHIFT, &value, sizeof(value), true, false), sizeof(value));
    expect(s, AT + 3, 77);
    check_eq(space_copy(s, (AT + 4) << PAGE_SHIFT, &value, sizeof(value), false, false), sizeof(value));
    check_eq(value, 104);
}
test_seeds(large_copied_from_outside, 4) { reshape(copy); }

static void page_out(void) {
    check_eq(large(s), 2 * SPAN);
    space_pages_out(s, AT, AT + SPAN);
    check_eq(large(s), SPAN);
    struct swap_totals t;
    swap_totals(&t);
    check_eq(t.used, SPAN); /* for a child too: it is the same leaf */
    verify(s, AT, 2 * SPAN, 100);
}
test_seeds(large_paged_out, 4) { reshape(page_out); }

/* Reclaim leaves it large while it is used; then it is shown small, and its frames go one by one. */
static void swap_out(void) {
    for (unsigned i = 0; i < 6; i++)
        vm_reclaim(frame_count);
    check_eq(large(s), 0);
    struct swap_totals t;
    swap_totals(&t);
    check(t.used > SPAN);
    verify(s, AT, 2 * SPAN, 100);
    put(s, AT + 3, 1);
}
test_seeds(large_swapped_out, 4) { reshape(swap_out); }
