/* trace.h - a recorded trace as a string of uses: page numbers, in the order in which reclaim saw that they were used.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct trace {
    uint32_t *uses; /* [count] page numbers, below `pages` */
    size_t count;
    uint32_t pages;
};

/* Reads FILE; fails (say.h) if it cannot be read or is no trace. */
struct trace trace_read(const char *file);

/* belady: how many uses find their page not in memory, first uses included, if memory holds `room` pages and what is
 * needed last always goes: no policy can do with fewer. */
uint64_t belady(const struct trace *t, uint32_t room);
