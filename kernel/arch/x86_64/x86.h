/* x86.h - the instructions and numbers of the processor that only arch/ and boot/ use. Sources: Intel SDM volumes 3
 * and 4.
 *
 * Included by assembly too; C only below the first #ifndef. */
#pragma once

/* Virtual layout of the kernel half: root slots 273 (all memory), 402 (stacks), 511 (image and device registers). */
#define IMAGE_BASE 0xffffffff80000000
#define DIRECT_BASE 0xffff888000000000
#define KSTACK_BASE 0xffffc90000000000
#define DIRECT_SLOT 273
#define IMAGE_SLOT 511

/* Selectors: Linux's numbers, which debuggers and core files know. 0x20 stays empty: no 32-bit user code. */
#define KERNEL_CS 0x10
#define KERNEL_DS 0x18
#define USER_DS 0x2b
#define USER_CS 0x33
#define TSS_SELECTOR 0x40

/* struct cpu's fields that assembly uses, at GS:0. */
#define CPU_KERNEL_STACK 16
#define CPU_USER_RSP 24
/* struct regs, bytes from its start. */
#define REGS_ORIG_RAX 120
#define REGS_RIP 128
#define REGS_CS 136
#define REGS_RSP 152
#define REGS_BYTES 168

/* Interrupt stack table: which stack of the CPU's own. */
#define IST_IRQ 1
#define IST_NMI 2
#define IST_DF 3
#define IST_MC 4
#define IST_DB 5

/* Vectors. Devices get DEVICE_FIRST up to DEVICE_END - 1; a higher class of 16 has precedence. */
#define VECTOR_DB 1
#define VECTOR_NMI 2
#define VECTOR_DF 8
#define VECTOR_GP 13
#define VECTOR_PF 14
#define VECTOR_MC 18
#define DEVICE_FIRST 32
#define DEVICE_END 112
#define VECTOR_TIMER 112
#define VECTOR_KICK 113
#define VECTOR_TLB 114
#define VECTOR_SPURIOUS 127 /* low 4 bits set, as old APICs need */
#define IRQ_END 128
#define VECTOR_INT80 128
#define VECTOR_END 129

/* The error code of #PF. */
#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_USER 4u
#define PF_FETCH 16u

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_AUX 0xc0000103
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC 0x800
#define MSR_SYSENTER_CS 0x174
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define EFER_SCE 1
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_ET 0x10
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_AM 0x40000 /* a user's AC flag means #AC, as on Linux */
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define CR4_MCE 0x40
#define CR4_PGE 0x80
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define CR4_UMIP 0x800
#define CR4_FSGSBASE 0x10000
#define CR4_OSXSAVE 0x40000
#define CR4_SMEP 0x100000
#define CR4_SMAP 0x200000
#define CR4_PKE 0x400000

#define FLAGS_CF 0x1
#define FLAGS_FIXED 0x2
#define FLAGS_TF 0x100
#define FLAGS_IF 0x200
#define FLAGS_DF 0x400
#define FLAGS_IOPL 0x3000
#define FLAGS_NT 0x4000
#define FLAGS_RF 0x10000
#define FLAGS_AC 0x40000
#define FLAGS_ID 0x200000
#define FLAGS_USER 0x250dd5 /* what a user may set: CF PF AF ZF SF TF DF OF RF AC ID */

/* SMAP's two instructions are 3-byte no-operations until boot knows that the CPU has them (cpu.c patches them in). */
#ifdef __ASSEMBLER__
/* clang-format off */
#define CLAC                                                                                                           \
661:                                                                                                                   \
    .byte 0x0f, 0x1f, 0x00;                                                                                            \
    .pushsection .patch_clac, "a";                                                                                     \
    .quad 661b;                                                                                                        \
    .popsection
/* clang-format on */
#else

#include "arch/x86_64/cpu.h"
#include "boot/boot.h"
#include "lib/base.h"

