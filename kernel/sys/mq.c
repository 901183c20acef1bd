/* mq.c - POSIX message queues: mq_overview(7).
 *
 * A queue is an inode without a place in the tree: it is found by its name in a list of its own, for /dev/mqueue is not
 * there. Messages stand in the order in which they are received. Notification by a thread (SIGEV_THREAD, which the C
 * library makes out of a netlink socket) is refused (docs/not-done.md).
 *
 * Locks: mq_mutex protects the list, the queues and what is in them. Who sleeps in a queue has its file. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/mqueue.h>
#include <linux/poll.h>

#include "arch/x86_64/usercopy.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/io.h"
#include "fs/ipc.h"
#include "fs/pipe.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/slab.h"

#define STATE_BYTES 80      /* what a read of a queue is padded to, as st_size says */
#define MESSAGE_COST 48     /* what Linux counts against RLIMIT_MSGQUEUE for a message's place beside its bytes */
#define PRIORITY_COST 56    /* and for each priority that may occur */
#define MESSAGES_MOST 65536 /* HARD_MSGMAX */
#define BYTES_MOST (16 * MiB)

/* /proc/sys/fs/mqueue: the most for who may not have more, and what a queue gets that is made without a wish. */
u64 mq_queues_most = 256, mq_messages_most = 10, mq_bytes_most = 8192, mq_messages_usual = 10, mq_bytes_usual = 8192;

struct mq_message {
    struct list link;
    size_t bytes;
    u32 priority;
    char text[];
};
struct mq {
    struct inode inode;
    struct list link; /* in queues, until it is released: its bytes count against the limits */
    struct list messages;
    s64 count, count_most, bytes_most;
    u64 bytes; /* in the messages */
    struct waitq senders, receivers;
    unsigned receivers_waiting;
    struct process *notified; /* counted; or NULL */
    struct sigevent event;
    char name[NAME_MAX + 1]; /* "": none any more */
};

static struct mutex mq_mutex = MUTEX_INIT(mq_mutex);
static struct list queues = LIST_INIT(queues);
static struct super mq_super = {.type = "mqueue", .dev = 15, .options = "rw", .made_when_read = true};

static struct mq *mq_of(const struct inode *i) { return container_of(i, struct mq, inode); }

/* ---- a queue's file ---- */

static void notify_end(struct mq *q) {
    if (q->notified)
        process_put(q->notified);
    q->notified = NULL;
}

static void mq_release(struct inode *i) {
    struct mq *q = mq_of(i);

    mutex_lock(&mq_mutex);
    list_del(&q->link);
    mutex_unlock(&mq_mutex);
    while (!list_empty(&q->messages)) {
        struct mq_message *m = list_first(&q->messages, struct mq_message, link);

        list_del(&m->link);
        kfree(m);
    }
    notify_end(q);
    kfree(q);
}
static const struct inode_ops mq_inode_ops = {.release = mq_release};

static ssize_t mq_read(struct file *f, struct iov *to, u64 *position) {
    struct mq *q = mq_of(f->inode);
    char text[STATE_BYTES + 1];
    int bytes;
    bool signal;

    mutex_lock(&mq_mutex);
    signal = q->notified && q->event.sigev_notify == SIGEV_SIGNAL;
    bytes = ksnprintf(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
                      (unsigned long)q->bytes, q->notified ? q->event.sigev_notify : 0,
                      signal ? q->event.sigev_signo : 0, q->notified ? q->notified->pid : 0);
    mutex_unlock(&mq_mutex);
    if (*position >= (u64)bytes)
        return 0;
    bytes = iov_put(to, text + *position, min(to->bytes, bytes - *position));
    *position += bytes;
    return bytes ? bytes : -EFAULT;
}

static u32 mq_poll(struct file *f, struct poll_table *table) {
    struct mq *q = mq_of(f->inode);
    s64 count;

    poll_wait(table, &q->receivers);
    poll_wait(table, &q->senders);
    count = atomic_load(&q->count);
    return (count ? POLLIN | POLLRDNORM : 0) | (count < q->count_most ? POLLOUT | POLLWRNORM : 0);
}

/* The one to be notified closes a descriptor of the queue, whichever. */
static int mq_flush(struct file *f) {
    struct mq *q = mq_of(f->inode);

    mutex_lock(&mq_mutex);
    if (q->notified == process_current())
        notify_end(q);
    mutex_unlock(&mq_mutex);
    return 0;
}

