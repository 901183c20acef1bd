/* task.h - tasks (threads), processes (thread groups), and what they sleep, wait and die by.
 *
 * A task is what a CPU runs: one kernel stack, one set of registers. A process owns what its tasks share: the address
 * space, descriptors, signal actions, ids. The scheduler is sched.c, waiting is wait.c, signals signal.c, clone and
 * exit process.c, execve exec.c, futexes futex.c. */
#pragma once

#include <linux/types.h>
#include <linux/resource.h>
#include <asm/siginfo.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <linux/resource.h>

#include "arch/x86_64/cpu.h"
#include "lib/base.h"
#include "lib/sync.h"
#include "task/failing.h"
#include "task/nodes.h"

struct space;
struct files; /* fs/file.h: the descriptor table */
struct file;
struct fs_root; /* fs/vfs.h: root, cwd, umask; counted, shared by CLONE_FS */
struct tty;
struct ident;          /* ident.c: a number in use as tid, pid, group or session */
struct signal_actions; /* signal.c: the counted table behind process->actions */
struct posix_timer;    /* sys/time.c */
struct trace;          /* trace.h: the bond with a tracer */
struct seccomp;        /* seccomp.h: what it may not call */

enum task_state { TASK_READY, TASK_RUNNING, TASK_SLEEPING, TASK_STOPPED, TASK_DEAD };

/* Supplementary groups. The threads of a process look through its list without a lock, while another may be in
 * setgroups: so a list that has room is written over, and one that gives way stays until the process goes. Who looks
 * reads the count first: a list that comes later has no less room. */
struct group_list {
    struct group_list *older;
    u32 room;
    u32 gids[];
};

struct credentials {
    u32 uid, euid, suid, fsuid;
    u32 gid, egid, sgid, fsgid;
    u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
    u32 group_count;           /* of a process: its ->lock to write */
    struct group_list *groups; /* likewise; NULL: there never were any */
};

/* Timers: run(timer) is called as queued work (no lock held, may not sleep) at or after the deadline. */
struct timer {
    struct timer *child, *next, **back; /* the heap of the CPU it is armed on: timer.c */
    u64 deadline_ns;
    void (*run)(struct timer *t);
    unsigned cpu; /* whose queue it is on */
    bool armed;
};
void timer_arm(struct timer *t, u64 deadline_ns); /* an armed one moves to the new deadline */
/* timer_cancel: true: it will not run; false: it ran, or runs now on another CPU and has ended on return. */
bool timer_cancel(struct timer *t);

#define SIGNAL_COUNT 64 /* signals are 1..64: _NSIG of Linux, which the user's asm/signal.h does not have */
#define signal_bit(n) (1UL << ((n)-1))

/* Signals that wait, of a task or of a process. Under process->signal_lock; `set` may be read without it, as a hint. */
struct signal_queue {
    u64 set;            /* bit n-1 for signal n */
    struct list queued; /* of struct queued_signal: those that came with a siginfo */
};

#define STUCK_PAGES 16u /* that one instruction may need */

/* Legend: [r] the run queue's lock of ->cpu; [s] process->signal_lock; [o] the task itself only; [p] process->lock;
 * [a] atomic. Unmarked: constant after creation. */
struct task {
    /* scheduler: sched.c */
    struct arch_task arch;
    u32 references;        /* [a] one while it can run, one for each lookup */
    enum task_state state; /* [r], set to SLEEPING by itself before it tests what it waits for */
    unsigned cpu;          /* [r] where it runs, ran last, or is queued */
    struct list run_link;  /* [r] */
    bool queued;           /* [r] on a run queue */
    bool wake_pending;     /* [a] woken since it last slept */
    bool interruptible;    /* [o] how it sleeps: any signal ends it; */
    bool killable;         /* [o] only death ends it */
    bool kernel_thread;
    s8 nice;
    u8 policy;          /* SCHED_*: kept and reported; every task is scheduled as SCHED_OTHER */
    bool policy_resets; /* SCHED_RESET_ON_FORK: who it makes has an ordinary one */
    u8 realtime_priority;
    u16 io_priority;        /* ioprio_set(2): kept and reported; 0: none */
    s64 slice_ns;           /* [r] left of the time slice */
    u64 user_ns, system_ns; /* [a] CPU time */
    u32 stalls;             /* [o] STALL_*: what it waits for: pressure.c */
    u64 woke_ns;            /* [o] when it first woke another since it last slept; 0: not */
    u8 sleeps_soon;         /* [o] how often it slept soon after that: sched.c */
    u64 switches_voluntary, switches_forced;
    u64 faults_minor, faults_major; /* written by this task alone */
    u64 reads;                      /* [o] pages whose reading it waited for: machine_reads */
    struct stuck {
        u64 state; /* the user's registers, as one number */
        u32 reads; /* for this state, of pages that had been read for it */
        u32 count; /* of pages */
        u64 pages[STUCK_PAGES];
    } stuck; /* [o] trap.c's */
    u64 affinity[CPU_MAX / 64];
    struct timer sleep_timer;
    u64 epoch;                   /* [r] of the run queue that gave the slice */
    bool sampled_user;           /* [o] where the last tick found it */
    bool check_times;            /* [o] the tick asks for process_times_check */
    void (*run)(void *argument); /* a kernel thread's function */
    void *argument;

