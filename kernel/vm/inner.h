/* inner.h - an address space from inside vm/: its parts, the fork exclusion, walks, and the steps that operations
 * share. */
#pragma once

#include "vm/event.h"
#include "vm/record.h"
#include "vm/space.h"
#include "vm/table.h"
#include "vm/watch.h"

#define USER_PAGES                                                                                                     \
    (0x00007ffffffff000ULL >> PAGE_SHIFT) /* pages [0, USER_PAGES) can be mapped; the last page of the half never is   \
                                           */
#define FIRST_PAGE 16ULL                  /* mmap_min_addr: 64 KiB, as Debian sets it */
#define GUARD_PAGES 256ULL                /* stack_guard_gap: 1 MiB below what grows down */
#define GAP_CLASSES 36u                   /* powers of two of pages below 2^47 bytes */

/* Pages by what their views say. */
struct tally {
    s64 total, data, stack, exec, locked, committed, shared;
    s64 special; /* VIEW_SPECIAL_FOR_FORK, or watched: fork has something to do for them */
};
static inline bool view_is_data(const struct view *v) { /* private, writable, no stack: RLIMIT_DATA */
    return (v->flags & (VIEW_WRITE | VIEW_SHARED | VIEW_GROWSDOWN)) == VIEW_WRITE;
}
#define VIEW_SPECIAL_FOR_FORK (VIEW_DONTFORK | VIEW_WIPEONFORK | VIEW_LOCKED | VIEW_ONFAULT)
void tally_add(struct tally *y, const struct view *v, s64 pages);

/* Legend: [r] the range mutex; [a] atomic; [c] constant. */
struct space {
    struct machine_space m; /* [a] */
    struct table *root;     /* [c] never shared, never replaced */
    u32 references;         /* [a] */
    u32 closed;             /* [a] the fork exclusion is taken alone */
    u64 visitors[MACHINE_CPUS /
                 64]; /* [a] CPUs that are inside without having the space loaded: who closes must wait for them too */
    struct mutex range;        /* range operations, fork and walks exclude each other */
    struct tally sum;          /* [r] plan totals (invariant 8) */
    u64 mappings;              /* [r] runs, joined across tables */
    u64 peak_total;            /* [r] */
    u64 peak_resident;         /* [r] of the samples that resident_sample took */
    u64 brk_start, brk;        /* [r] bytes */
    u64 gap_top;               /* [r] mmap looks for gaps below this page */
    u64 gap_from[GAP_CLASSES]; /* [r] no gap of >= 2^k pages lies in [gap_from[k], gap_top); falls with k */
    u64 hole_first, hole_end;  /* [r] a whole gap, guard left out, or empty: the one used or freed last */
    struct view *recent;       /* [r] of the last anonymous mapping, a reference of our own; or NULL */
    u32 locked_default;        /* [r] VIEW_LOCKED/ONFAULT for new mappings (MCL_FUTURE) */
    u64 moving_from, moving_to,
        moving_pages; /* what mremap is moving: faults there wait for it; written while closed */
    bool randomise;
    struct list all_link; /* in all_spaces, under its lock */
    struct list watches;  /* of struct watch by in_space, likewise */
    struct space_info info;
    struct space_limits limits;
};

extern struct spin all_spaces_lock;
extern struct list all_spaces; /* every space that has a root: for check.c */

/* space_fault_from: remote: from outside, so that no stack grows, but for a debugger; with `force`, against the view's
 * protection: a read of anything that could be made readable, a write to private memory, which makes a copy in a slot
 * that stays as little accessible as its view says. */
enum fault_outcome space_fault_from(struct space *s, u64 address, enum fault_access access, bool remote, bool force);

/* fault_supply: space_supply where the page becomes this space's alone, or is in the object. s->range held. *frame (or
 * NULL) is used up if it is NULL then. -EEXIST, -EFAULT, -ENOMEM. */
int fault_supply(struct space *s, u64 page, enum supply how, struct frame **frame, bool guard);
/* watch_reason: why an access to `page` (relative to the table) of run r, watched, must wait: WATCH_*; 0: it need not.
 * Its table locked; e: what the slot holds. */
u32 watch_reason(const struct run *r, u64 page, entry e, enum fault_access access);

/* watch_fork: child's piece p, watched, becomes what its parent's watch says. range held. -ENOMEM. */
struct piece;
int watch_fork(struct space *child, const struct piece *p);

/* The fork exclusion. Faults, breaks and remote copies run inside it, shared: a store to a line of this CPU, since
 * nothing sleeps inside. Who takes it alone (fork; the commit of a range operation; a walk), with s->range held, waits
 * for every CPU to be outside. So what was found exclusive stays exclusive until I leave, and plans change only while
 * the space is closed, or because a fault makes a lower table. */
void space_enter(struct space *s); /* from any CPU, whether it has s loaded or not */
void space_leave(struct space *s);
void space_close(struct space *s); /* s->range held; does not sleep, nor may the caller until space_open */
void space_open(struct space *s);
void space_wait_outside(struct space *s); /* the rest of space_close, where other CPUs may be inside */

