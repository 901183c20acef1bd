/* mmap.c - mapping calls: results, errno, and what an access gets: (signal, code, offset of the address). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
static sigjmp_buf back;
static siginfo_t info;

static void caught(int number, siginfo_t *i, void *context) {
    (void)context;
    info = *i;
    siglongjmp(back, number);
}

static void show(const char *what, long result) {
    printf("%s: %s\n", what, result == -1 ? strerrorname_np(errno) : "ok");
}

static void map(const char *what, void *at, size_t bytes, int prot, int flags, int fd, off_t offset) {
    char *p = mmap(at, bytes, prot, flags, fd, offset);
    printf("mmap %s: %s\n", what, p == MAP_FAILED ? strerrorname_np(errno) : p == at ? "there" : "ok");
    if (p != MAP_FAILED)
        munmap(p, bytes);
}

/* One access: what it gives, or which signal. */
static void touch(const char *what, char *p, char kind, char *base) {
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        if (kind == 'r')
            printf("%s: read %d\n", what, *(volatile char *)p);
        else if (kind == 'w')
            *(volatile char *)p = 7, printf("%s: written\n", what);
        else
            ((void (*)(void))p)(), printf("%s: executed\n", what);
        return;
    }
    printf("%s: %s code %d at +%#lx\n", what, sigabbrev_np(number), info.si_code,
           (unsigned long)((char *)info.si_addr - base));
}

static void arguments(char *base, int fd) {
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    map("no length", NULL, 0, PROT_READ, anonymous, -1, 0);
    map("neither private nor shared", NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0);
    map("both", NULL, PAGE, PROT_READ, MAP_SHARED | anonymous, -1, 0);
    map("bad descriptor", NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0);
    map("offset between pages", NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100);
    map("huge", NULL, 1ul << 50, PROT_READ, anonymous | MAP_NORESERVE, -1, 0);
    map("wrapping", NULL, -PAGE, PROT_READ, anonymous, -1, 0);
    map("fixed, odd", base + 1, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0);
    map("fixed in the kernel", (void *)(1ul << 63), PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0);
    map("fixed over", base, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0);
    map("fixed, nothing there", base, PAGE, PROT_READ, anonymous | MAP_FIXED_NOREPLACE, -1, 0);
    map("fixed, something there", base + PAGE, PAGE, PROT_READ, anonymous | MAP_FIXED_NOREPLACE, -1, 0);
    map("a terabyte of nothing", NULL, 1ul << 40, PROT_NONE, anonymous | MAP_NORESERVE, -1, 0);
    int read_only = open("/proc/self/exe", O_RDONLY), write_only = open("/dev/null", O_WRONLY);
    map("writable shared of a read-only file", NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0);
    map("writable private of it", NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, read_only, 0);
    map("of a write-only file", NULL, PAGE, PROT_READ, MAP_PRIVATE, write_only, 0);
    close(read_only);
    close(write_only);
    show("munmap odd", munmap(base + 1, PAGE));
    show("munmap nothing", munmap(base, 0));
    show("munmap a hole", munmap(base, PAGE));
    show("mprotect odd", mprotect(base + 1, PAGE, PROT_READ));
    show("mprotect a hole", mprotect(base, 2 * PAGE, PROT_READ));
    show("mprotect nothing", mprotect(base + PAGE, 0, PROT_READ));
    show("mprotect with a bad bit", mprotect(base + PAGE, PAGE, 0x100));
    show("madvise bad advice", madvise(base + PAGE, PAGE, 12345));
    show("madvise odd", madvise(base + PAGE + 1, PAGE, MADV_DONTNEED));
    show("madvise a hole", madvise(base, 2 * PAGE, MADV_DONTNEED));
    show("madvise nothing", madvise(base, 0, MADV_DONTNEED));
    show("msync a hole", msync(base, PAGE, MS_SYNC));
    show("msync both ways", msync(base + PAGE, PAGE, MS_SYNC | MS_ASYNC));
    unsigned char vec[4];
    show("mincore", mincore(base + PAGE, PAGE, vec));
    show("mincore a hole", mincore(base, PAGE, vec));
}

static void accesses(int fd) {
    char *base = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fixed = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;
    mmap(base + 1 * PAGE, PAGE, PROT_READ, fixed, -1, 0);
    mmap(base + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, fixed, -1, 0);
    munmap(base + 3 * PAGE, PAGE);
    mmap(base + 4 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE, fd, 0);
    mmap(base + 8 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, fd, 0);
    touch("none, read", base, 'r', base);
    touch("none, write", base + 5, 'w', base);
    touch("read-only, read", base + PAGE, 'r', base);
    touch("read-only, write", base + PAGE + 9, 'w', base);
    touch("read-only, execute", base + PAGE, 'x', base);
    touch("read-write, read", base + 2 * PAGE, 'r', base);
    touch("read-write, write", base + 2 * PAGE, 'w', base);
    touch("read-write, read again", base + 2 * PAGE, 'r', base);
    touch("hole", base + 3 * PAGE + 17, 'r', base);
    touch("null", NULL, 'r', NULL);
    touch("kernel", (char *)0xffff800000001000ul, 'r', (char *)0xffff800000001000ul);
    touch("the kernel's own text", (char *)0xffffffff80100000ul, 'w', (char *)0xffffffff80100000ul);
    touch("not canonical", (char *)(1ul << 62), 'r', NULL);
    touch("file", base + 4 * PAGE, 'r', base);
    touch("file, the rest of its last page", base + 5 * PAGE + 2000, 'r', base);
    touch("file, past its end", base + 6 * PAGE, 'r', base);
    touch("file, private write", base + 4 * PAGE, 'w', base);
    touch("shared file, not changed by that", base + 8 * PAGE, 'r', base);
    touch("shared file, write", base + 9 * PAGE, 'w', base);
    touch("private, sees it while not copied", base + 5 * PAGE, 'r', base);
    touch("shared file, past its end", base + 10 * PAGE + 3, 'w', base);
    char c = 0;
    printf("the file has %zd byte: %d\n", pread(fd, &c, 1, PAGE), c);
    show("ftruncate", ftruncate(fd, 100));
    touch("file, cut", base + 5 * PAGE, 'r', base);
    touch("private copy stays on the kept page", base + 4 * PAGE, 'r', base);
    mprotect(base + 2 * PAGE, PAGE, PROT_NONE);
    touch("taken away", base + 2 * PAGE, 'r', base);
    mprotect(base + 2 * PAGE, PAGE, PROT_READ);
    touch("given back to read", base + 2 * PAGE, 'r', base);
    touch("but not to write", base + 2 * PAGE, 'w', base);
    mprotect(base + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE);
    show("MADV_DONTNEED", madvise(base + 2 * PAGE, PAGE, MADV_DONTNEED));
    touch("forgotten", base + 2 * PAGE, 'r', base);
    munmap(base, 64 * PAGE);
    touch("all gone", base + 2 * PAGE, 'r', base);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    FILE *file = tmpfile();
    int fd = fileno(file);
    for (int i = 0; i < 5000; i++)
        putc(i % 100, file);
    fflush(file);
    char *base = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(base, PAGE);
    arguments(base, fd);
    accesses(fd);
    return 0;
}
