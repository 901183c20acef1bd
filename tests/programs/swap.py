"""Memory that does not fit, with a swap area behind it. The work is done by tests/guest/pressure.py; each run ends with the checker and the
leak count, so no slot of the area stays in use."""
import os, re

from harness import *


def pressure(name, *words, memory, swap, zswap=None, cpus=2, soak=False, says=()):
    """`swap`: sizes, with commas. `says`: how lines on stderr begin that are expected, all of them."""
    def function(t):
        result = t.quire("python3", f"{TESTS}/guest/pressure.py", *map(str, words), timeout=1800,
                         options=["-m", memory, *(word for size in swap.split(",") for word in ("-s", size)), "-c", str(cpus),
                                  *(["--zswap", zswap] if zswap else [])])
        lines = [line for line in result.err.split(b"\n") if line and not line.startswith(says)]
        t.equal("status, stdout, stderr", (0, b"", []), (result.status, result.out if result.status else b"", lines))
        t.true(f"each of {says} in {result.err!r}", all(begin in result.err for begin in says))
        t.true(f"one line: {result.out!r}", result.out.count(b"\n") == 1)
    add(name, function, soak)


pressure("more-than-memory", "fill", 36, 1, memory="32M", swap="96M", cpus=1)
pressure("forks-that-share", "forks", 24, 4, memory="32M", swap="128M")
pressure("locked-memory-stays", "locked", 28, memory="32M", swap="96M")
pressure("background", "background", 90, memory="64M", swap="128M", cpus=1)
pressure("stalls", "stalls", 36, memory="32M", swap="64M", cpus=1)
pressure("major-faults", "majors", memory="64M", swap="64M")
pressure("files-tell-the-truth", "truth", memory="64M", swap="64M")
pressure("shared-memory", "shared", 8, 4, memory="32M", swap="96M")
pressure("shared-memory-truth", "shared_truth", memory="64M", swap="64M")
pressure("debian's-tools", "tools", memory="64M", swap="16M,32M")
pressure("swapoff-while-eight-fork", "off", 4, 8, memory="64M", swap="32M,32M")
pressure("swapoff-without-room", "off_full", 40, memory="32M", swap="64M", cpus=1)
pressure("slots-come-back", "cycles", 40, memory="64M", swap="64M")
pressure("a-terabyte-advised", "terabyte", memory="64M", swap="64M")
pressure("nth-transfer-fails", "failing", 24, memory="64M", swap="64M", says=(b"quire: swap: ",))
pressure("same-address-in-each", "same", 8, 6, memory="32M", swap="128M")


@test
def over_the_network(t):
    """A block device that nbdkit serves; and one whose writes begin to fail: pages that cannot be written stay, nothing is lost."""
    run = f'{RUN[:-3]} -m 24M -s "$uri" --rw . -- python3 {TESTS}/guest/pressure.py'
    result = t.run(["nbdkit", "-U", "-", "memory", "64M", "--run", f"{run} fill 18 1"], timeout=600, cwd=t.dir)
    t.equal("status, stdout, stderr", (0, b"18 MiB verified 1 times\n", b""), (result.status, result.out, result.err))
    result = t.run(["nbdkit", "-U", "-", "--filter=error", "memory", "64M", "error-pwrite=EIO", "error-pwrite-rate=100%",
                    f"error-file={t.dir}/fails", "--run", f"{run} unwritable 64 fails"], timeout=600, cwd=t.dir)
    t.equal("status, stdout", (0, b"pages that cannot be written stay\n"), (result.status, result.out))
    t.true(f"a line says so: {result.err!r}", b"could not be written (error 5): they stay in memory" in result.err)


@test
def watched(t):
    """userfaultfd's threads over more memory than there is: 48 MiB in 32."""
    program = f"{t.dir}/race"
    t.equal("gcc", 0, t.run(["gcc", "-O1", "-o", program, f"{TESTS}/abi/mem_watched_race.c"]).status)
    result = t.quire(program, "12288", options=["-m", "32M", "-s", "128M", "--cpus", "2"], timeout=600)
    says = b"every page was supplied, and held its number -> 1\nwrites to guarded pages were heard -> 1\n"
    t.equal("status, stdout, stderr", (0, says, b""), (result.status, result.out, result.err))


