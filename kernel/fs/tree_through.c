/* tree_through.c - what --rw adds to the file system in memory (tree.h): each change goes to the lower first.
 *
 * The lower is the truth; here are cached names that exist (never ones that do not), attributes for a second, and pages
 * for as long as size and modification time say that they are still the file's. write(2) goes to the lower and then
 * into the pages that are cached; pages dirtied through shared mappings are written by sync, msync, munmap's last
 * reference and eviction.
 *
 * A node goes by a path on the server: when the name that it was found by goes and the file has others, the node is of
 * no more use, and leads to another file once the name is given to one. So each link made here is looked up at once, as
 * a node in reserve; without one, the inode is stale until a lookup brings a new node. Replaced nodes are kept to the
 * end: somebody may be using them. What the host puts in a file's place has another number: the name is forgotten, and
 * looked up again.
 *
 * A file removed while open: QEMU's server answers by path, so the file is renamed to ".quire-hidden-N" in its
 * directory and removed when the last description closes. One that never had a name (O_TMPFILE) begins so.
 *
 * FIFOs, sockets and device nodes that are made here have no node: that server refuses to make them (it opens what it
 * has made, to set its mode), and to the host's programs they would be of no use. They live in memory, under names that
 * are pinned in the name cache and hide the lower's of the same name. */
#include <linux/fs.h>

#include "fs/inode.h"
#include "fs/io.h"
#include "fs/tree.h"
#include "lib/errseq.h"
#include "task/task.h"
#include "vm/slab.h"

#define HIDDEN ".quire-hidden-"
#define WRITE_CHUNK (32 * KiB) /* one exchange of a write: a few frames of buffer */

static u32 hidden_last; /* [a] */

struct old_node {
    struct old_node *next;
    struct lower_node *node;
    bool used; /* it was the inode's node before */
};

static struct lower *lower_of(const struct tree_inode *ti) { return tree_of(&ti->inode)->lower; }

bool through_hides(const char *name, size_t bytes) {
    return bytes > sizeof(HIDDEN) - 1 && !memcmp(name, HIDDEN, sizeof(HIDDEN) - 1);
}

static size_t hidden_name(char *out, size_t size, u32 number) {
    return (size_t)ksnprintf(out, size, HIDDEN "%u", number);
}

/* Are these the attributes of this file, not of another that has its name now? */
static bool is_own(const struct tree_inode *ti, const struct lower_attr *a) {
    return a->ino == ti->inode.ino && !((a->mode ^ ti->inode.mode) & S_IFMT);
}

static bool leads_here(struct tree_inode *ti, struct lower_node *node) {
    struct lower *l = lower_of(ti);
    struct lower_attr a;

    return !l->ops->getattr(l, node, &a) && is_own(ti, &a);
}

/* Attributes and pages follow the lower. inode.lock held. */
static void take_newer(struct tree_inode *ti, const struct lower_attr *a) {
    struct object *o = &ti->inode.object;
    bool regular = (a->mode & S_IFMT) == S_IFREG;
    bool own = atomic_and(&ti->flags, ~TREE_INODE_WROTE) & TREE_INODE_WROTE;
    bool other = a->bytes != o->size || (a->mtime_ns != ti->lower_mtime_ns && !own);

    tree_take_attr(ti, a);
    if (!regular)
        o->size = a->bytes;
    if (!regular || !other)
        return;
    mutex_lock(&o->storing); /* what becomes dirty meanwhile does not go there yet */
    if (!o->dirty) {
        mutex_lock(&o->mutex);
        atomic_store(&ti->lower_bytes, a->bytes);
        object_resize(o, a->bytes);
        mutex_unlock(&o->mutex);
        object_drop(o, 0, ~0UL >> PAGE_SHIFT);
    }
    mutex_unlock(&o->storing);
}

/* After a change of our own: the lower's new times are ours, and say nothing about the pages. inode.lock held. */
static void take_own(struct tree_inode *ti) {
    struct lower *l = lower_of(ti);
    struct lower_attr a;

    if (!ti->hidden && !l->ops->getattr(l, ti->lower, &a) && is_own(ti, &a))
        tree_take_attr(ti, &a);
}

static int refresh_locked(struct tree_inode *ti) {
    struct lower *l = lower_of(ti);
    struct lower_attr a;
    int error = ti->hidden ? 0 : l->ops->getattr(l, ti->lower, &a);

    if (error || ti->hidden)
        return error;
    if (!is_own(ti, &a))
        return -ESTALE; /* another lookup of the name brings the file that has it now */
    take_newer(ti, &a);
    return 0;
}

