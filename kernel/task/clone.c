/* clone.c - fork, vfork and clone: a new task, of the caller's process or of a new one.
 *
 * Everything that can fail comes first; the child enters the family last, under family_lock, where a signal that came
 * meanwhile still undoes it all: so a signal to a group reaches a forking member before it forks, or parent and child.
 */
#include <linux/capability.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <asm/sigcontext.h>

#include "arch/x86_64/debug.h"
#include "arch/x86_64/usercopy.h"
#include "fs/file.h"
#include "fs/pidfd.h"
#include "fs/shm.h"
#include "fs/userfault.h"
#include "fs/vfs.h"
#include "task/seccomp.h"
#include "task/trace.h"
#include "vm/space.h"
#include "vm/watch.h"

#define NAMESPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |       \
     CLONE_NEWTIME)

static u64 forks;
u64 forks_total(void) { return atomic_load_relaxed(&forks); }

/* too_many: RLIMIT_NPROC, of the user's processes; those who may exceed it are not counted at all. */
static bool too_many(void) {
    struct process *p = process_current();
    u64 limit = p->limits[RLIMIT_NPROC].rlim_cur;

    if (process_count() <= limit || p->cred.uid == 0 || capable(CAP_SYS_RESOURCE) || capable(CAP_SYS_ADMIN))
        return false;
    return process_count_of(p->cred.uid) >= limit;
}

static int check(u64 flags, u64 tls) {
    if (flags & NAMESPACES || (flags & CLONE_PIDFD && flags & (CLONE_THREAD | CLONE_DETACHED)))
        return -EINVAL;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SETTLS) && tls >= USER_TOP) /* the CPU traps when it loads what is not canonical */
        return -EPERM;
    if (too_many())
        return -EAGAIN;
    return signal_pending() ? -ERESTARTNOINTR : 0;
}

/* ---- a new process's share of its parent ---- */

static int share_space(struct process *child, struct process *parent, u64 flags) {
    if (flags & CLONE_VM) {
        space_get(parent->space);
        child->space = parent->space;
        child->space_shared = parent->space_shared = true;
        return 0;
    }
    child->space = space_fork(parent->space);
    if (is_err(child->space)) {
        int error = ptr_err(child->space);
        child->space = NULL;
        return error;
    }
    shm_note(child->space, 0, USER_TOP, true);
    if (unlikely(space_is_watched(child->space)))
        userfault_forked(child->space);
    return 0;
}

static int share_files(struct task *t, u64 flags) {
    struct task *self = task_current();

    if (flags & CLONE_FILES) {
        files_get(self->files);
        t->files = self->files;
    } else {
        struct files *own = files_fork(self->files);
        if (is_err(own))
            return ptr_err(own);
        t->files = own;
    }
    if (flags & CLONE_FS) {
        fs_root_get(self->fs);
        t->fs = self->fs;
    } else {
        t->fs = fs_root_fork(self->fs);
    }
    return t->fs ? 0 : -ENOMEM;
}

static int share_signals(struct process *child, struct process *parent, u64 flags) {
    if (flags & CLONE_SIGHAND) {
        atomic_add(&parent->handlers->references, 1);
        child->handlers = parent->handlers;
    } else {
        child->handlers = signal_actions_make(parent->handlers);
    }
    if (!child->handlers)
        return -ENOMEM;
    if (flags & CLONE_CLEAR_SIGHAND)
        signal_actions_reset(child->handlers, false);
    child->actions = child->handlers->action;
    return 0;
}

/* process_drop: what a process that never ran had already got. */
static void process_drop(struct process *p) {
    if (p->space)
        space_put(p->space);
    if (p->exe) {
        inode_allow_write(p->exe->inode);
        file_put(p->exe);
    }
    p->space = NULL;
    p->exe = NULL;
    process_put(p);
}

static void inherit(struct process *child, const struct process *parent) {
    memcpy(child->limits, parent->limits, sizeof(child->limits));
    child->dumpable = parent->dumpable;
    child->no_new_privs = parent->no_new_privs;
    child->keep_caps = parent->keep_caps;
    child->securebits = parent->securebits;
    child->oom_score_adj = parent->oom_score_adj;
    child->oom_score_adj_min = parent->oom_score_adj_min;
    child->personality = parent->personality;
    child->timer_slack_ns = parent->timer_slack_ns;
    child->io_flusher = parent->io_flusher;
    child->memory_kill = parent->memory_kill;
    child->login_uid = parent->login_uid;
    child->login_session = parent->login_session;
    child->exe = parent->exe;
    if (child->exe) {
        file_get(child->exe);
        (void)inode_deny_write(child->exe->inode);
    }
}

