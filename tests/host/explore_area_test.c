/* explore_area_test.c - scenarios in which a swap area is emptied (swapoff.c), pages of shared memory go out and come
 * back (evict.c), the compressed tier makes room (zswap.c), and a space is reaped (reap.c). */
#include "scenario.h"

#include "fiber.h"
#include "vm/swap.h"
#include "vm/zswap.h"

#define SWAP .swap = 16
#define AREA SWAP, .bytes = MiB, .share = 4 /* all frames are looked at, pass after pass */

/* ---- swapoff: empty while the others go on, and at the end in any case */

#define PASSES 3u /* steps that area_empty makes with the others on their way; then it waits until they are done */
static unsigned passes, gone;
static int emptied;

static int go_on(void) {
    if (++passes > PASSES)
        for (host_point(HOST_READ, &gone, sizeof(gone)); gone < fiber_count - 2; /* but the test and this one */
             host_point(HOST_READ, &gone, sizeof(gone)))
            machine_pause();
    return 0;
}
thread(empties) { emptied = area_empty(0, go_on); }
static void leave(void) {
    host_point(HOST_WRITE, &gone, sizeof(gone));
    gone++;
}
/* body_beside: a thread that says when it is done. */
#define beside(body)                                                                                                   \
    static void body##_beside(void *argument) {                                                                        \
        body(argument);                                                                                                \
        leave();                                                                                                       \
    }
#define EMPTIES                                                                                                        \
    { "z empties", empties, -1 }

/* `holds`, and nothing of it is in the area, which is open again for what other interleavings begin with. */
static void off(void (*holds)(void)) {
    struct area_state a;
    area_look(0, &a);
    check_eq(emptied, 0);
    check_eq(a.used, 0);
    if (holds)
        holds();
}
#define after_off(holds)                                                                                               \
    static void holds##_off(void) { off(holds); }

#define BESIDE(X)                                                                                                      \
    X(a_reads_0)                                                                                                       \
    X(a_writes_0)                                                                                                      \
    X(a_tries_0)                                                                                                       \
    X(a_exits)                                                                                                         \
    X(a_unmaps_says)                                                                                                   \
    X(b_told_unmapped)                                                                                                 \
    X(b_becomes_child)                                                                                                 \
    X(b_child_writes)                                                                                                  \
    X(b_unmaps_0)                                                                                                      \
    X(b_forbids_0)                                                                                                     \
    X(b_protects_0)                                                                                                    \
    X(b_discards)                                                                                                      \
    X(b_moves)                                                                                                         \
    X(b_collapses)                                                                                                     \
    X(b_outs_both)                                                                                                     \
    X(c_reads_0)                                                                                                       \
    X(c_writes_0)                                                                                                      \
    X(c_exits)                                                                                                         \
    X(g_reads_0)                                                                                                       \
    X(g_writes_0)                                                                                                      \
    X(g_exits)
BESIDE(beside);
static void nothing(void) {}
#define AFTER_OFF(X)                                                                                                   \
    X(nothing)                                                                                                         \
    X(one_after)                                                                                                       \
    X(a_after)                                                                                                         \
    X(c_after)                                                                                                         \
    X(a_and_c_after)                                                                                                   \
    X(three_after)                                                                                                     \
    X(unmapped_after)                                                                                                  \
    X(protected_after)                                                                                                 \
    X(forbidden_after)                                                                                                 \
    X(discarded_after)                                                                                                 \
    X(moved_after)                                                                                                     \
    X(moved_c_after)
AFTER_OFF(after_off);

scenario(off_read, "swapoff × fault", .setup = one_out, .after = one_after_off, AREA,
         .thread = {{"a reads 0", a_reads_0_beside, 0}, EMPTIES});
scenario(off_write, "swapoff × fault", .setup = one_out, .after = a_after_off, AREA,
         .thread = {{"a writes 0", a_writes_0_beside, 0}, EMPTIES});
scenario(off_read_apart, "swapoff × fault", .setup = two_out_apart, .after = one_after_off, AREA,
         .thread = {{"a reads 0", a_reads_0_beside, 0}, {"c reads 0", c_reads_0_beside, 1}, EMPTIES});
