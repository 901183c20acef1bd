"""Debian's own programs, unmodified: the output, byte for byte, and the status are those of this machine."""
from harness import *

TEXT = b"".join(b"%d the quick brown fox %d\n" % (i * 7919 % 1000, i) for i in range(3000))

# ---- shells
compare("bash-pipeline", "bash", "-c", "echo one two three | tr ' ' '\\n' | sort -r | nl | cat -A")
compare("bash-substitution", "bash", "-c", "x=$(echo $(echo a; echo b)); echo \"[$x]\" <(true) >/dev/null; cat <(echo 1) <(echo 2); echo $((2**62))")
compare("bash-here-documents", "bash", "-c", "cat <<A; cat <<'B'; cat <<<word\n$((1+1)) $HOME\nA\n$HOME\nB\n")
compare("bash-background", "bash", "-c", "mkfifo f; (read x <f; echo late; exit 3) & p=$!; echo early; echo >f; wait $p; echo $?; wait; jobs")
compare("bash-many-jobs", "bash", "-c", "for i in 1 2 3 4 5 6 7 8; do (exit $i) & p[$i]=$!; done; for i in 1 2 3 4 5 6 7 8; do wait ${p[$i]}; echo $?; done")
compare("bash-traps", "bash", "-c", "trap 'echo usr1' USR1; trap 'echo bye' EXIT; kill -USR1 $$; kill -USR1 $$; false; echo $?; exit 4")
compare("bash-kill-child", "bash", "-c", "sleep 100 & kill -TERM $!; wait $!; echo $?; sleep 100 & kill -9 $!; wait $! 2>/dev/null; echo $?")
compare("bash-loops", "bash", "-c", "for ((i=0;i<2000;i++)); do ((s+=i)); done; echo $s; printf '%05d\\n' {1..5}; a=(x y z); echo ${a[@]:1} ${#a[@]}")
compare("bash-subshell-exit", "bash", "-c", "set -e -o pipefail; (exit 3) || echo $?; true | false | true; echo never")
compare("bash-redirections", "bash", "-c", "exec 3>f; echo a >&3; exec 3>&-; echo b >>f; cat <f; exec 4<>f; read x <&4; echo $x; ls -l f | cut -c1-10; : >f; wc -c f")
compare("bash-select-fifo", "bash", "-c", "mkfifo p; (echo through a fifo >p) & cat p; wait; coproc cat; echo hi >&${COPROC[1]}; read -u ${COPROC[0]} r; echo $r")
compare("bash-globs", "bash", "-c", "touch b a .c d1 d2; echo *; echo d?; echo [ab]; echo .*; shopt -s dotglob; echo *")
compare("bash-read-timeout", "bash", "-c", "read -t 0.2 x < <(sleep 1); echo $((  $? > 128 ))")
compare("dash-script", "dash", "-c", "f() { echo $1 $#; return 5; }; f a b; echo $?; case abc in a*) echo yes;; esac; i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done")
compare("script-with-interpreter", "bash", "-c", "printf '#!/bin/sh\\necho $0 $1\\n' >s; chmod +x s; ./s x; printf '#!/usr/bin/env -S bash -e\\necho $#\\n' >u; chmod +x u; ./u 1 2")
compare("script-without-interpreter", "bash", "-c", "printf 'echo plain $1\\n' >s; chmod +x s; ./s x")
compare("exec-failures", "bash", "-c", "/no/such; echo $?; /tmp; echo $?; printf '#!/no/such\\n' >s; chmod +x s; ./s; echo $?; touch t; ./t; echo $?; chmod +x t; ./t; echo $?")
compare("times-and-dates", "bash", "-c", "TZ=UTC date -d @86400 +%F; touch -d '2001-02-03 04:05:06.789 UTC' f; TZ=UTC stat -c '%y' f; [ $(( $(date +%s) / 1000000 )) -gt 1700 ]; echo $?")

# ---- coreutils and friends
compare("sort", "sort", "-n", "-k1,1", "-k6", stdin=TEXT)
compare("sort-parallel-unique", "sort", "-u", "--parallel=4", "-S", "1M", stdin=TEXT * 20)
compare("wc", "wc", stdin=TEXT)
compare("grep", "grep", "-n", "-E", "(9|1)9[0-9]? the", stdin=TEXT)
compare("grep-recursive", "sh", "-c", "grep -rl root /etc/passwd /etc/group /etc/hosts; grep -c . /etc/passwd")
compare("sed", "sed", "-n", "-e", "s/quick \\(b[a-z]*\\)/\\1 quick/p;100q", stdin=TEXT)
compare("gawk", "gawk", "{s[$1 % 7] += $6} END {for (i = 0; i < 7; i++) print i, s[i]; print length(s), substr(\"hello\", 2, 3)}", stdin=TEXT)
compare("head-tail-cut-tr", "sh", "-c", "head -50 | tail -20 | cut -d' ' -f1,3 | tr a-z A-Z | uniq -c | tac", stdin=TEXT)
compare("checksums", "sh", "-c", "tee a | sha256sum; md5sum a; cksum <a; sum a", stdin=TEXT)
compare("od-xxd", "sh", "-c", "od -A x -t x1z | head -40", stdin=bytes(range(256)) * 4)
compare("tar-gzip", "sh", "-c", "mkdir -p d/e; cp /etc/passwd d/; ln -s passwd d/l; ln d/passwd d/hard; echo x >d/e/f; "
        "tar --sort=name -cf - d | gzip -n | gzip -dc | tar -tvf - | awk '{print $1, $6, $7, $8}'; tar -czf t.gz d; mkdir o; tar -xzf t.gz -C o; diff -r d o/d && echo same; stat -c %h o/d/hard")
