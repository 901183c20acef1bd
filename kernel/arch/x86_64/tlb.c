/* tlb.c - what the CPUs remember of page tables, and how they are made to forget: the machine's side of vm/machine.h.
 *
 * Guarantee: when machine_flush and its like return, no CPU uses a translation that the tables, as they were when the
 * call began, no longer give. How: a CPU that wants it writes its request into its own block, sets its bit in the inbox
 * (`shooters`) of each target, and sends an interrupt to those whose inbox was empty; a target takes the whole word,
 * serves each request, and counts down. One request a CPU at a time, for the kernel is not preempted and interrupts
 * send none; any number of CPUs at once, for while waiting each serves its own inbox, interrupts on or off.
 *
 * No PCID: loading a root forgets all user translations. Kernel pages are global: they stay, and only stacks ever go.
 */
#include "arch/x86_64/x86.h"
#include "vm/machine.h"

#define PAGES_ONE_BY_ONE 32 /* above this, forgetting everything is cheaper than so many INVLPGs */

#define SPIN_NS 20000
#define NAP_NS 1000000

/* CPUs that have some space loaded: the others can have no user translation, and are not woken to forget any. */
static u64 users[CPU_MAX / 64];

enum { FLUSH_RANGE, FLUSH_USER, FLUSH_ALL, EVICT };
_Static_assert(MACHINE_CPUS == CPU_MAX, "one bit a CPU");

static void flush_user_local(void) { write_cr3(read_cr3()); } /* forgets pointers to lower tables too */

static void flush_all_local(void) { /* global ones too: a change of PGE does (SDM volume 3, 4.10.4.1) */
    bool on = irq_save();
    u64 cr4 = read_cr4();
    write_cr4(cr4 & ~(u64)CR4_PGE);
    write_cr4(cr4);
    irq_restore(on);
}

static void bit_set(u64 *set, unsigned bit) { atomic_or(&set[bit / 64], 1UL << bit % 64); }
static void bit_clear(u64 *set, unsigned bit) { atomic_and(&set[bit / 64], ~(1UL << bit % 64)); }

void machine_load(struct machine_space *m) {
    struct cpu_arch *a = cpu_arch_self();
    bool on = irq_save(); /* an eviction request in the middle would see neither the old nor the new */
    struct machine_space *old = a->loaded;
    if (old != m) {
        if (m) /* before the first translation is made */
            bit_set(m->cpus, a->cpu.id);
        if (!old)
            bit_set(users, a->cpu.id);
        write_cr3(m ? m->root : kernel_root_phys);
        shadow_load(m ? m->root : 0);
        a->loaded = m;
        if (old)
            bit_clear(old->cpus, a->cpu.id);
        if (!m)
            bit_clear(users, a->cpu.id);
    }
    irq_restore(on);
}

/* An idle CPU uses no user translation: instead of being woken for each flush of the space it still has, it gives the
 * space up, at the first flush, or before it halts when others run in that space too. */
static void give_up(void) { machine_load(NULL); }

void tlb_idle(void) {
    struct cpu_arch *a = cpu_arch_self();
    bool others = false;
    for (unsigned w = 0; a->loaded && w * 64 < cpu_count; w++) {
        u64 cpus = atomic_load_relaxed(&a->loaded->cpus[w]);
        others |= (w == a->cpu.id / 64 ? cpus & ~(1UL << a->cpu.id % 64) : cpus) != 0;
    }
    if (others)
        give_up();
}

static inline void serve(const struct tlb_request *r) {
    struct cpu_arch *a = cpu_arch_self();
    if (a->idle && (r->what == FLUSH_RANGE || r->what == FLUSH_USER)) {
        give_up();
        return;
    }
    shadow_flush(r->what == FLUSH_RANGE ? r->start : 0, r->what == FLUSH_RANGE ? r->end : ~0UL);
    switch (r->what) {
    case FLUSH_RANGE:
        for (u64 at = r->start; at < r->end; at += PAGE_SIZE)
            __asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
        break;
    case FLUSH_USER:
        flush_user_local();
        break;
    case FLUSH_ALL:
        flush_all_local();
        break;
    case EVICT:
        if (a->loaded == r->evict)
            machine_load(NULL);
        break;
    }
}

void tlb_interrupt(void) {
    struct cpu_arch *a = cpu_arch_self();
    for (unsigned w = 0; w < CPU_MAX / 64; w++) {
        if (!atomic_load_relaxed(&a->shooters[w]))
            continue;
        for (u64 bits = atomic_xchg(&a->shooters[w], 0); bits; bits &= bits - 1) {
            struct tlb_request *r = &((struct cpu_arch *)cpu_of[w * 64 + __builtin_ctzl(bits)])->request;
            serve(r);
            if (!atomic_sub(&r->waiting, 1) && atomic_load(&r->asleep)) /* the request is its owner's again */
                apic_ipi(cpu_of[w * 64 + __builtin_ctzl(bits)]->apic_id, VECTOR_TLB);
        }
    }
}

