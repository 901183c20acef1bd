/* open.c - open(2): from a name to an open file, making the file where asked.
 *
 * An existing file is found without its directory's lock; only a file that must be made takes it, and looks again. */
#include "fs/blockdev.h"
#include "fs/open.h"

#include <linux/limits.h>

#include "fs/file_alloc.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/names.h"
#include "vm/slab.h"

/* O_PATH: a place, nothing else. */
static const struct file_ops place_ops = {0};

static int access_wanted(int flags) {
    static const int by_mode[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
    return by_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int may_open(struct inode *inode, int flags, bool made) {
    u32 type = inode->mode & S_IFMT;
    int wanted = access_wanted(flags);

    if ((flags & O_DIRECTORY) && type != S_IFDIR)
        return -ENOTDIR;
    if (flags & O_PATH)
        return 0;
    if (type == S_IFLNK)
        return -ELOOP;
    if (type == S_IFDIR && ((wanted & MAY_WRITE) || (flags & O_CREAT)))
        return -EISDIR;
    if (!made) {
        int error = inode_permission(inode, wanted);
        if (error)
            return error;
    }
    if ((flags & O_NOATIME) && !inode_owned(inode))
        return -EPERM;
    return type == S_IFSOCK ? -ENXIO : 0;
}

/* The file's own part of opening. */
static int open_kind(struct inode *inode, struct file *f) {
    switch (inode->mode & S_IFMT) {
    case S_IFIFO:
        if (inode->file_ops && inode->file_ops->open)
            return inode->file_ops->open(inode, f);
        return fifo_open(inode, f);
    case S_IFCHR:
        if (inode->file_ops && inode->file_ops->open)
            return inode->file_ops->open(inode, f);
        return chardev_open(inode, f);
    case S_IFBLK:
        return blockdev_open(inode, f);
    default:
        return inode->file_ops && inode->file_ops->open ? inode->file_ops->open(inode, f) : 0;
    }
}

/* O_TRUNC cuts also a file that is opened for reading alone: not one that runs. */
static int open_truncating(struct inode *inode) {
    int error = inode_begin_write(inode);
    if (!error) {
        error = inode_resize(inode, 0);
        inode_end_write(inode);
    }
    return error;
}

/* Opens what p names as f, which is blank (file_alloc.h) and ours from now on. made: whoever asks may in any case. */
static struct file *open_inode(struct file *f, const struct path *p, int flags, bool made) {
    struct inode *inode = path_inode(p);
    bool regular = (inode->mode & S_IFMT) == S_IFREG;
    int error = may_open(inode, flags, made);

    if (error) {
        file_blank_free(f);
        return err_ptr(error);
    }
    file_fill(f, inode, p, flags);
    if (flags & O_PATH) {
        f->ops = &place_ops;
        f->flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
        return f;
    }
    f->flags |= O_LARGEFILE; /* as every 64-bit open on Linux */
    if (regular && (f->mode & FILE_WRITE)) {
        error = inode_begin_write(inode);
        f->counted_writer = !error;
    }
    if (!error)
        error = open_kind(inode, f);
    if (!error && !f->ops)
        error = -ENXIO;
    if (!error && (flags & O_DIRECT) && !file_can_direct(f)) {
        if (f->ops->release)
            f->ops->release(f);
        error = -EINVAL;
    }
    /* A standard stream on a file of the host's cannot be cut from here: its /dev/stdout is opened as it is. */
    if (!error && (flags & O_TRUNC) && regular && !made && inode->ops->resize) {
        error = open_truncating(inode);
        if (!error)
            notify_file(f, IN_MODIFY);
        if (error && f->ops->release)
            f->ops->release(f);
    }
    if (error) {
        if (f->counted_writer)
            inode_end_write(inode);
        file_discard(f);
        return err_ptr(error);
    }
    f->flags &= ~O_NOCTTY; /* it was about the opening */
    return f;
}

struct file *file_open_path(const struct path *p, int flags) {
    struct file *f = file_blank();
    return f ? open_inode(f, p, flags & ~O_CREAT, false) : err_ptr(-ENOMEM);
}

struct file *file_open_allowed(const struct path *p, int flags) {
    struct file *f = file_blank();
    return f ? open_inode(f, p, flags & ~(O_CREAT | O_TRUNC), true) : err_ptr(-ENOMEM);
}

/* The last component does not exist, or did not a moment ago: make it. *out counted. */
static int make_last(struct walk *w, u32 mode, struct dentry **out, bool *made) {
    struct inode *dir = path_inode(&w->path);
    int error;

    mutex_lock(&dir->lock);
    error = dentry_lookup(w->path.dentry, w->name, w->bytes, out);
    if (error == -ENOENT) {
        error = name_create_in(w->path.dentry, w->name, w->bytes, S_IFREG | (mode & 07777), 0, out);
        *made = !error;
    }
    mutex_unlock(&dir->lock);
    if (*made)
        notify_name(dir, w->name, w->bytes, (*out)->inode, IN_CREATE);
    return error;
}

/* O_CREAT: walk to the file, making it. w->path is then the file itself. */
static int walk_making(struct walk *w, int flags, u32 mode, bool *made) {
    for (;;) {
        struct dentry *child;
        int error = walk_parent(w);
        if (error)
            return error;
        if (w->last != LAST_NAME) {
            /* A magic link's target, or a directory; only open_inode can tell. */
            return w->last == LAST_ROOT ? 0 : -EISDIR;
        }
        error = walk_child(w, &child);
        if (w->slash && (!error || error == -ENOENT)) {
            if (!error)
                dentry_put(child);
            return -EISDIR;
        }
        if (error == -ENOENT)
            error = make_last(w, mode, &child, made);
        if (error)
            return error;
        if ((flags & O_EXCL) && !*made) {
            dentry_put(child);
            return -EEXIST;
        }
        if ((child->inode->mode & S_IFMT) != S_IFLNK) {
            dentry_put(w->path.dentry);
            w->path.dentry = child;
            mount_cross(&w->path);
            return 0;
        }
        if (flags & O_NOFOLLOW) {
            dentry_put(child);
            return -ELOOP;
        }
        error = walk_follow(w, child);
        if (error)
            return error;
    }
}

/* O_TMPFILE: an inode without a name in this directory, and a path to it. */
static int make_nameless(const struct path *dir, int flags, u32 mode, struct path *out) {
    struct inode *parent = path_inode(dir), *inode;
    char name[24];
    int error = inode_permission(parent, MAY_WRITE | MAY_EXEC);

    if (error)
        return error;
    if (!parent->ops->tmpfile)
        return -EOPNOTSUPP;
    inode = parent->ops->tmpfile(parent, name_made_mode(parent, S_IFREG | (mode & 07777)));
    if (is_err(inode))
        return ptr_err(inode);
    if (!(flags & O_EXCL))
        atomic_or(&inode->flags, INODE_TMPFILE);
    int length = ksnprintf(name, sizeof(name), "#%lu", (unsigned long)inode->ino);
    *out = (struct path){dir->mount, dentry_make(dir->dentry, name, (size_t)length)};
    if (!out->dentry) {
        inode_put(inode);
        return -ENOMEM;
    }
    out->dentry->inode = inode;
    out->dentry->flags |= DENTRY_REMOVED;
    return 0;
}

/* f is blank, and taken over: it is there before anything is made, so that a file is not made in vain. */
static struct file *open_once(struct file *f, int at, const char *name, int flags, u32 mode, u32 lookup) {
    bool nameless = (flags & O_TMPFILE) == O_TMPFILE, made = nameless;
    struct path of_nameless;
    struct walk w;
    int error = walk_begin(&w, at, name, lookup | (nameless ? LOOKUP_DIRECTORY : 0));

    if (!error && (flags & O_CREAT) && !nameless)
        error = walk_making(&w, flags, mode, &made);
    else if (!error)
        error = walk_all(&w);
    if (!error && nameless)
        error = make_nameless(&w.path, flags, mode, &of_nameless);
    if (error) {
        file_blank_free(f);
        f = err_ptr(error);
    } else if (nameless) {
        f = open_inode(f, &of_nameless, flags & ~(O_TMPFILE | O_CREAT | O_TRUNC), true);
        path_put(&of_nameless);
        if (!is_err(f))
            f->flags |= O_TMPFILE; /* fcntl tells */
    } else {
        f = open_inode(f, &w.path, flags, made);
    }
    if (is_err(f) && ptr_err(f) == -ESTALE)
        dentry_forget(w.path.dentry);
    walk_end(&w);
    return f;
}

struct file *file_open_how(int at, const char *name, int flags, u32 mode, u32 lookup) {
    struct file *f = file_blank();

    if (!f)
        return err_ptr(-ENOMEM);
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (!(flags & O_NOFOLLOW))
        lookup |= LOOKUP_FOLLOW;
    f = open_once(f, at, name, flags, mode, lookup);
    /* What the cache knew by this name is no more what the lower has: it has been forgotten, so this asks again. */
    if (is_err(f) && ptr_err(f) == -ESTALE && (f = file_blank()))
        f = open_once(f, at, name, flags, mode, lookup);
    if (!f)
        return err_ptr(-ENOMEM);
    if (!is_err(f) && !(flags & O_PATH))
        notify_file(f, IN_OPEN);
    return f;
}

struct file *file_open(int at, const char *name, int flags, u32 mode) {
    return file_open_how(at, name, flags, mode, 0);
}
