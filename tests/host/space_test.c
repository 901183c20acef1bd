/* space_test.c - one operation at a time, drawn: what the plan says of each page, and what its slot holds, before and
 * after.
 *
 *   plan:   .  nothing      r w x -  anonymous: readable, writable, executable too, none      A a  a file's letter:
 * shared, private |  between two mappings that do not join slots:  .  empty        z  the zero frame     p  a private
 * frame     f  a frame of the file     n  withheld (PROT_NONE) P F  the same, and it can be written through the whole
 * path */
#include "host.h"
#include "vm/policy.h"
#include "vm/commit.h"
#include "vm/event.h"
#include "vm/inner.h"
#include "vm/roster.h"

#define AT 0x101f8ULL /* 8 pages before a border of leaves */

static struct space *s;
static struct host_file *file;

static void begin(void) {
    machine_start((struct host_config){0});
    file = host_file_new('A', 32 * PAGE_SIZE, true);
    s = space_create(false);
    check(s && file);
    space_load(s);
}
static void end(void) {
    host_check();
    space_load(NULL);
    space_put(s);
    check_eq(file->references, 1);
    host_file_put(file);
    check_eq(commit_total(), 0); /* every promise was given back */
}

static char letter(const struct view *v) {
    u32 f = v->flags;
    if (v->file)
        return (char)(container_of(v->file, struct host_file, file)->letter + (f & VIEW_SHARED ? 0 : 'a' - 'A'));
    return f & VIEW_EXEC ? 'x' : f & VIEW_WRITE ? 'w' : f & VIEW_READ ? 'r' : '-';
}

static const char *plan(struct space *of, unsigned pages) {
    static char text[2][300];
    static unsigned which;
    char *out = text[which++ % 2], *start = out;
    u64 last_end = 0;
    struct mapping m = {0};
    for (u64 page = AT; page < AT + pages; page++) {
        bool in = space_walk(of, page << PAGE_SHIFT, &m) && m.start <= page << PAGE_SHIFT;
        if (in && page << PAGE_SHIFT == last_end && page > AT)
            *out++ = '|';
        *out++ = in ? letter(m.view) : '.';
        if (in)
            last_end = m.end;
        if (m.view)
            space_walk_end(&m);
        m = (struct mapping){0};
    }
    *out = 0;
    return start;
}

static char slot_letter(struct space *of, u64 page) {
    struct walk w;
    walk_down(of, page, &w);
    if (w.level > 1)
        return '.';
    entry e = slot_read(&w.table[1]->slots[slot_index(page, 1)]);
    if (entry_empty(e))
        return '.';
    if (entry_withheld(e))
        return 'n';
    struct frame *f = frame_of_phys(entry_phys(e));
    char c = f == zero_frame ? 'z' : f->class == FRAME_ANON ? 'p' : 'f';
    return w.writable && entry_writable(e) ? (char)(c - 'a' + 'A') : c;
}

static const char *slots(struct space *of, unsigned pages) {
    static char text[2][300];
    static unsigned which;
    char *out = text[which++ % 2];
    for (unsigned i = 0; i < pages; i++)
        out[i] = slot_letter(of, AT + i);
    out[pages] = 0;
    return out;
}

/* draw: both rows of `space`, `pages` long as the drawing, must be these. */
#define draw(space, ruler, plan_row, slot_row)                                                                         \
    do {                                                                                                               \
        check_text(plan(space, sizeof(ruler) - 1), plan_row);                                                          \
        check_text(slots(space, sizeof(ruler) - 1), slot_row);                                                         \
        host_check();                                                                                                  \
    } while (0)

static void map(unsigned first, unsigned pages, u32 flags, struct host_file *f, u64 index) {
    struct map_request r = {.address = (AT + first) << PAGE_SHIFT,
                            .bytes = pages << PAGE_SHIFT,
                            .flags = flags,
                            .how = MAP_AT,
                            .file = f ? &f->file : NULL,
                            .offset = index << PAGE_SHIFT};
    check_eq(space_map(s, &r), r.address);
}
static u64 at(unsigned page) { return (AT + page) << PAGE_SHIFT; }
static void put(unsigned page, u64 value) { check_eq(mem_write(s, at(page), value), FAULT_DONE); }
static u64 get(unsigned page) {
    u64 value = 0xbad;
    check_eq(mem_read(s, at(page), &value), FAULT_DONE);
    return value;
}
#define RW (VIEW_READ | VIEW_WRITE)
#define KB4(n) ((u64)(n) << PAGE_SHIFT)

