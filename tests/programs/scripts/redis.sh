# 100,000 keys; more are written while a snapshot is saved; the snapshot holds just the first, and a later one comes back the same.
mkdir -p "$1" && cd "$1" || exit
cli() { redis-cli -s "$PWD/socket" "$@"; }
start() {
    redis-server --port 0 --unixsocket "$PWD/socket" --save '' --enable-debug-command yes --daemonize yes --logfile log --pidfile "$PWD/pid" >/dev/null
    until cli ping 2>/dev/null | grep -q PONG; do :; done
}
start
cli debug populate 100000 key 100; cli dbsize
cli bgsave
redis-benchmark -s "$PWD/socket" -r 1000000 -n 20000 -P 20 -c 5 -q -t set,incr,lpush >/dev/null
until cli info persistence | grep -q rdb_bgsave_in_progress:0; do :; done
cli info persistence | grep rdb_last_bgsave_status
cow=$(cli info persistence | sed -n 's/rdb_last_cow_size:\([0-9]*\).*/\1/p'); echo "copied on write: $((cow > 0))"
redis-check-rdb dump.rdb | grep -E 'keys read|Checksum OK' | sed 's/^\[[^]]*\]//'
cli save; before=$(cli debug digest) size=$(cli dbsize); cli shutdown nosave
start
[ "$before" = "$(cli debug digest)" ] && [ "$size" = "$(cli dbsize)" ] && echo the same keys and values; cli shutdown nosave
