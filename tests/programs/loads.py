"""Programs whose memory does not fit, with a swap area behind it: a compiler, databases, a sort, runtimes, and stress-ng's stressors at a
half and a quarter of what they want. What they print, or keep, must be what they print with room; the soak tier has the large ones."""
import re, shutil

from harness import *

GUEST = f"{TESTS}/guest"


def needed(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def tight(memory, swap, cpus=2, *more):
    return ["-m", memory, "-s", swap, "-c", str(cpus), *more]


# ---- stress-ng: (stressor, its options with two workers, MiB that they want, how much of it)
WANTS = [
    ("vm", "--vm-bytes 32M", 48, 8), ("mmap", "--mmap-bytes 32M", 48, 8), ("mmapfork", "", 64, 8), ("madvise", "", 48, 8),
    ("mremap", "--mremap-bytes 32M", 48, 8), ("swap", "", 48, 8), ("pageswap", "", 48, 400), ("bigheap", "", 128, 2000), ("brk", "", 128, 30000),
    ("stack", "", 64, 64), ("malloc", "--malloc-bytes 8K --malloc-max 8192", 48, 20000), ("shm", "--shm-bytes 1M", 48, 64),
    ("shm-sysv", "--shm-sysv-bytes 2M", 48, 32), ("memfd", "--memfd-bytes 16M", 48, 8), ("mlock", "", 48, 64), ("vm-rw", "--vm-rw-bytes 8M", 48, 100),
    ("tlb-shootdown", "", 48, 100), ("oom-pipe", "", 48, 8),
]
SKIPPED_BY_LINUX = {"swap"}  # no file system here takes a swap file (EINVAL), nor does 9p or tmpfs on 6.1


def stress(name, options, memory, ops):
    def function(t):
        needed("stress-ng")
        script = f"cd /tmp && stress-ng --pathological --{name} 2 {options} --{name}-ops {ops} -t 60 --verify --metrics -Y /tmp/report >/tmp/said 2>&1; echo status $?; grep bogo-ops: /tmp/report; cat /tmp/said >&2"
        result = t.quire("sh", "-c", script, options=tight(f"{memory}M", "512M"), timeout=600)
        if b"skipp" in result.err and name in SKIPPED_BY_LINUX:
            return
        t.true(f"it did something: {result.out + result.err!r}", re.search(rb"bogo-ops: [1-9]", result.out))
        t.equal("what failed", (True, []), (b"status 0\n" in result.out, re.findall(rb".*(?:fail:|error).*", result.err)))
    return function


for name, options, mib, ops in WANTS:
    for part in (2, 4):
        add(f"stressed-{name}-in-1/{part}", stress(name, options, mib // part, ops), soak=True)
add("a-stressor", stress("vm", "--vm-bytes 24M --vm-method flip", 20, 2))


def together(part):
    """All of them at once, for ten minutes."""
    def function(t):
        needed("stress-ng")
        words = " ".join(f"--{name} 2 {options}" for name, options, _, _ in WANTS if name not in SKIPPED_BY_LINUX)
        script = f"cd /tmp && stress-ng --pathological {words} -t 600 --verify --metrics -Y /tmp/report >/tmp/said 2>&1; echo status $?; cat /tmp/report; cat /tmp/said >&2"
        result = t.quire("sh", "-c", script, options=tight(f"{sum(mib for _, _, mib, _ in WANTS) // part}M", "2G"), timeout=3600)
        done = {name.decode(): int(ops) for name, ops in re.findall(rb"stressor: (\S+)\s+bogo-ops: (\d+)", result.out)}
        idle = [name for name, _, _, _ in WANTS if name not in SKIPPED_BY_LINUX and not done.get(name)]
        t.equal("end, who did nothing, what failed", (b"", [], []),
                (b"" if b"status 0\n" in result.out else result.err[-150:], idle[:3], re.findall(rb".*(?:fail:|error).*", result.err)))
    add(f"stressed-together-in-1/{part}", function, soak=True)


together(2)
together(4)


# ---- databases

def redis(name, mib, memory, swap, soak):
    def function(t):
        needed("redis-server")
        result = t.quire("python3", f"{GUEST}/keys.py", t.dir, str(mib), options=tight(memory, swap, 2, "--rw", t.dir), timeout=1800)
        t.equal("status, stdout", (0, b"all keys are there\n"), (result.status, result.out))
    add(name, function, soak)


redis("redis", 4, "24M", "64M", False)
redis("large-redis", 200, "128M", "512M", True)


def sqlite(name, rows, mapped, memory, swap, soak):
    script = f"""PRAGMA mmap_size = {mapped}; CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
INSERT INTO t SELECT i, 'name' || (i * 7919 % {rows}), CAST(printf('%0900d', i) AS BLOB) FROM n;
CREATE INDEX by_name ON t (name); UPDATE t SET data = 'changed' || id WHERE id % 10 = 3; DELETE FROM t WHERE id % 100 = 7;
PRAGMA integrity_check; SELECT count(*), sum(id), sum(length(data)), min(name), max(name) FROM t;"""
    compare(name, "sqlite3", "a.db", script, options=tight(memory, swap, 2, "--rw", "."), timeout=1800, soak=soak)


sqlite("sqlite3", 8000, 64 << 20, "12M", "64M", False)
sqlite("large-sqlite3", 200000, 512 << 20, "64M", "256M", True)


# ---- tools

def lines_file(t, mib):
    """Lines of words in no order."""
    with open(f"{t.cwd}/lines", "w") as file:
        n = 1
        while file.tell() < mib << 20:
            words = []
            for _ in range(20000):
                n = n * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
                words.append(f"{n >> 16:012x} a line of {n >> 50}\n")
            file.write("".join(words))


def sort(name, mib, memory, swap, soak):
    compare(name, "sort -T . lines | cksum", options=tight(memory, swap, 2, "--rw", "."), timeout=1800, soak=soak, prepare=lambda t: lines_file(t, mib))


sort("sort", 12, "12M", "64M", False)
sort("large-sort", 300, "64M", "512M", True)


def large_source(t, functions):
    with open(f"{t.cwd}/large.c", "w") as file:
        for i in range(functions):
            file.write(f"""struct s{i} {{ int a[{i % 13 + 2}]; double b; struct s{i} *next; }};
double f{i}(struct s{i} *p, int n) {{
    double sum = 0;
    for (int i = 0; i < n; i++) {{
        for (unsigned k = 0; k < sizeof(p->a) / sizeof(p->a[0]); k++)
            sum += p->a[k] * (i ^ {i}) + (k % 3 == {i % 3} ? p->b : -p->b);
        if (sum > {i}e3 && p->next)
            p = p->next;
        switch (n % 7) {{ case 0: sum *= 3; break; case 1: sum -= {i}; break; case 5: sum /= {i + 1}; break; default: n ^= {i % 8}; }}
    }}
    return {f"f{i - 1}((void *)p, n - 1) + " if i else ""}sum;
}}
""")
        file.write(f"""static _Alignas(16) char space[4096];
int main(void) {{ return __builtin_printf("%a\\n", f{functions - 1}((void *)space, {functions + 100})) < 0; }}
""")


def gcc(name, functions, memory, swap, soak):
    """What the program says is compared, not the assembler's text: under QEMU's emulation gcc short of memory allocates the registers of a
    function or two in another way, on Debian's kernel too (docs/programs.md)."""
    compare(name, "gcc -O2 -o large large.c && ./large", options=tight(memory, swap), timeout=1800, soak=soak, prepare=lambda t: large_source(t, functions))


gcc("gcc", 4, "20M", "96M", False)
gcc("large-gcc", 1500, "48M", "256M", True)


# ---- runtimes: under a quarter of their peak

NODE = """const keep = []; for (let i = 0; i < 300000; i++) keep.push({n: i, s: 'text ' + i, a: [i, i + 1]});
let sum = 0; for (let k = 0; k < 3; k++) for (const o of keep) sum += o.a[1] + o.s.length; console.log(sum);"""
JAVA = """import java.util.*;
public class Load {
    public static void main(String[] a) {
        List<byte[]> keep = new ArrayList<>();
        for (int i = 0; i < 1000; i++) { byte[] b = new byte[100000]; for (int k = 0; k < b.length; k += 100) b[k] = (byte)(i + k); keep.add(b); }
        long sum = 0;
        for (int r = 0; r < 3; r++) for (byte[] b : keep) for (int k = 0; k < b.length; k += 100) sum += b[k];
        System.out.println(sum);
    }
}"""


def quarter(name, file, text, *argv):
    def function(t):
        needed(argv[0])
        t.write(file, text)
        there = t.run(argv)
        t.equal("status here", 0, there.status)
        memory = peak(t, argv, cwd=t.dir) // 4
        here = t.quire(*argv, options=tight(f"{memory}M", "512M"), timeout=1800, cwd=t.dir)
        t.equal("status, stdout, stderr", (0, there.out, b""), (here.status, here.out, here.err))
    add(name, function, soak=True)


quarter("node-in-a-quarter", "load.js", NODE, "node", "load.js")
quarter("java-in-a-quarter", "Load.java", JAVA, "java", "-Xmx256m", "Load.java")


# ---- how small

for name, memory, argv in (("bash", "4M", ["bash", "-c", "echo 1; (echo 2) | cat"]), ("python3", "12M", ["python3", "-c", "print(1)"])):
    compare(f"least-memory-of-{name}", *argv, options=tight(memory, "256M", 1), timeout=300)
