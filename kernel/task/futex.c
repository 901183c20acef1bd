/* futex.c - futexes: tasks that wait for a change of a word of user memory, found by the word's key.
 *
 * Nouns: key (vm/space.h): (space, address) of a private word, (object, offset) of a shared one, so no frame is pinned;
 * bucket: a lock and the waiters whose keys hash there; waiter: on the waiting task's stack.
 *
 * The order that loses no wake: the waiter is in its bucket before it reads the word; who changed the word looks into
 * the bucket after. So the read needs no lock, and may fault. A waiter that then finds another value leaves; if a wake
 * came in between it counts as woken. Whoever leaves takes the bucket's lock, so a waker under the lock may use the
 * waiter.
 *
 * Locks that name their owner are futex_pi.c. Locks: two buckets in the order of their addresses; under them only run
 * queues. */
#include <linux/futex.h>

#include "arch/x86_64/usercopy.h"
#include "task/family.h"
#include "task/futex.h"
#include "vm/space.h"

#define BUCKETS 256
#define ROBUST_MOST 2048 /* ROBUST_LIST_LIMIT: a circular list must end */

struct bucket {
    struct spin lock;
    struct list waiters; /* NULL links: not used yet */
    u64 arrivals;        /* how many have come */
};
struct futex_waiter {
    struct list link;
    struct futex_key key;
    struct task *task;
    struct bucket *bucket; /* changes under both buckets' locks when it is moved */
    u64 arrival;           /* which one of its bucket's */
    u32 bitset;
    bool woken;
};
#define EVERYBODY (~0UL) /* who came before that */

static struct bucket buckets[BUCKETS];

static struct bucket *bucket_of(const struct futex_key *key) {
    u64 hash = ((u64)key->where ^ key->offset >> 2) * 0x9e3779b97f4a7c15UL; /* 2^64 / golden ratio */

    return &buckets[hash >> 56];
}

static void lock(struct bucket *b) {
    spin_lock(&b->lock);
    if (!b->waiters.next)
        list_init(&b->waiters);
}

static void lock_two(struct bucket *a, struct bucket *b) {
    lock(min(a, b));
    if (a != b)
        lock(max(a, b));
}

static void unlock_two(struct bucket *a, struct bucket *b) {
    spin_unlock(&a->lock);
    if (a != b)
        spin_unlock(&b->lock);
}

/* arrive: the bucket's lock is held. */
static void arrive(struct bucket *b, struct futex_waiter *w) {
    w->arrival = b->arrivals++;
    list_add_tail(&b->waiters, &w->link);
}

static struct bucket *lock_of(struct futex_waiter *w) {
    for (;;) {
        struct bucket *b = atomic_load(&w->bucket);

        lock(b);
        if (b == atomic_load(&w->bucket))
            return b;
        spin_unlock(&b->lock);
    }
}

static bool same(const struct futex_key *a, const struct futex_key *b) {
    return a->where == b->where && a->offset == b->offset;
}

int futex_key_of(u64 word, bool shared, struct futex_key *key) {
    if (word % sizeof(u32))
        return -EINVAL;
    if (word >= USER_TOP)
        return -EFAULT;
    return space_futex_key(process_current()->space, word, shared, key);
}

/* key_of_woken: who waits at a word for a lock that names its owner is not woken or moved: -EINVAL. */
static int key_of_woken(u64 word, bool shared, struct futex_key *key) {
    int error = futex_key_of(word, shared, key);

    return !error && futex_pi_waits(key) ? -EINVAL : error;
}

/* leave: whether it was woken; it is in no bucket afterwards. */
static bool leave(struct futex_waiter *w) {
    struct bucket *b = lock_of(w);

    if (!w->woken)
        list_del(&w->link);
    spin_unlock(&b->lock);
    return w->woken;
}

int futex_wait(u64 word, bool shared, u32 value, u32 bitset, u64 deadline_ns) {
    struct futex_waiter w = {.task = task_current(), .bitset = bitset};
    struct bucket *b;
    u32 now;
    int error = futex_key_of(word, shared, &w.key);

    if (error)
        return error;
    w.bucket = b = bucket_of(&w.key);
    lock(b);
    arrive(b, &w);
    spin_unlock(&b->lock);
    atomic_fence();
    error = user_load_u32((const u32 *)word, &now);
    if (!error && now != value)
        error = -EAGAIN;
    while (!error && !atomic_load(&w.woken))
        error = task_sleep(true, deadline_ns);
    return leave(&w) ? 0 : error;
}

static bool any_woken(const struct futex_waiter *w, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (atomic_load(&w[i].woken))
            return true;
    }
    return false;
}

