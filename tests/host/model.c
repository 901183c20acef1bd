/* model.c - every operation of kernel/vm, done to the real thing and to the flat model, and the answers compared.
 *
 * The same fields always do the same: what an operation chooses beside them (which CPU, which pages to look at) comes
 * from its own seed. So a list of operations can be kept, shortened and replayed. */
#include "model.h"
#include "vm/inner.h"
#include "vm/policy.h"
#include "vm/swap.h"
#include "vm/zswap.h"

const char *const op_names[OP_KINDS] = {
#define X(name) #name,
    OPS(X)
#undef X
};
unsigned model_step;
bool model_small;
static struct host_count at_start;
static u64 choice_state;
static bool alloc_failed, io_failed;
static u64 looked_first, looked_end; /* the range of the operation: looked at before and after */
static struct flat *touched, *touched_too;

static u64 choose(u64 n) {
    choice_state ^= choice_state >> 12;
    choice_state ^= choice_state << 25;
    choice_state ^= choice_state >> 27;
    return (choice_state * 0x2545f4914f6cdd1dULL >> 16) % n;
}
static long number(const struct flat *m) { return m - flat_spaces; }

#define note(...)                                                                                                      \
    do {                                                                                                               \
        if (test_verbose) {                                                                                            \
            fprintf(stderr, "%4u  ", model_step);                                                                      \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
        }                                                                                                              \
    } while (0)
#define LOCK_BITS (VIEW_LOCKED | VIEW_ONFAULT)
#define differs(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* ---- looking */

/* Mostly on a CPU that has the space loaded, and so things to forget. */
static void on_some_cpu(struct flat *m) {
    unsigned cpu = (unsigned)choose(cpu_count);
    for (unsigned tries = 0; tries < 4 && !host_loaded(cpu, m->real); tries++)
        cpu = (unsigned)choose(cpu_count);
    host_cpu(cpu);
    space_load(m->real);
}

/* The page has an anonymous frame, or is in the swap area; *is: what space_present says. */
static bool anon_there(struct flat *m, u64 page, u32 *is) {
    u64 frame;
    *is = space_present(m->real, page << PAGE_SHIFT, &frame);
    return (*is & PAGE_SWAPPED) || ((*is & PAGE_PRESENT) && frames[frame].class == FRAME_ANON);
}

/* An access failed for want of memory, perhaps after a stack had grown for it: that stays. */
static void grown(struct flat *m, u64 page) {
    u64 frame;
    if (!flat_at(m, page) && (space_present(m->real, page << PAGE_SHIFT, &frame) & PAGE_MAPPED))
        check(flat_grow(m, page) != NULL);
}

static void compare_word(struct flat *m, u64 page, unsigned k) {
    u64 *words, value = 0xbad;
    enum fault_outcome should = flat_access(m, page, FAULT_READ, &words);
    enum fault_outcome is = mem_read(m->real, (page << PAGE_SHIFT) + word_offset[k], &value);
    if (is == FAULT_NOMEM && model_small) {
        grown(m, page);
        return;
    }
    if (is != should)
        differs("step %u, space %ld: reading page %#lx ends in %d, should %d", model_step, number(m), page, is, should);
    if (is == FAULT_DONE && value != (words ? words[k] : 0))
        differs("step %u, space %ld: page %#lx word %u is %#lx, should %#lx", model_step, number(m), page, k, value,
                words ? words[k] : 0);
}

/* Some pages of a range, seen by the CPUs that have the space loaded. */
static void probe(struct flat *m, u64 first, u64 end) {
    if (first >= end)
        return;
    for (unsigned c = 0; c < cpu_count; c++) {
        if (!host_loaded(c, m->real))
            continue;
        host_cpu(c);
        for (unsigned i = 0; i < 2; i++)
            compare_word(m, first + choose(min(end - first, (u64)20)), (unsigned)choose(WORDS));
        compare_word(m, end - 1, (unsigned)choose(WORDS));
    }
}

static void looks_at(struct flat *m, u64 first, u64 end) {
    looked_first = first;
    looked_end = min(end, FLAT_TOP);
    if (choose(2))
        return;
    unsigned cpu = cpu_id();
    probe(m, looked_first, looked_end);
    host_cpu(cpu);
}

static void describe(u64 start, u64 end, u32 flags, u32 max_prot, char file, u64 offset, char *out, size_t size) {
    snprintf(out, size, "[%#lx, %#lx) flags %#x max %u file %c offset %#lx", start >> PAGE_SHIFT, end >> PAGE_SHIFT,
             flags, max_prot, file, offset >> PAGE_SHIFT);
}

static void mapping_differs(struct flat *m, const struct flat_map *x, const struct mapping *real) {
    char is[200] = "nothing", should[200] = "nothing";
    if (x)
        describe(x->first << PAGE_SHIFT, x->end << PAGE_SHIFT, x->flags, x->max_prot,
                 x->file < 0 ? '-' : flat_files[x->file].real->letter, x->offset << PAGE_SHIFT, should, sizeof(should));
    if (real)
        describe(real->start, real->end, real->view->flags, real->view->max_prot,
                 real->view->file ? container_of(real->view->file, struct host_file, file)->letter : '-',
                 real->view->file ? real->offset : 0, is, sizeof(is));
    differs("step %u, space %ld: mapping\n  is     %s\n  should %s", model_step, number(m), is, should);
}

static void compare_maps(struct flat *m) {
    u64 from = 0;
    struct mapping real;
    for (unsigned i = 0; i < m->map_count; i++) {
        const struct flat_map *x = &m->maps[i];
        if (!space_walk(m->real, from, &real))
            mapping_differs(m, x, NULL);
        struct vm_file *file = x->file < 0 ? NULL : &flat_files[x->file].real->file;
        if (real.start != x->first << PAGE_SHIFT || real.end != x->end << PAGE_SHIFT || real.view->flags != x->flags ||
            real.view->max_prot != x->max_prot || real.view->file != file ||
            (file && real.offset != x->offset << PAGE_SHIFT))
            mapping_differs(m, x, &real);
        from = real.end;
        space_walk_end(&real);
    }
    if (space_walk(m->real, from, &real))
        mapping_differs(m, NULL, &real);
}

static void compare_totals(struct flat *m) {
    struct flat_totals should = flat_totals(m);
    struct space_totals is;
    space_totals(m->real, &is);
    check_eq(is.total, should.total);
    check_eq(is.data, should.data);
    check_eq(is.stack, should.stack);
    check_eq(is.exec, should.exec);
    check_eq(is.locked, should.locked);
    check_eq(is.committed, should.committed);
    check_eq(is.shared, should.shared);
    check_eq(is.mappings, m->map_count);
    struct space_usage u;
    space_usage(m->real, 0, FLAT_TOP << PAGE_SHIFT, &u);
    if (vm_large == LARGE_NEVER)
        check_eq(u.anon + u.swap, flat_own_there(m, 0, FLAT_TOP));
    else /* whole tables come at once, with pages that nobody has written */
        check(u.anon + u.swap >= flat_own_there(m, 0, FLAT_TOP));
}

void model_compare(bool everything) {
    for (struct flat *m = flat_spaces; m < flat_spaces + SPACES; m++)
        if (m->real && (everything || m == touched || m == touched_too)) {
            compare_maps(m);
            compare_totals(m);
        }
    if (!everything)
        return;
    host_check();
    struct frame_totals t;
    frame_totals(&t);
    if (!host_swap.pages && vm_large == LARGE_NEVER) /* else a page may be in several places, or none */
        check_eq(t.frames[FRAME_ANON], contents_live);
}

