/* locks.c - advisory locks: POSIX records (owned by a descriptor table), open-description records, and flock.
 *
 * Each inode that was ever locked has a set. Records of the first two kinds conflict with one another; flock's do not
 * with them (flock(2)). A record covers [start, end], end included, so that "to the end of the file" is the largest
 * offset. */
#include <linux/fs.h>
#include <asm/fcntl.h>

#include "fs/file.h"
#include "fs/inode.h"
#include "fs/vfs.h"
#include "task/task.h"
#include "vm/slab.h"

#define END_OF_ALL (~0UL >> 1)

enum kind { KIND_POSIX, KIND_DESCRIPTION, KIND_FLOCK };

struct record {
    struct list link;
    u64 start, end;
    const void *owner; /* struct files, or struct file */
    enum kind kind;
    int type; /* F_RDLCK, F_WRLCK; F_UNLCK in a request */
    int pid;
};

struct lock_set {
    struct mutex lock;   /* protects records */
    struct list records; /* by nothing in particular */
    struct waitq changed;
    u64 changes; /* [a] counts what could let a waiter go on */
};

/* Who waits for whom among POSIX owners, to refuse a circle. */
struct blocked {
    struct list link;
    const void *owner, *waits_for;
};
static struct mutex blocked_lock = MUTEX_INIT(blocked_lock); /* protects all_blocked */
static struct list all_blocked = LIST_INIT(all_blocked);

static struct lock_set *set_of(struct inode *i) {
    struct lock_set *set = atomic_load(&i->locks);

    if (set)
        return set;
    set = kzalloc(sizeof(*set));
    if (!set)
        return NULL;
    mutex_init(&set->lock);
    list_init(&set->records);
    waitq_init(&set->changed);
    if (!atomic_cas(&i->locks, NULL, (void *)set)) {
        kfree(set);
        set = atomic_load(&i->locks);
    }
    return set;
}

void locks_free(void *locks) { kfree(locks); /* descriptions are gone, and their records with them */ }

static bool same_space(const struct record *a, const struct record *b) {
    return (a->kind == KIND_FLOCK) == (b->kind == KIND_FLOCK);
}

static bool same_owner(const struct record *a, const struct record *b) {
    return a->kind == b->kind && a->owner == b->owner;
}

static struct record *conflict(struct lock_set *set, const struct record *want) {
    struct record *r, *first = NULL; /* F_GETLK names the lowest */

    list_for_each(r, &set->records, link) {
        if (same_space(r, want) && !same_owner(r, want) && r->start <= want->end && want->start <= r->end &&
            (r->type == F_WRLCK || want->type == F_WRLCK) && (!first || r->start < first->start))
            first = r;
    }
    return first;
}

/* Give the owner of *want its range, or take it away (F_UNLCK). new and spare are used or left; the set is locked. */
static void apply(struct lock_set *set, const struct record *want, struct record **new, struct record **spare) {
    struct record merged = *want, *r, *next;

    list_for_each_safe(r, next, &set->records, link) {
        if (!same_owner(r, want))
            continue;
        bool touches = r->start <= merged.end + 1 && merged.start <= r->end + 1;
        bool overlaps = r->start <= merged.end && merged.start <= r->end;
        if (r->type == want->type && touches) {
            merged.start = min(merged.start, r->start);
            merged.end = max(merged.end, r->end);
        } else if (!overlaps) {
            continue;
        } else if (r->start < merged.start && r->end > merged.end) {
            /* The middle goes: two remain. Only one record can hold the range whole, so one spare is enough. */
            struct record *right = *spare;
            *right = *r;
            right->start = merged.end + 1;
            r->end = merged.start - 1;
            list_add(&set->records, &right->link);
            *spare = NULL;
            continue;
        } else if (r->start < merged.start) {
            r->end = merged.start - 1;
            continue;
        } else if (r->end > merged.end) {
            r->start = merged.end + 1;
            continue;
        }
        list_del(&r->link);
        kfree(r);
    }
    if (want->type != F_UNLCK) {
        **new = merged;
        list_add(&set->records, &(*new)->link);
        *new = NULL;
    }
    atomic_add(&set->changes, 1);
    waitq_wake_all(&set->changed);
}

