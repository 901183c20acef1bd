/* ptrace_calls.c - a traced child: its signals, its system calls, its registers and memory, single step, breakpoints.
 */
#include "trace.h"

#include <fcntl.h>

static volatile long word = 0x1122334455667788;
static const long constant = 5;

static void say_info(const char *what, pid_t pid) {
    siginfo_t i;
    memset(&i, 0, sizeof i);
    long result = ask(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&i);
    printf("%s -> %s", what, error_of(result));
    if (result == 0)
        printf(" signo %d code %#x pid %s", i.si_signo, i.si_code,
               i.si_pid == pid        ? "its"
               : i.si_pid == getpid() ? "ours"
               : i.si_pid             ? "another"
                                      : "0");
    printf("\n");
}

static void handler(int signal) { word = signal; }

static void signals_body(void) {
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGUSR1);
    raise(SIGTERM);
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    _exit((int)word);
}

static void signals(void) {
    pid_t pid = start(signals_body, 1);
    unsigned long mask = 0;
    next("first", pid);
    say_info("SIGSTOP's info", pid);
    show("SIGKILL's number is too large", ask(PTRACE_CONT, pid, 0, 99));
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    next("SIGUSR1", pid);
    say_info("its info", pid);
    show("cont with it", ask(PTRACE_CONT, pid, 0, SIGUSR1));
    next("ignored", pid);
    show("cont with it", ask(PTRACE_CONT, pid, 0, SIGUSR2));
    next("SIGUSR1 again", pid);
    show("cont without", ask(PTRACE_CONT, pid, 0, 0));
    next("SIGTERM", pid);
    show("cont with SIGUSR1", ask(PTRACE_CONT, pid, 0, SIGUSR1));
    next("end", pid);
    pid = start(signals_body, 1);
    next("first", pid);
    show("getsigmask with a bad size", ask(PTRACE_GETSIGMASK, pid, 4, (unsigned long)&mask));
    mask = 1ul << (SIGUSR1 - 1) | 1ul << (SIGKILL - 1);
    show("setsigmask", ask(PTRACE_SETSIGMASK, pid, 8, (unsigned long)&mask));
    mask = 0;
    show("getsigmask", ask(PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask));
    printf("mask %#lx\n", mask);
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    next("blocked: the next", pid);
    show("kill it by cont", ask(PTRACE_CONT, pid, 0, SIGKILL));
    next("end", pid);
}

static void info_body(void) {
    struct sigaction a = {.sa_handler = handler};
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    _exit((int)word & 0x7f);
}

static void set_info(void) {
    pid_t pid = start(info_body, 1);
    siginfo_t i;
    next("first", pid);
    ask(PTRACE_CONT, pid, 0, 0);
    next("SIGUSR1", pid);
    memset(&i, 0, sizeof i);
    i.si_signo = SIGUSR1;
    i.si_code = SI_QUEUE;
    show("setsiginfo", ask(PTRACE_SETSIGINFO, pid, 0, (unsigned long)&i));
    say_info("as set", pid);
    show("cont", ask(PTRACE_CONT, pid, 0, SIGUSR1));
    next("end", pid);
}

static void calls_body(void) {
    syscall(SYS_getppid);
    syscall(SYS_close, -1);
    syscall(SYS_getuid);
    syscall(12345);
}

static void say_call(const char *what, pid_t pid) {
    struct __ptrace_syscall_info i;
    struct user_regs_struct r;
    memset(&i, 0, sizeof i);
    long bytes = ask(PTRACE_GET_SYSCALL_INFO, pid, sizeof i, (unsigned long)&i);
    ask(PTRACE_GETREGS, pid, 0, (unsigned long)&r);
    printf("%s -> %ld op %d arch %#x", what, bytes, i.op, i.arch);
    if (i.op == PTRACE_SYSCALL_INFO_ENTRY)
        printf(" nr %ld", (long)i.entry.nr);
    if (i.op == PTRACE_SYSCALL_INFO_EXIT && r.orig_rax != SYS_getppid)
        printf(" value %ld error %d", (long)i.exit.rval, i.exit.is_error);
    printf("; orig_rax %ld, %s\n", (long)r.orig_rax, (long)r.rax == -ENOSYS ? "ENOSYS" : "answered");
}

