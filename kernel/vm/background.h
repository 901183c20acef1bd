/* background.h - reclaim before somebody must wait for it: a task of its own, woken when free memory falls below the
 * low mark (frame.h), reclaims up to the high one, a batch at a time. */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"

/* vm_background_start: there will be a task that waits on vm_background_waits until vm_background_wanted, does a
 * vm_background_batch, and so on. False: memory is so small that its stack would be felt, and the marks as well. */
bool vm_background_start(void);
extern struct waitq vm_background_waits;
bool vm_background_wanted(void);
void vm_background_batch(void); /* sleeps; no lock held */

/* ---- inside vm/ */

void vm_background_wake(void); /* free memory may be below the low mark. Any locks but those of wait queues */
void vm_background_hope(void); /* somebody found memory: the background may look again, if it had given up */

enum reclaimer { RECLAIM_DIRECT, RECLAIM_BACKGROUND, RECLAIMERS };
/* reclaim_batch: vm_reclaim's work, between reclaim_exclude and reclaim_include. */
u64 reclaim_batch(u64 pages, enum reclaimer who);

/* ---- figures, since boot */

struct reclaim_totals {
    u64 scanned[RECLAIMERS], stolen[RECLAIMERS]; /* pages that were named to go; that went, caches' included */
    u64 stalls;                                  /* who needed memory reclaimed, or waited for who did */
};
void reclaim_totals(struct reclaim_totals *out);
struct background_totals {
    u64 rounds;
    u64 ended_high; /* of them, those that reached the high mark */
};
void background_totals(struct background_totals *out);
