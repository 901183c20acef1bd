/* mem_advise.c - every advice of madvise on every kind of mapping: the answer, and what is there afterwards. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 4
#define RW (PROT_READ | PROT_WRITE)

static const struct {
    const char *name;
    int number;
} advices[] = {
    {"NORMAL", 0},
    {"RANDOM", 1},
    {"SEQUENTIAL", 2},
    {"WILLNEED", 3},
    {"DONTNEED", 4},
    {"FREE", 8},
    {"REMOVE", 9},
    {"DONTFORK", 10},
    {"DOFORK", 11},
    {"MERGEABLE", 12},
    {"UNMERGEABLE", 13},
    {"HUGEPAGE", 14},
    {"NOHUGEPAGE", 15},
    {"DONTDUMP", 16},
    {"DODUMP", 17},
    {"WIPEONFORK", 18},
    {"KEEPONFORK", 19},
    {"COLD", 20},
    {"PAGEOUT", 21},
    {"POPULATE_READ", 22},
    {"POPULATE_WRITE", 23},
    {"DONTNEED_LOCKED", 24},
    {"COLLAPSE", 25},
    {"7", 7},
    {"26", 26},
    {"-1", -1},
};

enum kind {
    ANON,
    ANON_READ,
    ANON_NONE,
    ANON_LOCKED,
    ANON_SHARED,
    FILE_PRIVATE,
    FILE_SHARED,
    FILE_SHARED_READ,
    FILE_READ,
    KINDS
};
static const char *const kinds[] = {"anonymous",   "read-only",        "inaccessible",
                                    "locked",      "shared memory",    "private file",
                                    "shared file", "shared read-only", "a file opened to read"};

static int fd, read_fd;

static char *make(enum kind kind) {
    char content[PAGE];
    memset(content, 5, sizeof(content));
    for (int i = 0; i < PAGES; i++)
        pwrite(fd, content, PAGE, i * PAGE);
    int prot = kind == ANON_NONE                                                    ? PROT_NONE
               : kind == ANON_READ || kind == FILE_SHARED_READ || kind == FILE_READ ? PROT_READ
                                                                                    : RW;
    int shared = kind == ANON_SHARED || kind == FILE_SHARED || kind == FILE_SHARED_READ || kind == FILE_READ;
    int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (kind < FILE_PRIVATE ? MAP_ANONYMOUS : 0);
    int file = kind < FILE_PRIVATE ? -1 : kind == FILE_READ ? read_fd : fd;
    char *p = mmap(NULL, PAGES * PAGE, prot | (kind < FILE_PRIVATE ? RW : 0), flags, file, 0);
    if (prot & PROT_WRITE || kind < FILE_PRIVATE)
        for (int i = 0; i < PAGES; i++)
            p[i * PAGE] = 7;
    mprotect(p, PAGES * PAGE, prot);
    if (kind == ANON_LOCKED)
        mlock(p, PAGES * PAGE);
    return p;
}

static void answer(long result) { printf(" %s", result == -1 ? strerrorname_np(errno) : "ok"); }

/* Flags in smaps that the advice set. */
static void flags(char *p) {
    static const char *const known[] = {"sr", "rr", "dc", "dd", "wf", "mg", "hg", "nh", "lo"};
    char line[512];
    unsigned long start, end, at = 0;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            at = start <= (unsigned long)p && (unsigned long)p < end;
        else if (at && !strncmp(line, "VmFlags:", 8))
            for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
                if (strstr(line, known[i]))
                    printf(" %s", known[i]);
    }
    if (f)
        fclose(f);
}

static void matrix(void) {
    for (unsigned a = 0; a < sizeof(advices) / sizeof(*advices); a++)
        for (enum kind kind = 0; kind < KINDS; kind++) {
            char *p = make(kind), copy[PAGES] = {0};
            printf("%s, %s ->", advices[a].name, kinds[kind]);
            answer(madvise(p + PAGE, 2 * PAGE, advices[a].number));
            flags(p + PAGE);
            mprotect(p, PAGES * PAGE, PROT_READ);
            if (advices[a].number != MADV_FREE)
                for (int i = 0; i < PAGES; i++)
                    copy[i] = p[i * PAGE];
            printf(" | %d %d %d %d", copy[0], copy[1], copy[2], copy[3]);
            if (kind >= FILE_PRIVATE) {
                char byte = 0;
                pread(fd, &byte, 1, PAGE);
                printf(" file %d", byte);
            }
            printf("\n");
            munmap(p, PAGES * PAGE);
        }
}

/* Over a hole; from a hole; past the end of the address space. Which parts were done is seen by DONTNEED and flags. */
static void holes(void) {
    for (unsigned a = 0; a < sizeof(advices) / sizeof(*advices) - 3; a++) {
        char *p = make(ANON);
        int is_collapse = advices[a].number == 25;
        munmap(p + PAGE, PAGE);
        printf("%s over a hole ->", advices[a].name);
        answer(madvise(p, PAGES * PAGE, advices[a].number));
        flags(p);
        printf(" |");
        flags(p + 2 * PAGE);
        if (advices[a].number != MADV_FREE)
            printf(" | %d %d", p[0], p[2 * PAGE]);
        printf("\n%s in a hole ->", advices[a].name);
        answer(madvise(p + PAGE, PAGE, advices[a].number));
        printf("\n%s of nothing ->", advices[a].name);
        answer(is_collapse ? 0 : madvise(p + PAGE, 0, advices[a].number));
        answer(madvise(p + 1, PAGE, advices[a].number));
        answer(madvise(p, -1ul, advices[a].number));
        answer(madvise((void *)(1ul << 63), PAGE, advices[a].number));
        printf("\n");
        munmap(p, PAGES * PAGE);
    }
}

