//! `cmat run | statusline | completions | man`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use clap::ValueHint;
use clap_complete::ArgValueCandidates;

use crate::cli::names;

/// `cmat run`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat run --task T-1 --tag chapter=3 -- claude -p \"Write the tests\"")]
pub struct RunArgs {
    /// Task that the run is for.
    #[arg(long, add = ArgValueCandidates::new(names::tasks))]
    pub task: Option<String>,
    /// Enhancement that it is for, if the task names none.
    #[arg(long, add = ArgValueCandidates::new(names::enhancements))]
    pub enhancement: Option<String>,
    /// A tag of its requests; may be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,
    /// Start also where a budget that can be overridden stands in the way; hooks hold it all the same.
    #[arg(long, requires = "reason")]
    pub skip_budget_check: bool,
    /// Why; it is kept in the audit.
    #[arg(long, value_name = "TEXT", requires = "skip_budget_check")]
    pub reason: Option<String>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// `cmat completions`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat completions bash >> ~/.bashrc")]
pub struct CompletionsArgs {
    /// Your shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// Friendly interactive shell.
    Fish,
    /// `PowerShell`.
    Powershell,
}

impl Shell {
    /// Returns the shell's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
        }
    }
}

/// `cmat man`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat man ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Folder for the pages; it is made if it is not there.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

/// Reads a tag; the key is checked with the environment's.
pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}` is no tag: expected KEY=VALUE, such as chapter=3, without a comma");
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    let is_tag = crate::attribution::is_tag_key(key) && !value.is_empty() && !value.contains(',');
    if is_tag { Ok((key.to_owned(), value.to_owned())) } else { Err(wrong()) }
}
