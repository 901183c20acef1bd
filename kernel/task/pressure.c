/* pressure.c - pressure stall information, as Linux's (Documentation/accounting/psi.rst): what share of time tasks
 * lose.
 *
 *   memory   in reclaim or in the killer's hands, while a page comes back from the swap area, or while one comes again
 *            that a file had in memory not long ago
 *   io       while a page of a file or of the swap area is on its way
 *   cpu      ready, and another runs: looked at by the tick, where the other two are measured
 *
 * The whole machine is one: `some` of memory or io goes on while any task stalls, `full` while besides no task of a
 * program runs or is ready that does not. So time is charged, to what held since the last change, when a stall begins
 * or ends, and, as long as there is one, at each switch of tasks. `cpu` is the mean over CPUs, and its `full` is 0, as
 * on Linux.
 *
 * Lock: pressure.lock is innermost (docs/locks.md). */
#include "task/pressure.h"

#include "task/task.h"
#include "vm/machine.h"

#define PERIOD_NS 2000000000ULL /* between two averages: Linux's PSI_FREQ */
#define PERIODS_MOST 1000u      /* after so many, nothing is left of what was */
#define ONE PRESSURE_ONE

static struct {
    struct spin lock;
    u64 last; /* [l] until when time is charged */
    u32 stalled[PRESSURES];
    bool full[PRESSURES];                               /* [l] since `last` */
    u64 some_ns[PRESSURES], full_ns[PRESSURES];         /* [l] */
    u64 cpu_ns;                                         /* atomic: of all CPUs' ticks with somebody waiting */
    u64 next;                                           /* [l] the end of the period */
    u64 some_then[PRESSURES], full_then[PRESSURES];     /* [l] at its begin */
    u64 some_avg[PRESSURES][3], full_avg[PRESSURES][3]; /* [l] averages */
} pressure;
u32 pressure_stalled;

static u32 bit_of(enum pressure which) { return which == PRESSURE_IO ? STALL_IO : STALL_MEMORY; }

/* ---- averages ---- */

/* exp(-2 s / 10 s), exp(-2 s / 60 s), exp(-2 s / 300 s), of 2048. */
static const u64 keep[3] = {1677, 1981, 2034};

static void average(u64 averages[3], u64 share) {
    for (unsigned i = 0; i < 3; i++)
        averages[i] = (averages[i] * keep[i] + share * (ONE - keep[i])) / ONE;
}

/* In hundredths, fixed point. */
static u64 share_of(u64 ns, u64 of) { return of ? min(ns * 100 / (of / ONE), 100ULL * ONE) : 0; }

/* pressure.lock held. Periods that nobody looked at had equal parts of what was lost in them. */
static void end_periods(u64 now) {
    if (now < pressure.next)
        return;
    u64 periods = (now - pressure.next) / PERIOD_NS + 1, span = periods * PERIOD_NS;
    for (unsigned k = 0; k < PRESSURES; k++) {
        u64 some = share_of(pressure.some_ns[k] - pressure.some_then[k], span);
        u64 full = share_of(pressure.full_ns[k] - pressure.full_then[k], span);
        for (u64 n = 0; n < min(periods, (u64)PERIODS_MOST); n++) {
            average(pressure.some_avg[k], some);
            average(pressure.full_avg[k], full);
        }
        pressure.some_then[k] = pressure.some_ns[k];
        pressure.full_then[k] = pressure.full_ns[k];
    }
    pressure.next += span;
}

/* ---- charging ---- */

/* pressure.lock held. */
static void charge(void) {
    u64 now = clock_ns(), elapsed = now > pressure.last ? now - pressure.last : 0;
    for (unsigned k = PRESSURE_IO; k < PRESSURES; k++) {
        pressure.some_ns[k] += pressure.stalled[k] ? elapsed : 0;
        pressure.full_ns[k] += pressure.full[k] ? elapsed : 0;
    }
    pressure.some_ns[PRESSURE_CPU] = atomic_load_relaxed(&pressure.cpu_ns) / cpu_count;
    pressure.last = max(now, pressure.last);
    end_periods(pressure.last);
}

static void look_again(void) {
    for (unsigned k = PRESSURE_IO; k < PRESSURES; k++)
        pressure.full[k] = pressure.stalled[k] && !sched_any_useful(bit_of(k));
}

void pressure_switched(void) {
    spin_lock(&pressure.lock);
    charge();
    look_again();
    spin_unlock(&pressure.lock);
}

/* `kinds` begin, or end, for the current task. */
static void change(u32 kinds, int by) {
    struct task *t = task_current();
    spin_lock(&pressure.lock);
    charge();
    t->stalls ^= kinds;
    for (unsigned k = PRESSURE_IO; k < PRESSURES; k++)
        pressure.stalled[k] += kinds & bit_of(k) ? by : 0;
    atomic_add(&pressure_stalled, by);
    look_again();
    spin_unlock(&pressure.lock);
}

u32 machine_stall(u32 kinds) {
    struct task *t = task_current();
    t->reads += (kinds & STALL_READ) != 0;
    kinds &= t->kernel_thread ? 0 : ~t->stalls & (STALL_MEMORY | STALL_IO);
    if (kinds)
        change(kinds, 1);
    return kinds;
}

u64 machine_reads(void) { return task_current()->reads; }

void machine_stall_over(u32 kinds) {
    if (kinds)
        change(kinds, -1);
}

void pressure_tick(bool waited, u64 ns) {
    if (waited)
        atomic_add(&pressure.cpu_ns, ns);
    if (clock_ns() < atomic_load_relaxed(&pressure.next) || !spin_try(&pressure.lock))
        return;
    charge();
    spin_unlock(&pressure.lock);
}

void pressure_look(enum pressure which, struct pressure_figures *out) {
    spin_lock(&pressure.lock);
    charge();
    *out = (struct pressure_figures){.some_ns = pressure.some_ns[which], .full_ns = pressure.full_ns[which]};
    memcpy(out->some, pressure.some_avg[which], sizeof(out->some));
    memcpy(out->full, pressure.full_avg[which], sizeof(out->full));
    spin_unlock(&pressure.lock);
}
