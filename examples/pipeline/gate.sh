#!/bin/sh
# Makes load on a gateway, counts meanwhile what each worker got, and judges that beside a baseline.
#
#   gate.sh BASELINE [ARGUMENTS OF ambidex gate ..]
#
#   AMBIDEX_ADMIN  the gateway's admin API; default 127.0.0.1:9901
#   LOAD           the command that makes load, which outlasts LENGTH; default: none, somebody else makes it
#   LENGTH         how long is counted; default 60s
#   AMBIDEX        the binary; default ambidex
#
# Writes run.json and gate.xml (JUnit) into the current folder. Without a BASELINE there is nothing to compare with yet:
# the run is written there, to be looked at and kept. Ends with 0 (pass), 1 (fail), 2 (it cannot be told, or a file is
# wrong).
set -eu

ambidex=${AMBIDEX:-ambidex}
baseline=${1:?usage: gate.sh BASELINE [ARGUMENTS OF ambidex gate ..]}
shift

load=
if [ -n "${LOAD:-}" ]; then
    sh -c "exec $LOAD" >load.log 2>&1 &
    load=$!
    trap 'kill "$load" 2>/dev/null || true' EXIT INT TERM
fi

"$ambidex" gate record --for "${LENGTH:-60s}" run.json

if [ -n "$load" ]; then
    if ! kill -0 "$load" 2>/dev/null && ! wait "$load"; then
        echo "the load failed: see load.log" >&2
        exit 2
    fi
fi

if [ ! -e "$baseline" ]; then
    cp run.json "$baseline"
    echo "there was no baseline: this run is written to $baseline"
    exit 0
fi

"$ambidex" gate --baseline "$baseline" --run run.json --junit gate.xml "$@"
