//! `cmat budget … | set-budget | audit`: limits on spending, and who changed them.

use clap::ArgGroup;
use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use jiff::SignedDuration;

use crate::budget::amount;
use crate::cli::number::whole;
use crate::id::ModelId;
use crate::money::Usd;

/// `cmat budget …`
#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// Set a budget in your own config.toml, whose comments stay.
    Set(Box<BudgetSetArgs>),
    /// List the budgets that hold here, and where each is written.
    #[command(before_help = "Example:  cmat budget list")]
    List,
    /// Show what was spent of each budget, and what happens next.
    #[command(before_help = "Example:  cmat budget status")]
    Status,
    /// Ask whether an amount may be spent: exit code 0, or 3 if a budget stands in the way.
    #[command(before_help = "Example:  cmat budget check --estimate 0.50 && claude -p \"…\"")]
    Check {
        /// USD that are about to be spent; without it, whether anything may be.
        #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, allow_hyphen_values = true)]
        estimate: Option<Usd>,
    },
    /// Go past a budget for a time; from a terminal, and for the record.
    #[command(
        before_help = "Example:  cmat budget override user/day --amount 2 --for 2h --reason \"release blocker\""
    )]
    Override {
        /// Scope, or scope and period, as `cmat budget list` names them.
        scope: String,
        /// USD that may be spent beyond the limit.
        #[arg(long, value_parser = amount::parse, allow_hyphen_values = true)]
        amount: Usd,
        /// How long it holds: minutes, hours or days, such as 90m, 2h, 1d; a week at most.
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        time: SignedDuration,
        /// Why; it is kept in the audit.
        #[arg(long)]
        reason: String,
    },
    /// Show which alerts were raised, and which could not be delivered yet.
    #[command(
        before_help = "Example:  cmat budget alerts --test   # sends one by each way that is configured"
    )]
    Alerts {
        /// Try what is undelivered now.
        #[arg(long)]
        deliver: bool,
        /// Send a trial by each way that is configured.
        #[arg(long, conflicts_with = "deliver")]
        test: bool,
    },
    /// Remove a budget from your own config.toml.
    #[command(before_help = "Example:  cmat budget remove user/day")]
    Remove {
        /// Scope and period, as `cmat budget list` names them; the scope alone if it has one period.
        id: String,
    },
}

/// `cmat budget set`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat budget set --monthly 50 --warn 50,80,100\n          \
                   cmat budget set --total 10 --enhancement checkout",
    group = ArgGroup::new("limit").args(["daily", "weekly", "monthly", "total"]).required(true).multiple(true),
    group = ArgGroup::new("scope").args(["user", "enhancement", "branch", "task", "model", "agent", "tag"])
)]
pub struct BudgetSetArgs {
    /// How much.
    #[command(flatten)]
    pub limits: Limits,
    /// All that you spend; so it is if no other scope is named.
    #[arg(long)]
    pub user: bool,
    /// An enhancement, or `*` for each one on its own. (--project DIR alone is a scope too, and narrows the others.)
    #[arg(long, value_name = "NAME")]
    pub enhancement: Option<String>,
    /// A git branch, or `*`.
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// A task, or `*`.
    #[arg(long, value_name = "ID")]
    pub task: Option<String>,
    /// A model, or `*`.
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// An agent, or `*`.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// A tag with its value, as in CMAT_TAGS.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Option<String>,
    /// Percentages of the limit that are told once each; 80 and 100 if absent.
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', value_parser = whole(0..=u32::MAX, "80"))]
    pub warn: Option<Vec<u32>>,
    /// Percentages that are told when the period is expected to reach them.
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', value_parser = whole(0..=u32::MAX, "80"))]
    pub forecast: Option<Vec<u32>>,
    /// What happens when the budget is used up; `block` if absent.
    #[arg(long, value_name = "WHAT")]
    pub on_exceed: Option<OnExceedWord>,
    /// The cheaper model of `--on-exceed downgrade`.
    #[arg(long, value_name = "MODEL")]
    pub downgrade_to: Option<ModelId>,
    /// What happens with requests that have no price; `warn` if absent.
    #[arg(long, value_name = "WHAT")]
    pub unpriced: Option<UnpricedWord>,
}

/// How much may be spent in which time.
#[derive(Debug, Clone, Copy, Args)]
pub struct Limits {
    /// USD a day.
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, allow_hyphen_values = true)]
    pub daily: Option<Usd>,
    /// USD a week.
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, allow_hyphen_values = true)]
    pub weekly: Option<Usd>,
    /// USD a month of the calendar.
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, allow_hyphen_values = true)]
    pub monthly: Option<Usd>,
    /// USD in all.
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, allow_hyphen_values = true)]
    pub total: Option<Usd>,
}

/// `cmat set-budget`
#[derive(Debug, Args)]
#[command(
    before_help = "Example:  cmat set-budget --daily 5.00 --monthly 50.00",
    group = ArgGroup::new("limit").args(["daily", "weekly", "monthly", "total"]).required(true).multiple(true)
)]
pub struct SetBudgetArgs {
    /// How much.
    #[command(flatten)]
    pub limits: Limits,
}

/// `cmat audit`
#[derive(Debug, Args)]
#[command(before_help = "Example:  cmat audit --verify")]
pub struct AuditArgs {
    /// Check that no line was changed, put in or taken out; exit with 5 if one was.
    #[arg(long)]
    pub verify: bool,
}

/// What happens when a budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnExceedWord {
    /// It is said.
    Warn,
    /// You are asked before each tool.
    Ask,
    /// No prompt and no tool.
    Block,
    /// Only the model of --downgrade-to goes on.
    Downgrade,
}

/// What happens with requests that have no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnpricedWord {
    /// It is said.
    Warn,
    /// Nothing goes on: nobody knows how much is left.
    Block,
}

impl OnExceedWord {
    /// Returns the word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Ask => "ask",
            Self::Block => "block",
            Self::Downgrade => "downgrade",
        }
    }
}

/// Longest time that an override holds, in hours.
const MAX_HOURS: i64 = 7 * 24;

/// Reads a time: minutes, hours or days.
fn time(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is no time: expected minutes, hours or days, such as 90m, 2h or 1d");
    let (number, unit) =
        text.trim().split_at_checked(text.trim().len().saturating_sub(1)).ok_or_else(wrong)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let n: i64 = number.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    let minutes = match unit {
        "m" => Some(n),
        "h" => n.checked_mul(60),
        "d" => n.checked_mul(24 * 60),
        _ => return Err(wrong()),
    };
    match minutes {
        Some(minutes) if (1..=MAX_HOURS * 60).contains(&minutes) => Ok(SignedDuration::from_mins(minutes)),
        _ => Err(format!(
            "`{text}` is out of range: an override holds for a minute at least and 7 days at most"
        )),
    }
}
