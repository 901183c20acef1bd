/* exec.c - execve: which file runs, with whose rights, and the change from the old program to the new one.
 *
 * The new program is built beside the old one: its space, its stack. Only then do the process's other threads die and
 * the change-over happens, in which nothing can fail: so execve either does everything or nothing. */
#include <linux/capability.h>
#include <linux/personality.h>
#include <linux/securebits.h>

#include "arch/x86_64/usercopy.h"
#include "fs/dentry.h"
#include "fs/file.h"
#include "fs/shm.h"
#include "lib/random.h"
#include "main.h"
#include "task/exec.h"
#include "task/oom.h"
#include "task/signal.h"
#include "task/times.h"
#include "task/trace.h"

#define GAP_LEAST (128 * MiB) /* below the stack top before mmap's region begins: as Linux */
#define GAP_MOST (STACK_TOP / 6 * 5)
#define STACK_GUARD (256 * PAGE_SIZE)
#define MMAP_RANDOM_PAGES (1UL << 28)

u64 exec_random(const struct exec *e, u64 pages) { return e->randomise ? random_u64() % pages << PAGE_SHIFT : 0; }

/* ---- the file ---- */

static struct file *open_checked(struct path *path) {
    struct inode *inode = path_inode(path);
    struct file *f;
    int error;

    if ((inode->mode & S_IFMT) != S_IFREG)
        return err_ptr(-EACCES);
    error = inode_permission(inode, MAY_EXEC);
    if (!error)
        error = inode_deny_write(inode);
    if (error)
        return err_ptr(error);
    f = file_open_allowed(path, O_RDONLY);
    if (is_err(f))
        inode_allow_write(inode);
    return f;
}

struct file *exec_open(int at, const char *name, int flags) {
    u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path path;
    struct file *f;
    int error = path_lookup(at, name, lookup, &path);

    if (error)
        return err_ptr(error);
    if (flags & AT_SYMLINK_NOFOLLOW && (path_inode(&path)->mode & S_IFMT) == S_IFLNK)
        f = err_ptr(-ELOOP);
    else
        f = open_checked(&path);
    path_put(&path);
    return f;
}

void exec_close(struct file *f) {
    inode_allow_write(f->inode);
    file_put(f);
}

/* ---- #! ---- */

static bool blank(char c) { return c == ' ' || c == '\t'; }

/* script_line: splits the first line into an interpreter and at most one argument, in place. -ENOEXEC: no interpreter.
 */
static int script_line(char *head, size_t bytes, char **interpreter, char **argument) {
    char *line = head + 2, *end = memchr(head, '\n', bytes), *p;

    if (!end) {
        if (bytes == HEAD_BYTES && !memchr(head, 0, bytes)) /* the line may be cut: its name must not be */
            end = head + HEAD_BYTES - 1;
        else
            end = head + strnlen(head, bytes);
    }
    while (end > line && blank(end[-1]))
        end--;
    *end = 0;
    while (blank(*line))
        line++;
    for (p = line; *p && !blank(*p); p++)
        continue;
    *interpreter = line;
    *argument = NULL;
    if (*p) {
        *p++ = 0;
        while (blank(*p))
            p++;
        *argument = p;
    }
    return *line ? 0 : -ENOEXEC;
}

static int push(struct exec *e, const char *string) {
    char *copy = kstrdup(string);

    if (!copy)
        return -ENOMEM;
    e->prefix[e->prefix_count++] = copy;
    return 0;
}

static bool has_argument(const struct exec_strings *s) {
    u64 pointer = 0;

    if (s->kernel)
        return s->kernel[0];
    return s->user && get_user(pointer, s->user) == 0 && pointer;
}

/* script: the interpreter becomes the file; the vector's first string gives way to interpreter, argument, script. In a
 * script that interprets another, the first string is the script's own name already. */
static int script(struct exec *e) {
    char *interpreter, *argument;
    struct file *f;
    int error = script_line(e->head, sizeof(e->head), &interpreter, &argument);

    if (!error && e->vanishes)
        error = -ENOENT;
    if (error)
        return error;
    if (!e->prefix_count) {
        e->skip = has_argument(e->argv);
        error = push(e, e->filename);
    }
    if (!error && argument)
        error = push(e, argument);
    if (!error)
        error = push(e, interpreter);
    if (error)
        return error;
    f = exec_open(AT_FDCWD, interpreter, 0);
    if (is_err(f))
        return ptr_err(f);
    exec_close(e->file);
    e->file = f;
    return 0;
}

