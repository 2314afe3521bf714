//! `cmat import | record`: what comes from elsewhere.

use std::path::PathBuf;

use clap::ArgGroup;
use clap::Args;
use clap::ValueEnum;
use clap::ValueHint;

use crate::cli::task::moment;

/// What kind of file is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportKind {
    /// `~/.resume_customizer_costs.json`: a list of calls, with budgets.
    ResumeCustomizer,
    /// `token_usage.csv`: timestamp,operation,job,prompt_tokens,completion_tokens,total_tokens,cost_estimate_usd.
    TokenCsv,
    /// `.costs/haiku_usage.json`: named sessions with their API calls.
    HaikuUsage,
    /// `task_queue.json`: the cost keys of its tasks.
    TaskQueue,
    /// What `claude -p --output-format json` or `stream-json` printed.
    ClaudeResult,
}

/// `cmat import`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat import resume-customizer ~/.resume_customizer_costs.json\n          \
                   claude -p \"…\" --output-format json | cmat import claude-result -"
)]
pub struct ImportArgs {
    /// What kind of file it is.
    pub kind: ImportKind,
    /// The file; `-` is stdin.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Model of records that name none.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Time of records that state none; the file's own if absent.
    #[arg(long, value_name = "DATE|TIMESTAMP", value_parser = moment)]
    pub at: Option<jiff::Timestamp>,
    /// Show what would be recorded and record nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `cmat record`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat record --model claude-haiku-4-5 --input 550 --output 100 --operation captions --id job-17",
    group = ArgGroup::new("counts")
        .args(["input", "output", "cache_write", "cache_write_1h", "cache_read", "web_searches"])
        .required(true)
        .multiple(true)
)]
pub struct RecordArgs {
    /// Model id.
    #[arg(long, short)]
    pub model: String,
    /// Input tokens outside the cache.
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    pub input: u64,
    /// Output tokens.
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    pub output: u64,
    /// Tokens written to the cache for five minutes.
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    pub cache_write: u64,
    /// Tokens written to the cache for one hour.
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    pub cache_write_1h: u64,
    /// Tokens read from the cache.
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    pub cache_read: u64,
    /// Web searches.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub web_searches: u64,
    /// How many requests these are.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub requests: u64,
    /// At the Batch API's price.
    #[arg(long)]
    pub batch: bool,
    /// What it was for, such as `analysis`.
    #[arg(long)]
    pub operation: Option<String>,
    /// The task.
    #[arg(long)]
    pub task: Option<String>,
    /// The enhancement.
    #[arg(long)]
    pub enhancement: Option<String>,
    /// The agent.
    #[arg(long)]
    pub agent: Option<String>,
    /// A tag, such as `chapter=3`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<String>,
    /// When it was made (UTC, such as 2026-11-20T14:30:00Z); now if absent.
    #[arg(long, value_name = "DATE|TIMESTAMP", value_parser = moment)]
    pub at: Option<jiff::Timestamp>,
    /// A name of your own: with it, telling it twice records it once.
    #[arg(long)]
    pub id: Option<String>,
    /// What you were told that it costs, in USD; kept beside what it comes to.
    #[arg(long, value_name = "USD")]
    pub cost_reported: Option<String>,
    /// Record it also for a task that the project's queue does not have.
    #[arg(long)]
    pub force: bool,
}
