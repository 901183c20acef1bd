/* trap.c - what a trap means to a task: a page made present, a signal, or the end of a copy from or to user memory.
 *
 * Owns nothing. arch/x86_64/trap.c calls it with interrupts on and no lock held; every function here may sleep. */
#include "arch/x86_64/debug.h"
#include "arch/x86_64/usercopy.h"
#include "task/family.h"
#include "task/oom.h"
#include "task/rseq.h"
#include "task/signal.h"
#include "vm/event.h"
#include "vm/frame.h"
#include "vm/machine.h"
#include "vm/space.h"
#include "vm/watch.h"

/* Intel SDM volume 3, 4.7: the error code of a page fault */
#define ERROR_PRESENT 1u
#define ERROR_WRITE 2u
#define ERROR_USER 4u
#define ERROR_FETCH 16u
#define ERROR_KEY 32u    /* the page is there, its protection key forbids the access */
#define KEY_NO_ACCESS 1u /* of the two bits of rights that PKRU has for a key */
#define KEY_NO_WRITE 2u
#define VECTOR_PAGE_FAULT 14

bool trap_return_due(void) {
    const struct task *t = task_current();

    return atomic_load_relaxed(&t->attention) || t->restore_mask || t->rseq_stale;
}

void trap_return_to_user(struct regs *regs) {
    struct cpu *cpu;
    struct task *t = task_current();

    for (;;) {
        cpu = cpu_self();
        if (atomic_load_relaxed(&cpu->work))
            cpu_run_work();
        if (atomic_load_relaxed(&cpu->need_resched))
            schedule();
        if (unlikely(t->rseq_stale))
            rseq_update(regs);
        if (likely(!atomic_load(&t->attention) && !t->restore_mask))
            break;
        signal_deliver(regs);
    }
}

/* A fetch brings the page as a read does, and may fail so; whether it may be executed matters once it is there, as on
 * Linux. */
static enum fault_access access_of(u64 error) {
    if (error & ERROR_FETCH)
        return error & ERROR_PRESENT ? FAULT_EXEC : FAULT_READ;
    return error & ERROR_WRITE ? FAULT_WRITE : FAULT_READ;
}

static void remember(struct task *t, u64 vector, u64 error, u64 address) {
    t->fault_vector = vector;
    t->fault_error = error;
    t->fault_address = address;
}

static void fault_signal(enum fault_outcome outcome, u64 error, u64 address, int key) {
    remember(task_current(), VECTOR_PAGE_FAULT, error | ERROR_USER, address);
    if (outcome == FAULT_MAPERR)
        signal_force(SIGSEGV, SEGV_MAPERR, address);
    else if (key >= 0)
        signal_force_key(address, key);
    else if (outcome == FAULT_ACCERR)
        signal_force(SIGSEGV, SEGV_ACCERR, address);
    else if (outcome == FAULT_POISON)
        signal_force_poison(address);
    else
        signal_force(SIGBUS, BUS_ADRERR, address);
}

/* The key of the page if it forbids this access to the current task; -1: it does not. Key 0, which all memory has that
 * was given no other, forbids what the program's register says, too: it must not look like an access that may be tried
 * again. */
static int forbidden_key(struct space *s, u64 error, u64 address) {
    int key = arch_has_keys() && !(error & ERROR_FETCH) ? space_key(s, address) : -1;
    u32 rights = key >= 0 ? arch_key_rights() >> (2 * key) : 0;
    return rights & KEY_NO_ACCESS || (rights & KEY_NO_WRITE && error & ERROR_WRITE) ? key : -1;
}

static __attribute__((noinline)) void fault_failed(struct regs *regs, u64 error, u64 address, bool from_user, int key,
                                                   enum fault_outcome outcome) {
    struct process *p = process_current();

    if (outcome == FAULT_WATCHED)
        outcome = space_await(p->space, address, access_of(error), from_user);
    if (outcome == FAULT_DONE || (outcome == FAULT_INTERRUPTED && from_user))
        return;
    if (outcome == FAULT_NOMEM)
        oom_kill_self();
    else if (from_user)
        fault_signal(outcome, error, address, key < 0 ? forbidden_key(p->space, error, address) : key);
    if (!from_user && !trap_fixup(regs))
        panic("a checked copy at %#lx has no landing pad (address %#lx)", regs->rip, address);
}

/* An instruction that needs several pages, in memory that does not hold them together, would read one at the cost of
 * another for ever. It has not ended as long as no register changes: after so many reads of pages that were read for
 * the same state before, memory is out, whatever reclaim still finds. No page need be read twice while there are others
 * that could go, so this is long after the last of them went. */
#define STUCK_READS 128u

