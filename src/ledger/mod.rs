//! The ledger: facts about requests, and what is derived from them, in SQLite.
//!
//! One file for each user. Facts (requests, appearances, bindings, prices used) are only added or raised, so
//! recording anything twice equals recording it once; only [`forget`] removes any. Derived columns (owner, task,
//! charges) are computed from facts by one function each: [`recording`] computes them for what a run touched, in the
//! transaction that records the facts.
//!
//! It holds no prompt, answer, tool input or output: ids, names, branches, project paths, times and counts.
//! It never reads transcripts, queues, clock or environment.

pub mod alerts;
pub mod audit;
pub mod backup;
pub mod binding;
pub mod cache;
pub mod charges;
pub mod checkpointer;
pub mod correction;
pub mod cursor;
pub mod explain;
pub mod foreign;
pub mod forget;
pub mod glance;
pub mod groups;
pub mod health;
pub mod history;
pub mod mark;
pub mod notes;
pub mod notices;
pub mod outlook;
pub mod overrides;
pub mod record;
pub mod recording;
pub mod rows;
pub mod spending;
pub mod task;
pub mod totals;

mod appearances;
mod derive;
mod dimensions;
mod opening;
mod ownership;
mod placement;
mod remainder;
mod repeated;
mod requests;
mod rollup;
pub mod run;
mod schema;
mod shares;

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::config::DbConfig;

use crate::attribution::rules::Rulebook;
use crate::disk::file_system::FileSystem;
use crate::disk::lock::LockError;
use crate::disk::replace::ReplaceError;
use crate::ledger::recording::Recording;

/// Name of the ledger in the data folder.
pub const FILE_NAME: &str = "ledger.db";

