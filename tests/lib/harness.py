"""What the tests are made of: Test, the context `t` that a test function gets, and compare().

A test function is marked @test and takes one argument, the context. compare() makes a test of a command: it runs on this machine and
on Quire, and status, stdout and stderr must be the same. Every run on Quire has the kernel's checker run at its end (vm.check=1) and
counts what leaked; either would put a line on stderr, and so is a difference.
"""
import glob, importlib.util, os, shutil, signal, subprocess, sys, tempfile, time

import abi

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(TESTS)
QUIRE = os.environ.get("QUIRE", os.path.join(TOP, "quire"))
FAKE_QEMU = os.path.join(TESTS, "cli", "fake-qemu")
CHECK = ("--sysctl", "vm.check=1")
LEAST = 12  # MiB, of a tight run
GUEST_OPTIONS = ["-q", *CHECK] + os.environ.get("QUIRE_TEST_OPTIONS", "").split()
RUN = " ".join([QUIRE, "run", *GUEST_OPTIONS, "--"])

registered = []
is_tight = False  # tests/run --tight: compare() gives Quire a quarter of what the program uses on this machine


class Failure(Exception):
    """The test failed; the text names both values."""


class Skip(Exception):
    """The test cannot run here; the text says why."""


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


def short(value):
    """A value for a failure line: short enough to read, exact enough to see the difference."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:200]}...{text[-80:]} ({len(value)} bytes)"


def gone(pid):
    """Is the process gone, or a zombie, before long?"""
    for _ in range(600):
        try:
            if open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def differ(what, there, here, more=b""):
    """The failure that names both values; of a text with several lines, the first that differs."""
    if isinstance(there, bytes) and there.count(b"\n") + here.count(b"\n") > 2:
        a, b = there.split(b"\n"), here.split(b"\n")
        line = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        what, there, here = f"{what}, line {line + 1}", b"\n".join(a[line:line + 1]), b"\n".join(b[line:line + 1])
    return Failure(f"{what} is {short(there)} on this machine and {short(here)} on Quire" + (f", with stderr {short(more)}" if more else ""))


class Context:
    """What a test function works with: a directory of its own, and the command."""

    def __init__(self):
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix="quire-test."))
        self.started = []
        self.known = None  # what is known to be wrong, though the test passes

    def close(self):
        for process in self.started:  # what a test that failed left running
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def equal(self, what, expected, actual):
        if expected != actual:
            raise Failure(f"{what} should be {short(expected)} and is {short(actual)}")

    def true(self, what, condition):
        if not condition:
            raise Failure(f"not true: {what}")

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("QUIRE_", "LC_", "LANG", "MAKE", "MFLAGS"))}
        env.update({"LC_ALL": "C.UTF-8"}, **more)
        return env

    def run(self, argv, stdin=b"", timeout=120, env=None, cwd=None):
        """Runs a command of this machine's; a status over 128 stands for a signal."""
        kwargs = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        try:
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, cwd=cwd or self.dir,
                                  env=env or self.environment(), **kwargs)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"still running after {timeout} s: {short(' '.join(argv))}, stdout {short(late.stdout or b'')}, "
                          f"stderr {short(late.stderr or b'')}")
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return Result(status, done.stdout, done.stderr)

    def quire(self, *words, options=(), **kwargs):
        """quire run with the tests' options."""
        return self.run([QUIRE, "run", *GUEST_OPTIONS, *options, "--", *words], **kwargs)

    def command(self, *words, **kwargs):
        """The command with nothing added, but that a run ends with the checker (`checked=False`: it does not)."""
        check = CHECK if words[:1] == ("run",) and kwargs.pop("checked", True) and "--help" not in words else ()
        return self.run([QUIRE, *words[:1], *check, *words[1:]], **kwargs)

    def fake(self, *words, options=(), scenario="", **kwargs):
        """quire run on the stand-in for QEMU and kernel (tests/cli/fake-qemu)."""
        return self.run([QUIRE, "run", *options, "--", *words], env=self.fake_environment(scenario), **kwargs)

    def fake_environment(self, scenario="", **more):
        return self.environment(QUIRE_QEMU=FAKE_QEMU, QUIRE_KERNEL="/dev/null", FAKE_QEMU=scenario, **more)

    def start(self, argv, **kwargs):
        process = subprocess.Popen(argv, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                         "cwd": self.dir, "env": self.environment(), **kwargs})
        self.started.append(process)
        return process


class Test:
    def __init__(self, name, function, soak=False):
        self.name, self.function, self.soak = name, function, soak
        self.may_be_tight = getattr(function, "may_be_tight", False)

    def run(self):
        """Returns (failure, skip, known): texts or None."""
        context = Context()
        try:
            self.function(context)
            return None, None, context.known
        except Failure as failure:
            return str(failure), None, None
        except Skip as skip:
            return None, str(skip), None
        except Exception as error:  # a mistake in a test is a failure with a name, not the end of the run
            return f"{type(error).__name__}: {error}", None, None
        finally:
            context.close()


