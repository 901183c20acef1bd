/* remap.c - mremap(2): shrink, grow in place, or move.
 *
 * A move maps the new range first, then carries the frames over, leaf by leaf, then unmaps the old range. Anonymous
 * frames name the ring and index they are mapped at; so one that is mapped more than once is copied before it moves
 * (its copy-on-write done early), and the others are told their new place with both leaves locked. All of that is made
 * ready in passes of their own, since it takes memory: first the tables and copies, then, when these have cut the plans
 * above as they will, room there. The pass that moves takes none.
 *
 * Where old and new place are aligned alike, full leaves move whole, by one slot of the table above: their frames keep
 * ring and index, their runs hold no addresses, and only the table's base changes. The old place gets its run back,
 * above, for the unmapping to take (or MREMAP_DONTUNMAP to leave). */
#include "vm/commit.h"
#include "vm/inner.h"
#include "vm/roster.h"
#include "vm/swap.h"

struct move {
    struct space *s;
    u64 from, to; /* first pages */
    u64 pages;
    struct stock stock;
    bool moving;          /* all is made ready */
    bool guards;          /* the new place is watched for writes to what is guarded */
    struct table *linked; /* the last table above the old place that gets a link back with a whole leaf ... */
    unsigned links;       /* ... and how many of them do */
    u64 row_end;          /* where the last row of whole leaves ends ... */
    unsigned rows;        /* ... and how many more there are */
};

static enum step own_leaf(struct move *m, u64 page, bool make, struct table **leaf) {
    return own_table(m->s, page, 1, make, &m->stock, leaf);
}

/* The part that one source leaf and one target leaf share, from `done` on. */
static u64 chunk(const struct move *m, u64 done) {
    u64 a = TABLE_SLOTS - (m->from + done) % TABLE_SLOTS, b = TABLE_SLOTS - (m->to + done) % TABLE_SLOTS;
    return min(m->pages - done, min(a, b));
}

/* The slot's anonymous frame is somebody else's too: it becomes our own copy. */
static enum step copy_slot(struct move *m, struct table *t, unsigned i, entry e) {
    struct frame *old = frame_of_phys(entry_phys(e)), *fresh = m->stock.frame;
    if (!fresh) {
        m->stock.want_frame = true;
        return STEP_STOCK;
    }
    m->stock.frame = NULL;
    atomic_store_relaxed(&fresh->anon.ring, t->ring);
    atomic_store_relaxed(&fresh->anon.index, i);
    atomic_store(&fresh->mapped, 1); /* last: as in take_frame */
    roster_came(fresh, false);
    machine_copy_page(frame_va(fresh), frame_va(old));
    entry now = entry_frame(frame_phys(fresh), false, e & (ENTRY_NOEXEC | ENTRY_KEY)) | ENTRY_DIRTY;
    slot_exchange(&t->slots[i], entry_present(e) ? now : entry_withhold(now));
    leaf_count(t, now, 1);
    machine_flush(&m->s->m, (t->base + i) << PAGE_SHIFT, (t->base + i + 1) << PAGE_SHIFT, false);
    leaf_forget(t, e);
    return STEP_DONE;
}

static bool must_copy(entry e) {
    if (!entry_maps(e) || entry_special(e))
        return false;
    struct frame *f = frame_of_phys(entry_phys(e));
    return frame_class(f) == FRAME_ANON && atomic_load(&f->mapped) > 1 && !(frame_flags(f) & FRAME_SWAP);
}

/* A leaf that can move whole: `leaf` from slot i of `from` to slot j of `to`, the tables above. */
struct whole {
    struct table *leaf, *from, *to;
    unsigned i, j;
};

/* Is pages [done, done + n) one leaf that can move whole? w->leaf == NULL: no. */
static enum step find_whole(struct move *m, u64 done, u64 n, struct whole *w) {
    struct table *leaf = NULL;
    enum step step = STEP_DONE;
    w->leaf = NULL;
    if (n == TABLE_SLOTS)
        step = own_leaf(m, m->from + done, false, &leaf);
    if (step != STEP_DONE || !leaf || leaf->run_count != 1 || leaf->runs[0].view->flags & VIEW_CLEAN ||
        leaf->runs[0].view->watch)
        return step;
    step = own_table(m->s, m->from + done, 2, false, &m->stock, &w->from);
    if (step == STEP_DONE)
        step = own_table(m->s, m->to + done, 2, true, &m->stock, &w->to);
    if (step != STEP_DONE)
        return step;
    w->i = slot_index(m->from + done, 2);
    w->j = slot_index(m->to + done, 2);
    w->leaf = leaf;
    return STEP_DONE;
}

