//! What each session's requests come to by quarter of an hour and by all that tells them apart.
//!
//! The hours, days and months of every time zone begin at a quarter, so all reports are sums of these rows, some
//! fifty times fewer than requests. They are derived: a transaction that changes a request only marks its session, and
//! whoever asks next rolls the marked ones up.

use rusqlite::Transaction;
use rusqlite::TransactionBehavior;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;

/// Length of a quarter of an hour, in milliseconds.
pub(super) const QUARTER: i64 = 15 * 60 * 1000;

/// Columns of `request` that tell requests apart; `rollup` has each under the same name.
const TOLD_APART: &[&str] = &[
    "project",
    "task",
    "enhancement",
    "branch",
    "agent",
    "skill",
    "mcp_server",
    "operation",
    "bound_agent",
    "tags",
    "user",
    "command",
    "ticket",
    "pr",
    "commit_hash",
];

/// Kinds of tokens that a charge counts, and searches.
pub(super) const COUNTS: [&str; 6] =
    ["input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "web_searches"];

/// Kinds of costs.
pub(super) const COSTS: [&str; 6] =
    ["input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "web_search"];

impl Ledger {
    /// Rolls up the sessions that changed since they were asked for last.
    pub fn roll_up(&self) -> Result<(), LedgerError> {
        let is_stale: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM stale_rollup)")?
            .query_row([], |row| row.get(0))?;
        if !is_stale {
            return Ok(());
        }
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let stale = transaction
            .prepare("DELETE FROM stale_rollup RETURNING session")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<Vec<i64>, _>>()?;
        let insertion = insertion();
        for session in stale {
            transaction.prepare_cached("DELETE FROM rollup WHERE owner = ?1")?.execute([session])?;
            transaction.prepare_cached(&insertion)?.execute([session])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Returns the statement that rolls up the session `?1`.
///
/// What a request wrote to the cache was read if the next one of the same agent reads more than it did itself, by so
/// many tokens. A sum of money is kept in two parts, so that no sum passes 64 bits.
fn insertion() -> String {
    let told_apart = TOLD_APART.join(", ");
    let of_request: String = TOLD_APART.iter().map(|column| format!("fact.{column}, ")).collect();
    let counts: String = COUNTS.iter().map(|kind| format!("sum(charge.{kind}), ")).collect();
    let costs: String = COSTS
        .iter()
        .map(|kind| format!("sum(cost_{kind} / 1000000), sum(cost_{kind} % 1000000), "))
        .collect();
    let cost_columns: String = COSTS.iter().map(|kind| format!("micro_{kind}, pico_{kind}, ")).collect();
    format!(
        "INSERT INTO rollup (owner, at, model, price, {told_apart}, first, last, requests, {counted},
             {cost_columns} micro_dearer, pico_dearer, unread_5m, unread_1h, estimated, incomplete, unpriced)
         SELECT ?1, fact.at - (fact.at % {QUARTER} + {QUARTER}) % {QUARTER}, charge.model, charge.price,
             {of_request} min(fact.at), max(fact.at), sum((charge.part = 0) * fact.requests), {counts} {costs}
             sum(charge.dearer / 1000000), sum(charge.dearer % 1000000),
             sum(CASE WHEN charge.part = 0 THEN min(charge.cache_write_5m, max(0, unread - charge.cache_write_1h))
                      ELSE 0 END),
             sum(CASE WHEN charge.part = 0 THEN min(charge.cache_write_1h, unread) ELSE 0 END),
             max(charge.estimated), max(NOT fact.complete), max(charge.unpriced IS NOT NULL)
         FROM (SELECT request.*,
                   max(0, cache_write - max(0, coalesce(lead(cache_read) OVER thread, 0) - cache_read)) AS unread
               FROM request WHERE owner = ?1 WINDOW thread AS (PARTITION BY key_kind = 4, agent_id ORDER BY at, id)) AS fact
         JOIN charge ON charge.request = fact.id
         GROUP BY 2, charge.model, charge.price, {grouped}",
        counted = COUNTS.join(", "),
        grouped = TOLD_APART.iter().map(|column| format!("fact.{column}")).collect::<Vec<_>>().join(", "),
    )
}
