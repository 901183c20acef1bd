/* sem.c - System V semaphores: semget(2), semop(2), semctl(2).
 *
 * A call's operations happen all at once or not at all. Who has to wait leaves them in the set's queue, and whoever
 * changes a semaphore does those that have become possible, in the order of their coming; those that only wait for zero
 * go first, as in Linux 6.1. A waiter is on its task's stack, and is out of the queue when `result` says how it ended.
 *
 * SEM_UNDO: an undo is what a process owes one set; it belongs to both, and goes with whichever goes first. Threads of
 * a process share theirs, CLONE_SYSVSEM or not.
 *
 * Locks: the table's mutex protects all of it. */
#include <linux/sem.h>

#include "arch/x86_64/usercopy.h"
#include "fs/ipc.h"
#include "fs/text.h"
#include "sys/deadline.h"
#include "sys/sys.h"
#include "task/sched.h"
#include "task/times.h"
#include "vm/slab.h"

#define OPERATIONS_HERE 8 /* more are allocated */
#define WAITING 1         /* a result that no call gives */

struct semaphore {
    s32 value, pid; /* pid: who changed it last */
};
struct sem_set {
    struct ipc ipc;
    u64 otime, ctime;
    struct list waiters, undos;
    unsigned count;
    struct semaphore sems[];
};
struct undo {
    struct list of_set, of_process;
    struct sem_set *set;
    struct process *process;
    s16 adjust[];
};
struct sem_waiter {
    struct list link;
    struct task *task;
    int pid;
    const struct sembuf *ops, *blocked; /* blocked: the one that has to wait */
    unsigned count;
    bool alters;
    struct undo *undo; /* or NULL: no operation has SEM_UNDO */
    int result;
};

static u64 sets_most = SEMMNI;
static struct ipc_table table = IPC_TABLE_INIT(table, &sets_most);
static u64 semaphores; /* in all sets */

static struct sem_set *set_of(struct ipc *i) { return container_of(i, struct sem_set, ipc); }

/* ---- operations ---- */

/* one: an operation, done (sign 1) or taken back (-1). WAITING, or why it fails. */
static int one(struct sem_set *s, const struct sembuf *op, struct undo *u) {
    struct semaphore *sem = &s->sems[op->sem_num];
    int value = sem->value + op->sem_op;
    int adjust = u && op->sem_flg & SEM_UNDO ? u->adjust[op->sem_num] - op->sem_op : 0;

    if (op->sem_op ? value < 0 : sem->value)
        return op->sem_flg & IPC_NOWAIT ? -EAGAIN : WAITING;
    if (value > SEMVMX || adjust < -SEMAEM - 1 || adjust > SEMAEM)
        return -ERANGE;
    sem->value = value;
    if (u && op->sem_flg & SEM_UNDO)
        u->adjust[op->sem_num] = adjust;
    return 0;
}

/* attempt: all of the waiter's operations, or none. */
static int attempt(struct sem_set *s, struct sem_waiter *w) {
    const struct sembuf *op = w->ops, *end = w->ops + w->count;
    int error = 0;

    for (; op < end && !error; op++)
        error = one(s, op, w->undo);
    if (error) {
        w->blocked = --op;
        while (op-- > w->ops) {
            s->sems[op->sem_num].value -= op->sem_op;
            if (op->sem_flg & SEM_UNDO)
                w->undo->adjust[op->sem_num] += op->sem_op;
        }
        return error;
    }
    while (op-- > w->ops)
        s->sems[op->sem_num].pid = w->pid;
    s->otime = ipc_seconds();
    return 0;
}

static void finish(struct sem_waiter *w, int result) {
    list_del(&w->link);
    atomic_store(&w->result, result);
    task_wake(w->task);
}

/* serve_one: does the first waiter's operations that can be done; whether that changed a semaphore. */
static bool serve_one(struct sem_set *s, bool alters) {
    struct sem_waiter *w, *next;
    bool changed = false;

    list_for_each_safe(w, next, &s->waiters, link) {
        int result = w->alters == alters ? attempt(s, w) : WAITING;

        if (result != WAITING) {
            finish(w, result);
            changed = alters && !result;
        }
        if (changed)
            break;
    }
    return changed;
}

