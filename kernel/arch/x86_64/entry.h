/* entry.h - one slot of a page table, in the hardware's format (Intel SDM vol. 3A, 4.5), behind names that vm/ uses.
 *
 * A slot is: empty; a lower table; a frame; or, not present: a swap location, a withheld frame (PROT_NONE over a
 * populated page: the frame number is kept inverted, so that a speculative load finds no memory there: L1TF), or a
 * marker. */
#pragma once

#include "arch/x86_64/shadow.h"
#include "lib/base.h"

typedef u64 entry;

#define ENTRY_PRESENT (1ULL << 0)
#define ENTRY_WRITE (1ULL << 1)
#define ENTRY_USER (1ULL << 2)
#define ENTRY_ACCESSED (1ULL << 5)
#define ENTRY_DIRTY (1ULL << 6)
#define ENTRY_LARGE (1ULL << 7)
#define ENTRY_SPECIAL (1ULL << 9) /* software: the frame is not counted (zero frame, device, vdso) */
#define ENTRY_LAZY                                                                                                     \
    (1ULL << 10) /* software: with the dirty bit clear, the frame's contents are wanted no more (MADV_FREE) */
#define ENTRY_CLEAN (1ULL << 11)   /* software: not written since clear_refs 4; never with write permission; any kind */
#define ENTRY_GUARDED (1ULL << 58) /* software: who writes waits (watch.h); never with write permission; any kind */
#define ENTRY_NOEXEC (1ULL << 63)
#define ENTRY_KEY (15ULL << 59) /* the protection key: which bits of PKRU apply to data accesses */
#define ENTRY_PHYS 0x000ffffffffff000ULL

/* Kinds of a slot that is not present and not empty, in bits 1..3. */
#define ENTRY_KIND(e) (((e) >> 1) & 7)
#define KIND_SWAP 1u
#define KIND_WITHHELD 2u
#define KIND_WORD 3u
#define KIND_MARKER 4u

#define TABLE_SLOTS 512u
#define TABLE_LEVELS 4u
/* pages that one slot of a table of `level` covers: 1, 512, 512^2, 512^3 */
static inline u64 slot_pages(unsigned level) { return 1ULL << (9 * (level - 1)); }
/* the slot of a page number (address >> 12) in a table of `level` */
static inline unsigned slot_index(u64 page, unsigned level) { return (page >> (9 * (level - 1))) & (TABLE_SLOTS - 1); }

static inline bool entry_empty(entry e) { return e == 0; }
static inline bool entry_present(entry e) { return e & ENTRY_PRESENT; }
static inline bool entry_writable(entry e) { return e & ENTRY_WRITE; }
static inline bool entry_withheld(entry e) { return !(e & ENTRY_PRESENT) && ENTRY_KIND(e) == KIND_WITHHELD; }
static inline bool entry_special(entry e) { return e & ENTRY_SPECIAL; }
/* entry_poison: what was here is lost (offline.c); special, so that nothing is counted for it */
static inline entry entry_poison(void) { return KIND_MARKER << 1 | ENTRY_SPECIAL; }
/* entry_guard: nothing is here, but it is guarded: an object's page that left, or never came; special likewise */
static inline entry entry_guard(void) { return KIND_MARKER << 1 | ENTRY_SPECIAL | ENTRY_GUARDED; }
static inline bool entry_marker(entry e) { return !(e & ENTRY_PRESENT) && ENTRY_KIND(e) == KIND_MARKER; }
/* entry_is_table: in a table of level > 1 every present entry without LARGE is a table. */
static inline bool entry_is_large(entry e) { return e & ENTRY_LARGE; }
static inline bool entry_is_table(entry e) { return (e & (ENTRY_PRESENT | ENTRY_LARGE)) == ENTRY_PRESENT; }
static inline u64 entry_phys(entry e) { return (e & ENTRY_PRESENT ? e : ~e) & ENTRY_PHYS; }
/* a pointer to a lower table: always user, accessed and executable; the leaf decides (rights of all levels are ANDed)
 */
