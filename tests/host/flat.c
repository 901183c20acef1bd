/* flat.c - the flat model: plain arrays, linear loops, one page at a time. */
#include "flat.h"

const u64 word_offset[WORDS] = {0, 8, 2048, 4088};
struct flat flat_spaces[SPACES];
struct flat_file flat_files[FILES];
u64 contents_live;
bool flat_force, flat_remote;

static struct flat_map saved[MAPS_MOST];
static unsigned saved_count;

/* ---- contents */

static struct content *content_new(const u64 *words) {
    struct content *c = calloc(1, sizeof(*c));
    c->sharers = 1;
    if (words)
        memcpy(c->words, words, sizeof(c->words));
    contents_live++;
    return c;
}

static void content_put(struct content *c) {
    if (!c || --c->sharers)
        return;
    contents_live--;
    free(c);
}

/* ---- a space */

void flat_open(struct flat *m) {
    *m = (struct flat){.gap_top = FLAT_TOP};
    m->maps = malloc(MAPS_MOST * sizeof(*m->maps));
    m->own = malloc(OWN_MOST * sizeof(*m->own));
}

void flat_close(struct flat *m) {
    flat_own_drop(m, 0, FLAT_TOP);
    free(m->maps);
    free(m->own);
    *m = (struct flat){0};
}

void flat_fork(struct flat *child, const struct flat *parent) {
    flat_open(child);
    child->brk_start = parent->brk_start;
    child->brk = parent->brk;
    child->gap_top = parent->gap_top;
    child->gap_loose = parent->gap_loose;
    child->moved = parent->moved;
    child->map_count = parent->map_count;
    child->own_count = parent->own_count;
    memcpy(child->maps, parent->maps, parent->map_count * sizeof(*parent->maps));
    memcpy(child->own, parent->own, parent->own_count * sizeof(*parent->own));
    for (unsigned i = 0; i < child->own_count; i++)
        if (child->own[i].content)
            child->own[i].content->sharers++;
    for (unsigned i = 0; i < parent->map_count; i++) {
        const struct flat_map *x = &parent->maps[i];
        if (x->flags & VIEW_DONTFORK)
            flat_remove(child, x->first, x->end);
        if (x->flags & (VIEW_DONTFORK | VIEW_WIPEONFORK))
            flat_own_drop(child, x->first, x->end);
        else
            flat_change(child, x->first, x->end, 0, VIEW_LOCKED | VIEW_ONFAULT);
        if (x->flags & VIEW_WIPEONFORK)
            flat_change(child, x->first, x->end, 0, VIEW_LOCKED | VIEW_ONFAULT);
    }
}

/* ---- mappings */

struct flat_map *flat_above(struct flat *m, u64 page) {
    for (unsigned i = 0; i < m->map_count; i++)
        if (m->maps[i].end > page)
            return &m->maps[i];
    return NULL;
}

struct flat_map *flat_at(struct flat *m, u64 page) {
    struct flat_map *x = flat_above(m, page);
    return x && x->first <= page ? x : NULL;
}

bool flat_any(struct flat *m, u64 first, u64 end) {
    struct flat_map *x = flat_above(m, first);
    return x && x->first < end;
}

u64 flat_pages_in(struct flat *m, u64 first, u64 end) {
    u64 pages = 0;
    for (unsigned i = 0; i < m->map_count; i++)
        if (m->maps[i].first < end && m->maps[i].end > first)
            pages += min(m->maps[i].end, end) - max(m->maps[i].first, first);
    return pages;
}

u64 flat_hole(struct flat *m, u64 first, u64 end) {
    struct flat_map *x;
    while (first < end && (x = flat_at(m, first)))
        first = x->end;
    return min(first, end);
}

static void insert_at(struct flat *m, unsigned i, struct flat_map x) {
    check(m->map_count < MAPS_MOST);
    memmove(&m->maps[i + 1], &m->maps[i], (m->map_count - i) * sizeof(x));
    m->maps[i] = x;
    m->map_count++;
}

static void erase_at(struct flat *m, unsigned i) {
    m->map_count--;
    memmove(&m->maps[i], &m->maps[i + 1], (m->map_count - i) * sizeof(m->maps[0]));
}

static void split(struct flat *m, u64 page) {
    struct flat_map *x = flat_at(m, page);
    if (!x || x->first == page)
        return;
    struct flat_map right = *x;
    x->end = right.first = page;
    right.offset += x->file >= 0 ? page - x->first : 0;
    insert_at(m, (unsigned)(x - m->maps) + 1, right);
}

static bool continues(const struct flat_map *a, const struct flat_map *b) {
    return a->end == b->first && a->flags == b->flags && a->max_prot == b->max_prot && a->file == b->file &&
           (a->file < 0 || a->offset + (a->end - a->first) == b->offset);
}