int through_refresh(struct tree_inode *ti) {
    int error;

    if (!ti->lower)
        return 0;
    mutex_lock(&ti->inode.lock);
    error = refresh_locked(ti);
    mutex_unlock(&ti->inode.lock);
    return error;
}

int through_open(struct tree_inode *ti, struct file *f) {
    struct lower *l = lower_of(ti);
    bool write = f->mode & FILE_WRITE;
    u32 have = write ? TREE_INODE_WRITABLE : TREE_INODE_READABLE;
    int error;

    mutex_lock(&ti->inode.lock);
    error = refresh_locked(ti);
    if (error == -ENOENT && (ti->flags & TREE_INODE_STALE))
        error = -ESTALE; /* another lookup of the name brings a node */
    if (!error && !(ti->flags & have) && l->ops->open) {
        error = l->ops->open(l, ti->lower, write);
        if (!error)
            atomic_or(&ti->flags, have);
    }
    ti->opens += !error;
    mutex_unlock(&ti->inode.lock);
    return error;
}

/* The hidden file of an inode goes. inode.lock held, or nobody else knows the inode. Returns the directory, to be put,
 * or NULL. */
static struct tree_inode *drop_hidden(struct tree_inode *ti) {
    struct lower *l = lower_of(ti);
    struct tree_inode *dir = ti->hidden_in;
    char name[32];

    if (dir) /* a stray hidden file is all that can be left */
        (void)l->ops->unlink(l, dir->lower, name, hidden_name(name, sizeof(name), ti->hidden), false);
    ti->hidden_in = NULL;
    return dir;
}

void through_release(struct tree_inode *ti) {
    struct tree_inode *dir = NULL;

    if (ti->inode.object.dirty)
        (void)object_sync(&ti->inode.object, 0, ~0UL >> PAGE_SHIFT); /* the object keeps the error for fsync */
    mutex_lock(&ti->inode.lock);
    if (--ti->opens == 0)
        dir = drop_hidden(ti);
    mutex_unlock(&ti->inode.lock);
    if (dir)
        inode_put(&dir->inode);
}

/* Names. */

struct inode *through_create(struct inode *dir, const char *name, size_t bytes, u32 mode, u64 rdev,
                             const char *target) {
    struct tree_inode *parent = tree_inode(dir);
    struct lower *l = lower_of(parent);
    const struct credentials *cred = cred_current();
    bool inherit = dir->mode & S_ISGID;
    u32 gid = inherit ? dir->gid : cred->fsgid;
    struct lower_node *node;
    struct lower_attr a;
    int error;

    if (inherit && (mode & S_IFMT) == S_IFDIR)
        mode |= S_ISGID;
    if (target)
        error = l->ops->symlink(l, parent->lower, name, bytes, target, cred->fsuid, gid, &node, &a);
    else
        error = l->ops->create(l, parent->lower, name, bytes, mode, rdev, cred->fsuid, gid, &node, &a);
    return error ? err_ptr(error) : tree_from_lower(tree_of(dir), node, &a);
}

struct inode *through_tmpfile(struct inode *dir, u32 mode) {
    struct inode *i;
    char name[32];
    u32 number;

    do { /* another run may have left one */
        number = atomic_add(&hidden_last, 1);
        i = through_create(dir, name, hidden_name(name, sizeof(name), number), mode, 0, NULL);
    } while (is_err(i) && ptr_err(i) == -EEXIST);
    if (!is_err(i)) {
        inode_get(dir);
        tree_inode(i)->hidden_in = tree_inode(dir);
        tree_inode(i)->hidden = number;
    }
    return i;
}

static void keep_node(struct tree_inode *ti, struct lower_node *node, bool used) {
    struct lower *l = lower_of(ti);
    struct old_node *old = kmalloc(sizeof(*old));

    if (old) {
        *old = (struct old_node){ti->others, node, used};
        ti->others = old;
    } else if (!used) {
        l->ops->put(l, node);
    } /* else it leaks: giving it back under somebody's read would be worse */
}

void through_put_nodes(struct tree_inode *ti) {
    struct lower *l = lower_of(ti);
    struct tree_inode *dir = drop_hidden(ti); /* it could not be opened */

    if (dir)
        inode_put(&dir->inode);
    while (ti->others) {
        struct old_node *old = ti->others;
        ti->others = old->next;
        l->ops->put(l, old->node);
        kfree(old);
    }
}

