/* proc.c - /proc: the tree. What its files say is made in proc_process.c (a process), proc_maps.c (its memory),
 * proc_fd.c (its files), proc_system.c and proc_frames.c (the machine) and proc_sysctl.c (/proc/sys).
 *
 * A directory's inode holds its process counted, so it can be asked safely after the process has ended; names in it are
 * then gone (-ENOENT) and its files fail (-ESRCH), as on Linux. Names are never cached: super.uncached. */
#include <linux/capability.h>

#include "fs/nsfs.h"
#include "fs/pidfd.h"
#include "fs/proc.h"
#include "fs/shm.h"
#include "lib/release.h"
#include "task/pressure.h"
#include "vm/space.h"

#define DIR (S_IFDIR | 0555)
#define FILE_R (S_IFREG | 0444)
#define FILE_ALL (S_IFREG | 0666)
#define PRESSURE(which, kind)                                                                                          \
    { .name = which, .mode = FILE_ALL, .show = proc_pressure, .file_ops = &proc_pressure_ops, .data = kind }
#define FILE_OWN (S_IFREG | 0400)
#define FILE_RW (S_IFREG | 0644)
#define LINK (S_IFLNK | 0777)

/* ---- who may look ---- */

bool process_alive(struct process *p) {
    struct process *found = process_find(p->pid);
    if (found)
        process_put(found);
    return found == p;
}

bool may_inspect(struct process *p) {
    const struct credentials *c = cred_current(), *other;
    if (!p || p == process_current() || capable(CAP_SYS_PTRACE))
        return true;
    other = &p->cred;
    return p->dumpable && c->fsuid == other->euid && c->fsuid == other->suid && c->fsuid == other->uid &&
           c->fsgid == other->egid && c->fsgid == other->sgid && c->fsgid == other->gid;
}

struct task *proc_task(struct synth *s) {
    struct task *t = task_find(s->tid ? (int)s->tid : s->process->pid);
    if (t && t->process != s->process) {
        task_put(t);
        t = NULL;
    }
    return t;
}

struct space *proc_space(struct synth *s) {
    return process_space(s->process);
}

/* ---- /proc/PID and /proc/PID/task/TID ---- */

