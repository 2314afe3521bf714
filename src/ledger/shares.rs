//! What each session adds to a task, summed up once and kept until it changes.
//!
//! A task of 100,000 requests answers as fast as one of ten. The sums are derived: a transaction adds new requests to
//! them, and if it changes one that was there it only marks the share; whoever asks for the task next sums the marked
//! ones up.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::ToSql;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;
use rusqlite::params;

use crate::id::ModelId;
use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::charges::ChargeRow;
use crate::ledger::charges::cost_by_kind;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::placement::Placement;
use crate::ledger::recording::Recording;
use crate::ledger::signed;
use crate::ledger::task::TaskRow;
use crate::ledger::unsigned;
use crate::summary::SessionShare;
use crate::summary::Totals;
use crate::usage::RequestFacts;
use crate::usage::TokenUsage;

/// Columns of a charge and its request that [`charged`] reads.
const CHARGED: &str = "charge.model, request.id, charge.part, request.requests, request.at,
    charge.input, charge.output, charge.cache_write_5m, charge.cache_write_1h, charge.cache_read,
    charge.web_searches,
    cost_input, cost_output, cost_cache_write_5m, cost_cache_write_1h, cost_cache_read, cost_web_search,
    charge.estimated, NOT request.complete, charge.unpriced IS NOT NULL";

/// What the charges of one model come to.
#[derive(Debug)]
pub(super) struct ModelSum {
    model: ModelId,
    /// Requests whose first charge is the model's: summed over models, each request counts once.
    n_first: u64,
    first: Timestamp,
    last: Timestamp,
    totals: Totals,
    /// Number of the request that was added last.
    latest: Option<i64>,
}

/// What sums are made of: a charge, with what they need of its request.
struct Charged {
    request: i64,
    part: i64,
    /// How many requests the row of `request` stands for.
    requests: u64,
    at: Timestamp,
    /// Input, output, cache writes of five minutes and one hour, cache reads, web searches.
    counts: [u64; 6],
    /// Pico-dollars of the same six.
    costs: [i128; 6],
    is_estimated: bool,
    is_incomplete: bool,
    is_unpriced: bool,
}

/// What the requests that a transaction adds come to, by model, in no order.
#[derive(Debug, Default)]
pub(super) struct Sums {
    of_models: Vec<ModelSum>,
    /// Place of the model that was added to last: mostly it comes again.
    latest: usize,
}

/// What a task comes to: the whole, by model, by session.
pub(super) struct Shares {
    pub(super) whole: Totals,
    pub(super) models: BTreeMap<ModelId, Totals>,
    pub(super) sessions: Vec<SessionShare>,
}

