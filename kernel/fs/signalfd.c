/* signalfd.c - signals read as data: signalfd(2).
 *
 * A signalfd holds only a mask. Whose signals it gives is decided when it is read or polled: those of the task that
 * does. */
#include <linux/poll.h>
#include <linux/signalfd.h>

#include "fs/event.h"
#include "fs/io.h"
#include "fs/pipe.h"
#include "task/task.h"
#include "vm/slab.h"

/* A process whose queue somebody may watch for this signalfd. */
struct watched {
    struct process *process; /* counted */
    struct watched *next;
};

struct signalfd {
    u64 mask;          /* the signals wanted; atomic */
    struct mutex lock; /* protects the list */
    struct watched *watched;
};
static const struct file_ops signalfd_ops;

/* Does it tell of a file? By F_SETSIG any signal may, but for those whose codes mean something of their own. */
static bool of_file(const siginfo_t *in) {
    const u64 own_codes = signal_bit(SIGILL) | signal_bit(SIGFPE) | signal_bit(SIGSEGV) | signal_bit(SIGBUS) |
                          signal_bit(SIGTRAP) | signal_bit(SIGCHLD) | signal_bit(SIGSYS);
    return in->si_code == SI_SIGIO ||
           (in->si_code > 0 && in->si_code <= NSIGPOLL && !(signal_bit(in->si_signo) & own_codes));
}

/* What is meaningful depends on who sent it: signalfd(2). */
static void describe(struct signalfd_siginfo *out, const siginfo_t *in) {
    *out = (struct signalfd_siginfo){.ssi_signo = in->si_signo, .ssi_errno = in->si_errno, .ssi_code = in->si_code};
    if (in->si_code == SI_TIMER) {
        out->ssi_tid = in->si_tid;
        out->ssi_overrun = in->si_overrun;
        out->ssi_ptr = (u64)in->si_ptr;
        out->ssi_int = in->si_int;
    } else if (in->si_code > 0 && in->si_signo == SIGCHLD) {
        out->ssi_pid = in->si_pid;
        out->ssi_uid = in->si_uid;
        out->ssi_status = in->si_status;
        out->ssi_utime = in->si_utime;
        out->ssi_stime = in->si_stime;
    } else if (of_file(in)) {
        out->ssi_band = in->si_band;
        out->ssi_fd = in->si_fd;
    } else if (in->si_code > 0 && in->si_code != SI_KERNEL) {
        out->ssi_addr = (u64)in->si_addr;
    } else {
        out->ssi_pid = in->si_pid;
        out->ssi_uid = in->si_uid;
        out->ssi_ptr = (u64)in->si_ptr;
        out->ssi_int = in->si_int;
    }
}

static bool wanted_pending(const struct signalfd *s) { return signal_pending_set() & atomic_load(&s->mask); }

/* The next signal: its number, or -EAGAIN, -ERESTARTSYS. */
static int next_signal(struct signalfd *s, siginfo_t *info, bool wait) {
    for (;;) {
        int signal = signal_take(atomic_load(&s->mask), info);
        if (signal)
            return signal;
        if (!wait)
            return -EAGAIN;
        if (wait_until_interruptible(&process_current()->signal_events, wanted_pending(s)))
            return -ERESTARTSYS;
    }
}

static ssize_t signalfd_read(struct file *file, struct iov *to, u64 *position) {
    struct signalfd *s = file->private_data;
    struct signalfd_siginfo out;
    siginfo_t info;
    ssize_t done = 0;

    if (to->bytes < sizeof(out))
        return -EINVAL;
    while (to->bytes >= sizeof(out)) {
        int signal = next_signal(s, &info, !done && !(file->flags & O_NONBLOCK));
        if (signal < 0)
            return done ? done : signal;
        describe(&out, &info);
        if (iov_put(to, &out, sizeof(out)) != sizeof(out))
            return done ? done : -EFAULT;
        done += sizeof(out);
    }
    return done;
}

/* The current process stays as long as s does. False: no memory. */
static bool keep_process(struct signalfd *s) {
    struct process *p = process_current();
    struct watched *w;
    mutex_lock(&s->lock);
    for (w = s->watched; w && w->process != p; w = w->next)
        ;
    if (!w) {
        w = kmalloc(sizeof(*w));
        if (w) {
            process_get(p);
            *w = (struct watched){.process = p, .next = s->watched};
            s->watched = w;
        }
    }
    mutex_unlock(&s->lock);
    return w;
}

static u32 signalfd_poll(struct file *file, struct poll_table *table) {
    struct signalfd *s = file->private_data;
    if (table && !keep_process(s))
        table->error = -ENOMEM;
    else
        poll_wait(table, &process_current()->signal_events);
    return wanted_pending(s) ? POLLIN : 0;
}

static void signalfd_release(struct file *file) {
    struct signalfd *s = file->private_data;
    while (s->watched) {
        struct watched *w = s->watched;
        s->watched = w->next;
        process_put(w->process);
        kfree(w);
    }
    kfree(s);
}

static const struct file_ops signalfd_ops = {
    .seek = event_seek,
    .release = signalfd_release,
    .read = signalfd_read,
    .poll = signalfd_poll,
};

static u64 wantable(u64 mask) { return mask & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP)); }

struct file *signalfd_create(u64 mask, int flags) {
    struct signalfd *s = kzalloc(sizeof(*s));
    struct inode *inode = anon_inode();
    struct file *file = err_ptr(-ENOMEM);

    if (s)
        file = file_make(inode, &signalfd_ops, O_RDWR | flags, "anon_inode:[signalfd]");
    if (is_err(file)) {
        inode_put(inode);
        kfree(s);
    } else {
        s->mask = wantable(mask);
        mutex_init(&s->lock);
        file->private_data = s;
    }
    return file;
}

int signalfd_set(struct file *f, u64 mask) {
    if (f->ops != &signalfd_ops)
        return -EINVAL;
    atomic_store(&((struct signalfd *)f->private_data)->mask, wantable(mask));
    waitq_wake_all(&process_current()->signal_events); /* who sleeps on it asks again, with the new mask */
    return 0;
}
