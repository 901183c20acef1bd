/* table.h - page tables and their plans: the address space itself.
 *
 * A table is one page of 512 slots in the hardware's format and a descriptor beside it. Its plan is a sorted array of
 * runs [first, end) -> view, in pages relative to the table's base. Where a slot points to a lower table the truth is
 * below, and no run of this plan overlaps that slot:
 *
 *     level 2   plan:  AAAA|....|AABB     slots:  . T . .         A, B runs; T a slot with a table
 *     level 1              |AA.C|                                 the plan of that table says what is there
 *
 * So a mapping of any size costs a few runs, and a table is made, with the runs that concern it, when a fault goes
 * below.
 *
 * Tables may be shared: fork shares all of them below the root. `shares` counts the slots that point to a table; such a
 * slot has write permission only when shares is 1. A table that was copied from another (a clone) is in the same ring,
 * and every anonymous frame names the ring, not the table: whoever maps it is in that ring, at the same index.
 *
 * A leaf whose 512 slots map one aligned block of 2 MiB may be *shown large*: the slot above has a large entry for the
 * block in place of the pointer. The leaf stays, with its plan, its slots and its sharers: it is what the large entry
 * means, and each of its frames is a single one. Before anything in such a leaf changes, every slot that shows it large
 * points to it again (table_show_small), which takes no memory and cannot fail. What the large entry says is read under
 * the lock of the table that has it.
 *
 * Locks: lock protects slots, plan, links and counters of one table. Of two tables, the upper one is locked first; a
 * clone is locked after its original. shares is raised with the lock of a table that has such a slot held, and lowered
 * under the lock of the table pointed to. Tables are freed after a grace period (epoch.h): a walker without locks must
 * lock, then look at dead, then compare the pointers again. */
#pragma once

#include "vm/epoch.h"
#include "vm/machine.h"
#include "vm/view.h"

struct run {
    u64 first, end;    /* pages, relative to the table's base; first < end */
    struct view *view; /* one reference */
    u64 offset;        /* of `first` in the file, in pages; 0 without a file */
};

/* view_rights: the one place where hardware protection comes from a view; write permission is given by faults. */
static inline entry view_rights(const struct view *v) { return entry_rights(v->flags & VIEW_EXEC, view_key(v)); }

struct link;

/* The clones of one another: every table that may map the same anonymous frames at the same indexes. */
struct ring {
    struct spin lock;   /* protects tables; innermost of the VM's locks but the allocator's */
    struct list tables; /* of struct table by ring_link */
    struct epoch_entry retire;
};

struct table {
    entry *slots; /* 512 of them */
    struct spin lock;
    u8 level;                    /* 1: slots are pages; TABLE_LEVELS: a root */
    u8 below_words;              /* bit n: below[n] is not 0 */
    bool dead;                   /* left its last slot, or has none yet: nothing in it is true */
    u16 lo, hi;                  /* all non-empty slots lie in [lo, hi); lo >= hi: none */
    u32 shares;                  /* slots that point here; 1 for a root */
    u64 base;                    /* page number of slot 0 */
    u64 below[TABLE_SLOTS / 64]; /* level > 1: which slots point to tables */
    u16 anon, object, special,
        swapped;   /* level 1: slots by what they hold: a frame may change from file to shmem while mapped */
    bool withheld; /* level 1: a slot may be withheld though its view allows something (swapoff.c) */
    u16 run_count, run_room;
    struct run *runs; /* few, or kmalloc'd */
    struct run few[2];
    struct list links;       /* of struct link by in_table */
    struct ring *ring;       /* levels 1 and 2 */
    struct ring *spare_ring; /* for when this is made a leaf of its own; NULL while it is one */
    struct list ring_link;
    u32 large;          /* level 1: slots above that show it large; atomic, raised and lowered under their locks */
    bool large_used;    /* reclaim saw that a large entry was used */
    u8 ahead;           /* level 1: how many entries the last swap-in read together, ... */
    u16 ahead_at;       /* ... from this slot on */
    struct ring *above; /* with large: the ring of the tables that have these slots */
    struct table *next; /* in a stock, or in an operation's list of detached tables */
    struct epoch_entry retire;
    u32 check_pass, check_shares, check_large; /* check.c's: when last reached, and by how many slots */
};

