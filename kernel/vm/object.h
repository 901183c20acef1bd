/* object.h - an object: the cached frames of a file, of shared memory or of a device, by page index, and who maps them.
 *
 * vm/ owns the frames and the mappings; the backend behind struct object_ops owns the contents' other home, if there is
 * one. An object is embedded in what it belongs to (an inode) and lives as long as that does.
 *
 * Locks: object->mutex (sleeping) is held by who changes the size or removes frames; object->lock (spin) protects the
 * tree and the list of mappings. A frame is found, filled and pinned before any table is locked (docs/locks.md). */
#pragma once

#include "lib/base.h"
#include "lib/sync.h"
#include "vm/frame.h"
#include "vm/radix.h"
#include "vm/area.h"

struct object;

struct object_ops {
    /* fill: read the contents of pages [index, index + count) into the frames (each zeroed past the end of the file by
     * the backend). Called without locks; may sleep. 0 or -errno for all. NULL: pages start as zeroes (shared memory).
     */
    int (*fill)(struct object *o, u64 index, struct frame **frames, unsigned count);
    /* write_back: store pages [index, index + count). Called without spin locks; may sleep. 0, or -errno: some may not
     * be stored. NULL: contents exist only in memory. */
    int (*write_back)(struct object *o, u64 index, struct frame **frames, unsigned count);
    /* device: the frame that page `index` of a device shows, or NULL past its end. Not ours to reclaim. Other objects:
     * NULL. */
    struct frame *(*device)(struct object *o, u64 index);
    /* promise: a new page is to come: may it be promised (commit_charge)? Taken back when the page goes for good. NULL:
     * not counted page by page. */
    bool (*promise)(u64 pages);
};

/* Where a reader is. All of it hints, written without a lock. */
enum habit {
    HABIT_NORMAL,     /* a sequence is noticed */
    HABIT_RANDOM,     /* one page at a time */
    HABIT_SEQUENTIAL, /* begins with twice as much */
};
struct ahead {
    u64 next;  /* the page that would continue a sequence of fills */
    u32 pages; /* that the last one was to have */
    u32 how;   /* enum habit: as posix_fadvise(2) said */
};

struct object {
    const struct object_ops *ops;
    struct mutex storing; /* before mutex. Write-back; write(2) and truncation beyond the object: one at a time */
    struct mutex mutex;   /* size changes, truncate, visits of mappings */
    struct spin lock;     /* protects tree, mappings and the counts below */
    struct radix tree;    /* page index -> frame, or a slot of the swap area (object_inner.h) */
    struct list mappings; /* of struct link (table.h): the tables that have runs of it */
    u64 pass;             /* number of the current visit of all links; under mutex and lock */
    u64 size;            /* bytes; written under mutex, read atomically. A mapped access past its last page is SIGBUS */
    u64 cached;          /* frames in the tree */
    u64 swapped;         /* slots in the tree */
    u64 dirty;           /* frames that are dirty, and those being stored; one that is both counts twice */
    u64 writable_shared; /* runs that map it shared and may write (memfd seals, ETXTBSY) */
    struct waitq filling;     /* who waits for FRAME_FILLING to end, or for users to go */
    u32 users;                /* atomic: reclaim looks at it; object_destroy waits */
    struct ahead ahead;       /* of who uses no open file */
    u32 errors;               /* atomic: of write-back (lib/errseq.h) */
    u64 dirty_since;          /* under writeback.c's lock: when its first dirty page was seen; 0: not yet */
    struct list in_writeback; /* in its list, while there are dirty pages and a backend */
    bool locked;              /* atomic: its pages stay in memory (SHM_LOCK) */
    struct list in_swap;      /* in evict.c's list, while it has slots; under its lock */
    u64 in_at;                /* where pages were read from the swap area together last; atomic, a hint */
    u32 in_pages;             /* how many; likewise */
};

/* The open file that a mapping keeps alive. fs/ embeds it in its struct file; vm/ counts references through ops. */
struct vm_file;
struct vm_file_ops {
    void (*get)(struct vm_file *f);
    void (*put)(struct vm_file *f); /* may sleep */
};
struct vm_file {
    const struct vm_file_ops *ops;
    struct object *object; /* NULL: what is mapped is private memory in the file's name (/dev/zero) */
    u32 errors_seen;       /* atomic: of object->errors */
    struct ahead ahead;
};

void object_init(struct object *o, const struct object_ops *ops, u64 size);
/* object_destroy: the owner goes away. No mapping is left; frees all frames. May sleep. */
void object_destroy(struct object *o);

enum object_use {
    OBJECT_READ,      /* contents wanted */
    OBJECT_WRITE,     /* contents wanted, will be changed: the frame becomes dirty */
    OBJECT_OVERWRITE, /* all bytes will be overwritten: no fill; becomes dirty. The caller must write all of it */
};
/* object_get: the frame of page `index`, filled and pinned; the caller calls frame_unpin. Does not look at size. May
 * sleep (and read ahead). *out on success; -ENOMEM, -ENOSPC (no promise), or the backend's error (-EIO...). Holds no
 * lock on entry or return, but the caller may hold o->mutex. */
