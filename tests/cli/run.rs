//! `cmat run`: the child has the terminal, the signals and the last word; what it did is booked.

use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Command;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A project, and the script of a client that makes one request of 13,750 input and 2,500 output tokens.
fn project() -> (TestProject, String) {
    let mut line = request("msg_1", SONNET, [13_750, 2_500, 0, 0]);
    line["timestamp"] = json!("2026-11-21T12:00:01.000Z");
    line["sessionId"] = json!("s1");
    let project = TestProject::new().file("made.jsonl", format!("{line}\n"));
    let transcript = project.transcript_path("s1");
    let script = format!(
        "mkdir -p '{}' && cp made.jsonl '{}'",
        transcript.parent().unwrap().display(),
        transcript.display()
    );
    (project, script)
}

#[test]
fn a_run_that_no_hook_told_of_is_booked_for_its_task_and_told() {
    let (project, script) = project();
    let script = format!("{script}; echo \"$CMAT_CURRENT_TASK_ID $CMAT_ENHANCEMENT $CMAT_TAGS\"; exit 7");
    let run =
        ["run", "--task", "T-1", "--enhancement", "book", "--tag", "chapter=3", "--", "sh", "-c", &script];
    assert_snapshot!(project.run(run), @"
    T-1 book chapter=3
    --- stderr

    ================================================================================
    CLAUDE CODE COST SUMMARY
    ================================================================================

    Pricing (Claude Sonnet 4):
      Input:  $3.00 / million tokens
      Output: $15.00 / million tokens

    Current Session: T-1
      API Calls: 1
      Input Tokens: 13,750
      Output Tokens: 2,500
      Total Tokens: 16,250
      Session Cost: $0.078750 USD

    Cumulative Total (All Time):
      Total Input Tokens: 13,750
      Total Output Tokens: 2,500
      Total Tokens: 16,250
      Total Cost: $0.078750 USD

    ================================================================================
    --- exit 7
    ");
    assert_snapshot!(project.run(["costs", "show", "T-1"]), @"
    Cost for task T-1:
      Model: claude-sonnet-4-20250514
      Input Tokens:         13,750
      Output Tokens:         2,500
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0788
    ");
    assert_snapshot!(project.run(["report", "--by", "tag:chapter,enhancement", "--format", "csv"]).lines().nth(1).unwrap().split(',').take(2).collect::<Vec<_>>().join(","), @"3,book");
}

#[test]
fn what_a_hook_said_of_the_run_is_not_said_again() {
    let (project, script) = project();
    let cmat = env!("CARGO_BIN_EXE_cmat");
    let told = project.session_end("s1", &project.transcript_path("s1"));
    let script = format!("{script}; echo '{told}' | CMAT_CURRENT_TASK_ID=T-2 {cmat} hook session-end");
    let seen = project.run(["run", "--task", "T-1", "--", "sh", "-c", &script]);
    assert!(seen.contains("Session Cost: $0.078750 USD"), "{seen}");
    assert_snapshot!(project.run(["task", "list"]), @"
    TASK  ENHANCEMENT     COST  TITLE
    T-2   -            $0.0788  -
    ");
}

#[test]
fn a_run_without_a_session_and_one_without_a_program() {
    let project = TestProject::new();
    assert_snapshot!(project.run(["run", "--", "true"]), @"
    --- stderr
    no session of Claude Code was recorded in this project meanwhile
    ");
    assert_snapshot!(project.run(["run", "--", "no-such-\u{1b}[2J"]), @r"
    --- stderr
    Error: cannot run `no-such-\u{1b}[2J`: there is no such program; give its path, or look at PATH
    --- exit 127
    ");
    let project = project.file("data", "");
    assert_snapshot!(project.run(["run", "--", "./data"]), @"
    --- stderr
    Error: cannot run `./data`: Permission denied (os error 13)
    --- exit 126
    ");
    assert_snapshot!(project.run(["run", "--", "sh", "-c", "kill -9 $$"]), @"
    --- stderr
    no session of Claude Code was recorded in this project meanwhile
    --- exit 137
    ");
}

#[test]
fn a_tag_that_is_none_is_told_before_anything_runs() {
    let project = TestProject::new();
    for tag in ["chapter", "=3", "a b=3", "chapter=3,4", "chapter="] {
        let seen = project.run(["run", "--tag", tag, "--", "echo", "ran"]);
        assert!(
            seen.contains("is no tag") && seen.ends_with("--- exit 2\n") && !seen.contains("ran\n"),
            "{seen}"
        );
    }
}

#[test]
fn a_signal_is_passed_on_and_the_child_decides_what_becomes_of_it() {
    let project = TestProject::new();
    let script = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut run = project
        .cmat(["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    assert!(Command::new("kill").arg(run.id().to_string()).status().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "told");
    assert_eq!(run.wait().unwrap().code(), Some(9));
}
