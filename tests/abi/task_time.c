/* task_time.c - clocks, sleeps, interval timers, POSIX timers, futexes, limits, scheduling calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : ""; }
static void show(const char *what, long result) { printf("%s: %ld %s\n", what, result, error_of(result)); }
static volatile sig_atomic_t count;
static volatile int last_value, last_code, most_overrun;
static void counter(int number, siginfo_t *i, void *context) {
    (void)number, (void)context;
    last_value = i->si_value.sival_int;
    last_code = i->si_code;
    if (i->si_code == SI_TIMER && i->si_overrun > most_overrun)
        most_overrun = i->si_overrun;
    count++;
}

static long ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void clocks(void) {
    struct timespec t, u;
    for (int c = 0; c < 12; c++) {
        long r = clock_gettime(c, &t);
        printf("clock %d: %ld %s", c, r, error_of(r));
        r = clock_getres(c, &t);
        printf(" resolution %ld %s\n", r, error_of(r));
    }
    clock_gettime(CLOCK_REALTIME, &t);
    printf("after 2020: %d\n", t.tv_sec > 1577836800);
    printf("time agrees: %d\n", labs(time(NULL) - t.tv_sec) < 5);
    clock_gettime(CLOCK_MONOTONIC, &t);
    clock_gettime(CLOCK_MONOTONIC, &u);
    printf("monotonic: %d\n", u.tv_sec > t.tv_sec || u.tv_nsec >= t.tv_nsec);
    long start = ms();
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    printf("slept enough: %d\n", ms() - start >= 49);
    show("bad sleep", nanosleep(&(struct timespec){0, 1000000000}, NULL));
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 30000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    start = ms();
    printf("absolute: %d, ", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL));
    printf("long enough %d\n", ms() - start >= 28);
    printf("absolute and past: %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){0, 0}, NULL));
    printf("no such clock: %d\n", clock_nanosleep(77, 0, &t, NULL));
}

static void timers(void) {
    struct sigaction a = {.sa_sigaction = counter, .sa_flags = SA_SIGINFO};
    struct itimerval v = {{0, 10000}, {0, 10000}}, now;
    sigaction(SIGALRM, &a, NULL);
    sigaction(SIGVTALRM, &a, NULL);
    sigaction(SIGPROF, &a, NULL);
    sigaction(SIGRTMIN, &a, NULL);
    setitimer(ITIMER_REAL, &v, NULL);
    while (count < 5)
        pause();
    getitimer(ITIMER_REAL, &now);
    printf("interval kept: %ld\n", (long)now.it_interval.tv_usec);
    memset(&v, 0, sizeof v);
    setitimer(ITIMER_REAL, &v, &now);
    printf("code %d\n", last_code == SI_KERNEL);
    printf("alarm: %u then %u\n", alarm(100), alarm(0));
    count = 0;
    v.it_value.tv_usec = 20000;
    setitimer(ITIMER_VIRTUAL, &v, NULL);
    while (!count)
        ;
    printf("virtual: %d\n", count);
    setitimer(ITIMER_PROF, &v, NULL);
    while (count < 2)
        ;
    printf("prof: %d\n", count);
    show("bad timer", setitimer(9, &v, NULL));
    v.it_value.tv_usec = 1000000;
    show("bad value", setitimer(ITIMER_REAL, &v, NULL));
    timer_t id;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 99};
    printf("timer_create: %d\n", timer_create(CLOCK_MONOTONIC, &e, &id));
    struct itimerspec s = {{0, 0}, {0, 10000000}}, left;
    count = 0;
    timer_settime(id, 0, &s, NULL);
    while (!count) /* not pause(): the one signal may come just before it */
        usleep(1000);
    printf("timer rang: value %d, code %d, overrun %d\n", last_value, last_code == SI_TIMER, timer_getoverrun(id));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s.it_interval.tv_nsec = 5000000;
    timer_settime(id, 0, &s, NULL);
    usleep(100000);
    count = 0;
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("overruns in one: %d\n", most_overrun > 5); /* timer_getoverrun may tell of the next one already */
    timer_gettime(id, &left);
    printf("interval %ld\n", (long)left.it_interval.tv_nsec);
    show("delete", timer_delete(id));
    show("delete again", timer_delete(id));
    printf(" %ld %s\n", syscall(SYS_timer_delete, 12345), error_of(-1));
}

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout, uint32_t *word2,
                  uint32_t value3) {
    return syscall(SYS_futex, word, operation, value, timeout, word2, value3);
}

static uint32_t words[4];
static volatile int woken[4];
static volatile pid_t tids[4];
static void *waiter(void *argument) {
    long i = (long)argument;
    tids[i] = gettid();
    long r = futex(&words[0], FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 1u << i);
    woken[i] = r == 0 ? 1 : -1;
    return NULL;
}

