/* task_edges.c - where calls on processes, signals and time end: intervals too short and too long, limits, several
 * threads in one call at once. What could hang is under an alarm. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long result) {
    if (result == -1)
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> %ld\n", what, result);
}

static sigset_t only(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

/* taken: how many of the signal wait; the last one's siginfo. */
static int taken(int number, siginfo_t *info) {
    sigset_t set = only(number);
    int n = 0;
    while (sigtimedwait(&set, info, &(struct timespec){0, 0}) == number)
        n++;
    return n;
}

/* ---- timers ---- */

static timer_t timer_on(int number) {
    struct sigevent e = {.sigev_notify = number ? SIGEV_SIGNAL : SIGEV_NONE, .sigev_signo = number};
    timer_t id;
    if (timer_create(CLOCK_MONOTONIC, &e, &id))
        perror("timer_create");
    return id;
}

static void short_and_long(void) {
    sigset_t set = only(SIGRTMIN), alarms = only(SIGALRM);
    siginfo_t info;
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &alarms, NULL);
    timer_t id = timer_on(SIGRTMIN);
    timer_settime(id, 0, &(struct itimerspec){{0, 1}, {0, 1}}, NULL);
    usleep(20000);
    sigwaitinfo(&set, &info);
    say("an interval of 1 ns has many overruns", info.si_overrun > 1000);
    say("an interval of 1 ns ends", timer_delete(id));
    (void)taken(SIGRTMIN, &info);
    id = timer_on(SIGRTMIN);
    timer_settime(id, 0, &(struct itimerspec){{LONG_MAX, 0}, {0, 1000000}}, NULL);
    usleep(30000);
    say("an endless interval rings", taken(SIGRTMIN, &info));
    say("and has overruns", info.si_overrun);
    timer_delete(id);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 1}, {0, 1}}, NULL);
    usleep(20000);
    say("an interval of 1 us rings", taken(SIGALRM, &info) > 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    (void)taken(SIGALRM, &info);
    struct itimerval v = {{0, 0}, {18446744074, 0}}; /* times 10^9 it is 2^64 and 0.3 s */
    say("a time that does not fit", setitimer(ITIMER_REAL, &v, NULL));
    usleep(400000);
    say("it has rung", taken(SIGALRM, &info));
    getitimer(ITIMER_REAL, &v);
    say("and is far", v.it_value.tv_sec > 1000000000);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    say("timer_create, bad number", syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, (void *)8));
}

static timer_t shared_timer;
static void *sets(void *unused) {
    for (int n = 0; n < 3000; n++) {
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 100}, {0, 100}}, NULL);
        timer_settime(shared_timer, 0, &(struct itimerspec){{0, 100000}, {0, 1000}}, NULL);
        timer_settime(shared_timer, 0, &(struct itimerspec){{0, 0}, {0, 0}}, NULL);
    }
    return unused;
}

static void together(void *(*f)(void *), int count) {
    pthread_t t[8];
    for (int i = 0; i < count; i++)
        pthread_create(&t[i], NULL, f, NULL);
    for (int i = 0; i < count; i++)
        pthread_join(t[i], NULL);
}

static void set_together(void) {
    signal(SIGALRM, SIG_IGN);
    shared_timer = timer_on(0);
    together(sets, 2);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    struct itimerval v;
    getitimer(ITIMER_REAL, &v);
    say("timers set by two threads", v.it_value.tv_sec + v.it_value.tv_usec);
}

static void wall(void) {
    say("settimeofday, too late", settimeofday(&(struct timeval){1L << 40, 0}, NULL));
    say("settimeofday, before the start", settimeofday(&(struct timeval){0, 0}, NULL));
    say("clock_settime, too late", clock_settime(CLOCK_REALTIME, &(struct timespec){LONG_MAX, 0}));
    say("clock_settime, before the start", clock_settime(CLOCK_REALTIME, &(struct timespec){0, 0}));
    uint32_t word = 1;
    say("FUTEX_WAIT by the wall's clock",
        syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, &(struct timespec){0, 1000}, NULL, 0));
}

/* ---- limits ---- */

