# shellcheck shell=bash
# Sourced by the benchmarks that ask made ledgers: where they run, and how long what they run takes.

# begin NAME [FOLDER]: builds the programs and goes to a project of a home of its own, in a folder $work that is made in
# FOLDER and removed at the end.
begin() {
    cargo build --release --quiet --bins --examples
    programs="$PWD/target/release"
    work=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/cmat-$1.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    export HOME="$work/home" CMAT_TZ=UTC CMAT_NOW=2026-11-06T12:00:00Z
    unset CMAT_PROJECT_DIR CLAUDE_PROJECT_DIR CLAUDE_CONFIG_DIR XDG_CONFIG_HOME XDG_DATA_HOME
    mkdir -p "$HOME" "$work/project/.claude"
    cd "$work/project"
}

# make_ledger REQUESTS: makes the ledger, and reports it once: the first report rolls up what changed.
make_ledger() {
    export CMAT_HOME="$work/ledger-$1"
    "$programs/examples/make_ledger" "$CMAT_HOME" "$1"
    "$programs/cmat" report >"$work/said"
}

# timed COMMAND…: runs it $runs times, each without the $work/out of the last, and prints the best wall time and the least
# processor time in milliseconds, and the largest peak in MiB.
timed() {
    for _ in $(seq "$runs"); do
        rm -f "$work/out"
        /usr/bin/time -f '%e %U %S %M' -a -o "$work/times" "$@" >"$work/said" || { echo "failed: $*" >&2; exit 1; }
    done
    awk '
        { wall = $1 * 1000; cpu = ($2 + $3) * 1000 }
        NR == 1 || wall < best { best = wall }
        NR == 1 || cpu < least { least = cpu }
        $4 > peak { peak = $4 }
        END { printf "%d %d %d\n", best, least, peak / 1024 }' "$work/times"
    rm "$work/times"
}