/* serve: a semaphore changed. */
static void serve(struct sem_set *s) {
    do {
        (void)serve_one(s, false);
    } while (serve_one(s, true));
}

/* undo_of: what the current process owes the set. NULL: no memory. */
static struct undo *undo_of(struct sem_set *s) {
    struct process *p = process_current();
    struct undo *u;

    list_for_each(u, &p->sem_undos, of_process) {
        if (u->set == s)
            return u;
    }
    u = kzalloc(sizeof(*u) + s->count * sizeof(u->adjust[0]));
    if (u) {
        u->set = s;
        u->process = p;
        list_add(&s->undos, &u->of_set);
        list_add(&p->sem_undos, &u->of_process);
    }
    return u;
}

static void undo_free(struct undo *u) {
    list_del(&u->of_set);
    list_del(&u->of_process);
    kfree(u);
}

void sem_process_exit(struct process *p) {
    if (list_empty(&p->sem_undos))
        return;
    mutex_lock(&table.mutex);
    while (!list_empty(&p->sem_undos)) {
        struct undo *u = list_first(&p->sem_undos, struct undo, of_process);
        struct sem_set *s = u->set;

        for (unsigned n = 0; n < s->count; n++) {
            if (u->adjust[n]) {
                s->sems[n].value = min(max(s->sems[n].value + u->adjust[n], 0), SEMVMX);
                s->sems[n].pid = p->pid;
            }
        }
        undo_free(u);
        s->otime = ipc_seconds();
        serve(s);
    }
    mutex_unlock(&table.mutex);
}

/* ready: what the operations need of the set. The table's mutex is held. */
static int ready(int id, struct sem_waiter *w, struct sem_set **set) {
    u32 highest = 0;
    bool undoes = false;
    struct ipc *i;

    for (const struct sembuf *op = w->ops; op < w->ops + w->count; op++) {
        highest = max(highest, (u32)op->sem_num);
        undoes |= op->sem_flg & SEM_UNDO;
        w->alters |= op->sem_op != 0;
    }
    i = ipc_look(&table, id, false, 0);
    if (is_err(i))
        return ptr_err(i);
    *set = set_of(i);
    if (highest >= (*set)->count)
        return -EFBIG;
    if (!ipc_may(i, w->alters ? 0222 : 0444))
        return -EACCES;
    w->undo = undoes ? undo_of(*set) : NULL;
    return undoes && !w->undo ? -ENOMEM : 0;
}

static long operate(int id, struct sem_waiter *w, u64 deadline_ns) {
    struct sem_set *s = NULL;
    int error;

    mutex_lock(&table.mutex);
    error = ready(id, w, &s);
    if (!error)
        error = attempt(s, w);
    if (!error && w->alters)
        serve(s);
    if (error == WAITING) {
        list_add_tail(&s->waiters, &w->link);
        mutex_unlock(&table.mutex);
        error = 0;
        while (!error && atomic_load(&w->result) == WAITING)
            error = task_sleep(true, deadline_ns);
        mutex_lock(&table.mutex);
        if (w->result == WAITING)
            list_del(&w->link);
        else
            error = w->result;
    }
    mutex_unlock(&table.mutex);
    return error == -ETIMEDOUT ? -EAGAIN : error;
}

long sys_semtimedop(int id, const struct sembuf __user *user, u64 count,
                    const struct __kernel_timespec __user *timeout) {
    struct sembuf here[OPERATIONS_HERE], *ops = here;
    struct sem_waiter w = {.task = task_current(), .pid = process_current()->pid, .count = count, .result = WAITING};
    u64 deadline_ns;
    long error = deadline_in(timeout, &deadline_ns);

    if (error)
        return error;
    if (!count || id < 0)
        return -EINVAL;
    if (count > SEMOPM)
        return -E2BIG;
    if (count > OPERATIONS_HERE)
        ops = kmalloc(count * sizeof(*ops));
    if (!ops)
        return -ENOMEM;
    w.ops = ops;
    error = copy_from_user(ops, user, count * sizeof(*ops));
    if (!error)
        error = operate(id, &w, deadline_ns);
    if (ops != here)
        kfree(ops);
    return error;
}

