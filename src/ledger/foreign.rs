//! What the task queues show of each task, and what other writers put there.
//!
//! Figures in a queue are known if cmat ever meant to put them there. Anything else was written by another
//! program or machine; it is kept whole before it is replaced.

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use rusqlite::ToSql;
use rusqlite::params;

use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::dimensions::Question;
use crate::ledger::health::Counted;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::recording::Recording;
use crate::ledger::signed;
use crate::ledger::task::TaskRow;
use crate::ledger::unsigned;
use crate::money::Usd;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::summary::Elsewhere;

/// A queue that should show a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The task, by its number.
    pub task: TaskRow,
    /// The task, as the queue names it.
    pub name: String,
    /// Path of the task queue.
    pub queue: PathBuf,
    /// How often the task's totals had changed when this was read.
    pub changes: u64,
    /// The figures that the ledger took note of there last, as JSON.
    pub baseline: Option<String>,
}

/// Figures that another writer left in a task's keys.
#[derive(Debug, Clone)]
pub struct ForeignFigures<'a> {
    /// The seven values as found, as JSON.
    pub found: &'a str,
    /// The figures that the ledger had taken note of there.
    pub expected: Option<&'a str>,
    /// When they were seen.
    pub seen: Timestamp,
    /// What they add, if it counts as recorded elsewhere; `None`: they are replaced and reported.
    pub increase: Option<Elsewhere>,
    /// Their `cost_model`.
    pub model: Option<&'a str>,
    /// Their `session_id`.
    pub session: Option<&'a str>,
}

/// Figures of another writer that were kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFigures {
    id: i64,
    /// The seven values as found, as JSON.
    pub found: String,
    /// The figures that the ledger had taken note of there, as JSON.
    pub expected: Option<String>,
}

impl Ledger {
    /// Returns the queues that do not show what the ledger knows; with `All`, every queue that shows a task.
    pub fn projections(&self, which: Which) -> Result<Vec<Projection>, LedgerError> {
        self.projections_where(
            match which {
                Which::Pending => "changes > shown_changes",
                Which::All => "true",
            },
            None,
        )
    }

    /// Returns the queues that show a task.
    pub fn projections_of(&self, task: TaskRow) -> Result<Vec<Projection>, LedgerError> {
        self.projections_where("true", Some(task.0))
    }

