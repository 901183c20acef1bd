"""stress-ng's memory stressors, judged by its own report: work was done, what it verifies was right, nothing failed."""
import re, shutil

from harness import *

NOT_RUN = {
    "watchdog": "it wants a /dev/watchdog, and no memory",
}
# What stress-ng may skip by itself: only what it skips on 6.1 too.
MAY_SKIP = {
    "swap": "it swaps to a file in its directory: EINVAL in memory or over 9p on 6.1 too (swapon(2))",
}

# "resources" of stress-ng 0.15 sends SIGALRM to numbers that it never set: small ones, so that those are nobody's, and its shell does not mind.
BEFORE = {"resources": "trap '' ALRM; i=0; while [ $i -lt 500 ]; do (:); i=$((i + 1)); done; "}
# What "pipeherd" counts is what its first process reads at the end, if it ever gets the one token: with one CPU and without this that is luck.
WORDS = {"pipeherd": "--pipeherd-yield"}


def stressors(t, kind):
    listed = t.run(["stress-ng", "--class", kind + "?"])
    words = re.search(rb"stressors: (.*)", listed.out + listed.err)
    t.true(f"stress-ng lists the class {kind}", words)
    return [word for word in words.group(1).decode().split() if word not in NOT_RUN]


def stress(kind, cpus):
    def function(t):
        if not shutil.which("stress-ng"):
            raise Skip("stress-ng is not installed")
        wrong = []
        for name in stressors(t, kind):
            script = BEFORE.get(name, "") + f"cd /tmp && stress-ng --pathological --{name} 1 --{name}-ops 4 {WORDS.get(name, '')} -t 120 --verify --metrics -Y /tmp/report >/tmp/said 2>&1; echo status $?; grep bogo-ops: /tmp/report; cat /tmp/said >&2"
            result = t.quire("sh", "-c", script, options=["-m", "1G", "--cpus", str(cpus)], timeout=300)
            if b"skipp" in result.err and name in MAY_SKIP:
                continue
            done = re.search(rb"bogo-ops: (\d+)", result.out)
            if not done or not int(done.group(1)) or b"status 0\n" not in result.out or re.search(rb"fail:|skipp", result.err):
                wrong.append((name, result.out, result.err[-200:]))
        t.equal("stressors that failed", [], wrong)
    return function


for kind in ("vm", "memory"):
    for cpus in (1, 2):
        add(f"{kind}-on-{cpus}", stress(kind, cpus), soak=True)
