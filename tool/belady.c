/* belady.c - the least number of misses that is possible with so much memory: what is needed again latest goes (Belady
 * 1966). Which pages are freed in between makes no difference: they are not needed again. */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define NONE 0xffffffffu

struct need {
    uint32_t when, page; /* the page's next use; NONE: never again */
};

/* A heap with the latest need first. */
static void heap_add(struct need *heap, size_t *count, struct need n) {
    size_t i = (*count)++;
    for (; i && heap[(i - 1) / 2].when < n.when; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = n;
}

static struct need heap_take(struct need *heap, size_t *count) {
    struct need top = heap[0], last = heap[--*count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *count; i = child) {
        if (child + 1 < *count && heap[child + 1].when > heap[child].when)
            child++;
        if (heap[child].when <= last.when)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

uint64_t belady(const struct trace *t, uint32_t room) {
    uint32_t *next = trace_allocate(t->count, sizeof *next), *seen = trace_allocate(t->pages, sizeof *seen), held = 0;
    uint32_t *now =
        trace_allocate(t->pages, sizeof *now); /* the next use of a page in memory + 1; 0: it is not there */
    struct need *heap = trace_allocate(t->count, sizeof *heap);
    size_t waiting = 0;
    uint64_t misses = 0;
    memset(seen, 0xff, t->pages * sizeof *seen);
    for (size_t i = t->count; i-- > 0;) {
        if (t->steps[i] & STEP_FREED)
            continue;
        next[i] = seen[t->steps[i]];
        seen[t->steps[i]] = (uint32_t)i;
    }
    for (size_t i = 0; i < t->count; i++) {
        uint32_t page = t->steps[i];
        if (page & STEP_FREED)
            continue;
        if (!now[page]) {
            misses++;
            held++;
        }
        while (held > room) { /* needs of the past are still in the heap: they are passed over */
            struct need last = heap_take(heap, &waiting);
            if (last.page == page || now[last.page] != last.when)
                continue;
            now[last.page] = 0;
            held--;
        }
        now[page] = next[i];
        heap_add(heap, &waiting, (struct need){now[page], page});
    }
    free(next);
    free(seen);
    free(now);
    free(heap);
    return misses;
}
