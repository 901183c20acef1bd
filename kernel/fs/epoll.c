/* epoll.c - epoll(7): an interest list of (file, descriptor number) and, of it, the list of those that may be ready.
 *
 * Nouns. item: one registered file; on its queues by a watch (waitq_watch), whose notify puts the item on the ready
 * list and wakes who waits. A ready item is only *maybe* ready: epoll_wait asks the file again before it reports.
 *
 *     file's queue --notify--> item --> ready list --epoll_wait asks the file--> event for the user
 *                                          ^---------- level-triggered: back to the end of the list
 *
 * Locks: epoll->mutex (sleeping): the interest list, and whole passes over the ready list. epoll->lock (spin; taken by
 * notify under a watched queue's lock): the ready list. files_lock (spin): every file's list of items. An epoll that
 * watches an epoll takes the watched one's mutex under its own, so there are no cycles and NEST_MOST links at most:
 * nest_mutex is held while such a link is made. */
#include <linux/poll.h>

#include "arch/x86_64/usercopy.h"
#include "fs/event.h"
#include "fs/pipe.h"
#include "fs/poll.h"
#include "task/task.h"
#include "vm/slab.h"

#define NEST_MOST 4 /* links from the uppermost epoll down to the lowest: epoll_ctl(2), ELOOP */
#define BUCKETS_FIRST 8
/* Events that a caller cannot turn off, and bits that are no events. */
#define ALWAYS (EPOLLERR | EPOLLHUP)
#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

struct epoll {
    u32 references; /* [a] the file; epoll_forget in flight */
    struct mutex mutex;
    struct list *buckets; /* of items; a power of two of them [mutex] */
    u32 bucket_count, item_count;
    struct spin lock;
    struct list ready;  /* of items that may be ready [lock] */
    bool passing;       /* a pass over them is under way, and has one in hand that may go back [lock] */
    struct waitq queue; /* who waits in epoll_wait; pollers of the epoll itself */
    struct file *file;  /* not counted: its own; there as long as an item is */
    u64 walk;           /* the last walk of height_above that came here [nest_mutex] */
    unsigned above;     /* what it found [nest_mutex] */
};

/* One queue that an item watches. */
struct watch {
    struct waiter waiter;
    struct item *item;
    struct watch *next;
};

struct item {
    struct epoll *epoll;
    struct file *file; /* not counted: epoll_forget comes before it goes */
    int fd;
    struct epoll_event event; /* [mutex]; .events read by notify: atomic */
    struct list bucket_link;  /* [mutex] */
    struct list ready_link;   /* [lock] */
    bool ready;               /* on the ready list [lock] */
    struct list file_link;    /* [files_lock] in file->epoll */
    struct watch *watches;    /* [mutex] */
    struct watch first;       /* most files have one queue */
    struct poll_table table;  /* while it registers */
};

static struct spin files_lock = SPIN_INIT;
static struct mutex nest_mutex = MUTEX_INIT(nest_mutex);
static const struct file_ops epoll_ops;

bool file_is_epoll(const struct file *f) { return f->ops == &epoll_ops; }

/* ---- the ready list ---- */

static void ready_add(struct item *item) {
    struct epoll *ep = item->epoll;
    spin_lock(&ep->lock);
    if (!item->ready) {
        item->ready = true;
        list_add_tail(&ep->ready, &item->ready_link);
    }
    spin_unlock(&ep->lock);
}

static void ready_remove(struct item *item) {
    struct epoll *ep = item->epoll;
    spin_lock(&ep->lock);
    if (item->ready) {
        item->ready = false;
        list_del(&item->ready_link);
    }
    spin_unlock(&ep->lock);
}

static void item_notify(struct waiter *w) {
    struct item *item = container_of(w, struct watch, waiter)->item;
    if (!(atomic_load(&item->event.events) & ~PRIVATE_BITS)) /* a one-shot that was reported */
        return;
    ready_add(item);
    waitq_wake_one(&item->epoll->queue);
}

/* ---- items ---- */

static u32 bucket_of(const struct epoll *ep, const struct file *file, int fd) {
    u64 key = (u64)file / sizeof(void *) + (u64)fd * 0x9e3779b97f4a7c15ULL;
    return (key ^ key >> 29) & (ep->bucket_count - 1);
}

static struct item *item_find(struct epoll *ep, const struct file *file, int fd) {
    struct list *bucket = &ep->buckets[bucket_of(ep, file, fd)];
    struct item *item;
    list_for_each(item, bucket, bucket_link) {
        if (item->file == file && item->fd == fd)
            return item;
    }
    return NULL;
}

