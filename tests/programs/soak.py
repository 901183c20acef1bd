"""The long tests (make soak): the same work again and again on one machine, so that what leaks a little, or races seldom, shows."""
from harness import *

compare("compile-again-and-again", "sh", "-c", "echo 'int main(int c, char **v) { return c * 7; }' >a.c; for i in $(seq 40); do gcc -O2 -o a a.c && ./a $i; echo $?; rm a; done",
        options=["-m", "512M"], timeout=1800, soak=True)
compare("pools", "/usr/bin/python3", "-c", "import multiprocessing as m\ndef f(x): return sum(range(x))\nif __name__ == '__main__':\n for i in range(20):\n  with m.Pool(4) as p: print(i, sum(p.map(f, range(500))))",
        timeout=1800, soak=True)
compare("shell-forks", "bash", "-c", "for i in $(seq 3000); do x=$(echo $i | tr 0-9 a-j); done; echo $x", timeout=1800, soak=True)
compare("pipes-and-jobs", "bash", "-c", "for i in $(seq 200); do (seq 1 200 | sort -rn | head -3 & seq $i | wc -l; wait) | sort; done | cksum", timeout=1800, soak=True)
compare("memory-up-and-down", "/usr/bin/python3", "-c", "import os\nfor i in range(200):\n b = bytearray((i * 37 % 97 + 1) << 18)\n for k in range(0, len(b), 4096): b[k] = i\n if os.fork() == 0:\n  b[0] = 99; os._exit(b[-4096] == i)\n print(os.wait()[1], b[0])",
        options=["-m", "128M"], timeout=1800, soak=True)
