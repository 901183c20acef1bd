/* table.c - from a system call's number to its function.
 *
 * Owns the table and the count, by number, of calls that are not implemented: they get ENOSYS, and the end of a run has
 * one line that names them. Does not know what any call does. */
#include <asm/unistd_64.h>

#include "arch/x86_64/cpu.h"
#include "sys/sys.h"
#include "sys/table.h"
#include "task/seccomp.h"
#include "task/trace.h"

/* CALL: the cast through void * forgets the argument types; sys.h says why that is sound. */
#define CALL(name) [__NR_##name] = (void *)sys_##name

static long (*const calls[SYSCALL_NUMBERS])(u64, u64, u64, u64, u64, u64) = {
    /* sys/process.c */
    CALL(fork), CALL(vfork), CALL(clone), CALL(clone3), CALL(execve), CALL(execveat), CALL(exit), CALL(exit_group),
    CALL(wait4), CALL(waitid), CALL(getpid), CALL(getppid), CALL(gettid), CALL(getpgid), CALL(getpgrp), CALL(setpgid),
    CALL(getsid), CALL(setsid), CALL(set_tid_address), CALL(prctl), CALL(seccomp), CALL(arch_prctl), CALL(personality),

    /* sys/signal.c */
    CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigpending), CALL(rt_sigtimedwait), CALL(rt_sigqueueinfo),
    CALL(rt_tgsigqueueinfo), CALL(rt_sigsuspend), CALL(rt_sigreturn), CALL(sigaltstack), CALL(kill), CALL(tkill),
    CALL(tgkill), CALL(pause), CALL(restart_syscall),

    /* sys/time.c */
    CALL(clock_gettime), CALL(clock_settime), CALL(clock_getres), CALL(nanosleep), CALL(clock_nanosleep),
    CALL(gettimeofday), CALL(settimeofday), CALL(adjtimex), CALL(clock_adjtime), CALL(time), CALL(times),
    CALL(getrusage), CALL(setitimer), CALL(getitimer), CALL(alarm), CALL(timer_create), CALL(timer_settime),
    CALL(timer_gettime), CALL(timer_getoverrun), CALL(timer_delete),

    /* sys/id.c */
    CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid), CALL(setuid), CALL(setgid), CALL(setreuid),
    CALL(setregid), CALL(setresuid), CALL(setresgid), CALL(getresuid), CALL(getresgid), CALL(setfsuid), CALL(setfsgid),
    CALL(getgroups), CALL(setgroups), CALL(capget), CALL(capset),

    /* sys/futex.c */
    CALL(futex), CALL(futex_waitv), CALL(set_robust_list), CALL(rseq), CALL(get_robust_list),

    /* sys/sched.c */
    CALL(sched_yield), CALL(sched_setscheduler), CALL(sched_getscheduler), CALL(sched_setparam), CALL(sched_getparam),
    CALL(sched_get_priority_max), CALL(sched_get_priority_min), CALL(sched_rr_get_interval), CALL(sched_setaffinity),
    CALL(sched_getaffinity), CALL(sched_setattr), CALL(sched_getattr), CALL(getcpu), CALL(getpriority),
    CALL(setpriority), CALL(ioprio_get), CALL(ioprio_set),

    /* sys/misc.c */
    CALL(uname), CALL(sysinfo), CALL(getrandom), CALL(getrlimit), CALL(setrlimit), CALL(prlimit64), CALL(sethostname),
    CALL(setdomainname), CALL(vhangup), CALL(syslog),

    /* sys/pipe.c, sys/poll.c, sys/event.c */
    CALL(pipe), CALL(pipe2), CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6), CALL(eventfd), CALL(eventfd2),
    CALL(epoll_create), CALL(epoll_create1), CALL(inotify_init), CALL(inotify_init1), CALL(inotify_add_watch),
    CALL(inotify_rm_watch), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2),
    CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_gettime), CALL(signalfd), CALL(signalfd4),
    CALL(userfaultfd),

    /* sys/swap.c */
    CALL(swapon), CALL(swapoff),

    /* sys/mm.c */
    CALL(mmap), CALL(munmap), CALL(brk), CALL(mremap), CALL(remap_file_pages), CALL(mincore), CALL(msync),

    /* sys/protect.c, sys/mlock.c, sys/madvise.c, sys/remote.c */
    CALL(mprotect), CALL(pkey_mprotect), CALL(pkey_alloc), CALL(pkey_free), CALL(mlock), CALL(mlock2), CALL(munlock),
    CALL(mlockall), CALL(munlockall), CALL(madvise), CALL(process_madvise), CALL(process_mrelease),
    CALL(process_vm_readv), CALL(process_vm_writev), CALL(kcmp),

    /* sys/ptrace.c, sys/pidfd.c */
    CALL(ptrace), CALL(unshare), CALL(setns), CALL(pidfd_open), CALL(pidfd_send_signal), CALL(pidfd_getfd),

    /* sys/mempolicy.c, sys/membarrier.c */
    CALL(mbind), CALL(set_mempolicy), CALL(get_mempolicy), CALL(set_mempolicy_home_node), CALL(move_pages),
    CALL(migrate_pages), CALL(membarrier),

    /* sys/shm.c, sys/sem.c, sys/msg.c */
    CALL(shmget), CALL(shmat), CALL(shmdt), CALL(shmctl), CALL(semget), CALL(semop), CALL(semtimedop), CALL(semctl),
    CALL(msgget), CALL(msgsnd), CALL(msgrcv), CALL(msgctl),

    /* sys/mq.c */
    CALL(mq_open), CALL(mq_unlink), CALL(mq_timedsend), CALL(mq_timedreceive), CALL(mq_notify), CALL(mq_getsetattr),

    /* sys/file.c, sys/rw.c, sys/dir.c, sys/stat.c, sys/attr.c, sys/sync.c */
    CALL(open), CALL(openat), CALL(creat), CALL(openat2), CALL(close), CALL(close_range), CALL(dup), CALL(dup2),
    CALL(dup3), CALL(fcntl), CALL(flock), CALL(ioctl), CALL(memfd_create), CALL(read), CALL(write), CALL(pread64),
    CALL(pwrite64), CALL(readv), CALL(writev), CALL(preadv), CALL(pwritev), CALL(preadv2), CALL(pwritev2), CALL(lseek),
    CALL(sendfile), CALL(copy_file_range), CALL(splice), CALL(tee), CALL(vmsplice), CALL(getdents64), CALL(getdents),
    CALL(getcwd), CALL(chdir), CALL(chroot), CALL(fchdir), CALL(umask), CALL(mknodat), CALL(mknod), CALL(mkdirat),
    CALL(mkdir), CALL(unlinkat), CALL(unlink), CALL(rmdir), CALL(renameat2), CALL(renameat), CALL(rename), CALL(linkat),
    CALL(link), CALL(symlinkat), CALL(symlink), CALL(readlinkat), CALL(readlink), CALL(fstat), CALL(newfstatat),
    CALL(stat), CALL(lstat), CALL(statx), CALL(faccessat2), CALL(faccessat), CALL(access), CALL(statfs), CALL(fstatfs),
    CALL(fchmodat), CALL(chmod), CALL(fchmod), CALL(fchownat), CALL(chown), CALL(lchown), CALL(fchown), CALL(utimensat),
    CALL(futimesat), CALL(utimes), CALL(utime), CALL(truncate), CALL(ftruncate), CALL(fallocate), CALL(setxattr),
    CALL(lsetxattr), CALL(fsetxattr), CALL(getxattr), CALL(lgetxattr), CALL(fgetxattr), CALL(listxattr),
    CALL(llistxattr), CALL(flistxattr), CALL(removexattr), CALL(lremovexattr), CALL(fremovexattr), CALL(sync),
    CALL(fsync), CALL(fdatasync), CALL(syncfs), CALL(sync_file_range), CALL(fadvise64), CALL(readahead), CALL(mount),
    CALL(umount2), CALL(name_to_handle_at), CALL(open_by_handle_at),

    /* sys/aio.c */
    CALL(io_setup), CALL(io_destroy), CALL(io_submit), CALL(io_cancel), CALL(io_getevents), CALL(io_pgetevents),

    /* sys/socket.c */
    CALL(socket), CALL(socketpair), CALL(bind), CALL(connect), CALL(listen), CALL(accept), CALL(accept4),
    CALL(getsockname), CALL(getpeername), CALL(shutdown), CALL(setsockopt), CALL(getsockopt), CALL(sendto),
    CALL(sendmsg), CALL(sendmmsg), CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg),

    /* The owners of the other families append their groups here, each under the name of its file. */
};

