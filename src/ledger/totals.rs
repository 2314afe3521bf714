//! Questions to the ledger: one grouped query serves all of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::ToSql;

use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::charges::cost_by_kind;
use crate::ledger::instant;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::task::TaskRow;
use crate::ledger::unsigned;
use crate::summary::SessionShare;
use crate::summary::TaskSummary;
use crate::summary::Totals;
use crate::usage::TokenUsage;

/// Which requests a question is about.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// One task.
    Task(TaskRow),
    /// An enhancement of the project at this path: its tasks, and sessions that named it without a task.
    Enhancement(&'a Path, &'a str),
    /// What one session owns.
    Session(&'a SessionId),
    /// One request, by its `message.id` or `requestId`.
    Request(&'a str),
}

impl<'a> Scope<'a> {
    pub(super) fn condition(self) -> (&'static str, Vec<Box<dyn ToSql + 'a>>) {
        match self {
            Self::Task(task) => ("request.task = ?1", vec![Box::new(task.0)]),
            Self::Enhancement(project, name) => (
                "(request.task IN (SELECT id FROM task WHERE enhancement = ?1
                                   AND project = (SELECT id FROM project WHERE path = ?2))
                  OR (request.enhancement = ?1 AND request.project = (SELECT id FROM project WHERE path = ?2)
                      AND (SELECT enhancement FROM task WHERE id = request.task) IS NULL))",
                vec![Box::new(name), Box::new(path_bytes(project))],
            ),
            Self::Session(session) => {
                ("request.owner = (SELECT id FROM session WHERE name = ?1)", vec![Box::new(session.as_str())])
            }
            Self::Request(id) => ("(request.key = ?1 OR request.request_id = ?1)", vec![Box::new(id)]),
        }
    }
}

/// What requests are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The price row, or the model as named where none fits.
    Model,
    /// The session that owns the request.
    Session,
    /// The task, by its number; empty for requests without one.
    Task,
    /// Nothing: one row for all.
    Whole,
}

impl Dimension {
    fn expression(self) -> &'static str {
        match self {
            Self::Model => "charge.model",
            Self::Session => "(SELECT name FROM session WHERE id = request.owner)",
            Self::Task => "coalesce(request.task, '')",
            Self::Whole => "''",
        }
    }
}

/// One group of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The value of the dimension.
    pub key: String,
    /// Time of the first request, UTC.
    pub first: Timestamp,
    /// Time of the last request, UTC.
    pub last: Timestamp,
    /// What the group comes to.
    pub totals: Totals,
}

/// Sums of the columns of [`Totals`]. Amounts are summed in two parts, so that no sum passes 64 bits.
const SUMS: &str = "count(DISTINCT request.id), min(request.at), max(request.at),
    sum(charge.input), sum(charge.output), sum(charge.cache_write_5m), sum(charge.cache_write_1h),
    sum(charge.cache_read), sum(charge.web_searches),
    sum(cost_input / 1000000), sum(cost_input % 1000000),
    sum(cost_output / 1000000), sum(cost_output % 1000000),
    sum(cost_cache_write_5m / 1000000), sum(cost_cache_write_5m % 1000000),
    sum(cost_cache_write_1h / 1000000), sum(cost_cache_write_1h % 1000000),
    sum(cost_cache_read / 1000000), sum(cost_cache_read % 1000000),
    sum(cost_web_search / 1000000), sum(cost_web_search % 1000000),
    max(charge.estimated), max(NOT request.complete), max(charge.unpriced IS NOT NULL)";

