//! One row of a price table: a model, how its ids look, and its prices over time.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::Serialize;

use crate::id::ModelId;
use crate::money::Rate;
use crate::pricing::pattern::Pattern;

/// Where a row of a price table comes from; the order is the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// The project's `.claude/data/models.json`.
    Project,
    /// The user's own `models.json`.
    User,
    /// The list prices that cmat ships with.
    BuiltIn,
}

/// A kind of token that has a price of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Prompt tokens outside the cache.
    Input,
    /// Tokens of the answer.
    Output,
    /// Tokens written to the cache for five minutes.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Tokens written to the cache for one hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Tokens read from the cache.
    CacheRead,
}

impl TokenKind {
    /// All kinds, in the order of a price list.
    pub const ALL: [Self; 5] =
        [Self::Input, Self::Output, Self::CacheWrite5m, Self::CacheWrite1h, Self::CacheRead];

    /// Returns the kind as people read it: `cache write 5m`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheWrite5m => "cache write 5m",
            Self::CacheWrite1h => "cache write 1h",
            Self::CacheRead => "cache read",
        }
    }
}

/// The five token prices, in USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Prompt tokens outside the cache.
    pub input: Rate,
    /// Tokens of the answer.
    pub output: Rate,
    /// Tokens written to the cache for five minutes.
    pub cache_write_5m: Rate,
    /// Tokens written to the cache for one hour.
    pub cache_write_1h: Rate,
    /// Tokens read from the cache.
    pub cache_read: Rate,
}

impl Rates {
    /// Returns the rate for `kind`.
    pub fn of(&self, kind: TokenKind) -> Rate {
        match kind {
            TokenKind::Input => self.input,
            TokenKind::Output => self.output,
            TokenKind::CacheWrite5m => self.cache_write_5m,
            TokenKind::CacheWrite1h => self.cache_write_1h,
            TokenKind::CacheRead => self.cache_read,
        }
    }
}

/// The UTC days on which a price is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Days {
    /// `effective_from`: the first day; `None` reaches back for ever.
    pub from: Option<Date>,
    /// `effective_until`: the first day after; `None` is open.
    pub until: Option<Date>,
}

impl Days {
    /// Returns whether `day` is one of these days.
    pub fn contain(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day < until)
    }
}

/// Five rates, and which of them the file does not state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedRates {
    /// The rates, none missing.
    pub rates: Rates,
    /// The rates that were derived from the input rate, because the file leaves them out.
    pub derived: Vec<TokenKind>,
}

/// Other prices for the whole of a request whose prompt is long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// A prompt of more tokens than this pays the tier: input, cache reads and cache writes together.
    pub above_prompt_tokens: u64,
    /// When the tier is in force.
    pub days: Days,
    /// Its prices.
    pub prices: StatedRates,
}

/// Prices of fast mode, flat over the whole window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastPrices {
    /// When fast mode is offered.
    pub days: Days,
    /// Its prices.
    pub prices: StatedRates,
}

/// Prices of a model and the days on which they are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedPrices {
    /// When these prices are in force.
    pub days: Days,
    /// Standard prices.
    pub prices: StatedRates,
    /// Prices of long prompts, the highest threshold first.
    pub tiers: Vec<Tier>,
    /// Prices of fast mode.
    pub fast: Vec<FastPrices>,
    /// What a batch multiplies token prices by; `None`: as the built-in default model.
    pub batch: Option<Decimal>,
    /// What inference in the US multiplies token prices by; `None`: nothing.
    pub us_only: Option<Decimal>,
    /// USD for 1000 web searches; `None`: as the built-in default model.
    pub web_search_per_1000: Option<Rate>,
}

/// One row of `models.json`.
#[derive(Debug, Clone)]
pub struct Model {
    /// The row's id: `id` of a list, the key of an object.
    pub id: ModelId,
    /// Other ids that mean this row exactly: `api_id`, `aliases`.
    pub aliases: Vec<String>,
    /// `name`, else the id.
    pub name: String,
    /// `description`, maybe empty.
    pub description: String,
    /// `pattern`; a row without one is found by its id only.
    pub pattern: Option<Pattern>,
    /// `max_tokens`: longest answer.
    pub max_tokens: Option<u64>,
    /// The row is the default of its file.
    pub is_default: bool,
    /// Where the row comes from.
    pub source: PriceSource,
    /// Prices, the earliest first; never empty.
    pub(super) prices: Vec<DatedPrices>,
}

impl Model {
    /// Returns all its prices, the earliest first; never empty.
    pub fn history(&self) -> &[DatedPrices] {
        &self.prices
    }

    /// Returns the prices in force on `day`, and whether they are certain.
    ///
    /// A day that no prices cover (before the first, or in a gap) takes the nearest ones before it, else the
    /// first: an [`Fit::Estimated`] price.
    pub fn prices_on(&self, day: Date) -> (&DatedPrices, Fit) {
        if let Some(prices) = self.prices.iter().rev().find(|prices| prices.days.contain(day)) {
            return (prices, Fit::Certain);
        }
        let before = |prices: &&DatedPrices| prices.days.from.is_none_or(|from| from <= day);
        (self.prices.iter().rev().find(before).unwrap_or(&self.prices[0]), Fit::Estimated)
    }

    /// Returns the prices that come last: those that hold until somebody says otherwise.
    pub fn latest(&self) -> &DatedPrices {
        &self.prices[self.prices.len() - 1]
    }
}

/// Whether a price is the one that was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It was in force.
    Certain,
    /// Nothing better is known.
    Estimated,
}
