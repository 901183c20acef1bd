/* map.c - what system calls ask of an address space: find a place, check limits, and call the range operation. */
#include "vm/inner.h"

static bool range_valid(u64 address, u64 bytes) {
    u64 top = USER_PAGES << PAGE_SHIFT;
    return !(address & (PAGE_SIZE - 1)) && bytes && bytes <= top && address <= top - bytes;
}

/* Pages of [first, first + pages) that are mapped now, and would be replaced. range held. */
static __attribute__((noinline)) u64 mapped_within(struct space *s, u64 first, u64 pages) {
    struct piece p;
    u64 n = 0;
    space_close(s);
    for (u64 page = first; page < first + pages && piece_next(s, page, &p) && p.first < first + pages; page = p.end)
        n += min(p.end, first + pages) - p.first;
    space_open(s);
    return n;
}

static inline bool within_limits(const struct space *s, const struct view *v, u64 pages) {
    return (s->sum.total + pages) << PAGE_SHIFT <= s->limits.address_space &&
           (!view_is_data(v) || (s->sum.data + pages) << PAGE_SHIFT <= s->limits.data);
}

static inline int check_limits(struct space *s, const struct view *v, u64 first, u64 pages) {
    if (unlikely(!within_limits(s, v, pages)) && !within_limits(s, v, pages - mapped_within(s, first, pages)))
        return -ENOMEM;
    bool locks = likely(!(v->flags & VIEW_LOCKED)) || (s->sum.locked + pages) << PAGE_SHIFT <= s->limits.locked;
    return locks ? 0 : -EAGAIN;
}

/* MAP_FIXED_NOREPLACE. */
static bool is_taken(struct space *s, u64 first, u64 end) {
    struct piece p;
    space_close(s);
    bool taken = piece_next(s, first, &p) && p.first < end;
    space_open(s);
    return taken;
}

/* Where the mapping goes: its first page, or -errno. range held. */
static long place(struct space *s, const struct map_request *r, u64 pages) {
    u64 first = r->address >> PAGE_SHIFT, below = r->how & MAP_BELOW_4G ? (2 * GiB) >> PAGE_SHIFT : USER_PAGES;
    if (r->how & (MAP_AT | MAP_AT_FREE)) {
        if (!range_valid(r->address, pages << PAGE_SHIFT))
            return r->address & (PAGE_SIZE - 1) ? -EINVAL : -ENOMEM;
        if (first < FIRST_PAGE && !s->limits.low)
            return -EPERM;
        return (r->how & MAP_AT_FREE) && is_taken(s, first, first + pages) ? -EEXIST : (long)first;
    }
    u64 hint = r->address >> PAGE_SHIFT ? max(r->address >> PAGE_SHIFT, FIRST_PAGE) : 0;
    u64 room = r->room >> PAGE_SHIFT;
    first = gap_find(s, pages + room, hint, below);
    return first ? (long)(first + room) : -ENOMEM;
}

/* A reference, if it has a file; others are the space's own. range held. */
static struct view *view_of_request(struct space *s, const struct map_request *r) {
    u32 flags = r->flags | s->locked_default, max_prot = r->max_prot ? r->max_prot : VIEW_PROT;
    if ((flags & VIEW_WRITE) && !(flags & (VIEW_SHARED | VIEW_NORESERVE)))
        flags |= VIEW_ACCOUNT;
    struct view *recent = s->recent;
    if (!r->file && recent && recent->flags == flags && recent->max_prot == max_prot && recent->name == r->name)
        return recent;
    struct view proto = {.flags = flags, .max_prot = max_prot, .file = r->file, .name = r->name};
    struct view *view = view_intern(&proto);
    if (view && !view->file) {
        s->recent = view;
        if (recent)
            view_put(recent);
    }
    return view;
}

