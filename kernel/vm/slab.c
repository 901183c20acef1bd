/* slab.c - caches of equal objects, and kmalloc on top of them.
 *
 * A slab is one block of frames, cut into objects. It has no header: what is known of it stands in its first frame's
 * descriptor (struct slab_state below), so that two objects of half a page fit in a page. A free object's first word
 * links it to the next one, its second is a canary.
 *
 *     slab_alloc -> this CPU's magazine -> BATCH objects from partial slabs -> a new slab from frame_alloc
 *
 * A magazine has a lock, as a frame cache has (frame.c): slab_shrink empties those of CPUs that sleep.
 * Locks: a magazine's lock; a cache's lock; never both, and nothing is taken under them.
 * Not here: reclaim of what objects hold. */
#include "vm/slab.h"

#include "lib/sync.h"
#include "vm/frame.h"
#include "vm/machine.h"

#define CACHES_MOST 96u
#define MAGAZINE_BYTES 4096u /* a magazine holds about this much, */
#define MAGAZINE_MOST 32u    /* at most so many objects, */
#define MAGAZINE_LEAST 4u    /* at least so many */
#define SLAB_ORDER_MOST 3u   /* 32 KiB: a block that a machine in use still finds */
#define EMPTY_KEPT                                                                                                     \
    1u /* entirely free slabs that a cache keeps, lest one object going to and fro costs a slab each time */
#define CANARY 0x0ddba11f0ddba11fULL

/* Legend: [c] constant; [l] the lock of the same struct. */
struct slab_cache {
    const char *name; /* [c] */
    u32 bytes;        /* [c] of an object, link and canary included */
    u32 reciprocal;   /* [c] 2^32 / bytes, rounded up: offsets become object numbers without a division */
    u32 order;        /* [c] of a slab */
    u32 per_slab;     /* [c] objects in it */
    u32 id;           /* [c] which magazine of a CPU is its */
    u32 magazine;     /* [c] objects that a magazine holds at most */
    struct spin lock; /* protects the rest, and the slab_state and links of all its slabs */
    u32 empties;      /* [l] slabs on `empty` */
    u32 partial,
        empty; /* [l] lists of slabs: with some objects free, with all; frame numbers, 0 ends. Full ones are on none */
    s64 live;  /* [l] what CPUs without magazines gave out less what they took back */
};

struct free_object {
    struct free_object *next;
    u64 canary; /* CANARY ^ its address, while it is free */
};

/* One for each cache and CPU. */
struct magazine {
    struct spin lock;
    u32 count;                /* [l] */
    struct free_object *head; /* [l] */
    s64 live;                 /* [l] objects given out here less those taken back here */
};
struct cpu_magazines {
    struct magazine of[CACHES_MOST];
};
_Static_assert(sizeof(struct cpu_magazines) <= PAGE_SIZE, "a CPU's magazines come as one frame");

static struct slab_cache caches[CACHES_MOST]; /* the first counts the blocks that kmalloc takes from pages_alloc */
static u32 cache_count = 1;                   /* atomic: caches with an id */
static struct cpu_magazines *magazines[MACHINE_CPUS]; /* set once each */
static struct cpu_magazines boot_magazines; /* of the CPU that boots, lest kmalloc there depends on a frame for them */

/* The descriptor of a slab's first frame. `counts` holds the list links while the class is FRAME_SLAB, and is 0 again
 * before the frame is freed; frame number 0 is never ours, so it ends a list. owner.slab of all its frames is the
 * cache. */
struct slab_state {
    u32 used; /* objects out, or in magazines */
    u32 free; /* 1 + the number of the first free object; 0: none */
};
_Static_assert(sizeof(struct slab_state) == sizeof(u64), "fits in owner.word");
static struct slab_state *state_of(struct frame *slab) { return (struct slab_state *)&slab->owner.word; }
static u32 *next_of(struct frame *slab) { return &slab->mapped; }
static u32 *prev_of(struct frame *slab) { return &slab->pins; }

