//! `cmat init | uninstall | doctor | demo`

use std::path::PathBuf;

use clap::Args;
use clap::ValueHint;

/// `cmat init`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat init --dry-run")]
pub struct InitArgs {
    /// For all projects: ~/.claude/settings.json, which also holds in subfolders.
    #[arg(long)]
    pub global: bool,
    /// Let budgets stop prompts and tools, in all projects; implies --global.
    #[arg(long)]
    pub enforce: bool,
    /// Show what would change and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Put cmat's hook in the place of the Python cost hook, or of its own script that was changed; copies are kept.
    #[arg(long)]
    pub replace: bool,
    /// Print the setting for a status line with costs, and change nothing.
    #[arg(long, conflicts_with_all = ["dry_run", "replace"])]
    pub statusline: bool,
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

/// `cmat doctor`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat doctor --fix")]
pub struct DoctorArgs {
    /// Mend what is safe first: permissions, a damaged ledger, what hooks left, values erased from task queues.
    #[arg(long)]
    pub fix: bool,
    /// Run a made-up session through the hook in a temporary folder too, and compare its cost.
    #[arg(long)]
    pub self_test: bool,
}

/// `cmat demo`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat demo")]
pub struct DemoArgs {
    /// Keep the project in this new folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
}
