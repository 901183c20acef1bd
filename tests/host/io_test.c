/* io_test.c - what is under way at a device: requests that wait until the test answers, in another order, late or with
 * an error; and the Nth request failing, for every N, under every operation that makes requests.
 *
 * Nothing here waits for time: the device is a task that goes on when so many requests have arrived. */
#include "host.h"
#include "vm/inner.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)
#define PAGES 80

static struct space *s;
static struct host_file *file;
static struct host_count before;
static enum fault_outcome outcome[2];
static u64 seen[2];
static int result;

static void map(u64 page, u64 pages, u32 flags, u64 index) {
    struct map_request r = {.address = page << PAGE_SHIFT,
                            .bytes = pages << PAGE_SHIFT,
                            .flags = flags,
                            .how = MAP_AT,
                            .file = &file->file,
                            .offset = index << PAGE_SHIFT};
    check_eq(space_map(s, &r), r.address);
}
static u64 word_of(u64 index) { return (u64)'A' << 56 | index << 16; }

static void begin(u64 swap) {
    machine_start((struct host_config){.cpus = 3, .swap = swap});
    host_settle();
    before = host_count();
    file = host_file_new('A', PAGES * PAGE_SIZE, true);
    s = space_create(false);
    check(s && file);
    space_load(s);
    map(AT, PAGES, RW | VIEW_SHARED, 0);
    map(AT + 100, PAGES, RW, 0);
}

static void end(void) {
    host_io_hold(false);
    host_check();
    for (unsigned c = 0; c < cpu_count; c++) {
        host_cpu(c);
        space_load(NULL);
    }
    space_put(s);
    check_eq(file->references, 1);
    host_file_put(file);
    check_no_leak(before);
}

/* ---- tasks. Their argument: a page */

static void reads(void *page) {
    unsigned who = outcome[0] == FAULT_NOMEM ? 0 : 1;
    outcome[who] = FAULT_DONE;
    outcome[who] = mem_read(s, (AT + (u64)page) << PAGE_SHIFT, &seen[who]);
}
static void writes(void *page) { check_eq(mem_write(s, (AT + (u64)page) << PAGE_SHIFT, 222), FAULT_DONE); }
static void unmaps(void *page) {
    host_io_wait(1);
    check_eq(space_unmap(s, (AT + (u64)page) << PAGE_SHIFT, PAGE_SIZE), 0);
}
static void truncates(void *page) {
    host_io_wait(1);
    host_file_resize(file, (u64)page * PAGE_SIZE);
}
static void syncs(void *page) { result = object_sync(&file->object, (u64)page, (u64)page + 1); }

static void some_time(void) {
    for (u64 n = rnd_below(20); n; n--)
        fiber_yield();
}
static void answer_all(void) {
    while (host_io_waiting())
        host_io_answer(host_io_waiting() - 1, 0); /* the last one first */
    host_io_hold(false);
}
static void answers_late(void *requests) {
    host_io_wait((unsigned)(u64)requests);
    some_time();
    answer_all();
}
static void fails_first(void *unused argument) {
    host_io_wait(1);
    some_time();
    host_io_answer(0, -EIO);
    answer_all();
}

static void go(void (*device)(void *), u64 requests, void (*one)(void *), u64 a, void (*other)(void *), u64 b) {
    outcome[0] = outcome[1] = FAULT_NOMEM; /* nobody has begun */
    host_io_hold(true);
    fiber_add("device", device, (void *)requests, NULL);
    fiber_add("one", one, (void *)a, s);
    if (other)
        fiber_add("other", other, (void *)b, s);
    fibers_run(6);
    host_io_hold(false);
}

test_seeds(io_two_faults_make_one_request, 30) {
    begin(0);
    go(answers_late, 1, reads, 7, reads, 7);
    check_eq(outcome[0], FAULT_DONE);
    check_eq(outcome[1], FAULT_DONE);
    check_eq(seen[0] + seen[1], 2 * word_of(7));
    check_eq(file->fills, 1);
    end();
}

test_seeds(io_answers_in_another_order, 30) {
    begin(0);
    go(answers_late, 2, reads, 3, reads, 140);
    check_eq(outcome[0], FAULT_DONE);
    check_eq(outcome[1], FAULT_DONE);
    check_eq(seen[0] + seen[1], word_of(3) + word_of(40));
    end();
}

