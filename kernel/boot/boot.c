/* boot.c - what the loader told us (Xen's PVH start info): the memory map and the command line; memory before there is
 * an allocator; and the order in which the boot CPU comes up.
 *
 * Everything the loader left in memory is copied here first, so all memory but the image may then be given out. Frame 0
 * stays ours: the trampoline that other CPUs start in (smp.c). */
#include "boot/boot.h"
#include "arch/x86_64/x86.h"
#include "lib/log.h"

/* xen/include/public/arch-x86/hvm/start_info.h, as documented in docs/misc/pvh.pandoc. */
#define START_MAGIC 0x336ec578
struct start_info {
    u32 magic, version, flags, module_count;
    u64 modules, command_line, rsdp;
    u64 memory_map; /* from version 1 on */
    u32 memory_entries, reserved;
};
struct memory_entry {
    u64 start, bytes;
    u32 type, reserved;
};
#define TYPE_RAM 1
#define TYPE_ACPI 3 /* RAM, once the tables in it were read */

#define HOLE_START                                                                                                     \
    0xa0000 /* the PC's video memory and option ROMs: plain RAM on a microvm, which its map does not say */
#define FIRMWARE_START                                                                                                 \
    0xf0000 /* QEMU's BIOS lies over these 16 frames of -m, which its map leaves out or calls reserved */
#define FIRMWARE_END 0x100000
#define ENTRIES_MOST 32
#define RANGES_MOST (2 * ENTRIES_MOST + 8)
#define MAPPED_AT_FIRST (1UL << 30) /* by the boot tables */

struct memory_range boot_ranges[RANGES_MOST];
unsigned boot_range_count;
u64 boot_rsdp;
static u64 mapped_end = MAPPED_AT_FIRST;
static char command_line[2048]; /* words, each with its 0; an empty word ends them */

static void range_add(u64 start, u64 end, enum memory_kind kind) {
    if (start >= end)
        return;
    if (boot_range_count + 2 > RANGES_MOST)
        panic("the memory map has more than %u ranges", RANGES_MOST);
    boot_ranges[boot_range_count++] = (struct memory_range){start, end - start, kind};
    if (kind == RAM_FREE) /* boot_alloc moves this border down */
        boot_ranges[boot_range_count++] = (struct memory_range){end, 0, RAM_BOOT};
}

/* RAM from start to end, less what is taken: frame 0, the frames under the BIOS, the image. */
static void ram_add(u64 start, u64 end) {
    const struct {
        u64 start, end;
        enum memory_kind kind;
    } taken[] = {{0, PAGE_SIZE, RAM_KERNEL},
                 {FIRMWARE_START, FIRMWARE_END, RAM_RESERVED},
                 {image_phys(_text), image_phys(_end), RAM_KERNEL}};
    for (unsigned i = 0; i < array_count(taken); i++) {
        u64 from = max(start, taken[i].start), to = min(end, taken[i].end);
        if (from >= to)
            continue;
        range_add(start, from, RAM_FREE);
        range_add(from, to, taken[i].kind);
        start = to;
    }
    range_add(start, end, RAM_FREE);
}

/* Whether the frames between 640 KiB and the BIOS keep what is written. Not asked of a machine with a PCI bus, where
 * video memory would, too. What the firmware left there is kept, for it is read later (ACPI's tables). */
static bool hole_is_ram(void) {
    out32(0xcf8, 0x80000000); /* the PCI configuration address: reads back where there is one */
    bool good = in32(0xcf8) != 0x80000000;
    for (u64 at = HOLE_START; at < FIRMWARE_START && good; at += PAGE_SIZE) {
        volatile u64 *word = phys_to_va(at);
        u64 old = *word;
        *word = ~old;
        good = *word == ~old;
        *word = old;
    }
    return good;
}

/* The loader's entries may be unsorted, and touch: sort, join, round inwards to frames. */
static void memory_map(const struct memory_entry *given, unsigned count) {
    struct memory_entry ram[ENTRIES_MOST];
    unsigned used = 0;
    bool firmware_seen = false;
    if (hole_is_ram()) /* with the frame below it, of which the BIOS reserves a piece for itself */
        ram[used++] =
            (struct memory_entry){HOLE_START - PAGE_SIZE, FIRMWARE_START - HOLE_START + PAGE_SIZE, TYPE_RAM, 0};
    for (unsigned i = 0; i < count; i++) {
        if ((given[i].type != TYPE_RAM && given[i].type != TYPE_ACPI) || used == ENTRIES_MOST)
            continue;
        unsigned at = used++;
        for (; at && ram[at - 1].start > given[i].start; at--)
            ram[at] = ram[at - 1];
        ram[at] = given[i];
    }
    for (unsigned i = 0; i < used;) {
        u64 start = align_up(ram[i].start, PAGE_SIZE), end = ram[i].start + ram[i].bytes;
        while (++i < used && ram[i].start <= end)
            end = max(end, ram[i].start + ram[i].bytes);
        end &= PAGE_MASK;
        /* QEMU takes the BIOS's frames out of -m without a word: they count, as reserved. */
        firmware_seen |= start < FIRMWARE_END && end > FIRMWARE_START;
        if (start >= FIRMWARE_END && !firmware_seen) {
            range_add(FIRMWARE_START, FIRMWARE_END, RAM_RESERVED);
            firmware_seen = true;
        }
        ram_add(start, end);
    }
}

