/* userfault.c - userfaultfd(2): who touches watched memory waits here, the file's reader hears of him, and answers by
 * ioctl. What the memory does meanwhile: vm/watch.h.
 *
 *   access ── FAULT_WATCHED ── userfault_wait: pending ── read(2) ──> asked ── UFFDIO_COPY, _WAKE ──> tried again
 *
 * One struct userfault is a watch of one address space. The file has a reference to it, and so has every view that is
 * watched; the memory outlives neither, and the watch the memory perhaps: then there is nothing to watch any more. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/ioctl.h>
#include <linux/poll.h>
#include <linux/userfaultfd.h>

#include "arch/x86_64/usercopy.h"
#include "fs/event.h"
#include "fs/file.h"
#include "fs/io.h"
#include "fs/pipe.h"
#include "fs/userfault.h"
#include "task/task.h"
#include "vm/frame.h"
#include "vm/machine.h"
#include "vm/slab.h"
#include "vm/watch.h"

u64 userfault_unprivileged;

struct userfault {
    struct watch watch;
    u32 references;
    int flags;                        /* as it was asked for: O_NONBLOCK, O_CLOEXEC, UFFD_USER_MODE_ONLY */
    u64 features;                     /* atomic: UFFD_FEATURE_*, and READY once UFFDIO_API was called */
    struct spin lock;                 /* protects the lists */
    bool closed;                      /* its file is gone: nobody answers */
    u32 changing;                     /* atomic: operations whose news are not read yet */
    struct list pending, asked, news; /* of struct wait */
    struct waitq readers;
    struct userfault *parent; /* a reference: of whose fork this is news; NULL once that is told */
};
#define READY (1ULL << 31)

/* Who waits, for an answer or until his news are read. On his stack; off its list again before he leaves. */
struct wait {
    struct list link;
    struct uffd_msg message;
    struct userfault *born; /* UFFD_EVENT_FORK */
    bool over;              /* under the lock: off its list. Read atomically by who waits */
    struct waitq queue;
};

static const struct file_ops userfault_ops;
static const struct watch_ops watch_ops;

static struct userfault *of_watch(struct watch *w) { return container_of(w, struct userfault, watch); }
static void get(struct userfault *u) { atomic_add(&u->references, 1); }

static void put(struct userfault *u) {
    if (atomic_sub(&u->references, 1))
        return;
    watch_end(&u->watch);
    if (u->parent)
        put(u->parent);
    kfree(u);
}

static struct userfault *create(struct space *s, int flags, u64 features) {
    struct userfault *u = kzalloc(sizeof(*u));
    if (!u)
        return NULL;
    u->references = 1;
    u->flags = flags;
    u->features = features;
    spin_init(&u->lock);
    list_init(&u->pending);
    list_init(&u->asked);
    list_init(&u->news);
    waitq_init(&u->readers);
    watch_init(&u->watch, &watch_ops, s);
    u->watch.follows = features & UFFD_FEATURE_EVENT_REMAP;
    return u;
}

static struct file *open_file(struct userfault *u) {
    struct inode *inode = anon_inode();
    struct file *file =
        file_make(inode, &userfault_ops, O_RDONLY | (u->flags & O_NONBLOCK), "anon_inode:[userfaultfd]");
    if (is_err(file)) {
        inode_put(inode);
    } else {
        get(u);
        file->private_data = u;
    }
    return file;
}

bool userfault_allowed(int flags) {
    return flags & UFFD_USER_MODE_ONLY || userfault_unprivileged || capable(CAP_SYS_PTRACE);
}

struct file *userfault_create(int flags) {
    struct userfault *u = create(process_current()->space, flags, 0);
    struct file *file = u ? open_file(u) : err_ptr(-ENOMEM);
    if (u)
        put(u);
    return file;
}

static long device_ioctl(struct file *file, u32 command, u64 flags) {
    if (command != USERFAULTFD_IOC_NEW || flags & ~(u64)(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY))
        return -EINVAL;
    struct file *made = userfault_create((int)flags);
    int fd = is_err(made) ? ptr_err(made) : fd_install(made, flags & O_CLOEXEC, 0);
    if (fd < 0 && !is_err(made))
        file_put(made);
    return fd;
}

const struct file_ops userfault_device_ops = {.seek = event_seek, .ioctl = device_ioctl};

/* ---- waiting ---- */

/* u->lock held. */
static void end_wait(struct wait *w) {
    list_del(&w->link);
    atomic_store(&w->over, true);
    waitq_wake_all(&w->queue);
}

