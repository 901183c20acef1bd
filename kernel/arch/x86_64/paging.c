/* paging.c - the kernel's own page tables: the direct map of all memory, the image by sections, device registers,
 * stacks.
 *
 * The kernel half has three slots in the root (x86.h), all filled at boot and copied into every space's root, so that
 * what is mapped later below them appears in all spaces at once. Nothing here is ever unmapped but stacks (kstack.c).
 *
 *   273  all memory at DIRECT_BASE, not executable; the image's text and read-only data cannot be written there either
 *   402  stacks, each above an unmapped page
 *   511  IMAGE_BASE: the first MiB of it shows device registers, the second the image
 *
 * Protection: a page is never writable and executable; user pages live in the lower half alone. */
#include "arch/x86_64/entry.h"
#include "arch/x86_64/x86.h"
#include "vm/frame.h"
#include "vm/machine.h"

#define ENTRY_GLOBAL (1UL << 8) /* stays in the TLB when another space is loaded */
#define ENTRY_UNCACHED (1UL << 4 | 1UL << 3)
#define RIGHTS_TEXT ENTRY_GLOBAL
#define RIGHTS_READ (ENTRY_GLOBAL | ENTRY_NOEXEC)
#define RIGHTS_WRITE (ENTRY_GLOBAL | ENTRY_NOEXEC | ENTRY_WRITE)
#define RIGHTS_DEVICE (RIGHTS_WRITE | ENTRY_UNCACHED)
#define DEVICE_PAGES 256 /* 1 MiB of addresses below the image */

u64 kernel_root_phys;
char *frame_direct = (char *)DIRECT_BASE;
static entry *root;
static bool late;
static unsigned device_pages;

void paging_late(void) { late = true; }

void *paging_page(bool zeroed) {
    return late ? pages_alloc(0, zeroed ? FRAME_ZEROED : 0) : boot_alloc(PAGE_SIZE, PAGE_SIZE);
}

static void link_table(entry *slot, void *lower) {
    slot_store(slot, va_to_phys(lower) | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED);
}

/* The slot for va in the table of `level`, with the tables above made when `create`. NULL: none, or no memory. */
static entry *slot_at(u64 va, unsigned level, bool create) {
    entry *table = root;
    for (unsigned l = TABLE_LEVELS; l > level; l--) {
        entry *slot = &table[slot_index(va >> PAGE_SHIFT, l)];
        if (!entry_present(*slot)) {
            if (!create)
                return NULL;
            link_table(slot, boot_alloc(PAGE_SIZE, PAGE_SIZE));
        }
        assert(!(*slot & ENTRY_LARGE));
        table = phys_to_va(entry_phys(*slot));
    }
    return &table[slot_index(va >> PAGE_SHIFT, level)];
}

u64 *paging_slot(u64 va, bool create) { return slot_at(va, 1, create); }

bool paging_give(u64 va, void *page) {
    for (unsigned level = TABLE_LEVELS; level > 1; level--) {
        entry *slot = slot_at(va, level, false);
        if (!entry_present(*slot)) {
            link_table(slot, page);
            return true;
        }
    }
    return false;
}

static void map(u64 va, u64 phys, u64 bytes, entry rights) {
    while (bytes) {
        unsigned level = cpu_has.gigapages ? 3 : 2;
        while ((va | phys) & ((slot_pages(level) << PAGE_SHIFT) - 1) || bytes < slot_pages(level) << PAGE_SHIFT)
            level--;
        u64 step = slot_pages(level) << PAGE_SHIFT;
        slot_store(slot_at(va, level, true),
                   phys | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_DIRTY | rights | (level > 1 ? ENTRY_LARGE : 0));
        va += step, phys += step, bytes -= step;
    }
}

/* All memory, with the image's frames that must not change cut out of the writable rest. */
static void map_direct(u64 start, u64 end) {
    u64 text = image_phys(_text), constant_end = image_phys(_rodata_end);
    u64 cuts[] = {start, min(max(text, start), end), min(max(constant_end, start), end), end};
    for (unsigned i = 0; i < 3; i++)
        map(DIRECT_BASE + cuts[i], cuts[i], cuts[i + 1] - cuts[i], i == 1 ? RIGHTS_READ : RIGHTS_WRITE);
}

static void map_image(const char *start, const char *end, entry rights) {
    map((u64)start, image_phys(start), end - start, rights);
}

void paging_init(void) {
    root = boot_alloc(PAGE_SIZE, PAGE_SIZE);
    kernel_root_phys = va_to_phys(root);
    for (unsigned i = 0; i < boot_range_count;) { /* neighbours together, so that large pages fit */
        u64 start = boot_ranges[i].start, end = start;
        while (i < boot_range_count && (boot_ranges[i].start == end || !boot_ranges[i].bytes))
            end += boot_ranges[i++].bytes;
        map_direct(start, end);
    }
    map_image(_text, _text_end, RIGHTS_TEXT);
    map_image(_text_end, _rodata_end, RIGHTS_READ);
    map_image(_rodata_end, _end, RIGHTS_WRITE);
    paging_slot(KSTACK_BASE, true);
    paging_slot(IMAGE_BASE, true);
    write_cr3(kernel_root_phys);
}

volatile void *device_map(u64 phys, u64 bytes) {
    u64 first = phys & PAGE_MASK, pages = (page_align_up(phys + bytes) - first) >> PAGE_SHIFT;
    unsigned at = atomic_load_relaxed(&device_pages);
    /* The same page again (several virtio devices share one): the mapping that is there. */
    for (unsigned i = 0; i < at && pages == 1; i++)
        if (entry_phys(*paging_slot(IMAGE_BASE + i * PAGE_SIZE, false)) == first)
            return (volatile char *)IMAGE_BASE + i * PAGE_SIZE + (phys - first);
    do {
        if (phys + bytes > 1UL << 46 || pages > DEVICE_PAGES - at)
            return NULL;
    } while (!__atomic_compare_exchange_n(&device_pages, &at, at + (unsigned)pages, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    for (u64 i = 0; i < pages; i++)
        slot_store(paging_slot(IMAGE_BASE + (at + i) * PAGE_SIZE, false),
                   (first + i * PAGE_SIZE) | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_DIRTY | RIGHTS_DEVICE);
    return (volatile char *)IMAGE_BASE + at * PAGE_SIZE +
           (phys - first); /* no flush: nothing was mapped there before */
}

/* The kernel's half has few entries, all made before the first space. */
static u16 kernel_slots[8];
static unsigned kernel_slot_count;

static void find_kernel_slots(void) {
    for (u16 i = TABLE_SLOTS / 2; i < TABLE_SLOTS; i++) {
        if (entry_empty(root[i]))
            continue;
        assert(kernel_slot_count < array_count(kernel_slots));
        kernel_slots[kernel_slot_count++] = i;
    }
}

void machine_root_init(entry *user_root) {
    if (unlikely(!kernel_slot_count))
        find_kernel_slots();
    for (unsigned i = 0; i < kernel_slot_count; i++)
        user_root[kernel_slots[i]] = root[kernel_slots[i]];
}

void machine_root_clear(entry *user_root) {
    for (unsigned i = 0; i < kernel_slot_count; i++)
        user_root[kernel_slots[i]] = 0;
}
