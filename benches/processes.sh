#!/usr/bin/env bash
# Whole processes, as Claude Code and a person start them, beside what does the least that they must do. Makes its own
# transcripts, the same each time. Prints figures; it never fails on one.
#
#   benches/processes.sh [--scale PERCENT] [FOLDER [PART…]]
#
# FOLDER takes up to 3 GB, 11 GB for growth; a folder in it is made and removed at the end. With `--scale 10` the large
# transcripts have a tenth of their size. Parts: small (start-up, a hook of 5 MB, costs show), hook (100 MB and 1 GB),
# budget (the hooks before a prompt and a tool, beside a million requests), corpus (1 GB in 6,000 files), public (800 MB
# made of the transcripts in $CMAT_TEST_CORPUS, where that is set), forks (of one session, up to 200), growth (10 MB to
# 10 GB); all of them if none is named. ripgrep and sqlite3 are measured where they are installed, ccusage, which npm
# brings into the cache of .ci/run, where there is npm.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
source=$PWD
# shellcheck source=benches/transcripts.sh
. benches/transcripts.sh
scale=100
if [ "${1:-}" = --scale ]; then
    scale=$2
    shift 2
fi
if [ -n "${CMAT_BENCH_PROGRAM:-}" ]; then
    cmat=$CMAT_BENCH_PROGRAM
else
    cargo build --release --quiet
    cmat="$PWD/target/release/cmat"
fi
cache="${CMAT_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cmat-ci}"
ccusage="$cache/ccusage/node_modules/.bin/ccusage"
if command -v npm >/dev/null && ! "$ccusage" --version >/dev/null 2>&1; then
    # Its program by name: npm passes over the one of a version that is not there yet.
    program="@ccusage/ccusage-$(node -p 'process.platform + "-" + process.arch')"
    npm install --silent --prefix "$cache/ccusage" ccusage "$program" >&2 || echo "(ccusage could not be installed)"