/// Why the ledger could not do something.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file could not be opened.
    #[error("ledger `{}` could not be opened", path.display())]
    Open {
        /// The ledger.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The data folder, or one in it, could not be made or looked into.
    #[error("data folder `{}` cannot be used", path.display())]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file, or a copy of it, could not be made.
    #[error("the ledger could not be made")]
    Create(#[from] ReplaceError),
    /// The file, or its folder, may be read but not written.
    #[error("`{}` cannot be written: make it writable, or set CMAT_HOME to another folder", path.display())]
    ReadOnly {
        /// The ledger or the data folder.
        path: PathBuf,
    },
    /// The file is gone, but there are backups of it, or its write-ahead log.
    #[error("ledger `{}` is gone", path.display())]
    Lost {
        /// Where it was.
        path: PathBuf,
    },
    /// Damaged ledgers were set aside before, again and again.
    #[error("{n} damaged ledgers stand in `{}` already: something damages them; move them away first", folder.display())]
    OftenDamaged {
        /// The data folder.
        folder: PathBuf,
        /// How many.
        n: usize,
    },
    /// A damaged ledger could not be set aside, or a backup of it not be removed.
    #[error("`{}` could not be moved or removed", path.display())]
    Move {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another cmat is setting a damaged ledger aside.
    #[error("the ledger could not be locked")]
    Lock(#[from] LockError),
    /// SQLite names files in UTF-8.
    #[error("the ledger cannot be copied to `{}`, which is not UTF-8", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A newer cmat wrote it.
    #[error("ledger `{}` has format {found}, but this cmat writes up to {supported}: update cmat", path.display())]
    FormatTooNew {
        /// The ledger.
        path: PathBuf,
        /// Format in the file.
        found: u32,
        /// Newest format that this cmat knows.
        supported: usize,
    },
    /// The file belongs to something else.
    #[error("`{}` is a database of another program, not a ledger", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A count or an amount does not fit, or a stored value is not what cmat writes.
    #[error("ledger holds {what} that cmat did not write")]
    Corrupt {
        /// What is wrong.
        what: String,
    },
    /// The disk is full, or what the user may use of it.
    #[error("there is no room for the ledger: make some where it is, and run this again")]
    Full {
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A table or a column is missing: before its first release cmat changed its format without a new number.
    #[error(
        "the ledger was made by an unfinished version of cmat ({lack}): move `ledger.db*` and `backups` out of the data \
         folder, which `cmat doctor` shows; `cmat reconcile --all` then makes it anew"
    )]
    Unfinished {
        /// What SQLite misses.
        lack: String,
    },
    /// SQLite refused.
    #[error("the ledger could not be read or written")]
    Sqlite(#[source] rusqlite::Error),
    /// A stored value is not JSON of the expected shape.
    #[error("the ledger holds JSON that cmat did not write")]
    Json(#[from] serde_json::Error),
}

impl From<rusqlite::Error> for LedgerError {
    fn from(source: rusqlite::Error) -> Self {
        match missing_part(&source) {
            _ if is_full(&source) => Self::Full { source },
            Some(lack) => Self::Unfinished { lack: lack.to_owned() },
            None => Self::Sqlite(source),
        }
    }
}

/// Returns which table or column SQLite misses, for which it has no code of its own.
fn missing_part(error: &rusqlite::Error) -> Option<&str> {
    let (rusqlite::Error::SqliteFailure(_, Some(says)) | rusqlite::Error::SqlInputError { msg: says, .. }) =
        error
    else {
        return None;
    };
    let is_missing = ["no such column", "no such table", "has no column named"];
    is_missing.iter().any(|words| says.contains(words)).then_some(says)
}

/// Returns whether SQLite lacked room, for the ledger or for what its users share of the log beside it.
fn is_full(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

impl LedgerError {
    /// Returns whether somebody else holds the ledger, so that trying again may help.
    pub fn is_locked(&self) -> bool {
        let (Self::Sqlite(source) | Self::Open { source, .. }) = self else { return false };
        matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Returns whether the file is damaged or gone, so that waiting or trying again cannot help.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Open { source, .. } | Self::Sqlite(source) => matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }

    /// Returns whether one stored value is to blame, so that other rows can be used all the same.
    pub fn is_of_a_row(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Json(_) => true,
            // What SQLite itself says is about the file or the system; the rest is about a value.
            Self::Sqlite(fault) => fault.sqlite_error_code().is_none(),
            _ => false,
        }
    }
}

/// How sure a transaction must be on disk before it counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What can be read again: transcripts. After a power cut, rows and cursors roll back together.
    Repeatable,
    /// What exists nowhere else: corrections, reprices, audit lines.
    Irreplaceable,
}

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    file_system: FileSystem,
    rules: Rulebook,
}

impl Ledger {
    /// Attributes by `rules` from now on, instead of the built-in ones.
    pub fn use_rules(&mut self, rules: Rulebook) {
        self.rules = rules;
    }

    /// Begins to write, at the moment `now`; waits for other writers as long as [`Ledger::open`] was told.
    pub fn record(&mut self, durability: Durability, now: Timestamp) -> Result<Recording<'_>, LedgerError> {
        let level = match (self.file_system, durability) {
            // Without a write-ahead log, less could tear the ledger.
            (FileSystem::Remote(_), _) => "EXTRA",
            (FileSystem::Local, Durability::Repeatable) => "NORMAL",
            (FileSystem::Local, Durability::Irreplaceable) => "FULL",
        };
        self.connection.pragma_update(None, "synchronous", level)?;
        // Transcripts only add rows, beside those that they refer to; to look for those would cost as much as to write
        // them. Corrections, which remove rows, are held to it.
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, durability == Durability::Irreplaceable)?;
        Recording::begin(&self.connection, self.rules.clone(), now)
    }

    /// Writes all that is committed to `path`, a ledger of its own; holds up no writer.
    ///
    /// # Errors
    /// If there is a file at `path` that is not empty, or it cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), LedgerError> {
        let name = path.to_str().ok_or_else(|| LedgerError::NotUtf8 { path: path.to_owned() })?;
        self.connection.execute("VACUUM INTO ?1", [name])?;
        Ok(())
    }

    /// Moves what is committed from the write-ahead log to the ledger file and syncs it, waiting for nobody.
    ///
    /// Returns whether all of it got there; readers or writers at work can prevent that.
    pub fn checkpoint(&self) -> Result<bool, LedgerError> {
        let (n_frames, n_moved): (i64, i64) =
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
        Ok(n_frames == n_moved)
    }

    /// Returns what SQLite's integrity check finds wrong, rows that refer to none, and tables that are not as they should
    /// be; empty for a sound ledger.
    pub fn integrity_faults(&self) -> Result<Vec<String>, LedgerError> {
        let mut check = self.connection.prepare("PRAGMA quick_check")?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut faults: Vec<_> = lines.into_iter().filter(|line| line != "ok").collect();
        let mut check =
            self.connection.prepare(r#"SELECT DISTINCT "table", parent FROM pragma_foreign_key_check"#)?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let (table, parent): (String, String) = (row.get(0)?, row.get(1)?);
            faults.push(format!("a row of `{table}` belongs to one of `{parent}` that is not there"));
        }
        faults.extend(schema::faults(&self.connection)?);
        Ok(faults)
    }
}

/// Milliseconds since 1970 UTC, as the ledger stores instants.
fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn instant(millis: i64) -> Result<Timestamp, LedgerError> {
    Timestamp::from_millisecond(millis)
        .map_err(|_| LedgerError::Corrupt { what: format!("instant {millis}") })
}

/// Token counts are at most 2^40 when they are read, so they fit.
fn signed(count: u64) -> Result<i64, LedgerError> {
    i64::try_from(count).map_err(|_| LedgerError::Corrupt { what: format!("count {count}") })
}

fn unsigned(count: i64) -> Result<u64, LedgerError> {
    u64::try_from(count).map_err(|_| LedgerError::Corrupt { what: format!("count {count}") })
}

fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

fn path_from(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}
