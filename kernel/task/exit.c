/* exit.c - how tasks and processes end, and what their families hear of it.
 *
 * A group exit (exit_group, a fatal signal, the end of the first program) marks every task of a process `killed`; each
 * ends itself on its way to user mode, or at once if it sleeps killably. The last task takes the process down: its
 * space first, so that a wait that returns finds the memory free, then files, then its place in the family. A process
 * whose parent does not want to know is reaped on the spot.
 *
 * What a dying task still touches after its process may have been reaped by others: its own stack and its counted
 * process. The next task to run on the CPU frees the stack. */
#include <linux/ptrace.h>
#include <linux/wait.h>

#include "arch/x86_64/usercopy.h"
#include "fs/file.h"
#include "fs/shm.h"
#include "fs/vfs.h"
#include "task/oom.h"
#include "task/times.h"
#include "task/trace.h"
#include "vm/space.h"

/* ---- threads ---- */

void group_exit_locked(struct process *p, int status) {
    struct task *t;

    if (!p->exiting) {
        p->exiting = true;
        p->exit_status = status;
    }
    p->stopped = false;
    p->continuations++;
    list_for_each(t, &p->threads, thread_link) {
        atomic_store(&t->killed, true);
        atomic_store(&t->attention, true);
        task_interrupt(t);
    }
    waitq_wake_all(&p->resume);
}

/* leave: the current task is no thread of p any more. Returns whether it was the last. In a stop it may be the one that
 * the others' parent waits for. */
static bool leave(struct process *p, struct task *t, int status) {
    struct trace *tr;
    bool last, stops;
    int signal;

    spin_lock(&p->signal_lock);
    spin_lock(&p->lock);
    list_del(&t->thread_link);
    last = --p->thread_count == 0;
    p->user_ns += t->user_ns;
    p->system_ns += t->system_ns;
    p->switches_voluntary += t->switches_voluntary;
    p->switches_forced += t->switches_forced;
    p->faults_minor += t->faults_minor;
    p->faults_major += t->faults_major;
    spin_unlock(&p->lock);
    if (!last)
        signal_retarget(p, p->pending.set & ~t->blocked);
    signal_queue_flush(p, &t->pending, ~0UL);
    if (p->exiting)
        status = p->exit_status;
    if (last)
        p->exiting = true;
    stops = !last && p->stopped && p->parked == p->thread_count;
    signal = p->stop_signal;
    tr = t->trace;
    t->trace = NULL;
    spin_unlock(&p->signal_lock);
    if (stops)
        signal_group_stopped(p, signal);
    if (tr)
        trace_thread_ends(tr, status);
    ident_unbind(t->ident, t, NULL);
    ident_put(t->ident);
    t->ident = NULL;
    return last;
}

static void process_exit(struct process *p);

void task_exit(int status) {
    struct task *t = task_current();
    struct process *p = t->process;

    trace_event(t, PTRACE_EVENT_EXIT, p->exiting ? p->exit_status : status);
    futex_task_exit(t);
    spin_lock(&p->signal_lock);
    if (!p->exiting && t->tid == p->pid)
        p->exit_status = status; /* the leading thread's, whoever ends last */
    if (t->tid == p->pid)
        memcpy(p->name, t->name, sizeof(p->name));
    spin_unlock(&p->signal_lock);
    if (atomic_load(&p->thread_count) > 1) /* before it is counted out: an execve that waits wants them for itself */
        task_release_files(t);
    if (leave(p, t, status))
        process_exit(p);
    else
        waitq_wake_all(&p->thread_events);
    task_end();
}

void task_exit_group(int status) {
    struct process *p = process_current();

    spin_lock(&p->signal_lock);
    group_exit_locked(p, status);
    spin_unlock(&p->signal_lock);
    task_exit(status);
}

/* threads_kill_others: the current task stays alone, and takes the number of its process. */
int threads_kill_others(void) {
    struct task *self = task_current(), *t;
    struct process *p = self->process;
    bool lost;

    spin_lock(&p->signal_lock);
    lost = p->exiting || p->execing;
    if (!lost) {
        p->execing = self;
        list_for_each(t, &p->threads, thread_link) {
            if (t == self)
                continue;
            atomic_store(&t->killed, true);
            atomic_store(&t->attention, true);
            task_interrupt(t);
        }
        waitq_wake_all(&p->resume);
    }
    spin_unlock(&p->signal_lock);
    if (lost)
        return -EAGAIN;
    lost = wait_until_killable(&p->thread_events, atomic_load(&p->thread_count) == 1) != 0;
    spin_lock(&p->signal_lock);
    p->execing = NULL;
    spin_unlock(&p->signal_lock);
    if (lost)
        return -EAGAIN;
    if (self->tid != p->pid) {
        ident_unbind(self->ident, self, NULL);
        ident_put(self->ident);
        self->ident = p->ident;
        ident_get(p->ident);
        self->tid = p->pid;
        ident_bind(p->ident, self, NULL);
        trace_renumber(self);
    }
    return 0;
}

