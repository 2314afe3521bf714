//! Forgetting what a person does not want to be kept, for good: reading the transcripts again does not bring it back.
//!
//! What is forgotten is named by its session, its project or its time, and its requests by a hash. The audit keeps
//! the numbers.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::client_count::ClientCount;
use crate::id::SessionId;
use crate::ledger::LedgerError;
use crate::ledger::derive::ALWAYS;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::placement::Known;
use crate::ledger::recording::PriceRequest;
use crate::ledger::recording::Recording;
use crate::ledger::requests;
use crate::usage::RequestKey;
use crate::usage::UsageRecord;

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgettable {
    /// What a session owns, until now.
    Session(SessionId),
    /// What the sessions of a project own, until now; the path of its main worktree.
    Project(PathBuf),
    /// Requests that were made earlier, of all projects.
    Before(Timestamp),
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Requests, with their charges.
    pub requests: u64,
    /// Sessions of which nothing is left, with what was said of their tasks and how far their files were read.
    pub sessions: u64,
    /// Tasks that cost less now.
    pub tasks: u64,
}

/// A request of `session` or `project` (of any, where neither is named) made before `before`, in milliseconds, is
/// not recorded.
#[derive(Debug)]
pub(super) struct Rule {
    session: Option<String>,
    project: Option<PathBuf>,
    before: i64,
}

