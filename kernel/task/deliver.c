/* deliver.c - what a task does before it returns to user mode: stop, die, or run a handler, for the signals that wait.
 *
 * The cases, in this order, until nothing is left:
 *   traced      a stop for the tracer may stand before each of the others (trace_stop.c)
 *   killed      the process exits, or another thread executes a program: this task ends
 *   stopped     it parks until SIGCONT or death; the last to park tells the parent
 *   default     ignore, stop (unless the group is orphaned and the signal is not SIGSTOP), or end the process
 *   handler     a frame on the user's stack; a system call that was interrupted is answered EINTR or made again
 * With no handler run, an interrupted system call is made again, and a temporary mask ends.
 *
 * A fault's signal that kills leaves one line in the log: who, what, where, and which file the instruction is in. */
#include <linux/wait.h>
#include <asm/unistd_64.h>

#include "fs/vfs.h"
#include "main.h"
#include "dev/host.h"
#include "task/family.h"
#include "task/rseq.h"
#include "task/signal.h"
#include "task/times.h"
#include "task/trace.h"
#include "vm/space.h"

/* ---- stops ---- */

/* tell_parent: SIGCHLD for a stop or a continuation, and a wake for who waits. */
static void tell_parent(struct process *p, int code, int status) {
    struct queued_signal *entry = kzalloc(sizeof(*entry));
    struct process *parent;
    siginfo_t info;
    u64 user, system;

    signal_info_user(&info, SIGCHLD, code);
    process_cpu_time(p, &user, &system);
    info.si_status = status;
    info.si_utime = user / CLOCK_TICK_NS;
    info.si_stime = system / CLOCK_TICK_NS;
    spin_lock(&family_lock);
    parent = p->parent;
    if (parent != process_kernel && !signal_parent_ignores(parent, SIGCHLD, SA_NOCLDSTOP)) {
        if (entry)
            list_init(&entry->link);
        signal_send_prepared(parent, NULL, SIGCHLD, &info, entry);
        entry = NULL;
    }
    waitq_wake_all(&parent->child_events);
    spin_unlock(&family_lock);
    kfree(entry);
    if (code == CLD_STOPPED && p == process_first)
        host_stopped(status);
}

/* signal_group_stopped: a parent that traces the process has heard of it as a tracer. */
void signal_group_stopped(struct process *p, int signal) {
    bool traced;

    spin_lock(&family_lock);
    traced = p->trace && p->trace->tracer == p->parent;
    spin_unlock(&family_lock);
    if (!traced)
        tell_parent(p, CLD_STOPPED, signal);
}

/* park: sleep until the stop ends. The last of the process's tasks to do so tells the parent. A stop that follows the
 * next SIGCONT before this task has run is another one: who slept on through it would not be counted in it. */
static void park(struct task *t) {
    struct process *p = t->process;
    bool last;
    int signal;
    u32 stop;

    spin_lock(&p->signal_lock);
    stop = p->continuations;
    last = p->stopped && !t->trace && ++p->parked == p->thread_count;
    t->parked = p->stopped && !t->trace;
    signal = p->stop_signal;
    spin_unlock(&p->signal_lock);
    if (last)
        signal_group_stopped(p, signal);
    (void)wait_until_killable(&p->resume,
                              !atomic_load(&p->stopped) || t->trace || atomic_load(&p->continuations) != stop);
    spin_lock(&p->signal_lock);
    if (t->killed && t->parked && p->stopped &&
        p->continuations == stop) /* by another's execve, while all is stopped */
        p->parked--;
    t->parked = false;
    spin_unlock(&p->signal_lock);
}

/* tell_continued: SIGCONT ended a stop, be it one in which no task had parked yet: the first to come by tells the
 * parent. */
static void tell_continued(struct task *t) {
    struct process *p = t->process;
    bool tell;

    spin_lock(&p->signal_lock);
    tell = p->tell_continued && !t->killed;
    p->tell_continued &= !tell;
    spin_unlock(&p->signal_lock);
    if (tell)
        tell_parent(p, CLD_CONTINUED, SIGCONT);
}

