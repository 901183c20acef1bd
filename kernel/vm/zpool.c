/* zpool.c - small objects packed into frames.
 *
 *   frame   | header | object      | obj | free | object  | free        |     64 units of 64 bytes
 *   used      1        1 1 1         1     0      1 1       0 ...             a bit for each unit
 *   heads     0        1 0 0         1     0      1 0       0 ...             ... where an object begins
 *
 * Frames with room stand in buckets by their longest free run of units, so that an object finds the tightest one at
 * once. All frames stand in a line by age: what is written back first comes from the frame that came first, and all of
 * it, so that a frame comes free. */
#include "vm/zpool.h"

#include "vm/frame.h"

#define UNIT 64u
#define UNITS (PAGE_SIZE / UNIT)

struct header {
    u64 used, heads;
    struct list bucket, age;
};
_Static_assert(sizeof(struct header) <= UNIT && UNITS == 64 && (UNITS - 1) * UNIT == ZPOOL_MOST, "a bit for each unit");

static struct list buckets[UNITS]; /* by the longest free run; 0: full */
static u64 filled;                 /* bit n: buckets[n] has some */
static struct list ages;           /* the oldest first */
static u64 frames_had;             /* read without the lock as a hint */

void zpool_init(void) {
    for (unsigned i = 0; i < UNITS; i++)
        list_init(&buckets[i]);
    list_init(&ages);
}

u64 zpool_frames(void) { return atomic_load_relaxed(&frames_had); }

static struct header *header_of(const void *object) { return (void *)((u64)(uintptr_t)object & PAGE_MASK); }

/* Bit i of the result: `count` units from i on are free. */
static u64 runs_of(u64 used, unsigned count) {
    u64 free = ~used;
    for (unsigned have = 1; have < count;) {
        unsigned step = min(have, count - have);
        free &= free >> step;
        have += step;
    }
    return free;
}

static unsigned longest_run(u64 used) {
    unsigned n = 0;
    for (u64 free = ~used; free; free &= free >> 1)
        n++;
    return n;
}

static void leave_bucket(struct header *h, unsigned run) {
    list_del(&h->bucket);
    if (list_empty(&buckets[run]))
        filled &= ~(1ULL << run);
}

static void join_bucket(struct header *h) {
    unsigned run = longest_run(h->used);
    list_add(&buckets[run], &h->bucket);
    filled |= 1ULL << run;
}

static u64 units_from(unsigned first, unsigned count) { return (~0ULL >> (UNITS - count)) << first; }

void *zpool_take(size_t bytes) {
    unsigned count = (bytes + UNIT - 1) / UNIT;
    assert(count && count < UNITS);
    u64 enough = filled & (~0ULL << count);
    if (!enough)
        return NULL;
    unsigned run = __builtin_ctzll(enough);
    struct header *h = list_first(&buckets[run], struct header, bucket);
    unsigned first = __builtin_ctzll(runs_of(h->used, count));
    leave_bucket(h, run);
    h->used |= units_from(first, count);
    h->heads |= 1ULL << first;
    join_bucket(h);
    return (u8 *)h + first * UNIT;
}

void zpool_add(struct frame *f) {
    struct header *h = frame_va(f);
    *h = (struct header){.used = 1};
    list_add_tail(&ages, &h->age);
    join_bucket(h);
    atomic_hint_add(&frames_had, 1);
}

void zpool_give(void *object) {
    struct header *h = header_of(object);
    unsigned first = ((u64)(uintptr_t)object & ~PAGE_MASK) / UNIT;
    assert(h->heads >> first & 1);
    u64 after = first + 1 < UNITS ? (h->heads | ~h->used) & (~0ULL << (first + 1)) : 0; /* the next object, or free */
    unsigned end = after ? (unsigned)__builtin_ctzll(after) : UNITS;
    leave_bucket(h, longest_run(h->used));
    h->used &= ~units_from(first, end - first);
    h->heads &= ~(1ULL << first);
    if (h->used != 1) {
        join_bucket(h);
        return;
    }
    list_del(&h->age);
    atomic_hint_add(&frames_had, -1);
    frame_free(frame_of_va(h), 0);
}

void *zpool_old(const void *after) {
    if (list_empty(&ages))
        return NULL;
    struct header *h = list_first(&ages, struct header, age);
    unsigned first = after ? ((u64)(uintptr_t)after & ~PAGE_MASK) / UNIT + 1 : 0;
    u64 heads = first < UNITS ? h->heads & (~0ULL << first) : 0;
    return heads ? (u8 *)h + __builtin_ctzll(heads) * UNIT : NULL;
}
