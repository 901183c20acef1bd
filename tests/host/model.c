/* model.c - random operations on up to 8 address spaces, each compared with a model that is obviously right.
 *
 * The model of a space is a sorted array of mappings and an array of the pages that the space has of its own, with the
 * words in them; of a file, its words. Fork copies the arrays. After each step: outcome, list of mappings and totals
 * are the model's, and vm_check finds nothing. Pages are looked at through the hosted CPUs, with their caches.
 *
 * Addresses lie around the borders of tables of each level, where the mistakes are. */
#include "host.h"

#define SPACES 8
#define FILES 5
#define FILE_PAGES 80
#define MAPS_MOST 2000
#define OWN_MOST 20000
#define WORDS 4

static const u64 word_offset[WORDS] = {0, 8, 2048, 4088};

struct model_map {
    u64 first, end; /* pages */
    u32 flags, max_prot;
    int file;   /* -1: anonymous */
    u64 offset; /* pages */
};
struct own_page {
    u64 page;
    u64 words[WORDS];
};
struct model_space {
    struct space *real;
    struct model_map *maps;
    unsigned map_count;
    struct own_page *own;
    unsigned own_count;
    u64 brk_start, brk;
};
struct model_file {
    struct host_file *real;
    u64 size; /* bytes */
    u64 words[FILE_PAGES][WORDS];
};

static struct model_space spaces[SPACES];
static struct model_file files[FILES];
static unsigned step_number;
static struct host_count at_start;

#define note(...)                                                                                                      \
    do {                                                                                                               \
        if (test_verbose) {                                                                                            \
            fprintf(stderr, "%4u  ", step_number);                                                                     \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
        }                                                                                                              \
    } while (0)

/* ---- the model */

static struct model_map *map_at(struct model_space *m, u64 page) {
    for (unsigned i = 0; i < m->map_count; i++)
        if (m->maps[i].first <= page && page < m->maps[i].end)
            return &m->maps[i];
    return NULL;
}

static bool anything_in(struct model_space *m, u64 first, u64 end) {
    for (unsigned i = 0; i < m->map_count; i++)
        if (m->maps[i].first < end && first < m->maps[i].end)
            return true;
    return false;
}

static struct own_page *own_at(struct model_space *m, u64 page) {
    for (unsigned i = 0; i < m->own_count; i++)
        if (m->own[i].page == page)
            return &m->own[i];
    return NULL;
}

static void own_drop(struct model_space *m, u64 first, u64 end) {
    for (unsigned i = 0; i < m->own_count;)
        if (first <= m->own[i].page && m->own[i].page < end)
            m->own[i] = m->own[--m->own_count];
        else
            i++;
}

static void map_split(struct model_space *m, u64 page) {
    struct model_map *x = map_at(m, page);
    if (!x || x->first == page)
        return;
    check(m->map_count < MAPS_MOST);
    memmove(x + 1, x, (size_t)((m->maps + m->map_count) - x) * sizeof(*x));
    m->map_count++;
    x[0].end = x[1].first = page;
    x[1].offset += page - x[0].first;
}

static void map_remove(struct model_space *m, u64 first, u64 end) {
    map_split(m, first);
    map_split(m, end);
    for (unsigned i = 0; i < m->map_count;)
        if (first <= m->maps[i].first && m->maps[i].end <= end) {
            m->map_count--;
            memmove(&m->maps[i], &m->maps[i + 1], (m->map_count - i) * sizeof(m->maps[0]));
        } else {
            i++;
        }
    own_drop(m, first, end);
}

static void map_add(struct model_space *m, struct model_map x) {
    map_remove(m, x.first, x.end);
    check(m->map_count < MAPS_MOST);
    unsigned i = 0;
    while (i < m->map_count && m->maps[i].first < x.first)
        i++;
    memmove(&m->maps[i + 1], &m->maps[i], (m->map_count - i) * sizeof(x));
    m->maps[i] = x;
    m->map_count++;
}

static u32 accounted(u32 flags) {
    return (flags & VIEW_WRITE) && !(flags & (VIEW_SHARED | VIEW_NORESERVE)) ? flags | VIEW_ACCOUNT : flags;
}

static u64 file_pages(const struct model_file *f) { return page_align_up(f->size) / PAGE_SIZE; }

