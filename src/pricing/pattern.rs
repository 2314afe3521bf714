//! Model patterns of a price table: regex or glob, anchored at the start only.
//!
//! Which of both a pattern is, follows from the text and from the file's form. A regex is compiled when an id
//! first needs it, with a bound on its size: a file of a cloned repository may hold any pattern.

use std::sync::OnceLock;

use regex::Regex;
use regex::RegexBuilder;
use regex_syntax::hir::Class;
use regex_syntax::hir::Hir;
use regex_syntax::hir::HirKind;

/// Longest pattern accepted, in bytes.
const MAX_PATTERN_BYTES: usize = 1024;
/// Most memory that a compiled pattern may take, in bytes.
const MAX_COMPILED_BYTES: usize = 128 << 10;

/// How a pattern is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternKind {
    /// A regular expression of the `regex` crate.
    Regex,
    /// Alternatives between `|`; `*` stands for any text, `.` for any one character.
    Glob,
}

impl std::fmt::Display for PatternKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Regex => "regex",
            Self::Glob => "glob",
        })
    }
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern is empty: it would match every id.
    #[error("pattern is empty")]
    Empty,
    /// The pattern is longer than 1024 bytes.
    #[error("pattern has {bytes} bytes, at most {MAX_PATTERN_BYTES} are accepted")]
    TooLong {
        /// Length of the pattern in bytes.
        bytes: usize,
    },
    /// The pattern is not a regular expression.
    #[error("pattern `{pattern}` is not a regex: {reason}")]
    NotARegex {
        /// The pattern as found.
        pattern: String,
        /// The parser's words, without its picture of the place.
        reason: String,
    },
    /// The pattern compiles to more than 128 KiB.
    #[error("pattern `{pattern}` needs more than {MAX_COMPILED_BYTES} bytes of memory")]
    TooBig {
        /// The pattern as found.
        pattern: String,
    },
    /// `pattern_type` is neither `regex` nor `glob`.
    #[error("pattern_type `{found}` is neither `regex` nor `glob`")]
    UnknownKind {
        /// The text as found.
        found: String,
    },
}

