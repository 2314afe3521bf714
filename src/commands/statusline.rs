//! `cmat statusline`: a line for Claude Code's `statusLine`, from what is recorded.
//!
//! It runs after every answer, so it reads only, waits for nobody, and never fails: what cannot be told is left out.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::panic;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use crate::budget::Budget;
use crate::budget::Span;
use crate::budget::scope::Dimension;
use crate::budget::standing::Standing;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::commands::screen;
use crate::config::Config;
use crate::config::budgets::Budgets;
use crate::disk;
use crate::guard;
use crate::guard::Known;
use crate::guard::words;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::glance::Spent;
use crate::period::Unit;
use crate::printable::Printable;
use crate::project;
use crate::project::Project;
use crate::report::Billing;
use crate::report::Certainty;
use crate::report::short_amount;
use crate::report::short_model;
use crate::task_file;

/// Largest document that is read from stdin, in bytes.
const MAX_STDIN_BYTES: u64 = 1 << 20;

/// What Claude Code tells a status line; anything else in it is passed over (client reference, section 8).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    session_id: Option<String>,
    cwd: Option<PathBuf>,
    model: Model,
    workspace: Workspace,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Model {
    id: Option<String>,
    display_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Workspace {
    project_dir: Option<PathBuf>,
}

/// What runs this in Claude Code.
const SETTING: &str = r#""statusLine": { "type": "command", "command": "cmat statusline" }"#;

/// `cmat init --statusline`: prints the setting for a person to add; one that is there is never replaced.
pub(super) fn tell(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let settings: Vec<PathBuf> = [&context.config.project.worktree.join(".claude")]
        .into_iter()
        .chain(context.config.claude_folders.first())
        .map(|folder| folder.join("settings.json"))
        .collect();
    let has_one = |path: &&PathBuf| {
        let text = disk::open_regular(path).map(|file| file.take(MAX_STDIN_BYTES));
        let read = text.and_then(io::read_to_string).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&read)
            .is_ok_and(|settings| settings.get("statusLine").is_some())
    };
    let taken = settings.iter().find(has_one);
    if context.global.json {
        let setting: serde_json::Value = serde_json::from_str(&format!("{{{SETTING}}}"))?;
        let document = json!({ "schema": "cmat.init.statusline/1", "setting": setting, "present_in": taken });
        context.print_json(&document)?;
        return Ok(Exit::Done);
    }
    if let Some(taken) = taken {
        complain(&format!(
            "`{}` has a status line already, which stays as it is: have its program call `cmat statusline` with the \
             same stdin, or put this in its place",
            taken.display()
        ));
    }
    if let Some(user) = settings.last() {
        complain(&format!("Add this to `{}` by hand:", user.display()));
    }
    writeln!(context.out, "{SETTING}")?;
    Ok(Exit::Done)
}

/// Prints the line. Nothing that happens in it gets out.
pub(super) fn run(is_ascii: bool) {
    panic::set_hook(Box::new(|_| {}));
    let line = panic::catch_unwind(|| {
        let mut text = String::new();
        // A person who tries it on a terminal is not waited for.
        let is_piped = !io::IsTerminal::is_terminal(&io::stdin());
        if is_piped {
            let _unreadable = io::stdin().lock().take(MAX_STDIN_BYTES).read_to_string(&mut text);
        }
        line(&serde_json::from_str(&text).unwrap_or_default())
    });
    let line = line.unwrap_or_default();
    let line = if is_ascii { screen::ascii(&line) } else { line };
    // Nobody can be told that stdout is closed.
    let _unread = writeln!(io::stdout(), "{line}");
}

