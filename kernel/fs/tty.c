/* tty.c - the line discipline (Linux's N_TTY).
 *
 *     typed --> tty_input --> [tail .. lines .. canon .. line being typed .. head] --> read
 *                   |  echo
 *                   v
 *     write --> raw --> cook (OPOST) --> cooked --> ops->write
 *
 * Owns struct tty. Input is processed as it comes, whether or not somebody reads, so that Ctrl-C reaches a program that
 * does not. Echo is put into a ring and shown by whoever has the output next: the one who types never waits for a
 * writer.
 *
 * Locks: t->output (sleeping), then t->lock. Signals are sent with neither.
 * Not here: who is at the other end (stream.c, pty.c); job control (tty_job.c); settings (tty_ioctl.c); ECHOPRT;
 * delays. */
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/capability.h>

#include "fs/io.h"
#include "fs/tty_inner.h"
#include "task/task.h"

#define TAB_COLUMNS 8u
#define COPY_BYTES 256u /* at a time between the ring and a reader */
#define TENTH_NS 100000000UL
#define DRAIN_STEP_NS 1000000UL

/* Is c the special character `which`? One set to 0 is disabled (_POSIX_VDISABLE). */
static bool is_special(struct tty *t, unsigned which, u8 c) { return c && t->settings.c_cc[which] == c; }
static bool is_control(u8 c) { return c < ' ' || c == 0x7f; }
static bool is_continuation(struct tty *t, u8 c) { return has_input(t, IUTF8) && (c & 0xc0) == 0x80; }

void tty_init(struct tty *t, const struct tty_ops *ops, const struct termios *settings) {
    static const struct termios first = {
        .c_iflag = ICRNL | IXON,
        .c_oflag = OPOST | ONLCR,
        .c_cflag = B38400 | CS8 | CREAD | HUPCL,
        .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        .c_cc = {[VINTR] = 'C' & 31,
                 [VQUIT] = '\\' & 31,
                 [VERASE] = 0x7f,
                 [VKILL] = 'U' & 31,
                 [VEOF] = 'D' & 31,
                 [VMIN] = 1,
                 [VSTART] = 'Q' & 31,
                 [VSTOP] = 'S' & 31,
                 [VSUSP] = 'Z' & 31,
                 [VREPRINT] = 'R' & 31,
                 [VDISCARD] = 'O' & 31,
                 [VWERASE] = 'W' & 31,
                 [VLNEXT] = 'V' & 31},
    };
    _Static_assert(sizeof(struct termios) == 36, "as wire.h sends it");
    t->ops = ops;
    memcpy(&t->settings, settings ? settings : &first, sizeof(*settings));
    t->settings.c_ispeed = t->settings.c_ospeed = 38400;
    waitq_init(&t->readable);
    waitq_init(&t->room);
    waitq_init(&t->writable);
    mutex_init(&t->output);
}

/* ---- output ---- */

/* Output processing of one byte; at most TAB_COLUMNS bytes to out. Returns how many. Output held. */
static unsigned cook_byte(struct tty *t, u8 c, u8 *out) {
    unsigned count = 0;
    switch (c) {
    case '\n':
        if (has_output(t, ONLCR))
            out[count++] = '\r';
        if (has_output(t, ONLCR | ONLRET))
            t->column = 0;
        break;
    case '\r':
        if (has_output(t, ONOCR) && t->column == 0)
            return 0;
        if (has_output(t, OCRNL))
            c = '\n';
        if (!has_output(t, OCRNL) || has_output(t, ONLRET))
            t->column = 0;
        break;
    case '\t': {
        unsigned columns = TAB_COLUMNS - t->column % TAB_COLUMNS;
        t->column += columns;
        if ((t->settings.c_oflag & TABDLY) == XTABS) {
            memset(out, ' ', columns);
            return columns;
        }
        break;
    }
    case '\b':
        t->column -= t->column > 0;
        break;
    default:
        if (has_output(t, OLCUC) && c >= 'a' && c <= 'z')
            c -= 'a' - 'A';
        t->column += !is_control(c) && !is_continuation(t, c);
    }
    out[count++] = c;
    return count;
}

