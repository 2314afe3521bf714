//! A file that is written bit by bit and appears under its name only when it is whole.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use tempfile::NamedTempFile;

use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::disk::replace::put;
use crate::disk::replace::put_new;
use crate::disk::replace::stage;

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and that is an error.
    Kept,
    /// It gives way to the new one, once that is whole.
    Replaced,
}

/// A file under construction. Dropped without [`NewFile::put`], nothing of it remains.
#[derive(Debug)]
pub struct NewFile {
    staged: NamedTempFile,
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
        match (fs::symlink_metadata(&path), existing) {
            (Ok(_), Existing::Kept) => return Err(ReplaceError::Exists { path }),
            (Ok(found), Existing::Replaced) if !found.is_file() => {
                return Err(ReplaceError::NotRegular { path });
            }
            _ => {}
        }
        let staged = stage(&path, Access::Shared, None, |_empty| Ok(()))
            .map_err(|source| ReplaceError::Write { path: path.clone(), source })?;
        Ok(Self { staged, path, existing })
    }

    /// Returns the file to write to.
    ///
    /// # Errors
    /// If the system has no more file numbers.
    pub fn file(&self) -> io::Result<File> {
        self.staged.as_file().try_clone()
    }

    /// Puts the file, which is whole now, in its place.
    ///
    /// # Errors
    /// [`ReplaceError`]; then nothing of it remains.
    pub fn put(self) -> Result<(), ReplaceError> {
        let Self { staged, path, existing } = self;
        let write_error = |source| ReplaceError::Write { path: path.clone(), source };
        staged.as_file().sync_all().map_err(write_error)?;
        match existing {
            Existing::Kept => put_new(staged, &path),
            Existing::Replaced => put(staged, &path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

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
