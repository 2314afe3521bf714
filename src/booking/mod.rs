//! From a transcript on disk to a priced task: reads, records, derives, projects.
//!
//! The one path that hooks, `costs extract` and `reconcile` share. Every step can be killed and run again: files
//! are read on from their cursors, requests are recorded once, queues are brought to what the ledger says. It
//! decides nothing about money and reads neither clock nor environment.

pub mod correction;
pub mod encoding;
pub mod foreign;
pub mod leftovers;
pub mod pieces;
pub mod prices;
pub mod projection;
pub mod reading;
pub mod recent;
pub mod record;
pub mod session_files;

mod in_order;

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

use crate::attribution::BindingSource;
use crate::booking::correction::Corrected;
use crate::booking::prices::PriceTables;
use crate::booking::projection::Projected;
use crate::booking::reading::Reach;
use crate::booking::session_files::SessionFiles;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::binding::NewBinding;
use crate::ledger::correction::Moved;
use crate::ledger::recording::Recording;
use crate::ledger::recording::Sureness;
use crate::ledger::task::TaskRow;
use crate::project::Project;
use crate::summary::SessionShare;
use crate::summary::TaskSummary;
use crate::task_queue::TaskQueue;

/// Why something could not be booked.
#[derive(Debug, thiserror::Error)]
pub enum BookingError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A transcript could not be read.
    #[error("transcript `{}` could not be read", path.display())]
    Transcript {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A transcript holds sessions, none of which it is named after.
    #[error("transcript `{}` holds several sessions, of which one has to be named behind it: {}", path.display(), listed(sessions))]
    SeveralSessions {
        /// The file.
        path: PathBuf,
        /// Its sessions, at least two.
        sessions: Vec<SessionId>,
    },
}

impl BookingError {
    /// Returns whether trying again later cannot help: what the path names is no transcript.
    fn is_final(&self) -> bool {
        use std::io::ErrorKind::InvalidInput;
        use std::io::ErrorKind::NotADirectory;
        use std::io::ErrorKind::Other;
        match self {
            // `Other` is how `disk::open_regular` refuses folders, pipes and devices.
            Self::Transcript { source, .. } => matches!(source.kind(), Other | InvalidInput | NotADirectory),
            Self::Ledger(_) | Self::SeveralSessions { .. } => false,
        }
    }
}

/// What is needed to book: the ledger, the price tables, and how long it may take.
#[derive(Debug)]
pub struct Books {
    /// The ledger.
    pub ledger: Ledger,
    /// Price tables by project.
    pub prices: PriceTables,
    /// The user's home folder, which is no project.
    pub home: Option<PathBuf>,
    /// Folders in which Claude Code keeps `projects/`.
    pub claude_folders: Vec<PathBuf>,
    /// The present time, UTC.
    pub now: Timestamp,
    /// When to stop and leave the rest to the next run.
    pub deadline: Instant,
    /// Whether task queues are written.
    pub queues: Queues,
}

/// What happens with task queues that do not show what the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queues {
    /// They are brought to it.
    Written,
    /// They stay; what would be written is counted, and the ledger notes it as if it were, so it must be a copy.
    Compared,
}

/// What a session is bound to.
#[derive(Debug, Clone, Default)]
pub struct Assignment {
    /// The task.
    pub task: Option<TaskId>,
    /// An enhancement for a task that names none.
    pub enhancement: Option<String>,
    /// The agent at work.
    pub agent: Option<String>,
    /// Tags as a JSON object of texts.
    pub tags: Option<String>,
    /// Who works.
    pub user: Option<String>,
    /// The first instant that is meant; see [`NewBinding::since`].
    pub since: Option<Timestamp>,
}

impl Assignment {
    fn says_anything(&self) -> bool {
        let Self { task, enhancement, agent, tags, user, since: _ } = self;
        task.is_some() || [enhancement, agent, tags, user].iter().any(|said| said.is_some())
    }
}

/// What binding a session came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The task that was named.
    pub task: Option<TaskRow>,
    /// Requests that a person's word took from another task; the audit has a line of it.
    pub moved: Vec<Moved>,
}

/// What `extract_and_store` came to.
#[derive(Debug)]
pub struct Extracted {
    /// What the task costs now.
    pub task: TaskSummary,
    /// The session's share of it.
    pub share: SessionShare,
    /// Requests that another task had before.
    pub moved: Vec<Moved>,
    /// Whether the task queue shows it.
    pub projected: Projected,
}

impl Books {
    /// Reads the session whose main transcript is at `transcript`, all its files, from where each was left.
    ///
    /// `session` is what the hook called it; `None` takes what the transcript's lines or its name say. `project`
    /// is where it ran, whose price table holds; `None` takes the folder that its lines name. A transcript that
    /// does not exist is an empty one: sessions without a prompt never get a file. What the deadline cuts off, the next
    /// run reads on. Returns the session.
    pub fn book_session(
        &mut self,
        transcript: &Path,
        session: Option<&SessionId>,
        project: Option<&Project>,
    ) -> Result<SessionId, BookingError> {
        let found = find_files(transcript, session)?;
        // Most runs bring no news of that, and need not wait for other writers.
        if let Some(project) = project
            && !self.ledger.is_session_in(&found.session, project)?
        {
            let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
            let prices = &mut self.prices;
            recording.session_in_project(
                &found.session,
                project,
                Sureness::Told,
                &mut |project, facts| prices.charges(project, facts),
            )?;
            recording.commit()?;
        }
        self.read_session(&found)?;
        Ok(found.session)
    }

    /// Reads all files of a session from where each was left.
    fn read_session(&mut self, found: &SessionFiles) -> Result<Reach, BookingError> {
        self.read_files_of(&found.session, &found.files)
    }

