//! Questions of `cmat doctor`: what in the ledger wants a person's look.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::cursor::SkippedLine;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::unsigned;

/// How many there are, and the id of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// How many; at least one.
    pub n: u64,
    /// The latest.
    pub example: String,
}

/// Which requests are in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// No copy has a `stop_reason`: the output count is a lower bound.
    CutShort,
    /// Copies disagree about input or cache counts.
    Conflicting,
}

/// Which models are in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Their requests took the default model's price.
    Estimated,
    /// Their requests have no price.
    Unpriced,
    /// None: all models.
    Any,
}

impl Ledger {
    /// Returns the requests that are in doubt; `None` if there is none.
    pub fn doubtful_requests(&self, doubt: Doubt) -> Result<Option<Counted>, LedgerError> {
        let condition = match doubt {
            Doubt::CutShort => "NOT complete",
            Doubt::Conflicting => "conflicting",
        };
        // With one max() SQLite takes the other columns from the row that has it.
        self.counted_example(&format!("SELECT count(*), key, max(at) FROM request WHERE {condition}"))
    }

    /// Returns the sessions that ended and have no transcript, as empty ones do; `None` if there is none.
    pub fn sessions_without_transcript(&self) -> Result<Option<Counted>, LedgerError> {
        self.counted_example(
            "SELECT count(*), name, max(ended) FROM session
             WHERE ended IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file WHERE file.session = session.id)",
        )
    }

    /// Returns the sessions whose last request was made before `since` and after their last end, if they had one; `None`
    /// if there is none. What began before any session was told to have ended is left out: there was no hook.
    pub fn sessions_never_ended(&self, since: Timestamp) -> Result<Option<Counted>, LedgerError> {
        let (n, example): (i64, Option<String>) = self.connection.query_row(
            "SELECT count(*), name, max(last) FROM
                 (SELECT name, min(request.at) AS first, max(request.at) AS last FROM session
                  JOIN request ON request.owner = session.id
                  WHERE EXISTS (SELECT 1 FROM file WHERE file.session = session.id)
                  GROUP BY session.id
                  HAVING last < ?1 AND last > coalesce((SELECT max(at) FROM session_end WHERE session = session.id), 0)
                         AND first > (SELECT min(at) FROM session_end))",
            [millis(since)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let n = unsigned(n)?;
        Ok(example.map(|example| Counted { n, example }))
    }

    /// Returns when the last request was made, and its key; `None` in an empty ledger.
    pub fn latest_request(&self) -> Result<Option<(Timestamp, String)>, LedgerError> {
        let latest = self
            .connection
            .query_row("SELECT at, key FROM request ORDER BY at DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        latest.map(|(at, key)| Ok((instant(at)?, key))).transpose()
    }

    /// Returns the models, as requests name them, each with its number of requests, the most frequent first.
    pub fn models(&self, gap: Gap) -> Result<Vec<(String, u64)>, LedgerError> {
        let (model, condition) = match gap {
            Gap::Estimated => ("request.flags ->> '$.model'", "charge.estimated"),
            Gap::Unpriced => ("charge.model", "charge.unpriced IS NOT NULL"),
            Gap::Any => ("request.flags ->> '$.model'", "true"),
        };
        let mut statement = self.connection.prepare(&format!(
            "SELECT {model}, count(DISTINCT request.id) FROM request JOIN charge ON charge.request = request.id
             WHERE {condition} GROUP BY 1 ORDER BY 2 DESC, 1"
        ))?;
        let mut rows = statement.query([])?;
        let mut models = Vec::new();
        while let Some(row) = rows.next()? {
            models.push((row.get(0)?, unsigned(row.get(1)?)?));
        }
        Ok(models)
    }

    /// Returns the models that the requests of `project` name, each with its number of requests, the most frequent first.
    pub fn models_in(&self, project: &Path) -> Result<Vec<(String, u64)>, LedgerError> {
        let mut statement = self.connection.prepare(
            "SELECT request.flags ->> '$.model', count(*) FROM request
             WHERE project = (SELECT id FROM project WHERE path = ?1)
                   AND EXISTS (SELECT 1 FROM charge WHERE charge.request = request.id)
             GROUP BY 1 ORDER BY 2 DESC, 1",
        )?;
        let mut rows = statement.query([path_bytes(project)])?;
        let mut models = Vec::new();
        while let Some(row) = rows.next()? {
            models.push((row.get(0)?, unsigned(row.get(1)?)?));
        }
        Ok(models)
    }

    /// Returns how many lines of transcripts were left out, and the first of those that are kept.
    pub fn all_skipped_lines(&self) -> Result<(u64, Option<(PathBuf, SkippedLine)>), LedgerError> {
        let n: i64 =
            self.connection.query_row("SELECT coalesce(sum(skipped), 0) FROM file", [], |row| row.get(0))?;
        let first = self
            .connection
            .query_row(
                "SELECT path, skipped_line.line, reason FROM skipped_line JOIN file ON file.id = skipped_line.file
                 ORDER BY path, skipped_line.line LIMIT 1",
                [],
                |row| Ok((path_from(row.get(0)?), row.get::<_, i64>(1)?, row.get(2)?)),
            )
            .optional()?;
        let first = match first {
            Some((path, line, reason)) => Some((path, SkippedLine { line: unsigned(line)?, reason })),
            None => None,
        };
        Ok((unsigned(n)?, first))
    }

    /// Returns the transcript files that were read, as far as they went then.
    pub fn read_files(&self) -> Result<HashSet<PathBuf>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT path FROM file")?;
        let paths = statement.query_map([], |row| Ok(path_from(row.get(0)?)))?;
        Ok(paths.collect::<Result<_, _>>()?)
    }

    /// Returns when the first request was made; `None` in an empty ledger.
    pub fn first_request(&self) -> Result<Option<Timestamp>, LedgerError> {
        let first: Option<i64> =
            self.connection.query_row("SELECT min(at) FROM request", [], |row| row.get(0))?;
        first.map(instant).transpose()
    }

    /// Runs a query for a count and an example.
    pub(super) fn counted_example(&self, query: &str) -> Result<Option<Counted>, LedgerError> {
        let (n, example): (i64, Option<String>) =
            self.connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let n = unsigned(n)?;
        Ok(example.map(|example| Counted { n, example }))
    }
}
