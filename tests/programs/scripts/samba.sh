# smbd acts as its client's user, who lists, puts, gets, renames and removes; then three clients at once.
mkdir -p "$1" && chmod 755 "$1" && cd "$1" || exit
mkdir share private lock state cache pid ncalrpc log && chmod 777 share && head -c 3000000 /dev/urandom >big
cat >smb.conf <<END
[global]
 interfaces = 127.0.0.1/8
 bind interfaces only = yes
 smb ports = 4450
 disable netbios = yes
 private dir = $PWD/private
 lock directory = $PWD/lock
 state directory = $PWD/state
 cache directory = $PWD/cache
 pid directory = $PWD/pid
 ncalrpc dir = $PWD/ncalrpc
 log file = $PWD/log/smbd
 load printers = no
[s]
 path = $PWD/share
 read only = no
END
client() { smbclient -s smb.conf -p 4450 -U somebody%word //127.0.0.1/s -c "$1" 2>&1; }
useradd -M somebody; printf 'word\nword\n' | smbpasswd -c "$PWD/smb.conf" -a -s somebody
smbd -D -s "$PWD/smb.conf"; echo smbd $?
until (: </dev/tcp/127.0.0.1/4450) 2>/dev/null; do :; done
client "put big big; mkdir d; rename big d/big; ls; cd d; ls; get big back; rm big; cd ..; rmdir d" | awk '/ [AD] / { print $1, $2, $3 }'; cmp big back && echo the same
for n in 1 2 3; do client "put big big$n; get big$n back$n" >/dev/null & done; wait $(jobs -p); cmp back1 back2 && cmp back2 back3 && stat -c '%n %U' share/*
pid=$(cat pid/smbd.pid); kill $pid; until ! kill -0 $pid 2>/dev/null; do :; done
exit 0
