"""The vdso: reading a clock needs no system call, and says what the call says."""
import shutil

from harness import *

PROGRAM = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long ns(const struct timespec *t) { return t->tv_sec * 1000000000ll + t->tv_nsec; }

/* Call, vdso, call: never back in time. */
static void compare(const char *name, int id) {
    struct timespec a, b, c;
    int back = 0;
    for (int i = 0; i < 100; i++) {
        syscall(SYS_clock_gettime, id, &a);
        clock_gettime(id, &b);
        syscall(SYS_clock_gettime, id, &c);
        back += ns(&a) > ns(&b) || ns(&b) > ns(&c);
    }
    syscall(SYS_clock_getres, id, &a);
    clock_getres(id, &b);
    printf("%s: back %d times, resolution %lld and %lld\n", name, back, ns(&a), ns(&b));
}

int main(int count, char **arguments) {
    struct timespec t;
    struct timeval v;
    unsigned cpu, node;
    if (count > 1) { /* reads alone: what a tracer sees is what the vdso asks for */
        for (int i = 0; i < 100; i++) {
            clock_gettime(CLOCK_REALTIME, &t);
            clock_gettime(CLOCK_MONOTONIC, &t);
            gettimeofday(&v, NULL);
            time(NULL);
            getcpu(&cpu, &node);
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return 0;
    }
    printf("ELF: %d\n", memcmp((void *)getauxval(AT_SYSINFO_EHDR), "\177ELF", 4));
    compare("REALTIME", CLOCK_REALTIME);
    compare("REALTIME_COARSE", CLOCK_REALTIME_COARSE);
    compare("TAI", CLOCK_TAI);
    compare("MONOTONIC", CLOCK_MONOTONIC);
    compare("MONOTONIC_RAW", CLOCK_MONOTONIC_RAW);
    compare("MONOTONIC_COARSE", CLOCK_MONOTONIC_COARSE);
    compare("BOOTTIME", CLOCK_BOOTTIME);
    clock_gettime(CLOCK_REALTIME, &t);
    gettimeofday(&v, NULL);
    printf("gettimeofday: %d\n", v.tv_sec * 1000000000ll + v.tv_usec * 1000ll + 1000 > ns(&t));
    printf("time: %d\n", time(NULL) >= v.tv_sec);
    printf("no clock: %d\n", clock_gettime(77, &t));
    printf("getcpu: %d, node %u\n", getcpu(&cpu, &node), node);
    return 0;
}
"""


def build(t):
    path = os.path.join(t.dir, "program")
    t.equal("gcc's output", b"", t.run(["gcc", "-o", path, t.write("program.c", PROGRAM)]).err)
    return path


@test
def vdso_agrees_with_the_calls(t):
    result = t.quire(build(t))
    t.equal("(status, stderr)", (0, b""), (result.status, result.err))
    lines = [b"ELF: 0", *(b"%s: back 0 times, resolution %d and %d" % (name, ns, ns) for name, ns in (
        (b"REALTIME", 1), (b"REALTIME_COARSE", 4000000), (b"TAI", 1), (b"MONOTONIC", 1), (b"MONOTONIC_RAW", 1),
        (b"MONOTONIC_COARSE", 4000000), (b"BOOTTIME", 1))),
             b"gettimeofday: 1", b"time: 1", b"no clock: -1", b"getcpu: 0, node 0"]
    t.equal("lines", lines, result.out.splitlines())


@test
def clocks_make_no_call(t):
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    result = t.quire("strace", "-e", "trace=clock_gettime,gettimeofday,time,getcpu", "-o", "/dev/stdout", build(t), "alone")
    calls = [line.split(b"{")[0] for line in result.out.splitlines() if b"exited" not in line]
    t.equal("calls", [b"clock_gettime(CLOCK_PROCESS_CPUTIME_ID, "], calls)


@test
def vdso_is_shown_and_kept_apart(t):
    """It is mapped, private: a debugger's breakpoint in one process's is not in another's."""
    maps = t.quire("sh", "-c", "grep -E 'vvar|vdso' /proc/self/maps").out
    t.equal("maps", [b"r--p [vvar]", b"r-xp [vdso]"], [b" ".join(line.split()[i] for i in (1, 5)) for line in maps.splitlines()])
    script = """
import ctypes, os, re
at = int(re.search(r"([0-9a-f]+)-[0-9a-f]+ r-xp .*vdso", open("/proc/self/maps").read()).group(1), 16)
pid = os.fork()
if pid == 0:
    with open("/proc/self/mem", "r+b", buffering=0) as mem:
        mem.seek(at + 4000)
        mem.write(b"word")
    print(ctypes.string_at(at + 4000, 4), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(ctypes.string_at(at + 4000, 4))
"""
    result = t.quire("python3", "-c", script)
    t.equal("both", (b"b'word'\nb'\\x00\\x00\\x00\\x00'\n", b""), (result.out, result.err))