/* Every page that the space wrote, and the edges of all mappings. */
static void compare_contents(struct flat *m) {
    on_some_cpu(m);
    for (unsigned i = 0; i < m->own_count; i++) {
        struct flat_map *x = flat_at(m, m->own[i].page);
        for (unsigned k = 0; k < WORDS && x->flags & VIEW_PROT; k++)
            compare_word(m, m->own[i].page, k);
    }
    for (unsigned i = 0; i < m->map_count; i++) {
        struct flat_map x = m->maps[i]; /* a look below one that grows may change the list */
        compare_word(m, x.first, 0);
        compare_word(m, x.end - 1, 1);
        compare_word(m, x.end, 2);
    }
}

/* ---- the frame of an operation */

static void arm(const struct op *o) {
    alloc_fail_at(o->fail_alloc);
    host_io_fail_at(o->fail_io);
}
static void disarm(const struct op *o) {
    alloc_failed = o->fail_alloc && !alloc_fail_countdown;
    io_failed = host_io_failed();
    alloc_fail_at(0);
    host_io_fail_at(0);
}
static bool ran_out(long got) { return got == -ENOMEM && (alloc_failed || model_small); }

/* The mappings have changed in the model: may they, by the limit of their number? If not, they are as saved. */
static bool count_fits(struct flat *m, unsigned before) {
    bool fits = m->map_count <= vm_max_map_count || m->map_count <= before;
    if (!fits)
        flat_restore(m);
    return fits;
}

static bool fits_limits(struct flat *m, u32 flags, u64 pages, u64 replaced) {
    struct flat_totals t = flat_totals(m);
    struct space_limits *l = space_limits(m->real);
    bool data = (flags & (VIEW_WRITE | VIEW_SHARED | VIEW_GROWSDOWN)) == VIEW_WRITE;
    s64 more = (s64)(pages - replaced);
    bool fits = (s64)t.total + more <= (s64)(l->address_space >> PAGE_SHIFT);
    return fits && (!data || (s64)t.data + more <= (s64)(l->data >> PAGE_SHIFT));
}

static bool fits_lock_limit(struct flat *m, u32 flags, u64 more) {
    return !(flags & VIEW_LOCKED) || (flat_totals(m).locked + more) << PAGE_SHIFT <= space_limits(m->real)->locked;
}

/* What populating [first, end) does; stops where it cannot go on. */
static int flat_populate(struct flat *m, u64 first, u64 end, bool write) {
    u64 *words;
    for (; first < end; first++)
        if (flat_access(m, first, write ? FAULT_WRITE : FAULT_READ, &words) != FAULT_DONE)
            return -EFAULT;
    return 0;
}

/* What making [first, end) present does: each mapping in its way, holes left out. */
static int flat_fill(struct flat *m, u64 first, u64 end) {
    int error = 0;
    for (unsigned i = 0; i < m->map_count && !error; i++) {
        struct flat_map *x = &m->maps[i];
        u64 a = max(x->first, first), b = min(x->end, end), *words;
        bool own = (x->flags & (VIEW_WRITE | VIEW_SHARED)) == VIEW_WRITE, wanted = (x->flags & LOCK_BITS) != LOCK_BITS;
        enum fault_access access = own ? FAULT_WRITE : x->flags & (VIEW_READ | VIEW_WRITE) ? FAULT_READ : FAULT_EXEC;
        for (; a < b && wanted && !error; a++)
            error = flat_access(m, a, access, &words) == FAULT_DONE ? 0 : -EFAULT;
    }
    return error;
}

/* Populating stopped somewhere: which private pages were made shows in the slots. They come first. */
static void populated_until(struct flat *m, u64 first, u64 end) {
    u64 *words;
    u32 is;
    bool stopped = false;
    for (; first < end; first++) {
        grown(m, first);
        struct flat_map *x = flat_at(m, first);
        struct own_page *own = flat_own(m, first);
        bool there = anon_there(m, first, &is);
        if (own && (is & PAGE_EXCLUSIVE))
            flat_own_part(m, first, first + 1);
        if (own || !x || (x->flags & VIEW_SHARED))
            continue;
        if (there && stopped && vm_large == LARGE_NEVER)
            differs("step %u: page %#lx was populated after one that was not", model_step, first);
        if (there)
            flat_access(m, first, FAULT_WRITE, &words);
        stopped |= !there && (x->flags & VIEW_WRITE) && (x->flags & LOCK_BITS) != LOCK_BITS;
    }
}

/* An operation has made [first, end) present, as far as it got. */
static void filled(struct flat *m, u64 first, u64 end) {
    if (alloc_failed || io_failed || model_small)
        populated_until(m, first, end);
    else
        flat_fill(m, first, end);
}

/* ---- range operations */

static long expected_place(const struct op *o, struct flat *m) {
    if (o->how & (MAP_AT | MAP_AT_FREE)) {
        if (o->first + o->pages > FLAT_TOP)
            return -ENOMEM;
        if (o->first < FLAT_FLOOR)
            return -EPERM;
        return (o->how & MAP_AT_FREE) && flat_any(m, o->first, o->first + o->pages) ? -EEXIST : (long)o->first;
    }
    u64 found = flat_gap(m, o->pages, o->first, o->how & MAP_BELOW_4G ? 2 * GiB >> PAGE_SHIFT : FLAT_TOP);
    return found ? (long)found : -ENOMEM;
}

/* Something came into a stack's guard, or a stack was replaced: what is free below that may be overlooked. Then any
 * place will do that is free and in no guard. */
static long loose_place(struct flat *m, long got, u64 pages, u64 below) {
    u64 first = (u64)got >> PAGE_SHIFT;
    check(first >= FLAT_FLOOR && first + pages <= below && flat_gap(m, pages, first, below) == first);
    return (long)first;
}

/* What answers space_map: the first page, or an error. The model is changed but for what is populated. */
static long flat_mmap(const struct op *o, struct flat *m, struct flat_map x, long got) {
    unsigned before = m->map_count;
    long at = expected_place(o, m);
    if (at > 0 && got > 0 && m->gap_loose && !(o->how & (MAP_AT | MAP_AT_FREE)))
        at = loose_place(m, got, o->pages, o->how & MAP_BELOW_4G ? 2 * GiB >> PAGE_SHIFT : FLAT_TOP);
    if (at < 0)
        return at;
    x.first = (u64)at;
    x.end = x.first + o->pages;
    if (!fits_limits(m, x.flags, o->pages, 0) && !fits_limits(m, x.flags, o->pages, flat_pages_in(m, x.first, x.end)))
        return -ENOMEM;
    if (!fits_lock_limit(m, x.flags, o->pages))
        return -EAGAIN;
    flat_save(m);
    flat_add(m, x);
    if (!count_fits(m, before))
        return -ENOMEM;
    flat_own_drop(m, x.first, x.end);
    return at;
}

static void op_map(const struct op *o, struct flat *m) {
    struct map_request r = {.address = o->first << PAGE_SHIFT,
                            .bytes = o->pages << PAGE_SHIFT,
                            .flags = o->flags,
                            .max_prot = o->max_prot,
                            .how = o->how};
    struct flat_map x = {.flags = flat_accounted(o->flags | m->locked_default),
                         .max_prot = o->max_prot ? o->max_prot : VIEW_PROT};
    x.file = o->file < FILES ? o->file : -1;
    x.offset = x.file >= 0 ? o->offset : 0;
    r.file = x.file >= 0 ? &flat_files[x.file].real->file : NULL;
    r.offset = x.offset << PAGE_SHIFT;
    looks_at(m, o->first, o->first + o->pages);
    arm(o);
    long got = space_map(m->real, &r);
    disarm(o);
    note("map: %#lx", got);
    if (ran_out(got))
        return;
    long should = flat_mmap(o, m, x, got);
    check_eq(got, should < 0 ? should : should << PAGE_SHIFT);
    if (should < 0)
        return;
    u64 first = (u64)should, end = first + o->pages;
    bool fill = (o->how & MAP_FILL) || (x.flags & LOCK_BITS) == VIEW_LOCKED;
    if (fill)
        filled(m, first, end);
    looked_first = first;
    looked_end = end;
}

