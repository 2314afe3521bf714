//! Charges of a request and the price rows they were made with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use rusqlite::params;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::id::ModelId;
use crate::ledger::LedgerError;
use crate::ledger::millis;
use crate::ledger::recording::PriceRequest;
use crate::ledger::recording::Recording;
use crate::ledger::requests;
use crate::ledger::requests::StoredRequest;
use crate::ledger::signed;
use crate::money::Usd;
use crate::pricing::Charge;
use crate::pricing::CostByKind;
use crate::pricing::Unpriced;
use crate::usage::RequestFacts;

/// What a reprice changes for the requests of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepricedModel {
    /// Requests whose charges change.
    pub requests: u64,
    /// Their cost before.
    pub before: Usd,
    /// Their cost after.
    pub after: Usd,
}

/// What a reprice changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repriced {
    /// Requests that were priced again, changed or not.
    pub n_requests: u64,
    /// By the model that a charge was made for.
    pub models: BTreeMap<ModelId, RepricedModel>,
    /// Tasks whose cost changes.
    pub n_tasks: u64,
}

impl Recording<'_> {
    /// Prices a new request and stores its charges.
    pub(super) fn stamp(
        &mut self,
        request: i64,
        owner: i64,
        facts: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let charges = price(self.owner(owner)?.project_path.as_deref(), facts);
        self.insert_charges(request, &charges)
    }

    /// Prices a request whose tokens grew; an audit line says so if that changes the price row.
    pub(super) fn stamp_again(
        &mut self,
        stored: &StoredRequest,
        facts: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let Some(owner) = stored.owner else { return Ok(()) };
        let before = self.price_rows(stored.id)?;
        self.delete_charges(stored.id)?;
        self.stamp(stored.id, owner, facts, price)?;
        let after = self.price_rows(stored.id)?;
        if !before.is_empty() && before != after {
            let detail =
                serde_json::json!({ "request": stored.id, "price": { "before": before, "after": after } });
            self.audit(facts.origin.timestamp, "restamped", &detail)?;
        }
        Ok(())
    }

    /// Prices all requests made at `since` or later again, and writes to the audit what that changes.
    pub fn reprice(
        &mut self,
        since: Option<Timestamp>,
        now: Timestamp,
        price: &mut PriceRequest<'_>,
    ) -> Result<Repriced, LedgerError> {
        let mut repriced = Repriced::default();
        let since = since.map_or(i64::MIN, millis);
        let mut after_id = i64::MIN;
        loop {
            let batch = requests::page(&self.transaction, since, after_id)?;
            let Some(last) = batch.last() else { break };
            after_id = last.id;
            for stored in &batch {
                repriced.n_requests += 1;
                if self.reprice_one(stored, price, &mut repriced)? {
                    self.touch_task_of(stored.id)?;
                }
            }
        }
        repriced.n_tasks = self.touched.len() as u64;
        if !repriced.models.is_empty() {
            self.audit(now, "repriced", &repriced)?;
        }
        Ok(repriced)
    }

    fn reprice_one(
        &mut self,
        stored: &StoredRequest,
        price: &mut PriceRequest<'_>,
        repriced: &mut Repriced,
    ) -> Result<bool, LedgerError> {
        let Some(owner) = stored.owner else { return Ok(false) };
        let before = self.stored_costs(stored.id)?;
        let rows_before = self.price_rows(stored.id)?;
        let charges = price(self.owner(owner)?.project_path.as_deref(), &stored.facts);
        self.delete_charges(stored.id)?;
        self.insert_charges(stored.id, &charges)?;
        let after = self.stored_costs(stored.id)?;
        if before == after && rows_before == self.price_rows(stored.id)? {
            return Ok(false);
        }
        let entry = repriced.models.entry(stored.facts.flags.model.clone()).or_default();
        entry.requests += 1;
        entry.before += before;
        entry.after += after;
        Ok(true)
    }

    fn stored_costs(&self, request: i64) -> Result<Usd, LedgerError> {
        let mut statement = self.transaction.prepare_cached("SELECT cost FROM charge WHERE request = ?1")?;
        let costs = statement.query_map([request], |row| row.get::<_, i64>(0))?;
        let mut total = Usd::ZERO;
        for cost in costs {
            total += Usd::from_pico(cost?.into());
        }
        Ok(total)
    }

    fn price_rows(&self, request: i64) -> Result<Vec<Option<i64>>, LedgerError> {
        let mut statement =
            self.transaction.prepare_cached("SELECT price FROM charge WHERE request = ?1 ORDER BY part")?;
        let rows = statement.query_map([request], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    fn delete_charges(&self, request: i64) -> Result<(), LedgerError> {
        self.transaction.prepare_cached("DELETE FROM charge WHERE request = ?1")?.execute([request])?;
        Ok(())
    }

    fn insert_charges(&mut self, request: i64, charges: &[Charge]) -> Result<(), LedgerError> {
        for (part, charge) in (0_i64..).zip(charges) {
            let price = match &charge.price {
                Some(price) => Some(self.price_row(&serde_json::to_string(price)?)?),
                None => None,
            };
            let cost = charge.cost.unwrap_or_default();
            let model = charge.price.as_ref().map_or(&charge.model, |price| &price.model);
            self.transaction
                .prepare_cached(
                    "INSERT INTO charge (request, part, kind, model, price, unpriced, input, output, cache_write_5m,
                         cache_write_1h, cache_read, web_searches, cost, cost_input, cost_output,
                         cost_cache_write_5m, cost_cache_write_1h, cost_cache_read, cost_web_search, estimated)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                         ?19, ?20)",
                )?
                .execute(params![
                    request,
                    part,
                    charge.kind.as_str(),
                    model.as_str(),
                    price,
                    charge.unpriced.map(Unpriced::as_str),
                    signed(charge.tokens.input)?,
                    signed(charge.tokens.output)?,
                    signed(charge.tokens.cache_write_5m)?,
                    signed(charge.tokens.cache_write_1h)?,
                    signed(charge.tokens.cache_read)?,
                    signed(charge.web_search_requests)?,
                    pico(cost.total())?,
                    pico(cost.input)?,
                    pico(cost.output)?,
                    pico(cost.cache_write_5m)?,
                    pico(cost.cache_write_1h)?,
                    pico(cost.cache_read)?,
                    pico(cost.web_search)?,
                    charge.estimated,
                ])?;
        }
        Ok(())
    }

    fn price_row(&self, json: &str) -> Result<i64, LedgerError> {
        let hash = Sha256::digest(json.as_bytes());
        let known: Option<i64> = self
            .transaction
            .prepare_cached("SELECT id FROM price WHERE hash = ?1")?
            .query_row([hash.as_slice()], |row| row.get(0))
            .optional()?;
        if let Some(row) = known {
            return Ok(row);
        }
        self.transaction
            .execute("INSERT INTO price (hash, json) VALUES (?1, ?2)", params![hash.as_slice(), json])?;
        Ok(self.transaction.last_insert_rowid())
    }
}

fn pico(amount: Usd) -> Result<i64, LedgerError> {
    i64::try_from(amount.pico()).map_err(|_| LedgerError::Corrupt { what: format!("amount {amount}") })
}

/// Costs by kind as a row of the ledger holds them.
pub(super) fn cost_by_kind(columns: [i128; 6]) -> CostByKind {
    let [input, output, cache_write_5m, cache_write_1h, cache_read, web_search] = columns.map(Usd::from_pico);
    CostByKind { input, output, cache_write_5m, cache_write_1h, cache_read, web_search }
}
