/* gap.c - finding a free range, from the top down (mmap(2) without MAP_FIXED).
 *
 * For each power of two 2^k of pages the space remembers a page below which to look: no gap of 2^k pages or more lies
 * in [gap_from[k], gap_top). A search lowers what it has proved; freeing a range raises it again. So a program that
 * maps many equal pieces searches each place once.
 *
 * And it remembers one hole, the last that was found or freed. Most programs take from it and give back to it:
 *
 *     heap|..........hole..........|map|map|stack       where the search would begin, gap_from[k], is the hole's end:
 *                           new ^^^|                     it would find that hole; unmapping what lies above it makes
 *                                                        it grow, and there is no need to look how far it reaches.
 *
 * All with s->range held. */
#include "vm/inner.h"

static unsigned class_below(u64 pages) {
    return min(63u - __builtin_clzll(pages), GAP_CLASSES - 1);
} /* floor of log2 */
static unsigned class_above(u64 pages) { return pages > 1 ? 64 - __builtin_clzll(pages - 1) : 0; } /* ceiling */

void gap_reset(struct space *s) {
    for (unsigned k = 0; k < GAP_CLASSES; k++)
        s->gap_from[k] = s->gap_top;
    s->hole_first = s->hole_end = 0;
}

static bool is_free(struct space *s, u64 first, u64 end) {
    struct piece p;
    return first >= FIRST_PAGE && end <= USER_PAGES && first < end &&
           (!piece_next(s, first, &p) || start_with_guard(p.view, p.first) >= end);
}

/* The highest free range of `pages` pages that ends at or below `top`: its end, or 0. *floor: how far it reaches down.
 * Each gap ends where the mapping right above it wants: what lies in a stack's guard wants something else than the
 * stack.
 */
static u64 search(struct space *s, u64 pages, u64 top, u64 *floor) {
    struct piece above, p = {.first = top};
    u64 end = 0;
    bool more = true;
    if (piece_next(s, top, &above))
        top = min(top, start_with_guard(above.view, above.first));
    while (more && !end && p.first >= FIRST_PAGE + pages) {
        more = piece_prev(s, p.first, &p);
        *floor = more ? max(p.end, FIRST_PAGE) : FIRST_PAGE;
        if (top >= *floor + pages)
            end = top;
        else if (more)
            top = start_with_guard(p.view, p.first);
    }
    return end;
}

/* What a search from where it has to begin would find. */
static bool hole_serves(struct space *s, u64 pages) {
    return s->hole_end == s->gap_from[class_below(pages)] && s->hole_end >= s->hole_first + pages;
}

static u64 search_all(struct space *s, u64 pages) {
    u64 floor, end = search(s, pages, s->gap_from[class_below(pages)], &floor);
    if (end) {
        s->hole_first = floor;
        s->hole_end = end;
        for (unsigned k = class_above(pages); k < GAP_CLASSES && s->gap_from[k] > end; k++)
            s->gap_from[k] = end;
    }
    return end;
}

static u64 search_closed(struct space *s, u64 pages, u64 hint, u64 below) {
    u64 end = 0, floor;
    space_close(s);
    if (hint && is_free(s, hint, hint + pages) && hint + pages <= below)
        end = hint + pages;
    else if (below >= s->gap_top)
        end = search_all(s, pages);
    if (!end) /* all below the top is taken, or not asked for: what lies above, if anything, before giving up */
        end = search(s, pages, min(below, USER_PAGES), &floor);
    space_open(s);
    return end;
}

u64 gap_find(struct space *s, u64 pages, u64 hint, u64 below) {
    bool known = !hint && below >= s->gap_top && hole_serves(s, pages);
    u64 end = known ? s->hole_end : search_closed(s, pages, hint, below);
    return end ? end - pages : 0;
}

/* How far the gap [*first, *end) reaches that was just made, between its neighbours; mostly the hole knows. */
static void reach(struct space *s, u64 *first, u64 *end, bool left, const struct view *right) {
    bool known = s->hole_first < s->hole_end; /* an empty one says nothing of its neighbours */
    u64 from = *first, to = *end;
    struct piece p;
    if (!left && known && s->hole_end == from)
        *first = s->hole_first;
    else if (!left)
        *first = piece_prev(s, from, &p) ? p.end : 0;
    if (right)
        *end = start_with_guard(right, to);
    else if (known && s->hole_first == to)
        *end = max(s->hole_end, to);
    else if (to < s->gap_top + GUARD_PAGES) /* what lies above that is nothing to mmap */
        *end = piece_next(s, to, &p) ? start_with_guard(p.view, p.first) : USER_PAGES;
}

void gap_freed(struct space *s, u64 first, u64 end, bool left, const struct view *right) {
    u64 freed_end = end;
    reach(s, &first, &end, left, right);
    if (first <= s->hole_first && s->hole_end <= freed_end && s->hole_end > end) /* what shielded it is gone */
        s->hole_end = max(end, s->hole_first);
    first = max(first, FIRST_PAGE);
    end = min(end, s->gap_top);
    if (end <= first)
        return;
    for (int k = class_below(end - first); k >= 0 && s->gap_from[k] < end; k--)
        s->gap_from[k] = end;
    if (end >= s->hole_end || s->hole_first == s->hole_end) { /* higher up, or around it; or there is none */
        s->hole_first = first;
        s->hole_end = end;
    }
}

void gap_taken(struct space *s, u64 first, u64 end, const struct view *v) {
    u64 from = start_with_guard(v, first);
    if (from >= s->hole_end || end <= s->hole_first)
        return;
    if (first <= s->hole_first && end < s->hole_end)
        s->hole_first = end;
    else
        s->hole_end = max(from, s->hole_first);
}
