//! Alerts that are to be delivered: each threshold once for each period, name and channel, kept until it is.

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;
use rusqlite::params;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::notices::Notice;
use crate::ledger::recording::Recording;

/// An alert that goes by a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// The channel's name.
    pub channel: String,
    /// When it was raised.
    pub raised: Timestamp,
    /// What is sent: a JSON document.
    pub document: String,
    /// How often it was tried.
    pub attempts: u64,
    /// Why the last attempt failed.
    pub fault: Option<String>,
    /// When it was delivered.
    pub delivered: Option<Timestamp>,
}

/// Which alerts are to be tried: after two minutes, four, …, an hour at most. A clock that was set back delays none.
const DUE: &str = "delivered IS NULL AND (tried IS NULL OR tried > ?1 OR tried + min(3600000, 60000 << min(attempts, 6)) <= ?1)";

const COLUMNS: &str = "id, channel, raised, document, attempts, fault, delivered";

impl Recording<'_> {
    /// Adds an alert; returns false if the channel has it already. One that is not `to_be_sent` is only remembered.
    pub fn raise_alert(
        &mut self,
        notice: &Notice,
        channel: &str,
        document: &str,
        to_be_sent: bool,
    ) -> Result<bool, LedgerError> {
        let n_added = self
            .transaction
            .prepare_cached(
                "INSERT INTO alert (budget, name, period, kind, percent, channel, raised, document, delivered)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, CASE WHEN ?9 THEN NULL ELSE ?7 END) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                notice.budget,
                notice.name,
                millis(notice.period),
                notice.kind.as_str(),
                notice.percent,
                channel,
                millis(self.now),
                document,
                to_be_sent
            ])?;
        Ok(n_added > 0)
    }

    /// Takes the alerts that are due, so that nobody else tries them now.
    pub fn claim_alerts(&mut self) -> Result<Vec<Alert>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(&format!(
            "UPDATE alert SET tried = ?1, attempts = attempts + 1, fault = NULL WHERE {DUE} RETURNING {COLUMNS}"
        ))?;
        let mut rows = statement.query([millis(self.now)])?;
        let mut claimed = Vec::new();
        while let Some(row) = rows.next()? {
            claimed.push(alert(row)?);
        }
        claimed.sort_by_key(|alert| alert.id);
        Ok(claimed)
    }

    /// Makes all that is undelivered due, for a person who does not want to wait; but what somebody may be trying now.
    pub fn hurry_alerts(&mut self) -> Result<(), LedgerError> {
        self.transaction.execute(
            "UPDATE alert SET tried = NULL WHERE delivered IS NULL AND (fault IS NOT NULL OR tried <= ?1 - 60000)",
            [millis(self.now)],
        )?;
        Ok(())
    }

    /// Notes what became of an attempt: an error says why it failed.
    pub fn end_attempt(&mut self, alert: i64, outcome: Result<(), &str>) -> Result<(), LedgerError> {
        let (delivered, fault) = match outcome {
            Ok(()) => (Some(millis(self.now)), None),
            Err(fault) => (None, Some(fault)),
        };
        self.transaction
            .prepare_cached("UPDATE alert SET delivered = ?2, fault = ?3 WHERE id = ?1")?
            .execute(params![alert, delivered, fault])?;
        Ok(())
    }

    /// Removes an alert whose channel is no longer there.
    pub fn drop_alert(&mut self, alert: i64) -> Result<(), LedgerError> {
        self.transaction.execute("DELETE FROM alert WHERE id = ?1", [alert])?;
        Ok(())
    }
}

impl Ledger {
    /// Returns whether a channel has the alert of a notice already.
    pub fn is_raised(&self, notice: &Notice, channel: &str) -> Result<bool, LedgerError> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM alert WHERE budget = ?1 AND name = ?2 AND period = ?3 AND kind = ?4 AND percent = ?5
                                       AND channel = ?6",
            )?
            .query_row(
                params![
                    notice.budget,
                    notice.name,
                    millis(notice.period),
                    notice.kind.as_str(),
                    notice.percent,
                    channel
                ],
                |_| Ok(()),
            )
            .optional()?;
        Ok(found.is_some())
    }

    /// Returns whether an alert is due at `now`.
    pub fn has_due_alert(&self, now: Timestamp) -> Result<bool, LedgerError> {
        let found = self
            .connection
            .prepare_cached(&format!("SELECT EXISTS (SELECT 1 FROM alert WHERE {DUE})"))?
            .query_row([millis(now)], |row| row.get(0))?;
        Ok(found)
    }

    /// Returns the alerts, the latest first, `most` of them at most and all that are undelivered.
    pub fn alerts(&self, most: u32) -> Result<Vec<Alert>, LedgerError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM alert WHERE delivered IS NULL
                 OR id IN (SELECT id FROM alert ORDER BY id DESC LIMIT ?1) ORDER BY id DESC"
        ))?;
        let mut rows = statement.query([most])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(alert(row)?);
        }
        Ok(found)
    }
}

fn alert(row: &Row<'_>) -> Result<Alert, LedgerError> {
    let delivered: Option<i64> = row.get(6)?;
    Ok(Alert {
        id: row.get(0)?,
        channel: row.get(1)?,
        raised: instant(row.get(2)?)?,
        document: row.get(3)?,
        attempts: super::unsigned(row.get(4)?)?,
        fault: row.get(5)?,
        delivered: delivered.map(instant).transpose()?,
    })
}
