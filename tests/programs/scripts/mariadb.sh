# A server with InnoDB's own asynchronous reads and writes, two clients at once, a restart.
mkdir -p "$1" && cd "$1" || exit 1
server="mariadbd --no-defaults --user=root --datadir=$1/data --socket=$1/socket --skip-networking --pid-file=$1/pid"
client="mariadb --no-defaults -S $1/socket"

begin() {
    $server >> log 2>&1 &
    until $client -e "select 1" > /dev/null 2>&1; do kill -0 $! || exit 1; done
}

mariadb-install-db --no-defaults --user=root --datadir="$1/data" --skip-test-db > install 2>&1 || { cat install; exit 1; }
begin
$client -e "create database d; create table d.t (i int primary key, s varchar(100)) engine=innodb;
            insert into d.t select seq, repeat(char(65 + seq % 26), 50) from seq_1_to_20000;
            select count(*), sum(i), max(s) from d.t; update d.t set s = 'x' where i % 7 = 0;"
$client -e "update d.t set s = concat(s, 'a') where i % 2 = 0" & first=$!
$client -e "update d.t set s = concat(s, 'b') where i % 2 = 1" & second=$!
wait $first $second
$client -e "shutdown"
wait
begin
$client -e "select count(*), sum(length(s)) from d.t; check table d.t; shutdown"
wait
grep -c -i "native AIO failed" log
true
