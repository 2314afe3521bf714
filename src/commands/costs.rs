//! `cmat costs extract | show | enhancement`.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::bail;
use serde_json::Map;
use serde_json::Value;

use crate::booking;
use crate::booking::Books;
use crate::booking::encoding;
use crate::booking::foreign;
use crate::cli::CostsCommand;
use crate::cli::EnhancementArgs;
use crate::cli::ExtractArgs;
use crate::cli::ShowArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::TO_ITS_END;
use crate::commands::budget;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::export;
use crate::commands::faults_of_queues;
use crate::commands::overview;
use crate::commands::reconcile;
use crate::commands::report;
use crate::commands::summary;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::correction::Moved;
use crate::ledger::task::TaskRow;
use crate::ledger::totals::Scope;
use crate::models_file;
use crate::printable::Printable;
use crate::project::Project;
use crate::report::Certainty;
use crate::report::cost_sheet;
use crate::report::cost_sheet::EnhancementSheet;
use crate::report::cost_sheet::TaskSheet;
use crate::report::counted;
use crate::report::json;
use crate::summary::TaskSummary;
use crate::task_queue::CostKeys;
use crate::task_queue::QueuedTask;

pub(super) fn run(command: &CostsCommand, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match command {
        CostsCommand::Extract(args) => extract(args, context),
        CostsCommand::Show(args) => show(args, context),
        CostsCommand::Enhancement(args) => enhancement(args, context),
        CostsCommand::List(selection) => report::run(&report::of_project(selection), context),
        CostsCommand::Top { n, selection } => report::run(&report::top_tasks(*n, selection), context),
        CostsCommand::Status => overview::run(context),
        CostsCommand::Summary(args) => summary::run(args, context),
        CostsCommand::SetBudget(args) => budget::set_plain(args, context),
        CostsCommand::Export(args) => export::run(args, context),
        CostsCommand::Sync(args) => reconcile::run(args, context),
    }
}

fn extract(args: &ExtractArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let task = TaskId::new(&args.task)?;
    let only = args.session.as_deref().filter(|id| !id.is_empty()).map(SessionId::new).transpose()?;
    let transcript = context.config.cwd.join(&args.transcript);
    if !transcript.exists() {
        return Err(NotFound(format!("transcript `{}` does not exist", transcript.display())).into());
    }
    // A wrong price table would be stamped on every request: better to mend it first.
    let prices = models_file::load(Some(&context.config.project.root), Some(&context.config.user_dir))
        .context("nothing was recorded")?;
    for warning in &prices.warnings {
        complain(&chain(warning));
    }
    let mut books = context.books()?;
    if !args.force && !is_known_task(&task, &books, &context.config.project)? {
        return Err(
            NotFound(format!("Task not found: {task} (--force records its cost all the same)")).into()
        );
    }
    books.deadline = Instant::now() + TO_ITS_END;
    let last = books.ledger.last_stored()?;
    let extracted = books.extract_and_store(&task, &transcript, only.as_ref(), &context.config.project)?;
    tell_skipped(&books, &transcript)?;
    let Some(extracted) = extracted else {
        writeln!(context.out, "No usage data found in transcript")?;
        complain_of_none(only.as_ref(), &transcript, &books)?;
        return Ok(Exit::Done);
    };
    let share = extracted.share.totals;
    if context.global.json {
        let n_new = books.ledger.n_stored_after(last)?;
        let session = extracted.share.session.as_str();
        let mut document = json::extracted(task.as_str(), session, n_new, &share, extracted.task.cost());
        json::extend(&mut document, serde_json::json!({ "moved": extracted.moved }));
        context.print_json(&document)?;
    } else {
        let certainty = Certainty::of(&share);
        writeln!(context.out, "Cost extracted: {}", crate::report::amount(share.cost.total(), certainty))?;
    }
    for Moved { from, requests, .. } in &extracted.moved {
        let from = Printable(from.as_deref().unwrap_or("no task"));
        complain(&format!("{} moved to {task} from {from}", counted(*requests, "request")));
    }
    for fault in faults_of_queues(&extracted.projected) {
        complain(&fault);
    }
    context.remark(&share);
    let exit = context.certain_exit(&share);
    Ok(if extracted.projected.is_complete() { exit } else { Exit::Deferred })
}

