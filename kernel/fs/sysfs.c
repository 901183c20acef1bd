/* sysfs.c - /sys: the little of it that programs read to learn about CPUs, caches, the one memory node and huge pages.
 */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/identify.h"
#include "fs/synth.h"
#include "vm/frame.h"
#include "vm/space.h"

#define DIR (S_IFDIR | 0755)
#define FILE_R (S_IFREG | 0444)

/* ---- CPUs ---- */

static int show_online(struct synth *s, struct text *t) {
    text_cpus(t, cpu_count);
    text_string(t, "\n");
    return 0;
}

/* Masks of CPUs, in 32-bit words; the first is as wide as there are CPUs. */
static void show_mask(struct text *t, unsigned first, unsigned last) {
    unsigned words = (cpu_count + 31) / 32;
    for (unsigned i = words; i-- > 0;) {
        u32 word = 0;
        for (unsigned cpu = i * 32; cpu < i * 32 + 32; cpu++)
            word |= cpu >= first && cpu <= last ? 1u << cpu % 32 : 0;
        text_print(t, "%0*x%s", i == words - 1 ? (int)((cpu_count - 1) % 32 / 4 + 1) : 8, word, i ? "," : "\n");
    }
}

static int show_all_mask(struct synth *s, struct text *t) {
    show_mask(t, 0, cpu_count - 1);
    return 0;
}

static int show_own_mask(struct synth *s, struct text *t) {
    show_mask(t, s->key, s->key);
    return 0;
}

static int show_number(struct synth *s, struct text *t) {
    text_print(t, "%lu\n", (unsigned long)s->key);
    return 0;
}

static const struct synth_node topology[] = {
    {.name = "cluster_id", .mode = FILE_R, .content = "65535\n"},
    {.name = "core_cpus", .mode = FILE_R, .show = show_own_mask},
    {.name = "core_cpus_list", .mode = FILE_R, .show = show_number},
    {.name = "core_id", .mode = FILE_R, .show = show_number},
    {.name = "core_siblings", .mode = FILE_R, .show = show_all_mask},
    {.name = "core_siblings_list", .mode = FILE_R, .show = show_online},
    {.name = "die_cpus", .mode = FILE_R, .show = show_all_mask},
    {.name = "die_cpus_list", .mode = FILE_R, .show = show_online},
    {.name = "die_id", .mode = FILE_R, .content = "0\n"},
    {.name = "package_cpus", .mode = FILE_R, .show = show_all_mask},
    {.name = "package_cpus_list", .mode = FILE_R, .show = show_online},
    {.name = "physical_package_id", .mode = FILE_R, .content = "0\n"},
    {.name = "thread_siblings", .mode = FILE_R, .show = show_own_mask},
    {.name = "thread_siblings_list", .mode = FILE_R, .show = show_number},
    {.name = NULL},
};

/* ---- caches: key is CPU * CACHES_MOST + index ---- */

#define CACHES_MOST 16u

enum cache_field { CACHE_LEVEL, CACHE_LINE, CACHE_WAYS, CACHE_SETS, CACHE_SIZE, CACHE_TYPE, CACHE_LIST, CACHE_MAP };

static int show_cache(struct synth *s, struct text *t) {
    unsigned cpu = s->key / CACHES_MOST;
    struct cpu_cache c;
    if (!cpu_cache(s->key % CACHES_MOST, &c))
        return -ENOENT;
    switch ((enum cache_field)s->node->data) {
    case CACHE_LEVEL:
        text_print(t, "%u\n", c.level);
        break;
    case CACHE_LINE:
        text_print(t, "%u\n", c.line_bytes);
        break;
    case CACHE_WAYS:
        text_print(t, "%u\n", c.ways);
        break;
    case CACHE_SETS:
        text_print(t, "%u\n", c.sets);
        break;
    case CACHE_SIZE:
        text_print(t, "%uK\n", c.kib);
        break;
    case CACHE_TYPE:
        text_string(t, c.type == 'D' ? "Data\n" : c.type == 'I' ? "Instruction\n" : "Unified\n");
        break;
    case CACHE_LIST:
        if (c.shared)
            text_cpus(t, cpu_count);
        else
            text_print(t, "%u", cpu);
        text_string(t, "\n");
        break;
    case CACHE_MAP:
        show_mask(t, c.shared ? 0 : cpu, c.shared ? cpu_count - 1 : cpu);
        break;
    }
    return 0;
}

