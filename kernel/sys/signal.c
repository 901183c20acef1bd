/* signal.c - the system calls on signals. task/signal.c owns queues and masks, task/deliver.c acts. */
#include <linux/time_types.h>

#include "sys/deadline.h"
#include "sys/sys.h"
#include "task/family.h"
#include "task/signal.h"

/* What sigaction keeps: a program finds out which flags there are by reading back what it set (sigaction(2)). */
#define FLAGS_KNOWN                                                                                                    \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND |                  \
     SA_EXPOSE_TAGBITS | SA_RESTORER)

long sys_rt_sigaction(int signal, const struct sigaction __user *user, struct sigaction __user *old_user,
                      size_t bytes) {
    struct process *p = process_current();
    struct sigaction new, old;

    if (bytes != sizeof(sigset_t) || signal < 1 || signal > SIGNAL_COUNT ||
        (user && signal_bit(signal) & SIGNALS_UNBLOCKABLE))
        return -EINVAL;
    if (user && get_user(new, user))
        return -EFAULT;
    old = signal_action(p, signal);
    if (user) {
        new.sa_mask &= ~SIGNALS_UNBLOCKABLE;
        new.sa_flags &= FLAGS_KNOWN;
        spin_lock(&p->signal_lock);
        spin_lock(&p->handlers->lock);
        p->actions[signal - 1] = new;
        spin_unlock(&p->handlers->lock);
        /* what is ignored from now on is not pending either */
        if (new.sa_handler == SIG_IGN || (new.sa_handler == SIG_DFL &&signal_bit(signal) & SIGNALS_IGNORED))
            signal_flush_everywhere(p, signal_bit(signal));
        spin_unlock(&p->signal_lock);
    }
    return old_user ? put_user(old, old_user) : 0;
}

long sys_rt_sigprocmask(int how, const u64 __user *user, u64 __user *old_user, size_t bytes) {
    u64 old = task_current()->blocked, set;

    if (bytes != sizeof(set))
        return -EINVAL;
    if (user) {
        if (get_user(set, user))
            return -EFAULT;
        if (how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK)
            return -EINVAL;
        signal_set_blocked(how == SIG_BLOCK ? old | set : how == SIG_UNBLOCK ? old & ~set : set);
    }
    return old_user ? put_user(old, old_user) : 0;
}

long sys_rt_sigpending(u64 __user *user, size_t bytes) {
    u64 set = signal_pending_set() & task_current()->blocked;

    if (bytes > sizeof(set))
        return -EINVAL;
    return copy_to_user(user, &set, bytes);
}

/* take_or_sleep: signals of the set wake us although they are blocked, as long as waited_for says so. */
static long take_or_sleep(u64 set, siginfo_t *info, u64 deadline_ns) {
    struct task *t = task_current();
    struct process *p = t->process;
    int slept = 0, signal;

    for (;;) {
        spin_lock(&p->signal_lock);
        signal = signal_take_locked(t, set, info);
        t->waited_for = signal || slept ? 0 : set;
        spin_unlock(&p->signal_lock);
        if (signal)
            return signal;
        if (slept)
            return slept == -ETIMEDOUT ? -EAGAIN : slept;
        slept = deadline_ns ? task_sleep(true, deadline_ns) : -ETIMEDOUT;
    }
}

long sys_rt_sigtimedwait(const u64 __user *user, struct siginfo __user *out,
                         const struct __kernel_timespec __user *timeout, size_t bytes) {
    u64 set, deadline_ns;
    siginfo_t info;
    long result;

    if (bytes != sizeof(set))
        return -EINVAL;
    if (get_user(set, user))
        return -EFAULT;
    result = deadline_in(timeout, &deadline_ns);
    if (result)
        return result;
    result = take_or_sleep(set & ~SIGNALS_UNBLOCKABLE, &info, deadline_ns);
    if (result > 0 && out && copy_to_user(out, &info, sizeof(info)))
        result = -EFAULT;
    return result;
}

long sys_rt_sigsuspend(const u64 __user *user, size_t bytes) {
    int error;

    if (bytes != sizeof(u64))
        return -EINVAL;
    error = user ? signal_mask_begin_user(user, bytes) : -EFAULT;
    if (error)
        return error;
    while (!signal_pending())
        (void)task_sleep(true, SLEEP_FOREVER);
    signal_mask_end(true);
    return -ERESTARTNOHAND;
}

