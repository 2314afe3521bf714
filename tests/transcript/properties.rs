//! The fast reader agrees with the slow one, and neither buffers, slices, order nor repetition change what it finds.

use std::collections::BTreeMap;
use std::path::Path;

use cmat::transcript;
use cmat::transcript::Reader;
use cmat::transcript::Slice;
use cmat::usage::UsageRecord;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;
use proptest::test_runner::TestCaseResult;
use proptest::test_runner::TestRunner;

use crate::file_session;
use crate::generate;
use crate::join;
use crate::read;
use crate::read_in_pieces;
use crate::reference;
use crate::transcripts;

/// Longest line of a fixture that is mixed into generated transcripts.
const MAX_MIXED_BYTES: usize = 3000;

/// Checks `CMAT_PROPTEST_CASES` cases, or a quick number of them.
fn check<S: Strategy>(quick: u32, strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let asked = std::env::var("CMAT_PROPTEST_CASES").ok().map(|cases| cases.parse().unwrap());
    let config = Config { cases: asked.unwrap_or(quick), failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(strategy, test) {
        panic!("{error}");
    }
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let files = transcripts("fixtures").into_iter();
    files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

/// Returns short lines of the fixtures that the slow reader can read: it cannot go deep.
fn lines() -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (path, bytes) in fixtures() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let short =
            text.lines().filter(|line| line.len() <= MAX_MIXED_BYTES && !path.ends_with("deep.jsonl"));
        lines.extend(short.map(str::to_owned));
    }
    lines.sort();
    lines.dedup();
    lines
}

#[test]
fn agrees_with_the_slow_reader_on_every_fixture() {
    for (path, bytes) in fixtures() {
        if !path.ends_with("deep.jsonl") {
            assert_eq!(read(&bytes), reference::read(&bytes, &file_session()), "{path}");
        }
    }
}

#[test]
fn agrees_with_the_slow_reader_on_real_transcripts() {
    let Some(folder) = std::env::var_os("CMAT_TEST_CORPUS") else {
        eprintln!("SKIPPED: CMAT_TEST_CORPUS names no folder of real transcripts");
        return;
    };
    for path in transcripts(Path::new(&folder)) {
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(read(&bytes), reference::read(&bytes, &file_session()), "{}", path.display());
    }
}

/// Checks that the fast reader finds in `bytes` what the slow one finds.
fn agrees(bytes: Vec<u8>) -> TestCaseResult {
    prop_assert_eq!(read(&bytes), reference::read(&bytes, &file_session()));
    Ok(())
}

#[test]
fn agrees_with_the_slow_reader_on_generated_and_changed_lines() {
    check(500, &generate::transcript(lines()), agrees);
}

/// Most lines repeat the request before them; what they add to it is read without making another of each.
#[test]
fn agrees_with_the_slow_reader_on_lines_that_repeat_a_request() {
    check(3000, &generate::repetitions(), agrees);
}

#[test]
fn buffers_and_slices_change_nothing() {
    let pieces = (generate::transcript(lines()), 1..300_usize, 1..2000_u64);
    let same = |(bytes, capacity, max_bytes): (Vec<u8>, usize, u64)| {
        prop_assert_eq!(read_in_pieces(&bytes, capacity, max_bytes), read(&bytes));
        Ok(())
    };
    check(200, &pieces, same);
}

#[test]
fn every_small_buffer_and_slice_reads_the_same() {
    let (_, bytes) = fixtures().into_iter().find(|(path, _)| path.ends_with("glued.jsonl")).unwrap();
    let whole = read(&bytes);
    for capacity in 1..=bytes.len() + 1 {
        assert_eq!(read_in_pieces(&bytes, capacity, u64::MAX), whole, "capacity {capacity}");
        assert_eq!(read_in_pieces(&bytes, 64, capacity as u64), whole, "slices of {capacity}");
    }
}

