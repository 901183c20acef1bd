/* sync.h - the locks. Spin locks and counted things spin with interrupts on; mutexes and wait queues sleep.
 *
 * The kernel is never preempted except where it sleeps, and interrupt handlers take none of these locks (they only
 * queue work, arch/x86_64/cpu.h), so there is no irq-saving variant, and a spin lock is held for a short, bounded time.
 * spin: kernel/lib/spin (inline here). mutex, waitq: kernel/task/wait.c; tests/host has its own of all of them. */
#pragma once

#include "lib/base.h"

struct spin {
    u32 held; /* 0, or 1 + the CPU that holds it */
};
#define SPIN_INIT                                                                                                      \
    { 0 }

/* cpu_id: the CPU this runs on; stable until the caller sleeps. */
#ifdef QUIRE_HOSTED
unsigned cpu_id(void);
#else
#include "arch/x86_64/cpu_id.h"
#endif
void spin_wait(struct spin *lock); /* slow path: pauses until the lock is ours */

static inline void spin_init(struct spin *lock) { lock->held = 0; }
static inline bool spin_held(struct spin *lock) { return atomic_load_relaxed(&lock->held) == cpu_id() + 1; }
static inline bool spin_try(struct spin *lock) {
    u32 none = 0;
    return __atomic_compare_exchange_n(&lock->held, &none, cpu_id() + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static inline void spin_lock(struct spin *lock) {
    if (unlikely(!spin_try(lock)))
        spin_wait(lock);
}
static inline void spin_unlock(struct spin *lock) { atomic_store(&lock->held, 0); }

struct task;

/* A queue of sleeping tasks. Sleepers register first, then test their condition, so a wake between is not lost. */
struct waitq {
    struct spin lock;     /* protects sleepers */
    struct list sleepers; /* of struct waiter */
};
struct waiter {
    struct list link;
    struct task *task;
    struct waitq *queue;
    bool woken;                       /* set under queue->lock by the waker, which also unlinks */
    void (*notify)(struct waiter *w); /* waitq_watch's; NULL for sleepers (waitq_add clears it) */
};
#define WAITQ_INIT(name)                                                                                               \
    { SPIN_INIT, LIST_INIT((name).sleepers) }

void waitq_init(struct waitq *q);
void waitq_wake_all(struct waitq *q);
void waitq_wake_one(struct waitq *q);
/* waitq_add: register w for the current task. waitq_remove: take it off again (whether woken or not). Between them the
 * task calls task_sleep, which returns at once if a registered waiter was woken. One task may be on many queues (poll).
 */
void waitq_add(struct waitq *q, struct waiter *w);
void waitq_remove(struct waiter *w);
/* waitq_watch: no sleeper but a watcher (poll, epoll): every wake, of one or of all, calls notify(w) under q->lock and
 * leaves w registered until waitq_remove. notify does not sleep and does not touch q; it may wake other queues. */
void waitq_watch(struct waitq *q, struct waiter *w, void (*notify)(struct waiter *w));
/* task_sleep: give up the CPU until woken. interruptible: a signal to deliver also ends it.
 * deadline_ns: on the monotonic clock, or SLEEP_FOREVER. Returns 0 when woken, -EINTR for a signal, -ETIMEDOUT. */
#define SLEEP_FOREVER (~0ULL)
int task_sleep(bool interruptible, u64 deadline_ns);

/* wait_until: sleep until the condition holds. The condition is evaluated without a lock, and never again once it held:
 * it may take what it finds. Returns 0, -EINTR, -ETIMEDOUT. wait_until_by: with one's own way to sleep. */
#define wait_until_by(q, condition, sleep)                                                                             \
    ({                                                                                                                 \
        bool holds_ = false;                                                                                           \
        int result_ = 0;                                                                                               \
        while (!holds_ && !result_ && !(condition)) {                                                                  \
            struct waiter w_;                                                                                          \
            waitq_add((q), &w_);                                                                                       \
            holds_ = (condition);                                                                                      \
            if (!holds_)                                                                                               \
                result_ = (sleep);                                                                                     \
            waitq_remove(&w_);                                                                                         \
        }                                                                                                              \
        result_;                                                                                                       \
    })
#define wait_until_deadline(q, condition, interruptible, deadline_ns)                                                  \
    wait_until_by(q, condition, task_sleep((interruptible), (deadline_ns)))
#define wait_until(q, condition) ((void)wait_until_deadline(q, condition, false, SLEEP_FOREVER))
#define wait_until_interruptible(q, condition) wait_until_deadline(q, condition, true, SLEEP_FOREVER)

/* A sleeping lock, held by one task. */
struct mutex {
    struct task *owner; /* atomically set; NULL when free */
    struct waitq waiters;
};
#define MUTEX_INIT(name)                                                                                               \
    { NULL, WAITQ_INIT((name).waiters) }
void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
bool mutex_try(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by the current task */
