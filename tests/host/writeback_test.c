/* writeback_test.c - dirty pages of files go back without being asked: by age, by number, when memory is short; who has
 * to wait for it; and what becomes of errors. */
#include "vm/writeback.h"
#include "host.h"
#include "lib/errseq.h"
#include "vm/inner.h"

#define AT 0x10000ULL
#define RW (VIEW_READ | VIEW_WRITE)
#define S 1000000000ULL

static struct space *s;
static struct host_file *first, *second;
static bool done;

static void map_file(struct host_file *f, u64 page, u64 pages) {
    struct map_request r = {.address = page << PAGE_SHIFT,
                            .bytes = pages << PAGE_SHIFT,
                            .flags = RW | VIEW_SHARED,
                            .file = &f->file,
                            .how = MAP_AT};
    check_eq(space_map(s, &r), r.address);
}

static void begin(u64 pages) {
    machine_start((struct host_config){.cpus = 2, .bytes = 4 * MiB});
    first = host_file_new('A', pages * PAGE_SIZE, true);
    second = host_file_new('B', pages * PAGE_SIZE, true);
    s = space_create(false);
    check(s);
    space_load(s);
    map_file(first, AT, pages);
    map_file(second, AT + 0x1000, pages);
}

static void end(void) {
    host_check();
    space_load(NULL);
    space_put(s);
    host_file_put(first);
    host_file_put(second);
    check_eq(writeback_pages(), 0);
    check(!writeback_wanted());
}

static void put(u64 page, u64 value) { check_eq(mem_write(s, (AT + page) << PAGE_SHIFT, value), FAULT_DONE); }
static u64 stored(struct host_file *f, u64 page) { return *(u64 *)(f->contents + page * PAGE_SIZE); }
static void write_all(void) {
    while (writeback_one())
        continue;
}

test(writeback_by_age) {
    begin(8);
    put(1, 11);
    check(writeback_wanted()); /* it has no time yet */
    writeback_look(100 * S);
    check(!writeback_wanted());
    put(0x1000, 22);
    put(2, 12);
    writeback_look(120 * S);
    check(!writeback_one());
    writeback_look(131 * S); /* the first file's time has come, with all that is dirty of it */
    write_all();
    check_eq(stored(first, 1), 11);
    check_eq(stored(first, 2), 12);
    check_eq(second->writes, 0);
    check_eq(writeback_pages(), 1);
    put(1, 13); /* dirty again, and new */
    check(writeback_wanted());
    writeback_look(151 * S);
    write_all();
    check_eq(stored(second, 0), 22);
    check_eq(stored(first, 1), 11);
    check_eq(object_sync(&first->object, 0, 8), 0);
    check_eq(stored(first, 1), 13);
    end();
}

test(writeback_by_number) {
    u64 background, most;
    begin(400);
    writeback_look(1 * S);
    writeback_thresholds(&background, &most);
    check(0 < background && background < most && most < 400);
    for (u64 i = 0; i < background; i++)
        put(i, i + 1);
    writeback_look(2 * S);
    check(!writeback_wanted());
    put(background, 7);
    put(background + 1, 7);
    check(writeback_wanted());
    write_all();
    check_eq(writeback_pages(), 0);
    check_eq(stored(first, background - 1), background);
    end();
}

/* Reclaim finds what is clean only; what is dirty it has written. */
test(writeback_when_memory_is_short) {
    begin(60);
    for (u64 i = 0; i < 20; i++)
        put(i, i + 1);
    writeback_look(1 * S);
    check(!writeback_wanted());
    for (unsigned i = 0; i < 3; i++)
        vm_reclaim(frame_count);
    check_eq(first->object.dirty, 20);
    check(writeback_wanted());
    write_all();
    check(!writeback_wanted());
    for (unsigned i = 0; i < 3; i++)
        vm_reclaim(frame_count);
    check_eq(first->object.cached, 0);
    u64 got = 0;
    check_eq(mem_read(s, (AT + 19) << PAGE_SHIFT, &got), FAULT_DONE);
    check_eq(got, 20);
    end();
}

static void flusher(void *argument) {
    u64 now = S;
    while (!done) {
        wait_until(&writeback_waits, done || writeback_wanted());
        writeback_look(now += S);
        write_all();
    }
}

static void writer(void *argument) {
    u64 background, most, seen = 0;
    for (u64 i = 0; i < 700; i++) {
        put(i, i * 3);
        seen = max(seen, writeback_pages());
    }
    writeback_thresholds(&background, &most);
    check(seen <= most + 1);
    done = true;
    waitq_wake_all(&writeback_waits);
}

test_seeds(writeback_holds_writers_up, 5) {
    begin(700);
    done = false;
    writeback_look(S);
    fiber_add("flusher", flusher, NULL, NULL);
    fiber_add("writer", writer, NULL, s);
    fibers_run(20);
    check_eq(object_sync(&first->object, 0, RADIX_NONE), 0);
    for (u64 i = 0; i < 700; i++)
        check_eq(stored(first, i), i * 3);
    end();
}

