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

static void destroy(struct ipc *i) {
    struct msg_queue *q = queue_of(i);

    ipc_drop(&table, i);
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

/* One call's wish: of the queue's rights `mask`, and its message. */
struct request {
    u32 mask;
    int flags, nothing; /* nothing: the error when it may not wait */
    size_t most;        /* receiving: bytes that are wanted, of which type */
    s64 type;
    struct message *m; /* sending: passes over when it is taken; receiving: the caller's */
};
#define NOT_YET 1 /* a result that no call gives */

/* with_queue: tries a step until it is more than NOT_YET. */
static long with_queue(int id, struct request *r, int (*step)(struct msg_queue *q, struct request *r)) {
    struct ipc *i;
    long error;

    mutex_lock(&table.mutex);
    i = ipc_look(&table, id, false, 0);
    error = is_err(i) ? ptr_err(i) : NOT_YET;
    while (error == NOT_YET) {
        struct msg_queue *q = queue_of(i);

        error = ipc_may(i, r->mask) ? step(q, r) : -EACCES;
        if (error == NOT_YET && r->flags & IPC_NOWAIT) {
            error = r->nothing;
        } else if (error == NOT_YET) {
            int woken = await(q, r->mask == 0222 ? &q->senders : &q->receivers);
            error = woken ? woken : NOT_YET;
        }
    }
    mutex_unlock(&table.mutex);
    return error;
}

static int send(struct msg_queue *q, struct request *r) {
    if (q->bytes + r->m->bytes > q->most || q->count + 1 > q->most)
        return NOT_YET;
    list_add_tail(&q->messages, &r->m->link);
    q->bytes += r->m->bytes;
    q->count++;
    q->sender = process_current()->pid;
    q->stime = ipc_seconds();
    waitq_wake_all(&q->receivers);
    return 0;
}

long sys_msgsnd(int id, const struct msgbuf __user *from, size_t bytes, int flags) {
    struct request r = {.mask = 0222, .flags = flags, .nothing = -EAGAIN};
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
    r.m = m;
    error = copy_from_user(m->text, from->mtext, bytes);
    if (!error)
        error = with_queue(id, &r, send);
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

static int receive(struct msg_queue *q, struct request *r) {
    struct message *m = choose(q, r->type, r->flags);

    if (!m)
        return NOT_YET;
    return m->bytes > r->most && !(r->flags & MSG_NOERROR) ? -E2BIG : take(q, m, r->flags, &r->m);
}

long sys_msgrcv(int id, struct msgbuf __user *to, size_t bytes, s64 type, int flags) {
    struct request r = {.mask = 0444, .flags = flags, .nothing = -ENOMSG, .most = bytes, .type = type};
    long result;

    if (id < 0 || (ssize_t)bytes < 0 || (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT))))
        return -EINVAL;
    result = with_queue(id, &r, receive);
    if (result)
        return result;
    result = min(bytes, r.m->bytes);
    if (put_user(r.m->type, &to->mtype) || copy_to_user(to->mtext, r.m->text, result))
        result = -EFAULT;
    kfree(r.m);
    return result;
}

/* ---- control ---- */

static void describe(const struct ipc *i, void *out) {
    const struct msg_queue *q = container_of(i, const struct msg_queue, ipc);

    *(struct msqid64_ds *)out = (struct msqid64_ds){.msg_perm = q->ipc.perm,
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

/* set: who waits looks again: it may have been shut out, or have room now. */
static long set(struct ipc *i, const void *from) {
    const struct msqid64_ds *d = from;
    struct msg_queue *q = queue_of(i);
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

static const struct ipc_kind kind = {&table, sizeof(struct msqid64_ds), MSG_STAT_ANY, describe, set, destroy};

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
    case IPC_SET:
    case IPC_RMID:
        return ipc_control(&kind, id, command, argument);
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