static void op_unmap(const struct op *o, struct flat *m) {
    u64 end = o->first + o->pages;
    looks_at(m, o->first, end);
    unsigned before = m->map_count;
    arm(o);
    int got = space_unmap(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT);
    disarm(o);
    note("unmap: %d", got);
    if (ran_out(got))
        return;
    flat_save(m);
    flat_remove(m, o->first, end);
    if (count_fits(m, before)) {
        check_eq(got, 0);
        flat_own_drop(m, o->first, end);
    } else {
        check_eq(got, -ENOMEM);
    }
}

/* changed_until: the end of the part of [first, end), from first on, that has its new flags: of a call that stopped. */
static u64 changed_until(struct flat *m, u64 first, u64 end, u32 set, u32 clear) {
    struct flat_map *x;
    bool changed = true;
    while (changed && (x = flat_above(m, first)) && x->first < end) {
        struct mapping real;
        first = max(first, x->first);
        check(space_walk(m->real, first << PAGE_SHIFT, &real));
        changed = real.view->flags == flat_accounted((x->flags & ~clear) | set);
        if (changed)
            first = min(real.end >> PAGE_SHIFT, x->end);
        space_walk_end(&real);
        if (first >= end)
            break;
    }
    return min(first, end);
}

/* The part of [first, end) that mprotect changes, and its answer if nothing else goes wrong. */
static int protectable(struct flat *m, u64 first, u64 end, u32 prot, u64 *stop) {
    for (*stop = first; *stop < end;) {
        struct flat_map *x = flat_at(m, *stop);
        if (!x)
            return -ENOMEM;
        if (prot & ~x->max_prot)
            return -EACCES;
        *stop = min(x->end, end);
    }
    return 0;
}

/* The next page from `page` on that may be private and there: whole tables without any are passed over. */
static u64 past_empty(struct flat *m, u64 page, u64 end) {
    for (u64 span = 1ULL << 27; span >= TABLE_SLOTS; span /= TABLE_SLOTS) {
        struct space_usage u = {0};
        while (page % span == 0 && page + span <= end && !(u.anon + u.swap)) {
            space_usage(m->real, page << PAGE_SHIFT, (page + span) << PAGE_SHIFT, &u);
            page += u.anon + u.swap ? 0 : span;
        }
    }
    return page;
}

/* Private pages of x in [first, end) that are there now, as it is locked, are copies. */
static void locked_copies(struct flat *m, const struct flat_map *x, u64 first, u64 end) {
    u64 *words;
    u32 is;
    for (u64 page = past_empty(m, first, end); page < end; page = past_empty(m, page + 1, end))
        if (anon_there(m, page, &is) && !(x->flags & VIEW_SHARED) && (!flat_own(m, page) || (is & PAGE_EXCLUSIVE)))
            flat_access(m, page, FAULT_WRITE, &words);
}

static void op_protect(const struct op *o, struct flat *m) {
    u64 end = o->first + o->pages, stop;
    u32 prot = o->flags & VIEW_PROT;
    looks_at(m, o->first, end);
    unsigned before = m->map_count;
    int should = protectable(m, o->first, end, prot, &stop);
    arm(o);
    int got = space_protect(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT, prot);
    disarm(o);
    note("protect: %d", got);
    if (ran_out(got) && should != -ENOMEM)
        return;
    if (alloc_failed) /* which -ENOMEM it was shows only in the mappings */
        stop = changed_until(m, o->first, stop, prot, VIEW_PROT & ~prot);
    u64 data = flat_totals(m).data;
    flat_save(m);
    if (o->first < stop)
        flat_change(m, o->first, stop, prot, VIEW_PROT & ~prot);
    u64 after = flat_totals(m).data;
    bool fits = count_fits(m, before);
    if (fits && after > data && after << PAGE_SHIFT > space_limits(m->real)->data) {
        flat_restore(m);
        fits = false;
    }
    check_eq(got, fits ? should : -ENOMEM);
    for (unsigned i = 0; i < m->map_count && fits && (prot & VIEW_WRITE); i++)
        if (m->maps[i].flags & VIEW_LOCKED)
            locked_copies(m, &m->maps[i], max(m->maps[i].first, o->first), min(m->maps[i].end, stop));
}

static void op_change(const struct op *o, struct flat *m) {
    u64 end = o->first + o->pages;
    looks_at(m, o->first, end);
    int should = flat_hole(m, o->first, end) < end ? -ENOMEM : 0;
    arm(o);
    int got = space_change(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT, o->flags, o->clear);
    disarm(o);
    note("change: %d", got);
    bool crowded = m->map_count + 2 > vm_max_map_count; /* or on its way */
    if (got == -ENOMEM && (ran_out(got) || crowded))
        end = changed_until(m, o->first, end, o->flags, o->clear);
    else
        check_eq(got, should);
    flat_change(m, o->first, end, o->flags, o->clear);
}

/* WEAR: every other page of a range gets other rights, and the rest on the way back: runs come by dozens, and go. */
static void op_wear(const struct op *o, struct flat *m) {
    struct op one = *o;
    one.pages = 1;
    one.kind = OP_PROTECT;
    for (u64 i = o->backwards; i < o->pages; i += 2) {
        one.first = o->first + (o->backwards ? o->pages - i : i);
        one.seed = o->seed + (u32)i;
        op_protect(&one, m);
    }
}

static bool still_lost(struct flat *m, u64 page) {
    return space_fault(m->real, page << PAGE_SHIFT, FAULT_READ) == FAULT_POISON;
}

/* Discarding stopped: from the first page that is still there on, all are. */
static void discarded_until(struct flat *m, u64 first, u64 end) {
    u32 is;
    unsigned i = flat_own_from(m, first);
    for (; i < m->own_count && m->own[i].page < end; i++)
        if (m->own[i].content ? anon_there(m, m->own[i].page, &is) : still_lost(m, m->own[i].page))
            break;
    flat_own_drop(m, first, i < m->own_count ? min(m->own[i].page, end) : end);
}

static void op_discard(const struct op *o, struct flat *m) {
    u64 page = o->first, end = o->first + o->pages;
    int should = 0;
    bool hole = false;
    looks_at(m, o->first, end);
    for (unsigned i = 0; i < m->map_count && !should; i++) {
        struct flat_map *x = &m->maps[i];
        if (x->end <= o->first || x->first >= end)
            continue;
        hole |= x->first > page;
        if (x->flags & VIEW_LOCKED)
            should = -EINVAL;
        page = should ? max(page, x->first) : x->end;
    }
    page = min(page, end);
    should = should ? should : hole || page < end ? -ENOMEM : 0;
    arm(o);
    int got = mem_discard(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT);
    disarm(o);
    note("discard: %d", got);
    if (ran_out(got)) {
        discarded_until(m, o->first, page);
        return;
    }
    check_eq(got, should);
    flat_own_drop(m, o->first, page);
}

static void op_populate(const struct op *o, struct flat *m) {
    bool write = o->flags & VIEW_WRITE;
    looks_at(m, o->first, o->first + o->pages);
    arm(o);
    int got = space_populate(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT, write);
    disarm(o);
    note("populate: %d", got);
    if (got && (alloc_failed || io_failed || model_small))
        populated_until(m, o->first, o->first + o->pages);
    else
        check_eq(got, flat_populate(m, o->first, o->first + o->pages, write));
}

