/* io_test.c - what is under way at a device: requests that wait until the test answers, in another order, late or with
 * an error. That the Nth one fails is nth_test.c's.
 *
 * Nothing here waits for time: the device is a task that goes on when so many requests have arrived. */
#include "host.h"
#include "lib/errseq.h"
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
    check_eq(file->object.errors & ERRSEQ_ERROR, EIO);
    check_eq(file->object.dirty, 2);
    check_eq(object_sync(&file->object, 0, PAGES), 0);
    check_eq(*(u64 *)(file->contents + 5 * PAGE_SIZE), 111);
    check_eq(*(u64 *)(file->contents + 6 * PAGE_SIZE), 222);
    end();
}