static void wake_list(struct list *list, u64 start, u64 bytes) {
    struct wait *w, *next;
    list_for_each_safe(w, next, list, link) {
        u64 at = w->message.arg.pagefault.address;
        if (!bytes || (at >= start && at - start < bytes))
            end_wait(w);
    }
}

/* Those who touched [start, start + bytes), or all (bytes 0), try again. */
static void wake(struct userfault *u, u64 start, u64 bytes) {
    spin_lock(&u->lock);
    wake_list(&u->pending, start, bytes);
    wake_list(&u->asked, start, bytes);
    spin_unlock(&u->lock);
}

/* False: nobody will answer. */
static bool begin_wait(struct userfault *u, struct wait *w, struct list *list) {
    waitq_init(&w->queue);
    w->over = false;
    spin_lock(&u->lock);
    bool open = !u->closed;
    if (open)
        list_add_tail(list, &w->link);
    spin_unlock(&u->lock);
    return open;
}

/* It waits no more. True: it was over. */
static bool leave(struct userfault *u, struct wait *w) {
    spin_lock(&u->lock);
    bool over = w->over;
    if (!over)
        end_wait(w);
    spin_unlock(&u->lock);
    return over;
}

/* -EINTR: it was not over. */
static int sleep_until_over(struct userfault *u, struct wait *w, bool interruptible) {
    int error = wait_until_by(&w->queue, atomic_load(&w->over),
                              interruptible ? task_sleep(true, SLEEP_FOREVER) : task_sleep_killable(SLEEP_FOREVER));
    return leave(u, w) ? 0 : error;
}

static void fault_message(struct userfault *u, const struct watched *what, struct uffd_msg *m) {
    u64 page = what->address & ~(u64)(PAGE_SIZE - 1);
    memset(m, 0, sizeof(*m));
    m->event = UFFD_EVENT_PAGEFAULT;
    m->arg.pagefault.address = u->features & UFFD_FEATURE_EXACT_ADDRESS ? what->address : page;
    m->arg.pagefault.flags = (what->write ? UFFD_PAGEFAULT_FLAG_WRITE : 0) |
                             (what->why == WATCH_GUARDED ? UFFD_PAGEFAULT_FLAG_WP : 0) |
                             (what->why == WATCH_MINOR ? UFFD_PAGEFAULT_FLAG_MINOR : 0);
    m->arg.pagefault.feat.ptid = u->features & UFFD_FEATURE_THREAD_ID ? (u32)task_current()->tid : 0;
}

/* The file was closed while memory was too short to forget the watch: now, or never. */
static enum fault_outcome forget_late(struct userfault *u) {
    struct space *s = watch_space(&u->watch);
    int error = s ? space_forget_watch(s, &u->watch) : 0;
    if (s)
        space_put(s);
    return error == -ENOMEM ? FAULT_NOMEM : FAULT_DONE;
}

static enum fault_outcome userfault_wait(struct watch *watch, const struct watched *what, bool (*still)(void *),
                                         void *argument) {
    struct userfault *u = of_watch(watch);
    struct wait w = {0};
    int error = 0;
    if (u->features & UFFD_FEATURE_SIGBUS || (u->flags & UFFD_USER_MODE_ONLY && !what->user))
        return FAULT_BUS_ADRERR;
    fault_message(u, what, &w.message);
    if (!begin_wait(u, &w, &u->pending))
        return forget_late(u);
    if (still(argument)) {
        waitq_wake_all(&u->readers);
        error = sleep_until_over(u, &w, what->user);
    } else {
        (void)leave(u, &w);
    }
    return !error ? FAULT_DONE : what->user ? FAULT_INTERRUPTED : FAULT_BUS_ADRERR;
}

/* ---- fork ---- */

struct birth {
    const struct userfault *parent; /* NULL: anybody's */
    struct userfault *born;         /* a reference */
};

/* A visit of the child's watches: until it runs, they are all news of its fork. */
static void look_at_birth(struct watch *w, void *argument) {
    struct birth *b = argument;
    struct userfault *u = of_watch(w);
    if (!b->born && u->parent && (!b->parent || u->parent == b->parent))
        get(b->born = u);
}

static struct watch *userfault_fork(struct watch *watch, struct space *child) {
    struct userfault *u = of_watch(watch);
    struct birth b = {.parent = u};
    if (!(u->features & UFFD_FEATURE_EVENT_FORK))
        return NULL;
    watch_each(child, look_at_birth, &b);
    if (!b.born && (b.born = create(child, u->flags, u->features)))
        get(b.born->parent = u);
    return b.born ? &b.born->watch : err_ptr(-ENOMEM);
}

