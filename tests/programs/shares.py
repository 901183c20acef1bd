"""--rw and --ro: what a program does to a shared directory is done to the host's, and nothing is done to one that may not be written."""
import os, stat, threading, time

from harness import *


def tree(top):
    """What a directory holds, in a form to compare: names, kinds, modes, times where they were set, contents."""
    out = []
    for where, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(dirs + files):
            path = os.path.join(where, name)
            s = os.lstat(path)
            kind = stat.filemode(s.st_mode)
            content = os.readlink(path) if stat.S_ISLNK(s.st_mode) else ""
            if stat.S_ISREG(s.st_mode):
                with open(path, "rb") as file:
                    data = file.read()
                content = f"{len(data)} {hash(data)} {s.st_nlink}"
            times = s.st_mtime_ns if s.st_mtime_ns < 1e18 else "recent"
            out.append(f"{os.path.relpath(path, top)} {kind} {content} {times}")
    return "\n".join(out).encode()


def same(name, script):
    """The script, in a shared directory, has the same output here and on Quire, and leaves the same behind."""
    def function(t):
        seen = []
        for quire in (False, True):
            share = os.path.join(t.dir, "share")
            t.run(["rm", "-rf", share])
            os.mkdir(share)
            result = (t.quire("sh", "-c", script, options=["--rw", share], cwd=share) if quire
                      else t.run(["sh", "-c", script], cwd=share))
            seen.append((result.status, result.out, result.err, tree(share)))
        for what, there, here in zip(("status", "stdout", "stderr", "what is left"), *seen):
            if there != here:
                raise differ(what, there, here, seen[1][2])
    add(name, function)


same("make-and-remove", "mkdir -p a/b/c; echo x >a/b/f; ln a/b/f a/g; ln -s b/f a/s; cat a/s; rm a/b/f; rmdir a/b/c; rmdir a/b/none; ls -R a; cat a/s")
same("write-in-places", "head -c 300000 /dev/zero | tr '\\0' x >f; printf abc | dd of=f bs=1 seek=100000 conv=notrunc 2>/dev/null; echo end >>f; truncate -s 250001 f; cksum f; wc -c f")
same("modes-and-times", "umask 027; touch a; mkdir d; chmod 751 d; chmod u+s a; touch -d 2001-02-03T04:05:06.789 a; stat -c '%A %y' a; mkdir -m 1777 t")
same("times-before-1970", "touch -d 1960-01-02T03:04:05.25 a; touch -d @-0.5 b; stat -c '%y %X' a b; mkdir d; touch -d @-1.75 d; stat -c %y d")
same("rename", "echo 1 >a; echo 2 >b; mkdir d e; echo 3 >d/f; mv a b; mv d e/; mv b e/d/g; mv e/d x; cat x/*; mkdir y; mv -T x y; ls; mv y/f .; cat f")
same("open-across-rename-and-unlink", "echo one >a; exec 3<a 4>>a; mv a b; echo two >&4; cat <&3; rm b; echo three >&4; cat <&3; ls")
same("many-names", "i=0; while [ $i -lt 600 ]; do : >a-file-with-a-rather-long-name-$i; i=$((i+1)); done; ls | wc -l; rm *7; ls | cksum")
same("copy-a-tree", "cp -r /usr/include/linux .; rm -r linux/usb; find . | sort | cksum; tar cf - linux --sort=name --mtime=@1 | cksum")
same("map-shared", """/usr/bin/python3 -c "
import mmap, os
f = open('m', 'wb+'); f.truncate(70000); m = mmap.mmap(f.fileno(), 70000)
m[5:9] = b'here'; m[69990:69995] = b'there'; m.flush(); m[40000:40003] = b'mid'; f.seek(0); print(f.read(12)); m.close()
"; cksum m""")
same("sqlite", "sqlite3 db 'create table t(a); insert into t values(1),(2); delete from t where a=1; insert into t select random() from t; select count(*) from t; pragma integrity_check'; "
     "sqlite3 db 'select count(*) from t' ; sqlite3 db 'drop table t; vacuum'; wc -c db")
same("make-a-program", "echo 'int main(void) { return 3; }' >p.c; gcc p.c -o p; ./p; echo $?; rm p")


