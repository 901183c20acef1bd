/* tree_dir.c - listing directories of the file system in memory (tree.h).
 *
 * A listing is: ".", "..", the names that were made here (pinned, by rising sequence), then what the lower lists and no
 * name here covers. Positions: 0 and 1 for the dots; FIRST_KEPT + sequence; FIRST_LOWER + n for the lower's n-th entry.
 * The lower's own cookies can be any 64-bit number, so the description remembers the last one with its n, and a seek
 * back to the middle counts from the start again.
 *
 * What an overlay's lower lists is kept, as it came, with the directory's inode, and goes with it: asking again costs
 * two exchanges or more. Not of a directory of more than LISTING_MOST bytes, nor where memory is short. */
#include <linux/fs.h>

#include "fs/dentry.h"
#include "fs/tree.h"
#include "vm/slab.h"

#define FIRST_KEPT 2UL
#define FIRST_LOWER (1UL << 48)

#define LISTING_MOST (64 * KiB)

struct cursor {
    u64 entry;  /* number of the lower's entry that comes next */
    u64 cookie; /* and how the lower finds it; or where it is in the listing that is kept */
    bool kept;
};

/* A lower's listing: records, one after the other. */
struct listing {
    u32 bytes, room;
    u8 records[];
};
struct record {
    u64 ino;
    u8 type, name_bytes;
    char name[];
} __attribute__((packed));

static int open_dir(struct inode *inode, struct file *f) {
    struct tree_inode *ti = tree_inode(inode);
    struct tree *t = tree_of(inode);
    int error = 0;

    if (!ti->lower ||
        (inode->flags & INODE_DEAD)) /* a removed one opens, and lists nothing: the lower has it no more */
        return 0;
    if (t->mode == TREE_THROUGH && through_refresh(ti) == -ESTALE)
        return -ESTALE;
    if (t->lower->ops->open && !(ti->flags & TREE_INODE_READABLE))
        error = t->lower->ops->open(t->lower, ti->lower, false);
    if (!error)
        atomic_or(&ti->flags, TREE_INODE_READABLE);
    if (!error && !(f->private_data = kzalloc(sizeof(struct cursor))))
        error = -ENOMEM;
    return error;
}

static void release_dir(struct file *f) { kfree(f->private_data); }

static unsigned type_of(const struct inode *i) { return (i->mode & S_IFMT) >> 12; } /* DT_* are the type bits */

/* "." and "..". */
static bool emit_dots(struct file *f, struct dir_sink *sink) {
    struct dentry *d = f->path.dentry, *parent;
    bool taken = true;

    if (f->position == 0) {
        taken = sink->emit(sink, ".", 1, d->inode->ino, type_of(d->inode), 1);
        f->position += taken;
    }
    if (taken && f->position == 1) {
        parent = dentry_parent(d);
        taken = sink->emit(sink, "..", 2, parent->inode->ino, type_of(parent->inode), FIRST_KEPT);
        f->position = taken ? FIRST_KEPT : 1;
        dentry_put(parent);
    }
    return taken;
}

static bool emit_kept(struct file *f, struct dir_sink *sink) {
    struct dentry *child;

    list_for_each(child, &f->path.dentry->kept, link) {
        u64 here = FIRST_KEPT + child->sequence;
        if (here < f->position || !child->inode)
            continue;
        if (!sink->emit(sink, child->name, child->name_bytes, child->inode->ino, type_of(child->inode), here + 1))
            return false;
        f->position = here + 1;
    }
    return true;
}

/* The lower's entries pass through here. */
struct filter {
    struct lower_sink lower;
    struct dentry *dir;
    struct dir_sink *sink; /* NULL: only whether there is any entry is asked */
    struct cursor *cursor;
    u64 wanted; /* entries before this one were given already */
    bool full, any, hide;
};

static bool is_dot(const char *name, size_t bytes) {
    return name[0] == '.' && (bytes == 1 || (bytes == 2 && name[1] == '.'));
}

static bool pass(struct lower_sink *lower, const char *name, size_t bytes, u64 ino, unsigned type, u64 next) {
    struct filter *f = container_of(lower, struct filter, lower);
    bool shown = !is_dot(name, bytes) && f->cursor->entry >= f->wanted && !dentry_covers(f->dir, name, bytes) &&
                 !(f->hide && through_hides(name, bytes));

    f->any |= shown;
    if (shown && (!f->sink || !f->sink->emit(f->sink, name, bytes, ino, type, FIRST_LOWER + f->cursor->entry + 1))) {
        f->full = true;
        return false;
    }
    f->cursor->entry++;
    f->cursor->cookie = next;
    return true;
}

/* ---- the listing that is kept ---- */

struct collector {
    struct lower_sink sink;
    struct listing *listing; /* NULL: it was too long, or there was no memory */
    u64 count, cookie;
};