/* What was synced is what is stored. */
static void compare_stored(const struct flat_file *f, u64 first, u64 end) {
    bool stored_at_all = f->real->contents && f != &flat_files[FILE_LAYERED];
    for (u64 i = first; i < min(end, flat_file_pages(f)) && stored_at_all; i++)
        for (unsigned k = 0; k < WORDS; k++) {
            u64 stored = *(u64 *)(f->real->contents + i * PAGE_SIZE + word_offset[k]);
            if (stored != f->words[i][k])
                differs("step %u: file %c page %lu word %u is stored as %#lx, should %#lx", model_step, f->real->letter,
                        i, k, stored, f->words[i][k]);
        }
}

/* The first mapping of [first, end) whose file owes an error pays it. */
static bool error_is_told(struct flat *m, u64 first, u64 end) {
    struct flat_map *who = NULL;
    for (unsigned i = 0; i < m->map_count; i++) {
        struct flat_map *x = &m->maps[i];
        if (max(x->first, first) < min(x->end, end) && x->file >= 0 && (x->flags & VIEW_SHARED) &&
            flat_files[x->file].owes_error && (!who || x->first < who->first))
            who = x;
    }
    if (who)
        flat_files[who->file].owes_error = false;
    return who;
}

static void file_owes(struct flat_file *f) { f->owes_error = f->real->object.errors != f->real->file.errors_seen; }

static void op_sync(const struct op *o, struct flat *m) {
    u64 end = o->first + o->pages;
    arm(o);
    int got = space_sync(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT, SYNC_WRITE);
    disarm(o);
    note("sync: %d", got);
    if (io_failed && got == -EIO) { /* of which of the files, only they know; a row is tried again, page by page */
        for (unsigned i = 0; i < FILES; i++)
            file_owes(&flat_files[i]);
        return;
    }
    if (error_is_told(m, o->first, end)) {
        check_eq(got, -EIO);
        return;
    }
    check_eq(got, flat_hole(m, o->first, end) < end ? -ENOMEM : 0);
    for (unsigned i = 0; i < m->map_count; i++) {
        struct flat_map *x = &m->maps[i];
        u64 a = max(x->first, o->first), b = min(x->end, end);
        if (a < b && x->file >= 0 && (x->flags & VIEW_SHARED))
            compare_stored(&flat_files[x->file], x->offset + (a - x->first), x->offset + (b - x->first));
    }
}

/* ---- mremap */

static int bad_remap(const struct op *o) {
    if (!o->to_pages || ((o->how & (REMAP_FIXED | REMAP_DONT_UNMAP)) && !(o->how & REMAP_MAY_MOVE)))
        return -EINVAL;
    return (o->how & REMAP_DONT_UNMAP) && o->pages != o->to_pages ? -EINVAL : 0;
}

static int bad_target(const struct op *o) {
    u64 old_end = o->first + o->pages, to_end = o->to + o->to_pages;
    if (to_end > FLAT_TOP || (o->first < to_end && o->to < old_end))
        return -EINVAL;
    return (o->how & REMAP_FIXED) && o->to < FLAT_FLOOR ? -EPERM : 0;
}

/* [old, old + pages) goes to the new place `at` in the model. */
static void flat_move(const struct op *o, struct flat *m, struct flat_map x, u64 at) {
    u64 old_end = o->first + o->pages;
    x.first = at;
    x.end = at + o->to_pages;
    flat_own_drop(m, x.first, x.end);
    flat_add(m, x);
    m->moved = true;
    flat_own_move(m, o->first, at, min(o->pages, o->to_pages));
    if (o->how & REMAP_DONT_UNMAP) {
        const u32 locks = VIEW_LOCKED | VIEW_ONFAULT; /* what stays behind is not locked, unless memory ran out */
        if (alloc_failed || model_small)
            old_end = changed_until(m, o->first, old_end, 0, locks);
        if (o->first < old_end)
            flat_change(m, o->first, old_end, 0, locks);
    } else if (o->pages) {
        flat_own_drop(m, o->first, old_end);
        flat_remove(m, o->first, old_end);
    }
}

static long flat_move_elsewhere(const struct op *o, struct flat *m, struct flat_map x, long got) {
    if (!(o->how & REMAP_MAY_MOVE) || m->map_count + 3 > vm_max_map_count)
        return -ENOMEM;
    u64 at = o->how & REMAP_FIXED ? o->to : flat_gap(m, o->to_pages, o->how & REMAP_DONT_UNMAP ? o->to : 0, FLAT_TOP);
    if (!at)
        return -ENOMEM;
    if (got > 0 && m->gap_loose && !(o->how & REMAP_FIXED))
        at = (u64)loose_place(m, got, o->to_pages, FLAT_TOP);
    flat_move(o, m, x, at);
    return (long)at;
}

/* What answers space_remap: a page, or an error. x: the mapping of the old range, clipped to begin there. */
static long flat_mremap(const struct op *o, struct flat *m, struct flat_map *x, long got) {
    u64 old_end = o->first + o->pages, kept = min(o->pages, o->to_pages), growth = o->to_pages - kept;
    bool must_move = o->how & (REMAP_FIXED | REMAP_DONT_UNMAP);
    struct flat_map *at = flat_at(m, o->first);
    if (!at)
        return -EFAULT;
    if (must_move && bad_target(o))
        return bad_target(o);
    if (o->pages > kept && old_end > FLAT_TOP)
        return -EINVAL;
    *x = *at;
    x->offset += x->file >= 0 ? o->first - x->first : 0;
    x->first = o->first;
    unsigned before = m->map_count;
    flat_save(m);
    if (!must_move && o->pages && !growth) { /* what is behind goes, whatever it is */
        flat_remove(m, o->first + o->to_pages, old_end);
        if (!count_fits(m, before))
            return -ENOMEM;
        flat_own_drop(m, o->first + o->to_pages, old_end);
        return (long)o->first;
    }
    if (!o->pages && !(x->flags & VIEW_SHARED))
        return -EINVAL;
    if (x->end < o->first + kept)
        return -EFAULT;
    if (growth && !fits_lock_limit(m, x->flags, growth))
        return -EAGAIN;
    u64 more = o->how & REMAP_DONT_UNMAP ? o->to_pages : growth;
    if (more && !fits_limits(m, x->flags, more, 0))
        return -ENOMEM;
    u64 end = o->first + o->to_pages;
    if (!must_move && o->pages && x->end == old_end && end <= FLAT_TOP && !flat_any(m, old_end, end)) {
        struct flat_map more = *x;
        more.first = old_end;
        more.end = end;
        more.offset += x->file >= 0 ? o->pages : 0;
        flat_add(m, more);
        return count_fits(m, before) ? (long)o->first : -ENOMEM;
    }
    return flat_move_elsewhere(o, m, *x, got);
}

/* It ran out of memory: nothing has changed, but for what MREMAP_FIXED was to replace, and copies made on the way. */
static void remap_failed(const struct op *o, struct flat *m) {
    u64 frame;
    struct mapping real;
    for (u64 page = o->first; page < o->first + o->pages; page++) {
        struct own_page *own = flat_own(m, page);
        u32 is = space_present(m->real, page << PAGE_SHIFT, &frame);
        if (own && (is & PAGE_EXCLUSIVE))
            flat_own_part(m, page, page + 1);
        if (own) /* a copy counts as written */
            own->written |= (is & PAGE_WRITTEN) != 0;
    }
    if (!(o->how & REMAP_FIXED))
        return;
    bool any = space_walk(m->real, o->to << PAGE_SHIFT, &real);
    if (!any || real.start >= (o->to + o->to_pages) << PAGE_SHIFT) {
        flat_own_drop(m, o->to, o->to + o->to_pages);
        flat_remove(m, o->to, o->to + o->to_pages);
    }
    if (any)
        space_walk_end(&real);
}

