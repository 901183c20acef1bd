/* seccomp.h - system calls that a task has given up: seccomp(2). */
#pragma once

#include "task/task.h"

struct seccomp; /* a filter and those that stood before it; counted, never changed */

/* seccomp_call: may the current task make this call? false: it is answered, or the task dies and this does not return.
 */
bool seccomp_call(struct task *t, struct regs *regs);
void seccomp_inherit(struct task *child);  /* the child's process's signal_lock is held; it does not run yet */
void seccomp_put(struct seccomp *s);       /* NULL is fine */
int seccomp_filters(const struct task *t); /* for /proc; the task is counted */
long seccomp_set(u32 operation, u32 flags, const void __user *argument); /* seccomp(2) */
