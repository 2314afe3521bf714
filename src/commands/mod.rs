//! The commands: one file each, `run(args, context)`.
//!
//! They know everything and decide nothing about money. Data goes to stdout, words to stderr; the exit code says
//! what came of it. What hooks left undone is finished before a command answers.

mod advise;
mod alerting;
mod anomalies;
mod audit;
mod budget;
mod cache;
mod calc;
mod costs;
mod demo;
mod doctor;
mod estimate;
mod explain;
mod export;
mod forecast;
mod forget;
mod git;
mod hook;
mod import;
mod init;
mod installation;
mod models;
mod overview;
mod reattribute;
mod rebuild;
mod reconcile;
mod record;
mod rehearsal;
mod report;
mod reprice;
mod run;
mod screen;
mod selection;
mod sessions;
mod shell;
mod stats;
mod statusline;
mod summary;
mod task;
mod uninstall;

use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use clap::CommandFactory as _;
use clap::Parser as _;
use clap_complete::CompleteEnv;

use crate::booking::Books;
use crate::booking::Queues;
use crate::booking::leftovers::Finished;
use crate::booking::leftovers::Ripe;
use crate::booking::prices::PriceTables;
use crate::booking::projection::Projected;
use crate::cli::Cli;
use crate::cli::Command;
use crate::cli::CostsCommand;
use crate::cli::Global;
use crate::commands::rehearsal::Rehearsal;
use crate::config::Config;
use crate::config::UnknownZone;
use crate::guard::Known;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::logging;
use crate::outbox::Outbox;
use crate::printable::Printable;
use crate::printable::printable_json;
use crate::printable::printable_lines;
use crate::report::Billing;
use crate::report::Certainty;
use crate::report::json::Amounts;
use crate::summary::Totals;

/// How long a command waits for the ledger, and works on what hooks left, before it answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a command reads on in what no hook told of, before it answers.
const PATIENCE_FOR_RECENT: Duration = Duration::from_millis(500);

/// How long work that a person asked for may take: to its end, if nobody ends it.
const TO_ITS_END: Duration = Duration::from_secs(24 * 60 * 60);

/// How long another writer of the ledger is waited for at most; none takes a second.
const LEDGER_PATIENCE: Duration = Duration::from_secs(30);

/// Exit code for arguments that make no sense.
const USAGE: u8 = 2;

/// What came of a command; the exit code says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Not found, or failed; the message is printed already.
    Failed,
    /// Recorded, but a task queue could not be updated yet.
    Deferred,
    /// A check failed, or a dry run found that the records are behind.
    FailedCheck,
    /// A budget stands in the way.
    OverBudget,
    /// With `--strict`: a figure is estimated, a lower bound or partly unpriced.
    Uncertain,
    /// What the program that was run ended with.
    Child(u8),
}

impl Exit {
    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::OverBudget => 3,
            Self::Deferred => 4,
            Self::FailedCheck => 5,
            Self::Uncertain => 6,
            Self::Child(code) => code,
        }
    }
}

/// What a command works with.
struct Context<'out> {
    config: Config,
    global: Global,
    out: &'out mut dyn Write,
    /// The copy that answers where the ledger cannot be written.
    rehearsal: Option<Rehearsal>,
}

