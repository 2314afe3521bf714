//! The ledger's file: damaged, gone, newer, read-only; and its backups.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use insta::assert_snapshot;
use rusqlite::Connection;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A task with one session of $0.018, ended through the hook, and asked for: so there is a backup.
fn project() -> TestProject {
    let message = request("msg_1", SONNET, [1_000, 1_000, 0, 0]);
    let project = TestProject::new().task("task_1", "checkout").session("s-1", &[message]);
    project.end_session("task_1", "s-1");
    assert!(cost(&project).contains("$0.0180"));
    project
}

fn cost(project: &TestProject) -> String {
    let seen = project.run(["costs", "show", "task_1"]);
    seen.lines()
        .filter(|line| line.contains("Total Cost") || !line.starts_with("  "))
        .collect::<Vec<_>>()
        .join("\n")
}

fn names(project: &TestProject, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(project.cmat_home().join(folder)) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn ledger(project: &TestProject) -> PathBuf {
    project.cmat_home().join("ledger.db")
}

/// Puts garbage where the ledger is.
fn damage(project: &TestProject) {
    for ending in ["-wal", "-shm"] {
        let _gone = fs::remove_file(project.cmat_home().join(format!("ledger.db{ending}")));
    }
    fs::write(ledger(project), "garbage").unwrap();
}

/// A second session of the task, which ends while the ledger cannot be used: the hook keeps what it was told.
fn end_another_session(project: TestProject) -> TestProject {
    let project = project.session("s-2", &[request("msg_2", SONNET, [1_000, 1_000, 0, 0])]);
    assert_eq!(project.end_session("task_1", "s-2"), "");
    assert_eq!(names(&project, "outbox").len(), 1);
    project
}

#[test]
fn a_damaged_ledger_is_kept_and_its_backup_takes_its_place() {
    let project = project();
    damage(&project);
    let project = end_another_session(project);
    assert_snapshot!(cost(&project), @"
    Cost for task task_1:
      Total Cost:          $0.0360
    --- stderr
    Warning: the ledger `[cmat]/ledger.db` was damaged; it is kept as `[cmat]/ledger.db.corrupt-20261121T120000Z`. The backup of 2026-11-21T12:00:00Z took its place; all transcripts are being read.
    The ledger is back: 2 sessions read, 1 new request. What hooks and people said of tasks since that backup is lost.
    ");
    assert_eq!(fs::read(project.cmat_home().join("ledger.db.corrupt-20261121T120000Z")).unwrap(), b"garbage");
    assert_snapshot!(cost(&project), @"
    Cost for task task_1:
      Total Cost:          $0.0360
    ");
    assert!(project.stored("task_1").contains("cost_usd: \"0.0360\""));
}

#[test]
fn a_damaged_ledger_without_a_backup_is_rebuilt_from_transcripts() {
    let project = project();
    fs::remove_dir_all(project.cmat_home().join("backups")).unwrap();
    damage(&project);
    assert_snapshot!(project.run(["reconcile"]), @"
    1 session read, 0 new requests; 0 hook runs finished, 0 tasks written
    --- stderr
    Warning: the ledger `[cmat]/ledger.db` was damaged; it is kept as `[cmat]/ledger.db.corrupt-20261121T120000Z`. There is no backup of it; all transcripts are being read.
    The ledger is back: 1 session read, 1 new request. What hooks and people said of tasks is lost.
    `[project]/.claude/data/task_queue.json` shows the cost of 1 task that the ledger knows nothing of, such as task_1: `cmat reconcile --adopt task_1` books it
    ");
    assert_snapshot!(project.run(["reconcile"]), @"1 session read, 0 new requests; 0 hook runs finished, 0 tasks written");
}

#[test]
fn a_ledger_that_is_gone_comes_back_from_its_backup() {
    let project = project();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(project.cmat_home().join(name)).unwrap();
    }
    let project = end_another_session(project);
    assert!(!ledger(&project).exists(), "a hook made an empty one");
    assert_snapshot!(cost(&project), @"
    Cost for task task_1:
      Total Cost:          $0.0360
    --- stderr
    Warning: the ledger `[cmat]/ledger.db` was gone. The backup of 2026-11-21T12:00:00Z took its place; all transcripts are being read.
    The ledger is back: 2 sessions read, 1 new request. What hooks and people said of tasks since that backup is lost.
    ");
}

#[test]
fn a_dry_run_leaves_a_damaged_ledger_where_it_is() {
    let project = project();
    damage(&project);
    assert_snapshot!(project.run(["reconcile", "--dry-run"]), @"
    --- stderr
    Error: ledger `[cmat]/ledger.db` could not be opened: file is not a database: Error code 26: file is not a database
    The ledger is damaged or gone: `cmat doctor --fix` puts it back
    --- exit 1
    ");
    assert_eq!(fs::read(ledger(&project)).unwrap(), b"garbage");
}

#[test]
fn what_damages_ledgers_again_and_again_is_stopped() {
    let project = project();
    for n in 0..10 {
        fs::write(project.cmat_home().join(format!("ledger.db.corrupt-2026112{n}T120000Z")), "").unwrap();
    }
    damage(&project);
    assert_snapshot!(cost(&project), @"
    --- stderr
    Error: 10 damaged ledgers stand in `[cmat]` already: something damages them; move them away first
    --- exit 1
    ");
}

#[test]
fn a_ledger_of_a_newer_cmat_is_refused_and_hooks_wait() {
    let project = project();
    let set_format = |format: u32| {
        let connection = Connection::open(ledger(&project)).unwrap();
        connection.pragma_update(None, "user_version", format).unwrap();
    };
    set_format(7);
    let message = request("msg_2", SONNET, [1_000, 1_000, 0, 0]);
    fs::write(project.transcript_path("s-2"), format!("{message}\n")).unwrap();
    assert_eq!(project.end_session("task_1", "s-2"), "");
    assert_eq!(names(&project, "outbox").len(), 1);
    assert_snapshot!(cost(&project), @"
    --- stderr
    Error: ledger `[cmat]/ledger.db` has format 7, but this cmat writes up to 1: update cmat
    --- exit 1
    ");
    set_format(1);
    assert_snapshot!(cost(&project), @"
    Cost for task task_1:
      Total Cost:          $0.0360
    ");
    assert_eq!(names(&project, "outbox"), [""; 0]);
}

#[test]
fn a_ledger_that_may_not_be_written_answers_all_the_same() {
    let project = project().ordinary_user();
    let set = |mode: u32| {
        for path in [project.cmat_home(), ledger(&project)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o500);
    let message = request("msg_2", SONNET, [1_000, 1_000, 0, 0]);
    fs::write(project.transcript_path("s-2"), format!("{message}\n")).unwrap();
    let queue = fs::read(project.queue_path()).unwrap();
    assert_eq!(project.end_session("task_1", "s-2"), "");
    assert_snapshot!(cost(&project), @"
    Cost for task task_1:
      Total Cost:          $0.0360
    --- stderr
    Warning: `[cmat]/ledger.db` cannot be written: make it writable, or set CMAT_HOME to another folder: answered from a copy, nothing was recorded
    ");
    assert_snapshot!(project.run(["task", "assign", "s-1", "task_1"]), @"
    --- stderr
    Error: `[cmat]/ledger.db` cannot be written: make it writable, or set CMAT_HOME to another folder
    --- exit 1
    ");
    assert_snapshot!(project.run(["reconcile"]), @"
    --- stderr
    Error: `[cmat]/ledger.db` cannot be written: make it writable, or set CMAT_HOME to another folder
    --- exit 1
    ");
    assert_eq!(fs::read(project.queue_path()).unwrap(), queue);
    set(0o700);
}

#[test]
fn a_backup_is_made_every_week_and_four_are_kept() {
    let project = project();
    let asked_at = |day: &str| {
        let mut ask = project.cmat(["costs", "show", "task_1"]);
        assert!(ask.env("CMAT_NOW", format!("2026-{day}T12:00:00Z")).output().unwrap().status.success());
    };
    for day in ["11-22", "11-27", "11-28", "12-04", "12-05", "12-12", "12-19"] {
        asked_at(day);
    }
    let days = ["1128", "1205", "1212", "1219"].map(|day| format!("ledger-2026{day}T120000Z.db"));
    assert_eq!(names(&project, "backups"), days);
    let mode = fs::metadata(project.cmat_home().join("backups").join(&days[0])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_empty_ledger_has_no_backup() {
    let project = TestProject::new().task("task_1", "checkout");
    project.run(["task", "list"]);
    assert_eq!(names(&project, "backups"), [""; 0]);
}

#[test]
fn what_is_forgotten_is_in_no_backup() {
    let project = project();
    let holds = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).contains("msg_1");
    let backup = || project.cmat_home().join("backups").join(&names(&project, "backups")[0]);
    assert!(holds(backup()));
    let message = request("msg_2", SONNET, [1_000, 1_000, 0, 0]);
    fs::write(project.transcript_path("s-2"), format!("{message}\n")).unwrap();
    project.run(["reconcile"]);
    fs::write(project.cmat_home().join("ledger.db.corrupt-20261101T120000Z"), "").unwrap();
    assert_snapshot!(project.run(["forget", "s-1"]), @"
    1 request and 1 session forgotten, of 1 task
    --- stderr
    `[cmat]/ledger.db.corrupt-20261101T120000Z` may hold it too: delete it if you need it no more
    ");
    assert!(!holds(backup()));
}

#[test]
fn a_ledger_of_an_unfinished_version_is_told_as_that() {
    let project = project();
    let ledger = Connection::open(project.cmat_home().join("ledger.db")).unwrap();
    ledger.execute_batch("ALTER TABLE request RENAME COLUMN skill TO ability").unwrap();
    let line = request("msg_9", SONNET, [1_000, 1_000, 0, 0]);
    fs::write(project.transcript_path("s-9"), format!("{line}\n")).unwrap();
    assert_snapshot!(project.run(["reconcile"]), @"
    --- stderr
    Error: the ledger was made by an unfinished version of cmat (no such column: skill): move `ledger.db*` and `backups` out of the data folder, which `cmat doctor` shows; `cmat reconcile --all` then makes it anew
    --- exit 1
    ");
    drop(ledger);
    for name in names(&project, "") {
        if name.starts_with("ledger.db") {
            fs::remove_file(project.cmat_home().join(name)).unwrap();
        }
    }
    fs::remove_dir_all(project.cmat_home().join("backups")).unwrap();
    assert!(project.stdout(["reconcile", "--all"]).starts_with("2 sessions read"));
}
