//! A lock that the kernel gives back when its holder dies.
//!
//! It is held on a file of its own beside what it protects. That file is never renamed or removed, because two
//! processes could then hold the lock of two different files. Its first line, the holder's process id, is only for
//! telling whom one waits for; what follows is a note that holders leave to later ones. On a file system that cannot
//! lock there is an error, never an unlocked write.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::disk::backoff::Backoff;
use crate::disk::flags;
use crate::disk::require_regular;

/// How long the holder's line is: ten digits and a line end. The note begins behind it, whoever holds the lock.
const HOLDER_BYTES: usize = 11;

/// Longest note that is read, in bytes.
const MAX_NOTE_BYTES: u64 = 1 << 16;

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock file cannot be opened or created, or is a symbolic link.
    #[error("cannot open the lock file `{}`", path.display())]
    Open {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file system has no locks, as some network file systems and mounts.
    #[error("the file system of `{}` has no locks, so nothing is written without one", path.display())]
    Unsupported {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses the lock for another reason.
    #[error("cannot lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else held the lock up to the deadline.
    #[error("`{}` is still locked by {}", path.display(), describe(*holder))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Process id that the holder wrote into the lock file.
        holder: Option<u32>,
    },
}

fn describe(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// An exclusive lock. Dropping it gives it back; so does the kernel when the process dies.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock on the file at `path`, which is created if need be, waiting up to `deadline`.
    ///
    /// One attempt is made even if the deadline has passed.
    pub fn acquire(path: &Path, deadline: Instant) -> Result<Self, LockError> {
        let open_error = |source| LockError::Open { path: path.to_path_buf(), source };
        let file = open(path).map_err(open_error)?;
        let mut backoff = Backoff::until(deadline);
        loop {
            match try_lock(&file) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !backoff.pause() {
                        return Err(LockError::Held { path: path.to_path_buf(), holder: read_holder(&file) });
                    }
                }
                Err(source) if is_unsupported(&source) => {
                    return Err(LockError::Unsupported { path: path.to_path_buf(), source });
                }
                Err(source) => return Err(LockError::Lock { path: path.to_path_buf(), source }),
            }
        }
        // For diagnosis only: a full disk is no reason to give up the lock.
        let _diagnosis = write_holder(&file, &std::process::id().to_string());
        Ok(Self { file })
    }

    /// Returns the note that the last holder who wrote one left; empty if there is none.
    pub fn note(&self) -> io::Result<String> {
        read_note(&self.file)
    }

    /// Leaves a note to later holders, who get it however this one ends. A power cut may take it.
    pub fn leave_note(&self, note: &str) -> io::Result<()> {
        self.file.write_all_at(note.as_bytes(), HOLDER_BYTES as u64)?;
        self.file.set_len((HOLDER_BYTES + note.len()) as u64)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // The number would name a process that has long ended.
        let has_note = self.file.metadata().is_ok_and(|metadata| metadata.len() > HOLDER_BYTES as u64);
        let _diagnosis = if has_note { write_holder(&self.file, "") } else { self.file.set_len(0) };
        // Closing the file gives the lock back, here or when the last copy of its descriptor is closed.
        let _closing_unlocks_too = fs2::FileExt::unlock(&self.file);
    }
}

fn open(path: &Path) -> io::Result<File> {
    // O_NOFOLLOW: a link in a foreign repository must not make cmat write into a file elsewhere.
    let no_surprises = flags(OFlags::NOFOLLOW | OFlags::NONBLOCK);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o666)
        .custom_flags(no_surprises)
        .open(path)?;
    require_regular(&file)?;
    Ok(file)
}

#[expect(clippy::disallowed_methods, reason = "the one place that locks")]
fn try_lock(file: &File) -> io::Result<()> {
    fs2::FileExt::try_lock_exclusive(file)
}

/// Marks a file as being written, until it is closed or the process dies.
pub(super) fn mark_written(file: &File) {
    // Where there are no locks, what is left of a killed process stays for longer.
    let _unmarked = try_lock(file);
}

/// Returns whether nobody has marked a file as being written; not where that cannot be known.
pub(super) fn is_left(path: &Path) -> bool {
    crate::disk::open_regular(path).is_ok_and(|file| try_lock(&file).is_ok())
}

fn is_unsupported(error: &io::Error) -> bool {
    let without_locks = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOLCK];
    Errno::from_io_error(error).is_some_and(|errno| without_locks.contains(&errno))
}

fn write_holder(file: &File, holder: &str) -> io::Result<()> {
    file.write_all_at(format!("{holder:<10}\n").as_bytes(), 0)
}

fn read_holder(file: &File) -> Option<u32> {
    let mut bytes = [0; HOLDER_BYTES];
    let n_bytes = file.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(&bytes[..n_bytes]).ok()?.trim().parse().ok()
}

fn read_note(mut file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(io::SeekFrom::Start(HOLDER_BYTES as u64))?;
    file.take(MAX_NOTE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn lets_one_in_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.lock");
        let (inside, entered) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock = FileLock::acquire(&path, soon()).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        entered.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(entered.into_inner(), 160);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn names_the_holder_when_the_deadline_passes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.lock");
        let lock = FileLock::acquire(&path, soon()).unwrap();
        let error = FileLock::acquire(&path, Instant::now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{}` is still locked by process {}", path.display(), std::process::id())
        );
        drop(lock);
        FileLock::acquire(&path, Instant::now()).unwrap();
    }

    #[test]
    fn keeps_a_note_for_later_holders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.lock");
        for (found, left) in [("", "two\nlines\n"), ("two\nlines\n", "one\n"), ("one\n", "")] {
            let lock = FileLock::acquire(&path, soon()).unwrap();
            assert_eq!(lock.note().unwrap(), found);
            lock.leave_note(left).unwrap();
            assert_eq!(read_holder(&lock.file), Some(std::process::id()));
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn does_not_follow_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (elsewhere, path) = (folder.path().join("elsewhere"), folder.path().join("queue.lock"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let error = FileLock::acquire(&path, Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot open the lock file `{}`", path.display()));
        assert!(!elsewhere.exists());
    }

    #[test]
    fn knows_what_a_file_system_without_locks_says() {
        let says = |errno: Errno| is_unsupported(&errno.into());
        assert!(says(Errno::NOTSUP) && says(Errno::NOLCK) && says(Errno::NOSYS));
        assert!(!says(Errno::WOULDBLOCK) && !says(Errno::BADF));
    }
}
