/* frame.c - physical memory: the descriptors, the buddy, each CPU's cache of single frames, and the count of every
 * class.
 *
 * A free frame is either in the buddy (its block's head is in a list, and marked FRAME_LISTED) or in one CPU's cache.
 * The common case, one frame, takes only the lock of this CPU's cache, on a line that others touch only when memory is
 * short; caches exchange frames with the buddy BATCH at a time.
 *
 *     frame_alloc -> this CPU's cache -> the buddy -> (nothing left) epochs, empty slabs, all caches -> vm_reclaim ->
 *     vm_out_of_memory -> NULL
 *
 * An allocation that leaves less than the low mark wakes the task that reclaims in the background (background.c).
 *
 * Counts: each CPU counts what it gave out and took back of every class but FRAME_FREE, which is what remains of the
 * given frames: so the classes add up at every instant, also while they change (invariant 4).
 *
 * Locks: a cache's lock, then the buddy's; nothing is taken under these. Not here: which frames to reclaim
 * (vm_reclaim). */
#include "vm/frame.h"

#include "boot/boot.h"
#include "vm/background.h"
#include "vm/epoch.h"
#include "vm/event.h"
#include "vm/machine.h"
#include "vm/policy.h"
#include "vm/record.h"
#include "vm/slab.h"
#include "vm/swap.h"

#define ORDERS (FRAME_ORDER_MOST + 1)
#define BATCH 32u            /* frames that a cache takes from or gives to the buddy at once */
#define CACHE_MOST 64u       /* so that a cache that just took or gave a batch is half full */
#define ROUNDS_OF_BLOCKS 64u /* reclaim passes for a block of several frames: more would empty memory for luck */
#define POOR_ROUNDS 16u      /* ... that find a little, for a frame that others then take: as many as Linux makes */

struct frame *frames;
u64 frame_count;
bool (*alloc_fail_asked)(void);
bool frame_poison;
u64 alloc_fail_countdown;
enum oom_answer (*vm_out_of_memory)(u64 stored, bool again);
static bool careful; /* alloc_fail_asked or frame_poison is set: no short cuts */

/* Legend: [l] lock. */
struct frame_cpu {
    struct spin lock;
    u32 count;               /* [l] frames in the cache */
    struct frame *head;      /* [l] linked by free.next */
    s64 used[FRAME_CLASSES]; /* [l] frames given out less those taken back, here, of each class; not of FRAME_FREE */
} __attribute__((aligned(128)));

static struct frame_cpu caches[MACHINE_CPUS];

static struct {
    struct spin lock;           /* protects all of it, and order, flags and free of FRAME_LISTED frames */
    struct frame *head[ORDERS]; /* free blocks, doubly linked, NULL at both ends */
    u64 free;                   /* frames in blocks; read without the lock as a hint */
    u64 least;                  /* of them, ever */
} buddy;

static u64 given;                /* frames of -m; constant after frame_init */
static struct frame_marks marks; /* atomic, each */

#define POISON 0x5ee7f2eef2a3e5adULL /* not an address, not zero */

static void poison_fill(struct frame *f) {
    u64 *words = frame_va(f);
    for (u64 i = 0; i < PAGE_SIZE / sizeof(u64); i++)
        words[i] = POISON;
}

static void poison_check(struct frame *f) {
    u64 *words = frame_va(f);
    for (u64 i = 0; i < PAGE_SIZE / sizeof(u64); i++)
        if (unlikely(words[i] != POISON))
            panic("frame %#lx was written to while free: offset %#lx holds %#lx", (unsigned long)frame_number(f),
                  (unsigned long)(i * sizeof(u64)), (unsigned long)words[i]);
}

/* The buddy. Its functions are called with buddy.lock held. */

static void block_link(struct frame *f, unsigned order) {
    f->order = order;
    atomic_store_relaxed(&f->flags, FRAME_LISTED);
    f->free.prev = NULL;
    f->free.next = buddy.head[order];
    if (f->free.next)
        f->free.next->free.prev = f;
    buddy.head[order] = f;
}

static void block_unlink(struct frame *f) {
    if (f->free.prev)
        f->free.prev->free.next = f->free.next;
    else
        buddy.head[f->order] = f->free.next;
    if (f->free.next)
        f->free.next->free.prev = f->free.prev;
    atomic_store_relaxed(&f->flags, 0);
}

