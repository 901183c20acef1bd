/* space.h - an address space, seen from outside vm/: create, fork, map, fault, walk.
 *
 * All calls may sleep unless they say otherwise, and are made with no spin lock held. Addresses and sizes are bytes. */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"
#include "vm/object.h"

/* What should appear in a range: view.h. Fields that a caller of space_map gives. */
#define VIEW_READ 1u
#define VIEW_WRITE 2u
#define VIEW_EXEC 4u
#define VIEW_PROT 7u
#define VIEW_SHARED 8u
#define VIEW_NORESERVE 0x10u
#define VIEW_LOCKED 0x20u
#define VIEW_ONFAULT 0x40u
#define VIEW_DONTFORK 0x80u
#define VIEW_WIPEONFORK 0x100u
#define VIEW_DONTDUMP 0x200u
#define VIEW_HUGE 0x400u
#define VIEW_NOHUGE 0x800u
#define VIEW_SEQUENTIAL 0x1000u
#define VIEW_RANDOM 0x2000u
#define VIEW_GROWSDOWN 0x4000u
#define VIEW_ACCOUNT 0x8000u
#define VIEW_CLEAN                                                                                                     \
    0x10000u /* older than the last clear_refs 4: of its pages, only those written since count as changed */
#define VIEW_STACK 0x20000u /* the main stack: named [stack] */
#define VIEW_HEAP 0x40000u  /* brk: named [heap] */
#define VIEW_MERGEABLE 0x100000u
#define VIEW_SYNC 0x200000u /* MAP_SYNC was asked for: shown, nothing else */
#define VIEW_KEY_SHIFT 22
#define VIEW_KEY (15u << VIEW_KEY_SHIFT) /* the protection key (pkeys(7)) */
#define VIEW_POLICY_SHIFT 26             /* mbind's: a number in mempolicy.c's table */
#define VIEW_POLICY (63u << VIEW_POLICY_SHIFT)
#define VIEW_SPECIAL 0x80000u /* vdso, vvar: frames not counted */

struct watch;

struct view {
    u32 flags;            /* VIEW_*; protection in VIEW_PROT */
    u32 max_prot;         /* VIEW_PROT bits that mprotect may give */
    struct vm_file *file; /* NULL: anonymous, as is a file without an object */
    const char *name;     /* "[vdso]" and the like, a constant; or NULL */
    struct watch *watch;  /* watch.h; or NULL */
    u32 watches;          /* WATCH_*: what for */
    u32 at_once;          /* flags; 0 with a watch: no access is possible without a question */
    /* the rest is vm/view.c's */
    u32 references;
    u32 hash;
    struct view *next;
    u32 check_runs; /* check.c's count */
};

struct space;

struct map_request {
    u64 address;          /* hint, or exact with MAP_AT / MAP_AT_FREE */
    u64 bytes;            /* > 0; rounded up to pages */
    u64 room;             /* whole pages: so much is free below it too, where the place is not given */
    u32 flags;            /* VIEW_* */
    u32 max_prot;         /* 0: all */
    u32 how;              /* MAP_AT... below */
    struct vm_file *file; /* NULL: anonymous. Shared anonymous memory: a file of tmpfs, made by the caller */
    u64 offset;           /* bytes, page aligned */
    const char *name;
};
#define MAP_AT 1u       /* exactly there, replacing what is mapped (MAP_FIXED) */
#define MAP_AT_FREE 2u  /* exactly there, -EEXIST if anything is mapped (MAP_FIXED_NOREPLACE) */
#define MAP_FILL 4u     /* MAP_POPULATE */
#define MAP_BELOW_4G 8u /* MAP_32BIT: below 2 GiB */

extern struct frame *zero_frame; /* what memory that nobody wrote shows */

struct space *space_create(bool randomise); /* NULL: out of memory. One reference */
void space_get(struct space *s);
void space_put(struct space *s); /* the last one tears it down; not the space that is loaded for the current task */
struct space *space_fork(struct space *parent); /* err_ptr(-ENOMEM...) */
void space_load(struct space *s); /* this CPU uses it from now on; NULL: the kernel's own tables. Never sleeps */