long sys_semop(int id, const struct sembuf __user *ops, u64 count) { return sys_semtimedop(id, ops, count, NULL); }

/* ---- sets ---- */

static long create(const struct ipc_wish *w) {
    struct sem_set *s;
    long id;

    if (!w->size)
        return -EINVAL;
    if (semaphores + w->size > SEMMNS)
        return -ENOSPC;
    s = kzalloc(sizeof(*s) + w->size * sizeof(s->sems[0]));
    id = s ? ipc_add(&table, &s->ipc, w) : -ENOMEM;
    if (id < 0) {
        kfree(s);
        return id;
    }
    list_init(&s->waiters);
    list_init(&s->undos);
    s->count = w->size;
    s->ctime = ipc_seconds();
    semaphores += w->size;
    return id;
}

static int fits(const struct ipc *i, const struct ipc_wish *w) {
    return container_of(i, const struct sem_set, ipc)->count < w->size ? -EINVAL : 0;
}

long sys_semget(int key, int count, int flags) {
    struct ipc_wish w = {.size = count, .key = key, .flags = flags, .fits = fits, .make = create};

    return count < 0 || count > SEMMSL ? -EINVAL : ipc_get(&table, &w);
}

static void destroy(struct ipc *i) {
    struct sem_set *s = set_of(i);

    while (!list_empty(&s->undos))
        undo_free(list_first(&s->undos, struct undo, of_set));
    while (!list_empty(&s->waiters))
        finish(list_first(&s->waiters, struct sem_waiter, link), -EIDRM);
    semaphores -= s->count;
    ipc_drop(&table, &s->ipc);
    kfree(s);
}

/* ---- control: with the table's mutex held; user memory is copied outside ---- */

/* waiting: how many wait for the semaphore to be zero, or for it to grow. */
static int waiting(const struct sem_set *s, unsigned number, bool zero) {
    struct sem_waiter *w;
    int count = 0;

    list_for_each(w, &s->waiters, link) count += w->blocked->sem_num == number && zero == !w->blocked->sem_op;
    return count;
}

/* assign: SETVAL, SETALL: nobody owes the semaphore anything any more. */
static void assign(struct sem_set *s, unsigned number, int value) {
    struct undo *u;

    list_for_each(u, &s->undos, of_set) u->adjust[number] = 0;
    s->sems[number] = (struct semaphore){.value = value, .pid = process_current()->pid};
    s->ctime = ipc_seconds();
}

static long control_one(struct sem_set *s, int number, int command, int value) {
    if (number < 0 || number >= (int)s->count)
        return -EINVAL;
    switch (command) {
    case GETVAL:
        return s->sems[number].value;
    case GETPID:
        return s->sems[number].pid;
    case SETVAL:
        assign(s, number, value);
        serve(s);
        return 0;
    default:
        return waiting(s, number, command == GETZCNT);
    }
}

/* all: GETALL into values, SETALL from them; most: room for so many, as there were at the look before. */
static long control_all(struct sem_set *s, bool set, u16 *values, unsigned most) {
    if (s->count != most)
        return -EIDRM; /* another set of the same number, by now */
    for (unsigned n = 0; n < most; n++) {
        if (set && values[n] > SEMVMX)
            return -ERANGE;
        values[n] = set ? values[n] : s->sems[n].value;
    }
    for (unsigned n = 0; set && n < most; n++)
        assign(s, n, values[n]);
    if (set)
        serve(s);
    return 0;
}

static void describe(const struct ipc *i, void *out) {
    const struct sem_set *s = container_of(i, const struct sem_set, ipc);

    *(struct semid64_ds *)out = (struct semid64_ds){
        .sem_perm = s->ipc.perm, .sem_otime = s->otime, .sem_ctime = s->ctime, .sem_nsems = s->count};
}