fi
work=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/cmat-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" # for the example
export HOME="$work/home" CMAT_HOME="$work/cmat" CMAT_DEADLINE_MS=600000
export CLAUDE_CONFIG_DIR="$HOME/.claude"
mkdir -p "$HOME/.claude/projects" "$work/project/.claude/data"
cd "$work/project"
shift $(($# > 0 ? 1 : 0))
parts=" ${*:-small hook budget corpus public forks growth} "

# scaled N: N as the scale has it, at least 1.
scaled() { echo $(($1 * scale / 100 > 0 ? $1 * scale / 100 : 1)); }

# hook SESSION: ends a session, whose name begins with that of its task.
hook() {
    printf '{"session_id":"%s","transcript_path":"%s","cwd":"%s","hook_event_name":"SessionEnd","reason":"other"}\n' \
        "$1" "$work/$1.jsonl" "$PWD" | CMAT_CURRENT_TASK_ID="${1%%-*}" "$cmat" hook session-end
}
export -f hook
export work cmat

# fresh: neither a ledger nor a task queue that knows anything.
fresh() {
    rm -rf "$CMAT_HOME"
    echo '{"queue_metadata":{},"tasks":[{"id":"small","metadata":{}},{"id":"large","metadata":{}},{"id":"huge","metadata":{}},{"id":"dense","metadata":{}}],"agent_status":{}}' >.claude/data/task_queue.json
}

# row WHAT REPEATS BEFORE COMMAND…: runs BEFORE and then COMMAND so often; prints the medians of wall time and of
# processor time (milliseconds), the largest resident set (MiB), and processor time as a multiple of the row `unit`.
unit=0
TIMEFORMAT='%3R %3U %3S'
median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.0f", a[int((NR + 1) / 2)] }'; }
row() {
    local what=$1 repeats=$2 before=$3 n wall cpu kib ratio=
    shift 3
    for ((n = 0; n < repeats; n++)); do
        $before
        # The shell counts milliseconds, GNU time only hundredths, but it knows the memory.
        { time /usr/bin/time -o "$work/memory" -f %M "$@" >/dev/null 2>&1 </dev/null; } 2>"$work/time" || true
        echo "$(tail -n 1 "$work/time") $(tail -n 1 "$work/memory")"
    done >"$work/times"
    wall=$(awk '{ print $1 * 1000 }' "$work/times" | median)
    cpu=$(awk '{ print ($2 + $3) * 1000 }' "$work/times" | median)
    kib=$(awk '{ if ($4 > max) max = $4 } END { print max }' "$work/times")
    [ "$unit" -eq 0 ] || ratio=$(awk -v cpu="$cpu" -v unit="$unit" 'BEGIN { printf "%.2f", cpu / unit }')
    printf '%-62s %8s %8s %6s %7s\n' "$what" "$wall" "$cpu" "$((kib / 1024))" "$ratio"
    last_cpu=$cpu
}
heading() { printf '\n%-62s %8s %8s %6s %7s\n' "$1" 'WALL ms' 'CPU ms' MiB 'CPU ×'; }

# times_of WHAT COMMAND…: runs it once for each line of stdin, given as last argument; prints the shortest and the
# median time, in milliseconds.
times_of() {
    local what=$1 argument started
    shift
    while read -r argument; do
        started=${EPOCHREALTIME/./}
        "$@" "$argument" >/dev/null 2>&1 </dev/null || true
        echo $((${EPOCHREALTIME/./} - started))
    done | sort -n | awk -v what="$what" '{ time[NR] = $1 }
        END { printf "%-62s %8.1f %8.1f\n", what, time[1] / 1000, time[int((NR + 1) / 2)] / 1000 }'
}

# has COMMAND…: returns whether cmat has that command.
has() { "$cmat" "$@" --help >/dev/null 2>&1; }

small() {
    # A request in 11 KB, as in the public transcripts that the reader is tested with.
    local sessions
    sessions=$(seq -f 'small-%g' 21)
    transcripts "$work" small 21 460 3200
    fresh
    hook small-21 # makes the ledger
    printf '\n%-62s %8s %8s\n' "Start-up and small sessions, $(($(stat -c %s "$work/small-1.jsonl") / 1000000)) MB each" 'BEST ms' 'MEDIAN'
    seq 50 | sed 's/.*/--version/' | times_of 'cmat --version' "$cmat"
    head -n 20 <<<"$sessions" | sed "s|.*|$work/&.jsonl|" | times_of 'cat of the transcript' cat
    head -n 20 <<<"$sessions" | times_of 'cmat hook session-end, never read before' hook
    head -n 20 <<<"$sessions" | times_of 'the same, read before' hook
    transcripts "$work" large 2 50000 0
    hook large-1
    hook large-2
    seq 20 | sed 's/.*/small/' | times_of 'cmat costs show, 110 thousand requests in the ledger' "$cmat" costs show
    seq 20 | sed 's/.*/large/' | times_of 'the same, a task with 100 thousand of them' "$cmat" costs show
    if has report; then
        "$cmat" report --by day >/dev/null 2>&1 || true # sums up what is new
        seq 20 | sed 's/.*/day/' | times_of 'cmat report --by day' "$cmat" report --by
    fi
    if has statusline; then seq 20 | sed 's/.*/statusline/' | times_of 'cmat statusline' "$cmat"; fi
    if has budget check; then seq 20 | sed 's/.*/check/' | times_of 'cmat budget check' "$cmat" budget; fi
    if command -v sqlite3 >/dev/null; then
        seq 5 | sed 's/.*/SELECT at \/ 86400000, model, sum(cost) FROM request JOIN charge ON request = id GROUP BY 1, 2/' |
            times_of 'sqlite3: charges grouped by day and model' sqlite3 "$CMAT_HOME/ledger.db"
    fi
    rm -f "$work"/small-* "$work"/large-*
}

# hook_rows SESSION REPEATS: `wc -l` and the hook on one transcript.
hook_rows() {
    local file="$work/$1.jsonl" size
    size="$(($(stat -c %s "$file") / 1000000)) MB, $(($(grep -c '"assistant"' "$file") / 2)) requests"
    unit=0
    row "wc -l, $size" "$2" true wc -l "$file"
    unit=$last_cpu
    if command -v rg >/dev/null; then row "rg -c '\"usage\"'" "$2" true rg -c --no-ignore '"usage"' "$file"; fi
    row "cmat hook session-end, never read before" "$2" fresh bash -c "hook $1"
}

# shortened SESSION: a ledger that knows all but the last MB.
shortened() {
    fresh
    head -c -1000000 "$work/$1.jsonl" >"$work/whole.jsonl"
    cp "$work/$1.jsonl" "$work/rest.jsonl"
    truncate -s "$(stat -c %s "$work/whole.jsonl")" "$work/$1.jsonl"
    hook "$1"
    tail -c 1000000 "$work/rest.jsonl" >>"$work/$1.jsonl"
}
grown_by_a_megabyte() { shortened large-1; }

hooks() {
    heading 'One transcript'
    transcripts "$work" large 1 "$(scaled 9000)" 3200
    hook_rows large-1 5
    row 'the same, read before but for the last MB' 5 grown_by_a_megabyte bash -c 'hook large-1'
    rm -f "$work"/large-* "$work/whole.jsonl" "$work/rest.jsonl"
    transcripts "$work" huge 1 "$(scaled 90000)" 3200
    hook_rows huge-1 3
    rm -f "$work"/huge-*
    transcripts "$work" dense 1 "$(scaled 700000)" 0
    hook_rows dense-1 1
    rm -f "$work"/dense-*
}

# asked EVENT: before a prompt or a tool of the session large-1.
asked() {
    printf '{"session_id":"large-1","transcript_path":"%s","cwd":"%s","prompt":"go on","tool_name":"Bash","tool_input":{"command":"ls"}}\n' \
        "$work/large-1.jsonl" "$PWD" | CMAT_NOW=2026-11-21T12:00:00Z "$cmat" hook "$1"
}

budget() {
    (cd "$source" && cargo build --release --quiet --example make_ledger)
    fresh
    local n_requests
    n_requests=$(scaled 1000000)
    "$source/target/release/examples/make_ledger" "$CMAT_HOME" "$n_requests"
    transcripts "$work" large 1 "$(scaled 9000)" 3200
    hook large-1
    printf '\n%-62s %8s %8s\n' "Before prompts and tools, $(($(stat -c %s "$work/large-1.jsonl") / 1000000)) MB beside $n_requests requests" 'BEST ms' 'MEDIAN'
    seq 50 | sed 's/.*/user-prompt/' | times_of 'cmat hook user-prompt, no budget' asked
    "$cmat" budget set --daily 1000000 >/dev/null
    seq 50 | sed 's/.*/user-prompt/' | times_of 'the same, a budget of a day' asked
    seq 50 | sed 's/.*/pre-tool/' | times_of 'cmat hook pre-tool, a budget of a day' asked
    "$cmat" budget set --monthly 100000000 --forecast 100 >/dev/null
    seq 50 | sed 's/.*/user-prompt/' | times_of 'cmat hook user-prompt, and one of a month with its forecast' asked
    seq 50 | sed 's/.*/pre-tool/' | times_of 'cmat hook pre-tool, both' asked
    "$cmat" budget set --total 100000000 --enhancement enhancement-3 >/dev/null
    seq 50 | sed 's/.*/user-prompt/' | CMAT_ENHANCEMENT=enhancement-3 times_of 'cmat hook user-prompt, and one of an enhancement' asked
    seq 50 | sed 's/.*/pre-tool/' | CMAT_ENHANCEMENT=enhancement-3 times_of 'cmat hook pre-tool, all three' asked
    rm -f "$work"/large-*
}

# one_grown: a session of the corpus goes on by 1 MB.
one_grown() {
    local file="$HOME/.claude/projects/-p-1/1-1.jsonl"
    sed "s/\(msg\|req\)_1-1_/&${EPOCHREALTIME/./}_/g" "$work/more.jsonl" >>"$file"
}

# read_at_first PROJECTS: what reads all of them for the first time.
read_at_first() {
    local projects=$1
    unit=0
    if command -v rg >/dev/null; then
        row "rg -c '\"usage\"'" 5 true rg -c --no-ignore --hidden '"usage"' "$projects"
        unit=$last_cpu
    else
        echo "(ripgrep is not installed)"
    fi
    row 'cat | wc -l' 3 true bash -c "find '$projects' -name '*.jsonl' -print0 | xargs -0 cat | wc -l"
    if "$ccusage" --version >/dev/null 2>&1; then
        row 'ccusage daily' 3 true "$ccusage" daily --offline
    else
        echo "(ccusage is not installed)"
    fi
    row 'cmat reconcile --all, first time' 3 fresh "$cmat" reconcile --all
    row 'the same again, nothing changed' 5 true "$cmat" reconcile --all
}

# size_of PROJECTS
size_of() {
    echo "$(du -sm --apparent-size "$1" | cut -f1) MB in $(find "$1" -name '*.jsonl' | wc -l) files"
}

corpus() {
    local projects="$HOME/.claude/projects" n
    for n in $(seq "$(scaled 60)"); do
        mkdir -p "$projects/-p-$n"
        transcripts "$projects/-p-$n" "$n" 100 17 2600
    done
    transcripts "$work" more 1 105 2600
    sed 's/more-1/1-1/g' "$work/more-1.jsonl" >"$work/more.jsonl"
    heading "$(size_of "$projects"), $(($(scaled 60) * 100 * 17)) requests"
    read_at_first "$projects"
    row 'one stat per file' 5 true find "$projects" -name '*.jsonl' -size +0
    row 'cmat reconcile --all, one session grown by 1 MB' 5 one_grown "$cmat" reconcile --all
    if has report; then row 'cmat report --by day' 5 true "$cmat" report --by day; fi
    rm -rf "$projects" "$work"/more*
}

# Copies of public transcripts, each with other ids: the last four digits of each UUID, message and request are its own.
public() {
    local projects="$HOME/.claude/projects" n own file name
    if [ -z "${CMAT_TEST_CORPUS:-}" ]; then
        echo "(CMAT_TEST_CORPUS names no public transcripts)"
        return
    fi
    for n in $(seq "$(scaled 375)"); do
        own=$(printf %04x "$n")
        mkdir -p "$projects/-p-$n"
        find "$CMAT_TEST_CORPUS" -name '*.jsonl' -size +39k | while read -r file; do
            name=$(printf %s "$file" | cksum | cut -d' ' -f1)
            sed -E "s/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{8})[0-9a-f]{4}/\\1$own/g; s/\"((msg|req)_[0-9A-Za-z_]*)[0-9A-Za-z]{4}\"/\"\\1$own\"/g" \
                "$file" >"$projects/-p-$n/$name.jsonl"
        done
    done
    heading "$(size_of "$projects"), copies of public ones"
    read_at_first "$projects"
    rm -rf "$projects"
}

# Forks as clients before 2.1.252 wrote them: copies that do not say so.
forks() {
    local projects="$HOME/.claude/projects" n k=0
    mkdir -p "$projects/-p"
    transcripts "$work" base 1 500 51
    transcripts "$work" fork 200 5 51
    heading 'Forks of a session of 500 requests, each with 5 of its own (CPU × is per 50 forks)'
    for n in 1 2 4; do
        while [ "$k" -lt $((50 * n)) ]; do
            k=$((k + 1))
            {
                printf '{"type":"queue-operation","sessionId":"fork-%s","timestamp":"2026-11-02T12:00:00.000Z"}\n' "$k"
                sed "s/\"sessionId\":\"base-1\"/\"sessionId\":\"fork-$k\"/" "$work/base-1.jsonl"
                cat "$work/fork-$k.jsonl"
            } >"$projects/-p/fork-$k.jsonl"
        done
        unit=$n
        row "$k forks" 3 fresh "$cmat" reconcile --all
    done
    rm -rf "$projects" "$work"/base-* "$work"/fork-*
}

growth() {
    local n
    heading 'Growth: a hook on one transcript (CPU × is per 10 MB)'
    for n in 1 10 100 1000; do
        transcripts "$work" "huge" 1 "$(scaled $((900 * n)))" 3200
        unit=$n
        row "$(($(stat -c %s "$work/huge-1.jsonl") / 1000000)) MB" $((n < 1000 ? 3 : 1)) fresh bash -c 'hook huge-1'
        rm -f "$work"/huge-*
    done
}

case $parts in *' small '*) small ;; esac
case $parts in *' hook '*) hooks ;; esac
case $parts in *' budget '*) budget ;; esac
case $parts in *' corpus '*) corpus ;; esac
case $parts in *' public '*) public ;; esac
case $parts in *' forks '*) forks ;; esac
case $parts in *' growth '*) growth ;; esac