compare("gzip-big", "sh", "-c", "gzip -n9 | gzip -dc | cksum", stdin=TEXT * 30)
compare("files-made-and-removed", "sh", "-c", "mkdir -p a/b/c; echo 1 >a/b/c/f; mv a/b/c/f a/g; ln -s ../g a/b/s; cat a/b/s; rmdir a/b/c; ls -R a; rm -r a; ls; "
        "touch x; ln x y; stat -c '%h %s' x; rm x; stat -c %h y; test -e x; echo $?")
compare("find", "sh", "-c", "mkdir -p a/b; touch a/1 a/b/2; find . -type f | sort; find /usr/share/perl5 -name '*.pm' 2>/dev/null | sort | head -20; find a -name 1 -exec echo {} +; find a -delete; ls")
compare("ls-of-system-directories", "sh", "-c", "ls /usr | sort; ls -ld /etc /usr/bin /bin; ls /usr/bin | wc -l")
compare("dd", "sh", "-c", "dd if=/dev/zero of=f bs=4k count=100 2>/dev/null; dd if=/etc/passwd of=f conv=notrunc bs=1 seek=5000 count=10 2>/dev/null; cksum f; truncate -s 1M f; stat -c %s f; dd if=f bs=1 skip=5000 count=10 2>/dev/null")
compare("big-file", "sh", "-c", "seq 1 400000 >f; wc f; tail -1 f; sort -nr f | head -1; cksum <f")
compare("devices", "sh", "-c", "head -c 10 /dev/zero | od -c; head -c 100 /dev/urandom | wc -c; echo x >/dev/full; echo $?; cat /dev/null; echo out >/dev/fd/1; echo err >/dev/fd/2; ls -l /dev/fd/0 | cut -c1; test -c /dev/tty; echo $?")
compare("xargs-parallel", "sh", "-c", "seq 1 60 | xargs -P 4 -n 5 sh -c 'echo $# $1' x | sort -k2n")
compare("timeout-command", "sh", "-c", "timeout 0.3 sleep 10; echo $?; timeout -s KILL 0.3 sleep 10; echo $?; timeout 5 true; echo $?")
compare("env-nice-nohup", "sh", "-c", "env -i A=1 env; nice -n 5 nice; nohup echo x 2>/dev/null; seq 3 | tac; nproc --all >/dev/null && echo ok")
compare("proc-as-programs-read-it", "sh", "-c", "cat /proc/self/comm; tr '\\0' ' ' </proc/self/cmdline; echo; readlink /proc/self/exe; readlink /proc/self/cwd | wc -l; ls /proc/self/fd; "
        "grep -c stack /proc/self/maps; grep -E '^(Name|State|Uid|Threads):' /proc/self/status; head -c 0 /proc/meminfo; cut -d' ' -f2 /proc/self/stat; ls -d /proc/self/task/*/ | wc -l")
compare("perl", "perl", "-e", "use strict; use POSIX; my %h; while (<STDIN>) { $h{(split)[0]}++ } print join(',', map {\"$_=$h{$_}\"} sort {$a <=> $b} keys %h), \"\\n\"; "
        "my $p = fork; if (!$p) { exit 9 } waitpid $p, 0; print $? >> 8, \"\\n\"; local $SIG{ALRM} = sub { print \"alarm\\n\" }; alarm 1; sleep 5; print `echo sub`; open my $f, '-|', 'echo piped'; print <$f>;", stdin=TEXT)
compare("sqlite", "sh", "-c", "sqlite3 db \"create table t(a integer primary key, b text); with recursive n(i) as (select 1 union all select i+1 from n where i<5000) insert into t select i, 'row '||i from n; "
        "create index x on t(b); select count(*), sum(a), max(b) from t; delete from t where a%2; vacuum; pragma integrity_check; select count(*) from t;\"; sqlite3 db 'pragma journal_mode=wal; insert into t values(1,\"w\"); select * from t limit 2'; ls")
compare("gcc-in-the-overlay", "sh", "-c", "cat >hello.c <<'E'\n#include <stdio.h>\n#include <pthread.h>\nstatic void *f(void *p) { return p; }\nint main(int c, char **v) { pthread_t t; void *r; "
        "pthread_create(&t, 0, f, v[0]); pthread_join(t, &r); printf(\"%s %d\\n\", (char *)r, c); return 42; }\nE\ngcc -O2 -Wall -o hello hello.c -pthread && ./hello a b; echo $?; gcc -static -o s hello.c && ./s; echo $?; ls", timeout=300)
compare("gcc-error", "sh", "-c", "echo 'int main(void) { return x; }' >b.c; gcc b.c; echo $?; ls", timeout=120)