scenario(off_write_cached, "swapoff × fault", .setup = two_cached_apart, .after = a_and_c_after_off, AREA,
         .thread = {{"a writes 0", a_writes_0_beside, 0}, {"c writes 0", c_writes_0_beside, 1}, EMPTIES});
scenario(off_fork, "swapoff × fork", .setup = one_out, .after = one_after_off, AREA,
         .thread = {{"b forks, reads", b_becomes_child_beside, 0}, EMPTIES});
scenario(off_fork_child, "swapoff × fork", .setup = one_out, .after = one_after_off, AREA,
         .thread = {{"b forks, child writes 0", b_child_writes_beside, 0}, EMPTIES});
scenario(off_fork_write, "swapoff × fork", .setup = one_out, .after = a_after_off, AREA,
         .thread = {{"a writes 0", a_writes_0_beside, 0}, {"b forks, reads", b_becomes_child_beside, 0}, EMPTIES});
scenario(off_break, "swapoff × break", .setup = two_out, .after = c_after_off, AREA,
         .thread = {{"c writes 0", c_writes_0_beside, 1}, EMPTIES});
scenario(off_break_three, "swapoff × break", .setup = three_out, .after = three_after_off, AREA,
         .thread = {{"a writes 0", a_writes_0_beside, 0},
                    {"c writes 0", c_writes_0_beside, 1},
                    {"g writes 0", g_writes_0_beside, 2},
                    EMPTIES});
scenario(off_exit, "swapoff × exit", .setup = two_out_apart, .after = one_after_off, AREA,
         .thread = {{"c exits", c_exits_beside, -1}, EMPTIES});
scenario(off_exit_last, "swapoff × exit", .setup = one_out, .after = nothing_off, AREA,
         .thread = {{"a exits", a_exits_beside, -1}, EMPTIES});
scenario(off_exit_three, "swapoff × exit", .setup = three_out_apart, .after = one_after_off, AREA,
         .thread = {{"g exits", g_exits_beside, -1}, {"c reads 0", c_reads_0_beside, 1}, EMPTIES});
scenario(off_exit_sharer, "swapoff × exit", .setup = three_out, .after = one_after_off, AREA,
         .thread = {{"c exits", c_exits_beside, -1}, {"g reads 0", g_reads_0_beside, 2}, EMPTIES});
scenario(off_unmap, "swapoff × unmap", .setup = one_out, .after = unmapped_after_off, AREA,
         .thread = {{"b unmaps 0", b_unmaps_0_beside, 0}, EMPTIES});
scenario(off_forbid, "swapoff × protect", .setup = one_out, .after = forbidden_after_off, AREA,
         .thread = {{"b forbids 0", b_forbids_0_beside, 0}, EMPTIES});
scenario(off_protect, "swapoff × protect", .setup = one_out, .after = protected_after_off, AREA,
         .thread = {{"a writes 0", a_tries_0_beside, 0}, {"b protects 0", b_protects_0_beside, 0}, EMPTIES});
scenario(off_discard, "swapoff × discard", .setup = two_out_apart, .after = discarded_after_off, AREA,
         .thread = {{"b discards", b_discards_beside, 0}, EMPTIES});
scenario(off_move, "swapoff × mremap", .setup = one_out, .after = moved_after_off, AREA,
         .thread = {{"a writes 0", a_tries_0_beside, 0}, {"b moves", b_moves_beside, 0}, EMPTIES});
scenario(off_move_sharer, "swapoff × mremap", .setup = two_out_apart, .after = moved_c_after_off, AREA,
         .thread = {{"b moves", b_moves_beside, 0}, {"c writes 0", c_writes_0_beside, 1}, EMPTIES});
scenario(off_out, "swapoff × reclaim", .setup = one, .after = one_after_off, AREA,
         .thread = {{"b pages out", b_outs_both_beside, -1}, EMPTIES});
scenario(off_out_cached, "swapoff × reclaim", .setup = two_cached_apart, .after = one_after_off, AREA,
         .thread = {{"b pages out", b_outs_both_beside, -1}, {"c reads 0", c_reads_0_beside, 1}, EMPTIES});
