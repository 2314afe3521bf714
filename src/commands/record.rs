//! `cmat record`: a request that came from elsewhere.

use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::json;

use crate::booking::record::Booked;
use crate::cli::RecordArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::complain;
use crate::commands::costs;
use crate::commands::faults_of_queues;
use crate::commands::models;
use crate::id::ModelId;
use crate::id::TaskId;
use crate::import::MOST_TOKENS;
use crate::import::Record;
use crate::import::Source;
use crate::money::Usd;
use crate::printable::Printable;
use crate::report;
use crate::report::Certainty;
use crate::usage::RawTokens;

/// Most requests that one call stands for.
const MOST_REQUESTS: u64 = 1_000_000_000;

pub(super) fn run(args: &RecordArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    // Its warnings, and a table that cannot be used, are told before anything is recorded.
    models::table(context)?;
    let record = record(args, context)?;
    let mut books = context.settled_books()?;
    let project = context.config.project.clone();
    if let Some(task) = &record.task
        && !args.force
        && !costs::is_known_task(task, &books, &project)?
    {
        return Err(NotFound(format!("Task not found: {task} (--force records it all the same)")).into());
    }
    let booked = books.record(Source::Record, std::slice::from_ref(&record), &project)?;
    if booked.differing > 0 {
        let id = args.id.as_deref().unwrap_or_default();
        bail!("`{}` was recorded with other figures before, which stay as they are", Printable(id));
    }
    let projected = books.project_pending()?;
    show(&record, &booked, context)?;
    if booked.unpriced {
        let model = Printable(record.model.as_str());
        complain(&format!(
            "`{model}` has no price: cmat models add {model} --input USD --output USD, then: cmat reprice"
        ));
    }
    context.remark_billing();
    for fault in faults_of_queues(&projected) {
        complain(&fault);
    }
    let certainty = Certainty { estimated: booked.estimated, at_least: booked.unpriced };
    Ok(match (projected.is_complete(), context.global.strict && !certainty.is_exact()) {
        (false, _) => Exit::Deferred,
        (true, true) => Exit::Uncertain,
        (true, false) => Exit::Done,
    })
}

fn record(args: &RecordArgs, context: &Context<'_>) -> anyhow::Result<Record> {
    let now = context.config.now();
    let at = args.at.unwrap_or(now);
    if at > now + jiff::SignedDuration::from_hours(24) {
        bail!("`--at {at}` lies in the future");
    }
    let tokens = RawTokens {
        input: args.tokens.input,
        output: args.tokens.output,
        cache_read: args.tokens.cache_read,
        cache_write: args.tokens.cache_write.saturating_add(args.tokens.cache_write_1h),
        cache_write_5m: args.tokens.cache_write,
        cache_write_1h: args.tokens.cache_write_1h,
    };
    let counts = [tokens.input, tokens.output, tokens.cache_read, tokens.cache_write, args.web_searches];
    if counts.iter().any(|count| *count > MOST_TOKENS) || args.requests > MOST_REQUESTS {
        bail!("no request has that many tokens or searches; nothing was recorded");
    }
    let cost_reported: Option<Usd> = args.cost_reported.as_deref().map(str::parse).transpose()?;
    if cost_reported.is_some_and(|cost| cost < Usd::ZERO) {
        bail!("`--cost-reported` is negative; nothing was recorded");
    }
    let tags: BTreeMap<_, _> = args.tags.iter().cloned().collect();
    // Without a name each telling is a request of its own.
    let identity = match &args.id {
        Some(id) if id.trim().is_empty() => bail!("`--id` is empty"),
        Some(id) => format!("id {id}"),
        None => format!("{now} {:032x}", fastrand::u128(..)),
    };
    Ok(Record {
        tokens,
        web_search_requests: args.web_searches,
        requests: args.requests,
        batch: args.batch,
        task: args.task.as_deref().map(TaskId::new).transpose()?,
        enhancement: args.enhancement.clone(),
        agent: args.agent.clone(),
        operation: args.operation.clone(),
        tags: if tags.is_empty() { None } else { Some(serde_json::to_string(&tags)?) },
        cost_reported,
        ..Record::new(identity, ModelId::new(args.model.as_str())?, at)
    })
}

fn show(record: &Record, booked: &Booked, context: &mut Context<'_>) -> anyhow::Result<()> {
    let certainty = Certainty { estimated: booked.estimated, at_least: booked.unpriced };
    if context.global.json {
        let document = json!({
            "schema": "cmat.record/1",
            "model": record.model,
            "timestamp": record.at,
            "task": record.task,
            "new": booked.new == 1,
            "cost_usd": booked.cost,
            "estimated": booked.estimated,
            "unpriced": booked.unpriced,
        });
        return context.print_json(&document);
    }
    let word = match booked {
        Booked { new: 1, .. } => "Recorded",
        Booked { forgotten: 1, .. } => "Not recorded, it was forgotten before",
        _ => "Recorded before",
    };
    writeln!(context.out, "{word}: {}", report::sized_amount(booked.cost, certainty))?;
    Ok(())
}
