/* signal.c - signals: who sends what to whom, what waits, what is blocked, what is ignored. deliver.c acts on them.
 *
 * Nouns: a signal is directed at a process or at one task; until a task takes it, it waits in the queue of either. A
 * standard signal waits once however often it is sent, a real-time one as often as sent, in order. The siginfo is kept
 * in a queued_signal; a signal without one (the kernel's own, sent where nothing may sleep) is only a bit. `attention`
 * tells a task to look on its way to user mode, and ends interruptible sleeps.
 *
 * Locks: process->signal_lock for the queues, masks and stop states of all its tasks; handlers->lock inside it. */
#include <linux/capability.h>

#include "arch/x86_64/usercopy.h"
#include "task/signal.h"
#include "task/times.h"
#include "task/trace.h"

/* ---- actions ---- */

struct signal_actions *signal_actions_make(const struct signal_actions *like) {
    struct signal_actions *a = like ? kmalloc(sizeof(*a)) : kzalloc(sizeof(*a));

    if (a) {
        if (like)
            memcpy(a->action, like->action, sizeof(a->action));
        spin_init(&a->lock);
        a->references = 1;
    }
    return a;
}

void signal_actions_put(struct signal_actions *a) {
    if (atomic_sub(&a->references, 1) == 0)
        kfree(a);
}

void signal_actions_reset(struct signal_actions *a, bool all) {
    spin_lock(&a->lock);
    for (struct sigaction *s = a->action; s < a->action + SIGNAL_COUNT; s++)
        if (s->sa_handler != SIG_DFL || s->sa_flags || s->sa_mask) /* few have ever been set */
            *s = (struct sigaction){.sa_handler = s->sa_handler == SIG_IGN && !all ? SIG_IGN : SIG_DFL};
    spin_unlock(&a->lock);
}

struct sigaction signal_action(struct process *p, int signal) {
    struct sigaction action;

    spin_lock(&p->handlers->lock);
    action = p->actions[signal - 1];
    spin_unlock(&p->handlers->lock);
    return action;
}

static bool action_ignores(struct process *p, int signal) {
    __sighandler_t handler = atomic_load_relaxed(&p->actions[signal - 1].sa_handler);

    return handler == SIG_IGN || (handler == SIG_DFL && signal_bit(signal) & SIGNALS_IGNORED);
}

/* Under signal_lock: an execve of the parent exchanges its table of actions, and may free the old one. */
bool signal_parent_ignores(struct process *parent, int signal, unsigned long flag) {
    const struct sigaction *a;
    bool ignores;

    spin_lock(&parent->signal_lock);
    a = &parent->actions[signal - 1];
    ignores = a->sa_handler == SIG_IGN || a->sa_flags & flag;
    spin_unlock(&parent->signal_lock);
    return ignores;
}

bool signal_ignored_or_blocked(int signal) {
    struct process *p = process_current();

    return task_current()->blocked & signal_bit(signal) || p->actions[signal - 1].sa_handler == SIG_IGN;
}

/* ---- queues; signal_lock is held ---- */

static void discard(struct process *p, struct queued_signal *q) {
    list_del(&q->link);
    if (!q->owned) {
        p->queued_signals--;
        kfree(q);
    }
}

void signal_queue_flush(struct process *p, struct signal_queue *queue, u64 set) {
    struct queued_signal *q, *next;

    list_for_each_safe(q, next, &queue->queued, link) {
        if (set & signal_bit(q->info.si_signo))
            discard(p, q);
    }
    queue->set &= ~set;
}

/* flush_timers: signal_lock is held. A signal that others sent, too, still waits. */
static void flush_timers(struct process *p, struct signal_queue *queue) {
    struct queued_signal *q, *next;
    u64 gone = 0, stays = 0;

    list_for_each_safe(q, next, &queue->queued, link) {
        if (q->info.si_code == SI_TIMER) {
            gone |= signal_bit(q->info.si_signo);
            discard(p, q);
        } else {
            stays |= signal_bit(q->info.si_signo);
        }
    }
    queue->set &= ~(gone & ~stays);
}

void signal_flush_timers(struct task *t) {
    struct process *p = t->process;

    spin_lock(&p->signal_lock);
    flush_timers(p, &t->pending);
    flush_timers(p, &p->pending);
    spin_unlock(&p->signal_lock);
}

