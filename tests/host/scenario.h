/* scenario.h - what the scenarios of explore_test.c and its kin have in common: three processes, their pages, and the
 * set-ups that share them.
 *
 * Programs write numbers into page PAGE + i; every number names its writer, so a value that a space should not see is
 * seen. */
#pragma once

#include "explore.h"
#include "vm/inner.h"

#define P spaces[0]     /* the parent, or the only one */
#define C spaces[1]     /* its child, made by the set-up */
#define G spaces[2]     /* a third, made by the set-up */
#define NEW 3           /* the first of those that a scenario makes */
#define PAGE 0x10200ULL /* the first of a leaf */
#define RW (VIEW_READ | VIEW_WRITE)

static inline u64 at(u64 page) { return (PAGE + page) << PAGE_SHIFT; }

static inline void map(struct space *s, u64 page, u64 pages, u32 flags, struct host_file *f) {
    struct map_request r = {.address = at(page), .bytes = pages << PAGE_SHIFT, .flags = flags, .how = MAP_AT};
    r.file = f ? &f->file : NULL;
    check_eq(space_map(s, &r), r.address);
}
static inline enum fault_outcome put(struct space *s, u64 page, u64 value) { return mem_write(s, at(page), value); }
static inline void must_put(struct space *s, u64 page, u64 value) { check_eq(put(s, page, value), FAULT_DONE); }
static inline u64 get(struct space *s, u64 page) {
    u64 value = 0xbad;
    check_eq(mem_read(s, at(page), &value), FAULT_DONE);
    return value;
}
static inline enum fault_outcome try_get(struct space *s, u64 page, u64 *value) { return mem_read(s, at(page), value); }

/* On a quiet machine, on CPU 3: what a space holds. */
static inline u64 look(struct space *s, u64 page) {
    host_cpu(3);
    space_load(s);
    return get(s, page);
}
static inline enum fault_outcome look_outcome(struct space *s, u64 page, enum fault_access access) {
    u64 value = 0;
    host_cpu(3);
    space_load(s);
    return mem_access(s, at(page), &value, sizeof(value), access);
}

/* The set-up acts on CPU 0, with that space. */
static inline void use(struct space *s) {
    host_cpu(0);
    space_load(s);
}
static inline struct space *fork_of(struct space *s) {
    struct space *child = space_fork(s);
    check(!is_err(child));
    return child;
}

/* A program that forks, and goes on as its own child: what it sees there must be what it saw first. */
static inline struct space *become_child(unsigned index, struct space *of) {
    spaces[index] = fork_of(of);
    fiber_use(spaces[index]);
    return spaces[index];
}

#define thread(name) static void name(void *argument)

/* ---- set-ups: pages [0, 4) anonymous, page 0 and 1 hold 1, 2 is empty, 3 keeps the leaf there */

static inline void one_empty(void) {
    P = space_create(false);
    map(P, 0, 4, RW, NULL);
    use(P);
    must_put(P, 3, 1);
}
static inline void one_without_leaf(void) {
    P = space_create(false);
    map(P, 0, 4, RW, NULL);
    map(P, 512, 4, RW, NULL);
    use(P);
    must_put(P, 512, 1);
}
static inline void one(void) {
    one_empty();
    must_put(P, 0, 1);
    must_put(P, 1, 1);
}
/* P and its child C share all tables. */
static inline void two(void) {
    one();
    C = fork_of(P);
}
/* The parent G, its child P, and P's child C share all tables. */
static inline void three(void) {
    two();
    G = P;
    P = C;
    C = fork_of(P);
}
/* As two, but P has tables of its own; the frame of page 0 is shared. */
static inline void two_apart(void) {
    two();
    use(P);
    must_put(P, 3, 2);
}
/* A child was there: P's tables are its own again, but no slot says so yet. */
static inline void one_after_exit(void) {
    two();
    space_put(C);
    C = NULL;
}