long sys_pause(void) {
    while (!signal_pending())
        (void)task_sleep(true, SLEEP_FOREVER);
    return -ERESTARTNOHAND;
}

long sys_rt_sigreturn(void) {
    struct regs *regs = arch_task_regs(&task_current()->arch);

    if (arch_signal_return(regs))
        signal_force(SIGSEGV, SI_KERNEL, 0);
    return regs->rax;
}

long sys_sigaltstack(const struct sigaltstack __user *user, struct sigaltstack __user *old_user) {
    u64 sp = arch_task_regs(&task_current()->arch)->rsp;
    struct sigaltstack new, old;
    int error = 0;

    signal_alt_stack_get(sp, &old);
    if (user) {
        if (get_user(new, user))
            return -EFAULT;
        error = signal_on_alt_stack(sp) ? -EPERM : signal_alt_stack_set(&new);
    }
    return error ? error : old_user ? put_user(old, old_user) : 0;
}

long sys_restart_syscall(void) {
    struct task *t = task_current();

    return t->restart.function ? t->restart.function(t) : -EINTR;
}

/* ---- sending ---- */

static long send_to(struct process *p, struct task *t, int signal, const siginfo_t *info) {
    long error = signal_check(p, signal);

    if (error || signal == 0)
        return error;
    return t ? signal_task(t, signal, info) : signal_process(p, signal, info);
}

static long kill_one(int pid, int signal, const siginfo_t *info) {
    struct process *p = process_find(pid);
    long error;

    if (!p)
        return -ESRCH;
    error = send_to(p, NULL, signal, info);
    process_put(p);
    return error;
}

long sys_kill(int pid, int signal) {
    siginfo_t info;

    if (signal < 0 || signal > SIGNAL_COUNT)
        return -EINVAL;
    signal_info_user(&info, signal, SI_USER);
    if (pid > 0)
        return kill_one(pid, signal, &info);
    if (pid == -1)
        return signal_everyone(signal, &info);
    if (pid == (int)0x80000000)
        return -ESRCH;
    return signal_group(pid ? -pid : process_current()->pgid, signal, &info);
}

/* kill_thread: pid 0: of any process. */
static long kill_thread(int pid, int tid, int signal, const siginfo_t *info) {
    struct task *t = task_find(tid);
    struct process *ended = t ? NULL : process_find(tid); /* its leading thread, that is */
    long error = -ESRCH;

    if (t && t->process && (!pid || t->process->pid == pid))
        error = send_to(t->process, t, signal, info);
    if (ended && (!pid || pid == tid))
        error = signal_check(ended, signal);
    if (t)
        task_put(t);
    if (ended)
        process_put(ended);
    return error;
}

long sys_tgkill(int pid, int tid, int signal) {
    siginfo_t info;

    if (pid <= 0 || tid <= 0)
        return -EINVAL;
    signal_info_user(&info, signal, SI_TKILL);
    return kill_thread(pid, tid, signal, &info);
}

long sys_tkill(int tid, int signal) {
    siginfo_t info;

    if (tid <= 0)
        return -EINVAL;
    signal_info_user(&info, signal, SI_TKILL);
    return kill_thread(0, tid, signal, &info);
}

/* info_of: a program may say what it likes of itself to itself; to others nothing that only the kernel says. */
static int info_of(siginfo_t *info, const struct siginfo __user *user, int signal, bool other) {
    if (copy_from_user(info, user, sizeof(*info)))
        return -EFAULT;
    info->si_signo = signal;
    return (info->si_code >= 0 || info->si_code == SI_TKILL) && other ? -EPERM : 0;
}

long sys_rt_sigqueueinfo(int pid, int signal, struct siginfo __user *user) {
    siginfo_t info;
    int error = info_of(&info, user, signal, pid != process_current()->pid);

    return error ? error : kill_one(pid, signal, &info);
}

long sys_rt_tgsigqueueinfo(int pid, int tid, int signal, struct siginfo __user *user) {
    siginfo_t info;
    int error;

    if (pid <= 0 || tid <= 0)
        return -EINVAL;
    error = info_of(&info, user, signal, pid != process_current()->pid);
    return error ? error : kill_thread(pid, tid, signal, &info);
}