static void watch_get(struct watch *w) { get(of_watch(w)); }
static void watch_put(struct watch *w) { put(of_watch(w)); }

static const struct watch_ops watch_ops = {
    .get = watch_get,
    .put = watch_put,
    .wait = userfault_wait,
    .fork = userfault_fork,
};

/* ---- news ---- */

/* Sleeps until somebody has read them. False: nobody did. */
static bool tell(struct userfault *u, struct wait *w) {
    bool told = begin_wait(u, w, &u->news);
    if (told) {
        waitq_wake_all(&u->readers);
        told = !sleep_until_over(u, w, false) && !atomic_load(&u->closed);
    }
    return told;
}

static bool has(const struct userfault_news *n, const struct userfault *u) {
    unsigned i = 0;
    while (i < n->count && n->who[i] != u)
        i++;
    return i < n->count;
}

static int add(struct userfault_news *n, struct userfault *u) {
    if (has(n, u))
        return 0;
    if (n->count == n->room) {
        struct userfault **more = kmalloc(2 * n->room * sizeof(*more));
        if (!more)
            return -ENOMEM;
        memcpy(more, n->who, n->count * sizeof(*more));
        if (n->who != n->few)
            kfree(n->who);
        n->who = more;
        n->room *= 2;
    }
    get(u);
    atomic_add(&u->changing, 1);
    n->who[n->count++] = u;
    return 0;
}

int userfault_begin(struct userfault_news *n, struct space *s, u64 start, u64 end, u64 feature) {
    struct mapping m;
    int error = 0;
    n->who = n->few;
    n->count = 0;
    n->room = USERFAULT_WATCHERS;
    n->start = start;
    n->end = end;
    for (u64 at = start; !error && space_walk_to(s, at, end, &m); at = m.end) {
        struct watch *w = m.view->watch;
        if (w && of_watch(w)->features & feature)
            error = add(n, of_watch(w));
        space_walk_end(&m);
    }
    if (error)
        userfault_cancel(n);
    return error;
}

static void end_news(struct userfault_news *n, const struct uffd_msg *message) {
    for (unsigned i = 0; i < n->count; i++) {
        struct wait w = {.message = message ? *message : (struct uffd_msg){0}};
        if (message)
            (void)tell(n->who[i], &w);
        atomic_sub(&n->who[i]->changing, 1);
        put(n->who[i]);
    }
    if (n->who != n->few)
        kfree(n->who);
}

void userfault_cancel(struct userfault_news *n) { end_news(n, NULL); }

void userfault_unmapped(struct userfault_news *n) {
    struct uffd_msg m = {.event = UFFD_EVENT_UNMAP, .arg.remove = {n->start, n->end}};
    end_news(n, &m);
}

void userfault_removed(struct userfault_news *n) {
    struct uffd_msg m = {.event = UFFD_EVENT_REMOVE, .arg.remove = {n->start, n->end}};
    end_news(n, &m);
}

void userfault_moved(struct userfault_news *n, u64 to) {
    struct uffd_msg m = {.event = UFFD_EVENT_REMAP, .arg.remap = {n->start, to, n->end - n->start}};
    end_news(n, to == n->start ? NULL : &m);
}

static void tell_of_fork(struct space *child, struct userfault *born) {
    struct userfault *parent = born->parent;
    struct wait w = {.message = {.event = UFFD_EVENT_FORK}, .born = born};
    if (!tell(parent, &w))
        (void)space_forget_watch(child, &born->watch); /* short of memory: forget_late */
    born->parent = NULL;
    put(parent);
}

void userfault_forked(struct space *child) {
    struct birth b;
    do {
        b = (struct birth){0};
        watch_each(child, look_at_birth, &b);
        if (b.born) {
            tell_of_fork(child, b.born);
            put(b.born);
        }
    } while (b.born);
}

/* ---- the file ---- */

static bool anything(struct userfault *u) { return !list_empty(&u->pending) || !list_empty(&u->news); }

/* The next message. False: there is none. *born: with a reference. */
static bool take(struct userfault *u, struct uffd_msg *m, struct userfault **born) {
    *born = NULL;
    spin_lock(&u->lock);
    bool faults = !list_empty(&u->pending), any = faults || !list_empty(&u->news);
    if (any) {
        struct wait *w = list_first(faults ? &u->pending : &u->news, struct wait, link);
        *m = w->message;
        if (w->born)
            get(*born = w->born);
        if (faults) {
            list_del(&w->link);
            list_add_tail(&u->asked, &w->link);
        } else {
            end_wait(w);
        }
    }
    spin_unlock(&u->lock);
    return any;
}

