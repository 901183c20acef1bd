/* signals.c - delivery, masks, order, alternate stack, restarts, wait statuses. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "asleep.h"

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
    if (pipe(ends))
        exit(1);
    struct sigaction action = {.sa_handler = simple};
    sigaction(SIGALRM, &action, NULL);
    pid_t pid = signal_sleeper(SIGALRM, 1);
    long n = read(ends[0], &c, 1);
    printf("read without SA_RESTART: %ld %s\n", n, strerrorname_np(errno));
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    waitpid(pid, NULL, 0);
    pid = interrupting_writer(SIGALRM, ends[1], 'x');
    n = read(ends[0], &c, 1);
    printf("read with SA_RESTART: %ld %c\n", n, c);
    status_of("writer", pid);
    pid = signal_sleeper(SIGALRM, 1);
    struct timespec long_time = {50, 0}, rest = {0, 0};
    n = nanosleep(&long_time, &rest);
    printf("nanosleep: %ld %s, %s left\n", n, strerrorname_np(errno), rest.tv_sec > 25 ? "most" : "little");
    waitpid(pid, NULL, 0);
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

/* ---- registers: what the kernel's own tests (selftests/x86) look at ---- */

static void spoil(int number, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    ((unsigned long *)((char *)c->uc_mcontext.fpregs + 512))[2] = 0xfffffff; /* reserved words of the XSAVE header */
    (void)number, (void)info;
}

static void spoilt(int number) {
    printf("a spoilt FPU area -> %s\n", sigabbrev_np(number));
    fflush(stdout);
}

static unsigned long flags_over_a_call(unsigned long set) {
    unsigned long flags, number = SYS_getppid;
    asm volatile("pushfq; orq %2, (%%rsp); popfq; syscall; pushfq; popq %0; pushq $0x202; popfq"
                 : "=r"(flags), "+a"(number)
                 : "r"(set)
                 : "rcx", "r11", "memory", "cc");
    return flags & set;
}

static void registers(void) {
    struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO};
    char line[64], wanted[64] = "";
    long result = -1;
    sigaction(SIGUSR2, &action, NULL);
    signal(SIGSEGV, spoilt);
    raise(SIGUSR2);
    printf("and goes on\n");
    signal(SIGSEGV, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    signal(SIGTRAP, simple);
    printf("NT %lx\n", flags_over_a_call(0x4000));
    printf("NT and TF %lx\n", flags_over_a_call(0x4100));
    signal(SIGTRAP, SIG_DFL);
    asm volatile("syscall" : "=a"(result) : "a"(SYS_getpid | 7ul << 32) : "rcx", "r11", "memory");
    printf("a number's upper half -> %s\n", result == getpid() ? "ignored" : "matters");
    int fd = open("/proc/self/syscall", O_RDONLY);
    snprintf(wanted, sizeof wanted, "%d %#x %p %#zx ", SYS_read, fd, (void *)line, sizeof line);
    syscall(SYS_read, fd, line, sizeof line);
    printf("/proc/self/syscall -> %s\n", strncmp(line, wanted, strlen(wanted)) ? "another" : "this read");
    close(fd);
}

/* ---- an alternate stack that is full ---- */

#define HALF (64 * 1024)

static void deeper(int number) { raise(number); }

/* The stack is the upper half of shared memory: what a handler itself pushes may pass its end, but not by a page. */
static void overrun_stack(void) {
    char *both = mmap(NULL, 2 * HALF, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int written = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        stack_t upper = {.ss_sp = both + HALF, .ss_size = HALF};
        struct sigaction a = {.sa_handler = deeper, .sa_flags = SA_ONSTACK | SA_NODEFER};
        setrlimit(RLIMIT_CORE, &none);
        sigaltstack(&upper, NULL);
        sigaction(SIGUSR1, &a, NULL);
        raise(SIGUSR1);
        _exit(0);
    }
    status_of("handlers fill the alternate stack", pid);
    for (int i = 0; i < HALF - 4096; i++)
        written |= both[i];
    printf("below it: %s\n", written ? "written" : "untouched");
    munmap(both, 2 * HALF);
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
    action = (struct sigaction){.sa_handler = simple, .sa_flags = ~SA_RESETHAND};
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGUSR2, NULL, &action);
    printf("flags that are kept: %#x\n", action.sa_flags);
    registers();
    overrun_stack();
    return 0;
}
