/* policy.h - which page goes next: the replacement policies, each a file policy_NAME.c behind struct policy.
 *
 * A policy knows pages by number (of the frame) and nothing else: no frame, table, lock or file. What surrounds it, the
 * kernel's reclaim (roster.c) or the simulator of the command (tool/sim.c), tells it what comes, asks it for victims,
 * and says what became of them. It keeps its order in queues of the pages' nodes:
 *
 *     head (newest)  ->  page  ->  page  ->  ...  ->  tail (oldest)         each page is in one queue, or in none
 *
 * and what it wants to know of a page once that is gone, in 20 bits: its memo. The ghosts keep the memos of about as
 * many pages as there are frames, oldest lost first.
 *
 * Calls never overlap, so a policy needs no lock. Each takes a bounded time: some thousand steps. */
#pragma once

#include "lib/base.h"

#define POLICY_QUEUES 8u
#define POLICY_NONE (~0u)      /* no page */
#define POLICY_MEMO 0xfffffu   /* a memo's bits */
#define POLICY_STEPS_MOST 1024 /* pages that one call of `victims` looks at, at most */

/* What is asked for, and how far it went. */
struct policy_ask {
    u32 *pages;    /* room for the answer */
    unsigned most; /* of them */
    u64 looked;    /* out: pages looked at */
    u64 harvest;   /* out: so many frames further the accessed bits of tables are harvested before the next call */
};

struct policy {
    const char *name;
    u8 keeps; /* bit q: a page in queue q does not go along with a victim beside it in its file */
    /* start: all queues are empty. Every page there is will be inserted. */
    void (*start)(void);
    /* insert: a page came that nothing is remembered of. refault: one came back; memo: what evicted said of it. It is
     * in no queue. insert NULL: the policy wants neither, and finds pages by policy_present. */
    void (*insert)(u32 page);
    void (*refault)(u32 page, u32 memo);
    /* touched: a harvest found that the page, which is in a queue, was used since the last one. NULL: it is enough that
     * policy_used says so when asked; else that does not speak of harvests. */
    void (*touched)(u32 page);
    /* cold: a program says that it will not use the page, which is in a queue, soon: it goes before others. NULL: that
     * it does not count as used is enough. */
    void (*cold)(u32 page);
    /* victims: name pages, which are in no queue then. Each will be in `evicted` or `stays`, or is gone. No name: ask
     * again, if `looked` is not 0. Reclaim gives up when it looked at, or harvested, three times all of memory: by then
     * every page must have been named that is not used all the time. */
    unsigned (*victims)(struct policy_ask *ask);
    /* stays: it was used (`used`), or cannot go now: locked, dirty, no room in the swap area. That must not keep others
     * from being named. */
    void (*stays)(u32 page, bool used);
    /* evicted: it is about to go, and in no queue; perhaps it was not named. Returns its memo. */
    u32 (*evicted)(u32 page);
};

extern const struct policy *const policies[]; /* NULL at the end; the first is the default */
extern const struct policy policy_clock, policy_lirs, policy_twolists, policy_generations, policy_sieve, policy_s3fifo;
const struct policy *policy_find(const char *name); /* NULL: there is none */

/* ---- what policies call ---- */

/* Of whatever surrounds it. policy_present: it is a page that could go, as far as its kind says. policy_used: it was
 * used since this was last asked: as a harvest saw it, if nobody was told, or without a mapping. */
bool policy_present(u32 page);
bool policy_used(u32 page);
extern u32 policy_pages; /* numbers are below it */

struct policy_node {
    u32 next, prev; /* towards the tail, towards the head */
    u16 stamp;      /* the policy's own */
    u8 queue;       /* number + 1; 0: in none */
    u8 named : 1;   /* a victim whose fate is open */
    u8 bits : 7;    /* the policy's own */
};
_Static_assert(sizeof(struct policy_node) == 12, "0.3 % of memory");
extern struct policy_node *policy_nodes; /* [policy_pages] */

struct policy_queue {
    u32 head, tail, count;
    u32 hand; /* a page of it, for those who go round; moves towards the head when that is removed */
};
extern struct policy_queue policy_queues[POLICY_QUEUES];

void policy_push(unsigned queue, u32 page);                   /* at the head */
void policy_push_behind(unsigned queue, u32 page, u32 other); /* towards the tail of `other`; NONE: at the head */
void policy_push_last(unsigned queue, u32 page);              /* at the tail */
void policy_remove(u32 page);                                 /* from its queue, if it is in one */
static inline bool policy_in(unsigned queue, u32 page) { return policy_nodes[page].queue == queue + 1; }

/* ---- what surrounds them ---- */

/* policy_setup: memory for the nodes and ghosts of `pages` pages; policy_bytes says how much, zeroed. */
size_t policy_bytes(u64 pages);
void policy_setup(void *memory, u64 pages);
/* policy_start: p decides from now on; it knows no page yet. */
void policy_start(const struct policy *p);
/* policy_came: a page came, under this key, which says what its contents are (0: nothing that was ever evicted). True:
 * it is remembered. policy_went: it goes. */
bool policy_came(const struct policy *p, u32 page, u64 key);
bool policy_remembers(u64 key);
void policy_went(const struct policy *p, u32 page, u64 key);