static struct frame *slab_of(const struct slab_cache *c, const void *object) {
    return &frames[frame_number(frame_of_va(object)) & ~((1ULL << c->order) - 1)];
}
static struct free_object *object_at(const struct slab_cache *c, struct frame *slab, u32 number) {
    return (struct free_object *)((char *)frame_va(slab) + (size_t)number * c->bytes);
}
static u32 number_of(const struct slab_cache *c, struct frame *slab, const void *object) {
    u64 offset = (u64)((const char *)object - (char *)frame_va(slab));
    return (u32)(offset * c->reciprocal >> 32);
}
static struct free_object *first_free(const struct slab_cache *c, struct frame *slab) {
    u32 free = state_of(slab)->free;
    return free ? object_at(c, slab, free - 1) : NULL;
}
static u64 canary_of(const void *object) { return CANARY ^ (u64)object; }

/* The links are where other frames have their counts, which reclaim looks at from outside: single words. */
static void slab_link(u32 *list, struct frame *slab) {
    atomic_store_relaxed(prev_of(slab), 0);
    atomic_store_relaxed(next_of(slab), *list);
    if (*list)
        atomic_store_relaxed(prev_of(&frames[*list]), (u32)frame_number(slab));
    *list = (u32)frame_number(slab);
}

static void slab_unlink(u32 *list, struct frame *slab) {
    u32 next = *next_of(slab), prev = *prev_of(slab);
    if (prev)
        atomic_store_relaxed(next_of(&frames[prev]), next);
    else
        *list = next;
    if (next)
        atomic_store_relaxed(prev_of(&frames[next]), prev);
    atomic_store_relaxed(&slab->counts, 0);
}

/* Slabs. */

/* slab_new: a block of frames, cut up, on no list. */
static struct frame *slab_new(struct slab_cache *c) {
    struct frame *slab = frame_alloc(c->order, FRAME_SLAB, 0);
    if (!slab)
        return NULL;
    for (u32 i = 0; i < 1u << c->order; i++)
        slab[i].owner.slab = c;
    for (u32 i = 0; i < c->per_slab; i++) {
        struct free_object *o = object_at(c, slab, i);
        o->next = i + 1 < c->per_slab ? object_at(c, slab, i + 1) : NULL;
        o->canary = canary_of(o);
    }
    *state_of(slab) = (struct slab_state){.used = 0, .free = 1};
    return slab;
}

/* take_objects: put up to `want` objects of partial slabs, then of empty ones, before *chain. Under c->lock. */
static u32 take_objects(struct slab_cache *c, u32 want, struct free_object **chain) {
    u32 taken = 0;
    while (taken < want && (c->partial || c->empty)) {
        if (!c->partial) {
            struct frame *slab = &frames[c->empty];
            slab_unlink(&c->empty, slab);
            slab_link(&c->partial, slab);
            atomic_hint_add(&c->empties, -1);
        }
        struct frame *slab = &frames[c->partial];
        struct free_object *o = first_free(c, slab);
        for (; o && taken < want; taken++) {
            struct free_object *next = o->next;
            o->next = *chain;
            *chain = o;
            o = next;
            state_of(slab)->used++;
        }
        state_of(slab)->free = o ? 1 + number_of(c, slab, o) : 0;
        if (!o)
            slab_unlink(&c->partial, slab);
    }
    return taken;
}

/* give_objects: return a chain of objects to their slabs, and of the slabs that are free all but `keep` to the buddy.
 * Returns frames. Takes c->lock. */
static u64 give_objects(struct slab_cache *c, struct free_object *chain, u32 keep) {
    struct frame *dead = NULL;
    u64 freed = 0;
    spin_lock(&c->lock);
    while (chain) {
        struct free_object *next = chain->next;
        struct frame *slab = slab_of(c, chain);
        struct slab_state *s = state_of(slab);
        assert(s->used > 0);
        if (!s->free)
            slab_link(&c->partial, slab);
        chain->next = first_free(c, slab);
        s->free = 1 + number_of(c, slab, chain);
        if (--s->used == 0) {
            slab_unlink(&c->partial, slab);
            slab_link(&c->empty, slab);
            atomic_hint_add(&c->empties, 1);
        }
        chain = next;
    }
    for (; c->empties > keep; c->empties--) {
        struct frame *slab = &frames[c->empty];
        slab_unlink(&c->empty, slab);
        slab->free.next = dead;
        dead = slab;
    }
    spin_unlock(&c->lock);
    while (dead) {
        struct frame *next = dead->free.next;
        frame_free(dead, c->order);
        freed += 1ULL << c->order;
        dead = next;
    }
    return freed;
}

