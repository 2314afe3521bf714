//! Names that the shell completes, as the ledger knows them: tasks and enhancements of the project at hand, sessions,
//! dimensions and what requests have in them.
//!
//! A shell asks while somebody types, so nothing is written, waited for or complained about.

use std::ffi::OsStr;

use clap_complete::CompletionCandidate;

use crate::config::Config;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::printable::Printable;
use crate::query;
use crate::query::Dimension;

/// How many names are offered.
const MAX_NAMES: usize = 500;

/// A name, with what it is a name of.
type Name = (String, Option<String>);

/// Returns the tasks, each with its title.
pub(super) fn tasks() -> Vec<CompletionCandidate> {
    offered(|ledger, config| ledger.task_names(&config.project.root, MAX_NAMES))
}

/// Returns the enhancements.
pub(super) fn enhancements() -> Vec<CompletionCandidate> {
    offered(|ledger, config| ledger.enhancement_names(&config.project.root, MAX_NAMES))
}

/// Returns the tasks and the enhancements.
pub(super) fn tasks_and_enhancements() -> Vec<CompletionCandidate> {
    tasks().into_iter().chain(enhancements()).collect()
}

/// Returns the sessions.
pub(super) fn sessions() -> Vec<CompletionCandidate> {
    offered(|ledger, _config| values(ledger, &Dimension::Session, "", ""))
}

/// Returns the dimensions, those of tags that requests have among them.
pub(super) fn dimensions() -> Vec<CompletionCandidate> {
    let named = Dimension::all().into_iter().map(|dimension| CompletionCandidate::new(dimension.to_string()));
    let of_tags = offered(|ledger, _config| {
        let keys = ledger.tag_keys(MAX_NAMES)?;
        Ok(keys.into_iter().map(|key| (Dimension::Tag(key).to_string(), None)).collect())
    });
    named.chain(of_tags).collect()
}

/// Returns what `--where` may go on with: `branch=`, then the branches.
pub(super) fn conditions(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let Some((name, value)) = typed.split_once('=') else {
        let is_asked_by_days = |dimension: &Dimension| matches!(dimension, Dimension::Time(_));
        let named = Dimension::all().into_iter().filter(|dimension| !is_asked_by_days(dimension));
        let conditions = named.map(|dimension| format!("{dimension}="));
        return conditions.filter(|text| text.starts_with(&*typed)).map(CompletionCandidate::new).collect();
    };
    match name.parse() {
        Ok(dimension) => offered(|ledger, _config| values(ledger, &dimension, &format!("{name}="), value)),
        Err(_) => Vec::new(),
    }
}

/// Returns what `cmat explain` may go on with: a task, or a value behind its dimension.
pub(super) fn explainable(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let begins =
        |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().starts_with(&*typed);
    let tasks = tasks().into_iter().filter(begins);
    let named = query::split_name(&typed).map(|(dimension, value)| {
        let before = format!("{dimension}:");
        offered(|ledger, _config| values(ledger, &dimension, &before, value))
    });
    tasks.chain(named.unwrap_or_default()).collect()
}

/// Returns what requests have in a dimension and begins with `typed`, each behind `before`.
fn values(
    ledger: &Ledger,
    dimension: &Dimension,
    before: &str,
    typed: &str,
) -> Result<Vec<Name>, LedgerError> {
    let values = ledger.values(dimension, typed, MAX_NAMES)?;
    Ok(values.into_iter().map(|value| (format!("{before}{value}"), None)).collect())
}

fn offered(names: impl Fn(&Ledger, &Config) -> Result<Vec<Name>, LedgerError>) -> Vec<CompletionCandidate> {
    let known = || -> Option<Vec<Name>> {
        let config = Config::read(None).or_else(|_unusable| Config::without_file(None)).ok()?;
        let ledger = Ledger::open_to_glance(&config.data_dir).ok()??;
        names(&ledger, &config).ok()
    };
    // A name that could not be typed is not offered.
    let is_plain = |(name, _): &Name| Printable(name).to_string() == *name;
    let candidate = |(name, title): Name| {
        let title = title.map(|title| Printable(&title).to_string().into());
        CompletionCandidate::new(name).help(title)
    };
    known().unwrap_or_default().into_iter().filter(is_plain).map(candidate).collect()
}
