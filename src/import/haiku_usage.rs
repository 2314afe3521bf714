//! `.costs/haiku_usage.json`: a list of named `sessions`, and the totals of all time.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::import::Beside;
use crate::import::ImportError;
use crate::import::MOST_REQUESTS;
use crate::import::Record;
use crate::import::Source;
use crate::import::Told;
use crate::import::fields::Fields;
use crate::import::fields::Wrong;
use crate::import::fields::json_error;
use crate::import::model_of;
use crate::money::Usd;
use crate::usage::RawTokens;

const KIND: &str = "haiku-usage";

#[derive(Deserialize)]
struct Store<'a> {
    #[serde(borrow)]
    sessions: Vec<&'a RawValue>,
}

pub(super) fn read(text: &str, beside: &Beside) -> Result<Told, ImportError> {
    let store: Store<'_> = serde_json::from_str(text).map_err(|error| json_error(KIND, text, &error))?;
    let totals: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| json_error(KIND, text, &error))?;
    let mut told = Told::default();
    for raw in store.sessions {
        told.records.push(session(&Fields::of(text, raw)?, beside)?);
    }
    told.remarks.extend(unlisted(&Fields::new(1, totals), &told.records)?);
    Ok(told)
}

fn session(fields: &Fields, beside: &Beside) -> Result<Record, ImportError> {
    let at = fields.time("timestamp", beside)?;
    let stated_at = fields.text("timestamp")?.unwrap_or_default();
    let name = fields.text("session_name")?.unwrap_or_else(|| "unnamed".to_owned());
    let (input, output) = (fields.required_count("input_tokens")?, fields.required_count("output_tokens")?);
    let requests = fields.count("api_calls")?;
    if requests > MOST_REQUESTS {
        let found = requests.to_string();
        return Err(Wrong::new(found, "at most 1,000,000,000 calls").at(fields.line, "api_calls"));
    }
    let cost_reported = fields.amount("cost_usd")?;
    let model = model_of(Source::HaikuUsage, beside, fields.line)?;
    let identity = serde_json::json!([stated_at, name, input, output, requests, cost_reported]).to_string();
    Ok(Record {
        tokens: RawTokens { input, output, ..RawTokens::default() },
        requests,
        group: Some(format!("{name} {stated_at}")),
        cost_reported,
        ..Record::new(identity, model, at)
    })
}

/// Returns what the totals hold beside the sessions that are listed, and how to book it.
fn unlisted(totals: &Fields, records: &[Record]) -> Result<Option<String>, ImportError> {
    let listed =
        |count: fn(&RawTokens) -> u64| records.iter().map(|record| count(&record.tokens)).sum::<u64>();
    let input = totals.count("total_input_tokens")?.saturating_sub(listed(|tokens| tokens.input));
    let output = totals.count("total_output_tokens")?.saturating_sub(listed(|tokens| tokens.output));
    let total = totals.amount("total_cost_usd")?.unwrap_or_default();
    let cost = total - records.iter().filter_map(|record| record.cost_reported).sum::<Usd>();
    let Some(first) = records.first().filter(|_| input > 0 || output > 0) else { return Ok(None) };
    Ok(Some(format!(
        "its totals hold {input} input and {output} output tokens (${}) beside the sessions that it lists; to book them:\n  \
         cmat record --model {} --input {input} --output {output} --at {} --requests 0 --id {KIND}-unlisted",
        cost.fixed(6),
        first.model,
        first.at
    )))
}