/* The inode goes on with another node. inode.lock held. */
static void replace_node(struct tree_inode *ti, struct lower_node *node) {
    keep_node(ti, ti->lower, true);
    atomic_store(&ti->lower, node);
    atomic_and(&ti->flags, ~(TREE_INODE_STALE | TREE_INODE_READABLE | TREE_INODE_WRITABLE));
}

bool through_adopt(struct tree_inode *ti, struct lower_node *node) {
    struct lower *l = lower_of(ti);

    /* The directory where it was found is locked: after what happened on the host, that may be below this one, or it.
     */
    if ((ti->inode.mode & S_IFMT) != S_IFDIR)
        mutex_lock(&ti->inode.lock);
    else if (!mutex_try(&ti->inode.lock))
        return false;
    if (leads_here(ti, ti->lower)) {
        atomic_and(&ti->flags, ~TREE_INODE_STALE);
        l->ops->put(l, node);
    } else {
        replace_node(ti, node);
    }
    mutex_unlock(&ti->inode.lock);
    return true;
}

/* A file of O_TMPFILE gets its first name, or a hidden one its own again. target is locked. */
static int unhide(struct tree_inode *target, struct lower_node *parent, const char *name, size_t bytes) {
    struct lower *l = lower_of(target);
    struct tree_inode *dir = target->hidden_in;
    char hidden[32];
    size_t hidden_bytes = hidden_name(hidden, sizeof(hidden), target->hidden);
    int error = l->ops->rename(l, dir->lower, hidden, hidden_bytes, parent, name, bytes);

    if (!error) {
        target->hidden = 0;
        target->hidden_in = NULL;
        inode_put(&dir->inode);
    }
    return error;
}

int through_link(struct inode *dir, const char *name, size_t bytes, struct tree_inode *target) {
    struct lower *l = lower_of(target);
    struct lower_node *parent = tree_inode(dir)->lower, *node;
    struct lower_attr a;
    int error;

    if (target->hidden_in)
        return unhide(target, parent, name, bytes);
    error = l->ops->link(l, parent, name, bytes, target->lower);
    if (!error && !l->ops->lookup(l, parent, name, bytes, &node, &a))
        keep_node(target, node, false);
    return error;
}

/* A name is gone, others are left: does the node still lead to the file? inode.lock held. */
static void check_node(struct tree_inode *ti) {
    if (leads_here(ti, ti->lower))
        return;
    for (struct old_node *old = ti->others; old; old = old->next) {
        if (old->used || !leads_here(ti, old->node))
            continue;
        struct lower_node *node = old->node;
        old->node = ti->lower; /* they change places */
        old->used = true;
        atomic_store(&ti->lower, node);
        atomic_and(&ti->flags, ~(TREE_INODE_READABLE | TREE_INODE_WRITABLE));
        return;
    }
    atomic_or(&ti->flags, TREE_INODE_STALE);
}

/* The victim is open and loses its last name: another name keeps it alive. */
static int hide(struct tree_inode *parent, const char *name, size_t bytes, struct tree_inode *victim) {
    struct lower *l = lower_of(parent);
    u32 number = atomic_add(&hidden_last, 1);
    char hidden[32];
    size_t hidden_bytes = hidden_name(hidden, sizeof(hidden), number);
    int error = l->ops->rename(l, parent->lower, name, bytes, parent->lower, hidden, hidden_bytes);

    if (!error) {
        inode_get(&parent->inode);
        victim->hidden_in = parent;
        victim->hidden = number;
    }
    return error;
}

int through_unlink(struct inode *dir, const char *name, size_t bytes, struct tree_inode *victim, bool directory) {
    struct tree_inode *parent = tree_inode(dir);
    struct lower *l = lower_of(parent);
    int error;

    if (directory)
        return l->ops->unlink(l, parent->lower, name, bytes, true);
    mutex_lock(&victim->inode.lock);
    if (victim->opens && victim->inode.links <= 1)
        error = hide(parent, name, bytes, victim);
    else
        error = l->ops->unlink(l, parent->lower, name, bytes, false);
    if (!error && victim->inode.links > 1)
        check_node(victim);
    mutex_unlock(&victim->inode.lock);
    return error;
}