static void op_remap(const struct op *o, struct flat *m) {
    struct flat_map x = {0};
    looks_at(m, o->first, o->first + o->pages);
    arm(o);
    long got = space_remap(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT, o->to_pages << PAGE_SHIFT, o->how,
                           o->to << PAGE_SHIFT);
    disarm(o);
    note("remap: %#lx", got);
    if (ran_out(got)) {
        remap_failed(o, m);
        return;
    }
    long should = bad_remap(o);
    if (!should)
        should = flat_mremap(o, m, &x, got);
    check_eq(got, should < 0 ? should : should << PAGE_SHIFT);
    if (should < 0)
        return;
    bool grows = o->to_pages > o->pages;
    if (grows && (x.flags & VIEW_LOCKED)) /* what is locked is filled */
        filled(m, (u64)should + o->pages, (u64)should + o->to_pages);
    looked_first = (u64)should;
    looked_end = looked_first + o->to_pages;
}

/* ---- brk, limits */

static u64 flat_brk(struct flat *m, u64 want) {
    u64 old_end = page_align_up(m->brk) >> PAGE_SHIFT, new_end = page_align_up(want) >> PAGE_SHIFT;
    struct flat_map x = {.first = old_end,
                         .end = new_end,
                         .file = -1,
                         .max_prot = VIEW_PROT,
                         .flags = VIEW_READ | VIEW_WRITE | VIEW_HEAP | VIEW_ACCOUNT | m->locked_default};
    unsigned before = m->map_count;
    if (want < m->brk_start)
        return m->brk;
    flat_save(m);
    if (new_end > old_end) {
        struct flat_map *above = flat_above(m, old_end);
        u64 guard = above && (above->flags & VIEW_GROWSDOWN) ? FLAT_GUARD : 0;
        if ((above && above->first < new_end + 1 + guard) || new_end > FLAT_TOP ||
            (new_end << PAGE_SHIFT) - m->brk_start > space_limits(m->real)->data ||
            !fits_lock_limit(m, x.flags, new_end - old_end) || !fits_limits(m, x.flags, new_end - old_end, 0))
            return m->brk;
        flat_add(m, x);
        if (!count_fits(m, before))
            return m->brk;
    } else if (new_end < old_end) {
        flat_remove(m, new_end, old_end);
        if (!count_fits(m, before))
            return m->brk;
        flat_own_drop(m, new_end, old_end);
    }
    return want;
}

static void op_brk(const struct op *o, struct flat *m) {
    arm(o);
    u64 got = space_brk(m->real, o->value);
    disarm(o);
    note("brk: %#lx", got);
    if ((alloc_failed || model_small) && got == m->brk)
        return;
    check_eq(got, flat_brk(m, o->value));
    if (m->locked_default && got > m->brk)
        filled(m, page_align_up(m->brk) >> PAGE_SHIFT, page_align_up(got) >> PAGE_SHIFT);
    m->brk = got;
}

static void op_limits(const struct op *o, struct flat *m) {
    struct flat_totals t = flat_totals(m);
    struct space_limits *l = space_limits(m->real);
    l->address_space = o->how & 1 ? (t.total + o->pages) << PAGE_SHIFT : ~0ULL;
    l->data = o->how & 2 ? (t.data + o->pages) << PAGE_SHIFT : ~0ULL;
    l->locked = o->how & 8 ? (t.locked + o->pages) << PAGE_SHIFT : ~0ULL;
    l->stack = (o->how & 4 ? o->pages : 300) << PAGE_SHIFT;
}

/* mlock, mlock2 and munlock of one range; nothing is made present. */
static void op_lock(const struct op *o, struct flat *m) {
    u64 end = o->first + o->pages;
    u32 clear = LOCK_BITS & ~o->flags;
    looks_at(m, o->first, end);
    u64 stop = flat_hole(m, o->first, end), locked = 0;
    unsigned before = m->map_count;
    for (unsigned i = 0; i < before; i++)
        if ((m->maps[i].flags & VIEW_LOCKED) && m->maps[i].first < end && m->maps[i].end > o->first)
            locked += min(m->maps[i].end, end) - max(m->maps[i].first, o->first);
    arm(o);
    int got = space_lock(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT, o->flags);
    disarm(o);
    note("lock: %d", got);
    if (o->flags && !fits_lock_limit(m, VIEW_LOCKED, o->pages - locked)) {
        check_eq(got, -ENOMEM);
        return;
    }
    if (alloc_failed && got == -ENOMEM)
        stop = changed_until(m, o->first, stop, o->flags, clear);
    flat_save(m);
    if (o->first < stop)
        flat_change(m, o->first, stop, o->flags, clear);
    bool fits = count_fits(m, before);
    if (!(alloc_failed && got == -ENOMEM))
        check_eq(got, fits && stop == end ? 0 : -ENOMEM);
}

static void op_lock_future(const struct op *o, struct flat *m) {
    space_lock_future(m->real, o->flags);
    m->locked_default = o->flags;
}

static void op_fill(const struct op *o, struct flat *m) {
    looks_at(m, o->first, o->first + o->pages);
    arm(o);
    int got = space_fill(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT);
    disarm(o);
    note("fill: %d", got);
    if (got && (alloc_failed || io_failed || model_small))
        populated_until(m, o->first, o->first + o->pages);
    else
        check_eq(got, flat_fill(m, o->first, o->first + o->pages));
}

static void op_top(const struct op *o, struct flat *m) {
    space_set_mmap_top(m->real, o->first << PAGE_SHIFT);
    m->gap_top = o->first;
}

static void op_map_limit(const struct op *o, struct flat *m) {
    vm_max_map_count = o->how ? m->map_count + o->pages : 65530;
}

/* ---- accesses */

static void op_read(const struct op *o, struct flat *m) {
    for (u64 page = o->first; page < o->first + o->pages; page++)
        for (unsigned k = 0; k < WORDS; k++)
            compare_word(m, page, k);
}

/* A word of a shared mapping past the end of its file, in its last page: nobody says what becomes of it. */
static bool past_end(struct flat *m, u64 page, unsigned k) {
    struct flat_map *x = flat_at(m, page);
    return x && x->file >= 0 && !flat_own(m, page) &&
           (x->offset + (page - x->first)) * PAGE_SIZE + word_offset[k] >= flat_files[x->file].size;
}

static void access_one(const struct op *o, struct flat *m, u64 page, enum fault_access access) {
    unsigned k = (unsigned)choose(WORDS);
    u64 value = o->value + page, *words;
    if (past_end(m, page, k) && access == FAULT_WRITE)
        return;
    arm(o);
    enum fault_outcome is = mem_access(m->real, (page << PAGE_SHIFT) + word_offset[k], &value, sizeof(value), access);
    disarm(o);
    note("access %d to %#lx word %u: %d", access, page, k, is);
    if (is == FAULT_NOMEM && (alloc_failed || model_small)) {
        grown(m, page);
        return;
    }
    if (is == FAULT_MAPERR && alloc_failed && !flat_at(m, page)) /* it could not grow down */
        return;
    if (is == FAULT_BUS_ADRERR && io_failed)
        return;
    enum fault_outcome should = flat_access(m, page, access, &words);
    check_eq(is, should);
    if (is != FAULT_DONE)
        return;
    if (access == FAULT_WRITE)
        words[k] = value;
    else
        check_eq(value, words ? words[k] : 0);
}