@test
def most_devices(t):
    """As many directories and areas as the command takes; one area is a file with a colon, a comma and a space in its name."""
    for i in range(13):
        os.mkdir(f"{t.dir}/{i}")
        t.write(f"{i}/name", f"{i}\n")
    with open(f"{t.dir}/my:s, wap", "wb") as file:
        file.truncate(1 << 20)
    shares = [word for i in range(13) for word in ("--ro", f"{i}:/tmp/{i}")]
    areas = [word for i in range(7) for word in ("-s", f"{1 + i}M")]
    for more, shown in ((["-m", "16M", *shares, *areas, "-s", "my:s, wap"], 13), (["-s", "my:s, wap"], 0)):
        result = t.quire("sh", "-c", "cat /tmp/*/name; grep -c dev /proc/swaps", options=more)
        t.equal("status, sum", (0, sum(range(shown))), (result.status, sum(map(int, result.out.split()[:-1]))))
        t.equal("areas", more.count("-s"), int(result.out.split()[-1]))


def bad_sector(name, kind, part, says=None):
    """A device of QEMU's blkdebug, one of whose pages, the 90th, cannot be read, or written."""
    def function(t):
        with open(f"{t.dir}/image", "wb") as file:
            file.truncate(16 << 20)
        drive = ("if=none,id=bad,format=raw,werror=report,rerror=report,file.driver=blkdebug,file.image.driver=file,"
                 f"file.image.filename={t.dir}/image,file.inject-error.0.event=none,file.inject-error.0.iotype={kind},file.inject-error.0.errno=5,"
                 f"file.inject-error.0.sector={89 * 8},file.inject-error.0.once=off")
        options = [word for arg in ("-drive", drive, "-device", "virtio-blk-device,drive=bad") for word in ("--qemu-arg", arg)]
        result = t.quire("python3", f"{TESTS}/guest/pressure.py", part, "256", options=["-m", "64M", *options])
        lines = [line for line in result.err.split(b"\n") if line and not (says and says in line)]
        t.equal("status, stderr", (0, []), (result.status, lines if result.status == 0 else (lines, result.out)))
        t.true(f"it says so: {result.err!r}", not says or says in result.err)
    add(name, function)


bad_sector("a-page-that-cannot-be-read", "read", "bad_read")
bad_sector("a-file-cut-in-a-page-that-cannot-be-read", "read", "bad_tail")
bad_sector("a-page-that-cannot-be-written", "write", "bad_write", b"could not be written (error 5): they stay in memory")


