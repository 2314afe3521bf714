//! A change of a small text file, planned before it is made: shown as a difference, or saved.

use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use crate::disk;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::disk::replace::Replaced;

/// What the names of old versions end with.
const COPY: &str = ".cmat-backup";

/// Why a file was not changed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody changed the file after it was read.
    #[error("`{}` was changed meanwhile, it was not written: run the command again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The folder of the file cannot be made.
    #[error("cannot make the folder of `{}`", path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be removed.
    #[error("cannot remove `{}`", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The new version, or the copy of the old one, cannot be written.
    #[error("`{}` was not changed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReplaceError,
    },
}

/// What becomes of the version that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldVersion {
    /// It is kept beside the new one.
    Kept,
    /// It goes: what is lost can be made again.
    Dropped,
}

/// What is to become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// What it holds; `None` if it does not exist.
    pub before: Option<String>,
    /// What it is to hold; `None` if it is to go.
    pub after: Option<String>,
    /// Who may do what with it, if it is made anew.
    pub access: Access,
    /// What becomes of the version that is replaced.
    pub old_version: OldVersion,
}

impl Change {
    /// Tells whether anything is to become of the file.
    pub fn is_change(&self) -> bool {
        self.before != self.after
    }

    /// Changes the file, and returns the path of the copy of its old version, if one is kept.
    ///
    /// There is one copy, the version before cmat's last change. Where a change brings that version back, the
    /// copy says nothing more and goes.
    pub fn save(&self) -> Result<Option<PathBuf>, ChangeError> {
        match (&self.before, &self.after) {
            _ if !self.is_change() => Ok(None),
            (Some(before), Some(after)) => self.replace(before, after),
            (None, Some(after)) => self.create(after).map(|()| None),
            (_, None) => self.remove().map(|()| None),
        }
    }

    fn create(&self, after: &str) -> Result<(), ChangeError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)
                .map_err(|source| ChangeError::Folder { path: self.path.clone(), source })?;
        }
        match replace::create_new(&self.path, after.as_bytes(), self.access) {
            Err(ReplaceError::Exists { path }) => Err(ChangeError::Changed { path }),
            done => done.map_err(|source| self.write_error(source)),
        }
    }

    fn replace(&self, before: &str, after: &str) -> Result<Option<PathBuf>, ChangeError> {
        let copy = copy_path(&self.path);
        let is_return = read_text(&copy).is_ok_and(|copied| copied.as_deref() == Some(after));
        let is_kept = self.old_version == OldVersion::Kept && !is_return;
        if is_kept {
            replace::write(&copy, before.as_bytes(), Access::Private)
                .map_err(|source| self.write_error(source))?;
        }
        let content = |out: &mut dyn io::Write| out.write_all(after.as_bytes());
        match replace::replace_unless_changed(&self.path, content, || self.is_unchanged()) {
            Ok(Replaced::Done) => {}
            Ok(Replaced::Changed) => return Err(ChangeError::Changed { path: self.path.clone() }),
            Err(source) => return Err(self.write_error(source)),
        }
        if is_return {
            // A copy that stays does no harm.
            let _untidy = fs::remove_file(&copy);
        }
        Ok(is_kept.then_some(copy))
    }

    fn remove(&self) -> Result<(), ChangeError> {
        if !self.is_unchanged() {
            return Err(ChangeError::Changed { path: self.path.clone() });
        }
        fs::remove_file(&self.path).map_err(|source| ChangeError::Remove { path: self.path.clone(), source })
    }

    fn is_unchanged(&self) -> bool {
        read_text(&self.path).is_ok_and(|text| text == self.before)
    }

    fn write_error(&self, source: ReplaceError) -> ChangeError {
        ChangeError::Write { path: self.path.clone(), source }
    }
}

/// Returns where the old version of a file is kept, whether or not there is one.
pub fn copy_path(path: &Path) -> PathBuf {
    let mut copy = path.to_path_buf().into_os_string();
    copy.push(COPY);
    PathBuf::from(copy)
}

/// Returns the text of a regular file; `None` if there is none.
pub fn read_text(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match disk::open_regular(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &Path, before: Option<&str>, after: Option<&str>) -> Change {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Change {
            path: path.to_path_buf(),
            before: text(before),
            after: text(after),
            access: Access::Shared,
            old_version: OldVersion::Kept,
        }
    }

    /// Makes a change and checks what the file and its copy hold then.
    fn check(path: &Path, [before, after]: [Option<&str>; 2], copy: Option<&str>) {
        let returned = change(path, before, after).save().unwrap();
        assert_eq!(read_text(path).unwrap().as_deref(), after);
        assert_eq!(read_text(&copy_path(path)).unwrap().as_deref(), copy);
        assert_eq!(returned.is_some(), before.is_some() && after.is_some() && copy == before);
    }

    #[test]
    fn keeps_one_old_version_until_it_is_brought_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file");
        check(&path, [None, Some("a")], None);
        check(&path, [Some("a"), Some("b")], Some("a"));
        check(&path, [Some("b"), Some("c")], Some("b"));
        check(&path, [Some("c"), Some("b")], None);
        check(&path, [Some("b"), None], None);
    }

    #[test]
    fn touches_nothing_that_changed_since_the_plan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        check(&path, [None, Some("theirs")], None);
        for [before, after] in [[None, Some("x")], [Some("old"), Some("x")], [Some("old"), None]] {
            let failed = change(&path, before, after).save();
            assert!(matches!(failed, Err(ChangeError::Changed { .. })), "{failed:?}");
            assert_eq!(read_text(&path).unwrap().as_deref(), Some("theirs"));
        }
    }
}
