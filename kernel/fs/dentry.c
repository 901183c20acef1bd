/* dentry.c - the cache of names (dentry.h): a hash table of (parent, name), and an LRU of those that nobody uses.
 *
 * Counting. Every dentry counts its parent and its inode, so what has cached children stays. A count that falls to 0
 * leaves a hashed dentry on the LRU and frees another. The last drop is done under the bucket's lock, as finding is, so
 * a dentry is never found while it is being freed. Being on the LRU is lazy: a dentry that is found again stays there
 * until the clock hand meets it.
 *
 * The hand takes the LRU's lock first and only tries the bucket's (the order is bucket > LRU); a bucket that is busy is
 * passed over. Pinned names are not on the LRU but in their directory's list `kept`, which is what getdents shows of
 * them.
 *
 * Does not know permissions, mounts, or what a file system does (names.c, path.c, tree.c). */
#include "fs/dentry.h"

#include "fs/inotify.h"

#include "vm/frame.h"
#include "vm/slab.h"

#define STRIPES 64 /* bucket locks; a power of two */
struct stripe {
    struct spin lock;
} __attribute__((aligned(64))); /* a cache line each: lookups of different names do not meet */

static struct stripe stripes[STRIPES];
static struct dentry **buckets; /* [b] */
static u32 bucket_mask;
static struct slab_cache *dentry_cache;
static struct spin shape = SPIN_INIT;    /* protects every parent and name */
static struct spin lru_lock = SPIN_INIT; /* protects lru and DENTRY_ON_LRU */
static struct list lru = LIST_INIT(lru); /* newest first */
static u64 sequence_last;                /* [a] */

void dentry_init(void) {
    struct frame_totals totals;
    unsigned order = 0;

    frame_totals(&totals);
    /* One bucket for every 8 frames: a 64 MiB machine has 2048 (4 frames of them), and at most 2^16. */
    while (order < 7 && ((PAGE_SIZE << order) / sizeof(*buckets)) * 8 < totals.given)
        order++;
    buckets = pages_alloc(order, FRAME_ZEROED);
    dentry_cache = slab_create("dentry", sizeof(struct dentry), 64);
    if (!buckets || !dentry_cache)
        panic("no memory for the name cache (%lu frames)", (unsigned long)totals.given);
    bucket_mask = (u32)((PAGE_SIZE << order) / sizeof(*buckets)) - 1;
}

/* FNV-1a over the name, started from the parent's address. */
u32 dentry_hash(const struct dentry *parent, const char *name, size_t bytes) {
    u64 hash = 0xcbf29ce484222325UL ^ ((u64)parent >> 6);

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (u8)name[i]) * 0x100000001b3UL;
    return (u32)(hash ^ (hash >> 32));
}

static struct spin *bucket_lock(u32 hash) {
    struct spin *lock = &stripes[hash & (STRIPES - 1)].lock;
    spin_lock(lock);
    return lock;
}

/* The entry for a name, or NULL. Its bucket's lock is held. */
static struct dentry *bucket_find(const struct dentry *parent, const char *name, size_t bytes, u32 hash) {
    struct dentry *d = buckets[hash & bucket_mask];

    while (d && !(d->hash == hash && d->parent == parent && d->name_bytes == bytes && !memcmp(d->name, name, bytes)))
        d = d->hash_next;
    return d;
}

static void bucket_add(struct dentry *d) {
    struct dentry **head = &buckets[d->hash & bucket_mask];

    d->hash_next = *head;
    *head = d;
    atomic_or(&d->flags, DENTRY_HASHED);
}

static void bucket_remove(struct dentry *d) {
    struct dentry **p = &buckets[d->hash & bucket_mask];

    while (*p != d)
        p = &(*p)->hash_next;
    *p = d->hash_next;
    d->hash_next = NULL;
    atomic_and(&d->flags, ~DENTRY_HASHED);
}

static void lru_add(struct dentry *d) {
    spin_lock(&lru_lock);
    if (!(d->flags & DENTRY_ON_LRU)) {
        atomic_or(&d->flags, DENTRY_ON_LRU);
        list_add(&lru, &d->link);
    }
    spin_unlock(&lru_lock);
}

static void lru_remove(struct dentry *d) {
    spin_lock(&lru_lock);
    if (d->flags & DENTRY_ON_LRU) {
        atomic_and(&d->flags, ~DENTRY_ON_LRU);
        list_del(&d->link);
    }
    spin_unlock(&lru_lock);
}

/* Making and freeing. */

