//! Alerts: raised where budgets are looked at, delivered by a process that nobody waits for.
//!
//! Raising only writes to the ledger. Whoever finds one that is due starts `cmat hook deliver-alerts`, which outlives
//! it; what cannot be delivered stays in the ledger and is tried again.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;

use crate::alerts;
use crate::alerts::Surroundings;
use crate::booking::Books;
use crate::budget::standing::Standing;
use crate::config;
use crate::config::Config;
use crate::config::alerts::Alerts;
use crate::config::alerts::Channel;
use crate::config::alerts::Way;
use crate::config::budgets::Budgets;
use crate::guard;
use crate::guard::Known;
use crate::guard::raising;
use crate::ledger::Durability;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::alerts::Alert;
use crate::task_file;

/// The event by which the process that delivers is started.
pub(super) const DELIVER: &str = "deliver-alerts";

/// How long that process waits for the ledger.
const LEDGER_PATIENCE: Duration = Duration::from_secs(10);

/// What became of an alert that was tried.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) alert: Alert,
    pub(super) outcome: Result<(), String>,
}

/// Raises what is due of the budgets of the project at hand, and has it delivered; what stands in the way is told in the
/// log, because nobody asked for it.
pub(super) fn look(books: &mut Books, known: &Known<'_>, config: &Config) {
    let alerts = Alerts::read(config);
    if alerts.channels.is_empty() {
        return;
    }
    let raised = raise_of(books, known, &alerts, config);
    if let Err(fault) = raised.and_then(|()| deliver_soon(&books.ledger, config)) {
        tracing::warn!("alerts could not be raised: {fault}");
    }
}

/// Raises what is due of the budgets of the project at hand.
pub(super) fn raise_of(
    books: &mut Books,
    known: &Known<'_>,
    alerts: &Alerts,
    config: &Config,
) -> Result<(), LedgerError> {
    let standings = standings(books, known, config)?;
    raise(&mut books.ledger, &standings, alerts, books.now)
}

/// Raises alerts for the thresholds that `standings` have reached.
pub(super) fn raise(
    ledger: &mut Ledger,
    standings: &[Standing],
    alerts: &Alerts,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let channels: Vec<String> = alerts.channels.iter().map(|channel| channel.name.clone()).collect();
    raising::raise(ledger, standings, &channels, now)
}

fn standings(books: &mut Books, known: &Known<'_>, config: &Config) -> Result<Vec<Standing>, LedgerError> {
    let mut budgets = Budgets::read(config);
    guard::name_rows(&mut budgets, &mut books.prices, &config.project);
    let task_file = task_file::read(&config.project.worktree).ok().flatten();
    let known = Known { task_file: task_file.as_ref().map(|task| task.as_str()), ..known.clone() };
    let subject = guard::subject(&books.ledger, &config.project, &known)?;
    let mut standings = guard::standings(&books.ledger, &budgets, &subject, books.now)?;
    guard::look_ahead_to_tell(&books.ledger, &mut standings, &budgets.trusted, books.now)?;
    Ok(standings)
}

/// Starts the process that delivers, if an alert is due.
///
/// Inside Claude Code a project's settings may have set the environment, which names the user's configuration: there only a hook
/// starts it that was installed with its folders.
pub(super) fn deliver_soon(ledger: &Ledger, config: &Config) -> Result<(), LedgerError> {
    let believes_folders = config.has_fixed_folders || !config.inside_claude_code;
    if !believes_folders || !ledger.has_due_alert(config.now())? {
        return Ok(());
    }
    let Some(program) = config::current_program() else { return Ok(()) };
    let started = Command::new(program)
        .args(["hook", DELIVER, "--data-dir"])
        .arg(&config.data_dir)
        .arg("--config-dir")
        .arg(&config.user_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: Claude Code ends what it finds in that of a hook.
        .process_group(0)
        .spawn();
    if let Err(fault) = started {
        tracing::warn!("the process that delivers alerts cannot be started: {fault}");
    }
    Ok(())
}

/// Delivers what is due, in the process that was started for it.
pub(super) fn deliver(config: &Config) -> anyhow::Result<()> {
    let mut ledger = Ledger::open(&config.data_dir, LEDGER_PATIENCE)?;
    for attempt in deliver_due(&mut ledger, &Alerts::read(config), config)? {
        if let Err(fault) = &attempt.outcome {
            tracing::warn!(channel = attempt.alert.channel, "an alert could not be delivered: {fault}");
        }
    }
    Ok(())
}

/// Delivers what is due and notes what became of it. The ledger is not locked meanwhile.
pub(super) fn deliver_due(
    ledger: &mut Ledger,
    alerts: &Alerts,
    config: &Config,
) -> Result<Vec<Attempt>, LedgerError> {
    if !ledger.has_due_alert(config.now())? {
        return Ok(Vec::new());
    }
    let mut recording = ledger.record(Durability::Repeatable, config.now())?;
    let claimed = recording.claim_alerts()?;
    recording.commit()?;
    let mut attempts = Vec::new();
    for alert in claimed {
        let channel = alerts.channels.iter().find(|channel| channel.name == alert.channel);
        let outcome = channel.map(|channel| deliver_one(channel, &alert.document, config));
        let mut recording = ledger.record(Durability::Repeatable, config.now())?;
        match &outcome {
            Some(outcome) => {
                recording.end_attempt(alert.id, outcome.as_ref().copied().map_err(String::as_str))?
            }
            None if alerts.faults.is_empty() => recording.drop_alert(alert.id)?,
            None => recording.end_attempt(alert.id, Err("the configuration cannot be understood"))?,
        }
        recording.commit()?;
        attempts.extend(outcome.map(|outcome| Attempt { alert, outcome }));
    }
    Ok(attempts)
}

/// Delivers one document by a channel.
pub(super) fn deliver_one(channel: &Channel, document: &str, config: &Config) -> Result<(), String> {
    let surroundings = Surroundings {
        search_path: config.search_path.clone(),
        inside_claude_code: config.inside_claude_code,
    };
    alerts::deliver(channel, document, &surroundings)
}

/// Returns where a channel leads, without what is secret of it.
pub(super) fn described(channel: &Channel) -> String {
    match &channel.way {
        Way::Desktop => "notifications of this desktop".to_owned(),
        Way::Webhook(Ok(url)) => {
            let host = url.split("//").nth(1).unwrap_or_default().split(['/', '?', '#']).next();
            // What stands before an `@` may be a password.
            format!("posted to {}", host.unwrap_or_default().rsplit('@').next().unwrap_or_default())
        }
        Way::Webhook(Err(_)) => "no address".to_owned(),
        Way::Command(command) => command.join(" "),
    }
}
