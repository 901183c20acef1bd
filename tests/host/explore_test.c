/* explore_test.c - the scenarios: for each pair of docs/locks.md the smallest set-up in which the two can meet, and
 * what must hold whichever way they do.
 *
 * Beside the scenario's own assertion every interleaving ends with the checker, the TLBs compared with the
 * tables, and the leak count. */
#include "scenario.h"

/* ---- threads: a and b belong to P, c to C, g to G */

thread(b_writes_0) { must_put(P, 0, 0xb); }
thread(a_writes_2) { must_put(P, 2, 0xa); }
thread(c_writes_2) { must_put(C, 2, 0xc); }
thread(a_may_write_0) { check(put(P, 0, 0xa) != FAULT_NOMEM); }
thread(c_forks) { spaces[NEW + 1] = fork_of(C); }

/* ---- fault × fault */

static void a_or_b_after(void) {
    u64 v = look(P, 0);
    check(v == 0xa || v == 0xb);
}
scenario(fault_fault_page, "fault × fault", .setup = one_empty, .after = a_or_b_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 0", b_writes_0, 0}});

scenario(fault_fault_table, "fault × fault", .setup = one_without_leaf, .after = a_and_b_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 1", b_writes_1, 0}});

thread(a_reads_then_writes_0) {
    check(get(P, 0) != 0xbad);
    must_put(P, 0, 0xa);
}
scenario(fault_fault_zero, "fault × fault", .setup = one_empty, .after = a_or_b_after,
         .thread = {{"a reads, writes 0", a_reads_then_writes_0, 0}, {"b writes 0", b_writes_0, 0}});

/* ---- fault × fork */

scenario(fork_fault, "fault × fork", .setup = one, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b forks, reads", b_becomes_child, 0}});
scenario(fork_fault_empty, "fault × fork", .setup = one,
         .thread = {{"a writes 2", a_writes_2, 0}, {"b forks", b_forks, 0}});
scenario(fork_fault_table, "fault × fork", .setup = one_without_leaf,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b forks", b_forks, 0}});
scenario(fork_child_writes, "fault × fork", .setup = one, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b forks, child writes 0", b_child_writes, 0}});

/* The slot shows the zero frame, which P's child may have in its TLB when P's thread replaces it. */
static void one_zero(void) {
    one();
    check_eq(get(P, 2), 0);
}
thread(b_child_reads_2) {
    struct space *child = become_child(NEW, P);
    u64 first = get(child, 2), second = get(child, 2);
    check(first == 0 || first == 0xa);
    check_eq(first, second);
}
scenario(fork_fault_zero, "fault × fork", .setup = one_zero,
         .thread = {{"a writes 2", a_writes_2, 0}, {"b forks, reads 2", b_child_reads_2, 0}});

/* The frame is shared with an older process too, which becomes its only owner if P's copy is not seen by P's child. */
static void older(void) {
    two_apart();
    G = C;
    C = NULL;
}
static void older_after(void) {
    check_eq(look(P, 0), 0xa);
    check_eq(look(G, 0), 0x9);
}
scenario(fork_fault_older, "fault × fork", .setup = older, .after = older_after,
         .thread = {
             {"a writes 0", a_writes_0, 0}, {"b forks, reads", b_becomes_child, 0}, {"g writes 0", g_writes_0, 2}});

/* ---- fault × fault of another process; break × break */

scenario(break_break, "break × break", .setup = two, .after = a_and_c_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}});
scenario(break_frame, "break × break", .setup = two_apart, .after = a_and_c_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}});
scenario(break_break_same, "break × break", .setup = two, .after = a_and_b_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 1", b_writes_1, 0}});
scenario(break_three, "break × break", .setup = three, .after = three_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}, {"g writes 0", g_writes_0, 2}});

thread(c_reads_2) { check_eq(get(C, 2), 0); }
static void a2_after(void) {
    check_eq(look(P, 2), 0xa);
    check_eq(look(C, 2), 0);
}
scenario(read_break, "fault × fault of a sharer", .setup = two, .after = a2_after,
         .thread = {{"a writes 2", a_writes_2, 0}, {"c reads 2", c_reads_2, 1}});

