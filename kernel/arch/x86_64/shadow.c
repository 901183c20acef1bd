/* shadow.c - what each CPU may still remember of page tables although they no longer say it; in kernels that are built
 * with QUIRE_SHADOW alone (make soak), for QEMU forgets more than it has to, and hides a flush that is missing.
 *
 * When a slot loses a right, its frame or its table, every CPU that reaches the slot from the root it has loaded may
 * have cached it: one record for each, with the task that changed it. A flush strikes out the records of the CPUs that
 * it reaches:
 *
 *     LEAF     a page's translation: by a flush of that page
 *     POINTER  a pointer to a lower table: by any flush (INVLPG forgets them all)
 *     SPAN     a right that was taken from all below an upper slot: by a flush of all of it
 *
 * A frame or a table must not be freed while a record of it stands; a task must not drop the count of one, open a space
 * that it closed, or return to its program while one of its own does: invariant 6. Reading other CPUs' roots is racy; a
 * record that is missed is a check that is missed, and one too many does not happen, since who changed the slot strikes
 * it out when he flushes.
 *
 * The records are under `lock`, taken with interrupts off: flushes are served in an interrupt handler. */
#ifdef QUIRE_SHADOW
#include "arch/x86_64/x86.h"
#include "lib/log.h"
#include "vm/frame.h"
#include "vm/machine.h"
#include "vm/table.h"

#define CPUS 8
#define RECORDS 1024 /* of a CPU; what comes beyond them is not watched */

enum kind { LEAF, POINTER, SPAN };
struct record {
    u64 first, end; /* pages */
    u64 frame;      /* what the slot led to */
    struct task *by;
    enum kind kind;
};
static struct seen {
    struct record records[RECORDS];
    unsigned count;
    u64 root; /* physical address of the loaded root, 0: the kernel's */
} seen[CPUS];
static struct spin lock = SPIN_INIT; /* protects all of them */
static u32 total;                    /* records that stand; atomic */
u64 shadow_drop;                     /* /proc/sys/vm/drop_flush: the nth flush that strikes something out is left out */

static bool hold(void) {
    bool on = irq_save();
    spin_lock(&lock);
    return on;
}
static void let_go(bool on) {
    spin_unlock(&lock);
    irq_restore(on);
}

/* ---- records ---- */

static void record(unsigned cpu, enum kind kind, u64 first, u64 end, u64 frame) {
    struct seen *s = &seen[cpu];
    if (s->count == RECORDS)
        return;
    s->records[s->count++] = (struct record){first, end, frame, cpu_self()->current, kind};
    atomic_add(&total, 1);
}

static bool struck(const struct record *r, u64 first, u64 end) {
    return r->kind == POINTER || (first <= r->first && r->end <= end);
}

/* Strike out what a flush of pages [first, end) forgets on a CPU. */
static void strike(unsigned cpu, u64 first, u64 end) {
    struct seen *s = &seen[cpu];
    unsigned kept = 0, count = s->count;
    for (unsigned i = 0; i < count; i++)
        if (!struck(&s->records[i], first, end))
            s->records[kept++] = s->records[i];
    s->count = kept;
    (void)atomic_sub(&total, count - kept);
}

/* How many records of the current task it would strike out. */
static unsigned would_strike(unsigned cpu, u64 first, u64 end) {
    unsigned count = 0;
    for (unsigned i = 0; i < seen[cpu].count; i++)
        count += struck(&seen[cpu].records[i], first, end) && seen[cpu].records[i].by == cpu_self()->current;
    return count;
}

static noreturn void complain(const struct record *r, unsigned cpu, const char *what) {
    static const char *const kinds[] = {"translation", "pointer", "right"};
    panic("shadow: %s, but CPU %u may still use the %s of pages [%#lx, %#lx) to frame %#lx", what, cpu, kinds[r->kind],
          (unsigned long)r->first, (unsigned long)r->end, (unsigned long)r->frame);
}

/* Nothing may stand of this frame (NULL: of any), by this task (NULL: by anybody). */
static void check_none(const u64 *frame, const struct task *by, const char *what) {
    if (likely(!atomic_load(&total)))
        return;
    bool on = hold();
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        for (unsigned i = 0; i < seen[cpu].count; i++) {
            struct record r = seen[cpu].records[i];
            if ((frame && r.frame != *frame) || (by && r.by != by))
                continue;
            let_go(on);
            complain(&r, cpu, what);
        }
    let_go(on);
}

/* ---- changes of slots ---- */

static entry *slots_of_phys(u64 phys) { return phys >> PAGE_SHIFT < frame_count ? phys_to_va(phys) : NULL; }

