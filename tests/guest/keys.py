"""keys.py DIRECTORY MIB - redis with MIB of keys: filled, benchmarked, saved while it is written to, started again from the snapshot, and
every key compared. Run by tests/programs/loads.py."""
import os, socket, subprocess, sys

directory, mib = sys.argv[1], int(sys.argv[2])
COUNT = mib * 256
noise = b"".join(i.to_bytes(4, "little") * 3 for i in range(100000))


def value(i):
    """4000 bytes."""
    return noise[i % 90000 * 12:][:3990] + b"%010d" % i


def fail(*what):
    print("FAILED:", *what, flush=True)
    os._exit(1)


class Redis:
    def __init__(self):
        self.path = "/tmp/redis-socket"
        self.server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", directory, "--save", "", "--supervised", "no",
                                        "--rdbcompression", "no"], stdout=subprocess.PIPE)
        for line in self.server.stdout:  # its log says when it listens
            if b"ready to accept connections at" in line.lower():
                break
        else:
            fail("redis-server ended")
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(self.path)
        self.file = self.connection.makefile("rb")

    def send(self, *words):
        self.connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def answer(self):
        line = self.file.readline()
        if line[:1] == b"*":  # of BLPOP: nothing came
            return None
        if line[:1] != b"$":
            return line.strip()
        return self.file.read(int(line[1:]) + 2)[:-2] if line != b"$-1\r\n" else None

    def ask(self, *words):
        self.send(*words)
        return self.answer()

    def stop(self):
        self.send(b"SHUTDOWN", b"NOSAVE")
        self.server.stdout.read()
        if self.server.wait():
            fail("redis-server ended with", self.server.returncode)


def check(redis, first, salt):
    for i in range(first, COUNT, 16):
        some = range(i, min(i + 16, COUNT))
        for k in some:
            redis.send(b"GET", b"key:%d" % k)
        for k in some:
            got = redis.answer()
            if got != value(k + salt):
                fail("key", k, "has", got and got[-20:])


redis = Redis()
for i in range(COUNT):
    redis.send(b"SET", b"key:%d" % i, value(i))
    if redis.answer() != b"+OK":
        fail("SET", i)
done = subprocess.run(["redis-benchmark", "-s", redis.path, "-n", str(mib * 25), "-c", "4", "-q", "-t", "set,get,lpush"], capture_output=True)
if done.returncode or done.stdout.count(b"requests per second") != 3:
    fail("redis-benchmark", done)
if not redis.ask(b"BGSAVE").startswith(b"+"):
    fail("BGSAVE")
for i in range(0, COUNT, 5):  # the snapshot is of before
    if redis.ask(b"SET", b"key:%d" % i, value(i + 1)) != b"+OK":
        fail("SET", i, "while it is saved")
while b"rdb_bgsave_in_progress:0" not in (info := redis.ask(b"INFO", b"persistence")):
    redis.ask(b"BLPOP", b"nothing", b"0.1")  # the server answers when that time is over: the child has it until then
if b"rdb_last_bgsave_status:ok" not in info:
    fail("BGSAVE:", info)
redis.stop()
redis = Redis()
check(redis, 0, 0)
redis.stop()
print("all keys are there")