/* Processes raw bytes into t->cooked, as many as give `room` bytes at most. Returns how many raw bytes that are. */
static size_t cook(struct tty *t, const u8 *raw, size_t bytes, size_t room, size_t *cooked) {
    size_t taken = 0, made = 0;
    while (taken < bytes) {
        u8 out[TAB_COLUMNS] = {raw[taken]};
        u32 column = t->column;
        unsigned count = has_output(t, OPOST) ? cook_byte(t, raw[taken], out) : 1;
        if (made + count > room) {
            t->column = column;
            break;
        }
        memcpy(t->cooked + made, out, count);
        made += count;
        taken++;
    }
    *cooked = made;
    return taken;
}

/* Shows raw bytes. Returns how many were shown, or -errno when none. Output held. */
static ssize_t show(struct tty *t, const u8 *raw, size_t bytes) {
    size_t done = 0;
    ssize_t error = 0;
    while (done < bytes && !error) {
        size_t cooked, shown = 0;
        u32 column = t->column;
        size_t taken = cook(t, raw + done, bytes - done, sizeof(t->cooked), &cooked);
        while (shown < cooked && !error) {
            ssize_t wrote = t->ops->write(t, t->cooked + shown, cooked - shown);
            if (wrote < 0)
                error = wrote;
            else
                shown += wrote;
        }
        if (shown < cooked) { /* which raw bytes were these? Start again from the old column, with that much room */
            t->column = column;
            taken = cook(t, raw + done, bytes - done, shown, &cooked);
        }
        done += taken;
    }
    return done ? (ssize_t)done : error;
}

/* Would the other end take output? */
static bool has_room(struct tty *t) { return !t->ops->room || t->ops->room(t); }

static u32 echo_take(struct tty *t, u8 *out, u32 most) {
    u32 count = 0;
    spin_lock(&t->lock);
    while (count < most && t->echo_tail != t->echo_head)
        out[count++] = t->echo[t->echo_tail++ % TTY_ECHO];
    spin_unlock(&t->lock);
    return count;
}

/* Output held. */
static void echo_show(struct tty *t) {
    for (u32 count; has_room(t) && (count = echo_take(t, t->raw, TTY_CHUNK)) != 0;)
        (void)show(t, t->raw, count); /* an echo that fails has nobody to tell */
}

/* Is there an echo that can be shown? */
static bool echo_waits(struct tty *t) {
    return atomic_load(&t->echo_head) != atomic_load(&t->echo_tail) && !atomic_load(&t->stopped) && has_room(t);
}

/* Lets go of the output. What came to be echoed meanwhile is shown first; and what comes between that and the unlock,
 * when its typist finds the output taken, by going round again. */
static void output_end(struct tty *t) {
    do {
        echo_show(t);
        mutex_unlock(&t->output);
    } while (echo_waits(t) && mutex_try(&t->output));
}

static void echo_flush(struct tty *t) {
    if (echo_waits(t) && mutex_try(&t->output))
        output_end(t);
}

void tty_output_room(struct tty *t) {
    waitq_wake_all(&t->writable);
    echo_flush(t);
}

void tty_drain(struct tty *t, u64 deadline_ns) {
    struct waitq never;
    waitq_init(&never);
    while (clock_ns() < deadline_ns && (atomic_load(&t->echo_head) != atomic_load(&t->echo_tail) || t->output.owner)) {
        echo_flush(t);
        (void)wait_until_deadline(&never, false, false, clock_ns() + DRAIN_STEP_NS);
    }
}

/* ---- input: under t->lock ---- */

static void echo_raw(struct tty *t, u8 c) {
    if (t->echo_head - t->echo_tail >= TTY_ECHO)
        return; /* the terminal takes nothing: typing blind is all there is */
    t->echo[t->echo_head % TTY_ECHO] = c;
    atomic_store(&t->echo_head, t->echo_head + 1);
}

static void echo_byte(struct tty *t, u8 c) {
    if (is_control(c) && has_local(t, ECHOCTL) && c != '\t' && c != '\n') {
        echo_raw(t, '^');
        c ^= 0x40;
    }
    echo_raw(t, c);
}

static u32 input_count(struct tty *t) { return t->head - t->tail; }
static bool input_full(struct tty *t) {
    return input_count(t) >= TTY_INPUT - 1;
} /* one place is kept for a line's end */

