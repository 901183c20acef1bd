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
    /* write: show bytes: how many were, or -errno. Without room() it sleeps until some are (-EINTR: a signal, and none
     * were); with it it does not, and takes all or nothing (-EAGAIN). */
    ssize_t (*write)(struct tty *t, const u8 *bytes, size_t count);
    /* room: 0: write would not take any; tty_output_room says when it does again. A write of TTY_CHUNK cooked bytes may
     * exceed it. NULL: write sleeps. */
    size_t (*room)(struct tty *t);
    int (*open)(struct tty *t, struct file *file); /* NULL, or the last word on a new open file: it may set other ops */
    void (*close)(struct tty *t);                  /* NULL, or an open file's end */
    void (*more)(struct tty *t);            /* NULL, or: there is room for input again, for what was kept. No lock */
    void (*status)(struct tty *t, u8 bits); /* NULL, or: TIOCPKT_* to tell. Does not sleep; maybe under t->lock */
};

#define TTY_INPUT 4096u /* bytes typed and not read: a line's greatest length (N_TTY_BUF_SIZE), a power of two */
#define TTY_ECHO 1024u  /* bytes to be echoed; a power of two */
#define TTY_CHUNK 1024u /* bytes of output processed at a time */

/* Legend: [c] constant once made; [l] lock; [o] output; [a] atomic. */
struct tty {
    const struct tty_ops *ops; /* [c] */
    void *driver;              /* [c] the other end's own */
    struct inode *inode;       /* [c] whose references count the terminal; NULL: it is for good */
    u64 device;                /* [c] st_rdev, for /proc/PID/stat */

    struct spin lock;
    struct termios2 settings; /* [l]; flags read without it where a stale one does no harm */
    struct winsize window;    /* [l] */
    int session, foreground;  /* [l] whose controlling terminal it is, and the group that may read; 0: none */
    bool hung_up;             /* [a] nobody is at the other end, for good: reads end, writes fail */
    bool exclusive;           /* [a] TIOCEXCL: opened no more, but by root */
    u64 hangups;              /* [a] vhangup: files opened before are as if hung up */
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
bool tty_full(struct tty *t);        /* tty_input would take nothing */
size_t tty_room(struct tty *t);      /* bytes that tty_input takes for sure, if it is not full */
void tty_output_room(struct tty *t); /* ops->write takes again what it refused. May sleep */
/* tty_hangup: the other end is gone. tty_vhangup: it is not, but who has the terminal open has it no more (vhangup(2)).
 * The session loses it, and its leader gets SIGHUP. */
void tty_hangup(struct tty *t);
void tty_vhangup(struct tty *t);
/* tty_drain: let what is to be echoed be shown, but do not wait longer than that. */
void tty_drain(struct tty *t, u64 deadline_ns);
void tty_set_window(struct tty *t, const struct winsize *window); /* SIGWINCH to the foreground group if it changed */

/* Files of a terminal: file->private_data is the struct tty; inode->private_data too, where the inode is only this
 * one's. */
extern const struct file_ops tty_file_ops;
int tty_open(struct tty *t, struct file *file); /* the last step of opening: chardev_open, or file_make's caller */
long tty_ioctl(struct tty *t, u32 command, u64 argument, bool master); /* what the discipline knows; -ENOTTY */
/* /dev/tty, for chardev_open: the file becomes one of the caller's controlling terminal. 0, or -ENXIO without one. */
int tty_open_current(struct file *file);

/* Job control (tty_job.c). tty_adopt: t becomes the controlling terminal of p, the leader of its session; only_if_free:
 * if p leads one, has no terminal, and t no session. tty_session_end: task.h. */
void tty_adopt(struct tty *t, struct process *p, bool only_if_free);
int tty_group_of(const struct file *f); /* the group in front of the terminal, 0: none; -1: the file is no terminal */
struct tty *tty_of_process(struct process *p); /* its controlling terminal, counted; NULL: none */
void tty_get(struct tty *t);
void tty_put(struct tty *t); /* may sleep */
/* fs/stream.c: the terminal of the host, NULL when no stream is one. */
struct tty *tty_host(void);
void tty_host_window(u16 rows, u16 columns, u16 xpixels, u16 ypixels); /* work context */
