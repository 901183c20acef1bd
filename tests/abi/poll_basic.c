/* poll_basic.c - poll, ppoll, select, pselect: readiness, time-outs, bad descriptors, signals and their masks, many
 * descriptors. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"

static volatile int caught;
static void count(int signal) { (void)signal, caught++; }

static void say(const char *what, long result) {
    if (result < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: %ld\n", what, result);
}
static long ms_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}
static struct timespec now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t;
}

static void polls(void) {
    int p[2], q[2];
    (void)!pipe(p);
    (void)!pipe(q);
    struct pollfd f[5] = {{.fd = p[0], .events = POLLIN},
                          {.fd = p[1], .events = POLLOUT},
                          {.fd = -1, .events = POLLIN, .revents = 77},
                          {.fd = 999, .events = POLLIN},
                          {.fd = q[0], .events = 0}};
    say("poll", poll(f, 5, 0));
    for (int i = 0; i < 5; i++)
        printf(" %#x", f[i].revents);
    printf("\n");
    close(q[1]);
    (void)!write(p[1], "x", 1);
    say("poll", poll(f, 5, -1));
    for (int i = 0; i < 5; i++)
        printf(" %#x", f[i].revents);
    printf("\n");
    int null = open("/dev/null", O_RDWR), file = open("/proc/self/exe", O_RDONLY);
    struct pollfd g[2] = {{.fd = null, .events = POLLIN | POLLOUT | POLLPRI}, {.fd = file, .events = POLLIN | POLLOUT}};
    say("files that are always ready", poll(g, 2, 1000));
    printf(" %#x %#x\n", g[0].revents, g[1].revents);
    say("poll of nothing", poll(NULL, 0, 0));
    say("poll at a bad address", poll((void *)8, 1, 0));
    struct timespec start = now();
    f[0].fd = q[0], f[0].events = 0;
    say("hang-up without being asked for", poll(f, 1, 1000));
    char c;
    (void)!read(p[0], &c, 1);
    f[0].fd = p[0], f[0].events = POLLIN;
    start = now();
    say("time-out", poll(f, 1, 50));
    printf("took its time %d\n", ms_since(&start) >= 50);
    struct rlimit limit = {20, 100};
    setrlimit(RLIMIT_NOFILE, &limit);
    say("more than the limit", poll(f, 21, 0));
    limit.rlim_cur = 100;
    setrlimit(RLIMIT_NOFILE, &limit);
    close(p[0]), close(p[1]), close(q[0]), close(null), close(file);
}

/* A child makes the descriptor ready while the parent sleeps. */
static void woken(void) {
    int p[2];
    (void)!pipe(p);
    fflush(stdout);
    if (!fork()) {
        asleep(getppid());
        (void)!write(p[1], "x", 1);
        _exit(0);
    }
    struct pollfd f = {.fd = p[0], .events = POLLIN};
    say("woken", poll(&f, 1, 10000));
    wait(NULL);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    say("select", select(p[0] + 1, &set, NULL, NULL, NULL));
    printf("in the set %d\n", FD_ISSET(p[0], &set) != 0);
    close(p[0]), close(p[1]);
}

static void selects(void) {
    int p[2];
    (void)!pipe(p);
    fd_set r, w, e;
    struct timeval t = {0, 40000};
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&e);
    FD_SET(p[0], &r), FD_SET(p[1], &w), FD_SET(p[0], &e);
    say("select", select(100, &r, &w, &e, &t));
    printf("%d %d %d\n", FD_ISSET(p[0], &r) != 0, FD_ISSET(p[1], &w) != 0, FD_ISSET(p[0], &e) != 0);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    t = (struct timeval){0, 40000};
    say("time-out", select(p[0] + 1, &r, NULL, NULL, &t));
    printf("left %ld %ld, in the set %d\n", (long)t.tv_sec, (long)t.tv_usec, FD_ISSET(p[0], &r) != 0);
    FD_ZERO(&r);
    FD_SET(60, &r);
    say("a closed descriptor", select(61, &r, NULL, NULL, NULL));
    say("a negative count", select(-1, &r, NULL, NULL, NULL));
    t = (struct timeval){-1, 0};
    say("a negative time", select(0, NULL, NULL, NULL, &t));
    t = (struct timeval){0, 1000};
    say("nothing but time", select(0, NULL, NULL, NULL, &t));
    close(p[0]), close(p[1]);
}

