#!/usr/bin/env python3
"""mutate.py - a mutation score: one condition or operator of kernel/vm is changed at a time, the file compiled again, and
the host tests run until one fails. A mutant that no test notices is a survivor: a test is missing, or the change
changes nothing (docs/tests.md).

    mutate.py --build DIR [--count N] [--seed N] FILE...      N mutants by a seed; 0: all of them

The changes: == and !=, < and <=, > and >=, && and ||, + and -, | and &, min and max, true and false, += and -=, ++ and --,
a condition negated, a statement left out."""
import argparse, os, pathlib, random, re, shutil, subprocess, sys, time

SLOWER = 6  # a test that takes so many times as long as the longest that passes hangs, and is noticed
SWAPS = [(r" == ", " != "), (r" != ", " == "), (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "),
         (r" && ", " || "), (r" \|\| ", " && "), (r" \+ ", " - "), (r" - ", " + "), (r" \| ", " & "), (r" & ", " | "),
         (r"\bmin\(", "max("), (r"\bmax\(", "min("), (r"\btrue\b", "false"), (r"\bfalse\b", "true"),
         (r" \+= ", " -= "), (r" -= ", " += "), (r"\+\+", "--"), (r"\bif \(!", "if ("), (r"\bif \((?!!)", None)]
STATEMENT = re.compile(r"^ +(?!return|break|continue|goto|case|struct |u\d|s64|int |bool |entry |enum |unsigned |assert)"
                       r"[a-z*+(-][^={}]*(\(.*\)| [-+|&]?= .*);$")
SKIP = re.compile(r"^\s*(/?\*|//|#|assert|expect|_Static|static const)|\bevent\(|kprintf|panic|frame_poison|\bsay\(")


def negated(code, start):
    """code with the whole condition of the if whose parenthesis ends at start negated, or None: it goes on elsewhere."""
    depth, end = 1, start
    while end < len(code) and depth:
        depth += {"(": 1, ")": -1}.get(code[end], 0)
        end += 1
    return None if depth else code[:start] + "!(" + code[start:end - 1] + "))" + code[end:]


def mutants_of(path):
    """(file, line, old, new) for each change of each line of code."""
    found, comment = [], False
    for number, line in enumerate(path.read_text().split("\n")):
        opened = comment
        comment = ("/*" in line or comment) and "*/" not in line.split("/*")[-1]
        if opened or SKIP.search(line) or not line.startswith(" "):
            continue
        code = line.split("/*")[0].rstrip()
        for pattern, new in SWAPS:
            for m in re.finditer(pattern, code):
                changed = negated(code, m.end()) if new is None else code[:m.start()] + new + code[m.end():]
                if changed:
                    found.append((path, number, code, changed))
        if STATEMENT.match(code):
            found.append((path, number, code, " " * (len(code) - len(code.lstrip())) + ";"))
    return found


class Tests:
    """The host tests, built without sanitizers, with one file exchanged."""

    def __init__(self, build):
        self.build, self.cc = build, os.environ["HOST_CC"]
        self.flags, self.link = os.environ["HOST_FLAGS"].split(), os.environ["HOST_LINK"].split()
        self.objects, self.seconds = {}, 60
        for source in sorted(pathlib.Path("kernel/vm").glob("*.c")) + sorted(pathlib.Path("tests/host").glob("*.c")):
            self.objects[source] = build / (str(source).replace("/", "_") + ".o")
            if not self.compile(source, source, self.objects[source]):
                sys.exit("%s does not compile" % source)

    def compile(self, source, text, out):
        hooks = ["-include", "tests/host/hooks.h"] if source.parts[0] == "kernel" else []
        return not subprocess.run([self.cc, *self.flags, *hooks, "-w", "-c", str(text), "-o", str(out)],
                                  capture_output=True).returncode

    def run(self, source=None, text=None):
        """What the tests say: passed, caught or unbuilt."""
        objects, program = dict(self.objects), self.build / "mutant"
        if source:
            objects[source] = self.build / "mutant.o"
        if source and not self.compile(source, text, objects[source]):
            return "unbuilt"
        if subprocess.run([self.cc, *self.flags, *self.link, *map(str, objects.values()), "-o", str(program)],
                          capture_output=True).returncode:
            return "unbuilt"
        for names in (["model"], []):  # the model first: it notices most, soonest
            self.said = subprocess.run([str(program), "--quick", "--seconds", str(self.seconds), *names],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
            if self.said.returncode:
                return "caught"
        return "passed"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    shutil.rmtree(args.build, ignore_errors=True)
    args.build.mkdir(parents=True)
    every = [m for f in args.files for m in mutants_of(f)]
    chosen = random.Random(args.seed).sample(every, min(args.count or len(every), len(every)))
    tests, began = Tests(args.build), time.time()
    if tests.run() != "passed":
        sys.exit("a test fails without any mutant:\n" + tests.said.stdout)
    tests.seconds = int(SLOWER * float(re.search(r"took ([\d.]+) s", tests.said.stdout)[1])) + 1
    said = {"passed": 0, "caught": 0, "unbuilt": 0}
    for path, number, old, new in chosen:
        lines = path.read_text().split("\n")
        lines[number] = new
        text = args.build / "mutant.c"
        text.write_text('#line 1 "%s"\n' % path + "\n".join(lines))
        answer = tests.run(path, text)
        said[answer] += 1
        if answer == "passed":
            print("survives: %s:%d\n  -%s\n  +%s" % (path, number + 1, old, new), flush=True)
    print("%d of %d mutants noticed, %d survive; %d do not compile; %d are possible; seed %d; %d s" % (
        said["caught"], said["caught"] + said["passed"], said["passed"], said["unbuilt"], len(every), args.seed,
        time.time() - began))


main()
