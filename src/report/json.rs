//! The JSON documents: flat objects, money as decimal strings, tokens as integers.
//!
//! Each names its schema. Within a major version keys are only added.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::id::ModelId;
use crate::money::Usd;
use crate::report::cost_sheet::EnhancementSheet;
use crate::report::remarks;
use crate::summary::Elsewhere;
use crate::summary::SessionShare;
use crate::summary::TaskSummary;
use crate::summary::Totals;

/// Returns `cmat.costs.show/1`; `metadata` are the seven keys as the task queue holds them.
pub fn task(summary: &TaskSummary, metadata: Map<String, Value>) -> Value {
    let mut document = json!({
        "schema": "cmat.costs.show/1",
        "task": summary.task.as_str(),
        "project": summary.project.to_string_lossy(),
        "title": summary.title,
        "enhancement": summary.enhancement,
        "models": models(&summary.models),
    });
    extend(&mut document, figures(&summary.totals, &summary.elsewhere));
    extend(
        &mut document,
        json!({
            "sessions": summary.sessions.iter().map(session).collect::<Vec<_>>(),
            "not_itemised": figures(&summary.not_itemised, &Elsewhere::default()),
            "recorded_elsewhere": elsewhere(&summary.elsewhere),
            "metadata": metadata,
            "warnings": warnings(&summary.totals),
        }),
    );
    document
}

/// Returns `cmat.costs.enhancement/1`.
pub fn enhancement(sheet: &EnhancementSheet<'_>) -> Value {
    let totals = sheet.totals();
    let mut others = Elsewhere::default();
    for task in sheet.tasks {
        others.entries += task.elsewhere.entries;
        others.input = others.input.saturating_add(task.elsewhere.input);
        others.output = others.output.saturating_add(task.elsewhere.output);
        others.cache_write = others.cache_write.saturating_add(task.elsewhere.cache_write);
        others.cache_read = others.cache_read.saturating_add(task.elsewhere.cache_read);
        others.cost += task.elsewhere.cost;
    }
    let mut document = json!({
        "schema": "cmat.costs.enhancement/1",
        "enhancement": sheet.name,
        "tasks": sheet.tasks.len(),
    });
    extend(&mut document, figures(&totals, &others));
    let mut rows: Vec<Value> = sheet.tasks.iter().map(enhancement_row).collect();
    if let Some(totals) = sheet.without_task {
        let mut row = json!({ "task": null, "agent": null, "models": [] });
        extend(&mut row, figures(totals, &Elsewhere::default()));
        rows.push(row);
    }
    extend(&mut document, json!({ "rows": rows, "warnings": warnings(&totals) }));
    document
}

fn enhancement_row(task: &TaskSummary) -> Value {
    let mut row = json!({
        "task": task.task.as_str(),
        "agent": task.agent,
        "models": models(&task.models),
    });
    extend(&mut row, figures(&task.totals, &task.elsewhere));
    row
}

/// Returns the keys that every document of figures has; other writers' figures are in the sums.
///
/// They know no split of cache writes: theirs count as five-minute writes.
pub fn figures(totals: &Totals, elsewhere: &Elsewhere) -> Value {
    json!({
        "requests": totals.requests,
        "input_tokens": totals.tokens.input.saturating_add(elsewhere.input),
        "output_tokens": totals.tokens.output.saturating_add(elsewhere.output),
        "cache_write_5m_tokens": totals.tokens.cache_write_5m.saturating_add(elsewhere.cache_write),
        "cache_write_1h_tokens": totals.tokens.cache_write_1h,
        "cache_read_tokens": totals.tokens.cache_read.saturating_add(elsewhere.cache_read),
        "web_search_requests": totals.web_search_requests,
        "cost_usd": totals.cost.total() + elsewhere.cost,
        "cost_input_usd": totals.cost.input,
        "cost_output_usd": totals.cost.output,
        "cost_cache_write_usd": totals.cost.cache_write_5m + totals.cost.cache_write_1h,
        "cost_cache_read_usd": totals.cost.cache_read,
        "cost_web_search_usd": totals.cost.web_search,
        "estimated": totals.estimated,
        "lower_bound": totals.lower_bound,
        "unpriced_models": totals.unpriced_models,
    })
}

fn session(share: &SessionShare) -> Value {
    let mut row = json!({
        "session": share.session.as_str(),
        "first": share.first,
        "last": share.last,
    });
    extend(&mut row, figures(&share.totals, &Elsewhere::default()));
    row
}

fn elsewhere(elsewhere: &Elsewhere) -> Value {
    json!({
        "entries": elsewhere.entries,
        "input_tokens": elsewhere.input,
        "output_tokens": elsewhere.output,
        "cache_write_tokens": elsewhere.cache_write,
        "cache_read_tokens": elsewhere.cache_read,
        "cost_usd": elsewhere.cost,
    })
}

fn models(models: &[(ModelId, Totals)]) -> Vec<&str> {
    models.iter().map(|(model, _)| model.as_str()).collect()
}

/// Returns what a program should know about the certainty of figures.
pub fn warnings(totals: &Totals) -> Vec<Value> {
    let codes = [
        (totals.estimated, "estimated"),
        (totals.lower_bound, "lower_bound"),
        (!totals.unpriced_models.is_empty(), "unpriced"),
    ];
    let codes = codes.into_iter().filter(|(applies, _)| *applies).map(|(_, code)| code);
    codes.zip(remarks(totals)).map(|(code, message)| json!({ "code": code, "message": message })).collect()
}

/// Returns `cmat.costs.extract/1`.
pub fn extracted(task: &str, session: &str, n_new: u64, share: &Totals, total: Usd) -> Value {
    let mut document = json!({
        "schema": "cmat.costs.extract/1",
        "task": task,
        "session": session,
        "new_requests": n_new,
        "task_cost_usd": total,
    });
    extend(&mut document, figures(share, &Elsewhere::default()));
    extend(&mut document, json!({ "warnings": warnings(share) }));
    document
}

/// Adds the keys of one object to another.
pub fn extend(document: &mut Value, more: Value) {
    if let (Value::Object(document), Value::Object(more)) = (document, more) {
        document.extend(more);
    }
}
