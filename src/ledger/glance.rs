//! What a status line shows, read without writing and without waiting.
//!
//! It answers from sums that are there and from the few requests that changed since; whoever asks for a report brings
//! the sums up to date.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::OptionalExtension as _;
use rusqlite::params;

use crate::attribution::rules::Rulebook;
use crate::disk::file_system::FileSystem;
use crate::id::SessionId;
use crate::ledger::FILE_NAME;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::dimensions;
use crate::ledger::dimensions::Question;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::schema;
use crate::ledger::unsigned;
use crate::money::Usd;
use crate::period::Period;
use crate::query::Dimension;
use crate::query::Key;
use crate::summary::Totals;

/// An amount, and how sure it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// What is priced.
    pub cost: Usd,
    /// A price was guessed.
    pub estimated: bool,
    /// The true amount may be higher.
    pub at_least: bool,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.cost += other.cost;
        self.estimated |= other.estimated;
        self.at_least |= other.at_least;
    }
}

/// Tokens of prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromptTokens {
    /// All of them.
    pub all: u64,
    /// Those that were read from the cache.
    pub cache_read: u64,
}

impl Ledger {
    /// Opens the ledger in `data_dir` for questions only; `None` if there is none, or if it is of another format.
    ///
    /// What would have to be waited for fails.
    ///
    /// # Errors
    /// If it cannot be read now.
    pub fn open_to_glance(data_dir: &Path) -> Result<Option<Self>, LedgerError> {
        let path = data_dir.join(FILE_NAME);
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .map_err(|source| LedgerError::Open { path: path.clone(), source })?;
        connection.busy_timeout(Duration::ZERO)?;
        if schema::version(&connection, &path)? != schema::newest() {
            return Ok(None);
        }
        let rules = Rulebook::default();
        Ok(Some(Self { connection, file_system: FileSystem::Local, rules }))
    }

    /// Returns what the requests of a period cost.
    pub fn spent_in(&self, period: Period) -> Result<Spent, LedgerError> {
        self.amount_of("at >= ?1 AND at < ?2", params![millis(period.begins), millis(period.ends)])
    }

    /// Returns what the requests cost that a session owns.
    pub fn spent_by(&self, session: &SessionId) -> Result<Spent, LedgerError> {
        self.amount_of("owner = (SELECT id FROM session WHERE name = ?1)", params![session.as_str()])
    }

