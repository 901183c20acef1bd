/* pressure.h - how much time tasks lose by waiting for a CPU, for memory, for I/O: /proc/pressure. */
#pragma once

#include "lib/base.h"

enum pressure { PRESSURE_CPU, PRESSURE_IO, PRESSURE_MEMORY, PRESSURES };

/* Since boot. some: at least one task waited; full: and no other did anything useful. */
struct pressure_figures {
    u64 some_ns, full_ns;
    u64 some[3], full[3]; /* over the last 10, 60 and 300 seconds, in hundredths, of which each is PRESSURE_ONE */
};
#define PRESSURE_ONE 2048u
void pressure_look(enum pressure which, struct pressure_figures *out);

/* For sched.c. pressure_tick: from a CPU's tick, every `ns`: somebody waits for it, or not. pressure_switched: another
 * task runs, while some task stalls; called with a run queue's lock. */
void pressure_tick(bool waited, u64 ns);
extern u32 pressure_stalled; /* atomic: tasks that stall */
void pressure_switched(void);
bool sched_any_useful(u32 kind); /* sched.c: a task of a program runs or is ready, and does not stall so */
