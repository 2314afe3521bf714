//! The arguments; the doc comments are the help text.
//!
//! Types only: what they mean is decided in [`crate::commands`]. One file for each group of commands.

mod budget;
mod costs;
mod exchange;
mod installation;
mod models;
mod names;
mod number;
mod records;
mod reports;
mod shell;
mod task;

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap::ValueHint;
use jiff::tz::TimeZone;

use crate::config;

pub use self::budget::AuditArgs;
pub use self::budget::BudgetCommand;
pub use self::budget::BudgetSetArgs;
pub use self::budget::Limits;
pub use self::budget::OnExceedWord;
pub use self::budget::SetBudgetArgs;
pub use self::budget::UnpricedWord;
pub use self::costs::CostsCommand;
pub use self::costs::EnhancementArgs;
pub use self::costs::ExtractArgs;
pub use self::costs::ShowArgs;
pub use self::exchange::ExportArgs;
pub use self::exchange::ExportForm;
pub use self::exchange::ExportLevel;
pub use self::exchange::ImportArgs;
pub use self::exchange::ImportKind;
pub use self::exchange::RecordArgs;
pub use self::installation::DemoArgs;
pub use self::installation::DoctorArgs;
pub use self::installation::InitArgs;
pub use self::installation::UninstallArgs;
pub use self::models::ModelsAddArgs;
pub use self::models::ModelsCommand;
pub use self::records::CalcArgs;
pub use self::records::EstimateArgs;
pub use self::records::ExplainArgs;
pub use self::records::ForgetArgs;
pub use self::records::ReattributeArgs;
pub use self::records::ReconcileArgs;
pub use self::records::RepriceArgs;
pub use self::records::TokenArgs;
pub use self::reports::AdviseArgs;
pub use self::reports::AnomaliesArgs;
pub use self::reports::CacheArgs;
pub use self::reports::Comparison;
pub use self::reports::ForecastArgs;
pub use self::reports::Format;
pub use self::reports::ReportArgs;
pub use self::reports::SelectionArgs;
pub use self::reports::SessionFormat;
pub use self::reports::SessionsArgs;
pub use self::reports::SessionsCommand;
pub use self::reports::SessionsListArgs;
pub use self::reports::SortBy;
pub use self::reports::StatsArgs;
pub use self::reports::StatsCommand;
pub use self::reports::SummaryArgs;
pub use self::shell::CompletionsArgs;
pub use self::shell::ManArgs;
pub use self::shell::RunArgs;
pub use self::shell::Shell;
pub use self::task::TaskCommand;

