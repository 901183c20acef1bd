# rt-tests: what wakes whom, through each kind of signal, semaphore and queue; priority inversions. Times are anyone's own.
run() { "$@" > out 2>&1; echo "$1 $?"; }

mkdir -p "$1" && cd "$1" || exit 1
run cyclictest -q -l 100 -t 2 -i 1000
run ptsematest -q -t 2 -l 100
run sigwaittest -q -t 2 -l 100
run svsematest -q -t 2 -l 100
run pmqtest -q -t 2 -l 100
run signaltest -q -l 50 -t 2
run pi_stress --quiet --duration=2 --groups=2
run ssdd 3 20
hackbench -g 2 -l 50 | grep -v Time
hackbench -T -p -g 2 -l 50 | grep -v Time
