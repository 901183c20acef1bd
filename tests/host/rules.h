/* rules.h - tests of the tests: kernel/vm with one of its rules of concurrency (docs/locks.md) taken away. */
#pragma once

#include "host.h"

enum rule {
    RULE_NONE,
    RULE_EXCLUSION, /* 1: a fault enters the fork exclusion */
    RULE_EXCLUSIVE, /* 2: exclusive is who may write along the whole path, not who is a leaf's only sharer */
    RULE_HOLDS,     /* 3: after locking, the path is compared again */
    RULE_SHARES,    /* 4: `shares` drops after the flush */
    RULE_FRESH,     /* 4: the new table stays locked until the flush is done */
    RULE_EVERYONE,  /* 7: an object's frames are flushed from all spaces, not only from this CPU's */
    RULE_BATCH,     /* an area is emptied with no batch of reclaim under way */
    RULES,
};
extern enum rule rule_missing;
extern const char *const rule_names[RULES];
extern const char *const rule_likely[RULES]; /* the beginning of the names of scenarios that should notice */

/* The two below are asked by the hosted machine; the other rules are taken away at the linker's seam (rules.c). */
/* rule_flush: true: this flush comes later, or has been done already. */
bool rule_flush(struct machine_space *m, u64 start, u64 end, bool tables);
/* rule_unlock: true: this lock is let go later. */
bool rule_unlock(struct spin *lock);
void rule_unlocked(void);
