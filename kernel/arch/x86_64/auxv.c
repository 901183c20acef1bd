/* auxv.c - what a new program sees of the processor: its first registers, and what the auxiliary vector says. */
#include <asm/hwcap2.h>

#include "arch/x86_64/debug.h"
#include "arch/x86_64/x86.h"
#include "task/exec.h"

/* arch_hwcap: CPUID leaf 1, edx: as Linux defines AT_HWCAP for x86. arch_hwcap2: what user mode may do beyond CPUID. */
u64 arch_hwcap(void) { return cpuid(1, 0).d; }
u64 arch_hwcap2(void) { return cpu_has.fsgsbase ? HWCAP2_FSGSBASE : 0; }

void arch_program_start(struct regs *regs, u64 entry, u64 stack_pointer) {
    struct task *t = task_current();
    u64 number = regs->orig_rax;

    memset(regs, 0, sizeof(*regs));
    regs->orig_rax = number; /* a debugger sees execve return */
    regs->rip = entry;
    regs->rsp = stack_pointer;
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->rflags = FLAGS_IF | FLAGS_FIXED;
    arch_set_segments(0);
    arch_set_fs_base(0);
    arch_set_gs_base(0);
    arch_fpu_init(t->arch.fpu);
    arch_fpu_load(&t->arch);
    t->arch.step_forced = false;
    t->arch.debug_status = 0;
    if (t->arch.debug) {
        arch_debug_forget(&t->arch);
        debug_load(&t->arch);
    }
}