static bool is_end(struct tty *t, u32 at) { return t->ends[at % TTY_INPUT / 64] >> (at % 64) & 1; }
static void set_end(struct tty *t, u32 at, bool end) {
    u64 bit = 1ULL << (at % 64), *word = &t->ends[at % TTY_INPUT / 64];
    *word = end ? *word | bit : *word & ~bit;
}

static void store(struct tty *t, u8 c, bool end) {
    if (t->head == t->canon)
        t->line_column = atomic_load_relaxed(&t->column);
    t->input[t->head % TTY_INPUT] = c;
    set_end(t, t->head, end);
    t->head++;
    if (end)
        t->canon = t->head;
}

static void store_and_echo(struct tty *t, u8 c) {
    if (input_full(t)) {
        if (has_input(t, IMAXBEL))
            echo_raw(t, '\a');
        return;
    }
    store(t, c, false);
    if (has_local(t, ECHO))
        echo_byte(t, c);
}

/* The column that the typed line reaches before its byte `until`. */
static u32 typed_column(struct tty *t, u32 until) {
    u32 column = t->line_column;
    for (u32 at = t->canon; at != until; at++) {
        u8 c = t->input[at % TTY_INPUT];
        if (c == '\t')
            column += TAB_COLUMNS - column % TAB_COLUMNS;
        else if (is_control(c))
            column += has_local(t, ECHOCTL) ? 2 : 0;
        else
            column += !is_continuation(t, c);
    }
    return column;
}

/* Takes back what was typed from byte `from` on, on the screen too. `by`: the character that asks for it. */
static void erase_from(struct tty *t, u32 from, u8 by) {
    u32 after = typed_column(t, t->head), before = typed_column(t, from);
    bool tab = false;
    for (u32 at = from; at != t->head; at++)
        tab |= t->input[at % TTY_INPUT] == '\t';
    t->head = from;
    if (!has_local(t, ECHO))
        return;
    if (!has_local(t, ECHOE)) {
        echo_byte(t, by);
        return;
    }
    for (; after > before; after--) {
        echo_raw(t, '\b');
        if (!tab) { /* a tab shows nothing to wipe; what else went with it is wiped by going over it */
            echo_raw(t, ' ');
            echo_raw(t, '\b');
        }
    }
}

static bool is_word(u8 c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c >= 0x80;
}

/* ERASE: where the last character began (several bytes in UTF-8). */
static u32 before_character(struct tty *t) {
    u32 at = t->head;
    do
        at--;
    while (at != t->canon && is_continuation(t, t->input[at % TTY_INPUT]));
    return at;
}

/* WERASE: behind the last word: over what is no word, then over the word. */
static u32 before_word(struct tty *t) {
    u32 at = t->head;
    while (at != t->canon && !is_word(t->input[(at - 1) % TTY_INPUT]))
        at--;
    while (at != t->canon && is_word(t->input[(at - 1) % TTY_INPUT]))
        at--;
    return at;
}

static void kill_line(struct tty *t, u8 by) {
    if (has_local(t, ECHOK) && has_local(t, ECHOKE) && has_local(t, ECHOE)) {
        erase_from(t, t->canon, by);
        return;
    }
    t->head = t->canon;
    if (has_local(t, ECHO))
        echo_byte(t, by);
    if (has_local(t, ECHO) && has_local(t, ECHOK))
        echo_raw(t, '\n');
}

static void reprint(struct tty *t, u8 by) {
    echo_byte(t, by);
    echo_raw(t, '\n');
    for (u32 at = t->canon; at != t->head; at++)
        echo_byte(t, t->input[at % TTY_INPUT]);
    t->line_column = 0;
}

/* Characters that edit the line being typed. true: c was one. */
static bool edit(struct tty *t, u8 c) {
    bool extended = has_local(t, IEXTEN), any = t->head != t->canon;
    if (is_special(t, VERASE, c)) {
        if (any)
            erase_from(t, before_character(t), c);
    } else if (extended && is_special(t, VWERASE, c)) {
        if (any)
            erase_from(t, before_word(t), c);
    } else if (is_special(t, VKILL, c)) {
        if (any)
            kill_line(t, c);
    } else if (extended && is_special(t, VLNEXT, c)) {
        t->literal_next = true;
        if (has_local(t, ECHO) && has_local(t, ECHOCTL)) {
            echo_raw(t, '^');
            echo_raw(t, '\b');
        }
    } else if (extended && is_special(t, VREPRINT, c) && has_local(t, ECHO)) {
        reprint(t, c);
    } else {
        return false;
    }
    return true;
}

