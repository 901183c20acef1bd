/* frame.h - physical memory: one descriptor for each 4 KiB frame, a buddy allocator, a cache of single frames for each
 * CPU.
 *
 * Every frame is in exactly one class, and the classes add up to the memory given (invariant 4). */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"

struct ring;
struct object;

enum frame_class {
    FRAME_FREE,     /* in the buddy or in a CPU's cache */
    FRAME_RESERVED, /* hidden by the machine, taken out of use, or never ours */
    FRAME_KERNEL,   /* the image, descriptors, stacks, buffers */
    FRAME_SLAB,     /* behind slab.h */
    FRAME_TABLE,    /* a page table of a user space */
    FRAME_ANON,     /* anonymous memory of a program */
    FRAME_FILE,     /* cached contents of a file that has a backend */
    FRAME_SHMEM,    /* contents that exist only in memory: tmpfs, shared memory, changed pages of the overlay */
    FRAME_CLASSES,
};

/* Legend: [a] atomic; [c] constant while the frame has its class; [l] the lock of the table that maps it, when mapped
 * once; [o] the object's lock; [b] the buddy's lock while free. */
struct frame {
    u8 class;       /* [c] enum frame_class */
    u8 order;       /* [b] of a free or allocated block's head */
    u8 flags;       /* [a] FRAME_* flags below */
    u8 hold;        /* [a] 1 while reclaim reads what the frame belongs to: who frees it waits */
    u32 index_high; /* [c] object frames: high half of the page index */
    union {
        u64 counts; /* [a] both at once: the frame is freed by whoever brings this to 0 */
        struct {
            u32 mapped; /* slots that map it */
            u32 pins;   /* other references: the object's cache counts one, copies and I/O in flight one each */
        };
    };
    union {
        struct {
            struct ring *ring;
            u32 index;
            u32 swap; /* with FRAME_SWAP: its slot of the swap area */
        } anon;       /* [c] the ring of every table that maps it, at this slot index */
        struct {
            struct object *object;
            u32 index;
            u32 swap; /* [o] with FRAME_SWAP: the same */
        } object;     /* [c] owner and low half of the page index; NULL: removed */
        struct {
            struct frame *next, *prev;
        } free; /* [b] */
        struct {
            void *slab;
            u64 word;
        } owner; /* slab.h's */
    };
};
_Static_assert(sizeof(struct frame) == 32, "0.8 % of memory");
_Static_assert(offsetof(struct frame, anon.swap) == offsetof(struct frame, object.swap), "swap.c takes either");

/* FRAME_DIRTY: it differs from the backend; an anonymous frame with FRAME_SWAP: from its slot (FRAME_KEPT).
 * FRAME_SWAP: a slot of the swap area, anon.swap or object.swap, has the same contents (swap.h, evict.c). */
#define FRAME_DIRTY 1u
#define FRAME_FILLING 2u     /* an object's frame whose contents are on the way */
#define FRAME_ERROR 4u       /* filling failed */
#define FRAME_CLOSING 8u     /* truncate is removing it: nothing may map it */
#define FRAME_REFERENCED 16u /* used since the policy asked */
#define FRAME_SWAP 32u
/* An anonymous frame in the swap cache whose slot does not have its contents, as writing them failed; pinned once for
 * that: it will not be tried again (FRAME_ERROR), or may be (FRAME_DIRTY). */
#define FRAME_KEPT (FRAME_ERROR | FRAME_DIRTY)
#define FRAME_HOLE 64u    /* class FRAME_RESERVED: no memory at all, not counted in given */
#define FRAME_POISON 64u  /* other classes: it is kept when it is freed (offline.c) */
#define FRAME_LISTED 128u /* class FRAME_FREE: head of a block in the buddy's lists */

extern struct frame *frames; /* by frame number */
extern u64 frame_count;      /* frames described, holes included */
extern char *frame_direct;   /* where frame 0 appears in the kernel: the direct map */

/* frame_class, frame_flags: reclaim looks at them from outside, while their owner changes them. */
static inline enum frame_class frame_class(const struct frame *f) { return atomic_load_relaxed(&f->class); }
static inline u8 frame_flags(const struct frame *f) { return atomic_load_relaxed(&f->flags); }

