/* radix.h - a map from page index to pointer: the frames of an object.
 *
 * 64-way; a tree that holds only index 0 is that value itself (height 0), so a file of one page costs no node. Nothing
 * here locks: who owns the tree brings its lock. Nothing allocates under it: nodes come from a stock filled before. */
#pragma once

#include "lib/base.h"

#define RADIX_BITS 6u
#define RADIX_HEIGHT_MOST 10u /* indexes below 2^60: files end at 2^63 bytes, page 2^51 */
#define RADIX_NONE (~0ULL)

struct radix {
    void *root; /* height 0: the value of index 0, or NULL; else a node */
    u32 height;
};

/* Nodes for an insertion to come. Starts all zero; ends with radix_release. */
struct radix_node;
struct radix_reserve {
    struct radix_node *nodes;
    unsigned count;
    unsigned wanted; /* what the last radix_insert that failed would have needed */
};

/* radix_reserve: fill the stock up to `nodes`, and to what the last failed insertion wanted. May sleep; no lock held.
 * 0, -ENOMEM. */
int radix_reserve(struct radix_reserve *stock, unsigned nodes) must_check;
void radix_release(struct radix_reserve *stock);

void *radix_find(const struct radix *r, u64 index); /* NULL: nothing there */
/* radix_row: the values of `index` and of what follows it, side by side; *count becomes how many of them are so. NULL:
 * there is none of these. */
void *const *radix_row(const struct radix *r, u64 index, unsigned *count);
/* radix_insert: never sleeps, never allocates. value is not NULL. 0; -EEXIST: the index is taken; -ENOMEM: the stock is
 * too small: unlock, radix_reserve(stock, 0), and try again. A failure changes nothing. */
int radix_insert(struct radix *r, u64 index, void *value, struct radix_reserve *stock) must_check;
/* radix_replace: another value for an index that is taken; returns the old one. */
void *radix_replace(struct radix *r, u64 index, void *value);
void *radix_remove(struct radix *r, u64 index); /* the value, or NULL; frees nodes, never sleeps */
/* radix_next: the first index >= from that is taken, its value in *value (NULL allowed); RADIX_NONE: none. */
u64 radix_next(const struct radix *r, u64 from, void **value);

void radix_init(void);      /* after slab_init, before the first insertion */
u64 radix_nodes_live(void); /* for leak counts */
