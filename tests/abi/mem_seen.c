/* mem_seen.c - memory seen from outside: how often a frame is mapped (kpagecount) while processes share it, and
 * stacks that grow, or do not, because somebody else reaches below them. */
#include "abi.h"

#include <sys/ptrace.h>

static unsigned long word(const char *path, unsigned long index) {
    unsigned long value = 0;
    int fd = open(path, O_RDONLY);
    if (pread(fd, &value, 8, (long)(index * 8)) != 8)
        value = ~0ul;
    close(fd);
    return value;
}

static unsigned long count(unsigned long page) {
    unsigned long w = word("/proc/self/pagemap", (unsigned long)at(page) / PAGE);
    return w >> 63 ? word("/proc/kpagecount", w & ((1ul << 55) - 1)) : 1000;
}

static void counts(unsigned long page) { note("%lu %lu %lu", count(page), count(page + 1), count(page + 2)); }

/* A child that does `work`, says so, and stays until let go. */
static int ready[2], go[2];
static pid_t child(void (*work)(void)) {
    char c;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (work)
            work();
        if (write(ready[1], "x", 1) != 1 || read(go[0], &c, 1) != 1)
            abort();
        _exit(0);
    }
    if (read(ready[0], &c, 1) != 1)
        abort();
    return pid;
}
static void let_go(int children) {
    for (int i = 0; i < children; i++)
        if (write(go[1], "x", 1) != 1)
            abort();
    while (wait(NULL) > 0)
        ;
}
static void pipes(void) {
    if (pipe(ready) || pipe(go))
        abort();
}

static void writes_one(void) { at(1)[0] = 9; }
static void unmaps_one(void) { munmap(at(2), PAGE); }
static void reads(void) {
    for (int i = 0; i < 3; i++)
        (void)*(volatile char *)at(i);
}

static void anonymous(void) {
    pipes();
    map(0, 3, RW, ANON, -1, 0), fill(0, 3, 1);
    ask("one process"), counts(0), done();
    child(NULL);
    ask("a child shares all"), counts(0), done();
    child(NULL), child(NULL);
    ask("three children"), counts(0), done();
    child(writes_one);
    ask("a fourth wrote the second page"), counts(0), done();
    child(unmaps_one);
    ask("a fifth unmapped the third"), counts(0), done();
    at(0)[0] = 5;
    ask("the parent wrote the first"), counts(0), done();
    let_go(5);
    ask("all gone"), counts(0), done();
}

static void files(void) {
    pipes();
    int fd = memfd_create("x", 0);
    ftruncate(fd, 3 * PAGE);
    map(0, 3, RW, MAP_SHARED, fd, 0), fill(0, 3, 1);
    ask("a file, one process"), counts(0), done();
    child(reads);
    ask("a child reads it"), counts(0), done();
    map(8, 3, R, MAP_SHARED, fd, 0);
    for (int i = 8; i < 11; i++)
        (void)*(volatile char *)at(i);
    ask("mapped twice"), counts(0), counts(8), done();
    let_go(1);
    ask("the child is gone"), counts(0), done();
}

static void stack_at(void) {
    mmap(at(100), PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    at(100)[0] = 7;
}

static void grown(void) {
    char bytes[8] = "1234567";
    int fd = open("/proc/self/mem", O_RDWR);
    stack_at();
    ask("/proc/PID/mem reads below a stack"), result(pread(fd, bytes, 8, (long)at(98))), layout(), done();
    ask("and writes"), result(pwrite(fd, "abcdefg", 8, (long)at(90))), layout(), note("%c", at(90)[1]), done();
    ask("far below"), result(pread(fd, bytes, 8, (long)BASE - 4096 * 4096)), layout(), done();
    clear(), stack_at();
    struct iovec here = {bytes, 8}, there = {at(98), 8};
    ask("process_vm_readv below a stack"), result(process_vm_readv(getpid(), &here, 1, &there, 1, 0)), layout(), done();
    ask("process_vm_writev"), result(process_vm_writev(getpid(), &here, 1, &there, 1, 0)), layout(), done();
    ask("write(2) from below a stack"), result(write(open("/dev/null", O_WRONLY), at(97), 8)), layout(), done();
    int ends[2];
    if (pipe(ends))
        abort();
    ask("write(2) to a pipe from there"), result(write(ends[1], at(96), 8)), layout(), done();
    ask("read(2) into there"), result(read(ends[0], at(95), 8)), layout(), done();
    clear(), stack_at(), fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        ask("the tracee's after that"), layout(), note("%d", at(94)[0]), done();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    errno = 0;
    ask("PEEKDATA below a stack"), note("%ld %s", ptrace(PTRACE_PEEKDATA, pid, at(98), 0), error_name(errno)), done();
    ask("POKEDATA"), result(ptrace(PTRACE_POKEDATA, pid, at(94), 55)), done();
    fflush(stdout);
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, NULL, 0);
    clear(), stack_at(), mmap(at(90), PAGE, RW, ANON | MAP_FIXED, -1, 0);
    ask("a mapping in the guard"), result(pread(fd, bytes, 8, (long)at(98))), layout(), done();
}

int main(void) {
    GROUP(anonymous);
    GROUP(files);
    GROUP(grown);
    return 0;
}
