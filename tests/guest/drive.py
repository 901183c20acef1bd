"""drive.py STEPS PROGRAM...: runs the program on a pseudo-terminal of 24 by 80 and types.

STEPS is a list in JSON of [pattern, keys]: when what the terminal has shown since the last step matches the pattern (a regular expression),
the keys are typed; keys [rows, columns] set the window's size instead. A step [pattern, keys, "job"] waits for a job of the program's,
a shell, to be in front as well: fg says its name before it is. The run's own time limit ends a wait in vain. Prints a line a step, and the
program's status.
"""
import fcntl, json, os, pty, re, select, struct, sys, termios


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main():
    steps, shown = json.loads(sys.argv[1]), b""
    pid, fd = pty.fork()
    if pid == 0:
        resize(0, 24, 80)
        os.environ.update(TERM="xterm", PS1="$ ")
        os.execvp(sys.argv[2], sys.argv[2:])
    for pattern, keys, *job in steps:
        while not re.search(pattern.encode(), shown, re.DOTALL):
            try:
                shown += os.read(fd, 65536)
            except OSError:
                print("ended before", repr(pattern), "after", shown, flush=True)
                sys.exit(1)
        while job and os.tcgetpgrp(fd) == pid:
            select.select([], [], [], 0.01)
        print("seen", repr(pattern), flush=True)
        shown = b""
        if isinstance(keys, list):
            resize(fd, *keys)
        else:
            os.write(fd, keys.encode())
    try:
        while os.read(fd, 65536):
            pass
    except OSError:  # EIO: the last slave was closed
        pass
    print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
