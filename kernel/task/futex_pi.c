/* futex_pi.c - locks whose word names their owner: FUTEX_LOCK_PI and its like.
 *
 * The word holds the owner's tid, FUTEX_WAITERS when the kernel has to hear of the unlocking, FUTEX_OWNER_DIED. A lock
 * is handed to the waiter that came first; no priority is lent, as none is obeyed (docs/not-done.md).
 *
 * All waiters are on one list under one sleeping mutex, for such locks are rare, and the word, which may fault, is read
 * and changed under it. A waiter that was given a dead owner's lock stays on the list until it has written its tid into
 * the word, as only it is sure to have the word mapped; until then it stands for the owner.
 *
 * A waiter of FUTEX_WAIT_REQUEUE_PI is on the same list, parked: it waits at a word that is no lock until
 * FUTEX_CMP_REQUEUE_PI makes it a waiter for a lock, or gives it a free one. */
#include <linux/futex.h>

#include "arch/x86_64/usercopy.h"
#include "task/family.h"
#include "task/futex.h"
#include "vm/space.h"

struct pi_waiter {
    struct list link;
    struct futex_key key;
    struct task *task;
    struct task *owner;    /* counted: whom it waits for; NULL: parked */
    struct futex_key lock; /* of one that is parked: where it may be moved to */
    bool granted;          /* the lock is its own */
    bool inherited;        /* from an owner that ended: the word does not say so yet */
};

static struct mutex pi_mutex = MUTEX_INIT(pi_mutex);
static struct list waiters = LIST_INIT(waiters);
static u32 lockers; /* [a] tasks that are waiters, or may become some */

static bool same(const struct futex_key *a, const struct futex_key *b) {
    return a->where == b->where && a->offset == b->offset;
}

static bool parked(const struct pi_waiter *w) { return !w->owner && !w->granted; }

/* first: the waiter for the lock that came first. granted ones, which own it already, count if `any`. */
static struct pi_waiter *first(const struct futex_key *key, bool any) {
    struct pi_waiter *w;

    list_for_each(w, &waiters, link) {
        if (same(&w->key, key) && !parked(w) && (any || !w->granted))
            return w;
    }
    return NULL;
}

static struct pi_waiter *first_parked(const struct futex_key *key) {
    struct pi_waiter *w;

    list_for_each(w, &waiters, link) {
        if (same(&w->key, key) && parked(w))
            return w;
    }
    return NULL;
}

/* Nobody at all is the usual case, and is seen without the mutex. */
bool futex_pi_waits(const struct futex_key *key) {
    bool waits = false;

    if (unlikely(atomic_load(&lockers))) {
        mutex_lock(&pi_mutex);
        waits = first(key, true) || first_parked(key);
        mutex_unlock(&pi_mutex);
    }
    return waits;
}

/* waits_for: whether the owner waits, over any number of locks, for one of t's. */
static bool waits_for(const struct task *owner, const struct task *t) {
    struct pi_waiter *w;
    bool more = true;

    while (more && owner != t) {
        more = false;
        list_for_each(w, &waiters, link) {
            if (w->task == owner && w->owner && !w->granted) {
                owner = w->owner;
                more = true;
                break;
            }
        }
    }
    return owner == t;
}

/* owner_of: the task that the word, or the waiter that it was promised to, names; counted. */
static struct task *owner_of(const struct futex_key *key, u32 value) {
    struct pi_waiter *w = first(key, true);
    struct task *owner;

    if (w) {
        owner = w->granted ? w->task : w->owner;
        task_get(owner);
        return owner;
    }
    owner = task_find((int)(value & FUTEX_TID_MASK));
    if (owner && owner->pi_ended) {
        task_put(owner);
        owner = NULL;
    }
    return owner;
}

