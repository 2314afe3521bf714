//! What a person says afterwards: which task requests belong to.

use jiff::Timestamp;
use serde_json::json;

use crate::attribution::BindingSource;
use crate::booking;
use crate::booking::BookingError;
use crate::booking::Books;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::LedgerError;
use crate::ledger::binding::NewBinding;
use crate::ledger::correction::Moved;
use crate::ledger::recording::Recording;
use crate::project::Project;

/// Whose requests a correction is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Corrected {
    /// Those that a session owns.
    Session(SessionId),
    /// Those made on a branch of the project.
    Branch(String),
}

impl Books {
    /// Says that the requests of `corrected` belong to `task` of `project`, from `since` on or from the beginning.
    ///
    /// Returns the requests that this moves; the audit has a line of it. The queues follow with
    /// [`Books::project_pending`].
    ///
    /// # Errors
    /// Only those of the ledger; nothing is changed then.
    pub fn correct(
        &mut self,
        corrected: &Corrected,
        project: &Project,
        task: &TaskId,
        since: Option<Timestamp>,
    ) -> Result<Vec<Moved>, BookingError> {
        let mut recording = self.ledger.record(Durability::Irreplaceable, self.now)?;
        let row = recording.task(&project.root, task)?;
        if let Some(queue) = booking::find_queue(project) {
            recording.show_in_queue(row, queue.path())?;
        }
        let binding = NewBinding {
            task: Some(row),
            enhancement: None,
            agent: None,
            tags: None,
            user: None,
            since,
            said: self.now,
            source: BindingSource::Command,
        };
        match corrected {
            Corrected::Session(session) => recording.bind_session(session, &binding)?,
            Corrected::Branch(branch) => recording.bind_branch(&project.root, branch, &binding)?,
        }
        let moved = recording.moved()?;
        audit(&mut recording, corrected, Some(task), since, &moved)?;
        recording.commit()?;
        Ok(moved)
    }
}

/// Notes in the audit that a person said which task the requests of `corrected` belong to.
pub(super) fn audit(
    recording: &mut Recording<'_>,
    corrected: &Corrected,
    task: Option<&TaskId>,
    since: Option<Timestamp>,
    moved: &[Moved],
) -> Result<(), LedgerError> {
    let (session, branch) = match corrected {
        Corrected::Session(session) => (Some(session), None),
        Corrected::Branch(branch) => (None, Some(branch)),
    };
    recording.audit(
        "assigned",
        &json!({ "session": session, "branch": branch, "task": task, "since": since, "moved": moved }),
    )
}
