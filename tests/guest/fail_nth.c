/* fail_nth.c - every system call that allocates, with its Nth allocation failing, for N = 1, 2, ... until it passes;
 * then the same with the Nth exchange with the host's file server.
 *
 * Each try runs in a child of its own: remember the mappings and descriptors; /proc/self/fail-nth = N; the call; look
 * whether it came to the failure. If the call then failed, its errno is one of those allowed, mappings and descriptors
 * are as before, and the same call made again, without a failure, succeeds: so nothing was left half done. A fault that
 * finds no memory may kill (SIGKILL) where the table says so. After each call the kernel's checker finds nothing, and
 * the kernel's objects, counted by cache, are as many as after the call without a failure: what a failure leaks shows
 * by the name of its cache. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define MOST 4000 /* failures of one call; more would mean that it never passes */
#define RESULT(call)                                                                                                   \
    ({                                                                                                                 \
        long r_ = (long)(call);                                                                                        \
        r_ == -1 ? -errno : r_;                                                                                        \
    })

static char *area;    /* what the calls work on: made anew by each child */
static int fd, other; /* two descriptors, as `before` left them */
static char *buffer;  /* touched, 256 KiB */

/* ---- memory ---- */

static char *map(size_t pages, int prot, int flags, int file) {
    char *p = mmap(NULL, pages * PAGE, prot, flags, file, 0);
    if (p == MAP_FAILED)
        perror("mmap"), _exit(1);
    return p;
}
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void an_area(void) { area = map(64, RW, ANON, -1); }
static void a_full_area(void) {
    an_area();
    memset(area, 5, 64 * PAGE);
}
static void a_large_area(void) {
    area = map(2000, RW, ANON, -1);
    for (int i = 0; i < 2000; i += 9)
        area[i * PAGE] = 5;
}
/* Its tables are shared with a child that lives on; it ends with us. */
static void a_shared_area(void) {
    a_large_area();
    pid_t parent = getpid();
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            pause();
        _exit(0);
    }
    buffer[0] = 1; /* so much is ours again */
    area[1] = 5;
    munmap(map(1, RW, ANON, -1), PAGE);
}
static void a_host_file(void) {
    fd = open("host", O_RDONLY);
    area = map(16, PROT_READ, MAP_PRIVATE, fd);
}
static void a_memfd(void) {
    fd = memfd_create("m", 0);
    if (ftruncate(fd, 64 * PAGE))
        _exit(1);
    area = map(64, RW, MAP_SHARED, fd);
}

static long x_mmap(void) { return RESULT(mmap(NULL, 300 * PAGE, RW, ANON, -1, 0)); }
static long x_mmap_shared(void) { return RESULT(mmap(NULL, 30 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0)); }
static long x_mmap_file(void) { return RESULT(mmap(NULL, 16 * PAGE, RW, MAP_PRIVATE, fd, PAGE)); }
static long x_mmap_fixed(void) { return RESULT(mmap(area + 3 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0)); }
static long x_mmap_over(void) { return RESULT(mmap(area + 3 * PAGE, 1900 * PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0)); }
static long x_mmap_populate(void) { return RESULT(mmap(NULL, 40 * PAGE, RW, ANON | MAP_POPULATE, -1, 0)); }
static long x_munmap(void) { return RESULT(munmap(area, 64 * PAGE)); }
static long x_munmap_split(void) { return RESULT(munmap(area + 5 * PAGE, 2 * PAGE)); }
static long x_munmap_large(void) { return RESULT(munmap(area + 5 * PAGE, 1900 * PAGE)); }
static long x_mprotect_split(void) { return RESULT(mprotect(area + 5 * PAGE, 2 * PAGE, PROT_READ)); }
static long x_mprotect_large(void) { return RESULT(mprotect(area + 5 * PAGE, 1900 * PAGE, PROT_NONE)); }
static long x_mremap_grow(void) { return RESULT(mremap(area, 64 * PAGE, 3000 * PAGE, MREMAP_MAYMOVE)); }
static long x_mremap_shrink(void) { return RESULT(mremap(area, 64 * PAGE, 3 * PAGE, 0)); }
static long x_mremap_move(void) {
    return RESULT(mremap(area + PAGE, 1500 * PAGE, 1500 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + 4000 * PAGE));
}
static long x_brk(void) { return syscall(SYS_brk, (long)sbrk(0) + 700 * (long)PAGE) == (long)sbrk(0) ? -ENOMEM : 0; }
static long x_brk_back(void) { return syscall(SYS_brk, (long)sbrk(0) - (long)PAGE) == (long)sbrk(0) ? -ENOMEM : 0; }
static long x_mlock(void) { return RESULT(mlock(area + PAGE, 20 * PAGE)); }
static long x_munlock(void) { return RESULT(munlock(area + 2 * PAGE, 2 * PAGE)); }
static void a_locked_area(void) {
    an_area();
    mlock(area, 20 * PAGE);
}
static long x_dontneed(void) { return RESULT(madvise(area + PAGE, 1900 * PAGE, MADV_DONTNEED)); }
static long x_dontfork(void) { return RESULT(madvise(area + PAGE, 2 * PAGE, MADV_DONTFORK)); }
static long x_mincore(void) {
    static unsigned char vec[2048];
    return RESULT(mincore(area, 2000 * PAGE, vec));
}
static long x_msync(void) { return RESULT(msync(area, 16 * PAGE, MS_SYNC)); }
static long x_vm_readv(void) {
    struct iovec here = {buffer, 20 * PAGE}, there = {area, 20 * PAGE};
    return RESULT(process_vm_readv(getpid(), &here, 1, &there, 1, 0));
}
static long x_vm_writev(void) {
    struct iovec here = {buffer, 20 * PAGE}, there = {area, 20 * PAGE};
    return RESULT(process_vm_writev(getpid(), &here, 1, &there, 1, 0));
}

