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
fn insertion() -> String {
    let columns = columns().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO rollup ({columns}) {}", selection("owner = ?1"))
}

/// Returns the query whose rows are what the requests for which `condition` holds are rolled up to.
///
/// What a request wrote to the cache was read if the next one of the same agent reads more than it did itself, by so
/// many tokens.
pub(super) fn selection(condition: &str) -> String {
    let columns: Vec<String> =
        columns().iter().map(|(name, expression)| format!("{expression} AS {name}")).collect();
    let told_apart: String = TOLD_APART.iter().map(|column| format!(", fact.{column}")).collect();
    // Not all columns: SQLite sorts what is selected here twice, which costs more than the sums.
    format!(
        "SELECT {columns}
         FROM (SELECT id, owner, at, requests, complete, {selected},
                   max(0, cache_write - max(0, coalesce(lead(cache_read) OVER thread, 0) - cache_read)) AS unread
               FROM request WHERE {condition}
               WINDOW thread AS (PARTITION BY owner, key_kind = 4, agent_id ORDER BY at, id)) AS fact
         JOIN charge ON charge.request = fact.id
         GROUP BY fact.owner, 2, charge.model, charge.price{told_apart}",
        columns = columns.join(", "),
        selected = TOLD_APART.join(", "),
    )
}

/// Returns the columns of `rollup`, each with what stands there. A sum of money is kept in two parts, so that no sum
/// passes 64 bits.
fn columns() -> Vec<(String, String)> {
    let quarter = format!("fact.at - (fact.at % {QUARTER} + {QUARTER}) % {QUARTER}");
    let mut columns = vec![("owner", "fact.owner".to_owned()), ("at", quarter)];
    columns.extend(["model", "price"].map(|name| (name, format!("charge.{name}"))));
    columns.extend(TOLD_APART.iter().map(|name| (*name, format!("fact.{name}"))));
    columns.extend([
        ("first", "min(fact.at)".to_owned()),
        ("last", "max(fact.at)".to_owned()),
        ("requests", "sum((charge.part = 0) * fact.requests)".to_owned()),
    ]);
    columns.extend(COUNTS.iter().map(|kind| (*kind, format!("sum(charge.{kind})"))));
    let unread_1h = "min(charge.cache_write_1h, unread)";
    let unread_5m = "min(charge.cache_write_5m, max(0, unread - charge.cache_write_1h))";
    columns.extend([
        ("micro_dearer", "sum(charge.dearer / 1000000)".to_owned()),
        ("pico_dearer", "sum(charge.dearer % 1000000)".to_owned()),
        ("unread_5m", format!("sum((charge.part = 0) * {unread_5m})")),
        ("unread_1h", format!("sum((charge.part = 0) * {unread_1h})")),
        ("estimated", "max(charge.estimated)".to_owned()),
        ("incomplete", "max(NOT fact.complete)".to_owned()),
        ("unpriced", "max(charge.unpriced IS NOT NULL)".to_owned()),
    ]);
    let costs = COSTS.iter().flat_map(|kind| {
        [
            (format!("micro_{kind}"), format!("sum(cost_{kind} / 1000000)")),
            (format!("pico_{kind}"), format!("sum(cost_{kind} % 1000000)")),
        ]
    });
    columns.into_iter().map(|(name, expression)| (name.to_owned(), expression)).chain(costs).collect()
}
