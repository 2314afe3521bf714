//! Any bytes as a transcript: read in one piece, in small slices or read on after it grew, it holds the same.

#![no_main]

use std::collections::BTreeMap;
use std::io::BufReader;

use cmat::id::SessionId;
use cmat::transcript::Position;
use cmat::transcript::Reader;
use cmat::transcript::holds_usage;
use cmat::usage::UsageRecord;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

/// The most tokens of a kind that a line is believed.
const MOST_TOKENS: u64 = 1 << 40;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how small the slices are.
    let Some((size, text)) = bytes.split_first() else { return };
    let (whole, parts) = (read(text, u64::MAX), read(text, u64::from(*size)));
    assert_eq!(whole.records, parts.records);
    assert_eq!(whole.n_skipped, parts.n_skipped);
    assert_eq!((whole.end, whole.torn), (parts.end, parts.torn));
    assert_eq!(whole.first_own_line, parts.first_own_line);
    assert_eq!(whole.first_own_line, read_on(text, usize::from(*size)));
    for record in whole.records.values() {
        let tokens = &record.facts.tokens;
        assert!([tokens.input, tokens.output, tokens.cache_read].iter().all(|count| *count <= MOST_TOKENS));
    }
});

/// Reads all of `text` in slices of `max_bytes` and puts them together.
fn read(text: &[u8], max_bytes: u64) -> All {
    let session = SessionId::new("s").expect("a short id");
    let mut reader = Reader::new(BufReader::with_capacity(16, text), Position::default(), session);
    let mut all = All::default();
    loop {
        let slice = reader.next_slice(max_bytes).expect("memory can be read");
        assert!(slice.end.offset >= all.end.offset);
        (all.end, all.torn) = (slice.end, slice.torn.is_some());
        all.n_skipped += slice.n_skipped;
        join(&mut all.first_own_line, slice.first_own_line);
        all.add(slice.records);
        if slice.finished {
            return all;
        }
    }
}

/// Returns whose lines `text` says they are, read on by a new reader after it grew by `step` bytes each time.
fn read_on(text: &[u8], step: usize) -> BTreeMap<SessionId, Timestamp> {
    let mut first = BTreeMap::new();
    let mut from = Position::default();
    for end in (0..text.len()).step_by(step.max(text.len() / 64).max(1)).chain([text.len()]) {
        let (before, rest) = text[..end].split_at(usize::try_from(from.offset).expect("a small file"));
        let reader = Reader::new(rest, from, SessionId::new("s").expect("a short id"));
        let mut reader = if holds_usage(before) { reader } else { reader.before_usage() };
        let slice = reader.next_slice(u64::MAX).expect("memory can be read");
        from = slice.end;
        join(&mut first, slice.first_own_line);
    }
    first
}

fn join(first: &mut BTreeMap<SessionId, Timestamp>, more: BTreeMap<SessionId, Timestamp>) {
    for (session, at) in more {
        let known = first.entry(session).or_insert(at);
        *known = at.min(*known);
    }
}

/// What a transcript holds.
#[derive(Default)]
struct All {
    records: BTreeMap<String, UsageRecord>,
    n_skipped: u64,
    first_own_line: BTreeMap<SessionId, Timestamp>,
    end: Position,
    torn: bool,
}

impl All {
    fn add(&mut self, records: Vec<UsageRecord>) {
        for record in records {
            let name = format!("{:?} {:?}", record.session, record.facts.key);
            self.records.entry(name).and_modify(|known| known.merge(&record)).or_insert(record);
        }
    }
}
