//! Reads real transcripts, which the project does not ship, and compares their sums with the table beside them.
//!
//! The folder is named by `CMAT_TEST_CORPUS`; `expected.tsv` in it has a line for each file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use cmat::id::SessionId;
use cmat::transcript;
use cmat::transcript::Position;
use cmat::transcript::Reader;
use cmat::usage::RawTokens;

#[test]
fn real_transcripts_have_the_expected_sums() {
    let Some(folder) = std::env::var_os("CMAT_TEST_CORPUS") else {
        eprintln!("SKIPPED: CMAT_TEST_CORPUS names no folder of real transcripts");
        return;
    };
    let folder = Path::new(&folder);
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let mut rows = table.lines().map(|row| row.split('\t').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let mut n_files = 0;
    for row in rows {
        let expected: BTreeMap<&str, &str> = header.iter().copied().zip(row).collect();
        let columns =
            ["calls", "last_input", "last_output", "last_cache_read", "last_write_5m", "last_write_1h"];
        let expected_sums: Vec<u64> =
            columns.iter().map(|column| expected[column].parse().unwrap()).collect();
        assert_eq!(sums(&folder.join(expected["file"])), expected_sums, "{}", expected["file"]);
        n_files += 1;
    }
    assert!(n_files > 0, "expected.tsv names no file");
}

/// Returns the number of requests and the sums of their tokens.
fn sums(path: &Path) -> Vec<u64> {
    let input = BufReader::with_capacity(transcript::BUFFER_BYTES, File::open(path).unwrap());
    let mut reader = Reader::new(input, Position::default(), SessionId::new("file").unwrap());
    let slice = reader.next_slice(u64::MAX).unwrap();
    assert!(slice.finished && slice.torn.is_none(), "{}", path.display());
    let mut requests: BTreeMap<_, RawTokens> = BTreeMap::new();
    for record in &slice.records {
        requests.entry(&record.facts.key).or_default().merge(&record.facts.tokens);
    }
    let mut sums = vec![requests.len() as u64 + n_synthetic(path), 0, 0, 0, 0, 0];
    for tokens in requests.values() {
        let billed = tokens.billed();
        let counts =
            [billed.input, billed.output, billed.cache_read, billed.cache_write_5m, billed.cache_write_1h];
        for (sum, count) in sums[1..].iter_mut().zip(counts) {
            *sum += count;
        }
    }
    sums
}

/// Returns the number of messages that the client wrote itself: the table counts them as calls, without tokens.
fn n_synthetic(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| line.contains("<synthetic>"));
    let messages = lines.filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["message"]["model"] == "<synthetic>").then(|| line["message"]["id"].to_string())
    });
    messages.collect::<std::collections::BTreeSet<_>>().len() as u64
}
