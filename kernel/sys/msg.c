/* msg.c - System V message queues: msgget(2), msgsnd(2), msgrcv, msgctl(2).
 *
 * Who waits for a message or for room counts as a user of the queue: one that is removed is freed by its last user.
 *
 * Locks: the table's mutex protects the table, the queues, and what is in them. */
#include <linux/capability.h>
#include <linux/msg.h>

#include "arch/x86_64/usercopy.h"
#include "fs/ipc.h"
#include "fs/text.h"
#include "sys/sys.h"
#include "task/task.h"
#include "vm/slab.h"

struct message {
    struct list link;
    s64 type;
    size_t bytes;
    char text[];
};
struct msg_queue {
    struct ipc ipc;
    u64 stime, rtime, ctime;
    u64 bytes, count, most; /* most: bytes that it may hold */
    int sender, receiver;   /* the last ones' pids */
    struct list messages;
    struct waitq senders, receivers;
    unsigned users;
    bool dead; /* removed */
};

u64 msg_bytes_most = MSGMAX, msg_queue_bytes = MSGMNB, msg_queues_most = MSGMNI;
static struct ipc_table table = IPC_TABLE_INIT(table, &msg_queues_most);

static struct msg_queue *queue_of(struct ipc *i) { return container_of(i, struct msg_queue, ipc); }

/* ---- queues ---- */

static long create(const struct ipc_wish *w) {
    struct msg_queue *q = kzalloc(sizeof(*q));
    long id = q ? ipc_add(&table, &q->ipc, w) : -ENOMEM;

    if (id < 0) {
        kfree(q);
        return id;
    }
    list_init(&q->messages);
    waitq_init(&q->senders);
    waitq_init(&q->receivers);
    q->most = msg_queue_bytes;
    q->ctime = ipc_seconds();
    q->users = 1; /* the table */
    return id;
}

static int fits(const struct ipc *i, const struct ipc_wish *w) { return 0; }

long sys_msgget(int key, int flags) {
    struct ipc_wish w = {.key = key, .flags = flags, .fits = fits, .make = create};

    return ipc_get(&table, &w);
}

static void put(struct msg_queue *q) {
    if (--q->users == 0)
        kfree(q);
}

static void destroy(struct msg_queue *q) {
    ipc_drop(&table, &q->ipc);
    q->dead = true;
    while (!list_empty(&q->messages)) {
        struct message *m = list_first(&q->messages, struct message, link);

        list_del(&m->link);
        kfree(m);
    }
    waitq_wake_all(&q->senders);
    waitq_wake_all(&q->receivers);
    put(q);
}

/* await: the table's mutex is let go of while it sleeps. */
static int await(struct msg_queue *q, struct waitq *where) {
    struct waiter w;
    int error;

    q->users++;
    waitq_add(where, &w);
    mutex_unlock(&table.mutex);
    error = task_sleep(true, SLEEP_FOREVER);
    mutex_lock(&table.mutex);
    waitq_remove(&w);
    error = q->dead ? -EIDRM : error ? -ERESTARTNOHAND : 0;
    put(q);
    return error;
}

/* ---- messages ---- */

/* send: takes the message over if it succeeds. */
static long send(int id, struct message *m, int flags) {
    struct ipc *i;
    long error;

    mutex_lock(&table.mutex);
    i = ipc_look(&table, id, false, 0);
    error = is_err(i) ? ptr_err(i) : 0;
    while (!error) {
        struct msg_queue *q = queue_of(i);
        bool room = q->bytes + m->bytes <= q->most && q->count + 1 <= q->most;

        if (!ipc_may(i, 0222)) {
            error = -EACCES;
        } else if (room) {
            list_add_tail(&q->messages, &m->link);
            q->bytes += m->bytes;
            q->count++;
            q->sender = process_current()->pid;
            q->stime = ipc_seconds();
            waitq_wake_all(&q->receivers);
            break;
        } else {
            error = flags & IPC_NOWAIT ? -EAGAIN : await(q, &q->senders);
        }
    }
    mutex_unlock(&table.mutex);
    return error;
}

