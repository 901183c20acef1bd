/* fpu.c - the floating-point and vector registers of user programs; the kernel itself uses none.
 *
 * Saved and restored at every switch (eager): nothing lazy that a speculative access could see. Areas are in XSAVE's
 * standard format, which is also a signal frame's; without XSAVE, FXSAVE's 512 bytes. */
#include "arch/x86_64/x86.h"

/* Enabled where the CPU has them: x87, SSE, AVX, AVX-512's three, PKRU. Not MPX (bits 3, 4: gone from Linux and from
 * compilers), nor AMX (a program must ask for its 8 KiB). */
#define FEATURE_PKRU (1UL << PKRU)
#define FEATURES (0xe7UL | FEATURE_PKRU)
#define FXSAVE_BYTES 512
#define MXCSR_OFFSET 24
#define MXCSR_MASK_OFFSET 28
#define MXCSR_START 0x1f80 /* all exceptions masked: what a program starts with */
#define FCW_START 0x37f
#define PKRU_START 0x55555554 /* only key 0 is open: Linux's init_pkru */

struct area {
    u8 legacy[FXSAVE_BYTES];
    u64 features, compacted, reserved[6]; /* XSAVE's header */
};

#define PKRU 9u
#define FIRST_EXTENDED 2u
#define COMPONENTS 10u

unsigned fpu_bytes = FXSAVE_BYTES;
u64 fpu_features = 3;
static u32 mxcsr_mask = 0xffbf; /* when FXSAVE reports 0 (SDM volume 1, 11.6.6) */
static struct {
    u32 offset, bytes;
} components[COMPONENTS]; /* of an area; kept, for under a hypervisor CPUID costs what a page fault does */

static void save(void *area) {
    u32 low = (u32)fpu_features, high = (u32)(fpu_features >> 32);
    if (cpu_has.xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
    else if (cpu_has.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void load(const void *area) {
    u32 low = (u32)fpu_features, high = (u32)(fpu_features >> 32);
    if (cpu_has.xsave)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(low), "d"(high) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void fpu_init(void) {
    static u8 probe[FXSAVE_BYTES] __attribute__((aligned(16)));
    __asm__ volatile("fninit");
    if (cpu_has.xsave) {
        struct cpuid supported = cpuid(0xd, 0);
        fpu_features = FEATURES & ((u64)supported.d << 32 | supported.a);
        if (!cpu_has.pku)
            fpu_features &= ~FEATURE_PKRU;
        __asm__ volatile("xsetbv" : : "c"(0), "a"((u32)fpu_features), "d"((u32)(fpu_features >> 32)));
        fpu_bytes = cpuid(0xd, 0).b; /* for the features now enabled */
    }
    if (cpu_self()->id == 0) {
        __asm__ volatile("fxsave64 (%0)" : : "r"(probe) : "memory");
        u32 mask;
        memcpy(&mask, probe + MXCSR_MASK_OFFSET, 4);
        mxcsr_mask = mask ? mask : mxcsr_mask;
        for (u32 i = FIRST_EXTENDED; cpu_has.xsave && i < COMPONENTS; i++) {
            components[i].offset = cpuid(0xd, i).b;
            components[i].bytes = cpuid(0xd, i).a;
        }
    }
}

void arch_fpu_init(void *at) {
    struct area *area = at;
    u32 mxcsr = MXCSR_START, pkru = PKRU_START;
    u16 fcw = FCW_START;
    memset(area, 0, fpu_bytes);
    memcpy(area->legacy, &fcw, 2);
    memcpy(area->legacy + MXCSR_OFFSET, &mxcsr, 4);
    if (cpu_has.xsave)
        area->features = 3;
    if (fpu_features & FEATURE_PKRU) {
        area->features |= FEATURE_PKRU;
        memcpy((char *)at + components[PKRU].offset, &pkru, sizeof(pkru));
    }
}

bool arch_has_keys(void) { return fpu_features & FEATURE_PKRU; }

u32 arch_key_rights(void) {
    u32 rights, zero;
    __asm__ volatile("rdpkru" : "=a"(rights), "=d"(zero) : "c"(0));
    return rights;
}

void arch_key_rights_set(u32 rights) { __asm__ volatile("wrpkru" : : "a"(rights), "c"(0), "d"(0) : "memory"); }

void arch_fpu_save(struct arch_task *t) {
    if (t->fpu)
        save(t->fpu);
}
void arch_fpu_load(struct arch_task *t) {
    if (t->fpu)
        load(t->fpu);
}

/* What XRSTOR would fault on: reserved bits of MXCSR, a compacted or reserved header. Features not enabled are dropped.
 */
bool arch_fpu_sanitise(void *at) {
    struct area *area = at;
    u32 mxcsr;
    memcpy(&mxcsr, area->legacy + MXCSR_OFFSET, 4);
    bool good = !(mxcsr & ~mxcsr_mask);
    mxcsr &= mxcsr_mask;
    memcpy(area->legacy + MXCSR_OFFSET, &mxcsr, 4);
    if (cpu_has.xsave) {
        good = good && !area->compacted;
        for (unsigned i = 0; i < array_count(area->reserved); i++)
            good = good && !area->reserved[i];
        area->features &= fpu_features;
        area->compacted = 0;
        memset(area->reserved, 0, sizeof(area->reserved));
    }
    return good;
}

/* ---- as others see them ---- */

#define X87_BYTES 24u /* control to data pointer */
#define REGISTERS_OFFSET 32u
#define XMM_OFFSET 160u
#define XMM_END 416u

void arch_fpu_complete(void *at) {
    const u16 fcw = FCW_START;
    const struct area *area = at;
    u64 live = cpu_has.xsave ? area->features : 3;
    u8 *to = at;

    if (!(live & 1)) {
        memset(to, 0, X87_BYTES);
        memset(to + REGISTERS_OFFSET, 0, XMM_OFFSET - REGISTERS_OFFSET);
        memcpy(to, &fcw, sizeof(fcw));
    }
    if (!(live & 2))
        memset(to + XMM_OFFSET, 0, XMM_END - XMM_OFFSET);
    for (u32 i = FIRST_EXTENDED; i < COMPONENTS; i++) {
        if (fpu_features & ~live & 1UL << i)
            memset(to + components[i].offset, 0, components[i].bytes);
    }
}

void arch_fpu_view(const struct arch_task *t, u8 *to) {
    memcpy(to, t->fpu, fpu_bytes);
    arch_fpu_complete(to);
    if (cpu_has.xsave)
        memcpy(to + FPU_SOFTWARE_OFFSET, &fpu_features, sizeof(fpu_features));
}

int arch_fpu_set(struct arch_task *t, u8 *from, size_t bytes) {
    struct area *area = t->fpu;
    u32 mxcsr;

    memcpy(&mxcsr, from + MXCSR_OFFSET, sizeof(mxcsr));
    if (mxcsr & ~mxcsr_mask || (bytes > FXSAVE_BYTES && !arch_fpu_sanitise(from)))
        return -EINVAL;
    memcpy(area, from, bytes);
    if (cpu_has.xsave)
        area->features |= bytes > FXSAVE_BYTES ? 0 : 3;
    return 0;
}
