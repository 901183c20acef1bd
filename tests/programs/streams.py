"""The standard streams as files: positions, sharing, readiness, what fstat and the rest say of them."""
import os, subprocess

from harness import *

PYTHON = "/usr/bin/python3"


def same(name, script, shell="{} </dev/null"):
    """The Python script gives the same here and on Quire when run by `shell`, which starts it where {} is. What it leaves in the
    files in, out and both is compared too. `fed` is one that feeds it: it reads a line from its standard error before it writes one."""
    def function(t):
        path = t.write("script.py", script)
        seen = []
        for program in (f"{PYTHON} {path}", f"{QUIRE} run {' '.join(GUEST_OPTIONS)} -- {PYTHON} {path}"):
            t.write("in", "".join(f"line {i}\n" for i in range(3000)))
            for name in ("out", "both"):
                t.write(name, "before\n")
            result = t.run(["bash", "-c", shell.format(program)])
            files = [open(os.path.join(t.dir, name), "rb").read() for name in ("in", "out", "both")]
            seen.append((result.status, result.out, result.err, *files))
        for what, there, here in zip(("status", "stdout", "stderr", "in", "out", "both"), *seen):
            if there != here:
                raise differ(what, there, here, seen[1][2])
    add(name, function)


def fed(script):
    return "mkfifo go; (" + script + ") <go | {} 2>go; status=$?; rm go; exit $status"


same("positions-of-a-file", """
import os
print(os.lseek(0, 0, 1), os.read(0, 7), os.pread(0, 6, 14), os.lseek(0, 0, 1), os.lseek(0, -7, 2), os.read(0, 100), os.read(0, 1))
print(os.lseek(0, 70, 0), os.read(0, 7), os.fstat(0).st_size)
""", "( {}; head -2 ) <in")
same("read-whole-file", "import sys; d = sys.stdin.read(); print(len(d), d[-10:])", "{} <in")
same("read-into-its-own-mapping", """
import mmap, os
m = mmap.mmap(0, 8192, access=mmap.ACCESS_COPY); print(os.readv(0, [m]), m[:10], os.lseek(0, 0, 1))
m = mmap.mmap(0, 8192, access=mmap.ACCESS_COPY); print(os.preadv(0, [m], 4096), m[:10], os.lseek(0, 0, 1))
""", "{} <in")
same("file-is-read-no-further", "import os; print(os.read(0, 5))", "( read a; {}; cat ) <in")
same("map-a-file", """
import mmap, os
m = mmap.mmap(0, 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE); print(len(m), m[:7], m[-7:], os.lseek(0, 0, 1))
""", "{} <in")
same("append", "import os; os.write(1, b'a'); os.write(1, b'b'); print(os.lseek(1, 0, 1))", "{} >>out")
same("both-in-one-file", "import os; os.write(1, b'out\\n'); os.write(2, b'err\\n'); os.write(1, b'out\\n'); print(os.lseek(2, 0, 1))",
     "echo first >both; {} >>both 2>&1; echo last >>both")
same("file-grows-as-written", "import os\nfor i in range(3): os.write(1, b'x' * 70000); os.write(2, b'%d\\n' % os.fstat(1).st_size)", "{} >out")
same("file-size-limit", """
import os, signal
signal.signal(signal.SIGXFSZ, lambda *a: os.write(2, b'signal\\n'))
for i in range(3):
    try: os.write(2, b'%d\\n' % os.write(1, b'x' * 700))
    except OSError as e: os.write(2, b'%s\\n' % e.strerror.encode())
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.write(1, b'x')
""", "(ulimit -f 2; {} 2>both) >out 2>/dev/null")
same("kinds", """
import os, stat
for fd in 0, 1, 2:
    s = os.fstat(fd); print(fd, stat.filemode(s.st_mode)[0], os.isatty(fd), s.st_size if stat.S_ISREG(s.st_mode) else '', flush=True)
""", "{} <in 2>out | cat")
same("null", """
import os
a, b = os.fstat(0), os.stat('/dev/null')
print(a.st_rdev == b.st_rdev, a.st_ino == b.st_ino, a.st_dev == b.st_dev, os.read(0, 5), os.write(1, b'') if 0 else '')
""")
same("seek-on-a-pipe", """
import os
for fd in 0, 1:
    try: os.lseek(fd, 0, 1)
    except OSError as e: print(e)
""", "cat in | {} | cat")
same("through-dev", "open('/dev/fd/2', 'w').write('err'); print(open('/dev/fd/0').read(20), flush=True); open('/dev/fd/1', 'w').write('x')",
     "cat in | {} 2>&1 | cat")
same("closed-output", """
import os
try: os.write(1, b'x')
except OSError as e: os.write(2, str(e).encode())
print(sorted(os.listdir('/proc/self/fd'))[:1], file=open('/dev/fd/2', 'w'))
""", "{} >&-")
same("reader-leaves", """
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
try:
    while True: os.write(1, b'x' * 100000)
except BrokenPipeError as e: os.write(2, str(e).encode())
""", "{} | head -c 10")
same("select-now", """
import os, select
print(select.select([0], [1], [], 0), flush=True)
os.write(1, b'x'); os.write(2, b'\\n')
print(select.select([0], [], [], 60), os.read(0, 100)); print(select.select([0], [], [], 60), os.read(0, 100))
""", fed("read x; echo late"))
same("poll-end", """
import os, select
p = select.poll(); p.register(0, select.POLLIN); p.register(1, select.POLLOUT)
print(len(os.read(0, 100000)) > 0); os.read(0, 100000); print(p.poll(60000))
""", "echo x | (sleep 0.1; {}) | cat")
same("nonblocking", """
import os, select
os.set_blocking(0, False)
try: os.read(0, 10)
except BlockingIOError as e: print(e)
os.write(2, b'\\n')
select.select([0], [], []); print(os.read(0, 10)); select.select([0], [], []); print(os.read(0, 10))
""", fed("read x; echo late"))
same("epoll", """
import os, select
e = select.epoll(); e.register(0, select.EPOLLIN | select.EPOLLET)
for i in range(2): os.write(2, b'\\n'); print(e.poll(60)); print(os.read(0, 100))
""", fed("read x; echo one; read x; echo two; read x"))
same("full-pipe", """
import os, select
os.set_blocking(1, False); n = 0
try:
    while True: n += os.write(1, b'x' * 4096)
except BlockingIOError as e: full = e
os.write(2, f'{full} {n >= 65536} {select.select([], [1], [], 0)}\\n'.encode())
os.write(2, f'{len(select.select([], [1], [], 60)[1])}\\n'.encode())
""", "mkfifo go; {} 2>go | (exec 3<go; read x <&3; echo $x; cat >/dev/null; cat <&3); rm go")
same("interrupted-read", """
import os, signal
class Done(Exception): pass
def stop(*a): raise Done
signal.signal(signal.SIGALRM, stop)
try: signal.setitimer(signal.ITIMER_REAL, 0.3); os.read(0, 10)
except Done: print('interrupted')
os.write(2, b'\\n')
print(os.read(0, 10))
""", fed("read x; echo kept"))
same("two-readers", """
import os
pid = os.fork()
if pid == 0:
    d = b''
    while len(d) < 6: d += os.read(0, 3)
    os.write(1, d); os._exit(0)
os.waitpid(pid, 0); print(os.read(0, 100))
""", "printf abcdefghi | {}")