impl Ledger {
    /// Returns what the requests of `scope` come to, grouped by `dimension`; empty groups are not there.
    pub fn totals(&self, scope: Scope<'_>, dimension: Dimension) -> Result<Vec<Group>, LedgerError> {
        let (condition, parameters) = scope.condition();
        let parameters: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {key}, {SUMS} FROM request JOIN charge ON charge.request = request.id
             WHERE {condition} GROUP BY 1",
            key = dimension.expression()
        ))?;
        let mut rows = statement.query(parameters.as_slice())?;
        let mut groups = Vec::new();
        let mut any_unpriced = false;
        while let Some(row) = rows.next()? {
            any_unpriced |= row.get::<_, bool>(24)?;
            groups.push(group(row)?);
        }
        if any_unpriced {
            self.name_unpriced(scope, dimension, &mut groups)?;
        }
        self.mark_unanswered(scope, dimension, &mut groups)?;
        Ok(groups)
    }

    fn name_unpriced(
        &self,
        scope: Scope<'_>,
        dimension: Dimension,
        groups: &mut [Group],
    ) -> Result<(), LedgerError> {
        let (condition, parameters) = scope.condition();
        let parameters: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT DISTINCT {key}, charge.model FROM request JOIN charge ON charge.request = request.id
             WHERE {condition} AND charge.unpriced IS NOT NULL",
            key = dimension.expression()
        ))?;
        let mut rows = statement.query(parameters.as_slice())?;
        while let Some(row) = rows.next()? {
            let (key, model) = (key_text(row)?, row.get::<_, String>(1)?);
            if let (Some(group), Ok(model)) =
                (groups.iter_mut().find(|group| group.key == key), ModelId::new(model))
            {
                group.totals.unpriced_models.insert(model);
            }
        }
        Ok(())
    }

    /// Marks the groups with a session whose last prompt has no answer: something may have been spent there.
    fn mark_unanswered(
        &self,
        scope: Scope<'_>,
        dimension: Dimension,
        groups: &mut [Group],
    ) -> Result<(), LedgerError> {
        if dimension == Dimension::Model {
            // Nobody knows which model would have answered.
            return Ok(());
        }
        let (condition, parameters) = scope.condition();
        let parameters: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT DISTINCT {key} FROM request
             WHERE {condition} AND request.owner IN (SELECT session FROM file WHERE unanswered)",
            key = dimension.expression()
        ))?;
        let mut rows = statement.query(parameters.as_slice())?;
        while let Some(row) = rows.next()? {
            let key = key_text(row)?;
            for group in groups.iter_mut().filter(|group| group.key == key) {
                group.totals.lower_bound = true;
            }
        }
        Ok(())
    }

    /// Returns how many requests a session owns.
    pub fn n_requests(&self, session: &SessionId) -> Result<u64, LedgerError> {
        unsigned(
            self.connection
                .prepare_cached(
                    "SELECT count(*) FROM request WHERE owner = (SELECT id FROM session WHERE name = ?1)",
                )?
                .query_row([session.as_str()], |row| row.get(0))?,
        )
    }

    /// Returns how many requests the ledger holds.
    pub fn n_all_requests(&self) -> Result<u64, LedgerError> {
        unsigned(self.connection.query_row("SELECT count(*) FROM request", [], |row| row.get(0))?)
    }

    /// Returns whether it is known which project a session belongs to.
    pub fn has_project(&self, session: &SessionId) -> Result<bool, LedgerError> {
        let known = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM session WHERE name = ?1 AND project IS NOT NULL)")?
            .query_row([session.as_str()], |row| row.get(0))?;
        Ok(known)
    }

    /// Returns the projects that have costs for an enhancement of that name.
    pub fn projects_of_enhancement(&self, name: &str) -> Result<BTreeSet<PathBuf>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT project.path FROM request
             LEFT JOIN task ON task.id = request.task JOIN project ON project.id = request.project
             WHERE coalesce(task.enhancement, request.enhancement) = ?1",
        )?;
        let found =
            statement.query_map([name], |row| Ok(path_from(row.get(0)?)))?.collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// Returns what a task comes to.
    pub fn task_summary(&self, task: TaskRow) -> Result<TaskSummary, LedgerError> {
        let scope = Scope::Task(task);
        let mut models = self.model_groups(scope)?;
        models.sort_by(|(a_model, a), (b_model, b)| {
            b.cost.total().cmp(&a.cost.total()).then_with(|| a_model.cmp(b_model))
        });
        let mut sessions = Vec::new();
        for group in self.totals(scope, Dimension::Session)? {
            let session = SessionId::new(group.key)
                .map_err(|_| LedgerError::Corrupt { what: "an empty session id".to_owned() })?;
            sessions.push(SessionShare {
                session,
                first: group.first,
                last: group.last,
                totals: group.totals,
            });
        }
        sessions.sort_by(|a, b| (a.first, &a.session).cmp(&(b.first, &b.session)));
        let totals =
            self.totals(scope, Dimension::Whole)?.pop().map(|group| group.totals).unwrap_or_default();
        let elsewhere = self.elsewhere(task)?;
        let summary = self.connection.prepare_cached(
            "SELECT task.name, project.path, title,
                    coalesce(enhancement, (SELECT max(request.enhancement) FROM request WHERE task = task.id)),
                    agent
             FROM task JOIN project ON project.id = task.project WHERE task.id = ?1",
        )?.query_row([task.0], |row| {
            Ok((row.get::<_, String>(0)?, path_from(row.get(1)?), row.get(2)?, row.get(3)?, row.get(4)?))
        })?;
        let (name, project, title, enhancement, agent) = summary;
        let name =
            TaskId::new(name).map_err(|_| LedgerError::Corrupt { what: "an empty task id".to_owned() })?;
        Ok(TaskSummary {
            task: name,
            project,
            title,
            enhancement,
            agent,
            totals,
            models,
            sessions,
            elsewhere,
        })
    }

    fn model_groups(&self, scope: Scope<'_>) -> Result<Vec<(ModelId, Totals)>, LedgerError> {
        let mut models = BTreeMap::new();
        for group in self.totals(scope, Dimension::Model)? {
            let model = ModelId::new(group.key)
                .map_err(|_| LedgerError::Corrupt { what: "an empty model id".to_owned() })?;
            models.insert(model, group.totals);
        }
        Ok(models.into_iter().collect())
    }

    /// Returns the tasks of an enhancement that have requests, and whether requests without a task name it too.
    pub fn tasks_of_enhancement(
        &self,
        project: &Path,
        name: &str,
    ) -> Result<Vec<Option<TaskRow>>, LedgerError> {
        let groups = self.totals(Scope::Enhancement(project, name), Dimension::Task)?;
        let mut tasks: Vec<_> = groups.iter().map(|group| group.key.parse().ok().map(TaskRow)).collect();
        tasks.sort();
        Ok(tasks)
    }
}

