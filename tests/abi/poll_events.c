/* poll_events.c - eventfd, timerfd, signalfd: values, blocking, intervals, what is told of a signal. */
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
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"

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
static void put(int fd, unsigned long long value) {
    char what[64];
    snprintf(what, sizeof(what), "add %llx", value);
    say(what, write(fd, &value, 8));
}
static void take(int fd) {
    unsigned long long value = 0;
    ssize_t n = read(fd, &value, 8);
    if (n < 0)
        say("take", n);
    else
        printf("take: %llx\n", value);
}
static void name(int fd) {
    char link[64], text[64];
    struct stat st;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof(text));
    fstat(fd, &st);
    printf("%.*s mode %o\n", (int)n, text, st.st_mode);
}

static void eventfds(void) {
    int fd = eventfd(3, EFD_NONBLOCK);
    name(fd);
    printf("events %#x\n", events(fd));
    take(fd);
    printf("events %#x\n", events(fd));
    take(fd);
    put(fd, 0xfffffffffffffffe);
    printf("events %#x\n", events(fd));
    put(fd, 1);
    put(fd, 0);
    put(fd, 0xffffffffffffffff);
    take(fd);
    char b[16];
    say("a short read", read(fd, b, 4));
    say("a short write", write(fd, b, 4));
    memset(b, 0, 16), b[0] = 5;
    (void)!write(fd, b, 8);
    say("a long read", read(fd, b, 16));
    say("lseek", lseek(fd, 0, SEEK_SET));
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    take(fd), take(fd), take(fd);
    close(fd);
    say("bad flags", eventfd(0, 2));
    fd = eventfd(0, 0);
    fflush(stdout);
    if (!fork()) {
        asleep(getppid());
        eventfd_write(fd, 0x11);
        _exit(0);
    }
    take(fd);
    wait(NULL);
    close(fd);
}

static long long ns(const struct timespec *t) { return t->tv_sec * 1000000000LL + t->tv_nsec; }

static void timerfds(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec t = {.it_value = {0, 20000000}}, old;
    unsigned long long ticks;
    name(fd);
    take(fd);
    printf("off: events %#x\n", events(fd));
    say("set", timerfd_settime(fd, 0, &t, NULL));
    timerfd_gettime(fd, &old);
    printf("running %d\n", ns(&old.it_value) > 0 && ns(&old.it_value) <= 20000000);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    say("poll", poll(&p, 1, 5000));
    take(fd);
    timerfd_gettime(fd, &old);
    printf("over %lld %lld\n", ns(&old.it_value), ns(&old.it_interval));
    t.it_interval.tv_nsec = 5000000;
    t.it_value.tv_nsec = 5000000;
    timerfd_settime(fd, 0, &t, NULL);
    usleep(52000);
    say("read", read(fd, &ticks, 8));
    printf("ten ticks or more %d\n", ticks >= 10);
    memset(&t, 0, sizeof(t));
    say("stop", timerfd_settime(fd, 0, &t, &old));
    printf("old interval %lld\n", ns(&old.it_interval));
    take(fd);
    clock_gettime(CLOCK_MONOTONIC, &t.it_value);
    t.it_value.tv_sec -= 1;
    if (t.it_value.tv_sec < 0)
        t.it_value = (struct timespec){0, 1};
    say("a time that passed", timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
    say("poll", poll(&p, 1, 1000));
    take(fd);
    t.it_value.tv_nsec = 1000000000;
    say("a bad time", timerfd_settime(fd, 0, &t, NULL));
    say("bad flags", timerfd_settime(fd, 8, &t, NULL));
    close(fd);
    say("a bad clock", timerfd_create(77, 0));
    say("no timer", timerfd_gettime(0, &old));
    fd = timerfd_create(CLOCK_REALTIME, 0);
    clock_gettime(CLOCK_REALTIME, &t.it_value);
    t.it_value.tv_sec += 0;
    t.it_value.tv_nsec += 20000000;
    if (t.it_value.tv_nsec >= 1000000000)
        t.it_value.tv_nsec -= 1000000000, t.it_value.tv_sec++;
    t.it_interval = (struct timespec){0, 0};
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL);
    take(fd);
    clock_gettime(CLOCK_REALTIME, &t.it_value);
    t.it_value.tv_sec -= 1000;
    t.it_interval = (struct timespec){300, 0};
    say("an interval since a time that passed", timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
    take(fd);
    timerfd_gettime(fd, &old);
    printf("in step with it %d\n", old.it_value.tv_sec >= 150 && old.it_value.tv_sec <= 200);
    close(fd);
}

static void signalfds(void) {
    sigset_t set;
    struct signalfd_siginfo i[3];
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGCHLD), sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    name(fd);
    say("read of nothing", read(fd, i, sizeof(i[0])));
    printf("events %#x\n", events(fd));
    kill(getpid(), SIGUSR1);
    printf("events %#x\n", events(fd));
    say("read", read(fd, i, sizeof(i)));
    printf("signo %u code %d pid %d uid %d\n", i[0].ssi_signo, i[0].ssi_code, i[0].ssi_pid == (unsigned)getpid(),
           i[0].ssi_uid == getuid());
    union sigval value = {.sival_int = 42};
    sigqueue(getpid(), SIGRTMIN, value);
    value.sival_int = 43;
    sigqueue(getpid(), SIGRTMIN, value);
    say("two", read(fd, i, sizeof(i)));
    printf("%d %d code %d\n", i[0].ssi_int, i[1].ssi_int, i[0].ssi_code);
    fflush(stdout);
    pid_t child = fork();
    if (!child)
        _exit(5);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    say("poll", poll(&p, 1, 5000));
    say("child", read(fd, i, sizeof(i)));
    printf("signo %u code %d status %d pid %d\n", i[0].ssi_signo, i[0].ssi_code, i[0].ssi_status,
           i[0].ssi_pid == (unsigned)child);
    wait(NULL);
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    say("a new mask", signalfd(fd, &set, 0) == fd);
    raise(SIGUSR2);
    say("read", read(fd, i, sizeof(i)));
    printf("signo %u\n", i[0].ssi_signo);
    say("short", read(fd, i, 10));
    say("no signalfd", signalfd(0, &set, 0));
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    say("epoll", epoll_wait(ep, &e, 1, 0));
    raise(SIGUSR2);
    say("epoll", epoll_wait(ep, &e, 1, 1000));
    close(ep), close(fd);
}

int main(void) {
    eventfds();
    timerfds();
    signalfds();
    return 0;
}
