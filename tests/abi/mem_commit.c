/* mem_commit.c - what counts as promised memory (Committed_AS), to the page, and who is refused by mode 2 of
 * overcommit. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define MiB (1ul << 20)
#define RW (PROT_READ | PROT_WRITE)

static long field(const char *label) {
    char text[4096];
    int fd = open("/proc/meminfo", O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strstr(text, label);
    return at ? atol(at + strlen(label)) : -1;
}

static long base;
static void start(void) { base = field("Committed_AS:"); }
static void pages(const char *what) {
    long now = field("Committed_AS:");
    printf("%s -> %+ld pages\n", what, (now - base) / 4);
    base = now;
}

static void put(const char *knob, long value) {
    char path[64], text[32];
    sprintf(path, "/proc/sys/vm/%s", knob);
    int fd = open(path, O_WRONLY), n = sprintf(text, "%ld", value);
    if (write(fd, text, n) != n)
        printf("%s -> %s\n", path, strerrorname_np(errno));
    close(fd);
}

static long get(const char *knob) {
    char path[64], text[32] = "";
    sprintf(path, "/proc/sys/vm/%s", knob);
    int fd = open(path, O_RDONLY);
    if (read(fd, text, sizeof(text) - 1) < 0)
        return -1;
    close(fd);
    return atol(text);
}

static void said(const char *what, long result) {
    printf("%s -> %s\n", what, result == -1 ? strerrorname_np(errno) : "ok");
}

static void memory_files(void) {
    start();
    int fd = memfd_create("m", 0);
    said("ftruncate a memfd", ftruncate(fd, 64 * PAGE));
    pages("a memfd of 64 pages");
    char *p = mmap(NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0);
    pages("mapped shared");
    p[0] = p[5 * PAGE] = 1;
    pages("two pages written by the mapping");
    if (pwrite(fd, "x", 1, 7 * PAGE) != 1)
        perror("pwrite");
    pages("one by pwrite");
    if (pwrite(fd, "y", 1, 7 * PAGE) != 1)
        perror("pwrite");
    pages("the same again");
    fallocate(fd, 0, 10 * PAGE, 6 * PAGE);
    pages("six by fallocate");
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 6 * PAGE);
    pages("a hole punched over two");
    (void)*(volatile char *)(p + 20 * PAGE);
    pages("one read in a mapping");
    char c;
    if (pread(fd, &c, 1, 30 * PAGE) != 1)
        perror("pread");
    pages("one read by pread");
    char *q = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0);
    pages("eight mapped private");
    q[PAGE] = 1;
    pages("one of them copied");
    munmap(q, 8 * PAGE);
    pages("unmapped");
    said("truncate to 11 pages", ftruncate(fd, 11 * PAGE));
    pages("truncated");
    munmap(p, 64 * PAGE);
    close(fd);
    pages("closed");
}

static void shared(void) {
    start();
    char *p = mmap(NULL, 40 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pages("40 shared");
    memset(p, 1, 9 * PAGE);
    pages("nine written");
    munmap(p, 40 * PAGE);
    pages("gone");
    p = mmap(NULL, 40 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pages("40 shared, not reserved");
    memset(p, 1, 9 * PAGE);
    pages("nine written");
    munmap(p, 40 * PAGE);
    pages("gone");
    int id = shmget(IPC_PRIVATE, 40 * PAGE, 0600 | SHM_NORESERVE);
    p = shmat(id, NULL, 0);
    pages("a segment of 40, not reserved");
    memset(p, 1, 9 * PAGE);
    pages("nine written");
    shmdt(p);
    shmctl(id, IPC_RMID, NULL);
    pages("gone");
}

static void private(void) {
    start();
    char *p = mmap(NULL, 33 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pages("33 private");
    mprotect(p + 3 * PAGE, 5 * PAGE, PROT_READ);
    pages("five read-only");
    mprotect(p, 33 * PAGE, PROT_NONE);
    pages("none allowed");
    p = mremap(p, 33 * PAGE, 50 * PAGE, MREMAP_MAYMOVE);
    pages("grown to 50");
    char *q = mremap(p, 50 * PAGE, 50 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    pages("moved, the old place kept");
    munmap(q, 50 * PAGE);
    munmap(p, 50 * PAGE);
    pages("both gone");
    q = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pages("16 of nothing");
    mprotect(q, PAGE, RW);
    pages("one of them writable");
    munmap(q, 16 * PAGE);
    sbrk(5 * PAGE);
    pages("five of the heap");
    sbrk(-5 * (long)PAGE);
    pages("given back");
    int status, pid = fork();
    if (!pid) {
        pause();
        _exit(0);
    }
    long now = field("Committed_AS:");
    printf("a child has as much again -> %d\n", now - base > 20 && now - base < 4000);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    pages("gone");
}

static sigjmp_buf away;
static void caught(int signal) { siglongjmp(away, signal); }

static void knobs(void) {
    long total = field("MemTotal:"), swap = field("SwapTotal:");
    printf("ratio and kbytes -> %ld %ld\n", get("overcommit_ratio"), get("overcommit_kbytes"));
    put("overcommit_kbytes", 40000);
    printf("kbytes set -> %ld %ld, limit %ld\n", get("overcommit_ratio"), get("overcommit_kbytes"),
           field("CommitLimit:") - swap);
    put("overcommit_ratio", 80);
    printf("ratio set -> %ld %ld, limit %d\n", get("overcommit_ratio"), get("overcommit_kbytes"),
           field("CommitLimit:") == total / 4 * 80 / 100 * 4 + swap);
    put("overcommit_ratio", 120);
    printf("more than all -> %d\n", field("CommitLimit:") == total / 4 * 120 / 100 * 4 + swap);
    put("overcommit_ratio", 50);
    put("overcommit_memory", 3);
    put("overcommit_memory", -1);
    printf("still -> %ld\n", get("overcommit_memory"));
    printf("what is kept for users and for root -> %d %d\n",
           get("user_reserve_kbytes") <= 131072 && get("user_reserve_kbytes") > total / 40,
           get("admin_reserve_kbytes") == 8192);
}

/* With the limit a few MiB away. */
static void refused(void) {
    put("overcommit_memory", 2);
    put("overcommit_kbytes", field("Committed_AS:") - field("SwapTotal:") + 24 * 1024);
    int fd = memfd_create("m", 0);
    said("a memfd larger than that", ftruncate(fd, 64 * MiB));
    char *p = mmap(NULL, 64 * MiB, RW, MAP_SHARED, fd, 0);
    said("mapped", (long)p);
    struct sigaction action = {.sa_handler = caught};
    sigaction(SIGBUS, &action, NULL);
    volatile unsigned long done = 0;
    int signal = sigsetjmp(away, 1);
    for (; !signal && done < 64 * MiB; done += PAGE)
        p[done] = 1;
    printf("written until -> %s, %d\n", signal ? sigabbrev_np(signal) : "the end", done > 8 * MiB && done < 40 * MiB);
    said("a write more", pwrite(fd, "x", 1, 63 * MiB));
    said("fallocate more", fallocate(fd, 0, 40 * MiB, 16 * MiB));
    said("ftruncate to nothing", ftruncate(fd, 0));
    munmap(p, 64 * MiB);
    close(fd);
    said("private, 64 MiB", (long)mmap(NULL, 64 * MiB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    said("private, 64 MiB, not reserved",
         (long)mmap(NULL, 64 * MiB, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    said("private, 64 MiB, read-only", (long)mmap(NULL, 64 * MiB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    said("private of a file, 64 MiB", (long)mmap(NULL, 64 * MiB, RW, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0));
    said("shared of a file, 64 MiB",
         (long)mmap(NULL, 64 * MiB, PROT_READ, MAP_SHARED, open("/proc/self/exe", O_RDONLY), 0));
    said("the heap, 64 MiB", (long)sbrk(64 * MiB));
    said("private, 4 MiB", (long)mmap(NULL, 4 * MiB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    put("overcommit_memory", 1);
    said("mode 1, 1 TiB", (long)mmap(NULL, MiB << 20, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    put("overcommit_memory", 0);
    put("overcommit_ratio", 50);
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    void (*const parts[])(void) = {memory_files, shared, private, knobs, refused};
    for (unsigned i = 0; i < 5; i++) {
        parts[i]();
        fflush(stdout);
    }
    return 0;
}