same("tmpfile", """/usr/bin/python3 -c "
import os
f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o640); print(os.write(f, b'nameless'), os.fstat(f).st_nlink, os.listdir('.'))
os.link(f'/proc/self/fd/{f}', 'named'); os.write(f, b' no more'); print(os.fstat(f).st_nlink, open('named').read())
g = os.open('.', os.O_TMPFILE | os.O_WRONLY | os.O_EXCL); os.write(g, b'never')
try: os.link(f'/proc/self/fd/{g}', 'never')
except OSError as e: print(e.errno)
os.mkdir('d'); h = os.open('d', os.O_TMPFILE | os.O_RDWR); os.link(f'/proc/self/fd/{h}', 'moved'); os.write(h, b'moved')
"; cat named moved; ls""")


same("removed-working-directory", "mkdir p; cd p; rmdir ../p; ls; echo $?; : >f; echo $?; cd ..; ls")
same("read-while-appended", """/usr/bin/python3 -c "
import os, threading, time
for name in 'abcdefgh':
    f = os.open(name, os.O_CREAT | os.O_RDWR); os.write(f, b'x' * 100)
    t = threading.Thread(target=os.write, args=(f, b'y' * (2 << 20))); t.start()
    time.sleep(.005); os.pread(f, 100, 0); t.join()
    print(os.pread(f, 4096, 0).count(0))
"; cat * | cksum""")
same("rename-over-one-of-two-names", "echo one >a; echo two >b; ln b c; mv a b; cat b c; echo more >>c; cat b c; rm b; cat c; ls")
same("numbers-that-come-again", """/usr/bin/python3 -c "
import os
os.mkdir('p'); os.chdir('p'); os.rmdir('../p'); os.mkdir('../q'); print(open('../q/x', 'w').write('here')); os.chdir('..')
for name in 'abc': os.mknod(name)
held = [os.open(name, os.O_PATH) for name in 'abc']
for name in 'abc': os.unlink(name)
for name in 'def': print(open(name, 'w').write(name), open(name).read(), os.stat(name).st_nlink)
print([os.fstat(f).st_nlink for f in held])
"; ls""")


@test
def special_files_live_in_the_guest(t):
    """FIFOs, sockets and device nodes in a shared directory work, can be moved, linked and removed, and are not seen by the host."""
    os.mkdir(t.dir + "/share")
    t.write("share/file", "one\n")
    script = """
mkfifo -m 640 p && stat -c '%A %F' p; (echo through >p) & cat p; wait
mknod null c 1 3 && echo x >null && stat -c '%A %t:%T' null
ln p q; mkdir d; mv p d/p; ls d; mkfifo p; mv -f file p; cat p; mkfifo r; mv -T r p; stat -c %F p; chmod 600 p; stat -c %A p
rmdir d 2>/dev/null || echo not empty; rm d/p; rmdir d; ls; rm p
python3 - <<END
import os, socket
s = socket.socket(socket.AF_UNIX); s.bind('sock'); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect('sock'); print(oct(os.stat('sock').st_mode))
os.rename('sock', 'other'); c = socket.socket(socket.AF_UNIX); c.connect('other'); print(sorted(os.listdir()), os.stat('q').st_nlink)
END
"""
    result = t.quire("sh", "-c", script, options=["--rw", t.dir + "/share"], cwd=t.dir + "/share")
    t.equal("status, stdout, stderr", (0, b"""prw-r----- fifo
through
crw-r--r-- 1:3
p
one
fifo
prw-------
not empty
null
p
q
0o140755
['null', 'other', 'q'] 1
""", b""), (result.status, result.out, result.err))
    t.equal("what is left", [], os.listdir(t.dir + "/share"))


@test
def what_the_host_puts_in_a_place(t):
    """A file and a directory that the host replaces by others, and a directory that it renames, are the new ones at the next open and stat;
    a descriptor of the old file keeps it."""
    share = t.dir + "/share"
    for name in ("d", "m"):
        os.makedirs(f"{share}/{name}")
        t.write(f"share/{name}/old", "old\n")
    t.write("share/f", "old\n")
    t.write("share/s", "old\n")

    def replace():
        while not os.path.exists(share + "/ready"):
            time.sleep(0.01)
        for name in "fs":
            t.write("share/new", "new, and longer\n")
            os.rename(share + "/new", f"{share}/{name}")
        os.remove(share + "/d/old")
        os.rmdir(share + "/d")
        os.mkdir(share + "/d")
        t.write("share/d/new", "new\n")
        os.rename(share + "/m", share + "/moved")
        t.write("share/go", "")

    host = threading.Thread(target=replace)
    host.start()
    result = t.quire("python3", "-c", """
import os, time
held = open('f'); print(held.read(), open('s').read(), os.listdir('d'), os.listdir('m'), flush=True)
old = os.stat('s').st_ino
open('ready', 'w').close()
while not os.path.exists('go'): time.sleep(0.01)
print(os.stat('s').st_size, os.stat('s').st_ino == old)
print(open('f').read(), os.listdir('d'), open('d/new').read(), os.listdir('moved'), open('moved/old').read())
held.seek(0); print(held.read(), os.fstat(held.fileno()).st_size)
""", options=["--rw", share], cwd=share)
    host.join()
    t.equal("status, stdout, stderr", (0, b"""old
 old
 ['old'] ['old']
16 False
new, and longer
 ['new'] new
 ['old'] old

old
 4
""", b""), (result.status, result.out, result.err))


