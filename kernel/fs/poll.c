/* poll.c - the sleeper behind poll and select: watches any number of queues, with a bounded stack frame.
 *
 * A poller stays registered with all its queues until it ends, however often it is woken in vain: a wake costs one more
 * round of questions, but no registering. The first entries lie in the poller itself; more come by the page. */
#include <linux/poll.h>

#include "fs/poll.h"
#include "vm/frame.h"

struct poll_chunk {
    struct poll_chunk *next;
    struct poll_entry entries[(PAGE_SIZE - sizeof(struct poll_chunk *)) / sizeof(struct poll_entry)];
};
#define CHUNK_ENTRIES array_count(((struct poll_chunk *)NULL)->entries)
_Static_assert(sizeof(struct poll_chunk) <= PAGE_SIZE, "a chunk is a page");

/* By the waker, under the watched queue's lock. */
static void poller_notify(struct waiter *w) {
    struct poller *p = container_of(w, struct poll_entry, waiter)->poller;
    atomic_store(&p->triggered, true);
    waitq_wake_all(&p->queue);
}

/* A free entry, or NULL: no memory. */
static struct poll_entry *entry_new(struct poller *p) {
    unsigned in_chunks = p->used - POLLER_INLINE;
    if (p->used < POLLER_INLINE)
        return &p->first[p->used++];
    if (in_chunks % CHUNK_ENTRIES == 0) {
        struct poll_chunk *chunk = pages_alloc(0, 0);
        if (!chunk)
            return NULL;
        chunk->next = p->chunks;
        p->chunks = chunk;
    }
    p->used++;
    return &p->chunks->entries[in_chunks % CHUNK_ENTRIES];
}

static void poller_watch(struct poll_table *table, struct waitq *q) {
    struct poller *p = container_of(table, struct poller, table);
    struct poll_entry *e = entry_new(p);
    if (!e) {
        table->error = -ENOMEM;
        return;
    }
    e->poller = p;
    e->file = p->file;
    file_get(e->file);
    waitq_watch(q, &e->waiter, poller_notify);
}

void poller_init(struct poller *p) {
    p->table = (struct poll_table){.wait = poller_watch};
    waitq_init(&p->queue);
    p->triggered = false;
    p->used = 0;
    p->chunks = NULL;
}

u32 poller_ask(struct poller *p, struct file *file, bool watch) {
    p->file = file;
    return file_poll(file, watch ? &p->table : NULL);
}

int poller_sleep(struct poller *p, u64 deadline_ns) {
    if (p->table.error)
        return p->table.error;
    int result = wait_until_deadline(&p->queue, atomic_load(&p->triggered), true, deadline_ns);
    atomic_store(&p->triggered, false); /* before the questions: a wake from now on is news */
    return result;
}

static void entry_end(struct poll_entry *e) {
    waitq_remove(&e->waiter);
    file_put(e->file);
}

void poller_end(struct poller *p) {
    unsigned in_chunks = p->used > POLLER_INLINE ? p->used - POLLER_INLINE : 0;
    for (unsigned i = 0; i < p->used - in_chunks; i++)
        entry_end(&p->first[i]);
    while (p->chunks) {
        struct poll_chunk *chunk = p->chunks;
        unsigned here = (in_chunks - 1) % CHUNK_ENTRIES + 1; /* only the newest is partly used */
        for (unsigned i = 0; i < here; i++)
            entry_end(&chunk->entries[i]);
        in_chunks -= here;
        p->chunks = chunk->next;
        pages_free(chunk, 0);
    }
    p->used = 0;
}

u32 file_poll(struct file *file, struct poll_table *table) {
    if (!file->ops->poll)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return file->ops->poll(file, table);
}