static bool continues(const struct model_map *a, const struct model_map *b) {
    return a->end == b->first && a->flags == b->flags && a->max_prot == b->max_prot && a->file == b->file &&
           (a->file < 0 || a->offset + (a->end - a->first) == b->offset);
}

/* model_access: what an access to `page` does. *words: where the contents are; NULL: zeroes that nobody has written. */
static enum fault_outcome model_access(struct model_space *m, u64 page, enum fault_access access, u64 **words) {
    struct model_map *x = map_at(m, page);
    *words = NULL;
    if (!x)
        return FAULT_MAPERR;
    u32 need = access == FAULT_WRITE ? VIEW_WRITE : access == FAULT_EXEC ? VIEW_EXEC : VIEW_PROT;
    if (!(x->flags & need))
        return FAULT_ACCERR;
    struct own_page *own = own_at(m, page);
    if (own) {
        *words = own->words;
        return FAULT_DONE;
    }
    u64 *from = NULL;
    if (x->file >= 0) {
        u64 index = x->offset + (page - x->first);
        if (index >= file_pages(&files[x->file]))
            return FAULT_BUS_ADRERR;
        from = files[x->file].words[index];
    }
    if (access == FAULT_WRITE && !(x->flags & VIEW_SHARED)) {
        check(m->own_count < OWN_MOST);
        own = &m->own[m->own_count++];
        *own = (struct own_page){.page = page};
        if (from)
            memcpy(own->words, from, sizeof(own->words));
        from = own->words;
    }
    *words = from;
    return FAULT_DONE;
}

/* ---- comparing */

static void describe(const char *what, u64 start, u64 end, u32 flags, u32 max_prot, char file, u64 offset, char *out,
                     size_t size) {
    snprintf(out, size, "%s [%#lx, %#lx) flags %#x max %u file %c offset %#lx", what, start >> PAGE_SHIFT,
             end >> PAGE_SHIFT, flags, max_prot, file, offset >> PAGE_SHIFT);
}

static void compare_maps(struct model_space *m) {
    u64 from = 0, shown = 0, total = 0, data = 0, committed = 0, locked = 0, shared = 0;
    char is[300], should[300];
    for (unsigned i = 0; i < m->map_count; shown++) {
        struct model_map x = m->maps[i++];
        while (i < m->map_count && continues(&x, &m->maps[i]))
            x.end = m->maps[i++].end;
        struct mapping real;
        describe("", x.first << PAGE_SHIFT, x.end << PAGE_SHIFT, x.flags, x.max_prot,
                 x.file < 0 ? '-' : files[x.file].real->letter, x.file < 0 ? 0 : x.offset << PAGE_SHIFT, should,
                 sizeof(should));
        if (!space_walk(m->real, from, &real))
            test_fail(__FILE__, __LINE__, "step %u, space %ld: mapping missing:%s", step_number, (long)(m - spaces),
                      should);
        char letter = real.view->file ? container_of(real.view->file, struct host_file, file)->letter : '-';
        describe("", real.start, real.end, real.view->flags, real.view->max_prot, letter,
                 real.view->file ? real.offset : 0, is, sizeof(is));
        if (strcmp(is, should))
            test_fail(__FILE__, __LINE__, "step %u, space %ld: mapping\n  is    %s\n  should%s", step_number,
                      (long)(m - spaces), is, should);
        from = real.end;
        space_walk_end(&real);
        u64 pages = x.end - x.first;
        total += pages;
        data += (x.flags & VIEW_WRITE) && !(x.flags & VIEW_SHARED) ? pages : 0;
        committed += x.flags & VIEW_ACCOUNT ? pages : 0;
        locked += x.flags & VIEW_LOCKED ? pages : 0;
        shared += x.flags & VIEW_SHARED ? pages : 0;
    }
    struct mapping real;
    if (space_walk(m->real, from, &real))
        test_fail(__FILE__, __LINE__, "step %u, space %ld: mapping [%#lx, %#lx) should not be", step_number,
                  (long)(m - spaces), real.start, real.end);
    struct space_totals t;
    space_totals(m->real, &t);
    check_eq(t.total, total);
    check_eq(t.data, data);
    check_eq(t.committed, committed);
    check_eq(t.locked, locked);
    check_eq(t.shared, shared);
    check_eq(t.mappings, shown);
}