static s64 mq_seek(struct file *f, s64 offset, int whence) {
    if (whence != SEEK_SET || offset < 0)
        return -EINVAL;
    f->position = offset;
    return offset;
}

static const struct file_ops mq_ops = {.read = mq_read, .poll = mq_poll, .flush = mq_flush, .seek = mq_seek};

/* ---- names ---- */

static struct mq *find(const char *name) {
    struct mq *q;

    list_for_each(q, &queues, link) {
        if (!strcmp(q->name, name))
            return q;
    }
    return NULL;
}

static u64 cost(s64 count, s64 bytes) {
    return (u64)count * (bytes + MESSAGE_COST) + (u64)min(count, (s64)MQ_PRIO_MAX) * PRIORITY_COST;
}

/* affordable: within the limits of the machine and of the caller. */
static int affordable(const struct mq_attr *a) {
    bool big = capable(CAP_SYS_RESOURCE);
    u64 all = 0;
    unsigned count = 0;
    struct mq *q;

    if (a->mq_maxmsg <= 0 || a->mq_msgsize <= 0 || (u64)a->mq_maxmsg > (big ? MESSAGES_MOST : mq_messages_most) ||
        (u64)a->mq_msgsize > (big ? BYTES_MOST : mq_bytes_most))
        return -EINVAL;
    list_for_each(q, &queues, link) {
        all += q->inode.uid == cred_current()->fsuid ? cost(q->count_most, q->bytes_most) : 0;
        count++;
    }
    if (count >= mq_queues_most && !big)
        return -ENOSPC;
    return all + cost(a->mq_maxmsg, a->mq_msgsize) > process_current()->limits[RLIMIT_MSGQUEUE].rlim_cur ? -EMFILE : 0;
}

static struct mq *create(const char *name, u32 mode, const struct mq_attr *a) {
    int error = affordable(a);
    struct mq *q = error ? err_ptr(error) : kzalloc(sizeof(*q));

    if (!q)
        return err_ptr(-ENOMEM);
    if (is_err(q))
        return q;
    inode_init(&q->inode, &mq_super, S_IFREG | (mode & 07777 & ~task_current()->fs->umask));
    q->inode.ino = anon_number();
    q->inode.ops = &mq_inode_ops;
    q->inode.file_ops = &mq_ops;
    q->inode.object.size = STATE_BYTES;
    list_init(&q->messages);
    waitq_init(&q->senders);
    waitq_init(&q->receivers);
    q->count_most = a->mq_maxmsg;
    q->bytes_most = a->mq_msgsize;
    memcpy(q->name, name, strlen(name) + 1);
    list_add(&queues, &q->link);
    return q;
}

/* found: of the name, or made; the list has a reference. */
static struct mq *found(const char *name, int flags, u32 mode, const struct mq_attr *a) {
    static const int access[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE};
    struct mq *q = find(name);
    int error;

    if (!q)
        return flags & O_CREAT ? create(name, mode, a) : err_ptr(-ENOENT);
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return err_ptr(-EEXIST);
    if ((flags & O_ACCMODE) == O_ACCMODE)
        return err_ptr(-EINVAL);
    error = inode_permission(&q->inode, access[flags & O_ACCMODE]);
    return error ? err_ptr(error) : q;
}

static int name_from_user(char *name, const char __user *user) {
    ssize_t bytes = strncpy_from_user(name, user, NAME_MAX + 1);

    if (bytes < 0)
        return bytes;
    if (!bytes)
        return -ENOENT;
    if (bytes > NAME_MAX)
        return -ENAMETOOLONG;
    return memchr(name, '/', bytes) || !strcmp(name, ".") || !strcmp(name, "..") ? -EACCES : 0;
}

static struct file *open_queue(const char *name, int flags, u32 mode, const struct mq_attr *a) {
    char shown[NAME_MAX + 2];
    struct mq *q;
    struct file *f;

    mutex_lock(&mq_mutex);
    q = found(name, flags, mode, a);
    if (!is_err(q))
        inode_get(&q->inode);
    mutex_unlock(&mq_mutex);
    if (is_err(q))
        return (struct file *)q;
    ksnprintf(shown, sizeof(shown), "/%s", name);
    f = file_make(&q->inode, &mq_ops, flags & (O_ACCMODE | O_NONBLOCK), shown);
    if (is_err(f))
        inode_put(&q->inode);
    return f;
}

