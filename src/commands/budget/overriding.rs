//! `cmat budget override`: past a budget for a time, by a person at a terminal, with a reason, in the audit.

use std::collections::BTreeSet;
use std::io;
use std::io::IsTerminal as _;

use anyhow::bail;
use jiff::SignedDuration;
use serde_json::json;

use crate::budget::Origin;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::budget::setting::written;
use crate::commands::complain;
use crate::config::budgets::Budgets;
use crate::ledger::Durability;
use crate::ledger::overrides::Override;
use crate::money::Usd;
use crate::printable::Printable;

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) scope: &'a str,
    pub(super) amount: Usd,
    pub(super) time: SignedDuration,
    pub(super) reason: &'a str,
}

pub(super) fn run(asked: &Asked<'_>, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let command = format!("cmat budget override {}", asked.scope);
    refuse_inside_claude_code(&command, context)?;
    refuse_without_person(&command, context)?;
    let reason = asked.reason.trim();
    if reason.is_empty() {
        bail!("an override needs a reason: it is what the audit says later");
    }
    let budgets = Budgets::read(&context.config);
    let meant: Vec<_> = budgets.all.iter().filter(|budget| budget.is_named(asked.scope)).collect();
    if meant.is_empty() {
        let name = Printable(asked.scope);
        return Err(NotFound(format!("no budget is called `{name}`: `cmat budget list` lists them")).into());
    }
    if meant.iter().all(|budget| !budget.overridable) {
        refused(&command, "the budget cannot be overridden", context)?;
        bail!("`{}` cannot be overridden: ask whoever set it", Printable(asked.scope));
    }
    let mut books = context.books()?;
    let begins = books.now;
    let given = Override {
        budget: asked.scope.to_owned(),
        amount: asked.amount,
        begins,
        ends: begins.saturating_add(asked.time)?,
        reason: reason.to_owned(),
        person: context.config.person().to_owned(),
    };
    let mut recording = books.ledger.record(Durability::Irreplaceable, begins)?;
    recording.add_override(&given)?;
    recording.audit(
        "override",
        &json!({
            "budget": given.budget,
            "amount": given.amount,
            "until": given.ends,
            "reason": given.reason,
            "person": given.person,
        }),
    )?;
    recording.commit()?;
    let until = given.ends.to_zoned(context.config.calendar.zone.clone());
    let raised: BTreeSet<_> =
        meant.iter().filter(|budget| budget.overridable).map(|budget| budget.id()).collect();
    let kept: BTreeSet<_> = meant
        .iter()
        .filter(|budget| !budget.overridable)
        .map(|budget| (whose(budget.origin), budget.id()))
        .collect();
    if context.global.json {
        context.print_json(&json!({
            "schema": "cmat.budget.override/1",
            "budget": given.budget,
            "amount_usd": given.amount,
            "until": given.ends,
        }))?;
    } else {
        for id in raised {
            let until = until.strftime("%Y-%m-%d %H:%M %Z");
            writeln!(context.out, "{} +${} until {until}", Printable(&id), written(asked.amount))?;
        }
    }
    for (whose, id) in kept {
        complain(&format!("{whose} {} stays as it is: it cannot be overridden", Printable(&id)));
    }
    Ok(Exit::Done)
}

fn whose(origin: Origin) -> &'static str {
    match origin {
        Origin::User => "your",
        Origin::Project => "the project's",
        Origin::Managed => "the machine's",
    }
}

/// Refuses what an agent may not do; the attempt is kept in the audit.
pub(in crate::commands) fn refuse_inside_claude_code(
    what: &str,
    context: &Context<'_>,
) -> anyhow::Result<()> {
    if !context.config.inside_claude_code {
        return Ok(());
    }
    refused(what, "inside Claude Code", context)?;
    bail!("{} is for a person: run it in a terminal of your own, outside of Claude Code", Printable(what))
}

/// Refuses what nobody at a terminal asks for.
pub(super) fn refuse_without_person(what: &str, context: &Context<'_>) -> anyhow::Result<()> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    refused(what, "without a terminal", context)?;
    bail!("{} is for a person: run it in a terminal", Printable(what))
}

fn refused(what: &str, why: &str, context: &Context<'_>) -> anyhow::Result<()> {
    let mut books = context.books()?;
    let now = books.now;
    let session = &context.config.hook.session;
    let mut recording = books.ledger.record(Durability::Irreplaceable, now)?;
    recording.audit(
        "refused",
        &json!({ "what": what, "why": why, "session": session, "person": context.config.person() }),
    )?;
    recording.commit()?;
    Ok(())
}
