//! Transcripts as they should not be: each has a clear error or a stated result, and nothing is counted wrong.

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// What a transcript with one good request ($0.018) looks like.
fn good_line() -> String {
    let mut line = request("msg_1", SONNET, [1_000, 1_000, 0, 0]);
    line["sessionId"] = json!("s-1");
    line.to_string()
}

/// Extracts a transcript of these bytes and returns what a person sees of it.
fn extract(bytes: impl AsRef<[u8]>) -> String {
    let project = TestProject::new().task("task_1", "checkout").transcript("s-1", bytes);
    extract_path(&project, &project.transcript_path("s-1"))
}

fn extract_path(project: &TestProject, transcript: &Path) -> String {
    let bytes = transcript.is_file().then(|| fs::read(transcript).ok());
    let seen = project.run(["costs", "extract", "task_1", transcript.to_str().unwrap()]);
    assert_eq!(transcript.is_file().then(|| fs::read(transcript).ok()), bytes, "the transcript changed");
    seen
}

/// Returns the good line with a field of its usage changed.
fn with_usage(field: &str, value: Value) -> String {
    let mut line: Value = serde_json::from_str(&good_line()).unwrap();
    line["message"]["usage"][field] = value;
    line.to_string()
}

#[test]
fn a_transcript_that_is_not_there() {
    let project = TestProject::new().task("task_1", "checkout");
    assert_snapshot!(extract_path(&project, &project.home().join("no-such.jsonl")), @"
    --- stderr
    Error: transcript `[home]/no-such.jsonl` does not exist
    --- exit 1
    ");
    assert_snapshot!(extract_path(&project, &project.home()), @"
    --- stderr
    Error: transcript `[home]` could not be read: not a regular file
    --- exit 1
    ");
    let fifo = project.home().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert_snapshot!(extract_path(&project, &fifo), @"
    --- stderr
    Error: transcript `[home]/fifo` could not be read: not a regular file
    --- exit 1
    ");
}

#[test]
fn a_transcript_that_may_not_be_read() {
    let project =
        TestProject::new().ordinary_user().task("task_1", "checkout").transcript("s-1", good_line());
    let path = project.transcript_path("s-1");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    assert_snapshot!(project.run(["costs", "extract", "task_1", path.to_str().unwrap()]), @"
    --- stderr
    Error: transcript `[home]/.claude/projects/-root-project/s-1.jsonl` could not be read: Permission denied (os error 13)
    --- exit 1
    ");
}

#[test]
fn a_transcript_without_usage() {
    assert_snapshot!(extract(""), @"No usage data found in transcript");
    assert_snapshot!(extract("\n\n\n"), @"No usage data found in transcript");
    assert_snapshot!(extract("{}"), @"No usage data found in transcript");
    assert_snapshot!(extract([0_u8, 159, 146, 150, 0xff, b'\n', 0]), @"
    No usage data found in transcript
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl: it is no text
    ");
    assert_snapshot!(extract("no \"usage\" here\n"), @"No usage data found in transcript");
}

#[test]
fn bom_and_crlf() {
    assert_eq!(extract(format!("\u{feff}{}\r\n", good_line())), "Cost extracted: $0.0180\n");
    assert_eq!(extract(format!("{}\r\n\r\n", good_line())), "Cost extracted: $0.0180\n");
}

#[test]
fn a_broken_line_costs_only_itself() {
    let good = good_line();
    let torn = &good[..good.len() - 40];
    assert_snapshot!(extract(format!("{torn}\n{good}\n")), @r"
    Cost extracted: $0.0180+
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl:1: left out: not JSON, or torn
    at least: the transcript lacks an answer that was cut off, has a line that cannot be read, or does not fit what its client counted (`cmat explain`)
    ");
    assert_snapshot!(extract(format!("{good}\n{torn}")), @"Cost extracted: $0.0180");
    assert_snapshot!(extract(format!("{torn}{good}\n")), @r"
    Cost extracted: $0.0180+
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl:1: left out: not JSON, or torn
    at least: the transcript lacks an answer that was cut off, has a line that cannot be read, or does not fit what its client counted (`cmat explain`)
    ");
    assert_snapshot!(extract([good.as_bytes(), b"\n{\"type\":\"assistant\",\"usage\":{\"\xff\xfe\x00\n"].concat()), @r"
    Cost extracted: $0.0180+
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl:2: left out: not JSON, or torn
    at least: the transcript lacks an answer that was cut off, has a line that cannot be read, or does not fit what its client counted (`cmat explain`)
    ");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_content = good.replace("msg_1", "msg_0").replace("\"Done.\"", &deep);
    assert_snapshot!(extract(format!("{deep_content}\n{good}\n")), @"Cost extracted: $0.0360");
    let deep_count = good.replace("\"input_tokens\":1000", &format!("\"input_tokens\":{deep}"));
    assert_snapshot!(extract(format!("{deep_count}\n{good}\n")), @r"
    Cost extracted: $0.0180+
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl:1: left out: `input_tokens` is not a whole number from 0 to 1099511627776
    at least: the transcript lacks an answer that was cut off, has a line that cannot be read, or does not fit what its client counted (`cmat explain`)
    ");
}

#[test]
fn token_counts_that_are_none() {
    for value in [json!(-1), json!(1.5), json!("1000"), json!([1]), json!({}), json!(true)] {
        let seen = extract(with_usage("input_tokens", value.clone()));
        assert!(seen.starts_with("No usage data found in transcript\n"), "{value}: {seen}");
        assert!(seen.contains("`input_tokens` is not a whole number from 0 to"), "{value}: {seen}");
    }
    let huge = with_usage("input_tokens", json!(0)).replace("\"input_tokens\":0", "\"input_tokens\":1e400");
    assert_snapshot!(extract(huge), @"
    No usage data found in transcript
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl:1: left out: `input_tokens` is not a whole number from 0 to 1099511627776
    ");
    assert_snapshot!(extract(with_usage("input_tokens", json!(u64::MAX))), @"
    No usage data found in transcript
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl:1: left out: `input_tokens` is not a whole number from 0 to 1099511627776
    ");
    assert_snapshot!(extract(with_usage("input_tokens", json!(1000.0))), @"Cost extracted: $0.0180");
    assert_snapshot!(extract(with_usage("input_tokens", Value::Null)), @"Cost extracted: $0.0150");
    let twice = good_line().replace("\"input_tokens\":1000", "\"input_tokens\":1000,\"input_tokens\":9000");
    assert_snapshot!(extract(twice), @"Cost extracted: $0.0420");
}

#[test]
fn a_line_of_100_mb() {
    let project = TestProject::new().task("task_1", "checkout").transcript("s-1", "");
    let path = project.transcript_path("s-1");
    let mut file = File::options().append(true).open(&path).unwrap();
    let good = good_line();
    writeln!(file, "{}", good.replace("msg_1", "msg_0")).unwrap();
    write!(file, "{{\"type\":\"user\",\"usage\":\"").unwrap();
    for _ in 0..100 {
        file.write_all(&[b'x'; 1 << 20]).unwrap();
    }
    writeln!(file, "\"}}\n{good}").unwrap();
    let seen = project.run(["costs", "extract", "task_1", path.to_str().unwrap()]);
    assert_snapshot!(seen, @r"
    Cost extracted: $0.0360+
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl:2: left out: longer than 64 MiB
    at least: the transcript lacks an answer that was cut off, has a line that cannot be read, or does not fit what its client counted (`cmat explain`)
    ");
}

#[test]
fn counts_that_are_too_large_to_price_are_not_explained_as_free() {
    let project = TestProject::new();
    let line = with_usage("output_tokens", json!(1_u64 << 40));
    let project = project.task("task_1", "checkout").transcript("s-1", line);
    assert_snapshot!(extract_path(&project, &project.transcript_path("s-1")), @"
    Cost extracted: $0.0000+
    --- stderr
    without a price: claude-sonnet-4-20250514 (`cmat models add`, or if it has a row: `cmat explain`)
    ");
    let explained = project.stdout(["explain", "task_1"]);
    assert!(explained.contains("its counts are too large to price"), "{explained}");
    let explained: Value = serde_json::from_str(&project.stdout(["explain", "task_1", "--json"])).unwrap();
    assert_eq!(explained["unpriced_models"], json!([SONNET]));
    assert_eq!(explained["lower_bound"], false);
}

#[test]
fn synthetic_answers_and_errors_are_no_requests() {
    let mut synthetic: Value = serde_json::from_str(&good_line()).unwrap();
    synthetic["message"]["model"] = json!("<synthetic>");
    synthetic["isApiErrorMessage"] = json!(true);
    assert_snapshot!(extract(synthetic.to_string()), @"No usage data found in transcript");
}
