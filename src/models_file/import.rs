//! Reads the price files of other tools: LiteLLM's and genai-prices'. Only Anthropic's own list prices are taken.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use serde_json::json;

/// Why a file is no price file that cmat knows.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The text is not JSON.
    #[error("it is not JSON")]
    NotJson(#[from] serde_json::Error),
    /// The JSON is neither form.
    #[error("it is neither LiteLLM's model_prices_and_context_window.json nor genai-prices' data.json")]
    UnknownForm,
    /// It holds no Claude model of Anthropic's own.
    #[error("it has no model of Anthropic's own")]
    NoModels,
}

/// A model of another tool's price file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRow {
    /// The model's id there.
    pub id: String,
    /// Its name there, if it has one.
    pub name: Option<String>,
    /// Longest answer, if it is stated.
    pub max_tokens: Option<u64>,
    /// `pricing` as a row of models.json has it.
    pub pricing: Map<String, Value>,
}

/// Returns the Claude models of a LiteLLM or genai-prices file, with the prices in force on `today`.
pub fn imported_rows(json: &str, today: Date) -> Result<Vec<ImportedRow>, ImportError> {
    let rows: Vec<ImportedRow> = match serde_json::from_str(json)? {
        Value::Object(models) => models.iter().filter_map(|(id, model)| litellm(id, model)).collect(),
        Value::Array(providers) => {
            let anthropic = providers.iter().find(|provider| provider["id"] == "anthropic");
            let models = anthropic.and_then(|provider| provider["models"].as_array());
            models.ok_or(ImportError::NoModels)?.iter().filter_map(|model| genai(model, today)).collect()
        }
        _ => return Err(ImportError::UnknownForm),
    };
    if rows.is_empty() { Err(ImportError::NoModels) } else { Ok(rows) }
}

/// Reads one entry of LiteLLM's file: USD per token.
fn litellm(id: &str, model: &Value) -> Option<ImportedRow> {
    // `us/…` and `fast/…` are other prices of the same model.
    let id = id.strip_prefix("anthropic/").unwrap_or(id);
    if model["litellm_provider"] != "anthropic" || id.contains('/') || id.ends_with("-fast") {
        return None;
    }
    let per_million = |key: &str| decimal(&model[key])?.checked_mul(Decimal::from(1_000_000));
    let rates = |suffix: &str| {
        let mut rates = Map::new();
        for (ours, theirs) in [
            ("input", "input_cost_per_token"),
            ("output", "output_cost_per_token"),
            ("cache_write", "cache_creation_input_token_cost"),
            ("cache_write_1h", "cache_creation_input_token_cost_above_1hr"),
            ("cache_read", "cache_read_input_token_cost"),
        ] {
            rates.extend(
                per_million(&format!("{theirs}{suffix}")).map(|rate| (ours.to_owned(), number(rate))),
            );
        }
        rates
    };
    let mut pricing = rates("");
    let (input, _output) = (pricing.get("input")?.clone(), pricing.get("output")?);
    let tiers: Vec<Value> = model.as_object()?.keys().filter_map(|key| tier(key, rates)).collect();
    if !tiers.is_empty() {
        pricing.insert("tiers".into(), tiers.into());
    }
    let mut modifiers = Map::new();
    let batch = per_million("input_cost_per_token_batches");
    modifiers.extend(ratio(batch, &input).map(|factor| ("batch".to_owned(), number(factor))));
    let fast =
        decimal(&model["provider_specific_entry"]["fast"]).map(|factor| multiplied(&rates(""), factor));
    modifiers.extend(fast.map(|fast| ("fast".to_owned(), fast.into())));
    let us = decimal(&model["provider_specific_entry"]["us"]);
    modifiers.extend(us.map(|factor| ("us_only".to_owned(), number(factor))));
    if !modifiers.is_empty() {
        pricing.insert("modifiers".into(), modifiers.into());
    }
    let search = decimal(&model["search_context_cost_per_query"]["search_context_size_medium"]);
    if let Some(price) = search.and_then(|price| price.checked_mul(Decimal::ONE_THOUSAND)) {
        pricing.insert("server_tools".into(), json!({"web_search_per_1k": number(price)}));
    }
    let max_tokens = model["max_output_tokens"].as_u64().or_else(|| model["max_tokens"].as_u64());
    Some(ImportedRow { id: id.to_owned(), name: None, max_tokens, pricing })
}

