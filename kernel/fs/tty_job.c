/* tty_job.c - terminals and job control: which session has a terminal, which of its groups may use it, and what they
 * hear when it goes.
 *
 * Owns the bond between a session and its terminal: tty->session, tty->foreground, and process->tty of the session's
 * processes, which change under `bonds`, so that a terminal that hangs up is nobody's when that is done. The bond
 * counts the terminal. process->tty itself is written under the family's lock too (task.h), so a look at it there is
 * safe. */
#include <asm/signal.h>
#include <linux/capability.h>

#include "arch/x86_64/usercopy.h"
#include "fs/tty_inner.h"
#include "task/task.h"

static struct mutex bonds = MUTEX_INIT(bonds);

void tty_get(struct tty *t) {
    if (t->inode)
        inode_get(t->inode);
}
void tty_put(struct tty *t) {
    if (t->inode)
        inode_put(t->inode);
}

void tty_signal_foreground(struct tty *t, int signal) {
    int group = atomic_load(&t->foreground);
    if (group)
        signal_group(group, signal, NULL);
}

int tty_foreground_check(struct tty *t, int signal, int when_ignored) {
    struct process *p = process_current();
    int foreground = atomic_load(&t->foreground);
    if (!p || atomic_load(&p->tty) != t || !foreground || p->pgid == foreground)
        return 0;
    if (signal_ignored_or_blocked(signal))
        return when_ignored;
    if (process_orphaned())
        return -EIO;
    signal_group(p->pgid, signal, NULL);
    return -ERESTARTSYS;
}

/* ---- looks at process->tty ---- */

struct look {
    struct tty *tty; /* counted */
};
static void look(struct process *p, void *argument) {
    struct look *l = argument;
    l->tty = p->tty;
    if (l->tty)
        tty_get(l->tty);
}

struct tty *tty_of_process(struct process *p) {
    struct look l;
    process_look(p, look, &l);
    return l.tty;
}

/* ---- the bond ---- */

struct change_tty {
    struct process *only; /* NULL: everyone */
    struct tty *from, *to;
    int hung_up_group; /* for the session's leader, whose exit signals it */
};
static void change_tty(struct process *p, void *argument) {
    struct change_tty *c = argument;
    if ((c->only && p != c->only) || (c->from && p->tty != c->from))
        return;
    atomic_store(&p->tty, c->to);
    if (p->pid == p->sid)
        p->hung_up_group = c->hung_up_group;
}

/* t becomes p's, the leader of its session, unless it hung up. `bonds` held. */
static void adopt(struct tty *t, struct process *p) {
    struct change_tty change = {.only = p, .to = t};
    if (atomic_load(&t->hung_up))
        return;
    tty_get(t);
    spin_lock(&t->lock);
    t->session = p->sid;
    atomic_store(&t->foreground, p->pgid);
    spin_unlock(&t->lock);
    process_each_in_session(p->sid, change_tty, &change);
}

/* Takes the terminal from its session, if it has one; returns the group that was in front. `bonds` held, and a
 * reference to t beside the bond's. */
static int lose(struct tty *t, bool hang_up) {
    struct change_tty change = {.from = t, .hung_up_group = hang_up ? t->foreground : 0};
    int foreground = t->foreground, session = t->session;
    if (!session)
        return 0;
    process_each_in_session(session, change_tty, &change);
    spin_lock(&t->lock);
    t->session = 0;
    atomic_store(&t->foreground, 0);
    spin_unlock(&t->lock);
    tty_put(t);
    return foreground;
}

void tty_adopt(struct tty *t, struct process *p, bool only_if_free) {
    mutex_lock(&bonds);
    if (!only_if_free || (p->sid == p->pid && !atomic_load(&p->tty) && !t->session))
        adopt(t, p);
    mutex_unlock(&bonds);
}

static void signal_groups_end(int group, bool go_on) {
    if (group) {
        signal_group(group, SIGHUP, NULL);
        if (go_on)
            signal_group(group, SIGCONT, NULL);
    }
}