static void look_whether_stuck(struct task *t, const struct regs *regs, u64 address) {
    struct stuck *s = &t->stuck;
    const u64 *words = (const u64 *)regs;
    u64 state = 0, page = address >> PAGE_SHIFT;
    unsigned i = 0;

    for (unsigned n = 0; n < sizeof(*regs) / sizeof(*words); n++)
        state = (state ^ words[n]) * 0x9e3779b97f4a7c15ULL;
    if (s->state != state)
        *s = (struct stuck){.state = state};
    while (i < s->count && s->pages[i] != page)
        i++;
    if (i < s->count)
        s->reads++;
    else if (i < STUCK_PAGES)
        s->pages[s->count++] = page;
    if (s->reads < STUCK_READS)
        return;
    s->reads = 0;
    (void)vm_out_of_memory(event_total(EVENT_OBJECT_WRITE_BACK),
                           false); /* whether somebody was killed: the access is tried again in any case */
}

void trap_page_fault(struct regs *regs, u64 error, u64 address, bool from_user) {
    struct task *t = task_current();
    struct process *p = t->process;
    enum fault_outcome outcome = FAULT_MAPERR;
    int key = -1;
    u64 reads = t->reads;

    if (likely(p && p->space && address < USER_TOP)) {
        key = unlikely(error & ERROR_KEY) ? forbidden_key(p->space, error, address) : -1;
        outcome = likely(key < 0) ? space_fault(p->space, address, access_of(error)) : FAULT_ACCERR;
    }
    if (unlikely(outcome != FAULT_DONE))
        fault_failed(regs, error, address, from_user, key, outcome);
    else if (unlikely(t->reads != reads) && from_user)
        look_whether_stuck(t, regs, address);
}

/* Each thread has its own count: threads that fault write no common line. */
void machine_faulted(bool major) {
    struct task *t = task_current();

    atomic_hint_add(major ? &t->faults_major : &t->faults_minor, 1);
}

/* Queued work too: else who waits for a device of this CPU is not woken, and nobody is there to be scheduled. */
void machine_breathe(void) {
    if (atomic_load_relaxed(&cpu_self()->work))
        cpu_run_work();
    if (atomic_load_relaxed(&cpu_self()->need_resched))
        schedule();
}

bool machine_goes_on(void) {
    machine_breathe();
    return !atomic_load(&task_current()->killed);
}

/* fpu_code: why the x87 unit (vector 16) or SSE (19) complains: the exceptions that are raised and not masked. */
static int fpu_code(struct task *t, int vector) {
    const struct {
        u16 control, status;
        u8 between[20];
        u32 mxcsr;
    } *area = t->arch.fpu;
    u32 raised;

    arch_fpu_save(&t->arch);
    raised = vector == 16 ? area->status & ~area->control : area->mxcsr & ~(area->mxcsr >> 7);
    if (raised & 0x01)
        return FPE_FLTINV;
    if (raised & 0x04)
        return FPE_FLTDIV;
    if (raised & 0x08)
        return FPE_FLTOVF;
    if (raised & 0x12)
        return FPE_FLTUND;
    return raised & 0x20 ? FPE_FLTRES : SI_KERNEL;
}

/* Signals and codes by vector, as Linux gives them on x86-64. with_address: si_addr is the instruction's. */
void trap_user_fault(struct regs *regs, int vector, u64 error, u64 address) {
    static const struct {
        u8 signal;
        bool with_address;
        int code;
    } table[32] = {
        [0] = {SIGFPE, true, FPE_INTDIV},   [1] = {SIGTRAP, true, 0},          [3] = {SIGTRAP, false, SI_KERNEL},
        [4] = {SIGSEGV, false, SI_KERNEL},  [5] = {SIGSEGV, false, SI_KERNEL}, [6] = {SIGILL, true, ILL_ILLOPN},
        [10] = {SIGSEGV, false, SI_KERNEL}, [11] = {SIGBUS, false, SI_KERNEL}, [12] = {SIGBUS, false, SI_KERNEL},
        [13] = {SIGSEGV, false, SI_KERNEL}, [16] = {SIGFPE, true, 0},          [17] = {SIGBUS, false, BUS_ADRALN},
        [19] = {SIGFPE, true, 0},
    };
    struct task *t = task_current();
    unsigned i = (unsigned)vector % array_count(table);
    int code = vector == 1 ? arch_debug_code(t) : vector == 16 || vector == 19 ? fpu_code(t, vector) : table[i].code;

    remember(t, vector, error, t->fault_address);
    signal_force(table[i].signal ? table[i].signal : SIGSEGV, table[i].signal ? code : SI_KERNEL,
                 table[i].with_address ? regs->rip : 0);
}
