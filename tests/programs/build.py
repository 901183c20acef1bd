"""The build itself."""
import os, subprocess

from harness import *


@test
def kernel_image_is_small(t):
    """At most 1 MiB of code and data as loaded."""
    out = t.run(["size", TOP + "/build/quire.elf"]).out.decode().split("\n")[1].split()
    t.true(f"text + data + bss = {out[3]}", int(out[3]) <= 1 << 20)


@test
def no_writable_and_executable_segment(t):
    out = t.run(["readelf", "-lW", TOP + "/build/quire.elf"]).out.decode()
    t.equal("segments that are RWE", [], [line for line in out.split("\n") if "RWE" in line])


@test
def doctor(t):
    result = t.command("doctor", timeout=60)
    t.true(f"all is well: {result.out!r}", result.status == 0 and b"the kernel comes up in" in result.out)
