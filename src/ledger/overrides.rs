//! What people added to a budget for a time.

use jiff::Timestamp;
use rusqlite::params;

use crate::budget::Budget;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::recording::Recording;
use crate::money::Usd;

/// An amount that a person added to a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The budget's id, or its scope for all of its periods.
    pub budget: String,
    /// How much is added.
    pub amount: Usd,
    /// When it begins to hold.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Why.
    pub reason: String,
    /// Who.
    pub person: String,
}

impl Recording<'_> {
    /// Adds an override.
    pub fn add_override(&mut self, given: &Override) -> Result<(), LedgerError> {
        self.transaction.execute(
            "INSERT INTO override (budget, amount, begins, ends, reason, person) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                given.budget,
                given.amount.to_string(),
                millis(given.begins),
                millis(given.ends),
                given.reason,
                given.person
            ],
        )?;
        Ok(())
    }

    /// Notes that the overrides whose end lies before now have ended, for good.
    pub fn end_overrides(&mut self) -> Result<(), LedgerError> {
        self.transaction
            .execute("UPDATE override SET ended = 1 WHERE NOT ended AND ends <= ?1", [millis(self.now)])?;
        Ok(())
    }
}

impl Ledger {
    /// Returns the overrides that hold at `now`.
    pub fn overrides(&self, now: Timestamp) -> Result<Vec<Override>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT budget, amount, begins, ends, reason, person FROM override WHERE NOT ended AND ends > ?1",
        )?;
        let mut rows = statement.query([millis(now)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Override {
                budget: row.get(0)?,
                amount: row
                    .get::<_, String>(1)?
                    .parse()
                    .map_err(|_| LedgerError::Corrupt { what: "an override's amount".to_owned() })?,
                begins: instant(row.get(2)?)?,
                ends: instant(row.get(3)?)?,
                reason: row.get(4)?,
                person: row.get(5)?,
            });
        }
        Ok(found)
    }

    /// Returns whether an override has ended and nobody has noted it.
    pub fn has_override_to_end(&self, now: Timestamp) -> Result<bool, LedgerError> {
        let found = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM override WHERE NOT ended AND ends <= ?1)")?
            .query_row([millis(now)], |row| row.get(0))?;
        Ok(found)
    }
}

/// Returns what overrides add to a budget that allows it.
pub fn added(overrides: &[Override], budget: &Budget) -> Usd {
    let is_for = |given: &&Override| budget.overridable && budget.is_named(&given.budget);
    overrides.iter().filter(is_for).map(|given| given.amount).sum()
}