/* A descriptor for the child's, which the message names. */
static int adopt(struct userfault *born, struct uffd_msg *m) {
    struct file *file = open_file(born);
    int fd = is_err(file) ? ptr_err(file) : fd_install(file, born->flags & O_CLOEXEC, 0);
    if (fd < 0 && !is_err(file))
        file_put(file); /* the child's memory is watched no more */
    m->arg.fork.ufd = (u32)fd;
    return fd < 0 ? fd : 0;
}

static int next_message(struct userfault *u, bool wait, struct uffd_msg *m) {
    struct userfault *born;
    int error = 0;
    while (!take(u, m, &born)) {
        if (!wait)
            return -EAGAIN;
        if (wait_until_interruptible(&u->readers, anything(u)))
            return -ERESTARTSYS;
    }
    if (born) {
        error = adopt(born, m);
        put(born);
    }
    return error;
}

static ssize_t userfault_read(struct file *file, struct iov *to, u64 *position) {
    struct userfault *u = file->private_data;
    bool wait = !(file->flags & O_NONBLOCK);
    ssize_t done = 0, error = to->bytes < sizeof(struct uffd_msg) || !(atomic_load(&u->features) & READY) ? -EINVAL : 0;
    while (!error && to->bytes >= sizeof(struct uffd_msg)) {
        struct uffd_msg m;
        error = next_message(u, wait && !done, &m);
        if (!error && iov_put(to, &m, sizeof(m)) != sizeof(m))
            error = -EFAULT;
        done += error ? 0 : (ssize_t)sizeof(m);
    }
    return done ? done : error;
}

static u32 userfault_poll(struct file *file, struct poll_table *table) {
    struct userfault *u = file->private_data;
    poll_wait(table, &u->readers);
    if (!(atomic_load(&u->features) & READY) || !(file->flags & O_NONBLOCK))
        return POLLERR;
    spin_lock(&u->lock);
    bool any = anything(u);
    spin_unlock(&u->lock);
    return any ? POLLIN : 0;
}

/* Once the memory is watched no more nobody comes to wait: then those who do try again. */
static void userfault_release(struct file *file) {
    struct userfault *u = file->private_data;
    (void)forget_late(u); /* what memory is too short for, who touches it makes up for */
    spin_lock(&u->lock);
    u->closed = true;
    wake_list(&u->pending, 0, 0);
    wake_list(&u->asked, 0, 0);
    wake_list(&u->news, 0, 0);
    spin_unlock(&u->lock);
    put(u);
}

/* ---- its ioctls: ioctl_userfaultfd(2) ---- */

static bool valid(u64 start, u64 bytes) {
    const u64 low = 64 * KiB; /* mmap_min_addr */
    return !(start % PAGE_SIZE) && !(bytes % PAGE_SIZE) && bytes && start >= low && start < USER_TOP &&
           bytes <= USER_TOP - start;
}

static long set_api(struct userfault *u, void __user *user) {
    struct uffdio_api api;
    u64 none = 0;
    if (copy_from_user(&api, user, sizeof(api)))
        return -EFAULT;
    u64 features = api.features;
    long error = api.api != UFFD_API || features & ~(u64)UFFD_API_FEATURES        ? -EINVAL
                 : features & UFFD_FEATURE_EVENT_FORK && !capable(CAP_SYS_PTRACE) ? -EPERM
                                                                                  : 0;
    api = error ? (struct uffdio_api){0}
                : (struct uffdio_api){.api = UFFD_API, .features = UFFD_API_FEATURES, .ioctls = UFFD_API_IOCTLS};
    if (copy_to_user(user, &api, sizeof(api)))
        return -EFAULT;
    if (!error && !__atomic_compare_exchange_n(&u->features, &none, features | READY, false, __ATOMIC_SEQ_CST,
                                               __ATOMIC_RELAXED)) {
        api = (struct uffdio_api){0};
        return copy_to_user(user, &api, sizeof(api)) ? -EFAULT : -EINVAL;
    }
    u->watch.follows = features & UFFD_FEATURE_EVENT_REMAP;
    return error;
}