    /* identity */
    int tid;
    struct ident *ident;
    char name[16];           /* comm */
    struct process *process; /* NULL for kernel threads */
    struct files *files; /* [o], and [p] to write, or for others to read; its threads mostly share one. NULL once it */
    struct fs_root *fs;  /* [o] ends, and for kernel threads */
    struct list thread_link; /* [p] in process->threads */

    /* signals: signal.c */
    u64 blocked;                 /* [s] to write, [o] to read */
    struct signal_queue pending; /* [s] */
    u64 saved_mask;              /* sigsuspend, ppoll: restored when a handler has run or none did */
    bool restore_mask;
    bool attention; /* [a] something to do before the return to user mode: signal, stop, death */
    bool killed;    /* [a] must die: exit_group, a fatal signal, another thread's execve */
    bool parked;    /* [s] counted in process->parked */
    u64 waited_for; /* [s] sigtimedwait: signals that wake it although blocked */
    u64 alt_stack, alt_stack_bytes;
    u32 alt_stack_flags;
    struct trace *trace;     /* [s] its tracer's bond, or NULL; others also with family_lock */
    u32 call_work;           /* [s] to write: CALL_* of trace.h: a system call is not only made */
    struct seccomp *seccomp; /* [s] to write: its filters, or NULL: seccomp.c */
    u8 seccomp_mode;         /* SECCOMP_MODE_* */
    u8 trace_due;            /* [s] DUE_* of trace.h */
    bool past_stop;          /* [s] its tracer let it go on though its process is stopped */
    siginfo_t forced;        /* [s] of a fault: no allocation can fail */
    struct {                 /* -ERESTART_RESTARTBLOCK */
        long (*function)(struct task *t);
        u64 arguments[4];
    } restart;

    /* user ABI state, [o] */
    u64 robust_list;
    bool pi_waited, pi_ended; /* [a] futex_pi.c: somebody waits for a lock of its; it gives up its locks */
    u64 clear_child_tid;      /* set_tid_address: zeroed and futex-woken at exit */
    u64 rseq;
    u32 rseq_bytes, rseq_signature;
    struct memory_policy policy_of_memory;
    bool rseq_stale;           /* switched since its CPU number was written */
    bool lacks_alone;          /* [o] what memory it does not get fails it, and nobody is killed for it: swapoff */
    int __user *set_child_tid; /* clone: where a new task writes its tid first */
    u32 fail[FAIL_KINDS];      /* [a] failing.h */
    u64 fault_address, fault_error, fault_vector; /* of the last exception: for signal frames */
};

/* Legend: [l] ->lock; [s] ->signal_lock; [f] the family lock of process.c; [a] atomic. */
struct process {
    int pid;
    char name[16];           /* the leading thread's, once that has ended */
    u32 references;          /* [a] the family's until it is reaped, each task's, each lookup's */
    struct space *space;     /* [l] NULL once it exits; replaced by exec */
    struct credentials cred; /* written by its own tasks */
    struct rlimit limits[RLIM_NLIMITS];

    struct spin lock;
    struct list threads;                   /* [l] of struct task */
    unsigned thread_count;                 /* [l] */
    struct process *parent;                /* [f] */
    struct list children, sibling;         /* [f] */
    struct waitq child_events;             /* wait4 sleeps here */
    struct list all_link;                  /* [f] every process by age, for kill(-1) */
    struct ident *ident, *group, *session; /* [f]; ident of its own number */
    struct list group_link;                /* [f] */
    struct list traced;                    /* [f] of struct trace: whom its tasks trace */
    struct trace *trace;                   /* [f] its leading thread's, dead or alive; not counted */
    int pgid, sid;                         /* the numbers of group and session */
    struct tty *tty;                       /* [f] controlling terminal, or NULL */
    int hung_up_group;                     /* [f] of a leader: the group in front when its terminal hung up; 0: none */
    bool kernel;                           /* pid 1: no signal reaches it, it has no space */
    bool subreaper;
    int exit_signal;         /* what the parent gets; 0: none */
    int parent_death_signal; /* PR_SET_PDEATHSIG */
    struct file *exe;        /* [l] the program, denied to writers while we run it */
    bool space_shared;       /* vfork, CLONE_VM: another process may use the space */

