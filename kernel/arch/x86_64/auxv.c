/* auxv.c - what the auxiliary vector tells a program of the processor. */
#include <asm/hwcap2.h>

#include "arch/x86_64/x86.h"

/* arch_hwcap: CPUID leaf 1, edx: as Linux defines AT_HWCAP for x86. arch_hwcap2: what user mode may do beyond CPUID. */
u64 arch_hwcap(void) { return cpuid(1, 0).d; }
u64 arch_hwcap2(void) { return cpu_has.fsgsbase ? HWCAP2_FSGSBASE : 0; }
