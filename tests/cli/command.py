"""The command's own promises, against the stand-in for QEMU and kernel (fake-qemu): streams, signals, exit codes, watchdog."""
import fcntl, json, os, pty, re, signal, struct, subprocess, termios, time

from harness import *


def children(pid):
    kids = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            kids += [int(word) for word in file.read().split()]
    return kids


def read_until(fd, text, seconds=20):
    """What comes from `fd` until `text` is in it."""
    data, end = b"", time.monotonic() + seconds
    os.set_blocking(fd, False)
    while text not in data and time.monotonic() < end:
        try:
            part = os.read(fd, 65536)
            if not part:
                break
            data += part
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            break
    return data


def start(t, *words, scenario="", options=(), **kwargs):
    return t.start([QUIRE, "run", *options, "--", *words], env=t.fake_environment(scenario), **kwargs)


# ---- exit codes and messages


@test
def exit_codes(t):
    for words, status in ((["true"], 0), (["exit", "7"], 7), (["exit", "255"], 255), (["killed", "9"], 137)):
        t.equal(f"status of {words}", status, t.fake(*words).status)


@test
def fatal_signal_line(t):
    t.equal("stderr", b"quire: signal 11 ended the program\n", t.fake("killed", "11").err)


@test
def not_found_is_127(t):
    result = t.fake("fail", "127")
    t.equal("status and stderr", (127, b"quire: /no/such: no such file or directory\n"), (result.status, result.err))


@test
def stdout_and_stderr_apart(t):
    result = t.fake("both")
    t.equal("stdout", b"to stdout\n", result.out)
    t.equal("stderr", b"to stderr\nquire: a warning\nquire: a notice\n"
            b"quire: 3 files changed in the overlay were not kept; --rw DIR writes through\n", result.err)


@test
def quiet_and_verbose(t):
    t.equal("stderr with -q", b"to stderr\nquire: a warning\n", t.fake("both", options=["-q"]).err)
    t.true("-v shows the lines for debugging", b"quire: for debugging\n" in t.fake("both", options=["-v"]).err)


@test
def stats_at_the_end(t):
    result = t.fake("stats", options=["--stats"])
    t.equal("stderr", b"frames: 16384\nquire: 1 file changed in the overlay was not kept; --rw DIR writes through\n", result.err)


@test
def trace_is_a_file(t):
    path = os.path.join(t.dir, "trace")
    result = t.fake("trace", options=["--trace", path])
    with open(path, "rb") as file:
        t.equal("status, stderr, file", (0, b"", b"qutrace1abcdefghabcdefgh" + b"12345678" * 75 + b"_" * 480), (result.status, result.err, file.read()))
    result = t.fake("trace", options=["--trace", t.dir + "/no/file"])
    t.equal("status, stderr", (125, f"quire: --trace {t.dir}/no/file: No such file or directory\n".encode()), (result.status, result.err))
    limited = ["bash", "-c", 'ulimit -f 1; "$@"', "bash", QUIRE, "run", "--trace", path, "--", "trace"]
    result = t.run(limited, env=t.fake_environment())
    t.equal("a file that cannot grow", (0, f"quire: --trace {path}: File too large; what follows is not recorded\n".encode(), 1024),
            (result.status, result.err, os.path.getsize(path)))


@test
def swap_file_too_large(t):
    """Of a swap file that may not be so large the command says so, instead of dying of SIGXFSZ."""
    limited = ["bash", "-c", 'ulimit -f 1; "$@"', "bash", QUIRE, "run", "-s", "1M", "--", "true"]
    result = t.run(limited, env=t.fake_environment(TMPDIR=t.dir))
    t.equal("status and stderr", (125, f"quire: no swap file in {t.dir}: File too large; set TMPDIR to a directory with room\n".encode()),
            (result.status, result.err))


@test
def leak_is_said(t):
    t.true("a leak has a line even with -q", b"lost count of 7" in t.fake("leak", options=["-q"]).err)


