/* vdso.c - code that the kernel puts into every program: vdso(7). It runs in user mode; it knows the page below it
 * (data.h) and, for what that does not tell, makes the system call.
 *
 * The formulas are the kernel's own (clock.c), so both ways to read a clock give one sequence. */
#include <linux/time.h>
#include <linux/time_types.h>
#include <asm/unistd_64.h>

#include "arch/x86_64/vdso/data.h"

#define NS_PER_SECOND 1000000000UL
#define NS_PER_US 1000UL

extern const struct vdso_data vdso_data __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct __kernel_timespec *out);
int __vdso_clock_getres(int clock, struct __kernel_timespec *out);
int __vdso_gettimeofday(struct __kernel_old_timeval *out, struct timezone *zone);
__kernel_old_time_t __vdso_time(__kernel_old_time_t *out);
long __vdso_getcpu(u32 *cpu, u32 *node, void *cache);

static long call(long number, const void *a, const void *b, const void *c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

/* LFENCE: the counter is read after what the program did before. */
static u64 monotonic_ns(void) {
    u32 low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)((unsigned __int128)(((u64)high << 32 | low) - vdso_data.base) * vdso_data.mult >> 32);
}

static u64 wall_ns(void) { return monotonic_ns() + atomic_load_relaxed(&vdso_data.wall_offset); }

static bool is_wall(int clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static bool is_monotonic(int clock) {
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_BOOTTIME;
}

int __vdso_clock_gettime(int clock, struct __kernel_timespec *out) {
    u64 ns;
    if (is_wall(clock))
        ns = wall_ns();
    else if (is_monotonic(clock))
        ns = monotonic_ns();
    else
        return (int)call(__NR_clock_gettime, (void *)(long)clock, out, NULL);
    out->tv_sec = (s64)(ns / NS_PER_SECOND);
    out->tv_nsec = (s64)(ns % NS_PER_SECOND);
    return 0;
}

int __vdso_clock_getres(int clock, struct __kernel_timespec *out) {
    if (!is_wall(clock) && !is_monotonic(clock))
        return (int)call(__NR_clock_getres, (void *)(long)clock, out, NULL);
    if (out) {
        out->tv_sec = 0;
        out->tv_nsec =
            clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ? (s64)vdso_data.tick_ns : 1;
    }
    return 0;
}

int __vdso_gettimeofday(struct __kernel_old_timeval *out, struct timezone *zone) {
    if (out) {
        u64 ns = wall_ns();
        out->tv_sec = (s64)(ns / NS_PER_SECOND);
        out->tv_usec = (s64)(ns % NS_PER_SECOND / NS_PER_US);
    }
    if (zone)
        zone->tz_minuteswest = zone->tz_dsttime = 0;
    return 0;
}

__kernel_old_time_t __vdso_time(__kernel_old_time_t *out) {
    __kernel_old_time_t seconds = (s64)(wall_ns() / NS_PER_SECOND);
    if (out)
        *out = seconds;
    return seconds;
}

long __vdso_getcpu(u32 *cpu, u32 *node, void *cache) {
    u32 low, high, number;
    if (!vdso_data.cpu_known)
        return call(__NR_getcpu, cpu, node, NULL);
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(number));
    if (cpu)
        *cpu = number;
    if (node)
        *node = 0;
    return 0;
}

/* The names without the prefix are for programs that link with the image itself. */
#define ALSO(name) __typeof__(__vdso_##name) name __attribute__((weak, alias("__vdso_" #name)));
ALSO(clock_gettime)
ALSO(clock_getres)
ALSO(gettimeofday)
ALSO(time)
ALSO(getcpu)
