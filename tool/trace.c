/* trace.c - from a recorded trace (kernel/lib/trace.h) to a string of uses, and the least that any policy could
 * do with it.
 *
 * A kernel names frames, and contents only when they go or come back; here each page gets one number for as long as
 * it lives: a frame's contents that come with the key with which some went are the same page. */
#include "trace.h"
#include "../kernel/lib/trace.h"
#include "say.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#define NONE 0xffffffffu

static void *allocate(size_t count, size_t each) {
    void *memory = calloc(count ? count : 1, each);
    if (!memory)
        fail("this machine has no memory left");
    return memory;
}

/* 32 bits -> number + 1; open addressing, doubled when half full. */
struct names {
    uint32_t *key, *value; /* value 0: unused */
    size_t room, used;
};

static size_t names_at(const struct names *n, uint32_t key) {
    size_t i = (key * 2654435761u) & (n->room - 1);
    while (n->value[i] && n->key[i] != key)
        i = (i + 1) & (n->room - 1);
    return i;
}

static uint32_t *names_find(struct names *n, uint32_t key) {
    if (2 * n->used >= n->room) {
        struct names old = *n;
        n->room = old.room ? 2 * old.room : 4096;
        n->key = allocate(n->room, sizeof *n->key);
        n->value = allocate(n->room, sizeof *n->value);
        for (size_t i = 0; i < old.room; i++)
            if (old.value[i]) {
                size_t at = names_at(n, old.key[i]);
                n->key[at] = old.key[i];
                n->value[at] = old.value[i];
            }
        free(old.key);
        free(old.value);
    }
    size_t at = names_at(n, key);
    if (!n->value[at]) {
        n->key[at] = key;
        n->used++;
    }
    return &n->value[at];
}

struct reader {
    struct trace t;
    struct names keys;   /* of what was used by number, or has gone */
    struct names frames; /* what is in each */
};

static void take_word(struct reader *r, uint64_t word) {
    uint32_t key = trace_key_of(word), *known = NULL, page = 0;
    switch (trace_kind_of(word)) {
    case TRACE_USE:
        known = names_find(&r->keys, key);
        page = *known ? *known : (*known = ++r->t.pages);
        break;
    case TRACE_CAME:
        if (key)
            page = *names_find(&r->keys, key);
        page = page ? page : ++r->t.pages;
        *names_find(&r->frames, trace_frame_of(word)) = page;
        break;
    case TRACE_TOUCHED:
        page = *names_find(&r->frames, trace_frame_of(word));
        break;
    case TRACE_WENT:
        known = names_find(&r->frames, trace_frame_of(word));
        if (*known && key)
            *names_find(&r->keys, key) = *known;
        return;
    }
    if (page)
        r->t.uses[r->t.count++] = page - 1;
}

struct trace trace_read(const char *file) {
    struct reader r = {0};
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail("%s: %s", file, strerror(errno));
    size_t words = (size_t)st.st_size / sizeof(uint64_t);
    const uint64_t *word = words ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (word == MAP_FAILED || word[0] != TRACE_MAGIC)
        fail("%s: no trace; docs/policies.md says what one is", file);
    r.t.uses = allocate(words, sizeof *r.t.uses);
    for (size_t i = 1; i < words; i++)
        take_word(&r, word[i]);
    munmap((void *)word, (size_t)st.st_size);
    close(fd);
    free(r.keys.key);
    free(r.keys.value);
    free(r.frames.key);
    free(r.frames.value);
    if (!r.t.count)
        fail("%s: nothing was recorded", file);
    return r.t;
}

/* ---- Belady's least ---- */

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
    uint32_t *next = allocate(t->count, sizeof *next), *seen = allocate(t->pages, sizeof *seen), held = 0;
    uint32_t *now = allocate(t->pages, sizeof *now); /* the next use of a page in memory + 1; 0: it is not there */
    struct need *heap = allocate(t->count, sizeof *heap);
    size_t waiting = 0;
    uint64_t misses = 0;
    memset(seen, 0xff, t->pages * sizeof *seen);
    for (size_t i = t->count; i-- > 0;) {
        next[i] = seen[t->uses[i]];
        seen[t->uses[i]] = (uint32_t)i;
    }
    for (size_t i = 0; i < t->count; i++) {
        uint32_t page = t->uses[i];
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
        now[page] = next[i] == NONE ? NONE : next[i];
        heap_add(heap, &waiting, (struct need){now[page], page});
    }
    free(next);
    free(seen);
    free(now);
    free(heap);
    return misses;
}
