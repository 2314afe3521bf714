//! `cmat audit`: what changed money, limits or records, and whether the record of that is whole.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;

use crate::cli::AuditArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::ledger::audit::AuditLine;
use crate::printable::Printable;
use crate::report::counted;

/// What a line says of a budget beside its limit, and the word before it.
const SETTINGS: [(&str, &str); 6] = [
    ("project", "in "),
    ("on_exceed", ""),
    ("downgrade_to", "to "),
    ("warn", "warn "),
    ("forecast", "forecast "),
    ("unpriced", "unpriced "),
];

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
            writeln!(context.out, "{at}  {:<14}  {}", Printable(&line.kind), Printable(&words(line, &zone)))?;
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
fn words(line: &AuditLine, zone: &TimeZone) -> String {
    let detail = &line.detail;
    let text = |key: &str| detail[key].as_str().unwrap_or_default();
    match line.kind.as_str() {
        "override" => format!(
            "{} +${} until {}  by {}  \"{}\"",
            text("budget"),
            text("amount"),
            time(text("until"), zone),
            text("person"),
            text("reason")
        ),
        "refused" => {
            let session = match detail["session"].as_str() {
                Some(session) => format!(", session {session}"),
                None => String::new(),
            };
            let person = match detail["person"].as_str() {
                Some(person) => format!("  by {person}"),
                None => String::new(),
            };
            format!("{}, {}{session}{person}", text("what"), text("why"))
        }
        "stats_reset" => match detail["note"].as_str() {
            Some(note) => format!("statistics count from then on  by {}  \"{note}\"", text("person")),
            None => format!("statistics count from then on  by {}", text("person")),
        },
        "check_skipped" => format!("cmat run  by {}  \"{}\"", text("person"), text("reason")),
        "budget_set" => {
            let mut words = format!("{} ${}", text("budget"), text("limit"));
            // Lines of earlier versions lack these.
            for (key, word) in SETTINGS {
                if let Some(value) = detail[key].as_str() {
                    words.push_str(&format!(", {word}{value}"));
                }
            }
            format!("{words}  by {}", text("person"))
        }
        "budget_removed" => format!("{}  by {}", text("budget"), text("person")),
        _ => plain(detail),
    }
}

/// Returns an instant in the zone at hand, to the minute; what is none stays as it is.
fn time(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => text.to_owned(),
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
