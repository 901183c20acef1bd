/* area.c - swap areas and the counts of their slots (area.h).
 *
 *   area   parts ─► [ chunk | chunk | ... ]  ─► counts of 2048 slots, two bytes each: a page
 *                   [ chunk | ...           made when the first slot of theirs is used: so an area of 1 TiB begins with
 * one page of pointers
 *
 * Counts step up and down by atomics, but from 0 only under the lock. 16 bits are enough: a slot is named once by each
 * table of one ring at most, there are fewer spaces than process numbers (32768), and who holds a slot for a moment is
 * one of their tasks.
 *
 * Slots are given out one after the other in a cluster, an aligned row of SWAP_CLUSTER that was free, as long as there
 * is one: so what is written together lies together. At the end of a cluster the next area of the same priority has its
 * turn.
 *
 * Locks: `changing` (sleeping) for the list of areas; the lock for slots is among the innermost (docs/locks.md). */
#include "vm/area.h"

#include "vm/epoch.h"
#include "vm/inner.h"
#include "vm/slab.h"
#include "vm/zswap.h"

#define CHUNK SWAP_CHUNK
#define PART (PAGE_SIZE / sizeof(struct chunk)) /* chunks of one part: a page */
#define BAD 0xffffu

struct chunk {
    u16 *counts; /* atomic; NULL: none of its slots was ever used */
    u64 used;    /* [l] slots whose count is not 0; CHUNK more while its slots are discarded */
    u32 lost;    /* [l] of them, those that never can be used */
    u32 next;    /* [l] in the area's list `emptied`: number + 1 of the next one */
    bool queued; /* [l] it is in that list */
};
_Static_assert(sizeof(struct chunk) == 32, "a part has a power of two of them");
_Static_assert(CHUNK * sizeof(u16) == PAGE_SIZE, "a page of counts");

/* Legend: [l] lock; [m] changing, and read by who holds a slot; [a] allocation: by one task at a time. */
struct area {
    struct swap_device *device; /* [m] NULL: no such area */
    u64 pages;                  /* [m] the header too */
    int priority;               /* [m] */
    bool closed;                /* [l] */
    struct chunk **parts;       /* [m] the array; a part is atomic, and made by swap_alloc */
    u64 next, end;              /* [a] where the search goes on; the end of the cluster */
    u64 used;                   /* [l] slots in use, those that never can be left out */
    u64 lost;                   /* [l] the header, and bad ones */
    u64 freed;                  /* [l] since no free cluster was found */
    bool discards;              /* [l] */
    u32 emptied;                /* [l] chunks whose last slot came free: number + 1 of the first */
};

static struct {
    struct spin lock;
    struct mutex changing;
    struct area areas[AREAS_MOST];
    unsigned last;       /* [a] the area of the last slot */
    u64 used, used_most; /* [l] slots in all areas; ever at a time */
    int lowest;          /* [m] the lowest priority given so far */
} swap = {.changing = MUTEX_INIT(swap.changing), .lowest = -1};

struct waitq swap_discard_waits = WAITQ_INIT(swap_discard_waits);
u64 swap_discarded;

static struct area *area_of(u64 slot) { return &swap.areas[slot_area(slot)]; }
static u64 chunks_of(const struct area *a) { return (a->pages + CHUNK - 1) / CHUNK; }
static u64 parts_of(const struct area *a) { return (chunks_of(a) + PART - 1) / PART; }

static struct chunk *chunk_of(const struct area *a, u64 n) {
    struct chunk *part = atomic_load(&a->parts[n / PART]);
    return part ? &part[n % PART] : NULL;
}

/* The counts of a slot's chunk; NULL: none of them was ever used. */
static u16 *counts_of(u64 slot) {
    struct area *a = area_of(slot);
    u64 n = slot_page(slot) / CHUNK;
    struct chunk *c = atomic_load(&a->device) && slot_page(slot) < a->pages ? chunk_of(a, n) : NULL;
    return c ? atomic_load(&c->counts) : NULL;
}

