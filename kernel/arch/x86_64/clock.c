/* clock.c - time: the TSC as the monotonic clock, the local APIC's timer as the alarm of each CPU.
 *
 * The TSC's rate comes from CPUID or from the hypervisor where they tell it; else it is measured against the APIC
 * timer, which counts at 1 GHz under QEMU (TCG and KVM both; there is no other clock of known rate on this machine).
 * The TSCs of all CPUs are taken to be synchronous, as QEMU keeps them.
 *
 * An alarm: each CPU has the time of its next tick and the deadline armed by the scheduler; the hardware is set to the
 * earlier. It is left alone when it comes too early (the interrupt then finds nothing due and sets it again), for
 * setting it is the dear part under an emulator. */
#include "arch/x86_64/vdso/data.h"
#include "arch/x86_64/x86.h"

#define NEVER (~0UL)
#define QEMU_APIC_HZ 1000000000UL
#define MEASURE_NS 10000000UL

#define KVM_FEATURES 0x40000001
#define KVM_FEATURE_CLOCK2 (1 << 3)
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

struct clock_scale clock_scale;
/* What programs read without a call, in a page of its own: vdso/data.h. The offset of the wall clock has no other
 * place.
 */
static union {
    struct vdso_data data;
    u8 page[PAGE_SIZE];
} shown __attribute__((aligned(PAGE_SIZE)));
static u64 apic_hz = QEMU_APIC_HZ;
static u64 tsc_per_ns; /* 32.32 fixed point */

/* a * b / c by the instructions that have 128 bits between; the result must fit. (The compiler would call a library.)
 */
static u64 mul_div(u64 a, u64 b, u64 c) {
    u64 high;
    __asm__("mulq %2; divq %3" : "+a"(a), "=&d"(high) : "r"(b), "r"(c) : "cc");
    return a;
}

u64 clock_ns(void) { return (u64)((unsigned __int128)(rdtsc() - clock_scale.base) * clock_scale.mult >> 32); }
u64 clock_wall_offset(void) { return atomic_load_relaxed(&shown.data.wall_offset); }
u64 clock_wall_ns(void) { return clock_ns() + clock_wall_offset(); }
void clock_set_wall(u64 wall_ns) { atomic_store(&shown.data.wall_offset, wall_ns - clock_ns()); }

void arch_vdso(u64 *data, u64 *data_bytes, u64 *code, u64 *code_bytes) {
    extern const char vdso_image[], vdso_image_end[];
    *data = image_phys(&shown);
    *data_bytes = sizeof(shown);
    *code = image_phys(vdso_image);
    *code_bytes = (u64)(vdso_image_end - vdso_image);
}

void clock_delay(u64 ns) {
    for (u64 end = clock_ns() + ns; clock_ns() < end;)
        cpu_pause();
}

/* kvm-clock's page (Linux Documentation/virt/kvm/x86/msr.rst): TSC ticks to nanoseconds, as the host knows it. */
static u64 tsc_hz_of_kvm(void) {
    static volatile struct {
        u32 version, pad0;
        u64 tsc_timestamp, system_time;
        u32 tsc_to_system_mul;
        s8 tsc_shift;
        u8 flags, pad[2];
    } page __attribute__((aligned(32)));
    if (!(cpuid(KVM_FEATURES, 0).a & KVM_FEATURE_CLOCK2))
        return 0;
    wrmsr(MSR_KVM_SYSTEM_TIME_NEW, image_phys((const void *)&page) | 1);
    u64 mul = page.tsc_to_system_mul;
    s8 shift = page.tsc_shift;
    wrmsr(MSR_KVM_SYSTEM_TIME_NEW, 0);
    if (!mul)
        return 0;
    /* ns = (tsc << shift) * mul >> 32 */
    u64 hz = (1000000000UL << 32) / mul;
    return shift < 0 ? hz << -shift : hz >> shift;
}

static u64 tsc_hz_of_cpuid(void) {
    if (cpu_has.hypervisor) {
        struct cpuid top = cpuid(0x40000000, 0);
        bool kvm = top.b == 0x4b4d564b && top.c == 0x564b4d56 && top.d == 0x4d; /* "KVMKVMKVM" */
        u64 khz = top.a >= 0x40000010 ? cpuid(0x40000010, 0).a : 0;
        if (khz || kvm)
            return khz ? khz * 1000 : tsc_hz_of_kvm();
    }
    u32 most = cpuid(0, 0).a;
    struct cpuid ratio = most >= 0x15 ? cpuid(0x15, 0) : (struct cpuid){0};
    if (!ratio.a || !ratio.b)
        return 0;
    if (!cpu_has.hypervisor && ratio.c)
        apic_hz = ratio.c; /* the APIC timer counts the core crystal (SDM volume 3, 10.5.4) */
    return ratio.c ? (u64)ratio.c * ratio.b / ratio.a : 0;
}