static void op_write(const struct op *o, struct flat *m) {
    for (u64 page = o->first; page < o->first + o->pages; page++)
        access_one(o, m, page, o->kind == OP_WRITE ? FAULT_WRITE : FAULT_EXEC);
}

/* From outside: the last word of a page and the first of the next in one go. */
static void op_copy(const struct op *o, struct flat *m) {
    u64 values[2] = {o->value, ~o->value}, *words;
    bool write = o->kind == OP_COPY_IN, force = o->how & 1;
    const unsigned word[2] = {WORDS - 1, 0};
    ssize_t should = 0;
    for (unsigned i = 0; i < 2; i++)
        if (write && past_end(m, o->first + i, word[i]))
            return;
    arm(o);
    ssize_t got = space_copy(m->real, (o->first << PAGE_SHIFT) + word_offset[WORDS - 1], values, 16, write, force);
    disarm(o);
    note("copy %s: %ld", write ? "in" : "out", got);
    for (unsigned i = 0; i < 2 && should == 8 * (ssize_t)i; i++) {
        if ((alloc_failed || io_failed || model_small) && got <= should) { /* 0 bytes are -EFAULT */
            if (force)
                grown(m, o->first + i);
            break;
        }
        flat_remote = true;
        flat_force = force;
        enum fault_outcome outcome = flat_access(m, o->first + i, write ? FAULT_WRITE : FAULT_READ, &words);
        flat_remote = flat_force = false;
        if (outcome != FAULT_DONE || (!write && !force && !(flat_at(m, o->first + i)->flags & VIEW_READ)))
            continue;
        should += 8;
        if (write)
            words[word[i]] = values[i];
        else
            check_eq(values[i], words ? words[word[i]] : 0);
    }
    check_eq(got, should ? should : -EFAULT);
}

/* ---- what others ask */

static void op_futex(const struct op *o, struct flat *m) {
    struct futex_key key;
    u64 address = (o->first << PAGE_SHIFT) + 2048;
    struct flat_map *x = flat_at(m, o->first);
    bool shared = x && x->file >= 0 && (x->flags & VIEW_SHARED);
    check_eq(space_futex_key(m->real, address, false, &key), 0);
    check(key.where == m->real && key.offset == address);
    bool fits = x && (x->flags & VIEW_PROT) && (x->file >= 0 || (x->flags & VIEW_WRITE));
    if (fits && x->file >= 0 && x->file != FILE_DEVICE)
        fits = x->offset + (o->first - x->first) < flat_file_pages(&flat_files[x->file]);
    check_eq(space_futex_key(m->real, address, true, &key), fits ? 0 : -EFAULT);
    if (!fits)
        return;
    check(key.where == (shared ? (void *)&flat_files[x->file].real->object : (void *)m->real));
    check_eq(key.offset, shared ? ((x->offset + (o->first - x->first)) << PAGE_SHIFT) + 2048 : address);
}

/* Marks of clear_refs 4. A page that is not its own may be there or not, and a whole table comes as written. */
static void compare_mark(struct flat *m, const struct flat_map *x, const struct own_page *own, bool written) {
    if (!(x->flags & VIEW_CLEAN))
        check(written);
    else if (own && own->content && own->written)
        check(written);
    else if (!model_small && (own ? own->content != NULL : !(x->flags & VIEW_SHARED) && !m->moved))
        check(!written);
}

static void op_look(const struct op *o, struct flat *m) {
    for (u64 page = o->first; page < o->first + o->pages; page++) {
        u64 frame;
        u32 is = space_present(m->real, page << PAGE_SHIFT, &frame);
        struct own_page *own = flat_own(m, page);
        struct flat_map *x = flat_at(m, page);
        check_eq(!(is & PAGE_MAPPED), !x);
        bool there = (is & PAGE_SWAPPED) || ((is & PAGE_PRESENT) && frames[frame].class == FRAME_ANON);
        bool lost = own && !own->content;
        check(there == (own && !lost) || (there && vm_large != LARGE_NEVER));
        check(x || !is);
        if (x)
            compare_mark(m, x, own, is & PAGE_WRITTEN);
        check(!(is & PAGE_OF_FILE) || (is & PAGE_PRESENT));
        check(!(is & (PAGE_OF_FILE | PAGE_CACHED)) || x->file >= 0 || (is & PAGE_SWAPPED) || lost);
        if (own && (is & PAGE_EXCLUSIVE) && !host_swap.pages &&
            !model_small) /* an entry of the swap area may be another sharer */
            check_eq(own->content->sharers, 1);
        if (is & PAGE_PRESENT)
            check_eq(*(u64 *)((char *)frame_va(&frames[frame]) + word_offset[1]),
                     own            ? own->content->words[1]
                     : x->file >= 0 ? flat_files[x->file].words[x->offset + (page - x->first)][1]
                                    : 0);
    }
}

static void op_usage(const struct op *o, struct flat *m) {
    struct space_usage u;
    u64 end = o->first + o->pages, of_files = 0;
    for (unsigned i = 0; i < m->map_count; i++)
        if (m->maps[i].file >= 0 && m->maps[i].file != FILE_DEVICE && m->maps[i].first < end &&
            m->maps[i].end > o->first)
            of_files += min(m->maps[i].end, end) - max(m->maps[i].first, o->first);
    space_usage(m->real, o->first << PAGE_SHIFT, end << PAGE_SHIFT, &u);
    u64 own = flat_own_there(m, o->first, end);
    check(vm_large == LARGE_NEVER ? u.anon + u.swap == own : u.anon + u.swap >= own);
    check(u.file + u.shmem <= of_files);
    check_eq(u.shared_clean + u.shared_dirty + u.private_clean + u.private_dirty, u.anon + u.file + u.shmem);
    check(u.pss_bytes <= (u.anon + u.file + u.shmem) * PAGE_SIZE);
    check(u.private_clean + u.private_dirty <= u.pss_bytes / PAGE_SIZE);
}

/* ---- life and death */

static void on_new_space(struct flat *m) {
    m->brk_start = m->brk = 0x10210ULL << PAGE_SHIFT;
    space_set_brk(m->real, m->brk);
    space_limits(m->real)->stack = 300 * PAGE_SIZE;
}

static void op_create(const struct op *o, struct flat *m) {
    arm(o);
    struct space *real = space_create(false);
    disarm(o);
    if (!real) {
        check(alloc_failed || model_small);
        return;
    }
    flat_open(m);
    m->real = real;
    on_new_space(m);
}

static void op_fork(const struct op *o, struct flat *m) {
    struct flat *child = &flat_spaces[o->other];
    if (child->real)
        return;
    arm(o);
    struct space *real = space_fork(m->real);
    disarm(o);
    note("fork: %s", is_err(real) ? "failed" : "done");
    if (is_err(real)) {
        check_eq(ptr_err(real), -ENOMEM);
        check(alloc_failed || model_small || m->map_count + 2 > vm_max_map_count);
        return;
    }
    flat_fork(child, m);
    child->real = real;
    touched_too = child;
}

static void op_exit(const struct op *o, struct flat *m) {
    compare_contents(m);
    if (choose(2))
        space_load(NULL);
    else
        on_some_cpu(m); /* some CPU keeps it loaded, lazily */
    space_put(m->real);
    flat_close(m);
}

