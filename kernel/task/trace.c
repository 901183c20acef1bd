/* trace.c - bonds of tracers and tracees: who traces whom, from attach to the last news. trace_stop.c is what a tracee
 * does, child.c how a tracer waits.
 *
 * A bond is on its tracer's list and named by its task, each with a reference. Detaching takes it off both. When the
 * task ends the bond stays on the list, dead, until the tracer has waited; a leading thread's end is no news before its
 * process is a zombie, and its parent, when that is another, hears of it after the tracer.
 *
 * Locks: family_lock, then the tracee's signal_lock. The tracer is a process: each of its threads may make requests. */
#include <linux/capability.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "task/signal.h"
#include "task/trace.h"

void trace_get(struct trace *tr) { atomic_add(&tr->references, 1); }

void trace_put(struct trace *tr) {
    if (atomic_sub(&tr->references, 1) != 0)
        return;
    ident_put(tr->ident);
    process_put(tr->process);
    kfree(tr->entry);
    kfree(tr);
}

bool trace_allowed(const struct process *p) {
    const struct credentials *c = cred_current(), *o = &p->cred;

    if (p == process_current() || capable(CAP_SYS_PTRACE))
        return true;
    return p->dumpable && c->uid == o->uid && c->uid == o->euid && c->uid == o->suid && c->gid == o->gid &&
           c->gid == o->egid && c->gid == o->sgid && !(o->cap_permitted & ~c->cap_permitted);
}

/* ---- making ---- */

/* bond: family_lock, and the tracee's signal_lock unless it does not run yet. Two references. */
static void bond(struct trace *tr, struct task *t, struct process *tracer) {
    struct process *p = t->process;

    tr->references = 2;
    tr->tracer = tracer;
    tr->process = p;
    process_get(p);
    tr->task = t;
    tr->ident = t->ident;
    ident_get(t->ident);
    list_add_tail(&tracer->traced, &tr->link);
    t->trace = tr;
    t->call_work |= CALL_TRACED;
    if (t->ident == p->ident)
        p->trace = tr;
}

static struct trace *trace_make(void) {
    struct trace *tr = kzalloc(sizeof(*tr));

    if (tr) {
        list_init(&tr->link);
        waitq_init(&tr->resume);
    }
    return tr;
}

/* join: 0, or -EPERM: it is traced already, or ends. family_lock is held since the tracer was found alive: one that has
 * let go of its tracees gets no more. */
static int join(struct trace *tr, struct task *t, struct process *tracer) {
    struct process *p = t->process;
    int error = 0;

    spin_lock(&p->signal_lock);
    if (t->trace || list_empty(&t->thread_link) || tracer->kernel)
        error = -EPERM;
    else
        bond(tr, t, tracer);
    spin_unlock(&p->signal_lock);
    waitq_wake_all(&p->resume); /* one that is parked stops for its tracer instead */
    return error;
}

int trace_attach(struct task *t, bool seize, u32 options) {
    struct process *p = t->process;
    struct trace *tr;
    int error;

    if (!p)
        return -ESRCH;
    if (p->kernel || p == process_current() || !trace_allowed(p))
        return -EPERM;
    tr = trace_make();
    if (!tr)
        return -ENOMEM;
    tr->seized = seize;
    tr->options = options;
    spin_lock(&family_lock);
    error = join(tr, t, process_current());
    spin_unlock(&family_lock);
    if (error)
        kfree(tr);
    else if (!seize)
        error = signal_task(t, SIGSTOP, NULL);
    return error;
}

int trace_me(void) {
    struct trace *tr = trace_make();
    int error;

    if (!tr)
        return -ENOMEM;
    spin_lock(&family_lock);
    error = join(tr, task_current(), process_current()->parent);
    spin_unlock(&family_lock);
    if (error)
        kfree(tr);
    return error;
}

struct trace *trace_prepare(u64 flags, int event, int *error) {
    const struct trace *mine;
    struct task *t = task_current();
    struct trace *tr = NULL;
    bool wanted;

    *error = 0;
    if (likely(!t->trace))
        return NULL;
    spin_lock(&t->process->signal_lock);
    mine = t->trace;
    wanted = mine && ((flags & CLONE_PTRACE) || (mine->options >> event & 1 && !(flags & CLONE_UNTRACED)));
    spin_unlock(&t->process->signal_lock);
    if (wanted) {
        tr = trace_make();
        *error = tr ? 0 : -ENOMEM;
    }
    return tr;
}

void trace_inherit(struct trace *tr, struct task *child) {
    struct task *t = task_current();
    struct trace *mine;

    spin_lock(&family_lock);
    spin_lock(&t->process->signal_lock);
    mine = t->trace;
    if (mine) {
        tr->seized = mine->seized;
        tr->options = mine->options;
    }
    spin_unlock(&t->process->signal_lock);
    spin_lock(&child->process->signal_lock);
    if (mine && mine->tracer && !child->trace) { /* it can be found already: another may have attached to it */
        bond(tr, child, mine->tracer);
        if (tr->seized)
            child->trace_due = DUE_STOP;
        else
            child->pending.set |= signal_bit(SIGSTOP);
        child->attention = true;
        tr = NULL;
    }
    spin_unlock(&child->process->signal_lock);
    spin_unlock(&family_lock);
    kfree(tr);
}

/* ---- ending ---- */

