/* tree.c - names and attributes of the file system in memory (tree.h).
 *
 * Names are the name cache's (dentry.c): what was made here is pinned there; what the lower has is asked for once, and
 * can be asked again after it was evicted. So this file has no directory of its own: a lookup that reaches it is a name
 * that the cache does not know, and only the lower can have it.
 *
 * Hard links of the lower share one inode: every inode with a node is found by (tree, dev, ino). Legend of that table:
 * a stripe's lock protects its chains; an inode found there is taken only if it has a reference left.
 *
 * Contents are tree_data.c's, listing tree_dir.c's, and what goes to the lower tree_through.c's. */
#include "fs/tree.h"

#include <asm/statfs.h>
#include <linux/capability.h>
#include <linux/magic.h>

#include "fs/dentry.h"
#include "fs/inode.h"
#include "fs/names.h"
#include "task/background.h"
#include "task/task.h"
#include "vm/slab.h"

#define STRIPES 64
static struct stripe { struct spin lock; } __attribute__((aligned(64))) stripes[STRIPES];
static struct tree_inode **buckets;
static u32 bucket_mask;
static struct slab_cache *inode_cache;
static u64 devices = 0x20; /* [a] st_dev of trees whose lower says none: anonymous, major 0 */
u64 tree_changes;

void tree_init(void) {
    struct frame_totals totals;
    unsigned order = 0;

    frame_totals(&totals);
    /* One bucket for 16 frames: the cached inodes of a machine are fewer than its frames. */
    while (order < 6 && ((PAGE_SIZE << order) / sizeof(*buckets)) * 16 < totals.given)
        order++;
    buckets = pages_alloc(order, FRAME_ZEROED);
    inode_cache = slab_create("tree_inode", sizeof(struct tree_inode), 64);
    if (!buckets || !inode_cache)
        panic("no memory for the table of inodes (%lu frames)", (unsigned long)totals.given);
    bucket_mask = (u32)((PAGE_SIZE << order) / sizeof(*buckets)) - 1;
}

static u32 hash_of(const struct tree *t, u64 dev, u64 ino) {
    u64 hash = (ino ^ (dev << 32) ^ ((u64)t >> 6)) * 0x9e3779b97f4a7c15UL; /* Knuth's multiplicative hash, 2^64 / phi */
    return (u32)(hash >> 32);
}

/* An inode of the table with new's number, counted; NULL: new is in the table. What is of another type is another file,
 * which had the number before. */
static struct tree_inode *table_find_or_add(const struct tree *t, struct tree_inode *new) {
    const struct inode *i = &new->inode;
    u32 hash = hash_of(t, i->dev, i->ino);
    struct spin *lock = &stripes[hash % STRIPES].lock;
    struct tree_inode **head = &buckets[hash & bucket_mask], *ti;

    spin_lock(lock);
    for (ti = *head; ti; ti = ti->hash_next)
        if (ti->inode.ino == i->ino && ti->inode.dev == i->dev && tree_of(&ti->inode) == t &&
            !((ti->inode.mode ^ i->mode) & S_IFMT) && inode_try_get(&ti->inode))
            break;
    if (!ti) {
        new->flags |= TREE_INODE_HASHED;
        new->hash_next = *head;
        *head = new;
    }
    spin_unlock(lock);
    return ti;
}

static void table_remove(struct tree_inode *ti) {
    u32 hash = hash_of(tree_of(&ti->inode), ti->inode.dev, ti->inode.ino);
    struct spin *lock = &stripes[hash % STRIPES].lock;
    struct tree_inode **p = &buckets[hash & bucket_mask];

    spin_lock(lock);
    if (ti->flags & TREE_INODE_HASHED) {
        while (*p != ti)
            p = &(*p)->hash_next;
        *p = ti->hash_next;
        atomic_and(&ti->flags, ~TREE_INODE_HASHED);
    }
    spin_unlock(lock);
}

void tree_take_attr(struct tree_inode *ti, const struct lower_attr *a) {
    struct inode *i = &ti->inode;

    i->mode = a->mode;
    i->uid = a->uid;
    i->gid = a->gid;
    i->links = a->links;
    i->rdev = a->rdev;
    i->times = (struct inode_times){a->atime_ns, a->mtime_ns, a->ctime_ns, a->btime_ns};
    ti->lower_blocks = a->blocks;
    ti->lower_mtime_ns = a->mtime_ns;
}

