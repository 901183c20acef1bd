/* gap.c - finding a free range, from the top down (mmap(2) without MAP_FIXED).
 *
 * For each power of two 2^k of pages the space remembers a page below which to look: no gap of 2^k pages or more lies
 * in [gap_from[k], gap_top). A search lowers what it has proved; freeing a range raises it again. So a program that
 * maps many equal pieces searches each place once. All with s->range held and the space closed. */
#include "vm/inner.h"

static unsigned class_below(u64 pages) {
    return min(63u - __builtin_clzll(pages), GAP_CLASSES - 1);
} /* floor of log2 */
static unsigned class_above(u64 pages) { return pages > 1 ? 64 - __builtin_clzll(pages - 1) : 0; } /* ceiling */

void gap_reset(struct space *s) {
    for (unsigned k = 0; k < GAP_CLASSES; k++)
        s->gap_from[k] = s->gap_top;
}

/* What lies below a mapping that grows down is kept free for it. */
static u64 start_with_guard(const struct piece *p) {
    u64 guard = p->view->flags & VIEW_GROWSDOWN ? GUARD_PAGES : 0;
    return p->first > guard ? p->first - guard : 0;
}

static bool is_free(struct space *s, u64 first, u64 end) {
    struct piece p;
    return first >= FIRST_PAGE && end <= USER_PAGES && first < end &&
           (!piece_next(s, first, &p) || start_with_guard(&p) >= end);
}

/* The highest free range of `pages` pages that ends at or below `top`: its end, or 0. */
static u64 search(struct space *s, u64 pages, u64 top) {
    struct piece above, p;
    if (piece_next(s, top, &above))
        top = min(top, start_with_guard(&above));
    while (top >= FIRST_PAGE + pages) {
        u64 floor = piece_prev(s, top, &p) ? p.end : FIRST_PAGE;
        if (top >= max(floor, FIRST_PAGE) + pages)
            return top;
        top = start_with_guard(&p);
    }
    return 0;
}

u64 gap_find(struct space *s, u64 pages, u64 hint, u64 below) {
    if (hint && is_free(s, hint, hint + pages) && hint + pages <= below)
        return hint;
    u64 end;
    if (below >= s->gap_top) {
        end = search(s, pages, s->gap_from[class_below(pages)]);
        for (unsigned k = class_above(pages); end && k < GAP_CLASSES && s->gap_from[k] > end; k++)
            s->gap_from[k] = end;
        if (!end) /* all below is taken: what lies above, if anything, before giving up */
            end = search(s, pages, min(below, USER_PAGES));
    } else {
        end = search(s, pages, below);
    }
    return end ? end - pages : 0;
}

void gap_freed(struct space *s, u64 first, u64 end) {
    u64 top = min(end, s->gap_top);
    if (top <= first)
        return;
    for (unsigned k = 0; k <= class_below(top - first); k++)
        s->gap_from[k] = max(s->gap_from[k], top);
}
