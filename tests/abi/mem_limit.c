/* mem_limit.c - RLIMIT_AS, DATA and STACK, the number of mappings, stacks that grow, and overcommit by its modes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "value.h"

#define PAGE 4096ul
#define MiB (1ul << 20)
#define RW (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static void said(const char *what, long result) {
    printf("%s -> %s\n", what, result == -1 ? strerrorname_np(errno) : "ok");
}

static void set_limit(int which, unsigned long bytes) {
    struct rlimit l = {bytes, RLIM_INFINITY};
    if (setrlimit(which, &l))
        printf("setrlimit -> %s\n", strerrorname_np(errno));
}

static char *map(unsigned long bytes, int prot, int flags) { return mmap(NULL, bytes, prot, ANONYMOUS | flags, -1, 0); }

/* A function in a process of its own: its limits end with it. */
static void apart(void (*f)(void)) {
    fflush(stdout);
    int status, pid = fork();
    if (!pid) {
        f();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (status)
        printf("ended by -> %d\n", status);
}

static void address_space(void) {
    char *p = map(8 * MiB, PROT_NONE, 0);
    unsigned long now = value_of("/proc/self/statm", "") * PAGE;
    set_limit(RLIMIT_AS, now + 4 * MiB);
    said("as much as the limit on addresses", (long)map(4 * MiB, PROT_NONE, MAP_NORESERVE));
    said("a page more", (long)map(PAGE, PROT_READ, 0));
    said("in place of another", (long)mmap(p, 8 * MiB, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0));
    said("partly in place of another", (long)mmap(p + 4 * MiB, 8 * MiB, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0));
    said("growth", (long)mremap(p, 8 * MiB, 8 * MiB + PAGE, MREMAP_MAYMOVE));
    said("a move", (long)mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
    said("the heap", (long)sbrk(PAGE));
    munmap(p, PAGE);
    said("a page again", (long)map(PAGE, PROT_READ, 0));
    set_limit(RLIMIT_AS, MiB);
    said("fork under a lower limit", fork() ? 0 : (_exit(0), 0));
    wait(NULL);
    said("unmapping a hole", munmap(p + 4 * MiB, PAGE));
}

static void data(void) {
    char *p = map(8 * MiB, PROT_READ, 0);
    unsigned long now = value_of("/proc/self/status", "VmData:") * 1024;
    set_limit(RLIMIT_DATA, now + 4 * MiB);
    said("read-only is no data", (long)map(64 * MiB, PROT_READ, 0));
    said("nor is shared memory", (long)mmap(NULL, 64 * MiB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    char *q = map(4 * MiB, RW, 0);
    said("as much as the limit on data", (long)q);
    said("a page more", (long)map(PAGE, RW, 0));
    said("not reserved", (long)map(PAGE, RW, MAP_NORESERVE));
    said("made writable", mprotect(p, PAGE, RW));
    said("in place of data", (long)mmap(q, MiB, RW, ANONYMOUS | MAP_FIXED, -1, 0));
    said("growing data", (long)mremap(q, 4 * MiB, 5 * MiB, MREMAP_MAYMOVE));
    said("the heap", (long)sbrk(2 * MiB));
    said("data made read-only", mprotect(q, MiB, PROT_READ));
    said("then other made writable", mprotect(p, MiB, RW));
    said("but not more", mprotect(p, 2 * MiB, RW));
    set_limit(RLIMIT_DATA, 0);
    said("no data at all", (long)map(PAGE, RW, 0));
    said("still writable to writable", mprotect(p, MiB, RW));
}

static void break_limit(void) {
    set_limit(RLIMIT_DATA, 16 * MiB);
    said("the heap within the limit", (long)sbrk(8 * MiB));
    said("past it", (long)sbrk(16 * MiB));
    said("what is there shrinks", (long)sbrk(-(long)MiB));
}

static sigjmp_buf back;
static siginfo_t info;
static char *bottom;
static void caught(int number, siginfo_t *i, void *context) {
    (void)context;
    info = *i;
    siglongjmp(back, number);
}

static void touch(const char *what, char *p) {
    int number = sigsetjmp(back, 1);
    if (number)
        printf("%s -> %s code %d at %+ld\n", what, sigabbrev_np(number), info.si_code,
               ((char *)info.si_addr - bottom) / (long)PAGE);
    else
        *(volatile char *)p = 1, printf("%s -> written\n", what);
}

static void handlers(void) {
    static char stack[1 << 16];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void growing(void) {
    handlers();
    char *area = map(2048 * PAGE, PROT_NONE, MAP_NORESERVE);
    munmap(area, 2048 * PAGE);
    bottom = area + 1024 * PAGE;
    mmap(bottom, 4 * PAGE, RW, ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    touch("a page below", bottom - 10);
    touch("far below", bottom - 300 * PAGE);
    char *neighbour = mmap(bottom - 600 * PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    touch("just outside the gap", neighbour + 257 * PAGE);
    touch("in the gap", neighbour + 256 * PAGE);
    touch("right above the neighbour", neighbour + PAGE);
    mprotect(neighbour, PAGE, PROT_NONE);
    touch("in the gap to one inaccessible", neighbour + 200 * PAGE);
    munmap(neighbour, PAGE);
    touch("without the neighbour", neighbour + 100 * PAGE);
    said("a hint right below",
         mmap(neighbour + 98 * PAGE, PAGE, RW, ANONYMOUS, -1, 0) == neighbour + 98 * PAGE ? 0 : (errno = EEXIST, -1));
    said("fixed right below", (long)mmap(neighbour + 99 * PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    touch("then it does not grow", neighbour + 99 * PAGE - 1);
    set_limit(RLIMIT_STACK, 16 * PAGE);
    char *small = mmap(bottom + 600 * PAGE, 4 * PAGE, RW, ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    bottom = small;
    touch("to the stack's limit", small - 12 * PAGE);
    touch("a page more", small - 12 * PAGE - 1);
    set_limit(RLIMIT_STACK, 64 * MiB);
    set_limit(RLIMIT_AS, value_of("/proc/self/statm", "") * PAGE + 2 * PAGE);
    touch("to the limit on addresses", small - 14 * PAGE);
    touch("a page more", small - 15 * PAGE);
}

static void many(void) {
    long most = 3000, count = 0, n;
    FILE *knob = fopen("/proc/sys/vm/max_map_count", "w"); /* what it is set to is not what is tested */
    fprintf(knob, "%ld\n", most);
    fclose(knob);
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), f))
        count += !strstr(line, "[vsyscall]");
    fclose(f);
    char *p = map(140000 * PAGE, PROT_NONE, MAP_NORESERVE);
    count++;
    for (n = 0; n < 70000 && !mprotect(p + (2 * n + 1) * PAGE, PAGE, PROT_READ); n++)
        count += 2;
    printf("splits end with -> %s, %ld from the most\n", strerrorname_np(errno), most - count);
    said("a hole needs another", munmap(p, PAGE) ? -1 : munmap(p + 2 * PAGE, PAGE));
    said("joining is possible", mprotect(p + 5 * PAGE, PAGE, PROT_NONE));
    said("then splitting is", mprotect(p + 7 * PAGE, PAGE, RW));
    knob = fopen("/proc/sys/vm/max_map_count", "w");
    fprintf(knob, "65530\n");
    fclose(knob);
}

static void set_mode(int mode) {
    char text[2] = {(char)('0' + mode), 0};
    int fd = open("/proc/sys/vm/overcommit_memory", O_WRONLY);
    if (write(fd, text, 1) != 1)
        printf("mode %d -> %s\n", mode, strerrorname_np(errno));
    close(fd);
}

static long committed(void) { return value_of("/proc/meminfo", "Committed_AS:"); }
static long base;
static void commits(const char *what) {
    long now = committed();
    printf("%s -> %+ld kB\n", what, now - base);
    base = now;
}

static void accounting(void) {
    base = committed();
    char *p = map(16 * MiB, RW, 0);
    commits("private writable");
    char *n = map(16 * MiB, RW, MAP_NORESERVE);
    commits("not reserved");
    char *r = map(16 * MiB, PROT_READ, 0);
    commits("read-only");
    mprotect(r, 4 * MiB, RW);
    commits("made writable");
    mprotect(r, 4 * MiB, PROT_READ);
    commits("made read-only again");
    mprotect(n, MiB, PROT_READ);
    mprotect(n, MiB, RW);
    commits("not reserved, made writable");
    char *s = mmap(NULL, 16 * MiB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    commits("shared memory");
    memset(s, 1, MiB);
    commits("touched");
    munmap(s, 8 * MiB);
    commits("half of it unmapped");
    munmap(s + 8 * MiB, 8 * MiB);
    commits("all of it unmapped");
    int id = shmget(IPC_PRIVATE, 16 * MiB, 0600);
    commits("a segment");
    shmctl(id, IPC_RMID, NULL);
    commits("removed");
    munmap(p, 4 * MiB);
    commits("a part of private unmapped");
    madvise(p + 4 * MiB, 4 * MiB, MADV_DONTNEED);
    commits("emptied");
    p = mremap(p + 4 * MiB, 12 * MiB, 20 * MiB, MREMAP_MAYMOVE);
    commits("grown");
    sbrk(4 * MiB);
    commits("the heap grown");
    sbrk(-4 * (long)MiB);
    commits("the heap shrunk");
    munmap(p, 20 * MiB);
    munmap(n, 16 * MiB);
    munmap(r, 16 * MiB);
    commits("all unmapped");
}

static void modes(void) {
    unsigned long total = value_of("/proc/meminfo", "MemTotal:") * 1024,
                  swap = value_of("/proc/meminfo", "SwapTotal:") * 1024;
    unsigned long limit = value_of("/proc/meminfo", "CommitLimit:") * 1024;
    printf("the limit is half of memory, and swap -> %d\n", limit / 4096 == total / 4096 * 50 / 100 + swap / 4096);
    set_mode(0);
    said("mode 0, more than there is", (long)map(total + swap + 64 * MiB, RW, 0));
    said("mode 0, not reserved", (long)map(total + swap + 64 * MiB, RW, MAP_NORESERVE));
    said("mode 0, read-only", (long)map(total + swap + 64 * MiB, PROT_READ, 0));
    char *p = map(total - 16 * MiB, RW, 0), *q = map(total - 16 * MiB, RW, 0);
    said("mode 0, nearly all there is", (long)p);
    said("mode 0, and again", (long)q);
    said("mode 0, shared", (long)mmap(NULL, total + swap + 64 * MiB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    set_mode(1);
    char *big = map(total + swap + 64 * MiB, RW, 0);
    said("mode 1, more than there is", (long)big);
    munmap(big, total + swap + 64 * MiB);
    set_mode(2);
    said("mode 2, one page too many", (long)map(PAGE, RW, 0));
    said("mode 2, read-only", (long)map(64 * MiB, PROT_READ, 0));
    munmap(p, total - 16 * MiB);
    munmap(q, total - 16 * MiB);
    char *n = map(64 * MiB, RW, MAP_NORESERVE);
    base = committed();
    munmap(n, 64 * MiB);
    commits("mode 2 reserves what should not be");
    unsigned long left = limit - (unsigned long)committed() * 1024;
    said("mode 2, more than is left", (long)map(left + MiB, RW, 0));
    said("mode 2, over it by mprotect", mprotect(map(left + MiB, PROT_READ, 0), left + MiB, RW));
    said("mode 2, over it by mremap", (long)mremap(map(MiB, RW, 0), MiB, left + MiB, MREMAP_MAYMOVE));
    said("mode 2, over it shared", (long)mmap(NULL, left + MiB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    said("mode 2, over it by a segment", shmget(IPC_PRIVATE, left + MiB, 0600));
    char *half = map(left / 3 * 2, RW, 0);
    said("mode 2, two thirds of it", (long)half);
    char *there = (char *)(((unsigned long)half - 2 * left) & -MiB);
    char *moved = mremap(half, left / 3 * 2, left / 3 * 2, MREMAP_MAYMOVE | MREMAP_FIXED, there);
    said("mode 2, moved", (long)moved);
    half = moved == there ? there : half;
    int pid = fork();
    if (!pid)
        _exit(0);
    said("mode 2, fork needs as much again", pid);
    madvise(half, left / 3 * 2, MADV_DONTFORK);
    pid = fork();
    if (!pid)
        _exit(0);
    said("mode 2, fork without it", pid);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    set_mode(0);
    base = committed();
    munmap(half, left / 3 * 2);
    printf("all given back -> %d\n", committed() - base == -(long)(left / 3 * 2 / 4096 + !!(left / 3 * 2 % 4096)) * 4);
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    set_limit(RLIMIT_STACK, 8 * MiB);
    apart(address_space);
    apart(data);
    apart(break_limit);
    apart(growing);
    apart(many);
    accounting();
    apart(modes);
    return 0;
}
