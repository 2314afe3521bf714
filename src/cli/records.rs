//! `cmat calc | estimate | explain | reconcile | reattribute | forget | reprice`: what was recorded, and its prices.

use clap::ArgGroup;
use clap::Args;
use clap_complete::ArgValueCandidates;
use clap_complete::ArgValueCompleter;

use crate::cli::names;
use crate::cli::number::whole;
use crate::cli::reports::SelectionArgs;
use crate::cli::task::moment;

/// How many tokens of each kind.
#[derive(Debug, Clone, Copy, Args)]
pub struct TokenArgs {
    /// Input tokens outside the cache.
    #[arg(long, default_value_t = 0, value_name = "TOKENS", value_parser = whole(0..=u64::MAX, "12345"))]
    pub input: u64,
    /// Output tokens.
    #[arg(long, default_value_t = 0, value_name = "TOKENS", value_parser = whole(0..=u64::MAX, "12345"))]
    pub output: u64,
    /// Tokens written to the cache for five minutes.
    #[arg(long, default_value_t = 0, value_name = "TOKENS", value_parser = whole(0..=u64::MAX, "12345"))]
    pub cache_write: u64,
    /// Tokens written to the cache for one hour.
    #[arg(long, default_value_t = 0, value_name = "TOKENS", value_parser = whole(0..=u64::MAX, "12345"))]
    pub cache_write_1h: u64,
    /// Tokens read from the cache.
    #[arg(long, default_value_t = 0, value_name = "TOKENS", value_parser = whole(0..=u64::MAX, "12345"))]
    pub cache_read: u64,
}

/// `cmat calc`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat calc --model claude-sonnet-4-20250514 --input 12345 --output 3456 --cache-read 8901",
    group = ArgGroup::new("counts")
        .args(["input", "output", "cache_write", "cache_write_1h", "cache_read"])
        .required(true)
        .multiple(true)
)]
pub struct CalcArgs {
    /// Model id, or a family such as haiku for its newest model.
    #[arg(long, short)]
    pub model: String,
    /// How many tokens.
    #[command(flatten)]
    pub tokens: TokenArgs,
    /// At the Batch API's price.
    #[arg(long)]
    pub batch: bool,
    /// At the fast mode's price.
    #[arg(long)]
    pub fast: bool,
    /// Day whose prices hold (UTC, such as 2026-10-06); today if absent.
    #[arg(long, value_name = "DATE")]
    pub at: Option<jiff::civil::Date>,
}

/// `cmat estimate`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat estimate checkout-v2 --like checkout\n          cmat estimate --turns 10",
    group = ArgGroup::new("what").args(["name", "like", "turns"]).required(true).multiple(true)
)]
pub struct EstimateArgs {
    /// The task or enhancement: its planned steps, and the budgets it counts for.
    #[arg(add = ArgValueCandidates::new(names::tasks_and_enhancements))]
    pub name: Option<String>,
    /// Take the steps of this task or enhancement instead.
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(names::tasks_and_enhancements))]
    pub like: Option<String>,
    /// Estimate so many more turns instead, a turn being a prompt and all that follows; with --like, of those.
    #[arg(long, value_name = "N", value_parser = whole(1..=1_000_000_u32, "10"))]
    pub turns: Option<u32>,
}

/// `cmat explain`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat explain task_1702345678_12345\n          cmat explain branch:feature/login --during last-week"
)]
pub struct ExplainArgs {
    /// Task, session or request id (`msg_…`, `req_…`), or DIMENSION:VALUE, such as enhancement:checkout, branch:main,
    /// day:2026-11-20, ticket:PAY-12, pr:42; any dimension of `cmat report --by`. `task:` are those without a task.
    #[arg(value_name = "WHAT", add = ArgValueCompleter::new(names::explainable))]
    pub what: String,
    /// Which requests of it.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// All requests, not only the first 50.
    #[arg(long)]
    pub all: bool,
}

/// `cmat reconcile`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat reconcile --all")]
pub struct ReconcileArgs {
    /// The transcripts of all projects, not only this one's.
    #[arg(long)]
    pub all: bool,
    /// Show what would be recorded and restored, change nothing, and exit with 5 if there is something.
    #[arg(long)]
    pub dry_run: bool,
    /// Add to this task what its queue holds beyond the ledger, such as after the ledger was rebuilt.
    #[arg(long, value_name = "TASK")]
    pub adopt: Vec<String>,
}

/// `cmat reattribute`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat reattribute --dry-run")]
pub struct ReattributeArgs {
    /// Show the difference and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `cmat forget`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat forget --before 2026-10-01 --dry-run\n          cmat forget --project ~/old-app"
)]
pub struct ForgetArgs {
    /// Session id: what it owns, until now.
    pub session: Option<String>,
    /// All that was made before this day (UTC) or moment, in every project.
    #[arg(long, value_name = "DATE|TIMESTAMP", value_parser = moment)]
    pub before: Option<jiff::Timestamp>,
    /// Show how much that is and forget nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `cmat reprice`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat reprice --since 2026-10-07 --dry-run")]
pub struct RepriceArgs {
    /// Only requests of this day (UTC) and later.
    #[arg(long, value_name = "DATE")]
    pub since: Option<jiff::civil::Date>,
    /// Show the difference and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}