/* find_program: follows #! lines until a file is no script. */
static int find_program(struct exec *e) {
    int error = 0;

    for (int depth = 0; !error; depth++) {
        ssize_t bytes;

        memset(e->head, 0, sizeof(e->head));
        bytes = file_read_kernel(e->file, e->head, sizeof(e->head), 0);
        if (bytes < 0)
            return bytes;
        if (e->head[0] != '#' || e->head[1] != '!')
            break;
        if (depth >= SCRIPT_DEPTH)
            return -ELOOP;
        error = script(e);
    }
    return error;
}

/* ---- rights ---- */

static void gain_ids(struct exec *e) {
    struct process *p = process_current();
    struct inode *inode = e->file->inode;

    if (boot_config.wire.flags & WIRE_IDS_FIXED || p->no_new_privs || !trace_tracer_capable())
        return;
    if (inode->mode & S_ISUID)
        e->cred.euid = inode->uid;
    if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        e->cred.egid = inode->gid;
}

/* capabilities(7), for a file that has none: root gets what the bounding set allows, others what is ambient. */
static void gain_capabilities(struct exec *e) {
    struct credentials *c = &e->cred;
    bool root = (c->euid == 0 || c->uid == 0) && !(process_current()->securebits & SECBIT_NOROOT);

    if (root)
        c->cap_ambient = e->secure ? 0 : c->cap_ambient;
    c->cap_permitted = root ? c->cap_bounding | c->cap_inheritable : c->cap_ambient;
    c->cap_effective = root ? (c->euid == 0 ? c->cap_permitted : 0) : c->cap_ambient;
}

static void choose_rights(struct exec *e) {
    const struct credentials *old = &process_current()->cred;

    e->cred = *old;
    e->unreadable = inode_permission(e->file->inode, MAY_READ) != 0;
    gain_ids(e);
    e->cred.suid = e->cred.fsuid = e->cred.euid;
    e->cred.sgid = e->cred.fsgid = e->cred.egid;
    e->secure = e->cred.euid != e->cred.uid || e->cred.egid != e->cred.gid;
    gain_capabilities(e);
}

/* ---- the new space ---- */

static void set_limits(struct exec *e) {
    const struct rlimit *limits = process_current()->limits;
    struct space_limits *l = space_limits(e->space);
    u64 pad = STACK_GUARD + (e->randomise ? STACK_RANDOM_PAGES * PAGE_SIZE : 0);
    u64 gap = limits[RLIMIT_STACK].rlim_cur;

    l->address_space = limits[RLIMIT_AS].rlim_cur;
    l->data = limits[RLIMIT_DATA].rlim_cur;
    l->stack = limits[RLIMIT_STACK].rlim_cur;
    l->locked = limits[RLIMIT_MEMLOCK].rlim_cur;
    l->no_large = process_current()->space && space_limits(process_current()->space)->no_large;
    gap = gap > ~0UL - pad ? GAP_MOST : gap + pad;
    gap = max(min(gap, GAP_MOST), GAP_LEAST);
    space_set_mmap_top(e->space, (STACK_TOP - gap - exec_random(e, MMAP_RANDOM_PAGES)) & PAGE_MASK);
}

static int build(struct exec *e) {
    int error;

    e->randomise = !(process_current()->personality & ADDR_NO_RANDOMIZE);
    e->space = space_create(e->randomise);
    if (!e->space)
        return -ENOMEM;
    set_limits(e);
    error = elf_load(e);
    if (!error)
        error = vdso_map(e);
    return error ? error : stack_build(e);
}

/* ---- the change-over ---- */

static void change_space(struct exec *e) {
    struct process *p = process_current();
    struct space *old = p->space;
    struct file *old_exe = p->exe;
    struct space_info *info = space_info(e->space);
    struct space_totals totals = {.peak_resident = 0};

    if (old)
        space_totals(old, &totals);
    p->peak_resident = max(p->peak_resident, totals.peak_resident);
    info->exe = &e->file->vm;
    file_get(e->file);
    spin_lock(&p->lock);
    p->space = e->space;
    p->exe = e->file;
    spin_unlock(&p->lock);
    e->space = NULL;
    e->file = NULL;
    space_load(p->space);
    bool shared = p->space_shared;
    p->space_shared = false;
    vfork_finish(p);
    if (old && !shared)
        shm_note(old, 0, USER_TOP, false);
    oom_await_reaper(p);
    if (old)
        space_put(old);
    if (old_exe)
        exec_close(old_exe);
}

static void change_signals(struct exec *e) {
    struct process *p = process_current();
    struct task *t = task_current();
    struct signal_actions *old = NULL;

    spin_lock(&p->signal_lock);
    if (e->handlers) {
        old = p->handlers;
        p->handlers = e->handlers;
        p->actions = e->handlers->action;
        e->handlers = NULL;
    }
    spin_unlock(&p->signal_lock);
    if (old)
        signal_actions_put(old);
    signal_actions_reset(p->handlers, false);
    t->alt_stack = t->alt_stack_bytes = t->alt_stack_flags = 0;
    p->exit_signal = SIGCHLD;
}

