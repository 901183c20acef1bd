/* policy_clock.c - "clock": one hand goes over all pages in the order of their numbers; a page that was used since it
 * came by last is spared once.
 *
 * It needs no queue, and hears neither what comes nor what goes: so it costs nothing until memory is short. */
#include "vm/policy.h"

static u32 hand;

static void clock_start(void) { hand = 0; }

static unsigned clock_victims(struct policy_ask *ask) {
    unsigned n = 0;
    u64 looked = 0;
    while (n < ask->most && looked < POLICY_STEPS_MOST) {
        u32 page = hand;
        hand = hand + 1 < policy_pages ? hand + 1 : 0;
        looked++;
        if (policy_present(page) && !policy_used(page))
            ask->pages[n++] = page;
    }
    ask->looked = ask->harvest = looked;
    return n;
}

static void clock_stays(u32 page, bool used) {}

const struct policy policy_clock = {
    .name = "clock",
    .start = clock_start,
    .victims = clock_victims,
    .stays = clock_stays,
};