static int namespace_follow(struct synth *s, struct path *out) { return namespace_path(s->node->data, out); }
#define NAMESPACE(of, kind)                                                                                            \
    { .name = of, .mode = LINK, .guarded = true, .follow = namespace_follow, .data = NAMESPACE_##kind }

static const struct synth_node namespace_links[] = {
    NAMESPACE("cgroup", CGROUP),
    NAMESPACE("ipc", IPC),
    NAMESPACE("mnt", MNT),
    NAMESPACE("net", NET),
    NAMESPACE("pid", PID),
    NAMESPACE("pid_for_children", PID),
    NAMESPACE("time", TIME),
    NAMESPACE("time_for_children", TIME),
    NAMESPACE("user", USER),
    NAMESPACE("uts", UTS),
    {.name = NULL},
};

/* What both directories have. */
#define TASK_FILES                                                                                                     \
    {.name = "auxv", .mode = FILE_OWN, .guarded = true, .show = proc_auxv},                                            \
        {.name = "cgroup", .mode = FILE_R, .content = "0::/\n"},                                                       \
        {.name = "clear_refs", .mode = S_IFREG | 0200, .guarded = true, .store = proc_clear_refs},                     \
        {.name = "cmdline", .mode = FILE_R, .show = proc_cmdline},                                                     \
        {.name = "comm", .mode = FILE_RW, .show = proc_comm, .store = proc_comm_store},                                \
        {.name = "cwd", .mode = LINK, .guarded = true, .follow = proc_cwd},                                            \
        {.name = "environ", .mode = FILE_OWN, .guarded = true, .show = proc_environ},                                  \
        {.name = "exe", .mode = LINK, .guarded = true, .follow = proc_exe},                                            \
        {.name = "fail-io-nth", .mode = FILE_RW, .guarded = true, .file_ops = &proc_fail_ops, .data = FAIL_IO},        \
        {.name = "fail-nth", .mode = FILE_RW, .guarded = true, .file_ops = &proc_fail_ops, .data = FAIL_ALLOC},        \
        {.name = "fd", .mode = S_IFDIR | 0500, .guarded = true, .own = true, .numbers = &proc_fds},                    \
        {.name = "fdinfo", .mode = DIR, .guarded = true, .numbers = &proc_fdinfos},                                    \
        {.name = "gid_map", .mode = FILE_RW, .content = "         0          0 4294967295\n"},                         \
        {.name = "io", .mode = FILE_OWN, .guarded = true, .show = proc_io},                                            \
        {.name = "limits", .mode = FILE_R, .show = proc_limits},                                                       \
        {.name = "loginuid", .mode = FILE_RW, .show = proc_login_uid, .store = proc_login_uid_store},                  \
        {.name = "maps", .mode = FILE_R, .guarded = true, .show = proc_maps},                                          \
        {.name = "mem", .mode = S_IFREG | 0600, .guarded = true, .file_ops = &proc_mem_ops},                           \
        {.name = "mountinfo", .mode = FILE_R, .show = proc_mountinfo},                                                 \
        {.name = "mounts", .mode = FILE_R, .show = proc_mounts},                                                       \
        {.name = "ns", .mode = S_IFDIR | 0511, .children = namespace_links},                                           \
        {.name = "numa_maps", .mode = FILE_R, .guarded = true, .show = proc_numa_maps},                                \
        {.name = "oom_adj", .mode = FILE_RW, .show = proc_oom_adj, .store = proc_oom_adj_store},                       \
        {.name = "oom_score", .mode = FILE_R, .show = proc_oom_score},                                                 \
        {.name = "oom_score_adj", .mode = FILE_RW, .show = proc_oom_score_adj, .store = proc_oom_score_adj_store},     \
        {.name = "pagemap", .mode = FILE_OWN, .guarded = true, .file_ops = &proc_pagemap_ops},                         \
        {.name = "personality", .mode = FILE_OWN, .guarded = true, .show = proc_personality},                          \
        {.name = "projid_map", .mode = FILE_RW, .content = "         0          0 4294967295\n"},                      \
        {.name = "root", .mode = LINK, .guarded = true, .follow = proc_root},                                          \
        {.name = "schedstat", .mode = FILE_R, .show = proc_schedstat},                                                 \
        {.name = "sessionid", .mode = FILE_R, .show = proc_session},                                                   \
        {.name = "setgroups", .mode = FILE_RW, .content = "allow\n"},                                                  \
        {.name = "smaps", .mode = FILE_R, .guarded = true, .show = proc_smaps},                                        \
        {.name = "smaps_rollup", .mode = FILE_R, .guarded = true, .show = proc_smaps_rollup},                          \
        {.name = "stack", .mode = FILE_OWN, .guarded = true, .content = ""},                                           \
        {.name = "stat", .mode = FILE_R, .show = proc_stat}, {.name = "statm", .mode = FILE_R, .show = proc_statm},    \
        {.name = "status", .mode = FILE_R, .show = proc_status},                                                       \
        {.name = "syscall", .mode = FILE_OWN, .guarded = true, .show = proc_syscall},                                  \
        {.name = "uid_map", .mode = FILE_RW, .content = "         0          0 4294967295\n"}, {                       \
        .name = "wchan", .mode = FILE_R, .content = "0"                                                                \
    }

static const struct synth_node task_node = {
    .mode = DIR,
    .children = (const struct synth_node[]){TASK_FILES, {.name = NULL}},
};

/* A leading thread that ended keeps its place as long as its process has one. */
static s64 thread_next(struct synth *dir, u64 from) {
    struct task *t = from > 0x7fffffff ? NULL : process_thread_next(dir->process, (int)from - 1);
    int leader = dir->process->pid;
    s64 tid = t ? t->tid : -1;
    if (from <= (u64)leader && (!t || tid > leader))
        tid = leader;
    if (t)
        task_put(t);
    return tid;
}

static int thread_enter(struct synth *dir, u64 number, struct synth *child) {
    child->tid = number;
    return 0;
}

static u64 thread_count(struct synth *dir) { return proc_thread_count(dir->process); }

static const struct synth_numbers threads = {
    .node = &task_node,
    .next = thread_next,
    .count = thread_count,
    .enter = thread_enter,
};

static const struct synth_node process_node = {
    .mode = DIR,
    .children = (const struct synth_node[]){TASK_FILES,
                                            {.name = "autogroup", .mode = FILE_RW, .content = "/autogroup-1 nice 0\n"},
                                            {.name = "coredump_filter", .mode = FILE_RW, .content = "00000033\n"},
                                            {.name = "mountstats", .mode = FILE_OWN, .content = ""},
                                            {.name = "net", .mode = DIR, .children = proc_net_children},
                                            {.name = "task", .mode = DIR, .numbers = &threads},
                                            {.name = "timerslack_ns", .mode = S_IFREG | 0666, .content = "50000\n"},
                                            {.name = NULL}},
};

static s64 pid_next(struct synth *dir, u64 from) {
    struct process *p = from > 0x7fffffff ? NULL : process_next((int)from - 1);
    s64 pid = p ? p->pid : -1;
    if (p)
        process_put(p);
    return pid;
}

/* The process with this pid, or with a thread of this tid; counted. */
static struct process *find_process(u64 number) {
    if (number > 0x7fffffff)
        return NULL;
    struct process *p = process_find((int)number);
    struct task *t = p ? NULL : task_find((int)number);
    if (t) {
        p = t->process;
        if (p)
            process_get(p);
        task_put(t);
    }
    return p;
}

/* A thread's number is found too, though it is not listed: proc(5), /proc/tid. */
static bool pid_has(struct synth *dir, u64 number) {
    struct process *p = find_process(number);
    if (p)
        process_put(p);
    return p;
}

static int pid_enter(struct synth *dir, u64 number, struct synth *child) {
    child->process = find_process(number);
    if (!child->process)
        return -ENOENT;
    child->tid = child->process->pid == (int)number ? 0 : number;
    return 0;
}

static u64 count_processes(struct synth *dir) { return process_count(); }

static const struct synth_numbers processes = {
    .node = &process_node,
    .next = pid_next,
    .count = count_processes,
    .has = pid_has,
    .enter = pid_enter,
};

/* ---- /proc ---- */

static ssize_t self_readlink(struct synth *s, char *buffer, size_t bytes) {
    char text[16];
    size_t length = ksnprintf(text, sizeof(text), "%d", process_current()->pid);
    memcpy(buffer, text, min(length, bytes));
    return min(length, bytes);
}

static ssize_t thread_self_readlink(struct synth *s, char *buffer, size_t bytes) {
    char text[48];
    size_t length = ksnprintf(text, sizeof(text), "%d/task/%d", process_current()->pid, task_current()->tid);
    memcpy(buffer, text, min(length, bytes));
    return min(length, bytes);
}

static const char version[] = RELEASE_SYSTEM " version " RELEASE_NUMBER " (quire) " RELEASE_VERSION "\n";

static const struct synth_node proc_node = {
    .mode = DIR,
    .numbers = &processes,
    .children =
        (const struct synth_node[]){
            {.name = "cgroups", .mode = FILE_R, .content = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"},
            {.name = "cmdline", .mode = FILE_R, .show = proc_kernel_cmdline},
            {.name = "consoles", .mode = FILE_R, .content = ""},
            {.name = "cpuinfo", .mode = FILE_R, .show = proc_cpuinfo},
            {.name = "devices",
             .mode = FILE_R,
             .content = "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n"
                        "  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"},
            {.name = "diskstats", .mode = FILE_R, .content = ""},
            {.name = "filesystems", .mode = FILE_R, .show = proc_filesystems},
            {.name = "interrupts", .mode = FILE_R, .show = proc_interrupts},
            {.name = "kpagecount", .mode = FILE_OWN, .file_ops = &proc_kpagecount_ops},
            {.name = "kpageflags", .mode = FILE_OWN, .file_ops = &proc_kpageflags_ops},
            {.name = "loadavg", .mode = FILE_R, .show = proc_loadavg},
            {.name = "meminfo", .mode = FILE_R, .show = proc_meminfo},
            {.name = "modules", .mode = FILE_R, .content = ""},
            {.name = "mounts", .mode = LINK, .content = "self/mounts"},
            {.name = "net", .mode = LINK, .content = "self/net"},
            {.name = "partitions", .mode = FILE_R, .content = "major minor  #blocks  name\n\n"},
            {.name = "pressure",
             .mode = DIR,
             .children = (const struct synth_node[]){PRESSURE("cpu", PRESSURE_CPU),
                                                     PRESSURE("io", PRESSURE_IO),
                                                     PRESSURE("memory", PRESSURE_MEMORY),
                                                     {.name = NULL}}},
            {.name = "self", .mode = LINK, .readlink = self_readlink},
            {.name = "slabinfo", .mode = FILE_OWN, .show = proc_slabinfo},
            {.name = "stat", .mode = FILE_R, .show = proc_system_stat},
            {.name = "swaps", .mode = FILE_R, .show = proc_swaps},
            {.name = "sys", .mode = DIR, .children = proc_sys_children},
            {.name = "sysvipc",
             .mode = DIR,
             .children = (const struct synth_node[]){{.name = "msg", .mode = FILE_R, .show = proc_sysvipc_msg},
                                                     {.name = "sem", .mode = FILE_R, .show = proc_sysvipc_sem},
                                                     {.name = "shm", .mode = FILE_R, .show = proc_sysvipc_shm},
                                                     {.name = NULL}}},
            {.name = "thread-self", .mode = LINK, .readlink = thread_self_readlink},
            {.name = "uptime", .mode = FILE_R, .show = proc_uptime},
            {.name = "version", .mode = FILE_R, .content = version},
            {.name = "vmstat", .mode = FILE_R, .show = proc_vmstat},
            {.name = "zoneinfo", .mode = FILE_R, .show = proc_zoneinfo},
            {.name = NULL},
        },
};

static struct super super = {
    .type = "proc",
    .dev = 21,
    .options = "rw,relatime",
    .uncached = true,
};

struct process *proc_directory_process(const struct file *f) {
    struct synth *s = f->inode->super == &super ? synth_of(f->inode) : NULL;
    struct process *p = s && s->node == &process_node ? s->process : NULL;
    if (p)
        process_get(p);
    return p;
}

struct super *proc_super(void) {
    if (!super.root && synth_mount(&super, &proc_node))
        return NULL;
    return &super;
}
