/* bug.h - what the programs bug_*.c share: each is one classic bug of virtual memory, by its number in docs/tests.md.
 * They loop a fixed number of times, on as many CPUs as there are, and say only what must hold. */
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define MIB (1ul << 20)
#define GIB (1ul << 30)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s (%s)\n", __FILE_NAME__, __LINE__, #condition, strerror(errno));       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline char *map(void *at, size_t bytes, int prot, int flags, int fd) {
    char *p = mmap(at, bytes, prot, flags | (at ? MAP_FIXED : 0), fd, 0);
    must(p != MAP_FAILED);
    return p;
}

/* Run on that CPU, or on the last one there is. */
static inline void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set))
        CPU_SET(0, &set), sched_setaffinity(0, sizeof(set), &set);
}

#define load(word) __atomic_load_n(&(word), __ATOMIC_SEQ_CST)
#define store(word, value) __atomic_store_n(&(word), (value), __ATOMIC_SEQ_CST)

/* Wait for another CPU's word; give ours away when it does not come, for there may be fewer CPUs than threads. */
static inline void await(int *word, int value) {
    for (unsigned spins = 0; load(*word) != value; spins++)
        if (spins % 1000 == 999)
            sched_yield();
}

static inline pthread_t start(void *(*body)(void *), void *argument) {
    pthread_t t;
    must(!pthread_create(&t, NULL, body, argument));
    return t;
}

/* An access that may fault: true if it did, by SIGSEGV or SIGBUS. For each thread. */
static __thread sigjmp_buf fault_back;
static __thread volatile int fault_expected;
static inline void fault_caught(int number) {
    if (!fault_expected)
        signal(number, SIG_DFL);
    else
        siglongjmp(fault_back, number);
}
static inline void faults_begin(void) {
    struct sigaction a = {.sa_handler = fault_caught, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
}
#define faults(access)                                                                                                 \
    ({                                                                                                                 \
        volatile int hit_ = 1;                                                                                         \
        fault_expected = 1;                                                                                            \
        if (!sigsetjmp(fault_back, 0)) {                                                                               \
            access;                                                                                                    \
            hit_ = 0;                                                                                                  \
        }                                                                                                              \
        fault_expected = 0;                                                                                            \
        hit_;                                                                                                          \
    })

static inline unsigned sum_of(const char *p, size_t bytes) {
    unsigned s = 0;
    for (size_t i = 0; i < bytes; i += 64)
        s = s * 31 + (unsigned char)p[i];
    return s;
}

static inline int wait_for(pid_t pid) {
    int status;
    must(waitpid(pid, &status, 0) == pid);
    return status;
}

static inline unsigned long rnd(unsigned long *s) { /* xorshift64 */
    *s ^= *s << 13;
    *s ^= *s >> 7;
    return *s ^= *s << 17;
}
