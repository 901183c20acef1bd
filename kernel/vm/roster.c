/* roster.c - between the frames and the replacement policy: it tells the policy what comes and goes, asks it for
 * victims, and has its lock.
 *
 * What comes is noted by number in a log of this CPU, and told when the log is full or somebody reclaims: a fault costs
 * a store, not the policy's lock. What is freed by its owner is not told: the policy finds out when it names it, or
 * when the frame comes anew. Until memory is short for the first time nothing is noted; then roster_sweep tells all
 * there is.
 *
 * A page's key says what its contents are: the slot of the swap area, or the object and index. Objects are told apart
 * by address, so a new file may be taken for one that is gone: what depends on it is a hint.
 *
 * Lock: roster.lock is among the innermost, a log's lock before it (docs/locks.md). */
#include "vm/roster.h"

#include "vm/event.h"
#include "vm/machine.h"
#include "vm/record.h"
#include "vm/slab.h"

#define LOG 31u

struct log {
    struct spin lock;
    u32 pages[LOG]; /* [lock] */
    u32 count;      /* [lock] */
} __attribute__((aligned(64)));

static struct {
    struct spin lock; /* protects the policy's state, and `policy` */
    const struct policy *policy;
} roster;

static struct log *logs; /* by CPU */
u8 roster_listens;
bool roster_wants_touches;
static bool any_evicted; /* atomic, ever */

void roster_init(void) {
    logs = kzalloc(sizeof(*logs) * MACHINE_CPUS);
    if (!logs)
        panic("no memory for the roster of pages");
    roster_choose(policies[0]);
}

/* ---- what policies call ---- */

bool policy_present(u32 page) {
    enum frame_class class = frame_class(&frames[page]);
    return class == FRAME_ANON || class == FRAME_FILE || class == FRAME_SHMEM;
}

bool policy_used(u32 page) {
    struct frame *f = &frames[page];
    if (!(frame_flags(f) & FRAME_REFERENCED))
        return false;
    atomic_and(&f->flags, (u8)~FRAME_REFERENCED);
    return true;
}

/* ---- what comes ---- */

static u64 key_in(const struct object *o, u64 index) { return o ? (u64)o * 31 + (index << 20) : 0; }

/* Read without a lock: it may be freed and something else by now, and then the key is nobody's. ThreadSanitizer is not
 * asked about these words: whatever the frame has become writes them as it likes. */
static __attribute__((no_sanitize("thread"))) u64 key_of(const struct frame *f) {
    if (frame_class(f) == FRAME_ANON)
        return frame_flags(f) & FRAME_SWAP ? 1 + (u64)atomic_load_relaxed(&f->anon.swap) : 0;
    return key_in(atomic_load_relaxed(&f->object.object),
                  (u64)atomic_load_relaxed(&f->index_high) << 32 | atomic_load_relaxed(&f->object.index));
}

/* For a trace a key has 32 bits: exact for the first areas, else so that two are seldom the same. */
static void tell_recorder(enum trace_kind kind, const struct frame *f) {
    if (likely(!atomic_load_relaxed(&record_on)))
        return;
    u64 key = key_of(f);
    record(kind, f, frame_class(f) == FRAME_ANON ? (u32)key : (u32)(key * 0x9e3779b97f4a7c15ULL >> 32) | 1U << 31);
}

static void tell(u32 page) {
    if (policy_present(page) && policy_came(roster.policy, page, key_of(&frames[page])))
        event(EVENT_REFAULT, 0, 1);
}

static void empty(struct log *log) {
    spin_lock(&roster.lock);
    for (u32 i = 0; i < log->count; i++)
        if (roster.policy->insert)
            tell(log->pages[i]);
    spin_unlock(&roster.lock);
    log->count = 0;
}

void roster_note(struct frame *f, bool ahead) {
    struct log *log = &logs[cpu_id()];
    tell_recorder(ahead ? TRACE_AHEAD : TRACE_CAME, f);
    if (frame_number(f) >= policy_pages || !(atomic_load_relaxed(&roster_listens) & ROSTER_POLICY))
        return;
    spin_lock(&log->lock);
    log->pages[log->count++] = (u32)frame_number(f);
    if (log->count == LOG)
        empty(log);
    spin_unlock(&log->lock);
}

static void empty_all(void) {
    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        spin_lock(&logs[cpu].lock);
        if (logs[cpu].count)
            empty(&logs[cpu]);
        spin_unlock(&logs[cpu].lock);
    }
}