test_seeds(io_error_reaches_who_waits_and_nobody_later, 30) {
    begin(0);
    go(fails_first, 0, reads, 7, reads, 9);
    check(outcome[0] == FAULT_BUS_ADRERR || outcome[1] == FAULT_BUS_ADRERR);
    check(outcome[0] == FAULT_BUS_ADRERR || seen[0] == word_of(7) || seen[0] == word_of(9));
    u64 value;
    check_eq(mem_read(s, (AT + 7) << PAGE_SHIFT, &value), FAULT_DONE);
    check_eq(value, word_of(7));
    end();
}

test_seeds(io_truncate_waits_for_what_is_being_read, 30) {
    begin(0);
    go(answers_late, 1, reads, 7, truncates, 2);
    check(outcome[0] == FAULT_BUS_ADRERR || (outcome[0] == FAULT_DONE && seen[0] == word_of(7)));
    check(file->object.cached <= 2);
    u64 value;
    check_eq(mem_read(s, (AT + 7) << PAGE_SHIFT, &value), FAULT_BUS_ADRERR);
    end();
}

test_seeds(io_page_unmapped_while_it_is_read, 30) {
    begin(0);
    go(answers_late, 1, reads, 7, unmaps, 7);
    check(outcome[0] == FAULT_MAPERR || (outcome[0] == FAULT_DONE && seen[0] == word_of(7)));
    struct space_usage u;
    space_usage(s, (AT + 7) << PAGE_SHIFT, (AT + 8) << PAGE_SHIFT, &u);
    check_eq(u.file, 0);
    end();
}

test_seeds(io_write_while_it_is_stored_is_stored_later, 30) {
    begin(0);
    check_eq(mem_write(s, (AT + 5) << PAGE_SHIFT, 111), FAULT_DONE);
    go(answers_late, 1, syncs, 5, writes, 5);
    check_eq(result, 0);
    const u64 *stored = (u64 *)(file->contents + 5 * PAGE_SIZE);
    check(*stored == 111 || *stored == 222);
    check_eq(object_sync(&file->object, 0, PAGES), 0);
    check_eq(*stored, 222);
    check_eq(file->object.dirty, 0);
    end();
}

test_seeds(io_page_that_could_not_be_stored_stays_dirty, 30) {
    begin(0);
    check_eq(mem_write(s, (AT + 5) << PAGE_SHIFT, 111), FAULT_DONE);
    go(fails_first, 0, syncs, 5, writes, 6);
    check_eq(result, -EIO);
    check_eq(file->object.error, -EIO);
    check_eq(file->object.dirty, 2);
    check_eq(object_sync(&file->object, 0, PAGES), 0);
    check_eq(*(u64 *)(file->contents + 5 * PAGE_SIZE), 111);
    check_eq(*(u64 *)(file->contents + 6 * PAGE_SIZE), 222);
    end();
}

/* ---- the Nth request fails, for every N */

static u64 at(u64 page) { return (AT + page) << PAGE_SHIFT; }
static long of(enum fault_outcome o) { return o == FAULT_DONE ? 0 : o == FAULT_BUS_ADRERR ? -EIO : -(long)o; }

static void untouched(void) {}
static void dirty(void) {
    for (u64 i = 0; i < 6; i++)
        check_eq(mem_write(s, at(i * 11), 500 + i), FAULT_DONE);
}
static void swapped(void) {
    struct map_request r = {.address = at(200), .bytes = 40 * PAGE_SIZE, .flags = RW, .how = MAP_AT};
    check_eq(space_map(s, &r), r.address);
    for (u64 i = 0; i < 40; i++)
        check_eq(mem_write(s, at(200 + i), 700 + i), FAULT_DONE);
    for (unsigned i = 0; i < 4; i++)
        vm_reclaim(frame_count);
}

