#!/usr/bin/env bash
# Exports as whole processes, on ledgers of 10^4, 10^5 and 10^6 requests: wall and processor time in milliseconds, best
# of the runs, rows written in a second, and peak memory. Makes the ledgers itself.
#
#   benches/export.sh [RUNS [FOLDER]]     3 runs by default; needs GNU time, and 3 GB of room in FOLDER
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
# shellcheck source=benches/ledgers.sh
. benches/ledgers.sh
runs=${1:-3}
begin export "${2:-}"

# measure REQUESTS GOAL FORM OPTION…: prints the times, requests in a second, the peak, and the size of the file.
measure() {
    local requests=$1 goal=$2 wall cpu peak times
    shift 2
    times=$(timed "$programs/cmat" -q export "$@" "$work/out")
    read -r wall cpu peak <<<"$times"
    printf '| %-20s | %5d | %5d | %7d | %3d | %4d | %s |\n' "$*" "$wall" "$cpu" \
        $((requests * 1000 / (wall > 0 ? wall : 1))) "$peak" $(($(stat -c %s "$work/out") / 1048576)) "$goal"
}

for n in 10000 100000 1000000; do
    make_ledger "$n"
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