/* A link for the run that comes back to t: one for each such table, all before the first leaf moves. */
static bool has_link(struct move *m, struct table *t, const struct view *v) {
    if (!view_object(v) || plan_has_link(t, view_object(v)))
        return true;
    m->links += m->linked != t;
    m->linked = t;
    return stock_has(&m->stock, 0, m->links, 0);
}

/* Room in the plan of a table above: a row of whole leaves takes a run of the target's in two there, or brings one
 * back; and the unmapping afterwards. */
static bool fits_above(struct move *m, struct table *t) {
    spin_lock(&t->lock);
    bool room = plan_room(t, 4 + 2 * m->rows, &m->stock);
    spin_unlock(&t->lock);
    return room;
}

static enum step reserve_chunk(struct move *m, u64 done, u64 n) {
    struct whole w;
    enum step step = find_whole(m, done, n, &w);
    if (step != STEP_DONE || !w.leaf)
        return step;
    m->rows += done > m->row_end;
    m->row_end = done + n;
    bool ready = has_link(m, w.from, w.leaf->runs[0].view) && fits_above(m, w.from) && fits_above(m, w.to);
    return ready ? STEP_DONE : STEP_STOCK;
}

static void move_whole(struct move *m, const struct whole *w) {
    struct table *leaf = w->leaf;
    u64 i = w->i * slot_pages(2), j = w->j * slot_pages(2), old = leaf->base, new = w->to->base + j;
    struct run *run = &leaf->runs[0];
    spin_lock(&w->from->lock);
    table_unpoint(w->from, w->i);
    plan_set(w->from, i, i + TABLE_SLOTS, run->view, run->offset, &m->stock);
    spin_unlock(&w->from->lock);
    machine_flush(&m->s->m, old << PAGE_SHIFT, (old + TABLE_SLOTS) << PAGE_SHIFT, true);
    spin_lock(&w->to->lock);
    assert(table_next(w->to, w->j) != w->j); /* what is mapped whole has no leaf, until a fault makes it: they wait */
    plan_set(w->to, j, j + TABLE_SLOTS, NULL, 0, NULL);
    spin_lock(&leaf->lock);
    leaf->base = new;
    spin_unlock(&leaf->lock);
    table_point(w->to, w->j, leaf, true); /* no flush: nothing was there to be cached */
    spin_unlock(&w->to->lock);
}

static enum step ready_chunk(struct move *m, u64 done, u64 n) {
    struct table *source, *target;
    struct whole w;
    enum step step = find_whole(m, done, n, &w);
    if (step != STEP_DONE || w.leaf)
        return step;
    step = own_leaf(m, m->from + done, false, &source);
    if (step != STEP_DONE || !source)
        return step;
    step = own_leaf(m, m->to + done, true, &target);
    unsigned first = (m->from + done) % TABLE_SLOTS;
    spin_lock(&source->lock);
    for (unsigned i = first; i < first + n && step == STEP_DONE; i++) {
        entry e = slot_read(&source->slots[i]);
        if (must_copy(e))
            step = copy_slot(m, source, i, e);
    }
    spin_unlock(&source->lock);
    return step;
}

/* The slot loses what it holds; its frame, once no CPU has it. */
static void lose(struct move *m, struct table *t, unsigned i) {
    entry e = slot_exchange(&t->slots[i], 0);
    machine_flush(&m->s->m, (t->base + i) << PAGE_SHIFT, (t->base + i + 1) << PAGE_SHIFT, false);
    leaf_forget(t, e);
}

/* The slot's entry moves. A frame in the swap cache is known to others by its slot there, who may map it at its old
 * place any moment: so it goes as its swap entry, and is found in the cache again. */
