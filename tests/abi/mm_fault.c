/* mm_fault.c - every way an access can end: signal, code, address; and the kernel's accesses: EFAULT of system calls.
 */
#include "abi.h"
#include <sys/socket.h>
#include <grp.h>
#include <poll.h>
#include <time.h>
#include <sys/ucontext.h>

/* What each kind of access gets on each kind of page; one byte at the page's start, at its end, across its end. */
static void kinds(void) {
    int fd = file_of(PAGE + 100);
    for (int flags = 0; flags < 4; flags++) {
        int flag = flags == 0 ? ANON : flags == 1 ? SHARED : flags == 2 ? MAP_PRIVATE : MAP_SHARED;
        for (int prot = 0; prot < 8; prot++)
            for (const char *kind = "rwx"; *kind; kind++) {
                clear();
                map(0, 3, RWX, flag, flags < 2 ? -1 : fd, 0);
                if (flags < 2 || *kind != 'x')
                    *at(0) = (char)0xc3;
                else
                    *at(0) = (char)0xc3, *at(1) = (char)0xc3;
                mprotect(at(0), 3 * PAGE, prot);
                ask("%s prot %d, access %c",
                    flags == 0   ? "anonymous"
                    : flags == 1 ? "shared"
                    : flags == 2 ? "private file"
                                 : "shared file",
                    prot, *kind);
                touch(*kind, at(0));
                if (*kind != 'x')
                    touch(*kind, at(1) - 1), touch(*kind, at(1)), touch(*kind, at(1) + 50), touch(*kind, at(1) + 200),
                        touch(*kind, at(2) - 1);
                if (*kind != 'x' || flags >= 2)
                    touch(*kind, at(2)), touch(*kind, at(2) + 5), touch(*kind, at(3) - 1);
                touch(*kind, at(3)), touch(*kind, at(3) + 1), done();
            }
    }
}

static void addresses(void) {
    static const unsigned long where_to[] = {0,
                                             8,
                                             PAGE,
                                             0xffff,
                                             0x10000,
                                             (1ul << 47) - PAGE,
                                             (1ul << 47) - 1,
                                             1ul << 47,
                                             (1ul << 47) + 8,
                                             1ul << 48,
                                             1ul << 62,
                                             0xffff7fffffffffff,
                                             0xffff800000000000,
                                             0xffff888000000000,
                                             0xffffffff81000000,
                                             0xffffffffff5ff000,
                                             0xffffffffff600000,
                                             0xfffffffffffff000,
                                             ~0ul};
    for (size_t i = 0; i < countof(where_to); i++)
        for (const char *kind = "rwx"; *kind; kind++) {
            int value, number;
            ask("%c of %#lx", *kind, where_to[i]);
            if ((number = try(*kind, (char *)where_to[i], &value)))
                note("%s, address %#lx", fault_name(number, &touch_info), (unsigned long)touch_info.si_addr);
            else
                note("ok");
            done();
        }
}

/* An access of eight bytes over the end of a page: which address is told. */
static void across(void) {
    static const char *const seconds[] = {"no mapping", "no rights", "read-only", "past the end"};
    int fd = file_of(PAGE);
    for (size_t s = 0; s < countof(seconds); s++)
        for (int write = 0; write < 2; write++)
            for (unsigned back = 1; back < 8; back += 3) {
                clear();
                map(0, 2, RW, s == 3 ? MAP_SHARED : ANON, s == 3 ? fd : -1, 0);
                if (s == 0)
                    munmap(at(1), PAGE);
                else if (s < 3)
                    mprotect(at(1), PAGE, s == 1 ? NONE : R);
                ask("8 bytes, %u before the end, then %s, %s", back, seconds[s], write ? "write" : "read");
                volatile uint64_t *p = (uint64_t *)(at(1) - back);
                int number = sigsetjmp(touch_back, 1);
                if (number == 0) {
                    touching = 1;
                    if (write)
                        *p = 0x0101010101010101;
                    else
                        (void)*p;
                }
                touching = 0;
                if (number)
                    note("%s@%s", fault_name(number, &touch_info), where(touch_info.si_addr));
                else
                    note("ok");
                note("byte %d", *(at(1) - back)), done();
            }
}

