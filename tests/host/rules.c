/* rules.c - one rule of concurrency taken away, without a change in kernel/vm: calls from one of its files to another
 * go through the linker's seam (--wrap), and the flush that belongs to a broken path is moved by the hosted machine.
 *
 * A rule whose absence no scenario notices would be a rule without a test: `host-tests --rules`. */
#include "rules.h"

#include "fiber.h"
#include "vm/inner.h"

enum rule rule_missing;
const char *const rule_names[RULES] = {
    [RULE_EXCLUSION] = "1: a fault enters the fork exclusion",
    [RULE_EXCLUSIVE] = "2: exclusive is the write bit along the path, not shares == 1",
    [RULE_HOLDS] = "3: after locking, the path is compared again",
    [RULE_SHARES] = "4: shares drops after the flush",
    [RULE_FRESH] = "4: the new table stays locked until the flush is done",
    [RULE_EVERYONE] = "7: an object's frames are flushed from everyone",
    [RULE_BATCH] = "7: no batch of reclaim is under way while an area is emptied",
};

const char *const rule_likely[RULES] = {
    [RULE_EXCLUSION] = "fork_fault", [RULE_EXCLUSIVE] = "fork_fault", [RULE_HOLDS] = "protect_break",
    [RULE_SHARES] = "break_cached",  [RULE_FRESH] = "break_cached",   [RULE_EVERYONE] = "truncate",
    [RULE_BATCH] = "off_out",
};

enum fault_outcome __real_space_fault(struct space *s, u64 address, enum fault_access access);
void __real_space_enter(struct space *s);
void __real_space_leave(struct space *s);
void __real_walk_down(struct space *s, u64 page, struct walk *w);
bool __real_walk_holds(struct space *s, u64 page, const struct walk *w);
void __real_machine_flush_everyone(void);
void __real_reclaim_exclude(void);
void __real_reclaim_include(void);
enum fault_outcome __wrap_space_fault(struct space *s, u64 address, enum fault_access access);
void __wrap_space_enter(struct space *s);
void __wrap_space_leave(struct space *s);
void __wrap_walk_down(struct space *s, u64 page, struct walk *w);
bool __wrap_walk_holds(struct space *s, u64 page, const struct walk *w);
void __wrap_machine_flush_everyone(void);
void __wrap_reclaim_exclude(void);
void __wrap_reclaim_include(void);

static bool missing(enum rule r) { return unlikely(rule_missing == r) && exploring(); }

enum fault_outcome __wrap_space_fault(struct space *s, u64 address, enum fault_access access) {
    current->faulting = true;
    enum fault_outcome outcome = __real_space_fault(s, address, access);
    current->faulting = false;
    return outcome;
}
void __wrap_space_enter(struct space *s) {
    if (!(missing(RULE_EXCLUSION) && current->faulting))
        __real_space_enter(s);
}
void __wrap_space_leave(struct space *s) {
    if (!(missing(RULE_EXCLUSION) && current->faulting))
        __real_space_leave(s);
}

void __wrap_walk_down(struct space *s, u64 page, struct walk *w) {
    __real_walk_down(s, page, w);
    if (missing(RULE_EXCLUSIVE) && w->level == 1)
        w->writable = w->table[1]->shares == 1;
}

bool __wrap_walk_holds(struct space *s, u64 page, const struct walk *w) {
    struct table *t = w->table[w->level];
    if (missing(RULE_HOLDS))
        return !t->dead && !(t->level > 1 && entry_is_table(t->slots[slot_index(page, t->level)]));
    return __real_walk_holds(s, page, w);
}

void __wrap_machine_flush_everyone(void) {
    if (missing(RULE_EVERYONE))
        host_flush_own();
    else
        __real_machine_flush_everyone();
}

void __wrap_reclaim_exclude(void) {
    if (!missing(RULE_BATCH))
        __real_reclaim_exclude();
}
void __wrap_reclaim_include(void) {
    if (!missing(RULE_BATCH))
        __real_reclaim_include();
}

/* table_own's flush is the only one of tables and of one page. */
bool rule_flush(struct machine_space *m, u64 start, u64 end, bool tables) {
    struct fiber *f = current;
    struct spin *fresh = f->locks ? f->held[f->locks - 1] : NULL; /* locked last */
    bool of_break = tables && end == start + PAGE_SIZE && fresh && !f->late.space && !f->unlocked;
    if (of_break && missing(RULE_SHARES)) { /* with both locks let go, the old table's first */
        f->late = (struct late_flush){m, start, end, fresh, NULL};
        return true;
    }
    if (of_break && missing(RULE_FRESH)) {
        f->unlocked = true;
        host_unlock(fresh);
        machine_flush(m, start, end, tables);
        host_lock(fresh);
        f->unlocked = false;
        return true;
    }
    return false;
}

bool rule_unlock(struct spin *lock) {
    struct late_flush *late = &current->late;
    if (likely(!late->space) || late->fresh != lock || late->waits)
        return false;
    late->waits = lock; /* until the old table's lock is gone */
    return true;
}

void rule_unlocked(void) {
    struct late_flush late = current->late;
    if (likely(!late.waits))
        return;
    machine_flush(late.space, late.start, late.end, true);
    current->late = (struct late_flush){0};
    host_unlock(late.waits);
}