static void carry(struct move *m, struct table *from, unsigned i, struct table *to, unsigned j) {
    entry e = slot_read(&from->slots[i]);
    if (entry_empty(e))
        return;
    assert(entry_empty(slot_read(&to->slots[j]))); /* faults wait */
    if (e == entry_guard() && !m->guards) {
        lose(m, from, i);
        return;
    }
    entry kept = m->guards ? e & ENTRY_GUARDED : 0;
    struct frame *f = entry_maps(e) && !entry_special(e) ? frame_of_phys(entry_phys(e)) : NULL;
    u64 slot = f && frame_class(f) == FRAME_ANON && (frame_flags(f) & FRAME_SWAP) ? swap_dup_cached(f) : 0;
    if (slot) {
        e = entry_swap(slot) | kept;
        lose(m, from, i);
    } else {
        e = slot_exchange(&from->slots[i], 0) & ~(ENTRY_CLEAN | ENTRY_GUARDED); /* what moved counts as changed */
        e |= kept;
        leaf_count(from, e, -1);
        if (f && frame_class(f) == FRAME_ANON) {
            atomic_store_relaxed(&f->anon.ring, to->ring);
            atomic_store_relaxed(&f->anon.index, j);
        }
    }
    leaf_count(to, e, 1);
    to->withheld |= from->withheld;
    slot_store(&to->slots[j], e);
    table_used(to, j);
}

static enum step move_chunk(struct move *m, u64 done, u64 n) {
    struct table *source, *target;
    struct whole w;
    enum step step = find_whole(m, done, n, &w);
    if (step == STEP_DONE && w.leaf) {
        move_whole(m, &w);
        return STEP_DONE;
    }
    if (step == STEP_DONE)
        step = ready_chunk(m, done, n);
    if (step == STEP_DONE)
        step = own_leaf(m, m->from + done, false, &source);
    if (step != STEP_DONE || !source)
        return step;
    step = own_leaf(m, m->to + done, true, &target);
    assert(step == STEP_DONE);
    unsigned i = (m->from + done) % TABLE_SLOTS, j = (m->to + done) % TABLE_SLOTS;
    spin_lock(source->base < target->base ? &source->lock : &target->lock); /* two leaves: by address */
    if (source != target)
        spin_lock(source->base < target->base ? &target->lock : &source->lock);
    for (u64 k = 0; k < n; k++)
        carry(m, source, i + k, target, j + k);
    struct object *o = view_object(plan_find(target, j)->view);
    if (o && source != target)
        plan_visit_again(target, o);
    spin_unlock(&source->lock);
    if (source != target)
        spin_unlock(&target->lock);
    machine_flush(&m->s->m, (m->from + done) << PAGE_SHIFT, (m->from + done + n) << PAGE_SHIFT, false);
    return STEP_DONE;
}

static int each_chunk(struct move *m, enum step (*act)(struct move *m, u64 done, u64 n)) {
    int error = 0;
    for (u64 done = 0; done < m->pages && !error;) {
        u64 n = chunk(m, done);
        space_close(m->s);
        enum step step = act(m, done, n);
        space_open(m->s);
        assert(step != STEP_STOCK || !m->moving); /* else a part would have moved, and the rest could not */
        if (step == STEP_STOCK)
            error = stock_fill(&m->stock);
        else if (step == STEP_DONE)
            done += n;
    }
    return error;
}

/* All that takes memory comes first, the unmapping of [from, from_end) afterwards included: so that a failure finds
 * nothing moved. */
static int move_frames(struct space *s, u64 from, u64 to, u64 pages, u64 from_end, bool guards) {
    struct move m = {.s = s, .from = from, .to = to, .pages = pages, .guards = guards};
    swap_moves(1);
    int error = each_chunk(&m, ready_chunk);
    if (!error)
        error = space_prepare_unmap(s, from, from_end);
    if (!error)
        error = each_chunk(&m, reserve_chunk);
    m.moving = true;
    if (!error)
        error = each_chunk(&m, move_chunk);
    swap_moves(-1);
    stock_empty(&m.stock);
    return error;
}

struct remap {
    struct space *s;
    u64 old, old_pages, new_pages, to;
    bool to_odd; /* it is no page's address */
    u32 how;
    struct view *view;  /* a reference */
    struct view *moved; /* ... likewise: what it is at another place */
    u64 offset;         /* of `old` in the file, pages */
    u64 mapping_end;
};

