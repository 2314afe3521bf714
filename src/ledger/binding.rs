//! What hooks and people said that sessions and projects work on, stored as it was said.
//!
//! From which request on a statement holds is derived from all of them: `attribution::follow`.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::Params;
use rusqlite::params;

use crate::attribution::BindingSource;
use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::placement::Known;
use crate::ledger::recording::Recording;
use crate::ledger::task::TaskRow;
use crate::project::Project;

/// What says that a session works on a task.
#[derive(Debug, Clone, Copy)]
pub struct NewBinding<'a> {
    /// The task, and the project it belongs to.
    pub task: Option<TaskRow>,
    /// `CMAT_ENHANCEMENT`.
    pub enhancement: Option<&'a str>,
    /// `CMAT_AGENT`.
    pub agent: Option<&'a str>,
    /// `CMAT_TAGS` as a JSON object.
    pub tags: Option<&'a str>,
    /// `CMAT_USER`.
    pub user: Option<&'a str>,
    /// The first instant that it was said of; `None`: all that was, or, of a hook, the run that was over.
    pub since: Option<Timestamp>,
    /// When it was said.
    pub said: Timestamp,
    /// What said it.
    pub source: BindingSource,
}

impl Ledger {
    /// Returns whether a hook or a person said at `moment` or later what `session` works on.
    pub fn is_told_since(&self, session: &SessionId, moment: Timestamp) -> Result<bool, LedgerError> {
        let is_told = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM binding
                                WHERE session = (SELECT id FROM session WHERE name = ?1) AND said >= ?2)",
            )?
            .query_row(params![session.as_str(), millis(moment)], |row| row.get(0))?;
        Ok(is_told)
    }
}

impl Recording<'_> {
    /// Stores that something said what `session` works on from `since`, or worked on in the run that ended when it
    /// was said.
    ///
    /// From which request on that holds is derived from all that was said, so the order in which hooks get here
    /// changes nothing, nor does saying it twice.
    pub fn bind_session(&mut self, session: &SessionId, binding: &NewBinding<'_>) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        let said = millis(binding.said);
        let since = binding.since.map(millis);
        let is_known = self.transaction.query_row(
            "SELECT EXISTS (SELECT * FROM binding WHERE session = ?1 AND said = ?2 AND task IS ?3
                            AND enhancement IS ?4 AND source = ?5
                            AND (source NOT IN ('command', 'run') OR begins IS ?6)
                            AND agent IS ?7 AND tags IS ?8 AND user IS ?9)",
            params![
                session,
                said,
                binding.task.map(|task| task.0),
                binding.enhancement,
                binding.source.as_str(),
                since,
                binding.agent,
                binding.tags,
                binding.user,
            ],
            |row| row.get(0),
        )?;
        if is_known {
            return Ok(());
        }
        let latest = self.latest_binding("session = ?1", [session])?;
        self.insert_binding(Some(session), None, since, binding)?;
        self.known = Known::default();
        let is_repeated = latest.is_some_and(|latest| {
            let says_the_same = latest.said <= said && latest.says(binding);
            match binding.source {
                BindingSource::Command => false,
                // Each hook of a run says the same of the same time.
                BindingSource::Run => {
                    says_the_same && latest.source == binding.source.as_str() && latest.begins == since
                }
                _ => says_the_same,
            }
        });
        if !is_repeated {
            // A binding names a task and leaves the project as it is.
            self.place_all_of(session)?;
        }
        Ok(())
    }

    /// Stores that a person said what the requests on `branch` in `project` belong to; see [`attribution::follow`].
    ///
    /// [`attribution::follow`]: crate::attribution::follow
    pub fn bind_branch(
        &mut self,
        project: &Path,
        branch: &str,
        binding: &NewBinding<'_>,
    ) -> Result<(), LedgerError> {
        let project = self.project(project)?;
        let begins = binding.since.map(millis);
        self.insert_binding(None, Some((project, Some(branch))), begins, binding)?;
        self.known = Known::default();
        self.place_branch(project, branch)
    }

    /// Binds what happens in a project from now on, in sessions that nothing else binds (`cmat task use`): in those of
    /// its worktree, and of other worktrees of which nobody said anything.
    pub fn bind_project(&mut self, project: &Project, binding: &NewBinding<'_>) -> Result<(), LedgerError> {
        let worktree = path_bytes(&project.worktree);
        let project = self.project(&project.root)?;
        let condition = "session IS NULL AND branch IS NULL AND project = ?1 AND worktree = ?2";
        let latest = self.latest_binding(condition, params![project, worktree])?;
        if latest.is_some_and(|latest| latest.says(binding)) {
            return Ok(());
        }
        self.insert_binding(None, Some((project, None)), Some(millis(binding.said)), binding)?;
        self.transaction.execute(
            "UPDATE binding SET worktree = ?1 WHERE id = ?2",
            params![worktree, self.transaction.last_insert_rowid()],
        )?;
        self.known = Known::default();
        Ok(())
    }

    fn insert_binding(
        &mut self,
        session: Option<i64>,
        project: Option<(i64, Option<&str>)>,
        begins: Option<i64>,
        binding: &NewBinding<'_>,
    ) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO binding (session, project, task, enhancement, agent, tags, begins, said, source,
                                      branch, user)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                session,
                project.map(|(project, _)| project),
                binding.task.map(|task| task.0),
                binding.enhancement,
                binding.agent,
                binding.tags,
                begins,
                millis(binding.said),
                binding.source.as_str(),
                project.and_then(|(_, branch)| branch),
                binding.user,
            ])?;
        Ok(())
    }

    fn latest_binding(
        &self,
        condition: &str,
        parameters: impl Params,
    ) -> Result<Option<LatestBinding>, LedgerError> {
        let latest = self
            .transaction
            .prepare_cached(&format!(
                "SELECT task, enhancement, agent, tags, user, source, said, begins FROM binding WHERE {condition}
                 ORDER BY said DESC, id DESC"
            ))?
            .query_row(parameters, |row| {
                Ok(LatestBinding {
                    task: row.get(0)?,
                    enhancement: row.get(1)?,
                    agent: row.get(2)?,
                    tags: row.get(3)?,
                    user: row.get(4)?,
                    source: row.get(5)?,
                    said: row.get(6)?,
                    begins: row.get(7)?,
                })
            })
            .optional()?;
        Ok(latest)
    }
}

struct LatestBinding {
    task: Option<i64>,
    enhancement: Option<String>,
    agent: Option<String>,
    tags: Option<String>,
    user: Option<String>,
    source: String,
    /// In milliseconds, as `begins`.
    said: i64,
    begins: Option<i64>,
}

impl LatestBinding {
    fn says(&self, binding: &NewBinding<'_>) -> bool {
        self.task == binding.task.map(|task| task.0)
            && self.enhancement.as_deref() == binding.enhancement
            && self.agent.as_deref() == binding.agent
            && self.tags.as_deref() == binding.tags
            && self.user.as_deref() == binding.user
            && (self.source == binding.source.as_str() || binding.source != BindingSource::Command)
    }
}
