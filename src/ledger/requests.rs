//! Rows of requests: the facts.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::CachedStatement;
use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;
use rusqlite::Transaction;
use rusqlite::params;
use rusqlite::params_from_iter;
use rusqlite::types::ToSqlOutput;
use rusqlite::types::ValueRef;

use crate::id::MessageId;
use crate::id::RequestId;
use crate::id::SessionId;
use crate::ledger::LedgerError;
use crate::ledger::appearances::OnlyAppearance;
use crate::ledger::charges;
use crate::ledger::charges::NumberedCharge;
use crate::ledger::cursor::FileId;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::placement::Placement;
use crate::ledger::repeated::Repeated;
use crate::ledger::signed;
use crate::ledger::unsigned;
use crate::usage::Flags;
use crate::usage::Origin;
use crate::usage::RawTokens;
use crate::usage::RequestFacts;
use crate::usage::RequestKey;

/// A request as stored.
pub(super) struct StoredRequest {
    pub(super) id: i64,
    pub(super) facts: RequestFacts,
    pub(super) shared: bool,
    /// The only file that shows it, if that is one of its owner's.
    pub(super) only_file: Option<FileId>,
    pub(super) placement: Placement,
}

/// Completes a query of requests whose rows [`stored`] reads.
macro_rules! select_requests {
    ($condition:literal) => {
        concat!(
            "SELECT request.id, key, key_kind, request_id, input, output, cache_read, cache_write,
                 cache_write_5m, cache_write_1h, flags, complete, conflicting, at, sidechain, session.name,
                 branch, cwd, agent_id, agent, skill, mcp_server, client_version, shared, owner,
                 request.project, task, enhancement, bound_agent, tags, user, command, ticket, pr, commit_hash,
                 request.file
             FROM request JOIN session ON session.id = request.origin_session WHERE ",
            $condition
        )
    };
}

pub(super) fn get(transaction: &Transaction<'_>, id: i64) -> Result<StoredRequest, LedgerError> {
    let mut statement = transaction.prepare_cached(select_requests!("request.id = ?1"))?;
    let mut rows = statement.query([id])?;
    rows.next()?.map_or_else(|| Err(LedgerError::Corrupt { what: format!("no request {id}") }), stored)
}

/// Returns when `session` made the latest request of transcripts that it owns.
pub(super) fn latest_of_session(
    transaction: &Transaction<'_>,
    session: i64,
) -> Result<Option<Timestamp>, LedgerError> {
    let latest: Option<i64> = transaction
        .prepare_cached("SELECT at FROM request WHERE owner = ?1 AND key_kind <= 2 ORDER BY at DESC LIMIT 1")?
        .query_row([session], |row| row.get(0))
        .optional()?;
    latest.map(instant).transpose()
}

/// Hands on each request of transcripts that `session` owns or shows, one at a time: there may be any number of them.
pub(super) fn each_of_session(
    transaction: &Transaction<'_>,
    session: i64,
    mut hand_on: impl FnMut(&StoredRequest),
) -> Result<(), LedgerError> {
    let mut statement = transaction.prepare_cached(select_requests!(
        "key_kind <= 2 AND request.id IN (SELECT id FROM request WHERE owner = ?1
             UNION SELECT request FROM other_appearance WHERE other_appearance.session = ?1)"
    ))?;
    let mut rows = statement.query([session])?;
    while let Some(row) = rows.next()? {
        hand_on(&stored(row)?);
    }
    Ok(())
}

/// Returns what `session` spent beyond its requests, as it is booked.
pub(super) fn remainders_of(
    transaction: &Transaction<'_>,
    session: i64,
) -> Result<Vec<StoredRequest>, LedgerError> {
    let mut statement =
        transaction.prepare_cached(select_requests!("owner = ?1 AND key_kind > 2 AND key_kind = 4"))?;
    let mut rows = statement.query([session])?;
    let mut remainders = Vec::new();
    while let Some(row) = rows.next()? {
        remainders.push(stored(row)?);
    }
    Ok(remainders)
}

