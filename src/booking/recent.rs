//! Reads on in what a project's sessions wrote last and no hook told of: turns that were killed, hooks that never ran.
//!
//! A slice of `cmat reconcile`, bounded in time and number, for runs that somebody waits for. Files that are as they
//! were read cost a `stat` and a look into the ledger each.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::booking::BookingError;
use crate::booking::Books;
use crate::booking::pieces;
use crate::booking::session_files;
use crate::ledger::LedgerError;
use crate::project::Project;

/// So many sessions are looked at, those that were written last; older ones are left to `cmat reconcile`.
const MAX_SESSIONS: usize = 64;

/// So many entries of transcript folders are looked at to find them.
const MAX_ENTRIES: usize = 5_000;

impl Books {
    /// Reads on in the sessions of `project` that were written last, the latest first, for at most `patience`.
    ///
    /// What cannot be read is passed by: `cmat reconcile` tells of it. Returns how many sessions had something new.
    pub fn read_recent(&mut self, project: &Project, patience: Duration) -> Result<u64, LedgerError> {
        let whole = self.deadline;
        self.deadline = whole.min(Instant::now() + patience);
        self.ledger.wait_at_most(patience)?;
        let outcome = self.read_latest(latest(&self.claude_folders, project));
        self.deadline = whole;
        self.ledger.wait_at_most(whole.saturating_duration_since(Instant::now()))?;
        outcome
    }

    fn read_latest(&mut self, mains: Vec<PathBuf>) -> Result<u64, LedgerError> {
        let mut n_read = 0;
        for main in mains {
            if Instant::now() >= self.deadline {
                break;
            }
            if !self.has_news(&main)? {
                continue;
            }
            match self.book_session(&main, None, None) {
                Ok(_session) => n_read += 1,
                Err(BookingError::Ledger(fault)) if !fault.is_of_a_row() => return Err(fault),
                Err(fault) => tracing::debug!(%fault, "passed by"),
            }
        }
        Ok(n_read)
    }

    /// Returns whether a file of the session whose main transcript is at `main` is not as it was read.
    fn has_news(&self, main: &Path) -> Result<bool, LedgerError> {
        for file in session_files::named_after(main) {
            let cursor = self.ledger.cursor(&file)?;
            if pieces::changed(&file, cursor.as_ref())
                .is_ok_and(|found| found.is_some_and(|now| now.is_file()))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the main transcripts of the sessions of `project` that were written last, the latest first.
fn latest(claude_folders: &[PathBuf], project: &Project) -> Vec<PathBuf> {
    let folders = claude_folders.iter().flat_map(|folder| entries(&folder.join("projects")));
    let folders = folders
        .filter(|entry| session_files::is_filed_under(&entry.file_name().to_string_lossy(), project))
        .filter_map(|entry| entry.path().canonicalize().ok());
    let mut written: HashMap<PathBuf, (i64, i64)> = HashMap::new();
    for entry in folders.flat_map(|folder| entries(&folder)).take(MAX_ENTRIES) {
        let Some((main, metadata)) = session_of(&entry) else { continue };
        let at = (metadata.mtime(), metadata.mtime_nsec());
        let latest = written.entry(main).or_insert(at);
        *latest = at.max(*latest);
    }
    let mut latest: Vec<_> = written.into_iter().collect();
    latest.sort_unstable_by_key(|(main, at)| (Reverse(*at), main.clone()));
    latest.into_iter().take(MAX_SESSIONS).map(|(main, _)| main).collect()
}

/// Returns the main transcript that an entry stands for, which is itself or lies beside a folder of subagents.
fn session_of(entry: &fs::DirEntry) -> Option<(PathBuf, Metadata)> {
    let path = entry.path();
    match entry.metadata().ok()? {
        metadata if metadata.is_dir() => Some((path.with_extension("jsonl"), metadata)),
        _ if !session_files::is_transcript(&path) => None,
        // The file that a link leads to has its cursor there.
        metadata if metadata.is_symlink() => Some((path.canonicalize().ok()?, fs::metadata(&path).ok()?)),
        metadata => Some((path, metadata)),
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok)
}