scenario(off_out_write, "swapoff × reclaim", .setup = one, .after = a_after_off, AREA,
         .thread = {{"a writes 0", a_writes_0_beside, 0}, {"b pages out", b_outs_both_beside, -1}, EMPTIES});

/* A table that is kept ready goes while the scan looks at its frame: to be another table, or something else. */
thread(a_renews_table) {
    tables_drain();
    table_retire(table_create(1));
}
thread(a_drains_writes_2) { /* the frame that was freed last comes first */
    tables_drain();
    must_put(P, 2, 0xa);
}
beside(a_renews_table);
beside(a_drains_writes_2);
scenario(off_renew_table, "swapoff × free of a table kept ready", .setup = one_out, .after = one_after_off,
         .thread = {{"a renews a table", a_renews_table_beside, -1}, EMPTIES}, .swap = 16, .bytes = MiB);
scenario(off_drain_write, "swapoff × free of a table kept ready", .setup = one_out, .after = one_after_off,
         .thread = {{"a drains, writes 2", a_drains_writes_2_beside, 0}, EMPTIES}, .swap = 16, .bytes = MiB);

scenario(off_collapse, "swapoff × collapse", .setup = leaf_out, .after = one_after_off,
         .thread = {{"b collapses", b_collapses_beside, 0}, EMPTIES}, .swap = 16, LEAF_BYTES, .share = 16);
scenario(off_collapse_write, "swapoff × collapse", .setup = leaf_out, .after = a_after_off,
         .thread = {{"a writes 0", a_writes_0_beside, 0}, {"b collapses", b_collapses_beside, 0}, EMPTIES}, .swap = 16,
         LEAF_BYTES, .share = 16);

/* What is withheld has no translation left; what reclaim has just withdrawn may. */
static void one_seen(void) {
    one();
    space_load(NULL);
    seen_by(1);
}
scenario(off_told_unmap, "swapoff × unmap", .setup = one_seen, .after = unmapped_after_off, AREA,
         .thread = {{"a unmaps 0", a_unmaps_says_beside, 0},
                    {"b reads 0", b_told_unmapped_beside, 0},
                    {"c pages out", b_outs_both_beside, -1},
                    EMPTIES});

/* ---- shared memory: pages 0 and 1 of S hold 1, P maps them at 0 */

#define S files[1]
static void shm(void) {
    P = space_create(false);
    map(P, 0, 2, RW | VIEW_RANDOM | VIEW_SHARED, S);
    map(P, 3, 1, RW, NULL);
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
    must_put(P, 3, 1);
    space_load(NULL);
}
static void shm_out(void) {
    shm();
    out(P);
    check_eq(S->object.swapped, 2);
}
static void shm_two_out(void) {
    shm_out();
    C = fork_of(P);
}
static void shm_in(void) { /* the frame is there, and keeps its slot */
    shm_out();
    use(P);
    check_eq(get(P, 0), 1);
    check_eq(get(P, 1), 1);
    space_load(NULL);
}
thread(b_cuts) { host_file_resize(S, PAGE_SIZE); }
thread(b_punches) { host_file_punch(S, 1, 2); }
thread(a_reads_1) {
    u64 v = 1;
    enum fault_outcome got = try_get(P, 1, &v);
    check(got == FAULT_BUS_ADRERR || (got == FAULT_DONE && v <= 1));
}
thread(a_writes_1) { a_got = put(P, 1, 0xa); }
static void cut_after(void) {
    check_eq(look_outcome(P, 1, FAULT_READ), FAULT_BUS_ADRERR);
    check_eq(look(P, 0), 1);
}
static void punched_after(void) {
    u64 v = look(P, 1);
    check(v == 0 || v == 0xa);
    check_eq(look(P, 0), 1);
}
static void a_for_all_after(void) {
    check_eq(look(P, 0), 0xa);
    check(!C || look(C, 0) == 0xa);
}
beside(b_cuts);
beside(a_reads_1);
beside(b_punches);
after_off(cut_after);
after_off(punched_after);
after_off(a_for_all_after);