static void futexes(void) {
    struct timespec little = {0, 20000000};
    pthread_t t[4];
    show("other value", futex(words, FUTEX_WAIT, 1, NULL, NULL, 0));
    show("in time", futex(words, FUTEX_WAIT, 0, &little, NULL, 0));
    show("crooked", futex((uint32_t *)((char *)words + 1), FUTEX_WAKE, 1, NULL, NULL, 0));
    show("no memory there", futex((uint32_t *)4096, FUTEX_WAIT, 1, NULL, NULL, 0));
    printf("nobody: %ld\n", futex(words, FUTEX_WAKE, 1, NULL, NULL, 0));
    show("no bits", futex(words, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    show("no such operation", futex(words, 99, 0, NULL, NULL, 0));
    for (long i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, waiter, (void *)i);
    for (int i = 0; i < 4; i++) {
        while (!tids[i])
            usleep(1000);
        await_state(getpid(), tids[i], 'S');
    }
    printf("by bit: %ld\n", futex(words, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 4));
    while (!woken[2])
        usleep(1000);
    printf("%d%d%d%d\n", woken[0], woken[1], woken[2], woken[3]);
    printf("requeue: %ld\n", futex(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &words[1], 0));
    show("not equal", futex(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &words[1], 5));
    printf("there: %ld\n", futex(&words[1], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
    printf("wake and operate: %ld", futex(&words[0], FUTEX_WAKE_OP_PRIVATE, 9, (void *)9, &words[2],
                                          FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0)));
    printf(" %u\n", words[2]);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    pthread_mutexattr_t a;
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(m, &a);
    int held[2], r = pipe(held);
    char c;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(m);
        close(held[0]);
        close(held[1]);
        asleep(getppid());
        _exit(0);
    }
    close(held[1]);
    r = (int)read(held[0], &c, 1); /* 0 when the child has it */
    r = pthread_mutex_lock(m);
    printf("owner died: %d\n", r == EOWNERDEAD);
    waitpid(pid, NULL, 0);
}

static void limits(void) {
    struct rlimit l;
    for (int i = 0; i < 3; i++) {
        getrlimit(i == 0 ? RLIMIT_NOFILE : i == 1 ? RLIMIT_CORE : RLIMIT_STACK, &l);
        l.rlim_cur = 64;
        printf("set: %d\n", setrlimit(RLIMIT_NOFILE, &l) == 0 || i);
    }
    l.rlim_cur = 100;
    l.rlim_max = 50;
    show("soft over hard", setrlimit(RLIMIT_NOFILE, &l));
    show("no such limit", getrlimit(99, &l));
    show("of nobody", prlimit(99999, RLIMIT_NOFILE, NULL, &l));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit one = {1, 3};
        setrlimit(RLIMIT_CPU, &one);
        for (;;)
            ;
    }
    int s;
    waitpid(pid, &s, 0);
    printf("CPU limit: %d\n", WIFSIGNALED(s) && WTERMSIG(s) == SIGXCPU);
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("half a second at least: %d\n", (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                                                   usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >=
                                               500000);
    struct tms tms;
    times(&tms);
    printf("times: %d\n", tms.tms_cutime + tms.tms_cstime >= 50);
    show("bad usage", getrusage(7, &usage));
}

static void scheduling(void) {
    cpu_set_t set, one;
    struct sched_param p = {0};
    printf("yield %d, policy %d\n", sched_yield(), sched_getscheduler(0));
    printf("priorities %d %d %d %d\n", sched_get_priority_min(SCHED_FIFO), sched_get_priority_max(SCHED_FIFO),
           sched_get_priority_min(SCHED_OTHER), sched_get_priority_max(99));
    printf("affinity %d\n", sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0);
    CPU_ZERO(&one);
    show("no CPU", sched_setaffinity(0, sizeof one, &one));
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            show("one CPU", sched_setaffinity(0, sizeof one, &one));
            printf("there: %d\n", sched_getcpu() == i);
            break;
        }
    }
    sched_setaffinity(0, sizeof set, &set);
    show("of nobody", sched_getscheduler(99999));
    printf("nice: %d", nice(5));
    printf(" %d\n", getpriority(PRIO_PROCESS, 0));
    show("bad parameter", sched_setscheduler(0, SCHED_FIFO, &p));
    p.sched_priority = 1;
    show("other with a priority", sched_setscheduler(0, SCHED_OTHER, &p));
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 65536);
    clocks();
    timers();
    futexes();
    limits();
    scheduling();
    return 0;
}
