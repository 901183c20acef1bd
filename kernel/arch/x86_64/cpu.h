/* cpu.h - what the rest of the kernel sees of a CPU: the registers of a trap, the per-CPU block, interrupts, time,
 * switch.
 *
 * Interrupts only queue work: a handler may call cpu_queue_work (lock-free) and set need_resched, nothing else. Queued
 * work runs on the same CPU, with no lock held: when a trap is about to return to user mode, when the CPU is idle, and
 * in task_sleep/schedule. So no lock of the kernel is ever taken by an interrupt handler. */
#pragma once

#include "lib/base.h"

/* The registers that a trap or a system call saves: Linux's struct user_regs_struct up to ss, so that ptrace and core
 * files read it as it is. */
struct regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 orig_rax; /* the system call's number, or -1 */
    u64 rip, cs, rflags, rsp, ss;
};

struct work {
    struct work *next; /* NULL: not queued; queued once at most */
    void (*run)(struct work *work);
};

struct task;
struct space;
#define CPU_MAX 256

/* One per CPU, at GS:0. The owner alone writes, others may read where noted. */
struct cpu {
    struct cpu *self;
    struct task *current; /* the task that runs here */
    u64 kernel_stack;     /* top of current's kernel stack, for the syscall entry */
    u64 user_rsp;         /* scratch of the syscall entry */
    unsigned id;          /* 0, 1, ... */
    bool need_resched;    /* the tick says: schedule before the return to user mode. Others may set it */
    struct work *work;    /* queued work, newest first; interrupt handlers and other CPUs push */
    struct space *space;  /* whose page tables are loaded (may outlive current's use: lazy) */
    struct task *idle;
    u32 apic_id;
    bool kicked; /* set by the kick's interrupt, so that none is lost on the way to user mode */
    void *arch;  /* GDT, TSS, interrupt stacks */
};

static inline struct cpu *cpu_self(void) {
    struct cpu *cpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu)); /* volatile: a task may move to another CPU where it sleeps */
    return cpu;
}
extern struct cpu *cpu_of[CPU_MAX]; /* by id */
extern unsigned cpu_count;          /* CPUs that run */

static inline void cpu_pause(void) { __asm__ volatile("pause" ::: "memory"); }
void cpu_queue_work(unsigned cpu, struct work *work); /* any context; kicks the CPU if it is idle or in user mode */
void cpu_run_work(void);                              /* task context, no lock held */
void cpu_kick(unsigned cpu);                          /* make it look at need_resched and its work soon */
void cpu_idle_wait(void); /* halt until an interrupt, unless work or need_resched is set (no lost wake-up) */

/* Time. The monotonic clock starts at 0 at boot and is the TSC, scaled; the tick is every TICK_NS on every busy CPU. */
#define TICK_NS 4000000UL
u64 clock_ns(void); /* monotonic */
/* clock_arm: make this CPU's timer interrupt (sched_tick) come at deadline_ns at the latest, once; ~0: only the tick. A
 * new deadline replaces the old one. The tick stops while the CPU is in cpu_idle_wait, the armed deadline does not. So
 * sched_tick is called each TICK_NS of a busy CPU and besides at each armed deadline: account by the clock, not by
 * calls. */
void clock_arm(u64 deadline_ns);
u64 clock_wall_ns(void); /* CLOCK_REALTIME = clock_ns() + offset */
void clock_set_wall(u64 wall_ns);
/* Nanoseconds = (u128)(tsc - clock_scale.base) * mult >> 32. Constant after boot. */
struct clock_scale {
    u64 base, mult, tsc_hz;
};
extern struct clock_scale clock_scale;
u64 clock_wall_offset(void); /* CLOCK_REALTIME - CLOCK_MONOTONIC */
u64 cpu_random(void);        /* RDRAND or TSC mixing: to seed the generator, not to be used raw */

/* arch calls these, task/ owns them: */
void sched_tick(
    struct regs *regs,
    bool from_user); /* the timer interrupt, on the interrupt stack: only sets flags, accounts time, queues work */
bool trap_return_due(void); /* whether trap_return_to_user has more to do than the CPU's flags say; interrupts off */
void trap_return_to_user(
    struct regs *regs); /* before a return to user mode, interrupts on: work, need_resched, signals */
void trap_user_fault(struct regs *regs, int vector, u64 error,
                     u64 address); /* an exception in user mode other than #PF: becomes a signal */
void trap_page_fault(struct regs *regs, u64 error, u64 address,
                     bool from_user);     /* #PF on a user address, from user mode or from a checked copy */
long syscall_dispatch(struct regs *regs); /* from the syscall entry, interrupts on; the result goes to regs->rax */

