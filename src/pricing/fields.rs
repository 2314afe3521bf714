//! The fields of a row of models.json, each read as what it must be, or with words for what is wrong.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::Map;
use serde_json::Value;

use crate::id::IdError;
use crate::money::MoneyError;
use crate::money::Rate;
use crate::pricing::pattern::PatternError;
use crate::pricing::row::Days;
use crate::pricing::row::Rates;
use crate::pricing::row::StatedRates;
use crate::pricing::row::TokenKind;

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

/// The fields of a JSON object, and where it stands in its row.
pub(super) struct Fields<'json> {
    pub(super) fields: &'json Map<String, Value>,
    /// What stands before the keys in an error, such as `pricing.`.
    pub(super) place: &'static str,
}

impl<'json> Fields<'json> {
    pub(super) fn missing(&self, key: &str) -> RowFault {
        RowFault::Missing { key: format!("{}{key}", self.place) }
    }

    pub(super) fn wrong(&self, key: &str, wanted: &'static str) -> RowFault {
        let found = match self.fields.get(key) {
            // What Python writes without quotes; see `with_numbers_quoted`.
            Some(Value::String(text)) if is_no_number(text) => text.clone(),
            found => found.unwrap_or(&Value::Null).to_string(),
        };
        RowFault::Wrong { key: format!("{}{key}", self.place), found: shortened(&found), wanted }
    }

    /// Returns the value of `key`; `null` counts as not there.
    fn value(&self, key: &str) -> Option<&'json Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'json str>, RowFault> {
        let wrong = || self.wrong(key, "a text");
        self.value(key).map(|value| value.as_str().ok_or_else(wrong)).transpose()
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, RowFault> {
        let wrong = || self.wrong(key, "a list of texts");
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let texts = value.as_array().ok_or_else(wrong)?;
        texts.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    pub(super) fn count(&self, key: &str) -> Result<Option<u64>, RowFault> {
        let wrong = || self.wrong(key, "a whole number");
        self.value(key).map(|value| value.as_u64().ok_or_else(wrong)).transpose()
    }

    pub(super) fn object(&self, key: &str, place: &'static str) -> Result<Option<Fields<'json>>, RowFault> {
        let wrong = || self.wrong(key, "an object");
        self.value(key)
            .map(|value| Ok(Fields { fields: value.as_object().ok_or_else(wrong)?, place }))
            .transpose()
    }

    pub(super) fn list(&self, key: &str, place: &'static str) -> Result<Vec<Fields<'json>>, RowFault> {
        match self.value(key) {
            Some(Value::Object(_)) => Err(self.wrong(key, "a list of objects")),
            _ => self.list_or_one(key, place),
        }
    }

    pub(super) fn list_or_one(&self, key: &str, place: &'static str) -> Result<Vec<Fields<'json>>, RowFault> {
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
            let is_bare = value.as_str().is_some_and(is_no_number);
            return Err(self.wrong(key, if is_bare { "a number" } else { "a number, without quotes" }));
        };
        let text = number.to_string();
        let parsed = if text.contains(['e', 'E']) {
            Decimal::from_scientific(&text)
        } else {
            Decimal::from_str_exact(&text)
        };
        parsed.map(Some).map_err(|_| self.wrong(key, "a number of at most 12 decimal places"))
    }

    pub(super) fn rate(&self, key: &str, unit: Decimal) -> Result<Option<Rate>, RowFault> {
        let Some(price) = self.decimal(key)? else { return Ok(None) };
        let fault = |fault| RowFault::Price { key: format!("{}{key}", self.place), fault };
        let price = price.checked_mul(unit).ok_or_else(|| fault(MoneyError::TooHigh { price }))?;
        Rate::new(price).map(Some).map_err(fault)
    }

    /// Reads a multiplier: above 0, at most 10, with at most four decimal places.
    pub(super) fn factor(&self, key: &str) -> Result<Option<Decimal>, RowFault> {
        let factor = self.decimal(key)?.map(|factor| factor.normalize());
        match factor {
            Some(factor) if factor <= Decimal::ZERO || factor > Decimal::TEN || factor.scale() > 4 => {
                Err(self.wrong(key, "a factor above 0 and up to 10, of at most 4 decimal places"))
            }
            factor => Ok(factor),
        }
    }

    pub(super) fn days(&self) -> Result<Days, RowFault> {
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
    pub(super) fn standard_rates(&self, unit: Decimal) -> Result<StatedRates, RowFault> {
        self.rates(unit, |kind, input| match kind {
            TokenKind::CacheWrite5m => input.checked_mul(Decimal::new(125, 2)),
            TokenKind::CacheWrite1h => input.checked_mul(Decimal::TWO),
            _ => input.checked_mul(Decimal::new(1, 1)),
        })
    }

    /// Reads five rates; of those left out, the cache's rise as the input rate does over `base`.
    pub(super) fn scaled_rates(&self, unit: Decimal, base: &StatedRates) -> Result<StatedRates, RowFault> {
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

fn is_no_number(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

/// Returns the first 40 characters.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
