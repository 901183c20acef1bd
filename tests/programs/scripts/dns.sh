# A zone that named serves, as another user; unbound, shut into its directory, asks it for clients, over UDP and TCP, IPv4 and IPv6.
mkdir -p "$1" && chmod 777 "$1" && cd "$1" || exit
cat >zone <<END
\$TTL 300
@ IN SOA ns.example. root.example. 1 300 300 300 300
@ IN NS ns.example.
ns IN A 127.0.0.1
www IN A 192.0.2.1
www IN AAAA 2001:db8::1
long IN TXT $(printf '"%0200d" ' 1 2 3 4 5 6)
END
cat >named.conf <<END
options { directory "$PWD"; listen-on port 5300 { 127.0.0.1; }; listen-on-v6 port 5300 { ::1; }; pid-file "$PWD/named.pid";
          session-keyfile "$PWD/key"; managed-keys-directory "$PWD"; recursion no; dnssec-validation no; allow-transfer { any; }; };
zone "example" { type primary; file "$PWD/zone"; };
controls { };
END
cat >unbound.conf <<END
server:
 interface: 127.0.0.1@5301
 interface: ::1@5301
 username: "unbound"
 chroot: "$PWD"
 directory: "$PWD"
 pidfile: "$PWD/unbound.pid"
 logfile: "$PWD/unbound.log"
 num-threads: 2
 so-reuseport: yes
 do-not-query-localhost: no
 module-config: "iterator"
stub-zone:
 name: "example"
 stub-addr: 127.0.0.1@5300
END
ask() { dig -p "$@" +short +time=60; }
named -u bind -c "$PWD/named.conf" -n 2 -L named.log; echo named $?
until ask 5300 @127.0.0.1 www.example | grep -q 192; do :; done
unbound -c "$PWD/unbound.conf"; echo unbound $?
until ask 5301 @127.0.0.1 www.example | grep -q 192; do :; done
for port in 5300 5301; do
    ask $port @::1 www.example AAAA; ask $port @127.0.0.1 +tcp www.example A; ask $port @127.0.0.1 long.example TXT | wc -c
done
ask 5300 @127.0.0.1 example AXFR | wc -l
for n in 1 2 3 4; do yes www.example A | head -100 | dig -p 5301 @127.0.0.1 -f - +short | sort | uniq -c & done; wait
for name in named unbound; do pid=$(cat $name.pid); kill $pid; until ! kill -0 $pid 2>/dev/null; do :; done; done
exit 0
