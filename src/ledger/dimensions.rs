//! The dimensions of [`crate::query`] as SQL, over requests as over their roll-up.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::ToSql;

use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::rollup;
use crate::period::Period;
use crate::period::Unit;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;

/// A table that a dimension's names stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Names {
    Task,
    Said,
    Session,
    Project,
}

/// The beginning of a question: what is asked of which requests.
///
/// Requests, or their roll-up, are called `fact`; a charge's model is `model`.
#[derive(Default)]
pub(super) struct Question<'a> {
    names: BTreeSet<Names>,
    conditions: Vec<String>,
    parameters: Vec<Box<dyn ToSql + 'a>>,
}

impl<'a> Question<'a> {
    /// Returns a question about the requests that pass the filter.
    pub(super) fn about(filter: &'a Filter) -> Self {
        Self::within(filter.period, filter)
    }

    /// Returns a question about what requests are rolled up to: the first quarter may begin before the period.
    pub(super) fn about_quarters(filter: &'a Filter) -> Self {
        let begins = millis(filter.period.begins);
        let quarter = instant(rollup::quarter(begins)).unwrap_or(Timestamp::MIN);
        Self::within(Period { begins: quarter, ..filter.period }, filter)
    }

    fn within(period: Period, filter: &'a Filter) -> Self {
        let mut question = Self::default();
        question.in_period(period);
        for (dimension, values) in filter.alternatives() {
            let expression = question.expression(dimension);
            let alternatives: Vec<String> = values
                .into_iter()
                .map(|value| match value {
                    None => format!("{expression} IS NULL"),
                    Some(value) => format!("{expression} = {}", question.parameter(dimension, value)),
                })
                .collect();
            question.conditions.push(format!("({})", alternatives.join(" OR ")));
        }
        question
    }

    fn in_period(&mut self, period: Period) {
        if period.begins > Timestamp::MIN {
            self.parameters.push(Box::new(millis(period.begins)));
            self.conditions.push(format!("fact.at >= ?{}", self.parameters.len()));
        }
        if period.ends < Timestamp::MAX {
            self.parameters.push(Box::new(millis(period.ends)));
            self.conditions.push(format!("fact.at < ?{}", self.parameters.len()));
        }
    }

    fn parameter(&mut self, dimension: &Dimension, value: &'a str) -> String {
        self.parameters.push(match dimension {
            Dimension::Project => Box::new(path_bytes(std::path::Path::new(value))),
            _ => Box::new(value),
        });
        format!("?{}", self.parameters.len())
    }

    /// Returns the expression for where a request stands in the dimension; NULL if nowhere.
    pub(super) fn expression(&mut self, dimension: &Dimension) -> String {
        let (names, expression): (&[Names], &str) = match dimension {
            Dimension::Time(unit) => (&[], begins_of(*unit)),
            Dimension::Task => (&[Names::Task], "task.name"),
            Dimension::Enhancement => (
                &[Names::Task, Names::Said],
                "coalesce(task.enhancement, said.enhancement, fact.enhancement)",
            ),
            Dimension::Branch => (&[], "fact.branch"),
            Dimension::Ticket => (&[], "fact.ticket"),
            Dimension::PullRequest => (&[], "fact.pr"),
            Dimension::Commit => (&[], "fact.commit_hash"),
            Dimension::Agent => (&[Names::Task], "coalesce(fact.agent, fact.bound_agent, task.agent)"),
            Dimension::Skill => (&[], "fact.skill"),
            Dimension::Command => (&[], "fact.command"),
            Dimension::McpServer => (&[], "fact.mcp_server"),
            Dimension::Operation => (
                &[Names::Task],
                "coalesce(fact.operation, task.task_type, fact.agent, fact.bound_agent, task.agent, fact.skill,
                          fact.command)",
            ),
            Dimension::User => (&[], "fact.user"),
            Dimension::Tag(key) => {
                self.parameters.push(Box::new(format!("$.\"{key}\"")));
                return format!("json_extract(fact.tags, ?{})", self.parameters.len());
            }
            Dimension::Model => (&[], "model"),
            Dimension::Session => (&[Names::Session], "session.name"),
            Dimension::Project => (&[Names::Project], "project.path"),
        };
        self.names.extend(names);
        expression.to_owned()
    }

    /// Returns the joins and the condition that complete `… FROM … AS fact`.
    pub(super) fn rest(&self) -> String {
        let joins = self.names.iter().map(|names| match names {
            Names::Task => " LEFT JOIN task ON task.id = fact.task",
            Names::Said => {
                " LEFT JOIN (SELECT task, max(enhancement) AS enhancement FROM binding
                             WHERE task IS NOT NULL AND enhancement IS NOT NULL GROUP BY task) AS said
                      ON said.task = fact.task"
            }
            Names::Session => " JOIN session ON session.id = fact.owner",
            Names::Project => " LEFT JOIN project ON project.id = fact.project",
        });
        let conditions = match self.conditions.as_slice() {
            [] => String::new(),
            conditions => format!(" WHERE {}", conditions.join(" AND ")),
        };
        joins.collect::<String>() + &conditions
    }

    pub(super) fn parameters(&self) -> Vec<&dyn ToSql> {
        self.parameters.iter().map(AsRef::as_ref).collect()
    }
}

/// Returns when the period that a request falls in begins; `groups.rs` defines the functions.
pub(super) fn begins_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Hour => "begins_hour(fact.at)",
        Unit::Day => "begins_day(fact.at)",
        Unit::Week => "begins_week(fact.at)",
        Unit::Month => "begins_month(fact.at)",
    }
}

/// Returns the key in a column that [`Question::expression`] made.
pub(super) fn key(row: &Row<'_>, column: usize, dimension: &Dimension) -> Result<Key, LedgerError> {
    Ok(match dimension {
        Dimension::Time(_) => Key::Begins(instant(row.get(column)?)?),
        Dimension::Project => match row.get::<_, Option<Vec<u8>>>(column)? {
            Some(path) => Key::Name(path_from(path).to_string_lossy().into_owned()),
            None => Key::Unattributed,
        },
        _ => row.get::<_, Option<String>>(column)?.map_or(Key::Unattributed, Key::Name),
    })
}
