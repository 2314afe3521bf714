//! `cmat costs …`

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;
use clap::ValueHint;
use clap_complete::ArgValueCandidates;

use crate::cli::ExportArgs;
use crate::cli::ReconcileArgs;
use crate::cli::SelectionArgs;
use crate::cli::SetBudgetArgs;
use crate::cli::SummaryArgs;
use crate::cli::names;
use crate::cli::number::whole;

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
    /// List the tasks of this project with what they cost, by enhancement.
    #[command(before_help = "Example:  cmat costs list --since 7d")]
    List(SelectionArgs),
    /// Show the dearest tasks of all projects.
    #[command(before_help = "Example:  cmat costs top 5 --during last-month")]
    Top {
        /// How many.
        #[arg(default_value_t = 10, value_parser = whole(1..=u32::MAX, "5"))]
        n: u32,
        /// Which requests.
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Show what was spent: another name of `cmat status`.
    #[command(before_help = "Example:  cmat cost status")]
    Status,
    /// Sum up some days: another name of `cmat summary`.
    #[command(before_help = "Example:  cmat cost summary --days 30")]
    Summary(SummaryArgs),
    /// Set what you may spend in a day, a week, a month: another name of `cmat set-budget`.
    #[command(before_help = "Example:  cmat cost set-budget --daily 5 --monthly 50")]
    SetBudget(SetBudgetArgs),
    /// Write what requests cost for other programs: another name of `cmat export`.
    #[command(before_help = "Example:  cmat cost export csv costs.csv --days 30")]
    Export(ExportArgs),
    /// Read what transcripts hold and hooks left undone: another name of `cmat reconcile`.
    #[command(before_help = "Example:  cmat costs sync --dry-run")]
    Sync(ReconcileArgs),
}

/// `cmat costs extract`
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Task to record the cost for.
    #[arg(add = ArgValueCandidates::new(names::tasks))]
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
    #[arg(add = ArgValueCandidates::new(names::tasks))]
    pub task: String,
    /// Show models, sessions and kinds of tokens too.
    #[arg(long)]
    pub breakdown: bool,
}

/// `cmat costs enhancement`
#[derive(Debug, Args)]
pub struct EnhancementArgs {
    /// Enhancement, as the tasks name it.
    #[arg(add = ArgValueCandidates::new(names::enhancements))]
    pub name: String,
    /// Show its tasks and kinds of tokens too.
    #[arg(long)]
    pub breakdown: bool,
}