static void compare_word(struct model_space *m, u64 page, unsigned k) {
    u64 *words, value = 0xbad;
    enum fault_outcome should = model_access(m, page, FAULT_READ, &words);
    enum fault_outcome is = mem_read(m->real, (page << PAGE_SHIFT) + word_offset[k], &value);
    if (is != should)
        test_fail(__FILE__, __LINE__, "step %u, space %ld: reading page %#lx ends in %d, should %d", step_number,
                  (long)(m - spaces), page, is, should);
    if (is == FAULT_DONE && value != (words ? words[k] : 0))
        test_fail(__FILE__, __LINE__, "step %u, space %ld: page %#lx word %u is %#lx, should %#lx", step_number,
                  (long)(m - spaces), page, k, value, words ? words[k] : 0);
}

static void compare_page(struct model_space *m, u64 page) {
    for (unsigned k = 0; k < WORDS; k++)
        compare_word(m, page, k);
}

/* Mostly on a CPU that has the space loaded, and so things to forget. */
static void on_some_cpu(struct model_space *m) {
    unsigned cpu = (unsigned)rnd_below(cpu_count);
    for (unsigned tries = 0; tries < 4 && !host_loaded(cpu, m->real); tries++)
        cpu = (unsigned)rnd_below(cpu_count);
    host_cpu(cpu);
    space_load(m->real);
}

/* Every page that the space wrote, and the edges of all mappings. */
static void compare_contents(struct model_space *m) {
    on_some_cpu(m);
    for (unsigned i = 0; i < m->own_count; i++)
        compare_page(m, m->own[i].page);
    for (unsigned i = 0; i < m->map_count; i++) {
        compare_page(m, m->maps[i].first);
        compare_page(m, m->maps[i].end - 1);
        compare_page(m, m->maps[i].end);
    }
}

/* ---- where */

static const u64 windows[] = {
    0x10100, /* inside a leaf */
    0x10200, /* a border of leaves */
    0x40000, /* of level 2 */
    0x40200,
    1ULL << 27, /* of level 3 */
    (1ULL << 27) + 0x200,
};
#define WINDOW 40

#define TOP_PAGE 0x7ffffffffULL /* the last page that can be mapped is the one before */

static u64 some_page(struct model_space *m) {
    if (m->map_count && one_in(4)) {
        struct model_map *x = &m->maps[rnd_below(m->map_count)];
        u64 page = (one_in(2) ? x->first : x->end) + rnd_below(5) - 2;
        return min(max(page, (u64)32), TOP_PAGE - 64);
    }
    return windows[rnd_below(array_count(windows))] - WINDOW / 2 + rnd_below(WINDOW);
}

static u64 last_first, last_end; /* the range of the last operation */

static void probe(struct model_space *m, u64 first, u64 end);
static void draw_range(struct model_space *m, u64 *first, u64 *end);

static void some_range(struct model_space *m, u64 *first, u64 *end) {
    draw_range(m, first, end);
    last_first = *first;
    last_end = *end;
    if (one_in(2)) {
        unsigned cpu = cpu_id();
        probe(m, *first, *end);
        host_cpu(cpu);
    }
}

static void draw_range(struct model_space *m, u64 *first, u64 *end) {
    *first = some_page(m);
    *end = *first + 1 + rnd_below(one_in(3) ? 40 : 6);
    if (one_in(16)) { /* from one window to another, or whole tables */
        *end = some_page(m);
        if (*end < *first) {
            u64 t = *first;
            *first = *end;
            *end = t;
        }
        *end += *end == *first;
    } else if (one_in(16)) {
        *first &= ~511ULL;
        *end = *first + (512ULL << (one_in(4) ? 9 : 0));
        *first = max(*first, (u64)32);
    }
    *end = min(*end, TOP_PAGE);
}

static u32 some_prot(void) {
    static const u32 prots[] = {VIEW_READ | VIEW_WRITE,
                                VIEW_READ | VIEW_WRITE,
                                VIEW_READ | VIEW_WRITE,
                                VIEW_READ,
                                VIEW_READ | VIEW_EXEC,
                                VIEW_PROT,
                                0,
                                VIEW_WRITE};
    return prots[rnd_below(array_count(prots))];
}

/* ---- the steps: each does the same to both, and compares the answer */

static unsigned inject; /* the nth allocation of the step fails; 0: none */
static bool arm(void) {
    alloc_fail_at(inject);
    return inject != 0;
}
/* disarm: true if an allocation failed in this step. */
static bool disarm(void) {
    bool failed = inject && !alloc_fail_countdown;
    alloc_fail_at(0);
    return failed;
}

