//! Names that the shell completes: tasks and enhancements of the project at hand, as the ledger knows them.
//!
//! A shell asks while somebody types, so nothing is written, waited for or complained about.

use std::path::Path;

use clap_complete::CompletionCandidate;

use crate::config::Config;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::printable::Printable;

/// How many names are offered.
const MAX_NAMES: usize = 500;

/// Returns the tasks, each with its title.
pub(super) fn tasks() -> Vec<CompletionCandidate> {
    offered(Ledger::task_names)
}

/// Returns the enhancements.
pub(super) fn enhancements() -> Vec<CompletionCandidate> {
    offered(Ledger::enhancement_names)
}

fn offered(
    names: impl Fn(&Ledger, &Path, usize) -> Result<Vec<(String, Option<String>)>, LedgerError>,
) -> Vec<CompletionCandidate> {
    let known = || -> Option<Vec<(String, Option<String>)>> {
        let config = Config::read(None).or_else(|_unusable| Config::without_file(None)).ok()?;
        let ledger = Ledger::open_to_glance(&config.data_dir).ok()??;
        names(&ledger, &config.project.root, MAX_NAMES).ok()
    };
    // A name that could not be typed is not offered.
    let is_plain = |(name, _): &(String, Option<String>)| Printable(name).to_string() == *name;
    let candidate = |(name, title): (String, Option<String>)| {
        let title = title.map(|title| Printable(&title).to_string().into());
        CompletionCandidate::new(name).help(title)
    };
    known().unwrap_or_default().into_iter().filter(is_plain).map(candidate).collect()
}