long sys_msgsnd(int id, const struct msgbuf __user *from, size_t bytes, int flags) {
    struct message *m;
    s64 type;
    long error;

    if (get_user(type, &from->mtype))
        return -EFAULT;
    if (bytes > msg_bytes_most || id < 0 || type < 1)
        return -EINVAL;
    m = kmalloc(sizeof(*m) + bytes);
    if (!m)
        return -ENOMEM;
    m->type = type;
    m->bytes = bytes;
    error = copy_from_user(m->text, from->mtext, bytes);
    if (!error)
        error = send(id, m, flags);
    if (error)
        kfree(m);
    return error;
}

/* choose: the message that msgrcv(2) means by its type; NULL: not there. */
static struct message *choose(const struct msg_queue *q, s64 type, int flags) {
    struct message *m, *best = NULL;
    s64 number = 0, lowest = type == INT64_MIN ? INT64_MAX : -type;

    list_for_each(m, &q->messages, link) {
        if (flags & MSG_COPY ? number++ == type
            : !type          ? true
            : type < 0       ? m->type <= lowest
                             : (m->type == type) == !(flags & MSG_EXCEPT)) {
            best = m;
            if (type >= 0 || flags & MSG_COPY)
                break;
            lowest = m->type - 1;
        }
    }
    return best;
}

/* take: *out is the caller's, off the queue or, for MSG_COPY, a copy. */
static int take(struct msg_queue *q, struct message *m, int flags, struct message **out) {
    if (flags & MSG_COPY) {
        *out = kmalloc(sizeof(*m) + m->bytes);
        if (!*out)
            return -ENOMEM;
        memcpy(*out, m, sizeof(*m) + m->bytes);
        return 0;
    }
    list_del(&m->link);
    q->count--;
    q->bytes -= m->bytes;
    q->receiver = process_current()->pid;
    q->rtime = ipc_seconds();
    waitq_wake_all(&q->senders);
    *out = m;
    return 0;
}

static long receive(int id, size_t most, s64 type, int flags, struct message **out) {
    struct ipc *i;
    long error;

    mutex_lock(&table.mutex);
    i = ipc_look(&table, id, false, 0);
    error = is_err(i) ? ptr_err(i) : 0;
    while (!error) {
        struct msg_queue *q = queue_of(i);
        struct message *m = choose(q, type, flags);

        if (!ipc_may(i, 0444)) {
            error = -EACCES;
        } else if (m) {
            error = m->bytes > most && !(flags & MSG_NOERROR) ? -E2BIG : take(q, m, flags, out);
            break;
        } else {
            error = flags & IPC_NOWAIT ? -ENOMSG : await(q, &q->receivers);
        }
    }
    mutex_unlock(&table.mutex);
    return error;
}

long sys_msgrcv(int id, struct msgbuf __user *to, size_t bytes, s64 type, int flags) {
    struct message *m;
    long result;

    if (id < 0 || (ssize_t)bytes < 0 || (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT))))
        return -EINVAL;
    result = receive(id, bytes, type, flags, &m);
    if (result)
        return result;
    result = min(bytes, m->bytes);
    if (put_user(m->type, &to->mtype) || copy_to_user(to->mtext, m->text, result))
        result = -EFAULT;
    kfree(m);
    return result;
}

/* ---- control ---- */

static void stat_fill(const struct msg_queue *q, struct msqid64_ds *d) {
    *d = (struct msqid64_ds){.msg_perm = q->ipc.perm,
                             .msg_stime = q->stime,
                             .msg_rtime = q->rtime,
                             .msg_ctime = q->ctime,
                             .msg_cbytes = q->bytes,
                             .msg_qnum = q->count,
                             .msg_qbytes = q->most,
                             .msg_lspid = q->sender,
                             .msg_lrpid = q->receiver};
}

