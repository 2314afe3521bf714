//! Derived columns of a request: its owner, its project and task.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;

use crate::attribution;
use crate::attribution::Binding;
use crate::attribution::BindingSource;
use crate::attribution::Claim;
use crate::id::SessionId;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::path_from;
use crate::ledger::recording::Recording;

/// A binding whose task is its number in the ledger.
pub(super) type StoredBinding = Binding<i64>;

/// What decides about the requests that a session owns.
#[derive(Debug, Default)]
pub(super) struct Owner {
    pub(super) project: Option<i64>,
    pub(super) project_path: Option<PathBuf>,
    bindings: Vec<StoredBinding>,
}

/// Where a request belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) owner: i64,
    pub(super) project: Option<i64>,
    pub(super) task: Option<i64>,
    pub(super) enhancement: Option<String>,
}

/// What was read of bindings in this transaction; emptied when one is added.
#[derive(Debug, Default)]
pub(super) struct Known {
    owners: HashMap<i64, Owner>,
    projects: HashMap<i64, Vec<StoredBinding>>,
}

impl Recording<'_> {
    /// Returns where a request of `owner`, made at `at`, belongs.
    pub(super) fn placement(&mut self, at: Timestamp, owner: i64) -> Result<Placement, LedgerError> {
        let project = self.owner(owner)?.project;
        if let Some(project) = project
            && !self.known.projects.contains_key(&project)
        {
            let bindings = self.bindings("session IS NULL AND project = ?1", project)?;
            self.known.projects.insert(project, bindings);
        }
        let of_session = attribution::session_binding(&self.known.owners[&owner].bindings, at);
        let of_project =
            project.and_then(|project| attribution::project_binding(&self.known.projects[&project], at));
        Ok(Placement {
            owner,
            project,
            task: of_session.and_then(|binding| binding.task).or(of_project.and_then(|binding| binding.task)),
            enhancement: of_session.or(of_project).and_then(|binding| binding.enhancement.clone()),
        })
    }

    /// Gives a stored request to `owner`, and with that to a project and maybe a task.
    ///
    /// Returns whether it came to another project, where other prices may hold.
    pub(super) fn place(
        &mut self,
        request: i64,
        at: Timestamp,
        present: &Placement,
        owner: i64,
    ) -> Result<bool, LedgerError> {
        let placement = self.placement(at, owner)?;
        if placement == *present {
            return Ok(false);
        }
        self.transaction
            .prepare_cached(
                "UPDATE request SET owner = ?2, project = ?3, task = ?4, enhancement = ?5 WHERE id = ?1",
            )?
            .execute(params![request, owner, placement.project, placement.task, placement.enhancement])?;
        self.touch(present);
        self.touch(&placement);
        Ok(placement.project != present.project)
    }

    /// Places all requests that `session` owns; returns those that came to another project.
    pub(super) fn place_all_of(&mut self, session: i64) -> Result<Vec<i64>, LedgerError> {
        let owned = self
            .transaction
            .prepare_cached("SELECT id, at, owner, project, task, enhancement FROM request WHERE owner = ?1")?
            .query_map([session], placed)?
            .collect::<Result<Vec<_>, _>>()?;
        let mut moved = Vec::new();
        for (request, at, present) in owned {
            if self.place(request, instant(at)?, &present, session)? {
                moved.push(request);
            }
        }
        Ok(moved)
    }

    pub(super) fn owner(&mut self, session: i64) -> Result<&Owner, LedgerError> {
        if !self.known.owners.contains_key(&session) {
            let (project, path): (Option<i64>, Option<Vec<u8>>) = self
                .transaction
                .prepare_cached(
                    "SELECT project, path FROM session LEFT JOIN project ON project.id = session.project
                     WHERE session.id = ?1",
                )?
                .query_row([session], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut bindings = self.bindings("session = ?1", session)?;
            attribution::follow(&mut bindings);
            let owner = Owner { project, project_path: path.map(path_from), bindings };
            self.known.owners.insert(session, owner);
        }
        Ok(&self.known.owners[&session])
    }

    /// Notes that the totals of the request's present task change.
    pub(super) fn touch_task_of(&mut self, request: i64) -> Result<(), LedgerError> {
        let (_, _, present) = self
            .transaction
            .prepare_cached("SELECT id, at, owner, project, task, enhancement FROM request WHERE id = ?1")?
            .query_row([request], placed)?;
        self.touch(&present);
        Ok(())
    }

    /// Notes that the totals of the task that a request is placed in change.
    pub(super) fn touch(&mut self, placement: &Placement) {
        if let Some(task) = placement.task {
            self.touched.entry(task).or_default().insert(placement.owner);
        }
    }

    fn bindings(&self, condition: &str, of: i64) -> Result<Vec<StoredBinding>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(&format!(
            "SELECT task, enhancement, begins, said, source FROM binding WHERE {condition} ORDER BY id"
        ))?;
        let mut rows = statement.query([of])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let source: String = row.get(4)?;
            found.push(StoredBinding {
                task: row.get(0)?,
                enhancement: row.get(1)?,
                from: row.get::<_, Option<i64>>(2)?.map(instant).transpose()?,
                said: instant(row.get(3)?)?,
                source: BindingSource::from_name(&source)
                    .ok_or_else(|| LedgerError::Corrupt { what: format!("binding source `{source}`") })?,
            });
        }
        Ok(found)
    }

    /// Decides anew who owns the shared requests that any of `sessions` shows.
    ///
    /// Returns those that came to another project.
    pub(super) fn derive_owners(&mut self, sessions: &BTreeSet<i64>) -> Result<Vec<i64>, LedgerError> {
        let mut first_lines = HashMap::new();
        let mut moved = Vec::new();
        for (request, at, present) in self.shared_requests(sessions)? {
            let claims = self.claims(request, &mut first_lines)?;
            let Some(owner) = attribution::owner(&claims) else { continue };
            let owner = self.session(owner)?;
            if owner != present.owner && self.place(request, instant(at)?, &present, owner)? {
                moved.push(request);
            }
        }
        Ok(moved)
    }

    fn shared_requests(&self, sessions: &BTreeSet<i64>) -> Result<Vec<(i64, i64, Placement)>, LedgerError> {
        // The cross join makes SQLite begin with the shared requests: there are few of them, and none for most people.
        let mut statement = self.transaction.prepare_cached(
            "SELECT request.id, request.at, owner, project, task, enhancement
             FROM request CROSS JOIN appearance ON appearance.request = request.id
             WHERE request.shared AND appearance.session = ?1 GROUP BY request.id",
        )?;
        let mut found = BTreeMap::new();
        for session in sessions {
            for row in statement.query_map([session], placed)? {
                let row = row?;
                found.insert(row.0, row);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Returns the sessions that show `request`.
    pub(super) fn sessions_showing(&self, request: i64) -> Result<Vec<i64>, LedgerError> {
        let sessions = self
            .transaction
            .prepare_cached("SELECT DISTINCT session FROM appearance WHERE request = ?1")?
            .query_map([request], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(sessions)
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
    pub(super) fn first_line_of(&self, session: i64) -> Result<Option<Timestamp>, LedgerError> {
        let plain: Option<i64> = self
            .transaction
            .prepare_cached("SELECT first_own_line FROM session WHERE id = ?1")?
            .query_row([session], |row| row.get(0))?;
        let own: Option<i64> = self
            .transaction
            .prepare_cached(
                "SELECT mine.at FROM appearance AS mine
                 WHERE mine.session = ?1 AND NOT EXISTS (
                     SELECT 1 FROM appearance AS other
                     WHERE other.uuid = mine.uuid AND other.session <> mine.session)
                 ORDER BY mine.at LIMIT 1",
            )?
            .query_row([session], |row| row.get(0))
            .optional()?;
        let earliest = [plain, own].into_iter().flatten().min();
        earliest.map(instant).transpose()
    }
}

/// A row of a request's number, its time and where it belongs.
fn placed(row: &Row<'_>) -> rusqlite::Result<(i64, i64, Placement)> {
    let placement =
        Placement { owner: row.get(2)?, project: row.get(3)?, task: row.get(4)?, enhancement: row.get(5)? };
    Ok((row.get(0)?, row.get(1)?, placement))
}