/* acquire: for t. 1: it is t's. 0: *owner has it, counted, and the word says that somebody waits. */
static int acquire(u64 word, const struct futex_key *key, const struct task *t, struct task **owner) {
    u32 tid = (u32)t->tid, old, new, seen;
    bool free;

    do {
        if (user_load_u32((const u32 *)word, &old))
            return -EFAULT;
        if ((old & FUTEX_TID_MASK) == tid)
            return -EDEADLK;
        free = !(old & FUTEX_TID_MASK) && !first(key, true);
        new = free ? (old & FUTEX_OWNER_DIED) | tid : old | FUTEX_WAITERS;
        if (user_cmpxchg_u32((u32 *)word, old, new, &seen))
            return -EFAULT;
    } while (seen != old);
    if (free)
        return 1;
    *owner = owner_of(key, old);
    if (!*owner)
        return -ESRCH;
    return !(*owner)->process || (*owner)->process->kernel ? -EPERM : 0;
}

/* claim: the current task, which inherited the lock, writes itself into the word. */
static int claim(u64 word) {
    u32 tid = (u32)task_current()->tid, old, seen;

    do {
        if (user_load_u32((const u32 *)word, &old) ||
            user_cmpxchg_u32((u32 *)word, old, tid | FUTEX_WAITERS | FUTEX_OWNER_DIED, &seen))
            return -EFAULT;
    } while (seen != old);
    return 0;
}

/* wait_on: who waits for a task must be seen by it, or see that it has ended: -ESRCH. */
static int wait_on(struct task *owner) {
    (void)atomic_xchg(&owner->pi_waited, true); /* a fence: it looks whether anybody waits after it says that it ends */
    return atomic_load(&owner->pi_ended) ? -ESRCH : 0;
}

/* await: w is on the list; pi_mutex is held, and let go of while it sleeps. word: of the lock. */
static int await(struct pi_waiter *w, u64 word, u64 deadline_ns) {
    int error = 0;

    mutex_unlock(&pi_mutex);
    while (!error && !atomic_load(&w->granted))
        error = task_sleep(true, deadline_ns);
    mutex_lock(&pi_mutex);
    if (w->granted)
        error = w->inherited ? claim(word) : 0;
    list_del(&w->link);
    return error;
}

int futex_lock_pi(u64 word, bool shared, bool only_try, u64 deadline_ns) {
    struct pi_waiter w = {.task = task_current()};
    int error = futex_key_of(word, shared, &w.key);

    if (error)
        return error;
    atomic_add(&lockers, 1);
    mutex_lock(&pi_mutex);
    error = acquire(word, &w.key, w.task, &w.owner);
    if (!error && waits_for(w.owner, w.task))
        error = -EDEADLK;
    else if (!error && only_try)
        error = -EAGAIN;
    else if (!error)
        error = wait_on(w.owner);
    if (!error) {
        list_add_tail(&waiters, &w.link);
        error = await(&w, word, deadline_ns);
    }
    mutex_unlock(&pi_mutex);
    atomic_sub(&lockers, 1);
    if (w.owner)
        task_put(w.owner);
    if (error == -EINTR)
        error = -ERESTARTNOINTR;
    return min(error, 0);
}

int futex_wait_requeue_pi(u64 word, u64 word2, bool shared, u32 value, u64 deadline_ns) {
    struct pi_waiter w = {.task = task_current()};
    u32 now;
    int error = futex_key_of(word2, shared, &w.lock);

    if (!error)
        error = futex_key_of(word, shared, &w.key);
    if (error)
        return error;
    atomic_add(&lockers, 1);
    mutex_lock(&pi_mutex);
    error = user_load_u32((const u32 *)word, &now);
    if (!error && now != value)
        error = -EAGAIN;
    if (!error && same(&w.key, &w.lock))
        error = -EINVAL;
    if (!error) {
        list_add_tail(&waiters, &w.link);
        error = await(&w, word2, deadline_ns);
        if (error == -EINTR) /* once it was moved the word has changed, and to wait again would say just that */
            error = w.owner ? -EAGAIN : -ERESTARTNOINTR;
    }
    mutex_unlock(&pi_mutex);
    atomic_sub(&lockers, 1);
    if (w.owner)
        task_put(w.owner);
    return error;
}