/* The mapping that `old` lies in. -EFAULT: none. range held. */
static int find_mapping(struct remap *r) {
    struct piece p;
    if (r->old >= USER_PAGES)
        return -EFAULT;
    space_close(r->s);
    bool found = joined_next(r->s, r->old, &p) && p.first == r->old;
    if (found) {
        view_get(p.view);
        r->view = p.view;
        r->offset = p.offset;
        r->mapping_end = p.end;
    }
    space_open(r->s);
    return found ? 0 : -EFAULT;
}

static bool grows_here(struct remap *r) {
    struct piece p;
    u64 end = r->old + r->old_pages, new_end = r->old + r->new_pages;
    if ((r->how & (REMAP_FIXED | REMAP_DONT_UNMAP)) || r->mapping_end != end || new_end > USER_PAGES)
        return false;
    space_close(r->s);
    bool free = !(piece_next(r->s, end, &p) && p.first < new_end);
    space_open(r->s);
    return free;
}

static int find_target(struct remap *r) {
    if (r->how & REMAP_FIXED)
        return 0;
    r->to = gap_find(r->s, r->new_pages, r->how & REMAP_DONT_UNMAP ? r->to : 0, USER_PAGES); /* then it is a hint */
    return r->to ? 0 : -ENOMEM;
}

/* The new place; -errno: nothing has changed. What goes from the old one is not promised a second time. */
static int map_target(struct remap *r) {
    bool again = r->how & REMAP_DONT_UNMAP || !(r->view->flags & VIEW_ACCOUNT);
    s64 spared = again ? 0 : min(r->old_pages, r->new_pages);
    commit_add(-spared);
    int error = space_replace(r->s, r->to, r->to + r->new_pages, r->moved, r->offset);
    commit_add(spared);
    return error;
}

static long move_all(struct remap *r) {
    struct space *s = r->s;
    u64 peak = s->peak_total;
    int error = map_target(r);
    if (error)
        return error;
    u64 old_end = r->old + r->old_pages;
    bool guards = r->moved->watches & WATCH_GUARDED;
    error = r->old_pages ? move_frames(s, r->old, r->to, min(r->old_pages, r->new_pages), old_end, guards) : 0;
    if (error)
        (void)space_clear(s, r->to, r->to + r->new_pages); /* nothing has moved yet */
    else if (r->old_pages && !(r->how & REMAP_DONT_UNMAP))
        (void)space_clear(s, r->old, old_end);             /* prepared; and faults there wait */
    else if (r->old_pages && r->view->flags & VIEW_LOCKED) /* the lock went with the pages; kept if memory is short */
        (void)space_review(s, r->old, old_end, (struct view_change){.clear = VIEW_LOCKED | VIEW_ONFAULT});
    s->peak_total = max(peak, (u64)s->sum.total); /* what moved was never there twice */
    return error ? error : (long)(r->to << PAGE_SHIFT);
}

/* Faults at both places wait from now on until range is released; pages 0: no longer. */
static void say_moving(struct remap *r, u64 pages) {
    space_close(r->s);
    r->s->moving_from = r->old;
    r->s->moving_to = r->to;
    r->s->moving_pages = pages;
    space_open(r->s);
}

/* A watch stays with the place, unless its owner follows. */
static int find_moved(struct remap *r) {
    struct view proto = view_changed(r->view, (struct view_change){.rewatch = true});
    if (r->view->watch && !r->view->watch->follows)
        r->moved = view_intern(&proto);
    else
        view_get(r->moved = r->view);
    return r->moved ? 0 : -ENOMEM;
}

static long move(struct remap *r) {
    u64 pages = r->old_pages ? max(r->old_pages, r->new_pages) : 0;
    long result = r->s->mappings + 3 > vm_max_map_count ? -ENOMEM : find_target(r); /* so the unmapping will not fail */
    if (!result)
        result = find_moved(r);
    if (result)
        return result;
    if (pages)
        say_moving(r, pages);
    result = move_all(r);
    if (pages)
        say_moving(r, 0);
    return result;
}

static bool in_half(u64 page, u64 pages) { return page <= USER_PAGES && pages <= USER_PAGES - page; }

