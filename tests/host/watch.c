/* watch.c - who watches memory in the tests: those who wait sleep on one queue, until somebody wakes them all. */
#include "host.h"

static struct host_watch *of(struct watch *w) { return container_of(w, struct host_watch, watch); }

static void watch_get(struct watch *w) { atomic_add(&of(w)->references, 1); }
static void watch_put(struct watch *w) { atomic_sub(&of(w)->references, 1); }

static enum fault_outcome watch_wait(struct watch *w, const struct watched *what, bool (*still)(void *),
                                     void *argument) {
    struct host_watch *h = of(w);
    struct waiter waiter;
    waitq_add(&h->queue, &waiter);
    if (still(argument)) {
        atomic_store_relaxed(&h->why, what->why);
        (void)task_sleep(false, SLEEP_FOREVER);
    }
    waitq_remove(&waiter);
    return FAULT_DONE;
}

static struct watch *watch_fork(struct watch *w, struct space *child) {
    struct watch *heir = of(w)->heir;
    if (heir)
        watch_get(heir);
    return heir;
}

static const struct watch_ops ops = {.get = watch_get, .put = watch_put, .wait = watch_wait, .fork = watch_fork};

void host_watch_start(struct host_watch *h, struct space *s) {
    *h = (struct host_watch){.references = 1};
    waitq_init(&h->queue);
    watch_init(&h->watch, &ops, s);
}

void host_watch_wake(struct host_watch *h) { waitq_wake_all(&h->queue); }

int host_supply(struct space *s, u64 address, enum supply how, u64 value, bool shared, bool guard) {
    struct frame *frame = how == SUPPLY_PAGE ? supply_frame(shared, true) : NULL;
    if (how == SUPPLY_PAGE && !frame)
        return -ENOMEM;
    if (frame)
        *(u64 *)frame_va(frame) = value;
    int error = space_supply(s, address, how, &frame, guard);
    if (frame)
        frame_free(frame, 0);
    return error;
}
