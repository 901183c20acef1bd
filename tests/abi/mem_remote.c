/* mem_remote.c - memory from outside: process_vm_readv and writev, /proc/PID/mem, which goes against protection. */
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
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf back;
static siginfo_t info;
static void caught(int number, siginfo_t *i, void *context) {
    (void)context;
    info = *i;
    siglongjmp(back, number);
}

static void said(const char *what, long result) {
    result == -1 ? printf("%s -> %s\n", what, strerrorname_np(errno)) : printf("%s -> %ld\n", what, result);
}

static void touch(const char *what, volatile char *p, int write) {
    int number = sigsetjmp(back, 1);
    if (number)
        printf("%s -> %s code %d\n", what, sigabbrev_np(number), info.si_code);
    else if (write)
        *p = 7, printf("%s -> written\n", what);
    else
        printf("%s -> %d\n", what, *p);
}

static int mem;
static void force(const char *what, char *p, char value) {
    char line[96], got = 0;
    snprintf(line, sizeof(line), "force %s", what);
    said(line, pwrite(mem, &value, 1, (off_t)p));
    snprintf(line, sizeof(line), "read forced %s", what);
    long n = pread(mem, &got, 1, (off_t)p);
    n == 1 ? printf("%s -> value %d\n", line, got) : said(line, n);
}

static void forced(void) {
    int fd = memfd_create("remote", 0), ro;
    char content[4 * PAGE], path[64];
    memset(content, 5, sizeof(content));
    write(fd, content, sizeof(content));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ro = open(path, O_RDONLY);
    mem = open("/proc/self/mem", O_RDWR);
    char *anon = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    anon[0] = anon[PAGE] = 1;
    mprotect(anon, PAGE, PROT_READ);
    mprotect(anon + PAGE, 3 * PAGE, PROT_NONE);
    force("read-only anonymous", anon, 2);
    touch("it stays read-only", anon, 1);
    touch("it holds", anon, 0);
    force("inaccessible, touched", anon + PAGE, 3);
    touch("it stays inaccessible", anon + PAGE, 0);
    force("inaccessible, untouched", anon + 2 * PAGE, 4);
    touch("it stays inaccessible", anon + 2 * PAGE, 1);
    char zero = 9;
    said("read inaccessible, untouched", pread(mem, &zero, 1, (off_t)(anon + 3 * PAGE)));
    printf("what it read -> %d\n", zero);
    touch("it stays inaccessible", anon + 3 * PAGE, 0);
    mprotect(anon, 4 * PAGE, RW);
    printf("made accessible -> %d %d %d %d\n", anon[0], anon[PAGE], anon[2 * PAGE], anon[3 * PAGE]);
    touch("and writable", anon + PAGE, 1);
    char *private = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    touch("a private file", private, 0);
    force("private file, read before", private, 6);
    force("private file, not read before", private + PAGE, 7);
    touch("still read-only", private, 1);
    char byte = 0;
    pread(fd, &byte, 1, 0);
    printf("the file is as it was -> %d\n", byte);
    char *none = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE, fd, 0);
    force("inaccessible private file", none, 8);
    touch("still inaccessible", none, 0);
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0),
         *rshared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    force("shared, which may be written", shared, 9);
    force("shared, which may not", rshared, 9);
    char *wshared = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    force("shared writable", wshared, 9);
    touch("seen", shared, 0);
    char *exec = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    force("private executable", exec, (char)0xc3);
    touch("not writable", exec, 1);
    ((void (*)(void))exec)();
    printf("executed what was forced -> yes\n");
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        mem = open("/proc/self/mem", O_RDWR);
        mprotect(anon, PAGE, PROT_READ);
        force("the child's read-only copy", anon, 33);
        force("the child's private file", private, 34);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    printf("not the parent's -> %d %d\n", anon[0], private[0]);
    ftruncate(fd, PAGE);
    force("past the end of the file", none + 2 * PAGE, 1);
    force("a hole", (char *)PAGE, 1);
    force("the kernel", (char *)(1ul << 63), 1);
    munmap(anon + PAGE, PAGE);
    memset(content, 11, sizeof(content));
    mprotect(anon, PAGE, PROT_READ);
    said("force over a hole", pwrite(mem, content, 2 * PAGE, (off_t)anon));
    said("from inside a page over a hole", pwrite(mem, content, PAGE, (off_t)(anon + 100)));
    said("read over a hole", pread(mem, content, 2 * PAGE, (off_t)anon + 4000));
    said("write nothing", pwrite(mem, content, 0, (off_t)anon));
    said("write from nowhere", pwrite(mem, (void *)8, 10, (off_t)anon));
    said("read to nowhere", pread(mem, (void *)8, 10, (off_t)anon));
    said("seek and read", lseek(mem, (off_t)anon, SEEK_SET) == (off_t)anon ? read(mem, content, 3) : -2);
    printf("the position -> +%ld\n", (long)(lseek(mem, 0, SEEK_CUR) - (off_t)anon));
    said("seek to the end", lseek(mem, 0, SEEK_END));
    close(mem);
}

