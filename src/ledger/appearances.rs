//! Where requests stand: in which file of which session, in how many lines.
//!
//! Most requests stand in one file of their session and nowhere else. That is kept in the request's own row, where it
//! costs next to nothing, as long as nothing else is known: its owner is the session, and its time the one that this
//! file states. As soon as another file shows it, or the file is another session's, or a copy names another session,
//! what shows it is in `other_appearance`. The view `appearance` is both.

use rusqlite::params;

use crate::id::MessageId;
use crate::id::SessionId;
use crate::ledger::LedgerError;
use crate::ledger::cursor::FileId;
use crate::ledger::millis;
use crate::ledger::recording::Recording;
use crate::ledger::requests::StoredRequest;
use crate::ledger::signed;
use crate::usage::UsageRecord;

/// A file, and the session that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionFile {
    pub(super) id: FileId,
    pub(super) session: i64,
}

/// That a request stands in one file of its session, and nowhere else.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnlyAppearance<'record> {
    pub(super) file: FileId,
    pub(super) uuid: Option<&'record str>,
    pub(super) request_session: Option<&'record SessionId>,
    pub(super) n_lines: u64,
}

impl<'record> OnlyAppearance<'record> {
    /// Returns how `record` of `session` appears in `file`, if the row of the request can hold that.
    pub(super) fn of(file: SessionFile, session: i64, record: &'record UsageRecord) -> Option<Self> {
        (file.session == session && !names_another(record)).then_some(Self {
            file: file.id,
            uuid: record.uuid.as_ref().map(MessageId::as_str),
            request_session: record.request_session.as_ref(),
            n_lines: record.n_lines,
        })
    }
}

/// Returns whether a copy names another session than the one it stands in.
pub(super) fn names_another(record: &UsageRecord) -> bool {
    record.request_session.as_ref().is_some_and(|named| *named != record.session)
}

impl Recording<'_> {
    /// Adds the lines of `record` to where the request `stored` stands, of which it is another copy.
    ///
    /// To be called while the time of the request is still as it is stored.
    pub(super) fn appear_again(
        &mut self,
        stored: &StoredRequest,
        session: i64,
        file: SessionFile,
        record: &UsageRecord,
    ) -> Result<(), LedgerError> {
        let only_here = OnlyAppearance::of(file, session, record)
            .is_some_and(|here| Some(here.file) == stored.only_file && session == stored.placement.owner);
        if only_here {
            self.transaction
                .prepare_cached(
                    "UPDATE request SET
                         lines = lines + ?2,
                         uuid = coalesce(min(uuid, ?3), uuid, ?3),
                         request_session = coalesce(min(request_session, ?4), request_session, ?4)
                     WHERE id = ?1",
                )?
                .execute(params![
                    stored.id,
                    signed(record.n_lines)?,
                    record.uuid.as_ref().map(MessageId::as_str),
                    record.request_session.as_ref().map(SessionId::as_str),
                ])?;
            return Ok(());
        }
        if stored.only_file.is_some() {
            self.transaction
                .prepare_cached(
                    "INSERT INTO other_appearance (request, session, file, uuid, request_session, at, lines)
                     SELECT request, session, file, uuid, request_session, at, lines FROM appearance
                     WHERE request = ?1",
                )?
                .execute([stored.id])?;
            self.transaction
                .prepare_cached(
                    "UPDATE request SET file = NULL, uuid = NULL, request_session = NULL, lines = NULL
                     WHERE id = ?1",
                )?
                .execute([stored.id])?;
        }
        self.appear(stored.id, session, file.id, record)
    }

    /// Adds the lines of `record` to what is known of `request` in `session` and `file`, beside its own row.
    pub(super) fn appear(
        &mut self,
        request: i64,
        session: i64,
        file: FileId,
        record: &UsageRecord,
    ) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO other_appearance (request, session, file, uuid, request_session, at, lines)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET
                     lines = lines + excluded.lines,
                     at = min(at, excluded.at),
                     uuid = coalesce(min(uuid, excluded.uuid), uuid, excluded.uuid),
                     request_session = coalesce(min(request_session, excluded.request_session),
                                                request_session, excluded.request_session)",
            )?
            .execute(params![
                request,
                session,
                file.0,
                record.uuid.as_ref().map(MessageId::as_str),
                record.request_session.as_ref().map(SessionId::as_str),
                millis(record.facts.origin.timestamp),
                signed(record.n_lines)?,
            ])?;
        Ok(())
    }

    /// Returns whether a session other than `session` shows `request`.
    pub(super) fn is_elsewhere(&self, request: i64, session: i64) -> Result<bool, LedgerError> {
        let found = self
            .transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM appearance WHERE request = ?1 AND session <> ?2)")?
            .query_row([request, session], |row| row.get(0))?;
        Ok(found)
    }

    /// Returns the sessions that show `request`.
    pub(super) fn sessions_showing(&self, request: i64) -> Result<Vec<i64>, LedgerError> {
        let sessions = self
            .transaction
            .prepare_cached("SELECT DISTINCT session FROM appearance WHERE request = ?1")?
            .query_map([request], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(sessions)
    }

    /// Returns whether a transcript shows requests of `session`.
    pub(super) fn is_in_transcript(&mut self, session: i64) -> Result<bool, LedgerError> {
        if self.shown.contains(&session) {
            return Ok(true);
        }
        // Asked for each of what was told of a session, each of which may be looked at to find out.
        if let Some(known) = self.known_in_transcript.get(&session) {
            return Ok(*known);
        }
        let shown = self
            .transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM appearance WHERE session = ?1)")?
            .query_row([session], |row| row.get(0))?;
        self.known_in_transcript.insert(session, shown);
        Ok(shown)
    }
}