@test
def bad_options_are_one_line(t):
    cases = [
        (["run"], b"which program"), (["run", "-m", "65537K", "true"], b"the nearest are 64M and 65544K"),
        (["run", "-m", "1M", "true"], b"the least is"), (["run", "-m", "x", "true"], b"not a size"),
        (["run", "--no-such", "true"], b"--no-such: no such option"), (["run", "-m"], b"needs a value"),
        (["run", "-c", "0", "true"], b"number of processors"), (["run", "--root", "/no/such", "true"], b"--root /no/such: No such"),
        (["run", "--rw", "/etc/passwd", "true"], b"not a directory"), (["run", "--timeout", "soon", "true"], b"not a time"),
        (["run", "--cwd", "tmp", "true"], b"give it from /"), (["run", "--accel", "x", "true"], b"auto, kvm or tcg"),
        (["run", "--user", "no-such-user", "true"], b"no such user"), (["run", "-e", "=x", "true"], b"NAME=VALUE"),
        (["run", "-s", "/no/such", "true"], b"No such file"), (["rin"], b"no such command"), ([], b"quire --help"),
        (["run", "--quiet", "-xv", "true"], b"-x: no such option"), (["run", "-vm"], b"-m needs a value"),
        (["run", "-q\u00e9v", "true"], "-q\u00e9v: no such option".encode()), (["run", "--quiet=1", "true"], b"--quiet=1: this option takes no value"),
        (["run", "-c", "-18446744073709551615", "true"], b"number of processors"),
        (["doctor", "--fast"], b"--fast: `quire doctor` takes no options"), (["run", "--root", "/no\nsuch", "true"], b"--root /no?such: No such"),
        (["run", "-s", "/dev/null", "true"], b"neither a file"), (["run", "-s", t.write("small", "x"), "true"], b"too small to swap to; make it 8K at least"),
        (["run", "--ro", "/etc:/", "true"], b"give --root /etc"),
        (["run", *["--ro", "/"] * 14, *["-s", "1M"] * 8, "true"], b"14 directories and 8 swap areas are too many; together at most 21"),
    ]
    for words, text in cases:
        result = t.command(*words)
        t.equal(f"status of {words}", 125, result.status)
        t.true(f"{words}: one line with {text!r}: {result.err!r}", text in result.err and result.err.count(b"\n") == 1)
        t.equal(f"stdout of {words}", b"", result.out)


@test
def help_and_version(t):
    for words in (["--help"], ["run", "--help"], ["--version"]):
        result = t.command(*words)
        t.equal(f"status and stderr of {words}", (0, b""), (result.status, result.err))
    for option in re.findall(rb"--[a-z-]+", t.command("run", "--help").out):
        if option not in (b"--help",):
            t.true(f"the man page knows {option!r}", option.replace(b"-", b"\\-") in open(TOP + "/tool/quire.1", "rb").read())


@test
def stdout_that_takes_nothing(t):
    for words in ("--help", "--version", "run --help", "run --dry-run -- true"):
        for to, why in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
            result = t.run(["bash", "-c", f"{QUIRE} {words} {to}"], env=t.fake_environment())
            t.equal(f"status and stderr of {words} {to}", (125, f"quire: cannot print: {why}\n".encode()), (result.status, result.err))


@test
def qemu_missing(t):
    env = t.environment(QUIRE_QEMU="/no/such/qemu")
    result = t.command("run", "true", env=env)
    t.equal("status and stderr", (125, b"quire: QUIRE_QEMU=/no/such/qemu: no program there\n"), (result.status, result.err))
    result = t.run([QUIRE, "run", "true"], env={"PATH": "/no/such"})
    t.true(f"names the package: {result.err!r}", result.status == 125 and b"apt-get install qemu-system-x86" in result.err)


@test
def kernel_missing(t):
    result = t.command("run", "true", env=t.environment(QUIRE_QEMU=FAKE_QEMU, QUIRE_KERNEL="/no/such/elf"))
    t.equal("status and stderr", (125, b"quire: QUIRE_KERNEL=/no/such/elf: no kernel image there\n"), (result.status, result.err))


@test
def qemu_too_old(t):
    result = t.fake("true", scenario="old")
    t.equal("status and stderr", (125, b"quire: QEMU 6.2.0 is too old: quire needs 7.2 or later\n"),
            (result.status, result.err))


@test
def qemu_complains(t):
    result = t.fake("true", scenario="dead")
    t.equal("status and stderr", (125, b"quire: QEMU ended: -M microvm,rtc=off: no such thing\n"), (result.status, result.err))


