/* signal.c - the signal frame of x86-64 Linux: what a handler finds on its stack, and the way back from it.
 *
 *      high   red zone of the interrupted code (128 bytes), or the top of the alternate stack
 *             XSAVE area, 64-byte aligned, then the word FP_XSTATE_MAGIC2
 *             struct frame: return address (the restorer), ucontext, siginfo
 *      low    the handler's stack pointer: 16-byte aligned after the "call" that the return address stands for
 *
 * Unwinders and debuggers read it, so every field is as Linux's. Owns no state. */
#include <linux/types.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <linux/signal.h>

#include "arch/x86_64/usercopy.h"
#include "arch/x86_64/x86.h"
#include "task/family.h"
#include "task/signal.h"

#define RED_ZONE 128
#define SW_BYTES_OFFSET offsetof(struct _fpstate, sw_reserved)
#define MOST_FEATURES 3UL /* x87 and SSE: what an area without the extension holds */

struct frame {
    u64 restorer;
    struct ucontext context;
    siginfo_t info;
};
_Static_assert(sizeof(struct ucontext) == 304 && sizeof(siginfo_t) == 128, "the ABI's");
_Static_assert(offsetof(struct _fpstate, sw_reserved) == 464, "SDM volume 1, table 10-2: the bytes left to software");

static unsigned fpu_frame_bytes(void) { return cpu_has.xsave ? fpu_bytes + FP_XSTATE_MAGIC2_SIZE : fpu_bytes; }

size_t arch_signal_frame_bytes(void) {
    return align_up(sizeof(struct frame) + RED_ZONE + 63 + 15 + 8 + fpu_frame_bytes(), 16UL);
}

bool arch_in_system_call(const struct regs *regs) { return (s32)regs->orig_rax >= 0; }

/* The syscall instruction has two bytes. */
void arch_system_call_again(struct regs *regs, long number) {
    regs->rax = number < 0 ? (long)regs->orig_rax : number;
    regs->rip -= 2;
}

/* ---- there ---- */

/* fpu_put: the live registers, as they are now, and the words by which sigreturn knows the area's extent. */
static int fpu_put(u64 at) {
    struct task *t = task_current();
    struct _fpx_sw_bytes words = {.magic1 = 0};
    u32 magic2 = FP_XSTATE_MAGIC2;

    if (cpu_has.xsave) {
        words.magic1 = FP_XSTATE_MAGIC1;
        words.extended_size = fpu_bytes + FP_XSTATE_MAGIC2_SIZE;
        words.xfeatures = fpu_features;
        words.xstate_size = fpu_bytes;
    }
    arch_fpu_save(&t->arch);
    arch_fpu_complete(t->arch.fpu);
    if (copy_to_user((void *)at, t->arch.fpu, fpu_bytes) ||
        copy_to_user((void *)(at + SW_BYTES_OFFSET), &words, sizeof(words)))
        return -EFAULT;
    return cpu_has.xsave ? copy_to_user((void *)(at + fpu_bytes), &magic2, sizeof(magic2)) : 0;
}

static void context_fill(struct ucontext *c, const struct regs *regs, u64 mask, u64 fpu) {
    struct task *t = task_current();
    struct sigcontext *m = &c->uc_mcontext;

    c->uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (cpu_has.xsave ? UC_FP_XSTATE : 0);
    signal_alt_stack_get(regs->rsp, &c->uc_stack);
    c->uc_stack.ss_flags = t->alt_stack_flags;
    c->uc_sigmask = mask;
    m->r8 = regs->r8, m->r9 = regs->r9, m->r10 = regs->r10, m->r11 = regs->r11;
    m->r12 = regs->r12, m->r13 = regs->r13, m->r14 = regs->r14, m->r15 = regs->r15;
    m->rdi = regs->rdi, m->rsi = regs->rsi, m->rbp = regs->rbp, m->rbx = regs->rbx;
    m->rdx = regs->rdx, m->rax = regs->rax, m->rcx = regs->rcx, m->rsp = regs->rsp;
    m->rip = regs->rip;
    m->eflags = regs->rflags & ~(t->arch.step_forced ? (u64)FLAGS_TF : 0);
    m->cs = regs->cs;
    m->ss = regs->ss;
    m->err = t->fault_error;
    m->trapno = t->fault_vector;
    m->cr2 = t->fault_address;
    m->oldmask = mask;
    m->fpstate = (void *)fpu;
}

/* handler_stack: where the frame's upper end is. alternate: the frame has to fit on the alternate stack, be it entered
 * now or in use already: a handler that is interrupted near its end must not write over what lies below. */
static u64 handler_stack(const struct regs *regs, const struct sigaction *action, bool *alternate) {
    struct task *t = task_current();
    u64 sp = regs->rsp - RED_ZONE;
    bool enters = action->sa_flags & SA_ONSTACK && t->alt_stack_bytes && !signal_on_alt_stack(sp);

    *alternate = enters || signal_on_alt_stack(regs->rsp);
    return enters ? t->alt_stack + t->alt_stack_bytes : sp;
}

