/* pty.c - pseudo-terminals (pty(7)): the master's file, and what joins it to the slave's discipline.
 *
 *     master writes --> [typed: what the discipline has no room for] --> tty_input --> slave reads
 *     master reads  <-- [shown] <-- ops->write <-- cooked <-- slave writes, echo
 *
 * Nouns. pty: the pair. slave: a struct tty (tty.c) under a name in /dev/pts; master: the open file of /dev/ptmx that
 * made the pair. Owns the numbers and /dev/pts itself (devpts). The slave's inode is the pair's memory: the master,
 * each open slave and the session count it. Its number is free again when the last of them is gone, its name when the
 * master is closed.
 *
 * Neither side's writes wait for the other's reads before KEPT bytes wait there. */
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/major.h>

#include "arch/x86_64/usercopy.h"
#include "fs/file.h"
#include "fs/io.h"
#include "fs/mount.h"
#include "fs/open.h"
#include "fs/pty.h"
#include "fs/queue.h"
#include "task/task.h"
#include "vm/slab.h"

#define KEPT (8 * KiB) /* as Linux sets the limit for these */
#define CHUNK 256u     /* copied at a time, on the stack */
#define TTY_GROUP 5u   /* Debian's group `tty` */
#define PTYS_MOST 4096u

struct pty {
    struct inode inode; /* the slave's */
    struct tty tty;
    struct list link; /* [ptys_lock] by number */
    u32 number;
    struct queue shown;               /* for the master; put under tty.output */
    struct mutex typing;              /* puts to typed, and moves from there to tty_input, are in one order */
    struct queue typed;               /* for the discipline */
    struct waitq readable, writable;  /* the master's */
    u32 slaves;                       /* [ptys_lock] open files of the slave */
    bool locked;                      /* [a] the slave cannot be opened (TIOCSPTLCK) */
    bool packet;                      /* [a] the master is in packet mode */
    u8 status;                        /* [a] TIOCPKT_*: what its next read tells */
    bool slave_closed, master_closed; /* [a] slave_closed: it was open, and is no more */
};

static struct spin ptys_lock; /* protects the list, and what is marked with it */
static struct list ptys = LIST_INIT(ptys);
u64 pty_most = PTYS_MOST, pty_count; /* [ptys_lock] */

static struct pty *pty_of(struct tty *t) { return container_of(t, struct pty, tty); }

/* ---- the slave's driver ---- */

static size_t slave_room(struct tty *t) {
    size_t bytes = queue_bytes(&pty_of(t)->shown);
    return bytes < KEPT ? KEPT - bytes : 0;
}

static ssize_t slave_write(struct tty *t, const u8 *bytes, size_t count) {
    struct pty *p = pty_of(t);
    if (atomic_load(&p->master_closed))
        return -EIO;
    if (!slave_room(t))
        return -EAGAIN;
    if (!queue_put(&p->shown, bytes, count))
        return -ENOMEM;
    waitq_wake_all(&p->readable);
    return count;
}

static void slave_status(struct tty *t, u8 bits) {
    struct pty *p = pty_of(t);
    static const u8 opposite[] = {[TIOCPKT_STOP] = TIOCPKT_START,
                                  [TIOCPKT_START] = TIOCPKT_STOP,
                                  [TIOCPKT_NOSTOP] = TIOCPKT_DOSTOP,
                                  [TIOCPKT_DOSTOP] = TIOCPKT_NOSTOP};
    if (!atomic_load(&p->packet))
        return;
    if (bits < array_count(opposite))
        atomic_and(&p->status, (u8)~opposite[bits]);
    atomic_or(&p->status, bits);
    waitq_wake_all(&p->readable);
}

