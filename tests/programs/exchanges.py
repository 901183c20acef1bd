"""What programs cost in exchanges with the host's file server, as QEMU traces them: what is warm costs none."""
import re

from harness import *


def exchanges(trace, mark):
    """The requests between the marks `mark`-begin and `mark`-end (targets of symbolic links that the program read), by type. Reading the
    second mark's own link is left out: it is the last walk, attributes and readlink."""
    counts, on = [], False
    with open(trace, errors="replace") as lines:
        for line in lines:
            request = re.match(r"v9fs_(\w+) tag", line)
            if request and on and not request.group(1).endswith("_return"):
                counts.append(request.group(1))
            if f"{mark}-begin" in line:
                on = True
            if f"{mark}-end" in line:
                break
    assert on, f"the trace has no {mark}-begin"
    return [kind for kind in counts if kind != "rerror"][:-3]


def traced(t, script):
    """Runs the script, whose words `MARK name` are marks. Returns the trace's name."""
    trace, marks = os.path.join(t.dir, "trace"), os.path.join(t.dir, ".marks")  # ls and find read no links there
    os.makedirs(marks, exist_ok=True)

    def mark(match):
        name = match.group(1)
        os.symlink(name, os.path.join(marks, name))
        return f"readlink {marks}/{name} >&2"
    script = re.sub(r"MARK ([\w-]+)", mark, script)
    more = [word for arg in ("-trace", "v9fs_*", "-D", trace) for word in ("--qemu-arg", arg)]
    result = t.quire("sh", "-c", script, options=("-q", *more))
    t.equal("status", 0, result.status)
    return trace


@test
def warm_names_and_files(t):
    for directory in ("a", "b", "b/c"):
        os.mkdir(os.path.join(t.dir, directory))
        for n in range(20):
            t.write(f"{directory}/{n}", f"{directory} {n}\n")
    work = "ls -lR . >/dev/null; cat a/* b/c/* >/dev/null; ls a/none 2>/dev/null; find . -name 7 >/dev/null; "
    trace = traced(t, work + "MARK warm-begin; " + work + "MARK warm-end")
    t.equal("exchanges", [], exchanges(trace, "warm"))


@test
def warm_python(t):
    work = "/usr/bin/python3 -c 'import json'; "
    trace = traced(t, work + "MARK warm-begin; " + work + "MARK warm-end")
    t.equal("exchanges", [], exchanges(trace, "warm"))


@test
def what_is_read_in_order_comes_in_pieces_that_grow(t):
    """8 MiB, read or mapped: at most 480 KiB at a time, after 128, 256: 19 exchanges, and one that finds the end."""
    t.write("big", "0123456789abcdef" * (1 << 19))
    touch = "import mmap; f = open('big', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=1); print(sum(m[i] for i in range(0, len(m), 4096)))"
    t.write("touch.py", touch)
    for name, work in ("read", "cat big >/dev/null"), ("map", "/usr/bin/python3 touch.py"):
        trace = traced(t, f"cat touch.py >/dev/null; /usr/bin/python3 -c 'import mmap'; MARK {name}-begin; {work}; MARK {name}-end")
        reads = exchanges(trace, name).count("read")
        t.true(f"{name}: {reads} reads", 17 < reads < 24)


@test
def advice_about_files(t):
    """What posix_fadvise and drop_caches do is seen by mincore."""
    t.write("big", "0123456789abcdef" * (1 << 18))
    script = """
import ctypes, mmap, os
libc = ctypes.CDLL(None)
fd = os.open("big", os.O_RDONLY); pages = 1024
m = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE)
at = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m)))
def cached():
    row = (ctypes.c_ubyte * pages)()
    assert libc.mincore(at, ctypes.c_size_t(pages * 4096), row) == 0
    return sum(b & 1 for b in row)
def advise(what, first=0, count=0): os.posix_fadvise(fd, first * 4096, count * 4096, what)
def drop(what): open("/proc/sys/vm/drop_caches", "w").write(what)
def read(page): os.pread(fd, 1, page * 4096); return cached()
seen = []
advise(os.POSIX_FADV_RANDOM); seen += [read(0), read(1), read(500)]
advise(os.POSIX_FADV_DONTNEED, 1, 1); seen += [cached()]
advise(os.POSIX_FADV_DONTNEED); seen += [cached()]
advise(os.POSIX_FADV_NORMAL); seen += [read(0), read(32)]
drop("1"); seen += [cached()]
advise(os.POSIX_FADV_SEQUENTIAL); seen += [read(100), read(164)]
drop("3"); seen += [cached()]
advise(os.POSIX_FADV_WILLNEED, 10, 300); seen += [cached()]
libc.readahead(fd, ctypes.c_longlong(700 * 4096), ctypes.c_size_t(10 * 4096)); seen += [cached()]
print(seen)
"""
    result = t.quire("/usr/bin/python3", "-c", script, options=["-m", "128M"])
    t.equal("status, stdout, stderr", (0, b"[1, 2, 3, 2, 0, 32, 96, 0, 64, 184, 0, 300, 310]\n", b""), (result.status, result.out, result.err))
