/* boot.h - from the first instruction to main: what the machine is made of, and what it was told.
 *
 * Order on the boot CPU: entry.S (32 bits, paging on) -> boot_main (boot.c: start info copied, page tables, traps,
 * clock, guarded stack) -> kernel_main (kernel/main.c), with interrupts on, the log working, clock_ns() running, and no
 * allocator: until frame_init is over, memory comes from boot_alloc. Then: frame_init(boot_ranges, boot_range_count),
 * slab_init, arch_init_late, vm_init, task_init, smp_start, ..., sched_cpu_main. */
#pragma once

#include "lib/base.h"

enum memory_kind {
    RAM_FREE,     /* the allocator's */
    RAM_KERNEL,   /* the image, and frame 0 (the trampoline that wakes CPUs) */
    RAM_BOOT,     /* page tables of the kernel, per-CPU blocks, what boot_alloc gave */
    RAM_RESERVED, /* counted in -m, but hidden by the machine: the frames under the BIOS */
};
struct memory_range {
    u64 start, bytes; /* whole frames */
    enum memory_kind kind;
};
/* Sorted, disjoint; what no range covers is not memory. boot_alloc moves the border between a RAM_FREE range and the
 * RAM_BOOT range after it in this very array, so frame_init may take its descriptors first and read the ranges
 * afterwards. Ranges of 0 bytes occur. */
extern struct memory_range boot_ranges[];
extern unsigned boot_range_count;

/* boot_alloc: zeroed memory for good, page-aligned by whole frames if bytes >= PAGE_SIZE, by its address in the direct
 * map. Boot CPU only, before the allocator reads the ranges. Panics when there is none: a machine too small to boot. */
void *boot_alloc(size_t bytes, size_t align);

/* boot_option: the value of `name=value` on the kernel's command line, "" for a bare `name`, NULL when absent. The last
 * one wins. boot_option_next: in order, for names that repeat; previous NULL: the first. */
const char *boot_option(const char *name);
const char *boot_option_next(const char *name, const char *previous);
u64 boot_option_number(const char *name, u64 otherwise); /* decimal or 0x..., then K, M or G */

/* Virtio-mmio devices that ACPI names; the command line may name others (`virtio_mmio.device=BYTES@PHYS:LINE`). */
#define BOOT_DEVICES_MOST 64u
struct boot_device {
    u64 phys;
    u32 bytes, gsi; /* gsi: the interrupt line */
};
extern struct boot_device boot_devices[];
extern unsigned boot_device_count;

extern u64 boot_rsdp; /* physical address of ACPI's root pointer, or 0 */

/* arch_init_late: after slab_init: what the CPU's part needs allocators for. */
void arch_init_late(void);
/* smp_start: wake the other CPUs; each ends in sched_cpu_main. Returns when all that answer are counted in cpu_count.
 */
void smp_start(void);

void kernel_main(void); /* kernel/main.c; does not return */