/* The operations that a new inode of this tree has, by its type. */
static void set_ops(struct tree *t, struct tree_inode *ti) {
    struct inode *i = &ti->inode;

    i->ops = &tree_inode_ops;
    if ((i->mode & S_IFMT) == S_IFREG)
        i->file_ops = &tree_file_ops;
    if ((i->mode & S_IFMT) != S_IFDIR)
        return;
    i->file_ops = &tree_dir_ops;
    if (ti->lower && t->mode != TREE_THROUGH)
        i->flags |= INODE_NEGATIVE | (t->mode == TREE_OVERLAY ? INODE_LAYERED : 0);
}

struct inode *tree_from_lower(struct tree *t, struct lower_node *node, const struct lower_attr *a) {
    struct tree_inode *new = slab_alloc_zeroed(inode_cache), *found;
    u64 dev = a->dev ? a->dev : t->super.dev; /* 9p does not say st_dev; it makes numbers unique all the same */

    if (!new) {
        t->lower->ops->put(t->lower, node);
        return err_ptr(-ENOMEM);
    }
    inode_init(&new->inode, &t->super, a->mode);
    tree_take_attr(new, a);
    new->inode.ino = a->ino;
    new->inode.dev = dev;
    new->lower = node;
    if ((a->mode & S_IFMT) == S_IFREG)
        new->lower_bytes = a->bytes;
    object_init(&new->inode.object, t->mode == TREE_THROUGH ? &tree_through_pages : &tree_layered_pages, a->bytes);
    set_ops(t, new);

    while ((found = table_find_or_add(t, new)) && t->mode == TREE_THROUGH && !through_adopt(found, node)) {
        table_remove(found);
        inode_put(&found->inode);
    }
    if (!found)
        return &new->inode;
    if (t->mode == TREE_THROUGH)
        new->lower = NULL;  /* it was taken */
    inode_put(&new->inode); /* and its node with it */
    return &found->inode;
}

/* What lives only in memory may take half of it, as Linux's tmpfs does by default, and more while there is room, in
 * memory or in the swap area: a full disk is an error that programs know, where running out of memory would kill one of
 * them. Inodes count with a name each; evictable ones too, but those are gone by the time that memory is short. */
bool tree_memory_full(void) {
    static u64 given; /* [a] frames of the machine, once known */
    struct frame_totals totals;
    u64 bytes;

    if (likely(atomic_load_relaxed(&given) && frame_free_count() > given / 16))
        return false;
    frame_totals(&totals);
    atomic_store_relaxed(&given, totals.given);
    bytes = (swap_room() ? 0 : totals.frames[FRAME_SHMEM] * PAGE_SIZE) +
            slab_live(inode_cache) * (sizeof(struct tree_inode) + sizeof(struct dentry));
    return totals.frames[FRAME_FREE] <= given / 16 && bytes >= given / 2 * PAGE_SIZE;
}

struct inode *tree_make(struct tree *t, struct inode *dir, u32 mode, u64 rdev) {
    if (unlikely(tree_memory_full()))
        return err_ptr(-ENOSPC);
    struct tree_inode *ti = slab_alloc_zeroed(inode_cache);
    struct inode *i = ti ? &ti->inode : NULL;

    if (!ti)
        return err_ptr(-ENOMEM);
    inode_init(i, &t->super, mode);
    i->rdev = rdev;
    if (t->mode == TREE_THROUGH)
        i->flags |= INODE_HERE;
    if (dir) {
        i->dev = dir->dev;
        if (dir->mode & S_ISGID) {
            i->gid = dir->gid;
            if ((mode & S_IFMT) == S_IFDIR)
                i->mode |= S_ISGID;
        }
    }
    if ((mode & S_IFMT) == S_IFDIR)
        i->object.size = t->mode == TREE_MEMORY ? 40 : 4096; /* what Linux's tmpfs and ext4 show */
    set_ops(t, ti);
    return i;
}

static void release(struct inode *i) {
    struct tree_inode *ti = tree_inode(i);
    struct tree *t = tree_of(i);

    table_remove(ti);
    if (ti->lower)
        t->lower->ops->put(t->lower, ti->lower);
    through_put_nodes(ti);
    kfree(ti->listing);
    tree_xattr_free(ti);
    kfree(ti->target);
    slab_free(inode_cache, ti);
}

/* The first inode of a bucket, from the n-th on, that has something to write back; counted. *n: where the next search
 * starts. */
static struct tree_inode *next_dirty(u32 bucket, u32 *n) {
    struct spin *lock = &stripes[bucket % STRIPES].lock;
    struct tree_inode *ti, *found = NULL;
    u32 at = 0;