test(space_map_joins_equal_neighbours) {
    begin();
    map(2, 3, RW, NULL, 0);
    draw(s, "0123456789", "..www.....", "..........");
    map(5, 2, RW, NULL, 0);
    map(7, 2, VIEW_READ, NULL, 0);
    draw(s, "0123456789", "..wwwww|rr.", "..........");
    map(4, 2, VIEW_PROT, NULL, 0); /* replaces */
    draw(s, "0123456789", "..ww|xx|w|rr.", "..........");
    map(4, 2, RW, NULL, 0); /* and joins again, across the border of leaves at 8 */
    map(7, 3, RW, NULL, 0);
    draw(s, "0123456789", "..wwwwwwww", "..........");
    struct space_totals t;
    space_totals(s, &t);
    check_eq(t.mappings, 1);
    check_eq(t.total, 8);
    end();
}

test(space_faults_fill_slots) {
    begin();
    map(0, 4, RW, NULL, 0);
    map(4, 4, RW, file, 4);
    map(8, 4, RW | VIEW_SHARED, file, 20);
    draw(s, "0123456789ab", "wwww|aaaa|AAAA", "............");
    check_eq(get(0), 0);
    put(1, 11);
    put(5, 55);
    put(9, 99);
    draw(s, "0123456789ab", "wwww|aaaa|AAAA", "zP...P...F..");
    check_eq(get(8) >> 56, 'A');
    check_eq(get(4), (u64)'A' << 56 | 4 << 16);
    check_eq(get(5), 55);
    draw(s, "0123456789ab", "wwww|aaaa|AAAA", "zP..fPfffFff"); /* neighbours that are cached come along */
    put(0, 1);
    put(4, 44);
    put(8, 88);
    draw(s, "0123456789ab", "wwww|aaaa|AAAA", "PP..PPffFFff");
    end();
}

test(space_outcomes) {
    begin();
    u64 value;
    map(0, 2, VIEW_READ, NULL, 0);
    map(2, 2, 0, NULL, 0);
    map(4, 4, RW | VIEW_SHARED, file, 30); /* two pages past the end of the file */
    check_eq(mem_write(s, at(0), 1), FAULT_ACCERR);
    check_eq(mem_read(s, at(2), &value), FAULT_ACCERR);
    check_eq(mem_access(s, at(0), &value, 8, FAULT_EXEC), FAULT_ACCERR);
    check_eq(mem_read(s, at(5), &value), FAULT_DONE);
    check_eq(mem_read(s, at(6), &value), FAULT_BUS_ADRERR);
    check_eq(mem_write(s, at(7), 1), FAULT_BUS_ADRERR);
    check_eq(mem_read(s, at(8), &value), FAULT_MAPERR);
    check_eq(mem_read(s, USER_PAGES << PAGE_SHIFT, &value), FAULT_MAPERR);
    end();
}

test(space_io_error_is_a_bus_error_and_leaves_nothing) {
    begin();
    u64 value;
    map(0, 2, VIEW_READ, file, 0);
    file->fail_fills = 1;
    check_eq(mem_read(s, at(0), &value), FAULT_BUS_ADRERR);
    draw(s, "01", "aa", "..");
    check_eq(file->object.cached, 0);
    check_eq(get(0), (u64)'A' << 56);
    end();
}

test(space_unmap_middle) {
    begin();
    map(0, 10, RW, NULL, 0);
    for (unsigned i = 0; i < 10; i++)
        put(i, i);
    check_eq(space_unmap(s, at(3), KB4(3)), 0);
    draw(s, "0123456789", "www...wwww", "PPP...PPPP");
    check_eq(space_unmap(s, at(7), KB4(100)), 0); /* over the border, and over nothing */
    draw(s, "0123456789", "www...w...", "PPP...P...");
    check_eq(space_unmap(s, at(0), KB4(10)), 0);
    draw(s, "0123456789", "..........", "..........");
    struct space_totals t;
    space_totals(s, &t);
    check_eq(t.total, 0);
    check_eq(t.tables, 1); /* only the root: the others were folded away */
    check_eq(space_unmap(s, at(0) + 1, KB4(1)), -EINVAL);
    check_eq(space_unmap(s, at(0), 0), -EINVAL);
    end();
}