/* frame_held_counts: the counts of a frame whose hold the caller has set, if it is of the class, and is not being
 * freed: then it stays so while hold is set. Else 0. The class is looked at twice, for between one look and the counts
 * the frame may have become another's. */
static inline u64 frame_held_counts(const struct frame *f, enum frame_class class) {
    u64 counts = atomic_load_relaxed(&f->class) == class ? atomic_load(&f->counts) : 0;
    return atomic_load_relaxed(&f->class) == class ? counts : 0;
}

static inline u64 frame_number(const struct frame *f) { return (u64)(f - frames); }
static inline u64 frame_phys(const struct frame *f) { /* by one shift: see frame_of_entry */
    return (u64)((const char *)f - (const char *)frames) * (PAGE_SIZE / sizeof(struct frame));
}
static inline struct frame *frame_of_phys(u64 phys) { return &frames[phys >> PAGE_SHIFT]; }
static inline void *frame_va(const struct frame *f) { return frame_direct + frame_phys(f); }
static inline struct frame *frame_of_va(const void *va) {
    return &frames[((const char *)va - frame_direct) >> PAGE_SHIFT];
}

/* frame_alloc: a block of 2^order frames, aligned to its size; contents undefined unless FRAME_ZEROED; counts = 0.
 * The caller owns it and hands it back with frame_free. Without FRAME_ATOMIC it may sleep, to reclaim; NULL when
 * nothing can be had. Never call it with a spin lock held. */
#define FRAME_ZEROED 1u
#define FRAME_ATOMIC 2u      /* do not sleep; may use the reserve */
#define FRAME_TRY 4u         /* only look: do not sleep, reclaim, or touch the reserve */
#define LARGE_ORDER 9u       /* 2 MiB */
#define FRAME_ORDER_MOST 10u /* the largest block: 1024 frames, 4 MiB */
struct frame *frame_alloc(unsigned order, enum frame_class class, unsigned how) must_check;
void frame_free(struct frame *f, unsigned order); /* counts must be 0; no lock needed */

/* frame_free_list: free single frames of one class, at least one, linked by free.next, whose counts are 0. */
void frame_free_list(struct frame *list);

/* frame_reclass: a single frame that is in use changes its class; the totals with it. */
void frame_reclass(struct frame *f, enum frame_class class);

/* References. Whoever brings both counts to 0 frees the frame, which must be a single one (order 0). A count that is 0
 * is raised only by who knows the frame to stay: its first owner, or with the lock held under which the last reference
 * would go. frame_unpin: drop a reference taken by frame_pin or object_get. frame_map, frame_unmap: one slot more, or
 * less, maps it. */
#define FRAME_ONE_MAP 1ULL
#define FRAME_ONE_PIN (1ULL << 32)
static inline void frame_drop(struct frame *f, u64 one) {
    if (!atomic_sub(&f->counts, one))
        frame_free(f, 0);
}
/* frame_pin_alive: pin a frame whose counts may have gone to 0 just now; false: they have. */
static inline bool frame_pin_alive(struct frame *f) {
    u64 counts = atomic_load(&f->counts);
    while (counts && !__atomic_compare_exchange_n(&f->counts, &counts, counts + FRAME_ONE_PIN, false, __ATOMIC_SEQ_CST,
                                                  __ATOMIC_SEQ_CST))
        continue;
    return counts;
}
static inline void frame_pin(struct frame *f) { atomic_add(&f->counts, FRAME_ONE_PIN); }
static inline void frame_unpin(struct frame *f) { frame_drop(f, FRAME_ONE_PIN); }
static inline void frame_map(struct frame *f) { atomic_add(&f->counts, FRAME_ONE_MAP); }
static inline void frame_unmap(struct frame *f) { frame_drop(f, FRAME_ONE_MAP); }
/* frame_sole: a frame that one slot maps and nobody else refers to, nor finds in the swap cache: so it stays,
 * while the leaf with that slot is locked. The cache is asked first: swapoff takes a frame out of it after others have
 * mapped it. */
static inline bool frame_sole(const struct frame *f) {
    return !(atomic_load(&f->flags) & FRAME_SWAP) && atomic_load(&f->counts) == FRAME_ONE_MAP;
}

/* Whole pages for the kernel's own use, by address (stacks, buffers): class FRAME_KERNEL. */
void *pages_alloc(unsigned order, unsigned how) must_check;
void pages_free(void *va, unsigned order);

