//! Reading transcripts, from bytes to usage records: what the real client wrote, what others wrote, what nobody
//! should write, and the slow reader that the fast one must agree with.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests, not the program"
)]

mod client;
mod corpus;
mod generate;
mod limits;
mod oddities;
mod properties;
mod reference;

use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;

use cmat::id::SessionId;
use cmat::transcript;
use cmat::transcript::Position;
use cmat::transcript::Reader;
use cmat::transcript::Slice;
use cmat::transcript::Tail;
use walkdir::WalkDir;

/// The session of lines that name none.
fn file_session() -> SessionId {
    SessionId::new("file").unwrap()
}

/// Reads a whole transcript in one slice, as the program does.
fn read(bytes: &[u8]) -> Slice {
    read_in_pieces(bytes, transcript::BUFFER_BYTES, u64::MAX)
}

/// Reads a whole transcript through a buffer of `capacity` bytes, in slices of about `max_bytes`, and joins these.
fn read_in_pieces(bytes: &[u8], capacity: usize, max_bytes: u64) -> Slice {
    let mut reader =
        Reader::new(BufReader::with_capacity(capacity, bytes), Position::default(), file_session());
    let mut whole = Slice::default();
    while !whole.finished {
        join(&mut whole, reader.next_slice(max_bytes).unwrap());
    }
    assert_eq!(reader.next_slice(1).unwrap().end, whole.end, "nothing follows the last slice");
    whole
}

/// Appends the slice that follows.
fn join(whole: &mut Slice, next: Slice) {
    for record in next.records {
        let key = (&record.facts.key, &record.session);
        match whole.records.iter_mut().find(|other| (&other.facts.key, &other.session) == key) {
            Some(other) => other.merge(&record),
            None => whole.records.push(record),
        }
    }
    whole.skipped.extend(next.skipped);
    whole.prompts.extend(next.prompts);
    whole.pull_requests.extend(next.pull_requests);
    whole.n_skipped += next.n_skipped;
    for (session, time) in next.first_own_line {
        let first = whole.first_own_line.entry(session).or_insert(time);
        *first = time.min(*first);
    }
    if next.tail != Tail::Unchanged {
        whole.tail = next.tail;
    }
    whole.client_counts.extend(next.client_counts);
    whole.last_time = next.last_time;
    (whole.end, whole.finished, whole.torn) = (next.end, next.finished, next.torn);
}

/// Returns the files below `folder` of the project whose names end with `.jsonl`, in order.
fn transcripts(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = WalkDir::new(folder).sort_by_file_name().into_iter().map(|file| file.unwrap().into_path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect()
}
