//! Limits on spending, as rules: what a limit is about, when it counts anew, and what follows from what was spent.
//!
//! Pure: what was spent, the present time and the task at hand are arguments. A budget comes from a file; every one
//! that applies holds, and the strictest decides. Nothing here can loosen one but an override that a person gave.

pub mod amount;
pub mod entry;
pub mod forecast;
pub mod scope;
pub mod standing;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::budget::scope::Scope;
use crate::id::ModelId;
use crate::money::Usd;
use crate::period::Calendar;
use crate::period::Period;
use crate::period::Unit;

/// A limit on what may be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Whose or what spending counts.
    pub scope: Scope,
    /// Real path of the project that alone counts; `None` is every project.
    pub within: Option<PathBuf>,
    /// When it counts anew.
    pub span: Span,
    /// How much may be spent in that time; above zero.
    pub limit: Usd,
    /// Percentages of the limit that are told once each, ascending.
    pub warn: Vec<u32>,
    /// The same of what the period is expected to come to.
    pub forecast: Vec<u32>,
    /// What happens when it is used up.
    pub on_exceed: OnExceed,
    /// What happens when a request that counts has no price.
    pub unpriced: Unpriced,
    /// The zone and week that its days and weeks are of.
    pub calendar: Calendar,
    /// Which file says so.
    pub origin: Origin,
    /// Whether a person at a terminal may go past it.
    pub overridable: bool,
}

/// How long a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// From midnight to midnight.
    Day,
    /// Seven days.
    Week,
    /// A month of the calendar.
    Month,
    /// From the first request to the last.
    Total,
}

impl Span {
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// Returns the span of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.as_str() == name)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What happens when a budget is used up, mildest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnExceed {
    /// It is said.
    Warn,
    /// A person is asked before each tool; where nobody can be asked, it blocks.
    Ask,
    /// Only this cheaper model may go on.
    Downgrade(ModelId),
    /// No prompt and no tool.
    Block,
}

impl OnExceed {
    /// Returns the word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Ask => "ask",
            Self::Downgrade(_) => "downgrade",
            Self::Block => "block",
        }
    }
}

/// What happens when a request that counts has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unpriced {
    /// It is said.
    #[default]
    Warn,
    /// Like a budget that is used up: nobody knows how much is left.
    Block,
}

/// Which file a budget comes from; a later one is under less control of the person at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The user's own configuration.
    User,
    /// A file of the project at hand.
    Project,
    /// The machine's, which its administrator keeps.
    Managed,
}

impl Origin {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Managed => "managed",
        }
    }
}

impl Budget {
    /// Returns its name, such as `user/month` or `enhancement:checkout/total`, by which people change it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.scope, self.span)
    }

    /// Returns a name that no budget with another limit, file or project has, under which is remembered what was told.
    pub fn key(&self) -> String {
        let within = self.within.as_deref().unwrap_or_else(|| Path::new("")).display();
        format!("{} {} {} {}", self.origin.as_str(), self.id(), self.limit, within)
    }

    /// Returns the time that counts at `now`.
    pub fn period(&self, now: Timestamp) -> Period {
        let unit = match self.span {
            Span::Day => Unit::Day,
            Span::Week => Unit::Week,
            Span::Month => Unit::Month,
            Span::Total => return Period::ALL,
        };
        self.calendar.period(unit, now)
    }

    /// Returns whether `name`, which a person wrote, means this budget: its id, or its scope alone.
    pub fn is_named(&self, name: &str) -> bool {
        name == self.id() || name == self.scope.to_string()
    }
}

#[cfg(test)]
mod tests;
