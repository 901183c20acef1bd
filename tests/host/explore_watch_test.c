/* explore_watch_test.c - scenarios in memory that somebody watches (vm/watch.h): who waits is woken by who answers, one
 * answer wins, and what is guarded is not written unheard, whatever else goes on. */
#include "scenario.h"

#include "vm/swap.h"

#define SWAP .swap = 16, .share = 2

static struct host_watch watcher;

/* ---- set-ups: pages [0, 4) are watched; 0 and 1 hold 1, 2 is missing */

static void watched(u32 modes) {
    host_keep(&watcher, sizeof(watcher));
    host_watch_start(&watcher, P);
    check_eq(space_watch(P, at(0), 4 << PAGE_SHIFT, &watcher.watch, modes), 0);
}
static void one_watched(void) {
    one();
    watched(WATCH_MISSING | WATCH_GUARDED);
}
static void one_in_tlbs(void) {
    one_watched();
    seen_by(0);
    use(P);
    must_put(P, 0, 1); /* CPU 0 may write, as far as it knows */
}
static void cold_in_tlbs(void) { /* its slot says that it was not used lately */
    one_in_tlbs();
    space_pages_cold(P, PAGE, PAGE + 4);
}
static void without_leaf(void) {
    P = space_create(false);
    map(P, 0, 4, RW, NULL);
    watched(WATCH_MISSING | WATCH_GUARDED);
}
static void two_watched(void) { /* C shares the frames, and watches nothing */
    one_watched();
    C = fork_of(P);
    space_load(NULL);
}
static void guarded(void) {
    one_watched();
    check_eq(space_guard(P, at(0), 2 << PAGE_SHIFT, true), 0);
    space_load(NULL);
}
static void out_watched(void) {
    one_watched();
    out(P);
}
static void guarded_out(void) {
    guarded();
    out(P);
}
static void leaf_watched(void) {
    leaf();
    host_keep(&watcher, sizeof(watcher));
    host_watch_start(&watcher, P);
    check_eq(space_watch(P, at(0), TABLE_SLOTS << PAGE_SHIFT, &watcher.watch, WATCH_GUARDED), 0);
}
/* Shared memory: P watches it, C maps it too and does not. */
#define S (&files[1]->object)
static void shared(u32 modes) {
    P = space_create(false);
    map(P, 0, 4, RW | VIEW_SHARED, files[1]);
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
    C = fork_of(P);
    watched(modes);
    space_load(NULL);
}
static void shared_watched(void) { shared(WATCH_MISSING | WATCH_GUARDED); }
static void shared_minor(void) { /* ... and P's slots are empty */
    shared(WATCH_MINOR);
    check_eq(mem_discard(P, at(0), 4 << PAGE_SHIFT), 0);
}
static void shared_guarded(void) {
    shared_watched();
    check_eq(space_guard(P, at(0), 2 << PAGE_SHIFT, true), 0);
}

/* ---- threads */

/* An access that waits for its answer. */
static enum fault_outcome waits(u64 page, u64 *value, enum fault_access access) {
    enum fault_outcome o = FAULT_WATCHED;
    while (o == FAULT_WATCHED) {
        o = mem_access(P, at(page), value, sizeof(*value), access);
        if (o == FAULT_WATCHED)
            check_eq(space_await(P, at(page), access, true), FAULT_DONE);
    }
    return o;
}
thread(a_waits_for_2) {
    u64 v = 0xbad;
    check_eq(waits(2, &v, FAULT_READ), FAULT_DONE);
    check(v == 5 || v == 6 || v == 0);
}
thread(a_waits_to_write_0) {
    u64 v = 0xa;
    a_got = waits(0, &v, FAULT_WRITE);
}
thread(a_waits_to_write_2) {
    u64 v = 0xa;
    check_eq(waits(2, &v, FAULT_WRITE), FAULT_DONE);
}
thread(a_reads_twice) {
    u64 v = get(P, 0), w = get(P, 0);
    check(v == 1 && w == 1);
}

thread(a_tries_twice) { /* the second time by what its CPU may have cached */
    (void)put(P, 0, 0x1a);
    a_got = put(P, 0, 0xa);
}

