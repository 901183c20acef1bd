"""The system calls that are not there are those that docs/programs.md lists: what tests/abi/every_call.c is recorded and known to answer."""
import os, re

import abi
from harness import *


@test
def documented(t):
    with open(os.path.join(TOP, "docs", "programs.md")) as book:
        chapter = book.read().split("## Calls that get ENOSYS")[1]
    listed = sorted(name for row in re.findall(r"^\| ([a-z0-9_, ]+) \|", chapter, re.M) if row != "call" for name in row.split(", "))
    absent = [case for case, answer in abi.cases(abi.recorded("every_call")).items() if answer == "absent"]
    t.equal("calls that docs/programs.md lists, against those that are absent", sorted(absent + abi.known_failures("every_call")), listed)