static u16 *count_of(u64 slot) { return &counts_of(slot)[slot % CHUNK]; }

u32 swap_count(u64 slot) {
    const u16 *counts = counts_of(slot);
    return counts ? atomic_load(&counts[slot % CHUNK]) : 0;
}

/* ---- areas ---- */

void areas_hold(void) { mutex_lock(&swap.changing); }
void areas_let_go(void) { mutex_unlock(&swap.changing); }
struct swap_device *area_device(unsigned area) {
    return swap.areas[area].device;
}

/* The counts of a chunk are there; slots that do not exist count as taken for ever. NULL: no memory. */
static struct chunk *chunk_ready(struct area *a, u64 n) {
    struct chunk *c = chunk_of(a, n);
    if (c && c->counts)
        return c;
    if (!c) {
        struct chunk *part = pages_alloc(0, FRAME_ZEROED);
        if (!part)
            return NULL;
        atomic_store(&a->parts[n / PART], part);
        c = &part[n % PART];
    }
    u16 *counts = pages_alloc(0, FRAME_ZEROED);
    for (u64 i = 0; counts && i < CHUNK; i++)
        if (!(n + i) || n * CHUNK + i >= a->pages) {
            counts[i] = BAD;
            atomic_hint_add(&c->used, 1);
            c->lost++;
        }
    atomic_store(&c->counts, counts);
    return counts ? c : NULL;
}

static void free_counts(struct area *a) {
    for (u64 p = 0; a->parts && p < parts_of(a); p++) {
        for (u64 i = 0; a->parts[p] && i < PART; i++)
            pages_free(a->parts[p][i].counts, 0);
        pages_free(a->parts[p], 0);
    }
    kfree(a->parts);
    a->parts = NULL;
}

static int mark_bad(struct area *a, const u32 *bad, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct chunk *c = bad[i] && bad[i] < a->pages ? chunk_ready(a, bad[i] / CHUNK) : NULL;
        if (!c)
            return bad[i] && bad[i] < a->pages ? -ENOMEM : -EINVAL;
        u16 *at = &c->counts[bad[i] % CHUNK];
        atomic_hint_add(&c->used, *at != BAD);
        c->lost += *at != BAD;
        a->lost += *at != BAD;
        *at = BAD;
    }
    return a->lost < a->pages ? 0 : -EINVAL;
}

/* Everything of *a but the device, without which nobody looks at the rest, is set; the number is free. changing held.
 */
static int prepare(struct area *a, u64 pages, const u32 *bad, unsigned bad_count) {
    a->pages = min(pages, SLOTS_MOST);
    a->closed = a->discards = false;
    a->emptied = 0;
    a->next = a->lost = 1;
    a->used = 0;
    a->freed = ~0ULL >> 1;
    if (a->pages < 2)
        return -EINVAL;
    a->end = min((u64)SWAP_CLUSTER, a->pages);
    a->parts = kzalloc(parts_of(a) * sizeof(*a->parts));
    int error = a->parts ? mark_bad(a, bad, bad_count) : -ENOMEM;
    if (error)
        free_counts(a);
    return error;
}

int area_add(struct swap_device *d, u64 pages, int priority, const u32 *bad, unsigned bad_count) {
    mutex_lock(&swap.changing);
    unsigned n = 0;
    while (n < AREAS_MOST && swap.areas[n].device)
        n++;
    struct area *a = &swap.areas[n];
    int error = n < AREAS_MOST ? prepare(a, pages, bad, bad_count) : -EPERM;
    if (!error) {
        a->priority = priority >= 0 ? priority : --swap.lowest;
        spin_lock(&swap.lock);
        atomic_store(&a->device, d);
        spin_unlock(&swap.lock);
    }
    mutex_unlock(&swap.changing);
    return error ? error : (int)n;
}

