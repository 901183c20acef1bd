/* owner.c - signals that tell of open files (signal(7), SIGIO and SIGURG).
 *
 *     a queue of the file --notify--> news --work, no lock held--> the owner: a process, a task, a group
 *
 * A file with O_ASYNC stands on the queues that its poll names, as an epoll's item does, so who wakes a queue need not
 * know of signals. The first queue that poll names is the readers', the other the writers'; one that is only written
 * to has just that.
 *
 * Not as on Linux: news that come while a signal with a siginfo (F_SETSIG) still waits are told by that one, whose band
 * then has both; a group is told without a siginfo.
 *
 * Locks: `changing` (sleeping): an owner's making and its watches. owner_lock (spin), before family_lock: whom to tell;
 * held while it is told. */
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <asm/siginfo.h>

#include "arch/x86_64/usercopy.h"
#include "fs/owner.h"
#include "fs/poll.h"
#include "fs/tty.h"
#include "task/family.h"
#include "vm/slab.h"

struct owner_queue {
    struct waiter waiter;
    struct owner *owner;
    u32 news;
};

/* Legend: [l] owner_lock; [a] atomic; [c] changing. */
struct owner {
    u32 references; /* [a] the file's, the work's */
    u32 news;       /* [a] not told yet; 0: the work is not queued */
    struct work work;
    struct ident *whom;         /* [l] counted, so that the number stays theirs; NULL: nobody */
    int type;                   /* [l] F_OWNER_* */
    u32 uid, euid;              /* [l] of who said so: may they? */
    int signal;                 /* [a] 0: SIGIO, without a siginfo */
    int fd;                     /* [l] */
    struct process *told;       /* [l] counted: in whose queues the entry may be; or NULL */
    struct queued_signal entry; /* of told's signal_lock, once sent */
    unsigned queues;            /* [c] */
    u32 first;                  /* [c] the news of the first of them */
    struct owner_queue queue[2];
    struct poll_table table; /* [c] */
};

static struct mutex changing = MUTEX_INIT(changing);
static struct spin owner_lock = SPIN_INIT;

/* ---- telling ---- */

static const struct {
    u32 news, band;
    int code;
} kinds[] = {
    {OWNER_IN, POLLIN | POLLRDNORM, POLL_IN},
    {OWNER_OUT, POLLOUT | POLLWRNORM | POLLWRBAND, POLL_OUT},
    {OWNER_URGENT, POLLPRI | POLLRDBAND, POLL_PRI},
};

/* withdraw: the entry is on no queue any more. owner_lock is held. Returns who is to be put. */
static struct process *withdraw(struct owner *o) {
    struct process *told = o->told;

    if (told) {
        spin_lock(&told->signal_lock);
        list_del(&o->entry.link);
        spin_unlock(&told->signal_lock);
        o->told = NULL;
    }
    return told;
}

static void owner_put(struct owner *o) {
    if (atomic_sub(&o->references, 1))
        return;
    if (o->told)
        process_put(withdraw(o));
    if (o->whom)
        ident_put(o->whom);
    kfree(o);
}

/* As kill(2) would ask of who set the owner. */
static bool may_tell(const struct owner *o, const struct process *p) {
    const struct credentials *c = &p->cred;

    return o->euid == 0 || o->euid == c->suid || o->euid == c->uid || o->uid == c->suid || o->uid == c->uid;
}

static void tell_one(struct owner *o, struct process *p, struct task *t, int signal, const siginfo_t *info) {
    if (!may_tell(o, p))
        return;
    if (info && !o->told) {
        process_get(p);
        o->told = p;
    }
    (void)signal_send_prepared(p, t, signal, info, info ? &o->entry : NULL);
}

/* tell_all: owner_lock is held. */
static void tell_all(struct owner *o, int signal, const siginfo_t *info) {
    struct process *p;
    struct task *t;

    switch (o->type) {
    case F_OWNER_PGRP:
        spin_lock(&family_lock);
        list_for_each(p, &o->whom->group, group_link) { tell_one(o, p, NULL, signal, NULL); }
        spin_unlock(&family_lock);
        break;
    case F_OWNER_PID:
        p = process_find(o->whom->number);
        if (p) {
            tell_one(o, p, NULL, signal, info);
            process_put(p);
        }
        break;
    default:
        t = task_find(o->whom->number);
        if (t && t->process)
            tell_one(o, t->process, t, signal, info);
        if (t)
            task_put(t);
    }
}

static void tell(struct work *work) {
    const u64 own_codes = signal_bit(SIGILL) | signal_bit(SIGFPE) | signal_bit(SIGSEGV) | signal_bit(SIGBUS) |
                          signal_bit(SIGTRAP) | signal_bit(SIGCHLD) | signal_bit(SIGSYS);
    struct owner *o = container_of(work, struct owner, work);
    u32 news = atomic_xchg(&o->news, 0);

    spin_lock(&owner_lock);
    for (unsigned i = 0; i < array_count(kinds) && o->whom; i++) {
        int signal = o->signal;
        siginfo_t info = {.si_signo = signal, .si_code = kinds[i].code};

        if (!(news & kinds[i].news))
            continue;
        if (signal && signal_bit(signal) & own_codes)
            info.si_code = SI_SIGIO;
        info.si_band = kinds[i].band;
        info.si_fd = o->fd;
        if (kinds[i].news == OWNER_URGENT)
            tell_all(o, SIGURG, NULL);
        if (signal || kinds[i].news != OWNER_URGENT)
            tell_all(o, signal ? signal : SIGIO, signal ? &info : NULL);
    }
    spin_unlock(&owner_lock);
    owner_put(o);
}

