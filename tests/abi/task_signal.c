/* task_signal.c - what signals(7) promises: queues and order, flags of actions, suspension, restarts, masks of threads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "asleep.h"

static const char *error_of(long result) { return result == -1 ? strerrorname_np(errno) : ""; }
static void show(const char *what, long result) { printf("%s: %ld %s\n", what, result, error_of(result)); }
static volatile sig_atomic_t count, depth, deepest, runs;

static void counter(int number) {
    (void)number;
    count++;
}

static void action(int number, void (*handler)(int), int flags) {
    struct sigaction a = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &a, NULL);
}

static void teller(int number, siginfo_t *i, void *context) {
    (void)context;
    printf(" %d:%d", number - SIGRTMIN, i->si_value.sival_int);
}

static void queues(void) {
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    struct sigaction a = {.sa_sigaction = teller, .sa_flags = SA_SIGINFO};
    sigfillset(&a.sa_mask);
    for (int i = 0; i < 3; i++)
        sigaction(SIGRTMIN + i, &a, NULL);
    for (int i = 0; i < 9; i++) {
        union sigval v = {.sival_int = i};
        sigqueue(getpid(), SIGRTMIN + 2 - i % 3, v);
    }
    printf("queued:");
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("\n");
    action(SIGUSR1, counter, 0);
    sigprocmask(SIG_BLOCK, &all, &old);
    for (int i = 0; i < 5; i++)
        kill(getpid(), SIGUSR1);
    sigset_t pending;
    sigpending(&pending);
    printf("pending: %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2));
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("standard once: %d\n", count);
    sigprocmask(SIG_BLOCK, &all, &old);
    kill(getpid(), SIGUSR1);
    action(SIGUSR1, SIG_IGN, 0);
    sigpending(&pending);
    printf("ignored is not pending: %d\n", sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void nested(int number) {
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (++runs < 3)
        raise(number);
    depth--;
}

static void flags(void) {
    action(SIGUSR1, nested, SA_NODEFER);
    raise(SIGUSR1);
    printf("SA_NODEFER: %d deep\n", deepest);
    deepest = runs = 0;
    action(SIGUSR1, nested, 0);
    raise(SIGUSR1);
    printf("deferred: %d deep\n", deepest);
    action(SIGUSR1, nested, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    printf("SA_RESETHAND: default %d\n", now.sa_handler == SIG_DFL);
    show("SIGKILL cannot be caught", sigaction(SIGKILL, &now, NULL));
    printf("no signal 0, 65: %d %d\n", sigaction(0, &now, NULL), sigaction(65, &now, NULL));
    show("bad how", sigprocmask(99, &(sigset_t){{0}}, NULL));
}

static void suspend(void) {
    sigset_t block, empty, now;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigemptyset(&empty);
    sigprocmask(SIG_BLOCK, &block, NULL);
    action(SIGUSR2, counter, 0);
    count = 0;
    kill(getpid(), SIGUSR2);
    printf("not while blocked: %d\n", count);
    int r = sigsuspend(&empty);
    printf("sigsuspend: %d %s, ran %d\n", r, error_of(r), count);
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("mask is back: %d\n", sigismember(&now, SIGUSR2));
    kill(getpid(), SIGUSR2);
    struct timespec none = {0, 0}, little = {0, 20000000};
    r = ppoll(NULL, 0, &(struct timespec){5, 0}, &empty);
    printf("ppoll: %d %s, ran %d\n", r, error_of(r), count);
    siginfo_t i;
    kill(getpid(), SIGUSR2);
    printf("sigtimedwait: %d code %d\n", sigtimedwait(&block, &i, &none), i.si_code);
    show("none", sigtimedwait(&block, &i, &none));
    show("in time", sigtimedwait(&block, &i, &little));
    union sigval v = {.sival_int = 77};
    sigqueue(getpid(), SIGUSR2, v);
    printf("sigwaitinfo: %d code %d value %d\n", sigwaitinfo(&block, &i), i.si_code, i.si_value.sival_int);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
}

static void interrupted(void) {
    int fd[2];
    char c;
    pipe(fd);
    count = 0;
    action(SIGUSR2, counter, 0);
    pid_t pid = signal_sleeper(SIGUSR2, 1);
    long r = read(fd[0], &c, 1);
    printf("read: %ld %s %d\n", r, error_of(r), count);
    waitpid(pid, NULL, 0);
    action(SIGUSR2, counter, SA_RESTART);
    count = 0;
    pid = interrupting_writer(SIGUSR2, fd[1], 'y');
    r = read(fd[0], &c, 1);
    printf("read, SA_RESTART: %ld %c %d\n", r, c, count);
    waitpid(pid, NULL, 0);
    pid = signal_sleeper(SIGUSR2, 1);
    struct timespec left = {0, 0};
    r = nanosleep(&(struct timespec){50, 0}, &left);
    printf("nanosleep: %ld %s, most of it left %d\n", r, error_of(r), left.tv_sec > 25);
    waitpid(pid, NULL, 0);
    action(SIGUSR2, SIG_IGN, 0);
    pid = signal_sleeper(SIGUSR2, 2);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    r = nanosleep(&(struct timespec){0, 300000000}, &left);
    clock_gettime(CLOCK_MONOTONIC, &b);
    long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
    printf("ignored does not wake: %ld, long enough %d\n", r, ms >= 299);
    waitpid(pid, NULL, 0);
    close(fd[0]);
    close(fd[1]);
    fflush(stdout);
    pid = fork(); /* not this process: when the program that was asked for stops, the command stops too */
    if (pid == 0) {
        pid_t other = fork();
        if (other == 0) {
            asleep(getppid());
            kill(getppid(), SIGSTOP);
            await_state(getppid(), getppid(), 'T');
            kill(getppid(), SIGCONT);
            _exit(0);
        }
        r = waitpid(other, NULL, 0);
        printf("stopped in waitpid: %d\n", r == other);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static sigjmp_buf back;
static void *bad_address;
static int bad_code, on_alternate;
static char alternate[65536];

static void fault(int number, siginfo_t *i, void *context) {
    char here;
    ucontext_t *u = context;
    (void)number;
    bad_address = i->si_addr;
    bad_code = i->si_code;
    on_alternate = &here > alternate && &here < alternate + sizeof alternate;
    printf("trap %lld write %d stack flags %d; ", u->uc_mcontext.gregs[REG_TRAPNO],
           !!(u->uc_mcontext.gregs[REG_ERR] & 2), u->uc_stack.ss_flags);
    siglongjmp(back, 1);
}

static void faults(void) {
    stack_t st = {.ss_sp = alternate, .ss_size = sizeof alternate}, old = {.ss_flags = 77};
    int got = sigaltstack(NULL, &old);
    printf("no stack yet: %d flags %d\n", got, old.ss_flags);
    show("too small", sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = 100}, NULL));
    sigaltstack(&st, NULL);
    struct sigaction a = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    sigaction(SIGFPE, &a, NULL);
    sigaction(SIGILL, &a, NULL);
    sigaction(SIGTRAP, &a, NULL);
    char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!sigsetjmp(back, 1))
        p[10] = 1;
    printf("read-only: code %d, there %d, alternate %d\n", bad_code, bad_address == p + 10, on_alternate);
    munmap(p, 4096);
    if (!sigsetjmp(back, 1))
        (void)*(volatile char *)p;
    printf("unmapped: code %d, there %d\n", bad_code, bad_address == p);
    if (!sigsetjmp(back, 1))
        (void)*(volatile char *)0xdead000000000000;
    printf("not canonical: code %d, address %p\n", bad_code, bad_address);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("ud2");
    printf("ud2: code %d\n", bad_code);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("int3");
    printf("int3: code %d\n", bad_code);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("hlt");
    printf("hlt: code %d\n", bad_code);
    volatile int zero = 0;
    if (!sigsetjmp(back, 1))
        zero = 1 / zero;
    printf("division: code %d\n", bad_code);
}