static long info(bool used, struct seminfo __user *out) {
    struct seminfo i = {.semmap = SEMMAP,
                        .semmni = SEMMNI,
                        .semmns = SEMMNS,
                        .semmnu = SEMMNU,
                        .semmsl = SEMMSL,
                        .semopm = SEMOPM,
                        .semume = SEMUME,
                        .semusz = SEMUSZ,
                        .semvmx = SEMVMX,
                        .semaem = SEMAEM};
    long highest;

    mutex_lock(&table.mutex);
    highest = ipc_highest(&table);
    if (used) {
        i.semusz = table.used;
        i.semaem = semaphores;
    }
    mutex_unlock(&table.mutex);
    return put_user(i, out) ? -EFAULT : highest;
}

static long set(struct ipc *i, const void *from) {
    int error = ipc_set(i, &((const struct semid64_ds *)from)->sem_perm);

    if (!error)
        set_of(i)->ctime = ipc_seconds();
    return error;
}

static const struct ipc_kind kind = {&table, sizeof(struct semid64_ds), SEM_STAT_ANY, describe, set, destroy};

static long all(int id, bool set, u16 __user *user) {
    u16 *values = NULL;
    unsigned count = 0;
    struct ipc *i;
    long error;

    mutex_lock(&table.mutex);
    i = ipc_look(&table, id, false, set ? 0222 : 0444);
    error = is_err(i) ? ptr_err(i) : 0;
    if (!error)
        count = set_of(i)->count;
    mutex_unlock(&table.mutex);
    if (error)
        return error;
    values = kmalloc(count * sizeof(*values));
    error = !values ? -ENOMEM : set ? copy_from_user(values, user, count * sizeof(*values)) : 0;
    if (!error) {
        mutex_lock(&table.mutex);
        i = ipc_find(&table, id);
        error = i ? control_all(set_of(i), set, values, count) : -EIDRM;
        mutex_unlock(&table.mutex);
    }
    if (!error && !set)
        error = copy_to_user(user, values, count * sizeof(*values));
    kfree(values);
    return error;
}

static long single(int id, int number, int command, int value) {
    struct ipc *i;
    long result;

    if (command == SETVAL && (value < 0 || value > SEMVMX))
        return -ERANGE;
    mutex_lock(&table.mutex);
    i = ipc_look(&table, id, false, command == SETVAL ? 0 : 0444);
    if (is_err(i))
        result = ptr_err(i);
    else if (command == SETVAL && number >= 0 && number < (int)set_of(i)->count && !ipc_may(i, 0222))
        result = -EACCES;
    else
        result = control_one(set_of(i), number, command, value);
    mutex_unlock(&table.mutex);
    return result;
}

long sys_semctl(int id, int number, int command, u64 argument) {
    if (id < 0)
        return -EINVAL;
    switch (command) {
    case IPC_INFO:
    case SEM_INFO:
        return info(command == SEM_INFO, (struct seminfo *)argument);
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
    case IPC_SET:
    case IPC_RMID:
        return ipc_control(&kind, id, command, (void *)argument);
    case GETALL:
    case SETALL:
        return all(id, command == SETALL, (u16 *)argument);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
        return single(id, number, command, (int)argument);
    default:
        return -EINVAL;
    }
}

/* ---- /proc/sysvipc/sem ---- */

int proc_sysvipc_sem(struct synth *synth, struct text *t) {
    text_string(t, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    mutex_lock(&table.mutex);
    for (unsigned n = 0; n < table.room; n++) {
        struct ipc *i = ipc_at(&table, n);

        if (i)
            text_print(t, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lu %10lu\n", i->perm.key, i->id, i->perm.mode,
                       set_of(i)->count, i->perm.uid, i->perm.gid, i->perm.cuid, i->perm.cgid,
                       (unsigned long)set_of(i)->otime, (unsigned long)set_of(i)->ctime);
    }
    mutex_unlock(&table.mutex);
    return 0;
}
