//! New versions of files that were never finished: their names, and removing what killed processes left of them.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::disk::lock;
use crate::disk::lock::FileLock;
use crate::disk::replace::folder_of;

/// What the names of unfinished files begin with; the name of their target follows.
const PREFIX: &str = ".cmat-";

/// What the names of unfinished files end with.
pub(super) const SUFFIX: &str = ".tmp";

/// How much older than a new version an unfinished one is when nobody can be writing it any more.
const ABANDONED_AGE: Duration = Duration::from_secs(60 * 60);

/// How old an unfinished version is when whoever writes it has surely marked it.
const MARKED_AGE: Duration = Duration::from_secs(10);

/// Removes what killed processes left of new versions of `target`, a path without links.
///
/// Only the holder of its lock can know that none of them is still being written.
pub fn remove_unfinished(target: &Path, _held: &FileLock) -> io::Result<()> {
    unfinished_versions(target)?.into_iter().try_for_each(fs::remove_file)
}

/// Removes new versions that were never finished from `folder`, an hour old at `now`; returns how many.
///
/// Nothing was promised about them, and what cannot be removed does no harm.
pub fn remove_abandoned_in(folder: &Path, now: Timestamp) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let is_old = |entry: &fs::DirEntry| -> Option<bool> {
        let written = Timestamp::try_from(entry.metadata().ok()?.modified().ok()?).ok()?;
        Some(now.duration_since(written).unsigned_abs() > ABANDONED_AGE && now > written)
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| is_unfinished(&entry.file_name()) && is_old(entry) == Some(true))
        .filter(|entry| fs::remove_file(entry.path()).is_ok())
        .count()
}

/// Returns whether a file is named as new versions are until they are finished.
fn is_unfinished(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
}

/// Removes new versions of `target` that are so much older than `new`, the one in place, that nobody writes them.
pub(super) fn remove_abandoned(target: &Path, new: &File) {
    remove_older(target, new, ABANDONED_AGE, |_| true);
}

/// Removes what killed processes left of `target`, whose writers mark what they write; `new` was just begun.
pub(super) fn remove_left(target: &Path, new: &File) {
    remove_older(target, new, MARKED_AGE, lock::is_left);
}

/// They take room but do no harm, so a failure to remove them doesn't either.
fn remove_older(target: &Path, new: &File, least_age: Duration, is_left: impl Fn(&Path) -> bool) {
    let modified = |metadata: io::Result<Metadata>| metadata.and_then(|metadata| metadata.modified()).ok();
    let Some(now) = modified(new.metadata()) else { return };
    for path in unfinished_versions(target).unwrap_or_default() {
        let written = modified(fs::symlink_metadata(&path));
        let age = written.and_then(|written| now.duration_since(written).ok());
        if age.is_some_and(|age| age > least_age) && is_left(&path) {
            let _untidy = fs::remove_file(path);
        }
    }
}

fn unfinished_versions(target: &Path) -> io::Result<Vec<PathBuf>> {
    let prefix = prefix(target);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder_of(target))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(SUFFIX.as_bytes()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Returns what the names of unfinished versions of `target` begin with.
pub(super) fn prefix(target: &Path) -> OsString {
    let mut prefix = OsString::from(PREFIX);
    prefix.push(target.file_name().unwrap_or_default());
    prefix.push("-");
    prefix
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::disk::names;
    use crate::disk::replace::Access;
    use crate::disk::replace::create_new;
    use crate::disk::replace::write;

    use super::*;

    #[test]
    fn removes_only_the_unfinished_versions_of_its_own_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("queue.json");
        for name in [".cmat-queue.json-x1.tmp", ".cmat-models.json-x1.tmp", "queue.json", "other.tmp"] {
            create_new(&folder.path().join(name), b"", Access::Private).unwrap();
        }
        let held = FileLock::acquire(&folder.path().join("lock"), Instant::now()).unwrap();
        remove_unfinished(&target, &held).unwrap();
        assert_eq!(names(folder.path()), [".cmat-models.json-x1.tmp", "lock", "other.tmp", "queue.json"]);
    }

    #[test]
    fn clears_away_what_was_abandoned_long_ago() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("settings.json");
        let unfinished = |name| {
            create_new(&folder.path().join(name), b"", Access::Private).unwrap();
            File::options().write(true).open(folder.path().join(name)).unwrap()
        };
        let (old, other) = (unfinished(".cmat-settings.json-x1.tmp"), unfinished(".cmat-models.json-x1.tmp"));
        let _young = unfinished(".cmat-settings.json-x2.tmp");
        for file in [old, other] {
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
        write(&target, b"", Access::Shared).unwrap();
        assert_eq!(names(folder.path()).len(), 4, "a new file of the outbox has no time for it");
        write(&target, b"", Access::Shared).unwrap();
        let left = [".cmat-models.json-x1.tmp", ".cmat-settings.json-x2.tmp", "settings.json"];
        assert_eq!(names(folder.path()), left);
    }
}