test(space_protect_withholds_and_gives_back) {
    begin();
    map(0, 6, RW, NULL, 0);
    for (unsigned i = 0; i < 4; i++)
        put(i, 100 + i);
    check_eq(space_protect(s, at(1), KB4(3), VIEW_READ), 0);
    draw(s, "012345", "w|rrr|ww", "Pppp..");
    check_eq(space_protect(s, at(2), KB4(3), 0), 0);
    draw(s, "012345", "w|r|---|w", "Ppnn..");
    check_eq(space_protect(s, at(0), KB4(6), RW), 0);
    draw(s, "012345", "wwwwww", "Pppp..");
    check_eq(get(2), 102);
    put(2, 7);
    draw(s, "012345", "wwwwww", "PpPp..");
    check_eq(space_protect(s, at(4), KB4(4), VIEW_READ), -ENOMEM); /* up to the hole */
    draw(s, "012345", "wwww|rr", "PpPp..");
    end();
}

test(space_discard_empties_but_keeps_the_plan) {
    begin();
    map(0, 3, RW, NULL, 0);
    map(3, 3, RW, file, 0);
    map(6, 3, RW | VIEW_SHARED, file, 10);
    for (unsigned i = 0; i < 9; i++)
        put(i, 7);
    draw(s, "0123456789", "www|aaa|AAA.", "PPPPPPFFF.");
    check_eq(mem_discard(s, at(1), KB4(7)), 0);
    draw(s, "0123456789", "www|aaa|AAA.", "P.......F.");
    check_eq(get(1), 0);
    check_eq(get(4), (u64)'A' << 56 | 1 << 16);
    check_eq(get(7), 7); /* shared: it was only unmapped */
    check_eq(mem_discard(s, at(8), KB4(2)), -ENOMEM);
    end();
}

test(space_fork_shares_until_written) {
    begin();
    map(0, 4, RW, NULL, 0);
    map(4, 2, RW | VIEW_SHARED, file, 0);
    for (unsigned i = 0; i < 5; i++)
        put(i, 10 + i);
    draw(s, "012345", "wwww|AA", "PPPPF.");
    u64 tables = table_count();
    struct space *parent = s, *child = space_fork(s);
    check(!is_err(child));
    check_eq(table_count(), tables + 1); /* the root only */
    draw(parent, "012345", "wwww|AA", "ppppf.");
    draw(child, "012345", "wwww|AA", "ppppf.");
    put(1, 99); /* the parent breaks its path; the child keeps the old one */
    draw(parent, "012345", "wwww|AA", "pPppf.");
    draw(child, "012345", "wwww|AA", "ppppf.");
    s = child;
    space_load(s);
    check_eq(get(1), 11);
    put(1, 77); /* last sharer: takes the tables over; the frame is its alone since the parent has copied */
    draw(child, "012345", "wwww|AA", "pPppf.");
    put(4, 44);
    s = parent;
    space_load(s);
    check_eq(get(1), 99);
    check_eq(get(4), 44);
    space_put(child);
    put(0, 1); /* alone again: no copy */
    draw(parent, "012345", "wwww|AA", "PPppf.");
    end();
}

test(space_fork_obeys_advice) {
    begin();
    map(0, 6, RW, NULL, 0);
    for (unsigned i = 0; i < 6; i++)
        put(i, 10 + i);
    check_eq(space_change(s, at(1), KB4(1), VIEW_DONTFORK, 0), 0);
    check_eq(space_change(s, at(3), KB4(1), VIEW_WIPEONFORK, 0), 0);
    draw(s, "012345", "w|w|w|w|ww", "PPPPPP");
    struct space *parent = s, *child = space_fork(s);
    draw(child, "012345", "w.w|w|ww", "p.p.pp");
    draw(parent, "012345", "w|w|w|w|ww", "pppppp");
    s = child;
    space_load(s);
    check_eq(get(3), 0);
    check_eq(get(2), 12);
    s = parent;
    space_load(s);
    space_put(child);
    check_eq(get(1), 11);
    check_eq(get(3), 13);
    end();
}

test(space_remap_grows_moves_shrinks) {
    begin();
    map(0, 3, RW, NULL, 0);
    map(6, 1, VIEW_READ, NULL, 0);
    for (unsigned i = 0; i < 3; i++)
        put(i, 10 + i);
    check_eq(space_remap(s, at(0), KB4(3), KB4(5), 0, 0), at(0));
    draw(s, "0123456789abcdef", "wwwww.r.........", "PPP.............");
    check_eq(space_remap(s, at(0), KB4(5), KB4(8), 0, 0), -ENOMEM);
    check_eq(space_remap(s, at(1), KB4(4), KB4(5), REMAP_MAY_MOVE | REMAP_FIXED, at(9)), at(9));
    draw(s, "0123456789abcdef", "w.....r..wwwww..", "P........PP.....");
    check_eq(get(10), 12);
    check_eq(space_remap(s, at(9), KB4(5), KB4(1), 0, 0), at(9));
    draw(s, "0123456789abcdef", "w.....r..w......", "P........P......");
    check_eq(space_remap(s, at(9), KB4(1), KB4(1), REMAP_MAY_MOVE | REMAP_FIXED | REMAP_DONT_UNMAP, at(2)), at(2));
    draw(s, "0123456789abcdef", "w.w...r..w......", "P.P.............");
    check_eq(get(9), 0);
    check_eq(get(2), 11);
    check_eq(space_remap(s, at(1), KB4(1), KB4(1), 0, 0), -EFAULT);
    end();
}