static void calls(void) {
    unsigned long message = 77;
    pid_t pid = start(calls_body, 1);
    next("first", pid);
    show("bad options", ask(PTRACE_SETOPTIONS, pid, 0, 0x80000000));
    show("options", ask(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
    say_call("not in a call", pid);
    for (int i = 0; i < 8; i++) {
        struct user_regs_struct r;
        show("syscall", ask(PTRACE_SYSCALL, pid, 0, 0));
        next("stop", pid);
        say_call("info", pid);
        ask(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message);
        printf("message %lu\n", message);
        ask(PTRACE_GETREGS, pid, 0, (unsigned long)&r);
        if (i == 2) /* close becomes getpgrp, then answers 5 */
            show("another call", ask(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), SYS_getuid));
        if (i == 3)
            show("another answer", ask(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), 5));
        if (i == 4)
            show("no call", ask(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), -1));
    }
    siginfo_t s;
    memset(&s, 0, sizeof s);
    ask(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&s);
    printf("siginfo of a call: signo %d code %#x\n", s.si_signo, s.si_code);
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    next("end", pid);
    pid = start(calls_body, 1);
    next("first", pid);
    show("syscall without the option", ask(PTRACE_SYSCALL, pid, 0, 0));
    next("stop", pid);
    show("emulate", ask(PTRACE_SYSEMU, pid, 0, 0));
    next("stop", pid);
    show("emulate", ask(PTRACE_SYSEMU, pid, 0, 0));
    next("stop", pid);
    end(pid);
}

static void memory_body(void) {
    word = word == 42 && *(volatile const long *)&constant == 6;
    _exit((int)word);
}

static void memory(void) {
    unsigned long value = 0;
    struct user_regs_struct r;
    struct user_fpregs_struct f;
    pid_t pid = start(memory_body, 1);
    next("first", pid);
    show("peek", ask(PTRACE_PEEKDATA, pid, (unsigned long)&word, (unsigned long)&value));
    printf("%#lx\n", value);
    show("peek nothing", ask(PTRACE_PEEKTEXT, pid, 8, (unsigned long)&value));
    show("poke", ask(PTRACE_POKEDATA, pid, (unsigned long)&word, 42));
    show("poke a constant", ask(PTRACE_POKETEXT, pid, (unsigned long)&constant, 6));
    show("poke nothing", ask(PTRACE_POKEDATA, pid, 8, 1));
    printf("ours: %ld\n", constant);
    show("peek to a bad address", ask(PTRACE_PEEKDATA, pid, (unsigned long)&word, 8));
    show("peekuser not aligned", ask(PTRACE_PEEKUSER, pid, 3, (unsigned long)&value));
    show("peekuser past the end", ask(PTRACE_PEEKUSER, pid, sizeof(struct user) + 16, (unsigned long)&value));
    show("peekuser", ask(PTRACE_PEEKUSER, pid, sizeof(struct user) - 8, (unsigned long)&value));
    show("pokeuser between", ask(PTRACE_POKEUSER, pid, 400, 1));
    show("getregs", ask(PTRACE_GETREGS, pid, 0, (unsigned long)&r));
    printf("cs %#llx ss %#llx ds %llu es %llu fs %llu gs %llu flags %#llx gs_base %llu\n", r.cs, r.ss, r.ds, r.es, r.fs,
           r.gs, r.eflags & ~0xcd5ull, r.gs_base);
    r.cs = 0;
    show("setregs without code", ask(PTRACE_SETREGS, pid, 0, (unsigned long)&r));
    r.cs = 0x33;
    r.fs_base = 1ul << 63;
    show("setregs, a wild base", ask(PTRACE_SETREGS, pid, 0, (unsigned long)&r));
    show("getfpregs", ask(PTRACE_GETFPREGS, pid, 0, (unsigned long)&f));
    printf("cwd %#x mxcsr %#x\n", f.cwd, f.mxcsr);
    f.mxcsr = 0xffffffff;
    show("setfpregs, wild", ask(PTRACE_SETFPREGS, pid, 0, (unsigned long)&f));
    f.mxcsr = 0x1f80;
    show("setfpregs", ask(PTRACE_SETFPREGS, pid, 0, (unsigned long)&f));
    show("no such request", ask(0x7777, pid, 0, 0));
    show("getregs to nowhere", ask(PTRACE_GETREGS, pid, 0, 8));
    ask(PTRACE_CONT, pid, 0, 0);
    next("end", pid);
    show("gone", ask(PTRACE_GETREGS, pid, 0, (unsigned long)&r));
}

