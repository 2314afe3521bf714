//! `cmat reattribute`: decides again which task each request belongs to, and shows what that changes.

use serde_json::json;

use crate::cli::ReattributeArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::faults_of_queues;
use crate::ledger::Durability;
use crate::ledger::correction::Moved;
use crate::printable::Printable;
use crate::report::counted;

pub(super) fn run(args: &ReattributeArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = context.settled_books()?;
    let (now, prices) = (books.now, &mut books.prices);
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    let again = recording.reattribute(&mut |project, facts| prices.charges(project, facts))?;
    let faults = prices.faults();
    if args.dry_run || !faults.is_empty() {
        drop(recording);
    } else {
        recording.commit()?;
    }
    for fault in &faults {
        complain(&chain(fault));
    }
    if !faults.is_empty() {
        anyhow::bail!("nothing was changed: mend the price tables first");
    }
    if context.global.json {
        context.print_json(&json!({
            "schema": "cmat.reattribute/1",
            "dry_run": args.dry_run,
            "requests": again.n_requests,
            "moved": again.moved,
        }))?;
    } else {
        let mood = if args.dry_run { Mood::Would } else { Mood::Done };
        writeln!(context.out, "{} looked at", counted(again.n_requests, "request"))?;
        show_moved(&again.moved, mood, context)?;
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

/// Whether what is shown has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Done,
    Would,
}

/// Prints which requests go from one task to another.
pub(super) fn show_moved(moved: &[Moved], mood: Mood, context: &mut Context<'_>) -> anyhow::Result<()> {
    if moved.is_empty() {
        writeln!(context.out, "No request belongs to another task than before")?;
    }
    let verb = if mood == Mood::Done { "moved" } else { "would move" };
    let name = |task: &Option<String>| Printable(task.as_deref().unwrap_or("no task")).to_string();
    for Moved { from, to, requests } in moved {
        let requests = counted(*requests, "request");
        if from == to {
            writeln!(
                context.out,
                "{requests} of {} {verb} to another session, enhancement, ticket or the like",
                name(from)
            )?;
        } else {
            writeln!(context.out, "{requests} {verb}: {} → {}", name(from), name(to))?;
        }
    }
    Ok(())
}
