/* seen.c - how often programs see a frame: a slot in a shared table is seen by everyone who shares it.
 *
 * Tables do not know what points to them. So each table that maps the frame, by the reverse maps, is looked for in
 * every space, at its place: that costs a walk for each pair, and is asked only by who reads /proc/kpagecount. */
#include "vm/inner.h"

#include "vm/object_inner.h"

/* The large entry e shows the leaf. The table that has e is not locked, so it may be shown small by now, and its first
 * frame have a swap slot: what that frame says is compared, not followed (table_below). */
static bool is_below(entry e, const struct table *leaf) {
    return atomic_load_relaxed(&frame_of_phys(entry_phys(e))->anon.swap) == frame_number(frame_of_va(leaf->slots));
}

/* In how many spaces the path to its place leads to the leaf. In an epoch section. */
u64 leaf_seen(const struct table *leaf) {
    struct space *s;
    u64 count = 0;
    spin_lock(&all_spaces_lock);
    list_for_each(s, &all_spaces, all_link) {
        struct walk w;
        walk_down(s, leaf->base, &w);
        entry e = w.level == 2 ? slot_read(&w.table[2]->slots[slot_index(leaf->base, 2)]) : 0;
        count += w.level == 1 ? w.table[1] == leaf : entry_is_large(e) && is_below(e, leaf);
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

/* Who looks only compares, so the frame is not pinned: its owner, who frees it with its leaf locked, trusts that nobody
 * else raises its count (drop_leaf). It is mapped when its ring is read, in the epoch section: so that stays. */
static u64 anonymous_seen(struct frame *f) {
    struct seen seen = {f, 0, 0};
    struct ring *ring = NULL;
    epoch_enter();
    while (atomic_xchg(&f->hold, 1))
        machine_pause();
    if ((u32)frame_held_counts(f, FRAME_ANON)) {
        seen.index = atomic_load(&f->anon.index);
        ring = atomic_load(&f->anon.ring);
        if (!atomic_load(&f->mapped)) /* drop_leaf has begun to use the descriptor otherwise */
            ring = NULL;
    }
    atomic_store(&f->hold, 0);
    if (ring)
        ring_each(ring, see, &seen);
    epoch_leave();
    return seen.count;
}

/* An object's frame that is mapped has its tree's pin, so one more takes nobody unawares. */
static bool pin_of_object(struct frame *f) {
    while (atomic_xchg(&f->hold, 1)) /* who frees it waits, so it is pinned or it is free */
        machine_pause();
    bool of_object = frame_class(f) == FRAME_FILE || frame_class(f) == FRAME_SHMEM;
    bool pinned = of_object && atomic_load(&f->mapped) && frame_pin_alive(f);
    atomic_store(&f->hold, 0);
    return pinned;
}

u64 frame_seen(struct frame *f) {
    if (frame_class(f) == FRAME_ANON)
        return anonymous_seen(f);
    if (!pin_of_object(f))
        return 0;
    u64 count = object_seen(f);
    frame_unpin(f);
    return count;
}
