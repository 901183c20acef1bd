/* dentry.h - the cache of names: who is called what in which directory.
 *
 * Nouns. dentry: one name in one directory with the inode it names, or negative: known not to exist. Its inode never
 * changes; a name that gets another inode gets another dentry. hashed: found by name. pinned: exists only here (tmpfs,
 * what an overlay made or removed), never evicted. A pinned negative is a whiteout: it hides a name of the lower layer.
 *
 * Locks. A directory's inode->lock (sleeping) orders all changes of its names; finding takes only the spin lock of a
 * hash bucket, so a miss proves nothing until it is repeated under the directory's lock. Order: directory's lock >
 * shape lock > bucket > LRU. */
#pragma once

#include "fs/vfs.h"

/* Legend: [a] atomic; [b] the bucket's lock; [s] the shape lock (to read), shape and bucket (to write); [l] the LRU's
 * lock; [d] the parent directory's inode->lock; [c] constant. */
struct dentry {
    u32 references;           /* [a] 0 and hashed: on the LRU, waiting to be found again or evicted */
    u32 flags;                /* [a] DENTRY_* */
    u32 hash;                 /* [s] of parent and name */
    u32 name_bytes;           /* [s] */
    struct dentry *parent;    /* [s] counted; itself for a root */
    struct inode *inode;      /* [c] counted; NULL: negative */
    struct dentry *hash_next; /* [b] */
    struct list link;         /* pinned: in parent->kept [d]; else on the LRU [l] */
    struct list kept;         /* [own inode's lock] a directory's pinned names, by rising sequence */
    u64 sequence;             /* [d] place among the pinned names: a position for getdents */
    const char *name;         /* [s] short_name, or kmalloc'ed */
    char short_name[40];
};

#define DENTRY_HASHED 1u
#define DENTRY_PINNED 2u
#define DENTRY_BELOW 4u   /* the lower layer has something of this name: removing it leaves a whiteout */
#define DENTRY_MOUNTED 8u /* a mount covers it */
#define DENTRY_RECENT 16u /* found since the clock hand passed */
#define DENTRY_ON_LRU 32u
#define DENTRY_REMOVED 64u /* its name is gone: " (deleted)" */
#define DENTRY_LOOSE 128u  /* no place in any tree: `name` is all there is to show */

void dentry_init(void);
u32 dentry_hash(const struct dentry *parent, const char *name, size_t bytes);

enum dentry_found { FOUND, FOUND_ABSENT, FOUND_NOTHING };
/* dentry_find: what the cache knows of a name. FOUND: *out, counted. FOUND_ABSENT: known not to exist. */
enum dentry_found dentry_find(struct dentry *parent, const char *name, size_t bytes, struct dentry **out);
/* dentry_lookup: find, else ask the directory's inode, and cache the answer. parent's inode->lock held. *out counted.
 * 0, -ENOENT, or what the file system says. */
int dentry_lookup(struct dentry *parent, const char *name, size_t bytes, struct dentry **out);

/* Preparing: an unhashed dentry with one reference; parent is counted by it. NULL: no memory. dentry_put drops it
 * again. */
struct dentry *dentry_make(struct dentry *parent, const char *name, size_t bytes);
/* dentry_insert: d, made above, gets the inode (its reference passes over; NULL: negative) and is hashed in place of
 * whatever negative the cache held for the name. flags: DENTRY_PINNED, DENTRY_BELOW. parent's inode->lock held. Cannot
 * fail. */
void dentry_insert(struct dentry *d, struct inode *inode, u32 flags);
/* dentry_remove: d's name is gone. whiteout, made for the same name, is put in its place if the lower layer has the
 * name, else dropped; NULL where no layer is. parent's inode->lock held. The caller keeps its reference to d. */
void dentry_remove(struct dentry *d, struct dentry *whiteout);
/* dentry_move: d takes the place of `slot`, a dentry made (unhashed) for the new parent and name, which is used up.
 * What was hashed there before has been removed. whiteout as in dentry_remove, for the old name. Both directories'
 * locks held. */
void dentry_move(struct dentry *d, struct dentry *slot, struct dentry *whiteout);
/* dentry_exchange: a and b swap parents and names. Both directories' locks held. */
void dentry_exchange(struct dentry *a, struct dentry *b);
void dentry_forget(
    struct dentry *d); /* find it no more: the next lookup asks the file system again. Pinned names stay */
bool dentry_kept_any(const struct dentry *d); /* has it pinned positive names? d's inode->lock held */
/* dentry_covers: does the cache override the lower layer's entry `name` (a whiteout, or a name made here)? parent's
 * lock held. */
bool dentry_covers(struct dentry *parent, const char *name, size_t bytes);

struct dentry *dentry_root(struct inode *root); /* takes over the inode's reference; NULL: no memory */
struct dentry *dentry_loose(struct inode *inode, const char *name); /* likewise, without a place */
void dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);              /* may sleep */
struct dentry *dentry_parent(struct dentry *d); /* counted; d itself for a root */
bool dentry_below(struct dentry *d,
                  struct dentry *top); /* is d top, or under it? Stable only under the rename lock (names.c) */
void dentry_shape_lock(void);          /* holds every parent and name still: for path_string */
void dentry_shape_unlock(void);
u64 dentry_shrink(u64 count);
