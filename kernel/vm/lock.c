/* lock.c - memory that shall stay: mlock(2) and its kin, and making memory present before it is touched.
 *
 * Locking is a change of views, as every advice; what is special is that it stops at the first hole, has a limit, and
 * that the pages are made present afterwards, with nothing held: a page that cannot be had is an error, but the lock
 * stays. Owns nothing. */
#include "vm/inner.h"

#define LOCK_BITS (VIEW_LOCKED | VIEW_ONFAULT)

/* The end of the part of [first, end) that is mapped without a hole from `first` on; *locked: pages of it that are
 * locked already. range held, closed. */
static u64 without_hole(struct space *s, u64 first, u64 end, u64 *locked) {
    struct piece p = {.end = first};
    *locked = 0;
    while (p.end < end) {
        u64 page = p.end;
        if (!piece_next(s, page, &p) || p.first > page)
            return page;
        if (p.view->flags & VIEW_LOCKED)
            *locked += min(p.end, end) - page;
    }
    return end;
}

/* Pages of [first, end) that are locked, holes or not. range held, closed. */
static u64 locked_within(struct space *s, u64 first, u64 end) {
    struct piece p;
    u64 n = 0;
    for (u64 page = first; page < end && piece_next(s, page, &p) && p.first < end; page = p.end)
        if (p.view->flags & VIEW_LOCKED)
            n += min(p.end, end) - p.first;
    return n;
}

static int lock_held(struct space *s, u64 first, u64 end, u32 lock) {
    u64 pages, stop;
    space_close(s);
    u64 after = s->sum.locked + (end - first) - locked_within(s, first, end);
    stop = without_hole(s, first, end, &pages);
    space_open(s);
    if (lock && after << PAGE_SHIFT > s->limits.locked)
        return -ENOMEM;
    int error = 0;
    if (first < stop)
        error = space_review(s, first, stop, (struct view_change){.set = lock, .clear = LOCK_BITS & ~lock});
    return error ? error : stop < end ? -ENOMEM : 0;
}

int space_lock(struct space *s, u64 address, u64 bytes, u32 lock) {
    u64 end = (address + bytes) >> PAGE_SHIFT;
    mutex_lock(&s->range);
    int error = lock_held(s, address >> PAGE_SHIFT, min(end, USER_PAGES), lock);
    mutex_unlock(&s->range);
    views_reap();
    if (!error && end > USER_PAGES)
        error = -ENOMEM;
    return error;
}

void space_lock_future(struct space *s, u32 lock) {
    mutex_lock(&s->range);
    s->locked_default = lock;
    mutex_unlock(&s->range);
}

/* The mapping with the first mapped page from *page on, before end: what its flags are. */
static bool next_to_fill(struct space *s, u64 *page, u64 end, u64 *stop, u32 *flags) {
    struct piece p;
    mutex_lock(&s->range);
    space_close(s);
    bool found = piece_next(s, *page, &p) && p.first < end;
    if (found) {
        *flags = p.view->flags;
        *page = p.first;
        *stop = min(p.end, end);
    }
    space_open(s);
    mutex_unlock(&s->range);
    return found;
}

/* Pages [page, stop) of a mapping with these flags. */
static int fill(struct space *s, u64 page, u64 stop, u32 flags) {
    bool wanted = (flags & LOCK_BITS) != LOCK_BITS, own = (flags & (VIEW_WRITE | VIEW_SHARED)) == VIEW_WRITE;
    enum fault_access access = own ? FAULT_WRITE : flags & VIEW_PROT & ~VIEW_EXEC ? FAULT_READ : FAULT_EXEC;
    int error = 0;
    if (wanted && (flags & VIEW_PROT) == VIEW_EXEC && (flags & VIEW_KEY))
        error = -EFAULT; /* its key lets nobody read it */
    for (; wanted && page < stop && !error; page++) {
        enum fault_outcome o = space_fault_waiting(s, page << PAGE_SHIFT, access);
        error = o == FAULT_DONE ? 0 : o == FAULT_NOMEM ? -ENOMEM : -EFAULT;
        if (!error && !machine_goes_on())
            error = -EINTR;
    }
    return error;
}

int space_fill(struct space *s, u64 address, u64 bytes) {
    u64 page = address >> PAGE_SHIFT, end = min((address + bytes) >> PAGE_SHIFT, USER_PAGES), stop;
    u32 flags;
    int error = 0;
    for (; page < end && !error && next_to_fill(s, &page, end, &stop, &flags); page = stop)
        error = fill(s, page, stop, flags);
    return error;
}

void space_fill_all(struct space *s) {
    u64 stop;
    u32 flags;
    bool goes_on = true;
    for (u64 page = 0; page < USER_PAGES && goes_on && next_to_fill(s, &page, USER_PAGES, &stop, &flags); page = stop) {
        int error = fill(s, page, stop, flags);
        goes_on = !error || error == -EFAULT;
    }
}
