//! What the budgets say before `cmat run` starts a session.

use anyhow::bail;
use jiff::SignedDuration;
use serde_json::json;

use crate::budget::standing::Verdict;
use crate::budget::standing::strictest;
use crate::commands::Context;
use crate::commands::budget::overriding::refuse_inside_claude_code;
use crate::commands::budget::standing;
use crate::commands::complain;
use crate::config::budgets::Budgets;
use crate::config::budgets::Fail;
use crate::guard;
use crate::guard::Known;
use crate::guard::words;
use crate::guard::words::Stopped;
use crate::ledger::Durability;
use crate::money::Usd;
use crate::printable::Printable;

/// A run that began longer ago was killed together with who should have noted its end.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is to be started.
#[derive(Debug)]
pub(in crate::commands) struct Start<'a> {
    /// The name under which its hooks find it.
    pub(in crate::commands) run: &'a str,
    pub(in crate::commands) task: Option<&'a str>,
    pub(in crate::commands) enhancement: Option<&'a str>,
    /// The model that it names.
    pub(in crate::commands) model: Option<&'a str>,
    pub(in crate::commands) person: Person,
    /// Why the check is to be skipped, where it can be.
    pub(in crate::commands) skipped_for: Option<&'a str>,
}

/// Whether somebody can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Person {
    Present,
    Absent,
}

/// What may be started.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum Permission {
    /// It, as it is.
    Granted,
    /// It, with this model.
    OnlyWith(String),
    /// Nothing.
    Refused,
}

/// Asks the budgets; what stands in the way is told.
///
/// # Errors
/// If the check may not be skipped, or that cannot be put into the audit.
pub(in crate::commands) fn permission(
    start: &Start<'_>,
    context: &Context<'_>,
) -> anyhow::Result<Permission> {
    let mut budgets = standing::read(context);
    let nothing_holds = budgets.all.is_empty() && budgets.faults.is_empty();
    if let Some(reason) = start.skipped_for {
        audit_skip(start, reason.trim(), context)?;
        budgets.all.retain(|budget| !budget.overridable);
    }
    if nothing_holds {
        return Ok(Permission::Granted);
    }
    let judged = match budgets.faults.first() {
        Some(fault) if budgets.fail == Fail::Closed => Err(anyhow::anyhow!("{fault}")),
        _ => judge(start, &mut budgets, context),
    };
    Ok(judged.unwrap_or_else(|fault| match budgets.fail {
        Fail::Open => {
            complain(&format!("Warning: the budgets could not be checked: {fault:#}"));
            Permission::Granted
        }
        Fail::Closed => {
            complain(&format!(
                "Error: the budgets could not be checked, and `hook = {{ fail = \"closed\" }}` holds: {fault:#}"
            ));
            Permission::Refused
        }
    }))
}

fn judge(start: &Start<'_>, budgets: &mut Budgets, context: &Context<'_>) -> anyhow::Result<Permission> {
    let project = &context.config.project;
    let mut books = context.settled_books()?;
    guard::name_rows(budgets, &mut books.prices, project);
    let mut row = |name: &str| books.prices.row_of(Some(&project.root), name);
    let model = start.model.map(|name| row(name).map_or(name.to_owned(), |row| row.as_str().to_owned()));
    let known = Known {
        task: start.task,
        enhancement: start.enhancement,
        model: model.as_deref(),
        ..Known::default()
    };
    let subject = standing::subject(&known, &books, context)?;
    let standings = guard::standings(&books.ledger, budgets, &subject, books.now)?;
    let row = |name: &str| books.prices.row_of(Some(&project.root), name);
    let stop = strictest(&standings, Usd::ZERO, &mut guard::uses(model.as_deref(), row));
    let (permission, model) = match stop {
        None | Some((_, Verdict::Go)) => (Permission::Granted, model),
        Some((standing, verdict @ Verdict::Ask)) if start.person == Person::Present => {
            complain(&words::refusal(standing, &verdict, Usd::ZERO, Stopped::Prompt));
            (Permission::Granted, model)
        }
        Some((standing, Verdict::Downgrade(cheaper))) => {
            let (about, usage) = (words::about(standing), words::usage(standing));
            complain(&format!(
                "cmat: budget reached – {about} {usage}: the session starts with {}.",
                Printable(&cheaper)
            ));
            let row = books.prices.row_of(Some(&project.root), &cheaper);
            let model = row.map_or_else(|| cheaper.clone(), |row| row.as_str().to_owned());
            (Permission::OnlyWith(cheaper), Some(model))
        }
        Some((standing, Verdict::Ask | Verdict::Block)) => {
            complain(&words::refusal(standing, &Verdict::Block, Usd::ZERO, Stopped::Session));
            return Ok(Permission::Refused);
        }
    };
    let mut recording = books.ledger.record(Durability::Repeatable, books.now)?;
    recording.begin_run(start.run, model.as_deref())?;
    recording.end_lost_runs(books.now.saturating_sub(LONGEST_RUN)?)?;
    recording.commit()?;
    Ok(permission)
}

fn audit_skip(start: &Start<'_>, reason: &str, context: &Context<'_>) -> anyhow::Result<()> {
    refuse_inside_claude_code("cmat run --skip-budget-check", context)?;
    if reason.is_empty() {
        bail!("skipping the budget check needs a reason: it is what the audit says later");
    }
    let mut books = context.books()?;
    let mut recording = books.ledger.record(Durability::Irreplaceable, books.now)?;
    recording.audit(
        "check_skipped",
        &json!({ "task": start.task, "reason": reason, "person": context.config.person() }),
    )?;
    recording.commit()?;
    Ok(())
}

/// Returns the id of the budget by which a hook stopped the run, which has ended.
pub(in crate::commands) fn stopped_by(run: &str, context: &Context<'_>) -> anyhow::Result<Option<String>> {
    let mut books = context.books()?;
    let Some(ended) = books.ledger.run(run)? else { return Ok(None) };
    let mut recording = books.ledger.record(Durability::Repeatable, books.now)?;
    recording.end_run(run)?;
    recording.commit()?;
    Ok(ended.stopped_by)
}