/// A pattern that says which model ids a row of a price table is for.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    kind: PatternKind,
    /// Literal characters that every match holds: the row with most of them wins.
    literal: usize,
    /// What every matching id begins with; an id that does not is told off without compiling.
    prefix: String,
    /// `None` inside: too big to compile.
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Returns the pattern, of the kind that `stated` (`pattern_type`) or its text tells, else of kind `otherwise`.
    pub(super) fn new(
        text: &str,
        stated: Option<&str>,
        otherwise: PatternKind,
    ) -> Result<Self, PatternError> {
        let kind = match stated {
            None => kind_of(text).unwrap_or(otherwise),
            Some("regex") => PatternKind::Regex,
            Some("glob") => PatternKind::Glob,
            Some(found) => {
                return Err(PatternError::UnknownKind { found: found.chars().take(32).collect() });
            }
        };
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong { bytes: text.len() });
        }
        let (literal, prefix) = match kind {
            PatternKind::Glob => {
                let literals = |glob: &str| glob.chars().filter(|character| *character != '*').count();
                (text.split('|').map(literals).min().unwrap_or_default(), String::new())
            }
            PatternKind::Regex => {
                let hir = regex_syntax::parse(text).map_err(|error| not_a_regex(text, &error))?;
                (literals(&hir), literal_prefix(&hir))
            }
        };
        Ok(Self { text: text.to_owned(), kind, literal, prefix, regex: OnceLock::new() })
    }

    /// Returns the pattern as the file has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether it is a regex or a glob.
    pub fn kind(&self) -> PatternKind {
        self.kind
    }

    /// Returns how many literal characters every match holds.
    pub(super) fn literal(&self) -> usize {
        self.literal
    }

    /// Compiles a regex now, to know that it can be.
    pub(super) fn compile(&self) -> Result<(), PatternError> {
        match self.kind {
            PatternKind::Regex if self.regex().is_none() => {
                Err(PatternError::TooBig { pattern: self.text.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether `id` begins with a match.
    pub(super) fn matches(&self, id: &str) -> bool {
        match self.kind {
            PatternKind::Glob => self.text.split('|').any(|glob| glob_matches(glob, id)),
            PatternKind::Regex => {
                id.starts_with(&self.prefix) && self.regex().is_some_and(|regex| regex.is_match(id))
            }
        }
    }

    fn regex(&self) -> Option<&Regex> {
        self.regex
            .get_or_init(|| {
                RegexBuilder::new(&format!("^(?:{})", self.text))
                    .size_limit(MAX_COMPILED_BYTES)
                    .dfa_size_limit(MAX_COMPILED_BYTES)
                    .build()
                    .ok()
            })
            .as_ref()
    }
}

fn not_a_regex(text: &str, error: &regex_syntax::Error) -> PatternError {
    let reason = match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "it does not parse".to_owned(),
    };
    PatternError::NotARegex { pattern: text.to_owned(), reason }
}

/// Returns what the text itself tells of its kind, if it does.
fn kind_of(text: &str) -> Option<PatternKind> {
    if text.contains(['\\', '^', '$', '(', ')', '[', ']', '{', '}', '+']) {
        return Some(PatternKind::Regex);
    }
    let mut before = None;
    let mut all_after_a_dot = None;
    for character in text.chars() {
        if character == '*' {
            match before {
                None | Some('|' | '-' | '_' | '/') => return Some(PatternKind::Glob),
                Some(letter) if letter.is_alphanumeric() => return Some(PatternKind::Glob),
                Some('.') => all_after_a_dot = all_after_a_dot.or(Some(true)),
                Some(_) => all_after_a_dot = Some(false),
            }
        }
        before = Some(character);
    }
    (all_after_a_dot == Some(true)).then_some(PatternKind::Regex)
}

/// Matches from the start; what follows the match does not count. Linear in the pattern for each star.
fn glob_matches(glob: &str, id: &str) -> bool {
    let mut rest: Vec<char> = id.chars().collect();
    for (n, part) in glob.split('*').enumerate() {
        let part: Vec<char> = part.chars().collect();
        let fits = |at: usize| {
            rest.get(at..at + part.len()).is_some_and(|text| {
                text.iter().zip(&part).all(|(found, wanted)| *wanted == '.' || found == wanted)
            })
        };
        let last = if n == 0 { 0 } else { rest.len().saturating_sub(part.len()) };
        // The first place is as good as any later one: nothing is anchored behind it.
        let Some(at) = (0..=last).find(|at| fits(*at)) else { return false };
        rest.drain(..at + part.len());
    }
    true
}

/// Counts the literal characters of the shortest match.
fn literals(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).chars().count(),
        HirKind::Class(class) => usize::from(is_one_letter(class)),
        HirKind::Repetition(repetition) => {
            literals(&repetition.sub).saturating_mul(usize::try_from(repetition.min).unwrap_or(usize::MAX))
        }
        HirKind::Capture(capture) => literals(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(literals).fold(0, usize::saturating_add),
        HirKind::Alternation(parts) => parts.iter().map(literals).min().unwrap_or_default(),
    }
}

/// `(?i)c` is the class `[Cc]`, and as literal as `c`.
fn is_one_letter(class: &Class) -> bool {
    let Class::Unicode(class) = class else { return false };
    let mut letters = class
        .ranges()
        .iter()
        .map(|range| (range.start() == range.end()).then(|| range.start().to_lowercase().next()).flatten());
    match letters.next() {
        Some(Some(first)) => letters.all(|letter| letter.is_some_and(|letter| folds_to(letter, first))),
        _ => false,
    }
}

/// `ſ` and the Kelvin sign fold to `s` and `k`.
fn folds_to(letter: char, first: char) -> bool {
    letter == first || letter == 'ſ' || first == 'ſ'
}

fn literal_prefix(hir: &Hir) -> String {
    let first = match hir.kind() {
        HirKind::Concat(parts) => {
            parts.iter().find(|part| !matches!(part.kind(), HirKind::Look(_))).unwrap_or(hir)
        }
        _ => hir,
    };
    match first.kind() {
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PatternKind::Glob;
    use PatternKind::Regex;

    #[test]
    fn tells_regex_from_glob() {
        // (pattern, kind in a list, kind in an object)
        for (text, in_list, in_object) in [
            ("claude-sonnet-4-.*", Regex, Regex),
            ("claude-opus-4-.*", Regex, Regex),
            ("claude-new-model-.*", Regex, Regex),
            ("*opus-4-5*", Glob, Glob),
            ("*opus-4.5*|*opus-4-5*", Glob, Glob),
            ("*sonnet*", Glob, Glob),
            ("claude-haiku-4*", Glob, Glob),
            ("claude-*-haiku", Glob, Glob),
            ("anthropic/*", Glob, Glob),
            ("claude_*", Glob, Glob),
            ("claude-opus-5|*opus-5", Glob, Glob),
            ("claude-.*|gpt-.*", Regex, Regex),
            (".*", Regex, Regex),
            (".*opus.*", Regex, Regex),
            ("claude-opus-.*-4*", Glob, Glob),
            ("claude-opus-5", Regex, Glob),
            ("claude-opus-4.5", Regex, Glob),
            ("a|b", Regex, Glob),
            ("^claude-opus", Regex, Regex),
            ("claude-opus$", Regex, Regex),
            (r"claude\-opus", Regex, Regex),
            ("claude-(opus|sonnet)", Regex, Regex),
            ("claude-opus-[45]", Regex, Regex),
            ("claude-opus-4{1}", Regex, Regex),
            ("claude-opus-.+", Regex, Regex),
            ("claude-opus-4(-\\d{8})?$", Regex, Regex),
            ("[*]", Regex, Regex),
            ("?*", Regex, Glob),
            ("claude-?", Regex, Glob),
            ("*", Glob, Glob),
        ] {
            assert_eq!(kind_of(text).unwrap_or(Regex), in_list, "{text} in a list");
            assert_eq!(kind_of(text).unwrap_or(Glob), in_object, "{text} in an object");
        }
    }

    #[track_caller]
    fn check(text: &str, matching: &[&str], others: &[&str]) {
        let pattern = Pattern::new(text, None, Regex).unwrap();
        for id in matching {
            assert!(pattern.matches(id), "{text} matches {id}");
        }
        for id in others {
            assert!(!pattern.matches(id), "{text} does not match {id}");
        }
    }

    #[test]
    fn matches_from_the_start_only() {
        check(
            "claude-sonnet-4-.*",
            &["claude-sonnet-4-20250514"],
            &["us.claude-sonnet-4-1", "claude-sonnet-4"],
        );
        check("claude-opus-5", &["claude-opus-5", "claude-opus-5-5"], &["my-claude-opus-5"]);
        check("a|b.*", &["a1", "b"], &["ca"]);
        check("*opus-4.5*", &["claude-opus-4-5-20251101", "claude-opus-4.5"], &["claude-opus-45"]);
        check("claude-haiku-4*", &["claude-haiku-4-5"], &["claude-3-haiku-4", "claude-haiku-3-5"]);
        check("*sonnet*5|*haiku", &["claude-sonnet-4-5", "x-haiku-3"], &["claude-sonnet-4"]);
        check("*", &["", "x"], &[]);
    }

    #[test]
    fn counts_what_is_literal() {
        for (text, expected) in [
            ("claude-opus-4-.*", 14),
            ("claude-opus-4-8.*", 15),
            ("(?i:claude-sk)", 9),
            (r"claude-opus-4(-\d{8})?$", 13),
            ("claude-(opus|sonnet)-4", 13),
            ("*opus-4-5*", 8),
            ("*opus-4-5*|*o*", 1),
        ] {
            assert_eq!(Pattern::new(text, None, Regex).unwrap().literal(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_could_not_be_used() {
        let fails = |text: &str| Pattern::new(text, None, Regex).unwrap_err().to_string();
        assert_eq!(fails("claude-(opus"), "pattern `claude-(opus` is not a regex: unclosed group");
        assert_eq!(fails(""), "pattern is empty");
        assert_eq!(fails(&"x".repeat(1025)), "pattern has 1025 bytes, at most 1024 are accepted");
        let hostile = Pattern::new(r"(((\w{100}){100}){100}){100}", None, Regex).unwrap();
        assert_eq!(
            hostile.compile().unwrap_err().to_string(),
            r"pattern `(((\w{100}){100}){100}){100}` needs more than 131072 bytes of memory"
        );
        assert!(!hostile.matches("a"));
        // The longest patterns that anybody wrote for these ids are far from the bound.
        let list: serde_json::Value =
            serde_json::from_str(include_str!("../../data/prices/claude-models.json")).unwrap();
        for model in list.as_array().unwrap() {
            Pattern::new(model["pattern"].as_str().unwrap(), None, Regex).unwrap().compile().unwrap();
        }
        let kind = Pattern::new("a", Some("wildcard"), Regex).unwrap_err();
        assert_eq!(kind.to_string(), "pattern_type `wildcard` is neither `regex` nor `glob`");
        assert!(Pattern::new("*sonnet*", Some("regex"), Regex).is_err());
    }
}