/* Lets the discipline have what was kept for it, as far as it has room. typing held. */
static void feed(struct pty *p) {
    u8 bytes[CHUNK];
    while (queue_bytes(&p->typed) && !tty_full(&p->tty)) {
        size_t most = min(tty_room(&p->tty), sizeof(bytes)), count = queue_take(&p->typed, bytes, most);
        (void)tty_input(&p->tty, bytes, count); /* all: unless TIOCSTI was quicker, whose user must not mind */
        waitq_wake_all(&p->writable);
    }
}

/* Either the master's writer sees the room that there is now, when it has put its bytes there, or we see these. */
static void slave_more(struct tty *t) {
    struct pty *p = pty_of(t);
    if (queue_bytes(&p->typed)) {
        mutex_lock(&p->typing);
        feed(p);
        mutex_unlock(&p->typing);
    }
}

static int slave_open(struct tty *t, struct file *file) {
    struct pty *p = pty_of(t);
    int error = -EIO;
    spin_lock(&ptys_lock);
    if (!atomic_load(&p->master_closed) && !atomic_load(&p->locked)) {
        p->slaves++;
        atomic_store(&p->slave_closed, false);
        error = 0;
    }
    spin_unlock(&ptys_lock);
    if (!error && !(file->flags & O_NOCTTY) && file->mode & FILE_READ)
        tty_adopt(t, process_current(), true);
    return error;
}

static void slave_close(struct tty *t) {
    struct pty *p = pty_of(t);
    spin_lock(&ptys_lock);
    bool last = --p->slaves == 0;
    if (last)
        atomic_store(&p->slave_closed, true);
    spin_unlock(&ptys_lock);
    if (last) {
        waitq_wake_all(&p->readable);
        waitq_wake_all(&p->writable);
    }
}

static const struct tty_ops slave_ops = {
    .write = slave_write,
    .room = slave_room,
    .open = slave_open,
    .close = slave_close,
    .more = slave_more,
    .status = slave_status,
};

/* ---- the master ---- */

static bool has_status(struct pty *p) { return atomic_load(&p->packet) && atomic_load(&p->status); }

/* Moves what is shown to the reader, behind a byte 0 in packet mode. How many bytes, 0: there are none; -EFAULT. */
static ssize_t take_shown(struct pty *p, struct iov *to) {
    u8 bytes[CHUNK];
    ssize_t done = 0;
    size_t count, head = atomic_load(&p->packet) ? 1 : 0;
    bytes[0] = TIOCPKT_DATA;
    while (to->bytes > head && (count = queue_take(&p->shown, bytes + head, min(to->bytes, sizeof(bytes)) - head))) {
        size_t moved = iov_put(to, bytes, head + count);
        done += moved;
        if (moved < head + count)
            return done ? done : -EFAULT;
        head = 0;
    }
    if (done)
        tty_output_room(&p->tty);
    return done;
}

static ssize_t master_read(struct file *file, struct iov *to, u64 *position) {
    struct pty *p = file->private_data;
    if (!to->bytes)
        return 0;
    for (;;) {
        if (has_status(p)) {
            u8 status = atomic_xchg(&p->status, 0);
            return iov_put(to, &status, 1) == 1 ? 1 : -EFAULT;
        }
        bool closed = atomic_load(&p->slave_closed); /* before the look: what it wrote is read first */
        ssize_t done = take_shown(p, to);
        if (done)
            return done;
        if (closed)
            return -EIO;
        if (file->flags & O_NONBLOCK)
            return -EAGAIN;
        if (wait_until_interruptible(&p->readable,
                                     queue_bytes(&p->shown) || has_status(p) || atomic_load(&p->slave_closed)))
            return -ERESTARTSYS;
    }
}

static bool takes_input(struct pty *p) { return queue_bytes(&p->typed) < KEPT; }

/* A chunk typed. */
static bool type(struct pty *p, const u8 *bytes, size_t count) {
    bool kept = true;
    mutex_lock(&p->typing);
    size_t done = queue_bytes(&p->typed) ? 0 : tty_input(&p->tty, bytes, count);
    if (done < count)
        kept = queue_put(&p->typed, bytes + done, count - done);
    feed(p);
    mutex_unlock(&p->typing);
    return kept;
}

