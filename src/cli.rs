//! The arguments; the doc comments are the help text.
//!
//! Types only: what they mean is decided in [`crate::commands`].

use std::path::PathBuf;

use clap::ArgGroup;
use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueHint;

/// Tells what each task and feature of Claude Code work cost, exact to the request.
#[derive(Debug, Parser)]
#[command(
    name = "cmat",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "Example:  cmat demo\n          cmat init && claude   # then: cmat costs show TASK",
    after_help = "Exit codes: 0 done, 1 not found or failed, 2 usage, 4 recorded but the task queue could not be \
                  updated yet, 5 a failed check or drift found, 6 an estimate or an unpriced amount with --strict.",
    max_term_width = 100
)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
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
    /// Exit with 6 if a figure is estimated, a lower bound or partly unpriced.
    #[arg(long, global = true)]
    pub strict: bool,
    /// Say more on stderr; twice for details.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Extract and show the cost of tasks and enhancements.
    #[command(subcommand, before_help = "Example:  cmat costs show task_1702345678_12345")]
    Costs(CostsCommand),
    /// List, show and change model prices.
    #[command(subcommand, before_help = "Example:  cmat models list --prices")]
    Models(ModelsCommand),
    /// Compute what tokens cost, with the arithmetic shown.
    Calc(CalcArgs),
    /// Show each request × its price = its cost, for a task, a session or one request.
    Explain(ExplainArgs),
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
    /// Install the hook in this project, or for all projects with --global.
    Init(InitArgs),
    /// Take cmat's hooks out again; recorded costs stay.
    Uninstall(UninstallArgs),
    /// Check the installation, each fault with the command that fixes it.
    #[command(before_help = "Example:  cmat doctor")]
    Doctor,
    /// Show all of it on a made-up project, offline, in a temporary folder.
    Demo(DemoArgs),
    /// Called by Claude Code's hooks; never fails, prints nothing.
    #[command(hide = true)]
    Hook {
        /// `session-start`, `session-end`, `stop` or `subagent-stop`, and what its script passes on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// `cmat costs …`
#[derive(Debug, Subcommand)]
pub enum CostsCommand {
    /// Record a transcript's cost for a task.
    #[command(
        before_help = "Example:  cmat costs extract task_1702345678_12345 ~/.claude/projects/-app/7f3a….jsonl"
    )]
    Extract(ExtractArgs),
    /// Show what a task cost.
    #[command(before_help = "Example:  cmat costs show task_1702345678_12345 --breakdown")]
    Show(ShowArgs),
    /// Show what all tasks of an enhancement cost.
    #[command(before_help = "Example:  cmat costs enhancement my-feature --breakdown")]
    Enhancement(EnhancementArgs),
    /// Read what transcripts hold and hooks left undone: another name of `cmat reconcile`.
    #[command(before_help = "Example:  cmat costs sync --dry-run")]
    Sync(ReconcileArgs),
}

/// `cmat costs extract`
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Task to record the cost for.
    pub task: String,
    /// Transcript (JSONL) that Claude Code wrote.
    #[arg(value_hint = ValueHint::FilePath)]
    pub transcript: PathBuf,
    /// Only this session of the transcript.
    pub session: Option<String>,
    /// Record even if the project's task queue does not have the task.
    #[arg(long)]
    pub force: bool,
}

/// `cmat costs show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Task to show.
    pub task: String,
    /// Show models, sessions and kinds of tokens too.
    #[arg(long)]
    pub breakdown: bool,
}

/// `cmat costs enhancement`
#[derive(Debug, Args)]
pub struct EnhancementArgs {
    /// Enhancement, as the tasks name it.
    pub name: String,
    /// Show its tasks and kinds of tokens too.
    #[arg(long)]
    pub breakdown: bool,
}