long space_map(struct space *s,
               const struct map_request *r); /* the address, or -EINVAL -ENOMEM -EEXIST -EOVERFLOW -EACCES */
int space_unmap(struct space *s, u64 address, u64 bytes);
int space_protect(struct space *s, u64 address, u64 bytes, u32 prot);
/* space_protect_key: with VIEW_KEY bits to set, or KEY_STAYS; then a view that has the protection and key of `leaves`
 * (0: none) gets key 0. */
#define KEY_STAYS ~0u
int space_protect_key(struct space *s, u64 address, u64 bytes, u32 prot, u32 key, u32 leaves);
int space_key(struct space *s, u64 address); /* the protection key of what is mapped there, or -1 */
long space_remap(struct space *s, u64 old, u64 old_bytes, u64 new_bytes, u32 how, u64 new_address);
#define REMAP_MAY_MOVE 1u
#define REMAP_FIXED 2u
#define REMAP_DONT_UNMAP 4u
u64 space_brk(struct space *s, u64 address);    /* brk(2): the break afterwards */
void space_set_brk(struct space *s, u64 start); /* by exec */
/* space_set_mmap_top: mmap looks for gaps below this address; by exec, once the stack's place is known. */
void space_set_mmap_top(struct space *s, u64 address);
/* space_populate: MADV_POPULATE_*. -EFAULT, -ENOMEM, -EINTR (who asked is to die). */
int space_populate(struct space *s, u64 address, u64 bytes, bool write);
/* What becomes of the pages [first, end) at once, as far as it can: they go first when memory is short; they go now, to
 * the swap area or back to their file; those in the swap area come back. Pages that others map too stay. Called with
 * space->range held (the first two) or not (all); sleep; take no memory that must be there. */
void space_pages_cold(struct space *s, u64 first, u64 end);
void space_pages_out(struct space *s, u64 first, u64 end);
void space_pages_in(struct space *s, u64 first, u64 end);
/* space_pages_free: what the pages hold may be dropped instead of swapped, until they are written again (MADV_FREE). Of
 * pages that nobody shares; what is in the swap area stays there. */
void space_pages_free(struct space *s, u64 first, u64 end);
/* space_collapse: each whole 2 MiB of the range is shown by one entry. -EINVAL: not what can be (not anonymous and
 * private, nothing written there), -ENOMEM: no block was to be had, -EAGAIN: pages are in use; others were done. */
int space_collapse(struct space *s, u64 address, u64 bytes);
/* space_advise: each mapped part of [address, address + bytes): `refuses` may end it with an error, `spares` leave the
 * part as it is; else VIEW_ bits are set and cleared, or what the slots hold is given up, or `pages` looks after it.
 * -ENOMEM if something was not mapped (the rest done). */
struct advice {
    int (*refuses)(const struct view *v);
    bool (*spares)(const struct view *v);
    u32 set, clear;
    bool discard;
    void (*pages)(struct space *s, u64 first, u64 end); /* space_pages_cold or _out */
};
int space_advise(struct space *s, u64 address, u64 bytes, const struct advice *a);
/* space_lock: VIEW_LOCKED, perhaps with VIEW_ONFAULT, or 0 for the pages up to the first hole. -ENOMEM: over the limit,
 * nothing done; or a hole, done up to it. Whole pages. Fills nothing. */
int space_lock(struct space *s, u64 address, u64 bytes, u32 lock);
void space_lock_future(struct space *s, u32 lock); /* what mappings from now on start with */
/* space_fill: make what is mapped present: private writable memory as by a write, other as by a read; not what is
 * locked on fault. -EFAULT, -ENOMEM, -EINTR (who asked is to die) end it. space_fill_all: the whole space; where a
 * mapping cannot be had (a stack's guard, what lies past a file's end) it goes on with the next one. */
int space_fill(struct space *s, u64 address, u64 bytes);
void space_fill_all(struct space *s);
/* space_change: set and clear VIEW_ advice flags on mapped ranges (DONTFORK, locks...). -ENOMEM if part is not mapped
 * (the rest done). */