/* A CPU of P has the pointer to the shared leaf cached (the tables above are P's own); another breaks the path, so that
 * C has the leaf alone, and puts frames into it. */
static void two_cached(void) {
    one();
    map(P, 512, 1, RW, NULL);
    must_put(P, 512, 1);
    C = fork_of(P);
    must_put(P, 512, 2);
    host_cpu(1);
    space_load(P);
    check_eq(get(P, 1), 1);
}
thread(b_reads_2) { check_eq(get(P, 2), 0); }
scenario(break_cached, "break × fault of a sharer", .setup = two_cached, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b reads 2", b_reads_2, 0}, {"c writes 2", c_writes_2, 1}});
/* The same, and another CPU of P replaces what the stale pointer shows. */
static void two_cached_zero(void) {
    two_cached();
    check_eq(get(P, 2), 0);
}
thread(b_sees_2) {
    u64 v = get(P, 2), w = get(P, 2);
    check(v == 0 || v == 0xa);
    check(w == v || w == 0xa);
}
scenario(break_cached_replace, "break × fault of a sharer", .setup = two_cached_zero,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b reads 2", b_sees_2, 0}, {"a2 writes 2", a_writes_2, 0}});

/* ---- take-over */

scenario(take_exit, "take-over × exit", .setup = two, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c exits", c_exits, -1}});
scenario(take_fork, "take-over × fork", .setup = one_after_exit, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b forks, reads", b_becomes_child, 0}});
scenario(take_take, "take-over × take-over", .setup = one_after_exit, .after = a_and_b_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 1", b_writes_1, 0}});
scenario(take_exit_three, "take-over × exit", .setup = three, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c exits", c_exits, -1}, {"g exits", g_exits, -1}});
scenario(exit_fork, "exit × fork", .setup = two,
         .thread = {{"b forks, reads", b_becomes_child, 0}, {"c exits", c_exits, -1}});
scenario(exit_exit, "exit × exit", .setup = three, .thread = {{"c exits", c_exits, -1}, {"g exits", g_exits, -1}});
scenario(fork_fork, "fork × fork", .setup = two, .thread = {{"b forks", b_forks, 0}, {"c forks", c_forks, 1}});
thread(a_forks) { spaces[NEW + 1] = fork_of(P); }
scenario(fork_fork_same, "fork × fork", .setup = one,
         .thread = {{"b forks, reads", b_becomes_child, 0}, {"a forks", a_forks, 0}});
scenario(fork_break_sharer, "break × fork of a sharer", .setup = two, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c forks", c_forks, 1}});
scenario(fork_break_exit, "fork × break × exit", .setup = three, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c forks", c_forks, 1}, {"g exits", g_exits, -1}});

/* ---- range operations */

thread(c_unmaps_all) { check_eq(space_unmap(C, at(0), 4 << PAGE_SHIFT), 0); }
thread(b_unmaps_leaf) { check_eq(space_unmap(P, at(0), 512 << PAGE_SHIFT), 0); }
thread(c_protects_all) { check_eq(space_protect(C, at(0), 4 << PAGE_SHIFT, VIEW_READ), 0); }
thread(b_maps_over) { map(P, 0, 2, RW, NULL); }

scenario(fault_unmap, "fault × unmap", .setup = one, .after = unmapped_after,
         .thread = {{"a writes 0", a_may_write_0, 0}, {"b unmaps 0", b_unmaps_0, 0}});
scenario(fault_unmap_leaf, "fault × unmap", .setup = one, .after = unmapped_after,
         .thread = {{"a writes 0", a_may_write_0, 0}, {"b unmaps all", b_unmaps_leaf, 0}});
scenario(fault_unmap_shared, "fault × unmap", .setup = two, .after = unmapped_after,
         .thread = {{"a writes 0", a_may_write_0, 0}, {"b unmaps all", b_unmaps_all, 0}});
static void c_wrote_after(void) { check_eq(look(C, 0), 0xc); }
scenario(unmap_sharer, "unmap × fault of a sharer", .setup = two, .after = c_wrote_after,
         .thread = {{"b unmaps all", b_unmaps_leaf, 0}, {"c writes 0", c_writes_0, 1}});
static void mapped_after(void) {
    u64 v = look(P, 0);
    check(v == 0 || v == 0xa);
}
scenario(fault_map, "fault × map", .setup = one, .after = mapped_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b maps over", b_maps_over, 0}});
scenario(fault_protect, "fault × protect", .setup = one, .after = protected_after,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b protects 0", b_protects_0, 0}});
scenario(fault_forbid, "fault × protect", .setup = two, .after = forbidden_after,
         .thread = {{"a writes 0", a_may_write_0, 0}, {"b forbids 0", b_forbids_0, 0}});
scenario(protect_sharer, "protect × fault of a sharer", .setup = two, .after = a_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c protects", c_protects_all, 1}});
/* P's path leaves the shared leaf, C has it alone and changes its plan, while P's other thread is on the way there. */
scenario(protect_break_sharer, "protect × break × fault", .setup = two, .after = a_and_b_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 1", b_writes_1, 0}, {"c protects", c_protects_all, 1}});
scenario(unmap_break_sharer, "unmap × break × fault", .setup = two, .after = a_and_b_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b writes 1", b_writes_1, 0}, {"c unmaps", c_unmaps_all, 1}});
scenario(fault_discard, "fault × discard", .setup = one, .after = discarded_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b discards", b_discards, 0}});
scenario(fault_discard_shared, "fault × discard", .setup = two, .after = discarded_after,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b discards", b_discards, 0}});
thread(a_forks_reads) {
    struct space *child = become_child(NEW, P);
    u64 first = get(child, 0);
    check(first == 0 || first == 1);
    check_eq(get(child, 0), first);
}
scenario(discard_fork, "discard × fork", .setup = one,
         .thread = {{"a forks, reads", a_forks_reads, 0}, {"b discards", b_discards, 0}});
thread(a_forks_may_read) {
    struct space *child = become_child(NEW, P);
    u64 v = 0, w = 0;
    enum fault_outcome first = try_get(child, 0, &v), second = try_get(child, 0, &w);
    check(first == FAULT_DONE || first == FAULT_MAPERR);
    check(first == second && v == w);
}
scenario(unmap_fork, "unmap × fork", .setup = one,
         .thread = {{"a forks, reads", a_forks_may_read, 0}, {"b unmaps 0", b_unmaps_0, 0}});
scenario(unmap_unmap, "unmap × unmap", .setup = one, .after = unmapped_after,
         .thread = {{"a unmaps all", b_unmaps_all, 0}, {"b unmaps leaf", b_unmaps_leaf, 0}});
scenario(unmap_unmap_sharers, "unmap × unmap of a sharer", .setup = two, .after = unmapped_after,
         .thread = {{"b unmaps all", b_unmaps_all, 0}, {"c unmaps all", c_unmaps_all, 1}});
scenario(unmap_exit, "unmap × exit of a sharer", .setup = two, .after = unmapped_after,
         .thread = {{"b unmaps all", b_unmaps_leaf, 0}, {"c exits", c_exits, -1}});
thread(c_walks) {
    struct space_totals t;
    struct space_usage u;
    space_totals(P, &t);
    check(t.total == 4 || t.total == 3);
    space_usage(P, at(0), at(4), &u);
    check(u.anon <= 4);
}
scenario(walk_unmap, "walk × unmap, fault", .setup = one,
         .thread = {{"a writes 2", a_writes_2, 0}, {"b unmaps 0", b_unmaps_0, 0}, {"c walks", c_walks, -1}});

/* ---- moves */

scenario(move_write, "mremap × fault", .setup = one, .after = moved_after,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b moves", b_moves, 0}});
scenario(move_write_shared, "mremap × fault", .setup = two, .after = moved_after,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b moves", b_moves, 0}});
thread(a_tries_8) {
    u64 v = 0;
    enum fault_outcome got = try_get(P, 8, &v);
    check(got == FAULT_MAPERR || (got == FAULT_DONE && v <= 1));
}
thread(a_writes_8) {
    enum fault_outcome got = put(P, 8, 0xa);
    check(got == FAULT_DONE || got == FAULT_MAPERR);
}
static void moved_or_a_after(void) {
    u64 v = look(P, 8);
    check(v == 1 || v == 0xa);
}
scenario(move_write_target, "mremap × fault", .setup = one, .after = moved_or_a_after,
         .thread = {{"a writes 8", a_writes_8, 0}, {"b moves", b_moves, 0}});
scenario(move_read_target, "mremap × fault", .setup = one, .after = moved_only_after,
         .thread = {{"a reads 8", a_tries_8, 0}, {"b moves", b_moves, 0}});
scenario(move_sharer, "mremap × fault of a sharer", .setup = two, .after = moved_c_after,
         .thread = {{"b moves", b_moves, 0}, {"c writes 0", c_writes_0, 1}});
/* P's other CPU has the frame that the move leaves to C. */
static void two_apart_seen(void) {
    two_apart();
    seen_by(1);
}
scenario(move_sharer_seen, "mremap × fault of a sharer", .setup = two_apart_seen, .after = moved_c_after,
         .thread = {{"b moves", b_moves, 0}, {"a reads 0", a_looks_0, 0}, {"c writes 0", c_writes_0, 1}});
/* A leaf moves whole, by the slots above it. */
#define THERE (2 * TABLE_SLOTS)
static void whole_leaf(void) {
    P = space_create(false);
    map(P, 0, TABLE_SLOTS, RW | VIEW_NOHUGE, NULL);
    map(P, THERE + 4 * TABLE_SLOTS, 1, RW, NULL);
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
    must_put(P, THERE + 4 * TABLE_SLOTS, 1);
    seen_by(1);
}
thread(b_moves_leaf) {
    check_eq(space_remap(P, at(0), TABLE_SLOTS << PAGE_SHIFT, TABLE_SLOTS << PAGE_SHIFT, REMAP_MAY_MOVE | REMAP_FIXED,
                         at(THERE)),
             at(THERE));
}
thread(b_moves_leaf_says) {
    b_moves_leaf(argument);
    say();
}
static void leaf_moved_after(void) {
    unmapped_after();
    check_eq(look(P, THERE), a_got == FAULT_DONE ? 0xa : 1);
    check_eq(look(P, THERE + 1), 1);
}
static void leaf_only_moved_after(void) {
    a_got = FAULT_MAPERR;
    leaf_moved_after();
}
scenario(move_leaf_seen, "mremap × fault", .setup = whole_leaf, .after = leaf_only_moved_after,
         .thread = {{"b moves a leaf", b_moves_leaf_says, 0}, {"a reads 0", b_told_unmapped, 0}});
scenario(move_leaf_write, "mremap × fault", .setup = whole_leaf, .after = leaf_moved_after,
         .thread = {{"b moves a leaf", b_moves_leaf, 0}, {"a writes 0", a_tries_0, 0}});
/* Where it goes, and behind, is one run: who faults there makes a leaf, of what moves too if that is not whole. */
static void part_of_leaf(void) {
    P = space_create(false);
    map(P, 0, 8, RW, NULL);
    map(P, THERE, TABLE_SLOTS, RW, NULL);
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
    space_load(NULL);
}
thread(a_writes_behind) { must_put(P, THERE + 20, 0xa); }
thread(b_moves_part) {
    u64 bytes = 8 << PAGE_SHIFT;
    check_eq(space_remap(P, at(0), bytes, bytes, REMAP_MAY_MOVE | REMAP_FIXED, at(THERE)), at(THERE));
}
static void part_moved_after(void) {
    unmapped_after();
    check_eq(look(P, THERE), 1);
    check_eq(look(P, THERE + 1), 1);
    check_eq(look(P, THERE + 20), 0xa);
}
scenario(move_large_beside, "mremap × fault beside", .setup = part_of_leaf, .after = part_moved_after,
         .thread = {{"a writes behind", a_writes_behind, 0}, {"b moves", b_moves_part, 0}}, .bytes = 4608 * KiB,
         .share = 8);
scenario(move_leaf_fork, "mremap × fork", .setup = whole_leaf, .after = leaf_only_moved_after,
         .thread = {{"b moves a leaf", b_moves_leaf, 0}, {"c forks", b_forks, 0}});
scenario(move_sharer_apart, "mremap × fault of a sharer", .setup = two_apart, .after = moved_c_after,
         .thread = {{"b moves", b_moves, 0}, {"c writes 0", c_writes_0, 1}});
thread(a_forks_reads_either) {
    struct space *child = become_child(NEW, P);
    u64 v = 0, w = 0;
    enum fault_outcome old = try_get(child, 0, &v), new = try_get(child, 8, &w);
    check((old == FAULT_DONE && v == 1) || (new == FAULT_DONE &&w == 1));
}
scenario(move_fork, "mremap × fork", .setup = one,
         .thread = {{"a forks, reads", a_forks_reads_either, 0}, {"b moves", b_moves, 0}});
scenario(move_exit, "mremap × exit of a sharer", .setup = two_apart, .after = moved_only_after,
         .thread = {{"b moves", b_moves, 0}, {"c exits", c_exits, -1}});

/* ---- remote copies */

static u64 copied;
thread(c_reads_remotely) {
    u64 v = 0;
    copied = space_copy(P, at(0), &v, sizeof(v), false, false) == sizeof(v);
    check(!copied || v == 1 || v == 0xa);
}
thread(a_writes_remotely) {
    u64 v = 0xa;
    check_eq(space_copy(P, at(0), &v, sizeof(v), true, false), sizeof(v));
}
scenario(copy_fork, "copy × fork", .setup = one, .after = a_after,
         .thread = {{"a writes remotely", a_writes_remotely, -1}, {"b forks, reads", b_becomes_child, 0}});
scenario(copy_fault, "copy × fault", .setup = two,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c reads remotely", c_reads_remotely, -1}});
scenario(copy_unmap, "copy × unmap", .setup = one, .after = unmapped_after,
         .thread = {{"b unmaps all", b_unmaps_leaf, 0}, {"c reads remotely", c_reads_remotely, -1}});
scenario(copy_break, "copy × break", .setup = two, .after = a_and_c_after,
         .thread = {{"a writes remotely", a_writes_remotely, -1}, {"c writes 0", c_writes_0, 1}});

/* ---- stacks that grow */

#define STACK 400
static void stack(void) {
    one();
    map(P, STACK, 1, RW | VIEW_GROWSDOWN, NULL);
    must_put(P, STACK, 1);
}
thread(a_grows) { a_got = put(P, STACK - 2, 0xa); }
thread(b_maps_below) { map(P, STACK - 8, 2, RW, NULL); }
thread(b_grows) { check_eq(put(P, STACK - 1, 0xb), FAULT_DONE); }
static void grown_after(void) {
    check(a_got == FAULT_DONE || a_got == FAULT_MAPERR);
    check(a_got != FAULT_DONE || look(P, STACK - 2) == 0xa);
}
scenario(grow_map, "grow-down × map", .setup = stack, .after = grown_after,
         .thread = {{"a grows", a_grows, 0}, {"b maps below", b_maps_below, 0}});
scenario(grow_grow, "grow-down × grow-down", .setup = stack, .after = grown_after,
         .thread = {{"a grows", a_grows, 0}, {"b grows", b_grows, 0}});
scenario(grow_fork, "grow-down × fork", .setup = stack, .after = grown_after,
         .thread = {{"a grows", a_grows, 0}, {"b forks", b_forks, 0}});

/* ---- files: pages [0, 2) of F, which P and perhaps C map at page 0 */

#define F (&files[0]->object)
static u64 f_word(u64 page) { return (u64)'F' << 56 | page << 16; }

static void file_mapped(u32 flags) {
    P = space_create(false);
    map(P, 0, 2, RW | VIEW_RANDOM | flags, files[0]);
    use(P);
    check_eq(get(P, 0), f_word(0));
    check_eq(get(P, 1), f_word(1));
    space_load(NULL); /* so that the threads walk */
}
static void shared_file(void) { file_mapped(VIEW_SHARED); }
static void private_file(void) { file_mapped(0); }
static void private_file_two(void) {
    private_file();
    C = fork_of(P);
}
static void shared_file_two(void) {
    shared_file();
    C = fork_of(P);
}
static void cached_file(void) { /* in memory, not mapped; the leaf is there */
    struct frame *f;
    P = space_create(false);
    map(P, 0, 2, RW | VIEW_RANDOM | VIEW_SHARED, files[0]);
    map(P, 4, 1, RW, NULL);
    use(P);
    must_put(P, 4, 1);
    check_eq(object_get(F, 0, OBJECT_READ, &f), 0);
    frame_unpin(f);
}

thread(b_cuts) { host_file_resize(files[0], PAGE_SIZE); }
thread(b_punches) { host_file_punch(files[0], 1, 2); }
thread(a_writes_file) { a_got = put(P, 1, 0xa); }
thread(a_writes_first) { must_put(P, 0, 0xa); }
thread(c_writes_file) { check(put(C, 1, 0xc) != FAULT_NOMEM); }
thread(a_reads_file) {
    u64 v = f_word(1);
    a_got = try_get(P, 1, &v);
    check(a_got == FAULT_DONE || a_got == FAULT_BUS_ADRERR);
    check(v == f_word(1) || v == 0xa || v == 0);
}
static void cut_after(void) {
    check_eq(look_outcome(P, 1, FAULT_READ), FAULT_BUS_ADRERR);
    check(!C || look_outcome(C, 1, FAULT_READ) == FAULT_BUS_ADRERR);
}
/* Pages 0 and 1 move to 8 and 9, where what is mapped at 10 continues them: one run, and a fault there shows all that
 * is cached of it. */
static void file_beside(void) {
    P = space_create(false);
    map(P, 0, 2, RW, files[0]);
    struct map_request r = {.address = at(10), .bytes = 2 << PAGE_SHIFT, .flags = RW, .how = MAP_AT};
    r.file = &files[0]->file;
    r.offset = 2 << PAGE_SHIFT;
    check_eq(space_map(P, &r), r.address);
    use(P);
    for (u64 page = 0; page < 2; page++) {
        check_eq(get(P, page), f_word(page));
        check_eq(get(P, 10 + page), f_word(2 + page));
    }
    must_put(P, 0, 1);
    check_eq(mem_discard(P, at(10), 2 << PAGE_SHIFT), 0);
    space_load(NULL);
}
thread(a_reads_beside) { check_eq(get(P, 10), f_word(2)); }
static void moved_beside_after(void) {
    unmapped_after();
    check_eq(look(P, 8), 1);
    check_eq(look(P, 9), f_word(1));
    check_eq(look(P, 11), f_word(3));
}
scenario(move_file_beside, "mremap × fault beside", .setup = file_beside, .after = moved_beside_after,
         .thread = {{"a reads beside", a_reads_beside, 0}, {"b moves", b_moves, 0}});

scenario(truncate_read, "truncate × fault", .setup = cached_file, .after = cut_after,
         .thread = {{"a reads 1", a_reads_file, 0}, {"b cuts", b_cuts, -1}});
scenario(truncate_write, "truncate × fault", .setup = shared_file, .after = cut_after,
         .thread = {{"a writes 1", a_writes_file, 0}, {"b cuts", b_cuts, -1}});
scenario(truncate_private, "truncate × fault", .setup = private_file, .after = cut_after,
         .thread = {{"a writes 1", a_writes_file, 0}, {"b cuts", b_cuts, -1}});
scenario(truncate_private_two, "truncate × break", .setup = private_file_two, .after = cut_after,
         .thread = {{"a writes 1", a_writes_file, 0}, {"b cuts", b_cuts, -1}, {"c writes 1", c_writes_file, 1}});
scenario(truncate_fork, "truncate × fork", .setup = private_file, .after = cut_after,
         .thread = {{"b cuts", b_cuts, -1}, {"a forks", b_forks, 0}});
scenario(truncate_exit, "truncate × exit", .setup = private_file_two, .after = cut_after,
         .thread = {{"b cuts", b_cuts, -1}, {"c exits", c_exits, -1}});
scenario(truncate_unmap, "truncate × unmap", .setup = shared_file,
         .thread = {{"b cuts", b_cuts, -1}, {"a unmaps", b_unmaps_all, 0}});
/* Pages 0 and 1 move to a leaf that whoever visits the file's mappings comes to before the old one. */
thread(b_moves_file) {
    u64 bytes = 2 << PAGE_SHIFT;
    check_eq(space_remap(P, at(0), bytes, bytes, REMAP_MAY_MOVE | REMAP_FIXED, at(ELSEWHERE)), at(ELSEWHERE));
}
static void cut_and_moved_after(void) {
    check_eq(look_outcome(P, ELSEWHERE + 1, FAULT_READ), FAULT_BUS_ADRERR);
    check_eq(look(P, ELSEWHERE), f_word(0));
}
static void copied_file(void) {
    private_file();
    use(P);
    must_put(P, 1, 0x5);
    space_load(NULL);
}
scenario(truncate_move, "truncate × mremap", .setup = shared_file, .after = cut_and_moved_after,
         .thread = {{"b cuts", b_cuts, -1}, {"a moves", b_moves_file, 0}});
scenario(truncate_move_copy, "truncate × mremap", .setup = copied_file, .after = cut_and_moved_after,
         .thread = {{"b cuts", b_cuts, -1}, {"a moves", b_moves_file, 0}});
static void punched_after(void) {
    u64 v = look(P, 1);
    check(v == 0 || v == 0xa);
}
scenario(punch_write, "punch × fault", .setup = shared_file, .after = punched_after,
         .thread = {{"a writes 1", a_writes_file, 0}, {"b punches", b_punches, -1}});
static void punched_private_after(void) { check_eq(look(P, 1), 0xa); }
scenario(punch_private, "punch × fault", .setup = private_file, .after = punched_private_after,
         .thread = {{"a writes 1", a_writes_file, 0}, {"b punches", b_punches, -1}});

/* What is written is in the file after one more sync: no dirty page is forgotten. */
thread(b_syncs) { check_eq(object_sync(F, 0, 2), 0); }
static void synced_after(void) {
    check_eq(object_sync(F, 0, 2), 0);
    check_eq(*(u64 *)files[0]->contents, 0xa);
}
static void dirty_file(void) {
    shared_file();
    use(P);
    must_put(P, 0, 0x5);
    space_load(NULL);
}
scenario(sync_write, "write-back × write", .setup = dirty_file, .after = synced_after,
         .thread = {{"a writes 0", a_writes_first, 0}, {"b syncs", b_syncs, -1}});
static void dirty_file_two(void) {
    dirty_file();
    C = fork_of(P);
}
scenario(sync_write_two, "write-back × write", .setup = dirty_file_two, .after = synced_after,
         .thread = {{"a writes 0", a_writes_first, 0}, {"b syncs", b_syncs, -1}});
thread(b_moves_and_writes) {
    b_moves_file(argument);
    must_put(P, ELSEWHERE, 0xa);
}
scenario(sync_move, "write-back × mremap", .setup = dirty_file, .after = synced_after,
         .thread = {{"a moves, writes 0", b_moves_and_writes, 0}, {"b syncs", b_syncs, -1}});
scenario(sync_fork, "write-back × fork", .setup = dirty_file,
         .thread = {{"a forks", b_forks, 0}, {"b syncs", b_syncs, -1}});
scenario(sync_truncate, "write-back × truncate", .setup = dirty_file, .after = cut_after,
         .thread = {{"a cuts", b_cuts, -1}, {"b syncs", b_syncs, -1}});

scenario(sync_truncate_write, "write-back × truncate", .setup = dirty_file_two, .after = cut_after,
         .thread = {{"c writes 1", c_writes_file, 1}, {"a cuts", b_cuts, -1}, {"b syncs", b_syncs, -1}});

/* ---- reclaim: of clean pages of files */

thread(b_reclaims) { vm_reclaim(4); }
thread(a_reads_first) { check_eq(get(P, 0), f_word(0)); }
static void read_after(void) {
    check_eq(look(P, 0), f_word(0));
    check(!C || look(C, 0) == f_word(0));
}
scenario(sync_reclaim, "write-back × reclaim", .setup = dirty_file, .after = synced_after,
         .thread = {{"a writes 0", a_writes_first, 0}, {"b syncs", b_syncs, -1}, {"c reclaims", b_reclaims, -1}});
scenario(sync_sync, "write-back × write-back", .setup = dirty_file, .after = synced_after,
         .thread = {{"a writes 0", a_writes_first, 0}, {"b syncs", b_syncs, -1}, {"c syncs", b_syncs, -1}});
scenario(reclaim_fault, "reclaim × fault", .setup = shared_file, .after = read_after,
         .thread = {{"a reads 0", a_reads_first, 0}, {"b reclaims", b_reclaims, -1}});
scenario(reclaim_cached, "reclaim × fault", .setup = cached_file, .after = read_after,
         .thread = {{"a reads 0", a_reads_first, 0}, {"b reclaims", b_reclaims, -1}});
scenario(reclaim_write, "reclaim × fault", .setup = shared_file, .after = synced_after,
         .thread = {{"a writes 0", a_writes_first, 0}, {"b reclaims", b_reclaims, -1}});
scenario(reclaim_fork, "reclaim × fork", .setup = private_file, .after = read_after,
         .thread = {{"a forks", b_forks, 0}, {"b reclaims", b_reclaims, -1}});
scenario(reclaim_exit, "reclaim × exit", .setup = private_file_two, .after = read_after,
         .thread = {{"c exits", c_exits, -1}, {"b reclaims", b_reclaims, -1}});
scenario(reclaim_break, "reclaim × break", .setup = private_file_two, .after = punched_private_after,
         .thread = {{"a writes 1", a_writes_file, 0}, {"b reclaims", b_reclaims, -1}});
scenario(reclaim_unmap, "reclaim × unmap", .setup = shared_file_two,
         .thread = {{"a unmaps", b_unmaps_all, 0}, {"b reclaims", b_reclaims, -1}});
scenario(reclaim_truncate, "reclaim × truncate", .setup = shared_file, .after = cut_after,
         .thread = {{"a cuts", b_cuts, -1}, {"b reclaims", b_reclaims, -1}});

/* The mapping is the last that refers to the file. */
static void only_mapping(void) {
    struct host_file *last = host_file_new('L', PAGE_SIZE, true);
    host_keep(last, sizeof(*last));
    host_keep(last->contents, PAGE_SIZE);
    P = space_create(false);
    map(P, 0, 1, VIEW_READ | VIEW_RANDOM | VIEW_SHARED, last);
    map(P, 3, 1, RW, NULL);
    use(P);
    must_put(P, 3, 1);
    check_eq(get(P, 0), (u64)'L' << 56);
    space_load(NULL);
    host_file_put(last);
}
scenario(reclaim_last_close, "eviction × last close", .setup = only_mapping,
         .thread = {{"a unmaps 0", b_unmaps_0, 0}, {"b reclaims", b_reclaims, -1}});
