//! Reads the text of a models.json: list form and object form, with the optional keys.
//!
//! A row that cannot be used is left out with a warning that says which, why and what to write; only a text that
//! is no table at all is an error. Numbers are decimals read from their text, never through a binary float.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::Map;
use serde_json::Value;

use crate::id::IdError;
use crate::id::ModelId;
use crate::money::MoneyError;
use crate::money::Rate;
use crate::pricing::pattern::Pattern;
use crate::pricing::pattern::PatternError;
use crate::pricing::pattern::PatternKind;
use crate::pricing::row::DatedPrices;
use crate::pricing::row::Days;
use crate::pricing::row::FastPrices;
use crate::pricing::row::Model;
use crate::pricing::row::PriceSource;
use crate::pricing::row::Rates;
use crate::pricing::row::StatedRates;
use crate::pricing::row::Tier;
use crate::pricing::row::TokenKind;

/// Longest models.json that is read, in bytes.
pub const MAX_TABLE_BYTES: usize = 1 << 20;

/// Why a text is no price table.
#[derive(Debug, thiserror::Error)]
pub enum PricingError {
    /// The text is longer than 1 MiB.
    #[error("price table `{origin}` has {bytes} bytes, at most {MAX_TABLE_BYTES} are read")]
    TooLarge {
        /// The file.
        origin: String,
        /// Its length.
        bytes: usize,
    },
    /// The text is not JSON.
    #[error("price table `{origin}` is not JSON at line {line}, column {column}")]
    NotJson {
        /// The file.
        origin: String,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The JSON has no `models`, or they are neither a list nor an object.
    #[error("price table `{origin}` has no `models`: a list of rows, or an object of rows by id")]
    NoModels {
        /// The file.
        origin: String,
    },
}

/// Why a row is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// The row is not an object.
    #[error("it is not an object")]
    NotAnObject,
    /// The id is unusable.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A key is missing.
    #[error("`{key}` is missing")]
    Missing {
        /// The key, with its place.
        key: String,
    },
    /// A value is of the wrong kind.
    #[error("`{key}` is {found}; write {wanted}")]
    Wrong {
        /// The key, with its place.
        key: String,
        /// The value as found, shortened.
        found: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// A price is out of range.
    #[error("`{key}` cannot be used: {fault}")]
    Price {
        /// The key, with its place.
        key: String,
        /// Why.
        fault: MoneyError,
    },
    /// The pattern is unusable.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// Something in a price table that is not used as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A row is left out.
    #[error("`{origin}`: {row} is left out, because {fault}")]
    RowLeftOut {
        /// The file.
        origin: String,
        /// Which row: its number and its id.
        row: String,
        /// Why.
        fault: RowFault,
    },
    /// Two rows have the same id.
    #[error("`{origin}`: {row} repeats an id; the first row with it holds")]
    Repeated {
        /// The file.
        origin: String,
        /// Which row: its number and its id.
        row: String,
    },
    /// Two rows say that they are the default.
    #[error("`{origin}`: {row} is marked `is_default` too; `{kept}` stays the default")]
    SecondDefault {
        /// The file.
        origin: String,
        /// Which row: its number and its id.
        row: String,
        /// The default that holds.
        kept: String,
    },
    /// `default_model` names no row.
    #[error("`{origin}`: `default_model` is {found}, which no price table has")]
    NoSuchDefault {
        /// The file.
        origin: String,
        /// The value as found.
        found: String,
    },
}

/// A models.json as read.
#[derive(Debug)]
pub(super) struct ParsedTable {
    pub(super) models: Vec<Model>,
    /// `default_model`, of which only the whole table knows whether it exists.
    pub(super) default_model: Option<String>,
    pub(super) warnings: Vec<Warning>,
}

/// Reads `json`; `origin` is the file's path, for errors and warnings.
pub(super) fn parse(source: PriceSource, origin: &str, json: &str) -> Result<ParsedTable, PricingError> {
    if json.len() > MAX_TABLE_BYTES {
        return Err(PricingError::TooLarge { origin: origin.to_owned(), bytes: json.len() });
    }
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let mut document: Value = serde_json::from_str(json).map_err(|error| PricingError::NotJson {
        origin: origin.to_owned(),
        line: error.line(),
        column: error.column(),
        source: error,
    })?;
    let rows: Vec<(Option<String>, Value)> = match document.get_mut("models").map(Value::take) {
        Some(Value::Array(rows)) => rows.into_iter().map(|row| (None, row)).collect(),
        Some(Value::Object(rows)) => rows.into_iter().map(|(id, row)| (Some(id), row)).collect(),
        _ => return Err(PricingError::NoModels { origin: origin.to_owned() }),
    };
    let mut table = ParsedTable {
        models: Vec::with_capacity(rows.len()),
        default_model: document.get("default_model").and_then(Value::as_str).map(str::to_owned),
        warnings: Vec::new(),
    };
    for (n, (id, row)) in rows.iter().enumerate() {
        table.add(source, origin, n + 1, id.as_deref(), row);
    }
    Ok(table)
}

impl ParsedTable {
    fn add(&mut self, source: PriceSource, origin: &str, number: usize, key: Option<&str>, row: &Value) {
        let id = key.or_else(|| row.get("id").and_then(Value::as_str)).unwrap_or("without an id");
        let (origin, row_name) = (origin.to_owned(), format!("row {number} `{id}`"));
        let mut model = match model(source, key, row) {
            Ok(model) => model,
            Err(fault) => {
                return self.warnings.push(Warning::RowLeftOut { origin, row: row_name, fault });
            }
        };
        if self.models.iter().any(|earlier| earlier.id == model.id) {
            return self.warnings.push(Warning::Repeated { origin, row: row_name });
        }
        if let Some(kept) = self.models.iter().find(|earlier| earlier.is_default && model.is_default) {
            let kept = kept.id.as_str().to_owned();
            self.warnings.push(Warning::SecondDefault { origin, row: row_name, kept });
            model.is_default = false;
        }
        self.models.push(model);
    }
}

fn model(source: PriceSource, key: Option<&str>, row: &Value) -> Result<Model, RowFault> {
    let row = Fields { fields: row.as_object().ok_or(RowFault::NotAnObject)?, place: "" };
    let id = match key {
        Some(key) => key,
        None => row.text("id")?.ok_or_else(|| row.missing("id"))?,
    };
    let id = ModelId::new(id)?;
    let otherwise = if key.is_some() { PatternKind::Glob } else { PatternKind::Regex };
    let pattern = match row.text("pattern")? {
        Some(text) => Some(Pattern::new(text, row.text("pattern_type")?, otherwise)?),
        None => None,
    };
    // The built-in patterns are ours and compile when needed; a stranger's is tried at once, to say so.
    if let (Some(pattern), PriceSource::Project | PriceSource::User) = (&pattern, source) {
        pattern.compile()?;
    }
    let mut aliases = row.texts("aliases")?;
    aliases.extend(row.text("api_id")?.map(str::to_owned));
    Ok(Model {
        name: row.text("name")?.map_or_else(|| id.as_str().to_owned(), str::to_owned),
        description: row.text("description")?.unwrap_or_default().to_owned(),
        pattern,
        max_tokens: row.count("max_tokens")?,
        is_default: row.fields.get("is_default") == Some(&Value::Bool(true)),
        source,
        prices: prices(&row)?,
        aliases,
        id,
    })
}

/// Reads `pricing` and the dated list `prices`, the earliest first; of two for the same day, the later one holds.
fn prices(row: &Fields<'_>) -> Result<Vec<DatedPrices>, RowFault> {
    let pricing = row.object("pricing", "pricing.")?;
    let listed = match (row.list("prices", "prices[].")?, &pricing) {
        (listed, _) if !listed.is_empty() => listed,
        (_, Some(pricing)) => pricing.list("prices", "pricing.prices[].")?,
        (listed, None) => listed,
    };
    let unit = pricing.as_ref().map_or(Ok(Decimal::ONE), unit)?;
    let mut prices = Vec::with_capacity(listed.len() + 1);
    for entry in &listed {
        prices.push(dated(entry, pricing.as_ref(), unit)?);
    }
    match &pricing {
        Some(pricing) if listed.is_empty() || pricing.fields.contains_key("input") => {
            prices.push(dated(pricing, None, unit)?);
        }
        None if listed.is_empty() => return Err(row.missing("pricing")),
        _ => {}
    }
    prices.sort_by_key(|prices: &DatedPrices| prices.days.from);
    Ok(prices)
}

/// Returns what a stated price is multiplied by to be USD per million tokens: `per_tokens` of the object form.
fn unit(pricing: &Fields<'_>) -> Result<Decimal, RowFault> {
    match pricing.text("currency")? {
        None | Some("USD" | "usd") => {}
        Some(_) => return Err(pricing.wrong("currency", "USD, the only one that cmat computes with")),
    }
    match pricing.count("per_tokens")? {
        None => Ok(Decimal::ONE),
        Some(tokens @ (1 | 1_000 | 1_000_000)) => Ok(Decimal::from(1_000_000 / tokens)),
        Some(_) => Err(pricing.wrong("per_tokens", "1000000, 1000 or 1")),
    }
}

/// Reads one set of prices; tiers, modifiers and server tools that it leaves out are those of `shared`.
fn dated(entry: &Fields<'_>, shared: Option<&Fields<'_>>, unit: Decimal) -> Result<DatedPrices, RowFault> {
    let holder = |key: &str| match shared {
        Some(shared) if !entry.fields.contains_key(key) => shared,
        _ => entry,
    };
    let prices = entry.standard_rates(unit)?;
    let mut tiers = Vec::new();
    for tier in holder("tiers").list("tiers", "tiers[].")? {
        tiers.push(Tier {
            above_prompt_tokens: tier
                .count("above_prompt_tokens")?
                .ok_or_else(|| tier.missing("above_prompt_tokens"))?,
            days: tier.days()?,
            prices: tier.scaled_rates(unit, &prices)?,
        });
    }
    tiers.sort_by_key(|tier| std::cmp::Reverse(tier.above_prompt_tokens));
    let mut fast = Vec::new();
    let modifiers = holder("modifiers").object("modifiers", "modifiers.")?;
    if let Some(modifiers) = &modifiers {
        for window in modifiers.list_or_one("fast", "modifiers.fast.")? {
            fast.push(FastPrices { days: window.days()?, prices: window.scaled_rates(unit, &prices)? });
        }
    }
    let factor = |key| modifiers.as_ref().map_or(Ok(None), |modifiers| modifiers.factor(key));
    let tools = holder("server_tools").object("server_tools", "server_tools.")?;
    Ok(DatedPrices {
        days: entry.days()?,
        tiers,
        fast,
        batch: factor("batch")?,
        us_only: factor("us_only")?,
        web_search_per_1000: tools.map_or(Ok(None), |tools| tools.rate("web_search_per_1k", Decimal::ONE))?,
        prices,
    })
}

/// The fields of a JSON object, and where it stands in its row.
struct Fields<'json> {
    fields: &'json Map<String, Value>,
    place: &'static str,
}

