/* scenario.c - the set-ups, threads and assertions that scenarios share (scenario.h). */
#include "scenario.h"

void map(struct space *s, u64 page, u64 pages, u32 flags, struct host_file *f) {
    struct map_request r = {.address = at(page), .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    check_eq(space_map(s, &r), r.address);
}
enum fault_outcome put(struct space *s, u64 page, u64 value) { return mem_write(s, at(page), value); }
void must_put(struct space *s, u64 page, u64 value) { check_eq(put(s, page, value), FAULT_DONE); }
enum fault_outcome try_get(struct space *s, u64 page, u64 *value) { return mem_read(s, at(page), value); }
u64 get(struct space *s, u64 page) {
    u64 value = 0xbad;
    check_eq(try_get(s, page, &value), FAULT_DONE);
    return value;
}

u64 look(struct space *s, u64 page) {
    host_cpu(3);
    space_load(s);
    return get(s, page);
}
enum fault_outcome look_outcome(struct space *s, u64 page, enum fault_access access) {
    u64 value = 0;
    host_cpu(3);
    space_load(s);
    return mem_access(s, at(page), &value, sizeof(value), access);
}

static unsigned said;
void say(void) {
    host_point(HOST_WRITE, &said, sizeof(said));
    said = true;
}
bool told(void) {
    host_point(HOST_READ, &said, sizeof(said));
    return said;
}

void seen_by(unsigned cpu) {
    host_cpu(cpu);
    space_load(P);
    check_eq(get(P, 0), 1);
}
void use(struct space *s) {
    host_cpu(0);
    space_load(s);
}
void ends(struct space **s) {
    struct space *it = *s;
    *s = NULL;
    space_put(it);
}
struct space *fork_of(struct space *s) {
    struct space *child = space_fork(s);
    check(!is_err(child));
    return child;
}
struct space *become_child(unsigned index, struct space *of) {
    spaces[index] = fork_of(of);
    fiber_use(spaces[index]);
    return spaces[index];
}

/* ---- set-ups */

void one_empty(void) {
    P = space_create(false);
    map(P, 0, 4, RW, NULL);
    use(P);
    must_put(P, 3, 1);
}
void one_without_leaf(void) {
    P = space_create(false);
    map(P, 0, 4, RW, NULL);
    map(P, 512, 4, RW, NULL);
    use(P);
    must_put(P, 512, 1);
}
void one(void) {
    one_empty();
    must_put(P, 0, 1);
    must_put(P, 1, 1);
}
void two(void) {
    one();
    C = fork_of(P);
}
void one_more(void) {
    G = P;
    P = C;
    C = fork_of(P);
}
void three(void) {
    two();
    one_more();
}
void part(struct space *s, u64 value) {
    use(s);
    must_put(s, 3, value);
}
void two_apart(void) {
    two();
    part(P, 2);
}
void one_after_exit(void) {
    two();
    ends(&C);
}

void out(struct space *s) {
    space_load(NULL);
    space_pages_out(s, PAGE, PAGE + 2);
    space_load(NULL);
}
void one_out(void) {
    one();
    out(P);
}
void one_cached(void) {
    one_out();
    use(P);
    check_eq(get(P, 0), 1);
    space_load(NULL);
}
void one_cold(void) {
    one();
    space_load(NULL);
    space_pages_cold(P, PAGE, PAGE + 4);
}
void leaf(void) {
    vm_large = LARGE_NEVER;
    P = space_create(false);
    map(P, 0, TABLE_SLOTS, RW, NULL);
    map(P, ELSEWHERE, 8, RW, NULL);
    use(P);
    must_put(P, 0, 1);
    must_put(P, 1, 1);
    must_put(P, ELSEWHERE, 1);
}
void leaf_out(void) {
    leaf();
    out(P);
}
void two_out(void) {
    one_out();
    C = fork_of(P);
}
void three_out(void) {
    two_out();
    one_more();
}
void two_out_apart(void) {
    two_out();
    part(P, 2);
    space_load(NULL);
}
void three_out_apart(void) {
    three_out();
    part(P, 2);
    part(G, 3);
    space_load(NULL);
}
void two_cached_apart(void) {
    two_out_apart();
    use(P);
    check_eq(get(P, 0), 1);
    space_load(NULL);
}

/* ---- threads */

enum fault_outcome a_got;
void a_writes_0(void *unused argument) { must_put(P, 0, 0xa); }
void a_reads_0(void *unused argument) { check_eq(get(P, 0), 1); }
void a_tries_0(void *unused argument) { a_got = put(P, 0, 0xa); }
void a_looks_0(void *unused argument) {
    u64 v = 1;
    enum fault_outcome got = try_get(P, 0, &v);
    check(v == 1 && (got == FAULT_DONE || got == FAULT_MAPERR));
}
void a_exits(void *unused argument) { ends(&P); }
void b_writes_1(void *unused argument) { must_put(P, 1, 0xb); }
void b_forks(void *unused argument) { spaces[NEW] = fork_of(P); }
/* Forks, and looks as its own child: what it sees must be what it saw first, and P's. */
void b_becomes_child(void *unused argument) {
    struct space *child = become_child(NEW, P);
    u64 first = get(child, 0), second = get(child, 0);
    check(first == 1 || first == 0xa);
    check_eq(first, second);
}
void b_child_writes(void *unused argument) {
    struct space *child = become_child(NEW, P);
    must_put(child, 0, 0xd);
    check_eq(get(child, 0), 0xd);
}
void b_unmaps_0(void *unused argument) { check_eq(space_unmap(P, at(0), PAGE_SIZE), 0); }
void b_unmaps_all(void *unused argument) { check_eq(space_unmap(P, at(0), 4 << PAGE_SHIFT), 0); }
void a_unmaps_says(void *argument) {
    b_unmaps_0(argument);
    say();
}
void b_told_unmapped(void *unused argument) {
    bool sees = told();
    u64 value;
    check(try_get(P, 0, &value) == FAULT_MAPERR || !sees);
}
void b_protects_0(void *unused argument) { check_eq(space_protect(P, at(0), PAGE_SIZE, VIEW_READ), 0); }
void b_forbids_0(void *unused argument) { check_eq(space_protect(P, at(0), PAGE_SIZE, 0), 0); }
void b_discards(void *unused argument) { check_eq(mem_discard(P, at(0), 2 << PAGE_SHIFT), 0); }
void b_moves(void *unused argument) {
    check_eq(space_remap(P, at(0), 2 << PAGE_SHIFT, 2 << PAGE_SHIFT, REMAP_MAY_MOVE | REMAP_FIXED, at(8)), at(8));
}
void b_outs(void *unused argument) { space_pages_out(P, PAGE, PAGE + 1); }
void b_outs_both(void *unused argument) { space_pages_out(P, PAGE, PAGE + 2); }
bool poisoned;
static bool take_frame(bool poison) {
    struct frame *f = space_pin(P, at(0));
    int error = f ? frame_offline(f, poison) : -ENOENT;
    check(!error || error == -EBUSY || error == -ENOENT);
    return !error;
}
void b_takes_frame(void *unused argument) { (void)take_frame(false); }
void b_poisons(void *unused argument) { poisoned = take_frame(true); }

int collapsed;
int collapse(struct space *s) {
    int error = space_collapse(s, at(0), TABLE_SLOTS << PAGE_SHIFT);
    check(!error || error == -EAGAIN || error == -ENOMEM || error == -EINVAL);
    return error;
}
void b_collapses(void *unused argument) { collapsed = collapse(P); }
void c_reads_0(void *unused argument) { check_eq(get(C, 0), 1); }
void c_writes_0(void *unused argument) { must_put(C, 0, 0xc); }
void c_exits(void *unused argument) { ends(&C); }
void g_reads_0(void *unused argument) { check_eq(get(G, 0), 1); }
void g_writes_0(void *unused argument) { must_put(G, 0, 0x9); }
void g_exits(void *unused argument) { ends(&G); }

/* ---- what must hold */

static void untouched(struct space *s) {
    if (s) {
        check_eq(look(s, 0), 1);
        check_eq(look(s, 1), 1);
    }
}
void one_after(void) {
    untouched(P);
    untouched(C);
}
void a_after(void) { check_eq(look(P, 0), 0xa); }
void a_and_b_after(void) {
    a_after();
    check_eq(look(P, 1), 0xb);
}
void c_after(void) {
    check_eq(look(C, 0), 0xc);
    check_eq(look(C, 1), 1);
    untouched(P);
}
void a_and_c_after(void) {
    a_after();
    check_eq(look(C, 0), 0xc);
    check_eq(look(C, 1), 1);
    check(!G || look(G, 0) == 1 || look(G, 0) == 0x9);
}
void three_after(void) {
    a_and_c_after();
    check_eq(look(G, 0), 0x9);
}
void unmapped_after(void) { check_eq(look_outcome(P, 0, FAULT_READ), FAULT_MAPERR); }
void protected_after(void) {
    check_eq(look_outcome(P, 0, FAULT_WRITE), FAULT_ACCERR);
    check_eq(look(P, 0), a_got == FAULT_DONE ? 0xa : 1);
}
void forbidden_after(void) { check_eq(look_outcome(P, 0, FAULT_READ), FAULT_ACCERR); }
void discarded_after(void) {
    u64 v = look(P, 0);
    check(v == 0 || v == 0xa);
    check_eq(look(P, 1), 0);
    untouched(C);
}
void moved_after(void) {
    unmapped_after();
    check_eq(look(P, 8), a_got == FAULT_DONE ? 0xa : 1);
    check_eq(look(P, 9), 1);
    untouched(C);
}
void moved_only_after(void) {
    a_got = FAULT_MAPERR;
    moved_after();
}
void moved_c_after(void) {
    check_eq(look(P, 8), 1);
    check_eq(look(C, 0), 0xc);
    check_eq(look(C, 1), 1);
}