static void pending(void) {
    sigset_t set = only(SIGRTMIN);
    siginfo_t info;
    sigprocmask(SIG_BLOCK, &set, NULL);
    setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){3, 3});
    int good = 0;
    for (int n = 0; n < 10; n++)
        good += kill(getpid(), SIGRTMIN) == 0;
    say("kill past the limit", good);
    say("tgkill past the limit", syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN));
    say("sigqueue past the limit", sigqueue(getpid(), SIGRTMIN, (union sigval){0}));
    say("waiting", taken(SIGRTMIN, &info));
    timer_t id[4];
    for (int n = 0; n < 4; n++)
        say("timer_create to the limit", timer_create(CLOCK_MONOTONIC, NULL, &id[n]));
    say("sigqueue beside them", sigqueue(getpid(), SIGRTMIN, (union sigval){0}));
    say("timer_delete", timer_delete(id[0]));
    say("sigqueue in its place", sigqueue(getpid(), SIGRTMIN, (union sigval){0}));
    (void)taken(SIGRTMIN, &info);
    say("timer_create in its place", timer_create(CLOCK_MONOTONIC, NULL, &id[0]));
}

static void policy_of_a_child(void) {
    fflush(stdout);
    if (!fork()) {
        struct sched_param p;
        sched_getparam(0, &p);
        say("policy of a child", sched_getscheduler(0));
        say("priority of a child", p.sched_priority);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

static void niceness(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t deadline[3];
    } a = {.size = sizeof a, .policy = 1u << 31};
    say("sched_setattr, policy 2^31", syscall(SYS_sched_setattr, 0, &a, 0));
    say("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){10}));
    policy_of_a_child();
    say("SCHED_RR, reset", sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &(struct sched_param){10}));
    say("policy", sched_getscheduler(0));
    say("sched_setparam", sched_setparam(0, &(struct sched_param){11}));
    say("policy", sched_getscheduler(0));
    say("sched_getattr", syscall(SYS_sched_getattr, 0, &a, sizeof a, 0));
    printf("policy %u flags %lu\n", a.policy, a.flags);
    policy_of_a_child();
    say("a flag there is not", (a.flags = 1 << 20, syscall(SYS_sched_setattr, 0, &a, 0)));
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.flags = SCHED_FLAG_RESET_ON_FORK;
    a.nice = -7;
    say("sched_setattr, reset", syscall(SYS_sched_setattr, 0, &a, 0));
    fflush(stdout);
    if (!fork()) {
        errno = 0;
        say("niceness of a child", getpriority(PRIO_PROCESS, 0));
        say("policy of a child", sched_getscheduler(0));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    if (!fork()) {
        setuid(1000);
        say("an ordinary user's", sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &(struct sched_param){0}));
        say("to keep it", sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &(struct sched_param){0}));
        say("to take it back", sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    a.flags = 0;
    a.nice = 0;
    say("sched_setattr, as before", syscall(SYS_sched_setattr, 0, &a, 0));
    setuid(1000);
    a.policy = SCHED_OTHER;
    a.nice = -5;
    say("sched_setattr, nicer", syscall(SYS_sched_setattr, 0, &a, 0));
    a.nice = 5;
    say("sched_setattr, less nice", syscall(SYS_sched_setattr, 0, &a, 0));
    say("niceness", getpriority(PRIO_PROCESS, 0));
}

static void death_signal(void) {
    int number = 0;
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    say("setuid to the same", setuid(0));
    prctl(PR_GET_PDEATHSIG, &number);
    say("parent's death", number);
    say("setgid", setgid(1000));
    prctl(PR_GET_PDEATHSIG, &number);
    say("parent's death after setgid", number);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    say("setuid", setuid(1000));
    prctl(PR_GET_PDEATHSIG, &number);
    say("parent's death after setuid", number);
}

static void flags_of_clone(void) {
    struct clone_args a = {.flags = 1ul << 40, .exit_signal = SIGCHLD};
    say("clone3, unknown flag", syscall(SYS_clone3, &a, sizeof a));
    a.flags = CLONE_INTO_CGROUP;
    a.cgroup = 1000;
    say("clone3, no such group", syscall(SYS_clone3, &a, sizeof a));
}

static void *set_groups(void *unused) {
    gid_t some[64] = {0}, have[64];
    for (int n = 0; n < 3000; n++) {
        syscall(SYS_setgroups, n % 64, some);
        syscall(SYS_getgroups, 64, have);
    }
    return unused;
}

static void groups(void) {
    together(set_groups, 4);
    gid_t some[3] = {7, 8, 9}, have[64];
    say("setgroups", setgroups(3, some));
    say("getgroups", getgroups(64, have));
    say("the last", have[2]);
}

/* ---- families ---- */

static void burn(long ms) {
    struct timespec t;
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
}

static void usage(void) {
    struct rusage u;
    siginfo_t info;
    for (int with_waitid = 0; with_waitid < 2; with_waitid++) {
        pid_t pid = fork();
        if (!pid) {
            if (!fork()) {
                burn(100);
                _exit(0);
            }
            wait(NULL);
            _exit(0);
        }
        if (with_waitid)
            syscall(SYS_waitid, P_PID, pid, &info, WEXITED, &u);
        else
            wait4(pid, NULL, 0, &u);
        long us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
        say(with_waitid ? "waitid counts a grandchild" : "wait4 counts a grandchild", us > 50000);
    }
}

static void *spins(void *unused) {
    for (;;)
        usleep(100);
    return unused;
}

static void stops(void) {
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        pthread_t t;
        for (int i = 0; i < 3; i++)
            pthread_create(&t, NULL, spins, NULL);
        spins(NULL);
    }
    int status, told = 0;
    usleep(20000);
    for (int n = 0; n < 200; n++) {
        kill(pid, SIGSTOP);
        told += waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
        kill(pid, SIGCONT);
    }
    say("stops of four threads, told", told);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* orphan_traced: a child asks to be traced while its parent ends: then its tracer is its parent, or who comes after. */
static void orphan_traced(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int ended = 0, status;
    fflush(stdout);
    for (int n = 0; n < 100; n++) {
        if (!fork()) {
            if (!fork()) {
                for (volatile int i = 0; i < n * 200; i++)
                    continue;
                ptrace(PTRACE_TRACEME, 0, 0, 0);
                raise(SIGWINCH);
                _exit(7);
            }
            _exit(0);
        }
        pid_t pid;
        while ((pid = waitpid(-1, &status, 0)) > 0) {
            if (WIFSTOPPED(status))
                ptrace(PTRACE_CONT, pid, 0, 0);
            ended += WIFEXITED(status) && WEXITSTATUS(status) == 7;
        }
    }
    say("traced while the parent ends", ended);
}

/* ---- signals of timers that are no more ---- */

static void left_behind(void) {
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 7};
    sigset_t set = only(SIGRTMIN);
    siginfo_t info;
    timer_t id;
    sigprocmask(SIG_BLOCK, &set, NULL);
    timer_create(CLOCK_MONOTONIC, &e, &id);
    timer_settime(id, 0, &(struct itimerspec){{0, 0}, {0, 1000000}}, NULL);
    usleep(20000);
    timer_delete(id);
    say("signals of a deleted timer", taken(SIGRTMIN, &info));
    say("are a timer's", info.si_code == SI_TIMER);
    say("with its value", info.si_value.sival_int);
}

static void timers_of_one_signal(void) {
    sigset_t set = only(SIGUSR1);
    siginfo_t info;
    int values = 0;
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 3; i++) {
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 1 << i};
        timer_t id;
        timer_create(CLOCK_MONOTONIC, &e, &id);
        timer_settime(id, 0, &(struct itimerspec){{0, i ? 0 : 1000000}, {0, 1000000 * (i + 1)}}, NULL);
    }
    usleep(30000);
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 4; i++) {
        say("one of a kill and three timers", sigtimedwait(&set, &info, &(struct timespec){0, 0}));
        values |= info.si_code == SI_TIMER ? info.si_value.sival_int : 8;
    }
    say("they were all of these", values);
}

