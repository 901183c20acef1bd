/* mem_poison.c - frames taken out of use: madvise(2)'s MADV_HWPOISON and MADV_SOFT_OFFLINE. What is said of it, what an
 * access then gets, what becomes of the page by other calls. */
#include "abi.h"

#include <pthread.h>

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#define MADV_HWPOISON_ 100

static sigjmp_buf back;
static void caught(int number, siginfo_t *info, void *context) {
    long page = ((char *)info->si_addr - at(0)) / (long)PAGE;
    note("signal %d code %d lsb %d page %ld+%ld", number, info->si_code, info->si_code == 4 ? info->si_addr_lsb : 0,
         page, (long)info->si_addr % (long)PAGE);
    siglongjmp(back, 1);
}

static void sees(unsigned long page) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    if (!sigsetjmp(back, 1))
        note("page %lu holds %d", page, at(page)[100]);
}

static void writes(unsigned long page, int value) {
    if (!sigsetjmp(back, 1)) {
        at(page)[100] = (char)value;
        note("written");
    }
}

static void poison(const char *what, unsigned long page) {
    ask("poison of %s", what), result(madvise(at(page), PAGE, MADV_HWPOISON_));
}

static void private(void) {
    unsigned char core[1] = {9};
    map(0, 8, RW, ANON, -1, 0), fill(0, 8, 1);
    for (int i = 0; i < 8; i++)
        at(i)[100] = (char)(i + 1);
    poison("anonymous memory", 2), sees(1), sees(2), sees(3), writes(2, 9), done();
    ask("poison again"), result(madvise(at(2), PAGE, MADV_HWPOISON_)), done();
    ask("write(2) from it"), result(write(open("/dev/null", O_WRONLY), at(2), 8)), done();
    int ends[2];
    if (pipe(ends))
        abort();
    ask("write(2) to a pipe from it"), result(write(ends[1], at(2), 8)), done();
    ask("read(2) into it"), result(read(open("/dev/zero", O_RDONLY), at(2), 8)), done();
    ask("mincore"), (void)mincore(at(2), PAGE, core), note("%d", core[0]), done();
    ask("mprotect to and fro"), result(mprotect(at(0), 8 * PAGE, R)), result(mprotect(at(0), 8 * PAGE, RW)), sees(2),
        sees(4), done();
    ask("mprotect to nothing and back"), result(mprotect(at(0), 8 * PAGE, NONE)), result(mprotect(at(0), 8 * PAGE, RW)),
        sees(2), done();
    ask("a child"), fflush(stdout);
    if (fork() == 0)
        sees(2), sees(3), done(), _exit(0);
    wait(NULL);
    ask("mremap"), note("%d", mremap(at(2), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(20)) == at(20)), sees(20),
        done();
    ask("mlock"), result(mlock(at(20), PAGE)), munlock(at(20), PAGE), done();
    ask("MADV_DONTNEED"), result(madvise(at(20), PAGE, MADV_DONTNEED)), sees(20), writes(20, 5), sees(20), done();
    ask("munmap beside others"), madvise(at(5), PAGE, MADV_HWPOISON_), result(munmap(at(4), 3 * PAGE)), sees(3),
        sees(7), done();
    ask("soft offline of a hole"), result(madvise(at(40), PAGE, MADV_SOFT_OFFLINE)), done();
    ask("poison of a hole"), result(madvise(at(40), PAGE, MADV_HWPOISON_)), done();
    ask("poison of PROT_NONE"), map(41, 1, NONE, ANON, -1, 0), result(madvise(at(41), PAGE, MADV_HWPOISON_)), done();
}

static void shared_by_fork(void) {
    int go[2], gone[2];
    char c;
    map(0, 4, RW, ANON, -1, 0);
    for (int i = 0; i < 4; i++)
        at(i)[100] = (char)(i + 1);
    if (pipe(go) || pipe(gone))
        abort();
    if (fork() == 0) {
        if (read(go[0], &c, 1) != 1)
            abort();
        ask("what the child sees of poison"), sees(0), sees(1), sees(2), done();
        _exit(0);
    }
    ask("a page shared by fork, soft"), result(madvise(at(0), PAGE, MADV_SOFT_OFFLINE)), sees(0), done();
    ask("a page shared by fork, poison"), result(madvise(at(1), PAGE, MADV_HWPOISON_)), sees(1), done();
    if (write(go[1], "x", 1) != 1)
        abort();
    wait(NULL);
    ask("soft offline keeps them apart"), at(0)[100] = 50, note("%d", at(0)[100]), done();
}

static void files(void) {
    int fd = memfd_create("x", 0);
    char bytes[8];
    ftruncate(fd, 8 * PAGE);
    map(0, 8, RW, MAP_SHARED, fd, 0), map(10, 8, RW, MAP_PRIVATE, fd, 0);
    for (int i = 0; i < 8; i++)
        at(i)[100] = (char)(i + 1);
    at(12)[100] = 33;
    poison("shared memory", 1), sees(1), sees(11), sees(2), done();
    ask("read(2) of it"), result(pread(fd, bytes, 8, PAGE + 100)), done();
    ask("write(2) to it"), result(pwrite(fd, "12345678", 8, PAGE + 100)), done();
    poison("a private copy", 12), sees(12), sees(2), done();
    ask("hole punched"), result(fallocate(fd, 3, PAGE, PAGE)), result(pread(fd, bytes, 8, PAGE + 100)), done();
    ask("soft offline of shared memory"), result(madvise(at(3), PAGE, MADV_SOFT_OFFLINE)), sees(3), sees(13),
        writes(3, 77), sees(13), note("%zd %d", pread(fd, bytes, 8, 3 * PAGE + 100), bytes[0]), done();
}

static volatile bool over;
static long wrong;

/* Counts in a page, and reads it back. */
static void *counts(void *page) {
    volatile long *word = page;
    for (long n = 1; !over || n < 1000; n++) {
        *word = n;
        wrong += *word != n;
    }
    return NULL;
}

static void while_written(void) {
    pthread_t threads[2];
    int errors = 0;
    map(0, 2, RW, ANON, -1, 0);
    for (unsigned long i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, counts, at(i));
    for (unsigned long n = 0; n < 20; n++)
        errors += madvise(at(n % 2), PAGE, MADV_SOFT_OFFLINE) && errno != EBUSY && errno != EIO;
    over = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ask("soft offline while it is written"), note("%d errors, %ld lost", errors, wrong), done();
}

static void rights(void) {
    map(0, 2, RW, ANON, -1, 0);
    at(0)[100] = 1;
    ordinary();
    ask("poison by an ordinary user"), result(madvise(at(0), PAGE, MADV_HWPOISON_)), sees(0), done();
    ask("soft offline by an ordinary user"), result(madvise(at(0), PAGE, MADV_SOFT_OFFLINE)), done();
}

int main(void) {
    GROUP(private);
    GROUP(shared_by_fork);
    GROUP(files);
    GROUP(while_written);
    GROUP(rights);
    return 0;
}