int arch_signal_frame(struct regs *regs, int signal, const siginfo_t *info, const struct sigaction *action, u64 mask) {
    struct task *t = task_current();
    struct frame frame;
    bool alternate;
    u64 top = handler_stack(regs, action, &alternate);
    u64 fpu = align_down(top - fpu_frame_bytes(), 64UL);
    u64 at = align_down(fpu - sizeof(frame), 16UL) - 8;

    if ((alternate && (at <= t->alt_stack || at - t->alt_stack > t->alt_stack_bytes)) ||
        !(action->sa_flags & SA_RESTORER))
        return -EFAULT;
    memset(&frame, 0, sizeof(frame));
    frame.restorer = (u64)action->sa_restorer;
    frame.info = *info;
    context_fill(&frame.context, regs, mask, fpu);
    if (fpu_put(fpu) || copy_to_user((void *)at, &frame, sizeof(frame)))
        return -EFAULT;
    if (t->alt_stack_flags & SS_AUTODISARM)
        t->alt_stack = t->alt_stack_bytes = t->alt_stack_flags = 0;
    regs->rdi = signal;
    regs->rsi = at + offsetof(struct frame, info);
    regs->rdx = at + offsetof(struct frame, context);
    regs->rax = 0;
    regs->rip = (u64)action->sa_handler;
    regs->rsp = at;
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->rflags &= ~(u64)(FLAGS_DF | FLAGS_RF | FLAGS_TF);
    t->arch.step_forced = false;
    arch_fpu_init(t->arch.fpu); /* a handler starts with a clean FPU */
    arch_fpu_load(&t->arch);
    return 0;
}

/* ---- and back ---- */

/* fpu_take: read the area into `area`: the whole of it if its words say that it is one of ours, else the part that
 * every 64-bit program knows. */
static int fpu_take(u64 at, u8 *area) {
    struct _fpx_sw_bytes words;
    u32 magic2 = 0;
    bool whole;

    if (copy_from_user(&words, (void *)(at + SW_BYTES_OFFSET), sizeof(words)))
        return -EFAULT;
    whole = cpu_has.xsave && words.magic1 == FP_XSTATE_MAGIC1 && words.xstate_size == fpu_bytes &&
            words.extended_size == fpu_bytes + FP_XSTATE_MAGIC2_SIZE;
    if (whole && copy_from_user(&magic2, (void *)(at + fpu_bytes), sizeof(magic2)))
        return -EFAULT;
    whole = whole && magic2 == FP_XSTATE_MAGIC2;
    arch_fpu_init(area);
    if (copy_from_user(area, (void *)at, whole ? fpu_bytes : sizeof(struct _fpstate)))
        return -EFAULT;
    if (!whole && cpu_has.xsave)
        *(u64 *)(area + sizeof(struct _fpstate)) |= MOST_FEATURES;
    return arch_fpu_sanitise(area) ? 0 : -EFAULT;
}

/* fpu_restore: through a buffer, as a switch during the copy would save the live registers over the task's own area. */
static int fpu_restore(u64 at) {
    struct task *t = task_current();
    char *buffer = kmalloc(fpu_bytes + 64);
    u8 *area = (u8 *)align_up((u64)buffer, 64UL);
    int error = buffer ? 0 : -EFAULT;

    if (buffer && at)
        error = fpu_take(at, area);
    else if (buffer)
        arch_fpu_init(area);
    if (!error) {
        memcpy(t->arch.fpu, area, fpu_bytes);
        arch_fpu_load(&t->arch);
    }
    kfree(buffer);
    return error;
}

static void registers_take(struct regs *regs, const struct sigcontext *m) {
    regs->r8 = m->r8, regs->r9 = m->r9, regs->r10 = m->r10, regs->r11 = m->r11;
    regs->r12 = m->r12, regs->r13 = m->r13, regs->r14 = m->r14, regs->r15 = m->r15;
    regs->rdi = m->rdi, regs->rsi = m->rsi, regs->rbp = m->rbp, regs->rbx = m->rbx;
    regs->rdx = m->rdx, regs->rax = m->rax, regs->rcx = m->rcx, regs->rsp = m->rsp;
    regs->rip = m->rip;
    regs->rflags = (regs->rflags & ~(u64)FLAGS_USER) | (m->eflags & FLAGS_USER);
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->orig_rax = -1; /* no system call: nothing to make again */
}

int arch_signal_return(struct regs *regs) {
    struct ucontext context;
    u64 at = regs->rsp - sizeof(u64); /* the handler's return took the restorer's address off */

    if (copy_from_user(&context, (void *)(at + offsetof(struct frame, context)), sizeof(context)))
        return -EFAULT;
    signal_set_blocked(context.uc_sigmask);
    registers_take(regs, &context.uc_mcontext); /* before the FPU: SIGSEGV for that comes where the frame leads */
    if (fpu_restore((u64)context.uc_mcontext.fpstate))
        return -EFAULT;
    (void)signal_alt_stack_set(&context.uc_stack);
    return 0;
}
