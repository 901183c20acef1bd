/* flushes.c - a fixed round of everything that must flush, on two CPUs; the Nth flush that has something to forget is
 * left out (/proc/sys/vm/drop_flush, of a kernel built with QUIRE_SHADOW), and the kernel must say so by a panic.
 *
 *     flushes N        says "passed" when the round has fewer flushes than that, "unseen" when one was left out */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 700 /* more than a table */
#define RW (PROT_READ | PROT_WRITE)
static char *area, *file;
static int stop;

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *toucher(void *unused) { /* so that this CPU has the space loaded, and has cached what is there */
    pin(1);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) /* it writes nothing: it would break what a fork shares */
        __asm__ volatile("pause");
    return unused;
}

static void touch(char *p, size_t pages) {
    for (size_t i = 0; i < pages; i += 5)
        p[i * PAGE] = 1;
}

static void round_of(int fd) {
    touch(area, PAGES);
    mprotect(area, 20 * PAGE, PROT_READ);
    mprotect(area, PAGES * PAGE, PROT_READ);
    mprotect(area, PAGES * PAGE, PROT_NONE);
    mprotect(area, PAGES * PAGE, RW);
    touch(area, PAGES);
    madvise(area, 20 * PAGE, MADV_DONTNEED);
    madvise(area, PAGES * PAGE, MADV_DONTNEED);
    touch(area, PAGES);
    munmap(area + 3 * PAGE, 4 * PAGE);
    mmap(area + PAGE, 10 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    touch(area, PAGES);
    mremap(area, 30 * PAGE, 30 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + 1000 * PAGE);
    mremap(area + 1000 * PAGE, 30 * PAGE, 30 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area);
    touch(area, PAGES);
    int up[2], down[2]; /* one after the other: another's flush at the same time would do for ours */
    char c = 0;
    (void)!pipe(up), (void)!pipe(down);
    if (fork() == 0) {
        touch(area, 50); /* breaks */
        (void)!write(up[1], &c, 1), (void)!read(down[0], &c, 1);
        _exit(0);
    }
    (void)!read(up[0], &c, 1);
    touch(area, PAGES);
    (void)!write(down[1], &c, 1);
    wait(NULL);
    touch(file, 60);
    msync(file, 60 * PAGE, MS_SYNC);
    touch(file, 60);
    (void)!fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 5 * PAGE, 10 * PAGE);
    (void)!ftruncate(fd, 20 * PAGE);
    (void)!ftruncate(fd, 60 * PAGE);
    madvise(area, PAGES * PAGE, MADV_PAGEOUT);
    touch(area, PAGES);
    munmap(area, PAGES * PAGE);
}

static unsigned long knob(int f, const char *value) {
    char text[32] = "";
    if (value && pwrite(f, value, strlen(value), 0) < 0)
        perror("drop_flush"), exit(1);
    if (pread(f, text, sizeof(text) - 1, 0) <= 0)
        perror("drop_flush"), exit(1);
    return strtoul(text, NULL, 10);
}

int main(int argc, char **argv) {
    int f = open("/proc/sys/vm/drop_flush", O_RDWR), fd = memfd_create("m", 0);
    pthread_t t;
    if (f < 0)
        return perror("drop_flush"), 1;
    area = mmap((void *)0x100000000000, PAGES * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    (void)!ftruncate(fd, 60 * PAGE);
    file = mmap(NULL, 60 * PAGE, RW, MAP_SHARED, fd, 0);
    pthread_create(&t, NULL, toucher, NULL);
    pin(0);
    knob(f, argc > 1 ? argv[1] : "0");
    round_of(fd);
    unsigned long left = knob(f, NULL);
    knob(f, "0");
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(t, NULL);
    puts(left ? "passed" : "unseen");
    return 0;
}
