/* explore_large_test.c - scenarios with a leaf shown large: who shows it small, while others fault, walk, fork, break
 * the table above, and end. */
#include "scenario.h"

#define LARGE .bytes = 4608 * KiB, .swap = 16, .share = 8
#define BESIDE TABLE_SLOTS /* the first page of the next leaf, below the same table of level 2 */

/* ---- set-ups: page 0 and 1 hold 1, in a leaf shown large; page BESIDE holds 1 */

static void large_empty(void) {
    P = space_create(false);
    map(P, 0, TABLE_SLOTS, RW, NULL);
    map(P, BESIDE, 4, RW, NULL);
    use(P);
    must_put(P, BESIDE, 1);
    space_load(NULL);
}
static void large(void) {
    struct space_usage u;
    large_empty();
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
    space_usage(P, at(0), at(TABLE_SLOTS), &u);
    check_eq(u.large, TABLE_SLOTS);
}
static void large_two(void) {
    large();
    C = fork_of(P);
}
/* P has the tables above for itself; both show the leaf large. */
static void large_apart(void) {
    large_two();
    use(P);
    must_put(P, BESIDE, 2);
    space_load(NULL);
}
static void large_after_exit(void) {
    large_two();
    ends(&C);
}
/* Nothing was used since the hand came by: the next time it shows the leaf small, and takes its second page. */
static void cold(void) {
    struct walk w;
    space_load(NULL);
    walk_down(P, PAGE, &w);
    check_eq(w.level, 2);
    entry *slot = &w.table[2]->slots[slot_index(PAGE, 2)];
    slot_clear_bits(slot, ENTRY_ACCESSED);
    for (unsigned i = 0; i < TABLE_SLOTS; i++)
        slot_clear_bits(&table_below(*slot)->slots[i], ENTRY_ACCESSED);
}
static void cold_one(void) {
    large();
    cold();
}
static void cold_two(void) {
    cold_one();
    C = fork_of(P);
}
static void cold_three(void) {
    cold_two();
    one_more();
}
static void cold_apart(void) {
    large_apart();
    cold();
    struct space *other = P;
    P = C;
    cold();
    C = P;
    P = other;
}

/* ---- threads */

thread(c_writes_beside) { must_put(C, BESIDE, 0xc); }
thread(g_writes_beside) { must_put(G, BESIDE, 0x9); }
thread(b_protects_part) { check_eq(space_protect(P, at(8), 2 << PAGE_SHIFT, VIEW_READ), 0); }
thread(b_cools) { space_pages_cold(P, PAGE, PAGE + 1); }
thread(b_reclaims) { vm_reclaim(1); }
thread(b_unmaps) { check_eq(space_unmap(P, at(0), TABLE_SLOTS << PAGE_SHIFT), 0); }
thread(b_unmaps_part) { check_eq(space_unmap(P, at(1), PAGE_SIZE), 0); }
thread(b_moves_beside) {
    check_eq(space_remap(P, at(0), 2 << PAGE_SHIFT, 2 << PAGE_SHIFT, REMAP_MAY_MOVE | REMAP_FIXED, at(BESIDE + 8)),
             at(BESIDE + 8));
}
thread(c_walks) {
    struct space_usage u;
    space_usage(P, at(0), at(TABLE_SLOTS), &u);
    check(u.anon + u.swap == TABLE_SLOTS || u.anon + u.swap == TABLE_SLOTS - 1);
}

/* ---- what must hold */

static void beside_after(void) {
    one_after();
    check_eq(look(C, BESIDE), 0xc);
}
static void three_beside_after(void) {
    beside_after();
    check_eq(look(G, 0), 1);
    check_eq(look(G, BESIDE), 0x9);
}
static void unmapped_1_after(void) {
    check_eq(look_outcome(P, 1, FAULT_READ), FAULT_MAPERR);
    check(!C || look(C, 1) == 1);
}
static void moved_beside_after(void) {
    check_eq(look(P, BESIDE + 8), a_got == FAULT_DONE ? 0xa : 1);
    check_eq(look(P, BESIDE + 9), 1);
}

