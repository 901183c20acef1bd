"""mixes.py - every field of /proc that counts pages, against what was made: small, large, untouched, swapped, shared, copied, locked pages of one
process and its child. Run by tests/programs/proc.py with a swap area; each figure is exact."""
import ctypes, mmap, os, re, struct

PAGE, KB = 4096, 4
LARGE = 512
libc = ctypes.CDLL(None, use_errno=True)


def fail(*what):
    print("FAILED:", *what, flush=True)
    os._exit(1)


def check(what, expected, actual):
    if expected != actual:
        fail(what, "should be", expected, "and is", actual)


def address(area):
    return ctypes.addressof(ctypes.c_char.from_buffer(area))


def call(name, area, first, end, *more):
    if getattr(libc, name)(ctypes.c_void_p(address(area) + first * PAGE), ctypes.c_size_t((end - first) * PAGE), *more):
        fail(name, os.strerror(ctypes.get_errno()))


def anonymous(pages, flags=mmap.MAP_PRIVATE):
    area = mmap.mmap(-1, pages * PAGE, flags=flags | mmap.MAP_ANONYMOUS)
    area.madvise(16)  # DONTDUMP: a mapping of its own
    return area


def fields(path, start=None):
    """{name: pages} of a file of "Name: n kB" lines; of smaps, of the mapping that starts there."""
    text = open(path).read()
    if start is not None:
        text = re.search(rf"^{start:x}-.*?(?=^[0-9a-f]+-|\Z)", text, re.M | re.S).group(0)
    return {name: int(kb) // KB for name, kb in re.findall(r"^(\w+(?:\(\w+\))?):\s+(\d+) kB", text, re.M)}


def words(path, first, count):
    with open(path, "rb", buffering=0) as file:
        file.seek(first * 8)
        return struct.unpack(f"{count}Q", file.read(count * 8))


def pagemap(area):
    return words("/proc/self/pagemap", address(area) // PAGE, len(area) // PAGE)


def shape(area):
    return "".join("P" if w >> 63 else "S" if w >> 62 & 1 else "." for w in pagemap(area))


def counts(area):
    return [words("/proc/kpagecount", w & (1 << 55) - 1, 1)[0] if w >> 63 else None for w in pagemap(area)]


def flags(area, page):
    return words("/proc/kpageflags", pagemap(area)[page] & (1 << 55) - 1, 1)[0]


def smaps(area, **expected):
    there = fields("/proc/self/smaps", address(area))
    check(f"smaps: {sorted(expected)}", expected, {name: there[name] for name in expected})


def write(area, first, end, value=1):
    for page in range(first, end):
        area[page * PAGE] = value


def in_child(body):
    child = os.fork()
    if not child:
        body()
        os._exit(0)
    check("a child's status", 0, os.waitpid(child, 0)[1])


def small():
    area = anonymous(16)
    write(area, 0, 4)
    sum(area[page * PAGE] for page in range(4, 8))  # the zero page
    smaps(area, Size=16, Rss=4, Pss=4, Private_Dirty=4, Shared_Dirty=0, Anonymous=4, Swap=0, Locked=0)
    check("zero pages", ["P" * 8 + "." * 8, [1] * 4], [shape(area), counts(area)[:4]])
    check("flags", (True, True), (bool(flags(area, 0) >> 12 & 1), bool(flags(area, 5) >> 24 & 1)))  # ANON, ZERO_PAGE
    area.madvise(21, 0, 2 * PAGE)  # PAGEOUT
    check("two out", "SS" + "P" * 6 + "." * 8, shape(area))
    smaps(area, Rss=2, Pss=2, Anonymous=2, Swap=2, SwapPss=2, Private_Dirty=2)

    def child():
        check("a child sees the same", "SS" + "P" * 6 + "." * 8, shape(area))
        smaps(area, Rss=2, Pss=1, Shared_Dirty=2, Private_Dirty=0, Swap=2, SwapPss=1)
        check("mapped twice", [2, 2], counts(area)[2:4])
        write(area, 2, 3)
        smaps(area, Rss=2, Shared_Dirty=1, Private_Dirty=1, Swap=2)
        check("one copied", [1, 2], counts(area)[2:4])
        write(area, 0, 1)
        check("back", "P", shape(area)[:1])
        sum(area[page * PAGE] for page in range(2))
        check("both back", "PP", shape(area)[:2])
        smaps(area, Rss=4, Swap=0)
    in_child(child)
    smaps(area, Rss=2, Pss=2, Private_Dirty=2, Shared_Dirty=0, Swap=2, SwapPss=2)


def large():
    area = anonymous(3 * LARGE)
    first = -address(area) // PAGE % LARGE
    area.madvise(14)  # HUGEPAGE
    write(area, first, first + 1)
    smaps(area, Rss=LARGE, AnonHugePages=LARGE, Anonymous=LARGE, Private_Dirty=LARGE)
    write(area, first + LARGE, first + LARGE + 1)
    before = fields("/proc/meminfo")["AnonHugePages"]
    smaps(area, Rss=2 * LARGE, AnonHugePages=2 * LARGE)
    area.madvise(4, (first + 10) * PAGE, 10 * PAGE)  # DONTNEED
    smaps(area, Rss=2 * LARGE - 10, AnonHugePages=LARGE)
    check("AnonHugePages", before - LARGE, fields("/proc/meminfo")["AnonHugePages"])
    area.madvise(21, first * PAGE, LARGE * PAGE)
    smaps(area, Rss=LARGE, AnonHugePages=LARGE, Swap=LARGE - 10)
    in_child(lambda: (smaps(area, Rss=LARGE, Shared_Dirty=LARGE, AnonHugePages=LARGE, Swap=LARGE - 10),
                      check("seen twice", [2], counts(area)[first + LARGE:first + LARGE + 1])))
    area.close()


def shared_and_locked():
    area, own = anonymous(32, mmap.MAP_SHARED), anonymous(8)
    write(area, 0, 32)
    write(own, 0, 8)
    before = fields("/proc/meminfo")["Mlocked"]
    call("mlock", area, 0, 16)
    check("Mlocked", before + 16, fields("/proc/meminfo")["Mlocked"])
    status = fields("/proc/self/status")
    check("VmLck", 16, status["VmLck"])
    smaps(area, Size=16, Rss=16, Locked=16)

    def child():
        check("a child has no locks", 0, fields("/proc/self/status")["VmLck"])
        sum(area[page * PAGE] for page in range(32))
        call("mlock", area, 8, 24)
        call("mlock", own, 0, 4)
        check("Mlocked of both, the common ones twice", before + 16 + 16 + 4, fields("/proc/meminfo")["Mlocked"])
        check("mapped twice", [2] * 32, counts(area))
        check("copies", [1] * 4 + [2] * 4, counts(own))
    in_child(child)
    check("Mlocked after the child", before + 16, fields("/proc/meminfo")["Mlocked"])
    call("munlock", area, 0, 32)
    check("Mlocked at the end", before, fields("/proc/meminfo")["Mlocked"])
    shmem = fields("/proc/meminfo")["Shmem"]
    area.madvise(21, 0, 8 * PAGE)
    check("Shmem", shmem - 8, fields("/proc/meminfo")["Shmem"])
    smaps(area, Rss=24, Swap=8, SwapPss=0)


def totals():
    """A process's figures are the sums over its mappings."""
    text = open("/proc/self/smaps").read()
    sums = {name: sum(map(int, re.findall(rf"^{name}: +(\d+) kB", text, re.M))) // KB for name in ("Size", "Rss", "Swap", "Anonymous")}
    rollup, status, statm = fields("/proc/self/smaps_rollup"), fields("/proc/self/status"), list(map(int, open("/proc/self/statm").read().split()))
    vsyscall = 1 if "[vsyscall]" in text else 0
    check("VmSize", sums["Size"] - vsyscall, status["VmSize"])
    check("statm", (status["VmSize"], status["VmRSS"], status["RssFile"] + status["RssShmem"]), tuple(statm[:3]))
    check("VmRSS", status["RssAnon"] + status["RssFile"] + status["RssShmem"], status["VmRSS"])
    for name, other in (("Swap", "VmSwap"), ("Anonymous", "RssAnon")):
        if abs(sums[name] - status[other]) > 4:  # reading makes and touches pages of its own
            fail(name, sums[name], other, status[other])
    if abs(rollup["Rss"] - sums["Rss"]) > 8:
        fail("Rss of the rollup", rollup["Rss"], sums["Rss"])
    vmstat = dict(line.split() for line in open("/proc/vmstat"))
    meminfo = fields("/proc/meminfo")
    for name, other in (("nr_mlock", "Mlocked"), ("nr_shmem", "Shmem"), ("nr_anon_pages", "AnonPages")):
        if abs(int(vmstat[name]) - meminfo[other]) > 8:
            fail(name, vmstat[name], other, meminfo[other])


small()
large()
shared_and_locked()
totals()
print("all fields agree")
