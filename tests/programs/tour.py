"""What `make run` shows: a program that maps memory, forks, and writes, and what each of the three costs. Runs anywhere; on Quire
fork shares the tables, so it costs the same however much memory there is."""
import mmap
import os
import time

MIB = 1 << 20
PROMISED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE, which the module does not name


def resident():
    """KiB of memory that is there for this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE // 1024


def timed(what, function):
    start = time.perf_counter()
    result = function()
    print(f"{what:<46} {(time.perf_counter() - start) * 1e3:8.2f} ms   resident {resident():>6} KiB", flush=True)
    return result


def touch(area, count):
    for i in range(count):
        area[i * mmap.PAGESIZE] = 1


def fork_and_wait():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def main():
    print(f"{os.uname().sysname} {os.uname().release} on {os.uname().nodename}, Python {os.sys.version.split()[0]}", flush=True)
    area = timed("map 1 TiB that is only promised", lambda: mmap.mmap(-1, 1 << 40, flags=PROMISED))
    timed("write the first 16 MiB of it, page by page", lambda: touch(area, 16 * MIB // mmap.PAGESIZE))
    timed("fork, and wait for the child", fork_and_wait)
    child = os.fork()
    if child == 0:
        timed("child: write 1 MiB that both share", lambda: touch(area, MIB // mmap.PAGESIZE))
        os._exit(0)
    os.waitpid(child, 0)
    timed("unmap it all", area.close)


if __name__ == "__main__":
    main()