#define OLD 8u /* a border of leaves */
#define NEW (8u + 4 * TABLE_SLOTS)

static struct table *leaf_of(unsigned page) {
    struct walk w;
    walk_down(s, AT + page, &w);
    return w.level == 1 ? w.table[1] : NULL;
}

test(space_remap_moves_full_leaves_whole) {
    const unsigned pages = 2 * TABLE_SLOTS + 10;
    begin();
    map(OLD, pages, RW, NULL, 0);
    put(OLD, 1);
    put(OLD + 511, 2);
    put(OLD + 513, 3);
    put(OLD + 1030, 4);
    struct space *parent = s, *child = space_fork(s);
    check(!is_err(child));
    put(OLD + 513, 5); /* this leaf is the parent's own now, the others are shared */
    struct table *own = leaf_of(OLD + 513), *part = leaf_of(OLD + 1030);
    long to = space_remap(s, at(OLD), KB4(pages), KB4(pages + 20), REMAP_MAY_MOVE | REMAP_FIXED, at(NEW));
    check_eq(to, at(NEW));
    check(leaf_of(NEW + 513) == own && leaf_of(NEW + 1030) != part && !leaf_of(OLD + 513));
    host_check();
    check_eq(mem_write(s, at(OLD), 1), FAULT_MAPERR);
    check(get(NEW) == 1 && get(NEW + 511) == 2 && get(NEW + 513) == 5 && get(NEW + 1030) == 4);
    put(NEW, 6); /* frames that the child has too: each its own copy */
    put(NEW + 511, 7);
    check(get(NEW) == 6 && get(NEW + 600) == 0);
    s = child;
    space_load(s);
    check(get(OLD) == 1 && get(OLD + 511) == 2 && get(OLD + 513) == 3 && get(OLD + 1030) == 4);
    put(OLD + 511, 8);
    s = parent;
    space_load(s);
    space_put(child);
    check_eq(get(NEW + 511), 7);
    check_eq(space_unmap(s, at(NEW), KB4(pages + 20)), 0);
    end();
}

/* Part of a leaf, leaves that move whole beside some that are not there, and a part again; however full the plans above
 * are: what cuts them is all done before room is made there, and the move finds it. */
static void move_between(unsigned others, struct host_file *of) {
    const unsigned first = OLD + 500, to = NEW + 8 * TABLE_SLOTS + 500, pages = 12 + 7 * TABLE_SLOTS + 20;
    const unsigned marks[] = {0, 12, 12 + 2 * TABLE_SLOTS, 12 + 4 * TABLE_SLOTS, 12 + 5 * TABLE_SLOTS, pages - 1};
    s = space_create(false);
    space_load(s);
    map(first, pages, RW, of, 0);
    for (unsigned i = 0; i < others; i++)
        map(OLD + 20 * TABLE_SLOTS + 2 * i, 1, VIEW_READ, NULL, 0);
    for (unsigned i = 0; i < array_count(marks); i++)
        put(first + marks[i], i + 1);
    check_eq(space_remap(s, at(first), KB4(pages), KB4(pages), REMAP_MAY_MOVE | REMAP_FIXED, at(to)), at(to));
    host_check();
    for (unsigned i = 0; i < array_count(marks); i++)
        check_eq(get(to + marks[i]), i + 1);
    space_load(NULL);
    space_put(s);
}
test(space_remap_has_room_for_what_moves) {
    machine_start((struct host_config){0});
    struct host_file *large = host_file_new('L', 8 * TABLE_SLOTS * PAGE_SIZE, true);
    for (unsigned others = 0; others < 14; others++) {
        move_between(others, NULL);
        move_between(others, large);
    }
    host_file_put(large);
}