void area_close(unsigned area) {
    spin_lock(&swap.lock);
    atomic_store(&swap.areas[area].closed, true); /* looked at without the lock, too */
    spin_unlock(&swap.lock);
}

void area_open(unsigned area) {
    spin_lock(&swap.lock);
    atomic_store(&swap.areas[area].closed, false);
    spin_unlock(&swap.lock);
}

bool area_remove(unsigned area) {
    struct area *a = &swap.areas[area];
    mutex_lock(&swap.changing);
    spin_lock(&swap.lock);
    bool empty = a->closed && !a->used;
    if (empty)
        atomic_store(&a->device, NULL);
    spin_unlock(&swap.lock);
    if (empty) {
        reclaim_exclude(); /* a search for a slot may have begun when the device was there */
        reclaim_include();
        epoch_drain(true); /* who asks for a count without holding one does it in an epoch section */
        free_counts(a);
    }
    mutex_unlock(&swap.changing);
    return empty;
}

void area_look(unsigned area, struct area_state *out) {
    const struct area *a = &swap.areas[area];
    spin_lock(&swap.lock);
    *out = (struct area_state){.device = a->device};
    if (a->device)
        *out = (struct area_state){a->device, a->pages - a->lost, a->used, a->priority, a->closed};
    spin_unlock(&swap.lock);
}

/* What is in use of an area that is closed will not be: it counts as free, as on Linux. */
void areas_total(struct swap_totals *out) {
    spin_lock(&swap.lock);
    *out = (struct swap_totals){.used_most = swap.used_most};
    for (const struct area *a = swap.areas; a < swap.areas + AREAS_MOST; a++) {
        if (!a->device)
            continue;
        out->slots += a->closed ? a->used : a->pages - a->lost;
        out->used += a->closed ? 0 : a->used;
    }
    spin_unlock(&swap.lock);
}

u64 swap_next_chunk(u64 from) {
    for (unsigned n = slot_area(from); n < AREAS_MOST; n++, from = 0) {
        const struct area *a = &swap.areas[n];
        for (u64 c = slot_page(from) / CHUNK; a->device && c < chunks_of(a); c++) {
            struct chunk *chunk = chunk_of(a, c);
            if (chunk && chunk->counts)
                return (u64)n << AREA_SHIFT | c * CHUNK;
            if (!chunk) /* none of its part */
                c |= PART - 1;
        }
    }
    return ~0ULL;
}

/* ---- slots ---- */

static bool has_room(const struct area *a) {
    return atomic_load(&a->device) && !atomic_load_relaxed(&a->closed) &&
           atomic_load_relaxed(&a->used) + atomic_load_relaxed(&a->lost) < a->pages;
}

bool swap_room(void) {
    bool room = false;
    for (unsigned n = 0; n < AREAS_MOST && !room; n++)
        room = has_room(&swap.areas[n]);
    return room;
}

bool swap_leaving(u64 slot) { return atomic_load_relaxed(&area_of(slot)->closed); }

bool swap_crowded(u64 slot) {
    struct swap_totals t;
    if (swap_leaving(slot))
        return true;
    areas_total(&t);
    return 8 * t.used > 7 * t.slots;
}

/* The first free one of pages [from, end), which lie in one chunk: taken; 0: none. */
static u64 take(struct area *a, u64 from, u64 end) {
    struct chunk *c = from < end ? chunk_ready(a, from / CHUNK) : NULL;
    u64 page = 0;
    if (!c)
        return 0;
    spin_lock(&swap.lock);
    for (u64 i = from; i < end && atomic_load_relaxed(&c->used) < CHUNK && !page; i++)
        if (!atomic_load_relaxed(&c->counts[i % CHUNK]))
            page = i;
    if (page) {
        atomic_store(&c->counts[page % CHUNK], (u16)1);
        atomic_hint_add(&c->used, 1);
        atomic_hint_add(&a->used, 1);
        swap.used_most = max(swap.used_most, ++swap.used);
    }
    spin_unlock(&swap.lock);
    return page;
}

