//! Totals of requests, and what a task or an enhancement comes to.
//!
//! Plain figures between the ledger and a report. Nothing here rounds: that is the report's.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::money::Usd;
use crate::pricing::CostByKind;
use crate::pricing::Price;
use crate::usage::TokenUsage;

/// What a set of requests comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Number of distinct requests.
    pub requests: u64,
    /// Tokens as they are billed.
    pub tokens: TokenUsage,
    /// Web searches, billed per request.
    pub web_search_requests: u64,
    /// Cost of what is priced.
    pub cost: CostByKind,
    /// A price was guessed: an unknown Claude model at the default model's price.
    pub estimated: bool,
    /// The true figures may be higher: a request was cut off, or a prompt has no answer in the transcript.
    pub lower_bound: bool,
    /// Models without a price; their tokens count, their money is unknown.
    pub unpriced_models: BTreeSet<ModelId>,
}

impl Totals {
    /// Adds the figures of other requests.
    ///
    /// Counts saturate at `u64::MAX`, which no ledger reaches.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(&other.tokens);
        self.web_search_requests = self.web_search_requests.saturating_add(other.web_search_requests);
        self.cost = CostByKind {
            input: self.cost.input + other.cost.input,
            output: self.cost.output + other.cost.output,
            cache_write_5m: self.cost.cache_write_5m + other.cost.cache_write_5m,
            cache_write_1h: self.cost.cache_write_1h + other.cost.cache_write_1h,
            cache_read: self.cost.cache_read + other.cost.cache_read,
            web_search: self.cost.web_search + other.cost.web_search,
        };
        self.estimated |= other.estimated;
        self.lower_bound |= other.lower_bound;
        self.unpriced_models.extend(other.unpriced_models.iter().cloned());
    }
}

/// What the prompt cache did for a set of requests, in tokens and in money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheTotals {
    /// Tokens of all prompts, priced or not.
    pub tokens: TokenUsage,
    /// What the requests cost, output included.
    pub paid: Usd,
    /// How much more the tokens read from the cache would have cost as input.
    pub saved_by_reads: Usd,
    /// How much more writing for five minutes cost than sending the same tokens as input.
    pub premium_5m: Usd,
    /// The same for one hour.
    pub premium_1h: Usd,
    /// Tokens written that no later request of the same agent in the same session read.
    pub unread_tokens: u64,
    /// What writing those cost.
    pub wasted: Usd,
}

impl CacheTotals {
    /// Adds the figures of other requests; counts saturate.
    pub fn add(&mut self, other: &Self) {
        self.tokens = self.tokens.saturating_add(&other.tokens);
        self.paid += other.paid;
        self.saved_by_reads += other.saved_by_reads;
        self.premium_5m += other.premium_5m;
        self.premium_1h += other.premium_1h;
        self.unread_tokens = self.unread_tokens.saturating_add(other.unread_tokens);
        self.wasted += other.wasted;
    }

    /// Returns what caching saved, what writing cost more taken off; negative if it did not pay.
    pub fn net(&self) -> Usd {
        self.saved_by_reads - self.premium_5m - self.premium_1h
    }

    /// Returns what the same tokens would have cost without a cache.
    pub fn uncached(&self) -> Usd {
        self.paid + self.net()
    }
}

/// Figures that another machine or program wrote into the task queue, adopted as they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// How many writings they come from.
    pub entries: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Cache write tokens of both kinds.
    pub cache_write: u64,
    /// Cache read tokens.
    pub cache_read: u64,
    /// Cost in USD, as stated there: rounded to four places.
    pub cost: Usd,
}

/// A session's share of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionShare {
    /// The session.
    pub session: SessionId,
    /// First request of the session for this task, UTC.
    pub first: Timestamp,
    /// Last request of the session for this task, UTC.
    pub last: Timestamp,
    /// What its requests come to.
    pub totals: Totals,
}

/// What a task comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSummary {
    /// The task.
    pub task: TaskId,
    /// Real path of the project's main worktree.
    pub project: PathBuf,
    /// The task's title in its queue.
    pub title: Option<String>,
    /// The enhancement that the task belongs to.
    pub enhancement: Option<String>,
    /// The agent that the queue assigned.
    pub agent: Option<String>,
    /// All its requests.
    pub totals: Totals,
    /// By price row, dearest first.
    pub models: Vec<(ModelId, Totals)>,
    /// By session, earliest first.
    pub sessions: Vec<SessionShare>,
    /// Of `totals`, what clients counted beyond the requests of their transcripts; its `requests` is 0.
    pub not_itemised: Totals,
    /// What other writers recorded for it.
    pub elsewhere: Elsewhere,
}

