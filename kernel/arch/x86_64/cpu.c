/* cpu.c - what a CPU can do, its block and segments, and how it is brought into its working state; queued work and
 * idling.
 *
 * The order on each CPU: cpu_block_init and cpu_block_load (then cpu_self() works), cpu_stacks_alloc, cpu_start. */
#include "arch/x86_64/x86.h"
#include "lib/sync.h"
#include "lib/wire.h"

struct cpu_features cpu_has;
struct cpu *cpu_of[CPU_MAX];
unsigned cpu_count = 1;

_Static_assert(offsetof(struct cpu, id) == CPU_ID_OFFSET, "cpu_id.h");

/* The sections that ASM_STAC and ASM_CLAC fill. */
static void patch(const u64 *at, const u64 *end, const u8 code[3]) {
    for (; at < end; at++)
        memcpy((void *)*at, code, 3); /* the boot tables map the text writable; no other CPU runs */
}

void cpu_detect(void) {
    extern const u64 _patch_stac[], _patch_stac_end[], _patch_clac[], _patch_clac_end[];
    u32 most = cpuid(0, 0).a;
    struct cpuid one = cpuid(1, 0), seven = most >= 7 ? cpuid(7, 0) : (struct cpuid){0},
                 extended = cpuid(0x80000001, 0);
    cpu_has = (struct cpu_features){
        .mce = one.d >> 7 & 1,
        .smap = boot_option_number("smap", seven.b >> 20 & 1),
        .smep = boot_option_number("smep", seven.b >> 7 & 1),
        .umip = seven.c >> 2 & 1,
        .fsgsbase = seven.b & 1,
        .pku = seven.c >> 3 & 1,
        .erms = boot_option_number("erms", seven.b >> 9 & 1), /* "erms=0" and the like: for comparisons */
        .xsave = one.c >> 26 & 1,
        .x2apic = one.c >> 21 & 1,
        .tsc_deadline = one.c >> 24 & 1,
        .rdrand = one.c >> 30 & 1,
        .hypervisor = one.c >> 31 & 1,
        .gigapages = extended.d >> 26 & 1,
        .rdtscp = extended.d >> 27 & 1,
    };
    cpu_has.xsaveopt = cpu_has.xsave && cpuid(0xd, 1).a & 1;
    if (cpu_has.smap) {
        patch(_patch_stac, _patch_stac_end, (const u8[]){0x0f, 0x01, 0xcb});
        patch(_patch_clac, _patch_clac_end, (const u8[]){0x0f, 0x01, 0xca});
    }
}

void cpu_block_init(struct cpu_arch *a, unsigned id) {
    a->cpu.self = &a->cpu;
    a->cpu.id = id;
    a->cpu.arch = a;
    a->tick_at = a->armed_at = a->hardware_at = ~0UL;
    cpu_of[id] = &a->cpu;
}

void cpu_block_load(struct cpu_arch *a) { wrmsr(MSR_GS_BASE, (u64)a); }

bool cpu_stacks_alloc(struct cpu_arch *a) {
    static const struct {
        u8 ist, pages;
    } stacks[] = {{IST_IRQ, 2}, {IST_NMI, 1}, {IST_DF, 1}, {IST_MC, 1}, {IST_DB, 1}};
    for (unsigned i = 0; i < array_count(stacks); i++) {
        u64 *top = kstack_map(stacks[i].pages);
        if (!top)
            return false;
        top[-1] = (u64)a; /* where gate.S finds its CPU when GS may be the user's */
        a->tss.ist[stacks[i].ist - 1] = (u64)&top[-2];
    }
    return true;
}

static void segments_load(struct cpu_arch *a) {
    u64 tss = (u64)&a->tss;
    a->gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
    a->gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
    a->gdt[USER_DS / 8] = 0x00cff3000000ffff;
    a->gdt[USER_CS / 8] = 0x00affb000000ffff;
    a->gdt[TSS_SELECTOR / 8] = (sizeof(a->tss) - 1) | (tss & 0xffffff) << 16 | 0x89UL << 40 | (tss >> 24 & 0xff) << 56;
    a->gdt[TSS_SELECTOR / 8 + 1] = tss >> 32;
    a->tss.io_bitmap = sizeof(a->tss); /* none: no port is the user's */
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) pointer = {sizeof(a->gdt) - 1, (u64)a->gdt};
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    __asm__ volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:" : : "i"(KERNEL_CS) : "rax", "memory");
    __asm__ volatile("mov %0, %%ss; mov %1, %%ds; mov %1, %%es" : : "r"(KERNEL_DS), "r"(0));
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

