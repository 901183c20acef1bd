/* point.h - the places where another CPU may run, as kernel/vm's hooks and the hosted machine name them. */
#pragma once

#include "lib/base.h"

enum host_op {
    HOST_NONE,
    HOST_READ,
    HOST_WRITE,
    HOST_LOCK,   /* waits until the lock is free */
    HOST_UNLOCK, /* of the same word */
    HOST_TRY,    /* a try that found it taken */
    HOST_SLEEP,  /* waits until the flag is set */
    HOST_PAUSE,  /* waits until a word that was read before has changed */
    HOST_ALONE,  /* waits until all others are where the machine may stand still; they stay there until host_resume */
};
/* host_point: the other CPUs may run now; then `op` on the word happens, with all that follows up to the next point.
 * host_also: the same step is about this word too. */
void host_point(enum host_op op, const volatile void *address, unsigned bytes);
void host_also(enum host_op op, const volatile void *address);
/* host_stop_point: the same, and here the machine may be made to stand still (machine_quiesce): a task sleeps, or a
 * program is between two of its instructions. */
void host_stop_point(enum host_op op, const volatile void *address, unsigned bytes);
