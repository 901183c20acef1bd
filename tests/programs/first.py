"""First light: the smallest programs, their ends, their streams, as on this machine."""
import os, pty, signal, subprocess, time

from harness import *

compare("true", "true")
compare("false", "false")
compare("exit-7", "sh", "-c", "exit 7")
compare("path-of-the-program", "/bin/echo", "a", "", "b  c")
compare("arguments-byte-for-byte", "printf", "%s\\n", "\xff\x01 '\"$", "*", "")
compare("echo-to-both", "sh", "-c", "echo out; echo err >&2; echo out again")
compare("ids", "id")
compare("directory", "pwd")
compare("environment", "sh", "-c", "env | sort | grep -v ^_=")
compare("umask", "sh", "-c", "umask; umask 077; touch a; stat -c %a a")
compare("hostname", "uname", "-n")
compare("machine", "uname", "-sm")

# ---- streams
compare("stdin-pipe", "cat", stdin=b"through a pipe\n")
compare("stdin-empty", "cat", stdin=b"")
compare("stdin-null", "cat", stdin=subprocess.DEVNULL)
compare("stdin-lines", "sh", "-c", "read a; read b; echo \"$b $a\"; cat", stdin=b"one\ntwo\nthree\nfour\n")
compare("yes-head-inside", "sh", "-c", "yes | head -1")
compare("isatty", "sh", "-c", "for i in 0 1 2; do test -t $i && echo $i tty; done; true")
compare("kinds-of-streams", "sh", "-c", "stat -L -c %F /dev/fd/0 /dev/fd/1", stdin=b"")


@test
def killed_by_itself(t):
    result = t.quire("sh", "-c", "kill -9 $$")
    t.equal("status and stdout", (137, b""), (result.status, result.out))


@test
def segfault(t):
    source = t.write("fault.c", "int main(int c, char **v) { *(volatile int *)(8 * (long)c) = 1; return 0; }\n")
    t.equal("gcc", 0, t.run(["gcc", "-O1", "-o", t.dir + "/fault", source]).status)
    result = t.command("run", "--", "./fault")
    t.equal("status", 139, result.status)
    t.true(f"one line with the signal and the address: {result.err!r}", b"SIGSEGV" in result.err and b"0x8" in result.err and result.err.count(b"\n") == 1)


@test
def cannot_run(t):
    t.write("not-executable", "x")
    for word, status in (("/no/such", 127), ("no-such-program", 127), ("/tmp", 126), ("./not-executable", 126)):
        result = t.quire(word)
        t.equal(f"status of {word}", status, result.status)
        t.true(f"one line that names {word}: {result.err!r}", word.encode() in result.err and result.err.count(b"\n") == 1)


@test
def yes_head_outside(t):
    result = t.run(["bash", "-c", f"{RUN} yes | head -1; echo ${{PIPESTATUS[0]}}"])
    t.equal("stdout", b"y\n141\n", result.out)


@test
def cat_100_mb(t):
    """Byte-exact through both pipes, by checksum."""
    size = 100 << 20
    script = f"mkfifo f; sha256sum <f >want & head -c {size} /dev/urandom | tee f | {RUN} cat | sha256sum >have; wait; cat want have"
    want, have = t.run(["bash", "-c", script], timeout=300).out.split(b"\n")[:2]
    t.equal("checksum", want, have)


@test
def stdin_from_a_file(t):
    with open(t.write("file", "".join(f"line {i}\n" for i in range(5000)))) as file:
        t.equal("stdout", b"line 4999\n", t.quire("tail", "-n", "1", stdin=file).out)
    with open(t.dir + "/file") as file:
        t.equal("the rest is left", b"line 2\n", t.run(["sh", "-c", f"{RUN} sh -c 'read a; read b'; head -1"], stdin=file).out)


@test
def stdin_closed(t):
    script = "sh -c 'cat 2>/dev/null; echo $?' <&-"
    there, here = t.run(["sh", "-c", f"exec {script}"]), t.run(["sh", "-c", f"exec {RUN} {script}"])
    t.equal("status and stdout", (there.status, there.out), (here.status, here.out))


@test
def stdout_closed_and_full(t):
    for redirection in (">&-", ">/dev/full"):
        there = t.run(["bash", "-c", f"/bin/echo hello {redirection}"])
        here = t.run(["bash", "-c", f"{RUN} /bin/echo hello {redirection}"])
        t.equal(f"status and stderr with {redirection}", (there.status, there.err), (here.status, here.err))