    fn projections_where(&self, condition: &str, task: Option<i64>) -> Result<Vec<Projection>, LedgerError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT task.id, task.name, queue, changes, baseline
             FROM projection JOIN task ON task.id = projection.task WHERE {condition} AND (?1 IS NULL OR task.id = ?1) ORDER BY queue, task.id"
        ))?;
        let mut rows = statement.query([task])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Projection {
                task: TaskRow(row.get(0)?),
                name: row.get(1)?,
                queue: path_from(row.get(2)?),
                changes: unsigned(row.get(3)?)?,
                baseline: row.get(4)?,
            });
        }
        Ok(found)
    }

    /// Returns whether cmat ever meant to put `figures` into the task's keys.
    pub fn is_shown(&self, task: TaskRow, queue: &Path, figures: &str) -> Result<bool, LedgerError> {
        let known = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM shown_figures WHERE task = ?1 AND queue = ?2 AND figures = ?3)",
            )?
            .query_row(params![task.0, path_bytes(queue), figures], |row| row.get(0))?;
        Ok(known)
    }

    /// Returns whether cmat meant to put `figures` into the task's keys and does not know whether it did; `None` asks for
    /// any figures.
    pub fn is_unsure(&self, task: TaskRow, queue: &Path, figures: Option<&str>) -> Result<bool, LedgerError> {
        let is_unsure = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM shown_figures WHERE task = ?1 AND queue = ?2 AND planned IS NOT NULL
                                AND (?3 IS NULL OR figures = ?3))",
            )?
            .query_row(params![task.0, path_bytes(queue), figures], |row| row.get(0))?;
        Ok(is_unsure)
    }

    /// Returns whether such figures of another writer were kept before.
    pub fn is_kept(&self, task: TaskRow, queue: &Path, figures: &str) -> Result<bool, LedgerError> {
        let kept = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM foreign_figures WHERE task = ?1 AND queue = ?2 AND found = ?3)",
            )?
            .query_row(params![task.0, path_bytes(queue), figures], |row| row.get(0))?;
        Ok(kept)
    }

    /// Returns whether the ledger has read or been told of a session.
    pub fn knows_session(&self, session: &SessionId) -> Result<bool, LedgerError> {
        let known = self
            .connection
            .prepare_cached("SELECT 1 FROM session WHERE name = ?1")?
            .query_row([session.as_str()], |_| Ok(()))
            .optional()?;
        Ok(known.is_some())
    }

    /// Returns whether the intent `name` is booked.
    pub fn is_booked(&self, name: &str) -> Result<bool, LedgerError> {
        let booked = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM booked_intent WHERE name = ?1)")?
            .query_row([name], |row| row.get(0))?;
        Ok(booked)
    }

    /// Returns what other writers recorded for a task and the ledger adopted.
    pub(super) fn elsewhere(&self, task: TaskRow) -> Result<Elsewhere, LedgerError> {
        self.counted(task, i64::MAX)
    }

    /// Returns what the ledger had adopted for a task when it kept those figures.
    pub fn counted_before(&self, task: TaskRow, kept: &KeptFigures) -> Result<Elsewhere, LedgerError> {
        self.counted(task, kept.id)
    }

    fn counted(&self, task: TaskRow, before: i64) -> Result<Elsewhere, LedgerError> {
        self.sum("foreign_figures AS fact WHERE task = ?1 AND adopted AND id < ?2", &[&task.0, &before])
    }

    /// Returns what other writers recorded that would pass `filter` if it were of requests, dated by when it was found;
    /// nothing if the filter is about more than tasks, enhancements, projects and days: it is known of requests only.
    pub fn elsewhere_passing(&self, filter: &Filter) -> Result<Elsewhere, LedgerError> {
        let is_known = |condition: &Condition| {
            matches!(condition.dimension, Dimension::Task | Dimension::Enhancement | Dimension::Project)
        };
        if !filter.conditions.iter().all(is_known) {
            return Ok(Elsewhere::default());
        }
        let question = Question::about(filter);
        let source = format!(
            "(SELECT foreign_figures.*, seen AS at, NULL AS enhancement,
                     (SELECT project FROM task WHERE id = foreign_figures.task) AS project
              FROM foreign_figures WHERE adopted) AS fact{}",
            question.rest()
        );
        self.sum(&source, &question.parameters())
    }

    /// Returns the sum of figures that are called `fact`.
    fn sum(&self, source: &str, parameters: &[&dyn ToSql]) -> Result<Elsewhere, LedgerError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(fact.input), 0), coalesce(sum(fact.output), 0),
                    coalesce(sum(fact.cache_write), 0), coalesce(sum(fact.cache_read), 0),
                    coalesce(sum(fact.cost), 0)
             FROM {source}"
        ))?;
        let counts: [i64; 6] = statement.query_row(parameters, |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?])
        })?;
        let [entries, input, output, cache_write, cache_read, cost] = counts;
        Ok(Elsewhere {
            entries: unsigned(entries)?,
            input: unsigned(input)?,
            output: unsigned(output)?,
            cache_write: unsigned(cache_write)?,
            cache_read: unsigned(cache_read)?,
            cost: Usd::from_pico(cost.into()),
        })
    }

    /// Returns figures of others for a task that were replaced without being adopted, in the order they were found.
    pub fn figures_not_counted(&self, task: TaskRow) -> Result<Vec<KeptFigures>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, found, expected FROM foreign_figures WHERE task = ?1 AND NOT adopted ORDER BY id",
        )?;
        let kept = statement
            .query_map([task.0], |row| {
                Ok(KeptFigures { id: row.get(0)?, found: row.get(1)?, expected: row.get(2)? })
            })?
            .collect::<Result<_, _>>()?;
        Ok(kept)
    }

    /// Returns how many writings of others were replaced without being adopted, and the task of the latest.
    pub fn replaced_figures(&self) -> Result<Option<Counted>, LedgerError> {
        self.counted_example(
            "SELECT count(*), name, max(foreign_figures.id) FROM foreign_figures
             JOIN task ON task.id = foreign_figures.task WHERE NOT adopted",
        )
    }
}