/* unbind: family_lock. The task, if it lives, goes on alone: in a stop of its process, it parks. */
static void unbind(struct trace *tr) {
    struct process *p = tr->process;
    struct task *t;

    spin_lock(&p->signal_lock);
    t = tr->task;
    tr->tracer = NULL;
    tr->stopped = tr->listening = false;
    if (t && t->trace == tr) {
        t->trace = NULL;
        t->trace_due = 0;
        t->past_stop = false;
        t->call_work &= ~(CALL_TRACED | CALL_STOP | CALL_EMULATE | CALL_STEP);
        atomic_store(&t->attention, true);
        task_interrupt(t);
    } else {
        t = NULL;
    }
    spin_unlock(&p->signal_lock);
    if (p->trace == tr)
        p->trace = NULL;
    list_del(&tr->link);
    waitq_wake_all(&tr->resume);
    if (t)
        trace_put(tr);
}

void trace_detach(struct trace *tr) {
    bool ours;

    spin_lock(&family_lock);
    ours = tr->tracer == process_current();
    if (ours)
        unbind(tr);
    spin_unlock(&family_lock);
    if (ours)
        trace_put(tr);
}

void trace_drop(struct trace *tr) {
    unbind(tr);
    trace_put(tr);
}

static void fill_news(siginfo_t *info, struct trace *tr, int status) {
    memset(info, 0, sizeof(*info));
    info->si_signo = SIGCHLD;
    info->si_code = status & 0x7f ? CLD_KILLED : CLD_EXITED;
    info->si_pid = tr->ident->number;
    info->si_uid = tr->process->cred.uid;
    info->si_status = status & 0x7f ? status & 0x7f : status >> 8 & 0xff;
}

/* tell_end: family_lock. A tracer that ignores SIGCHLD wants no news: false. */
static bool tell_end(struct trace *tr, int status, struct queued_signal **entry) {
    struct process *tracer = tr->tracer;
    siginfo_t info;

    fill_news(&info, tr, status);
    signal_send_prepared(tracer, NULL, SIGCHLD, &info, *entry);
    *entry = NULL;
    waitq_wake_all(&tracer->child_events);
    return !signal_parent_ignores(tracer, SIGCHLD, SA_NOCLDWAIT);
}

void trace_thread_ends(struct trace *tr, int status) {
    struct queued_signal *entry = kzalloc(sizeof(*entry));

    if (entry)
        list_init(&entry->link);
    spin_lock(&family_lock);
    spin_lock(&tr->process->signal_lock);
    tr->task = NULL;
    tr->stopped = false;
    spin_unlock(&tr->process->signal_lock);
    if (tr->tracer) {
        tr->dead = true;
        tr->exit_status = status;
        if (tr->process->trace != tr && !tell_end(tr, status, &entry))
            trace_drop(tr);
    }
    spin_unlock(&family_lock);
    kfree(entry);
    trace_put(tr);
}

/* trace_hides_zombie: the tracer of a process that is a zombie now hears of it, and its parent, another one, later. */
bool trace_hides_zombie(struct process *p, struct queued_signal **entry) {
    struct trace *tr = p->trace;
    struct queued_signal *none = NULL;

    if (!tr)
        return false;
    if (tr->tracer == p->parent) /* hears of it as a parent */
        return false;
    if (!tell_end(tr, p->exit_status, &none)) {
        trace_drop(tr);
        return false;
    }
    tr->entry = *entry;
    *entry = NULL;
    return true;
}

void trace_tracer_ends(struct process *p) {
    struct trace *tr, *next;

    list_for_each_safe(tr, next, &p->traced, link) {
        struct process *tracee = tr->process;
        struct queued_signal *entry = tr->entry;
        bool kill = tr->options & PTRACE_O_EXITKILL && !tr->dead;

        tr->entry = NULL;
        process_get(tracee);
        trace_drop(tr);
        if (kill)
            signal_send_prepared(tracee, NULL, SIGKILL, NULL, NULL);
        if (tracee->zombie && tracee->parent != p)
            process_tell_end(tracee, &entry);
        kfree(entry);
        process_put(tracee);
    }
}

/* trace_renumber: of a leading thread that ended before, its tracer hears no more; it is t now. */
void trace_renumber(struct task *t) {
    struct process *p = t->process;
    struct trace *tr;

    spin_lock(&family_lock);
    if (p->trace)
        trace_drop(p->trace);
    spin_lock(&p->signal_lock);
    tr = t->trace;
    if (tr) {
        ident_put(tr->ident);
        tr->ident = t->ident;
        ident_get(tr->ident);
    }
    spin_unlock(&p->signal_lock);
    p->trace = tr;
    spin_unlock(&family_lock);
}

/* ---- looking ---- */

int trace_tracer_pid(struct task *t) {
    int pid = 0;

    if (!t || !t->process)
        return 0;
    spin_lock(&t->process->signal_lock);
    if (t->trace && t->trace->tracer)
        pid = t->trace->tracer->pid;
    spin_unlock(&t->process->signal_lock);
    return pid;
}

bool trace_tracer_capable(void) {
    struct task *t = task_current();
    bool may = true;

    spin_lock(&t->process->signal_lock);
    if (t->trace && t->trace->tracer)
        may = t->trace->tracer->cred.cap_effective >> CAP_SYS_PTRACE & 1;
    spin_unlock(&t->process->signal_lock);
    return may;
}
