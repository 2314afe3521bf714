//! Derived columns of a request: its owner, and with that its place (`placement.rs`).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use rusqlite::Params;
use rusqlite::Row;
use rusqlite::params;

use crate::attribution;
use crate::attribution::Claim;
use crate::id::SessionId;
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
        let found = self
            .transaction
            .prepare_cached(&format!("SELECT id FROM request WHERE {condition}"))?
            .query_map(parameters, |row| row.get(0))?
            .collect::<Result<Vec<i64>, _>>()?;
        let mut moved = Vec::new();
        for request in found {
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

    /// Decides anew who owns the shared requests that any of `sessions` shows.
    ///
    /// Returns those that came to another project.
    pub(super) fn derive_owners(&mut self, sessions: &BTreeSet<i64>) -> Result<Vec<i64>, LedgerError> {
        let mut first_lines = HashMap::new();
        let mut moved = Vec::new();
        for placed in self.shared_requests(sessions)? {
            let claims = self.claims(placed.request, &mut first_lines)?;
            let Some(owner) = attribution::owner(&claims) else { continue };
            let owner = self.session(owner)?;
            if owner != placed.present.owner && self.place(&placed, owner)? {
                moved.push(placed.request);
            }
        }
        Ok(moved)
    }

    fn shared_requests(&self, sessions: &BTreeSet<i64>) -> Result<Vec<Placed>, LedgerError> {
        let mut found = BTreeMap::new();
        for session in sessions {
            let shown = "shared AND request.id IN (SELECT request FROM other_appearance WHERE session = ?1)";
            found.extend(self.placed(shown, [session])?.into_iter().map(|placed| (placed.request, placed)));
        }
        Ok(found.into_values().collect())
    }

    fn claims(
        &self,
        request: i64,
        first_lines: &mut HashMap<i64, Option<Timestamp>>,
    ) -> Result<Vec<Claim>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT session.id, session.name, min(request_session)
             FROM appearance JOIN session ON session.id = appearance.session
             WHERE request = ?1 GROUP BY session.id",
        )?;
        let mut rows = statement.query([request])?;
        let mut claims = Vec::new();
        while let Some(row) = rows.next()? {
            let session: i64 = row.get(0)?;
            let first_own_line = match first_lines.get(&session) {
                Some(known) => *known,
                None => *first_lines.entry(session).or_insert(self.first_line_of(session)?),
            };
            let name = |text: String| {
                SessionId::new(text)
                    .map_err(|_| LedgerError::Corrupt { what: "an empty session id".to_owned() })
            };
            claims.push(Claim {
                session: name(row.get(1)?)?,
                request_session: row.get::<_, Option<String>>(2)?.map(name).transpose()?,
                first_own_line,
            });
        }
        Ok(claims)
    }

    /// Returns the earliest line that is the session's own: one without `uuid`, or with a `uuid` that no other
    /// session has.
    ///
    /// Lines with the same `uuid` are of the same request: a request that stands in one file only has no copy elsewhere.
    pub(super) fn first_line_of(&self, session: i64) -> Result<Option<Timestamp>, LedgerError> {
        let plain: Option<i64> = self
            .transaction
            .prepare_cached("SELECT first_own_line FROM session WHERE id = ?1")?
            .query_row([session], |row| row.get(0))?;
        let own: Option<i64> = self
            .transaction
            .prepare_cached(
                "SELECT mine.at FROM other_appearance AS mine
                 WHERE mine.session = ?1 AND NOT EXISTS (
                     SELECT 1 FROM other_appearance AS other
                     WHERE other.uuid = mine.uuid AND other.session <> mine.session)
                 ORDER BY mine.at LIMIT 1",
            )?
            .query_row([session], |row| row.get(0))
            .optional()?;
        let earliest = plain.into_iter().chain(own).min();
        let only: Option<i64> = self
            .transaction
            .prepare_cached(
                "SELECT at FROM request WHERE owner = ?1 AND at < ?2 AND file IS NOT NULL ORDER BY at LIMIT 1",
            )?
            .query_row([session, earliest.unwrap_or(i64::MAX)], |row| row.get(0))
            .optional()?;
        let earliest = earliest.into_iter().chain(only).min();
        earliest.map(instant).transpose()
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