/// Which projections are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those whose queue is behind.
    Pending,
    /// All of them.
    All,
}

impl Recording<'_> {
    /// Keeps what another writer put into a task's keys, and takes it as the new baseline there.
    pub fn foreign_figures(
        &mut self,
        projection: &Projection,
        figures: &ForeignFigures<'_>,
    ) -> Result<(), LedgerError> {
        let increase = figures.increase.unwrap_or_default();
        self.transaction.execute(
            "INSERT INTO foreign_figures (task, queue, found, expected, seen, adopted, input, output,
                 cache_write, cache_read, cost, model, session)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                projection.task.0,
                path_bytes(&projection.queue),
                figures.found,
                figures.expected,
                millis(figures.seen),
                figures.increase.is_some(),
                signed(increase.input)?,
                signed(increase.output)?,
                signed(increase.cache_write)?,
                signed(increase.cache_read)?,
                stored_amount(increase.cost)?,
                figures.model,
                figures.session,
            ],
        )?;
        self.set_baseline(projection, figures.found)?;
        self.nothing_is_planned(projection)?;
        self.touched.entry(projection.task.0).or_default();
        Ok(())
    }

    /// Adds `increase`, what those figures hold beyond the ledger, to a task; others of the task add nothing then.
    pub fn adopt(
        &mut self,
        task: TaskRow,
        kept: &KeptFigures,
        increase: Elsewhere,
    ) -> Result<(), LedgerError> {
        self.transaction.execute("UPDATE foreign_figures SET adopted = 1 WHERE task = ?1", [task.0])?;
        self.transaction.execute(
            "UPDATE foreign_figures SET input = ?2, output = ?3, cache_write = ?4, cache_read = ?5, cost = ?6
             WHERE id = ?1",
            params![
                kept.id,
                signed(increase.input)?,
                signed(increase.output)?,
                signed(increase.cache_write)?,
                signed(increase.cache_read)?,
                stored_amount(increase.cost)?,
            ],
        )?;
        self.touched.entry(task.0).or_default();
        Ok(())
    }

    /// Notes the figures that are about to be put into a queue, so that they are never taken for foreign.
    pub fn will_show(&mut self, projection: &Projection, figures: &str) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO shown_figures (task, queue, figures, planned) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET planned = excluded.planned",
            )?
            .execute(params![
                projection.task.0,
                path_bytes(&projection.queue),
                figures,
                signed(projection.changes)?
            ])?;
        Ok(())
    }

    /// Notes that a queue shows `figures`, which hold all changes that `projection` knew of.
    pub fn shows(&mut self, projection: &Projection, figures: &str) -> Result<(), LedgerError> {
        self.set_baseline(projection, figures)?;
        self.nothing_is_planned(projection)?;
        self.settled(projection)
    }

    /// Notes that it is known what stands in a queue: what was planned up to then was done, or never will be.
    fn nothing_is_planned(&mut self, projection: &Projection) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "UPDATE shown_figures SET planned = NULL WHERE task = ?1 AND queue = ?2 AND planned <= ?3",
            )?
            .execute(params![
                projection.task.0,
                path_bytes(&projection.queue),
                signed(projection.changes)?
            ])?;
        Ok(())
    }

    /// Notes that a queue needs no change for those that `projection` knew of: it has no such task.
    pub fn settled(&mut self, projection: &Projection) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "UPDATE projection SET shown_changes = max(shown_changes, ?3) WHERE task = ?1 AND queue = ?2",
            )?
            .execute(params![
                projection.task.0,
                path_bytes(&projection.queue),
                signed(projection.changes)?
            ])?;
        Ok(())
    }

    fn set_baseline(&mut self, projection: &Projection, figures: &str) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached("UPDATE projection SET baseline = ?3 WHERE task = ?1 AND queue = ?2")?
            .execute(params![projection.task.0, path_bytes(&projection.queue), figures])?;
        Ok(())
    }
}

fn stored_amount(amount: Usd) -> Result<i64, LedgerError> {
    i64::try_from(amount.pico()).map_err(|_| LedgerError::Corrupt { what: format!("amount {amount}") })
}
