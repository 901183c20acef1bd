/* first.c - pid 1, and the program that the command asked for.
 *
 * Pid 1 is the kernel's own process: it has no space, hears no signal, and takes in orphans, which exit.c reaps at
 * once. The program is its child, so that default signal actions apply to it, and leads a session and a group of its
 * own. When the program ends, pid 1 kills what is left, waits until the family is empty, and tells the command how it
 * ended. */
#include <linux/capability.h>
#include <linux/personality.h>

#include "fs/file.h"
#include "fs/vfs.h"
#include "main.h"
#include "task/exec.h"

/* The limits that Debian's kernel gives its first process, but no core files: there is nobody to read them. */
#define STACK_LIMIT (8 * MiB)
#define FILE_LIMIT 1024
#define FILE_LIMIT_HARD 1048576 /* fs.nr_open */
#define PROCESS_LIMIT 16384
#define LOCKED_LIMIT (8 * MiB)
#define MESSAGE_LIMIT 819200

struct process *process_kernel, *process_first;

static void default_limits(struct rlimit *limits) {
    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        limits[i].rlim_cur = limits[i].rlim_max = RLIM_INFINITY;
    limits[RLIMIT_STACK].rlim_cur = STACK_LIMIT;
    limits[RLIMIT_CORE].rlim_cur = 0;
    limits[RLIMIT_NOFILE] = (struct rlimit){FILE_LIMIT, FILE_LIMIT_HARD};
    limits[RLIMIT_NPROC] = (struct rlimit){PROCESS_LIMIT, PROCESS_LIMIT};
    limits[RLIMIT_SIGPENDING] = (struct rlimit){PROCESS_LIMIT, PROCESS_LIMIT};
    limits[RLIMIT_MEMLOCK] = (struct rlimit){LOCKED_LIMIT, LOCKED_LIMIT};
    limits[RLIMIT_MSGQUEUE] = (struct rlimit){MESSAGE_LIMIT, MESSAGE_LIMIT};
    limits[RLIMIT_NICE] = limits[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
}

static void first_credentials(struct process *p, const struct boot_config *config) {
    struct credentials *c = &p->cred;

    c->uid = c->euid = c->suid = c->fsuid = config->wire.uid;
    c->gid = c->egid = c->sgid = c->fsgid = config->wire.gid;
    c->cap_bounding = (1UL << (CAP_LAST_CAP + 1)) - 1;
    c->cap_effective = c->cap_permitted = config->wire.uid == 0 ? c->cap_bounding : 0;
    c->groups = config->group_count ? group_list_make(config->group_count) : NULL;
    c->group_count = c->groups ? config->group_count : 0;
    if (c->groups)
        memcpy(c->groups->gids, config->groups, c->group_count * sizeof(u32));
}

static void ignore_signals(struct process *p, u64 ignored) {
    for (int n = 1; n <= SIGNAL_COUNT; n++) {
        if (ignored & signal_bit(n) & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP)))
            p->actions[n - 1].sa_handler = SIG_IGN;
    }
}

/* open_streams: descriptors 0..2, in the program's own context, so that a terminal becomes its controlling one. */
static void open_streams(const struct boot_config *config) {
    for (int fd = 0; fd < 3; fd++) {
        struct file *f;

        if (config->wire.stream[fd].mode == 0)
            continue;
        f = stream_open(fd);
        if (is_err(f))
            host_fail(125, "cannot open stream %d: error %ld", fd, -ptr_err(f));
        if (fd_install_at(task_current()->files, f, fd, false) < 0)
            host_fail(125, "no memory for descriptor %d", fd);
    }
}

static noreturn void exec_failed(const char *name, long error) {
    int code = error == -ENOENT ? 127 : error == -ENOMEM ? 125 : 126;
    const char *text = error == -ENOENT    ? "No such file or directory"
                       : error == -EACCES  ? "Permission denied"
                       : error == -ENOEXEC ? "Exec format error"
                       : error == -ENOMEM  ? "Cannot allocate memory: give the guest more with -m"
                       : error == -E2BIG   ? "Argument list too long"
                       : error == -ELOOP   ? "Too many levels of symbolic links"
                       : error == -ENOTDIR ? "Not a directory"
                       : error == -EIO     ? "Input/output error"
                       : error == -ETXTBSY ? "Text file busy"
                       : error == -ELIBBAD ? "Its interpreter is damaged"
                                           : NULL;

    if (error == -EISDIR)
        text = "Is a directory";
    if (text)
        host_fail(code, "%s: %s", name, text);
    host_fail(code, "%s: cannot be executed: error %ld", name, -error);
}

static const char *path_of(const struct boot_config *config) {
    for (unsigned i = 0; i < config->env_count; i++) {
        if (strncmp(config->env[i], "PATH=", 5) == 0)
            return config->env[i] + 5;
    }
    return "/bin:/usr/bin";
}