/// Reads `input_cost_per_token_above_200k_tokens` and its siblings.
fn tier(key: &str, rates: impl Fn(&str) -> Map<String, Value>) -> Option<Value> {
    let thousands = key.strip_prefix("input_cost_per_token_above_")?.strip_suffix("k_tokens")?;
    let above = thousands.parse::<u64>().ok()?.checked_mul(1000)?;
    let mut tier = Map::from_iter([("above_prompt_tokens".to_owned(), json!(above))]);
    tier.extend(rates(&format!("_above_{thousands}k_tokens")));
    tier.contains_key("output").then(|| tier.into())
}

/// Reads one model of genai-prices: USD per million tokens, maybe several prices with conditions.
fn genai(model: &Value, today: Date) -> Option<ImportedRow> {
    let id = model["id"].as_str()?;
    let prices = match &model["prices"] {
        Value::Array(dated) => &dated.iter().rfind(|entry| is_in_force(entry, today))?["prices"],
        prices => prices,
    };
    let mut pricing = genai_rates(prices, base);
    let (input, _output) = (pricing.get("input")?.clone(), pricing.get("output")?);
    let starts = prices["input_mtok"]["tiers"].as_array().map_or(&[][..], Vec::as_slice);
    let tiers: Vec<Value> = starts.iter().filter_map(|tier| genai_tier(prices, &tier["start"])).collect();
    if !tiers.is_empty() {
        pricing.insert("tiers".into(), tiers.into());
    }
    let mut modifiers = Map::new();
    let variants = model["price_variants"].as_array().map_or(&[][..], Vec::as_slice);
    for variant in variants.iter().filter(|variant| is_in_force(variant, today)) {
        let theirs = genai_rates(&variant["prices"], base);
        if variant["when"]["processing"] == "batch" {
            let factor = ratio(theirs.get("input").and_then(decimal), &input);
            modifiers.extend(factor.map(|factor| ("batch".to_owned(), number(factor))));
        } else if variant["when"]["speed"] == "fast" {
            let mut fast = genai_rates(prices, base);
            fast.extend(theirs);
            modifiers.insert("fast".into(), fast.into());
        }
    }
    if !modifiers.is_empty() {
        pricing.insert("modifiers".into(), modifiers.into());
    }
    if let Some(price) = decimal(&prices["web_searches_kcount"]) {
        pricing.insert("server_tools".into(), json!({"web_search_per_1k": number(price)}));
    }
    Some(ImportedRow {
        id: id.to_owned(),
        name: model["name"].as_str().map(str::to_owned),
        max_tokens: None,
        pricing,
    })
}

fn genai_rates(prices: &Value, of: impl Fn(&Value) -> Option<Decimal>) -> Map<String, Value> {
    let mut rates = Map::new();
    for (ours, theirs) in [
        ("input", "input_mtok"),
        ("output", "output_mtok"),
        ("cache_write", "cache_write_mtok"),
        ("cache_write", "cache_write_5m_mtok"),
        ("cache_write_1h", "cache_write_1h_mtok"),
        ("cache_read", "cache_read_mtok"),
    ] {
        rates.extend(of(&prices[theirs]).map(|rate| (ours.to_owned(), number(rate))));
    }
    rates
}

fn genai_tier(prices: &Value, start: &Value) -> Option<Value> {
    let mut tier = Map::from_iter([("above_prompt_tokens".to_owned(), json!(start.as_u64()?))]);
    let of_tier = |price: &Value| {
        let tiers = price["tiers"].as_array();
        let tier = tiers.and_then(|tiers| tiers.iter().find(|tier| tier["start"] == *start));
        tier.and_then(|tier| decimal(&tier["price"])).or_else(|| base(price))
    };
    tier.extend(genai_rates(prices, of_tier));
    Some(tier.into())
}

fn base(price: &Value) -> Option<Decimal> {
    decimal(price).or_else(|| decimal(&price["base"]))
}

