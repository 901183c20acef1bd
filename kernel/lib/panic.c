/* panic.c - the last words: message, CPU, registers, stack with names; then the machine ends.
 *
 * The first CPU to panic speaks; it stops the others by NMI first, so that nothing moves under it. A panic within the
 * panic ends the machine at once. Every line starts "<0>"; the first "<0>panic: ". */
#include "arch/x86_64/x86.h"
#include "lib/log.h"
#include "lib/sync.h"

#define TRACE_MOST 32

static u32 panicking; /* 1 + the CPU that speaks */

bool panic_stopping(void) { return atomic_load_relaxed(&panicking) != 0; }

/* Kernel stacks lie in these two areas: only there is a frame pointer followed. */
static bool stack_readable(u64 address) {
    bool on_stack = address >= KSTACK_BASE && address < KSTACK_BASE + (1UL << 39) && paging_slot(address, false) &&
                    (*paging_slot(address, false) & 1);
    bool in_image = address >= (u64)_text && address + 16 <= (u64)_end;
    return !(address & 7) && (on_stack || in_image);
}

static void print_place(u64 rip) {
    u64 offset;
    const char *name = symbol_find(rip, &offset);
    if (name)
        kprintf("<0>  %#lx %s+%#lx\n", rip, name, offset);
    else
        kprintf("<0>  %#lx\n", rip);
}

/* rsp: the trap's, or 0. After a call through a wild pointer it points to the only trace of the caller. */
static void print_trace(u64 rip, u64 rbp, u64 rsp) {
    kprintf("<0>stack:\n");
    print_place(rip);
    if ((rip < (u64)_text || rip >= (u64)_text_end) && stack_readable(rsp))
        print_place(*(u64 *)rsp);
    for (int depth = 0; depth < TRACE_MOST && stack_readable(rbp) && stack_readable(rbp + 8); depth++) {
        u64 *frame = (u64 *)rbp;
        if (!frame[1])
            break;
        print_place(frame[1]);
        if (frame[0] <= rbp)
            break;
        rbp = frame[0];
    }
}

static void print_regs(const struct regs *r) {
    kprintf("<0>rip %016lx cs %lx rflags %08lx rsp %016lx ss %lx\n", r->rip, r->cs, r->rflags, r->rsp, r->ss);
    kprintf("<0>rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    kprintf("<0>rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
    kprintf("<0>r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
    kprintf("<0>r13 %016lx r14 %016lx r15 %016lx cr3 %016lx\n", r->r13, r->r14, r->r15, read_cr3());
}

void trace_print(const struct regs *regs) {
    print_regs(regs);
    print_trace(regs->rip, regs->rbp, regs->rsp);
}

static noreturn void panic_with(const struct regs *regs, u64 rip, u64 rbp, const char *format, va_list args) {
    char message[300];
    irq_off();
    u32 none = 0, me = cpu_id() + 1;
    if (!__atomic_compare_exchange_n(&panicking, &none, me, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        if (none == me)
            machine_stop();
        for (;;)
            __asm__ volatile("hlt");
    }
    apic_nmi_others();
    log_force();
    kvsnprintf(message, sizeof(message), format, args);
    kprintf("<0>panic: %s\n", message);
    struct cpu *cpu = cpu_self();
    kprintf("<0>on CPU %u of %u, task %p, at %lu.%06lu s\n", cpu->id, cpu_count, (void *)cpu->current,
            clock_ns() / 1000000000, clock_ns() / 1000 % 1000000);
    if (regs)
        print_regs(regs);
    print_trace(rip, rbp, regs ? regs->rsp : 0);
    machine_stop();
}

/* The caller's place, when there is no trap: the frame pointer of panic() leads there. */
void panic(const char *format, ...) {
    va_list args;
    va_start(args, format);
    u64 *frame = __builtin_frame_address(0);
    panic_with(NULL, (u64)__builtin_return_address(0), frame[0], format, args);
}

void panic_regs(const struct regs *regs, const char *format, ...) {
    va_list args;
    va_start(args, format);
    panic_with(regs, regs->rip, regs->rbp, format, args);
}
