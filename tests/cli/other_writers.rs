//! Other programs that write a task's cost keys: what they erase comes back, what they know is kept.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A task with one session of $0.018, ended through the hook.
fn project() -> TestProject {
    let message = request("msg_1", SONNET, [1_000, 1_000, 0, 0]);
    let project = TestProject::new().task("task_1", "checkout").session("s-1", &[message]);
    project.end_session("task_1", "s-1");
    project
}

/// Rewrites the queue as a program does that knows nothing of locks, with other values in the task's metadata.
fn rewrite(project: &TestProject, values: &[(&str, Value)]) {
    let mut queue: Value = serde_json::from_slice(&fs::read(project.queue_path()).unwrap()).unwrap();
    for (key, value) in values {
        queue["tasks"][0]["metadata"][*key] = value.clone();
    }
    fs::write(project.queue_path(), serde_json::to_string_pretty(&queue).unwrap()).unwrap();
}

const SEVEN: [&str; 7] = [
    "cost_input_tokens",
    "cost_output_tokens",
    "cost_cache_creation_tokens",
    "cost_cache_read_tokens",
    "cost_usd",
    "cost_model",
    "session_id",
];

#[test]
fn what_another_program_erases_comes_back() {
    let project = project();
    let stored = project.stored("task_1");
    rewrite(&project, &SEVEN.map(|key| (key, Value::Null)));
    assert_ne!(project.stored("task_1"), stored);
    project.run(["reconcile"]);
    assert_eq!(project.stored("task_1"), stored);
}

#[test]
fn figures_that_cmat_wrote_itself_long_ago_are_not_counted_again() {
    let project = project();
    let old = fs::read(project.queue_path()).unwrap();
    let message = request("msg_2", SONNET, [1_000, 1_000, 0, 0]);
    let project = project.session("s-2", &[message]);
    project.end_session("task_1", "s-2");
    let stored = project.stored("task_1");
    fs::write(project.queue_path(), old).unwrap();
    project.run(["reconcile"]);
    assert_eq!(project.stored("task_1"), stored);
}

#[test]
fn a_session_of_another_machine_is_added_as_recorded_elsewhere() {
    let project = project();
    let values = [
        ("cost_input_tokens", json!("3000")),
        ("cost_output_tokens", json!("1500")),
        ("cost_usd", json!("0.0318")),
        ("session_id", json!("of-another-machine")),
    ];
    rewrite(&project, &values);
    project.run(["reconcile"]);
    assert_snapshot!(project.run(["costs", "show", "task_1", "--breakdown"]), @r"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:          3,000
      Output Tokens:         1,500
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0318

      MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      claude-sonnet-4-20250514         1  1,000   1,000        0       0  $0.0180

      SESSION  REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      s-1             1  1,000   1,000        0       0  $0.0180

      recorded elsewhere  2,000 in, 500 out, 0 cache write, 0 cache read  $0.0138

      cost by kind   input 16.7 %   output 83.3 %   cache write 0.0 %   cache read 0.0 %
    ");
    assert_snapshot!(project.run(["report", "--by", "task", "--where", "task=task_1"]), @r"
      TASK    REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
      task_1         1  1,000   1,000        0       0  $0.0180
      Total          1  1,000   1,000        0       0  $0.0180
    --- stderr
    not in this report: $0.0138 that other writers of task queues recorded (`cmat costs show`)
    ");
    assert!(!project.run(["report", "--where", "branch="]).contains("other writers"));
    assert!(
        project.run(["explain", "task:task_1"]).contains("+ $0.0138 recorded elsewhere → $0.0318 in all")
    );
}

#[test]
fn another_writer_of_the_same_session_is_overruled() {
    let project = project();
    rewrite(&project, &[("cost_usd", json!("0.0900"))]);
    project.run(["reconcile"]);
    assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""));
}

/// Writes a task's figures as the Python cost hook does: one rewrite of the whole file for each, the session last.
fn python_hook(project: &TestProject, values: [&str; 7], mut between: impl FnMut()) {
    for (key, value) in SEVEN.into_iter().zip(values) {
        rewrite(project, &[(key, json!(value))]);
        between();
    }
}

#[test]
fn a_python_cost_hook_beside_ours_changes_no_total() {
    let project = project();
    let stored = project.stored("task_1");
    // It sums every line, so its counts are too large; ours looks after each of its seven writings.
    let twice = ["2000", "2000", "0", "0", "0.0360", "Claude Sonnet 4", "s-1"];
    python_hook(&project, twice, || {
        project.run(["reconcile"]);
    });
    project.run(["reconcile"]);
    assert_eq!(project.stored("task_1"), stored);
    python_hook(&project, twice, || {});
    assert!(project.run(["reconcile"]).contains("another program had put cost_usd 0.0360"));
    assert_eq!(project.stored("task_1"), stored);
}

#[test]
fn a_python_cost_hook_of_another_machine_is_added_once() {
    let project = project();
    python_hook(&project, ["3000", "1500", "0", "0", "0.0318", "Claude Sonnet 4", "theirs"], || {});
    for _ in 0..3 {
        project.run(["reconcile"]);
    }
    assert!(project.stored("task_1").contains("cost_usd: \"0.0318\""), "{}", project.stored("task_1"));
}

#[test]
fn a_ledger_that_was_deleted_leaves_to_a_person_what_only_the_queue_knows() {
    let project = project().session("s-2", &[request("msg_2", SONNET, [2_000, 2_000, 0, 0])]);
    project.end_session("task_1", "s-2");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0540\""));
    fs::remove_dir_all(project.cmat_home()).unwrap();
    fs::remove_file(project.transcript_path("s-1")).unwrap();
    let mut later = request("msg_3", SONNET, [1_000, 1_000, 0, 0]);
    later["timestamp"] = json!("2026-11-20T13:00:00.000Z");
    let project = project.session("s-3", &[later]);
    project.end_session("task_1", "s-3");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0180\""));
    project.run(["reconcile"]);
    assert_snapshot!(project.run(["reconcile", "--adopt", "task_1", "--dry-run"]), @"
    2 sessions read; to do: 0 new requests to record, 0 hook runs to finish, 1 task to write
    Dry run: nothing was changed.
    task task_1: $0.0180 added, which its queue held beyond the ledger
    --- exit 5
    ");
    assert_snapshot!(project.run(["reconcile", "--adopt", "task_1"]), @"
    2 sessions read, 0 new requests; 0 hook runs finished, 1 task written
    task task_1: $0.0180 added, which its queue held beyond the ledger
    ");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0720\""), "{}", project.stored("task_1"));
    assert_snapshot!(project.run(["reconcile", "--adopt", "task_1"]), @"
    2 sessions read, 0 new requests; 0 hook runs finished, 0 tasks written
    --- stderr
    task task_1: no figures of others that are not counted already
    ");
    assert_snapshot!(project.run(["reconcile", "--adopt", "task_9"]), @"
    --- stderr
    Error: task not found: task_9 (`cmat task list` lists them)
    --- exit 1
    ");
}
