//! The hook script: whose the file is that stands in its place, and what becomes of it.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest as _;
use sha2::Sha256;

use crate::claude_settings::Installed;
use crate::claude_settings::Owner;
use crate::disk::change::Change;
use crate::disk::change::OldVersion;
use crate::disk::change::read_text;
use crate::disk::replace::Access;

/// What cmat writes there.
const TEXT: &str = include_str!("../../../hooks/on-session-end-cost.sh");

/// What earlier cmats wrote there: SHA-256 of each.
const OLD_TEXTS: [&str; 1] = [
    // Knew the end of a session only.
    "33172493664186726f4234dd428b5d696f32c5c9f2973cab714159b7fb8d95af",
];

/// Whose the script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Kind {
    /// There is none.
    Missing,
    /// As this cmat writes it.
    Current,
    /// As an earlier cmat wrote it.
    Old,
    /// It runs cmat, but somebody changed it.
    Changed,
    /// The Python CMAT's.
    Python,
    /// Somebody else's.
    Foreign,
}

/// The file in the script's place.
#[derive(Debug)]
pub(in crate::commands) struct Script {
    /// Whose it is.
    pub(in crate::commands) kind: Kind,
    path: PathBuf,
    text: Option<String>,
}

impl Script {
    /// Looks at the script.
    pub(in crate::commands) fn read(path: &Path) -> io::Result<Self> {
        let text = read_text(path)?;
        // Whatever names the script, its text tells whose it is.
        let installed = Installed { event: String::new(), command: path.to_string_lossy().into_owned() };
        let kind = match text.as_deref() {
            None => Kind::Missing,
            Some(TEXT) => Kind::Current,
            Some(text) if is_old(text) => Kind::Old,
            Some(text) => match installed.owner(Some(text)) {
                Owner::Cmat => Kind::Changed,
                Owner::PythonCmat => Kind::Python,
                Owner::Other => Kind::Foreign,
            },
        };
        Ok(Self { kind, path: path.to_path_buf(), text })
    }

    /// Returns the change that puts cmat's script there.
    pub(in crate::commands) fn put(&self) -> Change {
        self.become_text(Some(TEXT.to_owned()))
    }

    /// Returns the change that leaves the script as it is.
    pub(in crate::commands) fn keep(&self) -> Change {
        self.become_text(self.text.clone())
    }

    /// Returns the change that removes the script.
    pub(in crate::commands) fn remove(&self) -> Change {
        self.become_text(None)
    }

    fn become_text(&self, after: Option<String>) -> Change {
        Change {
            path: self.path.clone(),
            before: self.text.clone(),
            after,
            access: Access::Executable,
            old_version: if self.kind == Kind::Old { OldVersion::Dropped } else { OldVersion::Kept },
        }
    }
}

fn is_old(text: &str) -> bool {
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    OLD_TEXTS.contains(&hash.as_str())
}

/// Returns where the script of a `.claude` folder is. The Python CMAT's has the same name.
pub(super) fn path(claude_folder: &Path) -> PathBuf {
    claude_folder.join("hooks/on-session-end-cost.sh")
}

/// Tells whether the shell may run a file.
pub(in crate::commands) fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
