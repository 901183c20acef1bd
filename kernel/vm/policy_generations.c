/* policy_generations.c - "generations": in the shape of Linux's multi-generational LRU (MGLRU, mm/vmscan.c since 6.1).
 *
 *     four queues in a ring, by age:   youngest  young  old  oldest ──► evicted
 *
 * Aging harvests all tables: what was used moves to the youngest generation, and a new one is begun; it happens when
 * only two generations are left. What comes by a fault enters the youngest; what a victim's accessed bit saves, too.
 * A page that comes back soon after its generation went is protected one generation more than others: it enters the
 * youngest, others the one before. */
#include "vm/policy.h"

#define GENERATIONS 4u
#define LEAST 2u

static u32 youngest, oldest; /* sequence numbers; queue: modulo GENERATIONS */
static bool aging;           /* a harvest was asked for */

static unsigned queue_of(u32 sequence) { return sequence % GENERATIONS; }

static void generations_start(void) {
    youngest = LEAST - 1;
    oldest = 0;
    aging = false;
}

static void put(u32 sequence, u32 page) { policy_push(queue_of(sequence), page); }

static void generations_insert(u32 page) { put(youngest, page); }
static void generations_refault(u32 page, u32 memo) { put(youngest, page); }

static void generations_touched(u32 page) {
    policy_remove(page);
    put(youngest, page);
}

static void generations_cold(u32 page) {
    policy_remove(page);
    policy_push_last(queue_of(oldest), page);
}

static unsigned generations_victims(struct policy_ask *ask) {
    unsigned n = 0;
    if (aging) { /* what was used is in the youngest generation now */
        aging = false;
        youngest++;
    }
    while (oldest + LEAST <= youngest && !policy_queues[queue_of(oldest)].count)
        oldest++;
    if (youngest - oldest + 1 <= LEAST) {
        aging = true;
        ask->harvest = policy_pages;
        ask->looked = 1;
        return 0;
    }
    struct policy_queue *q = &policy_queues[queue_of(oldest)];
    for (; n < ask->most && q->count; n++) {
        ask->pages[n] = q->tail;
        policy_remove(q->tail);
    }
    ask->looked = n;
    return n;
}

static void generations_stays(u32 page, bool used) { put(used ? youngest : oldest + 1, page); }

static u32 generations_evicted(u32 page) { return oldest; }

const struct policy policy_generations = {
    .name = "generations",
    .start = generations_start,
    .insert = generations_insert,
    .refault = generations_refault,
    .touched = generations_touched,
    .cold = generations_cold,
    .victims = generations_victims,
    .stays = generations_stays,
    .evicted = generations_evicted,
};