/* As execve does: a new space is made ready from outside, then loaded, then the old one goes. */
static void op_exec(const struct op *o, struct flat *m) {
    struct space *old = m->real, *fresh = space_create(false);
    if (!fresh && model_small)
        return;
    check(fresh != NULL);
    space_load(fresh);
    flat_close(m);
    flat_open(m);
    m->real = fresh;
    on_new_space(m);
    space_put(old);
    struct op text = {.kind = OP_MAP, .first = 0x10100, .pages = 9, .flags = VIEW_READ | VIEW_EXEC, .how = MAP_AT};
    struct op data = {.kind = OP_MAP, .first = 0x10109, .pages = 5, .flags = VIEW_READ | VIEW_WRITE, .how = MAP_AT};
    struct op stack = {.kind = OP_MAP, .first = 0x40210, .pages = 3, .how = MAP_AT, .file = FILES};
    stack.flags = VIEW_READ | VIEW_WRITE | VIEW_GROWSDOWN | VIEW_STACK;
    data.offset = 9;
    u64 word = 5;
    (void)!space_copy(fresh, (0x40212ULL << PAGE_SHIFT), &word, 0, true, false); /* nothing is written there yet */
    op_map(&text, m);
    op_map(&data, m);
    op_map(&stack, m);
}

static void op_load(const struct op *o, struct flat *m) {
    host_cpu(o->cpu % cpu_count);
    space_load(o->how ? m->real : NULL);
}

/* ---- flat_files */

static void op_resize(const struct op *o, struct flat_file *f) {
    u64 old = f->size;
    f->size = o->value;
    host_file_resize(f->real, f->size);
    for (u64 i = flat_file_pages(f); i < FILE_PAGES; i++)
        f->lost[i] = false;
    for (u64 i = f->size / PAGE_SIZE; i < FILE_PAGES; i++)
        for (unsigned k = 0; k < WORDS; k++)
            if (i * PAGE_SIZE + word_offset[k] >= f->size)
                f->words[i][k] = 0;
    for (struct flat *m = flat_spaces; m < flat_spaces + SPACES && f->size < old;
         m++) /* private copies past the end go, too */
        for (unsigned i = 0; m->real && i < m->map_count; i++) {
            struct flat_map *x = &m->maps[i];
            u64 kept = flat_file_pages(f) > x->offset ? flat_file_pages(f) - x->offset : 0;
            if (x->file == f - flat_files && kept < x->end - x->first)
                flat_own_drop(m, x->first + kept, x->end);
        }
}

static void file_words(const struct op *o, struct flat_file *f, enum object_use use) {
    unsigned k = (unsigned)choose(WORDS);
    struct frame *frame;
    if (o->offset * PAGE_SIZE + word_offset[k] >= f->size || (o->offset + 1) * PAGE_SIZE > page_align_up(f->size))
        return;
    arm(o);
    int got = object_get(&f->real->object, o->offset, use, &frame);
    disarm(o);
    note("get: %d", got);
    if (got) {
        bool lost = f->lost[o->offset];
        check_eq(got, io_failed || lost ? -EIO : -ENOMEM);
        check(io_failed || alloc_failed || model_small || lost);
        return;
    }
    check(!f->lost[o->offset]);
    char *page = frame_va(frame);
    if (use == OBJECT_OVERWRITE) {
        memset(page, 0, PAGE_SIZE);
        memset(f->words[o->offset], 0, sizeof(f->words[0]));
    }
    if (use == OBJECT_READ) {
        check_eq(*(u64 *)(page + word_offset[k]), f->words[o->offset][k]);
    } else {
        f->words[o->offset][k] = o->value;
        *(u64 *)(page + word_offset[k]) = o->value;
    }
    frame_unpin(frame);
}

static void op_file(const struct op *o, struct flat_file *f) {
    struct object *object = &f->real->object;
    u64 end = o->offset + o->pages;
    switch (o->kind) {
    case OP_RESIZE:
        op_resize(o, f);
        break;
    case OP_PUNCH:
        host_file_punch(f->real, o->offset, end);
        for (u64 i = o->offset; i < min(end, (u64)FILE_PAGES); i++) {
            memset(f->words[i], 0, sizeof(f->words[i]));
            f->lost[i] = false;
        }
        break;
    case OP_FILE_SYNC:
        arm(o);
        int got = object_sync(object, o->offset, end);
        disarm(o);
        check(!got || (io_failed && got == -EIO));
        f->owes_error |= got != 0;
        if (!got)
            compare_stored(f, o->offset, end);
        break;
    case OP_FILE_DROP:
        object_drop(object, o->offset, end);
        break;
    default:
        file_words(o, f,
                   o->kind == OP_FILE_READ    ? OBJECT_READ
                   : o->kind == OP_FILE_WRITE ? OBJECT_WRITE
                                              : OBJECT_OVERWRITE);
    }
}

static void op_reclaim(const struct op *o) {
    arm(o);
    u64 got = vm_reclaim(o->pages);
    disarm(o);
    note("reclaim %lu: %lu", o->pages, got);
}

/* ---- where pages go when memory is short */

static int second; /* a swap area that comes and goes; 0: it is not there */
static int go_on(void) { return 0; }

static void op_area(const struct op *o) {
    if (!host_swap.pages)
        return;
    arm(o);
    int got = second ? area_empty((unsigned)second, go_on) : host_swap_add(1 + o->pages, o->how % 4 - 1);
    disarm(o);
    note("area %d: %d", second, got);
    if (got < 0) {
        check(ran_out(got) || (got == -EIO && io_failed && second));
    } else if (second) {
        host_swap_drop((unsigned)second);
        second = 0;
    } else {
        second = got;
    }
}

static void op_policy(const struct op *o) {
    unsigned count = 0;
    while (policies[count])
        count++;
    check_eq(vm_policy_choose(policies[o->how % count]->name), 0);
}

/* reaped_until: all private mappings that begin below it are gone: of a call that stopped. */
static u64 reaped_until(struct flat *m) {
    for (unsigned i = 0; i < m->map_count; i++) {
        const struct flat_map *x = &m->maps[i];
        u64 frame;
        if (!(x->flags & VIEW_SHARED) && (space_present(m->real, x->first << PAGE_SHIFT, &frame) & PAGE_MAPPED))
            return x->first;
    }
    return FLAT_TOP;
}

static void op_reap(const struct op *o, struct flat *m) {
    arm(o);
    int got = space_reap(m->real);
    disarm(o);
    note("reap: %d", got);
    u64 until = got ? reaped_until(m) : FLAT_TOP;
    check(!got || ran_out(got));
    for (unsigned i = 0; i < m->map_count && m->maps[i].first < until;) {
        struct flat_map x = m->maps[i];
        if (x.flags & VIEW_SHARED) {
            i++;
            continue;
        }
        flat_remove(m, x.first, x.end);
        flat_own_drop(m, x.first, x.end);
    }
}

/* ---- what memory is asked to become where it is */

/* CLEAN: clear_refs 4. It goes mapping by mapping, and may stop. */
static void op_clean(const struct op *o, struct flat *m) {
    u64 end = FLAT_TOP, frame;
    arm(o);
    int got = space_clean(m->real);
    disarm(o);
    note("clean: %d", got);
    if (ran_out(got))
        end = changed_until(m, 0, FLAT_TOP, VIEW_CLEAN, 0);
    else
        check_eq(got, 0);
    flat_change(m, 0, end, VIEW_CLEAN, 0);
    for (unsigned i = 0; i < m->own_count; i++)
        m->own[i].written &= got && (space_present(m->real, m->own[i].page << PAGE_SHIFT, &frame) & PAGE_WRITTEN);
    m->moved &= got != 0;
}

