/* sys.h - every system call's function, one list, grouped by the file of kernel/sys that defines it.
 *
 * Nouns: none of its own. A call checks its arguments, calls the owner of what it is about, and returns a value or
 * -errno. The six argument registers are handed over as they are: a function takes as many as it wants, with types of
 * its choice as long as they are 32 or 64 bits wide (the ABI leaves the upper half of a narrower one to the callee). A
 * pointer is a user's: only usercopy.h touches it. Calls that change registers (clone, execve, rt_sigreturn) find them
 * through arch_task_regs. To add a call: its prototype here, a line in table.c. */
#pragma once

#include "arch/x86_64/usercopy.h"
#include "lib/base.h"

/* sys/process.c */
struct clone_args;
struct rusage;
struct siginfo;
long sys_fork(void);
long sys_vfork(void);
long sys_clone(u64 flags, u64 stack, int __user *parent_tid, int __user *child_tid, u64 tls);
long sys_clone3(struct clone_args __user *args, size_t bytes);
long sys_execve(const char __user *name, const u64 __user *argv, const u64 __user *envp);
long sys_execveat(int at, const char __user *name, const u64 __user *argv, const u64 __user *envp, int flags);
long sys_exit(int code);
long sys_exit_group(int code);
long sys_wait4(int pid, int __user *status, int options, struct rusage __user *usage);
long sys_waitid(int which, int pid, struct siginfo __user *info, int options, struct rusage __user *usage);
long sys_getpid(void);
long sys_getppid(void);
long sys_gettid(void);
long sys_getpgid(int pid);
long sys_getpgrp(void);
long sys_setpgid(int pid, int pgid);
long sys_getsid(int pid);
long sys_setsid(void);
long sys_set_tid_address(int __user *tid);
long sys_seccomp(u32 operation, u32 flags, const void __user *argument);
long sys_prctl(int option, u64 a, u64 b, u64 c, u64 d);
long sys_arch_prctl(int option, u64 address);
long sys_personality(u32 persona);

/* sys/signal.c */
struct sigaction;
struct sigaltstack;
struct __kernel_timespec;
long sys_rt_sigaction(int signal, const struct sigaction __user *new, struct sigaction __user *old, size_t bytes);
long sys_rt_sigprocmask(int how, const u64 __user *new, u64 __user *old, size_t bytes);
long sys_rt_sigpending(u64 __user *set, size_t bytes);
long sys_rt_sigtimedwait(const u64 __user *set, struct siginfo __user *info,
                         const struct __kernel_timespec __user *timeout, size_t bytes);
long sys_rt_sigqueueinfo(int pid, int signal, struct siginfo __user *info);
long sys_rt_tgsigqueueinfo(int pid, int tid, int signal, struct siginfo __user *info);
long sys_rt_sigsuspend(const u64 __user *set, size_t bytes);
long sys_rt_sigreturn(void);
long sys_sigaltstack(const struct sigaltstack __user *new, struct sigaltstack __user *old);
long sys_kill(int pid, int signal);
long sys_tkill(int tid, int signal);
long sys_tgkill(int pid, int tid, int signal);
long sys_pause(void);
long sys_restart_syscall(void);

/* sys/time.c */
struct __kernel_old_timeval;
struct __kernel_old_itimerval;
struct __kernel_itimerspec;
struct timezone;
struct tms;
struct sigevent;
long sys_clock_gettime(int clock, struct __kernel_timespec __user *out);
struct timex;
long sys_adjtimex(struct timex __user *user);
long sys_clock_adjtime(int clock, struct timex __user *user);
long sys_clock_settime(int clock, const struct __kernel_timespec __user *in);
long sys_clock_getres(int clock, struct __kernel_timespec __user *out);
long sys_nanosleep(const struct __kernel_timespec __user *request, struct __kernel_timespec __user *left);
long sys_clock_nanosleep(int clock, int flags, const struct __kernel_timespec __user *request,
                         struct __kernel_timespec __user *left);
long sys_gettimeofday(struct __kernel_old_timeval __user *out, struct timezone __user *zone);
long sys_settimeofday(const struct __kernel_old_timeval __user *in, const struct timezone __user *zone);
long sys_time(s64 __user *out);
long sys_times(struct tms __user *out);
long sys_getrusage(int who, struct rusage __user *out);
long sys_setitimer(int which, const struct __kernel_old_itimerval __user *new,
                   struct __kernel_old_itimerval __user *old);
