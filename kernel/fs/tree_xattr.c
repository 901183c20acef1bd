/* tree_xattr.c - extended attributes of the file system in memory (tree.h): what was set or removed here, over the
 * lower's.
 *
 * The lower is asked for what can mean something here: the user's own, trusted ones, and file capabilities. Access
 * control lists and security labels are the host's affair: nobody here enforces them.
 *
 * Most files have none, and programs ask for each (ls asks for two a file): the first question asks the lower for its
 * list, and a file without any is remembered as such. */
#include <linux/limits.h>
#include <linux/xattr.h>

#include "fs/inode.h"
#include "fs/tree.h"
#include "vm/slab.h"

struct xattr {
    struct xattr *next;
    bool removed; /* hides the lower's */
    size_t bytes;
    char *value; /* behind the name */
    char name[];
};

void tree_xattr_free(struct tree_inode *ti) {
    while (ti->xattrs) {
        struct xattr *x = ti->xattrs;
        ti->xattrs = x->next;
        kfree(x);
    }
}

static struct xattr **find(struct tree_inode *ti, const char *name) {
    struct xattr **p = &ti->xattrs;

    while (*p && strcmp((*p)->name, name))
        p = &(*p)->next;
    return p;
}

/* Has the lower any attribute for this file? One question, then remembered. */
static bool lower_has_some(struct tree_inode *ti) {
    struct tree *t = tree_of(&ti->inode);

    if (!ti->lower || !t->lower->ops->listxattr || (ti->flags & TREE_INODE_NO_XATTRS))
        return false;
    if (t->lower->ops->listxattr(t->lower, ti->lower, NULL, 0) > 0)
        return true;
    if (t->mode != TREE_THROUGH)
        atomic_or(&ti->flags, TREE_INODE_NO_XATTRS);
    return false;
}

/* Do attributes of this name come through from the lower? */
static bool comes_through(const char *name) {
    return !strncmp(name, XATTR_USER_PREFIX, XATTR_USER_PREFIX_LEN) ||
           !strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) || !strcmp(name, XATTR_NAME_CAPS);
}

static ssize_t get_lower(struct tree_inode *ti, const char *name, void *value, size_t bytes) {
    struct tree *t = tree_of(&ti->inode);

    if (!comes_through(name) || !lower_has_some(ti))
        return -ENODATA;
    return t->lower->ops->getxattr(t->lower, ti->lower, name, value, bytes);
}

ssize_t tree_getxattr(struct inode *i, const char *name, void *value, size_t bytes) {
    struct tree_inode *ti = tree_inode(i);
    ssize_t result;

    if (!strncmp(name, XATTR_SYSTEM_PREFIX, XATTR_SYSTEM_PREFIX_LEN))
        return -EOPNOTSUPP;
    mutex_lock(&i->lock);
    struct xattr *x = *find(ti, name);
    if (!x)
        result = get_lower(ti, name, value, bytes);
    else if (x->removed)
        result = -ENODATA;
    else if (bytes && bytes < x->bytes)
        result = -ERANGE;
    else
        result = (ssize_t)x->bytes;
    if (x && bytes && result > 0)
        memcpy(value, x->value, x->bytes);
    mutex_unlock(&i->lock);
    return result;
}

/* value NULL: remove. */
static int set_here(struct tree_inode *ti, const char *name, const void *value, size_t bytes, int flags) {
    struct xattr **p = find(ti, name), *old = *p, *new;
    bool below = get_lower(ti, name, NULL, 0) >= 0;
    bool exists = old ? !old->removed : below;
    size_t name_bytes = strlen(name) + 1;

    if (exists && (flags & XATTR_CREATE))
        return -EEXIST;
    if (!exists && (!value || (flags & XATTR_REPLACE)))
        return -ENODATA;
    new = kmalloc(sizeof(*new) + name_bytes + bytes);
    if (!new)
        return -ENOMEM;
    *new = (struct xattr){.removed = !value, .bytes = bytes, .value = new->name + name_bytes};
    memcpy(new->name, name, name_bytes);
    if (value)
        memcpy(new->value, value, bytes);
    new->next = old ? old->next : NULL;
    *p = new;
    kfree(old);
    if (!value && !below) {
        *p = new->next;
        kfree(new);
    }
    return 0;
}

int tree_setxattr(struct inode *i, const char *name, const void *value, size_t bytes, int flags) {
    struct tree_inode *ti = tree_inode(i);
    struct tree *t = tree_of(i);
    int error = 0;

    if (!strncmp(name, XATTR_SYSTEM_PREFIX, XATTR_SYSTEM_PREFIX_LEN))
        return -EOPNOTSUPP; /* access control lists */
    if (t->mode == TREE_MEMORY && !strncmp(name, XATTR_USER_PREFIX, XATTR_USER_PREFIX_LEN))
        return -EOPNOTSUPP; /* as Linux 6.1's tmpfs */
    mutex_lock(&i->lock);
    if (t->mode != TREE_THROUGH || !ti->lower)
        error = set_here(ti, name, value, bytes, flags);
    else if (t->lower->ops->setxattr)
        error = t->lower->ops->setxattr(t->lower, ti->lower, name, value, bytes, flags);
    else
        error = -EOPNOTSUPP;
    if (!error) {
        tree_changed(ti);
        inode_touch(i, false);
    }
    mutex_unlock(&i->lock);
    return error;
}

/* A list under construction. */
struct names {
    char *list;
    size_t bytes, used;
    bool full;
};

static void add_name(struct names *n, const char *name) {
    size_t bytes = strlen(name) + 1;

    if (n->bytes) {
        n->full |= n->used + bytes > n->bytes;
        if (!n->full)
            memcpy(n->list + n->used, name, bytes);
    }
    n->used += bytes;
}

static int add_lower(struct tree_inode *ti, struct names *n) {
    struct tree *t = tree_of(&ti->inode);
    char *list;
    ssize_t bytes;

    if (!lower_has_some(ti))
        return 0;
    list = kmalloc(XATTR_LIST_MAX);
    if (!list)
        return -ENOMEM;
    bytes = t->lower->ops->listxattr(t->lower, ti->lower, list, XATTR_LIST_MAX);
    for (char *p = list; bytes > 0 && p < list + bytes; p += strnlen(p, (size_t)(list + bytes - p)) + 1)
        if (comes_through(p) && !*find(ti, p))
            add_name(n, p);
    kfree(list);
    return bytes < 0 ? (int)bytes : 0;
}

ssize_t tree_listxattr(struct inode *i, char *list, size_t bytes) {
    struct tree_inode *ti = tree_inode(i);
    struct names n = {list, bytes, 0, false};
    int error;

    mutex_lock(&i->lock);
    error = add_lower(ti, &n);
    for (struct xattr *x = ti->xattrs; x; x = x->next)
        if (!x->removed)
            add_name(&n, x->name);
    mutex_unlock(&i->lock);
    return error ? error : n.full ? -ERANGE : (ssize_t)n.used;
}
