//! `cmat run -- claude …`: a run with a task, booked when it is over, and what it cost.
//!
//! The child has the terminal, the signals and the exit code; cmat only waits. Hooks book what they are told of, as
//! always; what they did not, because none is installed or one was killed, is booked here.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::thread;
use std::time::SystemTime;

use jiff::Timestamp;
use rustix::process::Pid;
use rustix::process::Signal;
use signal_hook::consts::SIGHUP;
use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGQUIT;
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use crate::attribution::BindingSource;
use crate::booking::Assignment;
use crate::booking::Books;
use crate::cli::RunArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::budget::starting;
use crate::commands::budget::starting::Permission;
use crate::commands::budget::starting::Person;
use crate::commands::budget::starting::Start;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::reconcile;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::LedgerError;
use crate::period::Period;
use crate::pricing::Price;
use crate::printable::Printable;
use crate::query;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::report::banner::Banner;
use crate::summary::Totals;

/// What a shell says of a program that is not there, and of one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

pub(super) fn run(args: &RunArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let task = args.task.as_deref().map(TaskId::new).transpose()?;
    let mut tags = context.config.hook.tags.clone();
    tags.extend(args.tags.iter().cloned());
    let started = context.config.now();
    let run = name(started);
    let program = Program::of(&args.command);
    let permission = starting::permission(
        &Start {
            run: &run,
            task: task.as_ref().map(TaskId::as_str),
            enhancement: args.enhancement.as_deref(),
            model: program.model(&args.command).as_deref(),
            person: program.person(&args.command),
            skipped_for: args.reason.as_deref(),
        },
        context,
    )?;
    let model = match permission {
        Permission::Granted => None,
        Permission::OnlyWith(model) => Some(model),
        Permission::Refused => return Ok(Exit::OverBudget),
    };
    let before = versions(context);
    let mut command = command(args, task.as_ref(), &tags, context);
    command.env("CMAT_RUN", &run);
    match (&model, program) {
        (None, _) => {
            command.args(&args.command[1..]);
        }
        (Some(model), Program::Claude) => {
            command.args(["--model", model]).args(without_model(&args.command[1..]));
        }
        (Some(model), Program::Other) => {
            command.args(&args.command[1..]).env("ANTHROPIC_MODEL", model);
        }
    }
    // Caught before the child begins: a signal that ended cmat between the two would leave the child alone.
    let signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(fault) => return Ok(cannot_run(args, &fault)),
    };
    let forwarding = forward(signals, &child);
    let status = child.wait()?;
    forwarding.close();
    let environment = &context.config.hook;
    let assignment = Assignment {
        task: task.or_else(|| TaskId::new(environment.task.clone()?).ok()),
        enhancement: args.enhancement.clone().or_else(|| environment.enhancement.clone()),
        agent: environment.agent.clone(),
        tags: if tags.is_empty() { None } else { serde_json::to_string(&tags).ok() },
        user: environment.user.clone(),
        since: Some(started),
    };
    // The child's exit code, or that a budget stopped it, is the answer, whatever becomes of the books.
    if let Err(fault) = book(&assignment, &before, started, context) {
        complain(&format!("Warning: the run is not booked yet: {fault:#} (`cmat reconcile` tries again)"));
    }
    match starting::stopped_by(&run, context) {
        Ok(Some(budget)) => {
            complain(&format!("cmat: the budget `{}` stopped the session", Printable(&budget)));
            return Ok(Exit::OverBudget);
        }
        Ok(None) => {}
        Err(fault) => {
            complain(&format!("Warning: nobody knows whether a budget stopped the session: {fault:#}"))
        }
    }
    Ok(Exit::Child(exit_code(status)))
}

/// Returns the name of this process's run.
fn name(started: Timestamp) -> String {
    format!("{}-{}", std::process::id(), started.as_millisecond())
}

/// Returns when the run of that name began.
pub(super) fn run_began(name: &str) -> Option<Timestamp> {
    let (_process, started) = name.split_once('-')?;
    Timestamp::from_millisecond(started.parse().ok()?).ok()
}

fn command(
    args: &RunArgs,
    task: Option<&TaskId>,
    tags: &BTreeMap<String, String>,
    context: &Context<'_>,
) -> Command {
    let mut command = Command::new(&args.command[0]);
    if let Some(task) = task {
        command.env("CMAT_CURRENT_TASK_ID", task.as_str());
    }
    if let Some(enhancement) = &args.enhancement {
        command.env("CMAT_ENHANCEMENT", enhancement);
    }
    if !tags.is_empty() {
        let tags: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        command.env("CMAT_TAGS", tags.join(","));
    }
    if context.global.project.is_some() {
        command.env("CMAT_PROJECT_DIR", &context.config.project.worktree);
    }
    command
}

/// What kind of program is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// Claude Code itself, whose arguments are known.
    Claude,
    /// Anything else, which may run it.
    Other,
}

impl Program {
    fn of(command: &[OsString]) -> Self {
        let name = Path::new(&command[0]).file_name();
        if name.is_some_and(|name| name == "claude") { Self::Claude } else { Self::Other }
    }

    /// Returns the model that the arguments name.
    fn model(self, command: &[OsString]) -> Option<String> {
        if self == Self::Other {
            return None;
        }
        let mut arguments = command[1..].iter().take_while(|argument| *argument != "--");
        while let Some(argument) = arguments.next() {
            let argument = argument.to_string_lossy();
            if argument == "--model" {
                return arguments.next().map(|model| model.to_string_lossy().into_owned());
            }
            if let Some(model) = argument.strip_prefix("--model=") {
                return Some(model.to_owned());
            }
        }
        None
    }

