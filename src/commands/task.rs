//! `cmat task new | use | assign | list | show`: tasks, also for people without a task queue.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::json;

use crate::attribution::BindingSource;
use crate::booking;
use crate::booking::Books;
use crate::booking::correction::Corrected;
use crate::cli::TaskCommand;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::PATIENCE;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::costs;
use crate::commands::faults_of_queues;
use crate::commands::git;
use crate::commands::reattribute;
use crate::commands::reattribute::Mood;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::binding::NewBinding;
use crate::ledger::task::TaskRow;
use crate::money::Usd;
use crate::printable::Printable;
use crate::project::Project;
use crate::query::PullRequestName;
use crate::report;
use crate::report::Certainty;
use crate::report::json as documents;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::Elsewhere;
use crate::summary::TaskSummary;
use crate::summary::Totals;
use crate::task_file;
use crate::task_queue::QueueDocument;
use crate::task_queue::QueuedTask;

pub(super) fn run(command: &TaskCommand, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match command {
        TaskCommand::New { title, enhancement } => new(title, enhancement.as_deref(), context),
        TaskCommand::Use { id } => work_on(id, context),
        TaskCommand::Assign { what, task, since } => assign(what, task, *since, context),
        TaskCommand::Link { id, pr } => link(id, pr, context),
        TaskCommand::List => list(context),
        TaskCommand::Show { id } => show(id, context),
    }
}

fn new(title: &str, enhancement: Option<&str>, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if title.trim().is_empty() {
        bail!("a task needs a title");
    }
    let mut books = context.books()?;
    let now = books.now;
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    let task = recording.new_task(&context.config.project.root, title, enhancement)?;
    recording.commit()?;
    if context.global.json {
        context.print_json(&json!({ "schema": "cmat.task.new/1", "task": task, "title": title }))?;
    } else {
        writeln!(context.out, "{task}")?;
    }
    Ok(Exit::Done)
}

fn work_on(id: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let task = TaskId::new(id)?;
    let mut books = context.books()?;
    let project = context.config.project.clone();
    // Without a queue every task is known, as it is to the hook.
    if let Some(queue) = read_queue(context)
        && queue.task(&task).is_none()
        && row_here(&task, &books, context)?.is_none()
    {
        return Err(NotFound(format!(
            "task not found: {task} (`cmat task new` makes one, `cmat task list` lists them)"
        ))
        .into());
    }
    let now = books.now;
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    let row = recording.task(&project.root, &task)?;
    recording.bind_project(
        &project,
        &NewBinding {
            task: Some(row),
            enhancement: None,
            agent: None,
            tags: None,
            user: None,
            since: None,
            said: now,
            source: BindingSource::TaskUse,
        },
    )?;
    recording.commit()?;
    task_file::write(&project.worktree, &task)?;
    if context.global.json {
        context.print_json(&json!({ "schema": "cmat.task.use/1", "task": task }))?;
    } else {
        writeln!(context.out, "Working on {task}, in sessions of this project that name no task")?;
    }
    Ok(Exit::Done)
}

fn assign(
    what: &str,
    task: &str,
    since: Option<Timestamp>,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let task = TaskId::new(task)?;
    let mut books = context.settled_books()?;
    let Some((corrected, project)) = find_corrected(what, &books, context)? else {
        return Err(NotFound(format!(
            "no session, and no branch of this project, is recorded as `{}` (`cmat reconcile` reads more)",
            Printable(what)
        ))
        .into());
    };
    if !costs::is_known_task(&task, &books, &project)? {
        return Err(NotFound(format!(
            "task not found: {task} in `{}` (`cmat task list` lists them)",
            Printable(&project.root.to_string_lossy())
        ))
        .into());
    }
    let moved = books.correct(&corrected, &project, &task, since)?;
    let projected = books.project_pending()?;
    if context.global.json {
        context.print_json(&json!({ "schema": "cmat.task.assign/1", "task": task, "moved": moved }))?;
    } else {
        reattribute::show_moved(&moved, Mood::Done, context)?;
    }
    for fault in faults_of_queues(&projected) {
        complain(&fault);
    }
    Ok(if projected.is_complete() { Exit::Done } else { Exit::Deferred })
}

fn link(id: &str, pr: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let task = TaskId::new(id)?;
    let root = context.config.project.root.clone();
    let named: PullRequestName = pr.parse()?;
    let pr = match named.repository {
        Some(_) => named.to_string(),
        None => PullRequestName { repository: git::repository(&root), ..named }.to_string(),
    };
    let mut books = context.settled_books()?;
    if !costs::is_known_task(&task, &books, &context.config.project)? {
        return Err(NotFound(format!("task not found: {task} (`cmat task list` lists them)")).into());
    }
    let now = books.now;
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    let row = recording.task(&root, &task)?;
    recording.link_task(row, &pr)?;
    recording.commit()?;
    if context.global.json {
        context.print_json(&json!({ "schema": "cmat.task.link/1", "task": task, "pr": pr }))?;
    } else {
        writeln!(context.out, "{task} went into {}", Printable(&pr))?;
    }
    Ok(Exit::Done)
}

/// Takes the text for a session, else for a branch of this project; returns the project that its task is one of.
fn find_corrected(
    what: &str,
    books: &Books,
    context: &Context<'_>,
) -> anyhow::Result<Option<(Corrected, Project)>> {
    let here = &context.config.project;
    let session = SessionId::new(what)?;
    if books.ledger.knows_session(&session)? {
        let project = books.ledger.project_of(&session)?.unwrap_or_else(|| here.clone());
        return Ok(Some((Corrected::Session(session), project)));
    }
    let is_branch = books.ledger.knows_branch(here, what)?;
    Ok(is_branch.then(|| (Corrected::Branch(what.to_owned()), here.clone())))
}

