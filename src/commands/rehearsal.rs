//! A copy of the ledger and the outbox, to try things on or to answer from.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::booking::Books;
use crate::booking::Queues;
use crate::commands::LEDGER_PATIENCE;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::open_books;
use crate::config::Config;
use crate::disk::replace;
use crate::ledger;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::outbox::Outbox;

/// What SQLite keeps of a ledger that nobody may write: the file and its write-ahead log.
const FILES: [&str; 2] = ["", "-wal"];

/// How often files are copied that somebody writes meanwhile.
const ATTEMPTS: u32 = 5;

/// A copy of what cmat keeps, removed at the end.
pub(super) struct Rehearsal {
    /// The configuration, with the copy as data folder.
    pub(super) config: Config,
    _folder: TempDir,
}

impl Rehearsal {
    /// Copies the ledger and the outbox; waits for others up to `deadline`.
    pub(super) fn prepare(config: &Config, deadline: Instant) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("there is no temporary folder to copy the ledger to")?;
        let copy = folder.path().join(ledger::FILE_NAME);
        if config.data_dir.join(ledger::FILE_NAME).exists() {
            let wait = deadline.saturating_duration_since(Instant::now()).min(LEDGER_PATIENCE);
            match Ledger::open(&config.data_dir, wait) {
                Ok(ledger) => ledger.copy_to(&copy)?,
                Err(LedgerError::ReadOnly { .. }) => copy_files(&config.data_dir, folder.path())?,
                Err(fault) => return Err(fault.into()),
            }
        }
        let (outbox, copy) = (Outbox::new(&config.data_dir), Outbox::new(folder.path()));
        for name in outbox.list()? {
            match outbox.read(&name) {
                Ok(Some(intent)) => drop(copy.put(&intent)?),
                // Another run was quicker.
                Ok(None) => {}
                Err(fault) => complain(&format!("Warning: {}", chain(&fault))),
            }
        }
        let config = Config { data_dir: folder.path().to_owned(), ..config.clone() };
        Ok(Self { config, _folder: folder })
    }

    /// Opens the copy; task queues are compared with it and not written.
    pub(super) fn books(&self, deadline: Instant) -> anyhow::Result<Books> {
        Ok(Books { queues: Queues::Compared, ..open_books(&self.config, deadline)? })
    }
}

/// Copies a ledger that may not be opened for writing, as SQLite wants it even to read.
fn copy_files(data_dir: &Path, folder: &Path) -> anyhow::Result<()> {
    for _ in 0..ATTEMPTS {
        let before = versions(data_dir);
        for ending in FILES {
            let name = format!("{}{ending}", ledger::FILE_NAME);
            let (from, to) = (data_dir.join(&name), folder.join(&name));
            if to.exists() {
                fs::remove_file(&to)?;
            }
            if from.exists() {
                replace::copy_new(&from, &to)?;
            }
        }
        if versions(data_dir) == before {
            return Ok(());
        }
    }
    anyhow::bail!("`{}` is being written by somebody else: try again", data_dir.display())
}

/// Returns the sizes and times of the ledger's files.
fn versions(data_dir: &Path) -> Vec<Option<(u64, std::time::SystemTime)>> {
    let version = |ending: &&str| {
        let metadata = fs::metadata(data_dir.join(format!("{}{ending}", ledger::FILE_NAME))).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    FILES.iter().map(version).collect()
}