static void signals(void) {
    struct sigaction a = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigset_t block, none;
    struct timespec half = {0, 50000000}, long_time = {10, 0};
    sigaction(SIGUSR1, &a, NULL);
    sigemptyset(&none);
    sigemptyset(&block), sigaddset(&block, SIGUSR1);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGUSR1);
    say("blocked: poll", poll(NULL, 0, 20));
    printf("caught %d\n", caught);
    say("ppoll that lets it in", ppoll(NULL, 0, &long_time, &none));
    printf("caught %d\n", caught);
    say("ppoll", ppoll(NULL, 0, &half, &none));
    raise(SIGUSR1);
    say("pselect that lets it in", pselect(0, NULL, NULL, NULL, &long_time, &none));
    sigset_t after;
    sigprocmask(SIG_BLOCK, NULL, &after);
    printf("caught %d, blocked again %d\n", caught, sigismember(&after, SIGUSR1));
    int p[2];
    (void)!pipe(p);
    struct pollfd f = {.fd = p[1], .events = POLLOUT};
    raise(SIGUSR1);
    say("ready wins over the signal", ppoll(&f, 1, &long_time, &none));
    printf("caught %d\n", caught);
    say("a mask of a wrong size", syscall(SYS_ppoll, &f, 1, &long_time, &none, 4));
    struct timespec bad = {0, 1000000000};
    say("a bad time", ppoll(&f, 1, &bad, NULL));
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    printf("caught %d\n", caught);
    signal_sleeper(SIGUSR1, 1);
    f.fd = p[0], f.events = POLLIN;
    say("poll with SA_RESTART", poll(&f, 1, 5000));
    wait(NULL);
    /* an ignored signal and a stop do not end it */
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        struct timespec start = now();
        int r = poll(&f, 1, 300);
        _exit(r != 0 || ms_since(&start) < 300);
    }
    int status;
    asleep(child);
    kill(child, SIGWINCH), kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    printf("poll over a stop: %d\n", status);
    close(p[0]), close(p[1]);
}

static void many(void) {
    enum { COUNT = 400 };
    static int p[COUNT][2];
    static struct pollfd f[COUNT];
    struct rlimit limit = {1000, 1000};
    setrlimit(RLIMIT_NOFILE, &limit);
    int made = 0;
    for (; made < COUNT && !pipe(p[made]); made++)
        f[made] = (struct pollfd){.fd = p[made][0], .events = POLLIN};
    if (made < 40)
        printf("few descriptors\n");
    fflush(stdout);
    if (!fork()) {
        asleep(getppid());
        (void)!write(p[made - 1][1], "x", 1);
        (void)!write(p[3][1], "x", 1);
        _exit(0);
    }
    say("one of many, at least", poll(f, (nfds_t)made, 10000) >= 1);
    wait(NULL);
    int last = poll(f, (nfds_t)made, 10000);
    printf("then %d: %#x %#x\n", last, f[3].revents, f[made - 1].revents);
    for (int i = 0; i < made; i++)
        close(p[i][0]), close(p[i][1]);
}

/* A descriptor that is only a place. */
static void places(void) {
    struct pollfd f = {.fd = open("/", O_PATH), .events = POLLIN};
    struct timeval t = {0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(f.fd, &set);
    say("poll of a place", poll(&f, 1, 0));
    say("it is invalid", f.revents == POLLNVAL);
    say("select of a place", select(f.fd + 1, &set, NULL, NULL, &t));
    close(f.fd);
}

/* What is open stays so when the limit comes below it. */
static void beyond_the_limit(void) {
    struct rlimit none = {0};
    struct timeval t = {0};
    int p[2];
    fd_set set;
    (void)!pipe(p);
    (void)!write(p[1], "x", 1);
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    getrlimit(RLIMIT_NOFILE, &none);
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    say("select beyond the limit", select(p[0] + 1, &set, NULL, NULL, &t));
    say("its descriptor", FD_ISSET(p[0], &set) != 0);
    FD_SET(900, &set);
    say("far beyond the table", select(1000, &set, NULL, NULL, &t));
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    fflush(stdout);
    if (!fork()) {
        polls();
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    woken();
    selects();
    signals();
    places();
    beyond_the_limit();
    many();
    return 0;
}