/* Magazines. */

/* magazines_here: this CPU's; or NULL: no memory for them yet. Does not sleep. */
static struct cpu_magazines *magazines_here(void) {
    struct cpu_magazines **here = &magazines[cpu_id()];
    if (unlikely(!*here))
        atomic_store(here, pages_alloc(0, FRAME_ZEROED | FRAME_ATOMIC));
    return *here;
}

/* count_live: `change` more objects are out. */
static void count_live(struct slab_cache *c, s64 change) {
    struct cpu_magazines *here = magazines_here();
    struct spin *lock = here ? &here->of[c->id].lock : &c->lock;
    spin_lock(lock);
    atomic_hint_add(here ? &here->of[c->id].live : &c->live, change);
    spin_unlock(lock);
}

/* alloc_slowly: this CPU's magazine is empty, or missing: take objects of slabs, of a new one if need be. */
static struct free_object *alloc_slowly(struct slab_cache *c) {
    struct free_object *chain = NULL, *object;
    u32 want = c->magazine / 2, count;
    spin_lock(&c->lock);
    count = take_objects(c, want, &chain);
    spin_unlock(&c->lock);
    if (!count) {
        struct frame *slab = slab_new(c);
        if (!slab)
            return NULL;
        spin_lock(&c->lock);
        slab_link(&c->empty, slab);
        atomic_hint_add(&c->empties, 1);
        count = take_objects(c, want, &chain);
        spin_unlock(&c->lock);
    }
    object = chain;
    chain = chain->next;
    count_live(c, 1);
    struct cpu_magazines *here =
        magazines_here(); /* slab_new may have slept: perhaps of another CPU than at the start */
    if (!here) {
        give_objects(c, chain, EMPTY_KEPT);
        return object;
    }
    struct magazine *m = &here->of[c->id];
    spin_lock(&m->lock);
    while (chain) {
        struct free_object *next = chain->next;
        chain->next = m->head;
        m->head = chain;
        atomic_hint_add(&m->count, 1);
        chain = next;
    }
    spin_unlock(&m->lock);
    return object;
}

/* magazine_cut: unlink all but `left` objects. Under m->lock. */
static struct free_object *magazine_cut(struct magazine *m, u32 left) {
    struct free_object *chain = NULL;
    while (m->count > left) {
        struct free_object *o = m->head;
        m->head = o->next;
        atomic_hint_add(&m->count, -1);
        o->next = chain;
        chain = o;
    }
    return chain;
}

/* Objects. */

void *slab_alloc(struct slab_cache *c) {
    struct free_object *o = NULL;
    if (alloc_fails())
        return NULL;
    struct cpu_magazines *here = magazines_here();
    if (likely(here)) {
        struct magazine *m = &here->of[c->id];
        spin_lock(&m->lock);
        o = m->head;
        if (likely(o)) {
            m->head = o->next;
            atomic_hint_add(&m->count, -1);
            atomic_hint_add(&m->live, 1);
        }
        spin_unlock(&m->lock);
    }
    if (unlikely(!o) && !(o = alloc_slowly(c)))
        return NULL;
    if (unlikely(o->canary != canary_of(o)))
        panic("%s: object %p was written to while free: %#lx", c->name, (void *)o, (unsigned long)o->canary);
    o->canary = 0; /* slab_free tells a free object by it */
    return o;
}

void *slab_alloc_zeroed(struct slab_cache *c) {
    void *o = slab_alloc(c);
    if (o)
        memset(o, 0, c->bytes);
    return o;
}

static bool chain_has(const struct free_object *chain, const void *object) {
    while (chain && chain != object)
        chain = chain->next;
    return chain != NULL;
}