/* Room for one more item: the buckets double when there is more than one item each. Failing to grow only costs time. */
static void buckets_grow(struct epoll *ep) {
    u32 old_count = ep->bucket_count;
    struct list *old = ep->buckets, *new;
    if (ep->item_count < old_count)
        return;
    new = kmalloc(2 * old_count * sizeof(*new));
    if (!new)
        return;
    for (u32 i = 0; i < 2 * old_count; i++)
        list_init(&new[i]);
    ep->buckets = new;
    ep->bucket_count = 2 * old_count;
    for (u32 i = 0; i < old_count; i++) {
        while (!list_empty(&old[i])) {
            struct item *item = list_first(&old[i], struct item, bucket_link);
            list_del(&item->bucket_link);
            list_add(&new[bucket_of(ep, item->file, item->fd)], &item->bucket_link);
        }
    }
    kfree(old);
}

static void item_watch(struct poll_table *table, struct waitq *q) {
    struct item *item = container_of(table, struct item, table);
    struct watch *w = &item->first;
    if (item->watches)
        w = kmalloc(sizeof(*w));
    if (!w) {
        table->error = -ENOMEM;
        return;
    }
    w->item = item;
    w->next = item->watches;
    item->watches = w;
    waitq_watch(q, &w->waiter, item_notify);
}

/* Off every list, and freed. Holds ep->mutex; the file is still whole. */
static void item_remove(struct item *item) {
    while (item->watches) {
        struct watch *w = item->watches;
        item->watches = w->next;
        waitq_remove(&w->waiter);
        if (w != &item->first)
            kfree(w);
    }
    spin_lock(&files_lock);
    list_del(&item->file_link);
    spin_unlock(&files_lock);
    ready_remove(item);
    list_del(&item->bucket_link);
    item->epoll->item_count--;
    kfree(item);
}

static u32 item_events(struct item *item, struct poll_table *table) {
    return file_poll(item->file, table) & item->event.events;
}

static void epoll_put(struct epoll *ep) {
    if (atomic_sub(&ep->references, 1))
        return;
    kfree(ep->buckets);
    kfree(ep);
}

/* ---- control ---- */

/* How many epolls, one watching the other, are above this one. Each is asked once in a walk: there may be many ways to
 * it. Holds nest_mutex and files_lock. Recursion bounded by NEST_MOST, as no link was made that goes beyond. */
static unsigned height_above(struct epoll *ep, u64 walk) {
    struct item *item;
    if (ep->walk == walk)
        return ep->above;
    ep->walk = walk;
    ep->above = 0;
    list_for_each(item, &ep->file->epoll, file_link) {
        unsigned above = height_above(item->epoll, walk) + 1;
        ep->above = max(ep->above, above);
    }
    return ep->above;
}

/* Whether `from` reaches `to` by watching, or nests deeper than allowed. Holds nest_mutex. Recursion bounded by
 * NEST_MOST. */
static bool reaches(struct epoll *from, const struct epoll *to, unsigned depth) {
    bool found = from == to || depth > NEST_MOST;
    struct item *item;
    if (found)
        return true;
    mutex_lock(&from->mutex);
    for (u32 i = 0; i < from->bucket_count && !found; i++) {
        list_for_each(item, &from->buckets[i], bucket_link) {
            if (file_is_epoll(item->file) && reaches(item->file->private_data, to, depth + 1)) {
                found = true;
                break;
            }
        }
    }
    mutex_unlock(&from->mutex);
    return found;
}

static int item_add(struct epoll *ep, struct file *target, int fd, const struct epoll_event *event) {
    struct item *item = kzalloc(sizeof(*item));
    if (!item)
        return -ENOMEM;
    buckets_grow(ep);
    item->epoll = ep;
    item->file = target;
    item->fd = fd;
    item->event = *event;
    item->event.events |= ALWAYS;
    item->table.wait = item_watch;
    list_init(&item->ready_link);
    list_add(&ep->buckets[bucket_of(ep, target, fd)], &item->bucket_link);
    ep->item_count++;
    spin_lock(&files_lock);
    list_add(&target->epoll, &item->file_link);
    spin_unlock(&files_lock);
    u32 events = item_events(item, &item->table);
    if (item->table.error) {
        item_remove(item);
        return -ENOMEM;
    }
    if (events) {
        ready_add(item);
        waitq_wake_one(&ep->queue);
    }
    return 0;
}

