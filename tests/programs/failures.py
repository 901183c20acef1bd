"""What fails on request, and programs that try to break the kernel (tests/guest): they run on Quire alone, say nothing of what is well,
and end with 0."""
import glob, os, shutil, subprocess, threading

from harness import *

SAID = (b"out of memory: killed ", b"swap: slot ")  # the kernel's notes on failures that were asked for
SHADOW = os.path.join(TOP, "build-shadow", "quire")

MADE = """mkdir -p dir/below movedir; head -c 300000 /dev/zero | tr '\\0' q >host; cp host copied; cp host moved; echo x >linked
echo y >dir/below/file; ln -s a symlink; mkfifo fifo; for i in 1 2 3 4 5 6 7 8 9; do echo >dir/f$i; done"""


def guest_program(t, name, *words, options=(), timeout=300, prepare=None):
    """Runs tests/guest/NAME.c; its stdout, when it is well, is the last line."""
    program = os.path.join(t.dir, name)
    t.equal("gcc's output", b"", t.run(["gcc", "-std=gnu17", "-O1", "-Wall", "-static", "-pthread", "-o", program,
                                        f"{TESTS}/guest/{name}.c"]).err)
    work = os.path.join(t.dir, "work")
    os.mkdir(work)
    if prepare:
        prepare(work, program)
    result = t.quire(program, *words, options=options, timeout=timeout, cwd=work)
    lines = [line for line in result.err.split(b"\n") if line and not any(said in line for said in SAID)]
    last = result.out[-400:].split(b"\n")[-4:]
    t.equal("status, stderr, end of stdout", (0, []), (result.status, lines) if result.status == 0 and not lines else
            (result.status, lines, last))
    return result.out


def files_to_fail_on(work, program):
    subprocess.run(["sh", "-c", MADE], cwd=work, check=True)
    with open(os.path.join(work, "script"), "w") as script:
        script.write(f"#!{program} executed\n")
        os.fchmod(script.fileno(), 0o755)


def nth_failure(part):
    def function(t):
        out = guest_program(t, "fail_nth", f"{part}/4", options=["-m", "128M", "-s", "64M"], prepare=files_to_fail_on)
        t.true(f"some failed: {out!r}", int(out.split()[0]) > 100)
    return function


for part in range(4):
    add(f"nth-failure-{part}", nth_failure(part))


def bug(name, says, options):
    def function(t):
        t.equal("stdout", says, guest_program(t, name, options=options))
    add(name.replace("_", "-"), function)


bug("bug_19_oom_locked", b"six were killed\n", ["-m", "64M"])
for part in ("adjusted", "asker", "score"):
    add(f"out-of-memory-{part}", lambda t, part=part: t.equal("stdout", b"well\n", guest_program(
        t, "oom", part, options=["-m", "64M", "--user", "0:0"])))
for cpus in ("1", "2"):
    add(f"out-of-memory-storm-{cpus}", lambda t, cpus=cpus: t.equal("stdout", b"well\n", guest_program(
        t, "oom", "storm", "50", options=["-m", "64M", "-c", cpus, "--user", "0:0"])), soak=True)
bug("bug_22_swap", b"swap is as it was: 1\n", ["-m", "64M", "-s", "256M"])
bug("bug_26_terabyte", b"within 256 kB\n", ["-m", "64M"])


def fuzz(rounds, seed=None):
    """No system call, with any argument, can panic the kernel. On failure the last line of stdout is what to give to tests/guest/fuzz.c."""
    def function(t):
        first = seed if seed is not None else int.from_bytes(os.urandom(4), "little")
        t.true("it ran", guest_program(t, "fuzz", str(first), str(rounds), options=["-m", "256M"], timeout=1800,
                                       prepare=files_to_fail_on).endswith(b" calls\n"))
    return function


add("fuzz", fuzz(1, seed=1))
add("fuzz-long", fuzz(60), soak=True)


@test(soak=True)
def trinity(t):
    """Debian's fuzzer, which knows what each call wants: eight seeds, as an ordinary user, in little memory. Its children may hang in its own
    locks, and are killed then; the kernel stands, and its checker finds nothing."""
    if not shutil.which("trinity"):
        raise Skip("trinity is not installed")
    for seed in range(1, 9):
        here = t.quire("bash", "-c", f"""
            mkdir -m 777 /tmp/fuzz; cd /tmp/fuzz
            timeout -s KILL 60 trinity -l off -a64 -C 3 -N 10000 -s {seed} --dropprivs \
                --disable-fds=perf,bpf,fanotify,drm,sockets > out 2>&1
            pkill -KILL trinity; grep -c ' = ' out; cat /proc/sys/vm/check""", options=["-m", "128M", "-s", "256M"], timeout=600)
        calls, _, checked = here.out.partition(b"\n")
        t.true(f"seed {seed}: {here.status} {here.out!r} {here.err[-500:]!r}", here.status == 0 and int(calls) > 500 and b" 0 findings" in checked)


# ---- a kernel that keeps what each CPU may still remember (kernel/arch/x86_64/shadow.c)

shadow_is_built = threading.Lock()  # two tests want it, perhaps at once


def shadow_kernel(t):
    with shadow_is_built:
        made = t.run(["make", "-C", TOP, "-j2", "O=build-shadow", "EXTRA=-DQUIRE_SHADOW", "build-shadow/quire.elf", "build-shadow/quire"],
                     timeout=900)
    t.equal("make", (0, b""), (made.status, made.err))


def build_static(t, path):
    program = os.path.join(t.dir, os.path.basename(path)[:-2])
    t.equal("gcc's output", b"", t.run(["gcc", "-std=gnu17", "-O1", "-w", "-static", "-pthread", "-o", program, path]).err)
    return program


def each_flush_left_out(t):
    """The Nth flush that has something to forget is left out, for each N: the kernel must panic."""
    shadow_kernel(t)
    program = build_static(t, f"{TESTS}/guest/flushes.c")
    for n in range(1, 200):
        result = t.run([SHADOW, "run", "-q", "-m", "128M", "-s", "64M", "-e", "GLIBC_TUNABLES=glibc.pthread.rseq=0", "--",
                        program, str(n)])
        if result.out == b"passed\n":
            break
        t.true(f"the {n}th: {result.out!r} {result.err[:200]!r}", result.status == 125 and b"panic: shadow: " in result.err)
    t.true(f"{n} flushes are many", 30 < n < 199)


def memory_programs_under_shadow(t):
    shadow_kernel(t)
    for path in sorted(glob.glob(TESTS + "/abi/bug_*.c") + glob.glob(TESTS + "/abi/m*.c") + [TESTS + "/abi/fork.c"]):
        program = build_static(t, path)
        result = t.run([SHADOW, "run", *GUEST_OPTIONS, "-s", "64M", "--", program], timeout=600)
        t.equal(f"{path}: status, stderr", (0, b""), (result.status, result.err))


add("each-flush-left-out", each_flush_left_out, soak=True)
add("memory-programs-under-shadow", memory_programs_under_shadow, soak=True)
