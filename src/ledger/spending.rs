//! What was spent since a moment, for a budget: the roll-up of the sessions that rest, and the requests of those that go
//! on. It writes nothing, so a hook need not wait for anybody.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::Date;
use rusqlite::ToSql;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;

use crate::budget::standing::Spent;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::dimensions;
use crate::ledger::dimensions::Question;
use crate::ledger::instant;
use crate::ledger::path_bytes;
use crate::ledger::rollup::COSTS;
use crate::ledger::unsigned;
use crate::money::Usd;
use crate::period::Calendar;
use crate::period::Unit;
use crate::query::Filter;

impl Ledger {
    /// Returns what the requests that pass `filter` cost: as [`Ledger::groups`] would say in a project whose prices the
    /// user trusts, elsewhere at the dearer of the project's prices and the user's.
    pub fn spent(&self, filter: &Filter, trusted: &[PathBuf]) -> Result<Spent, LedgerError> {
        let whole = self.spent_apart(None, filter, trusted)?;
        Ok(whole.into_values().next().unwrap_or_default())
    }

    /// Returns the same for each day of the calendar on which there were requests.
    pub fn spent_by_day(
        &self,
        filter: &Filter,
        calendar: &Calendar,
        trusted: &[PathBuf],
    ) -> Result<Vec<(Date, Usd)>, LedgerError> {
        self.define_periods(calendar)?;
        let days = self.spent_apart(Some(dimensions::begins_of(Unit::Day)), filter, trusted)?;
        days.into_iter().map(|(begins, spent)| Ok((calendar.day(instant(begins)?), spent.cost))).collect()
    }

    /// Returns what was spent, apart by an expression over requests; under 0 if there is none.
    fn spent_apart(
        &self,
        apart_by: Option<&str>,
        filter: &Filter,
        trusted: &[PathBuf],
    ) -> Result<BTreeMap<i64, Spent>, LedgerError> {
        // Grouped by a constant SQLite would sort all rows.
        let (key, grouped) = apart_by.map_or(("0", ""), |key| (key, " GROUP BY 1"));
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
        let cost = match trusted {
            [] => "dearer".to_owned(),
            _ => format!("CASE WHEN {is_trusted} THEN cost ELSE dearer END"),
        };
        let rolled_up = format!(
            "SELECT {key}, coalesce({}, 0), coalesce({}, 0), coalesce(sum(requests) FILTER (WHERE unpriced), 0),
                    coalesce(max(estimated), 0)
             FROM (SELECT * FROM rollup WHERE owner NOT IN (SELECT session FROM stale_rollup)) AS fact{rest}{grouped}",
            sum("micro"),
            sum("pico"),
        );
        // The cross joins make SQLite begin with the few sessions that are not rolled up.
        let others = format!(
            "SELECT {key}, coalesce(sum(({cost}) / 1000000), 0), coalesce(sum(({cost}) % 1000000), 0),
                    count(*) FILTER (WHERE unpriced IS NOT NULL AND part = 0), coalesce(max(estimated), 0)
             FROM (SELECT request.*, charge.model, charge.part, charge.cost, charge.dearer, charge.unpriced,
                          charge.estimated
                   FROM stale_rollup CROSS JOIN request ON request.owner = stale_rollup.session
                   CROSS JOIN charge ON charge.request = request.id) AS fact{rest}{grouped}"
        );
        // Both see the same state, whoever rolls up meanwhile.
        let state = Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)?;
        let mut found: BTreeMap<i64, Spent> = BTreeMap::new();
        for text in [rolled_up, others] {
            let mut statement = state.prepare_cached(&text)?;
            let mut rows = statement.query(parameters.as_slice())?;
            while let Some(row) = rows.next()? {
                let (micro, pico): (i64, i64) = (row.get(1)?, row.get(2)?);
                let spent = found.entry(row.get(0)?).or_default();
                spent.cost += Usd::from_pico(i128::from(micro) * 1_000_000 + i128::from(pico));
                spent.n_unpriced += unsigned(row.get(3)?)?;
                spent.estimated |= row.get::<_, bool>(4)?;
            }
        }
        Ok(found)
    }

    /// Returns how many sessions are not rolled up.
    pub fn n_stale_rollups(&self) -> Result<u64, LedgerError> {
        unsigned(
            self.connection
                .prepare_cached("SELECT count(*) FROM stale_rollup")?
                .query_row([], |row| row.get(0))?,
        )
    }
}