/* stop_process: signal_lock held. Void if a SIGCONT or SIGKILL came since `continuations` was read; and where another
 * task was first to stop the process: some may be counted as parked already. */
static void stop_process(struct process *p, int signal, u32 continuations) {
    struct task *t;

    if (p->continuations != continuations || p->exiting || (p->stopped && !task_current()->past_stop))
        return;
    p->stopped = true;
    p->stop_told = p->continued = p->tell_continued = false;
    p->stop_signal = signal;
    p->parked = 0;
    list_for_each(t, &p->threads, thread_link) {
        t->past_stop = false;
        atomic_store(&t->attention, true);
        if (t != task_current())
            task_interrupt(t);
    }
}

/* ---- death ---- */

static const char *fault_name(int signal) {
    switch (signal) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGILL:
        return "SIGILL";
    case SIGFPE:
        return "SIGFPE";
    default:
        return NULL;
    }
}

static const char *fault_case(const siginfo_t *info, u64 error) {
    bool write = error & 2, fetch = error & 16;

    if (info->si_signo == SIGBUS)
        return "past the end of its file, or it cannot be read";
    if (info->si_signo != SIGSEGV)
        return "instruction";
    if (info->si_code == SEGV_MAPERR)
        return fetch ? "execution, not mapped" : write ? "write, not mapped" : "read, not mapped";
    if (info->si_code == SEGV_ACCERR)
        return fetch ? "execution, not allowed" : write ? "write, not allowed" : "read, not allowed";
    return "general protection";
}

/* where: the file that is mapped at the address, by its name; "no file" else. Points into buffer. */
static const char *where(struct process *p, u64 address, char *buffer, size_t bytes) {
    struct mapping m;
    const char *name = "no mapping";

    if (space_walk(p->space, address & PAGE_MASK, &m)) {
        if (m.start <= address) {
            struct file *f = file_of_vm(m.view->file);
            char *path = f ? path_string(&f->path, buffer, bytes) : NULL;

            name = path && !is_err(path) ? path : m.view->name ? m.view->name : "anonymous memory";
        }
        space_walk_end(&m);
    }
    return name;
}

/* Only a signal that the task's own fault raised: one sent by kill(2) needs no explanation. */
static void log_fault(struct task *t, const struct regs *regs, const siginfo_t *info) {
    const char *name = fault_name(info->si_signo);
    char *buffer;

    if (!name || info->si_code <= 0)
        return;
    buffer = kmalloc(PAGE_SIZE);
    if (!buffer)
        return;
    kprintf(LOG_NOTICE "%s[%d]: %s at %#lx (%s), ip %#lx in %s\n", t->name, t->process->pid, name, (u64)info->si_addr,
            fault_case(info, t->fault_error), regs->rip, where(t->process, regs->rip, buffer, PAGE_SIZE));
    kfree(buffer);
}

/* ---- one signal ---- */

/* default_action: of a signal without a handler. signal_lock is free. */
static void default_action(struct task *t, struct regs *regs, const siginfo_t *info, u32 continuations) {
    struct process *p = t->process;
    int signal = info->si_signo;
    u64 bit = signal_bit(signal);

    if (bit & SIGNALS_IGNORED)
        return;
    if (bit & SIGNALS_STOPPING) {
        if (signal != SIGSTOP && process_orphaned())
            return;
        spin_lock(&p->signal_lock);
        stop_process(p, signal, continuations);
        spin_unlock(&p->signal_lock);
        return;
    }
    log_fault(t, regs, info);
    task_exit_group(signal);
}

