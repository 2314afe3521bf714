//! `cmat report` and its like: questions about what is recorded.

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use clap::ValueHint;
use clap_complete::ArgValueCandidates;
use clap_complete::ArgValueCompleter;

use crate::budget::amount;
use crate::cli::names;
use crate::cli::number::whole;
use crate::money::Usd;
use crate::period::DayWords;
use crate::period::RangeWords;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::PullRequestName;

/// Which requests a question is about.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArgs {
    /// First day: 2026-11-01, 20261101, 7d, today, yesterday, this-week, last-month …
    #[arg(long, value_name = "DAY")]
    pub since: Option<DayWords>,
    /// Last day, which is included.
    #[arg(long, value_name = "DAY")]
    pub until: Option<DayWords>,
    /// Both at once: last-week, 2026-10, 2026-10-01..2026-10-15.
    #[arg(long, value_name = "DAYS", conflicts_with_all = ["since", "until"])]
    pub during: Option<RangeWords>,
    /// Only requests that have this value, such as branch=main; `task=` for those without a task. Several: on the same
    /// dimension one of them, on different ones all of them.
    #[arg(long = "where", value_name = "DIMENSION=VALUE", add = ArgValueCompleter::new(names::conditions))]
    pub conditions: Vec<Condition>,
}

/// `cmat report`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat report --by branch,model --during last-week\n          cmat report --by enhancement --since this-month --compare previous\n          cmat report --pr 42 --format markdown"
)]
pub struct ReportArgs {
    /// What to group by: hour, day, week, month, task, enhancement, branch, ticket, pr, commit, agent, skill, command,
    /// mcp-server, operation, model, session, project, user, tag:KEY; several between commas. [default: day; model in a
    /// comparison or of a pull request]
    #[arg(long, value_name = "DIMENSIONS", value_delimiter = ',', add = ArgValueCandidates::new(names::dimensions))]
    pub by: Vec<Dimension>,
    /// Which requests.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Only requests that went into this pull request: 42 of the project at hand, or owner/repository#42. As Markdown
    /// the report begins with a hidden mark, by which CI finds its comment again.
    #[arg(long, value_name = "N")]
    pub pr: Option<PullRequestName>,
    /// Show the models of each row.
    #[arg(long)]
    pub breakdown: bool,
    /// Show what it was before: `previous` for the days directly before, or other days, such as 2026-10.
    #[arg(long, value_name = "DAYS")]
    pub compare: Option<Comparison>,
    /// Only so many rows, the others summed up in one.
    #[arg(long, value_name = "N", value_parser = whole(1..=u32::MAX, "10"))]
    pub top: Option<u32>,
    /// Order of the rows. [default: time as it goes, else the dearest first]
    #[arg(long, value_enum)]
    pub sort: Option<SortBy>,
    /// Form of the report. [default: that of the file's name, else table on a terminal, else plain]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Write it to a file; `-` is stdout.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace the file if there is one.
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// `cmat forecast`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat forecast\n          cmat forecast --where enhancement=checkout")]
pub struct ForecastArgs {
    /// Only requests that have this value, such as branch=main.
    #[arg(long = "where", value_name = "DIMENSION=VALUE", add = ArgValueCompleter::new(names::conditions))]
    pub conditions: Vec<Condition>,
}

/// `cmat anomalies`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat anomalies --since this-month")]
pub struct AnomaliesArgs {
    /// Which requests; those of the last 30 days if no day is named. All before them are what they are held against.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Only what cost so much, in USD.
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, default_value = "0.10", allow_hyphen_values = true)]
    pub min: Usd,
}

/// `cmat advise`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat advise --by agent --since this-month")]
pub struct AdviseArgs {
    /// What tells uses of a model apart: operation, agent, skill, task, or another dimension of `cmat report`.
    #[arg(long, value_name = "DIMENSION", default_value = "operation")]
    pub by: Dimension,
    /// Which requests; those of the last 30 days if no day is named.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Only what would have saved so much, in USD.
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, default_value = "0.10", allow_hyphen_values = true)]
    pub min: Usd,
}

/// What to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The days directly before.
    Previous,
    /// These days.
    Days(RangeWords),
}

impl std::str::FromStr for Comparison {
    type Err = crate::period::PeriodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "previous" => Ok(Self::Previous),
            days => days.parse().map(Self::Days),
        }
    }
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns, as wide as the terminal.
    Table,
    /// Columns, each cell filled, for `awk` and `grep`.
    Plain,
    /// One JSON document.
    Json,
    /// CSV for spreadsheets, exact amounts.
    Csv,
    /// A table of Markdown.
    Markdown,
    /// A table of HTML.
    Html,
}

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// The dearest first.
    Cost,
    /// What has the most requests first.
    Requests,
    /// What has the most tokens first.
    Tokens,
    /// What changed most first.
    Change,
    /// By name.
    Name,
}

/// `cmat summary`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat summary --days 30")]
pub struct SummaryArgs {
    /// So many days, today the last of them.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = whole(1..=100_000_u32, "30"))]
    pub days: u32,
}

/// `cmat cache`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat cache --by agent --since 7d")]
pub struct CacheArgs {
    /// What to group by, as in `cmat report`.
    #[arg(long, value_name = "DIMENSIONS", value_delimiter = ',', default_value = "model", add = ArgValueCandidates::new(names::dimensions))]
    pub by: Vec<Dimension>,
    /// Which requests.
    #[command(flatten)]
    pub selection: SelectionArgs,
}

/// `cmat sessions`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat sessions --since 7d\n          cmat sessions show 7f3a1c0e-…",
    args_conflicts_with_subcommands = true
)]
pub struct SessionsArgs {
    /// What to do; without it, they are listed.
    #[command(subcommand)]
    pub command: Option<SessionsCommand>,
    /// Which ones.
    #[command(flatten)]
    pub list: SessionsListArgs,
}

/// `cmat sessions …`
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List sessions, the latest first.
    #[command(before_help = "Example:  cmat sessions list --where branch=main")]
    List(SessionsListArgs),
    /// Show what a session cost, by task, branch and model.
    #[command(
        before_help = "Example:  cmat sessions show 7f3a1c0e-…\n          cmat sessions show 7f3a1c0e-… --format banner"
    )]
    Show {
        /// The session's id.
        #[arg(add = ArgValueCandidates::new(names::sessions))]
        id: String,
        /// The form.
        #[arg(long, value_enum, default_value_t = SessionFormat::Table)]
        format: SessionFormat,
    },
}

/// The form in which a session is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SessionFormat {
    /// By task, branch and model.
    Table,
    /// One JSON document.
    Json,
    /// As at the end of `cmat run`: the prices, the session, all there is.
    Banner,
}

/// `cmat sessions list`
#[derive(Debug, Args)]
pub struct SessionsListArgs {
    /// Which requests.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Only so many of the latest.
    #[arg(long, value_name = "N", value_parser = whole(1..=u32::MAX, "10"))]
    pub top: Option<u32>,
}

/// `cmat stats`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat stats --json | jq -r .averages.task")]
pub struct StatsArgs {
    /// What to do; without it, they are shown.
    #[command(subcommand)]
    pub command: Option<StatsCommand>,
}

/// `cmat stats …`
#[derive(Debug, Subcommand)]
pub enum StatsCommand {
    /// Count from now on; what is recorded stays.
    #[command(before_help = "Example:  cmat stats reset --note \"after the move to another model\"")]
    Reset {
        /// What to remember of it.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}
