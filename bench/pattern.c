/* pattern.c - uses the pages of a mapping in one of the orders in which replacement policies differ, and says what that
 * cost: pages in and out, major faults, seconds. The same program runs on both kernels.
 *
 *   pattern [--area DEVICE [PRIORITY]] NAME ROOM USES
 *   pattern --trace FILE NAME ROOM USES        on any Linux: the uses themselves, for `quire sim`
 *
 *   pattern [--area DEVICE [PRIORITY]] faults 0 N      N single faults on pages that were swapped out by MADV_PAGEOUT:
 * the least and the median, in ns
 *
 * ROOM: how many pages the patterns take memory to be. First every page is written once, in order; that is not counted.
 * Every use reads the page's first word, which must be right; every fourth writes a new one. Half of a page cannot be
 * compressed. */
#define _GNU_SOURCE
#include "../kernel/lib/trace.h"
#include <err.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define WORDS (PAGE / sizeof(uint64_t))

static uint64_t room, uses, random_state = 88172645463325252;

static uint64_t random_next(void) { /* xorshift: Marsaglia 2003 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}
static uint64_t below(uint64_t n) { return random_next() % n; }

/* ---- the patterns: the page of the nth use ---- */

static uint64_t loop(uint64_t n) { return n % (room * 105 / 100); }
static uint64_t long_loop(uint64_t n) { return n % (room * 125 / 100); }
static uint64_t uniform(uint64_t n) { return below(room * 3 / 2); }

/* Rank r is used as often as 1 / (r + 1)^0.9 says, by the integral of that; ranks are scattered over the mapping. */
static uint64_t zipf(uint64_t n) {
    double pages = 2.0 * room, all = pow(pages + 1, 0.1) - 1, at = below(1ull << 53) / 9007199254740992.0;
    uint64_t rank = (uint64_t)(pow(at * all + 1, 10) - 1);
    return rank * 2654435761u % (2 * room);
}

/* Every other use is of a hot quarter of memory, the rest passes over twice memory. */
static uint64_t scan(uint64_t n) { return n % 2 ? below(room / 4) : room / 4 + n / 2 % (2 * room); }

/* A window moves on by a page in so many uses. */
static uint64_t moving(uint64_t n) { return n / 10 % (room / 3) + below(room * 8 / 10); }
static uint64_t large_moving(uint64_t n) { return n / 20 % (room / 5) + below(room * 12 / 10); }

static const struct pattern {
    const char *name;
    uint64_t (*page)(uint64_t n);
    double rooms; /* how large the mapping is, in ROOM */
} patterns[] = {
    {"loop", loop, 1.05},
    {"long-loop", long_loop, 1.25},
    {"uniform", uniform, 1.5},
    {"zipf", zipf, 2},
    {"scan", scan, 2.25},
    {"moving", moving, 1.14},
    {"large-moving", large_moving, 1.41},
};

/* ---- what it costs ---- */

struct cost {
    double seconds;
    long in, out, major;
};

static long number_in(const char *path, const char *name) {
    char line[200], known[100];
    long value, found = -1;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%99s %ld", known, &value) == 2 && !strcmp(known, name))
            found = value;
    if (file)
        fclose(file);
    return found;
}

static struct cost cost_now(void) {
    const char *vmstat = "/proc/vmstat";
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct cost){t.tv_sec + t.tv_nsec / 1e9, number_in(vmstat, "pswpin"), number_in(vmstat, "pswpout"),
                         number_in(vmstat, "pgmajfault")};
}

/* ---- the run ---- */

static void make_area(const char *device, const char *priority) {
    static char header[PAGE];
    int flags = priority ? SWAP_FLAG_PREFER | (atoi(priority) & SWAP_FLAG_PRIO_MASK) : 0;
    FILE *file = fopen(device, "r+");
    uint32_t *words = (uint32_t *)(header + 1024);
    if (!file || fseek(file, 0, SEEK_END))
        err(1, "%s", device);
    words[0] = 1; /* version; then the last page */
    words[1] = (uint32_t)(ftell(file) / PAGE - 1);
    memcpy(header + PAGE - 10, "SWAPSPACE2", 10);
    rewind(file);
    if (fwrite(header, PAGE, 1, file) != 1 || fclose(file) || swapon(device, flags))
        err(1, "%s", device);
}