/* Spin for as long as an answer takes when the targets run. When one does not (a host with fewer CPUs than we have),
 * halt, for the host may need this very CPU to run it; the last to answer sends an interrupt. */
static void wait_served(struct tlb_request *r) {
    u64 patience = clock_ns() + SPIN_NS;
    while (atomic_load(&r->waiting)) {
        tlb_interrupt();
        if (clock_ns() < patience) {
            cpu_pause();
            continue;
        }
        /* asleep, then the look at waiting; they count down, then look at asleep: one of us sees the other */
        (void)atomic_xchg(&r->asleep, true);
        cpu_nap(NAP_NS, &r->waiting);
        atomic_store(&r->asleep, false);
    }
}

/* Have request r served by the CPUs of `mask` (NULL: all that run), this one included. Returns when all have. */
static void shoot(struct tlb_request wanted, const u64 *mask) {
    struct cpu_arch *a = cpu_arch_self();
    u64 targets[CPU_MAX / 64];
    u32 count = 0;
    bool here = false;
    atomic_fence(); /* what was stored into tables comes before the look at who may have cached it (machine_load: the
                       reverse) */
    for (unsigned w = 0; w * 64 < cpu_count; w++) {
        u64 running = cpu_count - w * 64 >= 64 ? ~0UL : (1UL << (cpu_count - w * 64)) - 1;
        targets[w] = mask ? atomic_load(&mask[w]) & running : running;
        if (w == a->cpu.id / 64) {
            here = targets[w] >> a->cpu.id % 64 & 1;
            targets[w] &= ~(1UL << a->cpu.id % 64);
        }
        for (u64 bits = targets[w]; bits; bits &= bits - 1)
            count++;
    }
    if (count) {
        a->request = wanted;
        atomic_store(&a->request.waiting, count);
        for (unsigned w = 0; w * 64 < cpu_count; w++)
            for (u64 bits = targets[w]; bits; bits &= bits - 1) {
                struct cpu_arch *target = (struct cpu_arch *)cpu_of[w * 64 + __builtin_ctzl(bits)];
                if (!atomic_or(&target->shooters[a->cpu.id / 64], 1UL << a->cpu.id % 64))
                    apic_ipi(target->cpu.apic_id, VECTOR_TLB);
            }
    }
    if (here)
        serve(&wanted);
    if (count)
        wait_served(&a->request);
}

/* Nobody but this CPU has the space loaded. */
static inline bool only_here(const struct machine_space *m, unsigned self) {
    atomic_fence(); /* as in shoot */
    return cpu_count <= 64 && atomic_load(&m->cpus[0]) == 1UL << self;
}

void machine_flush(struct machine_space *m, u64 start, u64 end, bool tables) {
    /* an INVLPG of any address forgets every cached pointer to a lower table too (SDM volume 3, 4.10.4.1; AMD's APM,
     * volume 3, with EFER.TCE = 0), so `tables` asks for one at least: no range is empty */
    bool all = (end - start) >> PAGE_SHIFT > PAGES_ONE_BY_ONE;
    if (shadow_drops(m->cpus, all ? 0 : start, all ? ~0UL : end))
        return;
    struct tlb_request r = {.what = all ? FLUSH_USER : FLUSH_RANGE, .start = start & PAGE_MASK, .end = end};
    if (only_here(m, cpu_id()))
        serve(&r);
    else
        shoot(r, m->cpus);
}

void machine_flush_everyone(void) {
    if (!shadow_drops(users, 0, ~0UL))
        shoot((struct tlb_request){.what = FLUSH_USER}, users);
}
void tlb_flush_kernel_all(void) { shoot((struct tlb_request){.what = FLUSH_ALL}, NULL); }
void machine_evict(struct machine_space *m) { shoot((struct tlb_request){.what = EVICT, .evict = m}, m->cpus); }
void machine_flush_local(u64 address) {
    shadow_flush(address & PAGE_MASK, (address & PAGE_MASK) + PAGE_SIZE);
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* One turn of somebody's loop. When such turns follow each other for long, the CPU waited for may need the host's. */
void machine_pause(void) {
    struct cpu_arch *a = cpu_arch_self();
    u64 now = clock_ns();
    if (now - a->paused_last > SPIN_NS)
        a->paused_first = now;
    a->paused_last = now;
    if (now - a->paused_first > 2 * SPIN_NS)
        cpu_nap(NAP_NS / 10, NULL);
    else
        cpu_pause();
}

/* Whole pages: by bytes where the CPU does that fast (ERMS), else by words. */
void machine_zero_page(void *page) {
    if (cpu_has.erms) {
        u64 count = PAGE_SIZE;
        __asm__ volatile("rep stosb" : "+D"(page), "+c"(count) : "a"(0) : "memory");
    } else {
        u64 count = PAGE_SIZE / 8;
        __asm__ volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0) : "memory");
    }
}

void machine_copy_page(void *to, const void *from) {
    if (cpu_has.erms) {
        u64 count = PAGE_SIZE;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    } else {
        u64 count = PAGE_SIZE / 8;
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    }
}
