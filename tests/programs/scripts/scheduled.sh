# at and cron: a job at once, and one of the next minute, each in a session that pam_loginuid wrote down.
mkdir -p /run
job='echo "as $(cat /proc/self/loginuid)"'
await() { until [ -s "$1" ]; do sleep 0.1; done; cat "$1"; }

atd
until [ -s /run/atd.pid ]; do sleep 0.1; done
echo "$job >/tmp/at.job; mv /tmp/at.job /tmp/at.done" | at now 2>/dev/null
await /tmp/at.done

echo "* * * * * daemon echo as \$(cat /proc/self/loginuid) >/tmp/cron.job; mv /tmp/cron.job /tmp/cron.done" >/etc/cron.d/job
cron
await /tmp/cron.done
cat /proc/self/loginuid
echo