static void step_map(struct model_space *m) {
    u64 first, end;
    some_range(m, &first, &end);
    struct model_map x = {.first = first, .end = end, .flags = some_prot(), .max_prot = VIEW_PROT, .file = -1};
    struct map_request r = {.address = first << PAGE_SHIFT, .bytes = (end - first) << PAGE_SHIFT};
    if (one_in(2)) {
        x.file = (int)rnd_below(FILES);
        x.offset = rnd_below(FILE_PAGES / 2);
        x.flags |= one_in(2) ? VIEW_SHARED : 0;
        r.file = &files[x.file].real->file;
        r.offset = x.offset << PAGE_SHIFT;
        if (one_in(8)) {
            x.flags &= ~VIEW_WRITE;
            x.max_prot = VIEW_READ | VIEW_EXEC;
        }
    }
    x.flags |= one_in(6) ? VIEW_NORESERVE : 0;
    r.flags = x.flags;
    r.max_prot = x.max_prot;
    r.how = one_in(8) ? MAP_AT_FREE : one_in(4) ? 0 : MAP_AT;
    if (!r.how) {
        r.address = one_in(2) ? 0 : r.address;
        r.bytes = min(r.bytes, 64 * PAGE_SIZE);
    }
    if (end - first < 50 && one_in(10)) {
        r.how |= MAP_FILL;
        inject = 0; /* filling may stop anywhere, silently */
    }
    x.flags = accounted(x.flags);
    arm();
    long got = space_map(m->real, &r);
    bool failed = disarm();
    note("map space %ld %#lx+%ld flags %#x how %u file %d+%ld: %#lx", (long)(m - spaces), first, (long)(end - first),
         x.flags, r.how, x.file, (long)x.offset, got);
    if (failed && got == -ENOMEM)
        return;
    if ((r.how & MAP_AT_FREE) && anything_in(m, first, end)) {
        check_eq(got, -EEXIST);
        return;
    }
    if (r.how & (MAP_AT | MAP_AT_FREE))
        check_eq(got, r.address);
    check(got > 0 && !(got & (long)(PAGE_SIZE - 1)));
    x.first = (u64)got >> PAGE_SHIFT;
    x.end = x.first + (r.bytes >> PAGE_SHIFT);
    if (!(r.how & (MAP_AT | MAP_AT_FREE)))
        check(!anything_in(m, x.first, x.end));
    map_add(m, x);
    u64 *words;
    for (u64 page = x.first; (r.how & MAP_FILL) && (x.flags & VIEW_WRITE) && page < x.end; page++)
        if (model_access(m, page, FAULT_WRITE, &words) !=
            FAULT_DONE) /* private pages are copied now: later writes to the file do not show */
            break;
}

static void step_unmap(struct model_space *m) {
    u64 first, end;
    some_range(m, &first, &end);
    arm();
    int got = space_unmap(m->real, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT);
    bool failed = disarm();
    note("unmap space %ld %#lx+%ld: %d", (long)(m - spaces), first, (long)(end - first), got);
    if (failed && got == -ENOMEM)
        return;
    check_eq(got, 0);
    map_remove(m, first, end);
}

/* model_change: flags of [first, end). */
static void model_change(struct model_space *m, u64 first, u64 end, u32 set, u32 clear) {
    map_split(m, first);
    map_split(m, end);
    for (unsigned i = 0; i < m->map_count; i++)
        if (first <= m->maps[i].first && m->maps[i].end <= end)
            m->maps[i].flags = accounted((m->maps[i].flags & ~clear) | set);
}

/* changed_until: the end of the part of [first, end), from first on, that has its new flags: a call that ran out of
 * memory. */
static u64 changed_until(struct model_space *m, u64 first, u64 end, u32 set, u32 clear) {
    bool changed = true;
    while (first < end && changed) {
        struct model_map *x = map_at(m, first);
        struct mapping real;
        check(x && space_walk(m->real, first << PAGE_SHIFT, &real));
        changed = real.view->flags == accounted((x->flags & ~clear) | set);
        if (changed)
            first = min(min(real.end >> PAGE_SHIFT, x->end), end);
        space_walk_end(&real);
    }
    return first;
}