static void join_all(struct flat *m) {
    for (unsigned i = 0; i + 1 < m->map_count;)
        if (continues(&m->maps[i], &m->maps[i + 1])) {
            m->maps[i].end = m->maps[i + 1].end;
            erase_at(m, i + 1);
        } else {
            i++;
        }
}

void flat_remove(struct flat *m, u64 first, u64 end) {
    if (first >= end)
        return;
    split(m, first);
    split(m, end);
    for (unsigned i = 0; i < m->map_count;)
        if (first <= m->maps[i].first && m->maps[i].end <= end)
            erase_at(m, i);
        else
            i++;
}

static bool disturbs_stack(struct flat *m, const struct flat_map *x) {
    bool disturbs = false;
    for (unsigned i = 0; i < m->map_count; i++)
        disturbs |=
            (m->maps[i].flags & VIEW_GROWSDOWN) && x->end + FLAT_GUARD > m->maps[i].first && x->first < m->maps[i].end;
    return disturbs;
}

void flat_add(struct flat *m, struct flat_map x) {
    m->gap_loose |= disturbs_stack(m, &x);
    flat_remove(m, x.first, x.end);
    struct flat_map *above = flat_above(m, x.first);
    insert_at(m, above ? (unsigned)(above - m->maps) : m->map_count, x);
    join_all(m);
}

u32 flat_accounted(u32 flags) {
    return (flags & VIEW_WRITE) && !(flags & (VIEW_SHARED | VIEW_NORESERVE)) ? flags | VIEW_ACCOUNT : flags;
}

void flat_change(struct flat *m, u64 first, u64 end, u32 set, u32 clear) {
    split(m, first);
    split(m, end);
    for (unsigned i = 0; i < m->map_count; i++)
        if (first <= m->maps[i].first && m->maps[i].end <= end)
            m->maps[i].flags = flat_accounted((m->maps[i].flags & ~clear) | set);
    join_all(m);
}

struct flat_totals flat_totals(const struct flat *m) {
    struct flat_totals t = {0};
    for (unsigned i = 0; i < m->map_count; i++) {
        const struct flat_map *x = &m->maps[i];
        u64 pages = x->end - x->first;
        t.total += pages;
        t.stack += x->flags & VIEW_GROWSDOWN ? pages : 0;
        t.data += (x->flags & (VIEW_WRITE | VIEW_SHARED | VIEW_GROWSDOWN)) == VIEW_WRITE ? pages : 0;
        t.exec += (x->flags & (VIEW_EXEC | VIEW_WRITE)) == VIEW_EXEC ? pages : 0;
        t.locked += x->flags & VIEW_LOCKED ? pages : 0;
        t.committed += x->flags & VIEW_ACCOUNT ? pages : 0;
        t.shared += x->flags & VIEW_SHARED ? pages : 0;
    }
    return t;
}

void flat_save(const struct flat *m) {
    saved_count = m->map_count;
    memcpy(saved, m->maps, saved_count * sizeof(saved[0]));
}
void flat_restore(struct flat *m) {
    m->map_count = saved_count;
    memcpy(m->maps, saved, saved_count * sizeof(saved[0]));
}

/* ---- gaps */

static u64 start_with_guard(const struct flat_map *x) {
    u64 guard = x->flags & VIEW_GROWSDOWN ? FLAT_GUARD : 0;
    return x->first > guard ? x->first - guard : 0;
}

static u64 highest_gap(struct flat *m, u64 pages, u64 top) {
    u64 best = 0;
    for (unsigned i = 0; i <= m->map_count; i++) {
        u64 low = max(i ? m->maps[i - 1].end : 0, FLAT_FLOOR);
        u64 high = min(i < m->map_count ? start_with_guard(&m->maps[i]) : FLAT_TOP, top);
        if (high >= low + pages)
            best = high - pages;
    }
    return best;
}

u64 flat_gap(struct flat *m, u64 pages, u64 hint, u64 below) {
    struct flat_map *x = hint ? flat_above(m, hint) : NULL;
    if (hint >= FLAT_FLOOR && hint + pages <= below && (!x || start_with_guard(x) >= hint + pages))
        return hint;
    u64 found = highest_gap(m, pages, min(below, m->gap_top));
    return found || below < m->gap_top ? found : highest_gap(m, pages, below);
}

/* ---- pages of its own */