/// Says what stands in a transcript in which nothing was found.
fn complain_of_none(only: Option<&SessionId>, transcript: &Path, books: &Books) -> anyhow::Result<()> {
    let main = transcript.canonicalize().unwrap_or_else(|_| transcript.to_owned());
    if let Ok(Some(foreign)) = encoding::foreign(&main) {
        complain(&format!("{}: {foreign}", main.display()));
    }
    let sessions = books.ledger.sessions_in(&main)?;
    if let (Some(only), false) = (only, sessions.is_empty()) {
        let sessions = sessions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        complain(&format!("nothing of session {only}; the transcript holds {sessions}"));
    }
    Ok(())
}

/// Returns whether the project's queue, or cmat itself, has the task. Without a queue every task is known.
pub(super) fn is_known_task(task: &TaskId, books: &Books, project: &Project) -> anyhow::Result<bool> {
    let Some(queue) = booking::find_queue(project) else { return Ok(true) };
    let queued = match queue.read(books.deadline) {
        Ok(document) => document.task(task).is_some(),
        // It is recorded first; the queue is waited for when it is written.
        Err(_unreadable) => true,
    };
    Ok(queued || books.ledger.tasks_named(task)?.iter().any(|(_, root)| *root == project.root))
}

fn tell_skipped(books: &Books, transcript: &Path) -> anyhow::Result<()> {
    let main = transcript.canonicalize().unwrap_or_else(|_| transcript.to_owned());
    for skipped in books.ledger.skipped_lines(&main)? {
        complain(&format!("{}:{}: left out: {}", main.display(), skipped.line, skipped.reason));
    }
    Ok(())
}

fn show(args: &ShowArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let task = TaskId::new(&args.task)?;
    let books = context.asked_books()?;
    let summary = match find_task(&task, &books, context)? {
        Some(row) => Some(books.ledger.task_summary(row)?),
        None => None,
    };
    let is_known = TaskSummary::is_recorded;
    if let Some(summary) = summary.filter(is_known) {
        return show_summary(&summary, &books, args, context);
    }
    let queued = queued_task(&task, &books, context);
    match queued.and_then(|queued| foreign::as_stored(&queued, &context.config.project.root)) {
        Some(stored) => show_summary(&stored, &books, args, context),
        None => Err(NotFound(format!("no cost data found for task: {task}")).into()),
    }
}

fn show_summary(
    summary: &TaskSummary,
    books: &Books,
    args: &ShowArgs,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    if context.global.json {
        let queued = queued_task(&summary.task, books, context);
        let metadata = queued.map(|queued| metadata(&queued.costs)).unwrap_or_default();
        context.print_json(&json::task(summary, metadata))?;
    } else {
        write!(context.out, "{}", TaskSheet::of(summary).render(summary.task.as_str()))?;
        if args.breakdown {
            write!(context.out, "{}", cost_sheet::task_breakdown(summary))?;
        }
    }
    if summary.project != context.config.project.root {
        complain(&format!("of project {}", summary.project.display()));
    }
    if summary.totals.requests == 0 {
        complain("as another program recorded it; cmat has read no request of it");
    }
    context.remark(&summary.totals);
    Ok(context.certain_exit(&summary.totals))
}

fn queued_task(task: &TaskId, books: &Books, context: &Context<'_>) -> Option<QueuedTask> {
    let queue = booking::find_queue(&context.config.project)?;
    queue.read(books.deadline).inspect_err(|fault| complain(&chain(fault))).ok()?.task(task)
}

