/* pidfd.c - descriptors that stand for processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). fs/pidfd.c owns
 * the files; clone makes some too. */
#include <linux/fcntl.h>

#include "fs/file.h"
#include "fs/pidfd.h"
#include "sys/sys.h"
#include "task/trace.h"

static struct process *take(int fd, bool directory_too) {
    struct file *f = fd_get(fd);
    struct process *p = f ? pidfd_process(f) : NULL;

    if (f && !p && directory_too)
        p = proc_directory_process(f);
    if (f)
        file_put(f);
    return p ? p : err_ptr(-EBADF);
}

struct process *pidfd_take(int fd) {
    return take(fd, false);
}

long sys_pidfd_open(int pid, u32 flags) {
    struct process *p;
    struct task *t;
    struct file *f;
    int fd;

    if (pid <= 0 || flags & ~(u32)O_NONBLOCK)
        return -EINVAL;
    p = process_find(pid);
    if (!p) {
        t = task_find(pid);
        if (t)
            task_put(t);
        return t ? -EINVAL : -ESRCH;
    }
    f = pidfd_create(p, flags);
    process_put(p);
    if (is_err(f))
        return ptr_err(f);
    fd = fd_install(f, true, 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* gone: somebody has waited for it; its number may be another's by now. */
static bool gone(struct process *p) {
    struct process *now = process_find(p->pid);
    bool other = now != p;

    if (now)
        process_put(now);
    return other;
}

/* info_for: what the sender says, or what kill(2) would. */
static int info_for(struct process *p, int signal, const struct siginfo __user *user, siginfo_t *info) {
    if (!user) {
        signal_info_user(info, signal, SI_USER);
        return 0;
    }
    if (copy_from_user(info, user, sizeof(*info)))
        return -EFAULT;
    if (info->si_signo != signal)
        return -EINVAL;
    return p != process_current() && (info->si_code >= 0 || info->si_code == SI_TKILL) ? -EPERM : 0;
}

long sys_pidfd_send_signal(int fd, int signal, struct siginfo __user *user, u32 flags) {
    struct process *p;
    siginfo_t info;
    long error;

    if (flags)
        return -EINVAL;
    p = take(fd, true);
    if (is_err(p))
        return ptr_err(p);
    error = info_for(p, signal, user, &info);
    if (!error && gone(p))
        error = -ESRCH;
    if (!error)
        error = signal_check(p, signal);
    if (!error && signal)
        error = signal_process(p, signal, &info);
    process_put(p);
    return error;
}

static long get_from(struct process *p, int fd) {
    struct files *files = process_files(p);
    struct file *f = files ? fd_get_of(files, fd) : NULL;
    long result = !files ? -ESRCH : !f ? -EBADF : fd_install(f, true, 0);

    if (f && result < 0)
        file_put(f);
    if (files)
        files_put(files);
    return result;
}

long sys_pidfd_getfd(int pidfd, int fd, u32 flags) {
    struct process *p;
    long result;

    if (flags)
        return -EINVAL;
    p = pidfd_take(pidfd);
    if (is_err(p))
        return ptr_err(p);
    result = trace_allowed(p) ? get_from(p, fd) : -EPERM;
    process_put(p);
    return result;
}
