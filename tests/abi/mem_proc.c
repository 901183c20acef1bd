/* mem_proc.c - what /proc says of memory, against what the program knows that it did: smaps, status, statm, pagemap,
 * clear_refs, kpagecount, kpageflags, meminfo. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "value.h"

#define PAGE 4096ul
#define MiB (1ul << 20)
#define RW (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static const char *const fields[] = {"Size",         "Rss",           "Pss",           "Pss_Dirty",  "Shared_Clean",
                                     "Shared_Dirty", "Private_Clean", "Private_Dirty", "Referenced", "Anonymous",
                                     "LazyFree",     "AnonHugePages", "Swap",          "Locked"};

/* The figures of the mapping at p, those that are not 0, in kB. */
static void smaps(const char *what, char *p) {
    char line[512];
    unsigned long start, end, at = 0;
    printf("%s ->", what);
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            at = start <= (unsigned long)p && (unsigned long)p < end;
            continue;
        }
        for (unsigned i = 0; at && i < sizeof(fields) / sizeof(*fields); i++) {
            size_t n = strlen(fields[i]);
            if (!strncmp(line, fields[i], n) && line[n] == ':' && atol(line + n + 1))
                printf(" %s %ld", fields[i], atol(line + n + 1));
        }
        if (at && !strncmp(line, "VmFlags:", 8))
            printf(" | %s", line + 9);
    }
    if (f)
        fclose(f);
}

static unsigned long word(const char *path, unsigned long index) {
    unsigned long value = 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || pread(fd, &value, 8, (off_t)(index * 8)) != 8)
        value = -1ul;
    close(fd);
    return value;
}

/* present, file, exclusive; how often its frame is mapped; what the frame is */
static void pagemap(const char *what, char *p) {
    unsigned long w = word("/proc/self/pagemap", (unsigned long)p / PAGE), frame = w & ((1ul << 55) - 1);
    printf("%s -> present %lu swapped %lu file %lu exclusive %lu", what, w >> 63, w >> 62 & 1, w >> 61 & 1,
           w >> 56 & 1);
    if (w >> 63) {
        unsigned long flags = word("/proc/kpageflags", frame);
        static const struct {
            int bit;
            const char *name;
        } known[] = {{11, "mmap"},  {12, "anon"}, {14, "swapbacked"}, {24, "zero"},
                     {10, "buddy"}, {7, "slab"},  {26, "table"}};
        printf(" mapped %lu", word("/proc/kpagecount", frame));
        for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
            if (flags >> known[i].bit & 1)
                printf(" %s", known[i].name);
    }
    printf("\n");
}

static void clear_refs(const char *what, const char *text) {
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    long n = write(fd, text, strlen(text));
    printf("clear_refs %s -> %s\n", what, n < 0 ? strerrorname_np(errno) : "ok");
    close(fd);
}

/* Not those of residence: 6.1 keeps a part of them with each thread for a while. */
static const char *const status_fields[] = {"VmSize:", "VmLck:", "VmData:", "VmStk:"};
static long status_now[4];
static void status(const char *what) {
    if (what)
        printf("%s ->", what);
    for (int i = 0; i < 4; i++) {
        long v = value_of("/proc/self/status", status_fields[i]), change = v - status_now[i];
        if (what && change && labs(change) < 1 << 20)
            printf(" %s%+ld", status_fields[i], change);
        status_now[i] = v;
    }
    if (what)
        printf("\n");
}

static int fd;

/* Where 2 MiB begin: no area that is looked at lies under two page tables. */
static char *room(void) {
    char *p = mmap(NULL, 4 * MiB, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);
    munmap(p, 4 * MiB);
    return (char *)(((unsigned long)p + 2 * MiB - 1) & -(2 * MiB));
}

