/* frame_test.c - the buddy, the CPUs' caches, the counts. */
#include "host.h"

#define BARE                                                                                                           \
    (struct host_config) { .bare = true }

static u64 in_class(enum frame_class class) {
    struct frame_totals t;
    frame_totals(&t);
    u64 sum = 0;
    for (unsigned i = 0; i < FRAME_CLASSES; i++)
        sum += t.frames[i];
    check_eq(sum, t.given);
    return t.frames[class];
}

test(frame_classes_add_up_to_what_was_given) {
    machine_start((struct host_config){.bytes = 16 * MiB,
                                       .bare = true,
                                       .hole = 5 * MiB,
                                       .hole_bytes = MiB,
                                       .reserved = 8 * MiB,
                                       .reserved_bytes = 64 * KiB});
    struct frame_totals t;
    frame_totals(&t);
    check_eq(t.given, 15 * MiB / PAGE_SIZE);
    check_eq(t.frames[FRAME_RESERVED], 16);
    u64 sum = 0, walked[FRAME_CLASSES] = {0};
    for (unsigned i = 0; i < FRAME_CLASSES; i++)
        sum += t.frames[i];
    check_eq(sum, t.given);
    for (u64 i = 0; i < frame_count; i++)
        if (!(frames[i].flags & FRAME_HOLE))
            walked[frames[i].class]++;
    for (unsigned i = 0; i < FRAME_CLASSES; i++)
        check_eq(walked[i], t.frames[i]);
    check_eq(frame_free_count(), t.frames[FRAME_FREE]);
}

test(frame_blocks_are_aligned_and_join_again) {
    machine_start(BARE);
    host_settle();
    u64 before = in_class(FRAME_FREE);
    struct frame *blocks[FRAME_ORDER_MOST + 1];
    for (unsigned order = 0; order <= FRAME_ORDER_MOST; order++) {
        blocks[order] = frame_alloc(order, FRAME_KERNEL, FRAME_ZEROED);
        check(blocks[order] != NULL);
        check_eq(frame_number(blocks[order]) & ((1 << order) - 1), 0);
        for (u64 i = 0; i < 1ULL << order; i++)
            check_eq(*(u64 *)frame_va(blocks[order] + i), 0);
    }
    check_eq(before - in_class(FRAME_FREE), 2047);
    for (unsigned order = 0; order <= FRAME_ORDER_MOST; order++)
        frame_free(blocks[order], order);
    host_settle();
    check_eq(in_class(FRAME_FREE), before);
    struct frame *largest = frame_alloc(FRAME_ORDER_MOST, FRAME_KERNEL, FRAME_ATOMIC);
    check(largest != NULL);
    frame_free(largest, FRAME_ORDER_MOST);
}

test(frame_exhaustion_ends_in_null_and_the_reserve_is_atomics) {
    machine_start(BARE);
    static struct frame *got[8192];
    u64 n = 0, reserve;
    while ((got[n] = frame_alloc(0, FRAME_ANON, 0)))
        n++;
    reserve = frame_free_count();
    check(reserve >= 8 && reserve <= 512);
    check(frame_alloc(3, FRAME_KERNEL, 0) == NULL);
    for (u64 i = 0; i < reserve; i++) {
        got[n] = frame_alloc(0, FRAME_TABLE, FRAME_ATOMIC);
        check(got[n++] != NULL);
    }
    check(frame_alloc(0, FRAME_TABLE, FRAME_ATOMIC) == NULL);
    check_eq(in_class(FRAME_FREE), 0);
    while (n)
        frame_free(got[--n], 0);
    check_eq(in_class(FRAME_ANON), 0);
}

test(frame_caches_of_other_cpus_are_taken_back) {
    machine_start((struct host_config){.cpus = 4, .bare = true});
    static struct frame *got[8192];
    u64 n = 0;
    for (unsigned c = 0; c < 4; c++) { /* every CPU has some in its cache */
        host_cpu(c);
        for (int i = 0; i < 40; i++)
            got[i] = frame_alloc(0, FRAME_ANON, 0);
        for (int i = 0; i < 40; i++)
            frame_free(got[i], 0);
    }
    host_cpu(0);
    while ((got[n] = frame_alloc(0, FRAME_ANON, 0)))
        n++;
    u64 reserve = frame_free_count();
    check(reserve <= 512);
    host_cpu(3);
    check(frame_alloc(0, FRAME_ANON, 0) == NULL);
    while (n)
        frame_free(got[--n], 0);
}

