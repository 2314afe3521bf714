//! The files of a session: its main transcript and those of its subagents.
//!
//! Three layouts are in use (client reference, section 4): `<session>/subagents/**` beside `<session>.jsonl`, flat
//! `agent-*.jsonl` beside it that name the session (2.0.x), and lines in the main file itself (1.0.x).

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::BufReader;
use std::iter;
use std::path::Path;
use std::path::PathBuf;

use walkdir::WalkDir;

use crate::disk;
use crate::id::SessionId;
use crate::project::Project;
use crate::transcript;

/// A session and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFiles {
    /// The session.
    pub session: SessionId,
    /// Its files that exist, the main one first, then by name.
    pub files: Vec<PathBuf>,
}

/// Finds the files of the session whose main transcript is at `main`.
///
/// `session` is what somebody calls it. If the file is not named so, its lines are believed instead: a variable may
/// hold an id of its own making.
///
/// # Errors
/// If a transcript is there and cannot be opened, or is no regular file. None there is no error.
pub fn find(main: &Path, session: Option<&SessionId>) -> io::Result<SessionFiles> {
    let main = real_path(main)?;
    let exists = match disk::open_regular(&main) {
        Ok(_file) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let session = match session {
        Some(session) if main.file_stem().is_some_and(|stem| stem == session.as_str()) => session.clone(),
        other => named_by(&main, other, exists)?,
    };
    let mut files: Vec<PathBuf> = named_after(&main).filter(|path| exists || *path != main).collect();
    if !is_agents(&main) {
        files.extend(flat_beside(&main, &session));
    }
    files.sort_by_key(|path| (*path != main, path.clone()));
    Ok(SessionFiles { session, files })
}

/// Returns the path without links and `..`, so that a file has one cursor however it was named.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(path),
        Err(error) => Err(error),
    }
}

fn named_by(main: &Path, called: Option<&SessionId>, exists: bool) -> io::Result<SessionId> {
    if let Some(session) = exists.then(|| named_in(main)).flatten().or_else(|| called.cloned()) {
        return Ok(session);
    }
    let stem = main.file_stem().unwrap_or(main.as_os_str()).to_string_lossy();
    SessionId::new(stem).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// A main transcript and the files of its subagents, as they lie in a folder of transcripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// The main transcript, without links; it may not be there.
    pub main: PathBuf,
    /// All files, the main one first, then by name.
    pub files: Vec<PathBuf>,
}

impl Filed {
    /// Returns the session of these files.
    ///
    /// # Errors
    /// If nothing in them names it, and the main transcript's name cannot.
    pub fn session(&self) -> io::Result<SessionId> {
        named_by(&self.main, None, self.files.first() == Some(&self.main))
    }
}

/// Returns what lies in `folder`, in which Claude Code keeps the transcripts of a project, by name. Nothing is opened.
///
/// A flat file of a subagent (2.0.x) stands for itself: it names its session. A folder of subagents stands for its
/// session, whose own file may be gone.
pub fn filed_in(folder: &Path) -> Vec<Filed> {
    let Ok(folder) = folder.canonicalize() else { return Vec::new() };
    let mut filed: HashMap<OsString, Filed> = HashMap::new();
    let entries = WalkDir::new(&folder).min_depth(1).into_iter().filter_map(Result::ok);
    for entry in entries {
        let is_transcript = is_transcript(entry.path());
        let is_file = entry.file_type().is_file();
        let (main, file) = match entry.depth() {
            1 if entry.file_type().is_dir() => (entry.path().with_extension("jsonl"), None),
            1 if is_transcript && is_file => (entry.path().to_owned(), Some(entry.path().to_owned())),
            1 if is_transcript => {
                // A link has its cursor where it leads to; one that leads nowhere is no file.
                let Ok(real) = entry.path().canonicalize() else { continue };
                (real.clone(), Some(real))
            }
            1 => continue,
            _ if is_transcript && is_file => {
                let Some(own) = entry.path().strip_prefix(&folder).ok().and_then(|path| path.iter().next())
                else {
                    continue;
                };
                (folder.join(own).with_extension("jsonl"), Some(entry.into_path()))
            }
            _ => continue,
        };
        let found = filed
            .entry(main.into_os_string())
            .or_insert_with_key(|main| Filed { main: PathBuf::from(main), files: Vec::new() });
        found.files.extend(file);
    }
    let mut filed: Vec<Filed> = filed.into_values().collect();
    filed.sort_by(|a, b| a.main.as_os_str().cmp(b.main.as_os_str()));
    for Filed { main, files } in &mut filed {
        files.sort_by(|a, b| (a != main, a).cmp(&(b != main, b)));
    }
    filed
}

fn below(folder: &Path) -> Vec<PathBuf> {
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file() && is_transcript(entry.path()))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

fn flat_beside(main: &Path, session: &SessionId) -> Vec<PathBuf> {
    let entries = main.parent().and_then(|folder| fs::read_dir(folder).ok());
    // By their names alone: thousands of other transcripts may be there, and each hook looks.
    entries
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            is_agents(Path::new(&name)) && is_transcript(Path::new(&name))
        })
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| named_in(path).as_ref() == Some(session))
        .collect()
}

/// Returns the session that the first lines of a transcript name, if it can be read and they do.
fn named_in(path: &Path) -> Option<SessionId> {
    transcript::named_session(BufReader::new(disk::open_regular(path).ok()?)).ok().flatten()
}

fn is_agents(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"agent-"))
}

/// Returns whether a path is named as transcripts are.
pub fn is_transcript(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
}

/// Returns a main transcript, there or not, and all files in the folder that is named after it.
pub fn named_after(main: &Path) -> impl Iterator<Item = PathBuf> {
    iter::once(main.to_owned()).chain(below(&main.with_extension("")))
}

/// Tells whether the client filed the transcripts in a folder of that name under this project: it is named after the
/// path.
///
/// The name is lossy (every character but letters and digits is `-`), so another project may share it; its
/// sessions are then read too, and belong to their own project all the same.
pub fn is_filed_under(folder: &str, project: &Project) -> bool {
    [&project.root, &project.worktree].into_iter().any(|path| {
        let rest = folder.strip_prefix(&dashed(path));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// Returns what Claude Code calls the folder of a project's transcripts.
pub fn dashed(path: &Path) -> String {
    path.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
