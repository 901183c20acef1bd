/* policy_s3fifo.c - "s3fifo": three queues, none of them moved by a use (Yang and others, SOSP 2023).
 *
 *     insert ──► SMALL, a tenth ──► used again: MAIN; else evicted, and remembered
 *     refault ─► MAIN ──► used: round again, one use less; else evicted, and forgotten
 *
 * Uses are counted up to 3, as harvests and the looks at victims see them; the first that is seen is the fault itself.
 */
#include "vm/policy.h"

enum { SMALL, MAIN };

#define USES 3u       /* bits: how often it was used */
#define FIRST 4u      /* its fault may still be seen */
#define FROM_SMALL 8u /* a victim that was in SMALL */

static u32 clock_now; /* evictions from SMALL */

static void s3fifo_start(void) { clock_now = 0; }

static void put(unsigned queue, u32 page, u8 bits) {
    policy_nodes[page].bits = bits;
    policy_push(queue, page);
}

static void s3fifo_insert(u32 page) { put(SMALL, page, FIRST); }

/* Remembered are as many as there are in memory. */
static void s3fifo_refault(u32 page, u32 memo) {
    u32 known = policy_queues[MAIN].count + policy_queues[SMALL].count;
    put(memo && ((clock_now - memo) & POLICY_MEMO) <= known ? MAIN : SMALL, page, FIRST);
}

static void s3fifo_touched(u32 page) {
    struct policy_node *n = &policy_nodes[page];
    if (n->bits & FIRST)
        n->bits &= (u8)~FIRST;
    else if ((n->bits & USES) < USES)
        n->bits++;
}

static void s3fifo_cold(u32 page) {
    unsigned queue = policy_in(MAIN, page) ? MAIN : SMALL;
    policy_remove(page);
    policy_nodes[page].bits = 0;
    policy_push_last(queue, page);
}

static unsigned s3fifo_victims(struct policy_ask *ask) {
    struct policy_queue *small = &policy_queues[SMALL], *main = &policy_queues[MAIN];
    unsigned n = 0;
    u64 looked = 0;
    for (; n < ask->most && looked < POLICY_STEPS_MOST && small->count + main->count; looked++) {
        bool from_small = small->count && (!main->count || 10 * small->count >= small->count + main->count);
        u32 page = (from_small ? small : main)->tail;
        u8 bits = policy_nodes[page].bits;
        policy_remove(page);
        if (bits & USES) {
            put(MAIN, page, from_small ? 0 : bits - 1);
            continue;
        }
        policy_nodes[page].bits = bits | (from_small ? FROM_SMALL : 0);
        ask->pages[n++] = page;
    }
    ask->looked = ask->harvest = looked;
    return n;
}

/* What cannot go is in MAIN: SMALL is to be emptied. */
static void s3fifo_stays(u32 page, bool used) {
    u8 bits = policy_nodes[page].bits;
    put(used && (bits & FROM_SMALL) && (bits & FIRST) ? SMALL : MAIN, page, 0);
}

static u32 s3fifo_evicted(u32 page) {
    return policy_nodes[page].bits & FROM_SMALL ? max(++clock_now & POLICY_MEMO, 1U) : 0;
}

const struct policy policy_s3fifo = {
    .name = "s3fifo",
    .keeps = 1u << MAIN,
    .start = s3fifo_start,
    .insert = s3fifo_insert,
    .refault = s3fifo_refault,
    .touched = s3fifo_touched,
    .cold = s3fifo_cold,
    .victims = s3fifo_victims,
    .stays = s3fifo_stays,
    .evicted = s3fifo_evicted,
};
