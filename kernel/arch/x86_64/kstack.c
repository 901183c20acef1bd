/* kstack.c - kernel stacks: two pages above an unmapped one, so that an overflow stops at once instead of writing
 * elsewhere.
 *
 *   slot i:  KSTACK_BASE + 12 KiB * i:  [guard] [page] [page] ^ top
 *
 * A freed stack stays mapped in a small cache of its CPU; when that is full, half of it is unmapped, all CPUs forget
 * the translations, and the frames go back. A free slot is on a list through its guard's entry in the page table, which
 * is never present: bits 1.. hold the complement of the next free slot (so that no low frame's number stands there:
 * L1TF). */
#include "arch/x86_64/entry.h"
#include "arch/x86_64/x86.h"
#include "lib/sync.h"
#include "vm/frame.h"

#define SLOT_BYTES (3 * PAGE_SIZE)
#define SLOTS_MOST (1u << 20)
#define NO_SLOT SLOTS_MOST
#define STACK_GLOBAL (1UL << 8)
#define STACK_RIGHTS (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_NOEXEC | ENTRY_ACCESSED | ENTRY_DIRTY | STACK_GLOBAL)
_Static_assert(KSTACK_BYTES == 2 * PAGE_SIZE, "the slot's layout");

static struct spin lock;    /* protects all below, and the entries of free slots */
static unsigned slots_made; /* slots with a page table below them are 0 .. slots_made - 1 */
static unsigned free_slot = NO_SLOT;

static u64 slot_guard(unsigned slot) { return KSTACK_BASE + slot * SLOT_BYTES; }
static unsigned slot_of_top(const void *top) { return ((u64)top - 1 - KSTACK_BASE) / SLOT_BYTES; }
static entry link_to(unsigned slot) { return (~(u64)slot & 0x7fffffffffff) << 1 | 1UL << 63; }
static unsigned link_of(entry e) { return (unsigned)(~(e >> 1) & 0x7fffffff); }

static void slot_push(unsigned slot) {
    spin_lock(&lock);
    slot_store(paging_slot(slot_guard(slot), false), link_to(free_slot));
    free_slot = slot;
    spin_unlock(&lock);
}

/* The three pages of a new slot may lie below two tables. */
static bool slot_has_tables(unsigned slot) {
    return paging_slot(slot_guard(slot), false) && paging_slot(slot_guard(slot) + 2 * PAGE_SIZE, false);
}

/* A slot that is the caller's alone, with its page tables; NO_SLOT: no memory for them, or no address left. No
 * allocation is made under the lock: when a table is missing, a page is got first, then offered. */
static unsigned slot_take(void) {
    for (;;) {
        spin_lock(&lock);
        unsigned slot = free_slot;
        bool ready = true;
        if (slot != NO_SLOT)
            free_slot = link_of(*paging_slot(slot_guard(slot), false));
        else if (slots_made == SLOTS_MOST)
            slot = NO_SLOT;
        else if ((ready = slot_has_tables(slots_made)))
            slot = slots_made++;
        else
            slot = slots_made;
        spin_unlock(&lock);
        if (ready)
            return slot;
        void *page = paging_page(true);
        if (!page)
            return NO_SLOT;
        spin_lock(&lock);
        bool used = paging_give(slot_guard(slot), page) || paging_give(slot_guard(slot) + 2 * PAGE_SIZE, page);
        spin_unlock(&lock);
        if (!used)
            pages_free(page, 0); /* another CPU gave one */
    }
}

/* The frames below a slot's top, unmapped. The caller flushes before it frees them. */
static void slot_unmap(unsigned slot, u64 phys[2]) {
    for (unsigned i = 0; i < 2; i++)
        phys[i] = entry_phys(slot_exchange(paging_slot(slot_guard(slot) + (i + 1) * PAGE_SIZE, false), 0));
}

void *kstack_map(unsigned pages) {
    unsigned slot = slot_take();
    void *page[2] = {paging_page(false), pages > 1 ? paging_page(false) : NULL};
    bool good = slot != NO_SLOT && page[0] && (pages == 1 || page[1]);
    u64 top = slot_guard(slot) + SLOT_BYTES;
    for (unsigned i = 0; i < pages; i++) {
        if (good) /* no flush: the slot's translations were forgotten when it was unmapped */
            slot_store(paging_slot(top - (i + 1) * PAGE_SIZE, false), va_to_phys(page[i]) | STACK_RIGHTS);
        else if (page[i])
            pages_free(page[i], 0);
    }
    if (!good && slot != NO_SLOT)
        slot_push(slot);
    return good ? (void *)top : NULL;
}

void *kstack_alloc(void) {
    struct cpu_arch *a = cpu_arch_self();
    return a->stack_count ? a->stacks[--a->stack_count] : kstack_map(2);
}

/* kstack_free waits for the other CPUs when the cache is full: interrupts on, no spin lock held. */
void kstack_free(void *top) {
    struct cpu_arch *a = cpu_arch_self();
    unsigned half = array_count(a->stacks) / 2;
    if (a->stack_count == array_count(a->stacks)) {
        u64 phys[array_count(a->stacks) / 2][2];
        unsigned slots[array_count(a->stacks) / 2];
        for (unsigned i = 0; i < half; i++) {
            slots[i] = slot_of_top(a->stacks[--a->stack_count]);
            slot_unmap(slots[i], phys[i]);
        }
        tlb_flush_kernel_all();
        for (unsigned i = 0; i < half; i++) {
            pages_free(phys_to_va(phys[i][0]), 0);
            pages_free(phys_to_va(phys[i][1]), 0);
            slot_push(slots[i]);
        }
    }
    a->stacks[a->stack_count++] = top;
}

const char *kstack_guard_name(u64 address, char *buffer, size_t size) {
    static const char *const own[] = {"interrupt", "NMI", "double fault", "machine check", "debug"};
    if (address < KSTACK_BASE || address >= slot_guard(slots_made))
        return NULL;
    unsigned slot = (address - KSTACK_BASE) / SLOT_BYTES;
    struct cpu_arch *a = cpu_arch_self();
    const char *what = "a task's stack";
    for (unsigned i = 0; i < array_count(own); i++)
        if (slot_of_top((void *)a->tss.ist[i]) == slot)
            what = own[i];
    if (slot_of_top((void *)a->cpu.kernel_stack) == slot)
        what = "the current task's stack";
    ksnprintf(buffer, size, "%s (slot %u)", what, slot);
    return buffer;
}