static void a_swapped_area(void) {
    a_full_area();
    madvise(area, 64 * PAGE, MADV_PAGEOUT);
}
static void a_swapped_fork(void) { /* of which a child has the other half of the tables */
    a_shared_area();
    madvise(area, 2000 * PAGE, MADV_PAGEOUT);
}
static long x_mlockall(void) { return RESULT(mlockall(MCL_CURRENT)); }
static long x_populate_read(void) { return RESULT(madvise(area, 64 * PAGE, MADV_POPULATE_READ)); }
static long x_populate_write(void) { return RESULT(madvise(area, 64 * PAGE, MADV_POPULATE_WRITE)); }
static long x_remap_file(void) { return RESULT(remap_file_pages(area, 4 * PAGE, 0, 8, 0)); }
static long x_sem(void) {
    struct sembuf op = {2, 1, SEM_UNDO};
    int id = semget(IPC_PRIVATE, 40, IPC_CREAT | 0600);
    if (id < 0)
        return RESULT(id);
    long r = RESULT(semop(id, &op, 1));
    semctl(id, 0, IPC_RMID);
    return r;
}
static long x_msg(void) {
    struct {
        long type;
        char text[100];
    } m = {1, ""};
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    if (id < 0)
        return RESULT(id);
    long r = RESULT(msgsnd(id, &m, 100, 0));
    msgctl(id, IPC_RMID, NULL);
    return r;
}
static long x_mq(void) {
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    long q = RESULT(syscall(SYS_mq_open, "nth", O_CREAT | O_RDWR, 0600, NULL));
    if (q < 0)
        return q;
    long r = RESULT(syscall(SYS_mq_notify, q, &event)) ?: RESULT(syscall(SYS_mq_timedsend, q, buffer, 100, 1, NULL));
    syscall(SYS_mq_unlink, "nth");
    close((int)q);
    return r;
}
static long x_seccomp(void) { /* in the child that tries: it may do all that it could */
    struct sock_filter allow[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_fprog program = {2, allow};
    return RESULT(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}
static long x_shm(void) {
    int id = shmget(IPC_PRIVATE, 40 * PAGE, IPC_CREAT | 0600);
    if (id < 0)
        return -errno;
    char *p = shmat(id, NULL, 0);
    long r = p == (char *)-1 ? -errno : 0;
    shmctl(id, IPC_RMID, NULL);
    if (!r)
        shmdt(p);
    return r;
}

/* Faults. */
static long x_touch(void) {
    for (int i = 0; i < 64; i += 7)
        area[i * PAGE] = 1;
    return 0;
}
static long x_touch_read(void) {
    return ((volatile char *)area)[3 * PAGE] + ((volatile char *)area)[1700 * PAGE] ? 0 : 0;
}
static long x_touch_shared(void) {
    for (int i = 0; i < 2000; i += 100)
        area[i * PAGE] = 1;
    return 0;
}
static long x_touch_file(void) { return ((volatile char *)area)[9 * PAGE] ? 0 : 0; }
static void a_private_file(void) {
    fd = open("host", O_RDONLY);
    area = map(64, RW, MAP_PRIVATE, fd);
}
static __attribute__((noinline)) long deep(int levels) {
    volatile char frame[PAGE];
    frame[0] = (char)levels;
    return levels ? deep(levels - 1) + frame[0] : 0;
}
static long x_stack(void) { return deep(100) ? 0 : 0; }

/* ---- processes ---- */

static long x_fork(void) {
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -errno : pid == waitpid(pid, NULL, 0) ? 0 : -ECHILD;
}
static long x_fork_special(void) { return x_fork(); }
static void a_special_area(void) {
    a_large_area();
    madvise(area + PAGE, 3 * PAGE, MADV_DONTFORK);
    madvise(area + 700 * PAGE, 3 * PAGE, MADV_WIPEONFORK);
    mlock(area + 900 * PAGE, 3 * PAGE);
}
static long x_vfork(void) {
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -errno : pid == waitpid(pid, NULL, 0) ? 0 : -ECHILD;
}
static int ended;
static int thread(void *unused) { return unused != NULL; }
static long x_thread(void) {
    static char stack[4 * PAGE];
    ended = 1;
    int tid = clone(thread, stack + sizeof(stack),
                    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                        CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID,
                    NULL, &ended, NULL, &ended);
    if (tid < 0)
        return -errno;
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
        sched_yield();
    return 0;
}
static long x_thread_apart(void) {
    static char stack[4 * PAGE];
    ended = 1;
    int tid = clone(thread, stack + sizeof(stack), CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID, NULL,
                    NULL, NULL, &ended);
    if (tid < 0)
        return -errno;
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
        sched_yield();
    return 0;
}
static long x_unshare(void) { return RESULT(unshare(CLONE_FS | CLONE_FILES)); }
static long x_clone_bad_tid(void) { /* CVE list, 25: the pointers fault after the child was made */
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, 8, 16, 0);
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return errno == EFAULT ? 0 : -errno;
    return waitpid(pid, NULL, 0) == pid ? 0 : -ECHILD;
}
static char self[4096];
static void a_quiet_start(void) { dup2(open("/dev/null", O_WRONLY), 2); } /* glibc says when it finds no memory */
static long x_exec(void) {
    char *argv[] = {self, "executed", NULL}, *envp[] = {NULL};
    execve(self, argv, envp);
    return -errno;
}
static long x_exec_script(void) {
    char *argv[] = {"./script", NULL}, *envp[] = {NULL};
    execve("./script", argv, envp);
    return -errno;
}
static long x_sigqueue(void) {
    return RESULT(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 7})) ?: RESULT(kill(getpid(), SIGUSR1));
}
static void blocked_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}
static long x_sigaltstack(void) {
    stack_t s = {.ss_sp = buffer, .ss_size = 16384};
    return RESULT(sigaltstack(&s, NULL));
}
static long x_timer(void) {
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    return RESULT(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &t));
}
static long x_futex(void) {
    static int word = 1;
    struct timespec t = {0, 1000};
    long r = RESULT(syscall(SYS_futex, &word, FUTEX_WAIT, 1, &t, NULL, 0));
    return r == -ETIMEDOUT ? 0 : r;
}
static long x_setsid(void) { return RESULT(setsid()); }
static void in_a_child(void) { /* who leads no group; its outcome is ours */
    pid_t pid = fork();
    int status;
    if (pid && waitpid(pid, &status, 0) == pid)
        _exit(WEXITSTATUS(status));
}
static long x_setgroups(void) {
    gid_t list[300] = {0};
    return RESULT(syscall(SYS_setgroups, 300, list));
}
static long x_affinity(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    return RESULT(sched_setaffinity(0, sizeof(set), &set));
}
static long x_prctl_name(void) { return RESULT(prctl(PR_SET_NAME, "renamed")); }

/* ---- descriptors ---- */