    struct spin signal_lock;
    struct signal_queue pending;     /* [s] of the whole process */
    struct signal_actions *handlers; /* counted: CLONE_SIGHAND shares */
    struct sigaction *actions;       /* handlers' 64 entries; under handlers' lock */
    struct waitq signal_events;      /* signalfd: woken when a signal comes */
    struct waitq resume;             /* stopped tasks sleep here */
    int exit_status;                 /* [s] wait status, once exiting */
    bool exiting;                    /* [s] every task must die */
    bool stopped;                    /* [s] a stop is in effect: tasks park */
    bool continued;                  /* [s] SIGCONT ended a stop, and no wait told so far */
    bool stop_told;                  /* [s] a wait told of the stop */
    bool tell_continued;             /* [s] the parent has to hear of SIGCONT */
    u32 continuations;               /* [s] SIGCONTs and SIGKILLs so far: a stop that one overtakes is void */
    u32 queued_signals;              /* [s] against RLIMIT_SIGPENDING */
    bool zombie;                     /* [f] */
    unsigned parked;                 /* [s] */
    int stop_signal;                 /* [s] */
    struct task *execing;            /* [s] the task whose execve kills the others */
    struct waitq thread_events;      /* a thread ended: execve waits */
    struct waitq vfork_done;         /* the parent in vfork sleeps here */
    bool vfork_pending;              /* [a] the parent waits for our execve or exit */

    u64 start_ns;                                     /* clock_ns() at fork */
    u64 user_ns, system_ns;                           /* [l] of threads that ended */
    u64 children_user_ns, children_system_ns;         /* [f] */
    u64 faults_minor, faults_major;                   /* [l] of threads that ended */
    u64 children_faults_minor, children_faults_major; /* [f] */
    u64 switches_voluntary, switches_forced;          /* [l] of threads that ended */
    u64 peak_resident, children_peak_resident;        /* pages */
    bool dumpable, no_new_privs, executed, keep_caps;
    bool io_flusher; /* prctl(2): reported only; so is: */
    u8 memory_kill;  /* PR_MCE_KILL_* */
    u32 execs;       /* [a] programs begun; counted before the space changes */
    u32 securebits;
    u32 login_uid, login_session; /* as pam_loginuid(8) says them, for everything that begins there; ~0: nobody did */
    int oom_score_adj, oom_score_adj_min; /* the latter: down to which no capability is needed */
    bool oom_killed;                      /* [a] chosen by the killer, with those who share its space */
    bool reaping;                         /* [a] the killer is in its space; set under ->lock */
    u32 personality;
    u64 timer_slack_ns;
    struct itimer_state {
        struct spin lock;   /* one call at a time sets them, one thread at a time finds one over */
        struct timer timer; /* ITIMER_REAL */
        u64 interval_ns;
        u64 cpu_deadline[2], cpu_interval[2]; /* ITIMER_VIRTUAL, ITIMER_PROF: in ns of CPU time; 0: off */
    } itimer;
    struct list posix_timers; /* of struct posix_timer, under sys/time.c's mutex */
    unsigned cpu_timers;      /* those on clocks of CPU time; read without it by the tick */
    int next_timer;
    struct list sem_undos;    /* sys/sem.c's, under its mutex */
    struct list aio_contexts; /* [l] sys/aio.c's */
};

static inline struct task *task_current(void) { return cpu_self()->current; }
static inline struct process *process_current(void) { return task_current()->process; }
/* credentials of the caller; kernel threads act as root */
const struct credentials *cred_current(void);
bool capable(int capability); /* CAP_* of linux/capability.h, in the effective set */

/* signal_pending: a signal (or death, or a stop) waits for the current task, so an interruptible sleep should end. */
bool signal_pending(void);
bool fatal_signal_pending(void);
/* Send. info NULL: SI_KERNEL. Callable from task context and queued work, not from interrupt handlers; with an info it
 * allocates, so from task context only. 0 or -errno. */