/* A row of free slots in chunk n; its end if there is none. */
static u64 row_in(const struct area *a, u64 n) {
    const struct chunk *c = chunk_of(a, n);
    u64 first = n * CHUNK, end = first + CHUNK;
    if (!c || !c->counts)
        return first + (n ? 0 : SWAP_CLUSTER); /* the header's row is not whole */
    for (u64 row = first; row < end && atomic_load_relaxed(&c->used) <= CHUNK - SWAP_CLUSTER; row += SWAP_CLUSTER) {
        const u64 *words = (const u64 *)&c->counts[row % CHUNK];
        u64 any = 0;
        for (unsigned i = 0; i < SWAP_CLUSTER * sizeof(u16) / sizeof(u64); i++)
            any |= atomic_load_relaxed(&words[i]);
        if (!any)
            return row;
    }
    return end;
}

/* The next cluster becomes the one that slots are taken from. */
static void next_cluster(struct area *a) {
    u64 chunks = chunks_of(a), n = min(a->next / CHUNK, chunks - 1);
    if (atomic_load_relaxed(&a->freed) < SWAP_CLUSTER)
        return; /* there was none, and cannot be */
    for (u64 step = 0; step < chunks; step++, n = n + 1 < chunks ? n + 1 : 0) {
        u64 row = row_in(a, n);
        if (row < (n + 1) * CHUNK && row < a->pages) {
            a->next = row;
            a->end = min(row + SWAP_CLUSTER, a->pages);
            return;
        }
    }
    spin_lock(&swap.lock);
    atomic_store_relaxed(&a->freed, 0);
    spin_unlock(&swap.lock);
}

/* Any free slot: once round; the first chunk twice, for what lies before the place where the search begins. */
static u64 take_any(struct area *a) {
    u64 chunks = chunks_of(a), page = 0, from = a->next < a->pages ? a->next : 1;
    for (u64 step = 0; step <= chunks && !page; step++) {
        u64 end = (from / CHUNK + 1) * CHUNK;
        page = take(a, from, end);
        from = end < a->pages ? end : 0;
    }
    return page;
}

static u64 take_from(struct area *a) {
    if (a->next >= a->end)
        next_cluster(a);
    u64 page = take(a, a->next, a->end);
    if (!page)
        page = take_any(a);
    if (page) {
        a->end = page < a->end && page >= a->next ? a->end : page + 1; /* out of the cluster: there was no whole one */
        a->next = page + 1;
    }
    return page;
}

/* The area for the next slot; NULL: none has room. By priority; equal ones in turn, each for a cluster. */
static struct area *choose(u32 failed) {
    struct area *best = NULL, *last = &swap.areas[swap.last];
    for (unsigned i = 1; i <= AREAS_MOST; i++) {
        unsigned n = (swap.last + i) % AREAS_MOST;
        struct area *a = &swap.areas[n];
        if (has_room(a) && !(failed >> n & 1) && (!best || a->priority > best->priority))
            best = a;
    }
    bool stay = best && has_room(last) && last->next < last->end && last->priority == best->priority;
    return stay && !(failed >> swap.last & 1) ? last : best;
}

u64 swap_alloc(void) {
    u32 failed = 0;
    struct area *a;
    u64 page = 0, number = 0;
    while (!page && (a = choose(failed))) {
        number = (u64)(a - swap.areas);
        page = take_from(a);
        failed |= 1u << number;
        swap.last = page ? (unsigned)number : swap.last;
    }
    return page ? number << AREA_SHIFT | page : 0;
}

void swap_dup(u64 slot) {
    u16 now = atomic_add(count_of(slot), 1);
    assert(now > 1);
}

