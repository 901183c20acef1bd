/* signals.c - delivery, masks, order, alternate stack, restarts, wait statuses. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t count;
static char stack[64 * 1024];

static void simple(int number) {
    count++;
    printf("handler %s\n", sigabbrev_np(number));
}

static void full(int number, siginfo_t *info, void *context) {
    (void)context;
    printf("info %d code %d value %d self %d\n", number, info->si_code, info->si_value.sival_int,
           info->si_pid == getpid());
}

static void where(int number) {
    char here;
    printf("%s on the alternate stack: %d\n", sigabbrev_np(number), &here >= stack && &here < stack + sizeof stack);
}

static void show(const char *what, long result) {
    const char *error = result == -1 ? strerrorname_np(errno) : "";
    printf("%s: %ld %s\n", what, result, error);
}

static void status_of(const char *what, pid_t pid) {
    int status;
    struct rusage usage;
    pid_t got = wait4(pid, &status, 0, &usage);
    if (got != pid)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else if (WIFEXITED(status))
        printf("%s: exited %d\n", what, WEXITSTATUS(status));
    else
        printf("%s: signal %s\n", what, sigabbrev_np(WTERMSIG(status)));
}

static pid_t child_that(int number) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (number == 0)
            _exit(33);
        if (number == SIGSEGV)
            *(volatile int *)0 = 1;
        if (number == SIGFPE) {
            int zero = 0;
            __asm__ volatile("cltd; idivl %0" : : "r"(zero), "a"(1) : "rdx");
        }
        if (number == SIGILL)
            __builtin_trap();
        raise(number);
        _exit(44);
    }
    return pid;
}

static void masks(void) {
    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, &old);
    count = 0;
    raise(SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR1);
    for (int i = 3; i > 0; i--)
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    sigpending(&pending);
    printf("pending %d %d %d, delivered %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2),
           sigismember(&pending, SIGTERM), count);
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("delivered %d\n", count);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    int number = 0;
    printf("sigwait %d", sigwait(&set, &number));
    printf(" %s\n", sigabbrev_np(number));
    struct timespec brief = {0, 1000000};
    show("sigtimedwait", sigtimedwait(&set, NULL, &brief));
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void restarts(void) {
    int ends[2];
    char c;
    struct itimerval soon = {.it_value = {.tv_usec = 50000}};
    if (pipe(ends))
        exit(1);
    struct sigaction action = {.sa_handler = simple};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    long n = read(ends[0], &c, 1);
    printf("read without SA_RESTART: %ld %s\n", n, strerrorname_np(errno));
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        usleep(200000);
        _exit(write(ends[1], "x", 1) != 1);
    }
    n = read(ends[0], &c, 1);
    printf("read with SA_RESTART: %ld %c\n", n, c);
    status_of("writer", pid);
    setitimer(ITIMER_REAL, &soon, NULL);
    struct timespec second = {1, 0}, rest = {0, 0};
    n = nanosleep(&second, &rest);
    printf("nanosleep: %ld %s, %s left\n", n, strerrorname_np(errno), rest.tv_nsec > 100000000 ? "most" : "little");
}

static void stops(void) {
    int status, ends[2];
    char c;
    if (pipe(ends))
        exit(1);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        raise(SIGSTOP);
        _exit(5 + (int)read(ends[0], &c, 1)); /* not before the parent heard that it runs again */
    }
    waitpid(pid, &status, WUNTRACED);
    printf("stopped %d by %s\n", WIFSTOPPED(status), sigabbrev_np(WSTOPSIG(status)));
    printf("WNOHANG %d\n", waitpid(pid, &status, WNOHANG));
    kill(pid, SIGCONT);
    waitpid(pid, &status, WCONTINUED);
    printf("continued %d\n", WIFCONTINUED(status));
    close(ends[1]);
    close(ends[0]);
    status_of("then", pid);
}

int main(void) {
    struct sigaction action = {.sa_handler = simple};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    action = (struct sigaction){.sa_sigaction = full, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    raise(SIGUSR1);
    kill(getpid(), SIGTERM);
    masks();
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    action = (struct sigaction){.sa_handler = where, .sa_flags = SA_ONSTACK | SA_RESETHAND};
    sigaction(SIGHUP, &action, NULL);
    raise(SIGHUP);
    sigaction(SIGHUP, NULL, &action);
    printf("reset to default: %d\n", action.sa_handler == SIG_DFL);
    restarts();
    static const int numbers[] = {0, SIGTERM + 0, SIGKILL, SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGPIPE, SIGCHLD};
    signal(SIGTERM, SIG_DFL);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        status_of(numbers[i] ? sigabbrev_np(numbers[i]) : "exit", child_that(numbers[i]));
    stops();
    show("kill nobody", kill(99999999, 0));
    show("kill with a bad number", kill(getpid(), 77));
    show("wait with no child", wait(NULL));
    action = (struct sigaction){.sa_handler = simple};
    show("sigaction KILL", sigaction(SIGKILL, &action, NULL));
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    if (pipe(ends))
        return 1;
    close(ends[0]);
    long n = write(ends[1], "x", 1);
    printf("write to a broken pipe: %ld %s\n", n, strerrorname_np(errno));
    return 0;
}
