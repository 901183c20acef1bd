/* child.c - how a parent learns what became of its children: wait4 and waitid.
 *
 * A child has news when it is a zombie, when it stopped and nobody was told, or when it was continued and nobody was
 * told. The search runs under family_lock; the news is taken (unless WNOWAIT) before the lock is dropped, so that two
 * waiting threads never get the same. A zombie's last parts are freed after it. Tracees, children or not, have news for
 * their tracer when they stop and when they end (trace.h). */
#include <linux/resource.h>
#include <linux/wait.h>

#include "arch/x86_64/cpu.h"
#include "task/times.h"
#include "task/trace.h"

struct search {
    struct wait_request *w;
    struct process *parent;
    bool any;              /* a child that the request means */
    struct process *found; /* counted */
};

static bool meant(const struct wait_request *w, const struct process *p, int number) {
    switch (w->which) {
    case P_PID:
        return number == w->id;
    case P_PGID:
        return p->pgid == w->id;
    default:
        return true;
    }
}

static bool meant_child(const struct search *s, const struct process *c) {
    bool clone = c->exit_signal != SIGCHLD, traced = c->trace && c->trace->tracer == s->parent;

    return (traced || s->w->options & __WALL || clone == !!(s->w->options & __WCLONE)) && meant(s->w, c, c->pid);
}

static void take_times(struct process *parent, struct process *c) {
    parent->children_user_ns += c->user_ns + c->children_user_ns;
    parent->children_system_ns += c->system_ns + c->children_system_ns;
    parent->children_faults_minor += c->faults_minor + c->children_faults_minor;
    parent->children_faults_major += c->faults_major + c->children_faults_major;
    parent->children_peak_resident =
        max(parent->children_peak_resident, max(c->peak_resident, c->children_peak_resident));
}

static bool take_zombie(struct search *s, struct process *c) {
    struct wait_request *w = s->w;

    if (!c->zombie || !(w->options & WEXITED) || (c->trace && c->trace->tracer != s->parent))
        return false;
    w->status = c->exit_status;
    w->code = w->status & 0x7f ? CLD_KILLED : CLD_EXITED;
    if (!(w->options & WNOWAIT)) {
        take_times(s->parent, c);
        process_reap(c);
    }
    return true;
}

static bool take_stop(struct search *s, struct process *c) {
    struct wait_request *w = s->w;
    bool taken = false;

    spin_lock(&c->signal_lock);
    if ((w->options & WSTOPPED) && c->stopped && !c->stop_told && !(c->trace && c->trace->tracer == s->parent) &&
        c->parked >= c->thread_count) {
        w->status = c->stop_signal << 8 | 0x7f;
        w->code = CLD_STOPPED;
        c->stop_told = !(w->options & WNOWAIT);
        taken = true;
    } else if ((w->options & WCONTINUED) && c->continued && !c->exiting) {
        w->status = 0xffff;
        w->code = CLD_CONTINUED;
        c->continued = w->options & WNOWAIT;
        taken = true;
    }
    spin_unlock(&c->signal_lock);
    return taken;
}

/* ---- tracees ---- */

/* take_end: of a thread; or of a process whose parent, another than its tracer, hears of it next. */
static bool take_end(struct search *s, struct trace *tr) {
    struct process *p = tr->process;
    struct wait_request *w = s->w;
    bool leader = p->trace == tr;
    struct queued_signal *entry = tr->entry;

    if (!(w->options & WEXITED) || (leader && (!p->zombie || p->parent == s->parent)))
        return false;
    w->status = leader ? p->exit_status : tr->exit_status;
    w->code = w->status & 0x7f ? CLD_KILLED : CLD_EXITED;
    if (w->options & WNOWAIT)
        return true;
    tr->entry = NULL;
    trace_drop(tr);
    if (leader)
        process_tell_end(p, &entry);
    kfree(entry);
    return true;
}

static bool take_trace_stop(struct search *s, struct trace *tr) {
    struct wait_request *w = s->w;
    bool taken;

    spin_lock(&tr->process->signal_lock);
    taken = tr->stopped && !tr->listening && !tr->told;
    if (taken) {
        w->status = tr->status << 8 | 0x7f;
        w->code = CLD_TRAPPED;
        tr->told = !(w->options & WNOWAIT);
    }
    spin_unlock(&tr->process->signal_lock);
    return taken;
}

static void search_traced(struct search *s) {
    struct trace *tr, *next;

    list_for_each_safe(tr, next, &s->parent->traced, link) {
        struct process *p = tr->process;
        int number = tr->ident->number;

        if (!meant(s->w, p, number))
            continue;
        s->any = true;
        process_get(p);
        if (tr->dead ? take_end(s, tr) : take_trace_stop(s, tr)) {
            s->found = p;
            s->w->pid = number;
            return;
        }
        process_put(p);
    }
}

/* search: -ECHILD, or 0 with s->found set when there was news. */
static int search(struct search *s) {
    struct process *c;

    s->any = false;
    spin_lock(&family_lock);
    list_for_each(c, &s->parent->children, sibling) {
        if (!meant_child(s, c))
            continue;
        s->any = true;
        process_get(c);
        if (take_zombie(s, c) || (!c->zombie && take_stop(s, c))) {
            s->found = c;
            s->w->pid = c->pid;
            break;
        }
        process_put(c);
    }
    if (!s->found)
        search_traced(s);
    spin_unlock(&family_lock);
    return s->any ? 0 : -ECHILD;
}

/* process_wait: a wake is looked into before a signal is: news that came with a SIGCHLD is not answered by EINTR. */
long process_wait(struct wait_request *w) {
    struct search s = {.w = w, .parent = process_current()};
    struct waiter waiter;
    long error;

    w->pid = 0;
    do {
        waitq_add(&s.parent->child_events, &waiter);
        error = search(&s);
        if (!error && !s.found && !(w->options & WNOHANG)) {
            if (signal_pending())
                error = -ERESTARTSYS;
            else
                (void)task_sleep(true, SLEEP_FOREVER);
        }
        waitq_remove(&waiter);
    } while (!error && !s.found && !(w->options & WNOHANG));
    if (s.found) {
        w->uid = s.found->cred.uid;
        if (w->usage)
            process_usage_both(s.found, w->usage);
        process_put(s.found);
    }
    return error;
}
