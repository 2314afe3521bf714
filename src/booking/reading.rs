//! Reads one transcript file from its cursor and records what is new, slice by slice.

use std::collections::BTreeMap;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::BufReader;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use sha2::Digest;
use sha2::Sha256;

use crate::booking::BookingError;
use crate::booking::Books;
use crate::disk;
use crate::id::SessionId;
use crate::ledger::Durability;
use crate::ledger::cursor::Cursor;
use crate::ledger::cursor::FileIdentity;
use crate::ledger::recording::Sureness;
use crate::project;
use crate::project::Project;
use crate::transcript::BUFFER_BYTES;
use crate::transcript::Position;
use crate::transcript::Reader;
use crate::transcript::Slice;
use crate::transcript::Tail;
use crate::usage::Origin;
use crate::usage::RequestFacts;
use crate::usage::UsageRecord;

/// How much of a file one transaction holds, in bytes: what a kill can cost, and what memory is bounded by.
const SLICE_BYTES: u64 = 8 << 20;

/// How much of both ends of what was read is hashed to tell an appended file from another one, in bytes.
const HASHED_BYTES: u64 = 4 << 10;

/// How far reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To the end, or there is nothing to read.
    End,
    /// The deadline came before the end.
    Deadline,
}

/// How reading a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// It was never read.
    First,
    /// It is read on from where it was left.
    On,
    /// It was read, but another file stands there now.
    Anew,
}

/// A file that is about to be read.
struct Opened<'file> {
    file: &'file File,
    identity: FileIdentity,
    from: Position,
    start: Start,
    /// Time of the last line before `from` that states one.
    last_time: Option<Timestamp>,
    /// The last prompt before `from` has no answer.
    unanswered: bool,
}

