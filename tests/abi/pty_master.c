/* pty_master.c - pseudo-terminals: opening, the lock, the names, reading and writing either end, what poll says, ends,
 * packet mode. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int m, number;
static char name[64];

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld\n", what, result);
}
static void text(const char *what, int fd) {
    char b[10000];
    ssize_t n = read(fd, b, sizeof b);
    printf("%s -> ", what);
    if (n < 0)
        printf("%s", strerrorname_np(errno));
    else
        printf("%zd: ", n);
    for (ssize_t i = 0; i < n && i < 60; i++)
        printf(b[i] >= ' ' && b[i] < 127 ? "%c" : "\\%03o", (unsigned char)b[i]);
    printf("\n");
}
static void ready(const char *what, int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI};
    poll(&p, 1, 0);
    printf("poll, %s -> %#x\n", what, p.revents);
}
/* Waits until something can be read: echo and output come when they come. */
static void await(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, 10000);
}
/* Waits until so much can be read. */
static void await_bytes(int fd, int bytes) {
    int n = 0;
    do
        ioctl(fd, FIONREAD, &n);
    while (n < bytes);
}

static int open_slave(int flags) { return open(name, flags | O_NOCTTY); }

static void names(void) {
    struct stat st, fst;
    char link[64] = "", proc[64];
    int zero = 0, one = 1, locked = -1;
    m = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    say("open ptmx", m >= 0 ? 0 : -1);
    say("TIOCGPTN", ioctl(m, TIOCGPTN, &number));
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    say("slave while locked", open_slave(O_RDWR));
    say("TIOCGPTLCK", ioctl(m, TIOCGPTLCK, &locked));
    printf("locked -> %d\n", locked);
    say("TIOCSPTLCK 0", ioctl(m, TIOCSPTLCK, &zero));
    say("TIOCGPTLCK", ioctl(m, TIOCGPTLCK, &locked));
    printf("locked -> %d\n", locked);
    say("stat", stat(name, &st));
    printf("mode, device, group, size, links -> %o %u:%d %d %ld %ld\n", st.st_mode, major(st.st_rdev),
           (int)minor(st.st_rdev) - number, (int)st.st_gid, (long)st.st_size, (long)st.st_nlink);
    printf("number of the inode -> %d\n", (int)st.st_ino - number);
    int s = open_slave(O_RDWR);
    say("slave", s >= 0 ? 0 : -1);
    fstat(s, &fst);
    printf("the same file -> %d\n", st.st_ino == fst.st_ino && st.st_dev == fst.st_dev && st.st_rdev == fst.st_rdev);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", s);
    (void)!readlink(proc, link, sizeof link - 1);
    printf("its name in /proc -> %d\n", strcmp(link, name));
    say("TIOCSPTLCK 1", ioctl(m, TIOCSPTLCK, &one));
    say("locked again", open_slave(O_RDWR));
    say("TIOCSPTLCK 0", ioctl(m, TIOCSPTLCK, &zero));
    say("chmod", chmod(name, 0600));
    stat(name, &st);
    printf("mode -> %o\n", st.st_mode);
    say("unlink", unlink(name) < 0 ? -1 : 0);
    stat("/dev/pts/ptmx", &st);
    printf("/dev/pts/ptmx -> %o %u:%u\n", st.st_mode, major(st.st_rdev), minor(st.st_rdev));
    stat("/dev/pts", &st);
    printf("/dev/pts -> %o %ld\n", st.st_mode, (long)st.st_ino);
    say("slave has no number", ioctl(s, TIOCGPTN, &number));
    say("lseek", lseek(m, 0, SEEK_SET));
    say("lseek of the slave", lseek(s, 0, SEEK_SET));
    say("a name that is none", open("/dev/pts/01", O_RDWR | O_NOCTTY));
    say("a name that is none", open("/dev/pts/4000000000", O_RDWR | O_NOCTTY));
    int peer = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    say("TIOCGPTPEER", peer >= 0 ? 0 : -1);
    say("its FD_CLOEXEC", fcntl(peer, F_GETFD));
    say("its flags", fcntl(peer, F_GETFL));
    close(peer);
    close(s);
}