/// Runs cmat with `arguments`, the program's name first, and returns its exit code.
///
/// As a hook it returns 0 whatever happens.
pub fn run(arguments: &[OsString]) -> u8 {
    if let [_program, first, rest @ ..] = arguments
        && first == "hook"
    {
        hook::run(rest);
        return Exit::Done.code();
    }
    if let [_program, only] = arguments
        && only == "statusline"
    {
        statusline::run(false);
        return Exit::Done.code();
    }
    match CompleteEnv::with_factory(Cli::command).var(shell::COMPLETE).try_complete(arguments, None) {
        Ok(false) => {}
        // A shell that asks in vain offers nothing.
        Ok(true) | Err(_) => return Exit::Done.code(),
    }
    let mut cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(usage) => {
            // If nobody reads the help, nobody misses it.
            let _unread = usage.print();
            return u8::try_from(usage.exit_code()).unwrap_or(USAGE);
        }
    };
    cli.global.json |= cli.global.json_numbers;
    let json = cli.global.json;
    screen::settle(&cli.global);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = if cli.command.as_ref().is_none_or(is_read) && screen::holds(&cli.global) {
        let (global, mut held) = (cli.global.clone(), Vec::new());
        let result = run_command(cli, &mut held);
        let shown = screen::show(&held, &global, &mut out);
        result.and_then(|exit| {
            shown?;
            Ok(exit)
        })
    } else {
        run_command(cli, &mut out).and_then(|exit| {
            out.flush()?;
            Ok(exit)
        })
    };
    match result {
        Ok(exit) => exit.code(),
        Err(error) if is_broken_pipe(&error) => Exit::Done.code(),
        Err(error) => {
            complain(&format!("Error: {error:#}"));
            if rebuild::is_loss(&error) {
                complain("The ledger is damaged or gone: `cmat doctor --fix` puts it back");
            }
            if json {
                // One JSON document, also then; if nobody reads it, nobody misses it.
                let _unread = writeln!(out, "{}", printable_json(&error_document(&error)));
                let _unread = out.flush();
            }
            if error.is::<Usage>() || error.is::<UnknownZone>() { USAGE } else { Exit::Failed.code() }
        }
    }
}

/// Returns whether a command only tells, all at once.
fn is_read(command: &Command) -> bool {
    matches!(
        command,
        Command::Models(_)
            | Command::Calc(_)
            | Command::Explain(_)
            | Command::Report(_)
            | Command::Status
            | Command::Summary(_)
            | Command::Sessions(_)
            | Command::Stats(_)
            | Command::Cache(_)
            | Command::Forecast(_)
            | Command::Estimate(_)
            | Command::Anomalies(_)
            | Command::Advise(_)
            | Command::Budget(_)
            | Command::Audit(_)
            | Command::Task(_)
            | Command::Doctor(_)
    ) || matches!(command, Command::Costs(command) if !matches!(command, CostsCommand::Export(_)))
}

fn run_command(cli: Cli, out: &mut dyn Write) -> anyhow::Result<Exit> {
    logging::to_stderr(cli.global.verbose);
    let mut config = Config::read(cli.global.project.as_deref())?;
    for fault in &config.faults {
        complain(&format!("Warning: left out: {}", fault.trim_end()));
    }
    if let Some(zone) = &cli.global.timezone {
        config = config.with_zone(zone.clone());
    }
    if let Some(fault) = config.zone_fault() {
        complain(&format!("Warning: {fault}"));
    }
    let mut context = Context { config, global: cli.global, out, rehearsal: None };
    let command = cli.command.unwrap_or(Command::Status);
    let is_backed_up = is_backed_up_after(&command);
    let exit = match command {
        Command::Costs(command) => costs::run(&command, &mut context),
        Command::Models(command) => models::run(&command, &mut context),
        Command::Advise(args) => advise::run(&args, &mut context),
        Command::Anomalies(args) => anomalies::run(&args, &mut context),
        Command::Audit(args) => audit::run(&args, &mut context),
        Command::Budget(command) => budget::run(&command, &mut context),
        Command::SetBudget(args) => budget::set_plain(&args, &mut context),
        Command::Calc(args) => calc::run(&args, &mut context),
        Command::Demo(args) => demo::run(&args, &mut context),
        Command::Estimate(args) => estimate::run(&args, &mut context),
        Command::Explain(args) => explain::run(&args, &mut context),
        Command::Export(args) => export::run(&args, &mut context),
        Command::Import(args) => import::run(&args, &mut context),
        Command::Record(args) => record::run(&args, &mut context),
        Command::Status => overview::run(&mut context),
        Command::Summary(args) => summary::run(&args, &mut context),
        Command::Sessions(args) => sessions::run(&args, &mut context),
        Command::Stats(args) => stats::run(&args, &mut context),
        Command::Cache(args) => cache::run(&args, &mut context),
        Command::Report(args) => report::run(&args, &mut context),
        Command::Reconcile(args) => reconcile::run(&args, &mut context),
        Command::Forecast(args) => forecast::run(&args, &mut context),
        Command::Forget(args) => forget::run(&args, &mut context),
        Command::Reattribute(args) => reattribute::run(&args, &mut context),
        Command::Reprice(args) => reprice::run(&args, &mut context),
        Command::Task(command) => task::run(&command, &mut context),
        Command::Doctor(args) => doctor::run(&args, &mut context),
        Command::Init(args) => init::run(&args, &mut context),
        Command::Uninstall(args) => uninstall::run(&args, &mut context),
        Command::Completions(args) => shell::completions(args.shell, &mut context),
        Command::Man(args) => shell::man(&args.folder, &mut context),
        Command::Version => {
            write!(context.out, "{}", Cli::command().render_version())?;
            Ok(Exit::Done)
        }
        Command::Run(args) => run::run(&args, &mut context),
        Command::Statusline => {
            statusline::run(context.global.ascii);
            Ok(Exit::Done)
        }
        Command::Hook { .. } => Ok(Exit::Done),
    }?;
    if is_backed_up {
        // Nobody waits for it: the answer is out.
        context.out.flush()?;
        rebuild::back_up_if_due(&context);
    }
    Ok(exit)
}

