/* data.h - what the kernel tells the vdso's code, in a page that every program sees just below it. */
#pragma once

#include "lib/base.h"

/* All but wall_offset are constant after boot, and that is one word, read and written whole: so no reader ever has to
 * try again, as it would if a clock were disciplined. */
struct vdso_data {
    u64 base, mult;  /* nanoseconds since boot = (TSC - base) * mult >> 32 */
    u64 wall_offset; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
    u64 tick_ns;     /* what the coarse clocks say of themselves */
    u32 cpu_known;   /* RDTSCP tells the CPU's number */
};
