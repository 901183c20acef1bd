/* time_cpu.c - POSIX timers and sleeps on clocks of CPU time. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }
static void say(const char *what, long result) { printf("%s -> %s\n", what, error_of(result)); }
static volatile sig_atomic_t count, by_tid;
static volatile int value, code;
static void rings(int number, siginfo_t *i, void *context) {
    (void)number, (void)context;
    value = i->si_value.sival_int, code = i->si_code, by_tid = (int)syscall(SYS_gettid);
    count++;
}
static long long now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}
static int make(clockid_t clock, int notify, int tid) {
    struct sigevent e = {.sigev_notify = notify, .sigev_signo = SIGUSR1, .sigev_value = {.sival_int = 42}};
    int id = -1;
    e._sigev_un._tid = tid;
    return syscall(SYS_timer_create, clock, &e, &id) ? -1 : id;
}
static long arm(int id, int flags, long long ns, long long interval) {
    struct itimerspec s = {{interval / 1000000000, interval % 1000000000}, {ns / 1000000000, ns % 1000000000}};
    return syscall(SYS_timer_settime, id, flags, &s, NULL);
}
static void state(const char *what, int id, long long most) {
    struct itimerspec s;
    long r = syscall(SYS_timer_gettime, id, &s);
    long long left = s.it_value.tv_sec * 1000000000ll + s.it_value.tv_nsec;
    printf("%s -> %s, %s, interval %ld\n", what, error_of(r),
           !left          ? "not armed"
           : left <= most ? "armed"
                          : "too long",
           (long)s.it_interval.tv_nsec);
}
static void burn(int times) {
    while (count < times)
        continue;
}

static void timers(clockid_t clock, const char *name) {
    int id = make(clock, SIGEV_SIGNAL, 0);
    printf("%s: made %d\n", name, id >= 0);
    state("new", id, 0);
    say("set far", arm(id, 0, 50000000000, 0));
    state("set far", id, 50000000000);
    count = 0;
    say("set", arm(id, 0, 20000000, 0));
    burn(1);
    printf("rang: value %d code %d\n", value, code);
    state("rung", id, 0);
    count = 0;
    say("repeats", arm(id, 0, 10000000, 10000000));
    burn(3);
    say("off", arm(id, 0, 0, 0));
    state("off", id, 0);
    count = 0;
    say("at a time", arm(id, TIMER_ABSTIME, now(clock) + 20000000, 0));
    burn(1);
    count = 0;
    say("at a time that is past", arm(id, TIMER_ABSTIME, 1, 0));
    burn(1);
    say("bad", arm(id, 0, -5, 0));
    say("delete", syscall(SYS_timer_delete, id));
    say("delete again", syscall(SYS_timer_delete, id));
}

static pthread_barrier_t barrier;
static volatile int stop, other_tid;
static void *worker(void *argument) {
    other_tid = (int)syscall(SYS_gettid);
    pthread_barrier_wait(&barrier);
    while (!stop)
        continue;
    return argument;
}

static void threads(void) {
    pthread_t t;
    clockid_t clock;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, worker, NULL);
    pthread_barrier_wait(&barrier);
    pthread_getcpuclockid(t, &clock);
    count = 0;
    int id = make(clock, SIGEV_THREAD_ID, other_tid);
    printf("another thread's: %d\n", id >= 0);
    say("set", arm(id, 0, 20000000, 0));
    while (!count)
        usleep(1000);
    printf("told itself: %d\n", by_tid == other_tid);
    syscall(SYS_timer_delete, id);
    /* the process's time passes while this thread sleeps */
    long long from = now(CLOCK_PROCESS_CPUTIME_ID);
    struct timespec want = {0, 30000000}, left = {9, 9}, bad = {0, -1}, past = {0, 1};
    printf("sleep -> %d\n", clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &want, &left));
    printf("long enough %d\n", now(CLOCK_PROCESS_CPUTIME_ID) - from >= 30000000);
    from = now(CLOCK_PROCESS_CPUTIME_ID) + 30000000;
    struct timespec until = {from / 1000000000, from % 1000000000};
    printf("until -> %d\n", clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &until, NULL));
    printf("long enough %d\n", now(CLOCK_PROCESS_CPUTIME_ID) >= from);
    printf("until what is past -> %d\n", clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &past, NULL));
    printf("bad -> %d\n", clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &bad, NULL));
    say("the other thread's", syscall(SYS_clock_nanosleep, clock, 0, &want, NULL));
    say("of a thread", syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &want, NULL));
    stop = 1;
    pthread_join(t, NULL);
}

/* Nobody runs: the sleep ends by the signal alone. */
static void interrupted(void) {
    struct timespec want = {50, 0}, left = {9, 9};
    pid_t pid = signal_sleeper(SIGUSR1, 1);
    int r = clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &want, &left);
    printf("interrupted -> %s, left %d\n", strerrorname_np(r), left.tv_sec > 25);
    waitpid(pid, NULL, 0);
}

int main(void) {
    struct sigaction a = {.sa_sigaction = rings, .sa_flags = SA_SIGINFO};
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGUSR1, &a, NULL);
    timers(CLOCK_PROCESS_CPUTIME_ID, "process");
    timers(CLOCK_THREAD_CPUTIME_ID, "thread");
    threads();
    interrupted();
    say("no such thread's", make((clockid_t)(~99999999u << 3 | 6), SIGEV_SIGNAL, 0) < 0 ? -1 : 0);
    say("no such clock", make(77, SIGEV_SIGNAL, 0) < 0 ? -1 : 0);
    say("no such kind of time", make((clockid_t)(~0u << 3 | 3), SIGEV_SIGNAL, 0) < 0 ? -1 : 0);
    say("raw", make(CLOCK_MONOTONIC_RAW, SIGEV_SIGNAL, 0) < 0 ? -1 : 0);
    return 0;
}
