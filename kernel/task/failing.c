/* failing.c - the nth allocation, or exchange with the host, of a task fails on request (failing.h).
 *
 * Costs nothing until the first request: only then are allocations asked about, and from then on for good. */
#include "task/failing.h"

#include "task/task.h"
#include "vm/frame.h"

static bool fails(enum fail_kind kind) {
    struct task *t = task_current();
    u32 left = t ? atomic_load_relaxed(&t->fail[kind]) : 0;
    if (likely(!left))
        return false;
    return atomic_cas(&t->fail[kind], left, left - 1) && left == 1;
}

static bool allocation_fails(void) { return fails(FAIL_ALLOC); }
bool task_io_fails(void) { return fails(FAIL_IO); }

void task_fail_set(struct task *t, enum fail_kind kind, u32 nth) {
    if (kind == FAIL_ALLOC)
        alloc_fail_when(allocation_fails);
    atomic_store(&t->fail[kind], nth);
}

u32 task_fail_left(const struct task *t, enum fail_kind kind) { return atomic_load(&t->fail[kind]); }
