/* explore.h - scenarios whose every interleaving is run. */
#pragma once

#include "host.h"

#define EXPLORE_THREADS 4
#define EXPLORE_SPACES 8

/* A scenario: set-up, then 2 to 4 threads, each on a CPU of its own (thread i on CPU i, with `space` loaded), then what
 * must hold. The set-up runs once; every interleaving starts from the memory it left. Spaces stand in spaces[]; those
 * of the end are torn down, and nothing may be left. */
struct scenario {
    const char *name;
    const char *pair; /* the row of docs/locks.md */
    void (*setup)(void);
    struct {
        const char *name;
        void (*body)(void *argument);
        int space; /* -1: none */
    } thread[EXPLORE_THREADS];
    void (*after)(void);
    u64 bytes;      /* of memory; 0: 2 MiB */
    u64 swap;       /* pages of a swap area */
    u64 zswap;      /* frames of a compressed tier above it */
    bool no_device; /* nothing is below it */
    unsigned share; /* not 0: one so many-th of the interleavings asked for, as each takes so much longer */
};
extern struct space *spaces[EXPLORE_SPACES];
extern struct host_file *files[2]; /* 'F', 4 pages, with a backend; 'S', shared memory of 4 pages */
void scenario_register(const struct scenario *s);
#define scenario(id, ...)                                                                                              \
    __attribute__((constructor)) static void register_##id(void) {                                                     \
        static const struct scenario s = {.name = #id, __VA_ARGS__};                                                   \
        scenario_register(&s);                                                                                         \
    }

struct explored {
    u64 runs, pruned;     /* complete interleavings; those that were given up as equal to one that was run */
    u64 steps;            /* of the longest */
    bool all;             /* nothing was left out; else: */
    unsigned preemptions; /* nothing with up to so many was */
};
unsigned scenario_count(void);
const struct scenario *scenario_at(unsigned i);
/* explore: run all interleavings; if there are more than `most`, those with up to 1, 2, 3... preemptions, as far as
 * `most` goes for each. *result is kept current. A violation ends the process, with the schedule. */
void explore(const struct scenario *s, u64 most, struct explored *result);
/* explore_replay: one run, by the schedule that a violation printed: a letter for the thread, the number of its steps.
 */
void explore_replay(const struct scenario *s, const char *schedule);
/* host_keep: memory beside the machine's own that an interleaving may change, and the next one finds as it was. */
void host_keep(void *memory, size_t bytes);
/* explore_ready: for a set-up that reclaimed: the CPUs' stores are as full as before it. */
void explore_ready(void);