int space_change(struct space *s, u64 address, u64 bytes, u32 set, u32 clear);
/* space_sync: msync(2): write shared mappings' files back, refuse what is locked (-EBUSY); -ENOMEM: a hole, the rest
 * done. */
#define SYNC_WRITE 1u
#define SYNC_INVALIDATE 2u
int space_sync(struct space *s, u64 address, u64 bytes, u32 how);

/* vm_large: when anonymous memory comes in blocks of 2 MiB, shown by one entry (/sys/kernel/mm/transparent_hugepage).
 */
enum { LARGE_NEVER, LARGE_ADVISED, LARGE_ALWAYS };
extern u32 vm_large;

/* space_fault: make an access possible. Called by the trap and by space_copy. */
enum fault_outcome {
    FAULT_DONE,        /* try the access again */
    FAULT_MAPERR,      /* SIGSEGV SEGV_MAPERR: nothing mapped there */
    FAULT_ACCERR,      /* SIGSEGV SEGV_ACCERR: not allowed */
    FAULT_BUS_ADRERR,  /* SIGBUS BUS_ADRERR: past the end of the file, or an I/O error */
    FAULT_POISON,      /* SIGBUS BUS_MCEERR_AR: its frame was taken out of use, and what it held is lost */
    FAULT_NOMEM,       /* out of memory: the caller kills */
    FAULT_WATCHED,     /* whoever watches must be asked: space_await */
    FAULT_INTERRUPTED, /* ... and a signal came first */
};
enum fault_access { FAULT_READ = 0, FAULT_WRITE = 1, FAULT_EXEC = 2 };
enum fault_outcome space_fault(struct space *s, u64 address, enum fault_access access);
/* space_fault_waiting: the same for the kernel's own ends: whom it concerns is asked, and waited for. */
enum fault_outcome space_fault_waiting(struct space *s, u64 address, enum fault_access access);
/* space_copy: read or write another space's memory through the direct map, fault by fault (ptrace, process_vm_readv,
 * /proc/PID/mem). force: may write a private copy where the view is not writable. Returns bytes done, or -EFAULT when
 * none. */
ssize_t space_copy(struct space *s, u64 address, void *buffer, size_t bytes, bool write, bool force);

/* space_futex_key: what identifies a futex word: a private one (or any word of private memory) by space and address,
 * one in a shared mapping by object and offset (futex(2)). -EFAULT when nothing is mapped there. Takes no reference. */
struct futex_key {
    const void *where;
    u64 offset;
};
int space_futex_key(struct space *s, u64 address, bool shared, struct futex_key *key);
/* space_present: what the slot of a page holds, for mincore and pagemap: a PAGE_* mask; *frame: its number. */
#define PAGE_MAPPED 1u      /* some view covers it */
#define PAGE_PRESENT 2u     /* a frame of it is mapped */
#define PAGE_CACHED 4u      /* not mapped, but the object has it in memory */
#define PAGE_EXCLUSIVE 8u   /* no other slot maps the frame */
#define PAGE_ANONYMOUS 128u /* the view has no object */
#define PAGE_ZERO 256u      /* present, and it is the zero frame */
#define PAGE_OF_FILE 16u    /* a frame of a file or of shared memory */
#define PAGE_GUARDED 1024u  /* who writes waits (watch.h) */
#define PAGE_WRITTEN 512u   /* counts as changed since clear_refs 4: soft-dirty */
#define PAGE_SWAPPED 32u    /* in the swap area: *frame is its slot there */
/* space_barrier: every CPU that runs the space (NULL: every CPU) has passed a full memory barrier. */
void space_barrier(struct space *s);
u32 space_present(struct space *s, u64 address, u64 *frame);
/* space_pin: the frame that the page shows now, pinned; NULL: none, or one that is not counted (the zero frame). */
struct frame *space_pin(struct space *s, u64 address);

/* space_walk: the mappings in address order, neighbours with the same view joined. next starts at 0.
 * Returns false at the end. Holds nothing between calls: a view of a range is consistent, the list may change
 * meanwhile. *out holds a reference on out->view: call space_walk_end(out) before the next call or when done. */