/// Returns whether a person has asked or changed the ledger, so that a backup of it may be made afterwards.
fn is_backed_up_after(command: &Command) -> bool {
    match command {
        Command::Costs(_) | Command::Task(_) | Command::Explain(_) => true,
        Command::Reconcile(args) => !args.dry_run,
        _ => false,
    }
}

impl Context<'_> {
    /// Opens the ledger to book.
    fn books(&self) -> anyhow::Result<Books> {
        rebuild::open(self, Instant::now() + PATIENCE)
    }

    /// Opens the ledger to change it, once what hooks left is finished.
    fn settled_books(&self) -> anyhow::Result<Books> {
        let mut books = self.quiet_books()?;
        alerting::look(&mut books, &Known::default(), &self.config);
        Ok(books)
    }

    /// Opens the ledger in the same way, and lets nobody know of it.
    fn quiet_books(&self) -> anyhow::Result<Books> {
        settled(self.books()?, &self.config)
    }

    /// Opens the ledger to ask, once what hooks left is finished, so that an answer holds all that has ended.
    ///
    /// Where the ledger cannot be written, a copy of it answers, and nothing is recorded or shown in a task queue.
    fn asked_books(&mut self) -> anyhow::Result<Books> {
        match self.books() {
            Err(fault) if is_read_only(&fault) => {
                complain(&format!("Warning: {fault:#}: answered from a copy, nothing was recorded"));
                let deadline = Instant::now() + PATIENCE;
                let rehearsal = Rehearsal::prepare(&self.config, deadline)?;
                let books = settled(rehearsal.books(deadline)?, &rehearsal.config);
                self.rehearsal = Some(rehearsal);
                books
            }
            books => {
                let mut books = settled(books?, &self.config)?;
                alerting::look(&mut books, &Known::default(), &self.config);
                Ok(books)
            }
        }
    }

    /// Says what a person should know of the certainty of figures, and of what they mean to them.
    fn remark(&self, totals: &Totals) {
        self.remark_billing();
        for remark in crate::report::remarks(totals) {
            complain(&remark);
        }
    }

    /// Says what amounts are to somebody who pays a flat fee.
    fn remark_billing(&self) {
        if self.config.billing == Billing::Subscription {
            complain("amounts are API value, not a bill");
        }
    }

    /// Returns [`Exit::Uncertain`] if the figures are, and if that was asked.
    fn certain_exit(&self, totals: &Totals) -> Exit {
        match Certainty::of(totals).is_exact() || !self.global.strict {
            true => Exit::Done,
            false => Exit::Uncertain,
        }
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(&self.config.data_dir)
    }

    /// Prints a JSON document on a line of its own.
    fn print_json(&mut self, document: &serde_json::Value) -> anyhow::Result<()> {
        writeln!(self.out, "{}", self.json_text(document))?;
        Ok(())
    }

    /// Returns a JSON document as one line.
    fn json_text(&self, document: &serde_json::Value) -> String {
        printable_json(&self.amounts().written_in(document))
    }

    fn amounts(&self) -> Amounts {
        if self.global.json_numbers { Amounts::Numbers } else { Amounts::Strings }
    }
}