fn key_text(row: &Row<'_>) -> Result<String, LedgerError> {
    Ok(match row.get(0)? {
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Integer(number) => number.to_string(),
        _ => String::new(),
    })
}

fn group(row: &Row<'_>) -> Result<Group, LedgerError> {
    let count = |column| -> Result<u64, LedgerError> { unsigned(row.get(column)?) };
    let amount = |column| -> Result<i128, LedgerError> {
        let (high, low): (i64, i64) = (row.get(column)?, row.get(column + 1)?);
        Ok(i128::from(high) * 1_000_000 + i128::from(low))
    };
    Ok(Group {
        key: key_text(row)?,
        first: instant(row.get(2)?)?,
        last: instant(row.get(3)?)?,
        totals: Totals {
            requests: count(1)?,
            tokens: TokenUsage {
                input: count(4)?,
                output: count(5)?,
                cache_write_5m: count(6)?,
                cache_write_1h: count(7)?,
                cache_read: count(8)?,
            },
            web_search_requests: count(9)?,
            cost: cost_by_kind([
                amount(10)?,
                amount(12)?,
                amount(14)?,
                amount(16)?,
                amount(18)?,
                amount(20)?,
            ]),
            estimated: row.get(22)?,
            lower_bound: row.get(23)?,
            unpriced_models: BTreeSet::new(),
        },
    })
}