static long info(bool used, struct msginfo __user *out) {
    struct msginfo i = {.msgpool = MSGPOOL,
                        .msgmap = MSGMAP,
                        .msgmax = msg_bytes_most,
                        .msgmnb = msg_queue_bytes,
                        .msgmni = msg_queues_most,
                        .msgssz = MSGSSZ,
                        .msgtql = MSGTQL,
                        .msgseg = MSGSEG};
    long highest;

    mutex_lock(&table.mutex);
    highest = ipc_highest(&table);
    if (used) {
        i.msgpool = table.used;
        i.msgmap = i.msgtql = 0;
        for (unsigned n = 0; n < table.room; n++) {
            struct ipc *each = ipc_at(&table, n);

            i.msgmap += each ? queue_of(each)->count : 0;
            i.msgtql += each ? queue_of(each)->bytes : 0;
        }
    }
    mutex_unlock(&table.mutex);
    return put_user(i, out) ? -EFAULT : highest;
}

static long stat(int id, int command, struct msqid64_ds __user *out) {
    struct msqid64_ds d;
    struct ipc *i;
    long result;

    mutex_lock(&table.mutex);
    i = ipc_look(&table, id, command != IPC_STAT, command == MSG_STAT_ANY ? 0 : 0444);
    result = is_err(i) ? ptr_err(i) : command == IPC_STAT ? 0 : i->id;
    if (!is_err(i))
        stat_fill(queue_of(i), &d);
    mutex_unlock(&table.mutex);
    return result >= 0 && put_user(d, out) ? -EFAULT : result;
}

/* set: who waits looks again: it may have been shut out, or have room now. */
static long set(struct msg_queue *q, const struct msqid64_ds *d) {
    long error = d->msg_qbytes > msg_queue_bytes && !capable(CAP_SYS_RESOURCE) ? -EPERM : 0;

    if (!error)
        error = ipc_set(&q->ipc, &d->msg_perm);
    if (!error) {
        q->most = d->msg_qbytes;
        q->ctime = ipc_seconds();
        waitq_wake_all(&q->receivers);
        waitq_wake_all(&q->senders);
    }
    return error;
}

static long change(int id, int command, const struct msqid64_ds __user *in) {
    struct msqid64_ds d;
    struct ipc *i;
    long error;

    if (command == IPC_SET && get_user(d, in))
        return -EFAULT;
    mutex_lock(&table.mutex);
    i = ipc_own(&table, id);
    error = is_err(i) ? ptr_err(i) : command == IPC_SET ? set(queue_of(i), &d) : 0;
    if (!error && command == IPC_RMID)
        destroy(queue_of(i));
    mutex_unlock(&table.mutex);
    return error;
}

long sys_msgctl(int id, int command, void __user *argument) {
    if (id < 0 || command < 0)
        return -EINVAL;
    switch (command) {
    case IPC_INFO:
    case MSG_INFO:
        return info(command == MSG_INFO, argument);
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        return stat(id, command, argument);
    case IPC_SET:
    case IPC_RMID:
        return change(id, command, argument);
    default:
        return -EINVAL;
    }
}

/* ---- /proc/sysvipc/msg ---- */

int proc_sysvipc_msg(struct synth *synth, struct text *t) {
    text_string(t,
                "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime    "
                "  rtime      ctime\n");
    mutex_lock(&table.mutex);
    for (unsigned n = 0; n < table.room; n++) {
        struct ipc *i = ipc_at(&table, n);
        struct msg_queue *q = i ? queue_of(i) : NULL;

        if (i)
            text_print(t, "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10lu %10lu %10lu\n", i->perm.key, i->id,
                       i->perm.mode, (unsigned long)q->bytes, (unsigned long)q->count, q->sender, q->receiver,
                       i->perm.uid, i->perm.gid, i->perm.cuid, i->perm.cgid, (unsigned long)q->stime,
                       (unsigned long)q->rtime, (unsigned long)q->ctime);
    }
    mutex_unlock(&table.mutex);
    return 0;
}