test(space_remap_leaves_a_run_behind) {
    begin();
    map(OLD, TABLE_SLOTS, RW, file, 0);
    put(OLD + 3, 1);
    u64 there = get(OLD + 4);
    struct table *leaf = leaf_of(OLD);
    long to = space_remap(s, at(OLD), KB4(512), KB4(512), REMAP_MAY_MOVE | REMAP_FIXED | REMAP_DONT_UNMAP, at(NEW));
    check_eq(to, at(NEW));
    check(leaf_of(NEW) == leaf && !leaf_of(OLD));
    host_check();
    check(get(NEW + 3) == 1 && get(NEW + 4) == there && get(OLD + 4) == there && get(OLD + 3) != 1);
    to = space_remap(s, at(OLD), KB4(512), KB4(512), REMAP_MAY_MOVE | REMAP_FIXED, at(NEW + 512));
    check_eq(to, at(NEW + 512)); /* beside it: offsets do not go on, so they stay two mappings */
    check(get(NEW + 512 + 4) == there && get(NEW + 4) == there);
    end();
}

/* Every allocation on the way fails once: nothing has moved then. */
test(space_remap_of_leaves_without_memory) {
    bool failed = true;
    u64 value;
    begin();
    map(OLD, 2 * TABLE_SLOTS, RW, file, 0);
    for (u64 n = 1; failed; n++) {
        put(OLD + 3, n);
        struct space *child = space_fork(s);
        check(!is_err(child));
        alloc_fail_at(n);
        long to = space_remap(s, at(OLD), KB4(1024), KB4(1024), REMAP_MAY_MOVE | REMAP_FIXED, at(NEW));
        failed = !alloc_fail_countdown;
        alloc_fail_at(0);
        bool moved = to == (long)at(NEW);
        check(moved || (failed && to == -ENOMEM));
        check_eq(get((moved ? NEW : OLD) + 3), n);
        check_eq(mem_read(s, at((moved ? OLD : NEW) + 3), &value), FAULT_MAPERR);
        space_put(child);
        if (moved)
            check_eq(space_remap(s, at(NEW), KB4(1024), KB4(1024), REMAP_MAY_MOVE | REMAP_FIXED, at(OLD)), at(OLD));
    }
    end();
}

test(space_truncate_unmaps_shared_and_private) {
    begin();
    map(0, 4, RW | VIEW_SHARED, file, 0);
    map(4, 4, RW, file, 0);
    for (unsigned i = 0; i < 8; i++)
        put(i, 10 + i);
    draw(s, "01234567", "AAAA|aaaa", "FFFFPPPP");
    host_file_resize(file, 2 * PAGE_SIZE);
    draw(s, "01234567", "AAAA|aaaa", "FF..PP..");
    check_eq(mem_write(s, at(6), 1), FAULT_BUS_ADRERR);
    host_file_resize(file, 4 * PAGE_SIZE);
    check_eq(get(2), 0);
    check_eq(get(7), 0);
    end();
}

test(space_break_moves) {
    begin();
    space_set_brk(s, at(0) + 100);
    check_eq(space_brk(s, 0), at(0) + 100);
    check_eq(space_brk(s, at(3)), at(3));
    draw(s, "01234567", ".ww.....", "........");
    put(2, 5);
    map(5, 1, VIEW_READ, NULL, 0);
    check_eq(space_brk(s, at(6)), at(3));
    check_eq(space_brk(s, at(5)), at(3)); /* a page stays free below what is mapped */
    check_eq(space_brk(s, at(4)), at(4));
    check_eq(space_brk(s, at(2) + 1), at(2) + 1);
    draw(s, "01234567", ".ww..r..", "..P.....");
    check_eq(space_brk(s, at(1)), at(1));
    draw(s, "01234567", ".....r..", "........");
    end();
}

test(space_stack_grows_down) {
    begin();
    u64 value;
    map(600, 2, RW | VIEW_GROWSDOWN, NULL, 0);
    check_eq(mem_write(s, at(590), 1), FAULT_DONE);
    struct mapping m;
    check(space_walk(s, 0, &m));
    check_eq(m.start, at(590));
    check_eq(m.end, at(602));
    space_walk_end(&m);
    map(300, 1, RW, NULL, 0); /* the gap of 256 pages is kept to it */
    check_eq(mem_write(s, at(557), 1), FAULT_DONE);
    check_eq(mem_read(s, at(556), &value), FAULT_MAPERR);
    end();
}

test(space_gap_is_found_from_the_top) {
    begin();
    struct map_request r = {.bytes = KB4(3), .flags = RW};
    long a = space_map(s, &r), b, c;
    r.flags = VIEW_READ;
    b = space_map(s, &r);
    c = space_map(s, &r);
    check(a > 0 && b > 0 && c > 0);
    check_eq(b, a - (long)KB4(3));
    check_eq(c, b - (long)KB4(3));
    check_eq(space_unmap(s, (u64)b, KB4(3)), 0);
    check_eq(space_map(s, &r), b); /* the hole is used again */
    r.address = at(4) + 1;         /* a hint, rounded down to a page */
    check_eq(space_map(s, &r), at(4));
    r.address = at(6); /* taken: somewhere else */
    check((u64)space_map(s, &r) > at(100));
    r.how = MAP_BELOW_4G;
    r.address = 0;
    check(space_map(s, &r) < (long)(2 * GiB));
    end();
}

