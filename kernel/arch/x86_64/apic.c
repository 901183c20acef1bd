/* apic.c - the interrupt controllers: each CPU's own (local APIC), and those that carry the devices' lines (IO-APICs).
 *
 * The local APIC is used by MSRs (x2APIC) where the CPU can, else through its page. Lines go to CPU 0: under an
 * emulator spreading them gains nothing, and what they queue is then in one place. */
#include "arch/x86_64/x86.h"
#include "lib/sync.h"

/* Register numbers as the x2APIC MSRs count them; times 16: offsets in the page. SDM volume 3, table 10-1. */
#define APIC_ID 0x02
#define APIC_EOI 0x0b
#define APIC_SPURIOUS 0x0f
#define APIC_ICR 0x30
#define APIC_ICR_HIGH 0x31
#define APIC_LVT_TIMER 0x32
#define APIC_LVT_LINT0 0x35
#define APIC_LVT_LINT1 0x36
#define APIC_LVT_ERROR 0x37
#define APIC_TIMER_COUNT 0x38
#define APIC_TIMER_LEFT 0x39
#define APIC_TIMER_DIVIDE 0x3e
#define APIC_TPR 0x08
#define LVT_MASKED (1u << 16)
#define LVT_DEADLINE (2u << 17)
#define DIVIDE_BY_1 0xb
#define ICR_NMI (4u << 8)
#define ICR_INIT (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_BUSY (1u << 12)
#define ICR_ASSERT (1u << 14)
#define ICR_OTHERS (3u << 18)

unsigned apic_cpu_count;
u32 apic_cpu_ids[CPU_MAX];

static volatile u32 *page; /* NULL: x2APIC */
static bool usable;

static u32 apic_read(unsigned reg) { return page ? page[reg * 4] : (u32)rdmsr(MSR_X2APIC + reg); }
static void apic_write(unsigned reg, u32 value) {
    if (page)
        page[reg * 4] = value;
    else
        wrmsr(MSR_X2APIC + reg, value);
}

void apic_start(void) {
    u64 base = rdmsr(MSR_APIC_BASE) | 1 << 11 | (cpu_has.x2apic ? 1 << 10 : 0);
    if (!cpu_has.x2apic && !page) {
        page = device_map(base & 0xffffff000, PAGE_SIZE);
        if (!page)
            panic("no address left for the local APIC's page %#lx", base);
    }
    wrmsr(MSR_APIC_BASE, base);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, ICR_NMI); /* the machine's NMI line, as ACPI's MADT says of PCs */
    apic_write(APIC_LVT_ERROR, LVT_MASKED);
    apic_write(APIC_SPURIOUS, 1 << 8 | VECTOR_SPURIOUS);
    usable = true;
}

u32 apic_own_id(void) { return page ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID); }
void apic_eoi(void) { apic_write(APIC_EOI, 0); }

/* The command register. What this CPU stored before must be seen by whom it interrupts: a store to the page is ordered
 * after other stores, a WRMSR to an x2APIC register is not (SDM volume 3, 10.12.3). */
static void command(u32 apic_id, u32 low) {
    if (!page) {
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC + APIC_ICR, (u64)apic_id << 32 | low);
        return;
    }
    bool on = irq_save(); /* an interrupt's handler may send, too, and there are two registers */
    while (apic_read(APIC_ICR) & ICR_BUSY)
        cpu_pause();
    apic_write(APIC_ICR_HIGH, apic_id << 24);
    apic_write(APIC_ICR, low);
    irq_restore(on);
}

void apic_ipi(u32 apic_id, u8 vector) { command(apic_id, ICR_ASSERT | vector); }
void apic_wake(u32 apic_id, bool start, u8 at) { command(apic_id, ICR_ASSERT | (start ? ICR_STARTUP | at : ICR_INIT)); }
void apic_nmi_others(void) {
    if (usable && cpu_count > 1)
        command(0, ICR_ASSERT | ICR_OTHERS | ICR_NMI);
}

void apic_timer_setup(bool tsc_deadline) {
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (tsc_deadline ? LVT_DEADLINE : 0));
    if (tsc_deadline)
        __asm__ volatile("mfence" ::
                             : "memory"); /* before the first write of the deadline MSR (SDM volume 3, 10.5.4.1) */
}
void apic_timer_count(u32 count) { apic_write(APIC_TIMER_COUNT, count); }
u32 apic_timer_left(void) { return apic_read(APIC_TIMER_LEFT); }