/// Returns the next requests after the number `after`, made at `since` (UTC milliseconds) or later.
pub(super) fn page(
    transaction: &Transaction<'_>,
    since: i64,
    after: i64,
) -> Result<Vec<StoredRequest>, LedgerError> {
    let mut statement = transaction
        .prepare_cached(select_requests!("request.id > ?1 AND at >= ?2 ORDER BY request.id LIMIT 1000"))?;
    let mut rows = statement.query([after, since])?;
    let mut requests = Vec::new();
    while let Some(row) = rows.next()? {
        requests.push(stored(row)?);
    }
    Ok(requests)
}

/// The columns that a request is stored with, in the order of [`NewRequest::values`].
const COLUMNS: &str = "key, key_kind, request_id, input, output, cache_read, cache_write, cache_write_5m, cache_write_1h,
    flags, complete, conflicting, at, sidechain, origin_session, branch, cwd, agent_id, agent, skill, mcp_server,
    client_version, owner, project, task, enhancement, bound_agent, tags, user, command, ticket, pr, commit_hash,
    file, uuid, request_session, lines";
const N_COLUMNS: usize = 37;

/// How many requests are stored by one statement, where there are as many: it opens the indexes once for all of them.
pub(super) const STORED_AT_ONCE: usize = 16;

/// A request that may not be there yet.
#[derive(Debug)]
pub(super) struct NewRequest<'record> {
    pub(super) facts: &'record RequestFacts,
    pub(super) origin_session: i64,
    /// Where it belongs.
    pub(super) placement: Placement,
    /// Where it stands, if its row can hold that.
    pub(super) only: Option<OnlyAppearance<'record>>,
}

/// What is asked and stored for each request of a transcript: to find each statement by its text again would cost more
/// than some of them do.
pub(super) struct Statements<'ledger> {
    connection: &'ledger Connection,
    find: CachedStatement<'ledger>,
    insert: Repeated<'ledger>,
    /// Stores several at once; once there are so many.
    insert_many: Option<Repeated<'ledger>>,
    charge: Repeated<'ledger>,
    /// The same for charges.
    charge_many: Option<Repeated<'ledger>>,
}

impl fmt::Debug for Statements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").finish_non_exhaustive()
    }
}

impl<'ledger> Statements<'ledger> {
    pub(super) fn prepare(connection: &'ledger Connection) -> Result<Self, LedgerError> {
        Ok(Self {
            connection,
            find: connection.prepare_cached(select_requests!("key = ?1 AND key_kind = ?2"))?,
            insert: Repeated::prepare(connection, &insert_sql(1))?,
            insert_many: None,
            charge: Repeated::prepare(connection, &charges::insert_sql(1))?,
            charge_many: None,
        })
    }

    /// Returns the request with that key, if it is there.
    pub(super) fn find(&mut self, key: &RequestKey) -> Result<Option<StoredRequest>, LedgerError> {
        let (kind, text) = key_columns(key);
        let mut rows = self.find.query(params![text, kind])?;
        rows.next()?.map(stored).transpose()
    }