/* exec_along_path: execvp's search: an empty element is the working directory; EACCES is remembered, the search goes
 * on. */
static long exec_along_path(const char *name, const struct boot_config *config, const struct exec_strings *argv,
                            const struct exec_strings *envp) {
    const char *path = path_of(config);
    size_t room = strlen(path) + strlen(name) + 2;
    char *full = kmalloc(room);
    long error = -ENOENT;

    if (!full)
        return -ENOMEM;
    for (;;) {
        const char *end = strchr(path, ':');
        int bytes = end ? end - path : (int)strlen(path);
        long result;

        ksnprintf(full, room, "%.*s%s%s", bytes, path, bytes ? "/" : "", name);
        result = process_exec(AT_FDCWD, full, 0, argv, envp);
        if (result == 0 || (result != -ENOENT && result != -ENOTDIR && result != -EACCES)) {
            error = result;
            break;
        }
        if (result == -EACCES)
            error = result;
        if (!end)
            break;
        path = end + 1;
    }
    kfree(full);
    return error;
}

/* first_program: the first task of the first process: becomes the program. */
static void first_program(void *argument) {
    const struct boot_config *config = argument;
    struct exec_strings argv = {.kernel = config->args}, envp = {.kernel = config->env};
    const char *name = config->program && *config->program ? config->program : config->args[0];
    int error = fs_root_chdir(task_current()->fs, config->cwd && *config->cwd ? config->cwd : "/");
    long result;

    if (error)
        host_fail(125, "working directory %s: error %d", config->cwd, -error);
    task_current()->fs->umask = config->wire.umask;
    open_streams(config);
    result =
        strchr(name, '/') ? process_exec(AT_FDCWD, name, 0, &argv, &envp) : exec_along_path(name, config, &argv, &envp);
    if (result)
        exec_failed(name, result);
    arch_enter_user(arch_task_regs(&task_current()->arch));
}

static struct task *make_first(const struct boot_config *config) {
    struct process *p = process_make();
    struct task *t = p ? task_make("quire", true) : NULL;
    struct ident *id = t ? ident_new() : NULL;

    if (!id)
        return NULL;
    arch_fpu_init(t->arch.fpu);
    p->handlers = signal_actions_make(NULL);
    t->files = files_create();
    t->fs = fs_root_create();
    if (!p->handlers || !t->files || !t->fs)
        return NULL;
    p->actions = p->handlers->action;
    p->ident = id;
    p->pid = t->tid = id->number;
    p->exit_signal = SIGCHLD;
    if (config->wire.flags & WIRE_NO_ASLR)
        p->personality |= ADDR_NO_RANDOMIZE;
    default_limits(p->limits);
    first_credentials(p, config);
    ignore_signals(p, config->wire.ignored);
    t->process = p;
    process_get(p);
    t->ident = id;
    ident_get(id);
    list_add_tail(&p->threads, &t->thread_link);
    p->thread_count = 1;
    t->run = first_program;
    t->argument = (void *)config;
    return t;
}

int process_first_group(void) { return process_first ? process_first->pgid : 0; }

int process_start_first(const struct boot_config *config) {
    struct task *t = make_first(config);
    struct process *p;

    if (!t)
        return -ENOMEM;
    p = t->process;
    ident_bind(p->ident, t, p);
    spin_lock(&family_lock);
    family_add(p, process_kernel);
    process_join_group(p, p->ident);
    process_join_session(p, p->ident);
    process_first = p;
    spin_unlock(&family_lock);
    process_get(p);
    task_start(t);
    return 0;
}

static void keep_family(void *unused_argument) {
    int status;

    wait_until(&process_kernel->child_events, process_first && process_first->zombie);
    status = process_first->exit_status;
    family_kill();
    wait_until(&process_kernel->child_events, family_empty());
    process_put(process_first);
    vfs_sync(); /* what shared mappings of --rw files left dirty */
    host_finish(status);
}

void process_init(void) {
    struct process *p;
    struct task *t;

    process_cache_init();
    vdso_init();
    p = process_make();
    t = p ? task_make("init", false) : NULL;
    if (!t || !(p->ident = ident_new()) || !(p->handlers = signal_actions_make(NULL)))
        panic("no memory for the first process");
    p->actions = p->handlers->action;
    p->kernel = true;
    p->pid = t->tid = p->ident->number;
    assert_eq(p->pid, 1);
    default_limits(p->limits);
    p->cred = *cred_current();
    t->process = p;
    t->ident = p->ident;
    process_get(p);
    ident_get(p->ident);
    process_join_group(p, p->ident);
    process_join_session(p, p->ident);
    p->pgid = p->sid = 0; /* as the kernel's own tasks show on Linux */
    list_add_tail(&p->threads, &t->thread_link);
    p->thread_count = 1;
    ident_bind(p->ident, t, p);
    process_kernel = p;
    t->run = keep_family;
    task_start(t);
}
