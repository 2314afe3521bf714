//! One question for all reports: what requests come to, in groups.

use std::cell::Cell;

use rusqlite::Row;
use rusqlite::functions::FunctionFlags;

use crate::id::ModelId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::charges::cost_by_kind;
use crate::ledger::dimensions;
use crate::ledger::dimensions::Question;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::rollup;
use crate::ledger::rollup::COSTS;
use crate::ledger::rollup::COUNTS;
use crate::ledger::unsigned;
use crate::period::Calendar;
use crate::period::Period;
use crate::period::Unit;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Group;
use crate::summary::Totals;
use crate::usage::TokenUsage;

/// What each period of time is called in SQL.
const UNITS: [(&str, Unit); 4] = [
    ("begins_hour", Unit::Hour),
    ("begins_day", Unit::Day),
    ("begins_week", Unit::Week),
    ("begins_month", Unit::Month),
];

impl Ledger {
    /// Returns what the requests that pass `filter` come to, grouped `by` the dimensions, sorted by their keys; all in
    /// one group if there is no dimension. Each request is in exactly one group.
    ///
    /// # Errors
    /// If the ledger cannot be read, or written: what changed since somebody asked last is summed up first.
    pub fn groups(
        &self,
        filter: &Filter,
        by: &[Dimension],
        calendar: &Calendar,
    ) -> Result<Vec<Group>, LedgerError> {
        self.roll_up()?;
        self.define_periods(calendar)?;
        let mut question = Question::about_quarters(filter);
        let keys: Vec<String> = by.iter().map(|dimension| question.expression(dimension)).collect();
        let selected: String = keys.iter().map(|key| format!("{key}, ")).collect();
        let grouped = match by.len() {
            0 => " HAVING count(*) > 0".to_owned(),
            n => format!(" GROUP BY {}", (1..=n).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")),
        };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {selected}{sums} FROM {source} AS fact{rest}{grouped}",
            sums = sums(),
            source = source(filter.period),
            rest = question.rest(),
        ))?;
        let mut rows = statement.query(question.parameters().as_slice())?;
        let mut groups = Vec::new();
        while let Some(row) = rows.next()? {
            groups.push(group(row, by)?);
        }
        groups.sort_by(|a, b| a.keys.cmp(&b.keys));
        Ok(groups)
    }

    /// Defines when the hour, day, week and month of an instant begin, by this calendar.
    pub(super) fn define_periods(&self, calendar: &Calendar) -> Result<(), LedgerError> {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        for (name, unit) in UNITS {
            let calendar = calendar.clone();
            // Rows that follow each other are mostly of one period.
            let latest = Cell::new(Period { begins: jiff::Timestamp::MAX, ends: jiff::Timestamp::MIN });
            self.connection.create_scalar_function(name, 1, flags, move |context| {
                let at = jiff::Timestamp::from_millisecond(context.get(0)?)
                    .map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))?;
                if !latest.get().contains(at) {
                    latest.set(calendar.period(unit, at));
                }
                Ok(millis(latest.get().begins))
            })?;
        }
        Ok(())
    }
}

/// Returns what the rows of a period are taken from: the roll-up, or, where the period begins or ends within a quarter
/// of an hour, what its requests are rolled up to.
pub(super) fn source(period: Period) -> String {
    let is_whole = |at: jiff::Timestamp| rollup::quarter(millis(at)) == millis(at);
    let begins_whole = period.begins == jiff::Timestamp::MIN || is_whole(period.begins);
    let ends_whole = period.ends == jiff::Timestamp::MAX || is_whole(period.ends);
    if begins_whole && ends_whole {
        return "rollup".to_owned();
    }
    let condition = format!("at >= {} AND at < {}", millis(period.begins), millis(period.ends));
    format!("({})", rollup::selection(&condition))
}

/// Returns the columns that [`group`] reads behind the keys.
fn sums() -> String {
    let counts: String = COUNTS.iter().map(|kind| format!("sum(fact.{kind}), ")).collect();
    let costs: String = COSTS.iter().map(|kind| format!("sum(micro_{kind}), sum(pico_{kind}), ")).collect();
    format!(
        "sum(requests), {counts}{costs} max(estimated),
         max(incomplete OR fact.owner IN (SELECT session FROM file WHERE unanswered OR skipped > 0
                                                 UNION SELECT id FROM session WHERE unaccounted)),
         json_group_array(DISTINCT model) FILTER (WHERE unpriced), json_group_array(DISTINCT model),
         min(first), max(last)"
    )
}

fn group(row: &Row<'_>, by: &[Dimension]) -> Result<Group, LedgerError> {
    let keys = by.iter().enumerate().map(|(n, dimension)| dimensions::key(row, n, dimension));
    let at = by.len();
    let count = |column: usize| -> Result<u64, LedgerError> { unsigned(row.get(at + column)?) };
    let amount = |kind: usize| -> Result<i128, LedgerError> {
        let (micro, pico): (i64, i64) = (row.get(at + 7 + 2 * kind)?, row.get(at + 8 + 2 * kind)?);
        Ok(i128::from(micro) * 1_000_000 + i128::from(pico))
    };
    let models = |column: usize| -> Result<Vec<ModelId>, LedgerError> {
        Ok(serde_json::from_str(&row.get::<_, String>(at + column)?)?)
    };
    let mut used = models(22)?;
    used.sort();
    Ok(Group {
        keys: keys.collect::<Result<_, _>>()?,
        totals: Totals {
            requests: count(0)?,
            tokens: TokenUsage {
                input: count(1)?,
                output: count(2)?,
                cache_write_5m: count(3)?,
                cache_write_1h: count(4)?,
                cache_read: count(5)?,
            },
            web_search_requests: count(6)?,
            cost: cost_by_kind([amount(0)?, amount(1)?, amount(2)?, amount(3)?, amount(4)?, amount(5)?]),
            estimated: row.get(at + 19)?,
            lower_bound: row.get(at + 20)?,
            unpriced_models: models(21)?.into_iter().collect(),
        },
        models: used,
        first: instant(row.get(at + 23)?)?,
        last: instant(row.get(at + 24)?)?,
    })
}
