/* trace.h - one task traced by a process: ptrace(2).
 *
 * A trace is the bond of a tracer and one tracee, from PTRACE_ATTACH, SEIZE, TRACEME or a traced parent's clone until
 * it is detached, or until the tracer has waited for its end: it outlives the task. trace.c owns bonds, trace_stop.c
 * stops, sys/ptrace.c the requests. */
#pragma once

#include "task/family.h"

/* task->call_work: what a system call of the task means to others */
#define CALL_TRACED 1u   /* has a tracer */
#define CALL_STOP 2u     /* PTRACE_SYSCALL: stop at entry and exit */
#define CALL_EMULATE 4u  /* PTRACE_SYSEMU: stop at entry, and do not make it */
#define CALL_STEP 8u     /* single step: trap after it */
#define CALL_SECCOMP 16u /* has given up some calls: seccomp.h */

/* task->trace_due */
#define DUE_STOP 1u   /* PTRACE_INTERRUPT, or a seized child's first stop */
#define DUE_NOTIFY 2u /* SIGCONT reached a seized tracee */

/* Legend: [f] family_lock; [s] the tracee's process->signal_lock; [fs] both to write, one to read; [a] atomic. */
struct trace {
    u32 references;          /* [a] the tracer's list has one, the living task one, each that looks one */
    struct list link;        /* [f] in tracer->traced */
    struct process *tracer;  /* [fs] NULL: detached */
    struct process *process; /* the tracee's, counted */
    struct task *task;       /* [fs] NULL: it ended */
    struct ident *ident;     /* [f] counted: its number is not given out while the tracer may ask for it */
    bool seized;
    bool dead;       /* [f] a thread's end is news for the tracer; a leader's is when its process is a zombie */
    int exit_status; /* [f] of a dead thread */
    struct queued_signal *entry; /* [f] for the parent's SIGCHLD, when the tracer had its news */

    u32 options;    /* [s] PTRACE_O_* */
    bool stopped;   /* [s] in a stop that the tracer ends */
    bool listening; /* [s] PTRACE_LISTEN: stopped, and nothing may be asked */
    bool exiting;   /* [s] the stop is PTRACE_EVENT_EXIT: the task may be killed already */
    bool told;      /* [s] a wait told of the stop */
    bool has_info;  /* [s] the stop has a siginfo: it is no group stop */
    u32 frozen;     /* [s] requests under way: the task stays off its CPU */
    int status;     /* [s] what wait tells of the stop: ptrace(2), "Stopped states" */
    u64 message;    /* [s] PTRACE_GETEVENTMSG */
    int signal;     /* [s] from the tracer: what the task goes on with */
    siginfo_t info; /* [s] of the stop */
    struct waitq resume;
};

/* ---- trace.c ---- */
void trace_get(struct trace *tr);
void trace_put(struct trace *tr);
/* trace_allowed: PTRACE_MODE_ATTACH_REALCREDS of ptrace(2) for the caller. */
bool trace_allowed(const struct process *p);
int trace_attach(struct task *t, bool seize, u32 options); /* -EPERM, -ENOMEM, -ESRCH */
int trace_me(void);
/* trace_prepare: a bond for a child of the current task that its tracer gets too, or NULL: not wanted, or no memory
 * (*error). trace_inherit: make it the child's, which does not run yet; takes the bond over. */
struct trace *trace_prepare(u64 clone_flags, int event, int *error);
void trace_inherit(struct trace *tr, struct task *child);
void trace_detach(struct trace *tr); /* the tracer lets go of a frozen tracee, which goes on with tr->signal */
void trace_thread_ends(struct trace *tr, int status); /* the current task left its process: takes over its reference */
void trace_tracer_ends(struct process *p);            /* family_lock: p's tracees go on, or die by PTRACE_O_EXITKILL */
void trace_drop(struct trace *tr);                    /* family_lock: the tracer has had the last news */
bool trace_hides_zombie(struct process *p, struct queued_signal **entry); /* family_lock: another one is told first */
void trace_renumber(struct task *t);  /* execve: t takes its leading thread's number */
int trace_tracer_pid(struct task *t); /* 0: none. For /proc */
bool trace_tracer_capable(void);      /* execve: may the current task's tracer, if any, gain by it? */

/* ---- trace_stop.c: called by the tracee ---- */
/* trace_signal: a signal is about to be delivered. What is to be delivered instead, with *info; 0: nothing. */
int trace_signal(struct task *t, siginfo_t *info);
void trace_due_stop(struct task *t);
bool trace_group_stop(struct task *t); /* false: nobody traces it; else the stop is over for this task */
/* trace_event: PTRACE_EVENT_*, if the tracer asked for it; whether it did. */
bool trace_event(struct task *t, int event, u64 message);
void trace_executed(struct task *t, int old_tid);
void trace_handler_entered(struct task *t); /* a single step led into a signal's handler */
bool trace_call_enter(struct task *t);      /* false: the call is not made */
void trace_call_exit(struct task *t);
/* trace_notify: SIGCONT came; signal_lock. trace_wants_signal: no signal is dropped on the way to a tracee. */
void trace_notify(struct task *t);
