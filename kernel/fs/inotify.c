/* inotify.c - see inotify.h.
 *
 * Nouns. instance: what an inotify descriptor is, with a queue of events. watch: an instance's interest in an inode,
 * which it counts, so that the inode stays while it is watched. event: what will be read, made before any lock is
 * taken.
 *
 * Locks: watch_lock, then an instance's queue lock. An instance that has a watch is there as long as watch_lock is
 * held. */
#include "fs/inotify.h"

#include <linux/fcntl.h>
#include <linux/poll.h>
#include <asm/ioctls.h>

#include "arch/x86_64/usercopy.h"
#include "fs/dentry.h"
#include "fs/event.h"
#include "fs/io.h"
#include "fs/pipe.h"
#include "task/task.h"
#include "vm/slab.h"

#define NAME_BYTES 256u

struct event_head { /* struct inotify_event, but for the name */
    s32 wd;
    u32 mask, cookie;
    u32 len; /* of the name as it is read, padded with zeros */
};
_Static_assert(sizeof(struct event_head) == sizeof(struct inotify_event), "read as it is");

struct event {
    struct list link;
    struct event_head head;
    char name[];
};

struct instance {
    struct list link;    /* [watch_lock] of all */
    struct list watches; /* [watch_lock] of struct watch, ->of_instance */
    int last_number;     /* [watch_lock] */
    struct spin lock;
    struct list events; /* [lock] */
    u64 count;          /* [lock] */
    bool overflowed;    /* [lock] `overflow` is in the queue */
    struct waitq readable;
    struct event overflow; /* has no name, so nothing follows */
};

struct watch {
    struct watch *next; /* [watch_lock] of the inode's */
    struct list of_instance;
    struct instance *owner;
    struct inode *inode; /* counted */
    int number;
    u32 mask;              /* [watch_lock] */
    struct event *ignored; /* IN_IGNORED, made with the watch: so its end is told whatever memory there is */
};

u32 inotify_watches;
static u64 instance_count;                           /* [a] */
static struct list instances = LIST_INIT(instances); /* [watch_lock] */
u64 inotify_instances_most = 128, inotify_watches_most = 8192, inotify_events_most = 16384;
static struct spin watch_lock; /* protects inode->watches of all inodes, and what is marked with it */
static u32 cookies;            /* [a] */

u32 notify_cookie(void) { return atomic_add(&cookies, 1); }

/* ---- the queue ---- */

static size_t event_bytes(const struct event *e) { return sizeof(e->head) + e->head.len; }

static struct event *event_make(u32 mask, u32 cookie, const char *name, size_t bytes) {
    size_t padded = bytes ? align_up(bytes + 1, sizeof(struct inotify_event)) : 0;
    struct event *e = kzalloc(sizeof(*e) + padded);
    if (e) {
        e->head.mask = mask;
        e->head.cookie = cookie;
        e->head.len = padded;
        memcpy(e->name, name ? name : "", bytes);
    }
    return e;
}

static bool is_same(const struct event *a, const struct event *b) {
    return !(a->head.mask & IN_IGNORED) && a->head.mask == b->head.mask && a->head.wd == b->head.wd &&
           a->head.len == b->head.len && !memcmp(a->name, b->name, a->head.len);
}

/* Queues e, which is taken over, unless the last one says the same; NULL (no memory), or too many: an overflow. */
static void event_queue(struct instance *i, struct event *e) {
    spin_lock(&i->lock);
    struct event *last = list_empty(&i->events) ? NULL : list_entry(i->events.prev, struct event, link);
    bool drop = !e || i->count >= inotify_events_most;
    if (drop && !i->overflowed) {
        i->overflowed = true;
        list_add_tail(&i->events, &i->overflow.link);
        i->count++;
    } else if (!drop && last && is_same(e, last)) {
        drop = true;
    } else if (!drop) {
        list_add_tail(&i->events, &e->link);
        i->count++;
    }
    spin_unlock(&i->lock);
    if (drop)
        kfree(e);
    waitq_wake_all(&i->readable);
}