/* buddy_give: a block comes back; joins it with its free buddies. All its frames are of class FRAME_FREE already. */
static void buddy_give(struct frame *f, unsigned order) {
    u64 number = frame_number(f);
    atomic_hint_add(&buddy.free, 1ULL << order);
    while (order + 1 < ORDERS) {
        u64 other = number ^ (1ULL << order);
        if (other + (1ULL << order) > frame_count)
            break;
        struct frame *b = &frames[other];
        if (frame_class(b) != FRAME_FREE || !(frame_flags(b) & FRAME_LISTED) || b->order != order)
            break;
        block_unlink(b);
        number &= ~(1ULL << order);
        order++;
    }
    block_link(&frames[number], order);
}

/* give_range: frames [number, end) come back, as the largest aligned blocks of them. */
static void give_range(u64 number, u64 end) {
    while (number < end) {
        unsigned order = number ? min((unsigned)__builtin_ctzll(number), ORDERS - 1) : ORDERS - 1;
        while (number + (1ULL << order) > end)
            order--;
        buddy_give(&frames[number], order);
        number += 1ULL << order;
    }
}

/* buddy_cut: a block of 2^order frames out of one of 2^have, which is there. */
static struct frame *buddy_cut(unsigned have, unsigned order) {
    struct frame *f = buddy.head[have];
    block_unlink(f);
    while (have > order) {
        have--;
        block_link(f + (1ULL << have), have);
    }
    atomic_hint_add(&buddy.free, -(1ULL << order));
    buddy.least = min(buddy.least, buddy.free);
    return f;
}

static unsigned buddy_smallest(unsigned order) {
    while (order < ORDERS && !buddy.head[order])
        order++;
    return order;
}

/* buddy_take: a block, or NULL; leaves at least `keep` frames. */
static struct frame *buddy_take(unsigned order, u64 keep) {
    if (buddy.free < keep + (1ULL << order))
        return NULL;
    unsigned have = buddy_smallest(order);
    if (have == ORDERS)
        return NULL;
    struct frame *f = buddy_cut(have, order);
    f->order = order;
    return f;
}

/* The caches. */

/* cache_refill: up to BATCH frames from the buddy, under c->lock. Small blocks go first, and whole; the frames of one
 * come out in rising order, so that what a program touches in a row is freed as a row. */
static void cache_refill(struct frame_cpu *c, u64 keep) {
    u64 want = keep ? BATCH : 1; /* who may use the reserve takes no more of it than he needs */
    spin_lock(&buddy.lock);
    want = min(want, buddy.free > keep ? buddy.free - keep : 0);
    while (want) {
        unsigned have = buddy_smallest(0), order = min(have, 63u - __builtin_clzll(want));
        struct frame *f = buddy_cut(have, order) + (1ULL << order);
        for (u64 i = 1ULL << order; i > 0; i--) {
            f--;
            atomic_store_relaxed(&f->free.next, c->head);
            c->head = f;
        }
        atomic_hint_add(&c->count, 1U << order);
        want -= 1ULL << order;
    }
    spin_unlock(&buddy.lock);
}

/* cache_spill: give frames back until `left` remain, under c->lock: rows of neighbours, up or down, as blocks. */
static void cache_spill(struct frame_cpu *c, u32 left) {
    spin_lock(&buddy.lock);
    while (c->count > left) {
        struct frame *first = c->head, *last = first, *next = first->free.next;
        s64 step = next == first - 1 ? -1 : 1;
        for (atomic_hint_add(&c->count, -1); c->count > left && next == last + step; atomic_hint_add(&c->count, -1)) {
            last = next;
            next = next->free.next;
        }
        c->head = next;
        give_range(frame_number(min(first, last)), frame_number(max(first, last)) + 1);
    }
    spin_unlock(&buddy.lock);
}

u64 frame_caches_drain(void) {
    u64 drained = 0;
    for (unsigned i = 0; i < cpu_count; i++) {
        struct frame_cpu *c = &caches[i];
        if (!atomic_load_relaxed(&c->count))
            continue;
        spin_lock(&c->lock);
        drained += c->count;
        cache_spill(c, 0);
        spin_unlock(&c->lock);
    }
    return drained;
}

/* Allocation. */

void alloc_fail_when(bool (*fails)(void)) {
    careful = fails || frame_poison;
    atomic_store(&alloc_fail_asked, fails);
}

static bool countdown_ends(void) {
    bool ends = atomic_sub(&alloc_fail_countdown, 1) == 0;
    if (ends)
        alloc_fail_when(NULL);
    return ends;
}

void alloc_fail_at(u64 n) {
    atomic_store(&alloc_fail_countdown, n);
    alloc_fail_when(n ? countdown_ends : NULL);
}

