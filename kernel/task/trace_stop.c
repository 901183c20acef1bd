/* trace_stop.c - the stops of a traced task: where it waits until its tracer lets it go on.
 *
 *   signal     a signal is about to be delivered: the tracer says which one is, or none
 *   call       entry and exit of a system call (PTRACE_SYSCALL)
 *   event      PTRACE_EVENT_*: a child, a program, the end
 *   group      its process was stopped by a signal; the task stops for the tracer instead of parking
 *   trap       of a seized task: PTRACE_INTERRUPT, SIGCONT
 *
 * One function, wait_for_tracer, is all of them: it publishes the stop under signal_lock, tells the tracer, sleeps
 * until the stop is over, and then until no request is under way. Death ends every stop but that of PTRACE_EVENT_EXIT.
 */
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "arch/x86_64/debug.h"
#include "task/signal.h"
#include "task/trace.h"

struct stop {
    int status; /* of wait, above its lowest byte */
    int code;   /* CLD_TRAPPED, CLD_STOPPED: what SIGCHLD says */
    u64 message;
    siginfo_t *info; /* in and out; NULL: a group stop of a task that is not seized */
    bool exiting;
    bool group; /* status, and info, are those of the group when the stop begins */
};

/* tell_tracer: SIGCHLD and a wake; family_lock is free. Takes the entry over, which may be NULL. It does not sleep: of
 * a task that sleeps in a stop that is published, requests take it that its registers stay in memory. */
static void tell_tracer(struct trace *tr, const struct stop *s, struct queued_signal *entry) {
    struct process *tracer;
    siginfo_t info;

    if (entry)
        list_init(&entry->link);
    signal_info_user(&info, SIGCHLD, s->code);
    info.si_status = s->status & 0x7f;
    spin_lock(&family_lock);
    info.si_pid = tr->ident->number;
    tracer = tr->tracer;
    if (tracer && !signal_parent_ignores(tracer, SIGCHLD, SA_NOCLDSTOP)) {
        signal_send_prepared(tracer, NULL, SIGCHLD, &info, entry);
        entry = NULL;
    }
    if (tracer)
        waitq_wake_all(&tracer->child_events);
    spin_unlock(&family_lock);
    kfree(entry);
}

/* trap_info: the siginfo is the kernel's own: its code is the status. */
static void trap_info(const struct task *t, int status, siginfo_t *info) {
    memset(info, 0, sizeof(*info));
    info->si_signo = status & 0x7f;
    info->si_code = status;
    info->si_pid = t->tid;
    info->si_uid = t->process->cred.uid;
}

/* group_status: under the lock that publishes the stop. A SIGCONT that comes before is told by the status; of one that
 * comes after, the task still has to tell. Between the two it would be lost, and the tracer would listen for ever. */
static void group_status(const struct task *t, const struct trace *tr, struct stop *s) {
    const struct process *p = t->process;

    if (tr->seized) {
        s->status = PTRACE_EVENT_STOP << 8 | (p->stopped ? p->stop_signal : SIGTRAP);
        trap_info(t, s->status, s->info);
    } else {
        s->status = p->stopped ? p->stop_signal : 0;
        s->info = NULL;
    }
}

/* publish: the stop begins. NULL: there is no tracer, or death came first, or the group's stop is over. Counted. */
static struct trace *publish(struct task *t, struct stop *s) {
    struct process *p = t->process;
    struct trace *tr;

    spin_lock(&p->signal_lock);
    tr = t->trace;
    if (tr && s->group)
        group_status(t, tr, s);
    if (tr && s->status && (s->exiting || !t->killed)) {
        trace_get(tr);
        tr->stopped = true;
        tr->exiting = s->exiting;
        tr->told = tr->listening = false;
        tr->status = s->status;
        tr->message = s->message;
        tr->has_info = s->info != NULL;
        if (s->info)
            tr->info = *s->info;
        tr->signal = 0;
        t->trace_due &= s->status >> 8 == PTRACE_EVENT_STOP ? 0 : (u8)~DUE_STOP;
    } else {
        tr = NULL;
    }
    spin_unlock(&p->signal_lock);
    return tr;
}

/* wait_for_tracer: the signal that the tracer lets the task go on with. */
static int wait_for_tracer(struct task *t, struct stop *s) {
    struct queued_signal *entry = kzalloc(sizeof(*entry));
    struct trace *tr = publish(t, s);
    int signal;

    if (!tr) {
        kfree(entry);
        return 0;
    }
    tell_tracer(tr, s, entry);
    if (s->exiting)
        wait_until(&tr->resume, !atomic_load(&tr->stopped));
    else
        (void)wait_until_killable(&tr->resume, !atomic_load(&tr->stopped));
    wait_until(&tr->resume, !atomic_load(&tr->frozen));
    spin_lock(&t->process->signal_lock);
    tr->stopped = tr->exiting = false;
    signal = t->killed ? 0 : tr->signal;
    if (s->info)
        *s->info = tr->info;
    spin_unlock(&t->process->signal_lock);
    trace_put(tr);
    return signal;
}

