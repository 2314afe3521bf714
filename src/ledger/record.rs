//! Requests that no transcript shows: told by a person, or imported from what another program kept.
//!
//! They are requests like others, of a key kind of their own, so that none of them ever merges with a request of a
//! transcript. One that is about a session of Claude Code counts until a transcript of that session is read, which
//! tells the same in detail: its row stays, its charges go.

use rusqlite::params;

use crate::id::SessionId;
use crate::import::Record;
use crate::import::Repetition;
use crate::import::Source;
use crate::ledger::LedgerError;
use crate::ledger::derive::Placed;
use crate::ledger::recording::PriceRequest;
use crate::ledger::recording::Recording;
use crate::ledger::requests;
use crate::ledger::requests::StoredRequest;
use crate::ledger::signed;
use crate::ledger::unsigned;
use crate::money::Usd;
use crate::usage::Flags;
use crate::usage::Origin;
use crate::usage::RequestFacts;
use crate::usage::RequestKey;
use crate::usage::UsageRecord;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    New,
    /// It was known, and its figures have grown.
    Grown,
    /// It was known.
    Known,
    /// It was known with other figures, which stay.
    Differs,
    /// It is kept and does not count: the transcript of its session is recorded.
    InTranscript,
    /// A person had it forgotten.
    Forgotten,
}

/// A record as the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// What became of it.
    pub outcome: Outcome,
    /// What it costs by the price table, as far as it has a price.
    pub cost: Usd,
    /// Its price was guessed.
    pub estimated: bool,
    /// A part of it has no price.
    pub unpriced: bool,
}