#define ASM_STAC "661: .byte 0x0f, 0x1f, 0x00\n.pushsection .patch_stac, \"a\"\n.quad 661b\n.popsection\n"
#define ASM_CLAC "661: .byte 0x0f, 0x1f, 0x00\n.pushsection .patch_clac, \"a\"\n.quad 661b\n.popsection\n"
/* ASM_FIXUP: if the instruction at label `at` faults, go on at label `to`. */
#define ASM_FIXUP(at, to) ".pushsection .fixups, \"a\"\n.long " at " - ., " to " - .\n.popsection\n"

_Static_assert(sizeof(struct regs) == REGS_BYTES && offsetof(struct regs, orig_rax) == REGS_ORIG_RAX &&
                   offsetof(struct regs, rip) == REGS_RIP && offsetof(struct regs, cs) == REGS_CS &&
                   offsetof(struct regs, rsp) == REGS_RSP,
               "gate.S builds it by pushes");
_Static_assert(offsetof(struct cpu, kernel_stack) == CPU_KERNEL_STACK && offsetof(struct cpu, user_rsp) == CPU_USER_RSP,
               "gate.S uses them");

extern char _text[], _text_end[], _rodata_end[], _boot_bss[], _end[]; /* quire.ld */

static inline void *phys_to_va(u64 phys) { return (void *)(DIRECT_BASE + phys); }
static inline u64 image_phys(const void *symbol) { return (u64)symbol - IMAGE_BASE; }
static inline u64 va_to_phys(const void *direct) { return (u64)direct - DIRECT_BASE; }

static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static inline u32 in32(u16 port) {
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline u8 in8(u16 port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
static inline u64 rdmsr(u32 msr) {
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}
static inline void wrmsr(u32 msr, u64 value) {
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}
struct cpuid {
    u32 a, b, c, d;
};
static inline struct cpuid cpuid(u32 leaf, u32 sub) {
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}
/* rdtsc after everything before it is done, so that a time read after a lock is not older than the lock. */
static inline u64 rdtsc(void) {
    u32 low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}
#define DEFINE_CR(n)                                                                                                   \
    static inline u64 read_cr##n(void) {                                                                               \
        u64 value;                                                                                                     \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value));                                                          \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline void write_cr##n(u64 value) { __asm__ volatile("mov %0, %%cr" #n : : "r"(value) : "memory"); }
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
#undef DEFINE_CR

