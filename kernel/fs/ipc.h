/* ipc.h - what the three kinds of System V IPC share (svipc(7)): objects found by a key or by a number, with an owner.
 *
 * A number is `sequence << 15 | index`: the index finds the object, the sequence makes an old number invalid once the
 * index is used again. Indexes are given out in a cycle, as Linux 6.1 does, so that numbers of tests agree.
 *
 * An object of a kind begins with struct ipc. The table's mutex protects the table and every object in it: all
 * functions but ipc_seconds are called with it held. Nothing here frees an object. */
#pragma once

#include <linux/ipc.h>
#include <asm/ipcbuf.h>

#include "fs/vfs.h"

struct text;
struct synth;

#define IPC_MOST 32768 /* of a kind; the index's 15 bits */

struct ipc {
    struct ipc64_perm perm; /* with the kind's own bits in the mode */
    int id;
};

struct ipc_table {
    struct mutex mutex;
    struct ipc **at;
    unsigned room;
    int used, last_index;
    u32 sequence;
    u64 *most; /* so many objects: a value of /proc/sys/kernel */
};
#define IPC_TABLE_INIT(name, most_)                                                                                    \
    { .mutex = MUTEX_INIT((name).mutex), .last_index = -1, .most = (most_) }

struct ipc *ipc_at(const struct ipc_table *t, unsigned index); /* NULL: none */
struct ipc *ipc_find(const struct ipc_table *t, int id);       /* NULL: none */
int ipc_highest(const struct ipc_table *t);                    /* the highest index in use; 0 when there is none */
/* ipc_get: semget(2) and its like: the number of the object with the key. `fits` is asked of one that exists: 0 or
 * -errno. `make` makes a new one: its number (ipc_add) or -errno. */
struct ipc_wish {
    u64 size;
    int key, flags;
    int (*fits)(const struct ipc *i, const struct ipc_wish *w);
    long (*make)(const struct ipc_wish *w);
};
long ipc_get(struct ipc_table *t, const struct ipc_wish *w);
/* ipc_add: gives a new object its number, its place and the caller as its owner. The number; -ENOSPC, -ENOMEM. */
long ipc_add(struct ipc_table *t, struct ipc *i, const struct ipc_wish *w);
void ipc_drop(struct ipc_table *t, struct ipc *i); /* out of the table */
bool ipc_owns(const struct ipc *i);
bool ipc_may(const struct ipc *i, u32 mask); /* mask: rwx bits, for whichever class the caller is in */
/* ipc_look: the object that `id` is the number of, or by_index: the index, if the caller has `mask` of it. err_ptr:
 * -EINVAL, -EACCES. */
struct ipc *ipc_look(const struct ipc_table *t, int id, bool by_index, u32 mask);
struct ipc *ipc_own(const struct ipc_table *t, int id);    /* for who may change it: err_ptr(-EINVAL), -EPERM */
int ipc_set(struct ipc *i, const struct ipc64_perm *from); /* IPC_SET's owner and mode. -EINVAL: no such id */
/* ipc_control: IPC_STAT, IPC_SET, IPC_RMID of semctl(2) and msgctl(2), and what else they have to describe an object:
 * by its index, and (stat_any) without asking for rights. The table's mutex is free. describe, set: of `bytes` bytes.
 */
struct ipc_kind {
    struct ipc_table *table;
    size_t bytes;
    int stat_any;
    void (*describe)(const struct ipc *i, void *out);
    long (*set)(struct ipc *i, const void *from);
    void (*destroy)(struct ipc *i);
};
long ipc_control(const struct ipc_kind *k, int id, int command, void __user *argument);
u64 ipc_seconds(void); /* the time as the objects keep it */

extern u64 msg_bytes_most, msg_queue_bytes, msg_queues_most; /* /proc/sys/kernel/{msgmax, msgmnb, msgmni} */
extern u64 mq_queues_most, mq_messages_most, mq_bytes_most, mq_messages_usual, mq_bytes_usual; /* /proc/sys/fs/mqueue */
int proc_sysvipc_sem(struct synth *s, struct text *t), proc_sysvipc_msg(struct synth *s, struct text *t);