def add(name, function, soak=False):
    registered.append((name, function, soak))


def test(function=None, *, soak=False):
    """Marks a test function; its name with dashes is the test's."""
    def mark(f):
        add(f.__name__.replace("_", "-"), f, soak)
        return f
    return mark(function) if function else mark


def clean(t, prepare):
    """A directory to start in, with what `prepare` puts there."""
    t.cwd = os.path.join(t.dir, "work")
    shutil.rmtree(t.cwd, ignore_errors=True)
    os.mkdir(t.cwd)
    if prepare:
        prepare(t)


PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""


def peak(t, argv, **kwargs):
    """The most that a process of the command holds on this machine, in MiB."""
    return int(t.run([sys.executable, "-c", PEAK, *argv], **kwargs).out) // 1024


def compare(name, *words, stdin=b"", options=(), mask=None, timeout=120, host=None, prepare=None, soak=False):
    """The command `words` (one word: a shell's script) gives the same status, stdout and stderr here and on Quire. `mask` turns what
    may differ into what may not; `host` is a Result to compare with instead of a run here; `prepare(t)` fills the directory that both
    start in. What a script leaves in the directory on this machine is taken away before Quire's turn."""
    argv = ["sh", "-c", words[0]] if len(words) == 1 and " " in words[0] else list(words)

    def function(t):
        results, memory = [], []
        for on_quire in (False, True):
            clean(t, prepare)
            if is_tight and not on_quire:
                memory = ["-m", f"{max(LEAST, peak(t, argv, stdin=stdin, timeout=timeout, cwd=t.cwd) // 4)}M", "-s", "512M"]
                clean(t, prepare)
            if on_quire:
                result = t.quire(*argv, stdin=stdin, options=[*memory, *options], timeout=timeout * (10 if memory else 1), cwd=t.cwd)
            else:
                result = host or t.run(argv, stdin=stdin, timeout=timeout, cwd=t.cwd)
            results.append(result)
        masked = mask or (lambda text: text)
        for what in ("status", "stdout", "stderr"):
            there, here = ({"status": r.status, "stdout": masked(r.out), "stderr": masked(r.err)}[what] for r in results)
            if there != here:
                raise differ(what, there, here, results[1].err if what != "stderr" else b"")
    function.may_be_tight = not {"-m", "-s"} & set(options)  # the memory is not given: it may be less
    add(name, function, soak)


def load_module(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3].replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def abi_run(t, name):
    """What the program in tests/abi answers on Quire; the mask: the directory where it ran is WORK."""
    program = os.path.join(t.dir, name)
    built = t.run(abi.build_command(name, program))
    t.equal("gcc's output", b"", built.err)
    work = os.path.join(t.dir, "work")
    os.mkdir(work)
    away = [f"-e{v}" for v in os.environ if v not in abi.ENVIRONMENT]
    result = t.run([QUIRE, "run", *GUEST_OPTIONS, "--user", "0:0", *away, *(f"-e{v}={value}" for v, value in abi.ENVIRONMENT.items()),
                    "--", program], cwd=work)
    result.out = result.out.replace(work.encode(), b"WORK")
    return result


def abi_test(path):
    """A C program, linked statically, answers on Quire as it did on Debian's 6.1 (abi.py); without a recording, as on this machine."""
    name = os.path.basename(path)[:-2]

    def function(t):
        here, want = abi_run(t, name), abi.recorded(name)
        if want is None:
            there = t.run([os.path.join(t.dir, name)], cwd=os.path.join(t.dir, "work"), env=abi.ENVIRONMENT)
            for what in ("out", "err", "status"):
                a, b = getattr(there, what), getattr(here, what)
                if a != b:
                    raise differ(f"std{what}" if what != "status" else what, a, b, here.err if what != "err" else b"")
            return
        t.equal("(status, stderr)", (0, b""), (here.status, here.err))
        wrong, known, count = abi.compare(name, want, here.out)
        if wrong:
            raise Failure(f"{len(wrong)} of {count} cases: " + "; ".join(wrong[:1000 if os.environ.get("ABI_ALL") else 3]))
        if known:
            t.known = f"{known} of {count} cases are answered otherwise than on 6.1"
    return function


def load():
    """All tests, in order of their names within a suite."""
    tests = []
    for path in sorted(glob.glob(TESTS + "/cli/*.py")) + sorted(glob.glob(TESTS + "/programs/*.py")):
        if os.path.basename(path) == "tour.py":
            continue  # a program for the guest, not a suite
        registered.clear()
        load_module(path)
        suite = os.path.basename(os.path.dirname(path)) + "/" + os.path.basename(path)[:-3]
        tests += [Test(f"{suite}/{name}", function, soak) for name, function, soak in registered]
    for path in sorted(glob.glob(TESTS + "/abi/*.c")):
        tests.append(Test("abi/" + os.path.basename(path)[:-2], abi_test(path)))
    return tests
