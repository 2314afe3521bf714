#!/usr/bin/env bash
# How many instructions cmat takes for what it does most often, counted by Valgrind, so that a busy machine changes
# nothing: the hook on a transcript that was never read, on the same grown by a little, and the status line. Fails where
# one takes more than 3 % above what benches/instructions.txt says.
#
#   benches/instructions.sh             counts and compares
#   benches/instructions.sh --record    counts and writes benches/instructions.txt
#
# Counts depend on the compiler: where rustc is another than when they were recorded they are told and not compared.
# Exit code 77 says so.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
# shellcheck source=benches/transcripts.sh
. benches/transcripts.sh
recorded="$PWD/benches/instructions.txt"
compiler=$(rustc --version)
cargo build --release --quiet
cmat="$PWD/target/release/cmat"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME="$work/home" CMAT_HOME="$work/cmat" CMAT_DEADLINE_MS=600000 CMAT_NOW=2026-11-21T12:00:00Z
export CLAUDE_CONFIG_DIR="$HOME/.claude" CMAT_CURRENT_TASK_ID=task_1 TZ=UTC
mkdir -p "$HOME/.claude" "$work/project/.claude/data" "$work/whole"
cd "$work/project"
echo '{"tasks":[{"id":"task_1","metadata":{}}]}' >.claude/data/task_queue.json
transcripts "$work/whole" s 1 1000 3200

# counted NAME COMMAND…: prints the name and how many thousand instructions the command takes, on one core.
counted() {
    taskset -c 0 valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$work/log" "${@:2}" >/dev/null <"$work/told"
    awk -v name="$1" '/Collected/ { printf "%s %d\n", name, $NF / 1000 }' "$work/log"
}

printf '{"session_id":"s-1","transcript_path":"%s","cwd":"%s","hook_event_name":"SessionEnd","reason":"other"}\n' \
    "$work/s-1.jsonl" "$PWD" >"$work/told"
{
    head -n 4950 "$work/whole/s-1.jsonl" >"$work/s-1.jsonl"
    counted hook-never-read "$cmat" hook session-end
    tail -n +4951 "$work/whole/s-1.jsonl" >>"$work/s-1.jsonl"
    counted hook-grown "$cmat" hook session-end
    counted statusline "$cmat" statusline
} >"$work/counts"

if [ "${1:-}" = --record ]; then
    {
        echo "# Thousands of instructions, see benches/instructions.sh. $compiler"
        cat "$work/counts"
    } >"$recorded"
    cat "$recorded"
    exit
fi
if ! grep -qF "$compiler" "$recorded"; then
    cat "$work/counts"
    echo "not compared: $(head -n 1 "$recorded"), and this is $compiler"
    exit 77
fi
awk '
    NR == FNR { if ($1 != "#") budget[$1] = $2; next }
    !($1 in budget) { passed = passed " " $1; next }
    {
        printf "%-16s %9d thousand instructions, %+.1f %%\n", $1, $2, ($2 / budget[$1] - 1) * 100
        if ($2 > budget[$1] * 1.03) passed = passed " " $1
    }
    END {
        if (passed == "") exit 0
        print "more than 3 % above benches/instructions.txt:" passed
        exit 1
    }' "$recorded" "$work/counts"
