//! A file that is written bit by bit and appears under its name only when it is whole.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::Once;
use std::sync::PoisonError;

use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::NamedTempFile;

use crate::disk::lock;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::disk::replace::put;
use crate::disk::replace::put_new;
use crate::disk::replace::stage;
use crate::disk::unfinished::remove_left;

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and that is an error.
    Kept,
    /// It gives way to the new one, once that is whole.
    Replaced,
}

/// Files under construction, for the thread that removes them when a signal ends cmat.
static UNDER_CONSTRUCTION: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// That thread, which begins with the first file.
static WATCH: Once = Once::new();

/// A file under construction. Dropped without [`NewFile::put`], or when a signal ends cmat, nothing of it remains.
#[derive(Debug)]
pub struct NewFile {
    staged: Staged,
    path: PathBuf,
    existing: Existing,
}

impl NewFile {
    /// Begins a file that will be at `path`; one that is there already is told now, not when all is written.
    ///
    /// # Errors
    /// [`ReplaceError`], if there is one that stays, or the folder cannot be written to.
    pub fn begin(path: &Path, existing: Existing) -> Result<Self, ReplaceError> {
        // What a link points to is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match (fs::metadata(&path), existing) {
            (Ok(found), _) if !found.is_file() => return Err(ReplaceError::NotRegular { path }),
            (_, Existing::Kept) if fs::symlink_metadata(&path).is_ok() => {
                return Err(ReplaceError::Exists { path });
            }
            _ => {}
        }
        let write_error = |source| ReplaceError::Write { path: path.clone(), source };
        WATCH.call_once(remove_when_ended);
        let mut unfinished = under_construction();
        let staged = stage(&path, Access::Shared, None, |_empty| Ok(())).map_err(write_error)?;
        lock::mark_written(staged.as_file());
        unfinished.push(staged.path().to_owned());
        drop(unfinished);
        remove_left(&path, staged.as_file());
        Ok(Self { staged: Staged(Some(staged)), path, existing })
    }

    /// Returns the file to write to.
    ///
    /// # Errors
    /// If the system has no more file numbers.
    pub fn file(&self) -> io::Result<File> {
        self.staged.file()?.try_clone()
    }

    /// Puts the file, which is whole now, in its place.
    ///
    /// # Errors
    /// [`ReplaceError`]; then nothing of it remains.
    pub fn put(self) -> Result<(), ReplaceError> {
        let Self { mut staged, path, existing } = self;
        let write_error = |source| ReplaceError::Write { path: path.clone(), source };
        staged.file().and_then(File::sync_all).map_err(write_error)?;
        staged.end(|staged| match existing {
            Existing::Kept => put_new(staged, &path),
            Existing::Replaced => put(staged, &path),
        })
    }
}

/// A file that is known to the thread that removes unfinished ones, until it is put or dropped.
#[derive(Debug)]
struct Staged(Option<NamedTempFile>);

impl Staged {
    fn file(&self) -> io::Result<&File> {
        self.0.as_ref().map(NamedTempFile::as_file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Ends the construction; no signal comes between what `last` does and that.
    fn end(
        &mut self,
        last: impl FnOnce(NamedTempFile) -> Result<(), ReplaceError>,
    ) -> Result<(), ReplaceError> {
        let Some(staged) = self.0.take() else { return Ok(()) };
        let mut unfinished = under_construction();
        unfinished.retain(|path| path != staged.path());
        last(staged)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _removed = self.end(|staged| {
            drop(staged);
            Ok(())
        });
    }
}

fn under_construction() -> MutexGuard<'static, Vec<PathBuf>> {
    UNDER_CONSTRUCTION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is under construction when a signal ends cmat, and lets it end it.
fn remove_when_ended() {
    // Without it, the next one that writes the file removes what is left.
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let unfinished = under_construction();
            for path in unfinished.iter() {
                let _untidy = fs::remove_file(path);
            }
            let _unknown = emulate_default_handler(signal);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::disk::names;

    use super::*;

    #[test]
    fn appears_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("costs.csv");
        let new = NewFile::begin(&path, Existing::Kept).unwrap();
        new.file().unwrap().write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(new);
        assert!(names(folder.path()).is_empty());
        let new = NewFile::begin(&path, Existing::Kept).unwrap();
        new.file().unwrap().write_all(b"whole").unwrap();
        new.put().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["costs.csv"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_by_the_next_and_what_another_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("costs.csv");
        let old = |file: &File| {
            let now = file.metadata().unwrap().modified().unwrap();
            file.set_modified(now - std::time::Duration::from_secs(60)).unwrap();
        };
        let left = folder.path().join(".cmat-costs.csv-x1.tmp");
        old(&File::create(&left).unwrap());
        let other = NewFile::begin(&path, Existing::Kept).unwrap();
        assert!(!left.exists());
        old(other.staged.file().unwrap());
        NewFile::begin(&path, Existing::Kept).unwrap().put().unwrap();
        assert_eq!(names(folder.path()).len(), 2, "the other is still being written");
        drop(other);
        assert_eq!(names(folder.path()), ["costs.csv"]);
    }

    #[test]
    fn one_that_is_there_gives_way_only_if_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("costs.csv");
        NewFile::begin(&path, Existing::Kept).unwrap().put().unwrap();
        let refused = NewFile::begin(&path, Existing::Kept).unwrap_err();
        assert_eq!(refused.to_string(), format!("`{}` already exists", path.display()));
        let new = NewFile::begin(&path, Existing::Replaced).unwrap();
        new.file().unwrap().write_all(b"new").unwrap();
        new.put().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let folder_in_its_place = NewFile::begin(folder.path(), Existing::Replaced).unwrap_err();
        assert!(folder_in_its_place.to_string().ends_with("is not a regular file"));
    }
}