/* Finds a place and maps it. range held. Returns the first page, or -errno; *fill: it shall be present at once. */
static long map_held(struct space *s, const struct map_request *r, u64 pages, bool *fill) {
    long first = place(s, r, pages);
    struct view *view = first < 0 ? NULL : view_of_request(s, r);
    if (!view)
        return first < 0 ? first : -ENOMEM;
    int error = check_limits(s, view, first, pages);
    if (!error)
        error = space_replace(s, first, first + pages, view, r->offset >> PAGE_SHIFT);
    *fill = (r->how & MAP_FILL) || (view->flags & (VIEW_LOCKED | VIEW_ONFAULT)) == VIEW_LOCKED;
    if (view->file)
        view_put(view);
    return error ? error : first;
}

long space_map(struct space *s, const struct map_request *r) {
    u64 bytes = page_align_up(r->bytes), pages = bytes >> PAGE_SHIFT;
    if (!r->bytes || (r->offset & (PAGE_SIZE - 1)))
        return -EINVAL;
    if (bytes < r->bytes || pages > USER_PAGES)
        return -ENOMEM;
    if (r->file && (r->offset >> PAGE_SHIFT) + pages >= (1ULL << 63) >> PAGE_SHIFT)
        return -EOVERFLOW;
    bool fill = false;
    mutex_lock(&s->range);
    long first = map_held(s, r, pages, &fill);
    mutex_unlock(&s->range);
    u64 address = first < 0 ? 0 : (u64)first << PAGE_SHIFT;
    event(EVENT_MAP, address, 1);
    if (first >= 0 && fill) /* mmap(2): failing to populate is not an error */
        (void)space_fill(s, address, bytes);
    views_reap();
    return first < 0 ? first : (long)address;
}

int space_unmap(struct space *s, u64 address, u64 bytes) {
    bytes = page_align_up(bytes);
    if (!range_valid(address, bytes))
        return -EINVAL;
    u64 first = address >> PAGE_SHIFT, end = first + (bytes >> PAGE_SHIFT);
    mutex_lock(&s->range);
    int error = space_clear(s, first, end);
    mutex_unlock(&s->range);
    event(EVENT_UNMAP, address, 1);
    views_reap();
    return error;
}

int space_protect(struct space *s, u64 address, u64 bytes, u32 prot) {
    return space_protect_key(s, address, bytes, prot, KEY_STAYS, 0);
}

/* What comes of private memory that becomes writable, as far as mprotect(2) gets: it ends at a hole, and at what may
 * not become that. */
struct gained {
    u64 data;       /* pages that RLIMIT_DATA counts from now on */
    u64 first, end; /* what was locked lies in there: it is to be filled */
};

/* range held. */
static struct gained gained(struct space *s, u64 first, u64 end, u32 prot) {
    struct gained g = {.first = end, .end = first};
    struct piece p;
    space_close(s);
    for (u64 page = first; page < end && piece_next(s, page, &p) && p.first <= page && !(prot & ~p.view->max_prot);
         page = p.end) {
        u32 flags = p.view->flags;
        if (flags & (VIEW_WRITE | VIEW_SHARED))
            continue;
        g.data += flags & VIEW_GROWSDOWN ? 0 : min(p.end, end) - page;
        if (flags & VIEW_LOCKED) {
            g.first = min(g.first, page);
            g.end = min(p.end, end);
        }
    }
    space_open(s);
    return g;
}

/* Locked memory that may be written from now on is there from now on (its copies too, where it is a file's). */
static void fill_locked(struct space *s, const struct gained *g) {
    struct mapping m;
    u64 end = g->end << PAGE_SHIFT;
    for (u64 at = g->first << PAGE_SHIFT; space_walk_to(s, at, end, &m);) {
        bool locked = m.view->flags & VIEW_LOCKED && !(m.view->flags & VIEW_SHARED);
        u64 start = max(m.start, at);
        at = min(m.end, end);
        space_walk_end(&m);
        if (locked)
            (void)space_fill(s, start, at - start);
    }
}

