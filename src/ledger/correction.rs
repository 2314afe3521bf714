//! What a correction changes: which task each request had, and which it has then.
//!
//! A correction is a binding like others (`binding.rs`). Nothing here writes a fact: what is derived is derived again.

use std::collections::BTreeSet;

use rusqlite::OptionalExtension as _;
use rusqlite::params;
use serde::Serialize;

use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::recording::PriceRequest;
use crate::ledger::recording::Recording;
use crate::ledger::unsigned;
use crate::project::Project;

/// Requests that go from one task to another; `None` is no task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The task that they had.
    pub from: Option<String>,
    /// The task that they have; the same one where only their session, project or enhancement is another.
    pub to: Option<String>,
    /// How many requests.
    pub requests: u64,
}

/// What deriving everything again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reattributed {
    /// Requests that were looked at, changed or not.
    #[serde(rename = "requests")]
    pub n_requests: u64,
    /// Those that belong elsewhere than before.
    pub moved: Vec<Moved>,
}

impl Ledger {
    /// Returns the project and worktree that `session` ran in, if they are known.
    pub fn project_of(&self, session: &SessionId) -> Result<Option<Project>, LedgerError> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT path, coalesce(worktree, path) FROM session JOIN project ON project.id = session.project
                 WHERE name = ?1",
            )?
            .query_row([session.as_str()], |row| {
                Ok(Project { root: path_from(row.get(0)?), worktree: path_from(row.get(1)?) })
            })
            .optional()?;
        Ok(found)
    }

    /// Returns whether a request was made on `branch` of the project.
    pub fn knows_branch(&self, project: &Project, branch: &str) -> Result<bool, LedgerError> {
        let known = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM request JOIN project ON project.id = request.project
                                WHERE path = ?1 AND branch = ?2)",
            )?
            .query_row(params![path_bytes(&project.root), branch], |row| row.get(0))?;
        Ok(known)
    }
}

impl Recording<'_> {
    /// Derives owner, project, task and enhancement of every request again, and writes to the audit what changes.
    ///
    /// Nothing does unless cmat's rules changed, or somebody else wrote to the ledger.
    pub fn reattribute(&mut self, price: &mut PriceRequest<'_>) -> Result<Reattributed, LedgerError> {
        let sharing: BTreeSet<i64> = self
            .transaction
            .prepare_cached(
                "SELECT DISTINCT session FROM request JOIN other_appearance ON other_appearance.request = request.id
                 WHERE shared",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut repriced: BTreeSet<i64> = self.settle_all_owners(&sharing)?.into_iter().collect();
        let mut after = i64::MIN;
        loop {
            let page = self.placed("request.id > ?1 ORDER BY request.id LIMIT 1000", [after])?;
            let Some(last) = page.last() else { break };
            after = last.request;
            repriced.extend(self.place_again(&page)?);
        }
        for request in repriced {
            self.stamp_moved(request, price)?;
        }
        let n_requests: i64 =
            self.transaction
                .query_row("SELECT coalesce(sum(requests), 0) FROM request", [], |row| row.get(0))?;
        let again = Reattributed { n_requests: unsigned(n_requests)?, moved: self.moved()? };
        if !again.moved.is_empty() {
            self.audit("reattributed", &again)?;
        }
        Ok(again)
    }

    /// Returns the requests that this transaction placed anew so far, by their tasks.
    pub fn moved(&self) -> Result<Vec<Moved>, LedgerError> {
        let mut statement = self.transaction.prepare_cached("SELECT name FROM task WHERE id = ?1")?;
        let mut name = |task: Option<i64>| -> Result<Option<String>, LedgerError> {
            Ok(task.map(|task| statement.query_row([task], |row| row.get(0))).transpose()?)
        };
        let mut moved = Vec::new();
        for ((from, to), requests) in &self.moves {
            moved.push(Moved { from: name(*from)?, to: name(*to)?, requests: *requests });
        }
        Ok(moved)
    }
}