/* flock(2): who wants another kind of lock than he has gives that up before he waits, or is refused: two who share a
 * file and both want it alone would wait for each other for ever. The set is locked. */
static void give_up(struct lock_set *set, const struct record *want) {
    struct record *r, *next;

    list_for_each_safe(r, next, &set->records, link) {
        if (same_owner(r, want)) {
            list_del(&r->link);
            kfree(r);
            atomic_add(&set->changes, 1);
        }
    }
    waitq_wake_all(&set->changed);
}

/* Would `owner`, waiting for `other`, close a circle? blocked_lock held. */
static bool circle(const void *owner, const void *other) {
    struct blocked *b;

    for (unsigned steps = 0; steps < 10; steps++) { /* as far as Linux looks */
        const void *next = NULL;
        if (other == owner)
            return true;
        list_for_each(b, &all_blocked, link) {
            if (b->owner == other)
                next = b->waits_for;
        }
        if (!next)
            return false;
        other = next;
    }
    return false;
}

/* Sleep until the set changes. posix: whom we wait for, for the circle; else NULL. */
static int wait_for(struct lock_set *set, u64 seen, const struct record *want, const void *other) {
    struct blocked b = {.owner = want->owner, .waits_for = other};
    bool posix = want->kind == KIND_POSIX;
    int error = 0;

    if (posix) {
        mutex_lock(&blocked_lock);
        /* Not if the set has changed: `other` may have let go since, and wait for us only now. */
        error = circle(b.owner, other) && atomic_load(&set->changes) == seen ? -EDEADLK : 0;
        list_init(&b.link);
        if (!error)
            list_add(&all_blocked, &b.link);
        mutex_unlock(&blocked_lock);
    }
    if (error)
        return error;
    error = wait_until_interruptible(&set->changed, atomic_load(&set->changes) != seen);
    if (posix) {
        mutex_lock(&blocked_lock);
        list_del(&b.link);
        mutex_unlock(&blocked_lock);
    }
    return error ? -ERESTARTSYS : 0;
}

/* Take or release; wait where asked. 0, -EAGAIN, -EDEADLK, -ERESTARTSYS, -ENOLCK. */
static int set_lock(struct inode *i, const struct record *want, bool wait) {
    struct lock_set *set = set_of(i);
    struct record *new = kmalloc(sizeof(*new)), *spare = kmalloc(sizeof(*spare));
    int error = set && new &&spare ? 0 : -ENOLCK;
    bool done = error;

    while (!done) {
        mutex_lock(&set->lock);
        struct record *other = want->type == F_UNLCK ? NULL : conflict(set, want);
        const void *whom = other ? other->owner : NULL;
        if (other && want->kind == KIND_FLOCK)
            give_up(set, want);
        u64 seen = atomic_load(&set->changes);
        if (!other)
            apply(set, want, &new, &spare);
        mutex_unlock(&set->lock);
        error = !other ? 0 : wait ? wait_for(set, seen, want, whom) : -EAGAIN;
        done = !other || error;
    }
    kfree(new);
    kfree(spare);
    return error;
}

static void forget(struct inode *i, const void *owner, bool posix) {
    struct lock_set *set = i->locks;
    struct record *r, *next;
    bool any = false;

    mutex_lock(&set->lock);
    list_for_each_safe(r, next, &set->records, link) {
        if (r->owner == owner && (r->kind == KIND_POSIX) == posix) {
            list_del(&r->link);
            kfree(r);
            any = true;
        }
    }
    mutex_unlock(&set->lock);
    if (any) {
        atomic_add(&set->changes, 1);
        waitq_wake_all(&set->changed);
    }
}

