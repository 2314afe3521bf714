//! `cmat doctor`: checks the installation; each fault with the command that mends it.
//!
//! Without `--fix` it changes nothing: it runs the installed hook, but on a session that does not exist and with a data
//! folder of its own; it neither makes a ledger nor finishes what hooks left.

mod budgets;
mod fix;
mod hook;
mod prices;
mod self_test;
mod store;
mod tasks;
mod transcripts;

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use crate::cli::DoctorArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::chain;
use crate::commands::installation;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::printable::Printable;
use crate::report::counted;

/// Width of the column of names.
const NAME_WIDTH: usize = 22;

/// Width of the column of details; a longer one has its fix on the next line.
const DETAIL_WIDTH: usize = 56;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it should be.
    Good,
    /// It works, but something wants a look.
    Attention,
    /// It does not work.
    Failed,
}

impl State {
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Attention => "!",
            Self::Failed => "x",
        }
    }
}

/// One check.
#[derive(Debug, Clone)]
struct Check {
    /// What is checked; the same whatever is found.
    name: &'static str,
    state: State,
    /// What was found.
    detail: String,
    /// The command that mends it, or the words for what to do.
    fix: Option<String>,
}

impl Check {
    fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Good, detail: detail.into(), fix: None }
    }

    fn attention(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Attention, detail: detail.into(), fix: Some(fix.into()) }
    }

    fn failed(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Failed, detail: detail.into(), fix: Some(fix.into()) }
    }

    /// Returns the check of something in the ledger, when there is no ledger to ask.
    fn nothing_yet(name: &'static str) -> Self {
        Self::good(name, "nothing is recorded yet")
    }

    fn line(&self) -> String {
        let Self { name, state, detail, fix } = self;
        let detail = Printable(detail).to_string();
        let start = format!("  {:<4} {name:<NAME_WIDTH$} ", state.sign());
        match fix.as_ref().map(|fix| Printable(fix).to_string()) {
            None => format!("{start}{detail}\n"),
            Some(fix) if detail.chars().count() <= DETAIL_WIDTH => {
                format!("{start}{detail:<DETAIL_WIDTH$}  fix: {fix}\n")
            }
            Some(fix) => format!("{start}{detail}\n{:<width$}fix: {fix}\n", "", width = NAME_WIDTH + 8),
        }
    }
}

/// What the checks look at.
struct Site<'a> {
    config: &'a Config,
    now: Timestamp,
    /// `None` if there is none yet, or if it cannot be opened.
    ledger: Option<Ledger>,
}

impl Site<'_> {
    fn shown(&self, path: &Path) -> String {
        installation::shown(path, self.config)
    }
}

pub(super) fn run(args: &DoctorArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let fixed = if args.fix { fix::run(context) } else { Vec::new() };
    let mut checks = checks(context);
    if args.self_test {
        checks.push(self_test::check());
    }
    let n_failed = checks.iter().filter(|check| check.state == State::Failed).count();
    let n_attention = checks.iter().filter(|check| check.state == State::Attention).count();
    let exit = match (n_failed, n_attention) {
        (0, 0) => Exit::Done,
        (0, _) if context.global.strict => Exit::Uncertain,
        (0, _) => Exit::Done,
        _ => Exit::FailedCheck,
    };
    if context.global.json {
        let rows = checks.iter().map(|Check { name, state, detail, fix }| {
            json!({ "name": name, "state": state.sign(), "detail": detail, "fix": fix })
        });
        context.print_json(&json!({
            "schema": "cmat.doctor/1",
            "fixed": fixed,
            "checks": rows.collect::<Vec<_>>(),
            "failed": n_failed,
            "attention": n_attention,
        }))?;
        return Ok(exit);
    }
    for fixed in &fixed {
        writeln!(context.out, "  fixed: {}", Printable(fixed))?;
    }
    for check in &checks {
        write!(context.out, "{}", check.line())?;
    }
    let verdict = match (n_failed, n_attention) {
        (0, 0) => "all well".to_owned(),
        (0, 1) => "1 wants attention".to_owned(),
        (0, n) => format!("{n} want attention"),
        (n, 0) => format!("{n} failed (exit 5)"),
        (n, 1) => format!("{n} failed, 1 wants attention (exit 5)"),
        (n, m) => format!("{n} failed, {m} want attention (exit 5)"),
    };
    writeln!(context.out, "  {}, {verdict}", counted(checks.len(), "check"))?;
    Ok(exit)
}

fn checks(context: &Context<'_>) -> Vec<Check> {
    let config = &context.config;
    let (ledger, opened) = store::open(config);
    let site = Site { config, now: config.now(), ledger };
    let groups: [Result<Vec<Check>, LedgerError>; 7] = [
        Ok(hook::checks(&site)),
        tasks::checks(&site),
        transcripts::checks(&site, context),
        prices::checks(&site),
        budgets::checks(&site),
        Ok(vec![store::data_folder(&site), store::file_system(&site), opened, store::backups(&site)]),
        store::checks(&site),
    ];
    let failed = |fault: LedgerError| vec![store::broken_ledger(chain(&fault))];
    groups.into_iter().flat_map(|group| group.unwrap_or_else(failed)).collect()
}