@test
def a_rename_that_fails_changes_nothing(t):
    """An open file that was to be replaced has its name again, whichever exchange fails."""
    share = t.dir + "/share"
    os.mkdir(share)
    result = t.quire("/usr/bin/python3", "-c", """
import ctypes, os
ctypes.CDLL(None).mlockall(1) # MCL_CURRENT: no exchange is for a page of the program itself
for nth in range(1, 9):
    for name in 'ab': open(name, 'w').write(name)
    held = open('b'); os.stat('a'); os.stat('b')
    fail = open('/proc/thread-self/fail-io-nth', 'r+b', buffering=0)
    fail.write(b'%d' % nth)
    try: os.rename('a', 'b')
    except OSError as e: error = e.errno
    else: error = 0
    left = int(os.pread(fail.fileno(), 16, 0)); fail.write(b'0')
    if left: break
    print(nth, error, sorted(os.listdir()), open('b').read(), held.read())
print(error, sorted(os.listdir()), open('b').read(), held.read())
""", options=["--rw", share], cwd=share)
    t.equal("status, stderr", (0, b""), (result.status, result.err))
    lines = result.out.decode().splitlines()
    t.true(f"both exchanges failed: {lines}", len(lines) >= 3)
    for line in lines[:-1]:
        t.true(f"as it was: {line}", line.endswith(" 5 ['a', 'b'] b b"))
    t.equal("the rename", "0 ['b'] a b", lines[-1])
    t.equal("what is left", ["b"], os.listdir(share))


@test
def read_only(t):
    os.mkdir(t.dir + "/share")
    t.write("share/kept", "as it was\n")
    result = t.quire("sh", "-c", "cat kept; echo no >kept; echo no >new; rm -f kept; mkdir d; ls", options=["--ro", t.dir + "/share"], cwd=t.dir + "/share")
    t.equal("stdout", b"as it was\nkept\n", result.out)
    t.equal("errors", 4, result.err.count(b"Read-only file system"))
    t.equal("what is left", ["kept"], os.listdir(t.dir + "/share"))


@test
def overlay_changes_nothing_here(t):
    t.write("kept", "as it was\n")
    result = t.command("run", "--", "sh", "-c", "echo more >>kept; echo new >new; cat kept new; rm kept; ls", cwd=t.dir)
    t.equal("stdout", b"as it was\nmore\nnew\nnew\n", result.out)
    t.equal("what is left", ["kept"], os.listdir(t.dir))
    t.equal("contents", "as it was\n", open(t.dir + "/kept").read())
    t.true(f"one line that names --rw: {result.err!r}", b"--rw" in result.err and result.err.count(b"\n") == 1)


@test
def dirty_pages_go_back_by_themselves(t):
    """What a program writes to a mapping of a host's file is written there: when it is old enough, when there is much of it, or when memory
    has no room for it. It asks for none of that, and more than memory holds is no reason to kill it."""
    os.mkdir(t.dir + "/share")
    t.write("share/f", "")
    script = """
import mmap, os, re, time
def vmstat(name): return int(re.search(rf"(?m)^{name} (\\d+)$", open("/proc/vmstat").read()).group(1))
def knob(name, value): open("/proc/sys/vm/" + name, "w").write(str(value))
pages = 10000
f = open("f", "r+b"); f.truncate(pages * 4096); m = mmap.mmap(f.fileno(), pages * 4096)
knob("dirty_expire_centisecs", 10); knob("dirty_writeback_centisecs", 5)
before = vmstat("nr_written")
m[0:5] = b"first"
while vmstat("nr_written") == before: time.sleep(0.05)
knob("dirty_expire_centisecs", 100000000)
for i in range(pages): m[i * 4096:i * 4096 + 8] = i.to_bytes(8, "little")
print(vmstat("nr_dirty") <= vmstat("nr_dirty_threshold"), vmstat("nr_written") > pages // 2)
m.madvise(21) # MADV_PAGEOUT
print(vmstat("nr_dirty"))
"""
    result = t.quire("python3", "-c", script, options=["-m", "32M", "--rw", t.dir + "/share"], cwd=t.dir + "/share", timeout=600)
    t.equal("status, stdout, stderr", (0, b"True True\n0\n", b""), (result.status, result.out, result.err))
    with open(t.dir + "/share/f", "rb") as file:
        data = file.read()
    t.equal("pages that hold their number", 10000, sum(int.from_bytes(data[i * 4096:i * 4096 + 8], "little") == i for i in range(10000)))