@test
def few_descriptors(t):
    """QEMU starts with all of its descriptors, or a line says that there are too few."""
    for most in range(8, 24, 3):
        result = t.run(["bash", "-c", f'ulimit -n {most}; "$@"', "bash", QUIRE, "run", "--", "exit", "3"], env=t.fake_environment())
        t.true(f"with {most}: {result.status}, {result.err!r}", (result.status, result.err) == (3, b"") or
               result.status == 125 and result.err.endswith(b": Too many open files\n") and result.err.count(b"\n") == 1)


@test
def panic(t):
    result = t.fake("panic")
    t.equal("status", 125, result.status)
    t.equal("stderr", b"quire: panic: table_share: shares is 0\nquire:   at table_share+0x10\nquire:   at space_fork+0x20\n", result.err)
    t.equal("at boot", (125, b"quire: panic: no memory map\n"), (lambda r: (r.status, r.err))(t.fake("true", scenario="panic")))


@test
def machine_resets(t):
    for words, scenario in ((["true"], "reset"), (["vanish"], "")):
        result = t.fake(*words, scenario=scenario)
        t.true(f"{result.err!r}", result.status == 125 and b"the machine ended by itself" in result.err)


@test
def garbled_guest(t):
    for words, scenario in ((["true"], "garbage"), (["garbage"], ""), (["malformed"], ""), (["true"], "version")):
        result = t.fake(*words, scenario=scenario)
        t.true(f"{words} {result.err!r}", result.status == 125 and b"the guest sent" in result.err and result.err.count(b"\n") == 1)


@test
def dry_run_can_be_pasted(t):
    line = t.command("run", "--dry-run", "--rw", t.dir, "-m", "64M", "--", "true", env=t.fake_environment()).out.decode()
    for text in ("-m 65536k", "mount_tag=root", "readonly=on", f"path={t.dir},", "-no-reboot"):
        t.true(f"{text} in {line}", text in line)
    version = t.run(["sh", "-c", line.strip().replace("-no-reboot", "--version")])
    t.equal("status of the pasted line", 0, version.status)


@test
def timeout_is_124(t):
    began = time.monotonic()
    result = t.fake("sleep", options=["--timeout", "0.5"])
    t.equal("status and stderr", (124, b"quire: timed out after 0.5 s\n"), (result.status, result.err))
    t.true("it took less than 3 s", time.monotonic() - began < 3)


# ---- what the guest is told


def config_of(t, *options, **kwargs):
    return json.loads(t.fake("config", options=options, **kwargs).out)


def records(config, kind):
    return [text for k, text in config["records"] if k == kind]


@test
def config_ids_and_place(t):
    config = config_of(t)
    t.equal("uid, gid", (os.geteuid(), os.getegid()), (config["uid"], config["gid"]))
    t.equal("cwd", [t.dir], records(config, 3))
    t.equal("groups", sorted(os.getgroups()), sorted(struct.unpack("<I", text.encode("latin-1"))[0] for text in records(config, 4)))
    t.equal("hostname", [os.uname().nodename], records(config, 8))
    t.equal("umask", os.umask(os.umask(0o22)) or 0o22, config["umask"])
    t.equal("mounts", ["root\0/\0overlay"], records(config, 5))


@test
def config_environment(t):
    config = config_of(t, "-e", "NEW=a=b", "-e", "HOME=/x", "-e", "PATH")
    env = records(config, 2)
    t.true("NEW and HOME set, PATH gone", "NEW=a=b" in env and "HOME=/x" in env and not any(e.startswith("PATH=") for e in env))
    t.equal("HOME once", 1, sum(e.startswith("HOME=") for e in env))


@test
def config_options(t):
    config = config_of(t, "--cwd", "/usr", "--user", "1234:5678", "--no-aslr", "--stats", "--ro", "/usr:/mnt/usr", "--rw", t.dir,
                       "--policy", "clock", "--sysctl", "vm.overcommit_memory=2")
    t.equal("ids", (1234, 5678), (config["uid"], config["gid"]))
    t.equal("cwd", ["/usr"], records(config, 3))
    t.equal("flags", 3, config["flags"] & 3)
    t.equal("mounts", ["root\0/\0overlay", "share0\0/mnt/usr\0ro", f"share1\0{t.dir}\0rw"], records(config, 5))
    t.equal("sysctls", ["vm.policy=clock", "vm.overcommit_memory=2"], records(config, 6))