long sys_mq_open(const char __user *user, int flags, u32 mode, const struct mq_attr __user *attr) {
    struct mq_attr a = {.mq_maxmsg = min(mq_messages_usual, mq_messages_most),
                        .mq_msgsize = min(mq_bytes_usual, mq_bytes_most)};
    char name[NAME_MAX + 1];
    struct file *f;
    long result = 0;

    if (attr && get_user(a, attr))
        return -EFAULT;
    result = name_from_user(name, user);
    if (result)
        return result;
    int fd = fd_reserve(); /* first, so that no queue is made that nobody gets */
    if (fd < 0)
        return fd;
    f = open_queue(name, flags, mode, &a);
    fd_fill(fd, is_err(f) ? NULL : f, true);
    return is_err(f) ? ptr_err(f) : fd;
}

long sys_mq_unlink(const char __user *user) {
    char name[NAME_MAX + 1];
    struct mq *q;
    long error = name_from_user(name, user);

    if (error)
        return error;
    mutex_lock(&mq_mutex);
    q = find(name);
    error = !q ? -ENOENT : inode_owned(&q->inode) ? 0 : -EPERM;
    if (!error) {
        q->name[0] = 0;
        q->inode.links = 0;
    }
    mutex_unlock(&mq_mutex);
    if (!error)
        inode_put(&q->inode);
    return error;
}

/* ---- messages ---- */

/* queue_get: the file of a descriptor of a queue, opened for `mode`, counted. err_ptr. */
static struct file *queue_get(int fd, u32 mode) {
    struct file *f = fd_get(fd);

    if (f && (f->ops != &mq_ops || (mode && !(f->mode & mode)))) {
        file_put(f);
        f = NULL;
    }
    return f ? f : err_ptr(-EBADF);
}

/* deadline: an absolute time of the wall clock. */
static int deadline(const struct __kernel_timespec __user *user, u64 *ns) {
    struct __kernel_timespec t;
    u64 wall;

    *ns = SLEEP_FOREVER;
    if (!user)
        return 0;
    if (get_user(t, user))
        return -EFAULT;
    if (t.tv_sec < 0 || (u64)t.tv_nsec >= 1000000000)
        return -EINVAL;
    wall = min((u64)t.tv_sec, SLEEP_FOREVER / 1000000000 - 1) * 1000000000 + t.tv_nsec;
    *ns = wall > clock_wall_offset() ? wall - clock_wall_offset() : 0;
    return 0;
}

/* await: mq_mutex is let go of while it sleeps. */
static int await(struct file *f, struct waitq *where, u64 deadline_ns) {
    struct waiter w;
    int error;

    if (f->flags & O_NONBLOCK)
        return -EAGAIN;
    waitq_add(where, &w);
    mutex_unlock(&mq_mutex);
    error = task_sleep(true, deadline_ns);
    mutex_lock(&mq_mutex);
    waitq_remove(&w);
    return error == -EINTR ? -ERESTARTSYS : error;
}

/* notify: a message came to an empty queue that nobody waits at. */
static void notify(struct mq *q) {
    siginfo_t info;

    if (!q->notified)
        return;
    if (q->event.sigev_notify == SIGEV_SIGNAL) {
        signal_info_user(&info, q->event.sigev_signo, SI_MESGQ);
        info.si_value = q->event.sigev_value;
        (void)signal_process(q->notified, q->event.sigev_signo, &info);
    }
    notify_end(q);
}

static long send(struct file *f, struct mq_message *m, u64 deadline_ns) {
    struct mq *q = mq_of(f->inode);
    struct mq_message *before;
    long error = 0;

    mutex_lock(&mq_mutex);
    while (!error && q->count == q->count_most)
        error = await(f, &q->senders, deadline_ns);
    if (!error) {
        list_for_each(before, &q->messages, link) {
            if (before->priority < m->priority)
                break;
        }
        list_add_tail(&before->link, &m->link);
        q->bytes += m->bytes;
        atomic_store(&q->count, q->count + 1);
        inode_touch(&q->inode, true);
        if (q->count == 1 && !q->receivers_waiting)
            notify(q);
        waitq_wake_one(&q->receivers);
    } else if (q->count < q->count_most) {
        waitq_wake_one(&q->senders); /* the wake may have been ours */
    }
    mutex_unlock(&mq_mutex);
    return error;
}