static inline entry entry_table(u64 phys, bool write) {
    return phys | ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED | (write ? ENTRY_WRITE : 0);
}
/* entry_rights: what a leaf entry says besides write permission, which a fault gives: execution and the key. */
static inline entry entry_rights(bool exec, unsigned key) { return (exec ? 0 : ENTRY_NOEXEC) | (entry)key << 59; }
static inline entry entry_frame(u64 phys, bool write, entry rights) {
    return phys | ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED | (write ? ENTRY_WRITE | ENTRY_DIRTY : 0) | rights;
}
/* entry_large: of level 2: 512 frames from phys on, which is aligned to as much */
static inline entry entry_large(u64 phys, bool write, entry rights) {
    return entry_frame(phys, write, rights) | ENTRY_LARGE;
}
static inline entry entry_withhold(entry e) {
    return (~e & ENTRY_PHYS) | (KIND_WITHHELD << 1) |
           (e & (ENTRY_SPECIAL | ENTRY_DIRTY | ENTRY_ACCESSED | ENTRY_NOEXEC | ENTRY_CLEAN | ENTRY_GUARDED));
}
/* entry_restore: the present form of a withheld entry, without write permission */
static inline entry entry_restore(entry e, entry rights) {
    return (~e & ENTRY_PHYS) | ENTRY_PRESENT | ENTRY_USER |
           (e & (ENTRY_SPECIAL | ENTRY_DIRTY | ENTRY_ACCESSED | ENTRY_CLEAN | ENTRY_GUARDED)) | rights;
}

/* entry_swap: the page is in slot `slot` of the swap area. Rights are the view's alone: PROT_NONE changes nothing here.
 */
static inline entry entry_swap(u64 slot) { return (~(slot << PAGE_SHIFT) & ENTRY_PHYS) | (KIND_SWAP << 1); }
static inline bool entry_swapped(entry e) { return !(e & ENTRY_PRESENT) && ENTRY_KIND(e) == KIND_SWAP; }
static inline u64 entry_swap_slot(entry e) { return (~e & ENTRY_PHYS) >> PAGE_SHIFT; }
/* entry_maps: the slot maps a frame, withheld or not: entry_phys says which. */
static inline bool entry_maps(entry e) { return entry_present(e) || entry_withheld(e); }

/* Slots change under the lock of their table; the hardware sets accessed and dirty bits behind our back, so a present
 * slot changes only by exchange or by atomic and/or, and is read once. */
static inline entry slot_read(const entry *slot) { return __atomic_load_n(slot, __ATOMIC_ACQUIRE); }
static inline void slot_store(entry *slot, entry e) {
    __atomic_store_n(slot, e, __ATOMIC_RELEASE);
} /* an empty slot only */
static inline entry slot_exchange(entry *slot, entry e) {
    entry old = __atomic_exchange_n(slot, e, __ATOMIC_SEQ_CST);
    shadow_change(slot, old, e);
    return old;
}
static inline entry slot_clear_bits(entry *slot, entry bits) {
    entry old = __atomic_fetch_and(slot, ~bits, __ATOMIC_SEQ_CST);
    shadow_change(slot, old, old & ~bits);
    return old;
}
static inline entry slot_set_bits(entry *slot, entry bits) {
    entry old = __atomic_fetch_or(slot, bits, __ATOMIC_SEQ_CST);
    shadow_change(slot, old, old | bits);
    return old;
}
/* slot_flip_bits: bits that the hardware does not set become the opposite. */
static inline void slot_flip_bits(entry *slot, entry bits) {
    entry old = __atomic_fetch_xor(slot, bits, __ATOMIC_SEQ_CST);
    shadow_change(slot, old, old ^ bits);
}
/* slot_drop_write: the slot loses write permission, not atomically: where no CPU can write through it meanwhile (so
 * none sets the dirty bit), and an accessed bit may get lost. */
static inline void slot_drop_write(entry *slot) { __asm__("andb %1, %0" : "+m"(*(u8 *)slot) : "i"((u8)~ENTRY_WRITE)); }
/* slots_copy: each slot is read whole and once, though the hardware may set bits in it meanwhile. */
static inline void slots_copy(entry *to, const entry *from, u64 count) {
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
