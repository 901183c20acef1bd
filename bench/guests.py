"""The two kernels that are compared, each as a machine that runs one static program and gives back what it printed.

Both get the same machine from QEMU: microvm with what Linux cannot do without (ACPI, an interval timer, an RTC), the same processor,
memory and clock. Quire has besides the devices that its command gives it, of which nothing that is timed makes use.
"""
import glob, os, re, select, subprocess, time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLACE = os.path.join(os.environ.get("O", os.path.join(TOP, "build")), "bench")
MACHINE = "acpi=on,pit=on,rtc=on,pic=on"
# erms, fsrm: TCG runs `rep movsb` a byte at a time, and Linux would use it where the processor says that it is fast.
CPU = "max,erms=off,fsrm=off"
COUNTED = ["-icount", "shift=0,sleep=off"]
COUNTED_KHZ = 1000000  # a nanosecond an instruction, and the time-stamp counter counts nanoseconds
LIMIT = 900  # seconds: a machine that says nothing for so long is ended


class Failure(Exception):
    pass


def command(*words, **kwargs):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
    if done.returncode:
        raise Failure(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def package(name, where):
    """Debian's package, unpacked in PLACE/where; nothing is installed. Returns the directory."""
    directory, fetched = f"{PLACE}/{where}", f"{PLACE}/{where}.deb"
    if not os.path.isdir(directory):
        os.makedirs(fetched, exist_ok=True)
        print(f"bench: fetching {name}", flush=True)
        command("apt-get", "download", name, cwd=fetched)
        command("dpkg-deb", "-x", glob.glob(fetched + "/*.deb")[0], directory + ".new")
        os.rename(directory + ".new", directory)
    return directory


def dependency(name):
    """The package that a package of no files stands for."""
    found = re.search(r"Depends: (\S+)", command("apt-cache", "depends", name))
    return found.group(1)


def archive(files, to):
    """Writes a cpio archive ("newc"), Linux's initial RAM disk, of {path: file here}."""
    names = {"dev": None, "dev/console": None}
    for path, file in files.items():
        parts = path.split("/")
        names.update({"/".join(parts[:i]): None for i in range(1, len(parts))})
        names[path] = file
    with open(to, "wb") as out:
        for number, (name, file) in enumerate([*names.items(), ("TRAILER!!!", None)]):
            data = open(file, "rb").read() if file else b""
            mode = 0o20600 if name == "dev/console" else 0o100755 if file else 0o40755
            device = (5, 1) if name == "dev/console" else (0, 0)
            fields = (number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
            head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
            out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))


def output_of(argv, limit, first=None):
    """Runs argv, with an environment as short as a first program of Linux has. Returns (what it printed, status, seconds until `first` was there)."""
    start, seen, text = time.monotonic(), None, b""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/", "TERM": "linux"})
    try:
        while True:
            left = start + limit - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                return text.decode("utf-8", "replace"), None, seen
            data = os.read(process.stdout.fileno(), 65536)
            text += data
            if first and seen is None and first in text:
                seen = time.monotonic() - start
            if not data:
                return text.decode("utf-8", "replace"), process.wait(), seen
    finally:
        process.kill()
        process.wait()


class Quire:
    name = "Quire"
    key = "quire"

    def __init__(self):
        self.command = TOP + "/quire"

    def path(self, program):
        return f"{PLACE}/{program}"

    def run(self, *program, memory="1G", cpus=1, counted=False, lean=False, limit=LIMIT, first=None):
        """Returns (output, whether the program ended with 0, seconds until `first` was printed). `lean`: on no more of a machine than
        the kernel needs."""
        extra = [] if lean else ["-machine", MACHINE]
        extra += COUNTED if counted else []
        argv = [self.command, "run", "-q", "-c", str(cpus), "-m", memory, "--no-aslr", "--accel", "tcg",
                *["--qemu-arg=" + word for word in extra], "--", self.path(program[0]), *program[1:]]
        text, status, seen = output_of(argv, limit, first)
        return text, status == 0, seen

    def image(self):
        """(bytes that are loaded, bytes in memory), by the program headers."""
        loads = re.findall(r"LOAD\s+\S+ \S+ \S+ (0x\w+) (0x\w+)", command("readelf", "-lW", TOP + "/build/quire.elf"))
        return sum(int(file, 16) for file, _ in loads), sum(int(memory, 16) for _, memory in loads)


class Linux:
    """`image`: a bzImage; `words`: for its command line."""

    def __init__(self, key, name, image, words=""):
        self.key, self.name, self.image_file, self.words = key, name, image, words
        self.disk = PLACE + "/disk"
        archive({name: f"{PLACE}/{name}" for name in ("init", "micro", "watched", "busybox")}, self.disk)
        self.tsc_khz = int(command(PLACE + "/micro", "--khz"))

    def path(self, program):
        return "/" + program

    def run(self, *program, memory="1G", cpus=1, counted=False, lean=False, limit=LIMIT, first=None):
        """As Quire's; Linux does not start on less of a machine, so `lean` changes nothing."""
        words = ["console=ttyS0 quiet panic=-1 reboot=t mitigations=off init_on_alloc=0 nokaslr norandmaps tsc=reliable",
                 f"tsc_early_khz={COUNTED_KHZ if counted else self.tsc_khz}", self.words, "--"]
        argv = ["qemu-system-x86_64", "-no-user-config", "-nodefaults", "-no-reboot", "-display", "none", "-M", "microvm," + MACHINE,
                "-accel", "tcg", "-cpu", CPU, "-smp", str(cpus), "-m", memory, *(COUNTED if counted else []), "-kernel",
                self.image_file, "-initrd", self.disk, "-serial", "stdio", "-append",
                " ".join([*words, self.path(program[0]), *[f'"{word}"' for word in program[1:]]])]
        text, _, seen = output_of(argv, limit, first)
        return text, "\n== end 0" in text.replace("\r", ""), seen

    def image(self):
        """(bytes that are loaded, bytes in memory): what Linux itself says of its parts when it starts."""
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-M", "microvm," + MACHINE, "-cpu", CPU,
                "-kernel", self.image_file, "-initrd", self.disk, "-serial", "stdio", "-m", "512M", "-append",
                f"console=ttyS0 panic=-1 reboot=t tsc=reliable tsc_early_khz={self.tsc_khz} {self.words} -- /micro --hello"]
        text, _, _ = output_of(argv, 120)
        parts = re.search(r"Memory: .*\((\d+)K kernel code, (\d+)K rwdata, (\d+)K rodata, (\d+)K init, (\d+)K bss", text)
        return os.path.getsize(self.image_file), sum(int(k) * 1024 for k in parts.groups()) if parts else None
