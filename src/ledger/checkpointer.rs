//! Moves what is committed from the write-ahead log to the ledger while more is recorded: the disk takes its time for
//! that, for which whoever records would have to wait.

use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use crate::disk::file_system::FileSystem;
use crate::ledger::Ledger;

/// After how many recorded requests it moves them, some 10 MB of log: both files are synced each time.
const MOVED_AT_ONCE: usize = 20_000;

/// Works beside a connection that records; does nothing before there is enough to do. Dropped, it ends what it has begun.
///
/// What it cannot do is done by whoever records, once the log is longer than it should be.
#[derive(Debug)]
pub struct Checkpointer {
    /// The ledger, if it has a log.
    path: Option<PathBuf>,
    n_unmoved: usize,
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Ledger {
    /// Returns a checkpointer of this ledger.
    pub fn checkpointer(&self) -> Checkpointer {
        let has_log = self.file_system == FileSystem::Local;
        let path = self.connection.path().filter(|_| has_log).map(PathBuf::from);
        Checkpointer { path, n_unmoved: 0, thread: None }
    }
}

impl Checkpointer {
    /// Tells it that so many requests more are committed.
    pub fn recorded(&mut self, n_requests: usize) {
        self.n_unmoved += n_requests;
        let Some(path) = self.path.as_ref().filter(|_| self.n_unmoved >= MOVED_AT_ONCE) else { return };
        self.n_unmoved = 0;
        let (wake, _) = self.thread.get_or_insert_with(|| {
            let (path, (wake, woken)) = (path.clone(), mpsc::sync_channel(1));
            (wake, thread::spawn(move || move_each_time(&path, &woken)))
        });
        // One that waits to be taken is enough.
        let _is_waiting = wake.try_send(());
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        if let Some((wake, thread)) = self.thread.take() {
            drop(wake);
            let _panicked = thread.join();
        }
    }
}

fn move_each_time(ledger: &Path, woken: &Receiver<()>) {
    let Ok(connection) = open(ledger) else { return };
    for () in woken {
        let _later = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

fn open(ledger: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(ledger, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::FILE_NAME;

    #[test]
    fn what_was_committed_is_in_the_ledger_once_there_is_enough_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), Duration::ZERO).unwrap();
        let n_prices_in_file = || {
            let copy = tempfile::tempdir().unwrap();
            let copied = copy.path().join(FILE_NAME);
            std::fs::copy(folder.path().join(FILE_NAME), &copied).unwrap();
            let connection = Connection::open(copied).unwrap();
            connection.query_one("SELECT count(*) FROM price", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let mut checkpointer = ledger.checkpointer();
        ledger.connection.execute("INSERT INTO price (hash, json) VALUES (x'01', '{}')", []).unwrap();
        checkpointer.recorded(MOVED_AT_ONCE - 1);
        assert!(checkpointer.thread.is_none());
        assert_eq!(n_prices_in_file(), 0, "it is in the log still");
        checkpointer.recorded(1);
        drop(checkpointer);
        assert_eq!(n_prices_in_file(), 1);
    }
}
