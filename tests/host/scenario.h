/* scenario.h - what the scenarios of explore_test.c and its kin have in common (scenario.c): three processes, their
 * pages, the set-ups that share them, the threads that come in several files, and what must hold after those.
 *
 * Programs write numbers into page PAGE + i; every number names its writer, so a value that a space should not see is
 * seen. */
#pragma once

#include "explore.h"
#include "vm/inner.h"

#define P spaces[0]     /* the parent, or the only one */
#define C spaces[1]     /* its child, made by the set-up */
#define G spaces[2]     /* a third, made by the set-up */
#define NEW 3           /* the first of those that a scenario makes */
#define PAGE 0x10200ULL /* the first of a leaf */
#define RW (VIEW_READ | VIEW_WRITE)

static inline u64 at(u64 page) { return (PAGE + page) << PAGE_SHIFT; }
void map(struct space *s, u64 page, u64 pages, u32 flags, struct host_file *f);
enum fault_outcome put(struct space *s, u64 page, u64 value);
void must_put(struct space *s, u64 page, u64 value);
u64 get(struct space *s, u64 page);
enum fault_outcome try_get(struct space *s, u64 page, u64 *value);

/* On a quiet machine, on CPU 3: what a space holds. */
u64 look(struct space *s, u64 page);
enum fault_outcome look_outcome(struct space *s, u64 page, enum fault_access access);

/* One thread says what it has done, another asks whether it has. */
void say(void);
bool told(void);

void seen_by(unsigned cpu); /* it has P's page 0, which holds 1, in its TLB */
void use(struct space *s);  /* the set-up acts on CPU 0, with that space */
void ends(struct space **s);
struct space *fork_of(struct space *s);
void one_more(void);                   /* P becomes G, its child C becomes P, and has a child of its own */
void part(struct space *s, u64 value); /* it has tables of its own, as it writes into page 3 */
/* A program that forks, and goes on as its own child: what it sees there must be what it saw first. */
struct space *become_child(unsigned index, struct space *of);

/* ---- set-ups: pages [0, 4) anonymous, page 0 and 1 hold 1, 2 is empty, 3 keeps the leaf there */

void one_empty(void);
void one_without_leaf(void);
void one(void);
void two(void);            /* P and its child C share all tables */
void three(void);          /* the parent G, its child P, and P's child C share all tables */
void two_apart(void);      /* as two, but P has tables of its own; the frame of page 0 is shared */
void one_after_exit(void); /* a child was there: P's tables are its own again, but no slot says so yet */

/* ... and with .swap: pages 0 and 1 are in the swap area */
void out(struct space *s);
void one_out(void);
void one_cached(void); /* page 0 is in memory again, in the cache */
void one_cold(void);   /* pages 0 and 1 in memory, not used since the hand came by */
void two_out(void);
void three_out(void);
void two_out_apart(void); /* two leaves that name the slots */
void three_out_apart(void);
void two_cached_apart(void); /* ... and the frames are in memory, in the cache, mapped by P */

/* ... pages 0 and 1 in a leaf of 512 small ones; with LEAF_BYTES there is one block of 2 MiB */
#define LEAF_BYTES .bytes = 4608 * KiB
#define ELSEWHERE (4 * TABLE_SLOTS)
void leaf(void);
void leaf_out(void); /* and with .swap */

/* ---- threads: a and b belong to P, c to C, g to G */

#define thread(name) static void name(void *argument)

extern enum fault_outcome a_got;
void a_writes_0(void *), a_reads_0(void *), a_tries_0(void *), a_exits(void *);
void a_looks_0(void *); /* the page may have gone, what it held may not have changed */
void b_writes_1(void *), b_forks(void *), b_becomes_child(void *), b_child_writes(void *);
void b_unmaps_0(void *), b_unmaps_all(void *), b_protects_0(void *), b_forbids_0(void *), b_discards(void *);
void b_moves(void *);                     /* pages 0 and 1 to 8 */
void b_outs(void *), b_outs_both(void *); /* page 0; pages 0 and 1 */
void a_unmaps_says(void *), b_told_unmapped(void *);
void b_takes_frame(void *), b_poisons(void *); /* that of page 0 goes out of use, if it is there: moved, lost */
extern bool poisoned;
extern int collapsed; /* what b_collapses was told */
int collapse(struct space *s);
void b_collapses(void *);
void c_reads_0(void *), c_writes_0(void *), c_exits(void *);
void g_reads_0(void *), g_writes_0(void *), g_exits(void *);

/* ---- what must hold after them; where C and G are not there they are not looked at */

void one_after(void); /* nobody wrote */
void a_after(void), a_and_b_after(void), a_and_c_after(void), three_after(void);
void c_after(void); /* C wrote, P did not */
void unmapped_after(void), protected_after(void), forbidden_after(void), discarded_after(void);
void moved_after(void); /* a may have written before */
void moved_only_after(void), moved_c_after(void);
