#!/usr/bin/env bash
# Reports as whole processes, on ledgers of 10^4, 10^5 and 10^6 requests, beside the same question put to
# the sqlite3 shell: wall and processor time in milliseconds, best of the runs, and peak memory. Makes the ledgers itself.
#
#   benches/reports.sh [RUNS [FOLDER]]     5 runs by default; needs GNU time, sqlite3, and 1.5 GB of room in FOLDER
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
# shellcheck source=benches/ledgers.sh
. benches/ledgers.sh
runs=${1:-5}
begin reports "${2:-}"

# What `cmat report --by day` tells, asked of the requests and charges themselves.
grouped="SELECT date(request.at / 1000, 'unixepoch'), count(DISTINCT request.id), sum(charge.input), sum(charge.output),
    sum(charge.cache_write_5m + charge.cache_write_1h), sum(charge.cache_read), sum(charge.cost / 1000000)
    FROM request JOIN charge ON charge.request = request.id GROUP BY 1"

# measure WHAT GOAL COMMAND…: prints the times and the peak.
measure() {
    local what=$1 goal=$2 wall cpu peak times
    shift 2
    times=$(timed "$@")
    read -r wall cpu peak <<<"$times"
    printf '| %-44s | %6d | %6d | %5d | %s |\n' "$what" "$wall" "$cpu" "$peak" "$goal"
}

for n in 10000 100000 1000000; do
    make_ledger "$n"
    mkdir -p "$CMAT_HOME/project-1/.claude"
    db="$CMAT_HOME/ledger.db"
    sqlite3 "$db" 'PRAGMA wal_checkpoint(TRUNCATE)' >"$work/said"
    echo
    echo "| $n requests, $(($(stat -c %s "$db") / 1048576)) MiB | wall ms | cpu ms | MiB | goal for 1000000, 200 MiB |"
    echo "|---|---:|---:|---:|---|"
    measure 'sqlite3: the days, of requests and charges' '' sqlite3 -readonly "$db" "$grouped"
    measure 'report --by day' '300 ms, 1.5 × sqlite3' "$programs/cmat" report --by day
    measure 'report --by task,model' '600 ms' "$programs/cmat" report --by task,model
    measure 'report --by hour --since 7d' '' "$programs/cmat" report --by hour --since 7d
    measure 'cmat' '' "$programs/cmat"
    measure 'costs enhancement' '50 ms' "$programs/cmat" --project "$CMAT_HOME/project-1" costs enhancement enhancement-1
    measure 'explain branch:feature/7' '' "$programs/cmat" explain branch:feature/7
    rm -r "$CMAT_HOME"
done
