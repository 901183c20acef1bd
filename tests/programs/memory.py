"""What memory does, seen from programs."""
import re

from harness import *

compare("tour", "sh", "-c", "python3 %s/programs/tour.py | cut -c1-40 | tail -n +2" % TESTS, options=["-m", "128M"])


@test
def terabytes_promised(t):
    result = t.quire("python3", "-c", "import mmap; a = [mmap.mmap(-1, 1 << 42, flags=0x4022) for i in range(8)]; a[3][1 << 41] = 5; print(a[3][1 << 41], a[3][7])", options=["-m", "64M"])
    t.equal("status, stdout", (0, b"5 0\n"), (result.status, result.out))


@test
def small_machine(t):
    result = t.quire("bash", "-c", "echo $(ls / | wc -l)", options=["-m", "16M", "-c", "1"])
    t.equal("status and stderr", (0, b""), (result.status, result.err))


@test
def panic_says_what_and_where(t):
    result = t.command("run", "--qemu-arg=-append", "--qemu-arg=panic", "--", "true")
    t.equal("status", 125, result.status)
    for part in (rb"^quire: panic: asked for on the command line, with \d+ frames free", rb"on CPU \d", rb" start\+0x"):
        t.true(f"{part!r} in {result.err!r}", re.search(part, result.err, re.M))


@test
def out_of_memory_is_137_with_a_line(t):
    result = t.command("run", "-m", "64M", "--sysctl", "vm.overcommit_memory=1", "--sysctl", "vm.check=1", "--",
                       "python3", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))")
    t.equal("status", 137, result.status)
    t.true(f"one line: {result.err!r}", b"out of memory: killed python3" in result.err and result.err.count(b"\n") == 1)


@test
def out_of_memory_report_and_panic(t):
    hog = ["python3", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))"]
    result = t.command("run", "-m", "64M", "-v", "--", *hog)
    t.equal("status", 137, result.status)
    for part in (rb"asked, oom_score_adj 0; pages: \d+ free", rb"swap: 0 of 0 free", rb"tgid total_vm      rss", rb"\[ +2\] .* python3$"):
        t.true(f"{part!r} in {result.err!r}", re.search(part, result.err, re.M))
    result = t.command("run", "-m", "64M", "--sysctl", "vm.panic_on_oom=1", "--", *hog, checked=False)
    t.equal("status", 125, result.status)
    t.true(f"it says so: {result.err!r}", b"panic: out of memory, and vm.panic_on_oom is 1" in result.err)


@test
def unimplemented_call_is_enosys(t):
    source = t.write("nosys.c", "#include <stdio.h>\n#include <errno.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
                     "int main(void) { for (int i = 0; i < 3; i++) syscall(SYS_bpf, 0, 0, 0); printf(\"%d\\n\", errno == ENOSYS); return 0; }\n")
    t.equal("gcc", 0, t.run(["gcc", "-o", t.dir + "/nosys", source]).status)
    result = t.command("run", "--", "./nosys")
    t.equal("status, stdout", (0, b"1\n"), (result.status, result.out))
    t.true(f"one line names the call: {result.err!r}", b"bpf" in result.err and result.err.count(b"\n") == 1)


@test
def discarded_ranges_are_counted(t):
    """Each MADV_DONTNEED is one of --stats' discarded ranges."""
    for times in (0, 100):
        script = f"import mmap; a = mmap.mmap(-1, 1 << 20); [a.madvise(mmap.MADV_DONTNEED, 0, 4096) for i in range({times})]"
        result = t.command("run", "--stats", "--", "python3", "-c", script)
        found = re.search(rb"(\d+) discarded", result.err)
        t.true(f"{times} ranges, and at most a few of python3's own: {result.err!r}", found and times <= int(found.group(1)) < times + 50)


@test
def more_memory_than_the_checker_can_count(t):
    result = t.quire("cat", "/proc/sys/vm/check", options=["-m", "5G"])
    t.equal("status, stdout, stderr", (0, b"no memory to count in: nothing verified\n", b""), (result.status, result.out, result.err))
