//! What sessions spent beyond their requests: the client's counts, which are facts, and what follows from them.
//!
//! The counts are kept apart from requests. What is left of them ([`crate::remainder`]) is booked as rows of `request`
//! that stand for no request, so that every sum holds it; they are derived, and made anew whenever a request or a
//! count of the session changes.

use std::collections::BTreeMap;

use rusqlite::ToSql;
use rusqlite::params;
use sha2::Digest as _;
use sha2::Sha256;

use crate::client_count::ClientCount;
use crate::client_count::ModelCount;
use crate::id::MessageId;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::derive::ALWAYS;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::recording::PriceRequest;
use crate::ledger::recording::Recording;
use crate::ledger::requests;
use crate::ledger::requests::NewRequest;
use crate::ledger::requests::StoredRequest;
use crate::ledger::totals::Scope;
use crate::money::Usd;
use crate::remainder::Comparison;
use crate::remainder::Remainder;
use crate::remainder::Shows;
use crate::remainder::Verdict;
use crate::summary::ClientSays;
use crate::usage::Flags;
use crate::usage::Origin;
use crate::usage::RequestFacts;
use crate::usage::RequestKey;

impl Ledger {
    /// Returns whether a session is to be compared with its client's count again: [`Recording::settle_remainders`].
    pub fn has_stale_remainders(&self) -> Result<bool, LedgerError> {
        let has = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM stale_remainder)")?
            .query_row([], |row| row.get(0))?;
        Ok(has)
    }
}

impl Ledger {
    /// Returns what the sessions that own something in `scope` (`None`: all sessions) cost, as their clients say and
    /// as cmat does; those that no client counted are left out.
    pub fn clients_say(&self, scope: Option<Scope<'_>>) -> Result<Vec<ClientSays>, LedgerError> {
        let (condition, parameters) = scope.map_or(("true", Vec::new()), Scope::condition);
        let parameters: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
        let sum = |of: &str| {
            format!(
                "(SELECT coalesce(sum(charge.cost / 1000000), 0) FROM request JOIN charge ON request = request.id
                  WHERE owner = session.id AND {of}),
                 (SELECT coalesce(sum(charge.cost % 1000000), 0) FROM request JOIN charge ON request = request.id
                  WHERE owner = session.id AND {of})"
            )
        };
        // With one max() SQLite takes the other columns from the row that has it.
        let mut statement = self.connection.prepare(&format!(
            "SELECT session.name, client_count.cost, NOT unaccounted, {}, {}, max(client_count.at)
             FROM session JOIN client_count ON client_count.session = session.id
             WHERE session.id IN (SELECT request.owner FROM request WHERE {condition})
             GROUP BY session.id ORDER BY max(client_count.at), session.name",
            sum("true"),
            sum("key_kind > 2 AND key_kind = 4"),
        ))?;
        let mut rows = statement.query(parameters.as_slice())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let amount = |column| -> Result<Usd, LedgerError> {
                let (micro, pico): (i64, i64) = (row.get(column)?, row.get(column + 1)?);
                Ok(Usd::from_pico(i128::from(micro) * 1_000_000 + i128::from(pico)))
            };
            let Some(reported) = row.get::<_, Option<i64>>(1)? else { continue };
            found.push(ClientSays {
                session: SessionId::new(row.get::<_, String>(0)?)
                    .map_err(|_| LedgerError::Corrupt { what: "an empty session id".to_owned() })?,
                reported: Usd::from_pico(reported.into()),
                fits: row.get(2)?,
                computed: amount(3)?,
                not_itemised: amount(5)?,
            });
        }
        Ok(found)
    }
}