#define CACHE_FILE(text, field)                                                                                        \
    { .name = text, .mode = FILE_R, .show = show_cache, .data = field }
static const struct synth_node cache_node = {
    .mode = DIR,
    .children = (const struct synth_node[]){CACHE_FILE("coherency_line_size", CACHE_LINE),
                                            CACHE_FILE("level", CACHE_LEVEL),
                                            CACHE_FILE("number_of_sets", CACHE_SETS),
                                            {.name = "physical_line_partition", .mode = FILE_R, .content = "1\n"},
                                            CACHE_FILE("shared_cpu_list", CACHE_LIST),
                                            CACHE_FILE("shared_cpu_map", CACHE_MAP),
                                            CACHE_FILE("size", CACHE_SIZE),
                                            CACHE_FILE("type", CACHE_TYPE),
                                            CACHE_FILE("ways_of_associativity", CACHE_WAYS),
                                            {.name = NULL}},
};

static s64 cache_next(struct synth *dir, u64 from) {
    struct cpu_cache c;
    return from < CACHES_MOST && cpu_cache(from, &c) ? (s64)from : -1;
}

static int cache_enter(struct synth *dir, u64 number, struct synth *child) {
    child->key = dir->key * CACHES_MOST + number;
    return 0;
}

static const struct synth_numbers caches = {
    .prefix = "index",
    .node = &cache_node,
    .next = cache_next,
    .enter = cache_enter,
};

static const struct synth_node cpu_node = {
    .mode = DIR,
    .children = (const struct synth_node[]){{.name = "cache", .mode = DIR, .numbers = &caches},
                                            {.name = "node0", .mode = S_IFLNK | 0777, .content = "../../node/node0"},
                                            {.name = "online", .mode = FILE_R, .content = "1\n"},
                                            {.name = "topology", .mode = DIR, .children = topology},
                                            {.name = NULL}},
};

static s64 cpu_next(struct synth *dir, u64 from) { return from < cpu_count ? (s64)from : -1; }
static const struct synth_numbers cpus = {.prefix = "cpu", .node = &cpu_node, .next = cpu_next};

static const struct synth_node cpu_children[] = {
    {.name = "isolated", .mode = FILE_R, .content = "\n"},
    {.name = "kernel_max", .mode = FILE_R, .content = "255\n"}, /* CPU_MAX - 1 */
    {.name = "offline", .mode = FILE_R, .content = "\n"},
    {.name = "online", .mode = FILE_R, .show = show_online},
    {.name = "possible", .mode = FILE_R, .show = show_online},
    {.name = "present", .mode = FILE_R, .show = show_online},
    {.name = NULL},
};
_Static_assert(CPU_MAX == 256, "kernel_max");

/* ---- the memory node ---- */

static int show_node_meminfo(struct synth *s, struct text *t) {
    struct frame_totals now;
    frame_totals(&now);
    const u64 *f = now.frames, total = now.given - f[FRAME_RESERVED];
    const struct {
        const char *label;
        u64 pages;
    } lines[] = {
        {"MemTotal:", total},
        {"MemFree:", f[FRAME_FREE]},
        {"MemUsed:", total - f[FRAME_FREE]},
        {"FilePages:", f[FRAME_FILE] + f[FRAME_SHMEM]},
        {"AnonPages:", f[FRAME_ANON]},
        {"Shmem:", f[FRAME_SHMEM]},
        {"PageTables:", f[FRAME_TABLE]},
        {"Slab:", f[FRAME_SLAB]},
    };
    for (unsigned i = 0; i < array_count(lines); i++)
        text_print(t, "Node 0 %-15s%9lu kB\n", lines[i].label, (unsigned long)lines[i].pages * (PAGE_SIZE / KiB));
    text_string(t, "Node 0 HugePages_Total:     0\nNode 0 HugePages_Free:      0\nNode 0 HugePages_Surp:      0\n");
    return 0;
}

