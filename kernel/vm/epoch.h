/* epoch.h - when what was unlinked may be freed: after every CPU that could have seen it has looked away.
 *
 * A lock-free walk runs between epoch_enter and epoch_leave. What it may meet (tables) is first unlinked, then retired,
 * and released when each CPU that was inside a section at that moment has left it. A CPU that idles or runs a program
 * is outside. */
#pragma once

#include "lib/base.h"

/* Embedded in what is retired. release: does not sleep; takes no lock but those of the allocators; may retire others.
 * It runs on any CPU, from epoch_retire or epoch_drain. */
struct epoch_entry {
    struct epoch_entry *next;
    void (*release)(struct epoch_entry *e);
};

/* epoch_enter, epoch_leave: not nested; no sleep, allocation or I/O between them. Spin locks may be taken inside. */
void epoch_enter(void);
void epoch_leave(void);
bool epoch_inside(void); /* for assertions */

/* epoch_retire: e's owner is unlinked; release it when nobody can see it any more. Inside or outside of a section,
 * under any lock but an allocator's. */
void epoch_retire(struct epoch_entry *e, void (*release)(struct epoch_entry *e));

/* epoch_drain: release what may be released, of all CPUs. wait: all that was retired before the call: spins until every
 * CPU has left the section that it is in; the caller holds no lock and is outside. */
void epoch_drain(bool wait);
u64 epoch_waiting(
    void); /* entries retired and not yet released: about; for leak counts after epoch_drain(true) exact */
