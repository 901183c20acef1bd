"""pressure.py PART [NUMBER...] - memory that does not fit, seen from a program. Run by tests/programs/swap.py with a swap area; ends with 0
and one line, or says what differs."""
import ctypes, errno, mmap, os, re, select, signal, struct, sys

PAGE = 4096
MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED = 8, 20, 21, 3
libc = ctypes.CDLL(None, use_errno=True)
libc.mremap.restype = ctypes.c_void_p
libc.swapon.argtypes, libc.swapoff.argtypes = [ctypes.c_char_p, ctypes.c_int], [ctypes.c_char_p]


def fail(what, *values):
    print("FAILED:", what, *values, flush=True)
    os._exit(1)


def check(what, expected, actual):
    if expected != actual:
        fail(what, "should be", expected, "and is", actual)


def word(i, salt):
    return ((i * 2654435761 + salt) & 0xFFFFFFFFFFFF).to_bytes(8, "little")


def repeated(i, salt):
    """A page that compresses to nothing."""
    return word(i, salt) * 512


def noise(i, salt):
    """A page that does not compress, and is like no other."""
    at = (i * 613 + salt * 7) % (len(NOISE) - PAGE)
    return NOISE[at:at + PAGE - 8] + word(i, salt)


page = repeated


def fill(area, first, end, salt):
    for i in range(first, end):
        area[i * PAGE:(i + 1) * PAGE] = page(i, salt)


def verify(area, first, end, salt, who="parent"):
    for i in range(first, end):
        if area[i * PAGE:(i + 1) * PAGE] != page(i, salt):
            fail("page", i, "of", who, "holds", area[i * PAGE:i * PAGE + 8].hex(), "and not", word(i, salt).hex())


def anonymous(pages):
    """A mapping of its own: MADV_DONTDUMP keeps it from being joined with what Python maps beside it, here as on Linux."""
    area = mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(16)
    return area


def address(area):
    return ctypes.addressof(ctypes.c_char.from_buffer(area))


def children(count, body):
    """body(k) in `count` processes; all end with 0."""
    for k in range(count):
        if os.fork() == 0:
            body(k)
            os._exit(0)
    for k in range(count):
        check("a child's status", 0, os.wait()[1])


def swap_used():
    """Pages in use, by each way to ask; they must agree, for nobody else runs."""
    lines = open("/proc/swaps").read().split("\n")[1:-1]
    used = sum(int(line.split()[3]) for line in lines)
    info = dict(re.findall(r"(\w+): +(\d+) kB", open("/proc/meminfo").read()))
    check("SwapTotal - SwapFree", used, int(info["SwapTotal"]) - int(info["SwapFree"]))
    check("SwapTotal", int(info["SwapTotal"]), sum(int(line.split()[2]) for line in lines))
    return used // (PAGE // 1024)


