"""Language runtimes: a program each that uses threads, its collector and a child. The same output here and on Quire."""
import shutil

from harness import *

MEMORY = ["-m", "1G"]


def runtime(name, *words, source=None, file=None, needs=None, soak=True, same=True, timeout=900, prepare=None):
    """`words` run here and on Quire, where `{file}` is the source's path. soak: what takes long to start under emulation."""
    def function(t):
        for program in needs or words[:1]:
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")
        path = t.write(file, source) if source else ""
        if prepare:
            prepare(t)
        argv = [word.replace("{file}", path).replace("{dir}", t.dir) for word in words]
        there = t.run(argv, timeout=timeout)
        here = t.quire(*argv, options=MEMORY, timeout=timeout)
        t.equal("(status, stdout, stderr)", (there.status, there.out, there.err), (here.status, here.out, here.err))
        t.equal("status", 0, here.status)
    add(name, function, soak)


runtime("lua", "lua5.4", "{file}", file="program.lua", soak=False, source="""
local t = {}
for i = 1, 100000 do t[i] = {i, tostring(i)} end
t = nil
collectgarbage()
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
print(co(), co(), co())
local f = io.popen("echo child")
print(f:read("a"), f:close())
print(os.time() > 0, os.getenv("LC_ALL"))
""")

runtime("ruby", "ruby", "{file}", file="program.rb", source="""
t = (0..3).map { |i| Thread.new { (1..1000).sum + i } }
p t.map(&:value).sum
a = (0..100000).map { |i| [i, i.to_s] }; a = nil
GC.start
q = Queue.new
Thread.new { 3.times { |i| q << i; sleep 0.001 } }
p 3.times.map { q.pop }
puts `echo child`
r, w = IO.pipe
pid = fork { w.puts "from the child"; exit!(3) }
w.close
p r.read, Process.wait2(pid)[1].exitstatus
p Process.clock_gettime(Process::CLOCK_MONOTONIC) > 0
""")

runtime("php", "php", "{file}", file="program.php", source="""<?php
$a = [];
for ($i = 0; $i < 100000; $i++) { $a[] = [$i, "x$i"]; }
unset($a);
gc_collect_cycles();
echo shell_exec("echo child"), array_sum(range(1, 100)), "\\n", preg_replace('/o+/', '0', "foo boo"), "\\n";
function g() { for ($i = 0; $i < 3; $i++) yield $i; }
foreach (g() as $v) echo $v, "\\n";
echo hash('sha256', 'quire'), "\\n", strlen(file_get_contents('/etc/hostname')) > 0 ? "file\\n" : "";
""")

GO = """
package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

func main() {
	var group sync.WaitGroup
	var mutex sync.Mutex
	sum := 0
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			b := make([]byte, 100000)
			mutex.Lock()
			sum += n + len(b)
			mutex.Unlock()
			time.Sleep(time.Millisecond)
		}(i)
	}
	group.Wait()
	runtime.GC()
	out, err := exec.Command("echo", "child").Output()
	fmt.Println(sum, string(out), err)
	select {
	case <-time.After(5 * time.Millisecond):
		fmt.Println("after")
	}
}
"""


def go_build(t):
    built = t.run(["go", "build", "-o", t.dir + "/built", t.dir + "/program.go"], env=t.environment(HOME=t.dir, GOCACHE=t.dir + "/cache"), timeout=600)
    t.equal("go's output", b"", built.err)


runtime("go", "{dir}/built", source=GO, file="program.go", needs=["go"], prepare=go_build)
runtime("go-run", "env", "HOME=/tmp", "GOCACHE=/tmp/cache", "go", "run", "{file}", source=GO, file="program.go", needs=["go"], timeout=3000)

runtime("node", "node", "--expose-gc", "{file}", file="program.js", source="""
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (isMainThread) {
  let left = 2, sum = 0;
  for (let i = 0; i < 2; i++) {
    new Worker(__filename).on('message', m => {
      sum += m;
      if (--left) return;
      let a = [];
      for (let i = 0; i < 100000; i++) a.push({ i });
      a = null;
      gc();
      require('child_process').exec('echo child', (e, out) => console.log(e, out.trim(), sum, require('fs').readFileSync('/etc/hostname').length > 0, process.hrtime.bigint() > 0n));
    });
  }
} else {
  let s = 0;
  for (let i = 0; i < 1e5; i++) s += i;
  parentPort.postMessage(s);
}
""")

