/* micro.c - the cost of single operations on memory, in nanoseconds of the monotonic clock.
 *
 * The same static binary runs on Quire and on Linux. Under `-icount shift=0,sleep=off` a nanosecond is an instruction
 * of the guest. Prints "NAME VALUE" lines; a value is the least of REPEATS, per operation. Nothing waits for a device
 * inside a timed part, and nothing is printed before the end: a serial line drains by interrupts.
 *
 *   micro [PART OF A ROW'S NAME]    --scale     faults of one thread and of two at once, wall time (needs two CPUs)
 *                                   --tables    page tables, and memory in all, of 100 forks of a parent of 1 GiB
 *                                   --hello     says so, and ends: when does the first program run?
 *                                   --khz       the rate of the time-stamp counter, for a guest that cannot measure it
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "least.h"

#define FAR 0x200000000000UL

static void simple_rows(void) {
    const size_t size = 8 * MIB, pages = size / PAGE;
    char *p, *volatile q;
    LEAST("null_call", , for (int i = 0; i < 1000; i++) syscall(SYS_getppid), 1000, );
    LEAST("anon_write_fault", p = anonymous(size), touch(p, size), pages, munmap(p, size));
    LEAST("anon_read_fault", p = anonymous(size), look(p, size), pages, munmap(p, size));
    LEAST("munmap_page", p = anonymous(size); touch(p, size), munmap(p, size), pages, );
    LEAST(
        "mmap_munmap_untouched", ,
        for (int i = 0; i < 200; i++) {
            q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            munmap(q, PAGE);
        },
        200, );
    LEAST(
        "mmap_touch_munmap", ,
        for (int i = 0; i < 200; i++) {
            q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            *q = 1;
            munmap(q, PAGE);
        },
        200, );
    LEAST("mprotect_page", p = anonymous(size);
          touch(p, size),
          for (int i = 0; i < 200; i++) mprotect(p + 64 * PAGE, PAGE, i & 1 ? PROT_READ | PROT_WRITE : PROT_READ), 200,
          munmap(p, size));
    LEAST("mprotect_32MiB", p = anonymous(32 * MIB);
          touch(p, 32 * MIB),
          for (int i = 0; i < 2; i++) mprotect(p, 32 * MIB, i & 1 ? PROT_READ | PROT_WRITE : PROT_READ), 2,
          munmap(p, 32 * MIB));
    LEAST(
        "discard_refault", p = anonymous(size); touch(p, size),
                                                for (int i = 0; i < 200; i++) {
                                                    madvise(p + 64 * PAGE, PAGE, MADV_DONTNEED);
                                                    p[64 * PAGE] = 1;
                                                },
                                                200, munmap(p, size));
}

static pid_t fork_or_die(void) {
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    return pid;
}

static void reap(pid_t pid) {
    int status;
    if (waitpid(pid, &status, 0) != pid || status)
        die("child");
}

/* fork alone: the child waits on a pipe until the clock was read. */
static double fork_alone(void) {
    int gate[2];
    char byte;
    if (pipe(gate))
        die("pipe");
    double t = now();
    pid_t pid = fork_or_die();
    if (!pid) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    t = now() - t;
    close(gate[0]);
    close(gate[1]);
    reap(pid);
    return t;
}

/* The system call and nothing else: neither side writes to memory between the two readings of the counter, so no table
 * and no page is copied yet. In ticks of the time-stamp counter, which a row of its own relates to nanoseconds. */
static unsigned long fork_ticks(long *result) {
    unsigned long ticks;
    long pid;
    __asm__ volatile(
        "rdtsc\n\tshl $32, %%rdx\n\tor %%rax, %%rdx\n\tmov %%rdx, %%r8\n\tmov %2, %%eax\n\tsyscall\n\t"
        "mov %%rax, %%r9\n\trdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n\tsub %%r8, %%rax\n\tmov %%r9, %%rdx"
        : "=a"(ticks), "=&d"(pid)
        : "i"(SYS_fork)
        : "rcx", "r8", "r9", "r11", "memory");
    *result = pid;
    return ticks;
}

static double tick_ns;

static unsigned long ticks_now(void) {
    unsigned low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (unsigned long)high << 32 | low;
}

static void measure_tick(void) {
    double t = now();
    unsigned long start = ticks_now();
    while (now() - t < 2e6)
        ;
    tick_ns = (now() - t) / (ticks_now() - start);
}

static double fork_call(void) {
    long pid;
    unsigned long ticks = fork_ticks(&pid);
    if (!pid)
        _exit(0);
    if (pid < 0)
        die("fork");
    reap(pid);
    return ticks * tick_ns;
}

static double fork_exit_wait(void) {
    double t = now();
    pid_t pid = fork_or_die();
    if (!pid)
        _exit(0);
    reap(pid);
    return now() - t;
}

static double least_of(double (*measure)(void)) {
    double least = 1e18;
    for (int i = 0; i < REPEATS; i++) {
        double t = measure();
        least = t < least ? t : least;
    }
    return least;
}