    spin_lock(lock);
    for (ti = buckets[bucket]; ti && !found; ti = ti->hash_next, at++)
        if (at >= *n && ti->inode.object.dirty && tree_of(&ti->inode)->mode == TREE_THROUGH &&
            inode_try_get(&ti->inode))
            found = ti;
    spin_unlock(lock);
    *n = at;
    return found;
}

void tree_sync_all(void) {
    for (u32 bucket = 0; bucket <= bucket_mask; bucket++) {
        struct tree_inode *ti;
        u32 n = 0;
        while ((ti = next_dirty(bucket, &n))) {
            (void)object_sync(&ti->inode.object, 0, ~0UL >> PAGE_SHIFT); /* the object keeps the error for fsync */
            inode_put(&ti->inode);
        }
    }
}

/* What an overlay has that its lower has not. */

u64 overlay_changes(void) { return atomic_load(&tree_changes); }

void tree_changed(struct tree_inode *ti) {
    if (likely(!ti->lower || (ti->flags & TREE_INODE_CHANGED)) || tree_of(&ti->inode)->mode != TREE_OVERLAY)
        return;
    if (atomic_or(&ti->flags, TREE_INODE_CHANGED) & TREE_INODE_CHANGED)
        return;
    inode_get(&ti->inode);
    atomic_add(&tree_changes, 1);
}

/* A directory has one more or one less subdirectory. Hosts whose directories do not count them show 1 link: that stays.
 */
static void count_subdirectory(struct inode *dir, int change) {
    if (dir->links + (u32)change >= 2 && dir->links >= 2)
        dir->links += (u32)change;
}

static void made(struct tree *t, struct inode *i) {
    if (t->mode == TREE_OVERLAY) {
        atomic_or(&tree_inode(i)->flags, TREE_INODE_MADE);
        atomic_add(&tree_changes, 1);
    }
}

/* An inode has lost its last name. */
static void forgotten(struct tree *t, struct tree_inode *ti) {
    /* The lower may give the number to another file while somebody still has this one. */
    if (t->mode == TREE_THROUGH)
        table_remove(ti);
    if (t->mode != TREE_OVERLAY)
        return;
    if (atomic_and(&ti->flags, ~TREE_INODE_MADE) & TREE_INODE_MADE)
        atomic_sub(&tree_changes, 1);
    if (!ti->lower)
        return;
    /* The lower's name that is now hidden counts as one change. Changed it stays: who has it open may write to it. The
     * lower may give its number to another file. A host whose links were miscounted can bring us here twice. */
    tree_changed(ti);
    table_remove(ti);
    if (!(atomic_or(&ti->flags, TREE_INODE_FORGOTTEN) & TREE_INODE_FORGOTTEN))
        inode_put(&ti->inode);
}

/* Names. The directories' locks are held by the caller (names.c). */

static struct inode *lookup(struct inode *dir, const char *name, size_t bytes) {
    struct tree_inode *ti = tree_inode(dir);
    struct tree *t = tree_of(dir);
    struct lower_node *node;
    struct lower_attr a;
    int error;

    if (!ti->lower || (dir->flags & INODE_DEAD))
        return err_ptr(-ENOENT);
    if (t->mode == TREE_THROUGH && through_hides(name, bytes))
        return err_ptr(-ENOENT);
    error = t->lower->ops->lookup(t->lower, ti->lower, name, bytes, &node, &a);
    return error ? err_ptr(error) : tree_from_lower(t, node, &a);
}

static struct inode *create(struct inode *dir, const char *name, size_t bytes, u32 mode, u64 rdev) {
    struct tree *t = tree_of(dir);
    bool special = (mode & S_IFMT) != S_IFREG && (mode & S_IFMT) != S_IFDIR;
    struct inode *i;

    if (t->mode == TREE_THROUGH && !special) {
        i = through_create(dir, name, bytes, mode, rdev, NULL);
    } else {
        i = tree_make(t, dir, mode, rdev);
        if (!is_err(i))
            made(t, i);
    }
    if (!is_err(i)) {
        if ((mode & S_IFMT) == S_IFDIR)
            count_subdirectory(dir, 1);
        inode_touch(dir, true);
    }
    return i;
}

static struct inode *make_symlink(struct inode *dir, const char *name, size_t bytes, const char *target) {
    struct tree *t = tree_of(dir);
    struct inode *i;

