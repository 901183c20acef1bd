/* trap.c - what to do about a trap: to the task's part if it is the user's, to its landing pad if a checked copy
 * failed, else panic with the registers.
 *
 * Holds nothing. gate.S made struct regs and has GS right; interrupts are off on entry to all functions here but
 * trap_syscall. */
#include "arch/x86_64/debug.h"
#include "arch/x86_64/shadow.h"
#include "arch/x86_64/usercopy.h"
#include "arch/x86_64/x86.h"
#include "lib/sync.h"

static struct gate {
    u16 offset0, selector;
    u8 ist, type;
    u16 offset1;
    u32 offset2, zero;
} idt[VECTOR_END];
_Static_assert(sizeof(struct gate) == 16, "SDM volume 3, figure 6-8");

static const char *const names[32] = {
    "divide error",
    "debug exception",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "no FPU",
    "double fault",
    "9",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection fault",
    "page fault",
    "15",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
    "virtualization",
    "control protection",
    "22",
    "23",
    "24",
    "25",
    "26",
    "27",
    "hypervisor injection",
    "VMM communication",
    "security",
    "31",
};

void trap_init(void) {
    extern char trap_stubs[];
    static const u8 ist[32] = {
        [VECTOR_DB] = IST_DB, [VECTOR_NMI] = IST_NMI, [VECTOR_DF] = IST_DF, [VECTOR_MC] = IST_MC};
    for (unsigned v = 0; v < VECTOR_END; v++) {
        u64 stub = (u64)trap_stubs + 16 * v;
        bool user_may = v == 1 || v == 3 || v == 4 || v == VECTOR_INT80;
        idt[v] = (struct gate){
            .offset0 = (u16)stub,
            .offset1 = (u16)(stub >> 16),
            .offset2 = (u32)(stub >> 32),
            .selector = KERNEL_CS,
            .ist = v < 32        ? ist[v]
                   : v < IRQ_END ? IST_IRQ
                                 : 0,
            .type = 0x8e | (user_may ? 0x60 : 0), /* present interrupt gate */
        };
    }
}