@test
def short_memory_waits_for_a_slow_host(t):
    """Ten stores a second, and memory full of what must be stored before anything is free: a reason to wait, and to kill nobody."""
    os.mkdir(t.dir + "/share")
    t.write("share/f", "")
    script = """
import ctypes, mmap
for name in ("dirty_background_ratio", "dirty_ratio"): open("/proc/sys/vm/" + name, "w").write("100")
pages = 4000
f = open("f", "r+b"); f.truncate(pages * 4096)
locked = ctypes.CDLL(None).mlockall(1 | 4) # MCL_CURRENT | MCL_ONFAULT: nothing that is clean can go instead
m = mmap.mmap(f.fileno(), pages * 4096)
for i in range(pages): m[i * 4096:i * 4096 + 8] = i.to_bytes(8, "little")
m.close(); f.truncate(0)
print(locked)
"""
    slow = ["--qemu-arg=-set", "--qemu-arg=fsdev.share0.throttling.iops-write=10"]
    result = t.quire("/usr/bin/python3", "-c", script, options=["-m", "16M", *slow, "--rw", t.dir + "/share"], cwd=t.dir + "/share")
    t.equal("status, stdout, stderr", (0, b"0\n", b""), (result.status, result.out, result.err))


@test
def exchanges_wait_for_room_in_the_ring(t):
    """A ring for two exchanges at a time: what drops a thousand nodes, whose ends nobody waits for, and forty readers at once find it full."""
    os.mkdir(t.dir + "/share")
    for i in range(1000):
        t.write(f"share/{i}", f"{i}\n")
    script = """cat * | sort -n | tail -1; echo 2 >/proc/sys/vm/drop_caches
for i in $(seq 40); do cat $i* >/dev/null & done; wait; rm 7*; ls | wc -l"""
    result = t.quire("sh", "-c", script, options=["-m", "64M", "--qemu-arg=-append", "--qemu-arg=p9.ring=4", "--rw", t.dir + "/share"], cwd=t.dir + "/share")
    t.equal("status, stdout, stderr", (0, b"999\n889\n", b""), (result.status, result.out, result.err))


@test
def write_back_errors_are_told_once_to_each(t):
    """Three descriptions of a file: one hears of the error at its msync, one at its fsync, one is opened when all have been told. And each
    of them hears of it from syncfs, as of one of the file system's, but for the last."""
    os.mkdir(t.dir + "/share")
    t.write("share/f", "x" * 4096)
    script = """
import ctypes, errno, mmap, os
def asks(call, *args):
    try: call(*args); return "well"
    except OSError as e: return errno.errorcode[e.errno]
def syncfs(fd):
    if ctypes.CDLL(None, use_errno=True).syncfs(fd): raise OSError(ctypes.get_errno(), "")
a, b = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
m = mmap.mmap(a, 4096)
m[0:3] = b"abc"
with open("/proc/thread-self/fail-io-nth", "w") as n: n.write("1")
print(asks(m.flush), asks(os.fsync, a), asks(os.fsync, b), asks(os.fsync, b), asks(os.fsync, os.open("f", os.O_RDONLY)))
print(asks(syncfs, a), asks(syncfs, a), asks(syncfs, b), asks(syncfs, os.open("f", os.O_RDONLY)), asks(syncfs, os.open("f", os.O_PATH)))
"""
    result = t.quire("python3", "-c", script, options=["--rw", t.dir + "/share"], cwd=t.dir + "/share")
    t.equal("status, stdout, stderr", (0, b"EIO well EIO well well\nEIO well EIO well EBADF\n", b""), (result.status, result.out, result.err))
    t.equal("what is stored", "abc", open(t.dir + "/share/f").read()[:3])
