/* swap.h - where pages that have no other home are while no frame holds them: slots of swap areas (area.h), and the
 * swap cache.
 *
 * A slot's count says how many entries of leaf tables name it (one in a shared table counts once), plus one while a
 * frame is in the swap cache under it, plus what holds it for a moment. The slot of an object's page is named once: by
 * the object's tree, or by the frame there that has the same contents (evict.c).
 *
 * The swap cache finds the frame that has the contents of a slot: while it is written out, while it is read in, and
 * afterwards for as long as the frame lives unchanged, so that it needs no second write. A cached frame is never mapped
 * writable; swap_take makes it so by taking it out. The cache holds no reference: a frame that is freed leaves it. */
#pragma once

#include "lib/base.h"
#include "vm/area.h"
#include "vm/frame.h"
#include "vm/radix.h"

#define SWAP_AHEAD 8u         /* entries of one table, or pages of one object, read in together, at most */
extern u64 swap_page_cluster; /* ... and at most two to the power of this: /proc/sys/vm/page-cluster */
/* swap_ahead: how many to read together from `at` on, if the last time they were `pages` from `last` on: twice as many
 * where a sequence goes on, or a little later, past what is there; else half as many, down to the one that is needed.
 * From 0 on all, for a sequence may come from the table before. A hint: no lock. */
unsigned swap_ahead(u64 at, u64 last, unsigned pages);

void swap_totals(struct swap_totals *out);

/* ---- for vm/ */

bool swap_caches(struct frame *f); /* for the checker: f is in the cache as it says */
u32 swap_users(u64 slot);          /* the entries that name it: the count without the cache's */
/* swap_release: the frames in the cache under slots [first, end) that no entry names and nobody uses leave it. `kept`
 * frames are those that could not be written: they lose their mark and the pin that keeps them. No batch is under way.
 */
void swap_release(u64 first, u64 end);

/* swap_insert: f, of the caller's, is in the cache under slot, which gains a count. -EEXIST; -ENOMEM: radix_reserve the
 * nodes. Any locks. */
int swap_insert(u64 slot, struct frame *f, struct radix_reserve *nodes) must_check;
/* swap_peek: the cached frame, pinned, perhaps FRAME_FILLING still; NULL: there is none, or it is about to leave. */
struct frame *swap_peek(u64 slot);
/* swap_take: f leaves the cache, if nothing but its one mapping refers to it and to its slot: it may be written then.
 * The leaf that maps it is locked. swap_sole: it has left, or does now. swap_again: f, any frame, was kept, may be
 * tried again, and is now: the pin that kept it is the caller's. */
bool swap_take(struct frame *f);
bool swap_again(struct frame *f) must_check;
static inline bool swap_sole(struct frame *f) {
    return frame_sole(f) || ((frame_flags(f) & FRAME_SWAP) && swap_take(f));
}
/* swap_moves: from +1 to -1 a move (mremap) is under way: frames that several slots map stay in the cache, so that it
 * meets none that has become shared since it copied those that are. */
void swap_moves(int by);
/* swap_dup_cached: one more names the slot of f; 0: it has left the cache. The leaf that maps it is locked. */
u64 swap_dup_cached(struct frame *f) must_check;
/* swap_claim: f, pinned, is mapped by one slot more, at this index of a table of this ring; the pin is used up. False:
 * other slots map it elsewhere. Every first mapping of a cached frame is made by this. The leaf is locked. */
struct ring;
bool swap_claim(struct frame *f, struct ring *ring, u32 index);
/* swap_forget: f, which nobody can reach any more or which is the caller's, leaves the cache, if it is in it. */
void swap_forget(struct frame *f);

/* swap_replace: `fresh`, with the same contents, is in the cache in place of f, if that is. The machine stands still.
 */
void swap_replace(struct frame *f, struct frame *fresh);

/* swap_read: bring in the pages of slots[0 .. count), of each of which the caller holds a count; frames[n]: pinned and
 * cached, or NULL for all but the first where it is not worth while. 0; -EIO, -ENOMEM: nothing was brought. Sleeps. */
int swap_read(const u64 *slots, unsigned count, struct frame **frames) must_check;
/* swap_fill: the contents of their slots into the frames, which are the caller's to fill and know their slots, of which
 * he has counts. errors[n]: 0 or -errno: the first's is its own; the others, read ahead, may have one by a page that
 * was read with them. Sleeps. */
void swap_fill(struct frame **frames, unsigned count, int *errors);
/* swap_count_objects: so many more frames of objects have a slot; so many more slots stand in objects' trees. */
void swap_count_objects(int frames, int slots);
/* swap_filled: the frames lose FRAME_FILLING: who waits for them goes on. */
void swap_filled(struct frame **frames, unsigned count);
/* swap_write: frames, pinned by the caller, to the slots that they know. errors[n]: 0 or -errno; of the tier, where
 * nothing is below: -EAGAIN: it has no room now; -E2BIG: the page hardly compresses. Sleeps. */
void swap_write(struct frame **frames, unsigned count, int *errors);
