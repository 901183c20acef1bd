/* piece.c - reading the plans of a whole space: the next and the previous piece, mappings joined across tables, totals.
 */
#include "vm/inner.h"
#include "vm/swap.h"

/* The space is closed, so no pointer on its own paths changes; a shared table may gain a lower table at any time, and
 * gets its runs moved down under its lock: hence each table is read locked, and the lower one only after. The search
 * begins at the deepest table of the page's path, where the answer nearly always is, and goes up when that has no more.
 */

/* In t, from rel on: the first run (into *out), or the first table below if that comes before. NULL and no run:
 * neither. */
static struct table *next_here(struct table *t, u64 rel, struct piece *out, bool *found) {
    struct table *lower = NULL;
    spin_lock(&t->lock);
    unsigned i = plan_from(t, rel), slot = t->level > 1 ? table_next(t, rel / slot_pages(t->level)) : TABLE_SLOTS;
    struct run *run = i < t->run_count ? &t->runs[i] : NULL;
    if (slot < TABLE_SLOTS && (!run || slot * slot_pages(t->level) <= max(run->first, rel))) {
        lower = table_below(slot_read(&t->slots[slot]));
    } else if (run) {
        u64 first = max(run->first, rel);
        *out = (struct piece){t->base + first, t->base + run->end, run->view, run->offset};
        if (run->view->file)
            out->offset += first - run->first;
        *found = true;
    }
    spin_unlock(&t->lock);
    return lower;
}

bool piece_next_from(struct walk *w, u64 page, u64 limit, struct piece *out) {
    bool found = false;
    while (page < limit) {
        struct table *t = w->table[w->level];
        u64 rel = page > t->base ? page - t->base : 0;
        struct table *lower = rel < table_pages(t) ? next_here(t, rel, out, &found) : NULL;
        if (found)
            return out->first < limit;
        if (lower) {
            w->table[--w->level] = lower;
            page = max(page, lower->base);
        } else {
            if (w->level == TABLE_LEVELS)
                return false;
            page = t->base + table_pages(t);
            w->level++;
        }
    }
    return false;
}

bool piece_next(struct space *s, u64 page, struct piece *out) {
    struct walk w;
    if (page >= USER_PAGES)
        return false;
    walk_down(s, page, &w);
    return piece_next_from(&w, page, USER_PAGES, out);
}

static struct table *prev_here(struct table *t, u64 rel, struct piece *out, bool *found) {
    struct table *lower = NULL;
    spin_lock(&t->lock);
    unsigned i = plan_from(t, rel - 1); /* the run with rel - 1, or the first after it */
    if (i == t->run_count || t->runs[i].first >= rel)
        i--; /* wraps to no run */
    struct run *run = i < t->run_count ? &t->runs[i] : NULL;
    int slot = t->level > 1 ? table_prev(t, (rel - 1) / slot_pages(t->level)) : -1;
    if (slot >= 0 && (!run || slot * slot_pages(t->level) >= run->end)) {
        lower = table_below(slot_read(&t->slots[slot]));
    } else if (run) {
        *out = (struct piece){t->base + run->first, t->base + min(run->end, rel), run->view, run->offset};
        *found = true;
    }
    spin_unlock(&t->lock);
    return lower;
}

bool piece_prev_from(struct walk *w, u64 page, u64 limit, struct piece *out) {
    bool found = false;
    while (page > limit) {
        struct table *t = w->table[w->level];
        u64 rel = page > t->base ? min(page - t->base, table_pages(t)) : 0;
        struct table *lower = rel ? prev_here(t, rel, out, &found) : NULL;
        if (found)
            return out->end > limit;
        if (lower) {
            w->table[--w->level] = lower;
            page = min(page, lower->base + table_pages(lower));
        } else {
            if (w->level == TABLE_LEVELS)
                return false;
            page = t->base;
            w->level++;
        }
    }
    return false;
}

bool piece_prev(struct space *s, u64 page, struct piece *out) {
    struct walk w;
    if (!page)
        return false;
    walk_down(s, page - 1, &w);
    return piece_prev_from(&w, page, 0, out);
}

bool joined_next(struct space *s, u64 page, struct piece *out) {
    struct piece next;
    if (!piece_next(s, page, out))
        return false;
    while (piece_next(s, out->end, &next) && run_continues(out->view, out->end, out->offset + (out->end - out->first),
                                                           next.view, next.first, next.offset))
        out->end = next.end;
    return true;
}