/* answer_call: the interrupted system call's fate when a handler runs. */
static void answer_call(struct regs *regs, const struct sigaction *action) {
    if (!arch_in_system_call(regs))
        return;
    switch ((long)regs->rax) {
    case -ERESTARTSYS:
        if (action->sa_flags & SA_RESTART)
            arch_system_call_again(regs, -1);
        else
            regs->rax = -EINTR;
        break;
    case -ERESTARTNOINTR:
        arch_system_call_again(regs, -1);
        break;
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
        regs->rax = -EINTR;
        break;
    default:
        break;
    }
    regs->orig_rax = -1; /* a second frame on top finds it answered */
}

static void run_handler(struct task *t, struct regs *regs, const siginfo_t *info, const struct sigaction *action) {
    u64 old = t->restore_mask ? t->saved_mask : t->blocked, mask;

    answer_call(regs, action);
    if (t->rseq)
        rseq_update(regs);
    if (arch_signal_frame(regs, info->si_signo, info, action, old)) {
        if (info->si_signo == SIGSEGV) /* its own handler cannot run: no second try */
            task_exit_group(SIGSEGV);
        signal_force(SIGSEGV, SI_KERNEL, 0);
        return;
    }
    t->restore_mask = false;
    mask = t->blocked | action->sa_mask;
    if (!(action->sa_flags & SA_NODEFER))
        mask |= signal_bit(info->si_signo);
    signal_set_blocked(mask);
    trace_handler_entered(t);
}

/* stopped: its process is, and no tracer has let this task go on. */
static bool stopped(const struct task *t) { return atomic_load(&t->process->stopped) && !t->past_stop; }

/* next_signal: take one that is not blocked; a tracer may put another in its place. 0: none. */
static int next_signal(struct task *t, siginfo_t *info, u32 *continuations) {
    struct process *p = t->process;
    int signal;

    spin_lock(&p->signal_lock);
    atomic_store(&t->attention, false);
    *continuations = p->continuations;
    signal = stopped(t) || t->killed || t->trace_due ? 0 : signal_take_locked(t, ~t->blocked, info);
    if (stopped(t) || t->killed || t->trace_due || (t->pending.set | p->pending.set) & ~t->blocked)
        atomic_store(&t->attention, true);
    spin_unlock(&p->signal_lock);
    return signal && t->trace ? trace_signal(t, info) : signal;
}

/* take_action: SA_RESETHAND acts here, so that two cannot get it. */
static struct sigaction take_action(struct process *p, int signal) {
    struct sigaction action;

    spin_lock(&p->handlers->lock);
    action = p->actions[signal - 1];
    if (action.sa_flags & SA_RESETHAND && action.sa_handler != SIG_IGN)
        p->actions[signal - 1].sa_handler = SIG_DFL;
    spin_unlock(&p->handlers->lock);
    return action;
}

static void restart_call(struct regs *regs) {
    if (!arch_in_system_call(regs))
        return;
    switch ((long)regs->rax) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
        arch_system_call_again(regs, -1);
        break;
    case -ERESTART_RESTARTBLOCK:
        arch_system_call_again(regs, __NR_restart_syscall);
        break;
    default:
        break;
    }
}

void signal_deliver(struct regs *regs) {
    struct task *t = task_current();
    struct sigaction action;
    u32 continuations;
    siginfo_t info;
    int signal;

    do {
        if (atomic_load(&t->killed))
            task_exit(0);
        if (t->check_times) {
            t->check_times = false;
            process_times_check();
        }
        if (stopped(t) && !trace_group_stop(t))
            park(t);
        if (unlikely(t->trace_due))
            trace_due_stop(t);
        if (unlikely(atomic_load_relaxed(&t->process->tell_continued)))
            tell_continued(t);
        signal = next_signal(t, &info, &continuations);
        if (!signal)
            continue;
        action = take_action(t->process, signal);
        if (action.sa_handler == SIG_DFL)
            default_action(t, regs, &info, continuations);
        else if (action.sa_handler != SIG_IGN)
            run_handler(t, regs, &info, &action);
    } while (signal || atomic_load(&t->attention));
    restart_call(regs);
    if (t->restore_mask) {
        t->restore_mask = false;
        signal_set_blocked(t->saved_mask);
    }
}
