//! Makes the shipped `models.json` from `data/prices/claude-models.json`.
//!
//! `cargo run --example make_models > models.json`; a test checks that the committed file is what this makes.

use std::error::Error;

use cmat::money::Rate;
use rust_decimal::Decimal;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use serde_json::json;

/// The list of models with their sources, from which the shipped file is made.
const LIST: &str = include_str!("../data/prices/claude-models.json");
/// The day on which the list was checked.
const CHECKED_ON: &str = "2026-11-21";
/// The model whose price stands in for unknown Claude models.
const DEFAULT_MODEL: &str = "claude-opus-5-5";
/// The model of which another version, told apart by its date only, is the usual one.
const ONE_DATE_ONLY: &str = "claude-3-5-sonnet-20240620";

#[expect(clippy::print_stdout, reason = "the file is the output")]
fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", shipped_models(LIST)?);
    Ok(())
}

/// Returns the text of models.json for this list: the default model first, then the newest.
fn shipped_models(list: &str) -> Result<String, Box<dyn Error>> {
    let mut list: Vec<Map<String, Value>> = serde_json::from_str(list)?;
    list.sort_by_key(|model| {
        let released = text(model, "released").to_owned();
        (text(model, "id") == DEFAULT_MODEL, released)
    });
    let models = list.iter().rev().map(row).collect::<Result<Vec<Value>, _>>()?;
    let document = json!({"version": "1.0", "checked_on": CHECKED_ON, "models": models});
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn row(model: &Map<String, Value>) -> Result<Value, Box<dyn Error>> {
    let id = text(model, "id");
    let mut row = Map::new();
    row.insert("id".into(), id.into());
    row.insert("name".into(), model["name"].clone());
    row.insert("description".into(), description(model).into());
    row.insert("pattern".into(), pattern(id).into());
    let aliases = legacy_ids(model);
    if !aliases.is_empty() {
        row.insert("aliases".into(), aliases.into());
    }
    row.insert("max_tokens".into(), model["max_output_tokens"].clone());
    row.insert("is_default".into(), (id == DEFAULT_MODEL).into());
    row.insert("pricing".into(), current(model)?.into());
    let earlier = earlier(model)?;
    if !earlier.is_empty() {
        row.insert("prices".into(), earlier.into());
    }
    Ok(row.into())
}

fn description(model: &Map<String, Value>) -> String {
    let window = model["context_window"].as_u64().unwrap_or_default() / 1000;
    let window = if window == 1000 { "1M".to_owned() } else { format!("{window}k") };
    let retired = model["retired"].as_str().map(|day| format!(", retired {day}")).unwrap_or_default();
    format!("{window} context, released {}{retired}", text(model, "released"))
}

/// Returns a short pattern; cmat takes off what clouds and routers put around an id before it matches.
fn pattern(id: &str) -> String {
    let (name, date) = match id.rsplit_once('-') {
        Some((name, date)) if date.len() == 8 => (name, Some(date)),
        _ => (id, None),
    };
    match date {
        Some(_) if id == ONE_DATE_ONLY => format!("{id}$"),
        _ => format!(r"{}(-\d{{8}})?$", name.replace('.', r"\.")),
    }
}

/// Returns the other ids of the first models, which follow no rule.
fn legacy_ids(model: &Map<String, Value>) -> Vec<Value> {
    let id = text(model, "id");
    let is_legacy = ["claude-1", "claude-2", "claude-instant"].iter().any(|old| id.starts_with(old));
    let named =
        |alias: &&Value| alias.as_str().is_some_and(|alias| alias != id && alias.starts_with("claude-"));
    // `anthropic.claude-v2:1` is known as `claude-v2:1` once the cloud's prefix is off.
    let bedrock = |alias: &Value| alias.as_str()?.strip_prefix("anthropic.").map(Value::from);
    let Some(aliases) = model["aliases"].as_array().filter(|_| is_legacy) else { return Vec::new() };
    let mut ids: Vec<Value> = aliases.iter().filter(named).cloned().collect();
    for id in aliases.iter().filter_map(bedrock) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn current(model: &Map<String, Value>) -> Result<Map<String, Value>, Box<dyn Error>> {
    let mut pricing = rates(&model["pricing"])?;
    if model["history"].as_array().is_some_and(|history| history.len() > 1) {
        pricing.insert("effective_from".into(), model["effective_from"].clone());
    }
    if let Some(tiers) = tiers(&model["long_context"])? {
        pricing.insert("tiers".into(), tiers);
    }
    let mut modifiers = Map::from_iter([("batch".to_owned(), batch_factor(&model["pricing"])?)]);
    if model["fast"].is_object() {
        let mut fast = rates(&model["fast"])?;
        for (key, day) in [("effective_from", "available_from"), ("effective_until", "available_until")] {
            if let Some(day) = model["fast"][day].as_str() {
                fast.insert(key.into(), day.into());
            }
        }
        modifiers.insert("fast".into(), fast.into());
    }
    if let Some(factor) = model["inference_geo_us_multiplier"].as_str() {
        modifiers.insert("us_only".into(), number(factor)?);
    }
    pricing.insert("modifiers".into(), modifiers.into());
    if let Some(price) = model["web_search_per_1000"].as_str() {
        pricing.insert("server_tools".into(), json!({"web_search_per_1k": price_number(price)?}));
    }
    Ok(pricing)
}

/// Returns the prices before the current ones; the first reach back to the model's release.
fn earlier(model: &Map<String, Value>) -> Result<Vec<Value>, Box<dyn Error>> {
    let history = model["history"].as_array().map_or(&[][..], Vec::as_slice);
    let Some((_, earlier)) = history.split_last() else { return Ok(Vec::new()) };
    let mut prices = Vec::new();
    for (n, entry) in earlier.iter().enumerate() {
        let mut pricing = rates(&entry["pricing"])?;
        for key in ["effective_from", "effective_until"] {
            if n > 0 || key == "effective_until" {
                pricing.insert(key.into(), entry[key].clone());
            }
        }
        match tiers(&entry["long_context"])? {
            Some(tiers) => drop(pricing.insert("tiers".into(), tiers)),
            // Left out, they would be those of the current price.
            None if model["long_context"].is_object() => drop(pricing.insert("tiers".into(), json!([]))),
            None => {}
        }
        prices.push(pricing.into());
    }
    Ok(prices)
}

fn tiers(long_context: &Value) -> Result<Option<Value>, Box<dyn Error>> {
    if long_context.is_null() {
        return Ok(None);
    }
    let mut tier = Map::from_iter([("above_prompt_tokens".to_owned(), long_context["threshold"].clone())]);
    tier.extend(rates(long_context)?);
    Ok(Some(json!([tier])))
}

fn rates(prices: &Value) -> Result<Map<String, Value>, Box<dyn Error>> {
    let mut rates = Map::new();
    for (key, theirs) in [
        ("input", "input"),
        ("output", "output"),
        ("cache_write", "cache_write_5m"),
        ("cache_write_1h", "cache_write_1h"),
        ("cache_read", "cache_read"),
    ] {
        if let Some(price) = prices[theirs].as_str() {
            rates.insert(key.into(), price_number(price)?);
        }
    }
    Ok(rates)
}

/// Returns the batch price as part of the standard price; a model without batch prices pays the standard one.
fn batch_factor(prices: &Value) -> Result<Value, Box<dyn Error>> {
    let (Some(batch), Some(input)) = (prices["batch_input"].as_str(), prices["input"].as_str()) else {
        return Ok(1.into());
    };
    let factor = batch.parse::<Decimal>()? / input.parse::<Decimal>()?;
    number(&factor.normalize().to_string())
}

fn price_number(price: &str) -> Result<Value, Box<dyn Error>> {
    number(&price.parse::<Rate>()?.displayed())
}

fn number(text: &str) -> Result<Value, Box<dyn Error>> {
    Ok(Value::Number(serde_json::from_str::<Number>(text)?))
}

fn text<'model>(model: &'model Map<String, Value>, key: &str) -> &'model str {
    model[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_file_is_what_this_program_makes() {
        let made = super::shipped_models(super::LIST).unwrap();
        assert!(
            made == include_str!("../models.json"),
            "run `cargo run --example make_models > models.json`"
        );
    }
}
