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

const CMAT: &str = env!("CARGO_BIN_EXE_cmat");

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

    Current Session: s1 (task T-1)
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
    let told = project.session_end("s1", &project.transcript_path("s1"));
    let script = format!("{script}; echo '{told}' | CMAT_CURRENT_TASK_ID=T-2 {CMAT} hook session-end");
    let seen = project.run(["run", "--task", "T-1", "--", "sh", "-c", &script]);
    assert!(seen.contains("Session Cost: $0.078750 USD"), "{seen}");
    assert_snapshot!(project.run(["task", "list"]), @"
    TASK  ENHANCEMENT     COST  TITLE
    T-2   -            $0.0788  -
    ");
}

/// A session that was never recorded made a request of a million input tokens, then one in a run, of whose begin and end
/// `hooks` are told.
fn resumed_in_a_run(hooks: [&str; 2]) -> (TestProject, Vec<String>) {
    let mut before = request("msg_0", SONNET, [1_000_000, 0, 0, 0]);
    before["timestamp"] = json!("2026-11-21T11:59:59.500Z");
    before["sessionId"] = json!("s1");
    let (project, _) = project();
    let project = project.file("before.jsonl", format!("{before}\n"));
    let path = project.transcript_path("s1");
    let (folder, transcript) = (path.parent().unwrap().display(), path.display());
    let made = Command::new("sh")
        .args(["-c", &format!("mkdir -p '{folder}' && cp before.jsonl '{transcript}'")])
        .current_dir(project.project())
        .status();
    assert!(made.unwrap().success());
    let told = project.session_end("s1", &path);
    let [begin, end] = hooks.map(|hook| {
        if hook.is_empty() { "true".to_owned() } else { format!("echo '{told}' | {CMAT} hook {hook}") }
    });
    // At the moment at which the test's clock stands.
    let script = format!("{begin}; sed s/12:00:01/12:00:00/ made.jsonl >> '{transcript}'; {end}");
    let seen = project.run(["run", "--task", "T-1", "--tag", "chapter=3", "--", "sh", "-c", &script]);
    assert!(seen.contains("Session Cost: $0.078750 USD"), "{seen}");
    let rows = by_task_and_chapter(&project);
    (project, rows)
}

/// Returns task, chapter, requests and input tokens.
fn by_task_and_chapter(project: &TestProject) -> Vec<String> {
    let report = project.stdout(["report", "--by", "task,tag:chapter", "--format", "csv"]);
    report.lines().skip(1).map(|row| row.split(',').take(4).collect::<Vec<_>>().join(",")).collect()
}

