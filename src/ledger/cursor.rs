//! How far each transcript file was read.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;

use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::appearances::SessionFile;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::path_from;
use crate::ledger::recording::Recording;
use crate::ledger::signed;
use crate::ledger::unsigned;
use crate::transcript::Position;

/// What tells whether a file is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// Device that the file is on.
    pub device: u64,
    /// Inode of the file.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change in nanoseconds since 1970 UTC.
    pub modified: i64,
}

/// How far a file was read, and the hashes that prove its growth was by appending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The file as it was when it was read.
    pub identity: FileIdentity,
    /// End of the last line that was read.
    pub position: Position,
    /// Hash of the first bytes of the file.
    pub head: Vec<u8>,
    /// Hash of the bytes before `position`.
    pub tail: Vec<u8>,
    /// Time of the last line before `position` that states one.
    pub last_time: Option<Timestamp>,
    /// The last prompt in the file has no answer.
    pub unanswered: bool,
}

/// The number of a file in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(pub(super) i64);

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// The session that it belongs to.
    pub session: SessionId,
    /// How far it was read.
    pub cursor: Cursor,
}

/// Columns that [`cursor`] reads.
const CURSOR: &str =
    "device, inode, size, modified, file.offset, file.line, file.head, file.tail, file.unanswered, last_time";

impl Ledger {
    /// Returns how far the file at `path` was read, if it was.
    pub fn cursor(&self, path: &Path) -> Result<Option<Cursor>, LedgerError> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {CURSOR} FROM file WHERE path = ?1"))?;
        let mut rows = statement.query([path_bytes(path)])?;
        rows.next()?.map(cursor).transpose()
    }

    /// Returns all files that were read, by path; not those whose rows cannot be read. (A `Path` takes three times as long
    /// to hash.)
    pub fn files(&self) -> Result<HashMap<OsString, ReadFile>, LedgerError> {
        let mut statement = self.connection.prepare(&format!(
            "SELECT {CURSOR}, path, session.name FROM file JOIN session ON session.id = file.session"
        ))?;
        let mut rows = statement.query([])?;
        let mut files = HashMap::new();
        while let Some(row) = rows.next()? {
            // Whoever reads the file finds the fault again.
            if let Ok((path, file)) = read_file(row) {
                files.insert(path.into_os_string(), file);
            }
        }
        Ok(files)
    }
}

fn read_file(row: &Row<'_>) -> Result<(PathBuf, ReadFile), LedgerError> {
    let session = session_name(row.get(11)?)?;
    Ok((path_from(row.get(10)?), ReadFile { session, cursor: cursor(row)? }))
}

fn session_name(name: String) -> Result<SessionId, LedgerError> {
    SessionId::new(name).map_err(|_| LedgerError::Corrupt { what: "an empty session id".to_owned() })
}

fn cursor(row: &Row<'_>) -> Result<Cursor, LedgerError> {
    let bits = |column| -> Result<u64, LedgerError> { Ok(row.get::<_, i64>(column)?.cast_unsigned()) };
    let count = |column| -> Result<u64, LedgerError> { unsigned(row.get(column)?) };
    Ok(Cursor {
        // Device and inode use all 64 bits; they are stored as the same bits, signed.
        identity: FileIdentity { device: bits(0)?, inode: bits(1)?, size: count(2)?, modified: row.get(3)? },
        position: Position { offset: count(4)?, line: count(5)? },
        head: row.get(6)?,
        tail: row.get(7)?,
        unanswered: row.get(8)?,
        last_time: row.get::<_, Option<i64>>(9)?.map(instant).transpose()?,
    })
}

/// A line of a transcript that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedLine {
    /// Number of the line, counted from 1.
    pub line: u64,
    /// Why it was left out.
    pub reason: String,
}

impl Ledger {
    /// Returns the lines of the file at `path` that could not be read.
    pub fn skipped_lines(&self, path: &Path) -> Result<Vec<SkippedLine>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT skipped_line.line, reason FROM skipped_line JOIN file ON file.id = skipped_line.file
             WHERE path = ?1 ORDER BY skipped_line.line",
        )?;
        let mut rows = statement.query([path_bytes(path)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(SkippedLine { line: unsigned(row.get(0)?)?, reason: row.get(1)? });
        }
        Ok(found)
    }
}