/* Takes the first event off the queue if it fits; `*some`: there is one. */
static struct event *event_take(struct instance *i, size_t room, bool *some) {
    struct event *e = NULL;
    spin_lock(&i->lock);
    *some = !list_empty(&i->events);
    if (*some && event_bytes(list_first(&i->events, struct event, link)) <= room) {
        e = list_first(&i->events, struct event, link);
        list_del(&e->link);
        i->count--;
    }
    spin_unlock(&i->lock);
    return e;
}

static void event_free(struct instance *i, struct event *e) {
    if (e != &i->overflow) {
        kfree(e);
        return;
    }
    spin_lock(&i->lock);
    i->overflowed = false;
    spin_unlock(&i->lock);
}

/* ---- watches ---- */

/* Takes the watch from its inode and instance, and puts it on the list of those that end. watch_lock held. */
static void watch_unlink(struct watch *w, struct watch **ended) {
    struct watch **at = (struct watch **)&w->inode->watches;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    list_del(&w->of_instance);
    w->next = *ended;
    *ended = w;
}

/* Says that the watch is no more. watch_lock held. */
static void watch_tell_end(struct watch *w) {
    event_queue(w->owner, w->ignored);
    w->ignored = NULL;
}

/* Frees watches that were unlinked. No lock. */
static void watches_free(struct watch *ended) {
    while (ended) {
        struct watch *w = ended;
        ended = w->next;
        atomic_sub(&inotify_watches, 1);
        inode_put(w->inode);
        kfree(w->ignored);
        kfree(w);
    }
}

static bool wants(const struct watch *w, u32 mask, bool unlinked) {
    return (w->mask & mask & IN_ALL_EVENTS || mask & IN_UNMOUNT) && !(unlinked && w->mask & IN_EXCL_UNLINK);
}

/* Makes an event for each watch of the inode that wants one, with watch_lock released; and takes it. A list. */
static struct event *make_events(struct inode *inode, const struct event *like, const char *name, size_t bytes,
                                 bool unlinked) {
    struct event *made = NULL;
    for (unsigned count = 0;; count++) {
        unsigned wanted = 0;
        spin_lock(&watch_lock);
        for (struct watch *w = inode->watches; w; w = w->next)
            wanted += wants(w, like->head.mask, unlinked);
        if (count >= wanted)
            return made;
        spin_unlock(&watch_lock);
        struct event *e = event_make(like->head.mask, like->head.cookie, name, bytes);
        if (e) {
            e->link.next = (struct list *)made;
            made = e;
        }
    }
}

/* The inode's watches hear of it. */
static void tell(struct inode *inode, u32 mask, u32 cookie, const char *name, size_t bytes, bool unlinked) {
    const struct event like = {.head = {.mask = mask, .cookie = cookie}};
    struct watch *ended = NULL, *next;
    if (!atomic_load_relaxed(&inode->watches))
        return;
    struct event *events = make_events(inode, &like, name, bytes, unlinked);
    for (struct watch *w = inode->watches; w; w = next) {
        next = w->next;
        if (!wants(w, mask, unlinked))
            continue;
        struct event *e = events;
        if (e) {
            events = (struct event *)e->link.next;
            e->head.wd = w->number;
        }
        event_queue(w->owner, e);
        if (w->mask & IN_ONESHOT) {
            watch_tell_end(w);
            watch_unlink(w, &ended);
        }
    }
    spin_unlock(&watch_lock);
    while (events) {
        struct event *e = events;
        events = (struct event *)e->link.next;
        kfree(e);
    }
    watches_free(ended);
}

static u32 directory_bit(const struct inode *i) { return (i->mode & S_IFMT) == S_IFDIR ? IN_ISDIR : 0; }

void notify_inode_told(struct inode *inode, u32 mask, u32 cookie) {
    bool own = mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT); /* never with IN_ISDIR */
    tell(inode, mask | (own ? 0 : directory_bit(inode)), cookie, NULL, 0, false);
}

