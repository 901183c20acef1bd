/* seccomp.c - calls given up: what is refused when it is set, what each answer does, who inherits it. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARGUMENT(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (n))
#define IF(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)

static long say(const char *what, long result) {
    if (result > 0)
        printf("%s -> %ld\n", what, result);
    else
        printf("%s -> %s\n", what, result ? strerrorname_np(errno) : "ok");
    return result;
}
static long set_flags(struct sock_filter *code, size_t count, unsigned flags) {
    struct sock_fprog p = {(unsigned short)count, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}
static long set(struct sock_filter *code, size_t count) { return set_flags(code, count, 0); }
#define SET(...)                                                                                                       \
    ({                                                                                                                 \
        struct sock_filter c_[] = {__VA_ARGS__};                                                                       \
        set(c_, countof(c_));                                                                                          \
    })
/* a filter that answers for one call */
#define FOR(number, answer) SET(NUMBER, IF(number), ANSWER(answer), ANSWER(SECCOMP_RET_ALLOW))

static void in_child(const char *what, void (*body)(void)) {
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        body();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        printf("%s: dies of SIG%s\n", what, sigabbrev_np(WTERMSIG(status)));
    else
        printf("%s: ends with %d\n", what, WEXITSTATUS(status));
}

/* ---- setting ---- */

static void refused(void) {
    struct sock_filter allow[] = {ANSWER(SECCOMP_RET_ALLOW)}, big[4097];
    struct sock_fprog bad = {1, (void *)8};
    unsigned action = SECCOMP_RET_KILL_PROCESS, unknown = 0x12340000;
    say("no such operation", syscall(SYS_seccomp, 9, 0, NULL));
    say("strict with flags", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL));
    say("strict with an argument", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, allow));
    say("filter from nowhere", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
    say("code from nowhere", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &bad));
    say("flags", set_flags(allow, 1, 64));
    say("no code", set(allow, 0));
    for (size_t i = 0; i < countof(big); i++)
        big[i] = allow[0];
    say("too much code", set(big, countof(big)));
    say("action", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    say("unknown action", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown));
    say("action with flags", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &action));
    say("action from nowhere", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 8));
    say("prctl, no such mode", prctl(PR_SET_SECCOMP, 3, 0, 0, 0));
    say("prctl, filter from nowhere", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 8, 0, 0));
    say("mode", prctl(PR_GET_SECCOMP));
}

static void code(void) {
    say("does not return", SET(NUMBER));
    say("unknown instruction", SET({0xffff, 0, 0, 0}, ANSWER(0)));
    say("load of a byte", SET(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), ANSWER(0)));
    say("load past the end", SET(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ANSWER(0)));
    say("load between words", SET(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ANSWER(0)));
    say("indirect load", SET(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ANSWER(0)));
    say("jump past the end", SET(BPF_STMT(BPF_JMP | BPF_JA, 1), ANSWER(0)));
    say("jump far", SET(BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ANSWER(0)));
    say("branch past the end", SET(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), ANSWER(0)));
    say("division by 0", SET(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ANSWER(0)));
    say("remainder", SET(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), ANSWER(0)));
    say("shift by 32", SET(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ANSWER(0)));
    say("word 16", SET(BPF_STMT(BPF_ST, 16), ANSWER(0)));
    say("a word not written", SET(BPF_STMT(BPF_LD | BPF_MEM, 3), ANSWER(0)));
    say("a word written on one way", SET(NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1), BPF_STMT(BPF_ST, 3),
                                         BPF_STMT(BPF_LD | BPF_MEM, 3), ANSWER(SECCOMP_RET_ALLOW)));
    say("a word written on both ways",
        SET(NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 2), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_JMP | BPF_JA, 1),
            BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), ANSWER(SECCOMP_RET_ALLOW)));
    say("mode", prctl(PR_GET_SECCOMP));
    say("strict after a filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
}

static void privileges(void) {
    struct sock_filter allow[] = {ANSWER(SECCOMP_RET_ALLOW)};
    fflush(stdout);
    if (fork() == 0) {
        say("as root", set(allow, 1));
        if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
            _exit(1);
        say("as an ordinary user", set(allow, 1));
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        say("without new privileges", set(allow, 1));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

/* ---- answers ---- */

static void arithmetic(void) {
    /* getpriority's errno is what the filter computed of its arguments */
    say("set", SET(NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 1, 0), ANSWER(SECCOMP_RET_ALLOW),
                   ARGUMENT(1), BPF_STMT(BPF_MISC | BPF_TAX, 0), ARGUMENT(0), BPF_STMT(BPF_ST, 5),
                   BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1000, 9, 0), BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
                   BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 7), BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 5),
                   BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 1),
                   BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 127),
                   BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0),
                   BPF_STMT(BPF_LD | BPF_MEM, 5), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
                   BPF_STMT(BPF_ALU | BPF_NEG, 0), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 63),
                   BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0)));
    static const long pairs[][2] = {{1, 1}, {2, 3}, {5, 9}, {1001, 7}, {5000, 11}, {100000, 1}};
    for (size_t i = 0; i < countof(pairs); i++) {
        syscall(SYS_getpriority, pairs[i][0], pairs[i][1]);
        printf("of %ld and %ld -> %d\n", pairs[i][0], pairs[i][1], errno);
    }
    fflush(stdout);
    syscall(SYS_getpriority, 2000, 0);
}

