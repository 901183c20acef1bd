"""The tests that Debian's packages ship, by their own runners: each runs on this machine and on Quire, and a case that passes here
passes there. What a case of theirs cannot do on Quire is listed with its reason (`known`), and no longer than it is so. They take
minutes under emulation, so all are in the soak tier."""
import fnmatch, re, shutil
import xml.etree.ElementTree as xml

from harness import *

OPTIONS = ["-m", "1G", "--cpus", "2"]
LIMIT = 1500


def judge(t, there, here, known, text):
    """Verdicts are {case: "pass", "fail" or "skip", with a reason where one is said}; known are patterns of "case: verdict"; text is
    what the run on Quire said."""
    t.true(f"something passes on this machine: {there}", "pass" in there.values())
    passing = {case: f"{case}: {here.get(case, 'nothing')}" for case, verdict in there.items() if verdict == "pass"}
    listed = lambda line: any(fnmatch.fnmatchcase(line, pattern) for pattern in known)
    wrong = [line for case, line in passing.items() if here.get(case) != "pass" and not listed(line)]
    if wrong:
        raise Failure(f"{len(wrong)} of {len(passing)} cases pass on this machine and not on Quire: " + "; ".join(wrong[:20]) +
                      f"; its last words: {text[-1000:]!r}")
    t.equal("cases that pass and are listed as failing", [], [line for case, line in passing.items() if here[case] == "pass" and listed(line)])


def complaints(said):
    """What the command itself said of the run: the checker's and the kernel's complaints."""
    return [line for line in said.split(b"\n") if line.startswith((b"quire:", b"kernel:"))]


def suite(name, run, known=(), needs=()):
    """run(t, place, on_quire) gives (verdicts, Result) of a run in the directory `place`, which both may write to."""
    def function(t):
        for path in needs:
            if not os.path.exists(path) and not shutil.which(path):
                raise Skip(f"{path} is not installed")
        results = []
        for place, on_quire in (("there", False), ("here", True)):
            place = os.path.join(t.dir, place)
            os.mkdir(place)
            results.append(run(t, place, on_quire))
        (there, _), (here, result) = results
        t.equal("what the command says of the run", [], complaints(result.err))
        judge(t, there, here, known, result.out + result.err)
    add(name, function, soak=True)


def start(t, argv, place, on_quire, **more):
    """The command, in `place`, which on Quire is shared."""
    if on_quire:
        return t.quire(*argv, options=[*OPTIONS, "--rw", place], cwd=place, timeout=LIMIT, **more)
    return t.run(argv, cwd=place, timeout=LIMIT, **more)


# ---- python3 -m test: a verdict a case, from the report that its runner writes

def junit(path):
    verdicts = {}
    for case in xml.parse(path).iter("testcase"):
        marks = {child.tag for child in case}
        verdict = "fail" if marks & {"failure", "error"} else "skip" if "skipped" in marks else "pass"
        name = case.get("name").removeprefix("test.")
        if verdicts.get(name) != "fail":  # a subtest that failed is an entry of its own
            verdicts[name] = verdict
    return verdicts


def python(name, *modules, known=(), match=(), ignore=()):
    """`match`, `ignore`: patterns of the only cases that are run on either, and of those that are run on neither."""
    def run(t, place, on_quire):
        argv = ["/usr/bin/python3", "-m", "test", "--junit-xml", "report.xml", *(f"-m{case}" for case in match),
                *(f"-i{case}" for case in ignore), *modules]
        result = start(t, argv, place, on_quire)
        report = os.path.join(place, "report.xml")
        t.true(f"there is a report; {short(result.out[-600:] + result.err[-1000:])}", os.path.exists(report))
        return junit(report), result
    suite(name, run, known, needs=["/usr/lib/python3.11/test/test_posix.py"])


# ---- programs that are a test each; they say their cases in TAP, or only end with a status (77: skipped)

def programs(name, directory, words, options="", known=(), environment=()):
    """Every program of the directory's that is among `words`, one after the other, each in a directory of its own."""
    script = """
        for program; do
            place=$(mktemp -d); cd $place
            TMPDIR=$place timeout -s KILL 400 env $environment $directory/$program $options </dev/null 2>&1
            status=$?
            echo; echo "== $program $status"
            cd /; rm -rf $place
        done"""

    def run(t, place, on_quire):
        argv = ["env", f"directory={directory}", f"options={options}", "environment=" + " ".join(environment), "sh", "-c", script, "sh", *words.split()]
        result = start(t, argv, place, on_quire)
        return tap(result.out), result
    suite(name, run, known, needs=[directory])