    /// Returns what a task of the project at `project` costs, if it is known.
    pub fn spent_on(&self, project: &Path, task: &str) -> Result<Option<Spent>, LedgerError> {
        let found: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT task.id FROM task JOIN project ON project.id = task.project WHERE path = ?1 AND name = ?2",
            )?
            .query_row(params![path_bytes(project), task], |row| row.get(0))
            .optional()?;
        let Some(task) = found else { return Ok(None) };
        let mut spent = Spent::default();
        let mut statement = self.connection.prepare_cached(
            "SELECT totals FROM share WHERE task = ?1
               AND session NOT IN (SELECT session FROM stale_share WHERE task = ?1)",
        )?;
        let mut rows = statement.query([task])?;
        while let Some(row) = rows.next()? {
            let totals: Totals = serde_json::from_str(&row.get::<_, String>(0)?)?;
            spent.add(Spent {
                cost: totals.cost.total(),
                estimated: totals.estimated,
                at_least: totals.lower_bound || !totals.unpriced_models.is_empty(),
            });
        }
        spent.add(self.amount_of(
            "task = ?1 AND owner IN (SELECT session FROM stale_share WHERE task = ?1)",
            params![task],
        )?);
        Ok(Some(spent))
    }

    /// Returns the task that the last request of a session belongs to.
    pub fn task_at_hand(&self, session: &SessionId) -> Result<Option<String>, LedgerError> {
        let task = self
            .connection
            .prepare_cached(
                "SELECT task.name FROM request LEFT JOIN task ON task.id = request.task
                 WHERE owner = (SELECT id FROM session WHERE name = ?1) ORDER BY request.at DESC LIMIT 1",
            )?
            .query_row([session.as_str()], |row| row.get(0))
            .optional()?;
        Ok(task.flatten())
    }

    /// Returns the prompt tokens of a session; `None` if it has none.
    pub fn prompt_tokens(&self, session: &SessionId) -> Result<Option<PromptTokens>, LedgerError> {
        let (all, cache_read): (i64, i64) = self
            .connection
            .prepare_cached(
                "SELECT coalesce(sum(charge.input + charge.cache_write_5m + charge.cache_write_1h
                                     + charge.cache_read), 0), coalesce(sum(charge.cache_read), 0)
                 FROM request JOIN charge ON charge.request = request.id
                 WHERE owner = (SELECT id FROM session WHERE name = ?1)",
            )?
            .query_row([session.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let tokens = PromptTokens { all: unsigned(all)?, cache_read: unsigned(cache_read)? };
        Ok((tokens.all > 0).then_some(tokens))
    }

    /// Returns the names of at most `n_most` tasks of the project at `project`, the latest first, with their titles.
    pub fn task_names(
        &self,
        project: &Path,
        n_most: usize,
    ) -> Result<Vec<(String, Option<String>)>, LedgerError> {
        self.names(
            "SELECT name, title FROM task WHERE project = (SELECT id FROM project WHERE path = ?1)
               AND (NOT ruled OR EXISTS (SELECT 1 FROM request WHERE task = task.id)) ORDER BY id DESC LIMIT ?2",
            project,
            n_most,
        )
    }

    /// Returns at most `n_most` enhancements of the project at `project`.
    pub fn enhancement_names(
        &self,
        project: &Path,
        n_most: usize,
    ) -> Result<Vec<(String, Option<String>)>, LedgerError> {
        self.names(
            "SELECT enhancement, NULL FROM task
             WHERE project = (SELECT id FROM project WHERE path = ?1) AND enhancement IS NOT NULL
             UNION SELECT enhancement, NULL FROM rollup
             WHERE project = (SELECT id FROM project WHERE path = ?1) AND enhancement IS NOT NULL
             ORDER BY 1 LIMIT ?2",
            project,
            n_most,
        )
    }

    /// Returns at most `n_most` values that requests have in a dimension and that begin with `beginning`, sorted; none of
    /// a dimension of time.
    pub fn values(
        &self,
        dimension: &Dimension,
        beginning: &str,
        n_most: usize,
    ) -> Result<Vec<String>, LedgerError> {
        if let Dimension::Time(_) = dimension {
            return Ok(Vec::new());
        }
        let mut question = Question::default();
        let value = question.expression(dimension);
        let query = format!("SELECT DISTINCT {value} FROM rollup AS fact{}", question.rest());
        let mut statement = self.connection.prepare(&query)?;
        let mut rows = statement.query(question.parameters().as_slice())?;
        let mut values = BTreeSet::new();
        while let Some(row) = rows.next()? {
            if let Key::Name(name) = dimensions::key(row, 0, dimension)?
                && name.starts_with(beginning)
            {
                values.insert(name);
            }
        }
        Ok(values.into_iter().take(n_most).collect())
    }

    /// Returns at most `n_most` keys of the tags that requests have, sorted.
    pub fn tag_keys(&self, n_most: usize) -> Result<Vec<String>, LedgerError> {
        let keys = self
            .connection
            .prepare(
                "SELECT DISTINCT tag.key FROM (SELECT DISTINCT tags FROM rollup WHERE tags IS NOT NULL) AS told,
                        json_each(told.tags) AS tag ORDER BY 1 LIMIT ?1",
            )?
            .query_map([i64::try_from(n_most).unwrap_or(i64::MAX)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(keys)
    }

    fn names(
        &self,
        query: &str,
        project: &Path,
        n_most: usize,
    ) -> Result<Vec<(String, Option<String>)>, LedgerError> {
        let n_most = i64::try_from(n_most).unwrap_or(i64::MAX);
        let names = self
            .connection
            .prepare_cached(query)?
            .query_map(params![path_bytes(project), n_most], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(names)
    }

    /// Sums amounts in two parts, so that no sum passes 64 bits.
    fn amount_of(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<Spent, LedgerError> {
        let spent = self
            .connection
            .prepare_cached(&format!(
                "SELECT coalesce(sum(cost / 1000000), 0), coalesce(sum(cost % 1000000), 0),
                        coalesce(max(charge.estimated), 0),
                        coalesce(max(charge.unpriced IS NOT NULL OR NOT request.complete), 0)
                 FROM request JOIN charge ON charge.request = request.id WHERE {condition}"
            ))?
            .query_row(parameters, |row| {
                let (micro, pico): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Spent {
                    cost: Usd::from_pico(i128::from(micro) * 1_000_000 + i128::from(pico)),
                    estimated: row.get(2)?,
                    at_least: row.get(3)?,
                })
            })?;
        Ok(spent)
    }
}