@test
def config_user_by_name(t):
    config = config_of(t, "--user", "nobody")
    t.equal("ids", (65534, 65534), (config["uid"], config["gid"]))


@test
def config_ignored_signals(t):
    result = t.run(["sh", "-c", f"trap '' HUP INT; exec {QUIRE} run config"], env=t.fake_environment())
    t.equal("HUP and INT ignored", 0b11, json.loads(result.out)["ignored"] & 0b11)


@test
def config_streams(t):
    path = t.write("file", "0123456789")
    with open(path) as file:
        os.lseek(file.fileno(), 4, os.SEEK_SET)
        stream = config_of(t, stdin=file)["streams"][0]
    st = os.stat(path)
    t.equal("file", (st.st_mode, st.st_ino, st.st_dev, 10, 4, 0), tuple(stream[k] for k in ("mode", "ino", "dev", "size", "offset", "tty")))
    result = t.run(["sh", "-c", f"exec {QUIRE} run config <&- 2>&-"], env=t.fake_environment())
    streams = json.loads(result.out)["streams"]
    t.equal("closed ones have mode 0", (0, 0), (streams[0]["mode"], streams[2]["mode"]))
    t.true("stdout is a pipe", streams[1]["mode"] & 0o170000 == 0o010000 and streams[1]["offset"] == -1)


# ---- streams


@test
def cat_through_both_pipes(t):
    data = os.urandom(1 << 20) * 8
    t.true("8 MB are the same", t.fake("cat", stdin=data).out == data)


@test
def cat_of_a_file(t):
    path = t.write("file", "hello\n" * 10000)
    with open(path) as file:
        t.equal("bytes", 60000, len(t.fake("cat", stdin=file).out))


@test
def reads_no_further_than_asked(t):
    path = t.write("file", "0123456789")
    for how in (f"{{ {QUIRE} run head 4; cat; }} <{path}", f"printf 0123456789 | {{ {QUIRE} run head 4; cat; }}"):
        t.equal(how, b"0123456789", t.run(["sh", "-c", how], env=t.fake_environment()).out)


@test
def seek_in_a_file(t):
    with open(t.write("file", "0123456789")) as file:
        t.equal("stdout", b"012 0 1 12\n", t.fake("seek", stdin=file).out)
    t.equal("a pipe cannot seek (ESPIPE)", b"012 -29 None 34\n", t.fake("seek", stdin=b"0123456789").out)


@test
def reader_that_leaves(t):
    result = t.run(["bash", "-c", f"{QUIRE} run yes | head -1; echo ${{PIPESTATUS[0]}}"], env=t.fake_environment())
    t.equal("stdout", b"y\n141\n", result.out)


@test
def closed_streams(t):
    for redirection, question, errno in (("<&-", ("read", "0"), 9), (">&-", ("write", "1"), 9), ("2>&-", ("write", "2"), 9),
                                         ("</etc/passwd", ("write", "0"), 9), (">/dev/full", ("write", "1"), 28),
                                         ("</", ("read", "0"), 21), ("<&-", ("poll", "0"), 100 + 32)):
        result = t.run(["sh", "-c", f"exec {QUIRE} run result {' '.join(question)} {redirection}"], env=t.fake_environment())
        t.equal(f"errno of {question} with {redirection}", errno, result.status)


@test
def end_of_file(t):
    t.equal("read", 100, t.fake("result", "read", "0", stdin=b"").status)
    t.equal("read of /dev/null", 100, t.fake("result", "read", "0", stdin=subprocess.DEVNULL).status)


@test
def non_blocking(t):
    process = start(t, "nonblocking", stdin=subprocess.PIPE)
    t.equal("first", b"empty -4\n", read_until(process.stdout.fileno(), b"\n"))
    process.stdin.write(b"hello")
    process.stdin.flush()
    t.equal("then", b"poll 1 full 5 hello\n", read_until(process.stdout.fileno(), b"\n"))
    t.equal("status", 0, process.wait(10))