static void step_protect(struct model_space *m) {
    u64 first, end, stop;
    u32 prot = some_prot();
    int should = 0;
    some_range(m, &first, &end);
    for (stop = first; stop < end && !should;) {
        struct model_map *x = map_at(m, stop);
        if (!x)
            should = -ENOMEM;
        else if (prot & ~x->max_prot)
            should = -EACCES;
        else
            stop = min(x->end, end);
    }
    arm();
    int got = space_protect(m->real, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT, prot);
    bool failed = disarm();
    note("protect space %ld %#lx+%ld %u: %d", (long)(m - spaces), first, (long)(end - first), prot, got);
    if (failed && got == -ENOMEM && should != -ENOMEM)
        return;
    check_eq(got, should);
    if (failed) /* which -ENOMEM it was shows only in the mappings */
        stop = changed_until(m, first, stop, prot, VIEW_PROT & ~prot);
    if (first < stop)
        model_change(m, first, stop, prot, VIEW_PROT & ~prot);
}

static void step_discard(struct model_space *m) {
    u64 first, end;
    int should = 0;
    some_range(m, &first, &end);
    u64 page = first;
    bool hole = false;
    for (unsigned i = 0; i < m->map_count && !should; i++) {
        struct model_map *x = &m->maps[i];
        if (x->end <= first || x->first >= end)
            continue;
        hole |= x->first > page;
        if (x->flags & VIEW_LOCKED)
            should = -EINVAL;
        else
            own_drop(m, max(x->first, first), min(x->end, end));
        page = x->end;
    }
    should = should ? should : hole || page < end ? -ENOMEM : 0;
    int got = space_discard(m->real, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT);
    note("discard space %ld %#lx+%ld: %d", (long)(m - spaces), first, (long)(end - first), got);
    check_eq(got, should);
}

static void step_advise(struct model_space *m) {
    static const u32 advice[] = {VIEW_DONTFORK, VIEW_WIPEONFORK, VIEW_LOCKED, VIEW_LOCKED | VIEW_ONFAULT,
                                 VIEW_SEQUENTIAL};
    if (!m->map_count)
        return;
    struct model_map *x = &m->maps[rnd_below(m->map_count)];
    u32 bits = advice[rnd_below(array_count(advice))], set = one_in(2) ? bits : 0;
    u64 first = x->first + rnd_below(x->end - x->first), end = first + 1 + rnd_below(min(x->end - first, (u64)600));
    if (bits == VIEW_WIPEONFORK && (x->file >= 0 || end > x->end))
        return;
    end = min(end, x->end);
    arm();
    int got = space_change(m->real, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT, set, bits & ~set);
    bool failed = disarm();
    note("advise space %ld %#lx+%ld %#x %s: %d", (long)(m - spaces), first, (long)(end - first), bits,
         set ? "on" : "off", got);
    if (failed && got == -ENOMEM) /* madvise(2) has done a part */
        end = changed_until(m, first, end, set, bits & ~set);
    else
        check_eq(got, 0);
    if (first < end)
        model_change(m, first, end, set, bits & ~set);
}

/* The mapping at `page` with what continues it, clipped to begin there. */
static bool joined_at(struct model_space *m, u64 page, struct model_map *out) {
    struct model_map *x = map_at(m, page);
    if (!x)
        return false;
    *out = *x;
    out->offset += page - x->first;
    out->first = page;
    while (++x < m->maps + m->map_count && continues(out, x))
        out->end = x->end;
    return true;
}

static void own_move(struct model_space *m, u64 from, u64 to, u64 pages) {
    for (unsigned i = 0; i < m->own_count; i++)
        if (from <= m->own[i].page && m->own[i].page < from + pages)
            m->own[i].page += to - from;
}

