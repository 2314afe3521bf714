//! `cmat hook user-prompt | pre-tool`: what the budgets say of a prompt or a tool, as Claude Code reads it.
//!
//! First it books what the session's transcripts gained, by the way of every other hook; then it asks the ledger. An
//! answer is one JSON object on stdout, and nothing is printed where nothing stands in the way. If it cannot check, the
//! log says so and the session goes on, unless `hook = { fail = "closed" }` is configured.

use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::booking::BookingError;
use crate::booking::Books;
use crate::budget::OnExceed;
use crate::budget::standing::Standing;
use crate::budget::standing::Verdict;
use crate::budget::standing::strictest;
use crate::commands::alerting;
use crate::commands::hook::Named;
use crate::commands::hook::latest;
use crate::commands::hook::named;
use crate::commands::hook::stdin;
use crate::commands::open_books;
use crate::config::Config;
use crate::config::alerts::Alerts;
use crate::config::budgets::Budgets;
use crate::config::budgets::Fail;
use crate::config::client;
use crate::guard;
use crate::guard::Known;
use crate::guard::bypass;
use crate::guard::bypass::Attempt;
use crate::guard::bypass::ToolCall;
use crate::guard::words;
use crate::guard::words::Stopped;
use crate::hook_input::HookInput;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::money::Usd;
use crate::project;
use crate::project::Project;
use crate::task_file;

/// How long a check may take, of the 30 s that Claude Code grants: it waits for the ledger on a busy machine rather than
/// let a prompt pass.
const LIMIT: Duration = Duration::from_secs(20);

/// How long nothing may happen to a ledger that is locked: then whoever holds it hangs, and it is read as it is.
const STUCK_AFTER: Duration = Duration::from_millis(1_500);

/// What is kept of that for answering.
const MARGIN: Duration = Duration::from_millis(500);

/// How long stdin is waited for.
const STDIN_PATIENCE: Duration = Duration::from_secs(2);

/// Largest document that is read from stdin, in bytes: a tool may be about to write a large file.
const MAX_STDIN_BYTES: u64 = 256 << 20;

/// From how much of a budget on a tool waits for its own request to be counted, in percent.
const NEAR_PERCENT: u64 = 75;

/// How many requests may count one by one before they are rolled up.
const MANY: u64 = 100;

/// An event that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// May this prompt be sent?
    Prompt,
    /// May this tool run?
    Tool,
}

impl Question {
    /// Returns the question that an argument names.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "user-prompt" => Some(Self::Prompt),
            "pre-tool" => Some(Self::Tool),
            _ => None,
        }
    }
}

/// Whether an answer was given: there is one, from whichever thread.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// What is known before anything is read.
struct Asked {
    question: Question,
    told: HookInput,
    named: Named,
    project: Project,
    /// Somebody can be asked.
    attended: bool,
    /// The `cmat run` that the session belongs to.
    run: Option<String>,
    fail: Fail,
}

/// Answers the question.
pub(super) fn run(question: Question, config: &Config, started: Instant) -> anyhow::Result<()> {
    let told = stdin::read(STDIN_PATIENCE, MAX_STDIN_BYTES);
    let named = named(config, &[], &told);
    let folder = config.hook.project_dir.as_ref().unwrap_or(&named.cwd);
    let project = project::find(folder, config.home.as_deref());
    let config = Config { project: project.clone(), ..config.clone() };
    let mut budgets = Budgets::read(&config);
    for fault in &budgets.faults {
        tracing::error!("a budget cannot be enforced: {fault}");
    }
    if budgets.all.is_empty() && budgets.faults.is_empty() {
        return Ok(());
    }
    let attended = config.hook.attended && told.permission_mode.as_deref() != Some("bypassPermissions");
    let run = config.hook.run.clone();
    let asked = Asked { question, told, named, project, attended, run, fail: budgets.fail };
    if !budgets.faults.is_empty() && asked.fail == Fail::Closed {
        answer(&refused_unchecked(&asked, &budgets.faults[0]));
        return Ok(());
    }
    answer_at(started + LIMIT, &asked);
    match checked(&asked, &mut budgets, &config, started + LIMIT.saturating_sub(MARGIN)) {
        Ok(Some(object)) => answer(&object),
        Ok(None) => {
            if let Some(fault) = budgets.faults.first()
                && question == Question::Prompt
            {
                answer(&json!({ "systemMessage": format!("cmat: a budget is not enforced: {fault}") }));
            }
        }
        Err(fault) => {
            tracing::error!("the budgets could not be checked: {fault:#}");
            if asked.fail == Fail::Closed {
                answer(&refused_unchecked(&asked, &format!("{fault:#}")));
            } else if question == Question::Prompt {
                answer(&json!({
                    "systemMessage": format!("cmat: the budgets could not be checked: {fault:#}; the session goes on"),
                }));
            }
        }
    }
    Ok(())
}