struct frame_totals {
    u64 frames[FRAME_CLASSES]; /* adds up to given */
    u64 given;                 /* frames of -m */
};
void frame_totals(struct frame_totals *t);
/* The marks, in free frames: below min only who makes memory free gets some, and others reclaim by themselves; below
 * low the background is woken, and reclaims up to high. frame_set_min: as min_free_kbytes, within 8 frames and a
 * quarter of memory; the others follow. */
struct frame_marks {
    u64 min, low, high;
};
void frame_marks(struct frame_marks *out);
void frame_set_min(u64 frames);
/* frame_reserve_least: keep so many frames for who makes memory free, but no more than a sixteenth of all. At boot. */
void frame_reserve_least(u64 least);
u64 frame_free_least(void);   /* about: the least that ever were, those in per-CPU caches left out */
u64 frame_free_count(void);   /* about: per-CPU caches included */
u64 frame_caches_drain(void); /* give the frames in all CPUs' caches back to the buddy; how many. No lock held */

/* frame_seen: how many pages of programs show the frame; of the kernel's own and of devices': 0. Sleeps. */
u64 frame_seen(struct frame *f);
/* frame_offline: the frame, in use by programs and pinned once, by the caller, is taken out of use, its contents moved
 * or, with `poison`, lost. Drops the pin. 0; -EBUSY, -ENOMEM: it stays in use. Sleeps. */
int frame_offline(struct frame *f, bool poison);
extern u64 frames_offline; /* how many were; atomic */

/* vm_reclaim: make about `pages` frames free, by reclaim.c; how many were freed. Called by frame_alloc when
 * nothing is left, with no lock held; may sleep; returns 0 when called from within itself, and when there is nothing
 * more to have. Who comes while another reclaims waits until that batch has ended, and then has `pages`: perhaps. */
u64 vm_reclaim(u64 pages);
/* For /proc/sys/vm/drop_caches: every clean frame of a file that nobody maps; what the kernel's caches can do without.
 */
void vm_drop_caches(void);
void vm_drop_slabs(void);
/* vm_drop_kept: free the pages that could not be written to the swap area and that nobody needs any more: now, and not
 * when the hand comes by. Sleeps. */
void vm_drop_kept(void);
/* vm_policy_choose: who is reclaimed is decided by the policy of that name from now on; -EINVAL: there is none. May
 * sleep. */
int vm_policy_choose(const char *name);
bool vm_reclaiming(void); /* the current task is in vm_reclaim: what it allocates may come from the reserve */

/* Out of memory: asked when reclaim has nothing more, with no spin lock held. May sleep until somebody's memory came
 * free, or some dirty page was written back: `stored` is how many had been (EVENT_OBJECT_WRITE_BACK) before reclaim
 * looked; `again`: that alone did not help so often that it is nothing to wait for. NULL: nobody is there to ask, and
 * the allocation fails. */
enum oom_answer {
    OOM_FAILS,   /* nothing will come */
    OOM_AGAIN,   /* some came: try again */
    OOM_RESERVE, /* the caller is dying, or makes memory free: the reserve may help him; else it fails */
};
extern enum oom_answer (*vm_out_of_memory)(u64 stored, bool again);
bool frame_available(void); /* an allocation of a frame would find one now, without reclaim; a hint */

/* For tests. alloc_fail_when: from now on `fails` is asked at each allocation, of frames or of slabs: true makes it
 * fail (NULL: none does). alloc_fail_at: the nth one from now fails (1: the next; 0: none). frame_poison: fill freed
 * frames, and panic when one was written to while free. Set before frame_init. */
void alloc_fail_when(bool (*fails)(void));
void alloc_fail_at(u64 n);
extern u64 alloc_fail_countdown; /* of alloc_fail_at: 0: it has failed, or none was asked for */
extern bool (*alloc_fail_asked)(void);
static inline bool alloc_fails(void) {
    bool (*fails)(void) = atomic_load_relaxed(&alloc_fail_asked);
    return unlikely(fails != NULL) && fails();
}
extern bool frame_poison;

/* Early boot. frame_init takes the ranges of memory (kernel/boot/boot.h) before anything else of vm/. */
struct memory_range;
void frame_init(const struct memory_range *ranges, unsigned count);