static void resident(const char *what, char *p) {
    unsigned char in[PAGES] = {0};
    printf("%s ->", what);
    if (mincore(p, PAGES * PAGE, in))
        answer(-1);
    else
        for (int i = 0; i < PAGES; i++)
            printf(" %d", in[i] & 1);
    printf("\n");
}

static void populate(void) {
    char *p = mmap(NULL, PAGES * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    resident("nothing populated", p);
    printf("POPULATE_READ ->");
    answer(madvise(p, PAGE, 22));
    printf("\nPOPULATE_WRITE ->");
    answer(madvise(p + 2 * PAGE, PAGE, 23));
    printf("\n");
    resident("first and third", p);
    munmap(p, PAGES * PAGE);
    p = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    ftruncate(fd, 2 * PAGE);
    printf("POPULATE_READ past the end of a file ->");
    answer(madvise(p, PAGES * PAGE, 22));
    printf("\nPOPULATE_WRITE of read-only, then a hole ->");
    munmap(p + PAGE, PAGE);
    answer(madvise(p, 2 * PAGE, 23));
    printf("\nPOPULATE_READ, then a hole ->");
    answer(madvise(p, 2 * PAGE, 22));
    printf("\n");
    munmap(p, PAGES * PAGE);
    ftruncate(fd, PAGES * PAGE);
}

static long advise_remote(int pidfd, const struct iovec *v, size_t count, int advice, unsigned flags_) {
    return syscall(SYS_process_madvise, pidfd, v, count, advice, flags_);
}

static void remote(void) {
    char *p = make(ANON);
    int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec v[3] = {{p, PAGE}, {p + 2 * PAGE, PAGE}, {p + PAGE, PAGE}};
    printf("pidfd_open bad flags -> ");
    answer(syscall(SYS_pidfd_open, getpid(), 1));
    printf("\npidfd_open of nobody ->");
    answer(syscall(SYS_pidfd_open, 0, 0));
    answer(syscall(SYS_pidfd_open, -1, 0));
    answer(syscall(SYS_pidfd_open, 4000000, 0));
    printf("\nprocess_madvise, bad flags ->");
    answer(advise_remote(pidfd, v, 3, MADV_COLD, 1));
    printf("\nbad descriptor ->");
    answer(advise_remote(999, v, 3, MADV_COLD, 0));
    answer(advise_remote(fd, v, 3, MADV_COLD, 0));
    printf("\nbad vectors ->");
    answer(advise_remote(pidfd, NULL, 3, MADV_COLD, 0));
    answer(advise_remote(pidfd, v, 1025, MADV_COLD, 0));
    for (unsigned a = 0; a < sizeof(advices) / sizeof(*advices); a++) {
        if (advices[a].number == 25)
            continue;
        printf("\nprocess_madvise %s ->", advices[a].name);
        long n = advise_remote(pidfd, v, 3, advices[a].number, 0);
        n < 0 ? answer(n) : (void)printf(" %ld", n);
    }
    printf("\nprocess_madvise COLD of no vector -> %ld", advise_remote(pidfd, v, 0, MADV_COLD, 0));
    munmap(p + 2 * PAGE, PAGE);
    printf("\nthen a hole -> %ld", advise_remote(pidfd, v, 3, MADV_COLD, 0));
    printf("\nonly a hole ->");
    answer(advise_remote(pidfd, v + 1, 1, MADV_COLD, 0));
    printf("\n");
    fflush(stdout);
    if (!fork()) {
        if (setgroups(0, NULL) || setgid(1000) || setuid(1000))
            _exit(1);
        printf("without the right to look ->");
        answer(advise_remote(pidfd, v, 1, MADV_COLD, 0));
        int own = syscall(SYS_pidfd_open, getpid(), 0);
        printf("\nwithout CAP_SYS_NICE, myself ->");
        answer(advise_remote(own, v, 1, MADV_COLD, 0));
        printf("\nHWPOISON as nobody ->");
        answer(madvise(p, PAGE, 100));
        answer(madvise(p, PAGE, 101));
        printf("\n");
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    int pid = fork();
    if (!pid)
        _exit(0);
    int dead = syscall(SYS_pidfd_open, pid, 0);
    siginfo_t info;
    waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
    printf("process_madvise of a zombie ->");
    answer(advise_remote(dead, v, 1, MADV_COLD, 0));
    waitpid(pid, NULL, 0);
    printf("\nof one that is gone ->");
    answer(advise_remote(dead, v, 1, MADV_COLD, 0));
    printf("\nprocess_mrelease of it ->");
    answer(syscall(SYS_process_mrelease, dead, 0));
    printf("\nprocess_mrelease, bad flags ->");
    answer(syscall(SYS_process_mrelease, dead, 1));
    printf("\nprocess_mrelease of the living ->");
    answer(syscall(SYS_process_mrelease, pidfd, 0));
    printf("\nHWPOISON of a hole ->");
    answer(madvise(p + 2 * PAGE, PAGE, 100));
    answer(madvise(p + 2 * PAGE, PAGE, 101));
    printf("\n");
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    fd = memfd_create("advice", 0);
    ftruncate(fd, PAGES * PAGE);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    read_fd = open(path, O_RDONLY);
    matrix();
    holes();
    populate();
    remote();
    return 0;
}
