/* pipe_fifo.c - FIFOs: what open waits for, O_NONBLOCK, O_RDWR, hang-up, a second reader and writer, interruption. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asleep.h"

static char name[64];

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: %ld\n", what, result);
}
static int events(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    poll(&p, 1, 0);
    return p.revents;
}
static void nothing(int signal) { (void)signal; }

int main(void) {
    struct stat st;
    char b[100];
    snprintf(name, sizeof(name), "/tmp/fifo.%d", getpid());
    say("mkfifo", mkfifo(name, 0644));
    say("mkfifo again", mkfifo(name, 0644));
    stat(name, &st);
    printf("mode %o size %ld\n", st.st_mode, (long)st.st_size);
    signal(SIGPIPE, SIG_IGN);

    say("write only, nobody reads", open(name, O_WRONLY | O_NONBLOCK));
    int r = open(name, O_RDONLY | O_NONBLOCK);
    printf("reader before a writer: %d, events %#x\n", r >= 0, events(r));
    say("read", read(r, b, 1));
    int w = open(name, O_WRONLY | O_NONBLOCK);
    printf("writer: %d, reader's events %#x, writer's %#x\n", w >= 0, events(r), events(w));
    say("read while empty", read(r, b, 1));
    say("write", write(w, "hello", 5));
    printf("reader's events %#x\n", events(r));
    int w2 = open(name, O_WRONLY);
    close(w);
    say("write of the second", write(w2, " you", 4));
    close(w2);
    printf("writers gone: %#x\n", events(r));
    say("read", read(r, b, sizeof(b)));
    say("read at the end", read(r, b, sizeof(b)));
    close(r);

    int both = open(name, O_RDWR);
    printf("read and write: %d events %#x\n", both >= 0, events(both));
    say("write", write(both, "x", 1));
    printf("events %#x\n", events(both));
    say("read", read(both, b, sizeof(b)));
    close(both);

    fflush(stdout);
    if (!fork()) { /* blocks until the parent opens to write */
        int fd = open(name, O_RDONLY);
        ssize_t n = read(fd, b, sizeof(b));
        printf("child read %zd: %.*s\n", n, (int)n, b);
        printf("child read %zd\n", read(fd, b, sizeof(b)));
        fflush(stdout);
        _exit(0);
    }
    int fd = open(name, O_WRONLY);
    ssize_t written = write(fd, "from the parent", 15);
    close(fd);
    wait(NULL); /* the child speaks first */
    say("write", written);

    struct sigaction a = {.sa_handler = nothing};
    sigaction(SIGALRM, &a, NULL);
    signal_sleeper(SIGALRM, 1);
    say("open that a signal ends", open(name, O_RDONLY));
    wait(NULL);
    say("nothing is left of it", open(name, O_WRONLY | O_NONBLOCK));

    int p[2];
    (void)!pipe(p);
    snprintf(b, sizeof(b), "/proc/self/fd/%d", p[1]);
    int again = open(b, O_WRONLY);
    close(p[1]);
    say("write through /proc/self/fd", write(again, "y", 1));
    close(again);
    say("read", read(p[0], b, sizeof(b)));
    say("read", read(p[0], b, sizeof(b)));
    unlink(name);
    return 0;
}