static char *area, *other;
static long vm(int write, struct iovec *mine, int n, struct iovec *theirs, int m, int flags) {
    return write ? process_vm_writev(getpid(), mine, n, theirs, m, flags)
                 : process_vm_readv(getpid(), mine, n, theirs, m, flags);
}

static void vectors(int w) {
    const char *name = w ? "writev" : "readv";
    struct iovec mine[3] = {{area, 10}, {area + 100, 5000}, {area + 3 * PAGE, 10}};
    struct iovec theirs[3] = {{other + 4000, 200}, {other, 30}, {other + PAGE, 4000}};
    printf("process_vm_%s -> %ld\n", name, vm(w, mine, 3, theirs, 3, 0));
    printf("%s, one side is shorter -> %ld\n", name, vm(w, mine, 1, theirs, 3, 0));
    printf("%s, the other is -> %ld\n", name, vm(w, mine, 3, theirs, 1, 0));
    said("flags", vm(w, mine, 1, theirs, 1, 1));
    said("no local vector", vm(w, mine, 0, theirs, 1, 0));
    said("no remote vector", vm(w, mine, 1, theirs, 0, 0));
    said("local vector from nowhere", vm(w, (void *)8, 1, theirs, 1, 0));
    said("remote vector from nowhere", vm(w, mine, 1, (void *)8, 1, 0));
    said("too many", vm(w, mine, 1025, theirs, 1, 0));
    said("too many remote", vm(w, mine, 1, theirs, 1025, 0));
    struct iovec negative = {area, -1ul}, kernel = {(void *)(1ul << 63), 10}, empty = {area, 0};
    said("negative local length", vm(w, &negative, 1, theirs, 1, 0));
    said("negative remote length", vm(w, mine, 1, &negative, 1, 0));
    said("the kernel's memory here", vm(w, &kernel, 1, theirs, 1, 0));
    said("the kernel's memory there", vm(w, mine, 1, &kernel, 1, 0));
    said("nothing here", vm(w, &empty, 1, &kernel, 1, 0));
    said("nothing there", vm(w, mine, 1, &empty, 1, 0));
    struct iovec hole_here[2] = {{area, 10}, {(void *)PAGE, 10}}, hole_there[2] = {{other, 10}, {(void *)PAGE, 10}};
    said("a hole here after 10", vm(w, hole_here, 2, theirs, 1, 0));
    said("a hole there after 10", vm(w, mine + 1, 1, hole_there, 2, 0));
    said("only a hole here", vm(w, hole_here + 1, 1, theirs, 1, 0));
    said("only a hole there", vm(w, mine, 1, hole_there + 1, 1, 0));
    struct iovec edge_here = {area + 4 * PAGE - 50, 100}, edge_there = {other + 4 * PAGE - 50, 100},
                 whole = {area, PAGE}, there = {other, PAGE};
    said("into a hole here", vm(w, &edge_here, 1, &there, 1, 0));
    said("into a hole there", vm(w, &whole, 1, &edge_there, 1, 0));
    static const int prots[] = {PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, RW};
    for (unsigned i = 0; i < 5; i++) {
        char what[64];
        mprotect(other, PAGE, prots[i]);
        snprintf(what, sizeof(what), "%s, protection %d there", name, prots[i]);
        said(what, vm(w, &whole, 1, &there, 1, 0));
        mprotect(other, PAGE, RW);
        mprotect(area, PAGE, prots[i]);
        snprintf(what, sizeof(what), "%s, protection %d here", name, prots[i]);
        said(what, vm(w, &whole, 1, &there, 1, 0));
        mprotect(area, PAGE, RW);
    }
    said("nobody",
         w ? process_vm_writev(4000000, mine, 1, theirs, 1, 0) : process_vm_readv(4000000, mine, 1, theirs, 1, 0));
    fflush(stdout);
    if (!fork()) {
        int parent = getppid();
        if (setgroups(0, NULL) || setgid(1000) || setuid(1000))
            _exit(1);
        said("not permitted",
             w ? process_vm_writev(parent, mine, 1, theirs, 1, 0) : process_vm_readv(parent, mine, 1, theirs, 1, 0));
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/mem", parent);
        said("open its mem", open(path, O_RDONLY));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    area = mmap(NULL, 5 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    other = mmap(NULL, 5 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(area + 4 * PAGE, PAGE);
    munmap(other + 4 * PAGE, PAGE);
    memset(area, 1, 4 * PAGE);
    memset(other, 2, 4 * PAGE);
    vectors(0);
    vectors(1);
    forced();
    return 0;
}
