/* least.h - what the programs that measure single operations share: the clock, memory, and the least of some repeats.
 */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096UL
#define MIB (1UL << 20)
#define REPEATS 5

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static const char *only;

static int wanted(const char *name) { return !only || strstr(name, only); }

static void report(const char *name, double least) { printf("%-34s %10.0f\n", name, least); }

static void die(const char *what) {
    perror(what);
    exit(1);
}

static char *map(size_t bytes, int prot, int flags, int fd) {
    char *p = mmap(NULL, bytes, prot, flags, fd, 0);
    if (p == MAP_FAILED)
        die("mmap");
    if (flags & MAP_ANONYMOUS)
        madvise(p, bytes, MADV_NOHUGEPAGE);
    return p;
}

static char *anonymous(size_t bytes) { return map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1); }

static void touch(char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += PAGE)
        p[i] = 1;
}

static volatile char sink;

static void look(const char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += PAGE)
        sink = p[i];
}

#define LEAST(name, setup, work, divisor, teardown)                                                                    \
    do {                                                                                                               \
        if (!wanted(name))                                                                                             \
            break;                                                                                                     \
        double least = 1e18;                                                                                           \
        for (int r_ = 0; r_ < REPEATS; r_++) {                                                                         \
            setup;                                                                                                     \
            double t_ = now();                                                                                         \
            work;                                                                                                      \
            t_ = (now() - t_) / (divisor);                                                                             \
            if (t_ < least)                                                                                            \
                least = t_;                                                                                            \
            teardown;                                                                                                  \
        }                                                                                                              \
        report(name, least);                                                                                           \
    } while (0)