static void command_line_keep(const char *given) {
    size_t at = 0;
    bool word = false;
    for (; *given && at < sizeof(command_line) - 2; given++) {
        if (*given != ' ')
            command_line[at++] = *given;
        else if (word)
            command_line[at++] = 0;
        word = *given != ' ';
    }
    if (*given)
        kprintf(LOG_ERR "the kernel's command line is longer than %zu bytes: the rest is ignored\n", at);
}

const char *boot_option_next(const char *name, const char *previous) {
    size_t length = strlen(name);
    const char *word = previous ? previous + strlen(previous) + 1 : command_line;
    for (; *word; word += strlen(word) + 1)
        if (!strncmp(word, name, length) && (!word[length] || word[length] == '='))
            return word + length + (word[length] == '=');
    return NULL;
}

const char *boot_option(const char *name) {
    const char *last = NULL;
    for (const char *value = boot_option_next(name, NULL); value; value = boot_option_next(name, value))
        last = value;
    return last;
}

u64 boot_option_number(const char *name, u64 otherwise) {
    const char *s = boot_option(name);
    if (!s || !*s)
        return otherwise;
    u64 value = 0, base = 10;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
        base = 16, s += 2;
    for (;; s++) {
        u64 digit = *s >= '0' && *s <= '9' ? *s - '0' : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10 : base;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    return *s == 'K' ? value * KiB : *s == 'M' ? value * MiB : *s == 'G' ? value * GiB : value;
}

/* From the top of the first range with room. Small pieces share a page. */
void *boot_alloc(size_t bytes, size_t align) {
    static u64 piece_start, piece_end;
    if (bytes < PAGE_SIZE && align <= PAGE_SIZE && align_up(piece_start, align) + bytes <= piece_end) {
        piece_start = align_up(piece_start, align) + bytes;
        return phys_to_va(piece_start - bytes);
    }
    u64 wanted = page_align_up(bytes), start = 0;
    for (unsigned i = 0; i + 1 < boot_range_count && !start; i++) {
        struct memory_range *r = &boot_ranges[i];
        u64 end = r->start + r->bytes;
        if (r->kind != RAM_FREE || end > mapped_end || wanted > r->bytes)
            continue;
        u64 at = align_down(end - wanted, (u64)max(align, PAGE_SIZE));
        if (at < r->start)
            continue;
        r[1].start = start = at;
        r[1].bytes += end - at;
        r->bytes = at - r->start;
    }
    if (!start)
        panic("boot_alloc: no room for %zu bytes: the machine has too little memory", bytes);
    memset(phys_to_va(start), 0, wanted);
    if (bytes < PAGE_SIZE) {
        piece_start = start + bytes;
        piece_end = start + wanted;
    }
    return phys_to_va(start);
}

static void start_info_read(u64 phys) {
    const struct start_info *info = phys_to_va(phys);
    if (phys >= MAPPED_AT_FIRST || info->magic != START_MAGIC || info->version < 1)
        panic("not started by the PVH protocol, version 1: start info at %#lx", phys);
    if (info->command_line)
        command_line_keep(phys_to_va(info->command_line));
    boot_rsdp = info->rsdp;
    memory_map(phys_to_va(info->memory_map), info->memory_entries);
    log_set_level((unsigned)boot_option_number("loglevel", 6));
    for (unsigned i = 0; i < info->memory_entries; i++) {
        const struct memory_entry *e = (struct memory_entry *)phys_to_va(info->memory_map) + i;
        kprintf(LOG_DEBUG "memory: %#lx-%#lx type %u\n", e->start, e->start + e->bytes, e->type);
    }
}

static struct cpu_arch boot_cpu;

/* On the guarded stack. */
static void boot_second(void) {
    clock_start();
    irq_on();
    kernel_main();
    panic("kernel_main returned");
}

noreturn void stack_call(void *top, void (*function)(void));
noreturn void boot_main(u64 start_info);
void boot_main(u64 start_info) {
    cpu_block_init(&boot_cpu, 0);
    cpu_block_load(&boot_cpu);
    start_info_read(start_info);
    acpi_init(); /* before boot_alloc takes the memory that the tables lie in */
    cpu_detect();
    paging_init();
    mapped_end = ~0UL;
    trap_init();
    cpu_stacks_alloc(&boot_cpu);
    apic_init();
    cpu_start(&boot_cpu);
    clock_init();
    void *top = kstack_map(2);
    boot_cpu.cpu.kernel_stack = (u64)top;
    stack_call(top, boot_second);
}

void arch_init_late(void) { paging_late(); }
