/* epoch.c - epoch-based reclamation: a global epoch, and for each CPU the epoch it entered in and what it retired.
 *
 * Guarantee: an entry is released only after every section that began before it was retired has ended.
 * Why two steps: an entry retired in epoch r is released once the global epoch is r + 2 or more. The scan for the step
 * r -> r+1 may have passed a CPU just before it entered; the scan for r+1 -> r+2 begins afterwards and finds that CPU
 * active in an epoch <= r, which is not r+1, and refuses. A CPU that publishes an old epoch late (it read the global
 * epoch, others moved on, then it stored) only refuses the more: stale is safe. Three limbo lists are enough: a list is
 * used again for epoch r when what it holds is of r - 3 or older.
 *
 * The limbo lists of a CPU have a lock, although only that CPU retires to them: whoever runs out of memory empties the
 * lists of CPUs that sleep. */
#include "vm/epoch.h"

#include "lib/sync.h"
#include "vm/machine.h"

#define LIMBOS 3u
#define ADVANCE_EVERY                                                                                                  \
    8u /* retires of one CPU between attempts to advance: what waits for it is about 64 KiB of tables */

/* Legend: [c] written by its CPU, read by all; [l] lock. One cache line. */
struct epoch_cpu {
    u64 active;                        /* [c] the epoch it entered in; 0: outside */
    struct spin lock;                  /* protects limbo, of_epoch, retired */
    u32 retired;                       /* [l] since the last attempt to advance */
    struct epoch_entry *limbo[LIMBOS]; /* [l] by epoch % LIMBOS */
    u64 of_epoch[LIMBOS];              /* [l] the epoch that limbo's entries were retired in */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct epoch_cpu) == 64, "one line a CPU");

static struct epoch_cpu cpus[MACHINE_CPUS];
static u32 cpus_seen;        /* atomic: CPUs 0 .. cpus_seen - 1 may be active; raised before a CPU's first entry */
static u64 global_epoch = 1; /* atomic; 0 means outside */

static struct epoch_cpu *self(void) {
    u32 id = cpu_id(), seen = atomic_load_relaxed(&cpus_seen);
    while (unlikely(id >= seen) && !atomic_cas(&cpus_seen, seen, id + 1))
        seen = atomic_load_relaxed(&cpus_seen);
    return &cpus[id];
}

bool epoch_inside(void) { return atomic_load_relaxed(&cpus[cpu_id()].active) != 0; }

void epoch_enter(void) {
    struct epoch_cpu *c = self();
    assert_eq(c->active, 0);
    atomic_store(&c->active, atomic_load(&global_epoch)); /* a release: who sees this has seen the section before end */
    atomic_fence(); /* the walk's loads come after: who unlinks later sees us active, or we see the link gone */
}

void epoch_leave(void) {
    struct epoch_cpu *c = &cpus[cpu_id()];
    assert(c->active != 0);
    atomic_store(&c->active, 0);
}

/* try_advance: one step, if every CPU inside a section entered it in the current epoch. */
static bool try_advance(void) {
    u64 epoch = atomic_load(&global_epoch);
    atomic_fence();
    for (u32 i = 0, n = atomic_load(&cpus_seen); i < n; i++) {
        u64 active = atomic_load(&cpus[i].active);
        if (active && active != epoch)
            return false;
    }
    return atomic_cas(&global_epoch, epoch, epoch + 1);
}

/* take_ripe: unlink what CPU c retired two or more epochs ago; under c->lock. */
static struct epoch_entry *take_ripe(struct epoch_cpu *c) {
    struct epoch_entry *ripe = NULL;
    u64 epoch = atomic_load(&global_epoch);
    for (u32 i = 0; i < LIMBOS; i++) {
        if (!c->limbo[i] || c->of_epoch[i] + 2 > epoch)
            continue;
        struct epoch_entry *last = c->limbo[i];
        while (last->next)
            last = last->next;
        last->next = ripe;
        ripe = c->limbo[i];
        c->limbo[i] = NULL;
    }
    return ripe;
}

static void release_all(struct epoch_entry *e) {
    while (e) {
        struct epoch_entry *next = e->next;
        e->release(e);
        e = next;
    }
}

void epoch_retire(struct epoch_entry *e, void (*release)(struct epoch_entry *e)) {
    struct epoch_cpu *c = self();
    struct epoch_entry *ripe = NULL;
    e->release = release;
    atomic_fence(); /* the unlinking store comes before the epoch is read */
    spin_lock(&c->lock);
    u64 epoch = atomic_load(&global_epoch);
    u32 i = epoch % LIMBOS;
    if (c->limbo[i] && c->of_epoch[i] != epoch)
        ripe = take_ripe(c); /* of epoch - 3 or older: this list at least becomes empty */
    e->next = c->limbo[i];
    c->limbo[i] = e;
    c->of_epoch[i] = epoch;
    bool advance = ++c->retired >= ADVANCE_EVERY;
    if (advance)
        c->retired = 0;
    spin_unlock(&c->lock);
    release_all(ripe);
    if (advance && try_advance()) {
        spin_lock(&c->lock);
        ripe = take_ripe(c);
        spin_unlock(&c->lock);
        release_all(ripe);
    }
}

void epoch_drain(bool wait) {
    assert(!wait || !epoch_inside());
    u64 target = atomic_load(&global_epoch) + 2;
    while (atomic_load(&global_epoch) < target) {
        if (try_advance())
            continue;
        if (!wait)
            break;
        machine_pause();
    }
    for (u32 i = 0, n = atomic_load(&cpus_seen); i < n; i++) {
        spin_lock(&cpus[i].lock);
        struct epoch_entry *ripe = take_ripe(&cpus[i]);
        spin_unlock(&cpus[i].lock);
        release_all(ripe);
    }
}

u64 epoch_waiting(void) {
    u64 count = 0;
    for (u32 i = 0, n = atomic_load(&cpus_seen); i < n; i++) {
        spin_lock(&cpus[i].lock);
        for (u32 k = 0; k < LIMBOS; k++)
            for (struct epoch_entry *e = cpus[i].limbo[k]; e; e = e->next)
                count++;
        spin_unlock(&cpus[i].lock);
    }
    return count;
}