/* A backend that takes nothing: nobody waits for ever, and nothing is lost when it takes some again. */
test(writeback_that_fails) {
    u64 background, most;
    begin(500);
    struct vm_file files[2];
    vm_file_init(&files[0], first->file.ops, &first->object);
    vm_file_init(&files[1], first->file.ops, &first->object);
    done = false;
    writeback_look(S);
    writeback_thresholds(&background, &most);
    first->fail_writes = ~0u;
    for (u64 i = 0; i <= most; i++)
        put(i, i + 5);
    check(writeback_full() && writeback_wanted());
    writeback_look(S + 1);
    write_all();
    check(!writeback_full() && !writeback_wanted());
    for (u64 i = most + 1; i < most + 9; i++)
        put(i, i + 5);
    writeback_look(S + S / 2);
    check(!writeback_one());
    check_eq(object_sync_file(&files[0], 0, 1), -EIO);
    first->fail_writes = 0;
    check_eq(object_sync_file(&files[0], 0, RADIX_NONE), 0);
    check_eq(object_sync_file(&files[1], 0, RADIX_NONE), -EIO);
    check_eq(object_sync_file(&files[1], 0, RADIX_NONE), 0);
    for (u64 i = 0; i < most + 9; i++)
        check_eq(stored(first, i), i + 5);
    writeback_look(9 * S);
    check(!writeback_full());
    end();
}

/* Reclaim has the object's mutex for a moment: that is no reason to give up. */
static void reclaims(void *unused argument) {
    reclaim_exclude();
    mutex_lock(&first->object.mutex);
    for (unsigned i = 0; i < 50; i++)
        fiber_yield();
    mutex_unlock(&first->object.mutex);
    reclaim_include();
}
static void writes_all(void *unused argument) { write_all(); }

test_seeds(writeback_waits_for_reclaim, 10) {
    begin(8);
    put(1, 11);
    writeback_look(S);
    check(writeback_insist());
    fiber_add("reclaim", reclaims, NULL, NULL);
    fiber_add("flusher", writes_all, NULL, NULL);
    fibers_run(4);
    check_eq(writeback_defeats(), 0);
    check_eq(stored(first, 1), 11);
    end();
}

/* Somebody else who has it may be waiting for memory: the flusher goes on, and says so when it is asked. */
test(writeback_does_not_wait_for_others) {
    begin(8);
    put(1, 11);
    writeback_look(S);
    check(writeback_insist());
    mutex_lock(&first->object.mutex);
    write_all();
    check_eq(writeback_defeats(), 1);
    check(writeback_busy() && !writeback_wanted());
    mutex_unlock(&first->object.mutex);
    check(writeback_insist());
    check(!writeback_busy() && writeback_wanted());
    write_all();
    check_eq(writeback_defeats(), 1);
    check_eq(stored(first, 1), 11);
    check(!writeback_insist());
    end();
}

/* Pages that are being stored are waited for, though none is dirty any more. */
static void sync_begins(void *unused argument) { check_eq(object_sync(&first->object, 0, 8), 0); }
static void sync_follows(void *unused argument) {
    host_io_wait(1);
    check_eq(object_sync(&first->object, 0, 8), 0);
    check_eq(stored(first, 1), 11);
    done = true;
}
static void device(void *unused argument) {
    host_io_wait(1);
    for (unsigned i = 0; i < 50; i++)
        fiber_yield();
    check(!done);
    host_io_answer(0, 0);
    host_io_hold(false);
}

test_seeds(sync_waits_for_what_is_being_stored, 10) {
    begin(8);
    put(1, 11);
    done = false;
    host_io_hold(true);
    fiber_add("one", sync_begins, NULL, NULL);
    fiber_add("other", sync_follows, NULL, NULL);
    fiber_add("device", device, NULL, NULL);
    fibers_run(4);
    check(done);
    end();
}

/* A condition that takes what it finds is not asked again. */
static struct waitq takers;
static unsigned there, taken;
static bool take(void) {
    bool got = there == 2; /* not the first time: it is found by who waits already */
    there = got ? 0 : there + 1;
    taken += got;
    return got;
}
test(wait_takes_once) {
    machine_start((struct host_config){.bytes = 4 * MiB});
    waitq_init(&takers);
    there = 1;
    taken = 0;
    wait_until(&takers, take());
    check_eq(taken, 1);
    check_eq(there, 0);
}

/* Neighbours go together, and one that cannot be stored keeps none of them. */
test(writeback_in_rows) {
    begin(100);
    for (u64 i = 0; i < 70; i++)
        put(i, i + 1);
    put(80, 81);
    put(82, 83);
    unsigned before = first->writes;
    check_eq(object_sync(&first->object, 0, RADIX_NONE), 0);
    check_eq(first->writes - before, 3 + 2);
    check_eq(writeback_pages(), 0);
    for (u64 i = 0; i < 70; i++)
        put(i, i + 2);
    first->fail_writes = 2; /* the first row, and its first page again */
    check_eq(object_sync(&first->object, 0, RADIX_NONE), -EIO);
    check_eq(writeback_pages(), 1);
    for (u64 i = 0; i < 70; i++)
        check_eq(stored(first, i), i ? i + 2 : 1);
    check_eq(object_sync(&first->object, 0, RADIX_NONE), 0);
    check_eq(stored(first, 0), 2);
    check_eq(stored(first, 82), 83);
    end();
}

test(errors_are_told_once_to_each) {
    u32 e = 0, a = errseq_begin(&e), b = errseq_begin(&e);
    check_eq(errseq_tell(&e, &a), 0);
    errseq_set(&e, -EIO);
    errseq_set(&e, -ENOSPC);
    u32 late = errseq_begin(&e); /* nobody was told: he will be */
    check_eq(errseq_tell(&e, &a), -ENOSPC);
    check_eq(errseq_tell(&e, &a), 0);
    u32 later = errseq_begin(&e);
    check_eq(errseq_tell(&e, &later), 0);
    check_eq(errseq_tell(&e, &b), -ENOSPC);
    check_eq(errseq_tell(&e, &late), -ENOSPC);
    errseq_set(&e, -ENOSPC); /* the same again is another one */
    check_eq(errseq_tell(&e, &a), -ENOSPC);
    check_eq(errseq_tell(&e, &later), -ENOSPC);
    check_eq(errseq_tell(&e, &later), 0);
}
