//! One file of an installation and what becomes of it: shown as a difference, or done and told.

use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;
use similar::TextDiff;

use crate::commands::Context;
use crate::commands::installation::script;
use crate::commands::installation::shown;
use crate::config::Config;
use crate::disk::change::Change;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::printable::Printable;

/// One file, what becomes of it, and the words for that.
#[derive(Debug)]
pub(in crate::commands) struct Step {
    /// What is to become of the file.
    pub(in crate::commands) change: Change,
    /// What that means.
    pub(in crate::commands) what: String,
}

/// Whether steps are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Earnest {
    /// They are shown only.
    DryRun,
    /// They are taken.
    Done,
}

impl Earnest {
    /// Returns what `--dry-run` asks for.
    pub(in crate::commands) fn unless(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Done }
    }
}

/// A step that was taken.
#[derive(Debug)]
pub(in crate::commands) struct Taken {
    /// Something was to be done.
    pub(in crate::commands) is_change: bool,
    /// Where the old version is kept.
    pub(in crate::commands) copy: Option<PathBuf>,
}

impl Step {
    /// Tells whether anything is to be done.
    pub(in crate::commands) fn is_change(&self) -> bool {
        self.change.is_change() || self.lacks_permission()
    }

    /// Changes the file, unless it is as it should be.
    pub(in crate::commands) fn take(&self) -> anyhow::Result<Taken> {
        let is_change = self.is_change();
        let copy = self.change.save()?;
        if self.lacks_permission() {
            replace::make_executable(&self.change.path)?;
        }
        Ok(Taken { is_change, copy })
    }

    /// Returns the line that tells the step: `sign` if it changes something, else `=`.
    pub(in crate::commands) fn line(&self, sign: char, taken: &Taken, config: &Config) -> String {
        let sign = if taken.is_change { sign } else { '=' };
        let copy = taken
            .copy
            .as_ref()
            .and_then(|copy| copy.file_name())
            .map(|name| format!(" (before: {})", Printable(&name.to_string_lossy())));
        format!("  {sign} {:<38}  {}{}", self.shown(config), self.what, copy.unwrap_or_default())
    }

    /// Returns the difference in the form of `diff -u`; empty if there is none.
    pub(in crate::commands) fn difference(&self, config: &Config) -> String {
        let path = self.shown(config);
        let name = |text: &Option<String>| if text.is_some() { path.clone() } else { "/dev/null".to_owned() };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (before, after) = (text(&self.change.before), text(&self.change.after));
        let difference = TextDiff::from_lines(&before, &after);
        let mut unified = difference.unified_diff();
        let unified = unified.header(&name(&self.change.before), &name(&self.change.after)).to_string();
        let lines = unified.lines().map(|line| printable_line(line) + "\n");
        let mode = self.lacks_permission().then(|| format!("{path}: made executable\n"));
        lines.chain(mode).collect()
    }

    /// Returns the step as JSON; `taken` is absent in a dry run.
    pub(in crate::commands) fn document(&self, taken: Option<&Taken>, config: &Config) -> Value {
        let change = match (&self.change.before, &self.change.after) {
            _ if !taken.map_or_else(|| self.is_change(), |taken| taken.is_change) => "none",
            (None, _) => "created",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
        };
        let mut document = json!({ "path": self.change.path, "change": change, "what": self.what });
        match taken {
            Some(taken) => document["copy"] = json!(taken.copy),
            None => document["difference"] = json!(self.difference(config)),
        }
        document
    }

    fn shown(&self, config: &Config) -> String {
        shown(&self.change.path, config)
    }

    /// Tells whether the file is a script that stays and that the shell may not run, or is about to be made one.
    fn lacks_permission(&self) -> bool {
        let Change { path, before, after, access, .. } = &self.change;
        *access == Access::Executable && before.is_some() && after.is_some() && !script::is_executable(path)
    }
}

/// Makes a line of a file safe to show; tabs, and a carriage return at its end, are.
fn printable_line(line: &str) -> String {
    let parts: Vec<_> =
        line.trim_end_matches('\r').split('\t').map(|part| Printable(part).to_string()).collect();
    parts.join("\t")
}

/// Takes the steps and tells each, or in a dry run shows the differences; returns them as JSON.
pub(in crate::commands) fn run(
    steps: &[Step],
    sign: char,
    earnest: Earnest,
    context: &mut Context<'_>,
) -> anyhow::Result<Vec<Value>> {
    let mut documents = Vec::new();
    for step in steps {
        let taken = match earnest {
            Earnest::DryRun => None,
            Earnest::Done => Some(step.take()?),
        };
        documents.push(step.document(taken.as_ref(), &context.config));
        match taken {
            _ if context.global.json => {}
            Some(taken) => writeln!(context.out, "{}", step.line(sign, &taken, &context.config))?,
            None => write!(context.out, "{}", step.difference(&context.config))?,
        }
    }
    Ok(documents)
}