long sys_getitimer(int which, struct __kernel_old_itimerval __user *out);
long sys_alarm(u32 seconds);
long sys_timer_create(int clock, struct sigevent __user *event, int __user *id);
long sys_timer_settime(int id, int flags, const struct __kernel_itimerspec __user *new,
                       struct __kernel_itimerspec __user *old);
long sys_timer_gettime(int id, struct __kernel_itimerspec __user *out);
long sys_timer_getoverrun(int id);
long sys_timer_delete(int id);

/* sys/id.c */
struct __user_cap_header_struct;
struct __user_cap_data_struct;
long sys_getuid(void);
long sys_geteuid(void);
long sys_getgid(void);
long sys_getegid(void);
long sys_setuid(u32 uid);
long sys_setgid(u32 gid);
long sys_setreuid(u32 real, u32 effective);
long sys_setregid(u32 real, u32 effective);
long sys_setresuid(u32 real, u32 effective, u32 saved);
long sys_setresgid(u32 real, u32 effective, u32 saved);
long sys_getresuid(u32 __user *real, u32 __user *effective, u32 __user *saved);
long sys_getresgid(u32 __user *real, u32 __user *effective, u32 __user *saved);
long sys_setfsuid(u32 uid);
long sys_setfsgid(u32 gid);
long sys_getgroups(int count, u32 __user *groups);
long sys_setgroups(int count, const u32 __user *groups);
long sys_capget(struct __user_cap_header_struct __user *header, struct __user_cap_data_struct __user *data);
long sys_capset(struct __user_cap_header_struct __user *header, const struct __user_cap_data_struct __user *data);

/* sys/futex.c */
struct futex_waitv;
long sys_futex_waitv(const struct futex_waitv __user *words, u32 count, u32 flags,
                     const struct __kernel_timespec __user *timeout, int clock);
long sys_futex(u32 __user *word, int operation, u32 value, u64 timeout_or_count, u32 __user *word2, u32 value3);
long sys_set_robust_list(u64 head, size_t bytes);
long sys_rseq(u64 area, u32 bytes, int flags, u32 signature); /* task/rseq.c */
long sys_get_robust_list(int tid, u64 __user *head, size_t __user *bytes);

/* sys/sched.c */
struct sched_param;
struct sched_attr;
long sys_sched_yield(void);
long sys_sched_setscheduler(int tid, int policy, const int __user *priority);
long sys_sched_getscheduler(int tid);
long sys_sched_setparam(int tid, const int __user *priority);
long sys_sched_getparam(int tid, int __user *priority);
long sys_sched_get_priority_max(int policy);
long sys_sched_get_priority_min(int policy);
long sys_sched_rr_get_interval(int tid, struct __kernel_timespec __user *out);
long sys_sched_setaffinity(int tid, u32 bytes, const u64 __user *mask);
long sys_sched_getaffinity(int tid, u32 bytes, u64 __user *mask);
long sys_sched_setattr(int tid, const struct sched_attr __user *attr, u32 flags);
long sys_sched_getattr(int tid, struct sched_attr __user *attr, u32 bytes, u32 flags);
long sys_getcpu(u32 __user *cpu, u32 __user *node);
long sys_getpriority(int which, int who);
long sys_setpriority(int which, int who, int nice);
long sys_ioprio_get(int which, int who);
long sys_ioprio_set(int which, int who, u32 priority);

/* sys/misc.c */
struct new_utsname;
struct sysinfo;
struct rlimit;
struct rlimit64;
long sys_vhangup(void);
long sys_syslog(int type, char __user *out, int room);
long sys_uname(struct new_utsname __user *out);
long sys_sysinfo(struct sysinfo __user *out);
long sys_getrandom(void __user *buffer, size_t bytes, u32 flags);
long sys_getrlimit(u32 resource, struct rlimit __user *out);
long sys_setrlimit(u32 resource, const struct rlimit __user *in);
long sys_prlimit64(int pid, u32 resource, const struct rlimit64 __user *new, struct rlimit64 __user *old);
long sys_sethostname(const char __user *name, int bytes);
long sys_setdomainname(const char __user *name, int bytes);

