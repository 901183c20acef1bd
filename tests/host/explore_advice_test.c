/* explore_advice_test.c - scenarios in which memory is asked to become something else where it is: a leaf becomes one
 * block (collapse.c), a frame is taken out of use (offline.c), what was not written since counts as clean
 * (space_clean); and in which it is only asked who sees it (seen.c). */
#include "scenario.h"

#include "fiber.h"
#include "vm/swap.h"

#define SWAP .swap = 16, .share = 2

/* ---- MADV_COLLAPSE: pages 0 and 1 hold 1, in a leaf of 512 small ones; there is one block of 2 MiB */

#define LARGE LEAF_BYTES, .swap = 16, .share = 16

static void leaf_in_tlbs(void) {
    leaf();
    seen_by(0);
    seen_by(1);
    space_load(NULL);
}
static void leaf_two(void) {
    leaf();
    C = fork_of(P);
}
static void leaf_apart(void) {
    leaf_two();
    part(P, 2);
    space_load(NULL);
}
static void leaf_three(void) {
    leaf_two();
    one_more();
}
static void leaf_three_apart(void) {
    leaf_three();
    part(P, 2);
    space_load(NULL);
}
static void leaf_after_exit(void) {
    leaf_two();
    ends(&C);
}
static void leaf_out_two(void) {
    leaf_out();
    C = fork_of(P);
}
static void leaf_cached(void) { /* in memory, in the cache, and what C names */
    leaf_out_two();
    part(P, 2);
    check_eq(get(P, 0), 1);
    space_load(NULL);
}
static void leaf_cold(void) {
    leaf();
    space_load(NULL);
    space_pages_cold(P, PAGE, PAGE + 4);
}

thread(c_collapses) { (void)collapse(C); }
thread(b_unmaps_block) { check_eq(space_unmap(P, at(0), TABLE_SLOTS << PAGE_SHIFT), 0); }
thread(b_unmaps_1) { check_eq(space_unmap(P, at(1), PAGE_SIZE), 0); }
thread(b_protects_part) { check_eq(space_protect(P, at(0), 2 << PAGE_SHIFT, VIEW_READ), 0); }
thread(b_moves_elsewhere) {
    u64 to = at(ELSEWHERE + 4), bytes = 2 << PAGE_SHIFT;
    check_eq(space_remap(P, at(0), bytes, bytes, REMAP_MAY_MOVE | REMAP_FIXED, to), to);
}
thread(b_reclaims) { vm_reclaim(2); }
thread(b_cools) { space_pages_cold(P, PAGE, PAGE + 1); }
thread(a_reads_remotely) {
    u64 v = 0;
    check_eq(space_copy(P, at(0), &v, sizeof(v), false, false), sizeof(v));
    check_eq(v, 1);
}
thread(a_writes_remotely) {
    u64 v = 0xa;
    check_eq(space_copy(P, at(0), &v, sizeof(v), true, false), sizeof(v));
}
thread(a_walks) {
    struct space_usage u;
    space_usage(P, at(0), at(TABLE_SLOTS), &u);
    check(u.anon + u.swap == 2 || u.anon == TABLE_SLOTS);
}

static void in_one_block(void) {
    struct space_usage u;
    check_eq(collapsed, 0);
    space_usage(P, at(0), at(TABLE_SLOTS), &u);
    check_eq(u.large, TABLE_SLOTS);
}
static void collapsed_after(void) {
    in_one_block();
    one_after();
}
static void collapsed_a_after(void) {
    in_one_block();
    a_after();
    check(!C || look(C, 0) == 1);
}
static void collapsed_three_after(void) {
    in_one_block();
    check_eq(look(P, 0), 0xa);
    check_eq(look(C, 0), 0xc);
    check_eq(look(G, 0), 0x9);
}
static void c_and_g_after(void) {
    c_after();
    check_eq(look(G, 0), 0x9);
}
static void unmapped_1_after(void) {
    check_eq(look_outcome(P, 1, FAULT_READ), FAULT_MAPERR);
    check_eq(look(P, 0), 1);
}
static void gone_elsewhere_after(void) {
    unmapped_after();
    check_eq(look(P, ELSEWHERE + 4), a_got == FAULT_DONE ? 0xa : 1);
    check_eq(look(P, ELSEWHERE + 5), 1);
}

