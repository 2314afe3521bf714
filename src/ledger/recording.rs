//! Writing: facts of one run and everything derived from them, in one transaction.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use rusqlite::Transaction;
use rusqlite::params;
use serde::Serialize;

use crate::attribution::BindingSource;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::LedgerError;
use crate::ledger::cursor::FileId;
use crate::ledger::derive;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::requests;
use crate::ledger::requests::Appeared;
use crate::pricing::Charge;
use crate::usage::RequestFacts;
use crate::usage::UsageRecord;

/// Prices a request with the table of its project (`None`: no project is known).
pub type PriceRequest<'table> = dyn FnMut(Option<&Path>, &RequestFacts) -> Vec<Charge> + 'table;

/// A task's number in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRow(pub(super) i64);

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
    /// When it was said.
    pub said: Timestamp,
    /// What said it.
    pub source: BindingSource,
}

/// An open transaction of the ledger; dropped without [`Recording::commit`], nothing of it happened.
#[derive(Debug)]
pub struct Recording<'ledger> {
    pub(super) transaction: Transaction<'ledger>,
    sessions: HashMap<SessionId, i64>,
    pub(super) known: derive::Known,
    /// Sessions whose claims on shared requests may have changed.
    reclaimed: BTreeSet<i64>,
    pub(super) touched: BTreeSet<i64>,
}

impl<'ledger> Recording<'ledger> {
    pub(super) fn new(transaction: Transaction<'ledger>) -> Self {
        Self {
            transaction,
            sessions: HashMap::new(),
            known: derive::Known::default(),
            reclaimed: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Records usage that stands in `file`; returns how many requests were not known before.
    pub fn usage(
        &mut self,
        file: FileId,
        records: &[UsageRecord],
        price: &mut PriceRequest<'_>,
    ) -> Result<u64, LedgerError> {
        let mut n_new = 0;
        for record in records {
            n_new += u64::from(self.record(file, record, price)?);
        }
        Ok(n_new)
    }

    fn record(
        &mut self,
        file: FileId,
        record: &UsageRecord,
        price: &mut PriceRequest<'_>,
    ) -> Result<bool, LedgerError> {
        let session = self.session(&record.session)?;
        let known = requests::find(&self.transaction, &record.facts.key)?;
        let is_new = known.is_none();
        let request = match known {
            None => {
                let placement = self.placement(record.facts.origin.timestamp, session)?;
                let request = requests::insert(&self.transaction, &record.facts, session, &placement)?;
                self.touched.extend(placement.task);
                self.stamp(request, session, &record.facts, price)?;
                request
            }
            Some(stored) => {
                let mut facts = stored.facts.clone();
                facts.merge(&record.facts);
                if facts != stored.facts {
                    let origin_session = self.session(&facts.origin.session)?;
                    requests::update(&self.transaction, stored.id, &facts, origin_session)?;
                    if facts.origin.timestamp != stored.facts.origin.timestamp {
                        self.place(stored.id, facts.origin.timestamp, stored.owner.unwrap_or(session))?;
                    }
                    self.touch_task_of(stored.id)?;
                    if facts.tokens != stored.facts.tokens || facts.flags != stored.facts.flags {
                        self.stamp_again(&stored, &facts, price)?;
                    }
                }
                if stored.shared {
                    self.reclaimed.insert(session);
                }
                stored.id
            }
        };
        let appeared = requests::appear(&self.transaction, request, session, file, record)?;
        if appeared == Appeared::InAnotherSession || self.names_another_owner(record) {
            self.transaction
                .prepare_cached("UPDATE request SET shared = 1 WHERE id = ?1")?
                .execute([request])?;
            self.reclaimed.insert(session);
        }
        Ok(is_new)
    }

    fn names_another_owner(&self, record: &UsageRecord) -> bool {
        record.request_session.as_ref().is_some_and(|named| *named != record.session)
    }

    /// Stores the earliest line of `session` that no copy can have; see [`crate::attribution::Claim`].
    pub fn first_own_line(&mut self, session: &SessionId, at: Timestamp) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        let n_changed = self
            .transaction
            .prepare_cached(
                "UPDATE session SET first_own_line = ?2
                 WHERE id = ?1 AND (first_own_line IS NULL OR first_own_line > ?2)",
            )?
            .execute(params![session, millis(at)])?;
        if n_changed > 0 {
            self.reclaimed.insert(session);
        }
        Ok(())
    }

    /// Stores the project and worktree that `session` ran in.
    pub fn session_in_project(
        &mut self,
        session: &SessionId,
        project: &Path,
        worktree: &Path,
        sure: Sureness,
    ) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        let project = self.project(project)?;
        let condition = match sure {
            Sureness::Told => "project IS NOT ?2 OR worktree IS NOT ?3",
            Sureness::Guessed => "project IS NULL",
        };
        let n_changed = self
            .transaction
            .prepare_cached(&format!(
                "UPDATE session SET project = ?2, worktree = ?3 WHERE id = ?1 AND ({condition})"
            ))?
            .execute(params![session, project, path_bytes(worktree)])?;
        if n_changed > 0 {
            self.known = derive::Known::default();
            self.place_all_of_session(session)?;
        }
        Ok(())
    }

