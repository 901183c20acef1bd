"""A terminal on all three streams: the same keys give the same screen, byte for byte, here and on Quire."""
import fcntl, os, pty, re, select, signal, struct, termios, time

from harness import *

PYTHON = "/usr/bin/python3"


def read_until(fd, pattern, deadline):
    """What the terminal shows up to a match of `pattern`; None: up to its end."""
    out = b""
    while pattern is None or not re.search(pattern, out):
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise Failure(f"{pattern!r} does not come after {short(out)}")
        try:
            data = os.read(fd, 65536)
        except OSError:  # EIO: nobody has the other end open any more
            data = b""
        if not data:
            if pattern is None:
                break
            raise Failure(f"the terminal ends before {pattern!r}, after {short(out)}")
        out += data
    return out


def converse(t, argv, steps, size=(33, 101), timeout=60):
    """Runs argv on a terminal. steps: (pattern to wait for, keys to type or a function of the terminal). Returns all that was shown,
    and the status."""
    deadline = time.monotonic() + timeout
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        os.chdir(t.dir)
        os.execvpe(argv[0], argv, t.environment(TERM="dumb", PS1="$ "))
    out = b""
    try:
        for pattern, keys in steps:
            out += read_until(fd, pattern, deadline)
            if callable(keys):
                keys(fd)
            else:
                os.write(fd, keys)
        out += read_until(fd, None, deadline)
    except Failure:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(fd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return out, status if status >= 0 else 128 - status


def same(name, argv, steps=(), mask=lambda out: out, **kwargs):
    def function(t):
        there = converse(t, argv, steps, **kwargs)
        here = converse(t, [QUIRE, "run", *GUEST_OPTIONS, "--", *argv], steps, **kwargs)
        t.equal("status", there[1], here[1])
        if mask(there[0]) != mask(here[0]):
            raise differ("the screen", mask(there[0]), mask(here[0]))
    add(name, function)


def sh(script):
    return ["sh", "-c", script]


def resize(fd):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 40, 0, 0))


same("isatty", sh("for i in 0 1 2; do test -t $i && echo $i; done; stty size; stty -a; tty >/dev/null && echo named"))
same("echo-and-eof", sh("echo ready; cat; echo end"), [(b"ready\r\n", b"hello\n"), (b"hello\r\nhello\r\n", b"\x04")])
same("eof-after-a-part", sh("echo ready; cat; echo end"), [(b"ready\r\n", b"part"), (b"part", b"\x04"), (b"part", b"\x04")])
same("erase", sh("echo ready; head -1"), [(b"ready\r\n", b"abc\x7f\x7fX\t\x7fY\x7f\x7f\x7f\x7fz\n")])
same("erase-utf-8", sh("stty iutf8; echo ready; head -1"), [(b"ready\r\n", "aäö\x7fb\n".encode())])
same("erase-word", sh("echo ready; head -1"), [(b"ready\r\n", b"foo bar-baz  \x17qux\n")])
same("kill-line", sh("echo ready; head -1"), [(b"ready\r\n", b"some thing\x15new\n")])
same("literal-next", sh("echo ready; head -1 | od -c"), [(b"ready\r\n", b"\x16\x03\x16\x7f\x01\n")])
same("reprint", sh("echo ready; head -1"), [(b"ready\r\n", b"abc\x12def\n")])
same("no-echo", sh("stty -echo; echo ready; read a; echo got $a; stty echo; echo now; read b"), [(b"ready\r\n", b"secret\n"), (b"now\r\n", b"seen\n")])
same("no-signals", sh("stty -isig; echo ready; head -1 | od -c"), [(b"ready\r\n", b"a\x03b\n")])
same("long-line", sh("stty -echo; echo ready; head -1 | wc -c"), [(b"ready\r\n", b"x" * 5000 + b"\n")])
same("interrupt", sh("echo ready; exec sleep 100"), [(b"ready\r\n", b"\x03")])
same("quit", sh("ulimit -c 0; echo ready; exec sleep 100"), [(b"ready\r\n", b"\x1c")])
same("interrupt-trapped", sh("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"), [(b"ready\r\n", b"\x03")])
same("window", sh("trap 'stty size; exit 0' WINCH; stty size; while :; do sleep 0.05; done"), [(b"33 101\r\n", resize)])
same("hold-the-output", sh("echo ready; head -1; echo after"), [(b"ready\r\n", b"\x13typed\n"), (b"", b"\x11")])
same("output-kinds", sh(r"stty onlcr; printf 'a\nb\tc\n'; stty -onlcr; printf 'd\ne\r\n'; stty onlcr tab3; printf 'f\tg\n\th\n'; stty olcuc; echo low"))
same("dev-tty", sh("echo ready; (head -1; echo shown >/dev/tty) </dev/tty >/dev/null; tty -s && echo yes"), [(b"ready\r\n", b"line\n")])
same("raw-read", [PYTHON, "-c", "import os, tty; tty.setraw(0); os.write(1, b'ready'); print(os.read(0, 9), end='\\r\\n')"],
     [(b"ready", b"\x03")])
