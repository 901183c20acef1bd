/* timer.c - timers: a heap of deadlines for each CPU, and the clock armed to the nearest.
 *
 * Nouns: struct timer (task.h); a queue for each CPU, a pairing heap by deadline: insertion is O(1), removal O(log n)
 * amortised, and nothing is allocated. A timer runs on the CPU that armed it, as queued work. The timer interrupt takes
 * no lock: it reads next_deadline and queues the work. Does not know what a deadline is for. */
#include "task/sched.h"

struct timer_queue {
    struct spin lock;
    struct timer *root;    /* under lock */
    struct timer *running; /* under lock to set; read by who cancels */
    u64 next_deadline;     /* of root, ~0 when empty; read by the interrupt */
    struct work work;
    bool work_queued; /* atomic */
};

static struct timer_queue *queues[CPU_MAX];
static struct timer_queue boot_queue;

/* merge: two heaps into one; either may be NULL. The root's `back` is the caller's to set. */
static struct timer *merge(struct timer *a, struct timer *b) {
    if (!a || !b)
        return a ? a : b;
    if (b->deadline_ns < a->deadline_ns) {
        struct timer *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next)
        b->next->back = &b->next;
    b->back = &a->child;
    a->child = b;
    return a;
}

/* merge_siblings: a list of heaps into one: pairs from the left, then all from the right (that order gives O(log n)).
 */
static struct timer *merge_siblings(struct timer *first) {
    struct timer *pairs = NULL, *result = NULL;

    while (first) {
        struct timer *a = first, *b = a->next;

        first = b ? b->next : NULL;
        a->next = NULL;
        if (b) {
            b->next = NULL;
            a = merge(a, b);
        }
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct timer *next = pairs->next;

        pairs->next = NULL;
        result = merge(result, pairs);
        pairs = next;
    }
    return result;
}

static void set_root(struct timer_queue *q, struct timer *root) {
    q->root = root;
    if (root) {
        root->next = NULL;
        root->back = &q->root;
    }
    atomic_store(&q->next_deadline, root ? root->deadline_ns : ~0UL);
}

static void heap_remove(struct timer_queue *q, struct timer *t) {
    struct timer *children = merge_siblings(t->child);

    t->child = NULL;
    if (t == q->root) {
        set_root(q, children);
    } else {
        *t->back = t->next;
        if (t->next)
            t->next->back = t->back;
        set_root(q, merge(q->root, children));
    }
    t->armed = false;
}

/* run_expired: the work. The queue's lock is free while a timer runs. */
static void run_expired(struct work *work) {
    struct timer_queue *q = container_of(work, struct timer_queue, work);
    struct timer *t;

    atomic_store(&q->work_queued, false);
    spin_lock(&q->lock);
    while ((t = q->root) && t->deadline_ns <= clock_ns()) {
        heap_remove(q, t);
        q->running = t;
        spin_unlock(&q->lock);
        t->run(t);
        spin_lock(&q->lock);
        q->running = NULL;
    }
    clock_arm(q->next_deadline);
    spin_unlock(&q->lock);
}

void timer_arm(struct timer *t, u64 deadline_ns) {
    struct timer_queue *q = queues[cpu_id()];

    timer_cancel(t);
    spin_lock(&q->lock);
    t->deadline_ns = deadline_ns;
    t->cpu = cpu_id();
    t->child = t->next = NULL;
    t->armed = true;
    set_root(q, merge(q->root, t));
    if (q->root == t)
        clock_arm(deadline_ns);
    spin_unlock(&q->lock);
}

/* timer_cancel: a timer that runs on another CPU meanwhile may arm itself again before it ends: so look again. */
bool timer_cancel(struct timer *t) {
    bool cancelled = false, running;

    do {
        struct timer_queue *q = queues[atomic_load_relaxed(&t->cpu)];

        spin_lock(&q->lock);
        if (t->armed) {
            cancelled = true;
            heap_remove(q, t);
        }
        running = q->running == t && t->cpu != cpu_id();
        spin_unlock(&q->lock);
        while (running && atomic_load(&q->running) == t)
            cpu_pause();
    } while (running);
    return cancelled;
}

void timers_tick(u64 now) {
    struct timer_queue *q = queues[cpu_id()];
    u64 next = atomic_load(&q->next_deadline);

    /* An alarm for a timer that has been cancelled: unless it is set again, an idle CPU hears no other. */
    if (now < next)
        clock_arm(next);
    else if (!atomic_xchg(&q->work_queued, true))
        cpu_queue_work(cpu_id(), &q->work);
}

int timers_cpu_init(void) {
    struct timer_queue *q = cpu_id() == 0 ? &boot_queue : kzalloc(sizeof(*q));

    if (!q)
        return -ENOMEM;
    q->next_deadline = ~0UL;
    q->work.run = run_expired;
    queues[cpu_id()] = q;
    return 0;
}
