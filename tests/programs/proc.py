"""/proc, /sys and /dev: what programs read there, by its form and by what it must add up to."""
import re

from harness import *

compare("device-null", "echo gone >/dev/null; wc -c </dev/null; cat /dev/null | wc -c")
compare("device-zero", "head -c 100000 /dev/zero | md5sum; dd if=/dev/zero of=/dev/null bs=1M count=8 2>&1 | head -2")
compare("device-full", "echo no >/dev/full", mask=lambda text: text if isinstance(text, int) else b"")
compare("device-urandom", "head -c 1000 /dev/urandom | wc -c; test \"$(head -c 16 /dev/urandom | od -x)\" != "
        "\"$(head -c 16 /dev/urandom | od -x)\" && echo differs")
compare("device-numbers", "stat -L -c '%n %F %t %T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty")
compare("dev-fd", "bash", "-c", "cat /dev/fd/3 3<<<three; cat <(echo process) ; echo out >/dev/fd/1; echo in | cat /dev/fd/0")
compare("self", "readlink /proc/self/exe /proc/self/cwd /proc/self/root; cat /proc/self/comm; tr '\\0' ' ' </proc/self/cmdline")
compare("environ", "env", "-i", "A=1", "B=two words", "cat", "/proc/self/environ")
compare("fd-links", "bash", "-c", "exec 5</etc/passwd 6>/tmp/../dev/null; readlink /proc/$$/fd/5 /proc/$$/fd/6; exec 5<&-; "
        "ls /proc/$$/fd/5 2>&1 | tail -c 26; echo through | cat /proc/self/fd/0")
compare("gone", "cat /proc/99999999/stat; ls /proc/self/nothing; cat /proc/self; test -e /proc/01",
        mask=lambda text: text.replace(b"sh: 1: ", b"") if isinstance(text, bytes) else text)
compare("limits", "bash", "-c", "ulimit -n 77; ulimit -s 1024; grep -E 'open files|stack' /proc/self/limits | cut -c1-40")
compare("mem-of-a-child", "python3", "-c", "import os\nr = os.open('/proc/self/mem', os.O_RDONLY)\n"
        "import ctypes\nb = ctypes.create_string_buffer(b'seen through mem')\nprint(os.pread(r, 16, ctypes.addressof(b)))")
compare("zombie", "python3", "-c", "import os\np = os.fork()\nif p == 0: os._exit(3)\nos.waitid(os.P_PID, p, os.WEXITED | os.WNOWAIT)\n"
        "print(open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[0], repr(open(f'/proc/{p}/cmdline').read()))\n"
        "os.waitpid(p, 0)\nprint(os.path.exists(f'/proc/{p}'))")


def text(t, *words, **kwargs):
    """What a command prints on Quire; it must succeed in silence."""
    result = t.quire(*words, **kwargs)
    t.equal(f"status and stderr of {' '.join(words)}", (0, b""), (result.status, result.err))
    return result.out.decode()


@test
def meminfo_adds_up(t):
    lines = dict(re.fullmatch(r"(.{1,20}?:) *(\d+)( kB)?", line).groups()[:2] for line in text(t, "cat", "/proc/meminfo", options=["-m", "64M"]).splitlines())
    value = {name[:-1]: int(number) for name, number in lines.items()}
    t.true(f"MemTotal {value['MemTotal']} is 64 MiB less what the machine hides", 64 * 1024 - 128 <= value["MemTotal"] <= 64 * 1024)
    known = sum(value[n] for n in ("MemFree", "Cached", "AnonPages", "Slab", "KernelStack", "PageTables"))
    t.true(f"the parts, {known}, are at most the whole and at least all but 4 MiB of it", value["MemTotal"] - 4096 <= known <= value["MemTotal"])


@test
def dmesg_shows_the_log(t):
    """dmesg (by /dev/kmsg) and busybox's (by syslog(2)) show the same lines, those of programs too, and the newest when there are too many."""
    out = text(t, "sh", "-c", "echo '<6>here' >/dev/kmsg; dmesg >a; cat a; busybox dmesg | cmp - a; dmesg -C; dmesg; "
               "for i in $(seq 300); do echo \"<6>line $i of many\" >/dev/kmsg; done; dmesg | tail -n 1; "
               "/usr/bin/python3 -c 'import ctypes; b = ctypes.create_string_buffer(100); ctypes.CDLL(None).klogctl(3, b, 80); print(len(b.value.splitlines()))'")
    lines = [line.split("] ", 1)[-1] for line in out.splitlines()]
    t.true(f"how the kernel began, in {lines}", lines[-4].startswith("smp: "))
    t.equal("the last lines", ["here", "line 300 of many", "2"], lines[-3:])