u64 joined_count(struct space *s, u64 first, u64 end) {
    struct piece p;
    u64 n = 0;
    for (u64 page = first; page < end && joined_next(s, page, &p) && p.first < end; page = p.end)
        n++;
    return n;
}

void tally_add(struct tally *y, const struct view *v, s64 pages) {
    u32 f = v->flags;
    y->total += pages;
    if (view_is_data(v))
        y->data += pages;
    if (f & VIEW_ACCOUNT)
        y->committed += pages;
    if (!(f & (VIEW_GROWSDOWN | VIEW_EXEC | VIEW_SHARED | VIEW_SPECIAL_FOR_FORK)) && !v->watch) /* as most */
        return;
    if (f & VIEW_GROWSDOWN)
        y->stack += pages;
    if ((f & VIEW_EXEC) && !(f & VIEW_WRITE))
        y->exec += pages;
    if (f & VIEW_LOCKED)
        y->locked += pages;
    if (f & VIEW_SHARED)
        y->shared += pages;
    if (f & VIEW_SPECIAL_FOR_FORK || v->watch)
        y->special += pages;
}

/* ---- for /proc ---- */

bool space_walk(struct space *s, u64 from, struct mapping *out) {
    struct piece p;
    mutex_lock(&s->range);
    space_close(s);
    bool found = joined_next(s, page_align_up(from) >> PAGE_SHIFT, &p);
    if (found) {
        view_get(p.view);
        *out = (struct mapping){p.first << PAGE_SHIFT, p.end << PAGE_SHIFT, p.view, p.offset << PAGE_SHIFT};
    }
    space_open(s);
    mutex_unlock(&s->range);
    return found;
}

bool space_walk_to(struct space *s, u64 from, u64 end, struct mapping *out) {
    bool found = from < end && space_walk(s, from, out), within = found && out->start < end;
    if (found && !within)
        space_walk_end(out);
    return within;
}

void space_walk_end(struct mapping *m) {
    view_put(m->view);
    views_reap();
}

static void usage_of_frame(struct frame *f, u64 sharers, entry e, struct space_usage *u) {
    u64 users = (u64)atomic_load(&f->mapped) + sharers - 1;
    bool dirty = (e & ENTRY_DIRTY) || (frame_flags(f) & FRAME_DIRTY) || frame_class(f) == FRAME_ANON;
    if (frame_class(f) == FRAME_ANON)
        u->anon++;
    else if (frame_class(f) == FRAME_SHMEM)
        u->shmem++;
    else
        u->file++;
    if (users > 1)
        dirty ? u->shared_dirty++ : u->shared_clean++;
    else
        dirty ? u->private_dirty++ : u->private_clean++;
    if ((e & (ENTRY_LAZY | ENTRY_DIRTY)) == ENTRY_LAZY)
        u->lazy++;
    if (e & ENTRY_ACCESSED)
        u->referenced++;
    u->pss_bytes += PAGE_SIZE / users;
}

static void usage_in(struct table *t, u64 first, u64 end, u64 sharers, struct space_usage *u);

static void usage_below(struct table *t, unsigned i, u64 first, u64 end, u64 sharers, struct space_usage *u) {
    bool large;
    struct table *lower = table_lower(t, i, &large);
    if (large)
        u->large += min(end, lower->base + TABLE_SLOTS) - max(first, lower->base);
    usage_in(lower, first, end, sharers, u);
}

/* Locked, so that what a slot maps is mapped: reclaim may take it from there any moment. */
static void usage_in_leaf(struct table *t, unsigned from, unsigned to, u64 sharers, struct space_usage *u) {
    spin_lock(&t->lock);
    for (unsigned i = from; i < to; i++) {
        entry e = slot_read(&t->slots[i]);
        if (entry_swapped(e)) {
            u->swap++;
            u->swap_pss_bytes += PAGE_SIZE / (sharers * max(swap_users(entry_swap_slot(e)), 1u));
        } else if (!entry_empty(e) && !entry_special(e)) {
            usage_of_frame(frame_of_phys(entry_phys(e)), sharers, e, u);
        }
    }
    spin_unlock(&t->lock);
}

