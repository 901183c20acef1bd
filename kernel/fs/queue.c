/* queue.c - see queue.h. */
#include "fs/queue.h"

#include "vm/frame.h"

struct queue_page {
    struct queue_page *next;
    u32 start, end; /* what is used of bytes */
    u8 bytes[PAGE_SIZE - 16];
};
_Static_assert(sizeof(struct queue_page) == PAGE_SIZE, "a page of a queue is a page");

/* Under q->lock. */
static size_t append(struct queue_page *page, const u8 *bytes, size_t count) {
    size_t some = min(count, sizeof(page->bytes) - page->end);
    memcpy(page->bytes + page->end, bytes, some);
    page->end += some;
    return some;
}

/* Appends all, to the last page and then to `page`, if given and needed, which is then NULL. False: it does not fit. */
static bool put(struct queue *q, const u8 *bytes, size_t count, struct queue_page **page) {
    spin_lock(&q->lock);
    size_t room = q->last ? sizeof(q->last->bytes) - q->last->end : 0;
    bool fits = count <= room || *page;
    if (fits) {
        size_t done = room ? append(q->last, bytes, count) : 0;
        if (done < count) {
            append(*page, bytes + done, count - done);
            *(q->last ? &q->last->next : &q->first) = *page;
            q->last = *page;
            *page = NULL;
        }
        atomic_store(&q->bytes, q->bytes + count);
    }
    spin_unlock(&q->lock);
    return fits;
}

bool queue_put(struct queue *q, const u8 *bytes, size_t count) {
    struct queue_page *page = NULL;
    if (put(q, bytes, count, &page))
        return true;
    page = pages_alloc(0, 0);
    if (!page)
        return false;
    page->next = NULL;
    page->start = page->end = 0;
    (void)put(q, bytes, count, &page); /* fits into a page of its own */
    if (page)
        pages_free(page, 0);
    return true;
}

size_t queue_take(struct queue *q, u8 *out, size_t most) {
    size_t done = 0;
    spin_lock(&q->lock);
    while (done < most && q->first) {
        struct queue_page *page = q->first;
        size_t some = min(most - done, (size_t)(page->end - page->start));
        memcpy(out + done, page->bytes + page->start, some);
        page->start += some;
        done += some;
        if (page->start == page->end) {
            q->first = page->next;
            q->last = q->first ? q->last : NULL;
            pages_free(page, 0);
        }
    }
    atomic_store(&q->bytes, q->bytes - done);
    spin_unlock(&q->lock);
    return done;
}

void queue_drop(struct queue *q) {
    spin_lock(&q->lock);
    while (q->first) {
        struct queue_page *page = q->first;
        q->first = page->next;
        pages_free(page, 0);
    }
    q->last = NULL;
    atomic_store(&q->bytes, 0);
    spin_unlock(&q->lock);
}
