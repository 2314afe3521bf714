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

fn input_tokens(project: &TestProject, task: &str) -> u64 {
    let show: Value = serde_json::from_str(&project.stdout(["costs", "show", task, "--json"])).unwrap();
    show["input_tokens"].as_u64().unwrap()
}