static void errors(void) {
    say("set", FOR(SYS_getuid, SECCOMP_RET_ERRNO | EPERM));
    say("getuid", syscall(SYS_getuid));
    say("another filter", FOR(SYS_getuid, SECCOMP_RET_ERRNO | EBUSY));
    say("getuid, the newest's", syscall(SYS_getuid));
    say("a milder one", FOR(SYS_getuid, SECCOMP_RET_LOG));
    say("getuid, the hardest's", syscall(SYS_getuid));
    say("no error at all", FOR(SYS_getgid, SECCOMP_RET_ERRNO));
    say("getgid", syscall(SYS_getgid));
    say("more than there are", FOR(SYS_getegid, SECCOMP_RET_ERRNO | 0xffff));
    printf("getegid %ld\n", syscall(SYS_getegid) == -1 ? (long)errno : 0);
    say("traced by nobody", FOR(SYS_geteuid, SECCOMP_RET_TRACE));
    say("geteuid", syscall(SYS_geteuid));
    say("a number there is not", FOR(1000, SECCOMP_RET_ERRNO | EXDEV));
    say("call 1000", syscall(1000));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        say("a child's getuid", syscall(SYS_getuid));
        fflush(stdout);
        execl("/bin/sh", "sh", "-c",
              "while read a b; do case $a in NoNew*|Secc*) echo $a $b; esac; done </proc/self/status", NULL);
    }
    waitpid(pid, NULL, 0);
}

static void arch(void) {
    SET(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)), IF(AUDIT_ARCH_X86_64),
        BPF_STMT(BPF_JMP | BPF_JA, 1), ANSWER(SECCOMP_RET_KILL_PROCESS), NUMBER, IF(SYS_getuid),
        BPF_STMT(BPF_JMP | BPF_JA, 1), ANSWER(SECCOMP_RET_ALLOW), BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0));
    printf("length %d\n", syscall(SYS_getuid) == -1 ? errno : 0);
}

static void kill_process(void) { FOR(SYS_getuid, SECCOMP_RET_KILL_PROCESS), syscall(SYS_getuid); }
static void kill_alone(void) { FOR(SYS_getuid, SECCOMP_RET_KILL_THREAD), syscall(SYS_getuid); }
static void unknown(void) { FOR(SYS_getuid, 0x00010000), syscall(SYS_getuid); }
static void caught(int n) { (void)n; }
static void kill_caught(void) {
    signal(SIGSYS, caught);
    FOR(SYS_getuid, SECCOMP_RET_KILL_PROCESS), syscall(SYS_getuid);
}
static void strict(void) {
    say("strict", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
    fflush(stdout);
    if (write(1, "may write\n", 10) == 10)
        syscall(SYS_exit, 3);
}
static void strict_else(void) {
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    syscall(SYS_getpid);
}

/* ---- SIGSYS ---- */

static siginfo_t told;
static long answer_with;
static void trapped(int number, siginfo_t *i, void *context) {
    ucontext_t *u = context;
    (void)number;
    told = *i;
    printf("rax is the call's: %d, rip follows: %d\n", u->uc_mcontext.gregs[REG_RAX] == i->si_syscall,
           (void *)u->uc_mcontext.gregs[REG_RIP] == i->si_call_addr);
    u->uc_mcontext.gregs[REG_RAX] = answer_with;
}
static void traps(void) {
    struct sigaction a = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &a, NULL);
    say("set", FOR(SYS_getuid, SECCOMP_RET_TRAP | 77));
    answer_with = 1234;
    say("getuid", syscall(SYS_getuid));
    printf("code %d errno %d call %d arch %x\n", told.si_code, told.si_errno, told.si_syscall, told.si_arch);
}
static void traps_blocked(void) {
    sigset_t s;
    traps();
    fflush(stdout);
    sigfillset(&s);
    sigprocmask(SIG_BLOCK, &s, NULL);
    syscall(SYS_getuid);
}
static void traps_ignored(void) {
    signal(SIGSYS, SIG_IGN);
    FOR(SYS_getuid, SECCOMP_RET_TRAP);
    syscall(SYS_getuid);
}

