//! Copies of the ledger, and what is done with them when it is damaged or gone.
//!
//! A damaged ledger is renamed and kept, with what SQLite keeps beside it; the newest backup that is sound takes its
//! place, else an empty ledger. Transcripts are read again then, by whoever asked for this. A backup is never made on
//! the way of a hook.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use rusqlite::OpenFlags;

use crate::disk::lock::FileLock;
use crate::disk::replace;
use crate::disk::replace::ReplaceError;
use crate::ledger::FILE_NAME;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::opening;
use crate::ledger::schema;

/// The folder of backups in the data folder.
pub const FOLDER: &str = "backups";

/// So many backups are kept.
const KEPT: usize = 4;

/// How old the newest backup may be.
const EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// So many damaged ledgers are set aside; more than that is no accident.
const MOST_ASIDE: usize = 10;

/// The lock of those who set a damaged ledger aside.
const LOCK: &str = "ledger.lock";

/// What the name of a damaged ledger ends with; the moment follows.
const ASIDE: &str = ".corrupt-";

/// A moment as it stands in names of files.
const MOMENT: &str = "%Y%m%dT%H%M%SZ";

/// What SQLite adds to the name of a ledger for the files that it keeps beside it.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// A copy of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// When it was made.
    pub made: Timestamp,
}

/// What was done about a ledger that was damaged or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What the damaged one is called now; `None`: it was gone.
    pub aside: Option<PathBuf>,
    /// What took its place; `None`: an empty ledger.
    pub backup: Option<Backup>,
}

/// Returns the backups in `data_dir`, the newest first.
pub fn list(data_dir: &Path) -> Vec<Backup> {
    let Ok(entries) = fs::read_dir(data_dir.join(FOLDER)) else { return Vec::new() };
    let mut found: Vec<Backup> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let made = name.strip_prefix("ledger-")?.strip_suffix(".db")?;
            let made = DateTime::strptime(MOMENT, made).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
            Some(Backup { path: entry.path(), made })
        })
        .collect();
    found.sort_by_key(|backup| std::cmp::Reverse(backup.made));
    found
}

/// Returns whether it is time for a backup, by the newest one in `data_dir`.
pub fn is_due(data_dir: &Path, now: Timestamp) -> bool {
    list(data_dir).first().is_none_or(|newest| now.duration_since(newest.made).abs() >= EVERY)
}

/// Removes all backups in `data_dir`: they hold what is to be forgotten.
///
/// # Errors
/// If one cannot be removed.
pub fn remove_all(data_dir: &Path) -> Result<(), LedgerError> {
    list(data_dir).iter().try_for_each(|backup| remove(&backup.path))
}

/// Returns the damaged ledgers that were set aside in `data_dir`, in the order of their names.
pub fn set_aside_before(data_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(data_dir) else { return Vec::new() };
    let prefix = format!("{FILE_NAME}{ASIDE}");
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| {
                name.starts_with(&prefix) && !BESIDE.iter().any(|ending| name.ends_with(ending))
            })
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Returns whether there is a write-ahead log whose ledger is gone.
pub(super) fn has_leftover_log(data_dir: &Path) -> bool {
    beside(&data_dir.join(FILE_NAME), "-wal").exists()
}

/// Sets a damaged ledger aside and puts the newest sound backup, or an empty ledger, in its place.
///
/// Returns `None` if the ledger is sound: another run was quicker. Waits up to `wait` for others.
///
/// # Errors
/// As [`LedgerError`] says; what could not be moved stays where it is, and no half ledger is made.
pub fn recover(data_dir: &Path, now: Timestamp, wait: Duration) -> Result<Option<Recovered>, LedgerError> {
    let lock = data_dir.join(LOCK);
    let _held = FileLock::acquire(&lock, Instant::now() + wait)?;
    // The folder keeps others out all the same.
    let _best_effort = replace::make_private(&lock);
    match Ledger::open(data_dir, wait).and_then(|ledger| ledger.integrity_faults()) {
        Ok(faults) if faults.is_empty() => return Ok(None),
        Err(fault) if !fault.is_loss() => return Err(fault),
        _ => {}
    }
    let aside = set_aside(data_dir, now)?;
    let backup = list(data_dir).into_iter().find(|backup| is_sound(&backup.path));
    let ledger = data_dir.join(FILE_NAME);
    match &backup {
        Some(backup) => replace::copy_new(&backup.path, &ledger)?,
        None => opening::create(&ledger)?,
    }
    Ok(Some(Recovered { aside, backup }))
}

/// Gives the ledger and what SQLite keeps beside it other names; returns that of the ledger, if there is one.
fn set_aside(data_dir: &Path, now: Timestamp) -> Result<Option<PathBuf>, LedgerError> {
    let n_before = set_aside_before(data_dir).len();
    if n_before >= MOST_ASIDE {
        return Err(LedgerError::OftenDamaged { folder: data_dir.to_owned(), n: n_before });
    }
    let ledger = data_dir.join(FILE_NAME);
    let aside = free_name(data_dir, now);
    // The ledger last: as long as it stands there, nobody makes a new one, which must not meet the old log.
    for ending in BESIDE.into_iter().chain([""]) {
        let (from, to) = (beside(&ledger, ending), beside(&aside, ending));
        if from.exists() {
            replace::set_aside(&from, &to).map_err(|source| LedgerError::Move { path: from, source })?;
        }
    }
    Ok(aside.exists().then_some(aside))
}

/// Returns a name that neither a damaged ledger nor what was beside one has.
fn free_name(data_dir: &Path, now: Timestamp) -> PathBuf {
    let first = format!("{FILE_NAME}{ASIDE}{}", now.strftime(MOMENT));
    let is_taken = |path: &PathBuf| ["", "-wal", "-shm"].iter().any(|ending| beside(path, ending).exists());
    let (mut path, mut n) = (data_dir.join(&first), 1);
    while is_taken(&path) {
        n += 1;
        path = data_dir.join(format!("{first}-{n}"));
    }
    path
}

pub(super) fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Returns whether a backup is a whole ledger of a format that this cmat knows, made as it makes it.
fn is_sound(backup: &Path) -> bool {
    let check = || -> Result<bool, LedgerError> {
        let connection = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let format = schema::version(&connection, backup)?;
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let is_as_made_now = format < schema::newest() || schema::faults(&connection)?.is_empty();
        Ok(format > 0 && verdict == "ok" && is_as_made_now)
    };
    check().unwrap_or(false)
}

fn remove(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(LedgerError::Move { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

impl Ledger {
    /// Makes a backup in `data_dir` and removes the oldest of too many; holds up no writer. An empty ledger has none.
    ///
    /// # Errors
    /// If it cannot be written; a backup that is there already is no error.
    pub fn back_up(&self, data_dir: &Path, now: Timestamp) -> Result<(), LedgerError> {
        if self.is_empty()? {
            return Ok(());
        }
        let folder = data_dir.join(FOLDER);
        replace::create_private_folder(&folder)
            .map_err(|source| LedgerError::DataFolder { path: folder.clone(), source })?;
        let path = folder.join(format!("ledger-{}.db", now.strftime(MOMENT)));
        match replace::fill_new(&path, |copy| self.copy_to(copy)) {
            Ok(()) | Err(LedgerError::Create(ReplaceError::Exists { .. })) => {}
            Err(fault) => return Err(fault),
        }
        list(data_dir).iter().skip(KEPT).try_for_each(|backup| remove(&backup.path))
    }
}
