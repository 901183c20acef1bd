/* mem_lock.c - mlock and its kin: limits, rights, what is locked and resident afterwards, what fork and exec keep. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "value.h"

#define PAGE 4096ul
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static void said(const char *what, long result) {
    printf("%s -> %s\n", what, result == -1 ? strerrorname_np(errno) : "ok");
}

static void locked(const char *what) { printf("%s -> VmLck %ld kB\n", what, value_of("/proc/self/status", "VmLck:")); }

/* The lock flag of a page's mapping, and which of its pages are resident. */
static void state(const char *what, char *p, int pages) {
    unsigned char in[64];
    char line[256];
    unsigned long at = 0, start, end;
    int found = 0;
    printf("%s ->", what);
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            at = start <= (unsigned long)p && (unsigned long)p < end;
        else if (at && !strncmp(line, "VmFlags:", 8))
            found = strstr(line, " lo") ? 2 : 1;
    }
    if (f)
        fclose(f);
    printf(found == 2 ? " locked" : found ? " not locked" : " not mapped");
    if (mincore(p, pages * PAGE, in))
        printf(" %s", strerrorname_np(errno));
    else
        for (int i = 0; i < pages; i++)
            printf(" %d", in[i] & 1);
    printf("\n");
}

static char *map(int pages, int prot, int flags) { return mmap(NULL, pages * PAGE, prot, ANONYMOUS | flags, -1, 0); }

static void ranges(void) {
    char *p = map(8, PROT_READ | PROT_WRITE, 0);
    locked("at first");
    said("mlock from inside a page", mlock(p + PAGE + 10, PAGE));
    state("two pages of it", p + PAGE, 2);
    locked("two pages");
    said("mlock again, overlapping", mlock(p, 3 * PAGE));
    locked("three pages");
    said("munlock the middle", munlock(p + PAGE, PAGE));
    locked("two again");
    state("the middle stays in memory", p + PAGE, 1);
    said("mlock nothing", mlock(p, 0));
    said("mlock wrapping", mlock(p, -PAGE));
    said("mlock the kernel's", mlock((void *)(1ul << 63), PAGE));
    said("mlock2 with bad flags", mlock2(p, PAGE, 2));
    said("mlock2 on fault", mlock2(p + 4 * PAGE, 2 * PAGE, MLOCK_ONFAULT));
    state("not filled", p + 4 * PAGE, 2);
    p[4 * PAGE] = 1;
    state("the touched one is", p + 4 * PAGE, 2);
    locked("counts whole");
    said("mlock2 without flags fills", mlock2(p + 4 * PAGE, 2 * PAGE, 0));
    state("filled", p + 4 * PAGE, 2);
    said("munlock all", munlock(p, 8 * PAGE));
    locked("none");
    munmap(p + 3 * PAGE, PAGE);
    said("mlock over a hole", mlock(p, 8 * PAGE));
    state("before the hole", p, 1);
    state("behind the hole", p + 4 * PAGE, 1);
    said("munlock over a hole", munlock(p, 8 * PAGE));
    state("before the hole", p, 1);
    munlock(p, 3 * PAGE);
    said("mlock from a hole", mlock(p + 3 * PAGE, 2 * PAGE));
    state("behind it", p + 4 * PAGE, 1);
    said("munlock from a hole", munlock(p + 3 * PAGE, 2 * PAGE));
    munmap(p, 8 * PAGE);
    char *none = map(2, PROT_NONE, 0), *ro = map(2, PROT_READ, 0);
    said("mlock what nobody may touch", mlock(none, 2 * PAGE));
    state("it", none, 2);
    mprotect(none, 2 * PAGE, PROT_READ);
    state("made readable", none, 2);
    said("mlock read-only", mlock(ro, 2 * PAGE));
    state("it", ro, 2);
    munmap(none, 2 * PAGE);
    munmap(ro, 2 * PAGE);
    char *l = map(3, PROT_READ | PROT_WRITE, MAP_LOCKED);
    state("MAP_LOCKED", l, 3);
    said("MADV_DONTNEED of locked", madvise(l, PAGE, MADV_DONTNEED));
    said("MADV_DONTNEED_LOCKED", madvise(l, PAGE, 24));
    state("emptied", l, 3);
    char *grown = mremap(l, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE);
    state("grown", grown, 5);
    locked("with the growth");
    munmap(grown, 5 * PAGE);
    locked("unmapped");
    FILE *file = tmpfile();
    ftruncate(fileno(file), PAGE);
    char *f = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    said("mlock past the end of a file", mlock(f, 2 * PAGE));
    munmap(f, 2 * PAGE);
    fclose(file);
}

