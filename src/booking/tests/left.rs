//! What killed hooks left behind.

use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::rooms::Rooms;
use crate::booking::leftovers::Ripe;
use crate::outbox::Event;
use crate::outbox::Intent;
use crate::outbox::Outbox;

fn at(minute: i8) -> Timestamp {
    format!("2026-11-20T12:{minute:02}:00Z").parse().unwrap()
}

fn request(minute: i8, input: u64) -> String {
    let line = json!({
        "type": "assistant", "sessionId": "s", "timestamp": at(minute), "uuid": format!("u-{minute}"),
        "message": {"id": format!("msg-{minute}"), "model": "claude-haiku-4-5", "content": ["said"],
            "stop_reason": "end_turn", "usage": {"input_tokens": input, "output_tokens": 0}},
    });
    format!("{line}\n")
}

fn intent(rooms: &Rooms, task: &str, minute: i8) -> Intent {
    Intent {
        event: Event::SessionEnd,
        session: Some("s".parse().unwrap()),
        transcript: Some(rooms.path(Path::new("s.jsonl"))),
        cwd: rooms.project().root.clone(),
        project_dir: None,
        task: Some(task.parse().unwrap()),
        task_file: None,
        enhancement: None,
        agent: None,
        user: None,
        run_began: None,
        tags: std::collections::BTreeMap::new(),
        reason: None,
        at: at(minute),
    }
}

fn input_of(rooms: &Rooms, task: &str) -> u64 {
    let books = rooms.books.borrow();
    let tasks = books.ledger.tasks_named(&task.parse().unwrap()).unwrap();
    tasks.iter().map(|(row, _)| books.ledger.task_summary(*row).unwrap().input()).sum()
}

/// Both runs of a session are in the transcript before either is booked; the first one's hook was killed.
fn check(book: impl Fn(&Rooms, &Outbox, &Intent)) {
    let rooms = Rooms::new();
    let outbox = Outbox::new(&rooms.project().root.join("data"));
    rooms.write(Path::new("s.jsonl"), (request(1, 100) + &request(11, 20)).as_bytes());
    outbox.put(&intent(&rooms, "first", 10)).unwrap();
    book(&rooms, &outbox, &intent(&rooms, "second", 20));
    rooms.books.borrow_mut().finish_leftovers(&outbox, Ripe::All).unwrap();
    assert_eq!((input_of(&rooms, "first"), input_of(&rooms, "second")), (100, 20));
    assert!(outbox.list().unwrap().is_empty(), "all is done");
}

#[test]
fn a_run_whose_hook_was_killed_is_paid_for_by_its_own_task() {
    check(|rooms, outbox, second| {
        let name = outbox.put(second).unwrap();
        rooms.books.borrow_mut().book_intent(Some(&name), second).unwrap();
    });
    check(|_, outbox, second| {
        outbox.put(second).unwrap();
    });
}

/// Returns which run's task each run is paid by: its own, else that of the run before, else of the first that has one.
fn paying(tasks: &[Option<usize>]) -> Vec<Option<usize>> {
    let first = tasks.iter().flatten().next().copied();
    let mut present = first;
    tasks
        .iter()
        .map(|task| {
            present = task.or(present);
            present
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_in_which_ends_are_booked_changes_nothing(
        tasks in prop::collection::vec(prop::option::of(0..3_usize), 1..6),
        order in prop::collection::vec(any::<u32>(), 6),
    ) {
        let rooms = Rooms::new();
        let outbox = Outbox::new(&rooms.project().root.join("data"));
        let minute = |run: usize| i8::try_from(run * 10).unwrap();
        let lines: String =
            (0..tasks.len()).map(|run| request(minute(run) + 1, 10_u64.pow(u32::try_from(run).unwrap()))).collect();
        rooms.write(Path::new("s.jsonl"), lines.as_bytes());
        let mut runs: Vec<usize> = (0..tasks.len()).collect();
        runs.sort_by_key(|run| order[*run]);
        for run in runs {
            let task = tasks[run].map(|task| format!("task-{task}").parse().unwrap());
            let ended = Intent { task, ..intent(&rooms, "none", minute(run) + 5) };
            let name = outbox.put(&ended).unwrap();
            rooms.books.borrow_mut().book_intent(Some(&name), &ended).unwrap();
        }
        for task in 0..3 {
            let own = paying(&tasks).into_iter().enumerate().filter(|(_, payer)| *payer == Some(task));
            let expected: u64 = own.map(|(run, _)| 10_u64.pow(u32::try_from(run).unwrap())).sum();
            prop_assert_eq!(input_of(&rooms, &format!("task-{task}")), expected);
        }
    }
}

#[test]
fn a_run_that_is_booked_twice_is_booked_once() {
    check(|rooms, outbox, second| {
        let name = outbox.put(second).unwrap();
        let mut books = rooms.books.borrow_mut();
        books.book_intent(Some(&name), second).unwrap();
        books.book_intent(Some(&name), second).unwrap();
    });
}
