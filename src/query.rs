//! What can be asked of the ledger: by what requests are grouped, and which of them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::attribution;
use crate::id::ModelId;
use crate::period::Period;
use crate::period::Unit;
use crate::summary::CacheTotals;
use crate::summary::Totals;

/// What requests are grouped by, or told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The hour, day, week or month of the user's calendar.
    Time(Unit),
    /// The task.
    Task,
    /// The enhancement.
    Enhancement,
    /// The git branch.
    Branch,
    /// The ticket that the branch names.
    Ticket,
    /// The pull request, as `owner/repository#42` or `#42`.
    PullRequest,
    /// The first commit on the branch after it.
    Commit,
    /// The agent or subagent.
    Agent,
    /// The skill.
    Skill,
    /// The slash command that was asked for.
    Command,
    /// The MCP server whose tool it was made for.
    McpServer,
    /// What a request was for: as its source says, else the kind of its task, the agent, the skill, the command.
    Operation,
    /// Who worked.
    User,
    /// The value of the tag of this name.
    Tag(String),
    /// The price row of the model, else the model as the request names it.
    Model,
    /// The session that owns the request.
    Session,
    /// The project: path of its main worktree.
    Project,
}

/// The dimensions by the names that people use, `tag:KEY` apart.
const NAMES: &[(&str, Dimension)] = &[
    ("hour", Dimension::Time(Unit::Hour)),
    ("day", Dimension::Time(Unit::Day)),
    ("week", Dimension::Time(Unit::Week)),
    ("month", Dimension::Time(Unit::Month)),
    ("task", Dimension::Task),
    ("enhancement", Dimension::Enhancement),
    ("branch", Dimension::Branch),
    ("ticket", Dimension::Ticket),
    ("pr", Dimension::PullRequest),
    ("commit", Dimension::Commit),
    ("agent", Dimension::Agent),
    ("skill", Dimension::Skill),
    ("command", Dimension::Command),
    ("mcp-server", Dimension::McpServer),
    ("operation", Dimension::Operation),
    ("model", Dimension::Model),
    ("session", Dimension::Session),
    ("project", Dimension::Project),
    ("user", Dimension::User),
];

/// How the name of a tag's dimension begins.
const TAG: &str = "tag:";

/// Why a question cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nothing of that name tells requests apart.
    #[error("`{name}` is no dimension: expected one of {}, tag:KEY", names())]
    UnknownDimension {
        /// The name as found, its beginning at most.
        name: String,
    },
    /// A condition has no `=`.
    #[error("`{text}` is no condition: expected DIMENSION=VALUE, such as branch=main")]
    NotACondition {
        /// The text as found, its beginning at most.
        text: String,
    },
    /// The text names no pull request.
    #[error("`{text}` is no pull request: expected a number, owner/repository#42, or its address")]
    NotAPullRequest {
        /// The text as found, its beginning at most.
        text: String,
    },
    /// A condition is about time.
    #[error("`{text}`: days are chosen with --since and --until")]
    TimeCondition {
        /// The text as found, its beginning at most.
        text: String,
    },
}

fn names() -> String {
    NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn beginning(text: &str) -> String {
    text.chars().take(40).collect()
}

impl Dimension {
    /// Returns all dimensions that have a name of their own.
    pub fn all() -> Vec<Self> {
        NAMES.iter().map(|(_, dimension)| dimension.clone()).collect()
    }
}

impl FromStr for Dimension {
    type Err = QueryError;

    fn from_str(name: &str) -> Result<Self, QueryError> {
        let name = name.trim();
        if let Some(key) = name.strip_prefix(TAG).filter(|key| attribution::is_tag_key(key)) {
            return Ok(Self::Tag(key.to_owned()));
        }
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, dimension)| dimension.clone())
            .ok_or_else(|| QueryError::UnknownDimension { name: beginning(name) })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Tag(key) = self {
            return f.pad(&format!("{TAG}{key}"));
        }
        let name = NAMES.iter().find(|(_, dimension)| dimension == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

/// Splits what `branch:main`, `day:today` or `tag:chapter:3` name into the dimension and the value, as it was written;
/// `None` if there is no dimension of that name.
///
/// ```
/// use cmat::query::Dimension;
/// use cmat::query::split_name;
///
/// assert_eq!(split_name("branch:a:b"), Some((Dimension::Branch, "a:b")));
/// assert_eq!(split_name("msg_01"), None);
/// ```
pub fn split_name(text: &str) -> Option<(Dimension, &str)> {
    let mut colons = text.match_indices(':');
    colons.find_map(|(at, _)| Some((text.get(..at)?.parse().ok()?, text.get(at + 1..)?)))
}

/// That requests have a value in a dimension, or none: `branch=main`, `task=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The dimension; never time.
    pub dimension: Dimension,
    /// The value as it is recorded; `None` for requests that have none, the unattributed.
    pub value: Option<String>,
}

impl FromStr for Condition {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| QueryError::NotACondition { text: beginning(text) })?;
        let dimension: Dimension = name.parse()?;
        if let Dimension::Time(_) = dimension {
            return Err(QueryError::TimeCondition { text: beginning(text) });
        }
        Ok(Self { dimension, value: (!value.is_empty()).then(|| value.to_owned()) })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.dimension, self.value.as_deref().unwrap_or(""))
    }
}

/// A pull request as a person names it: `42`, `#42`, `owner/repository#42`, or its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestName {
    /// `owner/repository`; `None`: that of the project at hand.
    pub repository: Option<String>,
    /// Its number there.
    pub number: u32,
}

impl FromStr for PullRequestName {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        pull_request(text).ok_or_else(|| QueryError::NotAPullRequest { text: beginning(text) })
    }
}

