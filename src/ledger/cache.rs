//! What the prompt cache saved and cost, by the prices that the charges were made with.

use std::collections::BTreeMap;

use rusqlite::Row;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::dimensions;
use crate::ledger::dimensions::Question;
use crate::ledger::groups;
use crate::ledger::rollup::COSTS;
use crate::ledger::unsigned;
use crate::money::MoneyError;
use crate::money::Rate;
use crate::money::Usd;
use crate::period::Calendar;
use crate::pricing::Price;
use crate::query::CacheGroup;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;
use crate::summary::CacheTotals;
use crate::usage::TokenUsage;

impl Ledger {
    /// Returns what the cache did for the requests that pass `filter`, grouped `by` the dimensions, sorted by their
    /// keys; all in one group if there is no dimension. What has no price adds tokens, and no money.
    ///
    /// # Errors
    /// As [`Ledger::groups`].
    pub fn cache_groups(
        &self,
        filter: &Filter,
        by: &[Dimension],
        calendar: &Calendar,
    ) -> Result<Vec<CacheGroup>, LedgerError> {
        self.roll_up()?;
        self.define_periods(calendar)?;
        let mut question = Question::about_quarters(filter);
        let keys: String =
            by.iter().map(|dimension| format!("{}, ", question.expression(dimension))).collect();
        let costs: String =
            COSTS.iter().map(|kind| format!(", sum(micro_{kind}), sum(pico_{kind})")).collect();
        let grouped: String = (1..=by.len()).map(|column| format!("{column}, ")).collect();
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {keys} (SELECT json FROM price WHERE id = fact.price), sum(fact.input), sum(fact.output),
                 sum(fact.cache_write_5m), sum(fact.cache_write_1h), sum(fact.cache_read), sum(unread_5m),
                 sum(unread_1h) {costs}
             FROM {source} AS fact{rest} GROUP BY {grouped}fact.price",
            source = groups::source(filter.period),
            rest = question.rest(),
        ))?;
        let mut rows = statement.query(question.parameters().as_slice())?;
        let mut found: BTreeMap<Vec<Key>, CacheTotals> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let keys = by.iter().enumerate().map(|(n, dimension)| dimensions::key(row, n, dimension));
            let totals = at_one_price(row, by.len())?;
            found.entry(keys.collect::<Result<_, _>>()?).or_default().add(&totals);
        }
        Ok(found.into_iter().map(|(keys, totals)| CacheGroup { keys, totals }).collect())
    }
}

fn at_one_price(row: &Row<'_>, at: usize) -> Result<CacheTotals, LedgerError> {
    let count = |column: usize| -> Result<u64, LedgerError> { unsigned(row.get(at + column)?) };
    let amount = |kind: usize| -> Result<Usd, LedgerError> {
        let (micro, pico): (i64, i64) = (row.get(at + 8 + 2 * kind)?, row.get(at + 9 + 2 * kind)?);
        Ok(Usd::from_pico(i128::from(micro) * 1_000_000 + i128::from(pico)))
    };
    let tokens = TokenUsage {
        input: count(1)?,
        output: count(2)?,
        cache_write_5m: count(3)?,
        cache_write_1h: count(4)?,
        cache_read: count(5)?,
    };
    let (unread_5m, unread_1h) = (count(6)?, count(7)?);
    let costs = (0..COSTS.len()).map(amount).collect::<Result<Vec<Usd>, _>>()?;
    let paid = costs.iter().copied().sum();
    let unread_tokens = unread_5m.saturating_add(unread_1h);
    let Some(json) = row.get::<_, Option<String>>(at)? else {
        return Ok(CacheTotals { tokens, paid, unread_tokens, ..CacheTotals::default() });
    };
    let price: Price = serde_json::from_str(&json)?;
    let cost = |rate: Rate, tokens: u64| rate.cost(tokens, price.factor).map_err(too_much);
    Ok(CacheTotals {
        tokens,
        paid,
        saved_by_reads: cost(price.rates.input, tokens.cache_read)? - costs[4],
        premium_5m: costs[2] - cost(price.rates.input, tokens.cache_write_5m)?,
        premium_1h: costs[3] - cost(price.rates.input, tokens.cache_write_1h)?,
        unread_tokens,
        wasted: cost(price.rates.cache_write_5m, unread_5m)? + cost(price.rates.cache_write_1h, unread_1h)?,
    })
}

/// Sums of millions of dollars at one price are no honest usage.
fn too_much(error: MoneyError) -> LedgerError {
    LedgerError::Corrupt { what: format!("more than can be summed up ({error})") }
}
