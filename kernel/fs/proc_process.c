/* proc_process.c - what /proc/PID and /proc/PID/task/TID say of a process and of a thread: status, stat, names, limits.
 *
 * The order of lines, the columns and the fields are those of Linux 6.1 (proc(5)). What we do not count is 0, as it is
 * there on a kernel built without the option. */
#include <linux/capability.h>
#include <linux/oom.h>

#include "arch/x86_64/usercopy.h"
#include "fs/file.h"
#include "fs/io.h"
#include "fs/proc.h"
#include "fs/tty.h"
#include "task/oom.h"
#include "task/seccomp.h"
#include "task/times.h"
#include "task/trace.h"

#include "vm/slab.h"
#include "vm/space.h"

#define KB(pages) ((unsigned long)(pages) * (PAGE_SIZE / KiB))
#define TICKS(ns) ((unsigned long)((ns) / CLOCK_TICK_NS))
#define NODE_WORDS 32 /* Debian's kernels are built for 1024 memory nodes: so many words has their mask */

/* Numbers of a process's signals, gathered under its lock. */
struct signal_sets {
    u64 task_pending, process_pending, blocked, ignored, caught;
    u32 queued;
};

static void signals_of(struct process *p, struct task *task, struct signal_sets *out) {
    *out = (struct signal_sets){0};
    spin_lock(&p->signal_lock);
    out->process_pending = p->pending.set;
    out->queued = p->queued_signals;
    if (task) {
        out->task_pending = task->pending.set;
        out->blocked = task->blocked;
    }
    for (int i = 0; p->actions && i < SIGNAL_COUNT; i++) {
        __sighandler_t handler = p->actions[i].sa_handler;
        if (handler == SIG_IGN)
            out->ignored |= 1UL << i;
        else if (handler != SIG_DFL)
            out->caught |= 1UL << i;
    }
    spin_unlock(&p->signal_lock);
}

/* With a leading thread that ended, as Linux counts. */
unsigned proc_thread_count(const struct process *p) {
    struct task *leader = task_find(p->pid);
    unsigned count = p->thread_count + !leader;
    if (leader)
        task_put(leader);
    return count;
}

static char letter_of(struct synth *s, struct task *task) {
    return s->tid && task ? task_state_letter(task) : process_state_letter(s->process);
}

static const char *name_of(const struct process *p, const struct task *task) { return task ? task->name : p->name; }

/* ---- status ---- */

static const char *state_word(char letter) {
    switch (letter) {
    case 'R':
        return "R (running)";
    case 'S':
        return "S (sleeping)";
    case 'D':
        return "D (disk sleep)";
    case 'T':
        return "T (stopped)";
    case 't':
        return "t (tracing stop)";
    case 'Z':
        return "Z (zombie)";
    default:
        return "X (dead)";
    }
}

/* A table's size as Linux grows it: powers of two from 64 on. */
static unsigned descriptor_slots(struct process *p) {
    struct files *files = process_files(p);
    unsigned size = 64;
    if (!files)
        return 0;
    for (int fd = fd_next_of(files, 0); fd >= 0; fd = fd_next_of(files, fd + 1)) {
        while (size <= (unsigned)fd)
            size *= 2;
    }
    files_put(files);
    return size;
}

static unsigned umask_of(struct process *p) {
    struct fs_root *root = process_fs_root(p);
    unsigned mask = root ? root->umask : 0;
    if (root)
        fs_root_put(root);
    return mask;
}

/* The i-th supplementary group; the list may be exchanged at any time. */
static bool group_at(struct process *p, u32 i, u32 *gid) {
    spin_lock(&p->lock);
    bool there = i < p->cred.group_count;
    if (there)
        *gid = p->cred.groups->gids[i];
    spin_unlock(&p->lock);
    return there;
}

