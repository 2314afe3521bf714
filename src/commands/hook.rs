//! `cmat hook …`: called by Claude Code when a session starts, ends, or has answered.
//!
//! `session-start` binds the session to its task from then on, `session-end` closes the books on it; `stop` and
//! `subagent-stop` read on in between, so that a session that is killed later has lost little.
//!
//! A hook never disturbs a session: exit code 0 and an empty stdout, whatever its arguments, stdin or configuration,
//! because exit code 2 would mean "block" to Claude Code. Only budgets speak: `user-prompt` and `pre-tool` ask them and
//! may stand in the way, and a session that begins is told what is left. What it was told is on disk before anything else
//! happens; one deadline bounds all of it; whatever is left is done by the next cmat that runs.

mod enforcement;
mod latest;
mod stdin;

use std::ffi::OsStr;
use std::ffi::OsString;
use std::panic;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;

use crate::booking::Books;
use crate::booking::leftovers::Ripe;
use crate::commands::alerting;
use crate::commands::chain;
use crate::commands::faults_of;
use crate::commands::faults_of_queues;
use crate::commands::hook::enforcement::Fixed;
use crate::commands::hook::enforcement::Question;
use crate::commands::open_books;
use crate::commands::read_recent;
use crate::commands::run::run_began;
use crate::config::Config;
use crate::config::budgets::Budgets;
use crate::config::client;
use crate::guard;
use crate::guard::Known;
use crate::hook_input::HookInput;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::LedgerError;
use crate::logging;
use crate::outbox::Event;
use crate::outbox::Intent;
use crate::outbox::Outbox;
use crate::project;
use crate::project::Project;
use crate::task_file;

/// What can be told as the first argument.
const EVENTS: [&str; 4] = ["session-start", "session-end", "stop", "subagent-stop"];

/// Largest document that is read from stdin, in bytes.
const MAX_STDIN_BYTES: u64 = 1 << 20;

/// Intents younger than this may have a hook of their own at work.
const RIPE_AGE: Duration = Duration::from_secs(3);

/// How long a session that begins is kept waiting for what others wrote and no hook told of.
const PATIENCE_FOR_RECENT: Duration = Duration::from_millis(200);

/// What is kept for ending in order, of the time that the client grants.
const MARGIN: Duration = Duration::from_millis(50);

/// Runs the hook. Nothing that happens in it gets out.
pub(super) fn run(arguments: &[OsString]) {
    let started = Instant::now();
    // The panic's message would reach the user; it goes to the log instead.
    panic::set_hook(Box::new(|panicked| tracing::error!(%panicked, "the hook panicked")));
    let outcome = panic::catch_unwind(|| {
        let config = Config::for_hook()?;
        let arguments = of_one_event(arguments);
        let event = arguments.first().and_then(|event| event.to_str());
        if let Some(question) = event.and_then(Question::from_name) {
            let fixed = Fixed::read(arguments);
            let config = config.fixed(fixed.data_dir, fixed.user_dir);
            logging::to_file(&config.data_dir);
            return enforcement::run(question, &config, started);
        }
        if event == Some(alerting::DELIVER) {
            let fixed = Fixed::read(arguments);
            let config = config.fixed(fixed.data_dir, fixed.user_dir);
            logging::to_file(&config.data_dir);
            return alerting::deliver(&config);
        }
        // First of all: a disk that hangs must not have the client kill the hook and tell the user.
        leave_at(started + config.hook.limit);
        logging::to_file(&config.data_dir);
        let told = stdin::read(config.hook.limit / 2, MAX_STDIN_BYTES);
        let event = arguments.first().filter(|event| is_event(event)).and_then(|event| event.to_str());
        let names = match event {
            Some(_known) => without_flags(&arguments[1..]),
            None => &[],
        };
        match event.or_else(|| event_told(&told)) {
            Some("session-start") => session(Event::SessionStart, &config, names, told, started),
            Some("session-end") => session(Event::SessionEnd, &config, names, told, started),
            Some(_answered) => answered(&config, names, &told, started),
            None => {
                tracing::warn!(?arguments, "this hook event is not known to this cmat");
                Ok(())
            }
        }
    });
    if let Ok(Err(error)) = outcome {
        tracing::error!("{error:#}");
    }
}