bool swap_hold(u64 slot) {
    u16 *count = count_of(slot), was = atomic_load(count);
    while (was && was != BAD &&
           !__atomic_compare_exchange_n(count, &was, was + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
    return was && was != BAD;
}

/* The last count goes under the lock: nobody gets the slot before its contents are forgotten. */
void swap_put(u64 slot) {
    struct area *a = area_of(slot);
    u64 n = slot_page(slot) / CHUNK;
    struct chunk *c = chunk_of(a, n);
    u16 *count = &c->counts[slot % CHUNK], was = atomic_load(count);
    bool emptied = false;
    while (was > 1)
        if (__atomic_compare_exchange_n(count, &was, was - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return;
    spin_lock(&swap.lock);
    was = atomic_sub(count, 1);
    assert(was != BAD);
    if (!was) {
        zswap_forget(slot);
        atomic_hint_add(&c->used, -1);
        atomic_hint_add(&a->used, -1);
        atomic_hint_add(&a->freed, 1);
        swap.used--;
        emptied = a->discards && c->used == c->lost && !c->queued;
    }
    if (emptied) {
        c->queued = true;
        c->next = a->emptied;
        a->emptied = (u32)n + 1;
    }
    spin_unlock(&swap.lock);
    if (emptied)
        waitq_wake_all(&swap_discard_waits);
}

void swap_bad(u64 slot) {
    struct area *a = area_of(slot);
    if (!swap_has_device(slot)) {
        swap_put(slot);
        return;
    }
    spin_lock(&swap.lock);
    assert(*count_of(slot) == 1);
    *count_of(slot) = BAD;
    chunk_of(a, slot_page(slot) / CHUNK)->lost++;
    atomic_hint_add(&a->used, -1);
    atomic_hint_add(&a->lost, 1);
    swap.used--;
    spin_unlock(&swap.lock);
}

/* ---- discarding ---- */

void area_discards(unsigned area) {
    spin_lock(&swap.lock);
    swap.areas[area].discards = true;
    spin_unlock(&swap.lock);
}

bool swap_discard_wanted(void) {
    bool wanted = false;
    for (const struct area *a = swap.areas; a < swap.areas + AREAS_MOST; a++)
        wanted |= atomic_load(&a->device) && atomic_load_relaxed(&a->emptied);
    return wanted;
}

/* A chunk that is empty still, and is not all that the area has free: taken out of use. NULL: none. *number: its. */
static struct chunk *take_emptied(struct area *a, u64 *number) {
    struct chunk *found = NULL;
    spin_lock(&swap.lock);
    while (a->device && a->emptied && !found) {
        *number = a->emptied - 1;
        struct chunk *c = chunk_of(a, *number);
        u64 free_slots = a->pages - a->lost - a->used;
        a->emptied = c->next;
        c->queued = false;
        if (c->used == c->lost && free_slots >= CHUNK - c->lost + 2 * SWAP_CLUSTER)
            found = c;
    }
    if (found)
        atomic_hint_add(&found->used, CHUNK);
    spin_unlock(&swap.lock);
    return found;
}

static void discard_chunk(struct area *a, const struct chunk *c, u64 first) {
    for (u64 i = 0, end; i < CHUNK; i = end + 1) {
        for (end = i; end < CHUNK && c->counts[end] != BAD; end++)
            continue;
        if (end > i) {
            a->device->discard(a->device, first + i, end - i);
            atomic_hint_add(&swap_discarded, end - i);
        }
    }
}

/* `changing` is held, so the area stays; what the device allocates finds memory without it. */
void swap_discard_one(void) {
    u64 n;
    mutex_lock(&swap.changing);
    for (struct area *a = swap.areas; a < swap.areas + AREAS_MOST; a++) {
        struct chunk *c = take_emptied(a, &n);
        if (!c)
            continue;
        discard_chunk(a, c, n * CHUNK);
        spin_lock(&swap.lock);
        atomic_hint_add(&c->used, -(s64)CHUNK);
        spin_unlock(&swap.lock);
    }
    mutex_unlock(&swap.changing);
}