impl<'json> Fields<'json> {
    fn missing(&self, key: &str) -> RowFault {
        RowFault::Missing { key: format!("{}{key}", self.place) }
    }

    fn wrong(&self, key: &str, wanted: &'static str) -> RowFault {
        let found = self.fields.get(key).unwrap_or(&Value::Null).to_string();
        RowFault::Wrong { key: format!("{}{key}", self.place), found: shortened(&found), wanted }
    }

    /// Returns the value of `key`; `null` counts as not there.
    fn value(&self, key: &str) -> Option<&'json Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&'json str>, RowFault> {
        let wrong = || self.wrong(key, "a text");
        self.value(key).map(|value| value.as_str().ok_or_else(wrong)).transpose()
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, RowFault> {
        let wrong = || self.wrong(key, "a list of texts");
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let texts = value.as_array().ok_or_else(wrong)?;
        texts.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    fn count(&self, key: &str) -> Result<Option<u64>, RowFault> {
        let wrong = || self.wrong(key, "a whole number");
        self.value(key).map(|value| value.as_u64().ok_or_else(wrong)).transpose()
    }

    fn object(&self, key: &str, place: &'static str) -> Result<Option<Fields<'json>>, RowFault> {
        let wrong = || self.wrong(key, "an object");
        self.value(key)
            .map(|value| Ok(Fields { fields: value.as_object().ok_or_else(wrong)?, place }))
            .transpose()
    }

    fn list(&self, key: &str, place: &'static str) -> Result<Vec<Fields<'json>>, RowFault> {
        match self.value(key) {
            Some(Value::Object(_)) => Err(self.wrong(key, "a list of objects")),
            _ => self.list_or_one(key, place),
        }
    }

    fn list_or_one(&self, key: &str, place: &'static str) -> Result<Vec<Fields<'json>>, RowFault> {
        let wrong = || self.wrong(key, "objects");
        let entries = match self.value(key) {
            None => &[],
            Some(Value::Array(entries)) => entries.as_slice(),
            Some(entry) => std::slice::from_ref(entry),
        };
        let fields = |entry: &'json Value| Ok(Fields { fields: entry.as_object().ok_or_else(wrong)?, place });
        entries.iter().map(fields).collect()
    }

    fn decimal(&self, key: &str) -> Result<Option<Decimal>, RowFault> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let Value::Number(number) = value else {
            return Err(self.wrong(key, "a number, without quotes"));
        };
        let text = number.to_string();
        let parsed = if text.contains(['e', 'E']) {
            Decimal::from_scientific(&text)
        } else {
            Decimal::from_str_exact(&text)
        };
        parsed.map(Some).map_err(|_| self.wrong(key, "a number of at most 12 decimal places"))
    }

    fn rate(&self, key: &str, unit: Decimal) -> Result<Option<Rate>, RowFault> {
        let Some(price) = self.decimal(key)? else { return Ok(None) };
        let fault = |fault| RowFault::Price { key: format!("{}{key}", self.place), fault };
        let price = price.checked_mul(unit).ok_or_else(|| fault(MoneyError::TooHigh { price }))?;
        Rate::new(price).map(Some).map_err(fault)
    }

    /// Reads a multiplier: above 0, at most 10, with at most four decimal places.
    fn factor(&self, key: &str) -> Result<Option<Decimal>, RowFault> {
        let factor = self.decimal(key)?.map(|factor| factor.normalize());
        match factor {
            Some(factor) if factor <= Decimal::ZERO || factor > Decimal::TEN || factor.scale() > 4 => {
                Err(self.wrong(key, "a factor above 0 and up to 10, of at most 4 decimal places"))
            }
            factor => Ok(factor),
        }
    }

    fn days(&self) -> Result<Days, RowFault> {
        Ok(Days { from: self.day("effective_from")?, until: self.day("effective_until")? })
    }

    fn day(&self, key: &str) -> Result<Option<Date>, RowFault> {
        let wrong = || self.wrong(key, "a UTC day as \"2026-10-07\"");
        let Some(text) = self.value(key).map(|value| value.as_str().ok_or_else(wrong)).transpose()? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// Reads five rates; of those left out, the cache's are the usual multiples of the input rate.
    ///
    /// 1.25 × for a five-minute write, 2 × for a one-hour write, 0.1 × for a read: the price reference, rule 2.
    fn standard_rates(&self, unit: Decimal) -> Result<StatedRates, RowFault> {
        self.rates(unit, |kind, input| match kind {
            TokenKind::CacheWrite5m => input.checked_mul(Decimal::new(125, 2)),
            TokenKind::CacheWrite1h => input.checked_mul(Decimal::TWO),
            _ => input.checked_mul(Decimal::new(1, 1)),
        })
    }

    /// Reads five rates; of those left out, the cache's rise as the input rate does over `base`.
    fn scaled_rates(&self, unit: Decimal, base: &StatedRates) -> Result<StatedRates, RowFault> {
        self.rates(unit, |kind, input| {
            let standard = base.rates.of(kind).per_million();
            match base.rates.input.per_million() {
                zero if zero.is_zero() => Some(standard),
                base => standard.checked_mul(input)?.checked_div(base).map(|rate| rate.round_dp(12)),
            }
        })
    }

    fn rates(
        &self,
        unit: Decimal,
        derive: impl Fn(TokenKind, Decimal) -> Option<Decimal>,
    ) -> Result<StatedRates, RowFault> {
        let input = self.rate("input", unit)?.ok_or_else(|| self.missing("input"))?;
        let output = self.rate("output", unit)?.ok_or_else(|| self.missing("output"))?;
        let mut derived = Vec::new();
        let mut cache = |key: &str, kind| {
            if let Some(rate) = self.rate(key, unit)? {
                return Ok(rate);
            }
            derived.push(kind);
            let rate = derive(kind, input.per_million()).and_then(|rate| Rate::new(rate.round_dp(12)).ok());
            rate.ok_or_else(|| self.missing(key))
        };
        let rates = Rates {
            input,
            output,
            cache_write_5m: cache("cache_write", TokenKind::CacheWrite5m)?,
            cache_write_1h: cache("cache_write_1h", TokenKind::CacheWrite1h)?,
            cache_read: cache("cache_read", TokenKind::CacheRead)?,
        };
        Ok(StatedRates { rates, derived })
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