static u64 reserve(void) { return atomic_load_relaxed(&marks.min); }

/* frame_take: without waiting. The frames have their class and are counted. */
static struct frame *frame_take(unsigned order, enum frame_class class, u64 keep) {
    struct frame_cpu *c = &caches[cpu_id()];
    struct frame *f;
    spin_lock(&c->lock);
    if (likely(order == 0)) {
        if (unlikely(!c->head))
            cache_refill(c, keep);
        f = c->head;
        if (likely(f)) {
            c->head = f->free.next;
            atomic_hint_add(&c->count, -1);
        }
    } else {
        spin_lock(&buddy.lock);
        f = buddy_take(order, keep);
        spin_unlock(&buddy.lock);
    }
    if (likely(f)) {
        atomic_hint_add(&c->used[class], 1LL << order);
        for (u64 i = 0; i < 1ULL << order; i++)
            atomic_store_relaxed(&f[i].class, class);
        f->order = order;
    }
    spin_unlock(&c->lock);
    if (unlikely(atomic_load_relaxed(&buddy.free) < atomic_load_relaxed(&marks.low)))
        vm_background_wake();
    return f;
}

/* What waits to be freed anyway is gathered; then is there one? */
static struct frame *take_gathered(unsigned order, enum frame_class class) {
    epoch_drain(true);
    if (order)
        slab_shrink();
    frame_caches_drain();
    return frame_take(order, class, reserve());
}

bool frame_available(void) { return frame_free_count() > reserve() + BATCH; }

/* Nobody is to be killed because memory lies in small pieces. */
static bool is_short_of(unsigned order) { return !order || frame_free_count() < reserve() + (BATCH << order); }

static enum oom_answer ask(unsigned order, unsigned asked, u64 stored) {
    if (!vm_out_of_memory || !is_short_of(order) || (order && asked))
        return OOM_FAILS;
    return vm_out_of_memory(stored, asked >= POOR_ROUNDS);
}

/* frame_take_slowly: nothing is left. Gather, reclaim, at last ask the killer, until there is a block or nothing to
 * have. A block is tried for a while only, and asks once. Rounds that find less than was asked for, and leave nothing
 * for us, are not had for ever: what they find may be what the round before took, a slab's page for one. */
static struct frame *frame_take_slowly(unsigned order, enum frame_class class) {
    enum oom_answer answer = OOM_AGAIN;
    unsigned rounds = 0, asked = 0, poor = 0;
    u64 wanted = max(1UL << order, (unsigned long)BATCH);
    if (vm_reclaiming()) /* who makes memory free may use the reserve */
        return frame_take(order, class, 0);
    u32 stall = machine_stall(STALL_MEMORY);
    struct frame *f = take_gathered(order, class);
    while (!f && answer == OOM_AGAIN) {
        u64 stored = event_total(EVENT_OBJECT_WRITE_BACK);
        u64 found = order && ++rounds > ROUNDS_OF_BLOCKS ? 0 : vm_reclaim(wanted);
        poor = found < wanted ? poor + 1 : 0;
        if (!found || poor > POOR_ROUNDS)
            answer = ask(order, asked++, stored);
        machine_breathe(); /* whoever can give some back may be waiting for this CPU */
        f = take_gathered(order, class);
    }
    machine_stall_over(stall);
    return f || answer != OOM_RESERVE ? f : frame_take(order, class, 0);
}

/* alloc_slowly: all that is not the common case: blocks, an empty cache, a test's wishes. */
static __attribute__((noinline)) struct frame *alloc_slowly(unsigned order, enum frame_class class, unsigned how) {
    struct frame *f;
    assert(order<ORDERS &&class> FRAME_RESERVED && class < FRAME_CLASSES);
    if (alloc_fails())
        return NULL;
    f = frame_take(order, class, reserve());
    if (unlikely(!f) && !(how & FRAME_TRY))
        f = how & FRAME_ATOMIC ? frame_take(order, class, 0) : frame_take_slowly(order, class);
    if (unlikely(!f))
        return NULL;
    for (u64 i = 0; i < 1ULL << order; i++) {
        if (unlikely(frame_poison))
            poison_check(f + i);
        if (how & FRAME_ZEROED)
            machine_zero_page(frame_va(f + i));
    }
    return f;
}

