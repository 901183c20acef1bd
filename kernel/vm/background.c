/* background.c - reclaim before somebody must wait for it (background.h).
 *
 *   free    high ......................... a round ends
 *           low  ......................... an allocation that refills a CPU's cache from below here wakes the task
 *           min  ......................... an allocation reclaims by itself
 *
 * What is free in the CPUs' caches counts: so a wake is looked at twice, first at the buddy's count, which costs
 * nothing.
 *
 * A batch that is not full has looked at all of memory thrice: then the task gives up, until somebody who had to
 * reclaim by himself found a full one. Who needs memory asks the killer, not the background. */
#include "vm/background.h"

#include "vm/frame.h"
#include "vm/inner.h"

#define LEAST_FRAMES 2048u /* 8 MiB: below, the marks and the stack are more than 2 % of memory */
#define BATCH 32u

static struct {
    bool there;                      /* atomic */
    bool active;                     /* atomic: on the way from below the low mark to the high one */
    bool hopeless;                   /* atomic */
    struct background_totals totals; /* the task's */
} background;
struct waitq vm_background_waits = WAITQ_INIT(vm_background_waits);

bool vm_background_start(void) {
    struct frame_totals t;
    frame_totals(&t);
    atomic_store(&background.there, t.given >= LEAST_FRAMES);
    return t.given >= LEAST_FRAMES;
}

bool vm_background_wanted(void) {
    struct frame_marks m;
    frame_marks(&m);
    return !atomic_load(&background.hopeless) &&
           frame_free_count() < (atomic_load_relaxed(&background.active) ? m.high : m.low);
}

void vm_background_wake(void) {
    if (atomic_load_relaxed(&background.there) && vm_background_wanted())
        waitq_wake_all(&vm_background_waits);
}

void vm_background_hope(void) {
    if (unlikely(atomic_load_relaxed(&background.hopeless)))
        atomic_store(&background.hopeless, false);
}

void vm_background_batch(void) {
    background.totals.rounds += !background.active;
    atomic_store_relaxed(&background.active, true);
    reclaim_exclude();
    u64 found = reclaim_batch(BATCH, RECLAIM_BACKGROUND);
    reclaim_include();
    if (found < BATCH)
        atomic_store(&background.hopeless, true);
    if (vm_background_wanted())
        return;
    atomic_store_relaxed(&background.active, false);
    background.totals.ended_high += found >= BATCH;
}

void background_totals(struct background_totals *out) { *out = background.totals; }
