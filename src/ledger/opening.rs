//! Opens the ledger file; makes it if there never was one.
//!
//! What is damaged, gone, read-only, newer or another program's is told apart and left as it is.

use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use crate::attribution::rules::Rulebook;
use crate::disk::file_system;
use crate::disk::file_system::FileSystem;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::ledger::FILE_NAME;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::backup;
use crate::ledger::schema;

/// How much of the ledger is kept in memory at most, in KiB.
const CACHE_KIB: i64 = 4 << 10;

/// How long the write-ahead log becomes before whoever writes moves it to the ledger, in pages of 4 KiB.
const MAX_LOG_PAGES: i64 = 16 << 10;

/// How long the write-ahead log may be when nobody writes, in bytes: the next cmat reads all of it before anything else.
const MAX_LEFT_LOG: u64 = 2 << 20;

/// Where a database of SQLite says, twice, that it has a write-ahead log: 2 instead of 1 (its file format, 1.3.3).
const WAL_MARK: Range<usize> = 18..20;

impl Ledger {
    /// Opens the ledger in `data_dir` and makes both if they were never there; waits up to `wait` for others.
    ///
    /// # Errors
    /// As [`LedgerError`] says; a newer, foreign or damaged file is left as it is, and one that is gone is not
    /// made anew where a backup can bring it back.
    pub fn open(data_dir: &Path, wait: Duration) -> Result<Self, LedgerError> {
        replace::create_private_folder(data_dir)
            .map_err(|source| LedgerError::DataFolder { path: data_dir.to_owned(), source })?;
        let path = data_dir.join(FILE_NAME);
        if !is_there(&path)? {
            if !is_writable(data_dir) {
                return Err(LedgerError::ReadOnly { path: data_dir.to_owned() });
            }
            if !backup::list(data_dir).is_empty() || backup::has_leftover_log(data_dir) {
                return Err(LedgerError::Lost { path });
            }
            match create(&path) {
                Ok(()) | Err(LedgerError::Create(ReplaceError::Exists { .. })) => {}
                Err(fault) => return Err(fault),
            }
        }
        if let Some(path) = [path.as_path(), data_dir].into_iter().find(|path| !is_writable(path)) {
            return Err(LedgerError::ReadOnly { path: path.to_owned() });
        }
        let file_system = file_system_of(&path);
        let failed = |source| match LedgerError::from(source) {
            LedgerError::Sqlite(source) => LedgerError::Open { path: path.clone(), source },
            full => full,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        connection.busy_timeout(wait).map_err(failed)?;
        configure(&connection, file_system).map_err(failed)?;
        schema::migrate(&mut connection, &path)?;
        Ok(Self { connection, file_system, rules: Rulebook::default() })
    }

    /// Waits up to `wait` for others from now on.
    pub fn wait_at_most(&self, wait: Duration) -> Result<(), LedgerError> {
        Ok(self.connection.busy_timeout(wait)?)
    }

    /// Empties a long write-ahead log into the ledger, unless somebody else is at work there.
    fn shorten_log(&self) -> Result<(), LedgerError> {
        let log = self.connection.path().map(|path| backup::beside(Path::new(path), "-wal"));
        let is_long = |log: PathBuf| std::fs::metadata(log).is_ok_and(|log| log.len() > MAX_LEFT_LOG);
        if log.is_some_and(is_long) && self.checkpoint()? {
            self.wait_at_most(Duration::ZERO)?;
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// Returns a number that changes when somebody else has changed the ledger.
    pub fn version(&self) -> Result<i64, LedgerError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Returns what the ledger is on.
    pub fn file_system(&self) -> FileSystem {
        self.file_system
    }
}

impl Drop for Ledger {
    /// Leaves a short log. All of it is committed, so that nothing is lost if that fails: a later cmat tries again.
    fn drop(&mut self) {
        let _later = self.shorten_log();
    }
}

/// Makes a ledger with nothing in it at `path`, where there must be none: whole and private when it gets its name.
///
/// SQLite would make it bit by bit, syncing each, and readable for everybody.
pub(super) fn create(path: &Path) -> Result<(), LedgerError> {
    let mut connection = Connection::open_in_memory()?;
    schema::migrate(&mut connection, path)?;
    let mut content = connection.serialize("main")?.to_vec();
    if file_system_of(path) == FileSystem::Local {
        content[WAL_MARK].fill(2);
    }
    Ok(replace::create_new(path, &content, Access::Private)?)
}

fn file_system_of(ledger: &Path) -> FileSystem {
    ledger.parent().and_then(|folder| file_system::of(folder).ok()).unwrap_or(FileSystem::Local)
}

fn is_there(path: &Path) -> Result<bool, LedgerError> {
    path.try_exists().map_err(|source| LedgerError::DataFolder { path: PathBuf::from(path), source })
}

/// Returns whether the system lets this user write there: a mode, an owner or a mount may not.
fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

fn configure(connection: &Connection, file_system: FileSystem) -> rusqlite::Result<()> {
    let journal = match file_system {
        FileSystem::Local => "WAL",
        // The write-ahead log needs memory that all processes share, which machines do not.
        FileSystem::Remote(_) => "TRUNCATE",
    };
    if file_system == FileSystem::Local {
        // What is written outside of recordings is derived, or a ledger with nothing in it.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
    }
    connection.pragma_update(None, "journal_mode", journal)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Else SQLite plans a cached statement anew each time its parameters change, because of the partial indexes:
    // four fifths of what recording cost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A hook leaves its log to the next run, instead of syncing the ledger each time the last one closes it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Recording comes back to the same pages of the indexes again and again: kept, they are neither written to the log
    // nor read from it each time.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Each time the log is moved to the ledger, both are synced.
    connection.pragma_update(None, "wal_autocheckpoint", MAX_LOG_PAGES)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_ledger_is_whole_when_it_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        create(&path).unwrap();
        let names: Vec<_> =
            folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE_NAME], "nothing beside it that could be lost");
        assert!(!replace::is_open_to_others(&path));
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        assert_eq!(schema::version(&connection, &path).unwrap(), schema::newest());
        let said =
            |pragma| -> String { connection.pragma_query_value(None, pragma, |row| row.get(0)).unwrap() };
        assert_eq!((said("journal_mode"), said("integrity_check")), ("wal".to_owned(), "ok".to_owned()));
        drop(connection);
        let again = create(&path).unwrap_err();
        assert!(matches!(again, LedgerError::Create(ReplaceError::Exists { .. })), "{again}");
    }

