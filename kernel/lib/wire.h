/* wire.h - what the command and the guest say to each other. The only header that tool/ and kernel/ share.
 *
 * One byte stream each way (a virtio console's port; QEMU carries it to a socket of the command), cut into
 * messages: this header, then `bytes` of payload. All numbers little-endian. The guest asks, the command answers with
 * the same tag; so a program's read, write or poll of a standard stream is one question, and takes exactly what the
 * host gives: nothing is read ahead, an error of the host's is the program's errno, and back-pressure is a reply that
 * is not there yet.
 *
 * On QEMU's side it is a virtserialport, which has to be port 1 (`-device virtio-serial-device -device
 * virtserialport,nr=1,chardev=C`), not a virtconsole: that one drops bytes when the socket is full, where a serial port
 * waits. The guest takes either.
 *
 * Besides, the guest writes its log, a line at a time, "<LEVEL>text\n", to the debug console (port 0xe9), which works
 * from the first instruction to the last words of a panic. */
#pragma once

#include <stdint.h>

struct wire_message {
    uint32_t type;  /* enum wire_type */
    uint32_t tag;   /* chosen by the asker; 0 when no answer is wanted */
    uint32_t bytes; /* of payload that follow */
    int32_t value;  /* by type */
};

#define WIRE_VERSION 1
#define WIRE_MOST 65536 /* bytes of payload in one READ answer or WRITE */
#define WIRE_DEBUG_PORT 0xe9
#define WIRE_EXIT_PORT 0xf4 /* isa-debug-exit: a write of any value ends QEMU (after a panic) */

enum wire_type {
    /* guest to command */
    WIRE_HELLO = 1, /* value WIRE_VERSION: the kernel runs; answered by CONFIG */
    WIRE_BEAT,      /* every 500 ms, from the timer tick of CPU 0 (queued as work): I am alive */
    WIRE_READ,  /* value: stream (0..2); payload: uint32_t most. Answer: value = bytes or -errno, payload the bytes; 0 =
                   end */
    WIRE_WRITE, /* value: stream; payload: bytes (<= WIRE_MOST). Answer: value = bytes taken (>= 1) or -errno (EPIPE...)
                 */
    WIRE_POLL,  /* value: stream; payload: uint32_t events (poll(2)). Answered once, when revents (value) != 0;
                   WIRE_CANCEL ends it */
    WIRE_CANCEL, /* value: the tag of a READ, WRITE or POLL no longer wanted; the answer is then sent at once: the real
                    one when the host could give it without waiting (so a question and its CANCEL together are
                    O_NONBLOCK), else value -EINTR */
    WIRE_SEEK,   /* value: stream; payload: int64_t offset, uint32_t whence. Answer: value 0 or -errno; payload int64_t
                    position */
    WIRE_STATUS, /* the program ended: value = wait status as waitpid(2) gives it; payload: struct wire_end. The machine
                    stops after it */
    WIRE_STATS,  /* payload: text for stderr, printed at the end with --stats; sent before STATUS */
    WIRE_FAIL, /* payload: one line: the guest cannot run the program. value: the command's exit code (125, 126, 127) */
    WIRE_STOPPED, /* the program's process group stopped (job control); value: by which signal; the command stops itself
                     too, and sends SIGNAL CONT when it runs again */
    WIRE_TRACE,   /* payload: words of lib/trace.h, for the file of --trace */
    /* command to guest */
    WIRE_CONFIG = 64, /* payload: the configuration, see below */
    WIRE_ANSWER,      /* tag, value, payload as the question says */
    WIRE_SIGNAL,      /* value: a signal number for the program's process group (TERM, INT, HUP, QUIT, TSTP, CONT, USR1,
                         USR2) */
    WIRE_WINDOW,      /* payload: uint16_t rows, columns, xpixels, ypixels: the terminal's size changed */
};

struct wire_end {
    uint32_t overlay_files; /* files changed or made in the overlay */
    uint32_t calls_enosys;  /* different system calls that got ENOSYS */
    uint64_t leaked;        /* what the leak count at exit found; 0 */
};

/* CONFIG: struct wire_config, then records, each {uint32_t kind, uint32_t bytes} + bytes, padded to 4. Strings without
 * a final 0. */
struct wire_config {
    uint64_t wall_ns;  /* CLOCK_REALTIME when this was sent */
    uint64_t seed[4];  /* randomness for the layout and /dev/urandom */
    uint32_t uid, gid; /* the program's ids */
    uint32_t umask;
    uint32_t flags;   /* WIRE_NO_ASLR... */
    uint64_t ignored; /* signals that the program starts with ignored (nohup, a shell's background job): bit N-1 for
                         signal N */
    struct wire_stream {
        uint32_t mode;  /* st_mode of the host's descriptor; 0 when it is closed */
        uint32_t flags; /* O_RDONLY, O_WRONLY or O_RDWR, O_APPEND as fcntl(F_GETFL) says */
        uint32_t tty;   /* 0: no terminal; 1: one that the command makes raw; 2: one left alone: the host still turns \n
                           into \r\n */
        uint16_t rows, columns;
        uint64_t ino, dev, rdev, size; /* so that two streams on one file are seen to be one */
        int64_t offset;                /* current position of a regular file, else -1 */
    } stream[3];
};

#define WIRE_NO_ASLR 1u
#define WIRE_WANT_STATS 2u
#define WIRE_IDS_FIXED 4u /* an ordinary user's run: set-uid bits are ignored */
#define WIRE_WANT_TRACE 8u

enum wire_record {
    WIRE_ARG = 1, /* argv[i], in order */
    WIRE_ENV,     /* "NAME=value" */
    WIRE_CWD,     /* working directory */
    WIRE_GROUP,   /* uint32_t: one supplementary group */
    WIRE_MOUNT,   /* "TAG\0DST\0ro|rw|overlay": a 9p device by mount tag; the root is tag "root", DST "/", overlay */
    WIRE_SYSCTL,  /* "vm.overcommit_memory=2" and the like; "vm.check=1": run the checker at the end, and log what it
                     finds (level 3) */
    WIRE_PROGRAM, /* the path to execute when it differs from argv[0] (found by the command along PATH inside the guest:
                     empty = search) */
    WIRE_HOSTNAME, /* nodename for uname */
    WIRE_TERMIOS,  /* the 36 bytes of struct termios (kernel's) of the terminal before the command made it raw */
};
