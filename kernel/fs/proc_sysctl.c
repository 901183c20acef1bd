/* proc_sysctl.c - /proc/sys: knobs. A constant is a line of the table; a number that may be changed has bounds; the
 * rest are functions.
 *
 * Knobs of things that we do not have (yet) keep what is written to them where Linux's programs write them as a matter
 * of course, and say so here by having a variable of their own. */

#include "fs/event.h"
#include "fs/inode.h"
#include "fs/inotify.h"
#include "fs/pipe.h"
#include "fs/proc.h"
#include "fs/pty.h"
#include "fs/shm.h"
#include "fs/swapfile.h"
#include "lib/random.h"
#include "lib/release.h"
#include "main.h"
#include "task/background.h"
#include "task/oom.h"
#include "vm/commit.h"
#include "vm/frame.h"
#include "vm/inner.h"
#include "vm/object.h"
#include "vm/roster.h"
#include "vm/slab.h"
#include "fs/userfault.h"
#include "vm/space.h"
#include "vm/swap.h"
#include "vm/writeback.h"

#define REPORT_BYTES (64 * KiB) /* of vm_check: findings are cut off there */

/* ---- kernel ---- */

static int show_hostname(struct synth *s, struct text *t) {
    char name[80];
    text_print(t, "%s\n", host_name_get(name, sizeof(name)));
    return 0;
}

