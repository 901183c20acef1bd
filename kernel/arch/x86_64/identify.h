/* identify.h - what CPUID says of this machine's CPUs, for /proc/cpuinfo and /sys: all CPUs are taken to be alike. */
#pragma once

#include "lib/base.h"

struct cpu_identity {
    char vendor[13], model_name[49];
    u32 family, model, stepping, level;
    u32 cache_kib;  /* of the largest cache; 0: not told */
    u32 line_bytes; /* what clflush works on */
    u32 physical_bits, virtual_bits;
    u64 tsc_khz;
};
void cpu_identify(struct cpu_identity *out);

/* cpu_flag_next: the names of the features, as Linux calls them. *cursor starts at 0; NULL at the end. */
const char *cpu_flag_next(unsigned *cursor);

struct cpu_cache {
    u32 level, line_bytes, ways, sets, kib;
    char type;   /* 'D'ata, 'I'nstruction, 'U'nified */
    bool shared; /* by all CPUs; else each CPU has its own */
};
bool cpu_cache(unsigned index, struct cpu_cache *out); /* false: there is no such cache */
