"""Whole packages at work: archives, version control, builds, databases, a browser. A script is run here and on Quire, and must say the
same; what no two runs say alike it does not print. They take minutes under emulation, so all are in the soak tier."""
import shutil

from harness import *

SCRIPTS = os.path.join(TESTS, "programs", "scripts")
BIG = ["-m", "512M", "--cpus", "2"]


def package(name, *needs, options=("-m", "256M"), user=(), timeout=1800):
    """scripts/NAME.sh under bash, in a directory of its own that it is given as its argument."""
    def function(t):
        for program in needs:
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")
        results = []
        for run in (t.run, lambda argv, **more: t.quire(*argv, options=options, **more)):
            place = os.path.join(t.dir, "work")  # on Quire made in the overlay, so the next finds none
            results.append(run(["bash", f"{SCRIPTS}/{name}.sh", place], timeout=timeout))
            shutil.rmtree(place, ignore_errors=True)
        there, here = results
        said = here.err.replace(b"\r\n", b"\n")
        t.equal("status", there.status, here.status)
        if there.out != here.out:
            raise differ("stdout", there.out, here.out, here.err)
        t.equal("stderr", there.err, said)
        t.true(f"something was done: {there.err!r}", there.status == 0 and there.out)
    add(name, function, soak=True)


def server(name, *needs):
    """scripts/NAME.sh on Quire alone: it starts daemons as their own users, makes users, takes ports. What it must say is scripts/NAME.expected."""
    def function(t):
        for program in needs:
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")
        got = t.quire("bash", f"{SCRIPTS}/{name}.sh", "/tmp/quire-server", options=BIG, timeout=1800)  # a place that other users reach
        expected = open(f"{SCRIPTS}/{name}.expected", "rb").read()
        t.equal("(status, stdout, stderr)", (0, expected, b""), (got.status, got.out, got.err))
    add(name, function, soak=True)


package("files", "tar", "xz", "zstd", "rsync", "bc")
package("git", "git")
package("make", "gcc", "make", options=BIG)
package("cmake", "cmake", "gcc")
package("redis", "redis-server", "redis-benchmark", options=BIG)
package("postgres", "pg_ctlcluster", options=BIG)
package("mariadb", "mariadbd", options=BIG)
package("fio", "fio", options=BIG)
package("real-time", "cyclictest", "pi_stress", options=BIG)
package("memory-tests", "stressapptest", "sysbench", options=BIG)
package("busybox", "busybox")
package("openssl", "openssl", options=BIG)
server("scheduled", "atd", "cron")
server("dns", "named", "unbound", "dig")
server("samba", "smbd", "smbclient")
server("slapd", "slapd", "ldapsearch")
package("media", "ffmpeg", options=BIG)
package("display", "Xvfb", "xterm", "xdotool", "ffmpeg", options=BIG)
package("browser", "chromium", options=["-m", "2G", "--cpus", "2"])


def sqlite(journal):
    """A database of 50 MB made, changed and compacted through mappings, in a directory of the host's; the host finds it whole. What
    compacting writes meanwhile is a temporary file of as much, in memory."""
    def function(t):
        script = f"""
            pragma journal_mode={journal}; pragma mmap_size=268435456; create table t(a integer primary key, b text, c blob);
            with recursive n(i) as (select 1 union all select i+1 from n where i<100000) insert into t select i, 'row '||i, zeroblob(450) from n;
            create index x on t(b); select count(*), sum(a), min(b), max(b) from t;
            update t set b='changed '||a where a%7=0; delete from t where a%11=0; select count(*) from t where b like 'changed%';
            pragma integrity_check; vacuum; pragma integrity_check; pragma page_count;"""
        shared = os.path.join(t.dir, "shared")
        os.mkdir(shared)
        here = t.quire("sqlite3", shared + "/here", script, options=["-m", "96M", "--rw", shared], timeout=1800)
        there = t.run(["sqlite3", shared + "/there", script], timeout=600)
        t.equal("(status, stdout, stderr)", (there.status, there.out, there.err), (here.status, here.out, here.err))
        t.equal("the host's files", ["here", "there"], sorted(os.listdir(shared)))
        t.equal("bytes that differ", b"", t.run(["cmp", shared + "/here", shared + "/there"]).out)
    add("sqlite-" + journal, function, soak=True)


for journal in ("delete", "wal"):
    sqlite(journal)
