//! What a branch tells: its ticket, its enhancement, and whether they count.
//!
//! The patterns are a project's or the user's own; they are linear in time, and bounded in what they take.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;
use regex::RegexBuilder;

/// Branches that everything goes through: never a task, a ticket or an enhancement. A detached worktree is on `HEAD`.
const TRUNKS: [&str; 4] = ["main", "master", "develop", "HEAD"];

/// The pattern of tickets unless a configuration has another.
pub const DEFAULT_TICKET: &str = r"[A-Z]+-\d+|#\d+";

/// The pattern of branches that name an enhancement unless a configuration has another.
pub const DEFAULT_ENHANCEMENT: &str = "feature/(.+)";

/// Largest pattern when it is compiled, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Longest ticket or enhancement, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Where a task may come from, beside what a person said of requests that were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `CMAT_CURRENT_TASK_ID`.
    Environment,
    /// `.claude/cmat.task`, and what `cmat task use` said, which writes it.
    TaskFile,
    /// The ticket that a rule finds in the branch.
    Branch,
    /// What `cmat task use` said alone.
    Project,
}

impl Origin {
    /// All of them, in the order that holds unless a configuration has another.
    pub const ALL: [Self; 4] = [Self::Environment, Self::TaskFile, Self::Branch, Self::Project];
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is no pattern of a branch")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    source: Box<regex::Error>,
}

/// How requests of a project are attributed where nobody said it of them.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where a task comes from, the first that names one; what is not listed names none.
    pub order: Vec<Origin>,
    /// Who made requests of which nobody said it.
    pub user: Option<String>,
    ticket: Option<Pattern>,
    enhancement: Option<Pattern>,
}

/// A pattern of branches. The built-in ones are compiled when a branch is first asked that is no trunk: many projects
/// have no other, and a hook would wait for it.
#[derive(Debug, Clone)]
enum Pattern {
    BuiltIn(&'static LazyLock<Regex>),
    Own(Regex),
}

static TICKET: LazyLock<Regex> =
    LazyLock::new(|| compile(DEFAULT_TICKET).expect("a pattern of this file compiles"));
static ENHANCEMENT: LazyLock<Regex> =
    LazyLock::new(|| compile_whole(DEFAULT_ENHANCEMENT).expect("a pattern of this file compiles"));

impl Default for Rules {
    fn default() -> Self {
        Self {
            order: Origin::ALL.to_vec(),
            user: None,
            ticket: Some(Pattern::BuiltIn(&TICKET)),
            enhancement: Some(Pattern::BuiltIn(&ENHANCEMENT)),
        }
    }
}

/// What a branch tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BranchNames {
    /// The ticket.
    pub ticket: Option<String>,
    /// The enhancement.
    pub enhancement: Option<String>,
}

impl Rules {
    /// Returns the rules with these patterns in place of the built-in ones; an empty pattern finds nothing.
    ///
    /// A ticket may stand anywhere in a branch; the pattern of enhancements matches branches as a whole. Where a
    /// pattern has a group, the group is the name.
    ///
    /// # Errors
    /// If a pattern is none, or too large.
    pub fn with_patterns(
        self,
        ticket: Option<&str>,
        enhancement: Option<&str>,
    ) -> Result<Self, PatternError> {
        let ticket = match ticket {
            None => self.ticket,
            Some("") => None,
            Some(pattern) => Some(Pattern::Own(compile(pattern)?)),
        };
        let enhancement = match enhancement {
            None => self.enhancement,
            Some("") => None,
            Some(pattern) => Some(Pattern::Own(compile_whole(pattern)?)),
        };
        Ok(Self { ticket, enhancement, ..self })
    }

    /// Returns what `branch` tells.
    pub fn names(&self, branch: &str) -> BranchNames {
        if is_trunk(branch) {
            return BranchNames::default();
        }
        let enhancement =
            self.order.contains(&Origin::Branch).then(|| found(self.enhancement.as_ref(), branch)).flatten();
        BranchNames { ticket: found(self.ticket.as_ref(), branch), enhancement }
    }
}

/// Returns whether `branch` is one that everything goes through.
pub fn is_trunk(branch: &str) -> bool {
    TRUNKS.contains(&branch)
}

fn compile(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(|error| PatternError { pattern: pattern.to_owned(), source: Box::new(error) })
}

fn compile_whole(pattern: &str) -> Result<Regex, PatternError> {
    // Alone first: `a)(b` would be a pattern inside the group, and its error would show the group.
    compile(pattern).and_then(|_| compile(&format!("^(?:{pattern})$")))
}

fn found(pattern: Option<&Pattern>, branch: &str) -> Option<String> {
    let regex = match pattern? {
        Pattern::BuiltIn(regex) => regex,
        Pattern::Own(regex) => regex,
    };
    let captures = regex.captures(branch)?;
    let name = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0))?.as_str().trim();
    let is_name = !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control);
    is_name.then(|| name.to_owned())
}

/// Finds the rules of the project at a path.
type FindRules = dyn Fn(Option<&Path>) -> Rules + Send + Sync;

/// The rules of each project, by the path of its main worktree; `None` is no project.
#[derive(Clone, Default)]
pub struct Rulebook(Option<Arc<FindRules>>);

impl Rulebook {
    /// Returns the rulebook that `rules` answers for.
    pub fn new(rules: impl Fn(Option<&Path>) -> Rules + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(rules)))
    }

    /// Returns the rules of `project`.
    pub fn of(&self, project: Option<&Path>) -> Rules {
        self.0.as_ref().map_or_else(Rules::default, |rules| rules(project))
    }
}

impl fmt::Debug for Rulebook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rulebook")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &Rules, branch: &str, ticket: Option<&str>, enhancement: Option<&str>) {
        let names = rules.names(branch);
        assert_eq!(
            (names.ticket.as_deref(), names.enhancement.as_deref()),
            (ticket, enhancement),
            "{branch}"
        );
    }

    #[test]
    fn a_branch_names_its_ticket_and_its_enhancement() {
        let rules = Rules::default();
        check(&rules, "feature/PAY-12-checkout", Some("PAY-12"), Some("PAY-12-checkout"));
        check(&rules, "fix/#7", Some("#7"), None);
        check(&rules, "my/feature/x", None, None);
        check(&rules, "feature/", None, None);
        check(&rules, "feature/\u{1b}[31m", None, None);
        check(&rules, &format!("feature/{}", "x".repeat(300)), None, None);
    }

    #[test]
    fn a_trunk_names_nothing_whatever_the_patterns() {
        let rules = Rules::default().with_patterns(Some(".+"), Some("(.+)")).unwrap();
        for trunk in TRUNKS {
            check(&rules, trunk, None, None);
        }
        check(&rules, "maintenance", Some("maintenance"), Some("maintenance"));
    }

    #[test]
    fn patterns_can_be_replaced_switched_off_and_refused() {
        let rules = Rules::default().with_patterns(Some("ticket-(?:a(.)|b(.))"), Some("")).unwrap();
        check(&rules, "feature/ticket-b9", Some("9"), None);
        let error = Rules::default().with_patterns(None, Some("a)(b")).unwrap_err();
        assert_eq!(error.to_string(), "`a)(b` is no pattern of a branch");
        assert!(Rules::default().with_patterns(Some("(?:a{1000}){1000}"), None).is_err());
    }
}