def tap(said):
    """{program: verdict} with {program: case: verdict} where a program says its cases."""
    verdicts, cases = {}, {}
    for line in said.decode(errors="replace").splitlines():
        if match := re.match(r"(not ok|ok) \d+ ?-? ?(.*?)(?: # SKIP(.*))?$", line, re.I):
            cases[match[2]] = "fail" if match[1] == "not ok" else "pass" if match[3] is None else "skip" + match[3]
        elif match := re.match(r"== (\S+) (\d+)$", line):
            verdicts[match[1]] = {"0": "pass", "77": "skip"}.get(match[2], "fail")
            verdicts.update({f"{match[1]}: {case}": verdict for case, verdict in cases.items()})
            cases = {}
    return verdicts


# ---- go test: the packages' tests are compiled here, and run in the directory of their sources

GO = "/usr/lib/go-1.19"


def go(name, *packages, only="", known=()):
    script = 'for p; do cd $sources/$p; echo "== $p"; $built/$(echo $p | tr / _) -test.v -test.short ${only:+-test.run "$only"}; done'

    def run(t, place, on_quire):
        built = os.path.join(t.dir, "built")
        for package in () if on_quire else packages:
            done = t.run(["go", "test", "-c", "-o", f"{built}/{package.replace('/', '_')}", package], timeout=LIMIT,
                         env=t.environment(HOME=t.dir, GOCACHE=os.path.join(t.dir, "cache")))
            t.equal("go's (status, stderr)", (0, b""), (done.status, done.err))
        # With GO_GCFLAGS their cases take it that they cannot call the compiler.
        argv = ["env", "GO_GCFLAGS=-x", f"sources={GO}/src", f"built={built}", f"only={only}", "sh", "-c", script, "sh", *packages]
        result = start(t, argv, place, on_quire)
        return go_verdicts(result.out), result
    suite(name, run, known, needs=["go", GO + "/src/os/os_test.go"])


def go_verdicts(said):
    verdicts, package = {}, ""
    for line in said.decode(errors="replace").splitlines():
        if match := re.match(r"== (\S+)$", line):
            package = match[1]
        elif match := re.search(r"--- (PASS|SKIP|FAIL): (\S+) \(", line):
            verdicts[f"{package}.{match[2]}"] = match[1].lower()
    return verdicts


GLIB = "/usr/libexec/installed-tests/glib"
DBUS = "/usr/lib/dbus-1.0/installed-tests/dbus"
SYSTEMD = "/usr/lib/systemd/tests"
OSTREE = "/usr/libexec/installed-tests/libostree"

go("go-os", "os", "os/exec", "os/signal", "os/user", "syscall", "internal/poll", "path/filepath",
   known=["internal/poll.TestReadError/ErrNotPollable: skip"])  # opens /dev/net/tun
go("go-net", "net", known=["net.TestIPConn*"])  # raw sockets, as root

programs("dbus", DBUS, """test-corrupt test-dbus-daemon test-dbus-daemon-eavesdrop test-fdpass test-loopback test-message test-misc-internals
    test-monitor test-relay test-sd-activation test-server-oom test-shell test-sysdeps test-syslog test-uid-permissions test-userdb
    test-refs test-printf""", "--tap", environment=[f"DBUS_TEST_EXEC={DBUS}", f"DBUS_TEST_DATA={DBUS}/data"],
         known=["*Name resolution does not work here*"])  # AI_ADDRCONFIG does not count lo's addresses, and there is only lo

programs("glib-threads", GLIB, """bitlock cond once onceinit thread thread-pool asyncqueue slice-concurrent contexts timeout unix cancellable
    task sleepy-stream pollable""", "--tap")
programs("glib-locks", GLIB, "1bit-mutex rec-mutex rwlock threadtests mainloop", "--tap")
programs("glib-files", GLIB, """dir file fileutils mapping mappedfile io-channel io-channel-basic live-g-file g-file g-file-info testfilemonitor
    readwrite converter-stream async-splice-output-stream async-close-output-stream buffered-input-stream unix-fd unix-mounts unix-streams
    trash vfs""", "--tap")
programs("glib-processes", GLIB, """spawn-multithreaded spawn-singlethread spawn-path-search spawn-test gsubprocess testing logging environment utils
    gutils-user-database protocol""", "--tap")