@test
def poll_is_cancelled(t):
    process = start(t, "pollcancel", stdin=subprocess.PIPE)
    t.equal("stdout", b"None -4\n", read_until(process.stdout.fileno(), b"\n"))
    process.wait(10)


@test
def slow_stdout_holds_up_nothing_else(t):
    process = start(t, "full")
    said = read_until(process.stderr.fileno(), b"cancelled")
    t.true(f"stderr works while stdout is full, and writes can be called off: {said!r}",
           re.fullmatch(rb"stuck with [1-4]\ncancelled \[.*True\]\n", said))
    t.equal("status", 0, process.wait(10))
    process.stdout.close()


@test
def full_stderr_keeps_nobody(t):
    """A reader of stderr that takes nothing: a time limit ends the run all the same, and so does a signal after the program's end."""
    began = time.monotonic()
    run = start(t, "errors_unread", "3", options=["--timeout", "0.5"])
    t.equal("status of a run that is out of time", 124, run.wait(20))
    t.true("it took less than 5 s", time.monotonic() - began < 5)
    run = start(t, "errors_unread", "3")
    read_until(run.stdout.fileno(), b"ready")
    while children(run.pid):
        time.sleep(0.01)
    t.equal("status while its last words wait", None, run.poll())
    run.terminate()
    t.equal("status after SIGTERM", 0, run.wait(20))
    run = start(t, "errors_unread", "3")
    out, err = run.communicate(timeout=20)
    t.true(f"a reader that comes late gets the last words: {err[-80:]!r}", err.endswith(b"was not kept; --rw DIR writes through\n"))


@test
def inherited_pipe_is_not_held_by_qemu(t):
    ends = os.pipe()
    process = start(t, "sleep", pass_fds=[ends[1]])
    read_until(process.stdout.fileno(), b"ready")
    os.close(ends[1])
    for pid in children(process.pid):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        t.true("QEMU does not hold the pipe", os.readlink(f"/proc/self/fd/{ends[0]}") not in links)
    process.kill()
    process.wait()
    os.close(ends[0])


# ---- signals and ends


@test
def signals_reach_the_program(t):
    process = start(t, "signals")
    read_until(process.stdout.fileno(), b"ready\n")
    for name in ("INT", "HUP", "QUIT", "TSTP", "CONT", "USR1", "USR2"):
        number = getattr(signal, "SIG" + name)
        process.send_signal(number)
        t.equal(name, f"signal {number}\n".encode(), read_until(process.stdout.fileno(), b"\n"))
    process.send_signal(signal.SIGTERM)
    t.equal("status", 143, process.wait(10))


@test
def signal_before_the_program(t):
    process = start(t, "true", scenario="silent")
    while not children(process.pid):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    t.equal("status", 130, process.wait(10))


@test
def killed_leaves_no_qemu(t):
    process = start(t, "sleep")
    read_until(process.stdout.fileno(), b"ready")
    kids = children(process.pid)
    t.equal("one child", 1, len(kids))
    process.kill()
    process.wait()
    t.true("QEMU is gone", gone(kids[0]))


@test
def ended_leaves_no_qemu(t):
    process = start(t, "sleep", options=["--timeout", "1"])
    read_until(process.stdout.fileno(), b"ready")
    kids = children(process.pid)
    process.wait(10)
    t.true("QEMU is reaped", len(kids) == 1 and not os.path.exists(f"/proc/{kids[0]}"))


@test
def stops_with_the_program(t):
    for number in (signal.SIGTSTP, signal.SIGSTOP, signal.SIGTTIN):
        # A group of its own under a parent of the same session, as a shell's job: stopping works only there.
        process = start(t, "stop", str(int(number)), preexec_fn=os.setpgrp)
        read_until(process.stdout.fileno(), b"stopping\n")
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        t.true(f"stopped by {number}", os.WIFSTOPPED(status) and os.WSTOPSIG(status) == number)
        process.send_signal(signal.SIGCONT)
        t.equal("stdout", b"continued by 18\n", read_until(process.stdout.fileno(), b"\n"))
        t.equal("status", 0, process.wait(10))