static void step_remap(struct model_space *m) {
    u64 old, old_end, to = some_page(m);
    struct model_map x = {0};
    some_range(m, &old, &old_end);
    if (m->map_count && !one_in(4)) { /* mostly one that can succeed */
        struct model_map *some = &m->maps[rnd_below(m->map_count)];
        old = some->first + rnd_below(min(some->end - some->first, (u64)30));
        old_end = min(some->end, old + 1 + rnd_below(40));
    }
    last_first = old;
    last_end = old_end;
    u64 old_pages = old_end - old, new_pages = one_in(3) ? old_pages : 1 + rnd_below(60);
    if (old_pages > 2000)
        new_pages = old_pages;
    u32 how = (u32)rnd_below(4) | (one_in(6) && new_pages == old_pages ? REMAP_DONT_UNMAP | REMAP_MAY_MOVE : 0);
    bool found = joined_at(m, old, &x), whole = x.end >= old + min(old_pages, new_pages);
    bool mapping_ends = x.end == old_end;
    if (how & REMAP_FIXED)
        inject = 0; /* a failure may have unmapped the target already, as on Linux */
    arm();
    long got = space_remap(m->real, old << PAGE_SHIFT, old_pages << PAGE_SHIFT, new_pages << PAGE_SHIFT, how,
                           to << PAGE_SHIFT);
    bool failed = disarm();
    note("remap space %ld %#lx+%ld -> %ld how %u to %#lx: %#lx", (long)(m - spaces), old, (long)old_pages,
         (long)new_pages, how, to, got);
    bool move = how & (REMAP_FIXED | REMAP_DONT_UNMAP);
    if (move && !(how & REMAP_MAY_MOVE)) {
        check_eq(got, -EINVAL);
        return;
    }
    if (!found) {
        check_eq(got, -EFAULT);
        return;
    }
    if (move && (to + new_pages > TOP_PAGE || (old < to + new_pages && to < old_end))) {
        check_eq(got, -EINVAL);
        return;
    }
    if (failed && got == -ENOMEM)
        return;
    if (!move && new_pages <= old_pages) {
        check_eq(got, old << PAGE_SHIFT);
        if (new_pages < old_pages)
            map_remove(m, old + new_pages, old_end);
        return;
    }
    if (!whole) {
        check_eq(got, -EFAULT);
        return;
    }
    if (!move && mapping_ends && old + new_pages <= TOP_PAGE && !anything_in(m, old_end, old + new_pages)) {
        check_eq(got, old << PAGE_SHIFT);
        struct model_map more = x;
        more.first = old_end;
        more.end = old + new_pages;
        more.offset = x.offset + old_pages;
        map_add(m, more);
        return;
    }
    if (!(how & REMAP_MAY_MOVE)) {
        check_eq(got, -ENOMEM);
        return;
    }
    if (how & REMAP_FIXED)
        check_eq(got, to << PAGE_SHIFT);
    check(got > 0);
    to = (u64)got >> PAGE_SHIFT;
    if (!(how & REMAP_FIXED))
        check(!anything_in(m, to, to + new_pages));
    x.first = to;
    x.end = to + new_pages;
    map_add(m, x);
    own_move(m, old, to, min(old_pages, new_pages));
    if (!(how & REMAP_DONT_UNMAP))
        map_remove(m, old, old_end);
}

static void step_brk(struct model_space *m) {
    u64 want = m->brk_start + rnd_below(one_in(8) ? 4 * MiB : 100 * KiB) - (one_in(10) ? 2 * PAGE_SIZE : 0);
    u64 old_end = page_align_up(m->brk) >> PAGE_SHIFT, new_end = page_align_up(want) >> PAGE_SHIFT;
    struct model_map x = {.first = old_end,
                          .end = new_end,
                          .file = -1,
                          .max_prot = VIEW_PROT,
                          .flags = VIEW_READ | VIEW_WRITE | VIEW_HEAP | VIEW_ACCOUNT};
    bool may = want >= m->brk_start && !(new_end > old_end && anything_in(m, old_end, new_end + 1));
    arm();
    u64 got = space_brk(m->real, want);
    bool failed = disarm();
    note("brk space %ld %#lx: %#lx", (long)(m - spaces), want, got);
    if (!may || (failed && got == m->brk)) {
        check_eq(got, m->brk);
        return;
    }
    check_eq(got, want);
    if (new_end > old_end)
        map_add(m, x);
    else if (new_end < old_end)
        map_remove(m, new_end, old_end);
    m->brk = want;
}

static void model_alloc(struct model_space *m) {
    m->maps = malloc(MAPS_MOST * sizeof(*m->maps));
    m->own = malloc(OWN_MOST * sizeof(*m->own));
}

static void step_create(void) {
    struct model_space *m = spaces;
    while (m < spaces + SPACES && m->real)
        m++;
    if (m == spaces + SPACES)
        return;
    m->real = space_create(false);
    check(m->real != NULL);
    model_alloc(m);
    m->map_count = m->own_count = 0;
    m->brk_start = m->brk = 0x10210ULL << PAGE_SHIFT;
    space_set_brk(m->real, m->brk);
    note("create space %ld", (long)(m - spaces));
}