/* The owners of the families below append their groups here, with the name of their file above each. */

/* sys/pipe.c */
long sys_pipe(int __user *fds);
long sys_pipe2(int __user *fds, int flags);

/* sys/poll.c */
struct pollfd;
struct mask_argument;
long sys_poll(struct pollfd __user *fds, u32 count, int timeout_ms);
long sys_ppoll(struct pollfd __user *fds, u32 count, struct __kernel_timespec __user *timeout, const u64 __user *mask,
               size_t bytes);
long sys_select(int count, u64 __user *read, u64 __user *write, u64 __user *except,
                struct __kernel_old_timeval __user *timeout);
long sys_pselect6(int count, u64 __user *read, u64 __user *write, u64 __user *except,
                  struct __kernel_timespec __user *timeout, const struct mask_argument __user *mask);

/* sys/event.c */
struct epoll_event;
long sys_eventfd(u32 count);
long sys_eventfd2(u32 count, int flags);
long sys_epoll_create(int size);
long sys_inotify_init(void), sys_inotify_init1(int flags);
long sys_inotify_add_watch(int fd, const char __user *name, u32 mask), sys_inotify_rm_watch(int fd, int number);
long sys_epoll_create1(int flags);
long sys_epoll_ctl(int epfd, int operation, int fd, const struct epoll_event __user *event);
long sys_epoll_wait(int epfd, struct epoll_event __user *events, int most, int timeout_ms);
long sys_epoll_pwait(int epfd, struct epoll_event __user *events, int most, int timeout_ms, const u64 __user *mask,
                     size_t bytes);
long sys_epoll_pwait2(int epfd, struct epoll_event __user *events, int most,
                      const struct __kernel_timespec __user *timeout, const u64 __user *mask, size_t bytes);
long sys_timerfd_create(int clock, int flags);
long sys_timerfd_settime(int fd, int flags, const struct __kernel_itimerspec __user *new,
                         struct __kernel_itimerspec __user *old);
long sys_timerfd_gettime(int fd, struct __kernel_itimerspec __user *out);
long sys_signalfd(int fd, const u64 __user *mask, size_t bytes);
long sys_signalfd4(int fd, const u64 __user *mask, size_t bytes, int flags);
long sys_userfaultfd(int flags);

/* sys/mm.c */
struct iovec;

long sys_mmap(u64 address, u64 bytes, u64 prot, u64 flags, int fd, u64 offset);
long sys_munmap(u64 address, u64 bytes);
long sys_brk(u64 address);
long sys_remap_file_pages(u64 start, u64 bytes, u64 prot, u64 page, u64 flags);
long sys_mremap(u64 old, u64 old_bytes, u64 new_bytes, u64 flags, u64 to);
long sys_mincore(u64 address, u64 bytes, u8 __user *vector);
long sys_msync(u64 address, u64 bytes, int flags);

/* sys/protect.c */
long sys_mprotect(u64 address, u64 bytes, u64 prot);
long sys_pkey_mprotect(u64 address, u64 bytes, u64 prot, int key);
long sys_pkey_alloc(u64 flags, u64 rights);
long sys_pkey_free(int key);

/* sys/mlock.c */
long sys_mlock(u64 address, u64 bytes);
long sys_mlock2(u64 address, u64 bytes, int flags);
long sys_munlock(u64 address, u64 bytes);
long sys_mlockall(int flags);
long sys_munlockall(void);

/* sys/swap.c */
long sys_swapon(const char __user *name, int flags);
long sys_swapoff(const char __user *name);

/* sys/madvise.c */
long sys_madvise(u64 address, u64 bytes, int advice);
long sys_process_madvise(int pidfd, const struct iovec __user *vector, u64 count, int advice, u32 flags);
long sys_process_mrelease(int pidfd, u32 flags);

/* sys/process.c */
long sys_unshare(u64 flags);
long sys_setns(int fd, int type);