test(space_map_count_is_limited) {
    begin();
    vm_max_map_count = 4;
    for (unsigned i = 0; i < 4; i++)
        map(2 * i, 1, RW, NULL, 0);
    struct map_request r = {.address = at(20), .bytes = KB4(1), .flags = RW, .how = MAP_AT};
    check_eq(space_map(s, &r), -ENOMEM);
    end();
}

test(space_huge_reservation_costs_nothing) {
    begin();
    host_settle();
    struct host_count before = host_count();
    struct map_request r = {.bytes = 64ULL << 40, .flags = 0};
    long got = space_map(s, &r);
    check(got > 0);
    struct host_count now = host_count();
    check_eq(now.tables, before.tables);
    check_eq(space_unmap(s, (u64)got, r.bytes), 0);
    end();
}

test(space_copy_reaches_another_space) {
    begin();
    map(0, 2, RW, NULL, 0);
    map(2, 1, VIEW_READ, file, 3);
    put(0, 5);
    char out[100] = "hello", in[100] = "";
    check_eq(space_copy(s, at(1) - 3, out, 6, true, false), 6);
    check_eq(space_copy(s, at(1) - 3, in, 6, false, false), 6);
    check_text(in, "hello");
    check_eq(space_copy(s, at(2), out, 6, true, false), -EFAULT);
    draw(s, "012", "ww|a", "PP.");
    check_eq(space_copy(s, at(2) - 2, in, 100, false, false), 100);
    check_eq(space_copy(s, at(9), in, 10, false, false), -EFAULT);
    end();
}

/* One forced byte: what it was, and what another sharer still sees. */
static void force_byte(struct space *to, unsigned page, char value, struct space *other, int expected) {
    char got = 0;
    check_eq(space_copy(to, at(page), &value, 1, true, true), 1);
    check_eq(space_copy(to, at(page), &got, 1, false, true), 1);
    check_eq(got, value);
    check_eq(space_copy(other, at(page), &got, 1, false, true), 1);
    check_eq(got, expected);
    check_eq(space_fault(to, at(page), FAULT_WRITE), FAULT_ACCERR); /* the program still may not */
}

test(space_forced_copy_goes_against_protection_and_leaves_it) {
    begin();
    map(0, 3, RW, NULL, 0);
    map(3, 1, VIEW_READ, file, 3);
    map(4, 1, VIEW_READ | VIEW_SHARED, file, 3);
    put(0, 5);
    put(1, 6);
    check_eq(space_protect(s, at(0), KB4(1), VIEW_READ), 0);
    check_eq(space_protect(s, at(1), KB4(2), 0), 0);
    char of_file = 0, value = 1;
    check_eq(space_copy(s, at(4), &of_file, 1, false, false), 1);
    struct space *child = space_fork(s);
    check(!is_err(child));
    force_byte(child, 0, 50, s, 5);
    force_byte(s, 1, 60, child, 6);
    force_byte(child, 2, 70, s, 0);
    force_byte(s, 3, 80, child, of_file);
    check_eq(space_copy(s, at(4), &value, 1, true, true), -EFAULT); /* shared: there is no private copy to be had */
    check_eq(space_copy(s, at(1), &value, 1, false, false), -EFAULT);
    check_eq(space_protect(s, at(0), KB4(3), RW), 0);
    draw(s, "01234", "www|a|A", "ppzpf");
    space_put(child);
    end();
}

