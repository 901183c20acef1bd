"""Debian's Python on Quire."""
from harness import *

PYTHON = "/usr/bin/python3"
compare("hello", PYTHON, "-c", "print('hello', 6 * 7)")
compare("imports", PYTHON, "-c", "import json, ssl, sqlite3, ctypes, subprocess, threading, multiprocessing; print(json.dumps({'a': [1, 2.5, None]}), ssl.OPENSSL_VERSION, sqlite3.sqlite_version)")
compare("pool-of-4", PYTHON, "-c", "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n with m.Pool(4) as p: print(sum(p.map(f, range(2000))), p.apply(f, (9,)))",
        options=["-c", "2"], timeout=180)
compare("subprocess", PYTHON, "-c", "import subprocess as s; print(s.run(['sh', '-c', 'cat; echo err >&2; exit 3'], input=b'in', capture_output=True)); print(s.check_output('echo $((1+1)) | cat', shell=True))")
compare("threads", PYTHON, "-c", "import threading as t, queue\nq = queue.Queue()\ndef f(i):\n for k in range(100): q.put(i)\nl = [t.Thread(target=f, args=(i,)) for i in range(20)]\n[x.start() for x in l]; [x.join() for x in l]\n"
        "print(q.qsize(), t.active_count())")
compare("ctypes", PYTHON, "-c", "import ctypes; l = ctypes.CDLL(None); l.strlen.restype = ctypes.c_size_t; print(l.strlen(b'hello'), l.abs(-4)); f = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1); print(f(4))")
compare("sqlite", PYTHON, "-c", "import sqlite3; c = sqlite3.connect('db'); c.execute('create table t(x)'); c.executemany('insert into t values(?)', [(i,) for i in range(1000)]); c.commit(); print(c.execute('select sum(x) from t').fetchall())")
compare("exceptions-and-status", PYTHON, "-c", "import sys; sys.stderr.write('to stderr\\n'); sys.exit(17)")
compare("uncaught", PYTHON, "-c", "def f(n): return 1 / n\nf(0)")
compare("signals", PYTHON, "-c", "import signal, os, time\nsignal.signal(signal.SIGALRM, lambda *a: print('alarm'))\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(0.2)\n"
        "signal.signal(signal.SIGUSR1, lambda *a: print('usr1'))\nos.kill(os.getpid(), signal.SIGUSR1)\nprint(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")
compare("mmap", PYTHON, "-c", "import mmap, os\nf = open('f', 'w+b'); f.write(b'x' * 10000); f.flush()\nm = mmap.mmap(f.fileno(), 0); m[5000:5005] = b'hello'; m.flush(); m.close()\nf.seek(4998); print(f.read(10))\n"
        "a = mmap.mmap(-1, 1 << 20)\na[0:3] = b'abc'\nif os.fork() == 0:\n a[0:3] = b'xyz'; os._exit(0)\nos.wait(); print(a[0:3])")
compare("fork-tree", PYTHON, "-c", "import os, sys\nd = 0\nfor i in range(5):\n if os.fork() == 0: d += 1\n else: os.wait()\nsys.stdout.write('.'); sys.stdout.flush()", mask=lambda text: b"".join(sorted(text[i:i + 1] for i in range(len(text)))))
compare("sleep-and-clock", PYTHON, "-c", "import time\na, b = time.monotonic(), time.time(); time.sleep(2); c, d = time.monotonic(), time.time()\nprint(c - a >= 2, d - b > 1.95)")
compare("files", PYTHON, "-c", "import os, tempfile, shutil, pathlib\np = pathlib.Path('d/e'); p.mkdir(parents=True); (p / 'f').write_text('x' * 5000); os.rename('d/e/f', 'd/g'); print(sorted(os.walk('.')), os.stat('d/g').st_size)\n"
        "shutil.copytree('d', 'c'); shutil.rmtree('d'); print(os.listdir('.')); t = tempfile.TemporaryFile(); t.write(b'abc'); t.seek(0); print(t.read())")
compare("stdin", PYTHON, "-c", "import sys; print(sum(int(l) for l in sys.stdin))", stdin=b"".join(b"%d\n" % i for i in range(20000)))
