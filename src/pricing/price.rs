//! The price of a request: which rates of a row hold for it, and what tokens cost at them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::Serialize;

use crate::id::ModelId;
use crate::money::MoneyError;
use crate::money::Rate;
use crate::money::Usd;
use crate::pricing::row::Fit;
use crate::pricing::row::PriceSource;
use crate::pricing::row::Rates;
use crate::pricing::row::TokenKind;
use crate::pricing::table::Match;
use crate::pricing::table::PriceTable;
use crate::pricing::table::Reason;
use crate::printable::Printable;
use crate::usage::RequestFacts;
use crate::usage::TokenUsage;

/// Requests that a search price is for.
const SEARCHES_PER_RATE: u64 = 1000;

/// What a request says about its price, beside the model and the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When the request was made; its UTC day decides.
    pub at: Timestamp,
    /// `usage.speed` is `fast`.
    pub fast: bool,
    /// `usage.service_tier` is `batch`.
    pub batch: bool,
    /// `usage.inference_geo` is `us`.
    pub us_inference: bool,
}

impl Terms {
    /// Returns the terms of an ordinary request at `at`.
    pub fn standard(at: Timestamp) -> Self {
        Self { at, fast: false, batch: false, us_inference: false }
    }

    /// Returns the terms that `request` states.
    pub fn of(request: &RequestFacts) -> Self {
        let flags = &request.flags;
        Self {
            at: request.origin.timestamp,
            fast: flags.speed.as_deref() == Some("fast"),
            batch: flags.service_tier.as_deref() == Some("batch"),
            us_inference: flags.inference_geo.as_deref() == Some("us"),
        }
    }
}

/// The price that a charge was made with, whole; the ledger keeps it by the hash of its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Price {
    /// Id of the row.
    pub model: ModelId,
    /// Name of the row.
    pub name: String,
    /// Where the row comes from.
    pub source: PriceSource,
    /// First UTC day on which the row's price is in force; `None` reaches back for ever.
    pub effective_from: Option<Date>,
    /// Token prices, after tier and fast mode were chosen and before [`Price::factor`].
    pub rates: Rates,
    /// Of these, the rates that the file leaves out and that were derived from the input rate.
    pub derived: Vec<TokenKind>,
    /// The long-prompt tier that was chosen: above this many prompt tokens.
    pub tier_above: Option<u64>,
    /// Fast mode's rates were chosen.
    pub fast: bool,
    /// The batch price was chosen.
    pub batch: bool,
    /// The surcharge for inference in the US applies.
    pub us_inference: bool,
    /// What token prices are multiplied by, for batch and US inference; web searches are not.
    pub factor: Decimal,
    /// USD for 1000 web searches.
    pub web_search_per_1000: Rate,
}

impl Price {
    /// Returns what the tokens and searches cost at this price, each component rounded once to a pico-dollar.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`] if a component, or their sum, is too large to record.
    pub fn cost(&self, tokens: &TokenUsage, web_search_requests: u64) -> Result<CostByKind, MoneyError> {
        let cost = |rate: Rate, tokens: u64| rate.cost(tokens, self.factor);
        // A rate is for a million, a search price for a thousand.
        let searches = web_search_requests.saturating_mul(1_000_000 / SEARCHES_PER_RATE);
        let costs = CostByKind {
            input: cost(self.rates.input, tokens.input)?,
            output: cost(self.rates.output, tokens.output)?,
            cache_write_5m: cost(self.rates.cache_write_5m, tokens.cache_write_5m)?,
            cache_write_1h: cost(self.rates.cache_write_1h, tokens.cache_write_1h)?,
            cache_read: cost(self.rates.cache_read, tokens.cache_read)?,
            web_search: self.web_search_per_1000.cost(searches, Decimal::ONE)?,
        };
        match i64::try_from(costs.total().pico()) {
            Ok(_) => Ok(costs),
            Err(_) => Err(MoneyError::Overflow {
                tokens: tokens.prompt().saturating_add(tokens.output),
                rate: self.rates.input.per_million(),
            }),
        }
    }
}

