//! The audit: what changed money, limits or records, one line each, only ever added to.
//!
//! Each line holds the hash of the line before it and of itself, and the last one is noted apart, so a line that
//! somebody changed, put in or took out is found. It is proof against accidents and second thoughts; somebody who
//! can write the file can also compute the chain anew.

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::params;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::recording::Recording;

/// A line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Its number, from 1.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What happened, in a word.
    pub kind: String,
    /// More of it.
    pub detail: serde_json::Value,
}

impl Recording<'_> {
    /// Adds a line to the audit.
    pub fn audit(&mut self, kind: &str, detail: &impl Serialize) -> Result<(), LedgerError> {
        let before: Option<(i64, Vec<u8>)> = self
            .transaction
            .prepare_cached("SELECT id, hash FROM audit_end")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (last, before) = before.unwrap_or_default();
        let (id, at, detail) = (last.saturating_add(1), millis(self.now), serde_json::to_string(detail)?);
        let hash = hash(&before, id, at, kind, &detail);
        self.transaction.execute(
            "INSERT INTO audit (id, at, kind, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, at, kind, detail, hash],
        )?;
        self.transaction.execute(
            "INSERT INTO audit_end (only, id, hash) VALUES (1, ?1, ?2)
             ON CONFLICT DO UPDATE SET id = excluded.id, hash = excluded.hash",
            params![id, hash],
        )?;
        Ok(())
    }
}

impl Ledger {
    /// Returns the lines of the audit, the first one first.
    pub fn audit_lines(&self) -> Result<Vec<AuditLine>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT id, at, kind, detail FROM audit ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let detail: String = row.get(3)?;
            lines.push(AuditLine {
                id: row.get(0)?,
                at: instant(row.get(1)?)?,
                kind: row.get(2)?,
                // A line that somebody broke is shown all the same.
                detail: serde_json::from_str(&detail).unwrap_or(serde_json::Value::String(detail)),
            });
        }
        Ok(lines)
    }

    /// Returns what is wrong with the chain of the audit's lines; `None` if it is whole.
    pub fn audit_fault(&self) -> Result<Option<String>, LedgerError> {
        let mut statement =
            self.connection.prepare("SELECT id, at, kind, detail, hash FROM audit ORDER BY id")?;
        let mut rows = statement.query([])?;
        let (mut last, mut before) = (0_i64, Vec::new());
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let (kind, detail): (String, String) = (row.get(2)?, row.get(3)?);
            let stored: Vec<u8> = row.get(4)?;
            if id != last + 1 {
                return Ok(Some(format!("line {} is missing", last + 1)));
            }
            if stored != hash(&before, id, row.get(1)?, &kind, &detail) {
                return Ok(Some(format!("line {id} is not as it was written")));
            }
            (last, before) = (id, stored);
        }
        let end: Option<(i64, Vec<u8>)> = self
            .connection
            .query_row("SELECT id, hash FROM audit_end", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(match end {
            Some(end) if end != (last, before) => Some(format!("the lines end at {last}, not at {}", end.0)),
            None if last > 0 => Some("its end is not noted".to_owned()),
            _ => None,
        })
    }
}

fn hash(before: &[u8], id: i64, at: i64, kind: &str, detail: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(before);
    // Lengths, so that no text can be read as the end of one field and the beginning of another.
    hash.update(format!("{id} {at} {} {kind} {} {detail}", kind.len(), detail.len()));
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::Durability;

    fn ledger(folder: &tempfile::TempDir) -> Ledger {
        let mut ledger = Ledger::open(folder.path(), Duration::ZERO).unwrap();
        for n in 0..3 {
            let mut recording = ledger.record(Durability::Irreplaceable, Timestamp::UNIX_EPOCH).unwrap();
            recording.audit("tested", &serde_json::json!({ "n": n })).unwrap();
            recording.commit().unwrap();
        }
        ledger
    }

    #[test]
    fn lines_are_only_added() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        assert_eq!(ledger.audit_lines().unwrap().len(), 3);
        assert_eq!(ledger.audit_fault().unwrap(), None);
        for change in ["DELETE FROM audit", "UPDATE audit SET kind = 'other'"] {
            let error = ledger.connection.execute(change, []).unwrap_err();
            assert_eq!(error.to_string(), "the audit is only added to");
        }
    }

    #[test]
    fn a_line_that_was_changed_taken_out_or_cut_off_is_found() {
        for (change, expected) in [
            ("UPDATE audit SET detail = '{\"n\":9}' WHERE id = 2", "line 2 is not as it was written"),
            ("DELETE FROM audit WHERE id = 2", "line 2 is missing"),
            ("DELETE FROM audit WHERE id = 3", "the lines end at 2, not at 3"),
            ("DELETE FROM audit; DELETE FROM audit_end", ""),
            ("DELETE FROM audit_end", "its end is not noted"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let ledger = ledger(&folder);
            ledger
                .connection
                .execute_batch(&format!("DROP TRIGGER audit_stays; DROP TRIGGER audit_is_kept; {change}"))
                .unwrap();
            assert_eq!(ledger.audit_fault().unwrap().unwrap_or_default(), expected, "{change}");
        }
    }
}