impl Ledger {
    /// Returns what a task comes to; sums up what changed since it was asked for last.
    pub(super) fn shares(&self, task: TaskRow) -> Result<Shares, LedgerError> {
        self.sum_up(task)?;
        let mut statement = self.connection.prepare_cached(
            "SELECT session.name, unaccounted OR EXISTS (SELECT 1 FROM file WHERE file.session = session.id
                                                           AND (unanswered OR skipped > 0)),
                    model, n_first, first, last, totals
             FROM share JOIN session ON session.id = share.session WHERE task = ?1 ORDER BY share.session",
        )?;
        let mut rows = statement.query([task.0])?;
        let mut shares = Shares { whole: Totals::default(), models: BTreeMap::new(), sessions: Vec::new() };
        while let Some(row) = rows.next()? {
            let session = SessionId::new(row.get::<_, String>(0)?)
                .map_err(|_| LedgerError::Corrupt { what: "an empty session id".to_owned() })?;
            shares.add(session, row.get(1)?, &stored(row, 2)?);
        }
        shares.sessions.sort_by(|a, b| (a.first, &a.session).cmp(&(b.first, &b.session)));
        Ok(shares)
    }

    /// Returns what the charges that `condition` (over `request`) selects come to, by model.
    pub(super) fn sums(
        &self,
        condition: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<Vec<ModelSum>, LedgerError> {
        // SQLite would sort the charges to sum them up by model, which takes longer than to read them. The join shows all
        // charges of a request, one after the other.
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {CHARGED} FROM request CROSS JOIN charge ON charge.request = request.id WHERE {condition}"
        ))?;
        let mut rows = statement.query(parameters)?;
        let mut sums = Sums::default();
        while let Some(row) = rows.next()? {
            sums.add(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?, &charged(row)?)?;
        }
        sums.of_models.sort_by(|a, b| a.model.cmp(&b.model));
        Ok(sums.of_models)
    }

    /// Sums up what sessions add to tasks where that changed, so that whoever asks for one need not wait.
    pub fn sum_up_all(&self) -> Result<(), LedgerError> {
        let mut statement = self.connection.prepare("SELECT DISTINCT task FROM stale_share")?;
        let tasks = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        tasks.into_iter().try_for_each(|task| self.sum_up(TaskRow(task)))
    }

    fn sum_up(&self, task: TaskRow) -> Result<(), LedgerError> {
        let is_stale: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM stale_share WHERE task = ?1)")?
            .query_row([task.0], |row| row.get(0))?;
        if !is_stale {
            return Ok(());
        }
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let stale = transaction
            .prepare_cached("DELETE FROM stale_share WHERE task = ?1 RETURNING session")?
            .query_map([task.0], |row| row.get(0))?
            .collect::<Result<BTreeSet<i64>, _>>()?;
        for session in stale {
            transaction
                .prepare_cached("DELETE FROM share WHERE task = ?1 AND session = ?2")?
                .execute(params![task.0, session])?;
            for sum in self.sums("request.task = ?1 AND request.owner = ?2", &[&task.0, &session])? {
                insert(&transaction, task, session, &sum)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Recording<'_> {
    /// Adds what a request costs that was not there before to the share of its session in its task.
    pub(super) fn add_to_share(
        &mut self,
        request: i64,
        placement: &Placement,
        facts: &RequestFacts,
        charges: &[ChargeRow],
    ) -> Result<(), LedgerError> {
        let Some(task) = placement.task else { return Ok(()) };
        let sums = self.added.entry((task, placement.owner)).or_default();
        for (part, charge) in (0..).zip(charges) {
            let mut counts = [0; 6];
            for (count, stored) in counts.iter_mut().zip(charge.counts) {
                *count = unsigned(stored)?;
            }
            let charged = Charged {
                request,
                part,
                requests: 1,
                at: facts.origin.timestamp,
                counts,
                costs: charge.costs.map(i128::from),
                is_estimated: charge.estimated,
                is_incomplete: !facts.complete,
                is_unpriced: charge.unpriced.is_some(),
            };
            sums.add(&charge.model, &charged)?;
        }
        Ok(())
    }

    /// Brings the shares up to date that requests were only added to; the others are marked, to be summed up anew.
    pub(super) fn settle_shares(&mut self) -> Result<(), LedgerError> {
        for ((task, session), sums) in std::mem::take(&mut self.added) {
            // The task changes, if by nothing else.
            if self.touched.entry(task).or_default().contains(&session)
                || self.is_share_stale(task, session)?
            {
                continue;
            }
            for mut sum in sums.of_models {
                if let Some(before) = self.share(task, session, &sum.model)? {
                    sum.merge(&before);
                }
                insert(&self.transaction, TaskRow(task), session, &sum)?;
            }
        }
        for (task, sessions) in std::mem::take(&mut self.touched) {
            self.transaction
                .prepare_cached("UPDATE projection SET changes = changes + 1 WHERE task = ?1")?
                .execute([task])?;
            for session in sessions {
                self.transaction
                    .prepare_cached(
                        "INSERT INTO stale_share (task, session) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    )?
                    .execute([task, session])?;
            }
        }
        Ok(())
    }

    fn is_share_stale(&self, task: i64, session: i64) -> Result<bool, LedgerError> {
        let is_stale = self
            .transaction
            .prepare_cached("SELECT 1 FROM stale_share WHERE task = ?1 AND session = ?2")?
            .exists([task, session])?;
        Ok(is_stale)
    }

    fn share(&self, task: i64, session: i64, model: &ModelId) -> Result<Option<ModelSum>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT model, n_first, first, last, totals FROM share
             WHERE task = ?1 AND session = ?2 AND model = ?3",
        )?;
        let mut rows = statement.query(params![task, session, model.as_str()])?;
        rows.next()?.map(|row| stored(row, 0)).transpose()
    }
}

impl Sums {
    fn add(&mut self, model: &str, charge: &Charged) -> Result<(), LedgerError> {
        let sums = &mut self.of_models;
        if sums.get(self.latest).is_none_or(|sum| sum.model.as_str() != model) {
            self.latest = sums.iter().position(|sum| sum.model.as_str() == model).unwrap_or(sums.len());
        }
        if self.latest == sums.len() {
            sums.push(ModelSum::of_nothing(self::model(model.to_owned())?));
        }
        sums[self.latest].add(charge);
        Ok(())
    }
}

