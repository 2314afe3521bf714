//! What is too long, too much or too far away, and is passed over in bounded memory.

use std::io;
use std::io::BufReader;
use std::io::Read;

use cmat::id::SessionId;
use cmat::transcript::Position;
use cmat::transcript::Reader;
use cmat::transcript::SkipReason;
use cmat::transcript::Slice;
use cmat::transcript::named_session;

use crate::file_session;
use crate::read;

const MAX_LINE_BYTES: u64 = 64 << 20;

const REQUEST: &str = r#"{"type":"assistant","timestamp":"2026-01-02T03:04:05Z","message":{"id":"msg_1","model":"m","usage":{"output_tokens":7}}}"#;

/// Reads a request, then `input`.
fn read_after_a_request(input: impl Read) -> Slice {
    let request = io::Cursor::new(format!("{REQUEST}\n"));
    let mut reader = Reader::new(BufReader::new(request.chain(input)), Position::default(), file_session());
    reader.next_slice(u64::MAX).unwrap()
}

/// A line of `n_bytes` with a request in it, behind a string that makes it as long as asked.
fn line(n_bytes: u64) -> impl Read {
    let (start, end) = (r#"{"padding":""#, REQUEST.replacen('{', "\",", 1));
    let n_padding = n_bytes - (start.len() + end.len()) as u64;
    start.as_bytes().chain(io::repeat(b'x').take(n_padding)).chain(io::Cursor::new(end))
}

#[test]
fn the_longest_line_is_read() {
    let slice = read_after_a_request(line(MAX_LINE_BYTES).chain(b"\n".as_slice()));
    assert_eq!((slice.n_skipped, slice.records[0].n_lines), (0, 2));
}

#[test]
fn a_longer_line_is_passed_over_and_told() {
    let ends = [b"\n".as_slice(), REQUEST.as_bytes()].concat();
    let slice = read_after_a_request(line(MAX_LINE_BYTES + 1).chain(ends.as_slice()));
    assert_eq!(slice.skipped.len(), 1);
    assert_eq!((slice.skipped[0].line, &slice.skipped[0].reason), (2, &SkipReason::TooLong));
    assert_eq!(slice.records[0].n_lines, 2, "the lines around it count");
    let read = 2 * REQUEST.len() as u64 + 1 + MAX_LINE_BYTES + 2;
    assert_eq!((slice.end, slice.torn), (Position { offset: read, line: 2 }, None));
}

#[test]
fn a_longer_line_without_an_end_waits() {
    let slice = read_after_a_request(line(MAX_LINE_BYTES + 1));
    assert_eq!(slice.torn.map(|torn| (torn.line, torn.reason)), Some((2, SkipReason::TooLong)));
    assert_eq!(slice.end, Position { offset: REQUEST.len() as u64 + 1, line: 1 });
}

#[test]
fn a_thousand_bad_lines_are_told_and_all_are_counted() {
    let bad = REQUEST.replace('7', "-7") + "\n";
    let slice = read(bad.repeat(1500).as_bytes());
    assert_eq!((slice.n_skipped, slice.skipped.len(), slice.records.len()), (1500, 1000, 0));
}

#[test]
fn endless_iterations_are_cut() {
    let steps = format!("\"iterations\":[{}{{}}],\"output", "{},".repeat(100_000));
    let slice = read(REQUEST.replace("\"output", &steps).as_bytes());
    assert_eq!(slice.records[0].facts.flags.iterations.len(), 256);
    assert_eq!(slice.records[0].facts.tokens.output, 7);
}

#[test]
fn a_session_is_named_near_the_start_only() {
    let check = |text: &str, session: Option<&str>| {
        let expected = session.map(|session| SessionId::new(session).unwrap());
        assert_eq!(named_session(text.as_bytes()).unwrap(), expected);
    };
    let named = r#"{"type":"user","sessionId":"s1"}"#;
    check("", None);
    check(named, Some("s1"));
    check(&format!("{{\"sessionId\":null}}\nnot JSON\n{{\"session_id\":\"s0\"}}\n{named}\n"), Some("s1"));
    check(&format!("{}{named}", "{}\n".repeat(63)), Some("s1"));
    check(&format!("{}{named}", "{}\n".repeat(64)), None);
    check(&format!("{}\n{named}", " ".repeat(1 << 20)), None);
}