/* 9P2000.L has no exchange: three renames, undone if one fails. Other programs of the host can see the steps. */
static int exchange(const struct rename_names *r) {
    struct lower_node *from = tree_inode(r->from)->lower, *to = tree_inode(r->to)->lower;
    struct lower *l = lower_of(tree_inode(r->from));
    char name[32];
    size_t bytes = hidden_name(name, sizeof(name), atomic_add(&hidden_last, 1));
    int error = l->ops->rename(l, from, r->name, r->bytes, from, name, bytes);

    if (error)
        return error;
    error = l->ops->rename(l, to, r->new_name, r->new_bytes, from, r->name, r->bytes);
    if (!error) {
        error = l->ops->rename(l, from, name, bytes, to, r->new_name, r->new_bytes);
        if (error)
            (void)l->ops->rename(l, from, r->name, r->bytes, to, r->new_name, r->new_bytes);
    }
    if (error)
        (void)l->ops->rename(l, from, name, bytes, from, r->name, r->bytes);
    return error;
}

/* Where either has no node: what the lower has of it. */
static int rename_partly(const struct rename_names *r) {
    struct tree_inode *from = tree_inode(r->from), *to = tree_inode(r->to);
    struct tree_inode *victim = r->replaced ? tree_inode(r->replaced) : NULL;
    struct lower *l = lower_of(from);

    if (tree_inode(r->moved)->lower)
        return l->ops->rename(l, from->lower, r->name, r->bytes, to->lower, r->new_name, r->new_bytes);
    if (victim && victim->lower && r->exchange)
        return l->ops->rename(l, to->lower, r->new_name, r->new_bytes, from->lower, r->name, r->bytes);
    return victim && victim->lower ? through_unlink(r->to, r->new_name, r->new_bytes, victim, false) : 0;
}

int through_rename(const struct rename_names *r) {
    struct tree_inode *from = tree_inode(r->from), *to = tree_inode(r->to);
    struct lower *l = lower_of(from);
    struct tree_inode *victim = r->replaced ? tree_inode(r->replaced) : NULL;
    bool file = victim && (victim->inode.mode & S_IFMT) != S_IFDIR, hidden = false;
    int error = 0;

    if (!tree_inode(r->moved)->lower || (victim && !victim->lower))
        return rename_partly(r);
    if (r->exchange)
        return exchange(r);
    if (file)
        mutex_lock(&victim->inode.lock);
    /* The replaced file may be open: it gets its hidden name before the new one takes its place. */
    if (file && victim->opens && victim->inode.links <= 1) {
        error = hide(to, r->new_name, r->new_bytes, victim);
        hidden = !error;
    }
    if (!error)
        error = l->ops->rename(l, from->lower, r->name, r->bytes, to->lower, r->new_name, r->new_bytes);
    if (error && hidden)
        (void)unhide(victim, to->lower, r->new_name, r->new_bytes);
    if (!error && file && victim->inode.links > 1)
        check_node(victim);
    if (file)
        mutex_unlock(&victim->inode.lock);
    return error;
}

/* Attributes. */

int through_setattr(struct tree_inode *ti, u32 valid) {
    static const struct {
        u32 here, there;
    } map[] = {{ATTR_MODE, LOWER_MODE},
               {ATTR_UID, LOWER_UID},
               {ATTR_GID, LOWER_GID},
               {ATTR_ATIME, LOWER_ATIME},
               {ATTR_MTIME, LOWER_MTIME}};
    struct lower *l = lower_of(ti);
    struct inode *i = &ti->inode;
    struct lower_attr a = {
        .mode = i->mode, .uid = i->uid, .gid = i->gid, .atime_ns = i->times.atime_ns, .mtime_ns = i->times.mtime_ns};
    u32 there = 0;
    int error;

    if (!ti->lower)
        return 0;
    for (unsigned n = 0; n < array_count(map); n++)
        there |= valid & map[n].here ? map[n].there : 0;
    error = l->ops->setattr(l, ti->lower, there, &a);
    if (!error)
        take_own(ti);
    return error;
}

int through_resize(struct tree_inode *ti, u64 bytes) {
    struct lower *l = lower_of(ti);
    struct lower_attr a = {.bytes = bytes};
    int error = l->ops->setattr(l, ti->lower, LOWER_SIZE, &a);

    if (!error) {
        take_own(ti);
        /* Growing: what lies between is the lower's zeroes. */
        atomic_store(&ti->lower_bytes, max(ti->lower_bytes, bytes));
    }
    return error;
}

/* Contents. */