struct frame *frame_alloc(unsigned order, enum frame_class class, unsigned how) {
    struct frame_cpu *c = &caches[cpu_id()];
    struct frame *f = NULL;
    if (likely(order == 0 && !careful)) {
        spin_lock(&c->lock);
        f = c->head;
        if (likely(f)) {
            c->head = f->free.next;
            atomic_hint_add(&c->count, -1);
            atomic_hint_add(&c->used[class], 1);
            atomic_store_relaxed(&f->class, class);
            f->order = 0;
        }
        spin_unlock(&c->lock);
    }
    if (unlikely(!f))
        return alloc_slowly(order, class, how);
    if (how & FRAME_ZEROED)
        machine_zero_page(frame_va(f));
    return f;
}

/* Reclaim may be reading what f belongs to: it looks at the counts after it set hold, we at hold after they became 0.
 */
static inline void wait_for_readers(struct frame *f) {
    while (unlikely(atomic_load(&f->hold)))
        machine_pause();
}

void frame_free_list(struct frame *list) {
    struct frame_cpu *c = &caches[cpu_id()];
    enum frame_class class = list->class;
    u32 count = 0;
    atomic_fence(); /* the counts were set to 0 without one */
    spin_lock(&c->lock);
    struct frame *head = c->head;
    for (struct frame *f = list, *next; f; f = next, count++) {
        next = f->free.next;
        wait_for_readers(f);
        shadow_freed(frame_number(f));
        record_freed(f);
        if (unlikely(frame_poison))
            poison_fill(f);
        atomic_store_relaxed(&f->class, FRAME_FREE);
        atomic_store_relaxed(&f->flags, 0);
        atomic_store_relaxed(&f->free.next, head);
        head = f;
    }
    c->head = head;
    atomic_hint_add(&c->used[class], -(s64)count);
    atomic_hint_add(&c->count, count);
    if (c->count > CACHE_MOST)
        cache_spill(c, CACHE_MOST - BATCH);
    spin_unlock(&c->lock);
}

void frame_reclass(struct frame *f, enum frame_class class) {
    struct frame_cpu *c = &caches[cpu_id()];
    spin_lock(&c->lock);
    atomic_hint_add(&c->used[f->class], -1);
    atomic_hint_add(&c->used[class], 1);
    atomic_store_relaxed(&f->class, class);
    spin_unlock(&c->lock);
}

static __attribute__((noinline)) void free_block(struct frame *f, unsigned order) {
    struct frame_cpu *c = &caches[cpu_id()];
    spin_lock(&c->lock);
    atomic_hint_add(&c->used[f->class], -(1LL << order));
    for (u64 i = 0; i < 1ULL << order; i++) {
        atomic_store_relaxed(&f[i].class, FRAME_FREE);
        atomic_store_relaxed(&f[i].flags, 0);
        atomic_store_relaxed(&f[i].counts,
                             0); /* of the frames after the first: whoever used them may have left something */
    }
    spin_lock(&buddy.lock);
    buddy_give(f, order);
    spin_unlock(&buddy.lock);
    spin_unlock(&c->lock);
}

u64 frames_offline;

/* It is never given out again. */
static void retire(struct frame *f) {
    atomic_store_relaxed(&f->flags, FRAME_ERROR);
    frame_reclass(f, FRAME_RESERVED);
    atomic_add(&frames_offline, 1);
}

void frame_free(struct frame *f, unsigned order) {
    unsigned class = frame_class(f);
    if (unlikely(class <= FRAME_RESERVED || class >= FRAME_CLASSES || atomic_load_relaxed(&f->counts) ||
                 f->order != order))
        panic("frame_free: frame %#lx, order %u: class %u, order %u, counts %#lx", (unsigned long)frame_number(f),
              order, class, f->order, (unsigned long)f->counts);
    wait_for_readers(f);
    shadow_freed(frame_number(f));
    if (unlikely(frame_flags(f) & FRAME_SWAP) && class == FRAME_ANON)
        swap_forget(f);
    record_freed(f);
    if (unlikely(frame_flags(f) & FRAME_POISON)) {
        retire(f);
        return;
    }
    for (u64 i = 0; unlikely(frame_poison) && i < 1ULL << order; i++)
        poison_fill(f + i);
    if (order) {
        free_block(f, order);
        return;
    }
    struct frame_cpu *c = &caches[cpu_id()];
    spin_lock(&c->lock);
    atomic_hint_add(&c->used[class], -1);
    atomic_store_relaxed(&f->class, FRAME_FREE);
    atomic_store_relaxed(&f->flags, 0);
    atomic_store_relaxed(&f->free.next, c->head);
    c->head = f;
    atomic_hint_add(&c->count, 1);
    if (unlikely(c->count > CACHE_MOST))
        cache_spill(c, CACHE_MOST - BATCH);
    spin_unlock(&c->lock);
}

