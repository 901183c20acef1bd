"""What is compared, what the aims are, and how it is written down."""

NEAR = 1.5  # a row is near its aim when it costs at most so many times as much

# row of micro, what it is, aim in instructions (None: reported only). The aims stand in the design; what Linux does is measured here.
OPERATIONS = [
    ("null_call", "null system call (getppid)", 150),
    ("anon_write_fault", "anonymous write fault, with zeroing", 900),
    ("anon_read_fault", "anonymous read fault (zero frame)", 350),
    ("munmap_page", "munmap of touched pages, per page", 80),
    ("mmap_munmap_untouched", "mmap + munmap, 1 page, untouched", 1000),
    ("mmap_touch_munmap", "mmap + touch + munmap, 1 page", 2500),
    ("mprotect_page", "mprotect of 1 page in a mapping", 700),
    ("mprotect_32MiB", "mprotect over 32 MiB touched", 100000),
    ("discard_refault", "MADV_DONTNEED + refault, 1 page", 1700),
    ("after_fork_copy_page", "copy of a shared page after fork, per page", 1300),
    ("after_fork_first_write_in_block", "first write after fork in a full 2 MiB block", 4000),
    ("after_fork_very_first_write", "the very first write after fork (three tables)", 8000),
    ("parent_copy_page", "the same in the parent: copy of a page", 1300),
    ("parent_first_write_in_block", "  first write in a block", 4000),
    ("parent_very_first_write", "  the very first write", 8000),
    ("fork_call_1MiB", "fork, the call alone, 1 MiB touched", 10000),
    ("fork_call_64MiB", "  64 MiB touched", 10000),
    ("fork_call_256MiB", "  256 MiB touched", 10000),
    ("fork_call_1000_mappings", "  1,000 mappings", 10000),
    ("fork_call_4_threads", "  4 threads", 10000),
    ("fork_0MiB", "fork() of glibc, small program", None),
    ("fork_4_threads", "fork() of glibc, 4 threads", None),
    ("fork_exit_wait_0MiB", "fork + exit + wait, small static program", 25000),
    ("fork_exit_wait_64MiB", "  64 MiB touched", None),
    ("fork_exit_wait_256MiB", "  256 MiB touched", 30000),
    ("fork_exec_wait", "fork + exec + wait, small static program", 90000),
    ("file_shared_read_fault", "shared file mapping, read fault, cached", 250),
    ("file_shared_write_fault", "shared file mapping, write fault", 700),
    ("file_private_write_fault", "private file mapping, write fault with copy", 1300),
    ("read_cached_page", "read() of a cached file, per 4 KiB", 700),
    ("pipe_round", "pipe ping-pong, two processes, a round", 3500),
    ("watched_copy", "userfaultfd: a page supplied, nobody waits", None),
    ("watched_missing", "  a missing page, answered by a thread", None),
    ("watched_guarded", "  a guarded page, likewise", None),
]

# row, what it is, aim, divisor from the unit measured to the unit written
OTHERS = [
    ("start_ms", "QEMU's start to the program's first output, ms wall", 150, 1),
    ("least_memory_KiB", "least memory for a shell that forks, KiB", 4096, 1),
    ("image_file", "kernel image, KiB (Linux's: compressed)", 512, 1024),
    ("image_memory", "kernel code and data in memory, KiB", None, 1024),
    ("tables_of_100_forks_KiB", "page tables of 100 forks of a 1 GiB parent, KiB", 3072, 1),
    ("memory_of_100_forks_KiB", "  memory in all that they took, KiB", None, 1),
]

NOTES = """\
A ratio under TCG is not a ratio on hardware: TCG prices a TLB flush, a trap and a cache miss differently.
Linux does work that Quire does not: memory cgroups, security modules, tracing hooks. mitigations=off and init_on_alloc=0 take from it
what Quire lacks.
Linux's table memory leaves out its two upper levels, Quire's has all. Its RAM disk (micro and busybox, 3 MB) lies in the memory it needs."""


