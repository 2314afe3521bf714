//! Writing: facts of one run and everything derived from them, in one transaction.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;
use rusqlite::params;

use crate::attribution::rules::Rulebook;
use crate::id::SessionId;
use crate::ledger::LedgerError;
use crate::ledger::appearances;
use crate::ledger::appearances::OnlyAppearance;
use crate::ledger::appearances::SessionFile;
use crate::ledger::cursor::FileId;
use crate::ledger::derive::ALWAYS;
use crate::ledger::forget;
use crate::ledger::millis;
use crate::ledger::ownership::Doubts;
use crate::ledger::path_bytes;
use crate::ledger::placement::Known;
use crate::ledger::requests;
use crate::ledger::requests::NewRequest;
use crate::ledger::requests::Statements;
use crate::ledger::requests::StoredRequest;
use crate::ledger::rollup;
use crate::ledger::shares::Sums;
use crate::pricing;
use crate::pricing::Charge;
use crate::pricing::Price;
use crate::project::Project;
use crate::transcript::Slice;
use crate::usage::RequestFacts;
use crate::usage::UsageRecord;

/// Prices a request with the table of its project (`None`: no project is known).
pub type PriceRequest<'table> = dyn FnMut(Option<&Path>, &RequestFacts) -> Vec<Charge> + 'table;

/// An open transaction of the ledger; dropped without [`Recording::commit`], nothing of it happened.
#[derive(Debug)]
pub struct Recording<'ledger> {
    pub(super) transaction: Transaction<'ledger>,
    connection: &'ledger Connection,
    /// Once something is recorded.
    statements: Option<Statements<'ledger>>,
    pub(super) now: Timestamp,
    pub(super) sessions: BTreeMap<SessionId, i64>,
    /// What is not to be recorded, once it was read.
    pub(super) forgotten: Option<Vec<forget::Rule>>,
    pub(super) rules: Rulebook,
    pub(super) known: Known,
    /// Price rows that this transaction used, a few, with their numbers.
    pub(super) price_rows: Vec<(Price, i64)>,
    /// What new requests add to shares, by task and session.
    pub(super) added: BTreeMap<(i64, i64), Sums>,
    /// Tasks whose totals change by more than that, each with the sessions that make them change.
    pub(super) touched: BTreeMap<i64, BTreeSet<i64>>,
    /// When the first request that changed was made, by the session that owns it.
    pub(super) stale_sessions: BTreeMap<i64, Timestamp>,
    /// Sessions whose requests, or whose client's count of them, may have changed.
    pub(super) recounted: BTreeSet<i64>,
    /// How many stored requests were placed anew, by the task that they had and the one that they have.
    pub(super) moves: BTreeMap<(Option<i64>, Option<i64>), u64>,
    /// What the slices so far may change of who owns what.
    pub(super) doubts: Doubts,
    /// Sessions whose pull requests may be of another branch: it is known better now when they were on which.
    links_in_doubt: BTreeSet<i64>,
    /// Sessions whose transcript was read in this transaction.
    pub(super) shown: BTreeSet<i64>,
    /// Whether sessions stood in transcripts before this transaction, where that was asked.
    pub(super) known_in_transcript: BTreeMap<i64, bool>,
}

impl<'ledger> Recording<'ledger> {
    /// Begins a transaction.
    pub(super) fn begin(
        connection: &'ledger Connection,
        rules: Rulebook,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        Ok(Self {
            transaction,
            connection,
            statements: None,
            now,
            sessions: BTreeMap::new(),
            forgotten: None,
            rules,
            known: Known::default(),
            price_rows: Vec::new(),
            added: BTreeMap::new(),
            touched: BTreeMap::new(),
            stale_sessions: BTreeMap::new(),
            recounted: BTreeSet::new(),
            moves: BTreeMap::new(),
            doubts: Doubts::default(),
            links_in_doubt: BTreeSet::new(),
            shown: BTreeSet::new(),
            known_in_transcript: BTreeMap::new(),
        })
    }

