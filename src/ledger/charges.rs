//! Charges of a request and the price rows they were made with.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::ValueRef;
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
use crate::pricing::Price;
use crate::usage::RequestFacts;
use crate::usage::RequestKey;

/// The columns that a charge is stored with, in the order of [`NumberedCharge::values`].
const COLUMNS: &str =
    "request, part, kind, model, price, unpriced, input, output, cache_write_5m, cache_write_1h,
    cache_read, web_searches, cost, cost_input, cost_output, cost_cache_write_5m, cost_cache_write_1h,
    cost_cache_read, cost_web_search, estimated, dearer";
const N_COLUMNS: usize = 21;

/// Returns a statement that stores `n_rows` charges.
pub(super) fn insert_sql(n_rows: usize) -> String {
    format!("INSERT OR FAIL INTO charge ({COLUMNS}) VALUES {}", requests::places(n_rows, N_COLUMNS))
}

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

/// A charge as a row of the ledger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChargeRow {
    kind: Cow<'static, str>,
    pub(super) model: String,
    /// Number of the price row.
    price: Option<i64>,
    pub(super) unpriced: Option<Cow<'static, str>>,
    /// Input, output, cache writes of five minutes and one hour, cache reads, web searches.
    pub(super) counts: [i64; 6],
    /// Pico-dollars of the same six.
    pub(super) costs: [i64; 6],
    /// Their sum.
    cost: i64,
    /// The same, or what it would cost by the user's own prices where those are dearer.
    dearer: i64,
    pub(super) estimated: bool,
}

/// A charge with the number of its request, and which part of that it is for.
#[derive(Debug)]
pub(super) struct NumberedCharge<'row> {
    request: i64,
    part: i64,
    row: &'row ChargeRow,
}

fn numbered(request: i64, rows: &[ChargeRow]) -> impl Iterator<Item = NumberedCharge<'_>> {
    (0..).zip(rows).map(move |(part, row)| NumberedCharge { request, part, row })
}