/// Returns about `max_bytes` of what follows `read`; the reader is told of it as the program tells it.
fn read_on(bytes: &[u8], read: &Slice, max_bytes: u64) -> Slice {
    let (before, rest) = bytes.split_at(usize::try_from(read.end.offset).unwrap());
    let reader = Reader::new(rest, read.end, file_session()).after(read.last_time);
    let mut reader = if transcript::holds_usage(before) { reader } else { reader.before_usage() };
    reader.next_slice(max_bytes).unwrap()
}

/// A file that grew is read on from where the last reading ended, wherever the client's write was cut.
#[test]
fn reading_on_after_growth_finds_the_same() {
    let files = fixtures().into_iter().filter(|(path, _)| !path.ends_with("no_timestamp.jsonl"));
    for (path, bytes) in files {
        let whole = read(&bytes);
        let step = (bytes.len() / 40).max(1);
        for cut in (0..bytes.len()).step_by(step) {
            let mut grown = read(&bytes[..cut]);
            let rest = read_on(&bytes, &grown, u64::MAX);
            join(&mut grown, rest);
            assert_eq!(grown.first_own_line, whole.first_own_line, "{path} cut at {cut}");
            assert_eq!(grown.records, whole.records, "{path} cut at {cut}");
            assert_eq!(grown.client_counts, whole.client_counts, "{path} cut at {cut}");
            assert_eq!(
                (grown.end, grown.tail, &grown.torn),
                (whole.end, whole.tail, &whole.torn),
                "{path} cut at {cut}"
            );
        }
    }
}

#[test]
fn reading_on_from_any_slice_finds_the_same() {
    for (path, bytes) in fixtures().into_iter().filter(|(path, _)| !path.ends_with("no_timestamp.jsonl")) {
        let whole = read(&bytes);
        let mut joined = Slice::default();
        while !joined.finished {
            let next = read_on(&bytes, &joined, 5000);
            join(&mut joined, next);
        }
        assert_eq!(joined, whole, "{path}");
    }
}

/// Which sessions a file says it began is what decides who owns a request that several show.
#[test]
fn whose_lines_they_are_depends_on_no_cut() {
    let cut = (generate::transcript(lines()), prop::collection::vec(any::<Index>(), 0..6));
    let same = |(bytes, cuts): (Vec<u8>, Vec<Index>)| {
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut joined = Slice::default();
        for end in ends {
            let next = read_on(&bytes[..end], &joined, u64::MAX);
            join(&mut joined, next);
        }
        prop_assert_eq!(joined.first_own_line, read(&bytes).first_own_line);
        Ok(())
    };
    check(500, &cut, same);
}

/// What a reading says of each request, however often its lines came.
fn requests(bytes: &[u8]) -> BTreeMap<String, UsageRecord> {
    let records = read(bytes).records.into_iter();
    let uncounted = records.map(|record| UsageRecord { n_lines: 0, ..record });
    uncounted.map(|record| (format!("{:?} {}", record.facts.key, record.session), record)).collect()
}

#[test]
fn order_and_repetition_change_nothing() {
    let files: Vec<_> = fixtures()
        .into_iter()
        .filter(|(path, bytes)| bytes.ends_with(b"\n") && !path.ends_with("no_timestamp.jsonl"))
        .collect();
    let orders = (any::<Index>(), prop::collection::vec((any::<u32>(), 1..3_usize), 0..400));
    let same = |(file, order): (Index, Vec<(u32, usize)>)| {
        let (path, bytes) = file.get(&files);
        let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        let mut shuffled = Vec::new();
        for (index, line) in lines.into_iter().enumerate() {
            let (place, n_times) = order.get(index).copied().unwrap_or((0, 1));
            shuffled.extend(std::iter::repeat_n((place, line), n_times));
        }
        shuffled.sort_by_key(|(place, _)| *place);
        let shuffled: Vec<u8> = shuffled.into_iter().flat_map(|(_, line)| line.to_vec()).collect();
        prop_assert_eq!(requests(&shuffled), requests(bytes), "{}", path);
        Ok(())
    };
    check(100, &orders, same);
}
