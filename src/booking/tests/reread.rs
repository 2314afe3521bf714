//! Files that are no longer what was read of them: rewritten in place, cut, gone.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use crate::booking::reading::Reach;
use crate::booking::tests::rooms::Rooms;
use crate::id::SessionId;

/// Returns the line of a request in as many bytes as are asked for.
fn line(id: &str, n_bytes: usize) -> String {
    let line = json!({
        "type": "assistant", "uuid": format!("u-{id}"), "sessionId": "s1", "cwd": "/nowhere",
        "timestamp": "2026-11-20T12:00:00.000Z",
        "message": {"id": id, "model": "claude-haiku-4-5", "stop_reason": "end_turn", "content": [],
            "usage": {"input_tokens": 1, "output_tokens": 1}},
    });
    let line = line.to_string();
    format!("{line}{}\n", " ".repeat(n_bytes - line.len() - 1))
}

/// Reads a file that holds `before`, then `after` in its place, and checks which requests are known then.
#[track_caller]
fn check(before: &[&str], after: &[&str], expected: &[&str]) {
    let rooms = Rooms::new();
    let file = Path::new("s1.jsonl");
    let text = |ids: &[&str]| ids.iter().map(|id| line(id, 3000)).collect::<String>();
    rooms.write(file, text(before).as_bytes());
    rooms.read(file);
    let mut same_file = fs::File::options().write(true).truncate(true).open(rooms.path(file)).unwrap();
    same_file.write_all(text(after).as_bytes()).unwrap();
    rooms.read(file);
    for id in ["a", "b", "c", "d"] {
        let is_known = rooms.dump().lines().any(|row| row.starts_with(&format!("{id} ")));
        assert_eq!(is_known, expected.contains(&id), "{id}");
    }
}

#[test]
fn a_file_that_has_grown_is_read_on() {
    check(&["a", "b"], &["a", "b", "c"], &["a", "b", "c"]);
}

#[test]
fn a_file_with_another_beginning_is_read_anew() {
    check(&["a", "b"], &["c", "b", "d"], &["a", "b", "c", "d"]);
}

#[test]
fn a_file_with_another_line_before_the_cursor_is_read_anew() {
    check(&["a", "b", "c"], &["a", "b", "d"], &["a", "b", "c", "d"]);
}

#[test]
fn a_file_that_shrank_is_read_anew() {
    check(&["a", "b", "c"], &["d"], &["a", "b", "c", "d"]);
}

#[test]
fn a_file_that_is_gone_has_nothing_more() {
    let rooms = Rooms::new();
    let session = SessionId::new("s1").unwrap();
    let gone = rooms.path(Path::new("s1.jsonl"));
    assert_eq!(rooms.books.borrow_mut().read_file(&gone, &session).unwrap(), Reach::End);
    let folder = gone.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    assert!(rooms.books.borrow_mut().read_file(folder, &session).is_err());
}

#[test]
fn a_session_that_nobody_told_of_is_of_the_project_that_its_lines_name() {
    let rooms = Rooms::new();
    let session = SessionId::new("s1").unwrap();
    let is_known = || rooms.books.borrow().ledger.has_project(&session).unwrap();
    rooms.write(Path::new("s1.jsonl"), line("a", 1000).as_bytes());
    assert!(!is_known());
    rooms.read(Path::new("s1.jsonl"));
    assert!(is_known());
}

/// Returns what is known of a request that `s2` asked for and `s1`, a fork, repeats, in files that grow line by line.
fn known_of_a_copy(read_each: bool) -> String {
    let rooms = Rooms::new();
    let own = |session: &str, second: u8| {
        let time = format!("2026-11-20T12:00:{second:02}.000Z");
        format!("{}\n", json!({"type": "queue-operation", "sessionId": session, "timestamp": time}))
    };
    let note = "{\"type\":\"mode\"}\n".to_owned();
    let asked = line("m1", 400).replace("\"s1\"", "\"s2\"");
    // The smaller name would win if nothing told who began.
    let files = [("s1", [note.clone(), own("s1", 30), line("m1", 400)]), ("s2", [note, own("s2", 1), asked])];
    for (session, lines) in files {
        let file = format!("{session}.jsonl");
        let mut text = String::new();
        for part in lines {
            text += &part;
            rooms.write(Path::new(&file), text.as_bytes());
            if read_each {
                rooms.read(Path::new(&file));
            }
        }
        rooms.read(Path::new(&file));
    }
    rooms.dump()
}

#[test]
fn who_owns_a_request_does_not_depend_on_how_often_hooks_read() {
    assert_eq!(known_of_a_copy(true), known_of_a_copy(false));
}
