//! New versions of files: written beside, synced, and renamed over the old one.
//!
//! A reader sees the old version or the new one, also after a power cut. A symbolic link stays and what it
//! points to is replaced; an existing file keeps its mode and, as far as the system allows, its owner.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::fs::Permissions;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use tempfile::NamedTempFile;

use crate::disk;
use crate::disk::unfinished;
use crate::disk::unfinished::remove_abandoned;

/// The mode of a group and of all others.
const OTHERS: u32 = 0o077;

/// Who may do what with a file that is made anew; the umask still applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only its owner reads and writes it (0600).
    Private,
    /// As any file of a project (0666).
    Shared,
    /// As any script of a project (0777).
    Executable,
}

/// Whether the file was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Replaced {
    /// The new version is in place and synced.
    Done,
    /// The last look found another version than expected; the file is as it was.
    Changed,
}

/// Why a file was not written; it is as it was, unless the error is [`ReplaceError::SyncFolder`].
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The file, or what a link points to, cannot be looked at.
    #[error("cannot look at `{}`", path.display())]
    Inspect {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder, a pipe or a device stands there.
    #[error("`{}` is not a regular file", path.display())]
    NotRegular {
        /// What stands there.
        path: PathBuf,
    },
    /// The file's mode, owner or file system forbids writing to it; it is not replaced behind its owner's back.
    #[error("`{}` is read-only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A file stands where a new one should be made.
    #[error("`{}` already exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The new version cannot be written beside the old one, or not put in its place.
    #[error("cannot write a new version of `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The new version is in place, but a power cut may still bring back the old one.
    #[error("cannot sync the folder of `{}`", path.display())]
    SyncFolder {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Replaces an existing file by what `content` writes, if `is_unchanged` still says so right before the rename.
///
/// Nothing happens between that last look and the rename: whoever writes without a lock in between loses.
pub fn replace_unless_changed(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    is_unchanged: impl FnOnce() -> bool,
) -> Result<Replaced, ReplaceError> {
    let old = Old::at(path)?;
    let write_error = |source| ReplaceError::Write { path: path.to_path_buf(), source };
    let staged = stage(&old.path, Access::Private, Some(&old.metadata), content).map_err(write_error)?;
    if !is_unchanged() {
        return Ok(Replaced::Changed);
    }
    let new = staged.persist(&old.path).map_err(|error| write_error(error.error))?;
    remove_abandoned(&old.path, &new);
    sync_folder(&old.path)?;
    Ok(Replaced::Done)
}

/// Writes a whole file, replacing the one that may be there; `access` is for a new one.
pub fn write(path: &Path, content: &[u8], access: Access) -> Result<(), ReplaceError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            put(stage_bytes(path, content, access)?, path)
        }
        _ => replace_unless_changed(path, |out| out.write_all(content), || true).map(|_always_done| ()),
    }
}

/// Writes a file where there is none.
pub fn create_new(path: &Path, content: &[u8], access: Access) -> Result<(), ReplaceError> {
    put_new(stage_bytes(path, content, access)?, path)
}

/// Puts a new version in its place, whatever stands there.
pub(super) fn put(staged: NamedTempFile, path: &Path) -> Result<(), ReplaceError> {
    staged
        .persist(path)
        .map_err(|error| ReplaceError::Write { path: path.to_path_buf(), source: error.error })?;
    sync_folder(path)
}

pub(super) fn put_new(staged: NamedTempFile, path: &Path) -> Result<(), ReplaceError> {
    let new = staged.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => ReplaceError::Exists { path: path.to_path_buf() },
        _ => ReplaceError::Write { path: path.to_path_buf(), source: error.error },
    })?;
    remove_abandoned(path, &new);
    sync_folder(path)
}

/// Writes a copy of `source`, for its owner alone, where there is no file.
pub fn copy_new(source: &Path, path: &Path) -> Result<(), ReplaceError> {
    let write_error = |source| ReplaceError::Write { path: path.to_path_buf(), source };
    let mut original = disk::open_regular(source)
        .map_err(|error| ReplaceError::Inspect { path: source.to_path_buf(), source: error })?;
    let staged = stage(path, Access::Private, None, |mut out| io::copy(&mut original, &mut out).map(|_| ()))
        .map_err(write_error)?;
    put_new(staged, path)
}

/// Has `fill` write to a new, empty file for its owner alone, by its path, and puts that at `path`, where none is.
///
/// # Errors
/// Those of `fill`, or [`ReplaceError`] as an error of it.
pub fn fill_new<Error: From<ReplaceError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let write_error = |source| ReplaceError::Write { path: path.to_path_buf(), source };
    let staged = stage(path, Access::Private, None, |_empty| Ok(())).map_err(write_error)?;
    fill(staged.path())?;
    staged.as_file().sync_all().map_err(write_error)?;
    Ok(put_new(staged, path)?)
}

/// Gives a file that nobody reads or writes any more another name, in place of what may have it.
#[expect(clippy::disallowed_methods, reason = "this is the room that replaces files")]
pub fn set_aside(path: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(path, aside)
}