void tty_input_drop(struct tty *t) {
    t->tail = t->canon = t->head;
    t->literal_next = false;
    tty_status(t, TIOCPKT_FLUSHREAD);
}

void tty_canonical_changed(struct tty *t) {
    bool canonical = has_local(t, ICANON);
    for (u32 at = t->tail; at != t->head; at++)
        set_end(t, at, canonical && at + 1 == t->head);
    t->canon = t->head;
    t->literal_next = false;
}

/* A character that is a signal: which, or 0. */
static int signal_of(struct tty *t, u8 c) {
    if (!has_local(t, ISIG))
        return 0;
    return is_special(t, VINTR, c) ? SIGINT : is_special(t, VQUIT, c) ? SIGQUIT : is_special(t, VSUSP, c) ? SIGTSTP : 0;
}

/* Canonical mode's input of one byte. */
static void input_canonical(struct tty *t, u8 c) {
    if (edit(t, c))
        return;
    if (c == '\n') {
        if (has_local(t, ECHO | ECHONL))
            echo_raw(t, '\n');
        store(t, c, true);
    } else if (is_special(t, VEOF, c)) {
        store(t, 0, true);
    } else if (is_special(t, VEOL, c) || (has_local(t, IEXTEN) && is_special(t, VEOL2, c))) {
        if (has_local(t, ECHO))
            echo_byte(t, c);
        store(t, c, true);
    } else {
        store_and_echo(t, c);
    }
}

void tty_stop(struct tty *t, bool stop) {
    if (atomic_load(&t->stopped) != stop) {
        atomic_store(&t->stopped, stop);
        tty_status(t, stop ? TIOCPKT_STOP : TIOCPKT_START);
    }
}

/* START and STOP. true: c was one of them. */
static bool flow(struct tty *t, u8 c) {
    if (!has_input(t, IXON))
        return false;
    if (is_special(t, VSTOP, c) && !(is_special(t, VSTART, c) && t->stopped))
        tty_stop(t, true);
    else if (is_special(t, VSTART, c))
        tty_stop(t, false);
    else
        return false;
    return true;
}

/* One byte typed; a signal it stands for is added to *signals. */
static void input_byte(struct tty *t, u8 c, u64 *signals) {
    if (has_input(t, ISTRIP))
        c &= 0x7f;
    if (t->literal_next) {
        t->literal_next = false;
        store_and_echo(t, c);
        return;
    }
    if (flow(t, c))
        return;
    int signal = signal_of(t, c);
    if (signal) {
        *signals |= signal_bit(signal);
        tty_stop(t, false);
        if (!has_local(t, NOFLSH)) {
            tty_input_drop(t);
            tty_status(t, TIOCPKT_FLUSHWRITE);
            atomic_store(&t->echo_tail, t->echo_head);
        }
        if (has_local(t, ECHO))
            echo_byte(t, c);
        return;
    }
    if (t->stopped && has_input(t, IXANY))
        tty_stop(t, false);
    if (c == '\r' && has_input(t, IGNCR))
        return;
    if (c == '\r' && has_input(t, ICRNL))
        c = '\n';
    else if (c == '\n' && has_input(t, INLCR))
        c = '\r';
    if (has_local(t, ICANON))
        input_canonical(t, c);
    else
        store_and_echo(t, c);
}

/* Nothing more can be taken until somebody reads. While only an unfinished line fills the ring it can: it may be
 * edited, and what does not fit is dropped, as everywhere. */
static bool input_blocked(struct tty *t) { return input_full(t) && !(has_local(t, ICANON) && t->canon == t->tail); }

static bool input_ready(struct tty *t) { return has_local(t, ICANON) ? t->canon != t->tail : t->head != t->tail; }

bool tty_full(struct tty *t) {
    spin_lock(&t->lock);
    bool full = input_blocked(t);
    spin_unlock(&t->lock);
    return full;
}