int object_get(struct object *o, u64 index, enum object_use use, struct frame **out) must_check;
/* object_read_for: the same, contents wanted, for who reads f or has mapped it; -ENODATA: it is past the end. `how`: as
 * he said himself. What is read ahead of him goes by where he read last. */
int object_read_for(struct vm_file *f, u64 index, enum habit how, struct frame **out) must_check;
/* object_supply: page `index`, which the object has not, becomes f (of class SHMEM, its contents in it), dirty. 0: f is
 * the object's, and pinned for the caller; -EEXIST, -ENODATA (past the end), -ENOSPC, -ENOMEM. An object whose pages
 * live only in memory. Sleeps. */
int object_supply(struct object *o, u64 index, struct frame *f) must_check;
/* object_prefetch: pages [first, end) are read that are not there, while memory is not short. An error is nobody's yet.
 * Sleeps. */
void object_prefetch(struct object *o, u64 first, u64 end);
static inline u64 object_pages(const struct object *o) { return (atomic_load(&o->size) + PAGE_SIZE - 1) >> PAGE_SHIFT; }
/* object_dirty: the frame (pinned, of o) is about to be written: by a shared mapping or by write(2). Without a
 * write_back its contents exist only in memory from now on. Does not sleep; may be called with a table locked. */
void object_dirty(struct object *o, struct frame *f);
/* object_peek: the frame if it is cached and filled, pinned; else NULL. Does not sleep. */
struct frame *object_peek(struct object *o, u64 index);
/* object_has: page `index` has contents of its own: cached, on the way, or in the swap area. */
bool object_has(struct object *o, u64 index);
bool object_poisoned(struct object *o, u64 index); /* ... that are lost: frame_offline */
/* object_swapped: how many of pages [first, end) are in the swap area. */
u64 object_swapped(struct object *o, u64 first, u64 end);
/* object_resize: set the size (bytes); shrinking unmaps and frees what lies past the new end, private copies too, and
 * zeroes the rest of the last page, unless that cannot be read. o->mutex held, and to shrink an object that is written
 * back o->storing as well. May sleep. */
void object_resize(struct object *o, u64 size);
/* object_hold_tail: the page that object_resize to `size` will zero a part of, pinned; NULL: none. With it in hand
 * object_resize does all that it should. -EIO, -ENOMEM: it cannot be had. Holds o->mutex. May sleep. */
int object_hold_tail(struct object *o, u64 size, struct frame **out) must_check;
/* object_punch: free pages [first, end) (whole pages); shared mappings then see zeroes; private copies stay. Held as by
 * object_resize that shrinks. */
void object_punch(struct object *o, u64 first, u64 end);
/* object_sync: write back dirty pages of [first, end), mapped ones included, and wait for those being stored. 0, or the
 * first error; a page that could not be written stays dirty, and o->errors tells whoever asks by object_sync_file. The
 * object's mutexes are had for a row of pages at a time. object_try_sync: all of them, until somebody has one of them
 * who may be waiting for memory: then false. object_sync_file: for one open file: 0, or an error that it was not told
 * yet. */
int object_sync(struct object *o, u64 first, u64 end);
bool object_try_sync(struct object *o);
int object_sync_file(struct vm_file *f, u64 first, u64 end);
/* vm_file_init: f is of this object, and has heard of its errors so far, but for one that nobody was told. */
void vm_file_init(struct vm_file *f, const struct vm_file_ops *ops, struct object *o);
/* object_drop: forget clean, unmapped frames of [first, end) (fadvise DONTNEED, a file that changed on the host). */
void object_drop(struct object *o, u64 first, u64 end);
/* Pages of objects on their way to the swap area: pinned, no more mapped, and not written to when they were put here.
 */
struct outward {
    struct frame *frames[SWAP_CLUSTER];
    unsigned count;
};
/* object_evict: one frame, which is the caller's guess, goes, and with it those beside it in the file that were not
 * used lately, `most` in all: unmapped everywhere but from locked memory, then freed if nobody uses them and they are
 * found elsewhere. How many were. Those that are not, of class FRAME_SHMEM, join `out`, if it has room and the swap
 * area too; they are free once object_write_out has written them. out is NULL: they stay. No lock held; o->mutex is
 * only tried. With out: by one task at a time (swap_alloc). */
u64 object_evict(struct frame *f, u64 most, struct outward *out);
/* object_write_out: write them, and free those that nobody came for. How many were freed. What cannot be written stays.
 * Sleeps. */
u64 object_write_out(struct outward *out);
/* reclaim_register: `shrink` frees up to `pages` pages' worth of some cache, and says how many; called by vm_reclaim
 * with no lock held; must only try locks. At most 8, at boot. */
void reclaim_register(u64 (*shrink)(u64 pages));
bool object_mapped(const struct object *o);
