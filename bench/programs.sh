#!/bin/bash
# programs.sh DIRECTORY - in the guest: each program once, and then again and again; microseconds (bench/programs).
export PATH=/usr/bin:/bin HOME=/ LC_ALL=C GIT_OPTIONAL_LOCKS=0 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'

once() {
    local start=$EPOCHREALTIME
    "$@" >/tmp/out 2>&1 || { echo "failed: $*: $(head -c 300 /tmp/out)"; exit 1; }
    us=$(( ${EPOCHREALTIME/./} - ${start/./} ))
}

row() {
    local name=$1 times=$2 all=()
    shift 2
    once "$@"
    echo "${name}_cold $us"
    for ((n = 0; n < times; n++)); do
        once "$@"
        all+=("$us")
    done
    printf '%s\n' "${all[@]}" | sort -n | sed -n "$((times / 2 + 1))s/^/${name}_warm /p"
}

row true 21 /bin/true
row python 7 /usr/bin/python3 -c 'import json'
cd "$1/work" && row git 5 git status
cd /tmp && cp "$1/hello.c" . && row gcc 5 gcc hello.c