static ucontext_t context;
static void keep(int number, siginfo_t *info, void *c) {
    (void)number, (void)info;
    context = *(ucontext_t *)c;
    siglongjmp(touch_back, 1);
}

/* The error code and trap number that the handler sees. */
static void context_of(const char *what, char kind, char *p) {
    struct sigaction action = {.sa_sigaction = keep, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL), sigaction(SIGBUS, &action, NULL);
    int value = 0, number = try(kind, p, &value);
    ask("context: %s", what);
    if (number)
        note("trap %lld, error %lld, cr2 %s", context.uc_mcontext.gregs[REG_TRAPNO], context.uc_mcontext.gregs[REG_ERR],
             where((void *)context.uc_mcontext.gregs[REG_CR2]));
    else
        note("no signal");
    done();
}

static void contexts(void) {
    int fd = file_of(PAGE);
    map(0, 1, R, ANON, -1, 0), map(1, 1, NONE, ANON, -1, 0), map(4, 2, RW, MAP_SHARED, fd, 0),
        map(6, 1, RW, ANON, -1, 0);
    *at(6) = (char)0xc3;
    (void)*(volatile char *)at(0);
    context_of("read, none", 'r', at(2)), context_of("write, none", 'w', at(2)),
        context_of("execute, none", 'x', at(2));
    context_of("write, read-only", 'w', at(0)), context_of("read, no rights", 'r', at(1)),
        context_of("write, no rights", 'w', at(1));
    context_of("execute, no rights", 'x', at(1)), context_of("execute, data", 'x', at(6)),
        context_of("read past the end", 'r', at(5)), context_of("write past the end", 'w', at(5));
    context_of("kernel", 'r', (char *)0xffff888000000000), context_of("not canonical", 'r', (char *)(1ul << 62));
}

/* Without a handler: how the process ends. */
static void deaths(void) {
    static const char *const how[] = {"read none", "write read-only", "past the end",
                                      "blocked",   "ignored",         "no alternate stack left"};
    for (size_t i = 0; i < countof(how); i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            struct rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
            signal(SIGSEGV, i == 4 ? SIG_IGN : SIG_DFL), signal(SIGBUS, SIG_DFL);
            sigset_t set;
            sigfillset(&set);
            if (i == 3)
                sigprocmask(SIG_BLOCK, &set, NULL);
            map(0, 1, R, ANON, -1, 0), map(1, 1, RW, MAP_SHARED, file_of(0), 0);
            if (i == 5) {
                stack_t stack = {.ss_sp = at(0), .ss_size = PAGE};
                sigaltstack(&stack, NULL);
                touch_setup();
            }
            *(volatile char *)(i == 1 ? at(0) : i == 2 ? at(1) : at(5)) = 1;
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        ask("death by %s", how[i]), note("%s", WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "exit"), done();
    }
}

/* The kernel's own accesses to bad memory. Pages: 0 rw, 1 nothing, 2 read-only, 3 no rights, 4 shared file past its
 * end, 5 rw then 6 nothing. */
static char *bad[] = {NULL,
                      (char *)BASE + PAGE,
                      (char *)BASE + 2 * PAGE,
                      (char *)BASE + 3 * PAGE,
                      (char *)BASE + 5 * PAGE,
                      (char *)BASE + 7 * PAGE - 2,
                      (char *)(1ul << 47),
                      (char *)(1ul << 62),
                      (char *)0xffffffff81000000,
                      (char *)-PAGE};
static const char *const bad_names[] = {
    "NULL", "no mapping",    "read-only", "no rights", "past the end", "two bytes short",
    "2^47", "not canonical", "kernel",    "-page"};