    pub(super) fn statements(&mut self) -> Result<&mut Statements<'ledger>, LedgerError> {
        if self.statements.is_none() {
            self.statements = Some(Statements::prepare(self.connection)?);
        }
        Ok(self.statements.as_mut().expect("they were prepared above"))
    }

    /// Records what a slice of `file` holds; after the last one, [`Recording::settle_slices`] is to be called.
    pub fn slice(
        &mut self,
        file: FileId,
        slice: &Slice,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let file = self.session_file(file)?;
        self.prompts(&slice.prompts)?;
        let earliest = self.earliest_lines(slice)?;
        self.doubt_first_lines(&earliest)?;
        self.links_in_doubt.extend(earliest.into_keys());
        self.records(file, &slice.records, price)?;
        for count in &slice.client_counts {
            self.client_count(count)?;
        }
        for (session, at) in &slice.first_own_line {
            self.first_own_line(session, *at)?;
        }
        self.pull_requests(&slice.pull_requests)?;
        for skipped in &slice.skipped {
            self.skipped_line(file.id, skipped.line, &skipped.reason.to_string())?;
        }
        Ok(())
    }

    /// Decides anew who owns what sessions share, as far as the slices change that.
    pub fn settle_slices(&mut self, price: &mut PriceRequest<'_>) -> Result<(), LedgerError> {
        let doubts = std::mem::take(&mut self.doubts);
        for request in self.settle_owners(&doubts)? {
            self.stamp_moved(request, price)?;
        }
        let sessions = std::mem::take(&mut self.links_in_doubt);
        self.derive_links(&sessions)
    }

    /// Returns when the first line of each session was written that the slice shows.
    fn earliest_lines(&mut self, slice: &Slice) -> Result<BTreeMap<i64, Timestamp>, LedgerError> {
        let mut earliest: BTreeMap<&SessionId, Timestamp> = BTreeMap::new();
        let of_requests =
            slice.records.iter().map(|record| (&record.session, &record.facts.origin.timestamp));
        for (session, at) in of_requests.chain(&slice.first_own_line) {
            let known = earliest.entry(session).or_insert(*at);
            *known = *at.min(known);
        }
        earliest.into_iter().map(|(session, at)| Ok((self.session(session)?, at))).collect()
    }

    /// Records requests.
    fn records(
        &mut self,
        file: SessionFile,
        records: &[UsageRecord],
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let mut counted = Vec::with_capacity(records.len());
        for record in records {
            let session = self.session(&record.session)?;
            if self.is_forgotten(record, session)? {
                self.forget_count(session)?;
                continue;
            }
            self.recounted.insert(session);
            self.transcript_tells(session, price)?;
            counted.push((session, record));
        }
        for counted in counted.chunks(requests::STORED_AT_ONCE) {
            let new = counted.iter().map(|(session, record)| {
                let only = OnlyAppearance::of(file, *session, record);
                self.new_request(*session, &record.facts, only)
            });
            let new = new.collect::<Result<Vec<_>, _>>()?;
            let added = self.add(&new, price)?;
            for ((session, record), request) in counted.iter().zip(added) {
                match request {
                    Some(request) => self.appears(file, *session, record, request)?,
                    None => self.appears_again(file, *session, record, price)?,
                }
            }
        }
        Ok(())
    }

    /// Records where a request stands that was added as `request`.
    fn appears(
        &mut self,
        file: SessionFile,
        session: i64,
        record: &UsageRecord,
        request: i64,
    ) -> Result<(), LedgerError> {
        if OnlyAppearance::of(file, session, record).is_none() {
            self.appear(request, session, file.id, record)?;
        }
        if appearances::names_another(record) {
            self.mark_shared(request)?;
            self.doubts.claim(request, session, record);
        }
        Ok(())
    }

    /// Records where a request stands that was there, and what this copy says of it.
    fn appears_again(
        &mut self,
        file: SessionFile,
        session: i64,
        record: &UsageRecord,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let stored = self.statements()?.find(&record.facts.key)?;
        let stored = stored.ok_or_else(|| LedgerError::Corrupt {
            what: "a request that is there and cannot be found".to_owned(),
        })?;
        let uuid_before = self.uuid_there(stored.id, session, file.id)?;
        self.appear_again(&stored, session, file, record)?;
        if self.raise(&stored, &record.facts, price)? {
            let showing = self.sessions_showing(stored.id)?;
            self.links_in_doubt.extend(showing);
        }
        if !stored.shared && !appearances::names_another(record) && !self.is_elsewhere(stored.id, session)? {
            return Ok(());
        }
        if !stored.shared {
            self.mark_shared(stored.id)?;
        }
        self.doubts.claim(stored.id, session, record);
        // A line that two sessions have is no longer the own line of either.
        let uuid_now = self.uuid_there(stored.id, session, file.id)?;
        if uuid_now != uuid_before {
            if uuid_before.is_some() {
                self.doubts.first_line(session);
            }
            for uuid in uuid_before.iter().chain(&uuid_now) {
                self.doubt_line(session, uuid)?;
            }
        }
        Ok(())
    }

    /// Notes that several sessions show a request, or that a copy of it names another session.
    fn mark_shared(&self, request: i64) -> Result<(), LedgerError> {
        self.transaction.prepare_cached("UPDATE request SET shared = 1 WHERE id = ?1")?.execute([request])?;
        Ok(())
    }

    /// Returns a request of `session` as it is to be stored if it is new: the session that shows it owns it until another
    /// claims it.
    pub(super) fn new_request<'record>(
        &mut self,
        session: i64,
        facts: &'record RequestFacts,
        only: Option<OnlyAppearance<'record>>,
    ) -> Result<NewRequest<'record>, LedgerError> {
        let placement = self.placement(facts.origin.timestamp, facts.origin.branch.as_deref(), session)?;
        Ok(NewRequest { facts, origin_session: session, placement, only })
    }

    /// Adds those of `new` that are not there, at most [`requests::STORED_AT_ONCE`]; returns the numbers of those.
    pub(super) fn add(
        &mut self,
        new: &[NewRequest<'_>],
        price: &mut PriceRequest<'_>,
    ) -> Result<Vec<Option<i64>>, LedgerError> {
        let added = self.statements()?.insert(new)?;
        let mut charges = Vec::with_capacity(new.len());
        for (new, request) in new.iter().zip(&added) {
            let Some(request) = *request else { continue };
            let owner = new.placement.owner;
            self.changed(owner, new.facts.origin.timestamp);
            self.recounted.insert(owner);
            let rows = self.charge_rows(owner, new.facts, price)?;
            self.add_to_share(request, &new.placement, new.facts, &rows)?;
            charges.push((request, rows));
        }
        self.insert_charges(&charges)?;
        Ok(added)
    }

    /// Raises a stored request to what another copy of it says; returns whether it was made at another time, or on another
    /// branch, than it seemed.
    fn raise(
        &mut self,
        stored: &StoredRequest,
        copy: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<bool, LedgerError> {
        let mut facts = stored.facts.clone();
        facts.merge(copy);
        if facts == stored.facts {
            return Ok(false);
        }
        let origin_session = self.session(&facts.origin.session)?;
        requests::raise(&self.transaction, &facts, origin_session, &stored.placement)?;
        let owner = stored.placement.owner;
        let (before, after) = (&stored.facts.origin, &facts.origin);
        let is_of_another_agent = before.agent_id != after.agent_id;
        let since = if is_of_another_agent { ALWAYS } else { before.timestamp.min(after.timestamp) };
        self.touch(&stored.placement, since);
        if facts.origin != stored.facts.origin {
            // With the same owner it stays in the same project.
            let raised = self.placed("request.id = ?1", [stored.id])?;
            self.place_again(&raised)?;
        }
        if !pricing::is_billed_alike(&stored.facts, &facts) {
            self.stamp_again(stored.id, owner, &facts, price)?;
        }
        Ok((before.timestamp, &before.branch) != (after.timestamp, &after.branch))
    }

    /// Stores the earliest line of `session` that no copy can have; see [`crate::attribution::Claim`].
    fn first_own_line(&mut self, session: &SessionId, at: Timestamp) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        self.transaction
            .prepare_cached(
                "UPDATE session SET first_own_line = ?2
                 WHERE id = ?1 AND (first_own_line IS NULL OR first_own_line > ?2)",
            )?
            .execute(params![session, millis(at)])?;
        Ok(())
    }

    /// Stores the project and worktree that `session` ran in; what it owns is priced anew if that is news.
    pub fn session_in_project(
        &mut self,
        session: &SessionId,
        project: &Project,
        sure: Sureness,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let session = self.session(session)?;
        let root = self.project(&project.root)?;
        let mut linked = self.linked_branches(session)?;
        let condition = match sure {
            Sureness::Told => "project IS NOT ?2 OR worktree IS NOT ?3",
            Sureness::Guessed => "project IS NULL",
        };
        let n_changed = self
            .transaction
            .prepare_cached(&format!(
                "UPDATE session SET project = ?2, worktree = ?3 WHERE id = ?1 AND ({condition})"
            ))?
            .execute(params![session, root, path_bytes(&project.worktree)])?;
        if n_changed > 0 {
            self.known.forget_owner(session);
            linked.extend(self.linked_branches(session)?);
            if !linked.is_empty() {
                // What is known of branches changes with them.
                self.known = Known::default();
            }
            for request in self.place_all_of(session)? {
                self.stamp_moved(request, price)?;
            }
            self.place_branches(&linked)?;
        }
        Ok(())
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
        let is_news = self
            .transaction
            .prepare_cached("INSERT INTO session_end (session, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![session, millis(at)])?
            > 0;
        let is_followed = self
            .transaction
            .prepare_cached("SELECT 1 FROM binding WHERE session = ?1 AND said > ?2")?
            .exists(params![session, millis(at)])?;
        if is_news && is_followed {
            // What was said later begins after this end; it names a task and leaves the project as it is.
            self.known = Known::default();
            self.place_all_of(session)?;
        }
        Ok(())
    }

    /// Notes that the intent `name` is booked: once that is safe on disk, its file can go.
    pub fn booked(&mut self, name: &str) -> Result<(), LedgerError> {
        self.transaction.execute(
            "INSERT INTO booked_intent (name, booked) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![name, millis(self.now)],
        )?;
        Ok(())
    }

    /// Forgets the intent `name`, whose file is gone.
    pub fn intent_removed(&mut self, name: &str) -> Result<(), LedgerError> {
        self.transaction.execute("DELETE FROM booked_intent WHERE name = ?1", [name])?;
        Ok(())
    }

    /// Marks what the task queues must show, and commits.
    pub fn commit(mut self) -> Result<(), LedgerError> {
        debug_assert!(self.doubts.is_empty() && self.links_in_doubt.is_empty(), "slices are settled");
        self.settle_shares()?;
        for (session, since) in std::mem::take(&mut self.stale_sessions) {
            self.transaction
                .prepare_cached(
                    "INSERT INTO stale_rollup (session, since) VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET since = min(since, excluded.since)",
                )?
                .execute([session, rollup::quarter(millis(since))])?;
        }
        self.mark_remainders()?;
        self.transaction.commit()?;
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

    pub(super) fn project(&mut self, path: &Path) -> Result<i64, LedgerError> {
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
