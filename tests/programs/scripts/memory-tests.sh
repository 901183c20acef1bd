# Programs that look for bad memory, and one that uses it from several threads.
mkdir -p "$1" && cd "$1" || exit 1
stressapptest -M 64 -s 3 -m 2 | grep -o "Status: [A-Z]*"
stressapptest -M 48 -s 3 -m 1 -f file -v 4 > out 2>&1; echo "with a file $?"
for test in memory mutex threads; do
    sysbench --threads=2 --time=1 $test run > out 2>&1; echo "$test $?"
done
sysbench --file-total-size=8M --file-num=4 fileio prepare > out && sysbench --file-total-size=8M --file-num=4 --file-test-mode=rndrw \
    --file-io-mode=mmap --time=1 fileio run > out; echo "files $?"
