//! `cmat budget alerts`: what was raised and delivered, what was not, and a try.

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::booking::Books;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::alerting;
use crate::commands::complain;
use crate::config::alerts::Alerts;
use crate::guard::Known;
use crate::ledger::Durability;
use crate::ledger::alerts::Alert;
use crate::printable::Printable;
use crate::report::counted;
use crate::report::table;
use crate::report::table::Side;

/// How many of those that were delivered are listed.
const LISTED: u32 = 20;

pub(super) fn run(deliver: bool, test: bool, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let alerts = Alerts::read(&context.config);
    for fault in &alerts.faults {
        complain(&format!("Warning: {fault}"));
    }
    if test {
        return try_all(&alerts, context);
    }
    let mut failed = 0;
    let books = if deliver {
        let mut books = context.quiet_books()?;
        failed = deliver_now(&mut books, &alerts, context)?;
        books
    } else {
        context.settled_books()?
    };
    let raised = books.ledger.alerts(LISTED)?;
    if context.global.json {
        let channels: Vec<Value> = alerts
            .channels
            .iter()
            .map(|channel| json!({ "channel": channel.name, "leads_to": alerting::described(channel) }))
            .collect();
        context.print_json(&json!({
            "schema": "cmat.budget.alerts/1",
            "channels": channels,
            "rows": raised.iter().map(row).collect::<Vec<_>>(),
            "warnings": alerts.faults,
        }))?;
    } else if raised.is_empty() {
        match alerts.channels.len() {
            0 => writeln!(
                context.out,
                "alerts go nowhere: `alert` in your config.toml says where (docs/budgets.md)"
            )?,
            n => writeln!(context.out, "no alert was raised; {}", counted(n, "channel"))?,
        }
    } else {
        let headings = [
            ("RAISED", Side::Left),
            ("THRESHOLD", Side::Right),
            ("CHANNEL", Side::Left),
            ("STATE", Side::Left),
            ("ALERT", Side::Left),
        ];
        let zone = &context.config.calendar.zone;
        let rows = raised.iter().map(|alert| {
            let time = alert.raised.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
            let document = document(alert);
            let text = Printable(document["text"].as_str().unwrap_or_default()).to_string();
            vec![time, threshold(&document), alert.channel.clone(), Fate::of(alert).told(alert), text]
        });
        write!(context.out, "{}", table::render(&headings, rows))?;
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Done })
}

/// Tries all that is undelivered, whenever it would be due; returns how many failed.
fn deliver_now(books: &mut Books, alerts: &Alerts, context: &Context<'_>) -> anyhow::Result<usize> {
    alerting::raise_of(books, &Known::default(), alerts, &context.config)?;
    let mut recording = books.ledger.record(Durability::Repeatable, books.now)?;
    recording.hurry_alerts()?;
    recording.commit()?;
    let attempts = alerting::deliver_due(&mut books.ledger, alerts, &context.config)?;
    Ok(attempts.iter().filter(|attempt| attempt.outcome.is_err()).count())
}

/// Sends a trial by each channel.
fn try_all(alerts: &Alerts, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let document = json!({
        "schema": "cmat.alert/1",
        "at": context.config.now(),
        "text": "cmat: this is a trial; alerts of budgets will arrive like this.",
        "kind": "trial",
    });
    let mut rows = Vec::new();
    for channel in &alerts.channels {
        let outcome = alerting::deliver_one(channel, &document.to_string(), &context.config);
        rows.push((channel.name.clone(), alerting::described(channel), outcome.err()));
    }
    let has_failed = rows.iter().any(|(_, _, fault)| fault.is_some()) || !alerts.faults.is_empty();
    if context.global.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(channel, leads_to, fault)| json!({ "channel": channel, "leads_to": leads_to, "fault": fault }))
            .collect();
        context.print_json(&json!({
            "schema": "cmat.budget.alerts.test/1", "rows": rows, "warnings": alerts.faults,
        }))?;
    } else if rows.is_empty() {
        complain("alerts go nowhere: `alert` in your config.toml says where (docs/budgets.md)");
    } else {
        for (channel, leads_to, fault) in &rows {
            let outcome =
                fault.as_ref().map_or_else(|| "delivered".to_owned(), |fault| format!("failed: {fault}"));
            writeln!(context.out, "{channel}: {outcome} ({})", Printable(leads_to))?;
        }
    }
    Ok(if has_failed || alerts.channels.is_empty() { Exit::Failed } else { Exit::Done })
}

fn document(alert: &Alert) -> Value {
    serde_json::from_str(&alert.document).unwrap_or_default()
}

fn threshold(document: &Value) -> String {
    let expected = if document["kind"] == "expected" { " expected" } else { "" };
    document["percent"].as_u64().map(|percent| format!("{percent} %{expected}")).unwrap_or_default()
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    Delivered,
    /// A higher threshold went in its place.
    PassedOver,
    Failed,
    Waiting,
}

impl Fate {
    fn of(alert: &Alert) -> Self {
        match (&alert.delivered, &alert.fault) {
            (Some(_), _) if alert.attempts == 0 => Self::PassedOver,
            (Some(_), _) => Self::Delivered,
            (None, Some(_)) => Self::Failed,
            (None, None) => Self::Waiting,
        }
    }

    fn told(self, alert: &Alert) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::PassedOver => "not sent: a higher one went".to_owned(),
            Self::Failed => {
                let fault = alert.fault.as_deref().unwrap_or_default();
                format!("{}: {}", counted(alert.attempts, "attempt"), Printable(fault))
            }
            Self::Waiting => "to be delivered".to_owned(),
        }
    }
}

fn row(alert: &Alert) -> Value {
    json!({
        "raised": alert.raised,
        "channel": alert.channel,
        "state": Fate::of(alert),
        "delivered": alert.delivered,
        "attempts": alert.attempts,
        "fault": alert.fault,
        "alert": document(alert),
    })
}