static void add_news(struct owner *o, u32 news) {
    atomic_add(&o->references, 1);
    if (atomic_or(&o->news, news))
        (void)atomic_sub(&o->references, 1); /* not the last: who queued the work has one */
    else
        cpu_queue_work(cpu_id(), &o->work);
}

void owner_tell(struct file *f, u32 news) {
    if (!atomic_load(&f->owner))
        return;
    spin_lock(&owner_lock); /* owner_forget takes it away */
    if (f->owner)
        add_news(f->owner, news);
    spin_unlock(&owner_lock);
}

/* By a waker, under the queue's lock. */
static void notify(struct waiter *w) {
    struct owner_queue *q = container_of(w, struct owner_queue, waiter);

    add_news(q->owner, q->news);
}

/* ---- making and watching ---- */

/* owner_make: NULL: no memory. `changing` is held. */
static struct owner *owner_make(struct file *f) {
    struct owner *o = f->owner;

    if (!o) {
        o = kzalloc(sizeof(*o));
        if (!o)
            return NULL;
        o->references = 1;
        o->work.run = tell;
        o->entry.owned = true;
        list_init(&o->entry.link);
        atomic_store(&f->owner, o);
    }
    return o;
}

static void watch(struct poll_table *table, struct waitq *q) {
    struct owner *o = container_of(table, struct owner, table);
    struct owner_queue *entry = &o->queue[o->queues];

    assert(o->queues < array_count(o->queue));
    entry->owner = o;
    entry->news = o->first << o->queues++;
    waitq_watch(q, &entry->waiter, notify);
}

static void unwatch(struct owner *o) {
    while (o->queues)
        waitq_remove(&o->queue[--o->queues].waiter);
}

/* set_whom: takes over the caller's reference. */
static void set_whom(struct owner *o, int type, struct ident *whom) {
    const struct credentials *c = cred_current();
    struct process *told;
    struct ident *old;

    spin_lock(&owner_lock);
    told = withdraw(o);
    old = o->whom;
    o->whom = whom;
    o->type = type;
    o->uid = c->uid;
    o->euid = c->euid;
    spin_unlock(&owner_lock);
    if (told)
        process_put(told);
    if (old)
        ident_put(old);
}

int owner_watch(struct file *f, int fd, bool on) {
    struct owner *o;
    int error = 0;

    if (!f->ops->async)
        return 0;
    mutex_lock(&changing);
    o = owner_make(f);
    if (!o) {
        error = on ? -ENOMEM : 0;
    } else {
        int group = tty_group_of(f);

        unwatch(o);
        if (on && !o->whom && group >= 0) /* a terminal tells those in front of it, if nobody else was named */
            set_whom(o, group ? F_OWNER_PGRP : F_OWNER_PID, ident_find(group ? group : process_current()->pid));
        o->fd = fd;
        o->table.wait = watch;
        o->first = f->mode & FILE_READ ? OWNER_IN : OWNER_OUT;
        if (on)
            (void)file_poll(f, &o->table);
    }
    if (!error && on)
        atomic_or(&f->flags, FASYNC);
    else if (!error)
        atomic_and(&f->flags, ~FASYNC);
    mutex_unlock(&changing);
    return error;
}

void owner_forget(struct file *f) {
    struct owner *o = f->owner;

    unwatch(o);
    spin_lock(&owner_lock);
    f->owner = NULL;
    spin_unlock(&owner_lock);
    owner_put(o);
}

/* ---- fcntl ---- */

/* set_owner: of a type and a number; 0: nobody. -ESRCH. */
static long set_owner(struct owner *o, int type, int number) {
    struct ident *whom = number ? ident_find(number) : NULL;

    if (number && !whom)
        return -ESRCH;
    set_whom(o, type, whom);
    return 0;
}

/* The owner's type and number, which is 0 when nobody is there any more. */
static struct f_owner_ex get_owner(const struct owner *o) {
    struct f_owner_ex e = {.type = o ? o->type : F_OWNER_TID};

    spin_lock(&owner_lock);
    if (o && o->whom) {
        const struct ident *whom = o->whom;
        bool there = o->type == F_OWNER_PGRP ? !list_empty(&whom->group)
                                             : (o->type == F_OWNER_PID ? (void *)whom->process : whom->task) != NULL;
        e.type = o->type;
        e.pid = there ? whom->number : 0;
    }
    spin_unlock(&owner_lock);
    return e;
}

static long control(struct owner *o, int command, u64 argument) {
    struct f_owner_ex e;
    int number = (int)argument;

    switch (command) {
    case F_SETSIG:
        if (argument > SIGNAL_COUNT)
            return -EINVAL;
        atomic_store(&o->signal, number);
        return 0;
    case F_SETOWN:
        if (number == INT32_MIN)
            return -EINVAL;
        return set_owner(o, number < 0 ? F_OWNER_PGRP : F_OWNER_PID, number < 0 ? -number : number);
    default: /* F_SETOWN_EX */
        if (get_user(e, (struct f_owner_ex __user *)argument))
            return -EFAULT;
        if (e.type < F_OWNER_TID || e.type > F_OWNER_PGRP)
            return -EINVAL;
        return set_owner(o, e.type, e.pid);
    }
}

long owner_control(struct file *f, int command, u64 argument) {
    struct owner *o = atomic_load(&f->owner);
    struct f_owner_ex e = get_owner(o);
    long result;

    switch (command) {
    case F_GETOWN:
        return e.type == F_OWNER_PGRP ? -e.pid : e.pid;
    case F_GETOWN_EX:
        return put_user(e, (struct f_owner_ex __user *)argument);
    case F_GETSIG:
        return o ? atomic_load(&o->signal) : 0;
    default:
        mutex_lock(&changing);
        o = owner_make(f);
        result = o ? control(o, command, argument) : -ENOMEM;
        mutex_unlock(&changing);
        return result;
    }
}
