//! What each session adds to a task, summed up once and kept until it changes.
//!
//! A task of 100,000 requests answers as fast as one of ten. The sums are derived: a transaction that changes a
//! request only marks its share, and whoever asks for the task next sums the marked ones up.

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
use crate::ledger::charges::cost_by_kind;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::signed;
use crate::ledger::task::TaskRow;
use crate::ledger::unsigned;
use crate::summary::SessionShare;
use crate::summary::Totals;
use crate::usage::TokenUsage;

/// Sums of the charges of one model. Amounts are summed in two parts, so that no sum passes 64 bits.
///
/// A row of `request` may stand for several requests, or for none: those are counted where its first charge is.
const SUMS: &str = "charge.model,
    count(DISTINCT request.id) + coalesce(sum((charge.part = 0) * (request.requests - 1)), 0),
    coalesce(sum((charge.part = 0) * request.requests), 0),
    min(request.at), max(request.at),
    sum(charge.input), sum(charge.output), sum(charge.cache_write_5m), sum(charge.cache_write_1h),
    sum(charge.cache_read), sum(charge.web_searches),
    sum(cost_input / 1000000), sum(cost_input % 1000000),
    sum(cost_output / 1000000), sum(cost_output % 1000000),
    sum(cost_cache_write_5m / 1000000), sum(cost_cache_write_5m % 1000000),
    sum(cost_cache_write_1h / 1000000), sum(cost_cache_write_1h % 1000000),
    sum(cost_cache_read / 1000000), sum(cost_cache_read % 1000000),
    sum(cost_web_search / 1000000), sum(cost_web_search % 1000000),
    max(charge.estimated), max(NOT request.complete), max(charge.unpriced IS NOT NULL)";

/// What the charges of one model come to.
pub(super) struct ModelSum {
    model: ModelId,
    /// Requests whose first charge is the model's: summed over models, each request counts once.
    n_first: u64,
    first: Timestamp,
    last: Timestamp,
    totals: Totals,
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
            shares.add(session, row.get(1)?, &stored(row)?);
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
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {SUMS} FROM request JOIN charge ON charge.request = request.id
             WHERE {condition} GROUP BY charge.model"
        ))?;
        let mut rows = statement.query(parameters)?;
        let mut sums = Vec::new();
        while let Some(row) = rows.next()? {
            sums.push(model_sum(row)?);
        }
        Ok(sums)
    }

    /// Sums up all tasks and sessions that changed, so that whoever asks for one need not wait.
    pub fn sum_up_all(&self) -> Result<(), LedgerError> {
        self.roll_up()?;
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
            "INSERT INTO share (task, session, model, n_first, first, last, totals)
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

fn stored(row: &Row<'_>) -> Result<ModelSum, LedgerError> {
    Ok(ModelSum {
        model: model(row.get(2)?)?,
        n_first: unsigned(row.get(3)?)?,
        first: instant(row.get(4)?)?,
        last: instant(row.get(5)?)?,
        totals: serde_json::from_str(&row.get::<_, String>(6)?)?,
    })
}

fn model_sum(row: &Row<'_>) -> Result<ModelSum, LedgerError> {
    let count = |column| -> Result<u64, LedgerError> { unsigned(row.get(column)?) };
    let amount = |column| -> Result<i128, LedgerError> {
        let (high, low): (i64, i64) = (row.get(column)?, row.get(column + 1)?);
        Ok(i128::from(high) * 1_000_000 + i128::from(low))
    };
    let model = model(row.get(0)?)?;
    let is_unpriced: bool = row.get(25)?;
    Ok(ModelSum {
        n_first: count(2)?,
        first: instant(row.get(3)?)?,
        last: instant(row.get(4)?)?,
        totals: Totals {
            requests: count(1)?,
            tokens: TokenUsage {
                input: count(5)?,
                output: count(6)?,
                cache_write_5m: count(7)?,
                cache_write_1h: count(8)?,
                cache_read: count(9)?,
            },
            web_search_requests: count(10)?,
            cost: cost_by_kind([
                amount(11)?,
                amount(13)?,
                amount(15)?,
                amount(17)?,
                amount(19)?,
                amount(21)?,
            ]),
            estimated: row.get(23)?,
            lower_bound: row.get(24)?,
            unpriced_models: is_unpriced.then(|| model.clone()).into_iter().collect(),
        },
        model,
    })
}

fn model(id: String) -> Result<ModelId, LedgerError> {
    ModelId::new(id).map_err(|_| LedgerError::Corrupt { what: "an empty model id".to_owned() })
}
