/* mem_policy.c - memory policies on one node, membarrier, remap_file_pages: arguments, and what is told afterwards. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define STATIC (1 << 15)
#define RELATIVE (1 << 14)
#define BALANCING (1 << 13)
#define RW (PROT_READ | PROT_WRITE)

static void said(const char *what, long result) {
    printf("%s -> %s", what, result == -1 ? strerrorname_np(errno) : "");
    result == -1 ? (void)printf("\n") : (void)printf("%ld\n", result);
}

static long get(int *mode, unsigned long *mask, unsigned long count, void *at, unsigned long flags) {
    return syscall(SYS_get_mempolicy, mode, mask, count, at, flags);
}

static void told(const char *what, void *at, unsigned long flags) {
    unsigned long mask[16];
    int mode = -1;
    memset(mask, 0xff, sizeof(mask));
    if (get(&mode, mask, 1024, at, flags))
        printf("%s -> %s\n", what, strerrorname_np(errno));
    else
        printf("%s -> mode %#x nodes %#lx %#lx\n", what, mode, mask[0], mask[15]);
}

static const int modes[] = {0,
                            1,
                            2,
                            3,
                            4,
                            5,
                            6,
                            -1,
                            1 | STATIC,
                            2 | STATIC,
                            3 | RELATIVE,
                            4 | STATIC,
                            2 | RELATIVE,
                            2 | STATIC | RELATIVE,
                            2 | BALANCING,
                            3 | BALANCING,
                            STATIC};
static const unsigned long masks[] = {0, 1, 2, 3, 1ul << 63};

static void setting(char *p) {
    unsigned long big[1024] = {1};
    for (unsigned m = 0; m < sizeof(modes) / sizeof(*modes); m++)
        for (unsigned n = 0; n < sizeof(masks) / sizeof(*masks); n++) {
            unsigned long mask = masks[n];
            char what[64];
            snprintf(what, sizeof(what), "set_mempolicy %#x of %#lx", modes[m], mask);
            said(what, syscall(SYS_set_mempolicy, modes[m], &mask, 65));
            snprintf(what, sizeof(what), "told after %#x of %#lx", modes[m], mask);
            told(what, NULL, 0);
            snprintf(what, sizeof(what), "mbind %#x of %#lx", modes[m], mask);
            said(what, syscall(SYS_mbind, p, 2 * PAGE, modes[m], &mask, 65, 0));
            if (!(modes[m] &
                  (STATIC | RELATIVE | BALANCING))) { /* 6.1 tells of nodes that are not there: known not to be told */
                snprintf(what, sizeof(what), "mapping told %#x of %#lx", modes[m], mask);
                told(what, p, 2);
            }
        }
    said("back to the default", syscall(SYS_set_mempolicy, 0, NULL, 0));
    said("no mask, bind", syscall(SYS_set_mempolicy, 2, NULL, 64));
    said("mask from nowhere", syscall(SYS_set_mempolicy, 2, 8, 64));
    said("one bit less", syscall(SYS_set_mempolicy, 2, big, 1));
    said("many bits", syscall(SYS_set_mempolicy, 2, big, 8193));
    said("too many bits", syscall(SYS_set_mempolicy, 2, big, 40000));
    big[16] = 1;
    said("bits that cannot be", syscall(SYS_set_mempolicy, 2, big, 8193));
    said("back", syscall(SYS_set_mempolicy, 0, NULL, 0));
}

static void getting(char *p) {
    int mode;
    unsigned long mask[32];
    told("allowed", NULL, 4);
    told("allowed and node", NULL, 5);
    told("bad flag", NULL, 8);
    told("address without the flag", p, 0);
    told("node without interleaving", NULL, 1);
    told("node of a page", p, 3);
    told("of a hole", (void *)PAGE, 2);
    told("node of a hole", (void *)PAGE, 3);
    said("mode to nowhere", get((int *)8, NULL, 0, NULL, 0));
    said("mask to nowhere", get(NULL, (void *)8, 64, NULL, 0));
    said("no room for nodes", get(&mode, mask, 0, NULL, 0));
    said("nothing asked", get(NULL, NULL, 0, NULL, 0));
    mask[0] = -1ul;
    said("one bit of room", get(&mode, mask, 1, NULL, 4));
    printf("it got -> %#lx\n", mask[0]);
    unsigned long one = 1;
    syscall(SYS_set_mempolicy, 3, &one, 65);
    told("node when interleaving", NULL, 1);
    fflush(stdout);
    if (!fork()) {
        told("a child's", NULL, 0);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    syscall(SYS_set_mempolicy, 0, NULL, 0);
}

static void binding(char *p) {
    unsigned long one = 1;
    said("mbind odd", syscall(SYS_mbind, p + 1, PAGE, 2, &one, 65, 0));
    said("mbind wrapping", syscall(SYS_mbind, p, -PAGE, 2, &one, 65, 0));
    said("mbind nothing", syscall(SYS_mbind, p, 0, 2, &one, 65, 0));
    said("mbind bad flags", syscall(SYS_mbind, p, PAGE, 2, &one, 65, 8));
    said("mbind strict, move", syscall(SYS_mbind, p, PAGE, 2, &one, 65, 3));
    said("mbind move all", syscall(SYS_mbind, p, PAGE, 2, &one, 65, 4));
    said("mbind default, past all memory", syscall(SYS_mbind, p, 1UL << 62, 0, NULL, 0, 0));
    told("as it was", p, 2);
    syscall(SYS_mbind, p, 2 * PAGE, 2, &one, 65, 0);
    munmap(p + PAGE, PAGE);
    said("mbind over a hole", syscall(SYS_mbind, p, 4 * PAGE, 3, &one, 65, 0));
    told("before the hole", p, 2);
    said("mbind from a hole", syscall(SYS_mbind, p + PAGE, PAGE, 3, &one, 65, 0));
    said("home node of bound", syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 0));
    said("home node 1", syscall(SYS_set_mempolicy_home_node, p, PAGE, 1, 0));
    said("home node, flags", syscall(SYS_set_mempolicy_home_node, p, PAGE, 0, 1));
    said("home node odd", syscall(SYS_set_mempolicy_home_node, p + 1, PAGE, 0, 0));
    said("home node of none", syscall(SYS_set_mempolicy_home_node, p + PAGE, PAGE, 0, 0));
    said("home node of the default", syscall(SYS_set_mempolicy_home_node, p + 3 * PAGE, PAGE, 0, 0));
    syscall(SYS_mbind, p + 3 * PAGE, PAGE, 3, &one, 65, 0);
    said("home node of interleaved", syscall(SYS_set_mempolicy_home_node, p + 3 * PAGE, PAGE, 0, 0));
}

