//! The queue as a file that others rewrite without a lock.
//!
//! An update reads the file, edits what it read, looks a last time whether it still is what was read, and
//! renames the new version over it. If another program was quicker, all begins anew. Against cmat itself the
//! lock beside the file holds; it is never held longer than one such update.

use std::collections::BTreeSet;
use std::fs;
use std::fs::Metadata;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::disk;
use crate::disk::backoff::Backoff;
use crate::disk::lock::FileLock;
use crate::disk::lock::LockError;
use crate::disk::replace;
use crate::disk::replace::ReplaceError;
use crate::disk::replace::Replaced;
use crate::disk::unfinished;
use crate::id::TaskId;
use crate::task_queue::document::Change;
use crate::task_queue::document::CostKeys;
use crate::task_queue::document::FormatError;
use crate::task_queue::document::QueueDocument;
use crate::task_queue::document::QueuedTask;
use crate::task_queue::trail;
use crate::task_queue::trail::Finding;

/// Where a project keeps its queue: the Python CMAT since its version 5, and before.
const PLACES: [&str; 2] = [".claude/data/task_queue.json", ".claude/queues/task_queue.json"];

/// Largest queue that is read, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// Up to this size the last look compares every byte: a clock that ticks in milliseconds can miss a change.
const COMPARED_WHOLE: usize = 1 << 20;

/// A broken file that stands unchanged for so long is not being written; it is broken.
const SETTLED: Duration = Duration::from_millis(250);

