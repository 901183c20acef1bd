/* path.c - from a name to a place in the tree, component by component.
 *
 * A walk holds a reference on where it is and steps to a child by finding it in the name cache; only a miss takes the
 * directory's lock and asks the file system. A symbolic link replaces what is left of the name by its target and the
 * rest, in a buffer of the walk, so nothing recurses; 40 links end it. Permission to search is asked of each directory
 * stepped from.
 *
 * Does not create, remove or open (names.c, open.c). */
#include "fs/path.h"

#include <linux/limits.h>

#include "arch/x86_64/usercopy.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "task/task.h"
#include "vm/slab.h"

#define LINKS_MOST 40 /* MAXSYMLINKS, path_resolution(7) */

void path_get(const struct path *p) { dentry_get(p->dentry); }

void path_put(struct path *p) {
    if (p->dentry)
        dentry_put(p->dentry);
    *p = (struct path){NULL, NULL};
}

struct inode *path_inode(const struct path *p) {
    return p->dentry->inode;
}

/* The caller's root and working directory. */

struct fs_root *fs_current(void) {
    struct task *t = task_current();
    return t ? t->fs : NULL;
}

static void get_place(const struct path *place, struct spin *lock, struct path *out) {
    if (lock)
        spin_lock(lock);
    *out = *place;
    path_get(out);
    if (lock)
        spin_unlock(lock);
}

void fs_get_root(struct path *out) {
    struct fs_root *fs = fs_current();
    struct path top = {mount_root(), mount_root()->root};

    get_place(fs ? &fs->root : &top, fs ? &fs->lock : NULL, out);
}

void fs_get_cwd(struct path *out) {
    struct fs_root *fs = fs_current();
    struct path top = {mount_root(), mount_root()->root};

    get_place(fs ? &fs->cwd : &top, fs ? &fs->lock : NULL, out);
}

