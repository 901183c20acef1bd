/* names.c - making, removing and moving names: who may, in which order directories are locked, what the name cache then
 * knows.
 *
 * Each operation prepares all dentries it may need, asks the file system, and then changes the cache, which cannot
 * fail.
 *
 * Lock order: rename lock > a directory's inode->lock > its descendants' > a file's. Only a rename holds two unrelated
 * directories; the rename lock makes it the only one that does, and it locks an ancestor before its descendant. */
#include "fs/names.h"

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/limits.h>

#include "fs/inode.h"
#include "fs/inotify.h"
#include "task/task.h"
#include "vm/slab.h"

static struct mutex rename_lock = MUTEX_INIT(rename_lock); /* protects directories' ancestry across two directories */

static int may_create(struct inode *dir) {
    return dir->flags & INODE_DEAD ? -ENOENT : inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

/* A directory with the sticky bit: only the owner of the file or of the directory removes names. */
static bool sticky_denies(const struct inode *dir, const struct inode *victim) {
    u32 uid = cred_current()->fsuid;
    return (dir->mode & S_ISVTX) && victim->uid != uid && dir->uid != uid && !capable(CAP_FOWNER);
}

static int may_remove(struct inode *dir, struct dentry *victim, bool directory) {
    bool is_directory = (victim->inode->mode & S_IFMT) == S_IFDIR;
    int error = inode_permission(dir, MAY_WRITE | MAY_EXEC);

    if (!error && sticky_denies(dir, victim->inode))
        error = -EPERM;
    if (!error && directory != is_directory)
        error = directory ? -ENOTDIR : -EISDIR;
    if (!error && (victim->flags & DENTRY_MOUNTED))
        error = -EBUSY;
    return error;
}

/* In proc nobody makes a name: one that is not there is just that, as 6.1 answers before it asks for any right. */
static bool makes_names(const struct inode *dir) { return dir->super != proc_super(); }

static u32 pin_flag(const struct inode *made) { return inode_names_stay(made) ? DENTRY_PINNED : 0; }

static bool layered(const struct dentry *dir) { return dir->inode->flags & INODE_LAYERED; }

/* Making. */

u32 name_made_mode(const struct inode *dir, u32 mode) {
    const u32 runs_as_group = S_ISGID | S_IXGRP;
    const struct credentials *cred = cred_current();
    struct fs_root *fs = fs_current();

    if ((mode & S_IFMT) != S_IFDIR && (mode & runs_as_group) == runs_as_group && (dir->mode & S_ISGID) &&
        !cred_in_group(cred, dir->gid, cred->fsgid) && !capable(CAP_FSETID))
        mode &= ~(u32)S_ISGID;
    return mode & ~(fs ? fs->umask : 0);
}

int name_create_in(struct dentry *dir, const char *name, size_t bytes, u32 mode, u64 rdev, struct dentry **out) {
    struct inode *parent = dir->inode;
    struct dentry *d;
    int error = makes_names(parent) ? may_create(parent) : -ENOENT;

    if (error)
        return error;
    if (!parent->ops->create)
        return -EACCES;
    d = dentry_make(dir, name, bytes);
    if (!d)
        return -ENOMEM;
    struct inode *inode = parent->ops->create(parent, name, bytes, name_made_mode(parent, mode), rdev);
    if (is_err(inode)) {
        dentry_put(d);
        return (int)ptr_err(inode);
    }
    dentry_insert(d, inode, pin_flag(inode));
    *out = d;
    return 0;
}

/* Walk to the parent of a name that is to be made, and lock it. *error also says that the name cannot be made. */
static int begin_making(struct walk *w, int at, const char *name, bool directory) {
    struct dentry *there;
    int error = walk_begin(w, at, name, 0);

    if (!error)
        error = walk_parent(w);
    if (error)
        return error;
    if (w->last != LAST_NAME)
        return -EEXIST;
    error = walk_child(w, &there);
    if (!error) {
        dentry_put(there);
        return -EEXIST;
    }
    if (error == -ENOENT)
        error = (w->slash && !directory) || !makes_names(path_inode(&w->path)) ? -ENOENT : 0;
    return error;
}

/* With the directory's lock: is the name still free? */
static int still_free(struct walk *w) {
    struct dentry *there;
    int error = dentry_lookup(w->path.dentry, w->name, w->bytes, &there);

    if (!error) {
        dentry_put(there);
        return -EEXIST;
    }
    return error == -ENOENT ? 0 : error;
}

int name_make_path(int at, const char *name, u32 mode, u64 rdev, struct path *out) {
    struct walk w;
    struct dentry *made = NULL;
    int error = begin_making(&w, at, name, (mode & S_IFMT) == S_IFDIR);

    if (!error) {
        struct inode *dir = path_inode(&w.path);
        mutex_lock(&dir->lock);
        error = still_free(&w);
        if (!error)
            error = name_create_in(w.path.dentry, w.name, w.bytes, mode, rdev, &made);
        mutex_unlock(&dir->lock);
        if (made)
            notify_name(dir, w.name, w.bytes, made->inode, IN_CREATE);
    }
    if (made) {
        *out = (struct path){w.path.mount, made};
        path_get(out);
        dentry_put(made);
    }
    walk_end(&w);
    return error;
}

int name_make(int at, const char *name, u32 mode, u64 rdev) {
    struct path made;
    int error = name_make_path(at, name, mode, rdev, &made);

    if (!error)
        path_put(&made);
    return error;
}

int name_symlink(const char *target, int at, const char *name) {
    struct walk w;
    struct dentry *d = NULL;
    int error = begin_making(&w, at, name, false);

    if (!error) {
        struct dentry *parent = w.path.dentry;
        struct inode *dir = parent->inode, *made = NULL;
        d = dentry_make(parent, w.name, w.bytes);
        mutex_lock(&dir->lock);
        error = d ? still_free(&w) : -ENOMEM;
        if (!error)
            error = may_create(dir);
        if (!error)
            made = dir->ops->symlink ? dir->ops->symlink(dir, w.name, w.bytes, target) : err_ptr(-EPERM);
        if (!error && is_err(made))
            error = (int)ptr_err(made);
        if (!error)
            dentry_insert(d, made, pin_flag(made));
        mutex_unlock(&dir->lock);
        if (!error)
            notify_name(dir, w.name, w.bytes, made, IN_CREATE);
    }
    if (d)
        dentry_put(d);
    walk_end(&w);
    return error;
}

u64 protected_hardlinks = 1; /* as Debian sets it */

/* A second name for somebody else's file is only for who could read and write it, and the file must give no rights to
 * who runs it: else the name would keep what its owner removes. */
static bool may_share(struct inode *inode) {
    u32 type = inode->mode & S_IFMT, gives = inode->mode & (S_ISUID | S_ISGID | S_IXGRP);

    if (!atomic_load_relaxed(&protected_hardlinks) || inode_owned(inode))
        return true;
    return type == S_IFREG && !(gives & S_ISUID) && (gives & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP) &&
           !inode_permission(inode, MAY_READ | MAY_WRITE);
}

static int may_link(const struct path *old, const struct walk *w) {
    struct inode *inode = path_inode(old);

    if (old->mount != w->path.mount)
        return -EXDEV;
    if ((inode->mode & S_IFMT) == S_IFDIR || !path_inode(&w->path)->ops->link || !may_share(inode))
        return -EPERM;
    return 0;
}

int name_link(const struct path *old, int at, const char *name) {
    struct walk w;
    struct inode *inode = path_inode(old);
    struct dentry *d = NULL;
    int error = begin_making(&w, at, name, false);

    if (!error) {
        struct inode *dir = path_inode(&w.path);
        d = dentry_make(w.path.dentry, w.name, w.bytes);
        mutex_lock(&dir->lock);
        error = d ? still_free(&w) : -ENOMEM;
        if (!error)
            error = may_create(dir);
        if (!error)
            error = may_link(old, &w);
        if (!error)
            error = dir->ops->link(dir, w.name, w.bytes, inode);
        if (!error) {
            inode_get(inode);
            dentry_insert(d, inode, pin_flag(inode));
        }
        mutex_unlock(&dir->lock);
        if (!error) {
            notify_inode(inode, IN_ATTRIB); /* its count of links */
            notify_name(dir, w.name, w.bytes, inode, IN_CREATE);
        }
    }
    if (d)
        dentry_put(d);
    walk_end(&w);
    return error;
}

/* Removing. */

static int removable_last(const struct walk *w, bool directory) {
    if (w->last == LAST_NAME)
        return 0;
    if (!directory)
        return -EISDIR;
    return w->last == LAST_DOT ? -EINVAL : w->last == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
}

/* Both locked: ask the file system to remove victim, which dir calls w->name. */
static int remove_locked(struct walk *w, struct dentry *victim, bool directory) {
    struct inode *dir = path_inode(&w->path), *inode = victim->inode;
    int error = may_remove(dir, victim, directory);

    if (error)
        return error;
    if (w->slash && !directory)
        return -ENOTDIR;
    if (!dir->ops->unlink)
        return -EPERM;
    if (!directory)
        return dir->ops->unlink(dir, w->name, w->bytes, inode, false);
    mutex_lock(&inode->lock);
    error = dentry_kept_any(victim) ? -ENOTEMPTY : dir->ops->unlink(dir, w->name, w->bytes, inode, true);
    if (!error)
        atomic_or(&inode->flags, INODE_DEAD);
    mutex_unlock(&inode->lock);
    return error;
}

/* The name is gone from the cache: tells, and drops the last that was known of it. The file itself may end here, and
 * its watches hear of that before the directory's, as on Linux. */
static void tell_removed(struct walk *w, struct dentry *victim) {
    struct inode *inode = victim->inode;
    inode_get(inode);
    if ((inode->mode & S_IFMT) != S_IFDIR)
        notify_inode(inode, IN_ATTRIB);
    dentry_put(victim);
    notify_name(path_inode(&w->path), w->name, w->bytes, inode, IN_DELETE);
    inode_put(inode);
}

int name_remove(int at, const char *name, bool directory) {
    struct walk w;
    struct dentry *victim = NULL, *whiteout = NULL;
    int error = walk_begin(&w, at, name, 0);

    if (!error)
        error = walk_parent(&w);
    if (!error)
        error = removable_last(&w, directory);
    if (!error)
        error = walk_child(&w, &victim);
    if (error)
        goto out;
    dentry_put(victim);
    victim = NULL;
    if (layered(w.path.dentry)) {
        whiteout = dentry_make(w.path.dentry, w.name, w.bytes);
        error = whiteout ? 0 : -ENOMEM;
    }
    if (error)
        goto out;
    struct inode *dir = path_inode(&w.path);
    mutex_lock(&dir->lock);
    error = dentry_lookup(w.path.dentry, w.name, w.bytes, &victim);
    if (!error)
        error = remove_locked(&w, victim, directory);
    if (!error) {
        dentry_remove(victim, whiteout);
        whiteout = NULL;
    }
    mutex_unlock(&dir->lock);
    if (!error) {
        tell_removed(&w, victim);
        victim = NULL;
    }
out:
    if (victim)
        dentry_put(victim);
    if (whiteout)
        dentry_put(whiteout);
    walk_end(&w);
    return error;
}

/* Moving. */

struct move {
    struct walk from, to;
    struct dentry *old, *target;    /* target NULL: the new name is free */
    struct dentry *slot, *whiteout; /* prepared */
    u32 flags;
    bool directory; /* old is one */
};

static void lock_directories(struct move *m) {
    struct dentry *a = m->from.path.dentry, *b = m->to.path.dentry;

    if (a->inode == b->inode) {
        mutex_lock(&a->inode->lock);
        return;
    }
    mutex_lock(&rename_lock);
    if (dentry_below(a, b)) { /* b is the ancestor */
        struct dentry *t = a;
        a = b;
        b = t;
    }
    mutex_lock(&a->inode->lock);
    mutex_lock(&b->inode->lock);
}

static void unlock_directories(struct move *m) {
    struct inode *a = path_inode(&m->from.path), *b = path_inode(&m->to.path);

    mutex_unlock(&a->lock);
    if (a != b) {
        mutex_unlock(&b->lock);
        mutex_unlock(&rename_lock);
    }
}

static int find_both(struct move *m) {
    int error = dentry_lookup(m->from.path.dentry, m->from.name, m->from.bytes, &m->old);

    if (error)
        return error;
    m->directory = (m->old->inode->mode & S_IFMT) == S_IFDIR;
    error = dentry_lookup(m->to.path.dentry, m->to.name, m->to.bytes, &m->target);
    if (error == -ENOENT)
        error = m->flags & RENAME_EXCHANGE || !makes_names(path_inode(&m->to.path)) ? -ENOENT : 0;
    else if (!error && (m->flags & RENAME_NOREPLACE))
        error = -EEXIST;
    return error;
}

/* The tree stays a tree, and a trailing slash wants a directory. */
static int check_shape(const struct move *m) {
    bool exchange = m->flags & RENAME_EXCHANGE;
    bool target_directory = m->target && (m->target->inode->mode & S_IFMT) == S_IFDIR;

    if (m->directory && dentry_below(m->to.path.dentry, m->old))
        return -EINVAL;
    if (target_directory && dentry_below(m->from.path.dentry, m->target))
        return exchange ? -EINVAL : -ENOTEMPTY;
    if (!m->directory && (m->from.slash || (!exchange && m->to.slash)))
        return -ENOTDIR;
    if (exchange && !target_directory && m->to.slash)
        return -ENOTDIR;
    return 0;
}

static int check_rights(const struct move *m) {
    struct inode *from = path_inode(&m->from.path), *to = path_inode(&m->to.path);
    bool exchange = m->flags & RENAME_EXCHANGE;
    int error = may_remove(from, m->old, m->directory);

    if (!error && !m->target)
        error = may_create(to);
    else if (!error)
        error = may_remove(to, m->target, exchange ? (m->target->inode->mode & S_IFMT) == S_IFDIR : m->directory);
    /* A directory that changes its parent has its ".." written. */
    if (!error && m->directory && from != to)
        error = inode_permission(m->old->inode, MAY_WRITE);
    if (!error && exchange && (m->target->inode->mode & S_IFMT) == S_IFDIR && from != to)
        error = inode_permission(m->target->inode, MAY_WRITE);
    if (!error && !from->ops->rename)
        error = -EPERM;
    return error;
}

static int prepare(struct move *m) {
    m->slot = dentry_make(m->to.path.dentry, m->to.name, m->to.bytes);
    if (layered(m->from.path.dentry))
        m->whiteout = dentry_make(m->from.path.dentry, m->from.name, m->from.bytes);
    return m->slot && (m->whiteout || !layered(m->from.path.dentry)) ? 0 : -ENOMEM;
}

/* The file system has done it: now the cache. */
static void commit(struct move *m) {
    if (m->flags & RENAME_EXCHANGE) {
        dentry_exchange(m->old, m->target);
        return;
    }
    if (m->target) {
        atomic_or(&m->slot->flags, m->target->flags & DENTRY_BELOW);
        dentry_remove(m->target, NULL);
        if (m->directory)
            atomic_or(&m->target->inode->flags, INODE_DEAD);
    }
    dentry_move(m->old, m->slot, m->whiteout);
    m->slot = m->whiteout = NULL;
}

static int move_locked(struct move *m) {
    int error = find_both(m);

    if (!error)
        error = check_shape(m);
    if (error || (m->target && m->target->inode == m->old->inode))
        return error; /* two names of one file: nothing happens, whoever asks */
    error = check_rights(m);
    if (error)
        return error;

    struct rename_names r = {
        .from = path_inode(&m->from.path),
        .to = path_inode(&m->to.path),
        .moved = m->old->inode,
        .replaced = m->target ? m->target->inode : NULL,
        .name = m->from.name,
        .bytes = m->from.bytes,
        .new_name = m->to.name,
        .new_bytes = m->to.bytes,
        .exchange = m->flags & RENAME_EXCHANGE,
    };
    bool over_directory = m->target && m->directory && !r.exchange;
    if (over_directory)
        mutex_lock(&r.replaced->lock);
    error = over_directory && dentry_kept_any(m->target) ? -ENOTEMPTY : r.from->ops->rename(&r);
    if (!error)
        commit(m);
    if (over_directory)
        mutex_unlock(&r.replaced->lock);
    return error;
}

static void tell_move(struct walk *from, struct walk *to, struct inode *moved) {
    u32 cookie = notify_cookie();
    notify_name_told(path_inode(&from->path), from->name, from->bytes, moved, IN_MOVED_FROM, cookie);
    notify_name_told(path_inode(&to->path), to->name, to->bytes, moved, IN_MOVED_TO, cookie);
}

static void tell_moved(struct move *m) {
    bool exchange = m->flags & RENAME_EXCHANGE;
    if (m->target && m->target->inode == m->old->inode)
        return;
    tell_move(&m->from, &m->to, m->old->inode);
    if (m->target && !exchange && !m->directory)
        notify_inode(m->target->inode, IN_ATTRIB);
    notify_inode(m->old->inode, IN_MOVE_SELF);
    if (exchange) {
        tell_move(&m->to, &m->from, m->target->inode);
        notify_inode(m->target->inode, IN_MOVE_SELF);
    }
}

static int begin_move(struct move *m, int at, const char *name, int new_at, const char *new_name) {
    int error = walk_begin(&m->from, at, name, 0);

    if (!error)
        error = walk_parent(&m->from);
    if (!error)
        error = walk_begin(&m->to, new_at, new_name, 0);
    if (!error)
        error = walk_parent(&m->to);
    if (!error && m->from.path.mount != m->to.path.mount)
        error = -EXDEV;
    if (!error && (m->from.last != LAST_NAME || m->to.last != LAST_NAME))
        error = m->flags & RENAME_NOREPLACE && m->from.last == LAST_NAME ? -EEXIST : -EBUSY;
    if (!error && (m->from.bytes > NAME_MAX || m->to.bytes > NAME_MAX))
        error = -ENAMETOOLONG;
    return error;
}

int name_rename(int at, const char *name, int new_at, const char *new_name, u32 flags) {
    struct move m = {.flags = flags};
    int error = begin_move(&m, at, name, new_at, new_name);

    if (!error)
        error = prepare(&m);
    if (!error) {
        lock_directories(&m);
        error = move_locked(&m);
        unlock_directories(&m);
        if (!error && notify_wanted())
            tell_moved(&m);
    }
    struct dentry *all[] = {m.old, m.target, m.slot, m.whiteout};
    for (unsigned i = 0; i < array_count(all); i++)
        if (all[i])
            dentry_put(all[i]);
    walk_end(&m.from);
    walk_end(&m.to);
    return error;
}

int name_make_dirs(const char *path) {
    char *part = kstrdup(path);
    int error = part ? 0 : -ENOMEM;

    for (char *p = part ? part + 1 : NULL; !error && p && *p; p++) {
        if (p[0] != '/' && p[1] != 0)
            continue;
        char after = p[1];
        p[after ? 0 : 1] = 0;
        error = name_make(AT_FDCWD, part, S_IFDIR | 0755, 0);
        if (error == -EEXIST)
            error = 0;
        if (after)
            *p = '/';
    }
    kfree(part);
    return error;
}