static void step_fork(struct model_space *m) {
    struct model_space *child = spaces;
    while (child < spaces + SPACES && child->real)
        child++;
    if (child == spaces + SPACES)
        return;
    arm();
    struct space *real = space_fork(m->real);
    bool failed = disarm();
    note("fork space %ld -> %ld%s", (long)(m - spaces), (long)(child - spaces), is_err(real) ? ": failed" : "");
    if (is_err(real)) {
        check(failed && ptr_err(real) == -ENOMEM);
        return;
    }
    model_alloc(child);
    child->real = real;
    child->brk_start = m->brk_start;
    child->brk = m->brk;
    child->map_count = m->map_count;
    child->own_count = m->own_count;
    memcpy(child->maps, m->maps, m->map_count * sizeof(*m->maps));
    memcpy(child->own, m->own, m->own_count * sizeof(*m->own));
    for (unsigned i = 0; i < child->map_count;) {
        struct model_map x = child->maps[i];
        if (x.flags & VIEW_DONTFORK) {
            map_remove(child, x.first, x.end);
            continue;
        }
        if (x.flags & VIEW_WIPEONFORK)
            own_drop(child, x.first, x.end);
        child->maps[i++].flags &= ~(VIEW_LOCKED | VIEW_ONFAULT);
    }
}

static void step_exit(struct model_space *m) {
    note("exit space %ld", (long)(m - spaces));
    compare_contents(m);
    if (one_in(2))
        space_load(NULL);
    else
        on_some_cpu(m); /* some CPU keeps it loaded, lazily */
    space_put(m->real);
    free(m->maps);
    free(m->own);
    *m = (struct model_space){0};
}

static void step_access(struct model_space *m) {
    u64 page = some_page(m), *words, value = rnd(), pages = 1 + rnd_below(4);
    for (; pages; pages--, page++) {
        unsigned k = (unsigned)rnd_below(WORDS);
        enum fault_access access = one_in(10) ? FAULT_EXEC : one_in(2) ? FAULT_READ : FAULT_WRITE;
        if (access == FAULT_READ) {
            compare_page(m, page);
            continue;
        }
        u64 address = (page << PAGE_SHIFT) + word_offset[k], now = value;
        arm();
        enum fault_outcome is = mem_access(m->real, address, &now, sizeof(now), access);
        bool failed = disarm();
        note("access %d space %ld %#lx word %u value %#lx: %d", access, (long)(m - spaces), page, k, value, is);
        if (failed && is == FAULT_NOMEM)
            continue;
        enum fault_outcome should = model_access(m, page, access, &words);
        check_eq(is, should);
        if (is != FAULT_DONE)
            continue;
        if (access == FAULT_WRITE)
            words[k] = value;
        else
            check_eq(now, words ? words[k] : 0);
    }
}

static void step_file(void) {
    struct model_file *f = &files[rnd_below(FILES)];
    struct object *o = &f->real->object;
    u64 index = rnd_below(FILE_PAGES), k = rnd_below(WORDS), first = rnd_below(FILE_PAGES);
    switch (rnd_below(6)) {
    case 0:
        if (!one_in(3))
            break;
        f->size = rnd_below(FILE_PAGES) * PAGE_SIZE;
        note("resize file %c %ld pages", f->real->letter, (long)(f->size / PAGE_SIZE));
        host_file_resize(f->real, f->size);
        for (u64 i = file_pages(f); i < FILE_PAGES; i++)
            memset(f->words[i], 0, sizeof(f->words[i]));
        for (struct model_space *m = spaces; m < spaces + SPACES; m++) /* private copies past the end go, too */
            for (unsigned i = 0; m->real && i < m->map_count; i++) {
                struct model_map *x = &m->maps[i];
                u64 kept = file_pages(f) > x->offset ? file_pages(f) - x->offset : 0;
                if (x->file == f - files && kept < x->end - x->first)
                    own_drop(m, x->first + kept, x->end);
            }
        break;
    case 1:
        if (index >= file_pages(f))
            break;
        note("write file %c page %ld word %ld", f->real->letter, (long)index, (long)k);
        f->words[index][k] = rnd();
        host_file_write(f->real, index * PAGE_SIZE + word_offset[k], f->words[index][k]);
        break;
    case 2:
        note("sync file %c from %ld", f->real->letter, (long)first);
        check_eq(object_sync(o, first, first + rnd_below(30)), 0);
        break;
    case 3:
        note("drop file %c from %ld", f->real->letter, (long)first);
        object_drop(o, first, first + rnd_below(30));
        break;
    case 4:
        note("reclaim");
        vm_reclaim(1 + rnd_below(40));
        break;
    default:
        if (f->real->contents || !one_in(3)) /* holes are for shared memory: the backend here has none */
            break;
        note("punch file %c %ld+20", f->real->letter, (long)first);
        mutex_lock(&o->mutex);
        object_punch(o, first, first + 20);
        mutex_unlock(&o->mutex);
        for (u64 i = first; i < min(first + 20, (u64)FILE_PAGES); i++)
            memset(f->words[i], 0, sizeof(f->words[i]));
    }
}