impl Recording<'_> {
    /// Forgets requests and the sessions of which nothing is left, and writes to the audit how many.
    ///
    /// A request that a fork of a forgotten session shows is forgotten with it; one that another session owns stays.
    pub fn forget(
        &mut self,
        what: &Forgettable,
        price: &mut PriceRequest<'_>,
    ) -> Result<Forgotten, LedgerError> {
        // What is deleted is overwritten with zeros.
        self.transaction.pragma_update(None, "secure_delete", true)?;
        self.add_rule(what)?;
        let (owned, mut sessions) = self.sought(what)?;
        let mut bereft = BTreeSet::new();
        for request in &owned {
            bereft.extend(self.sessions_showing(*request)?);
            self.forget_request(*request)?;
        }
        if let Forgettable::Before(_) = what {
            sessions.extend(&bereft);
            self.keep_if_shown(&mut sessions)?;
        }
        for session in bereft.union(&sessions) {
            self.forget_count(*session)?;
        }
        let mut linked = BTreeSet::new();
        for session in &sessions {
            linked.extend(self.linked_branches(*session)?);
        }
        bereft.extend(self.forget_sessions(&sessions)?);
        self.sessions.clear();
        self.known = Known::default();
        self.known_in_transcript.clear();
        if let Forgettable::Before(moment) = what {
            self.forget_notes(*moment)?;
        }
        self.place_branches(&linked)?;
        // Lines that they shared with the forgotten are the others' own now.
        let others = bereft.difference(&sessions).copied().collect();
        for request in self.settle_all_owners(&others)? {
            self.stamp_moved(request, price)?;
        }
        let forgotten = Forgotten {
            requests: owned.len() as u64,
            sessions: sessions.len() as u64,
            tasks: self.touched.len() as u64,
        };
        self.audit("forgotten", &forgotten)?;
        Ok(forgotten)
    }

    fn add_rule(&self, what: &Forgettable) -> Result<(), LedgerError> {
        let until_now = millis(self.now).saturating_add(1);
        let (session, project, before) = match what {
            Forgettable::Session(session) => (Some(session.as_str()), None, until_now),
            Forgettable::Project(path) => (None, Some(path_bytes(path)), until_now),
            Forgettable::Before(moment) => (None, None, millis(*moment)),
        };
        self.transaction.execute(
            "INSERT INTO forgotten (session, project, before) VALUES (?1, ?2, ?3)",
            params![session, project, before],
        )?;
        Ok(())
    }

    /// Returns the requests that are to be forgotten, and the sessions that are whatever they show.
    fn sought(&self, what: &Forgettable) -> Result<(Vec<i64>, BTreeSet<i64>), LedgerError> {
        let numbers = |query: &str, parameter: &dyn rusqlite::ToSql| -> rusqlite::Result<Vec<i64>> {
            self.transaction.prepare(query)?.query_map([parameter], |row| row.get(0))?.collect()
        };
        let sessions: BTreeSet<i64> = match what {
            Forgettable::Session(name) => numbers("SELECT id FROM session WHERE name = ?1", &name.as_str())?,
            Forgettable::Project(path) => numbers(
                "SELECT session.id FROM session JOIN project ON project.id = session.project WHERE path = ?1",
                &path_bytes(path),
            )?,
            Forgettable::Before(moment) => {
                let made =
                    numbers("SELECT id FROM request WHERE at < ?1 AND key_kind <> 4", &millis(*moment))?;
                return Ok((made, BTreeSet::new()));
            }
        }
        .into_iter()
        .collect();
        let mut owned = Vec::new();
        for session in &sessions {
            owned.extend(numbers("SELECT id FROM request WHERE owner = ?1 AND key_kind <> 4", session)?);
        }
        Ok((owned, sessions))
    }

    fn forget_request(&mut self, request: i64) -> Result<(), LedgerError> {
        let stored = requests::get(&self.transaction, request)?;
        self.touch(&stored.placement, ALWAYS);
        self.transaction
            .prepare_cached("INSERT INTO forgotten_request (hash) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([hash(&stored.facts.key)])?;
        for deletion in [
            "DELETE FROM rollup WHERE owner = (SELECT owner FROM request WHERE id = ?1)",
            "DELETE FROM charge WHERE request = ?1",
            "DELETE FROM other_appearance WHERE request = ?1",
            "DELETE FROM request WHERE id = ?1",
        ] {
            self.transaction.prepare_cached(deletion)?.execute([request])?;
        }
        Ok(())
    }

    /// Forgets what else was said of sessions before `moment`.
    fn forget_notes(&mut self, moment: Timestamp) -> Result<(), LedgerError> {
        let mut concerned: BTreeSet<i64> = BTreeSet::new();
        for deletion in [
            "DELETE FROM prompt WHERE at < ?1 RETURNING session",
            "DELETE FROM pr_link WHERE at < ?1 RETURNING session",
        ] {
            let mut statement = self.transaction.prepare(deletion)?;
            let sessions = statement.query_map([millis(moment)], |row| row.get(0))?;
            concerned.extend(sessions.collect::<Result<Vec<i64>, _>>()?);
        }
        self.transaction.execute("DELETE FROM branch_commit WHERE at < ?1", [millis(moment)])?;
        for session in concerned {
            // The sessions keep their projects.
            self.place_all_of(session)?;
        }
        Ok(())
    }

    /// Takes out of `sessions` those that still show a request, or own one that only others show.
    fn keep_if_shown(&self, sessions: &mut BTreeSet<i64>) -> Result<(), LedgerError> {
        let mut shown = self.transaction.prepare_cached(
            "SELECT 1 FROM appearance WHERE session = ?1
             UNION ALL SELECT 1 FROM request WHERE owner = ?1 AND key_kind <> 4",
        )?;
        for session in sessions.clone() {
            if shown.exists([session])? {
                sessions.remove(&session);
            }
        }
        Ok(())
    }

    /// Forgets sessions that own nothing any more, all at once: some of what is asked looks at every request. Returns the
    /// sessions that show what they showed.
    fn forget_sessions(&mut self, sessions: &BTreeSet<i64>) -> Result<Vec<i64>, LedgerError> {
        self.transaction.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS forgetting (session INTEGER PRIMARY KEY); DELETE FROM forgetting",
        )?;
        for session in sessions {
            self.transaction
                .prepare_cached("INSERT INTO forgetting (session) VALUES (?1)")?
                .execute([session])?;
        }
        let others = self
            .transaction
            .prepare(
                "SELECT DISTINCT other.session FROM forgetting
                 JOIN other_appearance AS mine ON mine.session = forgetting.session
                 JOIN other_appearance AS other ON other.request = mine.request
                 WHERE other.session NOT IN (SELECT session FROM forgetting)",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<Vec<i64>, _>>()?;
        for (table, column) in [
            ("other_appearance", "session"),
            ("binding", "session"),
            ("prompt", "session"),
            ("pr_link", "session"),
            ("session_branch", "session"),
            ("share", "session"),
            ("stale_share", "session"),
            ("rollup", "owner"),
            ("stale_rollup", "session"),
            ("client_count", "session"),
            ("session_end", "session"),
            ("stale_remainder", "session"),
        ] {
            self.transaction.execute(
                &format!("DELETE FROM {table} WHERE {column} IN (SELECT session FROM forgetting)"),
                [],
            )?;
        }
        self.transaction.execute_batch(
            "DELETE FROM skipped_line WHERE file IN
                 (SELECT id FROM file WHERE session IN (SELECT session FROM forgetting));
             -- An old client's file may show another session's requests too.
             DELETE FROM file WHERE session IN (SELECT session FROM forgetting)
                 AND id NOT IN (SELECT file FROM other_appearance);
             UPDATE session SET worktree = NULL, first_own_line = NULL, first_line = NULL, ended = NULL, end_reason = NULL
                 WHERE id IN (SELECT session FROM forgetting);
             DELETE FROM session WHERE id IN (SELECT session FROM forgetting)
                 AND id NOT IN (SELECT session FROM file) AND id NOT IN (SELECT origin_session FROM request);
             DELETE FROM forgetting",
        )?;
        for touched in self.touched.values_mut() {
            touched.retain(|session| !sessions.contains(session));
        }
        self.stale_sessions.retain(|session, _| !sessions.contains(session));
        Ok(others)
    }

    /// Returns whether a person had forgotten what `record` of `session` shows.
    pub(super) fn is_forgotten(&mut self, record: &UsageRecord, session: i64) -> Result<bool, LedgerError> {
        let named: Vec<_> =
            [Some(&record.session), record.request_session.as_ref()].into_iter().flatten().collect();
        let is_forgotten = self.is_ruled_out(&named, session, record.facts.origin.timestamp)?
            || (self.forgotten.as_ref().is_some_and(|rules| !rules.is_empty())
                && self
                    .transaction
                    .prepare_cached("SELECT 1 FROM forgotten_request WHERE hash = ?1")?
                    .exists([hash(&record.facts.key)])?);
        Ok(is_forgotten)
    }

    /// Returns whether a person had forgotten the session that a client counted.
    pub(super) fn is_count_forgotten(
        &mut self,
        count: &ClientCount,
        session: i64,
    ) -> Result<bool, LedgerError> {
        self.is_ruled_out(&[&count.session], session, count.at)
    }

    /// Returns whether a person had forgotten what was done at `at` in `session`, whose names are `named`.
    pub(super) fn is_ruled_out(
        &mut self,
        named: &[&SessionId],
        session: i64,
        at: Timestamp,
    ) -> Result<bool, LedgerError> {
        let rules = match self.forgotten.take() {
            Some(rules) => rules,
            None => self.rules()?,
        };
        let project = if rules.is_empty() { None } else { self.owner(session)?.project_path.clone() };
        let forbids = |rule: &Rule| {
            millis(at) < rule.before
                && rule.project.as_ref().is_none_or(|path| project.as_ref() == Some(path))
                && rule
                    .session
                    .as_ref()
                    .is_none_or(|session| named.iter().any(|named| named.as_str() == session.as_str()))
        };
        let is_ruled_out = rules.iter().any(forbids);
        self.forgotten = Some(rules);
        Ok(is_ruled_out)
    }

    fn rules(&self) -> Result<Vec<Rule>, LedgerError> {
        let rules = self
            .transaction
            .prepare_cached("SELECT session, project, before FROM forgotten")?
            .query_map([], |row| {
                let project: Option<Vec<u8>> = row.get(1)?;
                Ok(Rule { session: row.get(0)?, project: project.map(path_from), before: row.get(2)? })
            })?
            .collect::<Result<_, _>>()?;
        Ok(rules)
    }
}

/// Returns what is kept of a request that is forgotten.
fn hash(key: &RequestKey) -> Vec<u8> {
    let (kind, text) = requests::key_columns(key);
    Sha256::digest(format!("{kind} {text}")).to_vec()
}
