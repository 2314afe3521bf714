//! Intents that outlive a kill: one small file for each hook run, safe on disk before anything else happens.
//!
//! A hook may be killed at any moment, so it first writes down what it is about to do. A later run does it and
//! removes the file. Files are named by the hash of their content: writing the same intent twice leaves one, and
//! removing one never removes a newer one. What cannot be read, or comes from a newer cmat, is reported and left
//! alone. Writing and reading need no lock.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::disk;
use crate::disk::lock::FileLock;
use crate::disk::lock::LockError;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::disk::unfinished;
use crate::id::SessionId;
use crate::id::TaskId;

/// The format of the files that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// The folder in the data folder.
pub const FOLDER: &str = "outbox";

/// Largest file that is read, in bytes; an intent has a few hundred.
const MAX_BYTES: u64 = 1 << 20;

/// Which hook ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A session began: from now on it works for a task.
    SessionStart,
    /// A session ended: its transcript is to be read.
    SessionEnd,
}

/// What a hook was told, all that a later run needs to do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Which hook ran.
    pub event: Event,
    /// The session, from Claude Code or the environment.
    pub session: Option<SessionId>,
    /// The session's transcript, which may not exist (yet).
    pub transcript: Option<PathBuf>,
    /// The session's current folder.
    pub cwd: PathBuf,
    /// The folder that the environment names as the project's.
    pub project_dir: Option<PathBuf>,
    /// The task that the environment names.
    pub task: Option<TaskId>,
    /// The task that `.claude/cmat.task` of the worktree names.
    pub task_file: Option<TaskId>,
    /// The enhancement that the environment names.
    pub enhancement: Option<String>,
    /// The agent that the environment names.
    pub agent: Option<String>,
    /// Tags from the environment.
    pub tags: BTreeMap<String, String>,
    /// The user that the environment names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When the `cmat run` began that the session belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_began: Option<Timestamp>,
    /// Why the session ended, in Claude Code's word.
    pub reason: Option<String>,
    /// When the hook ran.
    pub at: Timestamp,
}

/// An intent in its file.
#[derive(Serialize, Deserialize)]
struct Stored<Content> {
    version: u32,
    intent: Content,
}

/// The name of an intent in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntentName(String);

impl IntentName {
    fn of(content: &[u8]) -> Self {
        let mut name = String::with_capacity(16);
        for byte in &Sha256::digest(content)[..8] {
            let _infallible = write!(name, "{byte:02x}");
        }
        Self(name)
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".json")?;
        let is_hash = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Self(name.to_owned()))
    }
}

impl fmt::Display for IntentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// That no other hook finishes what was left, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: Option<FileLock>,
}

