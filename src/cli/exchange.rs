//! `cmat export | import | record`: what goes to other programs, and what comes from elsewhere.

use std::path::PathBuf;

use clap::ArgGroup;
use clap::Args;
use clap::ValueEnum;
use clap::ValueHint;

use crate::cli::SelectionArgs;
use crate::cli::TokenArgs;
use crate::cli::number::whole;
use crate::cli::shell::tag;
use crate::cli::task::moment;
use crate::export::column::Columns;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// For spreadsheets (RFC 4180).
    Csv,
    /// One JSON document, with summaries.
    Json,
    /// For DuckDB, ClickHouse, Spark.
    Parquet,
    /// The FinOps cost and usage format, 1.2 with the provider columns of 1.3.
    Focus,
    /// Plain-text accounting, for hledger.
    Ledger,
}

/// How fine the rows of an export are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportLevel {
    /// A row for each request; several, where the API bills parts of it on their own.
    Request,
    /// A row for each day and what the columns tell apart: task, branch, model and so on.
    Daily,
}

/// `cmat export`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat export csv costs.csv --days 30\n          cmat export parquet lake --partition --force"
)]
pub struct ExportArgs {
    /// The form.
    pub form: ExportForm,
    /// The file; `-` is stdout. With --partition, a folder.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub file: PathBuf,
    /// Only the last N days, today included.
    #[arg(long, value_name = "N", value_parser = whole(1..=u32::MAX, "30"), conflicts_with_all = ["since", "until", "during"])]
    pub days: Option<u32>,
    /// Which requests.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How fine the rows are (csv, json, parquet).
    #[arg(long, value_enum, default_value_t = ExportLevel::Request)]
    pub level: ExportLevel,
    /// `legacy` for the columns of the older token log, `all`, or names between commas (csv, json, parquet).
    #[arg(long, value_name = "COLUMNS")]
    pub columns: Option<Columns>,
    /// A folder of Parquet files, date=YYYY-MM-DD/part-MACHINE.parquet.
    #[arg(long)]
    pub partition: bool,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
}

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
    /// How many tokens.
    #[command(flatten)]
    pub tokens: TokenArgs,
    /// Web searches.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = whole(0..=u64::MAX, "3"))]
    pub web_searches: u64,
    /// How many requests these are.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = whole(0..=u64::MAX, "3"))]
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
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,
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