/* process_fork: a process like the caller's, outside the family. err_ptr. */
static struct process *process_fork(const struct clone_request *r) {
    struct process *parent = process_current(), *child = process_make();
    int error;

    if (!child)
        return err_ptr(-ENOMEM);
    inherit(child, parent);
    child->exit_signal = r->exit_signal;
    child->vfork_pending = r->flags & CLONE_VFORK;
    error = cred_copy(&child->cred, &parent->cred);
    if (!error)
        error = share_signals(child, parent, r->flags);
    if (!error)
        error = share_space(child, parent, r->flags);
    if (error) {
        process_drop(child);
        return err_ptr(error);
    }
    return child;
}

/* ---- a new task ---- */

static void child_starts(void *argument) {
    struct task *t = argument;

    if (t->set_child_tid)
        (void)put_user(t->tid, t->set_child_tid);
    arch_enter_user(arch_task_regs(&t->arch));
}

static void copy_registers(struct task *t, const struct clone_request *r) {
    struct task *self = task_current();
    struct regs *regs = arch_task_regs(&t->arch);

    *regs = *arch_task_regs(&self->arch);
    regs->rax = 0;
    if (r->stack)
        regs->rsp = r->stack;
    t->arch.step_forced = self->arch.step_forced;
    arch_step(t, false);
    arch_fpu_save(&self->arch);
    memcpy(t->arch.fpu, self->arch.fpu, fpu_bytes);
    t->arch.segments = arch_get_segments();
    t->arch.fs_base = r->flags & CLONE_SETTLS ? r->tls : arch_get_fs_base();
    t->arch.gs_base = arch_get_gs_base();
}

static struct task *task_copy(const struct clone_request *r) {
    struct task *self = task_current(), *t = task_make(self->name, true);