/* Pages of the range that the next operation will change, or the last one has, seen by the CPUs that have the space
 * loaded. */
static void probe(struct model_space *m, u64 first, u64 end) {
    for (unsigned c = 0; c < cpu_count; c++) {
        if (!host_loaded(c, m->real))
            continue;
        host_cpu(c);
        for (unsigned i = 0; i < 3; i++)
            compare_word(m, first + rnd_below(min(end - first, (u64)20)), (unsigned)rnd_below(WORDS));
        compare_word(m, end - 1, (unsigned)rnd_below(WORDS));
    }
}

/* ---- a run */

static void files_make(void) {
    for (unsigned i = 0; i < FILES; i++) {
        bool backed = i % 2 == 0;
        struct model_file *f = &files[i];
        f->size = (20 + rnd_below(FILE_PAGES - 20)) * PAGE_SIZE;
        f->real = host_file_new((char)('A' + i), f->size, backed);
        if (backed)
            f->real->pages = max(f->real->pages, (u64)FILE_PAGES);
        for (u64 p = 0; p < file_pages(f) && backed; p++)
            for (unsigned k = 0; k < WORDS; k++)
                f->words[p][k] = (u64)('A' + i) << 56 | p << 16 | word_offset[k] / 8;
    }
}

static struct model_space *some_space(void) {
    for (;;) {
        struct model_space *m = &spaces[rnd_below(SPACES)];
        if (m->real)
            return m;
    }
}

static void one_step(unsigned live) {
    struct model_space *m = some_space();
    on_some_cpu(m);
    u64 dice = rnd_below(100);
    last_end = 0;
    if (dice < 14)
        step_map(m);
    else if (dice < 20)
        step_unmap(m);
    else if (dice < 27)
        step_protect(m);
    else if (dice < 30)
        step_discard(m);
    else if (dice < 34)
        step_remap(m);
    else if (dice < 37)
        step_advise(m);
    else if (dice < 39)
        step_brk(m);
    else if (dice < 44)
        step_fork(m);
    else if (dice < 47 && live > 1)
        step_exit(m);
    else if (dice < 53)
        step_file();
    else
        step_access(m);
    if (m->real && last_end)
        probe(m, last_first, last_end);
}

static void run(unsigned steps, bool injecting) {
    files_make();
    host_settle();
    at_start = host_count();
    step_create();
    step_create();
    for (step_number = 0; step_number < steps; step_number++) {
        unsigned live = 0;
        inject = injecting && one_in(2) ? 1 + (unsigned)rnd_below(6) : 0;
        for (unsigned i = 0; i < SPACES; i++)
            live += spaces[i].real != NULL;
        one_step(live);
        for (unsigned i = 0; i < SPACES; i++)
            if (spaces[i].real)
                compare_maps(&spaces[i]);
        host_check();
    }
    for (struct model_space *m = spaces; m < spaces + SPACES; m++)
        if (m->real)
            step_exit(m);
    for (unsigned c = 0; c < cpu_count; c++) {
        host_cpu(c);
        space_load(NULL);
    }
    for (unsigned i = 0; i < FILES; i++) {
        check_eq(files[i].real->references, 1);
        host_file_put(files[i].real);
    }
    check_no_leak(at_start);
}

test_seeds(model, 60) {
    machine_start((struct host_config){.cpus = 3});
    run(300, false);
}
test_seeds(model_with_failing_allocations, 60) {
    machine_start((struct host_config){.cpus = 3});
    run(300, true);
}
