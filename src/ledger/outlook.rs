//! What a session was counted for last: what its next request will be counted for, unless somebody says otherwise.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::params;

use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::recording::Recording;
use crate::project::Project;

/// The latest that is known of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latest {
    /// The branch of its last request.
    pub branch: Option<String>,
    /// The task of its last request, else of its last binding.
    pub task: Option<String>,
    /// The enhancement, likewise.
    pub enhancement: Option<String>,
    /// The model of the last request of the session itself, by the id of its price row; of one that has begun since, what
    /// its client calls it.
    pub model: Option<String>,
    /// When that was known last.
    pub model_at: Option<Timestamp>,
    /// The tags of its last request, else of its last binding.
    pub tags: BTreeMap<String, String>,
}

impl Recording<'_> {
    /// Notes which model a session begins with, or goes on with.
    pub fn session_begins_with(&mut self, session: &SessionId, model: &str) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        self.transaction
            .prepare_cached("UPDATE session SET begun_with = ?2, begun_at = ?3 WHERE id = ?1")?
            .execute(params![session, model, millis(self.now)])?;
        Ok(())
    }
}

impl Ledger {
    /// Returns the latest that is known of `session`.
    pub fn latest_of(&self, session: &SessionId) -> Result<Latest, LedgerError> {
        let requested = self
            .connection
            .prepare_cached(
                "SELECT branch, task.name, coalesce(task.enhancement, request.enhancement),
                        (SELECT model FROM charge WHERE charge.request = request.id ORDER BY part LIMIT 1), tags,
                        request.at
                 FROM request LEFT JOIN task ON task.id = request.task
                 WHERE owner = (SELECT id FROM session WHERE name = ?1) AND agent_id IS NULL
                 ORDER BY at DESC LIMIT 1",
            )?
            .query_row([session.as_str()], |row| {
                Ok(Latest {
                    branch: row.get(0)?,
                    task: row.get(1)?,
                    enhancement: row.get(2)?,
                    model: row.get(3)?,
                    tags: tags(row.get(4)?),
                    model_at: Timestamp::from_millisecond(row.get(5)?).ok(),
                })
            })
            .optional()?;
        let begun: Option<(Option<String>, Option<i64>)> = self
            .connection
            .prepare_cached("SELECT begun_with, begun_at FROM session WHERE name = ?1")?
            .query_row([session.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let bound: Option<(Option<String>, Option<String>, Option<String>)> = self
            .connection
            .prepare_cached(
                "SELECT task.name, coalesce(task.enhancement, binding.enhancement), tags
                 FROM binding LEFT JOIN task ON task.id = binding.task
                 WHERE session = (SELECT id FROM session WHERE name = ?1) ORDER BY said DESC LIMIT 1",
            )?
            .query_row([session.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let mut latest = requested.unwrap_or_default();
        if let Some((Some(model), Some(at))) = begun
            && latest.model_at.is_none_or(|requested| millis(requested) < at)
        {
            (latest.model, latest.model_at) = (Some(model), Some(instant(at)?));
        }
        let (task, enhancement, bound_tags) = bound.unwrap_or_default();
        latest.task = latest.task.or(task);
        latest.enhancement = latest.enhancement.or(enhancement);
        if latest.tags.is_empty() {
            latest.tags = tags(bound_tags);
        }
        Ok(latest)
    }

    /// Returns whether it is known that `session` runs in `project`, in that worktree.
    pub fn is_session_in(&self, session: &SessionId, project: &Project) -> Result<bool, LedgerError> {
        let known = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM session JOIN project ON project.id = session.project
                                WHERE name = ?1 AND path = ?2 AND worktree = ?3)",
            )?
            .query_row(
                params![session.as_str(), path_bytes(&project.root), path_bytes(&project.worktree)],
                |row| row.get(0),
            )?;
        Ok(known)
    }

    /// Returns the enhancement that the queue names for a task of `project`.
    pub fn enhancement_of(&self, project: &Path, task: &str) -> Result<Option<String>, LedgerError> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT enhancement FROM task
                 WHERE name = ?1 AND project = (SELECT id FROM project WHERE path = ?2)",
            )?
            .query_row(params![task, path_bytes(project)], |row| row.get(0))
            .optional()?;
        Ok(found.flatten())
    }
}

/// Reads a column of tags; one that is no object of texts has none.
fn tags(column: Option<String>) -> BTreeMap<String, String> {
    column.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}