@test
def guest_that_never_comes_up(t):
    began = time.monotonic()
    result = t.fake("true", scenario="silent", timeout=60)
    t.true(f"{result.err!r}", result.status == 125 and b"did not come up within 10 s" in result.err)
    t.true("it took 10 s or little more", 9 < time.monotonic() - began < 40)


@test
def guest_that_stands_still(t):
    result = t.fake("hang", timeout=60)
    t.true(f"{result.err!r}", result.status == 125 and b"stood still for 10 s" in result.err)


@test
def guest_that_spins(t):
    result = t.fake("spin", timeout=100)
    t.true(f"{result.err!r}", result.status == 125 and b"stood still for 10 s" in result.err)


@test
def stopped_qemu_is_not_hung(t):
    process = start(t, "sleep")
    read_until(process.stdout.fileno(), b"ready")
    (kid,) = children(process.pid)
    os.kill(kid, signal.SIGSTOP)
    time.sleep(13)
    t.equal("still running", None, process.poll())
    os.kill(kid, signal.SIGCONT)
    time.sleep(1)
    t.equal("still running", None, process.poll())
    process.kill()
    process.wait()


# ---- on a terminal


def on_terminal(t, *words, env=None):
    """Starts the command with a new terminal as its streams. Returns (pid, our side)."""
    env = env or t.fake_environment()
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.chdir(t.dir)
            os.execve(words[0], list(words), env)
        finally:
            os._exit(127)  # exec failed: this is not a second runner of tests
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))
    return pid, fd


@test
def terminal_is_raw_and_restored(t):
    pid, fd = on_terminal(t, QUIRE, "run", "signals")
    read_until(fd, b"ready")
    t.equal("no ICANON, ECHO, ISIG", 0, termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG))
    os.kill(pid, signal.SIGTERM)
    read_until(fd, b"signal 15")
    os.waitpid(pid, 0)
    os.close(fd)
    for how in (signal.SIGTERM,):
        script = f"stty -g; {QUIRE} run killed {int(how)}; stty -g"
        pid, fd = on_terminal(t, "/bin/sh", "-c", script)
        lines = read_until(fd, b"nothing like this", 5).decode().split("\r\n")
        t.equal("modes after the run", lines[0], lines[2])
        os.waitpid(pid, 0)
        os.close(fd)


@test
def terminal_bytes_and_window(t):
    pid, fd = on_terminal(t, QUIRE, "run", "window")
    read_until(fd, b"ready\n")
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    t.equal("window", b"window (40, 120)\n", read_until(fd, b"\n"))
    os.waitpid(pid, 0)
    os.close(fd)
    pid, fd = on_terminal(t, QUIRE, "run", "head", "3")
    while termios.tcgetattr(fd)[3] & termios.ICANON:
        time.sleep(0.01)
    os.write(fd, b"\x03\x1aq")
    t.equal("Ctrl-C and Ctrl-Z go through", b"\x03\x1aq", read_until(fd, b"q")[-3:])
    os.waitpid(pid, 0)
    os.close(fd)


@test
def terminal_config(t):
    pid, fd = on_terminal(t, QUIRE, "run", "config")
    config = json.loads(read_until(fd, b'"WIRE_END"', 3))
    t.equal("tty, rows, columns", [(1, 33, 99)] * 3, [tuple(s[k] for k in ("tty", "rows", "columns")) for s in config["streams"]])
    t.equal("termios is there", [36], [len(text) for text in records(config, 9)])
    os.waitpid(pid, 0)
    os.close(fd)


@test
def terminal_left_alone_when_output_goes_elsewhere(t):
    pid, fd = on_terminal(t, "/bin/sh", "-c", f"{QUIRE} run config | cat; {QUIRE} run sleep | cat")
    text = read_until(fd, b"ready")
    config = json.loads(text[:text.rindex(b"}") + 1])
    t.equal("tty of the streams", [2, 0, 2], [s["tty"] for s in config["streams"]])
    t.true("still cooked", termios.tcgetattr(fd)[3] & termios.ICANON)
    os.write(fd, b"\x03")  # a signal then, which ends the program
    t.true("Ctrl-C ends it", gone(pid))
    os.waitpid(pid, 0)
    os.close(fd)


# ---- sim