/* sys/pidfd.c */
struct process *pidfd_take(int fd); /* the process that a descriptor stands for, counted; err_ptr(-EBADF) */
long sys_pidfd_open(int pid, u32 flags);
long sys_pidfd_send_signal(int pidfd, int signal, struct siginfo __user *info, u32 flags);
long sys_pidfd_getfd(int pidfd, int fd, u32 flags);

/* sys/ptrace.c */
long sys_ptrace(long request, int tid, u64 address, u64 data);

/* sys/remote.c */
long sys_kcmp(int tid, int other, int type, u64 a, u64 b);
long sys_process_vm_readv(int pid, const struct iovec __user *local, u64 local_count, const struct iovec __user *remote,
                          u64 remote_count, u64 flags);
long sys_process_vm_writev(int pid, const struct iovec __user *local, u64 local_count,
                           const struct iovec __user *remote, u64 remote_count, u64 flags);

/* sys/shm.c */
long sys_shmget(int key, size_t bytes, int flags);
long sys_shmat(int id, u64 address, int flags);
long sys_shmdt(u64 address);
long sys_shmctl(int id, int command, void __user *out);

/* sys/sem.c */
struct sembuf;
long sys_semget(int key, int count, int flags);
long sys_semop(int id, const struct sembuf __user *ops, u64 count);
long sys_semtimedop(int id, const struct sembuf __user *ops, u64 count, const struct __kernel_timespec __user *timeout);
long sys_semctl(int id, int number, int command, u64 argument);

/* sys/msg.c */
struct msgbuf;
long sys_msgget(int key, int flags);
long sys_msgsnd(int id, const struct msgbuf __user *from, size_t bytes, int flags);
long sys_msgrcv(int id, struct msgbuf __user *to, size_t bytes, s64 type, int flags);
long sys_msgctl(int id, int command, void __user *argument);

/* sys/mq.c */
struct mq_attr;
long sys_mq_open(const char __user *name, int flags, u32 mode, const struct mq_attr __user *attr);
long sys_mq_unlink(const char __user *name);
long sys_mq_timedsend(int fd, const char __user *text, size_t bytes, u32 priority,
                      const struct __kernel_timespec __user *until);
long sys_mq_timedreceive(int fd, char __user *text, size_t bytes, u32 __user *priority,
                         const struct __kernel_timespec __user *until);
long sys_mq_notify(int fd, const struct sigevent __user *event);
long sys_mq_getsetattr(int fd, const struct mq_attr __user *new, struct mq_attr __user *old);

/* sys/mempolicy.c */
long sys_mbind(u64 start, u64 bytes, int mode, const u64 __user *mask, u64 count, u32 flags);
long sys_set_mempolicy(int mode, const u64 __user *mask, u64 count);
long sys_get_mempolicy(int __user *mode, u64 __user *mask, u64 count, u64 address, u64 flags);
long sys_set_mempolicy_home_node(u64 start, u64 bytes, u64 node, u64 flags);
long sys_move_pages(int pid, u64 count, const u64 __user *pages, const int __user *nodes, int __user *status,
                    int flags);
long sys_migrate_pages(int pid, u64 count, const u64 __user *from, const u64 __user *to);

/* sys/membarrier.c */
long sys_membarrier(int command, u32 flags, int cpu);

/* sys/file.c */
struct open_how;
long sys_open(const char __user *name, int flags, u32 mode);
long sys_openat(int at, const char __user *name, int flags, u32 mode);
long sys_creat(const char __user *name, u32 mode);
long sys_openat2(int at, const char __user *name, const struct open_how __user *user, size_t bytes);
long sys_close(int fd);
long sys_close_range(u32 first, u32 last, u32 flags);
long sys_dup(int fd);
long sys_dup2(int fd, int new);
long sys_dup3(int fd, int new, int flags);
long sys_fcntl(int fd, int command, u64 argument);
long sys_flock(int fd, int operation);
long sys_ioctl(int fd, u32 command, u64 argument);
long sys_memfd_create(const char __user *name, u32 flags);

