/* background.c - the tasks that look after memory without being asked: vm/background.h says what there is to do. */
#include "task/background.h"

#include "task/task.h"
#include "vm/background.h"

/* Kernel tasks are not preempted: a long way to the high mark is one on which others get their turn. */
static void reclaimer(void *unused argument) {
    for (;;) {
        wait_until(&vm_background_waits, vm_background_wanted());
        vm_background_batch();
        if (cpu_self()->need_resched)
            schedule();
    }
}

void background_start(void) {
    if (vm_background_start() && !kthread_start("kswapd0", reclaimer, NULL))
        panic("no memory for the task that reclaims in the background");
}
