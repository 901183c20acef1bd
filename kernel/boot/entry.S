/* entry.S - the first instructions: the PVH entry in 32-bit mode, and the same way up for the other CPUs.
 *
 * The loader (Xen's PVH protocol, as QEMU speaks it) enters boot_entry with paging off and ebx = the start info's address.
 * The boot tables map the first GiB three times: at 0 (for the instruction after paging is on), at DIRECT_BASE and at
 * IMAGE_BASE. paging.c replaces them; the other CPUs pass through them once more (smp.c), then their frames are freed. */
#include "arch/x86_64/x86.h"

#define PHYS(symbol) (symbol - IMAGE_BASE)

    .section .note.pvh, "a", @note
    .long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad PHYS(boot_entry)

    .section .boot_bss, "aw", @nobits
    .balign 4096
    .globl boot_root
boot_root:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4096
    .skip 8192
boot_stack_top:

    .section .rodata
    .balign 8
boot_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff /* KERNEL_CS: 64-bit code */
    .quad 0x00cf93000000ffff /* KERNEL_DS */
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)
boot_refusal:
    .asciz "<0>panic: this CPU has no 64-bit mode or no NX\n"

    .globl boot_entry_phys
    .set boot_entry_phys, PHYS(boot_entry)

    .text
    .code32
boot_entry:
    cli
    cld
    mov $PHYS(boot_stack_top), %esp
    mov %ebx, %ebp
    mov $0x80000001, %eax
    cpuid
    and $(1 << 29 | 1 << 20), %edx
    cmp $(1 << 29 | 1 << 20), %edx
    jne boot_refuse

    mov $PHYS(boot_pdpt) + 3, %eax
    mov %eax, PHYS(boot_root)
    mov %eax, PHYS(boot_root) + DIRECT_SLOT * 8
    mov %eax, PHYS(boot_root) + IMAGE_SLOT * 8
    mov $PHYS(boot_pd) + 3, %eax
    mov %eax, PHYS(boot_pdpt)
    mov %eax, PHYS(boot_pdpt) + 510 * 8
    mov $0x83, %eax /* present, writable, 2 MiB */
    xor %ecx, %ecx
1:  mov %eax, PHYS(boot_pd)(, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $512, %ecx
    jne 1b

    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $PHYS(boot_root), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    mov $(EFER_LME | EFER_NXE | EFER_SCE), %eax
    xor %edx, %edx
    wrmsr
    mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    mov %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $KERNEL_CS, $PHYS(boot_entry64)

boot_refuse:
    mov $PHYS(boot_refusal), %esi
1:  lodsb
    test %al, %al
    jz 2f
    out %al, $0xe9
    jmp 1b
2:  out %al, $0xf4
    hlt
    jmp 2b

    .code64
boot_entry64:
    mov $boot_high, %rax
    jmp *%rax
boot_high:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_stack_top, %rsp
    mov %ebp, %edi
    xor %ebp, %ebp /* ends stack traces */
    call boot_main
    ud2

/* The trampoline: copied to frame 0, where a start-up IPI begins in 16-bit mode. Position matters: it runs at address 0.
 * It picks its block from trampoline_cpus by APIC id; smp.c has filled in the stack. */
    .section .rodata
    .balign 8
    .globl trampoline, trampoline_end
trampoline:
    .code16
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    lgdtl (trampoline_gdt_pointer - trampoline)
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $PHYS(boot_root), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    mov $(EFER_LME | EFER_NXE | EFER_SCE), %eax
    xor %edx, %edx
    wrmsr
    mov $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    mov %eax, %cr0
    ljmpl $KERNEL_CS, $(trampoline_64 - trampoline)
    .code64
trampoline_64:
    mov $trampoline_high, %rax
    jmp *%rax
    .balign 8
trampoline_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)
trampoline_end:

    .text
trampoline_high:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $1, %eax
    cpuid
    shr $24, %ebx /* initial APIC id */
    mov trampoline_cpus(, %rbx, 8), %rdi
    mov kernel_root_phys, %rax
    mov %rax, %cr3
    mov CPU_KERNEL_STACK(%rdi), %rsp
    xor %ebp, %ebp
    call smp_cpu_main
    ud2

    .section .note.GNU-stack, "", @progbits
