/* policy.c - what the replacement policies share (policy.h): the list of them, the queues, the ghosts. Pure: the
 * command's simulator is built from the same files.
 *
 * Ghosts. A page that goes leaves its memo under a hash of its key, in a row of 16 words, the newest first: a tag of 12
 * bits, and the memo. What falls out of the row at the other end is forgotten. There is a word for each page of memory,
 * so a ghost lives for about as many evictions as there are pages. Two pages with the same row and tag are taken for
 * one another once in 256 times: a memo is a hint. */
#include "vm/policy.h"

#define ROW 16u
#define MEMO_BITS 20u

const struct policy *const policies[] = {
    &policy_lirs, &policy_clock, &policy_twolists, &policy_generations, &policy_sieve, &policy_s3fifo, NULL};

u32 policy_pages;
struct policy_node *policy_nodes;
struct policy_queue policy_queues[POLICY_QUEUES];

static u32 (*ghosts)[ROW]; /* 0: none */
static u64 rows;

const struct policy *policy_find(const char *name) {
    for (unsigned i = 0; policies[i]; i++)
        if (!strcmp(policies[i]->name, name))
            return policies[i];
    return NULL;
}

/* ---- queues ---- */

static void link_between(unsigned queue, u32 page, u32 before, u32 after) {
    struct policy_queue *q = &policy_queues[queue];
    struct policy_node *n = &policy_nodes[page];
    n->prev = before;
    n->next = after;
    n->queue = (u8)(queue + 1);
    *(before == POLICY_NONE ? &q->head : &policy_nodes[before].next) = page;
    *(after == POLICY_NONE ? &q->tail : &policy_nodes[after].prev) = page;
    q->count++;
}

void policy_push(unsigned queue, u32 page) { link_between(queue, page, POLICY_NONE, policy_queues[queue].head); }
void policy_push_behind(unsigned queue, u32 page, u32 other) {
    link_between(queue, page, other, other == POLICY_NONE ? policy_queues[queue].head : policy_nodes[other].next);
}

void policy_push_last(unsigned queue, u32 page) { policy_push_behind(queue, page, policy_queues[queue].tail); }

void policy_remove(u32 page) {
    struct policy_node *n = &policy_nodes[page];
    if (!n->queue)
        return;
    struct policy_queue *q = &policy_queues[n->queue - 1];
    *(n->prev == POLICY_NONE ? &q->head : &policy_nodes[n->prev].next) = n->next;
    *(n->next == POLICY_NONE ? &q->tail : &policy_nodes[n->next].prev) = n->prev;
    if (q->hand == page)
        q->hand = n->prev;
    q->count--;
    n->queue = 0;
}

/* ---- ghosts ---- */

static u32 *row_of(u64 key, u32 *tag) {
    u64 hash = key * 0x9e3779b97f4a7c15ULL; /* 2^64 over the golden ratio: Knuth, 6.4 */
    hash ^= hash >> 32;
    hash *= 0x9e3779b97f4a7c15ULL;
    *tag = max((u32)(hash & 0xfff), 1U) << MEMO_BITS;
    return ghosts[(hash >> 12) % rows];
}

static void ghost_leave(u64 key, u32 memo) {
    u32 tag, *row = row_of(key, &tag);
    for (unsigned i = ROW - 1; i > 0; i--)
        row[i] = row[i - 1];
    row[0] = tag | (memo & POLICY_MEMO);
}

static bool ghost_take(u64 key, u32 *memo) {
    u32 tag, *row = row_of(key, &tag);
    for (unsigned i = 0; i < ROW; i++) {
        if ((row[i] & ~POLICY_MEMO) != tag)
            continue;
        *memo = row[i] & POLICY_MEMO;
        for (; i + 1 < ROW; i++)
            row[i] = row[i + 1];
        row[ROW - 1] = 0;
        return true;
    }
    return false;
}

bool policy_remembers(u64 key) {
    u32 tag, *row = row_of(key, &tag);
    bool found = false;
    for (unsigned i = 0; i < ROW && !found; i++)
        found = (row[i] & ~POLICY_MEMO) == tag;
    return found;
}

/* ---- for what surrounds them ---- */

static u64 known(u64 pages) { return min(pages, (u64)POLICY_NONE); }
static u64 rows_for(u64 pages) { return (pages + ROW - 1) / ROW; }

size_t policy_bytes(u64 pages) {
    return known(pages) * sizeof(struct policy_node) + (rows_for(known(pages)) + 1) * sizeof(*ghosts);
}

void policy_setup(void *memory, u64 pages) {
    policy_pages = (u32)known(pages);
    rows = rows_for(policy_pages);
    ghosts = (void *)(((u64)memory + sizeof(*ghosts) - 1) & ~(sizeof(*ghosts) - 1)); /* a row is one line */
    policy_nodes = (void *)(ghosts + rows);
}

void policy_start(const struct policy *p) {
    memset(ghosts, 0, rows * sizeof(*ghosts));
    memset(policy_nodes, 0, policy_pages * sizeof(*policy_nodes));
    for (unsigned i = 0; i < POLICY_QUEUES; i++)
        policy_queues[i] = (struct policy_queue){POLICY_NONE, POLICY_NONE, 0, POLICY_NONE};
    p->start();
}

bool policy_came(const struct policy *p, u32 page, u64 key) {
    u32 memo;
    bool back = key && ghost_take(key, &memo);
    policy_remove(page); /* what it was before it was freed */
    policy_nodes[page].named = 0;
    policy_nodes[page].bits = 0;
    if (back && p->refault)
        p->refault(page, memo);
    else
        p->insert(page);
    return back;
}

void policy_went(const struct policy *p, u32 page, u64 key) {
    policy_remove(page);
    policy_nodes[page].named = 0;
    u32 memo = p->evicted ? p->evicted(page) : 0;
    if (key)
        ghost_leave(key, memo);
}