unsigned flat_own_from(struct flat *m, u64 page) {
    unsigned lo = 0, hi = m->own_count;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (m->own[mid].page >= page)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

struct own_page *flat_own(struct flat *m, u64 page) {
    unsigned i = flat_own_from(m, page);
    return i < m->own_count && m->own[i].page == page ? &m->own[i] : NULL;
}

void flat_own_drop(struct flat *m, u64 first, u64 end) {
    unsigned from = flat_own_from(m, first), to = flat_own_from(m, end);
    for (unsigned i = from; i < to; i++)
        content_put(m->own[i].content);
    memmove(&m->own[from], &m->own[to], (m->own_count - to) * sizeof(m->own[0]));
    m->own_count -= to - from;
}

void flat_own_lose(struct own_page *own) {
    content_put(own->content);
    own->content = NULL;
}

u64 flat_own_there(struct flat *m, u64 first, u64 end) {
    u64 n = 0;
    for (unsigned i = flat_own_from(m, first); i < m->own_count && m->own[i].page < end; i++)
        n += m->own[i].content != NULL;
    return n;
}

static struct own_page *own_insert(struct flat *m, u64 page, struct content *c) {
    unsigned i = flat_own_from(m, page);
    check(m->own_count < OWN_MOST);
    memmove(&m->own[i + 1], &m->own[i], (m->own_count - i) * sizeof(m->own[0]));
    m->own[i] = (struct own_page){page, c, true};
    m->own_count++;
    return &m->own[i];
}

void flat_own_part(struct flat *m, u64 first, u64 end) {
    for (unsigned i = flat_own_from(m, first); i < m->own_count && m->own[i].page < end; i++) {
        struct content *old = m->own[i].content;
        if (old && old->sharers > 1) {
            m->own[i].content = content_new(old->words);
            content_put(old);
        }
    }
}

/* What moves is copied first where others have it, too; what was at the new place is gone already. */
void flat_own_move(struct flat *m, u64 from, u64 to, u64 pages) {
    struct own_page moved[OWN_MOST / 8];
    flat_own_part(m, from, from + pages);
    unsigned at = flat_own_from(m, from), n = flat_own_from(m, from + pages) - at;
    check(n < array_count(moved));
    memcpy(moved, &m->own[at], n * sizeof(moved[0]));
    memmove(&m->own[at], &m->own[at + n], (m->own_count - at - n) * sizeof(moved[0]));
    m->own_count -= n;
    for (unsigned i = 0; i < n; i++)
        own_insert(m, moved[i].page - from + to, moved[i].content);
}

/* ---- accesses */

u64 flat_file_pages(const struct flat_file *f) { return page_align_up(f->size) / PAGE_SIZE; }

/* What grows down grows over a page below it, if it stays away from its neighbour and within the limit. */
struct flat_map *flat_grow(struct flat *m, u64 page) {
    struct flat_map *x = flat_above(m, page);
    u64 size = x ? x->end - page : 0;
    struct flat_map *below = x > m->maps ? x - 1 : NULL;
    if (!x || !(x->flags & VIEW_GROWSDOWN) || page < FLAT_FLOOR)
        return NULL;
    if (below && below->end + FLAT_GUARD > page && !(below->flags & VIEW_GROWSDOWN) && (below->flags & VIEW_PROT))
        return NULL;
    struct space_limits *l = space_limits(m->real);
    if (size << PAGE_SHIFT > l->stack || (flat_totals(m).total + x->first - page) << PAGE_SHIFT > l->address_space)
        return NULL;
    if ((x->flags & VIEW_LOCKED) && (flat_totals(m).locked + x->first - page) << PAGE_SHIFT > l->locked)
        return NULL;
    struct flat_map more = *x;
    more.end = x->first;
    more.first = page;
    flat_add(m, more);
    return flat_at(m, page);
}

enum fault_outcome flat_access(struct flat *m, u64 page, enum fault_access access, u64 **words) {
    struct flat_map *x = flat_at(m, page);
    *words = NULL;
    if (!x && page < FLAT_TOP && (!flat_remote || flat_force))
        x = flat_grow(m, page);
    if (!x)
        return FAULT_MAPERR;
    u32 need = access == FAULT_WRITE ? VIEW_WRITE : access == FAULT_EXEC ? VIEW_EXEC : VIEW_PROT;
    bool forced = flat_force && x->file != FILE_DEVICE &&
                  (access == FAULT_WRITE ? !(x->flags & VIEW_SHARED) : x->max_prot & VIEW_READ);
    if (!(x->flags & need) && !forced)
        return FAULT_ACCERR;
    struct own_page *own = flat_own(m, page);
    if (own && !own->content)
        return FAULT_POISON;
    if (own) {
        if (access == FAULT_WRITE)
            flat_own_part(m, page, page + 1);
        own->written |= access == FAULT_WRITE;
        *words = own->content->words;
        return FAULT_DONE;
    }
    if (x->file >= 0) {
        u64 index = x->offset + (page - x->first);
        if (index >= flat_file_pages(&flat_files[x->file]))
            return FAULT_BUS_ADRERR;
        if (flat_files[x->file].lost[index])
            return FAULT_POISON;
        *words = flat_files[x->file].words[index];
    }
    if (access == FAULT_WRITE && !(x->flags & VIEW_SHARED))
        *words = own_insert(m, page, content_new(*words))->content->words;
    return FAULT_DONE;
}