    if (t->mode == TREE_THROUGH) {
        i = through_create(dir, name, bytes, S_IFLNK | 0777, 0, target);
    } else {
        char *copy = kstrdup(target);
        i = copy ? tree_make(t, dir, S_IFLNK | 0777, 0) : err_ptr(-ENOMEM);
        if (!is_err(i)) {
            tree_inode(i)->target = copy;
            i->object.size = strlen(copy);
            made(t, i);
        } else {
            kfree(copy);
        }
    }
    if (!is_err(i))
        inode_touch(dir, true);
    return i;
}

static int link(struct inode *dir, const char *name, size_t bytes, struct inode *target) {
    struct tree *t = tree_of(dir);
    int error = 0;

    mutex_lock(&target->lock);
    if (!target->links && !(target->flags & INODE_TMPFILE))
        error = -ENOENT; /* its last name went meanwhile */
    if (!error && t->mode == TREE_THROUGH && tree_inode(target)->lower)
        error = through_link(dir, name, bytes, tree_inode(target));
    if (!error) {
        if (!target->links && !tree_inode(target)->lower)
            made(t, target);
        tree_changed(tree_inode(target));
        atomic_and(&target->flags, ~INODE_TMPFILE); /* it had a name now: when that is gone, it is gone */
        target->links++;
        inode_touch(target, false);
        inode_touch(dir, true);
    }
    mutex_unlock(&target->lock);
    return error;
}

/* A name of victim is gone (a directory's only one). dir is locked, and a directory that goes; a file has names in
 * other directories too, so its own lock orders their counting. */
static void lose_name(struct inode *dir, struct inode *victim, bool directory) {
    struct tree_inode *ti = tree_inode(victim);

    if (!directory)
        mutex_lock(&victim->lock);
    tree_changed(ti);
    if (directory) {
        victim->links = 0;
        count_subdirectory(dir, -1);
    } else if (victim->links) {
        victim->links--;
    }
    inode_touch(victim, false);
    bool last = !victim->links;
    if (!directory)
        mutex_unlock(&victim->lock);
    if (last)
        forgotten(tree_of(dir), ti);
}

static int unlink(struct inode *dir, const char *name, size_t bytes, struct inode *victim, bool directory) {
    int error = directory ? tree_dir_empty(victim) : 0;

    if (!error && tree_of(dir)->mode == TREE_THROUGH && tree_inode(victim)->lower)
        error = through_unlink(dir, name, bytes, tree_inode(victim), directory);
    if (!error) {
        lose_name(dir, victim, directory);
        inode_touch(dir, true);
    }
    return error;
}

static int rename(const struct rename_names *r) {
    struct tree *t = tree_of(r->from);
    bool directory = (r->moved->mode & S_IFMT) == S_IFDIR, gone_directory;
    int error = 0;

    gone_directory = r->replaced && (r->replaced->mode & S_IFMT) == S_IFDIR;
    if (gone_directory && !r->exchange)
        error = tree_dir_empty(r->replaced);
    if (!error && t->mode == TREE_THROUGH)
        error = through_rename(r);
    if (error)
        return error;
    if (r->replaced && !r->exchange)
        lose_name(r->to, r->replaced, gone_directory);
    if (directory) {
        count_subdirectory(r->from, -1);
        count_subdirectory(r->to, 1);
    }
    if (r->exchange && gone_directory) {
        count_subdirectory(r->to, -1);
        count_subdirectory(r->from, 1);
    }
    tree_changed(tree_inode(r->moved));
    inode_touch(r->moved, false);
    if (r->exchange) {
        tree_changed(tree_inode(r->replaced));
        inode_touch(r->replaced, false);
    }
    inode_touch(r->from, true);
    inode_touch(r->to, true);
    return 0;
}

static struct inode *tmpfile(struct inode *dir, u32 mode) {
    struct tree *t = tree_of(dir);
    struct inode *i = t->mode == TREE_THROUGH ? through_tmpfile(dir, mode) : tree_make(t, dir, mode, 0);

    if (!is_err(i))
        i->links = 0;
    return i;
}

/* Attributes. */

/* The target, read once. Two tasks may read it at once; the second drops its copy. */
static int read_target(struct tree_inode *ti) {
    struct tree *t = tree_of(&ti->inode);
    char *buffer = kmalloc(PAGE_SIZE), *copy = NULL;
    ssize_t bytes = buffer ? t->lower->ops->readlink(t->lower, ti->lower, buffer, PAGE_SIZE - 1) : -ENOMEM;

    if (bytes >= 0) {
        buffer[bytes] = 0;
        copy = kstrdup(buffer);
        if (!copy)
            bytes = -ENOMEM;
        else if (!atomic_cas(&ti->target, (char *)NULL, copy))
            kfree(copy);
    }
    kfree(buffer);
    return bytes < 0 ? (int)bytes : 0;
}

