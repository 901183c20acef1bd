/* bug_22_swap.c - swap slots: processes with the same addresses and different bytes need twice the memory there is
 * (22); forks, exits, munmap, mremap and MADV_FREE of what is swapped out, again and again: the free slots come back to
 * what they were, exactly (23). Run with -m 64M -s 256M. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 7000 /* of each process: four of them need 112 MiB */
#define CYCLES 150
static unsigned *area;

/* Free, or kept for a page that came back and was not written since. */
static unsigned long swap_free_kb(void) {
    char line[128];
    unsigned long kb = 0, cached = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (fgets(line, sizeof(line), f))
        if (!sscanf(line, "SwapFree: %lu kB", &kb))
            sscanf(line, "SwapCached: %lu kB", &cached);
    fclose(f);
    return kb + cached;
}

static unsigned word(unsigned who, unsigned page) { return who * 0x9e3779b9 + page * 2654435761u; }

static int same_address(unsigned who) {
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < PAGES; i++)
            area[i * (PAGE / 4)] = area[i * (PAGE / 4) + 1000] = word(who + turn, i);
        for (unsigned i = 0; i < PAGES; i++)
            if (area[i * (PAGE / 4)] != word(who + turn, i) || area[i * (PAGE / 4) + 1000] != word(who + turn, i))
                return 1;
    }
    return 0;
}

static void many(void) {
    for (unsigned who = 1; who <= 4; who++)
        if (fork() == 0)
            _exit(same_address(who * 16));
    int status, bad = 0;
    while (wait(&status) > 0)
        bad += status != 0;
    if (bad)
        printf("%d of 4 processes found another's bytes\n", bad), exit(1);
}

static void cycle(unsigned n) {
    size_t bytes = 200 * PAGE;
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < 200; i++)
        p[i * PAGE] = (char)(i + n);
    madvise(p, bytes, MADV_PAGEOUT);
    pid_t pid = fork();
    if (pid == 0) {
        p[5 * PAGE] = 1;
        madvise(p, bytes, MADV_PAGEOUT);
        munmap(p + 20 * PAGE, 30 * PAGE);
        _exit(p[7 * PAGE] != (char)(7 + n));
    }
    madvise(p + 60 * PAGE, 20 * PAGE, n % 2 ? MADV_FREE : MADV_DONTNEED);
    char *q = mremap(p, bytes, 2 * bytes, MREMAP_MAYMOVE);
    int status;
    if (waitpid(pid, &status, 0) != pid || status || q[100 * PAGE] != (char)(100 + n))
        printf("cycle %u: bytes are lost\n", n), exit(1);
    munmap(q, 2 * bytes);
}

int main(void) {
    unsigned long before = swap_free_kb();
    area = mmap((void *)0x100000000000, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1, 0);
    many();
    for (unsigned n = 0; n < CYCLES; n++)
        cycle(n);
    munmap(area, PAGES * PAGE);
    /* what was pushed out of this process itself meanwhile, and of nobody else, may still be there */
    unsigned long own = 0; /* read first: what comes back after that only makes more free */
    char line[128];
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof(line), f))
        sscanf(line, "VmSwap: %lu kB", &own);
    fclose(f);
    unsigned long after = swap_free_kb();
    if (!before || after + own < before)
        printf("swap: %lu kB were free, %lu are, and %lu are ours\n", before, after, own), exit(1);
    printf("swap is as it was: %d\n", before > 0);
    return 0;
}
