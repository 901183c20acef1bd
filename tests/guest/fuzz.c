/* fuzz.c - no system call, with any argument, can panic the kernel: every number, defined or not, with arguments drawn
 * from a table of nasty ones, while another thread changes the memory and the descriptors that they name.
 *
 *     fuzz SEED ROUNDS [NUMBER]
 *
 * One child a round and number, with descriptors and mappings of all kinds; it makes CALLS calls. It may die of them,
 * and is killed when it does not end. What is judged is the kernel: that it stands, that its checker finds nothing and
 * that nothing is left, at the end of the run. Each line says which seed and number comes next: after a panic the last
 * one is what to type. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <linux/netlink.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define CALLS 40
#define NUMBERS 470 /* past the last of Linux 6.1 */
#define LATE_MS 200 /* a child that sleeps in its call is ended after this */

typedef unsigned long u64;
static u64 state;

static u64 next_random(u64 *s) { /* splitmix64 */
    u64 z = *s += 0x9e3779b97f4a7c15ul;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
    z = (z ^ z >> 27) * 0x94d049bb133111ebul;
    return z ^ z >> 31;
}
static u64 below(u64 n) { return next_random(&state) % n; }

/* ---- what arguments point to ---- */

static char *area; /* 16 pages: see make_area */
static pid_t parent;

static const char *const names[] = {"host",
                                    "dir",
                                    "dir/new",
                                    "none",
                                    "",
                                    ".",
                                    "/",
                                    "..",
                                    "symlink",
                                    "/proc/self/mem",
                                    "/proc/self/maps",
                                    "/proc/self/fd/7",
                                    "/dev/null",
                                    "/dev/zero",
                                    "/dev/shm/x",
                                    "/dev/tty",
                                    "/proc/self/exe",
                                    "/proc/self/task",
                                    "user.name",
                                    "tmpfs",
                                    "fifo"};
#define NAME_AT(i) (area + 6 * PAGE + (i)*64)
#define STRUCT_AT(i) (area + 6 * PAGE + 2048 + (i)*128)
#define NAME_COUNT (sizeof(names) / sizeof(*names))

static const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 0x7777, .sin_addr = {0x0100007f}};
static const struct sockaddr_in6 v6 = {
    .sin6_family = AF_INET6, .sin6_port = 0x7777, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
static const struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "\0fuzz"};
static const struct sockaddr_nl route = {.nl_family = AF_NETLINK};
static const struct {
    struct cmsghdr header;
    int fds[4];
} files = {{CMSG_LEN(16), SOL_SOCKET, SCM_RIGHTS}, {3, 4, 20, 21}};
#define CASE(x)                                                                                                        \
    { &(x), sizeof(x) }
static const struct {
    const void *bytes;
    size_t size;
} structs[] = {CASE(v4), CASE(v6), CASE(local), CASE(route), CASE(files)};
#define STRUCT_COUNT (sizeof(structs) / sizeof(*structs))

static u64 value(void);

/* pages 0-1 words, 2 read-only, 3 nothing allowed, 4 not mapped, 5 words, 6 names, 7 not mapped, 8-9 a file past whose
 * end they lie, 10-13 shared, 14-15 words */
static void fill_words(unsigned page) {
    for (unsigned i = 0; i < PAGE / sizeof(u64); i++)
        ((u64 *)(area + page * PAGE))[i] = value();
}

static void make_area(void) {
    area = mmap((void *)0x200000000, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mmap(area + 10 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int file = open("host", O_RDONLY);
    mmap(area + 8 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 1 << 20);
    close(file);
    for (unsigned i = 0; i < NAME_COUNT; i++)
        strcpy(NAME_AT(i), names[i]);
    for (unsigned i = 0; i < STRUCT_COUNT; i++)
        memcpy(STRUCT_AT(i), structs[i].bytes, structs[i].size);
    fill_words(0), fill_words(1), fill_words(5), fill_words(14), fill_words(15);
    mprotect(area + 2 * PAGE, PAGE, PROT_READ);
    mprotect(area + 3 * PAGE, PAGE, PROT_NONE);
    munmap(area + 4 * PAGE, PAGE);
    munmap(area + 7 * PAGE, PAGE);
}

static void make_sockets(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bind(listener, (void *)&v4, sizeof v4);
    listen(listener, 3);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(client, (void *)&v4, sizeof v4);
    int datagram = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    bind(datagram, (void *)&v6, sizeof v6);
    connect(datagram, (void *)&v6, sizeof v6);
    int named = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    bind(named, (void *)&local, sizeof local);
    int packets = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    bind(packets, (void *)&local, sizeof local);
    listen(packets, 1);
    socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0);
}

static void make_descriptors(void) { /* 0-2 nothing to see, 3.. one of each kind */
    for (int i = 0; i < 3; i++)
        dup2(open("/dev/null", O_RDWR), i);
    int ends[2];
    (void)!pipe2(ends, O_NONBLOCK);
    open("host", O_RDWR);
    open("/dev/shm/x", O_RDWR | O_CREAT, 0600);
    open(".", O_RDONLY | O_DIRECTORY);
    open("/proc/self/mem", O_RDWR);
    open("/proc/self/maps", O_RDONLY);
    open("/proc", O_RDONLY | O_DIRECTORY);
    eventfd(1, EFD_NONBLOCK);
    timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int e = epoll_create1(0);
    epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &(struct epoll_event){.events = EPOLLIN});
    sigset_t set;
    sigfillset(&set);
    signalfd(-1, &set, SFD_NONBLOCK);
    int m = memfd_create("m", MFD_ALLOW_SEALING);
    (void)!ftruncate(m, 3 * PAGE);
    open("/proc/self/pagemap", O_RDONLY);
    open("/dev/zero", O_RDWR);
    open("dir", O_PATH);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
    make_sockets();
}

