//! `cmat reconcile`: a dry run tells what is behind and changes nothing; what is as it was is not read again.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A project whose session no hook recorded.
fn project() -> TestProject {
    let message = request("msg_1", SONNET, [1_000, 1_000, 0, 0]);
    TestProject::new().task("task_1", "checkout").session("s-1", &[message])
}

/// Returns the task queue, and how many hook runs are left.
fn kept(project: &TestProject) -> (Vec<u8>, usize) {
    let n_intents = fs::read_dir(project.cmat_home().join("outbox")).map_or(0, Iterator::count);
    (fs::read(project.queue_path()).unwrap(), n_intents)
}

#[test]
fn a_dry_run_tells_of_what_no_hook_recorded_and_records_nothing() {
    let project = project();
    let before = kept(&project);
    assert_snapshot!(project.run(["reconcile", "--dry-run"]), @r"
    1 session read; to do: 1 new request to record, 0 hook runs to finish, 0 tasks to write
    Dry run: nothing was changed.
    --- exit 5
    ");
    assert!(!project.cmat_home().join("ledger.db").exists(), "a dry run made a ledger");
    assert_eq!(kept(&project), before);
    assert_snapshot!(project.run(["costs", "sync"]), @"1 session read, 1 new request; 0 hook runs finished, 0 tasks written");
    assert_snapshot!(project.run(["costs", "sync", "--dry-run"]), @r"
    1 session read; to do: 0 new requests to record, 0 hook runs to finish, 0 tasks to write
    Dry run: nothing was changed.
    ");
}

#[test]
fn a_dry_run_tells_of_a_hook_run_that_was_cut_off() {
    let project = project();
    fs::create_dir_all(project.cmat_home()).unwrap();
    // A ledger that cannot be used: the hook gets no further than its intent.
    fs::create_dir(project.cmat_home().join("ledger.db")).unwrap();
    project.end_session("task_1", "s-1");
    fs::remove_dir(project.cmat_home().join("ledger.db")).unwrap();
    let before = kept(&project);
    assert_snapshot!(project.run(["reconcile", "--dry-run"]), @r"
    1 session read; to do: 1 new request to record, 1 hook run to finish, 1 task to write
    Dry run: nothing was changed.
    --- exit 5
    ");
    assert_eq!(kept(&project), before);
    assert_snapshot!(project.run(["reconcile"]), @"1 session read, 1 new request; 1 hook run finished, 1 task written");
    assert_snapshot!(project.run(["reconcile", "--dry-run"]), @r"
    1 session read; to do: 0 new requests to record, 0 hook runs to finish, 0 tasks to write
    Dry run: nothing was changed.
    ");
}

#[test]
fn a_dry_run_tells_of_figures_that_another_program_changed() {
    let project = project();
    project.end_session("task_1", "s-1");
    let queue = fs::read_to_string(project.queue_path()).unwrap();
    fs::write(project.queue_path(), queue.replace("\"0.0180\"", "\"0.0900\"")).unwrap();
    let before = kept(&project);
    assert_snapshot!(project.run(["reconcile", "--dry-run"]), @"
    1 session read; to do: 0 new requests to record, 0 hook runs to finish, 1 task to write
    Dry run: nothing was changed.
    --- stderr
    `cmat reconcile` would say: task task_1: another program had put cost_usd 0.0900 into `[project]/.claude/data/task_queue.json`; that is kept in the ledger, and replaced there by what cmat recorded (`cmat reconcile --adopt task_1` adds what it holds beyond that)
    --- exit 5
    ");
    assert_eq!(kept(&project), before);
    let document: Value = serde_json::from_str(&json(&project)).unwrap();
    assert_eq!((&document["dry_run"], &document["tasks_written"]), (&Value::Bool(true), &Value::from(1)));
}

/// Returns the document alone: the exit code is 5.
fn json(project: &TestProject) -> String {
    let output = project.cmat(["reconcile", "--dry-run", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_transcript_whose_size_and_time_are_as_they_were_is_not_read_again() {
    let project = project();
    project.run(["reconcile"]);
    let path = project.transcript_path("s-1");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(fs::read_to_string(&path).unwrap().replace("msg_1", "msg_2").as_bytes(), 0).unwrap();
    file.set_modified(written).unwrap();
    assert_snapshot!(project.run(["reconcile"]), @"1 session read, 0 new requests; 0 hook runs finished, 0 tasks written");
    file.set_modified(written + Duration::from_secs(1)).unwrap();
    assert_snapshot!(project.run(["reconcile"]), @"1 session read, 1 new request; 0 hook runs finished, 0 tasks written");
}
