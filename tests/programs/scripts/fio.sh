# Each way to move bytes writes a file, reads it, and compares sums. The last number of fio's first words is its error.
mkdir -p "$1" && cd "$1" || exit 1

way() {
    printf '%s: ' "$*"
    fio --name=a --size=4M --verify=md5 --directory=. --output-format=terse --terse-version=3 "$@" | cut -d';' -f1,3,4,5,6
    rm -f a.*
}

for pattern in write randrw; do
    for engine in sync psync pvsync2 vsync mmap posixaio libaio; do
        way --rw=$pattern --ioengine=$engine
    done
done
way --rw=randwrite --ioengine=libaio --direct=1 --iodepth=16 --iodepth_batch_submit=8 --numjobs=2
way --rw=randrw --ioengine=psync --fallocate=keep --fsync=8 --thread --numjobs=3
