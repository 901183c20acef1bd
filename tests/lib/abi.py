"""The programs in tests/abi: how they are built, what their answers are compared with.

A program prints one line a case, `what was asked -> what was answered`; the part before the arrow is the case's name. Older programs
print lines without an arrow: there the whole line is the case. tests/abi/recorded/NAME holds what Debian's 6.1 answered (written by
tests/abi/record), tests/abi/known-failures/NAME what Quire is known to answer otherwise: a case that is not listed must agree, and one that
is listed must not (so the list cannot rot).
"""
import glob, os

HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "abi")
KNOWN = os.path.join(HERE, "known-failures")
CFLAGS = ["-std=gnu17", "-O1", "-Wall", "-Wno-stringop-overread", "-Wno-stringop-overflow", "-Wno-nonnull", "-static", "-pthread"]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def programs():
    return sorted(os.path.basename(path)[:-2] for path in glob.glob(HERE + "/*.c"))


def build_command(name, to):
    return ["gcc", *CFLAGS, "-o", to, f"{HERE}/{name}.c"]


def recorded(name):
    """The recorded answer, or None."""
    try:
        with open(f"{HERE}/recorded/{name}", "rb") as file:
            return file.read().split(b"\n", 1)[1]  # the first line names the kernel
    except FileNotFoundError:
        return None


def cases(text):
    """The text as {case: answer}. A line that is there again is another case; so is one with the same name."""
    found = {}
    for line in text.decode("utf-8", "replace").splitlines():
        name, arrow, answer = line.partition(" -> ")
        key, n = name, 1
        while key in found:
            n += 1
            key = f"{name} ({n})"
        found[key] = answer if arrow else None
    return found


def known_failures(name):
    """The cases that Quire is known to answer otherwise: a file with a line each; none when there is no file."""
    try:
        with open(f"{KNOWN}/{name}") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def compare(name, want, got):
    """Compares two outputs. Returns (what is wrong, how many cases are known to differ, how many there are)."""
    want, got, known = cases(want), cases(got), known_failures(name)
    missing = object()
    differing = [case for case in want if got.get(case, missing) != want[case]]
    extra = [case for case in got if case not in want]
    wrong = [f"{case!r}: 6.1 answers {want[case] if want[case] is not None else 'with this line'!r}, Quire "
             f"{got.get(case, 'does not reach it') if want[case] is not None else 'without it'!r}" for case in differing if case not in known]
    if len(extra) > sum(want[case] is None for case in differing if case in known):  # a line with no arrow differs as one lost, one won
        wrong += [f"{case!r}: 6.1 does not say this" for case in extra if got[case] is not None or not wrong]
    wrong += [f"{case!r} is in tests/abi/known-failures, and agrees: take it out" for case in known if case not in differing]
    return wrong, sum(case in known for case in differing), len(want)