static u32 modes_of(u64 mode) {
    return (mode & UFFDIO_REGISTER_MODE_MISSING ? WATCH_MISSING : 0) |
           (mode & UFFDIO_REGISTER_MODE_WP ? WATCH_GUARDED : 0) | (mode & UFFDIO_REGISTER_MODE_MINOR ? WATCH_MINOR : 0);
}

static long set_watch(struct userfault *u, struct space *s, void __user *user) {
    struct uffdio_register r;
    if (copy_from_user(&r, user, offsetof(struct uffdio_register, ioctls)))
        return -EFAULT;
    if (!r.mode || r.mode & ~(u64)UFFD_API_REGISTER_MODES || !valid(r.range.start, r.range.len))
        return -EINVAL;
    long error = s ? space_watch(s, r.range.start, r.range.len, &u->watch, modes_of(r.mode)) : -ENOMEM;
    u64 ioctls = UFFD_API_RANGE_IOCTLS;
    if (!(r.mode & UFFDIO_REGISTER_MODE_WP))
        ioctls &= ~(1ULL << _UFFDIO_WRITEPROTECT);
    if (!(r.mode & UFFDIO_REGISTER_MODE_MINOR))
        ioctls &= ~(1ULL << _UFFDIO_CONTINUE);
    if (!error && put_user(ioctls, &((struct uffdio_register __user *)user)->ioctls))
        error = -EFAULT;
    return error;
}

static long take_range(struct uffdio_range *range, void __user *user) {
    if (copy_from_user(range, user, sizeof(*range)))
        return -EFAULT;
    return valid(range->start, range->len) ? 0 : -EINVAL;
}

static long end_watch(struct userfault *u, struct space *s, void __user *user) {
    struct uffdio_range range;
    long error = take_range(&range, user);
    if (!error)
        error = s ? space_unwatch(s, range.start, range.len) : -ENOMEM;
    if (!error)
        wake(u, range.start, range.len);
    return error;
}

static long wake_range(struct userfault *u, struct space *s, void __user *user) {
    struct uffdio_range range;
    long error = take_range(&range, user);
    if (!error)
        wake(u, range.start, range.len);
    return error;
}

/* Where pages go that a program supplies, and from where. */
struct delivery {
    u64 start, bytes;
    enum supply how;
    u64 from; /* SUPPLY_PAGE: user addresses */
    bool guard, wake;
};

/* Page by page. The bytes that were supplied, or why none was. */
static long supply_pages(struct space *s, const struct delivery *d) {
    struct frame *frame = NULL;
    bool shared = false;
    u64 done = 0;
    long error = space_may_supply(s, d->start, d->bytes, d->how, d->guard, &shared);
    while (done < d->bytes && !error) {
        if (d->how == SUPPLY_PAGE && !frame)
            error = (frame = supply_frame(shared, false)) ? 0 : -ENOMEM;
        if (!error && frame && copy_from_user(frame_va(frame), (void __user *)(d->from + done), PAGE_SIZE))
            error = -EFAULT;
        if (!error)
            error = space_supply(s, d->start + done, d->how, &frame, d->guard);
        done += error ? 0 : PAGE_SIZE;
        if (!error && !machine_goes_on())
            error = -EINTR;
    }
    if (frame)
        frame_free(frame, 0);
    return done ? (long)done : error;
}

/* *result: where the bytes, or the error, are told. */
static long deliver(struct userfault *u, struct space *s, const struct delivery *d, __s64 __user *result) {
    if (!s)
        return -ESRCH;
    long done = supply_pages(s, d);
    if (put_user(done, result))
        return -EFAULT;
    if (done < 0)
        return done;
    if (d->wake)
        wake(u, d->start, done);
    return (u64)done == d->bytes ? 0 : -EAGAIN;
}

static long copy_pages(struct userfault *u, struct space *s, void __user *user) {
    struct uffdio_copy c;
    if (copy_from_user(&c, user, offsetof(struct uffdio_copy, copy)))
        return -EFAULT;
    if (!valid(c.dst, c.len) || c.src + c.len <= c.src || c.mode & ~(UFFDIO_COPY_MODE_DONTWAKE | UFFDIO_COPY_MODE_WP))
        return -EINVAL;
    struct delivery d = {.start = c.dst,
                         .bytes = c.len,
                         .how = SUPPLY_PAGE,
                         .from = c.src,
                         .guard = c.mode & UFFDIO_COPY_MODE_WP,
                         .wake = !(c.mode & UFFDIO_COPY_MODE_DONTWAKE)};
    return deliver(u, s, &d, &((struct uffdio_copy __user *)user)->copy);
}