/// Why the queue was not read or not changed; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// There is no such file.
    #[error("there is no task queue `{}`", path.display())]
    Missing {
        /// The queue.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the task queue `{}`", path.display())]
    Read {
        /// The queue.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is larger than any queue.
    #[error("the task queue `{}` has {bytes} bytes, at most {MAX_BYTES} are read", path.display())]
    TooLarge {
        /// The queue.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is not a queue, and did not become one while it was waited for.
    #[error("cannot understand the task queue `{}`", path.display())]
    Format {
        /// The queue.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: FormatError,
    },
    /// Other programs kept changing the file up to the deadline.
    #[error("the task queue `{}` kept changing, it was not written", path.display())]
    Restless {
        /// The queue.
        path: PathBuf,
    },
    /// The lock beside the queue was not to be had.
    #[error("cannot lock the task queue")]
    Lock(#[from] LockError),
    /// What was found in the queue cannot be read from, or written to, the lock file beside it.
    #[error("cannot keep in the lock file what was found in the task queue `{}`", path.display())]
    Trail {
        /// The queue.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The new version could not be put in place.
    #[error("cannot change the task queue")]
    Replace(#[from] ReplaceError),
}

/// A task queue, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQueue {
    path: PathBuf,
}

impl TaskQueue {
    /// Returns the queue at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the queue of a project, if it has one.
    pub fn find(project: &Path) -> Option<Self> {
        let places = PLACES.map(|place| project.join(place));
        places.into_iter().find(|path| fs::symlink_metadata(path).is_ok()).map(Self::new)
    }

    /// Returns where the queue is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the queue, without a lock. While the file is being written, waits for it, up to `deadline`.
    pub fn read(&self, deadline: Instant) -> Result<QueueDocument, QueueError> {
        read(&self.path, deadline).map(|snapshot| snapshot.document)
    }

    /// Takes the right to change the queue, waiting up to `deadline`, which also bounds the update that follows.
    pub fn lock(&self, deadline: Instant) -> Result<LockedQueue, QueueError> {
        let real = fs::canonicalize(&self.path).map_err(|error| read_error(&self.path, error))?;
        let mut lock_path = real.clone().into_os_string();
        lock_path.push(".lock");
        let lock = FileLock::acquire(Path::new(&lock_path), deadline)?;
        // What a killed cmat left behind takes room but does no harm, so a failure to remove it doesn't either.
        let _untidy = unfinished::remove_unfinished(&real, &lock);
        Ok(LockedQueue { path: real, deadline, lock })
    }
}

/// The right to change the task queue. Dropping it gives the lock back.
#[derive(Debug)]
pub struct LockedQueue {
    /// Where the queue is, links resolved.
    path: PathBuf,
    deadline: Instant,
    lock: FileLock,
}

impl LockedQueue {
    /// Returns what cmats found in the queue that they had not put there, and replaced; the latest last.
    pub fn findings(&self) -> Result<Vec<Finding>, QueueError> {
        trail::read(&self.lock).map_err(|source| QueueError::Trail { path: self.path.clone(), source })
    }

    /// Keeps what was found, for those who put it there.
    ///
    /// # Errors
    /// If that cannot be written, nothing shall be replaced: its writer would not learn that it had stood there.
    pub fn keep_findings(&self, found: &[Finding]) -> Result<(), QueueError> {
        let failed = |source| QueueError::Trail { path: self.path.clone(), source };
        if found.is_empty() { Ok(()) } else { trail::extend(&self.lock, found).map_err(failed) }
    }

    /// Gives each of `tasks` what `wanted` says about it, in one replacement, and says what came of each.
    ///
    /// `wanted` sees each task as it stands and is asked again when another program was quicker; `None` leaves
    /// the task alone. If nothing differs, nothing is written at all.
    pub fn update(
        &self,
        tasks: &BTreeSet<TaskId>,
        mut wanted: impl FnMut(&QueuedTask) -> Option<CostKeys>,
    ) -> Result<Change, QueueError> {
        let mut backoff = Backoff::until(self.deadline);
        loop {
            let snapshot = read(&self.path, self.deadline)?;
            let (edits, change) = snapshot.document.edits(tasks, &mut wanted);
            if edits.is_empty() {
                return Ok(change);
            }
            let content = |mut out: &mut dyn io::Write| edits.write_to(&mut out);
            match replace::replace_unless_changed(&self.path, content, || snapshot.is_current(&self.path))? {
                Replaced::Done => return Ok(change),
                Replaced::Changed if backoff.pause() => {}
                Replaced::Changed => return Err(QueueError::Restless { path: self.path.clone() }),
            }
        }
    }
}

/// What tells one version of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Version {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The queue as it was at one moment.
struct Snapshot {
    document: QueueDocument,
    version: Version,
}

impl Snapshot {
    /// Tells whether the file still is what was read; the cheapest question comes last, right before the rename.
    fn is_current(&self, path: &Path) -> bool {
        let expected = self.document.text().as_bytes();
        let is_same_text = expected.len() > COMPARED_WHOLE
            || disk::open_regular(path)
                .and_then(|file| read_whole(file, 0))
                .is_ok_and(|found| found == expected);
        is_same_text && fs::metadata(path).is_ok_and(|metadata| Version::from(&metadata) == self.version)
    }
}

/// Why an attempt to read the queue failed.
enum Failure {
    /// For good.
    Final(QueueError),
    /// Perhaps only because somebody is writing; with the version that was seen.
    Unsettled(QueueError, Version),
}

fn read(path: &Path, deadline: Instant) -> Result<Snapshot, QueueError> {
    let mut backoff = Backoff::until(deadline);
    let mut unchanged_since: Option<(Version, Instant)> = None;
    loop {
        let (error, version) = match read_once(path) {
            Ok(snapshot) => return Ok(snapshot),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Unsettled(error, version)) => (error, version),
        };
        let since = match unchanged_since {
            Some((known, since)) if known == version => since,
            _ => Instant::now(),
        };
        unchanged_since = Some((version, since));
        if since.elapsed() >= SETTLED || !backoff.pause() {
            return Err(error);
        }
    }
}

fn read_once(path: &Path) -> Result<Snapshot, Failure> {
    let failed = |error| Failure::Final(read_error(path, error));
    let file = disk::open_regular(path).map_err(failed)?;
    let before = Version::from(&file.metadata().map_err(failed)?);
    if before.bytes > MAX_BYTES {
        return Err(Failure::Final(QueueError::TooLarge { path: path.to_path_buf(), bytes: before.bytes }));
    }
    let bytes = read_whole(&file, before.bytes).map_err(failed)?;
    let version = Version::from(&file.metadata().map_err(failed)?);
    if version != before {
        return Err(Failure::Unsettled(QueueError::Restless { path: path.to_path_buf() }, version));
    }
    QueueDocument::parse(bytes).map(|document| Snapshot { document, version }).map_err(
        |source| match source {
            FormatError::Shape => Failure::Final(QueueError::Format { path: path.to_path_buf(), source }),
            FormatError::Syntax(_) => {
                Failure::Unsettled(QueueError::Format { path: path.to_path_buf(), source }, version)
            }
        },
    )
}

fn read_whole(file: impl io::Read, expected: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_error(path: &Path, source: io::Error) -> QueueError {
    match source.kind() {
        io::ErrorKind::NotFound => QueueError::Missing { path: path.to_path_buf() },
        _ => QueueError::Read { path: path.to_path_buf(), source },
    }
}

#[cfg(test)]
mod tests;
