/* swap.h - where pages that have no other home are while no frame holds them: the slots of a swap area, and the swap
 * cache.
 *
 * A slot is one page of the area. Its count says how many entries of leaf tables name it (one in a shared table counts
 * once), plus one while a frame is in the swap cache under it, plus what holds it for a moment: at 0 it is free. The
 * slot of an object's page is named once: by the object's tree, or by the frame there that has the same contents
 * (evict.c).
 *
 * The swap cache finds the frame that has the contents of a slot: while it is written out, while it is read in, and
 * afterwards for as long as the frame lives unchanged, so that it needs no second write. A cached frame is never mapped
 * writable; swap_take makes it so by taking it out. The cache holds no reference: a frame that is freed leaves it. */
#pragma once

#include "lib/base.h"
#include "vm/frame.h"
#include "vm/radix.h"

/* The device below an area: pages of `slot` and the following ones, to or from `count` frames. Sleeps; takes no memory
 * that only reclaim could find. 0, or -EIO and the like for all of them. */
struct swap_device {
    int (*transfer)(struct swap_device *d, bool write, u64 slot, struct frame **frames, unsigned count);
};
#define SWAP_CLUSTER 32u /* pages written out together, and at most in one transfer */
#define SWAP_AHEAD 8u    /* entries of one table read in together */

/* swap_add: use the first `slots` pages of a device, once, at boot. Slot 0 is left alone (mkswap's header is there). 0,
 * -ENOMEM. */
int swap_add(struct swap_device *d, u64 slots);

struct swap_totals {
    u64 slots, used; /* that can be used; that are */
    u64 cached;      /* frames that have the contents of a slot: in the swap cache, or an object's */
};
void swap_totals(struct swap_totals *out);

/* ---- for vm/ */

/* For the checker: slots of the area, and whether any near this one (in its SWAP_CHUNK) was ever used; f is in the
 * cache as it says. */
#define SWAP_CHUNK 2048u /* slots whose counts fit into one page */
u64 swap_slots(void);
bool swap_used_near(u64 slot);
bool swap_caches(struct frame *f);

/* swap_alloc: a free slot, count 1, near the last one; 0: none. Called by one task at a time; may sleep. */
u64 swap_alloc(void);
void swap_dup(u64 slot); /* one more names it; the caller has one that stays meanwhile */
void swap_put(u64 slot); /* one less. Any locks */
u32 swap_count(u64 slot);
u32 swap_users(u64 slot); /* the entries that name it: the count without the cache's */
/* swap_bad: the device does not take this slot: never use it again. The caller has its only count. */
void swap_bad(u64 slot);
bool swap_room(void); /* there is a free slot, or was a moment ago */
bool swap_crowded(
    void); /* more than seven eighths are used: better give a slot back than keep it for a frame that has one */

/* swap_insert: f, of the caller's, is in the cache under slot, which gains a count. -EEXIST; -ENOMEM: radix_reserve the
 * nodes. Any locks. */
int swap_insert(u64 slot, struct frame *f, struct radix_reserve *nodes) must_check;
/* swap_peek: the cached frame, pinned, perhaps FRAME_FILLING still; NULL: there is none, or it is about to leave. */
struct frame *swap_peek(u64 slot);
/* swap_take: f leaves the cache, if nothing but its one mapping refers to it and to its slot: it may be written then.
 * The leaf that maps it is locked. */
bool swap_take(struct frame *f);
/* swap_claim: f, pinned, is mapped by one slot more, at this index of a table of this ring; the pin is used up. False:
 * other slots map it elsewhere. Every first mapping of a cached frame is made by this. The leaf is locked. */
struct ring;
bool swap_claim(struct frame *f, struct ring *ring, u32 index);
/* swap_forget: f, which nobody can reach any more or which is the caller's, leaves the cache. */
void swap_forget(struct frame *f);

/* swap_read: bring in the pages of slots[0 .. count), of each of which the caller holds a count; frames[n]: pinned and
 * cached, or NULL for all but the first where it is not worth while. 0; -EIO, -ENOMEM: nothing was brought. Sleeps. */
int swap_read(const u64 *slots, unsigned count, struct frame **frames) must_check;
/* swap_fill: the contents of their slots into the frames, which are the caller's to fill and know their slots, of which
 * he has counts. errors[n]: 0 or -errno. Sleeps. */
void swap_fill(struct frame **frames, unsigned count, int *errors);
/* swap_copies: so many more frames of objects have the contents of a slot. */
void swap_copies(int by);
/* swap_filled: the frames lose FRAME_FILLING: who waits for them goes on. */
void swap_filled(struct frame **frames, unsigned count);
/* swap_write: frames, pinned by the caller, to the slots that they know. errors[n]: 0 or -errno. Sleeps. */
void swap_write(struct frame **frames, unsigned count, int *errors);