/* What was written to the lower goes into the pages that are cached; into one that is being read too, once it is there:
 * the lower may have given it as it was before. One that cannot be read is not cached. */
static void update_pages(struct tree_inode *ti, const char *from, size_t bytes, u64 position) {
    struct object *o = &ti->inode.object;

    while (bytes) {
        size_t here = min(bytes, PAGE_SIZE - position % PAGE_SIZE);
        u64 index = position >> PAGE_SHIFT;
        struct frame *frame = object_peek(o, index);
        if (!frame && object_has(o, index) && object_get(o, index, OBJECT_READ, &frame))
            frame = NULL;
        if (frame) {
            memcpy((char *)frame_va(frame) + position % PAGE_SIZE, from, here);
            frame_unpin(frame);
        }
        from += here;
        position += here;
        bytes -= here;
    }
}

/* Write all of the buffer; bytes written, or -errno if none. */
static ssize_t write_chunk(struct tree_inode *ti, const char *buffer, size_t bytes, u64 position) {
    struct lower *l = lower_of(ti);
    size_t done = 0;
    ssize_t n = 0;

    mutex_lock(&ti->inode.object.storing); /* a page as it was before this may be on its way there */
    while (done < bytes) {
        n = l->ops->write(l, ti->lower, buffer + done, bytes - done, position + done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (done) {
        /* Before the pages are looked for: who reads the last one from now on takes from the lower what was just
         * written behind the file's old end. */
        atomic_store(&ti->lower_bytes, max(ti->lower_bytes, position + done));
        update_pages(ti, buffer, done, position);
    }
    mutex_unlock(&ti->inode.object.storing);
    return done ? (ssize_t)done : n;
}

static void grow(struct tree_inode *ti, u64 end) {
    struct object *o = &ti->inode.object;

    if (end <= o->size)
        return;
    mutex_lock(&o->mutex);
    object_resize(o, end);
    mutex_unlock(&o->mutex);
}

ssize_t through_write(struct tree_inode *ti, struct iov *from, u64 position) {
    size_t chunk = min(from->bytes, WRITE_CHUNK), done = 0;
    char *buffer = kmalloc(chunk);
    ssize_t n = 1;

    if (!buffer)
        return -ENOMEM;
    while (from->bytes && n > 0) {
        size_t wanted = min(from->bytes, chunk), got = iov_take(from, buffer, wanted);
        n = got ? write_chunk(ti, buffer, got, position + done) : -EFAULT;
        if (n > 0)
            done += (size_t)n;
        if (n != (ssize_t)wanted)
            break;
    }
    kfree(buffer);
    if (done) {
        grow(ti, position + done);
        atomic_or(&ti->flags, TREE_INODE_WROTE);
    }
    return done ? (ssize_t)done : n;
}

int through_zero(struct tree_inode *ti, u64 start, u64 end) {
    char *zeroes = kzalloc(WRITE_CHUNK);
    ssize_t n = zeroes ? 1 : -ENOMEM;

    while (n > 0 && start < end) {
        n = write_chunk(ti, zeroes, (size_t)min(end - start, (u64)WRITE_CHUNK), start);
        start += n > 0 ? (u64)n : 0;
    }
    kfree(zeroes);
    atomic_or(&ti->flags, TREE_INODE_WROTE);
    return n < 0 ? (int)n : 0;
}

/* A write that ends early goes on with the page that it ended in. */
int through_write_back(struct object *o, u64 index, struct frame **frames, unsigned count) {
    struct tree_inode *ti = container_of(o, struct tree_inode, inode.object);
    struct lower *l = lower_of(ti);
    u64 at = index << PAGE_SHIFT, size = atomic_load(&o->size);
    size_t bytes = at < size ? (size_t)min(size - at, (u64)count << PAGE_SHIFT) : 0, done = 0;
    ssize_t n = 1;

    while (done < bytes && n > 0) {
        size_t whole = done & PAGE_MASK;
        n = l->ops->write_pages(l, ti->lower, frames + (whole >> PAGE_SHIFT), bytes - whole, at + whole);
        if (n > 0 && whole + (size_t)n <= done)
            n = -EIO; /* no further than before */
        done = n > 0 ? whole + (size_t)n : done;
    }
    if (n > 0)
        atomic_or(&ti->flags, TREE_INODE_WROTE);
    else
        errseq_set(&ti->inode.super->errors, n < 0 ? (int)n : -EIO);
    return n > 0 ? 0 : n < 0 ? (int)n : -EIO;
}