#define COLLAPSES                                                                                                      \
    { "z collapses", b_collapses, 0 }
scenario(collapse_read, "collapse × fault", .setup = leaf_in_tlbs, .after = collapsed_after, LARGE,
         .thread = {{"a reads 0", a_reads_0, 0}, COLLAPSES});
scenario(collapse_write, "collapse × fault", .setup = leaf_in_tlbs, .after = collapsed_a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, COLLAPSES});
scenario(collapse_take, "collapse × fault", .setup = leaf_after_exit, .after = collapsed_a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, COLLAPSES});
scenario(collapse_write_apart, "collapse × fault", .setup = leaf_apart, .after = collapsed_a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, COLLAPSES});
scenario(collapse_fork, "collapse × fork", .setup = leaf_in_tlbs, .after = one_after, LARGE,
         .thread = {{"b forks, reads", b_becomes_child, 0}, COLLAPSES});
scenario(collapse_fork_child, "collapse × fork", .setup = leaf, .after = one_after, LARGE,
         .thread = {{"b forks, child writes 0", b_child_writes, 0}, COLLAPSES});
/* What is shared has no page that may be written: that is refused, as Linux does, once the path is ours. */
scenario(collapse_break, "collapse × break", .setup = leaf_two, .after = c_after, LARGE,
         .thread = {{"c writes 0", c_writes_0, 1}, COLLAPSES});
scenario(collapse_break_three, "collapse × break", .setup = leaf_three, .after = c_and_g_after, LARGE,
         .thread = {{"c writes 0", c_writes_0, 1}, {"g writes 0", g_writes_0, 2}, COLLAPSES});