impl Recording<'_> {
    /// Stores what the client had counted, unless a person had something of the session forgotten: it counts that too.
    pub(super) fn client_count(&mut self, count: &ClientCount) -> Result<(), LedgerError> {
        let session = self.session(&count.session)?;
        if self.is_count_forgotten(count, session)? {
            return self.forget_count(session);
        }
        self.recounted.insert(session);
        let cost = count.cost.and_then(|cost| i64::try_from(cost.pico()).ok());
        self.transaction
            .prepare_cached(
                "INSERT INTO client_count (session, at, models, cost)
                 SELECT id, ?2, ?3, ?4 FROM session WHERE id = ?1 AND NOT partly_forgotten
                 ON CONFLICT DO UPDATE SET cost = max(cost, excluded.cost)",
            )?
            .execute(params![session, millis(count.at), serde_json::to_string(&count.models)?, cost])?;
        Ok(())
    }

    /// Forgets what the client counted for `session`, now and later, because a part of it is forgotten.
    pub(super) fn forget_count(&mut self, session: i64) -> Result<(), LedgerError> {
        let is_news = self
            .transaction
            .prepare_cached("UPDATE session SET partly_forgotten = 1, unaccounted = 0 WHERE id = ?1 AND NOT partly_forgotten")?
            .execute([session])?;
        if is_news > 0 {
            self.transaction.execute("DELETE FROM client_count WHERE session = ?1", [session])?;
            for remainder in requests::remainders_of(&self.transaction, session)? {
                self.remove_remainder(&remainder)?;
            }
        }
        Ok(())
    }

    /// Marks the sessions that are to be compared again.
    pub(super) fn mark_remainders(&mut self) -> Result<(), LedgerError> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO stale_remainder (session)
             SELECT ?1 WHERE EXISTS (SELECT 1 FROM client_count WHERE session = ?1) ON CONFLICT DO NOTHING",
        )?;
        for session in std::mem::take(&mut self.recounted) {
            statement.execute([session])?;
        }
        Ok(())
    }

    /// Compares each session that changed with its client's count, and books what is left.
    pub fn settle_remainders(&mut self, price: &mut PriceRequest<'_>) -> Result<(), LedgerError> {
        let stale = self
            .transaction
            .prepare_cached("DELETE FROM stale_remainder RETURNING session")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<Vec<i64>, _>>()?;
        for session in &stale {
            self.settle_remainder(*session, price)?;
        }
        for session in stale {
            self.recounted.remove(&session);
        }
        Ok(())
    }

    fn settle_remainder(&mut self, session: i64, price: &mut PriceRequest<'_>) -> Result<(), LedgerError> {
        let (name, counts) = self.client_counts(session)?;
        let mut comparison = Comparison::new(&counts);
        // A session that goes on is compared at each hook: its requests need not be read for that.
        let latest = requests::latest_of_session(&self.transaction, session)?;
        let verdict = if latest.is_some_and(|latest| comparison.ends_before(latest)) {
            Verdict::AtLeast
        } else {
            let mut is_fork = false;
            requests::each_of_session(&self.transaction, session, |request| {
                is_fork |= request.placement.owner != session;
                comparison.add(&request.facts);
            })?;
            comparison.verdict(if is_fork { Shows::AnothersToo } else { Shows::OwnRequests })
        };
        self.transaction
            .prepare_cached("UPDATE session SET unaccounted = ?2 WHERE id = ?1")?
            .execute(params![session, verdict == Verdict::AtLeast])?;
        let mut booked: BTreeMap<RequestKey, StoredRequest> =
            requests::remainders_of(&self.transaction, session)?
                .into_iter()
                .map(|stored| (stored.facts.key.clone(), stored))
                .collect();
        if let Verdict::Complete(remainders) = verdict {
            for remainder in remainders {
                let facts = remainder_facts(&name, &remainder, comparison.origin_before(remainder.at))?;
                match booked.remove(&facts.key) {
                    None => self.book_remainder(session, &facts, price)?,
                    Some(before) if before.facts != facts => {
                        self.remove_remainder(&before)?;
                        self.book_remainder(session, &facts, price)?;
                    }
                    Some(_the_same) => {}
                }
            }
        }
        for outdated in booked.values() {
            self.remove_remainder(outdated)?;
        }
        Ok(())
    }

    fn book_remainder(
        &mut self,
        session: i64,
        facts: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let placement = self.placement(facts.origin.timestamp, facts.origin.branch.as_deref(), session)?;
        let new = NewRequest { facts, origin_session: session, placement: placement.clone(), only: None };
        let row = self.statements()?.insert(&[new])?.first().copied().flatten();
        let row =
            row.ok_or_else(|| LedgerError::Corrupt { what: "a remainder that is there already".to_owned() })?;
        self.transaction.execute("UPDATE request SET requests = 0 WHERE id = ?1", [row])?;
        self.touch(&placement, ALWAYS);
        self.stamp(row, session, facts, price)?;
        Ok(())
    }

    fn remove_remainder(&mut self, remainder: &StoredRequest) -> Result<(), LedgerError> {
        self.touch(&remainder.placement, ALWAYS);
        self.transaction.execute("DELETE FROM charge WHERE request = ?1", [remainder.id])?;
        self.transaction.execute("DELETE FROM request WHERE id = ?1", [remainder.id])?;
        Ok(())
    }

    fn client_counts(&self, session: i64) -> Result<(SessionId, Vec<ClientCount>), LedgerError> {
        let corrupt = || LedgerError::Corrupt { what: "an empty session id".to_owned() };
        let name: String =
            self.transaction
                .query_row("SELECT name FROM session WHERE id = ?1", [session], |row| row.get(0))?;
        let name = SessionId::new(name).map_err(|_| corrupt())?;
        let mut statement = self.transaction.prepare_cached(
            "SELECT at, models, cost FROM client_count WHERE session = ?1 ORDER BY at, models",
        )?;
        let mut rows = statement.query([session])?;
        let mut counts = Vec::new();
        while let Some(row) = rows.next()? {
            let models: BTreeMap<ModelId, ModelCount> = serde_json::from_str(&row.get::<_, String>(1)?)?;
            let cost = row.get::<_, Option<i64>>(2)?.map(|pico| Usd::from_pico(pico.into()));
            let at = instant(row.get(0)?)?;
            // A count only grows: of two at one moment, the greater figures hold.
            if let Some(same) = counts.last_mut().filter(|last: &&mut ClientCount| last.at == at) {
                for (model, count) in models {
                    let greatest = same.models.entry(model).or_default();
                    greatest.tokens.merge(&count.tokens);
                    greatest.web_search_requests =
                        greatest.web_search_requests.max(count.web_search_requests);
                }
                same.cost = same.cost.max(cost);
                continue;
            }
            counts.push(ClientCount { session: name.clone(), at, cost, models });
        }
        Ok((name, counts))
    }
}