struct dentry *dentry_make(struct dentry *parent, const char *name, size_t bytes) {
    struct dentry *d = slab_alloc_zeroed(dentry_cache);
    char *text = d ? d->short_name : NULL;

    if (d && bytes >= sizeof(d->short_name))
        text = kmalloc(bytes + 1);
    if (!text) {
        slab_free(dentry_cache, d);
        return NULL;
    }
    memcpy(text, name, bytes);
    text[bytes] = 0;
    d->references = 1;
    d->name = text;
    d->name_bytes = (u32)bytes;
    list_init(&d->link);
    list_init(&d->kept);
    if (parent) {
        dentry_get(parent);
        d->parent = parent;
        d->hash = dentry_hash(parent, name, bytes);
    } else {
        d->parent = d;
    }
    return d;
}

/* Nobody can reach d any more. Returns the parent, whose reference is now the caller's, or NULL. */
static struct dentry *dentry_free(struct dentry *d) {
    struct dentry *parent = d->parent == d ? NULL : d->parent;

    assert(!(d->flags & (DENTRY_HASHED | DENTRY_PINNED | DENTRY_ON_LRU)));
    if (d->inode) {
        (void)atomic_cas(&d->inode->alias, d, (struct dentry *)NULL); /* the name may have a new dentry already */
        notify_gone(d->inode);
        inode_put(d->inode);
    }
    if (d->name != d->short_name)
        kfree((void *)d->name);
    slab_free(dentry_cache, d);
    return parent;
}

struct dentry *dentry_root(struct inode *root) {
    struct dentry *d = dentry_make(NULL, "/", 1);

    if (d) {
        d->inode = root;
        root->alias = d;
    }
    return d;
}

struct dentry *dentry_loose(struct inode *inode, const char *name) {
    struct dentry *d = dentry_make(NULL, name, strlen(name));

    if (d) {
        d->inode = inode;
        d->flags = DENTRY_LOOSE;
    }
    return d;
}

/* Counting. */

void dentry_get(struct dentry *d) { atomic_add(&d->references, 1); }

/* Drop one reference; true if d must be freed by the caller. */
static bool drop(struct dentry *d) {
    for (;;) {
        u32 count = atomic_load_relaxed(&d->references);
        if (count > 1) {
            if (atomic_cas(&d->references, count, count - 1))
                return false;
            continue;
        }
        /* Perhaps the last one. A move between reading the hash and locking puts d into another bucket: look again. */
        u32 hash = atomic_load_relaxed(&d->hash);
        struct spin *lock = bucket_lock(hash);
        if (d->hash != hash) {
            spin_unlock(lock);
            continue;
        }
        bool last = atomic_sub(&d->references, 1) == 0;
        bool hashed = d->flags & DENTRY_HASHED;
        if (last && hashed)
            lru_add(d);
        spin_unlock(lock);
        return last && !hashed;
    }
}

void dentry_put(struct dentry *d) {
    while (d && drop(d))
        d = dentry_free(d);
}

/* Finding. */

enum dentry_found dentry_find(struct dentry *parent, const char *name, size_t bytes, struct dentry **out) {
    u32 hash = dentry_hash(parent, name, bytes);
    struct spin *lock = bucket_lock(hash);
    struct dentry *d = bucket_find(parent, name, bytes, hash);
    enum dentry_found found = FOUND_NOTHING;

    if (d) {
        if (!(atomic_load_relaxed(&d->flags) & DENTRY_RECENT))
            atomic_or(&d->flags, DENTRY_RECENT);
        found = d->inode ? FOUND : FOUND_ABSENT;
        if (found == FOUND) {
            dentry_get(d);
            *out = d;
        }
    }
    spin_unlock(lock);
    return found;
}

bool dentry_covers(struct dentry *parent, const char *name, size_t bytes) {
    u32 hash = dentry_hash(parent, name, bytes);
    struct spin *lock = bucket_lock(hash);
    struct dentry *d = bucket_find(parent, name, bytes, hash);
    bool covers = d && (d->flags & DENTRY_PINNED);

    spin_unlock(lock);
    return covers;
}

