/* identify.c - CPUID in words (identify.h). Leaves and bits: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
 *
 * The names are those that Linux prints in /proc/cpuinfo, in its order: by word of features, then by bit. */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/identify.h"
#include "arch/x86_64/x86.h"

#define EXTENDED 0x80000000u

/* A leaf, or zeroes where the CPU has none such. */
static struct cpuid leaf(u32 number, u32 sub) {
    u32 most = cpuid(number & EXTENDED, 0).a;
    return number <= most ? cpuid(number, sub) : (struct cpuid){0};
}

static u32 feature_word(unsigned word) {
    switch (word) {
    case 0:
        return leaf(1, 0).d;
    case 1:
        return leaf(EXTENDED + 1, 0).d;
    case 2:
        return leaf(EXTENDED + 7, 0).d;
    case 3:
        return leaf(1, 0).c;
    case 4:
        return leaf(EXTENDED + 1, 0).c;
    case 5:
        return leaf(7, 0).b;
    case 6:
        return leaf(0xd, 1).a;
    case 7:
        return leaf(7, 0).c;
    default:
        return leaf(7, 0).d;
    }
}
#define WORDS 9

static const char *const flags[WORDS]
                              [32] = {
                                  {"fpu",   "vme",  "de",         "pse",        "tsc",  "msr", "pae",  "mce",
                                   "cx8",   "apic", [11] = "sep", "mtrr",       "pge",  "mca", "cmov", "pat",
                                   "pse36", "pn",   "clflush",    [21] = "dts", "acpi", "mmx", "fxsr", "sse",
                                   "sse2",  "ss",   "ht",         "tm",         "ia64", "pbe"},
                                  {[11] = "syscall",
                                   [19] = "mp",
                                   "nx",
                                   [22] = "mmxext",
                                   [25] = "fxsr_opt",
                                   "pdpe1gb",
                                   "rdtscp",
                                   [29] = "lm",
                                   "3dnowext",
                                   "3dnow"},
                                  {[8] = "constant_tsc"},
                                  {"pni",    "pclmulqdq", "dtes64",     "monitor", "ds_cpl",      "vmx",
                                   "smx",    "est",       "tm2",        "ssse3",   "cid",         "sdbg",
                                   "fma",    "cx16",      "xtpr",       "pdcm",    [17] = "pcid", "dca",
                                   "sse4_1", "sse4_2",    "x2apic",     "movbe",   "popcnt",      "tsc_deadline_timer",
                                   "aes",    "xsave",     [28] = "avx", "f16c",    "rdrand",      "hypervisor"},
                                  {"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a",
                                   "misalignsse", "3dnowprefetch", "osvw", "ibs", "xop", "skinit", "wdt", [15] = "lwp",
                                   "fma4", [21] = "tbm", "topoext"},
                                  {"fsgsbase", "tsc_adjust", [3] = "bmi1",
                                   "hle",      "avx2",       [7] = "smep",
                                   "bmi2",     "erms",       "invpcid",
                                   "rtm",      [14] = "mpx", [16] = "avx512f",
                                   "avx512dq", "rdseed",     "adx",
                                   "smap",     "avx512ifma", [23] = "clflushopt",
                                   "clwb",     "intel_pt",   "avx512pf",
                                   "avx512er", "avx512cd",   "sha_ni",
                                   "avx512bw", "avx512vl"},
                                  {"xsaveopt", "xsavec", "xgetbv1", "xsaves"},
                                  {[1] = "avx512vbmi",
                                   "umip",
                                   "pku",
                                   "ospke",
                                   "waitpkg",
                                   "avx512_vbmi2",
                                   [8] = "gfni",
                                   "vaes",
                                   "vpclmulqdq",
                                   "avx512_vnni",
                                   "avx512_bitalg",
                                   "tme",
                                   "avx512_vpopcntdq",
                                   [16] = "la57",
                                   [22] = "rdpid",
                                   [25] = "cldemote",
                                   [27] = "movdiri",
                                   "movdir64b"},
                                  {[4] = "fsrm", [8] = "avx512_vp2intersect", [14] = "serialize"},
};

const char *cpu_flag_next(unsigned *cursor) {
    for (; *cursor < WORDS * 32; (*cursor)++) {
        unsigned word = *cursor / 32, bit = *cursor % 32;
        if (flags[word][bit] && feature_word(word) >> bit & 1) {
            (*cursor)++;
            return flags[word][bit];
        }
    }
    return NULL;
}

