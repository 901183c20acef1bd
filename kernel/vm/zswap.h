/* zswap.h - the compressed tier: contents of swap slots that are kept in memory, smaller, before the device gets them.
 *
 * swap.c asks here first, for each page: what is refused goes to the device. A slot's contents are in one of the two
 * places; who frees the slot says so here. */
#pragma once

#include "lib/base.h"
#include "vm/frame.h"

/* zswap_set_limit: the tier may have so many frames; 0: it takes no more. The first time it gets what it works with:
 * -ENOMEM. By one task at a time; sleeps. */
int zswap_set_limit(u64 frames);
bool zswap_on(void);

struct zswap_totals {
    u64 limit, frames;           /* it may have; it has */
    u64 pages, same;             /* kept; of them, those that are one word repeated */
    u64 incompressible;          /* refused since boot: hardly smaller */
    u64 full;                    /* ... no room, and nothing could be written back */
    u64 written_back;            /* since boot: to the device, in age order */
    u64 out, in;                 /* since boot: kept, and read again */
    u64 frames_most, pages_most; /* it ever had */
};
void zswap_totals(struct zswap_totals *out);

/* ---- for swap.c */

/* zswap_store: the contents of f, of the caller's, are those of slot: 0: they are kept here. -E2BIG: hardly smaller;
 * -EAGAIN: no room now, or it is off. `spill` writes the page of a slot to its device, so that older ones make room; it
 * sleeps. */
int zswap_store(u64 slot, struct frame *f, int (*spill)(u64 slot, struct frame *f));
/* zswap_load: f gets the contents of slot, of which the caller holds a count; false: they are not here. */
bool zswap_load(u64 slot, struct frame *f);
/* zswap_forget: slot is free. Any locks, but zswap's own. */
void zswap_forget(u64 slot);
bool zswap_stuck(void); /* a hint: no room was found and none was given back since, so that asking again is vain */
