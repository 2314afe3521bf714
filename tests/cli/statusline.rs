//! `cmat statusline`: a line from what is recorded, whatever stands in its way.

use insta::assert_snapshot;
use rusqlite::Connection;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

fn project() -> TestProject {
    let mut today = request("msg_2", SONNET, [100_000, 10_000, 0, 900_000]);
    today["timestamp"] = json!("2026-11-21T11:00:00.000Z");
    let lines = [request("msg_1", SONNET, [100_000, 10_000, 0, 0]), today];
    let project = TestProject::new().session("s1", &lines);
    assert_eq!(project.end_session("T-1", "s1"), "");
    project
}

/// Returns what Claude Code would show.
fn line(project: &TestProject, stdin: impl AsRef<[u8]>) -> String {
    project.seen(&feed(&mut project.cmat(["statusline"]), stdin).wait_with_output().unwrap())
}

fn told(project: &TestProject, session: &str) -> String {
    json!({
        "session_id": session,
        "transcript_path": project.transcript_path(session),
        "cwd": project.project(),
        "model": {"id": "claude-opus-5-5[1m]", "display_name": "Opus 5.5"},
        "workspace": {"current_dir": project.project(), "project_dir": project.project(), "added_dirs": []},
        "cost": {"total_cost_usd": 0.25},
    })
    .to_string()
}

#[test]
fn tells_model_task_day_and_cache() {
    let project = project();
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5 · task $1.17 · today $0.72 · cache 81 %");
    project.run(["costs", "show", "T-1"]);
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5 · task $1.17 · today $0.72 · cache 81 %");
    assert_snapshot!(line(&project, told(&project, "s2")), @"opus-5.5 · session $0.00 · today $0.72");
}

#[test]
fn never_fails() {
    let project = TestProject::new();
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5");
    assert_snapshot!(line(&project, ""), @"");
    assert_snapshot!(line(&project, b"\xff{["), @"");
    assert_snapshot!(line(&project, r#"{"model":{"id":"\u001b[2Jx"}}"#), @r"\u{1b}");
    let project = project_with_broken_things();
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5");
}

fn project_with_broken_things() -> TestProject {
    let project = TestProject::new().file(".claude/cmat.toml", "not = [toml");
    std::fs::create_dir(project.cmat_home()).unwrap();
    std::fs::write(project.cmat_home().join("ledger.db"), "not a database at all, but long enough").unwrap();
    project
}

#[test]
fn does_not_wait_for_whoever_writes_the_ledger() {
    let project = project();
    let writer = Connection::open(project.cmat_home().join("ledger.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE request SET input = input + 1").unwrap();
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5 · task $1.17 · today $0.72 · cache 81 %");
}

#[test]
fn the_setting_is_printed_and_one_that_is_there_is_named_and_kept() {
    let project = TestProject::new();
    assert_snapshot!(project.run(["init", "--statusline"]), @r#"
    "statusLine": { "type": "command", "command": "cmat statusline" }
    --- stderr
    Add this to `[home]/.claude/settings.json` by hand:
    "#);
    let settings = r#"{"statusLine": {"type": "command", "command": "mine"}}"#;
    let project = project.file(".claude/settings.json", settings);
    assert_snapshot!(project.run(["init", "--statusline"]), @r#"
    "statusLine": { "type": "command", "command": "cmat statusline" }
    --- stderr
    `[project]/.claude/settings.json` has a status line already, which stays as it is: have its program call `cmat statusline` with the same stdin, or put this in its place
    Add this to `[home]/.claude/settings.json` by hand:
    "#);
    let kept = std::fs::read_to_string(project.project().join(".claude/settings.json")).unwrap();
    assert_eq!(kept, settings);
}

#[test]
fn the_strictest_budget_is_marked_and_the_day_has_its_limit() {
    let project = project();
    project.stdout(["budget", "set", "--daily", "5"]);
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5 · task $1.17 · today $0.72/$5.00 14 % · cache 81 %");
    project.stdout(["budget", "set", "--total", "1.18", "--task", "T-1"]);
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5 · task $1.17 · T-1 $1.17/$1.18 99 % ! · today $0.72/$5.00 · cache 81 %");
    // Another task's budget is not this session's.
    project.stdout(["budget", "set", "--total", "0.5", "--task", "T-2"]);
    assert_snapshot!(line(&project, told(&project, "s2")), @"opus-5.5 · session $0.00 · today $0.72/$5.00 14 %");
    project.write(".claude/cmat.toml", "budget = [");
    assert_snapshot!(line(&project, told(&project, "s1")), @"opus-5.5 · task $1.17 · T-1 $1.17/$1.18 99 % ! · today $0.72/$5.00 · cache 81 %");
}
