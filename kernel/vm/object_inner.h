/* object_inner.h - an object from inside vm/: what its tree holds, and visits of who maps it. For object.c and evict.c.
 *
 * A value of the tree is a frame, or the slot of the swap area that has the page's contents; the tree is the only one
 * that names that slot. */
#pragma once

#include "vm/object.h"

static inline bool value_is_slot(const void *value) { return (uintptr_t)value & 1; }
static inline struct frame *value_frame(void *value) { return value_is_slot(value) ? NULL : value; }
static inline u64 value_slot(const void *value) { return (uintptr_t)value >> 1; }
static inline void *value_of_slot(u64 slot) { return (void *)(uintptr_t)(slot << 1 | 1); }

static inline u64 object_index(const struct frame *f) { return (u64)f->index_high << 32 | f->object.index; }

enum visit {
    VISIT_UNMAP,         /* the object's frames, and private copies of them */
    VISIT_UNMAP_OBJECT,  /* the object's frames only */
    VISIT_EVICT,         /* the same, but for locked memory */
    VISIT_WRITE_PROTECT, /* shared mappings may not write until they fault again */
    VISIT_COUNT,         /* nothing changes; how many spaces show the pages is the answer */
};
/* object_visit: every table that maps pages [first, end) of o. o->mutex held: one visit at a time. */
u64 object_visit(struct object *o, u64 first, u64 end, enum visit visit);
u64 object_seen(struct frame *f); /* frame_seen, of an object's frame, pinned */

/* All with o->lock held. */

/* object_attach: f, of the caller's, will be page `index` of o: with two pins, the tree's and the caller's.
 * object_detach: it is no more. The tree itself is the caller's business. */
void object_attach(struct object *o, u64 index, struct frame *f, u8 flags);
void object_detach(struct object *o, struct frame *f);
/* object_remove: the frame of page `index` leaves the tree; the caller drops the tree's pin. */
struct frame *object_remove(struct object *o, u64 index);
void object_dirty_locked(struct object *o, struct frame *f);
void object_count_dirty(struct object *o, int by); /* so many more of its pages are dirty, or being stored */
/* object_slot_stale: a frame with FRAME_SWAP is about to differ from its slot, or to go: the slot is given back. */
void object_slot_stale(struct frame *f);
/* object_drop_slot: the slot that is page `index` leaves the tree and is given back. */
void object_drop_slot(struct object *o, u64 index);

/* object_swap_in: page `index`, a slot a moment ago, is brought back, those after it too if they are wanted soon; with
 * `overwrite`, without its contents. *out: pinned. 0; -EEXIST: look again; -ENOMEM, -EIO: nothing changed. Sleeps. No
 * lock held. */
int object_swap_in(struct object *o, u64 index, bool overwrite, struct frame **out);

/* object_replace: f, a frame of an object, pinned once by the caller, is nowhere mapped any more, and `fresh`, which is
 * of the same class and nobody's, has its contents and its place; fresh is NULL: they are lost, and what has no other
 * home cannot be read any more (-EIO). -EBUSY: nothing changed but that it may have to be mapped again. Sleeps. */
int object_replace(struct frame *f, struct frame *fresh) must_check;

/* objects_bring_back: the pages of all objects that are in slots [first, end), while that area is closed. 0; -ENOMEM,
 * -EIO; or what pause() says, which is called now and then. Sleeps. objects_release: frames of objects that keep one of
 * these slots give it back. No batch of reclaim is under way. */
int objects_bring_back(u64 first, u64 end, int (*pause)(void)) must_check;
void objects_release(u64 first, u64 end);

/* object_release: o->users was raised so that it does not go away; no more. */
void object_release(struct object *o);

/* objects_each_slot: every slot that an object's tree holds. For the checker: the machine stands still. */
void objects_each_slot(void (*visit)(u64 slot, void *argument), void *argument);

/* object_show_row: of the `count` pages from `index` on, those that object_peek would find are mapped, each by its slot
 * from `slot` on, if that is empty; bits: what an entry says beside the frame. How many were. Their table locked. */
u64 object_show_row(struct object *o, u64 index, unsigned count, entry *slot, entry bits);