static void own(void) {
    status(NULL);
    char *base = room(), *p = mmap(base, 64 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    status("mapped 64 pages");
    memset(p, 1, 16 * PAGE);
    for (int i = 16; i < 24; i++)
        (void)*(volatile char *)(p + i * PAGE);
    status("16 written, 8 read");
    smaps("anonymous, 16 of 64 written, 8 read", p);
    pagemap("a written page", p);
    pagemap("a read page", p + 16 * PAGE);
    pagemap("an untouched page", p + 30 * PAGE);
    mlock(p, 32 * PAGE);
    status("32 locked");
    smaps("locked", p);
    munlock(p, 32 * PAGE);
    madvise(p, 8 * PAGE, MADV_DONTNEED);
    status("8 emptied");
    mprotect(p + 32 * PAGE, 16 * PAGE, PROT_NONE);
    status("16 inaccessible");
    smaps("inaccessible", p + 32 * PAGE);
    munmap(p, 64 * PAGE);
    status("all unmapped");
    char *f = mmap(base, 16 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, 0);
    char *s = mmap(base + 64 * PAGE, 16 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
    madvise(f, 16 * PAGE, MADV_RANDOM); /* no page but those touched */
    madvise(s, 16 * PAGE, MADV_RANDOM);
    (void)*(volatile char *)f;
    f[PAGE] = 1;
    s[0] = 1;
    s[2 * PAGE] = 1;
    status("a file in memory: private and shared");
    smaps("private file, one read, one written", f);
    smaps("shared file, two written", s);
    pagemap("private, read", f);
    pagemap("private, written", f + PAGE);
    pagemap("shared, only here", s + 2 * PAGE);
    char *z = mmap(NULL, 8 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(z, 1, 4 * PAGE);
    smaps("shared anonymous, 4 of 8 written", z);
    status("with shared anonymous memory");
    munmap(f, 16 * PAGE);
    munmap(s, 16 * PAGE);
    munmap(z, 8 * PAGE);
    status("all unmapped");
}

static void families(void) {
    int to[2], from[2];
    char c = 0, *p = mmap(room(), 16 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    memset(p, 1, 12 * PAGE);
    pipe(to), pipe(from);
    smaps("before fork", p);
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        memset(p, 2, 2 * PAGE);
        write(from[1], &c, 1);
        read(to[0], &c, 1);
        _exit(0);
    }
    read(from[0], &c, 1);
    smaps("after fork, the child wrote 2", p);
    pagemap("a page the child wrote", p);
    pagemap("a page that both have", p + 4 * PAGE);
    memset(p + 2 * PAGE, 3, 2 * PAGE);
    smaps("the parent wrote 2 others", p);
    pagemap("a page the parent wrote", p + 2 * PAGE);
    write(to[1], &c, 1);
    waitpid(pid, NULL, 0);
    smaps("after the child's end", p);
    munmap(p, 16 * PAGE);
}

static void references(void) {
    char *p = mmap(room(), 16 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    memset(p, 1, 8 * PAGE);
    clear_refs("1", "1");
    smaps("nothing referenced", p);
    /* what is touched now may be known only later: nothing has to forget that it may be used without being seen */
    clear_refs("2", "2");
    smaps("anonymous cleared", p);
    clear_refs("3", "3");
    smaps("only files cleared", p);
    clear_refs("0", "0");
    clear_refs("6", "6");
    clear_refs("a word", "x");
    clear_refs("5", "5\n");
    unsigned long peak = value_of("/proc/self/status", "VmHWM:");
    char *big = mmap(NULL, 16 * MiB, RW, ANONYMOUS, -1, 0);
    memset(big, 1, 16 * MiB);
    munmap(big, 16 * MiB);
    unsigned long then = value_of("/proc/self/status", "VmHWM:");
    clear_refs("5 again", "5");
    unsigned long now = value_of("/proc/self/status", "VmHWM:");
    printf("the peak -> rose %d, fell %d\n", then - peak > 15 * 1024 && then - peak < 17 * 1024, now < peak + 1024);
    munmap(p, 16 * PAGE);
}

static const char *const totals[] = {
    "MemFree:", "AnonPages:", "Mapped:", "Shmem:", "Mlocked:", "Unevictable:", "Cached:", "PageTables:"};
static long totals_now[8];

/* Changes by about 16 MiB, so that what others do and what waits on another CPU does not count. */
static void machine(const char *what) {
    if (what)
        printf("%s ->", what);
    for (int i = 0; i < 8; i++) {
        long v = value_of("/proc/meminfo", totals[i]),
             change = (v - totals_now[i] + (v > totals_now[i] ? 2048 : -2048)) / 16384;
        if (what && change)
            printf(" %s%+ld", totals[i], change * 16);
        totals_now[i] = v;
    }
    if (what)
        printf("\n");
}

static void meminfo(void) {
    machine(NULL);
    char *p = mmap(NULL, 32 * MiB, RW, ANONYMOUS, -1, 0);
    madvise(p, 32 * MiB, MADV_NOHUGEPAGE);
    memset(p, 1, 32 * MiB);
    machine("32 MiB written");
    mlock(p, 16 * MiB);
    machine("half of it locked");
    munlock(p, 16 * MiB);
    machine("unlocked");
    munmap(p, 32 * MiB);
    machine("unmapped");
    p = mmap(NULL, 32 * MiB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, 32 * MiB);
    machine("32 MiB of shared memory");
    mprotect(p, 32 * MiB, PROT_NONE);
    machine("inaccessible");
    munmap(p, 32 * MiB);
    machine("unmapped");
    int file = memfd_create("info", 0);
    ftruncate(file, 32 * MiB);
    p = mmap(NULL, 32 * MiB, RW, MAP_SHARED, file, 0);
    memset(p, 1, 32 * MiB);
    machine("32 MiB of a file in memory");
    munmap(p, 32 * MiB);
    machine("not mapped any more");
    close(file);
    machine("closed");
}

/* Of addresses that no program has. */
static void beyond(void) {
    unsigned long w;
    int f = open("/proc/self/pagemap", O_RDONLY);
    printf("pagemap past the last address -> %zd\n", pread(f, &w, 8, (off_t)(0x7ffffffff000 / PAGE * 8)));
    printf("pagemap 2^64 bytes further -> %zd\n", pread(f, &w, 8, (off_t)1 << 55));
    close(f);
}

/* What moves is not there twice. */
static void peak(void) {
    unsigned long n = 256 * MiB;
    char *p = mmap(NULL, n, PROT_READ, ANONYMOUS, -1, 0);
    long before = value_of("/proc/self/status", "VmPeak:");
    printf("256 MiB moved -> %d", mremap(p, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, p - 2 * n) == p - 2 * n);
    printf(", VmPeak %+ld\n", value_of("/proc/self/status", "VmPeak:") - before);
    munmap(p - 2 * n, n);
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    fd = memfd_create("proc", 0);
    char page[PAGE];
    memset(page, 1, PAGE);
    for (int i = 0; i < 16; i++)
        write(fd, page, PAGE);
    own();
    families();
    references();
    meminfo();
    beyond();
    peak();
    return 0;
}
