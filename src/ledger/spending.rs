//! What was spent since a moment, for a budget: what is rolled up, and the requests that are not yet. It writes nothing,
//! so a hook need not wait for anybody.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::ToSql;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;

use crate::budget::standing::Spent;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::dimensions::Question;
use crate::ledger::instant;
use crate::ledger::path_bytes;
use crate::ledger::rollup::COSTS;
use crate::ledger::unsigned;
use crate::money::Usd;
use crate::period::Calendar;
use crate::period::Period;
use crate::period::Unit;
use crate::query::Dimension;
use crate::query::Filter;

/// What spending is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apart {
    Nothing,
    /// When it was rolled up to, or the request was made.
    Times,
}

impl Ledger {
    /// Returns what the requests that pass `filter` cost: as [`Ledger::groups`] would say in a project whose prices the
    /// user trusts, elsewhere at the dearer of the project's prices and the user's.
    pub fn spent(&self, filter: &Filter, trusted: &[PathBuf]) -> Result<Spent, LedgerError> {
        let whole = self.spent_apart(Apart::Nothing, filter, trusted)?;
        Ok(whole.into_values().next().unwrap_or_default())
    }

    /// Returns the same for each day of the calendar on which requests were made.
    pub fn spent_by_day(
        &self,
        filter: &Filter,
        calendar: &Calendar,
        trusted: &[PathBuf],
    ) -> Result<Vec<(Date, Usd)>, LedgerError> {
        let mut days: Vec<(Date, Usd)> = Vec::new();
        let mut day = Period { begins: Timestamp::MAX, ends: Timestamp::MIN };
        for (at, spent) in self.spent_apart(Apart::Times, filter, trusted)? {
            let at = instant(at)?;
            match days.last_mut() {
                Some((_, cost)) if day.contains(at) => *cost += spent.cost,
                _ => {
                    day = calendar.period(Unit::Day, at);
                    days.push((calendar.day(at), spent.cost));
                }
            }
        }
        Ok(days)
    }

    /// Returns what was spent, apart by when; under 0 if not apart.
    fn spent_apart(
        &self,
        apart: Apart,
        filter: &Filter,
        trusted: &[PathBuf],
    ) -> Result<BTreeMap<i64, Spent>, LedgerError> {
        // Grouped by a constant SQLite would sort all rows.
        let (key, grouped) = match apart {
            Apart::Nothing => ("0", ""),
            Apart::Times => ("fact.at", " GROUP BY fact.at"),
        };
        let question = Question::about(filter);
        let rest = question.rest();
        let mut parameters = question.parameters();
        let paths: Vec<&[u8]> = trusted.iter().map(|path| path_bytes(path)).collect();
        let first = parameters.len() + 1;
        parameters.extend(paths.iter().map(|path| path as &dyn ToSql));
        let places: Vec<String> = (first..=parameters.len()).map(|n| format!("?{n}")).collect();
        let is_trusted =
            format!("fact.project IN (SELECT id FROM project WHERE path IN ({}))", places.join(", "));
        let sum = |part: &str| {
            let own = COSTS.map(|kind| format!("{part}_{kind}")).join(" + ");
            match trusted {
                [] => format!("sum({part}_dearer)"),
                _ => format!("sum(CASE WHEN {is_trusted} THEN {own} ELSE {part}_dearer END)"),
            }
        };
        let sum_of_all = |part: &str| match trusted {
            [] => format!("sum({part}_dearer)"),
            _ => format!("sum(CASE WHEN {is_trusted} THEN {part}_cost ELSE {part}_dearer END)"),
        };
        let cost = match trusted {
            [] => "dearer".to_owned(),
            _ => format!("CASE WHEN {is_trusted} THEN cost ELSE dearer END"),
        };
        let (micro, pico) = (sum("micro"), sum("pico"));
        // Negative for what is rolled up and changed since: it is part of the totals.
        let rolled_up = |rows: &str, sign: &str| {
            format!(
                "SELECT {key}, {sign}coalesce({micro}, 0), {sign}coalesce({pico}, 0),
                        {sign}coalesce(sum(requests) FILTER (WHERE unpriced), 0), {sign}coalesce(sum(estimated), 0)
                 FROM ({rows}) AS fact{rest}{grouped}"
            )
        };
        // The cross joins make SQLite begin with the few sessions that are not rolled up to their ends.
        let changed = "SELECT rollup.* FROM stale_rollup CROSS JOIN rollup
                       ON rollup.owner = stale_rollup.session AND rollup.at >= stale_rollup.since";
        let others = format!(
            "SELECT {key}, coalesce(sum(({cost}) / 1000000), 0), coalesce(sum(({cost}) % 1000000), 0),
                    count(*) FILTER (WHERE unpriced IS NOT NULL AND part = 0), coalesce(sum(estimated), 0)
             FROM (SELECT request.*, charge.model, charge.part, charge.cost, charge.dearer, charge.unpriced,
                          charge.estimated
                   FROM stale_rollup
                   CROSS JOIN request ON request.owner = stale_rollup.session AND request.at >= stale_rollup.since
                   CROSS JOIN charge ON charge.request = request.id) AS fact{rest}{grouped}"
        );
        let mut texts = vec![others, rolled_up(changed, "-")];
        if apart == Apart::Nothing && has_totals(filter) {
            texts.push(format!(
                "SELECT {key}, coalesce({}, 0), coalesce({}, 0), coalesce(sum(n_unpriced), 0),
                        coalesce(sum(n_estimated), 0)
                 FROM rollup_total AS fact{rest}",
                sum_of_all("micro"),
                sum_of_all("pico"),
            ));
        } else {
            texts.push(rolled_up("SELECT * FROM rollup", ""));
        }
        // All see the same state, whoever rolls up meanwhile.
        let state = Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)?;
        let mut sums: BTreeMap<i64, (i128, i64, i64)> = BTreeMap::new();
        for text in texts {
            let mut statement = state.prepare_cached(&text)?;
            let mut rows = statement.query(parameters.as_slice())?;
            while let Some(row) = rows.next()? {
                let (micro, pico): (i64, i64) = (row.get(1)?, row.get(2)?);
                let (cost, n_unpriced, n_estimated) = sums.entry(row.get(0)?).or_default();
                *cost += i128::from(micro) * 1_000_000 + i128::from(pico);
                *n_unpriced += row.get::<_, i64>(3)?;
                *n_estimated += row.get::<_, i64>(4)?;
            }
        }
        let spent = |(cost, n_unpriced, n_estimated): (i128, i64, i64)| -> Result<Spent, LedgerError> {
            Ok(Spent {
                cost: Usd::from_pico(cost),
                n_unpriced: unsigned(n_unpriced)?,
                estimated: n_estimated > 0,
            })
        };
        let found = sums.into_iter().map(|(key, sums)| Ok((key, spent(sums)?)));
        found.collect()
    }
}

/// Returns whether the totals of all times tell apart what the filter asks for.
fn has_totals(filter: &Filter) -> bool {
    let is_told_apart = |dimension: &Dimension| {
        matches!(
            dimension,
            Dimension::Project
                | Dimension::Task
                | Dimension::Enhancement
                | Dimension::Branch
                | Dimension::Agent
                | Dimension::Tag(_)
                | Dimension::Model
        )
    };
    filter.period == Period::ALL
        && filter.conditions.iter().all(|condition| is_told_apart(&condition.dimension))
}