/// `cmat models …`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models of the project's models.json, or the built-in ones.
    #[command(before_help = "Example:  cmat models list --prices")]
    List {
        /// All five prices of each.
        #[arg(long)]
        prices: bool,
        /// Every row in force, also where the project has a models.json.
        #[arg(long)]
        all: bool,
    },
    /// Show one model and its prices.
    #[command(before_help = "Example:  cmat models show claude-opus-5-5 --history")]
    Show {
        /// Id of the row.
        id: String,
        /// Prices of other days too.
        #[arg(long)]
        history: bool,
    },
    /// Make a model the default, whose price unknown Claude models take.
    #[command(before_help = "Example:  cmat models set-default claude-opus-5-5")]
    SetDefault {
        /// Id of the row.
        id: String,
    },
    /// Tell which row prices a model id, and why.
    #[command(before_help = "Example:  cmat models which us.anthropic.claude-opus-4-5-20251101-v1:0")]
    Which {
        /// Model id as a transcript names it.
        model: String,
    },
    /// Check the price tables: patterns, shadowed rows, prices far from the list price.
    #[command(before_help = "Example:  cmat models check")]
    Check,
    /// Add a row to the project's models.json.
    #[command(
        before_help = "Example:  cmat models add claude-new-6 --input 5 --output 25 --cache-write 6.25 --cache-read 0.50"
    )]
    Add(Box<ModelsAddArgs>),
    /// Remove a row from the project's models.json.
    #[command(before_help = "Example:  cmat models remove claude-new-6")]
    Remove {
        /// Id of the row.
        id: String,
    },
    /// Bring prices of the project's models.json to the built-in list prices.
    #[command(before_help = "Example:  cmat models update --dry-run")]
    Update {
        /// Show the difference and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take Claude prices over from a LiteLLM or genai-prices file.
    #[command(before_help = "Example:  cmat models import model_prices_and_context_window.json --dry-run")]
    Import {
        /// `model_prices_and_context_window.json` or `data.json`.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Show the difference and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `cmat models add`
#[derive(Debug, Args)]
pub struct ModelsAddArgs {
    /// Id of the new row.
    pub id: String,
    /// Name for people; the id if absent.
    #[arg(long)]
    pub name: Option<String>,
    /// What the model is for.
    #[arg(long)]
    pub description: Option<String>,
    /// Regex or glob that model ids of transcripts match; the id itself if absent.
    #[arg(long)]
    pub pattern: Option<String>,
    /// Most output tokens of an answer.
    #[arg(long, value_name = "TOKENS")]
    pub max_tokens: Option<u64>,
    /// USD per million input tokens.
    #[arg(long, value_name = "USD")]
    pub input: String,
    /// USD per million output tokens.
    #[arg(long, value_name = "USD")]
    pub output: String,
    /// USD per million tokens written to the cache for five minutes; 1.25 × input if absent.
    #[arg(long, value_name = "USD")]
    pub cache_write: Option<String>,
    /// USD per million tokens written to the cache for one hour; 2 × input if absent.
    #[arg(long, value_name = "USD")]
    pub cache_write_1h: Option<String>,
    /// USD per million tokens read from the cache; 0.1 × input if absent.
    #[arg(long, value_name = "USD")]
    pub cache_read: Option<String>,
    /// Make it the default.
    #[arg(long)]
    pub default: bool,
}

/// `cmat calc`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat calc --model claude-sonnet-4-20250514 --input 12345 --output 3456 --cache-read 8901",
    group = ArgGroup::new("tokens")
        .args(["input", "output", "cache_write", "cache_write_1h", "cache_read"])
        .required(true)
        .multiple(true)
)]
pub struct CalcArgs {
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

/// `cmat explain`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat explain task_1702345678_12345")]
pub struct ExplainArgs {
    /// Task, session or request id (`msg_…`, `req_…`).
    pub what: String,
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

/// `cmat task …`
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Make a task and print its id.
    #[command(before_help = "Example:  cmat task new \"Checkout page\" --enhancement checkout")]
    New {
        /// Title of the task.
        title: String,
        /// Enhancement that it belongs to.
        #[arg(long)]
        enhancement: Option<String>,
    },
    /// Work on this task from now on, in sessions that name none.
    #[command(before_help = "Example:  cmat task use T-1")]
    Use {
        /// Task id.
        id: String,
    },
    /// Correct which task the requests of a session, or of a branch of this project, belong to.
    ///
    /// It holds for what was recorded, and for what comes until a later run of the session names its task.
    #[command(before_help = "Example:  cmat task assign feature/checkout T-1 --since 2026-11-02")]
    Assign {
        /// Session id, or git branch.
        what: String,
        /// Task id.
        task: String,
        /// Only requests of this day (UTC) or moment, and later.
        #[arg(long, value_name = "DATE|TIMESTAMP", value_parser = moment)]
        since: Option<jiff::Timestamp>,
    },
    /// List the tasks of this project.
    #[command(before_help = "Example:  cmat task list")]
    List,
    /// Show a task: title, enhancement, cost.
    #[command(before_help = "Example:  cmat task show T-1")]
    Show {
        /// Task id.
        id: String,
    },
}

/// Reads a moment: RFC 3339, or a day that begins at midnight UTC.
fn moment(text: &str) -> Result<jiff::Timestamp, jiff::Error> {
    text.parse().or_else(|_no_timestamp| {
        let day: jiff::civil::Date = text.parse()?;
        Ok(day.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp())
    })
}

/// `cmat init`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat init --dry-run")]
pub struct InitArgs {
    /// For all projects: ~/.claude/settings.json, which also holds in subfolders.
    #[arg(long)]
    pub global: bool,
    /// Show what would change and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Put cmat's hook in the place of the Python cost hook, or of its own script that was changed; copies are kept.
    #[arg(long)]
    pub replace: bool,
}

/// `cmat uninstall`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat uninstall --dry-run")]
pub struct UninstallArgs {
    /// From ~/.claude/settings.json.
    #[arg(long)]
    pub global: bool,
    /// Show what would change and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `cmat demo`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat demo")]
pub struct DemoArgs {
    /// Keep the project in this new folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
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