static void print_uuid(struct text *t, const u8 *b) {
    for (unsigned i = 0; i < 16; i++)
        text_print(t, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    text_string(t, "\n");
}

/* A random UUID: RFC 4122, section 4.4. */
static void make_uuid(u8 *b) {
    random_bytes(b, 16);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
}

static int show_uuid(struct synth *s, struct text *t) {
    u8 uuid[16];
    make_uuid(uuid);
    print_uuid(t, uuid);
    return 0;
}

static int show_boot_id(struct synth *s, struct text *t) {
    static struct spin lock = SPIN_INIT; /* protects id, once */
    static u8 id[16];
    spin_lock(&lock);
    if (!id[6])
        make_uuid(id);
    spin_unlock(&lock);
    print_uuid(t, id);
    return 0;
}

static u64 core_uses_pid, randomize = 2, printk_level = 4, perf_paranoid = 3, sysrq, dmesg_restrict = 1;
static u64 pid_max = 4194304, threads_max = 65536, panic_seconds, hung_task;

static const struct synth_node random_children[] = {
    {.name = "boot_id", .mode = S_IFREG | 0444, .show = show_boot_id},
    {.name = "entropy_avail", .mode = S_IFREG | 0444, .content = "256\n"},
    {.name = "poolsize", .mode = S_IFREG | 0444, .content = "256\n"},
    {.name = "urandom_min_reseed_secs", .mode = S_IFREG | 0444, .content = "60\n"},
    {.name = "uuid", .mode = S_IFREG | 0444, .show = show_uuid},
    {.name = "write_wakeup_threshold", .mode = S_IFREG | 0444, .content = "256\n"},
    {.name = NULL},
};

static const struct synth_node yama_children[] = {
    {.name = "ptrace_scope", .mode = S_IFREG | 0644, .content = "0\n"}, /* as Debian: who may attach is ptrace(2)'s */
    {.name = NULL},
};

static const struct synth_node kernel_children[] = {
    {.name = "cap_last_cap", .mode = S_IFREG | 0444, .content = "40\n"}, /* CAP_CHECKPOINT_RESTORE */
    {.name = "core_pattern", .mode = S_IFREG | 0444, .content = "core\n"},
    {.name = "core_uses_pid", .mode = S_IFREG | 0644, .value = &core_uses_pid, .most = 1},
    {.name = "dmesg_restrict", .mode = S_IFREG | 0644, .value = &dmesg_restrict, .most = 1},
    {.name = "domainname", .mode = S_IFREG | 0444, .content = "(none)\n"},
    {.name = "hostname", .mode = S_IFREG | 0444, .show = show_hostname},
    {.name = "hung_task_timeout_secs", .mode = S_IFREG | 0644, .value = &hung_task, .most = 1UL << 31},
    {.name = "msgmax", .mode = S_IFREG | 0644, .value = &msg_bytes_most, .most = 1UL << 31},
    {.name = "msgmnb", .mode = S_IFREG | 0644, .value = &msg_queue_bytes, .most = 1UL << 31},
    {.name = "msgmni", .mode = S_IFREG | 0644, .value = &msg_queues_most, .most = 32768},
    {.name = "ngroups_max", .mode = S_IFREG | 0444, .content = "65536\n"},
    {.name = "osrelease", .mode = S_IFREG | 0444, .content = RELEASE_NUMBER "\n"},
    {.name = "ostype", .mode = S_IFREG | 0444, .content = RELEASE_SYSTEM "\n"},
    {.name = "overflowgid", .mode = S_IFREG | 0444, .content = "65534\n"},
    {.name = "overflowuid", .mode = S_IFREG | 0444, .content = "65534\n"},
    {.name = "panic", .mode = S_IFREG | 0644, .value = &panic_seconds, .most = 1UL << 31},
    {.name = "perf_event_paranoid", .mode = S_IFREG | 0644, .value = &perf_paranoid, .most = 4},
    {.name = "pty",
     .mode = S_IFDIR | 0555,
     .children =
         (const struct synth_node[]){
             {.name = "max", .mode = S_IFREG | 0644, .value = &pty_most, .most = 1 << 20},
             {.name = "nr", .mode = S_IFREG | 0444, .value = &pty_count},
             {.name = NULL},
         }},
    {.name = "pid_max", .mode = S_IFREG | 0644, .value = &pid_max, .least = 301, .most = 4194304},
    {.name = "printk", .mode = S_IFREG | 0644, .value = &printk_level, .most = 15},
    {.name = "random", .mode = S_IFDIR | 0555, .children = random_children},
    {.name = "randomize_va_space", .mode = S_IFREG | 0644, .value = &randomize, .most = 2},
    {.name = "sem", .mode = S_IFREG | 0444, .content = "32000\t1024000000\t500\t32000\n"},
    {.name = "shmall", .mode = S_IFREG | 0644, .value = &shm_all, .most = ~0UL},
    {.name = "shmmax", .mode = S_IFREG | 0644, .value = &shm_max, .most = ~0UL},
    {.name = "shmmni", .mode = S_IFREG | 0644, .value = &shm_segments_most, .most = 32768},
    {.name = "sysrq", .mode = S_IFREG | 0644, .value = &sysrq, .most = 511},
    {.name = "tainted", .mode = S_IFREG | 0444, .content = "0\n"},
    {.name = "threads-max", .mode = S_IFREG | 0644, .value = &threads_max, .least = 20, .most = 4194304},
    {.name = "version", .mode = S_IFREG | 0444, .content = RELEASE_VERSION "\n"},
    {.name = "yama", .mode = S_IFDIR | 0555, .children = yama_children},
    {.name = NULL},
};

/* ---- vm ---- */

/* 1: clean pages of files; 2: names, inodes and slabs; 3: both. */
static int store_drop_caches(struct synth *s, char *text, size_t bytes) {
    u64 what;
    if (!parse_number(text, &what) || what < 1 || what > 4)
        return -EINVAL;
    if (what & 1)
        vm_drop_caches();
    if (what & 2)
        vm_drop_slabs();
    frame_caches_drain();
    return 0;
}

/* The limit of mode 2 is a share of memory or a size: who sets one forgets the other. */
static int store_commit_share(struct synth *s, char *text, size_t bytes) {
    u64 *other = s->node->value == &commit_ratio ? &commit_kbytes : &commit_ratio;
    int error = synth_store_value(s->node, text);
    if (!error)
        *other = 0;
    return error;
}

/* Reading shows all policies, the current one in brackets; writing a name chooses. */
static int show_policy(struct synth *s, struct text *t) {
    for (unsigned i = 0; policies[i]; i++) {
        bool current = !strcmp(policies[i]->name, roster_policy());
        text_print(t, "%s%s%s%s", i ? " " : "", current ? "[" : "", policies[i]->name, current ? "]" : "");
    }
    text_string(t, "\n");
    return 0;
}

static int store_policy(struct synth *s, char *text, size_t bytes) { return vm_policy_choose(text); }

static u64 zswap_percent; /* of memory that the compressed tier may have: Linux's zswap.max_pool_percent */

static int store_zswap(struct synth *s, char *text, size_t bytes) {
    u64 was = zswap_percent;
    int error = synth_store_value(s->node, text);
    error = error ? error : swap_set_tier(frame_count * zswap_percent / 100);
    zswap_percent = error ? was : zswap_percent;
    return error;
}

static u64 check_at_end; /* --sysctl vm.check=1: report.c looks for it */

/* Reading it verifies the whole machine's memory: the report, and how many findings there are, as its last line. */
static int show_check(struct synth *s, struct text *t) {
    char *report = kmalloc(REPORT_BYTES);
    if (!report)
        return -ENOMEM;
    vm_check(report, REPORT_BYTES);
    text_string(t, report);
    kfree(report);
    return 0;
}

/* What is set may be less than was written: a quarter of memory is the most (frame.h). */
static int show_min_free(struct synth *s, struct text *t) {
    struct frame_marks m;
    frame_marks(&m);
    text_print(t, "%lu\n", (unsigned long)m.min * (PAGE_SIZE / KiB));
    return 0;
}

static int store_min_free(struct synth *s, char *text, size_t bytes) {
    int error = synth_store_value(s->node, text);
    if (!error)
        frame_set_min(*s->node->value / (PAGE_SIZE / KiB));
    return error;
}

static u64 dirty_expire = 3000; /* hundredths of a second */

/* A share and a size in bytes exclude each other, as on Linux: who sets one forgets the other. */
static int store_dirty(struct synth *s, char *text, size_t bytes) {
    struct writeback_limits *l = &writeback_limits;
    u64 *value = s->node->value;
    int error = synth_store_value(s->node, text);
    if (error)
        return error;
    if (value == &l->ratio)
        l->bytes = 0;
    else if (value == &l->bytes)
        l->ratio = 0;
    else if (value == &l->background_ratio)
        l->background_bytes = 0;
    else if (value == &l->background_bytes)
        l->background_ratio = 0;
    l->expire_ns = dirty_expire * 10000000UL;
    return 0;
}

static u64 swappiness = 60, nr_hugepages, min_free_kbytes, mmap_min_addr = 65536, vfs_cache_pressure = 100,
           nr_overcommit_hugepages, compact_memory, zone_reclaim, laptop_mode;

static const struct synth_node vm_children[] = {
    {.name = "admin_reserve_kbytes", .mode = S_IFREG | 0644, .value = &commit_admin_reserve, .most = ~0UL},
    {.name = "check", .mode = S_IFREG | 0644, .show = show_check, .value = &check_at_end, .most = 1},
    {.name = "compact_memory", .mode = S_IFREG | 0200, .value = &compact_memory, .least = 1, .most = 1},
    {.name = "dirty_background_bytes",
     .mode = S_IFREG | 0644,
     .value = &writeback_limits.background_bytes,
     .store = store_dirty,
     .most = ~0UL},
    {.name = "dirty_background_ratio",
     .mode = S_IFREG | 0644,
     .value = &writeback_limits.background_ratio,
     .store = store_dirty,
     .most = 100},
    {.name = "dirty_bytes",
     .mode = S_IFREG | 0644,
     .value = &writeback_limits.bytes,
     .store = store_dirty,
     .most = ~0UL},
    {.name = "dirty_expire_centisecs",
     .mode = S_IFREG | 0644,
     .value = &dirty_expire,
     .store = store_dirty,
     .most = 1UL << 31},
    {.name = "dirty_ratio",
     .mode = S_IFREG | 0644,
     .value = &writeback_limits.ratio,
     .store = store_dirty,
     .most = 100},
    {.name = "dirty_writeback_centisecs", .mode = S_IFREG | 0644, .value = &flusher_period_cs, .most = 1UL << 31},
    {.name = "drop_caches", .mode = S_IFREG | 0200, .store = store_drop_caches},
#ifdef QUIRE_SHADOW
    {.name = "drop_flush", .mode = S_IFREG | 0644, .value = &shadow_drop, .most = ~0UL},
#endif
    {.name = "laptop_mode", .mode = S_IFREG | 0644, .value = &laptop_mode, .most = 1UL << 31},
    {.name = "max_map_count", .mode = S_IFREG | 0644, .value = &vm_max_map_count, .most = 1UL << 31},
    {.name = "min_free_kbytes",
     .mode = S_IFREG | 0644,
     .show = show_min_free,
     .value = &min_free_kbytes,
     .store = store_min_free,
     .most = 1UL << 31},
    {.name = "mmap_min_addr", .mode = S_IFREG | 0444, .value = &mmap_min_addr, .most = ~0UL},
    {.name = "nr_hugepages", .mode = S_IFREG | 0644, .value = &nr_hugepages, .most = 0}, /* none can be had */
    {.name = "nr_overcommit_hugepages", .mode = S_IFREG | 0644, .value = &nr_overcommit_hugepages, .most = 0},
    {.name = "oom_dump_tasks", .mode = S_IFREG | 0644, .value = &oom_dump_tasks, .most = 1},
    {.name = "oom_kill_allocating_task", .mode = S_IFREG | 0644, .value = &oom_kill_allocating_task, .most = 1},
    {.name = "overcommit_kbytes",
     .mode = S_IFREG | 0644,
     .value = &commit_kbytes,
     .store = store_commit_share,
     .most = ~0UL},
    {.name = "overcommit_memory", .mode = S_IFREG | 0644, .value = &commit_mode, .most = 2},
    {.name = "overcommit_ratio",
     .mode = S_IFREG | 0644,
     .value = &commit_ratio,
     .store = store_commit_share,
     .most = 1UL << 31},
    {.name = "page-cluster", .mode = S_IFREG | 0644, .value = &swap_page_cluster, .most = 31},
    {.name = "panic_on_oom", .mode = S_IFREG | 0644, .value = &oom_panic, .most = 2},
    {.name = "policy", .mode = S_IFREG | 0644, .show = show_policy, .store = store_policy},
    {.name = "swappiness", .mode = S_IFREG | 0644, .value = &swappiness, .most = 200},
    {.name = "unprivileged_userfaultfd", .mode = S_IFREG | 0644, .value = &userfault_unprivileged, .most = 1},
    {.name = "user_reserve_kbytes", .mode = S_IFREG | 0644, .value = &commit_user_reserve, .most = ~0UL},
    {.name = "vfs_cache_pressure", .mode = S_IFREG | 0644, .value = &vfs_cache_pressure, .most = 1UL << 31},
    {.name = "zswap_max_pool_percent",
     .mode = S_IFREG | 0644,
     .value = &zswap_percent,
     .store = store_zswap,
     .most = 90},
    {.name = "zone_reclaim_mode", .mode = S_IFREG | 0644, .value = &zone_reclaim, .most = 7},
    {.name = NULL},
};

/* ---- fs ---- */

static u64 file_max = ~0UL >> 1, nr_open = 1048576, pipe_soft = 16384, pipe_hard, lease_time = 45, protected_fifos,
           protected_regular, suid_dumpable, epoll_watches = 1UL << 20;

static int show_file_nr(struct synth *s, struct text *t) {
    text_print(t, "0\t0\t%lu\n", (unsigned long)file_max); /* open files are not counted */
    return 0;
}

static const struct synth_node fs_children[] = {
    {.name = "aio-max-nr", .mode = S_IFREG | 0644, .value = &aio_events_most, .most = ~0UL},
    {.name = "aio-nr", .mode = S_IFREG | 0444, .value = &aio_events},
    {.name = "epoll",
     .mode = S_IFDIR | 0555,
     .children =
         (const struct synth_node[]){
             {.name = "max_user_watches", .mode = S_IFREG | 0644, .value = &epoll_watches, .most = ~0UL},
             {.name = NULL},
         }},
    {.name = "file-max", .mode = S_IFREG | 0644, .value = &file_max, .most = ~0UL >> 1},
    {.name = "file-nr", .mode = S_IFREG | 0444, .show = show_file_nr},
    {.name = "inotify",
     .mode = S_IFDIR | 0555,
     .children =
         (const struct synth_node[]){
             {.name = "max_queued_events", .mode = S_IFREG | 0644, .value = &inotify_events_most, .most = 1UL << 31},
             {.name = "max_user_instances",
              .mode = S_IFREG | 0644,
              .value = &inotify_instances_most,
              .most = 1UL << 31},
             {.name = "max_user_watches", .mode = S_IFREG | 0644, .value = &inotify_watches_most, .most = 1UL << 31},
             {.name = NULL},
         }},
    {.name = "mqueue",
     .mode = S_IFDIR | 0555,
     .children =
         (const struct synth_node[]){
             {.name = "msg_default", .mode = S_IFREG | 0644, .value = &mq_messages_usual, .least = 1, .most = 65536},
             {.name = "msg_max", .mode = S_IFREG | 0644, .value = &mq_messages_most, .least = 1, .most = 65536},
             {.name = "msgsize_default",
              .mode = S_IFREG | 0644,
              .value = &mq_bytes_usual,
              .least = 128,
              .most = 16 * MiB},
             {.name = "msgsize_max", .mode = S_IFREG | 0644, .value = &mq_bytes_most, .least = 128, .most = 16 * MiB},
             {.name = "queues_max", .mode = S_IFREG | 0644, .value = &mq_queues_most, .most = 1UL << 31},
             {.name = NULL},
         }},
    {.name = "lease-break-time", .mode = S_IFREG | 0644, .value = &lease_time, .most = 1UL << 31},
    {.name = "nr_open", .mode = S_IFREG | 0644, .value = &nr_open, .least = 64, .most = 1UL << 30},
    {.name = "pipe-max-size", .mode = S_IFREG | 0644, .value = &pipe_size_most, .least = PAGE_SIZE, .most = 1UL << 31},
    {.name = "pipe-user-pages-hard", .mode = S_IFREG | 0644, .value = &pipe_hard, .most = ~0UL},
    {.name = "pipe-user-pages-soft", .mode = S_IFREG | 0644, .value = &pipe_soft, .most = ~0UL},
    {.name = "protected_fifos", .mode = S_IFREG | 0600, .value = &protected_fifos, .most = 2},
    {.name = "protected_hardlinks", .mode = S_IFREG | 0600, .value = &protected_hardlinks, .most = 1},
    {.name = "protected_regular", .mode = S_IFREG | 0600, .value = &protected_regular, .most = 2},
    {.name = "protected_symlinks", .mode = S_IFREG | 0600, .value = &protected_symlinks, .most = 1},
    {.name = "suid_dumpable", .mode = S_IFREG | 0644, .value = &suid_dumpable, .most = 2},
    {.name = NULL},
};

const struct synth_node proc_sys_children[] = {
    {.name = "fs", .mode = S_IFDIR | 0555, .children = fs_children},
    {.name = "kernel", .mode = S_IFDIR | 0555, .children = kernel_children},
    {.name = "net", .mode = S_IFDIR | 0555, .children = proc_sys_net_children},
    {.name = "vm", .mode = S_IFDIR | 0555, .children = vm_children},
    {.name = NULL},
};

/* ---- by name: the command's --sysctl ---- */

static const struct synth_node *find_child(const struct synth_node *table, const char *name, size_t bytes) {
    for (; table && table->name; table++) {
        if (strlen(table->name) == bytes && !memcmp(table->name, name, bytes))
            return table;
    }
    return NULL;
}

int sysctl_set(const char *assignment) {
    const char *value = strchr(assignment, '='), *name = assignment;
    const struct synth_node *node = NULL, *table = proc_sys_children;

    if (!value)
        return -EINVAL;
    while (name < value) {
        size_t bytes = 0;
        while (name + bytes < value && name[bytes] != '.' && name[bytes] != '/')
            bytes++;
        node = find_child(table, name, bytes);
        if (!node)
            return -ENOENT;
        table = node->children;
        name += bytes + 1;
    }
    if (!node || !(node->value || node->store) || !(node->mode & 0222))
        return -EACCES;
    struct synth s = {.node = node};
    return node->store ? node->store(&s, (char *)value + 1, strlen(value + 1)) : synth_store_value(node, value + 1);
}
