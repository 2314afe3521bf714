//! `cmat stats`: totals and averages since a mark, or of all that is recorded.

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::StatsArgs;
use crate::cli::StatsCommand;
use crate::commands::Context;
use crate::commands::Exit;
use crate::ledger::Durability;
use crate::ledger::mark::Mark;
use crate::money::Usd;
use crate::money::grouped;
use crate::period::Period;
use crate::printable::Printable;
use crate::query;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Key;
use crate::report;
use crate::report::Certainty;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::Elsewhere;
use crate::summary::Totals;

pub(super) fn run(args: &StatsArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match &args.command {
        None => show(context),
        Some(StatsCommand::Reset { note }) => reset(note.as_deref(), context),
    }
}

/// What so many sessions, tasks or enhancements cost on average.
struct Average {
    per: &'static str,
    count: u64,
    cost: Option<Usd>,
}

fn show(context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let calendar = context.config.calendar.clone();
    let mark = books.ledger.latest_mark()?;
    let begins = mark.as_ref().map_or(Timestamp::MIN, |mark| mark.at);
    let filter = Filter { period: Period { begins, ends: Timestamp::MAX }, ..Filter::ALL };
    let totals = query::whole(&books.ledger.groups(&filter, &[], &calendar)?);
    let cost = totals.cost.total();
    let mut averages =
        vec![Average { per: "request", count: totals.requests, cost: cost.average(totals.requests) }];
    for (per, dimension) in
        [("session", Dimension::Session), ("task", Dimension::Task), ("enhancement", Dimension::Enhancement)]
    {
        let groups = books.ledger.groups(&filter, &[dimension], &calendar)?;
        let attributed: Vec<_> = groups.iter().filter(|group| group.keys != [Key::Unattributed]).collect();
        let cost: Usd = attributed.iter().map(|group| group.totals.cost.total()).sum();
        let count = attributed.len() as u64;
        averages.push(Average { per, count, cost: cost.average(count) });
    }
    if context.global.json {
        let document = document(mark.as_ref(), &totals, &averages, context);
        context.print_json(&document)?;
    } else {
        write!(context.out, "{}", text(mark.as_ref(), &totals, &averages, context))?;
    }
    context.remark(&totals);
    Ok(context.certain_exit(&totals))
}

fn text(mark: Option<&Mark>, totals: &Totals, averages: &[Average], context: &Context<'_>) -> String {
    let since = match mark {
        None => "All that is recorded".to_owned(),
        Some(mark) => {
            let zone = context.config.calendar.zone.clone();
            let clock = mark.at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
            let note = mark.note.as_deref().map(|note| format!(" ({})", Printable(note))).unwrap_or_default();
            format!("Since {clock}{note}")
        }
    };
    let certainty = Certainty::of(totals);
    let mut text = format!("{since}:\n");
    for (label, value) in [
        ("Requests:", grouped(totals.requests)),
        ("Input Tokens:", grouped(totals.tokens.input)),
        ("Output Tokens:", grouped(totals.tokens.output)),
        ("Cache Creation:", grouped(totals.tokens.cache_write())),
        ("Cache Read:", grouped(totals.tokens.cache_read)),
        ("Total Cost:", report::sized_amount(totals.cost.total(), certainty)),
    ] {
        text.push_str(&format!("  {label:<15} {value:>16}\n"));
    }
    text.push('\n');
    let headings = [("AVERAGE PER", Side::Left), ("NUMBER", Side::Right), ("COST", Side::Right)];
    let rows = averages.iter().map(|average| {
        let cost = average.cost.map_or_else(|| "–".to_owned(), |cost| report::sized_amount(cost, certainty));
        vec![average.per.to_owned(), grouped(average.count), cost]
    });
    text + &table::render(&headings, rows)
}

/// Returns `cmat.stats/1`.
fn document(mark: Option<&Mark>, totals: &Totals, averages: &[Average], context: &Context<'_>) -> Value {
    let counts: Map<String, Value> =
        averages.iter().map(|average| (average.per.to_owned(), average.count.into())).collect();
    let costs: Map<String, Value> =
        averages.iter().map(|average| (average.per.to_owned(), json!(average.cost))).collect();
    let mut document = json!({
        "schema": "cmat.stats/1",
        "generated_at": context.config.now(),
        "currency": "USD",
        "billing": context.config.billing.as_str(),
        "since": mark.map(|mark| mark.at),
        "note": mark.and_then(|mark| mark.note.as_deref()),
    });
    report::json::extend(&mut document, report::json::figures(totals, &Elsewhere::default()));
    let rest = json!({ "counts": counts, "averages": costs, "warnings": report::json::warnings(totals) });
    report::json::extend(&mut document, rest);
    document
}

fn reset(note: Option<&str>, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = context.settled_books()?;
    let mut recording = books.ledger.record(Durability::Irreplaceable, books.now)?;
    recording.mark(note)?;
    recording.audit("stats_reset", &json!({ "note": note, "person": context.config.person() }))?;
    recording.commit()?;
    if context.global.json {
        context.print_json(&json!({ "schema": "cmat.stats.reset/1", "since": books.now, "note": note }))?;
    } else {
        writeln!(context.out, "Statistics count from now on; what is recorded stays")?;
    }
    Ok(Exit::Done)
}
