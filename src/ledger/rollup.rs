//! What each session's requests come to by quarter of an hour and by all that tells them apart.
//!
//! The hours, days and months of every time zone begin at a quarter, so all reports are sums of these rows, some
//! fifty times fewer than requests. They are derived: a transaction that changes a request only marks its session from
//! that quarter on, and whoever asks next rolls up what is marked.

use rusqlite::OptionalExtension as _;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::signed;

/// Length of a quarter of an hour, in milliseconds.
const QUARTER: i64 = 15 * 60 * 1000;

/// How many requests are rolled up in one transaction, or some more: others write in between, and a hook whose time is
/// over loses no more than that. In tests of this crate so few that they are cut.
const PIECE: i64 = if cfg!(test) { 3 } else { 5_000 };

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
    /// Rolls up what changed of sessions since they were asked for last.
    pub fn roll_up(&self) -> Result<(), LedgerError> {
        while self.roll_up_some()? {}
        Ok(())
    }

    /// Does so for the next few thousand requests; returns whether there may be more.
    pub fn roll_up_some(&self) -> Result<bool, LedgerError> {
        if self.next_stale()?.is_none() {
            return Ok(false);
        }
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let insertion = insertion();
        let mut left = PIECE;
        while left > 0
            && let Some((session, since)) = self.next_stale()?
        {
            left -= roll_up_session(&transaction, &insertion, session, since, left)?;
        }
        transaction.commit()?;
        Ok(left <= 0)
    }

    /// Returns whether more than `n` requests are not rolled up.
    pub fn has_more_to_roll_up(&self, n: u64) -> Result<bool, LedgerError> {
        let has_more = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM stale_rollup CROSS JOIN request
                                ON request.owner = stale_rollup.session AND request.at >= stale_rollup.since
                                LIMIT 1 OFFSET ?1)",
            )?
            .query_row([signed(n)?], |row| row.get(0))?;
        Ok(has_more)
    }

    /// Returns a session that is to be rolled up, and from when on.
    fn next_stale(&self) -> Result<Option<(i64, i64)>, LedgerError> {
        let stale = self
            .connection
            .prepare_cached("SELECT session, since FROM stale_rollup LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(stale)
    }
}

/// Rolls up `limit` of the requests that `session` owns `since` then, and those of the quarter that this ends in; returns
/// how many.
fn roll_up_session(
    transaction: &Transaction<'_>,
    insertion: &str,
    session: i64,
    since: i64,
    limit: i64,
) -> Result<i64, LedgerError> {
    let next: Option<i64> = transaction
        .prepare_cached("SELECT at FROM request WHERE owner = ?1 AND at >= ?2 ORDER BY at LIMIT 1 OFFSET ?3")?
        .query_row([session, since, limit], |row| row.get(0))
        .optional()?;
    let ends = next.map_or(i64::MAX, |at| quarter(at).max(since + QUARTER));
    let n_requests = transaction
        .prepare_cached("SELECT count(*) FROM request WHERE owner = ?1 AND at >= ?2 AND at < ?3")?
        .query_row([session, since, ends], |row| row.get(0))?;
    let begins = followed_since(transaction, session, since, ends)?;
    transaction
        .prepare_cached("DELETE FROM rollup WHERE owner = ?1 AND at >= ?2 AND at < ?3")?
        .execute([session, begins, ends])?;
    transaction.prepare_cached(insertion)?.execute([session, begins, ends])?;
    match next {
        Some(_) => transaction
            .prepare_cached("UPDATE stale_rollup SET since = ?2 WHERE session = ?1")?
            .execute([session, ends])?,
        None => {
            transaction.prepare_cached("DELETE FROM stale_rollup WHERE session = ?1")?.execute([session])?
        }
    };
    Ok(n_requests)
}

/// Returns when the quarter of an hour begins that `millis` falls in; both in UTC milliseconds.
pub(super) fn quarter(millis: i64) -> i64 {
    millis.saturating_sub(millis.rem_euclid(QUARTER))
}

/// Returns the quarter of the earliest request that is followed by one between `since` and `ends` in its agent's thread:
/// whether what it wrote to the cache was read is told by that one. `since` if there is none before.
fn followed_since(
    transaction: &Transaction<'_>,
    session: i64,
    since: i64,
    ends: i64,
) -> Result<i64, LedgerError> {
    let at: Option<i64> = transaction
        .prepare_cached(
            "SELECT min((SELECT at FROM request AS before
                         WHERE before.owner = ?1 AND before.at < ?2 AND (before.key_kind = 4) = thread.kind
                             AND before.agent_id IS thread.agent_id
                         ORDER BY before.at DESC LIMIT 1))
             FROM (SELECT DISTINCT key_kind = 4 AS kind, agent_id FROM request
                   WHERE owner = ?1 AND at >= ?2 AND at < ?3) AS thread",
        )?
        .query_row([session, since, ends], |row| row.get(0))?;
    Ok(at.map_or(since, quarter))
}

/// Returns the statement that rolls up the session `?1` from `?2` to `?3`.
fn insertion() -> String {
    let columns = columns().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO rollup ({columns}) {}", selection("owner = ?1 AND at >= ?2 AND at < ?3"))
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
