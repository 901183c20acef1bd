/* family.h - processes as seen by task/ alone: their numbers, their life from clone to the last wait.
 *
 * Lock order: docs/locks.md.
 * process->threads changes under signal_lock and process->lock both, so either is enough to read it. */
#pragma once

#include "task/sched.h"

extern struct spin family_lock; /* the tree of processes, groups, sessions, zombies: what task.h marks [f] */

/* ident.c: a number is in use as long as a task, a process, a group or a session has it. */
struct ident {
    int number;
    u32 references;          /* [a] */
    struct ident *hash_next; /* ident_lock */
    struct task *task;       /* ident_lock; not counted: cleared when the task ends */
    struct process *process; /* ident_lock; not counted: cleared when the process is reaped */
    struct list group;       /* [f] processes of the group of this number */
};
struct ident *ident_new(void); /* one reference; NULL: no memory or no number */
void ident_get(struct ident *id);
void ident_put(struct ident *id);
struct ident *ident_find(int number);                                   /* counted, or NULL */
void ident_bind(struct ident *id, struct task *t, struct process *p);   /* sets what is not NULL */
void ident_unbind(struct ident *id, struct task *t, struct process *p); /* clears what is equal */

/* process.c */
extern struct process *process_kernel; /* pid 1 */
extern struct process *process_first;  /* the program's; NULL before. Not counted: compared only */
void process_init(void);               /* first.c */
void process_cache_init(void);
void family_add(struct process *p, struct process *parent); /* family_lock */
void family_remove(struct process *p);                      /* family_lock */
u64 process_count_of(u32 uid);                              /* processes of a user */
bool family_empty(void);                                    /* nobody but pid 1 */
void family_kill(void);                                     /* SIGKILL to all but pid 1 */
struct queued_signal;
struct process *process_make(void);                                  /* empty, one reference; NULL: no memory */
void process_join_group(struct process *p, struct ident *group);     /* family_lock; counts group */
void process_join_session(struct process *p, struct ident *session); /* likewise */
bool group_orphaned(const struct ident *group, const struct process *ignored); /* family_lock */
bool group_has_stopped(const struct ident *group);                             /* family_lock */
/* task_unshare_files, task_unshare_fs: the current task has its descriptors, its directories, to itself. 0, or
 * -ENOMEM... task_release_files: it has none any more. May sleep. */
int task_unshare_files(void);
int task_unshare_fs(void);
void task_release_files(struct task *t);
struct group_list *group_list_make(u32 room); /* NULL: no memory */
int cred_copy(struct credentials *to, const struct credentials *from);

/* clone.c */
struct clone_request {
    u64 flags; /* CLONE_*, without the signal */
    int exit_signal;
    u64 stack; /* the new stack pointer; 0: as it is */
    u64 tls;
    int __user *parent_tid, *child_tid;
    int __user *pidfd; /* CLONE_PIDFD: where the descriptor of the child is written */
};
long task_clone(const struct clone_request *r); /* the child's tid, or -errno */
void vfork_finish(struct process *p);           /* the parent in vfork goes on */

/* exit.c */
noreturn void task_exit(int status); /* this task; status counts if it is the last and no group exit is under way */
noreturn void task_exit_group(int status);
void group_exit_locked(struct process *p, int status); /* signal_lock held: everyone must die */
void process_reap(struct process *p); /* family_lock; a zombie leaves the family; drops the family's reference */
/* process_tell_end: family_lock; a zombie's parent hears of it, with *entry, which may be NULL. */
void process_tell_end(struct process *p, struct queued_signal **entry);
int threads_kill_others(void); /* execve: 0, or -EAGAIN */

/* child.c */
struct wait_request {
    int which, id, options;     /* P_*, WEXITED... of linux/wait.h */
    int pid, status, code, uid; /* out: pid 0: WNOHANG and nothing */
    struct rusage *usage;       /* out, or NULL */
};
long process_wait(struct wait_request *w); /* 0 or -errno */

/* signal.c */
struct signal_actions {
    u32 references;   /* [a] */
    struct spin lock; /* protects actions; innermost */
    struct sigaction action[SIGNAL_COUNT];
};
struct queued_signal {
    struct list link;
    siginfo_t info;
    bool owned; /* belongs to a posix timer, or to the owner of a file: not ours to free */
};
struct signal_actions *signal_actions_make(
    const struct signal_actions *like); /* NULL: defaults; NULL result: no memory */
void signal_actions_put(struct signal_actions *a);
void signal_actions_reset(struct signal_actions *a, bool all); /* execve: handlers to default; all: ignored ones too */
void signal_queue_flush(struct process *p, struct signal_queue *q, u64 set); /* signal_lock */
/* signal_send_prepared: signal_lock free; entry: from kmalloc, taken over, or NULL; t NULL: to the process. No sleep.
 */
int signal_send_prepared(struct process *p, struct task *t, int signal, const siginfo_t *info,
                         struct queued_signal *entry);
int signal_check(struct process *p, int signal);        /* may the caller send it? 0, -EPERM, -EINVAL */
int signal_everyone(int signal, const siginfo_t *info); /* process.c: kill(-1). -ESRCH: nobody there; -EPERM */
void signal_deliver(struct regs *regs);
void signal_group_stopped(struct process *p, int signal); /* deliver.c: its last task stopped: the parent hears of it */
void signal_set_blocked(u64 mask);
void signal_retarget(struct process *p, u64 set); /* signal_lock: others may take what the current task will not */
/* signal_tell_parent: of p's stop (CLD_STOPPED), continuation or death; family_lock held; entry as above, or NULL */
bool signal_parent_ignores(struct process *parent, int signal, unsigned long flag);

/* futex.c */
void futex_task_exit(struct task *t); /* robust list, clear_child_tid; its space is still loaded */

/* exec.c */
struct exec_strings { /* argv or envp: a user's array of pointers, or the kernel's */
    const u64 __user *user;
    char *const *kernel;
};
long process_exec(int at, const char *name, int flags, const struct exec_strings *argv,
                  const struct exec_strings *envp);