impl Recording<'_> {
    /// Records what `source` told; `session` is the one that it belongs to, whose bindings place it.
    pub fn told(
        &mut self,
        key: RequestKey,
        session: &SessionId,
        source: Source,
        record: &Record,
        price: &mut PriceRequest<'_>,
    ) -> Result<Recorded, LedgerError> {
        let facts = facts(key, session, record);
        let row = self.session(session)?;
        if self.is_forgotten(&as_shown(session, &facts), row)? {
            let (cost, estimated, unpriced) = (Usd::ZERO, false, false);
            return Ok(Recorded { outcome: Outcome::Forgotten, cost, estimated, unpriced });
        }
        let (request, outcome) = match self.statements()?.find(&facts.key)? {
            None => (self.add_told(row, source, record, &facts, price)?, Outcome::New),
            Some(stored) if record.repetition == Repetition::Grows => {
                (stored.id, self.grow(&stored, record, &facts, price)?)
            }
            Some(stored) if stored.facts.tokens != facts.tokens => (stored.id, Outcome::Differs),
            Some(stored) => (stored.id, Outcome::Known),
        };
        let outcome = if self.is_in_transcript(row)? { Outcome::InTranscript } else { outcome };
        let (cost, estimated, unpriced) = self.charged(request)?;
        Ok(Recorded { outcome, cost, estimated, unpriced })
    }

    fn add_told(
        &mut self,
        session: i64,
        source: Source,
        record: &Record,
        facts: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<i64, LedgerError> {
        let new = self.new_request(session, facts, None)?;
        let added = self.add(&[new], price)?.first().copied().flatten();
        let request = added.ok_or_else(|| LedgerError::Corrupt {
            what: "a record that is there and cannot be found".to_owned(),
        })?;
        self.transaction
            .prepare_cached(
                "UPDATE request SET source = ?2, operation = ?3, requests = ?4, cost_reported = ?5 WHERE id = ?1",
            )?
            .execute(params![
                request,
                source.as_str(),
                record.operation,
                signed(record.requests)?,
                record.cost_reported.map(stored_amount).transpose()?,
            ])?;
        // It stands for another number of requests now.
        self.touch_task_of(request)?;
        Ok(request)
    }

    /// Raises a record to a later state of it.
    fn grow(
        &mut self,
        stored: &StoredRequest,
        record: &Record,
        told: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<Outcome, LedgerError> {
        let mut facts = stored.facts.clone();
        facts.tokens.merge(&told.tokens);
        let searches = facts.flags.web_search_requests.max(told.flags.web_search_requests);
        facts.flags.web_search_requests = searches;
        if facts == stored.facts {
            return Ok(Outcome::Known);
        }
        let origin = self.session(&facts.origin.session)?;
        requests::raise(&self.transaction, &facts, origin, &stored.placement)?;
        self.transaction
            .prepare_cached(
                "UPDATE request SET requests = max(requests, ?2),
                        cost_reported = coalesce(max(cost_reported, ?3), cost_reported, ?3) WHERE id = ?1",
            )?
            .execute(params![
                stored.id,
                signed(record.requests)?,
                record.cost_reported.map(stored_amount).transpose()?,
            ])?;
        self.stamp_again(stored.id, stored.placement.owner, &facts, price)?;
        self.touch(&stored.placement, stored.facts.origin.timestamp);
        Ok(Outcome::Grown)
    }

    /// Takes the charges off what was told of `session`, now that its transcript tells it.
    pub(super) fn transcript_tells(
        &mut self,
        session: i64,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        if !self.shown.insert(session) {
            return Ok(());
        }
        let told: Vec<Placed> =
            self.placed("request.owner = ?1 AND request.key_kind > 2 AND request.key_kind = 3", [session])?;
        for placed in told {
            self.stamp_moved(placed.request, price)?;
        }
        Ok(())
    }

    /// Returns whether anything was said of what `session` works on.
    pub fn is_bound(&mut self, session: &SessionId) -> Result<bool, LedgerError> {
        let session = self.session(session)?;
        let bound = self
            .transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM binding WHERE session = ?1)")?
            .query_row([session], |row| row.get(0))?;
        Ok(bound)
    }

    /// Returns how many figures of a task, written by a cmat for `session`, count as recorded elsewhere already.
    pub fn n_adopted(&mut self, project: &std::path::Path, record: &Record) -> Result<u64, LedgerError> {
        let Some(task) = &record.task else { return Ok(0) };
        let project = self.project(project)?;
        let n = self
            .transaction
            .prepare_cached(
                "SELECT count(*) FROM foreign_figures JOIN task ON task.id = foreign_figures.task
                 WHERE adopted AND task.project = ?1 AND task.name = ?2",
            )?
            .query_row(params![project, task.as_str()], |row| row.get(0))?;
        unsigned(n)
    }

    fn charged(&self, request: i64) -> Result<(Usd, bool, bool), LedgerError> {
        let charged = self
            .transaction
            .prepare_cached(
                "SELECT coalesce(sum(cost), 0), coalesce(max(estimated), 0), coalesce(max(unpriced IS NOT NULL), 0)
                 FROM charge WHERE request = ?1",
            )?
            .query_row([request], |row| {
                Ok((Usd::from_pico(row.get::<_, i64>(0)?.into()), row.get(1)?, row.get(2)?))
            })?;
        Ok(charged)
    }
}

fn facts(key: RequestKey, session: &SessionId, record: &Record) -> RequestFacts {
    RequestFacts {
        key,
        request_id: None,
        tokens: record.tokens,
        flags: Flags {
            stop_reason: None,
            model: record.model.clone(),
            requested_model: None,
            speed: None,
            service_tier: record.batch.then(|| "batch".into()),
            inference_geo: None,
            web_search_requests: record.web_search_requests,
            iterations: Vec::new(),
            empty_content: false,
        },
        origin: Origin {
            timestamp: record.at,
            sidechain: false,
            session: session.clone(),
            branch: None,
            cwd: None,
            agent_id: None,
            agent: record.agent.as_deref().map(Into::into),
            skill: None,
            mcp_server: None,
            client_version: None,
        },
        complete: true,
        conflicting: false,
    }
}

/// Returns a record as a session would show it, for the question whether it was forgotten.
fn as_shown(session: &SessionId, facts: &RequestFacts) -> UsageRecord {
    UsageRecord {
        session: session.clone(),
        request_session: None,
        uuid: None,
        n_lines: 0,
        facts: facts.clone(),
    }
}

fn stored_amount(amount: Usd) -> Result<i64, LedgerError> {
    i64::try_from(amount.pico()).map_err(|_| LedgerError::Corrupt { what: format!("amount {amount}") })
}
