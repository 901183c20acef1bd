/* explore_swap_test.c - scenarios with a swap area: each pair of docs/locks.md in which a page goes there or comes
 * back.
 *
 * A page goes by space_pages_out, which takes the same way as the clock's hand from examine() on but meets nothing
 * else; the hand itself comes by where a frame is mapped more than once, which the former leaves alone. */
#include "scenario.h"
#include "vm/swap.h"

#define SWAP .swap = 16

/* ---- set-ups: as in scenario.h, and pages 0 and 1 are in the swap area */

/* Not used since the hand came by: the next time it takes page 0 or 1. */
static void two_cold_apart(void) {
    one_cold();
    C = fork_of(P);
    part(P, 2);
    space_load(NULL);
}

/* ---- threads */

thread(g_outs) { space_pages_out(G, PAGE, PAGE + 1); }
thread(b_reclaims) { vm_reclaim(2); }
thread(b_reads_0) { check_eq(get(P, 0), 1); }
thread(b_reads_1) { check_eq(get(P, 1), 1); }
thread(a_writes_twice) {
    must_put(P, 0, 0x1a);
    check_eq(get(P, 0), 0x1a);
    must_put(P, 0, 0xa);
    check_eq(get(P, 0), 0xa);
}
thread(b_looks_0) {
    u64 v = get(P, 0), w = get(P, 0);
    check(v == 1 || v == 0xa);
    check(w == v || w == 0xa);
}

/* ---- what must hold */

static void a_and_1_after(void) {
    check_eq(look(P, 0), 0xa);
    check_eq(look(C, 0), 1);
}
static void only_read_after(void) {
    check_eq(look_outcome(P, 0, FAULT_WRITE), FAULT_ACCERR);
    check_eq(look(P, 0), 1);
}
static void emptied_after(void) {
    check_eq(look(P, 0), 0);
    check_eq(look(P, 1), 0);
    check(!C || look(C, 0) == 1);
}

/* ---- going out */

scenario(out_read, "reclaim × fault of a withdrawn page", .setup = one, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b pages out", b_outs_both, -1}});
scenario(out_read_shared, "reclaim × fault of a withdrawn page", .setup = two, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"c reads 0", c_reads_0, 1}, {"b pages out", b_outs, -1}});
scenario(out_write, "reclaim × write to a withdrawn page", .setup = one, .after = a_after, SWAP,
         .thread = {{"a writes 0 twice", a_writes_twice, 0}, {"b pages out", b_outs, -1}});
scenario(out_write_cached, "reclaim × write to a withdrawn page", .setup = one_cached, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages out", b_outs, -1}});
scenario(out_write_seen, "reclaim × write to a withdrawn page", .setup = one, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b looks at 0", b_looks_0, 0}, {"c pages out", b_outs, -1}});
scenario(out_fork, "reclaim × fork", .setup = one, SWAP,
         .thread = {{"b forks, reads", b_becomes_child, 0}, {"c pages out", b_outs, -1}});
scenario(out_fork_child, "reclaim × fork", .setup = one, .after = one_after, SWAP,
         .thread = {{"b forks, child writes 0", b_child_writes, 0}, {"c pages out", b_outs, -1}});
scenario(out_fork_write, "reclaim × fork", .setup = one, .after = a_after, SWAP,
         .thread = {
             {"a writes 0", a_writes_0, 0}, {"b forks, reads", b_becomes_child, 0}, {"c pages out", b_outs, -1}});
scenario(out_break, "reclaim × break", .setup = two, .after = c_after, SWAP,
         .thread = {{"c writes 0", c_writes_0, 1}, {"b pages out", b_outs, -1}});
scenario(out_break_beside, "reclaim × break", .setup = two, SWAP,
         .thread = {{"b writes 1", b_writes_1, 0}, {"c reads 0", c_reads_0, 1}, {"g pages out", b_outs, -1}});
scenario(out_break_three, "reclaim × break", .setup = three, .after = a_and_c_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}, {"g pages out", g_outs, -1}});
scenario(out_exit, "reclaim × exit", .setup = two, .after = one_after, SWAP,
         .thread = {{"c exits", c_exits, -1}, {"b pages out", b_outs_both, -1}});
scenario(out_exit_three, "reclaim × exit", .setup = three, .after = one_after, SWAP,
         .thread = {{"c exits", c_exits, -1}, {"g exits", g_exits, -1}, {"b pages out", b_outs, -1}});
scenario(out_exit_last, "reclaim × free of the frame", .setup = one_cold, SWAP,
         .thread = {{"a exits", a_exits, -1}, {"b reclaims", b_reclaims, -1}});
