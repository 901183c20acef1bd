/* poll_epoll.c - epoll: level, edge, one-shot, exclusive; changes, closing, nesting and loops, time-outs, many
 * descriptors. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asleep.h"

static int ep, p[2];

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: %ld\n", what, result);
}
static int control(int op, int fd, unsigned events, int data) {
    struct epoll_event e = {.events = events, .data.fd = data};
    return epoll_ctl(ep, op, fd, &e);
}
static void await(const char *what, int ms) {
    struct epoll_event e[8];
    int n = epoll_wait(ep, e, 8, ms);
    if (n < 0) {
        say(what, n);
        return;
    }
    printf("%s: %d", what, n);
    for (int i = 0; i < n; i++)
        printf(" [%d %#x]", e[i].data.fd, e[i].events);
    printf("\n");
}
static void put(void) { (void)!write(p[1], "x", 1); }
static void take(void) {
    char b[100];
    (void)!read(p[0], b, sizeof(b));
}
static void begin(void) {
    ep = epoll_create1(EPOLL_CLOEXEC);
    (void)!pipe2(p, O_NONBLOCK);
}
static void end(void) { close(ep), close(p[0]), close(p[1]); }

static void triggers(void) {
    begin();
    say("level: add", control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
    await("empty", 0);
    put();
    await("ready", 0);
    await("still", 0);
    take();
    await("drained", 0);
    say("edge: modify", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2));
    put();
    await("an edge", 0);
    await("no new edge", 0);
    put();
    await("another edge", 0);
    take();
    say("one shot", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 3));
    put();
    await("one", 0);
    put();
    await("no more", 0);
    say("armed again", control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 4));
    await("at once", 0);
    say("writer, edge", control(EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLET, 5));
    await("writable", 0);
    await("no edge", 0);
    close(p[0]);
    await("reader gone", 0);
    end();
}

static void errors(void) {
    begin();
    struct epoll_event e = {.events = EPOLLIN};
    say("delete what is not there", control(EPOLL_CTL_DEL, p[0], 0, 0));
    say("modify what is not there", control(EPOLL_CTL_MOD, p[0], EPOLLIN, 0));
    say("add", control(EPOLL_CTL_ADD, p[0], EPOLLIN, 0));
    say("add again", control(EPOLL_CTL_ADD, p[0], EPOLLIN, 0));
    int copy = dup(p[0]);
    say("add a duplicate", control(EPOLL_CTL_ADD, copy, EPOLLIN, 7));
    put();
    await("both", 0);
    close(p[0]);
    await("one closed, the file is open", 0);
    close(copy);
    await("both closed", 0);
    say("add itself", control(EPOLL_CTL_ADD, ep, EPOLLIN, 0));
    int file = open("/proc/self/exe", O_RDONLY);
    say("add a file", control(EPOLL_CTL_ADD, file, EPOLLIN, 0));
    int place = open("/", O_PATH);
    say("add a place", control(EPOLL_CTL_ADD, place, EPOLLIN, 0));
    say("into a place", epoll_ctl(place, EPOLL_CTL_ADD, p[1], &e));
    close(place);
    say("add what is closed", control(EPOLL_CTL_ADD, 555, EPOLLIN, 0));
    say("into what is no epoll", epoll_ctl(p[1], EPOLL_CTL_ADD, ep, &e));
    say("a bad operation", epoll_ctl(ep, 9, p[1], &e));
    say("a bad address", epoll_ctl(ep, EPOLL_CTL_ADD, p[1], (void *)8));
    say("room for none", epoll_wait(ep, &e, 0, 0));
    say("of no epoll", epoll_wait(p[1], &e, 1, 0));
    say("size 0", epoll_create(0));
    say("bad flags", epoll_create1(1));
    say("exclusive with one-shot", control(EPOLL_CTL_ADD, p[1], EPOLLEXCLUSIVE | EPOLLONESHOT, 0));
    say("exclusive", control(EPOLL_CTL_ADD, p[1], EPOLLEXCLUSIVE | EPOLLOUT, 8));
    await("exclusive", 0);
    say("modify an exclusive one", control(EPOLL_CTL_MOD, p[1], EPOLLOUT, 8));
    close(file);
    end();
}

static void nested(void) {
    begin();
    int outer = epoll_create1(0), inner = ep;
    control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = 9};
    say("nest", epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e));
    say("a loop", epoll_ctl(inner, EPOLL_CTL_ADD, outer, &e));
    struct pollfd f = {.fd = outer, .events = POLLIN};
    say("poll", poll(&f, 1, 0));
    put();
    say("poll", poll(&f, 1, 0));
    say("outer", epoll_wait(outer, &e, 1, 0));
    printf("%d %#x\n", e.data.fd, e.events);
    take();
    say("outer", epoll_wait(outer, &e, 1, 0));
    say("poll", poll(&f, 1, 0));
    close(outer);
    int chain[8];
    chain[0] = inner;
    for (int i = 1; i < 8; i++) {
        chain[i] = epoll_create1(0);
        int r = epoll_ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], &e);
        printf("depth %d: %s\n", i, r ? strerrorname_np(errno) : "fine");
    }
    for (int i = 1; i < 8; i++)
        close(chain[i]);
    for (int i = 0; i < 8; i++) {
        chain[i] = epoll_create1(0);
        int r = i ? epoll_ctl(chain[i - 1], EPOLL_CTL_ADD, chain[i], &e) : 0;
        printf("depth %d from above: %s\n", i, r ? strerrorname_np(errno) : "fine");
    }
    say("the two halves", epoll_ctl(chain[2], EPOLL_CTL_ADD, chain[5], &e));
    say("less of them", epoll_ctl(chain[1], EPOLL_CTL_ADD, chain[6], &e));
    for (int i = 0; i < 8; i++)
        close(chain[i]);
    end();
}

static volatile int caught;
static void count(int signal) { (void)signal, caught++; }

static void sleeps(void) {
    begin();
    control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1);
    await("time-out", 30);
    fflush(stdout);
    if (!fork()) {
        asleep(getppid());
        put();
        _exit(0);
    }
    await("woken", 10000);
    wait(NULL);
    take();
    struct sigaction a = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigset_t none, block;
    sigaction(SIGUSR1, &a, NULL);
    sigemptyset(&none), sigemptyset(&block), sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    struct epoll_event e;
    say("a signal let in", epoll_pwait(ep, &e, 1, 5000, &none));
    printf("caught %d\n", caught);
    end();
}

static void many(void) {
    enum { COUNT = 300 };
    int fds[COUNT], seen = 0;
    ep = epoll_create1(0);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK);
        control(EPOLL_CTL_ADD, fds[i], EPOLLIN | EPOLLET, i);
    }
    for (int i = 0; i < COUNT; i += 3)
        eventfd_write(fds[i], 1);
    struct epoll_event e[16];
    int n, wrong = 0;
    while ((n = epoll_wait(ep, e, 16, 0)) > 0) {
        for (int i = 0; i < n; i++)
            wrong += e[i].data.fd % 3 != 0;
        seen += n;
    }
    printf("of many: %d, wrong %d\n", seen, wrong);
    for (int i = 0; i < COUNT; i += 2)
        control(EPOLL_CTL_DEL, fds[i], 0, 0);
    for (int i = 0; i < COUNT; i++)
        eventfd_write(fds[i], 1);
    seen = 0;
    while ((n = epoll_wait(ep, e, 16, 0)) > 0)
        seen += n;
    printf("half of them: %d\n", seen);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    await("all closed", 0);
    close(ep);
}

/* Two threads of control share an epoll: no event is seen twice, none is lost. */
static void shared(void) {
    enum { ROUNDS = 2000 };
    ep = epoll_create1(0);
    int event = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE), result[2];
    (void)!pipe(result);
    control(EPOLL_CTL_ADD, event, EPOLLIN, 1);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        if (fork())
            continue;
        int taken = 0;
        struct epoll_event e;
        eventfd_t value;
        while (epoll_wait(ep, &e, 1, 500) > 0) {
            if (!eventfd_read(event, &value))
                taken++;
        }
        (void)!write(result[1], &taken, sizeof(taken));
        _exit(0);
    }
    for (int i = 0; i < ROUNDS; i++)
        eventfd_write(event, 1);
    int sum = 0, one;
    for (int i = 0; i < 2; i++) {
        (void)!read(result[0], &one, sizeof(one));
        sum += one;
    }
    while (wait(NULL) > 0)
        ;
    printf("shared: %d\n", sum);
    close(ep), close(event), close(result[0]), close(result[1]);
}

/* One waits, while another polls the epoll: what that has in hand is not missed. It has it for long, as the epoll below
 * is busy with a third. */
static void polled(void) {
    enum { ROUNDS = 100000 };
    struct epoll_event e = {.events = EPOLLIN};
    pid_t others[2];
    int missed = 0, outer = epoll_create1(0), empty = eventfd(0, 0);
    ep = epoll_create1(0);
    control(EPOLL_CTL_ADD, eventfd(1, 0), EPOLLIN, 0);
    epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        struct pollfd f = {.fd = outer, .events = POLLIN};
        others[i] = fork();
        while (!others[i]) {
            if (i)
                (void)poll(&f, 1, 0);
            else
                control(EPOLL_CTL_ADD, empty, EPOLLIN, 0), control(EPOLL_CTL_DEL, empty, 0, 0);
        }
    }
    for (int i = 0; i < ROUNDS && !missed; i++)
        missed += epoll_wait(outer, &e, 1, 2000) != 1;
    for (int i = 0; i < 2; i++)
        kill(others[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    printf("polled meanwhile: missed %d\n", missed);
}

int main(void) {
    triggers();
    errors();
    nested();
    sleeps();
    many();
    shared();
    polled();
    return 0;
}
