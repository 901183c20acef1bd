"""strace and gdb, on a program with threads and a child: what they print here and on Quire, without what is anyone's own."""
import re, shutil

from harness import *

PROGRAM = r"""
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int global;

__attribute__((noinline)) int sum(int a, int b) {
    return a + b;
}

static void *thread(void *argument) {
    for (int i = 0; i < 3; i++)
        global++;
    (void)!write(1, "thread\n", 7);
    return argument;
}

int main(void) {
    pthread_t t;
    int status;
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sum(global, 4));
    waitpid(pid, &status, 0);
    printf("%d %d\n", sum(2, 3), WEXITSTATUS(status));
    return 0;
}
"""

# What strace's lines say apart from addresses, numbers of processes, and in which order two processes made their calls.
MASKS = [(rb" +", b" "), (rb"0x[0-9a-f]+", b"ADDRESS"), (rb"(?m)^\d+ +", b""), (rb"\[?pid +\d+\]?", b""), (rb"si_pid=\d+", b"si_pid=N"), (rb"wait4\(\d+", b"wait4(N"),
         (rb"(?m)\) += \d+$", b") = N"), (rb"\[\d+\]", b"[N]"), (rb"si_[us]time=\d+[^,}]*", b"time"), (rb"gettid\(\) += \d+", b"gettid"),
         (rb"si_uid=\d+", b"si_uid=N")]


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def build(t, *options):
    path = os.path.join(t.dir, "program")
    built = t.run(["gcc", "-g", "-O0", "-fno-pie", "-no-pie", *options, "-o", path, t.write("program.c", PROGRAM), "-lpthread"])
    t.equal("gcc's output", b"", built.err)
    return path


def whole(text):
    """Each call on one line, also where strace had to say something of another process in the middle of it."""
    begun, lines = {}, []
    for line in text.split(b"\n"):
        pid, _, said = line.partition(b" ")
        end = re.match(rb" *<\.\.\. \w+ resumed>(.*)", said)
        if said.endswith(b" <unfinished ...>"):
            begun[pid] = said[:-len(b" <unfinished ...>")]
        elif end and pid in begun:
            lines.append(pid + b" " + begun.pop(pid) + end.group(1))
        else:
            lines.append(line)
    return b"\n".join(lines)


def masked(text):
    text = whole(text)
    for pattern, by in MASKS:
        text = re.sub(pattern, by, text)
    return sorted(line for line in text.split(b"\n") if line and b"exited with" not in line or b"exited with 7" in line)


@test
def strace_follows_threads_and_children(t):
    """The calls that both kernels are asked for in the same way, with their arguments, each process's end, and a signal."""
    need("strace")
    program = build(t)
    argv = ["strace", "-f", "-e", "trace=clone3,clone,write,wait4,exit,exit_group,execve", "-o", "log", program]
    there = t.run(argv)
    log_there = masked(open(t.dir + "/log", "rb").read())
    here = t.quire("sh", "-c", " ".join(argv[:-1]).replace("-o log", "-o /tmp/log") + f" {program}; cat /tmp/log >&2")
    t.equal("(status, stdout)", (there.status, there.out), (here.status, here.out))
    t.equal("the log", log_there, masked(here.err))


@test
def strace_counts_and_names_files(t):
    need("strace")
    words = ["strace", "-y", "-e", "trace=read,close,openat", "cat", "/etc/hostname"]
    there, here = t.run(words), t.quire(*words)
    wanted = [line for line in there.err.split(b"\n") if b"hostname" in line]
    t.true(f"strace says something here: {there.err!r}", len(wanted) >= 4)
    t.equal("lines on /etc/hostname", wanted, [line for line in here.err.split(b"\n") if b"hostname" in line])
    counted = t.quire("strace", "-c", "-f", build(t))
    t.true(f"a table: {counted.err!r}", b"% time" in counted.err and re.search(rb"(?m)^100\.00 .* total$", counted.err))


@test
def strace_attaches(t):
    """To a shell that waits for its standard input, and lets it go when killed itself."""
    need("strace")
    script = """
        mkfifo /tmp/in; (read line < /tmp/in; echo "got $line") & victim=$!
        strace -o /tmp/log -p $victim 2>/tmp/said & tracer=$!
        until grep -q attached /tmp/said; do :; done
        kill $tracer; wait $tracer
        grep TracerPid /proc/$victim/status
        echo word > /tmp/in; wait $victim"""
    here = t.quire("sh", "-c", script)
    t.equal("(status, stdout, stderr)", (0, b"TracerPid:\t0\ngot word\n", b"Terminated\n"), (here.status, here.out, here.err))


def gdb(t, program, commands, here=True):
    """What gdb says, line by line, on this machine (unless its processor has no debug registers to give) and on Quire."""
    argv = ["gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off", "-ex", "set pagination off", "-ex", "set confirm off"]
    for command in commands:
        argv += ["-ex", command]
    results = []
    for on_quire in (False, True) if here else (True,):
        result = t.quire(*argv, program, options=["-m", "256M"]) if on_quire else t.run([*argv, program])
        text = re.sub(rb"LWP \d+|process \d+|0x7f[0-9a-f]+", b"N", result.out)
        results.append((result.status, [line for line in text.split(b"\n") if not line.startswith((b"[", b"warning", b"Using host"))]))
    if here:
        t.equal("(status, lines)", *results)
    return results[-1][1]


@test
def gdb_breaks_steps_and_unwinds(t):
    need("gdb")
    gdb(t, build(t), ["break sum", "set follow-fork-mode parent", "run", "bt", "info args", "stepi", "p $pc - (long)sum", "finish", "next", "continue"])


@test
def gdb_watches_a_thread(t):
    need("gdb")
    lines = gdb(t, build(t), ["break thread", "run", "watch global", "continue", "continue", "bt 1", "delete", "kill"], here=False)
    values = [line for line in lines if line.startswith((b"Old", b"New"))]
    t.equal("values seen", [b"Old value = 0", b"New value = 1", b"Old value = 1", b"New value = 2"], values)
    t.true(f"in the thread: {lines}", any(line.startswith(b"#0") and b"thread (" in line for line in lines))
