/* background_test.c - reclaim in the background: its marks, when it gives up, and what it spares others. */
#include "vm/background.h"
#include "host.h"
#include "vm/event.h"
#include "vm/inner.h"
#include "vm/swap.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)

static struct space *s;
static bool done;

static void begin(u64 swap, u64 pages) {
    machine_start((struct host_config){.cpus = 2, .bytes = 8 * MiB, .swap = swap});
    check(vm_background_start());
    s = space_create(false);
    check(s);
    space_load(s);
    struct map_request r = {.address = AT << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = RW, .how = MAP_AT};
    check_eq(space_map(s, &r), r.address);
}

static void end(void) {
    host_check();
    space_load(NULL);
    space_put(s);
    host_settle();
    struct swap_totals t;
    swap_totals(&t);
    check_eq(t.used, 0);
}

static void put(u64 i, u64 value) { check_eq(mem_write(s, (AT + i) << PAGE_SHIFT, value), FAULT_DONE); }
static void expect(u64 i, u64 value) {
    u64 got = 0xbad;
    check_eq(mem_read(s, (AT + i) << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, value);
}

test(background_needs_some_memory) {
    machine_start((struct host_config){.bytes = 4 * MiB});
    check(!vm_background_start());
}

test(background_goes_from_low_to_high) {
    struct frame_marks m;
    struct background_totals t;
    u64 i = 0;
    begin(4096, 2048);
    frame_marks(&m);
    check(m.min < m.low && m.low < m.high);
    for (; frame_free_count() >= m.low; i++) {
        check(!vm_background_wanted());
        put(i, i);
    }
    check(vm_background_wanted());
    while (vm_background_wanted()) {
        check(frame_free_count() < m.high);
        vm_background_batch();
    }
    check(frame_free_count() >= m.high);
    background_totals(&t);
    check_eq(t.rounds, 1);
    check_eq(t.ended_high, 1);
    frame_set_min(200); /* the other marks follow */
    frame_marks(&m);
    check_eq(m.min, 200);
    check(frame_free_count() < m.low && vm_background_wanted());
    end();
}

/* Nothing can go: it does not try again until somebody found something. */
test(background_gives_up) {
    struct frame_marks m;
    u64 i = 0;
    begin(0, 2048);
    frame_marks(&m);
    for (; frame_free_count() >= m.low; i++)
        put(i, i);
    check(vm_background_wanted());
    vm_background_batch();
    for (; frame_free_count() >= m.low; i++) /* what was found of slabs */
        put(i, i);
    check(!vm_background_wanted());
    vm_background_hope();
    check(vm_background_wanted());
    end();
}

static void reclaimer(void *argument) {
    while (!done) {
        wait_until(&vm_background_waits, done || vm_background_wanted());
        if (!done)
            vm_background_batch();
    }
}

static void filler(void *argument) {
    for (u64 round = 0; round < 2; round++) {
        for (u64 i = 0; i < 3000; i++)
            put(i, i * 3 + round);
        for (u64 i = 0; i < 3000; i++)
            expect(i, i * 3 + round);
    }
    done = true;
    waitq_wake_all(&vm_background_waits);
}

test_seeds(background_beside_who_needs_it, 6) {
    struct reclaim_totals t;
    begin(4096, 3000);
    done = false;
    fiber_add("reclaimer", reclaimer, NULL, NULL);
    fiber_add("filler", filler, NULL, s);
    fibers_run(50);
    reclaim_totals(&t);
    check(t.stolen[RECLAIM_BACKGROUND] > t.stolen[RECLAIM_DIRECT]);
    check(t.scanned[RECLAIM_BACKGROUND] >= t.stolen[RECLAIM_BACKGROUND]);
    end();
}

/* A cache that says each time that it gave a page: who needs one is told the truth all the same. */
static u64 gives_nothing(u64 pages) { return 1; }
static unsigned asked;
static enum oom_answer count_and_fail(u64 stored, bool again) {
    asked++;
    return OOM_FAILS;
}
test(reclaim_that_moves_but_finds_nothing_ends) {
    begin(0, 2048);
    reclaim_register(gives_nothing);
    vm_out_of_memory = count_and_fail;
    enum fault_outcome outcome = FAULT_DONE;
    for (u64 i = 0; i < 2048 && outcome == FAULT_DONE; i++)
        outcome = mem_write(s, (AT + i) << PAGE_SHIFT, i);
    check_eq(outcome, FAULT_NOMEM);
    check(asked > 0);
    vm_out_of_memory = NULL;
    end();
}

/* Whoever is asked learns what was stored since before reclaim looked, and at the last that waiting helps no more. */
#define ROUNDS_OF_HELP 16u
static u64 stores_one(u64 pages) {
    event(EVENT_OBJECT_WRITE_BACK, 0, 1);
    return 0;
}
static enum oom_answer help_for_a_while(u64 stored, bool again) {
    check(event_total(EVENT_OBJECT_WRITE_BACK) > stored);
    check_eq(again, asked == ROUNDS_OF_HELP);
    asked = again ? 0 : asked + 1; /* one allocation after another may fail */
    return again ? OOM_FAILS : OOM_AGAIN;
}
test(out_of_memory_waits_so_many_times) {
    begin(0, 2048);
    reclaim_register(stores_one);
    asked = 0;
    vm_out_of_memory = help_for_a_while;
    enum fault_outcome outcome = FAULT_DONE;
    for (u64 i = 0; i < 2048 && outcome == FAULT_DONE; i++)
        outcome = mem_write(s, (AT + i) << PAGE_SHIFT, i);
    check_eq(outcome, FAULT_NOMEM);
    check_eq(asked, 0);
    vm_out_of_memory = NULL;
    end();
}

/* Every other page a mapping, so that nothing joins them; where memory ends, so does mlockall: it asks once. */
#define APART 200u
static u64 map_apart(void) {
    for (u64 i = 0; i < APART; i++) {
        struct map_request r = {
            .address = (0x8000 + 2 * i) << PAGE_SHIFT, .bytes = PAGE_SIZE, .flags = RW, .how = MAP_AT};
        check_eq(space_map(s, &r), r.address);
    }
    struct space_resident has;
    space_resident(s, &has);
    return has.anon;
}
static u64 come_since(u64 before) {
    struct space_resident has;
    space_resident(s, &has);
    return has.anon - before;
}
test(fill_all_ends_where_memory_does) {
    begin(0, 2048);
    enum fault_outcome outcome = FAULT_DONE;
    (void)map_apart();
    vm_out_of_memory = count_and_fail;
    for (u64 i = 0; i < 2048 && outcome == FAULT_DONE; i++)
        outcome = mem_write(s, (AT + i) << PAGE_SHIFT, i);
    check_eq(outcome, FAULT_NOMEM);
    asked = 0;
    space_fill_all(s);
    check(asked > 0 && asked < APART / 4);
    vm_out_of_memory = NULL;
    end();
}

/* Who is to die makes no more pages present. */
test(fill_ends_with_who_asked) {
    begin(0, 100);
    u64 before = map_apart();
    host_dies_after = 10;
    check_eq(space_fill(s, AT << PAGE_SHIFT, 100 << PAGE_SHIFT), -EINTR);
    check_eq(come_since(before), 10);
    host_dies_after = 10;
    check_eq(space_populate(s, (AT + 50) << PAGE_SHIFT, 50 << PAGE_SHIFT, true), -EINTR);
    check_eq(come_since(before), 20);
    host_dies_after = 10;
    space_fill_all(s);
    check_eq(come_since(before), 30);
    host_dies_after = 0;
    space_fill_all(s);
    check_eq(come_since(before), 100 + APART);
    end();
}
