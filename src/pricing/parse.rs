//! Reads the text of a models.json: list form and object form, with the optional keys.
//!
//! A row that cannot be used is left out with a warning that says which, why and what to write; only a text that
//! is no table at all is an error. Numbers are decimals read from their text, never through a binary float.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::id::ModelId;
use crate::json_edit::Document;
use crate::json_edit::Kind;
use crate::pricing::fields::Fields;
use crate::pricing::fields::RowFault;
use crate::pricing::fields::shortened;
use crate::pricing::pattern::Pattern;
use crate::pricing::pattern::PatternKind;
use crate::pricing::row::DatedPrices;
use crate::pricing::row::FastPrices;
use crate::pricing::row::Model;
use crate::pricing::row::PriceSource;
use crate::pricing::row::Tier;

/// Longest models.json that is read, in bytes.
pub const MAX_TABLE_BYTES: usize = 1 << 20;
/// Most rows of a models.json: each may hold a pattern to compile, and a cloned repository may hold any file.
const MAX_ROWS: usize = 256;

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
    /// The table has more than 256 rows.
    #[error("price table `{origin}` has {rows} rows, at most {MAX_ROWS} are read")]
    TooManyRows {
        /// The file.
        origin: String,
        /// Number of rows.
        rows: usize,
    },
    /// The JSON has no `models`, or they are neither a list nor an object.
    #[error("price table `{origin}` has no `models`: a list of rows, or an object of rows by id")]
    NoModels {
        /// The file.
        origin: String,
    },
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
    let mut document: Value = serde_json::from_str(json)
        .or_else(|error| with_numbers_quoted(json).ok_or(error))
        .map_err(|error| PricingError::NotJson {
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
    if rows.len() > MAX_ROWS {
        return Err(PricingError::TooManyRows { origin: origin.to_owned(), rows: rows.len() });
    }
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

/// Reads what Python's `json` writes and JSON does not know, `NaN` and `Infinity`, as texts: only the rows that
/// hold them are left out then.
fn with_numbers_quoted(json: &str) -> Option<Value> {
    let document = Document::parse(json).ok()?;
    let mut edits = document.edits();
    let mut values = vec![document.root()];
    while let Some(value) = values.pop() {
        values.extend(
            value.as_object().into_iter().flat_map(|object| object.entries()).map(|entry| entry.value),
        );
        values.extend(value.as_array().into_iter().flat_map(|array| array.elements()));
        if value.kind() == Kind::Number && value.text().ends_with(['N', 'y']) {
            edits.replace(value, &Value::from(value.text()));
        }
    }
    serde_json::from_str(&edits.apply()).ok()
}

impl ParsedTable {
    fn add(&mut self, source: PriceSource, origin: &str, number: usize, key: Option<&str>, row: &Value) {
        let id = key.or_else(|| row.get("id").and_then(Value::as_str));
        let id = id.map(|id| format!(" `{}`", shortened(id))).unwrap_or_default();
        let (origin, row_name) = (origin.to_owned(), format!("row {number}{id}"));
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