void locks_forget_process(struct inode *i, struct files *owner) { forget(i, owner, true); }
void locks_forget_file(struct file *f) { forget(f->inode, f, false); }

/* The range that a struct flock names. 0, -EINVAL, -EOVERFLOW. */
static int range_of(struct file *f, const struct flock *l, struct record *r) {
    s64 start = l->l_start, base = 0;

    if (l->l_whence == SEEK_CUR)
        base = (s64)f->position;
    else if (l->l_whence == SEEK_END)
        base = (s64)atomic_load(&f->inode->object.size);
    else if (l->l_whence != SEEK_SET)
        return -EINVAL;
    if (__builtin_add_overflow(start, base, &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    if (l->l_len < 0) {
        if (start + l->l_len < 0)
            return -EINVAL;
        r->end = (u64)start - 1;
        r->start = (u64)(start + l->l_len);
    } else {
        s64 last;
        r->start = (u64)start;
        if (l->l_len && __builtin_add_overflow(start, l->l_len - 1, &last))
            return -EOVERFLOW;
        r->end = l->l_len ? (u64)last : END_OF_ALL;
    }
    return 0;
}

static void get_lock(struct inode *i, const struct record *want, struct flock *out) {
    struct lock_set *set = i->locks;
    struct record *r = NULL;

    if (set) {
        mutex_lock(&set->lock);
        r = conflict(set, want);
        if (r) {
            out->l_type = (short)r->type;
            out->l_whence = SEEK_SET;
            out->l_start = (s64)r->start;
            out->l_len = r->end == END_OF_ALL ? 0 : (s64)(r->end - r->start + 1);
            out->l_pid = r->kind == KIND_DESCRIPTION ? -1 : r->pid;
        }
        mutex_unlock(&set->lock);
    }
    if (!r)
        out->l_type = F_UNLCK;
}

static bool still_open(const struct file *f, int fd) {
    struct file *now = fd_get(fd);

    if (now)
        file_put(now);
    return now == f;
}

int locks_fcntl(struct file *f, int fd, int command, struct flock *l) {
    bool description = command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    bool get = command == F_GETLK || command == F_OFD_GETLK;
    struct record want = {.type = l->l_type, .pid = process_current()->pid};
    int error = range_of(f, l, &want);

    want.kind = description ? KIND_DESCRIPTION : KIND_POSIX;
    want.owner = description ? (const void *)f : task_current()->files;
    if (!error && description && l->l_pid)
        error = -EINVAL;
    if (!error && want.type != F_RDLCK && want.type != F_WRLCK && (want.type != F_UNLCK || get))
        error = -EINVAL;
    if (error)
        return error;
    if (get) {
        get_lock(f->inode, &want, l);
        return 0;
    }
    if ((want.type == F_RDLCK && !(f->mode & FILE_READ)) || (want.type == F_WRLCK && !(f->mode & FILE_WRITE)))
        return -EBADF;
    error = set_lock(f->inode, &want, command == F_SETLKW || command == F_OFD_SETLKW);
    /* A thread that closed the descriptor meanwhile looked for locks before this one was there: it goes now, as nobody
     * would take it away later. */
    if (!error && !description && want.type != F_UNLCK && !still_open(f, fd)) {
        want.type = F_UNLCK;
        (void)set_lock(f->inode, &want, false);
        error = -EBADF;
    }
    return error;
}

int locks_flock(struct file *f, int operation) {
    struct record want = {.end = END_OF_ALL, .owner = f, .kind = KIND_FLOCK, .pid = process_current()->pid};

    switch (operation & ~LOCK_NB) {
    case LOCK_SH:
        want.type = F_RDLCK;
        break;
    case LOCK_EX:
        want.type = F_WRLCK;
        break;
    case LOCK_UN:
        want.type = F_UNLCK;
        break;
    default:
        return -EINVAL;
    }
    return set_lock(f->inode, &want, !(operation & LOCK_NB));
}