void *pages_alloc(unsigned order, unsigned how) {
    struct frame *f = frame_alloc(order, FRAME_KERNEL, how);
    return f ? frame_va(f) : NULL;
}

void pages_free(void *va, unsigned order) {
    if (va)
        frame_free(frame_of_va(va), order);
}

/* Counts. */

void frame_totals(struct frame_totals *t) {
    s64 used[FRAME_CLASSES] = {0};
    s64 all = 0;
    for (unsigned i = 0; i < MACHINE_CPUS; i++)
        for (unsigned k = FRAME_RESERVED; k < FRAME_CLASSES; k++)
            used[k] += (s64)atomic_load_relaxed(&caches[i].used[k]);
    /* A frame that moved from one CPU's count to another's while we read may be seen twice or not at all: never less
     * than 0. */
    for (unsigned k = FRAME_RESERVED; k < FRAME_CLASSES; k++) {
        used[k] = min(max(used[k], (s64)0), (s64)given - all);
        all += used[k];
        t->frames[k] = (u64)used[k];
    }
    t->frames[FRAME_FREE] = given - (u64)all;
    t->given = given;
}

u64 frame_free_count(void) {
    u64 count = atomic_load_relaxed(&buddy.free);
    for (unsigned i = 0; i < cpu_count; i++)
        count += atomic_load_relaxed(&caches[i].count);
    return count;
}

/* Between the marks lie 1/256 of memory, but enough for the background to get a few pages ahead. */
void frame_set_min(u64 frames) {
    u64 least = min(max(frames, 8UL), given / 4), gap = max(given / 256, (u64)BATCH / 2);
    atomic_store_relaxed(&marks.min, least);
    atomic_store_relaxed(&marks.low, least + gap);
    atomic_store_relaxed(&marks.high, least + 2 * gap);
}

void frame_marks(struct frame_marks *out) {
    out->min = atomic_load_relaxed(&marks.min);
    out->low = atomic_load_relaxed(&marks.low);
    out->high = atomic_load_relaxed(&marks.high);
}

u64 frame_free_least(void) { return atomic_load_relaxed(&buddy.least); }

void frame_reserve_least(u64 least) { frame_set_min(max(marks.min, min(least, given / 16))); }

/* Early boot. */

static void free_range(u64 number, u64 end) {
    for (u64 n = number; unlikely(frame_poison) && n < end; n++)
        poison_fill(&frames[n]);
    give_range(number, end);
}

static void take_range(u64 number, u64 end, enum frame_class class, u8 flags) {
    for (; number < end; number++) {
        frames[number].class = class;
        frames[number].flags = flags;
    }
}

void frame_init(const struct memory_range *ranges, unsigned count) {
    u64 at = 0;
    careful = frame_poison;
    for (unsigned i = 0; i < count; i++)
        frame_count = max(frame_count, (ranges[i].start + ranges[i].bytes) >> PAGE_SHIFT);
    frames = boot_alloc(frame_count * sizeof(struct frame), PAGE_SIZE); /* zeroed: class FRAME_FREE */
    policy_setup(boot_alloc(policy_bytes(frame_count), PAGE_SIZE), frame_count);
    s64 *used = caches[cpu_id()].used;
    for (unsigned i = 0; i < count; i++) {
        u64 number = ranges[i].start >> PAGE_SHIFT, end = number + (ranges[i].bytes >> PAGE_SHIFT);
        enum frame_class class = ranges[i].kind == RAM_FREE       ? FRAME_FREE
                                 : ranges[i].kind == RAM_RESERVED ? FRAME_RESERVED
                                                                  : FRAME_KERNEL;
        if (number == end)
            continue;
        take_range(at, number, FRAME_RESERVED, FRAME_HOLE);
        at = end;
        given += end - number;
        if (class == FRAME_FREE)
            continue;
        take_range(number, end, class, 0);
        used[class] += (s64)(end - number);
    }
    for (unsigned i = 0; i < count; i++)
        if (ranges[i].kind == RAM_FREE)
            free_range(ranges[i].start >> PAGE_SHIFT, (ranges[i].start + ranges[i].bytes) >> PAGE_SHIFT);
    /* 1/256 of memory, at least a batch of an interrupted machine's needs, at most 2 MiB */
    buddy.least = buddy.free;
    frame_set_min(min(given / 256, 512UL));
}