/// What a session costs, as its client takes it to and as cmat does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSays {
    /// The session.
    pub session: SessionId,
    /// What the client had counted last, in USD at its own prices. A fork's count begins with that of its parent.
    pub reported: Usd,
    /// What the session owns, for whatever tasks.
    pub computed: Usd,
    /// Of that, what no request shows.
    pub not_itemised: Usd,
    /// The client's count of tokens is that of cmat; else the session may cost more.
    pub fits: bool,
}

impl TaskSummary {
    /// Returns whether anything is recorded for the task.
    pub fn is_recorded(&self) -> bool {
        !self.sessions.is_empty() || self.elsewhere.entries > 0
    }

    /// Returns the cost of the task, what was recorded elsewhere included.
    pub fn cost(&self) -> Usd {
        self.totals.cost.total() + self.elsewhere.cost
    }

    /// Returns the input tokens, those recorded elsewhere included; saturates.
    pub fn input(&self) -> u64 {
        self.totals.tokens.input.saturating_add(self.elsewhere.input)
    }

    /// Returns the output tokens, those recorded elsewhere included; saturates.
    pub fn output(&self) -> u64 {
        self.totals.tokens.output.saturating_add(self.elsewhere.output)
    }

    /// Returns the cache write tokens of both kinds, those recorded elsewhere included; saturates.
    pub fn cache_write(&self) -> u64 {
        self.totals.tokens.cache_write().saturating_add(self.elsewhere.cache_write)
    }

    /// Returns the cache read tokens, those recorded elsewhere included; saturates.
    pub fn cache_read(&self) -> u64 {
        self.totals.tokens.cache_read.saturating_add(self.elsewhere.cache_read)
    }

    /// Returns the session that was active last.
    pub fn last_session(&self) -> Option<&SessionId> {
        self.sessions.iter().max_by_key(|share| (share.last, &share.session)).map(|share| &share.session)
    }
}

/// Requests with their charges, in the order they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExplainedRequests {
    /// The first of them, or all.
    pub first: Vec<ExplainedRequest>,
    /// How many there are in all.
    pub n_all: u64,
    /// How many of all are no requests, but what clients counted beyond them.
    pub n_not_itemised: u64,
    /// Lines of transcripts that tell of all of them.
    pub n_lines: u64,
}

/// A request with its charges: all that is needed to compute its cost by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRequest {
    /// The `message.id`, or what stands in for it.
    pub id: String,
    /// The API's `request-id`.
    pub request_id: Option<String>,
    /// It is no request: what the client counted beyond those of its transcript.
    pub not_itemised: bool,
    /// When it was made, UTC.
    pub at: Timestamp,
    /// The session that owns it.
    pub session: String,
    /// The agent that made it.
    pub agent: Option<String>,
    /// The model that answered.
    pub model: ModelId,
    /// Its output count is final.
    pub complete: bool,
    /// Lines of transcripts that repeat it, itself included.
    pub n_lines: u64,
    /// Where it comes from, if no transcript shows it.
    pub told: Option<ToldBy>,
    /// What its parts cost.
    pub charges: Vec<ExplainedCharge>,
}

/// Who told of what no transcript shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldBy {
    /// Name of the source, such as `token-csv`.
    pub source: String,
    /// How many requests it stands for.
    pub requests: u64,
    /// What it was for, as the source says.
    pub operation: Option<String>,
    /// What the source says it costs.
    pub cost_reported: Option<Usd>,
}

/// A charge as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedCharge {
    /// Which part of the request, such as `message`.
    pub kind: String,
    /// The price it was made with; `None` if it is unpriced or not billed.
    pub price: Option<Price>,
    /// Why it has no cost.
    pub unpriced: Option<String>,
    /// Its tokens.
    pub tokens: TokenUsage,
    /// Its web searches.
    pub web_search_requests: u64,
    /// What it costs.
    pub cost: CostByKind,
    /// The price was guessed.
    pub estimated: bool,
}

impl ExplainedRequest {
    /// Returns what the request costs, as far as it is priced.
    pub fn cost(&self) -> Usd {
        self.charges.iter().map(|charge| charge.cost.total()).sum()
    }
}