    /// Returns whether it is known where `session` ran.
    pub fn has_project(&mut self, session: &SessionId) -> Result<bool, LedgerError> {
        let session = self.session(session)?;
        Ok(self.owner(session)?.project.is_some())
    }

    /// Stores that Claude Code said `session` ended.
    pub fn session_ended(
        &mut self,
        session: &SessionId,
        at: Timestamp,
        reason: Option<&str>,
    ) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        self.transaction
            .prepare_cached(
                "UPDATE session SET ended = ?2, end_reason = ?3 WHERE id = ?1 AND coalesce(ended, ?2) <= ?2",
            )?
            .execute(params![session, millis(at), reason])?;
        Ok(())
    }

    /// Returns the number of `task` in the project at `project`; it is there from now on.
    pub fn task(&mut self, project: &Path, task: &TaskId) -> Result<TaskRow, LedgerError> {
        let project = self.project(project)?;
        self.transaction
            .prepare_cached("INSERT INTO task (project, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![project, task.as_str()])?;
        let row = self
            .transaction
            .prepare_cached("SELECT id FROM task WHERE project = ?1 AND name = ?2")?
            .query_row(params![project, task.as_str()], |row| row.get(0))?;
        Ok(TaskRow(row))
    }

    /// Stores what a task queue says of a task beside its cost.
    pub fn describe_task(
        &mut self,
        task: TaskRow,
        title: Option<&str>,
        enhancement: Option<&str>,
        agent: Option<&str>,
    ) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "UPDATE task SET title = coalesce(?2, title), enhancement = coalesce(?3, enhancement),
                        agent = coalesce(?4, agent) WHERE id = ?1",
            )?
            .execute(params![task.0, title, enhancement, agent])?;
        Ok(())
    }

    /// Makes a task of cmat's own and returns its id: `T-1`, `T-2` … in each project.
    pub fn new_task(
        &mut self,
        project: &Path,
        title: &str,
        enhancement: Option<&str>,
        now: Timestamp,
    ) -> Result<TaskId, LedgerError> {
        let project = self.project(project)?;
        let last: i64 = self.transaction.query_row(
            "SELECT coalesce(max(CAST(substr(name, 3) AS INTEGER)), 0) FROM task
             WHERE project = ?1 AND name GLOB 'T-[0-9]*'",
            [project],
            |row| row.get(0),
        )?;
        let name = format!("T-{}", last.saturating_add(1));
        self.transaction.execute(
            "INSERT INTO task (project, name, title, enhancement, created) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![project, name, title, enhancement, millis(now)],
        )?;
        TaskId::new(name).map_err(|_| LedgerError::Corrupt { what: "an endless task number".to_owned() })
    }

    /// Binds `session` to a task: from its beginning if nothing bound it before or a person says so, else from where
    /// it ended last or something else was said of it. A hook says at the end what held for the whole run.
    ///
    /// Saying again what holds already changes nothing, so a hook that runs twice binds once.
    pub fn bind_session(&mut self, session: &SessionId, binding: &NewBinding<'_>) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        let latest = self.latest_binding("session = ?1", session)?;
        if latest.as_ref().is_some_and(|latest| latest.says(binding)) {
            return Ok(());
        }
        let begins: Option<i64> = match (latest, binding.source) {
            (None, _) | (_, BindingSource::Command) => None,
            (Some(latest), _) => self.transaction.query_row(
                "SELECT max(coalesce(ended, ?2), ?2) + 1 FROM session WHERE id = ?1",
                [session, latest.said],
                |row| row.get(0),
            )?,
        };
        self.insert_binding(Some(session), None, begins, binding)?;
        self.known = derive::Known::default();
        self.place_all_of_session(session)
    }

    /// Binds what happens in `project` from now on, in sessions that nothing else binds (`cmat task use`).
    pub fn bind_project(&mut self, project: &Path, binding: &NewBinding<'_>) -> Result<(), LedgerError> {
        let project = self.project(project)?;
        let latest = self.latest_binding("session IS NULL AND project = ?1", project)?;
        if latest.is_some_and(|latest| latest.says(binding)) {
            return Ok(());
        }
        self.insert_binding(None, Some(project), Some(millis(binding.said)), binding)?;
        self.known = derive::Known::default();
        Ok(())
    }

    fn insert_binding(
        &mut self,
        session: Option<i64>,
        project: Option<i64>,
        begins: Option<i64>,
        binding: &NewBinding<'_>,
    ) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO binding (session, project, task, enhancement, agent, tags, begins, said, source)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                session,
                project,
                binding.task.map(|task| task.0),
                binding.enhancement,
                binding.agent,
                binding.tags,
                begins,
                millis(binding.said),
                binding.source.as_str(),
            ])?;
        Ok(())
    }

    fn latest_binding(&self, condition: &str, of: i64) -> Result<Option<LatestBinding>, LedgerError> {
        let latest = self
            .transaction
            .prepare_cached(&format!(
                "SELECT task, enhancement, source, said FROM binding WHERE {condition}
                 ORDER BY said DESC, id DESC"
            ))?
            .query_row([of], |row| {
                Ok(LatestBinding {
                    task: row.get(0)?,
                    enhancement: row.get(1)?,
                    source: row.get(2)?,
                    said: row.get(3)?,
                })
            })
            .optional()?;
        Ok(latest)
    }

    /// Has the queue at `queue` show what the task costs, from the next projection on.
    pub fn show_in_queue(&mut self, task: TaskRow, queue: &Path) -> Result<(), LedgerError> {
        let n_new = self
            .transaction
            .prepare_cached(
                "INSERT INTO projection (task, queue, changes, shown_changes) VALUES (?1, ?2, 0, 0)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![task.0, path_bytes(queue)])?;
        if n_new > 0 {
            self.touched.insert(task.0);
        }
        Ok(())
    }

    /// Notes that the intent `name` is booked: once that is safe on disk, its file can go.
    pub fn booked(&mut self, name: &str, now: Timestamp) -> Result<(), LedgerError> {
        self.transaction.execute(
            "INSERT INTO booked_intent (name, booked) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![name, millis(now)],
        )?;
        Ok(())
    }

    /// Forgets the intent `name`, whose file is gone.
    pub fn intent_removed(&mut self, name: &str) -> Result<(), LedgerError> {
        self.transaction.execute("DELETE FROM booked_intent WHERE name = ?1", [name])?;
        Ok(())
    }

    /// Adds a line to the audit.
    pub fn audit(&mut self, now: Timestamp, kind: &str, detail: &impl Serialize) -> Result<(), LedgerError> {
        self.transaction.execute(
            "INSERT INTO audit (at, kind, detail) VALUES (?1, ?2, ?3)",
            params![millis(now), kind, serde_json::to_string(detail)?],
        )?;
        Ok(())
    }

    /// Derives the owners that changed, marks what the task queues must show, and commits.
    pub fn commit(mut self) -> Result<(), LedgerError> {
        self.finish()?;
        self.transaction.commit()?;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), LedgerError> {
        let reclaimed = std::mem::take(&mut self.reclaimed);
        self.derive_owners(&reclaimed)?;
        for task in std::mem::take(&mut self.touched) {
            self.transaction
                .prepare_cached("UPDATE projection SET changes = changes + 1 WHERE task = ?1")?
                .execute([task])?;
        }
        Ok(())
    }

    /// Returns the number of `session`; it is there from now on.
    pub(super) fn session(&mut self, session: &SessionId) -> Result<i64, LedgerError> {
        if let Some(row) = self.sessions.get(session) {
            return Ok(*row);
        }
        self.transaction
            .prepare_cached("INSERT INTO session (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([session.as_str()])?;
        let row = self
            .transaction
            .prepare_cached("SELECT id FROM session WHERE name = ?1")?
            .query_row([session.as_str()], |row| row.get(0))?;
        self.sessions.insert(session.clone(), row);
        Ok(row)
    }

    fn project(&mut self, path: &Path) -> Result<i64, LedgerError> {
        self.transaction
            .prepare_cached("INSERT INTO project (path) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([path_bytes(path)])?;
        let row = self
            .transaction
            .prepare_cached("SELECT id FROM project WHERE path = ?1")?
            .query_row([path_bytes(path)], |row| row.get(0))?;
        Ok(row)
    }
}

/// How a session's project is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sureness {
    /// A hook or a person said it.
    Told,
    /// Taken from the `cwd` of its lines; gives way to anything told.
    Guessed,
}

struct LatestBinding {
    task: Option<i64>,
    enhancement: Option<String>,
    source: String,
    /// In milliseconds.
    said: i64,
}

impl LatestBinding {
    fn says(&self, binding: &NewBinding<'_>) -> bool {
        self.task == binding.task.map(|task| task.0)
            && self.enhancement.as_deref() == binding.enhancement
            && (self.source == binding.source.as_str() || binding.source != BindingSource::Command)
    }
}
