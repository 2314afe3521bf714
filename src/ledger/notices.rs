//! What was told of budgets: each threshold once for each period and name.

use jiff::Timestamp;
use rusqlite::params;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::recording::Recording;

/// Something to be told once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// [`crate::budget::Budget::key`].
    pub budget: String,
    /// Which one of the scope's kind.
    pub name: String,
    /// When the period began.
    pub period: Timestamp,
    /// What it is about.
    pub kind: NoticeKind,
    /// The threshold, in percent of the limit.
    pub percent: u32,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeKind {
    /// What was spent.
    Spent,
    /// What the period is expected to come to.
    Expected,
}

impl NoticeKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::Expected => "expected",
        }
    }
}

impl Ledger {
    /// Returns when a notice was told; `None` if it was not.
    pub fn told(&self, notice: &Notice) -> Result<Option<Timestamp>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at FROM notice
             WHERE budget = ?1 AND name = ?2 AND period = ?3 AND kind = ?4 AND percent = ?5",
        )?;
        let mut rows = statement.query(params![
            notice.budget,
            notice.name,
            millis(notice.period),
            notice.kind.as_str(),
            notice.percent
        ])?;
        rows.next()?.map(|row| instant(row.get(0)?)).transpose()
    }
}

impl Recording<'_> {
    /// Notes that a notice is told now; returns false if it was already.
    pub fn tell(&mut self, notice: &Notice) -> Result<bool, LedgerError> {
        let n_added = self
            .transaction
            .prepare_cached(
                "INSERT INTO notice (budget, name, period, kind, percent, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                notice.budget,
                notice.name,
                millis(notice.period),
                notice.kind.as_str(),
                notice.percent,
                millis(self.now)
            ])?;
        Ok(n_added > 0)
    }
}