static void exec_with_timers(void) {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    timer_settime(timer_on(SIGUSR1), 0, &(struct itimerspec){{0, 0}, {0, 1000000}}, NULL);
    timer_settime(timer_on(SIGRTMIN), 0, &(struct itimerspec){{0, 0}, {0, 1000000}}, NULL);
    usleep(20000);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1});
    raise(SIGUSR2);
    execl("/proc/self/exe", "task_edges", "pending", NULL);
}

static int pending_after_exec(void) {
    static const int numbers[] = {SIGUSR1, SIGUSR2};
    siginfo_t info;
    for (int i = 0; i < 2; i++) {
        printf("%s after execve -> ", sigabbrev_np(numbers[i]));
        printf("%d\n", taken(numbers[i], &info));
    }
    say("a signal that sigqueue sent, too, after execve", taken(SIGRTMIN, &info));
    return 0;
}

static void in_child(void (*f)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    int status;
    if (!pid) {
        f();
        fflush(stdout);
        _exit(0);
    }
    alarm(60);
    waitpid(pid, &status, 0);
    alarm(0);
    if (status)
        printf("a part ended with %#x\n", status);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "pending"))
        return pending_after_exec();
    in_child(short_and_long);
    in_child(set_together);
    in_child(wall);
    in_child(pending);
    in_child(niceness);
    in_child(death_signal);
    in_child(flags_of_clone);
    in_child(groups);
    in_child(usage);
    in_child(stops);
    in_child(orphan_traced);
    in_child(left_behind);
    in_child(timers_of_one_signal);
    in_child(exec_with_timers);
    return 0;
}