void notify_name_told(struct inode *dir, const char *name, size_t bytes, const struct inode *child, u32 mask,
                      u32 cookie) {
    tell(dir, mask | directory_bit(child), cookie, name, bytes, false);
}

void notify_told(const struct dentry *d, u32 mask) {
    char name[NAME_BYTES];
    size_t bytes = 0;
    bool removed = d->flags & DENTRY_REMOVED;
    struct dentry *parent = dentry_parent((struct dentry *)d);
    mask |= directory_bit(d->inode);
    if (parent != d && atomic_load_relaxed(&parent->inode->watches)) {
        dentry_shape_lock();
        bytes = d->parent == parent ? d->name_bytes : 0; /* else it was moved meanwhile */
        memcpy(name, d->name, bytes);
        dentry_shape_unlock();
    }
    if (bytes)
        tell(parent->inode, mask, 0, name, bytes, removed);
    tell(d->inode, mask, 0, NULL, 0, removed);
    dentry_put(parent);
}

/* All watches of the inode end. */
static void end_all(struct inode *inode) {
    struct watch *ended = NULL;
    spin_lock(&watch_lock);
    while (inode->watches) {
        struct watch *w = inode->watches;
        watch_tell_end(w);
        watch_unlink(w, &ended);
    }
    spin_unlock(&watch_lock);
    watches_free(ended);
}

void notify_gone_told(struct inode *inode, u32 mask) {
    notify_inode_told(inode, mask, 0);
    end_all(inode);
}

/* An inode of the file system that is watched, counted; NULL: none. */
static struct inode *watched_inode(const struct super *s) {
    struct inode *found = NULL;
    struct instance *i;
    struct watch *w;
    spin_lock(&watch_lock);
    list_for_each(i, &instances, link) {
        list_for_each(w, &i->watches, of_instance) {
            if (!found && w->inode->super == s)
                found = w->inode;
        }
    }
    if (found)
        inode_get(found);
    spin_unlock(&watch_lock);
    return found;
}

void notify_unmounted(struct super *s) {
    struct inode *inode;
    while ((inode = watched_inode(s))) {
        notify_gone_told(inode, IN_UNMOUNT);
        inode_put(inode);
    }
}

/* ---- the instance's file ---- */

static ssize_t inotify_read(struct file *file, struct iov *to, u64 *position) {
    struct instance *i = file->private_data;
    ssize_t done = 0;
    for (;;) {
        bool some;
        struct event *e = event_take(i, to->bytes, &some);
        if (e) {
            size_t bytes = event_bytes(e), moved = iov_put(to, &e->head, bytes);
            event_free(i, e);
            if (moved < bytes)
                return done ? done : -EFAULT;
            done += bytes;
        } else if (done) {
            return done;
        } else if (some) {
            return -EINVAL; /* no room for it */
        } else if (file->flags & O_NONBLOCK) {
            return -EAGAIN;
        } else if (wait_until_interruptible(&i->readable, !list_empty(&i->events))) {
            return -ERESTARTSYS;
        }
    }
}

static u32 inotify_poll(struct file *file, struct poll_table *table) {
    struct instance *i = file->private_data;
    poll_wait(table, &i->readable);
    return list_empty(&i->events) ? 0 : POLLIN | POLLRDNORM;
}

static long inotify_ioctl(struct file *file, u32 command, u64 argument) {
    struct instance *i = file->private_data;
    struct event *e;
    int bytes = 0;
    if (command != FIONREAD)
        return -ENOTTY;
    spin_lock(&i->lock);
    list_for_each(e, &i->events, link) { bytes += event_bytes(e); }
    spin_unlock(&i->lock);
    return put_user(bytes, (int __user *)argument);
}

static void inotify_release(struct file *file) {
    struct instance *i = file->private_data;
    struct watch *ended = NULL;
    spin_lock(&watch_lock);
    while (!list_empty(&i->watches))
        watch_unlink(list_first(&i->watches, struct watch, of_instance), &ended);
    list_del(&i->link);
    spin_unlock(&watch_lock);
    watches_free(ended);
    while (!list_empty(&i->events)) {
        struct event *e = list_first(&i->events, struct event, link);
        list_del(&e->link);
        if (e != &i->overflow)
            kfree(e);
    }
    atomic_sub(&instance_count, 1);
    kfree(i);
}

