//! `cmat reprice`: prices recorded requests again and shows what that changes.

use serde_json::json;

use crate::cli::RepriceArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::faults_of_queues;
use crate::ledger::Durability;
use crate::ledger::charges::Repriced;
use crate::money::Usd;
use crate::report::COST_PLACES;
use crate::report::counted;

pub(super) fn run(args: &RepriceArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = context.settled_books()?;
    let since = args.since.map(|day| day.to_zoned(jiff::tz::TimeZone::UTC)).transpose()?;
    let (now, prices) = (books.now, &mut books.prices);
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    let repriced = recording
        .reprice(since.map(|day| day.timestamp()), &mut |project, facts| prices.charges(project, facts))?;
    let (faults, warnings) = (prices.faults(), prices.warnings());
    if args.dry_run || !faults.is_empty() {
        drop(recording);
    } else {
        recording.commit()?;
    }
    for fault in &faults {
        complain(&chain(fault));
    }
    for warning in &warnings {
        complain(&chain(warning));
    }
    if !faults.is_empty() {
        anyhow::bail!("nothing was repriced: mend the price tables first");
    }
    show(&repriced, args, context)?;
    context.remark_billing();
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let projected = books.project_pending()?;
    for fault in faults_of_queues(&projected) {
        complain(&fault);
    }
    Ok(if projected.is_complete() { Exit::Done } else { Exit::Deferred })
}

fn show(repriced: &Repriced, args: &RepriceArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    if context.global.json {
        return context.print_json(&json!({
            "schema": "cmat.reprice/1",
            "dry_run": args.dry_run,
            "requests": repriced.n_requests,
            "models": repriced.models,
            "tasks": repriced.n_tasks,
        }));
    }
    if repriced.models.is_empty() {
        writeln!(context.out, "{} priced again; no price changed", counted(repriced.n_requests, "request"))?;
    }
    for (model, change) in &repriced.models {
        writeln!(
            context.out,
            "  {model}  {}  ${} → ${} ({})",
            counted(change.requests, "request"),
            change.before.rounded(COST_PLACES),
            change.after.rounded(COST_PLACES),
            difference(change.after - change.before),
        )?;
    }
    if !repriced.models.is_empty() {
        let verb = if args.dry_run { "would change" } else { "changed" };
        writeln!(context.out, "  {} {verb}", counted(repriced.n_tasks, "task"))?;
    }
    Ok(())
}

fn difference(amount: Usd) -> String {
    if amount < Usd::ZERO {
        format!("−${}", (-amount).rounded(COST_PLACES))
    } else {
        format!("+${}", amount.rounded(COST_PLACES))
    }
}