    /// Stores those of `new` that are not there; returns the numbers of those.
    pub(super) fn insert(&mut self, new: &[NewRequest<'_>]) -> Result<Vec<Option<i64>>, LedgerError> {
        // What follows one another mostly says the same of itself.
        let alike = new.chunk_by(|one, next| one.facts.flags == next.facts.flags);
        let alike = alike.map(|alike| Ok((alike, serde_json::to_string(&alike[0].facts.flags)?)));
        let alike = alike.collect::<Result<Vec<_>, LedgerError>>()?;
        let mut values = Vec::with_capacity(N_COLUMNS * new.len());
        for (alike, flags) in &alike {
            for new in *alike {
                values.extend(new.values(flags)?);
            }
        }
        if new.len() < STORED_AT_ONCE {
            let insert = |row: &[ValueRef<'_>]| {
                let is_stored = self.insert.execute(row.iter().copied())? > 0;
                Ok(is_stored.then(|| self.connection.last_insert_rowid()))
            };
            return values.chunks(N_COLUMNS).map(insert).collect();
        }
        let statement = match &mut self.insert_many {
            Some(statement) => statement,
            none => none.insert(Repeated::prepare(self.connection, &insert_sql(new.len()))?),
        };
        let n_stored = statement.execute(values.into_iter())?;
        // SQLite numbers them one after the other.
        let mut next = self.connection.last_insert_rowid() + 1 - i64::try_from(n_stored).unwrap_or(i64::MAX);
        if n_stored == new.len() {
            return Ok((next..).take(n_stored).map(Some).collect());
        }
        let mut number =
            self.connection.prepare_cached("SELECT id FROM request WHERE key = ?1 AND key_kind = ?2")?;
        let mut stored = Vec::with_capacity(new.len());
        for new in new {
            let (kind, text) = key_columns(&new.facts.key);
            let id = number.query_row(params![text, kind], |row| row.get::<_, i64>(0))?;
            // One that comes twice has the number that it got the first time.
            let is_stored = n_stored > 0 && id == next;
            next += i64::from(is_stored);
            stored.push(is_stored.then_some(id));
        }
        Ok(stored)
    }

    /// Stores charges, none of which is there.
    pub(super) fn insert_charges(&mut self, charges: &[NumberedCharge<'_>]) -> Result<(), LedgerError> {
        let mut many = charges.chunks_exact(STORED_AT_ONCE);
        for charges in &mut many {
            let statement = match &mut self.charge_many {
                Some(statement) => statement,
                none => none.insert(Repeated::prepare(self.connection, &charges::insert_sql(charges.len()))?),
            };
            statement.execute(charges.iter().flat_map(NumberedCharge::values))?;
        }
        for charge in many.remainder() {
            self.charge.execute(charge.values().into_iter())?;
        }
        Ok(())
    }
}

/// Returns a statement that stores `n_rows` requests, and leaves those as they are that are there.
fn insert_sql(n_rows: usize) -> String {
    // Whatever fails fails the transaction: SQLite need not keep what would undo the statement alone, each page that it
    // changes. (It would for numbers of our own too.)
    format!(
        "INSERT OR FAIL INTO request ({COLUMNS}) VALUES {} ON CONFLICT DO NOTHING",
        places(n_rows, N_COLUMNS)
    )
}

/// Returns the places of `n_rows` rows of values.
pub(super) fn places(n_rows: usize, n_columns: usize) -> String {
    let row = format!("({})", vec!["?"; n_columns].join(", "));
    vec![row; n_rows].join(", ")
}

/// Stores the raised facts of a request that is there; `placement` is where it is.
pub(super) fn raise(
    transaction: &Transaction<'_>,
    facts: &RequestFacts,
    origin_session: i64,
    placement: &Placement,
) -> Result<(), LedgerError> {
    // Nothing is returned by the statement: SQLite would make a table for that each time, which costs more than the rest.
    let mut statement = transaction.prepare_cached(&format!(
        "INSERT INTO request ({COLUMNS}) VALUES {}
         ON CONFLICT (key, key_kind) DO UPDATE SET
             request_id = excluded.request_id, input = excluded.input, output = excluded.output,
             cache_read = excluded.cache_read, cache_write = excluded.cache_write,
             cache_write_5m = excluded.cache_write_5m, cache_write_1h = excluded.cache_write_1h,
             flags = excluded.flags, complete = excluded.complete, conflicting = excluded.conflicting,
             at = excluded.at, sidechain = excluded.sidechain, origin_session = excluded.origin_session,
             branch = excluded.branch, cwd = excluded.cwd, agent_id = excluded.agent_id,
             agent = excluded.agent, skill = excluded.skill, mcp_server = excluded.mcp_server,
             client_version = excluded.client_version",
        places(1, N_COLUMNS)
    ))?;
    let flags = serde_json::to_string(&facts.flags)?;
    let raised = NewRequest { facts, origin_session, placement: placement.clone(), only: None };
    statement.execute(params_from_iter(raised.values(&flags)?.map(ToSqlOutput::Borrowed)))?;
    Ok(())
}

impl NewRequest<'_> {
    /// Returns the values of the columns that it is stored with.
    fn values<'row>(&'row self, flags: &'row str) -> Result<[ValueRef<'row>; N_COLUMNS], LedgerError> {
        let Self { facts, origin_session, placement, only } = self;
        let integer = ValueRef::Integer;
        let flag = |flag| ValueRef::Integer(i64::from(flag));
        let number = |number: Option<i64>| number.map_or(ValueRef::Null, ValueRef::Integer);
        let text = |text: &'row Option<String>| ValueRef::from(text.as_deref());
        let shared = |text: &'row Option<Arc<str>>| ValueRef::from(text.as_deref());
        let (kind, key) = key_columns(&facts.key);
        let RawTokens { input, output, cache_read, cache_write, cache_write_5m, cache_write_1h } =
            facts.tokens;
        let Origin {
            timestamp,
            sidechain,
            session: _,
            branch,
            cwd,
            agent_id,
            agent,
            skill,
            mcp_server,
            client_version,
        } = &facts.origin;
        Ok([
            ValueRef::from(key),
            integer(kind),
            ValueRef::from(facts.request_id.as_ref().map(RequestId::as_str)),
            integer(signed(input)?),
            integer(signed(output)?),
            integer(signed(cache_read)?),
            integer(signed(cache_write)?),
            integer(signed(cache_write_5m)?),
            integer(signed(cache_write_1h)?),
            ValueRef::from(flags),
            flag(facts.complete),
            flag(facts.conflicting),
            integer(millis(*timestamp)),
            flag(*sidechain),
            integer(*origin_session),
            shared(branch),
            shared(cwd),
            shared(agent_id),
            shared(agent),
            shared(skill),
            shared(mcp_server),
            shared(client_version),
            integer(placement.owner),
            number(placement.project),
            number(placement.task),
            text(&placement.enhancement),
            text(&placement.agent),
            text(&placement.tags),
            text(&placement.user),
            text(&placement.command),
            text(&placement.ticket),
            text(&placement.pr),
            text(&placement.commit),
            number(only.map(|only| only.file.0)),
            ValueRef::from(only.and_then(|only| only.uuid)),
            ValueRef::from(only.and_then(|only| only.request_session).map(SessionId::as_str)),
            number(only.map(|only| signed(only.n_lines)).transpose()?),
        ])
    }
}

