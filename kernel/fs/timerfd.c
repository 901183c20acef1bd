/* timerfd.c - a timer that a program reads: timerfd_create(2).
 *
 * The timer itself fires once per expiry that somebody looks at: an interval is advanced when the file is read or
 * asked, not when it fires, so that a program which asks for an interval of 1 ns costs nothing while it does not read.
 */
#include <linux/poll.h>
#include <linux/time.h>

#include "fs/event.h"
#include "fs/io.h"
#include "fs/pipe.h"
#include "task/task.h"
#include "vm/slab.h"

struct timerfd {
    struct mutex lock;  /* settings against settings and reads */
    struct timer timer; /* its deadline is monotonic */
    bool wall;          /* CLOCK_REALTIME: absolute times are turned into monotonic ones when set */
    u64 interval_ns;    /* under lock */
    u64 ticks;          /* expiries not yet read; atomic */
    bool fired;         /* the timer ran and was not armed again; atomic */
    struct waitq queue;
};

static const struct file_ops timerfd_ops;

/* Queued work: may not sleep. */
static void timerfd_run(struct timer *t) {
    struct timerfd *f = container_of(t, struct timerfd, timer);
    atomic_store(&f->fired, true);
    atomic_add(&f->ticks, 1);
    waitq_wake_all(&f->queue);
}

/* Count the intervals that passed since the timer fired, and arm it for the next. Holds f->lock. */
static void catch_up(struct timerfd *f) {
    u64 now = clock_ns();
    if (!atomic_load(&f->fired) || !f->interval_ns)
        return;
    u64 passed = now > f->timer.deadline_ns ? (now - f->timer.deadline_ns) / f->interval_ns : 0;
    atomic_store(&f->fired, false);
    atomic_add(&f->ticks, passed);
    timer_arm(&f->timer, f->timer.deadline_ns + (passed + 1) * f->interval_ns);
}

static ssize_t timerfd_read(struct file *file, struct iov *to, u64 *position) {
    struct timerfd *f = file->private_data;
    u64 ticks = 0;

    if (to->bytes < sizeof(ticks))
        return -EINVAL;
    while (!ticks) {
        if (!atomic_load(&f->ticks) && (file->flags & O_NONBLOCK))
            return -EAGAIN;
        if (wait_until_interruptible(&f->queue, atomic_load(&f->ticks)))
            return -ERESTARTSYS;
        mutex_lock(&f->lock);
        if (atomic_load(&f->ticks))
            catch_up(f);
        ticks = atomic_xchg(&f->ticks, 0);
        mutex_unlock(&f->lock);
    }
    return iov_put(to, &ticks, sizeof(ticks)) == sizeof(ticks) ? (ssize_t)sizeof(ticks) : -EFAULT;
}

static u32 timerfd_poll(struct file *file, struct poll_table *table) {
    struct timerfd *f = file->private_data;
    poll_wait(table, &f->queue);
    return atomic_load(&f->ticks) ? POLLIN : 0;
}

static void timerfd_release(struct file *file) {
    struct timerfd *f = file->private_data;
    timer_cancel(&f->timer);
    kfree(f);
}

static const struct file_ops timerfd_ops = {
    .seek = event_seek,
    .release = timerfd_release,
    .read = timerfd_read,
    .poll = timerfd_poll,
};

struct file *timerfd_create(int clock, int flags) {
    struct timerfd *f = kzalloc(sizeof(*f));
    struct inode *inode = anon_inode();
    if (!f) {
        inode_put(inode);
        return err_ptr(-ENOMEM);
    }
    mutex_init(&f->lock);
    waitq_init(&f->queue);
    f->timer.run = timerfd_run;
    f->wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
    struct file *file = file_make(inode, &timerfd_ops, O_RDWR | flags, "anon_inode:[timerfd]");
    if (is_err(file)) {
        inode_put(inode);
        kfree(f);
    } else {
        file->private_data = f;
    }
    return file;
}

/* What is left until the next expiry. Holds f->lock. */
static void read_setting(struct timerfd *f, struct timerfd_setting *out) {
    u64 now = clock_ns();
    catch_up(f);
    out->interval_ns = f->interval_ns;
    out->value_ns = 0;
    if (f->timer.armed)
        out->value_ns = f->timer.deadline_ns > now ? f->timer.deadline_ns - now : 1;
}

/* The monotonic deadline of a setting's value. A time that passed is now; one beyond the clock's end is never. */
static u64 deadline_of(struct timerfd *f, u64 value_ns, bool absolute) {
    u64 now = clock_ns();
    if (absolute && f->wall) {
        u64 wall = clock_wall_ns();
        value_ns = value_ns > wall ? value_ns - wall : 0;
        absolute = false;
    }
    if (absolute)
        return value_ns;
    return value_ns < SLEEP_FOREVER - now ? now + value_ns : SLEEP_FOREVER - 1;
}

/* Holds f->lock; the timer is off. */
static void arm(struct timerfd *f, u64 value_ns, bool absolute) {
    u64 now = clock_ns(), wall = clock_wall_ns();
    if (absolute && f->wall && f->interval_ns && value_ns < wall) {
        /* What has come of its intervals counts, and what comes keeps step with them: from a time that may be before
         * the monotonic clock's first. */
        u64 late = wall - value_ns;
        atomic_store(&f->ticks, late / f->interval_ns + 1);
        timer_arm(&f->timer, now + f->interval_ns - late % f->interval_ns);
        waitq_wake_all(&f->queue);
    } else {
        timer_arm(&f->timer, deadline_of(f, value_ns, absolute));
    }
}

int timerfd_set(struct file *file, const struct timerfd_setting *setting, bool absolute, struct timerfd_setting *old) {
    struct timerfd *f = file->private_data;
    if (file->ops != &timerfd_ops)
        return -EINVAL;
    mutex_lock(&f->lock);
    read_setting(f, old);
    timer_cancel(&f->timer);
    atomic_store(&f->fired, false);
    atomic_store(&f->ticks, 0);
    f->interval_ns = setting->interval_ns;
    if (setting->value_ns)
        arm(f, setting->value_ns, absolute);
    mutex_unlock(&f->lock);
    return 0;
}

int timerfd_get(struct file *file, struct timerfd_setting *out) {
    struct timerfd *f = file->private_data;
    if (file->ops != &timerfd_ops)
        return -EINVAL;
    mutex_lock(&f->lock);
    read_setting(f, out);
    mutex_unlock(&f->lock);
    return 0;
}