scenario(collapse_three, "collapse × break", .setup = leaf_three_apart, .after = collapsed_three_after, LARGE,
         .thread = {
             {"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}, {"g writes 0", g_writes_0, 2}, COLLAPSES});
scenario(collapse_collapse, "collapse × break", .setup = leaf_two, .after = one_after, LARGE,
         .thread = {{"c collapses", c_collapses, 1}, COLLAPSES});
scenario(collapse_exit, "collapse × exit", .setup = leaf_apart, .after = collapsed_after, LARGE,
         .thread = {{"c exits", c_exits, -1}, COLLAPSES});
scenario(collapse_exit_sharer, "collapse × exit", .setup = leaf_three, .after = one_after, LARGE,
         .thread = {{"c exits", c_exits, -1}, {"g exits", g_exits, -1}, COLLAPSES});
scenario(collapse_unmap, "collapse × unmap", .setup = leaf, .after = unmapped_1_after, LARGE,
         .thread = {{"b unmaps 1", b_unmaps_1, 0}, COLLAPSES});
scenario(collapse_unmap_all, "collapse × unmap", .setup = leaf, .after = unmapped_after, LARGE,
         .thread = {{"b unmaps all", b_unmaps_block, 0}, COLLAPSES});
scenario(collapse_protect, "collapse × protect", .setup = leaf, .after = protected_after, LARGE,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b protects a part", b_protects_part, 0}, COLLAPSES});
scenario(collapse_discard, "collapse × discard", .setup = leaf, .after = discarded_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b discards", b_discards, 0}, COLLAPSES});
scenario(collapse_move, "collapse × mremap", .setup = leaf, .after = gone_elsewhere_after, LARGE,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b moves", b_moves_elsewhere, 0}, COLLAPSES});
scenario(collapse_copy, "collapse × copy", .setup = leaf, .after = collapsed_after, LARGE,
         .thread = {{"a reads remotely", a_reads_remotely, -1}, COLLAPSES});
scenario(collapse_copy_in, "collapse × copy", .setup = leaf, .after = collapsed_a_after, LARGE,
         .thread = {{"a writes remotely", a_writes_remotely, -1}, COLLAPSES});
scenario(collapse_walk, "collapse × walk", .setup = leaf, .after = collapsed_after, LARGE,
         .thread = {{"a walks", a_walks, -1}, COLLAPSES});
scenario(collapse_out, "collapse × reclaim", .setup = leaf_in_tlbs, .after = one_after, LARGE,
         .thread = {{"b pages out", b_outs_both, -1}, COLLAPSES});
scenario(collapse_out_write, "collapse × reclaim", .setup = leaf_in_tlbs, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages out", b_outs, -1}, COLLAPSES});
scenario(collapse_hand, "collapse × reclaim", .setup = leaf_cold, .after = one_after, LARGE,
         .thread = {{"b reclaims", b_reclaims, -1}, COLLAPSES});
scenario(collapse_in, "collapse × swap-in", .setup = leaf_out, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, COLLAPSES});
scenario(collapse_in_sharer, "collapse × swap-in", .setup = leaf_out_two, .after = c_after, LARGE,
         .thread = {{"c writes 0", c_writes_0, 1}, COLLAPSES});
scenario(collapse_cached, "collapse × swap-in", .setup = leaf_cached, .after = c_after, LARGE,
         .thread = {{"c writes 0", c_writes_0, 1}, COLLAPSES});

/* ---- frames taken out of use: that of P's page 0, if it is in memory: its contents move, or are lost */

#define MOVES                                                                                                          \
    { "z takes the frame", b_takes_frame, -1 }
#define POISONS                                                                                                        \
    { "z poisons the frame", b_poisons, -1 }

/* `value`; or it was lost: but what had been copied, or is in the swap area, was not. */
static void expect(struct space *s, u64 page, u64 value) {
    u64 v = value;
    host_cpu(3);
    space_load(s);
    enum fault_outcome got = try_get(s, page, &v);
    check(v == value && (got == FAULT_DONE || (got == FAULT_POISON && poisoned)));
}
/* What each of them wrote, if he did. */
static enum fault_outcome c_got = FAULT_MAPERR, g_got = FAULT_MAPERR;
thread(c_tries_0) { c_got = put(C, 0, 0xc); }
thread(g_tries_0) { g_got = put(G, 0, 0x9); }
static void taken_after(void) {
    expect(P, 0, a_got == FAULT_DONE ? 0xa : 1);
    check_eq(look(P, 1), 1);
    if (C)
        expect(C, 0, c_got == FAULT_DONE ? 0xc : 1);
    if (G)
        expect(G, 0, g_got == FAULT_DONE ? 0x9 : 1);
}
static void taken_unwritten_after(void) {
    a_got = FAULT_MAPERR;
    taken_after();
}
static void taken_forbidden_after(void) {
    u64 v = 1;
    enum fault_outcome got = try_get(P, 0, &v);
    check(got == FAULT_ACCERR);
}
static void taken_discarded_after(void) {
    u64 v = 0;
    host_cpu(3);
    space_load(P);
    enum fault_outcome got = try_get(P, 0, &v);
    check(v == 0 || (v == 0xa && a_got == FAULT_DONE));
    check(got == FAULT_DONE || (got == FAULT_POISON && poisoned));
}
static void taken_moved_after(void) {
    unmapped_after();
    expect(P, 8, a_got == FAULT_DONE ? 0xa : 1);
    check_eq(look(P, 9), 1);
}
static void taken_only_moved_after(void) {
    a_got = FAULT_MAPERR;
    taken_moved_after();
    expect(C, 0, c_got == FAULT_DONE ? 0xc : 1);
}
thread(a_may_read_0) {
    u64 v = 1;
    enum fault_outcome got = try_get(P, 0, &v);
    check(v == 1 && (got == FAULT_DONE || got == FAULT_POISON));
}
thread(b_may_become_child) {
    struct space *child = become_child(NEW, P);
    u64 v = 1, w = 1;
    enum fault_outcome first = try_get(child, 0, &v), second = try_get(child, 0, &w);
    check((first == FAULT_DONE && (v == 1 || v == 0xa)) || first == FAULT_POISON);
    check((second == FAULT_DONE && w == v) || second == FAULT_POISON);
}
thread(c_may_read_0) {
    u64 v = 1;
    enum fault_outcome got = try_get(C, 0, &v);
    check(v == 1 && (got == FAULT_DONE || got == FAULT_POISON));
}

static void one_in_tlbs(void) {
    one();
    seen_by(0);
    seen_by(1);
    space_load(NULL);
}

/* Each twice: a frame comes in place; none does. */
#define taken(id, other, prepare, holds, ...)                                                                          \
    scenario(offline_##id, "offline × " other, .setup = prepare, .after = holds, SWAP,                                 \
             .thread = {__VA_ARGS__, MOVES});                                                                          \
    scenario(poison_##id, "offline × " other, .setup = prepare, .after = holds, SWAP, .thread = {__VA_ARGS__, POISONS})
taken(read, "fault", one_in_tlbs, taken_unwritten_after, {"a reads 0", a_may_read_0, 0});
taken(write, "fault", one_in_tlbs, taken_after, {"a writes 0", a_tries_0, 0});
taken(take, "take-over", one_after_exit, taken_after, {"a writes 0", a_tries_0, 0});
taken(write_apart, "fault", two_apart, taken_after, {"a writes 0", a_tries_0, 0});
taken(fork, "fork", one_in_tlbs, taken_unwritten_after, {"b forks, reads", b_may_become_child, 0});
taken(fork_write, "fork", one, taken_after, {"a writes 0", a_tries_0, 0}, {"b forks, reads", b_may_become_child, 0});
taken(break, "break", two, taken_unwritten_after, {"c writes 0", c_tries_0, 1});
taken(break_apart, "break", two_apart, taken_after, {"a writes 0", a_tries_0, 0}, {"c writes 0", c_tries_0, 1});
taken(break_three, "break", three, taken_after, {"a writes 0", a_tries_0, 0}, {"c writes 0", c_tries_0, 1},
      {"g writes 0", g_tries_0, 2});
taken(exit, "exit", two, taken_unwritten_after, {"c exits", c_exits, -1});
taken(exit_three, "exit", three, taken_unwritten_after, {"c exits", c_exits, -1}, {"g writes 0", g_tries_0, 2});
taken(unmap, "unmap", one_in_tlbs, unmapped_after, {"b unmaps 0", b_unmaps_0, 0});
taken(unmap_all, "unmap", one, unmapped_after, {"b unmaps all", b_unmaps_all, 0});
taken(unmap_sharer, "unmap", two, unmapped_after, {"c writes 0", c_tries_0, 1}, {"b unmaps all", b_unmaps_all, 0});
taken(protect, "protect", one_in_tlbs, taken_after, {"a writes 0", a_tries_0, 0}, {"b protects 0", b_protects_0, 0});
taken(forbid, "protect", one, taken_forbidden_after, {"a writes 0", a_tries_0, 0}, {"b forbids 0", b_forbids_0, 0});
taken(discard, "discard", one, taken_discarded_after, {"a writes 0", a_tries_0, 0}, {"b discards", b_discards, 0});
taken(move, "mremap", one_in_tlbs, taken_moved_after, {"a writes 0", a_tries_0, 0}, {"b moves", b_moves, 0});
taken(move_sharer, "mremap", two_apart, taken_only_moved_after, {"b moves", b_moves, 0}, {"c writes 0", c_tries_0, 1});
taken(out, "reclaim", one_in_tlbs, taken_after, {"a writes 0", a_tries_0, 0}, {"b pages out", b_outs_both, -1});
taken(out_cached, "reclaim", one_cached, taken_after, {"a writes 0", a_tries_0, 0}, {"b pages out", b_outs_both, -1});
taken(hand, "reclaim", one_cold, taken_unwritten_after, {"a reads 0", a_may_read_0, 0}, {"b reclaims", b_reclaims, -1});
taken(in, "swap-in", one_out, taken_after, {"a writes 0", a_tries_0, 0});
taken(in_cached, "swap-in", two_cached_apart, taken_unwritten_after, {"c reads 0", c_may_read_0, 1});
taken(in_write, "swap-in", two_cached_apart, taken_after, {"a writes 0", a_tries_0, 0}, {"c writes 0", c_tries_0, 1});
taken(in_three, "swap-in", three_out_apart, taken_after, {"a writes 0", a_tries_0, 0}, {"c writes 0", c_tries_0, 1});
/* Others map the frame too: it moves by its place in the swap cache, without a copy, or is copied before anything
 * moves.
 */
static void two_cached(void) {
    two_cached_apart();
    use(C);
    check_eq(get(C, 0), 1);
    space_load(NULL);
}
taken(move_cached, "mremap", two_cached, taken_only_moved_after, {"b moves", b_moves, 0});
thread(y_takes_frame) {
    struct frame *f = space_pin(C, at(0));
    check(!f || frame_offline(f, false) != -ENOMEM);
}
taken(offline, "offline", two_apart, taken_unwritten_after, {"y takes the same", y_takes_frame, -1},
      {"c reads 0", c_may_read_0, 1});

/* A leaf shown large, of which P and C have one each. */
static void large(void) {
    P = space_create(false);
    map(P, 0, TABLE_SLOTS, RW, NULL);
    map(P, TABLE_SLOTS, 4, RW, NULL);
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
}
static void large_apart(void) {
    large();
    C = fork_of(P);
    must_put(P, TABLE_SLOTS, 2);
    space_load(NULL);
}
scenario(offline_small, "offline × show small", .setup = large_apart, .after = taken_after, LARGE,
         .thread = {{"a writes 0", a_tries_0, 0}, MOVES});
scenario(poison_small, "offline × show small", .setup = large_apart, .after = taken_unwritten_after, LARGE,
         .thread = {{"c writes 0", c_tries_0, 1}, POISONS});
scenario(offline_cool, "offline × show small", .setup = large, .after = taken_after, LARGE,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b cools", b_cools, -1}, MOVES});
scenario(offline_collapse, "offline × collapse", .setup = leaf_in_tlbs, .after = taken_after, LARGE,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b collapses", b_collapses, 0}, MOVES});
scenario(poison_collapse, "offline × collapse", .setup = leaf_in_tlbs, .after = taken_unwritten_after, LARGE,
         .thread = {{"b collapses", b_collapses, 0}, POISONS});

/* The frame is an object's: pages 0 and 1 of F, or of S, hold 1. */
static struct host_file *mapped;
static void map_object(struct host_file *f, u32 flags) {
    mapped = f;
    P = space_create(false);
    map(P, 0, 2, RW | VIEW_RANDOM | flags, f);
    map(P, 3, 1, RW, NULL);
    use(P);
    must_put(P, 3, 1);
    for (u64 page = 0; page < 2; page++) {
        host_file_write(f, page << PAGE_SHIFT, 1);
        check_eq(get(P, page), 1);
    }
    space_load(NULL);
}
static void of_file_dirty(void) { map_object(files[0], VIEW_SHARED); }
static void of_file(void) {
    of_file_dirty();
    check_eq(object_sync(&files[0]->object, 0, 2), 0);
}
static void of_file_two(void) {
    map_object(files[0], 0);
    check_eq(object_sync(&files[0]->object, 0, 2), 0);
    C = fork_of(P);
}
/* What is written to it is shared memory's from then on. */
static void of_layered(void) {
    host_file_layered(files[0]);
    mapped = files[0];
    P = space_create(false);
    map(P, 0, 2, RW | VIEW_RANDOM | VIEW_SHARED, mapped);
    use(P);
    (void)get(P, 0);
    space_load(NULL);
}
static void of_shm(void) { map_object(files[1], VIEW_SHARED); }
static void of_shm_two(void) {
    of_shm();
    C = fork_of(P);
}
static void of_shm_cached(void) {
    of_shm();
    out(P);
    use(P);
    check_eq(get(P, 0), 1);
    space_load(NULL);
}
thread(b_cuts) { host_file_resize(mapped, 0); }
thread(b_punches) { host_file_punch(mapped, 0, 1); }
thread(b_syncs) { check_eq(object_sync(&mapped->object, 0, 2), 0); }
thread(a_may_write_0) {
    a_got = put(P, 0, 0xa);
    check(a_got != FAULT_NOMEM && a_got != FAULT_ACCERR);
}
/* What comes from a file again is what was there last, or what was written back. */
static void of_file_after(void) {
    u64 v = look(P, 0);
    check(v == 0xa || (v == 1 && (poisoned || a_got != FAULT_DONE)));
    check_eq(look(P, 1), 1);
}
static void of_dirty_file_after(void) {
    u64 v = look(P, 0);
    check(v == 1 || v == 0xa || (poisoned && v == (u64)'F' << 56));
    check_eq(look(P, 1), 1);
}
static void cut_after(void) { check_eq(look_outcome(P, 0, FAULT_READ), FAULT_BUS_ADRERR); }
static void punched_after(void) { /* or it was lost after it had come again */
    u64 v = 0;
    host_cpu(3);
    space_load(P);
    enum fault_outcome got = try_get(P, 0, &v);
    check(v == 0 || (v == 0xa && a_got == FAULT_DONE));
    check(got == FAULT_DONE || (got == FAULT_POISON && poisoned));
}
static void of_unwritten_file_after(void) {
    a_got = FAULT_MAPERR;
    of_file_after();
}
taken(file_read, "fault", of_file, of_unwritten_file_after, {"a reads 0", a_may_read_0, 0});
taken(file_write, "fault", of_file, of_file_after, {"a writes 0", a_may_write_0, 0});
taken(file_dirty, "fault", of_file_dirty, of_dirty_file_after, {"a writes 0", a_may_write_0, 0});
taken(file_private, "break", of_file_two, taken_after, {"a writes 0", a_may_write_0, 0}, {"c writes 0", c_tries_0, 1});
taken(file_sync, "write-back", of_file_dirty, of_dirty_file_after, {"a writes 0", a_may_write_0, 0},
      {"b syncs", b_syncs, -1});
taken(file_truncate, "truncate", of_file, cut_after, {"a writes 0", a_may_write_0, 0}, {"b cuts", b_cuts, -1});
taken(file_punch, "truncate", of_file, punched_after, {"a writes 0", a_may_write_0, 0}, {"b punches", b_punches, -1});
taken(file_fork, "fork", of_file, of_file_after, {"b forks", b_forks, 0}, {"a writes 0", a_may_write_0, 0});
taken(file_hand, "reclaim", of_file, of_file_after, {"a writes 0", a_may_write_0, 0}, {"b reclaims", b_reclaims, -1});
static void of_layered_after(void) { expect(P, 0, a_got == FAULT_DONE ? 0xa : (u64)'F' << 56); }
static void of_lost_layered_after(void) { /* what was not changed is read again */
    u64 v = (u64)'F' << 56;
    host_cpu(3);
    space_load(P);
    enum fault_outcome got = try_get(P, 0, &v);
    check(v == (u64)'F' << 56 || v == 0xa);
    check(got == FAULT_DONE || (got == FAULT_POISON && poisoned));
}
scenario(offline_layered, "offline × fault", .setup = of_layered, .after = of_layered_after, SWAP,
         .thread = {{"a writes 0", a_may_write_0, 0}, MOVES});
scenario(poison_layered, "offline × fault", .setup = of_layered, .after = of_lost_layered_after, SWAP,
         .thread = {{"a writes 0", a_may_write_0, 0}, POISONS});
taken(shm_write, "fault", of_shm, taken_after, {"a writes 0", a_may_write_0, 0});
taken(shm_exit, "exit", of_shm_two, taken_after, {"a writes 0", a_may_write_0, 0}, {"c exits", c_exits, -1});
taken(shm_out, "reclaim", of_shm, taken_after, {"a writes 0", a_may_write_0, 0}, {"b pages out", b_outs, -1});
taken(shm_cached, "reclaim", of_shm_cached, taken_after, {"a writes 0", a_may_write_0, 0}, {"b pages out", b_outs, -1});
taken(shm_truncate, "truncate", of_shm, cut_after, {"a writes 0", a_may_write_0, 0}, {"b cuts", b_cuts, -1});
taken(shm_punch, "truncate", of_shm, punched_after, {"a writes 0", a_may_write_0, 0}, {"b punches", b_punches, -1});

/* ---- clear_refs 4: what P's page 0 held when it was over is what it holds at the end, or the page counts as written
 */

static u64 held;
static bool page_written(struct space *s, u64 page) {
    u64 frame;
    return space_present(s, at(page), &frame) & PAGE_WRITTEN;
}
thread(b_cleans) {
    check_eq(space_clean(P), 0);
    held = 0xbad;
    if (try_get(P, 0, &held) == FAULT_MAPERR) /* it has been moved */
        (void)try_get(P, 8, &held);
}
thread(c_cleans) { check_eq(space_clean(C), 0); }
#define CLEANS                                                                                                         \
    { "z cleans", b_cleans, 0 }
static void cleaned_after(void) {
    bool written = page_written(P, 0);
    check(written || look(P, 0) == held);
    check(!page_written(P, 1) && look(P, 1) == 1);
    if (C) /* whose marks are his own */
        check(page_written(C, 0) && page_written(C, 1) && look(C, 1) == 1);
    if (G)
        check(page_written(G, 0) && page_written(G, 1) && look(G, 1) == 1);
}
static void both_cleaned_after(void) {
    bool written = page_written(P, 0);
    check(written || look(P, 0) == held);
    check(!page_written(P, 1) && !page_written(C, 0) && !page_written(C, 1));
    check_eq(look(C, 0), 1);
}
static void cleaned_unmapped_after(void) {
    unmapped_after();
    check(!page_written(P, 1) && look(P, 1) == 1);
}
static void cleaned_discarded_after(void) {
    check(page_written(P, 0) || look(P, 0) == 0 || held == 0xa);
    check(!page_written(P, 1) && look(P, 1) == 0);
}
static void cleaned_moved_after(void) {
    unmapped_after();
    check(page_written(P, 8) || look(P, 8) == held);
    check_eq(look(P, 8), a_got == FAULT_DONE ? 0xa : 1);
}
static void cleaned_lost_after(void) {
    check(page_written(P, 0) || look(P, 0) == held || poisoned);
    check(!page_written(P, 1));
}
thread(b_forks_writes) {
    spaces[NEW] = fork_of(P);
    must_put(P, 0, 0xb);
}
#define clean(id, other, prepare, holds, ...)                                                                          \
    scenario(clean_##id, "clear_refs × " other, .setup = prepare, .after = holds, SWAP, .thread = {__VA_ARGS__, CLEANS})
clean(read, "fault", one_in_tlbs, cleaned_after, {"a reads 0", a_reads_0, 0});
clean(write, "fault", one_in_tlbs, cleaned_after, {"a writes 0", a_writes_0, 0});
clean(take, "take-over", one_after_exit, cleaned_after, {"a writes 0", a_writes_0, 0});
clean(copy, "copy", one, cleaned_after, {"a writes remotely", a_writes_remotely, -1});
clean(fork, "fork", one_in_tlbs, cleaned_after, {"a writes 0", a_writes_0, 0}, {"b forks", b_forks_writes, 0});
clean(break, "break", two, cleaned_after, {"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1});
clean(break_apart, "break", two_apart, cleaned_after, {"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1});
clean(break_three, "break", three, cleaned_after, {"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1},
      {"g writes 0", g_writes_0, 2});
clean(both, "break", two, both_cleaned_after, {"a writes 0", a_writes_0, 0}, {"c cleans", c_cleans, 1});
clean(exit, "exit", two, cleaned_after, {"a writes 0", a_writes_0, 0}, {"c exits", c_exits, -1});
clean(exit_three, "exit", three, cleaned_after, {"c exits", c_exits, -1}, {"g writes 0", g_writes_0, 2});
clean(unmap, "unmap", one_in_tlbs, cleaned_unmapped_after, {"b unmaps 0", b_unmaps_0, 0});
clean(protect, "protect", one_in_tlbs, cleaned_after, {"a writes 0", a_tries_0, 0}, {"b protects 0", b_protects_0, 0});
clean(discard, "discard", one, cleaned_discarded_after, {"a writes 0", a_writes_0, 0}, {"b discards", b_discards, 0});
clean(move, "mremap", one_in_tlbs, cleaned_moved_after, {"a writes 0", a_tries_0, 0}, {"b moves", b_moves, 0});
clean(out, "reclaim", one_in_tlbs, cleaned_after, {"a writes 0", a_writes_0, 0}, {"b pages out", b_outs_both, -1});
clean(hand, "reclaim", one_cold, cleaned_after, {"a writes 0", a_writes_0, 0}, {"b reclaims", b_reclaims, -1});
clean(in, "swap-in", one_out, cleaned_after, {"a writes 0", a_writes_0, 0});
clean(in_three, "swap-in", three_out_apart, cleaned_after, {"a writes 0", a_writes_0, 0},
      {"c writes 0", c_writes_0, 1});
clean(in_cached, "swap-in", two_cached_apart, cleaned_after, {"a writes 0", a_writes_0, 0},
      {"c writes 0", c_writes_0, 1});
clean(file, "write-back", of_file, cleaned_after, {"a writes 0", a_writes_0, 0}, {"b syncs", b_syncs, -1});
clean(truncate, "truncate", of_file, cut_after, {"a writes 0", a_may_write_0, 0}, {"b cuts", b_cuts, -1});
clean(private, "break", of_file_two, cleaned_after, {"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1});
clean(offline, "offline", one_in_tlbs, cleaned_after, {"a writes 0", a_writes_0, 0}, MOVES);
clean(poison, "offline", one_in_tlbs, cleaned_lost_after, {"a writes 0", a_tries_0, 0}, POISONS);

static void large_in_tlbs(void) {
    large();
    seen_by(0);
    seen_by(1);
    space_load(NULL);
}
scenario(clean_large, "clear_refs × fault", .setup = large_in_tlbs, .after = cleaned_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, CLEANS});
scenario(clean_collapse, "clear_refs × collapse", .setup = leaf_in_tlbs, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b collapses", b_collapses, 0}, CLEANS});

/* ---- /proc/kpagecount: how many see the frame of C's page 0, which is C's alone */

static u64 counted; /* its number */
static void own_of_child(void) {
    two();
    use(C);
    must_put(C, 0, 0xc);
    check(space_present(C, at(0), &counted) & PAGE_PRESENT);
    space_load(NULL);
}
static void shown_by_child(void) {
    large();
    C = fork_of(P);
    ends(&P);
    check(space_present(C, at(0), &counted) & PAGE_PRESENT);
    space_load(NULL);
}
thread(y_counts) { check(frame_seen(&frames[counted]) <= 1); }
thread(c_reads_own_0) {
    u64 v = 0;
    check_eq(try_get(C, 0, &v), FAULT_DONE);
}
scenario(seen_exit, "kpagecount × exit", .setup = own_of_child, .after = one_after, SWAP,
         .thread = {{"c exits", c_exits, -1}, {"y counts", y_counts, -1}});
scenario(seen_out, "kpagecount × reclaim", .setup = own_of_child, .after = c_after, SWAP,
         .thread = {{"c reads 0", c_reads_own_0, 1}, {"b reclaims", b_reclaims, -1}, {"y counts", y_counts, -1}});
scenario(seen_large_exit, "kpagecount × exit", .setup = shown_by_child, LARGE,
         .thread = {{"c exits", c_exits, -1}, {"y counts", y_counts, -1}});

/* ---- /proc/PID/smaps, which reads the slots of a leaf without its lock */

static void usage_is_of_three(void) {
    struct space_usage u;
    space_usage(P, at(0), at(4), &u);
    check_eq(u.anon + u.swap, 3);
    check(u.pss_bytes + u.swap_pss_bytes <= 3 * PAGE_SIZE);
}
thread(y_asks_usage) { usage_is_of_three(); }
scenario(usage_out, "walk × reclaim", .setup = one, .after = usage_is_of_three, SWAP,
         .thread = {{"y asks for the usage", y_asks_usage, -1}, {"b pages out", b_outs_both, -1}});
