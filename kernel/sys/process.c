/* process.c - the system calls on processes: clone, execve, exit, wait, groups and sessions. Arguments are checked
 * here; task/ does the work. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <asm/prctl.h>

#include "fs/file.h"
#include "fs/nsfs.h"
#include "fs/pidfd.h"
#include "sys/sys.h"
#include "task/family.h"
#include "task/seccomp.h"

/* ---- clone ---- */

long sys_fork(void) {
    struct clone_request r = {.exit_signal = SIGCHLD};

    return task_clone(&r);
}

long sys_vfork(void) {
    struct clone_request r = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};

    return task_clone(&r);
}

long sys_clone(u64 flags, u64 stack, int __user *parent_tid, int __user *child_tid, u64 tls) {
    struct clone_request r = {.flags = (u32)flags & ~CSIGNAL,
                              .exit_signal = flags & CSIGNAL,
                              .stack = stack,
                              .tls = tls,
                              .parent_tid = parent_tid,
                              .child_tid = child_tid};

    if (r.exit_signal > SIGNAL_COUNT || (flags & CLONE_PIDFD && flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
        return -EINVAL;
    r.pidfd = parent_tid;
    return task_clone(&r);
}

/* The bytes past those that we know have to be zero: the caller asks for nothing newer (copy_struct_from_user's rule).
 */
static int tail_is_zero(const char __user *from, size_t bytes) {
    while (bytes) {
        char chunk[64];
        size_t some = min(bytes, sizeof(chunk));

        if (copy_from_user(chunk, from, some))
            return -EFAULT;
        for (size_t i = 0; i < some; i++) {
            if (chunk[i])
                return -E2BIG;
        }
        from += some;
        bytes -= some;
    }
    return 0;
}

long sys_clone3(struct clone_args __user *args, size_t bytes) {
    struct clone_args a;
    struct clone_request r;

    if (bytes > PAGE_SIZE)
        return -E2BIG;
    if (bytes < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    memset(&a, 0, sizeof(a));
    if (copy_from_user(&a, args, min(bytes, sizeof(a))))
        return -EFAULT;
    if (bytes > sizeof(a)) {
        int error = tail_is_zero((const char *)args + sizeof(a), bytes - sizeof(a));
        if (error)
            return error;
    }
    if (a.flags & ~(CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND | 0xffffffffUL) || a.flags & (CLONE_DETACHED | CSIGNAL) ||
        a.exit_signal > SIGNAL_COUNT || !a.stack != !a.stack_size || a.set_tid || a.set_tid_size)
        return -EINVAL;
    if (a.flags & (CLONE_THREAD | CLONE_PARENT) && a.exit_signal)
        return -EINVAL;
    if (a.flags & CLONE_INTO_CGROUP) /* no descriptor stands for a control group */
        return -EBADF;
    r = (struct clone_request){.flags = a.flags,
                               .exit_signal = (int)a.exit_signal,
                               .stack = a.stack + a.stack_size,
                               .tls = a.tls,
                               .parent_tid = (int *)a.parent_tid,
                               .child_tid = (int *)a.child_tid,
                               .pidfd = (int *)a.pidfd};
    return task_clone(&r);
}

/* ---- unshare, setns ---- */

#define NAMESPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWCGROUP |       \
     CLONE_NEWTIME)
#define OF_THREADS (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) /* nothing to do where there is one thread */
#define OF_PROCESS (CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)

/* unshare: there are no namespaces to make. */
long sys_unshare(u64 flags) {
    if (flags & ~(u64)(NAMESPACES | OF_THREADS | OF_PROCESS))
        return -EINVAL;
    if (flags & NAMESPACES)
        return flags & CLONE_NEWUSER || capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
    if (flags & OF_THREADS && atomic_load(&process_current()->thread_count) > 1)
        return -EINVAL;
    int error = flags & CLONE_FS ? task_unshare_fs() : 0;
    return error || !(flags & CLONE_FILES) ? error : task_unshare_files();
}

long sys_setns(int fd, int type) {
    struct file *f = fd_get(fd);
    long result = f ? namespace_join(f, type) : -EBADF;

    if (f)
        file_put(f);
    return result;
}

/* ---- execve, exit ---- */

long sys_execveat(int at, const char __user *user, const u64 __user *argv, const u64 __user *envp, int flags) {
    struct exec_strings arguments = {.user = argv}, environment = {.user = envp};
    char *name;
    ssize_t bytes;
    long result;

    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    name = kmalloc(PATH_MAX);
    if (!name)
        return -ENOMEM;
    bytes = strncpy_from_user(name, user, PATH_MAX);
    if (bytes < 0)
        result = bytes;
    else if (bytes == PATH_MAX)
        result = -ENAMETOOLONG;
    else if (bytes == 0 && !(flags & AT_EMPTY_PATH))
        result = -ENOENT;
    else
        result = process_exec(at, name, flags, &arguments, &environment);
    kfree(name);
    return result;
}

long sys_execve(const char __user *name, const u64 __user *argv, const u64 __user *envp) {
    return sys_execveat(AT_FDCWD, name, argv, envp, 0);
}

long sys_exit(int code) { task_exit((code & 0xff) << 8); }
long sys_exit_group(int code) { task_exit_group((code & 0xff) << 8); }

/* ---- wait ---- */

static long wait_for(struct wait_request *w, struct rusage __user *user) {
    struct rusage usage;
    long error;

    w->usage = user ? &usage : NULL;
    error = process_wait(w);
    if (!error && w->pid && user && copy_to_user(user, &usage, sizeof(usage)))
        error = -EFAULT;
    return error;
}

long sys_wait4(int pid, int __user *status, int options, struct rusage __user *usage) {
    struct wait_request w = {.options = options | WEXITED};
    long error;

    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
        return -EINVAL;
    if (pid == (int)0x80000000)
        return -ESRCH;
    w.which = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
    w.id = pid > 0 ? pid : pid == 0 ? process_current()->pgid : -pid;
    error = wait_for(&w, usage);
    if (!error && w.pid && status && put_user(w.status, status))
        error = -EFAULT;
    return error ? error : w.pid;
}

/* waitid reports what became of the child, not the status word. */
static int plain_status(const struct wait_request *w) {
    switch (w->code) {
    case CLD_EXITED:
        return w->status >> 8 & 0xff;
    case CLD_STOPPED:
        return w->status >> 8 & 0xff;
    case CLD_TRAPPED: /* with the event */
        return w->status >> 8;
    case CLD_CONTINUED:
        return SIGCONT;
    default:
        return w->status & 0x7f;
    }
}

/* waitid_pidfd: a descriptor stands for the number; one that does not block makes the call not block. */
static long waitid_pidfd(struct wait_request *w, bool *nonblocking) {
    struct file *f = fd_get(w->id);
    struct process *p = f ? pidfd_process(f) : NULL;

    *nonblocking = f && f->flags & O_NONBLOCK && !(w->options & WNOHANG);
    if (f)
        file_put(f);
    if (!p)
        return -EBADF;
    w->which = P_PID;
    w->id = p->pid;
    w->options |= *nonblocking ? WNOHANG : 0;
    process_put(p);
    return 0;
}

long sys_waitid(int which, int pid, struct siginfo __user *user, int options, struct rusage __user *usage) {
    struct wait_request w = {.which = which, .id = pid, .options = options};
    bool nonblocking = false;
    siginfo_t info;
    long error;

    if (options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL) ||
        !(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    if ((which != P_ALL && which != P_PID && which != P_PGID && which != P_PIDFD) || (which == P_PID && pid <= 0) ||
        ((which == P_PGID || which == P_PIDFD) && pid < 0))
        return -EINVAL;
    error = which == P_PIDFD ? waitid_pidfd(&w, &nonblocking) : 0;
    if (error)
        return error;
    if (which == P_PGID && pid == 0)
        w.id = process_current()->pgid;
    error = wait_for(&w, usage);
    if (!error && !w.pid && nonblocking)
        error = -EAGAIN;
    if (error || !user)
        return error;
    memset(&info, 0, sizeof(info));
    if (w.pid) {
        info.si_signo = SIGCHLD;
        info.si_code = w.code;
        info.si_pid = w.pid;
        info.si_uid = w.uid;
        info.si_status = plain_status(&w);
    }
    /* only these fields are the call's to write */
    return copy_to_user(user, &info, offsetof(siginfo_t, si_status) + sizeof(info.si_status));
}

/* ---- identity ---- */

long sys_getpid(void) { return process_current()->pid; }
long sys_gettid(void) { return task_current()->tid; }
long sys_getppid(void) { return process_parent_pid(process_current()); }

/* number_of: of another process, or of the caller's for 0. */
static long number_of(int pid, bool session) {
    struct process *p = pid ? process_find(pid) : process_current();
    long number;

    if (!p)
        return -ESRCH;
    number = session ? p->sid : p->pgid;
    if (pid)
        process_put(p);
    return number;
}

long sys_getpgid(int pid) { return number_of(pid, false); }
long sys_getpgrp(void) { return process_current()->pgid; }
long sys_getsid(int pid) { return number_of(pid, true); }

/* may_move: setpgid(2)'s rules, family_lock held. */
static int may_move(struct process *self, struct process *p, struct ident *group) {
    struct process *member;

    if (p != self && (p->parent != self || list_empty(&p->all_link))) /* reaped since it was found */
        return -ESRCH;
    if (p != self && p->session != self->session)
        return -EPERM;
    if (p != self && p->executed)
        return -EACCES;
    if (p->sid == p->pid)
        return -EPERM;
    if (group == p->ident)
        return 0;
    list_for_each(member, &group->group, group_link) {
        if (member->session == self->session)
            return 0;
    }
    return -EPERM;
}

long sys_setpgid(int pid, int pgid) {
    struct process *self = process_current(), *p;
    struct ident *group;
    int error = -EPERM;

    if (pgid < 0)
        return -EINVAL;
    p = process_find(pid ? pid : self->pid);
    if (!p)
        return -ESRCH;
    group = ident_find(pgid ? pgid : p->pid);
    if (group) {
        spin_lock(&family_lock);
        error = may_move(self, p, group);
        if (!error && p->group != group)
            process_join_group(p, group);
        spin_unlock(&family_lock);
        ident_put(group);
    }
    process_put(p);
    return error;
}

long sys_setsid(void) {
    struct process *p = process_current();
    long result = -EPERM;

    spin_lock(&family_lock);
    if (list_empty(&p->ident->group)) {
        process_join_session(p, p->ident);
        process_join_group(p, p->ident);
        p->tty = NULL;
        result = p->pid;
    }
    spin_unlock(&family_lock);
    return result;
}

long sys_set_tid_address(int __user *tid) {
    task_current()->clear_child_tid = (u64)tid;
    return task_current()->tid;
}

long sys_seccomp(u32 operation, u32 flags, const void __user *argument) {
    return seccomp_set(operation, flags, argument);
}

long sys_arch_prctl(int option, u64 address) {
    switch (option) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (address >= USER_TOP)
            return -EPERM;
        if (option == ARCH_SET_FS)
            arch_set_fs_base(address);
        else
            arch_set_gs_base(address);
        return 0;
    case ARCH_GET_FS:
        return put_user(arch_get_fs_base(), (u64 *)address);
    case ARCH_GET_GS:
        return put_user(arch_get_gs_base(), (u64 *)address);
    default:
        return -EINVAL;
    }
}

#define PERSONALITY_QUERY 0xffffffffu

long sys_personality(u32 persona) {
    struct process *p = process_current();
    u32 old = p->personality;

    if (persona != PERSONALITY_QUERY)
        p->personality = persona;
    return old;
}
