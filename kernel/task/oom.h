/* oom.h - out of memory: who is killed for it. */
#pragma once

#include "task/task.h"
#include "vm/space.h"

/* Of /proc/sys/vm. */
extern u64 oom_panic;                /* panic_on_oom */
extern u64 oom_kill_allocating_task; /* who asks is killed, not who has most */
extern u64 oom_dump_tasks;           /* the report has the table of processes */

#define OOM_NEVER (-1L - ~0UL / 2) /* points of who is not to be killed */

void oom_init(void); /* once tasks can be started */
/* oom_total: the pages that points are thousandths of: memory and swap. */
u64 oom_total(void);
/* oom_badness: the pages that killing p would bring, shifted by its oom_score_adj in thousandths of `total`; *has: what
 * it has. Takes p->lock. */
long oom_badness(struct process *p, u64 total, struct space_resident *has);
/* oom_kill_self: the current process could not get a page, though the killer did what he can: it dies. */
void oom_kill_self(void);
/* oom_await_reaper: p gave its space up, and may put it once the killer is out of it. Sleeps. */
void oom_await_reaper(struct process *p);
