/* host.h - kernel/vm on this machine: a hosted machine, CPUs that are fibers, and a frame for tests.
 *
 * Each test runs in a process of its own, on a fresh machine, from a seed: `build/host-tests NAME SEED` replays it. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "boot/boot.h"
#include "lib/base.h"
#include "lib/sync.h"
#include "point.h"
#include "vm/area.h"
#include "vm/epoch.h"
#include "vm/frame.h"
#include "vm/machine.h"
#include "vm/radix.h"
#include "vm/slab.h"
#include "vm/space.h"
#include "vm/watch.h"

/* ---- tests (main.c) */

#define test_seeds(name, seeds)                                                                                        \
    static void name(void);                                                                                            \
    __attribute__((constructor)) static void register_##name(void) { test_register(#name, __FILE__, name, seeds); }    \
    static void name(void)
#define test(name) test_seeds(name, 1)
void test_register(const char *name, const char *file, void (*body)(void), unsigned seeds);

extern unsigned test_seconds; /* for one test and seed; of the processor, so that a busy machine makes no difference */
void test_limit(unsigned seconds); /* of the processor's time, for this process and for each that it forks */

extern u64 test_seed;
extern bool test_verbose;    /* -v: random tests say what they do */
extern bool test_quick;      /* --quick: it only matters whether a test fails */
extern char *test_signature; /* not NULL: where a failure writes what kind it is (shrink.c) */
noreturn void test_fail(const char *file, int line, const char *format, ...) printf_like(3, 4);
#define check(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            test_fail(__FILE__, __LINE__, "not true: %s", #condition);                                                 \
    } while (0)
#define check_eq(a, b)                                                                                                 \
    do {                                                                                                               \
        u64 ca_ = (u64)(a), cb_ = (u64)(b);                                                                            \
        if (ca_ != cb_)                                                                                                \
            test_fail(__FILE__, __LINE__, "%s is %#lx (%ld), %s is %#lx (%ld)", #a, (long)ca_, (long)ca_, #b,          \
                      (long)cb_, (long)cb_);                                                                           \
    } while (0)
#define check_text(a, b) test_same_text(__FILE__, __LINE__, #a, (a), (b))
void test_same_text(const char *file, int line, const char *what, const char *is, const char *should);
/* check_panics: body ends in a panic whose text contains `says`. Runs it in a process of its own. */
#define check_panics(says, body) test_panics(__FILE__, __LINE__, says, body)
/* check_status: body ends with this exit status, and says so. */
#define check_status(status, says, body) test_ends(__FILE__, __LINE__, status, says, body)
void test_ends(const char *file, int line, int status, const char *says, void (*body)(void));
void test_panics(const char *file, int line, const char *says, void (*body)(void));

u64 rnd(void);            /* from the seed */
void rnd_start(u64 seed); /* this thread's numbers */
u64 rnd_below(u64 n);     /* 0 .. n-1 */
static inline bool one_in(u64 n) { return rnd_below(n) == 0; }

/* ---- fibers (fiber.c): tasks that are spread over the CPUs by a seeded scheduler */

/* fiber_add: body(argument) will run as a task that uses `space` (NULL: none). fibers_run: runs all to their ends; at
 * each atomic operation, lock and sleep of kernel/vm another may go on, once in `odds` times on average (0: only where
 * one waits). */
void fiber_add(const char *name, void (*body)(void *argument), void *argument, struct space *space);
void fibers_run(unsigned odds);
void fiber_use(struct space *space); /* the calling task uses another space from now on, and loads it */
void fiber_yield(void); /* gives its CPU up, as a preempted program does: goes on later, perhaps on another */
void host_step(void);
/* While a CPU's guard is held no instruction of it is under way: where CPUs are threads (threads.c), a flush waits for
 * that, as it would for the answer to its interrupt. */
void host_guard(unsigned cpu);
void host_unguard(unsigned cpu);
void host_lock(struct spin *lock);
bool host_try(struct spin *lock);
void host_unlock(struct spin *lock);
void host_may_sleep(const char *what); /* panics in an epoch section or under a spin lock */
void fibers_print(FILE *to);
const char *fiber_name(void);
bool fibers_running(void);

/* ---- the machine (machine.c) */

struct host_config {
    unsigned cpus;
    u64 bytes;                                      /* of memory */
    u64 hole, hole_bytes, reserved, reserved_bytes; /* parts of it */
    bool bare;                                      /* no vm_init: frames and slabs only */
    u64 swap;                                       /* pages of a swap area; 0: none */
    bool no_device;                                 /* nothing is below it but the compressed tier */
};
/* host_dies_after: the current task is to die when it has been asked so often whether it goes on; 0: never. */
extern u64 host_dies_after;
void machine_start(struct host_config config); /* fields of 0: 2 CPUs, 16 MiB */
void host_cpu(unsigned cpu);                   /* outside of fibers: the test goes on on this CPU */

bool host_loaded(unsigned cpu, struct space *s); /* it is the one that this CPU translates by */