void signal_flush_everywhere(struct process *p, u64 set) {
    struct task *t;

    signal_queue_flush(p, &p->pending, set);
    list_for_each(t, &p->threads, thread_link) { signal_queue_flush(p, &t->pending, set); }
}

/* take_from: the first signal of the queue that is in the set, faults before others, then by number; 0: none. */
static int take_from(struct process *p, struct signal_queue *queue, u64 set, siginfo_t *info) {
    struct queued_signal *q, *next, *first = NULL;
    bool more = false;
    u64 found = queue->set & set;
    int signal;

    if (!found)
        return 0;
    signal = __builtin_ctzl(found & SIGNALS_OF_FAULTS ? found & SIGNALS_OF_FAULTS : found) + 1;
    list_for_each_safe(q, next, &queue->queued, link) {
        if (q->info.si_signo == signal) {
            more |= first != NULL;
            first = first ? first : q;
        }
    }
    if (!more)
        queue->set &= ~signal_bit(signal);
    memset(info, 0, sizeof(*info));
    info->si_signo = signal;
    info->si_code = SI_KERNEL;
    if (first) {
        *info = first->info;
        discard(p, first);
    }
    return signal;
}

int signal_take_locked(struct task *t, u64 set, siginfo_t *info) {
    int signal;

    signal = take_from(t->process, &t->pending, set, info);
    if (signal && t->forced.si_signo == signal) {
        *info = t->forced;
        t->forced.si_signo = 0;
    }
    return signal ? signal : take_from(t->process, &t->process->pending, set, info);
}

int signal_take(u64 set, siginfo_t *info) {
    struct task *t = task_current();
    int signal;

    spin_lock(&t->process->signal_lock);
    signal = signal_take_locked(t, set, info);
    spin_unlock(&t->process->signal_lock);
    return signal;
}

u64 signal_pending_set(void) {
    struct task *t = task_current();

    return atomic_load_relaxed(&t->pending.set) | atomic_load_relaxed(&t->process->pending.set);
}

/* ---- looking ---- */

bool signal_pending(void) {
    struct task *t = task_current();
    struct process *p = t->process;

    if (!p || !atomic_load(&t->attention))
        return false;
    return atomic_load(&t->killed) || t->trace_due || (p->stopped && !t->past_stop) ||
           signal_pending_set() & ~(t->blocked & ~t->waited_for);
}

bool fatal_signal_pending(void) { return atomic_load(&task_current()->killed); }

/* ---- sending; signal_lock is held up to send_locked ---- */

static void call_attention(struct task *t) {
    atomic_store(&t->attention, true);
    task_interrupt(t);
}

static bool would_take(const struct task *t, u64 bit) { return !t->killed && !(t->blocked & ~t->waited_for & bit); }

void signal_retarget(struct process *p, u64 set) {
    struct task *t, *self = task_current();

    list_for_each(t, &p->threads, thread_link) {
        if (t != self && set & ~t->blocked)
            call_attention(t);
    }
}

/* resume: SIGCONT, or death, ends a stop. The parent hears of it from a task that goes on: here its lock may not be
 * had. */
static void resume(struct process *p) {
    p->continuations++;
    if (p->stopped) {
        p->stopped = false;
        p->continued = p->tell_continued = true;
        waitq_wake_all(&p->resume);
    }
}

/* effects_of_sending: what happens even if the signal is blocked, ignored or caught. */
static void effects_of_sending(struct process *p, int signal) {
    u64 bit = signal_bit(signal);
    struct task *t;

    if (bit & SIGNALS_STOPPING)
        signal_flush_everywhere(p, signal_bit(SIGCONT));
    if (signal == SIGCONT) {
        signal_flush_everywhere(p, SIGNALS_STOPPING);
        resume(p);
        list_for_each(t, &p->threads, thread_link) { trace_notify(t); }
    }
}

static void notify_one(struct process *p, struct task *t, u64 bit) {
    struct task *each;

    if (!t) {
        list_for_each(each, &p->threads, thread_link) {
            if (would_take(each, bit)) {
                t = each;
                break;
            }
        }
    }
    if (t && would_take(t, bit))
        call_attention(t);
}

/* of_timer: a POSIX timer's entry waits once in any case, however often it rings; so it may join others of its signal,
 * which may be other timers'. */
