/* wait.c - wait queues and mutexes (lib/sync.h), on top of the scheduler's sleep and wake.
 *
 * The order that loses no wake: a sleeper registers, then tests its condition, then sleeps; a waker makes the condition
 * true, then looks for sleepers. Between the two stores and the two loads stands a full fence on either side, so at
 * least one of them sees the other. A waker holds q->lock until the sleeper is woken, so a waiter on a stack stays
 * valid: waitq_remove takes the lock before the stack goes.
 *
 * Locks: q->lock, then another queue's lock (a watcher's notify), then a run queue's. */
#include "task/sched.h"

void waitq_init(struct waitq *q) {
    spin_init(&q->lock);
    list_init(&q->sleepers);
}

/* wake: under q->lock. Returns whether it was a sleeper. */
static bool wake(struct waiter *w) {
    if (w->notify) {
        w->notify(w);
        return false;
    }
    list_del(&w->link);
    atomic_store(&w->woken, true);
    task_wake(w->task);
    return true;
}

static void wake_some(struct waitq *q, bool all) {
    struct waiter *w, *next;

    atomic_fence();
    if (list_empty(&q->sleepers))
        return;
    spin_lock(&q->lock);
    list_for_each_safe(w, next, &q->sleepers, link) {
        if (wake(w) && !all)
            break;
    }
    spin_unlock(&q->lock);
}

void waitq_wake_all(struct waitq *q) { wake_some(q, true); }
void waitq_wake_one(struct waitq *q) { wake_some(q, false); }

/* Watchers stand before sleepers, newest first (as Linux tells epolls): so a wake of one sleeper reaches all of them.
 */
static void enlist(struct waitq *q, struct waiter *w) {
    w->task = task_current();
    w->queue = q;
    w->woken = false;
    spin_lock(&q->lock);
    if (w->notify)
        list_add(&q->sleepers, &w->link);
    else
        list_add_tail(&q->sleepers, &w->link);
    spin_unlock(&q->lock);
    atomic_fence();
}

void waitq_add(struct waitq *q, struct waiter *w) {
    w->notify = NULL;
    enlist(q, w);
}

void waitq_watch(struct waitq *q, struct waiter *w, void (*notify)(struct waiter *w)) {
    w->notify = notify;
    enlist(q, w);
}

void waitq_remove(struct waiter *w) {
    spin_lock(&w->queue->lock);
    list_del(&w->link);
    spin_unlock(&w->queue->lock);
}

void mutex_init(struct mutex *m) {
    m->owner = NULL;
    waitq_init(&m->waiters);
}

bool mutex_try(struct mutex *m) { return atomic_cas(&m->owner, NULL, task_current()); }

void mutex_lock(struct mutex *m) {
    while (!mutex_try(m)) {
        struct waiter w;
        bool ours;

        waitq_add(&m->waiters, &w);
        ours = mutex_try(m);
        if (!ours)
            task_sleep(false, SLEEP_FOREVER);
        waitq_remove(&w);
        if (ours)
            break;
    }
}

/* mutex_unlock: a woken waiter competes with newcomers; whoever loses registers again before it sleeps. The wake may be
 * consumed by a waiter that took the mutex without sleeping: its own unlock wakes the next. */
void mutex_unlock(struct mutex *m) {
    assert(mutex_held(m));
    (void)atomic_xchg(&m->owner, NULL); /* a full fence, as wake_some has one before its look */
    if (unlikely(!list_empty(&m->waiters.sleepers)))
        waitq_wake_one(&m->waiters);
}

bool mutex_held(const struct mutex *m) { return atomic_load_relaxed(&m->owner) == task_current(); }