/* IO-APICs: an index register and a window. */
#define IOAPIC_VERSION 1
#define IOAPIC_LINE 0x10 /* two registers a line */
#define LINE_LEVEL (1u << 15)
#define LINE_MASKED (1u << 16)
#define MICROVM_IOAPIC 0xfec00000 /* QEMU hw/i386/microvm.c; a second one, when there is ACPI, 64 KiB above */

static struct ioapic {
    u64 phys;
    volatile u32 *registers;
    u32 gsi_base, lines; /* no lines: it does not answer */
} ioapics[4];
static unsigned ioapic_count;

static struct line {
    void (*handler)(void *argument);
    void *argument;
    unsigned gsi;
} lines[DEVICE_END - DEVICE_FIRST];
static unsigned line_count; /* under line_lock; handlers read lines[] only after their line was unmasked */
static struct spin line_lock;

static u32 ioapic_read(struct ioapic *io, u32 reg) {
    io->registers[0] = reg;
    return io->registers[4];
}
static void ioapic_write(struct ioapic *io, u32 reg, u32 value) {
    io->registers[0] = reg;
    io->registers[4] = value;
}

void apic_io_add(u64 phys, u32 gsi_base) {
    if (ioapic_count < array_count(ioapics))
        ioapics[ioapic_count++] = (struct ioapic){.phys = phys, .gsi_base = gsi_base};
}

static void ioapic_start(struct ioapic *io) {
    io->registers = device_map(io->phys, PAGE_SIZE);
    u32 version = io->registers ? ioapic_read(io, IOAPIC_VERSION) : 0;
    if (version == 0 || version == ~0u) {
        kprintf(LOG_ERR "IO-APIC at %#lx does not answer: its devices cannot interrupt\n", io->phys);
        return;
    }
    io->lines = (version >> 16 & 0xff) + 1;
    for (u32 i = 0; i < io->lines; i++)
        ioapic_write(io, IOAPIC_LINE + 2 * i, LINE_MASKED);
}

/* QEMU's firmware interface: how many CPUs there are. Their APIC ids count from 0. */
static void cpus_of_fw_cfg(void) {
    out16(0x510, 5);
    unsigned count = in8(0x511);
    count |= (unsigned)in8(0x511) << 8;
    if (count == 0 || count == 0xffff)
        count = 1;
    for (unsigned i = 0; i < min(count, (unsigned)CPU_MAX); i++)
        apic_cpu_ids[apic_cpu_count++] = i;
}

void apic_init(void) {
    out8(0x21, 0xff); /* an old PIC, if there is one, keeps silent */
    out8(0xa1, 0xff);
    if (!apic_cpu_count)
        cpus_of_fw_cfg();
    if (!ioapic_count)
        apic_io_add(MICROVM_IOAPIC, 0);
    for (unsigned i = 0; i < ioapic_count; i++)
        ioapic_start(&ioapics[i]);
}

int irq_register(unsigned gsi, void (*handler)(void *), void *argument) {
    int result = -EINVAL;
    spin_lock(&line_lock);
    for (unsigned i = 0; i < ioapic_count; i++) {
        struct ioapic *io = &ioapics[i];
        if (gsi < io->gsi_base || gsi >= io->gsi_base + io->lines)
            continue;
        result = line_count == array_count(lines) ? -ENOSPC : 0;
        for (unsigned l = 0; l < line_count; l++)
            if (lines[l].gsi == gsi)
                result = -EBUSY;
        if (result)
            break;
        lines[line_count] = (struct line){handler, argument, gsi};
        atomic_fence();
        u32 reg = IOAPIC_LINE + 2 * (gsi - io->gsi_base);
        ioapic_write(io, reg + 1, cpu_of[0]->apic_id << 24);
        ioapic_write(io, reg, LINE_LEVEL | (DEVICE_FIRST + line_count));
        line_count++;
    }
    spin_unlock(&line_lock);
    return result;
}

void irq_dispatch(unsigned vector) {
    struct line *line = &lines[vector - DEVICE_FIRST];
    if (vector >= DEVICE_FIRST && vector < DEVICE_END && line->handler)
        line->handler(line->argument);
}
