/* trace.c - reads a recorded trace (kernel/lib/trace.h) and makes of it what happened to pages, in order.
 *
 * A kernel names frames, and contents only when they go or come back; here each page gets one number for as long as it
 * lives: a frame's contents that come with the key with which some went are the same page. A page is freed when its
 * frame is; or, if it was not in memory then, when something else goes with its key.
 *
 * When a page was used is not known exactly: after what was told of its frame before, and after its table was harvested
 * before. Between that and the word that tells it the uses are spread, for if they were put at the end a policy that is
 * replayed would hear of each just too late; and in the order of addresses, since that is how programs often go. The
 * first use that is told of a page that came by a fault is that fault's own, and left out. */
#include "trace.h"
#include "../kernel/lib/trace.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_SLOTS 512u
#define NOWHERE 0 /* no frame; numbers of pages and frames here begin with 1 */

void *trace_allocate(size_t count, size_t each) {
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
        n->key = trace_allocate(n->room, sizeof *n->key);
        n->value = trace_allocate(n->room, sizeof *n->value);
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

static void names_free(struct names *n) {
    free(n->key);
    free(n->value);
}

/* A step, and when it was, in 65536ths of a word. */
struct moment {
    uint64_t when;
    uint32_t step;
};

/* What is in a frame. */
struct held {
    uint32_t page; /* NOWHERE: nothing */
    bool first;    /* the next use that is told is that of the fault */
    bool waits;    /* came back ahead, and was not used yet */
    uint64_t when; /* the last that was told of it */
};

struct table {
    uint32_t harvested; /* the word at which it was; 0: never */
    uint32_t base;      /* where it begins, in its own size */
    uint32_t told;      /* uses of it, since then */
};

struct reader {
    struct trace t;
    struct names keys;   /* of what was used by number, or has gone: its page */
    struct names frames; /* which of `held` */
    struct names tables; /* which of `table` */
    struct table *table;
    uint32_t *bases; /* where tables begin, in order */
    size_t table_room, table_count, base_room, base_count;
    struct held *held;
    uint32_t *frame_of; /* by page: its place in `held` */
    size_t held_room, page_room, frame_count;
    uint32_t page_count;
    struct moment *moments;
    uint64_t now; /* the word that is read */
    uint64_t resident, resident_sum, evictions;
};

/* Room for the element `at` of an array. */
static void *grown(void *array, size_t *room, size_t at, size_t each) {
    if (at < *room)
        return array;
    size_t more = 2 * at + 1024;
    void *larger = trace_allocate(more, each);
    if (*room)
        memcpy(larger, array, *room * each);
    free(array);
    *room = more;
    return larger;
}

static struct held *held_of(struct reader *r, uint32_t frame) {
    uint32_t *at = names_find(&r->frames, frame);
    if (!*at) {
        *at = (uint32_t)++r->frame_count;
        r->held = grown(r->held, &r->held_room, *at, sizeof *r->held);
    }
    return &r->held[*at];
}

static uint32_t new_page(struct reader *r) {
    if (r->page_count == STEP_FREED - 1)
        fail("a trace of more than 2^31 pages is too long");
    r->frame_of = grown(r->frame_of, &r->page_room, r->page_count + 1, sizeof *r->frame_of);
    return ++r->page_count;
}

static void add(struct reader *r, uint32_t page, uint32_t freed, uint64_t when) {
    r->moments[r->t.count++] = (struct moment){when, (page - 1) | freed};
}

/* ---- what a word says ---- */

static uint64_t here(const struct reader *r) { return r->now << 16; }

/* Its contents are there no more. */
static void leave(struct reader *r, struct held *h) {
    if (h->page == NOWHERE)
        return;
    r->t.vain += h->waits;
    r->frame_of[h->page] = NOWHERE;
    h->page = NOWHERE;
    r->resident--;
}

static void freed(struct reader *r, struct held *h) {
    if (h->page != NOWHERE)
        add(r, h->page, STEP_FREED, here(r));
    leave(r, h);
}

static void went(struct reader *r, struct held *h, uint32_t key) {
    uint32_t page = h->page;
    if (!page)
        return;
    r->resident_sum += r->resident;
    r->evictions++;
    leave(r, h);
    uint32_t *known = key ? names_find(&r->keys, key) : NULL;
    if (known && *known && *known != page && r->frame_of[*known] == NOWHERE)
        add(r, *known, STEP_FREED, here(r));
    if (known)
        *known = page;
}

static void came(struct reader *r, uint32_t frame, uint32_t key, bool ahead) {
    struct held *h = held_of(r, frame);
    freed(r, h); /* by whom nobody told */
    uint32_t page = key ? *names_find(&r->keys, key) : 0;
    bool back = page && r->frame_of[page] == NOWHERE;
    if (!back)
        page = new_page(r);
    *h = (struct held){page, !ahead, ahead && back, here(r)};
    r->frame_of[page] = (uint32_t)(h - r->held);
    r->resident++;
    r->t.ahead += ahead && back;
    r->t.back += !ahead && back;
    if (!ahead)
        add(r, page, 0, here(r));
}

static struct table *table_of(struct reader *r, uint32_t frame) {
    uint32_t *at = names_find(&r->tables, frame);
    if (!*at) {
        *at = (uint32_t)++r->table_count;
        r->table = grown(r->table, &r->table_room, *at, sizeof *r->table);
    }
    return &r->table[*at];
}

/* How many tables begin before this one. */
static size_t rank(const struct reader *r, uint32_t base) {
    size_t from = 0, to = r->base_count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (r->bases[middle] < base)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void harvested(struct reader *r, struct table *t, uint32_t base) {
    size_t at = rank(r, base);
    if (at == r->base_count || r->bases[at] != base) {
        r->bases = grown(r->bases, &r->base_room, r->base_count + 1, sizeof *r->bases);
        memmove(r->bases + at + 1, r->bases + at, (r->base_count - at) * sizeof *r->bases);
        r->bases[at] = base;
        r->base_count++;
    }
    *t = (struct table){(uint32_t)r->now, base, 0};
}

/* In a harvest a table's uses are told one after the other. */
static uint64_t within(const struct reader *r, struct table *t, uint64_t span) {
    uint64_t at = t->told++ % TABLE_SLOTS, all = TABLE_SLOTS;
    if (t->harvested) {
        at += rank(r, t->base) * TABLE_SLOTS;
        all *= r->base_count;
    }
    return (uint64_t)((double)span * (double)at / (double)all);
}

static void touched(struct reader *r, struct held *h, uint32_t frame) {
    struct table *t = frame ? table_of(r, frame) : NULL;
    uint64_t from = t ? (uint64_t)t->harvested << 16 : here(r) - 1;
    from = h->when > from ? h->when : from;
    if (h->page != NOWHERE && !h->first)
        add(r, h->page, 0, t ? from + 1 + within(r, t, here(r) - from - 1) : here(r));
    r->t.back += h->waits;
    h->first = h->waits = false;
    h->when = here(r);
}

static void take_word(struct reader *r, uint64_t word) {
    uint32_t key = trace_key_of(word), frame = trace_frame_of(word);
    switch (trace_kind_of(word)) {
    case TRACE_USE:
        if (!*names_find(&r->keys, key))
            *names_find(&r->keys, key) = new_page(r);
        add(r, *names_find(&r->keys, key), 0, here(r));
        break;
    case TRACE_CAME:
    case TRACE_AHEAD:
        came(r, frame, key, trace_kind_of(word) == TRACE_AHEAD);
        break;
    case TRACE_TOUCHED:
        touched(r, held_of(r, frame), key);
        break;
    case TRACE_WENT:
        went(r, held_of(r, frame), key);
        break;
    case TRACE_FREED:
        freed(r, held_of(r, frame));
        break;
    case TRACE_HARVEST:
        harvested(r, table_of(r, frame), key);
        break;
    case TRACE_LOST:
        r->t.lost += key;
        break;
    default:
        fail("word %llu of the trace is of no known kind", (unsigned long long)r->now);
    }
}

/* ---- in order ---- */

static int earlier(const void *a, const void *b) {
    const struct moment *x = a, *y = b;
    return x->when < y->when ? -1 : x->when > y->when;
}

/* Pages are numbered anew, by their first use; what was never used is left out. */
static void put_in_order(struct reader *r) {
    struct trace *t = &r->t;
    uint32_t *number = trace_allocate((size_t)r->page_count + 1, sizeof *number);
    size_t count = 0;
    qsort(r->moments, t->count, sizeof *r->moments, earlier);
    t->steps = trace_allocate(t->count, sizeof *t->steps);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t freed = r->moments[i].step & STEP_FREED, *n = &number[r->moments[i].step & ~STEP_FREED];
        if (freed && !*n)
            continue;
        if (!*n)
            *n = ++t->pages;
        t->uses += !freed;
        t->steps[count++] = (*n - 1) | freed;
    }
    t->count = count;
    free(number);
}

static void read_words(struct reader *r, const uint64_t *word, size_t words) {
    r->moments =
        trace_allocate(2 * words, sizeof *r->moments); /* a word is a page's end and another's beginning, at most */
    for (r->now = 1; r->now < words; r->now++)
        take_word(r, word[r->now]);
    for (size_t i = 1; i <= r->frame_count; i++)
        leave(r, &r->held[i]);
    put_in_order(r);
    r->t.room = r->evictions ? (uint32_t)(r->resident_sum / r->evictions) : 0;
    free(r->moments);
    free(r->held);
    free(r->frame_of);
    names_free(&r->keys);
    names_free(&r->frames);
    names_free(&r->tables);
    free(r->table);
    free(r->bases);
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
    if ((size_t)st.st_size % sizeof(uint64_t))
        fail("%s: its last word is not whole", file);
    if (words > UINT32_MAX)
        fail("%s: a trace of more than 32 GiB is too long", file);
    read_words(&r, word, words);
    munmap((void *)word, (size_t)st.st_size);
    close(fd);
    if (!r.t.uses)
        fail("%s: nothing was recorded", file);
    return r.t;
}
