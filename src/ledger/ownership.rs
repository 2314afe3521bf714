//! Which session owns a request that several show (`attribution::owner`).
//!
//! A session may be forked any number of times, and each fork shows all requests before it: of what a slice shows, that
//! alone is decided anew which may be decided otherwise.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::iter;

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;
use rusqlite::params;

use crate::attribution;
use crate::attribution::Claim;
use crate::id::SessionId;
use crate::ledger::LedgerError;
use crate::ledger::cursor::FileId;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::recording::Recording;
use crate::usage::UsageRecord;

/// That session `?1` goes before the owner of a request where no copy names one, as `attribution::owner` has it.
const GOES_BEFORE: &str = "EXISTS (
    SELECT 1 FROM session AS claimant JOIN session AS present ON present.id = request.owner
    WHERE claimant.id = ?1 AND (claimant.first_line IS NULL, coalesce(claimant.first_line, 0), claimant.name)
        < (present.first_line IS NULL, coalesce(present.first_line, 0), present.name))";

/// What slices may change of who owns what.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Sessions whose first own line may be another one now.
    first_lines: BTreeSet<i64>,
    /// Requests with a session that shows them, and the session that its copy names.
    claims: Vec<(i64, i64, Option<SessionId>)>,
}

impl Doubts {
    /// Notes that another line of `session` than that of now may be its first own one.
    pub(super) fn first_line(&mut self, session: i64) {
        self.first_lines.insert(session);
    }

    /// Notes that `session` shows `request` as `record`, and that it is not the only one, or names another.
    pub(super) fn claim(&mut self, request: i64, session: i64, record: &UsageRecord) {
        self.claims.push((request, session, record.request_session.clone()));
    }

    /// Returns whether nothing was noted.
    pub(super) fn is_empty(&self) -> bool {
        self.first_lines.is_empty() && self.claims.is_empty()
    }
}

/// Requests of which it is to be decided again who owns them, each with a session that has a better claim than the owner
/// now, or with none where any session that shows it may have. There may be as many as there are requests of a session.
#[derive(Debug, Default)]
struct Disputes(Vec<(i64, Option<i64>)>);

impl Disputes {
    fn add(&mut self, requests: Vec<i64>, rival: Option<i64>) {
        self.0.extend(requests.into_iter().map(|request| (request, rival)));
    }
}

