/* background.h - tasks that look after memory. */
#pragma once

#include "lib/base.h"

struct task;

void background_start(void); /* once, when the devices are there */

/* The flusher (vm/writeback.h) is started with the first file system that has something to write back. -ENOMEM. */
int flusher_start(void);
extern struct task *flusher_task; /* NULL: not yet */
extern u64 flusher_period_cs;     /* /proc/sys/vm/dirty_writeback_centisecs; 0: it looks only when it is woken */
/* flusher_helps: memory is short: it wrote something back within a second. Sleeps, for a pass of its own at most. */
bool flusher_helps(void);
