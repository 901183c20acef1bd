"""Sockets, as Debian's programs use them: the output is that of this machine."""
from harness import *

PAIR = """
import array, os, socket, threading
a, b = socket.socketpair()
a.sendall(b"x" * 1000000) if os.fork() == 0 and not b.close() else a.close()
n = 0
while d := b.recv(1 << 16): n += len(d)
print(n)
"""

SERVER = """
import os, socket, socketserver, threading
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line.upper())
with socketserver.ThreadingUnixStreamServer("sock", Echo) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for n in range(20):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("sock")
            f = s.makefile("rw")
            for m in range(20): print(n, m, "hello", file=f)
            f.flush()
            s.shutdown(socket.SHUT_WR)
            print(len(f.read()))
    server.shutdown()
"""

PASSING = """
import os, socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if os.fork() == 0:
    r, w = os.pipe()
    socket.send_fds(a, [b"the read end"], [r])
    os.write(w, b"through a pipe that was passed")
    os._exit(0)
a.close()
message, fds, flags, name = socket.recv_fds(b, 100, 5)
print(message, len(fds), flags, os.read(fds[0], 100), os.read(fds[0], 100), b.recv(10))
"""

MULTIPROCESSING = """
import multiprocessing as mp
from multiprocessing.connection import Client, Listener
def square(n): return n * n
def serve(listener):
    with listener.accept() as c: c.send([c.recv(), "seen"])
if __name__ == "__main__":
    for way in ("fork", "spawn", "forkserver"):
        with mp.get_context(way).Pool(3) as pool: print(way, sum(pool.map(square, range(200))))
    with mp.Manager() as m:
        d = m.dict()
        ps = [mp.Process(target=d.__setitem__, args=(n, n * n)) for n in range(5)]
        [p.start() for p in ps]; [p.join() for p in ps]
        print(sorted(d.items()))
    listener = Listener(family="AF_UNIX", authkey=b"key")
    p = mp.Process(target=serve, args=(listener,)); p.start()
    with Client(listener.address, authkey=b"key") as c: c.send({"a": 1}); print(c.recv())
    p.join()
"""

ASYNC = """
import asyncio
async def handle(reader, writer):
    while line := await reader.readline(): writer.write(line[::-1])
    await writer.drain(); writer.close()
async def client(n):
    reader, writer = await asyncio.open_unix_connection("sock")
    for m in range(20): writer.write(b"%d.%d\\n" % (n, m))
    writer.write_eof()
    return len(await reader.read())
async def main():
    server = await asyncio.start_unix_server(handle, "sock")
    print(await asyncio.gather(*(client(n) for n in range(20))))
    child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    print(await child.communicate(b"through cat"))
    server.close()
asyncio.run(main())
"""

compare("python-socketpair", "python3", "-c", PAIR)
compare("python-unix-server", "python3", "-c", SERVER)
compare("python-passing-descriptors", "python3", "-c", PASSING)
compare("python-asyncio-unix", "python3", "-c", ASYNC)


@test
def python_multiprocessing(t):
    script = t.write("m.py", MULTIPROCESSING)
    t.equal("stdout", t.run(["python3", script]).out, t.quire("python3", script).out)


compare("ssh-agent", "sh", "-c", "eval $(ssh-agent -a ./agent) >/dev/null; ssh-keygen -q -t ed25519 -N '' -C me -f key; ssh-add -q key; ssh-add -l | cut -d' ' -f1,3-; "
        "echo signed >text; ssh-keygen -Y sign -q -f key.pub -n test text 2>&1; test -s text.sig && echo signature; ssh-add -D 2>&1; ssh-add -l; kill $SSH_AGENT_PID")