/* sys/rw.c */
long sys_read(int fd, void __user *buffer, size_t bytes);
long sys_write(int fd, const void __user *buffer, size_t bytes);
long sys_pread64(int fd, void __user *buffer, size_t bytes, s64 offset);
long sys_pwrite64(int fd, const void __user *buffer, size_t bytes, s64 offset);
long sys_readv(int fd, const struct iovec __user *vector, u32 count);
long sys_writev(int fd, const struct iovec __user *vector, u32 count);
long sys_preadv(int fd, const struct iovec __user *vector, u32 count, s64 offset);
long sys_pwritev(int fd, const struct iovec __user *vector, u32 count, s64 offset);
long sys_preadv2(int fd, const struct iovec __user *vector, u32 count, s64 offset, u64 unused1, int flags);
long sys_pwritev2(int fd, const struct iovec __user *vector, u32 count, s64 offset, u64 unused1, int flags);
long sys_lseek(int fd, s64 offset, u32 whence);
long sys_sendfile(int out_fd, int in_fd, u64 __user *position, size_t bytes);
long sys_copy_file_range(int in_fd, u64 __user *in_at, int out_fd, u64 __user *out_at, size_t bytes, u32 flags);
long sys_splice(int in_fd, u64 __user *in_at, int out_fd, u64 __user *out_at, size_t bytes, u32 flags);
long sys_tee(int in_fd, int out_fd, size_t bytes, u32 flags);
long sys_vmsplice(int fd, const struct iovec __user *vector, u32 count, u32 flags);

/* sys/dir.c */
long sys_getdents64(int fd, void __user *out, u32 bytes);
long sys_getdents(int fd, void __user *out, u32 bytes);
long sys_getcwd(char __user *out, size_t bytes);
long sys_chdir(const char __user *name);
long sys_chroot(const char __user *name);
long sys_fchdir(int fd);
long sys_umask(u32 mask);
long sys_mknodat(int at, const char __user *name, u32 mode, u32 device);
long sys_mknod(const char __user *name, u32 mode, u32 device);
long sys_mkdirat(int at, const char __user *name, u32 mode);
long sys_mkdir(const char __user *name, u32 mode);
long sys_unlinkat(int at, const char __user *name, int flags);
long sys_unlink(const char __user *name);
long sys_rmdir(const char __user *name);
long sys_renameat2(int at, const char __user *name, int new_at, const char __user *new_name, u32 flags);
long sys_renameat(int at, const char __user *name, int new_at, const char __user *new_name);
long sys_rename(const char __user *name, const char __user *new_name);
long sys_linkat(int at, const char __user *name, int new_at, const char __user *new_name, int flags);
long sys_link(const char __user *name, const char __user *new_name);
long sys_symlinkat(const char __user *target, int at, const char __user *name);
long sys_symlink(const char __user *target, const char __user *name);
long sys_name_to_handle_at(int at, const char __user *name, void __user *handle, int __user *mount, int flags);
long sys_open_by_handle_at(int mount, void __user *handle, int flags);
long sys_readlinkat(int at, const char __user *name, char __user *out, int bytes);
long sys_readlink(const char __user *name, char __user *out, int bytes);

/* sys/stat.c */
struct stat;
struct statx;
struct statfs;
long sys_fstat(int fd, struct stat __user *out);
long sys_newfstatat(int at, const char __user *name, struct stat __user *out, int flags);
long sys_stat(const char __user *name, struct stat __user *out);
long sys_lstat(const char __user *name, struct stat __user *out);
long sys_statx(int at, const char __user *name, int flags, u32 mask, struct statx __user *out);
long sys_faccessat2(int at, const char __user *name, int mode, int flags);
long sys_faccessat(int at, const char __user *name, int mode);
long sys_access(const char __user *name, int mode);
long sys_statfs(const char __user *name, struct statfs __user *out);
long sys_fstatfs(int fd, struct statfs __user *out);

