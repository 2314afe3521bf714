//! `cmat audit`: what changed money, limits or records, and whether the record of that is whole.

use serde_json::Value;
use serde_json::json;

use crate::cli::AuditArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::ledger::audit::AuditLine;
use crate::printable::Printable;
use crate::report::counted;

pub(super) fn run(args: &AuditArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.books()?;
    let lines = books.ledger.audit_lines()?;
    let fault = if args.verify { books.ledger.audit_fault()? } else { None };
    let zone = context.config.calendar.zone.clone();
    if context.global.json {
        let rows: Vec<_> = lines
            .iter()
            .map(|line| json!({ "id": line.id, "at": line.at, "kind": line.kind, "detail": line.detail }))
            .collect();
        let whole = args.verify.then_some(fault.is_none());
        context.print_json(&json!({
            "schema": "cmat.audit/1", "rows": rows, "whole": whole, "fault": fault,
        }))?;
    } else {
        for line in &lines {
            let clock = line.at.to_zoned(zone.clone());
            let at = clock.strftime("%Y-%m-%d %H:%M");
            writeln!(context.out, "{at}  {:<14}  {}", Printable(&line.kind), Printable(&words(line)))?;
        }
        if args.verify && fault.is_none() {
            writeln!(context.out, "{}, the chain is whole", counted(lines.len(), "line"))?;
        } else if lines.is_empty() {
            writeln!(context.out, "nothing is in the audit")?;
        }
    }
    if let Some(fault) = &fault {
        complain(&format!("the audit is not whole: {fault}"));
    }
    Ok(if fault.is_some() { Exit::FailedCheck } else { Exit::Done })
}

/// Returns what a line says; a kind that is not known here says it as it stands.
fn words(line: &AuditLine) -> String {
    let detail = &line.detail;
    let text = |key: &str| detail[key].as_str().unwrap_or_default();
    match line.kind.as_str() {
        "override" => format!(
            "{} +${} until {}  by {}  \"{}\"",
            text("budget"),
            text("amount"),
            text("until"),
            text("person"),
            text("reason")
        ),
        "refused" => {
            let session = match detail["session"].as_str() {
                Some(session) => format!(", session {session}"),
                None => String::new(),
            };
            format!("{}, {}{session}", text("what"), text("why"))
        }
        "stats_reset" => match detail["note"].as_str() {
            Some(note) => format!("statistics count from then on  by {}  \"{note}\"", text("person")),
            None => format!("statistics count from then on  by {}", text("person")),
        },
        "check_skipped" => format!("cmat run  by {}  \"{}\"", text("person"), text("reason")),
        "budget_set" => format!("{} ${}  by {}", text("budget"), text("limit"), text("person")),
        "budget_removed" => format!("{}  by {}", text("budget"), text("person")),
        _ => plain(detail),
    }
}

fn plain(detail: &Value) -> String {
    match detail.as_object() {
        Some(fields) => {
            fields.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
        }
        None => detail.to_string(),
    }
}
