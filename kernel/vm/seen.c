/* seen.c - how often programs see a frame: a slot in a shared table is seen by everyone who shares it.
 *
 * Tables do not know what points to them. So each table that maps the frame, by the reverse maps, is looked for in
 * every space, at its place: that costs a walk for each pair, and is asked only by who reads /proc/kpagecount. */
#include "vm/inner.h"

#include "vm/object_inner.h"

/* In how many spaces the path to its place leads to the leaf. In an epoch section. */
u64 leaf_seen(const struct table *leaf) {
    struct space *s;
    u64 count = 0;
    spin_lock(&all_spaces_lock);
    list_for_each(s, &all_spaces, all_link) {
        struct walk w;
        walk_down(s, leaf->base, &w);
        entry e = w.level == 2 ? slot_read(&w.table[2]->slots[slot_index(leaf->base, 2)]) : 0;
        count += w.level == 1 ? w.table[1] == leaf : entry_is_large(e) && table_below(e) == leaf;
    }
    spin_unlock(&all_spaces_lock);
    return count;
}

struct seen {
    const struct frame *f;
    unsigned index;
    u64 count;
};

static bool see(struct table *t, void *argument) {
    struct seen *seen = argument;
    entry e = slot_read(&t->slots[seen->index]);
    if (entry_maps(e) && !entry_special(e) && frame_of_phys(entry_phys(e)) == seen->f)
        seen->count += leaf_seen(t);
    return true;
}

static u64 anonymous_seen(struct frame *f) {
    struct seen seen = {f, atomic_load(&f->anon.index), 0};
    epoch_enter();
    ring_each(f->anon.ring, see, &seen);
    epoch_leave();
    return seen.count;
}

u64 frame_seen(struct frame *f) {
    u64 count = 0;
    bool programs = false;
    while (atomic_xchg(&f->hold, 1)) /* who frees it waits, so it is pinned or it is free */
        machine_pause();
    if (frame_class(f) == FRAME_ANON || frame_class(f) == FRAME_FILE || frame_class(f) == FRAME_SHMEM)
        programs = atomic_load(&f->mapped) && frame_pin_alive(f);
    atomic_store(&f->hold, 0);
    if (!programs)
        return 0;
    count = frame_class(f) == FRAME_ANON ? anonymous_seen(f) : object_seen(f);
    frame_unpin(f);
    return count;
}
