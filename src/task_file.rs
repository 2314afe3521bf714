//! `.claude/cmat.task`: one line that names the task of a worktree, for sessions that nothing else binds.

use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use crate::disk;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::id::IdError;
use crate::id::TaskId;

/// Most bytes of the file that are read.
const MAX_BYTES: u64 = 4 << 10;

/// Why the task file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskFileError {
    /// The file cannot be read.
    #[error("cannot read the task file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file does not name a task.
    #[error("the task file `{}` does not name a task", path.display())]
    NotATask {
        /// The file.
        path: PathBuf,
        /// What is wrong with the name.
        source: IdError,
    },
    /// The file cannot be written.
    #[error("cannot write the task file")]
    Write(#[from] ReplaceError),
}

/// Returns the task that the file of `worktree` names; `None` if there is no such file or it is empty.
pub fn read(worktree: &Path) -> Result<Option<TaskId>, TaskFileError> {
    let path = path(worktree);
    let failed = |source| TaskFileError::Read { path: path.clone(), source };
    let mut text = String::new();
    match disk::open_regular(&path) {
        Ok(file) => file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match text.lines().next().map(str::trim) {
        None | Some("") => Ok(None),
        Some(line) => TaskId::new(line)
            .map(Some)
            .map_err(|source| TaskFileError::NotATask { path: path.clone(), source }),
    }
}

/// Has the file of `worktree` name `task`.
pub fn write(worktree: &Path, task: &TaskId) -> Result<(), TaskFileError> {
    let path = path(worktree);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|source| TaskFileError::Read { path: path.clone(), source })?;
    }
    replace::write(&path, format!("{}\n", task.as_str()).as_bytes(), Access::Shared)?;
    Ok(())
}

fn path(worktree: &Path) -> PathBuf {
    worktree.join(".claude/cmat.task")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_task_that_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_none());
        let task: TaskId = "T-1".parse().unwrap();
        write(folder.path(), &task).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(task));
    }
}
