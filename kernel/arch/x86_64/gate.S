/* gate.S - every way into the kernel and out of it: exceptions, interrupts, the syscall instruction, the context switch.
 *
 * GS: in user mode GS base is the user's and the hidden KERNEL_GS_BASE is our struct cpu; in the kernel they are swapped.
 *   - from user mode (CS says so) swapgs, always.
 *   - from the kernel: exceptions and interrupts keep GS, for the windows in which the kernel runs with the user's GS have
 *     interrupts off, touch no memory that can fault, and end in an IRETQ that cannot fault (trap.c checks what it loads).
 *   - #DB, NMI, #DF and #MC may hit in those windows: they save GS base, set it from the word above their own stack, and
 *     put the old one back. A test of its sign would not do: FSGSBASE lets a user choose any value.
 * Stacks: exceptions run on the task's stack (page faults sleep). Interrupts and the four above arrive on stacks of the
 * CPU's own (IST); from user mode the registers are moved to the task's stack, where signals and ptrace expect them. */
#include "arch/x86_64/x86.h"

/* After the stub: rdi is on the stack, below it the error code (or 0) in orig_rax's place; edi = vector. */
.macro SAVE_FROM_RSI
    push %rsi
    SAVE_FROM_RDX
.endm
.macro SAVE_FROM_RDX
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm
.macro RESTORE
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
.endm

/* One stub of 16 bytes for each vector up to 128: trap_init makes the IDT of them. */
#define HAS_ERROR 0x60227d00 /* 8, 10-14, 17, 21, 29, 30 push an error code (SDM volume 3, table 6-1) */
#define OWN_STACK 0x00040106 /* 1, 2, 8, 18 */
    .text
    .balign 16
    .globl trap_stubs
trap_stubs:
.set vector, 0
.rept VECTOR_END
    .balign 16
    .if vector >= 32 || !((HAS_ERROR >> (vector & 31)) & 1)
    push $0
    .endif
    push %rdi
    mov $vector, %edi
    .if (vector >= 32 && vector < IRQ_END) || (vector < 32 && ((OWN_STACK >> (vector & 31)) & 1))
    jmp trap_ist
    .else
    jmp trap_plain
    .endif
    .set vector, vector + 1
.endr

    .text
/* Exceptions on the task's stack. */
trap_plain:
    cld
    CLAC
    SAVE_FROM_RSI
    testb $3, REGS_CS(%rsp)
    jz 1f
    swapgs
    lfence /* no speculation with the user's GS */
    cmp $VECTOR_PF, %edi
    je trap_user_fault_gate
1:  mov %edi, %esi
trap_call_exception:
    mov REGS_ORIG_RAX(%rsp), %rdx
    movq $-1, REGS_ORIG_RAX(%rsp)
    mov %rsp, %rdi
    sub $8, %rsp
    call trap_exception
    add $8, %rsp
    testb $3, REGS_CS(%rsp)
    jz trap_return_kernel

/* Back to user mode by IRETQ; regs at rsp. */
trap_return_user:
    mov %rsp, %rdi
    sub $8, %rsp
    call trap_leave
    add $8, %rsp
trap_return_user_now:
    RESTORE
    add $8, %rsp
    swapgs
    iretq

trap_return_kernel:
    RESTORE
    add $8, %rsp
    iretq

/* A page fault in user mode, of which there are many. */
trap_user_fault_gate:
    mov REGS_ORIG_RAX(%rsp), %rsi
    movq $-1, REGS_ORIG_RAX(%rsp)
    mov %rsp, %rdi
    sub $8, %rsp
    call trap_fault_from_user
    add $8, %rsp
    jmp trap_return_user_now

