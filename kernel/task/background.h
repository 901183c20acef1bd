/* background.h - tasks that look after memory. */
#pragma once

#include "lib/base.h"

struct task;

void background_start(void); /* once, when the devices are there */

/* discarder_start: the task that tells devices of free slots (vm/area.h) is there. 0, -ENOMEM. */
int discarder_start(void);
/* The flusher (vm/writeback.h) is started with the first file system that has something to write back. -ENOMEM. */
int flusher_start(void);
extern struct task *flusher_task; /* NULL: not yet */
extern u64 flusher_period_cs;     /* /proc/sys/vm/dirty_writeback_centisecs; 0: it looks only when it is woken */
/* flusher_helps: memory is short: some dirty page was written back since `stored` were (EVENT_OBJECT_WRITE_BACK).
 * Sleeps until one is, or none can be, or a signal kills. */
bool flusher_helps(u64 stored);
