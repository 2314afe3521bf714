#!/usr/bin/env bash
# Reports as whole processes, on ledgers of 10^4, 10^5 and 10^6 requests, beside the same question put to
# the sqlite3 shell: wall and processor time in milliseconds, best of the runs, and peak memory. Makes the ledgers itself.
#
#   benches/reports.sh [RUNS [FOLDER]]     5 runs by default; needs GNU time, sqlite3, and 1.5 GB of room in FOLDER
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
runs=${1:-5}
cargo build --release --quiet --bins --examples
programs="$PWD/target/release"
work=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/cmat-reports.XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME="$work/home" CMAT_TZ=UTC CMAT_NOW=2026-11-06T12:00:00Z
unset CMAT_PROJECT_DIR CLAUDE_PROJECT_DIR CLAUDE_CONFIG_DIR XDG_CONFIG_HOME XDG_DATA_HOME
mkdir -p "$HOME" "$work/project/.claude"
cd "$work/project"

# What `cmat report --by day` tells, asked of the requests and charges themselves.
grouped="SELECT date(request.at / 1000, 'unixepoch'), count(DISTINCT request.id), sum(charge.input), sum(charge.output),
    sum(charge.cache_write_5m + charge.cache_write_1h), sum(charge.cache_read), sum(charge.cost / 1000000)
    FROM request JOIN charge ON charge.request = request.id GROUP BY 1"

# measure WHAT GOAL COMMAND…: prints the best wall time, the least processor time, the largest peak of all runs.
measure() {
    local what=$1 goal=$2
    shift 2
    for _ in $(seq "$runs"); do
        /usr/bin/time -f '%e %U %S %M' -a -o "$work/times" "$@" >"$work/said" || { echo "failed: $*"; exit 1; }
    done
    awk -v what="$what" -v goal="$goal" '
        { wall = $1 * 1000; cpu = ($2 + $3) * 1000 }
        NR == 1 || wall < best { best = wall }
        NR == 1 || cpu < least { least = cpu }
        $4 > peak { peak = $4 }
        END { printf "| %-44s | %6d | %6d | %5d | %s |\n", what, best, least, peak / 1024, goal }' "$work/times"
    rm "$work/times"
}

for n in 10000 100000 1000000; do
    export CMAT_HOME="$work/ledger-$n"
    "$programs/examples/make_ledger" "$CMAT_HOME" "$n"
    mkdir -p "$CMAT_HOME/project-1/.claude"
    # The first report rolls up what changed; nobody else waits for that.
    "$programs/cmat" report >"$work/said"
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
