/* trace.h - what happened to pages, in order: from a recorded trace. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STEP_FREED 0x80000000u /* the page was freed; else it was used */

struct trace {
    uint32_t *steps; /* a page's number, and STEP_FREED. Pages are numbered by their first use */
    size_t count;
    size_t uses;    /* of the steps */
    uint32_t pages; /* how many different ones */
    /* As it was recorded; 0 if a program wrote it. */
    uint32_t room;        /* pages in memory, on average, when one was evicted */
    uint64_t back;        /* of the uses, those of a page that had been evicted */
    uint64_t ahead, vain; /* pages that came back before they were used, and those of them that never were */
    uint64_t lost;        /* words */
};

/* trace_read: fails (say.h) if the file is no trace, or nothing was used. The caller frees `steps`. */
struct trace trace_read(const char *file);
/* belady: the misses, first uses included, of who knows the future. */
uint64_t belady(const struct trace *t, uint32_t room);
void *trace_allocate(size_t count, size_t each); /* zeroed; fails (say.h) */