/// Returns a remainder in the form of a request: made where the request `before` it was made.
fn remainder_facts(
    session: &SessionId,
    remainder: &Remainder,
    before: Option<&Origin>,
) -> Result<RequestFacts, LedgerError> {
    let Remainder { at, model, tokens, web_search_requests } = remainder;
    let corrupt = |_| LedgerError::Corrupt { what: "a model without a name".to_owned() };
    let place = format!("{} {} {model}", session.as_str(), at.as_millisecond());
    let hash: String = Sha256::digest(place)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(RequestFacts {
        key: RequestKey::Remainder(MessageId::new(format!("not-itemised-{hash}")).map_err(corrupt)?),
        request_id: None,
        tokens: *tokens,
        flags: Flags {
            stop_reason: None,
            model: ModelId::new(model.as_str()).map_err(corrupt)?,
            requested_model: None,
            speed: None,
            service_tier: None,
            inference_geo: None,
            web_search_requests: *web_search_requests,
            iterations: Vec::new(),
            empty_content: false,
        },
        origin: Origin {
            timestamp: *at,
            sidechain: false,
            session: session.clone(),
            branch: before.and_then(|before| before.branch.clone()),
            cwd: before.and_then(|before| before.cwd.clone()),
            agent_id: None,
            agent: None,
            skill: None,
            mcp_server: None,
            client_version: before.and_then(|before| before.client_version.clone()),
        },
        complete: true,
        conflicting: false,
    })
}