/// Lets nobody but its owner use a file (0600) or folder (0700); returns whether that changes anything.
pub fn make_private(path: &Path) -> io::Result<bool> {
    let metadata = fs::metadata(path)?;
    let mode = if metadata.is_dir() { 0o700 } else { 0o600 };
    if metadata.permissions().mode() & 0o777 == mode {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(true)
}

/// Returns whether anybody but its owner may do something with a file or folder.
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0)
}

/// Lets everybody run a script who may read it.
pub fn make_executable(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    fs::set_permissions(path, Permissions::from_mode(mode | (mode & 0o444) >> 2))
}

/// Makes a folder, and those above it, that only the owner may enter (0700). Folders that exist stay as they are.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The version that is about to be replaced.
struct Old {
    /// Its path, links resolved.
    path: PathBuf,
    metadata: Metadata,
}

impl Old {
    fn at(path: &Path) -> Result<Self, ReplaceError> {
        let inspect_error = |source| ReplaceError::Inspect { path: path.to_path_buf(), source };
        let real = fs::canonicalize(path).map_err(inspect_error)?;
        let metadata = fs::metadata(&real).map_err(inspect_error)?;
        if !metadata.is_file() {
            return Err(ReplaceError::NotRegular { path: path.to_path_buf() });
        }
        // The first condition is for root, whom no mode stops; the second asks the system about everyone else.
        let is_writable =
            !metadata.permissions().readonly() && File::options().write(true).open(&real).is_ok();
        if !is_writable {
            return Err(ReplaceError::ReadOnly { path: path.to_path_buf() });
        }
        Ok(Self { path: real, metadata })
    }
}

fn stage_bytes(path: &Path, content: &[u8], access: Access) -> Result<NamedTempFile, ReplaceError> {
    stage(path, access, None, |out| out.write_all(content))
        .map_err(|source| ReplaceError::Write { path: path.to_path_buf(), source })
}

pub(super) fn stage(
    target: &Path,
    access: Access,
    old: Option<&Metadata>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let mode = match access {
        Access::Private => 0o600,
        Access::Shared => 0o666,
        Access::Executable => 0o777,
    };
    // The library's own way to open it would name the new file, which nobody knows, in its error.
    let open = |path: &Path| File::options().read(true).write(true).create_new(true).mode(mode).open(path);
    let folder = folder_of(target);
    let staged = tempfile::Builder::new()
        .prefix(&unfinished::prefix(target))
        .suffix(unfinished::SUFFIX)
        .make_in(folder, open)
        .map_err(|fault| named_folder(fault, folder))?;
    let mut out = BufWriter::new(staged.as_file());
    content(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    if let Some(old) = old {
        keep_owner_and_mode(staged.as_file(), old)?;
    }
    staged.as_file().sync_all()?;
    Ok(staged)
}

/// Returns why no file can be made in `folder`, named if that is because it is missing.
fn named_folder(fault: io::Error, folder: &Path) -> io::Error {
    if fault.kind() == io::ErrorKind::NotFound && !folder.exists() {
        return io::Error::new(fault.kind(), format!("there is no folder `{}`", folder.display()));
    }
    fault
}

fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        // Only root may give a file away; anybody else becomes the owner, as with any editor that renames.
        let _best_effort = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
    }
    file.set_permissions(old.permissions())
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> Result<(), ReplaceError> {
    match File::open(folder_of(path)).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder; there is nothing more that one could do there.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        done => done.map_err(|source| ReplaceError::SyncFolder { path: path.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use crate::disk::names;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn replaces_what_a_link_points_to_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        create_new(&real, b"old", Access::Private).unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        write(&link, b"new", Access::Shared).unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(mode(&real), 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["link", "real"]);
    }

    #[test]
    fn looks_once_more_before_it_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old", Access::Private).unwrap();
        let seen = std::cell::RefCell::new(Vec::new());
        let replaced = replace_unless_changed(
            &path,
            |out| out.write_all(b"new"),
            || {
                *seen.borrow_mut() = names(folder.path());
                false
            },
        );
        assert_eq!(replaced.unwrap(), Replaced::Changed);
        assert_eq!(seen.borrow().len(), 2, "the new version is complete at the last look");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn leaves_everything_alone_when_writing_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old", Access::Private).unwrap();
        let error = replace_unless_changed(&path, |_| Err(io::ErrorKind::StorageFull.into()), || true);
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("cannot write a new version of `{}`", path.display())
        );
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn says_which_folder_is_missing_and_names_no_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("none");
        let error = write(&inner.join("file"), b"", Access::Private).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, format!("there is no folder `{}`", inner.display()));
        create_new(&inner, b"", Access::Private).unwrap();
        let error = write(&inner.join("file"), b"", Access::Private).unwrap_err();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "Not a directory (os error 20)");
    }

    #[test]
    fn refuses_what_is_read_only_or_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old", Access::Private).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        let error = write(&path, b"new", Access::Private).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is read-only", path.display()));
        let error = write(folder.path(), b"new", Access::Private).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is not a regular file", folder.path().display()));
        let error = create_new(&path, b"new", Access::Private).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` already exists", path.display()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn makes_private_and_executable_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
        write(&inner.join("private"), b"", Access::Private).unwrap();
        assert_eq!(mode(&inner.join("private")), 0o600);
        write(&inner.join("script"), b"", Access::Executable).unwrap();
        assert_eq!(mode(&inner.join("script")) & 0o700, 0o700);
    }
}