impl Books {
    /// Reads `path`, a file of `session`, from where it was left; an unchanged file costs a `stat`.
    ///
    /// A file that shrank or whose beginning changed is read anew, which changes nothing that is recorded.
    pub fn read_file(&mut self, path: &Path, session: &SessionId) -> Result<Reach, BookingError> {
        let failed = |source| BookingError::Transcript { path: path.to_owned(), source };
        let cursor = self.ledger.cursor(path)?;
        let is_unchanged =
            |metadata: &Metadata| cursor.as_ref().is_some_and(|cursor| cursor.identity == identity(metadata));
        let opened = match std::fs::metadata(path) {
            Ok(metadata) if is_unchanged(&metadata) => return Ok(Reach::End),
            Ok(_changed) => disk::open_regular(path),
            Err(error) => Err(error),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Reach::End),
            Err(error) => return Err(failed(error)),
        };
        // Of the file that was opened: another one may have come to the path since.
        let identity = identity(&file.metadata().map_err(failed)?);
        let begin = |start| Opened {
            file: &file,
            identity,
            from: Position::default(),
            start,
            last_time: None,
            unanswered: false,
        };
        let opened = match cursor {
            None => begin(Start::First),
            Some(cursor) if is_grown(&file, &identity, &cursor).map_err(failed)? => {
                let Cursor { position: from, last_time, unanswered, .. } = cursor;
                Opened { from, last_time, unanswered, ..begin(Start::On) }
            }
            Some(_of_another) => begin(Start::Anew),
        };
        (&file).seek(SeekFrom::Start(opened.from.offset)).map_err(failed)?;
        self.read_slices(path, session, opened)
    }

    fn read_slices(
        &mut self,
        path: &Path,
        session: &SessionId,
        opened: Opened<'_>,
    ) -> Result<Reach, BookingError> {
        let failed = |source| BookingError::Transcript { path: path.to_owned(), source };
        let Opened { file, identity, from, mut start, last_time, mut unanswered } = opened;
        let mut begun = from;
        let input = BufReader::with_capacity(BUFFER_BYTES, file);
        let mut reader = Reader::new(input, from, session.clone()).after(last_time);
        loop {
            let slice = reader.next_slice(SLICE_BYTES).map_err(failed)?;
            unanswered = match slice.tail {
                Tail::Unchanged => unanswered,
                Tail::Answered => false,
                Tail::Unanswered => true,
            };
            // Until the end is reached the cursor must not look like that of a file read whole.
            let size = if slice.finished { identity.size } else { slice.end.offset };
            let cursor = Cursor {
                identity: FileIdentity { size, ..identity },
                position: slice.end,
                head: hash(file, 0, slice.end.offset.min(HASHED_BYTES)).map_err(failed)?,
                tail: hash_before(file, slice.end.offset).map_err(failed)?,
                last_time: slice.last_time,
                unanswered,
            };
            if !self.record_slice(path, session, &slice, begun, &cursor, start)? {
                return self.read_file(path, session);
            }
            (start, begun) = (Start::On, slice.end);
            if slice.finished {
                return Ok(Reach::End);
            }
            if Instant::now() >= self.deadline {
                return Ok(Reach::Deadline);
            }
        }
    }

    /// Records a slice that begins at `begun`; returns false if another run has read there meanwhile.
    fn record_slice(
        &mut self,
        path: &Path,
        session: &SessionId,
        slice: &Slice,
        begun: Position,
        cursor: &Cursor,
        start: Start,
    ) -> Result<bool, BookingError> {
        let guessed = self.guess_projects(&slice.records)?;
        let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
        let prices = &mut self.prices;
        let mut price = |project: Option<&Path>, facts: &RequestFacts| prices.charges(project, facts);
        for (session, project) in &guessed {
            recording.session_in_project(session, project, Sureness::Guessed, &mut price)?;
        }
        let file = recording.file(path, session)?;
        if start == Start::Anew {
            recording.read_anew(file)?;
        } else if !recording.is_read_to(file, begun)? {
            return Ok(false);
        }
        recording.slice(file, slice, &mut price)?;
        recording.set_cursor(file, cursor, slice.n_skipped)?;
        recording.commit()?;
        Ok(true)
    }

    /// Returns the projects of sessions that nobody told, by the folders that their first requests were made in.
    fn guess_projects(&self, records: &[UsageRecord]) -> Result<Vec<(SessionId, Project)>, BookingError> {
        let mut first: BTreeMap<&SessionId, &Origin> = BTreeMap::new();
        for record in records.iter().filter(|record| record.facts.origin.cwd.is_some()) {
            let origin = &record.facts.origin;
            let known = first.entry(&record.session).or_insert(origin);
            *known = origin.min(known);
        }
        let mut guessed = Vec::new();
        for (session, origin) in first {
            let Some(folder) = &origin.cwd else { continue };
            if !self.ledger.has_project(session)? {
                guessed.push((session.clone(), project::find(Path::new(folder), self.home.as_deref())));
            }
        }
        Ok(guessed)
    }
}

fn identity(metadata: &Metadata) -> FileIdentity {
    FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
    }
}

/// Returns whether `file` still begins with all that was read of it.
fn is_grown(file: &File, identity: &FileIdentity, cursor: &Cursor) -> io::Result<bool> {
    let read = cursor.position.offset;
    Ok((identity.device, identity.inode) == (cursor.identity.device, cursor.identity.inode)
        && identity.size >= read
        && hash(file, 0, read.min(HASHED_BYTES))? == cursor.head
        && hash_before(file, read)? == cursor.tail)
}

fn hash_before(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let n_bytes = offset.min(HASHED_BYTES);
    hash(file, offset - n_bytes, n_bytes)
}

fn hash(file: &File, from: u64, n_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(n_bytes).map_err(io::Error::other)?];
    match file.read_exact_at(&mut bytes, from) {
        // Shorter than it was a moment ago: no hash equals this one.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(()) => Ok(Sha256::digest(&bytes).to_vec()),
    }
}