scenario(large_first, "fault × fault", .setup = large_empty, .after = a_and_b_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 1", b_writes_1, 0}});
scenario(large_fork, "fault × fork", .setup = large, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b forks, reads", b_becomes_child, 0}});
scenario(large_take, "take-over × fork", .setup = large_after_exit, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b forks, reads", b_becomes_child, 0}});
scenario(large_take_exit, "take-over × exit", .setup = large_two, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c exits", c_exits, -1}});
scenario(large_break_break, "break × break", .setup = large_apart, .after = a_and_c_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}});

scenario(small_write, "show small × fault", .setup = large, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b protects a part", b_protects_part, 0}});
/* A CPU has the large entry, and walks to set its dirty bit. */
static void large_seen(void) {
    struct walk w;
    large();
    space_load(NULL);
    walk_down(P, PAGE, &w);
    slot_clear_bits(&w.table[2]->slots[slot_index(PAGE, 2)], ENTRY_DIRTY);
    seen_by(0);
}
scenario(small_write_seen, "show small × write", .setup = large_seen, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b cools", b_cools, -1}});
/* Rights that grow need no flush of their own. */
thread(b_permits_part) { check_eq(space_protect(P, at(8), 2 << PAGE_SHIFT, RW | VIEW_EXEC), 0); }
scenario(small_write_grown, "show small × write", .setup = large_seen, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b permits a part", b_permits_part, 0}});
scenario(small_read, "show small × fault", .setup = large, .after = one_after, LARGE,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b cools", b_cools, -1}});
scenario(small_small, "show small × show small", .setup = large, .after = one_after, LARGE,
         .thread = {{"a protects a part", b_protects_part, 0}, {"b cools", b_cools, -1}});
scenario(small_walk, "show small × walk", .setup = large, .after = one_after, LARGE,
         .thread = {{"b cools", b_cools, -1}, {"c walks", c_walks, -1}});
scenario(small_take, "show small × fault", .setup = large_after_exit, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b cools", b_cools, -1}});
scenario(small_fork, "show small × fork", .setup = large, LARGE,
         .thread = {{"b cools", b_cools, -1}, {"c forks, reads", b_becomes_child, 0}});
scenario(small_discard, "show small × fault", .setup = large, .after = discarded_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b discards", b_discards, 0}});
scenario(small_unmap, "show small × fault", .setup = large, .after = unmapped_1_after, LARGE,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b unmaps 1", b_unmaps_part, 0}});
scenario(small_move, "show small × mremap", .setup = large, .after = moved_beside_after, LARGE,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b moves", b_moves_beside, 0}});
scenario(small_break, "show small × break", .setup = large_two, .after = c_after, LARGE,
         .thread = {{"c writes 0", c_writes_0, 1}, {"b cools", b_cools, -1}});
scenario(small_out, "show small × fault", .setup = large, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages out", b_outs_both, -1}});

/* The hand, which meets the leaf by its first frame and shows it small for all. */
scenario(hand_small_read, "show small × fault", .setup = cold_one, .after = one_after, LARGE,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b reclaims", b_reclaims, -1}});
scenario(hand_small_write, "show small × fault", .setup = cold_one, .after = a_after, LARGE,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b reclaims", b_reclaims, -1}});
scenario(hand_small_break, "show small × break of level 2", .setup = cold_two, .after = beside_after, LARGE,
         .thread = {{"c writes beside", c_writes_beside, 1}, {"b reclaims", b_reclaims, -1}});
scenario(hand_small_three, "show small × break of level 2", .setup = cold_three, .after = three_beside_after, LARGE,
         .thread = {{"c writes beside", c_writes_beside, 1},
                    {"g writes beside", g_writes_beside, 2},
                    {"b reclaims", b_reclaims, -1}});
scenario(hand_small_apart, "show small × break", .setup = cold_apart, .after = c_after, LARGE,
         .thread = {{"c writes 0", c_writes_0, 1}, {"b reclaims", b_reclaims, -1}});
scenario(hand_small_exit, "show small × exit", .setup = cold_apart, .after = one_after, LARGE,
         .thread = {{"c exits", c_exits, -1}, {"b reclaims", b_reclaims, -1}});
scenario(hand_small_unmap, "show small × unmap", .setup = cold_apart, .after = unmapped_1_after, LARGE,
         .thread = {{"a unmaps all", b_unmaps, 0}, {"b reclaims", b_reclaims, -1}});
scenario(hand_small_fork, "show small × fork", .setup = cold_one, .after = one_after, LARGE,
         .thread = {{"a forks", b_forks, 0}, {"b reclaims", b_reclaims, -1}});
