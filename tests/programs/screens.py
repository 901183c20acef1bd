"""Programs on a pseudo-terminal of the guest's, driven by waiting for text (tests/guest/drive.py)."""
import json, shutil

from harness import *

DRIVE = os.path.join(TESTS, "guest", "drive.py")
PYTHON = "/usr/bin/python3"


def drive(name, argv, steps, status=0, seconds=100, needs=None, **kwargs):
    """The program shows each step's pattern, and ends with the status."""
    def function(t):
        if needs and not shutil.which(needs):
            raise Skip(f"{needs} is not installed")
        result = t.quire(PYTHON, DRIVE, json.dumps(steps), *argv, options=("--timeout", str(seconds), "-q"), timeout=seconds + 20, env=t.environment(TERM="xterm"))
        seen = [f"seen {step[0]!r}" for step in steps]
        t.equal("what was seen", "\n".join(seen + [f"status {status}", ""]), result.out.decode())
        t.equal("stderr", b"", result.err)
    add(name, function, **kwargs)


# The job is no subshell of bash's: that one catches SIGINT until it has executed, and a ^C that comes just before is forgotten.
SHELL = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
drive("bash-job-control", SHELL, [
    (r"\$ $", "tty; stty size\n"),
    (r"/dev/pts/\d+\r\n24 80\r\n\$ $", "sh -c 'echo ready; exec sleep 1000'\n"),
    (r"\nready\r\n", "\x1a"),
    (r"Stopped.*\$ $", "bg; kill -0 %1 && echo alive\n"),
    (r"alive\r\n\$ $", "fg\n"),
    (r"fg\r\n.*sleep.*\r\n", "\x03", "job"),
    (r"\$ $", "echo $?; trap 'echo resized $(stty size)' WINCH\n"),
    (r"130\r\n\$ $", [30, 100]),
    (r"", "echo now\n"),
    (r"resized 30 100\r\n.*\$ $", "cat\n"),
    (r"cat\r\n", "line\n"),
    (r"line\r\nline\r\n", "\x04"),
    (r"\$ $", "exit 7\n"),
], status=7)
drive("python-prompt", [PYTHON, "-q"], [
    (r">>> ", "1 + 1\n"),
    (r"\n2\r\n.*>>> ", "import os; os.get_terminal_size().columns\n"),
    (r"\n80\r\n.*>>> ", "while True: pass\n\n"),
    (r"pass\r\n.*\.\.\. ", "\x03"),
    (r"KeyboardInterrupt\r\n.*>>> ", "\x04"),
], status=-2)  # Python ends by the signal that it was last interrupted by
drive("vim", ["sh", "-c", "vim -u NONE -N text; cat text"], [
    (r"text", "ifrom vim\x1b"),
    (r"from vim", [30, 90]),
    (r"from vim", ":wq\r"),
    (r"written.*from vim\r\n", ""),
])
drive("less", ["sh", "-c", "seq 1000 | less"], [
    (r"\b23\r\n", "/777\r"),
    (r"777.*778.*799\r\n", "G"),
    (r"\b1000\r\n.*END", "q"),
])
drive("top", ["top", "-d", "100"], [(r"PID USER.*top", "q")])
drive("htop", ["htop", "-d", "100"], [(r"PID.*USER.*F10", "q")])
# A job that says when it goes on, so that it is in front (perl hears only when it wakes of a signal that came just before it slept); and a
# status line that changes only when something does: what is drawn anew comes between what a program shows, in the middle of a word.
GOES_ON = r"""perl -e '$| = 1; $SIG{CONT} = sub { print "ba", "ck\n" }; print "rea", "dy\n"; sleep 1 while 1'"""
drive("tmux", ["tmux", "-f", "/dev/null", "-L", "quire", "new-session", "bash --norc --noprofile --noediting", ";", "set", "-g", "automatic-rename", "off",
               ";", "set", "-g", "status-interval", "0"], [
    (r"# ", "tty; stty size\n"),
    (r"/dev/pts/1.*23 80.*# ", GOES_ON + "\n"),
    (r"ready", "\x1a"),
    (r"Stopped.*# ", "fg\n"),
    (r"back", "\x03"),
    (r"# ", "echo code $?\n"),
    (r"code 130", "\x02%"),  # a second pane beside it
    (r"# ", "echo pane $(tty) $(stty size)\n"),
    (r"pane /dev/pts/2 23 39", [30, 100]),
    (r"", "echo now $(stty size)\n"),
    (r"now 29 (49|50|39|59|60)", "vim -u NONE -N; echo le''ft\n"),
    (r"~", ":q\r"),
    (r"left", "python3 -q\n"),
    (r">>>", "6 * 7\n"),
    (r"42.*>>>", "\x02d"),
    (r"detached", ""),
], seconds=900, soak=True)
drive("man", ["sh", "-c", "LESS= man ls"], [("list directory contents", "/--author\r"), ("author of each file", "q")], needs="man", soak=True)
drive("nano", ["sh", "-c", "nano -I text; cat text"], [
    ("Exit", "from nano\n"),
    ("from nano", [30, 90]),
    ("Exit", "\x0f"),
    ("File Name", "\r"),
    ("Wrote 1 line", "\x18"),
    (r"from nano\r\n", ""),
], needs="nano", soak=True)
drive("dialog", ["dialog", "--yesno", "really?", "10", "30"], [("really", "\t\r")], status=1, needs="dialog", soak=True)
drive("watch", ["watch", "-n", "1", "date", "+%S"], [("Every 1.0s", ""), (r"\d\d", "\x03")], needs="watch", soak=True)
drive("script", ["sh", "-c", "script -qec 'tty; exit 5' /dev/null"], [(r"/dev/pts/1\r\n", "")], status=5)


@test
def closed_master_ends_a_shell(t):
    """The master's end: an interactive shell and its job get SIGHUP."""
    result = t.quire(PYTHON, "-c", """
import os, pty
pid, fd = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "-i"])
os.write(fd, b"(trap 'echo job >told; exit' HUP; echo 'rea''dy'; while :; do sleep 0.05; done)\\n")
shown = b""
while b"ready" not in shown:
    shown += os.read(fd, 4096)
os.close(fd)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (-1, 129))
""", options=("--timeout", "60", "-q"))
    t.equal("(status, stdout, stderr)", (0, b"True\n", b""), (result.status, result.out, result.err))


compare("expect", "expect", "-c", """
log_user 0
spawn bash --norc --noediting
expect -re {[$#] $}
send "echo $((6*7))\\r"
expect -re {\\n42\\r\\n} { puts answered }
send "stty -echo; cat\\r"
expect {cat\\r\\n}
send "again\\r\\004"
expect again { puts again }
send "exit 3\\r"
expect eof
puts [lindex [wait] 3]
""")