/* ---- threads ---- */

static pthread_barrier_t barrier;
static void *killed(void *argument) {
    FOR(SYS_getuid, SECCOMP_RET_KILL_THREAD);
    syscall(SYS_getuid);
    return argument;
}
static void kill_thread(void) {
    pthread_t t;
    volatile int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)word;
    pthread_create(&t, NULL, killed, NULL);
    while (access("/proc/self/task", F_OK) == 0) {
        FILE *f = fopen("/proc/self/status", "r");
        char line[200];
        int threads = 0;
        while (fgets(line, sizeof line, f))
            sscanf(line, "Threads: %d", &threads);
        fclose(f);
        if (threads == 1)
            break;
    }
    say("the others go on", syscall(SYS_getuid));
    fflush(stdout);
    _exit(0);
}

static void *other(void *argument) {
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    long r = syscall(SYS_getuid);
    printf("the other's getuid -> %s, mode %d\n", r < 0 ? strerrorname_np(errno) : "ok", prctl(PR_GET_SECCOMP));
    return argument;
}
static void together(unsigned flags) {
    pthread_t t;
    struct sock_filter c[] = {NUMBER, IF(SYS_getuid), ANSWER(SECCOMP_RET_ERRNO | EPERM), ANSWER(SECCOMP_RET_ALLOW)};
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, other, NULL);
    pthread_barrier_wait(&barrier);
    say(flags ? "set for all" : "set", set_flags(c, countof(c), flags));
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
}
static void alone(void) { together(0); }
static void all(void) { together(SECCOMP_FILTER_FLAG_TSYNC); }

static volatile int own_tid;
static void *diverges(void *argument) {
    own_tid = (int)syscall(SYS_gettid);
    FOR(SYS_getgid, SECCOMP_RET_ERRNO | EPERM);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return argument;
}
static void not_all(void) {
    pthread_t t;
    struct sock_filter c[] = {ANSWER(SECCOMP_RET_ALLOW)};
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, diverges, NULL);
    pthread_barrier_wait(&barrier);
    printf("who cannot follow: %d\n", set_flags(c, 1, SECCOMP_FILTER_FLAG_TSYNC) == own_tid);
    say("as an error", set_flags(c, 1, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH));
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
    say("alone again", set_flags(c, 1, SECCOMP_FILTER_FLAG_TSYNC));
}

/* ---- a tracer ---- */

static void tracee(void) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    FOR(SYS_getuid, SECCOMP_RET_TRACE | 55);
    say("first", syscall(SYS_getuid));
    say("second", syscall(SYS_getuid));
    say("third", syscall(SYS_getuid));
    fflush(stdout);
}
#include <sys/user.h>
static void traced(void) {
    int s;
    unsigned long message;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        tracee();
        _exit(0);
    }
    waitpid(pid, &s, 0);
    say("options", ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP));
    for (int turn = 0; turn < 3; turn++) {
        struct user_regs_struct r;
        ptrace(PTRACE_CONT, pid, 0, 0);
        waitpid(pid, &s, 0);
        ptrace(PTRACE_GETEVENTMSG, pid, 0, &message);
        ptrace(PTRACE_GETREGS, pid, 0, &r);
        printf("stop %x message %lu call %d answer so far %ld\n", s >> 8, message, r.orig_rax == SYS_getuid,
               (long)r.rax);
        if (turn == 1)
            r.orig_rax = (unsigned long)-1, r.rax = 4321;
        if (turn == 2)
            r.orig_rax = SYS_getsid, r.rdi = (unsigned long)-1;
        ptrace(PTRACE_SETREGS, pid, 0, &r);
    }
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &s, 0);
    printf("ends %x\n", s);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    in_child("refused", refused);
    in_child("code", code);
    privileges();
    in_child("arithmetic", arithmetic);
    in_child("errors", errors);
    in_child("arch", arch);
    in_child("kill process", kill_process);
    in_child("kill thread, alone", kill_alone);
    in_child("an unknown answer", unknown);
    in_child("killed though caught", kill_caught);
    in_child("strict", strict);
    in_child("strict, another call", strict_else);
    in_child("traps", traps);
    in_child("traps, blocked", traps_blocked);
    in_child("traps, ignored", traps_ignored);
    in_child("kill thread", kill_thread);
    in_child("one thread", alone);
    in_child("all threads", all);
    in_child("not all threads", not_all);
    traced();
    return 0;
}
