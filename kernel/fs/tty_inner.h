/* tty_inner.h - what the files of the terminal (tty.c, tty_ioctl.c, tty_job.c) share among themselves. */
#pragma once

#include "fs/tty.h"

static inline bool has_input(struct tty *t, u32 flag) { return t->settings.c_iflag & flag; }
static inline bool has_output(struct tty *t, u32 flag) { return t->settings.c_oflag & flag; }
static inline bool has_local(struct tty *t, u32 flag) { return t->settings.c_lflag & flag; }

/* A terminal's file remembers in its position, which nothing else uses, how many hang-ups there had been. */
static inline bool is_hung_up(struct tty *t, const struct file *file) {
    return atomic_load(&t->hung_up) || file->position != atomic_load(&t->hangups);
}

/* tty_status: TIOCPKT_* bits for a master in packet mode. Under t->lock or not. */
static inline void tty_status(struct tty *t, u8 bits) {
    if (t->ops->status)
        t->ops->status(t, bits);
}

/* tty.c. Under t->lock: input_drop: forgets what was typed; canonical_changed: ICANON was set or cleared, so what was
 * typed so far becomes one line, or is no line any more. */
void tty_input_drop(struct tty *t);
void tty_canonical_changed(struct tty *t);
void tty_input_room(struct tty *t);      /* input was taken or dropped, or the mode changed: more may come. No lock */
u32 tty_input_count(struct tty *t);      /* FIONREAD: bytes that a read would get */
void tty_stop(struct tty *t, bool stop); /* hold or release the output */

/* tty_job.c. foreground_check: may the caller, of this group, do what only the foreground may? 0, or -errno after
 * `signal` was sent. */
int tty_foreground_check(struct tty *t, int signal, int when_ignored);
void tty_signal_foreground(struct tty *t, int signal); /* to the foreground group, if there is one. No lock */
long tty_job_ioctl(struct tty *t, u32 command, u64 argument, bool master);