static void kernel_side(void) {
    setgroups(0, NULL);
    int fd = file_of(PAGE), sink = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY), ends[2], pair[2];
    if (pipe2(ends, O_NONBLOCK))
        abort();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        pair[0] = pair[1] = -1;
    for (size_t i = 0; i < countof(bad); i++) {
        char *b = bad[i];
        clear();
        map(0, 1, RW, ANON, -1, 0), map(2, 1, R, ANON, -1, 0), map(3, 1, NONE, ANON, -1, 0),
            map(4, 2, RW, MAP_SHARED, fd, 0), map(6, 1, RW, ANON, -1, 0);
#define CALL(what, call) ask("%s, " what, bad_names[i]), result(call), done()
        CALL("read of a file", pread(fd, b, 64, 0));
        CALL("write of a file", pwrite(fd, b, 64, 0));
        CALL("read of zero", read(zero, b, 64));
        CALL("write to null", write(sink, b, 64));
        CALL("write to a pipe", write(ends[1], b, 64));
        if (write(ends[1], "0123456789", 10) != 10)
            abort();
        CALL("read from a pipe", read(ends[0], b, 64));
        char drain[128];
        while (read(ends[0], drain, sizeof drain) > 0)
            ;
        CALL("send", send(pair[0], b, 64, MSG_DONTWAIT));
        CALL("recv", (send(pair[0], "0123456789", 10, 0), recv(pair[1], b, 64, MSG_DONTWAIT)));
        while (recv(pair[1], drain, sizeof drain, MSG_DONTWAIT) > 0)
            ;
        CALL("stat", stat(".", (struct stat *)b));
        CALL("fstat", fstat(fd, (struct stat *)b));
        CALL("open", open(b, O_RDONLY));
        CALL("getcwd", syscall(SYS_getcwd, b, 100) > 0 ? 0 : -1);
        CALL("pipe", pipe((int *)b));
        CALL("clock_gettime", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, b));
        CALL("nanosleep", syscall(SYS_nanosleep, b, NULL));
        CALL("getrlimit", syscall(SYS_prlimit64, 0, RLIMIT_AS, NULL, b));
        CALL("setrlimit", syscall(SYS_prlimit64, 0, RLIMIT_CORE, b, NULL));
        CALL("rt_sigaction old", syscall(SYS_rt_sigaction, SIGUSR1, NULL, b, 8));
        CALL("rt_sigaction new", syscall(SYS_rt_sigaction, SIGUSR1, b, NULL, 8));
        CALL("rt_sigprocmask", syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, b, 8));
        CALL("poll", syscall(SYS_poll, b, 1, 0));
        CALL("select", syscall(SYS_select, 1, b, NULL, NULL, (long[2]){0, 0}) < 0 ? -1 : 0);
        CALL("uname", syscall(SYS_uname, b));
        CALL("sysinfo", syscall(SYS_sysinfo, b));
        CALL("getrusage", syscall(SYS_getrusage, 0, b));
        CALL("times", syscall(SYS_times, b) == -1 && errno == EFAULT && b ? -1 : 0);
        CALL("gettimeofday", syscall(SYS_gettimeofday, b, NULL));
        CALL("readv", syscall(SYS_readv, zero, b, 1) < 0 ? -1 : 0);
        CALL("writev", syscall(SYS_writev, sink, b, 1) < 0 ? -1 : 0);
        CALL("readlink", syscall(SYS_readlink, "/proc/self/cwd", b, 1));
        CALL("getdents", syscall(SYS_getdents64, open("/proc/self", O_RDONLY), b, 4096) < 0 ? -1 : 0);
        CALL("execve", syscall(SYS_execve, b, NULL, NULL));
        CALL("execve's arguments", syscall(SYS_execve, "/no/such", b, NULL));
        CALL("getrandom", syscall(SYS_getrandom, b, 64, 0));
        CALL("futex", syscall(SYS_futex, (unsigned long)b & ~3ul, 1 /* wake */, 1, NULL, NULL, 0));
        CALL("futex wait", syscall(SYS_futex, (unsigned long)b & ~3ul, 0, 77, NULL, NULL, 0));
        CALL("getgroups", syscall(SYS_getgroups, 0, b));
        CALL("getresuid", syscall(SYS_getresuid, b, b, b));
        CALL("sched_getaffinity", syscall(SYS_sched_getaffinity, 0, 128, b) > 0 ? 0 : -1);
        CALL("sigaltstack", syscall(SYS_sigaltstack, NULL, b));
        CALL("set_robust_list", syscall(SYS_set_robust_list, b, 24));
        CALL("prctl PR_GET_NAME", prctl(PR_GET_NAME, b));
        CALL("prctl PR_SET_NAME", prctl(PR_SET_NAME, b));
        CALL("capget", syscall(SYS_capget, b, b));
        CALL("mincore", mincore(at(0), PAGE, (unsigned char *)b));
        CALL("wait4", syscall(SYS_wait4, -1, b, WNOHANG, NULL));
        CALL("memfd_create", memfd_create(b, 0) < 0 ? -1 : 0);
        CALL("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), b, 1, b, 1, 0) < 0 ? -1 : 0);
    }
    map(0, 3, RW, ANON, -1, 0), munmap(at(1), PAGE);
    ask("read of a file up to the hole"), ftruncate(fd, 3 * PAGE), result(pread(fd, at(1) - 100, 200, 0)), done();
    ask("write of a file up to the hole"), result(pwrite(fd, at(1) - 100, 200, 0)), done();
    ask("read of zero up to the hole"), result(read(zero, at(1) - 100, 200)), done();
    ask("write to a pipe up to the hole"), result(write(ends[1], at(1) - 100, 200)), done();
    ask("writev, the second part bad"), result(pwritev(fd, (struct iovec[]){{at(0), 10}, {at(1), 10}}, 2, 0)), done();
    ask("readv, the second part bad"), result(preadv(fd, (struct iovec[]){{at(0), 10}, {at(1), 10}}, 2, 0)), done();
    ask("readv, the first part bad"), result(preadv(fd, (struct iovec[]){{at(1), 10}, {at(0), 10}}, 2, 0)), done();
    ask("readv, length negative"), result(preadv(fd, (struct iovec[]){{at(0), (size_t)-1}}, 1, 0)), done();
    ask("read of a file into its own mapping"), map(8, 3, RW, MAP_SHARED, fd, 0), result(pread(fd, at(9), PAGE, 0)),
        content(8, 3), done();
    ask("write of a file from its own mapping"), result(pwrite(fd, at(8), PAGE, 2 * (off_t)PAGE)), content(8, 3),
        done();
    ask("read into a read-only private file mapping"), map(20, 1, R, MAP_PRIVATE, fd, 0),
        result(pread(fd, at(20), 100, 0)), done();
}

/* A fault in the middle of an instruction that repeats: what was done is done, and it can go on. */
static void repeated(void) {
    map(0, 3, RW, ANON, -1, 0), munmap(at(2), PAGE);
    char *to = at(0);
    size_t count = 3 * PAGE;
    int number = sigsetjmp(touch_back, 1);
    if (number == 0) {
        touching = 1;
        asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(5) : "memory");
    }
    touching = 0;
    ask("rep stosb into a hole"), note("%s@%s", fault_name(number, &touch_info), where(touch_info.si_addr)),
        content(0, 3), done();
}

int main(void) {
    GROUP(kinds);
    GROUP(addresses);
    GROUP(across);
    GROUP(contexts);
    GROUP(deaths);
    GROUP(kernel_side);
    GROUP(repeated);
    return 0;
}