thread(c_sees_0) {
    u64 v = get(C, 0);
    check(v == 1 || v == 0xa);
}
scenario(shm_out_read, "write-out of an object's page × fault", .setup = shm, .after = one_after, SWAP,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b pages out", b_outs_both, -1}});
scenario(shm_out_write, "write-out of an object's page × fault", .setup = shm, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages out", b_outs, -1}});
scenario(shm_out_again, "write-out of an object's page × fault", .setup = shm_in, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages out", b_outs_both, -1}});
thread(a_stores_0) { host_file_write(S, 0, 0xa); }
scenario(shm_out_store, "write-out of an object's page × write(2)", .setup = shm, .after = a_after, SWAP,
         .thread = {{"a stores 0", a_stores_0, -1}, {"b pages out", b_outs, -1}});
scenario(shm_out_truncate, "write-out of an object's page × truncate", .setup = shm, .after = cut_after, SWAP,
         .thread = {{"b cuts", b_cuts, -1}, {"c pages out", b_outs_both, -1}});
scenario(shm_out_punch, "write-out of an object's page × truncate", .setup = shm, .after = punched_after, SWAP,
         .thread = {{"a writes 1", a_writes_1, 0}, {"b punches", b_punches, -1}, {"c pages out", b_outs_both, -1}});
scenario(shm_in_in, "an object's swap-in × swap-in", .setup = shm_two_out, .after = a_for_all_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c reads 0", c_sees_0, 1}});
scenario(shm_in_out, "an object's swap-in × write-out", .setup = shm_out, .after = a_after, SWAP,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages out", b_outs, -1}});
scenario(shm_in_truncate, "an object's swap-in × truncate", .setup = shm_out, .after = cut_after, SWAP,
         .thread = {{"a reads 1", a_reads_1, 0}, {"b cuts", b_cuts, -1}});
scenario(shm_in_truncate_write, "an object's swap-in × truncate", .setup = shm_out, .after = cut_after, SWAP,
         .thread = {{"a writes 1", a_writes_1, 0}, {"b cuts", b_cuts, -1}, {"c pages out", b_outs_both, -1}});
scenario(shm_in_punch, "an object's swap-in × truncate", .setup = shm_out, .after = punched_after, SWAP,
         .thread = {{"a reads 1", a_reads_1, 0}, {"b punches", b_punches, -1}});
/* The read fails, perhaps for a page that is to go. */
static void shm_unreadable(void) {
    shm_out();
    host_swap.fail_reads = 2; /* with the next one, and alone */
}
static void readable_cut_after(void) {
    host_swap.fail_reads = 0;
    cut_after();
}
thread(a_fails_1) { check(put(P, 1, 0xa) != FAULT_NOMEM); }
scenario(shm_in_truncate_error, "an object's swap-in × truncate", .setup = shm_unreadable, .after = readable_cut_after,
         SWAP, .thread = {{"a writes 1", a_fails_1, 0}, {"b cuts", b_cuts, -1}});

/* Nobody has the memory but P, who gives it up. */
static void shm_only_mapping(void) {
    struct host_file *last = host_file_new('L', PAGE_SIZE, false);
    host_keep(last, sizeof(*last));
    P = space_create(false);
    map(P, 0, 1, RW | VIEW_RANDOM | VIEW_SHARED, last);
    map(P, 3, 1, RW, NULL);
    use(P);
    must_put(P, 3, 1);
    must_put(P, 0, 1);
    space_load(NULL);
    host_file_put(last);
}
scenario(shm_out_last_close, "write-out of an object's page × last close", .setup = shm_only_mapping, SWAP,
         .thread = {{"a unmaps 0", b_unmaps_0, 0}, {"b pages out", b_outs, -1}});

scenario(off_shm_write, "swapoff × fault", .setup = shm_two_out, .after = a_for_all_after_off, AREA,
         .thread = {{"a writes 0", a_writes_0_beside, 0}, EMPTIES});
scenario(off_shm_truncate, "swapoff × truncate", .setup = shm_out, .after = cut_after_off, AREA,
         .thread = {{"a reads 1", a_reads_1_beside, 0}, {"b cuts", b_cuts_beside, -1}, EMPTIES});
scenario(off_shm_kept, "swapoff × truncate", .setup = shm_in, .after = cut_after_off, AREA,
         .thread = {{"b cuts", b_cuts_beside, -1}, EMPTIES});
scenario(off_shm_punch, "swapoff × truncate", .setup = shm_out, .after = punched_after_off, AREA,
         .thread = {{"b punches", b_punches_beside, -1}, EMPTIES});
scenario(off_shm_out, "swapoff × reclaim", .setup = shm, .after = one_after_off, AREA,
         .thread = {{"b pages out", b_outs_both_beside, -1}, EMPTIES});

/* ---- the compressed tier: a pool of one frame, in which one of these pages has room, and a second has none */

#define TIER SWAP, .zswap = 1
#define DENSE 300u /* words that do not compress; word 0 is the page's value */
static u64 word(unsigned n) { return n && n < DENSE ? n * 0x9e3779b97f4a7c15ULL : 1; }
static void scribble(struct space *s, u64 page) {
    u64 words[PAGE_SIZE / sizeof(u64)];
    for (unsigned n = 0; n < array_count(words); n++)
        words[n] = word(n);
    check_eq(mem_access(s, at(page), words, PAGE_SIZE, FAULT_WRITE), FAULT_DONE);
}
static void expect(struct space *s, u64 page) {
    u64 words[PAGE_SIZE / sizeof(u64)];
    use(s);
    check_eq(mem_access(s, at(page), words, PAGE_SIZE, FAULT_READ), FAULT_DONE);
    for (unsigned n = 1; n < array_count(words); n++) /* word 0 may have been written */
        check_eq(words[n], word(n));
}
static void tier_holds(unsigned pages) {
    struct zswap_totals t;
    zswap_totals(&t);
    check_eq(t.pages, pages);
}
/* Page 0 is in the tier, page 1 in memory. */
static void tier(void) {
    one();
    scribble(P, 0);
    scribble(P, 1);
    space_load(NULL);
    space_pages_out(P, PAGE, PAGE + 1);
    tier_holds(1);
    explore_ready();
}
static void tier_two(void) {
    tier();
    C = fork_of(P);
}
static void tier_two_apart(void) {
    tier_two();
    part(P, 2);
    space_load(NULL);
}
/* Page 0 of C, who is no child, takes the room. */
static void tier_stranger(void) {
    tier();
    C = space_create(false);
    map(C, 0, 4, RW, NULL);
    use(C);
    scribble(C, 0);
    must_put(C, 1, 1);
    space_load(NULL);
    explore_ready();
}
thread(b_outs_1) { space_pages_out(P, PAGE + 1, PAGE + 2); }
thread(c_outs_0) { space_pages_out(C, PAGE, PAGE + 1); }
static void whole_after(void) {
    expect(P, 0);
    expect(P, 1);
    check(!C || look(C, 0) == 1 || look(C, 0) == 0xc);
}
static void second_after(void) { expect(P, 1); }
static void stranger_after(void) { expect(C, 0); }
after_off(whole_after);
after_off(second_after);

scenario(tier_out_read, "zswap spill × swap-in", .setup = tier, .after = whole_after, TIER,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b pages 1 out", b_outs_1, -1}});
scenario(tier_out_write, "zswap spill × swap-in", .setup = tier, .after = whole_after, TIER,
         .thread = {{"a writes 0", a_writes_0, 0}, {"b pages 1 out", b_outs_1, -1}});
scenario(tier_out_two, "zswap spill × swap-in", .setup = tier_two_apart, .after = whole_after, TIER,
         .thread = {{"a writes 0", a_writes_0, 0}, {"c writes 0", c_writes_0, 1}, {"b pages 1 out", b_outs_1, -1}});
scenario(tier_out_discard, "zswap spill × free", .setup = tier, .after = second_after, TIER,
         .thread = {{"b unmaps 0", b_unmaps_0, 0}, {"c pages 1 out", b_outs_1, -1}});
scenario(tier_out_exit, "zswap spill × free", .setup = tier_stranger, .after = stranger_after, TIER,
         .thread = {{"a exits", a_exits, -1}, {"c pages 0 out", c_outs_0, -1}});
scenario(tier_out_exit_two, "zswap spill × free", .setup = tier_two_apart, .after = whole_after, TIER,
         .thread = {{"c exits", c_exits, -1}, {"a reads 0", a_reads_0, 0}, {"b pages 1 out", b_outs_1, -1}});
scenario(tier_out_fork, "zswap spill × fork", .setup = tier, .after = whole_after, TIER,
         .thread = {{"b forks, child writes 0", b_child_writes, 0}, {"c pages 1 out", b_outs_1, -1}});
thread(a_overwrites_0) { /* and out again, while the old contents are spilt */
    must_put(P, 0, 0xa);
    space_pages_out(P, PAGE, PAGE + 1);
}
scenario(tier_out_again, "zswap spill × reuse", .setup = tier, .after = whole_after, TIER,
         .thread = {{"a writes 0, pages it out", a_overwrites_0, 0}, {"b pages 1 out", b_outs_1, -1}});
scenario(tier_in_in, "swap-in × swap-in", .setup = tier_two_apart, .after = whole_after, TIER,
         .thread = {{"a reads 0", a_reads_0, 0}, {"c writes 0", c_writes_0, 1}});

thread(c_writes_1) { (void)put(C, 1, 0xc); }
/* Nothing is below: page 1 is refused, for the pool has no room, until page 0 goes. */
#define BARE TIER, .no_device = true
scenario(bare_out_read, "zswap refusal × fault", .setup = tier, .after = whole_after, BARE,
         .thread = {{"a reads 0", a_reads_0, 0}, {"b pages 1 out", b_outs_1, -1}});
scenario(bare_out_write, "zswap refusal × fault", .setup = tier, .after = whole_after, BARE,
         .thread = {{"a writes 1", a_writes_1, 0}, {"b pages 1 out", b_outs_1, -1}});
scenario(bare_out_two, "zswap refusal × fault", .setup = tier_two_apart, .after = whole_after, BARE,
         .thread = {{"a writes 1", a_writes_1, 0}, {"c writes 1", c_writes_1, 1}, {"b pages 1 out", b_outs_1, -1}});
/* ... and if page 0 goes just then, page 1 does not wait for another to go. */
static void room_after(void) {
    struct zswap_totals t;
    zswap_totals(&t);
    check(t.frames || !zswap_stuck());
    expect(P, 1);
}
scenario(bare_out_discard, "zswap refusal × free", .setup = tier, .after = room_after, BARE,
         .thread = {{"b unmaps 0", b_unmaps_0, 0}, {"c pages 1 out", b_outs_1, -1}});
/* Refused before, and tried again while somebody writes to it and there is room, or is not. */
static void kept(void) {
    tier_two_apart();
    space_pages_out(P, PAGE + 1, PAGE + 2);
    explore_ready();
}
static void kept_after(void) {
    expect(P, 1);
    expect(C, 1);
}
scenario(bare_again_write, "zswap refusal × fault", .setup = kept, .after = kept_after, BARE,
         .thread = {{"a writes 1", a_writes_1, 0}, {"b unmaps 0", b_unmaps_0, 0}, {"c pages 1 out", b_outs_1, -1}});
scenario(bare_again_two, "zswap refusal × fault", .setup = kept, .after = kept_after, BARE,
         .thread = {{"a writes 1", a_writes_1, 0}, {"c writes 1", c_writes_1, 1}, {"b pages 1 out", b_outs_1, -1}});
scenario(bare_again_exit, "zswap refusal × free", .setup = kept, .after = second_after, BARE,
         .thread = {{"c exits", c_exits, -1}, {"a writes 1", a_writes_1, 0}, {"b pages 1 out", b_outs_1, -1}});
beside(b_outs_1);
scenario(tier_off, "swapoff × zswap", .setup = tier, .after = whole_after_off, AREA, .zswap = 1,
         .thread = {{"a reads 0", a_reads_0_beside, 0}, {"b pages 1 out", b_outs_1_beside, -1}, EMPTIES});
scenario(tier_off_free, "swapoff × zswap", .setup = tier, .after = second_after_off, AREA, .zswap = 1,
         .thread = {{"b unmaps 0", b_unmaps_0_beside, 0}, EMPTIES});

/* ---- the reaper: P's private memory goes, at once or not at all (somebody has the range) */

static int reaped;
thread(reaps) { reaped = space_reap(P); }
#define REAPS                                                                                                          \
    { "z reaps", reaps, -1 }
static void reaped_after(void) {
    check(!reaped || reaped == -EAGAIN);
    if (!reaped)
        check_eq(look_outcome(P, 0, FAULT_READ), FAULT_MAPERR);
    check(!C || look(C, 0) == 1 || look(C, 0) == 0xc);
    check(!G || look(G, 0) == 1 || look(G, 0) == 0x9);
}
static void reaped_or_a_after(void) {
    reaped_after();
    if (reaped)
        check_eq(look(P, 0), a_got == FAULT_DONE ? 0xa : 1);
}
thread(b_may_become_child) {
    struct space *child = become_child(NEW, P);
    u64 v = 1, w = 1;
    enum fault_outcome first = try_get(child, 0, &v), second = try_get(child, 0, &w);
    check(first == second && (first == FAULT_DONE || first == FAULT_MAPERR));
    check(v == w && (v == 1 || v == 0xa));
}
thread(a_walks) {
    struct space_resident has;
    space_resident(P, &has);
    check(has.anon <= 3);
}
static void one_with_shm(void) { /* in one leaf */
    one();
    map(P, 5, 1, RW | VIEW_RANDOM | VIEW_SHARED, S);
    must_put(P, 5, 5);
    C = fork_of(P);
    space_load(NULL);
}
static void reaped_but_shm_after(void) {
    reaped_after();
    check_eq(look(P, 5), 5);
}
scenario(reap_fault, "OOM × fault", .setup = one, .after = reaped_or_a_after,
         .thread = {{"a writes 0", a_tries_0, 0}, REAPS});
scenario(reap_fault_two, "OOM × fault", .setup = two, .after = reaped_or_a_after,
         .thread = {{"a writes 0", a_tries_0, 0}, {"c writes 0", c_writes_0, 1}, REAPS});
scenario(reap_break_three, "OOM × fault of a sharer", .setup = three, .after = reaped_after,
         .thread = {{"c writes 0", c_writes_0, 1}, {"g writes 0", g_writes_0, 2}, REAPS});
scenario(reap_fork, "OOM × fork", .setup = one, .after = reaped_or_a_after,
         .thread = {{"a writes 0", a_tries_0, 0}, {"b forks, reads", b_may_become_child, 0}, REAPS});
scenario(reap_exit, "OOM × exit", .setup = two, .after = reaped_after, .thread = {{"c exits", c_exits, -1}, REAPS});
scenario(reap_exit_three, "OOM × exit", .setup = three, .after = reaped_after,
         .thread = {{"c exits", c_exits, -1}, {"g writes 0", g_writes_0, 2}, REAPS});
scenario(reap_mixed, "OOM × fault", .setup = one_with_shm, .after = reaped_but_shm_after,
         .thread = {{"a writes 0", a_tries_0, 0}, {"c exits", c_exits, -1}, REAPS});
scenario(reap_walk, "OOM × walk", .setup = two, .after = reaped_after, .thread = {{"a walks", a_walks, -1}, REAPS});
scenario(reap_out, "OOM × reclaim", .setup = two, .after = reaped_after, SWAP,
         .thread = {{"b pages out", b_outs_both, -1}, REAPS});
scenario(reap_in, "OOM × fault", .setup = one_out, .after = reaped_or_a_after, SWAP,
         .thread = {{"a writes 0", a_tries_0, 0}, REAPS});
scenario(reap_unmap, "OOM × unmap", .setup = one_out, .after = unmapped_after, SWAP,
         .thread = {{"b unmaps 0", b_unmaps_0, 0}, REAPS});
thread(reaps_beside) {
    reaped = space_reap(P);
    leave();
}
after_off(reaped_after);
scenario(reap_off, "OOM × swapoff", .setup = two_out_apart, .after = reaped_after_off, AREA,
         .thread = {{"y reaps", reaps_beside, -1}, {"c reads 0", c_reads_0_beside, 1}, EMPTIES});
