//! Requests with their charges, one by one.

use rusqlite::Row;
use rusqlite::ToSql;

use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::charges::cost_by_kind;
use crate::ledger::dimensions::Question;
use crate::ledger::instant;
use crate::ledger::totals::Scope;
use crate::ledger::unsigned;
use crate::money::Usd;
use crate::pricing::Price;
use crate::query::Dimension;
use crate::query::Filter;
use crate::summary::ExplainedCharge;
use crate::summary::ExplainedRequest;
use crate::summary::ExplainedRequests;
use crate::summary::ToldBy;
use crate::usage::Flags;
use crate::usage::TokenUsage;

/// In how many lines a request stands.
const N_LINES: &str =
    "coalesce(request.lines, (SELECT sum(lines) FROM other_appearance WHERE request = request.id))";

impl Ledger {
    /// Returns the requests of `scope` in the order they were made, each with its charges: the first `limit`, or all.
    pub fn explain(&self, scope: Scope<'_>, limit: Option<u32>) -> Result<ExplainedRequests, LedgerError> {
        let (condition, parameters) = scope.condition();
        let parameters: Vec<&dyn ToSql> = parameters.iter().map(AsRef::as_ref).collect();
        self.explained(condition, &parameters, None, limit)
    }

    /// Returns the requests that pass `filter` in the same way; of those whose parts went to several models, the
    /// parts that pass.
    pub fn explain_passing(
        &self,
        filter: &Filter,
        limit: Option<u32>,
    ) -> Result<ExplainedRequests, LedgerError> {
        let question = Question::about(filter);
        let alternatives = filter.alternatives();
        let models = alternatives.iter().find(|(dimension, _)| **dimension == Dimension::Model);
        let charges = if models.is_some() { " JOIN charge ON charge.request = fact.id" } else { "" };
        let condition =
            format!("request.id IN (SELECT fact.id FROM request AS fact{charges}{})", question.rest());
        let models = models.map(|(_, models)| models.as_slice());
        self.explained(&condition, &question.parameters(), models, limit)
    }

    fn explained(
        &self,
        condition: &str,
        parameters: &[&dyn ToSql],
        models: Option<&[Option<&str>]>,
        limit: Option<u32>,
    ) -> Result<ExplainedRequests, LedgerError> {
        // SQLite takes a negative limit for none.
        let limit = limit.map_or(-1, i64::from);
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT request.id, request.key, request.request_id, request.at,
                    (SELECT name FROM session WHERE id = request.owner), request.agent, request.flags,
                    request.complete, {N_LINES},
                    request.source, request.requests, request.operation, request.cost_reported,
                    request.key_kind = 4
             FROM request WHERE {condition} ORDER BY request.at, request.id LIMIT {limit}"
        ))?;
        let mut rows = statement.query(parameters)?;
        let mut first = Vec::new();
        while let Some(row) = rows.next()? {
            let flags: Flags = serde_json::from_str(&row.get::<_, String>(6)?)?;
            first.push(ExplainedRequest {
                id: row.get(1)?,
                request_id: row.get(2)?,
                not_itemised: row.get(13)?,
                at: instant(row.get(3)?)?,
                session: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
                agent: row.get(5)?,
                model: flags.model,
                complete: row.get(7)?,
                n_lines: unsigned(row.get::<_, Option<i64>>(8)?.unwrap_or_default())?,
                told: told(row)?,
                charges: self.charges(row.get(0)?, models)?,
            });
        }
        let counts: [i64; 3] = self
            .connection
            .prepare_cached(&format!(
                "SELECT count(*), coalesce(sum(request.key_kind = 4), 0), coalesce(sum({N_LINES}), 0)
                 FROM request WHERE {condition}"
            ))?
            .query_row(parameters, |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
        let [n_all, n_not_itemised, n_lines] = counts;
        Ok(ExplainedRequests {
            first,
            n_all: unsigned(n_all)?,
            n_not_itemised: unsigned(n_not_itemised)?,
            n_lines: unsigned(n_lines)?,
        })
    }

    /// Returns the charges of a request; if `models` are given, those of them.
    fn charges(
        &self,
        request: i64,
        models: Option<&[Option<&str>]>,
    ) -> Result<Vec<ExplainedCharge>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT kind, price.json, unpriced, input, output, cache_write_5m, cache_write_1h, cache_read,
                    web_searches, cost_input, cost_output, cost_cache_write_5m, cost_cache_write_1h,
                    cost_cache_read, cost_web_search, estimated, model
             FROM charge LEFT JOIN price ON price.id = charge.price WHERE request = ?1 ORDER BY part",
        )?;
        let mut rows = statement.query([request])?;
        let mut charges = Vec::new();
        while let Some(row) = rows.next()? {
            let model: String = row.get(16)?;
            if models.is_none_or(|models| models.contains(&Some(model.as_str()))) {
                charges.push(charge(row)?);
            }
        }
        Ok(charges)
    }
}

/// Returns who told of a request, from the columns behind the ninth.
fn told(row: &Row<'_>) -> Result<Option<ToldBy>, LedgerError> {
    let Some(source) = row.get(9)? else { return Ok(None) };
    let reported: Option<i64> = row.get(12)?;
    Ok(Some(ToldBy {
        source,
        requests: unsigned(row.get(10)?)?,
        operation: row.get(11)?,
        cost_reported: reported.map(|pico| Usd::from_pico(pico.into())),
    }))
}

fn charge(row: &Row<'_>) -> Result<ExplainedCharge, LedgerError> {
    let count = |column| -> Result<u64, LedgerError> { unsigned(row.get(column)?) };
    let pico = |column| -> Result<i128, LedgerError> { Ok(row.get::<_, i64>(column)?.into()) };
    let price: Option<String> = row.get(1)?;
    Ok(ExplainedCharge {
        kind: row.get(0)?,
        price: price.map(|json| serde_json::from_str::<Price>(&json)).transpose()?,
        unpriced: row.get(2)?,
        tokens: TokenUsage {
            input: count(3)?,
            output: count(4)?,
            cache_write_5m: count(5)?,
            cache_write_1h: count(6)?,
            cache_read: count(7)?,
        },
        web_search_requests: count(8)?,
        cost: cost_by_kind([pico(9)?, pico(10)?, pico(11)?, pico(12)?, pico(13)?, pico(14)?]),
        estimated: row.get(15)?,
    })
}