static void both_ways(void) {
    struct termios t;
    char big[4000];
    int n;
    ready("master whose slave was closed", m);
    text("read then", m);
    int s = open_slave(O_RDWR);
    ready("slave open", m);
    ready("slave", s);
    fcntl(m, F_SETFL, O_NONBLOCK);
    text("nothing to read", m);
    fcntl(m, F_SETFL, 0);
    say("slave writes", write(s, "out\n", 4));
    await_bytes(m, 5);
    ready("output", m);
    text("master reads", m);
    say("master types", write(m, "in", 2));
    await_bytes(m, 2);
    ready("slave, half a line", s);
    text("echo", m);
    say("FIONREAD of half a line", ioctl(s, FIONREAD, &n));
    printf("it is -> %d\n", n);
    say("master types", write(m, "put\n", 4));
    await(s);
    ready("slave, a line", s);
    text("slave reads", s);
    await_bytes(m, 5);
    text("echo", m);
    tcgetattr(m, &t);
    printf("settings by the master -> %o %o %o %o\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
    cfmakeraw(&t);
    tcsetattr(m, TCSANOW, &t);
    tcgetattr(s, &t);
    printf("settings by the slave -> %o %o %o %o\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
    memset(big, 'x', sizeof big);
    say("master types much", write(m, big, sizeof big));
    say("master types more", write(m, big, sizeof big));
    for (n = 0; n < 8000;)
        n += read(s, big, sizeof big);
    printf("slave reads it all -> %d\n", n);
    say("slave writes much", write(s, big, sizeof big));
    say("slave writes more", write(s, big, sizeof big));
    for (n = 0; n < 8000;)
        n += read(m, big, sizeof big);
    printf("master reads it all -> %d\n", n);
    say("slave writes last words", write(s, "bye", 3));
    close(s);
    ready("closed with output", m);
    text("last words", m);
    text("and then", m);
    ready("closed", m);
    say("master types to nobody", write(m, "kept", 4));
    s = open_slave(O_RDWR);
    ready("master, open again", m);
    await(s);
    text("slave finds", s);
    close(s);
}

/* Several write to the slave, more than fits, while the master reads little at a time: all of it arrives. */
static void writers(void) {
    enum { WRITERS = 6, WRITES = 16, BYTES = 4000 };
    char b[BYTES];
    long seen[WRITERS] = {0}, wrong = 0;
    int s = open_slave(O_RDWR), status;
    for (int i = 0; i < WRITERS; i++) {
        if (fork())
            continue;
        memset(b, 'a' + i, sizeof b);
        for (int n = 0; n < WRITES; n++)
            if (write(s, b, sizeof b) != BYTES)
                _exit(1);
        _exit(0);
    }
    close(s);
    for (ssize_t n; (n = read(m, b, 100)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            seen[b[i] - 'a']++;
    while (wait(&status) > 0)
        wrong += status != 0;
    for (int i = 0; i < WRITERS; i++)
        printf("writer %d's bytes -> %ld\n", i, seen[i]);
    printf("writes that were short -> %ld\n", wrong);
}

static void packets(void) {
    struct termios t;
    int one = 1, zero = 0, n = -1, s = open_slave(O_RDWR);
    tcgetattr(s, &t);
    t.c_iflag = ICRNL | IXON;
    t.c_lflag = ISIG | ICANON;
    tcsetattr(s, TCSANOW, &t);
    say("TIOCGPKT", ioctl(m, TIOCGPKT, &n));
    printf("it is -> %d\n", n);
    say("TIOCPKT", ioctl(m, TIOCPKT, &one));
    say("TIOCGPKT", ioctl(m, TIOCGPKT, &n));
    printf("it is -> %d\n", n);
    say("slave writes", write(s, "data", 4));
    await_bytes(m, 4);
    text("packet", m);
    say("TCOOFF", tcflow(s, TCOOFF));
    ready("stopped", m);
    text("packet", m);
    say("TCOON", tcflow(s, TCOON));
    text("packet", m);
    say("TCIOFLUSH", tcflush(s, TCIOFLUSH));
    text("packet", m);
    t.c_iflag = ICRNL;
    tcsetattr(s, TCSANOW, &t);
    text("no flow control", m);
    t.c_iflag |= IXON;
    tcsetattr(s, TCSANOW, &t);
    text("flow control", m);
    say("the master types ^S", write(m, "\023", 1));
    await(m);
    text("packet", m);
    fcntl(s, F_SETFL, O_NONBLOCK);
    ready("slave, held", s);
    say("slave writes, held", write(s, "x", 1));
    say("the master types ^Q", write(m, "\021", 1));
    await(m);
    text("packet", m);
    say("the master types ^C", write(m, "\003", 1));
    await(m);
    text("packet", m);
    tcflow(s, TCOOFF);
    tcflow(s, TCOON);
    text("two at once", m);
    say("TIOCPKT 0", ioctl(m, TIOCPKT, &zero));
    tcflow(s, TCOOFF);
    tcflow(s, TCOON);
    ready("no packets", m);
    close(s);
}

static void ends(void) {
    char b[10];
    int s = open_slave(O_RDWR), n;
    struct winsize w;
    write(m, "unread\n", 7);
    await(s);
    close(m);
    ready("slave of a closed master", s);
    text("read", s);
    say("write", write(s, "x", 1));
    say("TIOCGWINSZ", ioctl(s, TIOCGWINSZ, &w));
    say("FIONREAD", ioctl(s, FIONREAD, &n));
    say("TIOCSPGRP", ioctl(s, TIOCSPGRP, &n));
    say("isatty", isatty(s));
    say("the name", open_slave(O_RDWR));
    snprintf(b, sizeof b, "%d", s);
    snprintf(name, sizeof name, "/proc/self/fd/%d", s);
    say("through /proc", open(name, O_RDWR | O_NOCTTY));
    close(s);
}

int main(void) {
    setbuf(stdout, NULL);
    names();
    both_ways();
    writers();
    packets();
    ends();
    return 0;
}