impl Recording<'_> {
    /// Notes the sessions that have no first own line yet, or of which one is shown that is earlier; by session, when the
    /// earliest line was written that is shown now.
    pub(super) fn doubt_first_lines(
        &mut self,
        earliest: &BTreeMap<i64, Timestamp>,
    ) -> Result<(), LedgerError> {
        for (session, at) in earliest {
            let is_in_doubt = self
                .transaction
                .prepare_cached(
                    "SELECT 1 FROM session WHERE id = ?1 AND (first_line IS NULL OR first_line > ?2)",
                )?
                .exists(params![session, millis(*at)])?;
            if is_in_doubt {
                self.doubts.first_line(*session);
            }
        }
        Ok(())
    }

    /// Returns the `uuid` by which `request` stands in `file` of `session`, where it stands elsewhere too.
    pub(super) fn uuid_there(
        &self,
        request: i64,
        session: i64,
        file: FileId,
    ) -> Result<Option<String>, LedgerError> {
        let uuid = self
            .transaction
            .prepare_cached(
                "SELECT uuid FROM other_appearance WHERE request = ?1 AND session = ?2 AND file = ?3",
            )?
            .query_row(params![request, session, file.0], |row| row.get(0))
            .optional()?;
        Ok(uuid.flatten())
    }

    /// Notes whose line the one with `uuid` was, or is now, because `session` shows it now, or no longer.
    pub(super) fn doubt_line(&mut self, session: i64, uuid: &str) -> Result<(), LedgerError> {
        // What two others show is nobody's own, whether this session shows it or not.
        let (first, last): (Option<i64>, Option<i64>) = self
            .transaction
            .prepare_cached(
                "SELECT (SELECT min(session) FROM other_appearance WHERE uuid = ?2 AND session <> ?1),
                        (SELECT max(session) FROM other_appearance WHERE uuid = ?2 AND session <> ?1)",
            )?
            .query_row(params![session, uuid], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if first == last {
            first.into_iter().for_each(|session| self.doubts.first_line(session));
        }
        Ok(())
    }

    /// Decides anew who owns the requests of which that is in doubt.
    ///
    /// Returns those that came to another project.
    pub(super) fn settle_owners(&mut self, doubts: &Doubts) -> Result<Vec<i64>, LedgerError> {
        // Where the claim of the owner did not get worse, no better one came, and no copy names another, it stays the owner.
        let mut disputes = Disputes::default();
        for (session, is_later) in self.find_first_lines(&doubts.first_lines)? {
            if is_later {
                let unnamed = "owner = ?1 AND NOT EXISTS (
                    SELECT 1 FROM other_appearance WHERE request = request.id AND request_session IS NOT NULL)";
                disputes.add(self.shared_by(session, unnamed)?, None);
            }
            disputes.add(self.shared_by(session, GOES_BEFORE)?, Some(session));
        }
        for (request, session, named) in &doubts.claims {
            let parameters = params![session, request, named.as_ref().map(SessionId::as_str)];
            let is_named = "?3 IS NOT NULL AND owner IS NOT (SELECT id FROM session WHERE name = ?3)";
            let is_disputed = format!("request.id = ?2 AND ({is_named} OR ?3 IS NULL AND {GOES_BEFORE})");
            disputes.add(self.numbers(&is_disputed, parameters)?, Some(*session));
        }
        self.settle(disputes)
    }

    /// Decides anew who owns the shared requests that any of `sessions` shows, and which lines are their own.
    ///
    /// Returns those that came to another project.
    pub(super) fn settle_all_owners(&mut self, sessions: &BTreeSet<i64>) -> Result<Vec<i64>, LedgerError> {
        self.find_first_lines(sessions)?;
        let mut disputes = Disputes::default();
        for session in sessions {
            disputes.add(self.shared_by(*session, "true")?, None);
        }
        self.settle(disputes)
    }

    /// Returns the shared requests that `session` (`?1`) shows and for which `condition` holds, some more than once.
    fn shared_by(&self, session: i64, condition: &str) -> Result<Vec<i64>, LedgerError> {
        let shared = self
            .transaction
            .prepare_cached(&format!(
                "SELECT request.id FROM other_appearance AS shown JOIN request ON request.id = shown.request
                 WHERE shown.session = ?1 AND shared AND {condition}"
            ))?
            .query_map([session], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(shared)
    }

    fn settle(&mut self, Disputes(mut disputes): Disputes) -> Result<Vec<i64>, LedgerError> {
        // Where any session may own a request, that stands first.
        disputes.sort_unstable();
        disputes.dedup();
        let mut moved = Vec::new();
        for disputed in disputes.chunk_by(|one, next| one.0 == next.0) {
            let request = disputed[0].0;
            for placed in self.placed("request.id = ?1", [request])? {
                let present = placed.present.owner;
                let claims = match disputed[0].1 {
                    None => self.claims(request)?,
                    Some(_) => {
                        let rivals = disputed.iter().filter_map(|(_, rival)| *rival);
                        self.claims_of(request, iter::once(present).chain(rivals))?
                    }
                };
                let Some(owner) = attribution::owner(&claims) else { continue };
                let owner = self.session(owner)?;
                if owner != present && self.place(&placed, owner)? {
                    moved.push(request);
                }
            }
        }
        Ok(moved)
    }

    /// Finds the first own line of each of `sessions`; returns those that have another one now, and whether it is later,
    /// or none any more.
    fn find_first_lines(&self, sessions: &BTreeSet<i64>) -> Result<Vec<(i64, bool)>, LedgerError> {
        let mut changed = Vec::new();
        for session in sessions {
            let before: Option<i64> = self
                .transaction
                .prepare_cached("SELECT first_line FROM session WHERE id = ?1")?
                .query_row([session], |row| row.get(0))?;
            let now = self.first_line_of(*session)?;
            if now != before {
                self.transaction
                    .prepare_cached("UPDATE session SET first_line = ?2 WHERE id = ?1")?
                    .execute(params![session, now])?;
                let is_later = now.unwrap_or(i64::MAX) > before.unwrap_or(i64::MAX);
                changed.push((*session, is_later));
            }
        }
        Ok(changed)
    }

    /// Returns the claims of all sessions that show `request`.
    fn claims(&self, request: i64) -> Result<Vec<Claim>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT name, first_line, min(request_session)
             FROM appearance JOIN session ON session.id = appearance.session
             WHERE request = ?1 GROUP BY session.id",
        )?;
        let mut rows = statement.query([request])?;
        let mut claims = Vec::new();
        while let Some(row) = rows.next()? {
            claims.push(claim(row)?);
        }
        Ok(claims)
    }

    /// Returns the claims of `rivals` on a shared `request`, and the session that its copies name as one of theirs.
    fn claims_of(&self, request: i64, rivals: impl Iterator<Item = i64>) -> Result<Vec<Claim>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT name, first_line, (SELECT min(request_session) FROM other_appearance
                                       WHERE request = ?1 AND request_session IS NOT NULL)
             FROM session WHERE id = ?2",
        )?;
        let mut claims = Vec::new();
        for rival in rivals {
            claims.push(statement.query_row([request, rival], |row| Ok(claim(row)))??);
        }
        Ok(claims)
    }

    /// Returns the time of the earliest line that is the session's own: one without `uuid`, or with a `uuid` that no
    /// other session has.
    ///
    /// Lines with the same `uuid` are of the same request: a request that stands in one file only has no copy elsewhere.
    fn first_line_of(&self, session: i64) -> Result<Option<i64>, LedgerError> {
        let plain: Option<i64> = self
            .transaction
            .prepare_cached("SELECT first_own_line FROM session WHERE id = ?1")?
            .query_row([session], |row| row.get(0))?;
        let own: Option<i64> = self
            .transaction
            .prepare_cached(
                "SELECT mine.at FROM other_appearance AS mine
                 WHERE mine.session = ?1 AND NOT EXISTS (
                     SELECT 1 FROM other_appearance AS other
                     WHERE other.uuid = mine.uuid AND other.session <> mine.session)
                 ORDER BY mine.at LIMIT 1",
            )?
            .query_row([session], |row| row.get(0))
            .optional()?;
        let earliest = plain.into_iter().chain(own).min();
        let only: Option<i64> = self
            .transaction
            .prepare_cached(
                "SELECT at FROM request WHERE owner = ?1 AND at < ?2 AND file IS NOT NULL ORDER BY at LIMIT 1",
            )?
            .query_row([session, earliest.unwrap_or(i64::MAX)], |row| row.get(0))
            .optional()?;
        Ok(earliest.into_iter().chain(only).min())
    }
}

/// Reads a claim of a row with the session's name, its first own line, and the session that its copies name.
fn claim(row: &Row<'_>) -> Result<Claim, LedgerError> {
    let name = |text: String| {
        SessionId::new(text).map_err(|_| LedgerError::Corrupt { what: "an empty session id".to_owned() })
    };
    Ok(Claim {
        session: name(row.get(0)?)?,
        first_own_line: row.get::<_, Option<i64>>(1)?.map(instant).transpose()?,
        request_session: row.get::<_, Option<String>>(2)?.map(name).transpose()?,
    })
}
