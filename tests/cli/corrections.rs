//! What people correct afterwards: both tasks, and the queue, say then what is true.

use insta::assert_snapshot;
use rusqlite::Connection;
use serde_json::Value;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// Two sessions of task_1, each with a request at 10 and at 11 o'clock: on `main`, then on `feature`.
fn two_sessions() -> TestProject {
    let mut project = TestProject::new().task("task_1", "login").task("task_2", "logout");
    for (session, input) in [("s1", 1), ("s2", 100)] {
        let mut lines = Vec::new();
        for (hour, branch, input) in [(10, "main", input), (11, "feature", 10 * input)] {
            let mut line = request(&format!("msg_{input}"), SONNET, [input, 1, 0, 0]);
            line["timestamp"] = format!("2026-11-20T{hour}:00:00Z").into();
            line["gitBranch"] = branch.into();
            lines.push(line);
        }
        project = project.session(session, &lines).env("CMAT_NOW", "2026-11-20T12:00:00Z");
        assert_eq!(project.end_session("task_1", session), "");
    }
    assert_eq!(input_tokens(&project), [1111, 0]);
    project.env("CMAT_NOW", "2026-11-21T12:00:00Z")
}

/// Returns the input tokens of both tasks, which the ledger and the queue agree on.
fn input_tokens(project: &TestProject) -> [u64; 2] {
    ["task_1", "task_2"].map(|task| {
        let tasks: Value = serde_json::from_str(&project.stdout(["task", "list", "--json"])).unwrap();
        let rows = tasks["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["task"] == task);
        let recorded = row.map_or(0, |row| row["input_tokens"].as_u64().unwrap());
        let stored = project.stored(task);
        let stored = stored.lines().find_map(|line| line.strip_prefix("cost_input_tokens: ")).unwrap();
        assert_eq!(stored.trim_matches('"').parse().unwrap_or(0), recorded, "{task}");
        recorded
    })
}

#[test]
fn a_session_goes_to_another_task_and_from_a_moment_on_back() {
    let project = two_sessions();
    assert_snapshot!(project.stdout(["task", "assign", "s1", "task_2"]), @"2 requests moved: task_1 → task_2");
    assert_eq!(input_tokens(&project), [1100, 11]);
    assert_snapshot!(project.stdout(["task", "assign", "s1", "task_2"]), @"No request belongs to another task than before");
    let project = project.env("CMAT_NOW", "2026-11-21T13:00:00Z");
    assert_snapshot!(
        project.stdout(["task", "assign", "s1", "task_1", "--since", "2026-11-20T10:30:00Z"]),
        @"1 request moved: task_2 → task_1"
    );
    assert_eq!(input_tokens(&project), [1110, 1]);
    let project = project.env("CMAT_NOW", "2026-11-21T14:00:00Z");
    assert_snapshot!(project.stdout(["task", "assign", "s1", "task_1", "--since", "2026-11-20"]), @"1 request moved: task_2 → task_1");
    assert_eq!(input_tokens(&project), [1111, 0]);
}

#[test]
fn a_correction_stays_when_all_is_read_and_told_again() {
    let project = two_sessions();
    project.stdout(["task", "assign", "s1", "task_2"]);
    project.stdout(["reconcile"]);
    let project = project.env("CMAT_NOW", "2026-11-20T12:00:00Z");
    assert_eq!(project.end_session("task_1", "s1"), "");
    assert_eq!(input_tokens(&project), [1100, 11]);
}

#[test]
fn a_branch_goes_to_another_task_in_all_sessions_and_its_next_sessions_with_it() {
    let project = two_sessions();
    assert_snapshot!(project.stdout(["task", "assign", "feature", "task_2"]), @"2 requests moved: task_1 → task_2");
    assert_eq!(input_tokens(&project), [101, 1010]);
    let mut line = request("msg_3", SONNET, [10_000, 1, 0, 0]);
    line["gitBranch"] = "feature".into();
    let project = project.session("s3", &[line]);
    project.stdout(["reconcile"]);
    assert_eq!(input_tokens(&project), [101, 11_010]);
    let project = project.env("CMAT_NOW", "2026-11-21T13:00:00Z");
    project.stdout(["task", "assign", "s1", "task_1"]);
    assert_eq!(input_tokens(&project), [111, 11_000]);
}

#[test]
fn what_nobody_recorded_is_not_corrected() {
    let project = two_sessions();
    assert_snapshot!(project.run(["task", "assign", "nowhere", "task_1"]), @r"
    --- stderr
    Error: no session, and no branch of this project, is recorded as `nowhere` (`cmat reconcile` reads more)
    --- exit 1
    ");
    assert_snapshot!(project.run(["task", "assign", "s1", "task_3"]), @r"
    --- stderr
    Error: task not found: task_3 in `[project]` (`cmat task list` lists them)
    --- exit 1
    ");
    assert!(
        project.run(["task", "assign", "s1", "task_1", "--since", "yesterday"]).ends_with("--- exit 2\n")
    );
}

#[test]
fn all_is_attributed_again_by_what_was_recorded() {
    let project = two_sessions();
    project.stdout(["task", "assign", "feature", "task_2"]);
    assert_snapshot!(project.stdout(["reattribute"]), @r"
    4 requests looked at
    No request belongs to another task than before
    ");
    let ledger = Connection::open(project.cmat_home().join("ledger.db")).unwrap();
    let audit = || -> i64 {
        let count = "SELECT count(*) FROM audit WHERE kind = 'reattributed'";
        ledger.query_row(count, [], |row| row.get(0)).unwrap()
    };
    ledger.execute("UPDATE request SET task = NULL WHERE input = 1000", []).unwrap();
    assert_snapshot!(project.stdout(["reattribute", "--dry-run"]), @r"
    4 requests looked at
    1 request would move: no task → task_2
    ");
    assert_eq!(audit(), 0);
    assert_snapshot!(project.stdout(["reattribute"]), @r"
    4 requests looked at
    1 request moved: no task → task_2
    ");
    assert_eq!(audit(), 1);
    assert_eq!(input_tokens(&project), [101, 1010]);
}

#[test]
fn a_forgotten_session_leaves_its_task_and_does_not_come_back() {
    let project = two_sessions();
    assert_snapshot!(project.stdout(["forget", "s1", "--dry-run"]), @"2 requests and 1 session would be forgotten, of 1 task");
    assert_eq!(input_tokens(&project), [1111, 0]);
    assert_snapshot!(project.stdout(["forget", "s1"]), @"2 requests and 1 session forgotten, of 1 task");
    assert_eq!(input_tokens(&project), [1100, 0]);
    project.stdout(["reconcile"]);
    assert_eq!(input_tokens(&project), [1100, 0]);
    // A fork shows a request of it, and goes on.
    let fork = [request("msg_1", SONNET, [1, 1, 0, 0]), request("msg_4", SONNET, [10_000, 1, 0, 0])];
    let project = project.session("s4", &fork);
    assert_eq!(project.end_session("task_2", "s4"), "");
    assert_eq!(input_tokens(&project), [1100, 10_000]);
}

#[test]
fn what_a_fork_shows_of_a_forgotten_session_goes_and_what_is_its_own_stays() {
    let project = two_sessions();
    let mut copy = request("msg_1", SONNET, [1, 1, 0, 0]);
    copy["timestamp"] = "2026-11-20T10:00:00Z".into();
    let mut own = request("msg_4", SONNET, [10_000, 1, 0, 0]);
    own["timestamp"] = "2026-11-20T11:30:00Z".into();
    let project = project.session("s4", &[copy, own]);
    assert_eq!(project.end_session("task_2", "s4"), "");
    assert_eq!(input_tokens(&project), [1111, 10_000]);
    project.stdout(["forget", "s1"]);
    assert_eq!(input_tokens(&project), [1100, 10_000]);
    project.stdout(["forget", "s4"]);
    assert_eq!(input_tokens(&project), [1100, 0]);
    assert!(project.stdout(["reattribute"]).contains("No request belongs to another task"));
}

#[test]
fn a_project_and_a_time_are_forgotten_and_what_comes_later_is_recorded() {
    let project = two_sessions();
    assert_snapshot!(project.stdout(["forget", "--before", "2026-11-20T10:30:00Z"]), @"2 requests and 0 sessions forgotten, of 1 task");
    assert_eq!(input_tokens(&project), [1010, 0]);
    let path = project.project();
    assert_snapshot!(project.stdout(["forget", "--project", path.to_str().unwrap()]), @"2 requests and 2 sessions forgotten, of 1 task");
    project.stdout(["reconcile"]);
    assert_eq!(input_tokens(&project), [0, 0]);
    let mut later = request("msg_5", SONNET, [7, 1, 0, 0]);
    later["timestamp"] = "2026-11-21T13:00:00Z".into();
    let project = project.session("s5", &[later]).env("CMAT_NOW", "2026-11-21T14:00:00Z");
    assert_eq!(project.end_session("task_2", "s5"), "");
    assert_eq!(input_tokens(&project), [0, 7]);
}

#[test]
fn a_session_that_owns_what_only_its_fork_shows_outlives_what_is_forgotten_of_it() {
    let project = two_sessions();
    let mut named = request("msg_6", SONNET, [10_000, 1, 0, 0]);
    named["timestamp"] = "2026-11-20T11:30:00Z".into();
    named["requestSessionId"] = "s1".into();
    let project = project.session("s4", &[named]);
    assert_eq!(project.end_session("task_2", "s4"), "");
    assert_eq!(input_tokens(&project), [11_111, 0], "the session that the fork names owns it");
    assert_snapshot!(project.run(["forget", "--before", "2026-11-20T11:15:00Z"]), @"4 requests and 1 session forgotten, of 1 task");
    assert_eq!(input_tokens(&project), [10_000, 0]);
}

#[test]
fn nothing_is_forgotten_unless_one_thing_is_named() {
    let project = two_sessions();
    assert_snapshot!(project.run(["forget"]), @r"
    --- stderr
    Error: name one of a session, `--project DIR` and `--before DATE`; nothing was forgotten
    --- exit 1
    ");
    assert_snapshot!(project.run(["forget", "s1", "--before", "2026-11-21"]), @r"
    --- stderr
    Error: name one of a session, `--project DIR` and `--before DATE`; nothing was forgotten
    --- exit 1
    ");
    assert_snapshot!(project.run(["forget", "s9"]), @r"
    --- stderr
    Error: no session `s9` is recorded
    --- exit 1
    ");
    assert_eq!(input_tokens(&project), [1111, 0]);
}