/// Leaves out an event that another one follows: a script that knows the end of a session only puts that before the
/// event that its settings name.
fn of_one_event(arguments: &[OsString]) -> &[OsString] {
    match arguments {
        [first, rest @ ..] if is_event(first) && rest.first().is_some_and(|next| is_event(next)) => rest,
        _ => arguments,
    }
}

/// Returns the event that the client itself names, for settings that name one that this cmat does not know.
fn event_told(told: &HookInput) -> Option<&'static str> {
    match told.hook_event_name.as_deref()? {
        "SessionStart" => Some("session-start"),
        "SessionEnd" => Some("session-end"),
        "Stop" => Some("stop"),
        "SubagentStop" => Some("subagent-stop"),
        _ => None,
    }
}

/// Leaves out flags, which these events have none of, and what follows them: it may be the value of one.
fn without_flags(arguments: &[OsString]) -> &[OsString] {
    let is_flag = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"-");
    match arguments.iter().position(is_flag) {
        None => arguments,
        Some(n) => {
            tracing::warn!(flags = ?arguments[n..], "this hook event has no flags");
            &arguments[..n]
        }
    }
}

fn is_event(argument: &OsStr) -> bool {
    EVENTS.iter().any(|event| argument == *event) || argument.to_str().and_then(Question::from_name).is_some()
}

/// Ends the process at `deadline`, whatever it is doing then: a killed hook would be reported to the user.
fn leave_at(deadline: Instant) {
    let wait = deadline.saturating_duration_since(Instant::now());
    thread::spawn(move || {
        thread::sleep(wait);
        std::process::exit(0);
    });
}

/// Records that a session starts or ends.
fn session(
    event: Event,
    config: &Config,
    arguments: &[OsString],
    told: HookInput,
    started: Instant,
) -> anyhow::Result<()> {
    let model = match event {
        Event::SessionStart => told.model.clone().or_else(client::model_of_client),
        Event::SessionEnd => None,
    };
    let intent = intent(event, config, arguments, told);
    if intent.session.is_none() && intent.transcript.is_none() {
        anyhow::bail!("neither stdin nor environment names a session: there is nothing to record");
    }
    let outbox = Outbox::new(&config.data_dir);
    // Without an intent the booking itself is all there is: it may succeed where the intent did not.
    let name = outbox.put(&intent).inspect_err(|fault| tracing::error!("{}", chain(fault))).ok();
    // From here on nothing is lost, however short the time is.
    let mut books = open_books(config, started + config.hook.limit.saturating_sub(MARGIN))?;
    if let Err(fault) = books.book_intent(name.as_ref(), &intent) {
        tracing::error!("{}", chain(&fault));
    }
    if event == Event::SessionStart {
        if let (Some(session), Some(model)) = (&intent.session, &model)
            && let Err(fault) = note_model(session, model, &mut books)
        {
            tracing::warn!("the model of the session is not noted: {fault}");
        }
        tell_what_is_left(&intent, &mut books, config);
    }
    // The own task first, then what others left.
    let projected = books.project_pending()?;
    for fault in faults_of_queues(&projected) {
        tracing::warn!("{fault}");
    }
    if event == Event::SessionStart {
        // No hook tells of what a killed session spent, and budgets count it.
        read_recent(&mut books, config, PATIENCE_FOR_RECENT);
    }
    if let Some(_turn) = outbox.turn() {
        let finished = books.finish_leftovers(&outbox, Ripe::Older(RIPE_AGE))?;
        for fault in faults_of(&finished, &mut books) {
            tracing::warn!("{fault}");
        }
    }
    books.ledger.sum_up_all()?;
    guard::roll_up(&books.ledger, &Budgets::read(config))?;
    if event == Event::SessionEnd {
        look_for_alerts(intent.session.as_ref(), project_of(&intent, config), &mut books, config);
    }
    Ok(())
}

/// Raises what the spending of a session has reached.
fn look_for_alerts(session: Option<&SessionId>, project: Project, books: &mut Books, config: &Config) {
    let environment = &config.hook;
    let known = Known {
        session,
        task: environment.task.as_deref(),
        enhancement: environment.enhancement.as_deref(),
        agent: environment.agent.as_deref(),
        tags: Some(&environment.tags),
        ..Known::default()
    };
    alerting::look(books, &known, &Config { project, ..config.clone() });
}