struct mapping {
    u64 start, end;
    struct view *view;
    u64 offset; /* bytes into the file at start */
};
bool space_walk(struct space *s, u64 from, struct mapping *out);
/* space_walk_to: the same, but none that begins at `end` or after it. */
bool space_walk_to(struct space *s, u64 from, u64 end, struct mapping *out);
void space_walk_end(struct mapping *m);
/* space_usage: what the slots of [start, end) hold, in pages. */
struct space_usage {
    u64 anon, file, shmem, swap; /* mapped pages by kind; swap entries */
    u64 lazy;                    /* of anon, those given up by MADV_FREE */
    u64 large;                   /* of anon, those that large entries show */
    u64 shared_clean, shared_dirty, private_clean, private_dirty, referenced;
    u64 pss_bytes; /* each page divided by the slots and sharers that map it */
    u64 swap_pss_bytes;
};
/* space_clean: from now on only what is written, or mapped, counts as changed (PAGE_WRITTEN). -ENOMEM: a prefix was
 * done. */
int space_clean(struct space *s);
/* space_unreference: forget which pages were used. space_reset_peak: the largest size is today's. */
void space_unreference(struct space *s, u64 start, u64 end);
void space_reset_peak(struct space *s);
void space_usage(struct space *s, u64 start, u64 end, struct space_usage *out);

/* Plan totals, in pages (invariant 8). */
struct space_totals {
    u64 total; /* all mapped */
    u64 data;  /* private writable, not stack */
    u64 stack, exec, locked, committed, shared;
    u64 mappings; /* runs as /proc/PID/maps shows them */
    u64 tables;   /* page tables reachable */
    u64 peak_total, peak_resident;
};
void space_totals(struct space *s, struct space_totals *out);

/* space_resident: what the space has, in pages, from the counters of its tables; shared tables in full. Takes no lock,
 * so it may be called under any; what changes meanwhile is seen or not. */
struct space_resident {
    u64 total; /* mapped */
    u64 anon, object, swapped, tables;
};
void space_resident(struct space *s, struct space_resident *out);
/* space_reap: the space of a process that is being killed loses its private mappings. -EAGAIN: somebody is inside a
 * range operation; -ENOMEM: some are left. Sleeps only for what the unmapping itself needs; puts no file. */
int space_reap(struct space *s);

/* What exec and /proc keep with a space; vm/ only stores it. Written by exec before the space is shared. */
struct space_info {
    u64 code_start, code_end, data_start, data_end, brk_start, stack_start;
    u64 arg_start, arg_end, env_start, env_end;
    u64 auxv[2 * 24];    /* as given to the program */
    struct vm_file *exe; /* a reference is held; put when the space goes */
    u16 barriers;        /* membarrier commands that were registered; atomic */
    u16 keys;            /* protection keys in use, a bit each; atomic */
    u8 execute_key;      /* the one that makes mappings executable only; 0: none yet; atomic */
    bool has_segments;   /* System V shared memory was mapped once, here or before a fork */
};
struct space_info *space_info(struct space *s);
/* Limits of the process that vm/ must respect, bytes or ~0. */
struct space_limits {
    u64 address_space, data, stack, locked;
    bool privileged; /* CAP_SYS_ADMIN: commit.h */
    bool low;        /* CAP_SYS_RAWIO: may map below mmap_min_addr where it says so exactly */
    bool no_large;   /* no leaf is shown large: atomic */
};
struct space_limits *space_limits(struct space *s);

void vm_init(void); /* after frame_init and slab_init: views, tables, the zero frame, the kernel's root */
/* vm_check: walk the whole machine and verify the invariants of design.md. Returns the number of findings; report says
 * what was verified, how many of it, and the first findings with their values. Every other CPU waits meanwhile. May
 * sleep. */
u64 vm_check(char *report, size_t size);
/* vm_live: what is alive in vm/, for leak counts: tables, views, spaces. */
struct vm_live {
    u64 tables, views, spaces, retired;
};
void vm_live(struct vm_live *out);
