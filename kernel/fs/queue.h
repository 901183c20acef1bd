/* queue.h - a queue of bytes that grows by the page and shrinks again: what a pseudo-terminal keeps for either end.
 *
 * One putter at a time, any number of takers. */
#pragma once

#include "lib/sync.h"

struct queue_page;

struct queue {
    struct spin lock;                /* protects the rest */
    struct queue_page *first, *last; /* NULL: empty */
    size_t bytes;                    /* [a] read without the lock as a hint */
};

/* queue_put: all of the bytes (a page's worth at most) or, with no memory, none: false. May sleep. */
bool queue_put(struct queue *q, const u8 *bytes, size_t count);
size_t queue_take(struct queue *q, u8 *out, size_t most); /* how many */
void queue_drop(struct queue *q);                         /* empties it */
static inline size_t queue_bytes(const struct queue *q) { return atomic_load(&q->bytes); }