/* One reading of both clocks at the same instant: of several the one in which the TSC moved least. */
static void read_both(u64 *tsc, u32 *apic_left) {
    u64 best = NEVER;
    for (int i = 0; i < 16; i++) {
        u64 before = rdtsc();
        u32 left = apic_timer_left();
        u64 after = rdtsc();
        if (after - before < best) {
            best = after - before;
            *tsc = before + best / 2;
            *apic_left = left;
        }
    }
}

static u64 tsc_hz_measured(void) {
    u64 tsc0, tsc1;
    u32 left0, left1;
    apic_timer_count(~0u); /* masked by its deadline being far: 4.3 s */
    read_both(&tsc0, &left0);
    while ((left1 = apic_timer_left()), left0 - left1 < MEASURE_NS)
        cpu_pause();
    read_both(&tsc1, &left1);
    apic_timer_count(0);
    return mul_div(tsc1 - tsc0, apic_hz, left0 - left1);
}

void clock_init(void) {
    u64 start = rdtsc();
    apic_timer_setup(false);
    u64 told = tsc_hz_of_cpuid(), hz = told ? told : tsc_hz_measured();
    if (hz < 1000000)
        panic("clock: a TSC of %lu Hz: the APIC timer does not count as it should", hz);
    clock_scale = (struct clock_scale){.base = start, .mult = mul_div(1000000000, 1UL << 32, hz), .tsc_hz = hz};
    shown.data =
        (struct vdso_data){.base = start, .mult = clock_scale.mult, .tick_ns = TICK_NS, .cpu_known = cpu_has.rdtscp};
    tsc_per_ns = mul_div(hz, 1UL << 32, 1000000000);
    kprintf(LOG_INFO "clock: TSC %lu.%06lu MHz (%s), alarm by %s\n", hz / 1000000, hz % 1000000,
            told ? "told" : "measured", cpu_has.tsc_deadline ? "TSC deadline" : "APIC timer");
}

/* Interrupts off. Sets the hardware for `at` if that is earlier than what it is set to. */
static void hardware_set(struct cpu_arch *a, u64 at) {
    if (at >= a->hardware_at)
        return;
    u64 now = clock_ns(), ns = at > now ? at - now : 0;
    if (cpu_has.tsc_deadline) {
        ns = min(ns, 1UL << 40);
        u64 tsc = rdtsc() + (u64)((unsigned __int128)ns * tsc_per_ns >> 32);
        wrmsr(MSR_TSC_DEADLINE, max(tsc, 1UL)); /* one in the past fires at once; 0 would disarm */
    } else {
        ns = min(ns, 2000000000UL); /* a 32-bit count; the rest after the interrupt */
        u64 count = ns * (apic_hz / 1000) / 1000000;
        apic_timer_count((u32)min(max(count, 1UL), 0xffffffffUL));
    }
    a->hardware_at = now + ns;
}

static void alarm_set(struct cpu_arch *a) { hardware_set(a, min(a->tick_at, a->armed_at)); }
void clock_soon(u64 ns) { hardware_set(cpu_arch_self(), clock_ns() + ns); }

void clock_start(void) {
    struct cpu_arch *a = cpu_arch_self();
    apic_timer_setup(cpu_has.tsc_deadline);
    a->tick_at = clock_ns() + TICK_NS;
    alarm_set(a);
}

void clock_arm(u64 deadline_ns) {
    bool on = irq_save();
    struct cpu_arch *a = cpu_arch_self();
    a->armed_at = deadline_ns;
    alarm_set(a);
    irq_restore(on);
}

void clock_interrupt(struct regs *regs) {
    struct cpu_arch *a = cpu_arch_self();
    u64 now = clock_ns();
    bool tick = now >= a->tick_at, armed = now >= a->armed_at;
    a->hardware_at = NEVER;
    if (tick)
        a->tick_at = a->idle ? NEVER : now + TICK_NS;
    if (armed)
        a->armed_at = NEVER;
    if ((tick || armed) && a->cpu.current) /* before the scheduler runs nobody wants to know */
        sched_tick(regs, regs->cs & 3);
    alarm_set(a);
}

/* Around the halt of an idle CPU: no tick within. What the hardware is set to stays, for at most one needless
 * interrupt. */
void clock_idle(bool idle) {
    struct cpu_arch *a = cpu_arch_self();
    a->idle = idle;
    if (idle) {
        a->tick_at = NEVER;
    } else if (a->tick_at == NEVER) {
        a->tick_at = clock_ns() + TICK_NS;
        alarm_set(a);
    }
}
