/* proc_system.c - the files of /proc that are about the whole machine: memory, CPUs, time, load. proc(5), as Linux 6.1.
 */

#include "arch/x86_64/identify.h"
#include "fs/proc.h"
#include "task/times.h"
#include "vm/background.h"
#include "vm/epoch.h"
#include "vm/commit.h"
#include "vm/event.h"
#include "vm/frame.h"
#include "vm/slab.h"
#include "vm/space.h"
#include "vm/swap.h"
#include "vm/table.h"
#include "vm/writeback.h"
#include "vm/zswap.h"

#define NS_PER_S 1000000000UL
#define TICKS(ns) ((unsigned long)((ns) / CLOCK_TICK_NS))
#define LOAD_ONE 2048u /* sched_load's 1.0 */

/* ---- memory ---- */

/* One look at memory, in pages, from which meminfo and vmstat are written. */
struct memory {
    struct frame_totals now;
    struct swap_totals swap;
    struct zswap_totals zswap;
    u64 total, available, kernel_stacks, committed;
    u64 mapped,
        dirty;  /* frames of files and shared memory that are mapped; of files, to be written back or on the way */
    u64 locked; /* present in locked mappings; what two processes lock counts twice */
};

/* What no counter keeps is counted here, frame by frame. */
static void look_at_frames(struct memory *m) {
    for (u64 i = 0; i < frame_count; i++) {
        const struct frame *f = &frames[i];
        u8 class = atomic_load_relaxed(&f->class);
        if (class != FRAME_FILE && class != FRAME_SHMEM)
            continue;
        m->mapped += atomic_load_relaxed(&f->mapped) != 0;
    }
}

static u64 locked_in(struct space *s) {
    struct space_totals totals;
    struct space_usage u;
    struct mapping m;
    u64 pages = 0;
    space_totals(s, &totals);
    for (u64 at = 0; totals.locked && space_walk(s, at, &m); at = m.end) {
        if (m.view->flags & VIEW_LOCKED) {
            space_usage(s, m.start, m.end, &u);
            pages += u.anon + u.file + u.shmem;
        }
        space_walk_end(&m);
    }
    return pages;
}

/* By the tables, not page by page: a locked terabyte may be empty. */
static u64 locked_pages(void) {
    struct process *p;
    u64 pages = 0;
    for (int pid = 0; (p = process_next(pid));) {
        struct space *s = process_space(p);
        pid = p->pid;
        if (s) {
            pages += locked_in(s);
            space_put(s);
        }
        process_put(p);
    }
    return pages;
}

static void look(struct memory *m) {
    m->mapped = 0;
    look_at_frames(m);
    m->dirty = writeback_pages();
    m->locked = locked_pages();
    frame_totals(&m->now);
    m->total = m->now.given - m->now.frames[FRAME_RESERVED];
    m->available = m->now.frames[FRAME_FREE] + m->now.frames[FRAME_FILE]; /* a file's frames can be read again */
    swap_totals(&m->swap);
    zswap_totals(&m->zswap);
    m->kernel_stacks = task_count() * (KSTACK_BYTES / PAGE_SIZE);
    m->committed = commit_total();
}

static void kb_line(struct text *t, const char *label, u64 pages) {
    text_print(t, "%-16s%8lu kB\n", label, (unsigned long)pages * (PAGE_SIZE / KiB));
}

/* slabinfo(5). What is cached for reuse does not count as active; slabs are not counted, so both counts are the same.
 */
int proc_slabinfo(struct synth *s, struct text *t) {
    struct slab_info i;
    struct vm_live live;
    epoch_drain(true); /* what waits for a grace period is not in use, */
    vm_live(&live);    /* nor are tables that are kept ready */
    text_string(t,
                "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> "
                "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> "
                "<sharedavail>\n");
    for (unsigned n = 0; slab_info(n, &i); n++) {
        unsigned long slabs = (i.live + i.per_slab - 1) / i.per_slab;
        text_print(t, "%-17s %6lu %6lu %6u %4u %4u : tunables    0    0    0 : slabdata %6lu %6lu      0\n", i.name,
                   (unsigned long)i.live, (unsigned long)i.live, i.bytes, i.per_slab, i.pages_per_slab, slabs, slabs);
    }
    return 0;
}

