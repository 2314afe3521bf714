//! `cmat import`: what another program recorded, kept beside what transcripts show.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use anyhow::bail;
use jiff::Timestamp;
use serde_json::json;

use crate::booking::record::Booked;
use crate::cli::ImportArgs;
use crate::cli::ImportKind;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::commands::faults_of_queues;
use crate::commands::models;
use crate::disk;
use crate::id::ModelId;
use crate::import;
use crate::import::Beside;
use crate::import::Source;
use crate::import::Told;
use crate::money::Usd;
use crate::money::grouped;
use crate::pricing::PriceTable;
use crate::printable::Printable;
use crate::report;
use crate::report::Certainty;
use crate::report::counted;

/// Largest file that is imported, in bytes.
const MAX_BYTES: u64 = 1 << 28;

/// Pico-dollars in a dollar, below which nobody minds a difference.
const PICO_PER_USD: i128 = 1_000_000_000_000;

pub(super) fn run(args: &ImportArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let table = models::table(context)?;
    let name = Printable(&args.file.to_string_lossy()).to_string();
    let source = source(args.kind);
    let now = context.config.now();
    let (text, written) = read(&args.file, now).with_context(|| format!("cannot read `{name}`"))?;
    let beside = Beside {
        zone: context.config.calendar.zone.clone(),
        model: args.model.as_deref().map(ModelId::new).transpose()?,
        at: args.at.unwrap_or(written).min(now),
        now,
    };
    let mut told = import::read(source, &text, &beside)
        .with_context(|| format!("`{name}` was not imported, nothing was recorded"))?;
    name_models_by_id(&mut told, &table);
    let mut books = context.settled_books()?;
    let project = context.config.project.clone();
    let booked = if args.dry_run {
        books.rehearse_record(source, &told.records, &project)?
    } else {
        books.record(source, &told.records, &project)?
    };
    show(args, &told, &booked, context)?;
    context.remark_billing();
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let projected = books.project_pending()?;
    for fault in faults_of_queues(&projected) {
        complain(&fault);
    }
    Ok(match (projected.is_complete(), context.global.strict && !certainty(&booked).is_exact()) {
        (false, _) => Exit::Deferred,
        (true, true) => Exit::Uncertain,
        (true, false) => Exit::Done,
    })
}

fn source(kind: ImportKind) -> Source {
    match kind {
        ImportKind::ResumeCustomizer => Source::ResumeCustomizer,
        ImportKind::TokenCsv => Source::TokenCsv,
        ImportKind::HaikuUsage => Source::HaikuUsage,
        ImportKind::TaskQueue => Source::TaskQueue,
        ImportKind::ClaudeResult => Source::ClaudeResult,
    }
}

/// Returns a file's text and when it was written.
fn read(path: &Path, now: Timestamp) -> anyhow::Result<(String, Timestamp)> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_string(&mut text)?;
        refuse_endless(&text)?;
        return Ok((text, now));
    }
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        bail!("it is not a regular file; `-` reads stdin");
    }
    let file = disk::open_regular(path)?;
    let written = file.metadata()?.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    refuse_endless(&text)?;
    Ok((text, written.unwrap_or(now)))
}

fn refuse_endless(text: &str) -> anyhow::Result<()> {
    if text.len() as u64 > MAX_BYTES {
        bail!("it is larger than 256 MiB");
    }
    Ok(())
}

/// A task queue names models by the `name` of their row.
fn name_models_by_id(told: &mut Told, table: &PriceTable) {
    for record in &mut told.records {
        if table.get_by_pattern(record.model.as_str()).is_none()
            && let Some(row) = table.list_all().iter().find(|row| row.name == record.model.as_str())
        {
            record.model = row.id.clone();
        }
    }
}

fn certainty(booked: &Booked) -> Certainty {
    Certainty { estimated: booked.estimated, at_least: booked.unpriced }
}

/// Returns whether one amount is more than ten times the other, and neither is next to nothing.
fn differ_widely(computed: Usd, reported: Usd) -> bool {
    let (less, more) = (computed.min(reported).pico(), computed.max(reported).pico());
    reported > Usd::ZERO && computed > Usd::ZERO && more > PICO_PER_USD && less.saturating_mul(10) < more
}

fn show(args: &ImportArgs, told: &Told, booked: &Booked, context: &mut Context<'_>) -> anyhow::Result<()> {
    for remark in &told.remarks {
        complain(remark);
    }
    for command in &told.budgets {
        complain(&format!("the file holds budgets too; this sets them:\n  {command}"));
    }
    if context.global.json {
        let document = json!({
            "schema": "cmat.import/1",
            "source": source(args.kind).as_str(),
            "dry_run": args.dry_run,
            "records": booked,
            "budget_commands": told.budgets,
            "warnings": told.remarks.iter().map(|remark| json!({ "code": "unlisted", "message": remark })).collect::<Vec<_>>(),
        });
        return context.print_json(&document);
    }
    if booked.unpriced {
        complain("some models have no price: `cmat models check` names them, `cmat models add` adds them");
    }
    if differ_widely(booked.cost, booked.reported) {
        complain(
            "Warning: the file says another cost by far than its tokens come to: are they counted right, \
             and is `--model` the one that was used?",
        );
    }
    let counts = [
        (booked.new, "new"),
        (booked.grown, "grown"),
        (booked.known, "known"),
        (booked.in_transcript, "recorded from transcripts already"),
        (booked.recorded_elsewhere, "counted as recorded elsewhere already"),
        (booked.forgotten, "forgotten before"),
        (booked.differing, "known with other figures, which stay"),
    ];
    let n_records: u64 = counts.iter().map(|(n, _)| n).sum();
    let parts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", grouped(*n))).collect();
    let would = if args.dry_run { " (nothing is recorded: --dry-run)" } else { "" };
    writeln!(
        context.out,
        "{}{}: {} by the price table, {} as the file says{would}",
        counted(n_records, "record"),
        if parts.is_empty() { String::new() } else { format!(", {}", parts.join(", ")) },
        report::sized_amount(booked.cost, certainty(booked)),
        report::sized_amount(booked.reported, Certainty::default()),
    )?;
    Ok(())
}
