/* signal.h - what signal.c, deliver.c, sys/signal.c and arch/x86_64/signal.c share: kinds of signals, and the frame. */
#pragma once

#include "task/task.h"

#define SIGNAL_REALTIME 32 /* SIGRTMIN of the kernel: from here on signals queue */
#define SIGNALS_UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define SIGNALS_STOPPING (signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU))
#define SIGNALS_IGNORED (signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH))
#define SIGNALS_OF_FAULTS                                                                                              \
    (signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) | signal_bit(SIGTRAP) | signal_bit(SIGFPE) |        \
     signal_bit(SIGSYS))

struct sigaction signal_action(struct process *p, int signal);
void signal_flush_everywhere(struct process *p, u64 set); /* signal_lock: pending ones, of the process and its tasks */
void signal_flush_timers(struct task *t); /* execve: what POSIX timers of the program before sent waits no more */
int signal_take_locked(struct task *t, u64 set, siginfo_t *info); /* signal_lock */

/* arch/x86_64/signal.c */
/* arch_signal_frame: make the handler's frame on the user's stack and point the registers at the handler. mask: what
 * sigreturn restores. -EFAULT: the stack cannot take it; the registers are unchanged. May sleep. */
int arch_signal_frame(struct regs *regs, int signal, const siginfo_t *info, const struct sigaction *action, u64 mask);
/* arch_signal_return: back from the frame at the stack pointer: registers, mask, alternate stack. -EFAULT: no good
 * frame. */
int arch_signal_return(struct regs *regs);
size_t arch_signal_frame_bytes(void);                        /* AT_MINSIGSTKSZ */
bool arch_in_system_call(const struct regs *regs);           /* interrupted, and not yet answered for */
void arch_system_call_again(struct regs *regs, long number); /* make it again; number: as another one, -1: the same */

struct sigaltstack;
void signal_alt_stack_get(u64 sp, struct sigaltstack *out); /* as sigaltstack(2) reports it */
int signal_alt_stack_set(const struct sigaltstack *in);     /* -EINVAL, -ENOMEM */
bool signal_on_alt_stack(u64 sp);
