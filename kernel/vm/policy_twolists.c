/* policy_twolists.c - "twolists": Linux's classic reclaim (mm/vmscan.c, mm/workingset.c; not MGLRU), in its shape.
 *
 *     insert ──► INACTIVE head ... tail ──► used twice: ACTIVE; once: once more round; else evicted
 *                    ▲                             │
 *                    └──── ACTIVE tail ◄───────────┘   while ACTIVE is larger than its share
 *
 * A page that comes back is activated at once if its refault distance, the evictions and activations since it went, is
 * at most the size of ACTIVE: it would have stayed, had ACTIVE's place been INACTIVE's. Its memo is that clock. */
#include "vm/policy.h"

enum { INACTIVE, ACTIVE };

#define REFERENCED 1u /* bits: was found used once */

static u32 clock_now; /* evictions and activations */

static void twolists_start(void) { clock_now = 0; }

/* Linux's inactive_ratio: ACTIVE may be sqrt(10 * GiB) times as large as INACTIVE, once below 1 GiB. */
static u32 ratio(void) {
    u64 square = 10 * ((u64)policy_pages * PAGE_SIZE / GiB), root = 0;
    while ((root + 1) * (root + 1) <= square)
        root++;
    return max((u32)root, 1U);
}

static void put(unsigned queue, u32 page) {
    policy_nodes[page].bits = 0;
    policy_push(queue, page);
}

static void twolists_insert(u32 page) { put(INACTIVE, page); }

static void twolists_refault(u32 page, u32 memo) {
    u32 distance = (clock_now - memo) & POLICY_MEMO;
    put(distance <= policy_queues[ACTIVE].count ? ACTIVE : INACTIVE, page);
    if (policy_in(ACTIVE, page))
        clock_now++;
}

static void twolists_cold(u32 page) {
    policy_remove(page);
    policy_nodes[page].bits = 0;
    policy_push_last(INACTIVE, page);
}

/* Linux looks at the accessed bits of ACTIVE's tail too, but for anonymous memory what they say counts for nothing. */
static void shrink_active(unsigned most) {
    struct policy_queue *a = &policy_queues[ACTIVE];
    for (; most && a->count && policy_queues[INACTIVE].count * ratio() < a->count; most--) {
        u32 page = a->tail;
        policy_used(page);
        policy_remove(page);
        put(INACTIVE, page);
    }
}

static unsigned twolists_victims(struct policy_ask *ask) {
    unsigned n = 0;
    shrink_active(ask->most);
    while (n < ask->most) {
        u32 page = policy_queues[policy_queues[INACTIVE].count ? INACTIVE : ACTIVE].tail;
        if (page == POLICY_NONE)
            break;
        policy_remove(page);
        ask->pages[n++] = page;
    }
    ask->looked = ask->harvest = n;
    return n;
}

/* What cannot go must not fill INACTIVE. */
static void twolists_stays(u32 page, bool used) {
    bool once = used && !(policy_nodes[page].bits & REFERENCED);
    put(once ? INACTIVE : ACTIVE, page);
    policy_nodes[page].bits = once ? REFERENCED : 0;
    clock_now += !once;
}

static u32 twolists_evicted(u32 page) { return ++clock_now; }

const struct policy policy_twolists = {
    .name = "twolists",
    .keeps = 1u << ACTIVE,
    .start = twolists_start,
    .insert = twolists_insert,
    .refault = twolists_refault,
    .cold = twolists_cold,
    .victims = twolists_victims,
    .stays = twolists_stays,
    .evicted = twolists_evicted,
};