    /// Compares the sessions that changed with what their clients counted.
    fn settle_remainders(&mut self) -> Result<(), LedgerError> {
        if self.ledger.has_stale_remainders()? {
            let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
            let prices = &mut self.prices;
            recording.settle_remainders(&mut |project, facts| prices.charges(project, facts))?;
            recording.commit()?;
        }
        Ok(())
    }

    /// Books a transcript for a task, as a person asked: the library's form of `cmat costs extract`.
    ///
    /// Without `only` it is the session that the transcript is named after, or that its lines name. Returns what the
    /// task costs then; `None` if the transcript, or the session `only`, has no usage.
    ///
    /// # Errors
    /// As [`BookingError`] says. What was recorded before an error stays recorded.
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use cmat::booking::Books;
    /// use cmat::project;
    ///
    /// fn book(books: &mut Books) -> Result<(), Box<dyn std::error::Error>> {
    ///     let project = project::find(Path::new("/home/ann/app"), None);
    ///     let task = "task_1702345678_12345".parse()?;
    ///     let transcript = Path::new("/home/ann/.claude/projects/-home-ann-app/7f3a.jsonl");
    ///     if let Some(extracted) = books.extract_and_store(&task, transcript, None, &project)? {
    ///         println!("{}", extracted.share.totals.cost.total());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn extract_and_store(
        &mut self,
        task: &TaskId,
        transcript: &Path,
        only: Option<&SessionId>,
        project: &Project,
    ) -> Result<Option<Extracted>, BookingError> {
        let named = self.book_session(transcript, None, Some(project))?;
        let session = match only {
            Some(only) => only.clone(),
            None => self.session_at(transcript, named)?,
        };
        if self.ledger.n_requests(&session)? == 0 {
            return Ok(None);
        }
        let assignment = Assignment { task: Some(task.clone()), ..Assignment::default() };
        let Assigned { task: Some(row), moved } =
            self.assign(&session, project, &assignment, BindingSource::Command, self.now)?
        else {
            return Ok(None);
        };
        let projected = self.project_pending()?;
        let task = self.ledger.task_summary(row)?;
        let share = task.sessions.iter().find(|share| share.session == session).cloned();
        Ok(share.map(|share| Extracted { task, share, moved, projected }))
    }

    /// Returns `named`; if it owns nothing, the session of the transcript's requests: the file may have another name
    /// than the client gave it, and name its session late.
    fn session_at(&self, transcript: &Path, named: SessionId) -> Result<SessionId, BookingError> {
        if self.ledger.n_requests(&named)? > 0 {
            return Ok(named);
        }
        let path = transcript.canonicalize().unwrap_or_else(|_| transcript.to_owned());
        let sessions = self.ledger.sessions_in(&path)?;
        match sessions.as_slice() {
            [] => Ok(named),
            [only] => Ok(only.clone()),
            _ => Err(BookingError::SeveralSessions { path: transcript.to_owned(), sessions }),
        }
    }

    /// Binds `session` to what `assignment` says, in `project`; `source` said it at `said`.
    pub fn assign(
        &mut self,
        session: &SessionId,
        project: &Project,
        assignment: &Assignment,
        source: BindingSource,
        said: Timestamp,
    ) -> Result<Assigned, BookingError> {
        let durability = match source {
            BindingSource::Command => Durability::Irreplaceable,
            _ => Durability::Repeatable,
        };
        let mut recording = self.ledger.record(durability, self.now)?;
        let prices = &mut self.prices;
        recording.session_in_project(session, project, Sureness::Told, &mut |project, facts| {
            prices.charges(project, facts)
        })?;
        let task = match &assignment.task {
            Some(task) => Some(recording.task(&project.root, task)?),
            None => None,
        };
        if let (Some(task), Some(queue)) = (task, find_queue(project)) {
            recording.show_in_queue(task, queue.path())?;
        }
        if assignment.says_anything() {
            recording.bind_session(
                session,
                &NewBinding {
                    task,
                    enhancement: assignment.enhancement.as_deref(),
                    agent: assignment.agent.as_deref(),
                    tags: assignment.tags.as_deref(),
                    user: assignment.user.as_deref(),
                    since: assignment.since,
                    said,
                    source,
                },
            )?;
        }
        let moved = match source {
            BindingSource::Command => taken_from_tasks(&recording)?,
            _ => Vec::new(),
        };
        if !moved.is_empty() {
            let corrected = Corrected::Session(session.clone());
            let Assignment { task, since, .. } = assignment;
            correction::audit(&mut recording, &corrected, task.as_ref(), *since, &moved)?;
        }
        recording.commit()?;
        Ok(Assigned { task, moved })
    }
}

/// Returns the requests that a transaction took from a task and gave to another.
fn taken_from_tasks(recording: &Recording<'_>) -> Result<Vec<Moved>, LedgerError> {
    let mut moved = recording.moved()?;
    moved.retain(|moved| moved.from.is_some() && moved.from != moved.to);
    Ok(moved)
}

fn listed(sessions: &[SessionId]) -> String {
    sessions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn find_files(transcript: &Path, session: Option<&SessionId>) -> Result<SessionFiles, BookingError> {
    session_files::find(transcript, session)
        .map_err(|source| BookingError::Transcript { path: transcript.to_owned(), source })
}

/// Returns the task queue of a project: the worktree's own, else the main worktree's.
pub fn find_queue(project: &Project) -> Option<TaskQueue> {
    [&project.worktree, &project.root].into_iter().find_map(|folder| TaskQueue::find(folder))
}

#[cfg(test)]
mod tests;
