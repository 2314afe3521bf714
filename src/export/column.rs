//! The columns of an export by rows, and their values.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use crate::export::DIMENSIONS;
use crate::export::OPERATION;
use crate::export::Row;
use crate::export::SESSION;
use crate::export::TASK;
use crate::export::USER;
use crate::money::Usd;
use crate::printable::Printable;

/// What one column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The instant, UTC.
    Timestamp,
    /// The day.
    Date,
    /// A place in [`DIMENSIONS`].
    Name(usize),
    /// The request.
    Request,
    /// The model.
    Model,
    /// Requests that begin in the row.
    Requests,
    /// Tokens of a kind, by its place: input, output, cache writes (5 minutes, 1 hour), cache reads.
    Tokens(usize),
    /// Input and cache tokens together.
    PromptTokens,
    /// All tokens.
    AllTokens,
    /// Web searches.
    WebSearches,
    /// The cost at list price.
    ListCost,
    /// What it costs less than that.
    Discount,
    /// The cost.
    Cost,
    /// The cost with six decimal places.
    RoundedCost,
    /// The price.
    PriceId,
    /// Whether the price was guessed.
    Estimated,
    /// Whether the true figures may be higher.
    LowerBound,
    /// Who told of it.
    Source,
    /// What that source says it costs.
    CostReported,
    /// The task, else the session.
    Job,
    /// The operation, else `unattributed`.
    Legacy,
}

/// A column: its heading and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// What it holds.
    pub content: Content,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    None,
    /// A text that may be foreign.
    Text(Cow<'a, str>),
    /// A count.
    Count(u64),
    /// An amount.
    Usd(Usd),
    /// An amount with six decimal places.
    Rounded(Usd),
    /// Yes or no.
    Flag(bool),
}

/// All columns, in the order in which a level shows them.
const ALL: [Column; 32] = [
    column("timestamp", Content::Timestamp),
    column("date", Content::Date),
    column("project", Content::Name(0)),
    column("branch", Content::Name(1)),
    column("ticket", Content::Name(2)),
    column("pr", Content::Name(3)),
    column("enhancement", Content::Name(4)),
    column("task", Content::Name(TASK)),
    column("session", Content::Name(SESSION)),
    column("request", Content::Request),
    column("agent", Content::Name(7)),
    column("operation", Content::Name(OPERATION)),
    column("model", Content::Model),
    column("requests", Content::Requests),
    column("input_tokens", Content::Tokens(0)),
    column("output_tokens", Content::Tokens(1)),
    column("cache_write_5m_tokens", Content::Tokens(2)),
    column("cache_write_1h_tokens", Content::Tokens(3)),
    column("cache_read_tokens", Content::Tokens(4)),
    column("web_search_requests", Content::WebSearches),
    column("list_cost_usd", Content::ListCost),
    column("discount_usd", Content::Discount),
    column("cost_usd", Content::Cost),
    column("price_id", Content::PriceId),
    column("estimated", Content::Estimated),
    column("lower_bound", Content::LowerBound),
    column("user", Content::Name(9)),
    column("source", Content::Source),
    column("commit", Content::Name(10)),
    column("skill", Content::Name(11)),
    column("command", Content::Name(12)),
    column("mcp_server", Content::Name(13)),
];

/// What only those see who ask for it.
const COST_REPORTED: Column = column("cost_reported_usd", Content::CostReported);

/// The columns of the older token log.
const LEGACY: [Column; 7] = [
    column("timestamp", Content::Timestamp),
    column("operation", Content::Legacy),
    column("job", Content::Job),
    column("prompt_tokens", Content::PromptTokens),
    column("completion_tokens", Content::Tokens(1)),
    column("total_tokens", Content::AllTokens),
    column("cost_estimate_usd", Content::RoundedCost),
];

const fn column(name: &'static str, content: Content) -> Column {
    Column { name, content }
}

/// How fine the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A row for each charge.
    Request,
    /// A row for each day and all that tells requests apart, sessions excepted.
    Daily,
}

/// Which columns are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    /// The usual ones.
    Usual,
    /// All of them.
    All,
    /// Those of the older token log.
    Legacy,
    /// These.
    These(Vec<Column>),
}

/// Nothing is called that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no column: expected `legacy`, `all` or some of {}", names())]
pub struct UnknownColumn {
    name: String,
}

fn known() -> impl Iterator<Item = Column> {
    ALL.into_iter().chain([COST_REPORTED])
}