test(frame_counts_free_at_zero) {
    machine_start(BARE);
    u64 before = in_class(FRAME_FREE);
    struct frame *f = frame_alloc(0, FRAME_FILE, 0);
    frame_pin(f);
    frame_map(f);
    frame_map(f);
    check_eq(f->mapped, 2);
    check_eq(f->pins, 1);
    frame_unpin(f);
    frame_unmap(f);
    check_eq(f->class, FRAME_FILE);
    frame_unmap(f);
    check_eq(f->class, FRAME_FREE);
    check_eq(in_class(FRAME_FREE), before);
}

static void free_twice(void) {
    struct frame *f = frame_alloc(0, FRAME_KERNEL, 0);
    frame_free(f, 0);
    frame_free(f, 0);
}
static void free_with_another_order(void) { frame_free(frame_alloc(2, FRAME_KERNEL, 0), 1); }
static void free_while_mapped(void) {
    struct frame *f = frame_alloc(0, FRAME_ANON, 0);
    frame_map(f);
    frame_free(f, 0);
}
static void write_after_free(void) {
    struct frame *f = frame_alloc(0, FRAME_KERNEL, 0);
    u64 *words = frame_va(f);
    frame_free(f, 0);
    words[7] = 1;
    for (int i = 0; i < 200; i++)
        check(frame_alloc(0, FRAME_KERNEL, 0) != NULL);
}
test(frame_misuse_panics_with_values) {
    machine_start(BARE);
    check_panics("frame_free: frame", free_twice);
    check_panics("frame_free: frame", free_with_another_order);
    check_panics("counts 0x1", free_while_mapped);
    check_panics("written to while free: offset 0x38", write_after_free);
}

test(frame_nth_allocation_fails_when_told) {
    machine_start(BARE);
    alloc_fail_at(3);
    struct frame *a = frame_alloc(0, FRAME_KERNEL, 0), *b = frame_alloc(1, FRAME_KERNEL, FRAME_ATOMIC);
    check(a && b);
    check(kmalloc(100) == NULL);
    void *p = kmalloc(100);
    check(p != NULL);
    kfree(p);
    frame_free(a, 0);
    frame_free(b, 1);
}

/* Several CPUs take and give blocks; each block is marked by its owner, so that one given out twice shows. */
static void frame_worker(void *argument) {
    u64 me = (u64)argument;
    struct frame *mine[40] = {0};
    unsigned orders[40] = {0};
    for (unsigned i = 0; i < 400; i++) {
        unsigned k = (unsigned)rnd_below(40);
        if (!mine[k]) {
            orders[k] = one_in(4) ? (unsigned)rnd_below(5) : 0;
            mine[k] = frame_alloc(orders[k], FRAME_ANON, 0);
            for (u64 p = 0; mine[k] && p < 1ULL << orders[k]; p++)
                *(u64 *)frame_va(mine[k] + p) = me << 32 | k;
            continue;
        }
        for (u64 p = 0; p < 1ULL << orders[k]; p++) {
            check_eq(*(u64 *)frame_va(mine[k] + p), me << 32 | k);
            check_eq(mine[k][p].class, FRAME_ANON);
        }
        frame_free(mine[k], orders[k]);
        mine[k] = NULL;
    }
    for (unsigned k = 0; k < 40; k++)
        if (mine[k])
            frame_free(mine[k], orders[k]);
}
test_seeds(frame_cpus_do_not_share_a_block, 10) {
    machine_start((struct host_config){.cpus = 3, .bytes = 2 * MiB, .bare = true});
    host_settle();
    struct host_count before = host_count();
    for (u64 i = 1; i <= 4; i++)
        fiber_add("worker", frame_worker, (void *)i, NULL);
    fibers_run(5);
    check_no_leak(before);
}
