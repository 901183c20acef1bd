/* epoch_test.c - nothing is released while a section that could see it lasts. */
#include "host.h"

#define BARE                                                                                                           \
    (struct host_config) { .cpus = 4, .bare = true }

struct thing {
    struct epoch_entry retire;
    u64 alive;
};
#define ALIVE 0x600d600dULL
static u64 released;

static void release(struct epoch_entry *e) {
    struct thing *t = container_of(e, struct thing, retire);
    check_eq(t->alive, ALIVE);
    t->alive = 0xdead;
    released++;
    kfree(t);
}
static struct thing *thing_new(void) {
    struct thing *t = kmalloc(sizeof(*t));
    check(t != NULL);
    t->alive = ALIVE;
    return t;
}

test(epoch_waits_for_a_section) {
    machine_start(BARE);
    host_cpu(1);
    epoch_enter();
    host_cpu(0);
    struct thing *t = thing_new();
    epoch_retire(&t->retire, release);
    for (int i = 0; i < 10; i++)
        epoch_drain(false);
    check_eq(released, 0);
    check_eq(epoch_waiting(), 1);
    host_cpu(1);
    epoch_leave();
    host_cpu(0);
    epoch_drain(true);
    check_eq(released, 1);
    check_eq(epoch_waiting(), 0);
}

test(epoch_drains_what_sleeping_cpus_retired) {
    machine_start(BARE);
    for (unsigned c = 0; c < 4; c++) {
        host_cpu(c);
        epoch_retire(&thing_new()->retire, release);
    }
    host_cpu(2);
    epoch_drain(true);
    check_eq(released, 4);
}

test(epoch_advances_by_itself) {
    machine_start(BARE);
    for (int i = 0; i < 1000; i++)
        epoch_retire(&thing_new()->retire, release);
    check(epoch_waiting() <= 128);
}

/* Writers swap the things in an array and retire the old ones; readers look at them without locks. */
static struct thing *shown[8];
static void reader(void *argument) {
    for (int i = 0; i < 300; i++) {
        epoch_enter();
        host_step();
        struct thing *t = atomic_load(&shown[rnd_below(8)]);
        for (int k = 0; k < 5; k++) {
            host_step();
            check_eq(t->alive, ALIVE);
        }
        epoch_leave();
    }
}
static void writer(void *argument) {
    for (int i = 0; i < 300; i++) {
        struct thing *fresh = thing_new();
        host_step();
        struct thing *old = atomic_xchg(&shown[rnd_below(8)], fresh);
        epoch_retire(&old->retire, release);
        if (one_in(40))
            epoch_drain(one_in(2));
    }
}
test_seeds(epoch_readers_never_see_what_was_released, 20) {
    machine_start(BARE);
    host_settle();
    struct host_count before = host_count();
    for (int i = 0; i < 8; i++)
        shown[i] = thing_new();
    fiber_add("reader 1", reader, NULL, NULL);
    fiber_add("reader 2", reader, NULL, NULL);
    fiber_add("writer 1", writer, NULL, NULL);
    fiber_add("writer 2", writer, NULL, NULL);
    fibers_run(3);
    for (int i = 0; i < 8; i++)
        kfree(shown[i]);
    check_no_leak(before);
    check_eq(released, 600);
}