static unsigned supplied; /* by how many */
static u64 supplier;
static int supply(enum supply how, u64 value) {
    int error = host_supply(P, at(2), how, value, C != NULL, false);
    if (!error) {
        atomic_store_relaxed(&supplier, value);
        atomic_add(&supplied, 1);
    }
    host_watch_wake(&watcher);
    return error;
}
thread(y_supplies) { check(supply(SUPPLY_PAGE, 6) != -ENOMEM); }
thread(z_supplies) { check(supply(SUPPLY_PAGE, 5) != -ENOMEM); }
thread(y_zeroes) { check(supply(SUPPLY_ZERO, 0) != -ENOMEM); }
thread(z_shows_0) {
    check_eq(host_supply(P, at(0), SUPPLY_CACHED, 0, true, false), 0);
    host_watch_wake(&watcher);
}

/* What page 0 held when its guard stood: nobody may change that unheard. */
static u64 stood;
thread(z_guards) { /* that page alone: a flush for another would do for it, too */
    check_eq(space_guard(P, at(0), PAGE_SIZE, true), 0);
    u64 v = 0;
    check_eq(space_copy(P, at(0), &v, sizeof(v), false, false), sizeof(v));
    atomic_store_relaxed(&stood, v);
}
thread(z_guards_if_there) { (void)space_guard(P, at(0), 2 << PAGE_SHIFT, true); }
thread(z_lets_write) {
    check_eq(space_guard(P, at(0), 2 << PAGE_SHIFT, false), 0);
    host_watch_wake(&watcher);
}
thread(z_forgets) {
    check_eq(space_forget_watch(P, &watcher.watch), 0);
    host_watch_wake(&watcher);
}
thread(b_unwatched_child) { /* what it writes nobody hears of */
    struct space *child = become_child(NEW, P);
    check(get(child, 0) == 1 || get(child, 0) == 0xa);
    must_put(child, 0, 0xb);
    must_put(child, 2, 0xb);
    check_eq(get(child, 0), 0xb);
}
thread(b_outs_2) { space_pages_out(P, PAGE + 2, PAGE + 3); }
thread(b_reclaims) { vm_reclaim(4); }
thread(b_cuts) { host_file_resize(files[1], PAGE_SIZE); }
thread(c_reads_2) { check(get(C, 2) < 7); }
thread(c_cuts_writes) {
    host_file_resize(files[1], 4 * PAGE_SIZE);
    check(put(C, 0, 0xc) == FAULT_DONE);
}

/* ---- what must hold */

static void ends_watch(void) {
    if (P)
        check_eq(space_forget_watch(P, &watcher.watch), 0);
    watch_end(&watcher.watch);
    check_eq(watcher.references, 1);
}
static void supplied_after(void) {
    check_eq(supplied, 1);
    check_eq(look(P, 2), supplier);
    ends_watch();
}
static void written_2_after(void) {
    check_eq(look(P, 2), 0xa);
    ends_watch();
}
static void supplied_or_not_after(void) { /* it may have gone again */
    check(supplied <= 1);
    if (look_outcome(P, 2, FAULT_READ) == FAULT_DONE)
        check_eq(look(P, 2), supplier);
    ends_watch();
}
static void guard_stands(void) {
    check_eq(look(P, 0), stood);
    check_eq(look_outcome(P, 0, FAULT_WRITE), FAULT_WATCHED);
}
static void guarded_after(void) {
    guard_stands();
    check(!C || look(C, 0) == 1 || look(C, 0) == 0xc);
    ends_watch();
}
static void wrote_after(void) {
    check_eq(look(P, 0), 0xa);
    ends_watch();
}
static void one_watched_after(void) {
    one_after();
    ends_watch();
}
static void guarded_one_after(void) {
    check_eq(look_outcome(P, 0, FAULT_WRITE), FAULT_WATCHED);
    one_watched_after();
}
static void gone_after(void) {
    unmapped_after();
    ends_watch();
}
static void missing_after(void) {
    check_eq(look_outcome(P, 0, FAULT_READ), FAULT_WATCHED);
    ends_watch();
}
static void moved_unwatched_after(void) {
    a_got = FAULT_MAPERR;
    moved_after();
    check_eq(look_outcome(P, 8, FAULT_WRITE), FAULT_DONE);
    ends_watch();
}
static void shared_guard_after(void) {
    check_eq(look_outcome(P, 0, FAULT_WRITE), FAULT_WATCHED);
    check(look(C, 0) == look(P, 0));
    ends_watch();
}
static void either_after(void) { ends_watch(); }

/* ---- answers */