int signal_process(struct process *p, int signal, const siginfo_t *info);
int signal_task(struct task *t, int signal, const siginfo_t *info);
int signal_group(int pgid, int signal, const siginfo_t *info); /* every process of the group; -ESRCH if none */
/* signal_force: a fault of the current task itself: cannot be blocked or ignored. */
void signal_force(int signal, int code, u64 address);
void signal_force_info(const siginfo_t *info);
void signal_force_key(u64 address, int key); /* SEGV_PKUERR: the page's protection key forbids it */
void signal_force_poison(u64 address);       /* BUS_MCEERR_AR: what the page held is lost */
/* signal_info_user: what kill(2) says of its sender. */
void signal_info_user(siginfo_t *info, int signal, int code);
void signal_broken_pipe(void); /* SIGPIPE for the current task: nobody will read what it writes */
/* signal_take: the first pending signal of the set for the current task (signalfd, sigtimedwait), removed; 0: none. */
int signal_take(u64 set, siginfo_t *info);
u64 signal_pending_set(void); /* of the current task and its process */
/* A mask for the time of one call (ppoll, pselect6, epoll_pwait, sigsuspend). signal_mask_end: the call ends;
 * interrupted: it returns -EINTR or -ERESTARTNOHAND for a signal, whose handler runs under the temporary mask. */
void signal_mask_begin(u64 mask);
void signal_mask_end(bool interrupted);
int signal_mask_begin_user(const u64 __user *mask, size_t bytes); /* NULL: nothing. -EINVAL for a wrong size, -EFAULT */
/* job control: the caller's process is in an orphaned group / ignores or blocks the signal (tty reads and writes in
 * background) */
bool process_orphaned(void);
bool signal_ignored_or_blocked(int signal);

/* task_sleep_killable: as task_sleep(true, ...), but only death ends it (-EINTR). */
int task_sleep_killable(u64 deadline_ns);
#define wait_until_killable(q, condition) wait_until_by(q, condition, task_sleep_killable(SLEEP_FOREVER))

struct process *process_find(int pid); /* a counted reference, or NULL; process_put when done */
void process_get(struct process *p);
void process_put(struct process *p);
/* process_next: the process with the smallest pid > pid, counted; NULL at the end. For /proc and kill(-1). */
struct process *process_next(int pid);
struct space *process_space(struct process *p); /* counted (space_put), or NULL */
struct files *process_files(struct process *p); /* counted (files_put), or NULL */
/* process_fs_root: as it was a moment ago, a private copy (fs_root_put), or NULL: for /proc/PID/{cwd,root}. */
struct fs_root *process_fs_root(struct process *p);
int process_parent_pid(struct process *p); /* 0: none */
/* process_cpu_time: user and system time of all its threads, living and dead, in ns. */
void process_cpu_time(struct process *p, u64 *user_ns, u64 *system_ns);
struct faults {
    u64 minor, major;
};
struct faults process_faults(struct process *p); /* of the same */
struct task *task_find(int tid);                 /* counted (task_put), or NULL */
/* process_thread_next: the thread of p with the smallest tid > tid, counted; NULL at the end. */
struct task *process_thread_next(struct process *p, int tid);
void task_get(struct task *t);
void task_put(struct task *t);
char task_state_letter(struct task *t);       /* R, S, D, T, t, X as /proc/PID/stat has it */
char process_state_letter(struct process *p); /* of its leading thread, or Z */

/* process_in_session_group: is there a group pgid within session sid? 0, -ESRCH: there is no such group at all, -EPERM.
 */
int process_in_session_group(int sid, int pgid);
/* process_each_in_session: call f for every process of the session; f may not sleep. */
void process_each_in_session(int sid, void (*f)(struct process *p, void *argument), void *argument);
/* process_look: call f with the family held still, so that p->tty may be counted; f may not sleep. */
void process_look(struct process *p, void (*f)(struct process *p, void *argument), void *argument);

/* tty_session_end: for the terminals' owner to define: a session leader ends. Its terminal's foreground group gets
 * SIGHUP, and every process of the session loses the terminal. May sleep. */
void tty_session_end(struct process *leader);

void task_init(void);                                                              /* boot CPU, after vm_init */
struct task *kthread_start(const char *name, void (*run)(void *), void *argument); /* NULL: no memory */
noreturn void kthread_exit(void);
void schedule(void);                /* let others run; no lock held */
noreturn void sched_cpu_main(void); /* an AP (and the boot CPU at the end of kernel_main): becomes its idle task */
u64 sched_load(unsigned which);     /* loadavg, fixed point 11 bits, which = 0, 1, 2 */
u64 sched_running(void);            /* tasks running or ready */
u64 task_count(void), process_count(void), context_switches(void), forks_total(void);
u64 cpu_user_ns(unsigned cpu), cpu_system_ns(unsigned cpu), cpu_idle_ns(unsigned cpu);

/* The first process: made by the kernel from the command's configuration (wire.h), with descriptors 0..2 on the
 * streams. */
struct boot_config; /* kernel/main.h */
int process_start_first(const struct boot_config *config);
int process_first_group(void); /* the program's process group, for signals from the command; 0: not yet */
