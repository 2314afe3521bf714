//! Requests one by one with what they cost, in an order of time, for whoever writes them out.

use std::ops::ControlFlow;

use jiff::Timestamp;
use rusqlite::Row;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::charges::cost_by_kind;
use crate::ledger::dimensions;
use crate::ledger::dimensions::Question;
use crate::ledger::instant;
use crate::ledger::unsigned;
use crate::period::Calendar;
use crate::pricing::CostByKind;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;
use crate::usage::TokenUsage;

/// A charge with the request that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargedRequest {
    /// The `message.id`, or what stands in for it.
    pub request: String,
    /// The number of the charge within its request, from 0.
    pub part: u64,
    /// When the request was made, UTC.
    pub at: Timestamp,
    /// Where it stands in each dimension that was asked for.
    pub keys: Vec<Key>,
    /// What kind of charge it is: `message`, …
    pub kind: String,
    /// The price row's id, else the model as the request names it.
    pub model: String,
    /// The number of the price in the ledger; `None` if it is unpriced or not billed.
    pub price: Option<i64>,
    /// Why it has no cost.
    pub unpriced: Option<String>,
    /// The price was guessed.
    pub estimated: bool,
    /// The request's output count is final.
    pub complete: bool,
    /// Its tokens.
    pub tokens: TokenUsage,
    /// Its web searches.
    pub web_search_requests: u64,
    /// What it costs, as far as it is priced.
    pub cost: CostByKind,
}

impl Ledger {
    /// Gives each charge of the requests that pass `filter` to `each`, with its place in the `told` dimensions, until
    /// `each` breaks off; the earliest request first. Holds one row in memory.
    ///
    /// # Errors
    /// If the ledger cannot be read; what `each` returns as an error is returned.
    pub fn each_charge<E: From<LedgerError>>(
        &self,
        filter: &Filter,
        told: &[Dimension],
        calendar: &Calendar,
        mut each: impl FnMut(ChargedRequest) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.define_periods(calendar)?;
        let mut question = Question::about(filter);
        let keys: String =
            told.iter().map(|dimension| format!(", {}", question.expression(dimension))).collect();
        let query = format!(
            "SELECT fact.key, charge.part, fact.at, charge.kind, charge.model, charge.price, charge.unpriced,
                 charge.estimated, fact.complete, charge.input, charge.output, charge.cache_write_5m,
                 charge.cache_write_1h, charge.cache_read, charge.web_searches, cost_input, cost_output,
                 cost_cache_write_5m, cost_cache_write_1h, cost_cache_read, cost_web_search{keys}
             FROM request AS fact CROSS JOIN charge ON charge.request = fact.id{rest}
             ORDER BY fact.at, fact.id, charge.part",
            rest = question.rest(),
        );
        let mut statement = self.connection.prepare_cached(&query).map_err(LedgerError::from)?;
        let mut rows = statement.query(question.parameters().as_slice()).map_err(LedgerError::from)?;
        while let Some(row) = rows.next().map_err(LedgerError::from)? {
            if each(charged(row, told)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn charged(row: &Row<'_>, told: &[Dimension]) -> Result<ChargedRequest, LedgerError> {
    let count = |column: usize| -> Result<u64, LedgerError> { unsigned(row.get(column)?) };
    let amount = |column: usize| -> Result<i128, LedgerError> { Ok(row.get::<_, i64>(column)?.into()) };
    let keys = told.iter().enumerate().map(|(n, dimension)| dimensions::key(row, 21 + n, dimension));
    Ok(ChargedRequest {
        request: row.get(0)?,
        part: count(1)?,
        at: instant(row.get(2)?)?,
        keys: keys.collect::<Result<_, _>>()?,
        kind: row.get(3)?,
        model: row.get(4)?,
        price: row.get(5)?,
        unpriced: row.get(6)?,
        estimated: row.get(7)?,
        complete: row.get(8)?,
        tokens: TokenUsage {
            input: count(9)?,
            output: count(10)?,
            cache_write_5m: count(11)?,
            cache_write_1h: count(12)?,
            cache_read: count(13)?,
        },
        web_search_requests: count(14)?,
        cost: cost_by_kind([amount(15)?, amount(16)?, amount(17)?, amount(18)?, amount(19)?, amount(20)?]),
    })
}
