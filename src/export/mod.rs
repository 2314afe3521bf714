//! What requests cost, written out for other programs: CSV, JSON, Parquet, FOCUS, plain-text accounting.
//!
//! Rows in, bytes out, in bounded memory. Every amount is exact unless its form says otherwise; all of them are
//! computed from list prices or the prices that the user set, and none is an invoice.

pub mod accounting;
pub mod column;
pub mod csv;
pub mod daily;
pub mod focus;
pub mod json;
pub mod parquet;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::money::Usd;
use crate::pricing::CostByKind;
use crate::query::Dimension;
use crate::usage::TokenUsage;

/// The dimensions that an export tells, in the order of [`Row::names`].
pub const DIMENSIONS: [&str; 14] = [
    "project",
    "branch",
    "ticket",
    "pr",
    "enhancement",
    "task",
    "session",
    "agent",
    "operation",
    "user",
    "commit",
    "skill",
    "command",
    "mcp-server",
];

/// Returns the dimensions of an export that requests have, each with its place in [`Row::names`].
pub fn dimensions() -> Vec<(usize, Dimension)> {
    let known = |(n, name): (usize, &&str)| name.parse().ok().map(|dimension| (n, dimension));
    DIMENSIONS.iter().enumerate().filter_map(known).collect()
}

/// Place of the project in [`Row::names`].
pub const PROJECT: usize = 0;
/// Place of the branch.
pub const BRANCH: usize = 1;
/// Place of the enhancement.
pub const ENHANCEMENT: usize = 4;
/// Place of the task.
pub const TASK: usize = 5;
/// Place of the session.
pub const SESSION: usize = 6;
/// Place of the agent.
pub const AGENT: usize = 7;
/// Place of the operation.
pub const OPERATION: usize = 8;
/// Place of the user.
pub const USER: usize = 9;

/// A price as exports tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceId {
    /// The beginning of the hash of its content, in hexadecimal: the same on every machine.
    pub hash: String,
    /// USD per million tokens, all factors included: input, output, cache writes of 5 minutes and 1 hour, cache reads.
    pub rates: [Decimal; 5],
    /// USD per thousand web searches.
    pub web_search_per_1000: Decimal,
    /// The same at the built-in list price, without a discount.
    pub list_rates: [Decimal; 5],
    /// USD per thousand web searches, likewise.
    pub list_web_search_per_1000: Decimal,
    /// The terms that made it: `standard`, `batch`, `fast` …
    pub terms: String,
}

/// What is written in one row: a charge of a request, or what charges of a day come to.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// When the request was made, UTC; `None` for a day's sum.
    pub at: Option<Timestamp>,
    /// The day in the user's zone.
    pub day: Date,
    /// Where it stands in each of [`DIMENSIONS`].
    pub names: [Option<Cow<'a, str>>; DIMENSIONS.len()],
    /// The `message.id`, or what stands in for it; `None` for a day's sum.
    pub request: Option<&'a str>,
    /// The price row's id, else the model as the request names it.
    pub model: &'a str,
    /// Its price; `None` if it has none.
    pub price: Option<&'a PriceId>,
    /// How many requests begin in this row: a request of several charges counts in its first.
    pub requests: u64,
    /// Its tokens.
    pub tokens: TokenUsage,
    /// Its web searches.
    pub web_search_requests: u64,
    /// What it costs.
    pub cost: CostByKind,
    /// What it costs at the built-in list price, without a discount.
    pub list_cost: Usd,
    /// The price was guessed.
    pub estimated: bool,
    /// The true figures may be higher.
    pub lower_bound: bool,
    /// It has no price.
    pub unpriced: bool,
    /// Who told of it; `None`: a transcript.
    pub source: Option<&'a str>,
    /// What that source says it costs.
    pub cost_reported: Option<Usd>,
}

/// A form of export.
pub trait Export {
    /// Writes a row.
    ///
    /// # Errors
    /// If it cannot be written.
    fn row(&mut self, row: &Row<'_>) -> io::Result<()>;

    /// Writes what comes after the last row, and hands everything on.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Rows that were read.
    pub rows: u64,
    /// Requests.
    pub requests: u64,
    /// What they cost.
    #[serde(rename = "cost_usd")]
    pub cost: Usd,
    /// A price was guessed.
    pub estimated: bool,
    /// The true figures may be higher.
    pub lower_bound: bool,
    /// A part has no price.
    pub unpriced: bool,
}

impl Exported {
    /// Adds a row.
    pub fn add(&mut self, row: &Row<'_>) {
        self.rows += 1;
        self.requests = self.requests.saturating_add(row.requests);
        self.cost += row.cost.total();
        self.estimated |= row.estimated;
        self.lower_bound |= row.lower_bound;
        self.unpriced |= row.unpriced;
    }
}

/// Costs by name, for summaries.
pub type CostByName = BTreeMap<String, Usd>;