static void sets(void) {
    static char area[16384];
    struct iovec v = {area, sizeof area};
    pid_t pid = start(memory_body, 1);
    next("first", pid);
    show("prstatus", ask(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&v));
    printf("%zu bytes\n", v.iov_len);
    v.iov_len = 16;
    show("a part", ask(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&v));
    printf("%zu bytes\n", v.iov_len);
    v.iov_len = 13;
    show("not words", ask(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&v));
    v.iov_len = sizeof area;
    show("fpregset", ask(PTRACE_GETREGSET, pid, NT_PRFPREG, (unsigned long)&v));
    printf("%zu bytes\n", v.iov_len);
    v.iov_len = sizeof area;
    show("xstate", ask(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&v));
    size_t whole = v.iov_len;
    printf("more than fpregset: %d\n", whole > 512);
    show("set xstate", ask(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&v));
    v.iov_len = whole - 8;
    show("set most of it", ask(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&v));
    v.iov_len = 8;
    show("no such set", ask(PTRACE_GETREGSET, pid, 0x7777, (unsigned long)&v));
    end(pid);
}

static void step_body(void) {
    __asm__ volatile("int3; nop; nop; nop; mov $39, %%eax; syscall; nop; int3" : : : "rax", "rcx", "r11", "memory");
    word = 1;
    word = 2;
    _exit((int)word);
}

static long ip(pid_t pid) {
    unsigned long value = 0;
    ask(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), (unsigned long)&value);
    return (long)value;
}

static void step(void) {
    pid_t pid = start(step_body, 1);
    unsigned long flags = 0;
    next("first", pid);
    ask(PTRACE_CONT, pid, 0, 0);
    next("int3", pid);
    say_info("its info", pid);
    long at = ip(pid);
    for (int i = 0; i < 6; i++) {
        show("step", ask(PTRACE_SINGLESTEP, pid, 0, 0));
        next("stop", pid);
        siginfo_t s;
        memset(&s, 0, sizeof s);
        ask(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&s);
        ask(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.eflags), (unsigned long)&flags);
        printf("%ld bytes further, code %d, address %s, TF %lu\n", ip(pid) - at, s.si_code,
               s.si_addr == (void *)ip(pid) ? "rip" : "other", flags >> 8 & 1);
        at = ip(pid);
    }
    end(pid);
}

#define DR(n) (offsetof(struct user, u_debugreg) + 8 * (n))

static void watch(void) {
    unsigned long value = 0;
    pid_t pid = start(step_body, 1);
    next("first", pid);
    ask(PTRACE_CONT, pid, 0, 0);
    next("int3", pid);
    show("dr0", ask(PTRACE_POKEUSER, pid, DR(0), (unsigned long)&word));
    show("dr0 in the kernel", ask(PTRACE_POKEUSER, pid, DR(1), 0xffffffff81000000));
    show("dr4", ask(PTRACE_POKEUSER, pid, DR(4), 0));
    show("dr7: a port", ask(PTRACE_POKEUSER, pid, DR(7), 1 | 2ul << 16));
    show("dr7: write, 8 bytes", ask(PTRACE_POKEUSER, pid, DR(7), 1 | 1ul << 16 | 2ul << 18));
    ask(PTRACE_PEEKUSER, pid, DR(7), (unsigned long)&value);
    printf("dr7 %#lx\n", value);
    ask(PTRACE_CONT, pid, 0, 0);
    next("the second int3", pid);
    for (int i = 0; i < 2; i++) {
        ask(PTRACE_CONT, pid, 0, 0);
        next("hit", pid);
        siginfo_t s;
        memset(&s, 0, sizeof s);
        ask(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&s);
        ask(PTRACE_PEEKUSER, pid, DR(6), (unsigned long)&value);
        printf("code %d dr6 %#lx\n", s.si_code, value & 0x400f);
        ask(PTRACE_PEEKDATA, pid, (unsigned long)&word, (unsigned long)&value);
        printf("word %lu\n", value);
    }
    show("off", ask(PTRACE_POKEUSER, pid, DR(7), 0));
    ask(PTRACE_CONT, pid, 0, 0);
    next("end", pid);
}