same("read-with-time", [PYTHON, "-c", """
import os, termios, time
a = termios.tcgetattr(0); a[3] &= ~(termios.ICANON | termios.ECHO); a[6][termios.VMIN] = 0; a[6][termios.VTIME] = 2
termios.tcsetattr(0, termios.TCSANOW, a)
start = time.monotonic(); got = os.read(0, 9); print(got, 0.15 < time.monotonic() - start < 2)
a[6][termios.VTIME] = 0; termios.tcsetattr(0, termios.TCSANOW, a); print(os.read(0, 9))
a[6][termios.VMIN] = 3; termios.tcsetattr(0, termios.TCSANOW, a); print("ready", flush=True); print(os.read(0, 9))
"""], [(b"ready", b"a"), (b"", b"b"), (b"", b"c")])
same("poll", [PYTHON, "-c", """
import os, select
print(select.select([0], [1], [], 0)); print("ready", flush=True)
print(select.select([0], [], [], 20), os.read(0, 100))
"""], [(b"ready\r\n", b"keys\n")])
same("waiting-input", [PYTHON, "-c", """
import array, fcntl, os, select, termios
print("ready", flush=True); select.select([0], [], [], 20)
n = array.array("i", [0]); fcntl.ioctl(0, termios.FIONREAD, n); print(n[0], os.read(0, 2), os.read(0, 100))
"""], [(b"ready\r\n", b"five\n")])
# Linux flushes the input after it has sent the signal of a ^Z, and only then shows the ^Z: the shell's prompt may be there before, and
# what is typed at once would be lost. So wait for both, in either order.
STOPPED = b"(?s)(\\^Z.*Stopped.*\\$ $|Stopped.*\\$ \\^Z$)"
# A job says when it runs, and when it goes on: then it is in front. One process: a shell that vforks cannot stop while its child is
# stopped before it executes.
JOB = b"""perl -e '$| = 1; $SIG{CONT} = sub { print "back\\n" }; print "ready\\n"; sleep 1 while 1'\n"""
same("job-control", ["bash", "--norc", "--noediting", "-i"], [
    (b"\\$ $", b"echo $((1+2))\n"),
    (b"\\$ $", JOB),
    (b"ready\r\n", b"\x1a"),
    (STOPPED, b"jobs\n"),
    (b"\\$ $", b"fg\n"),
    (b"back\r\n", b"\x03"),
    (b"\\$ $", b"echo $?\n"),
    (b"\\$ $", b'cat & until [ "$(jobs -s)" ]; do sleep 0.05; done\n'),
    (b"(?s)Stopped.*\\$ $", b"kill -9 %1; while kill -0 %1 2>/dev/null; do sleep 0.05; done\n"),
    (b"Killed *cat\r\n\\$ $", b"exit 4\n"),
], mask=lambda out: re.sub(rb"\[1\] \d+", b"[1]", out.replace(b"^Z", b"")))  # the place of the ^Z is Linux's own race


TIOCGSID = 0x5429  # asm-generic/ioctls.h


def wait_for_job(raw):
    """A step that waits until the shell's job has the terminal: another group than the shell's is in front, and, for one that makes
    the terminal raw, it has done so. The shell leads the session, so its group has the session's number."""
    def wait(fd):
        deadline = time.monotonic() + 30
        shell = struct.unpack("i", fcntl.ioctl(fd, TIOCGSID, bytes(4)))[0]
        while os.tcgetpgrp(fd) == shell or raw and termios.tcgetattr(fd)[3] & termios.ICANON:
            if time.monotonic() > deadline:
                raise Failure(f"after fg: group {os.tcgetpgrp(fd)} in front, the shell's is {shell}, modes {termios.tcgetattr(fd)[3]:#x}")
            select.select([], [], [], 0.01)
    return wait


@test
def stop_and_go_on(t):
    """Ctrl-Z in a host's shell stops the command and the program; fg goes on with both."""
    def screen(program, raw):
        return converse(t, ["bash", "--norc", "--noediting", "-i"], [
            (b"\\$ $", program + b"\n"),
            (b"ready\r\n", b"one\n"),
            (b"one\r\none\r\n", b"\x1a"),
            (STOPPED, b"fg\n"),
            (b"fg\r\n", wait_for_job(raw)),
            (b"", b"two\n"),
            (b"two\r\ntwo\r\n", b"\x04"),
            (b"\\$ $", b"exit 5\n"),
        ])
    # one process in the job: of two, the shell hears of the first that stops, and the other may still take what is typed next
    program, quire = b"sh -c 'echo ready; exec cat'", (RUN + " ").encode()
    there, here = screen(program, False), screen(quire + program, True)
    t.equal("status", there[1], here[1])
    # the place of the ^Z is Linux's own race: no part of the comparison
    t.equal("the screen", there[0].replace(b"^Z", b""), here[0].replace(quire, b"").replace(b"^Z", b""))