/* ---- processes ---- */

/* release_memory: the space goes while the process is still alive to everyone else. vfork's parent may go on from here.
 */
static void release_memory(struct process *p) {
    struct space *space = p->space;
    struct file *exe = p->exe;
    struct space_totals totals;

    if (space) {
        space_totals(space, &totals);
        p->peak_resident = max(p->peak_resident, totals.peak_resident);
    }
    spin_lock(&p->lock);
    p->space = NULL;
    p->exe = NULL;
    spin_unlock(&p->lock);
    if (space && !p->space_shared)
        shm_note(space, 0, USER_TOP, false);
    space_load(NULL);
    vfork_finish(p);
    oom_await_reaper(p);
    if (space)
        space_put(space);
    if (exe) {
        inode_allow_write(exe->inode);
        file_put(exe);
    }
}

static void child_info(siginfo_t *info, struct process *p) {
    int status = p->exit_status;
    u64 user, system;

    process_cpu_time(p, &user, &system);
    memset(info, 0, sizeof(*info));
    info->si_signo = SIGCHLD;
    info->si_code = status & 0x7f ? CLD_KILLED : CLD_EXITED;
    info->si_pid = p->pid;
    info->si_uid = p->cred.uid;
    info->si_status = status & 0x7f ? status & 0x7f : status >> 8 & 0xff;
    info->si_utime = user / CLOCK_TICK_NS;
    info->si_stime = system / CLOCK_TICK_NS;
}

void process_reap(struct process *p) {
    if (p->trace)
        trace_drop(p->trace);
    family_remove(p);
    ident_unbind(p->ident, NULL, p);
    process_put(p);
}

/* process_tell_end: family_lock held; p is a zombie. Pid 1 hears of no one, and only looks. */
void process_tell_end(struct process *p, struct queued_signal **entry) {
    struct process *parent = p->parent;
    siginfo_t info;
    bool reap = parent == process_kernel;

    if (trace_hides_zombie(p, entry))
        return;
    if (!reap && p->exit_signal) {
        child_info(&info, p);
        info.si_signo = p->exit_signal;
        signal_send_prepared(parent, NULL, p->exit_signal, &info, *entry);
        *entry = NULL;
    }
    if (!reap && p->exit_signal == SIGCHLD)
        reap = signal_parent_ignores(parent, SIGCHLD, SA_NOCLDWAIT);
    if (reap)
        process_reap(p);
    waitq_wake_all(&parent->child_events);
}

/* new_parent: the nearest ancestor that asked to be one (PR_SET_CHILD_SUBREAPER), else pid 1. */
static struct process *new_parent(struct process *p) {
    struct process *a = p->parent;

    while (a != process_kernel && (!a->subreaper || a->exiting))
        a = a->parent;
    return a;
}

/* orphan_group: a group that just lost its last link to the session is continued, if it has stopped members. */
static void orphan_group(struct ident *group, struct process *gone) {
    struct process *p;

    if (!group_orphaned(group, gone) || !group_has_stopped(group))
        return;
    list_for_each(p, &group->group, group_link) {
        signal_send_prepared(p, NULL, SIGHUP, NULL, NULL);
        signal_send_prepared(p, NULL, SIGCONT, NULL, NULL);
    }
}

static void give_away_children(struct process *p) {
    struct process *c, *next, *heir = new_parent(p);
    struct queued_signal *none = NULL;

    list_for_each_safe(c, next, &p->children, sibling) {
        struct ident *group = c->group;
        bool linked = c->group != p->group && c->session == p->session;

        c->parent = heir;
        list_del(&c->sibling);
        list_add_tail(&heir->children, &c->sibling);
        if (c->parent_death_signal)
            signal_send_prepared(c, NULL, c->parent_death_signal, NULL, NULL);
        ident_get(group);
        if (c->zombie && !c->trace) /* else its tracer has heard already, and the heir hears of it next */
            process_tell_end(c, &none);
        if (linked)
            orphan_group(group, NULL);
        ident_put(group);
    }
}

/* process_exit: the last task of p runs. */
static void process_exit(struct process *p) {
    struct queued_signal *entry = kzalloc(sizeof(*entry)); /* without one the parent's SIGCHLD has no siginfo */
    bool leader = p->sid == p->pid;

    vfork_finish(p);
    process_timers_end(p);
    release_memory(p);
    sem_process_exit(p);
    aio_process_end(p);
    task_release_files(task_current());
    if (leader)
        tty_session_end(p);
    spin_lock(&family_lock);
    p->tty = NULL;
    trace_tracer_ends(p);
    give_away_children(p);
    p->zombie = true;
    if (p->parent != process_kernel && p->parent->group != p->group && p->parent->session == p->session)
        orphan_group(p->group, p);
    process_tell_end(p, &entry);
    spin_unlock(&family_lock);
    waitq_wake_all(&p->thread_events); /* who polls a pidfd */
    kfree(entry);
}
