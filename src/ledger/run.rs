//! Runs of `cmat run` that go on: what their hooks are to know of them, and what hooks tell them.

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::params;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::millis;
use crate::ledger::recording::Recording;

/// What is known of a run that goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// The model that it was told to use, by the id of its price row.
    pub model: Option<String>,
    /// The id of the budget by which a hook stopped it.
    pub stopped_by: Option<String>,
}

impl Ledger {
    /// Returns what is known of a run; `None` if none of that id goes on.
    pub fn run(&self, id: &str) -> Result<Option<Run>, LedgerError> {
        let found = self
            .connection
            .prepare_cached("SELECT model, stopped_by FROM run WHERE id = ?1")?
            .query_row([id], |row| Ok(Run { model: row.get(0)?, stopped_by: row.get(1)? }))
            .optional()?;
        Ok(found)
    }
}

impl Recording<'_> {
    /// Notes that a run begins, and the model that it was told to use.
    pub fn begin_run(&mut self, id: &str, model: Option<&str>) -> Result<(), LedgerError> {
        self.transaction.execute(
            "INSERT INTO run (id, began, model) VALUES (?1, ?3, ?2)
             ON CONFLICT DO UPDATE SET model = ?2, stopped_by = NULL",
            params![id, model, millis(self.now)],
        )?;
        Ok(())
    }

    /// Removes the runs that began before `before`: who started them was killed and could not.
    pub fn end_lost_runs(&mut self, before: Timestamp) -> Result<(), LedgerError> {
        self.transaction.execute("DELETE FROM run WHERE began < ?1", [millis(before)])?;
        Ok(())
    }

    /// Notes which budget stopped a run, if it goes on.
    pub fn stop_run(&mut self, id: &str, budget: &str) -> Result<(), LedgerError> {
        self.transaction.execute("UPDATE run SET stopped_by = ?2 WHERE id = ?1", params![id, budget])?;
        Ok(())
    }

    /// Removes a run that has ended.
    pub fn end_run(&mut self, id: &str) -> Result<(), LedgerError> {
        self.transaction.execute("DELETE FROM run WHERE id = ?1", [id])?;
        Ok(())
    }
}