/* Room for one record more: of at least twice the size, so that a long listing is copied a few times only. */
static struct listing *listing_grow(struct listing *old) {
    u32 used = old ? old->bytes : 0, room = max(2 * used, 512U);
    struct listing *new = room <= LISTING_MOST ? kmalloc(sizeof(*new) + room) : NULL;
    if (new) {
        if (old)
            memcpy(new->records, old->records, used);
        *new = (struct listing){.bytes = used, .room = room};
    }
    kfree(old);
    return new;
}

static bool collect(struct lower_sink *sink, const char *name, size_t bytes, u64 ino, unsigned type, u64 next) {
    struct collector *c = container_of(sink, struct collector, sink);
    const struct record head = {.ino = ino, .type = (u8)type, .name_bytes = (u8)bytes};

    if (c->listing && c->listing->room - c->listing->bytes < sizeof(head) + bytes)
        c->listing = listing_grow(c->listing);
    if (!c->listing)
        return false;
    u8 *to = c->listing->records + c->listing->bytes;
    memcpy(to, &head, sizeof(head));
    memcpy(to + sizeof(head), name, bytes);
    c->listing->bytes += sizeof(head) + bytes;
    c->count++;
    c->cookie = next;
    return true;
}

/* The directory's listing, asked for if it is not there. NULL: none is kept. */
static struct listing *listing_get(struct tree *t, struct tree_inode *ti) {
    struct collector c = {.sink = {.entry = collect}};
    u64 before;
    int error;

    assert(mutex_held(&ti->inode.lock));
    if (ti->listing || t->mode != TREE_OVERLAY || ti->flags & TREE_INODE_LONG)
        return ti->listing;
    c.listing = listing_grow(NULL);
    do {
        before = c.count;
        error = t->lower->ops->readdir(t->lower, ti->lower, c.cookie, &c.sink);
    } while (!error && c.listing && c.count != before);
    if (!error && !c.listing)
        atomic_or(&ti->flags, TREE_INODE_LONG);
    if (error) {
        kfree(c.listing);
        c.listing = NULL;
    }
    return ti->listing = c.listing;
}

static void list_kept(struct filter *f, const struct listing *l) {
    u64 at = f->cursor->cookie;

    while (at < l->bytes) {
        const struct record *r = (const struct record *)(l->records + at);
        at += sizeof(*r) + r->name_bytes;
        if (!pass(&f->lower, r->name, r->name_bytes, r->ino, r->type, at))
            break;
    }
}

/* What the lower has: from the listing that is kept, or one exchange after another, until the sink is full or there is
 * no more. A cursor of the other way starts again. */
static int list_lower(struct filter *f, struct tree *t, struct tree_inode *ti) {
    struct listing *kept = listing_get(t, ti);
    u64 before;
    int error;

    f->lower.entry = pass;
    f->hide = t->mode == TREE_THROUGH;
    if (f->cursor->kept != (kept != NULL))
        *f->cursor = (struct cursor){.kept = kept != NULL};
    if (kept) {
        list_kept(f, kept);
        return 0;
    }
    do {
        before = f->cursor->entry;
        error = t->lower->ops->readdir(t->lower, ti->lower, f->cursor->cookie, &f->lower);
    } while (!error && !f->full && f->cursor->entry != before);
    return error;
}

static int iterate(struct file *f, struct dir_sink *sink) {
    struct tree_inode *ti = tree_inode(f->inode);
    struct cursor *cursor = f->private_data;
    int error = 0;

    if (f->inode->flags & INODE_DEAD)
        return -ENOENT;
    if (f->position < FIRST_LOWER && (!emit_dots(f, sink) || !emit_kept(f, sink)))
        return 0;
    if (cursor) {
        f->position = max(f->position, FIRST_LOWER);
        u64 wanted = f->position - FIRST_LOWER;
        if (cursor->entry != wanted)
            *cursor = (struct cursor){.kept = cursor->kept};
        struct filter filter = {.dir = f->path.dentry, .sink = sink, .cursor = cursor, .wanted = wanted};
        error = list_lower(&filter, tree_of(f->inode), ti);
        f->position = FIRST_LOWER + max(cursor->entry, wanted);
    }
    return error;
}

int tree_dir_empty(struct inode *dir) {
    struct tree_inode *ti = tree_inode(dir);
    struct cursor cursor = {0};
    struct filter filter = {.dir = dir->alias, .cursor = &cursor};
    int error = 0;

    assert(mutex_held(&dir->lock));
    /* What was made here the caller has looked for; write-through leaves the rest to the lower. */
    if (ti->lower && tree_of(dir)->mode == TREE_OVERLAY)
        error = list_lower(&filter, tree_of(dir), ti);
    return error ? error : filter.any ? -ENOTEMPTY : 0;
}

static s64 seek_dir(struct file *f, s64 offset, int whence) {
    if (whence == SEEK_CUR)
        offset += (s64)f->position;
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (offset < 0)
        return -EINVAL;
    f->position = (u64)offset;
    return offset;
}

static int fsync_dir(struct file *f, bool data_only) { return 0; }

const struct file_ops tree_dir_ops = {
    .open = open_dir,
    .release = release_dir,
    .iterate = iterate,
    .seek = seek_dir,
    .fsync = fsync_dir,
};