impl Ledger {
    /// Returns the sessions that own requests which stand in the file at `path`, by name.
    pub fn sessions_in(&self, path: &Path) -> Result<Vec<SessionId>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT session.name FROM appearance
             JOIN request ON request.id = appearance.request AND request.owner = appearance.session
             JOIN session ON session.id = appearance.session
             WHERE appearance.file = (SELECT id FROM file WHERE path = ?1) ORDER BY session.name",
        )?;
        let mut rows = statement.query([path_bytes(path)])?;
        let mut sessions = Vec::new();
        while let Some(row) = rows.next()? {
            sessions.push(session_name(row.get(0)?)?);
        }
        Ok(sessions)
    }
}

impl Recording<'_> {
    /// Returns the number of the file at `path`, which belongs to `session`; it is there from now on.
    pub fn file(&mut self, path: &Path, session: &SessionId) -> Result<FileId, LedgerError> {
        let session = self.session(session)?;
        let known: Option<i64> = self
            .transaction
            .prepare_cached("SELECT id FROM file WHERE path = ?1")?
            .query_row([path_bytes(path)], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(FileId(id));
        }
        self.transaction
            .prepare_cached(
                "INSERT INTO file (path, session, device, inode, size, modified, offset, line, head, tail,
                                   unanswered, skipped)
                 VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, x'', x'', 0, 0)",
            )?
            .execute(params![path_bytes(path), session])?;
        Ok(FileId(self.transaction.last_insert_rowid()))
    }

    /// Returns `file` with the session that it belongs to.
    pub(super) fn session_file(&self, file: FileId) -> Result<SessionFile, LedgerError> {
        let session = self
            .transaction
            .prepare_cached("SELECT session FROM file WHERE id = ?1")?
            .query_row([file.0], |row| row.get(0))?;
        Ok(SessionFile { id: file, session })
    }

    /// Returns whether `file` is read to `position`, neither more nor less.
    pub fn is_read_to(&self, file: FileId, position: Position) -> Result<bool, LedgerError> {
        let offset: i64 = self
            .transaction
            .prepare_cached("SELECT offset FROM file WHERE id = ?1")?
            .query_row([file.0], |row| row.get(0))?;
        Ok(unsigned(offset)? == position.offset)
    }

    /// Forgets how often each request stood in `file`, because all of it will be read again.
    pub fn read_anew(&mut self, file: FileId) -> Result<(), LedgerError> {
        self.transaction.execute(
            "UPDATE request SET lines = 0 WHERE owner = (SELECT session FROM file WHERE id = ?1) AND file = ?1",
            [file.0],
        )?;
        self.transaction.execute("UPDATE other_appearance SET lines = 0 WHERE file = ?1", [file.0])?;
        self.transaction.execute("DELETE FROM skipped_line WHERE file = ?1", [file.0])?;
        self.transaction.execute("UPDATE file SET skipped = 0 WHERE id = ?1", [file.0])?;
        Ok(())
    }

    /// Stores how far `file` is read, and that `n_skipped` more lines could not be.
    pub fn set_cursor(&mut self, file: FileId, cursor: &Cursor, n_skipped: u64) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "UPDATE file SET device = ?2, inode = ?3, size = ?4, modified = ?5, offset = ?6, line = ?7,
                        head = ?8, tail = ?9, unanswered = ?10, skipped = skipped + ?11, last_time = ?12 WHERE id = ?1",
            )?
            .execute(params![
                file.0,
                cursor.identity.device.cast_signed(),
                cursor.identity.inode.cast_signed(),
                signed(cursor.identity.size)?,
                cursor.identity.modified,
                signed(cursor.position.offset)?,
                signed(cursor.position.line)?,
                cursor.head,
                cursor.tail,
                cursor.unanswered,
                signed(n_skipped)?,
                cursor.last_time.map(millis),
            ])?;
        Ok(())
    }

    /// Stores why `line` (counted from 1) of `file` could not be read.
    pub(super) fn skipped_line(&mut self, file: FileId, line: u64, reason: &str) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO skipped_line (file, line, reason) VALUES (?1, ?2, ?3)")?
            .execute(params![file.0, signed(line)?, reason])?;
        Ok(())
    }
}
