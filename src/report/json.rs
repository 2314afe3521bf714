//! The JSON documents: flat objects, money as decimal strings, tokens as integers.
//!
//! Each names its schema. Within a major version keys are only added.

use std::borrow::Cow;

use serde_json::Map;
use serde_json::Number;
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

/// How amounts stand in a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amounts {
    /// As strings, which no reader rounds.
    Strings,
    /// As numbers with the same digits, for readers that would compute with strings as with text.
    Numbers,
}

/// Members that hold amounts under names of their own: `averages.task`, `summaries.model.claude-opus-5-5`.
const HOLD_AMOUNTS: [&str; 2] = ["averages", "summaries"];

/// The member that is as a task queue has it.
const AS_STORED: &str = "metadata";

impl Amounts {
    /// Returns the document with its amounts, which are strings, as they shall stand in it.
    pub fn written_in(self, document: &Value) -> Cow<'_, Value> {
        let mut document = Cow::Borrowed(document);
        if self == Self::Numbers {
            to_numbers(document.to_mut(), false);
        }
        document
    }
}

fn to_numbers(value: &mut Value, is_amount: bool) {
    match value {
        Value::String(text) if is_amount => {
            if let Ok(number) = text.parse::<Number>() {
                *value = Value::Number(number);
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut().filter(|(name, _)| *name != AS_STORED) {
                let holds_amounts = HOLD_AMOUNTS.contains(&name.as_str()) && member.is_object();
                to_numbers(member, is_amount || holds_amounts || name.ends_with("_usd"));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| to_numbers(value, is_amount)),
        _ => {}
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_become_numbers_with_every_digit_and_nothing_else_does() {
        let document = json!({
            "schema": "cmat.stats/1", "task": "12", "cost_usd": "0.000000000001", "limit_usd": null,
            "rows": [{"model": "3", "cost_usd": "-12345678901234567.000000000001"}],
            "averages": {"task": "0.1"}, "summaries": {"model": {"3": "7.5"}},
            "metadata": {"cost_usd": "0.0915"},
        });
        assert_eq!(*Amounts::Strings.written_in(&document), document);
        assert_eq!(
            Amounts::Numbers.written_in(&document).to_string(),
            concat!(
                r#"{"schema":"cmat.stats/1","task":"12","cost_usd":0.000000000001,"limit_usd":null,"#,
                r#""rows":[{"model":"3","cost_usd":-12345678901234567.000000000001}],"#,
                r#""averages":{"task":0.1},"summaries":{"model":{"3":7.5}},"metadata":{"cost_usd":"0.0915"}}"#
            )
        );
    }
}