impl fmt::Display for PullRequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repository.as_deref().unwrap_or(""), self.number)
    }
}

fn pull_request(text: &str) -> Option<PullRequestName> {
    let is_name =
        |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    if let Some((_, path)) = text.split_once("://") {
        // https://host/owner/repository/pull/42, or …/-/merge_requests/42
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let at = parts.iter().position(|part| ["pull", "pulls", "merge_requests"].contains(part))?;
        let names: Vec<&str> = parts.get(1..at)?.iter().copied().filter(|part| *part != "-").collect();
        let names = names.iter().all(is_name).then_some(names).filter(|names| names.len() >= 2)?;
        let repository = Some(names[names.len() - 2..].join("/"));
        return Some(PullRequestName { repository, number: parts.get(at + 1)?.parse().ok()? });
    }
    let (repository, number) = text.rsplit_once('#').unwrap_or(("", text));
    let number = number.parse().ok()?;
    if repository.is_empty() {
        return Some(PullRequestName { repository: None, number });
    }
    let (owner, name) = repository.split_once('/')?;
    let repository = [owner, name].iter().all(is_name).then(|| repository.to_owned())?;
    Some(PullRequestName { repository: Some(repository), number })
}

/// Which requests a question is about.
///
/// Conditions on one dimension are alternatives; those on several must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// When they were made.
    pub period: Period,
    /// What they have.
    pub conditions: Vec<Condition>,
}

impl Filter {
    /// All requests.
    pub const ALL: Self = Self { period: Period::ALL, conditions: Vec::new() };

    /// Returns the conditions by the dimension that they are about.
    pub fn alternatives(&self) -> Vec<(&Dimension, Vec<Option<&str>>)> {
        let mut by_dimension: Vec<(&Dimension, Vec<Option<&str>>)> = Vec::new();
        for condition in &self.conditions {
            let value = condition.value.as_deref();
            match by_dimension.iter_mut().find(|(dimension, _)| **dimension == condition.dimension) {
                Some((_, values)) => values.push(value),
                None => by_dimension.push((&condition.dimension, vec![value])),
            }
        }
        by_dimension
    }
}

/// Where requests stand in a dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// In a period of time that begins then.
    Begins(Timestamp),
    /// Under a name.
    Name(String),
    /// Nowhere: nothing says where they belong.
    Unattributed,
}

/// Requests that stand in the same place in each dimension that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their place in each dimension, in the order asked for.
    pub keys: Vec<Key>,
    /// What they come to.
    pub totals: Totals,
    /// Price rows of their charges, sorted.
    pub models: Vec<ModelId>,
    /// The first of them, UTC.
    pub first: Timestamp,
    /// The last of them, UTC.
    pub last: Timestamp,
}

/// What the cache did for requests that stand in the same place in each dimension that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheGroup {
    /// Their place in each dimension, in the order asked for.
    pub keys: Vec<Key>,
    /// What the cache did for them.
    pub totals: CacheTotals,
}

/// Returns what all the groups come to.
pub fn whole<'group>(groups: impl IntoIterator<Item = &'group Group>) -> Totals {
    groups.into_iter().fold(Totals::default(), |mut whole, group| {
        whole.add(&group.totals);
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_shown_alike() {
        for (name, dimension) in NAMES {
            assert_eq!(name.parse::<Dimension>().as_ref(), Ok(dimension));
            assert_eq!(dimension.to_string(), *name);
        }
        let tag: Dimension = "tag:chapter".parse().unwrap();
        assert_eq!((&tag, tag.to_string().as_str()), (&Dimension::Tag("chapter".to_owned()), "tag:chapter"));
        assert!("tag:\"; DROP".parse::<Dimension>().is_err());
    }

    #[test]
    fn what_cannot_be_asked_is_told() {
        let message = |text: &str| text.parse::<Condition>().unwrap_err().to_string();
        assert!(
            message("weather=fine").starts_with("`weather` is no dimension: expected one of hour, day, ")
        );
        assert_eq!(
            message("branch"),
            "`branch` is no condition: expected DIMENSION=VALUE, such as branch=main"
        );
        assert_eq!(message("day=2026-11-01"), "`day=2026-11-01`: days are chosen with --since and --until");
    }

    #[test]
    fn conditions_on_one_dimension_are_alternatives() {
        let conditions = ["branch=main", "task=", "branch=a=b"].map(|text| text.parse().unwrap()).to_vec();
        let filter = Filter { conditions, ..Filter::ALL };
        assert_eq!(
            filter.alternatives(),
            [(&Dimension::Branch, vec![Some("main"), Some("a=b")]), (&Dimension::Task, vec![None]),]
        );
    }

    #[test]
    fn a_pull_request_is_named_in_several_ways() {
        let check = |text: &str, expected: Option<(Option<&str>, u32)>| {
            let found = text.parse::<PullRequestName>().ok();
            let found = found.as_ref().map(|name| (name.repository.as_deref(), name.number));
            assert_eq!(found, expected, "{text}");
        };
        check("42", Some((None, 42)));
        check("#42", Some((None, 42)));
        check("o/r#42", Some((Some("o/r"), 42)));
        check("https://github.com/o/r/pull/42", Some((Some("o/r"), 42)));
        check("https://gitlab.com/g/o/r/-/merge_requests/42/", Some((Some("o/r"), 42)));
        let no_names = ["", "-1", "x", "o#1", "o/r#", "o /r#1", "\u{1b}/r#1", "https://github.com/o/pull/x"];
        for text in no_names.iter().chain(&["x://pull/1"]) {
            check(text, None);
        }
    }
}