void roster_sweep(void) {
    if (!roster.policy->insert)
        return;
    for (u32 page = 0; page < policy_pages; page++) {
        if (!policy_present(page))
            continue;
        spin_lock(&roster.lock);
        if (!policy_nodes[page].queue && !policy_nodes[page].named)
            tell(page);
        spin_unlock(&roster.lock);
    }
}

void roster_record(void) {
    atomic_or(&roster_listens, ROSTER_RECORDS);
    for (u32 page = 0; page < policy_pages; page++)
        if (policy_present(page))
            tell_recorder(TRACE_AHEAD, &frames[page]);
}

/* A policy that hears of what comes finds out by itself, and counts it (tell); else it is counted here. */
bool roster_refault(const struct object *o, u64 index) {
    if (likely(!atomic_load_relaxed(&any_evicted)))
        return false;
    spin_lock(&roster.lock);
    bool found = policy_remembers(key_in(o, index));
    spin_unlock(&roster.lock);
    if (found && !atomic_load_relaxed(&roster.policy)->insert)
        event(EVENT_REFAULT, index, 1);
    return found;
}

/* ---- for reclaim ---- */

unsigned roster_victims(struct policy_ask *ask, struct frame **out) {
    const struct policy *p = roster.policy;
    u32 pages[64];
    if (p->insert && !(atomic_load_relaxed(&roster_listens) & ROSTER_POLICY)) {
        atomic_or(&roster_listens, ROSTER_POLICY);
        roster_sweep();
    }
    if (p->insert)
        empty_all();
    *ask = (struct policy_ask){pages, min(ask->most, (unsigned)array_count(pages)), 0, 0};
    spin_lock(&roster.lock);
    unsigned count = p->victims(ask);
    for (unsigned i = 0; i < count; i++) {
        policy_nodes[pages[i]].named = 1;
        out[i] = &frames[pages[i]];
    }
    spin_unlock(&roster.lock);
    return count;
}

void roster_evicted(struct frame *f) {
    u64 page = frame_number(f);
    tell_recorder(TRACE_WENT, f);
    if (page >= policy_pages)
        return;
    spin_lock(&roster.lock);
    policy_went(roster.policy, (u32)page, key_of(f));
    spin_unlock(&roster.lock);
    atomic_store_relaxed(&any_evicted, true);
}

void roster_settle(struct frame *f) {
    u32 page = (u32)frame_number(f);
    spin_lock(&roster.lock);
    if (policy_nodes[page].named) {
        policy_nodes[page].named = 0;
        if (policy_present(page))
            roster.policy->stays(page, policy_used(page));
    }
    spin_unlock(&roster.lock);
}

void roster_touch(struct frame *const *touched, unsigned count) {
    spin_lock(&roster.lock);
    for (unsigned i = 0; i < count && roster.policy->touched; i++) {
        u64 page = frame_number(touched[i]);
        if (page < policy_pages && policy_nodes[page].queue)
            roster.policy->touched((u32)page);
    }
    spin_unlock(&roster.lock);
}

void roster_cold(struct frame *const *cold, unsigned count) {
    if (!(atomic_load_relaxed(&roster_listens) & ROSTER_POLICY))
        return;
    empty_all();
    spin_lock(&roster.lock);
    for (unsigned i = 0; i < count && roster.policy->cold; i++) {
        u64 page = frame_number(cold[i]);
        if (page < policy_pages && policy_nodes[page].queue)
            roster.policy->cold((u32)page);
    }
    spin_unlock(&roster.lock);
}

bool roster_goes_along(const struct frame *f) {
    u64 page = frame_number(f);
    spin_lock(&roster.lock);
    u8 queue = page < policy_pages ? policy_nodes[page].queue : 0;
    bool kept = queue && (roster.policy->keeps >> (queue - 1) & 1);
    spin_unlock(&roster.lock);
    return !kept;
}

/* ---- which policy ---- */

void roster_choose(const struct policy *p) {
    spin_lock(&roster.lock);
    atomic_store_relaxed(&roster.policy, p); /* roster_refault looks without the lock */
    policy_start(p);
    spin_unlock(&roster.lock);
    atomic_store(&roster_wants_touches, p->touched != NULL);
    if (!p->insert)
        atomic_and(&roster_listens, (u8)~ROSTER_POLICY);
    else if (atomic_load_relaxed(&roster_listens) & ROSTER_POLICY)
        roster_sweep();
}

const char *roster_policy(void) { return atomic_load_relaxed(&roster.policy)->name; }
