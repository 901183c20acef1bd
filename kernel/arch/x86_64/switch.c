/* switch.c - from one task to another: stack, segments with the bases of FS and GS, floating-point registers, and where
 * traps find the stack. */
#include "arch/x86_64/debug.h"
#include "arch/x86_64/x86.h"

void switch_stacks(u64 *save, u64 load);
void switch_start(void);

void arch_set_fs_base(u64 base) {
    if (cpu_has.fsgsbase)
        __asm__ volatile("wrfsbase %0" : : "r"(base));
    else
        wrmsr(MSR_FS_BASE, base);
}

u64 arch_get_fs_base(void) {
    u64 base;
    if (!cpu_has.fsgsbase)
        return rdmsr(MSR_FS_BASE);
    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

/* The user's GS base is the hidden one while the kernel runs. With FSGSBASE: swap, touch it, swap back, interrupts off.
 */
void arch_set_gs_base(u64 base) {
    if (cpu_has.fsgsbase) {
        bool on = irq_save();
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(base) : "memory");
        irq_restore(on);
    } else {
        wrmsr(MSR_KERNEL_GS_BASE, base);
    }
}

u64 arch_get_gs_base(void) {
    u64 base;
    if (!cpu_has.fsgsbase)
        return rdmsr(MSR_KERNEL_GS_BASE);
    bool on = irq_save();
    __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(base) : : "memory");
    irq_restore(on);
    return base;
}

u64 arch_get_segments(void) {
    u64 ds, es, fs, gs;
    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    return ds | es << 16 | fs << 32 | gs << 48;
}

/* Loading GS changes the base that is in use, so it is done with the user's. */
void arch_set_segments(u64 s) {
    bool on = irq_save();
    __asm__ volatile("mov %w0, %%ds; mov %w1, %%es; mov %w2, %%fs; swapgs; mov %w3, %%gs; swapgs"
                     :
                     : "r"(s), "r"(s >> 16), "r"(s >> 32), "r"(s >> 48)
                     : "memory");
    irq_restore(on);
}

/* A task without an FPU area is the kernel's own and never goes to user mode: bases and vector registers stay as they
 * are. */
void arch_switch(struct arch_task *prev, struct arch_task *next) {
    struct cpu_arch *a = cpu_arch_self();
    u64 segments = arch_get_segments(); /* a user may load what the descriptor table has, and mostly loads nothing */
    if (prev->fpu) {
        prev->segments = segments;
        prev->fs_base = arch_get_fs_base();
        prev->gs_base = arch_get_gs_base();
        arch_fpu_save(prev);
    }
    a->cpu.kernel_stack = a->tss.rsp0 = (u64)next->stack_top;
    if (next->fpu) {
        if (unlikely(next->segments != segments))
            arch_set_segments(next->segments);
        arch_set_fs_base(next->fs_base);
        arch_set_gs_base(next->gs_base);
        arch_fpu_load(next);
    }
    if (unlikely(prev->debug || next->debug))
        debug_load(next);
    switch_stacks(&prev->sp, next->sp);
}

struct regs *arch_task_regs(struct arch_task *t) {
    return (struct regs *)t->stack_top - 1;
}

void arch_task_init(struct arch_task *t, void (*entry)(void *), void *argument) {
    u64 *sp = (u64 *)arch_task_regs(t) - 1; /* keeps the stack aligned as a call expects it: 8 below a multiple of 16 */
    *--sp = (u64)switch_start;
    *--sp = 0;             /* rbp */
    *--sp = (u64)entry;    /* rbx */
    *--sp = (u64)argument; /* r12 */
    for (int i = 0; i < 3; i++)
        *--sp = 0; /* r13, r14, r15 */
    t->sp = (u64)sp;
}