/// What each kind of usage costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct CostByKind {
    /// Prompt tokens outside the cache.
    pub input: Usd,
    /// Tokens of the answer.
    pub output: Usd,
    /// Tokens written to the cache for five minutes.
    pub cache_write_5m: Usd,
    /// Tokens written to the cache for one hour.
    pub cache_write_1h: Usd,
    /// Tokens read from the cache.
    pub cache_read: Usd,
    /// Web searches.
    pub web_search: Usd,
}

impl CostByKind {
    /// Returns the sum of all kinds.
    pub fn total(&self) -> Usd {
        [self.input, self.output, self.cache_write_5m, self.cache_write_1h, self.cache_read, self.web_search]
            .into_iter()
            .sum()
    }
}

/// Why a cost cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// No row of the table is for the model.
    #[error("model `{}` is in no price table; `cmat models add` adds it", Printable(model))]
    UnknownModel {
        /// The id as given.
        model: String,
    },
    /// The cost is too large to record.
    #[error(transparent)]
    TooLarge(#[from] MoneyError),
}

impl PriceTable {
    /// Returns what `tokens` cost at the standard price that was in force at `at`.
    ///
    /// # Errors
    ///
    /// [`CostError`] if no row is for the model, or if the cost is too large to record.
    ///
    /// ```
    /// use cmat::pricing::PriceTable;
    /// use cmat::usage::TokenUsage;
    ///
    /// let tokens = TokenUsage { input: 12_345, output: 3_456, cache_read: 8_901, ..TokenUsage::default() };
    /// let at = "2025-06-01T12:00:00Z".parse()?;
    /// let cost = PriceTable::built_in().calculate_cost("claude-sonnet-4-20250514", &tokens, at)?;
    /// assert_eq!(cost.to_string(), "0.0915453");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn calculate_cost(
        &self,
        model_id: &str,
        tokens: &TokenUsage,
        at: Timestamp,
    ) -> Result<Usd, CostError> {
        let found = self
            .get_by_pattern(model_id)
            .ok_or_else(|| CostError::UnknownModel { model: model_id.to_owned() })?;
        let (price, _) = self.price(&found, &Terms::standard(at), tokens.prompt());
        Ok(price.cost(tokens, 0)?.total())
    }

    /// Returns the price of a request on these terms with a prompt of `prompt_tokens`, and whether it is certain.
    ///
    /// Fast mode is flat over the whole window, so it goes before the long-prompt tiers (the price reference,
    /// rule 5); on a day on which the row has no fast price, the standard one holds.
    pub fn price(&self, found: &Match<'_>, terms: &Terms, prompt_tokens: u64) -> (Price, Fit) {
        let model = found.model;
        let day = terms.at.to_zoned(TimeZone::UTC).date();
        let (dated, fit) = model.prices_on(day);
        let wants_fast = terms.fast || found.fast;
        let fast = dated.fast.iter().find(|fast| wants_fast && fast.days.contain(day));
        let tier = dated
            .tiers
            .iter()
            .find(|tier| prompt_tokens > tier.above_prompt_tokens && tier.days.contain(day));
        let tier = if fast.is_some() { None } else { tier };
        let chosen =
            fast.map(|fast| &fast.prices).or_else(|| tier.map(|tier| &tier.prices)).unwrap_or(&dated.prices);
        let list = self.list_default().latest();
        let batch = terms.batch || found.batch;
        let batch_factor = dated.batch.or(list.batch).filter(|_| batch);
        let us_factor = dated.us_only.filter(|_| terms.us_inference);
        let price = Price {
            model: model.id.clone(),
            name: model.name.clone(),
            source: model.source,
            effective_from: dated.days.from,
            rates: chosen.rates,
            derived: chosen.derived.clone(),
            tier_above: tier.map(|tier| tier.above_prompt_tokens),
            fast: fast.is_some(),
            batch: batch_factor.is_some(),
            us_inference: us_factor.is_some(),
            // Each factor has at most four decimal places and is at most 10: their product is exact.
            factor: (batch_factor.unwrap_or(Decimal::ONE) * us_factor.unwrap_or(Decimal::ONE)).normalize(),
            web_search_per_1000: dated.web_search_per_1000.or(list.web_search_per_1000).unwrap_or_default(),
        };
        let certain = fit == Fit::Certain && found.reason != Reason::Default;
        (price, if certain { Fit::Certain } else { Fit::Estimated })
    }
}