static void *wait_for_gate(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

static void fork_rows(void) {
    static const size_t sizes[] = {0, 1, 64, 256};
    char name[64];
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(name, sizeof(name), "fork_%zuMiB", sizes[i]);
        if (!wanted(name))
            continue;
        char *p = sizes[i] ? anonymous(sizes[i] * MIB) : NULL;
        touch(p, sizes[i] * MIB);
        report(name, least_of(fork_alone));
        snprintf(name, sizeof(name), "fork_call_%zuMiB", sizes[i]);
        report(name, least_of(fork_call));
        snprintf(name, sizeof(name), "fork_exit_wait_%zuMiB", sizes[i]);
        report(name, least_of(fork_exit_wait));
        if (p)
            munmap(p, sizes[i] * MIB);
    }
    if (wanted("fork_1000_mappings")) {
        static char *parts[1000];
        int fd = open("/dev/shm/micro", O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || ftruncate(fd, MIB))
            die("/dev/shm/micro");
        for (int i = 0; i < 1000; i++) {
            int kind = i % 4;
            parts[i] = kind == 0   ? map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd)
                       : kind == 1 ? map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd)
                       : kind == 2 ? map(2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1)
                                   : anonymous(2 * PAGE);
            if (kind != 2)
                parts[i][0] = 1;
        }
        report("fork_1000_mappings", least_of(fork_alone));
        report("fork_call_1000_mappings", least_of(fork_call));
        for (int i = 0; i < 1000; i++)
            munmap(parts[i], 2 * PAGE);
        close(fd);
        unlink("/dev/shm/micro");
    }
    if (wanted("fork_4_threads")) {
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        pthread_t threads[3];
        pthread_mutex_lock(&gate);
        for (int i = 0; i < 3; i++)
            if (pthread_create(&threads[i], NULL, wait_for_gate, &gate))
                die("pthread_create");
        report("fork_4_threads", least_of(fork_alone));
        report("fork_call_4_threads", least_of(fork_call));
        pthread_mutex_unlock(&gate);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
    }
}

/* In a child: the first writes after a fork, into a block of 2 MiB that is full. values[0]: the very first write of
 * all, [1]: the first in another block, [2]: per page in a block already broken. */
static void child_writes(char *p, double *values) {
    double t = now();
    p[0] = 2;
    values[0] = now() - t;
    t = now();
    p[4 * MIB] = 2;
    values[1] = now() - t;
    t = now();
    for (size_t i = 1; i < 512; i++)
        p[4 * MIB + i * PAGE] = 2;
    values[2] = (now() - t) / 511;
}

static void copy_rows(void) {
    static const char *const names[] = {"after_fork_very_first_write", "after_fork_first_write_in_block",
                                        "after_fork_copy_page"};
    if (!wanted("after_fork"))
        return;
    double *values = (void *)map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1), least[6];
    /* far from stack and heap, so that no table of its path is copied before */
    char *p =
        mmap((void *)FAR, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    madvise(p, 16 * MIB, MADV_NOHUGEPAGE);
    char *block = (char *)(((unsigned long)p + 2 * MIB - 1) & ~(2 * MIB - 1));
    for (int i = 0; i < 6; i++)
        least[i] = 1e18;
    for (int r = 0; r < REPEATS; r++) {
        touch(p, 16 * MIB);
        values[0] = 0;
        int gate[2];
        char byte;
        if (pipe(gate))
            die("pipe");
        pid_t pid = fork_or_die();
        if (!pid) {
            child_writes(block, values);
            close(gate[1]);
            _exit(0);
        }
        close(gate[1]);
        if (read(gate[0], &byte, 1))
            die("read");
        close(gate[0]);
        reap(pid);
        for (int i = 0; i < 3; i++)
            least[i] = values[i] < least[i] ? values[i] : least[i];
        /* the parent's writes while a child is alive and has written nothing */
        if (pipe(gate))
            die("pipe");
        pid = fork_or_die();
        if (!pid) {
            close(gate[1]);
            _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
        }
        close(gate[0]);
        child_writes(block, values);
        close(gate[1]);
        reap(pid);
        for (int i = 0; i < 3; i++)
            least[3 + i] = values[i] < least[3 + i] ? values[i] : least[3 + i];
    }
    for (int i = 0; i < 3; i++)
        report(names[i], least[i]);
    report("parent_very_first_write", least[3]);
    report("parent_first_write_in_block", least[4]);
    report("parent_copy_page", least[5]);
    munmap(p, 16 * MIB);
    munmap(values, PAGE);
}

static void exec_row(const char *self) {
    LEAST(
        "fork_exec_wait", , pid_t pid = fork_or_die(); if (!pid) {
            execl(self, self, "--nothing", (char *)NULL);
            _exit(127);
        } reap(pid),
                                                       1, );
}