fn line(told: &Told) -> String {
    let mut parts = Vec::new();
    let Model { id, display_name } = &told.model;
    if let Some(model) = id.as_deref().map(short_model).or_else(|| display_name.clone()) {
        parts.push(Printable(&model).to_string());
    }
    if let Ok(config) = Config::read(None).or_else(|_unusable| Config::without_file(None))
        && let Ok(Some(ledger)) = Ledger::open_to_glance(&config.data_dir)
    {
        let config = Config { project: project(told, &config), ..config };
        let task_file = task_file::read(&config.project.worktree).ok().flatten();
        // What another run holds is left out this time.
        let standings = standings(told, task_file.as_ref(), &config, &ledger).unwrap_or_default();
        let strictest = standings.iter().rev().max_by_key(|standing| standing.percent());
        let of_day =
            standings.iter().filter(|standing| is_of_day(standing)).min_by_key(|standing| standing.left());
        parts.extend(work(told, task_file.as_ref(), &config, &ledger).ok().flatten());
        parts.extend(strictest.filter(|standing| !is_of_day(standing)).map(marked));
        parts.extend(match (of_day, strictest) {
            (Some(of_day), Some(strictest)) if of_day == strictest => Some(marked(of_day)),
            (Some(of_day), _) => Some(words::brief(of_day)),
            (None, _) => today(&config, &ledger).ok().flatten(),
        });
        parts.extend(cache(told, &ledger).ok().flatten());
        parts.extend((config.billing == Billing::Subscription).then(|| "API value".to_owned()));
    }
    parts.join(" · ")
}

fn session(told: &Told) -> Option<SessionId> {
    SessionId::new(told.session_id.clone()?).ok()
}

fn project(told: &Told, config: &Config) -> Project {
    let folder = told.workspace.project_dir.as_ref().or(told.cwd.as_ref());
    match (&config.hook.project_dir, folder) {
        (None, Some(folder)) => project::find(folder, config.home.as_deref()),
        _ => config.project.clone(),
    }
}

/// Returns how the budgets stand that the session is counted for.
fn standings(
    told: &Told,
    task_file: Option<&TaskId>,
    config: &Config,
    ledger: &Ledger,
) -> Result<Vec<Standing>, LedgerError> {
    let budgets = Budgets::read(config);
    if budgets.all.is_empty() {
        return Ok(Vec::new());
    }
    let session = session(told);
    let known = Known {
        session: session.as_ref(),
        task: config.hook.task.as_deref(),
        task_file: task_file.map(TaskId::as_str),
        enhancement: config.hook.enhancement.as_deref(),
        ..Known::default()
    };
    let subject = guard::subject(ledger, &config.project, &known)?;
    guard::standings(ledger, &budgets, &subject, config.now())
}

/// Returns whether a budget is about all that the user spends in a day.
fn is_of_day(standing: &Standing) -> bool {
    let Budget { scope, span, within, .. } = &standing.budget;
    scope.dimension == Dimension::User && *span == Span::Day && within.is_none()
}

/// Returns a budget with how much of it is used, marked if that was to be told.
fn marked(standing: &Standing) -> String {
    let mark = if standing.warnings().next().is_some() { " !" } else { "" };
    format!("{} {} %{mark}", words::brief(standing), standing.percent())
}

/// Returns what the task costs, else the session.
fn work(
    told: &Told,
    task_file: Option<&TaskId>,
    config: &Config,
    ledger: &Ledger,
) -> Result<Option<String>, LedgerError> {
    let session = session(told);
    let named = config.hook.task.clone().or_else(|| task_file.map(|task| task.as_str().to_owned()));
    let task = match (named, &session) {
        (Some(task), _) => Some(task),
        (None, Some(session)) => ledger.task_at_hand(session)?,
        (None, None) => None,
    };
    if let Some(task) = task {
        let spent = ledger.spent_on(&config.project.root, &task)?.unwrap_or_default();
        return Ok(Some(format!("task {}", amount(spent))));
    }
    let spent = session.map(|session| ledger.spent_by(&session)).transpose()?;
    Ok(spent.map(|spent| format!("session {}", amount(spent))))
}

fn today(config: &Config, ledger: &Ledger) -> Result<Option<String>, LedgerError> {
    let period = config.calendar.period(Unit::Day, config.now());
    Ok(Some(format!("today {}", amount(ledger.spent_in(period)?))))
}

fn cache(told: &Told, ledger: &Ledger) -> Result<Option<String>, LedgerError> {
    let Some(session) = session(told) else { return Ok(None) };
    let tokens = ledger.prompt_tokens(&session)?;
    Ok(tokens.map(|tokens| {
        let percent = u128::from(tokens.cache_read) * 100 / u128::from(tokens.all.max(1));
        format!("cache {percent} %")
    }))
}

fn amount(spent: Spent) -> String {
    short_amount(spent.cost, Certainty { estimated: spent.estimated, at_least: spent.at_least })
}
