//! `cmat task …`: which tasks there are, with a queue and without one.

use insta::assert_snapshot;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

#[test]
fn lists_the_tasks_of_the_queue_that_cost_nothing_yet() {
    let project = TestProject::new()
        .task("task_1", "login")
        .task("task_2", "logout")
        .session("s1", &[request("msg_1", SONNET, [1000, 100, 0, 0])]);
    assert_eq!(project.end_session("task_1", "s1"), "");
    assert_snapshot!(project.stdout(["task", "list"]), @r"
    TASK    ENHANCEMENT     COST  TITLE
    task_1  login        $0.0045  Work on login
    task_2  logout       $0.0000  Work on logout
    ");
    assert_snapshot!(project.stdout(["task", "show", "task_2"]), @r"
    Task task_2:
      Title:       Work on logout
      Enhancement: logout
      Sessions:    0
      Requests:    0
      Cost:        $0.0000
    ");
}

#[test]
fn any_task_can_be_used_where_there_is_no_queue() {
    let project = TestProject::new();
    assert_snapshot!(project.run(["task", "use", "SHOP-101"]), @"Working on SHOP-101, in sessions of this project that name no task");
    let project = project.task("task_1", "login");
    assert_snapshot!(project.run(["task", "use", "SHOP-102"]), @r"
    --- stderr
    Error: task not found: SHOP-102 (`cmat task new` makes one, `cmat task list` lists them)
    --- exit 1
    ");
    assert_snapshot!(project.run(["task", "use", "SHOP-101"]), @"Working on SHOP-101, in sessions of this project that name no task");
    assert_snapshot!(project.run(["task", "use", "task_1"]), @"Working on task_1, in sessions of this project that name no task");
    assert_snapshot!(project.stdout(["task", "list"]), @r"
    TASK      ENHANCEMENT     COST  TITLE
    SHOP-101  -            $0.0000  -
    task_1    login        $0.0000  Work on login
    ");
}

#[test]
fn a_task_whose_sessions_named_two_enhancements_is_asked_for_by_one() {
    let project = |enhancement: &str, project: TestProject| {
        let project = project.env("CMAT_ENHANCEMENT", enhancement);
        project.end_session("task_1", &format!("s-{enhancement}"));
        project
    };
    let new = TestProject::new()
        .session("s-checkout", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
        .session("s-search", &[request("msg_2", SONNET, [1_000, 1_000, 0, 0])]);
    let project = project("search", project("checkout", new));
    assert_snapshot!(project.run(["costs", "enhancement", "checkout"]), @"No cost data found for enhancement: checkout");
    let seen = project.run(["costs", "enhancement", "search"]);
    assert!(seen.contains("$0.0360"), "{seen}");
}
