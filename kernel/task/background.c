/* background.c - the tasks that look after memory without being asked: vm/background.h says what there is to do. */
#include "task/background.h"

#include "task/task.h"
#include "vm/background.h"
#include "vm/event.h"
#include "vm/writeback.h"

#define CS 10000000ULL /* a hundredth of a second */
#define HELP_NS (100 * CS)

/* Kernel tasks are not preempted: a long way to the high mark is one on which others get their turn. */
static void reclaimer(void *unused argument) {
    for (;;) {
        wait_until(&vm_background_waits, vm_background_wanted());
        vm_background_batch();
        if (cpu_self()->need_resched)
            schedule();
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
            if (cpu_self()->need_resched)
                schedule();
    }
}

int flusher_start(void) {
    if (!flusher_task)
        flusher_task = kthread_start("flusher", flusher, NULL);
    return flusher_task ? 0 : -ENOMEM;
}

bool flusher_helps(void) {
    u64 before = event_total(EVENT_OBJECT_WRITE_BACK), seen = writeback_seen();
    if (!flusher_task || !writeback_pages())
        return false;
    writeback_ask();
    (void)wait_until_deadline(&writeback_passes, writeback_seen() != seen, false, clock_ns() + HELP_NS);
    return event_total(EVENT_OBJECT_WRITE_BACK) != before;
}

void background_start(void) {
    if (vm_background_start() && !kthread_start("kswapd0", reclaimer, NULL))
        panic("no memory for the task that reclaims in the background");
}