/* COLLAPSE: nothing changes but how it is shown. Pages come that nobody has written: as whole tables do. */
static void op_collapse(const struct op *o, struct flat *m) {
    struct space_usage u;
    u64 end = o->first + o->pages;
    if (vm_large == LARGE_NEVER)
        return;
    looks_at(m, o->first, end);
    arm(o);
    int got = space_collapse(m->real, o->first << PAGE_SHIFT, o->pages << PAGE_SHIFT);
    disarm(o);
    note("collapse: %d", got);
    check(!got || got == -EINVAL || got == -EAGAIN || got == -ENOMEM);
    for (u64 page = o->first; page < end && !got; page += TABLE_SLOTS) {
        struct flat_map *x = flat_at(m, page);
        check(x && x->end >= page + TABLE_SLOTS && x->file < 0 && (x->flags & VIEW_WRITE));
        space_usage(m->real, page << PAGE_SHIFT, (page + TABLE_SLOTS) << PAGE_SHIFT, &u);
        check_eq(u.large, TABLE_SLOTS);
    }
}

/* Who has the content has lost it, but for those that have it in the swap area. */
static void content_lost(struct content *c) {
    u32 is;
    for (struct flat *m = flat_spaces; m < flat_spaces + SPACES; m++)
        for (unsigned i = 0; m->real && i < m->own_count; i++) {
            bool there = m->own[i].content == c && anon_there(m, m->own[i].page, &is);
            check(!there || (is & PAGE_SWAPPED));
            if (m->own[i].content == c && !there)
                flat_own_lose(&m->own[i]);
        }
}

/* A file's page is read again, as it was written back last; one that is only in memory is lost for all. */
static void file_page_lost(struct flat_file *f, u64 index, bool only_here) {
    for (unsigned k = 0; k < WORDS; k++) {
        u64 at = index * PAGE_SIZE + word_offset[k];
        f->words[index][k] = f->real->contents && at < f->size ? *(u64 *)(f->real->contents + at) : 0;
    }
    f->lost[index] = only_here;
    file_owes(f);
}

/* OFFLINE: the frame of a page is taken out of use, as madvise does it: touched, pinned, and gone. */
static void op_offline(const struct op *o, struct flat *m) {
    u64 page = o->first, *words;
    bool poison = o->how & 1;
    enum fault_outcome is = space_fault(m->real, page << PAGE_SHIFT, FAULT_READ);
    if (is == FAULT_NOMEM && model_small) {
        grown(m, page);
        return;
    }
    check_eq(is, flat_access(m, page, FAULT_READ, &words));
    struct frame *f = is == FAULT_DONE ? space_pin(m->real, page << PAGE_SHIFT) : NULL;
    struct own_page *own = flat_own(m, page);
    struct flat_map *x = flat_at(m, page);
    if (!f) {
        check(is != FAULT_DONE || (!own && (x->file < 0 || x->file == FILE_DEVICE)));
        return;
    }
    bool only_here = frame_class(f) == FRAME_SHMEM;
    /* it could not be written to the swap area, or the tier did not want it */
    bool kept = frame_class(f) == FRAME_ANON && (frame_flags(f) & (FRAME_ERROR | FRAME_DIRTY));
    if (!own && x->file < 0) /* a whole table's page that nobody has written: the model does not know it */
        poison = false;
    arm(o);
    int got = frame_offline(f, poison);
    disarm(o);
    note("offline, %s: %d", poison ? "lost" : "moved", got);
    if (ran_out(got))
        return;
    check_eq(got, kept ? -EBUSY : 0);
    if (got || !poison)
        return;
    if (own)
        content_lost(own->content);
    else
        file_page_lost(&flat_files[x->file], x->offset + (page - x->first), only_here);
}

/* ---- a step */

static void (*const space_ops[OP_KINDS])(const struct op *o, struct flat *m) = {
    [OP_FORK] = op_fork,
    [OP_EXIT] = op_exit,
    [OP_EXEC] = op_exec,
    [OP_MAP] = op_map,
    [OP_UNMAP] = op_unmap,
    [OP_PROTECT] = op_protect,
    [OP_DISCARD] = op_discard,
    [OP_CHANGE] = op_change,
    [OP_POPULATE] = op_populate,
    [OP_SYNC] = op_sync,
    [OP_REMAP] = op_remap,
    [OP_BRK] = op_brk,
    [OP_WEAR] = op_wear,
    [OP_LIMITS] = op_limits,
    [OP_TOP] = op_top,
    [OP_MAP_LIMIT] = op_map_limit,
    [OP_READ] = op_read,
    [OP_WRITE] = op_write,
    [OP_EXECUTE] = op_write,
    [OP_COPY_OUT] = op_copy,
    [OP_COPY_IN] = op_copy,
    [OP_FUTEX] = op_futex,
    [OP_LOOK] = op_look,
    [OP_USAGE] = op_usage,
    [OP_LOAD] = op_load,
    [OP_LOCK] = op_lock,
    [OP_LOCK_FUTURE] = op_lock_future,
    [OP_FILL] = op_fill,
    [OP_REAP] = op_reap,
    [OP_CLEAN] = op_clean,
    [OP_COLLAPSE] = op_collapse,
    [OP_OFFLINE] = op_offline,
};

bool op_run(const struct op *o) {
    struct flat *m = &flat_spaces[o->space];
    choice_state = (o->seed + 1) * 0x9e3779b97f4a7c15ULL;
    touched = touched_too = NULL;
    looked_first = looked_end = 0;
    if (o->kind == OP_CREATE && !m->real) {
        op_create(o, m);
    } else if (o->kind == OP_RECLAIM) {
        op_reclaim(o);
    } else if (o->kind == OP_AREA) {
        op_area(o);
    } else if (o->kind == OP_TIER) {
        check_eq(zswap_set_limit(host_swap.pages ? o->pages : 0), 0);
    } else if (o->kind == OP_POLICY) {
        op_policy(o);
    } else if (o->kind >= OP_RESIZE && o->kind <= OP_FILE_DROP) {
        op_file(o, &flat_files[o->file]);
    } else if (space_ops[o->kind] && m->real) {
        on_some_cpu(m);
        space_ops[o->kind](o, m);
        touched = m;
    } else {
        return false;
    }
    if (m->real && looked_end)
        probe(m, looked_first, looked_end);
    return true;
}

/* ---- a run */

static void file_make(unsigned i) {
    struct flat_file *f = &flat_files[i];
    f->size = (20 + 11 * i) * PAGE_SIZE;
    if (i == FILE_DEVICE)
        f->real = host_device_new((char)('A' + i), f->size);
    else
        f->real = host_file_new((char)('A' + i), f->size, FILE_BACKED(i));
    if (i == FILE_LAYERED)
        host_file_layered(f->real);
    for (u64 p = 0; p < flat_file_pages(f) && FILE_BACKED(i); p++)
        for (unsigned k = 0; k < WORDS; k++)
            f->words[p][k] = (u64)('A' + i) << 56 | p << 16 | word_offset[k] / 8;
}

void model_begin(void) {
    for (unsigned i = 0; i < FILES; i++)
        file_make(i);
    host_settle();
    at_start = host_count();
}

void model_end(void) {
    struct op leave = {.kind = OP_EXIT};
    for (leave.space = 0; leave.space < SPACES; leave.space++)
        op_run(&leave);
    for (unsigned c = 0; c < cpu_count; c++) {
        host_cpu(c);
        space_load(NULL);
    }
    check_eq(contents_live, 0);
    if (second)
        op_run(&(struct op){.kind = OP_AREA});
    check_eq(second, 0);
    for (unsigned i = 0; i < FILES; i++) {
        check_eq(flat_files[i].real->references, 1);
        if (i == FILE_DEVICE)
            continue;
        host_file_put(flat_files[i].real);
    }
    if (host_swap.failures ||
        host_swap.no_device) /* what could not be written stays until the hand passes and nobody needs it */
        vm_reclaim(2 * frame_count);
    check_no_leak(at_start);
}
