/* tty.h - terminals: the line discipline between a program and what is at the other end (the host's terminal, or the
 * master of a pseudo-terminal), and job control.
 *
 * The other end is a driver: it hands over what was typed (tty_input) and takes what is to be shown (tty_ops). */
#pragma once

#include <asm/termbits.h>
#include <asm/termios.h>

#include "fs/vfs.h"
#include "lib/base.h"
#include "lib/sync.h"

struct process;
struct tty;

struct tty_ops {
    /* write: show bytes; sleeps until some are taken; how many, or -errno (-EINTR: a signal, none taken). */
    ssize_t (*write)(struct tty *t, const u8 *bytes, size_t count);
    size_t (*room)(struct tty *t);                 /* bytes that write takes without sleeping; NULL: always enough */
    int (*open)(struct tty *t, struct file *file); /* NULL, or the last word on a new open file: it may set other ops */
};

#define TTY_INPUT 4096u /* bytes typed and not read: a line's greatest length (N_TTY_BUF_SIZE), a power of two */
#define TTY_ECHO 1024u  /* bytes to be echoed; a power of two */
#define TTY_CHUNK 1024u /* bytes of output processed at a time */

/* Legend: [c] constant once made; [l] lock; [o] output; [a] atomic. */
struct tty {
    const struct tty_ops *ops; /* [c] */
    void *driver;              /* [c] the other end's own */
    u64 device;                /* [c] st_rdev, for /proc/PID/stat */

    struct spin lock;
    struct termios2 settings; /* [l]; flags read without it where a stale one does no harm */
    struct winsize window;    /* [l] */
    int session, foreground;  /* [l] whose controlling terminal it is, and the group that may read; 0: none */
    bool hung_up;             /* [a] nobody is at the other end: reads end, writes fail */
    bool stopped;             /* [a] output held by the STOP character */

    u8 input[TTY_INPUT];      /* [l] a ring: bytes [tail, head), counted for ever */
    u64 ends[TTY_INPUT / 64]; /* [l] canonical: this byte ends a line. A byte 0 so marked is an end of file */
    u32 head, tail, canon;    /* [l] canonical: complete lines are [tail, canon), the line being typed [canon, head) */
    u32 line_column;          /* [l] where on the screen the line being typed began */
    bool literal_next;        /* [l] LNEXT was typed */
    struct waitq readable;    /* input came, or a hang-up */
    struct waitq room;        /* input was read: tty_input takes more */
    struct waitq writable;    /* output goes on */

    u8 echo[TTY_ECHO];                        /* [l] a ring: not shown yet */
    u32 echo_head, echo_tail;                 /* [l] */
    struct mutex output;                      /* what is shown is shown in one order */
    u32 column;                               /* [o] of the cursor */
    u8 raw[TTY_CHUNK], cooked[2 * TTY_CHUNK]; /* [o] */
};

/* tty_init: settings NULL: Linux's first ones. The memory is the driver's, zeroed. */
void tty_init(struct tty *t, const struct tty_ops *ops, const struct termios *settings);
/* tty_input: bytes typed. May sleep (it echoes). Takes what there is room for; returns how many: 0 means wait on
 * t->room. */
size_t tty_input(struct tty *t, const u8 *bytes, size_t count);
bool tty_full(struct tty *t); /* tty_input would take nothing */
void tty_hangup(struct tty *t);
/* tty_drain: let what is to be echoed be shown, but do not wait longer than that. */
void tty_drain(struct tty *t, u64 deadline_ns);
void tty_set_window(struct tty *t, const struct winsize *window); /* SIGWINCH to the foreground group if it changed */

/* Files of a terminal: file->private_data is the struct tty; inode->private_data too, where the inode is only this
 * one's. */
extern const struct file_ops tty_file_ops;
int tty_open(struct tty *t, struct file *file); /* the last step of opening: chardev_open, or file_make's caller */
/* /dev/tty, for chardev_open: the file becomes one of the caller's controlling terminal. 0, or -ENXIO without one. */
int tty_open_current(struct file *file);
long tty_ioctl(struct tty *t, u32 command, u64 argument); /* what the discipline knows; -ENOTTY */

/* Job control. tty_adopt: t becomes the controlling terminal of p, the leader of its session. tty_session_end: task.h.
 */
void tty_adopt(struct tty *t, struct process *p);
/* fs/stream.c: the terminal of the host, NULL when no stream is one. */
struct tty *tty_host(void);
void tty_host_window(u16 rows, u16 columns, u16 xpixels, u16 ypixels); /* work context */