size_t tty_room(struct tty *t) {
    spin_lock(&t->lock);
    u32 count = input_count(t);
    spin_unlock(&t->lock);
    return count < TTY_INPUT - 1 ? TTY_INPUT - 1 - count : 1;
}

size_t tty_input(struct tty *t, const u8 *bytes, size_t count) {
    size_t taken = 0;
    u64 signals = 0;
    spin_lock(&t->lock);
    for (; taken < count && !input_blocked(t); taken++)
        input_byte(t, bytes[taken], &signals);
    bool ready = input_ready(t);
    spin_unlock(&t->lock);
    for (int signal = 1; signals >> (signal - 1); signal++)
        if (signals & signal_bit(signal))
            tty_signal_foreground(t, signal);
    if (ready)
        waitq_wake_all(&t->readable);
    if (!atomic_load(&t->stopped))
        waitq_wake_all(&t->writable);
    echo_flush(t);
    return taken;
}

/* ---- read ---- */

void tty_input_room(struct tty *t) {
    waitq_wake_all(&t->room);
    if (t->ops->more)
        t->ops->more(t);
}

u32 tty_input_count(struct tty *t) {
    u32 count = 0;
    spin_lock(&t->lock);
    if (!has_local(t, ICANON))
        count = input_count(t);
    else
        for (u32 at = t->tail; at != t->canon; at++)
            count += !(is_end(t, at) && !t->input[at % TTY_INPUT]);
    spin_unlock(&t->lock);
    return count;
}

/* Moves input to out: in canonical mode of one line at most. *end: the line's end was reached (an end of file is one,
 * and is not counted). */
static u32 input_take(struct tty *t, u8 *out, u32 most, bool *end) {
    u32 count = 0;
    *end = false;
    spin_lock(&t->lock);
    bool canonical = has_local(t, ICANON);
    u32 until = canonical ? t->canon : t->head;
    while (t->tail != until && !*end &&
           (count < most || (canonical && is_end(t, t->tail) && !t->input[t->tail % TTY_INPUT]))) {
        u8 c = t->input[t->tail % TTY_INPUT];
        *end = canonical && is_end(t, t->tail);
        t->tail++;
        if (!*end || c)
            out[count++] = c;
    }
    if (!canonical)
        t->canon = t->tail;
    spin_unlock(&t->lock);
    return count;
}

/* There is nothing to take: until when may a read that has `done` bytes sleep? 0: not at all, it is finished. */
static u64 read_deadline(struct tty *t, size_t done, u64 started_ns) {
    u8 minimum = t->settings.c_cc[VMIN], time = t->settings.c_cc[VTIME];
    if (has_local(t, ICANON))
        return done ? 0 : SLEEP_FOREVER;
    if (done && done >= minimum)
        return 0;
    if (!minimum)
        return time ? started_ns + time * TENTH_NS : 0;
    return done && time ? clock_ns() + time * TENTH_NS : SLEEP_FOREVER;
}

/* Sleeps until there is input. 0: go on; 1: the read ends with what it has; -errno. */
static int read_sleep(struct tty *t, struct file *file, size_t done, u64 started_ns) {
    u64 deadline = read_deadline(t, done, started_ns);
    if (!deadline || is_hung_up(t, file))
        return 1;
    if (file->flags & O_NONBLOCK)
        return -EAGAIN;
    int error = wait_until_deadline(&t->readable, input_ready(t) || is_hung_up(t, file), true, deadline);
    return error == -ETIMEDOUT ? 1 : error ? -ERESTARTSYS : 0;
}

static ssize_t tty_read(struct file *file, struct iov *to, u64 *position) {
    struct tty *t = file->private_data;
    u64 started = clock_ns();
    ssize_t done = 0;
    int outcome = is_hung_up(t, file) ? 1 : tty_foreground_check(t, SIGTTIN, -EIO);
    while (!outcome && to->bytes) {
        u8 bytes[COPY_BYTES];
        bool end;
        u32 got = input_take(t, bytes, min(to->bytes, (size_t)COPY_BYTES), &end);
        size_t moved = got ? iov_put(to, bytes, got) : 0;
        done += moved;
        if (moved < got)
            outcome = -EFAULT;
        else if (end)
            outcome = 1;
        else if (!got)
            outcome = read_sleep(t, file, done, started);
    }
    if (done)
        tty_input_room(t);
    return done ? done : min(outcome, 0);
}

