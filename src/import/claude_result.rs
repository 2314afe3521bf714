//! What `claude -p` printed with `--output-format json` or `stream-json`: its message of the type `result`.
//!
//! Its figures are those of the whole session so far, by model; only `usage` is that of the last turn.

use serde_json::Value;

use crate::id::ModelId;
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
use crate::usage::RawTokens;

const KIND: &str = "claude-result";

pub(super) fn read(text: &str, beside: &Beside) -> Result<Told, ImportError> {
    let mut told = Told::default();
    let mut n_results = 0;
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    loop {
        let before = text.get(..documents.byte_offset()).unwrap_or_default();
        let line = 1 + before.matches('\n').count() as u64;
        let Some(document) = documents.next() else { break };
        let document = document.map_err(|error| json_error(KIND, text, &error))?;
        let messages = match document {
            Value::Array(messages) => messages,
            one => vec![one],
        };
        for message in messages {
            if let Value::Object(members) = message
                && members.get("type").is_some_and(|kind| kind == "result")
            {
                n_results += 1;
                told.records.extend(result(&Fields::new(line, members), beside)?);
            }
        }
    }
    if n_results == 0 {
        let why = "it has no message of the type `result`".to_owned();
        return Err(ImportError::OtherKind { kind: KIND, why });
    }
    Ok(told)
}

fn result(fields: &Fields, beside: &Beside) -> Result<Vec<Record>, ImportError> {
    let Some(session) = fields.session("session_id")? else {
        return Err(Wrong::new("missing".to_owned(), "the id of the session").at(fields.line, "session_id"));
    };
    let total = fields.amount("total_cost_usd")?;
    let record = |model: ModelId, tokens, searches, cost_reported| Record {
        repetition: Repetition::Grows,
        tokens,
        web_search_requests: searches,
        session: Some(session.clone()),
        cost_reported,
        ..Record::new(format!("{} {}", session.as_str(), model.as_str()), model, beside.at)
    };
    let mut records = Vec::new();
    match fields.object("modelUsage") {
        Some(by_model) => {
            for (model, usage) in by_model.members() {
                let Value::Object(usage) = usage else { continue };
                let usage = Fields::new(fields.line, usage.clone());
                let tokens = RawTokens {
                    input: usage.count("inputTokens")?,
                    output: usage.count("outputTokens")?,
                    cache_read: usage.count("cacheReadInputTokens")?,
                    cache_write: usage.count("cacheCreationInputTokens")?,
                    cache_write_5m: usage.count("cacheCreationEphemeral5mInputTokens")?,
                    cache_write_1h: usage.count("cacheCreationEphemeral1hInputTokens")?,
                };
                let searches = usage.count("webSearchRequests")?;
                let model = ModelId::new(model.as_str()).map_err(|_| {
                    Wrong::new("empty".to_owned(), "a model id").at(fields.line, "modelUsage")
                })?;
                if tokens != RawTokens::default() || searches > 0 {
                    records.push(record(model, tokens, searches, usage.amount("costUSD")?));
                }
            }
        }
        // Clients of 2025 named no models.
        None => {
            let usage = fields.object("usage").ok_or_else(|| {
                Wrong::new("missing".to_owned(), "the tokens by model").at(fields.line, "modelUsage")
            })?;
            let tokens = RawTokens {
                input: usage.count("input_tokens")?,
                output: usage.count("output_tokens")?,
                cache_read: usage.count("cache_read_input_tokens")?,
                cache_write: usage.count("cache_creation_input_tokens")?,
                ..RawTokens::default()
            };
            if tokens != RawTokens::default() {
                records.push(record(model_of(Source::ClaudeResult, beside, fields.line)?, tokens, 0, total));
            }
        }
    }
    // How many requests it took is not said; each turn is at least one, and they are the first model's here.
    let turns = fields.count("num_turns")?.clamp(1, 1_000_000);
    for (n, record) in records.iter_mut().enumerate() {
        record.requests = if n == 0 { turns } else { 0 };
    }
    Ok(records)
}