/* Does the root lead to the slot? *writable: with write permission down to it. */
static bool reaches(u64 root, const struct table *t, bool *writable) {
    entry *slots = slots_of_phys(root), rights = ENTRY_WRITE;
    for (unsigned level = TABLE_LEVELS; slots && level > t->level; level--) {
        entry e = slot_read(&slots[slot_index(t->base, level)]);
        rights &= e;
        slots = entry_is_table(e) ? slots_of_phys(entry_phys(e)) : NULL;
    }
    *writable = rights;
    return slots == t->slots;
}

/* The translations below a table that left its slot. */
static void record_below(unsigned cpu, entry pointer, unsigned level, u64 base) {
    entry *slots = slots_of_phys(entry_phys(pointer));
    for (unsigned i = 0; slots && i < TABLE_SLOTS && seen[cpu].count < RECORDS; i++) {
        entry e = slot_read(&slots[i]);
        u64 page = base + i * slot_pages(level);
        if (!entry_present(e))
            continue;
        if (level > 1 && entry_is_table(e)) {
            record(cpu, POINTER, page, page + slot_pages(level), entry_phys(e) >> PAGE_SHIFT);
            record_below(cpu, e, level - 1, page);
        } else {
            record(cpu, LEAF, page, page + slot_pages(level), entry_phys(e) >> PAGE_SHIFT);
        }
    }
}

static void record_change(unsigned cpu, const struct table *t, u64 page, entry old, entry new, bool lowered) {
    u64 end = page + slot_pages(t->level), frame = entry_phys(old) >> PAGE_SHIFT;
    bool pointer = t->level > 1 && entry_is_table(old);
    if (!pointer)
        record(cpu, LEAF, page, end, frame);
    else if (lowered)
        record(cpu, SPAN, page, end, frame);
    else
        record(cpu, POINTER, page, end, frame);
    if (pointer && !entry_present(new))
        record_below(cpu, old, t->level - 1, page);
}

void shadow_change(const entry *slot, entry old, entry new) {
    struct frame *f = frame_of_va(slot);
    bool same = entry_present(new) && entry_phys(new) == entry_phys(old), writable;
    bool write_lost = same && (old & ~new &ENTRY_WRITE), exec_lost = same && (~old & new &ENTRY_NOEXEC);
    if (!entry_present(old) || (same && !write_lost && !exec_lost) || f < frames || f >= frames + frame_count ||
        f->class != FRAME_TABLE)
        return;
    struct table *t = f->owner.slab;
    u64 page = t->base + (u64)(slot - t->slots) * slot_pages(t->level);
    if (page >> 35) /* the kernel's half of a root */
        return;
    bool on = hold();
    for (unsigned cpu = 0; cpu < CPUS && cpu < cpu_count; cpu++)
        if (seen[cpu].root && reaches(seen[cpu].root, t, &writable) && (!same || exec_lost || writable))
            record_change(cpu, t, page, old, new, same);
    let_go(on);
}

/* ---- what tlb.c says ---- */

void shadow_load(u64 root) {
    unsigned cpu = cpu_id();
    if (cpu >= CPUS)
        return;
    bool on = hold();
    strike(cpu, 0, ~0UL);
    seen[cpu].root = root;
    let_go(on);
}

void shadow_flush(u64 start, u64 end) {
    if (cpu_id() >= CPUS || likely(!atomic_load(&total)))
        return;
    bool on = hold();
    strike(cpu_id(), start >> PAGE_SHIFT, end >> PAGE_SHIFT);
    let_go(on);
}

bool shadow_drops(const u64 *mask, u64 start, u64 end) {
    unsigned would = 0;
    if (likely(!atomic_load(&shadow_drop)))
        return false;
    bool on = hold();
    for (unsigned cpu = 0; cpu < CPUS && cpu < cpu_count; cpu++)
        if (!mask || mask[0] >> cpu & 1)
            would += would_strike(cpu, start >> PAGE_SHIFT, end >> PAGE_SHIFT);
    bool drops = would && shadow_drop && --shadow_drop == 0;
    let_go(on);
    if (drops)
        kprintf(LOG_INFO "shadow: a flush of [%#lx, %#lx) is left out, %u records\n", (unsigned long)start,
                (unsigned long)end, would);
    return drops;
}

/* ---- what must not be ---- */

void shadow_freed(u64 frame) { check_none(&frame, NULL, "a frame is freed"); }
void shadow_forgotten(u64 frame) { check_none(&frame, cpu_self()->current, "a mapping is forgotten"); }
void shadow_settled(const char *when) { check_none(NULL, cpu_self()->current, when); }
#endif
