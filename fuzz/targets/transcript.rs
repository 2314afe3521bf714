//! Any bytes as a transcript: read in one piece or in small slices, it holds the same.

#![no_main]

use std::collections::BTreeMap;
use std::io::BufReader;

use cmat::id::SessionId;
use cmat::transcript::Position;
use cmat::transcript::Reader;
use cmat::usage::UsageRecord;
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
        all.add(slice.records);
        if slice.finished {
            return all;
        }
    }
}

/// What a transcript holds.
#[derive(Default)]
struct All {
    records: BTreeMap<String, UsageRecord>,
    n_skipped: u64,
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