static ssize_t readlink(struct inode *i, char *buffer, size_t bytes) {
    struct tree_inode *ti = tree_inode(i);
    int error = 0;

    if ((i->mode & S_IFMT) != S_IFLNK)
        return -EINVAL;
    if (!atomic_load(&ti->target))
        error = read_target(ti);
    if (error)
        return error;
    bytes = min(bytes, strlen(ti->target));
    memcpy(buffer, ti->target, bytes);
    return (ssize_t)bytes;
}

static int getattr(struct inode *i) { return tree_of(i)->mode == TREE_THROUGH ? through_refresh(tree_inode(i)) : 0; }

static int setattr(struct inode *i, u32 valid) {
    if (tree_of(i)->mode == TREE_THROUGH)
        return through_setattr(tree_inode(i), valid);
    tree_changed(tree_inode(i));
    return 0;
}

static u64 blocks(struct inode *i) {
    struct tree_inode *ti = tree_inode(i);

    if (ti->lower && !(ti->flags & TREE_INODE_CHANGED))
        return ti->lower_blocks;
    if (ti->lower && (i->mode & S_IFMT) == S_IFREG)
        return (i->object.size + 511) / 512;
    return (i->object.cached + i->object.swapped) * (PAGE_SIZE / 512);
}

const struct inode_ops tree_inode_ops = {
    .lookup = lookup,
    .create = create,
    .symlink = make_symlink,
    .link = link,
    .unlink = unlink,
    .rename = rename,
    .tmpfile = tmpfile,
    .readlink = readlink,
    .getattr = getattr,
    .setattr = setattr,
    .resize = tree_resize,
    .blocks = blocks,
    .getxattr = tree_getxattr,
    .setxattr = tree_setxattr,
    .listxattr = tree_listxattr,
    .release = release,
};

/* The super. */

static int statfs_lower(struct tree *t, struct statfs *s) {
    struct lower_statfs l;
    int error = t->lower->ops->statfs ? t->lower->ops->statfs(t->lower, t->lower->root, &l) : -ENOSYS;

    if (error)
        return error;
    s->f_type = l.type;
    s->f_bsize = s->f_frsize = (long)l.block_bytes;
    s->f_blocks = (long)l.blocks;
    s->f_bfree = (long)l.free;
    s->f_bavail = (long)l.available;
    s->f_files = (long)l.files;
    s->f_ffree = (long)l.files_free;
    s->f_namelen = l.name_most;
    return 0;
}

static int tree_statfs(struct super *super, void *out) {
    struct tree *t = container_of(super, struct tree, super);
    struct statfs *s = out;
    struct frame_totals totals;

    memset(s, 0, sizeof(*s));
    if (t->lower && !statfs_lower(t, s))
        return 0;
    frame_totals(&totals);
    s->f_type = TMPFS_MAGIC;
    s->f_bsize = s->f_frsize = PAGE_SIZE;
    s->f_blocks = (long)totals.given / 2; /* as Linux's tmpfs says by default */
    s->f_bfree = s->f_bavail = (long)min(frame_free_count(), totals.given / 2);
    s->f_files = (long)totals.given / 2;
    s->f_ffree = s->f_files - (long)slab_live(inode_cache);
    s->f_namelen = 255;
    return 0;
}

struct super *tree_super_create(const struct tree_options *o) {
    struct tree *t = kzalloc(sizeof(*t));
    struct inode *root;

    if (!t)
        return NULL;
    if (o->mode == TREE_THROUGH && flusher_start()) {
        kfree(t);
        return NULL;
    }
    t->mode = o->mode;
    t->lower = o->lower;
    t->super = (struct super){
        .type = o->type,
        .options = o->options                  ? o->options
                   : o->mode == TREE_READ_ONLY ? "ro,relatime"
                                               : "rw,relatime",
        .dev = o->lower && o->lower->root_attr.dev ? o->lower->root_attr.dev : atomic_add(&devices, 1),
        .statfs = tree_statfs,
        .keeps_names = o->mode == TREE_MEMORY || o->mode == TREE_OVERLAY,
        .read_only = o->mode == TREE_READ_ONLY,
    };
    root = o->lower ? tree_from_lower(t, o->lower->root, &o->lower->root_attr)
                    : tree_make(t, NULL, S_IFDIR | o->root_mode, 0);
    if (is_err(root)) {
        kfree(t);
        return NULL;
    }
    t->super.root = root;
    return &t->super;
}
