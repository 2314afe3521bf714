//! `cmat costs extract`: which session of a transcript is booked, what it is taken from, and what is no transcript.

use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// Writes a transcript that is not named after its sessions and names them after more than is looked at for that.
fn renamed(project: &TestProject, sessions: &[&str]) -> PathBuf {
    let mut text = format!("{}\n", json!({ "type": "system", "content": "x".repeat(1 << 20) }));
    for session in sessions {
        let mut entry = request(&format!("msg_{session}"), SONNET, [1_000, 1_000, 0, 0]);
        entry["sessionId"] = json!(session);
        text += &format!("{entry}\n");
    }
    project.write("copy.jsonl", text);
    project.project().join("copy.jsonl")
}

fn extract(project: &TestProject, task: &str, rest: &[&str]) -> String {
    project.run(["costs", "extract", task].iter().chain(rest))
}

#[test]
fn a_renamed_transcript_that_names_its_session_late() {
    let project = TestProject::new().task("task_1", "checkout");
    let path = renamed(&project, &["s-1"]);
    assert_snapshot!(extract(&project, "task_1", &[path.to_str().unwrap()]), @"Cost extracted: $0.0180");
    assert_snapshot!(project.run(["sessions", "list"]), @"
    SESSION  PROJECT  FIRST             LAST              REQUESTS     COST
    s-1      project  2026-11-20 12:00  2026-11-20 12:00         1  $0.0180
    ");
}

#[test]
fn a_renamed_transcript_of_several_sessions() {
    let project = TestProject::new().task("task_1", "checkout");
    let path = renamed(&project, &["s-1", "s-2"]);
    let path = path.to_str().unwrap();
    assert_snapshot!(extract(&project, "task_1", &[path]), @"
    --- stderr
    Error: transcript `[project]/copy.jsonl` holds several sessions, of which one has to be named behind it: s-1, s-2
    --- exit 1
    ");
    assert_snapshot!(extract(&project, "task_1", &[path, "s-3"]), @"
    No usage data found in transcript
    --- stderr
    nothing of session s-3; the transcript holds s-1, s-2
    ");
    assert_snapshot!(extract(&project, "task_1", &[path, "s-2"]), @"Cost extracted: $0.0180");
}

#[test]
fn says_from_which_task_it_takes_a_session() {
    let project = TestProject::new()
        .task("task_1", "checkout")
        .task("task_2", "search")
        .task("task_3", "login")
        .session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])]);
    let path = project.transcript_path("s-1");
    let path = path.to_str().unwrap();
    assert_snapshot!(extract(&project, "task_1", &[path]), @"Cost extracted: $0.0180");
    assert_snapshot!(extract(&project, "task_2", &[path]), @"
    Cost extracted: $0.0180
    --- stderr
    1 request moved to task_2 from task_1
    ");
    assert_snapshot!(extract(&project, "task_2", &[path]), @"Cost extracted: $0.0180");
    assert_snapshot!(project.run(["audit"]), @r#"2026-11-21 12:00  assigned        session "s-1", branch null, task "task_2", since null, moved [{"from":"task_1","to":"task_2","requests":1}]"#);
    let output = project.cmat(["costs", "extract", "task_3", path, "--json"]).output().unwrap();
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["moved"], json!([{"from": "task_2", "to": "task_3", "requests": 1}]));
}

#[test]
fn a_file_that_is_no_text_in_utf_8() {
    let line = request("msg_1", SONNET, [1_000, 1_000, 0, 0]).to_string();
    let utf16: Vec<u8> = format!("\u{feff}{line}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let project = TestProject::new()
        .task("task_1", "checkout")
        .transcript("s-1", utf16)
        .transcript("s-2", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03");
    let [utf16, archive] = ["s-1", "s-2"].map(|session| project.transcript_path(session));
    assert_snapshot!(extract(&project, "task_1", &[utf16.to_str().unwrap()]), @"
    No usage data found in transcript
    --- stderr
    [home]/.claude/projects/-root-project/s-1.jsonl: it is UTF-16, where Claude Code writes UTF-8
    ");
    assert_snapshot!(extract(&project, "task_1", &[archive.to_str().unwrap()]), @"
    No usage data found in transcript
    --- stderr
    [home]/.claude/projects/-root-project/s-2.jsonl: it is no text
    ");
    assert_snapshot!(project.run(["explain", "s-1"]), @"
    --- stderr
    Error: no task, session or request `s-1` has a recorded cost (`[home]/.claude/projects/-root-project/s-1.jsonl`: it is UTF-16, where Claude Code writes UTF-8); others are named as in branch:main, day:today
    --- exit 1
    ");
    let doctor = project.run(["doctor"]);
    let said: Vec<&str> = doctor.lines().skip_while(|line| !line.contains("foreign files")).take(2).collect();
    assert_snapshot!(said.join("\n"), @"
    !    foreign files          nothing is read in ~/.claude/projects/-root-project/s-1.jsonl: it is UTF-16, where Claude Code writes UTF-8; nor in 1 other file
                                fix: look: head -c 64 [home]/.claude/projects/-root-project/s-1.jsonl | od -c
    ");
}