/* The CPUs of a word of the masks that may be inside: all but this one. */
static inline u64 space_others(struct space *s, unsigned word, unsigned self) {
    u64 mask = atomic_load(&s->m.cpus[word]) | atomic_load(&s->visitors[word]);
    return word == self / 64 ? mask & ~(1ULL << self % 64) : mask;
}
/* For the paths that every mmap takes. */
static inline void space_close_inline(struct space *s) {
    assert(mutex_held(&s->range) && !s->closed);
    atomic_store(&s->closed, 1);
    atomic_fence(); /* whoever enters after this sees it; whoever entered before is in the masks */
    if (unlikely(cpu_count > 64 || space_others(s, 0, cpu_id())))
        space_wait_outside(s);
}
static inline void space_open_inline(struct space *s) {
    assert(s->closed);
    shadow_settled("a space opens");
    atomic_store(&s->closed, 0);
}

/* The tables that a page's translation goes through, read without locks (inside the exclusion, in an epoch section). */
struct walk {
    struct table *table[TABLE_LEVELS + 1]; /* by level; valid for level .. TABLE_LEVELS */
    entry slot[TABLE_LEVELS + 1];          /* what led from table[level] to table[level - 1]; valid above the deepest */
    unsigned level;                        /* of the deepest table that exists */
    bool writable;                         /* every slot above the deepest table has write permission */
};
void walk_down(struct space *s, u64 page, struct walk *w);
static inline void walk_copy(struct walk *to, const struct walk *from) { /* what piece_next_from and its kin need */
    for (unsigned level = 1; level <= TABLE_LEVELS; level++)
        to->table[level] = from->table[level];
    to->level = from->level;
}
/* with_table: run `look` on the deepest table of page's path, locked, inside the fork exclusion; on a leaf shown large
 * too. */
long with_table(struct space *s, u64 page, long (*look)(struct walk *w, struct table *t, u64 page, void *a), void *a);
/* walk_holds: with the deepest table locked: it is alive and still where this space's path leads. */
bool walk_holds(struct space *s, u64 page, const struct walk *w);
/* walk_own: make the path exclusive, breaking or taking over shared tables top-down. Inside the exclusion or closed.
 * STEP_AGAIN: something moved, walk again. STEP_STOCK: the stock lacks something. */
enum step { STEP_DONE, STEP_AGAIN, STEP_STOCK };
enum step walk_own(struct space *s, u64 page, struct walk *w, struct stock *k);
/* table_own: make slot i's table of t (exclusive, locked) exclusive: take over or break. STEP_DONE or STEP_STOCK.
 * *lower: it. */
enum step table_own(struct space *s, struct table *t, unsigned i, struct stock *k, struct table **lower);

/* walk_small: a walk that ends above a leaf shown large goes on to that leaf, made exclusive and shown small. Others:
 * as they are. The space is closed. */
enum step walk_small(struct space *s, u64 page, struct walk *w, struct stock *k);

/* Pieces: runs as they lie in tables, in absolute pages, not joined. Space closed (or quiet). */
struct piece {
    u64 first, end;
    struct view *view;
    u64 offset; /* pages */
};
bool piece_next(struct space *s, u64 page,
                struct piece *out); /* the first piece with end > page, clipped to start at `page` */
bool piece_prev(struct space *s, u64 page,
                struct piece *out); /* the last piece with first < page, clipped to end at `page` */
/* The same, from a walk to `page` that was made since the space was closed, and goes along: afterwards it leads to
 * what was found. Only pieces that begin before `limit`, or end after it, are looked for. */
bool piece_next_from(struct walk *w, u64 page, u64 limit, struct piece *out);
bool piece_prev_from(struct walk *w, u64 page, u64 limit, struct piece *out);
/* joined_next: the first mapping with end > page, unclipped on the right; starts where the run containing `page` is
 * found. */
bool joined_next(struct space *s, u64 page, struct piece *out);

u64 joined_count(struct space *s, u64 first, u64 end); /* mappings that have pages in [first, end): for check.c */

/* The slots [first, end) of a leaf, its path exclusive, the space closed. slots_withhold and slots_review (t locked)
 * say whether a flush must follow; slots_sweep comes after that flush, and locks t. */
bool slots_withhold(struct table *t, unsigned first, unsigned end);
bool slots_review(struct table *t, unsigned first, unsigned end, const struct view *v);
void slots_sweep(struct table *t, unsigned first, unsigned end);

/* space_replace: [first, end) becomes `view` with file offset `offset` pages; what was there is gone when it returns.
 * s->range held. -ENOMEM (nothing changed), also for too many mappings. space_clear: the same, with nothing instead. */
