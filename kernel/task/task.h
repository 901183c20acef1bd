/* task.h - tasks (threads), processes (thread groups), and what they sleep, wait and die by.
 *
 * A task is what a CPU runs: one kernel stack, one set of registers. A process owns what its tasks share: the address space,
 * descriptors, signal actions, ids. The scheduler is sched.c, waiting is wait.c, signals signal.c, clone and exit process.c,
 * execve exec.c, futexes futex.c. */
#pragma once

#include <linux/types.h>
#include <asm/signal.h>
#include <asm/resource.h>

#include "arch/x86_64/cpu.h"
#include "lib/base.h"
#include "lib/sync.h"

struct space;
struct files;   /* fs/file.h: the descriptor table */
struct fs_root; /* fs/vfs.h: root, cwd, umask; counted, shared by CLONE_FS */
struct tty;
struct session;

enum task_state { TASK_READY, TASK_RUNNING, TASK_SLEEPING, TASK_STOPPED, TASK_DEAD };

struct credentials {
    u32 uid, euid, suid, fsuid;
    u32 gid, egid, sgid, fsgid;
    u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
    u32 group_count;
    u32 *groups; /* kmalloc'd */
};

struct task {
    /* scheduler: sched.c */
    struct arch_task arch;
    enum task_state state;
    unsigned cpu;
    struct list run_link;
    u64 wake_deadline;
    bool interruptible;     /* how it sleeps */
    bool kernel_thread;
    s8 nice;
    u64 slice_ns;           /* left of the time slice */
    u64 user_ns, system_ns; /* CPU time */
    u64 affinity[CPU_MAX / 64];

    /* identity */
    int tid;
    char name[16]; /* comm */
    struct process *process; /* NULL for kernel threads */
    struct list thread_link; /* in process->threads */

    /* signals: signal.c, under process->signal_lock */
    u64 blocked, pending; /* bit n-1 for signal n */
    u64 saved_mask;       /* sigsuspend, ppoll: restored when a handler has run or none did */
    bool restore_mask;
    u64 alt_stack, alt_stack_bytes;
    u32 alt_stack_flags;
    bool attention;       /* something to do before the return to user mode: signal, stop, death. Set by others, atomically */
    void *queued;         /* signal.c: siginfo of pending signals */
    struct {              /* -ERESTART_RESTARTBLOCK */
        long (*function)(struct task *t);
        u64 arguments[4];
    } restart;

    /* user ABI state */
    u64 robust_list;
    u64 clear_child_tid; /* set_tid_address: zeroed and futex-woken at exit */
    u64 rseq;
    u32 rseq_bytes, rseq_signature;

    void *private_data;  /* task/'s own extension */
};

struct process {
    int pid;
    u32 references;         /* parent's list, /proc readers, tasks */
    struct space *space;    /* NULL once it exits; replaced by exec under `lock` */
    struct files *files;
    struct fs_root *fs;
    struct credentials cred;
    struct rlimit limits[RLIM_NLIMITS];

    struct spin lock;            /* threads, children's list of waiters, space pointer */
    struct list threads;         /* of struct task */
    unsigned thread_count;
    struct process *parent;      /* family: under the family lock of process.c */
    struct list children, sibling;
    struct waitq child_events;   /* wait4 sleeps here */
    struct list all_link;        /* every process, for /proc and kill(-1) */
    int pgid, sid;
    struct tty *tty;             /* controlling terminal, or NULL */

    struct spin signal_lock;
    u64 pending;                 /* of the whole process */
    struct sigaction *actions;   /* 64 of them; the kernel's layout of asm/signal.h; CLONE_SIGHAND shares (counted) */
    int exit_status;             /* wait status, once exiting */
    bool exiting, stopped, continued, zombie;
    int stop_signal;
    u64 start_ns;                /* clock_ns() at fork */
    u64 user_ns, system_ns;      /* of threads that ended */
    u64 children_user_ns, children_system_ns;
    u64 faults_minor, faults_major, children_faults_minor, children_faults_major;
    bool dumpable, no_new_privs, executed;
    int oom_score_adj;
    u32 personality;
    void *private_data;          /* task/'s own extension: timers, vfork completion */
};

static inline struct task *task_current(void) { return cpu_self()->current; }
static inline struct process *process_current(void) { return task_current()->process; }
/* credentials of the caller; kernel threads act as root */
const struct credentials *cred_current(void);
bool capable(int capability); /* CAP_* of linux/capability.h, in the effective set */

/* signal_pending: a signal (or death, or a stop) waits for the current task, so an interruptible sleep should end. */
bool signal_pending(void);
bool fatal_signal_pending(void);
/* Send. info NULL: SI_KERNEL. Callable from task context and queued work, not from interrupt handlers. 0 or -errno. */
int signal_process(struct process *p, int signal, const siginfo_t *info);
int signal_task(struct task *t, int signal, const siginfo_t *info);
int signal_group(int pgid, int signal, const siginfo_t *info); /* every process of the group; -ESRCH if none */
/* signal_force: a fault of the current task itself: cannot be blocked or ignored. */
void signal_force(int signal, int code, u64 address);

struct process *process_find(int pid);  /* a counted reference, or NULL; process_put when done */
void process_get(struct process *p);
void process_put(struct process *p);
/* process_next: the process with the smallest pid > pid, counted; NULL at the end. For /proc and kill(-1). */
struct process *process_next(int pid);
struct space *process_space(struct process *p); /* counted (space_put), or NULL */

void task_init(void);                                    /* boot CPU, after vm_init */
struct task *kthread_start(const char *name, void (*run)(void *), void *argument); /* NULL: no memory */
noreturn void kthread_exit(void);
void schedule(void);          /* let others run; no lock held */
noreturn void sched_cpu_main(void); /* an AP (and the boot CPU at the end of kernel_main): becomes its idle task */
u64 sched_load(unsigned which); /* loadavg, fixed point 11 bits, which = 0, 1, 2 */
u64 task_count(void), process_count(void), context_switches(void), forks_total(void);
u64 cpu_user_ns(unsigned cpu), cpu_system_ns(unsigned cpu), cpu_idle_ns(unsigned cpu);

/* Timers: run(timer) is called as queued work (no lock held, may not sleep) at or after the deadline. */
struct timer {
    struct list link;
    u64 deadline_ns;
    void (*run)(struct timer *t);
    unsigned cpu; /* whose queue it is on */
    bool armed;
};
void timer_arm(struct timer *t, u64 deadline_ns);
bool timer_cancel(struct timer *t); /* true: it will not run; false: it ran, or runs now on another CPU and has ended on return */

/* The first process: made by the kernel from the command's configuration (wire.h), with descriptors 0..2 on the streams. */
struct boot_config; /* kernel/main.h */
int process_start_first(const struct boot_config *config);
