//! Which task pays for a session that worked on several: each run is paid for by the task that it was started for.

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

#[test]
fn a_session_that_is_resumed_for_another_task_is_paid_for_by_both() {
    let first_run = [request("msg_1", SONNET, [1000, 100, 0, 0])];
    let project =
        TestProject::new().task("task_1", "login").task("task_2", "logout").session("s1", &first_run);
    assert_snapshot!(project.end_session("task_1", "s1"), @"");
    // After the first run has ended, whenever this test runs.
    let mut later = request("msg_2", SONNET, [2000, 200, 0, 0]);
    later["timestamp"] = "2999-01-01T00:00:00Z".into();
    let project = project.session("s1", &[first_run[0].clone(), later]);
    assert_snapshot!(project.end_session("task_2", "s1"), @"");
    assert_eq!(input_tokens(&project, "task_1"), 1000);
    assert_eq!(input_tokens(&project, "task_2"), 2000);
    assert_snapshot!(project.end_session("task_2", "s1"), @"");
    assert_eq!(input_tokens(&project, "task_1"), 1000);
    assert_eq!(input_tokens(&project, "task_2"), 2000);
}

#[test]
fn an_end_that_is_booked_late_still_speaks_for_its_own_run() {
    let mut lines = Vec::new();
    for (n, time) in ["09:30", "10:30", "11:30"].into_iter().enumerate() {
        let mut line = request(&format!("msg_{n}"), SONNET, [1 << n, 1, 0, 0]);
        line["timestamp"] = format!("2026-11-20T{time}:00Z").into();
        lines.push(line);
    }
    let mut project =
        TestProject::new().task("task_1", "login").task("task_2", "logout").session("s1", &lines);
    for (time, task) in [("12:00", "task_1"), ("10:00", "task_1"), ("11:00", "task_2"), ("11:00", "task_2")] {
        project = project.env("CMAT_NOW", format!("2026-11-20T{time}:00Z"));
        assert_eq!(project.end_session(task, "s1"), "");
    }
    assert_eq!(input_tokens(&project, "task_1"), 0b101);
    assert_eq!(input_tokens(&project, "task_2"), 0b010);
}

#[test]
fn a_run_that_was_killed_is_paid_for_by_the_task_that_it_was_started_for() {
    let mut lines = Vec::new();
    for (n, time) in ["09:30", "10:30", "11:30"].into_iter().enumerate() {
        let mut line = request(&format!("msg_{n}"), SONNET, [1 << n, 1, 0, 0]);
        line["timestamp"] = format!("2026-11-20T{time}:00Z").into();
        lines.push(line);
    }
    let mut project =
        TestProject::new().task("task_1", "login").task("task_2", "logout").session("s1", &lines[..1]);
    // The first start is told of late: it reaches back. No run but the last one ends.
    for (time, event, task, n_lines) in [
        ("10:00", "session-start", "task_1", 2),
        ("11:00", "session-start", "task_2", 3),
        ("12:00", "session-end", "task_2", 3),
        ("11:00", "session-start", "task_2", 3),
    ] {
        project = project.env("CMAT_NOW", format!("2026-11-20T{time}:00Z"));
        assert_eq!(project.at_event(event, task, "s1"), "");
        project = project.session("s1", &lines[..n_lines]);
    }
    assert_eq!(input_tokens(&project, "task_1"), 0b011);
    assert_eq!(input_tokens(&project, "task_2"), 0b100);
}

#[test]
fn what_was_used_earlier_in_a_session_keeps_its_requests() {
    let mut lines = Vec::new();
    for (n, time) in ["10:30", "11:30"].into_iter().enumerate() {
        let mut line = request(&format!("msg_{n}"), SONNET, [1 << n, 1, 0, 0]);
        line["timestamp"] = format!("2026-11-20T{time}:00Z").into();
        lines.push(line);
    }
    let mut project =
        TestProject::new().task("task_1", "login").task("task_2", "logout").session("s1", &lines);
    for (time, task) in [("10:00", "task_1"), ("11:00", "task_2")] {
        project = project.env("CMAT_NOW", format!("2026-11-20T{time}:00Z"));
        project.run(["task", "use", task]);
    }
    project = project.env("CMAT_NOW", "2026-11-20T12:00:00Z");
    let ended = project.session_end("s1", &project.transcript_path("s1"));
    assert_eq!(project.hook(ended), "");
    assert_eq!(input_tokens(&project, "task_1"), 0b01);
    assert_eq!(input_tokens(&project, "task_2"), 0b10);
}

#[test]
fn what_was_before_the_first_use_goes_to_the_task_in_the_file() {
    let mut early = request("msg_1", SONNET, [7, 1, 0, 0]);
    early["timestamp"] = "2026-11-20T09:00:00Z".into();
    let mut project = TestProject::new().task("task_1", "login").session("s1", &[early]);
    project = project.env("CMAT_NOW", "2026-11-20T10:00:00Z");
    project.run(["task", "use", "task_1"]);
    let ended = project.session_end("s1", &project.transcript_path("s1"));
    assert_eq!(project.hook(ended), "");
    assert_eq!(input_tokens(&project, "task_1"), 7);
}

fn input_tokens(project: &TestProject, task: &str) -> u64 {
    let show: Value = serde_json::from_str(&project.stdout(["costs", "show", task, "--json"])).unwrap();
    show["input_tokens"].as_u64().unwrap()
}