/* enlist: all but the ones behind an error; *listed of them. Then the words may be read. */
static int enlist(struct futex_waiter *w, const struct futex_wanted *wanted, unsigned count, unsigned *listed) {
    int error = 0;

    for (*listed = 0; *listed < count && !error; (*listed)++) {
        struct futex_waiter *each = &w[*listed];

        error = futex_key_of(wanted[*listed].word, wanted[*listed].shared, &each->key);
        if (error)
            break;
        each->task = task_current();
        each->bitset = FUTEX_BITSET_MATCH_ANY;
        each->bucket = bucket_of(&each->key);
        lock(each->bucket);
        arrive(each->bucket, each);
        spin_unlock(&each->bucket->lock);
    }
    atomic_fence();
    return error;
}

long futex_wait_many(const struct futex_wanted *wanted, unsigned count, u64 deadline_ns) {
    struct futex_waiter *w = kzalloc(count * sizeof(*w));
    unsigned listed = 0;
    long error = -ENOMEM, woken = -1;
    u32 now;

    if (w)
        error = enlist(w, wanted, count, &listed);
    for (unsigned i = 0; i < listed && !error; i++) {
        error = user_load_u32((const u32 *)wanted[i].word, &now);
        if (!error && now != wanted[i].value)
            error = -EAGAIN;
    }
    while (!error && !any_woken(w, listed))
        error = task_sleep(true, deadline_ns);
    for (unsigned i = 0; i < listed; i++) {
        if (leave(&w[i]))
            woken = i;
    }
    kfree(w);
    return woken >= 0 ? woken : error;
}

static void wake(struct futex_waiter *w) {
    list_del(&w->link);
    atomic_store(&w->woken, true);
    task_wake(w->task);
}

/* wake_some: the bucket's lock is held. before: of those that had come by then. */
static u32 wake_some(struct bucket *b, const struct futex_key *key, u32 most, u32 bitset, u64 before) {
    struct futex_waiter *w, *next;
    u32 woken = 0;

    list_for_each_safe(w, next, &b->waiters, link) {
        if (woken >= most)
            break;
        if (same(&w->key, key) && w->bitset & bitset && w->arrival < before) {
            wake(w);
            woken++;
        }
    }
    return woken;
}

long futex_wake(u64 word, bool shared, u32 most, u32 bitset) {
    struct futex_key key;
    struct bucket *b;
    long woken = key_of_woken(word, shared, &key);

    if (woken)
        return woken;
    b = bucket_of(&key);
    lock(b);
    woken = wake_some(b, &key, most, bitset, EVERYBODY);
    spin_unlock(&b->lock);
    return woken;
}

bool futex_waits(const struct futex_key *key) {
    struct bucket *b = bucket_of(key);
    struct futex_waiter *w;
    bool waits = false;

    lock(b);
    list_for_each(w, &b->waiters, link) waits = waits || same(&w->key, key);
    spin_unlock(&b->lock);
    return waits;
}

static u32 move_some(struct bucket *from, const struct futex_key *key, struct bucket *to, const struct futex_key *key2,
                     u32 most, u64 before) {
    struct futex_waiter *w, *next;
    u32 moved = 0;

    list_for_each_safe(w, next, &from->waiters, link) {
        if (moved >= most)
            break;
        if (!same(&w->key, key) || w->arrival >= before)
            continue;
        list_del(&w->link);
        arrive(to, w);
        w->key = *key2;
        atomic_store(&w->bucket, to);
        moved++;
    }
    return moved;
}

/* arrivals_of: so many have come; the word is read after. */
static u64 arrivals_of(struct bucket *b) {
    u64 arrivals;

    lock(b);
    arrivals = b->arrivals;
    spin_unlock(&b->lock);
    atomic_fence();
    return arrivals;
}

/* The word is compared before the locks are held, for it may fault. Who comes to wait behind that waits for a later
 * value, and is left where its own wake will look for it. */
long futex_requeue(u64 word, u64 word2, bool shared, u32 wake_most, u32 move_most, const u32 *compare) {
    struct futex_key key, key2;
    struct bucket *a, *b;
    long count;
    u64 before = EVERYBODY;
    u32 now;
    int error = key_of_woken(word, shared, &key);

    if (!error)
        error = futex_key_of(word2, shared, &key2);
    if (error)
        return error;
    a = bucket_of(&key);
    b = bucket_of(&key2);
    if (compare) {
        before = arrivals_of(a);
        error = user_load_u32((const u32 *)word, &now);
        if (!error && now != *compare)
            error = -EAGAIN;
        if (error)
            return error;
    }
    lock_two(a, b);
    count = wake_some(a, &key, wake_most, FUTEX_BITSET_MATCH_ANY, before);
    if (!same(&key, &key2))
        count += move_some(a, &key, b, &key2, move_most, before);
    unlock_two(a, b);
    return count;
}

