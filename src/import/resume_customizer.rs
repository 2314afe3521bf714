//! `~/.resume_customizer_costs.json`: a list of `calls`, and two budgets.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::import::Beside;
use crate::import::ImportError;
use crate::import::Record;
use crate::import::Source;
use crate::import::Told;
use crate::import::fields::Fields;
use crate::import::fields::Wrong;
use crate::import::fields::amount;
use crate::import::fields::json_error;
use crate::import::fields::line_of;
use crate::import::model_of;
use crate::money::Usd;
use crate::usage::RawTokens;

const KIND: &str = "resume-customizer";

#[derive(Deserialize)]
struct Store<'a> {
    #[serde(borrow)]
    calls: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    daily_budget: Option<&'a RawValue>,
    #[serde(borrow, default)]
    monthly_budget: Option<&'a RawValue>,
}

pub(super) fn read(text: &str, beside: &Beside) -> Result<Told, ImportError> {
    let store: Store<'_> = serde_json::from_str(text).map_err(|error| json_error(KIND, text, &error))?;
    let mut told = Told::default();
    for raw in store.calls {
        told.records.push(call(&Fields::of(text, raw)?, beside)?);
    }
    let limits = [
        ("--daily", "daily_budget", store.daily_budget),
        ("--monthly", "monthly_budget", store.monthly_budget),
    ];
    let mut flags = String::new();
    for (flag, field, raw) in limits {
        if let Some(raw) = raw
            && let Some(limit) = budget(text, field, raw)?
        {
            flags.push_str(&format!(" {flag} {}", limit.fixed(2)));
        }
    }
    if !flags.is_empty() {
        told.budgets.push(format!("cmat budget set{flags}"));
    }
    Ok(told)
}

fn call(fields: &Fields, beside: &Beside) -> Result<Record, ImportError> {
    let at = fields.time("timestamp", beside)?;
    let model = match fields.model("model")? {
        Some(model) => model,
        None => model_of(Source::ResumeCustomizer, beside, fields.line)?,
    };
    let (input, output) =
        (fields.count_of_a_request("input_tokens")?, fields.count_of_a_request("output_tokens")?);
    let operation = fields.text("operation")?;
    let cost_reported = fields.amount("cost")?;
    // The text of the time, not the instant: read in another zone it is still the same call.
    let stated_at = fields.text("timestamp")?.unwrap_or_default();
    let identity = serde_json::json!([stated_at, model, input, output, operation, cost_reported]).to_string();
    Ok(Record {
        tokens: RawTokens { input, output, ..RawTokens::default() },
        operation,
        cost_reported,
        ..Record::new(identity, model, at)
    })
}

/// Returns a limit; `null` and 0 are none.
fn budget(text: &str, field: &'static str, raw: &RawValue) -> Result<Option<Usd>, ImportError> {
    match raw.get().trim_matches('"') {
        "null" => Ok(None),
        limit => match amount(limit) {
            Ok(limit) => Ok((limit > Usd::ZERO).then_some(limit)),
            Err(wrong) => Err(Wrong::at(wrong, line_of(text, raw), field)),
        },
    }
}