static bool of_timer(const struct queued_signal *entry, const siginfo_t *info) {
    return entry && entry->owned && info->si_code == SI_TIMER;
}

/* send_locked: returns whether the entry was taken. */
static bool send_locked(struct process *p, struct task *t, int signal, const siginfo_t *info,
                        struct queued_signal *entry) {
    struct signal_queue *queue = t ? &t->pending : &p->pending;
    struct task *judge = t ? t : list_empty(&p->threads) ? NULL : list_first(&p->threads, struct task, thread_link);
    u64 bit = signal_bit(signal);
    bool taken = false;

    effects_of_sending(p, signal);
    if (signal == SIGKILL) {
        group_exit_locked(p, SIGKILL);
        return false;
    }
    if (!judge || (!judge->trace && !(judge->blocked & bit) && action_ignores(p, signal)))
        return false;
    if (signal < SIGNAL_REALTIME && queue->set & bit && !of_timer(entry, info))
        return false;
    if (info && entry) {
        entry->info = *info;
        list_add_tail(&queue->queued, &entry->link);
        p->queued_signals += !entry->owned;
        taken = true;
    }
    queue->set |= bit;
    notify_one(p, t, bit);
    return taken;
}

/* The sender's own entry is still queued: a timer's expiry only counts, a file's news go into the same. */
static bool overrun(struct queued_signal *entry, const siginfo_t *info) {
    bool queued = entry && entry->owned && !list_empty(&entry->link);

    if (queued && entry->info.si_code == SI_TIMER)
        entry->info.si_overrun = (int)min((s64)entry->info.si_overrun + info->si_overrun + 1, (s64)OVERRUNS_MOST);
    else if (queued)
        entry->info.si_band |= info->si_band;
    return queued;
}

int signal_send_prepared(struct process *p, struct task *t, int signal, const siginfo_t *info,
                         struct queued_signal *entry) {
    bool taken = false, gone;

    spin_lock(&p->signal_lock);
    gone = p->exiting || p->kernel || (t && list_empty(&t->thread_link)); /* found before it left: nobody takes it */
    if (!gone && !overrun(entry, info))
        taken = send_locked(p, t, signal, info, entry);
    spin_unlock(&p->signal_lock);
    waitq_wake_all(&p->signal_events);
    if (entry && !taken && !entry->owned)
        kfree(entry);
    return 0;
}

/* may_queue: RLIMIT_SIGPENDING; standard signals whose info is the kernel's own or kill's are kept from it, as each
 * waits once. A signal past it is a bit alone, or fails where a program counts on its queueing: as on Linux. */
static bool may_queue(const struct process *p, int signal, const siginfo_t *info) {
    return (signal < SIGNAL_REALTIME && info->si_code >= 0) ||
           atomic_load_relaxed(&p->queued_signals) < p->limits[RLIMIT_SIGPENDING].rlim_cur;
}

static int send(struct process *p, struct task *t, int signal, const siginfo_t *info) {
    struct queued_signal *entry = NULL;

    if (signal < 0 || signal > SIGNAL_COUNT)
        return -EINVAL;
    if (signal == 0)
        return 0;
    if (info && signal != SIGKILL) {
        if (may_queue(p, signal, info))
            entry = kzalloc(sizeof(*entry));
        if (!entry && signal >= SIGNAL_REALTIME && info->si_code != SI_USER)
            return -EAGAIN;
        if (entry)
            list_init(&entry->link);
    }
    return signal_send_prepared(p, t, signal, info, entry);
}

int signal_process(struct process *p, int signal, const siginfo_t *info) { return send(p, NULL, signal, info); }
int signal_task(struct task *t, int signal, const siginfo_t *info) {
    return t->process ? send(t->process, t, signal, info) : -ESRCH;
}

/* signal_group: the members are collected one by one, as sending with an info may sleep: each is found as the one with
 * the least pid above the last, so one that joins behind us is missed, as on Linux. */
