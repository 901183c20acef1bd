/* policy_lirs.c - "lirs": the pages that are used again soonest stay, however many others pass by.
 *
 * After LIRS (Jiang and Zhang, SIGMETRICS 2002), at the grain of what a VM sees. Time is counted in ticks: a harvest of
 * all tables, asked for each time when 1/16 of memory has been evicted. A page's stamp is the tick of its last use.
 *
 *     HOT    most of memory, by stamp: a harvest moves what was used to the head
 *     COLD   the rest, in the order in which it came: what is not used again before it reaches the tail goes
 *     TRIAL  pages that came back, and cold ones that were used again, until the next tick
 *
 *     tick:  a page on trial becomes hot if its use before this one is later than the last use of the hot tail, for
 *            then it is wanted again sooner than that one; a hot tail becomes cold for it
 *
 * So in a loop larger than memory the hot pages stay, since each is used once a round like all others, and only what
 * does not fit beside them is read again. A scan passes through COLD. A page that goes leaves its stamp as memo.
 *
 * The trial waits for the tick since before it the stamps are old: every page of a loop would seem better than the
 * tail.
 *
 * How much is COLD adapts, by what comes back: a page that was never hot and passes would have been found in a larger
 * COLD; one that was hot, or fails, says that HOT is too small. */
#include "vm/policy.h"

enum { HOT, COLD, TRIAL };

#define NEW 1u     /* bits: its first use, the fault, may not have been seen yet */
#define DEMOTED 2u /* was hot */
#define BACK 4u    /* had been evicted */

#define TICKS 16u /* in as many evictions as there are pages */
#define OLD 24    /* ticks: a hot page that was not used for so long becomes cold without a trial */
#define GROW 16u  /* one read too many for a small COLD costs as much as so many for a small HOT */
#define SLACK 64u /* pages by which COLD may be larger than it should before trials are waived */

static u16 now;         /* ticks */
static u32 since;       /* evictions since the last one */
static bool harvesting; /* the harvest of the tick to come was asked for */
static u32 cold_wanted;
static bool full; /* memory was short once: until then what comes is hot */

static s32 age(u16 stamp) { return (u16)(now - stamp); }
static u32 resident(void) { return policy_queues[HOT].count + policy_queues[COLD].count + policy_queues[TRIAL].count; }
static u32 cold_least(void) { return max(resident() / 32, 16U); }

static void lirs_start(void) {
    now = 0;
    since = 0;
    harvesting = false;
    cold_wanted = 0;
    full = false;
}

static void put(unsigned queue, u32 page, u8 bits) {
    policy_remove(page);
    policy_nodes[page].bits = bits;
    policy_push(queue, page);
}

static void balance(void) {
    u32 cold = max(cold_wanted, cold_least());
    while (policy_queues[HOT].count && policy_queues[COLD].count < cold)
        put(COLD, policy_queues[HOT].tail, DEMOTED);
}

static void lirs_insert(u32 page) {
    policy_nodes[page].stamp = now;
    put(full ? COLD : HOT, page, NEW);
}

static void lirs_refault(u32 page, u32 memo) {
    policy_nodes[page].stamp = (u16)memo;
    put(TRIAL, page, BACK | (memo >> 16 & DEMOTED));
}

/* A cold page was used. */
static void reuse(u32 page) {
    u8 bits = policy_nodes[page].bits;
    if (bits & NEW)
        policy_nodes[page].bits = 0;
    else
        put(TRIAL, page, bits & DEMOTED);
}

static void lirs_touched(u32 page) {
    if (policy_in(COLD, page)) {
        reuse(page);
    } else if (policy_in(HOT, page)) {
        policy_nodes[page].stamp = now;
        put(HOT, page, 0);
    }
}

static void lirs_cold(u32 page) {
    policy_remove(page);
    policy_nodes[page].bits = 0;
    policy_push_last(COLD, page);
}

static void learn(u8 bits, bool passed) {
    if (passed && !(bits & DEMOTED))
        cold_wanted += GROW;
    else if (cold_wanted)
        cold_wanted--;
    cold_wanted = min(max(cold_wanted, cold_least()), resident() / 8 * 7);
}

static void try_page(u32 page) {
    struct policy_node *n = &policy_nodes[page];
    u32 tail = policy_queues[HOT].tail;
    u32 cold = policy_queues[COLD].count + policy_queues[TRIAL].count;
    bool waived = tail == POLICY_NONE || cold > max(cold_wanted, cold_least()) + SLACK;
    bool passed = waived || age(n->stamp) < age(policy_nodes[tail].stamp);
    if (!waived && (n->bits & BACK))
        learn(n->bits, passed);
    n->stamp = now;
    put(passed ? HOT : COLD, page, 0);
}

static void tick(void) {
    since = 0;
    while (policy_queues[TRIAL].count)
        try_page(policy_queues[TRIAL].tail);
    now++;
    for (u32 tail; (tail = policy_queues[HOT].tail) != POLICY_NONE && age(policy_nodes[tail].stamp) > OLD;)
        put(COLD, tail, DEMOTED);
    balance();
}

/* The harvest of the tick is asked for in one call and used in the next. The first tick is due when memory is short for
 * the first time: what was not used lately is at the tail then. */
static bool tick_due(void) {
    bool due =
        !full || since >= max(resident() / TICKS, 1U) || (policy_queues[TRIAL].count && !policy_queues[COLD].count);
    full = true;
    if (harvesting)
        tick();
    harvesting = due && !harvesting;
    return harvesting;
}

static unsigned lirs_victims(struct policy_ask *ask) {
    unsigned n = 0;
    ask->looked = 1;
    if (tick_due()) {
        ask->harvest = policy_pages;
        return 0;
    }
    for (; n < ask->most; n++) {
        u32 page = policy_queues[COLD].tail;
        if (page == POLICY_NONE && !policy_queues[TRIAL].count)
            page = policy_queues[HOT].tail;
        if (page == POLICY_NONE)
            break; /* or a tick is due */
        policy_remove(page);
        ask->pages[n] = page;
    }
    ask->looked = n ? n : policy_queues[TRIAL].count != 0;
    return n;
}

/* What cannot go must not fill COLD. */
static void lirs_stays(u32 page, bool used) {
    put(used ? COLD : HOT, page, policy_nodes[page].bits);
    if (used)
        reuse(page);
    else
        policy_nodes[page].stamp = now;
}

static u32 lirs_evicted(u32 page) {
    since++;
    return policy_nodes[page].stamp | (u32)(policy_nodes[page].bits & DEMOTED) << 16;
}

const struct policy policy_lirs = {
    .name = "lirs",
    .keeps = 1u << HOT | 1u << TRIAL,
    .start = lirs_start,
    .insert = lirs_insert,
    .refault = lirs_refault,
    .touched = lirs_touched,
    .cold = lirs_cold,
    .victims = lirs_victims,
    .stays = lirs_stays,
    .evicted = lirs_evicted,
};
