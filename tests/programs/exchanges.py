"""What programs cost in exchanges with the host's file server, as QEMU traces them: what is warm costs none."""
import re

from harness import *


def exchanges(trace, mark):
    """The requests between the marks `mark`-begin and `mark`-end (targets of symbolic links that the program read), by type. Reading the
    second mark's own link is left out: it is the last walk, attributes and readlink."""
    counts, on = [], False
    with open(trace, errors="replace") as lines:
        for line in lines:
            request = re.match(r"v9fs_(\w+) tag", line)
            if request and on and not request.group(1).endswith("_return"):
                counts.append(request.group(1))
            if f"{mark}-begin" in line:
                on = True
            if f"{mark}-end" in line:
                break
    return [kind for kind in counts if kind != "rerror"][:-3]


def traced(t, script):
    """Runs the script, whose words `MARK name` are marks. Returns the trace's name."""
    trace = os.path.join(t.dir, "trace")

    def mark(match):
        name = match.group(1)
        os.symlink(name, os.path.join(t.dir, name))
        return f"readlink {name} >&2"
    script = re.sub(r"MARK (\S+)", mark, script)
    more = [word for arg in ("-trace", "v9fs_*", "-D", trace) for word in ("--qemu-arg", arg)]
    result = t.quire("sh", "-c", script, options=("-q", *more))
    t.equal("status", 0, result.status)
    return trace


@test
def warm_names_and_files(t):
    for directory in ("a", "b", "b/c"):
        os.mkdir(os.path.join(t.dir, directory))
        for n in range(20):
            t.write(f"{directory}/{n}", f"{directory} {n}\n")
    work = "ls -lR . >/dev/null; cat a/* b/c/* >/dev/null; ls a/none 2>/dev/null; find . -name 7 >/dev/null; "
    trace = traced(t, work + "MARK warm-begin; " + work + "MARK warm-end")
    t.equal("exchanges", [], exchanges(trace, "warm"))


@test
def warm_python(t):
    work = "/usr/bin/python3 -c 'import json'; "
    trace = traced(t, work + "MARK warm-begin; " + work + "MARK warm-end")
    t.equal("exchanges", [], exchanges(trace, "warm"))