@test
def maps_lines(t):
    lines = text(t, "cat", "/proc/self/maps").splitlines()
    for line in lines:
        t.true(f"form of {line!r}", re.fullmatch(r"[0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][sp] [0-9a-f]{8} [0-9a-f]{2}:[0-9a-f]{2} \d+ ( *\S.*)?", line))
        t.true(f"name's column in {line!r}", len(line) < 73 or line[72] == " " and line[73] != " ")
    names = [line[73:] for line in lines]
    for name in ("/usr/bin/cat", "[heap]", "[stack]"):
        t.true(f"{name} is among {names}", name in names)
    starts = [int(line.split("-")[0], 16) for line in lines]
    t.equal("order", sorted(starts), starts)


@test
def smaps_agree_with_rollup_and_status(t):
    out = text(t, "sh", "-c", "grep ^Rss /proc/self/smaps; echo; cat /proc/1/smaps; echo; cat /proc/self/smaps_rollup", options=["--user", "0"])
    t.true("kernel process has no mappings", "\n\n\n" in out)
    fields = re.findall(r"^(\w+):", text(t, "cat", "/proc/self/smaps").split("VmFlags")[0], re.M)
    t.equal("fields", "Size KernelPageSize MMUPageSize Rss Pss Pss_Dirty Shared_Clean Shared_Dirty Private_Clean Private_Dirty "
            "Referenced Anonymous LazyFree AnonHugePages ShmemPmdMapped FilePmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss "
            "Locked THPeligible ProtectionKey".split(), fields)


@test
def stat_has_52_fields(t):
    out = text(t, "cat", "/proc/self/stat")
    t.true(f"form of {out!r}", re.fullmatch(r"\d+ \(cat\) R( -?\d+){49}\n", out))


@test
def status_fields(t):
    out = text(t, "cat", "/proc/self/status")
    names = re.findall(r"^(\w+):\t", out, re.M)
    t.equal("first", ["Name", "Umask", "State", "Tgid", "Ngid", "Pid", "PPid", "TracerPid", "Uid", "Gid", "FDSize", "Groups"], names[:12])
    for name in ("VmPeak", "VmRSS", "RssFile", "Threads", "SigCgt", "CapEff", "Cpus_allowed_list", "voluntary_ctxt_switches"):
        t.true(f"{name} is there", name in names)


@test
def checker_by_proc(t):
    out = text(t, "cat", "/proc/sys/vm/check")
    t.true(f"no findings: {out!r}", out.rstrip().endswith(" 0 findings"))


@test
def procps(t):
    out = text(t, "ps", "-eo", "pid,ppid,stat,user,comm").splitlines()
    t.equal("ps's own line", ["ps"], [line.split()[4] for line in out[1:] if line.split()[4] == "ps"])
    t.true("free shows memory", re.search(r"Mem: +65\d{3} ", text(t, "free", options=["-m", "64M"])))
    out = text(t, "top", "-b", "-n1")
    t.true(f"top lists itself: {out!r}", re.search(r" top$", out.rstrip(), re.M))
    t.true("uptime", " up 0 min" in text(t, "uptime"))


@test
def topology(t):
    out = text(t, "sh", "-c", "cd /sys/devices/system; cat cpu/online cpu/possible cpu/cpu1/topology/core_id node/online "
               "node/node0/cpulist; nproc; grep -c ^processor /proc/cpuinfo", options=["-c", "2"])
    t.equal("two CPUs", ["0-1", "0-1", "1", "0", "0-1", "2", "2"], out.split())
    t.equal("one CPU", ["0", "1"], text(t, "sh", "-c", "cat /sys/devices/system/cpu/online; nproc", options=["-c", "1"]).split())


@test
def everything_can_be_read(t):
    """Every file of /proc and /sys that can be opened ends, and the machine is whole afterwards."""
    out = text(t, "bash", "-c", "find /proc /sys -type f ! -name mem ! -name pagemap 2>/dev/null | xargs cat >/dev/null 2>&1; "
               "cat /proc/sys/vm/check", timeout=300)
    t.true(f"no findings: {out!r}", out.rstrip().endswith(" 0 findings"))


@test
def mixes_to_the_page(t):
    """Small, large, shared, swapped, locked pages, and what each file of /proc says of them."""
    t.equal("mixes", "all fields agree\n", text(t, "python3", f"{TESTS}/guest/mixes.py", options=["-m", "96M", "-s", "64M", "--user", "0:0"], timeout=300))
