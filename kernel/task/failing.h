/* failing.h - failures on request, for tests: the nth allocation, or the nth exchange with the host, that a task makes
 * from now on fails. /proc/PID/fail-nth is Linux's (fault-injection of its documentation); fail-io-nth is our own. */
#pragma once

#include "lib/base.h"

enum fail_kind { FAIL_ALLOC, FAIL_IO, FAIL_KINDS };

struct task;
/* task_fail_set: the nth one fails (1: the next, 0: none). task_fail_left: how many are still to come before it; 0: it
 * has failed, or none was asked for. */
void task_fail_set(struct task *t, enum fail_kind kind, u32 nth);
u32 task_fail_left(const struct task *t, enum fail_kind kind);
/* task_io_fails: asked before each exchange that a task waits for: true: it fails, with -EIO. */
bool task_io_fails(void);