/// Tells what each task and feature of Claude Code work cost, exact to the request.
#[derive(Debug, Parser)]
#[command(
    name = "cmat",
    version,
    before_help = "Example:  cmat demo\n          cmat init && claude   # then: cmat costs show TASK",
    after_help = "Exit codes: 0 done, 1 not found or failed, 2 usage, 3 a budget is exceeded, 4 recorded but the task queue could not be \
                  updated yet, 5 a failed check or drift found, 6 an estimate or an unpriced amount with --strict; \
                  `cmat run`: that of the program, or 3.",
    max_term_width = 100
)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do; without it, what was spent is shown.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What applies to every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Project folder, instead of the one you are in.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub project: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// With amounts as JSON numbers instead of strings; implies --json.
    #[arg(long, global = true)]
    pub json_numbers: bool,
    /// Exit with 6 if a figure is estimated, a lower bound or partly unpriced.
    #[arg(long, global = true)]
    pub strict: bool,
    /// Time zone of days and hours, such as Europe/Berlin, instead of your own.
    #[arg(long, short = 'z', global = true, value_name = "ZONE", value_parser = config::time_zone)]
    pub timezone: Option<TimeZone>,
    /// Colours of words on stderr.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = false
    )]
    pub color: Color,
    /// Only ASCII in what cmat itself writes; names stay as they are.
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Say nothing on stderr but errors.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr; twice for details.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When words are coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what requests cost, by day, task, branch, model and more.
    Report(ReportArgs),
    /// Show what was spent today, in seven days and this month, and on which tasks; so does `cmat` alone.
    #[command(before_help = "Example:  cmat status")]
    Status,
    /// Sum up some days: total, daily average, by model, by operation.
    Summary(SummaryArgs),
    /// List sessions, or show one.
    Sessions(SessionsArgs),
    /// Show totals and averages per request, session, task and enhancement.
    Stats(StatsArgs),
    /// Show what the prompt cache saved and cost.
    Cache(CacheArgs),
    /// Extract and show the cost of tasks and enhancements.
    #[command(subcommand, alias = "cost", before_help = "Example:  cmat costs show task_1702345678_12345")]
    Costs(CostsCommand),
    /// List, show and change model prices.
    #[command(subcommand, before_help = "Example:  cmat models list --prices")]
    Models(ModelsCommand),
    /// Set, show and check limits on spending.
    #[command(subcommand, before_help = "Example:  cmat budget set --daily 5 --monthly 50")]
    Budget(BudgetCommand),
    /// Set what you may spend in a day, a week, a month.
    SetBudget(SetBudgetArgs),
    /// Tell what today, this week and this month are expected to come to.
    Forecast(ForecastArgs),
    /// Tell what stands out: a session or an hour far above the others, a cache that stopped hitting.
    Anomalies(AnomaliesArgs),
    /// Tell what would have been cheaper, computed from your own requests.
    Advise(AdviseArgs),
    /// Show what changed prices, limits or records, and who did it.
    Audit(AuditArgs),
    /// Compute what tokens cost, with the arithmetic shown.
    Calc(CalcArgs),
    /// Estimate what a task, an enhancement or so many turns will cost, by what such work cost you before.
    Estimate(EstimateArgs),
    /// Show each request × its price = its cost, for a task, a session or one request.
    Explain(ExplainArgs),
    /// Write what requests cost for other programs: CSV, JSON, Parquet, FOCUS, plain-text accounting.
    Export(ExportArgs),
    /// Import what another program recorded, beside what transcripts show.
    Import(ImportArgs),
    /// Record a request that came from elsewhere.
    Record(RecordArgs),
    /// Read what transcripts hold and hooks left undone.
    Reconcile(ReconcileArgs),
    /// Decide again which session, project and task each request belongs to, from what was recorded.
    Reattribute(ReattributeArgs),
    /// Forget a session, a project (--project DIR) or all before a day, for good.
    Forget(ForgetArgs),
    /// Price recorded requests again with the prices of today's tables, each at its own day.
    Reprice(RepriceArgs),
    /// Make, choose and list tasks where no task queue does it.
    #[command(subcommand, before_help = "Example:  cmat task new \"Checkout page\" --enhancement checkout")]
    Task(TaskCommand),
    /// Run Claude Code for a task, book the run when it is over, and tell what it cost.
    Run(RunArgs),
    /// Print a line for Claude Code's `statusLine`, from what it says on stdin.
    #[command(
        before_help = "Example:  cmat init --statusline   # prints the setting that runs `cmat statusline`"
    )]
    Statusline,
    /// Install the hooks in this project, or for all projects with --global.
    Init(InitArgs),
    /// Take cmat's hooks out again; recorded costs stay.
    Uninstall(UninstallArgs),
    /// Check the installation, each fault with the command that fixes it.
    Doctor(DoctorArgs),
    /// Show all of it on a made-up project, offline, in a temporary folder.
    Demo(DemoArgs),
    /// Print what your shell is to run when it starts, so that it completes commands, tasks and enhancements.
    Completions(CompletionsArgs),
    /// Write a manual page for each command into a folder.
    Man(ManArgs),
    /// Print the version, as `cmat --version` does.
    #[command(before_help = "Example:  cmat version")]
    Version,
    /// Called by Claude Code's hooks; never fails, prints nothing.
    #[command(hide = true)]
    Hook {
        /// `session-start`, `session-end`, `stop` or `subagent-stop`, and what its script passes on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn assert_begins_with_an_example(command: &clap::Command) {
        let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        let is_hidden = command.is_hide_set() || command.get_name() == "help";
        assert!(is_hidden || help.starts_with("Example:  cmat "), "help of `{}`", command.get_name());
        command.get_subcommands().for_each(assert_begins_with_an_example);
    }

    #[test]
    fn every_help_begins_with_an_example() {
        Cli::command().debug_assert();
        assert_begins_with_an_example(&Cli::command());
    }
}
