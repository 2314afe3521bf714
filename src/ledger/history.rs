//! What tasks and turns cost before, for estimates.

use std::path::Path;

use rusqlite::Row;
use rusqlite::params;

use crate::estimate::Run;
use crate::estimate::Step;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::dimensions::Question;
use crate::ledger::path_bytes;
use crate::ledger::rollup::COSTS;
use crate::ledger::totals::HAS_COST;
use crate::ledger::totals::OF_TASK;
use crate::money::Usd;
use crate::query::Filter;

/// The agent of a task: the one that its queue names, else that its sessions named.
const AGENT_OF_TASK: &str =
    "coalesce(task.agent, (SELECT max(binding.agent) FROM binding WHERE binding.task = task.id))";

/// A task that an estimate may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is to be done.
    pub step: Step,
    /// Something was spent for it already.
    pub has_cost: bool,
}

impl Ledger {
    /// Returns the tasks that are called `name` or belong to an enhancement of that name, of one project or of all, in
    /// the order they became known.
    pub fn planned(&self, project: Option<&Path>, name: &str) -> Result<Vec<Planned>, LedgerError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT task.name, {AGENT_OF_TASK}, task.task_type, {HAS_COST}
             FROM task JOIN project ON project.id = task.project
             WHERE (?1 IS NULL OR project.path = ?1) AND (task.name = ?2 OR {OF_TASK} = ?2) ORDER BY task.id"
        ))?;
        let found = statement
            .query_map(params![project.map(path_bytes), name], |row| {
                let step = Step { name: row.get(0)?, agent: row.get(1)?, operation: row.get(2)? };
                Ok(Planned { step, has_cost: row.get(3)? })
            })?
            .collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// Returns what each task cost that has requests, of all projects.
    pub fn past_tasks(&self) -> Result<Vec<Run>, LedgerError> {
        self.roll_up()?;
        let sum = |part: &str| {
            let kinds = COSTS.map(|kind| format!("{part}_{kind}"));
            format!("sum({})", kinds.join(" + "))
        };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {}, {}, max(estimated), max(incomplete OR unpriced),
                    {AGENT_OF_TASK}, task.task_type
             FROM rollup JOIN task ON task.id = rollup.task GROUP BY task.id ORDER BY task.id",
            sum("micro"),
            sum("pico"),
        ))?;
        let found = statement.query_map([], run)?.collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// Returns what each turn cost: what a session spent from a prompt to the next, on requests that pass `filter`.
    pub fn past_turns(&self, filter: &Filter) -> Result<Vec<Run>, LedgerError> {
        let question = Question::about(filter);
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT sum(cost / 1000000), sum(cost % 1000000), max(estimated),
                    max(NOT complete OR unpriced IS NOT NULL), NULL, NULL
             FROM (SELECT prompt.session, prompt.at AS begins, request.*, charge.model, charge.cost,
                          charge.estimated, charge.unpriced
                   FROM prompt CROSS JOIN request
                       ON request.owner = prompt.session AND request.at >= prompt.at
                      AND request.at < coalesce((SELECT min(next.at) FROM prompt AS next
                              WHERE next.session = prompt.session AND next.at > prompt.at), 9223372036854775807)
                   CROSS JOIN charge ON charge.request = request.id) AS fact{rest}
             GROUP BY fact.session, fact.begins",
            rest = question.rest(),
        ))?;
        let found = statement.query_map(question.parameters().as_slice(), run)?.collect::<Result<_, _>>()?;
        Ok(found)
    }
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let (micro, pico): (i64, i64) = (row.get(0)?, row.get(1)?);
    Ok(Run {
        cost: Usd::from_pico(i128::from(micro) * 1_000_000 + i128::from(pico)),
        estimated: row.get(2)?,
        lower_bound: row.get(3)?,
        agent: row.get(4)?,
        operation: row.get(5)?,
    })
}