static void syscall_setup(void) {
    extern char syscall_entry[];
    wrmsr(MSR_STAR, 0x23UL << 48 | (u64)KERNEL_CS << 32); /* SYSRET: SS = 0x23 + 8, CS = 0x23 + 16 */
    wrmsr(MSR_LSTAR, (u64)syscall_entry);
    wrmsr(MSR_SFMASK, FLAGS_TF | FLAGS_IF | FLAGS_DF | FLAGS_IOPL | FLAGS_NT | FLAGS_RF | FLAGS_AC | FLAGS_ID);
    wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER: #GP */
}

void cpu_start(struct cpu_arch *a) {
    write_cr0(CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    write_cr4(CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | (cpu_has.mce ? CR4_MCE : 0) |
              (cpu_has.umip ? CR4_UMIP : 0) | (cpu_has.fsgsbase ? CR4_FSGSBASE : 0) |
              (cpu_has.xsave ? CR4_OSXSAVE : 0) | (cpu_has.smep ? CR4_SMEP : 0) | (cpu_has.smap ? CR4_SMAP : 0) |
              (cpu_has.pku && cpu_has.xsave ? CR4_PKE : 0));
    segments_load(a);
    cpu_block_load(a); /* after the segments: some CPUs clear a base with its selector */
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    wrmsr(MSR_FS_BASE, 0);
    if (cpu_has.rdtscp)
        wrmsr(MSR_TSC_AUX, a->cpu.id); /* RDPID and RDTSCP tell a program its CPU */
    trap_load();
    syscall_setup();
    fpu_init();
    apic_start();
    a->cpu.apic_id = apic_own_id();
}

/* Work is a stack of items, newest first. `next` is NULL only of an item that is on none, so the last one points to
 * WORK_END. */
#define WORK_END ((struct work *)1)

void cpu_queue_work(unsigned cpu, struct work *work) {
    struct cpu *target = cpu_of[cpu];
    if (!atomic_cas(&work->next, NULL, WORK_END))
        return; /* queued already and not yet taken off */
    struct work *head;
    do {
        head = atomic_load_relaxed(&target->work);
        atomic_store_relaxed(&work->next, head ? head : WORK_END);
    } while (!atomic_cas(&target->work, head, work));
    /* Whoever made the queue non-empty kicks; this CPU itself looks before it halts or goes to user mode. */
    if (!head && target != cpu_self())
        cpu_kick(cpu);
}

void cpu_run_work(void) {
    struct cpu *cpu = cpu_self();
    if (!atomic_load_relaxed(&cpu->work))
        return;
    struct work *taken = atomic_xchg(&cpu->work, NULL), *oldest = WORK_END;
    while (taken != WORK_END) { /* reverse: first queued, first run */
        struct work *next = taken->next;
        taken->next = oldest;
        oldest = taken;
        taken = next;
    }
    while (oldest != WORK_END) {
        struct work *work = oldest;
        oldest = work->next;
        atomic_store(&work->next, NULL); /* from here on it may be queued again, or freed by run */
        work->run(work);
    }
}

void cpu_kick(unsigned cpu) {
    struct cpu *target = cpu_of[cpu];
    if (target == cpu_self())
        atomic_store_relaxed(&target->kicked, true);
    else
        apic_ipi(target->apic_id, VECTOR_KICK);
}

void cpu_idle_wait(void) {
    struct cpu *cpu = cpu_self();
    irq_off();
    if (!atomic_load_relaxed(&cpu->need_resched) && !atomic_load_relaxed(&cpu->work)) {
        tlb_idle();
        clock_idle(true);
        __asm__ volatile("sti; hlt; cli" ::
                             : "memory"); /* sti takes effect after hlt began: no wake-up is lost between */
        clock_idle(false);
    }
    irq_on();
}

void cpu_nap(u64 ns, const u32 *unless_zero) {
    bool on = irq_save();
    if (on && cpu_has.hypervisor && (!unless_zero || atomic_load(unless_zero))) {
        clock_soon(ns);
        __asm__ volatile("sti; hlt" ::: "memory");
    } else {
        irq_restore(on);
        cpu_pause();
    }
}

u64 cpu_random(void) {
    static u64 state;
    u64 value = 0;
    bool good = false;
    for (int tries = 0; cpu_has.rdrand && !good && tries < 10; tries++)
        __asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(good));
    /* mixed with time in any case (the finaliser of MurmurHash3's 64-bit variant: every bit of the input reaches every
     * bit) */
    u64 x = atomic_add(&state, rdtsc() ^ value);
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdUL;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53UL;
    return x ^ x >> 33;
}

void machine_stop(void) {
    irq_off();
    out8(WIRE_EXIT_PORT, 1);
    /* No such device: reset the machine, which ends QEMU under -no-reboot. An empty IDT makes any trap fatal to it. */
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) none = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(none));
    for (;;)
        __asm__ volatile("hlt");
}