static void moving(void) {
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + 3 * PAGE, PAGE);
    p[0] = 1;
    (void)*(volatile char *)(p + PAGE);
    void *pages[4] = {p, p + PAGE, p + 2 * PAGE, p + 3 * PAGE};
    int nodes[4] = {0, 0, 0, 0}, status[4] = {77, 77, 77, 77};
    said("move_pages, where are they", syscall(SYS_move_pages, 0, 4, pages, NULL, status, 0));
    printf("touched, read, untouched, hole -> %d %d %d %d\n", status[0], status[1], status[2], status[3]);
    said("move_pages", syscall(SYS_move_pages, 0, 1, pages, nodes, status, 2));
    printf("its status -> %d\n", status[0]);
    said("bad flags", syscall(SYS_move_pages, 0, 1, pages, nodes, status, 1));
    said("nobody", syscall(SYS_move_pages, 4000000, 1, pages, nodes, status, 2));
    said("pages from nowhere", syscall(SYS_move_pages, 0, 1, 8, NULL, status, 2));
    said("nodes from nowhere", syscall(SYS_move_pages, 0, 1, pages, 8, status, 2));
    said("status to nowhere", syscall(SYS_move_pages, 0, 1, pages, NULL, 8, 2));
    nodes[0] = 1;
    said("another node", syscall(SYS_move_pages, 0, 1, pages, nodes, status, 2));
    nodes[0] = -1;
    said("node -1", syscall(SYS_move_pages, 0, 1, pages, nodes, status, 2));
    said("no pages", syscall(SYS_move_pages, 0, 0, pages, NULL, status, 0));
    unsigned long zero = 1, other = 2, none = 0;
    said("migrate_pages", syscall(SYS_migrate_pages, 0, 65, &zero, &zero));
    said("migrate to another", syscall(SYS_migrate_pages, 0, 65, &zero, &other));
    said("migrate to none", syscall(SYS_migrate_pages, 0, 65, &zero, &none));
    said("migrate nobody's", syscall(SYS_migrate_pages, 4000000, 65, &zero, &zero));
    said("migrate from nowhere", syscall(SYS_migrate_pages, 0, 65, 8, &zero));
    fflush(stdout);
    if (!fork()) {
        int parent = getppid();
        if (setgroups(0, NULL) || setgid(1000) || setuid(1000))
            _exit(1);
        said("not permitted, move", syscall(SYS_move_pages, parent, 1, pages, NULL, status, 0));
        said("not permitted, move all", syscall(SYS_move_pages, 0, 1, pages, NULL, status, 4));
        said("not permitted, migrate", syscall(SYS_migrate_pages, parent, 65, &zero, &zero));
        said("not permitted, another node", syscall(SYS_migrate_pages, 0, 65, &zero, &other));
        said("not permitted, bind all", syscall(SYS_mbind, p, PAGE, 2, &zero, 65, 4));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    munmap(p, 4 * PAGE);
}