def number(value):
    return "-" if value is None else f"{value:,.0f}"


def ratio(linux, quire):
    return "-" if not linux or not quire else f"{linux / quire:,.1f}" if linux / quire < 100 else f"{linux / quire:,.0f}"


def near(value, aim):
    if aim is None or value is None:
        return "-"
    return "met" if value <= aim else f"{'yes' if value <= NEAR * aim else 'NO'} ({value / aim:.2f})"


def scaling(kernel):
    """How many times as fast two threads fault in their pages as one does."""
    return 2 * kernel["scale"]["faults_1_thread"] / kernel["scale"]["faults_2_threads"]


def operations(results):
    """The table of operations, as lines of words; the first is the head."""
    kernels = results["kernels"]
    others = [key for key in kernels if key != "quire"]
    yield ["operation", "Quire", *[kernels[key]["name"] for key in others], *["ratio"] * len(others), "aim", f"within {NEAR}",
           "Quire, us", *[f"{kernels[key]['name'].split()[0]}, us" for key in others], *["ratio"] * len(others)]
    for row, what, aim in OPERATIONS:
        counts = {key: kernels[key]["instructions"].get(row) for key in kernels}
        wall = {key: kernels[key]["wall_ns"].get(row) for key in kernels}
        yield [what, number(counts["quire"]), *[number(counts[key]) for key in others],
               *[ratio(counts[key], counts["quire"]) for key in others], number(aim), near(counts["quire"], aim),
               *["-" if not wall[key] else f"{wall[key] / 1000:,.2f}" for key in ("quire", *others)], *[ratio(wall[key], wall["quire"]) for key in others]]


def rest(results):
    """The table of what is no single operation."""
    kernels = results["kernels"]
    others = [key for key in kernels if key != "quire"]
    yield ["what", "Quire", *[kernels[key]["name"] for key in others], *["ratio"] * len(others), "aim", f"within {NEAR}"]
    for row, what, aim, divisor in OTHERS:
        values = {key: kernels[key]["other"].get(row) for key in kernels}
        scaled = {key: None if value is None else value / divisor for key, value in values.items()}
        yield [what, number(scaled["quire"]), *[number(scaled[key]) for key in others],
               *[ratio(scaled[key], scaled["quire"]) for key in others], number(aim), near(scaled["quire"], aim)]
    factor = scaling(kernels["quire"])
    yield ["anonymous faults, 2 threads on 2 CPUs, times one thread", f"{factor:.2f}", *[f"{scaling(kernels[key]):.2f}" for key in others],
           *["-"] * len(others), "1.9", "met" if factor >= 1.9 else f"{'yes' if factor >= 1.9 / NEAR else 'NO'} ({1.9 / factor:.2f})"]


def aligned(lines):
    lines = list(lines)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(word.ljust(width) if i == 0 else word.rjust(width) for i, (word, width) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)


def head(results):
    turns = "once" if results["quick"] else "the median of 5 interleaved runs"
    return (f"Measured {results['date']}, Quire {results['commit']}, {results['qemu']}, one CPU, 1 GiB. Instructions: -icount shift=0,sleep=off, "
            f"the least of five. Wall time: plain TCG, {turns}.")


def table(results):
    return "\n\n".join([head(results), aligned(operations(results)), aligned(rest(results)), NOTES])


def markdown(lines):
    lines = list(lines)
    lines.insert(1, ["---"] + ["---:"] * (len(lines[0]) - 1))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_figures(results, path):
    return put(path, "bench", "\n\n".join([head(results), markdown(operations(results)), markdown(rest(results))]))


def put(path, mark, text):
    """Replaces what stands between the two marks in the chapter."""
    with open(path) as file:
        before, begin, tail = file.read().partition(f"<!-- {mark} -->\n")
    if not begin:
        raise ValueError(f"{path} has no <!-- {mark} -->")
    after = tail.partition("<!-- end -->\n")[2]
    with open(path, "w") as file:
        file.write(f"{before}{begin}{text}\n<!-- end -->\n{after}")
    return 0