/// Why an intent was not written, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The folder cannot be made or listed.
    #[error("cannot use the outbox `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A path of the intent is not UTF-8, which no record of cmat can hold.
    #[error("cannot record the hook run: `{}` is not UTF-8", path.display())]
    NotUtf8 {
        /// The path, as far as it can be shown.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write an intent")]
    Write(#[from] ReplaceError),
    /// The file cannot be read or removed.
    #[error("cannot use the intent `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not what cmat writes.
    #[error("cannot understand the intent `{}`", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A newer cmat wrote the file.
    #[error("intent `{}` has format {found}, but this cmat reads up to {FORMAT}", path.display())]
    FormatTooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// The folder of intents.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// Returns the outbox in cmat's data folder; it is made when the first intent is put into it.
    pub fn new(data_folder: &Path) -> Self {
        Self { folder: data_folder.join(FOLDER) }
    }

    /// Writes an intent. When this returns, neither a kill nor a power cut loses it.
    pub fn put(&self, intent: &Intent) -> Result<IntentName, OutboxError> {
        let paths = [intent.transcript.as_ref(), Some(&intent.cwd), intent.project_dir.as_ref()];
        if let Some(path) = paths.into_iter().flatten().find(|path| path.to_str().is_none()) {
            return Err(OutboxError::NotUtf8 { path: path.clone() });
        }
        let content = serde_json::to_vec(&Stored { version: FORMAT, intent })
            .expect("an intent whose paths are UTF-8 can be written as JSON");
        let name = IntentName::of(&content);
        replace::create_private_folder(&self.folder)
            .map_err(|source| OutboxError::Folder { path: self.folder.clone(), source })?;
        replace::write(&self.path(&name), &content, Access::Private)?;
        Ok(name)
    }

    /// Returns the turn of a hook to finish what others left; `None` if another one is at it.
    ///
    /// Nothing goes wrong where several do: hundreds that end at once would only do the same work. Where there are no
    /// locks, it is everybody's turn.
    pub fn turn(&self) -> Option<Turn> {
        match FileLock::acquire(&self.folder.with_extension("lock"), Instant::now()) {
            Err(LockError::Held { .. }) => None,
            lock => Some(Turn { _lock: lock.ok() }),
        }
    }

    /// Returns the names of all intents, in no meaningful order; other files in the folder are passed over.
    pub fn list(&self) -> Result<Vec<IntentName>, OutboxError> {
        let folder_error = |source| OutboxError::Folder { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(folder_error)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let file_name = entry.map_err(folder_error)?.file_name();
            names.extend(file_name.to_str().and_then(IntentName::from_file_name));
        }
        names.sort();
        Ok(names)
    }

    /// Returns an intent; `None` if another run has done it and removed it since it was listed.
    pub fn read(&self, name: &IntentName) -> Result<Option<Intent>, OutboxError> {
        let path = self.path(name);
        let mut content = Vec::new();
        let read = disk::open_regular(&path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut content));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OutboxError::File { path, source }),
            Ok(_) => {}
        }
        let format_error = |source| OutboxError::Format { path: path.clone(), source };
        let stored: Stored<serde::de::IgnoredAny> = serde_json::from_slice(&content).map_err(format_error)?;
        if stored.version > FORMAT {
            return Err(OutboxError::FormatTooNew { path, found: stored.version });
        }
        let stored: Stored<Intent> = serde_json::from_slice(&content).map_err(format_error)?;
        Ok(Some(stored.intent))
    }

    /// Removes an intent that was done; no matter if another run has removed it.
    pub fn remove(&self, name: &IntentName) -> Result<(), OutboxError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(OutboxError::File { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Removes what hooks left that were killed while they wrote an intent: unfinished files, an hour old at `now`.
    ///
    /// Nothing was promised about them, and what cannot be removed does no harm.
    pub fn remove_unfinished(&self, now: Timestamp) {
        unfinished::remove_abandoned_in(&self.folder, now);
    }

    fn path(&self, name: &IntentName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::SignedDuration;

    use super::*;

    fn intent() -> Intent {
        Intent {
            event: Event::SessionEnd,
            session: Some(SessionId::new("abc123").unwrap()),
            transcript: Some("/home/größe/.claude/projects/p/abc123.jsonl".into()),
            cwd: "/home/größe/p".into(),
            project_dir: None,
            task: Some(TaskId::new("task/\"1\"\n").unwrap()),
            task_file: None,
            enhancement: None,
            agent: Some("architect".to_owned()),
            tags: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
            user: None,
            run_began: None,
            reason: Some("other".to_owned()),
            at: "2026-11-21T12:00:00.123456789Z".parse().unwrap(),
        }
    }

    fn outbox() -> (tempfile::TempDir, Outbox) {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(&folder.path().join("data"));
        (folder, outbox)
    }

    /// Puts `content` where an intent stands and checks what is said of it, and that it is left alone.
    fn check_unread(content: &str, expected: &str) {
        let (_folder, outbox) = outbox();
        let name = outbox.put(&intent()).unwrap();
        let path = outbox.path(&name);
        replace::write(&path, content.as_bytes(), Access::Private).unwrap();
        let error = anyhow::Error::from(outbox.read(&name).unwrap_err());
        assert_eq!(format!("{error:#}"), expected.replace("{}", &path.display().to_string()));
        assert_eq!(fs::read_to_string(path).unwrap(), content);
        assert_eq!(outbox.list().unwrap(), [name]);
    }

    #[test]
    fn keeps_an_intent_until_it_is_done() {
        let (_folder, outbox) = outbox();
        assert_eq!(outbox.list().unwrap(), []);
        let name = outbox.put(&intent()).unwrap();
        assert_eq!(outbox.put(&intent()).unwrap(), name);
        let later = Intent { at: Timestamp::UNIX_EPOCH, event: Event::SessionStart, ..intent() };
        let other = outbox.put(&later).unwrap();
        assert_eq!(outbox.list().unwrap().len(), 2);
        assert_eq!(outbox.read(&name).unwrap(), Some(intent()));
        outbox.remove(&name).unwrap();
        outbox.remove(&name).unwrap();
        assert_eq!(outbox.read(&name).unwrap(), None);
        assert_eq!(outbox.list().unwrap(), [other]);
    }

    #[test]
    fn the_first_format_stays_readable() {
        let text = concat!(
            r#"{"version":1,"intent":{"event":"session_end","session":"abc123","#,
            r#""transcript":"/home/größe/.claude/projects/p/abc123.jsonl","cwd":"/home/größe/p","#,
            r#""project_dir":null,"task":"task/\"1\"\n","task_file":null,"enhancement":null,"agent":"architect","#,
            r#""tags":{"team":"a"},"reason":"other","at":"2026-11-21T12:00:00.123456789Z"}}"#,
        );
        let (_folder, outbox) = outbox();
        let name = outbox.put(&intent()).unwrap();
        assert_eq!(fs::read_to_string(outbox.path(&name)).unwrap(), text);
        replace::write(&outbox.path(&name), text.as_bytes(), Access::Private).unwrap();
        assert_eq!(outbox.read(&name).unwrap(), Some(intent()));
    }

    #[test]
    fn only_its_owner_can_look_inside() {
        let (folder, outbox) = outbox();
        let name = outbox.put(&intent()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&outbox.path(&name)), 0o600);
        assert_eq!(mode(&folder.path().join("data/outbox")), 0o700);
        assert_eq!(mode(&folder.path().join("data")), 0o700);
    }

    #[test]
    fn leaves_alone_what_it_cannot_read() {
        check_unread("", "cannot understand the intent `{}`: EOF while parsing a value at line 1 column 0");
        check_unread(
            r#"{"version":2,"intent":{"event":"session_paused"}}"#,
            "intent `{}` has format 2, but this cmat reads up to 1",
        );
        check_unread(
            r#"{"version":1,"intent":{"event":"session_paused"}}"#,
            "cannot understand the intent `{}`: unknown variant `session_paused`, \
             expected `session_start` or `session_end` at line 1 column 47",
        );
    }

    #[test]
    fn passes_over_other_files() {
        let (_folder, outbox) = outbox();
        let name = outbox.put(&intent()).unwrap();
        for other in [".cmat-0123456789abcdef.json-x.tmp", "notes.json", "0123456789abcdef"] {
            fs::File::create(outbox.folder.join(other)).unwrap();
        }
        assert_eq!(outbox.list().unwrap(), [name]);
    }

    #[test]
    fn removes_what_a_killed_hook_left_unfinished_and_nothing_else() {
        let (_folder, outbox) = outbox();
        let name = outbox.put(&intent()).unwrap();
        for file in [".cmat-0123456789abcdef.json-x.tmp", "notes.tmp"] {
            fs::File::create(outbox.folder.join(file)).unwrap();
        }
        let n_files = || fs::read_dir(&outbox.folder).unwrap().count();
        let written = fs::metadata(outbox.path(&name)).unwrap().modified().unwrap();
        let written = Timestamp::try_from(written).unwrap();
        outbox.remove_unfinished(written);
        assert_eq!(n_files(), 3, "somebody may be writing it");
        outbox.remove_unfinished(written + SignedDuration::from_hours(2));
        assert_eq!(n_files(), 2);
        assert_eq!(outbox.list().unwrap(), [name]);
    }

    #[test]
    fn refuses_a_path_that_no_record_can_hold() {
        let (_folder, outbox) = outbox();
        let cwd = PathBuf::from(std::ffi::OsString::from_vec(b"/caf\xe9".to_vec()));
        let error = outbox.put(&Intent { cwd, ..intent() }).unwrap_err();
        assert_eq!(error.to_string(), "cannot record the hook run: `/caf\u{fffd}` is not UTF-8");
    }
}
