//! Requests that several sessions show.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::booking::tests::rooms::Rooms;
use crate::ledger::forget::Forgettable;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;

/// Writes to the transcript of `session`, which shows requests, each made in a minute of one hour, and reads it.
fn show(rooms: &Rooms, session: &str, requests: &[(&str, u8)]) {
    let line = |(id, minute): &(&str, u8)| {
        json!({
            "type": "assistant", "uuid": format!("u-{id}"), "sessionId": session,
            "timestamp": format!("2026-11-20T12:{minute:02}:00.000Z"),
            "message": {"id": id, "model": "claude-haiku-4-5", "stop_reason": "end_turn", "content": [],
                "usage": {"input_tokens": 1, "output_tokens": 1}},
        })
        .to_string()
            + "\n"
    };
    let file = format!("{session}.jsonl");
    rooms.write(Path::new(&file), requests.iter().map(line).collect::<String>().as_bytes());
    rooms.read(Path::new(&file));
}

/// Returns how many requests each session owns.
fn owned(rooms: &Rooms) -> BTreeMap<String, u64> {
    let groups = rooms.groups(&Filter::ALL, &[Dimension::Session]);
    groups
        .into_iter()
        .map(|group| match &group.keys[..] {
            [Key::Name(session)] => (session.clone(), group.totals.requests),
            keys => panic!("{keys:?}"),
        })
        .collect()
}

#[track_caller]
fn check(rooms: &Rooms, first: u64, second: u64) {
    let expected = [("first", first), ("second", second)].map(|(session, n)| (session.to_owned(), n));
    assert_eq!(owned(rooms), BTreeMap::from(expected));
}

#[test]
fn a_line_that_only_a_forgotten_session_had_too_is_the_others_own_again() {
    let rooms = Rooms::new();
    show(&rooms, "first", &[("a", 10), ("shared", 20), ("too", 21), ("c", 50)]);
    show(&rooms, "second", &[("x", 15), ("shared", 20), ("too", 21)]);
    check(&rooms, 4, 1);
    show(&rooms, "fork", &[("a", 10)]);
    // The first line of its own is of 12:50 now.
    check(&rooms, 2, 3);
    rooms.forget(&Forgettable::Session("fork".parse().unwrap()));
    check(&rooms, 4, 1);
}

#[test]
fn a_session_that_began_earlier_owns_what_it_shares_however_late_that_is_known() {
    let rooms = Rooms::new();
    show(&rooms, "second", &[("x", 15), ("shared", 20), ("too", 21)]);
    let mut shown = vec![("shared", 20), ("too", 21), ("c", 50)];
    show(&rooms, "first", &shown);
    check(&rooms, 1, 3);
    shown.push(("a", 10));
    show(&rooms, "first", &shown);
    check(&rooms, 4, 1);
}