static const struct synth_node node0[] = {
    {.name = "cpulist", .mode = FILE_R, .show = show_online},
    {.name = "cpumap", .mode = FILE_R, .show = show_all_mask},
    {.name = "distance", .mode = FILE_R, .content = "10\n"},
    {.name = "meminfo", .mode = FILE_R, .show = show_node_meminfo},
    {.name = "numastat",
     .mode = FILE_R,
     .content = "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\n"
                "local_node 0\nother_node 0\n"},
    {.name = NULL},
};

static const struct synth_node node_children[] = {
    {.name = "has_cpu", .mode = FILE_R, .content = "0\n"},
    {.name = "has_memory", .mode = FILE_R, .content = "0\n"},
    {.name = "has_normal_memory", .mode = FILE_R, .content = "0\n"},
    {.name = "node0", .mode = DIR, .children = node0},
    {.name = "online", .mode = FILE_R, .content = "0\n"},
    {.name = "possible", .mode = FILE_R, .content = "0\n"},
    {.name = NULL},
};

/* ---- the rest ---- */

static const char *const huge_words[] = {"never", "madvise", "always"}; /* LARGE_* */

static int huge_show(struct synth *s, struct text *t) {
    for (unsigned i = array_count(huge_words); i--;)
        text_print(t, i == vm_large ? "[%s]%s" : "%s%s", huge_words[i], i ? " " : "\n");
    return 0;
}

static int huge_store(struct synth *s, char *text, size_t bytes) {
    for (u32 i = 0; i < array_count(huge_words); i++) {
        size_t n = strlen(huge_words[i]);
        if (bytes >= n && !memcmp(text, huge_words[i], n) && (bytes == n || text[n] == '\n')) {
            vm_large = i;
            return 0;
        }
    }
    return -EINVAL;
}

static const struct synth_node huge_pages[] = {
    {.name = "defrag", .mode = FILE_R, .content = "always defer defer+madvise [madvise] never\n"},
    {.name = "enabled", .mode = S_IFREG | 0644, .show = huge_show, .store = huge_store},
    {.name = "hpage_pmd_size", .mode = FILE_R, .content = "2097152\n"},
    {.name = "shmem_enabled", .mode = FILE_R, .content = "always within_size advise [never] deny force\n"},
    {.name = "use_zero_page", .mode = FILE_R, .content = "0\n"},
    {.name = NULL},
};

static const struct synth_node clock_source[] = {
    {.name = "available_clocksource", .mode = FILE_R, .content = "tsc \n"},
    {.name = "current_clocksource", .mode = FILE_R, .content = "tsc\n"},
    {.name = NULL},
};

#define BRANCH(text, ...)                                                                                              \
    {                                                                                                                  \
        .name = text, .mode = DIR, .children = (const struct synth_node[]) {                                           \
            __VA_ARGS__, { .name = NULL }                                                                              \
        }                                                                                                              \
    }
static const struct synth_node sys_node = {
    .mode = S_IFDIR | 0555,
    .children =
        (const struct synth_node[]){
            {.name = "block", .mode = DIR},
            {.name = "bus", .mode = DIR},
            {.name = "class", .mode = DIR},
            BRANCH("devices",
                   BRANCH("system",
                          BRANCH("clocksource", {.name = "clocksource0", .mode = DIR, .children = clock_source}),
                          {.name = "cpu", .mode = DIR, .children = cpu_children, .numbers = &cpus},
                          {.name = "node", .mode = DIR, .children = node_children})),
            BRANCH("fs", {.name = "cgroup", .mode = DIR}),
            BRANCH("kernel", BRANCH("mm", {.name = "transparent_hugepage", .mode = DIR, .children = huge_pages})),
            {.name = NULL},
        },
};

static struct super super = {
    .type = "sysfs",
    .dev = 20,
    .options = "rw,relatime",
};

struct super *sysfs_super(void) {
    if (!super.root && synth_mount(&super, &sys_node))
        return NULL;
    return &super;
}
