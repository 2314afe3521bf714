//! What no hook told of, because a session was killed within a turn: the next command or session finds it by itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A project whose session began for `task_1`, wrote a request that costs $0.018, and was killed before any other hook.
fn killed() -> TestProject {
    let project = TestProject::new().task("task_1", "checkout").task("task_2", "search");
    assert_eq!(project.at_event("session-start", "task_1", "s-1"), "");
    project.session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
}

fn cost(project: &TestProject) -> String {
    let shown = project.stdout(["costs", "show", "task_1"]);
    shown.lines().find_map(|line| line.trim().strip_prefix("Total Cost:")).unwrap().trim().to_owned()
}

#[test]
fn a_command_reads_what_a_killed_session_wrote() {
    let project = killed();
    assert_eq!(cost(&project), "$0.0180");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""));
    // Nothing is left for the one that reads all.
    assert!(project.run(["reconcile", "--dry-run"]).contains("to do: 0 new requests"));
}

#[test]
fn the_next_session_reads_what_a_killed_one_wrote() {
    let project = killed();
    assert_eq!(project.at_event("session-start", "task_2", "s-2"), "");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""));
}

#[test]
fn a_killed_subagents_file_is_read_on_where_its_session_wrote_nothing_more() {
    let project = killed();
    assert_eq!(cost(&project), "$0.0180");
    let agent = project.transcript_path("s-1").with_extension("").join("subagents/agent-a1.jsonl");
    fs::create_dir_all(agent.parent().unwrap()).unwrap();
    let mut lines = String::new();
    for (id, sum) in [("msg_2", "$0.0360"), ("msg_3", "$0.0540")] {
        let mut line = request(id, SONNET, [1_000, 1_000, 0, 0]);
        line["sessionId"] = json!("s-1");
        line["isSidechain"] = json!(true);
        line["agentId"] = json!("a1");
        lines.push_str(&format!("{line}\n"));
        fs::write(&agent, &lines).unwrap();
        assert_eq!(cost(&project), sum);
    }
}

#[test]
fn a_transcript_that_is_a_link_counts_once() {
    let project = killed();
    let (path, elsewhere) = (project.transcript_path("s-1"), project.home().join("s-1.jsonl"));
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert_eq!(cost(&project), "$0.0180");
    project.end_session("task_1", "s-1");
    assert_eq!(cost(&project), "$0.0180");
}

#[test]
fn what_cannot_be_read_is_passed_by_without_a_word() {
    let project = killed();
    let folder = project.transcript_path("s-1").parent().unwrap().to_owned();
    fs::create_dir_all(folder.join("folder.jsonl")).unwrap();
    symlink("nowhere", folder.join("link.jsonl")).unwrap();
    symlink(&folder, folder.join("loop")).unwrap();
    let pipe = folder.join("pipe.jsonl");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    fs::write(folder.join("torn.jsonl"), "{\"type\":\"assistant\"").unwrap();
    assert_eq!(cost(&project), "$0.0180");
    assert_eq!(project.at_event("session-start", "task_2", "s-2"), "");
}

#[test]
fn what_was_forgotten_is_not_read_again() {
    let project = killed();
    assert_eq!(cost(&project), "$0.0180");
    let forgotten = project.cmat(["forget", "s-1"]).output().unwrap();
    assert!(forgotten.status.success(), "{}", project.seen(&forgotten));
    for _ in 0..2 {
        let report = project.run(["report"]);
        assert!(report.contains("nothing is recorded yet"), "{report}");
    }
}

#[test]
fn sessions_of_other_projects_are_left_alone() {
    let project = killed();
    let other = project.home().join(".claude/projects/-elsewhere/s-9.jsonl");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    let mut line = request("msg_9", SONNET, [1_000, 1_000, 0, 0]);
    line["sessionId"] = json!("s-9");
    fs::write(&other, format!("{line}\n")).unwrap();
    assert_eq!(cost(&project), "$0.0180");
    let all = project.run(["reconcile", "--all", "--dry-run"]);
    assert!(all.contains("to do: 1 new request to record"), "{all}");
}