static void numa_maps(void) {
    unsigned long one = 1;
    char line[512], *p = mmap(NULL, 6 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int kinds[] = {0, 1, 2, 3, 4, 5};
    for (int i = 0; i < 6; i++) {
        mmap(p + i * PAGE, PAGE, RW, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (i != 3)
            p[i * PAGE] = 1;
        syscall(SYS_mbind, p + i * PAGE, PAGE, kinds[i], i && i != 4 ? &one : NULL, 65, 0);
    }
    FILE *f = fopen("/proc/self/numa_maps", "r");
    while (f && fgets(line, sizeof(line), f)) {
        unsigned long at = strtoul(line, NULL, 16);
        char *active = strstr(line, " active=");
        if (active) /* whether a page was used lately */
            memmove(active, active + strcspn(active + 1, " \n") + 1,
                    strlen(active + strcspn(active + 1, " \n") + 1) + 1);
        if (at >= (unsigned long)p && at < (unsigned long)p + 6 * PAGE)
            printf("numa_maps %ld -> %s", (long)(at - (unsigned long)p) / 4096, strchr(line, ' ') + 1);
    }
    if (f)
        fclose(f);
}

static volatile int stop, ready;
static void *spin(void *argument) {
    ready = 1;
    while (!stop)
        continue;
    return argument;
}

static void barriers(void) {
    static const char *const names[] = {"QUERY",
                                        "GLOBAL",
                                        "GLOBAL_EXPEDITED",
                                        "REGISTER_GLOBAL_EXPEDITED",
                                        "PRIVATE_EXPEDITED",
                                        "REGISTER_PRIVATE_EXPEDITED",
                                        "SYNC_CORE",
                                        "REGISTER_SYNC_CORE",
                                        "RSEQ",
                                        "REGISTER_RSEQ"};
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 10; i++) {
            char what[64];
            int command = i ? 1 << (i - 1) : 0;
            if (turn && (i == 5 || i == 7 || i == 9))
                continue;
            snprintf(what, sizeof(what), "membarrier %s, turn %d", names[i], turn);
            said(what, syscall(SYS_membarrier, command, 0, 0));
            if (i == 4 || i == 6 || i == 8) {
                snprintf(what, sizeof(what), "membarrier %s with flag 1", names[i]);
                said(what, syscall(SYS_membarrier, command, 1, 0));
            }
        }
    said("membarrier 1 << 9", syscall(SYS_membarrier, 1 << 9, 0, 0));
    said("membarrier of two", syscall(SYS_membarrier, 3, 0, 0));
    said("membarrier bad flag", syscall(SYS_membarrier, 1 << 7, 2, 0));
    said("membarrier on an absent CPU", syscall(SYS_membarrier, 1 << 7, 1, 4000));
    pthread_t t;
    pthread_create(&t, NULL, spin, NULL);
    while (!ready)
        continue;
    said("with a thread that spins", syscall(SYS_membarrier, 1 << 3, 0, 0));
    said("the same for its core", syscall(SYS_membarrier, 1 << 5, 0, 0));
    said("the same for its sequences", syscall(SYS_membarrier, 1 << 7, 0, 0));
    stop = 1;
    pthread_join(t, NULL);
    fflush(stdout);
    if (!fork()) {
        said("registered before fork", syscall(SYS_membarrier, 1 << 3, 0, 0));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

static long remap(char *at, unsigned long bytes, int prot, unsigned long page, int flags) {
    return syscall(SYS_remap_file_pages, at, bytes, prot, page, flags);
}

static void show(const char *what, char *p, int pages) {
    printf("%s ->", what);
    for (int i = 0; i < pages; i++)
        printf(" %d", p[i * PAGE]);
    printf("\n");
}

static void remapping(void) {
    int fd = memfd_create("remap", 0);
    char content[PAGE];
    for (int i = 0; i < 8; i++) {
        memset(content, i + 1, PAGE);
        write(fd, content, PAGE);
    }
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0), *q = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);
    said("remap_file_pages with a protection", remap(p, PAGE, PROT_READ, 3, 0));
    said("of private memory", remap(q, PAGE, 0, 3, 0));
    said("of a hole", remap((char *)PAGE, PAGE, 0, 3, 0));
    said("of nothing", remap(p, 0, 0, 3, 0));
    said("page overflow", remap(p, PAGE, 0, -1ul, 0));
    said("the first shows the last", remap(p, PAGE, 0, 7, 0));
    show("so", p, 4);
    said("odd addresses are rounded", remap(p + PAGE + 5, PAGE + 7, 0, 6, 0));
    show("so", p, 4);
    said("without filling", remap(p + 2 * PAGE, 2 * PAGE, 0, 4, MAP_NONBLOCK));
    show("so", p, 4);
    p[0] = 99;
    pread(fd, content, 1, 7 * PAGE);
    printf("written through -> %d\n", content[0]);
    said("over two parts", remap(p, 4 * PAGE, 0, 2, 0));
    show("so", p, 4);
    said("past the end of the mapping", remap(p + 3 * PAGE, 2 * PAGE, 0, 0, 0));
    mprotect(p + PAGE, PAGE, PROT_READ);
    said("over two protections", remap(p, 4 * PAGE, 0, 0, 0));
    munmap(p + 2 * PAGE, PAGE);
    said("over a hole", remap(p + PAGE, 3 * PAGE, 0, 0, 0));
    said("past the end of the file", remap(p, PAGE, 0, 100, 0));
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    setting(p);
    getting(p);
    binding(p);
    moving();
    numa_maps();
    barriers();
    remapping();
    return 0;
}