static void status_ids(struct process *p, int tid, int tracer, struct text *t) {
    const struct credentials *c = &p->cred;
    text_print(t, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", p->pid, tid, process_parent_pid(p),
               tracer);
    text_print(t, "Uid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid);
    text_print(t, "Gid:\t%u\t%u\t%u\t%u\n", c->gid, c->egid, c->sgid, c->fsgid);
    text_print(t, "FDSize:\t%u\nGroups:\t", descriptor_slots(p));
    u32 gid;
    for (u32 i = 0; group_at(p, i, &gid); i++)
        text_print(t, "%s%u", i ? " " : "", gid);
    text_string(t, " \n");
    text_print(t, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", p->pid, tid, p->pgid, p->sid);
}

static void status_memory(struct space *space, struct text *t) {
    const struct space_info *info = space_info(space);
    struct space_totals totals;
    struct space_usage u;
    space_totals(space, &totals);
    space_usage(space, 0, USER_TOP, &u);
    u64 resident = u.anon + u.file + u.shmem;
    u64 code = (page_align_up(info->code_end) - (info->code_start & PAGE_MASK)) / PAGE_SIZE;
    code = min(code, totals.exec);
    const struct {
        const char *label;
        u64 pages;
    } lines[] = {
        {"VmPeak:", max(totals.peak_total, totals.total)},
        {"VmSize:", totals.total},
        {"VmLck:", totals.locked},
        {"VmPin:", 0},
        {"VmHWM:", max(totals.peak_resident, resident)},
        {"VmRSS:", resident},
        {"RssAnon:", u.anon},
        {"RssFile:", u.file},
        {"RssShmem:", u.shmem},
        {"VmData:", totals.data},
        {"VmStk:", totals.stack},
        {"VmExe:", code},
        {"VmLib:", totals.exec - code},
        {"VmPTE:", totals.tables},
        {"VmSwap:", u.swap},
        {"HugetlbPages:", 0},
    };
    for (unsigned i = 0; i < array_count(lines); i++)
        text_print(t, "%s\t%8lu kB\n", lines[i].label, KB(lines[i].pages));
    text_print(t, "CoreDumping:\t0\nTHP_enabled:\t%d\n", !space_limits(space)->no_large);
}

static void status_signals(struct process *p, struct task *task, struct text *t) {
    struct signal_sets sets;
    signals_of(p, task, &sets);
    text_print(t, "Threads:\t%u\nSigQ:\t%u/%lu\n", proc_thread_count(p), sets.queued,
               p->limits[RLIMIT_SIGPENDING].rlim_cur);
    text_print(t, "SigPnd:\t%016lx\nShdPnd:\t%016lx\n", (unsigned long)sets.task_pending,
               (unsigned long)sets.process_pending);
    text_print(t, "SigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n", (unsigned long)sets.blocked,
               (unsigned long)sets.ignored, (unsigned long)sets.caught);
}

static void status_rights(struct process *p, const struct task *task, struct text *t) {
    const struct credentials *c = &p->cred;
    text_print(t, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n", (unsigned long)c->cap_inheritable,
               (unsigned long)c->cap_permitted, (unsigned long)c->cap_effective);
    text_print(t, "CapBnd:\t%016lx\nCapAmb:\t%016lx\n", (unsigned long)c->cap_bounding, (unsigned long)c->cap_ambient);
    text_print(t, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n", p->no_new_privs,
               task ? task->seccomp_mode : 0, task ? seccomp_filters(task) : 0);
    text_string(t, "Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\tunknown\n");
}

/* CPUs as a mask in 32-bit words, highest first, and as a list. */
static void show_affinity(struct task *task, struct text *t) {
    unsigned words = (cpu_count + 31) / 32;
    text_string(t, "Cpus_allowed:\t");
    for (unsigned i = words; i-- > 0;) {
        u32 possible = i == words - 1 && cpu_count % 32 ? (1u << cpu_count % 32) - 1 : ~0u;
        u32 word = (u32)(task ? task->affinity[i / 2] >> (i % 2 * 32) : ~0UL) & possible;
        /* the first word is as wide as there are CPUs */
        text_print(t, i == words - 1 ? "%0*x" : ",%0*x", i == words - 1 ? (int)((cpu_count - 1) % 32 / 4 + 1) : 8,
                   word);
    }
    text_string(t, "\nCpus_allowed_list:\t");
    const char *comma = "";
    for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
        unsigned first = cpu;
        while (cpu < cpu_count && (!task || task->affinity[cpu / 64] >> cpu % 64 & 1))
            cpu++;
        if (cpu == first)
            continue;
        text_print(t, cpu == first + 1 ? "%s%u" : "%s%u-%u", comma, first, cpu - 1);
        comma = ",";
    }
    text_string(t, "\nMems_allowed:\t");
    for (unsigned i = NODE_WORDS; i-- > 0;)
        text_print(t, "%08x%s", i == 0, i ? "," : "\n");
    text_string(t, "Mems_allowed_list:\t0\n");
}

int proc_status(struct synth *s, struct text *t) {
    struct process *p = s->process;
    struct task *task = proc_task(s);
    struct space *space = proc_space(s);

    text_string(t, "Name:\t");
    text_escaped(t, name_of(s->process, task), "\n");
    text_print(t, "\nUmask:\t%04o\nState:\t%s\n", umask_of(p), state_word(letter_of(s, task)));
    status_ids(p, s->tid ? (int)s->tid : p->pid, task ? trace_tracer_pid(task) : 0, t);
    if (space) {
        status_memory(space, t);
        space_put(space);
    }
    status_signals(p, task, t);
    status_rights(p, task, t);
    show_affinity(task, t);
    text_print(t, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
               task ? (unsigned long)task->switches_voluntary : 0UL, task ? (unsigned long)task->switches_forced : 0UL);
    if (task)
        task_put(task);
    return 0;
}

/* ---- stat, statm ---- */

#define PF_RANDOMIZE 0x400000u /* the flags of proc(5), "flags", that mean something here */
#define PF_FORKNOEXEC 0x40u
#define PF_KTHREAD 0x200000u

/* Addresses and sizes; zero without a space. */
struct stat_memory {
    u64 total, resident;
    struct space_info info;
};

static void stat_memory(struct synth *s, struct stat_memory *m) {
    struct space *space = proc_space(s);
    struct space_usage u;
    struct space_totals totals;
    memset(m, 0, sizeof(*m));
    if (!space)
        return;
    space_totals(space, &totals);
    space_usage(space, 0, USER_TOP, &u);
    m->total = totals.total;
    m->resident = u.anon + u.file + u.shmem;
    if (may_inspect(s->process))
        m->info = *space_info(space);
    space_put(space);
}

/* Fields 4 to 17: the family, the terminal, faults and times. */
static void stat_family(struct synth *s, struct task *task, struct text *t) {
    struct process *p = s->process;
    struct tty *tty = tty_of_process(p);
    u64 user, system;
    struct faults faults;
    if (s->tid && task) {
        task_times(task, &user, &system);
        faults = (struct faults){task->faults_minor, task->faults_major};
    } else {
        process_cpu_time(p, &user, &system);
        faults = process_faults(p);
    }
    u32 flags = p->kernel ? PF_KTHREAD : PF_RANDOMIZE | (p->executed ? 0 : PF_FORKNOEXEC);
    text_print(t, "%d %d %d %d %d %u ", process_parent_pid(p), p->pgid, p->sid, tty ? (int)tty->device : 0,
               tty ? tty->foreground : -1, flags);
    if (tty)
        tty_put(tty);
    text_print(t, "%lu %lu %lu %lu ", (unsigned long)faults.minor, (unsigned long)p->children_faults_minor,
               (unsigned long)faults.major, (unsigned long)p->children_faults_major);
    text_print(t, "%lu %lu %lu %lu ", TICKS(user), TICKS(system), TICKS(p->children_user_ns),
               TICKS(p->children_system_ns));
}

int proc_stat(struct synth *s, struct text *t) {
    struct process *p = s->process;
    struct task *task = proc_task(s);
    struct stat_memory *m = kmalloc(sizeof(*m));
    struct signal_sets sets;
    int nice = task ? task->nice : 0;

    if (!m) {
        if (task)
            task_put(task);
        return -ENOMEM;
    }
    stat_memory(s, m);
    signals_of(p, task, &sets);
    const struct space_info *i = &m->info;
    text_print(t, "%d (%s) %c ", s->tid ? (int)s->tid : p->pid, name_of(s->process, task), letter_of(s, task));
    stat_family(s, task, t);
    text_print(t, "%d %d %u 0 %lu %lu %lu %lu ", 20 + nice, nice, proc_thread_count(p), TICKS(p->start_ns),
               (unsigned long)m->total * PAGE_SIZE, (unsigned long)m->resident, p->limits[RLIMIT_RSS].rlim_cur);
    text_print(t, "%lu %lu %lu 0 0 ", (unsigned long)i->code_start, (unsigned long)i->code_end,
               (unsigned long)i->stack_start);
    /* only signals 1 to 31 show here: the fields are obsolete */
    const u64 shown = 0x7fffffff;
    text_print(t, "%lu %lu %lu %lu 0 0 0 ", (unsigned long)(sets.task_pending & shown),
               (unsigned long)(sets.blocked & shown), (unsigned long)(sets.ignored & shown),
               (unsigned long)(sets.caught & shown));
    text_print(t, "%d %u %u %u 0 0 0 ", p->exit_signal, task ? task->cpu : 0, task ? task->realtime_priority : 0,
               task ? task->policy : 0);
    text_print(t, "%lu %lu %lu %lu %lu %lu %lu ", (unsigned long)i->data_start, (unsigned long)i->data_end,
               (unsigned long)i->brk_start, (unsigned long)i->arg_start, (unsigned long)i->arg_end,
               (unsigned long)i->env_start, (unsigned long)i->env_end);
    text_print(t, "%d\n", may_inspect(p) ? p->exit_status : 0);
    kfree(m);
    if (task)
        task_put(task);
    return 0;
}

int proc_statm(struct synth *s, struct text *t) {
    struct space *space = proc_space(s);
    struct space_totals totals = {0};
    struct space_usage u = {0};
    u64 code = 0;
    if (space) {
        const struct space_info *i = space_info(space);
        space_totals(space, &totals);
        space_usage(space, 0, USER_TOP, &u);
        code = (page_align_up(i->code_end) - (i->code_start & PAGE_MASK)) / PAGE_SIZE;
        space_put(space);
    }
    text_print(t, "%lu %lu %lu %lu 0 %lu 0\n", (unsigned long)totals.total, (unsigned long)(u.anon + u.file + u.shmem),
               (unsigned long)(u.file + u.shmem), (unsigned long)code, (unsigned long)(totals.data + totals.stack));
    return 0;
}

/* ---- from the program's own memory: cmdline, environ, auxv ---- */

/* Bytes [start, end) of the space, in pieces; the cursor counts them. */
static void copy_range(struct space *space, u64 start, u64 end, struct text *t) {
    char *page = kmalloc(PAGE_SIZE);
    if (!page)
        t->error = -ENOMEM;
    while (page && start + t->cursor < end && !text_full(t)) {
        ssize_t some = min(end - start - t->cursor, PAGE_SIZE);
        some = space_copy(space, start + t->cursor, page, some, false, false);
        if (some <= 0)
            break;
        text_add(t, page, some);
        t->cursor += some;
        t->more = text_full(t);
    }
    kfree(page);
}

int proc_cmdline(struct synth *s, struct text *t) {
    struct space *space = proc_space(s);
    if (!space)
        return 0;
    const struct space_info *i = space_info(space);
    /* setproctitle(3bsd) writes over the arguments and on into the environment: then the last byte is no end of a
     * string */
    char last = 0;
    bool overwritten =
        i->arg_end > i->arg_start && space_copy(space, i->arg_end - 1, &last, 1, false, false) == 1 && last != 0;
    copy_range(space, i->arg_start, overwritten ? i->env_end : i->arg_end, t);
    if (overwritten && !t->error) {
        char *end = memchr(t->buffer ? t->buffer : "", 0, t->bytes);
        t->bytes = end ? (size_t)(end - t->buffer) + 1 : t->bytes;
        t->more = false;
    }
    space_put(space);
    return 0;
}

int proc_environ(struct synth *s, struct text *t) {
    struct space *space = proc_space(s);
    if (space) {
        const struct space_info *i = space_info(space);
        copy_range(space, i->env_start, i->env_end, t);
        space_put(space);
    }
    return 0;
}

int proc_auxv(struct synth *s, struct text *t) {
    struct space *space = proc_space(s);
    if (space) {
        const u64 *auxv = space_info(space)->auxv;
        unsigned words = 0;
        while (words + 2 < array_count(((struct space_info *)NULL)->auxv) && auxv[words]) /* AT_NULL ends it */
            words += 2;
        text_add(t, (const char *)auxv, (words + 2) * sizeof(u64));
        space_put(space);
    }
    return 0;
}

/* ---- small ones ---- */

int proc_comm(struct synth *s, struct text *t) {
    struct task *task = proc_task(s);
    text_print(t, "%s\n", name_of(s->process, task));
    if (task)
        task_put(task);
    return 0;
}

/* Only a process's own threads may rename it. */
int proc_comm_store(struct synth *s, char *text, size_t bytes) {
    struct task *task = proc_task(s);
    int error = task ? 0 : -ESRCH;
    if (task && task->process != process_current())
        error = -EINVAL;
    if (!error)
        ksnprintf(task->name, sizeof(task->name), "%s", text);
    if (task)
        task_put(task);
    return error;
}

int proc_limits(struct synth *s, struct text *t) {
    static const struct {
        const char *name, *unit;
    } lines[RLIM_NLIMITS] = {
        [RLIMIT_CPU] = {"Max cpu time", "seconds"},         [RLIMIT_FSIZE] = {"Max file size", "bytes"},
        [RLIMIT_DATA] = {"Max data size", "bytes"},         [RLIMIT_STACK] = {"Max stack size", "bytes"},
        [RLIMIT_CORE] = {"Max core file size", "bytes"},    [RLIMIT_RSS] = {"Max resident set", "bytes"},
        [RLIMIT_NPROC] = {"Max processes", "processes"},    [RLIMIT_NOFILE] = {"Max open files", "files"},
        [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},  [RLIMIT_AS] = {"Max address space", "bytes"},
        [RLIMIT_LOCKS] = {"Max file locks", "locks"},       [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
        [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"}, [RLIMIT_NICE] = {"Max nice priority", NULL},
        [RLIMIT_RTPRIO] = {"Max realtime priority", NULL},  [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
    };
    text_print(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
        const unsigned long values[2] = {s->process->limits[i].rlim_cur, s->process->limits[i].rlim_max};
        text_print(t, "%-25s ", lines[i].name);
        for (unsigned n = 0; n < 2; n++) {
            if (values[n] == ~0UL)
                text_print(t, "%-20s ", "unlimited");
            else
                text_print(t, "%-20lu ", values[n]);
        }
        if (lines[i].unit)
            text_print(t, "%-10s", lines[i].unit);
        text_string(t, "\n");
    }
    return 0;
}

/* Bytes moved are not counted. */
int proc_io(struct synth *s, struct text *t) {
    text_string(t, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return 0;
}

int proc_personality(struct synth *s, struct text *t) {
    text_print(t, "%08x\n", s->process->personality);
    return 0;
}

int proc_schedstat(struct synth *s, struct text *t) {
    struct task *task = proc_task(s);
    u64 user = 0, system = 0;
    if (task) {
        task_times(task, &user, &system);
        text_print(t, "%lu 0 %lu\n", (unsigned long)(user + system),
                   (unsigned long)(task->switches_voluntary + task->switches_forced));
        task_put(task);
    }
    return 0;
}

/* ---- the out-of-memory killer's opinion ---- */

/* Points in thousandths of memory and swap, mapped to 0..2000 as Linux 6.1 does: 666 has nothing. */
int proc_oom_score(struct synth *s, struct text *t) {
    struct space_resident has;
    u64 total = oom_total();
    long points = oom_badness(s->process, total, &has);
    text_print(t, "%ld\n", points == OOM_NEVER ? 0 : (1000 + points * 1000 / (long)total) * 2 / 3);
    return 0;
}

int proc_oom_score_adj(struct synth *s, struct text *t) {
    text_print(t, "%d\n", s->process->oom_score_adj);
    return 0;
}

/* A number, perhaps with a sign and blanks before it. */
static bool parse_signed(const char *text, long *value) {
    while (*text == ' ' || *text == '\t')
        text++;
    bool negative = *text == '-';
    u64 number;
    if (!parse_number(text + (negative || *text == '+'), &number) || number > 0x7fffffff)
        return false;
    *value = negative ? -(long)number : (long)number;
    return true;
}

/* Processes that share a space die together, so they are judged alike; not who has it from vfork. */
static void adjust_sharers(struct process *p) {
    const struct space *space = atomic_load(&p->space);
    struct process *q;
    for (int pid = 1; space && p->space_shared && (q = process_next(pid));) {
        pid = q->pid;
        if (q != p && atomic_load(&q->space) == space && !atomic_load(&q->vfork_pending)) {
            q->oom_score_adj = p->oom_score_adj;
            q->oom_score_adj_min = p->oom_score_adj_min;
        }
        process_put(q);
    }
}

static int set_adjustment(struct process *p, long value, bool old_file) {
    bool may = capable(CAP_SYS_RESOURCE);
    if (value < (old_file ? p->oom_score_adj : p->oom_score_adj_min) && !may)
        return -EACCES;
    p->oom_score_adj = value;
    if (may && !old_file)
        p->oom_score_adj_min = value;
    if (!atomic_load(&p->vfork_pending))
        adjust_sharers(p);
    return 0;
}

int proc_oom_score_adj_store(struct synth *s, char *text, size_t bytes) {
    long value;
    if (!parse_signed(text, &value) || value < OOM_SCORE_ADJ_MIN || value > OOM_SCORE_ADJ_MAX)
        return -EINVAL;
    return set_adjustment(s->process, value, false);
}

/* The older file has a coarser scale. */
int proc_oom_adj(struct synth *s, struct text *t) {
    int score = s->process->oom_score_adj;
    text_print(t, "%d\n", score == OOM_SCORE_ADJ_MAX ? OOM_ADJUST_MAX : score * -OOM_DISABLE / OOM_SCORE_ADJ_MAX);
    return 0;
}

int proc_oom_adj_store(struct synth *s, char *text, size_t bytes) {
    long value;
    if (!parse_signed(text, &value) || ((value < OOM_ADJUST_MIN || value > OOM_ADJUST_MAX) && value != OOM_DISABLE))
        return -EINVAL;
    return set_adjustment(s->process,
                          value == OOM_ADJUST_MAX ? OOM_SCORE_ADJ_MAX : value * OOM_SCORE_ADJ_MAX / -OOM_DISABLE, true);
}

/* ---- who logged in: kept for pam_loginuid(8), without which cron and at run nothing ---- */

int proc_login_uid(struct synth *s, struct text *t) {
    text_print(t, "%u", s->process->login_uid);
    return 0;
}

int proc_session(struct synth *s, struct text *t) {
    text_print(t, "%u", s->process->login_session);
    return 0;
}

/* Everybody may say it once, of himself. */
int proc_login_uid_store(struct synth *s, char *text, size_t bytes) {
    static u32 sessions; /* [a] */
    struct process *p = s->process;
    u64 uid;
    if (p != process_current())
        return -EPERM;
    if (!parse_number(text, &uid))
        return -EINVAL;
    if (uid > ~0u)
        return -ERANGE;
    if (p->login_uid != ~0u && !capable(CAP_AUDIT_CONTROL))
        return -EPERM;
    p->login_session = uid == ~0u ? ~0u : atomic_add(&sessions, 1);
    p->login_uid = (u32)uid;
    return 0;
}

/* ---- syscall: where a task sleeps ---- */

/* Its registers hold still while it is on its process's list and its end needs the lock, or when it is the one that
 * asks; another that runs is "running". */
int proc_syscall(struct synth *s, struct text *t) {
    struct task *task = proc_task(s);
    struct process *p = s->process;
    struct regs r;
    bool sleeps;

    if (!task)
        return -ESRCH;
    spin_lock(&p->signal_lock);
    sleeps = !list_empty(&task->thread_link) && (task == task_current() || atomic_load(&task->state) == TASK_SLEEPING);
    if (sleeps)
        r = *arch_task_regs(&task->arch);
    spin_unlock(&p->signal_lock);
    if (!sleeps)
        text_string(t, "running\n");
    else if ((s64)r.orig_rax < 0)
        text_print(t, "-1 0x%lx 0x%lx\n", r.rsp, r.rip);
    else
        text_print(t, "%lu 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx\n", r.orig_rax, r.rdi, r.rsi, r.rdx, r.r10,
                   r.r8, r.r9, r.rsp, r.rip);
    task_put(task);
    return 0;
}

/* ---- failures on request (task/failing.h). Read and written without an allocation, which would count itself ---- */

static ssize_t fail_read(struct file *file, struct iov *to, u64 *position) {
    struct synth *s = synth_of(file->inode);
    struct task *task = proc_task(s);
    char line[16];
    if (!task)
        return -ESRCH;
    size_t bytes = ksnprintf(line, sizeof(line), "%u\n", task_fail_left(task, s->node->data));
    task_put(task);
    if (*position >= bytes)
        return 0;
    size_t moved = iov_put(to, line + *position, bytes - *position);
    *position += moved;
    return moved ? (ssize_t)moved : -EFAULT;
}

static ssize_t fail_write(struct file *file, struct iov *from, u64 *position) {
    struct synth *s = synth_of(file->inode);
    char line[16];
    u64 nth;
    size_t bytes = min((size_t)from->bytes, sizeof(line) - 1);
    if (iov_take(from, line, bytes) != bytes)
        return -EFAULT;
    line[bytes && line[bytes - 1] == '\n' ? bytes - 1 : bytes] = 0;
    if (!parse_number(line, &nth) || nth > ~0u)
        return -EINVAL;
    struct task *task = proc_task(s);
    if (!task)
        return -ESRCH;
    task_fail_set(task, s->node->data, nth);
    task_put(task);
    return bytes;
}

const struct file_ops proc_fail_ops = {.read = fail_read, .write = fail_write, .seek = synth_seek};