static int trap(struct task *t, int status, int code, u64 message, bool exiting) {
    siginfo_t info;
    struct stop s = {.status = status, .code = code, .message = message, .info = &info, .exiting = exiting};

    trap_info(t, status, &info);
    return wait_for_tracer(t, &s);
}

/* ---- signals ---- */

static void signal_of_tracer(struct task *t, siginfo_t *info, int signal) {
    memset(info, 0, sizeof(*info));
    info->si_signo = signal;
    info->si_code = SI_USER;
    info->si_pid = trace_tracer_pid(t);
}

int trace_signal(struct task *t, siginfo_t *info) {
    struct stop s = {.status = info->si_signo, .code = CLD_TRAPPED, .info = info};
    int signal;

    if (!t->trace)
        return info->si_signo;
    signal = wait_for_tracer(t, &s);
    if (signal && signal != info->si_signo)
        signal_of_tracer(t, info, signal);
    if (signal && t->blocked & signal_bit(signal)) {
        (void)signal_task(t, signal, info);
        signal = 0;
    }
    return signal;
}

/* ---- group stops, and the traps of seized tasks ---- */

static void group_stop(struct task *t) {
    siginfo_t info;
    struct stop s = {.code = CLD_STOPPED, .info = &info, .group = true};

    (void)wait_for_tracer(t, &s);
}

/* trace_due_stop: not of a process whose stop the task is not yet counted in; trace_group_stop is for that. */
void trace_due_stop(struct task *t) {
    struct process *p = t->process;
    bool due;

    spin_lock(&p->signal_lock);
    due = t->trace && t->trace_due && (!p->stopped || t->past_stop);
    if (due || !t->trace)
        t->trace_due = 0;
    spin_unlock(&p->signal_lock);
    if (due)
        group_stop(t);
}

/* trace_group_stop: the tracee counts as parked for its parent, and for its tracer is stopped. */
bool trace_group_stop(struct task *t) {
    struct process *p = t->process;
    bool stops, traced, last = false;
    int signal;

    spin_lock(&p->signal_lock);
    traced = t->trace != NULL;
    stops = traced && p->stopped && !t->past_stop;
    if (stops) {
        t->past_stop = true;
        last = ++p->parked == p->thread_count;
    }
    signal = p->stop_signal;
    spin_unlock(&p->signal_lock);
    if (last)
        signal_group_stopped(p, signal);
    if (stops)
        group_stop(t);
    return traced;
}

void trace_notify(struct task *t) {
    struct trace *tr = t->trace;

    if (!tr || !tr->seized)
        return;
    t->trace_due |= DUE_NOTIFY;
    if (tr->listening) {
        tr->listening = tr->stopped = false;
        waitq_wake_all(&tr->resume);
    }
    atomic_store(&t->attention, true);
    task_interrupt(t);
}

/* ---- events ---- */

static bool asked(struct task *t, int event) {
    bool yes;

    spin_lock(&t->process->signal_lock);
    yes = t->trace && t->trace->options >> event & 1;
    spin_unlock(&t->process->signal_lock);
    return yes;
}

bool trace_event(struct task *t, int event, u64 message) {
    if (!t->trace || !asked(t, event))
        return false;
    (void)trap(t, event << 8 | SIGTRAP, CLD_TRAPPED, message, event == PTRACE_EVENT_EXIT);
    return true;
}

void trace_executed(struct task *t, int old_tid) {
    siginfo_t info;
    bool plain;

    if (!t->trace)
        return;
    spin_lock(&t->process->signal_lock);
    plain = t->trace && !t->trace->seized && !(t->trace->options & PTRACE_O_TRACEEXEC);
    spin_unlock(&t->process->signal_lock);
    signal_info_user(&info, SIGTRAP, SI_USER);
    if (plain)
        (void)signal_task(t, SIGTRAP, &info);
    else
        trace_event(t, PTRACE_EVENT_EXEC, old_tid);
}

void trace_handler_entered(struct task *t) {
    if (t->call_work & CALL_STEP)
        (void)trap(t, SIGTRAP, CLD_TRAPPED, 0, false);
}

/* ---- system calls ---- */

static void call_stop(struct task *t, u64 message) {
    bool good;
    int signal;
    siginfo_t info;

    spin_lock(&t->process->signal_lock);
    good = t->trace && t->trace->options & PTRACE_O_TRACESYSGOOD;
    spin_unlock(&t->process->signal_lock);
    signal = trap(t, SIGTRAP | (good ? 0x80 : 0), CLD_TRAPPED, message, false);
    if (signal) {
        signal_of_tracer(t, &info, signal);
        (void)signal_task(t, signal, &info);
    }
}

bool trace_call_enter(struct task *t) {
    bool emulate = t->call_work & CALL_EMULATE;

    if (t->call_work & (CALL_STOP | CALL_EMULATE))
        call_stop(t, PTRACE_EVENTMSG_SYSCALL_ENTRY);
    return !emulate && !atomic_load(&t->killed);
}

void trace_call_exit(struct task *t) {
    if (t->call_work & CALL_STEP)
        signal_force(SIGTRAP, TRAP_BRKPT, arch_task_regs(&t->arch)->rip);
    else if (t->call_work & CALL_STOP)
        call_stop(t, PTRACE_EVENTMSG_SYSCALL_EXIT);
}