/* grant: to w, and who waits for the same lock waits for w's task now. */
static void grant(struct pi_waiter *w, bool inherited) {
    struct pi_waiter *other;

    list_for_each(other, &waiters, link) {
        if (other != w && same(&other->key, &w->key) && !parked(other)) {
            task_put(other->owner);
            other->owner = w->task;
            task_get(w->task);
            atomic_store(&w->task->pi_waited, true);
        }
    }
    w->inherited = inherited;
    atomic_store(&w->granted, true);
    task_wake(w->task);
}

/* requeue: w, which is parked, waits for the lock now, or has it. */
static int requeue(struct pi_waiter *w, u64 word2, const struct futex_key *key2) {
    struct task *owner = NULL;
    int error = same(&w->lock, key2) ? acquire(word2, key2, w->task, &owner) : -EINVAL;

    if (error == 1) {
        w->key = *key2;
        grant(w, false);
        return 0;
    }
    if (!error && waits_for(owner, w->task))
        error = -EDEADLK;
    if (!error)
        error = wait_on(owner);
    if (!error) {
        w->key = *key2;
        w->owner = owner;
        list_del(&w->link);
        list_add_tail(&waiters, &w->link);
    } else if (owner) {
        task_put(owner);
    }
    return error;
}

long futex_requeue_pi(u64 word, u64 word2, bool shared, u32 most, u32 value) {
    struct futex_key key, key2;
    struct pi_waiter *w;
    long moved = 0;
    u32 now;
    int error = futex_key_of(word, shared, &key);

    if (!error)
        error = futex_key_of(word2, shared, &key2);
    if (!error && same(&key, &key2))
        error = -EINVAL;
    if (error)
        return error;
    mutex_lock(&pi_mutex);
    error = user_load_u32((const u32 *)word, &now);
    if (!error && now != value)
        error = -EAGAIN;
    while (!error && moved < most && (w = first_parked(&key))) {
        error = requeue(w, word2, &key2);
        moved += !error;
    }
    if (!error && !moved && futex_waits(&key))
        error = -EINVAL;
    mutex_unlock(&pi_mutex);
    return error ? error : moved;
}

int futex_unlock_pi(u64 word, bool shared) {
    struct futex_key key;
    struct pi_waiter *w;
    u32 tid = (u32)task_current()->tid, old, seen = 0;
    int error = futex_key_of(word, shared, &key);

    if (error)
        return error;
    mutex_lock(&pi_mutex);
    w = first(&key, false);
    do {
        error = user_load_u32((const u32 *)word, &old);
        if (!error && (old & FUTEX_TID_MASK) != tid)
            error = -EPERM;
        if (!error)
            error = user_cmpxchg_u32((u32 *)word, old, w ? (u32)w->task->tid | FUTEX_WAITERS : 0, &seen);
    } while (!error && seen != old);
    if (!error && w)
        grant(w, false);
    mutex_unlock(&pi_mutex);
    return error;
}

/* The locks of a task that ends go to who waits for them. One that comes to wait later finds it gone. */
void futex_pi_task_exit(struct task *t) {
    struct pi_waiter *w;
    bool again = true;

    if (!atomic_load(&t->pi_waited)) {
        atomic_store(&t->pi_ended, true);
        atomic_fence();
        if (!atomic_load(&t->pi_waited))
            return;
    }
    mutex_lock(&pi_mutex);
    t->pi_ended = true;
    while (again) {
        again = false;
        list_for_each(w, &waiters, link) {
            if (w->owner == t && !w->granted) {
                grant(w, true);
                again = true;
                break;
            }
        }
    }
    t->pi_waited = false;
    mutex_unlock(&pi_mutex);
}