test(space_promises_are_limited_by_mode) {
    struct map_request r = {.address = at(0), .bytes = KB4(40), .flags = RW, .how = MAP_AT_FREE};
    begin();
    commit_mode = COMMIT_NEVER;
    commit_user_reserve = 1 << 17;
    commit_kbytes = 4 * 67; /* less a 32nd of what is mapped */
    s->limits.privileged = true;
    check_eq(space_map(s, &r), at(0));
    check_eq(commit_total(), 40);
    r.address = at(40);
    check_eq(space_map(s, &r), -ENOMEM); /* nothing has changed */
    check_eq(commit_total(), 40);
    r.flags = VIEW_READ;
    check_eq(space_map(s, &r), at(40));
    check_eq(space_protect(s, at(40), KB4(25), RW), -ENOMEM);
    check_eq(space_protect(s, at(40), KB4(24), RW), 0);
    check_eq(commit_total(), 64);
    check(is_err(space_fork(s)));
    check_eq(commit_total(), 64);
    check_eq(space_unmap(s, at(10), KB4(40)), 0);
    check_eq(commit_total(), 24);
    struct space *child = space_fork(s);
    check(!is_err(child));
    check_eq(commit_total(), 48);
    space_put(child);
    check_eq(commit_total(), 24);
    check_eq(space_change(s, at(0), KB4(8), VIEW_DONTFORK, 0), 0);
    commit_kbytes = 4 * 42;
    child = space_fork(s); /* 24 and 16 */
    check(!is_err(child));
    check_eq(commit_total(), 40);
    space_put(child);
    commit_mode = COMMIT_ALWAYS;
    commit_kbytes = 0;
    end();
}

/* A machine of 2 MiB, and programs that want more: faults fail one by one, exits give everything back, clean file pages
 * make room. */
test_seeds(space_out_of_memory, 4) {
    machine_start((struct host_config){.bytes = 3 * MiB});
    host_settle();
    struct host_count before = host_count();
    file = host_file_new('A', 200 * PAGE_SIZE, true);
    s = space_create(false);
    space_load(s);
    map(0, 2000, RW, NULL, 0);
    map(3000, 200, RW | VIEW_SHARED, file, 0);
    unsigned written = 0;
    for (unsigned i = 0; i < 150; i++)
        get(3000 + i); /* clean file pages: they give way */
    struct frame_totals t;
    frame_totals(&t);
    check(t.frames[FRAME_FILE] >= 150);
    while (mem_write(s, at(written), written) == FAULT_DONE)
        written++;
    frame_totals(&t);
    check(t.frames[FRAME_FILE] < 20);
    check_eq(t.frames[FRAME_ANON], written);
    host_check();
    struct space *child = space_fork(s);
    check(is_err(child) || child != NULL);
    for (unsigned i = 0; i < written; i++)
        check_eq(get(i), i);
    if (!is_err(child))
        space_put(child);
    check_eq(mem_discard(s, at(0), KB4(100)), 0);
    check_eq(mem_write(s, at(50), 1), FAULT_DONE);
    host_check();
    space_load(NULL);
    space_put(s);
    host_file_put(file);
    check_no_leak(before);
}

/* A large area that nobody touched, cut into many pieces: no plan becomes long, so no edit is slow. */
test(space_plans_stay_short) {
    begin();
    map(0, 4000, 0, NULL, 0); /* from AT on */
    for (u64 i = 1; i < 4000; i += 2)
        check_eq(one_in(2) ? space_unmap(s, (AT + i) << PAGE_SHIFT, PAGE_SIZE)
                           : space_protect(s, (AT + i) << PAGE_SHIFT, PAGE_SIZE, VIEW_READ),
                 0);
    for (u64 i = 0; i < 4000; i++) {
        struct walk w;
        walk_down(s, AT + i, &w);
        for (unsigned level = w.level; level <= TABLE_LEVELS; level++)
            check(w.table[level]->run_count <= TABLE_SLOTS);
    }
    end();
}

/* What was used is forgotten, also by the TLBs: what is used from now on is seen. */
test_seeds(space_used_pages_are_forgotten, 2) {
    struct space_usage u;
    struct space_totals t;
    begin();
    map(0, 8, RW, NULL, 0);
    for (u64 i = 0; i < 8; i++)
        put(i, i);
    space_unreference(s, at(2), at(6));
    space_usage(s, at(0), at(8), &u);
    check_eq(u.referenced, 4);
    check_eq(get(3), 3);
    space_usage(s, at(0), at(8), &u);
    check_eq(u.referenced, 5);
    space_totals(s, &t);
    check_eq(t.peak_resident, 8);
    check_eq(space_unmap(s, at(0), KB4(5)), 0);
    space_reset_peak(s);
    space_totals(s, &t);
    check_eq(t.peak_resident, 3);
    end();
}

