//! Locks and file replacement: the only room that may do either.
//!
//! A file that several programs change is changed in three steps: [`lock::FileLock`] on a file beside it, a
//! fresh read, [`replace::replace_unless_changed`]. Nobody ever sees half of a file that is written here.

pub mod backoff;
pub mod change;
pub mod file_system;
pub mod lock;
pub mod new_file;
pub mod replace;
pub mod unfinished;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading, without waiting for anything: a pipe, a device or a folder is an error.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK the opening of a named pipe would wait for a writer.
    let file = File::options().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)?;
    require_regular(&file)?;
    Ok(file)
}

fn require_regular(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { Ok(()) } else { Err(io::Error::other("not a regular file")) }
}

/// Returns flags as `std` takes them.
fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Returns the names in `folder`, in order.
#[cfg(test)]
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_regular_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(open_regular(&pipe).unwrap_err().to_string(), "not a regular file");
        assert_eq!(open_regular(folder.path()).unwrap_err().to_string(), "not a regular file");
        assert_eq!(open_regular(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
