//! The ledger: facts about requests, and what is derived from them, in SQLite.
//!
//! One file for each user. Facts (requests, appearances, bindings, prices used) are only added or raised, so
//! recording anything twice equals recording it once; only [`forget`] removes any. Derived columns (owner, task,
//! charges) are computed from facts by one function each: [`recording`] computes them for what a run touched, in the
//! transaction that records the facts.
//!
//! It holds no prompt, answer, tool input or output: ids, names, branches, project paths, times and counts.
//! It never reads transcripts, queues, clock or environment.

pub mod binding;
pub mod charges;
pub mod correction;
pub mod cursor;
pub mod explain;
pub mod foreign;
pub mod forget;
pub mod groups;
pub mod health;
pub mod recording;
pub mod rows;
pub mod task;
pub mod totals;

mod derive;
mod dimensions;
mod requests;
mod rollup;
mod schema;
mod shares;

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::TransactionBehavior;
use rusqlite::config::DbConfig;

use crate::disk::replace;
use crate::disk::replace::Access;
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
    /// The data folder could not be made.
    #[error("data folder `{}` could not be made", path.display())]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file could not be made.
    #[error("the ledger could not be made")]
    Create(#[source] ReplaceError),
    /// A newer cmat wrote it.
    #[error("ledger `{}` has format {found}, but this cmat writes up to {supported}: update cmat", path.display())]
    FormatTooNew {
        /// The ledger.
        path: PathBuf,
        /// Format in the file.
        found: u32,
        /// Newest format that this cmat knows.
        supported: u32,
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
    /// SQLite refused.
    #[error("the ledger could not be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored value is not JSON of the expected shape.
    #[error("the ledger holds JSON that cmat did not write")]
    Json(#[from] serde_json::Error),
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
}

impl Ledger {
    /// Opens the ledger in `data_dir` and makes both if they are not there; waits up to `wait` for others.
    ///
    /// # Errors
    /// As [`LedgerError`] says; a newer or foreign file is left as it is.
    pub fn open(data_dir: &Path, wait: Duration) -> Result<Self, LedgerError> {
        replace::create_private_folder(data_dir)
            .map_err(|source| LedgerError::DataFolder { path: data_dir.to_owned(), source })?;
        let path = data_dir.join(FILE_NAME);
        let failed = |source| LedgerError::Open { path: path.clone(), source };
        if !path.exists() {
            // Made by us first: SQLite would make it readable for everybody.
            match replace::create_new(&path, b"", Access::Private) {
                Ok(()) | Err(ReplaceError::Exists { .. }) => {}
                Err(source) => return Err(LedgerError::Create(source)),
            }
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        connection.busy_timeout(wait).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        schema::migrate(&mut connection, &path)?;
        Ok(Self { connection })
    }

    /// Begins to write, at the moment `now`; waits for other writers as long as [`Ledger::open`] was told.
    pub fn record(&mut self, durability: Durability, now: Timestamp) -> Result<Recording<'_>, LedgerError> {
        let level = match durability {
            Durability::Repeatable => "NORMAL",
            Durability::Irreplaceable => "FULL",
        };
        self.connection.pragma_update(None, "synchronous", level)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Recording::new(transaction, now))
    }

    /// Writes all that is committed to a new file `path`, a ledger of its own; holds up no writer.
    ///
    /// # Errors
    /// If there is a file at `path`, or it cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), LedgerError> {
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
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

    /// Returns what SQLite's integrity check finds wrong; empty for a sound ledger.
    pub fn integrity_faults(&self) -> Result<Vec<String>, LedgerError> {
        let mut check = self.connection.prepare("PRAGMA quick_check")?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Else SQLite plans a cached statement anew each time its parameters change, because of the partial indexes:
    // four fifths of what recording cost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A hook leaves its log to the next run, instead of syncing the ledger each time the last one closes it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
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