static inline void irq_on(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void irq_off(void) { __asm__ volatile("cli" ::: "memory"); }
static inline u64 flags_read(void) {
    u64 flags;
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    return flags;
}
/* irq_save: interrupts off; the result says whether they were on, for irq_restore. */
static inline bool irq_save(void) {
    bool were_on = flags_read() & FLAGS_IF;
    irq_off();
    return were_on;
}
static inline void irq_restore(bool were_on) {
    if (were_on)
        irq_on();
}

/* What the boot CPU has, and uses; the others must have it too (QEMU's CPUs are equal). */
struct cpu_features {
    bool mce, smap, smep, umip, fsgsbase, pku, xsave, xsaveopt, erms, gigapages, x2apic, tsc_deadline, rdrand, rdtscp,
        hypervisor;
};
extern struct cpu_features cpu_has;

struct tss {
    u32 reserved0;
    u64 rsp0, rsp1, rsp2;
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_bitmap;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "SDM volume 3, figure 8-11");

/* Everything that arch/ keeps for one CPU. struct cpu comes first: GS points here. Written by the CPU itself with
 * interrupts off, except `shooters` (tlb.c). */
struct cpu_arch {
    struct cpu cpu;
    u64 gdt[10];
    struct tss tss;
    /* clock.c */
    u64 tick_at, armed_at, hardware_at; /* clock_ns() values; ~0: never */
    bool idle;
    bool alive; /* smp.c: it runs; set by itself */
    /* kstack.c: stacks freed here and still mapped */
    unsigned stack_count;
    void *stacks[8];
    struct machine_space *loaded;  /* tlb.c: NULL: the kernel's own tables */
    u64 paused_first, paused_last; /* tlb.c: machine_pause's latest row of turns, clock_ns() */
    /* tlb.c: what this CPU asks of others, and how many have not answered (they count down); and the CPUs whose
     * requests this one has not served yet, set by them, cleared by this one */
    struct tlb_request {
        u64 start, end;
        struct machine_space *evict;
        u32 what;
        u32 waiting;
        bool asleep; /* its owner halts: tell it */
    } request __attribute__((aligned(64)));
    u64 shooters[CPU_MAX / 64] __attribute__((aligned(64)));
} __attribute__((aligned(64)));
static inline struct cpu_arch *cpu_arch_self(void) { return (struct cpu_arch *)cpu_self(); }

/* cpu.c */
void cpu_detect(void);                                /* boot CPU: fills cpu_has, patches SMAP in */
void cpu_block_init(struct cpu_arch *a, unsigned id); /* early: enough for cpu_self() and kprintf, once loaded */
void cpu_block_load(struct cpu_arch *a);              /* GS base of the CPU that runs this */
/* Interrupts on. Under a hypervisor: halt until an interrupt, for ns at most, if *unless_zero (NULL: anything) is not 0
 * then; the host may run the CPU that we wait for. On a machine of our own: a pause. */
void cpu_nap(u64 ns, const u32 *unless_zero);
bool cpu_stacks_alloc(struct cpu_arch *a); /* its interrupt stacks; false: no memory */
void cpu_start(struct cpu_arch *a);        /* on the CPU itself: everything but its timer */

/* trap.c */
void trap_init(void); /* fill the IDT */
void trap_load(void); /* load it */

/* paging.c */
extern u64 kernel_root_phys;
void paging_init(void); /* the kernel's tables, instead of the boot tables */
void paging_late(void); /* table pages come from the allocator from now on */
/* The lowest slot for va; NULL: no table. create: early boot, missing tables are made. */
u64 *paging_slot(u64 va, bool create);
/* A zeroed page becomes the topmost missing table above va; false: none is missing. */
bool paging_give(u64 va, void *page);
void *paging_page(bool zeroed); /* for a table or a stack, early or late; NULL: no memory */

/* kstack.c */
void *kstack_map(unsigned pages); /* a guarded stack of 1 or 2 pages, for good, early or late. The top, or NULL */
/* What a fault at this address overflowed, or NULL. */
const char *kstack_guard_name(u64 address, char *buffer, size_t size);

/* apic.c */
extern unsigned apic_cpu_count;
extern u32 apic_cpu_ids[CPU_MAX];
void apic_init(void);  /* boot CPU, after acpi_init: the other CPUs' ids, the IO-APICs */
void apic_start(void); /* each CPU: enable its own */
u32 apic_own_id(void);
void apic_eoi(void);
void apic_ipi(u32 apic_id, u8 vector);
void apic_nmi_others(void);                       /* every CPU but this; nothing before apic_start */
void apic_wake(u32 apic_id, bool start, u8 page); /* INIT, or SIPI at page << 12 */
void apic_timer_setup(bool tsc_deadline);
void apic_timer_count(u32 count);
u32 apic_timer_left(void);
void apic_io_add(u64 phys, u32 gsi_base); /* by acpi.c */
void irq_dispatch(unsigned vector);

/* clock.c */
void clock_init(void);  /* boot CPU, APIC started: find the rates */
void clock_start(void); /* each CPU */
void clock_interrupt(struct regs *regs);
void clock_delay(u64 ns);   /* busy wait */
void clock_idle(bool idle); /* interrupts off */
void clock_soon(u64 ns);    /* interrupts off: have some interrupt within ns */

/* fpu.c */
void fpu_init(void); /* each CPU */

/* tlb.c */
void tlb_interrupt(void);
void tlb_idle(void);             /* before this CPU halts, interrupts off */
void tlb_flush_kernel_all(void); /* kernel translations, on every CPU; interrupts on, no spin lock held */

/* symbols.c: the function that holds the address, or NULL */
const char *symbol_find(u64 address, u64 *offset);

/* panic.c: a panic that shows the trap's registers; and only the registers and the stack. */
void trace_print(const struct regs *regs);
noreturn void panic_regs(const struct regs *regs, const char *format, ...) printf_like(2, 3);
bool panic_stopping(void); /* a panic runs on another CPU: the NMI means halt */

/* boot/acpi.c: fills apic_cpu_ids and the IO-APICs, or leaves them for the fallback */
void acpi_init(void);
#endif
