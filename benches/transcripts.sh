# shellcheck shell=bash
# Makes the transcripts that benches measure, the same each time.
#
# transcripts FOLDER SESSION N_SESSIONS N_REQUESTS PADDING: files of sessions named SESSION-1, SESSION-2 and so on.
# Each is, for each request, three lines of PADDING bytes, which are tool results, every fifteenth a prompt, and two lines
# of its answer: about what public transcripts have.
transcripts() {
    awk -v folder="$1" -v name="$2" -v n_sessions="$3" -v n_requests="$4" -v padding="$5" 'BEGIN {
        text = "All work and no play makes\\n\\ta \\\"transcript\\\" long. "
        while (length(text) < padding) text = text text
        text = substr(text, 1, padding - padding % 51)
        for (s = 1; s <= n_sessions; s++) {
            session = name "-" s
            file = folder "/" session ".jsonl"
            for (n = 1; n <= n_requests; n++) {
                at = sprintf("2026-11-%02dT%02d:%02d:%02d.000Z", 1 + (s + n / 86400) % 28, n / 3600 % 24, n / 60 % 60, n % 60)
                common = sprintf("\"sessionId\":\"%s\",\"timestamp\":\"%s\",\"cwd\":\"/home/dev/project\",\"gitBranch\":\"main\",\"version\":\"2.1.330\"", session, at)
                for (block = 1; block <= 3; block++) {
                    content = "[{\"tool_use_id\":\"toolu_" n "_" block "\",\"type\":\"tool_result\",\"content\":\"" text "\"}]"
                    if (n % 5 == 1 && block == 1) content = "\"" text "\""
                    printf "{\"type\":\"user\",\"uuid\":\"u-%s-%d-%d\",%s,\"message\":{\"role\":\"user\",\"content\":%s}}\n", session, n, block, common, content > file
                }
                for (block = 1; block <= 2; block++)
                    printf "{\"type\":\"assistant\",\"uuid\":\"a-%s-%d-%d\",%s,\"requestId\":\"req_%s_%d\",\"message\":{\"id\":\"msg_%s_%d\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[{\"type\":\"text\",\"text\":\"Done, and \\\"written\\\" down.\\n\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d,\"cache_creation_input_tokens\":%d,\"cache_read_input_tokens\":%d,\"cache_creation\":{\"ephemeral_5m_input_tokens\":%d,\"ephemeral_1h_input_tokens\":0},\"service_tier\":\"standard\"}}}\n", session, n, block, common, session, n, session, n, 3 + n % 7, 100 + n % 900, n % 2000, 10000 + n % 50000, n % 2000 > file
            }
            close(file)
        }
    }'
}

