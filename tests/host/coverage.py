#!/usr/bin/env python3
"""coverage.py BUILD SOURCES [-v] - what gcov says of each file: lines, branches taken, functions never called."""
import json, pathlib, subprocess, sys

build, sources = pathlib.Path(sys.argv[1]), sys.argv[2]
total = [0, 0, 0, 0]


def show(name, row, more=""):
    print("%-24s lines %5.1f %% of %4d  branches %5.1f %% of %4d%s" % (
        name, 100 * row[0] / row[1], row[1], 100 * row[2] / max(row[3], 1), row[3], more))


for data in sorted((build / sources).glob("*.gcda")):
    out = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", str(data)],
                         capture_output=True, text=True, check=True).stdout
    for f in (f for line in out.splitlines() for f in json.loads(line)["files"]):
        if not f["file"].startswith(sources) or not f["file"].endswith(".c"):
            continue
        branches = [b for l in f["lines"] for b in l["branches"]]
        row = [sum(l["count"] > 0 for l in f["lines"]), len(f["lines"]), sum(b["count"] > 0 for b in branches), len(branches)]
        total = [a + b for a, b in zip(total, row)]
        never = [g["name"] for g in f["functions"] if not g["execution_count"]]
        show(f["file"], row, "  never called: " + " ".join(never) if never else "")
        missed = sorted({l["line_number"] for l in f["lines"] if not l["count"]})
        if "-v" in sys.argv and missed:
            print("    lines never reached:", *missed)
show("all", total)
