//! Reads one transcript file from its cursor and records what is new, slice by slice.

use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

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

/// How much of a file one transaction holds, in bytes: what a kill can cost, and what memory is bounded by.
const SLICE_BYTES: u64 = 32 << 20;

/// How much of both ends of what was read is hashed to tell an appended file from another one, in bytes.
const HASHED_BYTES: u64 = 4 << 10;

/// What reading a file came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Requests that were new to the ledger.
    pub n_new: u64,
    /// Lines that could not be read.
    pub n_skipped: u64,
    /// The deadline came before the end.
    pub unfinished: bool,
}

impl Books {
    /// Reads `path`, a file of `session`, from where it was left; an unchanged file costs a `stat`.
    ///
    /// A file that shrank or whose beginning changed is read anew, which changes nothing that is recorded.
    pub fn read_file(&mut self, path: &Path, session: &SessionId) -> Result<Read, BookingError> {
        let failed = |source| BookingError::Transcript { path: path.to_owned(), source };
        let identity = match std::fs::metadata(path).map(|metadata| identity(&metadata)) {
            Ok(identity) => identity,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::default()),
            Err(error) => return Err(failed(error)),
        };
        let cursor = self.ledger.cursor(path)?;
        if cursor.as_ref().is_some_and(|cursor| cursor.identity == identity) {
            return Ok(Read::default());
        }
        let mut file = match disk::open_regular(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::default()),
            Err(error) => return Err(failed(error)),
        };
        let from = match &cursor {
            Some(cursor) if is_grown(&file, &identity, cursor).map_err(failed)? => cursor.position,
            _ => Position::default(),
        };
        file.seek(SeekFrom::Start(from.offset)).map_err(failed)?;
        let unanswered = from.offset > 0 && cursor.is_some_and(|cursor| cursor.unanswered);
        self.read_slices(path, session, &file, identity, from, unanswered)
    }

    fn read_slices(
        &mut self,
        path: &Path,
        session: &SessionId,
        file: &File,
        identity: FileIdentity,
        from: Position,
        mut unanswered: bool,
    ) -> Result<Read, BookingError> {
        let failed = |source| BookingError::Transcript { path: path.to_owned(), source };
        let mut reader = Reader::new(BufReader::with_capacity(BUFFER_BYTES, file), from, session.clone());
        let mut anew = from.offset == 0;
        let mut read = Read::default();
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
                unanswered,
            };
            read.n_new += self.record_slice(path, session, &slice, &cursor, anew)?;
            read.n_skipped += slice.n_skipped;
            anew = false;
            if slice.finished {
                break;
            }
            if Instant::now() >= self.deadline {
                read.unfinished = true;
                break;
            }
        }
        Ok(read)
    }

    fn record_slice(
        &mut self,
        path: &Path,
        session: &SessionId,
        slice: &Slice,
        cursor: &Cursor,
        anew: bool,
    ) -> Result<u64, BookingError> {
        let mut recording = self.ledger.record(Durability::Repeatable)?;
        let file = recording.file(path, session)?;
        if anew {
            recording.read_anew(file)?;
        }
        // Nobody told the project: it is that of the folder that the lines name, whose price table holds.
        let folder = slice.records.iter().find_map(|record| record.facts.origin.cwd.as_deref());
        if let Some(folder) = folder
            && !recording.has_project(session)?
        {
            let Project { root, worktree } = project::find(Path::new(folder), self.home.as_deref());
            recording.session_in_project(session, &root, &worktree, Sureness::Guessed)?;
        }
        let prices = &mut self.prices;
        let n_new =
            recording.usage(file, &slice.records, &mut |project, facts| prices.charges(project, facts))?;
        for (session, at) in &slice.first_own_line {
            recording.first_own_line(session, *at)?;
        }
        for skipped in &slice.skipped {
            recording.skipped_line(file, skipped.line, &skipped.reason.to_string())?;
        }
        recording.set_cursor(file, cursor, slice.n_skipped)?;
        recording.commit()?;
        Ok(n_new)
    }
}

fn identity(metadata: &std::fs::Metadata) -> FileIdentity {
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