long sys_mq_timedsend(int fd, const char __user *text, size_t bytes, u32 priority,
                      const struct __kernel_timespec __user *until) {
    struct mq_message *m = NULL;
    u64 deadline_ns;
    struct file *f;
    long error = deadline(until, &deadline_ns);

    if (!error && priority >= MQ_PRIO_MAX)
        error = -EINVAL;
    if (error)
        return error;
    f = queue_get(fd, FILE_WRITE);
    if (is_err(f))
        return ptr_err(f);
    if (bytes > (u64)mq_of(f->inode)->bytes_most)
        error = -EMSGSIZE;
    else if (!(m = kmalloc(sizeof(*m) + bytes)))
        error = -ENOMEM;
    if (!error) {
        m->bytes = bytes;
        m->priority = priority;
        error = copy_from_user(m->text, text, bytes);
    }
    if (!error)
        error = send(f, m, deadline_ns);
    if (error)
        kfree(m);
    file_put(f);
    return error;
}

/* receive: the first message, which is the caller's then; err_ptr. */
static struct mq_message *receive(struct file *f, u64 deadline_ns) {
    struct mq *q = mq_of(f->inode);
    struct mq_message *m;
    int error = 0;

    mutex_lock(&mq_mutex);
    while (!error && !q->count) {
        q->receivers_waiting++;
        error = await(f, &q->receivers, deadline_ns);
        q->receivers_waiting--;
    }
    if (error) {
        m = err_ptr(error);
        if (q->count)
            waitq_wake_one(&q->receivers); /* the wake may have been ours */
    } else {
        m = list_first(&q->messages, struct mq_message, link);
        list_del(&m->link);
        q->bytes -= m->bytes;
        atomic_store(&q->count, q->count - 1);
        waitq_wake_one(&q->senders);
    }
    mutex_unlock(&mq_mutex);
    return m;
}

long sys_mq_timedreceive(int fd, char __user *text, size_t bytes, u32 __user *priority,
                         const struct __kernel_timespec __user *until) {
    struct mq_message *m;
    u64 deadline_ns;
    struct file *f;
    long result = deadline(until, &deadline_ns);

    if (result)
        return result;
    f = queue_get(fd, FILE_READ);
    if (is_err(f))
        return ptr_err(f);
    m = bytes < (u64)mq_of(f->inode)->bytes_most ? err_ptr(-EMSGSIZE) : receive(f, deadline_ns);
    file_put(f);
    if (is_err(m))
        return ptr_err(m);
    result = m->bytes;
    if ((priority && put_user(m->priority, priority)) || copy_to_user(text, m->text, m->bytes))
        result = -EFAULT;
    kfree(m);
    return result;
}

long sys_mq_notify(int fd, const struct sigevent __user *user) {
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    struct file *f;
    struct mq *q;
    long error = 0;

    if (user && get_user(event, user))
        return -EFAULT;
    if (user && event.sigev_notify == SIGEV_THREAD)
        return -ENOSYS;
    if (event.sigev_notify != SIGEV_NONE &&
        (event.sigev_notify != SIGEV_SIGNAL || event.sigev_signo < 0 || event.sigev_signo > SIGNAL_COUNT))
        return -EINVAL;
    f = queue_get(fd, 0);
    if (is_err(f))
        return ptr_err(f);
    q = mq_of(f->inode);
    mutex_lock(&mq_mutex);
    if (!user && q->notified == process_current()) {
        notify_end(q);
    } else if (user && q->notified) {
        error = -EBUSY;
    } else if (user) {
        q->event = event;
        q->notified = process_current();
        process_get(q->notified);
    }
    mutex_unlock(&mq_mutex);
    file_put(f);
    return error;
}

long sys_mq_getsetattr(int fd, const struct mq_attr __user *new_user, struct mq_attr __user *old_user) {
    struct mq_attr new = {.mq_flags = 0}, old = {.mq_flags = 0};
    struct file *f;
    struct mq *q;

    if (new_user && get_user(new, new_user))
        return -EFAULT;
    if (new.mq_flags & ~O_NONBLOCK)
        return -EINVAL;
    f = queue_get(fd, 0);
    if (is_err(f))
        return ptr_err(f);
    q = mq_of(f->inode);
    old.mq_flags = f->flags & O_NONBLOCK;
    old.mq_maxmsg = q->count_most;
    old.mq_msgsize = q->bytes_most;
    old.mq_curmsgs = atomic_load(&q->count);
    if (new_user && new.mq_flags)
        atomic_or(&f->flags, O_NONBLOCK);
    else if (new_user)
        atomic_and(&f->flags, ~(u32)O_NONBLOCK);
    file_put(f);
    return old_user && put_user(old, old_user) ? -EFAULT : 0;
}
