//! Tasks: what a queue says of them, those that cmat makes itself, and which queues show them.

use std::path::Path;
use std::path::PathBuf;

use rusqlite::params;

use crate::id::TaskId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::recording::Recording;

/// A task's number in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRow(pub(super) i64);

/// What a task queue says of a task beside its cost; what it does not say stays as it was.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskDescription<'a> {
    /// Its title.
    pub title: Option<&'a str>,
    /// `enhancement_title` of its metadata.
    pub enhancement: Option<&'a str>,
    /// `assigned_agent`.
    pub agent: Option<&'a str>,
    /// `task_type`.
    pub task_type: Option<&'a str>,
}

impl Ledger {
    /// Returns the tasks of that name, each with its project.
    pub fn tasks_named(&self, task: &TaskId) -> Result<Vec<(TaskRow, PathBuf)>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT task.id, project.path FROM task JOIN project ON project.id = task.project
             WHERE task.name = ?1 AND (NOT ruled OR EXISTS (SELECT 1 FROM request WHERE task = task.id))
             ORDER BY project.path",
        )?;
        let found = statement
            .query_map([task.as_str()], |row| Ok((TaskRow(row.get(0)?), path_from(row.get(1)?))))?
            .collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// Returns the tasks of the project at `path`, in the order they became known.
    pub fn tasks_of_project(&self, path: &Path) -> Result<Vec<TaskRow>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id FROM task WHERE project = (SELECT id FROM project WHERE path = ?1)
               AND (NOT ruled OR EXISTS (SELECT 1 FROM request WHERE task = task.id)) ORDER BY id",
        )?;
        let found = statement
            .query_map([path_bytes(path)], |row| row.get(0).map(TaskRow))?
            .collect::<Result<_, _>>()?;
        Ok(found)
    }
}

impl Recording<'_> {
    /// Returns the number of `task` in the project at `project`; it is there from now on.
    pub fn task(&mut self, project: &Path, task: &TaskId) -> Result<TaskRow, LedgerError> {
        let project = self.project(project)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO task (project, name) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET ruled = 0 WHERE ruled",
            )?
            .execute(params![project, task.as_str()])?;
        let row = self
            .transaction
            .prepare_cached("SELECT id FROM task WHERE project = ?1 AND name = ?2")?
            .query_row(params![project, task.as_str()], |row| row.get(0))?;
        Ok(TaskRow(row))
    }

    /// Returns the number of the task that a rule finds in a branch; it is there from now on.
    pub(super) fn ruled_task(&mut self, project: i64, task: &TaskId) -> Result<i64, LedgerError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO task (project, name, ruled) VALUES (?1, ?2, 1) ON CONFLICT DO NOTHING",
            )?
            .execute(params![project, task.as_str()])?;
        let row = self
            .transaction
            .prepare_cached("SELECT id FROM task WHERE project = ?1 AND name = ?2")?
            .query_row(params![project, task.as_str()], |row| row.get(0))?;
        Ok(row)
    }

    /// Stores what a task queue says of a task beside its cost.
    pub fn describe_task(
        &mut self,
        task: TaskRow,
        description: &TaskDescription<'_>,
    ) -> Result<(), LedgerError> {
        let TaskDescription { title, enhancement, agent, task_type } = description;
        self.transaction
            .prepare_cached(
                "UPDATE task SET title = coalesce(?2, title), enhancement = coalesce(?3, enhancement),
                        agent = coalesce(?4, agent), task_type = coalesce(?5, task_type) WHERE id = ?1",
            )?
            .execute(params![task.0, title, enhancement, agent, task_type])?;
        Ok(())
    }

    /// Makes a task of cmat's own and returns its id: `T-1`, `T-2` … in each project.
    pub fn new_task(
        &mut self,
        project: &Path,
        title: &str,
        enhancement: Option<&str>,
    ) -> Result<TaskId, LedgerError> {
        let project = self.project(project)?;
        let last: i64 = self.transaction.query_row(
            "SELECT coalesce(max(CAST(substr(name, 3) AS INTEGER)), 0) FROM task
             WHERE project = ?1 AND name GLOB 'T-[0-9]*'",
            [project],
            |row| row.get(0),
        )?;
        let name = format!("T-{}", last.saturating_add(1));
        self.transaction.execute(
            "INSERT INTO task (project, name, title, enhancement, created) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![project, name, title, enhancement, millis(self.now)],
        )?;
        TaskId::new(name).map_err(|_| LedgerError::Corrupt { what: "an endless task number".to_owned() })
    }

    /// Has the queue at `queue` show what the task costs, from the next projection on.
    pub fn show_in_queue(&mut self, task: TaskRow, queue: &Path) -> Result<(), LedgerError> {
        let n_new = self
            .transaction
            .prepare_cached(
                "INSERT INTO projection (task, queue, changes, shown_changes) VALUES (?1, ?2, 0, 0)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![task.0, path_bytes(queue)])?;
        if n_new > 0 {
            self.touched.entry(task.0).or_default();
        }
        Ok(())
    }
}
