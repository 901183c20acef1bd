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