/// Tells a session that begins what is left; `None` if no budget holds.
pub(super) fn left(
    session: Option<&SessionId>,
    project: &Project,
    books: &mut Books,
    config: &Config,
) -> anyhow::Result<Option<Value>> {
    let config = Config { project: project.clone(), ..config.clone() };
    let budgets = Budgets::read(&config);
    if budgets.all.is_empty() {
        return Ok(None);
    }
    let standings = standings(session, None, project, &budgets, books, &config)?.0;
    Ok((!standings.is_empty()).then(|| {
        json!({ "hookSpecificOutput": {
            "hookEventName": "SessionStart",
            "additionalContext": words::left(&standings),
        } })
    }))
}

/// Returns how the budgets of a session stand, and the model that it uses.
fn standings(
    session: Option<&SessionId>,
    agent: Option<&str>,
    project: &Project,
    budgets: &Budgets,
    books: &mut Books,
    config: &Config,
) -> anyhow::Result<(Vec<Standing>, Option<String>)> {
    let task_file = task_file::read(&project.worktree).ok().flatten();
    let known = Known {
        session,
        task: config.hook.task.as_deref(),
        task_file: task_file.as_ref().map(TaskId::as_str),
        enhancement: config.hook.enhancement.as_deref(),
        tags: Some(&config.hook.tags),
        agent,
        model: None,
    };
    let mut subject = guard::subject(&books.ledger, project, &known)?;
    if let (None, Some(run)) = (&subject.model, &config.hook.run) {
        // Before its first answer nothing but who started it says which model it uses.
        subject.model = books.ledger.run(run)?.and_then(|run| run.model);
    }
    let has_downgrade =
        || budgets.all.iter().any(|budget| matches!(budget.on_exceed, OnExceed::Downgrade(_)));
    if subject.model.is_none() && has_downgrade() {
        subject.model = client::model_of_client();
    }
    // What a client calls it is not always what its price row is called.
    if let Some(name) = &subject.model
        && let Some(row) = books.prices.row_of(Some(&project.root), name)
    {
        subject.model = Some(row.as_str().to_owned());
    }
    Ok((guard::standings(&books.ledger, budgets, &subject, books.now)?, subject.model))
}

/// Returns the answer; `None` if nothing stands in the way.
///
/// Where others write one after the other it waits for its turn until `deadline`.
fn checked(
    asked: &Asked,
    budgets: &mut Budgets,
    config: &Config,
    deadline: Instant,
) -> anyhow::Result<Option<Value>> {
    if let Some(attempt) = attempt(asked, config) {
        // It is denied whatever becomes of the ledger.
        let noted = open_books(config, Instant::now() + STUCK_AFTER)
            .and_then(|mut books| note_attempt(attempt, asked, &mut books));
        let audited = match noted {
            Ok(()) => ", and is in the audit",
            Err(fault) => {
                tracing::error!("an attempt could not be put into the audit: {fault:#}");
                ""
            }
        };
        return Ok(Some(denied(&format!(
            "cmat: {} is for the person at the terminal, not for an agent. It was not run{audited}.",
            attempt.as_str()
        ))));
    }
    let mut books = open_books(config, Instant::now() + STUCK_AFTER)?;
    books.deadline = deadline;
    guard::name_rows(budgets, &mut books.prices, &asked.project);
    loop {
        let version = books.ledger.version()?;
        match check(asked, budgets, config, &mut books) {
            Err(fault) if is_locked(&fault) => {
                if Instant::now() >= deadline || books.ledger.version()? == version {
                    return unread(asked, budgets, config, &mut books, fault);
                }
            }
            done => return done,
        }
    }
}

/// Returns the answer from what the ledger holds, which nobody can write: only what is used up already stops.
fn unread(
    asked: &Asked,
    budgets: &Budgets,
    config: &Config,
    books: &mut Books,
    fault: anyhow::Error,
) -> anyhow::Result<Option<Value>> {
    let (session, agent) = (asked.named.session.as_ref(), asked.told.agent_type.as_deref());
    let (standings, model) = standings(session, agent, &asked.project, budgets, books, config)?;
    let prices = &mut books.prices;
    let row = |name: &str| prices.row_of(Some(&asked.project.root), name);
    match strictest(&standings, Usd::ZERO, &mut guard::uses(model.as_deref(), row)) {
        Some((standing, verdict)) => Ok(Some(refused(asked, standing, &verdict))),
        None => {
            tracing::warn!("{fault:#}");
            anyhow::bail!("another program holds the ledger, and what was spent last is not counted")
        }
    }
}

