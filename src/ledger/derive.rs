//! Gives requests to their owners (`ownership.rs`), and with that to a place (`placement.rs`): the derived columns.

use jiff::Timestamp;
use rusqlite::Params;
use rusqlite::Row;
use rusqlite::params;

use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::placement::Placement;
use crate::ledger::recording::Recording;

/// That all requests of a session have to be rolled up again.
pub(super) const ALWAYS: Timestamp = Timestamp::MIN;

/// Columns of a stored request that [`placed`] reads.
macro_rules! placed_columns {
    () => {
        "request.id, request.at, request.branch, owner, request.project, task, request.enhancement, bound_agent,
         tags, user, request.command, ticket, pr, commit_hash"
    };
}

/// A stored request, as far as its place depends on it.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) request: i64,
    pub(super) at: Timestamp,
    pub(super) branch: Option<String>,
    pub(super) present: Placement,
}

/// Returns since when, as the ledger stores it.
fn beginning(since: Option<Timestamp>) -> i64 {
    since.map_or(i64::MIN, millis)
}

/// Returns until when, as the ledger stores it.
fn end(until: Option<Timestamp>) -> i64 {
    until.map_or(i64::MAX, millis)
}

impl Recording<'_> {
    /// Gives a stored request to `owner`, and with that to a project and maybe a task.
    ///
    /// Returns whether it came to another project, where other prices may hold.
    pub(super) fn place(&mut self, placed: &Placed, owner: i64) -> Result<bool, LedgerError> {
        let Placed { request, at, branch, present } = placed;
        let placement = self.placement(*at, branch.as_deref(), owner)?;
        if placement == *present {
            return Ok(false);
        }
        self.transaction
            .prepare_cached(
                "UPDATE request SET owner = ?2, project = ?3, task = ?4, enhancement = ?5, bound_agent = ?6,
                        tags = ?7, user = ?8, command = ?9, ticket = ?10, pr = ?11, commit_hash = ?12
                 WHERE id = ?1",
            )?
            .execute(params![
                request,
                owner,
                placement.project,
                placement.task,
                placement.enhancement,
                placement.agent,
                placement.tags,
                placement.user,
                placement.command,
                placement.ticket,
                placement.pr,
                placement.commit,
            ])?;
        // Which request of an agent follows another is different now, too.
        self.changed(present.owner, ALWAYS);
        self.changed(owner, ALWAYS);
        if (placement.task, owner, placement.project) != (present.task, present.owner, present.project) {
            self.touch(present, ALWAYS);
            self.touch(&placement, ALWAYS);
        }
        *self.moves.entry((present.task, placement.task)).or_default() += 1;
        Ok(placement.project != present.project)
    }

    /// Places all requests that `session` owns; returns those that came to another project.
    pub(super) fn place_all_of(&mut self, session: i64) -> Result<Vec<i64>, LedgerError> {
        self.place_all_of_within(session, None, None)
    }

    /// Places the requests that `session` owns and made at `since` or later, before `until`; returns those that came to
    /// another project.
    pub(super) fn place_all_of_within(
        &mut self,
        session: i64,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<i64>, LedgerError> {
        self.place_all("owner = ?1 AND at >= ?2 AND at < ?3", params![session, beginning(since), end(until)])
    }

    /// Places all requests of `project` that were made on `branch`.
    pub(super) fn place_branch(&mut self, project: i64, branch: &str) -> Result<(), LedgerError> {
        self.place_branch_within(project, branch, None, None)
    }

    /// Places the requests of `project` that were made on `branch`, at `since` or later and before `until`.
    pub(super) fn place_branch_within(
        &mut self,
        project: i64,
        branch: &str,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        // What is said of a branch names a task or a pull request and leaves the project as it is.
        self.place_all(
            "owner IN (SELECT session FROM session_branch WHERE branch = ?2) AND project = ?1 AND branch = ?2
             AND at >= ?3 AND at < ?4",
            params![project, branch, beginning(since), end(until)],
        )?;
        Ok(())
    }

    /// Places the requests for which `condition` holds; returns those that came to another project.
    fn place_all(&mut self, condition: &str, parameters: impl Params) -> Result<Vec<i64>, LedgerError> {
        // Their numbers first: what is known of each request of a large session would fill the memory.
        let mut moved = Vec::new();
        for request in self.numbers(condition, parameters)? {
            let placed = self.placed("request.id = ?1", [request])?;
            moved.extend(self.place_again(&placed)?);
        }
        Ok(moved)
    }

    /// Places requests that stay with their owners; returns those that came to another project.
    pub(super) fn place_again(&mut self, requests: &[Placed]) -> Result<Vec<i64>, LedgerError> {
        let mut moved = Vec::new();
        for placed in requests {
            if self.place(placed, placed.present.owner)? {
                moved.push(placed.request);
            }
        }
        Ok(moved)
    }

    /// Returns the numbers of the stored requests for which `condition` holds.
    pub(super) fn numbers(&self, condition: &str, parameters: impl Params) -> Result<Vec<i64>, LedgerError> {
        let numbers = self
            .transaction
            .prepare_cached(&format!("SELECT id FROM request WHERE {condition}"))?
            .query_map(parameters, |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(numbers)
    }

    /// Returns the stored requests for which `condition` holds.
    pub(super) fn placed(
        &self,
        condition: &str,
        parameters: impl Params,
    ) -> Result<Vec<Placed>, LedgerError> {
        let mut statement = self
            .transaction
            .prepare_cached(&format!("SELECT {} FROM request WHERE {condition}", placed_columns!()))?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(placed(row)?);
        }
        Ok(found)
    }

    /// Notes that the totals of the request's present task change, by what is counted of the request.
    pub(super) fn touch_task_of(&mut self, request: i64) -> Result<(), LedgerError> {
        for placed in self.placed("request.id = ?1", [request])? {
            self.touch(&placed.present, placed.at);
        }
        Ok(())
    }

    /// Notes that the totals of the session and the task that a request is placed in change, from `since` on.
    pub(super) fn touch(&mut self, placement: &Placement, since: Timestamp) {
        self.changed(placement.owner, since);
        self.recounted.insert(placement.owner);
        if let Some(task) = placement.task {
            self.touched.entry(task).or_default().insert(placement.owner);
        }
    }

    /// Notes that the requests of `session` which were made at `since` and later have to be rolled up again.
    pub(super) fn changed(&mut self, session: i64, since: Timestamp) {
        self.stale_sessions
            .entry(session)
            .and_modify(|earliest| *earliest = since.min(*earliest))
            .or_insert(since);
    }
}

fn placed(row: &Row<'_>) -> Result<Placed, LedgerError> {
    let present = Placement {
        owner: row.get(3)?,
        project: row.get(4)?,
        task: row.get(5)?,
        enhancement: row.get(6)?,
        agent: row.get(7)?,
        tags: row.get(8)?,
        user: row.get(9)?,
        command: row.get(10)?,
        ticket: row.get(11)?,
        pr: row.get(12)?,
        commit: row.get(13)?,
    };
    Ok(Placed { request: row.get(0)?, at: instant(row.get(1)?)?, branch: row.get(2)?, present })
}
