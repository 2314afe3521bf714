//! Requests one by one with what they cost, in an order of time, for whoever writes them out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::charges::cost_by_kind;
use crate::ledger::dimensions::Question;
use crate::ledger::instant;
use crate::ledger::unsigned;
use crate::money::Usd;
use crate::period::Calendar;
use crate::pricing::CostByKind;
use crate::pricing::Price;
use crate::query::Dimension;
use crate::query::Filter;
use crate::usage::TokenUsage;

/// A charge with the request that it is for.
#[derive(Debug)]
pub struct ChargedRequest<'row> {
    /// The `message.id`, or what stands in for it.
    pub request: &'row str,
    /// The number of the charge within its request, from 0.
    pub part: u64,
    /// When the request was made, UTC.
    pub at: Timestamp,
    /// The subagent that made it; `None`: the session itself.
    pub agent_id: Option<&'row str>,
    /// What kind of charge it is: `message`, …
    pub kind: &'row str,
    /// The price row's id, else the model as the request names it.
    pub model: &'row str,
    /// The number of the price in the ledger; `None` if it is unpriced or not billed.
    pub price: Option<i64>,
    /// Why it has no cost.
    pub unpriced: Option<&'row str>,
    /// The price was guessed.
    pub estimated: bool,
    /// The request's output count is final.
    pub complete: bool,
    /// How many requests the request stands for: 1, if a transcript shows it.
    pub requests: u64,
    /// Who told of it; `None`: a transcript.
    pub source: Option<&'row str>,
    /// What that source says the request costs.
    pub cost_reported: Option<Usd>,
    /// Its tokens.
    pub tokens: TokenUsage,
    /// Its web searches.
    pub web_search_requests: u64,
    /// What it costs, as far as it is priced.
    pub cost: CostByKind,
    row: &'row Row<'row>,
}

impl<'row> ChargedRequest<'row> {
    /// Returns where the request stands in the `n`th of the dimensions that were asked for; `None` if nowhere.
    ///
    /// # Errors
    /// If there is no such dimension, or it is one of time, which [`ChargedRequest::at`] tells.
    pub fn key(&self, n: usize) -> Result<Option<Cow<'row, str>>, LedgerError> {
        Ok(match self.row.get_ref(FIRST_KEY + n)? {
            ValueRef::Null => None,
            ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text)),
            ValueRef::Integer(_) | ValueRef::Real(_) => {
                return Err(LedgerError::Corrupt { what: "a number for a name".to_owned() });
            }
        })
    }
}

/// Column of the first dimension.
const FIRST_KEY: usize = 25;

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
        mut each: impl FnMut(&ChargedRequest<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.define_periods(calendar)?;
        let mut question = Question::about(filter);
        let keys: String =
            told.iter().map(|dimension| format!(", {}", question.expression(dimension))).collect();
        let query = format!(
            "SELECT fact.key, charge.part, fact.at, charge.kind, charge.model, charge.price, charge.unpriced,
                 charge.estimated, fact.complete, charge.input, charge.output, charge.cache_write_5m,
                 charge.cache_write_1h, charge.cache_read, charge.web_searches, cost_input, cost_output,
                 cost_cache_write_5m, cost_cache_write_1h, cost_cache_read, cost_web_search,
                 fact.requests, fact.source, fact.cost_reported, fact.agent_id{keys}
             FROM request AS fact CROSS JOIN charge ON charge.request = fact.id{rest}
             ORDER BY fact.at, fact.id, charge.part",
            rest = question.rest(),
        );
        let mut statement = self.connection.prepare_cached(&query).map_err(LedgerError::from)?;
        let mut rows = statement.query(question.parameters().as_slice()).map_err(LedgerError::from)?;
        while let Some(row) = rows.next().map_err(LedgerError::from)? {
            if each(&charged(row)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the price rows that charges were made with, by their number, each with the hash of its content.
    pub fn prices(&self) -> Result<HashMap<i64, (Vec<u8>, Price)>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT id, hash, json FROM price")?;
        let mut rows = statement.query([])?;
        let mut prices = HashMap::new();
        while let Some(row) = rows.next()? {
            let price = serde_json::from_str(&row.get::<_, String>(2)?)?;
            prices.insert(row.get(0)?, (row.get(1)?, price));
        }
        Ok(prices)
    }
}

fn charged<'row>(row: &'row Row<'row>) -> Result<ChargedRequest<'row>, LedgerError> {
    let count = |column: usize| -> Result<u64, LedgerError> { unsigned(row.get(column)?) };
    let amount = |column: usize| -> Result<i128, LedgerError> { Ok(row.get::<_, i64>(column)?.into()) };
    let text = |column: usize| -> Result<&'row str, LedgerError> {
        row.get_ref(column)?
            .as_str()
            .map_err(|_| LedgerError::Corrupt { what: "a name that is no text".to_owned() })
    };
    let text_or_none = |column: usize| -> Result<Option<&'row str>, LedgerError> {
        match row.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => text(column).map(Some),
        }
    };
    let reported: Option<i64> = row.get(23)?;
    Ok(ChargedRequest {
        request: text(0)?,
        part: count(1)?,
        at: instant(row.get(2)?)?,
        agent_id: text_or_none(24)?,
        kind: text(3)?,
        model: text(4)?,
        price: row.get(5)?,
        unpriced: text_or_none(6)?,
        estimated: row.get(7)?,
        complete: row.get(8)?,
        requests: count(21)?,
        source: text_or_none(22)?,
        cost_reported: reported.map(|pico| Usd::from_pico(pico.into())),
        tokens: TokenUsage {
            input: count(9)?,
            output: count(10)?,
            cache_write_5m: count(11)?,
            cache_write_1h: count(12)?,
            cache_read: count(13)?,
        },
        web_search_requests: count(14)?,
        cost: cost_by_kind([amount(15)?, amount(16)?, amount(17)?, amount(18)?, amount(19)?, amount(20)?]),
        row,
    })
}
