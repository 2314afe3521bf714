//! Task queues as they should not be: the cost is recorded, the queue is left as it was, and cmat says which.

use std::fs;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A task and a session of it that costs $0.018.
fn project() -> TestProject {
    TestProject::new()
        .task("task_1", "checkout")
        .session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
}

fn extract(project: &TestProject) -> String {
    project.run(["costs", "extract", "task_1", project.transcript_path("s-1").to_str().unwrap()])
}

/// Ends the session with these bytes as the queue: silent, recorded, the bytes as they were.
#[track_caller]
fn records_beside(queue: &[u8]) {
    let project = project().env("CMAT_DEADLINE_MS", "300");
    fs::write(project.queue_path(), queue).unwrap();
    assert_eq!(project.end_session("task_1", "s-1"), "");
    assert_eq!(fs::read(project.queue_path()).unwrap(), queue);
    let shown = project.run(["costs", "show", "task_1"]);
    assert!(shown.contains("$0.0180"), "{shown}");
}

#[test]
fn a_queue_that_is_none_is_left_alone() {
    let whole = fs::read(project().queue_path()).unwrap();
    let deep = format!("{{\"tasks\":{}", "[".repeat(200_000));
    let queues: [&[u8]; 9] = [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{\"tasks\": 7}",
        &whole[..whole.len() / 2],
        b"\xff\xfe\x00",
        b"{\"tasks\": [{\"id\": \"task_1\", \"metadata\": 5}]}",
        deep.as_bytes(),
    ];
    for queue in queues {
        records_beside(queue);
    }
}

#[test]
fn says_that_a_corrupt_queue_was_not_updated() {
    let project = project();
    fs::write(project.queue_path(), "{\"tasks\": [").unwrap();
    assert_snapshot!(extract(&project), @"
    Cost extracted: $0.0180
    --- stderr
    recorded, but not yet shown in the task queue: cannot understand the task queue `[project]/.claude/data/task_queue.json`: it is not JSON: line 1, column 12: expected a value or `]`, found the end of the file
    --- exit 4
    ");
}

#[test]
fn a_repaired_queue_gets_what_was_recorded() {
    let project = project();
    let whole = fs::read(project.queue_path()).unwrap();
    fs::write(project.queue_path(), &whole[..whole.len() - 9]).unwrap();
    project.end_session("task_1", "s-1");
    fs::write(project.queue_path(), &whole).unwrap();
    assert_snapshot!(project.run(["reconcile"]), @"1 session read, 0 new requests; 0 hook runs finished, 1 task written");
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn a_queue_that_is_locked_for_ever() {
    let project = project().env("CMAT_DEADLINE_MS", "300");
    let before = fs::read(project.queue_path()).unwrap();
    let lock = File::create(project.project().join(".claude/data/task_queue.json.lock")).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    assert_eq!(project.end_session("task_1", "s-1"), "");
    assert_eq!(fs::read(project.queue_path()).unwrap(), before);
    assert_snapshot!(project.run(["costs", "show", "task_1"]), @"
    Cost for task task_1:
      Model: claude-sonnet-4-20250514
      Input Tokens:          1,000
      Output Tokens:         1,000
      Cache Creation:            0
      Cache Read:                0
      Total Cost:          $0.0180
    --- stderr
    Warning: recorded, but not yet shown in the task queue: cannot lock the task queue: `[project]/.claude/data/task_queue.json.lock` is still locked by another process
    ");
    drop(lock);
    project.run(["reconcile"]);
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn a_queue_in_a_folder_that_may_not_be_written() {
    let project = project().ordinary_user().env("CMAT_DEADLINE_MS", "300");
    let folder = project.project().join(".claude/data");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let before = fs::read(project.queue_path()).unwrap();
    assert_eq!(project.end_session("task_1", "s-1"), "");
    assert_eq!(fs::read(project.queue_path()).unwrap(), before);
    assert_snapshot!(extract(&project), @"
    Cost extracted: $0.0180
    --- stderr
    recorded, but not yet shown in the task queue: cannot lock the task queue: cannot open the lock file `[project]/.claude/data/task_queue.json.lock`: Permission denied (os error 13)
    --- exit 4
    ");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    project.run(["reconcile"]);
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn a_queue_that_is_a_symlink_stays_one() {
    let project = project();
    let target = project.home().join("shared_queue.json");
    fs::rename(project.queue_path(), &target).unwrap();
    symlink(&target, project.queue_path()).unwrap();
    assert_eq!(project.end_session("task_1", "s-1"), "");
    assert_eq!(fs::read_link(project.queue_path()).unwrap(), target);
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}

#[test]
fn a_queue_keeps_its_permissions() {
    let project = project();
    fs::set_permissions(project.queue_path(), fs::Permissions::from_mode(0o640)).unwrap();
    project.end_session("task_1", "s-1");
    assert_eq!(fs::metadata(project.queue_path()).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn of_two_tasks_with_one_id_the_first_is_written() {
    let project = project().task("task_1", "another");
    assert_snapshot!(extract(&project), @"
    Cost extracted: $0.0180
    --- stderr
    task task_1 stands in `[project]/.claude/data/task_queue.json` more than once; the first one shows the cost
    ");
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "1000"
    cost_output_tokens: "1000"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "0"
    cost_usd: "0.0180"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
    let queue = fs::read_to_string(project.queue_path()).unwrap();
    assert_eq!(queue.matches("\"cost_usd\": null").count(), 1, "only the first has a cost");
}

#[test]
fn nothing_is_left_beside_the_queue_but_the_lock() {
    let project = project();
    project.end_session("task_1", "s-1");
    let mut names: Vec<String> = fs::read_dir(project.project().join(".claude/data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["task_queue.json", "task_queue.json.lock"]);
}
