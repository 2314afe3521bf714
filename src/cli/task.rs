//! `cmat task …`

use clap::Subcommand;
use clap_complete::ArgValueCandidates;

use crate::cli::names;

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
        #[arg(add = ArgValueCandidates::new(names::tasks))]
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
        #[arg(add = ArgValueCandidates::new(names::tasks))]
        task: String,
        /// Only requests of this day (UTC) or moment, and later.
        #[arg(long, value_name = "DATE|TIMESTAMP", value_parser = moment)]
        since: Option<jiff::Timestamp>,
    },
    /// Say which pull request a task went into.
    #[command(before_help = "Example:  cmat task link T-1 --pr 42")]
    Link {
        /// Task id.
        #[arg(add = ArgValueCandidates::new(names::tasks))]
        id: String,
        /// Number of the pull request, `owner/repository#42`, or its address.
        #[arg(long, value_name = "NUMBER|URL")]
        pr: String,
    },
    /// List the tasks of this project.
    #[command(before_help = "Example:  cmat task list")]
    List,
    /// Show a task: title, enhancement, cost.
    #[command(before_help = "Example:  cmat task show T-1")]
    Show {
        /// Task id.
        #[arg(add = ArgValueCandidates::new(names::tasks))]
        id: String,
    },
}

/// Reads a moment: RFC 3339, or a day that begins at midnight UTC.
pub(super) fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    let of_day = || {
        let day: jiff::civil::Date = text.parse().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let wrong = || "expected a day such as 2026-11-20 or a time such as 2026-11-20T14:30:00Z".to_owned();
    text.parse().ok().or_else(of_day).ok_or_else(wrong)
}