    #[test]
    fn machines_that_share_a_ledger_share_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        drop(Ledger::open(folder.path(), Duration::ZERO).unwrap());
        let connection = Connection::open(folder.path().join(FILE_NAME)).unwrap();
        let journal =
            || -> String { connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap() };
        assert_eq!(journal(), "wal");
        configure(&connection, FileSystem::Remote("NFS")).unwrap();
        assert_eq!(journal(), "truncate");
        let mut ledger =
            Ledger { connection, file_system: FileSystem::Remote("NFS"), rules: Rulebook::default() };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let recording = ledger.record(crate::ledger::Durability::Repeatable, now).unwrap();
        recording.commit().unwrap();
        assert!(ledger.checkpoint().unwrap());
        let level: i64 = ledger.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(level, 3, "EXTRA");
    }

    #[test]
    fn a_long_log_is_emptied_when_nobody_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let log_bytes = || std::fs::metadata(folder.path().join("ledger.db-wal")).unwrap().len();
        let open = || Ledger::open(folder.path(), Duration::ZERO).unwrap();
        let grow = |ledger: &Ledger| {
            let rows = "INSERT INTO price (hash, json) SELECT randomblob(32), hex(zeroblob(4096)) FROM \
                        (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT 600) SELECT * FROM n)";
            ledger.connection.execute(rows, []).unwrap();
        };
        open().connection.execute("INSERT INTO mark (at) VALUES (0)", []).unwrap();
        assert!((1..MAX_LEFT_LOG).contains(&log_bytes()), "a short one stays");
        let (reader, writer) = (open(), open());
        grow(&writer);
        reader.connection.execute_batch("BEGIN; SELECT count(*) FROM price").unwrap();
        grow(&writer);
        drop(writer);
        assert!(log_bytes() > MAX_LEFT_LOG, "somebody reads in it");
        reader.connection.execute_batch("COMMIT").unwrap();
        drop(reader);
        assert_eq!(log_bytes(), 0);
        let n_rows = "SELECT count(*) FROM price WHERE length(json) > 8000";
        let n_rows: i64 = open().connection.query_row(n_rows, [], |row| row.get(0)).unwrap();
        assert_eq!(n_rows, 1200);
    }
}
