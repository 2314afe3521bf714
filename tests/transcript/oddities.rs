//! What a transcript may hold beside plain lines, one small file for each, with the expected result beside it:
//! `<name>.jsonl` and `<name>.expected.json`. The result tells what differs from an ordinary request.

use cmat::transcript::Slice;
use cmat::transcript::Tail;
use cmat::usage::RawTokens;
use cmat::usage::RequestKey;
use cmat::usage::UsageRecord;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::read;
use crate::transcripts;

#[test]
fn every_oddity_reads_as_expected() {
    let files = transcripts("fixtures/transcripts/oddities");
    assert!(!files.is_empty(), "no fixtures");
    let mut wrong = Vec::new();
    for path in &files {
        let found = described(&read(&std::fs::read(path).unwrap()));
        let beside = path.with_extension("expected.json");
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        let expected: Value = serde_json::from_str(&expected).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{} should be:\n{found:#}", beside.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_expected_result_is_left_over() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transcripts/oddities");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let transcript = path.with_file_name(name.replace(".expected.json", ".jsonl"));
        assert!(transcript.extension().is_some_and(|ext| ext == "jsonl") && transcript.exists(), "{name}");
    }
}

/// Returns what a reading found, without the keys whose value says nothing.
fn described(slice: &Slice) -> Value {
    let own_lines = slice.first_own_line.iter();
    let own_lines: Map<String, Value> =
        own_lines.map(|(session, time)| (session.to_string(), json!(time.to_string()))).collect();
    let tail = match slice.tail {
        Tail::Unchanged => Value::Null,
        Tail::Answered => json!("answered"),
        Tail::Unanswered => json!("unanswered"),
    };
    terse(json!({
        "records": slice.records.iter().map(record).collect::<Vec<_>>(),
        "skipped": slice.skipped.iter().map(told).collect::<Vec<_>>(),
        "torn": slice.torn.as_ref().map(told),
        "tail": tail,
        "first_own_line": own_lines,
    }))
}

fn told(skipped: &cmat::transcript::Skipped) -> String {
    let source = std::error::Error::source(&skipped.reason).map(|source| format!(": {source}"));
    format!("line {}: {}{}", skipped.line, skipped.reason, source.unwrap_or_default())
}

fn record(record: &UsageRecord) -> Value {
    let facts = &record.facts;
    let (flags, origin) = (&facts.flags, &facts.origin);
    let key = match &facts.key {
        RequestKey::Message(id) => format!("message {}", id.as_str()),
        RequestKey::Line(id) => format!("line {}", id.as_str()),
        RequestKey::Remainder(id) => format!("remainder {}", id.as_str()),
        RequestKey::Hash(id) => format!("hash {}", id.as_str()),
        RequestKey::Record(id) => panic!("a transcript shows record {}", id.as_str()),
    };
    let iterations = flags
        .iterations
        .iter()
        .map(|step| terse(json!({ "kind": step.kind, "model": step.model, "tokens": tokens(&step.tokens) })));
    assert_eq!(record.session, origin.session);
    terse(json!({
        "request": key,
        "request_id": facts.request_id,
        "session": record.session,
        "request_session": record.request_session,
        "uuid": record.uuid,
        "lines": record.n_lines,
        "tokens": tokens(&facts.tokens),
        "incomplete": !facts.complete,
        "conflicting": facts.conflicting,
        "stop_reason": flags.stop_reason,
        "model": flags.model,
        "requested_model": flags.requested_model,
        "speed": flags.speed,
        "service_tier": flags.service_tier,
        "inference_geo": flags.inference_geo,
        "web_search_requests": flags.web_search_requests,
        "iterations": iterations.collect::<Vec<_>>(),
        "empty_content": flags.empty_content,
        "timestamp": origin.timestamp.to_string(),
        "sidechain": origin.sidechain,
        "branch": origin.branch,
        "cwd": origin.cwd,
        "agent_id": origin.agent_id,
        "agent": origin.agent,
        "skill": origin.skill,
        "mcp_server": origin.mcp_server,
        "client_version": origin.client_version,
    }))
}

/// Input, output, cache read, cache write, and the five-minute and one-hour parts that the line states.
fn tokens(tokens: &RawTokens) -> String {
    let RawTokens { input, output, cache_read, cache_write, cache_write_5m, cache_write_1h } = tokens;
    format!(
        "in {input} out {output} read {cache_read} write {cache_write} ({cache_write_5m} + {cache_write_1h})"
    )
}

fn terse(value: Value) -> Value {
    let says_nothing = |value: &Value| {
        *value == Value::Null
            || *value == json!(false)
            || *value == json!(0)
            || *value == json!([])
            || *value == json!({})
    };
    match value {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !says_nothing(value)).collect(),
        value => value,
    }
}