static long zero_pages(struct userfault *u, struct space *s, void __user *user) {
    struct uffdio_zeropage z;
    if (copy_from_user(&z, user, offsetof(struct uffdio_zeropage, zeropage)))
        return -EFAULT;
    if (!valid(z.range.start, z.range.len) || z.mode & ~UFFDIO_ZEROPAGE_MODE_DONTWAKE)
        return -EINVAL;
    struct delivery d = {.start = z.range.start,
                         .bytes = z.range.len,
                         .how = SUPPLY_ZERO,
                         .wake = !(z.mode & UFFDIO_ZEROPAGE_MODE_DONTWAKE)};
    return deliver(u, s, &d, &((struct uffdio_zeropage __user *)user)->zeropage);
}

static long continue_pages(struct userfault *u, struct space *s, void __user *user) {
    struct uffdio_continue c;
    if (copy_from_user(&c, user, offsetof(struct uffdio_continue, mapped)))
        return -EFAULT;
    if (!valid(c.range.start, c.range.len) || c.mode & ~UFFDIO_CONTINUE_MODE_DONTWAKE)
        return -EINVAL;
    struct delivery d = {.start = c.range.start,
                         .bytes = c.range.len,
                         .how = SUPPLY_CACHED,
                         .wake = !(c.mode & UFFDIO_CONTINUE_MODE_DONTWAKE)};
    return deliver(u, s, &d, &((struct uffdio_continue __user *)user)->mapped);
}

static long write_protect(struct userfault *u, struct space *s, void __user *user) {
    struct uffdio_writeprotect p;
    if (copy_from_user(&p, user, sizeof(p)))
        return -EFAULT;
    bool guard = p.mode & UFFDIO_WRITEPROTECT_MODE_WP, quiet = p.mode & UFFDIO_WRITEPROTECT_MODE_DONTWAKE;
    if (!valid(p.range.start, p.range.len) ||
        p.mode & ~(UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE) || (guard && quiet))
        return -EINVAL;
    long error = s ? space_guard(s, p.range.start, p.range.len, guard) : -ESRCH;
    if (!error && !guard && !quiet)
        wake(u, p.range.start, p.range.len);
    return error;
}

/* While news of the memory are not read, nothing is put there: it may be for what was there before. */
static long userfault_ioctl(struct file *file, u32 command, u64 argument) {
    static const struct {
        u32 command;
        bool fills;
        long (*act)(struct userfault *u, struct space *s, void __user *argument);
    } commands[] = {
        {UFFDIO_REGISTER, false, set_watch},        {UFFDIO_UNREGISTER, false, end_watch},
        {UFFDIO_WAKE, false, wake_range},           {UFFDIO_COPY, true, copy_pages},
        {UFFDIO_ZEROPAGE, true, zero_pages},        {UFFDIO_CONTINUE, true, continue_pages},
        {UFFDIO_WRITEPROTECT, true, write_protect},
    };
    struct userfault *u = file->private_data;
    unsigned i = 0;
    if (command == UFFDIO_API)
        return set_api(u, (void __user *)argument);
    while (i < array_count(commands) && commands[i].command != command)
        i++;
    if (i == array_count(commands) || !(atomic_load(&u->features) & READY))
        return -EINVAL;
    if (commands[i].fills && atomic_load(&u->changing))
        return -EAGAIN;
    struct space *s = watch_space(&u->watch);
    long result = commands[i].act(u, s, (void __user *)argument);
    if (s)
        space_put(s);
    return result;
}

static unsigned length_of(const struct list *list) {
    unsigned n = 0;
    for (const struct list *l = list->next; l != list; l = l->next)
        n++;
    return n;
}

int userfault_fdinfo(struct file *f, char *text, size_t bytes) {
    struct userfault *u = f->private_data;
    if (f->ops != &userfault_ops)
        return 0;
    spin_lock(&u->lock);
    unsigned pending = length_of(&u->pending), total = pending + length_of(&u->asked);
    spin_unlock(&u->lock);
    return ksnprintf(text, bytes, "pending:\t%u\ntotal:\t%u\nAPI:\t%lx:%x:%lx\n", pending, total,
                     (unsigned long)UFFD_API, (u32)atomic_load(&u->features),
                     (unsigned long)(UFFD_API_IOCTLS | UFFD_API_RANGE_IOCTLS));
}

static const struct file_ops userfault_ops = {
    .seek = event_seek,
    .release = userfault_release,
    .read = userfault_read,
    .poll = userfault_poll,
    .ioctl = userfault_ioctl,
};