fn check(
    asked: &Asked,
    budgets: &Budgets,
    config: &Config,
    books: &mut Books,
) -> anyhow::Result<Option<Value>> {
    let began = Instant::now();
    if let Some(transcript) = &asked.named.transcript {
        books.book_session(transcript, asked.named.session.as_ref(), Some(&asked.project))?;
    }
    let (session, agent) = (asked.named.session.as_ref(), asked.told.agent_type.as_deref());
    let (mut standings, mut model) = standings(session, agent, &asked.project, budgets, books, config)?;
    if standings.iter().any(|standing| standing.percent() >= NEAR_PERCENT)
        && let Some(transcript) = &asked.named.transcript
        && let (Question::Tool, Some(tool)) = (asked.question, asked.told.tool_use_id.as_deref())
    {
        latest::wait_for_request(tool, transcript, session);
        books.book_session(transcript, asked.named.session.as_ref(), Some(&asked.project))?;
        (standings, model) = self::standings(session, agent, &asked.project, budgets, books, config)?;
    }
    if let Some(transcript) = &asked.named.transcript
        && standings.iter().any(may_need_another_model)
        && let Some(row) = latest::switched_model(transcript)
            .and_then(|name| books.prices.row_of(Some(&asked.project.root), &name))
    {
        model = Some(row.as_str().to_owned());
    }
    if asked.question == Question::Prompt {
        guard::look_ahead_to_tell(&books.ledger, &mut standings, &budgets.trusted, books.now)?;
    }
    if books.ledger.has_override_to_end(books.now)? {
        let mut recording = books.ledger.record(Durability::Repeatable, books.now)?;
        recording.end_overrides()?;
        recording.commit()?;
    }
    let object = object(asked, &standings, model.as_deref(), books)?;
    let alerts = Alerts::read(config);
    if !alerts.channels.is_empty() {
        let raised = alerting::raise(&mut books.ledger, &standings, &alerts, books.now);
        if let Err(fault) = raised.and_then(|()| alerting::deliver_soon(&books.ledger, config)) {
            tracing::warn!("alerts could not be raised: {fault}");
        }
    }
    // Thresholds were told: from here on nothing makes the answer void.
    if let Err(fault) = roll_up(&books.ledger, began.elapsed()) {
        tracing::warn!("the ledger is not rolled up: {fault}");
    }
    Ok(object)
}

/// Rolls up for about as long as the check took, if much was counted one by one: the next checks are the faster for it.
fn roll_up(ledger: &Ledger, patience: Duration) -> Result<(), LedgerError> {
    let began = Instant::now();
    if ledger.has_more_to_roll_up(MANY)? {
        while ledger.roll_up_some()? && began.elapsed() < patience {}
    }
    Ok(())
}

/// Returns whether a budget is used up that lets only a cheaper model go on.
fn may_need_another_model(standing: &Standing) -> bool {
    matches!(standing.budget.on_exceed, OnExceed::Downgrade(_))
        && (standing.percent() >= 100 || standing.spent.n_unpriced > 0)
}

fn object(
    asked: &Asked,
    standings: &[Standing],
    model: Option<&str>,
    books: &mut Books,
) -> anyhow::Result<Option<Value>> {
    let (prices, project) = (&mut books.prices, &asked.project.root);
    let row = |name: &str| prices.row_of(Some(project), name);
    let stop = strictest(standings, Usd::ZERO, &mut guard::uses(model, row));
    // What stops is told with more words than a threshold.
    let notices = guard::fresh_notices(&mut books.ledger, standings, books.now)?;
    let Some((standing, verdict)) = stop else {
        let words: Vec<String> =
            notices.iter().map(|(standing, notice)| words::notice(standing, notice)).collect();
        return Ok((!words.is_empty()).then(|| json!({ "systemMessage": words.join("\n") })));
    };
    if let (false, Some(run)) = (is_asked(asked, &verdict), &asked.run)
        && let Err(fault) = note_stop(run, &standing.budget.id(), books)
    {
        // It is stopped all the same.
        tracing::warn!("a run is not told that it was stopped: {fault}");
    }
    Ok(Some(refused(asked, standing, &verdict)))
}

/// Returns whether a person decides.
fn is_asked(asked: &Asked, verdict: &Verdict) -> bool {
    *verdict == Verdict::Ask && asked.attended
}

