//! Transcripts opened at their cursors and cut at line ends into pieces, each of which can be read on its own.
//!
//! Where a file is cut depends on the file and its cursor alone, not on how many read it.

use std::cell::Cell;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::BufRead;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use memchr::memchr;
use sha2::Digest;
use sha2::Sha256;

use crate::disk;
use crate::id::SessionId;
use crate::ledger::cursor::Cursor;
use crate::ledger::cursor::FileIdentity;
use crate::transcript;
use crate::transcript::BUFFER_BYTES;
use crate::transcript::OWN_BYTES;
use crate::transcript::Position;
use crate::transcript::Reader;
use crate::transcript::Slice;

/// About how much of a file a piece is, in bytes: what a kill can cost, and what memory is bounded by.
const PIECE_BYTES: u64 = 2 << 20;

/// How much of both ends of what was read is hashed to tell an appended file from another one, in bytes.
const HASHED_BYTES: u64 = 4 << 10;

/// How far before a piece the last line with a time is searched first, and at most, in bytes: clients write no
/// megabytes without one.
const SEARCHED_FOR_A_TIME: u64 = 16 << 10;
const MAX_SEARCHED_FOR_A_TIME: u64 = 8 << 20;

/// How much is read at once to find the line end to cut at, in bytes.
const SEARCHED_BYTES: usize = 16 << 10;

/// A file that holds something unread.
#[derive(Debug)]
pub struct Unread {
    /// The file.
    pub(super) path: PathBuf,
    /// The session that it belongs to.
    pub(super) session: SessionId,
    /// How far it was read, if it was.
    cursor: Option<Cursor>,
    /// About how many bytes are to be read.
    pub n_bytes: u64,
}

impl Unread {
    /// Returns what `path`, a file of `session`, holds beyond `cursor`; `None` if it is as it was then, or gone.
    pub(super) fn in_file(
        path: &Path,
        session: &SessionId,
        cursor: Option<&Cursor>,
    ) -> io::Result<Option<Self>> {
        let metadata = changed(path, cursor)?;
        Ok(metadata.map(|metadata| Self::new(path, session.clone(), &metadata, cursor)))
    }

    /// Returns what a file of `session` with `metadata` holds beyond `cursor`.
    pub(super) fn new(path: &Path, session: SessionId, metadata: &Metadata, cursor: Option<&Cursor>) -> Self {
        let read = cursor.map_or(0, |cursor| cursor.position.offset);
        let n_bytes = metadata.len().checked_sub(read).unwrap_or(metadata.len());
        Self { path: path.to_owned(), session, cursor: cursor.cloned(), n_bytes }
    }
}

/// Looks whether a file is another one than `cursor` was made of; `None` if not, or if it is gone.
pub(super) fn changed(path: &Path, cursor: Option<&Cursor>) -> io::Result<Option<Metadata>> {
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    let is_unchanged = cursor.is_some_and(|cursor| cursor.identity == identity(&metadata));
    Ok((!is_unchanged).then_some(metadata))
}

/// How reading a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It was never read.
    First,
    /// It is read on from where it was left.
    On,
    /// It was read, but another file stands there now.
    Anew,
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) session: SessionId,
    file: File,
    /// As it was when it was opened; what is appended meanwhile is left to the next run.
    pub(super) identity: FileIdentity,
    pub(super) from: Position,
    pub(super) start: Start,
    /// Time of the last line before `from` that states one.
    last_time: Option<Timestamp>,
    /// The last prompt before `from` has no answer.
    pub(super) unanswered: bool,
}

impl Opened {
    /// Opens a file where it was left; `None` if it is gone.
    fn open(unread: Unread) -> io::Result<Option<Self>> {
        let Unread { path, session, cursor, .. } = unread;
        let file = match disk::open_regular(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // Of the file that was opened: another one may have come to the path since.
        let identity = identity(&file.metadata()?);
        let begin = |start, file| Self {
            path,
            session,
            file,
            identity,
            from: Position::default(),
            start,
            last_time: None,
            unanswered: false,
        };
        Ok(Some(match cursor {
            None => begin(Start::First, file),
            Some(cursor) if is_grown(&file, &identity, &cursor)? => {
                let Cursor { position: from, last_time, unanswered, .. } = cursor;
                Self { from, last_time, unanswered, ..begin(Start::On, file) }
            }
            Some(_of_another) => begin(Start::Anew, file),
        }))
    }

    /// Returns where the piece that begins at `begin` ends: behind a line end, or with the file.
    fn cut_after(&self, begin: u64) -> io::Result<u64> {
        let size = self.identity.size;
        let mut at = begin.saturating_add(PIECE_BYTES);
        let mut bytes = [0; SEARCHED_BYTES];
        while at < size {
            match self.file.read_at(&mut bytes, at) {
                Ok(0) => break,
                Ok(n_bytes) => {
                    if let Some(found) = memchr(b'\n', &bytes[..n_bytes]) {
                        return Ok(size.min(at + found as u64 + 1));
                    }
                    at += n_bytes as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(size)
    }
}

/// A part of a file, from the start of a line to behind a line end, or to the end of the file.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) file: Arc<Opened>,
    pub(super) begin: u64,
    end: u64,
}

/// What was read of a piece.
#[derive(Debug)]
pub(super) struct ReadPiece {
    /// What it holds; lines are counted from its beginning.
    pub(super) slice: Slice,
    /// Hashes of both ends of all that was read of the file then.
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
}

impl Piece {
    /// Returns how long it is, in bytes.
    pub(super) fn n_bytes(&self) -> u64 {
        self.end.saturating_sub(self.begin)
    }

    /// Returns whether it is the last one of its file.
    pub(super) fn is_last(&self) -> bool {
        self.end >= self.file.identity.size
    }

    /// Reads it.
    ///
    /// # Errors
    /// Those of the file, also if that has become shorter.
    pub(super) fn read(&self) -> io::Result<ReadPiece> {
        let file = &self.file.file;
        let from = Position { offset: self.begin, line: 0 };
        let input = Stretch::of(file, self.begin, self.end);
        let mut reader = Reader::new(input, from, self.file.session.clone()).after(self.time_before()?);
        if self.is_before_usage()? {
            reader = reader.before_usage();
        }
        let slice = reader.next_slice(u64::MAX)?;
        if !self.is_last() && slice.end.offset != self.end {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file was changed while it was read",
            ));
        }
        let read = slice.end.offset;
        Ok(ReadPiece { slice, head: hash(file, 0, read.min(HASHED_BYTES))?, tail: hash_before(file, read)? })
    }
}

impl Piece {
    /// Returns whether usage has yet to come in the file's beginning: a hook may have read on in a session that had asked
    /// for nothing.
    fn is_before_usage(&self) -> io::Result<bool> {
        if self.begin == 0 || self.begin >= OWN_BYTES {
            return Ok(self.begin == 0);
        }
        let mut before = vec![0; usize::try_from(self.begin).map_err(io::Error::other)?];
        self.file.file.read_exact_at(&mut before, 0)?;
        Ok(!transcript::holds_usage(&before))
    }

