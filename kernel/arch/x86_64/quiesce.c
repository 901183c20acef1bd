/* quiesce.c - stopping every other CPU at a safe point: where queued work runs, which is where no spin lock is held. */
#include "arch/x86_64/cpu.h"
#include "task/task.h"
#include "vm/machine.h"

static struct mutex quiet = MUTEX_INIT(quiet); /* held from machine_quiesce to machine_resume */
static u32 stopped;                            /* CPUs that wait; atomic */
static bool go_on;                             /* atomic */

struct stop {
    struct work work;
} __attribute__((aligned(64)));
static struct stop stops[CPU_MAX];

static void wait_here(struct work *unused work) {
    atomic_add(&stopped, 1);
    while (!atomic_load(&go_on))
        cpu_pause();
    atomic_sub(&stopped, 1);
}

void machine_quiesce(void) {
    mutex_lock(&quiet);
    atomic_store(&go_on, false);
    unsigned self = cpu_id(), others = 0;
    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        if (cpu == self)
            continue;
        stops[cpu].work.run = wait_here;
        cpu_queue_work(cpu, &stops[cpu].work);
        others++;
    }
    while (atomic_load(&stopped) < others)
        cpu_pause();
}

void machine_resume(void) {
    atomic_store(&go_on, true);
    while (atomic_load(&stopped))
        cpu_pause();
    mutex_unlock(&quiet);
}