#[test]
fn a_session_that_is_resumed_keeps_what_it_did_before_the_run() {
    for hooks in [["", ""], ["", "session-end"], ["session-start", "session-end"], ["session-start", ""]] {
        let (project, rows) = resumed_in_a_run(hooks);
        assert_eq!(rows, [",,1,1000000", "T-1,3,1,13750"], "{hooks:?}");
        assert_eq!(project.end_session("T-2", "s1"), "");
        assert_eq!(by_task_and_chapter(&project), rows, "a later run does not reach behind it, {hooks:?}");
    }
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
    // A child that nobody tells ends too: the test then fails, and does not hang.
    let script = "trap 'echo told; exit 9' TERM; echo ready; for i in $(seq 600); do sleep 0.1; done";
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

/// A project whose budget of $0.60 a day is used up, and a program called `claude` that tells its arguments.
fn over_budget() -> TestProject {
    let mut spent = request("msg_0", "claude-opus-4-8", [0, 40_000, 0, 0]);
    spent["timestamp"] = json!("2026-11-21T11:00:00.000Z");
    let project = TestProject::new().session("s0", &[spent]);
    assert_eq!(project.end_session("T-0", "s0"), "");
    project.stdout(["budget", "set", "--daily", "0.60"]);
    project.write("claude", "#!/bin/sh\necho \"ran: $*\"\n");
    let made = Command::new("chmod").arg("+x").arg(project.project().join("claude")).status();
    assert!(made.unwrap().success());
    project
}

#[test]
fn a_budget_that_is_used_up_lets_nothing_start() {
    let project = over_budget();
    assert_snapshot!(project.run(["run", "--", "./claude", "-p", "hi"]), @r#"
    --- stderr
    cmat: budget reached – user $1.0000 of $0.6000 (today). The session was not started.
      Why: cmat budget status   Continue, from your own terminal: cmat budget override user/day --amount 0.6 --for 2h --reason "…"
    --- exit 3
    "#);
    project.stdout(["budget", "set", "--daily", "0.60", "--on-exceed", "ask"]);
    let seen = project.run(["run", "--", "./claude"]);
    assert!(seen.contains("The session was not started.") && seen.ends_with("--- exit 3\n"), "{seen}");
    project.stdout(["budget", "set", "--daily", "0.60", "--on-exceed", "warn"]);
    assert!(project.run(["run", "--", "./claude", "hi"]).starts_with("ran: hi\n"));
}

#[test]
fn the_check_is_skipped_for_the_record_by_a_person_and_where_a_budget_allows_it() {
    let project = over_budget();
    let skip = ["run", "--skip-budget-check", "--reason", "release", "--", "./claude", "hi"];
    assert!(project.run(skip).starts_with("ran: hi\n"));
    let audit = project.stdout(["audit", "--verify"]);
    assert!(audit.contains("check_skipped   cmat run  by dana  \"release\"\n"), "{audit}");
    for wrong in [&["--skip-budget-check"][..], &["--reason", "x"], &["--skip-budget-check", "--reason", " "]]
    {
        let seen = project.run([&["run"], wrong, &["--", "./claude", "hi"]].concat());
        assert!(!seen.contains("ran: ") && seen.contains("--- exit "), "{seen}");
    }
    let managed = "[[budget]]\nscope = \"user\"\nperiod = \"total\"\nlimit = \"0.1\"\n";
    let project = project.file("managed.toml", managed);
    let path = project.project().join("managed.toml").to_str().unwrap().to_owned();
    let project = project.env("CMAT_MANAGED_CONFIG", path);
    let seen = project.run(skip);
    assert!(seen.contains("It cannot be overridden") && seen.ends_with("--- exit 3\n"), "{seen}");
    let project = project.env("CLAUDECODE", "1");
    let seen = project.run(skip);
    assert!(seen.contains("is for a person") && seen.ends_with("--- exit 1\n"), "{seen}");
}

#[test]
fn a_cheaper_model_is_passed_on_and_its_first_prompt_is_let_through() {
    let project = over_budget();
    project.stdout(["budget", "set", "--daily", "0.60", "--downgrade-to", "claude-haiku-4-5"]);
    assert_snapshot!(project.run(["run", "--", "./claude", "--model", "opus", "-p", "hi"]), @"
    ran: --model claude-haiku-4-5 -p hi
    --- stderr
    cmat: budget reached – user $1.0000 of $0.6000 (today): the session starts with claude-haiku-4-5.
    no session of Claude Code was recorded in this project meanwhile
    ");
    let own = project.run(["run", "--", "./claude", "--model=claude-haiku-4-5", "hi"]);
    assert!(own.starts_with("ran: --model=claude-haiku-4-5 hi\n") && !own.contains("budget"), "{own}");
    let asks = prompt(&project);
    let seen = project.run(["run", "--", "sh", "-c", &format!("echo $ANTHROPIC_MODEL; {asks}")]);
    assert!(seen.starts_with("claude-haiku-4-5\n{\"systemMessage\"") && !seen.contains("block"), "{seen}");
}

/// Returns what asks the budgets about a prompt, as Claude Code does.
fn prompt(project: &TestProject) -> String {
    let told = json!({ "session_id": "s9", "cwd": project.project(), "prompt": "hi" });
    format!("echo '{told}' | {} hook user-prompt", env!("CARGO_BIN_EXE_cmat"))
}

#[test]
fn a_session_that_a_budget_stops_ends_with_3() {
    let project = over_budget();
    let asks = prompt(&project);
    let run = ["run", "--skip-budget-check", "--reason", "x", "--", "sh", "-c", &asks];
    let seen = project.run(run);
    assert!(seen.starts_with(r#"{"decision":"block""#), "{seen}");
    assert!(seen.ends_with("cmat: the budget `user/day` stopped the session\n--- exit 3\n"), "{seen}");
}