/* is_free: the slow truth behind a canary that matches: bytes that a user chose may look like one. */
static bool is_free(struct slab_cache *c, void *object) {
    bool found = false;
    for (unsigned i = 0; i < MACHINE_CPUS && !found; i++) {
        struct cpu_magazines *there = atomic_load(&magazines[i]);
        if (!there)
            continue;
        spin_lock(&there->of[c->id].lock);
        found = chain_has(there->of[c->id].head, object);
        spin_unlock(&there->of[c->id].lock);
    }
    spin_lock(&c->lock);
    found |= chain_has(first_free(c, slab_of(c, object)), object);
    spin_unlock(&c->lock);
    return found;
}

/* Where an object of c begins: slabs are aligned to their size. */
static inline bool is_object(const struct slab_cache *c, const void *o) {
    u64 offset = (u64)((const char *)o - frame_direct) & ((PAGE_SIZE << c->order) - 1);
    return (offset * c->reciprocal >> 32) * c->bytes == offset;
}

void slab_free(struct slab_cache *c, void *object) {
    struct free_object *o = object, *chain = NULL;
    if (!o)
        return;
    struct frame *f = frame_of_va(o);
    if (unlikely(f < frames || f >= frames + frame_count || f->class != FRAME_SLAB || f->owner.slab != c ||
                 !is_object(c, o)))
        panic("slab_free: %p is no object of %s", object, c->name);
    if (unlikely(o->canary == canary_of(o)) && is_free(c, o))
        panic("slab_free: %p of %s is free already", object, c->name);
    o->canary = canary_of(o);
    struct cpu_magazines *here = magazines_here();
    if (unlikely(!here)) {
        count_live(c, -1);
        o->next = NULL;
        give_objects(c, o, EMPTY_KEPT);
        return;
    }
    struct magazine *m = &here->of[c->id];
    spin_lock(&m->lock);
    atomic_hint_add(&m->live, -1);
    o->next = m->head;
    m->head = o;
    atomic_hint_add(&m->count, 1);
    if (unlikely(m->count > c->magazine))
        chain = magazine_cut(m, c->magazine / 2);
    spin_unlock(&m->lock);
    if (unlikely(chain))
        give_objects(c, chain, EMPTY_KEPT);
}

u64 slab_live(const struct slab_cache *c) {
    s64 live = atomic_load_relaxed(&c->live);
    for (unsigned i = 0; i < MACHINE_CPUS; i++) {
        struct cpu_magazines *there = atomic_load(&magazines[i]);
        live += there ? atomic_load_relaxed(&there->of[c->id].live) : 0;
    }
    return (u64)max(live, (s64)0);
}

bool slab_info(unsigned n, struct slab_info *out) {
    const struct slab_cache *c = &caches[n];
    if (n >= atomic_load(&cache_count))
        return false;
    *out = (struct slab_info){c->name, slab_live(c), c->bytes, c->per_slab, 1u << c->order};
    return true;
}

u64 slab_shrink(void) {
    u64 freed = 0;
    for (u32 k = 1; k < atomic_load(&cache_count); k++) {
        struct slab_cache *c = &caches[k];
        for (unsigned i = 0; i < cpu_count; i++) {
            struct cpu_magazines *there = atomic_load(&magazines[i]);
            if (!there || !atomic_load_relaxed(&there->of[k].count))
                continue;
            spin_lock(&there->of[k].lock);
            struct free_object *chain = magazine_cut(&there->of[k], 0);
            spin_unlock(&there->of[k].lock);
            freed += give_objects(c, chain, 0);
        }
        if (atomic_load_relaxed(&c->empties))
            freed += give_objects(c, NULL, 0);
    }
    return freed;
}

/* slab_order: the smallest slab that loses at most an eighth of itself. */
static u32 slab_order(size_t bytes) {
    u32 order = 0;
    while (order < SLAB_ORDER_MOST &&
           ((PAGE_SIZE << order) < bytes || (PAGE_SIZE << order) % bytes > (PAGE_SIZE << order) / 8))
        order++;
    return order;
}

