//! `cmat report` and its like: questions about what is recorded.

use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use clap::ValueHint;

use crate::period::DayWords;
use crate::period::RangeWords;
use crate::query::Condition;
use crate::query::Dimension;

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
    #[arg(long = "where", value_name = "DIMENSION=VALUE")]
    pub conditions: Vec<Condition>,
}

/// `cmat report`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat report --by branch,model --during last-week\n          cmat report --by enhancement --since this-month --compare previous"
)]
pub struct ReportArgs {
    /// What to group by: hour, day, week, month, task, enhancement, branch, agent, operation, skill, model, session,
    /// project;
    /// several between commas. [default: day, or model in a comparison]
    #[arg(long, value_name = "DIMENSIONS", value_delimiter = ',')]
    pub by: Vec<Dimension>,
    /// Which requests.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Show the models of each row.
    #[arg(long)]
    pub breakdown: bool,
    /// Show what it was before: `previous` for the days directly before, or other days, such as 2026-10.
    #[arg(long, value_name = "DAYS")]
    pub compare: Option<Comparison>,
    /// Only so many rows, the others summed up in one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Order of the rows. [default: time as it goes, else the dearest first]
    #[arg(long, value_enum)]
    pub sort: Option<SortBy>,
    /// Form of the report. [default: table on a terminal, else plain]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Write it to a file.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace the file if there is one.
    #[arg(long, requires = "output")]
    pub force: bool,
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