fn project_of(intent: &Intent, config: &Config) -> Project {
    project::find(intent.project_dir.as_ref().unwrap_or(&intent.cwd), config.home.as_deref())
}

/// Notes which model a session begins with: a budget may let only a cheaper one go on.
fn note_model(session: &SessionId, model: &str, books: &mut Books) -> Result<(), LedgerError> {
    // A name, not whatever somebody wrote.
    if ModelId::new(model).is_err() {
        return Ok(());
    }
    let mut recording = books.ledger.record(Durability::Repeatable, books.now)?;
    recording.session_begins_with(session, model)?;
    recording.commit()
}

/// Tells the session that begins what is left of its budgets.
fn tell_what_is_left(intent: &Intent, books: &mut Books, config: &Config) {
    let project = project_of(intent, config);
    match enforcement::left(intent.session.as_ref(), &project, books, config) {
        Ok(Some(object)) => enforcement::answer(&object),
        Ok(None) => {}
        Err(fault) => tracing::warn!("the budgets could not be told: {fault:#}"),
    }
}

/// Reads on in a session that goes on; cursors remember how far, so no intent is needed.
///
/// The task queue is left to the session's end and to commands: the user waits for the next prompt meanwhile.
fn answered(
    config: &Config,
    arguments: &[OsString],
    told: &HookInput,
    started: Instant,
) -> anyhow::Result<()> {
    let Named { session, transcript, cwd } = named(config, arguments, told);
    let transcript = transcript.context("nothing names a transcript: there is nothing to read")?;
    let folder = config.hook.project_dir.as_ref().unwrap_or(&cwd);
    let project = project::find(folder, config.home.as_deref());
    let mut books = open_books(config, started + config.hook.limit.saturating_sub(MARGIN))?;
    books.book_session(&transcript, session.as_ref(), Some(&project))?;
    look_for_alerts(session.as_ref(), project, &mut books, config);
    Ok(())
}

/// What a hook is about.
struct Named {
    session: Option<SessionId>,
    transcript: Option<PathBuf>,
    cwd: PathBuf,
}

/// Puts together what arguments, stdin and environment name, in this order.
fn named(config: &Config, arguments: &[OsString], told: &HookInput) -> Named {
    let environment = &config.hook;
    let argument = |n: usize| arguments.get(n).filter(|argument| !argument.is_empty());
    let session = argument(1)
        .map(|id| id.to_string_lossy().into_owned())
        .or_else(|| told.session_id.clone())
        .or_else(|| environment.session.clone());
    let transcript = argument(0)
        .map(PathBuf::from)
        .or_else(|| told.transcript_path.clone())
        .or_else(|| told.agent_transcript_path.clone())
        .or_else(|| environment.transcript.clone())
        .map(|path| config.cwd.join(path));
    Named {
        session: session.and_then(|id| usable("session id", SessionId::new(id))),
        transcript,
        cwd: told.cwd.clone().unwrap_or_else(|| config.cwd.clone()),
    }
}

fn intent(event: Event, config: &Config, arguments: &[OsString], told: HookInput) -> Intent {
    let environment = &config.hook;
    let Named { session, transcript, cwd } = named(config, arguments, &told);
    let task_file = task_file::read(&config.project.worktree).unwrap_or_else(|fault| {
        tracing::warn!("{}", chain(&fault));
        None
    });
    Intent {
        event,
        session,
        transcript,
        cwd,
        project_dir: environment.project_dir.clone(),
        task: environment.task.clone().and_then(|id| usable("CMAT_CURRENT_TASK_ID", TaskId::new(id))),
        task_file,
        enhancement: environment.enhancement.clone(),
        agent: environment.agent.clone(),
        tags: environment.tags.clone(),
        user: environment.user.clone(),
        run_began: environment.run.as_deref().and_then(run_began),
        reason: told.reason,
        at: config.now(),
    }
}

/// An id that cannot be used is told in the log; the session is recorded without it.
fn usable<Id>(what: &str, id: Result<Id, crate::id::IdError>) -> Option<Id> {
    id.inspect_err(|fault| tracing::warn!("{what} is not usable: {fault}")).ok()
}
