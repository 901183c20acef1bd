/* proc_pressure.c - /proc/pressure: what share of time tasks lose (task/pressure.h), and triggers, which tell a program
 * when it is much (Linux's Documentation/accounting/psi.rst, "Monitoring for pressure thresholds").
 *
 * A trigger belongs to the open file to which its line was written, "some|full THRESHOLD WINDOW" in microseconds: poll
 * says POLLPRI once when more than the threshold was lost within a window, and not again before a window has passed. A
 * timer looks ten times in a window; what the window before had counts by the part of it that a window which ends now
 * would still cover. */
#include <asm/poll.h>
#include <linux/capability.h>

#include "fs/io.h"
#include "fs/proc.h"
#include "task/pressure.h"
#include "task/task.h"
#include "vm/slab.h"

#define US 1000ULL
#define WINDOW_LEAST_US 500000u
#define WINDOW_MOST_US 10000000u
#define LOOKS 10u /* in a window */
#define LINE 32u  /* bytes of a write that count, the last of which is taken for the string's end */
#define PERIOD_US                                                                                                      \
    2000000u /* the averages': windows of who is not root are so many of them, for they cost nothing more */

struct trigger {
    struct timer timer;
    struct waitq queue;
    enum pressure which;
    bool full;
    bool tells; /* [a] it has something to tell */
    u64 threshold_ns, window_ns;
    u64 began_ns;    /* the window, */
    u64 lost_then;   /* what had been lost at its begin, */
    u64 lost_before; /* and in the one before */
    u64 told_ns;     /* when it last told; 0: not yet */
};

static enum pressure kind_of(const struct synth *s) { return (enum pressure)s->node->data; }

/* ---- reading ---- */

static void pressure_line(struct text *t, const char *name, const u64 averages[3], u64 ns) {
    text_print(t, "%s", name);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const spans[3] = {"10", "60", "300"};
        unsigned long hundredths = (unsigned long)(averages[i] * 100 / PRESSURE_ONE);
        text_print(t, " avg%s=%lu.%02lu", spans[i], hundredths / 100, hundredths % 100);
    }
    text_print(t, " total=%lu\n", (unsigned long)(ns / US));
}

int proc_pressure(struct synth *s, struct text *t) {
    struct pressure_figures f;
    pressure_look(kind_of(s), &f);
    pressure_line(t, "some", f.some, f.some_ns);
    pressure_line(t, "full", f.full, f.full_ns);
    return 0;
}

/* ---- triggers ---- */

static u64 lost(const struct trigger *t) {
    struct pressure_figures f;
    pressure_look(t->which, &f);
    return t->full ? f.full_ns : f.some_ns;
}

/* What was lost in the window that ends now. */
static u64 lost_lately(struct trigger *t, u64 now) {
    u64 all = lost(t), growth = all - t->lost_then, passed = now - t->began_ns;
    if (passed <= t->window_ns)
        return growth + t->lost_before / LOOKS * ((t->window_ns - passed) * LOOKS / t->window_ns);
    t->began_ns = now;
    t->lost_then = all;
    t->lost_before = growth;
    return growth;
}

/* Queued work: may not sleep. */
static void look(struct timer *timer) {
    struct trigger *t = container_of(timer, struct trigger, timer);
    u64 now = clock_ns();
    bool much = lost_lately(t, now) >= t->threshold_ns;
    if (much && (!t->told_ns || now >= t->told_ns + t->window_ns)) {
        t->told_ns = now;
        atomic_store(&t->tells, true);
        waitq_wake_all(&t->queue);
    }
    timer_arm(timer, now + t->window_ns / LOOKS);
}

/* The number of microseconds at *text, which moves behind it; 0: there is none, or it is too large. */
static u64 take_number(const char **text) {
    u64 number = 0;
    while (**text == ' ')
        ++*text;
    for (; **text >= '0' && **text <= '9' && number <= WINDOW_MOST_US; ++*text)
        number = number * 10 + (u64)(**text - '0');
    return number;
}

static bool parse(struct trigger *t, const char *text) {
    t->full = !strncmp(text, "full ", 5);
    if (!t->full && strncmp(text, "some ", 5))
        return false;
    text += 5;
    t->threshold_ns = take_number(&text) * US;
    t->window_ns = take_number(&text) * US;
    if (t->window_ns % (PERIOD_US * US) && !capable(CAP_SYS_RESOURCE))
        return false;
    return t->window_ns >= WINDOW_LEAST_US * US && t->window_ns <= WINDOW_MOST_US * US && t->threshold_ns &&
           t->threshold_ns <= t->window_ns;
}

static void begin(struct trigger *t) {
    waitq_init(&t->queue);
    t->began_ns = clock_ns();
    t->lost_then = lost(t);
    t->timer.run = look;
}

static ssize_t pressure_write(struct file *file, struct iov *from, u64 *position) {
    char text[LINE];
    size_t asked = from->bytes, bytes = min(asked, sizeof(text));
    struct trigger *t;
    ssize_t result;
    if (!asked)
        return -EINVAL;
    t = kzalloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    result = -EFAULT;
    if (iov_take(from, text, bytes) < bytes)
        goto out;
    text[bytes - 1] = '\0';
    t->which = kind_of(synth_of(file->inode));
    result = -EBUSY;
    if (atomic_load(synth_text_own(file)))
        goto out;
    result = -EINVAL;
    if (!parse(t, text))
        goto out;
    begin(t);
    result = -EBUSY;
    if (!atomic_cas(synth_text_own(file), NULL, t))
        goto out;
    timer_arm(&t->timer, t->began_ns + t->window_ns / LOOKS);
    return (ssize_t)asked;
out:
    kfree(t);
    return result;
}

static u32 pressure_poll(struct file *file, struct poll_table *table) {
    struct trigger *t = atomic_load(synth_text_own(file));
    u32 events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
    if (!t)
        return events | POLLERR | POLLPRI;
    poll_wait(table, &t->queue);
    return atomic_xchg(&t->tells, false) ? events | POLLPRI : events;
}

static void pressure_release(struct file *file) {
    struct trigger *t = file->private_data ? *synth_text_own(file) : NULL;
    if (t) {
        timer_cancel(&t->timer);
        kfree(t);
    }
    synth_text_release(file);
}

const struct file_ops proc_pressure_ops = {
    .open = synth_text_open,
    .release = pressure_release,
    .read = synth_text_read,
    .write = pressure_write,
    .poll = pressure_poll,
    .seek = synth_seek,
};