static int item_modify(struct item *item, const struct epoll_event *event) {
    if (item->event.events & EPOLLEXCLUSIVE || event->events & EPOLLEXCLUSIVE)
        return -EINVAL;
    item->event.data = event->data;
    atomic_store(&item->event.events, event->events | ALWAYS);
    atomic_fence(); /* a notify that saw the old events came before the question below */
    if (item_events(item, NULL)) {
        ready_add(item);
        waitq_wake_one(&item->epoll->queue);
    }
    return 0;
}

static int control_locked(struct epoll *ep, int operation, struct file *target, int fd,
                          const struct epoll_event *event) {
    struct item *item = item_find(ep, target, fd);
    if (operation == EPOLL_CTL_ADD)
        return item ? -EEXIST : item_add(ep, target, fd, event);
    if (!item)
        return -ENOENT;
    if (operation == EPOLL_CTL_MOD)
        return item_modify(item, event);
    item_remove(item);
    return 0;
}

int epoll_control(struct file *epoll, int operation, struct file *target, int fd, const struct epoll_event *event) {
    struct epoll *ep = epoll->private_data;
    bool nests = operation == EPOLL_CTL_ADD && file_is_epoll(target);
    int error = 0;

    if (!target->ops->poll) /* regular files and directories */
        return -EPERM;
    if (!file_is_epoll(epoll) || target == epoll)
        return -EINVAL;
    if (operation != EPOLL_CTL_ADD && operation != EPOLL_CTL_MOD && operation != EPOLL_CTL_DEL)
        return -EINVAL;
    if (operation != EPOLL_CTL_DEL && event->events & EPOLLEXCLUSIVE) {
        const u32 fine = EPOLLIN | EPOLLOUT | ALWAYS | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
        if (operation == EPOLL_CTL_MOD || event->events & ~fine || file_is_epoll(target))
            return -EINVAL;
    }
    if (nests) {
        static u64 walks; /* [nest_mutex] */
        mutex_lock(&nest_mutex);
        spin_lock(&files_lock);
        unsigned above = height_above(ep, ++walks);
        spin_unlock(&files_lock);
        if (reaches(target->private_data, ep, above + 1))
            error = -ELOOP;
    }
    if (!error) {
        mutex_lock(&ep->mutex);
        error = control_locked(ep, operation, target, fd, event);
        mutex_unlock(&ep->mutex);
    }
    if (nests)
        mutex_unlock(&nest_mutex);
    return error;
}

/* ---- waiting ---- */

/* Is there something to look at? What a pass has in hand counts, or who finds the list empty meanwhile would sleep, and
 * nobody wakes for what was there before. */
static bool may_be_ready(struct epoll *ep) {
    spin_lock(&ep->lock);
    bool may = ep->passing || !list_empty(&ep->ready);
    spin_unlock(&ep->lock);
    return may;
}

/* A pass over the ready list begins: how many items it has to look at. Holds ep->mutex. */
static u32 pass_begin(struct epoll *ep) {
    struct list *l;
    u32 count = 0;
    spin_lock(&ep->lock);
    ep->passing = true;
    for (l = ep->ready.next; l != &ep->ready; l = l->next)
        count++;
    spin_unlock(&ep->lock);
    return count;
}

static void pass_end(struct epoll *ep) {
    spin_lock(&ep->lock);
    ep->passing = false;
    spin_unlock(&ep->lock);
}

/* The next item that may be ready, off the list; NULL when `last` was the last to look at. Holds ep->mutex. */
static struct item *ready_take(struct epoll *ep) {
    struct item *item = NULL;
    spin_lock(&ep->lock);
    if (!list_empty(&ep->ready)) {
        item = list_first(&ep->ready, struct item, ready_link);
        list_del(&item->ready_link);
        item->ready = false; /* from here on a wake puts it back: nothing that happens after the question is lost */
    }
    spin_unlock(&ep->lock);
    return item;
}

/* Report one item: 1, 0 (not ready after all), -EFAULT. Holds ep->mutex. */
static int item_report(struct item *item, struct epoll_event __user *out) {
    struct epoll_event report = {.events = item_events(item, NULL) & ~PRIVATE_BITS, .data = item->event.data};
    if (!report.events)
        return 0;
    if (copy_to_user(out, &report, sizeof(report))) {
        ready_add(item);
        return -EFAULT;
    }
    if (item->event.events & EPOLLONESHOT)
        atomic_store(&item->event.events, item->event.events & PRIVATE_BITS);
    else if (!(item->event.events & EPOLLET))
        ready_add(item);
    return 1;
}