/* One object in the plan of one table: how truncate, eviction and seals find the mappings of a file. */
struct link {
    struct object *object;
    struct table *table;
    u32 runs;              /* of this table that name the object */
    u64 pass;              /* object.c's marker while it visits all links */
    struct list in_object; /* under object->lock */
    struct list in_table;  /* under table->lock */
    struct link *next;     /* in a stock */
};

/* A stock is what an operation allocated beforehand, because nothing may be allocated under a table lock. The steps
 * take from it; a step that finds too little notes what it wants and says so, the operation lets go of everything,
 * fills the stock and starts again. */
struct stock {
    struct table *tables;
    struct link *links;
    struct run *runs;    /* one array of runs_room */
    struct frame *frame; /* one frame, contents undefined */
    unsigned table_count, link_count, runs_room;
    unsigned want_tables, want_links, want_runs;
    bool want_frame;
};
#define STOCK_EMPTY                                                                                                    \
    { 0 }
static inline void stock_begin(
    struct stock *k) { /* the same, field by field: the compiler would clear it by REP STOS */
    k->tables = NULL;
    k->links = NULL;
    k->runs = NULL;
    k->frame = NULL;
    k->table_count = k->link_count = k->runs_room = k->want_tables = k->want_links = k->want_runs = 0;
    k->want_frame = false;
}
/* stock_has: so much of each, tables perhaps from those that this CPU keeps ready; else it is noted as wanted. */
bool stock_has(struct stock *k, unsigned tables, unsigned links, unsigned run_room);
int stock_fill(struct stock *k); /* -ENOMEM. Sleeps */
void stock_free(struct stock *k);
static inline void stock_empty(struct stock *k) { /* free what is left: mostly nothing */
    if (unlikely(k->tables || k->links || k->runs || k->frame))
        stock_free(k);
}

void tables_init(void);
u64 table_count(void);
u64 table_large_pages(void); /* pages of leaves shown large, shared ones once */
/* tables_drain: free the tables that are kept ready for use; how many. Called by reclaim, and before leaks are counted.
 */
u64 tables_drain(void);
struct table *table_create(unsigned level) must_check; /* NULL: out of memory; shares 1, locked by nobody. Sleeps */
void table_retire(struct table *t);                    /* dead, with no slots and no runs: freed after a grace period */
/* frame_of_entry: of a present one. By one shift: PAGE_SIZE of an address is sizeof(struct frame) of its descriptor's.
 */
static inline struct frame *frame_in(struct frame *all, entry e) {
    return (void *)((char *)all + (e & ENTRY_PHYS) / (PAGE_SIZE / sizeof(struct frame)));
}
static inline struct frame *frame_of_entry(entry e) { return frame_in(frames, e); }
static inline struct table *table_of_entry(entry e) { return frame_of_entry(e)->owner.slab; }
/* table_below: what a slot leads to, in a table of level > 1, that is not empty: shown large or not. Its table locked,
 * or nobody else can reach that. */
static inline struct table *table_below(entry e) {
    return likely(!entry_is_large(e)) ? table_of_entry(e) : frames[frame_of_phys(entry_phys(e))->anon.swap].owner.slab;
}
/* table_lower: the same of slot i of t, which is not locked. large: whether it is shown so just now, which reclaim may
 * change; or NULL. */
struct table *table_lower(struct table *t, unsigned i, bool *large);
/* table_of_held: the table whose slots a frame has, while the caller has set the frame's hold (else its descriptor may
 * go); NULL: it is no table's. */
static inline struct table *table_of_held(const struct frame *f) {
    struct table *t = frame_held_counts(f, FRAME_TABLE) ? f->owner.slab : NULL;
    assert(!t || t->slots == frame_va(f));
    return t;
}
static inline u64 table_phys(const struct table *t) { return frame_phys(frame_of_va(t->slots)); }
static inline u64 table_pages(const struct table *t) { return slot_pages(t->level) * TABLE_SLOTS; }

static inline void table_used(struct table *t, unsigned i) {
    if (i < t->lo)
        t->lo = i;
    if (i >= t->hi)
        t->hi = i + 1;
}
/* table_next: the first slot >= i that points to a table, or TABLE_SLOTS. */
unsigned table_next(const struct table *t, unsigned i);
/* table_prev: the last slot <= i that points to a table, or -1. */
int table_prev(const struct table *t, int i);
void table_point(struct table *t, unsigned i, struct table *lower,
                 bool write);                             /* an empty slot gets a table. t locked */
struct table *table_unpoint(struct table *t, unsigned i); /* ... and loses it. t locked */

