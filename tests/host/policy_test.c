/* policy_test.c - every replacement policy, with the real mechanism behind it: nothing is lost, what is locked stays,
 * reclaim ends; and those that are there to resist loops and scans do. */
#include "host.h"
#include "vm/inner.h"
#include "vm/policy.h"
#include "vm/roster.h"
#include "vm/swap.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)
#define ROOM 400 /* about so many pages of the machine's 512 can be a program's */

static struct space *s;

static void begin(const struct policy *p, u64 swap) {
    machine_start((struct host_config){.cpus = 2, .bytes = 2 * MiB, .swap = swap});
    check_eq(vm_policy_choose(p->name), 0);
    s = space_create(false);
    check(s);
    space_load(s);
}

static void end(void) {
    struct swap_totals t;
    host_check();
    space_load(NULL);
    space_put(s);
    host_settle();
    swap_totals(&t);
    check_eq(t.used, 0);
    host_check();
}

static void map_and_fill(u64 page, u64 pages) {
    struct map_request r = {.address = page << PAGE_SHIFT, .bytes = pages << PAGE_SHIFT, .flags = RW, .how = MAP_AT};
    check_eq(space_map(s, &r), r.address);
    for (u64 i = page; i < page + pages; i++)
        check_eq(mem_write(s, i << PAGE_SHIFT, i + 1), FAULT_DONE);
}
static void expect(u64 page) {
    u64 got = 0;
    check_eq(mem_read(s, page << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, page + 1);
}

static const struct policy *policy_of_seed(void) {
    unsigned count = 0;
    while (policies[count])
        count++;
    return policies[test_seed % count];
}
#define SEEDS 12 /* each policy with and without poisoned frames */

/* Pages that come, change, are forked and go, in an order that the seed says; the policy changes meanwhile. */
test_seeds(policy_loses_nothing, SEEDS) {
    begin(policy_of_seed(), 4096);
    map_and_fill(AT, 700);
    for (unsigned round = 0; round < 6; round++) {
        u64 first = AT + rnd_below(290);
        for (u64 i = 0; i < 400; i++)
            expect(first + (round % 2 ? i : rnd_below(400)));
        struct space *child = space_fork(s);
        check(!is_err(child));
        check_eq(mem_write(s, (first + 1) << PAGE_SHIFT, first + 2), FAULT_DONE);
        space_put(child);
        check_eq(mem_discard(s, (AT + 690) << PAGE_SHIFT, 10 << PAGE_SHIFT), 0);
        host_check();
        if (round == 3)
            check_eq(vm_policy_choose(policies[rnd_below(2)]->name), 0);
    }
    end();
}

/* What MADV_COLD names goes before the rest, though it came last. The clock goes by numbers. */
test_seeds(policy_cold_goes_first, SEEDS) {
    const struct policy *p = policy_of_seed();
    struct space_usage u;
    begin(p, 4096);
    map_and_fill(AT, 600);
    for (u64 i = 0; i < 300; i++)
        expect(AT + 300 + i);
    u64 first = AT + 540, end_of = AT + 600;
    space_usage(s, first << PAGE_SHIFT, end_of << PAGE_SHIFT, &u);
    u64 out = u.swap;
    space_pages_cold(s, first, end_of);
    vm_reclaim(32);
    space_usage(s, first << PAGE_SHIFT, end_of << PAGE_SHIFT, &u);
    check(p == &policy_clock || u.swap - out >= 24);
    for (u64 i = 0; i < 600; i++)
        expect(AT + i);
    end();
}

test_seeds(policy_leaves_what_is_locked, SEEDS) {
    begin(policy_of_seed(), 2048);
    map_and_fill(AT, 100);
    check_eq(space_change(s, AT << PAGE_SHIFT, 100 << PAGE_SHIFT, VIEW_LOCKED, 0), 0);
    map_and_fill(AT + 200, 600);
    for (u64 i = 0; i < 600; i++)
        expect(AT + 200 + i);
    struct space_usage u;
    space_usage(s, AT << PAGE_SHIFT, (AT + 100) << PAGE_SHIFT, &u);
    check_eq(u.swap, 0);
    end();
}

/* Nothing can go: that must be said, and not only after ever. */
test_seeds(policy_ends_when_nothing_can_go, SEEDS) {
    begin(policy_of_seed(), 2048);
    map_and_fill(AT, 200);
    check_eq(space_change(s, AT << PAGE_SHIFT, 200 << PAGE_SHIFT, VIEW_LOCKED, 0), 0);
    for (unsigned i = 0; i < 8; i++)
        check(vm_reclaim(32) < 32); /* of slabs there may be something */
    for (u64 i = 0; i < 200; i++)
        expect(AT + i);
    end();
}

static bool resists(const struct policy *p) { return p == &policy_lirs; }

/* A loop over a quarter more than fits: a policy that sends what was not used for longest reads every page again. */
test_seeds(policy_in_a_loop, SEEDS) {
    const struct policy *p = policy_of_seed();
    begin(p, 4096);
    u64 pages = frame_free_count() * 5 / 4, rounds = 10;
    map_and_fill(AT, pages);
    for (u64 i = 0; i < 2 * pages; i++) /* to settle */
        expect(AT + i % pages);
    unsigned before = host_swap.reads;
    for (u64 i = 0; i < rounds * pages; i++)
        expect(AT + i % pages);
    u64 read = host_swap.reads - before;
    if (resists(p))
        check(read < rounds * pages / 2);
    end();
}

/* Pages that are used all the time beside a scan of many that are used once: few of the former are read again. */
test_seeds(policy_beside_a_scan, SEEDS) {
    const struct policy *p = policy_of_seed();
    begin(p, 4096);
    u64 hot = frame_free_count() / 4, scanned = 3 * frame_free_count(), again = 0, uses = 6000;
    map_and_fill(AT, hot);
    map_and_fill(AT + 0x1000, scanned);
    for (u64 i = 0; i < 2 * uses; i++) {
        unsigned before = host_swap.reads;
        expect(AT + rnd_below(hot));
        again += i >= uses && host_swap.reads > before;
        expect(AT + 0x1000 + i % scanned);
    }
    if (resists(p))
        check(again < uses / 20);
    end();
}
