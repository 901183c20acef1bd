/* writeback.h - dirty pages of files go to their backend without being asked: some time after they became dirty, when
 * there are many, when memory is short. */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"

struct object;

/* /proc/sys/vm: in hundredths of memory that is free or a file's; in bytes, if not 0, instead of that; in ns. */
struct writeback_limits {
    u64 background_ratio, ratio;
    u64 background_bytes, bytes;
    u64 expire_ns;
};
extern struct writeback_limits writeback_limits;

/* There is one task for it, the flusher. It waits for writeback_waits until writeback_wanted; then calls
 * writeback_look, with the time, and writeback_one until that says that there is nothing due. writeback_one sleeps; no
 * lock held. */
extern struct waitq writeback_waits;
bool writeback_wanted(void);
void writeback_look(u64 now_ns);
bool writeback_one(void);

u64 writeback_pages(void); /* dirty pages that have a backend */
/* writeback_seen: passes over one object that have ended. For who waits for the flusher: on writeback_passes. */
u64 writeback_seen(void);
extern struct waitq writeback_passes; /* woken after each, and after each row of pages that was stored or was not */
/* writeback_insist: everything dirty is tried now, if it was tried in vain just now or not; false: there is nothing, or
 * no flusher. writeback_defeats: how often that, or any pass over all objects, brought nothing. writeback_busy: ... the
 * last time, perhaps, because somebody else was at an object. */
bool writeback_insist(void);
u64 writeback_defeats(void);
bool writeback_busy(void);
void writeback_thresholds(u64 *background, u64 *most); /* in pages, as they were last computed */

/* ---- inside vm/ */

/* writeback_count: o, which has a backend, has `by` more dirty pages. o->lock held. */
void writeback_count(struct object *o, int by);
void writeback_ask(void); /* memory is short: whatever is dirty is due. Any locks but those of wait queues */
/* writeback_full: who makes one more page dirty should call writeback_wait first, which sleeps until it is not so, or
 * the flusher has gone over one more object. */
bool writeback_full(void);
void writeback_wait(void);
