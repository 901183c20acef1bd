/* area.h - swap areas: the devices that pages without another home are written to, and the counts of their slots.
 *
 * A slot is one page of one area: its number has the area above AREA_SHIFT and the page below. Its count says how often
 * it is named (swap.h says by what): at 0 it is free. Page 0 of an area is its header, so slot 0 means none. */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"
#include "vm/frame.h"

#define AREA_SHIFT 28u /* 2^28 pages: 1 TiB */
#define AREAS_MOST 16u /* so a slot fits into 32 bits */
#define SLOTS_MOST (1ULL << AREA_SHIFT)
static inline unsigned slot_area(u64 slot) { return (unsigned)(slot >> AREA_SHIFT); }
static inline u64 slot_page(u64 slot) { return slot & (SLOTS_MOST - 1); }

#define SWAP_CLUSTER 32u /* pages written out together, and at most in one run; slots that are given out together */

/* Pages that follow one another, in the area and in `frames`. */
struct swap_run {
    u64 page; /* of the area */
    struct frame **frames;
    unsigned count;
    int error; /* what became of it: 0 or -errno */
};

/* What is below an area. transfer: all runs, at the same time as far as the device can; their errors say how it went.
 * Sleeps; takes no memory that only reclaim could find. discard: these pages' contents are wanted no more; NULL:
 * nothing is to be told. Sleeps; a failure is nobody's business.
 *
 * transfer may be NULL: nothing is below, and the area's contents are in the compressed tier only (zswap.h). Then what
 * the tier refuses stays in memory. */
struct swap_device {
    void (*transfer)(struct swap_device *d, bool write, struct swap_run *runs, unsigned count);
    void (*discard)(struct swap_device *d, u64 page, u64 count);
};

/* area_add: use pages [1, pages) of a device, but for `bad` ones, from now on. priority < 0: the next one below all
 * that were given so. The area's number; -EINVAL: nothing to use; -ENOMEM; -EPERM: too many areas. Sleeps. */
int area_add(struct swap_device *d, u64 pages, int priority, const u32 *bad, unsigned bad_count) must_check;
/* area_close: no slot of it is given out any more. area_open: again. area_remove: one that is closed and has no slot in
 * use goes, and its device is the caller's again; false: some are in use. Sleeps. */
void area_close(unsigned area);
void area_open(unsigned area);
bool area_remove(unsigned area) must_check;
/* area_empty (swapoff.c): close it, and bring all that is in it back to memory. 0: nothing uses it, until area_open.
 * -ENOMEM, -EIO, or what pause() says, which is called now and then: it is open again, and nothing is lost. Sleeps. By
 * one task at a time. */
int area_empty(unsigned area, int (*pause)(void)) must_check;

struct area_state {
    struct swap_device *device; /* NULL: no such area */
    u64 slots, used;            /* that can be used; that are */
    int priority;
    bool closed;
};
void area_look(unsigned area, struct area_state *out);
struct swap_device *area_device(unsigned area); /* of an area that a slot is held of */

/* The list of areas, and the memory of their counts, stays as it is between the two. Sleeps. */
void areas_hold(void);
void areas_let_go(void);

struct swap_totals {
    u64 slots, used; /* that can be used; that are */
    u64 used_most;   /* ... and ever were at a time */
    u64 cached;      /* frames that have the contents of a slot: in the swap cache, or an object's */
    u64 of_objects;  /* slots in use that have pages of objects: they stay when all programs are gone */
};
void areas_total(struct swap_totals *out); /* slots and used only */

/* area_discards: from now on the device is told of slots that came free, a whole chunk (SWAP_CHUNK) of them at once: by
 * who calls swap_discard_one while swap_discard_wanted, which the queue is woken for. Meanwhile no slot of the chunk is
 * given out; so it is done only while the area has others. swap_discarded: pages, since boot. */
void area_discards(unsigned area);
bool swap_discard_wanted(void);
void swap_discard_one(void); /* sleeps */
extern struct waitq swap_discard_waits;
extern u64 swap_discarded; /* atomic */
/* swap_has_device: of a slot that is held: something is below the compressed tier. */
static inline bool swap_has_device(u64 slot) { return area_device(slot_area(slot))->transfer; }

/* ---- slots, for vm/ */

/* For the checker, with the areas held: the first slot from `from` on whose chunk was ever used; ~0: none. */
#define SWAP_CHUNK 2048u /* slots whose counts fit into one page */
u64 swap_next_chunk(u64 from);

/* swap_alloc: a free slot, count 1, of the area with the highest priority that has one, mostly the one after the last;
 * 0: none. Called by one task at a time; may sleep. */
u64 swap_alloc(void) must_check;
void swap_dup(u64 slot);  /* one more names it; the caller has one that stays meanwhile */
void swap_put(u64 slot);  /* one less. Any locks */
bool swap_hold(u64 slot); /* one more for who has none, unless it is 0 just now. Any locks */
u32 swap_count(u64 slot);
/* swap_bad: the device does not take this slot: never use it again; without a device it is free. The caller has its
 * only count. */
void swap_bad(u64 slot);
bool swap_room(void); /* there is a free slot, or was a moment ago */
/* swap_leaving: nothing should name this slot any longer than it must: its area is closed. swap_crowded: the same, or
 * more than seven eighths of all are used: better give it back than keep it for a frame that has its contents. */
bool swap_leaving(u64 slot);
bool swap_crowded(u64 slot);