    /// Returns whether the program can ask somebody.
    fn person(self, command: &[OsString]) -> Person {
        let is_print = |argument: &OsString| argument == "-p" || argument == "--print";
        let prints = self == Self::Claude && command[1..].iter().any(is_print);
        if !prints && io::stdin().is_terminal() { Person::Present } else { Person::Absent }
    }
}

/// Returns Claude Code's arguments without those that name a model.
fn without_model(arguments: &[OsString]) -> Vec<&OsString> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.to_string_lossy() {
            text if text == "--model" => {
                rest.next();
            }
            text if text.starts_with("--model=") => {}
            text if text == "--" => {
                kept.push(argument);
                kept.extend(rest);
                break;
            }
            _ => kept.push(argument),
        }
    }
    kept
}

fn cannot_run(args: &RunArgs, fault: &io::Error) -> Exit {
    let program = args.command[0].to_string_lossy();
    let program = Printable(&program);
    if fault.kind() == io::ErrorKind::NotFound {
        complain(&format!(
            "Error: cannot run `{program}`: there is no such program; give its path, or look at PATH"
        ));
        return Exit::Child(NOT_FOUND);
    }
    complain(&format!("Error: cannot run `{program}`: {fault}"));
    Exit::Child(NOT_RUNNABLE)
}

/// Passes on the signals that would end cmat, those too that came before this, as long as the child runs.
///
/// On a terminal, Ctrl-C and Ctrl-\ reach the child without us: both are in the foreground.
fn forward(mut signals: Signals, child: &Child) -> signal_hook::iterator::Handle {
    let handle = signals.handle();
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let has_terminal = io::stdin().is_terminal();
    thread::spawn(move || {
        for signal in signals.forever() {
            let passed_on = match signal {
                SIGHUP => Some(Signal::HUP),
                SIGTERM => Some(Signal::TERM),
                SIGINT if !has_terminal => Some(Signal::INT),
                SIGQUIT if !has_terminal => Some(Signal::QUIT),
                _ => None,
            };
            if let (Some(pid), Some(signal)) = (pid, passed_on) {
                // It may have ended by itself.
                let _gone = rustix::process::kill_process(pid, signal);
            }
        }
    });
    handle
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Returns sizes and times of the project's main transcripts, which tell afterwards which sessions ran.
fn versions(context: &Context<'_>) -> BTreeMap<PathBuf, Option<(u64, SystemTime)>> {
    let version = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    reconcile::transcripts(context)
        .into_iter()
        .filter(|transcript| reconcile::is_of_project(transcript, context))
        .map(|transcript| (transcript.clone(), version(&transcript)))
        .collect()
}

/// Books the sessions that ran meanwhile, and tells what they cost.
fn book(
    assignment: &Assignment,
    before: &BTreeMap<PathBuf, Option<(u64, SystemTime)>>,
    started: Timestamp,
    context: &Context<'_>,
) -> anyhow::Result<()> {
    let mut books = context.settled_books()?;
    let mut sessions = BTreeSet::new();
    for (transcript, version) in versions(context) {
        if before.get(&transcript) == Some(&version) {
            continue;
        }
        let session = books.book_session(&transcript, None, None)?;
        if !books.ledger.is_told_since(&session, started)? {
            let now = books.now;
            books.assign(&session, &context.config.project, assignment, BindingSource::Run, now)?;
        }
        sessions.insert(session);
    }
    let projected = books.project_pending()?;
    for fault in &projected.deferred {
        complain(&chain(fault));
    }
    if sessions.is_empty() {
        complain("no session of Claude Code was recorded in this project meanwhile");
        return Ok(());
    }
    let names = sessions.iter().map(SessionId::as_str).collect::<Vec<_>>().join(", ");
    let name = match &assignment.task {
        Some(task) => format!("{names} (task {task})"),
        None => names,
    };
    let of_session = |session: &SessionId| Condition {
        dimension: Dimension::Session,
        value: Some(session.as_str().to_owned()),
    };
    let conditions = sessions.iter().map(of_session).collect();
    let filter = Filter { period: Period { begins: started, ..Period::ALL }, conditions };
    let (run, prices) = spent(&books, &filter, context)?;
    let all = query::whole(&books.ledger.groups(&Filter::ALL, &[], &context.config.calendar)?);
    complain(Banner { name: &name, prices: &prices, run: &run, all: &all }.render().trim_end());
    context.remark_billing();
    Ok(())
}

/// Returns what requests come to, and at which prices.
pub(super) fn spent(
    books: &Books,
    filter: &Filter,
    context: &Context<'_>,
) -> Result<(Totals, Vec<Price>), LedgerError> {
    let (mut totals, mut numbers) = (Totals::default(), BTreeSet::new());
    books.ledger.each_charge(filter, &[], &context.config.calendar, |charge| {
        totals.add(&Totals {
            requests: if charge.part == 0 { charge.requests } else { 0 },
            tokens: charge.tokens,
            web_search_requests: charge.web_search_requests,
            cost: charge.cost,
            estimated: charge.estimated,
            lower_bound: !charge.complete,
            unpriced_models: charge
                .unpriced
                .and_then(|_| ModelId::new(charge.model).ok())
                .into_iter()
                .collect(),
        });
        numbers.extend(charge.price);
        Ok::<_, LedgerError>(ControlFlow::Continue(()))
    })?;
    let mut known = books.ledger.prices()?;
    let prices = numbers.into_iter().filter_map(|number| known.remove(&number)).map(|(_, price)| price);
    Ok((totals, prices.collect()))
}