scenario(out_unmap, "reclaim × unmap", .setup = one, .after = unmapped_after, SWAP,
         .thread = {{"a unmaps 0", b_unmaps_0, 0}, {"b pages out", b_outs_both, -1}});
scenario(out_unmap_all, "reclaim × free of the frame", .setup = one, .after = unmapped_after, SWAP,
         .thread = {{"a unmaps all", b_unmaps_all, 0}, {"b pages out", b_outs_both, -1}});
scenario(out_protect, "reclaim × protect", .setup = one, .after = protected_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b protects 0", b_protects_0, 0}, {"c pages out", b_outs, -1}});
scenario(out_forbid, "reclaim × protect", .setup = one, .after = forbidden_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b forbids 0", b_forbids_0, 0}, {"c pages out", b_outs, -1}});
scenario(out_discard, "reclaim × discard", .setup = one, .after = emptied_after, SWAP,
         .thread = {{"b discards", b_discards, 0}, {"c pages out", b_outs_both, -1}});
scenario(out_discard_write, "reclaim × discard", .setup = one, .after = discarded_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b discards", b_discards, 0}, {"c pages out", b_outs, -1}});
scenario(out_move, "reclaim × mremap", .setup = one, .after = moved_only_after, SWAP,
         .thread = {{"b moves", b_moves, 0}, {"c pages out", b_outs_both, -1}});
scenario(out_move_write, "reclaim × mremap", .setup = one, .after = moved_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b moves", b_moves, 0}, {"c pages out", b_outs, -1}});
scenario(out_move_shared, "reclaim × mremap", .setup = two, .after = moved_c_after, SWAP,
         .thread = {{"b moves", b_moves, 0}, {"c writes 0", c_writes_0, 1}, {"g pages out", b_outs, -1}});
scenario(out_out, "reclaim × reclaim", .setup = one, .after = one_after, SWAP,
         .thread = {{"a pages out", b_outs_both, -1}, {"b pages out", b_outs_both, -1}});

/* Each of two leaves maps the frame: the hand takes it from both. */
scenario(hand_read, "reclaim × fault of a withdrawn page", .setup = two_cold_apart, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b reclaims", b_reclaims, -1}});
scenario(hand_write, "reclaim × write to a withdrawn page", .setup = two_cold_apart, .after = a_and_1_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b reclaims", b_reclaims, -1}});
scenario(hand_exit, "reclaim × exit", .setup = two_cold_apart, .after = one_after, SWAP,
         .thread = {{"c exits", c_exits, -1}, {"b reclaims", b_reclaims, -1}});
scenario(hand_fork, "reclaim × fork", .setup = two_cold_apart, SWAP,
         .thread = {{"b forks, reads", b_becomes_child, 0}, {"c reclaims", b_reclaims, -1}});
scenario(hand_move, "reclaim × mremap", .setup = two_cold_apart, .after = moved_only_after, SWAP,
         .thread = {{"b moves", b_moves, 0}, {"c reclaims", b_reclaims, -1}});

/* ---- coming back */

scenario(in_in, "swap-in × swap-in", .setup = one_out, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b reads 0", b_reads_0, 0}});
scenario(in_in_beside, "swap-in × swap-in", .setup = one_out, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b reads 1", b_reads_1, 0}});
scenario(in_in_write, "swap-in × swap-in", .setup = one_out, .after = a_and_b_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 1", b_writes_1, 0}});
scenario(in_in_apart, "swap-in × swap-in", .setup = two_out_apart, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"c reads 0", c_reads_0, 1}});
scenario(in_write_apart, "swap-in × swap-in", .setup = two_out_apart, .after = a_and_c_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}});
scenario(in_three, "swap-in × swap-in", .setup = three_out, .after = three_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}, {"g writes 0", g_writes_0, 2}});
scenario(in_three_apart, "swap-in × swap-in", .setup = three_out_apart, .after = a_and_1_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c reads 0", c_reads_0, 1}, {"g reads 0", g_reads_0, 2}});
scenario(in_break, "swap-in × break", .setup = two_out, .after = a_and_1_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c reads 0", c_reads_0, 1}});
scenario(in_cached, "swap-in × break", .setup = two_cached_apart, .after = a_and_1_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c reads 0", c_reads_0, 1}});
scenario(in_out, "swap-in × reclaim", .setup = one_out, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b pages out", b_outs_both, -1}});
scenario(in_out_apart, "swap-in × reclaim", .setup = two_cached_apart, .after = one_after, SWAP,
         .thread = {{"c reads 0", c_reads_0, 1}, {"b pages out", b_outs, -1}});
scenario(in_fork, "swap-in × fork", .setup = one_out, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b forks, reads", b_becomes_child, 0}});
scenario(in_unmap, "swap-in × last unmap", .setup = one_out, .after = unmapped_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b unmaps 0", b_unmaps_0, 0}});
scenario(in_unmap_all, "swap-in × last unmap", .setup = one_out, .after = unmapped_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b unmaps all", b_unmaps_all, 0}});
scenario(in_discard, "swap-in × discard", .setup = one_out, .after = discarded_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b discards", b_discards, 0}});
scenario(in_protect, "swap-in × protect", .setup = one_out, .after = protected_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b protects 0", b_protects_0, 0}});
scenario(in_read_protect, "swap-in × protect", .setup = one_out, .after = only_read_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b protects 0", b_protects_0, 0}});
scenario(in_exit, "swap-in × exit", .setup = two_out_apart, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"c exits", c_exits, -1}});
scenario(in_exit_shared, "swap-in × exit", .setup = two_out, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c exits", c_exits, -1}});
scenario(in_move, "swap-in × mremap", .setup = one_out, .after = moved_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b moves", b_moves, 0}});
scenario(in_move_sharer, "swap-in × mremap", .setup = two_out_apart, .after = moved_c_after, SWAP,
         .thread = {{"b moves", b_moves, 0}, {"c writes 0", c_writes_0, 1}});
scenario(in_move_cached, "swap-in × mremap", .setup = two_cached_apart, .after = moved_c_after, SWAP,
         .thread = {{"b moves", b_moves, 0}, {"c writes 0", c_writes_0, 1}});

/* What moves as its swap entry is freed, and another CPU has it in its TLB. */
static void one_cached_seen(void) {
    one_cached();
    seen_by(1);
}
scenario(move_cached_seen, "swap-in × mremap", .setup = one_cached_seen, .after = moved_only_after, SWAP,
         .thread = {{"b moves", b_moves, 0}, {"a reads 0", a_looks_0, 0}});

/* ---- private copies of a file's pages */

#define F (&files[0]->object)
static void private_copy(void) {
    P = space_create(false);
    map(P, 0, 2, RW | VIEW_RANDOM, files[0]);
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
    space_load(NULL);
}
static void private_copy_out(void) {
    private_copy();
    space_pages_out(P, PAGE, PAGE + 2);
    explore_ready();
}
thread(b_cuts) { host_file_resize(files[0], PAGE_SIZE); }
thread(b_outs_1) { space_pages_out(P, PAGE + 1, PAGE + 2); }
thread(a_reads_file) {
    u64 v = 1;
    enum fault_outcome got = try_get(P, 1, &v);
    check(got == FAULT_BUS_ADRERR || (got == FAULT_DONE && v == 1));
}
static void cut_after(void) {
    check_eq(look_outcome(P, 1, FAULT_READ), FAULT_BUS_ADRERR);
    check_eq(look(P, 0), 1);
}
scenario(out_truncate, "reclaim × truncate", .setup = private_copy, .after = cut_after, SWAP,
         .thread = {{"b cuts", b_cuts, -1}, {"c pages out", b_outs_1, -1}});
scenario(in_truncate, "swap-in × truncate", .setup = private_copy_out, .after = cut_after, SWAP,
         .thread = {{"a reads 1", a_reads_file, 0}, {"b cuts", b_cuts, -1}});

/* ---- what MADV_FREE gave up: what was written before may be lost, what is written after may not */

static void one_lazy(void) {
    one();
    space_pages_free(P, PAGE, PAGE + 1);
    space_load(NULL);
    explore_ready();
}
thread(b_frees) { space_pages_free(P, PAGE, PAGE + 1); }
thread(b_frees_writes) {
    space_pages_free(P, PAGE, PAGE + 1);
    must_put(P, 0, 0xb);
    check_eq(get(P, 0), 0xb);
}
thread(a_sees_lazy) {
    u64 v = get(P, 0), w = get(P, 0);
    check(v == 1 || v == 0);
    check(w == v || w == 0);
}
static void b_after(void) { check_eq(look(P, 0), 0xb); }
static void a_or_none_after(void) {
    u64 v = look(P, 0);
    check(v == 0xa || v == 0);
}
static void none_or_one_after(void) {
    u64 v = look(P, 0);
    check(v == 1 || v == 0);
}
scenario(lazy_write, "MADV_FREE × write", .setup = one_lazy, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages out", b_outs, -1}});
scenario(lazy_free_write, "MADV_FREE × write", .setup = one, .after = b_after, SWAP,
         .thread = {{"b frees, writes 0", b_frees_writes, 0}, {"c pages out", b_outs, -1}});
scenario(lazy_write_free, "MADV_FREE × write", .setup = one, .after = a_or_none_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b frees", b_frees, 0}, {"c pages out", b_outs, -1}});
scenario(lazy_read, "MADV_FREE × fault", .setup = one_lazy, .after = none_or_one_after, SWAP,
         .thread = {{"a reads 0", a_sees_lazy, 0}, {"b pages out", b_outs, -1}});
/* Page 1, not used since, goes with page 0, unless it is written. */
static void two_lazy(void) {
    one();
    use(P);
    must_put(P, 1, 1);
    space_pages_free(P, PAGE, PAGE + 2);
    space_pages_cold(P, PAGE + 1, PAGE + 2);
    space_load(NULL);
    explore_ready();
}
thread(a_writes_next) { must_put(P, 1, 0xa); }
thread(a_writes_reads_next) {
    must_put(P, 1, 0xa);
    check_eq(get(P, 1), 0xa);
}
static void next_after(void) { check_eq(look(P, 1), 0xa); }
scenario(lazy_row_write, "MADV_FREE × write", .setup = two_lazy, .after = next_after, SWAP,
         .thread = {{"a writes 1", a_writes_reads_next, 0}, {"b pages 0 out", b_outs, -1}});
scenario(lazy_row_writes, "MADV_FREE × write", .setup = two_lazy, .after = next_after, SWAP,
         .thread = {{"a writes 1", a_writes_next, 0}, {"b writes 1", a_writes_next, 0}, {"c pages 0 out", b_outs, -1}});
static void lazy_child_after(void) {
    u64 v = look(P, 0), w = look(spaces[NEW], 0);
    check((v == 1 || v == 0) && (w == 1 || w == 0));
}
scenario(lazy_fork, "MADV_FREE × fork", .setup = one_lazy, .after = lazy_child_after, SWAP,
         .thread = {{"a forks", b_forks, 0}, {"b pages out", b_outs, -1}});
scenario(lazy_unmap, "MADV_FREE × unmap", .setup = one_lazy, .after = unmapped_after, SWAP,
         .thread = {{"a unmaps 0", b_unmaps_0, 0}, {"b pages out", b_outs, -1}});
scenario(lazy_cached, "MADV_FREE × reclaim", .setup = one_cached, .after = b_after, SWAP,
         .thread = {{"b frees, writes 0", b_frees_writes, 0}, {"c pages out", b_outs, -1}});

/* A CPU has the page in its TLB; what others have done to it when it is told, it must see. */
static void lazy_seen(void) {
    one_lazy();
    seen_by(1);
}
thread(a_writes_says) {
    must_put(P, 0, 0xa);
    say();
}
thread(a_discards_says) {
    b_discards(argument);
    say();
}
thread(b_told_0xa) {
    bool sees = told();
    check(get(P, 0) == 0xa || !sees);
}
thread(b_told_0) {
    bool sees = told();
    check(get(P, 0) == 0 || !sees);
}
scenario(lazy_told_write, "MADV_FREE × write", .setup = lazy_seen, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_says, 0}, {"b reads 0", b_told_0xa, 0}, {"c pages out", b_outs, -1}});
scenario(lazy_told_discard, "MADV_FREE × discard", .setup = lazy_seen, SWAP,
         .thread = {{"a discards", a_discards_says, 0}, {"b reads 0", b_told_0, 0}, {"c pages out", b_outs, -1}});
scenario(lazy_told_unmap, "MADV_FREE × unmap", .setup = lazy_seen, .after = unmapped_after, SWAP,
         .thread = {{"a unmaps 0", a_unmaps_says, 0}, {"b reads 0", b_told_unmapped, 0}, {"c pages out", b_outs, -1}});

/* P has moved its page: whoever of P and C comes second to the frame copies it. P's CPU 1 has it in its TLB from when P
 * came first. */
static void moved_cached(void) {
    two_out_apart();
    use(P);
    b_moves(NULL);
    check_eq(get(P, 8), 1);
    host_cpu(1);
    space_load(P);
    check_eq(get(P, 8), 1);
    host_cpu(0);
    space_load(NULL);
}
thread(c_first_then_p) {
    fiber_use(C);
    check_eq(get(C, 0), 1);
    fiber_use(P);
    must_put(P, 8, 0xa);
    say();
}
thread(b_told_8) {
    bool sees = told();
    check(get(P, 8) == 0xa || !sees);
}
thread(d_outs_8) { space_pages_out(P, PAGE + 8, PAGE + 9); }
static void copied_after(void) {
    check_eq(look(P, 8), 0xa);
    check_eq(look(C, 0), 1);
}
scenario(in_copy_seen, "swap-in × mremap", .setup = moved_cached, .after = copied_after, SWAP,
         .thread = {
             {"c reads 0, a writes 8", c_first_then_p, -1}, {"b reads 8", b_told_8, 0}, {"d pages out", d_outs_8, -1}});
