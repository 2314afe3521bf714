//! Marks from which statistics count; what is recorded stays.

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::params;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::recording::Recording;

/// From when on a person wants statistics to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// From then on, UTC.
    pub at: Timestamp,
    /// What they said of it.
    pub note: Option<String>,
}

impl Ledger {
    /// Returns the latest mark.
    pub fn latest_mark(&self) -> Result<Option<Mark>, LedgerError> {
        let found = self
            .connection
            .query_row("SELECT at, note FROM mark ORDER BY at DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        found.map(|(at, note)| Ok(Mark { at: instant(at)?, note })).transpose()
    }
}

impl Recording<'_> {
    /// Sets a mark at the present moment.
    pub fn mark(&mut self, note: Option<&str>) -> Result<(), LedgerError> {
        self.transaction.execute(
            "INSERT INTO mark (at, note) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET note = excluded.note",
            params![millis(self.now), note],
        )?;
        Ok(())
    }
}
