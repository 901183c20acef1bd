/* debug.c - what a debugger sees of a stopped task: its registers as Linux's struct user, its vector registers, single
 * step, and the debug registers (Intel SDM volume 3, chapter 17).
 *
 * Everything here but debug_trap and debug_load works on a task that is off its CPU, so that its FPU area and its bases
 * are in memory; they are loaded when it runs again. The hardware's debug registers are the running task's if it has
 * any, else off. A data breakpoint that the kernel hits on the user's behalf is not reported, as on Linux. */
#include "arch/x86_64/debug.h"
#include "arch/x86_64/usercopy.h"
#include "arch/x86_64/x86.h"
#include "task/task.h"
#include "vm/slab.h"

#define REGS_WORDS (sizeof(struct regs) / sizeof(u64))
enum { WORD_CS = 17, WORD_FLAGS = 18, WORD_SS = 20, WORD_FS_BASE = REGS_WORDS, WORD_GS_BASE, WORD_DS };
_Static_assert(offsetof(struct regs, rflags) == WORD_FLAGS * sizeof(u64), "struct user_regs_struct");

#define STATUS_RESERVED 0xffff0ff0UL /* of DR6: what reads as one when nothing happened */
#define STATUS_STEP 0x4000UL
#define STATUS_HITS 0xfUL
#define CONTROL_VALID 0xffff03ffUL /* of DR7: without GD and the fixed bits */
#define CONTROL_OFF 0x400UL
#define KIND_EXECUTE 0u
#define KIND_PORT 2u

struct debug {
    u64 address[DEBUG_BREAKPOINTS], control;
};

/* ---- general registers: the words of struct user_regs_struct ---- */

u64 arch_user_word(struct task *t, unsigned word) {
    const struct regs *regs = arch_task_regs(&t->arch);

    if (word == WORD_FLAGS && t->arch.step_forced)
        return regs->rflags & ~(u64)FLAGS_TF;
    if (word < REGS_WORDS)
        return ((const u64 *)regs)[word];
    if (word >= WORD_DS)
        return t->arch.segments >> 16 * (word - WORD_DS) & 0xffff;
    return word == WORD_FS_BASE ? t->arch.fs_base : t->arch.gs_base;
}

static bool selector_valid(u64 value) { return !(value & 0xffff) || (value & 3) == 3; }

/* A segment's selector is looked at and not loaded: programs have the one code and the one data segment. */
static int put_selector(unsigned word, u64 value) {
    bool needed = word == WORD_CS || word == WORD_SS;

    return !selector_valid(value) || (needed && !(value & 0xffff)) ? -EIO : 0;
}

static int put_base(u64 *base, u64 value) {
    if (value >= USER_TOP)
        return -EIO;
    *base = value;
    return 0;
}

int arch_user_word_set(struct task *t, unsigned word, u64 value) {
    struct regs *regs = arch_task_regs(&t->arch);
    u64 forced = 0;

    if (word == WORD_FS_BASE)
        return put_base(&t->arch.fs_base, value);
    if (word == WORD_GS_BASE)
        return put_base(&t->arch.gs_base, value);
    if (word >= WORD_DS || word == WORD_CS || word == WORD_SS)
        return put_selector(word, value);
    if (word == WORD_FLAGS) {
        t->arch.step_forced &= !(value & FLAGS_TF);
        forced = t->arch.step_forced ? FLAGS_TF : 0;
        value = (regs->rflags & ~(u64)(FLAGS_USER | FLAGS_NT)) | (value & (FLAGS_USER | FLAGS_NT)) | forced;
    }
    ((u64 *)regs)[word] = value;
    return 0;
}

void arch_step(struct task *t, bool on) {
    struct regs *regs = arch_task_regs(&t->arch);

    if (on && !(regs->rflags & FLAGS_TF)) {
        regs->rflags |= FLAGS_TF;
        t->arch.step_forced = true;
    } else if (!on && t->arch.step_forced) {
        regs->rflags &= ~(u64)FLAGS_TF;
        t->arch.step_forced = false;
    }
}

/* ---- debug registers ---- */

#define DEBUG_ACCESS(n)                                                                                                \
    static u64 read_dr##n(void) {                                                                                      \
        u64 value;                                                                                                     \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(value));                                                          \
        return value;                                                                                                  \
    }