pub(super) fn key_columns(key: &RequestKey) -> (i64, &str) {
    match key {
        RequestKey::Message(id) => (0, id.as_str()),
        RequestKey::Line(id) => (1, id.as_str()),
        RequestKey::Hash(id) => (2, id.as_str()),
        RequestKey::Record(id) => (3, id.as_str()),
        RequestKey::Remainder(id) => (4, id.as_str()),
    }
}

fn stored(row: &Row<'_>) -> Result<StoredRequest, LedgerError> {
    let corrupt = |what: &str| LedgerError::Corrupt { what: what.to_owned() };
    let id = MessageId::new(row.get::<_, String>(1)?).map_err(|_| corrupt("an empty message id"))?;
    let key = match row.get(2)? {
        0 => RequestKey::Message(id),
        1 => RequestKey::Line(id),
        2 => RequestKey::Hash(id),
        3 => RequestKey::Record(id),
        4 => RequestKey::Remainder(id),
        other => return Err(corrupt(&format!("key kind {other}"))),
    };
    let tokens = |column| -> Result<u64, LedgerError> { unsigned(row.get(column)?) };
    let session: String = row.get(15)?;
    let flags: Flags = serde_json::from_str(&row.get::<_, String>(10)?)?;
    Ok(StoredRequest {
        id: row.get(0)?,
        facts: RequestFacts {
            key,
            request_id: row.get::<_, Option<String>>(3)?.and_then(|id| RequestId::new(id).ok()),
            tokens: RawTokens {
                input: tokens(4)?,
                output: tokens(5)?,
                cache_read: tokens(6)?,
                cache_write: tokens(7)?,
                cache_write_5m: tokens(8)?,
                cache_write_1h: tokens(9)?,
            },
            flags,
            complete: row.get(11)?,
            conflicting: row.get(12)?,
            origin: Origin {
                timestamp: instant(row.get(13)?)?,
                sidechain: row.get(14)?,
                session: SessionId::new(session).map_err(|_| corrupt("an empty session id"))?,
                branch: row.get(16)?,
                cwd: row.get(17)?,
                agent_id: row.get(18)?,
                agent: row.get(19)?,
                skill: row.get(20)?,
                mcp_server: row.get(21)?,
                client_version: row.get(22)?,
            },
        },
        shared: row.get(23)?,
        only_file: row.get::<_, Option<i64>>(35)?.map(FileId),
        placement: Placement {
            owner: row.get(24)?,
            project: row.get(25)?,
            task: row.get(26)?,
            enhancement: row.get(27)?,
            agent: row.get(28)?,
            tags: row.get(29)?,
            user: row.get(30)?,
            command: row.get(31)?,
            ticket: row.get(32)?,
            pr: row.get(33)?,
            commit: row.get(34)?,
        },
    })
}