/* The 48 characters of leaves 0x80000002..4, without the blanks that some CPUs put in front. */
static void model_name(char name[49]) {
    u32 words[12];
    for (u32 i = 0; i < 3; i++) {
        struct cpuid r = leaf(EXTENDED + 2 + i, 0);
        words[4 * i] = r.a;
        words[4 * i + 1] = r.b;
        words[4 * i + 2] = r.c;
        words[4 * i + 3] = r.d;
    }
    const char *text = (const char *)words;
    size_t skip = 0;
    while (skip < sizeof(words) && text[skip] == ' ')
        skip++;
    memset(name, 0, 49);
    memcpy(name, text + skip, sizeof(words) - skip);
    for (size_t end = strlen(name); end && name[end - 1] == ' '; end--)
        name[end - 1] = 0;
}

void cpu_identify(struct cpu_identity *out) {
    struct cpuid zero = cpuid(0, 0), one = cpuid(1, 0), bits = leaf(EXTENDED + 8, 0);
    struct cpu_cache cache;
    *out = (struct cpu_identity){.level = zero.a, .stepping = one.a & 15, .tsc_khz = clock_scale.tsc_hz / 1000};
    memcpy(out->vendor, &zero.b, 4);
    memcpy(out->vendor + 4, &zero.d, 4);
    memcpy(out->vendor + 8, &zero.c, 4);
    model_name(out->model_name);
    out->family = one.a >> 8 & 15;
    out->model = one.a >> 4 & 15;
    if (out->family == 6 || out->family == 15)
        out->model |= one.a >> 12 & 0xf0;
    if (out->family == 15)
        out->family += one.a >> 20 & 0xff;
    out->line_bytes = (one.b >> 8 & 0xff) * 8;
    out->physical_bits = bits.a & 0xff;
    out->virtual_bits = bits.a >> 8 & 0xff;
    for (unsigned i = 0; cpu_cache(i, &cache); i++)
        out->cache_kib = max(out->cache_kib, cache.kib);
}

/* AMD's older leaves, where there are no others (QEMU's own CPU models): four fields of fixed meaning. */
static bool cpu_cache_old(unsigned index, struct cpu_cache *out) {
    static const u8 ways_of[16] = {0, 1, 2, 0, 4, 0, 8, 0, 16, 0, 32, 48, 64, 96, 128, 0};
    struct cpuid one = leaf(EXTENDED + 5, 0), more = leaf(EXTENDED + 6, 0);
    u32 word = index == 0 ? one.c : index == 1 ? one.d : index == 2 ? more.c : index == 3 ? more.d : 0;
    *out = (struct cpu_cache){.level = index < 2 ? 1 : index, .line_bytes = word & 0xff, .type = "DIUU"[index & 3]};
    if (index < 2) {
        out->kib = word >> 24;
        out->ways = word >> 16 & 0xff;
    } else {
        out->kib = index == 2 ? word >> 16 : (word >> 18) * 512;
        out->ways = ways_of[word >> 12 & 15];
    }
    if (!out->kib || !out->line_bytes)
        return false;
    out->ways = out->ways ? out->ways : 1; /* "fully associative" has a code of its own: one set would be as wrong */
    out->sets = out->kib * KiB / out->line_bytes / out->ways;
    out->shared = index == 3;
    return true;
}

bool cpu_cache(unsigned index, struct cpu_cache *out) {
    bool amd = cpuid(0, 0).c == 0x444d4163; /* "cAMD", the end of AuthenticAMD: its caches are told elsewhere, alike */
    struct cpuid r = leaf(amd ? EXTENDED + 0x1d : 4, index);
    u32 type = r.a & 31;
    if (!r.a && amd && !leaf(EXTENDED + 0x1d, 0).a)
        return cpu_cache_old(index, out);
    if (!type || type > 3 || index > 15)
        return false;
    *out = (struct cpu_cache){
        .level = r.a >> 5 & 7,
        .line_bytes = (r.b & 0xfff) + 1,
        .ways = (r.b >> 22) + 1,
        .sets = r.c + 1,
        .type = "?DIU"[type],
    };
    out->kib = (u64)out->line_bytes * out->ways * ((r.b >> 12 & 0x3ff) + 1) * out->sets / KiB;
    out->shared = (r.a >> 14 & 0xfff) && out->level > 2;
    return true;
}