static void trace(const struct pattern *p, const char *to) {
    const uint64_t magic = TRACE_MAGIC;
    FILE *file = fopen(to, "w");
    if (!file || fwrite(&magic, sizeof magic, 1, file) != 1)
        err(1, "%s", to);
    uint64_t pages = (uint64_t)(p->rooms * room) + 1;
    for (uint64_t n = 0; n < pages + uses; n++) {
        uint64_t word = trace_word(TRACE_USE, 0, (uint32_t)(n < pages ? n : p->page(n - pages)));
        if (fwrite(&word, sizeof word, 1, file) != 1)
            err(1, "%s", to);
    }
    if (fclose(file))
        err(1, "%s", to);
}

static void measure(const struct pattern *p) {
    uint64_t pages = (uint64_t)(p->rooms * room) + 1;
    uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, pages * PAGE, MADV_NOHUGEPAGE))
        err(1, "mmap");
    printf("available %ld\n", number_in("/proc/meminfo", "MemAvailable:") / 4);
    uint64_t kept = random_state;
    for (uint64_t i = 0; i < pages; i++)
        for (uint64_t w = 0; w < WORDS / 2; w++)
            memory[i * WORDS + w] = w ? random_next() : i;
    random_state = kept; /* so that the uses are those of the trace */
    printf("begin 0\n");
    fflush(stdout);
    struct cost before = cost_now();
    for (uint64_t n = 0; n < uses; n++) {
        uint64_t page = p->page(n), *word = memory + page * WORDS;
        if ((*word & 0xffffffff) != page)
            errx(1, "page %lu has 0x%lx", page, *word);
        if (n % 4 == 0)
            *word = page | n << 32;
    }
    struct cost after = cost_now();
    printf("in %ld\nout %ld\nmajor %ld\nms %ld\n", after.in - before.in, after.out - before.out,
           after.major - before.major, (long)((after.seconds - before.seconds) * 1000));
    fflush(stdout);
}

static int by_size(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return x < y ? -1 : x > y;
}

/* Every second page only, so that nothing is read ahead. */
static void faults(void) {
    size_t bytes = 2 * uses * PAGE;
    long *took = calloc(uses, sizeof *took);
    uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || !took || madvise(memory, bytes, MADV_NOHUGEPAGE))
        err(1, "mmap");
    for (uint64_t i = 0; i < uses; i++)
        for (uint64_t w = 0; w < WORDS / 2; w++)
            memory[2 * i * WORDS + w] = w ? random_next() : i;
    printf("begin 0\n");
    fflush(stdout);
    struct cost before = cost_now();
    if (madvise(memory, bytes, MADV_PAGEOUT))
        err(1, "MADV_PAGEOUT");
    for (uint64_t i = 0; i < uses; i++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        uint64_t word = *(volatile uint64_t *)(memory + 2 * i * WORDS);
        clock_gettime(CLOCK_MONOTONIC, &to);
        if (word != i)
            errx(1, "page %lu has 0x%lx", i, word);
        took[i] = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
    }
    struct cost after = cost_now();
    qsort(took, uses, sizeof *took, by_size);
    printf("least_ns %ld\nmedian_ns %ld\nmajor %ld\nms 0\n", took[0], took[uses / 2], after.major - before.major);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *to = NULL;
    argv++;
    if (argc > 2 && !strcmp(*argv, "--trace")) {
        to = argv[1];
        argv += 2;
    }
    while (*argv && !strcmp(*argv, "--area")) {
        bool has_priority = argv[2] && argv[2][0] >= '0' && argv[2][0] <= '9';
        make_area(argv[1], has_priority ? argv[2] : NULL);
        argv += has_priority ? 3 : 2;
    }
    if (!argv[0] || !argv[1] || !argv[2])
        errx(1, "which pattern, ROOM, USES?");
    room = strtoull(argv[1], NULL, 0);
    uses = strtoull(argv[2], NULL, 0);
    if (!strcmp(argv[0], "faults")) {
        faults();
        return 0;
    }
    for (unsigned i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (strcmp(patterns[i].name, argv[0]))
            continue;
        if (to)
            trace(&patterns[i], to);
        else
            measure(&patterns[i]);
        return 0;
    }
    errx(1, "%s: no pattern of mine", argv[0]);
}
