//! Reads transcripts from their cursors, on all cores, and records what is new, in order, in one transaction for
//! every few pieces.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::booking::BookingError;
use crate::booking::Books;
use crate::booking::in_order::in_order;
use crate::booking::pieces;
use crate::booking::pieces::Opened;
use crate::booking::pieces::Piece;
use crate::booking::pieces::Pieces;
use crate::booking::pieces::ReadPiece;
use crate::booking::pieces::Start;
use crate::booking::pieces::Unread;
use crate::booking::session_files::Filed;
use crate::id::SessionId;
use crate::ledger::Durability;
use crate::ledger::LedgerError;
use crate::ledger::cursor::Cursor;
use crate::ledger::cursor::FileIdentity;
use crate::ledger::cursor::ReadFile;
use crate::ledger::recording::Sureness;
use crate::project;
use crate::project::Project;
use crate::transcript::Position;
use crate::transcript::Slice;
use crate::transcript::Tail;
use crate::usage::Origin;
use crate::usage::RequestFacts;
use crate::usage::UsageRecord;

/// How much is read before its turn to be recorded comes, in bytes.
const AHEAD_BYTES: u64 = 24 << 20;

/// What is worth a thread, in bytes.
const THREAD_BYTES: u64 = 1 << 20;

/// How many requests a transaction records, about: others wait for it to end.
const RECORDED_AT_ONCE: usize = 800;

/// How many bytes a transaction is about: what a kill can cost.
const BYTES_AT_ONCE: u64 = 16 << 20;

/// How far reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To the end, or there is nothing to read.
    End,
    /// The deadline came before the end.
    Deadline,
}

/// What is told while files are read.
#[derive(Debug)]
pub enum Told {
    /// So many bytes more were read.
    Read(u64),
    /// A file could not be read.
    Fault(BookingError),
}

/// A slice that waits to be recorded.
struct Pending {
    file: Arc<Opened>,
    slice: Slice,
    begun: Position,
    start: Start,
    cursor: Cursor,
}

/// Files that were not read to the end.
#[derive(Default)]
struct Left {
    /// Another run has read there meanwhile.
    overtaken: Vec<Arc<Opened>>,
    /// A row of the ledger stands in the way.
    faulty: Vec<Arc<Opened>>,
}

/// What waits to be recorded, and how far the file came that is being read.
#[derive(Default)]
struct Progress {
    pending: Vec<Pending>,
    n_bytes: u64,
    /// Where the file stands; `None` before its first piece, and after one that could not be read.
    place: Option<Place>,
}

struct Place {
    position: Position,
    unanswered: bool,
    start: Start,
}

/// Returns what is unread in files that lie together, `known` being those that the ledger knows. A file that is as it
/// was costs a `stat`; only new ones are opened, if they have to name their session.
///
/// # Errors
/// If the session has no name, or a file cannot be looked at.
pub fn unread_of(filed: &Filed, known: &HashMap<OsString, ReadFile>) -> Result<Vec<Unread>, BookingError> {
    let mut unread = Vec::new();
    let mut named = None;
    for path in &filed.files {
        let failed = |source| BookingError::Transcript { path: path.clone(), source };
        let known = known.get(path.as_os_str());
        let cursor = known.map(|known| &known.cursor);
        let Some(metadata) = pieces::changed(path, cursor).map_err(failed)? else { continue };
        let session = match (known, &named) {
            (Some(known), _) => known.session.clone(),
            (None, Some(session)) => SessionId::clone(session),
            (None, None) => named.insert(filed.session().map_err(failed)?).clone(),
        };
        unread.push(Unread::new(path, session, &metadata, cursor));
    }
    Ok(unread)
}

impl Books {
    /// Reads `path`, a file of `session`, from where it was left; an unchanged file costs a `stat`.
    ///
    /// A file that shrank or whose beginning changed is read anew, which changes nothing that is recorded.
    pub fn read_file(&mut self, path: &Path, session: &SessionId) -> Result<Reach, BookingError> {
        self.read_files_of(session, &[path.to_owned()])
    }