def trace_file(t, name, pages):
    path = os.path.join(t.dir, name)
    with open(path, "wb") as file:
        file.write(b"qutrace1" + b"".join(struct.pack("<Q", 4 << 60 | page) for page in pages))
    return path


@test
def sim_of_a_loop(t):
    frames, pages, rounds = 128, 160, 20
    path = trace_file(t, "loop", [page for _ in range(rounds) for page in range(pages)])
    out = subprocess.run([QUIRE, "sim", path, "--memory", "512K..1M"], capture_output=True, text=True, timeout=60).stdout
    lines = [line.split() for line in out.splitlines()]
    t.equal("head", f"{rounds * pages} uses of {pages} pages; pages read back:", " ".join(lines[0]))
    least, lirs, clock = (int(word) for word in lines[2][1:4])
    t.true(f"the clock reads all but what one round leaves, not {clock}", clock > (rounds - 1) * (pages - frames))
    t.true(f"the least {least} < lirs {lirs} < half of clock {clock}", least < lirs < clock / 2)
    # each use must be of a page in memory, so of the others frames - 1 can be kept, of pages - 1: Belady's known result for a loop
    t.equal("least", True, abs(least - (rounds - 1) * pages * (pages - frames) / (pages - 1)) < pages)
    t.equal("all fit", ["1M"] + ["0"] * (len(lines[1]) - 1), lines[3])


@test
def sim_of_a_kernel(t):
    """Words as a kernel records them: one page more than there is room for, of which two are freed, and come anew."""
    came, touched, went, ahead, freed, harvest, lost = 1, 2, 3, 5, 6, 7, 8
    words = [(came, frame, 0) for frame in range(64)]
    words += [(went, 0, 1000), (came, 0, 0), (went, 0, 1001), (came, 0, 1000), (ahead, 100, 1001)]  # two pages in frame 0, in turn
    words += [(freed, 1, 0), (came, 1, 0), (touched, 100, 7), (touched, 2, 7), (touched, 2, 7), (harvest, 7, 5), (lost, 0, 17)]
    path = os.path.join(t.dir, "kernel")
    with open(path, "wb") as file:
        file.write(b"qutrace1" + b"".join(struct.pack("<Q", kind << 60 | frame << 32 | key) for kind, frame, key in words))
    out = subprocess.run([QUIRE, "sim", path, "--memory", "256K", "--policy", "clock"], capture_output=True, text=True, timeout=60).stdout
    t.equal("what is said", ["recorded with 64 pages in memory: 2 read back when or before they were used; 0 of 1 that came before were not",
                             "17 words of it were lost, for the recorder had no room", "69 uses of 66 pages; pages read back:"],
            out.splitlines()[:3])


@test
def sim_refuses(t):
    path = trace_file(t, "empty", [])
    bad = {"unknown": struct.pack("<Q", 9 << 60), "none": bytes(8), "half": bytes([0] * 7 + [0x40, 0, 0])}
    for name, words in bad.items():
        with open(f"{t.dir}/{name}", "wb") as file:
            file.write(b"qutrace1" + words)
    for words, says in (([path], "nothing was recorded"), ([t.dir + "/no"], "No such file"), (["/etc/hostname"], "no trace"),
                        ([t.dir + "/unknown"], "word 1 of the trace is of no known kind"), ([t.dir + "/none"], "of no known kind"),
                        ([t.dir + "/half"], "its last word is not whole"), ([], "which trace"), ([path, "--memory", "1K"], "256K at least"),
                        ([path, "--memory", "16T"], "1T at most"), ([path, "--policy", "none"], "there are lirs")):
        done = subprocess.run([QUIRE, "sim", *words], capture_output=True, text=True, timeout=60)
        t.equal(f"status of sim {words}", 125, done.returncode)
        t.true(f"{says!r} in {done.stderr!r}", says in done.stderr and done.stderr.count("\n") == 1)


@test
def policy_by_name(t):
    done = subprocess.run([QUIRE, "run", "--policy", "none", "true"], capture_output=True, text=True, timeout=60)
    t.equal("status", 125, done.returncode)
    t.true(f"one line with the names: {done.stderr!r}", "lirs, clock, " in done.stderr and done.stderr.count("\n") == 1)
