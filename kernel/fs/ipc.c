/* ipc.c - tables of System V objects (ipc.h). */
#include "fs/ipc.h"

#include <linux/capability.h>

#include "arch/x86_64/usercopy.h"
#include "fs/inode.h"
#include "task/task.h"
#include "vm/slab.h"

#define INDEX_BITS 15u
_Static_assert(IPC_MOST == 1 << INDEX_BITS, "an index is the lower bits of a number");
#define SEQUENCES (1u << 16)
#define CYCLE 64 /* so many indexes are used in turn before one comes again */
#define ROOM_FIRST 16u

u64 ipc_seconds(void) { return clock_wall_ns() / 1000000000UL; }

struct ipc *ipc_at(const struct ipc_table *t, unsigned index) {
    return index < t->room ? t->at[index] : NULL;
}

struct ipc *ipc_find(const struct ipc_table *t, int id) {
    struct ipc *i = id < 0 ? NULL : ipc_at(t, id % IPC_MOST);
    return i && i->id == id ? i : NULL;
}

int ipc_highest(const struct ipc_table *t) {
    int highest = 0;
    for (unsigned n = 0; n < t->room; n++)
        highest = t->at[n] ? (int)n : highest;
    return highest;
}

bool ipc_owns(const struct ipc *i) {
    u32 uid = cred_current()->euid;
    return uid == i->perm.uid || uid == i->perm.cuid;
}

bool ipc_may(const struct ipc *i, u32 mask) {
    const struct credentials *c = cred_current();
    u32 wanted = (mask >> 6 | mask >> 3 | mask) & 7, granted = i->perm.mode;
    if (ipc_owns(i))
        granted >>= 6;
    else if (cred_in_group(c, i->perm.cgid, c->egid) || cred_in_group(c, i->perm.gid, c->egid))
        granted >>= 3;
    return !(wanted & ~granted) || capable(CAP_IPC_OWNER);
}

/* Room for one index more than `least`. -ENOMEM. */
static int make_room(struct ipc_table *t, unsigned least) {
    unsigned wanted = t->room ? t->room : ROOM_FIRST;
    while (wanted <= least)
        wanted *= 2;
    if (wanted == t->room)
        return 0;
    struct ipc **more = kzalloc(wanted * sizeof(*more));
    if (!more)
        return -ENOMEM;
    memcpy(more, t->at, t->room * sizeof(*more));
    kfree(t->at);
    t->at = more;
    t->room = wanted;
    return 0;
}

/* The next free index of the cycle; -ENOSPC, -ENOMEM. */
static int next_index(struct ipc_table *t) {
    int cycle = min(max(t->used * 3 / 2, CYCLE), (int)*t->most), index = -ENOSPC;
    for (int n = 1; n <= cycle && index < 0; n++)
        if (!ipc_at(t, (t->last_index + n) % cycle))
            index = (t->last_index + n) % cycle;
    if (index < 0 || t->used >= (int)*t->most)
        return -ENOSPC;
    int error = make_room(t, index);
    return error ? error : index;
}

long ipc_add(struct ipc_table *t, struct ipc *i, const struct ipc_wish *w) {
    const struct credentials *c = cred_current();
    int index = next_index(t);
    if (index < 0)
        return index;
    if (index <= t->last_index)
        t->sequence = (t->sequence + 1) % SEQUENCES;
    t->last_index = index;
    i->id = (int)(t->sequence << INDEX_BITS) | index;
    i->perm = (struct ipc64_perm){.key = w->key,
                                  .uid = c->euid,
                                  .gid = c->egid,
                                  .cuid = c->euid,
                                  .cgid = c->egid,
                                  .mode = w->flags & 0777,
                                  .seq = (unsigned short)t->sequence};
    t->at[index] = i;
    t->used++;
    return i->id;
}

void ipc_drop(struct ipc_table *t, struct ipc *i) {
    t->at[i->id % IPC_MOST] = NULL;
    t->used--;
}

long ipc_get(struct ipc_table *t, const struct ipc_wish *w) {
    struct ipc *i = NULL;
    long result;
    mutex_lock(&t->mutex);
    for (unsigned n = 0; w->key != IPC_PRIVATE && n < t->room && !i; n++)
        i = t->at[n] && t->at[n]->perm.key == w->key ? t->at[n] : NULL;
    if (!i)
        result = w->key == IPC_PRIVATE || (w->flags & IPC_CREAT) ? w->make(w) : -ENOENT;
    else if ((w->flags & IPC_CREAT) && (w->flags & IPC_EXCL))
        result = -EEXIST;
    else
        result = w->fits(i, w);
    if (i && !result)
        result = ipc_may(i, w->flags) ? i->id : -EACCES;
    mutex_unlock(&t->mutex);
    return result;
}

struct ipc *ipc_look(const struct ipc_table *t, int id, bool by_index, u32 mask) {
    struct ipc *i = by_index ? ipc_at(t, id) : ipc_find(t, id);
    if (!i)
        return err_ptr(-EINVAL);
    return ipc_may(i, mask) ? i : err_ptr(-EACCES);
}

struct ipc *ipc_own(const struct ipc_table *t, int id) {
    struct ipc *i = ipc_find(t, id);
    if (!i)
        return err_ptr(-EINVAL);
    return ipc_owns(i) || capable(CAP_SYS_ADMIN) ? i : err_ptr(-EPERM);
}

int ipc_set(struct ipc *i, const struct ipc64_perm *from) {
    if (from->uid == ~0u || from->gid == ~0u)
        return -EINVAL;
    i->perm.uid = from->uid;
    i->perm.gid = from->gid;
    i->perm.mode = (i->perm.mode & ~0777u) | (from->mode & 0777);
    return 0;
}

long ipc_control(const struct ipc_kind *k, int id, int command, void __user *argument) {
    bool changes = command == IPC_SET || command == IPC_RMID;
    u64 description[16];
    struct ipc *i;
    long result = 0;

    assert(k->bytes <= sizeof(description));
    if (command == IPC_SET && copy_from_user(description, argument, k->bytes))
        return -EFAULT;
    mutex_lock(&k->table->mutex);
    i = changes ? ipc_own(k->table, id)
                : ipc_look(k->table, id, command != IPC_STAT, command == k->stat_any ? 0 : 0444);
    if (is_err(i)) {
        result = ptr_err(i);
    } else if (command == IPC_SET) {
        result = k->set(i, description);
    } else if (command == IPC_RMID) {
        k->destroy(i);
    } else {
        k->describe(i, description);
        result = command == IPC_STAT ? 0 : i->id;
    }
    mutex_unlock(&k->table->mutex);
    return !changes && result >= 0 && copy_to_user(argument, description, k->bytes) ? -EFAULT : result;
}