/* Accesses of a program, on this CPU, by its TLB, then by a walk, then by space_fault. The space is the loaded one. */
enum fault_outcome mem_access(struct space *s, u64 address, void *buffer, size_t bytes, enum fault_access access);
static inline enum fault_outcome mem_write(struct space *s, u64 address, u64 value) {
    return mem_access(s, address, &value, sizeof(value), FAULT_WRITE);
}
static inline enum fault_outcome mem_read(struct space *s, u64 address, u64 *value) {
    return mem_access(s, address, value, sizeof(*value), FAULT_READ);
}
int mem_discard(struct space *s, u64 address, u64 bytes); /* MADV_DONTNEED */
/* Tests of the tests: a mutant leaves out all flushes of one place in kernel/vm (2k), or only of pointers to tables (2k
 * + 1). The places are numbered as they are first met, in memory that all processes share. */
#define HOST_SITES 64
struct host_sites {
    u64 count;
    void *site[HOST_SITES];
    bool tables[HOST_SITES]; /* pointers to tables are flushed there, at times */
};
extern struct host_sites *host_sites; /* NULL: none are collected */
extern long host_mutant;              /* -1: none */

/* What is in use, to be the same again at the end. */
struct host_count {
    struct frame_totals frames;
    u64 kmalloc, radix_nodes, tables, views, swap;
    u64 offline; /* frames taken out of use since: they may be gone */
};
void host_flush_own(void);                 /* machine_flush_everyone, of this CPU only */
void *host_tlbs(size_t *bytes);            /* all CPUs' TLBs */
void host_tlb_check(void);                 /* no TLB gives more than the tables do (invariant 6, between operations) */
void host_tlb_none(const struct frame *f); /* no TLB leads to the frame, which is about to be freed */
void host_check(void);                     /* vm_check must find nothing */
void host_settle(void);                    /* epochs, slabs, caches: nothing waits */
struct host_count host_count(void);
void host_same(const char *file, int line, const struct host_count *before);
#define check_no_leak(before) host_same(__FILE__, __LINE__, &(before))

/* ---- who watches memory (watch.c) */
struct host_watch {
    struct watch watch;
    u32 references;     /* ours, and the views' */
    u32 why;            /* WATCH_*: what the last one waited for */
    struct watch *heir; /* what a child inherits in its place */
    struct waitq queue;
};
void host_watch_start(struct host_watch *h, struct space *s);
void host_watch_wake(struct host_watch *h); /* all who wait try again */
/* host_supply: space_supply of a page that begins with `value`, in memory that is `shared` or not. */
int host_supply(struct space *s, u64 address, enum supply how, u64 value, bool shared, bool guard);

/* ---- a swap device (swap_device.c): an array, and other fibers run while it works */
struct host_area {
    struct swap_device device;
    u64 pages;
    u8 *contents, *written; /* written: whether it ever was */
};
struct host_swap {
    u64 pages;                        /* of the area that the machine started with; 0: none */
    bool no_device;                   /* nothing is below it */
    unsigned reads, writes;           /* pages */
    unsigned transfers;               /* of several runs each */
    unsigned fail_reads, fail_writes; /* so many transfers end in -EIO ... */
    unsigned spare;                   /* ... after so many that do not */
    unsigned failures;
};
extern struct host_swap host_swap;
void host_swap_start(u64 pages, bool no_device);
int host_swap_add(u64 pages, int priority); /* one more area: its number, or -errno */
void host_swap_drop(unsigned number);       /* it is empty and closed: it goes */

/* ---- files for mappings (file.c) */

bool host_keeps(const void *memory); /* explore.c puts it back again and again */

struct host_file {
    struct vm_file file;
    struct object object;
    u64 references;
    u64 pages;                                       /* of contents */
    u8 *contents;                                    /* what is stored; NULL: shared memory without a backend */
    unsigned fills, writes, fail_fills, fail_writes; /* the last two: so many end in -EIO */
    char letter;
};
struct host_file *host_file_new(char letter, u64 bytes, bool backed);
void host_file_layered(struct host_file *f);                     /* a new, backed one: changes stay in memory */
void host_file_put(struct host_file *f);                         /* the test's own reference */
void host_file_resize(struct host_file *f, u64 bytes);           /* ftruncate(2) */
void host_file_write(struct host_file *f, u64 offset, u64 word); /* pwrite(2) of one aligned word */
void host_file_punch(struct host_file *f, u64 first, u64 end);   /* fallocate(2), a hole of whole pages */
struct host_file *host_device_new(char letter, u64 bytes);       /* its frames are not an object's: never put */

/* Their device. It carries out each request at once; or, holding, when the test answers: */
void host_io_fail_at(u64 n); /* the nth request from now ends in -EIO; 0: none */
bool host_io_failed(void);   /* it did, since */
bool host_io_fails(void);    /* a device is about to carry out a request: this one? */
void host_io_hold(bool hold);
unsigned host_io_waiting(void);
void host_io_wait(unsigned count); /* a task sleeps until so many have come since it holds */
/* host_io_answer: the request that is `which`th in the order of arrival is carried out now, or fails. */
void host_io_answer(unsigned which, int error);