/* irq_register: call handler(argument) at each interrupt of a line (ACPI's global number, as the kernel command line
 * names it for virtio-mmio), on the interrupt stack of one CPU, with interrupts off: it must quiet the device and may
 * queue work. The lines are level-triggered, active high. 0, -EINVAL no such line, -EBUSY taken, -ENOSPC no vector
 * left. */
int irq_register(unsigned gsi, void (*handler)(void *argument), void *argument);
/* device_map: device registers in the kernel's address space, uncached, for good. NULL: no room or not below 2^46. */
volatile void *device_map(u64 phys, u64 bytes);

/* trap_fixup: a kernel access to user memory failed: continue at its landing pad if rip is in the exception table. */
bool trap_fixup(struct regs *regs);

/* Kernel stacks: KSTACK_BYTES with an unmapped guard page below. May sleep. NULL when memory is short. Returns the top.
 */
#define KSTACK_BYTES 8192
void *kstack_alloc(void);
void kstack_free(void *top);

/* arch_switch: save prev's callee-saved registers on its stack, load next's; returns in next, with the task that ran
 * before. The stack pointer is kept in *prev_sp. Also switches FPU state, FS base, TSS.rsp0 and cpu->kernel_stack
 * through struct arch_task. */
struct arch_task {
    u64 sp;              /* kernel stack pointer while not running */
    u64 fs_base;         /* user FS base; valid while not running, else in the register */
    u64 gs_base;         /* user GS base, likewise */
    u64 segments;        /* the selectors in DS, ES, FS and GS, 16 bits each from the lowest; likewise */
    void *stack_top;     /* from kstack_alloc */
    void *fpu;           /* XSAVE area of fpu_bytes, 64-byte aligned; NULL for kernel threads (they use no FPU) */
    struct debug *debug; /* debug.c: breakpoints; mostly NULL */
    u64 debug_status;    /* what the last #DB was for */
    bool step_forced;    /* the trap flag is a debugger's, not the program's */
};
extern unsigned fpu_bytes;
extern u64 fpu_features; /* XCR0, the mask of a signal frame's sw_bytes; 3 (x87, SSE) where there is no XSAVE: the area
                            is FXSAVE's */
void arch_switch(struct arch_task *prev, struct arch_task *next);
/* arch_task_init: prepare a stack so that the first arch_switch to it calls entry(argument) with interrupts on. */
void arch_task_init(struct arch_task *t, void (*entry)(void *argument), void *argument);
struct regs *arch_task_regs(struct arch_task *t); /* the user registers at the top of its stack */
void arch_fpu_init(void *area);                   /* the state a new program starts with */
void arch_fpu_save(struct arch_task *t); /* current's live registers to its area (fork, signal frames, ptrace) */
void arch_fpu_load(struct arch_task *t); /* back (after sigreturn wrote the area: already sanitised) */
/* arch_fpu_complete: what XSAVEOPT did not write, since the CPU had it in its initial state, is whatever the area held:
 * now it is the initial state, which a handler reads in its frame and a debugger in its view. */
void arch_fpu_complete(void *area);
bool arch_fpu_sanitise(void *area); /* a whole area that a user wrote: make it loadable. false: it was not (SIGSEGV) */
/* Of a task off its CPU: a whole area, every component as the program would find it; and back: FPU_LEGACY_BYTES, or
 * all. -EINVAL: it could not be loaded. */
#define FPU_LEGACY_BYTES 512
#define FPU_SOFTWARE_OFFSET 464 /* in an area for others to read: the features that it may have */
void arch_fpu_view(const struct arch_task *t, u8 *to);
int arch_fpu_set(struct arch_task *t, u8 *from, size_t bytes);
noreturn void arch_enter_user(struct regs *regs); /* leave for user mode with exactly these registers (exec, new tasks);
                                                     runs trap_return_to_user first */
/* Protection keys: two bits of rights a key, of the current task, live in a register. False: the CPU has none. */
bool arch_has_keys(void);
u32 arch_key_rights(void);
void arch_key_rights_set(u32 rights);
void arch_set_fs_base(u64 base); /* of the current task, now */
u64 arch_get_fs_base(void);
void arch_set_gs_base(u64 base); /* the user's */
u64 arch_get_gs_base(void);
void arch_set_segments(u64 selectors); /* as in struct arch_task, of segments that there are; the bases follow */
u64 arch_get_segments(void);
u64 arch_hwcap(void), arch_hwcap2(void); /* AT_HWCAP, AT_HWCAP2: auxv.c */

/* arch_vdso: where the vdso's data page and its code are in physical memory; whole pages. */
void arch_vdso(u64 *data, u64 *data_bytes, u64 *code, u64 *code_bytes);

noreturn void machine_stop(void); /* end QEMU (debug-exit); used by panic and after WIRE_STATUS */
