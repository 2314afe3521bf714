//! Questions to the ledger: tasks, enhancements, counts.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::ToSql;
use rusqlite::params;

use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::shares::ModelSum;
use crate::ledger::shares::Shares;
use crate::ledger::task::TaskRow;
use crate::ledger::unsigned;
use crate::summary::Elsewhere;
use crate::summary::TaskSummary;
use crate::summary::Totals;

/// The enhancement of a task: the one that its queue names, else that its sessions named.
pub(super) const OF_TASK: &str = "coalesce(task.enhancement,
    (SELECT max(binding.enhancement) FROM binding WHERE binding.task = task.id))";

/// Whether anything was spent for a task.
pub(super) const HAS_COST: &str = "(EXISTS (SELECT 1 FROM request WHERE request.task = task.id)
    OR EXISTS (SELECT 1 FROM foreign_figures WHERE foreign_figures.task = task.id AND adopted))";

/// What sessions spent for a task beyond their requests; their shares of it must be summed up. The plus makes SQLite look
/// at the few rows of no transcript instead of all of the task.
const NOT_ITEMISED_OF_TASK: &str = "request.key_kind > 2 AND request.key_kind = 4 AND +request.task = ?1
    AND request.owner IN (SELECT session FROM share WHERE task = ?1)";

/// Which requests a question is about.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// One task.
    Task(TaskRow),
    /// Of one task what was done on branches of an enhancement.
    OfTask(TaskRow, &'a str),
    /// What was spent for an enhancement of the project at this path outside of tasks.
    OutsideTasks(&'a Path, &'a str),
    /// What one session owns.
    Session(&'a SessionId),
    /// One request, by its `message.id` or `requestId`.
    Request(&'a str),
}

/// Which request was stored last at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastStored(i64);

impl<'a> Scope<'a> {
    pub(super) fn condition(self) -> (&'static str, Vec<Box<dyn ToSql + 'a>>) {
        match self {
            Self::Task(task) => ("request.task = ?1", vec![Box::new(task.0)]),
            Self::OfTask(task, name) => {
                ("request.task = ?1 AND request.enhancement = ?2", vec![Box::new(task.0), Box::new(name)])
            }
            Self::OutsideTasks(project, name) => (
                "request.enhancement = ?1 AND request.task IS NULL
                 AND request.project = (SELECT id FROM project WHERE path = ?2)",
                vec![Box::new(name), Box::new(path_bytes(project))],
            ),
            Self::Session(session) => {
                ("request.owner = (SELECT id FROM session WHERE name = ?1)", vec![Box::new(session.as_str())])
            }
            Self::Request(id) => ("(request.key = ?1 OR request.request_id = ?1)", vec![Box::new(id)]),
        }
    }
}

impl Ledger {
    /// Returns what the requests of `scope` come to; `None` if there are none.
    pub fn totals(&self, scope: Scope<'_>) -> Result<Option<Totals>, LedgerError> {
        let (condition, parameters) = scope.condition();
        let parameters: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
        let lacking: bool = self
            .connection
            .prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM file WHERE (unanswered OR skipped > 0) AND session IN
                     (SELECT request.owner FROM request WHERE {condition}))
                     OR EXISTS (SELECT 1 FROM session WHERE unaccounted AND id IN
                     (SELECT request.owner FROM request WHERE {condition}))"
            ))?
            .query_row(parameters.as_slice(), |row| row.get(0))?;
        let sums = self.sums(condition, &parameters)?;
        Ok(sums.iter().map(|sum| sum.of_requests(lacking)).reduce(|mut whole, totals| {
            whole.add(&totals);
            whole
        }))
    }

    /// Returns what a task came to up to the last request that `session` owns; `None` if it owns none.
    pub fn totals_until(&self, task: TaskRow, session: Option<&str>) -> Result<Option<Totals>, LedgerError> {
        let last: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT max(at) FROM request WHERE owner = (SELECT id FROM session WHERE name = ?1)",
            )?
            .query_row([session], |row| row.get(0))?;
        let Some(last) = last else { return Ok(None) };
        let sums = self.sums("request.task = ?1 AND request.at <= ?2", &[&task.0, &last])?;
        let mut totals = Totals::default();
        sums.iter().for_each(|sum| totals.add(&sum.of_requests(false)));
        Ok(Some(totals))
    }

    /// Returns how many requests a session owns.
    pub fn n_requests(&self, session: &SessionId) -> Result<u64, LedgerError> {
        unsigned(
            self.connection
                .prepare_cached(
                    "SELECT coalesce(sum(requests), 0) FROM request WHERE owner = (SELECT id FROM session WHERE name = ?1)",
                )?
                .query_row([session.as_str()], |row| row.get(0))?,
        )
    }

    /// Returns how many requests the ledger holds.
    pub fn n_all_requests(&self) -> Result<u64, LedgerError> {
        unsigned(
            self.connection
                .query_row("SELECT coalesce(sum(requests), 0) FROM request", [], |row| row.get(0))?,
        )
    }

    /// Returns whether no request is recorded, in no time.
    pub fn is_empty(&self) -> Result<bool, LedgerError> {
        let is_empty =
            self.connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM request)", [], |row| row.get(0))?;
        Ok(is_empty)
    }

    /// Returns the request that was stored last.
    pub fn last_stored(&self) -> Result<LastStored, LedgerError> {
        let last =
            self.connection.query_row("SELECT coalesce(max(id), 0) FROM request", [], |row| row.get(0))?;
        Ok(LastStored(last))
    }

    /// Returns how many requests were stored after `last`, without looking at the others.
    pub fn n_stored_after(&self, last: LastStored) -> Result<u64, LedgerError> {
        unsigned(self.connection.query_row(
            "SELECT coalesce(sum(requests), 0) FROM request WHERE id > ?1",
            [last.0],
            |row| row.get(0),
        )?)
    }

    /// Returns whether it is known which project a session belongs to.
    pub fn has_project(&self, session: &SessionId) -> Result<bool, LedgerError> {
        let known = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM session WHERE name = ?1 AND project IS NOT NULL)")?
            .query_row([session.as_str()], |row| row.get(0))?;
        Ok(known)
    }

    /// Returns whether a request that the session owns belongs to a task.
    pub fn has_task(&self, session: &SessionId) -> Result<bool, LedgerError> {
        let known = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM request WHERE task IS NOT NULL
                                AND owner = (SELECT id FROM session WHERE name = ?1))",
            )?
            .query_row([session.as_str()], |row| row.get(0))?;
        Ok(known)
    }

    /// Returns the projects that have costs for an enhancement of that name: whose tasks, parts of tasks, or requests
    /// without a task belong to it.
    pub fn projects_of_enhancement(&self, name: &str) -> Result<BTreeSet<PathBuf>, LedgerError> {
        self.roll_up()?;
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT path FROM project WHERE id IN (
                 SELECT task.project FROM task WHERE {OF_TASK} = ?1 AND {HAS_COST}
                 UNION
                 SELECT named.project
                 FROM (SELECT DISTINCT task, project FROM rollup WHERE enhancement = ?1) AS named
                 LEFT JOIN task ON task.id = named.task WHERE {OF_TASK} IS NULL)"
        ))?;
        let found =
            statement.query_map([name], |row| Ok(path_from(row.get(0)?)))?.collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// Returns what a task comes to.
    pub fn task_summary(&self, task: TaskRow) -> Result<TaskSummary, LedgerError> {
        let Shares { whole: totals, models, sessions } = self.shares(task)?;
        let models = dearest_first(models.into_iter().collect());
        let elsewhere = self.elsewhere(task)?;
        let mut not_itemised = Totals::default();
        for sum in self.sums(NOT_ITEMISED_OF_TASK, &[&task.0])? {
            not_itemised.add(&sum.of_requests(false));
        }
        let summary = self
            .connection
            .prepare_cached(&format!(
                "SELECT task.name, project.path, title, {OF_TASK},
                    coalesce(agent, (SELECT max(binding.agent) FROM binding WHERE task = task.id))
             FROM task JOIN project ON project.id = task.project WHERE task.id = ?1",
            ))?
            .query_row([task.0], |row| {
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
            not_itemised,
            elsewhere,
        })
    }

    /// Returns of each task that neither its queue nor its sessions gave an enhancement what its requests on branches
    /// of this one come to.
    pub fn parts_of_enhancement(&self, project: &Path, name: &str) -> Result<Vec<TaskSummary>, LedgerError> {
        self.roll_up()?;
        let tasks: Vec<i64> = self
            .connection
            .prepare_cached(&format!(
                "SELECT named.task
                 FROM (SELECT DISTINCT task, project FROM rollup WHERE enhancement = ?1) AS named
                 JOIN task ON task.id = named.task
                 WHERE {OF_TASK} IS NULL AND named.project = (SELECT id FROM project WHERE path = ?2)
                 ORDER BY named.task"
            ))?
            .query_map(params![name, path_bytes(project)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut parts = Vec::new();
        for task in tasks {
            let scope = Scope::OfTask(TaskRow(task), name);
            let (condition, parameters) = scope.condition();
            let parameters: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
            parts.push(TaskSummary {
                enhancement: Some(name.to_owned()),
                totals: self.totals(scope)?.unwrap_or_default(),
                models: dearest_first(
                    self.sums(condition, &parameters)?.into_iter().map(ModelSum::into_parts).collect(),
                ),
                sessions: Vec::new(),
                elsewhere: Elsewhere::default(),
                ..self.task_summary(TaskRow(task))?
            });
        }
        Ok(parts)
    }

    /// Returns the tasks of an enhancement that have a cost, in the order they became known.
    ///
    /// A task belongs to the enhancement that its queue names, else to the one that its sessions named.
    pub fn tasks_of_enhancement(&self, project: &Path, name: &str) -> Result<Vec<TaskRow>, LedgerError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT id FROM task
             WHERE project = (SELECT id FROM project WHERE path = ?2) AND {OF_TASK} = ?1 AND {HAS_COST}
             ORDER BY id"
        ))?;
        let found = statement
            .query_map(params![name, path_bytes(project)], |row| row.get(0).map(TaskRow))?
            .collect::<Result<_, _>>()?;
        Ok(found)
    }
}

fn dearest_first(mut models: Vec<(ModelId, Totals)>) -> Vec<(ModelId, Totals)> {
    models.sort_by(|(a_model, a), (b_model, b)| {
        b.cost.total().cmp(&a.cost.total()).then_with(|| a_model.cmp(b_model))
    });
    models
}
