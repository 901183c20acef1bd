/* child.c - how a parent learns what became of its children: wait4 and waitid.
 *
 * A child has news when it is a zombie, when it stopped and nobody was told, or when it was continued and nobody was
 * told. The search runs under family_lock; the news is taken (unless WNOWAIT) before the lock is dropped, so that two
 * waiting threads never get the same. A zombie's last parts are freed after it. */
#include <linux/resource.h>
#include <linux/wait.h>

#include "arch/x86_64/cpu.h"
#include "task/family.h"
#include "task/times.h"

struct search {
    struct wait_request *w;
    struct process *parent;
    bool any;              /* a child that the request means */
    struct process *found; /* counted */
};

static bool meant(const struct wait_request *w, const struct process *c) {
    bool clone = c->exit_signal != SIGCHLD;

    if (!(w->options & __WALL) && clone != !!(w->options & __WCLONE))
        return false;
    switch (w->which) {
    case P_PID:
        return c->pid == w->id;
    case P_PGID:
        return c->pgid == w->id;
    default:
        return true;
    }
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

    if (!c->zombie || !(w->options & WEXITED))
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
    if ((w->options & WSTOPPED) && c->stopped && !c->stop_told && c->parked >= c->thread_count) {
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

/* search: -ECHILD, or 0 with s->found set when there was news. */
static int search(struct search *s) {
    struct process *c;

    s->any = false;
    spin_lock(&family_lock);
    list_for_each(c, &s->parent->children, sibling) {
        if (!meant(s->w, c))
            continue;
        s->any = true;
        process_get(c);
        if (take_zombie(s, c) || (!c->zombie && take_stop(s, c))) {
            s->found = c;
            break;
        }
        process_put(c);
    }
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
        w->pid = s.found->pid;
        w->uid = s.found->cred.uid;
        if (w->usage)
            process_usage(s.found, w->usage);
        process_put(s.found);
    }
    return error;
}
