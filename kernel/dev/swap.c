/* swap.c - a swap area's device is a block device: its runs are requests, several of them in flight.
 *
 * The requests of an area are made with it, so a transfer takes no memory. Who finds them all in flight waits for one.
 */
#include "dev/swap.h"
#include "task/failing.h"
#include "vm/slab.h"

#define FLIGHT 8 /* requests of an area */

struct request {
    struct block_request block;
    struct swap_block *owner;
    struct waiting *waiting; /* NULL: the request is free. Under owner->lock */
    struct swap_run *run;
};

/* Legend: [l] lock. */
struct swap_block {
    struct swap_device device;
    struct block_device *block;
    struct spin lock;
    struct waitq ended; /* a request ended */
    struct request *requests[FLIGHT];
};

/* One transfer, on its task's stack. */
struct waiting {
    unsigned left; /* [l] of its runs */
};

static struct swap_block *of(struct swap_device *d) { return container_of(d, struct swap_block, device); }

/* The wake is under the lock, as the waiter's `waiting` goes once it has seen that nothing is left. */
static void ended(struct block_request *b, int error) {
    struct request *r = container_of(b, struct request, block);
    struct swap_block *s = r->owner;
    spin_lock(&s->lock);
    r->run->error = error;
    r->waiting->left--;
    r->waiting = NULL;
    waitq_wake_all(&s->ended);
    spin_unlock(&s->lock);
}

/* A free request becomes this run's; NULL: all are in flight. */
static struct request *take(struct swap_block *s, struct waiting *w, struct swap_run *run) {
    struct request *r = NULL;
    spin_lock(&s->lock);
    for (unsigned i = 0; i < FLIGHT && !r; i++)
        if (!s->requests[i]->waiting)
            r = s->requests[i];
    if (r) {
        r->waiting = w;
        r->run = run;
        w->left++;
    }
    spin_unlock(&s->lock);
    return r;
}

static bool all_ended(struct swap_block *s, struct waiting *w) {
    spin_lock(&s->lock);
    bool none = !w->left;
    spin_unlock(&s->lock);
    return none;
}

static void transfer(struct swap_device *d, bool write, struct swap_run *runs, unsigned count) {
    struct swap_block *s = of(d);
    struct waiting w = {0};
    for (struct swap_run *run = runs; run < runs + count; run++) {
        struct request *r;
        if (task_io_fails()) {
            run->error = -EIO;
            continue;
        }
        wait_until(&s->ended, (r = take(s, &w, run)));
        r->block.write = write;
        r->block.offset = run->page << PAGE_SHIFT;
        r->block.count = run->count;
        memcpy(r->block.frames, run->frames, run->count * sizeof(*run->frames));
        int error = block_start(s->block, &r->block);
        if (error)
            ended(&r->block, error);
    }
    wait_until(&s->ended, all_ended(s, &w));
}

static void discard(struct swap_device *d, u64 page, u64 count) {
    (void)block_discard(of(d)->block, page << PAGE_SHIFT, count << PAGE_SHIFT);
}

void swap_off_block(struct swap_device *d) {
    struct swap_block *s = of(d);
    for (unsigned i = 0; i < FLIGHT; i++)
        kfree(s->requests[i]);
    kfree(s);
}

struct swap_device *swap_on_block(struct block_device *block) {
    _Static_assert(SWAP_CLUSTER <= BLOCK_FRAMES_MOST, "a run fits into a request");
    struct swap_block *s = kzalloc(sizeof(*s));
    bool made = s;
    if (!s)
        return NULL;
    waitq_init(&s->ended);
    s->block = block;
    s->device.transfer = transfer;
    s->device.discard = block_can_discard(block) ? discard : NULL;
    for (unsigned i = 0; i < FLIGHT && made; i++) {
        struct request *r = s->requests[i] = kzalloc(sizeof(*r));
        made = r;
        if (r) {
            r->owner = s;
            r->block.ended = ended;
        }
    }
    if (!made)
        swap_off_block(&s->device);
    return made ? &s->device : NULL;
}