int space_protect_key(struct space *s, u64 address, u64 bytes, u32 prot, u32 key, u32 leaves) {
    struct view_change change = {.set = prot, .clear = VIEW_PROT & ~prot, .leaves = leaves};
    u64 top = USER_PAGES << PAGE_SHIFT;
    bytes = page_align_up(bytes);
    if (address & (PAGE_SIZE - 1))
        return -EINVAL;
    if (!bytes)
        return 0;
    if (address >= top || address + bytes < address)
        return -ENOMEM;
    bool beyond = bytes > top - address; /* what is below is changed; the rest is not mapped */
    bytes = min(bytes, top - address);
    if (key != KEY_STAYS) {
        change.set |= key;
        change.clear |= VIEW_KEY & ~key;
    }
    u64 first = address >> PAGE_SHIFT, end = first + (bytes >> PAGE_SHIFT);
    mutex_lock(&s->range);
    struct gained g = {0};
    if (prot & VIEW_WRITE && (s->limits.data != ~0UL || s->sum.locked))
        g = gained(s, first, end, prot);
    int error = g.data && (s->sum.data + g.data) << PAGE_SHIFT > s->limits.data ? -ENOMEM : 0;
    if (!error)
        error = space_review(s, first, end, change);
    bool fill = !error && g.first < g.end;
    if (!error && beyond)
        error = -ENOMEM;
    mutex_unlock(&s->range);
    event(EVENT_PROTECT, address, 1);
    if (fill)
        fill_locked(s, &g);
    views_reap();
    return error;
}

/* For advice: each mapped part of the range; holes are remembered and reported at the end, as madvise(2) does. */
static int each_part(struct space *s, u64 address, u64 bytes,
                     int (*part)(struct space *s, const struct piece *p, void *a), void *argument) {
    u64 page = address >> PAGE_SHIFT, end = page + (page_align_up(bytes) >> PAGE_SHIFT);
    int error = 0;
    bool hole = false;
    mutex_lock(&s->range);
    while (page < end && !error) {
        struct piece p;
        space_close(s);
        bool found = piece_next(s, page, &p) && p.first < end;
        space_open(s);
        hole |= !found || p.first > page;
        if (!found)
            break;
        p.end = min(p.end, end);
        page = p.end;
        error = part(s, &p, argument);
    }
    mutex_unlock(&s->range);
    views_reap();
    return error ? error : hole ? -ENOMEM : 0;
}

static int advise_part(struct space *s, const struct piece *p, void *argument) {
    const struct advice *a = argument;
    int error = a->refuses ? a->refuses(p->view) : 0;
    if (error)
        return error;
    if (a->discard) {
        event(EVENT_DISCARD, p->first << PAGE_SHIFT, 1);
        return space_empty(s, p->first, p->end);
    }
    if (a->spares && a->spares(p->view))
        return 0;
    if (a->pages) {
        a->pages(s, p->first, p->end);
        return 0;
    }
    return space_review(s, p->first, p->end, (struct view_change){.set = a->set, .clear = a->clear});
}

int space_advise(struct space *s, u64 address, u64 bytes, const struct advice *a) {
    u64 top = USER_PAGES << PAGE_SHIFT, end = address + page_align_up(bytes);
    if (address >= top)
        return -ENOMEM;
    int error = each_part(s, address, min(end, top) - address, advise_part, (void *)a);
    return error ? error : end > top ? -ENOMEM : 0;
}

int space_change(struct space *s, u64 address, u64 bytes, u32 set, u32 clear) {
    if (!range_valid(address, page_align_up(bytes)))
        return bytes ? -EINVAL : 0;
    return space_advise(s, address, bytes, &(struct advice){.set = set, .clear = clear});
}

int space_populate(struct space *s, u64 address, u64 bytes, bool write) {
    int error = 0;
    for (u64 a = address; a < address + bytes && !error; a += PAGE_SIZE) {
        enum fault_outcome o = space_fault_waiting(s, a, write ? FAULT_WRITE : FAULT_READ);
        error = o == FAULT_DONE ? 0 : o == FAULT_NOMEM ? -ENOMEM : -EFAULT;
        if (!error && !machine_goes_on())
            error = -EINTR;
    }
    return error;
}