static ssize_t master_write(struct file *file, struct iov *from, u64 *position) {
    struct pty *p = file->private_data;
    u8 bytes[CHUNK];
    ssize_t done = 0, error = 0;
    while (from->bytes && !error) {
        if (!takes_input(p) && file->flags & O_NONBLOCK)
            error = -EAGAIN;
        else if (wait_until_interruptible(&p->writable, takes_input(p)))
            error = -ERESTARTSYS;
        if (error)
            break;
        size_t asked = min(from->bytes, sizeof(bytes)), count = iov_take(from, bytes, asked);
        if (count && !type(p, bytes, count))
            error = -ENOMEM;
        else
            done += count;
        if (count < asked)
            error = -EFAULT;
    }
    return done ? done : error;
}

static u32 master_poll(struct file *file, struct poll_table *table) {
    struct pty *p = file->private_data;
    u32 events = 0;
    poll_wait(table, &p->readable);
    poll_wait(table, &p->writable);
    if (queue_bytes(&p->shown))
        events |= POLLIN | POLLRDNORM;
    if (has_status(p))
        events |= POLLPRI | POLLIN | POLLRDNORM;
    if (atomic_load(&p->slave_closed))
        events |= POLLHUP;
    if (takes_input(p))
        events |= POLLOUT | POLLWRNORM;
    return events;
}

static long set_packet(struct pty *p, bool on) {
    if (on && !atomic_load(&p->packet))
        atomic_store(&p->status, 0);
    atomic_store(&p->packet, on);
    return 0;
}

/* TIOCSIG. */
static long signal_slave(struct pty *p, u64 signal) {
    int group = atomic_load(&p->tty.foreground);
    if (signal != SIGINT && signal != SIGQUIT && signal != SIGTSTP)
        return -EINVAL;
    if (group)
        signal_group(group, signal, NULL);
    return 0;
}

