# Archives and compressors, rsync, and coreutils, findutils, diffutils one after the other.
mkdir -p "$1" && cd "$1" || exit
mkdir src; for i in $(seq 1 200); do echo "file $i $(($i*$i))" > src/f$i; done; ln -s f1 src/link; ln src/f2 src/hard; chmod 640 src/f3; mkdir src/sub; cp src/f1* src/sub
for c in gzip xz zstd; do tar --use-compress-program=$c -cf a.$c src; mkdir x$c; tar --use-compress-program=$c -xf a.$c -C x$c; diff -r src x$c/src && echo $c same; stat -c '%n %a %h %s %F' x$c/src/link x$c/src/hard x$c/src/f3; done
rsync -a --delete src/ copy/; diff -r src copy && echo rsync same; rm copy/f5; sleep 1.1; touch copy; echo changed > copy/f6; rsync -ai --delete --checksum src/ copy/ | sed 's/ .*//' | sort | uniq -c
find src -type f -size -2 -name 'f1?' | sort | xargs wc -l | tail -1
find src -name 'f*' -exec sha256sum {} + | sort | sha256sum
ls -laR src | awk '{print $1,$2,$5,$NF}' | grep -v ^total | sort | md5sum
cp -a src srccopy; mv srccopy moved; diff -rq src moved && echo cp same
dd if=/dev/zero of=sparse bs=1 count=1 seek=10M 2>/dev/null; stat -c '%s' sparse; cp --sparse=always sparse sp2; cmp sparse sp2 && du -k sp2 | awk '{print ($1<1000)}'
sort -R --random-source=/bin/ls src/f* | sort | uniq | wc -l
split -l 50 -d <(seq 1000) part; ls part* | wc -l; cat part* | cmp - <(seq 1000) && echo split
seq 100000 | shuf --random-source=/bin/ls | sort -n | md5sum
echo 'scale=40; 4*a(1)' | bc -l
comm -12 <(seq 1 10) <(seq 5 15|sort) ; join <(seq 1 5) <(seq 3 7); paste <(seq 3) <(seq 4 6); tac <(seq 3); nl src/f1; od -c src/f1 | head -2; fold -w 5 src/f1; expand src/f1; tr a-z A-Z <src/f1; cut -d' ' -f2 src/f1; cksum src/f1; b2sum src/f1; base64 src/f1; numfmt --to=iec 1000000; factor 123456789; date -u -d @0; env -i A=b env; timeout 1 sleep 5 || echo timeout $?; nohup true 2>&1; install -m 755 src/f1 inst; stat -c %a inst; mktemp -u x.XXXX | wc -c; realpath src/link; readlink src/link; truncate -s 100 tr; wc -c tr; shred -u tr; tee a b <src/f1; pr src/f1 | wc -l; tsort <<<"a b b c" ; stdbuf -oL echo hi; chown 0:0 src/f1; df . | wc -l; id -u; nproc >/dev/null; sync; test -e src/f1 && echo yes; expr 3 \* 4; printf '%05d\n' 42; pathchk a; seq -w 8 11; csplit -s src/f1 1; ls xx*; rmdir src/sub 2>&1 | cut -c1-20; unlink inst; link src/f1 l2; stat -c %h l2; mkfifo ff; (echo fifo > ff &) ; cat ff