int proc_meminfo(struct synth *s, struct text *t) {
    struct memory m;
    look(&m);
    const u64 *f = m.now.frames;
    const struct {
        const char *label;
        u64 pages;
    } lines[] = {
        {"MemTotal:", m.total},
        {"MemFree:", f[FRAME_FREE]},
        {"MemAvailable:", m.available},
        {"Buffers:", 0},
        {"Cached:", f[FRAME_FILE] + f[FRAME_SHMEM]},
        {"SwapCached:", m.swap.cached},
        {"Active:", f[FRAME_ANON]},
        {"Inactive:", f[FRAME_FILE] + f[FRAME_SHMEM]},
        {"Active(anon):", f[FRAME_ANON]},
        {"Inactive(anon):", f[FRAME_SHMEM]},
        {"Active(file):", 0},
        {"Inactive(file):", f[FRAME_FILE]},
        {"Unevictable:", m.locked},
        {"Mlocked:", m.locked},
        {"SwapTotal:", m.swap.slots},
        {"SwapFree:", m.swap.slots - m.swap.used},
        {"Zswap:", m.zswap.frames},
        {"Zswapped:", m.zswap.pages},
        {"Dirty:", m.dirty},
        {"Writeback:", 0},
        {"AnonPages:", f[FRAME_ANON]},
        {"Mapped:", m.mapped},
        {"Shmem:", f[FRAME_SHMEM]},
        {"KReclaimable:", 0},
        {"Slab:", f[FRAME_SLAB]},
        {"SReclaimable:", 0},
        {"SUnreclaim:", f[FRAME_SLAB]},
        {"KernelStack:", m.kernel_stacks},
        {"PageTables:", f[FRAME_TABLE]},
        {"SecPageTables:", 0},
        {"NFS_Unstable:", 0},
        {"Bounce:", 0},
        {"WritebackTmp:", 0},
        {"CommitLimit:", commit_limit()},
        {"Committed_AS:", m.committed},
    };
    for (unsigned i = 0; i < array_count(lines); i++)
        kb_line(t, lines[i].label, lines[i].pages);
    text_string(t, "VmallocTotal:   34359738367 kB\nVmallocUsed:           0 kB\nVmallocChunk:          0 kB\n");
    text_string(t, "Percpu:                0 kB\n");
    kb_line(t, "HardwareCorrupted:", atomic_load(&frames_offline));
    static const char *const none[] = {"ShmemHugePages:", "ShmemPmdMapped:", "FileHugePages:", "FilePmdMapped:"};
    kb_line(t, "AnonHugePages:", table_large_pages());
    for (unsigned i = 0; i < array_count(none); i++)
        kb_line(t, none[i], 0);
    text_string(
        t, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n"
           "Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    kb_line(t, "DirectMap4k:", 0);
    kb_line(t, "DirectMap2M:", m.now.given);
    return 0;
}

static void writeback_lines(struct text *t) {
    u64 background, most;
    writeback_thresholds(&background, &most);
    text_print(t, "nr_written %lu\nnr_dirty_threshold %lu\nnr_dirty_background_threshold %lu\n",
               (unsigned long)event_total(EVENT_OBJECT_WRITE_BACK), (unsigned long)most, (unsigned long)background);
}

static void reclaim_lines(struct text *t) {
    struct reclaim_totals r;
    struct background_totals b;
    reclaim_totals(&r);
    background_totals(&b);
    text_print(t, "pgsteal_kswapd %lu\npgsteal_direct %lu\n", (unsigned long)r.stolen[RECLAIM_BACKGROUND],
               (unsigned long)r.stolen[RECLAIM_DIRECT]);
    text_print(t, "pgscan_kswapd %lu\npgscan_direct %lu\n", (unsigned long)r.scanned[RECLAIM_BACKGROUND],
               (unsigned long)r.scanned[RECLAIM_DIRECT]);
    text_print(t, "allocstall_dma 0\nallocstall_dma32 0\nallocstall_normal %lu\nallocstall_movable 0\n",
               (unsigned long)r.stalls);
    text_print(t, "kswapd_low_wmark_hit_quickly 0\nkswapd_high_wmark_hit_quickly %lu\npageoutrun %lu\n",
               (unsigned long)b.ended_high, (unsigned long)b.rounds);
}

/* Linux's names first, then our own events under theirs. */
int proc_vmstat(struct synth *s, struct text *t) {
    struct memory m;
    look(&m);
    const u64 *f = m.now.frames;
    const struct {
        const char *name;
        u64 value;
    } lines[] = {
        {"nr_free_pages", f[FRAME_FREE]},
        {"nr_inactive_anon", f[FRAME_SHMEM]},
        {"nr_active_anon", f[FRAME_ANON]},
        {"nr_inactive_file", f[FRAME_FILE]},
        {"nr_active_file", 0},
        {"nr_unevictable", m.locked},
        {"nr_mlock", m.locked},
        {"nr_slab_reclaimable", 0},
        {"nr_slab_unreclaimable", f[FRAME_SLAB]},
        {"nr_anon_pages", f[FRAME_ANON]},
        {"nr_file_pages", f[FRAME_FILE] + f[FRAME_SHMEM]},
        {"nr_mapped", m.mapped},
        {"nr_dirty", m.dirty},
        {"nr_writeback", 0},
        {"nr_shmem", f[FRAME_SHMEM]},
        {"nr_kernel_stack", m.kernel_stacks * (PAGE_SIZE / KiB)}, /* in KiB, as on Linux */
        {"nr_page_table_pages", f[FRAME_TABLE]},
        {"pgpgin", event_total(EVENT_OBJECT_FILL) * (PAGE_SIZE / KiB)},
        {"pgpgout", event_total(EVENT_OBJECT_WRITE_BACK) * (PAGE_SIZE / KiB)},
        {"pswpin", event_total(EVENT_SWAP_IN)},
        {"pswpout", event_total(EVENT_SWAP_OUT)},
        {"zswpin", event_total(EVENT_ZSWAP_IN)},
        {"zswpout", event_total(EVENT_ZSWAP_OUT)},
        {"pgfault", event_total(EVENT_FAULT)},
        {"pgmajfault", event_total(EVENT_FAULT_MAJOR)},
        {"workingset_refault_file", event_total(EVENT_REFAULT)},
        {"oom_kill", event_total(EVENT_OOM)},
    };
    for (unsigned i = 0; i < array_count(lines); i++)
        text_print(t, "%s %lu\n", lines[i].name, (unsigned long)lines[i].value);
    writeback_lines(t);
    reclaim_lines(t);
    const struct {
        const char *name;
        u64 value;
    } tier[] = {
        {"pool_limit", m.zswap.limit},
        {"pool_pages", m.zswap.frames},
        {"stored_pages", m.zswap.pages},
        {"same_filled_pages", m.zswap.same},
        {"written_back_pages", m.zswap.written_back},
        {"reject_compress_poor", m.zswap.incompressible},
        {"reject_full", m.zswap.full},
    };
    for (unsigned i = 0; i < array_count(tier); i++)
        text_print(t, "quire_zswap_%s %lu\n", tier[i].name, (unsigned long)tier[i].value);
    text_print(t, "quire_swap_discarded %lu\n", (unsigned long)atomic_load_relaxed(&swap_discarded));
    for (unsigned e = 0; e < VM_EVENTS; e++)
        text_print(t, "quire_%s %lu\n", event_name(e), (unsigned long)event_total(e));
    return 0;
}

/* One node, one zone. */
int proc_zoneinfo(struct synth *s, struct text *t) {
    struct frame_marks m;
    struct frame_totals f;
    frame_marks(&m);
    frame_totals(&f);
    text_print(t, "Node 0, zone   Normal\n  pages free     %lu\n        boost    0\n        min      %lu\n",
               (unsigned long)f.frames[FRAME_FREE], (unsigned long)m.min);
    text_print(t, "        low      %lu\n        high     %lu\n        spanned  %lu\n        present  %lu\n",
               (unsigned long)m.low, (unsigned long)m.high, (unsigned long)frame_count, (unsigned long)f.given);
    text_print(t, "        managed  %lu\n        cma      0\n", (unsigned long)(f.given - f.frames[FRAME_RESERVED]));
    return 0;
}

/* ---- CPUs and time ---- */

/* user nice system idle iowait irq softirq steal guest guest_nice */
static void cpu_line(struct text *t, const char *name, u64 user, u64 system, u64 idle) {
    text_print(t, "%s %lu 0 %lu %lu 0 0 0 0 0 0\n", name, TICKS(user), TICKS(system), TICKS(idle));
}

int proc_system_stat(struct synth *s, struct text *t) {
    u64 user = 0, system = 0, idle = 0;
    char name[16];
    for (unsigned i = 0; i < cpu_count; i++) {
        user += cpu_user_ns(i);
        system += cpu_system_ns(i);
        idle += cpu_idle_ns(i);
    }
    cpu_line(t, "cpu ", user, system, idle);
    for (unsigned i = 0; i < cpu_count; i++) {
        ksnprintf(name, sizeof(name), "cpu%u", i);
        cpu_line(t, name, cpu_user_ns(i), cpu_system_ns(i), cpu_idle_ns(i));
    }
    text_print(t, "intr 0\nctxt %lu\nbtime %lu\nprocesses %lu\n", (unsigned long)context_switches(),
               (unsigned long)((clock_wall_ns() - clock_ns()) / NS_PER_S), (unsigned long)forks_total());
    text_print(t, "procs_running %lu\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
               (unsigned long)sched_running());
    return 0;
}

int proc_cpuinfo(struct synth *s, struct text *t) {
    struct cpu_identity id;
    cpu_identify(&id);
    for (unsigned i = 0; i < cpu_count; i++) {
        text_print(t, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\n", i,
                   id.vendor, id.family, id.model, id.model_name);
        text_print(t, "stepping\t: %u\nmicrocode\t: 0x1\ncpu MHz\t\t: %lu.%03lu\n", id.stepping,
                   (unsigned long)id.tsc_khz / 1000, (unsigned long)id.tsc_khz % 1000);
        if (id.cache_kib)
            text_print(t, "cache size\t: %u KB\n", id.cache_kib);
        text_print(t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\n", cpu_count,
                   i, cpu_count, cpu_of[i]->apic_id);
        text_print(
            t, "initial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:",
            cpu_of[i]->apic_id, id.level);
        const char *flag;
        for (unsigned cursor = 0; (flag = cpu_flag_next(&cursor));)
            text_print(t, " %s", flag);
        text_print(t, "\nbugs\t\t:\nbogomips\t: %lu.%02lu\nclflush size\t: %u\ncache_alignment\t: %u\n",
                   (unsigned long)id.tsc_khz / 500, (unsigned long)id.tsc_khz / 5 % 100, id.line_bytes, id.line_bytes);
        text_print(t, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n", id.physical_bits,
                   id.virtual_bits);
    }
    return 0;
}

int proc_uptime(struct synth *s, struct text *t) {
    u64 up = clock_ns(), idle = 0;
    for (unsigned i = 0; i < cpu_count; i++)
        idle += cpu_idle_ns(i);
    text_print(t, "%lu.%02lu %lu.%02lu\n", (unsigned long)(up / NS_PER_S), TICKS(up) % 100,
               (unsigned long)(idle / NS_PER_S), TICKS(idle) % 100);
    return 0;
}

int proc_loadavg(struct synth *s, struct text *t) {
    for (unsigned i = 0; i < 3; i++) {
        unsigned long load = sched_load(i) + LOAD_ONE / 200; /* rounded to hundredths */
        text_print(t, "%lu.%02lu ", load / LOAD_ONE, load % LOAD_ONE * 100 / LOAD_ONE);
    }
    int last = 0;
    struct process *p;
    while ((p = process_next(last))) { /* the newest number in use */
        last = p->pid;
        process_put(p);
    }
    text_print(t, "%lu/%lu %d\n", (unsigned long)sched_running(), (unsigned long)task_count(), last);
    return 0;
}

int proc_interrupts(struct synth *s, struct text *t) {
    text_string(t, "           ");
    for (unsigned i = 0; i < cpu_count; i++)
        text_print(t, "CPU%-8u", i);
    text_string(t, "\n");
    return 0;
}

/* ---- names ---- */

int proc_kernel_cmdline(struct synth *s, struct text *t) {
    text_string(t, "quire\n");
    return 0;
}

int proc_filesystems(struct synth *s, struct text *t) {
    static const char *const types[] = {"sysfs", "tmpfs", "proc", "devtmpfs", "pipefs", "devpts", "overlay", "9p"};
    for (unsigned i = 0; i < array_count(types); i++)
        text_print(t, "nodev\t%s\n", types[i]);
    return 0;
}