JAVA = """
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Program {
    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> results = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            final int n = i;
            results.add(pool.submit(() -> {
                long sum = 0;
                for (int k = 0; k < 1000; k++)
                    sum += new byte[10000].length + n;
                return sum;
            }));
        }
        long total = 0;
        for (Future<Long> each : results)
            total += each.get();
        pool.shutdown();
        System.gc();
        System.out.println(total + " " + IntStream.range(0, 1000).parallel().sum());
        Process child = new ProcessBuilder("echo", "child").inheritIO().start();
        System.out.println(child.waitFor());
    }
}
"""


def javac(t):
    t.equal("javac's output", b"", t.run(["javac", "-d", t.dir, t.dir + "/Program.java"], timeout=600).err)


runtime("java", "java", "-cp", "{dir}", "Program", source=JAVA, file="Program.java", needs=["java", "javac"], prepare=javac)

def compiled(*compiler):
    """Built here: the program is tried there, not its compiler."""
    def prepare(t):
        built = t.run([word.replace("{dir}", t.dir) for word in compiler], timeout=600)
        t.equal("the compiler's status", (0, b""), (built.status, built.err))
    return prepare


runtime("rust", "{dir}/built", needs=["rustc"], file="program.rs", prepare=compiled("rustc", "-O", "-o", "{dir}/built", "{dir}/program.rs"), source="""
use std::collections::HashMap;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

fn main() {
    let shared = Arc::new(Mutex::new(HashMap::new()));
    let threads: Vec<_> = (0..4i64).map(|i| {
        let shared = shared.clone();
        thread::spawn(move || for j in 0..20000i64 { shared.lock().unwrap().insert((i, j), j * i); })
    }).collect();
    for each in threads { each.join().unwrap(); }
    println!("{}", shared.lock().unwrap().values().sum::<i64>());
    let (send, receive) = mpsc::channel();
    thread::spawn(move || for i in 0..1000 { send.send(i).unwrap() });
    println!("{}", receive.iter().sum::<i32>());
    println!("{:?}", std::process::Command::new("echo").arg("child").output().unwrap().stdout);
    std::panic::set_hook(Box::new(|_| {}));
    println!("{}", std::panic::catch_unwind(|| { let none: Option<i32> = None; none.unwrap() }).is_err());
}
""")

runtime("haskell", "{dir}/built", "+RTS", "-N2", needs=["ghc"], file="program.hs",
        prepare=lambda t: t.equal("ghc's status", 0, t.run(["ghc", "-O", "-threaded", "-rtsopts", "-outputdir", t.dir, "-o", t.dir + "/built",
                                                            t.dir + "/program.hs"], timeout=600).status), source="""
import Control.Concurrent
import qualified Data.Map as M

main = do
  v <- newEmptyMVar
  mapM_ (\\i -> forkIO (putMVar v $! M.size (M.fromList [(x * i `mod` 100003, x) | x <- [1 .. 50000 :: Int]]))) [1 .. 4]
  sizes <- mapM (const (takeMVar v)) [1 .. 4 :: Int]
  print (sum sizes)
""")

runtime("ocaml", "ocaml", "{file}", file="program.ml", source="""
let () =
  let t = Hashtbl.create 10 in
  for i = 0 to 200000 do Hashtbl.replace t (i * 7919 mod 100003) i done;
  Printf.printf "%d\n" (Hashtbl.length t);
  Gc.compact ();
  Printf.printf "%b\n" ((Gc.stat ()).Gc.compactions > 0)
""")

runtime("erlang", "erl", "+S", "2", "-noshell", "-pa", "{dir}", "-s", "program", "main", needs=["erl", "erlc"], file="program.erl",
        prepare=compiled("erlc", "-o", "{dir}", "{dir}/program.erl"), source="""
-module(program).
-export([main/0]).
main() ->
    Self = self(),
    [spawn(fun() -> Self ! lists:sum(lists:seq(1, I * 1000)) end) || I <- lists:seq(1, 200)],
    io:format("~p ~p~n", [lists:sum([receive X -> X end || _ <- lists:seq(1, 200)]), erlang:system_info(schedulers)]),
    halt(0).
""")

