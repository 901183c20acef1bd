# busybox's own shell and applets.
mkdir -p "$1" && cd "$1" && exec busybox sh -c '
set -o pipefail; alias b=busybox
for i in 1 2 3; do busybox seq $i | busybox sort -r | busybox tr "\n" " "; done; echo
busybox tar cf a.tar -C / etc/hostname && busybox tar tf a.tar; busybox gzip -k a.tar; busybox gunzip -c a.tar.gz | busybox cmp - a.tar && echo same
busybox find . -type f | busybox sort | busybox xargs busybox wc -c | busybox tail -1 | busybox awk "{ print (\$1 > 0) }"
f() { local x=$1; [ $x -le 1 ] && echo 1 || echo $((x * $(f $((x - 1))))); }; f 10
trap "echo trapped" USR1; kill -USR1 $$; (exit 3); echo $?; busybox sleep 0.1 & wait $!; echo $?
busybox mkfifo p; busybox cat p & echo through >p; wait; busybox dd if=/dev/zero bs=1k count=64 2>/dev/null | busybox sha256sum
busybox sed -n "s/root:x/&&/p" /etc/passwd | busybox head -1; echo "2^10" | busybox bc; busybox expr 3 + 4; busybox printf "%05d\n" 42
busybox ln -s p l; busybox readlink l; busybox stat -c %F l; busybox vi -c ":q" /dev/null </dev/null >/dev/null 2>&1; busybox date -u -d @0 +%F
busybox httpd -f -p 127.0.0.1:18123 -h . & httpd=$!
until busybox wget -q -O got http://127.0.0.1:18123/a.tar 2>/dev/null; do :; done; busybox cmp got a.tar && echo served; kill $httpd; wait $httpd 2>/dev/null # says "Terminated" or not, as it happens to die
busybox ps >/dev/null; busybox free >/dev/null; busybox mount >/dev/null && busybox df . >/dev/null && busybox top -b -n1 >/dev/null && echo told
'