impl Shares {
    fn add(&mut self, session: SessionId, lacking: bool, sum: &ModelSum) {
        self.models.entry(sum.model.clone()).or_default().add(&sum.totals);
        // Nobody knows which model the lacking answer or line was of, so only the session and the whole are lower bounds.
        let totals = sum.of_requests(lacking);
        self.whole.add(&totals);
        match self.sessions.last_mut() {
            Some(share) if share.session == session => {
                share.first = share.first.min(sum.first);
                share.last = share.last.max(sum.last);
                share.totals.add(&totals);
            }
            _ => self.sessions.push(SessionShare { session, first: sum.first, last: sum.last, totals }),
        }
    }
}

impl ModelSum {
    fn of_nothing(model: ModelId) -> Self {
        let (first, last) = (Timestamp::MAX, Timestamp::MIN);
        Self { model, n_first: 0, first, last, totals: Totals::default(), latest: None }
    }

    /// Adds a charge. A row of `request` may stand for several requests, or for none: those are counted where its first
    /// charge is.
    fn add(&mut self, charge: &Charged) {
        let is_another = self.latest.replace(charge.request) != Some(charge.request);
        let is_first = charge.part == 0;
        let requests = if is_first { charge.requests } else { u64::from(is_another) };
        if is_first {
            self.n_first = self.n_first.saturating_add(requests);
        }
        self.first = self.first.min(charge.at);
        self.last = self.last.max(charge.at);
        if charge.is_unpriced && self.totals.unpriced_models.is_empty() {
            self.totals.unpriced_models.insert(self.model.clone());
        }
        let [input, output, cache_write_5m, cache_write_1h, cache_read, web_search_requests] = charge.counts;
        self.totals.add(&Totals {
            requests,
            tokens: TokenUsage { input, output, cache_write_5m, cache_write_1h, cache_read },
            web_search_requests,
            cost: cost_by_kind(charge.costs),
            estimated: charge.is_estimated,
            lower_bound: charge.is_incomplete,
            unpriced_models: BTreeSet::new(),
        });
    }

    fn merge(&mut self, other: &Self) {
        self.n_first = self.n_first.saturating_add(other.n_first);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.totals.add(&other.totals);
    }

    /// Returns the model and what its charges come to.
    pub(super) fn into_parts(self) -> (ModelId, Totals) {
        (self.model, self.totals)
    }

    /// Returns the totals as they add up over models: each request counts once. If something is `lacking` in the
    /// transcript (an answer, or a line that could not be read), they are a lower bound.
    pub(super) fn of_requests(&self, lacking: bool) -> Totals {
        let mut totals = self.totals.clone();
        totals.requests = self.n_first;
        totals.lower_bound |= lacking;
        totals
    }
}

fn insert(
    transaction: &Transaction<'_>,
    task: TaskRow,
    session: i64,
    sum: &ModelSum,
) -> Result<(), LedgerError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO share (task, session, model, n_first, first, last, totals)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            task.0,
            session,
            sum.model.as_str(),
            signed(sum.n_first)?,
            millis(sum.first),
            millis(sum.last),
            serde_json::to_string(&sum.totals)?,
        ])?;
    Ok(())
}

/// Reads a share from the column `first` on: model, `n_first`, first, last, totals.
fn stored(row: &Row<'_>, first: usize) -> Result<ModelSum, LedgerError> {
    Ok(ModelSum {
        model: model(row.get(first)?)?,
        n_first: unsigned(row.get(first + 1)?)?,
        first: instant(row.get(first + 2)?)?,
        last: instant(row.get(first + 3)?)?,
        totals: serde_json::from_str(&row.get::<_, String>(first + 4)?)?,
        latest: None,
    })
}

fn charged(row: &Row<'_>) -> Result<Charged, LedgerError> {
    let mut counts = [0; 6];
    for (column, count) in (5..).zip(&mut counts) {
        *count = unsigned(row.get(column)?)?;
    }
    let mut costs = [0; 6];
    for (column, cost) in (11..).zip(&mut costs) {
        *cost = row.get::<_, i64>(column)?.into();
    }
    Ok(Charged {
        request: row.get(1)?,
        part: row.get(2)?,
        requests: unsigned(row.get(3)?)?,
        at: instant(row.get(4)?)?,
        counts,
        costs,
        is_estimated: row.get(17)?,
        is_incomplete: row.get(18)?,
        is_unpriced: row.get(19)?,
    })
}

fn model(id: String) -> Result<ModelId, LedgerError> {
    ModelId::new(id).map_err(|_| LedgerError::Corrupt { what: "an empty model id".to_owned() })
}
