#!/usr/bin/env bash
# A transcript that no hook can finish in its time: memory and time of the hook, what it leaves, and `cmat reconcile`
# that finishes it. Makes the transcript itself. Fails if a request is missing or counted twice.
#
#   benches/large-transcript.sh [GIB [FOLDER]]     10 GiB by default; needs GNU time, and that much room in FOLDER
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
gib=${1:-10}
cargo build --release --quiet
cmat="$PWD/target/release/cmat"
work=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/cmat-large.XXXXXX")
trap 'rm -rf "$work"' EXIT
unset CMAT_DEADLINE_MS CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS
export HOME="$work/home" CMAT_HOME="$work/cmat"
transcript="$HOME/.claude/projects/p/large.jsonl"
mkdir -p "$(dirname "$transcript")" "$work/project/.claude/data"
cd "$work/project"
echo '{"tasks":[{"id":"task_1","metadata":{}}]}' >.claude/data/task_queue.json

# A request in 11 KB, as in public transcripts.
n_requests=$((gib * 1073741824 / 11000))
awk -v n_requests="$n_requests" 'BEGIN {
    text = "All work and no play makes a transcript long. "
    while (length(text) < 10600) text = text text
    text = substr(text, 1, 10600)
    for (n = 1; n <= n_requests; n++) {
        printf "{\"type\":\"user\",\"uuid\":\"u-%d\",\"sessionId\":\"large\",\"message\":{\"role\":\"user\",\"content\":\"%s\"}}\n", n, text
        printf "{\"type\":\"assistant\",\"uuid\":\"a-%d\",\"sessionId\":\"large\",\"timestamp\":\"2026-11-20T12:00:00.000Z\",\"message\":{\"id\":\"msg_%d\",\"model\":\"claude-opus-5-5\",\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n", n, n
    }
}' >"$transcript"

# measure WHAT COMMAND…: prints wall time and the largest resident set.
measure() {
    local what=$1
    shift
    /usr/bin/time -f '%e %M' -o "$work/time" "$@" >"$work/said"
    awk -v what="$what" '{ printf "%-48s %8.2f s %6d MiB\n", what, $1, $2 / 1024 }' "$work/time"
}
hook() {
    printf '{"session_id":"large","transcript_path":"%s","cwd":"%s","reason":"other"}\n' "$transcript" "$PWD" |
        CMAT_CURRENT_TASK_ID=task_1 "$cmat" hook session-end
}
export -f hook
export transcript cmat

echo "transcript of $(($(stat -c %s "$transcript") / 1048576)) MiB with $n_requests requests"
measure 'hook, default deadline (1.05 s)' bash -c hook
measure 'hook of the next session end' bash -c hook
measure 'reconcile reads on to the end' "$cmat" reconcile --all
cat "$work/said"
found=$("$cmat" costs show task_1 --json | grep -o "\"requests\":[0-9]*" | head -n 1 | cut -d: -f2)
[ "$found" = "$n_requests" ] || { echo "of $n_requests requests $found are recorded"; exit 1; }
echo "each request is recorded once"
