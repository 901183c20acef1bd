/* inode.c - what all inodes have in common: counting, first values, who may do what with them, who writes.
 *
 * Does not know names (dentry.c) or contents (vm/object.h and each file system). */
#include "fs/inode.h"

#include <linux/capability.h>

#include "task/task.h"
#include "vm/commit.h"

/* Files that live only in memory are promised as they grow, to who makes them grow. */
static bool promise(u64 pages) {
    struct process *p = process_current();

    return commit_charge(p ? p->space : NULL, pages);
}

static const struct object_ops memory_only = {.promise = promise};
const struct object_ops inode_pages_promised = {0};
static u64 numbers = 1UL << 48; /* [a] hosts' numbers are smaller, and what is printed still has 15 digits */

u64 inode_number(void) { return atomic_add(&numbers, 1); }

void inode_init(struct inode *i, struct super *s, u32 mode) {
    const struct credentials *cred = cred_current();
    s64 now = (s64)clock_wall_ns();

    memset(i, 0, sizeof(*i));
    i->super = s;
    i->ino = inode_number();
    i->dev = s->dev;
    i->mode = mode;
    i->uid = cred->fsuid;
    i->gid = cred->fsgid;
    i->links = (mode & S_IFMT) == S_IFDIR ? 2 : 1;
    i->times = (struct inode_times){now, now, now, now};
    object_init(&i->object, &memory_only, 0);
    mutex_init(&i->lock);
    i->references = 1;
}

void inode_get(struct inode *i) { atomic_add(&i->references, 1); }

bool inode_names_stay(const struct inode *i) { return i->super->keeps_names || i->flags & INODE_HERE; }

bool inode_try_get(struct inode *i) {
    u32 count = atomic_load_relaxed(&i->references);

    while (count && !atomic_cas(&i->references, count, count + 1))
        count = atomic_load_relaxed(&i->references);
    return count != 0;
}

void inode_put(struct inode *i) {
    if (atomic_sub(&i->references, 1))
        return;
    if (i->object.dirty && i->object.ops->write_back)
        (void)object_sync(&i->object, 0, ~0UL >> PAGE_SHIFT); /* nobody is left to hear of an error */
    object_destroy(&i->object);
    locks_free(i->locks);
    if (i->ops->release)
        i->ops->release(i);
}

bool cred_in_group(const struct credentials *cred, u32 gid, u32 own) {
    bool in = gid == own;
    u32 count = atomic_load(&cred->group_count);
    const struct group_list *list = atomic_load(&cred->groups);

    for (u32 n = 0; !in && n < count; n++)
        in = list->gids[n] == gid;
    return in;
}

static bool has(const struct credentials *cred, int capability) { return cred->cap_effective & (1UL << capability); }

static int inode_permission_as(struct inode *i, int mask, const struct credentials *cred, u32 uid, u32 gid) {
    u32 mode = atomic_load_relaxed(&i->mode), type = mode & S_IFMT;
    bool directory = type == S_IFDIR;
    u32 bits = uid == i->uid ? mode >> 6 : cred_in_group(cred, i->gid, gid) ? mode >> 3 : mode;

    if ((mask & MAY_WRITE) && i->super->read_only && (directory || type == S_IFREG || type == S_IFLNK))
        return -EROFS;
    if (!(mask & ~bits & 7))
        return 0;
    if (has(cred, CAP_DAC_OVERRIDE) && (!(mask & MAY_EXEC) || directory || (mode & 0111)))
        return 0;
    if (has(cred, CAP_DAC_READ_SEARCH) && !(mask & MAY_WRITE) && (directory || !(mask & MAY_EXEC)))
        return 0;
    return i->ops->allows && i->ops->allows(i) ? 0 : -EACCES;
}

int inode_permission(struct inode *i, int mask) {
    const struct credentials *cred = cred_current();
    return inode_permission_as(i, mask, cred, cred->fsuid, cred->fsgid);
}

int inode_permission_real(struct inode *i, int mask) {
    struct credentials cred = *cred_current();

    cred.cap_effective = cred.uid == 0 ? cred.cap_permitted : 0;
    return inode_permission_as(i, mask, &cred, cred.uid, cred.gid);
}

bool inode_owned(const struct inode *i) { return cred_current()->fsuid == i->uid || capable(CAP_FOWNER); }

int inode_deny_write(struct inode *i) {
    s32 count;

    do {
        count = atomic_load_relaxed(&i->writers);
        if (count > 0)
            return -ETXTBSY;
    } while (!atomic_cas(&i->writers, count, count - 1));
    return 0;
}

void inode_allow_write(struct inode *i) { atomic_add(&i->writers, 1); }

int inode_begin_write(struct inode *i) {
    s32 count;

    do {
        count = atomic_load_relaxed(&i->writers);
        if (count < 0)
            return -ETXTBSY;
    } while (!atomic_cas(&i->writers, count, count + 1));
    return 0;
}

void inode_end_write(struct inode *i) { atomic_sub(&i->writers, 1); }

void inode_touch(struct inode *i, bool contents) {
    s64 now = (s64)clock_wall_ns();

    if (contents)
        atomic_store_relaxed(&i->times.mtime_ns, now);
    atomic_store_relaxed(&i->times.ctime_ns, now);
}

/* relatime: the access time is brought forward when it is not after the last change, or older than a day. */
void inode_accessed(struct inode *i) {
    const s64 day_ns = 86400L * 1000000000L;
    s64 atime = i->times.atime_ns, now;

    if (i->super->read_only)
        return;
    if (likely(atime > i->times.mtime_ns && atime > i->times.ctime_ns && (s64)clock_wall_ns() - atime < day_ns))
        return;
    now = (s64)clock_wall_ns();
    atomic_store_relaxed(&i->times.atime_ns, now);
}