fn names() -> String {
    known().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

impl FromStr for Columns {
    type Err = UnknownColumn;

    fn from_str(text: &str) -> Result<Self, UnknownColumn> {
        match text.trim() {
            "legacy" => return Ok(Self::Legacy),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let find = |name: &str| {
            let unknown = || UnknownColumn { name: name.chars().take(40).collect() };
            known().find(|column| column.name == name.trim()).ok_or_else(unknown)
        };
        text.split(',').map(find).collect::<Result<_, _>>().map(Self::These)
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("usual"),
            Self::All => f.write_str("all"),
            Self::Legacy => f.write_str("legacy"),
            Self::These(columns) => {
                f.write_str(&columns.iter().map(|column| column.name).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Returns whether a dimension is told without being asked for.
pub fn is_usual(place: usize) -> bool {
    place <= USER
}

/// Returns whether a request has a value there, and the sum of a day has none.
fn of_request(content: Content) -> bool {
    matches!(content, Content::Timestamp | Content::Request | Content::Name(SESSION) | Content::CostReported)
}

impl Columns {
    /// Returns the first column that the sum of a day has no value for.
    pub fn of_request_only(&self) -> Option<Column> {
        self.at(Level::Daily).into_iter().find(|column| of_request(column.content))
    }

    /// Returns the columns that are written at this level.
    pub fn at(&self, level: Level) -> Vec<Column> {
        let usual = |column: &Column| match (level, column.content) {
            (Level::Request, Content::Requests) => false,
            (Level::Daily, content) if of_request(content) => false,
            (_, Content::WebSearches | Content::LowerBound | Content::Source) => false,
            (_, Content::Name(place)) => is_usual(place),
            _ => true,
        };
        match self {
            Self::Usual => ALL.into_iter().filter(usual).collect(),
            Self::All => {
                known().filter(|column| level == Level::Request || !of_request(column.content)).collect()
            }
            Self::Legacy => LEGACY.to_vec(),
            Self::These(columns) => columns.clone(),
        }
    }
}

impl Content {
    /// Returns the value that a row has in the column.
    pub fn of<'a>(self, row: &'a Row<'_>) -> Value<'a> {
        let text = |text: Option<&'a str>| text.map_or(Value::None, |text| Value::Text(Cow::Borrowed(text)));
        let name = |n: usize| row.names[n].as_deref();
        let tokens = &row.tokens;
        match self {
            Self::Timestamp => match row.at {
                Some(at) => Value::Text(Cow::Owned(format!("{at:.3}"))),
                None => Value::None,
            },
            Self::Date => Value::Text(Cow::Owned(row.day.to_string())),
            Self::Name(n) => text(name(n)),
            Self::Request => text(row.request),
            Self::Model => text(Some(row.model)),
            Self::Requests => Value::Count(row.requests),
            Self::Tokens(kind) => Value::Count(kinds(row)[kind]),
            Self::PromptTokens => Value::Count(tokens.prompt()),
            Self::AllTokens => Value::Count(tokens.prompt().saturating_add(tokens.output)),
            Self::WebSearches => Value::Count(row.web_search_requests),
            Self::ListCost => Value::Usd(row.list_cost),
            Self::Discount => Value::Usd(row.list_cost - row.cost.total()),
            Self::Cost if row.unpriced => Value::None,
            Self::Cost => Value::Usd(row.cost.total()),
            Self::RoundedCost => Value::Rounded(row.cost.total()),
            Self::PriceId => text(row.price.map(|price| price.hash.as_str())),
            Self::Estimated => Value::Flag(row.estimated),
            Self::LowerBound => Value::Flag(row.lower_bound),
            Self::Source => text(row.source),
            Self::CostReported => row.cost_reported.map_or(Value::None, Value::Usd),
            Self::Job => text(name(TASK).or(name(SESSION)).or(Some("unattributed"))),
            Self::Legacy => text(name(OPERATION).or(Some("unattributed"))),
        }
    }

    /// Returns whether values of the column are texts.
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::Name(_)
                | Self::Request
                | Self::Model
                | Self::PriceId
                | Self::Source
                | Self::Job
                | Self::Legacy
        )
    }
}

/// Returns the tokens of a row by kind: input, output, cache writes of 5 minutes and 1 hour, cache reads.
pub(super) fn kinds(row: &Row<'_>) -> [u64; 5] {
    let tokens = &row.tokens;
    [tokens.input, tokens.output, tokens.cache_write_5m, tokens.cache_write_1h, tokens.cache_read]
}

/// Returns a foreign text as a program, or the terminal that it is shown on, can bear it: without control characters.
pub(super) fn bearable(text: &str) -> Cow<'_, str> {
    match text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(Printable(text).to_string()),
    }
}

/// Appends a count in decimal digits.
pub(super) fn push_count(out: &mut Vec<u8>, count: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
}

/// Appends the shortest exact decimal of an amount.
pub(super) fn push_usd(out: &mut Vec<u8>, amount: Usd) {
    let pico = amount.pico();
    let Ok(size) = u64::try_from(pico.unsigned_abs()) else {
        let _infallible = write!(out, "{amount}");
        return;
    };
    if pico < 0 {
        out.push(b'-');
    }
    let (whole, mut fraction) = (size / PICO_PER_USD, size % PICO_PER_USD);
    push_count(out, whole);
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    let mut place = PICO_PER_USD / 10;
    while fraction > 0 {
        out.push(digit(fraction / place));
        fraction %= place;
        place /= 10;
    }
}

/// Returns the digit of a number below ten.
fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or(0)
}

/// Pico-dollars in a dollar.
const PICO_PER_USD: u64 = 1_000_000_000_000;

const _: () = assert!(DIMENSIONS.len() == 14, "the columns name their dimensions by place");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn amounts_are_written_as_elsewhere(pico: i64, dollars in -1000_i64..1000) {
            for pico in [i128::from(pico), i128::from(dollars) * 1_000_000_000_000, i128::from(pico) << 30] {
                let amount = Usd::from_pico(pico);
                let mut out = Vec::new();
                push_usd(&mut out, amount);
                prop_assert_eq!(String::from_utf8(out).unwrap(), amount.to_string());
            }
        }
    }
}