/// Returns the task of that name in this project, else the only one of that name.
pub(super) fn find_task(
    task: &TaskId,
    books: &Books,
    context: &Context<'_>,
) -> anyhow::Result<Option<TaskRow>> {
    let found = books.ledger.tasks_named(task)?;
    let here = &context.config.project.root;
    if let Some((row, _)) = found.iter().find(|(_, project)| project == here) {
        return Ok(Some(*row));
    }
    match (found.as_slice(), &context.global.project) {
        ([(row, _)], None) => Ok(Some(*row)),
        ([] | [_], _) => Ok(None),
        (several, _) => bail!(
            "several projects have a task {task}; name one with --project: {}",
            several.iter().map(|(_, project)| project.display().to_string()).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn enhancement(args: &EnhancementArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let stored = stored_tasks(&args.name, &books, context);
    let here = &context.config.project.root;
    let project = match project_of_enhancement(&args.name, &books, context)? {
        None if stored.is_empty() => return no_enhancement(args, context),
        None => here.clone(),
        Some(project) => project,
    };
    let rows = books.ledger.tasks_of_enhancement(&project, &args.name)?;
    let mut tasks =
        rows.into_iter().map(|row| books.ledger.task_summary(row)).collect::<Result<Vec<_>, _>>()?;
    tasks.extend(books.ledger.parts_of_enhancement(&project, &args.name)?);
    if project == *here {
        let recorded: BTreeSet<_> = tasks.iter().map(|task| task.task.clone()).collect();
        tasks.extend(stored.into_iter().filter(|task| !recorded.contains(&task.task)));
    }
    let without_task = books.ledger.totals(Scope::OutsideTasks(&project, &args.name))?;
    let sheet = EnhancementSheet { name: &args.name, tasks: &tasks, without_task: without_task.as_ref() };
    if context.global.json {
        context.print_json(&json::enhancement(&sheet))?;
    } else {
        write!(context.out, "{}", sheet.render())?;
        if args.breakdown {
            write!(context.out, "{}", sheet.breakdown())?;
        }
    }
    if project != context.config.project.root {
        complain(&format!("of project {}", project.display()));
    }
    let totals = sheet.totals();
    context.remark(&totals);
    Ok(context.certain_exit(&totals))
}

/// Returns the tasks of the project's queue that belong to the enhancement, by the figures that stand there.
fn stored_tasks(name: &str, books: &Books, context: &Context<'_>) -> Vec<TaskSummary> {
    let project = &context.config.project;
    let Some(document) = booking::find_queue(project).and_then(|queue| queue.read(books.deadline).ok())
    else {
        return Vec::new();
    };
    document
        .tasks()
        .filter(|queued| queued.enhancement.as_deref() == Some(name))
        .filter_map(|queued| foreign::as_stored(&queued, &project.root))
        .collect()
}

fn no_enhancement(args: &EnhancementArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if context.global.json {
        let sheet = EnhancementSheet { name: &args.name, tasks: &[], without_task: None };
        context.print_json(&json::enhancement(&sheet))?;
    } else {
        writeln!(context.out, "No cost data found for enhancement: {}", Printable(&args.name))?;
    }
    Ok(Exit::Done)
}

fn project_of_enhancement(
    name: &str,
    books: &Books,
    context: &Context<'_>,
) -> anyhow::Result<Option<PathBuf>> {
    let found = books.ledger.projects_of_enhancement(name)?;
    let here = &context.config.project.root;
    if found.contains(here) {
        return Ok(Some(here.clone()));
    }
    let mut found = found.into_iter();
    match (found.next(), found.next(), &context.global.project) {
        (Some(only), None, None) => Ok(Some(only)),
        (Some(first), Some(second), None) => bail!(
            "several projects have an enhancement of that name; name one with --project: {}, {} …",
            first.display(),
            second.display()
        ),
        _ => Ok(None),
    }
}

fn metadata(costs: &CostKeys) -> Map<String, Value> {
    costs.pairs().into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect()
}