#define DEBUG_SET(n)                                                                                                   \
    static void write_dr##n(u64 value) { __asm__ volatile("mov %0, %%dr" #n : : "r"(value)); }
DEBUG_SET(0)
DEBUG_SET(1)
DEBUG_SET(2)
DEBUG_SET(3)
DEBUG_ACCESS(6)
DEBUG_SET(6)
DEBUG_SET(7)

void debug_load(const struct arch_task *next) {
    const struct debug *d = next->debug;

    write_dr7(CONTROL_OFF);
    if (!d || !d->control)
        return;
    write_dr0(d->address[0]);
    write_dr1(d->address[1]);
    write_dr2(d->address[2]);
    write_dr3(d->address[3]);
    write_dr7(d->control | CONTROL_OFF);
}

static unsigned kind_of(u64 control, unsigned i) { return control >> (16 + 4 * i) & 3; }
static unsigned length_of(u64 control, unsigned i) { return control >> (18 + 4 * i) & 3; }
static bool enabled(u64 control, unsigned i) { return control >> (2 * i) & 3; }

/* debug_trap: #DB; interrupts are off. The bits of DR6 stay set until software clears them. An instruction breakpoint
 * traps before the instruction: RF lets it run when the task goes on. */
void debug_trap(struct regs *regs) {
    u64 status = read_dr6() ^ STATUS_RESERVED;
    struct task *t = cpu_self()->current;

    write_dr6(STATUS_RESERVED);
    if (!(regs->cs & 3))
        return;
    t->arch.debug_status = status & (STATUS_STEP | STATUS_HITS);
    for (unsigned i = 0; t->arch.debug && i < DEBUG_BREAKPOINTS; i++) {
        if (status >> i & 1 && kind_of(t->arch.debug->control, i) == KIND_EXECUTE)
            regs->rflags |= FLAGS_RF;
    }
}

int arch_debug_code(const struct task *t) {
    u64 status = t->arch.debug_status;

    return status & STATUS_STEP ? TRAP_TRACE : status & STATUS_HITS ? TRAP_HWBKPT : TRAP_BRKPT;
}

u64 arch_debug_word(const struct task *t, unsigned n) {
    const struct debug *d = t->arch.debug;

    if (n == 6)
        return t->arch.debug_status ^ STATUS_RESERVED;
    return !d ? 0 : n < DEBUG_BREAKPOINTS ? d->address[n] : n == 7 ? d->control : 0;
}

/* breakpoint_valid: what the CPU would take amiss: addresses that are not aligned, ports, long instructions. */
static bool breakpoint_valid(const struct debug *d, u64 control, unsigned i) {
    static const u8 masks[4] = {0, 1, 7, 3}; /* one less than the bytes, by the length's code */
    unsigned kind = kind_of(control, i), length = length_of(control, i);

    return !enabled(control, i) || (kind != KIND_PORT && (kind != KIND_EXECUTE || !length) &&
                                    !(d->address[i] & masks[length]) && d->address[i] < USER_TOP);
}

static int set_address(struct debug *d, unsigned n, u64 value) {
    u64 old = d->address[n];

    if (value >= USER_TOP)
        return -EINVAL;
    d->address[n] = value;
    if (breakpoint_valid(d, d->control, n))
        return 0;
    d->address[n] = old;
    return -EINVAL;
}

static int set_control(struct debug *d, u64 value) {
    for (unsigned i = 0; i < DEBUG_BREAKPOINTS; i++) {
        if (!breakpoint_valid(d, value, i))
            return -EINVAL;
    }
    d->control = value;
    return 0;
}

int arch_debug_word_set(struct task *t, unsigned n, u64 value) {
    if (n == 6) {
        t->arch.debug_status = (value ^ STATUS_RESERVED) & (STATUS_STEP | STATUS_HITS);
        return 0;
    }
    if (n == 4 || n == 5)
        return -EIO;
    if (!t->arch.debug)
        t->arch.debug = kzalloc(sizeof(*t->arch.debug));
    if (!t->arch.debug)
        return -ENOMEM;
    return n == 7 ? set_control(t->arch.debug, value & CONTROL_VALID) : set_address(t->arch.debug, n, value);
}

void arch_debug_forget(struct arch_task *t) {
    kfree(t->debug);
    t->debug = NULL;
}