int signal_group(int pgid, int signal, const siginfo_t *info) {
    struct ident *group = ident_find(pgid);
    int last = 0, result = -ESRCH;

    while (group) {
        struct process *p, *next = NULL;
        int error;

        spin_lock(&family_lock);
        list_for_each(p, &group->group, group_link) {
            if (p->pid > last && (!next || p->pid < next->pid))
                next = p;
        }
        if (next)
            process_get(next);
        spin_unlock(&family_lock);
        if (!next)
            break;
        last = next->pid;
        error = info ? signal_check(next, signal) : 0;
        if (!error)
            error = signal_process(next, signal, info);
        if (result) /* one that got it makes it a success */
            result = error;
        process_put(next);
    }
    if (group)
        ident_put(group);
    return result;
}

void signal_info_user(siginfo_t *info, int signal, int code) {
    memset(info, 0, sizeof(*info));
    info->si_signo = signal;
    info->si_code = code;
    info->si_pid = process_current() ? process_current()->pid : 0;
    info->si_uid = cred_current()->uid;
}

void signal_broken_pipe(void) {
    siginfo_t info;
    signal_info_user(&info, SIGPIPE, SI_USER);
    signal_task(task_current(), SIGPIPE, &info);
}

/* signal_check: kill(2): the sender's real or effective id is the receiver's real or saved one; SIGCONT within a
 * session. */
int signal_check(struct process *p, int signal) {
    const struct credentials *me = cred_current(), *other = &p->cred;

    if (signal < 0 || signal > SIGNAL_COUNT)
        return -EINVAL;
    if (me->euid == other->suid || me->euid == other->uid || me->uid == other->suid || me->uid == other->uid)
        return 0;
    if (signal == SIGCONT && process_current() && process_current()->sid == p->sid)
        return 0;
    return capable(CAP_KILL) ? 0 : -EPERM;
}

/* A handler runs if there is one and it is not blocked; else the default action kills. */
void signal_force_info(const siginfo_t *info) {
    struct task *t = task_current();
    struct process *p = t->process;
    int signal = info->si_signo;
    u64 bit = signal_bit(signal);

    spin_lock(&p->signal_lock);
    spin_lock(&p->handlers->lock);
    if (t->blocked & bit || p->actions[signal - 1].sa_handler == SIG_IGN)
        p->actions[signal - 1].sa_handler = SIG_DFL;
    spin_unlock(&p->handlers->lock);
    t->blocked &= ~bit;
    t->forced = *info;
    t->pending.set |= bit;
    atomic_store(&t->attention, true);
    spin_unlock(&p->signal_lock);
}

static void force(int signal, int code, u64 address, int more) {
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = signal;
    info.si_code = code;
    info.si_addr = (void *)address;
    if (signal == SIGSEGV && code == SEGV_PKUERR)
        info.si_pkey = more;
    if (signal == SIGBUS && code == BUS_MCEERR_AR)
        info.si_addr_lsb = more;
    signal_force_info(&info);
}

void signal_force(int signal, int code, u64 address) { force(signal, code, address, 0); }
void signal_force_key(u64 address, int key) { force(SIGSEGV, SEGV_PKUERR, address, key); }
void signal_force_poison(u64 address) { force(SIGBUS, BUS_MCEERR_AR, address, PAGE_SHIFT); }

/* ---- masks ---- */

void signal_set_blocked(u64 mask) {
    struct task *t = task_current();
    struct process *p = t->process;
    u64 newly;

    mask &= ~SIGNALS_UNBLOCKABLE;
    spin_lock(&p->signal_lock);
    newly = mask & ~t->blocked & p->pending.set;
    t->blocked = mask;
    if (newly)
        signal_retarget(p, newly);
    if ((t->pending.set | p->pending.set) & ~mask)
        atomic_store(&t->attention, true);
    spin_unlock(&p->signal_lock);
}

void signal_mask_begin(u64 mask) {
    struct task *t = task_current();

    t->saved_mask = t->blocked;
    t->restore_mask = true;
    signal_set_blocked(mask);
}

void signal_mask_end(bool interrupted) {
    struct task *t = task_current();

    if (interrupted) {
        atomic_store(&t->attention, true); /* the old mask comes back on the way to user mode */
    } else if (t->restore_mask) {
        t->restore_mask = false;
        signal_set_blocked(t->saved_mask);
    }
}

int signal_mask_begin_user(const u64 __user *user, size_t bytes) {
    u64 mask;

    if (!user)
        return 0;
    if (bytes != sizeof(mask))
        return -EINVAL;
    if (get_user(mask, user))
        return -EFAULT;
    signal_mask_begin(mask);
    return 0;
}