/* ---- write ---- */

static bool takes_output(struct tty *t) { return !atomic_load(&t->stopped) && has_room(t); }

/* Waits until output may flow. 0, or -errno. */
static int write_wait(struct tty *t, struct file *file) {
    if (is_hung_up(t, file))
        return -EIO;
    if (file->flags & O_NONBLOCK)
        return takes_output(t) ? 0 : -EAGAIN;
    if (wait_until_interruptible(&t->writable, takes_output(t) || is_hung_up(t, file)) < 0)
        return -ERESTARTSYS;
    return is_hung_up(t, file) ? -EIO : 0;
}

static ssize_t tty_write(struct file *file, struct iov *from, u64 *position) {
    struct tty *t = file->private_data;
    ssize_t done = 0;
    ssize_t error = has_local(t, TOSTOP) && !is_hung_up(t, file) ? tty_foreground_check(t, SIGTTOU, 0) : 0;
    while (!error && from->bytes) {
        error = write_wait(t, file);
        if (error)
            break;
        size_t most = min(from->bytes, (size_t)TTY_CHUNK);
        mutex_lock(&t->output);
        echo_show(t);       /* what was typed before comes before: the reader may have been quicker than its echo */
        if (!has_room(t)) { /* somebody else was quicker, or that echo was: wait again, with nothing taken yet */
            output_end(t);
            continue;
        }
        size_t taken = iov_take(from, t->raw, most);
        ssize_t shown = taken ? show(t, t->raw, taken) : -EFAULT;
        output_end(t);
        if (shown < 0)
            error = shown == -EINTR ? -ERESTARTSYS : shown;
        else
            done += shown;
        if (!error && (size_t)shown < most)
            break; /* a signal, or the end of readable memory: say how far we came */
    }
    return done ? done : error;
}

static u32 tty_poll(struct file *file, struct poll_table *table) {
    struct tty *t = file->private_data;
    u32 events = 0;
    poll_wait(table, &t->readable);
    poll_wait(table, &t->writable);
    spin_lock(&t->lock);
    u32 wanted = has_local(t, ICANON) || t->settings.c_cc[VTIME] ? 1 : max(t->settings.c_cc[VMIN], (u8)1);
    if (has_local(t, ICANON) ? input_ready(t) : input_count(t) >= wanted)
        events |= POLLIN | POLLRDNORM;
    spin_unlock(&t->lock);
    if (is_hung_up(t, file))
        return events | POLLHUP | POLLIN | POLLRDNORM | POLLERR | POLLOUT | POLLWRNORM;
    if (takes_output(t))
        events |= POLLOUT | POLLWRNORM;
    return events;
}

/* ---- opening ---- */

static long tty_file_ioctl(struct file *file, u32 command, u64 argument) {
    struct tty *t = file->private_data;
    if (is_hung_up(t, file))
        return command == TIOCSPGRP ? -ENOTTY : -EIO;
    return tty_ioctl(t, command, argument, false);
}

static int tty_file_open(struct inode *inode, struct file *file) { return tty_open(inode->private_data, file); }

static void tty_file_release(struct file *file) {
    struct tty *t = file->private_data;
    if (t->ops->close)
        t->ops->close(t);
    tty_put(t);
}

int tty_open(struct tty *t, struct file *file) {
    if (atomic_load(&t->exclusive) && !capable(CAP_SYS_ADMIN))
        return -EBUSY;
    file->ops = &tty_file_ops;
    file->private_data = t;
    file->position = atomic_load(&t->hangups);
    tty_get(t);
    int error = t->ops->open ? t->ops->open(t, file) : 0;
    if (error)
        tty_put(t);
    return error;
}

int tty_group_of(const struct file *f) {
    return f->ops == &tty_file_ops ? atomic_load_relaxed(&((struct tty *)f->private_data)->foreground) : -1;
}

int tty_open_current(struct file *file) {
    struct tty *t = tty_of_process(process_current());
    int error = t ? tty_open(t, file) : -ENXIO;
    if (t)
        tty_put(t);
    return error;
}

const struct file_ops tty_file_ops = {
    .async = true,
    .open = tty_file_open,
    .release = tty_file_release,
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_file_ioctl,
};