/* What /proc and the system calls ask beside. */
test(space_answers) {
    struct vm_live live;
    struct slab_info slab;
    unsigned n = 0;
    begin();
    check(!object_mapped(&file->object));
    map(0, 4, RW, file, 0);
    check(object_mapped(&file->object));
    check_eq(space_key(s, at(0)), 0);
    check_eq(space_protect_key(s, at(0), KB4(2), RW, 3u << VIEW_KEY_SHIFT, 0), 0);
    check_eq(space_key(s, at(1)), 3);
    check_eq(space_key(s, at(2)), 0);
    check_eq(space_key(s, at(4)), (u64)-1);
    space_get(s);
    space_put(s);
    space_info(s)->keys = 8;
    space_barrier(s);
    space_barrier(NULL);
    vm_live(&live);
    check_eq(live.spaces, 1);
    check(live.tables && live.views);
    check_eq(table_large_pages(), 0);
    check(frame_available());
    check_text(roster_policy(), policies[0]->name);
    for (unsigned e = 0; e < VM_EVENTS; e++)
        check(event_name(e) && *event_name(e));
    for (; slab_info(n, &slab); n++)
        check(*slab.name && slab.bytes && slab.per_slab);
    check(n > 3);
    end();
}

static u64 asked;
static u64 shrink(u64 pages) {
    asked += pages;
    return 0;
}
static enum oom_answer fails(u64 stored, bool again) {
    asked++;
    return OOM_FAILS;
}
/* Caches give way first, then the killer is asked. */
test(space_short_of_memory) {
    struct frame *f;
    begin();
    for (u64 i = 0; i < 8; i++) {
        check_eq(object_get(&file->object, i, OBJECT_READ, &f), 0);
        frame_unpin(f);
    }
    check(file->object.cached >= 8);
    vm_drop_caches();
    check_eq(file->object.cached, 0);
    reclaim_register(shrink);
    vm_reclaim(1);
    check(asked);
    asked = 0;
    vm_out_of_memory = fails;
    map(0, 5000, RW, NULL, 0);
    u64 page = 0;
    while (mem_write(s, at(page), page) == FAULT_DONE)
        page++;
    check(asked);
    check(page > 3000);
    end();
}

test(space_promises_by_memory) {
    struct frame_totals t;
    begin();
    frame_totals(&t);
    commit_mode = COMMIT_NEVER;
    commit_ratio = 50;
    check_eq(commit_limit(), (t.given - t.frames[FRAME_RESERVED]) / 2);
    commit_mode = COMMIT_GUESS;
    struct map_request r = {.address = at(0), .bytes = KB4(t.given + 1), .flags = RW, .how = MAP_AT};
    check_eq(space_map(s, &r), -ENOMEM);
    r.bytes = KB4(t.given - t.frames[FRAME_RESERVED]);
    check_eq(space_map(s, &r), r.address);
    end();
    commit_mode = COMMIT_ALWAYS;
}

/* Two leaves move whole, from below different tables of level 2: what that takes is there before the first moves.
 *
 *   before   |....AAAA|AAAA....|  a border of level 3 between       after   elsewhere, all of it or, with -ENOMEM, none
 */
static long move_two_leaves(u64 from, u64 to) {
    u64 bytes = 2 * TABLE_SLOTS << PAGE_SHIFT;
    return space_remap(s, from << PAGE_SHIFT, bytes, bytes, REMAP_MAY_MOVE | REMAP_FIXED, to << PAGE_SHIFT);
}
test(space_whole_leaves_move_all_or_none) {
    const u64 from = (1ULL << 18) - TABLE_SLOTS, to = from + (1ULL << 20), bytes = 2 * TABLE_SLOTS << PAGE_SHIFT;
    struct host_file *large;
    begin();
    large = host_file_new('L', bytes, true);
    struct map_request r = {.address = from << PAGE_SHIFT, .bytes = bytes, .how = MAP_AT, .file = &large->file};
    r.flags = VIEW_READ | VIEW_WRITE; /* copies: what is lost does not come again */
    check_eq(space_map(s, &r), r.address);
    bool failed = true;
    for (u64 n = 1; failed; n++) {
        for (u64 i = 0; i < 2; i++)
            check_eq(mem_write(s, (from + i * TABLE_SLOTS) << PAGE_SHIFT, n + i), FAULT_DONE);
        alloc_fail_at(n);
        long got = move_two_leaves(from, to);
        failed = !alloc_fail_countdown;
        alloc_fail_at(0);
        host_check();
        check_eq(got, got == -ENOMEM && failed ? got : (long)(to << PAGE_SHIFT));
        for (u64 i = 0; i < 2; i++) {
            u64 value = 0;
            check_eq(mem_read(s, ((got < 0 ? from : to) + i * TABLE_SLOTS) << PAGE_SHIFT, &value), FAULT_DONE);
            check_eq(value, n + i);
        }
        if (got > 0)
            check_eq(move_two_leaves(to, from), from << PAGE_SHIFT);
    }
    check_eq(space_unmap(s, from << PAGE_SHIFT, bytes), 0);
    host_file_put(large);
    end();
}
