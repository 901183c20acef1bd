/* commit.c - promises of memory, counted and limited; commit.h says what they are. */
#include "vm/commit.h"

#include "vm/inner.h"
#include "vm/swap.h"

u64 commit_mode, commit_ratio = 50, commit_kbytes, commit_user_reserve, commit_admin_reserve;

static struct part {
    s64 pages; /* atomic; may be negative: given back on another CPU */
} __attribute__((aligned(64))) parts[MACHINE_CPUS];

void commit_add(s64 pages) {
    if (pages)
        atomic_add(&parts[cpu_id()].pages, pages);
}

u64 commit_total(void) {
    s64 sum = 0;
    for (unsigned i = 0; i < cpu_count; i++)
        sum += atomic_load(&parts[i].pages);
    return max(sum, (s64)0);
}

static u64 memory_pages(void) {
    struct frame_totals t;
    frame_totals(&t);
    return t.given - t.frames[FRAME_RESERVED];
}

static u64 swap_pages(void) {
    struct swap_totals t;
    swap_totals(&t);
    return t.slots;
}

static u64 kb_pages(u64 kb) { return kb / (PAGE_SIZE / KiB); }

u64 commit_limit(void) {
    return swap_pages() + (commit_kbytes ? kb_pages(commit_kbytes) : memory_pages() * commit_ratio / 100);
}

/* What mode 2 lets this one have: a part is kept for who must be able to mend things. */
static u64 limit_for(const struct space *s) {
    u64 limit = commit_limit(), kept = 0;
    if (s && !s->limits.privileged)
        kept += kb_pages(commit_admin_reserve);
    if (s)
        kept += min(s->sum.total / 32, kb_pages(commit_user_reserve));
    return limit > kept ? limit - kept : 0;
}

/* As Linux 6.1 (init_user_reserve, init_admin_reserve): a part of what is free at boot, at most 128 MiB and 8 MiB. */
void commit_init(void) {
    u64 free_kb = frame_free_count() * (PAGE_SIZE / KiB);
    commit_user_reserve = min(free_kb / 32, 1ULL << 17);
    commit_admin_reserve = min(free_kb / 32, 1ULL << 13);
}

/* Counted already, so that of two that come at once not both find room. */
static __attribute__((noinline)) bool allowed(const struct space *s, u64 pages, u64 mode) {
    bool fits = mode == COMMIT_NEVER   ? commit_total() < limit_for(s)
                : mode == COMMIT_GUESS ? pages <= memory_pages() + swap_pages() /* only what is plainly too much */
                                       : true;
    if (!fits)
        commit_add(-(s64)pages);
    return fits;
}

bool commit_charge(const struct space *s, u64 pages) {
    u64 mode = atomic_load_relaxed(&commit_mode);
    commit_add(pages);
    return likely(mode != COMMIT_NEVER && pages <= frame_count / 4) || allowed(s, pages, mode);
}