/* ---- brk ---- */

void space_set_brk(struct space *s, u64 start) {
    s->brk_start = s->brk = start;
    s->info.brk_start = start;
}

static bool brk_fits(struct space *s, u64 old_end, u64 new_end) {
    struct piece p;
    space_close(s);
    bool next = piece_next(s, old_end, &p); /* a page is kept free before it, or a stack's gap */
    u64 guard = 1 + (next && p.view->flags & VIEW_GROWSDOWN ? GUARD_PAGES : 0);
    bool fits = new_end <= USER_PAGES && !(next && p.first < new_end + guard);
    space_open(s);
    u64 data = s->info.data_end - s->info.data_start;
    return fits && ((new_end << PAGE_SHIFT) - s->brk_start) + data <= s->limits.data;
}

u64 space_brk(struct space *s, u64 address) {
    struct view proto = {.flags = VIEW_READ | VIEW_WRITE | VIEW_HEAP | VIEW_ACCOUNT | s->locked_default,
                         .max_prot = VIEW_PROT};
    mutex_lock(&s->range);
    u64 old_end = page_align_up(s->brk) >> PAGE_SHIFT, new_end = page_align_up(address) >> PAGE_SHIFT;
    int error = address < s->brk_start || address > USER_PAGES << PAGE_SHIFT ? -EINVAL : 0; /* -1 would round up to 0 */
    if (!error && new_end > old_end) {
        struct view *view = view_intern(&proto);
        error = !view || !brk_fits(s, old_end, new_end) ? -ENOMEM : check_limits(s, view, old_end, new_end - old_end);
        if (!error)
            error = space_replace(s, old_end, new_end, view, 0);
        if (view)
            view_put(view);
    } else if (!error && new_end < old_end) {
        error = space_clear(s, new_end, old_end);
    }
    if (!error)
        s->brk = address;
    u64 now = s->brk, locked = s->locked_default;
    mutex_unlock(&s->range);
    if (locked && new_end > old_end && !error)
        (void)space_fill(s, old_end << PAGE_SHIFT, (new_end - old_end) << PAGE_SHIFT);
    views_reap();
    return now;
}

void space_set_mmap_top(struct space *s, u64 address) {
    s->gap_top = address >> PAGE_SHIFT;
    gap_reset(s);
}

/* ---- msync ---- */

static int hold_file(struct space *s, u64 page, u64 end, struct piece *p) {
    space_close(s);
    bool found = piece_next(s, page, p) && p->first < end;
    if (found)
        view_get(p->view);
    space_open(s);
    return found;
}

int space_sync(struct space *s, u64 address, u64 bytes, u32 how) {
    u64 page = address >> PAGE_SHIFT, top = USER_PAGES << PAGE_SHIFT;
    u64 end = page + (min(page_align_up(bytes), top - min(address, top)) >> PAGE_SHIFT);
    int error = 0;
    bool hole = page_align_up(bytes) > top - min(address, top);
    while (page < end && !error) {
        struct piece p;
        mutex_lock(&s->range); /* not across the I/O: the view's reference keeps the file */
        bool found = hold_file(s, page, end, &p);
        mutex_unlock(&s->range);
        hole |= !found || p.first > page;
        if (!found)
            break;
        if ((how & SYNC_INVALIDATE) && (p.view->flags & VIEW_LOCKED))
            error = -EBUSY;
        else if ((how & SYNC_WRITE) && p.view->file && (p.view->flags & VIEW_SHARED))
            error = object_sync_file(p.view->file, p.offset, p.offset + (min(p.end, end) - p.first));
        view_put(p.view);
        page = p.end;
    }
    views_reap();
    return error ? error : hole ? -ENOMEM : 0;
}