# ---- on a terminal


def session(t, argv, chat, seconds=60):
    """Runs argv on a new terminal; chat: (wait for this, then type that). Returns (status, all that came)."""
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.chdir(t.dir)
            os.execve(argv[0], argv, t.environment(PS1="$ ", TERM="dumb", HOME=t.dir, HISTFILE=""))
        finally:
            os._exit(127)  # exec failed: this is not a second runner of tests
    data, end, chat = b"", time.monotonic() + seconds, list(chat)
    seen = 0
    os.set_blocking(fd, False)
    while time.monotonic() < end:
        try:
            part = os.read(fd, 65536)
            if not part:
                break
            data += part
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            break
        if chat and chat[0][0] in data[seen:]:
            seen = data.index(chat[0][0], seen) + len(chat[0][0])
            os.write(fd, chat.pop(0)[1])
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise Failure(f"the session hung after {short(data)}, waiting for {chat[:1]}")
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    status = os.waitstatus_to_exitcode(status)
    return status if status >= 0 else 128 - status, data


def both_sessions(t, argv, chat):
    there = session(t, argv, chat)
    here = session(t, [QUIRE, "run", *GUEST_OPTIONS, "--", *argv], chat)
    t.equal("status and what the terminal showed", there, here)


@test
def terminal_is_one(t):
    both_sessions(t, ["/bin/sh", "-c", "for i in 0 1 2; do test -t $i && echo $i; done; stty size"], [])


@test
def terminal_line(t):
    both_sessions(t, ["/bin/sh", "-c", "echo who; read x; echo \"hello $x\""], [(b"who", b"wot\x7frld\n")])


@test
def terminal_end_of_file(t):
    both_sessions(t, ["/bin/sh", "-c", "echo go; cat; echo end"], [(b"go", b"a\n"), (b"a\r\n", b"\x04")])


@test
def terminal_ctrl_c(t):
    both_sessions(t, ["/bin/sh", "-c", "echo go; sleep 30"], [(b"go", b"\x03")])
    both_sessions(t, ["/bin/sh", "-c", "trap 'echo caught; exit 3' INT; echo go; while :; do sleep 0.1; done"], [(b"go", b"\x03")])


@test
def terminal_shell(t):
    """An interactive bash: prompt, job control, exit."""
    both_sessions(t, ["/bin/bash", "--norc", "--noprofile", "--noediting", "-i"],
                  [(b"$ ", b"echo $((6*7))\n"), (b"42\r\n$ ", b"sh -c 'echo up; exec sleep 30'\n"), (b"up\r\n", b"\x03"), (b"$ ", b"exit 5\n")])


# ---- signals to the command


def wait_for(process, text):
    line = process.stdout.readline()
    if text not in line:
        raise Failure(f"expected {text!r}, and {line!r} came, with {process.stderr.read()!r}")


@test
def sigterm(t):
    process = t.start([QUIRE, "run", *GUEST_OPTIONS, "--", "sh", "-c", "echo ready; exec sleep 60"])
    wait_for(process, b"ready")
    process.terminate()
    t.equal("status", 143, process.wait(20))


@test
def sigterm_caught(t):
    process = t.start([QUIRE, "run", *GUEST_OPTIONS, "--", "sh", "-c", "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done"])
    wait_for(process, b"ready")
    process.terminate()
    wait_for(process, b"caught")
    t.equal("status", 9, process.wait(20))


@test
def stop_and_continue(t):
    # A shell that waits for a line: one that starts a program by vfork cannot stop until that one has left it, here or on Linux
    # (dash tries the names of PATH in the child: a stop between two of them would stop the child alone).
    process = t.start([QUIRE, "run", *GUEST_OPTIONS, "--", "sh", "-c", "echo ready; read line; echo $line"], stdin=subprocess.PIPE, preexec_fn=os.setpgrp)
    wait_for(process, b"ready")
    process.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    t.true("the command stopped with its program", os.WIFSTOPPED(status))
    process.send_signal(signal.SIGCONT)
    process.stdin.write(b"done\n")
    process.stdin.close()
    wait_for(process, b"done")
    t.equal("status", 0, process.wait(20))


