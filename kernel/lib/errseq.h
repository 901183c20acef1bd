/* errseq.h - an error that several must hear of, each once, however many come: as Linux's errseq_t does it
 * (Documentation/core-api/errseq.rst).
 *
 *     [ how many errors, in steps | somebody has looked | the last error, as a positive number ]
 *
 * A listener keeps what he saw last. Nobody's having looked is remembered so that an error that nobody was told of is
 * told to who comes later, and so that errors nobody looks at need not be counted. All functions are atomic. */
#pragma once

#include "lib/base.h"

#define ERRSEQ_ERROR 0xfffu
#define ERRSEQ_SEEN 0x1000u
#define ERRSEQ_STEP 0x2000u

/* errseq_set: `error` (-errno) happened. */
static inline void errseq_set(u32 *e, int error) {
    u32 was = atomic_load(e), now;
    do {
        now = (was & ~(ERRSEQ_ERROR | ERRSEQ_SEEN)) | (u32)-error;
        now += was & ERRSEQ_SEEN ? ERRSEQ_STEP : 0;
    } while (!__atomic_compare_exchange_n(e, &was, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

/* errseq_begin: what a new listener has seen: nothing, if the last error was told to nobody. */
static inline u32 errseq_begin(const u32 *e) {
    u32 now = atomic_load(e);
    return now & ERRSEQ_SEEN ? now : 0;
}

/* errseq_tell: the error since *seen (-errno) or 0; to one of those that share it. */
static inline int errseq_tell(u32 *e, u32 *seen) {
    u32 last = atomic_load(seen);
    if (likely(atomic_load(e) == last))
        return 0;
    u32 now = atomic_or(e, ERRSEQ_SEEN) | ERRSEQ_SEEN;
    return atomic_cas(seen, last, now) ? -(int)(now & ERRSEQ_ERROR) : 0;
}