/* sys/attr.c */
struct utimbuf;
long sys_fchmodat(int at, const char __user *name, u32 mode);
long sys_chmod(const char __user *name, u32 mode);
long sys_fchmod(int fd, u32 mode);
long sys_fchownat(int at, const char __user *name, u32 uid, u32 gid, int flags);
long sys_chown(const char __user *name, u32 uid, u32 gid);
long sys_lchown(const char __user *name, u32 uid, u32 gid);
long sys_fchown(int fd, u32 uid, u32 gid);
long sys_utimensat(int at, const char __user *name, const struct __kernel_timespec __user *user, int flags);
long sys_futimesat(int at, const char __user *name, const struct __kernel_old_timeval __user *user);
long sys_utimes(const char __user *name, const struct __kernel_old_timeval __user *user);
long sys_utime(const char __user *name, const struct utimbuf __user *user);
long sys_truncate(const char __user *name, s64 bytes);
long sys_ftruncate(int fd, s64 bytes);
long sys_fallocate(int fd, int mode, s64 offset, s64 bytes);
long sys_setxattr(const char __user *path, const char __user *name, const void __user *value, size_t bytes, int flags);
long sys_lsetxattr(const char __user *path, const char __user *name, const void __user *value, size_t bytes, int flags);
long sys_fsetxattr(int fd, const char __user *name, const void __user *value, size_t bytes, int flags);
long sys_getxattr(const char __user *path, const char __user *name, void __user *value, size_t bytes);
long sys_lgetxattr(const char __user *path, const char __user *name, void __user *value, size_t bytes);
long sys_fgetxattr(int fd, const char __user *name, void __user *value, size_t bytes);
long sys_listxattr(const char __user *path, char __user *names, size_t bytes);
long sys_llistxattr(const char __user *path, char __user *names, size_t bytes);
long sys_flistxattr(int fd, char __user *names, size_t bytes);
long sys_removexattr(const char __user *path, const char __user *name);
long sys_lremovexattr(const char __user *path, const char __user *name);
long sys_fremovexattr(int fd, const char __user *name);

/* sys/aio.c */
struct iocb;
struct io_event;
struct aio_sigset;
long sys_io_setup(u32 most, u64 __user *out);
long sys_io_destroy(u64 name);
long sys_io_submit(u64 name, s64 count, struct iocb __user *__user *user);
long sys_io_cancel(u64 name, struct iocb __user *user, struct io_event __user *event);
long sys_io_getevents(u64 name, s64 least, s64 most, struct io_event __user *events,
                      const struct __kernel_timespec __user *timeout);
long sys_io_pgetevents(u64 name, s64 least, s64 most, struct io_event __user *events,
                       const struct __kernel_timespec __user *timeout, const struct aio_sigset __user *user);

/* sys/socket.c */
struct user_message;
struct user_many;
long sys_socket(int family, int type, int protocol);
long sys_socketpair(int family, int type, int protocol, int __user *fds);
long sys_bind(int fd, const void __user *name, int bytes);
long sys_connect(int fd, const void __user *name, int bytes);
long sys_listen(int fd, int backlog);
long sys_accept(int fd, void __user *name, int __user *bytes);
long sys_accept4(int fd, void __user *name, int __user *bytes, int flags);
long sys_getsockname(int fd, void __user *name, int __user *bytes);
long sys_getpeername(int fd, void __user *name, int __user *bytes);
long sys_shutdown(int fd, int how);
long sys_setsockopt(int fd, int level, int name, const void __user *value, int bytes);
long sys_getsockopt(int fd, int level, int name, void __user *value, int __user *bytes);
long sys_sendto(int fd, const void __user *buffer, size_t bytes, u32 flags, const void __user *name, int name_bytes);
long sys_sendmsg(int fd, const struct user_message __user *message, u32 flags);
long sys_sendmmsg(int fd, struct user_many __user *messages, u32 count, u32 flags);
long sys_recvfrom(int fd, void __user *buffer, size_t bytes, u32 flags, void __user *name, int __user *name_bytes);
long sys_recvmsg(int fd, struct user_message __user *message, u32 flags);
long sys_recvmmsg(int fd, struct user_many __user *messages, u32 count, u32 flags,
                  struct __kernel_timespec __user *timeout);

/* sys/sync.c */
long sys_sync(void);
long sys_fsync(int fd);
long sys_fdatasync(int fd);
long sys_syncfs(int fd);
long sys_sync_file_range(int fd, s64 offset, s64 bytes, u32 flags);
long sys_fadvise64(int fd, s64 offset, s64 bytes, int advice);
long sys_readahead(int fd, s64 offset, size_t bytes);
long sys_mount(const char __user *source, const char __user *where, const char __user *type, u64 flags,
               const void __user *data);
long sys_umount2(const char __user *where, int flags);