/* apply: FUTEX_WAKE_OP's change of a word; the argument is signed, 12 bits, or a power of two. */
static int apply(u32 operation, u32 old, u32 *new) {
    u32 argument = (s32)(operation << 8) >> 20;

    if (operation & (u32)FUTEX_OP_OPARG_SHIFT << 28)
        argument = 1u << (argument & 31);
    switch (operation >> 28 & 7) {
    case FUTEX_OP_SET:
        *new = argument;
        return 0;
    case FUTEX_OP_ADD:
        *new = old + argument;
        return 0;
    case FUTEX_OP_OR:
        *new = old | argument;
        return 0;
    case FUTEX_OP_ANDN:
        *new = old & ~argument;
        return 0;
    case FUTEX_OP_XOR:
        *new = old ^ argument;
        return 0;
    default:
        return -ENOSYS;
    }
}

/* compares: whether the second word's waiters wake too, by its old value. */
static int compares(u32 operation, s32 old) {
    s32 with = (s32)(operation << 20) >> 20;

    switch (operation >> 24 & 15) {
    case FUTEX_OP_CMP_EQ:
        return old == with;
    case FUTEX_OP_CMP_NE:
        return old != with;
    case FUTEX_OP_CMP_LT:
        return old < with;
    case FUTEX_OP_CMP_LE:
        return old <= with;
    case FUTEX_OP_CMP_GT:
        return old > with;
    case FUTEX_OP_CMP_GE:
        return old >= with;
    default:
        return -ENOSYS;
    }
}

/* operate: the change and the comparison. -ENOSYS, -EFAULT, or 0 and 1. */
static int operate(u64 word, u32 operation) {
    u32 old, new, seen;
    int error;

    do {
        error = user_load_u32((const u32 *)word, &old);
        if (!error)
            error = apply(operation, old, &new);
        if (!error)
            error = user_cmpxchg_u32((u32 *)word, old, new, &seen);
    } while (!error && seen != old);
    return error ? error : compares(operation, old);
}

long futex_wake_op(u64 word, u64 word2, bool shared, u32 most, u32 most2, u32 operation) {
    struct futex_key key, key2;
    struct bucket *a, *b;
    long count;
    int both = key_of_woken(word, shared, &key);

    if (!both)
        both = key_of_woken(word2, shared, &key2);
    if (!both)
        both = operate(word2, operation);
    if (both < 0)
        return both;
    a = bucket_of(&key);
    b = bucket_of(&key2);
    lock_two(a, b);
    count = wake_some(a, &key, most, FUTEX_BITSET_MATCH_ANY, EVERYBODY);
    if (both)
        count += wake_some(b, &key2, most2, FUTEX_BITSET_MATCH_ANY, EVERYBODY);
    unlock_two(a, b);
    return count;
}

/* ---- at the end of a task ---- */

/* owner_died: a robust mutex whose owner is this task: mark it, wake one waiter. pending: the task was between two
 * steps of locking or unlocking it: then a free word may have a waiter that nobody will wake. */
static int owner_died(u64 word, int tid, bool pending) {
    u32 old, seen;

    if (word % sizeof(u32))
        return -EINVAL;
    do {
        if (user_load_u32((const u32 *)word, &old))
            return -EFAULT;
        if (pending && old == 0) {
            (void)futex_wake(word, true, 1, FUTEX_BITSET_MATCH_ANY);
            return 0;
        }
        if ((old & FUTEX_TID_MASK) != (u32)tid)
            return 0;
        if (user_cmpxchg_u32((u32 *)word, old, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen))
            return -EFAULT;
    } while (seen != old);
    if (old & FUTEX_WAITERS)
        (void)futex_wake(word, true, 1, FUTEX_BITSET_MATCH_ANY);
    return 0;
}

static void robust_list_end(struct task *t) {
    struct robust_list_head head;
    struct robust_list node;
    u64 at = t->robust_list, next, pending;

    t->robust_list = 0;
    if (!at || copy_from_user(&head, (void *)at, sizeof(head)))
        return;
    pending = (u64)head.list_op_pending & ~1UL; /* bit 0: a priority-inheriting one */
    next = (u64)head.list.next;
    for (int i = 0; i < ROBUST_MOST && (next & ~1UL) != at; i++) {
        u64 entry = next & ~1UL;

        /* read on before the word is given up: then the entry may be gone */
        if (copy_from_user(&node, (void *)entry, sizeof(node)))
            return;
        if (entry != pending && owner_died(entry + head.futex_offset, t->tid, false))
            return;
        next = (u64)node.next;
    }
    if (pending)
        (void)owner_died(pending + head.futex_offset, t->tid, true);
}

/* futex_task_exit: with nobody else in the space nobody waits, and the write would only break a page that fork shares.
 */
void futex_task_exit(struct task *t) {
    struct process *p = t->process;
    u64 word = t->clear_child_tid;

    if (!p->space)
        return;
    robust_list_end(t);
    futex_pi_task_exit(t);
    t->clear_child_tid = 0;
    if (word && (atomic_load_relaxed(&p->thread_count) > 1 || p->space_shared) && put_user(0, (int *)word) == 0)
        (void)futex_wake(word, true, 1, FUTEX_BITSET_MATCH_ANY);
}
