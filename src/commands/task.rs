//! `cmat task new | use | list | show`, for people without a task queue.

use anyhow::bail;
use serde_json::json;

use crate::attribution::BindingSource;
use crate::booking;
use crate::cli::TaskCommand;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::costs;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::binding::NewBinding;
use crate::printable::Printable;
use crate::report;
use crate::report::Certainty;
use crate::report::json as documents;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::TaskSummary;
use crate::task_file;

pub(super) fn run(command: &TaskCommand, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match command {
        TaskCommand::New { title, enhancement } => new(title, enhancement.as_deref(), context),
        TaskCommand::Use { id } => work_on(id, context),
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
    let known = books.ledger.tasks_named(&task)?.iter().any(|(_, root)| *root == project.root);
    if !known && !is_queued(&task, context) {
        return Err(NotFound(format!(
            "task not found: {task} (`cmat task new` makes one, `cmat task list` lists them)"
        ))
        .into());
    }
    let now = books.now;
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    let row = recording.task(&project.root, &task)?;
    recording.bind_project(
        &project.root,
        &NewBinding {
            task: Some(row),
            enhancement: None,
            agent: None,
            tags: None,
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

fn is_queued(task: &TaskId, context: &Context<'_>) -> bool {
    let Some(queue) = booking::find_queue(&context.config.project) else { return false };
    let deadline = std::time::Instant::now() + super::PATIENCE;
    match queue.read(deadline) {
        Ok(document) => document.task(task).is_some(),
        Err(fault) => {
            complain(&chain(&fault));
            false
        }
    }
}

fn list(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.settled_books()?;
    let rows = books.ledger.tasks_of_project(&context.config.project.root)?;
    let tasks = rows.into_iter().map(|row| books.ledger.task_summary(row)).collect::<Result<Vec<_>, _>>()?;
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
    Ok(Exit::Done)
}

fn row(task: &TaskSummary) -> Vec<String> {
    let text = |text: &Option<String>| Printable(text.as_deref().unwrap_or("-")).to_string();
    vec![
        task.task.to_string(),
        text(&task.enhancement),
        report::amount(task.cost(), Certainty::of(&task.totals)),
        text(&task.title),
    ]
}

fn show(id: &str, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.settled_books()?;
    let task = TaskId::new(id)?;
    let Some(found) = costs::find_task(&task, &books, context)? else {
        return Err(NotFound(format!("task not found: {task} (`cmat task list` lists them)")).into());
    };
    let summary = books.ledger.task_summary(found)?;
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
        report::amount(summary.cost(), Certainty::of(&summary.totals))
    )?;
    Ok(Exit::Done)
}
