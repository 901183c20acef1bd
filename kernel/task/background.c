/* background.c - the tasks that look after memory without being asked: vm/background.h says what there is to do. */
#include "task/background.h"

#include "task/task.h"
#include "vm/area.h"
#include "vm/background.h"
#include "vm/event.h"
#include "vm/machine.h"
#include "vm/writeback.h"

#define CS 10000000ULL        /* a hundredth of a second */
#define DEVICE_NS (3000 * CS) /* a host that has answered nothing for so long is as good as gone */
#define OTHERS_NS (100 * CS)  /* who writes back by himself may be waiting for memory himself */

/* Kernel tasks are not preempted: a long way to the high mark is one on which others get their turn, and what this
 * CPU's devices have done is told to who waits for it: that may be everybody. */
static void reclaimer(void *unused argument) {
    for (;;) {
        wait_until(&vm_background_waits, vm_background_wanted());
        vm_background_batch();
        machine_breathe();
    }
}

u64 flusher_period_cs = 500;
struct task *flusher_task;

/* With nothing dirty it sleeps until something is. */
static void flusher(void *unused argument) {
    for (;;) {
        u64 period = atomic_load_relaxed(&flusher_period_cs) * CS;
        u64 deadline = writeback_pages() && period ? clock_ns() + period : SLEEP_FOREVER;
        (void)wait_until_deadline(&writeback_waits, writeback_wanted(), false, deadline);
        writeback_look(clock_ns());
        while (writeback_one())
            machine_breathe();
    }
}

int flusher_start(void) {
    if (!flusher_task)
        flusher_task = kthread_start("flusher", flusher, NULL);
    return flusher_task ? 0 : -ENOMEM;
}

static void discarder(void *unused argument) {
    for (;;) {
        wait_until(&swap_discard_waits, swap_discard_wanted());
        swap_discard_one();
    }
}

int discarder_start(void) {
    static bool there; /* under swapon's mutex */
    there = there || kthread_start("discard", discarder, NULL);
    return there ? 0 : -ENOMEM;
}

static bool stored_since(u64 stored) { return event_total(EVENT_OBJECT_WRITE_BACK) != stored; }

bool flusher_helps(u64 stored) {
    u64 defeats = writeback_defeats(), now = clock_ns();
    if (stored_since(stored) || !flusher_task || !writeback_insist())
        return stored_since(stored);
    (void)wait_until_by(&writeback_passes, stored_since(stored) || writeback_defeats() != defeats || !writeback_pages(),
                        task_sleep_killable(now + DEVICE_NS));
    if (writeback_busy())
        (void)wait_until_by(&writeback_passes, stored_since(stored), task_sleep_killable(now + OTHERS_NS));
    return stored_since(stored);
}

void background_start(void) {
    if (vm_background_start() && !kthread_start("kswapd0", reclaimer, NULL))
        panic("no memory for the task that reclaims in the background");
}
