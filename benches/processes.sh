#!/usr/bin/env bash
# Whole processes, as Claude Code and a person start them: time against `cat` of the same file, peak memory,
# start-up. Makes its own transcripts, the same each time. Prints figures; it never fails on one.
#
#   benches/processes.sh [FOLDER]     FOLDER takes about 1.3 GB and is removed at the end
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
cargo build --release --quiet
cmat="$PWD/target/release/cmat"
work=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/cmat-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME="$work/home" CMAT_HOME="$work/cmat" CMAT_DEADLINE_MS=600000
mkdir -p "$HOME" "$work/project/.claude/data"
cd "$work/project"
echo '{"queue_metadata":{},"tasks":[{"id":"small","metadata":{}},{"id":"large","metadata":{}}],"agent_status":{}}' >.claude/data/task_queue.json

# transcript SESSION REQUESTS PADDING: a prompt, then for each request one line of PADDING bytes without usage and
# two lines of its answer.
transcript() {
    awk -v session="$1" -v n_requests="$2" -v padding="$3" 'BEGIN {
        text = "All work and no play makes a transcript long. "
        while (length(text) < padding) text = text text
        text = substr(text, 1, padding)
        for (n = 1; n <= n_requests; n++) {
            at = sprintf("2026-11-%02dT%02d:%02d:%02d.000Z", 1 + n / 86400, n / 3600 % 24, n / 60 % 60, n % 60)
            common = sprintf("\"sessionId\":\"%s\",\"timestamp\":\"%s\",\"gitBranch\":\"main\",\"version\":\"2.1.330\"", session, at)
            printf "{\"type\":\"user\",\"uuid\":\"u-%s-%d\",%s,\"message\":{\"role\":\"user\",\"content\":\"%s\"}}\n", session, n, common, text
            for (block = 1; block <= 2; block++)
                printf "{\"type\":\"assistant\",\"uuid\":\"a-%s-%d-%d\",%s,\"requestId\":\"req_%s_%d\",\"message\":{\"id\":\"msg_%s_%d\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[{\"type\":\"text\",\"text\":\"Done.\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d,\"cache_creation_input_tokens\":%d,\"cache_read_input_tokens\":%d,\"cache_creation\":{\"ephemeral_5m_input_tokens\":%d,\"ephemeral_1h_input_tokens\":0},\"service_tier\":\"standard\"}}}\n", session, n, block, common, session, n, session, n, 3 + n % 7, 100 + n % 900, n % 2000, 10000 + n % 50000, n % 2000
        }
    }' >"$work/$1.jsonl"
}

# hook SESSION: ends a session, whose name begins with that of its task.
hook() {
    printf '{"session_id":"%s","transcript_path":"%s","cwd":"%s","hook_event_name":"SessionEnd","reason":"other"}\n' \
        "$1" "$work/$1.jsonl" "$PWD" | CMAT_CURRENT_TASK_ID="${1%%-*}" "$cmat" hook session-end
}

# times_of COMMAND…: runs it once for each line of stdin, given as last argument; prints the shortest and the median
# time in microseconds.
times_of() {
    local argument started
    while read -r argument; do
        started=${EPOCHREALTIME/./}
        "$@" "$argument" >/dev/null
        echo $((${EPOCHREALTIME/./} - started))
    done | sort -n | awk '{ time[NR] = $1 } END { print time[1], time[int((NR + 1) / 2)] }'
}

# row WHAT SHORTEST MEDIAN GOAL: times in microseconds.
row() { awk -v what="$1" -v best="$2" -v median="$3" -v goal="$4" 'BEGIN { printf "%-56s %8.1f %8.1f   %s\n", what, best / 1000, median / 1000, goal }'; }
# peak COMMAND…: prints the largest resident set in KiB.
peak() { /usr/bin/time -f %M -o "$work/peak" "$@" >/dev/null && cat "$work/peak"; }
export -f hook
export work cmat

# A request in 11 KB, as in the public transcripts that the reader is tested with.
sessions=$(seq -f 'small-%g' 21)
for session in $sessions; do transcript "$session" 460 9700; done
megabytes=$(($(stat -c %s "$work/small-1.jsonl") / 1000000))
hook small-21 # makes the ledger

printf '%-56s %8s %8s   %s\n' WHAT 'BEST ms' 'MEDIAN' GOAL
row "cmat --version" $(seq 50 | sed 's/.*/--version/' | times_of "$cmat") ""
cat_times=$(head -n 20 <<<"$sessions" | sed "s|.*|$work/&.jsonl|" | times_of cat)
row "cat of a transcript of $megabytes MB" $cat_times ""
row "cmat hook session-end on it, never read before" $(head -n 20 <<<"$sessions" | times_of hook) \
    "$(awk '{ printf "%.1f, median %.1f: 3 × cat + 30 ms", 3 * $1 / 1000 + 30, 3 * $2 / 1000 + 30 }' <<<"$cat_times")"
row "the same, read before" $(head -n 20 <<<"$sessions" | times_of hook) ""

transcript large-1 50000 0
transcript large-2 50000 0
hook large-1
hook large-2
row "cmat costs show, 110 thousand requests in the ledger" $(seq 20 | sed 's/.*/small/' | times_of "$cmat" costs show) 15
row "the same, a task with 100 thousand of them" $(seq 20 | sed 's/.*/large/' | times_of "$cmat" costs show) ""

transcript huge 90000 9700
transcript dense 700000 200
for session in huge dense; do
    kib=$(peak bash -c "hook $session")
    bytes=$(stat -c %s "$work/$session.jsonl")
    echo "peak memory of the hook on $((bytes / 1000000)) MB, $(wc -l <"$work/$session.jsonl") lines: $((kib / 1024)) MiB (goal 32 MiB)"
done