    /// Reads `files` of `session` from where each was left.
    ///
    /// # Errors
    /// The first one; the files that can be read are read all the same.
    pub(super) fn read_files_of(
        &mut self,
        session: &SessionId,
        files: &[PathBuf],
    ) -> Result<Reach, BookingError> {
        let mut fault = None;
        let mut unread = Vec::new();
        for path in files {
            match Unread::in_file(path, session, self.ledger.cursor(path)?.as_ref()) {
                Ok(found) => unread.extend(found),
                Err(source) => {
                    fault = fault.or(Some(BookingError::Transcript { path: path.clone(), source }))
                }
            }
        }
        let reach = self.read_unread(unread, &mut |told| {
            if let Told::Fault(told) = told
                && fault.is_none()
            {
                fault = Some(told);
            }
        })?;
        fault.map_or(Ok(reach), Err)
    }

    /// Reads what is unread in files and records it; tells how it goes on.
    ///
    /// # Errors
    /// Those of the ledger. What was recorded before stays recorded.
    pub fn read_unread(
        &mut self,
        unread: Vec<Unread>,
        tell: &mut dyn FnMut(Told),
    ) -> Result<Reach, LedgerError> {
        let mut unread = unread;
        loop {
            let mut left = Left::default();
            let reach = self.read_once(unread, &mut left, tell)?;
            if reach == Reach::Deadline {
                return Ok(reach);
            }
            if left.overtaken.is_empty() {
                self.settle_remainders()?;
                return Ok(reach);
            }
            // Another run has read there meanwhile: on from where it came to.
            unread = Vec::new();
            for file in left.overtaken {
                match Unread::in_file(&file.path, &file.session, self.ledger.cursor(&file.path)?.as_ref()) {
                    Ok(found) => unread.extend(found),
                    Err(source) => tell(failed(&file.path, source)),
                }
            }
        }
    }