runtime("lisp", "sbcl", "--script", "{file}", needs=["sbcl"], file="program.lisp", source="""
(let ((threads (loop for i below 4 collect
        (sb-thread:make-thread (lambda (k) (loop for j below 200000 sum (length (list j k)))) :arguments (list i)))))
  (print (mapcar #'sb-thread:join-thread threads)))
(gc :full t)
(terpri)
""")

runtime("guile", "guile", "-q", "--no-auto-compile", "{file}", file="program.scm", source="""
(use-modules (ice-9 threads))
(display (apply + (par-map (lambda (n) (let loop ((i 0) (s 0)) (if (= i 100000) s (loop (+ i 1) (+ s n))))) '(1 2 3 4))))
(newline)
(gc)
""")

runtime("racket", "racket", "{file}", file="program.rkt", source="""
#lang racket/base
(define threads (for/list ([i 4]) (thread (lambda () (for ([j 10000]) (make-vector 10 j))))))
(for-each thread-wait threads)
(collect-garbage)
(displayln "done")
""".lstrip())

runtime("mono", "mono", "{dir}/program.exe", needs=["mono", "mcs"], file="program.cs", prepare=compiled("mcs", "-out:{dir}/program.exe", "{dir}/program.cs"),
        source="""
using System;
using System.Collections.Generic;
using System.Threading;

class Program {
    static void Main() {
        long total = 0;
        var threads = new List<Thread>();
        for (int i = 0; i < 4; i++) {
            int k = i;
            var t = new Thread(() => {
                var list = new List<object>();
                for (int j = 0; j < 50000; j++)
                    list.Add(new int[k + 1]);
                Interlocked.Add(ref total, list.Count * k);
            });
            t.Start();
            threads.Add(t);
        }
        foreach (var t in threads)
            t.Join();
        GC.Collect();
        Console.WriteLine(total);
        try {
            object none = null;
            none.ToString();
        } catch (NullReferenceException) { // a SIGSEGV
            Console.WriteLine("null");
        }
    }
}
""")

runtime("r", "Rscript", "{file}", file="program.R", source="""
x <- matrix(sin(1:40000), 200)
cat(dim(solve(x + diag(200))), "\n")
library(parallel)
cat(sum(unlist(mclapply(1:4, function(i) i^2, mc.cores = 2))), "\n")
""")

runtime("prolog", "swipl", "-q", "{file}", file="program.pl", source="""
:- initialization(main).
main :- findall(T, (between(1, 4, I), thread_create((numlist(1, 50000, L), sum_list(L, S), X is S * I, thread_exit(X)), T, [])), Ts),
        maplist([T, V]>>(thread_join(T, exited(V))), Ts, Vs), sum_list(Vs, R), writeln(R), halt.
""")

runtime("luajit", "luajit", "{file}", file="program.lua", source="""
local t = {}
for i = 1, 1e6 do t[i] = i * 2 end
print(#t, t[1e6])
""")

runtime("pypy", "pypy3", "{file}", file="program.py", source="""
import os, threading
sums = []
ts = [threading.Thread(target=lambda i=i: sums.append(sum(range(10**6 * i)))) for i in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sorted(sums), os.popen("echo child").read())
""")

runtime("tcl", "tclsh8.6", "{file}", needs=["tclsh8.6"], file="program.tcl", source="""
set pipe [open "|cat" r+]
puts $pipe "through a child"
close $pipe write
puts [read $pipe]
after 5 {set done 1}
vwait done
puts [exec echo child]
""")

# Each translates the program that it runs, in one address space with it.
runtime("valgrind", "valgrind", "-q", "--leak-check=full", "--error-exitcode=9", "ls", "/")
runtime("qemu-user", "qemu-x86_64", "/usr/bin/python3", "-c",
        "import threading; t = threading.Thread(target=print, args=(5,)); t.start(); t.join()")