/// Reads on in what no hook told of, and finishes what hooks left; what stands in the way of that is told, and kept for
/// the next run.
fn settled(mut books: Books, config: &Config) -> anyhow::Result<Books> {
    read_recent(&mut books, config, PATIENCE_FOR_RECENT);
    let finished = books.finish_leftovers(&Outbox::new(&config.data_dir), Ripe::All)?;
    for fault in faults_of(&finished, &mut books) {
        complain(&format!("Warning: {fault}"));
    }
    Ok(books)
}

/// Reads on in what the sessions of the project at hand wrote last. Nobody asked for it, so it stands in nobody's way.
fn read_recent(books: &mut Books, config: &Config, patience: Duration) {
    if let Err(fault) = books.read_recent(&config.project, patience) {
        tracing::debug!(%fault, "what no hook told of was not read");
    }
}

fn is_read_only(fault: &anyhow::Error) -> bool {
    matches!(fault.downcast_ref(), Some(LedgerError::ReadOnly { .. } | LedgerError::DataFolder { .. }))
}

fn open_books(config: &Config, deadline: Instant) -> anyhow::Result<Books> {
    let wait = deadline.saturating_duration_since(Instant::now()).min(LEDGER_PATIENCE);
    let mut ledger = Ledger::open(&config.data_dir, wait)?;
    ledger.use_rules(config.rulebook());
    Ok(Books {
        ledger,
        prices: PriceTables::new(&config.user_dir, config.unknown_model),
        home: config.home.clone(),
        claude_folders: config.claude_folders.clone(),
        now: config.now(),
        deadline,
        queues: Queues::Written,
    })
}

/// Returns what stands in the way of what hooks left; it is kept and tried again.
fn faults_of(finished: &Finished, books: &mut Books) -> Vec<String> {
    let unreadable = finished.unreadable.iter().map(|fault| chain(fault));
    let unread = finished.faults.iter().map(|fault| chain(fault));
    let deferred = faults_of_queues(&finished.projected);
    let prices = books.prices.faults();
    let prices = prices.iter().map(|fault| format!("{}; the built-in prices were used", chain(fault)));
    let rows = books.prices.warnings();
    let rows = rows.iter().map(|warning| chain(warning));
    let unfinished = (finished.n_left > 0).then(|| {
        format!("{} ended sessions are not read to their end; `cmat reconcile` reads on", finished.n_left)
    });
    unreadable.chain(unread).chain(unfinished).chain(deferred).chain(prices).chain(rows).collect()
}

/// Returns what a person should know of the task queues after a projection.
fn faults_of_queues(projected: &Projected) -> Vec<String> {
    let deferred = projected
        .deferred
        .iter()
        .map(|fault| format!("recorded, but not yet shown in the task queue: {}", chain(fault)));
    let faults = projected.faults.iter().map(|(task, fault)| {
        format!("task {}: its queue was left as it is: {}", Printable(task), chain(fault))
    });
    deferred.chain(faults).chain(projected.notes.iter().cloned()).collect()
}

/// Returns an error and what caused it as one message.
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

/// The question makes no sense as it was put.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Something that the person named is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotFound(String);

/// Returns `cmat.error/1`.
fn error_document(error: &anyhow::Error) -> serde_json::Value {
    let code = match error {
        error if error.is::<NotFound>() => "not_found",
        error if error.is::<Usage>() => "usage",
        _ => "failed",
    };
    serde_json::json!({ "schema": "cmat.error/1", "code": code, "message": format!("{error:#}") })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Prints words for the person on stderr.
fn complain(message: &str) {
    // Nobody can be told that stderr is closed.
    let Some(words) = screen::words(&printable_lines(message)) else { return };
    let _unread = writeln!(io::stderr(), "{words}");
}
