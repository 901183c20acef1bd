/* debug.h - a stopped task's registers, as a debugger reads and writes them. The task must be off its CPU. */
#pragma once

#include "arch/x86_64/cpu.h"

#define DEBUG_BREAKPOINTS 4

struct task;

/* The words of struct user_regs_struct, in order. -EIO: no such value can be there. */
#define USER_REGS_WORDS 27
u64 arch_user_word(struct task *t, unsigned word);
int arch_user_word_set(struct task *t, unsigned word, u64 value);
/* arch_step: the task traps after its next instruction. Off: unless the program itself wants it. */
void arch_step(struct task *t, bool on);
/* The debug registers 0 to 7, as u_debugreg of struct user. -EINVAL, -EIO, -ENOMEM. */
u64 arch_debug_word(const struct task *t, unsigned n);
int arch_debug_word_set(struct task *t, unsigned n, u64 value);
int arch_debug_code(const struct task *t);     /* the si_code of its last #DB */
void arch_debug_forget(struct arch_task *t);   /* it ends, or executes a program (then debug_load follows) */
void debug_load(const struct arch_task *next); /* interrupts off or on; the task runs on this CPU, or is about to */
void debug_trap(struct regs *regs);            /* #DB, interrupts off */