/* The leader of t's session lets go of it: the group in front hears of it. */
static void session_end(struct tty *t, struct process *leader, bool go_on) {
    int foreground = 0;
    mutex_lock(&bonds);
    if (t->session == leader->sid)
        foreground = lose(t, false);
    mutex_unlock(&bonds);
    signal_groups_end(foreground, go_on);
}

void tty_session_end(struct process *leader) {
    struct tty *t = tty_of_process(leader);
    if (t) {
        session_end(t, leader, false);
        tty_put(t);
    } else { /* it hung up before: only the leader was told */
        signal_groups_end(leader->hung_up_group, true);
    }
}

/* Whoever sleeps for t looks again, and finds it hung up; its session loses it, and its leader gets SIGHUP. */
static void hung_up(struct tty *t) {
    waitq_wake_all(&t->readable);
    waitq_wake_all(&t->writable);
    waitq_wake_all(&t->room);
    mutex_lock(&bonds);
    int session = t->session;
    struct process *leader = session ? process_find(session) : NULL;
    (void)lose(t, true);
    mutex_unlock(&bonds);
    if (leader) {
        signal_process(leader, SIGHUP, NULL);
        signal_process(leader, SIGCONT, NULL);
        process_put(leader);
    }
}

void tty_hangup(struct tty *t) {
    atomic_store(&t->hung_up, true);
    atomic_store(&t->stopped, false);
    hung_up(t);
}

void tty_vhangup(struct tty *t) {
    atomic_add(&t->hangups, 1);
    atomic_store(&t->stopped, false);
    hung_up(t);
}

/* ---- ioctl ---- */

static long set_foreground(struct tty *t, const int __user *p) {
    struct process *me = process_current();
    int group, error = tty_foreground_check(t, SIGTTOU, 0);
    if (error)
        return error == -EIO ? -ENOTTY : error;
    if (atomic_load(&me->tty) != t || t->session != me->sid)
        return -ENOTTY;
    if (get_user(group, p))
        return -EFAULT;
    if (group < 0)
        return -EINVAL;
    error = process_in_session_group(me->sid, group);
    spin_lock(&t->lock);
    if (!error && t->session == me->sid)
        atomic_store(&t->foreground, group);
    spin_unlock(&t->lock);
    return error;
}

/* TIOCSCTTY: for a session leader without a terminal, of a terminal without a session that the caller may read; root
 * may take one away (1). */
static long become_controlling(struct tty *t, u64 steal) {
    struct process *me = process_current();
    long error = 0;
    mutex_lock(&bonds);
    int session = t->session;
    if (session == me->sid && me->sid == me->pid)
        goto out;
    error = -EPERM;
    if (me->sid != me->pid || atomic_load(&me->tty))
        goto out;
    if (session && !(steal == 1 && capable(CAP_SYS_ADMIN)))
        goto out;
    error = atomic_load(&t->hung_up) ? -EIO : 0;
    if (session)
        (void)lose(t, false);
    adopt(t, me);
out:
    mutex_unlock(&bonds);
    return error;
}

/* TIOCNOTTY: a leader takes the terminal from its whole session. */
static long give_up_controlling(struct tty *t) {
    struct process *me = process_current();
    if (atomic_load(&me->tty) != t)
        return -ENOTTY;
    if (me->sid == me->pid) {
        session_end(t, me, true);
    } else {
        struct change_tty change = {.only = me, .from = t};
        process_each_in_session(me->sid, change_tty, &change);
    }
    return 0;
}

long tty_job_ioctl(struct tty *t, u32 command, u64 argument, bool master) {
    bool answers = master || atomic_load(&process_current()->tty) == t;
    int session = atomic_load(&t->session);
    switch (command) {
    case TIOCGPGRP:
        return answers ? put_user(atomic_load(&t->foreground), (int __user *)argument) : -ENOTTY;
    case TIOCGSID:
        return answers && session ? put_user(session, (int __user *)argument) : -ENOTTY;
    case TIOCSPGRP:
        return set_foreground(t, (const int __user *)argument);
    case TIOCSCTTY:
        return become_controlling(t, argument);
    case TIOCNOTTY:
        return master ? -ENOTTY : give_up_controlling(t);
    default:
        return -ENOTTY;
    }
}