    /// Reads once through files.
    fn read_once(
        &mut self,
        unread: Vec<Unread>,
        left: &mut Left,
        tell: &mut dyn FnMut(Told),
    ) -> Result<Reach, LedgerError> {
        let n_bytes = unread.iter().map(|file| file.n_bytes).fold(0, u64::saturating_add);
        let n_threads =
            if n_bytes < THREAD_BYTES { 1 } else { thread::available_parallelism().map_or(1, NonZero::get) };
        let mut progress = Progress::default();
        let mut reach = Reach::End;
        let mut outcome = Ok(());
        let mut is_begun = false;
        let mut checkpointer = self.ledger.checkpointer();
        let mut take = |job, read| {
            if is_begun && Instant::now() >= self.deadline {
                reach = Reach::Deadline;
                return ControlFlow::Break(());
            }
            is_begun = true;
            progress.take(job, read, tell);
            if progress.is_much() {
                let n_records = progress.n_records();
                outcome = self.record_pending(progress.take_pending(), left, tell);
                checkpointer.recorded(n_records);
            }
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let weight = |job: &Result<Piece, _>| job.as_ref().map_or(0, Piece::n_bytes);
        let read = |job: &Result<Piece, _>| job.as_ref().ok().map(Piece::read);
        in_order(n_threads, AHEAD_BYTES, Pieces::of(unread.into_iter()), weight, read, &mut take);
        outcome?;
        self.record_pending(progress.take_pending(), left, tell)?;
        Ok(reach)
    }

    /// Records what waits for it, in one transaction; if a row of the ledger stands in the way, each slice in its own.
    fn record_pending(
        &mut self,
        pending: Vec<Pending>,
        left: &mut Left,
        tell: &mut dyn FnMut(Told),
    ) -> Result<(), LedgerError> {
        match self.record_slices(&pending, left) {
            Err(fault) if fault.is_of_a_row() => {}
            outcome => return outcome,
        }
        for slice in pending {
            match self.record_slices(std::slice::from_ref(&slice), left) {
                Err(fault) if fault.is_of_a_row() => {
                    left.faulty.push(slice.file);
                    tell(Told::Fault(fault.into()));
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn record_slices(&mut self, pending: &[Pending], left: &mut Left) -> Result<(), LedgerError> {
        let is_one_of = |files: &[Arc<Opened>], file| files.iter().any(|known| Arc::ptr_eq(known, file));
        let pending: Vec<_> =
            pending.iter().filter(|pending| !is_one_of(&left.faulty, &pending.file)).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let guessed = self.guess_projects(pending.iter().flat_map(|pending| &pending.slice.records))?;
        let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
        let prices = &mut self.prices;
        let mut price = |project: Option<&Path>, facts: &RequestFacts| prices.charges(project, facts);
        for (session, project) in &guessed {
            recording.session_in_project(session, project, Sureness::Guessed, &mut price)?;
        }
        for Pending { file: opened, slice, begun, start, cursor } in pending {
            let file = recording.file(&opened.path, &opened.session)?;
            if *start == Start::Anew {
                recording.read_anew(file)?;
            } else if !recording.is_read_to(file, *begun)? {
                if !is_one_of(&left.overtaken, opened) {
                    left.overtaken.push(Arc::clone(opened));
                }
                continue;
            }
            recording.slice(file, slice, &mut price)?;
            recording.set_cursor(file, cursor, slice.n_skipped)?;
        }
        recording.settle_slices(&mut price)?;
        recording.commit()
    }

    /// Returns the projects of sessions that nobody told, by the folders that their first requests were made in.
    fn guess_projects<'records>(
        &self,
        records: impl Iterator<Item = &'records UsageRecord>,
    ) -> Result<Vec<(SessionId, Project)>, LedgerError> {
        let mut first: BTreeMap<&SessionId, &Origin> = BTreeMap::new();
        for record in records.filter(|record| record.facts.origin.cwd.is_some()) {
            let origin = &record.facts.origin;
            let known = first.entry(&record.session).or_insert(origin);
            *known = origin.min(known);
        }
        // Most sessions of a batch ran in the same folder.
        let mut projects: HashMap<&str, Project> = HashMap::new();
        let mut guessed = Vec::new();
        for (session, origin) in first {
            let Some(folder) = &origin.cwd else { continue };
            if !self.ledger.has_project(session)? {
                let find = || project::find(Path::new(&**folder), self.home.as_deref());
                guessed.push((session.clone(), projects.entry(folder).or_insert_with(find).clone()));
            }
        }
        Ok(guessed)
    }
}

impl Progress {
    /// Takes what was read of the next piece.
    fn take(
        &mut self,
        job: Result<Piece, (PathBuf, std::io::Error)>,
        read: Option<std::io::Result<ReadPiece>>,
        tell: &mut dyn FnMut(Told),
    ) {
        let piece = match job {
            Ok(piece) => piece,
            Err((path, source)) => return tell(failed(&path, source)),
        };
        tell(Told::Read(piece.n_bytes()));
        if piece.begin == piece.file.from.offset {
            let Opened { from: position, unanswered, start, .. } = *piece.file;
            self.place = Some(Place { position, unanswered, start });
        }
        // After a piece that could not be read the rest of the file waits for the next run.
        let Some(place) = self.place.take() else { return };
        match read {
            Some(Ok(read)) => self.add(&piece, place, read),
            Some(Err(source)) => tell(failed(&piece.file.path, source)),
            None => {}
        }
    }

    fn add(&mut self, piece: &Piece, place: Place, read: ReadPiece) {
        let ReadPiece { mut slice, head, tail } = read;
        let Place { position: begun, unanswered, start } = place;
        for skipped in &mut slice.skipped {
            skipped.line += begun.line;
        }
        slice.end.line += begun.line;
        let unanswered = match slice.tail {
            Tail::Unchanged => unanswered,
            Tail::Answered => false,
            Tail::Unanswered => true,
        };
        let identity = piece.file.identity;
        // Until the end is reached the cursor must not look like that of a file read whole.
        let size = if piece.is_last() { identity.size } else { slice.end.offset };
        let cursor = Cursor {
            identity: FileIdentity { size, ..identity },
            position: slice.end,
            head,
            tail,
            last_time: slice.last_time,
            unanswered,
        };
        if !piece.is_last() {
            self.place = Some(Place { position: slice.end, unanswered, start: Start::On });
        }
        self.n_bytes += piece.n_bytes();
        self.pending.push(Pending { file: Arc::clone(&piece.file), slice, begun, start, cursor });
    }

    fn take_pending(&mut self) -> Vec<Pending> {
        self.n_bytes = 0;
        std::mem::take(&mut self.pending)
    }

    /// Tells whether a transaction should not wait for more.
    fn is_much(&self) -> bool {
        self.n_records() >= RECORDED_AT_ONCE || self.n_bytes >= BYTES_AT_ONCE
    }

    fn n_records(&self) -> usize {
        self.pending.iter().map(|pending| pending.slice.records.len()).sum()
    }
}

fn failed(path: &Path, source: std::io::Error) -> Told {
    Told::Fault(BookingError::Transcript { path: path.to_owned(), source })
}