@test
def killed_leaves_no_qemu(t):
    process = t.start([QUIRE, "run", *GUEST_OPTIONS, "--", "sh", "-c", "echo ready; sleep 60"])
    wait_for(process, b"ready")
    kids = open(f"/proc/{process.pid}/task/{process.pid}/children").read().split()
    process.kill()
    process.wait()
    t.equal("one child", 1, len(kids))
    t.true("it is gone", gone(kids[0]))


@test
def timeout(t):
    result = t.quire("sleep", "60", options=["--timeout", "2"])
    t.equal("status", 124, result.status)


# ---- files


@test
def program_built_in_tmp(t):
    source = t.write("hello.c", '#include <stdio.h>\nint main(void) { puts("hello from /tmp"); return 3; }\n')
    t.equal("gcc", 0, t.run(["gcc", "-o", t.dir + "/a.out", source]).status)
    result = t.quire("./a.out")
    t.equal("status, stdout", (3, b"hello from /tmp\n"), (result.status, result.out))


@test
def static_program(t):
    source = t.write("hello.c", '#include <stdio.h>\nint main(void) { puts("hello, static"); return 4; }\n')
    t.equal("gcc", 0, t.run(["gcc", "-static", "-o", t.dir + "/a.out", source]).status)
    result = t.quire("./a.out")
    t.equal("status, stdout", (4, b"hello, static\n"), (result.status, result.out))


@test
def overlay_keeps_this_machine_as_it_is(t):
    t.write("old", "old\n")
    result = t.command("run", "--", "sh", "-c", "echo new >old; echo x >made; mkdir d; cat old made; rm old; ls")
    t.equal("stdout", b"new\nx\nd\nmade\n", result.out)
    t.equal("here", ["old"], os.listdir(t.dir))
    t.true(f"one line about the overlay: {result.err!r}", b"--rw DIR" in result.err and result.err.count(b"\n") == 1)


@test
def rw_writes_through(t):
    t.write("old", "old\n")
    result = t.quire("sh", "-c", "echo new >>old; echo x >made; mkdir d; mv made d/there; sync", options=["--rw", t.dir])
    t.equal("status and stderr", (0, b""), (result.status, result.err))
    t.equal("old", "old\nnew\n", open(t.dir + "/old").read())
    t.equal("d/there", "x\n", open(t.dir + "/d/there").read())


@test
def ro_is_read_only(t):
    t.write("file", "text\n")
    result = t.quire("sh", "-c", "cat /mnt/file; echo x >/mnt/new", options=["--ro", t.dir + ":/mnt"], cwd="/")
    t.equal("stdout", b"text\n", result.out)
    t.true(f"refused: {result.err!r}", b"Read-only file system" in result.err)


@test
def own_file_systems(t):
    """/proc, /dev, /run and /dev/shm are the guest's; /tmp is this machine's."""
    result = t.quire("sh", "-c", f"ls {t.dir}; ls /dev/shm; echo $$ >/dev/shm/x; cat /proc/self/comm; test -e /proc/1 && echo one")
    t.equal("stdout", b"cat\none\n", result.out.replace(os.path.basename(t.dir).encode() + b"\n", b""))


@test
def names_of_the_streams(t):
    """Some hosts have no /dev/stdout; the guest does."""
    result = t.quire("sh", "-c", "cat /dev/stdin; echo out >/dev/stdout; echo err >/dev/stderr", stdin=b"in\n")
    t.equal("stdout and stderr", (b"in\nout\n", b"err\n"), (result.out, result.err))


@test
def options_for_the_program(t):
    result = t.quire("sh", "-c", "pwd; echo $X; id -u; id -g", options=["--cwd", "/usr", "-e", "X=a b", "--user", "1234:5678"])
    t.equal("stdout", b"/usr\na b\n1234\n5678\n", result.out)


@test
def memory_is_exact(t):
    """The classes of frames add up to what was given, whatever the size."""
    for size in ("64M", "100008K"):
        result = t.quire("sh", "-c", "cat /proc/meminfo | head -3", options=["-m", size])
        t.equal("status", 0, result.status)
        t.true(f"MemTotal is there: {result.out!r}", result.out.startswith(b"MemTotal:"))


@test
def ctrl_c_to_a_stubborn_program(t):
    """A program that does not heed INT still ends by KILL of the command, at once."""
    process = t.start([QUIRE, "run", *GUEST_OPTIONS, "--", "sh", "-c", "trap '' INT TERM; echo ready; sleep 60"])
    wait_for(process, b"ready")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    t.equal("still there", None, process.poll())
    process.kill()
    process.wait(5)