int dentry_lookup(struct dentry *parent, const char *name, size_t bytes, struct dentry **out) {
    struct inode *dir = parent->inode;
    enum dentry_found found;

    assert(mutex_held(&dir->lock));
    found = dir->super->uncached ? FOUND_NOTHING : dentry_find(parent, name, bytes, out);
    if (found != FOUND_NOTHING)
        return found == FOUND ? 0 : -ENOENT;
    if (!dir->ops->lookup)
        return -ENOTDIR;

    struct inode *inode = dir->ops->lookup(dir, name, bytes);
    int error = is_err(inode) ? (int)ptr_err(inode) : 0;
    if (error && !(error == -ENOENT && (dir->flags & INODE_NEGATIVE)))
        return error;
    struct dentry *d = dentry_make(parent, name, bytes);
    if (!d) {
        if (!error)
            inode_put(inode);
        return error ? error : -ENOMEM; /* a name known to be absent need not be cached */
    }
    if (dir->super->uncached)
        d->inode = inode;
    else
        dentry_insert(d, error ? NULL : inode, !error && (dir->flags & INODE_LAYERED) ? DENTRY_BELOW : 0);
    if (error)
        dentry_put(d);
    else
        *out = d;
    return error;
}

/* Changing: the directory's inode->lock is held. */

static void pin(struct dentry *d) {
    if (!(d->flags & DENTRY_PINNED)) {
        lru_remove(d);
        atomic_or(&d->flags, DENTRY_PINNED);
        dentry_get(d);
    } else {
        list_del(&d->link);
    }
    d->sequence = atomic_add(&sequence_last, 1);
    list_add_tail(&d->parent->kept, &d->link);
}

/* Take d's pin away; the caller has a reference of its own. */
static void unpin(struct dentry *d) {
    if (d->flags & DENTRY_PINNED) {
        list_del(&d->link);
        atomic_and(&d->flags, ~DENTRY_PINNED);
        atomic_sub(&d->references, 1);
    }
}

/* Hash d (its bucket's lock is not held), in place of a negative of the same name, which is freed by the caller's
 * dentry_put. What the negative knew of the layer below is d's now. */
static struct dentry *hash_over(struct dentry *d) {
    struct spin *lock = bucket_lock(d->hash);
    struct dentry *old = bucket_find(d->parent, d->name, d->name_bytes, d->hash);

    if (old) {
        assert(!old->inode);
        dentry_get(old);
        bucket_remove(old);
        atomic_or(&d->flags, old->flags & DENTRY_BELOW);
    }
    bucket_add(d);
    spin_unlock(lock);
    if (old) {
        lru_remove(old);
        unpin(old);
    }
    return old;
}

void dentry_insert(struct dentry *d, struct inode *inode, u32 flags) {
    assert(mutex_held(&d->parent->inode->lock));
    d->inode = inode;
    if (inode && (inode->mode & S_IFMT) == S_IFDIR)
        atomic_store(&inode->alias, d);
    atomic_or(&d->flags, flags & DENTRY_BELOW);
    struct dentry *old = hash_over(d);
    if (flags & DENTRY_PINNED)
        pin(d);
    if (old)
        dentry_put(old);
}

static void unhash(struct dentry *d) {
    struct spin *lock = bucket_lock(d->hash);

    bucket_remove(d);
    spin_unlock(lock);
    lru_remove(d);
}

/* The place that d left: a whiteout where the layer below has the name; else an ordinary negative, so that nobody asks
 * the layer for what is known not to be there. */
static void leave_whiteout(struct dentry *whiteout, bool below) {
    if (whiteout) {
        dentry_insert(whiteout, NULL, below ? DENTRY_PINNED | DENTRY_BELOW : 0);
        dentry_put(whiteout);
    }
}

/* Nothing is looked up in a removed directory again: its whiteouts go. d's inode->lock is not needed: it is dead. */
static void forget_kept(struct dentry *d) {
    while (!list_empty(&d->kept)) {
        struct dentry *child = list_first(&d->kept, struct dentry, link);
        dentry_get(child);
        unhash(child);
        unpin(child);
        dentry_put(child);
    }
}

void dentry_remove(struct dentry *d, struct dentry *whiteout) {
    assert(mutex_held(&d->parent->inode->lock));
    bool below = d->flags & DENTRY_BELOW;
    if (d->flags & DENTRY_HASHED)
        unhash(d);
    unpin(d);
    atomic_or(&d->flags, DENTRY_REMOVED);
    forget_kept(d);
    leave_whiteout(whiteout, below);
}

void dentry_forget(struct dentry *d) {
    struct dentry *parent = dentry_parent(d);

    mutex_lock(&parent->inode->lock);
    /* Moved meanwhile: its place is under another lock now. Who finds it there asks again. */
    if (d->parent == parent && (d->flags & (DENTRY_HASHED | DENTRY_PINNED)) == DENTRY_HASHED)
        unhash(d);
    mutex_unlock(&parent->inode->lock);
    dentry_put(parent);
}