PYTHON = {
    "asyncio": """
import asyncio, selectors
async def one(n):
    await asyncio.sleep(0.001 * n)
    return n
async def main():
    print(await asyncio.gather(*(one(i) for i in range(5))))
    print(await asyncio.get_running_loop().run_in_executor(None, sum, range(100)))
asyncio.run(main())
""",
    "subprocess": """
import subprocess, threading
print(subprocess.run(["sh", "-c", "cat; exit 3"], input=b"in", capture_output=True))
ps = [subprocess.Popen(["sh", "-c", f"exit {i}"]) for i in range(4)]
print([p.wait(timeout=60) for p in ps])
try:
    subprocess.run(["sleep", "100"], timeout=0.05)
except subprocess.TimeoutExpired as e:
    print("late")
t = [threading.Thread(target=lambda i=i: subprocess.check_output(["echo", str(i)])) for i in range(3)]
[x.start() for x in t]; [x.join() for x in t]
print(subprocess.getoutput("echo child"))
""",
    "shared-memory": """
from multiprocessing import shared_memory, resource_tracker
import os
a = shared_memory.SharedMemory(create=True, size=10000)
a.buf[:4] = b"word"
pid = os.fork()
if pid == 0:
    b = shared_memory.SharedMemory(a.name)
    b.buf[5] = 7
    os._exit(bytes(b.buf[:4]) != b"word")
print(os.waitpid(pid, 0)[1], a.buf[5])
a.close(); a.unlink()
""",
    "multiprocessing-fork": """
import multiprocessing as m
def f(q, n):
    q.put(n * n)
if __name__ == "__main__":
    c = m.get_context("fork")
    q = c.Queue()
    p = [c.Process(target=f, args=(q, i)) for i in range(4)]
    [x.start() for x in p]
    print(sorted(q.get() for _ in p))
    [x.join() for x in p]
    with c.Pool(2) as pool:
        print(pool.map(abs, range(-5, 0)))
""",
    "multiprocessing-spawn": """
import multiprocessing as m
def f(n):
    return n * n
if __name__ == "__main__":
    with m.get_context("spawn").Pool(2) as pool:
        print(pool.map(f, range(5)))
""",
    "curses": """
import curses, os, sys
curses.setupterm("xterm")
print(curses.tigetnum("colors"), curses.tigetstr("cup"))
""",
}
for name, source in PYTHON.items():
    runtime("python-" + name, "python3", "{file}", file="program.py", source=source, soak="spawn" in name)

runtime("perl", "perl", "{file}", file="program.pl", soak=False, source="""
use strict; use threads (); use POSIX qw(:sys_wait_h); use Time::HiRes qw(time sleep); use File::Temp qw(tempfile); use List::Util qw(sum);
my @t = map { my $n = $_; threads->create(sub { return $n * 2 }) } 1 .. 3;
print sum(map { $_->join } @t), "\\n";
my $pid = fork; exit 5 if !$pid; waitpid $pid, 0; print WEXITSTATUS($?), "\\n";
print `echo child`; my ($fh, $name) = tempfile(); print $fh "x" x 1000; close $fh; print -s $name, "\\n"; unlink $name;
local $SIG{ALRM} = sub { print "alarm\\n" }; Time::HiRes::alarm(0.01); sleep 5; print time > 0 ? "ok\\n" : "";
""")

ASAN = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *thread(void *argument) {
    char *p = malloc(1000);
    memset(p, 1, 1000);
    free(p);
    return argument;
}
int main(int count, char **arguments) {
    pthread_t t;
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    char *p = malloc(16);
    p[15] = 1;
    puts("good");
    fflush(stdout);
    free(p);
    return count > 1 ? p[3] : 0;
}
"""


@test
def address_sanitizer(t):
    built = t.run(["gcc", "-g", "-fsanitize=address", "-o", t.dir + "/program", t.write("program.c", ASAN), "-lpthread"])
    t.equal("gcc's output", b"", built.err)
    clean, broken = (t.quire(t.dir + "/program", *more, options=MEMORY) for more in ([], ["more"]))
    t.equal("clean", (0, b"good\n", b""), (clean.status, clean.out, clean.err))
    t.equal("broken", (1, b"good\n"), (broken.status, broken.out))
    t.true(f"the report: {broken.err[:400]!r}", b"heap-use-after-free" in broken.err and b"program.c" in broken.err)