int path_from_fd(int fd, struct path *out) {
    struct file *f = fd_get(fd);

    if (!f)
        return -EBADF;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

char *name_from_user(const char __user *name) {
    /* Most names are short: PATH_MAX is a page, which not every call should take. */
    for (size_t size = 256;; size = PATH_MAX) {
        char *text = kmalloc(size);
        if (!text)
            return err_ptr(-ENOMEM);
        ssize_t bytes = strncpy_from_user(text, name, size);
        if (bytes >= 0 && bytes < size)
            return text;
        kfree(text);
        if (bytes < 0)
            return err_ptr(bytes);
        if (size == PATH_MAX)
            return err_ptr(-ENAMETOOLONG);
    }
}

/* The walk. */

static int start_at(struct walk *w, int at) {
    int error = 0;

    if (at == AT_FDCWD)
        fs_get_cwd(&w->path);
    else
        error = path_from_fd(at, &w->path);
    if (!error && *w->rest && (path_inode(&w->path)->mode & S_IFMT) != S_IFDIR)
        error = -ENOTDIR;
    return error;
}

int walk_begin(struct walk *w, int at, const char *name, u32 flags) {
    int error = 0;

    *w = (struct walk){.rest = name, .flags = flags};
    if (!*name && !(flags & LOOKUP_EMPTY))
        return -ENOENT;
    if (flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) {
        if (*name == '/' && (flags & LOOKUP_BENEATH))
            return -EXDEV;
        error = start_at(w, at);
        if (error)
            return error;
        w->root = w->path;
        path_get(&w->root);
        return 0;
    }
    fs_get_root(&w->root);
    if (*name == '/') {
        w->path = w->root;
        path_get(&w->path);
    } else {
        error = start_at(w, at);
    }
    return error;
}

void walk_end(struct walk *w) {
    path_put(&w->path);
    path_put(&w->root);
    kfree(w->buffer);
    w->buffer = NULL;
}

/* Take over the reference to d, which is in the same mount. */
static void step_to(struct walk *w, struct dentry *d) {
    dentry_put(w->path.dentry);
    w->path.dentry = d;
}

static int may_search(struct walk *w, struct inode *dir) {
    if (unlikely(w->flags & LOOKUP_REAL_IDS))
        return inode_permission_real(dir, MAY_EXEC);
    return inode_permission(dir, MAY_EXEC);
}

/* "..": never above the root; out of a mount into what it covers. */
static int step_up(struct walk *w) {
    struct mount *from = w->path.mount;

    for (;;) {
        struct path *p = &w->path;
        if (p->dentry == w->root.dentry && p->mount == w->root.mount)
            return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;
        if (p->dentry != p->mount->root) {
            step_to(w, dentry_parent(p->dentry));
            break;
        }
        if (!p->mount->parent)
            break;
        dentry_get(p->mount->point);
        step_to(w, p->mount->point);
        p->mount = p->mount->parent;
    }
    mount_cross(&w->path);
    return (w->flags & LOOKUP_NO_XDEV) && w->path.mount != from ? -EXDEV : 0;
}

static int find_child(struct dentry *dir, const char *name, size_t bytes, struct dentry **out) {
    int error;

    if (!dir->inode->super->uncached) {
        enum dentry_found found = dentry_find(dir, name, bytes, out);
        if (likely(found != FOUND_NOTHING))
            return found == FOUND ? 0 : -ENOENT;
    }
    mutex_lock(&dir->inode->lock);
    error = dentry_lookup(dir, name, bytes, out);
    mutex_unlock(&dir->inode->lock);
    return error;
}

int walk_child(struct walk *w, struct dentry **out) {
    struct inode *dir = path_inode(&w->path);
    int error = 0;

    if ((dir->mode & S_IFMT) != S_IFDIR)
        error = -ENOTDIR;
    if (!error)
        error = may_search(w, dir);
    if (!error && w->bytes > NAME_MAX)
        error = -ENAMETOOLONG;
    if (!error)
        error = find_child(w->path.dentry, w->name, w->bytes, out);
    return error;
}

/* A link that leads to a place without a name of it: /proc/PID/fd/3. */
static int follow_magic(struct walk *w, struct inode *link) {
    struct path target;
    int error = w->flags & LOOKUP_NO_MAGIC ? -ELOOP : link->ops->follow(link, &target);

    if (!error && ((w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) ||
                   ((w->flags & LOOKUP_NO_XDEV) && target.mount != w->path.mount))) {
        path_put(&target);
        error = -EXDEV;
    }
    if (!error) {
        path_put(&w->path);
        w->path = target;
    }
    return error;
}

/* The rest of the name becomes the link's target and the old rest. */
static int splice_target(struct walk *w, struct inode *link) {
    size_t rest = strlen(w->rest);
    char *buffer = kmalloc(PATH_MAX);
    ssize_t bytes = -ENOMEM;

    if (buffer)
        bytes = link->ops->readlink(link, buffer, PATH_MAX - 1);
    if (bytes >= 0 && bytes + rest + 1 > PATH_MAX) { /* each alone is no longer than that; together they may be */
        char *longer = kmalloc((size_t)bytes + rest + 1);
        if (longer)
            memcpy(longer, buffer, (size_t)bytes);
        else
            bytes = -ENOMEM;
        kfree(buffer);
        buffer = longer;
    }
    if (bytes == 0)
        bytes = -ENOENT;
    if (bytes < 0) {
        kfree(buffer);
        return (int)bytes;
    }
    memcpy(buffer + bytes, w->rest, rest + 1);
    kfree(w->buffer);
    w->buffer = buffer;
    w->rest = buffer;
    return 0;
}

u64 protected_symlinks = 1; /* as Debian sets it */

/* In a directory where anybody makes names, a link leads only who made it, and who trusts the directory's owner. */
static bool may_follow(const struct walk *w, const struct inode *link) {
    const u32 anybodys = S_ISVTX | S_IWOTH;
    const struct inode *dir = path_inode(&w->path);

    return (dir->mode & anybodys) != anybodys || dir->uid == link->uid || cred_current()->fsuid == link->uid ||
           !atomic_load_relaxed(&protected_symlinks);
}

/* final: it is what the whole name ends in; others are followed as they are, as on Linux. */
static int follow_link(struct walk *w, struct inode *link, bool final) {
    int error;

    if (++w->links > LINKS_MOST || (w->flags & LOOKUP_NO_SYMLINKS))
        return -ELOOP;
    if (final && !may_follow(w, link))
        return -EACCES;
    inode_accessed(link);
    if (link->ops->follow)
        return follow_magic(w, link);
    if (!link->ops->readlink)
        return -EINVAL;
    error = splice_target(w, link);
    if (!error && *w->rest == '/') {
        if ((w->flags & LOOKUP_BENEATH) || ((w->flags & LOOKUP_NO_XDEV) && w->path.mount != w->root.mount))
            return -EXDEV;
        path_put(&w->path);
        w->path = w->root;
        path_get(&w->path);
    }
    return error;
}

int walk_follow(struct walk *w, struct dentry *link) {
    int error;

    /* walk_parent had taken the name; what follows it is at most slashes. */
    w->rest = w->name + w->bytes;
    error = follow_link(w, link->inode, true);
    dentry_put(link);
    return error;
}

/* Cut the next component off w->rest: name, bytes, slash and kind. false: nothing is left. */
static bool next_component(struct walk *w) {
    const char *p = w->rest;

    while (*p == '/')
        p++;
    w->name = p;
    while (*p && *p != '/')
        p++;
    w->bytes = (size_t)(p - w->name);
    w->slash = *p == '/';
    while (*p == '/')
        p++;
    w->rest = p;
    w->last = LAST_NAME;
    if (w->bytes && w->name[0] == '.')
        w->last = w->bytes == 1 ? LAST_DOT : w->bytes == 2 && w->name[1] == '.' ? LAST_DOTDOT : LAST_NAME;
    return w->bytes != 0;
}

/* Step to the component that next_component cut. */
static int step(struct walk *w) {
    bool final = !*w->rest;
    struct dentry *child;
    int error;

    if (w->last != LAST_NAME) {
        struct inode *dir = path_inode(&w->path);
        error = (dir->mode & S_IFMT) != S_IFDIR ? -ENOTDIR : may_search(w, dir);
        return error ? error : w->last == LAST_DOTDOT ? step_up(w) : 0;
    }
    error = walk_child(w, &child);
    if (error)
        return error;
    u32 type = child->inode->mode & S_IFMT;
    if (type == S_IFLNK && (!final || w->slash || (w->flags & LOOKUP_FOLLOW))) {
        /* What follows a link's name, its slashes included, follows its target. */
        if (w->slash)
            w->rest = w->name + w->bytes;
        error = follow_link(w, child->inode, final);
        dentry_put(child);
        return error;
    }
    struct mount *from = w->path.mount;
    step_to(w, child);
    mount_cross(&w->path);
    if ((w->flags & LOOKUP_NO_XDEV) && w->path.mount != from)
        return -EXDEV;
    if ((!final || w->slash) && type != S_IFDIR && (path_inode(&w->path)->mode & S_IFMT) != S_IFDIR)
        return -ENOTDIR;
    return 0;
}

int walk_all(struct walk *w) {
    int error = 0;

    while (!error && next_component(w))
        error = step(w);
    if (!error && (w->flags & LOOKUP_DIRECTORY) && (path_inode(&w->path)->mode & S_IFMT) != S_IFDIR)
        error = -ENOTDIR;
    return error;
}

int walk_parent(struct walk *w) {
    int error = 0;

    for (;;) {
        if (!next_component(w)) {
            w->last = LAST_ROOT;
            break;
        }
        if (!*w->rest)
            break;
        error = step(w);
        if (error)
            break;
    }
    return error;
}

int path_lookup(int at, const char *name, u32 flags, struct path *out) {
    struct walk w;
    int error = walk_begin(&w, at, name, flags);

    if (!error)
        error = walk_all(&w);
    if (!error) {
        *out = w.path;
        w.path = (struct path){NULL, NULL};
    }
    walk_end(&w);
    return error;
}

int path_lookup_user(int at, const char __user *name, u32 flags, struct path *out) {
    char *text = name_from_user(name);
    int error;

    if (is_err(text))
        return (int)ptr_err(text);
    error = path_lookup(at, text, flags, out);
    kfree(text);
    return error;
}

/* The way back: from a place to a name. */

struct writer {
    char *start, *at; /* written from the end */
    bool full;
};

static void prepend(struct writer *w, const char *text, size_t bytes) {
    w->full |= bytes > (size_t)(w->at - w->start);
    if (!w->full) {
        w->at -= bytes;
        memcpy(w->at, text, bytes);
    }
}

/* Write the components from p up to root. true if root was met, false at the top of everything. Shape lock held. */
static bool prepend_path(struct writer *w, const struct path *p, const struct path *root) {
    const struct mount *m = p->mount;
    const struct dentry *d = p->dentry;

    while (!w->full && !(d == root->dentry && m == root->mount)) {
        if (m && d == m->root) {
            if (!m->parent)
                return false;
            d = m->point;
            m = m->parent;
        } else if (d->parent == d) {
            return false;
        } else {
            prepend(w, d->name, d->name_bytes);
            prepend(w, "/", 1);
            d = d->parent;
        }
    }
    return true;
}

char *path_string(const struct path *p, char *buffer, size_t bytes) {
    static const char gone[] = " (deleted)", outside[] = "(unreachable)";
    struct writer w = {buffer, buffer + bytes, false};
    struct path root;

    fs_get_root(&root);
    prepend(&w, "", 1);
    dentry_shape_lock();
    if (p->dentry->flags & DENTRY_LOOSE) {
        prepend(&w, p->dentry->name, p->dentry->name_bytes);
    } else {
        if (p->dentry->flags & DENTRY_REMOVED)
            prepend(&w, gone, sizeof(gone) - 1);
        char *end = w.at;
        bool inside = prepend_path(&w, p, &root);
        if (w.at == end)
            prepend(&w, "/", 1);
        if (!inside)
            prepend(&w, outside, sizeof(outside) - 1);
    }
    dentry_shape_unlock();
    path_put(&root);
    return w.full ? err_ptr(-ENAMETOOLONG) : w.at;
}