/// Returns whether a dated price holds; prices of certain hours are no list price.
fn is_in_force(entry: &Value, today: Date) -> bool {
    let constraint = &entry["constraint"];
    let starts = constraint["start_date"].as_str().map(|day| day.parse::<Date>());
    match starts {
        Some(Ok(day)) => day <= today,
        Some(Err(_)) => false,
        None => constraint.is_null(),
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    let text = value.as_number()?.to_string();
    Decimal::from_scientific(&text).or_else(|_| Decimal::from_str_exact(&text)).ok()
}

fn number(decimal: Decimal) -> Value {
    let text = decimal.normalize().to_string();
    serde_json::from_str::<Number>(&text).map_or(Value::Null, Value::Number)
}

fn ratio(part: Option<Decimal>, whole: &Value) -> Option<Decimal> {
    part?.checked_div(decimal(whole)?).map(|factor| factor.round_dp(4))
}

fn multiplied(rates: &Map<String, Value>, factor: Decimal) -> Map<String, Value> {
    let times = |rate: &Value| decimal(rate)?.checked_mul(factor).map(number);
    rates.iter().filter_map(|(key, rate)| Some((key.clone(), times(rate)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &[(&str, &str)]) {
        let rows = imported_rows(json, "2026-11-20".parse().unwrap()).unwrap();
        let rows: Vec<(String, String)> =
            rows.into_iter().map(|row| (row.id, Value::from(row.pricing).to_string())).collect();
        let rows: Vec<(&str, &str)> =
            rows.iter().map(|(id, pricing)| (id.as_str(), pricing.as_str())).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn reads_litellms_prices_per_token_exactly() {
        check(
            r#"{"sample_spec": {"litellm_provider": "one of …"},
                "gpt-5": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
                "us/claude-haiku-5-5": {"litellm_provider": "anthropic", "input_cost_per_token": 1.1e-07, "output_cost_per_token": 5.5e-07},
                "claude-haiku-5-5": {"litellm_provider": "anthropic", "max_output_tokens": 128000,
                  "input_cost_per_token": 1e-07, "output_cost_per_token": 5e-07,
                  "cache_creation_input_token_cost": 1.25e-07, "cache_creation_input_token_cost_above_1hr": 2e-07,
                  "cache_read_input_token_cost": 1e-08, "input_cost_per_token_batches": 5e-08,
                  "input_cost_per_token_above_100k_tokens": 5e-07, "output_cost_per_token_above_100k_tokens": 2.5e-06,
                  "provider_specific_entry": {"us": 1.1, "fast": 2.0},
                  "search_context_cost_per_query": {"search_context_size_medium": 0.01}}}"#,
            &[(
                "claude-haiku-5-5",
                r#"{"input":0.1,"output":0.5,"cache_write":0.125,"cache_write_1h":0.2,"cache_read":0.01,"tiers":[{"above_prompt_tokens":100000,"input":0.5,"output":2.5}],"modifiers":{"batch":0.5,"fast":{"input":0.2,"output":1,"cache_write":0.25,"cache_write_1h":0.4,"cache_read":0.02},"us_only":1.1},"server_tools":{"web_search_per_1k":10}}"#,
            )],
        );
    }

    #[test]
    fn reads_the_price_of_today_from_genai_prices() {
        check(
            r#"[{"id": "openai", "models": []}, {"id": "anthropic", "models": [
                {"id": "claude-sonnet-4-5", "name": "Claude Sonnet 4.5", "prices": [
                  {"prices": {"input_mtok": 9, "output_mtok": 9}},
                  {"constraint": {"start_date": "2026-01-01"}, "prices": {
                    "input_mtok": {"base": 3, "tiers": [{"start": 200000, "price": 6}]},
                    "output_mtok": {"base": 15, "tiers": [{"start": 200000, "price": 22.5}]},
                    "cache_read_mtok": 0.3, "web_searches_kcount": 10}},
                  {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 1, "output_mtok": 1}}],
                 "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 1.5}},
                                    {"when": {"speed": "fast"}, "prices": {"input_mtok": 6}}]},
                {"id": "free", "prices": {}}]}]"#,
            &[(
                "claude-sonnet-4-5",
                r#"{"input":3,"output":15,"cache_read":0.3,"tiers":[{"above_prompt_tokens":200000,"input":6,"output":22.5,"cache_read":0.3}],"modifiers":{"batch":0.5,"fast":{"input":6,"output":15,"cache_read":0.3}},"server_tools":{"web_search_per_1k":10}}"#,
            )],
        );
    }

    #[test]
    fn says_what_it_cannot_read() {
        let today = "2026-11-20".parse().unwrap();
        let fails = |json: &str| imported_rows(json, today).unwrap_err().to_string();
        assert_eq!(fails("{"), "it is not JSON");
        assert_eq!(
            fails("1"),
            "it is neither LiteLLM's model_prices_and_context_window.json nor genai-prices' data.json"
        );
        assert_eq!(fails("{}"), "it has no model of Anthropic's own");
        assert_eq!(fails("[]"), "it has no model of Anthropic's own");
    }
}
