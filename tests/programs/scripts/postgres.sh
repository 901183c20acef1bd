# initdb, a server on a Unix socket, pgbench with four clients; what the clients moved adds up.
mkdir -p "$1" && chmod 755 "$(dirname "$1")" && chown postgres "$1" && cd "$1" || exit
cat >steps <<'END'
PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -1):$PATH; where=$PWD
initdb -D d -A trust -E UTF8 --no-locale >init 2>&1; echo initdb $?
pg_ctl -D d -o "-k $where -c listen_addresses=" -l log -w -t 900 start >/dev/null; echo start $?
createdb -h $where b; pgbench -h $where -i -q -s 1 b >/dev/null 2>&1; echo tables $?
pgbench -h $where -c 4 -j 2 -t 50 b 2>&1 | grep -E "actually|failed"
psql -h $where -At b -c "select count(*), sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"
pg_ctl -D d -w -t 900 -m fast stop >/dev/null; echo stop $?; grep -E "ERROR|PANIC|FATAL" log
END
su postgres -s /bin/bash -c '. ./steps'
exit 0
