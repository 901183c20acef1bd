/* sched.h - what the files of task/ share: making and waking tasks, the per-CPU timers, the pieces of exit and signals.
 */
#pragma once

#include "task/task.h"
#include "vm/slab.h"

/* sched.c */
/* task_make: a task that does not run yet: stack, FPU area (user tasks; the caller fills it), name, scheduling as its
 * maker's. One reference, which its end drops. NULL: no memory. task_start: hand it to the scheduler; entry was set by
 * task_make. */
struct task *task_make(const char *name, bool user);
void task_start(struct task *t);
void task_unmake(struct task *t); /* one that never ran */
noreturn void task_end(void);     /* the current task is over: its last reference is dropped by the next to run */
/* task_wake: end its sleep. task_interrupt: end it if it sleeps interruptibly (or killably, when killed), or bring it
 * from user mode to trap_return_to_user. Any context but interrupts; t must not go away meanwhile. */
void task_wake(struct task *t);
void task_interrupt(struct task *t);
void task_wait_off_cpu(struct task *t); /* until it sleeps, its registers in memory; it will not be woken meanwhile */
int task_set_affinity(struct task *t, const u64 *mask); /* -EINVAL: no CPU of it runs */
void task_times(const struct task *t, u64 *user_ns, u64 *system_ns);

/* timer.c */
int timers_cpu_init(void); /* on each CPU, before it arms a timer */
void timers_tick(u64 now); /* from the timer interrupt */
