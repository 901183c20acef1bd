/* reap.c - what the out-of-memory killer (task/oom.c) asks of a space: how much killing it would bring, and to give
 * that back at once, although a task that sleeps somewhere may keep the space for long.
 *
 * A reaped space has lost its private mappings, by ordinary unmapping, which takes no memory but for a table that a
 * shared and a private mapping have in common. So its tasks, if they touch memory once more, find nothing there, and
 * never a page of zeros that was something else before. Shared mappings stay: their contents are not the space's, and
 * who counts the attachments of a segment (fs/shm.c) wants to find them at the end. */
#include "vm/inner.h"

/* Inside an epoch section, tables may come and go meanwhile. */
static void add_below(const struct table *t, struct space_resident *sum) {
    for (unsigned i = table_next(t, 0); i < TABLE_SLOTS; i = table_next(t, i + 1)) {
        entry e = slot_read(&t->slots[i]);
        sum->tables += !entry_empty(e);
        if (entry_is_large(e)) {
            sum->anon += TABLE_SLOTS;
        } else if (entry_is_table(e) && t->level > 2) {
            add_below(table_of_entry(e), sum);
        } else if (entry_is_table(e)) {
            const struct table *leaf = table_of_entry(e);
            sum->anon += atomic_load_relaxed(&leaf->anon);
            sum->object += atomic_load_relaxed(&leaf->object);
            sum->swapped += atomic_load_relaxed(&leaf->swapped);
        }
    }
}

void space_resident(struct space *s, struct space_resident *out) {
    *out = (struct space_resident){.total = (u64)atomic_load_relaxed(&s->sum.total), .tables = 0};
    epoch_enter();
    add_below(s->root, out);
    epoch_leave();
}

/* The first pages from `page` on that no shared mapping has: [page, returned end); *next: where to go on. */
static u64 private_end(struct space *s, u64 page, u64 *next) {
    struct piece p;
    u64 end = USER_PAGES;
    *next = USER_PAGES;
    space_close(s);
    for (u64 at = page; end == USER_PAGES && piece_next(s, at, &p); at = p.end)
        if (p.view->flags & VIEW_SHARED) {
            end = p.first;
            *next = p.end;
        }
    space_open(s);
    return end;
}

int space_reap(struct space *s) {
    int error = 0;
    u64 next;
    if (!mutex_try(&s->range))
        return -EAGAIN;
    for (u64 page = 0; page < USER_PAGES && !error; page = next) {
        u64 end = private_end(s, page, &next);
        if (page < end)
            error = space_clear(s, page, end);
    }
    mutex_unlock(&s->range);
    return error;
}
