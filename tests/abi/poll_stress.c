/* poll_stress.c - threads that make, watch, use and close pipes, FIFOs and event files under each other's hands, for
 * two seconds, while signals come. What each call answers depends on luck; that all end, and nothing breaks, does not.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 64, THREADS = 6, SECONDS = 2 };

static volatile int files[FILES]; /* descriptors; -1: none */
static volatile int stop;
static unsigned long done;
static char fifo[2][40];

struct luck {
    unsigned state;
    char buffer[70000];
};
static unsigned below(struct luck *l, unsigned n) {
    l->state = l->state * 1103515245 + 12345;
    return (l->state >> 12) % n;
}
static int any(struct luck *l) { return files[below(l, FILES)]; }
static void put(struct luck *l, int fd) {
    int old = __sync_lock_test_and_set(&files[below(l, FILES)], fd);
    if (old >= 0)
        close(old);
}

static void make_pipe(struct luck *l) {
    int p[2];
    if (!pipe2(p, O_NONBLOCK | (below(l, 8) ? 0 : O_DIRECT)))
        put(l, p[0]), put(l, p[1]);
}
static void open_fifo(struct luck *l) { put(l, open(fifo[below(l, 2)], (int)below(l, 3) | O_NONBLOCK)); }
static void make_eventfd(struct luck *l) {
    put(l, eventfd(below(l, 3), EFD_NONBLOCK | (below(l, 2) ? EFD_SEMAPHORE : 0)));
}
static void make_epoll(struct luck *l) { put(l, epoll_create1(0)); }
static void make_signalfd(struct luck *l) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    put(l, signalfd(-1, &set, SFD_NONBLOCK));
}
static void make_timerfd(struct luck *l) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec t = {{0, below(l, 3000000)}, {0, 1 + below(l, 3000000)}};
    timerfd_settime(fd, 0, &t, NULL);
    put(l, fd);
}
static void control(struct luck *l) {
    static const int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
    struct epoll_event e = {.events = EPOLLIN | (below(l, 2) ? EPOLLET : 0) | (below(l, 2) ? EPOLLOUT : 0) |
                                      (below(l, 4) ? 0 : EPOLLONESHOT)};
    epoll_ctl(any(l), operations[below(l, 5)], any(l), &e);
}
static void await(struct luck *l) {
    struct epoll_event e[8];
    epoll_wait(any(l), e, (int)(1 + below(l, 8)), (int)below(l, 3));
}
static void ask(struct luck *l) {
    struct pollfd p[16];
    for (int i = 0; i < 16; i++)
        p[i] = (struct pollfd){.fd = any(l), .events = POLLIN | POLLPRI};
    poll(p, 16, (int)below(l, 4));
}
static void give(struct luck *l) { (void)!write(any(l), l->buffer, below(l, below(l, 2) ? sizeof(l->buffer) : 100)); }
static void take(struct luck *l) { (void)!read(any(l), l->buffer, below(l, sizeof(l->buffer))); }
static void drop(struct luck *l) { put(l, -1); }
static void copy(struct luck *l) { put(l, dup(any(l))); }
static void interrupt(struct luck *l) { kill(getpid(), below(l, 2) ? SIGUSR1 : SIGUSR2); }
static void resize(struct luck *l) {
    int queued, fd = any(l);
    fcntl(fd, F_SETPIPE_SZ, 4096 << below(l, 6));
    ioctl(fd, FIONREAD, &queued);
}
static void look(struct luck *l) {
    char name[40];
    int fd = any(l), info;
    snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
    info = open(name, O_RDONLY);
    (void)!read(info, l->buffer, 4000);
    close(info);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    (void)!readlink(name, l->buffer, 100);
    if (!below(l, 8))
        put(l, open(name, O_RDWR | O_NONBLOCK));
}
static void child(struct luck *l) {
    if (below(l, 16))
        return;
    pid_t pid = fork();
    if (!pid) {
        struct pollfd p = {.fd = any(l), .events = POLLIN};
        take(l), poll(&p, 1, 3);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void (*const acts[])(struct luck *) = {
    make_pipe, open_fifo, make_eventfd, make_epoll, make_signalfd, make_timerfd, control,
    control,   control,   await,        ask,        give,          give,         take,
    take,      drop,      copy,         interrupt,  resize,        look,         child};

static void *work(void *seed) {
    struct luck *l = calloc(1, sizeof(*l));
    l->state = (unsigned)(long)seed * 7919;
    while (!stop) {
        acts[below(l, sizeof(acts) / sizeof(acts[0]))](l);
        __sync_fetch_and_add(&done, 1);
    }
    free(l);
    return NULL;
}

static void nothing(int signal) { (void)signal; }

int main(void) {
    pthread_t threads[THREADS];
    sigset_t set;
    signal(SIGPIPE, SIG_IGN), signal(SIGUSR1, nothing);
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(fifo[i], sizeof(fifo[i]), "/tmp/stress.%d.%d", getpid(), i);
        mkfifo(fifo[i], 0600);
    }
    for (int i = 0; i < FILES; i++)
        files[i] = -1;
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + time(NULL)));
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += SECONDS;
    do {
        usleep(50000);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec);
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    unlink(fifo[0]), unlink(fifo[1]);
    printf("%s\n", done > 500 ? "much was done" : "little was done");
    return 0;
}