static u32 missing[SYSCALL_NUMBERS]; /* how often each absent call was made; atomic */

/* Names for the report of what is missing. */
#define NAME(name) [__NR_##name] = #name
static const char *const names[SYSCALL_NUMBERS] = {
#include "sys/names.h"
};

/* As on Linux a number has 32 bits: what else is in rax does not matter. */
static long call(const struct regs *regs) {
    u32 number = (u32)regs->orig_rax;

    if (likely(number < SYSCALL_NUMBERS && calls[number]))
        return calls[number](regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9);
    if (number < SYSCALL_NUMBERS)
        atomic_add(&missing[number], 1);
    return -ENOSYS;
}

/* watched: a tracer may look at the call, change it, and forbid it; then the task's own filters may. The number -1 is
 * no call: what the tracer put into rax is its result. */
static __attribute__((noinline)) long watched(struct task *t, struct regs *regs) {
    regs->rax = -ENOSYS;
    if (trace_call_enter(t)) {
        bool may = !(t->call_work & CALL_SECCOMP) || seccomp_call(t, regs);
        if (may && (int)regs->orig_rax != -1)
            regs->rax = call(regs);
        trace_call_exit(t);
    }
    return regs->rax;
}

long syscall_dispatch(struct regs *regs) {
    struct task *t = task_current();

    return unlikely(t->call_work) ? watched(t, regs) : call(regs);
}

unsigned syscall_missing_count(void) {
    unsigned count = 0;

    for (unsigned i = 0; i < SYSCALL_NUMBERS; i++)
        count += atomic_load_relaxed(&missing[i]) != 0;
    return count;
}

int syscall_missing_report(char *text, size_t bytes) {
    size_t used = 0;

    text[0] = 0;
    for (unsigned i = 0; i < SYSCALL_NUMBERS && used + 32 < bytes; i++) {
        u32 count = atomic_load_relaxed(&missing[i]);
        if (count && names[i])
            used += ksnprintf(text + used, bytes - used, "%s%s×%u", used ? ", " : "", names[i], count);
        else if (count)
            used += ksnprintf(text + used, bytes - used, "%s#%u×%u", used ? ", " : "", i, count);
    }
    return (int)used;
}