static void step_into_handler(void) {
    pid_t pid = start(info_body, 1);
    next("first", pid);
    ask(PTRACE_CONT, pid, 0, 0);
    next("SIGUSR1", pid);
    show("step into the handler", ask(PTRACE_SINGLESTEP, pid, 0, SIGUSR1));
    next("stop", pid);
    printf("at the handler: %d\n", ip(pid) == (long)handler);
    say_info("info", pid);
    show("cont", ask(PTRACE_CONT, pid, 0, 0));
    next("end", pid);
}

/* ---- what waits to be delivered ---- */

static void queue_body(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 3; i++) {
        siginfo_t s = {.si_signo = SIGRTMIN + i, .si_code = SI_QUEUE};
        s.si_value.sival_int = 70 + i;
        syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN + i, &s);
    }
    sigqueue(getpid(), SIGRTMIN + 4, (union sigval){.sival_int = 80});
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 81});
    asm volatile("int3");
}

static void peek(const char *what, pid_t pid, unsigned long off, unsigned flags, int count, siginfo_t *to) {
    struct __ptrace_peeksiginfo_args a = {.off = off, .flags = flags, .nr = count};
    long n = ask(PTRACE_PEEKSIGINFO, pid, (unsigned long)&a, (unsigned long)to);
    printf("peek %s -> %ld %s", what, n, error_of(n));
    for (long i = 0; i < n; i++)
        printf(" %d:%d", to[i].si_signo, to[i].si_value.sival_int);
    printf("\n");
}

static void queues(void) {
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    siginfo_t got[10], *edge = (siginfo_t *)(page + 4096);
    munmap(page + 4096, 4096);
    pid_t pid = start(queue_body, 1);
    next("first", pid);
    ask(PTRACE_CONT, pid, 0, 0);
    next("int3", pid);
    peek("all of the task", pid, 0, 0, 10, got);
    peek("the second", pid, 1, 0, 1, got);
    peek("behind the last", pid, 3, 0, 1, got);
    peek("of the process", pid, 0, PTRACE_PEEKSIGINFO_SHARED, 10, got);
    peek("none", pid, 0, 0, 0, got);
    peek("less than none", pid, 0, 0, -1, got);
    peek("unknown flag", pid, 0, 2, 1, got);
    peek("room for two", pid, 0, 0, 3, edge - 2);
    peek("no room", pid, 0, 0, 3, edge);
    show("peek by nothing", ask(PTRACE_PEEKSIGINFO, pid, 8, (unsigned long)got));
    ask(PTRACE_CONT, pid, 0, 0);
    next("end", pid);
    munmap(page, 4096);
}

/* ---- a call that is not made: number -1, and the result that the tracer puts there ---- */

static void instead_body(void) {
    long r = syscall(SYS_getppid);
    long e = syscall(SYS_openat, AT_FDCWD, "/", 0);
    _exit((int)(r == 45000) + 2 * (int)(e == -1 && errno == ESRCH));
}

static void instead(void) {
    const long results[] = {45000, -ESRCH};
    pid_t pid = start(instead_body, 1);
    struct user_regs_struct r;
    next("first", pid);
    ask(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
    for (int i = 0; i < 2; i++) {
        ask(PTRACE_SYSCALL, pid, 0, 0);
        next("enters", pid);
        ask(PTRACE_GETREGS, pid, 0, (unsigned long)&r);
        r.orig_rax = (unsigned long)-1;
        r.rax = (unsigned long)results[i];
        ask(PTRACE_SETREGS, pid, 0, (unsigned long)&r);
        ask(PTRACE_SYSCALL, pid, 0, 0);
        next("leaves", pid);
        ask(PTRACE_GETREGS, pid, 0, (unsigned long)&r);
        printf("result %ld\n", (long)r.rax);
    }
    ask(PTRACE_CONT, pid, 0, 0);
    next("end", pid);
}

int main(void) {
    queues();
    instead();
    signals();
    set_info();
    calls();
    memory();
    sets();
    step();
    watch();
    step_into_handler();
    return 0;
}
