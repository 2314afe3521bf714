//! `task_queue.json`: the cost keys in the `metadata` of its tasks.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::import::Beside;
use crate::import::ImportError;
use crate::import::Record;
use crate::import::Repetition;
use crate::import::Source;
use crate::import::Told;
use crate::import::fields::Fields;
use crate::import::fields::Wrong;
use crate::import::fields::json_error;
use crate::import::model_of;
use crate::money::Usd;
use crate::usage::RawTokens;

const KIND: &str = "task-queue";

#[derive(Deserialize)]
struct Queue<'a> {
    #[serde(borrow)]
    tasks: Vec<&'a RawValue>,
}

pub(super) fn read(text: &str, beside: &Beside) -> Result<Told, ImportError> {
    let queue: Queue<'_> = serde_json::from_str(text).map_err(|error| json_error(KIND, text, &error))?;
    let mut told = Told::default();
    for raw in queue.tasks {
        let fields = Fields::of(text, raw)?;
        if let Some(metadata) = fields.object("metadata") {
            told.records.extend(task(&fields, &metadata, beside)?);
        }
    }
    Ok(told)
}

/// Returns what a task's cost keys say; `None` if they are empty.
fn task(fields: &Fields, metadata: &Fields, beside: &Beside) -> Result<Option<Record>, ImportError> {
    let tokens = RawTokens {
        input: metadata.count("cost_input_tokens")?,
        output: metadata.count("cost_output_tokens")?,
        cache_write: metadata.count("cost_cache_creation_tokens")?,
        cache_read: metadata.count("cost_cache_read_tokens")?,
        ..RawTokens::default()
    };
    let cost_reported = metadata.amount("cost_usd")?;
    if tokens == RawTokens::default() && cost_reported.unwrap_or_default() == Usd::ZERO {
        return Ok(None);
    }
    let Some(task) = fields.task("id")? else {
        return Err(Wrong::new("missing".to_owned(), "the id of the task").at(fields.line, "id"));
    };
    let model = match metadata.model("cost_model")? {
        Some(model) => model,
        None => model_of(Source::TaskQueue, beside, fields.line)?,
    };
    let stated = ["completed", "started", "created"].into_iter().find(|field| fields.get(field).is_some());
    let at = stated.map_or(Ok(beside.at), |field| fields.time(field, beside))?;
    Ok(Some(Record {
        repetition: Repetition::Grows,
        tokens,
        session: metadata.session("session_id")?,
        enhancement: metadata.text("enhancement_title")?,
        agent: fields.text("assigned_agent")?,
        operation: fields.text("task_type")?,
        cost_reported,
        task: Some(task.clone()),
        ..Record::new(task.as_str().to_owned(), model, at)
    }))
}