scenario(supply_read, "supply × fault", .setup = one_watched, .after = supplied_after,
         .thread = {{"a waits for 2", a_waits_for_2, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_read_no_leaf, "supply × fault", .setup = without_leaf, .after = supplied_after,
         .thread = {{"a waits for 2", a_waits_for_2, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_write, "supply × fault", .setup = one_watched, .after = written_2_after,
         .thread = {{"a waits to write 2", a_waits_to_write_2, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_zero, "supply × fault", .setup = one_watched, .after = written_2_after,
         .thread = {{"a waits to write 2", a_waits_to_write_2, 0}, {"y zeroes", y_zeroes, -1}});
scenario(supply_supply, "supply × supply", .setup = one_watched, .after = supplied_after,
         .thread = {
             {"a waits for 2", a_waits_for_2, 0}, {"y supplies", y_supplies, -1}, {"z supplies", z_supplies, -1}});
scenario(supply_supply_no_leaf, "supply × supply", .setup = without_leaf, .after = supplied_after,
         .thread = {{"y zeroes", y_zeroes, -1}, {"z supplies", z_supplies, -1}});
scenario(supply_fork, "supply × fork", .setup = one_watched, .after = supplied_after,
         .thread = {{"b forks, child writes", b_unwatched_child, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_discard, "supply × discard", .setup = one_watched, .after = supplied_or_not_after,
         .thread = {{"b discards", b_discards, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_unmap, "supply × unmap", .setup = one_watched, .after = gone_after,
         .thread = {{"b unmaps", b_unmaps_all, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_move, "supply × mremap", .setup = one_watched, .after = supplied_or_not_after,
         .thread = {{"b moves", b_moves, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_out, "supply × reclaim", .setup = one_watched, .after = supplied_after, SWAP,
         .thread = {{"b pages out 2", b_outs_2, -1}, {"z supplies", z_supplies, -1}});
scenario(supply_forget, "unwatch × fault", .setup = one_watched, .after = either_after,
         .thread = {{"a waits for 2", a_waits_for_2, 0}, {"z forgets", z_forgets, -1}});
scenario(supply_forget_supply, "unwatch × supply", .setup = one_watched, .after = either_after,
         .thread = {{"y supplies", y_supplies, -1}, {"z forgets", z_forgets, -1}});
scenario(supply_shared, "supply × fault", .setup = shared_watched, .after = supplied_after,
         .thread = {{"a waits for 2", a_waits_for_2, 0}, {"z supplies", z_supplies, -1}});
scenario(supply_shared_supply, "supply × supply", .setup = shared_watched, .after = supplied_after,
         .thread = {{"y zeroes", y_zeroes, -1}, {"z supplies", z_supplies, -1}});
scenario(supply_shared_other, "supply × fault of another", .setup = shared_watched, .after = either_after,
         .thread = {{"a waits for 2", a_waits_for_2, 0}, {"c reads 2", c_reads_2, 1}, {"z supplies", z_supplies, -1}});
scenario(supply_shared_cut, "supply × truncate", .setup = shared_watched, .after = either_after,
         .thread = {{"b cuts", b_cuts, -1}, {"z supplies", z_supplies, -1}});
scenario(supply_shown, "supply × fault", .setup = shared_minor, .after = wrote_after,
         .thread = {{"a waits to write 0", a_waits_to_write_0, 0}, {"z shows 0", z_shows_0, -1}});

/* ---- guards */

scenario(guard_write, "guard × fault", .setup = one_in_tlbs, .after = guarded_after,
         .thread = {{"a tries 0", a_tries_0, 0}, {"z guards", z_guards, -1}});
scenario(guard_read, "guard × fault", .setup = one_watched, .after = guarded_one_after,
         .thread = {{"a reads 0", a_reads_twice, 0}, {"z guards", z_guards, -1}});
scenario(guard_let, "guard × fault", .setup = guarded, .after = wrote_after,
         .thread = {{"a waits to write 0", a_waits_to_write_0, 0}, {"z lets it", z_lets_write, -1}});
scenario(guard_forget, "unwatch × fault", .setup = guarded, .after = wrote_after,
         .thread = {{"a waits to write 0", a_waits_to_write_0, 0}, {"z forgets", z_forgets, -1}});
scenario(guard_fork, "guard × fork", .setup = one_in_tlbs, .after = guarded_one_after,
         .thread = {{"b forks, child writes", b_unwatched_child, 0}, {"z guards", z_guards, -1}});
scenario(guard_fork_guarded, "guard × fork", .setup = guarded, .after = wrote_after,
         .thread = {{"a waits to write 0", a_waits_to_write_0, 0},
                    {"b forks, child writes", b_unwatched_child, 0},
                    {"z lets it", z_lets_write, -1}});
scenario(guard_break, "guard × break", .setup = two_watched, .after = guarded_after,
         .thread = {{"a tries 0", a_tries_0, 0}, {"c writes 0", c_writes_0, 1}, {"z guards", z_guards, -1}});
scenario(guard_exit, "guard × exit", .setup = two_watched, .after = guarded_after,
         .thread = {{"a tries 0", a_tries_0, 0}, {"c exits", c_exits, -1}, {"z guards", z_guards, -1}});
scenario(guard_discard, "guard × discard", .setup = one_watched, .after = missing_after,
         .thread = {{"b discards", b_discards, 0}, {"z guards", z_guards_if_there, -1}});
scenario(guard_unmap, "guard × unmap", .setup = one_watched, .after = gone_after,
         .thread = {{"b unmaps", b_unmaps_all, 0}, {"z guards", z_guards_if_there, -1}});
scenario(guard_protect, "guard × protect", .setup = one_in_tlbs, .after = either_after,
         .thread = {
             {"a tries 0", a_tries_0, 0}, {"b protects 0", b_protects_0, 0}, {"z guards", z_guards_if_there, -1}});
scenario(guard_move, "guard × mremap", .setup = one_watched, .after = moved_unwatched_after,
         .thread = {{"b moves", b_moves, 0}, {"z guards", z_guards_if_there, -1}});
scenario(guard_out, "guard × reclaim", .setup = one_in_tlbs, .after = guarded_one_after, SWAP,
         .thread = {{"b pages out", b_outs_both, -1}, {"z guards", z_guards, -1}});
scenario(guard_out_write, "guard × reclaim", .setup = one_in_tlbs, .after = guarded_after, SWAP,
         .thread = {{"a tries 0", a_tries_0, 0}, {"b pages out", b_outs, -1}, {"z guards", z_guards, -1}});
scenario(guard_out_write_cold, "guard × reclaim", .setup = cold_in_tlbs, .after = guarded_after, SWAP,
         .thread = {{"a tries 0", a_tries_0, 0}, {"b pages out", b_outs, -1}, {"z guards", z_guards, -1}});
scenario(guard_out_write_twice, "guard × reclaim", .setup = one_watched, .after = guarded_after, SWAP,
         .thread = {{"a tries 0 twice", a_tries_twice, 0}, {"b pages out", b_outs, -1}, {"z guards", z_guards, -1}});
scenario(guard_in, "guard × swap-in", .setup = out_watched, .after = guarded_after, SWAP,
         .thread = {{"a tries 0", a_tries_0, 0}, {"z guards", z_guards, -1}});
scenario(guard_in_guarded, "guard × swap-in", .setup = guarded_out, .after = guarded_one_after, SWAP,
         .thread = {{"a reads 0", a_reads_twice, 0}, {"b pages out", b_outs, -1}});
scenario(guard_in_let, "guard × swap-in", .setup = guarded_out, .after = wrote_after, SWAP,
         .thread = {{"a waits to write 0", a_waits_to_write_0, 0}, {"z lets it", z_lets_write, -1}});
scenario(guard_take, "guard × offline", .setup = one_watched, .after = guarded_one_after,
         .thread = {{"b takes the frame", b_takes_frame, -1}, {"z guards", z_guards, -1}});
scenario(guard_collapse, "guard × collapse", .setup = leaf_watched, .after = guarded_one_after, LEAF_BYTES, .share = 4,
         .thread = {{"b collapses", b_collapses, 0}, {"z guards", z_guards, -1}});
scenario(guard_shared, "guard × fault", .setup = shared_watched, .after = shared_guard_after,
         .thread = {{"a tries 0", a_tries_0, 0}, {"z guards", z_guards, -1}});
scenario(guard_shared_evict, "guard × eviction", .setup = shared_guarded, .after = shared_guard_after, SWAP,
         .thread = {{"a reads 0", a_reads_twice, 0}, {"b reclaims", b_reclaims, -1}});
scenario(guard_shared_evict_let, "guard × eviction", .setup = shared_guarded, .after = wrote_after, SWAP,
         .thread = {{"a waits to write 0", a_waits_to_write_0, 0},
                    {"b reclaims", b_reclaims, -1},
                    {"z lets it", z_lets_write, -1}});
scenario(guard_shared_cut, "guard × truncate", .setup = shared_guarded, .after = shared_guard_after,
         .thread = {{"b cuts", b_cuts, -1}, {"c grows, writes 0", c_cuts_writes, 1}});