static void usage_in(struct table *t, u64 first, u64 end, u64 sharers, struct space_usage *u) {
    u64 step = slot_pages(t->level);
    unsigned from = first > t->base ? (first - t->base) / step : 0;
    unsigned to = min((end - t->base + step - 1) / step, (u64)TABLE_SLOTS);
    sharers *= atomic_load(&t->shares);
    if (t->level == 1)
        usage_in_leaf(t, from, to, sharers, u);
    for (unsigned i = from; t->level > 1 && i < to; i++)
        if ((t->below[i / 64] >> (i % 64)) & 1)
            usage_below(t, i, first, end, sharers, u);
}

static void unreference_large(struct table *t, unsigned i) {
    spin_lock(&t->lock);
    if (entry_is_large(slot_read(&t->slots[i])))
        slot_clear_bits(&t->slots[i], ENTRY_ACCESSED);
    spin_unlock(&t->lock);
}

static void unreference_in(struct table *t, u64 first, u64 end) {
    u64 step = slot_pages(t->level);
    unsigned from = first > t->base ? (first - t->base) / step : 0;
    unsigned to = min((end - t->base + step - 1) / step, (u64)TABLE_SLOTS);
    for (unsigned i = t->level > 1 ? table_next(t, from) : TABLE_SLOTS; i < to; i = table_next(t, i + 1)) {
        bool large;
        struct table *lower = table_lower(t, i, &large);
        if (large)
            unreference_large(t, i);
        unreference_in(lower, first, end);
    }
    if (t->level > 1)
        return;
    spin_lock(&t->lock);
    for (unsigned i = from; i < to; i++)
        if (entry_present(slot_read(&t->slots[i])))
            slot_clear_bits(&t->slots[i], ENTRY_ACCESSED);
    spin_unlock(&t->lock);
}

void space_unreference(struct space *s, u64 start, u64 end) {
    mutex_lock(&s->range);
    space_close(s);
    epoch_enter();
    unreference_in(s->root, start >> PAGE_SHIFT, min(end, USER_PAGES << PAGE_SHIFT) >> PAGE_SHIFT);
    epoch_leave();
    machine_flush(&s->m, start, end, false); /* what is used from now on is to be seen */
    space_open(s);
    mutex_unlock(&s->range);
}

void space_usage(struct space *s, u64 start, u64 end, struct space_usage *out) {
    *out = (struct space_usage){0};
    mutex_lock(&s->range);
    space_close(s);
    epoch_enter();
    usage_in(s->root, start >> PAGE_SHIFT, min(end, USER_PAGES << PAGE_SHIFT) >> PAGE_SHIFT, 1, out);
    epoch_leave();
    space_open(s);
    mutex_unlock(&s->range);
}

/* Tables and resident pages below t, shared ones in full: from the leaves' own counters, not slot by slot. */
static void count_in(const struct table *t, u64 *tables, u64 *resident) {
    ++*tables;
    for (unsigned words = atomic_load_relaxed(&t->below_words); words; words &= words - 1) {
        unsigned word = __builtin_ctz(words);
        for (u64 bits = atomic_load_relaxed(&t->below[word]); bits; bits &= bits - 1) {
            entry e = slot_read(&t->slots[word * 64 + __builtin_ctzll(bits)]);
            if (t->level > 2) {
                count_in(table_of_entry(e), tables, resident);
            } else if (unlikely(!entry_is_table(e))) { /* shown large, or just becoming small */
                ++*tables;
                *resident += TABLE_SLOTS;
            } else { /* every exit looks at every leaf: no call for each */
                const struct table *lower = table_of_entry(e);
                ++*tables;
                *resident += atomic_load_relaxed(&lower->anon) + atomic_load_relaxed(&lower->object);
            }
        }
    }
}

u64 resident_sample(struct space *s) {
    u64 tables = 0, resident = 0;
    count_in(s->root, &tables, &resident);
    s->peak_resident = max(s->peak_resident, resident);
    return tables;
}

void space_reset_peak(struct space *s) {
    mutex_lock(&s->range);
    space_close(s);
    s->peak_resident = 0;
    resident_sample(s);
    space_open(s);
    mutex_unlock(&s->range);
}

void space_totals(struct space *s, struct space_totals *out) {
    mutex_lock(&s->range);
    space_close(s);
    u64 tables = resident_sample(s);
    const struct tally *y = &s->sum;
    *out = (struct space_totals){y->total,  y->data,     y->stack, y->exec,       y->locked,       y->committed,
                                 y->shared, s->mappings, tables,   s->peak_total, s->peak_resident};
    space_open(s);
    mutex_unlock(&s->range);
}