/* Traps on a stack of the CPU's own. */
trap_ist:
    cld
    CLAC
    testb $3, 24(%rsp) /* cs: above rdi, error, rip */
    jz trap_ist_kernel
    swapgs
    lfence
    push %rsi
    mov %rsp, %rsi
    mov %gs:CPU_KERNEL_STACK, %rsp
    push 56(%rsi) /* ss */
    push 48(%rsi) /* rsp */
    push 40(%rsi) /* rflags */
    push 32(%rsi) /* cs */
    push 24(%rsi) /* rip */
    push 16(%rsi) /* error */
    push 8(%rsi)  /* rdi */
    push (%rsi)   /* rsi */
    SAVE_FROM_RDX
    lea 64(%rsi), %rcx /* top of the stack we arrived on, empty again */
    mov %edi, %esi
    cmp $VECTOR_NMI, %edi
    je 2f
    cmp $32, %edi
    jb trap_call_exception
    movq $-1, REGS_ORIG_RAX(%rsp)
    mov %rsp, %rbx
    mov %rsp, %rdi
    mov %rcx, %rsp
    call trap_interrupt
    mov %rbx, %rsp
    jmp trap_return_user
2:  /* NMI: straight back, for until the IRETQ no other NMI comes */
    mov %rsp, %rdi
    sub $8, %rsp
    call trap_exception
    add $8, %rsp
    jmp trap_return_user_now

trap_ist_kernel:
    SAVE_FROM_RSI
    mov %edi, %esi
    mov %rsp, %rdi
    cmp $32, %esi
    jb 1f
    movq $-1, REGS_ORIG_RAX(%rsp)
    sub $8, %rsp
    call trap_interrupt
    add $8, %rsp
    jmp trap_return_kernel
1:  /* GS may be the user's */
    mov $MSR_GS_BASE, %ecx
    rdmsr
    mov %eax, %r12d
    mov %edx, %r13d
    mov REGS_BYTES + 8(%rsp), %rax /* cpu_stacks_alloc put struct cpu's address at the stack's top */
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    mov REGS_ORIG_RAX(%rsp), %rdx
    movq $-1, REGS_ORIG_RAX(%rsp)
    sub $8, %rsp
    call trap_exception
    add $8, %rsp
    mov $MSR_GS_BASE, %ecx
    mov %r12d, %eax
    mov %r13d, %edx
    wrmsr
    jmp trap_return_kernel

/* The syscall instruction: rcx = rip, r11 = rflags, interrupts off, everything else the user's. */
    .balign 16
    .globl syscall_entry
syscall_entry:
    swapgs
    mov %rsp, %gs:CPU_USER_RSP
    mov %gs:CPU_KERNEL_STACK, %rsp
    push $USER_DS
    push %gs:CPU_USER_RSP
    push %r11
    push $USER_CS
    push %rcx
    push %rax /* orig_rax */
    push %rdi
    SAVE_FROM_RSI
    sti
    mov %rsp, %rdi
    sub $8, %rsp
    call trap_syscall
    add $8, %rsp
    test %al, %al
    jz trap_return_user_now
    /* SYSRET: rip is canonical and rcx, r11 are what they were, so restoring all gives them back */
    RESTORE
    mov REGS_RSP - REGS_ORIG_RAX(%rsp), %rsp
    swapgs
    sysretq

/* arch_enter_user(regs) */
    .globl arch_enter_user
arch_enter_user:
    mov %rdi, %rsp
    jmp trap_return_user

/* switch_stacks(u64 *save, u64 load): the callee-saved registers are all that a C caller expects kept. */
    .globl switch_stacks
switch_stacks:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

/* Where a new task starts: arch_task_init left its entry in rbx and the argument in r12. */
    .globl switch_start
switch_start:
    mov %r12, %rdi
    xor %ebp, %ebp
    call *%rbx
    ud2

/* stack_call(top, function): go on on another stack, for good. */
    .globl stack_call
stack_call:
    mov %rdi, %rsp
    xor %ebp, %ebp
    call *%rsi
    ud2

    .section .note.GNU-stack, "", @progbits
