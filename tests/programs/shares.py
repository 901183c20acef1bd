"""--rw and --ro: what a program does to a shared directory is done to the host's, and nothing is done to one that may not be written."""
import os, stat

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
def write_back_errors_are_told_once_to_each(t):
    """Three descriptions of a file: one hears of the error at its msync, one at its fsync, one is opened when all have been told."""
    os.mkdir(t.dir + "/share")
    t.write("share/f", "x" * 4096)
    script = """
import errno, mmap, os
def asks(call, *args):
    try: call(*args); return "well"
    except OSError as e: return errno.errorcode[e.errno]
a, b = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
m = mmap.mmap(a, 4096)
m[0:3] = b"abc"
with open("/proc/thread-self/fail-io-nth", "w") as n: n.write("1")
print(asks(m.flush), asks(os.fsync, a), asks(os.fsync, b), asks(os.fsync, b), asks(os.fsync, os.open("f", os.O_RDONLY)))
"""
    result = t.quire("python3", "-c", script, options=["--rw", t.dir + "/share"], cwd=t.dir + "/share")
    t.equal("status, stdout, stderr", (0, b"EIO well EIO well well\n", b""), (result.status, result.out, result.err))
    t.equal("what is stored", "abc", open(t.dir + "/share/f").read()[:3])
