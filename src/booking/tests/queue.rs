//! What queues show: of several ledgers that share one, of tasks that lost their sessions, of nonsense.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::rooms::Rooms;

const QUEUE: &str = ".claude/data/task_queue.json";

/// Gives the project a queue with a task of each id.
fn with_queue(rooms: &Rooms, tasks: &[&str]) {
    let tasks: Vec<Value> =
        tasks.iter().map(|id| json!({"id": id, "metadata": {"workflow_step": 0}})).collect();
    put(rooms, &json!({ "tasks": tasks }));
}

fn put(rooms: &Rooms, queue: &Value) {
    let path = rooms.project().root.join(QUEUE);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    crate::disk::replace::write(&path, queue.to_string().as_bytes(), crate::disk::replace::Access::Shared)
        .unwrap();
}

fn queue(rooms: &Rooms) -> Value {
    serde_json::from_slice(&fs::read(rooms.project().root.join(QUEUE)).unwrap()).unwrap()
}

/// Returns what the first task shows: input tokens, cost, last session.
fn shown(rooms: &Rooms, n: usize) -> (String, String, String) {
    let metadata = &queue(rooms)["tasks"][n]["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or("-").to_owned();
    (text("cost_input_tokens"), text("cost_usd"), text("session_id"))
}

/// Has a session of one request end: `input` tokens of Haiku, at a dollar for a million.
fn end(rooms: &Rooms, session: &str, task: &str, input: u64) {
    line(rooms, session, input);
    rooms.assign_to(&session.parse().unwrap(), task);
    rooms.project_pending();
}

/// Reads the transcript of a session of one request, made at the minute that its name tells.
fn line(rooms: &Rooms, session: &str, input: u64) {
    let minute: u32 = session.trim_matches(char::is_alphabetic).parse().unwrap_or(0);
    let line = json!({
        "type": "assistant", "sessionId": session, "timestamp": format!("2026-11-20T12:{minute:02}:00Z"), "uuid": format!("u-{session}"),
        "cwd": rooms.project().root,
        "message": {"id": format!("msg-{session}"), "model": "claude-haiku-4-5", "content": ["said"],
            "stop_reason": "end_turn", "usage": {"input_tokens": input, "output_tokens": 0}},
    });
    let file = format!("{session}.jsonl");
    rooms.write(Path::new(&file), format!("{line}\n").as_bytes());
    rooms.read(Path::new(&file));
}

fn check(rooms: &Rooms, n: usize, expected: (&str, &str, &str)) {
    let shown = shown(rooms, n);
    assert_eq!((shown.0.as_str(), shown.1.as_str(), shown.2.as_str()), expected);
}

#[test]
fn a_task_that_lost_its_session_to_another_no_longer_shows_its_cost() {
    let rooms = Rooms::new();
    with_queue(&rooms, &["right", "wrong"]);
    end(&rooms, "s", "wrong", 1_000_000);
    check(&rooms, 1, ("1000000", "1.0000", "s"));
    end(&rooms, "s", "right", 1_000_000);
    check(&rooms, 0, ("1000000", "1.0000", "s"));
    check(&rooms, 1, ("-", "-", "-"));
}

#[test]
fn figures_that_a_new_ledger_would_write_itself_are_not_reported_as_foreign() {
    let rooms = Rooms::new();
    with_queue(&rooms, &["t"]);
    end(&rooms, "s", "t", 100);
    let rebuilt = Rooms::beside(&rooms);
    end(&rebuilt, "s", "t", 100);
    check(&rooms, 0, ("100", "0.0001", "s"));
    assert_eq!(rebuilt.books.borrow().ledger.replaced_figures().unwrap(), None);
}

#[test]
fn absurd_figures_of_another_writer_are_replaced_and_block_nothing() {
    let rooms = Rooms::new();
    let absurd =
        json!({"cost_input_tokens": "99999999999999999999", "cost_usd": "1e18", "session_id": "theirs"});
    put(&rooms, &json!({"tasks": [{"id": "t", "metadata": absurd}]}));
    end(&rooms, "s", "t", 100);
    check(&rooms, 0, ("100", "0.0001", "s"));
    let replaced = rooms.books.borrow().ledger.replaced_figures().unwrap().unwrap();
    assert_eq!((replaced.n, replaced.example.as_str()), (1, "t"));
}

#[test]
fn a_task_that_the_queue_gets_later_does_not_count_as_shown_before() {
    let rooms = Rooms::new();
    with_queue(&rooms, &[]);
    end(&rooms, "s", "t", 100);
    put(
        &rooms,
        &json!({"tasks": [{"id": "t", "metadata": {"cost_input_tokens": "70", "session_id": "theirs"}}]}),
    );
    rooms.project_all();
    assert_eq!(shown(&rooms, 0).0, "170");
}

#[test]
fn a_session_that_cost_nothing_does_not_make_figures_of_another_writer_ours() {
    let rooms = Rooms::new();
    let theirs = json!({"cost_input_tokens": "70", "cost_usd": "0.0007", "session_id": "theirs"});
    put(&rooms, &json!({"tasks": [{"id": "t", "metadata": theirs}]}));
    rooms.assign_to(&"empty".parse().unwrap(), "t");
    rooms.project_pending();
    check(&rooms, 0, ("70", "0.0007", "theirs"));
    end(&rooms, "s", "t", 100);
    check(&rooms, 0, ("170", "0.0008", "s"));
}

#[test]
fn the_dearest_of_two_models_comes_first() {
    let rooms = Rooms::new();
    let line = |id: &str, model: &str, output: u64| {
        json!({"type": "assistant", "sessionId": "s", "timestamp": "2026-11-20T12:00:00Z",
            "message": {"id": id, "model": model, "stop_reason": "end_turn", "usage": {"output_tokens": output}}})
    };
    let lines = format!("{}\n{}\n", line("a", "claude-haiku-4-5", 100), line("b", "claude-opus-4-8", 99));
    rooms.write(Path::new("s.jsonl"), lines.as_bytes());
    rooms.read(Path::new("s.jsonl"));
    rooms.assign(&"s".parse().unwrap());
    let books = rooms.books.borrow();
    let (row, _) = books.ledger.tasks_named(&"task-s".parse().unwrap()).unwrap()[0].clone();
    let models: Vec<_> =
        books.ledger.task_summary(row).unwrap().models.into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        models.iter().map(crate::id::ModelId::as_str).collect::<Vec<_>>(),
        ["claude-opus-4-8", "claude-haiku-4-5-20251001"]
    );
}