int space_replace(struct space *s, u64 first, u64 end, struct view *view, u64 offset);
int space_clear(struct space *s, u64 first, u64 end);
/* space_prepare_unmap: space_clear(s, first, end) takes no memory afterwards, while s->range stays held (but
 * for tables that a fault makes in there meanwhile). -ENOMEM: nothing changed. */
int space_prepare_unmap(struct space *s, u64 first, u64 end);
/* space_review: in [first, end) every run's view becomes what `change` says, up to the first page that is not mapped
 * (-ENOMEM) or may not have that protection (-EACCES), as mprotect(2) does it. s->range held. -ENOMEM also for lack of
 * memory: nothing changed. */
struct view_change {
    u32 set, clear; /* VIEW_* bits, the protection among them */
    u32 leaves;     /* a view with this protection and key loses its key; 0: none */
    bool rewatch;   /* it is watched by `watch` (NULL: nobody) for `watches` from now on */
    struct watch *watch;
    u32 watches;
};
/* view_changed: the value of the view that comes after `old`. */
static inline struct view view_changed(const struct view *old, struct view_change change) {
    struct view v = {.flags = (old->flags & ~change.clear) | change.set,
                     .max_prot = old->max_prot,
                     .file = old->file,
                     .name = old->name,
                     .watch = change.rewatch ? change.watch : old->watch,
                     .watches = change.rewatch ? change.watches : old->watches};
    if (unlikely(change.leaves) && (old->flags & (VIEW_PROT | VIEW_KEY)) == change.leaves)
        v.flags &= ~VIEW_KEY;
    if ((v.flags & VIEW_WRITE) && !(v.flags & (VIEW_SHARED | VIEW_NORESERVE)))
        v.flags |= VIEW_ACCOUNT;
    return v;
}
int space_review(struct space *s, u64 first, u64 end, struct view_change change);
/* The same operations whatever they concern (range.c); local.c does itself what one plan has all of. view: NULL:
 * nothing comes. */
int replace_far(struct space *s, u64 first, u64 end, struct view *view, u64 offset);
int review_far(struct space *s, u64 first, u64 end, struct view_change change);
/* leaves_change: `change` for the part of [first, end) that each leaf has, its path our own, the space closed; with
 * `make`, leaves that are missing are made. s->range held. -ENOMEM: a prefix was done. */
int leaves_change(struct space *s, u64 first, u64 end, bool make,
                  void (*change)(struct space *s, struct table *t, unsigned first, unsigned end));
/* own_table: the table of `level` for `page`, exclusive with its path; STEP_DONE with *own == NULL when there is none
 * and `make` is false. The space is closed. */
enum step own_table(struct space *s, u64 page, unsigned level, bool make, struct stock *k, struct table **own);
/* space_empty: the slots of [first, end) lose their frames; the plan stays (MADV_DONTNEED). s->range held. -ENOMEM: a
 * prefix was done. */
int space_empty(struct space *s, u64 first, u64 end);

/* resident_sample: remember the resident size if it is the largest so far; the number of tables. Costs a visit of each
 * table, so: when asked for figures, and before much memory goes at once. range held, closed. */
u64 resident_sample(struct space *s);
#define SAMPLE_PAGES                                                                                                   \
    4096 /* an unmapping of at least so much looks first: 16 MiB, which are 8 tables to tear down anyway */

/* Gaps, for mmap. All with range held. What lies below a mapping that grows down is kept free for it. */
static inline u64 start_with_guard(const struct view *v, u64 first) {
    u64 guard = v->flags & VIEW_GROWSDOWN ? GUARD_PAGES : 0;
    return first > guard ? first - guard : 0;
}
/* gap_find: the first page of a free range that ends at or below `below`, or 0. Closes the space if it must look. */
u64 gap_find(struct space *s, u64 pages, u64 hint, u64 below);
/* gap_freed: [first, end) is free now. left: something is mapped right before it; right: what is right after it, or
 * NULL. The space is closed. */
void gap_freed(struct space *s, u64 first, u64 end, bool left, const struct view *right);
void gap_taken(struct space *s, u64 first, u64 end, const struct view *v); /* [first, end) is mapped now */
void gap_reset(struct space *s);

/* leaf_seen: how many spaces reach the leaf. In an epoch section; the leaf may be locked. */
u64 leaf_seen(const struct table *leaf);

/* table_shows_small: a visit for ring_each, of the tables above the leaf that is its argument: t, locked, shows it
 * small.
 */
bool table_shows_small(struct table *t, void *leaf);

/* record_touched: f was used since t, whose slot said so, was harvested last. */
static inline void record_touched(const struct frame *f, const struct table *t) {
    record(TRACE_TOUCHED, f, (u32)frame_number(frame_of_va(t->slots)));
}

/* reclaim_exclude: until reclaim_include, no batch of reclaim is under way, nor any flush of one still to come. Sleeps.
 */
void reclaim_exclude(void);
void reclaim_include(void);

#define MAX_MAP_COUNT 65530u /* /proc/sys/vm/max_map_count */
extern u64 vm_max_map_count;