static const struct file_ops inotify_ops = {
    .async = true,
    .release = inotify_release,
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .seek = event_seek,
};

bool file_is_inotify(const struct file *f) { return f->ops == &inotify_ops; }

struct file *inotify_create(int flags) {
    struct inode *inode = anon_inode();
    struct instance *i = kzalloc(sizeof(*i));
    struct file *file = err_ptr(-ENOMEM);
    if (atomic_add(&instance_count, 1) > inotify_instances_most)
        file = err_ptr(-EMFILE);
    else if (inode && i)
        file = file_make(inode, &inotify_ops, O_RDONLY | flags, "anon_inode:inotify");
    if (is_err(file)) {
        atomic_sub(&instance_count, 1);
        if (inode)
            inode_put(inode);
        kfree(i);
        return file;
    }
    list_init(&i->watches);
    list_init(&i->events);
    i->overflow.head = (struct event_head){.wd = -1, .mask = IN_Q_OVERFLOW};
    waitq_init(&i->readable);
    file->private_data = i;
    spin_lock(&watch_lock);
    list_add(&instances, &i->link);
    spin_unlock(&watch_lock);
    return file;
}

static struct watch *watch_make(struct instance *i, struct inode *inode, u32 mask) {
    struct watch *w = kzalloc(sizeof(*w));
    struct event *ignored = event_make(IN_IGNORED, 0, NULL, 0);
    if (!w || !ignored) {
        kfree(w);
        kfree(ignored);
        return NULL;
    }
    *w = (struct watch){.owner = i, .inode = inode, .mask = mask, .ignored = ignored};
    inode_get(inode);
    atomic_add(&inotify_watches, 1);
    return w;
}

/* The instance's watch of the inode. watch_lock held. */
static struct watch *watch_find(struct instance *i, struct inode *inode) {
    struct watch *w = inode->watches;
    while (w && w->owner != i)
        w = w->next;
    return w;
}

/* A watch that is there gets the mask, or more of it. watch_lock held. */
static long watch_change(struct watch *w, u32 mask) {
    if (mask & IN_MASK_CREATE)
        return -EEXIST;
    u32 kept = mask & IN_MASK_ADD ? w->mask : 0;
    w->mask = kept | (mask & ~(u32)IN_MASK_ADD);
    return w->number;
}

long inotify_watch(struct file *f, struct inode *inode, u32 mask) {
    struct instance *i = f->private_data;
    long result = -ENOMEM;
    if (f->ops != &inotify_ops)
        return -EINVAL;
    struct watch *new = watch_make(i, inode, mask & ~(u32)(IN_MASK_ADD | IN_MASK_CREATE));
    spin_lock(&watch_lock);
    struct watch *old = watch_find(i, inode);
    if (old) {
        result = watch_change(old, mask);
    } else if (new &&inotify_watches > inotify_watches_most) {
        result = -ENOSPC;
    } else if (new) {
        result = new->number = new->ignored->head.wd = ++i->last_number;
        new->next = inode->watches;
        atomic_store(&inode->watches, (void *)new);
        list_add_tail(&i->watches, &new->of_instance);
        new = NULL;
    }
    spin_unlock(&watch_lock);
    watches_free(new);
    return result;
}

long inotify_forget(struct file *f, int number) {
    struct instance *i = f->private_data;
    struct watch *w, *ended = NULL;
    if (f->ops != &inotify_ops)
        return -EINVAL;
    spin_lock(&watch_lock);
    list_for_each(w, &i->watches, of_instance) {
        if (w->number == number) {
            watch_tell_end(w);
            watch_unlink(w, &ended);
            break;
        }
    }
    spin_unlock(&watch_lock);
    long result = ended ? 0 : -EINVAL;
    watches_free(ended);
    return result;
}
