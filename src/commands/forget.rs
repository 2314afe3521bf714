//! `cmat forget`: removes what was recorded, for good.

use anyhow::bail;
use serde_json::json;

use crate::booking::Books;
use crate::cli::ForgetArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::budget::refuse_inside_claude_code;
use crate::commands::complain;
use crate::commands::faults_of_queues;
use crate::id::SessionId;
use crate::ledger::Durability;
use crate::ledger::backup;
use crate::ledger::forget::Forgettable;
use crate::printable::Printable;
use crate::report::counted;

pub(super) fn run(args: &ForgetArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if !args.dry_run {
        // What is forgotten no longer counts for a budget.
        refuse_inside_claude_code("cmat forget", context)?;
    }
    let what = what(args, context)?;
    let mut books = context.settled_books()?;
    if let Forgettable::Session(session) = &what
        && !books.ledger.knows_session(session)?
    {
        return Err(NotFound(format!("no session `{}` is recorded", Printable(session.as_str()))).into());
    }
    let (now, prices) = (books.now, &mut books.prices);
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    let forgotten = recording.forget(&what, &mut |project, facts| prices.charges(project, facts))?;
    if args.dry_run {
        drop(recording);
    } else {
        recording.commit()?;
        forget_copies(&books, context)?;
    }
    if context.global.json {
        context.print_json(&json!({
            "schema": "cmat.forget/1",
            "dry_run": args.dry_run,
            "requests": forgotten.requests,
            "sessions": forgotten.sessions,
            "tasks": forgotten.tasks,
        }))?;
    } else {
        writeln!(
            context.out,
            "{} and {} {}, of {}",
            counted(forgotten.requests, "request"),
            counted(forgotten.sessions, "session"),
            if args.dry_run { "would be forgotten" } else { "forgotten" },
            counted(forgotten.tasks, "task"),
        )?;
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let projected = books.project_pending()?;
    for fault in faults_of_queues(&projected) {
        complain(&fault);
    }
    Ok(if projected.is_complete() { Exit::Done } else { Exit::Deferred })
}

/// Makes a new backup in place of those that hold what was forgotten, and tells of other copies.
fn forget_copies(books: &Books, context: &Context<'_>) -> anyhow::Result<()> {
    let folder = &context.config.data_dir;
    let had_backup = !backup::list(folder).is_empty();
    backup::remove_all(folder)?;
    if had_backup {
        books.ledger.back_up(folder, books.now)?;
    }
    for damaged in backup::set_aside_before(folder) {
        complain(&format!("`{}` may hold it too: delete it if you need it no more", damaged.display()));
    }
    Ok(())
}

/// Returns the one thing that the arguments name; two of them could mean either or both.
fn what(args: &ForgetArgs, context: &Context<'_>) -> anyhow::Result<Forgettable> {
    match (&args.session, &context.global.project, args.before) {
        (Some(session), None, None) => Ok(Forgettable::Session(SessionId::new(session.as_str())?)),
        (None, Some(_here), None) => Ok(Forgettable::Project(context.config.project.root.clone())),
        (None, None, Some(moment)) => Ok(Forgettable::Before(moment)),
        _ => bail!("name one of a session, `--project DIR` and `--before DATE`; nothing was forgotten"),
    }
}