/* TIOCGPTPEER: the slave, opened without its name. */
static long open_peer(struct pty *p, int flags) {
    struct mount *m = mount_next(NULL);
    char name[16];
    while (m && m->super != p->inode.super)
        m = mount_next(m);
    if (flags & ~(O_ACCMODE | O_NOCTTY | O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    if (!m || atomic_load(&p->master_closed))
        return -EIO;
    struct path path = {m, dentry_make(m->root, name, ksnprintf(name, sizeof(name), "%u", p->number))};
    if (!path.dentry)
        return -ENOMEM;
    inode_get(&p->inode);
    path.dentry->inode = &p->inode;
    struct file *f = file_open_path(&path, flags & ~O_CLOEXEC);
    path_put(&path);
    if (is_err(f))
        return ptr_err(f);
    f->flags = flags & ~O_NOCTTY; /* what Linux shows: no O_LARGEFILE, but O_CLOEXEC */
    int fd = fd_install(f, flags & O_CLOEXEC, 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

static long master_flush(struct pty *p, u64 which) {
    if (which > TCIOFLUSH)
        return -EINVAL;
    if (which != TCOFLUSH)
        queue_drop(&p->shown);
    if (which != TCIFLUSH)
        queue_drop(&p->typed);
    tty_output_room(&p->tty);
    waitq_wake_all(&p->writable);
    return 0;
}

static long master_ioctl(struct file *file, u32 command, u64 argument) {
    struct pty *p = file->private_data;
    int __user *number = (int __user *)argument;
    int value = 0;
    switch (command) {
    case TIOCGPTN:
        return put_user((unsigned)p->number, (unsigned __user *)argument);
    case TIOCSPTLCK:
    case TIOCPKT:
        if (get_user(value, number))
            return -EFAULT;
        if (command == TIOCPKT)
            return set_packet(p, value);
        atomic_store(&p->locked, value != 0);
        return 0;
    case TIOCGPTLCK:
        return put_user((int)atomic_load(&p->locked), number);
    case TIOCGPKT:
        return put_user((int)atomic_load(&p->packet), number);
    case TIOCGPTPEER:
        return open_peer(p, (int)argument);
    case TIOCSIG:
        return signal_slave(p, argument);
    case FIONREAD:
        return put_user((int)queue_bytes(&p->shown), number);
    case TCFLSH:
        return master_flush(p, argument);
    default:
        return tty_ioctl(&p->tty, command, argument, true);
    }
}

static void master_release(struct file *file) {
    struct pty *p = file->private_data;
    atomic_store(&p->master_closed, true);
    tty_hangup(&p->tty);
    queue_drop(&p->typed);
    inode_put(&p->inode);
}

static const struct file_ops master_ops = {
    .async = true,
    .release = master_release,
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
};

/* ---- birth and death ---- */

static void slave_release(struct inode *inode) {
    struct pty *p = container_of(inode, struct pty, inode);
    spin_lock(&ptys_lock);
    list_del(&p->link);
    pty_count--;
    spin_unlock(&ptys_lock);
    queue_drop(&p->shown);
    kfree(p);
}

static const struct inode_ops slave_inode_ops = {.release = slave_release};

/* Gives p the lowest free number. False: there are too many. */
static bool enlist(struct pty *p) {
    struct pty *other;
    struct list *before = &ptys;
    spin_lock(&ptys_lock);
    bool found = pty_count < pty_most;
    list_for_each(other, &ptys, link) {
        if (other->number != p->number) {
            before = &other->link;
            break;
        }
        p->number++;
    }
    if (found) {
        list_add_tail(before, &p->link);
        pty_count++;
    }
    spin_unlock(&ptys_lock);
    return found;
}

/* The inode's private_data is its last step: until then nobody finds it (pty_slave), as it has no operations. */
static void pty_init(struct pty *p, struct super *devpts) {
    tty_init(&p->tty, &slave_ops, NULL);
    p->tty.settings.c_cflag &= ~HUPCL;
    p->tty.inode = &p->inode;
    p->tty.device = UNIX98_PTY_SLAVE_MAJOR << 8 | (p->number & 0xff) | (p->number & ~0xffu) << 12;
    mutex_init(&p->typing);
    waitq_init(&p->readable);
    waitq_init(&p->writable);
    inode_init(&p->inode, devpts, S_IFCHR | 0620);
    p->inode.ops = &slave_inode_ops;
    p->inode.file_ops = &tty_file_ops;
    p->inode.gid = TTY_GROUP;
    p->inode.ino = p->number + 3; /* 1 is the directory, 2 its ptmx */
    p->inode.rdev = p->tty.device;
    atomic_store(&p->inode.private_data, (void *)&p->tty);
}

int pty_open_master(struct file *file) {
    struct super *devpts = devpts_super();
    struct pty *p = devpts ? kzalloc(sizeof(*p)) : NULL;
    if (!p)
        return -ENOMEM;
    p->locked = true;
    if (!enlist(p)) {
        kfree(p);
        return -ENOSPC;
    }
    pty_init(p, devpts);
    file->ops = &master_ops;
    file->private_data = p;
    return 0;
}

struct inode *pty_slave(u64 number) {
    struct pty *p;
    struct inode *found = NULL;
    spin_lock(&ptys_lock);
    list_for_each(p, &ptys, link) {
        if (p->number == number && atomic_load(&p->inode.private_data) && !atomic_load(&p->master_closed) &&
            inode_try_get(&p->inode))
            found = &p->inode;
    }
    spin_unlock(&ptys_lock);
    return found;
}

s64 pty_next(u64 from) {
    struct pty *p;
    s64 found = -1;
    spin_lock(&ptys_lock);
    list_for_each(p, &ptys, link) {
        if (found < 0 && p->number >= from && !atomic_load(&p->master_closed))
            found = p->number;
    }
    spin_unlock(&ptys_lock);
    return found;
}
