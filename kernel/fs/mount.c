/* mount.c - the list of mounts (mount.h), found by what they cover.
 *
 * A dentry with DENTRY_MOUNTED is covered in at least one mount; only then is the list searched, so a walk pays for
 * mounts only where they are. Does not make file systems: start.c does at boot, sys/mount.c on request. */
#include "fs/mount.h"

#include "fs/inotify.h"
#include "vm/slab.h"

static struct spin lock = SPIN_INIT; /* protects mounts and every link */
static struct list mounts = LIST_INIT(mounts);
static struct mount *first;
static int last_id = 20; /* as Linux's first ones look */

struct mount *mount_root(void) {
    return first;
}

struct mount *mount_over(const struct mount *m, const struct dentry *d) {
    struct mount *found = NULL, *each;

    if (likely(!(atomic_load_relaxed(&d->flags) & DENTRY_MOUNTED)))
        return NULL;
    spin_lock(&lock);
    list_for_each(each, &mounts, link) {
        if (each->point == d && each->parent == m)
            found = each;
    }
    spin_unlock(&lock);
    return found;
}

void mount_cross(struct path *p) {
    struct mount *over;

    while ((over = mount_over(p->mount, p->dentry))) {
        dentry_get(over->root);
        dentry_put(p->dentry);
        p->mount = over;
        p->dentry = over->root;
    }
}

int mount_on(const struct path *p, struct super *s, const char *source) {
    struct mount *m = kzalloc(sizeof(*m));
    int error = -ENOMEM;

    if (!m)
        goto out;
    m->source = kstrdup(source);
    m->super = s;
    m->root = s->root->alias;
    if (m->root) {
        dentry_get(m->root);
    } else {
        inode_get(s->root);
        m->root = dentry_root(s->root);
        if (!m->root)
            inode_put(s->root);
    }
    if (!m->source || !m->root)
        goto out;
    error = 0;
    if (p) {
        dentry_get(p->dentry);
        m->parent = p->mount;
        m->point = p->dentry;
    } else {
        first = m;
    }
    spin_lock(&lock);
    if (p) /* with the list, or who unmounts what else is there takes it away between */
        atomic_or(&p->dentry->flags, DENTRY_MOUNTED);
    m->id = ++last_id;
    list_add_tail(&mounts, &m->link);
    spin_unlock(&lock);
out:
    if (error && m) {
        kfree((void *)m->source);
        if (m->root)
            dentry_put(m->root);
        kfree(m);
    }
    return error;
}

int mount_remove(const struct path *p) {
    struct mount *m = p->mount, *each;
    bool shared = false;
    int error = 0;

    if (!m || p->dentry != m->root || !m->parent) /* no mount: a pipe and its like, by /proc/PID/fd */
        return -EINVAL;
    spin_lock(&lock);
    list_for_each(each, &mounts, link) {
        if (each->parent == m)
            error = error ? error : -EBUSY;
        shared |= each != m && each->point == m->point;
    }
    if (!error && list_empty(&m->link))
        error = -EINVAL;
    if (!error) {
        list_del(&m->link);
        if (!shared)
            atomic_and(&m->point->flags, ~DENTRY_MOUNTED);
    }
    spin_unlock(&lock);
    if (!error && notify_wanted())
        notify_unmounted(m->super);
    return error;
}

int mount_at(const char *where, struct super *s, const char *source) {
    struct path p;
    int error;

    if (!first)
        return mount_on(NULL, s, source);
    error = path_lookup(AT_FDCWD, where, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
    if (error)
        return error;
    error = mount_on(&p, s, source);
    path_put(&p);
    return error;
}

struct mount *mount_next(struct mount *m) {
    struct list *next;

    spin_lock(&lock);
    next = m && !list_empty(&m->link) ? m->link.next : m ? &mounts : mounts.next;
    spin_unlock(&lock);
    return next == &mounts ? NULL : list_entry(next, struct mount, link);
}

int mount_show(struct mount *m, char *line, size_t bytes) {
    struct path at = {.mount = m, .dentry = m->root};
    char *buffer = kmalloc(PAGE_SIZE);
    int length = -ENOMEM;

    if (buffer) {
        char *where = path_string(&at, buffer, PAGE_SIZE);
        length = is_err(where) ? (int)ptr_err(where)
                               : ksnprintf(line, bytes, "%s %s %s %s 0 0\n", m->source, where, m->super->type,
                                           m->super->options     ? m->super->options
                                           : m->super->read_only ? "ro"
                                                                 : "rw");
        kfree(buffer);
    }
    return length;
}
