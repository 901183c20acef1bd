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

HTTP = """
import http.server, socket, threading, urllib.request
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *a): pass
open("f", "w").write("hello " * 50000)
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    class Server(http.server.ThreadingHTTPServer): address_family = family
    with Server((host, 0), Handler) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        at = f"http://{host if family == socket.AF_INET else '[::1]'}:{s.server_port}"
        for n in range(5): print(len(urllib.request.urlopen(at + "/f").read()))
        try: urllib.request.urlopen(at + "/none")
        except urllib.error.HTTPError as e: print(e)
        s.shutdown()
try: socket.create_connection(("127.0.0.1", 9))
except OSError as e: print(e)
"""

DATAGRAMS = """
import socket
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    a, b = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
    a.bind((host, 0)); b.connect(a.getsockname()); b.send(b"question")
    text, name = a.recvfrom(100); print(text, name == b.getsockname())
    a.sendto(b"answer", name); print(b.recv(100), b.getpeername() == a.getsockname())
    b.send(b"x" * 60000); print(len(a.recv(100000)))
    a.close(); b.send(b"nobody")
    try: b.recv(1)
    except OSError as e: print(e)
print(socket.if_nameindex()[0], socket.has_dualstack_ipv6(), [i[4] for i in socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)])
"""

ASYNC_TCP = ASYNC.replace('open_unix_connection("sock")', 'open_connection("127.0.0.1", 7001)').replace(
    'start_unix_server(handle, "sock")', 'start_server(handle, "127.0.0.1", 7001)')

compare("python-socketpair", "python3", "-c", PAIR)
compare("python-unix-server", "python3", "-c", SERVER)
compare("python-passing-descriptors", "python3", "-c", PASSING)
compare("python-asyncio-unix", "python3", "-c", ASYNC)
compare("python-asyncio-tcp", "python3", "-c", ASYNC_TCP)
compare("python-http", "python3", "-c", HTTP)
compare("python-datagrams", "python3", "-c", DATAGRAMS)


@test
def python_multiprocessing(t):
    script = t.write("m.py", MULTIPROCESSING)
    t.equal("stdout", t.run(["python3", script]).out, t.quire("python3", script).out)


compare("ssh-agent", "sh", "-c", "eval $(ssh-agent -a ./agent) >/dev/null; ssh-keygen -q -t ed25519 -N '' -C me -f key; ssh-add -q key; ssh-add -l | cut -d' ' -f1,3-; "
        "echo signed >text; ssh-keygen -Y sign -q -f key.pub -n test text 2>&1; test -s text.sig && echo signature; ssh-add -D 2>&1; ssh-add -l; kill $SSH_AGENT_PID")
compare("bash-dev-tcp", "bash", "-c", "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 7002)); print(flush=True); c = s.accept()[0]; c.sendall(c.recv(99).upper())' | "
        "(read; exec 3<>/dev/tcp/127.0.0.1/7002; echo hello >&3; cat <&3); (exec 3<>/dev/tcp/127.0.0.1/7003) 2>/dev/null; echo $?")


@test
def outside_is_unreachable(t):
    got = t.quire("python3", "-c", "import socket\nfor a in ('192.0.2.1', '2001:db8::1'):\n  try: socket.create_connection((a, 80))\n  except OSError as e: print(e)")
    t.equal("stdout", b"[Errno 101] Network is unreachable\n" * 2, got.out)

NGINX = """mkdir logs www; head -c 3000000 /dev/zero >www/big; echo hello >www/index.html
cat >conf <<N
daemon off; worker_processes 2; user root; error_log $PWD/logs/e crit; pid $PWD/pid; events { worker_connections 64; }
http { access_log off; sendfile on; client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3; uwsgi_temp_path $PWD/t4;
scgi_temp_path $PWD/t5; server { listen 127.0.0.1:8081; listen [::1]:8081; root $PWD/www; } }
N
nginx -c $PWD/conf & until curl -s -o out http://127.0.0.1:8081/; do :; done
cat out; curl -s http://[::1]:8081/; curl -s http://127.0.0.1:8081/big | cksum; curl -s -o out -w '%{http_code}\\n' http://127.0.0.1:8081/no
nginx -c $PWD/conf -s quit 2>/dev/null; wait"""
compare("nginx-and-curl", "sh", "-c", NGINX)

REDIS = """redis-server --port 6400 --save '' >log & until redis-cli -p 6400 ping 2>/dev/null | grep -q PONG; do :; done
redis-benchmark -p 6400 -n 2000 -c 20 -r 100000 -t set,get,lpush --csv 2>/dev/null | cut -d, -f1
redis-cli -p 6400 set a b; redis-cli -p 6400 get a; redis-cli -p 6400 llen mylist; redis-cli -p 6400 shutdown nosave; wait"""
compare("redis", "sh", "-c", REDIS, options=("-m", "256M"))

OPENSSL = """openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=localhost -days 9 2>/dev/null
openssl s_server -accept 127.0.0.1:4433 -key k -cert c -www >out 2>&1 & p=$!
until printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect 127.0.0.1:4433 -quiet 2>/dev/null >page; do :; done
grep -c 'HTTP/1.0 200' page; kill $p"""
compare("openssl", "bash", "-c", OPENSSL)



def ping(t):
    for to, answer in (("127.0.0.1", b"64 bytes from 127.0.0.1: icmp_seq=2 ttl=64"), ("::1", b"64 bytes from ::1: icmp_seq=2 ttl=64")):
        r = t.quire("ping", "-n", "-c", "2", "-i", "0.01", to)
        t.equal("status", 0, r.status)
        t.true(f"ping says {r.out!r}", answer in r.out and b"2 packets transmitted, 2 received, 0% packet loss" in r.out)
    t.equal("elsewhere", 2, t.quire("ping", "-c", "1", "192.0.2.1").status)
add("ping", ping)

compare("netcat", "bash", "-c", "nc -l -N -U sock </etc/passwd >got & until [ -S sock ]; do :; done; echo through | nc -N -U sock | cksum; wait; cat got")