    /// Returns the time of the last line before the piece that states one.
    fn time_before(&self) -> io::Result<Option<Timestamp>> {
        let Opened { file, from, last_time, .. } = &*self.file;
        let mut n_bytes = SEARCHED_FOR_A_TIME;
        while self.begin > from.offset && n_bytes <= MAX_SEARCHED_FOR_A_TIME {
            let start = self.begin.saturating_sub(n_bytes).max(from.offset);
            let mut bytes = vec![0; usize::try_from(self.begin - start).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, start)?;
            let is_cut = start > from.offset;
            let first_line = if is_cut { memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1) } else { 0 };
            let time = transcript::last_time(&bytes[first_line..]);
            if time.is_some() || !is_cut {
                return Ok(time.or(*last_time));
            }
            n_bytes *= 8;
        }
        Ok(*last_time)
    }
}

/// The pieces of files, in order; what cannot be opened, with its path.
#[derive(Debug)]
pub(super) struct Pieces<Files> {
    files: Files,
    current: Option<(Arc<Opened>, u64)>,
}

impl<Files: Iterator<Item = Unread>> Pieces<Files> {
    pub(super) fn of(files: Files) -> Self {
        Self { files, current: None }
    }

    fn piece(&mut self, file: Arc<Opened>, begin: u64) -> io::Result<Piece> {
        let end = file.cut_after(begin)?;
        if end < file.identity.size {
            self.current = Some((Arc::clone(&file), end));
        }
        Ok(Piece { file, begin, end })
    }
}

impl<Files: Iterator<Item = Unread>> Iterator for Pieces<Files> {
    type Item = Result<Piece, (PathBuf, io::Error)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (file, begin) = match self.current.take() {
                Some(current) => current,
                None => {
                    let unread = self.files.next()?;
                    let path = unread.path.clone();
                    match Opened::open(unread) {
                        Ok(Some(file)) => {
                            let begin = file.from.offset;
                            (Arc::new(file), begin)
                        }
                        Ok(None) => continue,
                        Err(error) => return Some(Err((path, error))),
                    }
                }
            };
            let path = file.path.clone();
            return Some(self.piece(file, begin).map_err(|error| (path, error)));
        }
    }
}

/// A part of a file as input. Readers of others may be at work on the same file, so it has a place of its own.
struct Stretch<'file> {
    file: &'file File,
    at: u64,
    end: u64,
    /// What was read, from `taken` to `filled`; the rest of it means nothing.
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
}

thread_local! {
    /// The buffer of the last stretch that this thread read: to make and clear one for each of many small files would cost
    /// as much as to read them.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<'file> Stretch<'file> {
    fn of(file: &'file File, begin: u64, end: u64) -> Self {
        let length = usize::try_from(end.saturating_sub(begin)).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        let mut buffer = BUFFER.take();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        Self { file, at: begin, end, buffer, taken: 0, filled: 0 }
    }
}

impl Drop for Stretch<'_> {
    fn drop(&mut self) {
        BUFFER.set(std::mem::take(&mut self.buffer));
    }
}

impl BufRead for Stretch<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.filled {
            let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let length = self.buffer.len().min(left);
            (self.taken, self.filled) = (0, 0);
            self.filled = self.file.read_at(&mut self.buffer[..length], self.at)?;
            self.at += self.filled as u64;
        }
        Ok(&self.buffer[self.taken..self.filled])
    }

    fn consume(&mut self, n_bytes: usize) {
        self.taken = self.filled.min(self.taken + n_bytes);
    }
}

impl Read for Stretch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut window = self.fill_buf()?;
        let n_bytes = window.read(buffer)?;
        self.consume(n_bytes);
        Ok(n_bytes)
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