static u64 value(void) {
    static const u64 numbers[] = {0,
                                  1,
                                  2,
                                  3,
                                  7,
                                  8,
                                  16,
                                  24,
                                  63,
                                  64,
                                  65,
                                  127,
                                  128,
                                  255,
                                  256,
                                  1000,
                                  4095,
                                  4096,
                                  4097,
                                  8192,
                                  65535,
                                  65536,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x100000000,
                                  1ul << 40,
                                  0x7ffffffff000,
                                  0x7fffffffffff,
                                  0x800000000000,
                                  0xffff7fffffffffff,
                                  0x8000000000000000,
                                  0x7fffffffffffffff,
                                  0xffff888000000000,
                                  0xffffffff80000000,
                                  0xffffffff81000000,
                                  -1ul,
                                  -2ul,
                                  -4095ul,
                                  -4096ul,
                                  -100ul,
                                  0x4141414141414141};
    u64 v;
    do {
        switch (below(8)) {
        case 0:
            v = 3 + below(28); /* a descriptor */
            break;
        case 1:
            v = 1ul << below(64);
            break;
        case 2:
            v = 1ul << below(32) | 1ul << below(32);
            break;
        case 3:
            v = below(3) ? (u64)NAME_AT(below(NAME_COUNT)) : (u64)STRUCT_AT(below(STRUCT_COUNT));
            break;
        case 4:
            v = (u64)area + below(16) * PAGE + (below(2) ? 0 : below(2) ? PAGE - 1 - below(16) : below(PAGE) & -8ul);
            break;
        case 5:
            v = (u64)area + (below(2) ? 0 : 5 * PAGE);
            break;
        default:
            v = numbers[below(sizeof(numbers) / sizeof(*numbers))];
        }
    } while ((pid_t)v == parent);
    return v;
}

/* ---- beside the calls ---- */

static void *disturb(void *unused) {
    (void)unused;
    u64 mine = state ^ 0x5555;
    for (;;) {
        u64 r = next_random(&mine), page = r >> 8 & 15;
        char *at = area + page * PAGE;
        switch (r % 8) {
        case 0:
            munmap(at, PAGE);
            break;
        case 1:
            mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            break;
        case 2:
            mprotect(at, PAGE, (int)(r >> 16 & 3));
            break;
        case 3:
            madvise(at, PAGE, MADV_DONTNEED);
            break;
        case 4:
            mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + (r >> 20 & 15) * PAGE);
            break;
        case 5:
            dup2(3 + (int)(r >> 16 & 15), 3 + (int)(r >> 24 & 15));
            break;
        default: /* words of the structures that a call may be reading */
            for (int i = 0; i < 64; i++) {
                u64 w = next_random(&mine);
                syscall(SYS_process_vm_writev, getpid(), &(struct iovec){&w, 8}, 1,
                        &(struct iovec){at + (w & 0xff8), 8}, 1, 0);
            }
        }
    }
    return NULL;
}

/* Whose first argument is a process: its own, or none. */
static int takes_pid(long number) {
    static const short them[] = {SYS_kill,  SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
                                 SYS_ptrace};
    for (unsigned i = 0; i < sizeof(them) / sizeof(*them); i++)
        if (them[i] == number)
            return 1;
    return 0;
}

static void nothing(int signal) { (void)signal; }

static void child(long number) {
    pid_t me = getpid();
    setpgid(0, 0);
    make_area();
    make_descriptors();
    struct rlimit most = {512ul << 20, 512ul << 20}, files = {8ul << 20, 8ul << 20};
    setrlimit(RLIMIT_AS, &most);
    setrlimit(RLIMIT_FSIZE, &files);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}}, NULL);
    pthread_t thread;
    if (below(4))
        pthread_create(&thread, NULL, disturb, NULL);
    for (int i = 0; i < CALLS; i++) {
        u64 a[6];
        for (int k = 0; k < 6; k++)
            a[k] = value();
        if (takes_pid(number))
            a[0] = (u64)me, a[1] = below(70);
        syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (getpid() != me)
            _exit(0); /* a fork: one is enough */
    }
    _exit(0);
}

static void round_of(long number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        child(number);
    }
    if (pid < 0)
        perror("fork"), exit(1);
    struct timespec late = {0, LATE_MS * 1000000};
    sigtimedwait(&set, NULL, &late);
    kill(pid, SIGKILL);
    kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, 0) != pid)
        ;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ; /* what it left with us */
}

int main(int argc, char **argv) {
    static const long odd[] = {500, 511, 512, 547, 1000, 0x40000000, 0x40000001, 0x7fffffff, -1, -4096};
    u64 seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1, rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 1, made = 0;
    long only = argc > 3 ? strtol(argv[3], NULL, 0) : -1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    parent = getpid();

    for (u64 r = 0; r < rounds; r++)
        for (long n = 0; n < NUMBERS + (long)(sizeof(odd) / sizeof(*odd)); n++) {
            long number = n < NUMBERS ? n : odd[n - NUMBERS];
            if (only >= 0 && number != only)
                continue;
            state = (seed + r) * 1000003 + (u64)number;
            printf("fuzz %lu 1 %ld\n", seed + r, number);
            round_of(number);
            made += CALLS;
        }
    printf("%lu calls\n", made);
    return 0;
}
