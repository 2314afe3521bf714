//! The prices that charges were made with, beside the list prices of their days.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::export::PriceId;
use crate::export::Row;
use crate::ledger::rows::ChargedRequest;
use crate::money::Rate;
use crate::money::Usd;
use crate::pricing::Price;
use crate::pricing::PriceSource;
use crate::pricing::PriceTable;
use crate::pricing::Terms;

/// How many hexadecimal digits of its hash name a price.
const HASH_BYTES: usize = 8;

/// A price, and the list price of a day.
struct Known {
    id: PriceId,
    /// The list price is the price.
    is_list: bool,
}

/// The prices of the ledger.
pub(super) struct Rates {
    stored: HashMap<i64, (Vec<u8>, Price)>,
    /// By number; also by day, where the price is not the list's own and does not tell what the list said.
    known: HashMap<(i64, Option<Date>), Known>,
}

impl Rates {
    pub(super) fn new(stored: HashMap<i64, (Vec<u8>, Price)>) -> Self {
        Self { stored, known: HashMap::new() }
    }

    /// Gives a row its price and what it costs at list price.
    pub(super) fn price<'a>(&'a mut self, charge: &ChargedRequest<'_>, row: &mut Row<'a>) {
        row.list_cost = row.cost.total();
        let Some(number) = charge.price else { return };
        let Some((hash, price)) = self.stored.get(&number) else { return };
        let is_own = price.source == PriceSource::BuiltIn && !price.batch;
        let day = (!is_own).then(|| charge.at.to_zoned(TimeZone::UTC).date());
        let known = self.known.entry((number, day)).or_insert_with(|| Known::new(hash, price, charge.at));
        if !known.is_list {
            row.list_cost = list_cost(&known.id, row).unwrap_or(row.list_cost);
        }
        row.price = Some(&known.id);
    }
}

impl Known {
    fn new(hash: &[u8], price: &Price, at: Timestamp) -> Self {
        let rates = rates(price);
        let list = listed(price, at);
        let (list_rates, list_search) = match &list {
            Some(list) => (self::rates(list), list.web_search_per_1000.per_million()),
            None => (rates, price.web_search_per_1000.per_million()),
        };
        let search = price.web_search_per_1000.per_million();
        let id = PriceId {
            hash: hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect(),
            rates,
            web_search_per_1000: search,
            list_rates,
            list_web_search_per_1000: list_search,
            terms: terms(price),
        };
        Self { is_list: rates == list_rates && search == list_search, id }
    }
}

/// Returns the built-in price on the same terms, a batch's discount excepted; `None` if that is the price itself.
fn listed(price: &Price, at: Timestamp) -> Option<Price> {
    if price.source == PriceSource::BuiltIn && !price.batch {
        return None;
    }
    let table = PriceTable::built_in();
    let mut found = table.get_by_pattern(price.model.as_str())?;
    found.batch = false;
    let terms = Terms { at, fast: price.fast, batch: false, us_inference: price.us_inference };
    let prompt = price.tier_above.map_or(0, |above| above.saturating_add(1));
    Some(table.price(&found, &terms, prompt).0)
}

/// Returns USD per million tokens of each kind, with all factors.
fn rates(price: &Price) -> [Decimal; 5] {
    let rates = &price.rates;
    [rates.input, rates.output, rates.cache_write_5m, rates.cache_write_1h, rates.cache_read]
        .map(|rate| (rate.per_million() * price.factor).normalize())
}

fn terms(price: &Price) -> String {
    let terms = [
        (price.batch, "batch"),
        (price.fast, "fast"),
        (price.us_inference, "us"),
        (price.tier_above.is_some(), "long-prompt"),
    ];
    let terms: Vec<&str> = terms.into_iter().filter(|(holds, _)| *holds).map(|(_, term)| term).collect();
    if terms.is_empty() { "standard".to_owned() } else { terms.join("-") }
}

/// Returns what a row costs at list price; `None` if that cannot be computed exactly.
fn list_cost(id: &PriceId, row: &Row<'_>) -> Option<Usd> {
    let tokens = &row.tokens;
    let counts =
        [tokens.input, tokens.output, tokens.cache_write_5m, tokens.cache_write_1h, tokens.cache_read];
    let mut cost = Rate::new(id.list_web_search_per_1000)
        .ok()?
        .cost(row.web_search_requests.checked_mul(1000)?, Decimal::ONE)
        .ok()?;
    for (count, rate) in counts.into_iter().zip(id.list_rates) {
        cost += Rate::new(rate).ok()?.cost(count, Decimal::ONE).ok()?;
    }
    Some(cost)
}