@test
def freed_slots_are_discarded(t):
    """swapon --discard, --discard=pages; and =once, by which only the area as a whole is."""
    with open(f"{t.dir}/area", "wb") as file:
        file.truncate(64 << 20)
    result = t.quire("python3", f"{TESTS}/guest/pressure.py", "noise", "discard", "8192", options=["-m", "96M", "-s", f"{t.dir}/area"])
    t.equal("status, stdout, stderr", (0, b"freed slots are discarded\n", b""), (result.status, result.out, result.err))
    t.true("at most half of what was written is left", os.stat(f"{t.dir}/area").st_blocks * 512 <= 8192 * 4096 // 2)


@test
def a_terabyte_of_swap(t):
    """A sparse file of 1 TiB: what it costs grows with what is used."""
    with open(f"{t.dir}/area", "wb") as file:
        file.truncate(1 << 40)
    script = "cat /proc/swaps; grep MemFree /proc/meminfo; swapoff /dev/vda; cat /proc/swaps"
    result = t.quire("sh", "-c", f"PATH=$PATH:/sbin; {script}", options=["-m", "16M", "-s", f"{t.dir}/area"])
    lines = result.out.decode().split("\n")
    t.equal("status, stderr", (0, b""), (result.status, result.err))
    t.equal("the area", ["/dev/vda", "partition", "1073741820", "0", "-2"], lines[1].split())
    t.true(f"more than 8 of 16 MiB are free: {lines[2]}", int(lines[2].split()[1]) > 8192)
    t.equal("after swapoff", 4, len(lines) - 1)


@test
def two_write_beside_each_other(t):
    """Neighbouring sectors of a disk are written by two processes at once, and neither undoes the other's; signals make no read short."""
    script = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
print(libc.swapoff(b"/dev/vda"))
disk = os.open("/dev/vda", os.O_RDWR)
def turns(sector, times):
    at, lost = (1 << 20) + 512 * sector, 0
    for turn in range(times):
        mine = bytes([sector, turn % 251]) * 256
        os.pwrite(disk, mine, at)
        lost += os.pread(disk, 512, at) != mine
    return lost
child = os.fork()
lost = turns(child == 0, 400)
if not child: os._exit(lost != 0)
print("lost", lost, os.waitpid(child, 0)[1])
signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
short = sum(len(os.pread(disk, 1 << 20, 0)) != 1 << 20 for _ in range(20))
signal.setitimer(signal.ITIMER_REAL, 0)
print("short", short)
"""
    result = t.quire("python3", "-c", script, options=["-m", "64M", "-s", "64M", "-c", "2"])
    t.equal("status, stdout, stderr", (0, b"0\nlost 0 0\nshort 0\n", b""), (result.status, result.out, result.err))


def replay_agrees(policy, percent):
    """What the kernel read back is what its trace says, and about what the same policy would read back that replays it."""
    def function(t):
        program, trace = os.path.join(t.dir, "uses"), os.path.join(t.dir, "trace")
        t.equal("gcc's output", b"", t.run(["gcc", "-std=gnu17", "-O1", "-Wall", "-static", "-o", program, f"{TESTS}/guest/uses.c"]).err)
        result = t.quire(program, options=["-m", "16M", "-s", "64M", "-c", "1", "--policy", policy, "--trace", trace, "--stats"])
        t.equal("status", 0, result.status)
        counted = int(result.out)
        files = int(re.search(rb"(\d+) evicted", result.err).group(1))
        said = t.run([QUIRE, "sim", trace, "--policy", policy]).out.decode()
        recorded, back = re.search(r"with (\d+) pages in memory: (\d+) read back", said).groups()
        replayed = int(re.search(r"^recorded +\d+ +(\d+)", said, re.M).group(1))
        t.true(f"no word was lost: {said!r}", "lost" not in said)
        t.true(f"{counted} pages were read from the area, at most {files} from files again, and the trace says {back}",
               counted > 1000 and counted <= int(back) <= counted + files)
        t.true(f"the replay reads back {replayed}, within {percent} % of {back}", abs(replayed - int(back)) <= int(back) * percent / 100)
    add(f"replay-agrees-{policy}", function)


for policy, percent in (("clock", 5), ("lirs", 10), ("generations", 5)):
    replay_agrees(policy, percent)

for cpus in (1, 2):
    pressure(f"more-than-memory-thrice-{cpus}", "noise", "fill", 300, 3, memory="64M", swap="512M", cpus=cpus, soak=True)
    pressure(f"eight-write-quarters-{cpus}", "noise", "quarters", 128, 8, memory="64M", swap="512M", cpus=cpus, soak=True)
    pressure(f"many-forks-that-share-{cpus}", "forks", 100, 4, memory="64M", swap="512M", cpus=cpus, soak=True)
    pressure(f"same-address-in-many-{cpus}", "same", 24, 10, memory="64M", swap="512M", cpus=cpus, soak=True)
pressure("no-slot-is-lost", "cycles", 10000, memory="64M", swap="64M", soak=True)

# ---- the compressed tier: large enough; and so small that it spills
pressure("compressed", "fill", 80, 1, memory="32M", swap="128M", zswap="50%")
pressure("compressed-and-spilt", "fill", 48, 1, memory="32M", swap="96M", zswap="1%", cpus=1)
pressure("compressed-alone", "fill", 80, 1, memory="32M", swap="0", zswap="50%", cpus=1)
pressure("compressed-alone-refused", "noise", "fill", 10, 2, memory="32M", swap="0", zswap="50%")
pressure("compressed-alone-truth", "alone", memory="32M", swap="0", zswap="25%")
pressure("compressed-alone-thrice", "fill", 300, 3, memory="64M", swap="0", zswap="50%", soak=True)
pressure("compressed-alone-forks", "forks", 100, 4, memory="64M", swap="0", zswap="50%", soak=True)


@test
def compressed_alone_and_full(t):
    """Nothing is below the tier: more than memory, as it compresses; and pages that do not fit into it: then somebody is killed."""
    program = os.path.join(t.dir, "fill")
    t.equal("gcc's output", b"", t.run(["gcc", "-std=gnu17", "-O1", "-Wall", "-static", "-o", program, f"{TESTS}/guest/fill.c"]).err)
    options = ["-m", "16M", "-s", "0", "--zswap", "50%"]
    for mib, percent in (20, 25), (40, 0):
        result = t.quire(program, str(mib), str(percent), options=options)
        t.equal(f"{mib} MiB of which {percent} % is noise: status, stdout, stderr", (0, b"good\n", b""), (result.status, result.out, result.err))
    for mib, percent in (24, 100), (60, 50):
        result = t.command("run", *options, "--", program, str(mib), str(percent))
        t.equal(f"{mib} MiB of which {percent} % is noise: status, stdout", (137, b""), (result.status, result.out))
        t.true(f"one line: {result.err!r}", result.err.startswith(b"quire: out of memory: killed fill") and result.err.count(b"\n") == 1)


pressure("compressed-thrice", "fill", 300, 3, memory="64M", swap="512M", zswap="20%", soak=True)
pressure("compressed-quarters", "quarters", 128, 8, memory="64M", swap="512M", zswap="20%", soak=True)
pressure("compressed-forks", "forks", 100, 4, memory="64M", swap="512M", zswap="20%", soak=True)
pressure("compressed-off", "off", 4, 8, memory="64M", swap="32M,32M", zswap="10%", soak=True)


@test(soak=True)
def a_policy_of_ones_own(t):
    """What docs/policies.md says of it, done: the file, two names, make; and it is in the command and in the kernel."""
    for part in ("Makefile", "kernel", "tool", "docs", "tests"):
        t.run(["cp", "-r", os.path.join(TOP, part), t.dir])
    for name, old in (("policy.h", "policy_lirs, "), ("policy.c", "&policy_lirs, ")):
        with open(f"{t.dir}/kernel/vm/{name}") as file:
            text = file.read()
        t.equal(f"{old} in {name}", 1, text.count(old))
        t.write(f"kernel/vm/{name}", text.replace(old, old + old.replace("lirs", "lifo")))
    with open(f"{t.dir}/docs/policies.md") as file:
        t.write("kernel/vm/policy_lifo.c", re.search(r"```c\n(/\* policy_lifo.c.*?)```", file.read(), re.S).group(1))
    made = t.run(["make", "-j2", "EXTRA=-Werror", "all"], timeout=900)
    t.equal("make", (0, b""), (made.status, made.err))
    here = t.run([f"{t.dir}/quire", "run", *GUEST_OPTIONS, "-m", "32M", "-s", "96M", "--policy", "lifo", "--trace", "trace", "--",
                  "python3", f"{TESTS}/guest/pressure.py", "fill", "36", "1"], timeout=600)
    t.equal("status, stdout, stderr", (0, b"36 MiB verified 1 times\n", b""), (here.status, here.out, here.err))
    t.true("quire sim has a column for it", b" lifo" in t.run([f"{t.dir}/quire", "sim", "trace", "--policy", "all"]).out)