/// Returns the project's queue; one that cannot be read is reported and treated as none.
pub(super) fn read_queue(context: &Context<'_>) -> Option<QueueDocument> {
    let queue = booking::find_queue(&context.config.project)?;
    let deadline = Instant::now() + PATIENCE;
    queue.read(deadline).inspect_err(|fault| complain(&chain(fault))).ok()
}

/// Returns what the ledger has of a task of this project.
fn row_here(task: &TaskId, books: &Books, context: &Context<'_>) -> anyhow::Result<Option<TaskRow>> {
    let mut found = books.ledger.tasks_named(task)?.into_iter();
    let here = &context.config.project.root;
    Ok(found.find(|(_, project)| project == here).map(|(row, _)| row))
}

/// Returns a task of the queue that the ledger knows nothing of; what its keys say was recorded elsewhere.
fn unrecorded(queued: QueuedTask, context: &Context<'_>) -> TaskSummary {
    let count = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
    let costs = &queued.costs;
    let cost: Option<Usd> = costs.usd.as_deref().and_then(|usd| usd.parse().ok());
    let elsewhere = cost.map(|cost| Elsewhere {
        entries: 1,
        input: count(&costs.input_tokens),
        output: count(&costs.output_tokens),
        cache_write: count(&costs.cache_creation_tokens),
        cache_read: count(&costs.cache_read_tokens),
        cost,
    });
    TaskSummary {
        task: queued.id,
        project: context.config.project.root.clone(),
        title: queued.title,
        enhancement: queued.enhancement,
        agent: queued.assigned_agent,
        totals: Totals::default(),
        models: Vec::new(),
        sessions: Vec::new(),
        not_itemised: Totals::default(),
        elsewhere: elsewhere.unwrap_or_default(),
    }
}

/// Returns a recorded task, with what the queue says of it where the ledger does not say it yet.
fn described(mut task: TaskSummary, queued: Option<QueuedTask>) -> TaskSummary {
    if let Some(queued) = queued {
        task.title = task.title.or(queued.title);
        task.enhancement = task.enhancement.or(queued.enhancement);
    }
    task
}

fn list(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let mut queued: Vec<QueuedTask> = read_queue(context).iter().flat_map(QueueDocument::tasks).collect();
    // Of several with an id the first is the task.
    let mut ids = BTreeSet::new();
    queued.retain(|queued| ids.insert(queued.id.clone()));
    let mut tasks = Vec::new();
    for row in books.ledger.tasks_of_project(&context.config.project.root)? {
        let task = books.ledger.task_summary(row)?;
        let of_queue = queued.extract_if(.., |queued| queued.id == task.task).next();
        tasks.push(described(task, of_queue));
    }
    tasks.extend(queued.into_iter().map(|queued| unrecorded(queued, context)));
    if context.global.json {
        let rows: Vec<_> = tasks.iter().map(|task| documents::task(task, serde_json::Map::new())).collect();
        context.print_json(&json!({ "schema": "cmat.task.list/1", "rows": rows }))?;
        return Ok(Exit::Done);
    }
    if tasks.is_empty() {
        complain("no tasks yet: `cmat task new \"Title\"` makes one");
        return Ok(Exit::Done);
    }
    let headings =
        [("TASK", Side::Left), ("ENHANCEMENT", Side::Left), ("COST", Side::Right), ("TITLE", Side::Left)];
    write!(context.out, "{}", table::render(&headings, tasks.iter().map(row)))?;
    context.remark_billing();
    Ok(Exit::Done)
}

fn row(task: &TaskSummary) -> Vec<String> {
    let text = |text: &Option<String>| Printable(text.as_deref().unwrap_or("-")).to_string();
    vec![
        task.task.to_string(),
        text(&task.enhancement),
        report::sized_amount(task.cost(), Certainty::of(&task.totals)),
        text(&task.title),
    ]
}

fn show(id: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let task = TaskId::new(id)?;
    let queued = read_queue(context).and_then(|queue| queue.task(&task));
    let summary = match (row_here(&task, &books, context)?, queued) {
        (Some(row), queued) => described(books.ledger.task_summary(row)?, queued),
        (None, Some(queued)) => unrecorded(queued, context),
        (None, None) => match costs::find_task(&task, &books, context)? {
            Some(row) => books.ledger.task_summary(row)?,
            None => {
                return Err(NotFound(format!("task not found: {task} (`cmat task list` lists them)")).into());
            }
        },
    };
    if context.global.json {
        context.print_json(&documents::task(&summary, serde_json::Map::new()))?;
        return Ok(Exit::Done);
    }
    let text = |text: &Option<String>| Printable(text.as_deref().unwrap_or("-")).to_string();
    writeln!(context.out, "Task {}:", summary.task)?;
    writeln!(context.out, "  Title:       {}", text(&summary.title))?;
    writeln!(context.out, "  Enhancement: {}", text(&summary.enhancement))?;
    writeln!(context.out, "  Sessions:    {}", summary.sessions.len())?;
    writeln!(context.out, "  Requests:    {}", summary.totals.requests)?;
    writeln!(
        context.out,
        "  Cost:        {}",
        report::sized_amount(summary.cost(), Certainty::of(&summary.totals))
    )?;
    context.remark_billing();
    Ok(Exit::Done)
}
