//! `cmat doctor --fix` mends what is safe and leaves the rest; `--self-test` tries all of it and books nothing.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use rusqlite::Connection;

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

/// Returns what `doctor` says that it mended, and what it says of these checks.
fn fix(project: &TestProject, checks: &[&str]) -> String {
    let seen = project.run(["doctor", "--fix"]);
    let is_meant = |line: &&str| {
        line.starts_with("  fixed:") || checks.iter().any(|name| line.contains(&format!(" {name}  ")))
    };
    let (stdout, stderr) = seen.split_once("--- stderr\n").unwrap_or((&seen, ""));
    let words = stderr.lines().filter(|line| !line.starts_with("--- exit"));
    stdout.lines().filter(is_meant).chain(words).collect::<Vec<_>>().join("\n")
}

#[test]
fn mends_permissions_leftovers_and_what_was_erased() {
    let project = project();
    fs::set_permissions(project.cmat_home(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(project.cmat_home().join("ledger.db"), Permissions::from_mode(0o644)).unwrap();
    project.write("../cmat/.cmat-ledger.db-x1.tmp", "");
    let old =
        fs::File::options().write(true).open(project.cmat_home().join(".cmat-ledger.db-x1.tmp")).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    project.write("../cmat/notes.txt", "somebody's");
    let stored = project.stored("task_1");
    let queue = fs::read_to_string(project.queue_path()).unwrap();
    fs::write(project.queue_path(), queue.replace("\"0.0180\"", "null")).unwrap();
    assert_snapshot!(fix(&project, &["data folder", "queue up to date"]), @"
      fixed: `[cmat]` is for you only
      fixed: `[cmat]/ledger.db` is for you only
      fixed: 1 unfinished file of killed runs removed
      fixed: 1 task in a queue brought to what the ledger knows
      ok   queue up to date       shows what the ledger knows
      ok   data folder            [cmat], for you only
    Warning: task task_1: another program had put figures without cost_usd into `[project]/.claude/data/task_queue.json`; that is kept in the ledger, and replaced there by what cmat recorded (`cmat reconcile --adopt task_1` adds what it holds beyond that)
    ");
    assert_eq!(project.stored("task_1"), stored);
    assert!(project.cmat_home().join("notes.txt").exists());
    assert_snapshot!(fix(&project, &["data folder"]), @"  ok   data folder            [cmat], for you only");
}

#[test]
fn finishes_what_a_hook_left() {
    let project = project();
    let ledger = project.cmat_home().join("ledger.db");
    fs::rename(&ledger, project.cmat_home().join("kept")).unwrap();
    fs::create_dir(&ledger).unwrap();
    let project = project.session("s-2", &[request("msg_2", SONNET, [1_000, 1_000, 0, 0])]);
    project.end_session("task_1", "s-2");
    fs::remove_dir(&ledger).unwrap();
    fs::rename(project.cmat_home().join("kept"), &ledger).unwrap();
    assert_snapshot!(fix(&project, &["hook runs left"]), @"
    fixed: 1 hook run finished
    fixed: 1 task in a queue brought to what the ledger knows
    ok   hook runs left         none
    ");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0360\""));
}

#[test]
fn puts_a_ledger_back_whose_damage_shows_late() {
    let project = project();
    project.run(["costs", "show", "task_1"]);
    let ledger = project.cmat_home().join("ledger.db");
    Connection::open(&ledger).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut bytes = fs::read(&ledger).unwrap();
    // The first page, with the list of tables, stays.
    for page in bytes.chunks_mut(4096).skip(20) {
        page.fill(0xa5);
    }
    fs::write(&ledger, bytes).unwrap();
    let seen = project.run(["doctor"]);
    assert!(seen.contains("fix: cmat doctor --fix: keeps it"), "{seen}");
    assert_snapshot!(fix(&project, &["ledger", "backups"]), @"
      fixed: the ledger is back
      ok   ledger                 [cmat]/ledger.db, sound, 1 request
      !    backups                the newest is of 2026-11-21; a damaged ledger is kept as [cmat]/ledger.db.corrupt-20261121T120000Z
    Warning: the ledger `[cmat]/ledger.db` was damaged; it is kept as `[cmat]/ledger.db.corrupt-20261121T120000Z`. The backup of 2026-11-21T12:00:00Z took its place; all transcripts are being read.
    The ledger is back: 1 session read, 0 new requests. What hooks and people said of tasks since that backup is lost.
    ");
    assert!(project.run(["costs", "show", "task_1"]).contains("$0.0180"));
}

#[test]
fn leaves_a_queue_alone_that_it_does_not_understand() {
    let project = project();
    fs::write(project.queue_path(), "{\"tasks\": [").unwrap();
    assert_snapshot!(fix(&project, &["task queue"]), @"
      x    task queue             cannot understand the task queue `[project]/.claude/data/task_queue.json`: it is not JSON: line 1, column 12: expected a value or `]`, found the end of the file
    Warning: recorded, but not yet shown in the task queue: cannot understand the task queue `[project]/.claude/data/task_queue.json`: it is not JSON: line 1, column 12: expected a value or `]`, found the end of the file
    ");
    assert_eq!(fs::read(project.queue_path()).unwrap(), b"{\"tasks\": [");
}

#[test]
fn mends_nothing_where_nothing_was_recorded() {
    let project = TestProject::new();
    assert_snapshot!(fix(&project, &["ledger"]), @"  ok   ledger                 none yet: the first session that ends makes it");
    assert!(!project.cmat_home().exists());
}

#[test]
fn the_self_test_goes_the_whole_way_and_books_nothing() {
    let project = TestProject::new();
    let seen = project.run(["doctor", "--self-test"]);
    let line = seen.lines().find(|line| line.contains("self-test")).unwrap();
    let line = regex::Regex::new(r"in \d+ ms").unwrap().replace(line, "in 99 ms").into_owned();
    assert_snapshot!(line, @"  ok   self-test              a session of $0.0915 was recorded, shown and queued in 99 ms");
    assert!(!project.cmat_home().exists());
}