static void file_rows(void) {
    const size_t size = 4 * MIB, pages = size / PAGE;
    static char buffer[65536];
    char *p;
    int fd = open("/dev/shm/micro", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die("/dev/shm/micro");
    memset(buffer, 1, sizeof(buffer));
    for (size_t i = 0; i < size; i += sizeof(buffer))
        if (write(fd, buffer, sizeof(buffer)) != sizeof(buffer))
            die("write");
    LEAST("file_shared_read_fault", p = map(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd), look(p, size), pages,
          munmap(p, size));
    LEAST("file_shared_write_fault", p = map(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd), touch(p, size), pages,
          munmap(p, size));
    LEAST("file_private_write_fault", p = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd), touch(p, size), pages,
          munmap(p, size));
    LEAST("read_cached_page", lseek(fd, 0, SEEK_SET),
          for (size_t i = 0; i < size; i += sizeof(buffer)) if (read(fd, buffer, sizeof(buffer)) != sizeof(buffer))
              die("read"),
          pages, );
    close(fd);
    unlink("/dev/shm/micro");
}

static void pipe_row(void) {
    int there[2], back[2];
    char byte = 0;
    if (!wanted("pipe_round"))
        return;
    if (pipe(there) || pipe(back))
        die("pipe");
    pid_t pid = fork_or_die();
    if (!pid) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1)
            if (write(back[1], &byte, 1) != 1)
                _exit(1);
        _exit(0);
    }
    LEAST("pipe_round", ,
          for (int i = 0; i < 500; i++) if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) die("pipe"),
          500, );
    close(there[1]);
    reap(pid);
}

/* ---- two threads, each in a region of its own: wall time of both, from a common start ---- */

static pthread_barrier_t start_line;

static void *touch_own(void *p) {
    pthread_barrier_wait(&start_line);
    touch(p, 32 * MIB);
    return NULL;
}

static double faults_of(unsigned count) {
    pthread_t threads[2];
    char *regions[2];
    pthread_barrier_init(&start_line, NULL, count + 1);
    for (unsigned i = 0; i < count; i++) {
        regions[i] = anonymous(32 * MIB);
        if (pthread_create(&threads[i], NULL, touch_own, regions[i]))
            die("pthread_create");
    }
    pthread_barrier_wait(&start_line);
    double t = now();
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    t = now() - t;
    for (unsigned i = 0; i < count; i++)
        munmap(regions[i], 32 * MIB);
    pthread_barrier_destroy(&start_line);
    return t / (32 * MIB / PAGE);
}

static double faults_of_one(void) { return faults_of(1); }
static double faults_of_two(void) { return faults_of(2); }

static void scale_rows(void) {
    report("faults_1_thread", least_of(faults_of_one));
    report("faults_2_threads", least_of(faults_of_two));
}

/* ---- what 100 forks cost in memory, each having written its stack, its data and its heap ---- */

#define FORKS 100

static long meminfo(const char *name) {
    char line[128];
    long kib = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && kib < 0 && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)))
            kib = strtol(line + strlen(name), NULL, 10);
    if (kib < 0)
        die(name);
    fclose(f);
    return kib;
}

static void tables_rows(void) {
    static volatile char data[2 * PAGE];
    char *parent = anonymous(1024 * MIB), byte = 0;
    volatile char *heap = malloc(1);
    pid_t pids[FORKS];
    int ready[2], gate[2];
    if (pipe(ready) || pipe(gate))
        die("pipe");
    touch(parent, 1024 * MIB);
    long tables = meminfo("PageTables:"), unused = meminfo("MemFree:");
    for (int i = 0; i < FORKS; i++) {
        pids[i] = fork_or_die();
        if (pids[i])
            continue;
        volatile char stack[PAGE];
        stack[0] = data[PAGE] = *heap = 1;
        sink = stack[0];
        close(gate[1]);
        _exit(write(ready[1], &byte, 1) == 1 && read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    for (int i = 0; i < FORKS; i++)
        if (read(ready[0], &byte, 1) != 1)
            die("read");
    report("tables_of_100_forks_KiB", meminfo("PageTables:") - tables);
    report("memory_of_100_forks_KiB", unused - meminfo("MemFree:"));
    close(gate[1]);
    for (int i = 0; i < FORKS; i++)
        reap(pids[i]);
}

int main(int argc, char **argv) {
    static char buffer[1 << 16];
    if (argc > 1 && !strcmp(argv[1], "--nothing"))
        return 0;
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    only = argc > 1 ? argv[1] : NULL;
    if (only && only[0] == '-') {
        if (!strcmp(only, "--scale"))
            scale_rows();
        else if (!strcmp(only, "--tables"))
            tables_rows();
        else if (!strcmp(only, "--hello"))
            puts("hello");
        else if (!strcmp(only, "--khz")) {
            measure_tick();
            printf("%.0f\n", 1e6 / tick_ns);
        }
        return 0;
    }
    measure_tick();
    simple_rows();
    fork_rows();
    copy_rows();
    exec_row(argv[0]);
    file_rows();
    pipe_row();
    return 0;
}