static long x_pipe(void) {
    int ends[2];
    return RESULT(pipe2(ends, O_CLOEXEC));
}
static void a_pipe(void) {
    int ends[2];
    if (pipe(ends))
        _exit(1);
    fd = ends[0];
    other = ends[1];
}
static void a_file_and_a_pipe(void) {
    a_pipe();
    fd = open("host", O_RDONLY);
}
static long x_pipe_write(void) {
    long r = RESULT(write(other, buffer, 40000));
    return r == 40000 ? 0 : r < 0 ? r : 1;
}
static long x_pipe_size(void) { return RESULT(fcntl(other, F_SETPIPE_SZ, 1 << 18)); }
static long x_socketpair(void) {
    int ends[2];
    long r = RESULT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    if (!r)
        close(ends[0]), close(ends[1]);
    return r;
}
static const struct sockaddr_un server_name = {.sun_family = AF_UNIX, .sun_path = "\0server"};
static void a_server(void) {
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd, (const struct sockaddr *)&server_name, sizeof(server_name)) || listen(fd, 5))
        _exit(1);
    other = socket(AF_UNIX, SOCK_STREAM, 0);
}
static long x_connect(void) {
    return RESULT(connect(other, (const struct sockaddr *)&server_name, sizeof(server_name)));
}
static void a_client(void) {
    a_server();
    if (x_connect())
        _exit(1);
}
static long x_accept(void) {
    long r = RESULT(accept(fd, NULL, NULL));
    return r < 0 ? r : RESULT(close((int)r));
}
static long x_bind(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "bound"};
    int s = socket(AF_UNIX, SOCK_DGRAM, 0);
    long r = s < 0 ? -errno : RESULT(bind(s, (struct sockaddr *)&name, sizeof(name)));
    close(s);
    return r;
}
static void no_name(void) { unlink("bound"); }
static void a_pair(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        _exit(1);
    fd = ends[0];
    other = ends[1];
}
static long x_send(void) {
    long r = RESULT(send(other, buffer, 60000, 0));
    return r == 60000 ? 0 : r < 0 ? r : 1;
}
static struct sockaddr_in tcp_name = {.sin_family = AF_INET, .sin_addr = {0x0100007f}};
static void a_tcp_server(void) {
    socklen_t size = sizeof(tcp_name);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (listen(fd, 5) || getsockname(fd, (struct sockaddr *)&tcp_name, &size))
        _exit(1);
    tcp_name.sin_addr.s_addr = 0x0100007f;
    other = socket(AF_INET, SOCK_STREAM, 0);
}
static long x_tcp_connect(void) { return RESULT(connect(other, (const struct sockaddr *)&tcp_name, sizeof(tcp_name))); }
static void a_tcp_client(void) {
    a_tcp_server();
    if (x_tcp_connect())
        _exit(1);
}
static long x_udp_send(void) {
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    long r = s < 0 ? -errno : RESULT(connect(s, (const struct sockaddr *)&tcp_name, sizeof(tcp_name)));
    r = r ? r : RESULT(send(s, buffer, 60000, 0));
    close(s);
    return r == 60000 ? 0 : r < 0 ? r : 1;
}
static void a_udp_socket(void) {
    socklen_t size = sizeof(tcp_name);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (const struct sockaddr *)&tcp_name, size) || getsockname(fd, (struct sockaddr *)&tcp_name, &size))
        _exit(1);
}
static long x_netlink(void) {
    struct {
        struct nlmsghdr header;
        struct rtgenmsg what;
    } question = {{sizeof(question), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    long r = s < 0 ? -errno : RESULT(send(s, &question, sizeof(question), 0));
    close(s);
    return r < 0 ? r : 0;
}
/* A message with a descriptor and more pieces than fit the stack, there and back. */
static union {
    struct cmsghdr header;
    char room[CMSG_SPACE(200 * sizeof(int))];
} along;
static struct iovec pieces[20];
static struct msghdr a_message(size_t files) {
    for (int i = 0; i < 20; i++)
        pieces[i] = (struct iovec){buffer + i * 300, 300};
    along.header = (struct cmsghdr){CMSG_LEN(files * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memset(CMSG_DATA(&along.header), 0, files * sizeof(int)); /* descriptor 0, that often */
    return (struct msghdr){
        .msg_iov = pieces, .msg_iovlen = 20, .msg_control = &along, .msg_controllen = CMSG_LEN(files * sizeof(int))};
}
static long x_sendmsg(void) {
    struct msghdr m = a_message(100);
    long r = RESULT(sendmsg(other, &m, 0));
    return r == 6000 ? 0 : r < 0 ? r : 1;
}
static void a_pair_with_a_message(void) {
    a_pair();
    struct msghdr m = a_message(1);
    if (sendmsg(other, &m, 0) != 6000)
        _exit(1);
}
static long x_recvmsg(void) {
    struct msghdr m = a_message(100);
    long r = RESULT(recvmsg(fd, &m, MSG_PEEK));
    int got = 0;
    if (r < 0)
        return r;
    if (m.msg_controllen >= CMSG_LEN(sizeof(int))) {
        memcpy(&got, CMSG_DATA(&along.header), sizeof(got));
        close(got);
    }
    return 0;
}
static long x_owner(void) { return RESULT(fcntl(fd, F_SETOWN, getpid()) ?: fcntl(fd, F_SETFL, O_ASYNC)); }
static long x_log(void) {
    int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    long n = log < 0 ? -errno : RESULT(read(log, buffer, 8192));
    close(log);
    return n < 0 ? n : 0;
}
static long x_aio(void) { /* a read of a cold file, told of by an eventfd too */
    aio_context_t context = 0;
    struct io_event event = {.res = 0};
    int told = eventfd(0, 0);
    struct iovec parts[20];
    for (int i = 0; i < 20; i++)
        parts[i] = (struct iovec){buffer, 100};
    struct iocb io = {.aio_lio_opcode = IOCB_CMD_PREADV,
                      .aio_fildes = (unsigned)fd,
                      .aio_buf = (unsigned long)parts,
                      .aio_nbytes = 20,
                      .aio_flags = IOCB_FLAG_RESFD,
                      .aio_resfd = (unsigned)told},
                *list[] = {&io};
    long r = told < 0 ? -errno : RESULT(syscall(SYS_io_setup, 4, &context));
    if (r >= 0)
        r = RESULT(syscall(SYS_io_submit, context, 1, list));
    if (r >= 0)
        r = RESULT(syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
    if (context)
        syscall(SYS_io_destroy, context);
    if (told >= 0)
        close(told);
    return r < 0 ? r : event.res < 0 ? (long)event.res : 0;
}
static long x_eventfd(void) { return RESULT(eventfd(3, 0)); }
static long x_timerfd(void) { return RESULT(timerfd_create(CLOCK_MONOTONIC, 0)); }
static long x_signalfd(void) {
    sigset_t set;
    sigemptyset(&set);
    return RESULT(signalfd(-1, &set, 0));
}
static long x_memfd(void) { return RESULT(memfd_create("name", 0)); }
static long x_memfd_write(void) {
    long r = RESULT(pwrite(fd, buffer, 100000, 5000));
    return r == 100000 ? 0 : r < 0 ? r : 1;
}
static long x_fallocate(void) { return RESULT(fallocate(fd, 0, 0, 90 * PAGE)); }
static long x_punch(void) { return RESULT(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 10, 30 * PAGE)); }
static long x_truncate(void) { return RESULT(ftruncate(fd, 777)); }
static void a_full_memfd(void) {
    a_memfd();
    memset(area, 3, 64 * PAGE);
}
static long x_epoll(void) { return RESULT(epoll_create1(0)); }
static void an_epoll(void) {
    fd = epoll_create1(0);
    other = eventfd(1, 0);
}
static long x_epoll_add(void) {
    struct epoll_event e = {.events = EPOLLIN};
    return RESULT(epoll_ctl(fd, EPOLL_CTL_ADD, other, &e));
}
static void a_full_epoll(void) {
    an_epoll();
    x_epoll_add();
}
static long x_epoll_wait(void) {
    struct epoll_event e[8];
    return RESULT(epoll_wait(fd, e, 8, 100));
}
static long x_poll(void) {
    static struct pollfd many[500];
    for (int i = 0; i < 500; i++)
        many[i] = (struct pollfd){.fd = other, .events = POLLIN | POLLOUT};
    return RESULT(poll(many, 500, 0));
}
static long x_select(void) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(other, &in);
    struct timeval t = {0, 1000};
    return RESULT(select(other + 1, &in, NULL, NULL, &t));
}
static long x_dup_high(void) { return RESULT(dup2(0, 900)); }
static long x_flock(void) { return RESULT(flock(fd, LOCK_EX)); }
static long x_lock(void) {
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    return RESULT(fcntl(fd, F_SETLK, &l));
}
static void a_lock(void) {
    a_host_file();
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
    fcntl(fd, F_SETLK, &l);
}
static long x_unlock_middle(void) {
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 40, .l_len = 10};
    return RESULT(fcntl(fd, F_SETLK, &l));
}
static long x_splice(void) {
    off_t at = 0;
    return RESULT(splice(fd, &at, other, NULL, 9000, 0));
}
static long x_sendfile(void) {
    off_t at = 0;
    return RESULT(sendfile(other, fd, &at, 50000));
}
static void a_file_and_a_memfd(void) {
    a_host_file();
    other = memfd_create("to", 0);
}
static long x_copy_range(void) {
    off_t in = 0, out = 0;
    return RESULT(copy_file_range(fd, &in, other, &out, 50000, 0));
}
static void a_file_and_a_new_file(void) {
    a_host_file();
    other = open("new", O_RDWR | O_CREAT, 0600);
}
static long x_readv(void) {
    struct iovec v[100];
    for (int i = 0; i < 100; i++)
        v[i] = (struct iovec){buffer + i * 100, 100};
    return RESULT(preadv(fd, v, 100, 0));
}

/* ---- names and files ---- */

static long x_open(void) { return RESULT(open("host", O_RDONLY)); }
static long x_open_deep(void) { return RESULT(open("dir/below/file", O_RDONLY)); }
static long x_open_new(void) { return RESULT(open("new", O_RDWR | O_CREAT | O_EXCL, 0600)); }
static long x_open_truncate(void) { return RESULT(open("copied", O_RDWR | O_TRUNC)); }
static long x_tmpfile(void) { return RESULT(open("/dev/shm", O_RDWR | O_TMPFILE, 0600)); }
static long x_write_new(void) {
    int f = open("/dev/shm/new", O_RDWR | O_CREAT, 0600);
    long r = f < 0 ? -errno : RESULT(write(f, buffer, 100000));
    if (f >= 0)
        close(f);
    return r;
}
static long x_copy_up(void) {
    int f = open("copied", O_RDWR);
    long r = f < 0 ? -errno : RESULT(pwrite(f, "x", 1, 3));
    if (f >= 0)
        close(f);
    return r;
}
static long x_mkdir(void) { return RESULT(mkdir("new", 0700)); }
static long x_mkdir_shm(void) { return RESULT(mkdir("/dev/shm/new", 0700)); }
static long x_mknod(void) { return RESULT(mknod("new", S_IFIFO | 0600, 0)); }
static long x_symlink(void) {
    return RESULT(symlink("a/rather/long/target/of/a/symbolic/link/which/is/kept/apart", "new"));
}
static long x_link(void) { return RESULT(link("linked", "new")); }
static long x_rename(void) { return RESULT(rename("moved", "new")); }
static void put_back(void) { rename("new", "moved"); }
static long x_rename_dir(void) { return RESULT(rename("movedir", "new")); }
static void put_dir_back(void) { rename("new", "movedir"); }
static long x_unlink(void) { return RESULT(unlink("/dev/shm/gone")); }
static void a_file_to_go(void) { close(open("/dev/shm/gone", O_WRONLY | O_CREAT, 0600)); }
static void remove_new(void) {
    unlink("new");
    rmdir("new");
    unlink("/dev/shm/new");
    rmdir("/dev/shm/new");
    unlink("/dev/shm/gone");
}
static long x_stat(void) {
    struct stat s;
    return RESULT(stat("dir/below/file", &s));
}
static long x_stat_none(void) {
    struct stat s;
    long r = RESULT(stat("dir/none", &s));
    return r == -ENOENT ? 0 : r;
}
static long x_readlink(void) {
    char text[100];
    return RESULT(readlink("symlink", text, sizeof(text)));
}
static long x_readlink_proc(void) {
    char text[4096];
    return RESULT(readlink("/proc/self/exe", text, sizeof(text)));
}
static long x_getcwd(void) {
    char text[4096];
    return RESULT(syscall(SYS_getcwd, text, sizeof(text)));
}
static long x_chdir(void) { return RESULT(chdir("dir/below")); }
static long x_getdents(void) {
    int f = open("dir", O_RDONLY | O_DIRECTORY);
    long r = f < 0 ? -errno : 0;
    while (f >= 0 && (r = RESULT(syscall(SYS_getdents64, f, buffer, 8000))) > 0)
        ;
    if (f >= 0)
        close(f);
    return r;
}
static long x_chmod(void) { return RESULT(chmod("copied", 0640)); }
static long x_utimes(void) { return RESULT(utimensat(AT_FDCWD, "copied", NULL, 0)); }
static long x_setxattr(void) { return RESULT(setxattr("/dev/shm/keep", "trusted.name", buffer, 3000, 0)); }
static long x_getxattr(void) { return RESULT(getxattr("/dev/shm/keep", "trusted.kept", buffer, 8000)); }
static long x_listxattr(void) { return RESULT(listxattr("/dev/shm/keep", buffer, 8000)); }
static void an_attribute(void) { setxattr("/dev/shm/keep", "trusted.name", buffer, 3000, 0); }
static long x_removexattr(void) { return RESULT(removexattr("/dev/shm/keep", "trusted.name")); }
static long x_read_host(void) { return RESULT(pread(fd, buffer, 200000, 0)); }
static long x_statfs(void) {
    char room[200];
    return RESULT(syscall(SYS_statfs, ".", room));
}
static void cold(void) { /* forget what is cached of the host's files */
    int f = open("/proc/sys/vm/drop_caches", O_WRONLY);
    if (write(f, "3", 1) != 1)
        _exit(1);
    close(f);
}
static void a_cold_file(void) {
    a_host_file();
    cold();
}
static void a_cold_private_file(void) {
    a_private_file();
    cold();
}
static long x_mount(void) { return RESULT(mount("none", "dir", "tmpfs", 0, NULL)) ?: RESULT(umount("dir")); }
static long x_fsync(void) { return RESULT(fsync(fd)); }

static const char *proc_name;
static long read_proc(void) {
    int f = open(proc_name, O_RDONLY);
    long r = f < 0 ? -errno : 0;
    while (f >= 0 && (r = RESULT(read(f, buffer, 3000))) > 0)
        ;
    if (f >= 0)
        close(f);
    return r;
}

/* ---- the table ---- */

#define MAY_DIE 1u /* a fault within finds no memory: SIGKILL */
#define MAY_BE_EIO 2u
#define AGAIN 4u     /* EAGAIN is an answer too (fork(2), sigqueue(3), timer_create(2)) */
#define NOLCK 8u     /* ENOLCK: fcntl(2) */
#define EXECUTES 16u /* ends as another program, which tells how much was left */
#define PARTIAL 32u  /* a documented prefix stays done: the mappings may differ */
#define STACK 128u   /* a stack that cannot grow: SIGSEGV, as on Linux */
#define NOSPC 256u   /* no room for contents that live in memory: ENOSPC (docs/files.md) */
#define FAULTS 1024u /* EFAULT: process_vm_readv of a page that cannot be had, as on Linux */
#define KEEPS 512u   /* an unmounted tmpfs keeps its memory (docs/not-done.md) */
#define BUS 64u      /* a page that cannot be read: SIGBUS, with I/O failing */

static const struct call {
    const char *name;
    long (*act)(void);
    void (*before)(void), (*undo)(void); /* unarmed */
    unsigned flags;
} calls[] = {
    {"mmap", x_mmap, NULL, NULL, 0},
    {"mmap shared", x_mmap_shared, NULL, NULL, 0},
    {"mmap of a file", x_mmap_file, a_host_file, NULL, 0},
    {"mmap fixed", x_mmap_fixed, a_full_area, NULL, 0},
    {"mmap over shared tables", x_mmap_over, a_shared_area, NULL, 0},
    {"mmap populate", x_mmap_populate, NULL, NULL, 0},
    {"munmap", x_munmap, a_full_area, NULL, 0},
    {"munmap split", x_munmap_split, a_full_area, NULL, 0},
    {"munmap of shared tables", x_munmap_large, a_shared_area, NULL, 0},
    {"mprotect split", x_mprotect_split, a_full_area, NULL, 0},
    {"mprotect of shared tables", x_mprotect_large, a_shared_area, NULL, 0},
    {"mremap grow", x_mremap_grow, a_full_area, NULL, 0},
    {"mremap shrink", x_mremap_shrink, a_full_area, NULL, 0},
    {"mremap of shared tables", x_mremap_move, a_shared_area, NULL, 0},
    {"brk", x_brk, NULL, NULL, 0},
    {"brk back", x_brk_back, NULL, NULL, 0},
    {"mlock", x_mlock, an_area, NULL, AGAIN | PARTIAL},
    {"munlock", x_munlock, a_locked_area, NULL, 0},
    {"MADV_DONTNEED of shared tables", x_dontneed, a_shared_area, NULL, AGAIN | PARTIAL},
    {"MADV_DONTFORK", x_dontfork, an_area, NULL, AGAIN},
    {"mincore", x_mincore, a_large_area, NULL, AGAIN},
    {"msync", x_msync, a_memfd, NULL, 0},
    {"process_vm_readv", x_vm_readv, an_area, NULL, MAY_DIE | FAULTS},
    {"process_vm_writev", x_vm_writev, a_shared_area, NULL, MAY_DIE | FAULTS},
    {"touch", x_touch, an_area, NULL, MAY_DIE},
    {"touch for reading", x_touch_read, a_shared_area, NULL, MAY_DIE},
    {"touch shared tables", x_touch_shared, a_shared_area, NULL, MAY_DIE},
    {"touch a memfd", x_touch, a_memfd, NULL, MAY_DIE},
    {"touch a cold file", x_touch_file, a_cold_file, NULL, MAY_DIE | BUS},
    {"write a private cold file", x_touch, a_cold_private_file, NULL, MAY_DIE | BUS},
    {"touch what is swapped out", x_touch, a_swapped_area, NULL, MAY_DIE | BUS},
    {"write shared tables of what is swapped out", x_touch_shared, a_swapped_fork, NULL, MAY_DIE | BUS},
    {"munmap split of what is swapped out", x_munmap_split, a_swapped_area, NULL, 0},
    {"mremap of what is swapped out", x_mremap_move, a_swapped_fork, NULL, MAY_DIE},
    {"fork with what is swapped out", x_fork, a_swapped_area, NULL, AGAIN | MAY_DIE},
    {"mlockall", x_mlockall, a_swapped_area, NULL, AGAIN | PARTIAL},
    {"MADV_POPULATE_READ", x_populate_read, a_swapped_area, NULL, PARTIAL | FAULTS},
    {"MADV_POPULATE_WRITE", x_populate_write, a_swapped_area, NULL, PARTIAL | FAULTS},
    {"remap_file_pages", x_remap_file, a_memfd, NULL, 0},
    {"shm", x_shm, NULL, NULL, NOSPC},
    {"grow the stack", x_stack, NULL, NULL, MAY_DIE | STACK},
    {"fork", x_fork, a_large_area, NULL, AGAIN | MAY_DIE},
    {"fork of special areas", x_fork_special, a_special_area, NULL, AGAIN | MAY_DIE},
    {"vfork", x_vfork, NULL, NULL, AGAIN | MAY_DIE},
    {"clone of a thread", x_thread, NULL, NULL, AGAIN | MAY_DIE},
    {"clone of a thread apart", x_thread_apart, NULL, NULL, AGAIN | MAY_DIE},
    {"unshare", x_unshare, NULL, NULL, 0},
    {"clone with bad pointers", x_clone_bad_tid, NULL, NULL, AGAIN | MAY_DIE},
    {"execve", x_exec, a_quiet_start, NULL, EXECUTES | MAY_DIE},
    {"execve of a script", x_exec_script, a_quiet_start, NULL, EXECUTES | MAY_DIE},
    {"sigqueue", x_sigqueue, blocked_signals, NULL, AGAIN},
    {"sigaltstack", x_sigaltstack, NULL, NULL, 0},
    {"timer_create", x_timer, NULL, NULL, AGAIN},
    {"futex", x_futex, NULL, NULL, 0},
    {"setsid", x_setsid, in_a_child, NULL, 0},
    {"setgroups", x_setgroups, NULL, NULL, 0},
    {"sched_setaffinity", x_affinity, NULL, NULL, 0},
    {"prctl", x_prctl_name, NULL, NULL, 0},
    {"pipe", x_pipe, NULL, NULL, 0},
    {"write to a pipe", x_pipe_write, a_pipe, NULL, 0},
    {"socketpair", x_socketpair, NULL, NULL, 0},
    {"bind", x_bind, NULL, no_name, 0},
    {"connect", x_connect, a_server, NULL, 0},
    {"accept", x_accept, a_client, NULL, 0},
    {"send", x_send, a_pair, NULL, 0},
    {"connect over TCP", x_tcp_connect, a_tcp_server, NULL, 0},
    {"accept over TCP", x_accept, a_tcp_client, NULL, 0},
    {"send over TCP", x_send, a_tcp_client, NULL, 0},
    {"send over UDP", x_udp_send, a_udp_socket, NULL, 0},
    {"netlink", x_netlink, NULL, NULL, 0},
    {"sendmsg with files", x_sendmsg, a_pair, NULL, 0},
    {"recvmsg with files", x_recvmsg, a_pair_with_a_message, NULL, 0},
    {"F_SETPIPE_SZ", x_pipe_size, a_pipe, NULL, 0},
    {"eventfd", x_eventfd, NULL, NULL, 0},
    {"io_setup, io_submit and io_getevents", x_aio, a_cold_file, NULL, AGAIN},
    {"read of /dev/kmsg", x_log, NULL, NULL, 0},
    {"F_SETOWN, O_ASYNC", x_owner, a_pipe, NULL, 0},
    {"timerfd", x_timerfd, NULL, NULL, 0},
    {"signalfd", x_signalfd, NULL, NULL, 0},
    {"memfd_create", x_memfd, NULL, NULL, NOSPC},
    {"write to a memfd", x_memfd_write, a_memfd, NULL, NOSPC},
    {"fallocate", x_fallocate, a_memfd, NULL, NOSPC},
    {"punch", x_punch, a_full_memfd, NULL, 0},
    {"ftruncate", x_truncate, a_full_memfd, NULL, 0},
    {"semget and semop", x_sem, NULL, NULL, NOSPC},
    {"msgget and msgsnd", x_msg, NULL, NULL, NOSPC},
    {"mq_open, mq_notify and mq_send", x_mq, NULL, NULL, NOSPC},
    {"seccomp", x_seccomp, NULL, NULL, 0},
    {"epoll_create", x_epoll, NULL, NULL, 0},
    {"epoll_ctl", x_epoll_add, an_epoll, NULL, 0},
    {"epoll_wait", x_epoll_wait, a_full_epoll, NULL, 0},
    {"poll", x_poll, a_pipe, NULL, 0},
    {"select", x_select, a_pipe, NULL, 0},
    {"dup2 to a high number", x_dup_high, NULL, NULL, 0},
    {"flock", x_flock, a_host_file, NULL, NOLCK},
    {"F_SETLK", x_lock, a_host_file, NULL, NOLCK},
    {"F_SETLK that splits", x_unlock_middle, a_lock, NULL, NOLCK},
    {"splice", x_splice, a_file_and_a_pipe, NULL, 0},
    {"sendfile", x_sendfile, a_file_and_a_memfd, NULL, NOSPC},
    {"copy_file_range", x_copy_range, a_file_and_a_new_file, remove_new, NOSPC},
    {"preadv", x_readv, a_cold_file, NULL, 0},
    {"open", x_open, cold, NULL, 0},
    {"open deep", x_open_deep, cold, NULL, 0},
    {"open to create", x_open_new, remove_new, remove_new, NOSPC},
    {"open to truncate", x_open_truncate, NULL, NULL, 0},
    {"O_TMPFILE", x_tmpfile, NULL, NULL, NOSPC},
    {"write to tmpfs", x_write_new, NULL, remove_new, NOSPC},
    {"write to the overlay", x_copy_up, NULL, NULL, NOSPC},
    {"mkdir", x_mkdir, NULL, remove_new, NOSPC},
    {"mkdir in tmpfs", x_mkdir_shm, NULL, remove_new, NOSPC},
    {"mknod", x_mknod, NULL, remove_new, NOSPC},
    {"symlink", x_symlink, NULL, remove_new, NOSPC},
    {"link", x_link, NULL, remove_new, 0},
    {"rename", x_rename, NULL, put_back, 0},
    {"rename a directory", x_rename_dir, NULL, put_dir_back, 0},
    {"unlink", x_unlink, a_file_to_go, remove_new, 0},
    {"stat", x_stat, cold, NULL, 0},
    {"stat of nothing", x_stat_none, cold, NULL, 0},
    {"readlink", x_readlink, cold, NULL, 0},
    {"readlink in /proc", x_readlink_proc, NULL, NULL, 0},
    {"getcwd", x_getcwd, NULL, NULL, 0},
    {"chdir", x_chdir, cold, NULL, 0},
    {"getdents", x_getdents, cold, NULL, 0},
    {"chmod", x_chmod, NULL, NULL, 0},
    {"utimensat", x_utimes, NULL, NULL, 0},
    {"setxattr", x_setxattr, NULL, NULL, 0},
    {"getxattr", x_getxattr, NULL, NULL, 0},
    {"listxattr", x_listxattr, NULL, NULL, 0},
    {"removexattr", x_removexattr, an_attribute, NULL, 0},
    {"read a cold file", x_read_host, a_cold_file, NULL, 0},
    {"statfs", x_statfs, NULL, NULL, 0},
    {"mount", x_mount, NULL, NULL, KEEPS},
    {"fsync", x_fsync, a_host_file, NULL, 0},
};

static const char *const procs[] = {
    "/proc/self/maps",   "/proc/self/smaps",     "/proc/self/smaps_rollup", "/proc/self/status", "/proc/self/stat",
    "/proc/self/statm",  "/proc/self/cmdline",   "/proc/self/environ",      "/proc/self/auxv",   "/proc/self/limits",
    "/proc/self/mounts", "/proc/self/mountinfo", "/proc/self/comm",         "/proc/self/io",     "/proc/meminfo",
    "/proc/vmstat",      "/proc/stat",           "/proc/cpuinfo",           "/proc/loadavg",     "/proc/slabinfo",
    "/proc/filesystems", "/proc/uptime",         "/proc/sys/vm/check",
};

/* ---- one try ---- */

struct shot { /* what a try remembers of its process */
    char maps[16384];
    size_t bytes;
    unsigned char descriptors[1024];
};
static struct shot *first, *second;

static void look(struct shot *s) {
    int f = open("/proc/self/maps", O_RDONLY);
    ssize_t n;
    for (s->bytes = 0; (n = read(f, s->maps + s->bytes, sizeof(s->maps) - 1 - s->bytes)) > 0;)
        s->bytes += (size_t)n;
    close(f);
    s->maps[s->bytes] = 0;
    for (int i = 0; i < 1024; i++)
        s->descriptors[i] = fcntl(i, F_GETFD) >= 0;
}

static void arm(int nth_fd, int n) {
    char text[16];
    int bytes = snprintf(text, sizeof(text), "%d", n);
    if (pwrite(nth_fd, text, (size_t)bytes, 0) != bytes)
        perror("fail-nth"), _exit(1);
}
static int left(int nth_fd) {
    char text[16] = "";
    if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0)
        perror("fail-nth"), _exit(1);
    return atoi(text);
}

/* Every page that the test itself needs: later faults are the call's own. */
static void warm(void) {
    extern char __data_start[], _end[];
    for (char *p = __data_start; p < _end; p += 64)
        *(volatile char *)p = *p;
    volatile char stack[96 * 1024];
    for (size_t i = 0; i < sizeof(stack); i += 64)
        stack[i] = 0;
    for (size_t i = 0; i < 256 * 1024; i += 64)
        ((volatile char *)buffer)[i] = buffer[i];
    for (size_t i = 0; i < sizeof(*first); i += 64) {
        ((volatile char *)first)[i] = 0;
        ((volatile char *)second)[i] = 0;
    }
    extern char __executable_start[], etext[];
    for (char *p = __executable_start; p < etext; p += PAGE)
        (void)*(volatile char *)p;
    errno = 0; /* thread-local storage lies in the heap */
    (void)*(volatile char *)((char *)sbrk(0) - 1);
}

static bool allowed(const struct call *c, long result, bool io) {
    if (io)
        return result == -EIO || (result == -EFAULT && c->flags & (BUS | FAULTS)) ||
               (result == -ENOMEM && c->flags & EXECUTES); /* the page that holds data's end could not be had */
    switch (-result) {
    case ENOMEM:
    case ENOBUFS: /* no memory for what a socket sends */
        return true;
    case EAGAIN:
        return c->flags & AGAIN;
    case ENOLCK:
        return c->flags & NOLCK;
    case EFAULT:
        return c->flags & FAULTS;
    case ENOSPC:
        return c->flags & NOSPC;
    default:
        return false;
    }
}

enum { GOOD = 0, BAD = 1, PASSED = 2, FAILED_AS_ALLOWED = 3 };

static int try(const struct call *c, int n, bool io) {
    char path[64];
    fd = other = -1;
    snprintf(path, sizeof(path), "/proc/thread-self/%s", io ? "fail-io-nth" : "fail-nth");
    if (c->before)
        c->before();
    int nth = open(path, O_RDWR);
    warm();
    look(first);
    arm(nth, n);
    long result = c->act();
    int after = left(nth);
    arm(nth, 0);
    if (after) {
        if (result < 0)
            printf("%s: %s without a failure\n", c->name, strerrorname_np((int)-result));
        return result < 0 ? BAD : PASSED;
    }
    if (result >= 0 && (unsigned long)result < -PAGE)
        return GOOD;
    if (!allowed(c, result, io)) {
        printf("%s, %s %d: %s\n", c->name, io ? "exchange" : "allocation", n, strerrorname_np((int)-result));
        return BAD;
    }
    look(second);
    bool same = c->flags & PARTIAL || !strcmp(first->maps, second->maps);
    same = same && !memcmp(first->descriptors, second->descriptors, sizeof(first->descriptors));
    if (!same) {
        printf("%s, %s %d: %s, and something is left: before\n%safter\n%s", c->name, io ? "exchange" : "allocation", n,
               strerrorname_np((int)-result), first->maps, second->maps);
        for (int i = 0; i < 1024; i++)
            if (first->descriptors[i] != second->descriptors[i])
                printf("descriptor %d: %d, then %d\n", i, first->descriptors[i], second->descriptors[i]);
        return BAD;
    }
    result = c->act();
    if (result < 0 && (unsigned long)result >= -PAGE) {
        printf("%s, %s %d: tried again: %s\n", c->name, io ? "exchange" : "allocation", n,
               strerrorname_np((int)-result));
        return BAD;
    }
    return FAILED_AS_ALLOWED;
}

/* ---- all of them ---- */

static unsigned long injected, failed, killed;

/* The outcome of one try: true to go on with the next N. */
static bool outcome(const struct call *c, int n, bool io, int status, int *bad) {
    if (WIFSIGNALED(status)) {
        int by = WTERMSIG(status);
        injected++, killed++;
        if ((by == SIGKILL && !io && c->flags & MAY_DIE) || (by == SIGBUS && c->flags & BUS) ||
            (by == SIGSEGV && c->flags & STACK) || (c->flags & EXECUTES && (by == SIGBUS || by == SIGKILL)))
            return true;
        printf("%s, %s %d: killed by %s\n", c->name, io ? "exchange" : "allocation", n, sigabbrev_np(by));
        ++*bad;
        return true;
    }
    switch (WEXITSTATUS(status)) {
    case FAILED_AS_ALLOWED:
        failed++; /* fall through */
    case GOOD:
        injected++;
        return true;
    case PASSED:
        return false;
    case 127: /* glibc's start of the new program found no memory */
        injected++;
        return c->flags & EXECUTES || ++*bad < 30;
    default:
        ++*bad;
        return n < 30; /* a few more of them, for who looks for the cause */
    }
}

static int run(const struct call *c, bool io, int n) {
    int bad = 0;
    for (;; n++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            exit(try(c, n, io));
        int status;
        if (waitpid(pid, &status, 0) != pid)
            perror("waitpid"), exit(1);
        if (c->undo)
            c->undo();
        if (!outcome(c, n, io, status, &bad))
            break;
        if (n >= MOST) {
            printf("%s: still failing at the %dth\n", c->name, n);
            bad++;
            break;
        }
    }
    return bad;
}

/* Objects of each cache. */
static size_t read_slabs(char *text, size_t room) {
    size_t used = 0;
    ssize_t n;
    int f = open("/proc/slabinfo", O_RDONLY);
    while ((n = read(f, text + used, room - 1 - used)) > 0)
        used += (size_t)n;
    close(f);
    text[used] = 0;
    return used;
}

static int check(const struct call *c) {
    static char report[65536];
    int f = open("/proc/sys/vm/check", O_RDONLY);
    ssize_t n = read(f, report, sizeof(report) - 1);
    close(f);
    report[n > 0 ? n : 0] = 0;
    if (strstr(report, " 0 findings"))
        return 0;
    printf("%s: the checker says:\n%s", c->name, report);
    return 1;
}

static char slabs_now[16384];

/* More objects of some cache than before? What is asynchronous (a fid given back) gets time to end first. */
static int leaking(const char *before) {
    for (int i = 0; i < 200; i++) {
        read_slabs(slabs_now, sizeof(slabs_now));
        if (!strcmp(before, slabs_now))
            return 0;
        sched_yield();
    }
    int more = 0;
    const char *a = before, *b = slabs_now;
    for (unsigned long x, y; *a && *b; a = strchr(a, '\n') + 1, b = strchr(b, '\n') + 1)
        more += sscanf(a, "%*s %lu", &x) == 1 && sscanf(b, "%*s %lu", &y) == 1 && y > x;
    return more;
}

static void say_leaks(const struct call *c, const char *before) {
    const char *a = before, *b = slabs_now;
    char name[40];
    for (unsigned long x, y; *a && *b; a = strchr(a, '\n') + 1, b = strchr(b, '\n') + 1)
        if (sscanf(a, "%39s %lu", name, &x) == 2 && sscanf(b, "%*s %lu", &y) == 1 && y > x)
            printf("%s: leaks: %s has %lu objects, had %lu\n", c->name, name, y, x);
}

static void count(char *slabs, size_t room) {
    cold();
    warm();
    read_slabs(slabs, room);
}

/* Once without a failure, so that all that is kept for later is there; then with each. A count may differ by what a
 * table keeps for its next use: a leak is what grows each time. */
static int campaign(const struct call *c, bool io) {
    static char before[16384];
    int bad = run(c, io, MOST), leaks = 1;
    for (int repeat = 0; repeat < 3 && leaks && !bad; repeat++) {
        count(before, sizeof(before));
        bad += run(c, io, 1);
        cold();
        warm();
        leaks = c->flags & KEEPS ? 0 : leaking(before);
    }
    if (leaks)
        say_leaks(c, before);
    return bad + leaks + check(c);
}

static void make(const char *path, size_t bytes) {
    int f = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    while (f >= 0 && bytes) {
        size_t some = bytes < 256 * 1024 ? bytes : 256 * 1024;
        if (write(f, buffer, some) != (ssize_t)some)
            perror(path), exit(1);
        bytes -= some;
    }
    close(f);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "executed")) { /* x_exec came here */
        int alloc, io;
        while ((alloc = open("/proc/thread-self/fail-nth", O_RDWR)) < 0 && errno == ENOMEM)
            ; /* that was it */
        while ((io = open("/proc/thread-self/fail-io-nth", O_RDWR)) < 0 && errno == ENOMEM)
            ;
        return left(alloc) || left(io) ? PASSED : GOOD;
    }
    int bad = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
        return 1;
    buffer = map(64, RW, ANON, -1);
    memset(buffer, 'x', 256 * 1024);
    first = (struct shot *)map(16, RW, ANON, -1);
    second = (struct shot *)map(16, RW, ANON, -1);
    make("/dev/shm/keep", 10);
    setxattr("/dev/shm/keep", "trusted.kept", buffer, 100, 0);
    unsigned part = 0, parts = 1, count = sizeof(calls) / sizeof(*calls);
    bool some = argc > 1 && sscanf(argv[1], "%u/%u", &part, &parts) != 2;
    for (unsigned i = part; i < count + sizeof(procs) / sizeof(*procs); i += parts) {
        struct call c = i < count ? calls[i] : (struct call){procs[i - count], read_proc, NULL, NULL, 0};
        proc_name = c.name;
        if (!some || strstr(c.name, argv[1]))
            bad += campaign(&c, false) + campaign(&c, true);
    }
    printf("%lu failures: %lu calls failed, %lu were fatal\n", injected, failed, killed);
    return bad != 0;
}