static long act_read(void) {
    u64 value;
    return of(mem_read(s, at(7), &value));
}
static long act_write_shared(void) { return of(mem_write(s, at(33), 5)); }
static long act_write_private(void) { return of(mem_write(s, at(133), 5)); }
static long act_populate(void) { return space_populate(s, at(100), 40 * PAGE_SIZE, true); }
static long act_fill(void) { return space_fill(s, at(0), 40 * PAGE_SIZE); }
static long act_map_filled(void) {
    struct map_request r = {
        .address = at(300), .bytes = 40 * PAGE_SIZE, .flags = RW, .how = MAP_AT | MAP_FILL, .file = &file->file};
    u64 value;
    check_eq(space_map(s, &r), r.address); /* never an error */
    long error = host_io_failed() ? -EIO : 0;
    check_eq(mem_read(s, at(339), &value), FAULT_DONE);
    check_eq(value, word_of(39));
    return error;
}
static long act_copy(void) {
    u64 word;
    ssize_t n = space_copy(s, at(20), &word, sizeof(word), false, false);
    return n == sizeof(word) ? 0 : n;
}
static long act_object(void) {
    struct frame *f;
    int error = object_get(&file->object, 31, OBJECT_WRITE, &f);
    if (!error)
        frame_unpin(f);
    return error;
}
static long act_sync(void) { return space_sync(s, at(0), PAGES * PAGE_SIZE, SYNC_WRITE); }
static long act_object_sync(void) { return object_sync(&file->object, 0, PAGES); }
static long act_swap_in(void) {
    u64 value;
    return of(mem_read(s, at(203), &value));
}
static long act_swap_in_write(void) { return of(mem_write(s, at(203), 703)); }
static long act_swap_fill(void) { return space_fill(s, at(200), 40 * PAGE_SIZE); }
static long act_move_swapped(void) {
    return min(space_remap(s, at(200), 40 * PAGE_SIZE, 40 * PAGE_SIZE, REMAP_MAY_MOVE | REMAP_FIXED, at(200) + 5 * GiB),
               0L);
}
static long act_reclaim(void) {
    for (unsigned i = 0; i < 4; i++)
        vm_reclaim(frame_count);
    return host_io_failed() ? -EIO : 0; /* it has no answer: what could not be written stays */
}

static const struct {
    const char *name;
    void (*prepare)(void);
    long (*act)(void);
    long error;
} failing[] = {
    {"read", untouched, act_read, -EIO},
    {"write shared", untouched, act_write_shared, -EIO},
    {"write private", untouched, act_write_private, -EIO},
    {"populate", untouched, act_populate, -EFAULT},
    {"fill", untouched, act_fill, -EFAULT},
    {"map filled", untouched, act_map_filled, -EIO},
    {"copy", untouched, act_copy, -EFAULT},
    {"object", untouched, act_object, -EIO},
    {"sync", dirty, act_sync, -EIO},
    {"object sync", dirty, act_object_sync, -EIO},
    {"swap in", swapped, act_swap_in, -EIO},
    {"swap in to write", swapped, act_swap_in_write, -EIO},
    {"fill swapped", swapped, act_swap_fill, -EFAULT},
    {"move swapped", swapped, act_move_swapped, 0},
    {"reclaim", dirty, act_reclaim, -EIO},
};

/* The contents are what they were, wherever the operation stopped. */
static void verify(unsigned which) {
    u64 value;
    for (u64 i = 0; i < PAGES; i++) {
        bool written = failing[which].prepare == dirty && i % 11 == 0 && i / 11 < 6;
        check_eq(mem_read(s, at(i), &value), FAULT_DONE);
        if (i != 33)
            check_eq(value, written ? 500 + i / 11 : word_of(i));
    }
    bool moved = failing[which].act == act_move_swapped;
    for (u64 i = 0; failing[which].prepare == swapped && i < 40; i++) {
        check_eq(mem_read(s, at(200 + i) + (moved ? 5 * GiB : 0), &value), FAULT_DONE);
        check_eq(value, 700 + i);
    }
}

/* fail_nth: one run on a machine of its own; false: fewer than n requests were made. */
static void fail_nth(unsigned which, u64 n) {
    begin(failing[which].prepare == untouched ? 0 : 200);
    failing[which].prepare();
    host_io_fail_at(n);
    long got = failing[which].act();
    bool failed = host_io_failed();
    host_io_fail_at(0);
    host_check();
    if (got || !failed || failing[which].prepare != swapped) /* neighbours read ahead may fail unseen */
        check_eq(got, failed ? failing[which].error : 0);
    if (failed)
        check(failing[which].act() <= 0);
    host_check();
    verify(which);
    host_io_hold(false);
    space_load(NULL);
    space_put(s);
    vm_reclaim(2 * frame_count);
    check_eq(file->references, 1);
    check_eq(object_sync(&file->object, 0, PAGES), 0);
    host_file_put(file);
    check_no_leak(before);
}

/* Seed k: operation k / 8, request k % 8 + 1. */
test_seeds(io_each_request_may_fail, array_count(failing) * 8) { fail_nth(test_seed / 8, test_seed % 8 + 1); }