static void all(void) {
    said("mlockall of nothing", mlockall(0));
    said("mlockall bad flags", mlockall(8));
    said("mlockall on fault alone", mlockall(MCL_ONFAULT));
    char *p = map(2, PROT_READ | PROT_WRITE, 0);
    said("mlockall current, on fault", mlockall(MCL_CURRENT | MCL_ONFAULT));
    state("a mapping there was", p, 2);
    said("mlockall future", mlockall(MCL_FUTURE));
    state("it stays", p, 2);
    char *q = map(2, PROT_READ | PROT_WRITE, 0);
    state("a new one", q, 2);
    char *b = sbrk(2 * PAGE);
    state("the heap's growth", (char *)(((unsigned long)b + PAGE - 1) & -PAGE), 1);
    said("mlockall future, on fault", mlockall(MCL_FUTURE | MCL_ONFAULT));
    char *r = map(2, PROT_READ | PROT_WRITE, 0);
    state("one newer", r, 2);
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        locked("the child");
        state("its mapping", q, 2);
        char *s = map(1, PROT_READ | PROT_WRITE, 0);
        state("a new one of the child", s, 1);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    said("munlockall", munlockall());
    locked("none");
    state("it is not locked", q, 2);
    state("but there", q, 2);
    char *s = map(1, PROT_READ | PROT_WRITE, 0);
    state("a new one", s, 1);
    said("mlockall current", mlockall(MCL_CURRENT));
    state("an old one is filled", r, 2);
    long size = value_of("/proc/self/status", "VmSize:"), lock = value_of("/proc/self/status", "VmLck:");
    printf("all but a little is locked -> %d\n", lock > size - 64 && lock <= size);
    said("munlockall", munlockall());
}

static void limit(unsigned long bytes) {
    struct rlimit l = {bytes, bytes};
    if (setrlimit(RLIMIT_MEMLOCK, &l))
        printf("setrlimit -> %s\n", strerrorname_np(errno));
}

static void limits(void) {
    char *p = map(16, PROT_READ | PROT_WRITE, 0);
    fflush(stdout);
    if (fork()) {
        wait(NULL);
        return;
    }
    limit(8 * PAGE);
    said("root may exceed the limit", mlock(p, 16 * PAGE));
    munlock(p, 16 * PAGE);
    if (setgroups(0, NULL) || setgid(1000) || setuid(1000))
        _exit(1);
    said("more than the limit", mlock(p, 9 * PAGE));
    said("as much as the limit", mlock(p, 8 * PAGE));
    said("the same again", mlock(p, 8 * PAGE));
    said("one more", mlock(p + 8 * PAGE, PAGE));
    said("overlapping by one more", mlock(p + PAGE, 8 * PAGE));
    locked("what is locked");
    char *q = mmap(NULL, PAGE, PROT_READ, ANONYMOUS | MAP_LOCKED, -1, 0);
    said("MAP_LOCKED over the limit", q == MAP_FAILED ? -1 : 0);
    said("mremap of locked", mremap(p, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    said("mlockall of more than the limit", mlockall(MCL_CURRENT));
    said("mlockall future is possible", mlockall(MCL_FUTURE));
    q = map(1, PROT_READ, 0);
    said("then a mapping is not", q == MAP_FAILED ? -1 : 0);
    said("nor the heap", sbrk(4 * PAGE) == (void *)-1 ? -1 : 0);
    munlock(p, PAGE);
    q = map(1, PROT_READ, 0);
    said("a page that was freed is", q == MAP_FAILED ? -1 : 0);
    said("munlockall", munlockall());
    limit(0);
    said("mlock without a limit", mlock(p, PAGE));
    said("mlock nothing without a limit", mlock(p, 0));
    said("mlockall without a limit", mlockall(MCL_FUTURE));
    q = mmap(NULL, PAGE, PROT_READ, ANONYMOUS | MAP_LOCKED, -1, 0);
    said("MAP_LOCKED without a limit", q == MAP_FAILED ? -1 : 0);
    said("munlock without a limit", munlock(p, PAGE));
    fflush(stdout);
    _exit(0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    ranges();
    limits();
    all();
    return 0;
}