/// Returns the answer where a budget stands in the way.
fn refused(asked: &Asked, standing: &Standing, verdict: &Verdict) -> Value {
    let is_asked = is_asked(asked, verdict);
    let verdict = if *verdict == Verdict::Ask && !is_asked { &Verdict::Block } else { verdict };
    let words = |stopped| words::refusal(standing, verdict, Usd::ZERO, stopped);
    match (asked.question, is_asked) {
        (Question::Prompt, true) => json!({ "systemMessage": words(Stopped::Prompt) }),
        (Question::Prompt, false) => json!({ "decision": "block", "reason": words(Stopped::Prompt) }),
        (Question::Tool, true) => json!({ "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "ask",
            "permissionDecisionReason": words(Stopped::Tool),
        } }),
        (Question::Tool, false) => stopped(&words(Stopped::Tool)),
    }
}

/// Returns whether somebody else holds the ledger.
fn is_locked(fault: &anyhow::Error) -> bool {
    fault.chain().any(|cause| match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(fault), _) | (_, Some(BookingError::Ledger(fault))) => LedgerError::is_locked(fault),
        _ => false,
    })
}

/// Lets `cmat run` know why its session stops.
fn note_stop(run: &str, budget: &str, books: &mut Books) -> Result<(), LedgerError> {
    let mut recording = books.ledger.record(Durability::Repeatable, books.now)?;
    recording.stop_run(run, budget)?;
    recording.commit()
}

/// Returns how a tool call would get around a budget.
fn attempt(asked: &Asked, config: &Config) -> Option<Attempt> {
    if asked.question != Question::Tool {
        return None;
    }
    let input = asked.told.tool_input.as_ref()?;
    let file = ["file_path", "notebook_path"].into_iter().find_map(|key| input[key].as_str());
    let writes = !matches!(asked.told.tool_name.as_deref(), Some("Read" | "Glob" | "Grep" | "LS"));
    let file = file.filter(|_| writes).map(|file| asked.named.cwd.join(file));
    let call = ToolCall { command: input["command"].as_str(), file: file.as_deref() };
    bypass::attempt(call, &[&config.data_dir, &config.user_dir].map(PathBuf::as_path))
}

fn note_attempt(attempt: Attempt, asked: &Asked, books: &mut Books) -> anyhow::Result<()> {
    let mut recording = books.ledger.record(Durability::Irreplaceable, books.now)?;
    recording.audit(
        "refused",
        &json!({ "what": attempt.as_str(), "why": "a tool of the agent", "session": asked.named.session }),
    )?;
    recording.commit()?;
    Ok(())
}

/// The tool does not run; the agent is told why and goes on.
fn denied(reason: &str) -> Value {
    json!({ "hookSpecificOutput": {
        "hookEventName": "PreToolUse",
        "permissionDecision": "deny",
        "permissionDecisionReason": reason,
    } })
}

/// The tool does not run, and the session stops: with `continue` alone the tool would run, with the denial alone the
/// next request would be sent.
fn stopped(reason: &str) -> Value {
    let mut object = denied(reason);
    object["continue"] = json!(false);
    object["stopReason"] = json!(reason);
    object
}

/// The answer where budgets could not be checked and nothing may go on then.
fn refused_unchecked(asked: &Asked, fault: &str) -> Value {
    let reason = format!(
        "cmat: the budgets could not be checked, and `hook = {{ fail = \"closed\" }}` holds: {fault}\n  \
         Why: cmat doctor"
    );
    match asked.question {
        Question::Prompt => json!({ "decision": "block", "reason": reason }),
        Question::Tool => stopped(&reason),
    }
}

/// Prints the answer, if none was given.
pub(super) fn answer(object: &Value) {
    if ANSWERED.swap(true, Ordering::SeqCst) {
        return;
    }
    let mut out = std::io::stdout().lock();
    // Nobody can be told that stdout is closed.
    let _unread = writeln!(out, "{object}");
    let _unread = out.flush();
}

/// Answers at `deadline`, whatever is being done then, as for a check that failed.
fn answer_at(deadline: Instant, asked: &Asked) {
    let closed = (asked.fail == Fail::Closed).then(|| refused_unchecked(asked, "it took too long"));
    let wait = deadline.saturating_duration_since(Instant::now());
    thread::spawn(move || {
        thread::sleep(wait);
        tracing::error!("the budgets could not be checked in time");
        if let Some(object) = closed {
            answer(&object);
        }
        std::process::exit(0);
    });
}

/// Where an installed hook keeps its records and finds its configuration, whatever the environment says.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) user_dir: Option<PathBuf>,
}

impl Fixed {
    /// Takes `--data-dir DIR` and `--config-dir DIR` out of the arguments behind the event.
    pub(super) fn read(arguments: &[std::ffi::OsString]) -> Self {
        let value = |flag: &str| {
            let at = arguments.iter().position(|argument| argument == flag)?;
            arguments.get(at + 1).map(PathBuf::from).filter(|path| Path::is_absolute(path))
        };
        Self { data_dir: value("--data-dir"), user_dir: value("--config-dir") }
    }
}
