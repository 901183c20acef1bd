/* policy_sieve.c - "sieve": one queue and a hand (Zhang and others, NSDI 2024).
 *
 * What comes goes to the head. The hand goes from the tail towards the head, and back to the tail: what was used since
 * it came by last stays where it is, what was not goes. So old pages that are used are kept without being moved, and
 * new ones are looked at soon. */
#include "vm/policy.h"

#define QUEUE 0

static void sieve_start(void) {}
static void sieve_insert(u32 page) {
    policy_nodes[page].bits = 1;
    policy_push(QUEUE, page);
}

/* The hand comes to it next. */
static void sieve_cold(u32 page) {
    struct policy_queue *q = &policy_queues[QUEUE];
    policy_remove(page);
    policy_push_behind(QUEUE, page, q->hand != POLICY_NONE ? q->hand : q->tail);
    q->hand = page;
}

static unsigned sieve_victims(struct policy_ask *ask) {
    struct policy_queue *q = &policy_queues[QUEUE];
    unsigned n = 0;
    u64 looked = 0;
    for (; n < ask->most && looked < POLICY_STEPS_MOST && q->count; looked++) {
        u32 page = q->hand != POLICY_NONE ? q->hand : q->tail;
        q->hand = policy_nodes[page].prev;
        if (policy_used(page))
            continue;
        policy_remove(page);
        ask->pages[n++] = page;
    }
    ask->looked = ask->harvest = looked;
    return n;
}

/* It was beside the hand, which has passed it: so it is put back there, at the hand's old side. */
static void sieve_stays(u32 page, bool used) {
    u32 hand = policy_queues[QUEUE].hand;
    policy_push_behind(QUEUE, page, hand);
}

const struct policy policy_sieve = {
    .name = "sieve",
    .start = sieve_start,
    .insert = sieve_insert,
    .cold = sieve_cold,
    .victims = sieve_victims,
    .stays = sieve_stays,
};