programs("glib-sockets", GLIB, """socket socket-listener socket-service network-address network-monitor network-monitor-race credentials
    gdbus-connection gdbus-connection-flush gdbus-connection-loss gdbus-peer gdbus-auth gdbus-threading gdbus-non-socket gdbus-server-auth
    gdbus-sasl gdbus-exit-on-close gdbus-names gdbus-subscribe gdbus-proxy gdbus-close-pending gsocketclient-slow""", "--tap")
programs("ostree", OSTREE, "test-concurrency.py test-corruption.sh test-local-pull.sh test-reset-nonlinear.sh test-ot-unix-utils",
         environment=["G_TEST_SRCDIR=" + OSTREE, "G_TEST_BUILDDIR=" + OSTREE])
programs("systemd-files", SYSTEMD, """test-chown-rec test-conf-files test-copy test-data-fd-util test-fdset test-fileio test-fs-util test-glob-util
    test-install-file test-io-util test-mkdir test-mmap-cache test-path-util test-recurse-dir test-rm-rf test-sigbus test-sleep test-stat-util
    test-tmpfile-util test-tmpfiles test-umask-util test-umount test-unaligned test-xattr-util test-journal test-journal-flush test-journal-init
    test-journal-interleaving test-journal-match test-journal-send test-journal-stream test-journal-verify""",
         known=["test-sleep: skip"])  # no file system here says where a file's bytes lie
programs("systemd-processes", SYSTEMD, """test-alloc-util test-async test-barrier test-bus-objects test-bus-server test-bus-watch-bind test-cap-list
    test-capability test-clock test-condition test-coredump-util test-cpu-set-util test-daemon test-date test-device-util test-env-util
    test-errno-util test-event test-exec-util test-execve test-fd-util test-format-util test-hostname-util test-id128 test-local-addresses
    test-log test-netlink test-os-util test-process-util test-procfs-util test-psi-util test-random-util test-rlimit-util test-sched-prio
    test-seccomp test-serialize test-set-disable-mempool test-signal-util test-socket-netlink test-socket-util
    test-terminal-util test-time-util test-user-util test-util test-utmp test-varlink test-watch-pid""", known=[
    "test-capability: *",                  # makes a raw socket
    "test-condition: *",                   # process 1 has no command line
    "test-fd-util: *",                     # mounts over /proc in a name space of its own
    "test-netlink: *",                     # generic netlink
    "test-sched-prio: *", "test-watch-pid: *",  # cgroups
])
python("python-processes", "test_posix", "test_os", "test_fork1", "test_wait3", "test_wait4", "test_resource", "test_popen")
python("python-files", "test_mmap", "test_largefile", "test_fcntl", "test_fileio", "test_tempfile", "test_glob",
       ignore=["*TestCopyfile*", "*TestSocketSendfile*"])  # copies of 2.4 GB, and files live in memory
python("python-signals", "test_signal", "test_threadsignals", "test_eintr", "test_faulthandler")
python("python-polls", "test_select", "test_epoll", "test_poll", "test_selectors", "test_asyncore", "test_socketserver", "test_timeout")
python("python-terminals", "test_pty", "test_openpty", "test_ioctl", "test_curses", "test_readline")
python("python-threads", "test_thread", "test_threading", "test_time",
       ignore=["test_thread_time"])  # takes it that a sleep uses less than 20 ms of the processor's time, as an emulator's busy host counts it
python("python-subprocess", "test_subprocess", ignore=["ProcessTestCaseNoPoll"])  # the same again, by select()
python("python-socket", "test_socket", ignore=["*VSOCK*"])  # a virtual machine's way to its host waits for a peer
python("python-io", "test_io")
python("python-trees", "test_shutil", "test_mailbox", "test_pathlib", "test_tarfile", "test_zipfile")
python("python-libraries", "test_ctypes", "test_gc", "test_bigaddrspace", "test_stat", "test_posixpath")
python("python-asyncio", "test_asyncio")
python("python-fork", "test_multiprocessing_fork", match=["WithProcesses*"])
python("python-fork-others", "test_multiprocessing_fork", ignore=["WithProcesses*"])  # through a manager, and with threads
for method in ("spawn", "forkserver"):
    python("python-" + method, "test_multiprocessing_" + method, match=["WithProcesses*"])
python("python-futures", "test_concurrent_futures", ignore=["*Spawn*", "*Forkserver*"])