static void change_name(struct exec *e) {
    const char *slash = strrchr(e->filename, '/'), *name = slash ? slash + 1 : e->filename;
    struct task *t = task_current();

    memset(t->name, 0, sizeof(t->name));
    if (e->nameless) {
        dentry_shape_lock();
        ksnprintf(t->name, sizeof(t->name), "%s", e->file->path.dentry->name);
        dentry_shape_unlock();
    } else {
        ksnprintf(t->name, sizeof(t->name), "%s", name);
    }
}

static void change_over(struct exec *e) {
    struct process *p = process_current();
    struct task *t = task_current();

    futex_task_exit(t);
    change_name(e);
    atomic_add(&p->execs, 1);
    change_space(e);
    change_signals(e);
    posix_timers_delete(p);
    aio_process_end(p);
    signal_flush_timers(t);
    files_close_on_exec(t->files);
    if (e->secure) {
        p->parent_death_signal = 0;
        p->personality &= ~(u32)PER_CLEAR_ON_SETID;
    }
    e->cred.groups = p->cred.groups; /* another thread may have set others before it died */
    e->cred.group_count = p->cred.group_count;
    p->cred = e->cred;
    p->dumpable = !e->secure && !e->unreadable;
    p->keep_caps = false;
    p->executed = true;
    t->robust_list = t->rseq = 0;
    t->pi_ended = false;
    t->set_child_tid = NULL;
    arch_program_start(arch_task_regs(&t->arch), e->entry, e->stack_pointer);
}

/* own_files: what CLONE_FILES shared is the program's alone. Its threads are dead already, so there is no way back. */
static int own_files(struct process *p) {
    int error = task_unshare_files();

    if (error) {
        spin_lock(&p->signal_lock);
        group_exit_locked(p, SIGKILL);
        spin_unlock(&p->signal_lock);
    }
    return error;
}

static int run(struct exec *e) {
    struct process *p = process_current();
    int tid = task_current()->tid, error = find_program(e);

    if (error)
        return error;
    choose_rights(e);
    error = build(e);
    if (!error && atomic_load(&p->handlers->references) > 1) {
        e->handlers = signal_actions_make(p->handlers);
        error = e->handlers ? 0 : -ENOMEM;
    }
    if (!error)
        error = threads_kill_others();
    if (!error)
        error = own_files(p);
    if (!error) {
        change_over(e);
        trace_executed(task_current(), tid);
    }
    return error;
}

/* The vectors are read before the file is looked for: execve(2) with a bad one is EFAULT, be there a file or not. */
static int check_vector(const struct exec_strings *s) {
    u64 pointer = s->user != NULL;
    for (u64 i = 0; !s->kernel && pointer; i++) {
        if (get_user(pointer, s->user + i))
            return -EFAULT;
    }
    return 0;
}

/* filename_at: a name relative to a descriptor, as one that does not depend on the working directory. kmalloc'd; NULL:
 * no memory. */
static char *filename_at(int at, const char *name) {
    size_t bytes = strlen(name) + 24;
    char *text = kmalloc(bytes);

    if (text)
        ksnprintf(text, bytes, "/dev/fd/%d%s%s", at, *name ? "/" : "", name);
    return text;
}

long process_exec(int at, const char *name, int flags, const struct exec_strings *argv,
                  const struct exec_strings *envp) {
    bool relative = at != AT_FDCWD && *name != '/';
    char *filename = relative ? filename_at(at, name) : NULL;
    struct exec *e = relative && !filename ? NULL : kzalloc(sizeof(*e));
    int error;

    if (!e) {
        kfree(filename);
        return -ENOMEM;
    }
    e->filename = relative ? filename : name;
    e->nameless = relative && !*name;
    e->vanishes = relative && fd_flags_of(task_current()->files, at) & FD_CLOEXEC;
    e->argv = argv;
    e->envp = envp;
    error = check_vector(argv) || check_vector(envp) ? -EFAULT : 0;
    e->file = error ? err_ptr(error) : exec_open(at, name, flags);
    error = is_err(e->file) ? (int)ptr_err(e->file) : run(e);
    while (e->prefix_count)
        kfree(e->prefix[--e->prefix_count]);
    if (e->file && !is_err(e->file))
        exec_close(e->file);
    if (e->space)
        space_put(e->space);
    if (e->handlers)
        signal_actions_put(e->handlers);
    kfree(e);
    kfree(filename);
    return error;
}