/* registers, flags and the FPU come back from a handler as they were */
static void spoil(int number) {
    (void)number;
    double d[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++)
        d[i] = d[i] / 3 + number;
    __asm__ volatile("pxor %%xmm0, %%xmm0\npcmpeqb %%xmm7, %%xmm7\nfldpi" ::"x"(d[0]) : "xmm0", "xmm7");
    count++;
}

static void context(void) {
    struct itimerval v = {{0, 2000}, {0, 2000}};
    action(SIGALRM, spoil, 0);
    count = 0;
    setitimer(ITIMER_REAL, &v, NULL);
    uint64_t bad = 0;
    double x = 1.0;
    while (count < 20) {
        uint64_t in = 0x123456789abcdef0, out, r12 = 7;
        __asm__ volatile(
            "movq %1, %%xmm7\nmov %2, %%r12\nmov $1000, %%rcx\n1: dec %%rcx\njnz 1b\nmovq %%xmm7, %0\nadd %%r12, %0"
            : "=r"(out)
            : "r"(in), "r"(r12)
            : "rcx", "r12", "xmm7");
        bad += out != in + 7;
        x = x * 1.0000001;
    }
    memset(&v, 0, sizeof v);
    setitimer(ITIMER_REAL, &v, NULL);
    printf("context kept: %d\n", bad == 0 && x > 1);
}

