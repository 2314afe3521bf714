//! Recognises a tool call that would get around a budget.
//!
//! A guard against accidents and eager agents, not against an adversary: a shell can hide any command from any
//! reader. What is refused is what plainly says so.

use std::path::Path;

/// The parts of a tool call that are looked at; nothing of it is kept.
#[derive(Debug, Clone, Copy)]
pub struct ToolCall<'a> {
    /// A shell command.
    pub command: Option<&'a str>,
    /// A file that is written.
    pub file: Option<&'a Path>,
}

/// What a tool call would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// `cmat budget override` and its like.
    Override,
    /// `cmat budget set`, `remove`, `set-budget`.
    Change,
    /// `cmat uninstall`.
    Uninstall,
    /// `cmat forget`.
    Forget,
    /// `cmat run --skip-budget-check`.
    Skip,
    /// Writing one of cmat's own files.
    File,
}

impl Attempt {
    /// Returns the words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Override => "cmat budget override",
            Self::Change => "a change of a budget",
            Self::Uninstall => "cmat uninstall",
            Self::Forget => "cmat forget",
            Self::Skip => "cmat run --skip-budget-check",
            Self::File => "writing to cmat's own files",
        }
    }
}

/// Returns how `call` would get around a budget; `own_folders` are those of cmat's data and configuration.
pub fn attempt(call: ToolCall<'_>, own_folders: &[&Path]) -> Option<Attempt> {
    let in_own_folder = |file: &Path| own_folders.iter().any(|folder| file.starts_with(folder));
    if call.file.is_some_and(in_own_folder) {
        return Some(Attempt::File);
    }
    let command = call.command.filter(|command| command.contains("cmat"))?;
    // Quotes and escapes do not change which words a shell sees.
    let plain: String = command.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
    let is_separator =
        |c: char| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '(' | ')' | '`' | '{' | '}' | ',');
    let words: Vec<&str> = plain.split(is_separator).filter(|word| !word.is_empty()).collect();
    if let Some(attempt) = words.windows(2).find_map(|pair| of_budget(pair[0], pair[1])) {
        return Some(attempt);
    }
    if words.contains(&"--skip-budget-check") {
        return Some(Attempt::Skip);
    }
    let is_cmat = |word: &str| word.rsplit('/').next() == Some("cmat");
    let begins = words.iter().position(|word| is_cmat(word))?;
    words[begins..].iter().find_map(|word| match *word {
        "uninstall" => Some(Attempt::Uninstall),
        "set-budget" => Some(Attempt::Change),
        "forget" if !words.contains(&"--dry-run") => Some(Attempt::Forget),
        _ => None,
    })
}

fn of_budget(word: &str, next: &str) -> Option<Attempt> {
    match (word, next) {
        ("budget", "override") => Some(Attempt::Override),
        ("budget", "set" | "remove") => Some(Attempt::Change),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, expected: Option<Attempt>) {
        let call = ToolCall { command: Some(command), file: None };
        assert_eq!(attempt(call, &[]), expected, "{command}");
    }

    #[test]
    fn finds_the_commands_that_loosen_a_budget_however_they_are_run() {
        check("cmat budget override user --amount 5 --for 1h --reason x", Some(Attempt::Override));
        check(
            "cd /tmp && env -u CLAUDECODE ~/.cargo/bin/cmat  budget   override user",
            Some(Attempt::Override),
        );
        check("bash -c 'cmat \"budget\" override user'", Some(Attempt::Override));
        check("c=cmat; $c budget override user", Some(Attempt::Override));
        check("script -qc \"cmat budget over\\ride user\" /dev/null", Some(Attempt::Override));
        check("cmat budget remove user/day", Some(Attempt::Change));
        check("cmat --json budget set --daily 900", Some(Attempt::Change));
        check("cmat set-budget --daily 900", Some(Attempt::Change));
        check("(cmat uninstall)", Some(Attempt::Uninstall));
        check("cd x; cmat --quiet forget --before 2027-01-01", Some(Attempt::Forget));
        check("cmat run --skip-budget-check --reason x -- claude -p hi", Some(Attempt::Skip));
    }

    #[test]
    fn leaves_other_commands_alone() {
        check("cmat budget status", None);
        check("cmat budget check --estimate 0.50", None);
        check("cmat report --by day | grep override", None);
        check("cmat forget s-1 --dry-run", None);
        check("npm uninstall left-pad && ls cmat", None);
        check("grep -rn 'budget override' src", None);
        check("echo hello", None);
    }

    #[test]
    fn guards_its_own_files() {
        let folder = Path::new("/home/ann/.config/cmat");
        let write = |path: &str| {
            let call = ToolCall { command: None, file: Some(Path::new(path)) };
            attempt(call, &[folder])
        };
        assert_eq!(write("/home/ann/.config/cmat/config.toml"), Some(Attempt::File));
        assert_eq!(write("/home/ann/app/config.toml"), None);
    }
}