/* Swap names and parents of two unhashed dentries. The shape lock is held. */
static void swap_places(struct dentry *a, struct dentry *b) {
    char text[sizeof(a->short_name)];
    const char *a_name = a->name == a->short_name ? NULL : a->name;
    const char *b_name = b->name == b->short_name ? NULL : b->name;
    struct dentry *parent = a->parent;
    u32 bytes = a->name_bytes, hash = a->hash;

    memcpy(text, a->short_name, sizeof(text));
    memcpy(a->short_name, b->short_name, sizeof(text));
    memcpy(b->short_name, text, sizeof(text));
    a->name = b_name ? b_name : a->short_name;
    b->name = a_name ? a_name : b->short_name;
    a->parent = b->parent;
    b->parent = parent;
    a->name_bytes = b->name_bytes;
    b->name_bytes = bytes;
    atomic_store(&a->hash, b->hash);
    atomic_store(&b->hash, hash);
}

void dentry_move(struct dentry *d, struct dentry *slot, struct dentry *whiteout) {
    bool below = d->flags & DENTRY_BELOW, keep = inode_names_stay(d->inode);

    spin_lock(&shape);
    unhash(d);
    if (d->flags & DENTRY_PINNED)
        list_del(&d->link); /* from the old parent's list; pin puts it into the new one's */
    swap_places(d, slot);
    atomic_and(&d->flags, ~DENTRY_BELOW);
    atomic_or(&d->flags, slot->flags & DENTRY_BELOW);
    struct dentry *old = hash_over(d);
    spin_unlock(&shape);
    if (keep)
        pin(d);
    leave_whiteout(whiteout, below);
    if (old)
        dentry_put(old);
    dentry_put(slot);
}

void dentry_exchange(struct dentry *a, struct dentry *b) {
    u32 a_below = a->flags & DENTRY_BELOW, b_below = b->flags & DENTRY_BELOW;

    spin_lock(&shape);
    unhash(a);
    unhash(b);
    swap_places(a, b);
    atomic_and(&a->flags, ~DENTRY_BELOW);
    atomic_and(&b->flags, ~DENTRY_BELOW);
    atomic_or(&a->flags, b_below);
    atomic_or(&b->flags, a_below);
    hash_over(a);
    hash_over(b);
    spin_unlock(&shape);
    if (inode_names_stay(a->inode))
        pin(a);
    if (inode_names_stay(b->inode))
        pin(b);
}

bool dentry_kept_any(const struct dentry *d) {
    const struct dentry *child;

    list_for_each(child, &d->kept, link) if (child->inode) return true;
    return false;
}

/* The tree's shape. */

struct dentry *dentry_parent(struct dentry *d) {
    spin_lock(&shape);
    struct dentry *parent = d->parent;
    dentry_get(parent);
    spin_unlock(&shape);
    return parent;
}

bool dentry_below(struct dentry *d, struct dentry *top) {
    spin_lock(&shape);
    while (d != top && d->parent != d)
        d = d->parent;
    spin_unlock(&shape);
    return d == top;
}

void dentry_shape_lock(void) { spin_lock(&shape); }
void dentry_shape_unlock(void) { spin_unlock(&shape); }

/* Evicting. */

/* The clock hand moves to the next victim: unhashed and off the LRU when returned. `steps` bounds the scan. NULL: none.
 */
static struct dentry *next_victim(u64 *steps) {
    struct dentry *victim = NULL;

    spin_lock(&lru_lock);
    while (!victim && !list_empty(&lru) && *steps) {
        struct dentry *d = list_entry(lru.prev, struct dentry, link);
        struct spin *lock = &stripes[d->hash & (STRIPES - 1)].lock;
        *steps -= 1;
        list_del(&d->link);
        if (atomic_load_relaxed(&d->references)) {
            atomic_and(&d->flags, ~DENTRY_ON_LRU); /* its last user brings it back */
        } else if ((atomic_and(&d->flags, ~DENTRY_RECENT) & DENTRY_RECENT) || !spin_try(lock)) {
            list_add(&lru, &d->link);
        } else {
            if (atomic_load(&d->references) == 0) {
                atomic_and(&d->flags, ~DENTRY_ON_LRU);
                bucket_remove(d);
                victim = d;
            } else {
                list_add(&lru, &d->link);
            }
            spin_unlock(lock);
        }
    }
    spin_unlock(&lru_lock);
    return victim;
}

u64 dentry_shrink(u64 count) {
    u64 freed = 0, steps = 4 * count + 64;

    while (freed < count) {
        struct dentry *d = next_victim(&steps);
        if (!d)
            break;
        dentry_put(dentry_free(d));
        freed++;
    }
    return freed;
}
