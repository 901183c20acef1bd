/* poll.h - waiting for many files at once: the table that file_ops->poll registers with, and its sleeper. */
#pragma once

#include "fs/vfs.h"

struct poller;

/* One queue that a poller watches, for one file. */
struct poll_entry {
    struct waiter waiter;
    struct poller *poller;
    struct file *file; /* counted: its queue must live as long as we are on it */
};
#define POLLER_INLINE 4 /* entries without an allocation: enough for a pipe's two ends and two more */

struct poll_chunk;

/* A wait in progress: made on the stack by who sleeps. Used by its own task only, but for `triggered` and `queue`. */
struct poller {
    struct poll_table table;
    struct waitq queue;        /* its one sleeper is the task itself */
    bool triggered;            /* atomic: a watched queue was woken since it was last cleared */
    struct file *file;         /* whom we ask right now */
    unsigned used;             /* entries in use, in `first` and then in the chunks */
    struct poll_chunk *chunks; /* newest first */
    struct poll_entry first[POLLER_INLINE];
};

void poller_init(struct poller *p);
/* poller_ask: the events of file ready now; registers with its queues when `watch`. */
u32 poller_ask(struct poller *p, struct file *file, bool watch);
/* poller_sleep: until a watched queue was woken since the last call. 0, -EINTR, -ETIMEDOUT; -ENOMEM: some queue could
 * not be watched. */
int poller_sleep(struct poller *p, u64 deadline_ns);
void poller_end(struct poller *p); /* leaves all queues; may sleep (it may drop the last reference of a file) */

/* file_poll: for files without a poll operation too: those are always ready. */
u32 file_poll(struct file *file, struct poll_table *table);
