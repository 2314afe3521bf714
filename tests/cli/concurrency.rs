//! Many at once, and some killed: no cost is lost, none counted twice, no file is torn.

use std::fs;
use std::process::Child;

use serde_json::Value;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

const N_SESSIONS: usize = 20;

/// A task and twenty sessions of it, each $0.018.
fn project() -> TestProject {
    let mut project = TestProject::new().task("task_1", "checkout");
    for n in 0..N_SESSIONS {
        let message = request(&format!("msg_{n}"), SONNET, [1_000, 1_000, 0, 0]);
        project = project.session(&format!("s-{n}"), &[message]);
    }
    project
}

fn end_all(project: &TestProject) -> Vec<Child> {
    (0..N_SESSIONS).map(|n| project.ending_session("task_1", &format!("s-{n}"))).collect()
}

/// Asserts that the task has the cost of all twenty sessions, in the queue and where it is shown.
#[track_caller]
fn assert_complete(project: &TestProject) {
    let stored = project.stored("task_1");
    assert!(stored.contains("cost_usd: \"0.3600\"\n"), "{stored}");
    assert!(stored.contains("cost_input_tokens: \"20000\"\n"), "{stored}");
    let shown = project.run(["costs", "show", "task_1"]);
    assert!(shown.contains("  Total Cost:          $0.3600\n"), "{shown}");
}

#[test]
fn twenty_hooks_on_one_queue() {
    let project = project();
    for hook in end_all(&project) {
        assert_eq!(project.seen(&hook.wait_with_output().unwrap()), "");
    }
    project.run(["reconcile"]);
    assert_complete(&project);
}

#[test]
fn twenty_tasks_on_one_queue() {
    let mut project = project();
    for n in 0..N_SESSIONS {
        project = project.task(&format!("task_of_{n}"), "checkout");
    }
    let hooks: Vec<Child> =
        (0..N_SESSIONS).map(|n| project.ending_session(&format!("task_of_{n}"), &format!("s-{n}"))).collect();
    for hook in hooks {
        assert_eq!(project.seen(&hook.wait_with_output().unwrap()), "");
    }
    project.run(["reconcile"]);
    for n in 0..N_SESSIONS {
        let stored = project.stored(&format!("task_of_{n}"));
        assert!(stored.contains("cost_usd: \"0.0180\"\n"), "task {n}: {stored}");
    }
}

#[test]
fn lines_that_several_read_at_once_are_counted_once() {
    let messages: Vec<_> = (0..200).map(|n| request(&format!("m-{n}"), SONNET, [1, 1, 0, 0])).collect();
    let project = TestProject::new().task("task_1", "checkout").session("s-1", &messages);
    let hooks: Vec<Child> = (0..8).map(|_| project.ending_session("task_1", "s-1")).collect();
    for hook in hooks {
        assert_eq!(project.seen(&hook.wait_with_output().unwrap()), "");
    }
    let explained: Value = serde_json::from_str(&project.stdout(["explain", "task_1", "--json"])).unwrap();
    assert_eq!(explained["requests"], 200);
    assert_eq!(explained["lines"], 200);
}

/// Returns how many hooks have put on disk what they are about to do.
fn n_intents(project: &TestProject) -> usize {
    let Ok(outbox) = fs::read_dir(project.cmat_home().join("outbox")) else { return 0 };
    outbox
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "json"))
        .count()
}

/// The moments are spread over the life of a hook by spinning, not by a clock, so each run hits other ones.
#[test]
fn killed_hooks_are_completed_by_reconcile() {
    let project = project();
    for n in 0..N_SESSIONS {
        let mut hook = project.ending_session("task_1", &format!("s-{n}"));
        let before = n_intents(&project);
        while n_intents(&project) <= before && hook.try_wait().unwrap().is_none() {}
        for _ in 0..n * 20 {
            let _keep_trying = hook.try_wait().unwrap();
        }
        hook.kill().unwrap();
        let _output = hook.wait_with_output().unwrap();
        let queue = fs::read_to_string(project.queue_path()).unwrap();
        assert!(serde_json::from_str::<Value>(&queue).is_ok(), "torn: {queue}");
    }
    project.run(["reconcile"]);
    assert_complete(&project);
}