/* table_clone: a copy of `from` (locked), returned locked; no slot leads to it yet. Every lower table gains a sharer,
 * every frame a mapping, and write permission goes from the slots of both. The stock has the runs and links: call
 * table_clone_fits first. Returns it locked. */
bool table_clone_fits(struct table *from, struct stock *k);
struct table *table_clone(struct table *from, struct stock *k);
/* table_drop: one slot that pointed to t is gone (and no CPU caches it). The last one tears t down, and what is below.
 * No locks held. */
void table_drop(struct table *t);
/* table_make: a lower table for slot i of t (locked, slot empty), with the runs of that slot moved into it; false: the
 * stock lacks something. */
bool table_make(struct table *t, unsigned i, struct stock *k, struct table **made);
/* table_make_large: the same for slot i of a table of level 2, with every slot of the leaf mapping its frame of `block`
 * (2 MiB, of class FRAME_ANON, fresh), and shown large. The slot has one run, anonymous and writable. */
bool table_make_large(struct table *t, unsigned i, struct stock *k, struct frame *block);
/* table_show_large: the same with a leaf that is there, ours alone, and has nothing in its slots; slot i is empty, and
 * no CPU has cached what was there. Both locked. */
void table_show_large(struct table *t, unsigned i, struct table *leaf, struct frame *block);
/* table_show_small: slot i of t (locked), which shows a leaf large, points to it again, and no CPU of m (NULL: no CPU)
 * has the large entry any more. */
void table_show_small(struct table *t, unsigned i, struct machine_space *m);
/* leaf_forget: one frame of a leaf is no longer mapped by the slot that held e (already cleared, flushed). t locked. */
void leaf_forget(struct table *t, entry e);
void leaf_count(struct table *t, entry e, int by); /* adjust anon, object, special */

/* ring_each: visit every table of a ring, locked and alive, until one visit says false. A table that joins meanwhile
 * was copied from a member, and is visited if that one has not been yet. Inside an epoch section, entered before the
 * ring was found; no locks held. visit may be called twice for a table. */
void ring_each(struct ring *ring, bool (*visit)(struct table *t, void *argument), void *argument);

/* Plans. All with t locked. Page numbers are relative to the table. */
/* plan_from: the index of the first run with end > page. */
unsigned plan_search(struct table *t, u64 page);
static inline unsigned plan_from(struct table *t, u64 page) {
    return t->run_count && page < t->runs[0].end ? 0 : plan_search(t, page);
}
/* plan_find: the run that contains page, or NULL. */
static inline struct run *plan_find(struct table *t, u64 page) {
    unsigned i = plan_from(t, page);
    return i < t->run_count && t->runs[i].first <= page ? &t->runs[i] : NULL;
}
/* plan_room: room for `more` runs, from the stock if needed; false: the stock lacks it. */
bool plan_grow(struct table *t, unsigned more, struct stock *k);
static inline bool plan_room(struct table *t, unsigned more, struct stock *k) {
    return likely(t->run_count + more <= t->run_room) || plan_grow(t, more, k);
}
/* plan_set: [first, end) shows view, whatever was there (plan.h). view: NULL, nothing; or referred to by the caller.
 * Room for 2 more. */
void plan_set(struct table *t, u64 first, u64 end, struct view *view, u64 offset, struct stock *k);
/* plan_append: the same, behind all runs and continuing none. plan_clear: no run is left. */
void plan_append(struct table *t, u64 first, u64 end, struct view *view, u64 offset, struct stock *k);
void plan_clear(struct table *t);
/* plan_hand_down: all that t plans becomes the plan of a lower table, which has none yet: runs, links and array as they
 * are, so that nothing is allocated. A program's first mappings go down so, level by level. */
void plan_hand_down(struct table *t, struct table *lower);
static inline bool plan_lies_within(const struct table *t, u64 first, u64 end) {
    return t->run_count && first <= t->runs[0].first && t->runs[t->run_count - 1].end <= end;
}
bool plan_has_link(const struct table *t, const struct object *o);
/* plan_visit_again: the slots of t, whose plan names o, may hold what those of another leaf, locked too, held: who
 * visits the mappings of o and was here, but not there, comes again. */
void plan_visit_again(struct table *t, const struct object *o);
static inline bool run_continues(const struct view *view, u64 end, u64 offset_end, const struct view *next, u64 first,
                                 u64 offset) {
    return view == next && end == first && (!view->file || offset_end == offset);
}