struct slab_cache *slab_create(const char *name, size_t bytes, size_t align) {
    u32 id = atomic_add(&cache_count, 1) - 1;
    struct slab_cache *c = &caches[id];
    bytes = max(bytes, sizeof(struct free_object));
    bytes = align_up(bytes, max(align, sizeof(u64)));
    if (id >= CACHES_MOST || bytes > PAGE_SIZE << SLAB_ORDER_MOST)
        panic("slab_create %s: %lu bytes, cache %u of %u", name, (unsigned long)bytes, id, CACHES_MOST);
    c->name = name;
    c->bytes = (u32)bytes;
    c->reciprocal = (u32)(((1ULL << 32) + bytes - 1) / bytes);
    c->order = slab_order(bytes);
    c->per_slab = (u32)((PAGE_SIZE << c->order) / bytes);
    c->id = id;
    c->magazine = min(max(MAGAZINE_BYTES / (u32)bytes, MAGAZINE_LEAST), MAGAZINE_MOST);
    return c;
}

/* kmalloc. */

/* Steps of 1/3 or 1/2; 1360 is a third of a page. */
static const u16 class_bytes[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1360, 2048};
#define CLASS_MOST 2048u
#define CLASS_STEP 16u
static struct slab_cache *class_cache[array_count(class_bytes)];
static u8 class_of[CLASS_MOST / CLASS_STEP + 1]; /* by bytes / 16, rounded up */
static const char *const class_name[] = {"kmalloc-16",  "kmalloc-32",  "kmalloc-48",   "kmalloc-64",  "kmalloc-96",
                                         "kmalloc-128", "kmalloc-192", "kmalloc-256",  "kmalloc-384", "kmalloc-512",
                                         "kmalloc-768", "kmalloc-1k",  "kmalloc-1360", "kmalloc-2k"};
_Static_assert(array_count(class_name) == array_count(class_bytes), "a name each");

static void *kmalloc_pages(size_t bytes) {
    unsigned order = 0;
    while (order < 64 - PAGE_SHIFT - 1 && (PAGE_SIZE << order) < bytes)
        order++;
    void *p = order <= FRAME_ORDER_MOST ? pages_alloc(order, 0) : NULL;
    if (p)
        count_live(&caches[0], 1);
    return p;
}

void *kmalloc(size_t bytes) {
    if (unlikely(bytes > CLASS_MOST))
        return kmalloc_pages(bytes);
    return slab_alloc(class_cache[class_of[(bytes + CLASS_STEP - 1) / CLASS_STEP]]);
}

void *kzalloc(size_t bytes) {
    void *p = kmalloc(bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void kfree(void *p) {
    if (!p)
        return;
    struct frame *f = frame_of_va(p);
    if (unlikely(f < frames || f >= frames + frame_count))
        panic("kfree: %p is no memory of ours", p);
    if (likely(f->class == FRAME_SLAB)) {
        slab_free(f->owner.slab, p);
    } else if (f->class == FRAME_KERNEL && !((u64)p & (PAGE_SIZE - 1))) {
        count_live(&caches[0], -1);
        frame_free(f, f->order);
    } else {
        panic("kfree: %p lies in a frame of class %u", p, f->class);
    }
}

char *kstrdup(const char *s) {
    size_t bytes = strlen(s) + 1;
    char *copy = kmalloc(bytes);
    if (copy)
        memcpy(copy, s, bytes);
    return copy;
}

u64 kmalloc_live(void) {
    u64 live = slab_live(&caches[0]);
    for (unsigned i = 0; i < array_count(class_cache); i++)
        live += slab_live(class_cache[i]);
    return live;
}

void slab_init(void) {
    magazines[cpu_id()] = &boot_magazines;
    caches[0].name = "kmalloc-pages";
    caches[0].bytes = PAGE_SIZE; /* at least */
    caches[0].per_slab = 1;
    for (unsigned i = 0, bytes = 0; i < array_count(class_bytes); i++) {
        /* powers of two are aligned to themselves, which callers of a device rely on */
        u32 size = class_bytes[i];
        class_cache[i] = slab_create(class_name[i], size, size & (size - 1) ? CLASS_STEP : size);
        for (; bytes <= size; bytes += CLASS_STEP)
            class_of[bytes / CLASS_STEP] = (u8)i;
    }
}
