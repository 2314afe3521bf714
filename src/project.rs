//! Finds the project that a folder belongs to.
//!
//! A project is a folder with `.git` or `.claude`; its name everywhere is the real path of the repository's main
//! worktree, so that all worktrees of a repository are one project. Never runs git.

use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use crate::disk;

/// Longest `.git` file or `commondir` file that is read, in bytes.
const MAX_LINK_BYTES: u64 = 8 << 10;

/// A project and the worktree one is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Real path of the main worktree: the project's name.
    pub root: PathBuf,
    /// Real path of the worktree at hand; equal to `root` unless it is a linked one.
    pub worktree: PathBuf,
}

/// Returns the project that `start` lies in: the nearest folder, upward, with `.git` or `.claude`.
///
/// `home` is passed by: its `.claude` holds the user's settings, not a project's. Without such a folder `start`
/// itself is the project. A folder that is gone counts by its path.
pub fn find(start: &Path, home: Option<&Path>) -> Project {
    let start = start.canonicalize().unwrap_or_else(|_| start.to_owned());
    let home = home.map(|home| home.canonicalize().unwrap_or_else(|_| home.to_owned()));
    let worktree = start
        .ancestors()
        .find(|folder| {
            folder.join(".git").exists()
                || (folder.join(".claude").is_dir() && home.as_deref() != Some(*folder))
        })
        .unwrap_or(&start)
        .to_owned();
    let root = main_worktree(&worktree).unwrap_or_else(|| worktree.clone());
    Project { root, worktree }
}

/// Returns the main worktree of a linked one, whose `.git` is a file that names its place in the common folder.
fn main_worktree(worktree: &Path) -> Option<PathBuf> {
    let link = read_line(&worktree.join(".git"))?;
    let git_dir = worktree.join(link.strip_prefix("gitdir:")?.trim());
    // A submodule has no `commondir`: it is a project of its own.
    let common = git_dir.join(read_line(&git_dir.join("commondir"))?).canonicalize().ok()?;
    common.file_name().is_some_and(|name| name == ".git").then(|| common.parent().map(Path::to_owned))?
}

/// Returns the branch that is checked out in `worktree`; `None` for no repository, or a detached head.
pub fn branch(worktree: &Path) -> Option<String> {
    let git = worktree.join(".git");
    let folder = match read_line(&git) {
        Some(link) => worktree.join(link.strip_prefix("gitdir:")?.trim()),
        None => git,
    };
    let head = read_line(&folder.join("HEAD"))?;
    Some(head.strip_prefix("ref: refs/heads/")?.to_owned())
}

fn read_line(path: &Path) -> Option<String> {
    let mut text = String::new();
    disk::open_regular(path).ok()?.take(MAX_LINK_BYTES).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::replace::Access;
    use crate::disk::replace::write;
    use std::fs::create_dir_all;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (folder, path)
    }

    #[test]
    fn looks_upward_and_passes_the_home_folder_by() {
        let (_folder, home) = folder();
        create_dir_all(home.join(".claude")).unwrap();
        create_dir_all(home.join("app/.claude")).unwrap();
        create_dir_all(home.join("app/deep/er")).unwrap();
        create_dir_all(home.join("plain")).unwrap();
        assert_eq!(find(&home.join("app/deep/er"), Some(&home)).root, home.join("app"));
        assert_eq!(find(&home.join("plain"), Some(&home)).root, home.join("plain"));
        assert_eq!(find(&home.join("gone"), Some(&home)).root, home.join("gone"));
    }

    #[test]
    fn a_linked_worktree_belongs_to_the_main_ones_project() {
        let (_folder, base) = folder();
        let git_dir = base.join("main/.git/worktrees/side");
        create_dir_all(&git_dir).unwrap();
        create_dir_all(base.join("side")).unwrap();
        write(&git_dir.join("commondir"), b"../..\n", Access::Private).unwrap();
        let link = format!("gitdir: {}\n", git_dir.display());
        write(&base.join("side/.git"), link.as_bytes(), Access::Private).unwrap();
        let project = find(&base.join("side"), None);
        assert_eq!(project, Project { root: base.join("main"), worktree: base.join("side") });
    }
}
