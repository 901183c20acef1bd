/* times.h - a process's clocks: CPU time used, and what happens when a limit of it, or an interval timer, runs out. */
#pragma once

#include "task/task.h"

#define CLOCK_TICK_NS 10000000UL /* USER_HZ is 100: times(2), SIGCHLD's siginfo, AT_CLKTCK */

/* timer_next: the next deadline of a timer that repeats and has just rung, in phase with the last; *missed: how many it
 * leaves out: what is over by `now`, and what is so near that the timer would do nothing but ring. */
#define TIMER_LEAST_NS 100000UL
#define OVERRUNS_MOST 0x7fffffff /* DELAYTIMER_MAX: what a siginfo can say */
u64 timer_next(u64 deadline_ns, u64 interval_ns, u64 now, u64 *missed);

/* process_tick: from the timer interrupt, takes no lock: asks the task to call process_times_check on its way to user
 * mode. */
void process_tick(struct task *t);
void process_times_check(void);
/* process_timers_end: at exit and execve: no timer of p fires any more. keep_intervals: execve keeps setitimer's. May
 * sleep. */
void process_timers_end(struct process *p);
/* sys/time.c's part of them. May sleep. */
void posix_timers_delete(struct process *p);
void posix_cpu_timers_check(struct process *p);
/* sem_process_exit (sys/sem.c): the semaphores get back what p owes them. May sleep. */
void sem_process_exit(struct process *p);
/* aio_process_end (sys/aio.c): at exit and execve: nobody asks for the news of its transfers any more. */
void aio_process_end(struct process *p);

struct itimerval_ns {
    u64 value_ns, interval_ns;
};
int itimer_set(int which, const struct itimerval_ns *new,
               struct itimerval_ns *old); /* ITIMER_*; new or old NULL; -EINVAL */

struct rusage;
void process_usage(struct process *p, struct rusage *out);          /* RUSAGE_SELF */
void process_usage_children(struct process *p, struct rusage *out); /* RUSAGE_CHILDREN */
void process_usage_both(struct process *p, struct rusage *out);     /* of a child: both together, as wait4 tells */
void task_usage(struct task *t, struct rusage *out);                /* RUSAGE_THREAD */
