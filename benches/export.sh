#!/usr/bin/env bash
# Exports as whole processes, on ledgers of 10^4, 10^5 and 10^6 requests: wall and processor time in milliseconds, best
# of the runs, rows written in a second, and peak memory. Makes the ledgers itself.
#
#   benches/export.sh [RUNS [FOLDER]]     3 runs by default; needs GNU time, and 3 GB of room in FOLDER
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
runs=${1:-3}
cargo build --release --quiet --bins --examples
programs="$PWD/target/release"
work=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/cmat-export.XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME="$work/home" CMAT_TZ=UTC CMAT_NOW=2026-11-06T12:00:00Z
unset CMAT_PROJECT_DIR CLAUDE_PROJECT_DIR CLAUDE_CONFIG_DIR XDG_CONFIG_HOME XDG_DATA_HOME
mkdir -p "$HOME" "$work/project/.claude"
cd "$work/project"

# measure REQUESTS GOAL FORM OPTION…: prints the best wall time, the least processor time, requests in a second, the
# largest peak of all runs, and the size of the file.
measure() {
    local requests=$1 goal=$2
    shift 2
    for _ in $(seq "$runs"); do
        rm -f "$work/out"
        /usr/bin/time -f '%e %U %S %M' -a -o "$work/times" "$programs/cmat" -q export "$@" "$work/out" || { echo "failed: $*"; exit 1; }
    done
    awk -v what="$*" -v requests="$requests" -v goal="$goal" -v bytes="$(stat -c %s "$work/out")" '
        { wall = $1 * 1000; cpu = ($2 + $3) * 1000 }
        NR == 1 || wall < best { best = wall }
        NR == 1 || cpu < least { least = cpu }
        $4 > peak { peak = $4 }
        END { printf "| %-20s | %5d | %5d | %7d | %3d | %4d | %s |\n",
              what, best, least, requests * 1000 / (best > 0 ? best : 1), peak / 1024, bytes / 1048576, goal }' "$work/times"
    rm "$work/times"
}

for n in 10000 100000 1000000; do
    export CMAT_HOME="$work/ledger-$n"
    "$programs/examples/make_ledger" "$CMAT_HOME" "$n"
    "$programs/cmat" report >"$work/said"
    echo
    echo "| $n requests | wall ms | cpu ms | rows/s | MiB | file MiB | goal: 200 MiB, and |"
    echo "|---|---:|---:|---:|---:|---:|---|"
    measure "$n" '300,000 rows/s' csv
    measure "$n" '' csv --level daily
    measure "$n" '' csv --columns legacy
    measure "$n" '200,000 rows/s' parquet
    measure "$n" '' json
    measure "$n" '' focus
    measure "$n" '' ledger
    rm -r "$CMAT_HOME"
done