def smaps(area):
    text = open("/proc/self/smaps").read()
    at = re.search(rf"^{address(area):x}-.*?(?=^[0-9a-f]+-|\Z)", text, re.M | re.S).group(0)
    return {name: int(kb) // 4 for name, kb in re.findall(r"^(\w+): +(\d+) kB", at, re.M)}


def pagemap(area):
    """For each page: P present, S swapped, a dot: neither."""
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek(address(area) // PAGE * 8)
        words = struct.unpack(f"{len(area) // PAGE}Q", file.read(len(area) // PAGE * 8))
    return "".join("P" if w >> 63 else "S" if w >> 62 & 1 else "." for w in words)


def mincore(area):
    there = ctypes.create_string_buffer(len(area) // PAGE)
    check("mincore", 0, libc.mincore(ctypes.c_void_p(address(area)), ctypes.c_size_t(len(area)), there))
    return [b & 1 for b in there.raw]


def part_noise(*words):
    """Another part, with pages that do not compress."""
    global page, NOISE
    import random
    NOISE, page = random.Random(1).randbytes(1 << 20), noise
    return globals()["part_" + words[0]](*words[1:])


def part_quarters(mib, count):
    """Half is shared by fork and only read; each process rewrites a quarter of all."""
    pages = mib * 256
    area = anonymous(pages)
    fill(area, 0, pages, 1)

    def body(k):
        first = pages // 2 + k % 2 * pages // 4
        fill(area, first, first + pages // 4, 100 + k)
        verify(area, 0, pages // 2, 1, k)
        verify(area, first, first + pages // 4, 100 + k, k)
    children(count, body)
    verify(area, 0, pages, 1)
    return f"{mib} MiB, a quarter of it by each of {count}"


def part_fill(mib, rounds):
    area = bytearray(mib << 20)
    fill(area, 0, mib * 256, 1)
    for _ in range(rounds):
        verify(area, 0, mib * 256, 1)
    return f"{mib} MiB verified {rounds} times"


def numbers(path):
    """The lines of a file that are a name and a number."""
    return {name: int(value) for name, value in re.findall(r"^\s*(\w+) +(\d+)$", open(path).read(), re.M)}


def part_background(mib):
    """Most of what has to go does so before anybody waits for it; the marks follow min_free_kbytes."""
    part_fill(mib, 1)
    seen = numbers("/proc/vmstat")
    if seen["pgsteal_kswapd"] < mib * 64:
        fail("the background freed", seen["pgsteal_kswapd"], "pages, and others", seen["pgsteal_direct"])
    for who in "kswapd", "direct":
        if seen[f"pgscan_{who}"] < seen[f"pgsteal_{who}"]:
            fail(who, "found more than it looked at:", seen)
    check("rounds", True, seen["pageoutrun"] >= seen["kswapd_high_wmark_hit_quickly"] > 0)
    with open("/proc/sys/vm/min_free_kbytes", "w") as file:
        file.write("2000")
    check("min_free_kbytes", "2000\n", open("/proc/sys/vm/min_free_kbytes").read())
    zone = numbers("/proc/zoneinfo")
    check("min", 500, zone["min"])
    check("min < low < high", True, zone["min"] < zone["low"] < zone["high"])
    return "the background keeps memory free"


def stalled(kind):
    """The microseconds of some and full; the lines are Linux's."""
    text = open("/proc/pressure/" + kind).read()
    lines = re.fullmatch("".join(rf"{who} avg10=(\d+\.\d\d) avg60=(\d+\.\d\d) avg300=(\d+\.\d\d) total=(\d+)\n" for who in ("some", "full")), text)
    if not lines:
        fail("the lines of", kind, "are", text)
    figures = lines.groups()
    check("percentages", True, all(0 <= float(share) <= 100 for share in figures[0:3] + figures[4:7]))
    check("some is at least full", True, int(figures[3]) >= int(figures[7]))
    return int(figures[3]), int(figures[7])


def part_stalls(mib):
    """What waits for memory stalls for memory and for I/O, what waits for one CPU for that, and what does neither does not."""
    memory, io, cpu = (stalled(kind) for kind in ("memory", "io", "cpu"))
    check("time lost to memory, before it is short", (0, 0), memory)
    watch, waiting = os.open("/proc/pressure/memory", os.O_RDWR), select.poll()
    os.write(watch, b"some 1000 500000\0")
    waiting.register(watch, select.POLLPRI)
    check("a trigger, before memory is short", [], waiting.poll(600))
    pid = os.fork()
    if pid == 0:
        os._exit(waiting.poll() != [(watch, select.POLLPRI)])
    part_fill(mib, 1)
    check("a trigger, to who waits for it", (pid, 0), os.waitpid(pid, 0))
    check("time lost to memory", True, stalled("memory")[0] > 0)
    check("time lost to I/O", True, stalled("io")[0] > io[0])
    memory, cpu = stalled("memory"), stalled("cpu")

    def spin(k):
        while stalled("cpu")[0] < cpu[0] + 100000:
            for _ in range(10000):
                pass
    children(2, spin)
    check("time lost to the CPU, all of it", 0, stalled("cpu")[1])
    return "stalls are seen"


def part_forks(mib, count):
    """Half is only read, of the other half each process rewrites its part."""
    pages, part = mib * 256, mib * 256 // 2 // count
    area = anonymous(pages)
    fill(area, 0, pages, 1)

    def body(k):
        first = pages // 2 + k * part
        fill(area, first, first + part, 100 + k)
        for _ in range(2):
            verify(area, 0, first, 1, k)
            verify(area, first, first + part, 100 + k, k)
            verify(area, first + part, pages, 1, k)
    children(count, body)
    verify(area, 0, pages, 1)
    return f"{mib} MiB verified by {count}"


def part_same(mib, count):
    """The same addresses with other contents in each process."""
    area = anonymous(mib * 256)

    def body(k):
        for turn in range(2):
            fill(area, 0, mib * 256, 1000 * k + turn)
            verify(area, 0, mib * 256, 1000 * k + turn, k)
    children(count, body)
    check("the parent's", "." * mib * 256, pagemap(area))
    return f"{mib} MiB in each of {count}"


def part_locked(mib):
    locked, other = anonymous(256), anonymous(mib * 256)
    fill(locked, 0, 256, 7)
    check("mlock", 0, libc.mlock(ctypes.c_void_p(address(locked)), ctypes.c_size_t(len(locked))))
    before = open("/proc/self/pagemap", "rb", buffering=0)
    before.seek(address(locked) // PAGE * 8)
    frames = before.read(256 * 8)
    fill(other, 0, mib * 256, 8)
    check("locked pages", "P" * 256, pagemap(locked))
    check("mincore of locked pages", [1] * 256, mincore(locked))
    check("Swap of locked pages", (0, 256), (smaps(locked)["Swap"], smaps(locked)["Locked"]))
    before.seek(address(locked) // PAGE * 8)
    check("the frames", True, frames == before.read(256 * 8))
    if not smaps(other)["Swap"]:
        fail("there was no pressure")
    verify(locked, 0, 256, 7)
    verify(other, 0, mib * 256, 8)
    check("munlock", 0, libc.munlock(ctypes.c_void_p(address(locked)), ctypes.c_size_t(len(locked))))
    locked.madvise(MADV_PAGEOUT)
    check("pages no more locked", "S" * 256, pagemap(locked))
    verify(locked, 0, 256, 7)
    return "locked memory stayed"


def part_truth():
    """What the files say of memory that was sent out, in whole and in part, and came back."""
    pages = 512
    start = swap_used()
    area = anonymous(pages)
    fill(area, 0, pages, 3)
    check("at first", "P" * pages, pagemap(area))
    area.madvise(MADV_PAGEOUT, 0, 200 * PAGE)
    check("pagemap", "S" * 200 + "P" * 312, pagemap(area))
    check("mincore", [0] * 200 + [1] * 312, mincore(area))
    check("smaps", (200, 200, 312), tuple(smaps(area)[name] for name in ("Swap", "SwapPss", "Rss")))
    check("/proc/swaps", start + 200, swap_used())
    status = int(re.search(r"VmSwap:\s+(\d+) kB", open("/proc/self/status").read()).group(1)) // 4
    if not 200 <= status <= 200 + start:
        fail("VmSwap is", status, "pages")
    area.madvise(MADV_WILLNEED, 0, 100 * PAGE)
    there = pagemap(area)  # and a few that were read with the last
    check("after WILLNEED", "P" * 100, there[:100])
    check("not wanted", True, 85 < there.count("S") <= 100)
    verify(area, 0, pages, 3)
    check("read again", "P" * pages, pagemap(area))
    check("what was read keeps its slot", start + 200, swap_used())
    fill(area, 0, 200, 4)
    check("what was written gives it back", start, swap_used())
    area.madvise(MADV_PAGEOUT)
    if os.fork() == 0:
        check("a child's", "S" * pages, pagemap(area))
        verify(area, 0, 10, 4, "child")
        check("SwapPss of the child", True, smaps(area)["SwapPss"] <= pages)
        os._exit(0)
    check("the child's status", 0, os.wait()[1])
    check("one slot for both", start + pages, swap_used())
    area.madvise(4, 0, 100 * PAGE)  # DONTNEED
    check("discarded", start + pages - 100, swap_used())
    verify(area, 200, pages, 3)
    area.close()
    check("at the end", start, swap_used())
    return "all agree"


def shared_areas(pages):
    """One of each kind of memory that several see, with what to do at its end."""
    path, memfd = "/tmp/pressure-file", os.memfd_create("pressure")
    key = libc.shmget(0, ctypes.c_size_t(pages * PAGE), 0o600)
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmat(key, None, 0)
    libc.shmctl(key, 0, None)  # IPC_RMID: gone with its last user
    files = [os.open(path, os.O_RDWR | os.O_CREAT), os.open("/dev/shm/pressure", os.O_RDWR | os.O_CREAT), memfd]
    areas = [mmap.mmap(-1, pages * PAGE)]
    for fd in files:
        os.ftruncate(fd, pages * PAGE)
        areas.append(mmap.mmap(fd, pages * PAGE))
    areas.append((ctypes.c_char * (pages * PAGE)).from_address(segment))
    os.unlink(path)
    os.unlink("/dev/shm/pressure")
    return areas, files


def part_shared(mib, count):
    """Shared memory, a memfd, tmpfs, the overlay, a SysV segment: more than memory together; written by all, seen by all."""
    pages = mib * 256
    areas, files = shared_areas(pages)
    for n, area in enumerate(areas):
        fill(area, 0, pages, n)

    def body(k):
        for n, area in enumerate(areas):
            verify(area, k, pages // 2, n, k)
            part = pages // 2 // count
            fill(area, pages // 2 + k * part, pages // 2 + (k + 1) * part, 100 + n)
    children(count, body)
    for n, area in enumerate(areas):
        verify(area, 0, pages // 2, n)
        verify(area, pages // 2, pages // 2 + pages // 2 // count * count, 100 + n)
    for n, fd in enumerate(files):
        for i in range(0, pages // 2, 7):
            check(f"file {n}, page {i}", word(i, n + 1) * 512, os.pread(fd, PAGE, i * PAGE))
    return f"five kinds of {mib} MiB by {count}"


def part_shared_truth():
    """What the files say of shared memory that was sent out, and of a segment that is locked."""
    pages, start = 256, swap_used()
    area = mmap.mmap(-1, pages * PAGE)
    fill(area, 0, pages, 1)
    resident = int(re.search(r"Shmem: +(\d+) kB", open("/proc/meminfo").read()).group(1)) // 4
    area.madvise(MADV_PAGEOUT, 0, 100 * PAGE)
    now = int(re.search(r"Shmem: +(\d+) kB", open("/proc/meminfo").read()).group(1)) // 4
    check("Shmem", resident - 100, now)
    check("/proc/swaps", start + 100, swap_used())
    check("mincore", [0] * 100 + [1] * 156, mincore(area))
    check("pagemap", "." * 100 + "P" * 156, pagemap(area))  # as Linux 6.1: the entry is empty
    check("smaps", (100, 0, 156), tuple(smaps(area)[name] for name in ("Swap", "SwapPss", "Rss")))
    verify(area, 0, pages, 1)
    check("read again", "P" * pages, pagemap(area))
    fill(area, 0, pages, 2)
    check("what was written gives its slot back", start, swap_used())
    fd = os.memfd_create("truth")
    os.ftruncate(fd, pages * PAGE)
    os.pwrite(fd, b"x" * pages * PAGE, 0)
    there = mmap.mmap(fd, pages * PAGE)
    there[:1], there[5 * PAGE:5 * PAGE + 1] = b"y", b"z"
    sum(there[i * PAGE] for i in range(pages))
    there.madvise(MADV_PAGEOUT)
    check("blocks", pages * 8, os.fstat(fd).st_blocks)
    check("all out", start + pages, swap_used())
    check("read(2)", b"yxx", os.pread(fd, 3, 0))
    check("data", 7 * PAGE, os.lseek(fd, 7 * PAGE, os.SEEK_DATA))
    os.ftruncate(fd, 20 * PAGE + 5)
    check("cut", b"xxxxx", os.pread(fd, 100, 20 * PAGE))
    os.ftruncate(fd, 30 * PAGE)
    check("zeroes behind the cut", b"x" * 5 + bytes(95), os.pread(fd, 100, 20 * PAGE))
    check("its pages", b"z", os.pread(fd, 1, 5 * PAGE))
    there.close()
    os.close(fd)
    check("at the end of the memfd", start, swap_used())
    key = libc.shmget(0, ctypes.c_size_t(64 * PAGE), 0o600)
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmat(key, None, 0)
    held = (ctypes.c_char * (64 * PAGE)).from_address(segment)
    fill(held, 0, 64, 3)
    check("SHM_LOCK", 0, libc.shmctl(key, 11, None))
    libc.madvise(ctypes.c_void_p(segment), ctypes.c_size_t(64 * PAGE), MADV_PAGEOUT)
    check("locked", start, swap_used())
    check("SHM_UNLOCK", 0, libc.shmctl(key, 12, None))
    libc.madvise(ctypes.c_void_p(segment), ctypes.c_size_t(64 * PAGE), MADV_PAGEOUT)
    check("unlocked", start + 64, swap_used())
    line = [line.split() for line in open("/proc/sysvipc/shm") if line.split()[1] == str(key)][0]
    check("rss and swap of the segment", ("0", str(64 * PAGE)), tuple(line[-2:]))
    verify(held, 0, 64, 3)
    libc.shmctl(key, 0, None)
    return "shared memory agrees"


def swaps():
    """Name, size in pages, used, priority of each area."""
    lines = [line.split() for line in open("/proc/swaps")][1:]
    return [(name, int(size) // 4, int(used) // 4, int(priority)) for name, kind, size, used, priority in lines]


def tool(*words, status=0):
    import subprocess
    done = subprocess.run(words, capture_output=True, text=True)
    check(f"status of {words}, which said {done.stderr!r}", status, done.returncode)
    return done.stdout + done.stderr


def swapon(path, flags=0):
    return ctypes.get_errno() if libc.swapon(path.encode(), flags) else 0


def swapoff(path):
    return ctypes.get_errno() if libc.swapoff(path.encode()) else 0


def part_tools():
    """Debian's mkswap, swapon and swapoff, on two areas; what swapon(2) refuses, as Linux 6.1 does."""
    check("at first", [("/dev/vda", 4095, 0, -2), ("/dev/vdb", 8191, 0, -3)], swaps())
    tool("/sbin/swapoff", "/dev/vdb")
    check("one is off", [("/dev/vda", 4095, 0, -2)], swaps())
    tool("/sbin/mkswap", "-L", "second", "-U", "01234567-89ab-4def-8123-456789abcdef", "/dev/vdb")
    shown = tool("/sbin/blkid", "-p", "-o", "export", "/dev/vdb")
    check("blkid", True, "LABEL=second" in shown and "UUID=01234567-89ab-4def-8123-456789abcdef" in shown)
    tool("/sbin/swapon", "-p", "7", "--discard=once", "/dev/vdb")
    check("on again", [("/dev/vda", 4095, 0, -2), ("/dev/vdb", 8191, 0, 7)], swaps())
    check("--show", ["/dev/vda", "/dev/vdb"], tool("/sbin/swapon", "--show=NAME", "--noheadings").split())
    check("-s", 3, len(tool("/sbin/swapon", "-s").strip().split("\n")))
    tool("/sbin/mkswap", "/dev/vdb", status=1)  # in use
    E = os.strerror
    import errno
    open("/dev/shm/file", "wb").write(bytes(1 << 20))
    tool("/sbin/mkswap", "/dev/shm/file")
    for path, flags, expected in (("/dev/vdb", 0, errno.EBUSY), ("/none", 0, errno.ENOENT), ("/dev/null", 0, errno.EINVAL),
                                  ("/tmp", 0, errno.EISDIR), ("/dev/shm/file", 0, errno.EINVAL), ("/dev/vdb", 1 << 20, errno.EINVAL)):
        check(f"swapon {path} {flags}", E(expected), E(swapon(path, flags)))
    for path, expected in (("/none", errno.ENOENT), ("/dev/null", errno.EINVAL), ("/dev/shm/file", errno.EINVAL)):
        check(f"swapoff {path}", E(expected), E(swapoff(path)))
    tool("/sbin/swapoff", "/dev/vdb")
    check("swapoff twice", E(errno.EINVAL), E(swapoff("/dev/vdb")))
    header = bytearray(open("/dev/vdb", "rb").read(PAGE))

    def with_word(offset, value):
        changed = bytearray(header)
        struct.pack_into("I", changed, offset, value)
        with open("/dev/vdb", "r+b", buffering=0) as disk:
            disk.write(changed)
        return swapon("/dev/vdb")
    check("another version", E(errno.EINVAL), E(with_word(1024, 2)))
    check("longer than the disk", E(errno.EINVAL), E(with_word(1028, 8192)))
    check("empty", E(errno.EINVAL), E(with_word(1028, 0)))
    check("no signature", E(errno.EINVAL), E(with_word(PAGE - 10, 0)))
    struct.pack_into("III", header, 1028, 999, 2, 0)
    struct.pack_into("II", header, 1536, 5, 77)
    check("two bad pages of 999", 0, with_word(1032, 2))
    check("are not used", ("/dev/vdb", 997, 0, -4), swaps()[1])
    check("SwapTotal", 4095 + 997, int(re.search(r"SwapTotal: +(\d+) kB", open("/proc/meminfo").read()).group(1)) // 4)
    if os.fork() == 0:
        os.setuid(65534)
        check("not root", (E(errno.EPERM),) * 2, (E(swapon("/dev/vdb")), E(swapoff("/dev/vdb"))))
        os._exit(0)
    check("the child's status", 0, os.wait()[1])
    return "mkswap, swapon, swapoff"


def major_readings():
    import resource
    return {"getrusage": resource.getrusage(resource.RUSAGE_SELF).ru_majflt,
            "/proc/self/stat": int(open("/proc/self/stat").read().rsplit(")")[1].split()[9]),
            "/proc/self/task/self/stat": int(open("/proc/thread-self/stat").read().rsplit(")")[1].split()[9]),
            "RUSAGE_THREAD": resource.getrusage(resource.RUSAGE_THREAD).ru_majflt}


def major_faults():
    """Of this process, by each way to ask: the second time, for the first may itself read pages of python's, one between two answers."""
    major_readings()
    readings = major_readings()
    faults = readings["getrusage"]
    for way, said in readings.items():
        check(way, faults, said)
    return faults


def part_majors():
    """A fault that waited for a page to be read is a major one, and no other is."""
    area, common = anonymous(64), mmap.mmap(-1, 64 * PAGE)

    def read_again(which, cluster):
        with open("/proc/sys/vm/page-cluster", "w") as file:
            file.write(str(cluster))
        which.madvise(MADV_PAGEOUT)
        before, all_before = major_faults(), numbers("/proc/vmstat")["pgmajfault"]
        verify(which, 0, 64, 1)
        faults, all_faults = major_faults() - before, numbers("/proc/vmstat")["pgmajfault"] - all_before
        check("pgmajfault", faults, all_faults)
        return faults
    for which in area, common:
        before = major_faults()
        fill(which, 0, 64, 1)
        check("new pages", before, major_faults())
        read_again(which, 0)
        check("one by one", 64, read_again(which, 0))
        faults = read_again(which, 3)
        check(f"eight together at last: {faults}", True, 8 <= faults <= 12)
    before = major_faults()
    area.madvise(MADV_PAGEOUT)
    child = os.fork()
    if not child:
        check("a child begins with", 0, major_faults())
        verify(area, 0, 1, 1, "child")
        check("and has then", 1, major_faults())
        os._exit(0)
    check("the child's status", 0, os.wait()[1])
    check("are the child's", before, major_faults())
    import resource
    check("of children", True, resource.getrusage(resource.RUSAGE_CHILDREN).ru_majflt >= 1)
    return "major faults"


def part_alone():
    """The compressed tier's own area: it is listed, is filled, and goes, with what it holds, when the tier is given no memory."""
    limit = "/proc/sys/vm/zswap_max_pool_percent"
    total = 8192 * 25 // 100 * 16
    check("at first", [("zswap", total, 0, -2)], swaps())
    check("-s", 2, len(tool("/sbin/swapon", "-s").strip().split("\n")))
    area, common = anonymous(512), mmap.mmap(-1, 512 * PAGE)
    fill(area, 0, 512, 1)
    fill(common, 0, 512, 2)
    area.madvise(MADV_PAGEOUT)
    common.madvise(MADV_PAGEOUT)
    check("all out", "S" * 512, pagemap(area))
    check("in use", 1024, swap_used())
    check("Zswapped", 1024, int(re.search(r"Zswapped: +(\d+) kB", open("/proc/meminfo").read()).group(1)) // 4)
    open(limit, "w").write("0")
    check("no area", [], swaps())
    check("all in", "P" * 512, "".join("P" if mincore(area)[i] else "." for i in range(512)))
    verify(area, 0, 512, 1)
    verify(common, 0, 512, 2)
    area.madvise(MADV_PAGEOUT)
    check("nowhere to go", 512, sum(mincore(area)))
    open(limit, "w").write("25")
    check("again", [("zswap", total, 0, -3)], swaps())
    area.madvise(MADV_PAGEOUT)
    check("in use again", 512, swap_used())
    open(limit, "w").write("10")
    check("its size stays", [("zswap", total, 512, -3)], swaps())
    verify(area, 0, 512, 1)
    return "the tier's own area"


def part_discard(pages):
    """Freed slots are discarded where swapon was asked for it: the host's file gets small again."""
    def discarded():
        return numbers("/proc/vmstat")["quire_swap_discarded"]

    def use():
        area = anonymous(pages)
        fill(area, 0, pages, 1)
        area.madvise(MADV_PAGEOUT)
        check("most are out", True, swap_used() > pages - 512)
        area.close()
    use()
    check("nobody asked", 0, discarded())
    for flags, some in (0x30000, False), (0x10000, True), (0x50000, True):
        check("swapoff", 0, swapoff("/dev/vda"))
        check(f"swapon {flags:#x}", 0, swapon("/dev/vda", flags))
        before = discarded()
        use()
        while some and discarded() - before < pages - 3 * 2048:
            os.sched_yield()
        check("discarded", some, discarded() > before)
    return "freed slots are discarded"


def part_off(mib, count):
    """swapoff while `count` processes fork, exit and write: nothing is lost, again and again."""
    pages = mib * 256
    area, common = anonymous(pages), mmap.mmap(-1, pages * PAGE)
    fill(area, 0, pages, 1)
    fill(common, 0, pages, 2)
    area.madvise(MADV_PAGEOUT)
    common.madvise(MADV_PAGEOUT)
    go, stop = os.pipe()

    def body(k):
        part, n = pages // count, 0
        fill(area, k * part, (k + 1) * part, 100 + k)
        while n < 6:
            n += 1
            area.madvise(MADV_PAGEOUT)
            if os.fork() == 0:
                verify(area, k * part, (k + 1) * part, 100 + k, k)
                fill(area, 0, 5, n)
                os._exit(0)
            verify(common, k, pages, 2, k)
            check("a grandchild's status", 0, os.wait()[1])
        verify(area, k * part, (k + 1) * part, 100 + k, k)
    for k in range(count):
        if os.fork() == 0:
            body(k)
            os._exit(0)
    for n in range(6):
        check(f"swapoff {n}", 0, swapoff("/dev/vdb"))
        check(f"swapon {n}", 0, swapon("/dev/vdb", 0x8000 | 9))
    for k in range(count):
        check("a child's status", 0, os.wait()[1])
    verify(area, 0, pages, 1)
    verify(common, 0, pages, 2)
    return f"{n + 1} times off and on"


def part_off_full(mib):
    """What does not fit into memory stays where it is."""
    import errno
    area = anonymous(mib * 256)
    fill(area, 0, mib * 256, 1)
    before = [s[::3] for s in swaps()]
    check("swapoff", os.strerror(errno.ENOMEM), os.strerror(swapoff("/dev/vda")))
    check("the areas", before, [s[::3] for s in swaps()])
    verify(area, 0, mib * 256, 1)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, lambda *any: None)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        os._exit(swapoff("/dev/vda"))
    check("interrupted, or out of memory before that", True, os.wait()[1] >> 8 in (errno.EINTR, errno.ENOMEM))
    verify(area, 0, mib * 256, 1)
    area.close()
    check("swapoff with room", 0, swapoff("/dev/vda"))
    check("no area", [], swaps())
    return "nothing lost"


def part_unwritable(pages, flag):
    """While the file `flag` exists, writes of the area fail."""
    area = anonymous(pages)
    fill(area, 0, pages, 1)
    open(flag, "w").close()
    area.madvise(MADV_PAGEOUT)
    verify(area, 0, pages, 1)
    fill(area, 0, pages, 2)
    os.unlink(flag)
    area.madvise(MADV_PAGEOUT)
    check("all out", "S" * pages, pagemap(area))
    verify(area, 0, pages, 2)
    return "pages that cannot be written stay"


def part_bad_read(pages):
    """One page of the area cannot be read: one of the processes, which have 16 pages each to look at, needs it."""
    area = anonymous(pages)
    fill(area, 0, pages, 1)
    area.madvise(MADV_PAGEOUT)
    check("all out", "S" * pages, pagemap(area))
    statuses = []
    for first in range(0, pages, 16):
        if os.fork() == 0:
            verify(area, first, first + 16, 1, "child")
            os._exit(0)
        statuses.append(os.wait()[1])
    check("those killed by SIGBUS", [0] * 5 + [signal.SIGBUS] + [0] * (pages // 16 - 6), statuses)
    for first, end in (0, 88), (89, pages):
        verify(area, first, end, 1)
    return "one is killed"


def part_bad_tail(pages):
    """A page that cannot be read is where a file in memory is to be cut: an error, and nothing has changed."""
    fd = os.memfd_create("memory")
    for i in range(pages):
        os.write(fd, word(i, 1) * 512)
    with mmap.mmap(fd, pages * PAGE) as area:
        check("contents", [word(i, 1)[0] for i in range(pages)], [area[i * PAGE] for i in range(pages)])
        area.madvise(MADV_PAGEOUT)
        check("pages out", pages, swap_used())
    for size, error in (88 * PAGE + 8, errno.EIO), (100 * PAGE + 8, 0), (88 * PAGE, 0):
        try:
            os.ftruncate(fd, size)
            check("the outcome", error, 0)
        except OSError as e:
            check("the error", error, e.errno)
            check("the size", pages * PAGE, os.fstat(fd).st_size)
    check("the end", word(87, 1), os.pread(fd, 16, 88 * PAGE - 8))
    return "cut where it can be"


def part_bad_write(pages):
    """One page of the area cannot be written: what was to be written with it stays, and goes elsewhere when it has changed."""
    area = anonymous(pages)
    fill(area, 0, pages, 1)
    area.madvise(MADV_PAGEOUT)
    verify(area, 0, pages, 1)
    fill(area, 0, pages, 2)
    area.madvise(MADV_PAGEOUT)
    check("all out", "S" * pages, pagemap(area))
    verify(area, 0, pages, 2)
    return "nothing is lost"


def part_cycles(count):
    """Nothing leaves a slot behind: /proc/swaps after each of `count` rounds as before the first."""
    pages, start = 64, swap_used()
    for n in range(count):
        area = anonymous(pages)
        fill(area, 0, pages, n)
        area.madvise(MADV_PAGEOUT)
        if n % 4 == 0:
            def body(k):
                verify(area, 0, pages // 2, n, k)
                fill(area, 10, 20, k)
                area.madvise(MADV_PAGEOUT)
                if k:
                    os.kill(os.getpid(), signal.SIGKILL) if n % 8 else area.close()
            for k in range(2):
                if os.fork() == 0:
                    body(k)
                    os._exit(0)
            for k in range(2):
                os.wait()
        elif n % 4 == 1:
            old, new = address(area), address(area) + (64 << 20)
            check("mremap", new, libc.mremap(ctypes.c_void_p(old), ctypes.c_size_t(pages * PAGE), ctypes.c_size_t(pages * PAGE), 3, ctypes.c_void_p(new)))
            check("the moved page", word(9, n), ctypes.string_at(new + 9 * PAGE, 8))
            check("mremap back", old, libc.mremap(ctypes.c_void_p(new), ctypes.c_size_t(pages * PAGE), ctypes.c_size_t(pages * PAGE), 3, ctypes.c_void_p(old)))
            verify(area, 0, pages, n)
        elif n % 4 == 2:
            area.madvise(MADV_FREE, 0, 40 * PAGE)
            verify(area, 40, pages, n)
        else:
            verify(area, 0, 20, n)
            fill(area, 5, 15, n + 1)
        area.close()
        check(f"round {n}: slots", start, swap_used())
    return f"{count} rounds"


def fail_io(n):
    with open("/proc/thread-self/fail-io-nth", "r+b", buffering=0) as file:
        file.write(str(n).encode())


def io_left():
    return int(open("/proc/thread-self/fail-io-nth").read())


def part_failing(pages):
    """Each read of the swap area in a child, then each write, fails once: a signal for who needs the page, nothing else; and none
    if it was read with others, for it is read alone then."""
    area = anonymous(pages)
    fill(area, 0, pages, 0)
    reads = {}
    for cluster in 0, 3:
        open("/proc/sys/vm/page-cluster", "w").write(str(cluster))
        reads[cluster], signals = failing_reads(area, pages)
        spared = reads[cluster] - signals
        check(f"{signals} signals, of {reads[cluster]} reads that failed", True, spared >= 3 if cluster else not spared and signals >= pages)
    n, came = 0, True
    while came:
        n += 1
        fill(area, 0, pages, n)
        fail_io(n)
        area.madvise(MADV_PAGEOUT)
        came = io_left() == 0
        fail_io(0)
        verify(area, 0, pages, n)
    if n < 2:
        fail(n, "writes")
    return f"{reads} reads, {n - 1} writes"


def failing_reads(area, pages):
    n, signals, came = 0, 0, True
    while came:
        n += 1
        area.madvise(MADV_PAGEOUT)
        check("all out", "S" * pages, pagemap(area))
        child = os.fork()
        if not child:
            fail_io(n)
            verify(area, 0, pages, 0, "child")
            os._exit(3 if io_left() else 0)
        status = os.wait()[1]
        came = status != 3 << 8
        if status not in (0, signal.SIGBUS, 3 << 8):
            fail("the child's status is", status)
        signals += status == signal.SIGBUS
        verify(area, 0, pages, 0)
    return n - 1, signals


def part_terabyte():
    """Advice about a terabyte takes no memory that grows with it (gVisor #13527)."""
    def slabs():
        info = dict(re.findall(r"(\w+): +(\d+) kB", open("/proc/meminfo").read()))
        return int(info["MemFree"])
    size = 1 << 40
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)  # MAP_NORESERVE
    at = ctypes.c_void_p(address(area))
    area[size // 2] = 5
    there = ctypes.create_string_buffer(1 << 18)
    free = slabs()
    for advice in (4, MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, 1, 0):
        check(f"madvise {advice}", 0, libc.madvise(at, ctypes.c_size_t(size), advice))
    check("mincore", 0, libc.mincore(at, ctypes.c_size_t(1 << 30), there))
    check("mlock2", 0, libc.mlock2(at, ctypes.c_size_t(size), 1))
    check("munlock", 0, libc.munlock(at, ctypes.c_size_t(size)))
    if free - slabs() > 512:
        fail("kB of memory gone:", free - slabs())
    return "a terabyte advised"


print(globals()["part_" + sys.argv[1]](*(int(word) if word.isdigit() else word for word in sys.argv[2:])))