    if (!t)
        return NULL;
    t->ident = ident_new();
    if (!t->ident) {
        task_unmake(t);
        return NULL;
    }
    t->tid = t->ident->number;
    copy_registers(t, r);
    t->run = child_starts;
    t->argument = t;
    t->blocked = self->blocked;
    t->policy_of_memory = self->policy_of_memory;
    if ((r->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM) {
        t->alt_stack = self->alt_stack;
        t->alt_stack_bytes = self->alt_stack_bytes;
        t->alt_stack_flags = self->alt_stack_flags;
    }
    if (!(r->flags & CLONE_VM)) {
        t->rseq = self->rseq;
        t->rseq_bytes = self->rseq_bytes;
        t->rseq_signature = self->rseq_signature;
    }
    if (r->flags & CLONE_CHILD_CLEARTID)
        t->clear_child_tid = (u64)r->child_tid;
    if (r->flags & CLONE_CHILD_SETTID)
        t->set_child_tid = r->child_tid;
    return t;
}

/* task_discard: of a task that cannot be found by its number: whoever could would trace it, or send it signals. */
static void task_discard(struct task *t) {
    task_release_files(t);
    ident_put(t->ident);
    task_unmake(t);
}

/* add_thread: into p's list, unless the process is about to end or to execute another program. */
static int add_thread(struct process *p, struct task *t) {
    int error = 0;

    spin_lock(&p->signal_lock);
    if (p->exiting || (p->execing && p->thread_count)) {
        error = -ERESTARTNOINTR;
    } else {
        spin_lock(&p->lock);
        list_add_tail(&p->threads, &t->thread_link);
        p->thread_count++;
        spin_unlock(&p->lock);
        t->attention = p->stopped;
        seccomp_inherit(t);
    }
    spin_unlock(&p->signal_lock);
    return error;
}

/* add_process: into the family: its parent is the caller's process or, with CLONE_PARENT, the caller's parent. */
static int add_process(struct process *child, struct task *t, u64 flags) {
    struct process *self = process_current(), *parent;
    int error = 0;

    spin_lock(&family_lock);
    if (signal_pending()) {
        error = -ERESTARTNOINTR;
    } else {
        parent = flags & CLONE_PARENT && self->parent != process_kernel ? self->parent : self;
        if (flags & CLONE_PARENT)
            child->exit_signal = self->exit_signal;
        process_join_group(child, self->group);
        process_join_session(child, self->session);
        child->tty = self->tty;
        family_add(child, parent);
        ident_bind(child->ident, t, child);
    }
    spin_unlock(&family_lock);
    return error;
}

/* ---- CLONE_PIDFD ---- */

struct pidfd {
    struct file *file;
    int number;
};

/* pidfd_make: the descriptor, told to the caller but not open yet. */
static int pidfd_make(const struct clone_request *r, struct process *child, struct pidfd *d) {
    int error = 0;

    *d = (struct pidfd){.number = -1};
    if (!(r->flags & CLONE_PIDFD))
        return 0;
    d->file = pidfd_create(child, 0);
    if (is_err(d->file))
        return ptr_err(d->file);
    d->number = fd_reserve();
    error = d->number < 0 ? d->number : put_user(d->number, r->pidfd);
    if (error) {
        if (d->number >= 0)
            fd_fill(d->number, NULL, true);
        file_put(d->file);
    }
    return error;
}

static void pidfd_open(const struct pidfd *d, bool really) {
    if (d->number < 0)
        return;
    fd_fill(d->number, really ? d->file : NULL, true);
    if (!really)
        file_put(d->file);
}

/* ---- for a tracer ---- */

static int event_of(const struct clone_request *r) {
    if (r->flags & CLONE_VFORK)
        return PTRACE_EVENT_VFORK;
    return r->exit_signal == SIGCHLD ? PTRACE_EVENT_FORK : PTRACE_EVENT_CLONE;
}

/* start: the child runs, traced if tr says so, which is taken over; and the caller's own tracer hears of it. */
static void start(const struct clone_request *r, struct task *t, struct trace *tr) {
    int tid = t->tid;

    if (tr)
        trace_inherit(tr, t);
    task_start(t);
    if (!(r->flags & CLONE_UNTRACED))
        trace_event(task_current(), event_of(r), tid);
}

static long clone_thread(const struct clone_request *r, struct task *t, struct trace *tr) {
    struct process *p = process_current();
    int tid = t->tid, error;

    t->process = p;
    process_get(p);
    error = add_thread(p, t);
    if (error) {
        task_discard(t);
        kfree(tr);
        return error;
    }
    ident_bind(t->ident, t, NULL);
    if (r->flags & CLONE_PARENT_SETTID)
        (void)put_user(tid, r->parent_tid);
    start(r, t, tr);
    return tid;
}

void vfork_finish(struct process *p) {
    if (atomic_load(&p->vfork_pending)) {
        atomic_store(&p->vfork_pending, false);
        waitq_wake_all(&p->vfork_done);
    }
}

static long clone_process(const struct clone_request *r, struct task *t, struct trace *tr) {
    struct process *p = process_fork(r);
    struct pidfd d;
    int tid = t->tid, error;

    if (is_err(p)) {
        task_discard(t);
        kfree(tr);
        return ptr_err(p);
    }
    p->pid = tid;
    p->ident = t->ident;
    ident_get(p->ident);
    error = pidfd_make(r, p, &d);
    t->process = p;
    process_get(p);
    if (!error) {
        (void)add_thread(p, t);
        error = add_process(p, t, r->flags);
        pidfd_open(&d, !error);
    }
    if (error) {
        task_discard(t);
        process_drop(p);
        kfree(tr);
        return error;
    }
    if (r->flags & CLONE_PARENT_SETTID)
        (void)put_user(tid, r->parent_tid);
    process_get(p);
    start(r, t, tr);
    if (r->flags & CLONE_VFORK) {
        (void)wait_until_killable(&p->vfork_done, !atomic_load(&p->vfork_pending));
        trace_event(task_current(), PTRACE_EVENT_VFORK_DONE, tid);
    }
    process_put(p);
    return tid;
}

long task_clone(const struct clone_request *r) {
    struct trace *tr;
    struct task *t;
    int error = check(r->flags, r->tls);

    tr = error ? NULL : trace_prepare(r->flags, event_of(r), &error);
    if (error)
        return error;
    t = task_copy(r);
    if (!t) {
        kfree(tr);
        return -EAGAIN;
    }
    error = share_files(t, r->flags);
    if (error) {
        task_discard(t);
        kfree(tr);
        return error;
    }
    atomic_add(&forks, 1);
    return r->flags & CLONE_THREAD ? clone_thread(r, t, tr) : clone_process(r, t, tr);
}