#[test]
fn two_sessions_of_two_machines_that_cost_the_same_are_two() {
    let mine = Rooms::new();
    let theirs = Rooms::beside(&mine);
    with_queue(&mine, &["t"]);
    end(&theirs, "s0", "t", 29_100);
    end(&mine, "s1", "t", 29_100);
    mine.project_all();
    assert_eq!(shown(&mine, 0).0, "58200");
}

#[test]
fn what_one_row_of_the_ledger_holds_keeps_no_other_task_from_its_queue() {
    let rooms = Rooms::new();
    let theirs = json!({"cost_input_tokens": "70", "cost_usd": "0.0007", "session_id": "theirs"});
    put(&rooms, &json!({"tasks": [{"id": "a", "metadata": theirs}, {"id": "b", "metadata": {}}]}));
    end(&rooms, "s", "a", 100);
    rooms.tamper("UPDATE foreign_figures SET input = -70");
    end(&rooms, "s2", "a", 100);
    end(&rooms, "s3", "b", 100);
    check(&rooms, 1, ("100", "0.0001", "s3"));
    check(&rooms, 0, ("170", "0.0008", "s"));
    let projected = rooms.books.borrow_mut().project_pending().unwrap();
    assert!(!projected.is_complete());
    let [(task, fault)] = projected.faults.as_slice() else { panic!("{projected:?}") };
    assert_eq!(
        (task.as_str(), fault.to_string().as_str()),
        ("a", "ledger holds count -70 that cmat did not write")
    );
    rooms.tamper("UPDATE foreign_figures SET input = 70");
    rooms.project_pending();
    check(&rooms, 0, ("270", "0.0009", "s2"));
}

#[test]
fn what_a_queue_holds_beyond_a_ledger_that_was_rebuilt_is_added_when_a_person_says_so() {
    let lost = Rooms::new();
    with_queue(&lost, &["t"]);
    for (session, input) in [("s1", 1_000_000), ("s2", 2_000_000)] {
        end(&lost, session, "t", input);
    }
    check(&lost, 0, ("3000000", "3.0000", "s2"));
    let rebuilt = Rooms::beside(&lost);
    // Of the two only the later transcript is left; nobody knows which task it was of.
    for session in ["s2", "s3"] {
        line(&rebuilt, session, 2_000_000);
    }
    rebuilt.assign_to(&"s3".parse().unwrap(), "t");
    rebuilt.project_pending();
    check(&rebuilt, 0, ("2000000", "2.0000", "s3"));
    let adopt = || {
        let more = rebuilt.books.borrow_mut().adopt(rebuilt.project(), &"t".parse().unwrap()).unwrap();
        rebuilt.project_all();
        more.map(|more| (more.input, more.cost.to_string()))
    };
    assert_eq!(adopt(), Some((1_000_000, "1".to_owned())));
    check(&rebuilt, 0, ("5000000", "5.0000", "s3"));
    assert_eq!(adopt(), None);
    check(&rebuilt, 0, ("5000000", "5.0000", "s3"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Each step: whose session ends, how many hundred tokens it had, and whether both look at the queue after it.
    #[test]
    fn two_ledgers_on_one_queue_agree_on_the_sum_and_stay_there(
        steps in prop::collection::vec((any::<bool>(), 1..900_u64, any::<bool>()), 1..8),
    ) {
        let mine = Rooms::new();
        let theirs = Rooms::beside(&mine);
        with_queue(&mine, &["t"]);
        let mut sum = 0;
        for (n, (is_mine, hundreds, look)) in steps.iter().enumerate() {
            end(if *is_mine { &mine } else { &theirs }, &format!("s{n}"), "t", hundreds * 100);
            sum += hundreds * 100;
            if *look {
                mine.project_all();
                theirs.project_all();
            }
        }
        // Who never had a session of the task shows nothing of it and learns nothing.
        for _ in 0..2 {
            mine.project_all();
            theirs.project_all();
        }
        let settled = shown(&mine, 0);
        prop_assert_eq!(&settled.0, &sum.to_string());
        prop_assert_eq!(settled.1.replace('.', "").parse::<u64>().unwrap(), sum / 100);
        for _ in 0..3 {
            theirs.project_all();
            mine.project_all();
            prop_assert_eq!(&shown(&mine, 0), &settled);
        }
    }
}