impl NumberedCharge<'_> {
    /// Returns the values of the columns that it is stored with.
    pub(super) fn values(&self) -> [ValueRef<'_>; N_COLUMNS] {
        let Self { request, part, row } = self;
        let integer = ValueRef::Integer;
        let [input, output, cache_write_5m, cache_write_1h, cache_read, web_searches] = row.counts;
        let [cost_input, cost_output, cost_write_5m, cost_write_1h, cost_read, cost_search] = row.costs;
        [
            integer(*request),
            integer(*part),
            ValueRef::from(&*row.kind),
            ValueRef::from(&*row.model),
            row.price.map_or(ValueRef::Null, integer),
            ValueRef::from(row.unpriced.as_deref()),
            integer(input),
            integer(output),
            integer(cache_write_5m),
            integer(cache_write_1h),
            integer(cache_read),
            integer(web_searches),
            integer(row.cost),
            integer(cost_input),
            integer(cost_output),
            integer(cost_write_5m),
            integer(cost_write_1h),
            integer(cost_read),
            integer(cost_search),
            integer(i64::from(row.estimated)),
            integer(row.dearer),
        ]
    }
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
        let rows = self.charge_rows(owner, facts, price)?;
        self.insert_charges(&[(request, rows)])
    }

    /// Prices a request anew that is not billed as before; an audit line says so if that changes the price row.
    pub(super) fn stamp_again(
        &mut self,
        request: i64,
        owner: i64,
        facts: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let before = self.stored_charges(request)?;
        let after = self.charge_rows(owner, facts, price)?;
        if !self.replace_charges(request, &before, &after)? {
            return Ok(());
        }
        let prices = |rows: &[ChargeRow]| rows.iter().map(|row| row.price).collect::<Vec<_>>();
        let (before, after) = (prices(&before), prices(&after));
        if before != after {
            let detail =
                serde_json::json!({ "request": request, "price": { "before": before, "after": after } });
            self.audit("restamped", &detail)?;
        }
        Ok(())
    }

    /// Prices a request anew that came to another project, by the prices of that one.
    pub(super) fn stamp_moved(
        &mut self,
        request: i64,
        price: &mut PriceRequest<'_>,
    ) -> Result<(), LedgerError> {
        let stored = requests::get(&self.transaction, request)?;
        self.stamp_again(request, stored.placement.owner, &stored.facts, price)
    }

    /// Prices all requests made at `since` or later again, and writes to the audit what that changes.
    pub fn reprice(
        &mut self,
        since: Option<Timestamp>,
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
                repriced.n_requests += u64::from(!matches!(stored.facts.key, RequestKey::Remainder(_)));
                self.reprice_one(stored, price, &mut repriced)?;
            }
        }
        repriced.n_tasks = self.touched.len() as u64;
        if !repriced.models.is_empty() {
            self.audit("repriced", &repriced)?;
        }
        Ok(repriced)
    }

    fn reprice_one(
        &mut self,
        stored: &StoredRequest,
        price: &mut PriceRequest<'_>,
        repriced: &mut Repriced,
    ) -> Result<(), LedgerError> {
        let before = self.stored_charges(stored.id)?;
        let after = self.charge_rows(stored.placement.owner, &stored.facts, price)?;
        if self.replace_charges(stored.id, &before, &after)? {
            let cost = |rows: &[ChargeRow]| rows.iter().map(|row| Usd::from_pico(row.cost.into())).sum();
            let of_model = repriced.models.entry(stored.facts.flags.model.clone()).or_default();
            of_model.requests += 1;
            of_model.before += cost(&before);
            of_model.after += cost(&after);
        }
        Ok(())
    }

    /// Returns the charges of a request of `owner` at the prices that are in force; none of what only was told, where
    /// the transcript tells it too.
    pub(super) fn charge_rows(
        &mut self,
        owner: i64,
        facts: &RequestFacts,
        price: &mut PriceRequest<'_>,
    ) -> Result<Vec<ChargeRow>, LedgerError> {
        if matches!(facts.key, RequestKey::Record(_)) && self.is_in_transcript(owner)? {
            return Ok(Vec::new());
        }
        let charges = price(self.owner(owner)?.project_path.as_deref(), facts);
        charges.iter().map(|charge| self.charge_row(charge)).collect()
    }

    fn charge_row(&mut self, charge: &Charge) -> Result<ChargeRow, LedgerError> {
        let price = charge.price.as_ref().map(|price| self.price_row(price)).transpose()?;
        let model = charge.price.as_ref().map_or(&charge.model, |price| &price.model);
        let tokens = &charge.tokens;
        let cost = charge.cost.unwrap_or_default();
        Ok(ChargeRow {
            kind: Cow::Borrowed(charge.kind.as_str()),
            model: model.as_str().to_owned(),
            price,
            unpriced: charge.unpriced.map(|why| Cow::Borrowed(why.as_str())),
            counts: [
                signed(tokens.input)?,
                signed(tokens.output)?,
                signed(tokens.cache_write_5m)?,
                signed(tokens.cache_write_1h)?,
                signed(tokens.cache_read)?,
                signed(charge.web_search_requests)?,
            ],
            costs: [
                pico(cost.input)?,
                pico(cost.output)?,
                pico(cost.cache_write_5m)?,
                pico(cost.cache_write_1h)?,
                pico(cost.cache_read)?,
                pico(cost.web_search)?,
            ],
            cost: pico(cost.total())?,
            dearer: pico(charge.dearer.unwrap_or(cost.total()))?,
            estimated: charge.estimated,
        })
    }

    fn stored_charges(&self, request: i64) -> Result<Vec<ChargeRow>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT kind, model, price, unpriced, estimated, input, output, cache_write_5m, cache_write_1h,
                    cache_read, web_searches, cost_input, cost_output, cost_cache_write_5m,
                    cost_cache_write_1h, cost_cache_read, cost_web_search, cost, dearer
             FROM charge WHERE request = ?1 ORDER BY part",
        )?;
        let mut rows = statement.query([request])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut amounts = [0; 14];
            for (column, amount) in (5..).zip(&mut amounts) {
                *amount = row.get(column)?;
            }
            let [counts @ .., _, _, _, _, _, _, _, _] = amounts;
            let [_, _, _, _, _, _, costs @ .., cost, dearer] = amounts;
            found.push(ChargeRow {
                kind: Cow::Owned(row.get(0)?),
                model: row.get(1)?,
                price: row.get(2)?,
                unpriced: row.get::<_, Option<String>>(3)?.map(Cow::Owned),
                counts,
                costs,
                cost,
                dearer,
                estimated: row.get(4)?,
            });
        }
        Ok(found)
    }

    /// Stores `after` in place of `before` and marks the request's task; returns false if they are the same.
    fn replace_charges(
        &mut self,
        request: i64,
        before: &[ChargeRow],
        after: &[ChargeRow],
    ) -> Result<bool, LedgerError> {
        if before == after {
            return Ok(false);
        }
        self.transaction.prepare_cached("DELETE FROM charge WHERE request = ?1")?.execute([request])?;
        self.store_charges(&numbered(request, after).collect::<Vec<_>>())?;
        self.touch_task_of(request)?;
        Ok(true)
    }

    /// Stores the charges of requests that have none.
    pub(super) fn insert_charges(&mut self, charges: &[(i64, Vec<ChargeRow>)]) -> Result<(), LedgerError> {
        let numbered: Vec<_> = charges.iter().flat_map(|(request, rows)| numbered(*request, rows)).collect();
        self.store_charges(&numbered)
    }

    fn store_charges(&mut self, charges: &[NumberedCharge<'_>]) -> Result<(), LedgerError> {
        self.statements()?.insert_charges(charges)
    }

    /// Returns the number of a price row; it is there from now on.
    fn price_row(&mut self, price: &Price) -> Result<i64, LedgerError> {
        if let Some((_, row)) = self.price_rows.iter().find(|(known, _)| known == price) {
            return Ok(*row);
        }
        let json = serde_json::to_string(price)?;
        let hash = Sha256::digest(&json);
        self.transaction
            .prepare_cached("INSERT INTO price (hash, json) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![hash.as_slice(), json])?;
        let row = self
            .transaction
            .prepare_cached("SELECT id FROM price WHERE hash = ?1")?
            .query_row([hash.as_slice()], |row| row.get(0))?;
        self.price_rows.push((price.clone(), row));
        Ok(row)
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
