//! What a budget is about, and whether that is what is about to cost.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::attribution;

/// By what spending is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// All that this user's sessions cost.
    User,
    /// The project, by the path of its main worktree.
    Project,
    /// The git branch.
    Branch,
    /// The task.
    Task,
    /// The enhancement.
    Enhancement,
    /// The agent.
    Agent,
    /// The model, by the id of its price row.
    Model,
    /// A tag and its value, written `KEY=VALUE`.
    Tag,
}

impl Dimension {
    const ALL: [Self; 8] = [
        Self::User,
        Self::Project,
        Self::Branch,
        Self::Task,
        Self::Enhancement,
        Self::Agent,
        Self::Model,
        Self::Tag,
    ];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Branch => "branch",
            Self::Task => "task",
            Self::Enhancement => "enhancement",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Tag => "tag",
        }
    }
}

/// What a budget is about, written `user`, `enhancement:checkout`, or `task:*` for each task on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// By what spending is told apart.
    pub dimension: Dimension,
    /// Which one; `None` is the user, or each one on its own.
    pub name: Option<String>,
}

/// Longest name in a scope, in bytes.
const MAX_NAME_BYTES: usize = 4096;

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The word before the colon is unknown.
    #[error(
        "`{0}` is no scope: expected `user`, or `project:`, `branch:`, `task:`, `enhancement:`, `agent:` or `model:` \
         and a name, or `*` for each one on its own, or `tag:KEY=VALUE`"
    )]
    Unknown(String),
    /// There is no name after the colon.
    #[error("scope `{0}` lacks a name: write `{0}:NAME`, or `{0}:*` for each one on its own")]
    Nameless(&'static str),
    /// `user` has a name.
    #[error("scope `user` has no name: it is all that you spend")]
    NamedUser,
    /// A tag has no value, or a key that none can have.
    #[error("scope `tag` is about one value of a tag: write `tag:KEY=VALUE`, such as `tag:chapter=3`")]
    Tag,
    /// The name is too long or holds a control character.
    #[error("the name in scope `{0}:…` is longer than 4096 bytes or holds a control character")]
    Name(&'static str),
}

impl Scope {
    /// All that the user spends.
    pub const USER: Self = Self { dimension: Dimension::User, name: None };

    /// Returns the scope of one name; `*` is each one on its own.
    pub fn new(dimension: Dimension, name: &str) -> Result<Self, ScopeError> {
        let word = dimension.as_str();
        if dimension == Dimension::User {
            return Err(ScopeError::NamedUser);
        }
        if name.trim().is_empty() {
            return Err(ScopeError::Nameless(word));
        }
        if name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            return Err(ScopeError::Name(word));
        }
        let is_tag =
            tag(name).is_some_and(|(key, value)| attribution::is_tag_key(key) && !value.trim().is_empty());
        if dimension == Dimension::Tag && !is_tag {
            return Err(ScopeError::Tag);
        }
        Ok(Self { dimension, name: (name != "*").then(|| name.to_owned()) })
    }

    /// Returns which one of the scope's kind `subject` is, if the scope is about it; the user has an empty name.
    pub fn name_of<'a>(&'a self, subject: &'a Subject) -> Option<&'a str> {
        let own = match self.dimension {
            Dimension::User => return Some(""),
            Dimension::Project => subject.project.as_deref(),
            Dimension::Branch => subject.branch.as_deref(),
            Dimension::Task => subject.task.as_deref(),
            Dimension::Enhancement => subject.enhancement.as_deref(),
            Dimension::Agent => subject.agent.as_deref(),
            Dimension::Model => subject.model.as_deref(),
            Dimension::Tag => {
                let has = |name: &&str| {
                    tag(name)
                        .is_some_and(|(key, value)| subject.tags.get(key).is_some_and(|own| own == value))
                };
                return self.name.as_deref().filter(has);
            }
        };
        own.filter(|own| self.name.as_deref().is_none_or(|name| name == *own))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.dimension.as_str();
        match (&self.name, self.dimension) {
            (_, Dimension::User) => f.pad(word),
            (name, _) => f.pad(&format!("{word}:{}", name.as_deref().unwrap_or("*"))),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let text = text.trim();
        let (word, name) = match text.split_once(':') {
            Some((word, name)) => (word, Some(name)),
            None => (text, None),
        };
        let known = Dimension::ALL.into_iter().find(|dimension| dimension.as_str() == word);
        let Some(dimension) = known else {
            return Err(ScopeError::Unknown(text.chars().take(60).collect()));
        };
        match (dimension, name) {
            (Dimension::User, None) => Ok(Self::USER),
            (_, None) => Err(ScopeError::Nameless(dimension.as_str())),
            (_, Some(name)) => Self::new(dimension, name),
        }
    }
}

/// Returns key and value of a tag as a scope names it.
pub fn tag(name: &str) -> Option<(&str, &str)> {
    name.split_once('=').map(|(key, value)| (key.trim(), value))
}

/// What is about to cost: what the next request of a session will be counted for, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Path of the project's main worktree.
    pub project: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
    /// The task.
    pub task: Option<String>,
    /// The enhancement.
    pub enhancement: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The model, by the id of its price row.
    pub model: Option<String>,
    /// The tags, each with its value.
    pub tags: BTreeMap<String, String>,
}