static sem_t ready;
static pthread_t main_thread;
static volatile pid_t handled_by;
static volatile int nobody_will;
static void by_whom(int number) {
    (void)number;
    handled_by = syscall(SYS_gettid);
}

static void *thread(void *argument) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    if (argument)
        pthread_sigmask(SIG_BLOCK, &set, NULL);
    sem_post(&ready);
    while (!handled_by && !nobody_will)
        usleep(1000);
    return (void *)(long)(handled_by == syscall(SYS_gettid));
}

static void threads(void) {
    pthread_t t;
    void *mine;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    action(SIGUSR1, by_whom, SA_RESTART);
    sem_init(&ready, 0, 0);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_create(&t, NULL, thread, NULL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sem_wait(&ready);
    pthread_kill(t, 0);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    nobody_will = 1;
    pthread_join(t, &mine);
    nobody_will = 0;
    printf("the thread inherited the mask: %ld\n", (long)mine);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    printf("then we took it: %d\n", handled_by == getpid());
    handled_by = 0;
    pthread_create(&t, NULL, thread, NULL);
    sem_wait(&ready);
    pthread_kill(t, SIGUSR1);
    pthread_join(t, &mine);
    printf("sent to the thread: %ld\n", (long)mine);
    handled_by = 0;
    pthread_create(&t, NULL, thread, &set);
    sem_wait(&ready);
    kill(getpid(), SIGUSR1);
    pthread_join(t, &mine);
    printf("blocked there, so taken here: %d\n", handled_by == getpid());
    main_thread = pthread_self();
    show("tgkill of nobody", syscall(SYS_tgkill, getpid(), 99999, 0));
}

static void death(void) {
    static const int numbers[] = {SIGHUP, SIGQUIT, SIGABRT, SIGPIPE, SIGALRM,
                                  SIGIO,  SIGPWR,  SIGSYS,  SIGXCPU, SIGVTALRM};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int s;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            signal(numbers[i], SIG_DFL);
            raise(numbers[i]);
            _exit(1);
        }
        waitpid(pid, &s, 0);
        printf("%s %d ", sigabbrev_np(numbers[i]), WIFSIGNALED(s) && WTERMSIG(s) == numbers[i]);
    }
    printf("\n");
    static const int harmless[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH};
    for (unsigned i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        signal(harmless[i], SIG_DFL);
        printf("%s %d ", sigabbrev_np(harmless[i]), raise(harmless[i]));
    }
    printf("\n");
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 65536);
    queues();
    flags();
    suspend();
    interrupted();
    faults();
    context();
    threads();
    death();
    return 0;
}