/* Sums wrap as Linux's do: what wraps does not overlap, and is refused for its size. */
static int check_target(const struct remap *r) {
    u64 old_end = (r->old + r->old_pages) << PAGE_SHIFT, to_end = (r->to + r->new_pages) << PAGE_SHIFT;
    if (r->to_odd || !in_half(r->to, r->new_pages))
        return -EINVAL;
    if (old_end > r->to << PAGE_SHIFT && to_end > r->old << PAGE_SHIFT)
        return -EINVAL;
    return (r->how & REMAP_FIXED) && r->to < FIRST_PAGE && !r->s->limits.low ? -EPERM : 0;
}

/* What is moved or grows must be one mapping, and may become so large: in the order of mremap(2)'s errors. */
static int check_size(const struct remap *r, u64 kept) {
    const struct space *s = r->s;
    u64 growth = r->new_pages - kept;
    if (!r->old_pages && !(r->view->flags & VIEW_SHARED))
        return -EINVAL;
    if ((r->how & REMAP_DONT_UNMAP) && (r->view->file && (r->view->flags & VIEW_SHARED)) && !r->view->file->object)
        return -EINVAL;
    if (kept > r->mapping_end - r->old)
        return -EFAULT;
    if (growth && (r->view->flags & VIEW_LOCKED) && (s->sum.locked + growth) << PAGE_SHIFT > s->limits.locked)
        return -EAGAIN;
    u64 more = r->how & REMAP_DONT_UNMAP ? r->new_pages : growth;
    if (growth > USER_PAGES ||
        (more && ((s->sum.total + more) << PAGE_SHIFT > s->limits.address_space ||
                  (view_is_data(r->view) && (s->sum.data + more) << PAGE_SHIFT > s->limits.data))))
        return -ENOMEM;
    return 0;
}

static long remap_locked(struct remap *r) {
    struct space *s = r->s;
    bool placed = r->how & (REMAP_FIXED | REMAP_DONT_UNMAP);
    u64 kept = min(r->old_pages, r->new_pages);
    long result = find_mapping(r);
    if (!result && placed)
        result = check_target(r);
    if (!result && r->old_pages > kept && !in_half(r->old + kept, r->old_pages - kept))
        result = -EINVAL;
    if (!result && !placed && r->old_pages >= r->new_pages) { /* the rest goes, whatever it is */
        if (r->old_pages > kept)
            result = space_clear(s, r->old + kept, r->old + r->old_pages);
        return result ? result : (long)(r->old << PAGE_SHIFT);
    }
    if (!result)
        result = check_size(r, kept);
    if (result)
        return result;
    if (r->old_pages && grows_here(r)) {
        result = space_replace(s, r->old + r->old_pages, r->old + r->new_pages, r->view, r->offset + r->old_pages);
        return result ? result : (long)(r->old << PAGE_SHIFT);
    }
    return r->how & REMAP_MAY_MOVE ? move(r) : -ENOMEM;
}

static int check_arguments(u64 old, u64 old_bytes, u64 new_bytes, u32 how) {
    if (old % PAGE_SIZE || !new_bytes)
        return -EINVAL;
    if ((how & (REMAP_FIXED | REMAP_DONT_UNMAP)) && !(how & REMAP_MAY_MOVE))
        return -EINVAL;
    return (how & REMAP_DONT_UNMAP) && old_bytes != new_bytes ? -EINVAL : 0;
}

long space_remap(struct space *s, u64 old, u64 old_bytes, u64 new_bytes, u32 how, u64 to) {
    old_bytes = page_align_up(old_bytes);
    new_bytes = page_align_up(new_bytes);
    long result = check_arguments(old, old_bytes, new_bytes, how);
    if (result)
        return result;
    struct remap r = {.s = s,
                      .old = old >> PAGE_SHIFT,
                      .old_pages = old_bytes >> PAGE_SHIFT,
                      .new_pages = new_bytes >> PAGE_SHIFT,
                      .to = to >> PAGE_SHIFT,
                      .to_odd = to % PAGE_SIZE != 0,
                      .how = how};
    mutex_lock(&s->range);
    result = remap_locked(&r);
    mutex_unlock(&s->range);
    if (result >= 0 && r.new_pages > r.old_pages && (r.view->flags & VIEW_LOCKED))
        (void)space_fill(s, result + old_bytes, new_bytes - old_bytes);
    if (r.view)
        view_put(r.view);
    if (r.moved)
        view_put(r.moved);
    event(EVENT_REMAP, old, 1);
    views_reap();
    return result;
}