/* One pass over the items that are on the list when it begins. Returns events reported, or -EFAULT if there was none.
 */
static long report_ready(struct epoll *ep, struct epoll_event __user *events, int most) {
    long done = 0;
    int error = 0;

    mutex_lock(&ep->mutex);
    for (u32 left = pass_begin(ep); left && done < most; left--) {
        struct item *item = ready_take(ep);
        if (!item)
            break;
        int reported = item_report(item, &events[done]);
        if (reported < 0) {
            error = reported;
            break;
        }
        done += reported;
    }
    pass_end(ep);
    mutex_unlock(&ep->mutex);
    return done ? done : error;
}

long epoll_await(struct file *epoll, struct epoll_event __user *events, int most, u64 deadline_ns) {
    struct epoll *ep = epoll->private_data;
    int error = 0;
    for (;;) {
        long done = 0;
        if (may_be_ready(ep))
            done = report_ready(ep, events, most);
        if (done) {
            if (may_be_ready(ep)) /* what is left is for the next who waits */
                waitq_wake_one(&ep->queue);
            return done;
        }
        if (error || !deadline_ns)
            return error == -ETIMEDOUT ? 0 : error;
        /* A wake may have been ours although the time was over, or a signal came: so the list is looked at once more,
         * or nobody would tell another who waits. */
        error = wait_until_deadline(&ep->queue, may_be_ready(ep), true, deadline_ns);
    }
}

/* ---- the epoll as a file ---- */

/* Ready when some item really is. Sleeps for the mutex, which no caller of poll minds: they hold no spin lock. */
static u32 epoll_poll(struct file *file, struct poll_table *table) {
    struct epoll *ep = file->private_data;
    bool found = false;

    poll_wait(table, &ep->queue);
    mutex_lock(&ep->mutex);
    for (u32 left = pass_begin(ep); left && !found; left--) {
        struct item *item = ready_take(ep);
        if (!item)
            break;
        found = item_events(item, NULL) & ~PRIVATE_BITS;
        if (found)
            ready_add(item);
    }
    pass_end(ep);
    mutex_unlock(&ep->mutex);
    return found ? POLLIN | POLLRDNORM : 0;
}

static void epoll_release(struct file *file) {
    struct epoll *ep = file->private_data;
    mutex_lock(&ep->mutex);
    for (u32 i = 0; i < ep->bucket_count; i++) {
        while (!list_empty(&ep->buckets[i]))
            item_remove(list_first(&ep->buckets[i], struct item, bucket_link));
    }
    mutex_unlock(&ep->mutex);
    epoll_put(ep);
}

static const struct file_ops epoll_ops = {
    .seek = event_seek,
    .release = epoll_release,
    .poll = epoll_poll,
};

struct file *epoll_create(void) {
    struct epoll *ep = kzalloc(sizeof(*ep));
    struct list *buckets = kmalloc(BUCKETS_FIRST * sizeof(*buckets));
    struct inode *inode = anon_inode();
    struct file *file = err_ptr(-ENOMEM);

    if (ep && buckets) {
        for (u32 i = 0; i < BUCKETS_FIRST; i++)
            list_init(&buckets[i]);
        *ep = (struct epoll){.references = 1, .buckets = buckets, .bucket_count = BUCKETS_FIRST};
        mutex_init(&ep->mutex);
        list_init(&ep->ready);
        waitq_init(&ep->queue);
        file = file_make(inode, &epoll_ops, O_RDWR, "anon_inode:[eventpoll]");
    }
    if (is_err(file)) {
        inode_put(inode);
        kfree(buckets);
        kfree(ep);
    } else {
        file->private_data = ep;
        ep->file = file;
    }
    return file;
}

/* The items of a dying file leave their epolls. An epoll's items keep it alive, so one counted under files_lock may be
 * locked. */
void epoll_forget(struct file *file) {
    for (;;) {
        struct epoll *ep = NULL;
        struct item *item, *victim;
        spin_lock(&files_lock);
        if (!list_empty(&file->epoll)) {
            ep = list_first(&file->epoll, struct item, file_link)->epoll;
            atomic_add(&ep->references, 1);
        }
        spin_unlock(&files_lock);
        if (!ep)
            return;
        mutex_lock(&ep->mutex);
        victim = NULL;
        spin_lock(&files_lock);
        list_for_each(item, &file->epoll, file_link) {
            if (item->epoll == ep)
                victim = item;
        }
        spin_unlock(&files_lock);
        if (victim)
            item_remove(victim);
        mutex_unlock(&ep->mutex);
        epoll_put(ep);
    }
}