void trap_load(void) {
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) pointer = {sizeof(idt) - 1, (u64)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* ASM_FIXUP's table: two 32-bit distances from themselves. */
struct fixup {
    s32 at, to;
};
extern const struct fixup _fixups[], _fixups_end[];

static u64 fixup_find(u64 rip) {
    for (const struct fixup *f = _fixups; f < _fixups_end; f++)
        if ((u64)&f->at + f->at == rip)
            return (u64)&f->to + f->to;
    return 0;
}

bool trap_fixup(struct regs *regs) {
    u64 landing = fixup_find(regs->rip);
    if (landing)
        regs->rip = landing;
    return landing != 0;
}

static noreturn void kernel_trap_panic(struct regs *regs, unsigned vector, u64 error, u64 address) {
    char where[64];
    const char *guard =
        vector == VECTOR_DF || vector == VECTOR_PF ? kstack_guard_name(address, where, sizeof(where)) : NULL;
    if (guard)
        panic_regs(regs, "kernel stack overflow: %s (rsp %#lx, address %#lx)", guard, regs->rsp, address);
    if (vector == VECTOR_PF)
        panic_regs(regs, "kernel page fault: %s of %#lx, error %#lx",
                   error & 16         ? "execution"
                   : error & PF_WRITE ? "write"
                                      : "read",
                   address, error);
    panic_regs(regs, "trap %u in the kernel: %s, error %#lx", vector, names[vector % 32], error);
}

static void kernel_trap(struct regs *regs, unsigned vector, u64 error, u64 address) {
    if (vector == VECTOR_PF && address < USER_TOP && fixup_find(regs->rip) && regs->rflags & FLAGS_IF) {
        irq_on();
        trap_page_fault(regs, error, address, false);
    } else {
        kernel_trap_panic(regs, vector, error, address);
    }
}

/* The NMI is panic's way to stop the other CPUs. One that comes from outside (QEMU's inject-nmi) asks where this CPU
 * is: it says so and goes on. */
static void nmi(const struct regs *regs) {
    if (panic_stopping())
        for (;;)
            __asm__ volatile("cli; hlt");
    kprintf("<0>NMI on CPU %u, task %p\n", cpu_id(), (void *)cpu_self()->current);
    trace_print(regs);
}

/* All but page faults from user mode. */
void trap_exception(struct regs *regs, unsigned vector, u64 error);
void trap_exception(struct regs *regs, unsigned vector, u64 error) {
    bool from_user = regs->cs & 3;
    u64 address = vector == VECTOR_PF || vector == VECTOR_DF ? read_cr2() : 0;
    if (vector == VECTOR_DB)
        debug_trap(regs);
    if (vector == VECTOR_NMI) {
        nmi(regs);
    } else if (vector == VECTOR_DF || vector == VECTOR_MC) {
        kernel_trap_panic(regs, vector, error, address);
    } else if (vector == VECTOR_DB && !from_user) {
        /* a debugger watches what the kernel copies to or from: not its business */
    } else if (!from_user) {
        kernel_trap(regs, vector, error, address);
    } else {
        irq_on();
        if (vector == VECTOR_INT80)
            regs->rax = -ENOSYS; /* 32-bit system calls do not exist here */
        else
            trap_user_fault(regs, vector, error, address);
    }
}

void trap_interrupt(struct regs *regs, unsigned vector);
void trap_interrupt(struct regs *regs, unsigned vector) {
    switch (vector) {
    case VECTOR_TIMER:
        apic_eoi();
        clock_interrupt(regs);
        break;
    case VECTOR_KICK:
        apic_eoi();
        cpu_self()->kicked = true;
        break;
    case VECTOR_TLB:
        apic_eoi();
        tlb_interrupt();
        break;
    case VECTOR_SPURIOUS: /* gets no end-of-interrupt (SDM volume 3, 10.9) */
        break;
    default:
        irq_dispatch(vector);
        apic_eoi();
    }
}

/* Registers that came from a user (sigreturn, ptrace) must not make IRETQ fault: by then GS is the user's. */
static void user_regs_make_safe(struct regs *regs) {
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->rflags = (regs->rflags & (FLAGS_USER | FLAGS_NT)) | FLAGS_IF | FLAGS_FIXED;
}

/* Work for this CPU, or another CPU's sign to look. Interrupts are off: what comes later interrupts user mode. */
static inline bool must_look(void) {
    struct cpu *cpu = cpu_self();
    return atomic_load_relaxed(&cpu->kicked) || atomic_load_relaxed(&cpu->need_resched) ||
           atomic_load_relaxed(&cpu->work);
}

static bool canonical(u64 address) { return (u64)((s64)(address << 16) >> 16) == address; }

/* All that is due before user mode. Returns with interrupts off, nothing left to do, and rip canonical: neither way
 * back stands another, so it becomes the fault that the jump there is. */
static inline void leave(struct regs *regs) {
    shadow_settled("a call returns");
    for (;;) {
        irq_off();
        if (unlikely(must_look() || trap_return_due())) {
            cpu_self()->kicked = false;
            irq_on();
            trap_return_to_user(regs);
            continue;
        }
        if (likely(regs->rip < USER_TOP || canonical(regs->rip)))
            break;
        irq_on();
        trap_user_fault(regs, VECTOR_GP, 0, regs->rip); /* a signal, delivered or fatal in the next turn */
    }
}

void trap_leave(struct regs *regs);
void trap_leave(struct regs *regs) {
    leave(regs);
    user_regs_make_safe(regs);
}

/* QEMU (7.2, TCG) lets a user's LRET and IRET read the user's stack with the kernel's rights, which SMAP then refuses:
 * a fault that no page can cure. It ends as the program's error instead of coming again for ever. */
static bool bogus_smap(u64 error, u64 address) {
    return (error & (PF_PRESENT | PF_USER)) == PF_PRESENT && address < USER_TOP;
}

void trap_fault_from_user(struct regs *regs, u64 error);
void trap_fault_from_user(struct regs *regs, u64 error) {
    u64 address = read_cr2();
    irq_on();
    if (likely(!bogus_smap(error, address)))
        trap_page_fault(regs, error, address, true);
    else
        trap_user_fault(regs, VECTOR_GP, 0, address);
    leave(regs);
    user_regs_make_safe(regs);
}

/* Interrupts on. Returns true if SYSRET gives back exactly these registers: it takes rip from rcx and the flags from
 * r11, and would trap at once, in the kernel, if TF came back with it. */
bool trap_syscall(struct regs *regs);
bool trap_syscall(struct regs *regs) {
    const u64 may = FLAGS_USER & ~(FLAGS_TF | FLAGS_RF), must = FLAGS_IF | FLAGS_FIXED;
    regs->rax = syscall_dispatch(regs);
    leave(regs);
    if (likely(regs->rcx == regs->rip && regs->r11 == regs->rflags && !((regs->rflags ^ must) & ~may)))
        return true;
    user_regs_make_safe(regs);
    return false;
}
